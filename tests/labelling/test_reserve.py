"""Who is set aside, in which order audits are dealt, and how many a batch has."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from scipy import stats

from jal.errors import JalError
from jal.labelling import reserve

IDS = [f"folder/{number}.png" for number in range(4000)]


def test_the_hash_is_that_of_seed_and_name() -> None:
    found = reserve.hash_fraction(7, ["a/01.png", "ä", "bad\udcff.png"])
    first = int.from_bytes(sha256(b"7\0a/01.png").digest()[:8], "big")
    assert found[0] == pytest.approx(first / 2**64, abs=2**-53)
    assert (found >= 0).all()
    assert (found < 1).all()
    assert len(reserve.hash_fraction(7, [])) == 0


def test_hashes_are_uniform_and_differ_by_seed() -> None:
    one, other = reserve.hash_fraction(1, IDS), reserve.hash_fraction(2, IDS)
    assert stats.kstest(one, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06
    # A seed and a name do not run into each other.
    assert reserve.hash_fraction(1, ["23"]) != reserve.hash_fraction(12, ["3"])


@pytest.mark.parametrize(
    ("images", "share"),
    [(10, 0.5), (240, 0.5), (400, 0.5), (500, 0.4), (1000, 0.2), (2000, 0.1), (100_000, 0.1)],
)
def test_the_share_is_a_tenth_but_200_images_but_half(images: int, share: float) -> None:
    assert reserve.reserve_share(images) == pytest.approx(share)


def test_about_the_share_is_reserved_and_nobody_moves_when_images_come() -> None:
    few = reserve.reserved(3, IDS[:2000], None, 0.1)
    assert 150 < few.sum() < 250
    np.testing.assert_array_equal(reserve.reserved(3, IDS, None, 0.1)[:2000], few)
    np.testing.assert_array_equal(reserve.reserved(3, IDS[::-1], None, 0.1)[:-2001:-1], few)
    assert not reserve.reserved(3, IDS, None, 0).any()
    assert reserve.reserved(3, IDS, None, 1).all()


def test_a_group_is_whole_on_one_side_and_no_group_is_an_image_alone() -> None:
    groups = [f"patient {number % 300}" for number in range(3000)] + [""] * 1000
    aside = reserve.reserved(0, IDS, groups, 0.3)
    sides = aside[:3000].reshape(10, 300)
    assert (sides == sides[0]).all()
    assert 50 < sides[0].sum() < 130
    np.testing.assert_array_equal(aside[3000:], reserve.reserved(0, IDS[3000:], None, 0.3))


def test_a_few_groups_are_shared_out_by_what_they_hold() -> None:
    for seed in range(40):
        groups = [f"patient {number % 7}" for number in range(2100)]
        share = reserve.share_of_groups(seed, IDS[:2100], groups)
        # 210 images are wanted, a patient has 300.
        assert reserve.reserved(seed, IDS[:2100], groups, share).sum() == 300
    halves = ["a"] * 100 + ["b"] * 100
    share = reserve.share_of_groups(0, IDS[:200], halves)
    assert reserve.reserved(0, IDS[:200], halves, share).sum() == 100
    many = [f"patient {number // 4}" for number in range(4000)]
    share = reserve.share_of_groups(0, IDS, many)
    assert reserve.reserved(0, IDS, many, share).sum() == 400
    with pytest.raises(JalError, match="into one group"):
        reserve.share_of_groups(0, IDS, ["all"] * len(IDS))


def test_what_cannot_be_reserved_is_said() -> None:
    with pytest.raises(JalError, match="from 0 to 1"):
        reserve.reserved(0, IDS, None, 1.5)
    with pytest.raises(JalError, match="1 groups for 4000 images"):
        reserve.reserved(0, IDS, ["a"], 0.1)


def test_audits_are_dealt_in_an_order_that_knows_nothing_of_membership() -> None:
    order = reserve.dealing_order(5, IDS)
    assert sorted(order) == list(range(len(IDS)))
    aside = reserve.reserved(5, IDS, None, 0.5)
    place = np.empty(len(IDS), int)
    place[order] = np.arange(len(IDS))
    assert stats.ks_2samp(place[aside], place[~aside]).pvalue > 1e-3
    backwards = reserve.dealing_order(5, IDS[::-1])
    assert [IDS[row] for row in order] == [IDS[::-1][row] for row in backwards]
    assert (reserve.dealing_order(6, IDS) != order).any()


@pytest.mark.parametrize(
    ("batch", "audit", "audits"),
    [(20, 0.2, 4), (18, 0.2, 4), (5, 0.2, 1), (4, 0.2, 1), (2, 0.2, 1), (2, 0.9, 1), (1, 0.2, 0),
     (20, 0.0, 0), (20, 0.01, 1), (10, 0.25, 3), (10, 0.99, 9), (0, 0.2, 0)],
)  # fmt: skip
def test_audits_of_a_batch(batch: int, audit: float, audits: int) -> None:
    assert reserve.audits_in(batch, audit) == audits


@pytest.mark.parametrize("audit", [-0.1, 1.0, float("nan")])
def test_an_audit_share_out_of_range_is_said(audit: float) -> None:
    with pytest.raises(JalError, match="at least 0"):
        reserve.audits_in(20, audit)
