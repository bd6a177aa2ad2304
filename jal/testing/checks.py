"""What every strategy and initialisation must do, each as a function that raises in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jal.ops.chunks import CHUNK
from jal.testing.cases import CLASSES, Case, make_case
from jal.testing.subject import K, Subject

ROWS, LONG = 61, CHUNK + 37  # a pool that fits a chunk, and one that does not
OVERLAP = 0.8  # the share of picks that rounding must leave alone


def _case(subject: Subject, seed: int, rows: int = ROWS, like: str = "", **changes: Any) -> Case:
    return make_case(subject.kind, seed, rows, like, **changes)


def distinct_available_picks(subject: Subject) -> None:
    """k distinct available positions, i32[k], from whatever is labelled."""
    for seed in range(4):
        subject.picks(_case(subject, seed), "on a random pool")


def one_trace(subject: Subject) -> None:
    """One compilation, whatever the data."""
    for seed in range(3):
        subject.picks(_case(subject, seed), "on a random pool")
    subject.require(
        subject.traces[ROWS, "float32", K] == 1, "is traced again for other data of the same shapes"
    )


def same_key_same_picks(subject: Subject) -> None:
    """The same key and view give the same picks."""
    case = _case(subject, 1)
    first, second = (subject.picks(case, "on a random pool") for _ in range(2))
    subject.require(first == second, "picks otherwise when asked again with the same key")


def one_class_labelled(subject: Subject) -> None:
    """All labelled rows are of one class."""
    subject.picks(_case(subject, 2, seen=(3,)), "with one class labelled")


def duplicates(subject: Subject) -> None:
    """Rows that stand twice in the pool, or everywhere."""
    for seed in range(4):
        subject.picks(_case(subject, seed, like="duplicates"), "with duplicates")
        subject.picks(_case(subject, seed, like="alike"), "with all rows alike")


def all_that_is_left(subject: Subject) -> None:
    """As many as are available, of a pool labelled to its end and of one that is not."""
    subject.picks(_case(subject, 5, labelled=ROWS - K), "with no other row left")
    subject.picks(_case(subject, 5, left=K), "with no other row available")
    case = _case(subject, 6, like="bfloat16")
    left = int(case.available.sum())
    subject.picks(case, "on features in bfloat16 for the whole of a pool", k=left)


def unavailable_never_picked(subject: Subject) -> None:
    """Rows that are neither labelled nor available are left alone."""
    for seed in range(3):
        subject.picks(_case(subject, seed, left=2 * K), "with most rows not available")


def half_precision_in_chunks(subject: Subject) -> None:
    """Features stored as float16, of a pool that is streamed in chunks, the last of them not full."""
    case = _case(subject, 7, rows=LONG, like="float16", left=LONG // 2)
    subject.picks(case, "on features in float16, a pool of several chunks")


def jitted_equals_eager(subject: Subject) -> None:
    """Compiled and not, the picks are the same, near-ties aside."""
    case = _case(subject, 10)
    key, cache = jax.random.key(case.seed), subject.prepare(case)
    view = jax.tree.map(jnp.asarray, case.view())
    with subject.during("when not compiled"):
        state = subject.made.start(jax.random.fold_in(key, 1), view, cache)
        eager = np.asarray(subject.made.select(key, view, cache, state, K)[0]).tolist()
    compiled = subject.picks(case, "on a random pool")
    subject.require(_overlap([eager], [compiled]) >= OVERLAP, "picks otherwise when not compiled")


def mapped_is_close_to_alone(subject: Subject) -> None:
    """Mapped over runs, each with its key and view, the picks are close to each run's alone."""
    cases = [_case(subject, seed) for seed in range(20, 24)]
    cache, views = subject.prepare(cases[0]), []
    for case in cases:
        # As a learner that adapts its features has them: each run its own, over one frozen pool.
        noise = np.random.default_rng(case.seed).normal(size=case.pool.features.shape)
        own: Any = (case.pool.features + 0.1 * noise).astype(np.float32)
        views.append(jax.tree.map(jnp.asarray, replace(case.view(), features=own)))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *views)
    axes = replace(jax.tree.map(lambda _: 0, stacked), pool_features=None)
    keys = jnp.stack([jax.random.key(case.seed) for case in cases])

    def pick(key: Any, view: Any, cache: Any) -> Any:
        state = subject.made.start(jax.random.fold_in(key, 1), view, cache)
        return subject.made.select(key, view, cache, state, K)[0]

    shared = replace(stacked, pool_features=views[0].pool_features)
    said, found, alone = "when it is mapped over several runs", [], []
    with subject.during(said):
        together = jax.jit(jax.vmap(pick, in_axes=(0, axes, None)))(keys, shared, cache)
    for row, key, view, case in zip(together, keys, views, cases, strict=True):
        found.append(subject.valid(row, case.available, K, said))
        alone.append(np.asarray(subject.ask(view, cache, key)[0]).tolist())
    subject.require(_overlap(found, alone) >= OVERLAP, f"picks otherwise {said}")


def hidden_labels_do_not_matter(subject: Subject) -> None:
    """Other labels of what is not labelled, the same picks."""
    case = _case(subject, 11)
    hidden = ~np.asarray(case.state.labelled)
    labels: Any = np.array(case.pool.labels)
    labels[hidden] = (labels[hidden] + 1 + np.flatnonzero(hidden) % (CLASSES - 1)) % CLASSES
    # A copy of the features, so that what is prepared is prepared anew.
    features: Any = np.array(case.pool.features)
    pool = replace(case.pool, labels=labels, features=features)
    first, second = (
        subject.picks(at, "on a random pool") for at in (case, case._replace(pool=pool))
    )
    subject.require(first == second, "picks otherwise when hidden labels change: it sees them")


def later_queries(subject: Subject) -> None:
    """Asked again and again, with what it keeps in between, until little is left."""
    if subject.kind == "init":
        return
    case, state, said = _case(subject, 12), None, "in a later round"
    cache = subject.prepare(case)
    for step in range(3):
        key = jax.random.fold_in(jax.random.key(case.seed), step)
        with subject.during(said):
            picks, state = subject.ask(case.view(), cache, key, state=state)
        case = case.after(subject.valid(picks, case.available, K, said))


def more_than_the_key_matters(subject: Subject) -> None:
    """Other features and another probe, other picks, though key and labelled rows are the same."""
    if subject.kind == "init" or not subject.reads_view:
        return
    first, found = _case(subject, 20), []
    for seed in range(20, 36):
        state = replace(first.state, probe=_case(subject, seed).state.probe)
        features: Any = np.roll(first.pool.features, seed, axis=0)
        case = first._replace(state=state, pool=replace(first.pool, features=features))
        found.append(subject.picks(case, "on a random pool"))
    subject.require(
        any(picks != found[0] for picks in found[1:]),
        "picks the same whatever it sees; if that is meant, pass reads_view=False",
    )


def clustering_has_a_key_of_its_own(subject: Subject) -> None:
    """Another key of the clustering changes the picks of those that cluster, and no one else's."""
    case, said = _case(subject, 13), "with another clustering key"
    first, *others = (subject.picks(case, said, clustering=seed) for seed in (13, 14, 15, 16))
    same = all(picks == first for picks in others)
    if subject.clusters is not None:
        subject.require(
            same != subject.clusters,
            "picks the same whatever view.clustering is"
            if subject.clusters
            else "picks otherwise with another view.clustering; if it clusters, pass clusters=True",
        )


def _overlap(found: list[list[int]], expected: list[list[int]]) -> float:
    pairs = zip(found, expected, strict=True)
    return float(np.mean([len(set(one) & set(other)) / len(one) for one, other in pairs]))


CHECKS: dict[str, Callable[[Subject], None]] = {
    check.__name__: check
    for check in (
        distinct_available_picks,
        one_trace,
        same_key_same_picks,
        one_class_labelled,
        duplicates,
        all_that_is_left,
        unavailable_never_picked,
        half_precision_in_chunks,
        jitted_equals_eager,
        mapped_is_close_to_alone,
        hidden_labels_do_not_matter,
        later_queries,
        more_than_the_key_matters,
        clustering_has_a_key_of_its_own,
    )
}
