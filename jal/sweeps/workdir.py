"""A sweep's folder: results, provenance, checkpoints; every file is replaced atomically."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from etils import epath

from jal.engine import dist
from jal.errors import JalError
from jal.schema import (
    ADAPTERS,
    CHECKPOINTS,
    CONFIG,
    ENVIRONMENT,
    FILES,
    METRICS,
    STATUS,
    write_atomically,
)
from jal.settings.versions import versions

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


def config_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two configs, as `key: old → new`; how they are executed is left out.

    Devices, modes and checkpoint intervals do not change what a sweep is, so a run may go on under
    others.
    """

    def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
        pairs: dict[str, str] = {}
        for key, value in values.items():
            if isinstance(value, Mapping):
                pairs |= flat(value, f"{prefix}{key}.")
            else:
                pairs[f"{prefix}{key}"] = json.dumps(value)
        return {key: value for key, value in pairs.items() if not key.startswith("execution.")}

    before, after = flat(old), flat(new)
    return [
        f"{key}: {before.get(key, 'unset')} → {after.get(key, 'unset')}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


class Workdir:
    """The folder of one sweep; of several processes, the first writes.

    Attributes:
      path: where it is; local, or remote as in gs://bucket/folder.
      resumes: whether it holds an unfinished sweep of the same config and pool, to go on with.

    Raises:
      JalError: when it holds a finished sweep, or an unfinished one of another config or pool, and
        `overwrite` is false; or when it cannot be written.
    """

    def __init__(
        self, path: str | Path, config: Mapping[str, Any], fingerprint: str, *, overwrite: bool
    ) -> None:
        self.path = epath.Path(path)
        self._finished_csv = ""
        config = json.loads(json.dumps(config))
        try:
            self.resumes = not overwrite and self._unfinished(config, fingerprint)
            dist.wait_for_all("workdir read")
            if dist.is_first():
                self.path.mkdir(parents=True, exist_ok=True)
                write_atomically(self.path / STATUS, json.dumps({"finished": False}).encode())
                if not self.resumes:
                    self._clear()
            dist.wait_for_all("workdir ready")
        except OSError as error:
            raise JalError(
                f"cannot write to workdir {self.path}: {error.strerror or error}."
            ) from error
        self.write_json(ENVIRONMENT, environment(fingerprint))
        self.write_json(CONFIG, config)

    def _unfinished(self, config: Mapping[str, Any], fingerprint: str) -> bool:
        status = self._read_json(STATUS)
        if status.get("finished"):
            raise JalError(f"{self.path} holds a finished sweep; pass --overwrite to redo it.")
        old = self._read_json(CONFIG)
        if not old:
            return False
        differences = config_differences(old, config)
        if self._read_json(ENVIRONMENT).get("pool_fingerprint") not in (None, fingerprint):
            differences.append("pool: its contents have changed")
        if differences:
            raise JalError(
                f"{self.path} holds an unfinished sweep of another config ({'; '.join(differences)}); "
                "go on with its own, or pass --overwrite to start anew."
            )
        return True

    def _read_json(self, name: str) -> dict[str, Any]:
        """One of its files, {} when there is none or a killed run left it unreadable."""
        try:
            values = json.loads((self.path / name).read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def _clear(self) -> None:
        for name in FILES:
            if name != STATUS:
                (self.path / name).unlink(missing_ok=True)
        for name in (CHECKPOINTS, ADAPTERS):
            if (self.path / name).exists():
                (self.path / name).rmtree()

    def checkpoints(self, group: int) -> Path:
        """The folder of one group's checkpoints."""
        return self.path / CHECKPOINTS / f"{group:03d}"

    def write(self, name: str, contents: str | bytes) -> None:
        """Writes one of its files; a full disk is the user's to mend, so it is said in one line."""
        if not dist.is_first():
            return
        contents = contents.encode() if isinstance(contents, str) else contents
        try:
            write_atomically(self.path / name, contents)
        except OSError as error:
            raise JalError(
                f"cannot write {self.path / name}: {error.strerror or error}; what was written before "
                "is intact, and the same command resumes from it."
            ) from error

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        """Writes one of its files as JSON."""
        self.write(name, json.dumps(values, indent=2, sort_keys=True) + "\n")

    def write_metrics(self, group: list[pd.DataFrame], *, group_finished: bool) -> None:
        """Replaces metrics.csv: all finished groups, and the rounds of the current one."""
        frame = pd.concat(group, ignore_index=True).sort_values(["run", "round"])
        text = self._finished_csv + frame.to_csv(index=False, header=not self._finished_csv)
        self.write(METRICS, text)
        if group_finished:
            self._finished_csv = text

    def finish(self) -> None:
        """Marks the sweep finished."""
        self.write_json(STATUS, {"finished": True})
