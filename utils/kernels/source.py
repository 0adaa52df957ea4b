"""The text of a kernel, found beside the function; plain, so that it can travel."""

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from utils.kernels.machine import KernelError, Source


def read(kernel: Any) -> Source:
    """The text of a kernel and of the functions that it calls, and the numbers that it uses.

    Raises KernelError if it is no function, or its text is nowhere to be found.
    """
    function = function_of(kernel)
    texts, waiting = {}, [function]
    constants: dict[str, Any] = {}
    modules: dict[str, str] = {}
    while waiting and len(texts) < 20:
        one = waiting.pop()
        if one.__name__ in texts:
            continue
        texts[one.__name__] = text = _text(one)
        for name in _mentioned(text):
            value = one.__globals__.get(name)
            if type(getattr(value, "value", value)) in (int, float, bool):  # a tl.constexpr has one
                constants[name] = getattr(value, "value", value)
            elif path := _path(name, value):
                modules[name] = path
            elif _is_kernel(value) and function_of(value).__globals__ is one.__globals__:
                waiting.append(function_of(value))
    return Source(function.__name__, texts, constants, modules)


def plain(kernel: Any) -> dict[str, Any]:
    """What `read` finds, as plain values."""
    found = read(kernel)
    parts = found.texts, found.constants, found.modules
    return {"name": found.name, "parts": [dict(one) for one in parts]}


def of_plain(found: Any) -> Source:
    """What `plain` made, from wherever it comes; a KernelError if it has not that form."""
    form = type(found) is dict and set(found) == {"name", "parts"}
    form = form and type(found["name"]) is str and type(found["parts"]) is list
    form = form and [type(one) for one in found["parts"]] == [dict] * 3
    if form:
        texts, constants, modules = found["parts"]
        form = all(type(one) is str for one in [*texts, *texts.values(), *constants])
        form = form and all(type(one) is str for one in [*modules, *modules.values()])
        form = form and all(type(one) in (int, float, bool) for one in constants.values())
        form = form and len(texts) <= 20
        if form:
            return Source(found["name"], texts, constants, modules)
    raise KernelError("wrong", "That is no text of a kernel.")


def function_of(kernel: Any) -> types.FunctionType:
    """The Python function that `jit` was given."""
    found = getattr(kernel, "fn", kernel)
    if not isinstance(found, types.FunctionType):
        raise KernelError("wrong", "That is no kernel: a kernel is a function, written with def.")
    return found


def _is_kernel(value: Any) -> bool:
    return isinstance(getattr(value, "fn", value), types.FunctionType)


def _path(name: str, value: Any) -> str:
    """What a name stands for in a library: "tl" for triton.language, "math.inf", …"""
    if isinstance(value, types.ModuleType | types.SimpleNamespace):
        found = str(getattr(value, "__name__", ""))
        known = {"triton.language": "tl", "triton": "triton", "math": "math", "numpy": "np"}
        return known.get(found, found)
    where = str(getattr(value, "__module__", "") or "")
    return f"tl.{name}" if where.startswith("triton.language") else ""


def _mentioned(text: str) -> list[str]:
    names = [node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)]
    return list(dict.fromkeys(names))


def _text(function: types.FunctionType) -> str:
    for text in _candidates(function):
        for node in _definitions(text, function.__name__):
            if _same(node, function):
                start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                lines = text.splitlines()[start - 1 : node.end_lineno]
                node.decorator_list = []
                return (
                    textwrap.dedent("\n".join(lines)) if start == node.lineno else ast.unparse(node)
                )
    name = function.__name__
    if name == "<lambda>":
        raise KernelError("wrong", "A kernel is a function with a name, written with def.")
    raise KernelError("wrong", f"The text of `{name}` is nowhere to be found: run its cell again.")


def _candidates(function: types.FunctionType) -> Iterator[str]:
    """Texts in which the function may be defined: its own, the notebook's cells, its file."""
    with suppress(OSError, TypeError, IndentationError, SyntaxError):
        yield textwrap.dedent(inspect.getsource(function))
    names: Mapping[str, Any] = function.__globals__
    cells = names.get("In")
    if isinstance(cells, list):
        yield from (cell for cell in reversed(cells) if isinstance(cell, str))
    file = names.get("__file__")
    if isinstance(file, str) and Path(file).is_file():
        yield Path(file).read_text(encoding="utf-8")


def _definitions(text: str, name: str) -> list[ast.FunctionDef]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [node for node in found if node.name == name][::-1]


def _same(node: ast.FunctionDef, function: types.FunctionType) -> bool:
    """Whether a definition is that of the function: it has the same names and constants. (The code
    itself may differ: an attribute of what the same file imports is compiled in another way.)"""
    bare = ast.FunctionDef(**{key: getattr(node, key) for key in node._fields})
    bare.decorator_list, bare.returns = [], None
    module = ast.fix_missing_locations(ast.Module([ast.copy_location(bare, node)], []))
    for code in compile(module, "<kernel>", "exec", dont_inherit=True).co_consts:
        if isinstance(code, types.CodeType) and code.co_name == node.name:
            own = function.__code__
            parts = ("co_names", "co_varnames", "co_consts")
            return all(getattr(code, part) == getattr(own, part) for part in parts)
    return False
