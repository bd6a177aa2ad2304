"""What every compiled program needs of an accelerator: computed for a described TPU, or measured here.

    python bench/accelerator.py --aot v5e:2x2 [--sizes imagenet] [--strategies dropquery typiclust]
        [--programs query fit] [--chips 1] [--shard] [--chunk 1] [--runs 5] [--out FOLDER]
    python bench/accelerator.py --here [--sizes small study]

`--aot` needs libtpu and no TPU: programs are compiled for the chips of a topology (v4, v5e, v5p, v6e), and
what does not fit their memory fails as it would there. A line a program: seconds to compile; temporaries,
arguments and results in GiB a chip; GFLOPs of its matrix products and the GB that these move; and the time
that both imply on that chip, computed, not measured. A loop whose length is data counts as one step, so
that is the least time. `--out` writes the lines as CSV and Markdown.

`--here` runs the same programs on the device that there is: seconds of the second call, the ratio to that
least time, the peak of the device's memory, and how many picks agree with those of this computer's CPU from
the same state (small size; 90 % are expected, as near-ties may fall otherwise). Sizes that do not fit are
said and skipped.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
from accelerator_programs import KINDS, SIZES, Item, chosen, frozen_programs, image_programs
from chips import CHIPS, GIB, topology, work_of

from jal.engine import dist
from jal.engine.layout import AXIS, Layout
from jal.engine.mapped import Program
from jal.ops.spread import ROWS

COLUMNS = (
    "size", "program", "compile s", "temporaries GiB", "arguments GiB", "results GiB", "GFLOP", "GB",
    "least ms, computed",
)  # fmt: skip
FROZEN = {"begin", "prepare", "start", "fit", "query", "whole"}


def items(arguments: argparse.Namespace, size: str, layout: Layout) -> Iterator[Item]:
    """The programs asked for at a size."""
    kinds = tuple(arguments.programs)
    if FROZEN & set(kinds):
        yield from frozen_programs(SIZES[size], layout, chosen(arguments.strategies), kinds)
    if not arguments.shard and set(kinds) - FROZEN:
        yield from image_programs(SIZES[size], layout, kinds)


def compiled(item: Item, layout: Layout) -> dict[str, Any]:
    """What the compiler says of a program, or why it could not compile it."""
    program = item.function if hasattr(item.function, "lower") else jax.jit(item.function)
    last = (0,) if isinstance(program, Program) else ()  # a round
    traced = jax.make_jaxpr(lambda *shapes: program(*shapes, *last))(*item.arguments)
    work, lowered = work_of(traced.jaxpr), program.lower(*item.arguments)
    clock = time.perf_counter()
    try:
        memory = lowered.compile().memory_analysis()
    except jax.errors.JaxRuntimeError as error:
        reason = " ".join(str(error).split())
        print(f"  {reason[:300]}", flush=True)
        return {"compile s": "fails", "temporaries GiB": "does not fit"}
    seconds = time.perf_counter() - clock
    chip = CHIPS[layout.mesh.devices.flat[0].device_kind]
    return {
        "compile s": f"{seconds:.0f}",
        "temporaries GiB": f"{memory.temp_size_in_bytes / GIB:.2f}",
        "arguments GiB": f"{memory.argument_size_in_bytes / GIB:.2f}",
        "results GiB": f"{memory.output_size_in_bytes / GIB:.2f}",
        "GFLOP": f"{(work.half + work.full) / 1e9:.4g}",
        "GB": f"{work.bytes / 1e9:.4g}",
        "least ms, computed": f"{1000 * chip.seconds(work):.3g}",
    }


def described(array: Any, sharding: Any) -> Any:
    """In place of `dist.place`: on a device that is only described nothing can lie."""
    del sharding
    return np.asarray(array)


def compile_all(arguments: argparse.Namespace) -> None:
    """Compiles, prints and writes a line a program."""
    mesh = topology(arguments.aot, arguments.chips, ROWS if arguments.shard else AXIS)
    runs, devices = arguments.runs, mesh.size
    dealt = 1 if arguments.shard else min(devices, runs)
    chunk = min(arguments.chunk or runs, -(-runs // dealt))
    layout = Layout(runs, "vmap", chunk, dealt, mesh, shards_pool=arguments.shard)
    print(f"{devices} × {mesh.devices.flat[0].device_kind}, {runs} runs, {chunk} at once")
    lines: list[dict[str, Any]] = []
    with mock.patch.object(dist, "place", described):
        for size in arguments.sizes:
            for item in items(arguments, size, layout):
                with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
                    line = {"size": size, "program": item.name, **compiled(item, layout)}
                lines.append(line)
                print("  ".join(f"{line.get(name, ''):>10}" for name in COLUMNS), flush=True)
                if arguments.out:  # after every line: compiling all takes long
                    write(lines, arguments.out, arguments.aot.replace(":", "-"))
                jax.clear_caches()


def write(lines: list[dict[str, Any]], folder: Path, name: str) -> None:
    """The lines as CSV and as a Markdown table."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(lines)
    rows = [COLUMNS, ["---"] * len(COLUMNS)] + [
        [line.get(column, "") for column in COLUMNS] for line in lines
    ]
    text = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    (folder / f"{name}.md").write_text(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--aot", metavar="TOPOLOGY", help="compile for it, as v5e:2x2")
    where.add_argument("--here", action="store_true", help="run on the device there is")
    parser.add_argument("--sizes", nargs="+", choices=SIZES)
    parser.add_argument("--programs", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--strategies", nargs="+", default=[], help="all by default")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--chips", type=int, default=1, help="of the topology; 0 for all")
    parser.add_argument("--shard", action="store_true", help="share the pool's rows out")
    parser.add_argument("--chunk", type=int, default=0, help="runs at once; 0 for all")
    parser.add_argument("--out", type=Path, help="a folder for CSV and Markdown")
    arguments = parser.parse_args()
    if arguments.here:
        from accelerator_here import run_all

        run_all(arguments.sizes or ["small", "study"], chosen(arguments.strategies), arguments.runs)
        return
    arguments.sizes = arguments.sizes or list(SIZES)
    compile_all(arguments)


if __name__ == "__main__":
    main()
