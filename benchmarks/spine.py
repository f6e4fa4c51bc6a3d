"""Takes the figures of the whole program on the sandpit: validate, plan and apply, by number of resources.

    python -m benchmarks.spine --sizes 20,200,2000,20000 --rounds 3

Every figure is one whole process with its children: processor time (user and system), wall time and peak memory.
Rounds are interleaved over the sizes, each starts from a fresh copy, and medians are reported. Ratios of one run are
worth quoting; seconds of different runs are not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.generate import Shape, Size, change, generate
from benchmarks.process import Command, Cost, measure

ROOT = Path(__file__).resolve().parent.parent
RECONCILER = Path(sys.executable).with_name("reconciler")
RESULTS = ROOT / "benchmarks" / "results" / "spine.json"
SIZES: Mapping[int, Size] = {
    20: Size(services=1, nodes=4, shape=Shape.FLAME),
    200: Size(services=3, nodes=20),
    2_000: Size(services=28, nodes=20),
    20_000: Size(services=276, nodes=20),
}
"""About how many resources → what makes so many."""
QUICK = (20, 200, 2_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one command took on one size."""

    resources: int
    command: str
    cost: Cost


def ask(folder: Path, *arguments: str) -> tuple[Cost, str]:
    """Run the command line to its end and give what it took and what it printed."""
    return measure(Command(line=[str(RECONCILER), "-C", str(folder), *arguments]))


def turn(pristine: Path, folder: Path, size: Size) -> Iterator[Figure]:
    """Take every figure once, on a fresh copy of a repository."""
    shutil.copytree(pristine, folder)
    validate = ("validate",)
    plan = ("--json", "plan")
    apply = ("apply", "--auto-approve")
    cost, _ = ask(folder, *validate)
    figures = [("validate, cold", cost), ("validate, warm", ask(folder, *validate)[0])]
    shutil.rmtree(folder / ".reconciler")
    cost, text = ask(folder, *plan)
    resources = _creates(text)
    figures += [("plan, cold", cost), ("plan, warm", ask(folder, *plan)[0])]
    figures += [("apply, everything", ask(folder, *apply)[0]), ("plan, no change", ask(folder, *plan)[0])]
    change(folder, size, number=0, revision=1)
    figures += [("plan, one spec changed", ask(folder, *plan)[0])]
    figures += [("apply, one spec changed", ask(folder, *apply)[0])]
    yield from (Figure(resources=resources, command=command, cost=cost) for command, cost in figures)
    shutil.rmtree(folder)


def _creates(text: str) -> int:
    found = json.loads(text)
    count: int = found["summary"]["create"]
    return count


def run(sizes: list[int], rounds: int) -> dict[tuple[int, str], list[Cost]]:
    """Take the figures of all sizes, round by round."""
    costs: dict[tuple[int, str], list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="spine-") as scratch:
        for number in range(rounds):
            for wanted in sizes:
                pristine = Path(scratch) / f"pristine-{wanted}"
                if not pristine.exists():
                    generate(pristine, SIZES[wanted])
                print(f"round {number + 1} of {rounds}: about {wanted} resources", file=sys.stderr)
                for figure in turn(pristine, Path(scratch) / f"work-{wanted}", SIZES[wanted]):
                    costs.setdefault((figure.resources, figure.command), []).append(figure.cost)
    return costs


def report(costs: Mapping[tuple[int, str], list[Cost]], rounds: int) -> dict[str, object]:
    """Put medians into the shape that is written down."""
    figures = [
        {
            "resources": resources,
            "command": command,
            "cpu_seconds": round(median(cost.cpu_seconds for cost in found), 3),
            "wall_seconds": round(median(cost.wall_seconds for cost in found), 3),
            "peak_mb": round(median(cost.peak_mb for cost in found), 1),
            "all": [asdict(cost) for cost in found],
        }
        for (resources, command), found in costs.items()
    ]
    machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    return {"commit": _commit(), "machine": machine, "rounds": rounds, "figures": figures}


def _commit() -> str:
    found = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return found.stdout.decode().strip()


def show(costs: Mapping[tuple[int, str], list[Cost]]) -> None:
    """Print a table: a row for each command, a column for each size."""
    sizes = sorted({resources for resources, _ in costs})
    commands = list(dict.fromkeys(command for _, command in costs))
    print(f"{'processor s / peak MB':26}" + "".join(f"{size:>18,}" for size in sizes))
    for command in commands:
        cells = []
        for size in sizes:
            found = costs[size, command]
            cpu, peak = median(c.cpu_seconds for c in found), median(c.peak_mb for c in found)
            cells.append(f"{cpu:10.3f} /{peak:6.0f}")
        print(f"{command:26}" + "".join(cells))


def main() -> int:
    """Take the figures, print them and write them down."""
    parser = argparse.ArgumentParser(description="Take the figures of validate, plan and apply on the sandpit.")
    parser.add_argument("--sizes", default=",".join(map(str, QUICK)), help=f"of {', '.join(map(str, SIZES))}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    sizes = [int(size) for size in given.sizes.split(",")]
    if unknown := [size for size in sizes if size not in SIZES]:
        parser.error(f"no such size: {unknown}; there are {list(SIZES)}")
    costs = run(sizes, given.rounds)
    show(costs)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(report(costs, given.rounds), indent=1) + "\n", encoding="utf-8")
    print(f"written to {os.path.relpath(given.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
