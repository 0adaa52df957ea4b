"""The cells of a lab's source, read without Jupyter: what a script needs, and the checks.

`grading.course.source` makes notebooks of these files, with jupytext, and refuses malformed ones.
"""

import ast
import json
import re
import symtable
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from grading.answer.exercise import Exercise, foundations

_MARKER = re.compile(r"^# %%(?: (?P<kind>\[markdown\]))?(?P<metadata>.*)$", re.MULTILINE)
_KEY = re.compile(r"\s*(\w+)=")


@dataclass(frozen=True)
class Cell:
    """A code cell. line: of its first line in the file; metadata: what stands after `# %%`."""

    source: str
    line: int
    metadata: dict[str, Any]

    def compiled(self, file: Path) -> CodeType:
        """Its code, with the places that it has in its file."""
        return compile("\n" * (self.line - 1) + self.source, str(file), "exec")


def code_cells(file: Path) -> list[Cell]:
    """The code cells of a source in py:percent form, in order."""
    text = file.read_text(encoding="utf-8")
    markers = list(_MARKER.finditer(text))
    ends = [marker.start() for marker in markers[1:]] + [len(text)]
    return [
        Cell(
            text[marker.end() + 1 : end].rstrip(),
            text.count("\n", 0, marker.end()) + 2,
            dict(_metadata(marker["metadata"])),
        )
        for marker, end in zip(markers, ends, strict=True)
        if not marker["kind"]
    ]


def _metadata(text: str) -> Iterator[tuple[str, Any]]:
    decoder, at = json.JSONDecoder(), 0
    while key := _KEY.match(text, at):
        value, at = decoder.raw_decode(text, key.end())
        yield key[1], value


def names_defined(code: str) -> list[str]:
    """The functions, classes and values that a cell defines."""
    names = list[str]()
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.append(statement.name)
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            stored = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
            names += [node.id for node in stored if isinstance(node.ctx, ast.Store)]
    return names


def answers(file: Path) -> dict[str, str]:
    """The code of each exercise's answer, as the course's solution has it; "" for none."""
    cells = [(one.source, one.metadata.get("nbgrader", {})) for one in code_cells(file)]
    # All of them first, as the cells of `conv2d_loops` are none of `conv2d`'s.
    found = {about["grade_id"]: "" for _, about in cells if about.get("grade")}
    for source, about in cells:
        of = exercise_of(about["grade_id"], found) if about.get("solution") else None
        if of is not None:
            found[of] += f"{source}\n\n"
    return found


def beneath(
    exercises: Mapping[str, Exercise], name: str, answers: Mapping[str, str], words: set[str]
) -> list[str]:
    """The earlier exercises that an answer stands on: those that its exercise is declared to stand
    on, and those of whose answers it has a name. words: the names in it."""
    declared, earlier = foundations(exercises, name), list(exercises)[: list(exercises).index(name)]
    return [
        base
        for base in earlier
        if base in declared or words.intersection(names_defined(answers.get(base, "")))
    ]


def exercise_of(grade_id: str, exercises: Iterable[str]) -> str | None:
    """The exercise that an answer's cell belongs to: `neuron` for `neuron_code`."""
    meant = [name for name in exercises if grade_id.startswith(f"{name}_")]
    return max(meant, key=len, default=None)


def names(file: Path, *wanted: str) -> dict[str, Any]:
    """Functions, classes and values that a source defines at its top, with what they stand on.

    Only the statements are run that define a name which is used, the last of each name's; each
    keeps its place in the file, so that its text can be found.
    """
    tree = ast.parse(file.read_text(encoding="utf-8"))
    makers = {name: node for node in tree.body for name in _defined(node)}
    kept, waiting = set[ast.stmt](), list(wanted)
    while waiting:
        node = makers.get(waiting.pop())  # None: a name of Python's own
        if node is not None and node not in kept:
            kept.add(node)
            waiting += _used(node)
    tree.body = [node for node in tree.body if node in kept]
    namespace: dict[str, Any] = {"__name__": f"solution_{file.stem}", "__file__": str(file)}
    exec(compile(tree, str(file), "exec"), namespace)
    return {name: namespace[name] for name in wanted}


def _defined(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        stored = (one for one in ast.walk(node) if isinstance(one, ast.Name))
        yield from (one.id for one in stored if isinstance(one.ctx, ast.Store))


def _used(node: ast.stmt) -> Iterator[str]:
    """The names that a statement takes from around it, those of functions' own left out."""
    waiting = [symtable.symtable(ast.unparse(node), "", "exec")]
    while waiting:
        table = waiting.pop()
        top = table.get_type() == "module"
        found = table.get_symbols()
        yield from (
            one.get_name() for one in found if one.is_global() or (top and one.is_referenced())
        )
        waiting += table.get_children()
