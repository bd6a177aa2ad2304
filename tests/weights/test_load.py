"""Hugging Face folders and hub ids to parameters: shards, prefixes, and every error said at once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from fixtures.make_backbone_fixtures import FOLDER
from safetensors.numpy import load_file, save_file

from jal.backbones import vit
from jal.backbones.spec import DINOV2
from jal.errors import JalError
from jal.weights import families
from jal.weights import load as hf
from jal.weights.assemble import expected, hub_name
from jal.weights.files import INDEX, PREPROCESSOR, PROCESSOR, WEIGHTS
from jal.weights.hub import Origin

Tensors = dict[str, np.ndarray]


def copy(name: str, folder: Path, change: Callable[[Tensors], Tensors] = dict) -> str:
    """A fixture model with its tensors changed."""
    folder.mkdir(exist_ok=True)
    shutil.copy(FOLDER / name / "config.json", folder)
    save_file(change(load_file(FOLDER / name / WEIGHTS)), folder / WEIGHTS)
    return str(folder)


def assert_same(first: hf.Backbone, second: hf.Backbone) -> None:
    assert first.spec == second.spec
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)


def rename(start: str, instead: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {
        (instead + name.removeprefix(start) if name.startswith(start) else name): value
        for name, value in tensors.items()
    }


def test_shards_load_like_one_file(tmp_path: Path) -> None:
    tensors = load_file(FOLDER / "dinov2" / WEIGHTS)
    names = sorted(tensors)
    where = {}
    for shard in range(3):
        file = f"model-{shard + 1:05}-of-00003.safetensors"
        save_file({name: tensors[name] for name in names[shard::3]}, tmp_path / file)
        where |= dict.fromkeys(names[shard::3], file)
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": where}))
    shutil.copy(FOLDER / "dinov2" / "config.json", tmp_path)
    assert_same(hf.load(str(tmp_path)), hf.load(str(FOLDER / "dinov2")))
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(
        JalError,
        match=r"weight_map names shards that are not there: model-00002-of-00003",
    ):
        hf.load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dinov2", rename("", "dinov2.")),
        ("vit", rename("", "vit.")),
        ("clip_vision_quick_gelu", rename("vision_model.", "")),
        ("clip_vision_unprojected", rename("", "vision_model.")),
        ("dinov2", lambda t: t | {"classifier.weight": np.zeros((3, 48), np.float32)}),
        ("clip", lambda t: t | {"vision_model.embeddings.position_ids": np.arange(17)}),
    ],
)
def test_prefixes_and_known_extras_make_no_difference(
    tmp_path: Path, name: str, change: Callable[[Tensors], Tensors]
) -> None:
    assert_same(hf.load(copy(name, tmp_path, change)), hf.load(str(FOLDER / name)))


@pytest.mark.parametrize(
    "name", ["dinov2", "dinov2_swiglu", "dinov2_with_registers", "vit", "clip_vision_gelu"]
)
def test_names_of_the_modules_in_memory_load_too(tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch")
    import transformers
    from fixtures.make_backbone_fixtures import CASES

    model = getattr(transformers, CASES[name].model).from_pretrained(FOLDER / name)
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    assert_same(hf.load(copy(name, tmp_path, lambda _: state)), hf.load(str(FOLDER / name)))


def test_half_precision_weights_are_read_as_float32(tmp_path: Path) -> None:
    import ml_dtypes

    for dtype in (np.float16, ml_dtypes.bfloat16):
        folder = copy("vit", tmp_path, lambda t, d=dtype: {k: v.astype(d) for k, v in t.items()})
        params, expected = hf.load(folder).params, hf.load(str(FOLDER / "vit")).params
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-2, atol=1e-2), params, expected)


def test_every_missing_unexpected_and_misshapen_key_is_named_at_once(tmp_path: Path) -> None:
    def damage(tensors: Tensors) -> Tensors:
        del tensors["layernorm.bias"], tensors["encoder.layer.1.mlp.fc1.bias"]
        tensors["stranger"] = tensors["another.stranger"] = np.zeros(1, np.float32)
        tensors["embeddings.cls_token"] = np.zeros((1, 1, 25), np.float32)
        tensors["encoder.layer.0.mlp.fc2.weight"] = np.zeros((48, 24), np.float32)
        return tensors

    with pytest.raises(JalError) as error:
        hf.load(copy("dinov2", tmp_path, damage))
    for part in (
        "missing: encoder.layer.1.mlp.fc1.bias, layernorm.bias",
        "unexpected: another.stranger, stranger",
        "embeddings.cls_token is [1, 1, 25], not [1, 1, 24]",
        "encoder.layer.0.mlp.fc2.weight is [48, 24], not [24, 48]",
    ):
        assert part in str(error.value)


def test_other_faults_are_one_clear_sentence(tmp_path: Path) -> None:
    folder = Path(copy("dinov2", tmp_path))
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[: len(weights) // 2])
    with pytest.raises(JalError, match="not a whole safetensors file"):
        hf.load(str(folder))
    (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(JalError, match="run git lfs pull"):
        hf.load(str(folder))
    with pytest.raises(JalError, match="There is no model folder"):
        hf.load(str(folder / "absent"))
    (folder / WEIGHTS).unlink()
    with pytest.raises(JalError, match="holds no weights"):
        hf.load(str(folder))
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(JalError, match=r"only pickled weights \(pytorch_model.bin\).*convert"):
        hf.load(str(folder))
    (folder / "config.json").write_text('{"model_type": "resnet"}')
    (folder / WEIGHTS).write_bytes(weights)
    with pytest.raises(JalError, match="model_type 'resnet'; jal loads dinov2, "):
        hf.load(str(folder))
    (folder / "config.json").write_text("{")
    with pytest.raises(JalError, match="not valid JSON"):
        hf.load(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(JalError, match=r"has no config\.json"):
        hf.load(str(folder))


def config_with(folder: str, **changes: object) -> None:
    path = Path(folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_in_the_home_folder_loads_by_its_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    copy("vit", tmp_path / "tiny")
    found = hf.load("~/tiny")
    assert_same(found, hf.load(str(FOLDER / "vit")))
    assert (found.name, found.origin) == ("tiny", Origin(str(tmp_path / "tiny")))
    for absent in ("~/absent", "~nobody-of-that-name/tiny", "./absent"):
        with pytest.raises(JalError, match=f"There is no model folder {absent}"):
            hf.load(absent)
    with pytest.raises(JalError, match=r"config\.json is a file; a model is the folder"):
        hf.load("~/tiny/config.json")
    with pytest.raises(JalError, match=r"model\.name is empty"):
        hf.load("")


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("dinov2", "a shorter side of 32 pixels, then cropped to 28 × 28 pixels"),
        ("clip", "a shorter side of 28 pixels, then cropped to 28 × 28 pixels"),
        ("vit_oblong", "resized to 21 × 42 pixels"),
    ],
)
def test_steps_that_no_file_describes_are_said(name: str, steps: str) -> None:
    (note,) = hf.load(str(FOLDER / name)).notes
    assert note.startswith(f"{name} has no preprocessor_config.json: as is usual for {name[:3]}")
    assert note.endswith(f"{steps}, the size in its config.json; model.image_size takes another.")


def test_a_size_that_was_asked_for_is_not_called_the_model_s() -> None:
    (note,) = hf.load(str(FOLDER / "dinov2"), image_size=42).notes
    assert note.endswith("a shorter side of 48 pixels, then cropped to 42 × 42 pixels.")


def test_steps_that_a_file_describes_need_no_word(tmp_path: Path) -> None:
    folder = copy("vit", tmp_path)
    (tmp_path / PREPROCESSOR).write_text('{"image_processor_type": "ViTImageProcessor"}')
    assert hf.load(folder).notes == ()


def test_shards_with_one_name_twice_are_refused(tmp_path: Path) -> None:
    tensors = load_file(FOLDER / "vit" / WEIGHTS)
    for file in ("a.safetensors", "b.safetensors"):
        save_file(tensors, tmp_path / file)
    where = dict.fromkeys(tensors, "a.safetensors") | {min(tensors): "b.safetensors"}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": where}))
    shutil.copy(FOLDER / "vit" / "config.json", tmp_path)
    with pytest.raises(JalError, match=r"is in both .*a\.safetensors and .*b\.safetensors"):
        hf.load(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: x.astype(np.int8),
            "do not fit its config.json; not of F64, F32, F16, BF16: {} is I8",
        ),
        (lambda x: x * np.nan, "model.safetensors is damaged: {} has values that are not finite"),
        (lambda x: x.astype(np.float64) + 1e300, "damaged: {} has values that are not finite"),
    ],
)
def test_weights_of_another_type_and_broken_numbers_are_named(
    change: Callable[[np.ndarray], np.ndarray], message: str, tmp_path: Path
) -> None:
    name = "encoder.layer.1.mlp.fc1.bias"
    folder = copy("dinov2", tmp_path, lambda tensors: tensors | {name: change(tensors[name])})
    with pytest.raises(JalError, match=message.format(name)):
        hf.load(folder)


def test_patches_may_be_said_twice_and_must_be_square(tmp_path: Path) -> None:
    folder = copy("dinov2", tmp_path)
    config_with(folder, patch_size=[7, 7])
    assert_same(hf.load(folder), hf.load(str(FOLDER / "dinov2")))
    config_with(folder, patch_size=[7, 14])
    with pytest.raises(
        JalError, match=r"config.json: patch_size is \[7, 14\]; jal's patches are square"
    ):
        hf.load(folder)


def test_oblong_positions_are_used_as_they_are_or_refused() -> None:
    native = hf.load(str(FOLDER / "vit_oblong"))
    assert native.spec.image_size == (21, 42)
    with pytest.raises(JalError, match="are a grid of 3 x 6 patches, and 4 x 4 are wanted"):
        hf.load(str(FOLDER / "vit_oblong"), image_size=28)


def test_a_clip_classifier_s_head_is_left_out(tmp_path: Path) -> None:
    head = {"classifier.weight": np.zeros((2, 24), np.float32), "classifier.bias": np.zeros(2)}
    folder = copy("clip_vision_unprojected", tmp_path, lambda tensors: tensors | head)
    assert_same(hf.load(folder), hf.load(str(FOLDER / "clip_vision_unprojected")))


def test_the_image_processor_may_lie_in_the_processor_s_file(tmp_path: Path) -> None:
    folder = copy("vit", tmp_path)
    steps = {"image_processor_type": "ViTImageProcessor", "size": {"height": 35, "width": 35}}
    nested = steps | {"image_mean": 0.25, "image_std": [0.5, 0.25, 0.125]}
    (tmp_path / PREPROCESSOR).write_text(json.dumps(steps))
    (tmp_path / PROCESSOR).write_text(json.dumps({"processor_class": "Other"}))
    assert hf.load(folder).preprocessing.mean == (0.5, 0.5, 0.5)
    (tmp_path / PROCESSOR).write_text(json.dumps({"image_processor": nested}))
    found = hf.load(folder).preprocessing
    assert (found.resize, found.mean) == ((35, 35), (0.25, 0.25, 0.25))
    assert found.std == (0.5, 0.25, 0.125)


def commit(revision: str) -> str:
    return hashlib.sha1(revision.encode()).hexdigest()


def test_hub_ids_come_from_the_cache_offline_at_their_revision(tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "models--someone--tiny"
    for revision, name in (("main", "dinov2"), ("v2", "vit")):
        snapshot = cached / "snapshots" / commit(revision)
        shutil.copytree(FOLDER / name, snapshot)
        (cached / "refs").mkdir(exist_ok=True)
        (cached / "refs" / revision).write_text(snapshot.name)
    program = """if True:
        from jal.weights import load as hf
        from jal.errors import JalError
        print(hf.load("someone/tiny").spec.layer_scale, hf.load("someone/tiny").name)
        found = hf.load("someone/tiny", revision="v2")
        print(found.spec.layer_scale, found.origin.model, found.origin.revision)
        try:
            hf.load("someone/absent")
        except JalError as error:
            print(error)
    """
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ
        | {
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert lines[:2] == ["True someone/tiny", f"False someone/tiny {commit('v2')}"]
    assert "neither a folder here nor reachable" in lines[2]


# As published for facebook/dinov2-giant: config.json, and 1.136 billion parameters.
GIANT = {
    "model_type": "dinov2",
    "hidden_size": 1536,
    "num_hidden_layers": 40,
    "num_attention_heads": 24,
    "image_size": 518,
    "patch_size": 14,
    "use_swiglu_ffn": True,
    "layer_norm_eps": 1e-6,
}


def count(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(int(np.prod(shape)) for shape in shapes.values())


def test_giant_has_the_published_size_and_every_key_has_one_place(tmp_path: Path) -> None:
    giant = families.family(GIANT, {}, tmp_path)
    shapes = expected(giant)
    mask_token = 1536
    assert count(shapes) + mask_token == 1_136_480_768
    abstract = jax.eval_shape(partial(vit.init, spec=giant.spec), jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(abstract)) == count(shapes)
    assert giant.spec.replace(image_size=(224, 224)) == DINOV2["dinov2-giant"]
    pooled, tokens = jax.eval_shape(
        partial(vit.forward, giant.spec),
        abstract,
        jax.ShapeDtypeStruct((1, 518, 518, 3), "float32"),
    )
    assert pooled.shape == (1, 1536)
    assert tokens.shape == (1, 1370, 1536)


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("size", ["small", "base", "large", "giant"])
def test_published_sizes_have_torch_s_keys_and_shapes(
    size: str, registers: int, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    import transformers

    spec = DINOV2[f"dinov2{'-with-registers' if registers else ''}-{size}"]
    kind = "Dinov2WithRegisters" if registers else "Dinov2"
    config = getattr(transformers, f"{kind}Config")(
        hidden_size=spec.width,
        num_hidden_layers=spec.depth,
        num_attention_heads=spec.heads,
        patch_size=14,
        image_size=518,
        use_swiglu_ffn=spec.gated,
    )
    with torch.device("meta"):
        model = getattr(transformers, f"{kind}Model")(config)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    family = families.family(config.to_dict(), shapes, tmp_path)
    names = {hub_name(family, name): shape for name, shape in shapes.items()}
    assert expected(family) == {k: v for k, v in names.items() if "mask_token" not in k}
    assert dataclasses.replace(family.spec, image_size=(224, 224)) == spec


def test_clip_tower_inside_clip_ignores_the_text_tower() -> None:
    backbone = hf.load(str(FOLDER / "clip"))
    assert backbone.spec.projection == backbone.spec.features == 20
    assert backbone.spec.activation == "quick_gelu"


def test_fingerprint_changes_with_the_weights(tmp_path: Path) -> None:
    same = hf.load(copy("vit", tmp_path / "same"))
    other = hf.load(copy("vit", tmp_path / "other", lambda t: {k: v + 1 for k, v in t.items()}))
    assert same.fingerprint == hf.load(str(tmp_path / "same")).fingerprint != other.fingerprint
