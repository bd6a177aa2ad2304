"""Trackers: callbacks that write every round for TensorBoard, Weights & Biases or MLflow, once each."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jal.errors import JalError
from jal.schema import TRACKING, write_atomically
from jal.settings.fields import as_tuple
from jal.settings.versions import DISTRIBUTION
from jal.sweeps.events import Callback, Event, SweepFinished
from jal.sweeps.tracked import OPENERS, Tracked

# The packages that each needs, as they are imported; its extra is named as it is.
NEEDS = {
    "tensorboard": ("tensorboardX",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "sqlalchemy", "alembic"),
}


def asked_trackers(value: Any) -> tuple[str, ...]:
    """The trackers that `execution.track` names.

    Raises:
      JalError: on an unknown one, or one whose packages are not installed.
    """
    words = (word.strip() for text in as_tuple(value) for word in str(text).split(","))
    names = tuple(dict.fromkeys(word for word in words if word))
    for name in names:
        if name not in NEEDS:
            raise JalError(f"unknown execution.track {name!r}; choose from {', '.join(NEEDS)}.")
        missing = [package for package in NEEDS[name] if not _is_installed(package)]
        if missing:
            raise JalError(
                f"execution.track={name} needs {' and '.join(missing)}; "
                f"pip install '{DISTRIBUTION}[{name}]' brings what it needs."
            )
    return names


def _is_installed(package: str) -> bool:
    if package in sys.modules:
        return sys.modules[package] is not None
    return find_spec(package) is not None


def make_trackers(
    names: Sequence[str], workdir: Path, settings: Mapping[str, Any]
) -> list[Callback]:
    """The callbacks that write to these trackers; how the sweep is executed is no setting of a run.

    Raises:
      JalError: when one cannot begin.
    """
    config = {key: value for key, value in settings.items() if not key.startswith("execution.")}
    made = []
    for name in names:
        try:
            made.append(make_tracker(name, workdir, config))
        except Exception as error:  # each package has its own
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise JalError(f"execution.track={name} cannot begin: {reason}") from error
    return made


def make_tracker(name: str, workdir: Path, config: Mapping[str, Any]) -> Callback:
    """The callback that writes to a tracker.

    Args:
      name: of the tracker.
      workdir: what is written goes into a folder of it.
      config: the sweep's, flat; with the columns of a run, its hyper-parameters.
    """
    folder = workdir / TRACKING
    folder.mkdir(exist_ok=True)
    open_run = OPENERS[name](folder)
    notes = folder / f"{name}.json"
    # What was logged, by run: a round that is restored or computed again is not logged again.
    logged: dict[str, dict[str, Any]] = json.loads(notes.read_text()) if notes.exists() else {}
    tracked: dict[str, Tracked] = {}

    def track(event: Event) -> None:
        if isinstance(event, SweepFinished):
            for name in list(tracked):
                tracked.pop(name).close(event.complete)
            return
        for position, run in enumerate(event.runs):
            name = _name(event.group, run)
            known = logged.get(name, {"round": 0, "id": ""})
            if event.round <= known["round"]:
                continue
            if name not in tracked:
                tracked[name] = open_run(name, {**config, **run}, known["id"])
            values = {key: float(value[position]) for key, value in event.metrics.items()}
            values["seconds"] = event.seconds / len(event.runs)
            measured = {key: value for key, value in values.items() if not math.isnan(value)}
            tracked[name].log(measured, int(values["labelled"]))
            logged[name] = {"round": event.round, "id": tracked[name].ident}
            if event.round == event.rounds:
                tracked.pop(name).close(True)
        write_atomically(notes, json.dumps(logged, indent=1).encode())

    track.__name__ = name
    return track


def _name(group: int, run: Mapping[str, Any]) -> str:
    """A run's name, which is a folder's too: unlike all others', whatever the sweep is extended by."""
    words = [f"{group:03d}", str(run["strategy"])[:80], str(run["init"])[:40], run["learner"]]
    words += [f"{name}={run[name]}" for name in ("seed", "lr", "weight_decay")]
    return re.sub(r"[^\w.=+-]+", "-", "-".join(words))
