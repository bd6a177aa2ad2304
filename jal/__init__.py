"""jal: active learning on vision foundation models, in JAX.

import jal

pool = jal.from_arrays(train_x, train_y, test_x, test_y)
result = jal.sweep(pool, "random, margins, dropquery", seeds=5)
result.metrics.groupby(["strategy", "labelled"])["accuracy"].mean()
jal.plot_curves(result).savefig("curves.png")
"""

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jal.core.spec import Choice, ExperimentSpec, ProbeSpec, make_batches
    from jal.core.types import Pool
    from jal.errors import JalError
    from jal.experiment import make_experiment
    from jal.pools.features import digits, from_arrays, from_npz, load_pool
    from jal.report import make_report, plot_curves
    from jal.sweeps.api import SweepResult, run_sweep, sweep

# Names are resolved on first use, so that `import jal` and `jal --help` stay quick.
_HOMES = {
    "JalError": "jal.errors",
    "make_experiment": "jal.experiment",
    "digits": "jal.pools.features",
    "from_arrays": "jal.pools.features",
    "from_npz": "jal.pools.features",
    "load_pool": "jal.pools.features",
    "make_report": "jal.report",
    "plot_curves": "jal.report",
    "Choice": "jal.core.spec",
    "ExperimentSpec": "jal.core.spec",
    "ProbeSpec": "jal.core.spec",
    "make_batches": "jal.core.spec",
    "SweepResult": "jal.sweeps.api",
    "run_sweep": "jal.sweeps.api",
    "sweep": "jal.sweeps.api",
    "Pool": "jal.core.types",
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
    "load_pool",
    "make_batches",
    "make_experiment",
    "make_report",
    "plot_curves",
    "run_sweep",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from jal.settings.versions import DISTRIBUTION, versions

        return versions(())[DISTRIBUTION]
    if name not in _HOMES:
        raise AttributeError(f"module 'jal' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
