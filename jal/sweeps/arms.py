"""What the groups of a sweep's learners share, and which learners it has, from its config."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_collections import ConfigDict

from jal.core.spec import PROBES, SOLVED, ProbeSpec, PropagationSpec
from jal.errors import JalError
from jal.learners.choices import OwnLearner, as_learners
from jal.learners.lora.spec import PealSpec, from_mapping
from jal.settings.fields import as_tuple

if TYPE_CHECKING:
    from jal.core.types import Pool, Probe


def learners(config: ConfigDict) -> tuple[str, ...]:
    """The learners a config asks for.

    Raises:
      JalError: on an unknown one, or none.
    """
    return tuple(map(str, as_learners(config.learner)))


def _floats(name: str, value: Any) -> tuple[float, ...]:
    values = as_tuple(value)
    if not values or not all(isinstance(v, int | float) for v in values):
        raise JalError(f"{name} is {value!r}; it takes numbers, as in 0.001,0.01.")
    return tuple(float(v) for v in values)


_Rates = list[tuple[float, float]]  # (learning rate, weight decay) of each arm


def decays_of(config: ConfigDict) -> Any:
    """The probe's weight decay or penalty, or several: as given, or else what its kind has."""
    given = config.probe.weight_decay
    return PROBES.get(config.probe.kind, PROBES["linear"]) if given is None else given


def _rates(part: str, config: ConfigDict) -> _Rates:
    lrs = _floats(f"{part}.lr", config[part].lr)
    decays = config.lora.weight_decay if part == "lora" else decays_of(config)
    return list(product(lrs, _floats(f"{part}.weight_decay", decays)))


def _check_solved(kind: str, rates: _Rates) -> None:
    """Raises JalError for several rates of a kind of probe that makes nothing of them."""
    unused = {"lr": 0} if kind in SOLVED else {}
    unused |= {"weight_decay": 1} if kind == "prototype" else {}
    for name, position in unused.items():
        if len({rate[position] for rate in rates}) > 1:
            raise JalError(
                f"probe.{name} has several values, but a {kind} probe has none, so its runs would be "
                "the same; leave it out."
            )


class Arm(NamedTuple):
    """What a learner's groups share: the mapped rates, the head's recipe, and its own recipe."""

    rates: _Rates
    probe: ProbeSpec
    lora: PealSpec | None = None
    own: OwnLearner | None = None


def make_arms(config: ConfigDict, pool: Pool | None = None) -> list[Arm]:
    """What each learner's groups share; without the pool, a learner of the user's own is not tried."""
    arms: list[Arm] = []
    for learner in as_learners(config.learner):
        rates = _rates("lora" if learner == "lora" else "probe", config)
        if isinstance(learner, OwnLearner):
            head = None if pool is None else _head_of(learner, pool)
            rate = ProbeSpec().dropout if head is None else head.dropout
            kind = "residual" if head is not None and head.adapter is not None else "linear"
            arms.append(Arm(rates, ProbeSpec(dropout=rate, kind=kind), own=learner))
            continue
        if learner == "lora":
            values = config.lora.to_dict()
            for lr, weight_decay in rates:
                lora = from_mapping({**values, "lr": lr, "weight_decay": weight_decay})
            arms.append(Arm(rates, ProbeSpec(dropout=lora.head_dropout), lora))
            continue
        static = ("kind", "max_epochs", "batch_size", "patience", "min_delta")
        fixed = {name: config.probe[name] for name in static}
        propagation = PropagationSpec(**config.propagation.to_dict())
        fixed["propagation"] = propagation if config.ssl else None
        _check_solved(config.probe.kind, rates)
        for lr, weight_decay in rates:
            ProbeSpec(lr=lr, weight_decay=weight_decay)
        for rate in _floats("probe.dropout", config.probe.dropout):
            arms.append(Arm(rates, ProbeSpec(dropout=rate, **fixed)))
    return arms


def _head_of(learner: OwnLearner, pool: Pool) -> Probe:
    from jal.learners.own import check_own  # which needs jax, as names do not

    return check_own(learner, pool)
