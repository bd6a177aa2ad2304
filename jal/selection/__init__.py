"""Query strategies and initialisations: pure functions in explicit registries.

A strategy is a score plus a batch builder; its factory's keyword arguments are its options. A ceiling reads
hidden labels, and so is in a registry of its own and never a strategy. One of your
own is passed to `jal.sweep` as it is, registered under a name, or offered by a package; to add one to
jal, enter it in `jal.selection.builtin`: the contract tests find it.
"""

from jal.selection.builtin import (
    CEILINGS,
    DEFAULT_INIT,
    DEFAULT_INITS,
    INITS,
    STRATEGIES,
    Factory,
    Kind,
    draws_at_the_probes_rate,
)
from jal.selection.choices import (
    Choices,
    as_ceilings,
    as_choices,
    check_options,
    default_init,
    has_state,
    is_ceiling,
    is_init_of,
    is_text,
    make_ceiling,
    make_init,
    make_strategy,
    prepares,
)
from jal.selection.registry import names, register_init, register_strategy

__all__ = [
    "CEILINGS",
    "DEFAULT_INIT",
    "DEFAULT_INITS",
    "INITS",
    "STRATEGIES",
    "Choices",
    "Factory",
    "Kind",
    "as_ceilings",
    "as_choices",
    "check_options",
    "default_init",
    "draws_at_the_probes_rate",
    "has_state",
    "is_ceiling",
    "is_init_of",
    "is_text",
    "make_ceiling",
    "make_init",
    "make_strategy",
    "names",
    "prepares",
    "register_init",
    "register_strategy",
]
