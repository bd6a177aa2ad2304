"""Every data set of the two papers: where it is, its classes, its splits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jal.data.source import Source
from jal.errors import JalError

TRAIN_TEST = {"train": "train", "test": "test"}
# Data sets published as one split: TFDS and `datasets` slice in stored order, which TFDS shuffles.
EIGHTY_TWENTY = {"train": "train[:80%]", "test": "train[80%:]"}


@dataclass(frozen=True)
class Mirror:
    """The same data set on the Hugging Face hub, for where TFDS cannot prepare it.

    Attributes:
      address: the hub id; a configuration may follow a colon.
      image, label: the columns to read.
      splits: our split names to the hub's.
    """

    address: str
    image: str = "image"
    label: str = "label"
    splits: dict[str, str] = field(default_factory=lambda: dict(TRAIN_TEST))


@dataclass(frozen=True)
class Entry:
    """One data set.

    Attributes:
      title: what it shows.
      classes: how many classes it has.
      kind: "tfds", "hub" or "folder".
      address: the TFDS name or the hub id; for a folder, the web page to download from.
      splits: our split names to the source's.
      image, label: the features or columns to read.
      manual: what must be done by hand first, if anything.
      test_fraction: the share held out where a folder comes without a test split.
      mirror: where else a TFDS data set is, for installations without TensorFlow.
    """

    title: str
    classes: int
    kind: str
    address: str
    splits: dict[str, str] = field(default_factory=lambda: dict(TRAIN_TEST))
    image: str = "image"
    label: str = "label"
    manual: str = ""
    test_fraction: float = 0.2
    mirror: Mirror | None = None


CATALOGUE: dict[str, Entry] = {
    # Natural images
    # TFDS prepares these two from arrays, for which it needs TensorFlow.
    "cifar10": Entry(
        "objects, 32 px", 10, "tfds", "cifar10", mirror=Mirror("uoft-cs/cifar10", image="img")
    ),
    "cifar100": Entry(
        "objects, 32 px",
        100,
        "tfds",
        "cifar100",
        mirror=Mirror("uoft-cs/cifar100", image="img", label="fine_label"),
    ),
    "food101": Entry(
        "dishes",
        101,
        "tfds",
        "food101",
        {"train": "train", "test": "validation"},
        mirror=Mirror("ethz/food101", splits={"train": "train", "test": "validation"}),
    ),
    "imagenet100": Entry(
        "objects, 100 classes of ImageNet",
        100,
        "hub",
        "clane9/imagenet-100",
        {"train": "train", "test": "validation"},
    ),
    "domainnet_real": Entry("objects, photographs", 345, "tfds", "domainnet/real"),
    "stanford_cars": Entry("car models", 196, "tfds", "cars196"),
    "fgvc_aircraft": Entry(
        "aircraft variants",
        100,
        "hub",
        "HuggingFaceM4/FGVC-Aircraft",
        {"train": "train+validation", "test": "test"},
        label="variant",
    ),
    "oxford_pets": Entry("cat and dog breeds", 37, "tfds", "oxford_iiit_pet"),
    "places365": Entry(
        "scenes", 365, "tfds", "places365_small", {"train": "train", "test": "validation"}
    ),
    "dtd": Entry("textures", 47, "tfds", "dtd"),
    "flowers102": Entry("flower species", 102, "tfds", "oxford_flowers102"),
    "svhn": Entry(
        "house numbers",
        10,
        "tfds",
        "svhn_cropped",
        mirror=Mirror("ufldl-stanford/svhn:cropped_digits"),
    ),
    "eurosat": Entry("land use from satellites", 10, "tfds", "eurosat/rgb", EIGHTY_TWENTY),
    # Biomedical images
    "blood_smear": Entry(
        "blood cells, peripheral smear (Acevedo et al., 2020)",
        8,
        "folder",
        "https://data.mendeley.com/datasets/snkd93bnjr/1",
        manual="PBC_dataset_normal_DIB holds one folder a class",
    ),
    "diabetic_retinopathy": Entry(
        "fundus photographs, 5 grades (EyePACS)",
        5,
        "tfds",
        "diabetic_retinopathy_detection/btgraham-300",
        manual=(
            "accept the rules and download the archives from "
            "https://www.kaggle.com/c/diabetic-retinopathy-detection/data into "
            "<data_dir>/downloads/manual"
        ),
    ),
    "hela": Entry(
        "HeLa cell organelles, fluorescence (IICBU 2008)",
        10,
        "folder",
        "https://ome.grc.nia.nih.gov/iicbu2008/",
        manual="hela.tar.gz holds one folder a class of 16-bit greyscale TIFF",
    ),
    "ham10000": Entry(
        "skin lesions, dermatoscopy",
        7,
        "folder",
        "https://doi.org/10.7910/DVN/DBW86T",
        manual="sort the images into folders by the column dx of HAM10000_metadata",
    ),
    "colorectal_histology": Entry(
        "tissue, H&E (Kather et al., 2016)", 8, "tfds", "colorectal_histology", EIGHTY_TWENTY
    ),
    "aptos2019": Entry(
        "fundus photographs, 5 grades",
        5,
        "folder",
        "https://www.kaggle.com/competitions/aptos2019-blindness-detection/data",
        manual="sort train_images into folders by the column diagnosis of train.csv",
    ),
    "patch_camelyon": Entry("lymph node tissue, H&E", 2, "tfds", "patch_camelyon"),
    "malaria": Entry("red blood cells", 2, "tfds", "malaria", EIGHTY_TWENTY),
    "pap_smear": Entry(
        "cervical cells (SIPaKMeD; Plissiti et al., 2018)",
        5,
        "folder",
        "https://www.cs.uoi.gr/~marina/sipakmed.html",
        manual="one folder a class of the cropped cells (the CROPPED folders)",
    ),
    "liquid_based_cytology": Entry(
        "cervical smears (Hussain et al., 2019)",
        4,
        "folder",
        "https://data.mendeley.com/datasets/zddtpgzv63/4",
        manual="one folder a class",
    ),
    "cell_cycle": Entry(
        "Jurkat cells, imaging flow cytometry (BBBC048)",
        7,
        "folder",
        "https://bbbc.broadinstitute.org/BBBC048",
        manual="one folder a cell-cycle phase",
    ),
    "colon_polyps": Entry(
        "colorectal polyps, H&E (MHIST)",
        2,
        "folder",
        "https://bmirds.github.io/MHIST/",
        manual="sort images.zip into train/HP, train/SSA, test/HP, test/SSA by annotations.csv",
    ),
    "heart_failure": Entry(
        "myocardium, H&E (Nirschl et al., 2018)",
        2,
        "folder",
        "https://idr.openmicroscopy.org/search/?query=Name:idr0042",
        manual="patches as train/<class>/ and test/<class>/, with the published patient split",
    ),
    "lymphoma": Entry(
        "malignant lymphoma, H&E (IICBU 2008)",
        3,
        "folder",
        "https://ome.grc.nia.nih.gov/iicbu2008/",
        manual="lymphoma.tar.gz holds one folder a class",
    ),
    "amyloid_beta": Entry(
        "plaques, immunohistochemistry (Tang et al., 2019)",
        3,
        "folder",
        "https://doi.org/10.5281/zenodo.1470797",
        manual="one folder a class: cored, diffuse, caa",
    ),
    "pollen": Entry(
        "pollen grains (ICPR 2020 challenge)",
        4,
        "folder",
        "https://iplab.dmi.unict.it/pollengraindataset/",
        manual="one folder a class",
    ),
}


def entry(name: str) -> Entry:
    """The entry of a name; an unknown one raises JalError with the names there are."""
    if name not in CATALOGUE:
        raise JalError(
            f"There is no data set {name!r} in the catalogue; it has {', '.join(CATALOGUE)}. "
            "Your own images: data.kind=folder and data.path."
        )
    return CATALOGUE[name]


def missing_folder(name: str, path: str) -> str:
    """The sentence for an absent folder: what to download, and where to put it."""
    found = entry(name)
    return (
        f"{name} ({found.title}, {found.classes} classes) has to be downloaded by hand: get it "
        f"from {found.address}, lay it out below {path} as <class>/<image> or "
        f"train/<class>/<image> and test/<class>/<image> ({found.manual}), "
        "and run this again, or set data.path."
    )


def check_classes(name: str, source: Source) -> None:
    """Raises JalError when a source does not have the classes its catalogue entry states."""
    expected = entry(name).classes
    if len(source.class_names) != expected:
        shown = ", ".join(source.class_names[:8])
        raise JalError(
            f"{name} has {expected} classes, but {len(source.class_names)} were found "
            f"({shown}{', …' if len(source.class_names) > 8 else ''}); check the folder layout."
        )


def default_folder(name: str, data_dir: str) -> str:
    """Where a data set that is downloaded by hand is looked for."""
    return str(Path(data_dir or "~/jal_data").expanduser() / name)
