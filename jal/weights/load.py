"""Hugging Face checkpoints to our parameters: `load` is the entry, `keys.py` has the tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jal.backbones.adapters import Params
from jal.backbones.spec import ViTSpec
from jal.errors import JalError
from jal.weights import families, preprocess
from jal.weights.assemble import assemble
from jal.weights.position import resize_position
from jal.weights.preprocess import Preprocessing

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_LFS = b"version https://git-lfs"
PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"
PATTERNS = ("config.json", PREPROCESSOR, PROCESSOR, WEIGHTS, "model-*.safetensors", INDEX)


class Backbone(NamedTuple):
    """A loaded model.

    Attributes:
      spec: its shapes, at the image size it was loaded for.
      params: numpy arrays, f32, laid out as `jal.backbones.vit.init` does.
      preprocessing: from image files to the model's input.
      name: what was asked for: a hub id or a folder's name.
      fingerprint: sha256 of config.json and of the weight files.
    """

    spec: ViTSpec
    params: Params
    preprocessing: Preprocessing
    name: str
    fingerprint: str


def load(
    model: str,
    revision: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    dtype: str = "float32",
    remat: bool = False,
) -> Backbone:
    """Loads a DINOv2, CLIP vision or ViT model.

    Args:
      model: a folder with config.json and model.safetensors (or shards), or a hub id.
      revision: the hub's branch, tag or commit.
      image_size: input side or (height, width), pixels; None takes the preprocessor's. Position
        embeddings are interpolated to it as the model's family does.
      dtype: compute dtype, "float32" or "bfloat16".
      remat: recompute activations in the backward pass.

    Raises:
      JalError: nothing found, an unsupported family, or weights that do not fit the config; every
        missing, unexpected and misshapen key is listed.
    """
    folder = find(model, revision)
    config = _read_json(folder, "config.json")
    files = weight_files(folder)
    shapes = read_shapes(files)
    family = families.family(config, shapes, folder)
    spec = family.spec.replace(dtype=dtype, remat=remat)
    described = _preprocessor(folder)
    if described is not None:
        preprocessing = preprocess.from_config(described)
    else:
        preprocessing = preprocess.default(config["model_type"], spec.image_size)
    native = spec.grid
    if image_size is not None:
        preprocessing = preprocessing.resized(image_size)
    spec = spec.replace(image_size=preprocessing.output_size)
    params = assemble(family, shapes, read_tensors(files), folder)
    position = params["embed"]["position"]
    params["embed"]["position"] = resize_position(
        position, native, spec.grid, family.antialias, family.always_square
    )
    name = model if not Path(model).is_dir() else Path(model).resolve().name
    return Backbone(spec, params, preprocessing, name, fingerprint(folder, files))


def find(model: str, revision: str | None = None) -> Path:
    """The local folder of a model: itself, or the hub's snapshot (cached, so it works offline)."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute():
        raise JalError(f"There is no model folder {model}.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=list(PATTERNS)))
    except (LocalEntryNotFoundError, HfHubHTTPError, HFValidationError, OSError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise JalError(
            f"Model {model!r}{at} is neither a folder here nor reachable on the Hugging Face hub "
            f"or in its cache ({type(error).__name__}); give a folder that holds config.json and "
            f"{WEIGHTS}, or an id such as facebook/dinov2-small."
        ) from error
    if not any((folder / name).exists() for name in (WEIGHTS, INDEX)):
        _refuse_pickled(model, _pickled_on_hub(model, revision))
    return folder


def _pickled_on_hub(model: str, revision: str | None) -> list[str]:
    """The pickled weights of a hub repository; empty when the hub cannot be asked."""
    from huggingface_hub import list_repo_files
    from huggingface_hub.errors import HfHubHTTPError

    try:
        names = list_repo_files(model, revision=revision)
    except (HfHubHTTPError, OSError):
        return []
    return sorted(name for name in names if name.endswith(".bin"))


def _refuse_pickled(where: str | Path, names: list[str]) -> None:
    """Raises JalError for a model that comes only as pickles, which may run code when opened."""
    if names:
        raise JalError(
            f"{where} has only pickled weights ({', '.join(names)}), which jal does not open; "
            "convert them where torch is installed: transformers.AutoModel.from_pretrained"
            f"({str(where)!r}).save_pretrained('converted'), and load that folder."
        )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder: one, or the shards the index names."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if (folder / INDEX).exists():
        names = sorted(set(_read_json(folder, INDEX)["weight_map"].values()))
        missing = [name for name in names if not (folder / name).exists()]
        if missing:
            raise JalError(f"{folder} lacks shards that {INDEX} names: {', '.join(missing)}.")
        return [folder / name for name in names]
    _refuse_pickled(folder, sorted(path.name for path in folder.glob("*.bin")))
    raise JalError(f"{folder} holds no weights; {WEIGHTS} (or shards with {INDEX}) is needed.")


def read_shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, from the files' headers alone."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        with _open(path) as tensors:
            for name in tensors.keys():  # noqa: SIM118, a safetensors handle is not a dict
                shapes[name] = tuple(tensors.get_slice(name).get_shape())
    return shapes


def read_tensors(files: list[Path]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of every tensor, one at a time, so that a large model is in memory once."""
    for path in files:
        with _open(path) as tensors:
            for name in tensors.keys():  # noqa: SIM118
                yield name, tensors.get_tensor(name)


def fingerprint(folder: Path, files: list[Path]) -> str:
    """sha256 over config.json and the weight files' bytes."""
    digest = hashlib.sha256()
    for path in [folder / "config.json", *files]:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _preprocessor(folder: Path) -> dict[str, Any] | None:
    """The image processor's settings; transformers 5 may nest them in processor_config.json."""
    if (folder / PROCESSOR).exists():
        nested = _read_json(folder, PROCESSOR).get("image_processor")
        if nested is not None:
            return nested
    return _read_json(folder, PREPROCESSOR) if (folder / PREPROCESSOR).exists() else None


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as stream:
        if stream.read(len(_LFS)) == _LFS:
            raise JalError(f"{path} is a git-lfs pointer, not the weights; run git lfs pull there.")
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise JalError(f"{path} is not a whole safetensors file ({error}).") from error


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        return json.loads((folder / name).read_text())
    except FileNotFoundError:
        raise JalError(f"{folder} has no {name}; a Hugging Face model folder needs it.") from None
    except json.JSONDecodeError as error:
        raise JalError(f"{folder / name} is not valid JSON: {error}.") from error
