"""The sweeps behind every figure of both papers; `jal report` draws them.

Gupte et al. (TMLR 2024), on stores that `jal embed` made, one sweep a store:

  figure 1, what doubling the labels still brings, by backbone
    jal sweep --config=figures:dropquery1 --workdir=runs/f1/dinov2 --config.pool.path=stores/dinov2
    jal sweep --config=figures:dropquery1 --workdir=runs/f1/clip --config.pool.path=stores/clip
    jal report runs/f1/dinov2 runs/f1/clip --out=reports/f1     → figures/half-gain-*

  figures 2 and 5, learning curves, and figure 3, win matrices over data sets
    jal sweep --config=figures:dropquery2 --workdir=runs/f2/DATASET --config.pool.path=stores/DATASET
    jal report runs/f2/* --out=reports/f2                       → accuracy-*, gain-*, win-matrix*

  figure 4, with label propagation less without
    jal sweep --config=figures:dropquery2 --workdir=runs/f4/without --config.pool.path=stores/DATASET
    jal sweep --config=figures:dropquery4 --workdir=runs/f4/with --config.pool.path=stores/DATASET
    jal report runs/f4/without runs/f4/with --out=reports/f4    → propagation-*

PEAL (arXiv 2406.09296), figure 1, unknown ratio of the first cycles, and figure 2, LoRA against probing:

    jal sweep --config=peal:eurosat --workdir=runs/eurosat
    jal report runs/eurosat --out=reports/eurosat               → unknown-first-*, learners-*
"""

from ml_collections import ConfigDict

from jal.errors import JalError
from jal.sweeps.config import sweep_config

FIGURES = ("dropquery1", "dropquery2", "dropquery3", "dropquery4", "dropquery5")
# Figure 1 averages over strategies; the four of the paper's argument suffice for it.
_FEW = "random,uncertainty,margins,dropquery"
_ALL = (
    "random,uncertainty,entropy,margins,bald,powerbald,coreset,badge,alfamix,typiclust,probcover,"
    "dropquery"
)


def get_config(figure: str = "dropquery2") -> ConfigDict:
    """Five seeds and twenty rounds of one label a class."""
    if figure not in FIGURES:
        raise JalError(f"figures has no {figure!r}; choose from {', '.join(FIGURES)}.")
    config = sweep_config()
    config.strategies = _FEW if figure == "dropquery1" else _ALL
    config.seeds = (1, 10, 100, 1000, 10000)
    config.rounds = 20
    config.ssl = figure == "dropquery4"
    return config
