"""First set, fit, selection and clustering have keys of their own: one can be fixed alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from clustered_pool import clustered_pool

import jal

SETTINGS = {"seeds": (3, 4, 5), "rounds": 2, "probe__max_epochs": 12}


def picks(result: jal.SweepResult, round_number: int) -> list[tuple[int, ...]]:
    """The picks of a round, run by run."""
    rows: pd.DataFrame = result.acquisitions
    rows = rows[rows["round"] == round_number]
    return [tuple(own["index"]) for _, own in rows.groupby("run")]


def test_all_purposes_follow_the_seed_unless_fixed() -> None:
    pool = clustered_pool()
    free = jal.sweep(pool, "random", **SETTINGS)
    first = jal.sweep(pool, "random", seed_of__first=7, **SETTINGS)
    assert len(set(picks(free, 1))) == 3
    assert len(set(picks(first, 1))) == 1
    alone = jal.sweep(pool, "random", **{**SETTINGS, "seeds": (7,)})
    assert picks(first, 1)[0] == picks(alone, 1)[0]
    # The same labelled set, trained with the seeds' own keys.
    accuracy = first.metrics[first.metrics["round"] == 1]["nll"]
    assert accuracy.nunique() == 3


def test_the_fit_alone_can_be_fixed() -> None:
    pool = clustered_pool()
    both = jal.sweep(pool, "random", seed_of__first=7, seed_of__fit=9, **SETTINGS)
    first = both.metrics[both.metrics["round"] == 1]
    assert first["nll"].nunique() == 1
    assert len(set(picks(both, 2))) == 3  # queries still have the seeds' own keys


def test_fixing_every_purpose_to_the_seed_changes_nothing() -> None:
    pool = clustered_pool()
    settings = {**SETTINGS, "seeds": (5,)}
    fixed = {f"seed_of__{name}": 5 for name in ("first", "fit", "selection", "clustering")}
    plain = jal.sweep(pool, "dropquery", **settings)
    same = jal.sweep(pool, "dropquery", **settings, **fixed)
    assert np.array_equal(plain.acquisitions["index"], same.acquisitions["index"])


def test_a_seed_out_of_range_is_one_sentence() -> None:
    with pytest.raises(jal.JalError, match=r"seed_of\.fit is -2; it takes a seed, or -1"):
        jal.sweep(clustered_pool(), "random", seed_of__fit=-2, **SETTINGS)


@pytest.mark.parametrize("count", [2**32, 10**30, 100_001])
def test_a_count_that_no_one_means_is_refused(count: int) -> None:
    with pytest.raises(jal.JalError, match=f"seeds is {count}, a count, above 100000; to name one"):
        jal.sweep(clustered_pool(), "random", seeds=count)
