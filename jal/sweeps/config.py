"""The configuration of a sweep: every key with its default, composed from the rooms' parts."""

from __future__ import annotations

from ml_collections import ConfigDict

from jal.core.spec import ProbeSpec, PropagationSpec
from jal.data.config import DATA_FIELDS
from jal.engine.config import EXECUTION_FIELDS
from jal.errors import JalError
from jal.learners.lora.spec import PealSpec
from jal.pools.config import POOL_FIELDS, check_path
from jal.settings.fields import Field, make_config, of_spec
from jal.weights.config import MODEL_FIELDS

_MAPPED = ("lr", "weight_decay")  # several values of these ride one compiled axis

# The protocol of Gupte et al. (TMLR 2024).
SWEEP_FIELDS: dict[str, Field] = {
    **POOL_FIELDS,
    **DATA_FIELDS,
    "data.path": Field("", "folder, .csv or .npz of images, in place of pool.path"),
    "data.cache": Field("", "folder for decoded images, features and prefix tokens; else memory"),
    **MODEL_FIELDS,
    "learner": Field("frozen", "frozen: a probe on features; lora: adapters too", several=True),
    "strategies": Field("random,margins,dropquery", "query strategies", several=True),
    "ceilings": Field("", "bounds that read hidden labels, drawn apart: oracle", several=True),
    "inits": Field("default", "how round 1 is chosen; default: each strategy's own", several=True),
    "seeds": Field((1, 10, 100, 1000, 10000), "a list, or a count n for 1 … n", several=True),
    "seed_of.first": Field(-1, "one seed for the first set of every run; -1: the run's own"),
    "seed_of.fit": Field(-1, "likewise for training"),
    "seed_of.selection": Field(-1, "likewise for queries"),
    "seed_of.clustering": Field(-1, "likewise for the clusterings within them"),
    "rounds": Field(20, "how many rounds, at most"),
    "start": Field(1, "labels per class in round 1"),
    "step": Field(1, "labels per class in each later round"),
    "schedule": Field("linear", "linear, or doubling: 2^(t-1) times as many in round t"),
    **of_spec("probe", ProbeSpec, several=(*_MAPPED, "dropout")),
    "full": Field(False, "measure the probe with all pool labels too, a line in reports"),
    "ssl": Field(False, "train on the whole pool, with labels propagated on its kNN graph"),
    **of_spec("propagation", PropagationSpec),
    **of_spec("lora", PealSpec, several=(*_MAPPED, "targets")),
    **EXECUTION_FIELDS,
    "execution.checkpoint_seconds": Field(30.0, "at most this long between checkpoints"),
    "execution.checkpoints_kept": Field(2, "how many checkpoints of a group are kept"),
    "execution.track": Field("", "log for tensorboard, wandb or mlflow, or several", several=True),
    "execution.group": Field(-1, "run only this group of the grid, into workdir/group-N; -1: all"),
    "execution.export_adapters": Field(
        "", "write every round's adapters for PEFT, named for transformers4 or transformers5"
    ),
}


def sweep_config() -> ConfigDict:
    """The defaults of a sweep."""
    return make_config(SWEEP_FIELDS)


def check_pool(config: ConfigDict) -> None:
    """Raises JalError when a config names neither a pool nor images, or a path where there is no pool."""
    if config.pool.path and not names_images(config):
        check_path(config.pool.path)
    if not config.pool.path and not names_images(config):
        raise JalError(
            "nothing says which pool: set --config.pool.path to an embedding store, an .npz file, or "
            "digits, the bundled data set; or --config.data.path to a folder of images."
        )


def names_images(config: ConfigDict) -> bool:
    """Whether a sweep's config asks for images rather than a pool of features."""
    return bool(config.data.path or config.data.name or config.data.address)
