"""What a session computes: fits, picks and beliefs, by the same programs that a sweep runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from jal import selection
from jal.core.spec import bucket
from jal.core.types import ALState, Labelled, Pool
from jal.engine import programs as engine_programs
from jal.engine.drive import Prepared, Rounds, fit_stored, prepare_caches
from jal.engine.drive_lora import fit_images
from jal.engine.group import Group
from jal.engine.layout import Layout, make_layout
from jal.labelling import programs
from jal.learners.frozen import frozen
from jal.pools.images import LoraData

# One shape of the labelled set's order for most sessions, so that few programs are compiled.
_ROOM = 1024
_CHUNK = 4096


class Known(NamedTuple):
    """The labels to train on.

    Attributes:
      rows: i64[n], pool positions in the order in which they count.
      labels: i32[n].
    """

    rows: np.ndarray
    labels: np.ndarray


class Belief(NamedTuple):
    """What a fit makes of every pool row.

    Attributes:
      predicted: i32[N], the likeliest class.
      probability: f32[N], of it.
      second: i32[N], the second likeliest.
      second_probability: f32[N].
    """

    predicted: np.ndarray
    probability: np.ndarray
    second: np.ndarray
    second_probability: np.ndarray


@dataclass
class Learning:
    """A pool on the devices, and a group of one run that learns on it.

    Attributes:
      group: strategy, init, probe and seed.
      pool: on the host; its labels are never read.
      images: of the same rows, for the LoRA learner.
    """

    group: Group
    pool: Pool
    images: LoraData | None = None
    layout: Layout = field(default_factory=lambda: make_layout(1))
    prepared: Prepared = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._placed = self.layout.share_pool(self.pool)
        self._hyper = self.layout.spread(self.group.hyper())

    def fit(self, known: Known, number: int, before: ALState | None = None) -> ALState:
        """The state after training on what is known, as a sweep does in round `number`.

        Args:
          known: at least one label.
          number: the round; it decides the random numbers.
          before: the state of the round before, for a learner that goes on from it.
        """
        state, pool = self._state(known)
        if before is not None:
            state = replace(state, learner=before.learner)
        fitted, _ = self._rounds(pool, known).fit(state, number, len(known.rows))
        return fitted

    def believe(self, fitted: ALState) -> Belief:
        """What a fit makes of the pool."""
        run = (fitted.probe, self._own_features(fitted))
        found = programs.believe(self.layout)(run, self._placed, 0)
        return Belief(*(part[0] for part in self.layout.collect(found)))

    def probabilities(self, fitted: ALState, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """f32[R, C] of some pool rows."""
        rows = np.asarray(rows, np.int64)
        own = self._own_features(fitted)
        if own is not None:
            return self.of_features(fitted, self.layout.collect(own)[0][rows])
        return self.of_features(fitted, np.asarray(self.pool.features)[rows])

    def of_features(self, fitted: ALState, features: np.ndarray) -> np.ndarray:
        """f32[R, C] of any features f[R, D], a chunk of one shape at a time."""
        program, parts = programs.probabilities(self.layout), []
        for first in range(0, len(features), _CHUNK):
            part = features[first : first + _CHUNK]
            padded = np.pad(part, ((0, _CHUNK - len(part)), (0, 0)))
            run = (fitted.probe, self.layout.spread(padded[None]))
            parts.append(self.layout.collect(program(run, (), 0))[0][: len(part)])
        classes = self.pool.num_classes
        return np.concatenate(parts) if parts else np.zeros((0, classes), np.float32)

    def pick_first(self, available: np.ndarray, k: int, number: int) -> np.ndarray:
        """i64[k]: the init's picks as batch `number`, among the available bool[N]."""
        state, pool = self._state(Known(np.zeros(0, np.int64), np.zeros(0, np.int32)))
        spec, caches = self.group.spec, self._caches(pool)
        program = programs.first(spec.init, spec.probe, k, self.layout)
        run = (state, self.layout.spread(available[None]))
        found = program(run, (pool, caches.init), number)
        return np.asarray(self.layout.collect(found)[0], np.int64)

    def pick(
        self,
        fitted: ALState,
        known: Known,
        available: np.ndarray,
        k: int,
        number: int,
        strategy_state: Any = None,
    ) -> tuple[np.ndarray, Any]:
        """i64[k]: the strategy's picks as batch `number`, and its state after it.

        Args:
          fitted: on these labels.
          known: the labels.
          available: bool[N], what may be picked.
          k: how many.
          number: the batch; it decides the random numbers.
          strategy_state: after its last batch; None before its first.
        """
        spec = self.group.spec
        begun, pool = self._state(known)
        caches = self._caches(pool)
        if strategy_state is None:
            strategy_state = ()
            if selection.has_state(spec.strategy):
                start = engine_programs.start(spec.strategy, spec.probe, self.layout)
                strategy_state = start(begun, (pool, caches.strategy), 0).strategy
        state = replace(fitted, strategy=strategy_state)
        run = (state, self._own_features(fitted), self._hyper, self.layout.spread(available[None]))
        program = programs.pick(spec.strategy, spec.probe, k, self.layout)
        picks, after = program(run, (pool, caches.strategy), number)
        return np.asarray(self.layout.collect(picks)[0], np.int64), after

    def out_of_fold(self, known: Known, folds: np.ndarray, seed: int) -> np.ndarray:
        """f32[n, C]: what probes that have not seen a label make of its row; one fit a fold.

        Args:
          known: the labels.
          folds: i64[n], the fold of each.
          seed: of the fits.
        """
        count, size = int(folds.max()) + 1, bucket(len(known.rows))
        layout = make_layout(count)
        room = size - len(known.rows)
        labelled = Labelled(
            np.pad(known.rows, (0, room)).astype(np.int32),  # type: ignore[arg-type]
            np.pad(np.asarray(self.pool.features)[known.rows], ((0, room), (0, 0))),  # type: ignore[arg-type]
            np.pad(known.labels, (0, room)),  # type: ignore[arg-type]
            np.arange(size) < len(known.rows),  # type: ignore[arg-type]
        )
        held = np.pad(folds, (0, room), constant_values=-1)[None] == np.arange(count)[:, None]
        group = replace(
            self.group,
            seeds=(seed,) * count,
            lrs=self.group.lrs * count,
            weight_decays=self.group.weight_decays * count,
        )
        # Without propagated labels: a fold's own would come back to it through the graph.
        learner = frozen(replace(group.spec.probe, propagation=None))
        blank: Any = np.zeros((1, 1), np.float32)  # the rows come with the labels
        pool = replace(self.pool, features=blank)
        run = layout.spread((np.asarray(group.seeds, np.uint32), held, group.hyper()))
        found = programs.doubt(learner, layout)(run, layout.share((pool, labelled)), 0)
        every = layout.collect(found)[:, : len(known.rows)]
        out: np.ndarray = every[folds, np.arange(len(known.rows))]
        return out

    def _state(self, known: Known) -> tuple[ALState, Pool]:
        """A state with these labels and nothing trained, and the pool with them."""
        layout, spec = self.layout, self.group.spec.probe
        count = len(known.rows)
        capacity = max(_ROOM, bucket(count))
        order = np.zeros((1, capacity), np.int32)
        order[0, :count] = known.rows
        labelled = np.zeros((1, self.pool.size), bool)
        labelled[0, known.rows] = True
        labels = np.full(self.pool.size, -1, np.int32)
        labels[known.rows] = known.labels
        pool = replace(self._placed, labels=layout.share(labels))
        if ("blank", capacity) not in self.prepared:
            learner = self._rounds(pool, known).learner
            program = programs.blank(learner, spec, capacity, layout)
            seeds = layout.spread(self.group.key_seeds())
            self.prepared["blank", capacity] = program(seeds, pool, 0)
        blank: ALState = self.prepared["blank", capacity]
        placed = layout.spread((order, np.full(1, count, np.int32), labelled))
        return replace(blank, order=placed[0], count=placed[1], labelled=placed[2]), pool

    def _rounds(self, pool: Pool, known: Known) -> Rounds:
        if self.images is None:
            return fit_stored(self.group, pool, self.layout, self.prepared)
        labels = np.full(self.pool.size, -1, np.int32)
        labels[known.rows] = known.labels
        names = tuple(map(str, range(self.pool.num_classes)))
        every = self.images.images
        images = replace(
            every,
            labels=labels,
            class_names=names,
            test_images=every.images[:1],  # as the pool's one row
            test_labels=np.zeros(1, np.int32),
        )
        data = self.images._replace(images=images)
        return fit_images(self.group, pool, self.layout, data, None, self.prepared)

    def _caches(self, pool: Pool) -> Any:
        return prepare_caches(self.group, pool, self.layout, self.prepared)

    def _own_features(self, fitted: ALState) -> Any:
        if self.images is None:
            return None
        known = Known(np.zeros(0, np.int64), np.zeros(0, np.int32))
        return self._rounds(self._placed, known).features(fitted)
