"""What tells a compiled program from all others: what it is made of, code, versions, settings and machine."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jal.core.spec import Choice
from jal.core.types import Learner
from jal.learners.frozen import recipe_of
from jal.schema import fingerprint
from jal.selection.builtin import BUILT_IN

# What is traced, below the package: folders and files.
_CODE = (
    *("core", "ops", "learners", "selection", "engine"),
    *("experiment.py", "labelling/programs.py"),
)


def text_of(static: Any) -> str | None:
    """What tells a program from all others of this code, or None where a part is not jal's own.

    Args:
      static: what the program was made of: specs, choices, the frozen learner, numbers, tuples of these.
    """
    if isinstance(static, Learner):
        recipe = recipe_of(static)
        return None if recipe is None else text_of(("frozen", recipe))
    if isinstance(static, Choice) and not any(static.name in known for known in BUILT_IN.values()):
        return None
    if is_dataclass(static) and not isinstance(static, type):
        parts = [type(static).__name__, *(getattr(static, each.name) for each in fields(static))]
    elif isinstance(static, tuple):
        parts = list(static)
    elif static is None or isinstance(static, str | int | float | bool):
        return repr(static)
    else:
        return None
    texts = [text_of(part) for part in parts]
    return None if None in texts else f"({', '.join(map(str, texts))})"


@cache
def surroundings() -> str:
    """All else that a compiled program depends on: code, versions, settings, devices, processor."""
    package = Path(__file__).parents[1]
    files = sorted(
        path
        for name in _CODE
        for path in ([package / name] if name.endswith(".py") else (package / name).rglob("*.py"))
    )
    settings = {
        name: value
        for name, value in sorted(jax.config.values.items())
        if "cache" not in name and "log" not in name
    }
    device = jax.devices()[0]
    return fingerprint(
        [
            *(path.read_bytes() for path in files),
            *(jax.__version__, jax.lib.__version__, np.__version__, platform.python_version()),
            *(device.client.platform_version, device.device_kind, len(jax.devices())),
            *(settings, os.environ.get("XLA_FLAGS", ""), _processor()),
        ]
    )


def _processor() -> str:
    """What the processor is and can, as far as the system tells."""
    with suppress(OSError):
        told = Path("/proc/cpuinfo").read_text().splitlines()
        names = ("model name", "flags", "Features", "CPU part")
        return "\n".join(sorted({line for line in told if line.startswith(names)}))
    return f"{platform.machine()} {platform.processor()}"
