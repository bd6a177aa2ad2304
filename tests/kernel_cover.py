"""The kernel matrix of a view, and whether picks are greedy for the cover by it."""

from __future__ import annotations

import numpy as np
from strategy_views import unit_rows

from jal.core.types import View


def kernel_of(view: View, sigma: float = 1.0) -> np.ndarray:
    """f64[N, N]."""
    units = unit_rows(view.pool_features)
    return np.exp(-np.square(units[:, None] - units[None]).sum(axis=2) / sigma**2)


def assert_greedy(
    picks: list[int], kernel: np.ndarray, labelled: np.ndarray, available: np.ndarray,
    weights: np.ndarray | float = 1.0,
) -> None:  # fmt: skip
    """Each pick is the best by the paper's algorithm 1, gains computed anew.

    Two rows with only each other left to gain have equal gains: rounding decides.
    """
    taken = list(np.flatnonzero(labelled))
    for pick in picks:
        cover = kernel[taken].max(axis=0) if taken else np.zeros(len(kernel))
        gains = (np.maximum(kernel - cover, 0) * weights).sum(axis=1)
        gains[~available | np.isin(np.arange(len(kernel)), taken)] = -1
        assert gains[pick] >= gains.max() - 1e-5
        taken.append(pick)
