"""Benchmarks that no other test goes through still run, at a size that measures nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("pipeline.py --most 2 --repeats 1 --delay 0.001", "Largest difference from theory"),
        ("capstone_kills.py --kills 1", "0 ended differently"),
    ],
)
def test_a_benchmark_runs(command: str, says: str) -> None:
    name, *options = command.split()
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / name), *options],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
