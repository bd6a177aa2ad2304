"""Callbacks, and the trackers that are made of them, against what they write; no network is used."""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_pool

import jal
from jal.cli import main
from jal.errors import JalError
from jal.schema import METRIC_COLUMNS, RUN_COLUMNS, TRACKING
from jal.settings.progress import Silent
from jal.sweeps.events import Event, RoundFinished, SweepFinished
from jal.sweeps.tracked import has_wandb_account

pytestmark = pytest.mark.slow

POOL = clustered_pool(2)
QUICK: dict[str, Any] = {"rounds": 3, "seeds": 2, "probe__max_epochs": 6}
SAVED = {**QUICK, "execution__checkpoint_seconds": 0.0}


class StopAfter(Silent):
    """Progress that stops the sweep after some rounds."""

    def __init__(self, rounds: int) -> None:
        self.left = rounds

    def advance(self, steps: int = 1, status: str = "") -> None:
        self.left -= steps
        if self.left == 0:
            raise KeyboardInterrupt


def half(logits: Any, labels: Any) -> float:
    return 0.5


# Callbacks.


def test_a_callback_is_told_of_every_round_and_of_the_end(tmp_path: Path) -> None:
    events: list[Event] = []
    lines: list[int] = []

    def look(event: Event) -> None:
        events.append(event)
        lines.append(len(pd.read_csv(tmp_path / "metrics.csv")))

    result = jal.sweep(
        POOL, "random, margins", workdir=tmp_path, callbacks=[look, lambda event: None],
        metrics={"half": half}, **QUICK,
    )  # fmt: skip
    *rounds, end = events
    assert end == SweepFinished(True, tmp_path)
    assert lines == [2, 4, 6, 8, 10, 12, 12]  # the tables come first
    told = [(event.group, event.round, event.rounds, event.restored) for event in rounds]
    assert told == [(group, number, 3, False) for group in (0, 1) for number in (1, 2, 3)]
    for event in rounds:
        assert isinstance(event, RoundFinished)
        assert [run["strategy"] for run in event.runs] == [("random", "margins")[event.group]] * 2
        assert set(event.metrics) == {*METRIC_COLUMNS, "half"}
        assert event.seconds > 0
        for position, run in enumerate(event.runs):
            assert tuple(run) == RUN_COLUMNS
            row = result.metrics.query(f"run == {run['run']} and round == {event.round}").iloc[0]
            for name, values in event.metrics.items():
                np.testing.assert_array_equal(values[position], np.float32(row[name]))


def test_what_was_computed_before_is_told_as_restored(tmp_path: Path) -> None:
    events: list[Event] = []
    options = {"workdir": tmp_path, "callbacks": events.append, **SAVED}
    with pytest.raises(KeyboardInterrupt):
        jal.sweep(POOL, "random", progress=StopAfter(2), **options)
    assert events.pop() == SweepFinished(False, tmp_path)
    first = list(events)
    events.clear()
    jal.sweep(POOL, "random", **options)
    assert [(event.round, event.restored) for event in events[:-1]] == [
        (1, True), (2, True), (3, False),
    ]  # fmt: skip
    assert [event.restored for event in first] == [False, False]
    for before, after in zip(first, events[:2], strict=True):
        for name, values in before.metrics.items():
            np.testing.assert_array_equal(values, after.metrics[name])
    events.clear()
    jal.sweep(POOL, "random", **options)
    assert events == [SweepFinished(True, tmp_path)]  # it was finished


def test_what_a_callback_raises_is_said_once_and_stops_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = []

    def careless(event: Event) -> None:
        raise ValueError("no network\nhere")

    result = jal.sweep(POOL, "random", callbacks=(careless, seen.append), **QUICK)
    assert len(result.metrics) == 6
    assert len(seen) == 4
    said = "jal: callback careless failed (no network here); the sweep goes on\n"
    assert capsys.readouterr().err == said


def test_ctrl_c_in_a_callback_stops_after_that_round(tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, RoundFinished) and event.round == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jal.sweep(POOL, "random", workdir=tmp_path, callbacks=stop, **QUICK)
    assert len(pd.read_csv(tmp_path / "metrics.csv")) == 4
    events: list[Event] = []
    jal.sweep(POOL, "random", workdir=tmp_path, callbacks=events.append, **QUICK)
    assert [event.restored for event in events[:-1]] == [True, True, False]


@pytest.mark.parametrize("callbacks", [3, [3], "print", {"a": print}])
def test_what_cannot_be_called_is_refused(callbacks: Any) -> None:
    with pytest.raises(JalError, match="it takes functions of one event"):
        jal.sweep(POOL, "random", callbacks=callbacks, **QUICK)


# What is asked for.


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_said_before_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for package in ("tensorboardX", "wandb", "mlflow"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(JalError, match=rf"needs .*pip install 'jal-learn\[{name}\]' brings"):
        jal.sweep(POOL, "random", workdir=tmp_path / "w", execution__track=name, **QUICK)
    assert not (tmp_path / "w").exists()


def test_an_unknown_tracker_and_none_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(JalError, match=r"unknown execution\.track 'tb'; choose from tensorboard,"):
        jal.sweep(POOL, "random", workdir=tmp_path / "w", execution__track="tb", **QUICK)
    pytest.importorskip("tensorboardX")
    with pytest.raises(JalError, match="writes into the workdir; give one on this machine"):
        jal.sweep(POOL, "random", execution__track="tensorboard", **QUICK)


# TensorBoard.


def event_files(workdir: Path) -> Iterator[tuple[str, Any]]:
    """Every event that was written, by the name of its run; the records' checksums are not read."""
    from tensorboardX.proto.event_pb2 import Event as Written

    for path in sorted((workdir / TRACKING / "tensorboard").glob("*/events*")):
        contents, at = path.read_bytes(), 0
        while at < len(contents):
            (length,) = struct.unpack("<Q", contents[at : at + 8])
            event = Written()
            event.ParseFromString(contents[at + 12 : at + 12 + length])
            yield path.parent.name, event
            at += length + 16


def scalars(workdir: Path) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (run, event.step, value.tag, value.simple_value)
            for run, event in event_files(workdir)
            for value in event.summary.value
            if value.HasField("simple_value")
        ],
        columns=["name", "labelled", "metric", "value"],
    )


def in_long_form(metrics: pd.DataFrame) -> pd.DataFrame:
    """What a tracker is to hold: a row a run, number of labels and metric that was measured."""
    name = (
        "000-" + metrics["strategy"] + "-" + metrics["init"] + "-frozen-seed="
        + metrics["seed"].astype(str) + "-lr=0.01-weight_decay=0.01"
    )  # fmt: skip
    kept = metrics.assign(name=name, step=metrics["labelled"])
    names = [*METRIC_COLUMNS, *(["half"] if "half" in metrics else [])]
    rows = kept.melt(["name", "step"], names, "metric", "value").dropna()
    return rows.rename(columns={"step": "labelled"})


def same(found: pd.DataFrame, metrics: pd.DataFrame) -> None:
    columns = ["name", "labelled", "metric"]
    found = found[found["metric"] != "seconds"].sort_values(columns, ignore_index=True)
    expected = in_long_form(metrics).sort_values(columns, ignore_index=True)
    expected = expected[found.columns.tolist()]
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-6)


@pytest.fixture
def tensorboard() -> None:
    pytest.importorskip("tensorboardX", reason="pip install '.[tensorboard]' brings tensorboardX")


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_gets_every_metric_of_every_run(tmp_path: Path) -> None:
    result = jal.sweep(
        POOL, "random", workdir=tmp_path, execution__track="tensorboard", metrics={"half": half},
        **QUICK,
    )  # fmt: skip
    same(scalars(tmp_path), result.metrics)
    kinds = [
        value.metadata.plugin_data.plugin_name
        for _, event in event_files(tmp_path)
        for value in event.summary.value
        if value.HasField("metadata")
    ]
    assert kinds.count("hparams") == 2 * 3  # of each run: what there is, its values, its end


@pytest.mark.usefixtures("tensorboard")
def test_tensorboard_itself_reads_them(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs TensorBoard itself: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

    result = jal.sweep(POOL, "random", workdir=tmp_path, execution__track="tensorboard", **QUICK)
    folders = sorted((tmp_path / TRACKING / "tensorboard").iterdir())
    assert len(folders) == 2
    for folder, (_, rows) in zip(folders, result.metrics.groupby("run"), strict=True):
        read = EventAccumulator(str(folder))
        read.Reload()
        accuracy = [(event.step, event.value) for event in read.Scalars("accuracy")]
        np.testing.assert_allclose(accuracy, rows[["labelled", "accuracy"]], rtol=1e-6)
        about = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        settings = parse_session_start_info_plugin_data(about).hparams
        assert settings["seed"].number_value == rows["seed"].iloc[0]
        assert settings["probe.max_epochs"].number_value == 6
        assert settings["strategy"].string_value == "random"
        assert not any(name.startswith("execution") for name in settings)


@pytest.mark.usefixtures("tensorboard")
@pytest.mark.parametrize("lost", [False, True])
def test_a_round_is_logged_once_whatever_happens(tmp_path: Path, lost: bool) -> None:
    """A checkpoint that was not reached lets rounds be computed again; they are not logged again."""
    options = {**SAVED, "workdir": tmp_path, "execution__track": "tensorboard"}
    if lost:
        options["execution__checkpoint_seconds"] = 1e6
    with pytest.raises(KeyboardInterrupt if not lost else RuntimeError):
        jal.sweep(POOL, "random", progress=Breaks(2) if lost else StopAfter(2), **options)
    assert len(set(scalars(tmp_path)["labelled"])) == 2
    options |= {"rounds": 4, "seeds": 3}
    result = jal.sweep(POOL, "random", **options)
    same(scalars(tmp_path), result.metrics)


class Breaks(StopAfter):
    """Progress that fails, so that nothing is checkpointed."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        try:
            super().advance(steps, status)
        except KeyboardInterrupt as error:
            raise RuntimeError("the power is off") from error


@pytest.mark.usefixtures("tensorboard")
def test_what_was_not_tracked_at_first_is_made_up_for(tmp_path: Path) -> None:
    options = {**SAVED, "workdir": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        jal.sweep(POOL, "random", progress=StopAfter(2), **options)
    result = jal.sweep(POOL, "random", execution__track="tensorboard", **options)
    same(scalars(tmp_path), result.metrics)


@pytest.mark.usefixtures("tensorboard")
def test_overwrite_removes_it_and_leaves_what_is_not_jal_s(tmp_path: Path) -> None:
    words = ["sweep", "--config=quickstart", f"--workdir={tmp_path}", "--config.strategies=random"]
    words += ["--config.seeds=1", "--config.rounds=2", "--config.execution.track=tensorboard"]
    assert main([*words, "--config.probe.max_epochs=3"]) == 0
    mine = tmp_path / TRACKING / "mine.txt"
    mine.write_text("mine")
    assert main([*words, "--config.probe.max_epochs=4", "--overwrite"]) == 0
    assert len(list((tmp_path / TRACKING / "tensorboard").glob("*/events*"))) == 1
    assert mine.read_text() == "mine"


@pytest.mark.usefixtures("tensorboard")
def test_a_tracker_that_cannot_begin_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"finished": false}')
    (tmp_path / TRACKING).write_text("a file")
    with pytest.raises(JalError, match=r"execution\.track=tensorboard cannot begin: .*exists"):
        jal.sweep(POOL, "random", workdir=tmp_path, execution__track="tensorboard", **QUICK)


# Weights & Biases, and MLflow.


def test_wandb_is_called_as_its_documentation_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    def init(**options: Any) -> Any:
        run = (
            f"id-{sum(call[0] == 'init' for call in calls)}" if not options["id"] else options["id"]
        )
        calls.append(("init", options))
        return SimpleNamespace(
            id=run,
            log=lambda values, step: calls.append((run, step, values)),
            finish=lambda exit_code: calls.append((run, "finish", exit_code)),
        )

    fake = ModuleType("wandb")
    fake.init, fake.Settings = init, lambda **options: options  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))  # where an account would be known
    tmp_path /= "w"
    options = {**SAVED, "workdir": tmp_path, "execution__track": "wandb"}
    with pytest.raises(KeyboardInterrupt):
        jal.sweep(POOL, "random", progress=StopAfter(2), **options)
    began = [call[1] for call in calls if call[0] == "init"]
    assert [(made["mode"], made["id"], made["resume"]) for made in began] == [
        ("offline", None, None)
    ] * 2
    assert [made["name"][-38:] for made in began] == [
        f"frozen-seed={seed}-lr=0.01-weight_decay=0.01"[-38:] for seed in (1, 2)
    ]
    for made, seed in zip(began, (1, 2), strict=True):
        assert made["dir"] == str(tmp_path / TRACKING)
        assert made["project"] == "jal"
        assert made["reinit"] == "create_new"
        assert made["config"]["seed"] == seed
        assert made["config"]["probe.max_epochs"] == 6
    logged = [call for call in calls if isinstance(call[1], int)]
    assert [(run, step) for run, step, _ in logged] == [
        ("id-0", 4), ("id-1", 4), ("id-0", 8), ("id-1", 8),
    ]  # fmt: skip
    assert [call for call in calls if call[1] == "finish"] == [
        ("id-0", "finish", 1), ("id-1", "finish", 1),
    ]  # fmt: skip
    assert "unknown_ratio" not in logged[0][2]  # nothing was asked before round 1
    assert {*METRIC_COLUMNS, "seconds"} == set(logged[2][2])

    calls.clear()
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    jal.sweep(POOL, "random", **options)
    began = [call[1] for call in calls if call[0] == "init"]
    assert [(made["mode"], made["id"], made["resume"]) for made in began] == [
        (None, "id-0", "allow"), (None, "id-1", "allow"),
    ]  # fmt: skip
    assert {made["project"] for made in began} == {"mine"}
    assert [call[:2] for call in calls if isinstance(call[1], int)] == [("id-0", 12), ("id-1", 12)]
    assert [call[2] for call in calls if call[1] == "finish"] == [0, 0]


def records(contents: bytes) -> Iterator[bytes]:
    """The records of a .wandb file: LevelDB's log, blocks of 32 KiB with pieces of records in them."""
    at, record = 7, b""  # after the file's own head
    while at + 7 <= len(contents):
        if 32768 - at % 32768 < 7:  # no room for a piece's head: the block is padded
            at += 32768 - at % 32768
            continue
        length, kind = struct.unpack("<HB", contents[at + 4 : at + 7])
        record = (b"" if kind in (1, 2) else record) + contents[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record


def test_wandb_goes_where_its_account_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))
    assert not has_wandb_account()
    path.write_text("machine api.wandb.ai\n  login user\n  password secret\n")
    assert has_wandb_account()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not has_wandb_account()
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    assert has_wandb_account()


def test_wandb_itself_writes_offline_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs wandb: pip install '.[wandb]'")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    result = jal.sweep(POOL, "random", workdir=tmp_path, execution__track="wandb", **QUICK)
    rows, names = [], set()
    for path in (tmp_path / TRACKING / "wandb").glob("offline-run-*/run-*.wandb"):
        name = ""
        for contents in records(path.read_bytes()):
            record = Record()
            record.ParseFromString(contents)
            if record.HasField("run") and record.run.display_name:
                name = record.run.display_name
                names.add(name)
            if record.HasField("history"):
                items = {
                    item.key or item.nested_key[0]: json.loads(item.value_json)
                    for item in record.history.item
                }
                step = items.pop("_step", record.history.step.num)
                rows += [(name, step, key, value) for key, value in items.items() if key[0] != "_"]
    assert len(names) == 2
    same(pd.DataFrame(rows, columns=["name", "labelled", "metric", "value"]), result.metrics)


def test_mlflow_is_called_as_its_documentation_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Client:
        def __init__(self, uri: str | None) -> None:
            calls.append(("client", uri))

        def get_experiment_by_name(self, name: str) -> Any:
            return None

        def create_experiment(self, name: str, artifact_location: str | None) -> str:
            calls.append(("experiment", name, artifact_location))
            return "e"

        def create_run(self, experiment: str, run_name: str) -> Any:
            return SimpleNamespace(info=SimpleNamespace(run_id=run_name[-34:-25]))

        def log_batch(self, run: str, metrics: Any = (), params: Any = ()) -> None:
            assert len(params) <= 100
            calls.append((run, [(m[0], m[3]) for m in metrics], params))

        def update_run(self, run: str, status: str) -> None:
            calls.append((run, status))

        def set_terminated(self, run: str, status: str) -> None:
            calls.append((run, status))

    fake, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    fake.MlflowClient = Client  # type: ignore[attr-defined]
    entities.Metric = lambda *values: values  # type: ignore[attr-defined]
    entities.Param = lambda *values: values  # type: ignore[attr-defined]
    for name, module in (("mlflow", fake), ("mlflow.entities", entities)):
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("sqlalchemy", "alembic"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    options = {**SAVED, "seeds": 1, "workdir": tmp_path, "execution__track": "mlflow"}
    with pytest.raises(KeyboardInterrupt):
        jal.sweep(POOL, "random", progress=StopAfter(2), **options)
    folder = tmp_path / TRACKING
    assert calls[0] == ("client", f"sqlite:///{folder}/mlflow.db")
    assert calls[1] == ("experiment", "jal-clouds", (folder / "mlflow-artifacts").as_uri())
    assert ("seed", "1") in calls[2][2]
    assert ("probe.max_epochs", "6") in calls[2][2]
    run = calls[2][0]
    batches = [call[1] for call in calls[3:] if isinstance(call[1], list)]
    assert [{step for _, step in batch} for batch in batches] == [{4}, {8}]
    assert [call[1] for call in calls if call[0] == run and isinstance(call[1], str)] == [
        "RUNNING", "KILLED",
    ]  # fmt: skip
    calls.clear()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.invalid")
    jal.sweep(POOL, "random", **options)
    assert calls[0] == ("client", None)
    assert calls[1:2] == [(run, "RUNNING")]
    assert [{step for _, step in call[1]} for call in calls if isinstance(call[1], list)] == [{12}]
    assert calls[-1] == (run, "FINISHED")


def test_mlflow_itself_stores_runs_in_the_workdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "needs MLflow: pip install '.[mlflow]'"
    for package in ("mlflow", "sqlalchemy", "alembic"):
        pytest.importorskip(package, reason=reason)
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    result = jal.sweep(POOL, "random", workdir=tmp_path, execution__track="mlflow", **QUICK)
    client = MlflowClient(f"sqlite:///{tmp_path / TRACKING / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("jal-clouds")
    assert experiment is not None
    rows = []
    for run in client.search_runs([experiment.experiment_id]):
        assert run.info.status == "FINISHED"
        assert run.data.params["probe.max_epochs"] == "6"
        for metric in run.data.metrics:
            rows += [
                (run.info.run_name, value.step, metric, value.value)
                for value in client.get_metric_history(run.info.run_id, metric)
            ]
    same(pd.DataFrame(rows, columns=["name", "labelled", "metric", "value"]), result.metrics)
    assert re.fullmatch(r"000-random-.*seed=[12].*", rows[0][0])
