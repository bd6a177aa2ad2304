"""The runs of a group that began together: where their checkpoints are, and what those hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jal.engine.drive import Snapshot
from jal.engine.group import Group, Identity
from jal.errors import JalError
from jal.sweeps.snapshots import Checkpoints
from jal.sweeps.workdir import Workdir


class Part(NamedTuple):
    """Some runs of a group, all after the same round.

    Attributes:
      runs: their positions in the group, in the order of the snapshot.
      checkpoints: where theirs are written; None where nothing is.
      snapshot: the newest; None where they have not begun.
    """

    runs: tuple[int, ...]
    checkpoints: Checkpoints | None
    snapshot: Snapshot | None


def find_parts(
    folder: Workdir, number: int, group: Group, kept: int, complain: Callable[[str], None]
) -> list[Part]:
    """A group's parts: those with checkpoints, and the runs that have none yet as another.

    Args:
      folder: of the sweep.
      number: the group's place in the grid.
      group: its runs, those that were added since included.
      kept: how many checkpoints of a part are kept.
      complain: told of damaged ones.

    Raises:
      JalError: on a checkpoint of runs that the group does not have.
    """
    place: dict[Identity, int] = {run: at for at, run in enumerate(group.identities)}
    missing, parts = dict(place), []
    spare: Checkpoints | None = None  # of runs that were killed before their first checkpoint
    for path in folder.parts(number) if folder.resumes else []:
        checkpoints = Checkpoints(path, kept)
        snapshot = checkpoints.newest(complain)
        if snapshot is None and spare is None:
            spare = checkpoints
            continue
        if snapshot is None:
            checkpoints.close()
            continue
        strange = [run for run in snapshot.runs if run not in missing]
        if strange:
            raise JalError(
                f"{path} holds the run {strange[0]}, which is not of this sweep or is there twice; "
                "pass --overwrite to start anew."
            )
        parts.append(Part(tuple(missing.pop(run) for run in snapshot.runs), checkpoints, snapshot))
    if missing:
        own = spare or Checkpoints(folder.new_part(number), kept)
        parts.append(Part(tuple(missing.values()), own, None))
    elif spare is not None:
        spare.close()
    return parts
