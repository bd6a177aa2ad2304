"""`jal sweep`: from the command line to a finished workdir and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jal.errors import JalError
from jal.settings.devices import configure_jax
from jal.settings.loading import load_config
from jal.settings.process import check_devices, pinned
from jal.sweeps.checks import check_words
from jal.sweeps.config import check_pool

if TYPE_CHECKING:
    from ml_collections import ConfigDict
    from pandas import DataFrame
    from rich.console import Console


def run(reference: str, workdir: str, overwrite: bool, overrides: list[str]) -> None:
    """Runs what a config asks for, with a progress display, and ends with a table.

    Args:
      reference: as `jal.settings.loading.load_config` takes it.
      workdir: where the results go.
      overwrite: start anew whatever it holds.
      overrides: `--config.key=value` words.

    Raises:
      JalError: on bad input of any kind.
    """
    config = load_config(reference, overrides)
    if "strategies" not in config or "execution" not in config:
        raise JalError(f"config {reference!r} is not one for jal sweep; try --config=dropquery.")
    check_words(config)
    check_pool(config)
    configure_jax(config.execution.devices)
    _run(config, workdir, overwrite)


@pinned()
def _run(config: ConfigDict, workdir: str, overwrite: bool) -> None:
    from jal.engine import dist
    from jal.pools.from_config import load_data
    from jal.report import summary_table
    from jal.schema import CURVES
    from jal.settings.console import make_console
    from jal.settings.progress import Bar
    from jal.sweeps.api import full_line, run_sweep
    from jal.sweeps.checks import check_names
    from jal.sweeps.full import groups_due
    from jal.sweeps.groups import make_groups
    from jal.sweeps.interrupt import Interruptible

    if config.execution.distributed:
        dist.initialise()
    check_names(config)  # before the devices are looked for, which takes longer
    check_devices()
    console = make_console(quiet=not dist.is_first())
    loaded, images = load_data(config, console.print)
    groups = make_groups(config, loaded)
    batches = groups[0].spec.batches
    console.print(
        f"{loaded.description}; {sum(group.size for group in groups)} runs of {len(batches)} rounds up to "
        f"{sum(batches)} labels"
    )
    if len(batches) < config.rounds:
        console.print(f"the pool ends after {len(batches)} of the {config.rounds} rounds asked for")
    only = config.execution.group
    asked = groups if only < 0 else groups[only : only + 1]
    numbers = range(len(groups)) if only < 0 else (only,)
    total = sum(group.spec.rounds for group in asked)
    total += len(groups_due(groups, numbers)) if config.full else 0
    with Bar(console, "rounds", total) as bar, Interruptible(bar) as progress:
        result = run_sweep(
            config,
            loaded,
            workdir=workdir,
            overwrite=overwrite,
            progress=progress,
            images=images,
        )
    _print_table(console, summary_table(result.metrics))
    if result.full is not None:
        console.print(full_line(result.full))
    if result.workdir is not None and (result.workdir / CURVES).exists():
        console.print(f"curves:  {result.workdir}/{CURVES}")
    console.print(f"results: {result.workdir}")


def _print_table(console: Console, table: DataFrame) -> None:
    from rich import box
    from rich.table import Table

    shown = Table(
        title="test accuracy in %, by number of labels; area under the curve",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for column in table.columns:
        words = column in ("strategy", "init", "learner", "ssl")
        shown.add_column(
            column,
            justify="left" if words else "right",
            no_wrap=not words,
            min_width=min(12, int(table[column].str.len().max())) if words else None,
            overflow="fold",
        )
    for row in table.itertuples(index=False):
        shown.add_row(*map(str, row))
    console.print(shown)
