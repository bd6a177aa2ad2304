"""Fills a parameter tree from a checkpoint's tensors, once every key and shape is known to fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from jal.backbones.spec import ViTSpec
from jal.errors import JalError
from jal.weights.families import Family
from jal.weights.files import FLOATS, Stored, read_tensors
from jal.weights.keys import Layout, Shape

if TYPE_CHECKING:
    from jal.backbones.adapters import Params


def assemble(family: Family, headers: Mapping[str, Stored], folder: Path) -> Params:
    """Fills our parameter tree (f32 numpy) from the checkpoint's tensors.

    Raises:
      JalError: names every missing, unexpected and misshapen key at once; or the first tensor that
        holds values that are not finite.
    """
    found: dict[str, Stored] = {}
    for name, stored in headers.items():
        if found.setdefault(hub_name(family, name), stored) is not stored:
            raise JalError(
                f"{stored.file} has {hub_name(family, name)} twice, the other as {name}."
            )
    _check(family, expected(family), found, folder)
    params = jax.tree.map(lambda leaf: np.empty(leaf.shape, np.float32), _abstract(family.spec))
    slots = dict(_slots(family, params))
    wanted = {name: stored for name, stored in headers.items() if hub_name(family, name) in slots}
    for name, tensor in read_tensors(wanted):
        slot = slots[hub_name(family, name)]
        with np.errstate(over="ignore"):  # what overflows is not finite
            slot.target[...] = slot.layout.convert(tensor.astype(np.float32))
        if not np.isfinite(slot.target).all():
            raise JalError(
                f"{wanted[name].file} is damaged: {name} has values that are not finite."
            )
    return params


def expected(family: Family) -> dict[str, Shape]:
    """The name and shape of every tensor a checkpoint of this family and size must have."""
    # Views of a single number: all the shapes, no memory.
    views = jax.tree.map(
        lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), _abstract(family.spec)
    )
    return {name: slot.shape for name, slot in _slots(family, views)}


@lru_cache(4)
def _abstract(spec: ViTSpec) -> Any:
    from jal.backbones import vit  # loads flax, which sweeps on stored features do without

    return jax.eval_shape(partial(vit.init, spec=spec), jax.random.key(0))


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


def _check(
    family: Family, wanted: Mapping[str, Shape], found: Mapping[str, Stored], folder: Path
) -> None:
    ignored = tuple(_full_name(family.prefix, name) for name in family.ignored)
    faults = {
        "missing": sorted(name for name in wanted if name not in found),
        "unexpected": sorted(
            name for name in found if name not in wanted and not name.startswith(ignored)
        ),
        "misshapen": [
            f"{name} is {list(found[name].shape)}, not {list(shape)}"
            for name, shape in wanted.items()
            if name in found and found[name].shape != shape
        ],
        f"not of {', '.join(FLOATS)}": [
            f"{name} is {found[name].dtype}"
            for name in wanted
            if name in found and found[name].dtype not in FLOATS
        ],
    }
    if any(faults.values()):
        parts = [f"{kind}: {', '.join(names)}" for kind, names in faults.items() if names]
        raise JalError(f"The weights in {folder} do not fit its config.json; {'; '.join(parts)}.")
