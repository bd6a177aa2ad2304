"""Images per second of the encoder, beside torch's where it is importable, and compile times.

    python bench/embed_speed.py [--rounds=8] [--models=ViT-Ti/16,DINOv2-S/14] [--json=FILE]

Random weights, batches of 32 at 224 px, ViT-Ti/16 and DINOv2-S/14 sizes, float32 and bfloat16. The
contenders take turns, one batch each, and the best of the rounds counts: on a shared machine other
work only ever slows.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(CORES))

import jax  # noqa: E402
import numpy as np  # noqa: E402

from jal.backbones import vit  # noqa: E402
from jal.backbones.spec import DINOV2, ViTSpec  # noqa: E402
from jal.weights import processors  # noqa: E402
from jal.weights.encoder import make_encoder  # noqa: E402
from jal.weights.load import Backbone  # noqa: E402

BATCH = 32
VIT_TINY = ViTSpec(
    width=192, depth=12, heads=3, mlp_width=768, patch=16, image_size=(224, 224), norm_eps=1e-12
)
MODELS = {"ViT-Ti/16": VIT_TINY, "DINOv2-S/14": DINOV2["dinov2-small"]}
Run = Callable[[], Any]


def jal_encoder(spec: ViTSpec, dtype: str, images: np.ndarray) -> tuple[Run, float]:
    params = jax.tree.map(np.asarray, jax.jit(vit.init, static_argnums=1)(jax.random.key(0), spec))
    steps = processors.default("dinov2", spec.image_size)
    backbone = Backbone(spec.replace(dtype=dtype), params, steps, "random", "")
    began = time.perf_counter()
    encode, _ = make_encoder(backbone, BATCH)
    seconds = time.perf_counter() - began
    return lambda: np.asarray(encode(images)), seconds


def torch_encoder(spec: ViTSpec, dtype: str, images: np.ndarray) -> Run | None:
    try:
        import torch
        import transformers
    except ImportError:
        return None
    torch.set_num_threads(CORES)
    shape = {
        "hidden_size": spec.width,
        "num_hidden_layers": spec.depth,
        "num_attention_heads": spec.heads,
        "patch_size": spec.patch,
        "image_size": spec.image_size[0],
    }
    if spec.layer_scale:
        model: Any = transformers.Dinov2Model(transformers.Dinov2Config(**shape))
    else:
        config = transformers.ViTConfig(**shape, intermediate_size=spec.mlp_width)
        model = transformers.ViTModel(config, add_pooling_layer=False)
    model = model.eval().to(getattr(torch, dtype))
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())

    def run() -> Any:
        with torch.inference_mode():
            values = (pixels.float() / 255 - 0.45) / 0.23
            return model(values.to(getattr(torch, dtype))).last_hidden_state[:, 0].float().numpy()

    return run


def measure(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """The best images/s of each, taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return {name: BATCH / min(taken) for name, taken in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated")
    arguments = parser.parse_args()
    results = {}
    for model in arguments.models.split(","):
        spec = MODELS[model]
        images = np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3), dtype=np.uint8)
        runs: dict[str, Run] = {}
        compile_seconds = {}
        for dtype in ("float32", "bfloat16"):
            runs[f"jal {dtype}"], compile_seconds[dtype] = jal_encoder(spec, dtype, images)
            if (run := torch_encoder(spec, dtype, images)) is not None:
                runs[f"torch {dtype}"] = run
        speed = measure(runs, arguments.rounds)
        results[model] = {"images_per_second": speed, "compile_seconds": compile_seconds}
        print(f"{model}, batches of {BATCH}, {CORES} cores")
        for name, rate in speed.items():
            print(f"  {name:<16} {rate:7.1f} images/s")
        for dtype, seconds in compile_seconds.items():
            print(f"  compile {dtype:<8} {seconds:7.2f} s")
        print(f"  jal bfloat16 / jal float32    {speed['jal bfloat16'] / speed['jal float32']:.2f}")
        for dtype in ("float32", "bfloat16"):
            if f"torch {dtype}" in speed:
                ratio = speed[f"jal {dtype}"] / speed[f"torch {dtype}"]
                print(f"  jal / torch, {dtype:<8}         {ratio:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
