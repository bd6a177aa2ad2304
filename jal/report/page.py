"""The report as one self-contained HTML page: no script, no external resource."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from jal.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture(NamedTuple):
    """A figure of the report.

    Attributes:
      name: its file name without ending.
      alt: what it shows, for those who cannot see it.
      figure: the drawing.
    """

    name: str
    alt: str
    figure: Figure


class Section(NamedTuple):
    """One heading of the report and what is under it.

    Attributes:
      title: the heading.
      text: a sentence or two on how to read it.
      pictures, tables: shown in this order.
      folded: tables that are shown on a click.
    """

    title: str
    text: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()


_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1rem 1.25rem 3rem; background: #fff; color: #1a1a1a;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .25rem; padding-top: .75rem; border-top: 1px solid #ddd; }
p { margin: .4rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .75rem 0; }
a { color: #0b5394; }
.notes { background: #fff6e0; border-left: 4px solid #e69f00; padding: .5rem .9rem; margin: 1rem 0; }
.notes ul { margin: .25rem 0; padding-left: 1.1rem; }
.pictures { display: grid; gap: 1rem; margin: .75rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.pictures img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure { margin: 0; }
.table { margin: 1rem 0; }
.table p { font-size: .88rem; color: #444; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; white-space: nowrap;
  border-bottom: 1px solid #e6e6e6; }
th { border-bottom: 2px solid #999; }
th.number, td.number { text-align: right; }
summary { cursor: pointer; color: #0b5394; margin: .5rem 0; }
pre { overflow-x: auto; background: #f6f6f6; padding: .6rem; font-size: .8rem; }
@media (max-width: 40rem) { body { padding: .5rem .75rem 2rem; } h1 { font-size: 1.35rem; } }
@media print { nav { display: none; } figure, .table { break-inside: avoid; } }
"""


def _anchor(title: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in title.lower())


def table_html(table: Table) -> str:
    """A table with its caption; numbers right-aligned, and wide ones scroll on their own."""
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
            f"<td{kind}>{escape(str(cell))}</td>" for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in table.shown.itertuples(index=False)
    )
    return (
        f'<div class="table"><p>{escape(table.caption)}</p><div class="scroll"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div></div>"
    )


def picture_html(picture: Picture, svg: bytes) -> str:
    """An image inside the page."""
    data = base64.b64encode(svg).decode()
    return (
        f'<figure><img alt="{escape(picture.alt, quote=True)}" '
        f'src="data:image/svg+xml;base64,{data}"></figure>'
    )


def page(
    title: str,
    facts: str,
    notes: Sequence[str],
    sections: Sequence[Section],
    drawn: dict[str, bytes],
    details: dict[str, str],
) -> str:
    """The whole page.

    Args:
      title: of the page.
      facts: one line under it.
      notes: what the reader should know first.
      sections: in order.
      drawn: the SVG of each picture by name.
      details: preformatted texts by heading, folded away at the end.
    """
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>",
        f"<h1>{escape(title)}</h1>\n<p>{escape(facts)}</p>",
    ]
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        parts.append(f'<div class="notes"><strong>Incomplete</strong><ul>{items}</ul></div>')
    links = "".join(
        f'<a href="#{_anchor(section.title)}">{escape(section.title)}</a>' for section in sections
    )
    parts.append(f"<nav>{links}</nav>")
    for section in sections:
        parts.append(f'<section id="{_anchor(section.title)}">\n<h2>{escape(section.title)}</h2>')
        parts.append(f"<p>{escape(section.text)}</p>")
        if section.pictures:
            figures = "\n".join(picture_html(each, drawn[each.name]) for each in section.pictures)
            parts.append(f'<div class="pictures">\n{figures}\n</div>')
        parts += [table_html(table) for table in section.tables]
        for table in section.folded:
            name = table.name.replace("-", " ")
            parts.append(f"<details><summary>{escape(name)}</summary>{table_html(table)}</details>")
        parts.append("</section>")
    for heading, text in details.items():
        parts.append(
            f"<details><summary>{escape(heading)}</summary><pre>{escape(text)}</pre></details>"
        )
    parts.append("</body>\n</html>\n")
    return "\n".join(parts)
