"""Reading a lab's source: solutions/NN_name.py (jupytext py:percent) as a notebook with solutions.

The short nbgrader metadata that an author writes is completed here, each cell gets a deterministic
id, and whatever is malformed is reported in a sentence that says where, what, and what to do.
"""

import ast
import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from grading.course.files import CourseError

BEGIN, END = "BEGIN SOLUTION", "END SOLUTION"

_MARKER = re.compile(r"#\s*%%|# In\[")
_GRADE_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_KEYS = {"grade_id", "grade", "solution", "points", "locked", "schema_version", "task"}
_NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class ReleaseError(CourseError):
    """A source that cannot be released; one line a fault."""


def read(source: Path, points: Mapping[str, float] | None = None) -> NotebookNode:
    """The notebook that a source describes, solutions in and nbgrader's metadata complete.

    points: what each exercise is worth by the lab's checks; None leaves that comparison out.
    Raises ReleaseError with every fault of the source.
    """
    text = source.read_text(encoding="utf-8")
    lines = _marker_lines(source, text)
    cells = jupytext.reads(text, fmt="py:percent").cells
    if len(lines) != len(cells):
        raise ReleaseError(f"solutions/{source.name}:1: begin each cell with a line `# %%`.")
    found = [*_misplaced_code(text, lines, cells), *_faults(source.stem, cells, points)]
    if found:
        at = f"solutions/{source.name}"
        raise ReleaseError(
            "\n".join(
                f"{at}: {fault}"
                if index is None
                else f"{at}:{lines[index]}: cell {index + 1} ({_label(cells[index])}) {fault}"
                for index, fault in found
            )
        )
    return _complete(cells)


def content_id(cell: NotebookNode) -> str:
    """The id release gives a cell: its grade id, else a digest of its text, which edits change."""
    grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
    return grade_id or f"{cell.cell_type}-{sha256(cell.source.encode()).hexdigest()[:12]}"


def identify(cells: Iterable[NotebookNode]) -> None:
    """Give each cell its id; of cells with equal texts, the further ones have a number."""
    used: dict[str, int] = {}
    for cell in cells:
        name = content_id(cell)
        used[name] = used.get(name, 0) + 1
        cell.id = name if used[name] == 1 else f"{name}-{used[name]}"


def _complete(cells: list[NotebookNode]) -> NotebookNode:
    for cell in cells:
        cell.metadata = _cell_metadata(cell)
    identify(cells)
    nb = nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(_NOTEBOOK_METADATA))
    nbformat.validate(nb)
    return nb


def _cell_metadata(cell: NotebookNode) -> NotebookNode:
    metadata: dict[str, Any] = {"tags": cell.metadata.tags} if "tags" in cell.metadata else {}
    given = _nbgrader(cell)
    if given:
        metadata["nbgrader"] = {
            "grade": _is(cell, "grade"),
            "grade_id": given["grade_id"],
            "locked": not _is(cell, "solution"),
            "schema_version": 3,
            "solution": _is(cell, "solution"),
            "task": False,
        }
        if _is(cell, "grade"):
            metadata["nbgrader"]["points"] = given["points"]
    return NotebookNode(nbformat.from_dict(metadata))


def _marker_lines(source: Path, text: str) -> list[int]:
    """The line of each cell's `# %%`; raises ReleaseError where the file is not one of cells."""
    try:
        compile(text, source.name, "exec")
    except SyntaxError as error:
        at = f"solutions/{source.name}:{error.lineno}"
        message = f"{at}: not valid Python ({error.msg}): a lab runs as a plain script too."
        raise ReleaseError(message) from None
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [t for t in tokens if t.type == tokenize.COMMENT and t.start[1] == 0]
    lines = [t.start[0] for t in comments if _MARKER.match(t.string)]
    if "".join(text.splitlines()[: lines[0] - 1] if lines else [text]).strip():
        at = f"solutions/{source.name}:1"
        raise ReleaseError(f"{at}: text before the first cell: begin with `# %% [markdown]`.")
    return lines


def _misplaced_code(
    text: str, lines: Sequence[int], cells: Sequence[NotebookNode]
) -> Iterator[tuple[int, str]]:
    for node in ast.parse(text).body:
        index = bisect_right(lines, node.lineno) - 1
        prose = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if cells[index].cell_type == "markdown" and not prose:
            yield index, f"is Markdown with code at line {node.lineno}: begin that with `# %%`."
            return


def _faults(
    lab: str, cells: Sequence[NotebookNode], points: Mapping[str, float] | None
) -> Iterator[tuple[int | None, str]]:
    """The faults of each cell, then of the file as a whole (index None)."""
    graded = {_nbgrader(cell).get("grade_id") for cell in cells if _is(cell, "grade")}
    seen: set[str] = set()
    for index, cell in enumerate(cells):
        found = list(_metadata_faults(cell))
        if not found and _nbgrader(cell):
            grade_id = _nbgrader(cell)["grade_id"]
            if grade_id in seen:
                found.append("has the grade id of an earlier cell: give it one of its own.")
            seen.add(grade_id)
            if not _is(cell, "solution"):
                found += _check_faults(cell, lab, points)
            elif not _is(cell, "grade"):
                found += _answer_faults(cell, graded | set(points or {}))
        meant = re.search(r"""\bchecks\(["'](.*?)["']\)""", cell.source)
        if cell.cell_type == "code" and meant and meant[1] != lab:
            found.append(f'asks for the checks of another lab: write `checks("{lab}")`.')
        yield from ((index, fault) for fault in [*found, *_region_faults(cell)])
    if not any(_is_parameters(cell) for cell in cells):
        yield None, 'no parameters cell: add `# %% tags=["parameters"]` with `scale = ""`.'
    for name in points or {}:
        if name not in graded:
            call = f'`check("{name}")`'
            yield None, f"no check cell for {name} of grading/checks/{lab}.py: add one with {call}."


def _metadata_faults(cell: NotebookNode) -> Iterator[str]:
    if "incorrectly_encoded_metadata" in cell.metadata:
        yield "has metadata that is not JSON: mend what follows `# %%`."
        return
    unknown = set(cell.metadata) - {"nbgrader", "tags", "lines_to_next_cell", "cell_marker"}
    if unknown:
        yield f"has {_words(unknown)} after `# %%`, where only nbgrader and tags belong: remove it."
    if "nbgrader" not in cell.metadata:
        return
    given = _nbgrader(cell)
    if not _GRADE_ID.fullmatch(str(given.get("grade_id"))):
        yield "needs a grade id of letters, digits, - and _, at most 64, beginning with a letter."
        return
    if set(given) - _KEYS:
        yield f"has {_words(set(given) - _KEYS)}, which nbgrader does not know: correct it."
    if not _is(cell, "grade") and not _is(cell, "solution"):
        yield 'is neither an answer nor a check: add "solution": true or "grade": true.'
    points = given.get("points")
    numeric = isinstance(points, int | float) and not isinstance(points, bool) and points >= 0
    if _is(cell, "grade") and not numeric:
        yield 'is graded without a number of points: add "points".'


def _check_faults(
    cell: NotebookNode, lab: str, points: Mapping[str, float] | None
) -> Iterator[str]:
    name, given = _nbgrader(cell)["grade_id"], _nbgrader(cell)["points"]
    call, checks = f'check("{name}")', f"grading/checks/{lab}.py"
    if cell.cell_type != "code" or cell.source.strip() != call:
        yield f"is the check of an exercise: its one line must be `{call}`."
    if points is not None and name not in points:
        yield f"checks an exercise that {checks} does not have: correct the id, or add it there."
    elif points is not None and points[name] != given:
        yield f"gives {given:g} points where {checks} says {points[name]:g}: make them agree."


def _answer_faults(cell: NotebookNode, graded: set[str | None]) -> Iterator[str]:
    if cell.cell_type != "code":
        yield 'is a written answer, which a person grades: add "grade": true and "points".'
    elif not any(_nbgrader(cell)["grade_id"].startswith(f"{name}_") for name in graded):
        yield "answers no exercise of this lab: name it after its check cell, `<exercise>_code`."


def _region_faults(cell: NotebookNode) -> Iterator[str]:
    """Regions as nbgrader reads them: by any line that contains the words."""
    marks = [mark for line in cell.source.splitlines() for mark in (BEGIN, END) if mark in line]
    if marks and not _is(cell, "solution"):
        yield 'has a solution region but is no answer: add "solution": true or remove the region.'
    elif not marks and _is(cell, "solution"):
        yield f"is an answer without a solution region: add `### {BEGIN}` and `### {END}`."
    elif (inside := [mark for i, mark in enumerate(marks) if mark != (BEGIN, END)[i % 2]])[:1]:
        yield (
            f"begins a solution region within another: end the first with `### {END}`."
            if inside[0] == BEGIN
            else f"ends a solution region that was not begun: add `### {BEGIN}`."
        )
    elif len(marks) % 2:
        yield f"has an unclosed solution region: add `### {END}`."


def _is_parameters(cell: NotebookNode) -> bool:
    tagged = "parameters" in cell.metadata.get("tags", [])
    return cell.cell_type == "code" and tagged and "scale = " in cell.source


def _nbgrader(cell: NotebookNode) -> dict[str, Any]:
    found = cell.metadata.get("nbgrader")
    return found if isinstance(found, dict) else {}


def _is(cell: NotebookNode, role: str) -> bool:
    return bool(_nbgrader(cell).get(role))


def _label(cell: NotebookNode) -> str:
    first = next((line for line in cell.source.splitlines() if line.strip()), "empty")
    return str(_nbgrader(cell).get("grade_id") or first[:40])


def _words(names: set[str]) -> str:
    return ", ".join(f'"{name}"' for name in sorted(names))
