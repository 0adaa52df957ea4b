"""Benchmarks that no other test goes through still run, at a size that measures nothing; those
that take minutes at any size can at least be begun."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from grading.answer import exercise

ROOT = Path(__file__).parents[1]
NO_COMMANDS = ("autograde_lab", "measured")


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("pipeline.py --most 2 --repeats 1 --delay 0.001", "Largest difference from theory"),
        ("workshop.py --learners 3 --seconds 4 --kills 1", "from check to page: median"),
        ("capstone_kills.py --kills 1", "0 ended differently"),
        ("driving_seeds.py --seeds 1 --updates 1", "RULE = "),
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


def test_the_lab_that_is_graded_for_its_speed_gives_its_reference_full_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exercise, "CHECKS", tmp_path)  # the lab itself sets it, too
    lab = runpy.run_path(str(ROOT / "benchmarks" / "autograde_lab.py"))
    (tmp_path / f"{lab['LAB']}.py").write_text(lab["CHECKS"])
    monkeypatch.setenv("BENCHMARK_CHECKS", str(tmp_path))
    (tmp_path / "source.py").write_text(lab["SOURCE"])
    results = runpy.run_path(str(tmp_path / "source.py"))["check"].results
    assert [one.status for one in results.values()] == ["passed"] * 4


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda it: it.stem)
def test_a_benchmark_finds_what_it_imports(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(file.parent))
    assert "main" in runpy.run_path(str(file), run_name="imported") or file.stem in NO_COMMANDS
