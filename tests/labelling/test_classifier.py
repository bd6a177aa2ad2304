"""The classifier that a session ends with: an estimator, saved and loaded, and its probe's own logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from clustered_pool import clustered_arrays
from damage import mutated
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

import jal
from jal.errors import JalError
from jal.labelling.classifier import DESCRIPTION, WEIGHTS, Classifier, load_classifier
from jal.learners import probe

X, Y, TEST_X, TEST_Y = clustered_arrays(rows=120, dimension=8)
NAMES = np.array(["ash", "birch", "cedar", "date"])


def labelled_session(**settings: Any) -> jal.Session:
    session = jal.Session(X, classes=list(NAMES), progress=False, **settings)
    session.tell(np.arange(60), NAMES[Y[:60]])
    return session


@pytest.mark.parametrize("kind", ["linear", "residual", "ridge", "logistic", "prototype"])
def test_its_logits_are_the_probe_s(kind: str) -> None:
    session = labelled_session(probe__kind=kind, probe__max_epochs=40)
    made = session.classifier()
    plan = session._training.plan(session.ledger, with_audits=True)
    assert plan is not None
    head = jax.tree.map(lambda leaf: leaf[0], session._training.fitted(plan).probe)
    np.testing.assert_allclose(
        made.decision_function(TEST_X), probe.logits(head, TEST_X), rtol=1e-4, atol=1e-4
    )
    frame = session.predictions()
    assert list(made.predict(X)) == list(frame["predicted"])
    np.testing.assert_allclose(
        made.predict_proba(X), frame[[f"p({name})" for name in NAMES]], atol=1e-5
    )
    plain = X @ made.arrays_["kernel"] + made.arrays_["bias"]
    if kind != "residual":
        np.testing.assert_allclose(made.decision_function(X), plain, rtol=1e-6)
    assert made.score(TEST_X, NAMES[TEST_Y]) > 0.7


@pytest.mark.parametrize("kind", ["linear", "residual", "ridge"])
def test_it_is_saved_and_loaded(tmp_path: Path, kind: str) -> None:
    made = labelled_session(probe__kind=kind, probe__max_epochs=40).classifier()
    made.save(tmp_path / "c")
    again = jal.load_classifier(tmp_path / "c")
    np.testing.assert_array_equal(again.predict_proba(TEST_X), made.predict_proba(TEST_X))
    assert again.get_params() == made.get_params()
    assert again.about_ == made.about_
    assert set(load_file(tmp_path / "c" / WEIGHTS)) == set(made.arrays_)
    assert again.about_["labels"] == 60


def test_audits_join_in_the_end() -> None:
    session = jal.Session(X, classes=list(NAMES), progress=False)
    for _ in range(3):
        batch = session.ask(10)
        session.tell(batch["row"], NAMES[Y[batch["row"]]])
    assert session.classifier().about_["labels"] == 30
    without = session.classifier(with_audits=False)
    assert without.about_["labels"] == 24
    assert without.about_["accuracy"]["audited"] == 6


def test_it_is_an_estimator_of_scikit_learn() -> None:
    estimator = Classifier(max_epochs=60, seed=3)
    assert clone(estimator).get_params() == estimator.get_params()
    scores = cross_val_score(estimator, X, NAMES[Y], cv=3)
    assert scores.mean() > 0.8
    fitted = estimator.fit(X, Y)
    assert fitted.predict(TEST_X).dtype == Y.dtype
    np.testing.assert_allclose(fitted.predict_proba(TEST_X).sum(axis=1), 1, rtol=1e-5)


def test_a_kind_has_the_penalty_that_it_has_in_sweeps() -> None:
    one = Classifier(kind="ridge").fit(X, Y)
    other = Classifier(kind="ridge", weight_decay=1.0).fit(X, Y)
    np.testing.assert_array_equal(one.arrays_["kernel"], other.arrays_["kernel"])
    weaker = Classifier(kind="ridge", weight_decay=1e-3).fit(X, Y)
    assert not np.allclose(one.arrays_["kernel"], weaker.arrays_["kernel"])
    assert clone(one).get_params() == one.get_params()


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(NotFittedError, match="not trained"):
        Classifier().predict(X)
    fitted = Classifier(max_epochs=2).fit(X, Y)
    with pytest.raises(JalError, match="X has 3 columns"):
        fitted.predict(X[:, :3])
    with pytest.raises(JalError, match="y has 3 labels"):
        Classifier().fit(X, Y[:3])
    with pytest.raises(JalError, match="which model"):
        fitted.predict_images("somewhere")
    with pytest.raises(JalError, match=r"holds no classifier\.json"):
        load_classifier("nowhere")


def test_damaged_files_are_said_or_harmless(tmp_path: Path) -> None:
    made = Classifier(max_epochs=2).fit(X, NAMES[Y])
    made.save(tmp_path)
    for name in (WEIGHTS, DESCRIPTION):
        whole = (tmp_path / name).read_bytes()
        said = []
        for broken in mutated(whole, 200):
            (tmp_path / name).write_bytes(broken)
            try:
                load_classifier(tmp_path).predict(TEST_X)
            except JalError as error:
                said.append(str(error))
        assert said
        assert all(str(tmp_path) in text for text in said)
        (tmp_path / name).write_bytes(whole)
    values = json.loads((tmp_path / DESCRIPTION).read_text())
    for name in values:
        broken = {key: value for key, value in values.items() if key != name}
        (tmp_path / DESCRIPTION).write_text(json.dumps(broken))
        with pytest.raises(JalError, match=name):
            load_classifier(tmp_path)


def test_whole_numbers_are_as_good_as_others_when_it_is_loaded(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for decay in (0, None):
        made = Classifier(weight_decay=decay, dropout=0, max_epochs=2)
        made.fit(features, np.arange(20) % 2)
        again = load_classifier(made.save(tmp_path / "c"))
        np.testing.assert_array_equal(again.arrays_["kernel"], made.arrays_["kernel"])
