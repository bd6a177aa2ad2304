"""What people answered, read from the files that they and other tools write."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from jal.errors import JalError
from jal.labelling.answer import Answer, Answers, Found
from jal.labelling.answers_csv import answers_of_csv
from jal.labelling.answers_folders import answers_of_folders, metadata_files
from jal.labelling.answers_json import answers_of_json, answers_of_lines
from jal.labelling.known_ids import KnownIds
from jal.schema import LFS

__all__ = ["Answer", "Answers", "read_answers"]


def read_answers(path: str | Path, ids: Collection[str], classes: Collection[str] = ()) -> Answers:
    """Reads the answers of a file or folder, told apart by what it is.

    - A CSV in UTF-8 with a header, separated by commas, semicolons or tabs. Images are in the column
      id, else path, file_name, filename, file or image; classes in label, else class, choice or
      annotation; who (or annotator), seconds (or lead_time), skip and unsure may be there. An empty
      class is no answer, "?" is unsure and "-" is skip. So too a metadata.jsonl.
    - Label Studio's JSON, also JSON-MIN.
    - A folder with a Hugging Face metadata.csv or metadata.jsonl, in it or in its splits.
    - A folder of class folders.

    The same answer for an image twice counts once.

    Args:
      path: the file or folder.
      ids: of the pool.
      classes: their names, where they are known: only so can one be called "?" or "-". Whether a
        label is among them is for the caller to check.

    Raises:
      JalError: it cannot be read or is none of these; images that are not in the pool; two different
        answers for one image.
    """
    place = Path(os.path.expanduser(path))
    known = KnownIds(ids)
    found = _read(place, known, tuple(classes))
    _check_matched(place, found, known)
    answers = _settled(place, found.answers)
    repeated = len(found.answers) - len(answers)
    if repeated:
        found.notes.append(f"{place}: answers that repeat one before: {repeated}.")
    return Answers(tuple(answers), tuple(found.notes))


def _read(place: Path, known: KnownIds, classes: tuple[str, ...]) -> Found:
    if not place.is_dir():
        return _read_file(place, known, classes)
    files = metadata_files(place)
    if not files:
        return answers_of_folders(place, known)
    found = Found([], [], [])
    for file in files:
        part = _read_file(file, known, classes)
        prefix = f"{file.relative_to(place).as_posix()}, "
        found.answers.extend(one._replace(where=prefix + one.where) for one in part.answers)
        found.unmatched.extend(one._replace(where=prefix + one.where) for one in part.unmatched)
        found.notes.extend(part.notes)
    return found


def _read_file(file: Path, known: KnownIds, classes: tuple[str, ...]) -> Found:
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise JalError(f"There is no file or folder {file}.") from error
    except (OSError, ValueError) as error:  # a path may hold a NUL
        reason = getattr(error, "strerror", None) or error
        raise JalError(f"{str(file)!r} cannot be read ({reason}).") from error
    if content.startswith(LFS):
        raise JalError(f"{file} is a git-lfs pointer, not the answers; run git lfs pull there.")
    begins = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if not begins:
        raise JalError(f"{file} is empty.")
    ending = file.suffix.lower()
    if ending == ".json" or begins == b"[":
        return answers_of_json(file, content, known, classes)
    if ending in (".jsonl", ".ndjson") or begins == b"{":
        return answers_of_lines(file, content, known, classes)
    return answers_of_csv(file, content, known, classes)


def _check_matched(place: Path, found: Found, known: KnownIds) -> None:
    if not found.unmatched:
        return
    name, where, near = found.unmatched[0]
    total = len(found.answers) + len(found.unmatched)
    if near:
        several = " or ".join(near[:3]) + (" or others" if near[3:] else "")
        hint = f", which may be {several}; write the whole id"
    else:
        from jal.settings.loading import did_you_mean

        hint = did_you_mean(name, known.near(name))
    first = f"{name[:200]!r}" if name == where else f"{where}: {name[:200]!r}"
    raise JalError(
        f"{place}: answered images that are not known in the pool: {len(found.unmatched)} of "
        f"{total}; the first is {first}{hint}."
    )


def _settled(place: Path, answers: list[Answer]) -> list[Answer]:
    """One answer for an image."""
    first: dict[str, Answer] = {}
    for answer in answers:
        before = first.setdefault(answer.id, answer)
        if before[1:3] != answer[1:3]:
            raise JalError(
                f"{place}: {answer.id} has two answers, {before.label or before.kind!r} in "
                f"{before.where} and {answer.label or answer.kind!r} in {answer.where}."
            )
    return list(first.values())
