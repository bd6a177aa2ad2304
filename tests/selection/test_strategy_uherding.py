"""UHerding against the explicit kernel and weights; with even weights it is MaxHerding."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from kernel_cover import assert_greedy, kernel_of
from strategy_views import compiled, logits, make_view, pool_of, probabilities_of, unit_rows

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import make_strategy
from jal.selection.temperature import temperature
from jal.selection.uherding import width

K = 6
find = jax.jit(temperature, static_argnums=(2, 3))
width_of = jax.jit(width, static_argnums=1)


def unsure(view: View, heat: float) -> np.ndarray:
    """f64[N], the weights."""
    ordered = np.sort(probabilities_of(logits(view) / heat), axis=1)
    return np.where(view.labelled, 0, 1 - (ordered[:, -1] - ordered[:, -2]))


def labelled_distances(view: View) -> np.ndarray:
    """f64[L, L], infinite for a row and itself."""
    units = unit_rows(view.pool_features)[np.asarray(view.labelled)]
    distances = np.linalg.norm(units[:, None] - units[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("calibration", ["last", "none"])
def test_picks_are_greedy_for_the_weighted_cover(seed: int, calibration: str) -> None:
    view, key = make_view(seed, rows=83, labelled=20, set_aside=9), jax.random.key(seed)
    strategy = compiled("uherding", calibration=calibration)
    picks, _ = strategy.select(key, view, (), (), K)
    heat = 1.0
    if calibration == "last":
        heat = float(find(jax.random.split(key, 3)[1], view, "last", 5))
    sigma, weights = labelled_distances(view).min(), unsure(view, heat)
    kernel, available = kernel_of(view, sigma), np.asarray(view.available)
    assert_greedy(picks.tolist(), kernel, np.asarray(view.labelled), available, weights)


@pytest.mark.parametrize("seed", range(5))
def test_even_weights_are_maxherding(seed: int) -> None:
    view, key = make_view(seed, rows=83), jax.random.key(seed)
    unsure_of_all = replace(
        view.probe, kernel=0 * view.probe.kernel, bias=np.zeros(view.num_classes, np.float32)
    )
    view = replace(view, probe=unsure_of_all)
    picks, _ = compiled("uherding", sigma=1.0, calibration="none").select(key, view, (), (), 20)
    even = compiled("maxherding")
    cache = even.prepare(key, pool_of(view), ())
    expected, _ = even.select(key, view, cache, even.start(key, view, cache), 20)
    assert picks.tolist() == expected.tolist()


def test_with_nothing_labelled_it_is_maxherding() -> None:
    view, key = make_view(2, rows=83, labelled=0), jax.random.key(2)
    picks, _ = compiled("uherding").select(key, view, (), (), K)
    even = compiled("maxherding")
    cache = even.prepare(key, pool_of(view), ())
    expected, _ = even.select(key, view, cache, even.start(key, view, cache), K)
    assert picks.tolist() == expected.tolist()


@pytest.mark.parametrize("labelled", [2, 9, 300])
def test_widths_are_those_of_the_labelled_distances(labelled: int) -> None:
    view = make_view(3, rows=400, labelled=labelled)
    nearest = np.sort(labelled_distances(view).min(axis=1))
    assert float(width_of(view, "smallest")) == pytest.approx(nearest[0], rel=1e-3)
    median = nearest[(labelled - 1) // 2]
    assert float(width_of(view, "median")) == pytest.approx(median, rel=1e-3)


def test_duplicates_of_a_label_do_not_make_the_kernel_vanish() -> None:
    view = make_view(3, rows=60, labelled=9)
    features, rows = np.array(view.pool_features), np.flatnonzero(view.labelled)
    features[rows[:4]] = 3 * features[rows[0]]
    same = replace(view, pool_features=features)
    distances = labelled_distances(same)
    expected = distances[distances > 1e-6].min()
    assert float(width_of(same, "smallest")) == pytest.approx(expected, rel=1e-3)
    features[rows] = features[rows[0]]
    for how in ("smallest", "median"):
        assert float(width_of(replace(view, pool_features=features), how)) == 1
    assert float(width_of(make_view(3, labelled=1), "smallest")) == 1


def test_the_group_the_probe_is_unsure_of_comes_first() -> None:
    angles = np.array([0.0, 0.1, 0.2, 1.5, 1.6, 1.7, 3.0, 4.5])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    view = make_view(0, rows=8, dimension=2, classes=2, labelled=0)
    taken = np.arange(8) >= 6
    order = np.array([6, 7, *np.zeros(6)], np.int32)
    head = replace(
        view.probe, mean=np.zeros(2, np.float32), variance=np.ones(2, np.float32),
        kernel=np.array([[5, 0], [0, 0]], np.float32), bias=np.zeros(2, np.float32),
    )  # fmt: skip
    view = replace(
        view, features=rows, pool_features=rows, labelled=taken, available=~taken, probe=head,
        labels=np.where(taken, 0, -1).astype(np.int32), order=order, count=np.int32(2),
    )  # fmt: skip
    # Sure near (1, 0), where the first logit is 5; unsure near (0, 1).
    strategy = compiled("uherding", sigma=0.5, calibration="none")
    assert strategy.select(jax.random.key(0), view, (), (), 3)[0].tolist()[0] == 4


def test_a_part_of_a_large_pool_is_drawn_anew_for_each_query() -> None:
    view, key = make_view(4, rows=300, labelled=10), jax.random.key(4)
    part = compiled("uherding", limit=60)
    first, second = (part.select(jax.random.key(s), view, (), (), 5)[0].tolist() for s in (1, 2))
    assert first != second
    picks, _ = part.select(key, view, (), (), 290)
    assert sorted(picks.tolist()) == np.flatnonzero(view.available).tolist()


@pytest.mark.slow
def test_a_part_covers_nearly_as_much_as_the_whole() -> None:
    reached: dict[int, list[float]] = {600: [], 200: []}
    for seed in range(5):
        view, key = make_view(seed, rows=600, labelled=15, classes=5), jax.random.key(seed)
        kernel, weights = kernel_of(view, 0.5), unsure(view, 1)
        cover = kernel[np.asarray(view.labelled)].max(axis=0)
        for limit, found in reached.items():
            part = compiled("uherding", sigma=0.5, calibration="none", limit=limit)
            picks = np.asarray(part.select(key, view, (), (), 10)[0])
            found.append(float((np.maximum(kernel[picks].max(axis=0), cover) * weights).sum()))
    assert np.mean(reached[200]) > 0.93 * np.mean(reached[600])


@pytest.mark.parametrize(
    "option",
    [("adapt", "largest"), ("sigma", 0.0), ("calibration", "first"), ("bins", -1), ("limit", 0)],
)
def test_impossible_options_are_errors(option: tuple) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_strategy(Choice("uherding", (option,)))
