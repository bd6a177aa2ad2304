"""From a config to the groups of a sweep: the runs that share one static structure ride one axis."""

from __future__ import annotations

import zipfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jal import selection
from jal.core.metrics import Own
from jal.core.metrics import check_own as check_metrics
from jal.core.spec import ExperimentSpec, make_batches
from jal.engine.group import Group
from jal.errors import JalError
from jal.pools.features import LoadedPool, require_labels
from jal.sweeps.arms import decays_of, learners, make_arms
from jal.sweeps.checks import asked_for, check_names, fixed_seeds, inits_of, parse_seeds


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
    values["probe"]["weight_decay"] = decays_of(config)
    if metrics:
        values["metrics"] = [name for name, _ in metrics]
    if not selection.is_text(values["learner"]):
        values["learner"] = list(learners(config))
    kinds: tuple[tuple[str, selection.Kind], ...] = (("strategies", "strategy"), ("inits", "init"))
    for key, kind in kinds:
        if not selection.is_text(values[key]):
            values[key] = [str(choice) for choice in selection.as_choices(values[key], kind)]
    if not selection.is_text(values["ceilings"]):
        values["ceilings"] = [str(choice) for choice in selection.as_ceilings(values["ceilings"])]
    return values


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
    arms = make_arms(config, pool)
    groups = []
    for strategy in asked_for(config):
        for init, arm in product(inits_of(config, strategy), arms):
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
                    fixed=fixed_seeds(config),
                    metrics=metrics,
                    own=arm.own,
                )
            )
    return tuple(groups)
