"""The data that flows through an experiment, as pytrees, and the protocols of its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
from jax.tree_util import register_dataclass

from jal.core.spec import ProbeSpec

Array = jax.Array
Key = jax.Array  # a typed key, as `jax.random.key` makes them
Cache = Any  # what a strategy prepares once per pool
StrategyState = Any  # what a strategy changes during a run
LearnerState = Any  # what a learner carries from round to round


@register_dataclass
@dataclass(frozen=True)
class Pool:
    """A pool of embedded images, its oracle labels, and a test split.

    Attributes:
      features: f[N, D], in the stored dtype (f32, bf16 or f16).
      labels: i32[N]; -1 where not known.
      test_features: f[T, D].
      test_labels: i32[T].
      num_classes: C, static.
    """

    features: Array
    labels: Array
    test_features: Array
    test_labels: Array
    num_classes: int = field(metadata={"static": True})

    @property
    def size(self) -> int:
        """N, the number of pool rows."""
        return self.features.shape[0]

    def __repr__(self) -> str:
        if not all(hasattr(leaf, "shape") for leaf in (self.features, self.test_features)):
            return f"Pool of {self.num_classes} classes"  # of axes, shardings or nothing
        size = " x ".join(map(str, self.features.shape))
        test = self.test_features.shape[0] if self.test_features.shape else 0
        return f"Pool({size} {self.features.dtype}, {test} test, {self.num_classes} classes)"


@register_dataclass
@dataclass(frozen=True)
class Adapter:
    """The residual probe's adapter, a bottleneck MLP of width H = max(D/4, 1).

    Attributes:
      mix: f32[], α; its sigmoid is the MLP's share.
      down: f32[D, H].
      down_bias: f32[H].
      up: f32[H, D].
      up_bias: f32[D].
    """

    mix: Array
    down: Array
    down_bias: Array
    up: Array
    up_bias: Array


@register_dataclass
@dataclass(frozen=True)
class Probe:
    """A trained head: dropout, an adapter if any, batch norm without affine, linear.

    Attributes:
      kernel: f32[D, C].
      bias: f32[C].
      mean: f32[D], the running mean of the (dropped-out) inputs.
      variance: f32[D], their running variance.
      dropout: the rate of training and of Monte Carlo prediction, static.
      adapter: the residual probe's; None for the linear one.
    """

    kernel: Array
    bias: Array
    mean: Array
    variance: Array
    dropout: float = field(metadata={"static": True})
    adapter: Adapter | None = None


@register_dataclass
@dataclass(frozen=True)
class Hyper:
    """The probe's hyper-parameters that may differ along a mapped axis: f32[] each."""

    learning_rate: Array
    weight_decay: Array


@register_dataclass
@dataclass(frozen=True)
class RunKeys:
    """The keys of one run, one a purpose: all are that of the run's seed unless a study fixes one.

    Attributes:
      first: of the first batch.
      fit: of training.
      selection: of queries.
      clustering: of the clusterings within them.
    """

    first: Key
    fit: Key
    selection: Key
    clustering: Key


@register_dataclass
@dataclass(frozen=True)
class View:
    """All that a strategy may see; hidden labels are not in it.

    Attributes:
      features: f[N, D], the learner's current features.
      pool_features: f[N, D], the frozen ones.
      labelled: bool[N].
      available: bool[N], the rows that may be picked; none of them is labelled.
      labels: i32[N], -1 wherever `labelled` is false.
      order: i32[capacity], the labelled positions in the order they came; 0 beyond `count`.
      count: i32[], how many are labelled.
      probe: the probe of this round; all zeros before the first.
      hyper: what that probe was trained with.
      clustering: the key of this query's clusterings; equal to the query's own unless fixed.
      num_classes: C, static.
      recipe: the probe's, static, for strategies that fit probes of their own.
    """

    features: Array
    pool_features: Array
    labelled: Array
    available: Array
    labels: Array
    order: Array
    count: Array
    probe: Probe
    hyper: Hyper
    clustering: Key
    num_classes: int = field(metadata={"static": True})
    recipe: ProbeSpec = field(metadata={"static": True})


@register_dataclass
@dataclass(frozen=True)
class ALState:
    """Where a run stands; everything a later round depends on.

    Attributes:
      keys: the run's keys, made from its seed alone.
      order: i32[capacity], pool positions in the order they were labelled; 0 beyond `count`. The
        capacity is the budget's bucket.
      count: i32[], how many are labelled.
      labelled: bool[N].
      unknown_ratio: f32[], of the latest batch; NaN before the first query.
      probe: the latest probe (zeros before the first fit).
      learner: the learner's own state; () for a probe on stored features.
      strategy: the strategy's own state.
    """

    keys: RunKeys
    order: Array
    count: Array
    labelled: Array
    unknown_ratio: Array
    probe: Probe
    learner: LearnerState
    strategy: StrategyState


@register_dataclass
@dataclass(frozen=True)
class Metrics:
    """What is measured each round, f32[] each, on the test split unless said otherwise.

    Attributes:
      labelled: the number of labels the probe was fitted on.
      accuracy, balanced_accuracy, macro_f1, auroc, nll, ece, brier: see `jal.core.metrics`.
      unknown_ratio: share of the batch just queried that the probe before it got wrong; NaN in
        round 1.
      classes_seen: how many classes the labelled set holds.
      epochs: how many epochs the probe trained.
      own: the user's, by name.
    """

    labelled: Array
    accuracy: Array
    balanced_accuracy: Array
    macro_f1: Array
    auroc: Array
    nll: Array
    ece: Array
    brier: Array
    unknown_ratio: Array
    classes_seen: Array
    epochs: Array
    own: dict[str, Array] = field(default_factory=dict)


def no_cache(key: Key, pool: Pool, schedule: tuple[int, ...]) -> Cache:
    """The `prepare` of a strategy that prepares nothing."""
    return ()


def no_state(key: Key, view: View, cache: Cache) -> StrategyState:
    """The `start` of a strategy that keeps nothing."""
    return ()


class Strategy(NamedTuple):
    """A query strategy (or an initialisation): three pure functions, and how often it reads labels.

    Attributes:
      select: `(key, view, cache, state, k) -> (picks i32[k], state)`; k distinct available
        positions, best first; k is static and never above the number of available rows.
      start: `(key, view, cache) -> state`, once per run, when the first batch is labelled.
      prepare: `(key, pool, schedule) -> cache`, once per pool, shared by all seeds of a sweep.
        The labels it is handed are all -1.
      batch: how many rows it asks for before their labels are read, static; 0: the whole batch. A query
        asks a larger one in turns of so many (the last may be smaller): `select` is called for each, with
        the labels that the turns before have bought and the probe as it was. An init's is not used.
    """

    select: Callable[[Key, View, Cache, StrategyState, int], tuple[Array, StrategyState]]
    start: Callable[[Key, View, Cache], StrategyState] = no_state
    prepare: Callable[[Key, Pool, tuple[int, ...]], Cache] = no_cache
    batch: int = 0


class Ceiling(NamedTuple):
    """What no strategy can do: of M batches the one whose labels, once known, help the most.

    Attributes:
      propose: `(key, view, k) -> i32[M, k]`, pure; it sees what a strategy does.
    """

    propose: Callable[[Key, View, int], Array]


class Labelled(NamedTuple):
    """A labelled set, padded to a bucket of R: the valid rows come first.

    Attributes:
      rows: i32[R], pool positions.
      inputs: what the learner reads of them: features f[R, D], images u8[R, H, W, 3] or tokens.
      labels: i32[R].
      valid: bool[R].
      features: f[R, D], the frozen ones, where `inputs` are none; None where they are not read.
    """

    rows: Array
    inputs: Array
    labels: Array
    valid: Array
    features: Array | None = None


class Trained(NamedTuple):
    """What a learner's training gives.

    Attributes:
      state: carried to the next round.
      probe: the head; it reads the learner's features.
      epochs: i32[], how long it trained.
    """

    state: LearnerState
    probe: Probe
    epochs: Array


class Learner(NamedTuple):
    """What is trained each round: pure functions of one run, which the engine maps over runs.

    `shared` is what all runs read: (Pool, propagation's graph or None) for a learner of stored
    features, the frozen backbone's parameters for one of images.

    Attributes:
      start: `(key, pool) -> (state, Probe)`, before the first fit.
      train: `(key, state, labelled, shared, hyper) -> Trained`.
      embed: `(state, shared, inputs) -> f32[R, F]`, the features of images; None for a learner that
        reads the pool's stored features, which all runs then share.
    """

    start: Callable[[Key, Pool], tuple[LearnerState, Probe]]
    train: Callable[[Key, LearnerState, Labelled, Any, Hyper], Trained]
    embed: Callable[[LearnerState, Any, Array], Array] | None = None
