"""The whole study of Gupte et al. (TMLR 2024): twelve strategies, five seeds, twenty rounds, one pool.

jal sweep --config=revisiting --workdir=runs/revisiting --config.pool.path=POOL.npz

3,669 × 512 rows with 37 classes (740 labels, 60 runs): 73 s on 2 cores, 51 s once programs are compiled.

`--config=revisiting:doubling` buys 2^(t-1) labels a class in all by round t, until the pool ends. The
paper's data sets take one label a class to start and one a class each round, as here; other budgets are
`start` and `step`. The variants that its code offers are options and settings:

  strategies='entropy(dropout=True)'      one Monte Carlo dropout draw; uncertainty and margins too
  strategies='margins(oversample=50)'     the best 50·B, then k-means representatives; bald too
  strategies='uncertainty(typical=True)'  the middle of the ranking instead of its top; bald too
  strategies='dropquery(draws=5)'         another M; rate, rescale, space and relax likewise
  strategies='probcover(delta=0.4)'       δ known beforehand
  inits=random,centroid,typiclust,probcover    every strategy from every initialisation
  probe.kind=residual                     the adapter before the batch norm
  ssl=True                                the probe on the whole pool, with propagated labels
"""

from ml_collections import ConfigDict

from jal.sweeps.config import sweep_config

STRATEGIES = (
    "random",
    "uncertainty",
    "entropy",
    "margins",
    "bald",
    "powerbald",
    "coreset",
    "badge",
    "alfamix",
    "typiclust",
    "probcover",
    "dropquery",
)


def get_config(schedule: str = "linear") -> ConfigDict:
    """All strategies from their own initialisations; `schedule` is linear or doubling."""
    config = sweep_config()
    config.strategies = ",".join(STRATEGIES)
    config.seeds = (1, 10, 100, 1000, 10000)
    config.rounds = 20 if schedule == "linear" else 8
    config.schedule = schedule
    return config
