"""The fits and picks of a session, each computed once, from what its journal says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import RLock
from typing import Any, NamedTuple

import numpy as np

from jal import selection
from jal.core.types import ALState
from jal.engine.group import Group
from jal.engine.layout import Layout
from jal.labelling import asking
from jal.labelling.journal import Event
from jal.labelling.learn import Belief, Known, Learning
from jal.labelling.ledger import Ledger, standings
from jal.labelling.material import Material
from jal.labelling.memory import Memory
from jal.labelling.options import Options
from jal.labelling.reserve import dealing_order, reserved
from jal.pools.images import LoraData
from jal.schema import fingerprint

_LATEST = 3  # fits that are held on the devices


class Plan(NamedTuple):
    """All that decides a fit.

    Attributes:
      known: the labels it sees; at least one.
      number: of the round.
      classes: how many outputs the probe has.
      before: the fit that it goes on from, where the learner does.
      mark: of all these.
    """

    known: Known
    number: int
    classes: int
    before: Plan | None
    mark: str


class Training:
    """What a session computes; a pure function of material, options and events, with a memory.

    Args:
      material: what is labelled.
      options: of the session.
      group: the run that it computes as.
      memory: of earlier computations.
      events: the journal's, as they come.
      images: for the LoRA learner, or what reads them when they are first needed.
    """

    def __init__(
        self,
        material: Material,
        options: Options,
        group: Group,
        memory: Memory,
        events: Sequence[Event],
        images: LoraData | Callable[[], LoraData] | None = None,
    ) -> None:
        self.material, self.options, self.group, self._images = material, options, group, images
        self._events = events
        self.position = {name: row for row, name in enumerate(material.ids)}
        self._memory, self._lock = memory, RLock()
        seed, ids = group.seeds[0], material.ids
        first = material.first_ids()
        self._reserve = (
            reserved(seed, first, material.groups or None, options.reserve)
            if options.reserve
            else np.zeros(material.size, bool)
        )
        aside = np.flatnonzero(self._reserve)
        order = dealing_order(seed, [first[row] for row in aside])
        self._dealt = [ids[row] for row in aside[order]]
        self._pool_mark = fingerprint(
            [options.session, dict(options.settings), material.features, *first]
        )
        self._learnings: dict[int, Learning] = {}
        self._fits: dict[str, ALState] = {}
        # The strategy's state after so many batches, the last of which were these picks.
        self._strategy_state_of: tuple[int, tuple[str, ...], Any] = (0, (), None)

    # What the journal says.

    def reserve(self, ledger: Ledger) -> np.ndarray:
        """bool[N]: the rows set aside for audits: never those labelled before the first batch."""
        rows = self._reserve.copy()
        given = ledger.given if ledger.asks else ledger.labels()
        rows[[self.position[name] for name in given if name in self.position]] = False
        return rows

    def dealt(self, ledger: Ledger) -> list[str]:
        """The reserve's ids in the order in which they are dealt."""
        reserve = self.reserve(ledger)
        return [name for name in self._dealt if reserve[self.position[name]]]

    def known(self, ledger: Ledger, with_audits: bool = False) -> Known:
        """The labels to train on."""
        leave_out = None if with_audits else self.reserve(ledger)
        return asking.known_rows(ledger, self.position, leave_out)

    def offset(self, ledger: Ledger) -> int:
        """1 where labels were there from the start, which are a round too; else 0."""
        return int(bool(ledger.given if ledger.asks else ledger.labels()))

    def standings(self, events: Sequence[Event], places: Sequence[int]) -> Iterator[Ledger]:
        """The ledger as it stood after so many events; see `jal.labelling.ledger.standings`."""
        return standings(self.options.classes, events, places, self.material.moved)

    # What is computed of it.

    def plan(self, ledger: Ledger, with_audits: bool = False) -> Plan | None:
        """The fit on all labels of a ledger; None while there are none."""
        known = self.known(ledger, with_audits)
        if not len(known.rows):
            return None
        # The round of its latest label: what is open or set aside makes no other fit of the same labels.
        latest, _, _ = ledger.position(self.material.ids[known.rows[-1]])
        number = latest + self.offset(ledger)
        before, classes = self._before(ledger), max(len(ledger.classes), 2)
        parts = (self._pool_mark, classes, number, *known, before.mark if before else "")
        return Plan(known, number, classes, before, fingerprint(parts))

    def fitted(self, plan: Plan) -> ALState:
        """The state after that fit, on the devices."""
        with self._lock:
            if plan.mark not in self._fits:
                before = None if plan.before is None else self.fitted(plan.before)
                state = self._learning(plan.classes).fit(plan.known, plan.number, before)
                self._fits[plan.mark] = state
                while len(self._fits) > _LATEST:
                    self._fits.pop(next(iter(self._fits)))
            return self._fits[plan.mark]

    def belief(self, plan: Plan) -> Belief:
        """What a fit makes of the pool."""
        with self._lock:
            found = self._memory.recall("belief", plan.mark)
            if found is None:
                learning = self._learning(plan.classes)
                found = learning.believe(self.fitted(plan))._asdict()
                self._memory.keep("belief", plan.mark, found)
            return Belief(**found)

    def probabilities(self, plan: Plan, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """f32[R, C] of some pool rows."""
        with self._lock:
            return self._learning(plan.classes).probabilities(self.fitted(plan), rows)

    def of_features(self, plan: Plan, features: np.ndarray) -> np.ndarray:
        """f32[R, C] of any features f[R, D]."""
        with self._lock:
            return self._learning(plan.classes).of_features(self.fitted(plan), features)

    def layout_of(self, plan: Plan) -> Layout:
        """Where that fit lies."""
        return self._learning(plan.classes).layout

    def at_a_time(self, ledger: Ledger, k: int) -> int:
        """k, or as many as the strategy asks before their labels are read, where that is fewer."""
        turn = selection.make_strategy(self.group.spec.strategy).batch
        return k if not turn or self.plan(ledger) is None else min(k, turn)

    def pick(self, ledger: Ledger, k: int) -> np.ndarray:
        """i64[k]: the next batch's picks, or as many as are available."""
        with self._lock:
            available = asking.available_rows(ledger, self.position, self.reserve(ledger))
            k = min(k, int(available.sum()))
            if not k:
                return np.zeros(0, np.int64)
            plan = self.plan(ledger)
            number = len(ledger.asks) + 1 + self.offset(ledger)
            if plan is None:
                learning = self._learning(max(len(ledger.classes), 2))
                picks, after = learning.pick_first(available, k, number), None
            else:
                state = self._strategy_state(ledger)
                learning, fitted = self._learning(plan.classes), self.fitted(plan)
                picks, after = learning.pick(fitted, plan.known, available, k, number, state)
            names = tuple(self.material.ids[row] for row in picks)
            self._strategy_state_of = (len(ledger.asks) + 1, names, after)
            return picks

    def out_of_fold(self, ledger: Ledger, folds: int) -> tuple[Known, np.ndarray]:
        """All labels, and f32[n, C]: what probes that have not seen them make of each."""
        with self._lock:
            known = self.known(ledger, with_audits=True)
            count = min(folds, len(known.rows))
            seed = self.group.seeds[0]
            fold = np.random.default_rng(seed).permutation(len(known.rows)) % count
            learning = self._learning(max(len(ledger.classes), 2))
            return known, learning.out_of_fold(known, fold, seed)

    def _learning(self, classes: int) -> Learning:
        if classes not in self._learnings:
            self._learnings.clear()  # the devices hold one pool
            if callable(self._images):
                self._images = self._images()
            pool = self.material.pool(classes)
            self._learnings[classes] = Learning(self.group, pool, self._images)
        return self._learnings[classes]

    def _before(self, ledger: Ledger) -> Plan | None:
        """The fit that this one goes on from, where the learner does."""
        if self.group.lora is None or not self.group.lora.warm_start or not ledger.asks:
            return None
        (before,) = self.standings(self._events, [ledger.asks[-1].after])
        return self.plan(before)

    def _strategy_state(self, ledger: Ledger) -> Any:
        """The strategy's own state after the batches that were asked; None for one that has none.

        It is replayed where it is not held, as where another process asked meanwhile. After a batch that is
        picked otherwise then, as on another machine or a pool that has grown, the strategy starts anew.
        """
        if not selection.has_state(self.group.spec.strategy):
            return None
        asks = ledger.asks
        held, picked, _ = self._strategy_state_of
        if held > len(asks) or (held and picked != asks[held - 1].picks):
            held, self._strategy_state_of = 0, (0, (), None)
        places = [ask.after for ask in asks[held:]]
        for ask, then in zip(asks[held:], self.standings(self._events, places), strict=True):
            _, _, state = self._strategy_state_of
            if ask.picks:
                picks = self.pick(then, len(ask.picks))
                is_same = tuple(self.material.ids[row] for row in picks) == ask.picks
                state = self._strategy_state_of[2] if is_same else None
            self._strategy_state_of = (ask.round, ask.picks, state)
        return self._strategy_state_of[2]
