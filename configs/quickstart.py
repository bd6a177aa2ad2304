"""A first look, offline: three strategies, five seeds, handwritten digits.

make quickstart
"""

from ml_collections import ConfigDict

from jal.sweeps.config import sweep_config


def get_config() -> ConfigDict:
    """15 rounds of one label a class."""
    config = sweep_config()
    config.pool.path = "digits"
    config.strategies = "random,margins,dropquery"
    config.seeds = 5
    config.rounds = 15
    # 64 raw pixels carry little that is redundant: the paper's rate of 0.75, meant for embeddings of
    # several hundred dimensions, would leave 16 of them.
    config.probe.dropout = 0.5
    return config
