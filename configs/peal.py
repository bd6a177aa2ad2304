"""The protocol of PEAL (arXiv 2406.09296): LoRA in DINOv2, entropy and Featdist, three data sets.

jal sweep --config=peal:eurosat --workdir=runs/peal-eurosat
jal sweep --config=peal:histology --workdir=runs/peal-histology
jal sweep --config=peal:aptos --workdir=runs/peal-aptos --config.data.path=FOLDER

EuroSAT and Histology (colorectal) come through TFDS; APTOS 2019 is downloaded by hand as a folder of
class folders. The paper gives its data sets, strategies and the share of trained parameters (0.03 %);
rank, learning rate, epochs and budgets are ours.
"""

from ml_collections import ConfigDict

from jal.data.catalogue import fill_in
from jal.errors import JalError
from jal.sweeps.config import sweep_config

# The names they have in jal's catalogue of data sets.
DATASETS = {
    "histology": "colorectal_histology",
    "eurosat": "eurosat",
    "aptos": "aptos2019",
}


def get_config(dataset: str = "eurosat") -> ConfigDict:
    """Ten rounds; LoRA and linear probing on the same first sets and seeds."""
    if dataset not in DATASETS:
        raise JalError(f"peal has no data set {dataset!r}; choose from {', '.join(DATASETS)}.")
    config = sweep_config()
    fill_in(config.data, DATASETS[dataset])
    config.data.cache = f"cache/{dataset}"
    config.model.name = "facebook/dinov2-small"  # the paper: facebook/dinov2-giant
    config.model.dtype = "bfloat16"
    config.learner = ("lora", "frozen")
    config.strategies = "entropy,featdist,entropy(balanced=True),random"
    config.inits = "random"
    config.seeds = 5
    config.rounds = 10
    config.start = 5
    config.step = 5
    # Rank 1 on q, k and v is the paper's 0.03 % on ViT-g; a little more costs nothing.
    config.lora.rank = 4
    config.lora.alpha = 8.0
    return config
