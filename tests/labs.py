"""The labs as the tests see them: their names, cells, and the reference's names and values."""

import ast
import os
import runpy
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import jupytext

ROOT = Path(__file__).parents[1]
LABS = sorted(path.stem for path in (ROOT / "solutions").glob("[0-9]*.py"))


@cache
def reference(lab: str) -> dict[str, Any]:
    """The names that the lab's solution defines, run once as a plain script at smoke scale."""
    with mock.patch.dict(os.environ, {"LAB_SCALE": "smoke", "MPLBACKEND": "Agg"}):
        return runpy.run_path(str(ROOT / "solutions" / f"{lab}.py"), run_name="lab")


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


def _defined(source: str) -> list[str]:
    names = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            names.append(statement.name)
        elif isinstance(statement, ast.Assign):
            targets = [node for target in statement.targets for node in ast.walk(target)]
            names += [node.id for node in targets if isinstance(node, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names.append(statement.target.id)
    return names
