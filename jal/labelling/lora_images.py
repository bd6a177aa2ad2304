"""The pixels of a session's images and their backbone, for the learner that adapts it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jal.data.loader import batches
from jal.errors import JalError
from jal.labelling.material import Material
from jal.labelling.origin import model_of
from jal.labelling.pictures import Pictures
from jal.pools.images import ImagePool, LoraData
from jal.weights import load as hf


def lora_images(material: Material, pictures: Pictures, note: Callable[[str], None]) -> LoraData:
    """Every image at the backbone's size, in the order of the material's rows.

    Raises:
      JalError: the images or the model are not there any more; an image cannot be read.
    """
    source, store = pictures.source, material.store
    if source is None or store is None:
        raise JalError(
            "the lora learner reads images, and nothing says where they are; begin the session with a "
            "store that jal embed made of images that are still there, or pass images=."
        )
    height, width = store.manifest["request"]["model"]["image_size"]
    backbone = hf.load(model_of(store), image_size=(height, width), dtype="float32", remat=True)
    for text in backbone.notes:
        note(text)
    place = {
        records[row].id: (split, row)
        for split, records in source.splits.items()
        for row in range(len(records))
    }
    missing = [name for name in material.ids if name not in place]
    if missing:
        raise JalError(f"the image {missing[0]} is not where it was; the lora learner reads it.")
    pixels = np.zeros((material.size, height, width, 3), np.uint8)
    wanted = [(place[name][0], [place[name][1]]) for name in material.ids]
    with ThreadPoolExecutor() as threads:
        found = batches(source, wanted, backbone.preprocessing, (height, width), 1, threads)
        for row, batch in enumerate(found):
            pixels[row] = batch.pixels[0]
    unknown = np.full(material.size, -1, np.int32)
    images = ImagePool(
        pixels,
        unknown,
        pixels[:1],
        np.zeros(1, np.int32),
        material.ids,
        ("",),
        ("", ""),
        material.name,
        store.manifest["request"]["model"]["fingerprint"],
    )
    return LoraData(images, backbone)
