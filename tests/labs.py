"""The labs as the tests see them: their names, cells, and the reference's names and values."""

import ast
import os
import re
import symtable
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import jupytext

from grading.course.source import names_defined

ROOT = Path(__file__).parents[1]
LABS = sorted(path.stem for path in (ROOT / "solutions").glob("[0-9]*.py"))


@cache
def reference(lab: str) -> dict[str, Any]:
    """The names of `notebook`, made once: not to be changed."""
    return notebook(lab)


def notebook(lab: str) -> dict[str, Any]:
    """The names that the lab's answers define, and what they stand on, at smoke scale.

    The cells of the answers are run, those that define a name which these use, and so on; cells
    that draw and train for show are not: `tests/course/test_execute.py` runs every one.
    """
    file = ROOT / "solutions" / f"{lab}.py"
    module = ModuleType(f"solution_{lab}")
    module.__file__ = str(file)
    # Where `inspect` and `pickle` look a function's module up.
    sys.modules[module.__name__] = module
    cells = _code_cells(lab)
    used = "\n\n".join(source for at, source in enumerate(cells) if at in _needed(lab))
    with mock.patch.dict(os.environ, {"LAB_SCALE": "smoke", "MPLBACKEND": "Agg"}):
        exec(compile(used, str(file), "exec"), vars(module))
    return vars(module)


def answered(lab: str, code: str) -> dict[str, Any]:
    """The reference's names, with those that `code` defines in their place."""
    namespace = dict(reference(lab))
    exec(code, namespace)
    namespace["In"] = [(ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8"), code]
    return namespace


@cache
def answer_names(lab: str, exercise: str) -> tuple[str, ...]:
    """The names that the answer cells of an exercise define, functions and values alike."""
    names: list[str] = []
    for cell in jupytext.read(ROOT / "solutions" / f"{lab}.py").cells:
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution") and about["grade_id"].startswith(f"{exercise}_"):
            names += _defined(cell.source)
    return tuple(dict.fromkeys(names))


@cache
def _needed(lab: str) -> frozenset[int]:
    """The places of the code cells that the answers, or the checks, stand on."""
    cells = _code_cells(lab)
    defined, used = [_defined(cell) for cell in cells], [_used(cell) for cell in cells]
    checks = (ROOT / "grading" / "checks" / f"{lab}.py").read_text(encoding="utf-8")
    asked = re.findall(r"\b(?:learner|own|student)\.(\w+)|student\[\"(\w+)\"\]", checks)
    found = {at for at, source in enumerate(_sources_of_answers(lab)) if source}
    for name in {name for pair in asked for name in pair if name}:
        found |= set([at for at, own in enumerate(defined) if name in own][-1:])
    waiting = list(found)
    while waiting:
        at = waiting.pop()
        for name in used[at]:
            before = [i for i in range(at) if name in defined[i]]
            after = [i for i in range(at, len(cells)) if name in defined[i]]
            for i in before[-1:] or after[:1]:  # a function may use what is defined later
                if i not in found:
                    found.add(i)
                    waiting.append(i)
    return frozenset(found)


@cache
def _code_cells(lab: str) -> list[str]:
    book = jupytext.read(ROOT / "solutions" / f"{lab}.py")
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def _sources_of_answers(lab: str) -> list[str]:
    """For each code cell its source, if it is an answer's."""
    book = jupytext.read(ROOT / "solutions" / f"{lab}.py")
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    return [c.source if c.metadata.get("nbgrader", {}).get("solution") else "" for c in code]


def _used(source: str) -> set[str]:
    """The names that a cell takes from others: no function's own, none that it gives first."""
    tables, names = [symtable.symtable(source, "<cell>", "exec")], set[str]()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        names |= {
            s.get_name()
            for s in table.get_symbols()
            if s.is_referenced() and (top or s.is_global())
        }
    given = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            given |= set(_defined(ast.unparse(statement)))
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            loaded = {
                n.id
                for n in ast.walk(statement)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
            }
            given |= set(_defined(ast.unparse(statement))) - loaded
    return names - given


def _defined(source: str) -> list[str]:
    """The names that a cell gives a value at its top level, by an import too."""
    imports = [
        (alias.asname or alias.name).partition(".")[0]
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for alias in statement.names
    ]
    return [*imports, *names_defined(source)]
