"""The rooms of docs/design.md as rules: which module may import which, what breaks them, and circles."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

FREE = ("errors.py", "schema.py")  # for all to import
PICTURES = ("command.py", "api.py")  # of a room: these may also import report
COMPILED = {"jax", "numpy", "flax", "optax", "jal"}


class Room(NamedTuple):
    """A row of the table: the rooms it may import, transitively, and the side of the line it is on."""

    may: frozenset[str]
    compiled: bool


class Import(NamedTuple):
    """One imported name: "jal.core.types", at a line."""

    name: str
    line: int


def read_table(page: str) -> dict[str, Room]:
    """The rooms by name ("core/", "experiment.py") of the first table whose head begins with `room`."""
    (table,) = re.findall(r"^\| room \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.M)
    direct: dict[str, list[str]] = {}
    compiled: set[str] = set()
    above = True
    for row in table.splitlines():
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        if cells[0].startswith("*—"):
            above = False
            continue
        names, may = re.findall(r"`([^`]+)`", cells[0]), re.findall(r"`([^`]+)`", cells[-1])
        for name in names:
            assert name not in direct, f"{name} has two rows"
            direct[name] = ["all"] if cells[-1].strip("| ") == "all" else may
            compiled |= {name} if above and name not in FREE else set()
    every = frozenset(direct)
    unknown = {name for may in direct.values() for name in may} - every - {"all"}
    assert not unknown, f"the table lets rooms import what has no row: {unknown}"

    def reach(name: str, on_the_way: tuple[str, ...] = ()) -> frozenset[str]:
        assert name not in on_the_way, f"the table's rooms import each other: {name}"
        found = frozenset([name])
        for other in direct[name]:
            found |= every if other == "all" else reach(other, (*on_the_way, name))
        return found

    free = every & frozenset(FREE)
    return {
        name: Room(reach(name) | (frozenset() if name in FREE else free), name in compiled)
        for name in direct
    }


def room_of(path: str, rooms: Mapping[str, Room]) -> str:
    """The room of a path below jal/: the row that names most of it; "" where none does."""
    fitting = [
        name for name in rooms if path == name or (name[-1] == "/" and path.startswith(name))
    ]
    return max(fitting, key=len, default="")


def imports(source: str) -> Iterator[Import]:
    """Every import of a module, wherever it stands: at the top, in a function, for type checkers."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            where = "." * node.level + (node.module or "")
            yield from (Import(f"{where}.{alias.name}", node.lineno) for alias in node.names)


def file_of(name: str, package: Path) -> str:
    """The path below the package of the module that an import of jal reads; "" for the package."""
    parts = name.split(".")[1:]
    while parts:
        for path in (Path(*parts).with_suffix(".py"), Path(*parts, "__init__.py")):
            if (package / path).is_file():
                return path.as_posix()
        parts.pop()
    return ""


def faults(path: str, source: str, package: Path, rooms: Mapping[str, Room]) -> list[str]:
    """What a module imports against the rules, one phrase each."""
    name = room_of(path, rooms)
    if not name:
        return [f"{path} is in no room of docs/design.md"]
    may = rooms[name].may
    if "/" in path and path.rpartition("/")[2] in PICTURES:
        may |= {"report/"}
    found = []
    for imported, line in imports(source):
        root = imported.partition(".")[0]
        said = f"{path}:{line} imports {imported}"
        if root == "":
            found.append(f"{said}: imports are absolute")
        elif root == "jal":
            target = file_of(imported, package)
            if not target:
                found += [f"{said}: the package itself is for users"]
            elif room_of(target, rooms) not in may:
                found.append(f"{said}, of {room_of(target, rooms)}, which {name} may not")
        elif rooms[name].compiled and root not in COMPILED | sys.stdlib_module_names:
            found.append(f"{said}: the compiled core has jax, numpy, flax and optax only")
        elif root == "jax" and (name in FREE or name == "report/"):
            found.append(f"{said}: {name} does without jax")
    return found


def circles(sources: Mapping[str, str], package: Path) -> list[list[str]]:
    """Groups of files that import each other, directly or not; also lazily or for types only."""
    graph = {
        path: {file_of(name, package) for name, _ in imports(source) if name.startswith("jal.")}
        for path, source in sources.items()
    }

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(graph[start])
        while todo:
            path = todo.pop()
            if path not in seen:
                seen.add(path)
                todo += graph.get(path, ())
        return seen

    reached = {path: reachable(path) for path in graph}
    found = {
        tuple(sorted(other for other in reached[path] if path in reached.get(other, ())))
        for path in graph
        if path in reached[path]
    }
    return [list(circle) for circle in sorted(found)]


def sources(package: Path) -> dict[str, str]:
    """Every module of the package, by path below it."""
    return {
        path.relative_to(package).as_posix(): path.read_text()
        for path in sorted(package.rglob("*.py"))
    }
