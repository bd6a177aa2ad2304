"""The wheel of jal-learn: it carries all of jal and the configs, and runs from another folder."""

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
    (wheel,) = folder.glob("jal_learn-*.whl")
    # A pure wheel is installed by unpacking it.
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def files(folder: Path) -> set[str]:
    """Every file below a folder but what Python makes of them."""
    paths = [
        path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    return {path.relative_to(folder).as_posix() for path in paths}


def test_it_holds_the_package_and_the_configs_and_no_more(installed: Path) -> None:
    configs = {f"shipped_configs/{name}" for name in files(ROOT / "configs")}
    assert len(configs) > 5
    assert files(installed / "jal") == files(ROOT / "jal") | configs
    assert "py.typed" in files(installed / "jal")
    (info,) = installed.glob("jal_learn-*.dist-info")
    assert {path.name for path in installed.iterdir()} == {"jal", info.name}
    assert (info / "licenses" / "LICENSE").is_file()


def test_it_goes_by_its_own_name(installed: Path, run_python: RunPython, tmp_path: Path) -> None:
    (metadata,) = installed.glob("jal_learn-*.dist-info/METADATA")
    assert "Name: jal-learn\n" in metadata.read_text()
    version = metadata.parent.name.removesuffix(".dist-info").split("-")[1]
    for words in (
        ("-c", "import jal; print('jal', jal.__version__)"),
        ("-m", "jal.cli", "--version"),
    ):
        done = run_python(*words, cwd=tmp_path, path=installed)
        assert done.stdout.strip() == f"jal {version}", done.stderr


def test_every_module_of_it_can_be_imported(
    installed: Path, run_python: RunPython, tmp_path: Path
) -> None:
    names = sorted(name for name in files(installed / "jal") if name.endswith(".py"))
    modules = [
        f"jal.{name.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__")
        for name in names
        if not name.startswith("shipped_configs")
    ]
    done = run_python("-c", f"import {', '.join(modules)}", cwd=tmp_path, path=installed)
    assert done.returncode == 0, done.stderr


def test_it_needs_neither_torch_nor_tensorflow(installed: Path) -> None:
    (metadata,) = installed.glob("jal_learn-*.dist-info/METADATA")
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
        "-m", "jal.cli", "sweep", "--config=quickstart", "--workdir=w", "--config.seeds=2",
        "--config.rounds=2", "--config.probe.max_epochs=5",
        cwd=tmp_path, path=installed,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w" / "metrics.csv").is_file()
    assert "dropquery" in done.stdout


def test_the_command_is_declared(installed: Path) -> None:
    (entries,) = installed.glob("jal_learn-*.dist-info/entry_points.txt")
    assert "jal = jal.cli:main" in entries.read_text()
