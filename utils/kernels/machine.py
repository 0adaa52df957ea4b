"""A small machine that runs Triton kernels from their text, and records every load and store.

    memory = run(Source("add", {"add": text}), programs=4, arguments=[x, y, out, len(x), 32])
    memory.counts("load", "x_ptr")      # how often each number of x was loaded
    memory.bytes                        # moved in all

It reads the text and executes nothing of it: names are looked up in its own tables, so a text from
anywhere can be run. It is strict where a GPU is careless: what lies outside of an array is an
error, what a mask leaves out is NaN, and programs run in any order. It knows the part of Triton's
language that works number by number, by rows and by columns; no matrix products, no atomics.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST_TEXT, MOST_STEPS, MOST_LANES = 20_000, 400_000, 2**16


class KernelError(Exception):
    """A kernel cannot go on. kind: "memory", "unknown" (to this machine), "wrong" or "undone".

    The message and `why`, the misconception, hold no values; detail may.
    """

    def __init__(self, kind: str, message: str, why: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.why, self.detail = kind, message, why, detail

    def __str__(self) -> str:
        return " ".join(filter(None, [self.message, self.detail, self.why]))


@dataclass(frozen=True)
class Source:
    """A kernel's text, and what it uses of its notebook.

    name: the kernel's; texts: its own and those of the functions that it calls; constants: numbers
    by name; modules: what names stand for, such as {"tl": "tl", "inf": "math.inf"}.
    """

    name: str
    texts: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Access:
    """One load or store of one program: of which array, and at which places, lane by lane."""

    program: tuple[int, ...]
    kind: str
    name: str
    places: np.ndarray


@dataclass
class Memory:
    """What a kernel did to the memory. arrays: those that it was given, by parameter."""

    arrays: dict[str, np.ndarray]
    accesses: list[Access] = field(default_factory=list)

    def counts(self, kind: str, name: str) -> np.ndarray:
        """How often each number of an array was loaded or stored."""
        found = np.zeros(self.arrays[name].size, dtype=np.int64)
        for one in self.accesses:
            if (one.kind, one.name) == (kind, name):
                np.add.at(found, one.places, 1)
        return found

    @property
    def bytes(self) -> int:
        return sum(one.places.size * self.arrays[one.name].itemsize for one in self.accesses)


@dataclass(frozen=True)
class Pointer:
    """Places in the array that a parameter points to."""

    name: str
    array: np.ndarray
    places: Any = 0


@dataclass(frozen=True)
class _PointerType:
    element_ty: np.dtype


@dataclass(frozen=True)
class _Named:
    """A name of the language, of another function of the kernel's, or a method of a value."""

    path: str
    of: Any = None


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


_TYPES = ("int8", "int16", "int32", "int64", "uint8", "float16", "float32", "float64")
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "BitAnd": operator.and_,
    "BitOr": operator.or_,
    "BitXor": operator.xor,
    "LShift": operator.lshift,
    "RShift": operator.rshift,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
    "Eq": operator.eq,
    "NotEq": operator.ne,
}
_EACH: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "log": np.log,
    "log2": np.log2,
    "sqrt": np.sqrt,
    "sqrt_rn": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "floor": np.floor,
    "ceil": np.ceil,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "fdiv": np.true_divide,
    "div_rn": np.true_divide,
    "clamp": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "fma": lambda x, y, z: x * y + z,
    "where": np.where,
}
_ROWS: dict[str, Callable[..., Any]] = {"sum": np.sum, "max": np.max, "min": np.min}
_NUMBERS = {"math.inf": math.inf, "math.nan": math.nan, "math.e": math.e, "math.pi": math.pi}
_NUMBERS |= {"np.inf": math.inf, "torch.inf": math.inf}
_BUILT_IN = ("range", "float", "int", "bool", "min", "max", "abs", "len", "print")
_FLOAT32 = np.dtype(np.float32)
_MASKED = (
    "A mask keeps such lanes away from the memory, as in the last block. Or are the places others?"
)


def run(
    source: Source,
    programs: int | Sequence[int],
    arguments: Sequence[Any],
    order: Sequence[int] | None = None,
) -> Memory:
    """Run a kernel once for each program and return what it did to the memory.

    programs: how many, along up to three axes; arguments: NumPy arrays, which it loads from and
    stores into, and numbers, in the order of the kernel's parameters; order: in which the programs
    run, by number. Raises KernelError.
    """
    machine = _Machine(source)
    grid = [programs] if isinstance(programs, int) else list(programs)
    grid = tuple([*grid, 1, 1][:3])
    if math.prod(grid) > MOST_STEPS:
        raise KernelError("wrong", "There are too many programs.")
    memory = machine.bind(arguments)
    for number in order if order is not None else range(math.prod(grid)):
        machine.program(grid, tuple(int(i) for i in np.unravel_index(number, grid)))
    return memory


class _Machine:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.functions = {name: _parsed(name, text) for name, text in source.texts.items()}
        if source.name not in self.functions:
            raise KernelError("wrong", f"There is no text of `{source.name}`.")
        self.kernel = self.functions[source.name]
        if any(_raises_undone(node) for node in ast.walk(self.kernel)):
            raise KernelError("undone", f"`{source.name}` is not written yet.")
        self.steps, self.depth = 0, 0
        self.line = ""
        self.grid: tuple[int, ...] = (0, 0, 0)
        self.at: tuple[int, ...] = (0, 0, 0)

    def bind(self, arguments: Sequence[Any]) -> Memory:
        names = [a.arg for a in self.kernel.args.args]
        if len(names) != len(arguments) or self.kernel.args.vararg or self.kernel.args.kwonlyargs:
            raise KernelError(
                "wrong",
                f"`{self.source.name}` should have the parameters of its stub.",
                detail=f"It has {len(names)}: {', '.join(names)}; there are {len(arguments)}.",
            )
        pairs = dict(zip(names, arguments, strict=True))
        arrays = {name: a for name, a in pairs.items() if isinstance(a, np.ndarray)}
        self.memory = Memory(arrays)
        compiled = {a.arg for a in self.kernel.args.args if "constexpr" in _annotation(a)}
        compiled |= {name for name in names if name.isupper()}
        self.given = {
            name: Pointer(name, value.reshape(-1))
            if name in arrays
            else np.int64(value)  # known only when it runs
            if type(value) is int and name not in compiled
            else value
            for name, value in pairs.items()
        }
        return self.memory

    def program(self, grid: tuple[int, ...], at: tuple[int, ...]) -> None:
        self.grid, self.at = grid, at
        try:
            with np.errstate(all="ignore"):
                self._body(self.kernel, dict(self.given))
        except KernelError as error:
            error.detail = " ".join(filter(None, [error.detail, self.line]))
            raise
        except RecursionError:
            raise KernelError("wrong", "The kernel is nested too deeply.") from None
        except (TypeError, ValueError, IndexError, OverflowError, ArithmeticError) as error:
            said = f"{type(error).__name__}: {error} {self.line}"
            raise KernelError("wrong", "The kernel cannot go on.", detail=said) from None

    # Statements

    def _body(self, function: ast.FunctionDef, names: dict[str, Any]) -> Any:
        try:
            self._all(function.body, names)
        except _Return as returned:
            return returned.value
        return None

    def _all(self, statements: Sequence[ast.stmt], names: dict[str, Any]) -> None:
        for statement in statements:
            self._step()
            self.line = f"In line {statement.lineno}: {ast.unparse(statement).splitlines()[0]}"
            method = getattr(self, f"_do_{type(statement).__name__}", None)
            if method is None:
                word = type(statement).__name__.lower()
                raise KernelError("unknown", f"The check does not know `{word}` in a kernel.")
            method(statement, names)

    def _do_Pass(self, node: ast.Pass, names: dict[str, Any]) -> None:
        pass

    def _do_Expr(self, node: ast.Expr, names: dict[str, Any]) -> None:
        self.value(node.value, names)

    def _do_Assert(self, node: ast.Assert, names: dict[str, Any]) -> None:
        if not self._truth(node.test, names):
            raise KernelError("wrong", "An assertion of the kernel's does not hold.")

    def _do_Assign(self, node: ast.Assign, names: dict[str, Any]) -> None:
        value = self.value(node.value, names)
        for target in node.targets:
            self._put(target, value, names)

    def _do_AnnAssign(self, node: ast.AnnAssign, names: dict[str, Any]) -> None:
        if node.value is not None:
            self._put(node.target, self.value(node.value, names), names)

    def _do_AugAssign(self, node: ast.AugAssign, names: dict[str, Any]) -> None:
        left = self.value(ast.copy_location(_loaded(node.target), node), names)
        value = self._binary(type(node.op).__name__, left, self.value(node.value, names))
        self._put(node.target, value, names)

    def _do_Return(self, node: ast.Return, names: dict[str, Any]) -> None:
        raise _Return(None if node.value is None else self.value(node.value, names))

    def _do_If(self, node: ast.If, names: dict[str, Any]) -> None:
        self._all(node.body if self._truth(node.test, names) else node.orelse, names)

    def _do_For(self, node: ast.For, names: dict[str, Any]) -> None:
        values = self.value(node.iter, names)
        if not isinstance(values, range):
            raise KernelError("wrong", "A kernel's `for` goes through a range.")
        for value in values:
            self._step()
            self._put(node.target, value, names)
            self._all(node.body, names)

    def _do_While(self, node: ast.While, names: dict[str, Any]) -> None:
        while self._truth(node.test, names):
            self._step()
            self._all(node.body, names)

    def _put(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        if isinstance(target, ast.Name):
            names[target.id] = value
        elif isinstance(target, ast.Tuple) and type(value) is tuple:
            if len(target.elts) != len(value):
                raise KernelError("wrong", "As many names as values are assigned at a time.")
            for one, part in zip(target.elts, value, strict=True):
                self._put(one, part, names)
        elif isinstance(target, ast.Subscript):
            raise KernelError(
                "wrong",
                "A kernel has no item to assign to.",
                "Values of a kernel are whole blocks. Into the memory they go by tl.store.",
            )
        else:
            raise KernelError("unknown", "The check does not know this assignment.")

    def _truth(self, node: ast.expr, names: dict[str, Any]) -> bool:
        value = self.value(node, names)
        if np.ndim(value) > 0:
            raise KernelError(
                "wrong",
                "A block is asked for one truth value.",
                "A block has many truth values: choose with tl.where(condition, a, b), and join"
                " masks with & and |.",
            )
        return bool(value)

    def _step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise KernelError("wrong", "The kernel does not end: it takes far too many steps.")

    # Expressions

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        self._step()
        method = getattr(self, f"_of_{type(node).__name__}", None)
        if method is None:
            word = type(node).__name__
            raise KernelError("unknown", f"The check does not know `{word}` in a kernel.")
        return _sized(method(node, names))

    def _of_Constant(self, node: ast.Constant, names: dict[str, Any]) -> Any:
        if node.value is None or type(node.value) in (int, float, bool, str):
            return node.value
        raise KernelError("unknown", "The check does not know a constant of this kind.")

    def _of_Name(self, node: ast.Name, names: dict[str, Any]) -> Any:
        if node.id in names:
            return names[node.id]
        if node.id in self.functions or node.id in _BUILT_IN:
            return _Named(node.id)
        if node.id in self.source.constants:
            return self.source.constants[node.id]
        if node.id in self.source.modules:
            return self._named(self.source.modules[node.id])
        if node.id in ("tl", "triton", "math", "float"):
            return _Named(node.id)
        raise KernelError(
            "wrong",
            "The kernel uses a name that it does not know.",
            "A kernel knows its parameters, what it assigned, the notebook's numbers, and tl.",
            f"The name is `{node.id}`.",
        )

    def _named(self, path: str) -> Any:
        path = path.replace("triton.language", "tl")
        last = path.rpartition(".")[2]
        if path.startswith("tl.") and last in _TYPES:
            return np.dtype(last)
        if path == "tl.int1":
            return np.dtype(bool)
        return _NUMBERS.get(path, _Named(path))

    def _of_Attribute(self, node: ast.Attribute, names: dict[str, Any]) -> Any:
        of = self.value(node.value, names)
        if isinstance(of, _Named):
            return self._named(f"{of.path}.{node.attr}")
        if isinstance(of, _PointerType) and node.attr == "element_ty":
            return of.element_ty
        if isinstance(of, Pointer) and node.attr == "dtype":
            return _PointerType(of.array.dtype)
        if node.attr in ("shape", "dtype") and isinstance(of, np.ndarray | np.generic):
            return getattr(of, node.attr)
        if node.attr == "T" and isinstance(of, np.ndarray):
            return of.T
        return _Named(node.attr, (of,))

    def _of_Tuple(self, node: ast.Tuple | ast.List, names: dict[str, Any]) -> Any:
        return tuple(self.value(one, names) for one in node.elts)

    _of_List = _of_Tuple

    def _of_IfExp(self, node: ast.IfExp, names: dict[str, Any]) -> Any:
        return self.value(node.body if self._truth(node.test, names) else node.orelse, names)

    def _of_BoolOp(self, node: ast.BoolOp, names: dict[str, Any]) -> Any:
        wanted = isinstance(node.op, ast.Or)
        for one in node.values:
            if self._truth(one, names) == wanted:
                return wanted
        return not wanted

    def _of_UnaryOp(self, node: ast.UnaryOp, names: dict[str, Any]) -> Any:
        if isinstance(node.op, ast.Not):
            return not self._truth(node.operand, names)
        value = self.value(node.operand, names)
        if not _is_number(value):
            raise KernelError("wrong", "Only numbers have a sign.")
        if isinstance(node.op, ast.Invert):
            if type(value) is bool:
                return not value
            return np.invert(value)
        return -value if isinstance(node.op, ast.USub) else value

    def _of_BinOp(self, node: ast.BinOp, names: dict[str, Any]) -> Any:
        left, right = self.value(node.left, names), self.value(node.right, names)
        return self._binary(type(node.op).__name__, left, right)

    def _of_Compare(self, node: ast.Compare, names: dict[str, Any]) -> Any:
        values = [self.value(one, names) for one in (node.left, *node.comparators)]
        if len(node.ops) > 1:
            raise KernelError(
                "wrong",
                "Triton compares two at a time.",
                "Join comparisons with &: (a < b) & (b < c).",
            )
        kind = type(node.ops[0]).__name__
        if kind in ("Is", "IsNot"):
            return (values[0] is values[1]) == (kind == "Is")
        return self._binary(kind, *values)

    def _binary(self, kind: str, left: Any, right: Any) -> Any:
        if isinstance(left, Pointer) or isinstance(right, Pointer):
            return _moved(kind, left, right)
        if kind not in _BINARY or not (_is_number(left) and _is_number(right)):
            what = "power" if kind == "Pow" else "operation"
            raise KernelError("unknown", f"The check does not know this {what} in a kernel.")
        _shape(left, right)
        if kind.endswith("Shift") and np.any((np.asarray(right) < 0) | (np.asarray(right) > 62)):
            raise KernelError("wrong", "A number is shifted by 0 to 62 places.")
        left, right = _as_float(left, right), _as_float(right, left)
        found = _BINARY[kind](left, right)
        if kind == "Div" and _whole(left) and _whole(right):
            return np.float32(found) if np.ndim(found) == 0 else found.astype(np.float32)
        return found

    def _of_Subscript(self, node: ast.Subscript, names: dict[str, Any]) -> Any:
        of = self.value(node.value, names)
        at = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if type(of) is tuple:
            return of[int(self.value(at[0], names))]
        index = []
        for one in at:
            if isinstance(one, ast.Slice) and not (one.lower or one.upper or one.step):
                index.append(slice(None))
            elif isinstance(one, ast.Constant) and one.value is None:
                index.append(None)
            else:
                raise KernelError(
                    "wrong",
                    "A block is not indexed by numbers.",
                    "Of a block only [:, None] and [None, :] are taken. From the memory comes what"
                    " tl.load(x_ptr + offsets) loads.",
                )
        if isinstance(of, Pointer):
            return Pointer(of.name, of.array, np.asarray(of.places)[tuple(index)])
        return np.asarray(of)[tuple(index)]

    def _of_Call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        called = self.value(node.func, names)
        if not isinstance(called, _Named):
            raise KernelError("wrong", "Something is called that is no function.")
        if any(isinstance(one, ast.Starred) for one in node.args):
            raise KernelError("unknown", "The check does not know `*` in a call.")
        args = [*(called.of or ()), *(self.value(one, names) for one in node.args)]
        more = {one.arg: self.value(one.value, names) for one in node.keywords if one.arg}
        if called.path in self.functions:
            return self._function(self.functions[called.path], args, more)
        name = called.path.rpartition(".")[2]
        top = called.path.partition(".")[0]
        known = called.of is not None or top in ("tl", "triton") or called.path in _BUILT_IN
        method = getattr(self, f"_call_{name}", None)
        if called.of is None and called.path in ("max", "min", "abs", "sum"):
            raise KernelError(
                "wrong",
                "Python's own functions do not work on blocks.",
                "tl.maximum compares two blocks number by number; tl.max reduces one block.",
            )
        if not known or top == "np" or "libdevice" in called.path:
            method = None
        elif method is None and name in _EACH:
            return self._each(name, args, more)
        elif method is None and name in _ROWS:
            return self._rows(name, *args, **more)
        if method is None:
            raise KernelError(
                "unknown",
                "The kernel calls what the check does not know.",
                "In a kernel stand functions of tl (triton.language); torch's and NumPy's work on"
                " whole tensors, outside.",
                f"It is `{called.path}`.",
            )
        return method(*args, **more)

    def _function(self, function: ast.FunctionDef, args: list[Any], more: dict[str, Any]) -> Any:
        parameters = [a.arg for a in function.args.args]
        given = dict(zip(parameters, args, strict=False)) | more
        if len(args) > len(parameters) or set(given) != set(parameters):
            raise KernelError(
                "wrong", f"`{function.name}` is called with other arguments than it has."
            )
        self.depth += 1
        if self.depth > 8:
            raise KernelError("wrong", "A kernel's functions cannot call themselves.")
        line = self.line
        found = self._body(function, given)
        self.depth, self.line = self.depth - 1, line
        return found

    def _each(self, name: str, args: list[Any], more: dict[str, Any]) -> Any:
        args += [more.pop(key) for key in ("x", "y", "z", "input", "other") if key in more]
        if not all(_is_number(one) for one in args):
            raise KernelError(
                "wrong",
                f"tl.{name} computes with numbers.",
                "A pointer is a place in the memory: tl.load brings what is there.",
            )
        _shape(*args)
        weak = [a for a in args if isinstance(a, np.ndarray | np.generic)]
        if name == "where" and weak:
            condition, left, right = args
            kinds = [a for a in (left, right) if isinstance(a, np.ndarray | np.generic)]
            kind = np.result_type(*kinds) if kinds else np.dtype(np.float32)
            return np.where(condition, left, right).astype(kind)
        found = _EACH[name](*args)
        return found if weak else (float(found) if isinstance(found, np.floating) else found)

    def _rows(self, name: str, input: Any, axis: Any = None, keep_dims: Any = False) -> Any:
        if isinstance(input, Pointer) or not _is_number(input):
            raise KernelError("wrong", f"tl.{name} takes a block of numbers, not places.")
        return _ROWS[name](np.asarray(input), axis=axis, keepdims=bool(keep_dims))

    # The language, by name

    def _call_program_id(self, axis: Any = 0) -> Any:
        return np.int32(self.at[int(axis)])

    def _call_num_programs(self, axis: Any = 0) -> Any:
        return np.int32(self.grid[int(axis)])

    def _call_arange(self, start: Any, end: Any = None) -> Any:
        if end is None:
            raise KernelError(
                "wrong", "tl.arange takes a start and an end, such as tl.arange(0, BLOCK)."
            )
        if type(start) is not int or type(end) is not int:
            raise KernelError(
                "wrong",
                "tl.arange takes numbers that are known when the kernel is compiled.",
                "A size known at compile time is a parameter with the annotation tl.constexpr:"
                " here BLOCK.",
            )
        count = end - start
        if count < 1 or count & (count - 1):
            raise KernelError(
                "wrong",
                "The length of tl.arange must be a power of 2.",
                "The range is BLOCK long, a power of 2; a mask leaves out what lies beyond.",
            )
        _shape(np.broadcast_to(0, (count,)))
        return np.arange(start, end, dtype=np.int32)

    def _call_load(self, pointer: Any, mask: Any = None, other: Any = None, **hints: Any) -> Any:
        places, active = self._places("load", pointer, mask)
        array = pointer.array
        kept = self._inside("load", pointer, places[active])
        fill = np.nan if array.dtype.kind == "f" else 0
        if other is not None:
            _shape(np.broadcast_to(0, places.shape), other)
            fill = np.broadcast_to(other, places.shape)
        found = np.array(np.broadcast_to(fill, places.shape), dtype=array.dtype)
        found[active] = array[kept]
        return found if found.ndim else found[()]

    def _call_store(self, pointer: Any, value: Any, mask: Any = None, **hints: Any) -> None:
        places, active = self._places("store", pointer, mask)
        if not _is_number(value):
            raise KernelError("wrong", "tl.store takes a place first, and then numbers.")
        if np.broadcast_shapes(places.shape, np.shape(value)) != places.shape:
            raise KernelError("wrong", "tl.store has more values than places.")
        kept = self._inside("store", pointer, places[active])
        pointer.array[kept] = np.broadcast_to(value, places.shape)[active]

    def _places(self, kind: str, pointer: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(pointer, Pointer):
            raise KernelError(
                "wrong",
                f"tl.{kind} is not given a place in the memory.",
                f"tl.{kind} takes pointers: x_ptr + offsets, where x_ptr is the array's beginning.",
            )
        places = np.asarray(pointer.places)
        if mask is None:
            return places, np.ones(places.shape, dtype=bool)
        if np.asarray(mask).dtype.kind != "b":
            raise KernelError(
                "wrong",
                "The mask is no block of truth values.",
                "A mask is a comparison: offsets < n.",
            )
        shape = _shape(places, mask)
        return np.broadcast_to(places, shape), np.broadcast_to(mask, shape)

    def _inside(self, kind: str, pointer: Pointer, places: np.ndarray) -> np.ndarray:
        size = pointer.array.size
        outside = places[(places < 0) | (places >= size)]
        if outside.size:
            verb = "loads from" if kind == "load" else "stores to"
            raise KernelError(
                "memory",
                f"The kernel {verb} places outside of `{pointer.name}`.",
                _MASKED,
                f"Program {self.at[0]} {verb} place {int(outside[0])} of an array of {size}.",
            )
        self.memory.accesses.append(
            Access(self.at, kind, pointer.name, np.array(places).reshape(-1))
        )
        if len(self.memory.accesses) > MOST_STEPS // 10:
            raise KernelError("wrong", "The kernel does not end: it takes far too many steps.")
        return places

    def _call_zeros(self, shape: Any, dtype: Any = _FLOAT32) -> Any:
        return self._call_full(shape, 0, dtype)

    def _call_full(self, shape: Any, value: Any, dtype: Any = _FLOAT32) -> Any:
        shape = tuple(int(n) for n in (shape if type(shape) is tuple else (shape,)))
        _shape(np.broadcast_to(0, shape))
        return np.full(shape, value, dtype)

    def _call_zeros_like(self, input: Any) -> Any:
        return np.zeros_like(np.asarray(input))

    def _call_broadcast_to(self, input: Any, *shape: Any) -> Any:
        shape = shape[0] if type(shape[0]) is tuple else shape
        _shape(np.broadcast_to(0, shape))
        return np.broadcast_to(input, shape)

    def _call_to(self, input: Any, dtype: Any, **hints: Any) -> Any:
        kind = dtype.element_ty if isinstance(dtype, _PointerType) else np.dtype(dtype)
        return np.asarray(input).astype(kind)[()]

    _call_cast = _call_to

    def _call_cdiv(self, x: Any, y: Any) -> Any:
        return -(-x // y)

    def _call_next_power_of_2(self, n: Any) -> Any:
        return 1 << (int(n) - 1).bit_length()

    def _call_multiple_of(self, input: Any, values: Any) -> Any:
        return input

    _call_max_contiguous = _call_multiple_of

    def _call_debug_barrier(self) -> None:
        pass

    def _call_constexpr(self, value: Any) -> Any:
        return value

    def _call_static_assert(self, condition: Any, message: Any = "") -> None:
        pass

    def _call_static_print(self, *values: Any, **more: Any) -> None:
        pass

    _call_device_assert, _call_device_print, _call_print = (
        _call_static_assert,
        _call_static_print,
        _call_static_print,
    )

    def _call_range(self, start: Any, end: Any = None, step: Any = 1, **hints: Any) -> range:
        first, last = (0, start) if end is None else (start, end)
        return range(int(first), int(last), int(step))

    _call_static_range = _call_range

    def _call_float(self, value: Any = 0.0) -> Any:
        return float(value)

    def _call_int(self, value: Any = 0) -> Any:
        return int(value)

    def _call_bool(self, value: Any = False) -> Any:
        return bool(value)

    def _call_len(self, value: Any) -> Any:
        return len(value)


def _parsed(name: str, text: str) -> ast.FunctionDef:
    if len(text) > MOST_TEXT:
        raise KernelError("unknown", f"The text of `{name}` is too long.")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise KernelError("wrong", f"The text of `{name}` is no Python.") from None
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    if not found:
        raise KernelError("wrong", f"`{name}` should be a function, written with def.")
    return found[-1]


def _annotation(parameter: ast.arg) -> str:
    return "" if parameter.annotation is None else ast.unparse(parameter.annotation)


def _as_float(value: Any, beside: Any) -> Any:
    """A whole number of the kernel's has the dtype of the block of floats that it meets."""
    kind = getattr(beside, "dtype", np.dtype(int))
    if kind.kind == "f" and isinstance(value, np.ndarray | np.generic) and _whole(value):
        return value.astype(kind)
    return value


def _raises_undone(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and "NotImplementedError" in ast.unparse(node)


def _loaded(target: ast.expr) -> ast.expr:
    return ast.Name(target.id, ast.Load()) if isinstance(target, ast.Name) else target


def _is_number(value: Any) -> bool:
    return type(value) in (int, float, bool) or isinstance(value, np.ndarray | np.generic)


def _whole(value: Any) -> bool:
    return type(value) in (int, bool) or getattr(value, "dtype", np.dtype(float)).kind in "biu"


def _shape(*values: Any) -> tuple[int, ...]:
    """The shape that they have together; a KernelError if there is none, or it is too large."""
    try:
        shape = np.broadcast_shapes(*(np.shape(one) for one in values))
    except ValueError:
        detail = f"Their shapes are {' and '.join(str(np.shape(one)) for one in values)}."
        raise KernelError("wrong", "Two blocks do not fit together.", detail=detail) from None
    if math.prod(shape) > MOST_LANES:
        raise KernelError("wrong", "A block is too large.")
    return shape


def _sized(value: Any) -> Any:
    if type(value) is int and value.bit_length() > 63:
        raise KernelError("wrong", "A whole number is too large.")
    if isinstance(value, np.ndarray) and value.size > MOST_LANES:
        raise KernelError("wrong", "A block is too large.")
    return value


def _moved(kind: str, left: Any, right: Any) -> Any:
    """A pointer and whole numbers make a pointer further on."""
    pointer, by = (left, right) if isinstance(left, Pointer) else (right, left)
    if isinstance(by, Pointer) or kind not in ("Add", "Sub"):
        raise KernelError(
            "wrong",
            "The kernel computes with a pointer as if it were a number.",
            "A pointer is a place in the memory: tl.load brings what is there.",
        )
    if not _is_number(by) or not _whole(by):
        raise KernelError("wrong", "A pointer moves by whole numbers.")
    _shape(pointer.places, by)
    step = np.asarray(by).astype(np.int64)
    return Pointer(pointer.name, pointer.array, pointer.places + (step if kind == "Add" else -step))
