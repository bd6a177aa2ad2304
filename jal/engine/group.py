"""A group: runs of one static structure, which ride one compiled axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from jal.core.metrics import Own
from jal.core.spec import ExperimentSpec
from jal.core.types import Hyper, Learner, RunKeys
from jal.learners.choices import OwnLearner
from jal.learners.frozen import frozen
from jal.learners.lora.spec import PealSpec
from jal.pools.features import LoadedPool

Identity = tuple[int, float, float]  # seed, learning rate and weight decay
PURPOSES = tuple(field.name for field in fields(RunKeys))


@dataclass(frozen=True)
class Group:
    """Runs of one compiled structure: seeds × learning rates × weight decays.

    Attributes:
      spec: what they share.
      seeds, lrs, weight_decays: what differs, one entry a run.
      fixed: seeds that every run takes for one purpose in place of its own, by `RunKeys`' names.
      metrics: the user's own.
      own: the user's own learner, in place of the spec's probe.
      first: i32[runs, k], each run's own first indices (the `given` init), or None.
      lora: the LoRA learner's recipe; None for the frozen learner.
    """

    spec: ExperimentSpec
    seeds: tuple[int, ...]
    lrs: tuple[float, ...]
    weight_decays: tuple[float, ...]
    first: np.ndarray | None = None
    lora: PealSpec | None = None
    fixed: tuple[tuple[str, int], ...] = ()
    metrics: Own = ()
    own: OwnLearner | None = None

    @property
    def learner_name(self) -> str:
        """What is trained, as the tables call it."""
        return self.own.name if self.own else "lora" if self.lora else "frozen"

    @property
    def stored(self) -> Learner:
        """The learner of stored features."""
        return self.own.learner if self.own else frozen(self.spec.probe)

    @property
    def size(self) -> int:
        """The number of runs."""
        return len(self.seeds)

    def key_seeds(self) -> RunKeys:
        """The seed of each run's keys, u32[runs] each."""
        own, fixed = np.asarray(self.seeds, np.uint32), dict(self.fixed)
        seeds: dict[str, Any] = {
            name: np.full_like(own, fixed[name]) if name in fixed else own for name in PURPOSES
        }
        return RunKeys(**seeds)

    def hyper(self) -> Hyper:
        """The hyper-parameters of each run, f32[runs] each."""
        return Hyper(
            np.asarray(self.lrs, np.float32),  # type: ignore[arg-type]
            np.asarray(self.weight_decays, np.float32),  # type: ignore[arg-type]
        )

    @property
    def identities(self) -> tuple[Identity, ...]:
        """What tells the runs apart, whatever their number and order."""
        return tuple(zip(self.seeds, self.lrs, self.weight_decays, strict=True))

    def take(self, runs: Sequence[int]) -> Group:
        """A group of some of the runs."""
        return replace(
            self,
            seeds=tuple(self.seeds[run] for run in runs),
            lrs=tuple(self.lrs[run] for run in runs),
            weight_decays=tuple(self.weight_decays[run] for run in runs),
            first=None if self.first is None else self.first[list(runs)],
        )

    def columns(self, offset: int, loaded: LoadedPool) -> list[dict[str, Any]]:
        """The tidy columns that identify each run, numbered from `offset`."""
        return [
            {
                "run": offset + position,
                "dataset": loaded.facts.name,
                "backbone": loaded.facts.backbone,
                "learner": self.learner_name,
                "strategy": str(self.spec.strategy),
                "init": str(self.spec.init),
                "seed": seed,
                "lr": lr,
                "weight_decay": weight_decay,
                "dropout": self.spec.probe.dropout,
                "probe": self.spec.probe.kind,
                "ssl": self.spec.probe.propagation is not None,
            }
            for position, (seed, lr, weight_decay) in enumerate(
                zip(self.seeds, self.lrs, self.weight_decays, strict=True)
            )
        ]
