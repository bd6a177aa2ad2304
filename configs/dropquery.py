"""Random, margins and DropQuery on one pool: the short form of Gupte et al. (TMLR 2024).

jal sweep --config=dropquery --workdir=runs/dropquery --config.pool.path=POOL.npz
"""

from ml_collections import ConfigDict

from jal.sweeps.config import sweep_config


def get_config() -> ConfigDict:
    """20 rounds of one label a class, the paper's five seeds."""
    config = sweep_config()
    config.strategies = "random,margins,dropquery"
    config.seeds = (1, 10, 100, 1000, 10000)
    config.rounds = 20
    return config
