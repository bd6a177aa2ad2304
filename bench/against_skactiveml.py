"""jal's strategies beside scikit-activeml's on the same features: what each reaches, and in how long.

python bench/against_skactiveml.py [--theirs PYTHON] [--rows 5000] [--seeds 20]

Both are asked for one batch from the same pool, labelled set and probe: a synthetic pool, or --pool=NAME of
the development data. PYTHON is an interpreter that has scikit-activeml. The objective is what the method
itself maximises, computed here for both: the mean over seeds, and how far theirs is above jal's in standard
errors (above 2: jal's is worse). Seconds are those of a run's first query and of a later one by the same
object, when jal has done its work on the pool; its programs are compiled before. Where the two differ in more
than speed, jal's options are those of theirs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from shared_data import DATA
from sweep_speed import synthetic_pool

from jal.core.spec import ProbeSpec, parse_choices
from jal.core.types import Hyper, Pool, View
from jal.experiment import prepare
from jal.learners import probe as probes
from jal.selection import make_strategy

RADIUS = 1.1  # of ProbCover's balls; on real features 0.6
OURS = {
    "maxherding": "maxherding",
    "probcover": "probcover(delta={radius})",
    "coreset": "coreset",
    "badge": "badge",
    "typiclust": "typiclust",
    "falcun": "falcun(rescale='in place')",
    "dropquery": "dropquery(draws=5,rescale=False,relax=0)",
}

_THEIRS = """
import json, sys, time, warnings
import numpy as np
from skactiveml import pool as theirs
from skactiveml.base import SkactivemlClassifier
warnings.filterwarnings("ignore")
data, batch, seeds, names = np.load(sys.argv[1]), *map(json.loads, sys.argv[2:5])
class Fixed(SkactivemlClassifier):
    def __init__(self, classes=None, missing_label=-1, cost_matrix=None, random_state=None):
        super().__init__(classes=classes, missing_label=missing_label, random_state=random_state)
    def fit(self, X, y, sample_weight=None):
        return self
    def _logits(self, X):
        return X @ data["kernel"] + data["bias"]
    def _with(self, found, X, embed):
        if not embed:
            return found
        z = (X - data["mean"]) * data["scale"]
        return found, z / np.linalg.norm(z, axis=1, keepdims=True) if embed == "unit" else z
    def predict(self, X, embed=None):
        return self._with(self._logits(X).argmax(axis=1), X, embed)
    def predict_proba(self, X, embed=None):
        powers = self._logits(X)
        powers = np.exp(powers - powers.max(axis=1, keepdims=True))
        return self._with(powers / powers.sum(axis=1, keepdims=True), X, embed)
rows, y, k = data["features"], data["labels"], int(data["classes"])
units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
clf = Fixed(classes=list(range(k)))
ask = {"clf": clf, "fit_clf": False}
makes = {
    "maxherding": lambda s: (theirs.MaxHerding(metric_dict={"gamma": 1.0}, **s), units, {}),
    "probcover": lambda s: (theirs.ProbCover(n_classes=k, deltas=[float(data["radius"])], **s), units, {}),
    "coreset": lambda s: (theirs.CoreSet(**s), (rows - data["mean"]) * data["scale"], {}),
    "badge": lambda s: (theirs.Badge(clf_embedding_flag_name={"embed": "raw"}, **s), rows, ask),
    "typiclust": lambda s: (theirs.TypiClust(k=20, **s), units, {}),
    "falcun": lambda s: (theirs.Falcun(**s), rows, ask),
    "dropquery": lambda s: (theirs.DropQuery(clf_embedding_flag_name={"embed": "unit"}, **s), rows, ask),
}
for name in names:
    picks, seconds = [], []
    for seed in seeds:
        strategy, X, more = makes[name]({"missing_label": -1, "random_state": seed})
        clock = time.perf_counter()
        picks.append([int(row) for row in strategy.query(X, y, batch_size=batch, **more)])
        again = time.perf_counter()
        strategy.query(X, y, batch_size=batch, **more)
        seconds.append([again - clock, time.perf_counter() - again])
    print(json.dumps({"picks": picks, "seconds": np.median(seconds, axis=0).tolist()}), flush=True)
"""


def situation(path: Path, labelled: int, radius: float) -> tuple[View, dict[str, np.ndarray]]:
    """A view with a fitted probe of a pool's first so many labels at random, and the same for theirs."""
    with np.load(path) as file:
        features, labels = file["train_x"].astype(np.float32), file["train_y"].astype(np.int32)
    classes, rows = int(labels.max()) + 1, np.random.default_rng(0).permutation(len(labels))
    order = np.zeros(len(labels), np.int32)
    order[:labelled] = rows[:labelled]
    mask = np.zeros(len(labels), bool)
    mask[rows[:labelled]] = True
    hyper, recipe = Hyper(jnp.float32(1e-2), jnp.float32(1e-2)), ProbeSpec()
    fit = jax.jit(probes.fit, static_argnames=("spec", "num_classes"))
    taken = rows[:labelled]
    head, _ = fit(
        jax.random.key(0), features[taken], labels[taken], np.ones(labelled, bool), hyper,
        spec=recipe, num_classes=classes,
    )  # fmt: skip
    known = np.where(mask, labels, -1).astype(np.int32)
    view = View(
        features=features, pool_features=features, labelled=mask, available=~mask, labels=known,
        order=order, count=np.int32(labelled), probe=head, hyper=hyper,
        clustering=jax.random.key(0), num_classes=classes, recipe=recipe,
    )  # fmt: skip
    kernel, bias = (np.asarray(part, np.float64) for part in probes.fold(head))
    theirs = {
        "features": features.astype(np.float64), "labels": known, "classes": np.int64(classes),
        "kernel": kernel, "bias": bias, "mean": np.asarray(head.mean, np.float64),
        "scale": 1 / np.sqrt(np.asarray(head.variance, np.float64) + probes.EPSILON),
        "radius": np.float64(radius),
    }  # fmt: skip
    return jax.device_put(view), theirs


def objectives(data: dict[str, np.ndarray]) -> dict[str, Callable[[list[int]], float]]:
    """What each method maximises, of a batch, on top of what is labelled."""
    rows, taken = data["features"], np.flatnonzero(data["labels"] >= 0).tolist()
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    embedded = (rows - data["mean"]) * data["scale"]
    powers = np.exp(rows @ data["kernel"] + data["bias"])
    p = powers / powers.sum(axis=1, keepdims=True)
    ordered = np.sort(p, axis=1)
    unsure = 1 - (ordered[:, -1] - ordered[:, -2])
    residuals = p - np.eye(p.shape[1])[p.argmax(axis=1)]

    def squared(points: np.ndarray, centres: list[int]) -> np.ndarray:
        norms = np.square(points).sum(axis=1)
        found = norms[:, None] + norms[centres] - 2 * points @ points[centres].T
        return np.maximum(found.min(axis=1), 0)

    def potential(picks: list[int]) -> float:
        norms = np.square(residuals).sum(axis=1) * np.square(embedded).sum(axis=1)
        products = (residuals @ residuals[picks].T) * (embedded @ embedded[picks].T)
        return -float((norms[:, None] + norms[picks] - 2 * products).min(axis=1).clip(0).mean())

    def typicality(picks: list[int]) -> float:
        found = np.sqrt(np.maximum(2 - 2 * units[picks] @ units.T, 0))
        return float((1 / np.sort(found, axis=1)[:, 1:21].mean(axis=1)).mean())

    def relevance(picks: list[int]) -> float:
        apart = np.abs(p[picks][:, None] - p[picks]).sum(axis=2) + 9 * np.eye(len(picks))
        return float(unsure[picks].mean() + apart.min(axis=1).mean())

    random, flips = np.random.default_rng(0), np.zeros(len(rows))
    for _ in range(21):
        kept = rows * (random.random(rows.shape) >= 0.75)
        flips += (kept @ data["kernel"] + data["bias"]).argmax(axis=1) != p.argmax(axis=1)
    flipping = flips > 10
    directions = embedded / np.linalg.norm(embedded, axis=1, keepdims=True)
    radius = float(data["radius"])
    return {
        "maxherding": lambda picks: float(np.exp(-squared(units, taken + picks)).mean()),
        "probcover": lambda picks: float((squared(units, taken + picks) < radius**2).mean()),
        "coreset": lambda picks: -float(np.sqrt(squared(embedded, taken + picks).max())),
        "badge": potential,
        "typiclust": typicality,
        "falcun": relevance,
        "dropquery": lambda picks: -float(squared(directions, picks)[flipping].mean()),
    }


def run_ours(view: View, name: str, seeds: list[int], batch: int, radius: float) -> dict[str, Any]:
    """The picks of jal's strategy for each seed, and the median seconds of a first and a later query."""
    strategy = make_strategy(parse_choices(OURS[name].format(radius=radius))[0])
    hidden = jnp.full(view.labels.shape, -1)
    pool = Pool(view.pool_features, hidden, view.pool_features[:1], hidden[:1], view.num_classes)

    @jax.jit
    def begin(key: Any, view: View, pool: Pool) -> Any:
        cache = prepare(strategy, pool, (batch,))
        return cache, strategy.start(jax.random.fold_in(key, 1), view, cache)

    @jax.jit
    def ask(key: Any, view: View, cache: Any, state: Any) -> Any:
        return strategy.select(key, view, cache, state, batch)[0]

    picks, seconds = [], []
    for seed in [seeds[0], *seeds]:  # the first compiles
        key = jax.random.key(seed)
        at = jax.device_put(replace(view, clustering=key))
        clock = time.perf_counter()
        begun = jax.block_until_ready(begin(key, at, pool))
        middle = time.perf_counter()
        picks.append(np.asarray(ask(key, at, *begun)).tolist())
        end = time.perf_counter()
        seconds.append([end - clock, end - middle])
    return {"picks": picks[1:], "seconds": np.median(seconds[1:], axis=0).tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--theirs", default=sys.executable, help="a Python with scikit-activeml")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--pool", help="of the development data, in place of a synthetic one")
    parser.add_argument("--labelled", type=int, default=100)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--radius", type=float, default=RADIUS)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strategies", nargs="+", default=list(OURS), choices=list(OURS))
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    with tempfile.TemporaryDirectory() as folder:
        pool = Path(folder, "synthetic.npz")
        if arguments.pool:
            pool = DATA / "pools" / f"{arguments.pool}.npz"
        else:
            synthetic_pool(pool, arguments.rows, arguments.dimensions, 10)
        view, data = situation(pool, arguments.labelled, arguments.radius)
        shared = Path(folder, "shared.npz")
        np.savez(shared, **data)
        print(
            "x".join(map(str, data["features"].shape)), f"{arguments.batch} of a batch", flush=True
        )
        print(
            f"{'':<12}{'objective':>22}{'theirs - jal':>14}{'first query, s':>26}{'later query, s':>26}"
        )
        times = ("theirs", "jal", "ratio")
        head = ("strategy", "theirs", "jal", "in s.e.", *times, *times)
        print("{:<12}{:>11}{:>11}{:>14}{:>10}{:>8}{:>8}{:>10}{:>8}{:>8}".format(*head))
        of = objectives(data)
        for name in arguments.strategies:
            output = subprocess.run(
                [arguments.theirs, "-c", _THEIRS, str(shared), str(arguments.batch),
                 json.dumps(seeds), json.dumps([name])],
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            theirs = json.loads(output)
            ours = run_ours(view, name, seeds, arguments.batch, arguments.radius)
            reached = [
                np.array([of[name](picks) for picks in each["picks"]]) for each in (theirs, ours)
            ]
            gap = reached[0].mean() - reached[1].mean()
            error = (
                np.sqrt(sum(each.var(ddof=1) / len(each) for each in reached)) if seeds[1:] else 0
            )
            apart = f"{gap / error:+.1f}" if error > 1e-9 else f"(gap {gap:+.0e})"
            line = f"{name:<12}{reached[0].mean():>11.5g}{reached[1].mean():>11.5g}{apart:>14}"
            for them, us in zip(theirs["seconds"], ours["seconds"], strict=True):
                line += f"{them:>10.3f}{us:>8.3f}{them / us:>8.1f}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
