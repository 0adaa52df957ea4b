"""A learner's answers, and the cells of their own, from one version of a lab into another.

Answers go by grade id. Other cells go by cell id, which release derives from the cell's text: a
cell that no longer matches its id was edited, one whose id release never gave was added.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from nbformat import NotebookNode
from nbformat.corpus.words import generate_corpus_id
from nbgrader.utils import compute_checksum, is_grade, is_solution

from grading.answer.say import say
from grading.course.cells import names_defined
from grading.course.source import content_id

_RELEASED_ID = re.compile(r"(code|markdown|raw)-[0-9a-f]{12}(-\d+)?")


@dataclass
class CarriedOver:
    """The new version with the learner's work in it, and what became of that work."""

    notebook: NotebookNode
    answers: list[str] = field(default_factory=list)  # grade ids carried over
    changed: list[str] = field(default_factory=list)  # of those, where the task itself changed
    own_cells: int = 0  # cells that the learner added or edited, carried over
    left: list[str] = field(default_factory=list)  # what the new version has no place for

    def sentences(self) -> list[str]:
        own = {0: [], 1: [say("a cell of your own")]}.get(
            self.own_cells, [say(f"{self.own_cells} own cells")]
        )
        carried = ", ".join([*(f"`{name}`" for name in self.answers), *own])
        if carried:
            said = [say(f"Carried over: {carried}.")]
        elif self.left:
            said = [say("Carried over: nothing.")]
        else:
            said = [say("Carried over: nothing, as nothing was written yet.")]
        if self.changed:
            listed = ", ".join(f"`{name}`" for name in self.changed)
            changed = f"The task has changed too: compare your {listed} with the one in labs/."
            said.append(say(changed))
        if self.left:
            left = ", ".join(self.left)
            said.append(say(f"No place any more, kept in the old notebook: {left}."))
        return said


def carry_over(old: NotebookNode, new: NotebookNode) -> CarriedOver:
    """Put what the learner wrote in `old` into `new`, which is changed. Outputs stay behind."""
    result = CarriedOver(new)
    places = {cell.id: index for index, cell in enumerate(new.cells)}
    # Of copies of an answer the last one counts, as in nbgrader's grading.
    lost = _recognise(old, new)
    result.left += [say(f"`{name}` (the notebook has lost nbgrader's metadata)") for name in lost]
    answers = {_name(cell): cell for cell in old.cells if is_solution(cell)}
    # A front end that drops the ids leaves no way to tell the learner's cells from the lab's.
    known = any(_RELEASED_ID.fullmatch(cell.get("id", "")) for cell in old.cells)
    added: dict[str | None, list[NotebookNode]] = defaultdict(list)
    anchor = None  # the last cell before this one that the new version has, too
    for cell in old.cells:
        name, copied = _name(cell), is_solution(cell) and cell is not answers[_name(cell)]
        if is_solution(cell) and not copied:
            _carry_answer(cell, places, result)
        elif _is_edited(cell) and (copied or (known and not is_grade(cell))):
            _carry_own(cell, None if copied else name, places, added[anchor], result)
        anchor = name if name in places else anchor
    if not known:
        result.left.append(
            say("any cell outside the exercises (the notebook has lost its cell ids)")
        )
    new.cells = [*added[None], *(each for cell in new.cells for each in [cell, *added[cell.id]])]
    return result


def _recognise(old: NotebookNode, new: NotebookNode) -> list[str]:
    """Where a notebook has lost its cells' metadata, find its answers by the names they define;
    those that were not found."""
    if any(is_solution(cell) for cell in old.cells):
        return []
    by_names = {_defined(cell): cell for cell in new.cells if is_solution(cell)}
    for cell in old.cells:
        answer = by_names.get(_defined(cell)) if _defined(cell) else None
        if answer is not None:
            cell.metadata.nbgrader = answer.metadata.nbgrader
    found = {_name(cell) for cell in old.cells if is_solution(cell)}
    return [_name(cell) for cell in new.cells if is_solution(cell) and _name(cell) not in found]


def _defined(cell: NotebookNode) -> tuple[str, ...]:
    try:
        return tuple(names_defined(cell.source)) if cell.cell_type == "code" else ()
    except SyntaxError:
        return ()


def _carry_answer(cell: NotebookNode, places: dict[str, int], result: CarriedOver) -> None:
    if not _is_edited(cell):
        return
    name = _name(cell)
    new = result.notebook.cells[places[name]] if name in places else None
    if new is None or not is_solution(new) or new.cell_type != cell.cell_type:
        result.left.append(f"`{name}`")
        return
    new.source = cell.source
    result.answers.append(name)
    if new.metadata.nbgrader.checksum != cell.metadata.nbgrader.checksum:
        result.changed.append(name)


def _carry_own(
    cell: NotebookNode,
    name: str | None,
    places: dict[str, int],
    added: list[NotebookNode],
    result: CarriedOver,
) -> None:
    """A cell outside the exercises that the learner edited, or (with any other name) added."""
    place = None if name is None else places.get(name)
    gone = place is None and _RELEASED_ID.fullmatch(name or "")
    if gone or (place is not None and "nbgrader" in result.notebook.cells[place].metadata):
        result.left.append(say(f"the cell that begins {_first_line(cell)}"))
        return
    for key in ("nbgrader", "deletable", "editable"):
        cell.metadata.pop(key, None)
    if cell.cell_type == "code":
        cell.outputs, cell.execution_count = [], None
    if place is not None:
        result.notebook.cells[place] = cell
    else:
        cell.id = name or generate_corpus_id()
        added.append(cell)
    result.own_cells += 1


def _name(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id") or cell.get("id", "")


def _is_edited(cell: NotebookNode) -> bool:
    """Whether the cell is not as some release made it."""
    if is_solution(cell):
        return compute_checksum(cell) != cell.metadata.nbgrader.get("checksum")
    return not re.fullmatch(rf"{re.escape(content_id(cell))}(-\d+)?", cell.get("id", ""))


def _first_line(cell: NotebookNode) -> str:
    line = next((line for line in cell.source.splitlines() if line.strip()), "")
    return f"`{line[:40]}`"
