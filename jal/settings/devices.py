"""What must be said to jax before its first computation: devices and compilation cache."""

from __future__ import annotations

import os
import re
import warnings
from functools import cache
from pathlib import Path

_keeps_programs = False


def _cpu_devices(asked: int) -> int:
    """How many virtual CPU devices to make: as asked here or in the environment, else one a core.

    Never one: a program for a single device is compiled otherwise, and its last bits would not be
    those of the same run on several.
    """
    forced = re.search(
        r"xla_force_host_platform_device_count=(\d+)", os.environ.get("XLA_FLAGS", "")
    )
    wished = forced.group(1) if forced else os.environ.get("JAX_NUM_CPU_DEVICES", asked)
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return max(2, int(wished) or cores or 1)


def configure_jax(devices: int = 0) -> None:
    """Virtual CPU devices and the persistent compilation cache.

    Must run before jax's first computation.
    """
    import jax

    jax.config.update("jax_num_cpu_devices", _cpu_devices(devices))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(home / "jal" / "xla"))
    global _keeps_programs
    _keeps_programs = True
    # The cache only saves time: where it cannot be read or written, programs are compiled anew.
    warnings.filterwarnings(
        "ignore", message="Error (reading|writing) persistent compilation cache"
    )
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def faster_dtype() -> str:
    """What this machine computes a backbone in: bfloat16, or float32 on a CPU that only imitates that.

    Such a CPU takes 1.7 times as long in bfloat16.
    """
    import jax

    if jax.default_backend() != "cpu":
        return "bfloat16"
    told = Path("/proc/cpuinfo")
    return "bfloat16" if told.exists() and " amx_bf16" in told.read_text() else "float32"


def programs_folder() -> Path | None:
    """Where compiled programs are kept, inside jax's cache; None where they are not.

    Commands keep them, where a single process computes. A process that somebody else's code runs in has
    settings of its own.
    """
    import jax

    home = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    if not _keeps_programs or not home or "://" in str(home) or not hasattr(os, "getuid"):
        return None
    if jax.process_count() > 1:  # each has a part of the program for devices of all
        return None
    return _made(Path(home) / "jal-programs")


@cache
def _made(folder: Path) -> Path | None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder
