"""What importing the shared package costs, after torch: `python benchmarks/import_utils.py`.

Each figure is the median over fresh processes, each of which imports torch first and then one
module. `utils` alone must stay under 50 ms.
"""

import argparse
import statistics
import subprocess
import sys
from datetime import date

from utils import device

MODULES = (
    "utils",
    "utils.settings",
    "utils.device",
    "utils.data.digits",
    "utils.pipeline.schedules",
    "utils.plots",
)

MEASURE = """
import sys, time
start = time.perf_counter()
import torch
after_torch = time.perf_counter()
__import__(sys.argv[1])
print(after_torch - start, time.perf_counter() - after_torch)
"""


def measure(module: str) -> tuple[float, float]:
    """Seconds that importing torch took in a fresh process, and then importing the module."""
    command = [sys.executable, "-c", MEASURE, module]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    torch_seconds, module_seconds = map(float, printed.split())
    return torch_seconds, module_seconds


def row(name: str, seconds: list[float]) -> str:
    """A line of the table, in milliseconds."""
    median, least, most = (
        1000 * figure for figure in (statistics.median(seconds), min(seconds), max(seconds))
    )
    return f"{name:24}{median:10.1f}{least:10.1f}{most:10.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what importing utils costs.")
    parser.add_argument("--processes", type=int, default=5, help="for each module (default 5)")
    processes = parser.parse_args().processes

    print(f"{date.today()}, {device.describe()}; {processes} processes a module")
    print(f"{'import of (ms)':24}{'median':>10}{'least':>10}{'most':>10}")
    torch_seconds: list[float] = []
    rows: list[str] = []
    for module in MODULES:
        pairs = [measure(module) for _ in range(processes)]
        torch_seconds += [first for first, _ in pairs]
        rows.append(row(module, [second for _, second in pairs]))
    print("\n".join([row("torch", torch_seconds), *rows]))


if __name__ == "__main__":
    main()
