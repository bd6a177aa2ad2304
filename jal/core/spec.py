"""Frozen, hashable descriptions of an experiment, and every check that needs no data."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jal.errors import JalError

SCHEDULES = ("linear", "doubling")
# The kinds of probes, and the weight decay or penalty that each has where none is given.
PROBES = {"linear": 1e-2, "residual": 1e-2, "ridge": 1.0, "logistic": 1.0, "prototype": 0.0}
SOLVED = ("ridge", "logistic", "prototype")  # nothing of them depends on a learning rate
SMALLEST_BUCKET = 64


def option(default: Any, text: str) -> Any:
    """A field of a spec that is a key of configs too, with its help."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Choice:
    """A strategy or an initialisation by name, with options: `dropquery(draws=5)`.

    Attributes:
      name: what it is called, also in results.
      options: (name, value) pairs in the order of their names.
      factory: a user's own factory or ready-made `Strategy` of that name, so that two of one name share
        no compiled program; None for what jal brings.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    factory: Any = field(default=None, repr=False)

    def __str__(self) -> str:
        if not self.options:
            return self.name
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.options)})"


def parse_choices(text: str | Iterable[str]) -> tuple[Choice, ...]:
    """Reads `"random, dropquery(draws=5)"`, or several such strings, into choices.

    Raises:
      JalError: when the text is not a list of names with keyword options.
    """
    if not isinstance(text, str):
        return tuple(choice for part in text for choice in parse_choices(part))
    wanted = f"cannot read {text!r}; write names with options, as in random,dropquery(draws=5)."
    try:
        tree = ast.parse(text.strip() or "()", mode="eval").body
    except SyntaxError as error:
        raise JalError(wanted) from error
    choices = []
    for node in tree.elts if isinstance(tree, ast.Tuple) else [tree]:
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        unnamed = call.args or any(word.arg is None for word in call.keywords)
        if not isinstance(call.func, ast.Name) or unnamed:
            raise JalError(wanted)
        try:
            values = [(word.arg or "", ast.literal_eval(word.value)) for word in call.keywords]
            options = tuple(sorted(values, key=lambda pair: pair[0]))
            hash(options)
        except (ValueError, TypeError) as error:
            raise JalError(wanted) from error
        if len(dict(options)) < len(options):
            raise JalError(f"an option of {call.func.id} is given twice in {text!r}.")
        choices.append(Choice(call.func.id, options))
    return tuple(choices)


@dataclass(frozen=True)
class PropagationSpec:
    """Label propagation's recipe.

    Attributes:
      neighbours: K of the kNN graph, capped at N - 1.
      alpha: α, the weight of the given labels against what neighbours say.
      gamma: γ, the exponent of the affinity ((1 + cos)/2)^γ.
      iterations: at most.

    Raises:
      JalError: on a value outside its range.
    """

    neighbours: int = option(500, "K of the kNN graph, capped at the pool's size less one")
    alpha: float = option(0.9, "weight of the given labels against the neighbours'")
    gamma: float = option(1.0, "exponent of the affinity (1 + cosine)/2")
    iterations: int = option(100, "propagation steps, at most")

    def __post_init__(self) -> None:
        for name, low, high, bounds in (
            ("neighbours", 1, float("inf"), "at least 1"),
            # With S's norm below 2, a lower α need not converge.
            ("alpha", 0.5, 1, "from 0.5 to 1"),
            ("gamma", 0, float("inf"), "at least 0"),
            ("iterations", 1, float("inf"), "at least 1"),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise JalError(f"propagation.{name} is {value}; it must be {bounds}.")


@dataclass(frozen=True)
class ProbeSpec:
    """The probe's recipe; `lr` and `weight_decay` are only the defaults of what may be mapped over.

    Attributes:
      weight_decay: of AdamW; of "ridge" and "logistic" the L2 penalty. Where none is given, it is 0.01,
        and their penalty 1.
      kind: "linear", or "residual" for an adapter before the batch norm; "ridge", "logistic" or "prototype"
        (the nearest class mean), which are solved rather than trained.
      propagation: trains on the whole pool with propagated labels (semi-supervised); None on the
        labelled set alone.

    Raises:
      JalError: on a value outside its range.
    """

    lr: float = option(1e-2, "AdamW's learning rate; several ride one compiled axis")
    weight_decay: float = option(
        None, "decoupled weight decay; ridge, logistic: L2 penalty; None: 0.01, 1; likewise"
    )
    dropout: float = option(0.75, "dropout rate; each is a group of its own")
    max_epochs: int = option(400, "epochs, at most")
    batch_size: int = option(4096, "rows a step")
    patience: int = option(20, "epochs without improvement before stopping")
    min_delta: float = option(1e-3, "the least drop of the training loss that counts")
    kind: str = option("linear", "linear, residual (an MLP first), ridge, logistic or prototype")
    propagation: PropagationSpec | None = None

    def __post_init__(self) -> None:
        if self.kind not in PROBES:
            raise JalError(f"unknown probe.kind {self.kind!r}; choose from {', '.join(PROBES)}.")
        if self.weight_decay is None:
            object.__setattr__(self, "weight_decay", PROBES[self.kind])
        for name, low, high, bounds in (
            ("lr", 0, float("inf"), "at least 0"),
            ("weight_decay", 0, float("inf"), "at least 0"),
            ("dropout", 0, 1 - 2**-16, "at least 0 and below 1"),
            ("max_epochs", 1, float("inf"), "at least 1"),
            ("batch_size", 1, float("inf"), "at least 1"),
            ("patience", 1, float("inf"), "at least 1"),
            ("min_delta", 0, float("inf"), "at least 0"),
        ):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and low <= value <= high):
                raise JalError(f"probe.{name} is {value}; it must be {bounds}.")


@dataclass(frozen=True)
class ExperimentSpec:
    """Everything static about one experiment.

    Attributes:
      strategy: the query strategy.
      init: how the first batch is chosen.
      batches: how many labels are bought before round 1, 2, …
      probe: the probe's recipe.
    """

    strategy: Choice
    init: Choice
    batches: tuple[int, ...]
    probe: ProbeSpec = ProbeSpec()

    @property
    def budget(self) -> int:
        """The number of labels of the last round."""
        return sum(self.batches)

    @property
    def rounds(self) -> int:
        """The number of rounds."""
        return len(self.batches)


def make_batches(
    schedule: str, rounds: int, start: int, step: int, num_classes: int, pool_size: int
) -> tuple[int, ...]:
    """How many labels each round adds.

    Args:
      schedule: "linear" adds step·C every round; "doubling" follows 2^(t-1), the budget of round t
        being (start + (2^(t-1) - 1)·step)·C, and ends where the pool does.
      rounds: how many rounds, at most.
      start: labels per class of the first round.
      step: labels per class of a later one.
      num_classes: C.
      pool_size: N.

    Raises:
      JalError: on an unknown schedule, values below 1, or (linear) a budget above the pool's size.
    """
    if schedule not in SCHEDULES:
        raise JalError(f"unknown schedule {schedule!r}; choose from {', '.join(SCHEDULES)}.")
    for name, value in (("rounds", rounds), ("start", start), ("step", step)):
        if value < 1:
            raise JalError(f"{name} is {value}; it must be at least 1.")
    growth = [1] * (rounds - 1) if schedule == "linear" else [2**t for t in range(rounds - 1)]
    wanted = [start * num_classes, *(step * num_classes * factor for factor in growth)]
    if (schedule == "linear" and sum(wanted) > pool_size) or wanted[0] > pool_size:
        raise JalError(
            f"the budget of {sum(wanted)} labels ({rounds} rounds, {start} a class to start, {step} a "
            f"class each, {num_classes} classes) is above the pool's {pool_size} rows; "
            "lower rounds, start or step."
        )
    batches: list[int] = []
    for batch in wanted:
        batches.append(min(batch, pool_size - sum(batches)))
        if sum(batches) == pool_size:
            break
    return tuple(batches)


def bucket(count: int) -> int:
    """The padded size of a labelled set of `count`: a power of two from 64 up.

    It knows nothing of the budget, so that a sweep may be extended by rounds and stay what it was.
    """
    size = SMALLEST_BUCKET
    while size < count:
        size *= 2
    return size
