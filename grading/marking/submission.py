"""Reading a notebook that someone handed in, trusting nothing in it.

Of a submission only the source of its cells counts, and which answer a cell is (its grade id).
Tags, outputs, kernel name, other metadata and files beside it count for nothing. The sources of
check cells count for nothing either: what is judged comes from the course.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType
from typing import Any

MAX_BYTES = 150 * 2**20  # a notebook with 100 MB of outputs is still read: its code is small
MAX_MARKS = 12_000_000  # strings, commas, brackets: each costs far more memory than its bytes
MAX_SOURCE = 2 * 2**20
MAX_CELLS = 2000

_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[,{[]', re.DOTALL)


class Unreadable(ValueError):
    """The submission cannot be graded at all; the message says why, in one sentence."""


@dataclass(frozen=True)
class Cell:
    """A cell of a submitted notebook: its place in the file, and all of it that is looked at.

    kind: code, markdown or raw; attachments: as the file has them, of any form.
    """

    index: int
    kind: str
    source: str
    id: str | None
    grade_id: str | None
    attachments: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """A step of grading: run this source. index: the cell's place in the notebook."""

    source: str
    index: int
    grade_id: str | None = None


@dataclass(frozen=True)
class Decide:
    """A step of grading: judge this exercise."""

    exercise: str


Step = Run | Decide


@dataclass(frozen=True)
class LeftOut:
    """What is not run, as no answer stands on it (`grading.marking.slicing`).

    cells: their places in the notebook; changed: whether some are not as they were released;
    unsettled: the exercises for which the text alone does not say that nothing is missing.
    """

    cells: frozenset[int] = frozenset()
    changed: bool = False
    unsettled: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Submission:
    """What one submission asks to be run, and where its exercises are judged on the way.

    notes: what was odd about the notebook, a sentence each. digest: SHA-256 of all its steps, those
    that are left out, too. language: the one that it says it was released in, "" for the original.
    """

    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    digest: str
    left_out: LeftOut = LeftOut()
    language: str = ""

    @property
    def code(self) -> str:
        """Of the cells that are run, in order."""
        cells = [step for step in self.steps if isinstance(step, Run)]
        return "\n".join(cell.source for cell in cells if cell.index not in self.left_out.cells)


def read(
    content: bytes,
    released: bytes,
    exercises: Sequence[str],
    originals: Mapping[str, str] = MappingProxyType({}),
) -> Submission:
    """Read a submitted notebook against the course's release of the lab.

    exercises: the names of the lab's exercises, in order; originals: the release's code cells in
    other languages, each with the original's. One that is as it was released runs as the original
    does: so a language changes no mark. Raises Unreadable.
    """
    notes: list[str] = []
    notebook = _parse(content, notes)
    cells = [
        replace(cell, source=originals.get(cell.source, cell.source))
        for cell in _read_cells(notebook, notes)
        if cell.kind == "code"
    ]
    work = plan(cells, json.loads(released), exercises, notes)
    return replace(work, language=_released_in(notebook))


def _released_in(notebook: dict[str, Any]) -> str:
    """The language that release wrote into a notebook, if it wrote one."""
    metadata = notebook.get("metadata")
    lab = metadata.get("lab") if isinstance(metadata, dict) else None
    language = lab.get("language") if isinstance(lab, dict) else None
    return language if isinstance(language, str) else ""


def plan(
    cells: Sequence[Cell], released: dict[str, Any], exercises: Sequence[str], notes: Sequence[str]
) -> Submission:
    """The steps that grade a notebook's code cells: they run in order, each exercise is judged
    where its check cell stands (the last, if it is there twice), or at the end if it is missing."""
    said = [*notes, *_about(cells, [*_answers(released), *exercises])]
    parameters = _parameters(released)
    judged_at = {cell.grade_id: cell.index for cell in cells if cell.grade_id in exercises}
    steps: list[Step] = []
    for cell in cells:
        if cell.grade_id is not None and cell.grade_id in judged_at:
            if judged_at[cell.grade_id] == cell.index:
                steps.append(Decide(cell.grade_id))
        elif cell.source.strip():
            # The scale is the grader's choice, so the parameters are the course's.
            source = parameters.get(cell.id) or _as_released(cell.source, parameters) or cell.source
            steps.append(Run(source, cell.index, cell.grade_id))
    steps += [Decide(name) for name in exercises if name not in judged_at]
    # Not the cells' places: what is run is what decides.
    done = [step.source if isinstance(step, Run) else [step.exercise] for step in steps]
    digest = hashlib.sha256(json.dumps(done).encode()).hexdigest()
    return Submission(tuple(steps), tuple(said), digest)


def read_cells(content: bytes, notes: list[str]) -> list[Cell]:
    """The cells of a submitted notebook, with a note for what was odd. Raises Unreadable."""
    return _read_cells(_parse(content, notes), notes)


def _read_cells(notebook: dict[str, Any], notes: list[str]) -> list[Cell]:
    cells = notebook["cells"]
    if len(cells) > MAX_CELLS:
        raise Unreadable(f"The notebook has {len(cells)} cells; the limit is {MAX_CELLS}.")
    found = list(_cells(cells, notes))
    if sum(len(cell.source) for cell in found) > MAX_SOURCE:
        raise Unreadable(f"The notebook's cells exceed {MAX_SOURCE // 2**20} MB without outputs.")
    return found


def _parse(content: bytes, notes: list[str]) -> dict[str, Any]:
    measure(content)
    try:
        notebook = json.loads(content, parse_constant=lambda name: notes.append(_constant(name)))
    except RecursionError:
        raise Unreadable("The file is nested too deep to be a notebook.") from None
    except ValueError as error:
        if not content.strip():
            raise Unreadable("The file is empty, or is no file but a link or a folder.") from None
        if content.lstrip()[:1] == b"{":
            where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
            message = f"The notebook is cut off or damaged{where}: save it and hand it in again."
            raise Unreadable(message) from None
        raise Unreadable("The file is not a notebook: it is not JSON.") from None
    if isinstance(notebook, dict) and isinstance(notebook.get("worksheets"), list):
        notes.append("It is in nbformat 3, which is old; it was read all the same.")
        notebook["cells"] = list(_of_worksheets(notebook["worksheets"]))
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise Unreadable("The file is JSON but not a notebook of format 4: it has no cells.")
    language = _language(notebook)
    if not re.fullmatch(r"(i?python\d?)?", language):
        if not _is_python(notebook["cells"]):
            raise Unreadable(f"The notebook is written in {language[:40]!a}, not in Python.")
        notes.append(f"It says that it is written in {language[:40]!a}; it was read as Python.")
    return notebook


def _of_worksheets(worksheets: list[Any]) -> Iterator[Any]:
    """The cells of nbformat 3, as those of format 4."""
    for sheet in worksheets:
        cells = sheet.get("cells") if isinstance(sheet, dict) else None
        for cell in cells if isinstance(cells, list) else ():
            if isinstance(cell, dict) and cell.get("cell_type") == "code":
                cell = {"source": cell.get("input", ""), **cell}
            elif isinstance(cell, dict) and cell.get("cell_type") == "heading":
                cell = {**cell, "cell_type": "markdown"}
            yield cell


def measure(content: bytes) -> None:
    """Raises Unreadable for what would take too much memory to read."""
    remedy = "clear the notebook's outputs and hand it in again."
    if content[:2] in (b"\xff\xfe", b"\xfe\xff") or (b"\0" in content[:4] and b"{" in content[:4]):
        raise Unreadable("The file is not UTF-8, as notebooks are: save it in JupyterLab again.")
    if len(content) > MAX_BYTES:
        most = f"{MAX_BYTES / 2**20:.0f} MB"
        raise Unreadable(f"The file has more than the {most} that are read: {remedy}")
    if len(content) > MAX_MARKS and any(islice(_MARK.finditer(content), MAX_MARKS, None)):
        raise Unreadable(f"The file holds more values than are read: {remedy}")


def _constant(name: str) -> str:
    return f"The file holds {name}, which is not JSON; it was read all the same."


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return name.lower() if isinstance(name, str) else ""


def _is_python(cells: Sequence[Any]) -> bool:
    """Whether most of the code cells can be read as Python."""
    code = [cell for cell in _cells(cells, []) if cell.kind == "code" and cell.source.strip()]
    return sum(_parses(cell.source) for cell in code[:20]) * 2 > len(code[:20])


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return False
    return True


def _cells(cells: Sequence[Any], notes: list[str]) -> Iterator[Cell]:
    """The cells that can be read."""
    for index, cell in enumerate(cells):
        kind = cell.get("cell_type") if isinstance(cell, dict) else None
        if kind not in ("code", "markdown", "raw"):
            notes.append(f"Cell {index + 1} is not a cell; it was left out.")
            continue
        source = cell.get("source", "")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            notes.append(f"Cell {index + 1} has no readable source; it was left out.")
            continue
        # JSON may hold halves of characters, which no encoding has.
        source = source.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        name, pictures = cell.get("id"), cell.get("attachments")
        yield Cell(
            index,
            kind,
            source,
            name if isinstance(name, str) else None,
            _grade_id(cell),
            pictures if isinstance(pictures, dict) else {},
        )


def _grade_id(cell: dict[str, Any]) -> str | None:
    metadata = cell.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = about.get("grade_id") if isinstance(about, dict) else None
    return grade_id if isinstance(grade_id, str) else None


def _parameters(released: dict[str, Any]) -> dict[str | None, str]:
    tagged = [one for one in released["cells"] if "parameters" in one["metadata"].get("tags", [])]
    return {cell["id"]: "".join(cell["source"]) for cell in tagged}


def _as_released(source: str, parameters: dict[str | None, str]) -> str | None:
    """The release's parameters, for a cell that gives the same names values: some front ends drop
    the ids by which it is known."""
    names = _given(source)
    return next((one for one in parameters.values() if names and _given(one) == names), None)


def _given(source: str) -> list[str]:
    """The names to which a cell gives values, if it does nothing else."""
    lines = [line for line in source.splitlines() if line.strip() and not line.startswith("#")]
    names = [match[1] for line in lines if (match := re.match(r"(\w+)\s*(?::[^=]*)?=[^=]", line))]
    return names if len(names) == len(lines) else []


def is_answer(cell: dict[str, Any]) -> bool:
    """Whether a cell of the release is one that the learner fills in."""
    return bool(cell["metadata"].get("nbgrader", {}).get("solution"))


def _answers(released: dict[str, Any]) -> list[str]:
    code = [cell for cell in released["cells"] if cell["cell_type"] == "code"]
    return [cell["metadata"]["nbgrader"]["grade_id"] for cell in code if is_answer(cell)]


def _about(cells: Sequence[Cell], wanted: Sequence[str]) -> Iterator[str]:
    """What is odd about the cells that should be there once each."""
    found, missing = [cell.grade_id for cell in cells], list[str]()
    for name in wanted:
        if (times := found.count(name)) == 0:
            missing.append(name)
        elif times > 1:
            yield f"The cell {name} is there {times} times."
    if len(missing) == len(wanted) > 1:
        yield "No cell has its name (nbgrader's metadata): each exercise was judged at the end."
    elif len(missing) > 3:
        yield f"{len(missing)} cells are missing: {', '.join(missing)}."
    else:
        yield from (f"The cell {name} is missing." for name in missing)
