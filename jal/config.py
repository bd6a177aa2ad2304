"""The configuration of a sweep: every key with its default, and how a shipped config is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict, FieldReference

from jal.errors import JalError
from jal.lora_spec import PealSpec

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries the configs inside the package; a source checkout beside it.
_CONFIG_FOLDERS = (_PACKAGE / "shipped_configs", _PACKAGE.parent / "configs")


class Field(NamedTuple):
    """One key of a config.

    Attributes:
      default: its value unless overridden.
      help: what it means.
      several: whether it takes one value or several, of any type.
    """

    default: Any
    help: str
    several: bool = False


_LORA_HELP = {
    "rank": "inner width of the adapters",
    "alpha": "their scale is alpha / rank",
    "targets": "adapted maps: any of q, k, v, o, fc1, fc2",
    "blocks": "adapt only so many of the last blocks; 0: all",
    "dropout": "on the adapters' input, in training",
    "lr": "AdamW's peak learning rate",
    "weight_decay": "decoupled weight decay",
    "warm_up": "share of the steps before the cosine decay",
    "epochs": "passes over the labelled set, at most",
    "batch_size": "images a step",
    "patience": "epochs without improvement before stopping; 0: never",
    "min_delta": "the least drop of the training loss that counts",
    "flip": "mirror training images at random",
    "crop": "least share of the area kept by random crops; 1: none",
    "head": "start of the head: random, or the linear probe",
    "head_dropout": "on the head's input, also for MC dropout",
    "batch_norm": "normalise the head's input by batch statistics",
    "warm_start": "go on from the round before",
    "prefix": "keep the frozen blocks' tokens: auto, none or a dtype",
    "images_at_once": "images whose activations are held together; 0: auto",
}

# The protocol of Gupte et al. (TMLR 2024) on the bundled digits.
SWEEP_FIELDS: dict[str, Field] = {
    "pool.path": Field("digits", "digits, an embedding store, or an .npz with train_x, train_y, …"),
    "pool.name": Field("", "dataset name in tables; by default the file's"),
    "pool.backbone": Field("", "what made the features, for tables"),
    "data.path": Field("", "folder, .csv or .npz of images, in place of pool.path"),
    "data.name": Field("", "a name of the catalogue, or what to call your images"),
    "data.kind": Field("", "folder, csv, npz, tfds or hub; by default from path or catalogue"),
    "data.address": Field("", "of a TFDS or hub data set"),
    "data.splits.train": Field("train", "the data set's split that is the pool"),
    "data.splits.test": Field("test", "the one to measure on; empty: there is none"),
    "data.image": Field("image", "feature or column of a TFDS or hub data set"),
    "data.label": Field("label", "likewise"),
    "data.revision": Field("", "of a hub data set"),
    "data.data_dir": Field("", "where TFDS data and data sets downloaded by hand are"),
    "data.white": Field(0, "16-bit grey that is white, 4095 for 12-bit data; 0: 65535"),
    "data.test_fraction": Field(0.0, "held out where there is no test split"),
    "data.cache": Field("", "folder for decoded images, features and prefix tokens; else memory"),
    "model.name": Field("facebook/dinov2-small", "backbone of the images: hub id or folder"),
    "model.revision": Field("", "of a hub model"),
    "model.image_size": Field(0, "pixels; 0: the preprocessor's"),
    "model.dtype": Field("float32", "of the computation; or bfloat16"),
    "learner": Field("frozen", "frozen: a probe on features; lora: adapters too", several=True),
    "strategies": Field("random,margins,dropquery", "query strategies", several=True),
    "inits": Field("default", "how round 1 is chosen; default: each strategy's own", several=True),
    "seeds": Field((1, 10, 100, 1000, 10000), "a list, or a count n for 1 … n", several=True),
    "rounds": Field(20, "how many rounds, at most"),
    "start": Field(1, "labels per class in round 1"),
    "step": Field(1, "labels per class in each later round"),
    "schedule": Field("linear", "linear, or doubling: 2^(t-1) times as many in round t"),
    "probe.kind": Field("linear", "linear, or residual: a bottleneck MLP before the batch norm"),
    "probe.lr": Field(1e-2, "AdamW's learning rate; several ride one compiled axis", several=True),
    "probe.weight_decay": Field(1e-2, "decoupled weight decay; likewise", several=True),
    "probe.dropout": Field(0.75, "dropout rate; each is a group of its own", several=True),
    "probe.max_epochs": Field(400, "epochs, at most"),
    "probe.batch_size": Field(4096, "rows a step"),
    "probe.patience": Field(20, "epochs without improvement before stopping"),
    "probe.min_delta": Field(1e-3, "the least drop of the training loss that counts"),
    "ssl": Field(False, "train on the whole pool, with labels propagated on its kNN graph"),
    "propagation.neighbours": Field(500, "K of the kNN graph, capped at the pool's size less one"),
    "propagation.alpha": Field(0.9, "weight of the given labels against the neighbours'"),
    "propagation.gamma": Field(1.0, "exponent of the affinity (1 + cosine)/2"),
    "propagation.iterations": Field(100, "propagation steps, at most"),
    **{
        f"lora.{name}": Field(
            ",".join(PealSpec.targets) if name == "targets" else getattr(PealSpec, name),
            text,
            several=name in ("targets", "lr", "weight_decay"),
        )
        for name, text in _LORA_HELP.items()
    },
    "execution.mode": Field("auto", "map, vmap, scan (all rounds in one program) or auto"),
    "execution.chunk": Field(0, "runs vmapped at once; 0: all"),
    "execution.devices": Field(0, "devices to use; 0: all (on CPU one a core)"),
    "execution.shard_pool": Field(
        False, "share the pool's rows out over the devices, not the runs"
    ),
    "execution.checkpoint_seconds": Field(30.0, "at most this long between checkpoints"),
    "execution.checkpoints_kept": Field(2, "how many checkpoints of a group are kept"),
    "execution.group": Field(-1, "run only this group of the grid, into workdir/group-N; -1: all"),
    "execution.export_adapters": Field(
        "", "write every round's adapters for PEFT, named for transformers4 or transformers5"
    ),
    "execution.distributed": Field(False, "join the other processes of a multi-host run"),
}


def make_config(fields: Mapping[str, Field]) -> ConfigDict:
    """A config of these fields' defaults, nested at the dots."""
    config = ConfigDict()
    for path, field in fields.items():
        *parents, key = path.split(".")
        node = config
        for parent in parents:
            if parent not in node:
                node[parent] = ConfigDict()
            node = node[parent]
        default = FieldReference(field.default, field_type=object)
        node[key] = default if field.several else field.default
    return config.lock()  # so that a misspelt key is an error, not one more key


def sweep_config() -> ConfigDict:
    """The defaults of a sweep."""
    return make_config(SWEEP_FIELDS)


def names_images(config: ConfigDict) -> bool:
    """Whether a sweep's config asks for images rather than a pool of features."""
    return bool(config.data.path or config.data.name or config.data.address)


def shipped_configs() -> dict[str, Path]:
    """The configs that come with jal, by name."""
    folder = next((folder for folder in _CONFIG_FOLDERS if folder.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.py"))}


def find_config(reference: str) -> str:
    """Resolves `--config`: a file, or the name of a shipped config; `:argument` is kept.

    Raises:
      JalError: when there is no such file or name.
    """
    name, colon, argument = reference.partition(":")
    shipped = shipped_configs()
    if not Path(name).is_file():
        if name not in shipped:
            raise JalError(
                f"there is no config {name!r}; give a file, or one of {', '.join(shipped)}."
            )
        name = str(shipped[name])
    return f"{name}{colon}{argument}"


def key_paths(config: ConfigDict, prefix: str = "") -> list[str]:
    """Every key of a config, dotted."""
    paths = []
    for key in config:
        value, path = config[key], f"{prefix}{key}"
        paths += key_paths(value, f"{path}.") if isinstance(value, ConfigDict) else [path]
    return paths


def _reason(error: BaseException) -> str:
    """What a config's own code raised, in one line, whatever has been wrapped around it."""
    # ml_collections raises an error of the same type, whose text ends with the traceback's last line.
    lines = str(error).strip().splitlines()
    return re.sub(r"^[\w.]*Error: ", "", lines[-1].strip()) if lines else type(error).__name__


def load_config(reference: str, overrides: list[str]) -> ConfigDict:
    """The config of a file with `--config.key=value` overrides applied.

    Args:
      reference: a file or a shipped name, optionally with `:argument`.
      overrides: command-line words, each `--config.key=value` (or the key and value apart).

    Raises:
      JalError: on an unknown file, key or option, or a value of the wrong type.
    """
    from absl import flags
    from ml_collections import config_flags

    path = find_config(reference)
    words = iter(overrides)
    keys = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key.startswith("--config."):
            raise JalError(f"unknown argument {word!r}; see --help.")
        if not equals:
            value = next(words, "")
        keys[key.removeprefix("--config.")] = value

    def read(words: list[str]) -> ConfigDict:
        holder, argv = flags.FlagValues(), ["jal", f"--config={path}", *words]
        config_flags.DEFINE_config_file("config", flag_values=holder, sys_argv=argv)
        holder(argv)
        return holder.config

    try:
        known = key_paths(read([]))
    except Exception as error:
        raise JalError(f"config {reference!r} does not load: {_reason(error)}") from error
    for key in keys:
        if key not in known:
            raise JalError(f"unknown config key {key!r}; choose from {', '.join(known)}.")
    try:
        return read([f"--config.{key}={value}" for key, value in keys.items()])
    except (flags.Error, ValueError, TypeError) as error:
        raise JalError(f"bad value in the config: {' '.join(str(error).split())}") from error


def as_tuple(value: Any) -> tuple[Any, ...]:
    """One value or several as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
