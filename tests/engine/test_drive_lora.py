"""The LoRA learner in whole sweeps: pairing with the control arm, resuming, prefix, every strategy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from strategy_views import EVERY_STRATEGY
from tiny_images import coloured_images, tiny_backbone

from jal.engine import drive_lora
from jal.engine.layout import Layout, make_layout
from jal.engine.memory_lora import describe, predict
from jal.errors import JalError
from jal.pools.from_config import LoraData
from jal.pools.frozen import frozen_pool
from jal.sweeps.api import SweepResult, run_sweep
from jal.sweeps.config import sweep_config
from jal.sweeps.groups import make_groups
from jal.weights.peft import load_adapters

BACKBONE, IMAGES = tiny_backbone(remat=True), coloured_images()
LOADED, DATA = frozen_pool(IMAGES, BACKBONE, batch_size=8), LoraData(IMAGES, BACKBONE)


def config(**settings: Any) -> ConfigDict:
    made = sweep_config()
    made.learner, made.strategies, made.inits = "lora", "entropy", "random"
    made.seeds, made.rounds, made.start, made.step = 2, 3, 2, 2
    made.lora.update({"epochs": 3, "batch_size": 8, "images_at_once": 4})
    made.update_from_flattened_dict(settings)
    return made


def run(made: ConfigDict, data: LoraData = DATA, **options: Any) -> SweepResult:
    return run_sweep(made, LOADED, images=data, progress=Quiet(), **options)


class Quiet:
    def start(self, part: str, total: int, done: int = 0) -> None: ...

    def advance(self, steps: int = 1, status: str = "") -> None: ...

    def note(self, text: str) -> None: ...


class Stop(Quiet):
    """Ends a sweep after its first round, as Ctrl-C does."""

    def advance(self, steps: int = 1, status: str = "") -> None:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def plain() -> SweepResult:
    return run(config())


def same_results(one: SweepResult, other: SweepResult) -> bool:
    columns = [
        name for name in one.metrics.columns if name not in ("seconds", "compile_seconds", "run")
    ]
    return one.metrics[columns].equals(other.metrics[columns]) and one.acquisitions.equals(
        other.acquisitions
    )


def test_a_sweep_has_every_metric_of_every_round(plain: SweepResult):
    metrics = plain.metrics
    assert len(metrics) == 6
    assert set(metrics["learner"]) == {"lora"}
    assert metrics["labelled"].tolist() == [6, 12, 18] * 2
    assert metrics["epochs"].tolist() == [3] * 6
    assert metrics["unknown_ratio"].isna().tolist() == [True, False, False] * 2
    assert metrics["accuracy"].between(0, 1).all()
    picks = plain.acquisitions.groupby("run").size()
    assert picks.tolist() == [18, 18]


def test_the_same_config_gives_the_same_results(plain: SweepResult):
    assert same_results(plain, run(config()))


def test_both_learners_start_from_the_same_first_sets():
    both = run(config(learner="lora,frozen", rounds=1))
    first = both.acquisitions.merge(both.metrics[["run", "learner"]].drop_duplicates(), on="run")
    sets = first.groupby(["learner", "seed"])["index"].apply(list).unstack("learner")
    assert (sets["lora"] == sets["frozen"]).all()
    assert both.metrics.set_index("learner")["accuracy"].nunique() > 1


def test_a_run_stopped_after_a_round_resumes_to_the_same_results(
    plain: SweepResult, tmp_path: Path
):
    with pytest.raises(KeyboardInterrupt):
        run_sweep(config(), LOADED, images=DATA, progress=Stop(), workdir=tmp_path / "w")
    assert same_results(plain, run(config(), workdir=tmp_path / "w"))


def test_a_mapped_seed_alone_equals_the_same_seed_beside_others(plain: SweepResult):
    alone = run(config(seeds=(2,)))
    beside = plain.metrics[plain.metrics["seed"] == 2]
    columns = ["accuracy", "nll", "brier", "unknown_ratio"]
    np.testing.assert_array_equal(alone.metrics[columns], beside[columns])


def test_vmapped_seeds_are_close_to_mapped_ones(plain: SweepResult):
    together = run(config(**{"execution.mode": "vmap", "rounds": 1}))
    first = plain.metrics[plain.metrics["round"] == 1]
    np.testing.assert_allclose(together.metrics["nll"], first["nll"], atol=1e-3)


LAST_BLOCK = {"lora.blocks": 1, "lora.flip": False}


@pytest.fixture(scope="module")
def from_tokens() -> SweepResult:
    """Only the last block is adapted: the tokens before it are kept, in memory."""
    return run(config(**LAST_BLOCK))


def test_cached_prefix_and_full_pass_give_the_same_curve(from_tokens: SweepResult):
    full, short = run(config(**LAST_BLOCK, **{"lora.prefix": "none"})).metrics, from_tokens.metrics
    np.testing.assert_allclose(full["nll"], short["nll"], atol=2e-3)
    np.testing.assert_allclose(full["accuracy"], short["accuracy"], atol=0.04)


def test_tokens_in_a_folder_are_found_again(from_tokens: SweepResult, tmp_path: Path):
    data = DATA._replace(folder=str(tmp_path))
    assert same_results(run(config(**LAST_BLOCK), data), from_tokens)
    (written,) = tmp_path.glob("coloured-tokens-*/train.npy")
    before = written.stat().st_mtime_ns
    assert same_results(run(config(**LAST_BLOCK), data), from_tokens)
    assert written.stat().st_mtime_ns == before


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_prefix_tokens_may_be_kept_in_half_precision(
    from_tokens: SweepResult, tmp_path: Path, dtype: str
):
    data, settings = DATA._replace(folder=str(tmp_path)), {"lora.prefix": dtype, "rounds": 1}
    half = run(config(**LAST_BLOCK, **settings), data).metrics
    full = from_tokens.metrics.query("round == 1")
    np.testing.assert_allclose(half["nll"], full["nll"], atol=0.05)


def test_every_rounds_adapters_are_exported_and_loaded_back(tmp_path: Path):
    made = config(**{"execution.export_adapters": "transformers5", "rounds": 2})
    run(made, workdir=tmp_path / "w")
    folders = sorted(
        str(path.relative_to(tmp_path / "w" / "adapters"))
        for path in (tmp_path / "w" / "adapters").glob("*/*/*")
    )
    assert folders == [f"group-0/seed-{s}/round-{r:02}" for s in (1, 2) for r in (1, 2)]
    lora, state = load_adapters(tmp_path / "w" / "adapters" / folders[-1], BACKBONE.spec)
    assert lora.rank == 4
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(state.adapters))


def test_the_predicted_memory_is_that_of_the_arrays_and_grows_with_what_is_held():
    def predicted(**settings: Any) -> Any:
        made = config(**settings)
        group = make_groups(made, LOADED)[0]
        layout = make_layout(group.size, made.execution.mode)
        return predict(group, LOADED.pool, layout, DATA), describe(group, LOADED.pool, layout, DATA)

    memory, sentence = predicted()
    weights = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(BACKBONE.params))
    assert memory.frozen == weights
    assert memory.host == IMAGES.images.nbytes + IMAGES.test_images.nbytes
    assert memory.device > weights + np.asarray(LOADED.pool.features).nbytes
    assert "parameters in the adapters" in sentence


def test_lora_without_images_is_refused():
    with pytest.raises(JalError, match="images"):
        run_sweep(config(), LOADED)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", sorted(EVERY_STRATEGY))
def test_every_strategy_works_with_adapted_features(strategy: str):
    result = run(config(strategies=strategy, rounds=2))
    for _, picks in result.acquisitions.groupby("run"):
        assert len(picks) == 12
    assert np.isfinite(result.metrics["nll"]).all()


def test_images_that_fit_stay_on_the_device_between_rounds(
    plain: SweepResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[int] = []
    chunks = drive_lora._chunks

    def counted(split: np.ndarray, layout: Layout) -> Iterator[Any]:
        moved.append(len(split))
        return chunks(split, layout)

    monkeypatch.setattr(drive_lora, "_chunks", counted)
    run(config())
    assert len(moved) == 5  # the test split three times, the pool twice
    moved.clear()
    monkeypatch.setattr(drive_lora, "on_cpu", lambda: False)
    assert same_results(plain, run(config()))
    assert sorted(moved) == sorted([len(IMAGES.images), len(IMAGES.test_images)])
    group = make_groups(config(), LOADED, DATA.backbone.spec.depth)[0]
    layout = make_layout(2, "map")
    with_images = predict(group, LOADED.pool, layout, DATA).device
    monkeypatch.setattr(drive_lora, "memory", lambda: 0)
    assert predict(group, LOADED.pool, layout, DATA).device < with_images
