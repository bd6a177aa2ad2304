"""Fills a parameter tree from a checkpoint's tensors, once every key and shape is known to fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jal.backbones import vit
from jal.backbones.adapters import Params
from jal.errors import JalError
from jal.weights.families import Family
from jal.weights.keys import Layout, Shape


def assemble(
    family: Family,
    shapes: dict[str, Shape],
    tensors: Iterable[tuple[str, np.ndarray]],
    folder: Path,
) -> Params:
    """Fills our parameter tree (f32 numpy) from the checkpoint's tensors.

    Raises:
      JalError: names every missing, unexpected and misshapen key at once.
    """
    found = {hub_name(family, name): shape for name, shape in shapes.items()}
    _check(family, expected(family), found, folder)
    abstract = jax.eval_shape(partial(vit.init, spec=family.spec), jax.random.key(0))
    params = jax.tree.map(lambda leaf: np.empty(leaf.shape, np.float32), abstract)
    slots = dict(_slots(family, params))
    for name, tensor in tensors:
        if slot := slots.get(hub_name(family, name)):
            slot.target[...] = slot.layout.convert(tensor.astype(np.float32))
    return params


def expected(family: Family) -> dict[str, Shape]:
    """The name and shape of every tensor a checkpoint of this family and size must have."""
    abstract = jax.eval_shape(partial(vit.init, spec=family.spec), jax.random.key(0))
    # Views of a single number: all the shapes, no memory.
    views = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), abstract)
    return {name: slot.shape for name, slot in _slots(family, views)}


def hub_name(family: Family, name: str) -> str:
    """A tensor's name as the hub's files spell it."""
    for pattern, replacement in family.synonyms:
        name = re.sub(pattern, replacement, name)
    return name


class _Slot(NamedTuple):
    """Where a checkpoint tensor goes: a writable view of our array, and how it is stored there."""

    target: np.ndarray
    layout: Layout

    @property
    def shape(self) -> Shape:
        return self.layout.shape(self.target.shape)


def _slots(family: Family, params: Params) -> Iterable[tuple[str, _Slot]]:
    for key in family.table:
        array: Any = params
        for part in key.ours.split("."):
            array = array[part]
        scanned = key.ours.startswith("blocks.")
        for i, one in enumerate(array if scanned else [array]):
            views = np.split(one, len(key.theirs), axis=-1)
            for name, view in zip(key.theirs, views, strict=True):
                yield (
                    _full_name(family.prefix, name.replace("{i}", str(i))),
                    _Slot(view, key.layout),
                )


def _full_name(prefix: str, name: str) -> str:
    return name[1:] if name.startswith("/") else prefix + name


def _check(family: Family, wanted: dict[str, Shape], found: dict[str, Shape], folder: Path) -> None:
    ignored = tuple(_full_name(family.prefix, name) for name in family.ignored)
    missing = sorted(name for name in wanted if name not in found)
    unexpected = sorted(
        name for name in found if name not in wanted and not name.startswith(ignored)
    )
    misshapen = [
        f"{name} is {list(found[name])}, not {list(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    if missing or unexpected or misshapen:
        parts = [
            f"{kind}: {', '.join(names)}"
            for kind, names in (
                ("missing", missing),
                ("unexpected", unexpected),
                ("misshapen", misshapen),
            )
            if names
        ]
        raise JalError(f"The weights in {folder} do not fit its config.json; {'; '.join(parts)}.")
