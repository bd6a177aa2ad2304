"""From a config to the groups of a sweep: the runs that share one static structure ride one axis."""

from __future__ import annotations

import zipfile
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jal import selection
from jal.core.metrics import Own
from jal.core.metrics import check_own as check_metrics
from jal.core.spec import (
    Choice,
    ExperimentSpec,
    ProbeSpec,
    PropagationSpec,
    make_batches,
)
from jal.core.types import Pool
from jal.engine.group import PURPOSES, Group
from jal.engine.layout import MODES
from jal.errors import JalError
from jal.learners.lora.spec import PealSpec, from_mapping
from jal.learners.own import OwnLearner, as_learners, check_own
from jal.pools.features import LoadedPool, require_labels
from jal.settings.fields import as_tuple
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


def _fixed_seeds(config: ConfigDict) -> tuple[tuple[str, int], ...]:
    """The purposes whose seed is the same in every run."""
    fixed = []
    for name in PURPOSES:
        seed = config.seed_of[name]
        if not isinstance(seed, int | np.integer) or not -1 <= seed <= _MAX_SEED:
            raise JalError(f"seed_of.{name} is {seed!r}; it takes a seed, or -1 for the run's own.")
        if seed >= 0:
            fixed.append((name, int(seed)))
    return tuple(fixed)


def _floats(name: str, value: Any) -> tuple[float, ...]:
    values = as_tuple(value)
    if not values or not all(isinstance(v, int | float) for v in values):
        raise JalError(f"{name} is {value!r}; it takes numbers, as in 0.001,0.01.")
    return tuple(float(v) for v in values)


def load_first_indices(path: str) -> np.ndarray:
    """The first indices of a `given(path=…)` init: [k] or [seeds, k] from .npy, or the one array of .npz.

    Raises:
      JalError: when the file is missing or does not hold one array of integers.
    """
    if not Path(path).is_file():
        raise JalError(f"init given: there is no file {path!r}; write given(path='first.npy').")
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded[loaded.files[0]] if hasattr(loaded, "files") else loaded
    except (OSError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise JalError(f"init given: {path} cannot be read ({error}).") from error
    if not np.issubdtype(array.dtype, np.integer):
        raise JalError(f"init given: {path} holds {array.dtype} values; it must hold integers.")
    return array


def _first_indices(array: Any, size: int, pool_size: int, seeds: int, arms: int) -> np.ndarray:
    """Checked first indices i32[arms · seeds, size]."""
    array = np.atleast_2d(np.asarray(array))
    if not np.issubdtype(array.dtype, np.integer):
        raise JalError(f"init given: the first indices are {array.dtype}; they must be integers.")
    if array.ndim != 2 or array.shape[0] not in (1, seeds) or array.shape[1] < 1:
        raise JalError(
            f"init given: the first indices have shape {array.shape}; "
            f"they must be [k] or [{seeds} seeds, k]."
        )
    for number, row in enumerate(array):
        if len(set(row.tolist())) < len(row) or row.min() < 0 or row.max() >= pool_size:
            raise JalError(
                f"init given: set {number} must hold distinct positions from 0 to {pool_size - 1}."
            )
    if array.shape[1] != size:
        raise JalError(f"init given: the sets hold {array.shape[1]} indices, not {size}.")
    return np.tile(np.broadcast_to(array, (seeds, size)).astype(np.int32), (arms, 1))


def described(config: ConfigDict, metrics: Own = ()) -> dict[str, Any]:
    """The config as plain values, for a file: what is the user's own by its name."""
    values = config.to_dict()
    if metrics:
        values["metrics"] = [name for name, _ in metrics]
    if not selection.is_text(values["learner"]):
        values["learner"] = list(learners(config))
    kinds: tuple[tuple[str, selection.Kind], ...] = (("strategies", "strategy"), ("inits", "init"))
    for key, kind in kinds:
        if not selection.is_text(values[key]):
            values[key] = [str(choice) for choice in selection.as_choices(values[key], kind)]
    return values


def _inits(config: ConfigDict, strategy: Choice) -> tuple[Choice, ...]:
    default = selection.default_init(strategy.name)
    asked = selection.as_choices(config.inits, "init")
    return tuple(
        dict.fromkeys(default if init == selection.DEFAULT_INIT else init for init in asked)
    )


def check_names(config: ConfigDict) -> None:
    """Every check that needs no data, so that a typo costs no loading time.

    Raises:
      JalError: naming the valid choices.
    """
    arms = _arms(config)
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
    for strategy in selection.as_choices(config.strategies):
        selection.make_strategy(strategy)
        if selection.draws_at_the_probes_rate(strategy) and any(
            not arm.probe.dropout for arm in arms
        ):
            part = "lora.head_dropout" if arms[0].lora is not None else "probe.dropout"
            raise JalError(
                f"{strategy} draws dropout, but {part} is 0, so its draws would all agree; set its own "
                f"rate, as in {strategy.name}(rate=0.75), or {part} above 0."
            )
        for init in _inits(config, strategy):
            selection.make_init(init)
    parse_seeds(config.seeds)
    _fixed_seeds(config)
    if "lora" in learners(config) and config.execution.mode == "scan":
        raise JalError("execution.mode 'scan' needs the frozen learner; lora takes map or vmap.")
    if config.execution.export_adapters not in ("", *NAMINGS):
        raise JalError(
            f"execution.export_adapters is {config.execution.export_adapters!r}; "
            f"choose from {', '.join(NAMINGS)}, or leave it empty."
        )
    if learners(config) != ("frozen",) and config.ssl:
        raise JalError("ssl propagates labels for the frozen learner; it needs learner=frozen.")
    if "lora" in learners(config) and config.execution.shard_pool:
        raise JalError("execution.shard_pool needs the frozen learner: lora streams its images.")
    make_batches(config.schedule, config.rounds, config.start, config.step, 1, 2**60)


def learners(config: ConfigDict) -> tuple[str, ...]:
    """The learners a config asks for.

    Raises:
      JalError: on an unknown one, or none.
    """
    return tuple(map(str, as_learners(config.learner)))


_Rates = list[tuple[float, float]]  # (learning rate, weight decay) of each arm


def _rates(part: str, config: ConfigDict) -> _Rates:
    lrs = _floats(f"{part}.lr", config[part].lr)
    return list(product(lrs, _floats(f"{part}.weight_decay", config[part].weight_decay)))


class _Arm(NamedTuple):
    """What a learner's groups share: the mapped rates, the head's recipe, and its own recipe."""

    rates: _Rates
    probe: ProbeSpec
    lora: PealSpec | None = None
    own: OwnLearner | None = None


def _arms(config: ConfigDict, pool: Pool | None = None) -> list[_Arm]:
    """What each learner's groups share; without the pool, a learner of the user's own is not tried."""
    arms: list[_Arm] = []
    for learner in as_learners(config.learner):
        rates = _rates("lora" if learner == "lora" else "probe", config)
        if isinstance(learner, OwnLearner):
            head = None if pool is None else check_own(learner, pool)
            rate = ProbeSpec().dropout if head is None else head.dropout
            kind = "residual" if head is not None and head.adapter is not None else "linear"
            arms.append(_Arm(rates, ProbeSpec(dropout=rate, kind=kind), own=learner))
            continue
        if learner == "lora":
            values = config.lora.to_dict()
            for lr, weight_decay in rates:
                lora = from_mapping({**values, "lr": lr, "weight_decay": weight_decay})
            arms.append(_Arm(rates, ProbeSpec(dropout=lora.head_dropout), lora))
            continue
        static = ("kind", "max_epochs", "batch_size", "patience", "min_delta")
        fixed = {name: config.probe[name] for name in static}
        propagation = PropagationSpec(**config.propagation.to_dict())
        fixed["propagation"] = propagation if config.ssl else None
        for lr, weight_decay in rates:
            ProbeSpec(lr=lr, weight_decay=weight_decay)
        for rate in _floats("probe.dropout", config.probe.dropout):
            arms.append(_Arm(rates, ProbeSpec(dropout=rate, **fixed)))
    return arms


def make_groups(
    config: ConfigDict, loaded: LoadedPool, first: Any = None, metrics: Own = ()
) -> tuple[Group, ...]:
    """The groups of a sweep, in the order they run.

    Args:
      config: as `jal.sweeps.config.sweep_config` lays it out.
      loaded: the pool.
      first: the `given` init's indices, [k] or [seeds, k], when they come from Python.
      metrics: the user's own.

    Raises:
      JalError: when the config and the pool do not fit each other.
    """
    check_names(config)
    require_labels(loaded)
    pool = loaded.pool
    batches = make_batches(
        config.schedule, config.rounds, config.start, config.step, pool.num_classes, pool.size
    )
    seeds = parse_seeds(config.seeds)
    check_metrics(metrics, pool.test_features.shape[0], pool.num_classes)
    arms = _arms(config, pool)
    groups = []
    for strategy in selection.as_choices(config.strategies):
        for init, arm in product(_inits(config, strategy), arms):
            rates, indices = arm.rates, None
            if init.name == "given":
                indices = first
                if indices is None:
                    indices = load_first_indices(dict(init.options).get("path", ""))
                indices = _first_indices(indices, batches[0], pool.size, len(seeds), len(rates))
            groups.append(
                Group(
                    spec=ExperimentSpec(strategy, init, batches, arm.probe),
                    seeds=seeds * len(rates),
                    lrs=tuple(lr for lr, _ in rates for _ in seeds),
                    weight_decays=tuple(decay for _, decay in rates for _ in seeds),
                    first=indices,
                    lora=arm.lora,
                    fixed=_fixed_seeds(config),
                    metrics=metrics,
                    own=arm.own,
                )
            )
    return tuple(groups)
