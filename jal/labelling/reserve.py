"""Which images are set aside for audits, and the order these are dealt in: hashes of ids alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from jal.errors import JalError

SHARE = 0.1
AT_LEAST = 200
AT_MOST = 0.5


def hash_fraction(seed: int, names: Sequence[str]) -> NDArray[np.float64]:
    """f64[n] in [0, 1), as good as uniform: the first bits of the SHA-256 of seed and name.

    Neither the order of the names nor what else is among them matters.
    """
    start = sha256(f"{seed}\0".encode())
    digests = bytearray()
    for name in names:
        hashed = start.copy()
        # File names need not be Unicode.
        hashed.update(name.encode("utf-8", "surrogateescape"))
        digests += hashed.digest()[:8]
    bits = np.frombuffer(bytes(digests), ">u8")
    # A double holds 53 bits exactly: none is rounded to 1.
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def reserve_share(images: int) -> float:
    """The share of a pool of so many images to set aside: 10 %, about 200 images, at most half."""
    return min(max(SHARE, AT_LEAST / max(images, 1)), AT_MOST)


def reserved(
    seed: int, ids: Sequence[str], groups: Sequence[str] | None, share: float
) -> NDArray[np.bool_]:
    """bool[n]: which images are set aside, never to be queried nor trained on.

    Images added later are judged alike, and leave those known as they are.

    Args:
      seed: the session's.
      ids: of the images.
      groups: of each image, so that a group is whole on one side; None without groups. An image whose
        group is empty is a group of its own.
      share: of the images (or groups) to set aside.

    Raises:
      JalError: on a share outside [0, 1], or as many groups as there are not images.
    """
    if not 0 <= share <= 1:
        raise JalError(f"the share of images to set aside is {share}; it must be from 0 to 1.")
    return _place(seed, ids, groups) < share


def share_of_groups(seed: int, ids: Sequence[str], groups: Sequence[str]) -> float:
    """The share with which `reserved` sets whole groups aside that hold about `reserve_share` of the images.

    A few large groups may all hash above a share, or too many below it: so the groups are taken in the
    order of their hashes until what they hold is nearest to what is wanted, though never none and never
    all. It is for a session to fix once, and to keep when images are added.

    Raises:
      JalError: on fewer than two groups, or as many groups as there are not images.
    """
    places, sizes = np.unique(_place(seed, ids, groups), return_counts=True)
    if len(places) < 2:
        raise JalError(
            "data.group puts every image into one group, so none can be set aside for audits; "
            "use another group, or audit=0."
        )
    wanted = reserve_share(len(ids)) * len(ids)
    number = int(np.argmin(np.abs(np.cumsum(sizes)[:-1] - wanted))) + 1
    return float(places[number - 1] + places[number]) / 2


def dealing_order(seed: int, ids: Sequence[str]) -> NDArray[np.int64]:
    """i64[n]: positions in the order in which reserved images are audited.

    By a hash of its own, which says nothing of who is reserved: any first so many of the reserve are a
    uniform sample of it, without replacement.
    """
    return np.argsort(hash_fraction(seed, [f"deal\0{name}" for name in ids]), kind="stable")


def audits_in(batch: int, audit: float) -> int:
    """How many of a batch are audits: `audit` of it, rounded, at least one, never all of it.

    It depends on the batch's size alone, so that what is compiled for a size serves every round.

    Raises:
      JalError: on an audit share outside [0, 1).
    """
    if not 0 <= audit < 1:
        raise JalError(f"audit is {audit}; it must be at least 0 (no audits) and below 1.")
    if audit == 0 or batch < 2:
        return 0
    return min(max(math.floor(batch * audit + 0.5), 1), batch - 1)


def _place(seed: int, ids: Sequence[str], groups: Sequence[str] | None) -> NDArray[np.float64]:
    """f64[n] in [0, 1): what decides of each image's side, the same throughout a group."""
    if groups is None:
        return hash_fraction(seed, [f"reserve\0{name}" for name in ids])
    if len(groups) != len(ids):
        raise JalError(f"there are {len(groups)} groups for {len(ids)} images; give one an image.")
    names = [
        f"group\0{group}" if group else f"reserve\0{name}"
        for name, group in zip(ids, groups, strict=True)
    ]
    return hash_fraction(seed, names)
