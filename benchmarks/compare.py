"""Asks this program and its peers the same question, in turns, and writes down what they took.

    python -m benchmarks.compare --sizes 10,100,1000 --rounds 5

The question is "what would change?", put to an application that is deployed and unchanged. Every figure is one whole
process: user and system time, and peak memory. Rounds are interleaved, medians are reported; quote ratios of one run.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks.chart import draw
from benchmarks.figures import write
from benchmarks.peers import OURS, PEERS, Peer, available
from benchmarks.process import Command, Cost, measure

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
SIZES = "10,100,1000"

Costs = Mapping[str, Mapping[int, Sequence[Cost]]]
"""Peer → nodes → one cost for each round."""


def run(peers: Sequence[Peer], sizes: Sequence[int], rounds: int) -> Costs:
    """Make every peer ready for every size, then ask them in turns."""
    costs: dict[str, dict[int, list[Cost]]] = {peer.name: {} for peer in peers}
    with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
        asked: list[tuple[Peer, int, Path, Command]] = []
        for size in sizes:
            for peer in peers:
                if size <= peer.largest:
                    print(f"making ready: {peer.name}, {size:,} nodes", file=sys.stderr)
                    folder = Path(scratch) / f"{re.sub(r'[^a-z]+', '-', peer.name)}-{size}"
                    asked.append((peer, size, folder, peer.prepare(folder, size)))
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr)
            for peer, size, folder, command in asked:
                peer.before(folder)
                costs[peer.name].setdefault(size, []).append(measure(command)[0])
    return costs


def cpu(costs: Sequence[Cost]) -> float:
    """Give the median of the processor time, in seconds."""
    return median(cost.cpu_seconds for cost in costs)


def peak(costs: Sequence[Cost]) -> float:
    """Give the median of the peak memory, in MB."""
    return median(cost.peak_mb for cost in costs)


def table(peers: Sequence[Peer], costs: Costs, sizes: Sequence[int]) -> str:
    """Give processor seconds by size, ratio to ours at the largest common size, and memory, as Markdown."""
    head = ["", "version", *(f"{size:,} nodes" for size in sizes), "times ours", "peak memory"]
    lines = [_row(head), _row(["---"] * len(head))]
    for peer in [peer for peer in peers if costs[peer.name]]:
        of_peer = costs[peer.name]
        largest = max(of_peer)
        seconds = [f"{cpu(of_peer[size]):.3f} s" if size in of_peer else "" for size in sizes]
        ratio = cpu(of_peer[largest]) / cpu(costs[OURS][largest])
        shown = "1" if peer.name == OURS else f"{ratio:.1f}"
        at = "" if largest == sizes[-1] else f" (at {largest:,})"
        memory = f"{peak(of_peer[largest]):.0f} MB{at}"
        lines.append(_row([f"`{peer.asked}`", peer.version(), *seconds, f"{shown}{at}", memory]))
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def report(peers: Sequence[Peer], costs: Costs, missing: Sequence[str]) -> dict[str, object]:
    """Put everything measured into the shape that is written down."""
    figures = [
        {
            "program": peer.name,
            "asked": peer.asked,
            "version": peer.version(),
            "nodes": size,
            "cpu_seconds": round(cpu(found), 3),
            "peak_mb": round(peak(found), 1),
            "all_cpu_seconds": [round(cost.cpu_seconds, 3) for cost in found],
        }
        for peer in peers
        for size, found in costs[peer.name].items()
    ]
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "missing": list(missing), "figures": figures}


def machine() -> str:
    """Say in one line what was measured on."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    system = f"{platform.system()} {platform.release()}"
    return f"{os.cpu_count()} cores of {name}, {system}, Python {platform.python_version()}"


def write_section(page: Path, section: str) -> None:
    """Put the section between its marks in a page."""
    text = page.read_text(encoding="utf-8")
    begin, end = "<!-- figures begin -->", "<!-- figures end -->"
    if begin in text and end in text:
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        page.write_text(f"{before}{begin}\n{section}{end}{after}", encoding="utf-8")


def compare(names: Sequence[str], sizes: Sequence[int], rounds: int, out: Path) -> Costs:
    """Compare with some peers, or with all of them; print the table and write it down, into the README, too."""
    peers, missing = available(*names)
    costs = run(peers, sizes, rounds)
    found = table(peers, costs, sizes)
    print(found, *missing, sep="\n")
    written = report(peers, costs, missing)
    write(out / "compare.json", written)
    series = {
        peer.asked: {size: cpu(of) for size, of in costs[peer.name].items()} for peer in peers if costs[peer.name]
    }
    (out / "compare.svg").write_text(draw("What would change? Nothing.", series), encoding="utf-8")
    if out == RESULTS and not names:
        section = f"{found}\n{written['date']}, {written['machine']}, median of {rounds} rounds.\n"
        write_section(ROOT / "README.md", section)
    return costs


def main() -> int:
    """Compare with the peers that are named."""
    parser = argparse.ArgumentParser(description="Ask this program and its peers what would change.")
    parser.add_argument("--sizes", default=SIZES, help=f"numbers of nodes; by default {SIZES}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help=f"of {', '.join(peer.name for peer in PEERS)}")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    sizes = sorted(int(size) for size in given.sizes.split(","))
    compare([name for name in given.only.split(",") if name], sizes, given.rounds, given.out)
    print(f"written to {os.path.relpath(given.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
