"""Which cells of a notebook its exercises stand on: a backward slice over names.

From the names that the exercises are judged by, back to the cells that give them a value or change
it, to the names that those cells use, and so on (Weiser 1984, Program Slicing,
doi 10.1109/TSE.1984.5010248). The other cells draw and demonstrate; most of the time goes there.

Only text is read. Where it cannot tell what a cell does, the cell runs.
"""

import ast
import re
import symtable
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from grading.answer.time_limit import TimeLimit, time_limit
from grading.checks import calls
from grading.course.cells import exercise_of, names_defined
from grading.marking.submission import LeftOut, Run, Submission, is_answer

MOST = 300_000  # characters of code: the largest lab has a fifth of that
SECONDS = 20.0  # a lab takes a tenth of one

_ASKED = re.compile(r"\b(?:learner|own|student)\.(\w+)|\bstudent\[\"(\w+)\"\]")

# With these a cell may do anything to any name, or to what it imported.
_ANYTHING = frozenset(
    [
        "__builtins__",
        "__import__",
        "delattr",
        "eval",
        "exec",
        "get_ipython",
        "globals",
        "locals",
        "setattr",
        "vars",
    ]
)
_ANYTHING_OF = frozenset(
    ["__builtins__", "__dict__", "__globals__", "import_module", "modules", "reload"]
)
# What these are called with stays as it is.
_HARMLESS = frozenset(
    [
        "abs",
        "all",
        "any",
        "bool",
        "dict",
        "enumerate",
        "float",
        "int",
        "isinstance",
        "len",
        "list",
        "max",
        "min",
        "print",
        "range",
        "repr",
        "round",
        "set",
        "sorted",
        "str",
        "sum",
        "tuple",
        "type",
        "zip",
    ]
)
_COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_CODE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_MADE = (
    ast.Call,
    ast.List,
    ast.Dict,
    ast.Set,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.Await,
    ast.Yield,
    ast.YieldFrom,
)  # what makes an object of its own
_FRESH = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.JoinedStr, ast.Lambda)


def sliced(
    work: Submission, released: dict[str, Any], exercises: Collection[str], asked: Iterable[str]
) -> Submission:
    """The submission without the cells that no answer stands on; whole, with a note, where that
    cannot be told of what was handed in.

    released: the course's release of the lab; exercises: all of its names; asked: the names that
    their checks ask a notebook for, besides those of answers.
    """
    try:
        if sum(len(step.source) for step in work.steps if isinstance(step, Run)) > MOST:
            raise ValueError(f"its cells have more than {MOST:,} characters")
        with time_limit(SECONDS):
            return _sliced(work, released, exercises, set(asked))
    except (ValueError, RecursionError, MemoryError, TimeLimit) as error:
        why = str(error) or type(error).__name__
        said = f"What its answers stand on could not be told, so all of its cells were run: {why}."
        return replace(work, notes=(*work.notes, said))


def _sliced(
    work: Submission, released: dict[str, Any], exercises: Collection[str], asked: set[str]
) -> Submission:
    code = [cell for cell in released["cells"] if cell["cell_type"] == "code"]
    answers = {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in code if is_answer(cell)}
    stubs = {name: "".join(cell["source"]) for name, cell in answers.items()}
    vouched = {"".join(cell["source"]) for cell in code} - set(stubs.values())
    runs = [step for step in work.steps if isinstance(step, Run)]
    slicer = Slicer([(step.source, step.source in vouched) for step in runs])

    def slice_for(wanted: Collection[str], more: Iterable[str]) -> Slice:
        ids = {name for name in stubs if exercise_of(name, exercises) in wanted}
        names = {one for name in ids for one in names_defined(stubs[name])}
        return slicer.slice(
            names | set(more), [at for at, one in enumerate(runs) if one.grade_id in ids]
        )

    run = slice_for(exercises, asked).cells
    left_out = [one for at, one in enumerate(runs) if at not in run]
    return replace(
        work,
        left_out=LeftOut(
            frozenset(one.index for one in left_out),
            changed=any(one.source not in vouched for one in left_out),
            unsettled=frozenset(name for name in exercises if slice_for([name], asked).unsettled),
        ),
    )


def asked_by(checks: Path) -> set[str]:
    """The names that a lab's checks ask a notebook for, by their text."""
    asked = _ASKED.findall(checks.read_text(encoding="utf-8"))
    return {name for pair in asked for name in pair if name}


@dataclass(frozen=True)
class Slice:
    """The places of the cells to run; unsettled: the values among the names they stand on, no
    functions, classes, modules or constants, that other cells give: such may have been changed in a
    way that no text shows."""

    cells: frozenset[int]
    unsettled: frozenset[str]


class Slicer:
    """Slices one notebook.

    cells: the sources of its code cells, and whether each is vouched for: no function that it calls
    changes what it is called with, if an answer stands on that. The course's own cells are: every
    lab's reference gets full marks without them (tests/checks).
    """

    def __init__(self, cells: Iterable[tuple[str, bool]]) -> None:
        self.cells = [_read(source, vouched) for source, vouched in cells]
        self.values = self._values()
        self.gives = [self._gives(cell) for cell in self.cells]
        self.changes = [self._changes(cell) for cell in self.cells]
        # Who sets an attribute of a module, a class or a function sets it for all that use it.
        self.always = {
            at for at, cell in enumerate(self.cells) if cell.anything or cell.sets - self.values
        }

    def slice(self, names: Iterable[str], cells: Iterable[int]) -> Slice:
        """The slice for these names, whose last value counts, and these cells, which run anyway."""
        names, own = set(names), set(cells)
        run, size = own | self.always, -1
        while size != len(run) + len(names):
            size = len(run) + len(names)
            names = names.union(*(self.cells[at].later for at in run))
            for at in range(len(self.cells)):
                if names & (self.gives[at] | self.changes[at]):
                    run.add(at)
            for at in tuple(run):
                for name in self.cells[at].reads:
                    run.update(self._reaching(name, at))
        others = set[str]().union(*(self.gives[at] for at in run - own))
        used = names.union(*(self.cells[at].reads for at in run - self.always | own))
        return Slice(frozenset(run), frozenset(used & self.values & others))

    def _values(self) -> set[str]:
        """The names that may be something else than functions, classes, modules and constants."""
        values, size = set[str]().union(*(cell.values for cell in self.cells)), -1
        while size != len(values):
            size = len(values)
            for cell in self.cells:
                values |= {name for name, whole in cell.made_of.items() if whole & values}
        return values

    def _reaching(self, name: str, at: int) -> Iterator[int]:
        """The cells that made what this one finds under a name: the last before it that surely gave
        it a value, and those that may have given it another, or changed it, since."""
        for before in reversed(range(at)):
            if name in self.gives[before] or name in self.changes[before]:
                yield before
            if name in self.cells[before].surely:
                return

    def _gives(self, cell: "_Cell") -> set[str]:
        """The names that a cell gives a value, itself or by a function."""
        return cell.gives.union(*(other.gives_later for other in self._called(cell)))

    def _changes(self, cell: "_Cell") -> set[str]:
        """The names whose objects a cell may change: itself, by a function, by another name."""
        waiting = list(cell.changes)
        for other in [] if cell.vouched else self._called(cell):
            waiting += other.changes_later
        changed = set[str]()
        while waiting:
            name = waiting.pop()
            if name not in changed:
                changed.add(name)
                waiting += [one for other in self.cells for one in other.parts.get(name, ())]
        return changed & self.values

    def _called(self, cell: "_Cell") -> list["_Cell"]:
        """The cells that define functions which this one may call, or which those may call."""
        found, waiting, names = list["_Cell"](), list(cell.reads), set[str]()
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                new = [other for other in self.cells if name in other.gives]
                found += new
                waiting += [later for other in new for later in other.later]
        return found


@dataclass
class _Cell:
    """What a cell does with the notebook's names.

    gives, gives_later: those it gives a value or takes it from, itself or by its functions; surely:
    those it gives one in any case; values: those that become no function, class, module or
    constant; reads: whose values it uses; later: those that its functions use when they are called;
    changes, changes_later: whose objects it, or its functions, may change; sets: of which it sets
    an attribute or an element; parts: for a name that it gives, the names of whose objects that may
    be a part; made_of: of a name, those that settle what it is, as `Tensor = torch.Tensor`;
    anything: it may do more than this says; vouched: what it calls changes none of the arguments.
    """

    gives: set[str] = field(default_factory=set)
    gives_later: set[str] = field(default_factory=set)
    surely: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    changes_later: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    parts: dict[str, set[str]] = field(default_factory=dict)
    made_of: dict[str, set[str]] = field(default_factory=dict)
    anything: bool = False
    vouched: bool = False

    def block(self, statements: Iterable[ast.stmt], given: set[str]) -> set[str]:
        """Take in statements in order, where these names have values already; the names that surely
        have one afterwards."""
        for statement in statements:
            given = given | self.statement(statement, given)
        return given

    def statement(self, node: ast.stmt, given: set[str]) -> set[str]:
        """Take in a statement; the names that it surely gives."""
        match node:
            case ast.If():
                self.simple(node.test, given)
                return self.block(node.body, given) & self.block(node.orelse, given)
            case ast.While():
                self.simple(node.test, given)
                self.blocks([node.body, node.orelse], given)
            case ast.For() | ast.AsyncFor():
                named = self.assigned([node.target], node.iter, given)
                self.blocks([node.body, node.orelse], given | named)
            case ast.With() | ast.AsyncWith():  # what it enters may swallow what ends its body
                for item in node.items:
                    targets = [item.optional_vars] if item.optional_vars else []
                    given = given | self.assigned(targets, item.context_expr, given)
                self.block(node.body, given)
            case ast.Try() | ast.TryStar():
                self.blocks([node.body, *(one.body for one in node.handlers), node.orelse], given)
                for handler in node.handlers:
                    self.simple(handler.type, given)
                return self.block(node.finalbody, given)
            case ast.Assign():
                return self.assigned(node.targets, node.value, given)
            case ast.AnnAssign() if node.value is not None:
                return self.assigned([node.target], node.value, given)
            case _:
                return self.simple(node, given)
        return set()

    def blocks(self, blocks: Iterable[list[ast.stmt]], given: set[str]) -> None:
        for block in blocks:
            self.block(block, given)

    def assigned(self, targets: list[ast.expr], value: ast.expr, given: set[str]) -> set[str]:
        """Take in that targets get a value, or parts of it."""
        self.simple(value, given)
        parts = [part for target in targets for part in ast.walk(target)]
        for part in parts:
            if isinstance(part, ast.Attribute | ast.Subscript):
                self.simple(part, given)
        named = {one.id for one in parts if isinstance(one, ast.Name) and _is_stored(one)}
        self.gives |= named
        within = _names(value)
        made = any(isinstance(part, _MADE) for part in _running(value))
        if made:
            self.values |= set() if _is_door(value) else named
        for name in named:
            self.made_of.setdefault(name, set()).update(within.read)
            if not (isinstance(value, _FRESH) or (made and self.vouched)):
                self.parts.setdefault(name, set()).update(within.read)
        return named

    def simple(self, node: ast.AST | None, given: set[str]) -> set[str]:
        """Take in an expression, or a statement without a block that is read by itself."""
        if node is None:
            return set()
        names = _names(node)
        self.gives |= names.given
        self.gives_later |= names.given_later
        self.reads |= names.read - given
        self.later |= names.read_later
        for changed, now in ((self.changes, True), (self.changes_later, False)):
            changed |= _changed(node, now, self.vouched) & (
                names.read | names.given | names.read_later
            )
        self.sets |= _set(node) & (names.read | names.read_later)
        if not isinstance(node, (*_CODE, ast.expr)):
            self.values |= names.given
        self.values |= names.given_later
        return names.given if isinstance(node, (*_CODE, ast.expr, ast.AugAssign)) else set()


@lru_cache(maxsize=1024)
def _read(source: str, vouched: bool) -> _Cell:
    tree = calls.parsed(source)
    anything = not tree.body or any(map(_may_do_anything, ast.walk(tree)))
    cell = _Cell(anything=anything, vouched=vouched)
    try:
        cell.surely = cell.block(tree.body, set())
    except SyntaxError:  # `nonlocal x` parses, and does not compile: nothing of it will run
        return _Cell(anything=True, vouched=vouched)
    return cell


def _may_do_anything(node: ast.AST) -> bool:
    match node:
        case ast.Name():
            return node.id in _ANYTHING
        case ast.Attribute():
            return node.attr in _ANYTHING_OF
        case ast.ImportFrom():
            return node.names[0].name == "*"
        case _:
            return False


@dataclass
class _Names:
    """The notebook's names in a piece of code: given and read as it runs, or as a function of its
    own is called."""

    given: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    given_later: set[str] = field(default_factory=set)
    read_later: set[str] = field(default_factory=set)


def _names(node: ast.AST) -> _Names:
    """By Python's own table of symbols, which knows whose a name is."""
    found = _Names()
    tables = [(symtable.symtable(ast.unparse(node), "<cell>", "exec"), False)]
    while tables:
        table, later = tables.pop()
        top = table.get_type() == "module"
        for name in table.get_symbols():
            if not top and not name.is_global():
                continue
            if name.is_assigned() or name.is_imported() or name.is_namespace():
                (found.given_later if later else found.given).add(name.get_name())
            if name.is_referenced():
                (found.read_later if later else found.read).add(name.get_name())
        for child in table.get_children():
            function = child.get_type() == "function" and child.get_name() not in _COMPREHENSIONS
            tables.append((child, later or function))
    return found


def _set(node: ast.AST) -> set[str]:
    """The names of whose objects the code, or a function in it, sets an attribute or an element."""
    return set[str]().union(*map(_set_here, ast.walk(node)))


def _changed(node: ast.AST, now: bool, vouched: bool) -> set[str]:
    """The names whose objects may be changed as the code runs, or as its functions are called: what
    a method is called of, or a function with. Vouched for: what a method is called of for no value,
    as `model.eval()`."""
    found = set[str]()
    for one in _running(node) if now else _in_functions(node):
        found |= _set_here(one)
        if isinstance(one, ast.AugAssign):
            found.add(_root(one.target))
        elif vouched and isinstance(one, ast.Expr) and isinstance(one.value, ast.Call):
            found.add(_owner(one.value))
        elif not vouched and isinstance(one, ast.Call) and not _is_harmless(one.func):
            given = [*one.args, *(keyword.value for keyword in one.keywords)]
            within = [part for value in given for part in ast.walk(value)]
            found |= {part.id for part in within if isinstance(part, ast.Name)}
            found.add(_owner(one))
    return found


def _owner(call: ast.Call) -> str:
    """Of whose object this calls a method."""
    return _root(call.func) if isinstance(call.func, ast.Attribute) else ""


def _is_door(value: ast.expr) -> bool:
    """`checks("01_perceptron")`, which no notebook changes."""
    return isinstance(value, ast.Call) and _root(value.func) == "checks"


def _set_here(node: ast.AST) -> set[str]:
    """Of whose object this sets or deletes an attribute or an element, if it does."""
    stored = isinstance(node, ast.Attribute | ast.Subscript) and _is_stored(node)
    return {_root(node)} if stored else set()


def _is_stored(node: ast.Name | ast.Attribute | ast.Subscript) -> bool:
    return not isinstance(node.ctx, ast.Load)


def _is_harmless(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id in _HARMLESS


def _root(node: ast.AST) -> str:
    """`model` for `model.layers[0].weight`; "" for what begins with no name."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run with the code itself, in no function of its own."""
    if isinstance(node, _FUNCTIONS):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _running(child)


def _in_functions(node: ast.AST) -> Iterator[ast.AST]:
    for one in ast.walk(node):
        if isinstance(one, _FUNCTIONS):
            yield from ast.walk(one)
