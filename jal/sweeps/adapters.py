"""Writes the adapters of a group's runs, round by round."""

from __future__ import annotations

from collections.abc import Callable

import jax
from etils import epath

from jal.engine.group import Group
from jal.learners.lora.train import LoraState
from jal.weights.hub import Origin
from jal.weights.load import Backbone
from jal.weights.peft import save_adapters


def exporter(
    folder: epath.Path, group: Group, backbone: Backbone, naming: str
) -> Callable[[int, LoraState], None]:
    """Writes every run's adapters of a round into folder/seed-S[-lr-L-wd-W]/round-N."""
    assert group.lora is not None
    lora, several = group.lora.adapters, len(set(zip(group.lrs, group.weight_decays, strict=True)))
    origin = backbone.origin or Origin(backbone.name)

    def export(number: int, states: LoraState) -> None:
        for row, seed in enumerate(group.seeds):
            run = f"seed-{seed}"
            if several > 1:
                run += f"-lr-{group.lrs[row]:g}-wd-{group.weight_decays[row]:g}"
            state = jax.tree.map(lambda leaf, row=row: leaf[row], states)
            at = folder / run / f"round-{number:02}"
            save_adapters(at, backbone.spec, lora, state, origin, naming)

    return export
