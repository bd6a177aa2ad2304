"""Uncertainty, entropy and margins: one score of the probe's prediction each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.selection import batches, scores


def scored(
    score: Callable[[Key, View], Array], *, oversample: int, typical: bool, balanced: bool
) -> Strategy:
    """The strategy that takes the highest of a score f32[N] of `(key, view)`, with these options."""
    batches.check_options(balanced, oversample, typical)

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        picks = batches.by_score(
            jax.random.split(view.clustering)[1],
            score(jax.random.split(key)[0], view),
            view,
            k,
            oversample=oversample,
            typical=typical,
            balanced=balanced,
        )
        return picks, state

    return Strategy(select)


def _by_predictive(
    score: scores.Score, dropout: bool, rate: float | None, **options: Any
) -> Strategy:
    scores.check_rate("the strategy", rate)
    if rate is not None and not dropout:
        raise JalError(f"rate is {rate}, but nothing is drawn; set dropout=True too.")
    score_of = partial(scores.predictive, score=score, dropout=dropout, rate=rate)
    return scored(score_of, **options)


def uncertainty(
    *,
    dropout: bool = False,
    rate: float | None = None,
    oversample: int = 1,
    typical: bool = False,
    balanced: bool = False,
) -> Strategy:
    """Lowest top-1 probability first (Lewis & Gale, SIGIR 1994).

    Args:
      dropout: score one Monte Carlo dropout draw instead of the plain prediction.
      rate: the draw's dropout rate; None for the probe's own.
      oversample: cluster the best oversample·k and take the representatives (1: take the best k).
      typical: take the middle of the ranking instead of its top.
      balanced: keep the best 10 %, then take them evenly from the predicted classes (PEAL).

    Raises:
      JalError: on an oversample below 1, a rate outside (0, 1), or options that do not go together.
    """
    options = {"oversample": oversample, "typical": typical, "balanced": balanced}
    return _by_predictive(scores.least_confidence, dropout, rate, **options)


def entropy(
    *,
    dropout: bool = False,
    rate: float | None = None,
    oversample: int = 1,
    typical: bool = False,
    balanced: bool = False,
) -> Strategy:
    """Highest predictive entropy first (Wang & Shang, IJCNN 2014); options as in `uncertainty`."""
    options = {"oversample": oversample, "typical": typical, "balanced": balanced}
    return _by_predictive(scores.entropy, dropout, rate, **options)


def margins(
    *,
    dropout: bool = False,
    rate: float | None = None,
    oversample: int = 1,
    typical: bool = False,
    balanced: bool = False,
) -> Strategy:
    """Smallest top-1 minus top-2 probability first (Scheffer et al., IDA 2001); options likewise."""
    options = {"oversample": oversample, "typical": typical, "balanced": balanced}
    return _by_predictive(scores.negative_margin, dropout, rate, **options)
