"""A strategy or an initialisation under test: asked as the engine asks it, compiled once a shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jal import experiment
from jal.core.spec import Choice
from jal.core.types import Strategy, View
from jal.selection import Kind, as_choices, make_init, make_strategy
from jal.selection.choices import One
from jal.testing.cases import Case

K = 5  # a batch
SCHEDULE = (8, K, K)
_GIVEN = Choice("given")


class Subject:
    """A strategy or an initialisation under test.

    Args:
      kind: "strategy" or "init".
      what: a factory, a `Strategy`, a name with options, or a `Choice`.
      clusters: whether its picks depend on `view.clustering`; None does not ask.
      reads_view: whether they depend on more than the key.

    Attributes:
      made: the strategy.
      traces: how often `select` was traced, by rows, dtype and k.
    """

    def __init__(
        self, kind: Kind, what: One, *, clusters: bool | None = None, reads_view: bool = True
    ) -> None:
        (self._choice,) = as_choices(what, kind)
        self.kind, self.clusters, self.reads_view = kind, clusters, reads_view
        make = make_strategy if kind == "strategy" else make_init
        self.made: Strategy = make(self._choice)
        self.traces: Counter[tuple[int, str, int]] = Counter()
        self._select = jax.jit(self._traced, static_argnums=4)
        self._start = jax.jit(self.made.start)
        self._prepare = jax.jit(lambda pool: experiment.prepare(self.made, pool, SCHEDULE))
        self._caches: dict[int, tuple[Any, Any]] = {}

    def _traced(self, key: Any, view: View, cache: Any, state: Any, k: int) -> Any:
        self.traces[view.features.shape[0], str(view.features.dtype), k] += 1
        picks, after = self.made.select(key, view, cache, state, k)
        before = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state)
        self.require(
            before == jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after),
            "changes the structure, shapes or dtypes of its state",
        )
        return picks, after

    def require(self, kept: Any, failure: str) -> None:
        """Raises AssertionError with this sentence, unless it is kept."""
        if not kept:
            raise AssertionError(f"{self.kind} {self._choice} {failure}.")

    def prepare(self, case: Case, k: int = K) -> Any:
        """What it prepares for the case's pool; of `given`, the caller's own indices."""
        if self.kind == "init" and self._choice == _GIVEN:
            return np.flatnonzero(case.available)[::-1][:k].astype(np.int32)
        features = case.pool.features
        if id(features) not in self._caches:
            # The features are kept with it, so that no other array gets their id.
            self._caches[id(features)] = features, self._prepare(case.pool)
        return self._caches[id(features)][1]

    def ask(self, view: View, cache: Any, key: Any, k: int = K, state: Any = None) -> Any:
        """`(picks, state)`, compiled; with no state yet, the strategy starts here."""
        if state is None:
            state = self._start(jax.random.fold_in(key, 1), view, cache)
        return self._select(key, view, cache, state, k)

    def picks(
        self, case: Case, said: str, *, k: int = K, clustering: int | None = None
    ) -> list[int]:
        """The picks of a first query, valid ones.

        Args:
          case: the situation.
          said: in words, for the sentence that says what failed.
          k: how many.
          clustering: the seed of the clustering's key, if not the case's.
        """
        with self.during(said):
            key, cache = jax.random.key(case.seed), self.prepare(case, k)
            picks, _ = self.ask(case.view(clustering), cache, key, k)
        return self.valid(picks, case.available, k, said)

    @contextmanager
    def during(self, said: str) -> Iterator[None]:
        """Says in one sentence what a strategy's own code raises."""
        try:
            yield
        except AssertionError:
            raise
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "")
            raise AssertionError(
                f"{self.kind} {self._choice} fails {said}: {type(error).__name__}: {reason}"
            ) from error

    def valid(self, picks: Any, available: Any, k: int, said: str) -> list[int]:
        """The picks as a list, once they are k distinct available positions, i32[k]."""
        asked = f"{said}, asked for {k}"
        shape, dtype = jnp.shape(picks), jnp.result_type(picks)
        self.require(
            (shape, dtype) == ((k,), jnp.int32),
            f"returns {dtype}{list(shape)}, not int32[{k}], {asked}",
        )
        found = np.asarray(picks).tolist()
        self.require(len(set(found)) == k, f"picks a row twice {asked}")
        inside = all(0 <= row < len(available) for row in found)
        self.require(
            inside and available[found].all(), f"picks a row that is not available {asked}"
        )
        return found
