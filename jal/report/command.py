"""`jal report`: from workdirs on the command line to a page, figures and tables."""

from __future__ import annotations

from collections.abc import Sequence

from jal.errors import JalError
from jal.report.arms import BASELINE
from jal.report.build import make_report


def parse_full(words: Sequence[str]) -> dict[str, float]:
    """`pets=0.9` or `0.9` words as accuracies by data set ("" for all others).

    Raises:
      JalError: on anything but an accuracy above 0 and at most 1.
    """
    found = {}
    for word in words:
        name, _, value = word.rpartition("=")
        try:
            accuracy = float(value)
        except ValueError:
            accuracy = 0.0
        if not 0 < accuracy <= 1:
            raise JalError(
                f"--full_accuracy={word}: write an accuracy from 0 to 1, as in 0.9 or pets=0.9."
            )
        found[name] = accuracy
    return found


def run(
    workdirs: Sequence[str],
    out: str,
    *,
    baseline: str = "",
    full_accuracy: Sequence[str] = (),
    images: str = "",
    title: str = "",
) -> None:
    """Makes the report and says where it is.

    Args:
      workdirs, out, baseline, images, title: as `make_report` takes them; "" for the baseline is random.
      full_accuracy: see `parse_full`.

    Raises:
      JalError: on bad input of any kind.
    """
    from rich.console import Console

    if not out:
        raise JalError("a report of sweeps goes into a folder of its own; say which, --out=DIR.")
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    made = make_report(
        workdirs,
        out,
        baseline=baseline or BASELINE,
        full_accuracy=parse_full(full_accuracy),
        images=images,
        title=title,
    )
    for note in made.notes:
        console.print(f"note: {note}")
    console.print(str(made))
