"""What jax must be like while jal computes, whatever the process was told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from jal.errors import JalError

# Picks are promised to depend on the seed alone, so what random bits are is not the process's affair;
# nor are float64, promotion rules made for other code, and checks that take NaN for a fault where it
# says that there is no value (the unknown ratio of round 1).
_PINNED: dict[str, Any] = {
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_enable_x64": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_default_matmul_precision": None,
}


@contextmanager
def pinned() -> Iterator[None]:
    """The settings of jax that results depend on, as jal means them; back to the process's after."""
    import jax

    before = {name: getattr(jax.config, name) for name in _PINNED if hasattr(jax.config, name)}
    with ExitStack() as stack:
        for name, value in before.items():
            if value != _PINNED[name]:
                stack.callback(jax.config.update, name, value)
                jax.config.update(name, _PINNED[name])
        yield


def check_devices() -> None:
    """Raises JalError when jax finds no device, as with JAX_PLATFORMS=cuda where there is no GPU."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # jax asserts where every platform failed
        platforms = os.environ.get("JAX_PLATFORMS")
        asked = f"JAX_PLATFORMS is {platforms!r}" if platforms else "JAX_PLATFORMS is not set"
        reason = " ".join(str(error).split()) or "no platform starts"
        raise JalError(
            f"jax finds no device ({asked}: {reason[:160]}); set JAX_PLATFORMS=cpu, or install jax "
            "for the device that is there."
        ) from error
