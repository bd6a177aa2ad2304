"""BALD and PowerBALD: mutual information between prediction and Monte Carlo dropout draw."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jal.core.types import Array, Cache, Key, Strategy, StrategyState, View
from jal.errors import JalError
from jal.selection import batches, scores

_TINY = 1e-37  # keeps the logarithm finite, so that samples without information are drawn uniformly


def _check_draws(name: str, draws: int) -> None:
    if draws < 1:
        raise JalError(f"{name}: draws is {draws}; at least one is needed.")


def bald(
    *, draws: int = 20, oversample: int = 1, typical: bool = False, balanced: bool = False
) -> Strategy:
    """Highest mutual information first (Houlsby et al., 2011; Gal, Islam & Ghahramani, ICML 2017).

    Args:
      draws: M, the number of dropout draws.
      oversample, typical, balanced: as in `jal.selection.uncertainty`.

    Raises:
      JalError: on fewer than one draw.
    """
    _check_draws("bald", draws)
    batches.check_options(balanced, oversample, typical)

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        information = scores.mutual_information(jax.random.split(key)[0], view, draws)
        picks = batches.by_score(
            jax.random.split(view.clustering)[1],
            information,
            view,
            k,
            oversample=oversample,
            typical=typical,
            balanced=balanced,
        )
        return picks, state

    return Strategy(select)


def powerbald(*, draws: int = 20, power: float = 1.0) -> Strategy:
    """Draws without replacement, in proportion to a power of the BALD score.

    Kirsch et al., *Stochastic Batch Acquisition* (TMLR 2023), section 3: the k highest of
    power·log(score) + Gumbel noise.

    Args:
      draws: M, the number of dropout draws.
      power: the paper's coldness β; 0 draws uniformly.

    Raises:
      JalError: on fewer than one draw or a negative power.
    """
    _check_draws("powerbald", draws)
    if power < 0:
        raise JalError(f"powerbald: power is {power}; it must be at least 0.")

    def select(
        key: Key, view: View, cache: Cache, state: StrategyState, k: int
    ) -> tuple[Array, StrategyState]:
        draw_key, batch_key = jax.random.split(key)
        information = scores.mutual_information(draw_key, view, draws)
        logs = power * jnp.log(jnp.maximum(information, _TINY))
        return batches.gumbel_top_k(batch_key, logs, view.available, k), state

    return Strategy(select)
