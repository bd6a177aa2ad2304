"""Damaged copies of a file, the same ones for a seed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

COUNT = 200
EXTREMES = (
    b"\0",
    b"\xff",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x80\0\0\0",
    b"-1",
    b"\n",
    b",",
)


def mutated(content: bytes, seed: int, count: int = COUNT) -> Iterator[bytes]:
    """Copies of a file with a few bytes changed, put in, taken out, or cut off."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        found = bytearray(content)
        for _ in range(random.integers(1, 6)):
            at = int(random.integers(0, max(len(found), 1)))
            length = int(random.integers(1, 9))
            match random.integers(0, 6):
                case 0:
                    found[at : at + length] = random.bytes(length)
                case 1:
                    found[at : at + 1] = (
                        bytes([found[at] ^ (1 << random.integers(0, 8))]) if found else b""
                    )
                case 2:
                    extreme = EXTREMES[random.integers(0, len(EXTREMES))]
                    found[at : at + len(extreme)] = extreme
                case 3:
                    del found[at : at + length]
                case 4:
                    found[at:at] = found[max(at - 4 * length, 0) : at]
                case 5 if random.random() < 0.3:
                    del found[at:]
        yield bytes(found)


OTHERS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 7, 2**40, 10**30, 0.5, 1e300, float("nan"), float("inf"), "",
    "3", "bicubic", "../x", "\ud800", [], [1, 2, 3], ["a"], [[[0]]], {}, {"a": 1}, {"height": "9"},
)  # fmt: skip


def mutated_json(
    values: dict[str, Any], seed: int, count: int = COUNT
) -> Iterator[tuple[list[str], bytes]]:
    """Copies of a JSON file with one value replaced by another, or taken out; and the keys to that value."""
    random = np.random.default_rng(seed)
    for _ in range(count):
        found = copy.deepcopy(values)
        at: Any = found
        key: Any = random.choice([*at])
        names = [key]
        # As deep as chance has it: an inner value, or all of it.
        while isinstance(at[key], dict | list) and at[key] and random.random() < 0.8:
            at = at[key]
            key = random.choice([*at]) if isinstance(at, dict) else int(random.integers(len(at)))
            names += [key] * isinstance(key, str)
        if random.random() < 0.2:
            del at[key]
        else:
            at[key] = OTHERS[random.integers(len(OTHERS))]
        yield names, json.dumps(found).encode()
