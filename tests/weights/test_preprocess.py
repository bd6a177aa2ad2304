"""Host preprocessing against transformers' own PIL processors, bit by bit, and decoding."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from jal.data.decode import BadImageError, to_rgb
from jal.errors import JalError
from jal.weights.processors import FILTERS, from_config

# preprocessor_config.json as published, by family.
DINOV2 = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "resample": 3,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
CLIP = {
    "feature_extractor_type": "CLIPFeatureExtractor",
    "size": 224,
    "crop_size": 224,
    "resample": 3,
    "do_center_crop": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
VIT = {"image_processor_type": "ViTImageProcessor", "size": 224, "resample": 2}
SMALL = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 20},
    "crop_size": {"height": 31, "width": 28},
}
CONFIGS = {"dinov2": DINOV2, "clip": CLIP, "vit": VIT, "small": SMALL}
SIZES = [(224, 224), (1, 1), (7, 300), (301, 200), (333, 500), (97, 96), (640, 37), (255, 257)]


def theirs(config: dict[str, Any]) -> Any:
    """transformers' PIL processor of a config."""
    from transformers.models.bit import image_processing_pil_bit as bit
    from transformers.models.clip import image_processing_pil_clip as clip
    from transformers.models.vit import image_processing_pil_vit as vit

    kind = config.get("image_processor_type", "CLIP")
    classes = {
        "Bit": bit.BitImageProcessorPil,
        "CLI": clip.CLIPImageProcessorPil,
        "ViT": vit.ViTImageProcessorPil,
    }
    return classes[kind[:3]](**{k: v for k, v in config.items() if not k.endswith("_type")})


def make_image(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", CONFIGS)
def test_crops_equal_transformers_bit_for_bit(name: str, size: tuple[int, int]) -> None:
    pytest.importorskip("transformers")
    processor, steps = theirs(CONFIGS[name]), from_config(CONFIGS[name])
    image = make_image(size)
    raw = processor(image, do_rescale=False, do_normalize=False, return_tensors="np")
    ours = steps(image)
    assert ours.dtype == np.uint8
    assert ours.shape[:2] == steps.output_size
    np.testing.assert_array_equal(ours, raw["pixel_values"][0].transpose(1, 2, 0))
    full = processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)
    normalised = jax.jit(steps.normalise)(ours[None])[0]
    np.testing.assert_allclose(normalised, full, atol=2e-6)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA", "YCbCr"])
@pytest.mark.parametrize("name", ["dinov2", "clip"])
def test_colour_modes_equal_transformers_conversion(name: str, mode: str) -> None:
    image = make_image((120, 90), mode)
    content = io.BytesIO()
    image.save(content, "TIFF")
    ours = from_config(CONFIGS[name])(to_rgb(content.getvalue()))
    processor = theirs(CONFIGS[name])
    raw = processor(
        image, do_convert_rgb=True, do_rescale=False, do_normalize=False, return_tensors="np"
    )
    np.testing.assert_array_equal(ours, raw["pixel_values"][0].transpose(1, 2, 0))


def test_sixteen_bit_greyscale_keeps_its_whole_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    expected = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    for ending in ("png", "tif"):
        file = tmp_path / f"ramp.{ending}"
        Image.fromarray(ramp).save(file)
        np.testing.assert_array_equal(np.asarray(to_rgb(file)), expected)
    np.testing.assert_array_equal(np.asarray(to_rgb(ramp)), expected)


def test_twelve_bit_greyscale_is_scaled_from_its_own_white() -> None:
    pixels = np.array([[0, 2048, 4095, 5000]], np.uint16)
    assert np.asarray(to_rgb(pixels, white=4095))[0, :, 0].tolist() == [0, 128, 255, 255]
    assert np.asarray(to_rgb(pixels))[0, :, 0].tolist() == [0, 8, 16, 19]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_camera_rotation_is_applied(orientation: int) -> None:
    upright = np.zeros((6, 4, 3), np.uint8)
    upright[0, 0], upright[5, 3] = 255, 90
    # How a camera stores the upright picture under each of EXIF's orientations.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(content, "PNG", exif=exif)
    np.testing.assert_array_equal(np.asarray(to_rgb(content.getvalue())), upright)


@pytest.mark.parametrize(
    "content", [b"", b"not an image", np.zeros((3, 4, 2), np.uint8), np.full((2, 2), -1.0)]
)
def test_what_is_no_image_is_bad(content: Any) -> None:
    with pytest.raises(BadImageError):
        to_rgb(content)


def test_truncated_file_is_bad(tmp_path: Path) -> None:
    file = tmp_path / "half.jpg"
    make_image((200, 200)).save(file)
    file.write_bytes(file.read_bytes()[:3000])
    with pytest.raises(BadImageError, match="truncated"):
        to_rgb(file)


def test_resizing_keeps_the_margin_that_is_cut_off() -> None:
    steps = from_config(DINOV2).resized(448)
    assert (steps.resize, steps.output_size) == (512, (448, 448))
    assert from_config(VIT).resized((32, 48)).output_size == (32, 48)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"image_processor_type": "PixtralImageProcessor"},
            'image_processor_type is "PixtralImageProcessor"; jal follows ViT',
        ),
        (DINOV2 | {"size": {"longest_edge": 3}}, "size is {"),
        (DINOV2 | {"crop_size": {"shortest_edge": 3}}, "crops to a height and a width"),
        (DINOV2 | {"do_center_crop": False}, "neither crops nor resizes"),
    ],
)
def test_other_processors_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(JalError, match=message):
        _ = from_config(config).output_size


@pytest.mark.parametrize(("number", "name"), [*enumerate(FILTERS)])
def test_a_filter_may_be_said_by_name(number: int, name: str) -> None:
    assert from_config(DINOV2 | {"resample": name}) == from_config(DINOV2 | {"resample": number})
    assert Image.Resampling(number).name == name.upper()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"resample": "cubic"},
            'resample is "cubic"; it must be a whole number from 0 to 5, or one of',
        ),
        ({"resample": 7}, "resample is 7; it must be a whole number from 0 to 5"),
        ({"resample": True}, "resample is true; it must be"),
        (
            {"image_mean": [0.5] * 4},
            r"image_mean is \[0.5, 0.5, 0.5, 0.5\]; .*a list of 3, each a number",
        ),
        ({"image_mean": "0.5"}, 'image_mean is "0.5"; it must be a number'),
        ({"image_mean": [0.5, 0.5, float("nan")]}, "image_mean is .*NaN.*; it must be"),
        ({"image_std": [0.5, 0.5, 0]}, "image_std is .*; it must be a number above 0"),
        ({"image_std": 0}, "image_std is 0; it must be a number above 0"),
        ({"rescale_factor": "1/255"}, 'rescale_factor is "1/255"; it must be a number'),
        (
            {"size": {"shortest_edge": -3}},
            "size.shortest_edge is -3; it must be a whole number from 1",
        ),
        ({"size": {"shortest_edge": "256"}}, 'size.shortest_edge is "256"; it must be'),
        ({"size": {"height": 9, "width": 0}}, "size.width is 0; it must be"),
        ({"size": [224, 224]}, r"size is \[224, 224\]; it must be"),
        ({"size": 224.5}, "size is 224.5; it must be"),
        ({"crop_size": True}, "crop_size is true; it must be"),
        ({"do_resize": "false"}, 'do_resize is "false"; it must be true or false'),
        ({"do_center_crop": 1}, "do_center_crop is 1; it must be true or false"),
        ({"image_processor_type": ["Bit"]}, r'image_processor_type is \["Bit"\]; it must be text'),
        ({"image_processor_type": None}, "image_processor_type is null; it must be text"),
    ],
)
def test_values_of_another_type_or_range_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(JalError, match=f"^folder/p.json: {message}"):
        from_config(DINOV2 | change, "folder/p.json")


def test_null_is_what_is_left_out() -> None:
    nulls = dict.fromkeys(("size", "resample", "do_resize", "image_mean"))
    given = {name: value for name, value in DINOV2.items() if name not in nulls}
    assert from_config(DINOV2 | nulls) == from_config(given)


def test_what_names_no_processor_says_so() -> None:
    with pytest.raises(JalError, match=r"p\.json lacks image_processor_type; .* must be text"):
        from_config({"size": 224}, "p.json")
