"""jal.testing finds what a strategy does wrong, and says it in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jal
from jal.core.types import Strategy, View
from jal.errors import JalError
from jal.selection import batches
from jal.testing import CHECKS, Subject, check_init, check_strategy

Select = Callable[..., Any]
WRONG: dict[
    str, tuple[str, Strategy]
] = {}  # a part of the sentence, and the strategy it is said of


def wrong(sentence: str, **parts: Any) -> Callable[[Select], Select]:
    """Enters a strategy of whose faults this is said."""

    def enter(select: Select) -> Select:
        WRONG[select.__name__] = sentence, Strategy(select, **parts)
        return select

    return enter


def scores_of(view: View) -> Any:
    return view.features[:, 0].astype(jnp.float32)


@wrong("distinct_available_picks: picks a row that is not available on a random pool")
def takes_labelled_rows(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return batches.top_k(view.labelled - 0.0, jnp.ones_like(view.labelled), k), state


@wrong("all_that_is_left: picks a row that is not available with no other row available")
def looks_at_labelled_not_available(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return batches.top_k(scores_of(view), ~view.labelled, k), state


@wrong("distinct_available_picks: picks a row twice")
def takes_the_best_again(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return jnp.tile(batches.top_k(scores_of(view), view.available, 1), k), state


@wrong(r"distinct_available_picks: returns float32\[5\], not int32\[5\]")
def returns_floats(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return batches.top_k(scores_of(view), view.available, k).astype(jnp.float32), state


@wrong(r"distinct_available_picks: returns int32\[4\], not int32\[5\]")
def returns_too_few(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return batches.top_k(scores_of(view), view.available, k)[1:], state


@wrong("distinct_available_picks: fails on a random pool: .*Tracer")
def branches_on_data(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    k = k if view.labelled.sum() > 3 else 1
    return batches.top_k(scores_of(view), view.available, k), state


@wrong("same_key_same_picks|jitted_equals_eager|mapped_is_close_to_alone: picks otherwise")
def draws_outside_the_key(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    noise = np.random.default_rng().random(view.labelled.shape)
    return batches.top_k(jnp.asarray(noise), view.available, k), state


@wrong("duplicates: picks a row that is not available")
def divides_by_spread(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    scores = scores_of(view) / (scores_of(view).max() - scores_of(view).min())
    return jax.lax.top_k(scores - 1e9 * ~view.available, k)[1], state


@wrong("changes the structure, shapes or dtypes of its state", start=lambda *_: jnp.int32(0))
def grows_its_state(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return batches.top_k(scores_of(view), view.available, k), jnp.append(state, k)


@wrong("more_than_the_key_matters: picks the same whatever it sees; if that is meant, pass reads")
def sees_nothing(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return batches.uniform(key, view.available, k), state


@wrong(
    "half_precision_in_chunks: fails on features in float16, a pool of several chunks: TypeError"
)
def minds_the_dtype(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    if view.features.dtype == jnp.float16:
        raise TypeError("float16?\nno")
    return batches.top_k(scores_of(view), view.available, k), state


@wrong("clustering_has_a_key_of_its_own: picks otherwise with another view.clustering; if it clust")
def clusters_unsaid(key: Any, view: Any, cache: Any, state: Any, k: int) -> Any:
    return batches.uniform(view.clustering, view.available & (scores_of(view) > -9), k), state


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    sentence, strategy = WRONG[name]
    subject, said = Subject("strategy", strategy, clusters=False), []
    for check, run in CHECKS.items():
        try:
            run(subject)
        except AssertionError as error:
            said.append(f"{check}: {error}")
    own = [text.replace(f"strategy {name} ", "") for text in said]
    assert all("\n" not in text for text in said)
    assert all(text != short for text, short in zip(said, own, strict=True))
    assert any(re.search(sentence, text) for text in own), said


def test_a_right_one_passes_under_any_name() -> None:
    def last() -> Strategy:
        def select(key: Any, view: View, cache: Any, state: Any, k: int) -> Any:
            return batches.top_k(scores_of(view), view.available, k), state

        return Strategy(select)

    for strategy in (last, last()):
        check_strategy(strategy, clusters=False)
    check_init(last)
    check_strategy("random", reads_view=False)
    assert jal.testing.check_strategy is check_strategy


def test_the_first_fault_is_raised() -> None:
    with pytest.raises(AssertionError, match="strategy sees_nothing picks the same whatever"):
        check_strategy(WRONG["sees_nothing"][1])
    with pytest.raises(AssertionError, match="init takes_the_best_again picks a row twice"):
        check_init(WRONG["takes_the_best_again"][1])
    with pytest.raises(JalError, match="unknown strategy 'marginz'"):
        check_strategy("marginz")
