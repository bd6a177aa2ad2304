"""The launch scripts: what they would run, word by word, and real runs of what can run here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest
from conftest import ROOT

LAUNCH = ROOT / "launch"
SCRIPTS = [*sorted(LAUNCH.glob("*.sh")), LAUNCH / "slurm.sbatch", ROOT / ".ci" / "run"]
# Spaces, quotes, brackets, a dollar sign: each must reach jal as it is.
AWKWARD = '--config.strategies=margins(oversample=50), it\'s $HOME "*"'


def run(
    *command: str | Path, path: Path | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A script with `path` before the usual PATH."""
    # No variable of a cluster that the tests may themselves run on.
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM", "JAX_", "JAL_"))
    }
    usual = inherited["PATH"]
    inherited["PATH"] = f"{path}{os.pathsep}{usual}" if path else usual
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True, text=True, check=False, cwd=cwd, env=inherited | environment,
    )  # fmt: skip


def stub(folder: Path, name: str, body: str = "") -> Path:
    """An executable that writes its arguments, one a line, to NAME.calls, then does `body`."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    calls = shlex.quote(str(folder / f"{name}.calls"))
    file.write_text(f"#!/usr/bin/env bash\nprintf '%s\\n' \"$@\" >> {calls}\n{body}\n")
    file.chmod(0o755)
    return folder


def calls(folder: Path, name: str) -> list[str]:
    """The words that a stub was called with."""
    file = folder / f"{name}.calls"
    return file.read_text().splitlines() if file.exists() else []


def printed(result: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The commands of a dry run, each as the words that a shell would make of its line."""
    assert result.returncode == 0, result.stderr
    return [shlex.split(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    beside_python = Path(sys.executable).with_name("shellcheck")
    program = str(beside_python) if beside_python.exists() else shutil.which("shellcheck")
    if program is None:
        pytest.skip("shellcheck is not installed; make test installs it")
    result = run(program, "--enable=all", "--exclude=SC2250,SC2310,SC2312,SC2249", script)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", ["tpu_vm.sh", "local_multiprocess.sh"])
def test_help_names_every_option(name: str) -> None:
    result = run(LAUNCH / name, "--help")
    assert result.returncode == 0
    handled = re.findall(r"^ +(?:-h \| )?(--[a-z-]+)[=*]*\)", (LAUNCH / name).read_text(), re.M)
    assert len(handled) >= 5
    for option in handled:
        assert f"  {option}" in result.stdout


# A Cloud TPU slice.


def tpu(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return run(LAUNCH / "tpu_vm.sh", "--name=pets", "--zone=z", "--project=p", *words, **settings)


SSH = ["gcloud", "compute", "tpus", "tpu-vm", "ssh", "pets", "--worker=all"]
PLACE = ["--zone=z", "--project=p"]


def remote(words: list[str]) -> str:
    """The command that all hosts are given by these words."""
    assert words[: len(SSH)] == SSH
    assert words[len(SSH) + 1 :] == PLACE
    return words[len(SSH)].removeprefix("--command=")


def test_create() -> None:
    (words,) = printed(tpu("--type=v5litepod-16", "--version=v", "--spot", "--dry-run", "create"))
    assert words == [
        *("gcloud", "compute", "tpus", "tpu-vm", "create", "pets"),
        *("--accelerator-type=v5litepod-16", "--version=v", "--spot", *PLACE),
    ]


def test_install_copies_this_checkout_and_files_to_all_hosts(tmp_path: Path) -> None:
    pool = tmp_path / "my pool.npz"
    pool.touch()
    archive, make, copy, install = printed(tpu("--dry-run", "install", str(pool)))
    assert archive[:4] == ["git", "-C", str(ROOT), "archive"]
    assert archive[-1] == "HEAD"
    assert remote(make) == "rm -rf ~/jal/source && mkdir -p ~/jal/source"
    assert copy == [
        *("gcloud", "compute", "tpus", "tpu-vm", "scp", "./jal-source.tar.gz", str(pool)),
        *("pets:jal/", "--worker=all", *PLACE),
    ]
    assert "./source[tpu]" in shlex.split(remote(install))


def test_install_hands_over_a_whole_archive(tmp_path: Path) -> None:
    kept = shlex.quote(str(tmp_path / "kept.tar.gz"))
    path = stub(tmp_path / "bin", "gcloud", f'[[ $4 != scp ]] || cp "$5" {kept}')
    result = tpu("install", path=path)
    if "not a git repository" in result.stderr:
        pytest.skip("the checkout has no history to make an archive of")
    assert result.returncode == 0, result.stderr
    listed = run("tar", "-tzf", tmp_path / "kept.tar.gz").stdout.splitlines()
    assert {"pyproject.toml", "jal/cli.py", "configs/dropquery.py"} <= set(listed)
    (copied,) = [word for word in calls(path, "gcloud") if word.endswith("jal-source.tar.gz")]
    assert not Path(copied).exists()  # the temporary folder is gone


def test_run_reaches_jal_through_two_shells_unchanged(tmp_path: Path) -> None:
    """The dry run's words, what gcloud is called with, and what jal gets on the host agree."""
    arguments = ("--config=dropquery", AWKWARD, "--workdir=gs://b/x")
    (words,) = printed(tpu("--dry-run", "run", *arguments))
    path = stub(tmp_path / "bin", "gcloud")
    assert tpu("run", *arguments, path=path).returncode == 0
    assert calls(path, "gcloud") == words[1:]

    home = tmp_path / "home"
    programs = home / "jal" / "venv" / "bin"
    programs.mkdir(parents=True)
    stub(programs, "jal")
    assert run("bash", "-c", remote(words), HOME=str(home)).returncode == 0
    got = calls(programs, "jal")
    assert got == ["sweep", *arguments, "--config.execution.distributed=True"]
    assert (home / "jal" / "sweep.pid").read_text().strip().isdigit()


def test_stop_signals_the_sweep_that_run_started(tmp_path: Path) -> None:
    (words,) = printed(tpu("--dry-run", "stop"))
    (tmp_path / "jal").mkdir()
    sleeper = subprocess.Popen(["sleep", "600"])
    (tmp_path / "jal" / "sweep.pid").write_text(f"{sleeper.pid}\n")
    assert run("bash", "-c", remote(words), HOME=str(tmp_path)).returncode == 0
    assert sleeper.wait(timeout=processes.TIMEOUT) == -signal.SIGTERM


def test_fetch_from_a_bucket_and_from_the_first_host() -> None:
    assert printed(tpu("--dry-run", "fetch", "gs://b/x", "runs/my x")) == [
        ["mkdir", "-p", "runs/my x"],
        ["gcloud", "storage", "rsync", "--recursive", "gs://b/x", "runs/my x"],
    ]
    copy = ["gcloud", "compute", "tpus", "tpu-vm", "scp", "--recurse", "--worker=0"]
    for given, found in (("runs/x", "jal/runs/x"), ("/mnt/x", "/mnt/x")):
        assert printed(tpu("--dry-run", "fetch", given, "here"))[1] == [
            *copy, f"pets:{found}/*", "here", *PLACE
        ]  # fmt: skip


def test_delete() -> None:
    (words,) = printed(tpu("--dry-run", "delete"))
    assert words == ["gcloud", "compute", "tpus", "tpu-vm", "delete", "pets", "--quiet", *PLACE]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a command"),
        (("--colour=red", "create"), "unknown option --colour=red"),
        (("destroy",), "unknown command destroy"),
        (("create", "--spot"), "options go before it"),
        (("install", "nowhere.npz"), "there is no file nowhere.npz"),
        (("run",), "arguments of jal sweep"),
        (("fetch", "runs/x"), "two arguments"),
    ],
)
def test_wrong_use_of_tpu_vm_is_one_line(words: tuple[str, ...], message: str) -> None:
    result = tpu("--dry-run", *words)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not result.stdout


# SLURM.


def batch(
    tmp_path: Path, *arguments: str, exit_code: int = 0, **settings: str
) -> tuple[int, list[str], list[str]]:
    """The job's exit code, and the words srun and scontrol were called with."""
    path = stub(tmp_path / "bin", "srun", f"exit {exit_code}")
    stub(path, "scontrol")
    result = run(
        "bash", LAUNCH / "slurm.sbatch", *arguments, path=path, SLURM_JOB_ID="77", **settings
    )
    return result.returncode, calls(path, "srun"), calls(path, "scontrol")


BASE = ("--config=dropquery", "--workdir=runs/x", AWKWARD)


def test_slurm_directives() -> None:
    """What resuming rests on: the job may be requeued, and jal is told before the time is up."""
    text = (LAUNCH / "slurm.sbatch").read_text()
    directives = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", text, re.M))
    assert "requeue" in directives
    assert re.fullmatch(r"TERM@\d+", directives["signal"])  # no B: the steps get it, not the shell
    assert directives["open-mode"] == "append"
    assert directives["ntasks-per-node"] == "1"  # one process a host


def test_slurm_runs_the_whole_grid(tmp_path: Path) -> None:
    assert batch(tmp_path, *BASE) == (0, ["--wait=120", "jal", "sweep", *BASE], [])


def test_slurm_array_takes_one_group_a_task(tmp_path: Path) -> None:
    _, words, _ = batch(tmp_path, *BASE, SLURM_ARRAY_TASK_ID="3", SLURM_JOB_NUM_NODES="1")
    assert words[3:] == [*BASE, "--config.execution.group=3"]


def test_slurm_joins_several_nodes(tmp_path: Path) -> None:
    _, words, _ = batch(tmp_path, *BASE, SLURM_ARRAY_TASK_ID="0", SLURM_JOB_NUM_NODES="4")
    added = ["--config.execution.group=0", "--config.execution.distributed=True"]
    assert words[3:] == [*BASE, *added]


def test_slurm_goes_back_into_the_queue_once_stopped(tmp_path: Path) -> None:
    code, _, requeued = batch(tmp_path, *BASE, exit_code=130, SLURM_RESTART_COUNT="2")
    assert (code, requeued) == (130, ["requeue", "77"])


@pytest.mark.parametrize(("exit_code", "restarts"), [(2, "0"), (1, "0"), (0, "0"), (130, "50")])
def test_slurm_stays_out_of_the_queue(tmp_path: Path, exit_code: int, restarts: str) -> None:
    code, _, requeued = batch(
        tmp_path, *BASE, exit_code=exit_code, SLURM_RESTART_COUNT=restarts
    )  # fmt: skip
    assert (code, requeued) == (exit_code, [])


def test_slurm_overwrites_the_first_time_only(tmp_path: Path) -> None:
    for restarts, expected in (("0", ["--overwrite", *BASE]), ("1", [*BASE])):
        folder = tmp_path / restarts
        folder.mkdir()
        _, words, _ = batch(folder, "--overwrite", *BASE, SLURM_RESTART_COUNT=restarts)
        assert words[3:] == expected


def test_slurm_without_arguments_is_one_line(tmp_path: Path) -> None:
    assert batch(tmp_path) == (2, [], [])


# Kubernetes.

VALUES = {
    "JAL_NAME": "pets",
    "JAL_IMAGE": "jal:1",
    "JAL_CONFIG": "dropquery",
    "JAL_POOL": "/results/pets.npz",
    "JAL_CLAIM": "results",
    "JAL_ACCELERATOR": "tpu-v5-lite-podslice",
    "JAL_TOPOLOGY": "4x4",
    "JAL_HOSTS": "4",
    "JAL_CHIPS": "4",
}


def test_gke_jobset_is_what_it_should_be() -> None:
    yaml = pytest.importorskip("yaml", reason="make test installs pyyaml")
    text = (LAUNCH / "gke_jobset.yaml").read_text()
    documented = set(re.findall(r"^#   (JAL_[A-Z]+) ", text, re.M))
    assert documented == set(re.findall(r"\$\{(\w+)\}", text)) == set(VALUES)

    made = yaml.safe_load(string.Template(text).substitute(VALUES))
    assert (made["apiVersion"], made["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert made["metadata"]["name"] == "pets"
    assert made["spec"]["failurePolicy"]["maxRestarts"] > 0
    (job,) = made["spec"]["replicatedJobs"]
    spec = job["template"]["spec"]
    assert spec["parallelism"] == spec["completions"] == 4
    assert (spec["completionMode"], spec["backoffLimit"]) == ("Indexed", 0)
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] >= 60
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x4",
    }
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"google.com/tpu": 4}
    assert container["resources"]["requests"] == {"google.com/tpu": 4}
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert mount["name"] == volume["name"]
    assert volume["persistentVolumeClaim"]["claimName"] == "results"
    assert container["command"] == ["jal", "sweep"]
    assert "--config.execution.distributed=True" in container["args"]
    assert f"--workdir={mount['mountPath']}/pets" in container["args"]
    assert "--overwrite" not in container["args"]


def test_gke_jobsets_arguments_are_keys_of_a_config() -> None:
    yaml = pytest.importorskip("yaml", reason="make test installs pyyaml")
    from jal.settings.loading import load_config

    text = string.Template((LAUNCH / "gke_jobset.yaml").read_text()).substitute(VALUES)
    (job,) = yaml.safe_load(text)["spec"]["replicatedJobs"]
    (container,) = job["template"]["spec"]["template"]["spec"]["containers"]
    given = [word for word in container["args"] if word.startswith("--config.")]
    config = load_config("dropquery", given)
    assert config.execution.distributed is True
    assert config.pool.path == VALUES["JAL_POOL"]


# Several processes here.

LOCAL = LAUNCH / "local_multiprocess.sh"


def test_local_dry_run() -> None:
    lines = printed(
        run(LOCAL, "--processes=3", "--devices=4", "--port=5", "--dry-run", "--", *BASE)
    )
    assert lines == [
        *(
            [
                *("env", "JAX_PLATFORMS=cpu", "JAX_NUM_CPU_DEVICES=4"),
                *("JAX_COORDINATOR_ADDRESS=localhost:5", "JAX_NUM_PROCESSES=3"),
                *(f"JAX_PROCESS_ID={index}", "jal", "sweep", *BASE),
                *("--config.execution.distributed=True", "&"),
            ]
            for index in range(3)
        ),
        ["wait"],
    ]


def test_local_processes_get_their_own_environment(tmp_path: Path) -> None:
    written = shlex.quote(str(tmp_path))
    path = stub(tmp_path / "bin", "jal", f'env > {written}/"$JAX_PROCESS_ID"')
    result = run(LOCAL, "--processes=2", "--devices=3", "--", *BASE, path=path)
    assert result.returncode == 0, result.stderr
    ports = set()
    for index in ("0", "1"):
        seen = dict(line.split("=", 1) for line in (tmp_path / index).read_text().splitlines()
                    if line.startswith("JAX_"))  # fmt: skip
        ports.add(seen.pop("JAX_COORDINATOR_ADDRESS"))
        assert seen == {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": "3",
            "JAX_NUM_PROCESSES": "2",
            "JAX_PROCESS_ID": index,
        }
    (port,) = ports
    assert re.fullmatch(r"localhost:\d{5}", port)


def test_local_failure_of_one_ends_the_others_and_is_the_exit_code(tmp_path: Path) -> None:
    path = stub(tmp_path / "bin", "jal", "((JAX_PROCESS_ID)) && exit 7\nexec sleep 600")
    assert run(LOCAL, "--processes=3", "--", *BASE, path=path).returncode == 7


def test_local_kills_what_does_not_end(tmp_path: Path) -> None:
    body = "((JAX_PROCESS_ID)) && exit 7\ntrap '' TERM\nwhile :; do sleep 0.1; done"
    path = stub(tmp_path / "bin", "jal", body)
    assert run(LOCAL, "--grace=1", "--", *BASE, path=path).returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_local_passes_signals_on_once(tmp_path: Path, number: int) -> None:
    """Each process gets one SIGTERM, also when another one has ended by then."""
    folder = shlex.quote(str(tmp_path))
    body = f"""
    stop() {{ echo stopped >> {folder}/"stopped-$JAX_PROCESS_ID"; stopping=true; }}
    stopping=false
    trap stop TERM
    touch {folder}/"ready-$JAX_PROCESS_ID"
    until $stopping; do sleep 0.05; done
    ((JAX_PROCESS_ID)) && sleep 0.7
    exit 130"""
    path = stub(tmp_path / "bin", "jal", body)
    # Where the suite runs in the background SIGINT is ignored, which a shell cannot undo.
    heed = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    process = subprocess.Popen(
        [sys.executable, "-c", heed + "os.execv(sys.argv[1], sys.argv[1:])", LOCAL, "--", *BASE],
        env=os.environ | {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"},
    )
    deadline = time.monotonic() + processes.TIMEOUT
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=processes.TIMEOUT) == 130
    for index in range(2):
        assert (tmp_path / f"stopped-{index}").read_text() == "stopped\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--processes=0", "--", "x"), "--processes=0 must be a whole number from 1"),
        (("--devices=two", "--", "x"), "--devices=two"),
        (("--config=quickstart",), "arguments of jal sweep go after --"),
        (("--processes=2", "--"), "give the arguments of jal sweep"),
    ],
)
def test_wrong_use_of_local_multiprocess_is_one_line(words: tuple[str, ...], message: str) -> None:
    result = run(LOCAL, *words)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_local_run_is_the_run_of_one_process(tmp_path: Path) -> None:
    """Two processes of one device each: the quickstart's picks, and only the first one prints."""
    programs = tmp_path / "bin"
    programs.mkdir()
    jal = programs / "jal"
    jal.write_text(f'#!/usr/bin/env bash\nexec {shlex.quote(sys.executable)} -m jal.cli "$@"\n')
    jal.chmod(0o755)
    sweep = ("--config=quickstart", "--config.strategies=random", "--config.seeds=2",
             "--config.rounds=2", "--config.probe.max_epochs=30")  # fmt: skip
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "cache"))
    kept = {"PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": cache}
    together, alone = tmp_path / "together", tmp_path / "alone"
    result = run(
        LOCAL, "--devices=1", "--", *sweep, f"--workdir={together}", path=programs, **kept
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("results: ") == 1
    processes.jal("sweep", *sweep, f"--workdir={alone}", devices=1).succeeds()
    picks = (together / "acquisitions.csv").read_bytes()
    assert picks == (alone / "acquisitions.csv").read_bytes()
    assert picks.count(b"\n") == 1 + 2 * 20  # a header, then two seeds of two rounds of ten labels
