"""The command line: argument handling only."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from jal.errors import JalError
from jal.labelling import arguments as labelling
from jal.settings.versions import DISTRIBUTION, versions

if TYPE_CHECKING:
    from jal.settings.fields import Field

_DESCRIPTION = """\
Active learning on vision foundation models, in JAX.

To label images of one's own: label, next, tell, predict, export, status. To study how to label: embed, sweep,
report. Settings are those of a config, a small Python file, and overrides of its keys as --config.key=value.
"""

_SWEEP_DESCRIPTION = """\
Runs every strategy from every seed on a pool of embeddings, and writes into the workdir what
follows. A run that was killed goes on from its last checkpoint when the same command is given again.

  metrics.csv       one row a run and round: accuracy, macro-F1, AUROC, calibration, …
  acquisitions.csv  every pool position that was labelled, in order, with its image where known
  curves.png        learning curves, mean and spread over seeds
  config.json, environment.json   what was run, on what
  checkpoints/      where an unfinished run goes on from
"""

_EMBED_DESCRIPTION = """\
Turns images into a store of embeddings, which `jal sweep` reads by --config.pool.path=STORE. The
same command goes on where an interrupted one stopped, and takes in what has changed since: new images
are embedded; other labels, splits and names of files cost nothing.

  jal embed --config=embed:cifar10 --store=stores/cifar10
  jal embed --config=embed --config.data.path=FOLDER --config.model.name=MODEL --store=OUT
"""

_SWEEP_EPILOG = """\
examples:
  jal sweep --config=quickstart --workdir=runs/digits
  jal sweep --config=dropquery --workdir=runs/pets --config.pool.path=pets.npz --config.seeds=5
  jal sweep --config=quickstart --workdir=runs/lr --config.probe.lr=0.001,0.01
  jal sweep --config=quickstart --workdir=runs/options \\
      --config.strategies="margins,margins(oversample=50),dropquery(draws=5)"

config keys, overridden as --config.KEY=VALUE (* takes several values, comma-separated) [default]:
{keys}
strategies: {strategies}
inits:      default, {inits}
configs:    {configs}, or a file of your own
"""

_EMBED_EPILOG = """\
config keys, overridden as --config.KEY=VALUE [default]:
{keys}
data sets by name, as --config=embed:NAME:
{names}
"""

_LABEL_EPILOG = """\
config keys, overridden as --config.KEY=VALUE [default]:
{keys}
strategies: {strategies}
"""

_REPORT_DESCRIPTION = """\
Compares the strategies of one or more sweeps, or tells of a labelling session, and writes into --out:

  report.html   one page that needs no other file: learning curves, gain over random, win matrices, paired
                tests, ranks, label efficiency, classes, unknown ratio, calibration, first picks, cost; of a
                session what was labelled, accuracy, labels over time, classes, mistakes, photos
  figures/      every figure as PNG and SVG
  tables/       every table as CSV and LaTeX

  jal report runs/pets runs/dtd --out=reports/clip
  jal report work/cells
"""


def _key_help(fields: Mapping[str, Field]) -> str:
    lines = []
    for path, field in fields.items():
        several = isinstance(field.default, tuple)
        default = ",".join(map(str, field.default)) if several else str(field.default)
        shown = f"{field.help} [{default}]" if default else field.help
        lines.append(f"  {path + '*' * field.several:<29} {shown}")
    return "\n".join(lines) + "\n"


def _sweep_epilog(config: str | None) -> str:
    from jal.selection import names
    from jal.settings.loading import load_config, shipped_configs
    from jal.sweeps.config import SWEEP_FIELDS

    if config is not None:
        with suppress(JalError):  # help is for those whose config does not load, too
            load_config(config, [])  # it may register strategies
    return _SWEEP_EPILOG.format(
        keys=_key_help(SWEEP_FIELDS),
        strategies=textwrap.fill(
            ", ".join(names("strategy")), 96, subsequent_indent=" " * len("strategies: ")
        ),
        inits=", ".join(names("init")),
        configs=", ".join(shipped_configs()),
    )


def _embed_epilog(config: str | None) -> str:
    from jal.data.catalogue import CATALOGUE
    from jal.embedding.config import EMBED_FIELDS

    names = textwrap.fill(", ".join(CATALOGUE), 96, initial_indent="  ", subsequent_indent="  ")
    return _EMBED_EPILOG.format(keys=_key_help(EMBED_FIELDS), names=names)


def _label_epilog(config: str | None) -> str:
    from jal.labelling.config import LABEL_FIELDS
    from jal.selection import names

    known = textwrap.fill(
        ", ".join(names("strategy")), 96, subsequent_indent=" " * len("strategies: ")
    )
    return _LABEL_EPILOG.format(keys=_key_help(LABEL_FIELDS), strategies=known)


_EXAMPLES = {
    "sweep": "jal sweep --config=quickstart --workdir=runs/first",
    "embed": "jal embed --config=embed --config.data.path=FOLDER --store=stores/mine",
    "report": "jal report runs/first --out=reports/first",
    **labelling.EXAMPLES,
}


class _Help(argparse.Action):
    """Composes the long epilog only when help is asked for: it needs imports that cost time."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: object
    ) -> NoReturn:
        epilogs = {
            "sweep": _sweep_epilog,
            "embed": _embed_epilog,
            "next": _label_epilog,
            "label": _label_epilog,
        }
        if compose := epilogs.get(parser.prog.rpartition(" ")[2]):
            parser.epilog = compose(getattr(namespace, "config", None))
        parser.print_help()
        parser.exit()


class _CommandParser(argparse.ArgumentParser):
    """A command's: its help is composed when asked for, its errors show what would be right."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, add_help=False)
        text = "show this help message and exit"
        self.add_argument(
            "-h", "--help", action=_Help, nargs=0, default=argparse.SUPPRESS, help=text
        )

    def error(self, message: str) -> NoReturn:
        """What is wrong, and a line that would be right."""
        self.print_usage(sys.stderr)
        example = _EXAMPLES.get(self.prog.rpartition(" ")[2])
        shown = f"for example: {example}\n" if example else ""
        self.exit(2, f"{self.prog}: {message}\n{shown}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jal",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_CommandParser)
    sweep = commands.add_parser(
        "sweep",
        help="run strategies × seeds on a pool of embeddings",
        description=_SWEEP_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="jal sweep --config=NAME|FILE --workdir=DIR [--overwrite] [--config.KEY=VALUE …]",
    )
    sweep.add_argument("--config", required=True, help="a shipped config's name, or a .py file")
    sweep.add_argument("--workdir", required=True, help="folder for the results; made if missing")
    sweep.add_argument(
        "--overwrite", action="store_true", help="start anew, whatever the workdir holds"
    )
    embed = commands.add_parser(
        "embed",
        help="images to a store of embeddings, with a foundation model",
        description=_EMBED_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="jal embed --config=NAME|FILE[:DATASET] [--store=OUT] [--skip_bad] [--config.KEY=VALUE …]",
    )
    embed.add_argument("--config", required=True, help="a shipped config's name, or a .py file")
    embed.add_argument("--store", default="", help="folder or gs:// prefix; made if missing")
    embed.add_argument(
        "--skip_bad", action="store_true", help="leave unreadable images out instead of stopping"
    )
    report = commands.add_parser(
        "report",
        help="figures, tests and tables of sweeps, or of a labelling session, as one page",
        description=_REPORT_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage="jal report WORKDIR [WORKDIR …] --out=DIR [--baseline=ARM] [--images=FOLDER|NPZ]",
    )
    report.add_argument("workdirs", nargs="+", metavar="WORKDIR", help="of sweeps, or of a session")
    report.add_argument("--out", default="", help="folder [of a session: WORKDIR/report]")
    report.add_argument("--baseline", default="", help="what is compared with [random]")
    report.add_argument(
        "--full_accuracy",
        action="append",
        default=[],
        metavar="[DATASET=]X",
        help="accuracy with all labels, for label efficiency [as measured by full, else the best seen]",
    )
    words = "what the pool looks like: a folder or .npz; of a session also none: no photos"
    report.add_argument("--images", default="", help=words)
    report.add_argument("--title", default="", help="of the page")
    labelling.add_commands(commands)
    return parser


def _sweep(arguments: argparse.Namespace, overrides: list[str]) -> None:
    from jal.sweeps import command as sweep_command

    sweep_command.run(arguments.config, arguments.workdir, arguments.overwrite, overrides)


def _embed(arguments: argparse.Namespace, overrides: list[str]) -> None:
    from jal.embedding import command as embed_command

    embed_command.run(arguments.config, arguments.store, arguments.skip_bad, overrides)


def _report(arguments: argparse.Namespace, rest: list[str]) -> None:
    if rest:
        raise JalError(f"unknown argument {rest[0]!r}; see jal report --help.")

    if labelling.reports_session(arguments.workdirs):
        labelling.run("report", arguments, rest)
        return
    from jal.report.command import run

    run(
        arguments.workdirs,
        arguments.out,
        baseline=arguments.baseline,
        full_accuracy=arguments.full_accuracy,
        images=arguments.images,
        title=arguments.title,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns its exit code (2 when the input is wrong)."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shows a question mark.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    parser = _parser()
    parsed, rest = parser.parse_known_args(arguments)
    if parsed.version:
        print(f"jal {versions(())[DISTRIBUTION]}")
        return 0
    if parsed.command is None:
        parser.print_help()
        return 0
    try:
        if parsed.command in labelling.USAGE:
            labelling.run(parsed.command, parsed, rest)
        else:
            {"sweep": _sweep, "embed": _embed, "report": _report}[parsed.command](parsed, rest)
    except JalError as error:
        print(f"jal: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("jal: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
