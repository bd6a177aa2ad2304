"""A split of a store in memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class SplitData(NamedTuple):
    """A split in memory.

    Attributes:
      features: f[n, D] in the stored dtype; images that were left out are not in it.
      labels: i32[n]; -1 where not known.
      ids: one a row.
      groups: one a row, as a patient; empty where the source has none.
    """

    features: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...]
    groups: tuple[str, ...] = ()
