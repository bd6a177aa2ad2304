"""config.json and the index of shards: transformers' defaults, and every wrong type one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fixtures.make_backbone_fixtures import FOLDER

from jal.errors import JalError
from jal.weights import load as hf
from jal.weights.described import DEFAULTS, described
from jal.weights.files import CONFIG, INDEX, PREPROCESSOR, PROCESSOR, WEIGHTS, weight_files

AT = Path("folder") / CONFIG
DINOV2 = json.loads((FOLDER / "dinov2" / CONFIG).read_text())
CLIP = json.loads((FOLDER / "clip" / CONFIG).read_text())


@pytest.mark.parametrize("kind", DEFAULTS)
def test_what_config_json_leaves_out_is_what_transformers_takes(kind: str) -> None:
    pytest.importorskip("transformers")
    from transformers import CONFIG_MAPPING

    theirs = CONFIG_MAPPING[kind]()
    tower = getattr(theirs, "vision_config", theirs)
    for name, default in DEFAULTS[kind].items():
        if name == "num_register_tokens" and kind == "dinov2":
            continue  # transformers has none there
        found = getattr(theirs if name == "projection_dim" else tower, name)
        assert (found or []) == default if name == "architectures" else found == default, name


@pytest.mark.parametrize("extra", [{}, {"hidden_size": 96}])
def test_both_spellings_of_clip_s_tower_are_merged_as_transformers_does(
    extra: dict[str, Any],
) -> None:
    pytest.importorskip("transformers")
    from transformers import CLIPConfig

    config = {
        "model_type": "clip", "projection_dim": 20,
        "vision_config": {"hidden_size": 48, "num_attention_heads": 4, "image_size": 64},
        "vision_config_dict": {"num_attention_heads": 6, "patch_size": 8, **extra},
    }  # fmt: skip
    theirs = CLIPConfig.from_dict(json.loads(json.dumps(config)))
    ours = described(config, AT)
    assert ours["projection_dim"] == 20
    for name in ("hidden_size", "num_attention_heads", "intermediate_size", "hidden_act"):
        assert ours[name] == getattr(theirs.vision_config, name)
    assert ours["image_size"] == (theirs.vision_config.image_size,) * 2
    assert ours["patch_size"] == (8, 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": "384"}, 'hidden_size is "384"; it must be a whole number from 1'),
        ({"hidden_size": 24.0}, "hidden_size is 24.0; it must be a whole number"),
        ({"hidden_size": True}, "hidden_size is true; it must be a whole number"),
        ({"hidden_size": -24}, "hidden_size is -24; it must be"),
        ({"hidden_size": 10**30}, "hidden_size is 10+; it must be"),
        ({"hidden_size": 25}, "hidden_size is 25; it must be a multiple of num_attention_heads, 3"),
        ({"num_hidden_layers": [2]}, r"num_hidden_layers is \[2\]; it must be"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0; it must be"),
        ({"num_channels": 4}, "num_channels is 4; it must be 3: jal feeds RGB"),
        ({"image_size": "518"}, 'image_size is "518"; it must be'),
        ({"image_size": [28, 28, 3]}, r"image_size is \[28, 28, 3\]; .* a list of 2"),
        ({"image_size": 6}, r"image_size is \[6, 6\], less than one patch; patch_size is 7"),
        ({"patch_size": 0}, "patch_size is 0; it must be"),
        ({"hidden_act": "mish"}, 'hidden_act is "mish"; it must be one of gelu, '),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps is NaN; it must be a number from 0"),
        ({"layer_norm_eps": "1e-6"}, 'layer_norm_eps is "1e-6"; it must be a number'),
        ({"mlp_ratio": 0}, "mlp_ratio is 0; it must be a number above 0"),
        ({"mlp_ratio": 0.01}, "mlp_ratio is 0.01, less than one unit's"),
        ({"qkv_bias": "yes"}, 'qkv_bias is "yes"; it must be true or false'),
        ({"use_swiglu_ffn": 0}, "use_swiglu_ffn is 0; it must be true or false"),
        ({"architectures": "Dinov2Model"}, 'architectures is "Dinov2Model"; it must be a list'),
        ({"model_type": 3}, "model_type is 3; it must be text"),
    ],
)  # fmt: skip
def test_fields_of_another_type_or_range_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(JalError, match=f"^folder/config.json: {message}"):
        described(DINOV2 | change, AT)


def test_fields_of_clip_s_tower_are_named_inside_it() -> None:
    for name, value in (("vision_config", [1]), ("projection_dim", "20"), ("architectures", [1])):
        with pytest.raises(JalError, match=rf"^folder/config.json: {name} is "):
            described(CLIP | {name: value}, AT)
    tower = CLIP["vision_config"] | {"hidden_size": None, "patch_size": "7"}
    with pytest.raises(JalError, match=r'^folder/config\.json, vision_config: patch_size is "7"'):
        described(CLIP | {"vision_config": tower}, AT)


@pytest.mark.parametrize("name", [CONFIG, PREPROCESSOR, PROCESSOR, INDEX])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1, 2]", r"is \[1, 2\]; it must be .*an object"),
        (b'"text"', r'is "text"; it must be .*an object'),
        (b"null", "is null; it must be"),
        (b"", r"is not valid JSON \(.*\); it must be"),
        (b"{", r"is not valid JSON \(.*\); it must be"),
        (b'{"a": \xff}', r"is not valid JSON \(.*codec.*\)"),
        (b"[" * 100_000, r"is not valid JSON \("),
        (b'{"a": ' + b"9" * 5000 + b"}", r"is not valid JSON \("),
        (b"<!DOCTYPE html><html>", r"is not valid JSON \("),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "is a git-lfs pointer, .*run git lfs pull",
        ),
    ],
)
def test_what_is_no_object_is_said_of_each_file(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(FOLDER / "dinov2", tmp_path / "m"))
    (folder / name).write_bytes(content)
    if name == INDEX:
        (folder / WEIGHTS).unlink()
    with pytest.raises(JalError, match=f"^{folder / name} {message}") as error:
        hf.load(str(folder))
    assert len(str(error.value)) < 600
    assert len(str(error.value).splitlines()) == 1


def test_a_folder_in_a_file_s_place_cannot_be_read(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER / "dinov2", tmp_path / "m"))
    for name in (WEIGHTS, CONFIG):
        (folder / name).unlink()
        (folder / name).mkdir()
        with pytest.raises(JalError, match=rf"{name} cannot be read \(Is a directory\)"):
            hf.load(str(folder))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({}, "lacks weight_map; weight_map must be an object"),
        ({"weight_map": ["a"]}, r'weight_map is \["a"\]; it must be an object'),
        ({"weight_map": {}}, "weight_map is empty"),
        ({"weight_map": {"x": 3}}, "weight_map has 3 for x; it must be text"),
        ({"weight_map": {"x": None}}, "weight_map has null for x; it must be text"),
        ({"weight_map": {"x": "../other/a"}}, r'weight_map has "../other/a" for x; .*same folder'),
        ({"weight_map": {"x": "/etc/passwd"}}, 'weight_map has "/etc/passwd" for x'),
        ({"weight_map": {"x": "b/../../a"}}, r"weight_map has .* for x"),
        ({"weight_map": {"x": "..\\a"}}, r"weight_map has .* for x"),
        ({"weight_map": {"x": ""}}, 'weight_map has "" for x'),
        ({"weight_map": {"x": "a\0"}}, "weight_map has .* for x"),
    ],
)  # fmt: skip
def test_an_index_names_files_of_its_folder(
    index: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a").write_bytes(b"secret")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / INDEX).write_text(json.dumps(index))
    with pytest.raises(JalError, match=rf"{INDEX}:? {message}"):
        weight_files(tmp_path / "m")


def test_the_image_processor_s_own_part_must_be_an_object(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER / "vit", tmp_path / "m"))
    (folder / PROCESSOR).write_text('{"image_processor": []}')
    with pytest.raises(JalError, match=rf"{PROCESSOR}: image_processor is \[\]; it must be"):
        hf.load(str(folder))
    nested = {"image_processor_type": "ViTImageProcessor", "image_std": 0}
    (folder / PROCESSOR).write_text(json.dumps({"image_processor": nested}))
    with pytest.raises(JalError, match=rf"{PROCESSOR}, image_processor: image_std is 0; it must"):
        hf.load(str(folder))


def test_who_asked_for_a_size_below_a_patch_is_said(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER / "vit", tmp_path / "m"))
    with pytest.raises(
        JalError, match=r"^model\.image_size makes images of 5 × 5 pixels; .* have 7"
    ):
        hf.load(str(folder), image_size=5)
    (folder / PREPROCESSOR).write_text('{"image_processor_type": "ViTImageProcessor", "size": 5}')
    with pytest.raises(JalError, match=rf"{PREPROCESSOR}: crop_size or size makes images of 5 × 5"):
        hf.load(str(folder))
