"""The arguments of the commands that label: label, next, tell, predict, export, status."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jal.errors import JalError
from jal.labelling.names import JOURNAL, SESSION

FORMATS = ("csv", "folders", "huggingface", "label-studio")

_LABEL = """\
Labels in the browser: a page on this machine that shows the next images, takes what is said of them to disk,
trains behind, and shows how good the classifier is. The first command that meets a new WORK embeds the images
and begins the session; later ones go on with it. It needs more: pip install 'jal-learn[label]'.

  jal label work/cells --data=FOLDER --model=MODEL --classes=eosinophil,lymphocyte
  jal label work/cells
"""

_NEXT = """\
The next images to label, as a CSV and as one page of pictures that needs no server. The first command that
meets a new WORK embeds the images and begins the session; later ones go on with it.

  jal next work/cells --data=FOLDER --model=MODEL --classes=eosinophil,lymphocyte
  jal next work/cells --batch=20 --out=batch

Label in batch.html (or fill in the column label of batch.csv), and give the file to jal tell. While images of
a batch are open, the same ones come again; --ahead asks the next ones meanwhile.
"""

_TELL = """\
Takes labels in, of images asked or not: a CSV, a folder of class folders, a Hugging Face metadata.csv, or
Label Studio's JSON. A later answer corrects an earlier one. Either all of a file counts, or nothing of it.

  jal tell work/cells batch.csv
  jal tell work/cells labelled_before/ --add_classes
"""

_PREDICT = """\
Label or prediction of every image, with the probability of each class, as a CSV; of other images with --data.
The classifier itself is written with --classifier=FOLDER.

  jal predict work/cells --out=predictions.csv
  jal predict work/cells --out=new.csv --data=FOLDER
"""

_EXPORT = """\
Labels, and predictions that are sure enough, for other tools.

  jal export work/cells --format=folders --out=labelled/
  jal export work/cells --format=label-studio --out=tasks.json --predictions_above=0.9
"""

_STATUS = """\
How a session stands: labels by class and person, rate, accuracy with its interval and how it came about.

  jal status work/cells
"""

USAGE = {
    "label": "jal label WORK [--data=FOLDER --model=MODEL --classes=A,B] [--batch=20] [--port=0]",
    "next": "jal next WORK [--batch=20] [--out=batch] [--data=FOLDER --model=MODEL --classes=A,B]",
    "tell": "jal tell WORK FILE [--who=NAME] [--add_classes]",
    "predict": "jal predict WORK --out=FILE.csv [--data=FOLDER] [--classifier=FOLDER]",
    "export": "jal export WORK --format=FORMAT --out=OUT [--predictions_above=P]",
    "status": "jal status WORK",
}
EXAMPLES = {
    "label": "jal label work/first --data=FOLDER --model=facebook/dinov2-small",
    "next": "jal next work/first --data=FOLDER --model=facebook/dinov2-small",
    "tell": "jal tell work/first batch.csv",
    "predict": "jal predict work/first --out=predictions.csv",
    "export": "jal export work/first --format=csv --out=labels.csv",
    "status": "jal status work/first",
}
_DESCRIPTIONS = {
    "label": _LABEL,
    "next": _NEXT,
    "tell": _TELL,
    "predict": _PREDICT,
    "export": _EXPORT,
    "status": _STATUS,
}
_HELP = {
    "label": "label images in the browser",
    "next": "the next images to label, as a CSV and a page",
    "tell": "take labels in",
    "predict": "label or prediction of every image",
    "export": "labels for other tools",
    "status": "how a labelling session stands",
}


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser of `jal`."""
    made = {}
    for name, usage in USAGE.items():
        made[name] = commands.add_parser(
            name,
            help=_HELP[name],
            description=_DESCRIPTIONS[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            usage=usage,
        )
        made[name].add_argument("work", metavar="WORK", help="folder of the session")
    page = made["label"]
    page.add_argument(
        "--batch", type=int, default=20, help="how many images are asked at a time [20]"
    )
    page.add_argument("--port", type=int, default=0, help="of the page; 0: a free one [0]")
    page.add_argument("--host", default="127.0.0.1", help="where to listen [this machine alone]")
    page.add_argument("--who", default="", help="who labels [the user of this machine]")
    page.add_argument("--no_browser", action="store_true", help="only print the address")
    add_beginning(page)
    asked = made["next"]
    asked.add_argument("--batch", type=int, default=20, help="how many images [20]")
    asked.add_argument("--out", default="batch", help="begins the names of both files [batch]")
    asked.add_argument("--ahead", action="store_true", help="others, though some are open")
    add_beginning(asked)
    made["tell"].add_argument("file", metavar="FILE", help="CSV, JSON or folder of answers")
    made["tell"].add_argument("--who", default="", help="who says so, where the file does not")
    made["tell"].add_argument(
        "--add_classes", action="store_true", help="classes of the file that are new are added"
    )
    made["predict"].add_argument("--out", required=True, help="the CSV; one there is replaced")
    made["predict"].add_argument("--data", default="", help="other images: a folder, .csv or .npz")
    made["predict"].add_argument("--classifier", default="", help="folder for the classifier")
    made["export"].add_argument("--format", required=True, help=", ".join(FORMATS))
    made["export"].add_argument("--out", required=True, help="file or new folder")
    made["export"].add_argument(
        "--predictions_above",
        type=float,
        default=None,
        help="predictions of at least that probability too",
    )


def add_beginning(parser: argparse.ArgumentParser) -> None:
    """The arguments that begin a session."""
    parser.add_argument("--data", default="", help="images: a folder, .csv or .npz")
    parser.add_argument("--model", default="", help="hub id, or folder with its files")
    parser.add_argument("--pool", default="", help="a store of embeddings, in place of both")
    parser.add_argument(
        "--classes", default=None, help="names, with commas between; more can come later"
    )
    parser.add_argument(
        "--no_labels", action="store_true", help="folders or columns that look like labels are none"
    )
    parser.add_argument("--config", default="label", help="a config's name or file [label]")


def run(command: str, arguments: argparse.Namespace, rest: list[str]) -> None:
    """Runs one of the commands.

    Raises:
      JalError: on bad input of any kind.
    """
    if rest and command not in ("label", "next"):
        raise JalError(f"unknown argument {rest[0]!r}; see jal {command} --help.")

    if command == "label":
        from jal.labelling.label_command import run_label

        run_label(arguments, rest)
        return
    from jal.labelling import command as commands

    getattr(commands, f"run_{command}")(arguments, rest)


def reports_session(folders: Sequence[str]) -> bool:
    """Whether what is to be reported is a labelling session, and not sweeps.

    Raises:
      JalError: sessions are among several folders.
    """
    sessions = [
        name
        for name in folders
        if any((Path(name).expanduser() / file).is_file() for file in (SESSION, JOURNAL))
    ]
    others = [name for name in folders if name not in sessions]
    if sessions and others:
        raise JalError(
            f"{sessions[0]} is a labelling session and {others[0]} is none; a report is of one session, or "
            "of sweeps."
        )
    if len(sessions) > 1:
        raise JalError(
            f"{sessions[0]} and {sessions[1]} are labelling sessions; make a report of each, with an --out "
            "of its own."
        )
    return bool(sessions)
