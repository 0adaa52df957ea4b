"""Reading a notebook that someone handed in, trusting nothing in it.

Of a submission only the source of its cells counts, and which answer a cell is (its grade id).
Tags, outputs, kernel name, other metadata and files beside it count for nothing. The sources of
check cells count for nothing either: what is judged comes from the course.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 150 * 2**20  # a notebook with 100 MB of outputs is still read: its code is small
MAX_SOURCE = 2 * 2**20
MAX_CELLS = 2000


class Unreadable(ValueError):
    """The submission cannot be graded at all; the message says why, in one sentence."""


@dataclass(frozen=True)
class Run:
    """A step of grading: run this source. index: the cell's place in the notebook."""

    source: str
    index: int
    grade_id: str | None = None


@dataclass(frozen=True)
class Judge:
    """A step of grading: judge this exercise."""

    exercise: str


Step = Run | Judge


@dataclass(frozen=True)
class Submission:
    """What one submission asks to be run, and where its exercises are judged on the way.

    notes: what was odd about the notebook, a sentence each. digest: SHA-256 of what will be run.
    """

    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    digest: str


def read(content: bytes, released: bytes, exercises: Sequence[str]) -> Submission:
    """Read a submitted notebook against the course's release of the lab.

    exercises: the names of the lab's exercises, in order. Raises Unreadable.
    """
    notes: list[str] = []
    return plan(parse(content, notes), json.loads(released), exercises, notes)


def plan(
    notebook: dict[str, Any],
    released: dict[str, Any],
    exercises: Sequence[str],
    notes: Sequence[str] = (),
) -> Submission:
    """The steps that grade a parsed notebook: its code cells in order, each exercise judged where
    its check cell stands, and at the end where that is missing."""
    said = list(notes)
    cells = list(_cells(notebook, said))
    ungraded, parameters = _sources(released, "ungraded"), _parameters(released)
    steps: list[Step] = []
    due = list(exercises)
    for cell in cells:
        if cell.grade_id in exercises:
            if cell.grade_id in due:
                due.remove(cell.grade_id)
                steps.append(Judge(cell.grade_id))
        elif cell.source not in ungraded and cell.source.strip():
            # The scale is the grader's choice, so the parameters are the course's.
            source = parameters.get(cell.id, cell.source)
            steps.append(Run(source, cell.index, cell.grade_id))
    if due:
        said.append(f"Check cells are missing: {', '.join(due)}; judged at the end.")
        steps += [Judge(name) for name in due]
    said += _about_answers(cells, _answer_ids(released))
    text = json.dumps([repr(step) for step in steps])
    return Submission(tuple(steps), tuple(said), hashlib.sha256(text.encode()).hexdigest())


def parse(content: bytes, notes: list[str]) -> dict[str, Any]:
    """The notebook that the bytes are, with a note for what was odd. Raises Unreadable."""
    if len(content) > MAX_BYTES:
        raise Unreadable(
            f"The notebook has {len(content) / 2**20:.0f} MB, more than the"
            f" {MAX_BYTES / 2**20:.0f} MB that are read: clear its outputs and hand it in again."
        )
    try:
        notebook = json.loads(content, parse_constant=lambda name: notes.append(_constant(name)))
    except RecursionError:
        raise Unreadable("The file is nested too deep to be a notebook.") from None
    except ValueError as error:
        if not content.strip():
            raise Unreadable("The file is empty.") from None
        if content.lstrip()[:1] == b"{":
            raise Unreadable(
                f"The notebook is cut off or damaged ({error}): save it and hand it in again."
            ) from None
        raise Unreadable("The file is not a notebook: it is not JSON.") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unreadable("The file is JSON but not a notebook of format 4: it has no cells.")
    language = _language(notebook)
    if language not in ("", "python"):
        raise Unreadable(f"The notebook is written in {language[:40]}, not in Python.")
    return notebook


def _constant(name: str) -> str:
    return f"The file holds {name}, which is not JSON; it was read all the same."


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return name.lower() if isinstance(name, str) else ""


@dataclass(frozen=True)
class _Cell:
    index: int
    id: str | None
    source: str
    grade_id: str | None


def _cells(notebook: dict[str, Any], notes: list[str]) -> Iterator[_Cell]:
    """The code cells that can be read."""
    cells, total = notebook["cells"], 0
    if len(cells) > MAX_CELLS:
        raise Unreadable(f"The notebook has {len(cells)} cells; the limit is {MAX_CELLS}.")
    for index, cell in enumerate(cells):
        if not isinstance(cell, dict):
            notes.append(f"Cell {index + 1} is not a cell; it was left out.")
            continue
        if cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            notes.append(f"Cell {index + 1} has no readable source; it was left out.")
            continue
        total += len(source)
        if total > MAX_SOURCE:
            raise Unreadable(f"The notebook's code exceeds {MAX_SOURCE // 2**20} MB.")
        name = cell.get("id")
        yield _Cell(index, name if isinstance(name, str) else None, source, _grade_id(cell))


def _grade_id(cell: dict[str, Any]) -> str | None:
    metadata = cell.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = about.get("grade_id") if isinstance(about, dict) else None
    return grade_id if isinstance(grade_id, str) else None


def _sources(released: dict[str, Any], tag: str) -> set[str]:
    """Sources of the release's cells that have this tag.

    A lab tags `ungraded` what takes time and defines nothing that an answer uses: demonstrations,
    experiments. A learner who changes such a cell has it run like any other.
    """
    return {"".join(cell["source"]) for cell in _tagged(released, tag)}


def _parameters(released: dict[str, Any]) -> dict[str | None, str]:
    return {cell["id"]: "".join(cell["source"]) for cell in _tagged(released, "parameters")}


def _tagged(released: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return [cell for cell in released["cells"] if tag in cell["metadata"].get("tags", [])]


def _answer_ids(released: dict[str, Any]) -> list[str]:
    code = [cell for cell in released["cells"] if cell["cell_type"] == "code"]
    about = [cell["metadata"].get("nbgrader", {}) for cell in code]
    return [one["grade_id"] for one in about if one.get("solution")]


def _about_answers(cells: Sequence[_Cell], answers: Sequence[str]) -> Iterator[str]:
    found = [cell.grade_id for cell in cells]
    for answer in answers:
        if (times := found.count(answer)) == 0:
            yield f"The answer cell {answer} is missing."
        elif times > 1:
            yield f"The answer cell {answer} is there {times} times; they were run in order."
