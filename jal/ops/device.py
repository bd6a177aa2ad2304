"""What is known, while a program is traced, of the device that it is for, and of the runs beside it."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from jal.core.types import Array

_SHARE = 16  # of a device's memory, what one run may keep beside the pool: several run at once
_GIB = 2**30
_SMALLEST = 16 * _GIB  # taken where a device does not tell
_MEMORY = {"TPU v4": 32, "TPU v5 lite": 16, "TPU v5": 95, "TPU v6 lite": 32}


def _described() -> Any:
    """The kind of device of the mesh in whose context this is traced; None without one."""
    return getattr(jax.sharding.get_abstract_mesh(), "abstract_device", None)


def on_cpu() -> bool:
    """Whether the program is for a CPU; also where it is only compiled here, for another device."""
    device = _described()
    return (device.device_kind if device else jax.default_backend()) == "cpu"


def a_step(cpu: int, accelerator: int) -> int:
    """Rows a step: few stay in a CPU's cache, many keep an accelerator busy."""
    return cpu if on_cpu() else accelerator


def memory() -> int:
    """Bytes of one device's memory; of the computer's on a CPU."""
    if on_cpu():
        return int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    kind = getattr(_described(), "device_kind", "")
    if kind in _MEMORY:
        return _MEMORY[kind] * _GIB
    stats = jax.local_devices()[0].memory_stats() or {}
    return int(stats.get("bytes_limit", _SMALLEST))


def may_hold(size: int) -> bool:
    """Whether one run may keep that many bytes on the device beside the pool."""
    return size <= memory() // _SHARE


@custom_vmap
def most(count: Array) -> Array:
    """The largest of the counts i32[] of all runs that are vmapped together, the same for all of them.

    A loop of so many steps, or a branch on it, stays one under `vmap`: with a bound of each run's own
    every step would select over all that the loop carries, and both branches would be paid.
    """
    return count


@most.def_vmap
def _(_: int, batched: list[bool], count: Array) -> tuple[Array, bool]:
    return (most(count.max()) if batched[0] else count), False


def any_of_all(flag: Array) -> Array:
    """bool[]: whether the flag is set in any of the runs that are vmapped together."""
    return most(flag.astype(jnp.int32)) > 0
