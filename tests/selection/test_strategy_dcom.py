"""DCoM against explicit graphs: radii, competence, and the picks of three rounds."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import compiled, logits, make_view, pool_of, probabilities_of, unit_rows

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import make_strategy
from jal.selection.dcom import competence

K = 5
select, start, prepare, _ = compiled("dcom")


class Oracle:
    """The method on a matrix of distances."""

    def __init__(self, view: View) -> None:
        units = unit_rows(view.pool_features)
        self.distances = np.linalg.norm(units[:, None] - units[None], axis=2)
        self.radii: dict[int, float] = {}

    def covered(self, radii: dict[int, float]) -> np.ndarray:
        found = np.zeros(len(self.distances), bool)
        for row, radius in radii.items():
            found |= self.distances[row] < radius
        return found

    def take_in(self, view: View) -> None:
        """Finds the radii of the labels that are new."""
        predicted = logits(view).argmax(axis=1)
        new = [row for row in np.flatnonzero(view.labelled) if row not in self.radii]
        usual = np.mean(list(self.radii.values())) if self.radii else 0.6
        least = 0.4 + 0.2 * self.covered(self.radii | dict.fromkeys(new, usual)).mean()
        for row in new:
            low, high = 0.0, 1.1
            while high - low > 0.05:
                middle = (low + high) / 2
                ball = predicted[self.distances[row] < middle]
                pure = (ball == int(view.labels[row])).mean() >= least
                low, high = (middle, high) if pure else (low, middle)
            self.radii[row] = round((low + high) / 2, 2)

    def check(self, view: View, picks: list[int]) -> float:
        """Each pick is the best there is, up to rounding; returns the competence."""
        mean, covered = np.mean(list(self.radii.values())), self.covered(self.radii)
        weight = np.round((1 + np.exp(-10)) / (1 + np.exp(-50 * (covered.mean() - 0.8))), 3)
        ordered = np.sort(probabilities_of(logits(view)), axis=1)
        unsure = 1 - (ordered[:, -1] - ordered[:, -2])
        unsure -= unsure.min()
        allowed = np.array(view.available)
        for pick in picks:
            degrees = ((self.distances < mean) & ~covered).sum(axis=1)
            share = [
                np.where(allowed, of, 0) / (of[allowed].max() or 1) for of in (unsure, degrees)
            ]
            scores = np.where(allowed, weight * share[0] + (1 - weight) * share[1], -1)
            assert scores[pick] > scores.max() - 1e-4
            covered |= self.distances[pick] < mean
            allowed[pick] = False
        return float(weight)


@pytest.mark.parametrize("seed", range(10))
def test_three_rounds_are_the_oracle_s(seed: int) -> None:
    view, key = make_view(seed, rows=83, dimension=4, set_aside=6), jax.random.key(seed)
    cache, oracle = prepare(key, pool_of(view), ()), Oracle(view)
    state = start(key, view, cache)
    hidden = np.random.default_rng(seed).integers(0, 5, 83).astype(np.int32)
    for _ in range(3):
        picks, state = select(key, view, cache, state, K)
        oracle.take_in(view)
        found = {row: float(state.radii[row]) for row in oracle.radii}
        assert found == pytest.approx(oracle.radii, abs=1e-6)
        oracle.check(view, picks.tolist())
        labelled = np.array(view.labelled)
        labelled[np.asarray(picks)] = True
        labels = np.where(labelled & ~np.asarray(view.labelled), hidden, np.asarray(view.labels))
        view = replace(
            view, labelled=labelled, labels=labels, available=np.asarray(view.available) & ~labelled
        )


def test_competence_rises_with_coverage() -> None:
    weights = [float(competence(np.float32(c), 50.0, 0.8)) for c in (0, 0.7, 0.8, 0.9, 1)]
    assert weights == pytest.approx([0, 0.007, 0.5, 0.993, 1], abs=1e-6)


def test_it_covers_first() -> None:
    view, key = make_view(2, rows=83, dimension=4, labelled=1), jax.random.key(2)
    oracle, cache = Oracle(view), prepare(key, pool_of(view), ())
    oracle.take_in(view)
    picks, _ = select(key, view, cache, start(key, view, cache), K)
    assert oracle.check(view, picks.tolist()) < 0.01


def test_all_covered_and_sure_of_everything_still_gives_distinct_picks() -> None:
    view, key = make_view(2, rows=83, dimension=4, labelled=1), jax.random.key(2)
    cache = prepare(key, pool_of(view), ())
    # Balls that hold everything, and predictions that make all of them pure.
    wide = compiled("dcom", delta=2.5, largest=5.0)
    one_class = replace(view, labels=np.where(view.labelled, 0, -1).astype(np.int32))
    sure = replace(view.probe, bias=np.array([1e3, 0, 0, 0, 0], np.float32))
    sure = replace(
        sure, kernel=np.asarray(view.probe.kernel) * np.array([0, 1, 1, 1, 1], np.float32)
    )
    one_class = replace(one_class, probe=sure)
    picks, state = wide.select(key, one_class, cache, wide.start(key, one_class, cache), K)
    assert float(state.radii.max()) > 2
    ordered = np.sort(probabilities_of(logits(one_class)), axis=1)
    assert (ordered[:, -1] - ordered[:, -2] == 1).all()
    assert len(set(picks.tolist())) == K


def test_at_full_competence_the_picks_are_those_of_margins() -> None:
    view, key = make_view(3, rows=83, dimension=4), jax.random.key(3)
    covering = compiled("dcom", centre=1e-6)
    cache = prepare(key, pool_of(view), ())
    picks, _ = covering.select(key, view, cache, covering.start(key, view, cache), K)
    expected, _ = compiled("margins").select(key, view, (), (), K)
    assert picks.tolist() == expected.tolist()


@pytest.mark.parametrize("option", ["delta", "largest", "resolution", "steepness", "centre"])
def test_impossible_options_are_errors(option: str) -> None:
    with pytest.raises(JalError, match=option):
        make_strategy(Choice("dcom", ((option, 0.0),)))
    with pytest.raises(JalError, match="at most largest"):
        make_strategy(Choice("dcom", (("delta", 2.0),)))
