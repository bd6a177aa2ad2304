"""jal: active learning on vision foundation models, in JAX.

import jal

pool = jal.from_arrays(train_x, train_y, test_x, test_y)
result = jal.sweep(pool, "random, margins, dropquery", seeds=5)
result.metrics.groupby(["strategy", "labelled"])["accuracy"].mean()
jal.plot_curves(result).savefig("curves.png")
"""

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jal.errors import JalError
    from jal.experiment import make_experiment
    from jal.pool import digits, from_arrays, from_npz, load
    from jal.report import make_report, plot_curves
    from jal.spec import Choice, ExperimentSpec, ProbeSpec, make_batches
    from jal.sweep import SweepResult, run_sweep, sweep
    from jal.types import Pool

try:
    __version__ = version("jal")
except PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.0.0"

# Names are resolved on first use, so that `import jal` and `jal --help` stay quick.
_HOMES = {
    "JalError": "jal.errors",
    "make_experiment": "jal.experiment",
    "digits": "jal.pool",
    "from_arrays": "jal.pool",
    "from_npz": "jal.pool",
    "load": "jal.pool",
    "make_report": "jal.report",
    "plot_curves": "jal.report",
    "Choice": "jal.spec",
    "ExperimentSpec": "jal.spec",
    "ProbeSpec": "jal.spec",
    "make_batches": "jal.spec",
    "SweepResult": "jal.sweep",
    "run_sweep": "jal.sweep",
    "sweep": "jal.sweep",
    "Pool": "jal.types",
}

__all__ = [
    "Choice",
    "ExperimentSpec",
    "JalError",
    "Pool",
    "ProbeSpec",
    "SweepResult",
    "digits",
    "from_arrays",
    "from_npz",
    "load",
    "make_batches",
    "make_experiment",
    "make_report",
    "plot_curves",
    "run_sweep",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jal' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    setattr(sys.modules[__name__], name, value)
    return value


class _Package(ModuleType):
    """Keeps `jal.sweep` the function: importing the submodule of that name would bind it over it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _HOMES.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
