"""The wheel: it carries the configs, and its command runs from another folder."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, RunPython

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, which needs nothing that is not installed already."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("the build backend, hatchling, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("jal-*.whl")
    # A pure wheel is installed by unpacking it.
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_it_holds_the_package_and_the_configs_only(installed: Path) -> None:
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*.py")}
    for source in (ROOT / "configs").glob("*.py"):
        assert f"jal/shipped_configs/{source.name}" in names
    for source in (ROOT / "jal").rglob("*.py"):
        assert f"jal/{source.relative_to(ROOT / 'jal').as_posix()}" in names
    assert {name.partition("/")[0] for name in names} == {"jal"}
    assert (installed / "jal" / "py.typed").is_file()


def test_it_needs_neither_torch_nor_tensorflow(installed: Path) -> None:
    (metadata,) = installed.glob("jal-*.dist-info/METADATA")
    needed = [
        line.split(":", 1)[1].strip()
        for line in metadata.read_text().splitlines()
        if line.startswith("Requires-Dist:")
    ]
    assert any(name.startswith("jax") for name in needed)
    for name in needed:
        assert not name.startswith(("torch", "tensorflow>", "tensorflow=", "tensorflow-cpu")), name


def test_a_config_is_found_by_name_from_another_folder(
    installed: Path, run_python: RunPython, tmp_path: Path
) -> None:
    where = run_python("-c", "import jal; print(jal.__file__)", cwd=tmp_path, path=installed)
    assert where.stdout.strip() == str(installed / "jal" / "__init__.py")
    done = run_python(
        "-m", "jal.cli", "sweep", "--config=dropquery", "--workdir=w", "--config.seeds=2",
        "--config.rounds=2", "--config.probe.max_epochs=5",
        cwd=tmp_path, path=installed,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w" / "metrics.csv").is_file()
    assert "dropquery" in done.stdout


def test_the_command_is_declared(installed: Path) -> None:
    (entries,) = installed.glob("jal-*.dist-info/entry_points.txt")
    assert "jal = jal.cli:main" in entries.read_text()
