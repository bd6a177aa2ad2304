"""Damaged copies of a file, the same ones for a seed."""

from __future__ import annotations

from collections.abc import Iterator

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
