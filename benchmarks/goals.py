"""Runs the whole suite and says which goals are met: this program beside its peers, and its own figures.

    python -m benchmarks.goals

Goals are about processor time (user and system) where nothing else is said. Wall time is only fair on a machine that
does nothing else. Writes JSON and charts into `benchmarks/results/`, and the tables into the pages that show them.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks import compare, fleet, loop, observation, triggers
from benchmarks.chart import draw_bars
from benchmarks.figures import Figure, collect, write
from benchmarks.peers import OURS, OURS_COLD, RECONCILER
from benchmarks.process import Command, measure
from state.metrics.embedded import Embedded

PAGE = compare.ROOT / "docs" / "explanation" / "speed.md"
TRIGGERS = 1000
_LARGE, _LARGEST = 1000, 5000
_STARTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One number that is to be reached."""

    name: str
    """G1 to G13."""
    says: str
    figure: str
    limit: float
    least: bool = False
    """Whether the figure is to be at least the limit, instead of at most."""

    def met(self, value: float) -> bool:
        """Tell whether a value reaches it."""
        return value >= self.limit if self.least else value <= self.limit


GOALS = (
    Goal(
        name="G1", says="plan of 1,000 nodes, cache lost, against `opera diff`", figure="1/opera", limit=5, least=True
    ),
    Goal(name="G1", says="… against `terraform plan`", figure="1/terraform", limit=5, least=True),
    Goal(name="G1", says="… against `salt test=True`", figure="1/salt", limit=2, least=True),
    Goal(name="G1", says="… in itself", figure="plan cold", limit=600),
    Goal(
        name="G2",
        says="plan of 1,000 nodes, nothing changed, against terraform",
        figure="2/terraform",
        limit=20,
        least=True,
    ),
    Goal(name="G2", says="… in itself", figure="plan", limit=150),
    Goal(
        name="G3",
        says="plan of 10 nodes, nothing changed, against terraform",
        figure="3/terraform",
        limit=1,
        least=True,
    ),
    Goal(
        name="G3",
        says="plan of 10 nodes, cache lost, against terraform",
        figure="3/terraform cold",
        limit=1,
        least=True,
    ),
    Goal(name="G3", says="`--version`, over bare Python", figure="--version", limit=30),
    Goal(name="G3", says="`--help`, over bare Python", figure="--help", limit=30),
    Goal(
        name="G4", says="processor time of a node at 5,000 over that at 1,000, cache lost", figure="linear", limit=1.5
    ),
    Goal(name="G5", says="1,000 services: a turn, nothing changed", figure="turn", limit=5),
    Goal(name="G5", says="… all 21,000 resources looked at anew", figure="turn looked", limit=150),
    Goal(
        name="G6", says="1,000 services, one changed: read, planned and applied by the loop", figure="changed", limit=20
    ),
    Goal(name="G6", says="… planned by a command", figure="fleet cold", limit=350),
    Goal(name="G7", says="1,000 services, cache lost: planned by a command", figure="fleet lost", limit=12_000),
    Goal(name="G8", says="1,000 objects of Kubernetes, from bytes: the first look", figure="kubernetes first", limit=5),
    Goal(name="G8", says="… every later look, nothing changed", figure="kubernetes", limit=5),
    Goal(name="G8", says="… against the typed client", figure="kubernetes/typed", limit=50, least=True),
    Goal(name="G8", says="1,000 servers of OpenStack, from bytes: the first look", figure="openstack first", limit=5),
    Goal(name="G8", says="… every later look, nothing changed", figure="openstack", limit=5),
    Goal(name="G8", says="… against objects of the SDK", figure="openstack/objects", limit=300, least=True),
    Goal(name="G9", says="compare 1,000 resources, unchanged", figure="diff", limit=1),
    Goal(name="G10", says="memory: plan of 1,000 nodes, cache lost", figure="plan memory", limit=60),
    Goal(name="G10", says="memory: the loop with 21,000 resources and every client", figure="loop memory", limit=200),
    Goal(name="G11", says="1,000 triggers every 10 s, of one core", figure="triggers share", limit=2),
    Goal(name="G12", says="1,000 creates, wall", figure="apply", limit=1000),
    Goal(name="G12", says="1,000 creates of 50 ms, 100 at once, over the ideal, wall", figure="apply slow", limit=1.5),
    Goal(name="G13", says="commit and push, wall", figure="commit and push", limit=15),
    Goal(name="G13", says="alert received until one pooled endpoint is connected, wall", figure="alert 1", limit=140),
    Goal(name="G13", says="… until five are, wall", figure="alert 5", limit=350),
)


def beside_peers(costs: compare.Costs) -> Iterator[Figure]:
    """Take what goals need from the comparison."""
    warm, cold = costs[OURS], costs[OURS_COLD]
    yield Figure("plan of 1,000 nodes, cache lost", 1000 * compare.cpu(cold[_LARGE]), name="plan cold")
    yield Figure("plan of 1,000 nodes, nothing changed", 1000 * compare.cpu(warm[_LARGE]), name="plan")
    yield Figure(
        "plan of 1,000 nodes, cache lost: peak memory", compare.peak(cold[_LARGE]), unit="MB", name="plan memory"
    )
    growth = compare.cpu(cold[_LARGEST]) / compare.cpu(cold[_LARGE]) * _LARGE / _LARGEST
    yield Figure("a node of 5,000 over a node of 1,000", growth, unit="x", name="linear")
    for peer in ("opera", "terraform", "salt"):
        if theirs := costs.get(peer):
            times = compare.cpu(theirs[_LARGE]) / compare.cpu(cold[_LARGE])
            yield Figure(f"{peer} over ours, 1,000 nodes, cache lost", times, unit="x", name=f"1/{peer}")
    if theirs := costs.get("terraform"):
        at_large = compare.cpu(theirs[_LARGE]) / compare.cpu(warm[_LARGE])
        yield Figure("terraform over ours, 1,000 nodes, nothing changed", at_large, unit="x", name="2/terraform")
        small = min(theirs)
        for name, ours in (("3/terraform", warm), ("3/terraform cold", cold)):
            times = compare.cpu(theirs[small]) / compare.cpu(ours[small])
            yield Figure(f"terraform over ours, {small} nodes", times, unit="x", name=name)


def starting() -> Iterator[Figure]:
    """Measure what the command takes to say its version, over a bare interpreter."""
    lines = {"": [sys.executable, "-c", "pass"]}
    lines |= {option: [str(RECONCILER), option] for option in ("--version", "--help")}
    costs: dict[str, list[float]] = {option: [] for option in lines}
    for _ in range(_STARTS):
        for option, line in lines.items():
            costs[option].append(measure(Command(line=line))[0].cpu_seconds * 1000)
    for option in ("--version", "--help"):
        yield Figure(f"{option}, over bare Python", median(costs[option]) - median(costs[""]), name=option)


def watching() -> Iterator[Figure]:
    """Measure a thousand triggers that are looked at every ten seconds."""
    with tempfile.TemporaryDirectory(prefix="triggers-") as scratch:
        city = triggers.City(Path(scratch) / "city", TRIGGERS, "{}")
        city.turn()
        with closing(Embedded(city.folder / ".reconciler" / "clmc" / "city-clmc.metrics")) as metrics:
            for figure in triggers.measure(city, metrics, "tour", TRIGGERS, "embedded"):
                yield figure
                if figure.name == "triggers":
                    yield Figure("of one core", figure.value / 100, unit="%", name="triggers share")
        city.loop.close()


def own() -> Iterator[Figure]:
    """Take every figure that needs no peer."""
    yield from starting()
    yield from loop.figures()
    yield from fleet.figures()
    yield from watching()
    yield from observation.figures()


def table(values: Mapping[str, Figure]) -> str:
    """Say of every goal what was measured and whether it is met, as Markdown."""
    lines = ["| | goal | limit | measured | |", "| --- | --- | --- | --- | --- |"]
    for goal in GOALS:
        figure = values.get(goal.figure)
        sign = "≥" if goal.least else "≤"
        unit = "" if figure is None else f" {figure.unit}"
        measured = "not measured here" if figure is None else f"{figure.value:,.4g}{unit}"
        verdict = (
            "" if figure is None else "met" if goal.met(figure.value) else f"missed, {_factor(goal, figure):.2g} x"
        )
        lines.append(f"| {goal.name} | {goal.says} | {sign} {goal.limit:g}{unit} | {measured} | {verdict} |")
    return "\n".join(lines) + "\n"


def _factor(goal: Goal, figure: Figure) -> float:
    """Give how far a goal is missed."""
    return goal.limit / figure.value if goal.least else figure.value / goal.limit


def bars(values: Mapping[str, Figure]) -> Sequence[tuple[str, float, bool]]:
    """Give label, share of the limit and whether it is met, for each goal that was measured: below 1 is better."""
    return [
        (
            f"{goal.name} {goal.says}".replace("`", ""),
            _factor(goal, values[goal.figure]),
            goal.met(values[goal.figure].value),
        )
        for goal in GOALS
        if goal.figure in values and values[goal.figure].value > 0
    ]


def main() -> int:
    """Run everything, print the tables and write them down."""
    parser = argparse.ArgumentParser(description="Run the whole suite and say which goals are met.")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison with peers")
    parser.add_argument("--only", default="", help="peers to compare with, separated by commas; by default all")
    parser.add_argument("--out", type=Path, default=compare.RESULTS)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    names = [name for name in given.only.split(",") if name]
    costs = compare.compare(names, [10, 100, _LARGE, _LARGEST], given.rounds, given.out)
    figures = collect(beside_peers(costs)) + collect(own())
    values = {figure.name: figure for figure in figures if figure.name}
    found = table(values)
    print(f"\n{found}")
    date, machine = f"{datetime.now(UTC):%Y-%m-%d}", compare.machine()
    verdicts = [
        {"goal": goal.name, "says": goal.says, "limit": goal.limit, "measured": values[goal.figure].value}
        | {"unit": values[goal.figure].unit, "met": goal.met(values[goal.figure].value)}
        for goal in GOALS
        if goal.figure in values
    ]
    busy = f"{os.getloadavg()[2]:.1f}" if platform.system() != "Windows" else ""
    report = {
        "date": date,
        "machine": machine,
        "load": busy,
        "goals": verdicts,
        "figures": [asdict(f) for f in figures],
    }
    write(given.out / "goals.json", report)
    (given.out / "goals.svg").write_text(draw_bars("Measured, as a share of the limit", bars(values)), encoding="utf-8")
    compare.write_section(PAGE, f"{found}\n{date}, {machine}, load {busy}.\n")
    print(f"written to {os.path.relpath(given.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
