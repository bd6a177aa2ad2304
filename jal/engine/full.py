"""A group's learner trained on every label of the pool, and measured as after a round."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from jal.core.types import Pool
from jal.engine import programs
from jal.engine.compile_clock import compile_seconds
from jal.engine.drive import Prepared, prepare_graph, values_of
from jal.engine.group import Group
from jal.engine.layout import Layout


class Measured(NamedTuple):
    """What a group's runs reach with all labels.

    Attributes:
      values: each metric, f32[runs].
      seconds, compiling: wall seconds of all runs, and those of them that went into compiling.
    """

    values: dict[str, np.ndarray]
    seconds: float
    compiling: float


def measure_all(group: Group, pool: Pool, layout: Layout, prepared: Prepared) -> Measured:
    """Trains and measures each run once with all labels; it is of no strategy and asks for nothing.

    Args:
      group: the runs, of a learner of stored features.
      pool: on the layout's devices. All runs read it where it lies: beside it there is one copy of its
        features in float32, and what a minibatch takes.
      layout: where the runs go.
      prepared: the per-pool work of groups; added to.
    """
    clock, compiled = time.perf_counter(), compile_seconds()
    graph = prepare_graph(group, pool, layout, prepared)
    program = programs.fit_all(group.stored, group.spec.probe, layout, group.metrics)
    runs = layout.spread((group.key_seeds(), group.hyper()))
    values = values_of(layout.collect(program(runs, (pool, graph), 0)))
    return Measured(values, time.perf_counter() - clock, compile_seconds() - compiled)
