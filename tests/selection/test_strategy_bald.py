"""BALD and PowerBALD against the mutual information of explicit Monte Carlo draws."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from strategy_views import compiled, dropout_logits, make_view, probabilities_of

from jal.core.spec import Choice
from jal.core.types import View
from jal.errors import JalError
from jal.selection import make_strategy, scores

DRAWS = 20
information = jax.jit(scores.mutual_information, static_argnums=2)


def explicit_information(key: jax.Array, view: View) -> np.ndarray:
    """f64[N] from all M×N×C probabilities; a pool of one chunk draws with the chunk's key."""
    chunk_key = jax.random.fold_in(key, 0)
    drawn = np.stack(
        [
            np.asarray(dropout_logits(jax.random.fold_in(chunk_key, m), view.probe, view.features))
            for m in range(DRAWS)
        ]
    ).astype(np.float64)
    each = probabilities_of(drawn)
    mean = each.mean(axis=0)

    def entropy(p: np.ndarray) -> np.ndarray:
        return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0).sum(axis=-1)

    return entropy(mean) - entropy(each).mean(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_score_and_picks_are_the_oracles(seed: int) -> None:
    view, key = make_view(seed), jax.random.key(seed)
    draw_key, _ = jax.random.split(key)
    expected = explicit_information(draw_key, view)
    actual = np.asarray(information(draw_key, view, DRAWS))
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    picks, _ = compiled("bald").select(key, view, (), (), 10)
    unlabelled = np.flatnonzero(~np.asarray(view.labelled))
    ranked = unlabelled[np.argsort(-expected[unlabelled], kind="stable")]
    assert picks.tolist() == ranked[:10].tolist()


def test_powerbald_adds_gumbel_noise_to_the_log_of_bald() -> None:
    view, key = make_view(3), jax.random.key(3)
    draw_key, batch_key = jax.random.split(key)
    noise = np.asarray(jax.random.gumbel(batch_key, view.labelled.shape))
    for power in (1.0, 4.0):
        total = power * np.log(explicit_information(draw_key, view)) + noise
        unlabelled = np.flatnonzero(~np.asarray(view.labelled))
        ranked = unlabelled[np.argsort(-total[unlabelled])]
        picks, _ = compiled("powerbald", power=power).select(key, view, (), (), 10)
        assert picks.tolist() == ranked[:10].tolist()


def test_powerbald_draws_uniformly_where_nothing_informs() -> None:
    view = make_view(4, rows=40, labelled=0)
    flat = replace(view, probe=replace(view.probe, kernel=np.zeros_like(view.probe.kernel)))
    select = compiled("powerbald").select
    first = [np.asarray(select(jax.random.key(s), flat, (), (), 1)[0]).item() for s in range(60)]
    assert len(set(first)) > 20


def test_no_draws_is_an_error() -> None:
    for name in ("bald", "powerbald"):
        with pytest.raises(JalError, match="at least one"):
            make_strategy(Choice(name, (("draws", 0),)))
    with pytest.raises(JalError, match="power"):
        make_strategy(Choice("powerbald", (("power", -1.0),)))
