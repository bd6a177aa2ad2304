from __future__ import annotations

import jax
import pytest
from tiny_images import SPEC

from jal.backbones import vit
from jal.backbones.counts import adapter_count, backbone_count, trained_share
from jal.backbones.spec import DINOV2, LoRASpec


def test_dinov2_sizes_are_the_published_ones():
    # The hub's files hold the position embeddings of 518 pixels.
    millions = {
        size: backbone_count(DINOV2[f"dinov2-{size}"].replace(image_size=(518, 518))) / 1e6
        for size in ("small", "giant")
    }
    assert millions["small"] == pytest.approx(22.1, abs=0.2)
    assert millions["giant"] == pytest.approx(1136, abs=2)


@pytest.mark.parametrize(("size", "targets"), [("giant", ("q", "k", "v")), ("large", ("q", "v"))])
def test_rank_one_is_the_papers_share_of_0_03_percent(size: str, targets: tuple[str, ...]):
    share = trained_share(DINOV2[f"dinov2-{size}"], LoRASpec(rank=1, alpha=2.0, targets=targets))
    assert round(100 * share, 2) == 0.03


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("last", [None, 2])
def test_the_count_is_that_of_the_arrays(gated: bool, last: int | None):
    spec = SPEC.replace(gated=gated)
    lora = LoRASpec(rank=3, targets=("q", "o", "fc1", "fc2"), last=last)
    made = jax.eval_shape(lambda: vit.init_lora(jax.random.key(0), spec, lora))
    assert adapter_count(spec, lora) == sum(leaf.size for leaf in jax.tree.leaves(made))
