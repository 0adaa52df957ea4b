"""Library calls in the source of an answer, for exercises whose work one call would do.

A rule of thumb, and told as one. It reads what IPython would run: `F.conv2d`, `from torch import
conv2d`, `from torch.nn.functional import *`, `getattr(F, "conv2d")`, a name that was given another,
also by a condition (`F if c else None`, `c and F`) or out of a literal (`[F][0]`), a body under
`%%time`, a definition inside `if`; in the answer and in the notebook's own functions that the
answer uses. It runs nothing, so who hides a call behind computed names is not found.

What is forbidden is written as

    torch.nn.functional.conv2d     a library's name; a package, `torch`, stands for all that is in it
    torch.*conv?d                  a pattern of such names
    conv2d_loops                   a function of the notebook's own
    .unfold                        a method, of whatever object
"""

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TypeGuard

# Cell magics whose cell is Python that runs in the notebook's own names.
_PYTHON_MAGICS = ("time", "timeit", "capture", "prun", "debug")
_LIBRARIES = ("numpy", "scipy", "sklearn", "torch", "torchvision")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SEVERAL = (ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Dict, ast.List, ast.Tuple, ast.Set)
_MOST = 1000  # names that one name may stand for: no notebook needs as many
_Unparsable = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)


def found(cells: Iterable[str], name: str, forbidden: Sequence[str]) -> list[str]:
    """The forbidden names that the definition of `name` reaches, in full, sorted.

    cells: the sources of a notebook, in order; of two definitions the later counts.
    """
    names = _Names()
    for source in cells:
        names.read(source)
    return names.reached(name, forbidden)


def up_to(cells: Sequence[str], name: str) -> Sequence[str]:
    """The cells up to the last one that defines `name`; all of them, if none does."""
    last = max((at for at, cell in enumerate(cells) if _defines(cell, name)), default=len(cells))
    return cells[: last + 1]


def _defines(source: str, name: str) -> bool:
    names = _Names()
    names.run(source)
    return name in names.defined or bool(names.full_names(name, []))


@dataclass
class _Names:
    """What the names of a notebook stand for.

    imported: a library's full name; defined: the code that gives the name its value; stars: the
    modules from which everything was imported.
    """

    imported: dict[str, str] = field(default_factory=dict)
    defined: dict[str, ast.AST] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)

    def read(self, source: str) -> None:
        """Take in a cell; one that Python cannot read does not run and defines nothing."""
        self.run(source)
        for node in _statements(source)[1]:
            self._import(node)  # also what a function imports

    def run(self, source: str) -> None:
        """Take in what runs with a cell itself."""
        for node in _statements(source)[0]:
            self._import(node)
            self._define(node)

    def reached(self, name: str, forbidden: Sequence[str]) -> list[str]:
        """The forbidden names that the definition of `name`, and what it uses, mention."""
        used = set() if name in self.defined else self.full_names(name, [])  # imported under it
        seen, waiting = set[str](), [name]
        while waiting:
            one = waiting.pop()
            if one in seen or one not in self.defined:
                continue
            seen.add(one)
            for mentioned in _Reader(self).mentions(self.defined[one]):
                for root, *rest in self._aliases(mentioned):
                    if root in self.defined:
                        waiting.append(root)
                    used |= self.full_names(root, rest)
        own = {one for one in seen - {name} if one in forbidden}
        return sorted(own | {full for full in used if any(_is(full, each) for each in forbidden)})

    def _aliases(self, name: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """A dotted name, and all that it may be where its root is another name for something."""
        reader = _Reader(self)
        return _meant(
            name, lambda root: [self.defined[root]] if root in self.defined else [], reader
        )

    def full_names(self, root: str, rest: Sequence[str]) -> set[str]:
        """What a dotted name stands for in a library; and each of its parts, as a method."""
        full = {f".{part}" for part in rest}
        if root in self.imported:
            full.add(".".join([self.imported[root], *rest]))
        elif root not in self.defined:
            full |= {".".join([star, root, *rest]) for star in self.stars if _has(star, root)}
        return full

    def _define(self, node: ast.AST) -> None:
        if isinstance(node, _SCOPES):
            self._put(node.name, node)
        for target, value in _values(node):
            self._put(target, value)
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                self.defined.pop(alias.asname or alias.name.partition(".")[0], None)

    def _put(self, name: str, node: ast.AST) -> None:
        before = node.id if isinstance(node, ast.Name) else ""
        stars = [star for star in self.stars if before and before not in self.defined]
        self.defined[name] = node
        self.imported.pop(name, None)
        for star in stars:  # another name for what a star brought, before the notebook has its own
            if _has(star, before):
                self.imported[name] = f"{star}.{before}"

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                self.imported[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if alias.name == "*":
                    self.stars.append(node.module)
                else:
                    self.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"


class _Reader:
    """Reads one definition: the dotted names that it takes from outside."""

    def __init__(self, names: _Names) -> None:
        self.names = names

    def mentions(self, definition: ast.AST) -> Iterator[tuple[str, ...]]:
        """`("F", "conv2d")` for each; what only names a type is left out."""
        nodes = list(_code(definition))
        own = {node.arg for node in nodes if isinstance(node, ast.arg)}
        own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        given: dict[str, list[ast.AST]] = {}
        for target, value in (pair for node in nodes for pair in _values(node)):
            given.setdefault(target, []).append(value)
        inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if id(node) in inner or isinstance(node, (ast.Constant, *_SEVERAL)):
                continue
            for chain in self.chains(node):
                for root, *rest in _meant(chain, lambda root: given.get(root, []), self):
                    if root not in own:
                        yield (root, *rest)
                    elif rest:
                        yield ("", *rest)  # a method of something of its own

    def chains(self, node: ast.AST) -> Iterator[tuple[str, ...]]:
        """The dotted names that a node may be, also where parts are given as texts.

        Of a condition all branches count, of a literal that is indexed all members.
        """
        waiting: list[tuple[ast.AST, tuple[str, ...]]] = [(node, ())]
        while waiting:
            node, rest = waiting.pop()
            if isinstance(node, ast.Attribute):
                waiting.append((node.value, (node.attr, *rest)))
            elif _is_call(node, "getattr") and (part := _text(node.args, 1)):
                waiting.append((node.args[0], (part, *rest)))
            elif isinstance(node, ast.Subscript):
                part = _text([node.slice], 0)
                kind = self._looked_up(node.value) if part else ""
                if not part or not kind:
                    waiting.append((node.value, rest))
                elif kind == "attribute":
                    waiting.append((_of_dict(node.value), (part, *rest)))
                else:
                    if kind == "module":
                        self.names.imported.setdefault(part, part)
                    yield (part, *rest)
            elif (module := self._imported_by_call(node)) is not None:
                self.names.imported.setdefault(module, module)
                yield (module, *rest)
            elif isinstance(node, ast.Name):
                yield (node.id, *rest)
            elif isinstance(node, _SEVERAL):
                waiting.extend((one, rest) for one in _several(node))
            elif rest:
                yield ("", *rest)

    @staticmethod
    def _looked_up(node: ast.AST) -> str:
        """In what a text is looked up: the notebook's names, all modules, an object's dict."""
        if _is_call(node, "globals") or _is_call(node, "locals"):
            return "name"
        if isinstance(node, ast.Attribute) and node.attr == "modules":
            return "module"
        if _is_call(node, "vars") or (isinstance(node, ast.Attribute) and node.attr == "__dict__"):
            return "attribute"
        return ""

    @staticmethod
    def _imported_by_call(node: ast.AST) -> str | None:
        if _is_call(node, "__import__") or _is_call(node, "import_module"):
            return _text(node.args, 0)
        return None


@lru_cache(maxsize=1024)
def parsed(source: str) -> ast.Module:
    """The cell as IPython would run it; empty where it would not run."""
    try:
        return ast.parse(_as_python(source))
    except _Unparsable:
        return ast.Module([], [])


@lru_cache(maxsize=1024)  # a notebook's cells are read for each name that an exercise asks for
def _statements(source: str) -> tuple[list[ast.AST], list[ast.AST]]:
    """What runs with a cell itself, and all its imports, also those within functions."""
    tree = parsed(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return list(_at_top(tree)), imports


def _as_python(source: str) -> str:
    magic = re.match(r"\s*%%(\w+)[^\n]*\n", source)
    if magic:
        return _as_python(source[magic.end() :]) if magic[1] in _PYTHON_MAGICS else ""
    # A script has comments that end with a question, and nothing of Jupyter need be there.
    if not re.search(r"^\s*[%!?]|[?]\s*$|=\s*[%!]", source, re.MULTILINE) or _is_python(source):
        return source
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except _Unparsable:
        return False
    return True


def _at_top(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements, and assignments within expressions, that run with the cell itself."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.stmt | ast.NamedExpr):
            yield child
        if not isinstance(child, (*_SCOPES, ast.Lambda)):
            yield from _at_top(child)


def _pairs(node: ast.Assign) -> Iterator[tuple[str, ast.AST]]:
    """Each name that an assignment gives a value, with the value, taken out of a tuple."""
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple | ast.List):
            values = node.value.elts if isinstance(node.value, ast.Tuple | ast.List) else []
            same = len(values) == len(target.elts)
            for at, one in enumerate(target.elts):
                if isinstance(one, ast.Name):
                    yield one.id, values[at] if same else node.value


def _values(node: ast.AST) -> Iterable[tuple[str, ast.AST]]:
    """Each name that a statement or an expression gives a value, with the value."""
    if isinstance(node, ast.Assign):
        return _pairs(node)
    if isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name):
        return [(node.target.id, node.value)] if node.value is not None else []
    return []


def _several(node: ast.AST) -> Iterator[ast.AST]:
    """What a node chooses from: the branches of a condition, the members of a literal."""
    for name, value in ast.iter_fields(node):
        if name not in ("test", "keys", "target"):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, ast.expr):
                    yield one


def _meant(
    name: tuple[str, ...], given: Callable[[str], Sequence[ast.AST]], reader: _Reader
) -> Iterator[tuple[str, ...]]:
    """A dotted name, and all that it may be. given: the values that a name has been given."""
    waiting, seen = [name], set[tuple[str, ...]]()
    while waiting and len(seen) < _MOST:
        one = waiting.pop()
        if one not in seen and len(one) < 20:
            seen.add(one)
            yield one
            for value in given(one[0]):
                waiting += [(*other, *one[1:]) for other in reader.chains(value)]


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a definition, and those of texts that it runs; what only names a type is left
    out: an annotation, the second argument of isinstance."""
    yield node
    if _is_call(node, "eval") or _is_call(node, "exec"):
        text = _text(node.args, 0)
        yield from _code(parsed(text)) if text else ()
    if _is_call(node, "isinstance") or _is_call(node, "issubclass"):
        yield from _code(node.args[0]) if node.args else ()
        return
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _code(child)


def _is_call(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    called = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
    return called == name


def _text(nodes: Sequence[ast.AST], at: int) -> str | None:
    """The text that a node holds, if it is there and holds one."""
    node = nodes[at] if at < len(nodes) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [_text([node.left], 0), _text([node.right], 0)]
        return None if None in parts else "".join(map(str, parts))
    return None


def _of_dict(node: ast.AST) -> ast.AST:
    """The object whose dict this is: of `vars(x)` or `x.__dict__`."""
    if isinstance(node, ast.Attribute):
        return node.value
    return node.args[0] if isinstance(node, ast.Call) and node.args else ast.Constant(None)


def _has(module: str, name: str) -> bool:
    """Whether a library's module has this name. No other module is imported for it."""
    if module.partition(".")[0] not in _LIBRARIES:
        return False
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return False


def _is(name: str, wrong: str) -> bool:
    if wrong.startswith("."):
        return name == wrong
    return name == wrong or name.startswith(f"{wrong}.") or fnmatchcase(name, wrong)
