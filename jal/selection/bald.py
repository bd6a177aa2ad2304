"""BALD and PowerBALD: mutual information between prediction and Monte Carlo dropout draw."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.selection import batches, scores
from jal.selection.uncertainty import scored

_TINY = 1e-37  # keeps the logarithm finite, so that samples without information are drawn uniformly


def _check_draws(name: str, draws: int) -> None:
    if draws < 1:
        raise JalError(f"{name}: draws is {draws}; at least one is needed.")


def bald(
    *,
    draws: int = 20,
    rate: float | None = None,
    oversample: int = 1,
    typical: bool = False,
    balanced: bool = False,
) -> Strategy:
    """Highest mutual information first (Houlsby et al., 2011; Gal, Islam & Ghahramani, ICML 2017).

    Args:
      draws: M, the number of dropout draws.
      rate: their dropout rate; None for the probe's own.
      oversample, typical, balanced: as in `jal.selection.uncertainty`.

    Raises:
      JalError: on fewer than one draw, a rate outside (0, 1), or options that do not go together.
    """
    _check_draws("bald", draws)
    scores.check_rate("bald", rate)
    return scored(
        partial(scores.mutual_information, draws=draws, rate=rate),
        oversample=oversample,
        typical=typical,
        balanced=balanced,
    )


def powerbald(*, draws: int = 20, rate: float | None = None, power: float = 1.0) -> Strategy:
    """Draws without replacement, in proportion to a power of the BALD score.

    Kirsch et al., *Stochastic Batch Acquisition* (TMLR 2023), section 3: the k highest of
    power·log(score) + Gumbel noise.

    Args:
      draws: M, the number of dropout draws.
      rate: their dropout rate; None for the probe's own.
      power: the paper's coldness β; 0 draws uniformly.

    Raises:
      JalError: on fewer than one draw, a rate outside (0, 1) or a negative power.
    """
    _check_draws("powerbald", draws)
    scores.check_rate("powerbald", rate)
    if power < 0:
        raise JalError(f"powerbald: power is {power}; it must be at least 0.")

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        draw_key, noise_key = jax.random.split(key)
        information = scores.mutual_information(draw_key, view, draws, rate)
        logs = power * jnp.log(jnp.maximum(information, _TINY))
        return batches.gumbel_top_k(noise_key, logs, view.available, k), state

    return Strategy(select)
