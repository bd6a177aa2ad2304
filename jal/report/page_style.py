"""How the page looks: light and dark, on small screens and on paper."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --back: #fff; --fore: #1a1a1a; --soft: #444; --line: #ddd; --head: #999;
  --link: #0b5394; --note: #fff6e0; --code: #f6f6f6; --edge: #e69f00; --shade: rgb(0 0 0 / .28); }
@media screen and (prefers-color-scheme: dark) {
  :root { --back: #16181b; --fore: #e8e8e6; --soft: #b4b6b8; --line: #3a3d41; --head: #75797e;
    --link: #8ab8f0; --note: #33290f; --code: #22252a; --edge: #b98a1f; --shade: rgb(255 255 255 / .3); }
  /* Drawn on white: light and dark change places, hues stay. Photographs stay as they are. */
  img.drawn { filter: invert(.91) hue-rotate(180deg); }
  img.photo { border-radius: .4rem; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 78rem; padding: 1rem 1.25rem 3rem;
  background: var(--back); color: var(--fore);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1rem 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .25rem; padding-top: .75rem; border-top: 1px solid var(--line); }
p { margin: .4rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .75rem 0; }
a { color: var(--link); }
.found { font-weight: 600; }
.notes { background: var(--note); border-left: 4px solid var(--edge); padding: .5rem .9rem; margin: 1rem 0; }
.notes ul, .hints ul { margin: .25rem 0; max-width: 46rem; padding-left: 1.1rem; }
.pictures { display: grid; gap: 1rem; margin: .75rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.pictures img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure { margin: 0; }
h3 { font-size: .95rem; margin: .9rem 0 .35rem; }
.photos { display: grid; gap: .75rem .6rem;
  grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr)); }
.photos img { display: block; width: 100%; max-width: 9rem; aspect-ratio: 1; object-fit: contain;
  background: var(--code); }
.photos figcaption { font-size: .8rem; line-height: 1.35; color: var(--soft); max-width: 9rem;
  padding-top: .2rem; overflow-wrap: anywhere; }
.paper { display: none; }
.table { margin: 1rem 0; }
.table p { font-size: .88rem; color: var(--soft); }
/* A shadow lies over the edge beyond which there is more; covers that scroll along hide it at the ends. */
.scroll { overflow-x: auto; max-width: 100%; padding-bottom: .3rem; scrollbar-width: thin; background:
  linear-gradient(to right, var(--back) 40%, transparent) left / 2.5rem 100% no-repeat local,
  linear-gradient(to left, var(--back) 40%, transparent) right / 2.5rem 100% no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / .9rem 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / .9rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { border-bottom: 2px solid var(--head); }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--back); }
th.number, td.number { text-align: right; }
td.long { white-space: normal; min-width: 12rem; max-width: 46rem; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--link); margin: .5rem 0; }
pre { overflow-x: auto; background: var(--code); padding: .6rem; font-size: .8rem; }
@media (max-width: 40rem) { body { padding: .5rem .75rem 2rem; } h1 { font-size: 1.35rem; } }
@media print {
  @page { margin: 13mm; }
  @page wide { size: landscape; margin: 10mm; }
  :root { color-scheme: light; }
  body { max-width: none; padding: 0; font-size: .85rem; }
  nav { display: none; }
  a { color: inherit; }
  .paper { display: inline; }
  h2 { margin-top: 1.5rem; }
  /* What introduces something stays with it. */
  h1, h2, h3, summary, section > p, .table > p { break-after: avoid; }
  p, li, tr, figure, .notes, .short { break-inside: avoid; }
  thead { display: table-header-group; }
  .pictures { grid-template-columns: 1fr 1fr; }
  .pictures > :only-child { grid-column: 1 / -1; }
  .photo, .drawn, .notes { print-color-adjust: exact; }
  /* Paper does not scroll. */
  .scroll { overflow: visible; background: none; }
  .wide { page: wide; }
  table { font-size: .75rem; }
  .wide table { font-size: .65rem; }
  th, td { white-space: normal; padding: .15rem .45rem .15rem 0; }
  .wide th, .wide td { padding-right: .4rem; }
  th:first-child, td:first-child { position: static; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
}
"""
