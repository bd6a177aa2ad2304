"""A sweep of jal beside a plain PyTorch loop of the same recipe: whole processes, by number of seeds.

python bench/plain_torch.py [--torch PYTHON] [--rows 5000] [--dimensions 384] [--classes 10]
    [--strategies random margins] [--seeds 1 5 20] [--repeats 3]

PYTHON is an interpreter that has torch. Both read the same file and train the paper's probe 20 times, with as
many labels more each time as there are classes. The loop goes seed by seed, measures accuracy and prints it:
no other metric, no checkpoint, no table, no picture. jal's commands are warm: what they compile is kept from
a run with other seeds. Seconds are the least of the repeats, which take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweep_speed import synthetic_pool, timed_sweep

_LOOP = """
import sys
import numpy as np, torch
from torch.nn import functional as F
path, strategy, seeds, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
data = np.load(path)
x, test_x = (torch.from_numpy(data[name].astype(np.float32)) for name in ("train_x", "test_x"))
y, test_y = (torch.from_numpy(data[name].astype(np.int64)) for name in ("train_y", "test_y"))
classes = int(y.max()) + 1
class Probe(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(x.shape[1], affine=False)
        self.linear = torch.nn.Linear(x.shape[1], classes)
    def forward(self, rows):
        return self.linear(self.norm(F.dropout(rows, 0.75, self.training)))
def trained(rows, labels):
    model = Probe()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=1e-2)
    lowest = reference = float("inf")
    waited = 0
    for _ in range(400):
        loss = F.cross_entropy(model(rows), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        value = loss.item()
        if value < lowest:
            lowest, best = value, {name: part.clone() for name, part in model.state_dict().items()}
        waited = 0 if value < reference - 1e-3 else waited + 1
        reference = value if not waited else reference
        if waited >= 20:
            break
    model.load_state_dict(best)
    return model.eval()
for seed in range(seeds):
    torch.manual_seed(seed)
    taken, free = torch.randperm(len(x))[:classes], torch.ones(len(x), dtype=torch.bool)
    free[taken] = False
    for number in range(rounds):
        model = trained(x[taken], y[taken])
        with torch.no_grad():
            reached = (model(test_x).argmax(dim=1) == test_y).float().mean().item()
            scores = torch.rand(len(x))
            if strategy == "margins":
                ordered = model(x).softmax(dim=1).topk(2).values
                scores = ordered[:, 1] - ordered[:, 0]
        new = scores.masked_fill(~free, -torch.inf).topk(classes).indices
        print(strategy, seed, number, len(taken), reached)
        taken, free[new] = torch.cat([taken, new]), False
"""
ROUNDS = 20


def seconds_of(words: list[str], environment: dict[str, str]) -> float:
    """Wall seconds of a whole process."""
    clock = time.perf_counter()
    subprocess.run(words, env=environment, check=True, capture_output=True)
    return time.perf_counter() - clock


def sweep(pool: Path, strategy: str, seeds: int, cache: Path) -> float:
    """Wall seconds of `jal sweep`, its programs kept in a folder."""
    return timed_sweep(pool, cache, strategies=strategy, seeds=seeds, rounds=ROUNDS)[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch", default=sys.executable, help="a Python that has torch")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--strategies", nargs="+", default=["random", "margins"],
                        choices=["random", "margins"])  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 5, 20])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="a file for the figures")
    arguments = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool, cache = folder / "synthetic.npz", folder / "cache"
        synthetic_pool(pool, arguments.rows, arguments.dimensions, arguments.classes)
        print(f"{arguments.rows:,} × {arguments.dimensions}, {ROUNDS} rounds, seconds of a process")
        print(f"{'':<10}{'seeds':>6}{'torch':>8}{'jal':>8}{'torch / jal':>13}")
        for strategy in arguments.strategies:
            sweep(pool, strategy, 2, cache)
            for seeds in arguments.seeds:
                sweep(pool, strategy, seeds, cache)  # many seeds are another program
                loop = [arguments.torch, "-c", _LOOP, str(pool), strategy, str(seeds), str(ROUNDS)]
                theirs, ours = zip(
                    *(
                        (seconds_of(loop, dict(os.environ)), sweep(pool, strategy, seeds, cache))
                        for _ in range(arguments.repeats)
                    ),
                    strict=True,
                )
                figures[f"{strategy}, {seeds} seeds"] = least = min(theirs), min(ours)
                print(
                    f"{strategy:<10}{seeds:>6}{least[0]:>8.1f}{least[1]:>8.1f}{least[0] / least[1]:>13.2f}",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
