"""The report as one self-contained HTML page: no script, no external resource."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from jal.report.page_style import STYLE
from jal.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture(NamedTuple):
    """A figure of the report.

    Attributes:
      name: its file name without ending.
      alt: what it shows, for those who cannot see it.
      figure: the drawing.
      is_photo: whether it shows images, whose colours must stay as they are.
    """

    name: str
    alt: str
    figure: Figure
    is_photo: bool = False


class Photo(NamedTuple):
    """A small image of the data: its JPEG, what it shows, and a line under it."""

    content: bytes
    alt: str
    caption: str


class Strip(NamedTuple):
    """Photos in a row that goes on in the next line, under a heading of their own."""

    title: str
    photos: Sequence[Photo]


class Section(NamedTuple):
    """One heading of the report and what is under it.

    Attributes:
      title: the heading.
      text: a sentence or two on how to read it.
      found: what was found, a sentence a line; empty where there is nothing to say.
      strips: photos, between the pictures and the tables.
      pictures, tables: shown in this order.
      folded: tables that are shown on a click.
    """

    title: str
    text: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()
    found: str = ""
    strips: Sequence[Strip] = ()


_LONG = 36  # letters of a cell that may take several lines
_SHORT = 16  # rows of a table that paper does not part
_WIDE = 9  # columns from which on a table is printed on its side


def _anchor(title: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())


def lean(table: Table) -> Table:
    """The table without those of its `once` that say one thing in every row, which the caption says."""
    shown = table.shown
    same = [
        name for name in table.once if len(shown) > 1 and shown[name].astype(str).nunique() == 1
    ]
    if not same:
        return table
    words = ", ".join(f"{name} {shown[name].iloc[0]}" for name in same)
    caption = f"{table.caption} In every row: {words}."
    return table._replace(caption=caption, shown=shown.drop(columns=same))


def table_html(table: Table) -> str:
    """A table with its caption; numbers right-aligned, and wide ones scroll on their own."""
    table = lean(table)
    kinds = [
        ""
        if name in table.data and not pd.api.types.is_numeric_dtype(table.data[name])
        else ' class="number"'
        for name in table.shown
    ]
    head = "".join(
        f"<th{kind}>{escape(str(name))}</th>" for name, kind in zip(table.shown, kinds, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kind or _long(cell)}>{escape(str(cell))}</td>"
            for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in table.shown.itertuples(index=False)
    )
    rows, columns = table.shown.shape
    kind = "table" + " short" * (rows <= _SHORT) + " wide" * (columns >= _WIDE)
    return (
        f'<div class="{kind}"><p>{_tied(table.caption)}</p>'
        '<div class="scroll" tabindex="0" role="region" aria-label="table"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div></div>"
    )


def _tied(text: str) -> str:
    """The text for a page, with no line ending between a number and what belongs to it."""
    for mark in ("%", "±", "points"):
        text = text.replace(f" {mark}", f"\N{NO-BREAK SPACE}{mark}")
    return escape(text.replace("± ", "±\N{NO-BREAK SPACE}"))


def _long(cell: object) -> str:
    return ' class="long"' if len(str(cell)) > _LONG else ""


def picture_html(picture: Picture, svg: bytes) -> str:
    """An image inside the page."""
    data = base64.b64encode(svg).decode()
    kind = "photo" if picture.is_photo else "drawn"
    return (
        f'<figure><img class="{kind}" alt="{escape(picture.alt, quote=True)}" '
        f'src="data:image/svg+xml;base64,{data}"></figure>'
    )


def _elsewhere(file: str = "") -> str:
    """Where what is folded away can be read, for those who have the page on paper."""
    where = f"in {file}, beside the page" if file else "on the page itself"
    return f'<span class="paper"> ({escape(where)})</span>'


def strip_html(strip: Strip) -> str:
    """Photos as they are, each with its line."""
    figures = "\n".join(
        f'<figure><img class="photo" alt="{escape(photo.alt, quote=True)}" '
        f'src="data:image/jpeg;base64,{base64.b64encode(photo.content).decode()}">'
        f"<figcaption>{escape(photo.caption)}</figcaption></figure>"
        for photo in strip.photos
    )
    return f'<h3>{escape(strip.title)}</h3>\n<div class="photos">\n{figures}\n</div>'


def page(
    title: str,
    facts: str,
    notes: Sequence[str],
    sections: Sequence[Section],
    drawn: dict[str, bytes],
    details: dict[str, str],
    hints: Sequence[str] = (),
) -> str:
    """The whole page.

    Args:
      title: of the page.
      facts: one line under it.
      notes: what the reader should know first.
      sections: in order.
      drawn: the SVG of each picture by name.
      details: preformatted texts by heading, folded away at the end.
      hints: what more could be shown, and how.
    """
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(title)}</h1>\n<p>{escape(facts)}</p>",
    ]
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        parts.append(f'<div class="notes"><strong>To know first</strong><ul>{items}</ul></div>')
    links = "".join(
        f'<a href="#{_anchor(section.title)}">{escape(section.title)}</a>' for section in sections
    )
    parts.append(f"<nav>{links}</nav>")
    for section in sections:
        parts.append(f'<section id="{_anchor(section.title)}">\n<h2>{escape(section.title)}</h2>')
        if section.found:
            lines = _tied(section.found).replace("\n", "<br>\n")
            parts.append(f'<p class="found">{lines}</p>')
        parts.append(f"<p>{_tied(section.text)}</p>")
        if section.pictures:
            figures = "\n".join(picture_html(each, drawn[each.name]) for each in section.pictures)
            parts.append(f'<div class="pictures">\n{figures}\n</div>')
        parts += [strip_html(strip) for strip in section.strips]
        parts += [table_html(table) for table in section.tables]
        for table in section.folded:
            words = f"Table: {table.title or table.name.replace('-', ' ')}"
            parts.append(
                f"<details><summary>{escape(words)}{_elsewhere(f'tables/{table.name}.csv')}</summary>"
                f"{table_html(table)}</details>"
            )
        parts.append("</section>")
    if hints:
        items = "".join(f"<li>{escape(hint)}</li>" for hint in hints)
        parts.append(
            f'<section class="hints"><h2>What more could be shown</h2><ul>{items}</ul></section>'
        )
    for heading, text in details.items():
        parts.append(
            f"<details><summary>{escape(heading)}{_elsewhere()}</summary><pre>{escape(text)}</pre></details>"
        )
    parts.append("</body>\n</html>\n")
    return "\n".join(parts)
