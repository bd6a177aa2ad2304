"""`jal next`, `tell`, `predict`, `export`, `status` and `report`: a session from the command line."""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jal.errors import JalError
from jal.labelling.names import REPORT
from jal.labelling.opening import begin_or_open, open_session
from jal.settings.console import make_console
from jal.settings.devices import configure_jax
from jal.settings.process import check_devices

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from jal.labelling.session import Session


def run_next(arguments: argparse.Namespace, overrides: list[str]) -> None:
    """Writes the next batch as a CSV and a sheet of pictures."""
    from jal.labelling.sheet import write_batch_csv, write_sheet

    if arguments.batch < 1:
        raise JalError(f"--batch is {arguments.batch}; it must be at least 1.")
    stem = Path(arguments.out).expanduser()
    stem = stem.with_suffix("") if stem.suffix in (".csv", ".html") else stem
    if stem.name in ("", ".."):
        raise JalError(f"--out is {arguments.out!r}; give how the files' names begin, as batch.")
    with _writing(stem):
        stem.parent.mkdir(parents=True, exist_ok=True)
    console = started()
    session = begin_or_open(arguments, overrides, console)
    waiting = session.open()
    if waiting and not arguments.ahead:
        batch = session.batch()
        console.print(f"{len(waiting)} images are still open; here they are (--ahead asks others)")
    else:
        batch = session.ask(arguments.batch)
    if not len(batch):
        console.print("nothing is left to ask: every image has an answer, or is set aside.")
        _print_state(session, console)
        return
    csv, html = (stem.with_name(f"{stem.name}{ending}") for ending in (".csv", ".html"))
    with _writing(stem):
        write_batch_csv(csv, batch)
    console.print(f"batch: {len(batch)} images in {csv}")
    if session.pictures.source is not None:
        title = f"{session.material.name}, batch {len(session.ledger.asks)}"
        with _writing(html):
            write_sheet(html, batch, session.classes, session.pictures.small, title)
        console.print(f"to label by eye: {html} (open it in a browser; it saves the CSV)")
    _print_state(session, console)
    console.print(f"then: jal tell {arguments.work} {csv}")


def run_tell(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Takes a file of answers in."""
    from jal.labelling.answers import read_answers

    console = started()
    session = open_session(arguments.work, console)
    found = read_answers(arguments.file, session.material.ids, session.classes)
    new = sorted({answer.label for answer in found.answers if answer.kind == "label"})
    new = [name for name in new if name not in session.classes]
    if new and not (arguments.add_classes or not session.classes):
        try:
            session.ledger.number(new[0])
        except JalError as error:
            raise JalError(
                f"{arguments.file}: {str(error).rstrip('.')}; nothing was taken in (--add_classes adds "
                f"{', '.join(new)})."
            ) from error
    count = session.take_in(found.answers, who=person(arguments), new_classes=new)
    for name in new:
        console.print(f"a new class: {name}")
    for note in found.notes:
        console.print(note)
    console.print(
        f"{count} answers are new or changed, of {len(found.answers)} in {arguments.file}"
    )
    left = len(session.open())
    if left:
        console.print(f"{left} images of the batch are open")
    _print_state(session, console)


def run_predict(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Writes label or prediction of every image of the pool, or predictions of others."""
    from jal.schema import write_atomically
    from jal.settings.progress import Bar

    console = started()
    session = open_session(arguments.work, console)
    out = Path(arguments.out).expanduser()
    if out.is_dir():
        raise JalError(f"{out} is a folder; give a file as --out, as predictions.csv.")
    if not session.labels():
        raise JalError(
            f"nothing is labelled in {arguments.work} yet, so there is nothing to predict by."
        )
    if arguments.classifier:
        folder = session.classifier().save(arguments.classifier)
        console.print(f"classifier: {folder}")
    if arguments.data:
        with Bar(console, "images") as bar:
            frame = session.classifier().predict_images(arguments.data, progress=bar)
    else:
        frame = session.predictions()
    with _writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, _csv(frame))
    console.print(f"predictions: {len(frame)} images in {out}")
    _print_state(session, console)


def run_export(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Writes labels for other tools."""
    from jal.labelling.exports import FORMATS, Exported, export
    from jal.settings.loading import did_you_mean

    if arguments.format not in FORMATS:
        hint = did_you_mean(arguments.format, FORMATS)
        raise JalError(
            f"there is no format {arguments.format!r}{hint}; choose from {', '.join(FORMATS)}."
        )
    console = started()
    session = open_session(arguments.work, console)
    frame, ledger = session.predictions(), session.ledger
    said = {name: ledger.answer(name) for name in frame["id"]}
    rows = [
        Exported(
            name,
            label,
            predicted,
            float(probability),
            "" if (one := said[name]) is None else one.who,
            "" if one is None else one.time,
        )
        for name, label, predicted, probability in zip(
            frame["id"], frame["label"], frame["predicted"], frame["probability"], strict=True
        )
    ]
    notes = export(
        arguments.format,
        Path(arguments.out).expanduser(),
        rows,
        session.pictures.content,
        session.classes,
        arguments.predictions_above,
        session.material.name,
    )
    for note in notes:
        console.print(note)
    labelled = sum(bool(row.label) for row in rows)
    console.print(f"exported: {labelled} labels as {arguments.format} to {arguments.out}")


def run_status(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Says how a session stands."""
    from jal.labelling.status import print_status

    console = started()
    print_status(open_session(arguments.work, console), console)


def run_report(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Makes the page of a session; others may label in it meanwhile.

    Raises:
      JalError: bad input of any kind.
    """
    from jal.labelling.api import report_of
    from jal.labelling.reading import read_session

    for name, value in (
        ("full_accuracy", arguments.full_accuracy),
        ("baseline", arguments.baseline),
    ):
        if value:
            raise JalError(
                f"--{name} is for sweeps; {arguments.workdirs[0]} is a labelling session."
            )
    folder = Path(arguments.workdirs[0]).expanduser()
    out = Path(arguments.out).expanduser() if arguments.out else folder / REPORT
    console = started()
    standing = read_session(folder, console.print)
    made = report_of(standing, out, images=arguments.images, title=arguments.title)
    for note in made.notes:
        console.print(f"note: {note}")
    console.print(str(made))


def started() -> Console:
    """jax set up, and a console."""
    configure_jax()
    check_devices()
    return make_console()


def person(arguments: argparse.Namespace) -> str:
    """Who says so: --who, or the user of this machine."""
    if arguments.who:
        return str(arguments.who)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may know no user
        return ""


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Says in one sentence what the system says of a file that cannot be written."""
    try:
        yield
    except OSError as error:
        raise JalError(f"{out} cannot be written ({error.strerror}).") from error


def _print_state(session: Session, console: Console) -> None:
    """Labels so far, and the accuracy where it is known."""
    from jal.labelling.status import one_line

    console.print(one_line(session))


def _csv(frame: pd.DataFrame) -> bytes:
    rounded: dict[str, Any] = {
        str(name): frame[name].round(4) for name in frame if frame[name].dtype.kind == "f"
    }
    text = frame.assign(**rounded).to_csv(index=False, lineterminator="\n")
    return text.encode(errors="surrogatepass")
