"""Dropout: frequencies, independence and scale of masks that share random words."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jal.ops import dropout as dropouts
from jal.ops.dropout import bits_per_element, effective_rate

keep_mask = jax.jit(dropouts.keep_mask, static_argnums=(1, 2))
dropout = jax.jit(dropouts.dropout, static_argnums=1)
ROWS, COLUMNS = 1500, 70  # no multiple of the 2, 4, 8, 16 or 32 elements that share a word


@pytest.mark.parametrize(
    ("rate", "bits"),
    [(0.5, 1), (0.75, 2), (0.25, 2), (0.875, 4), (3 / 256, 8), (0.1, 16), (1 / 3, 16)],
)
def test_fewest_bits(rate: float, bits: int) -> None:
    assert bits_per_element(rate) == bits
    assert effective_rate(rate) == pytest.approx(rate, abs=2**-17)


@pytest.mark.parametrize("rate", [0.5, 0.75, 0.25, 0.0625, 0.3, 0.9])
def test_frequencies(rate: float) -> None:
    mask = np.asarray(keep_mask(jax.random.key(1), rate, (ROWS, COLUMNS)))
    assert mask.shape == (ROWS, COLUMNS)
    sd = np.sqrt(rate * (1 - rate))
    assert mask.mean() == pytest.approx(1 - rate, abs=4 * sd / np.sqrt(mask.size))
    # Each position within a word by itself: a wrong shift would show in one column only.
    np.testing.assert_allclose(mask.mean(axis=0), 1 - rate, atol=4.5 * sd / np.sqrt(ROWS))


@pytest.mark.parametrize("rate", [0.5, 0.75, 0.3])
def test_elements_of_a_word_are_independent(rate: float) -> None:
    mask = np.asarray(keep_mask(jax.random.key(2), rate, (ROWS, COLUMNS)), float)
    correlation = np.corrcoef(mask.T)[np.triu_indices(COLUMNS, 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(ROWS)
    rows = np.corrcoef(mask[:60])[np.triu_indices(60, 1)]
    assert np.abs(rows).mean() < 1.2 * np.sqrt(2 / np.pi / COLUMNS)


@pytest.mark.parametrize("rate", [0.75, 0.3])
def test_a_row_does_not_depend_on_the_rows_that_follow(rate: float) -> None:
    short = keep_mask(jax.random.key(3), rate, (5, 33))
    long = keep_mask(jax.random.key(3), rate, (64, 33))
    np.testing.assert_array_equal(short, np.asarray(long)[:5])


def test_keys_differ() -> None:
    one, two = (keep_mask(jax.random.key(seed), 0.5, (ROWS, COLUMNS)) for seed in (1, 2))
    assert 0.48 < np.mean(np.asarray(one) == np.asarray(two)) < 0.52


@pytest.mark.parametrize("rate", [0.75, 0.3])
def test_kept_values_are_scaled_and_the_mean_is_kept(rate: float) -> None:
    rows = np.random.default_rng(0).uniform(1, 2, (ROWS, COLUMNS)).astype(np.float32)
    dropped = np.asarray(dropout(jax.random.key(4), rate, rows))
    kept = np.asarray(keep_mask(jax.random.key(4), rate, rows.shape))
    expected = np.where(kept, rows / (1 - effective_rate(rate)), 0)
    np.testing.assert_allclose(dropped, expected, rtol=1e-6)
    assert dropped.mean() == pytest.approx(float(rows.mean()), rel=0.03)


def test_rate_zero_is_the_identity() -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_array_equal(dropout(jax.random.key(0), 0.0, rows), rows)
