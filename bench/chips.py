"""Accelerators: what they can do at most, and what a traced program asks of them."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

GIB = 2**30
_VARIABLES = {  # what libtpu asks of a TPU's surroundings, where there is no TPU
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


class Chip(NamedTuple):
    """The makers' figures: FLOP/s of bfloat16 and of float32 products, and bytes/s.

    A TPU makes a product of full float32 precision of six in bfloat16.
    """

    half: float
    full: float
    bandwidth: float

    def seconds(self, work: Work) -> float:
        """The least time for these products: of computing, or of moving what they read and write."""
        computing = work.half / self.half + work.full / self.full
        return max(computing, work.bytes / self.bandwidth)


class Work(NamedTuple):
    """FLOPs of matrix products in half and in full precision, and the bytes that they read and write."""

    half: float = 0
    full: float = 0
    bytes: float = 0


def _tpu(half: float, bandwidth: float) -> Chip:
    return Chip(half * 1e12, half * 1e12 / 6, bandwidth * 1e9)


CHIPS = {
    "TPU v4": _tpu(275, 1228),
    "TPU v5 lite": _tpu(197, 819),
    "TPU v5": _tpu(459, 2765),
    "TPU v6 lite": _tpu(918, 1640),
    "NVIDIA H100 80GB HBM3": Chip(989e12, 67e12, 3350e9),
    "NVIDIA H200": Chip(989e12, 67e12, 4800e9),
}


def topology(name: str, chips: int, axis: str) -> Mesh:
    """A mesh of the chips of a TPU that is only described, such as v5e:2x2.

    Args:
      name: the topology's.
      chips: how many of them; 0 for all.
      axis: the mesh's.
    """
    os.environ.update({key: os.environ.get(key, value) for key, value in _VARIABLES.items()})
    from jax.experimental import topologies

    kind, _, shape = name.partition(":")
    if kind in ("v4", "v5p") and shape.count("x") == 1:
        name = f"{name}x1"  # these are cubes
    devices = topologies.get_topology_desc(platform="tpu", topology_name=name).devices
    kinds = (jax.sharding.AxisType.Auto,)
    return Mesh(np.array(devices[: chips or len(devices)]), (axis,), axis_types=kinds)


def work_of(jaxpr: Any) -> Work:
    """The work of one device; a loop whose length is data counts as one step, so it is at least that."""
    found, stored = np.zeros(3), {}
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "convert_element_type" and hasattr(equation.invars[0], "aval"):
            stored[equation.outvars[0]] = equation.invars[0].aval.dtype.itemsize
        if name == "dot_general":
            found += _product(equation, stored)
            continue
        inner = [work_of(part) for value in parameters.values() for part in _programs(value)]
        if name == "cond":
            inner = [max(inner, key=lambda work: work.half + work.full)]
        found += parameters.get("length", 1) * np.sum([(0, 0, 0), *inner], axis=0)
    return Work(*found.tolist())


def _programs(value: Any) -> list[Any]:
    parts = value if isinstance(value, tuple | list) else [value]
    parts = [getattr(part, "jaxpr", part) for part in parts]
    return [part for part in parts if hasattr(part, "eqns")]


def _product(equation: Any, stored: dict[Any, int]) -> tuple[float, float, float]:
    left, right = equation.invars
    result = equation.outvars[0].aval
    contracted = equation.params["dimension_numbers"][0][0]
    flops = 2 * result.size * math.prod(left.aval.shape[axis] for axis in contracted)
    sizes = [part.aval.size * stored.get(part, part.aval.dtype.itemsize) for part in (left, right)]
    moved = sum(sizes) + result.size * result.dtype.itemsize
    if left.aval.dtype == jnp.bfloat16:
        return flops, 0, moved
    return 0, flops, moved
