"""Metrics and learners of the user's own, from Python: what they give, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_pool
from sklearn.metrics import fbeta_score
from sklearn.neighbors import NearestCentroid
from tiny_images import coloured_images, tiny_backbone

import jal
from jal.core.spec import Choice, ExperimentSpec, ProbeSpec
from jal.core.types import Hyper, Labelled, Learner, Probe, Trained
from jal.engine import programs
from jal.errors import JalError
from jal.learners.own import linear_head
from jal.pools.frozen import frozen_pool
from jal.pools.images import LoraData
from jal.report import summary_table
from jal.report.data import load_study
from jal.schema import COLUMNS
from jal.selection import register_strategy
from jal.settings.progress import Silent
from jal.sweeps.config import sweep_config

pytestmark = pytest.mark.slow

TIMES = ["seconds", "compile_seconds"]
POOL = clustered_pool(1)
QUICK: dict[str, Any] = {"rounds": 3, "probe__max_epochs": 8}
# One way to run them is enough for a quick look: the rest is what the engine does with any program.
MODES = ["map", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("vmap", "scan"))]


class StopAfter(Silent):
    """Progress that stops the sweep after some rounds."""

    def __init__(self, rounds: int) -> None:
        self.left = rounds

    def advance(self, steps: int = 1, status: str = "") -> None:
        self.left -= steps
        if self.left == 0:
            raise KeyboardInterrupt


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        left.drop(columns=TIMES), right.drop(columns=TIMES), check_exact=True
    )


# Metrics.


def f2(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Macro-averaged F2."""
    classes = jnp.arange(logits.shape[1])
    said, true = jnp.argmax(logits, axis=1)[:, None] == classes, labels[:, None] == classes
    both = (said & true).sum(0)
    return jnp.mean(5 * both / jnp.maximum(4 * true.sum(0) + said.sum(0), 1))


def right(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return (jnp.argmax(logits, axis=1) == labels).sum()


METRICS = {"right": right, "f2": f2}  # not in the order of the alphabet


def predictions(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """All predictions of the 40 test samples as one number, exact in float32 for the first ten."""
    return (jnp.argmax(logits, axis=1)[:10] * 4 ** jnp.arange(10)).sum()


@pytest.mark.parametrize("mode", MODES)
def test_a_metric_of_ones_own_is_a_column_after_the_others(mode: str) -> None:
    result = jal.sweep(
        POOL, "random, margins", seeds=2, metrics=METRICS, execution__mode=mode, **QUICK
    )
    assert list(result.metrics.columns) == [*COLUMNS, "right", "f2"]
    rows = len(POOL.pool.test_labels)
    np.testing.assert_allclose(result.metrics["right"] / rows, result.metrics["accuracy"], 1e-6)
    assert (result.metrics["f2"] != result.metrics["macro_f1"]).any()
    plain = jal.sweep(POOL, "random, margins", seeds=2, execution__mode=mode, **QUICK)
    same(result.metrics[list(COLUMNS)], plain.metrics)
    assert jal.plot_curves(result, metric="f2").axes[0].get_ylabel() == "f2"


def test_it_is_computed_of_the_test_split() -> None:
    logits = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    labels = np.arange(60) % 4
    expected = fbeta_score(labels, logits.argmax(1), beta=2, average="macro")
    assert float(f2(jnp.asarray(logits), jnp.asarray(labels))) == pytest.approx(expected, abs=1e-6)
    taken = []

    def look(logits: jax.Array, labels: jax.Array) -> jax.Array:
        taken.append((logits.shape, str(logits.dtype), labels.shape, str(labels.dtype)))
        return labels.sum()

    result = jal.sweep(POOL, "random", seeds=1, metrics={"look": look}, **QUICK)
    assert set(taken) == {((40, 4), "float32", (40,), "int32")}
    assert set(result.metrics["look"]) == {np.asarray(POOL.pool.test_labels).sum()}
    # Constant as it is, it is a measurement: no arm is named after it.
    assert summary_table(result.metrics)["strategy"].tolist() == ["random"]


def test_another_function_of_the_same_name_is_another_program() -> None:
    programs.fit.cache_clear()
    for factor in (1.0, 2.0):
        metric = {"share": lambda logits, labels, factor=factor: factor * jnp.mean(labels < 9)}
        result = jal.sweep(POOL, "random", seeds=1, metrics=metric, **QUICK)
        assert set(result.metrics["share"]) == {factor}
    made = programs.fit.cache_info().misses
    jal.sweep(POOL, "margins", seeds=1, metrics=metric, **QUICK)
    assert programs.fit.cache_info().misses == made  # the same function: the same programs


def test_a_callable_that_cannot_be_hashed_serves_too() -> None:
    class Weighted(dict):
        def __call__(self, logits: jax.Array, labels: jax.Array) -> jax.Array:
            return jnp.float32(self["weight"])

    result = jal.sweep(POOL, "random", seeds=1, metrics={"w": Weighted(weight=3)}, **QUICK)
    assert set(result.metrics["w"]) == {3.0}


def test_it_is_restored_written_and_asked_for_again(tmp_path: Path) -> None:
    options = {"seeds": 2, "workdir": tmp_path, "execution__checkpoint_seconds": 0.0, **QUICK}
    with pytest.raises(KeyboardInterrupt):
        jal.sweep(POOL, "random", metrics=METRICS, progress=StopAfter(2), **options)
    assert json.loads((tmp_path / "config.json").read_text())["metrics"] == ["right", "f2"]
    with pytest.raises(JalError, match=re.escape('metrics: ["right", "f2"] → []')):
        jal.sweep(POOL, "random", **options)
    resumed = jal.sweep(POOL, "random", metrics=METRICS, **options)
    same(resumed.metrics, jal.sweep(POOL, "random", seeds=2, metrics=METRICS, **QUICK).metrics)
    again = jal.sweep(POOL, "random", metrics=METRICS, **options)  # finished: read from its file
    pd.testing.assert_frame_equal(again.metrics, resumed.metrics)
    study = load_study([tmp_path])
    assert {"right", "f2"} <= set(study.metrics)
    assert set(study.metrics["arm"]) == {"random"}


def test_a_finished_sweep_has_no_room_for_one(tmp_path: Path) -> None:
    jal.sweep(POOL, "random", seeds=1, workdir=tmp_path, **QUICK)
    with pytest.raises(JalError, match=re.escape('metrics: [] → ["f2"]')):
        jal.sweep(POOL, "random", seeds=1, workdir=tmp_path, metrics={"f2": f2}, **QUICK)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"accuracy": f2}, "'accuracy' has the name of a column that jal writes"),
        ({"seed": f2}, "'seed' has the name of a column"),
        ({"arm": f2}, "'arm' has the name of a column"),
        ({"f 2": f2}, "'f 2' cannot name a metric; take letters, digits and underscores"),
        ({2: f2}, "2 cannot name a metric"),
        ({"f2": 0.5}, "'f2' is 0.5; it must be a function"),
        (f2, "it takes functions by name"),
        ({"f2": lambda x, y: x}, r"'f2' returns float32\[40, 4\]; it takes logits f32\[T, C\]"),
        ({"f2": lambda x, y: (1.0, 2.0)}, r"'f2' returns \(.*one number"),
        ({"f2": lambda x, y: x.sum() * 1j}, r"'f2' returns complex64\[\]"),
        ({"f2": lambda x, y: None}, "'f2' returns None"),
        ({"f2": lambda x, y: "best"}, "'f2' cannot be compiled"),
        ({"f2": lambda x, y: np.asarray(x).mean()}, r"'f2' cannot be compiled \(.*by jax\.numpy"),
        ({"f2": lambda x, y: 1.0 if x[0, 0] > 0 else 0.0}, "'f2' cannot be compiled"),
        ({"f2": lambda x: x.sum()}, "'f2' cannot be compiled .*positional argument"),
    ],
)
def test_a_metric_that_is_none_is_one_sentence(tmp_path: Path, metrics: Any, message: str) -> None:
    with pytest.raises(JalError, match=message) as caught:
        jal.sweep(POOL, "random", seeds=1, metrics=metrics, workdir=tmp_path / "w", **QUICK)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "w").exists()


# Learners.


def nearest_mean() -> Learner:
    """The class whose labelled mean is nearest, as a linear head: x·m − |m|²/2."""

    def head(means: jax.Array, seen: jax.Array) -> Probe:
        norms = jnp.where(seen, (means**2).sum(1) / 2, 1e9)
        return linear_head(means.T, -norms, dropout=0.25)

    def start(key: jax.Array, pool: jal.Pool) -> tuple[Any, Probe]:
        shape = (pool.num_classes, pool.features.shape[1])
        return jnp.zeros(shape), head(jnp.zeros(shape), jnp.zeros(shape[0], bool))

    def train(key: Any, state: Any, labelled: Labelled, shared: Any, hyper: Hyper) -> Trained:
        classes = shared[0].num_classes
        mine = (labelled.labels[:, None] == jnp.arange(classes)) & labelled.valid[:, None]
        counts = mine.sum(0)
        means = mine.T.astype(jnp.float32) @ labelled.inputs / jnp.maximum(counts, 1)[:, None]
        return Trained(means, head(means, counts > 0), jnp.int32(1))

    return Learner(start, train)


LEARNER = nearest_mean()
ZEROS = jnp.zeros((12, 4)), jnp.zeros(4)


def test_it_is_what_scikit_learn_fits_on_the_same_labels() -> None:
    result = jal.sweep(
        POOL, "margins, random", learner=nearest_mean, seeds=3,
        metrics={"predictions": predictions}, **QUICK,
    )  # fmt: skip
    assert set(result.metrics["learner"]) == {"nearest_mean"}
    assert set(result.metrics["dropout"]) == {0.25}
    assert set(result.metrics["epochs"]) == {1}
    pool = POOL.pool
    features, labels = np.asarray(pool.features), np.asarray(pool.labels)
    compared = 0
    for run, picks in result.acquisitions.groupby("run"):
        rows = result.metrics[result.metrics["run"] == run].set_index("round")
        for number in (1, 2, 3):
            bought = picks[picks["round"] <= number]["index"].to_numpy()
            if len(set(labels[bought])) < 2:
                continue
            fitted = NearestCentroid().fit(features[bought], labels[bought])
            predicted = fitted.predict(np.asarray(pool.test_features))
            accuracy = (predicted == np.asarray(pool.test_labels)).mean()
            assert rows.loc[number, "accuracy"] == pytest.approx(accuracy, abs=1e-6)
            assert rows.loc[number, "predictions"] == (predicted[:10] * 4 ** np.arange(10)).sum()
            compared += 1
    assert compared >= 12


@pytest.mark.parametrize("mode", ["map", "vmap", "scan"])
def test_every_kind_of_strategy_asks_it(mode: str) -> None:
    names = "entropy, dropquery, badge, typiclust"
    result = jal.sweep(
        POOL, names, learner={"prototype": LEARNER}, seeds=2, execution__mode=mode, **QUICK
    )
    assert len(result.metrics) == 4 * 2 * 3
    assert (result.acquisitions.groupby("run")["index"].nunique() == 12).all()
    assert result.metrics["accuracy"].iloc[-1] > 0.6


def test_monte_carlo_dropout_has_its_head_s_rate() -> None:
    rates = []

    @register_strategy("looks_at_the_rate")
    def looks() -> jal.Strategy:
        def select(key: Any, view: jal.View, cache: Any, state: Any, k: int) -> Any:
            rates.append((view.probe.dropout, view.recipe.dropout))
            return jnp.argsort(~view.available)[:k], state

        return jal.Strategy(select)

    jal.sweep(POOL, "looks_at_the_rate", learner=LEARNER, seeds=1, **QUICK)
    assert set(rates) == {(0.25, 0.25)}


def test_it_stands_beside_others_and_alone(tmp_path: Path) -> None:
    parts: list[str] = []

    class Parts(Silent):
        def start(self, part: str, total: int, done: int = 0) -> None:
            parts.append(part)

    both = jal.sweep(
        POOL, "margins", learner=["frozen", {"prototype": LEARNER}], seeds=3,
        execution__mode="map", workdir=tmp_path, progress=Parts(), **QUICK,
    )  # fmt: skip
    assert parts == ["margins · frozen (init random)", "margins · prototype (init random)"]
    assert json.loads((tmp_path / "config.json").read_text())["learner"] == ["frozen", "prototype"]
    picks = both.acquisitions.merge(both.metrics[["run", "learner"]].drop_duplicates())
    for seed in (1, 3):
        alone = jal.sweep(
            POOL, "margins", learner=("prototype", LEARNER), seeds=[seed],
            execution__mode="map", **QUICK,
        )  # fmt: skip
        beside = picks.query("learner == 'prototype' and seed == @seed")["index"]
        assert alone.acquisitions["index"].tolist() == beside.tolist()
    plain = jal.sweep(POOL, "margins", seeds=3, execution__mode="map", **QUICK)
    assert picks.query("learner == 'frozen'")["index"].tolist() == (
        plain.acquisitions["index"].tolist()
    )


def test_both_stand_beside_lora() -> None:
    backbone, images = tiny_backbone(remat=True), coloured_images()
    config = sweep_config()
    config.learner, config.strategies, config.inits = ["lora", LEARNER], "entropy", "random"
    config.seeds, config.rounds, config.start, config.step = 1, 2, 2, 2
    config.lora.update({"epochs": 2, "batch_size": 8, "images_at_once": 4})
    parts: list[str] = []

    class Parts(Silent):
        def start(self, part: str, total: int, done: int = 0) -> None:
            parts.append(part)

        def note(self, text: str) -> None: ...

    result = jal.run_sweep(
        config, frozen_pool(images, backbone, batch_size=8), images=LoraData(images, backbone),
        metrics=METRICS, progress=Parts(),
    )  # fmt: skip
    assert [part.split(" · ")[1] for part in parts] == [
        "lora (init random)", "nearest_mean (init random)",
    ]  # fmt: skip
    assert result.metrics["learner"].tolist() == ["lora"] * 2 + ["nearest_mean"] * 2
    rows = len(images.test_labels)
    np.testing.assert_allclose(result.metrics["right"] / rows, result.metrics["accuracy"], 1e-6)
    picks = result.acquisitions.pivot(index="rank", columns="run", values="index").head(6)
    assert (picks[0] == picks[1]).all()  # one first batch


def test_it_resumes_with_its_state_and_not_without_it(tmp_path: Path) -> None:
    def counting() -> Learner:
        """Its state says how often it was trained, and so does its head."""

        def start(key: Any, pool: jal.Pool) -> Any:
            zeros = jnp.zeros((pool.features.shape[1], pool.num_classes))
            return {"rounds": jnp.float32(0)}, linear_head(zeros, zeros[0])

        def train(key: Any, state: Any, labelled: Any, shared: Any, hyper: Hyper) -> Trained:
            rounds = state["rounds"] + 1
            zeros = jnp.zeros((labelled.inputs.shape[1], shared[0].num_classes))
            return Trained({"rounds": rounds}, linear_head(zeros, zeros[0] + rounds), rounds)

        return Learner(start, train)

    bias = {"bias": lambda logits, labels: logits[0, 0]}
    options = {"learner": counting, "metrics": bias, "seeds": 2, **QUICK}
    saved = {"workdir": tmp_path, "execution__checkpoint_seconds": 0.0}
    with pytest.raises(KeyboardInterrupt):
        jal.sweep(POOL, "random", progress=StopAfter(2), **options, **saved)
    with pytest.raises(JalError, match=re.escape('learner: ["counting"] → "frozen"')):
        jal.sweep(POOL, "random", **{**options, "learner": "frozen"}, **saved)
    resumed = jal.sweep(POOL, "random", **options, **saved)
    assert resumed.metrics.groupby("run")["bias"].apply(list).tolist() == [[1.0, 2.0, 3.0]] * 2
    same(resumed.metrics, jal.sweep(POOL, "random", **options).metrics)


def test_an_experiment_takes_both() -> None:
    spec = ExperimentSpec(Choice("margins"), Choice("random"), (4, 4), ProbeSpec(dropout=0.25))
    run = jax.jit(jal.make_experiment(spec, learner=LEARNER, metrics={"right": right}))
    state, measured = run(jax.random.key(1), POOL.pool)
    swept = jal.sweep(POOL, "margins", learner=LEARNER, seeds=[1], metrics=METRICS, rounds=2)
    np.testing.assert_array_equal(state.order[:8], swept.acquisitions["index"])
    np.testing.assert_array_equal(measured.own["right"], swept.metrics["right"])
    assert state.probe.dropout == 0.25


def broken(**parts: Any) -> Learner:
    return LEARNER._replace(**parts)


def train_with(change: Any) -> Any:
    def train(*inputs: Any) -> Any:
        return change(LEARNER.train(*inputs))

    return train


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        ("prototype", "unknown learner 'prototype'; choose from frozen, lora"),
        (3, "learner is 3; it takes frozen or lora, a Learner"),
        ({"frozen": LEARNER}, "'frozen' cannot name a learner of your own"),
        ({"a b": LEARNER}, "'a b' cannot name a learner"),
        ({"mine": 3}, "'mine' is 3; it must be a Learner"),
        ({"mine": lambda: 3}, "'mine' is 3; it must be a Learner"),
        ({"mine": lambda x: LEARNER}, "'mine' must be a Learner of plain functions"),
        ([LEARNER, broken(embed=lambda *_: 0)], "embeds images"),
        ([LEARNER, broken(train=LEARNER.train, start=lambda *_: 0)], "two different learners"),
        ({"mine": broken(start=lambda key, pool: ())}, r"start must return \(state, Probe\)"),
        ({"mine": broken(start=lambda key, pool: ((), ()))}, "start returns no Probe"),
        (
            {"mine": broken(start=lambda key, pool: ((), linear_head(jnp.zeros((3, 4)), jnp.zeros(4))))},
            r"its probe's kernel is float32\[3, 4\]; it must be float32\[12, 4\]",
        ),
        ({"mine": broken(train=lambda *_: 1 / 0)}, r"train cannot be compiled \(division by zero\)"),
        ({"mine": broken(train=lambda *_: 1)}, r"train must return Trained\(state, probe, epochs\)"),
        (
            {"mine": broken(train=train_with(lambda made: made._replace(state=())))},
            "the state that train returns is laid out otherwise than that of start",
        ),
        (
            {"mine": broken(train=train_with(lambda made: made._replace(probe=linear_head(*ZEROS))))},
            "the probe that train returns is laid out otherwise",
        ),
    ],
)  # fmt: skip
def test_a_learner_that_is_none_is_one_sentence(tmp_path: Path, learner: Any, message: str) -> None:
    with pytest.raises(JalError, match=message) as caught:
        jal.sweep(POOL, "random", learner=learner, seeds=1, workdir=tmp_path / "w", **QUICK)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "w").exists()


def test_what_needs_the_frozen_learner_says_so() -> None:
    with pytest.raises(JalError, match="ssl propagates labels for the frozen learner"):
        jal.sweep(POOL, "random", learner=LEARNER, ssl=True, seeds=1, **QUICK)
