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
    from jal import testing
    from jal.core.spec import Choice, ExperimentSpec, ProbeSpec, make_batches
    from jal.core.types import Learner, Pool, Probe, RunKeys, Strategy, Trained, View
    from jal.embedding.api import embed
    from jal.errors import JalError
    from jal.experiment import make_experiment
    from jal.labelling.classifier import Classifier, load_classifier
    from jal.labelling.session import Session
    from jal.learners.own import linear_head
    from jal.pools.arrays import LoadedPool, from_arrays
    from jal.pools.features import digits, from_npz, load_pool
    from jal.pools.images import from_images
    from jal.report import make_report, plot_curves
    from jal.selection import register_init, register_strategy
    from jal.store.manifest import Store
    from jal.sweeps.api import SweepResult, run_sweep, sweep
    from jal.sweeps.events import RoundFinished, SweepFinished
    from jal.weights.peft import load_adapters

# Names are resolved on first use, so that `import jal` and `jal --help` stay quick.
_HOMES = {
    # to run
    "sweep": "jal.sweeps.api",
    "run_sweep": "jal.sweeps.api",
    "SweepResult": "jal.sweeps.api",
    "RoundFinished": "jal.sweeps.events",
    "SweepFinished": "jal.sweeps.events",
    "embed": "jal.embedding.api",
    "make_report": "jal.report",
    "plot_curves": "jal.report",
    # to label
    "Session": "jal.labelling.session",
    "Classifier": "jal.labelling.classifier",
    "load_classifier": "jal.labelling.classifier",
    # pools and what they are made of
    "from_arrays": "jal.pools.arrays",
    "from_npz": "jal.pools.features",
    "from_images": "jal.pools.images",
    "load_pool": "jal.pools.features",
    "digits": "jal.pools.features",
    "LoadedPool": "jal.pools.arrays",
    "Store": "jal.store.manifest",
    "load_adapters": "jal.weights.peft",
    # an experiment as a pure function
    "make_experiment": "jal.experiment",
    "make_batches": "jal.core.spec",
    "Choice": "jal.core.spec",
    "ExperimentSpec": "jal.core.spec",
    "ProbeSpec": "jal.core.spec",
    "RunKeys": "jal.core.types",
    # to write one's own strategy or learner
    "Strategy": "jal.core.types",
    "View": "jal.core.types",
    "testing": "jal",
    "Learner": "jal.core.types",
    "Trained": "jal.core.types",
    "Probe": "jal.core.types",
    "linear_head": "jal.learners.own",
    "register_strategy": "jal.selection",
    "register_init": "jal.selection",
    "Pool": "jal.core.types",
    "JalError": "jal.errors",
}

__all__ = [
    "Choice",
    "Classifier",
    "ExperimentSpec",
    "JalError",
    "Learner",
    "LoadedPool",
    "Pool",
    "Probe",
    "ProbeSpec",
    "RoundFinished",
    "RunKeys",
    "Session",
    "Store",
    "Strategy",
    "SweepFinished",
    "SweepResult",
    "Trained",
    "View",
    "digits",
    "embed",
    "from_arrays",
    "from_images",
    "from_npz",
    "linear_head",
    "load_adapters",
    "load_classifier",
    "load_pool",
    "make_batches",
    "make_experiment",
    "make_report",
    "plot_curves",
    "register_init",
    "register_strategy",
    "run_sweep",
    "sweep",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from jal.settings.versions import DISTRIBUTION, versions

        return versions(())[DISTRIBUTION]
    if name not in _HOMES:
        raise AttributeError(f"module 'jal' has no attribute {name!r}")
    home = _HOMES[name]
    if home == __name__:  # a submodule, which importing binds here
        return importlib.import_module(f"{home}.{name}")
    value = getattr(importlib.import_module(home), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
