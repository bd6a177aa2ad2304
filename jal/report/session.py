"""The report of a labelling session: what was labelled, how fast, how good it is, and what it looks like."""

from __future__ import annotations

from pathlib import Path

from jal.report.build import Report, write_report
from jal.report.session_account import Account, plain
from jal.report.session_photos import Album
from jal.report.session_sections import session_sections
from jal.report.session_words import facts_line


def make_session_report(account: Account, out: str | Path, *, title: str = "") -> Report:
    """Writes `out/report.html`, `out/figures/*.png|svg` and `out/tables/*.csv|tex` of a labelling session.

    Args:
      account: of the session.
      out: made if missing; files of the same names are replaced.
      title: of the page.

    Raises:
      JalError: when `out` cannot be written.
    """
    album = Album(account.sight)
    sections = session_sections(account, album)
    notes = [*account.notes]
    if album.missing:
        notes.append(
            f"{album.missing} of the images that would be shown here are not where they were, or cannot be "
            "read."
        )
    return write_report(
        Path(out),
        title or f"Labelling {plain(account.pool)}",
        facts_line(account),
        notes,
        sections,
        dict(account.details),
        account.hints,
    )
