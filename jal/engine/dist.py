"""Several processes: how they meet, and how arrays and decisions pass between them."""

from __future__ import annotations

import math
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from jal.errors import JalError

_COORDINATOR = "JAX_COORDINATOR_ADDRESS"
_COUNT = "JAX_NUM_PROCESSES"
_INDEX = "JAX_PROCESS_ID"


def initialise() -> None:
    """Joins the processes of a multi-host run; must come before jax's first computation.

    On TPU pods and under SLURM jax finds the others itself. Elsewhere the environment names them:
    JAX_COORDINATOR_ADDRESS (host:port), JAX_NUM_PROCESSES and JAX_PROCESS_ID.

    Raises:
      JalError: when the processes do not find each other.
    """
    if jax.distributed.is_initialized():
        return
    given = [name for name in (_COORDINATOR, _COUNT, _INDEX) if name in os.environ]
    if given and len(given) < 3:
        missing = {_COORDINATOR, _COUNT, _INDEX} - set(given)
        raise JalError(f"execution.distributed: {', '.join(sorted(missing))} is not set.")
    try:
        if given:
            jax.distributed.initialize(
                os.environ[_COORDINATOR], int(os.environ[_COUNT]), int(os.environ[_INDEX])
            )
        else:
            jax.distributed.initialize()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise JalError(
            f"execution.distributed: the processes did not meet ({reason}); off TPU and SLURM, set "
            f"{_COORDINATOR}, {_COUNT} and {_INDEX}."
        ) from error


def is_first() -> bool:
    """Whether this process is the one that writes text."""
    return jax.process_index() == 0


_ALIGNMENT = 64  # bytes; an array that begins at such an address is taken by CPU devices as it lies


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An empty array that CPU devices read where it is: all of them share this one copy."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)


def place(array: Any, sharding: NamedSharding) -> jax.Array:
    """A global array from the same host array on every process.

    On CPU devices one that all of them hold is there once, whatever their number.
    """
    if jax.process_count() == 1:
        shared = isinstance(array, np.ndarray) and sharding.is_fully_replicated
        if shared and _on_cpu(sharding) and array.ctypes.data % _ALIGNMENT:
            copy = aligned(array.shape, array.dtype)
            copy[...] = array
            array = copy
        return jax.device_put(array, sharding)
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def _on_cpu(sharding: NamedSharding) -> bool:
    return bool(sharding.mesh.devices.flat[0].platform == "cpu")


def fetch(array: jax.Array) -> np.ndarray:
    """The whole of a global array as numpy, on every process; a typed key becomes its key data."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def agreed(decision: bool) -> bool:
    """The first process's decision, on every process."""
    if jax.process_count() == 1:
        return decision
    from jax.experimental import multihost_utils

    return bool(multihost_utils.broadcast_one_to_all(np.int32(decision)))


def any_process(flag: bool) -> bool:
    """Whether the flag is set on any process; the same answer on all."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.int32(flag))))


def wait_for_all(name: str) -> None:
    """Returns once every process is here."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)
