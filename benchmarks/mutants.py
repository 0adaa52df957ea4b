"""Which one-token changes of a lab's right answers still get full marks from its checks.

    python benchmarks/mutants.py 05

Each operator, comparison, constant, `continue`, `break`, `return`, sign and pair of arguments in an
answer is changed, one at a time. A survivor is either another right answer (an unused default, an
equal bound) or a case that the check does not draw: each wants to be looked at.
"""

import ast
import contextlib
import copy
import io
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from grading.answer import exercise
from grading.check import Notebook
from grading.course.cells import answers
from tests.labs import LABS, ROOT, answered

_SWAPS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(code: str) -> Iterator[tuple[str, str]]:
    """(What was changed, the code so changed), one change each."""
    tree = ast.parse(code)
    for place, node in enumerate(ast.walk(tree)):
        for how, change in _changes(node):
            mutant = copy.deepcopy(tree)
            change(list(ast.walk(mutant))[place])
            text = ast.unparse(ast.fix_missing_locations(mutant))
            if text != ast.unparse(tree):
                yield f"line {getattr(node, 'lineno', '?')}: {how}", text


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], None]]]:
    """(In words, what changes such a node in place)."""
    operator = getattr(node, "op", None) or (getattr(node, "ops", None) or [None])[0]
    if type(operator) in _SWAPS:
        other = _SWAPS[type(operator)]
        yield f"{type(operator).__name__} → {other.__name__}", lambda n: _put(n, other())
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} → {not node.value}", lambda n: setattr(n, "value", not n.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        for by in (1, -1):
            yield f"{node.value} → {node.value + by}", lambda n, by=by: _add(n, by)
    if isinstance(node, ast.Call) and len(node.args) >= 2:
        yield f"arguments of {ast.unparse(node.func)}", lambda n: n.args.reverse()
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign dropped", lambda n: setattr(n, "op", ast.UAdd())
    if isinstance(node, ast.If | ast.While):
        yield "condition turned round", lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))
    for name in ("body", "orelse"):
        body = getattr(node, name, None)
        for at, one in enumerate(body if isinstance(body, list) else ()):
            if isinstance(one, ast.Continue | ast.Break):
                other = ast.Break if isinstance(one, ast.Continue) else ast.Continue
                swap = partial(_replace, name=name, at=at, by=other())
                yield f"{type(one).__name__} → {other.__name__}", swap


def _replace(node: ast.AST, name: str, at: int, by: ast.AST) -> None:
    getattr(node, name)[at] = by


def _put(node: Any, operator: ast.AST) -> None:
    if hasattr(node, "ops"):
        node.ops[0] = operator
    else:
        node.op = operator


def _add(node: Any, by: int) -> None:
    node.value += by


def main(wanted: str) -> None:
    lab = next(lab for lab in LABS if lab.startswith(wanted))
    known, start, tried, survivors = exercise.load(lab), time.perf_counter(), 0, 0
    for name, code in answers(ROOT / "solutions" / f"{lab}.py").items():
        for how, text in mutants(code):
            tried += 1
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    notebook = Notebook(answered(lab, text))
                    result = exercise.run(known[name], notebook, np.random.default_rng(tried))
            except Exception as error:  # the answer's cell itself fails
                print(f"{name}: {how}: the cell raises {type(error).__name__}", file=sys.stderr)
                continue
            if result.status == "passed":
                survivors += 1
                print(f"{name}: {how}", flush=True)
    took = f"{time.perf_counter() - start:.0f} s, {time.strftime('%Y-%m-%d')}"
    print(f"{lab}: {survivors} of {tried} mutants survive, {took}")


if __name__ == "__main__":
    main(sys.argv[1])
