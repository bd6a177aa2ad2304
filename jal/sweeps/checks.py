"""Checks of a sweep's config that need no data; those of its words need no jax either."""

from __future__ import annotations

from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jal import selection
from jal.core.spec import Choice, make_batches
from jal.engine.config import MODES
from jal.errors import JalError
from jal.settings.fields import as_tuple
from jal.sweeps.arms import learners, make_arms
from jal.sweeps.trackers import asked_trackers
from jal.weights.naming import NAMINGS

_MAX_SEED = 2**32 - 1
_MOST_SEEDS = 100_000


def parse_seeds(value: Any) -> tuple[int, ...]:
    """A list of seeds, or 1 … n for a count n.

    Raises:
      JalError: on anything but distinct whole numbers from 0 to 2^32 - 1, or a count below 1.
    """
    seeds = as_tuple(value)
    if not seeds or not all(isinstance(s, int | np.integer) for s in seeds):
        raise JalError(f"seeds is {value!r}; it takes a count, or whole numbers as in 1,10,100.")
    if not isinstance(value, tuple | list):
        if value > _MOST_SEEDS:
            raise JalError(
                f"seeds is {value}, a count, above {_MOST_SEEDS}; to name one seed, write a list: {value},"
            )
        seeds = tuple(range(1, value + 1))
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= s <= _MAX_SEED for s in seeds):
        raise JalError(
            f"seeds is {value!r}; they must be distinct, from 0 to 2^32 - 1, at least one."
        )
    return seeds


def fixed_seeds(config: ConfigDict) -> tuple[tuple[str, int], ...]:
    """The purposes whose seed is the same in every run."""
    fixed = []
    for name, seed in config.seed_of.items():
        if not isinstance(seed, int | np.integer) or not -1 <= seed <= _MAX_SEED:
            raise JalError(f"seed_of.{name} is {seed!r}; it takes a seed, or -1 for the run's own.")
        if seed >= 0:
            fixed.append((name, int(seed)))
    return tuple(fixed)


def inits_of(config: ConfigDict, strategy: Choice) -> tuple[Choice, ...]:
    """The inits that a strategy is run with, the default being its own."""
    default = selection.default_init(strategy.name)
    asked = selection.as_choices(config.inits, "init")
    return tuple(
        dict.fromkeys(default if init == selection.DEFAULT_INIT else init for init in asked)
    )


def asked_for(config: ConfigDict) -> tuple[Choice, ...]:
    """What a config's groups query with: its strategies, then its ceilings."""
    ceilings = selection.as_ceilings(config.ceilings)
    if ceilings and "lora" in learners(config):
        raise JalError(
            "a ceiling trains the learner on every batch that it tries, for which lora is too slow; leave "
            "ceilings out, or take learner=frozen."
        )
    return (*selection.as_choices(config.strategies), *ceilings)


def check_words(config: ConfigDict) -> None:
    """Every check that needs neither data nor jax, so that a typo costs no time.

    Raises:
      JalError: naming the valid choices.
    """
    arms = make_arms(config)
    modes = (*MODES, "scan")
    if config.execution.mode not in modes:
        raise JalError(
            f"unknown execution.mode {config.execution.mode!r}; choose from {', '.join(modes)}."
        )
    if config.execution.checkpoints_kept < 1 or config.execution.checkpoint_seconds < 0:
        raise JalError(
            "execution.checkpoints_kept must be at least 1 and execution.checkpoint_seconds at least 0."
        )
    asked_trackers(config.execution.track)
    for strategy in asked_for(config):
        selection.check_options(
            strategy, "ceiling" if selection.is_ceiling(strategy) else "strategy"
        )
        drawing = selection.draws_at_the_probes_rate(strategy)
        if drawing and any(not arm.probe.dropout for arm in arms):
            part = "lora.head_dropout" if arms[0].lora is not None else "probe.dropout"
            raise JalError(
                f"{strategy} draws dropout, but {part} is 0, so its draws would all agree; set its own "
                f"rate, as in {drawing}(rate=0.75), or {part} above 0."
            )
        for init in inits_of(config, strategy):
            selection.check_options(init, "init")
    parse_seeds(config.seeds)
    fixed_seeds(config)
    if "lora" in learners(config) and config.execution.mode == "scan":
        raise JalError("execution.mode 'scan' needs the frozen learner; lora takes map or vmap.")
    if config.execution.export_adapters not in ("", *NAMINGS):
        raise JalError(
            f"execution.export_adapters is {config.execution.export_adapters!r}; "
            f"choose from {', '.join(NAMINGS)}, or leave it empty."
        )
    if learners(config) != ("frozen",) and config.ssl:
        raise JalError("ssl propagates labels for the frozen learner; it needs learner=frozen.")
    if config.full and learners(config) == ("lora",):
        raise JalError(
            "full measures the frozen learner's probe with all labels, and with lora alone there is none; "
            "leave full out, or run both: learner=frozen,lora."
        )
    if "lora" in learners(config) and config.execution.shard_pool:
        raise JalError("execution.shard_pool needs the frozen learner: lora streams its images.")
    make_batches(config.schedule, config.rounds, config.start, config.step, 1, 2**60)


def check_names(config: ConfigDict) -> None:
    """As `check_words`, and that every strategy and init can be made with its options.

    Raises:
      JalError: naming the valid choices.
    """
    check_words(config)
    for strategy in asked_for(config):
        if selection.is_ceiling(strategy):
            selection.make_ceiling(strategy)
        else:
            selection.make_strategy(strategy)
        for init in inits_of(config, strategy):
            selection.make_init(init)
