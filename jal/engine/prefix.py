"""The frozen blocks before the adapted ones, run once an image: their output tokens, kept.

With the last n of L blocks adapted, a pass from these tokens costs n/L of a full one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import jax
import ml_dtypes
import numpy as np

from jal.backbones.adapters import Params
from jal.errors import JalError
from jal.learners.lora.spec import PealSpec
from jal.learners.lora.train import make_prefix
from jal.pools.images import ImagePool
from jal.schema import fingerprint
from jal.weights.load import Backbone

_DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
_BATCH = 32


class PrefixTokens(NamedTuple):
    """The tokens that enter the first adapted block, in host memory or mapped from disk.

    Attributes:
      pool: f[N, T, D].
      test: f[T_images, T, D].
    """

    pool: np.ndarray
    test: np.ndarray


def prefix_bytes(spec: PealSpec, backbone: Any, images: int) -> int:
    """What the tokens of so many images take; 0 when none are kept."""
    dtype = spec.prefix_dtype(backbone)
    if dtype is None:
        return 0
    return images * backbone.tokens * backbone.width * np.dtype(_DTYPES[dtype]).itemsize


def compute_prefix(
    spec: PealSpec,
    backbone: Backbone,
    base: Params,
    images: ImagePool,
    folder: str | Path | None = None,
) -> PrefixTokens | None:
    """The prefix tokens of a pool and its test split, or None when the spec keeps none.

    Args:
      spec: says how many blocks are frozen, and the dtype.
      backbone: for its fingerprint and sizes.
      base: its parameters, as the learner takes them.
      images: the pool.
      folder: where to write the tokens, found again by fingerprint; None keeps them in memory.

    Raises:
      JalError: the folder cannot be written.
    """
    dtype = spec.prefix_dtype(backbone.spec)
    if dtype is None:
        return None
    parts = [
        images.fingerprint,
        backbone.fingerprint,
        backbone.spec,
        spec.prefix_length(backbone.spec),
        dtype,
    ]
    mark = fingerprint(parts)
    run = jax.jit(make_prefix(spec, backbone.spec, backbone.preprocessing.normalise))
    at = None if folder is None else Path(folder) / f"{images.name}-tokens-{mark[:16]}"
    try:
        return PrefixTokens(
            *(
                _tokens(run, base, pixels, backbone, dtype, at, split)
                for split, pixels in (("train", images.images), ("test", images.test_images))
            )
        )
    except OSError as error:
        raise JalError(f"the prefix tokens cannot be written to {at} ({error}).") from error


def _tokens(
    run: Any,
    base: Params,
    pixels: np.ndarray,
    backbone: Backbone,
    dtype: str,
    folder: Path | None,
    split: str,
) -> np.ndarray:
    """f[images, T, D] of one split."""
    shape = (len(pixels), backbone.spec.tokens, backbone.spec.width)
    kind = np.dtype(_DTYPES[dtype])
    # NumPy's file format does not know bfloat16, so the file holds the bits.
    stored = np.dtype(np.uint16) if dtype == "bfloat16" else kind
    if folder is None:
        tokens = np.empty(shape, kind)
        _fill(run, base, pixels, tokens)
        return tokens
    path, done = folder / f"{split}.npy", folder / f"{split}.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        # A name of its own: several jobs may fill one folder at the same time, with the same bytes.
        partial = folder / f".{split}.{uuid4().hex}.npy"
        target = np.lib.format.open_memmap(partial, "w+", stored, shape)
        _fill(run, base, pixels, target.view(kind))
        target.flush()
        partial.replace(path)
        done.write_text(json.dumps({"shape": shape, "dtype": dtype}))
    return np.load(path, mmap_mode="r").view(kind)


def _fill(run: Any, base: Params, pixels: np.ndarray, tokens: np.ndarray) -> None:
    for first in range(0, len(pixels), _BATCH):
        batch = np.asarray(pixels[first : first + _BATCH])
        size = len(batch)
        if size < _BATCH:
            batch = np.concatenate([batch, np.repeat(batch[-1:], _BATCH - size, axis=0)])
        tokens[first : first + size] = np.asarray(run(base, batch)[:size]).astype(tokens.dtype)
