"""LoRA against linear probing on 96-pixel images with a ViT-tiny: PEAL on a laptop's CPU.

jal sweep --config=peal_tiny --workdir=runs/peal --config.data.path=IMAGES --config.model.name=VIT

IMAGES holds train/<class>/*.jpg and test/<class>/*.jpg; VIT is a folder (or hub id) with a ViT of
Hugging Face's layout. On 1,600 stained blood cells of four classes, five seeds and 160 labels at the
end, expect about 66 % with LoRA and 49 % with the probe (docs/peal.md has the table). A strategy took
20 minutes on 2 cores that others used too.
"""

from ml_collections import ConfigDict

from jal.sweeps.config import sweep_config


def get_config() -> ConfigDict:
    """Five rounds of eight labels a class; LoRA and its control arm from the same first sets."""
    config = sweep_config()
    config.data.path = "../shared/data/images/blood_cells"
    config.model.name = "../shared/data/vit_tiny"
    config.model.image_size = 112
    config.learner = ("lora", "frozen")
    config.strategies = "random,entropy,featdist"
    config.inits = "random"
    config.seeds = 5
    config.rounds = 5
    config.start = 8
    config.step = 8
    # 192 features carry less that is redundant than the embeddings that 0.75 was chosen for.
    config.probe.dropout = 0.5
    return config
