"""`python -m grading gpu`: on this machine, without Jupyter, cut short, and its reports."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import jupytext
import pytest

from grading.course import cells
from grading.course.files import CourseError
from grading.course.gpu import machine, report, runner, steps
from grading.course.gpu.report import Report, Tried
from grading.course.gpu.steps import Step
from tests.labs import LABS, ROOT
from tests.needs import BARE, needs

PATIENCE = 540.0  # seconds, of a test that waits for a busy machine
# What a borrowed machine lacks, and must not be imported.
LACKING = (
    *("IPython", "babel", "jupytext", "nbformat", "nbclient", "papermill", "tensorboard"),
    "traitlets",
)
NO_JUPYTER = f"""
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LACKING!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refused())
"""


def command(python: Path | str, out: Path, *options: str) -> list[str]:
    return [str(python), "-m", "grading", "gpu", "--out", str(out), *options]


def valid(out: Path) -> Report:
    """The report as it is on the disk, whole."""
    assert (out / "report.md").read_text(encoding="utf-8").startswith("# What of the course runs")
    return report.read(out / "report.json")


# The whole command


@pytest.fixture
def without_jupyter(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing of Jupyter can be imported."""
    folder = tmp_path / "refused"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(NO_JUPYTER, encoding="utf-8")
    return os.environ | {"PYTHONPATH": str(folder)}


def tried(python: Path | str, out: Path, environment: dict[str, str]) -> None:
    """A lab with its checks and a step that computes, both within their limits."""
    chosen = ["--minutes", "30", "--only", "kernels", "--only", "14"]
    done = subprocess.run(
        command(python, out, *chosen),
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE + 60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = valid(out)
    assert found.ended == "in time"
    by_name = {one.name: one for one in found.steps}
    assert by_name["14_pipeline_schedules"].figures["points"] == 10
    assert by_name["14_pipeline_schedules"].figures["failures"] == []
    assert by_name["kernels"].figures["rows"]["copy"]["bytes a second"] > 0
    assert "| 14_pipeline_schedules | done | 10 of 10 |" in (out / "report.md").read_text()


def test_it_needs_nothing_of_jupyter(tmp_path: Path, without_jupyter: dict[str, str]) -> None:
    tried(sys.executable, tmp_path, without_jupyter)


@needs("bare")
def test_it_runs_where_only_a_borrowed_machines_packages_are(tmp_path: Path) -> None:
    tried(BARE, tmp_path, dict(os.environ))
    assert valid(tmp_path).machine["packages"]["torch"] == "2.11.0"


def test_an_interrupt_leaves_a_valid_report_and_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(sys.executable, tmp_path, "--minutes", "9", "--only", "kernels"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.monotonic() + PATIENCE
    begun: list[int] = []
    while not begun and time.monotonic() < until:
        time.sleep(0.05)
        begun = children(process.pid) if (tmp_path / "report.md").exists() else []
    assert valid(tmp_path).ended == "not yet"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # impatient
    assert process.wait(timeout=PATIENCE) == 130
    found = valid(tmp_path)
    assert found.ended == "by an interrupt"
    assert found.steps[-1].state == "interrupted"
    assert not Path(f"/proc/{begun[0]}").exists()


def children(pid: int) -> list[int]:
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            if int(file.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(file.parent.name))
    return found


def test_a_budget_that_is_over_at_once_is_said(tmp_path: Path) -> None:
    assert runner.run(ROOT, 0.01, out=tmp_path) == 0
    found = valid(tmp_path)
    assert (found.ended, found.steps[0].state) == ("by its budget", "not begun")
    with pytest.raises(CourseError, match="more than 0"):
        runner.run(ROOT, 0, out=tmp_path)


# Steps that end in their own ways


def trying(out: Path, minutes: float = 60) -> runner.Trying:
    made = Report("2026-11-30 12:00", "0123", minutes, "smoke")
    return runner.Trying(ROOT, out, time.monotonic() + 60 * minutes, made)


def test_a_failure_is_one_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    one = trying(tmp_path)
    one.all_of([Step("odd", "odd", 300), Step("slow", "kernels", 0.1), Step("x", "x", 300)], 1)
    states = {step.name: (step.state, step.cause) for step in one.report.steps}
    assert states["odd"] == ("failed", "ValueError: there is no step of the kind 'odd'")
    assert states["slow"] == ("stopped", "its 0.1 s were over")
    assert states["x"][0] == "failed"
    text = report.page(valid(tmp_path))
    assert "- odd: ValueError: there is no step of the kind 'odd'" in text
    assert "- slow: its 0.1 s were over" in text


def test_what_the_budget_leaves_no_time_for_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, write = trying(tmp_path), report.write

    def written(found: Report, folder: Path) -> None:
        write(found, folder)
        one.deadline = time.monotonic()  # the first step has begun: the time is over

    monkeypatch.setattr(report, "write", written)
    one.all_of([Step("kernels", "kernels", 300), Step("networks", "networks", 300)], 1)
    found = valid(tmp_path)
    assert [step.state for step in one.report.steps] == ["stopped", "not begun"]
    assert one.short_of_time()
    assert "Not begun: networks." in report.page(found)


def test_a_lab_goes_on_after_a_cell_that_fails(tmp_path: Path) -> None:
    lab = "14_pipeline_schedules"
    text = (ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8")
    where = text.rindex("# %%", 0, text.index("\nsizes = "))
    broken = f"{text[:where]}# %%\nraise RuntimeError('no kernel image')\n\n{text[where:]}"
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / f"{lab}.py").write_text(broken, encoding="utf-8")
    script = (
        "import json, sys; from pathlib import Path; from grading.course.gpu import labs;"
        f"notes = []; labs.run(Path(sys.argv[1]), {lab!r}, 'smoke', notes.append);"
        "Path(sys.argv[1], 'notes.json').write_text(json.dumps([notes[0], notes[-1]]))"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"MPLBACKEND": "Agg"},
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=PATIENCE,
    )
    first, last = json.loads((tmp_path / "notes.json").read_text())
    assert first["at"].startswith("line ")
    line = text[:where].count("\n") + 2
    assert last["failures"] == [f"line {line}: RuntimeError: no kernel image"]
    assert (last["points"], last["ran"]) == (10, last["cells"] - 1)
    assert last["headlines"]


# Plans, for machines that are not here


@pytest.mark.parametrize(
    ("gpus", "nccl", "expected"),
    [
        (0, (), {"on the CPU, gloo"}),
        (1, (2, 28, 9), {"on the CPU, gloo", "two on each GPU, gloo by way of the CPU"}),
        (
            1,
            (2, 30, 7),
            {
                "on the CPU, gloo",
                "two on each GPU, NCCL",
                "two on each GPU, gloo by way of the CPU",
            },
        ),
        (
            4,
            (2, 28, 9),
            {"on the CPU, gloo", "a GPU each, NCCL", "two on each GPU, gloo by way of the CPU"},
        ),
    ],
)
def test_every_way_for_ranks_is_tried_or_said_to_be_impossible(
    gpus: int, nccl: tuple[int, ...], expected: set[str]
) -> None:
    found = steps.ways(gpus, nccl)
    assert {way.name for way in found if not way.impossible} == expected
    assert len(found) == 4
    machine_ = {"gpus": [{}] * gpus, "nccl": list(nccl)}
    planned = steps.steps(machine_, LABS, "gpu", 360)
    assert {one.given["way"] for one in planned if one.kind == "exchange"} == expected
    labs = [one.name for one in planned if one.kind == "lab"]
    assert sorted(labs) == LABS
    assert labs[0] == "11_gpu"  # what only a GPU shows comes first


def test_a_card_has_its_own_data_sheet() -> None:
    assert machine.sheet("NVIDIA H200")["bandwidth"] == 4.8e12
    assert machine.sheet("NVIDIA H100 PCIe")["bandwidth"] == 2.0e12
    assert machine.sheet("NVIDIA H100 80GB HBM3")["bandwidth"] == 3.35e12
    assert machine.sheet("NVIDIA A100-SXM4-40GB")["bandwidth"] == 1.555e12
    assert machine.sheet("NVIDIA L4")["bandwidth"] == 0.3e12
    for other in ("NVIDIA L40", "NVIDIA H100 NVL", "NVIDIA T400", "some other"):
        assert machine.sheet(other) == {}


# Reports and the ledger


def with_gpu() -> Report:
    gpu = {"name": "NVIDIA H200", "memory": 2**37, "capability": "9.0", "processors": 132}
    found: dict[str, Any] = {"words": "a processor, 2 × NVIDIA H200", "python": "3.12.1"}
    found |= {"packages": {"torch": "2.11.0"}, "cuda": "13.0", "driver": "580.1", "cores": 16}
    found |= {"nccl": [2, 28, 9], "gpus": [gpu, gpu], "peers": [[True, True], [True, True]]}
    rows = {"copy": {"bytes a second": 2.4e12}, "product, bfloat16": {"FLOP a second": 494.7e12}}
    kernels = {"kernels": "Triton compiles.", "sheet": machine.sheet("NVIDIA H200"), "rows": rows}
    kernels |= {"gaps": {"relu_add_kernel": 0.0}}
    lab = {
        "points": 8.5,
        "of": 10,
        "ran": 60,
        "cells": 63,
        "headlines": ["4.0 times"],
        "failures": [],
    }
    network = {"network": "LeNet", "cpu": 0.02, "cuda": 0.001, "gap": 1e-6}
    return Report(
        "2026-12-01 10:00",
        "0123abc",
        6,
        "gpu",
        4,
        "by its budget",
        found,
        [
            Tried("kernels", "kernels", "done", seconds=9, figures=kernels),
            Tried("networks", "networks", "done", seconds=9, figures={"rows": [network]}),
            Tried("ranks, a GPU each, NCCL", "exchange", "failed", "RuntimeError: no route"),
            Tried("11_gpu", "lab", "done", seconds=33, figures=lab),
            Tried("15_pipeline", "lab", "not begun", "the budget was over"),
        ],
    )


def test_a_report_is_read_as_it_was_written_and_says_what_matters(tmp_path: Path) -> None:
    report.write(with_gpu(), tmp_path)
    assert valid(tmp_path) == with_gpu()
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for said in (
        "| copy | 2,400.0 GB/s | 4,800.0 GB/s | 50% |",
        "| product, bfloat16 | 494.70 TFLOP/s | 989.40 TFLOP/s | 50% |",
        "- ranks, a GPU each, NCCL: RuntimeError: no route",
        "- Not begun: 15_pipeline.",
        "it takes NCCL 2.30, and here is 2.28.9",
        "| LeNet | 20.00 ms | 1.00 ms | 20.0 | 1e-06 |",
        "| 11_gpu | done | 8.5 of 10 | 60 of 63 | 33 |",
        "reaches GPUs 1 directly",
    ):
        assert said in text


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    with pytest.raises(CourseError, match="is no report"):
        report.read(tmp_path / "report.json")


def test_the_ledger_is_what_the_kept_reports_make() -> None:
    assert (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8") == report.ledger(ROOT)


def test_a_kept_report_leaves_what_never_ran(tmp_path: Path) -> None:
    (tmp_path / "solutions").mkdir()
    for lab in ("11_gpu", "15_pipeline"):
        (tmp_path / "solutions" / f"{lab}.py").touch()
    assert "Nothing of this course has been run on a GPU" in report.ledger(tmp_path)
    report.write(with_gpu(), tmp_path)
    assert report.keep(tmp_path, tmp_path / "report.json").name == "2026-12-01_2x_nvidia-h200.json"
    text = report.write_ledger(tmp_path).read_text(encoding="utf-8")
    never = text.partition("## Never run on a GPU")[2]
    assert "Nothing of this course" not in text
    assert "## 2026-12-01, 2 × NVIDIA H200" in text
    assert "labs: 15_pipeline\n" in never
    assert "ranks: a GPU each, NCCL" in never


def test_a_report_without_a_gpu_is_not_kept(tmp_path: Path) -> None:
    report.write(Report("2026-12-01 10:00", "0", 6), tmp_path)
    with pytest.raises(CourseError, match="without a GPU"):
        report.keep(tmp_path, tmp_path / "report.json")


# Sources read without jupytext


@pytest.mark.parametrize("lab", LABS)
def test_cells_are_those_that_jupytext_finds(lab: str) -> None:
    file = ROOT / "solutions" / f"{lab}.py"
    theirs = [cell for cell in jupytext.read(file).cells if cell.cell_type == "code"]
    mine = cells.code_cells(file)
    assert [cell.source for cell in mine] == [cell.source for cell in theirs]
    assert [cell.metadata for cell in mine] == [
        {key: value for key, value in cell.metadata.items() if key in ("tags", "nbgrader")}
        for cell in theirs
    ]
    lines = file.read_text(encoding="utf-8").splitlines()
    assert all(lines[cell.line - 1] == cell.source.split("\n")[0] for cell in mine)
