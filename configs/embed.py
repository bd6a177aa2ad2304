"""Embeddings of a data set by a foundation model.

A data set of the catalogue, by name (`jal.data.catalogue` and docs/embeddings.md list them):

  jal embed --config=embed:cifar10 --store=stores/cifar10
  jal embed --config=embed:cifar100 --config.model.name=facebook/dinov2-large
  jal embed --config=embed:food101 --config.model.name=openai/clip-vit-large-patch14

Your own images, a folder a class (with or without train/ and test/ above), here microscopy:

  jal embed --config=embed --config.data.path=slides --config.data.test_fraction=0.2 --skip_bad

The same command goes on where an interrupted one stopped. A sweep reads the store:

  jal sweep --config=dropquery --config.pool.path=stores/cifar10 --workdir=runs/cifar10

Cost, DINOv2-S at 224 px: about 60 images/s on two CPU cores with bfloat16.
"""

from ml_collections import ConfigDict

from jal.data.catalogue import fill_in
from jal.embedding.config import default_config


def get_config(name: str = "") -> ConfigDict:
    """The defaults, with the data set `name` of the catalogue filled in."""
    config = default_config()
    if name:
        fill_in(config.data, name)
    return config
