"""FALCUN against NumPy, and in its variant against scikit-activeml on the same forced picks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT
from strategy_views import compiled, logits, make_view, probabilities_of

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import falcun, make_strategy

K = 6
FIXTURE = ROOT / "tests" / "fixtures" / "falcun_utilities.npz"
relevance = jax.jit(falcun.relevance, static_argnums=(3, 4, 5))
nearer = jax.jit(falcun.nearer, static_argnums=3)
draws = jax.jit(jax.vmap(falcun.draw, (0, None)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_in_place_is_scikit_activeml_s(seed: int) -> None:
    with np.load(FIXTURE) as file:
        case = {name.split(".")[1]: file[name] for name in file if name.startswith(f"{seed}.")}
    probabilities, available = case["probabilities"].astype(np.float32), case["available"]
    ordered = np.sort(probabilities, axis=1)
    unsure = 1 - (ordered[:, -1] - ordered[:, -2])
    distance, allowed = unsure, available.copy()
    for pick, expected in zip(case["picks"], case["utilities"], strict=True):
        weights = relevance(unsure, distance, allowed, float(case["gamma"]), "in place", "both")
        assert (np.isnan(expected) == ~allowed).all()
        np.testing.assert_allclose(
            np.asarray(weights / weights.sum())[allowed], expected[allowed], rtol=1e-4, atol=1e-7
        )
        fresh = np.abs(probabilities - probabilities[pick]).sum(axis=1)
        distance = nearer(distance, fresh, available, "in place")
        allowed[pick] = False


def oracle_weights(
    view: View, picks: list[int], gamma: float, rescale: str, weight: str
) -> np.ndarray:
    """f64[N], the probabilities of the next pick."""
    probabilities, available = probabilities_of(logits(view)), np.asarray(view.available)
    ordered = np.sort(probabilities, axis=1)
    unsure = 1 - (ordered[:, -1] - ordered[:, -2])
    left, distance = available.copy(), unsure.copy()
    for pick in picks:
        distance = np.minimum(distance, np.abs(probabilities - probabilities[pick]).sum(axis=1))
        left[pick] = False
        if rescale == "in place":
            distance -= distance[available].min()
            distance /= distance[available].max() or 1
    if weight == "both":
        if rescale == "copy":
            low, high = distance[left].min(), distance[left].max()
            distance = (distance - low) / (high - low) if high > low else 0 * distance
        distance = distance + unsure
    powers = np.where(left, distance, 0) ** gamma
    return powers / powers.sum()


@pytest.mark.parametrize(
    "options",
    [{}, {"rescale": "in place"}, {"weight": "dist"}, {"gamma": 2.5},
     {"rescale": "in place", "weight": "dist"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("seed", range(4))
def test_every_pick_is_where_the_oracle_s_draw_falls(seed: int, options: dict[str, Any]) -> None:
    view, key = make_view(seed, set_aside=5), jax.random.key(seed)
    picks = compiled("falcun", **options).select(key, view, (), (), K)[0].tolist()
    settings = {"gamma": 10.0, "rescale": "copy", "weight": "both"} | options
    for index, uniform in enumerate(np.asarray(jax.random.uniform(key, (K,)), np.float64)):
        weights = oracle_weights(view, picks[:index], **settings)
        upto = np.cumsum(weights)
        # The interval of the pick, a hair wider for rounding.
        assert upto[picks[index]] - weights[picks[index]] - 1e-4 <= uniform
        assert uniform <= upto[picks[index]] + 1e-4


def test_draws_are_in_proportion_also_over_several_blocks() -> None:
    weights = np.zeros(1300, np.float32)
    places, shares = [0, 511, 512, 700, 1299], np.array([1, 2, 3, 0.5, 4])
    weights[places] = shares
    uniforms = (np.arange(4000, dtype=np.float32) + 0.5) / 4000
    counts = np.bincount(np.asarray(draws(uniforms, weights)), minlength=1300)
    np.testing.assert_allclose(counts[places] / 4000, shares / shares.sum(), atol=1e-3)
    assert counts.sum() == counts[places].sum()
    ends = np.array([0, 1 - 2.0**-24], np.float32)
    assert draws(ends, weights).tolist() == [0, 1299]


def test_a_high_gamma_takes_the_least_sure_then_the_unlike() -> None:
    view = make_view(0, rows=6, dimension=3, classes=3, labelled=0)
    rows = np.log(
        [[0.5, 0.49, 0.01], [0.49, 0.5, 0.01], [0.5, 0.02, 0.48], [0.9, 0.05, 0.05],
         [0.05, 0.9, 0.05], [0.98, 0.01, 0.01]]
    ).astype(np.float32)  # fmt: skip
    head = replace(
        view.probe, kernel=np.eye(3, dtype=np.float32), bias=np.zeros(3, np.float32),
        mean=np.zeros(3, np.float32), variance=np.full(3, 1 - 1e-5, np.float32),
    )  # fmt: skip
    view = replace(view, features=rows, pool_features=rows, probe=head)
    picks = compiled("falcun", gamma=200.0).select(jax.random.key(3), view, (), (), 2)[0].tolist()
    assert set(picks) in ({0, 2}, {1, 2})


@pytest.mark.parametrize("classes", [5, 70])
def test_probabilities_that_are_not_held_pick_the_same(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, key = make_view(7, classes=classes), jax.random.key(7)
    held = compiled("falcun").select(key, view, (), (), K)[0]
    monkeypatch.setattr(falcun, "may_hold", lambda size: False)
    select = jax.jit(make_strategy(Choice("falcun")).select, static_argnums=4)
    assert select(key, view, (), (), K)[0].tolist() == held.tolist()


def test_sure_of_everything_still_gives_distinct_picks() -> None:
    view = make_view(1, rows=20)
    sure = replace(view.probe, kernel=0 * view.probe.kernel, bias=jnp.arange(5.0) * 1e4)
    picks, _ = compiled("falcun").select(jax.random.key(0), replace(view, probe=sure), (), (), 12)
    assert sorted(picks.tolist()) == np.flatnonzero(view.available).tolist()


@pytest.mark.parametrize("option", [("gamma", -1.0), ("rescale", "never"), ("weight", "unc")])
def test_impossible_options_are_errors(option: tuple) -> None:
    with pytest.raises(JalError, match=option[0]):
        make_strategy(Choice("falcun", (option,)))
