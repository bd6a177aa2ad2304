"""One run as TensorBoard, Weights & Biases or MLflow has it, below the workdir and without a network."""

from __future__ import annotations

import json
import logging
import netrc
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse
from uuid import uuid4


class Tracked(NamedTuple):
    """One run as a tracker has it.

    Attributes:
      ident: what the tracker knows it by, to go on with it later.
      log: takes values by name, and the number of labels that they were measured at.
      close: takes whether the run has all its rounds.
    """

    ident: str
    log: Callable[[Mapping[str, float], int], None]
    close: Callable[[bool], None]


Open = Callable[[str, Mapping[str, Any], str], Tracked]  # of a name, settings, and an ident or ""


def open_tensorboard(folder: Path) -> Open:
    """Event files, a folder a run."""
    from tensorboardX import SummaryWriter
    from tensorboardX.summary import hparams

    def open_run(name: str, config: Mapping[str, Any], ident: str) -> Tracked:
        # Its files are named after the second they are begun in: another one would replace the first.
        unique = f".{uuid4().hex[:8]}"
        writer = SummaryWriter(str(folder / "tensorboard" / name), filename_suffix=unique)
        plain = {
            key: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for key, value in config.items()
        }
        experiment, begins, ends = hparams(plain, {"accuracy": 0.0})
        if not ident:
            writer.file_writer.add_summary(experiment)
            writer.file_writer.add_summary(begins)

        def log(values: Mapping[str, float], labels: int) -> None:
            for key, value in values.items():
                writer.add_scalar(key, value, labels)
            writer.flush()

        def close(complete: bool) -> None:
            if complete:
                writer.file_writer.add_summary(ends)
            writer.close()

        return Tracked(name, log, close)

    return open_run


def open_wandb(folder: Path) -> Open:
    """Offline runs, or where the environment or an account says."""
    import wandb

    # Where it knows no account it would ask for one in the middle of a sweep.
    decided = "WANDB_MODE" in os.environ or has_wandb_account()

    def open_run(name: str, config: Mapping[str, Any], ident: str) -> Tracked:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "jal"),
            dir=str(folder),
            name=name,
            group=str(config["strategy"]),
            config=dict(config),
            id=ident or None,
            resume="allow" if ident else None,
            mode=None if decided else "offline",
            reinit="create_new",  # the runs of a group are open together
            settings=wandb.Settings(silent=True, console="off"),
        )
        return Tracked(
            str(run.id),
            lambda values, labels: run.log(dict(values), step=labels),
            lambda complete: run.finish(exit_code=0 if complete else 1),
        )

    return open_run


def has_wandb_account() -> bool:
    """Whether the environment or the file that `wandb login` writes has a key."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    names = [os.environ["NETRC"]] if "NETRC" in os.environ else ["~/.netrc", "~/_netrc"]
    for path in map(os.path.expanduser, names):
        with suppress(OSError, netrc.NetrcParseError):
            if host in netrc.netrc(path).hosts:
                return True
    return False


def open_mlflow(folder: Path) -> Open:
    """A database, or the server that the environment names."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    local = "MLFLOW_TRACKING_URI" not in os.environ
    path = folder.absolute()
    for logger in ("alembic", "mlflow.store.db.utils"):  # they tell of every table they make
        logging.getLogger(logger).setLevel(logging.WARNING)
    client = MlflowClient(f"sqlite:///{path / 'mlflow.db'}" if local else None)

    def experiment(name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        artifacts = (path / "mlflow-artifacts").as_uri() if local else None
        return str(client.create_experiment(name, artifact_location=artifacts))

    def begin(name: str, config: Mapping[str, Any]) -> str:
        about = os.environ.get("MLFLOW_EXPERIMENT_NAME", f"jal-{config['dataset']}")
        run = str(client.create_run(experiment(about), run_name=name).info.run_id)
        params = [Param(key, str(value)[:6000]) for key, value in config.items()]
        for first in range(0, len(params), 100):  # as many as it takes at once
            client.log_batch(run, params=params[first : first + 100])
        return run

    def open_run(name: str, config: Mapping[str, Any], ident: str) -> Tracked:
        run = ident or begin(name, config)
        client.update_run(run, "RUNNING")

        def log(values: Mapping[str, float], labels: int) -> None:
            now = int(1000 * time.time())
            metrics = [Metric(key, value, now, labels) for key, value in values.items()]
            client.log_batch(run, metrics=metrics)

        def close(complete: bool) -> None:
            client.set_terminated(run, "FINISHED" if complete else "KILLED")

        return Tracked(run, log, close)

    return open_run


# By tracker: of the folder to write into, a function that begins or goes on with a run.
OPENERS: dict[str, Callable[[Path], Open]] = {
    "tensorboard": open_tensorboard,
    "wandb": open_wandb,
    "mlflow": open_mlflow,
}
