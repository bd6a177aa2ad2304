"""Every data set of the two papers: where it is, its classes, its splits.

A table, and so in one file however long it grows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ml_collections import ConfigDict

from jal.errors import JalError

TRAIN_TEST = {"train": "train", "test": "test"}
# Data sets that TFDS has as one split; it stores them shuffled, so that a slice is a random part.
EIGHTY_TWENTY = {"train": "train[:80%]", "test": "train[80%:]"}


@dataclass(frozen=True)
class Mirror:
    """The same images on the Hugging Face hub: TFDS prepares none of these without TensorFlow.

    Attributes:
      address: the hub id; a configuration may follow a colon.
      image, label: the columns to read.
      splits: our split names to the hub's; without a test split, a share of train is held out.
      revision: a branch, tag or commit.
    """

    address: str
    image: str = "image"
    label: str = "label"
    splits: dict[str, str] = field(default_factory=lambda: dict(TRAIN_TEST))
    revision: str = ""


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
      revision: of a hub data set.
      manual: what to lay out by hand, below the folder that `local_path` looks in.
      inside: the folder whose images alone count, where a download holds others too.
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
    revision: str = ""
    manual: str = "one folder a class"
    inside: str = ""
    test_fraction: float = 0.2
    mirror: Mirror | None = None

    def on_hub(self) -> Mirror | None:
        """Where it is on the Hugging Face hub, if it is."""
        if self.kind == "hub":
            return Mirror(self.address, self.image, self.label, self.splits, self.revision)
        return self.mirror


def _csv_line(table: str, folder: str, ending: str, name: int, label: int) -> str:
    """The shell line that turns a published table of labels into a CSV of `path,label`."""
    return (
        f'awk -F, \'NR==1{{print "path,label";next}}{{print "{folder}"${name}"{ending},"${label}}}\' '
        f"{table}"
    )


CATALOGUE: dict[str, Entry] = {
    # Natural images
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
    "domainnet_real": Entry(
        "objects, photographs",
        345,
        "tfds",
        "domainnet/real",
        manual=(
            "unpack real.zip of https://ai.bu.edu/M3SDA/ and sort it into train/<class>/ and "
            "test/<class>/ by real_train.txt and real_test.txt"
        ),
    ),
    # The address that TFDS downloads from is gone.
    "stanford_cars": Entry("car models", 196, "hub", "Donghyun99/Stanford-Cars"),
    "fgvc_aircraft": Entry(
        "aircraft variants",
        100,
        "hub",
        "HuggingFaceM4/FGVC-Aircraft",
        {"train": "train+validation", "test": "test"},
        label="variant",
        # Its parquet files: the main branch holds a loading script, which `datasets` refuses.
        revision="e18a7c97147c90dc7f4a60d74a7f4258e9264e97",
    ),
    "oxford_pets": Entry(
        "cat and dog breeds", 37, "tfds", "oxford_iiit_pet", mirror=Mirror("timm/oxford-iiit-pet")
    ),
    "places365": Entry(
        "scenes",
        365,
        "tfds",
        "places365_small",
        {"train": "train", "test": "validation"},
        manual=(
            "unpack the 256 x 256 images of http://places2.csail.mit.edu/download.html as "
            "train/<class>/ and test/<class>/, its validation images being the test split"
        ),
    ),
    "dtd": Entry("textures", 47, "tfds", "dtd", mirror=Mirror("tanganke/dtd")),
    "flowers102": Entry(
        "flower species",
        102,
        "tfds",
        "oxford_flowers102",
        mirror=Mirror("dpdl-benchmark/oxford_flowers102"),
    ),
    "svhn": Entry(
        "house numbers",
        10,
        "tfds",
        "svhn_cropped",
        mirror=Mirror("ufldl-stanford/svhn:cropped_digits"),
    ),
    "eurosat": Entry(
        "land use from satellites",
        10,
        "tfds",
        "eurosat/rgb",
        EIGHTY_TWENTY,
        mirror=Mirror("timm/eurosat-rgb", splits={"train": "train+validation", "test": "test"}),
    ),
    # Biomedical images
    "blood_smear": Entry(
        "blood cells, peripheral smear (Acevedo et al., 2020)",
        8,
        "folder",
        "https://data.mendeley.com/datasets/snkd93bnjr/1",
        manual="the folder PBC_dataset_normal_DIB, which holds one folder a class",
    ),
    "diabetic_retinopathy": Entry(
        "fundus photographs, 5 grades (EyePACS)",
        5,
        "tfds",
        "diabetic_retinopathy_detection/btgraham-300",
        manual=(
            "accept the rules of https://www.kaggle.com/c/diabetic-retinopathy-detection/data, "
            "unpack train/ there, and write diabetic_retinopathy.csv: "
            + _csv_line("trainLabels.csv", "train/", ".jpeg", 1, 2)
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
        manual=(
            "unpack both archives of images into images/, and write ham10000.csv: "
            + _csv_line("HAM10000_metadata.csv", "images/", ".jpg", 2, 3)
            + " (several images may show one lesion: add a column split to keep them together)"
        ),
    ),
    "colorectal_histology": Entry(
        "tissue, H&E (Kather et al., 2016)",
        8,
        "tfds",
        "colorectal_histology",
        EIGHTY_TWENTY,
        mirror=Mirror("dpdl-benchmark/colorectal_histology", splits={"train": "train"}),
    ),
    "aptos2019": Entry(
        "fundus photographs, 5 grades",
        5,
        "folder",
        "https://www.kaggle.com/competitions/aptos2019-blindness-detection/data",
        manual=(
            "unpack train_images/, and write aptos2019.csv: "
            + _csv_line("train.csv", "train_images/", ".png", 1, 2)
        ),
    ),
    "patch_camelyon": Entry(
        "lymph node tissue, H&E",
        2,
        "tfds",
        "patch_camelyon",
        mirror=Mirror("1aurent/PatchCamelyon"),
    ),
    "malaria": Entry(
        "red blood cells",
        2,
        "folder",
        "https://lhncbc.nlm.nih.gov/LHC-research/LHC-projects/image-processing/malaria-datasheet.html",
        manual="cell_images.zip holds one folder a class",
    ),
    "pap_smear": Entry(
        "cervical cells (SIPaKMeD; Plissiti et al., 2018)",
        5,
        "folder",
        "https://www.cs.uoi.gr/~marina/sipakmed.html",
        manual="one folder a class; of these the cropped cells, in CROPPED, are read",
        inside="CROPPED",
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
        manual=(
            "one folder a cell-cycle phase; a cell has one file a channel, of which copy one "
            "(as *_Ch3.ome.jpg), or each cell would count three times"
        ),
    ),
    "colon_polyps": Entry(
        "colorectal polyps, H&E (MHIST)",
        2,
        "folder",
        "https://bmirds.github.io/MHIST/",
        manual=(
            "unpack images.zip into images/, and write colon_polyps.csv: awk -F, "
            '\'NR==1{print "path,label,split";next}{print "images/"$1","$2","$4}\' '
            "annotations.csv > colon_polyps.csv"
        ),
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
        4,
        "folder",
        "https://doi.org/10.5281/zenodo.1470797",
        manual="one folder a class: cored, diffuse, caa, and negative for patches of none",
    ),
    "pollen": Entry(
        "pollen grains (ICPR 2020 challenge)",
        4,
        "folder",
        "https://iplab.dmi.unict.it/pollenclassificationchallenge/",
        manual="one folder a class",
    ),
}


def entry(name: str) -> Entry:
    """The entry of a name; an unknown one raises JalError with the names there are."""
    if name not in CATALOGUE:
        raise JalError(
            f"There is no data set {name!r} in the catalogue; it has {', '.join(CATALOGUE)}. "
            "Your own images: --config=embed --config.data.path=FOLDER."
        )
    return CATALOGUE[name]


def fill_in(data: ConfigDict, name: str) -> None:
    """Sets the `data` part of a config to a data set of the catalogue."""
    found = entry(name)
    data.name = name
    data.address = found.address
    data.splits = dict(found.splits)
    data.image, data.label = found.image, found.label
    data.revision = found.revision
    data.test_fraction = found.test_fraction
