"""Where a leading axis of runs lies: mapped or vmapped, over devices and processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jal.core.types import Pool
from jal.engine import dist
from jal.engine.config import MODES
from jal.errors import JalError
from jal.ops.spread import ROWS

AXIS = "runs"
_ROOM = 16  # runs that a roomy layout has room for, and how that grows
_GROWTH = 4
_ROOMY_DEVICES = 8


@dataclass(frozen=True)
class Layout:
    """How a leading axis of runs is laid out.

    Attributes:
      runs: how many runs are real.
      mode: "map" (one run after another on each device) or "vmap" (all of a chunk at once).
      chunk: runs vmapped at once; 1 in map mode.
      dealt: over how many of the devices the runs are dealt; the others idle.
      mesh: the devices, on one axis: that of the runs, or that of the pool's rows.
      shards_pool: the devices share the rows of the pool out, and all work on every run; otherwise
        each holds the pool, and has runs of its own.
      roomy: there is room for more runs than these, so that most numbers of runs share their programs.
    """

    runs: int
    mode: str
    chunk: int
    dealt: int
    mesh: Mesh
    shards_pool: bool = False
    roomy: bool = False

    @property
    def static(self) -> tuple[Any, ...]:
        """What of it is part of a compiled program."""
        axes = tuple(zip(self.mesh.axis_names, self.mesh.devices.shape, strict=True))
        ids = tuple(int(device.id) for device in self.mesh.devices.flat)
        return self.mode, self.chunk, self.local, axes, ids, self.shards_pool

    @property
    def local(self) -> int:
        """Rows a device holds, padding included.

        At least two chunks: a loop over a single row is simplified by the compiler, which could change
        the last bits, and a run must give the same picks alone as beside others.
        """
        share = -(-self.runs // self.dealt)
        if self.roomy:
            room = _ROOM
            while room < self.runs:
                room *= _GROWTH
            share = max(share, -(-room // self.mesh.size))
        chunks = -(-share // self.chunk)
        return (max(2, chunks) if self.mode == "map" else chunks) * self.chunk

    @property
    def padded(self) -> int:
        """Rows in all, padding included."""
        return self.local * (1 if self.shards_pool else self.mesh.size)

    def row_of_run(self) -> np.ndarray:
        """i64[runs]: the padded row that holds each run; runs are dealt evenly to the devices."""
        run = np.arange(self.runs)
        return (run % self.dealt) * self.local + run // self.dealt

    def active(self) -> np.ndarray:
        """i32[devices]: how many real runs each device holds, at the head of its rows."""
        devices = 1 if self.shards_pool else self.mesh.size
        return np.bincount(np.arange(self.runs) % self.dealt, minlength=devices).astype(np.int32)

    def spread(self, tree: Any) -> Any:
        """Moves arrays with a leading axis of `runs` onto the devices, padding rows repeating run 0."""
        source = np.zeros(self.padded, np.int64)
        source[self.row_of_run()] = np.arange(self.runs)
        sharding = NamedSharding(self.mesh, P() if self.shards_pool else P(AXIS))
        return jax.tree.map(lambda leaf: dist.place(leaf[source], sharding), tree)

    def share(self, tree: Any) -> Any:
        """Moves what all runs read onto every device, once each."""
        sharding = NamedSharding(self.mesh, P())
        return jax.tree.map(lambda leaf: dist.place(leaf, sharding), tree)

    def share_pool(self, pool: Pool) -> Pool:
        """The pool on the devices: whole on each, or its features' rows shared out.

        Rows are shared out evenly, with zeros after the last: programs made here cut them off again.
        """
        if not self.shards_pool:
            return self.share(pool)
        features, devices = np.asarray(pool.features), self.mesh.size
        local = -(-len(features) // devices)

        def rows_of_device(index: Any) -> np.ndarray:
            rows = features[index]
            return np.pad(rows, ((0, local - len(rows)), (0, 0)))

        padded = (local * devices, features.shape[1])
        spread = jax.make_array_from_callback(
            padded, NamedSharding(self.mesh, P(ROWS)), rows_of_device
        )
        return replace(self.share(replace(pool, features=jnp.zeros(0))), features=spread)

    def collect(self, tree: Any) -> Any:
        """Numpy arrays with a leading axis of `runs`, in the runs' order; keys become key data."""
        rows = self.row_of_run()
        return jax.tree.map(lambda leaf: dist.fetch(leaf)[rows], tree)

    def restore(self, leaves: Iterable[np.ndarray], like: Any) -> Any:
        """A collected tree back on the devices.

        Args:
          leaves: as `jax.tree.leaves(layout.collect(tree))` gave them, on this or another layout.
          like: a tree of that structure, of arrays or their shapes.
        """
        abstract, structure = jax.tree.flatten(like)
        placed = [
            jax.random.wrap_key_data(self.spread(leaf))
            if jnp.issubdtype(expected.dtype, jax.dtypes.prng_key)
            else self.spread(leaf)
            for leaf, expected in zip(leaves, abstract, strict=True)
        ]
        return jax.tree.unflatten(structure, placed)

    def collected_shapes(self, like: Any) -> tuple[jax.ShapeDtypeStruct, ...]:
        """What `collect` would give for a tree of these arrays or shapes, leaf by leaf."""

        def shape(leaf: Any) -> jax.ShapeDtypeStruct:
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                leaf = jax.eval_shape(jax.random.key_data, leaf)
            return jax.ShapeDtypeStruct((self.runs, *leaf.shape[1:]), leaf.dtype)

        return tuple(map(shape, jax.tree.leaves(like)))


def make_layout(
    runs: int,
    mode: str = "auto",
    chunk: int = 0,
    devices: int = 0,
    *,
    shard_pool: bool = False,
    roomy: bool = False,
) -> Layout:
    """Lays `runs` runs out over the devices (of all processes).

    Args:
      runs: how many.
      mode: "auto" is "map" on CPU, where it is faster, and "vmap" elsewhere.
      chunk: with "vmap", how many runs at once (0: all that a device holds).
      devices: how many devices to use (0: all, but no more than there are runs).
      shard_pool: share out the pool's rows, not the runs; the mode is then "vmap".
      roomy: in map mode, make room for more runs: a run that is not there costs its memory but no time.

    Raises:
      JalError: on an unknown mode, more devices than there are, or map mode with a shared-out pool.
    """
    if mode not in MODES:
        raise JalError(f"unknown mode {mode!r}; choose from {', '.join(MODES)}, scan.")
    if chunk < 0:
        raise JalError(f"execution.chunk is {chunk}; it must be at least 0 (all at once).")
    available = jax.devices()
    if not 0 <= devices <= len(available):
        raise JalError(f"devices is {devices}, but there are {len(available)}; 0 takes all.")
    if devices and jax.process_count() > 1:
        raise JalError("devices must be 0 (all) when several processes run together.")
    if shard_pool:
        if mode == "map":
            raise JalError("execution.shard_pool needs mode vmap, scan or auto, not map.")
        mesh = _mesh(available[: devices or len(available)], ROWS)
        return Layout(runs, "vmap", min(chunk or runs, runs), 1, mesh, shards_pool=True)
    dealt = min(devices or len(available), runs)
    if mode == "auto":
        mode = "map" if available[0].platform == "cpu" else "vmap"
    share = -(-runs // dealt)
    chunk = 1 if mode == "map" else min(chunk or share, share)
    roomy = roomy and mode == "map"
    size = dealt
    if mode == "map":
        # A program for one device is compiled otherwise than one for several, which changes the last
        # bits: a second device idles rather than not be there.
        size = max(dealt, min(2, len(available)))
    if roomy:
        within = devices or len(available)
        size = max(size, min(within, _ROOMY_DEVICES), min(within, 1 << (dealt - 1).bit_length()))
    if jax.process_count() > 1:
        size = len(available)  # no process may sit out
    return Layout(runs, mode, chunk, dealt, _mesh(available[:size], AXIS), roomy=roomy)


def _mesh(devices: list[jax.Device], axis: str) -> Mesh:
    return jax.make_mesh(
        (len(devices),), (axis,), devices=devices, axis_types=(jax.sharding.AxisType.Auto,)
    )
