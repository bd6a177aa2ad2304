"""Ceilings: the batch that helps the most once its labels are known, beside strategies, never among them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_pool

import jal
from jal import experiment, selection
from jal.core.spec import Choice, ExperimentSpec, ProbeSpec, bucket
from jal.errors import JalError
from jal.labelling.config import session_config
from jal.labelling.options import one_choice
from jal.learners.frozen import frozen
from jal.settings.keywords import set_keywords
from jal.sweeps import runner
from jal.sweeps.api import run_sweep
from jal.sweeps.checks import check_words
from jal.sweeps.config import SWEEP_FIELDS, sweep_config
from jal.sweeps.workdir import extensions

POOL = clustered_pool()
PROBE = ProbeSpec(max_epochs=20, dropout=0.5)
BATCHES = (4, 4)
MEMBERS = "random,margins"
ORACLE = f"oracle(draws=2,members='{MEMBERS}')"
SETTINGS: dict[str, Any] = {
    "rounds": 2, "probe__max_epochs": 20, "probe__dropout": 0.5, "execution__mode": "map",
    "execution__devices": 1, "progress": False,
}  # fmt: skip
CHOICE = Choice("oracle", (("draws", 2), ("members", MEMBERS)))


@pytest.fixture(scope="module")
def swept() -> jal.SweepResult:
    return jal.sweep(POOL, MEMBERS, ceilings=ORACLE, seeds=6, **SETTINGS)


def accuracies(result: Any, name: str, number: int = 2) -> np.ndarray:
    rows = result.metrics[result.metrics["round"] == number]
    own = rows[rows["strategy"].str.partition("(")[0] == name]
    return own.sort_values("seed")["accuracy"].to_numpy()


def test_it_reaches_at_least_what_each_member_does_in_one_step(swept: jal.SweepResult) -> None:
    for name in MEMBERS.split(","):
        assert accuracies(swept, name, 1).tolist() == accuracies(swept, "oracle", 1).tolist()
        assert (accuracies(swept, "oracle") >= accuracies(swept, name)).all()
    assert accuracies(swept, "oracle").mean() > accuracies(swept, "random").mean()


def test_its_batch_is_the_best_of_all_that_are_proposed() -> None:
    learner, pool = frozen(PROBE), jax.device_put(POOL.pool)
    hyper, size = experiment.default_hyper(PROBE), bucket(sum(BATCHES))
    made = selection.make_ceiling(CHOICE)
    fit = jax.jit(
        lambda state, index: experiment.fit_and_measure(learner, size, state, pool, hyper, index)
    )
    query = partial(experiment.query_ceiling, made, learner, PROBE, 4, size)
    asked = jax.jit(lambda state: query(state, pool, hyper, 2))
    propose = jax.jit(
        lambda key, state, clustering: made.propose(
            key, experiment.view_of(state, pool, pool.features, PROBE, hyper, clustering), 4
        )
    )
    first = selection.make_init(Choice("random"))
    for seed in range(3):
        keys = experiment.run_keys(jax.random.key(seed))
        state = experiment.begin(first, learner, PROBE, BATCHES, keys, pool, ())
        state, _ = fit(state, 1)
        own = experiment.round_keys(keys, 2)
        batches = np.asarray(propose(own.select, state, own.clustering))
        assert batches.shape == (4, 4)
        available = ~np.asarray(state.labelled)
        reached = []
        for batch in batches:
            assert len(set(batch.tolist())) == 4
            assert available[batch].all()
            reached.append(float(fit(experiment._label(state, jnp.asarray(batch)), 2)[1].accuracy))
        after = asked(state)
        best = batches[int(np.argmax(reached))]
        assert np.asarray(after.order)[4:8].tolist() == best.tolist()
        assert float(fit(after, 2)[1].accuracy) == max(reached)


def test_what_it_proposes_does_not_hang_on_hidden_labels() -> None:
    made, pool = selection.make_ceiling(CHOICE), jax.device_put(POOL.pool)
    hyper, key = experiment.default_hyper(PROBE), jax.random.key(3)
    keys = experiment.run_keys(key)
    random = selection.make_init(Choice("random"))
    state = experiment.begin(random, frozen(PROBE), PROBE, BATCHES, keys, pool, ())
    propose = jax.jit(
        lambda labels: made.propose(
            key,
            experiment.view_of(
                state, replace(pool, labels=labels), pool.features, PROBE, hyper, key
            ),
            4,
        )
    )
    hidden = jnp.where(state.labelled, pool.labels, (pool.labels + 1) % pool.num_classes)
    np.testing.assert_array_equal(propose(pool.labels), propose(hidden))


def test_in_one_program_it_does_as_round_by_round(swept: jal.SweepResult) -> None:
    spec = ExperimentSpec(CHOICE, Choice("random"), BATCHES, PROBE)
    state, metrics = jax.jit(jal.make_experiment(spec))(jax.random.key(1), POOL.pool)
    picks = swept.acquisitions[swept.acquisitions["strategy"] == str(CHOICE)]
    expected = picks[picks["seed"] == 1].sort_values("rank")["index"].tolist()
    assert np.asarray(state.order)[: sum(BATCHES)].tolist() == expected
    assert metrics.accuracy[1] == pytest.approx(accuracies(swept, "oracle")[0])


def test_going_on_leads_where_going_through_does(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    class StopAfter:
        left = 3  # of four rounds of two groups, the last of them the oracle's second

        def start(self, part: str, total: int, done: int = 0) -> None: ...

        def advance(self, steps: int = 1, status: str = "") -> None:
            self.left -= steps
            if self.left == 0:
                raise Stop

        def note(self, text: str) -> None: ...

    config = sweep_config()
    values = {name: value for name, value in SETTINGS.items() if name != "progress"}
    set_keywords(config, SWEEP_FIELDS, {**values, "ceilings": ORACLE, "seeds": 2, "rounds": 2})
    config.strategies = "random"
    config.execution.checkpoint_seconds = 0.0
    whole = run_sweep(config, POOL)
    with pytest.raises(Stop):
        run_sweep(config, POOL, workdir=tmp_path, progress=StopAfter())
    onward = run_sweep(config, POOL, workdir=tmp_path, progress=False)
    times = ["seconds", "compile_seconds"]
    pd.testing.assert_frame_equal(
        whole.metrics.drop(columns=times), onward.metrics.drop(columns=times)
    )
    pd.testing.assert_frame_equal(whole.acquisitions, onward.acquisitions)


def test_its_memory_is_predicted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "LARGE", 0)
    jal.sweep(POOL, "random", ceilings=ORACLE, seeds=6, **{**SETTINGS, "progress": True})
    assert capsys.readouterr().err.count("memory: at most") == 2


# Where it may be asked for.


def test_it_is_no_strategy_nor_init() -> None:
    assert not {*selection.CEILINGS} & {*selection.STRATEGIES, *selection.INITS}
    for kind in ("strategy", "init"):
        with pytest.raises(
            JalError, match=rf"oracle is no {kind}: it reads hidden labels.*ceilings"
        ):
            selection.as_choices("oracle", kind)  # type: ignore[arg-type]
    with pytest.raises(JalError, match="reads hidden labels"):
        jal.sweep(POOL, "oracle")
    with pytest.raises(JalError, match="'oracle' is a ceiling"):
        jal.register_strategy("oracle")
    with pytest.raises(JalError, match="reads hidden labels"):
        selection.make_strategy(Choice("oracle"))


def test_sessions_refuse_it() -> None:
    with pytest.raises(JalError, match=r"reads hidden labels.*only sweeps"):
        one_choice("strategy", "oracle")
    assert "ceilings" not in session_config()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ceilings": "oracle", "learner": "lora"}, "for which lora is too slow"),
        ({"ceilings": "oracle", "learner": ("frozen", "lora")}, "for which lora is too slow"),
        ({"ceilings": "margins"}, "margins is a strategy, no ceiling"),
        ({"ceilings": "orakle"}, "did you mean oracle"),
        ({"ceilings": "oracle(member='random')"}, "no option 'member'"),
        ({"ceilings": "oracle", "probe__dropout": 0.0}, r"as in dropquery\(rate=0.75\)"),
    ],
)
def test_a_config_that_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    config = sweep_config()
    set_keywords(config, SWEEP_FIELDS, changes)
    config.strategies = "random"
    with pytest.raises(JalError, match=said):
        check_words(config)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("draws", 0), "draws"), (("share", 0.0), "share"), (("members", "tcm"), "counts its queries"),
        (("members", "oracle"), "no strategy that jal brings"),
    ],
)  # fmt: skip
def test_impossible_options_are_errors(option: tuple, said: str) -> None:
    with pytest.raises(JalError, match=f"oracle: .*{said}"):
        selection.make_ceiling(Choice("oracle", (option,)))


def test_a_sweep_without_ceilings_is_what_it_was_before_there_were_any() -> None:
    now = sweep_config().to_dict()
    before = {name: value for name, value in now.items() if name != "ceilings"}
    assert extensions(before, now) == ([], [])


def test_several_are_taken_as_text_as_choices_or_in_a_list() -> None:
    expected = (CHOICE, Choice("oracle"))
    assert selection.as_ceilings(f"{ORACLE},oracle") == expected
    assert selection.as_ceilings([CHOICE, "oracle", "oracle"]) == expected
    assert selection.as_ceilings("") == selection.as_ceilings(()) == ()
    with pytest.raises(JalError, match="ceilings takes names"):
        selection.as_ceilings(3)
