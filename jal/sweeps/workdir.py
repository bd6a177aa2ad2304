"""A sweep's folder: results, provenance, checkpoints; every file is replaced atomically."""

from __future__ import annotations

import io
import json
import platform
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from etils import epath

from jal.engine import dist
from jal.errors import JalError
from jal.schema import (
    ACQUISITIONS,
    ADAPTERS,
    CHECKPOINTS,
    CONFIG,
    ENVIRONMENT,
    FILES,
    FULL,
    METRICS,
    PREDICTIONS,
    STATUS,
    TRACKING,
    whole_lines,
    write_atomically,
)
from jal.settings.fields import flat
from jal.settings.versions import versions
from jal.sweeps.checks import parse_seeds
from jal.sweeps.config import SWEEP_FIELDS

_ABSENT: dict[str, list[str]] = {"metrics": []}  # what is written only where there is some
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")


def environment(fingerprint: str) -> dict[str, Any]:
    """Versions, devices and data fingerprint: what is needed to say where a number came from."""
    import jax

    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": versions(_PACKAGES),
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "processes": jax.process_count(),
        "command": sys.argv,
        "pool_fingerprint": fingerprint,
    }


def extensions(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """What a config adds to an older one (rounds, seeds, full), and what else differs: `key: old → new`.

    How runs are executed is left out: devices, modes and checkpoint intervals do not change what a
    sweep is, so it may go on under others.
    """
    before, after = flat(old), flat(new)
    added: list[str] = []
    differences: list[str] = []
    for key in sorted({*before, *after}):
        # A key that the older jal did not have was what is its default now.
        default = SWEEP_FIELDS[key].default if key in SWEEP_FIELDS else _ABSENT.get(key, "unset")
        was, now = (json.loads(json.dumps(side.get(key, default))) for side in (before, after))
        if key.startswith("execution.") or was == now or _same_seeds(key, was, now):
            continue
        told = f"{key}: {json.dumps(was)} → {json.dumps(now)}"
        (added if _extends(key, was, now) else differences).append(told)
    return added, differences


def _same_seeds(key: str, was: Any, now: Any) -> bool:
    return key == "seeds" and parse_seeds(was) == parse_seeds(now)


def _extends(key: str, was: Any, now: Any) -> bool:
    try:
        if key == "rounds":
            return bool(now > was)
        if key == "full":
            return now is True and was is False
        return key == "seeds" and {*parse_seeds(now)} > {*parse_seeds(was)}
    except (JalError, TypeError):
        return False


class Workdir:
    """The folder of one sweep; of several processes, the first writes.

    Attributes:
      path: where it is; local, or remote as in gs://bucket/folder.
      resumes: whether it holds this sweep, begun by an earlier command, to go on with.
      finished: whether that one finished all that is asked for.
      notes: what was done to it that the user should know.

    Raises:
      JalError: when it holds another sweep, files of something else, or cannot be written.
    """

    def __init__(
        self, path: str | Path, config: Mapping[str, Any], fingerprint: str, *, overwrite: bool
    ) -> None:
        self.path = epath.Path(path)
        self.notes: list[str] = []
        self._done = dict.fromkeys((METRICS, ACQUISITIONS), "")  # what finished groups wrote
        self._config = json.loads(json.dumps(config))
        self._fingerprint = fingerprint
        try:
            ours = self._is_ours()
            old = {} if overwrite or not ours else self._old_config()
            self.resumes = bool(old)
            same = self.resumes and self._continues(old)
            self.finished = same and bool(self._read_json(STATUS).get("finished"))
            dist.wait_for_all("workdir read")
            if dist.is_first() and not self.finished:
                self.path.mkdir(parents=True, exist_ok=True)
                write_atomically(self.path / STATUS, json.dumps({"finished": False}).encode())
                if overwrite and ours:
                    self._clear()
            dist.wait_for_all("workdir ready")
        except OSError as error:
            raise JalError(
                f"cannot write to workdir {self.path}: {error.strerror or error}."
            ) from error
        if not self.finished:
            self.write_json(ENVIRONMENT, environment(fingerprint))
            self.write_json(CONFIG, self._config)

    def _is_ours(self) -> bool:
        """Whether a sweep wrote the folder; False where it is empty or missing."""
        if not self.path.is_dir():
            return False
        if "finished" in self._read_json(STATUS):
            return True
        foreign = sorted(
            entry.name
            for entry in self.path.iterdir()
            if not entry.name.startswith((".", "group-"))
        )
        if foreign:
            shown = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
            raise JalError(
                f"{self.path} holds files that no sweep wrote ({shown}); give an empty or new folder."
            )
        return False

    def _old_config(self) -> dict[str, Any]:
        """The config of the sweep that is there; {} where it was killed before it wrote anything."""
        old = self._read_json(CONFIG)
        results = [name for name in (METRICS, CHECKPOINTS) if (self.path / name).exists()]
        if not old and results:
            raise JalError(
                f"{self.path / CONFIG} is missing or damaged, so it cannot be told which sweep wrote "
                f"{' and '.join(results)} there; put it back, or pass --overwrite to start anew."
            )
        return old

    def _continues(self, old: Mapping[str, Any]) -> bool:
        """Whether what is asked for is what is there, and no more.

        Raises:
          JalError: when it differs in anything but more rounds, more seeds, and full.
        """
        added, differences = extensions(old, self._config)
        if self._read_json(ENVIRONMENT).get("pool_fingerprint") not in (None, self._fingerprint):
            differences.append("pool: its contents, or the given first sets, have changed")
        if differences:
            raise JalError(
                f"{self.path} holds a sweep of another config ({'; '.join(differences)}); go on with its "
                "own, add rounds or seeds to it, or pass --overwrite to start anew."
            )
        if added:
            self.notes.append(f"{self.path}: extended ({'; '.join(added)})")
        return not added

    def _read_json(self, name: str) -> dict[str, Any]:
        """One of its files, {} when there is none or it cannot be read."""
        try:
            values = json.loads((self.path / name).read_text())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def _clear(self) -> None:
        """Removes what a sweep wrote, and nothing else."""
        removed = []
        for name in (*FILES, FULL):
            if name != STATUS and (self.path / name).is_file():
                (self.path / name).unlink()
                removed.append(name)
        tracked = r"(tensorboard|wandb|mlflow)(\.json|\.db(-\w+)?|-artifacts)?"
        for name, pattern in (
            (CHECKPOINTS, r"\d{3}(\.\d+)?"),
            (ADAPTERS, r"group-\d+"),
            (PREDICTIONS, r"\d{3,}\.npz"),
            (TRACKING, tracked),
        ):
            folder = self.path / name
            if not folder.is_dir():
                continue
            for entry in folder.iterdir():
                if re.fullmatch(pattern, entry.name):
                    entry.rmtree() if entry.is_dir() else entry.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()
            removed.append(f"{name}/")
        if removed:
            self.notes.append(f"{self.path}: removed {', '.join(removed)}")

    def parts(self, group: int) -> list[epath.Path]:
        """The folders of a group's checkpoints: one for the runs that began together, in order."""
        folder = self.path / CHECKPOINTS
        if not folder.is_dir():
            return []
        numbered = [
            (int(entry.name.partition(".")[2] or 0), entry)
            for entry in folder.iterdir()
            if entry.name.partition(".")[0] == f"{group:03d}"
        ]
        return [entry for _, entry in sorted(numbered)]

    def new_part(self, group: int) -> epath.Path:
        """A folder for the checkpoints of runs that now begin."""
        found = self.parts(group)
        if not found:
            return self.path / CHECKPOINTS / f"{group:03d}"
        return self.path / CHECKPOINTS / f"{group:03d}.{int(found[-1].name[4:] or 0) + 1}"

    def write(self, name: str, contents: str | bytes) -> None:
        """Writes one of its files; a full disk is the user's to mend, so it is said in one line."""
        if not dist.is_first():
            return
        contents = contents.encode() if isinstance(contents, str) else contents
        with self._told(name):
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path / name, contents)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JalError(
                f"cannot write {self.path / name}: {error.strerror or error}; what was written before "
                "is intact, and the same command resumes from it."
            ) from error

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Writes one of its files as JSON."""
        self.write(name, json.dumps(values, indent=2, sort_keys=True) + "\n")

    def replace_table(self, name: str, group: pd.DataFrame, *, group_finished: bool) -> None:
        """Replaces a table: the rows of all finished groups, and those of the current one."""
        if group.empty:
            return
        text = self._done[name] + group.to_csv(index=False, header=not self._done[name])
        self.write(name, text)
        if group_finished:
            self._done[name] = text

    def append_table(self, name: str, rows: pd.DataFrame) -> None:
        """Adds rows to a table; in a bucket, where nothing can be appended, when the group is done."""
        if not dist.is_first() or "://" in str(self.path):
            return
        path = Path(self.path) / name
        with self._told(name), open(path, "ab") as table:
            table.write(rows.to_csv(index=False, header=table.tell() == 0).encode())

    def read_table(self, name: str, words: Sequence[str] = ("pool", "spec")) -> pd.DataFrame:
        """A table of a finished sweep; columns of words are read as such, for digits alone are no number."""
        contents = whole_lines((self.path / name).read_bytes())
        with warnings.catch_warnings():
            # pandas 3 says of the option that the default will be as exact; before, it is not.
            warnings.filterwarnings("ignore", "The 'float_precision' argument is deprecated")
            return pd.read_csv(
                io.BytesIO(contents),
                keep_default_na=False,
                na_values=[""],
                dtype=dict.fromkeys(words, str),
                float_precision="round_trip",
            )

    def finish(self) -> None:
        """Marks the sweep finished."""
        self.write_json(STATUS, {"finished": True})
