"""Rooms: who imports whom, and how large a lab's cells are."""

import ast
import graphlib
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import jupytext
import pytest

from tests.labs import LABS, ROOT

# For each room of grading/, those that it may import: DESIGN's arrows. The doors may import all.
ARROWS = {
    "answer": set[str](),
    "checks": {"answer", "utils"},
    "course": {"answer", "sandbox", "utils"},
    "sandbox": set[str](),
    "marking": {"answer", "checks", "course", "sandbox"},
    "gradebook": {"answer", "course", "marking"},
    "platforms": {"course", "gradebook", "marking"},
    "learner": {"answer"},
    "workshop": {"answer", "checks", "course", "learner", "marking"},
}


def arrows(package: str) -> dict[str, dict[str, str]]:
    """For each room of a package the rooms that it imports, and where it does."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for file in sorted((ROOT / package).rglob("*.py")):
        here = file.relative_to(ROOT / package)
        room = here.parts[0] if len(here.parts) > 1 else "the doors"
        for name in imported(file):
            top, _, rest = name.partition(".")
            other = rest.partition(".")[0] if top == package else top
            inside = (ROOT / package / other).is_dir() if top == package else top != package
            if inside and top in ("grading", "utils") and other != room:
                found[room].setdefault(other, f"{package}/{here}")
    return found


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_room_of_grading_imports_against_the_arrows() -> None:
    found = arrows("grading")
    wrong = [
        f"{room} imports {other} in {place}"
        for room, others in found.items()
        for other, place in others.items()
        if room in ARROWS and other not in ARROWS[room]
    ]
    assert wrong == []
    assert set(found) == {*ARROWS, "the doors"} - {"answer", "sandbox"}


def test_the_arrows_have_no_circle() -> None:
    tuple(graphlib.TopologicalSorter(ARROWS).static_order())


def test_utils_imports_nothing_of_grading_and_its_rooms_have_no_circle() -> None:
    found = arrows("utils")
    assert all("grading" not in others for others in found.values())
    rooms = {
        room: {other for other in others if (ROOT / "utils" / other).is_dir()}
        for room, others in found.items()
        if room != "the doors"
    }
    tuple(graphlib.TopologicalSorter(rooms).static_order())


def test_a_schedule_is_parsed_without_torch_or_matplotlib() -> None:
    script = (
        "import sys; from utils.pipeline import schedules; schedules.parse('F0 B0');"
        " print({'torch', 'matplotlib'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, cwd=ROOT, text=True).strip() == "set()"


def test_who_only_trains_loads_nothing_that_draws() -> None:
    script = (
        "import sys; import utils.training.loop; from utils import training;"
        " training.fit, training.evaluation_mode; print('matplotlib' in sys.modules)"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.check_output(command, cwd=ROOT, text=True).strip() == "False"


@pytest.mark.parametrize("lab", LABS)
def test_a_cell_is_short(lab: str) -> None:
    """At most 20 lines of code in a learner's cell, stubs apart, and 120 words of prose."""
    cells = jupytext.read(ROOT / "labs" / f"{lab}.ipynb").cells
    code = {
        "\n".join(c.source.splitlines()[:2]): _lines(c.source)
        for c in cells
        if c.cell_type == "code"
    }
    prose = {c.source[:60]: len(c.source.split()) for c in cells if c.cell_type == "markdown"}
    assert {start: lines for start, lines in code.items() if lines > 20} == {}
    assert {start: words for start, words in prose.items() if words > 120} == {}


def _lines(source: str) -> int:
    return sum(bool(line) and "your code here" not in line for line in source.splitlines())
