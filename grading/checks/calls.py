"""Library calls in the source of an answer, for exercises whose work one call would do.

A rule of thumb, and told as one: it finds what is written plainly (`F.conv2d`, `from torch import
conv2d`), in the answer and in the notebook's own functions that the answer uses. It runs nothing.
"""

import ast
from collections.abc import Iterable, Iterator, Sequence

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assign


def found(cells: Iterable[str], name: str, forbidden: Sequence[str]) -> list[str]:
    """The forbidden library names that the definition of `name` reaches, in full, sorted.

    cells: the sources of a notebook, in order; of two definitions the later counts. forbidden: full
    names, `torch.nn.functional.conv2d`; a package, `torch`, stands for all that is in it.
    """
    imported: dict[str, str] = {}
    defined: dict[str, _Definition] = {}
    for tree in _trees(cells):
        imported |= _imports(tree)
        defined |= _definitions(tree)
    used, seen, open_names = set(), set(), [name]
    while open_names:
        one = open_names.pop()
        if one in seen or one not in defined:
            continue
        seen.add(one)
        for root, *rest in _chains(defined[one]):
            open_names.append(root)
            if root in imported:
                used.add(".".join([imported[root], *rest]))
    return sorted(name for name in used if any(_within(name, wrong) for wrong in forbidden))


def _trees(cells: Iterable[str]) -> Iterator[ast.Module]:
    for source in cells:
        try:
            yield ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # a cell that does not run defines nothing; one with a magic is not read


def _imports(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for: {"F": "torch.nn.functional"}."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or whole] = whole
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def _definitions(tree: ast.Module) -> dict[str, _Definition]:
    names: dict[str, _Definition] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = node
        elif isinstance(node, ast.Assign):
            names |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return names


def _chains(definition: _Definition) -> Iterator[tuple[str, ...]]:
    """Each dotted name that it takes from outside, `("F", "conv2d")`, annotations left out."""
    nodes = list(_code(definition))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        names, root = [], node
        while isinstance(root, ast.Attribute):
            names.append(root.attr)
            root = root.value
        if isinstance(root, ast.Name) and root.id not in own and id(node) not in inner:
            yield (root.id, *reversed(names))


def _code(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for field, value in ast.iter_fields(node):
        if field not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _code(child)


def _within(name: str, wrong: str) -> bool:
    return name == wrong or name.startswith(f"{wrong}.")
