"""Comparisons that explain themselves: each passes in silence or raises a `Fault`.

    expect.close(got, w + lr * y * x, what="w", given={"w": w, "x": x},
                 knows=MISTAKES.call("perceptron_update", w, b, x, y, lr))

`knows` is pairs of a misconception, in a sentence, and the wrong value that it leads to; it is
asked only after a mismatch. Faults of type, shape, dtype and value are told apart. Only exact plain
types are compared, so no answer can bring an `==` of its own.
"""

import copy
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from grading.answer.fault import Fault
from grading.answer.student import Student, call_again, mutated_arguments, twice
from grading.checks import pattern
from grading.checks.mistakes import Table

Given = str | Mapping[str, Any]
Knows = Iterable[tuple[str, Any]] | Mapping[str, Any] | None
What = str | tuple[str, ...]

_BOOLS = (bool, np.bool_)
_FORMATS: Any = {"float_kind": lambda number: f"{number + 0.0:.4g}"}  # no -0


def close(
    got: Any,
    expected: Any,
    *,
    what: What = "the result",
    given: Given = "",
    knows: Knows = None,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    dtype: str | None = None,
) -> None:
    """`got` equals `expected` up to rtol and atol (as `numpy.isclose` has them).

    expected: a number, an array or a tensor, or lists, tuples and dicts of them, compared one by
    one; what: its name in messages, for a tuple the names of its members. dtype: the name of the
    dtype that arrays must have, where that matters.
    """
    try:
        _close(got, expected, what, rtol, atol, dtype)
    except Fault as fault:
        fault.given = _given(given)
        fault.expected = _named(what, expected)
        fault.got = _named(what if fault.kind in ("value", "dtype") else "", got)
        fault.diagnosis = _known(got, knows, max(rtol, 1e-9), atol) or fault.diagnosis
        raise


def equal(
    got: Any,
    expected: Any,
    *,
    what: What = "the result",
    given: Given = "",
    knows: Knows = None,
) -> None:
    """`got` is exactly `expected`: strings, integers, truth values, and arrays or lists of them."""
    close(got, expected, what=what, given=given, knows=knows, rtol=0.0, atol=0.0)


def that(
    condition: Any,
    message: str,
    *,
    given: Given = "",
    detail: str = "",
    diagnosis: str = "",
    kind: str = "value",
) -> None:
    """`condition` holds. `message` and `diagnosis` must hold no values (graded feedback has them);
    `given` and `detail` may."""
    if not bool(condition):
        raise Fault(kind, message, diagnosis=diagnosis, detail=detail, given=_given(given))


def answers(
    student: Student,
    mistakes: Table,
    name: str,
    given: Mapping[str, Any],
    *,
    what: What = "the result",
    exercise: str = "",
    rtol: float = 1e-6,
    atol: float = 1e-8,
    dtype: str | None = None,
) -> Any:
    """The student's function `name` does what the right answer of that name does; its result.

    It is called twice with the same arguments: what it changes in them, or keeps for the next time,
    makes the second result another. given: the arguments in order, by the names that messages use;
    mistakes: the lab's, recognised by their value; exercise: whose they are, if not `name`'s.
    """
    args = list(given.values())
    right = getattr(mistakes.right, name)(*copy.deepcopy(args))
    of = lambda own: getattr(own, name)(*copy.deepcopy(args))  # noqa: E731
    knows = mistakes.values(exercise or name, of, name)
    got = getattr(twice(student), name)(*args)
    with otherwise(_changed(mutated_arguments(student))):
        close(got, right, what=what, given=given, knows=knows, rtol=rtol, atol=atol, dtype=dtype)
    unchanged(student, right, given=given, rtol=rtol, atol=atol)
    return got


def form(got: Any, like: Any, *, what: str = "the report", given: Given = "") -> Any:
    """`got` has the form of `like`, down to lengths, shapes and types, and finite numbers where
    those of `like` are finite; returns it. For what a probe reports, before anything is made of it.
    """
    _form(got, like, what, given)
    return got


def number(got: Any, *, what: str = "the result", given: Given = "") -> float:
    """`got` is one finite real number; returns it as a float."""
    if not _is_number(got):
        raise _type_fault(what, "a number", got, given)
    value = float(got)
    if not math.isfinite(value):
        raise Fault(
            "value", f"{_subject(what)} is {value}, not a finite number.", given=_given(given)
        )
    return value


def array(
    got: Any, shape: Sequence[int | None], *, what: str = "the result", given: Given = ""
) -> np.ndarray:
    """`got` is an array of finite real numbers of this shape (None: any length); returns it."""
    if type(got) is not np.ndarray or got.dtype.kind not in "biuf":
        raise _type_fault(what, "a NumPy array of numbers", got, given)
    if len(shape) != got.ndim or any(
        n not in (None, m) for n, m in zip(shape, got.shape, strict=True)
    ):
        sizes = ["any" if n is None else str(n) for n in shape]
        wanted = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
        raise _shape_fault(what, wanted, got.shape, given)
    if not np.isfinite(got).all():
        message = f"{_subject(what)} holds values that are not finite (NaN or infinity)."
        raise Fault("value", message, given=_given(given), got=show(got))
    return got


def items(
    got: Any, count: int, *, what: str = "the result", given: Given = "", kind: str = "tuple"
) -> Sequence[Any]:
    """`got` is a tuple or list of `count` members; returns it, to be taken apart."""
    if type(got) not in (tuple, list):
        raise _type_fault(what, f"a {kind} of {count}", got, given)
    if len(got) != count:
        message = f"{_subject(what)} should have {count} members and has {len(got)}."
        raise Fault("type", message, given=_given(given))
    return got


def answer(
    student: Student, name: str, right: float, known: Mapping[str, float], how: str, *, rtol: float
) -> None:
    """The number that the student wrote down under `name` is `right`, within rtol.

    A wrong one is not told the right one: it is told what leads to the number given (`known`, by
    diagnosis), or how to find the right one.
    """
    got = number(student[name], what=f"`{name}`")
    if abs(got - right) > rtol * abs(right):
        near = [why for why, wrong in known.items() if abs(got - wrong) <= rtol * abs(wrong)]
        raise Fault(
            "value", f"`{name}` is not right yet.", near[0] if near else how, got=f"{got:g}"
        )


def choice(student: Student, name: str, right: str, wrong: Mapping[str, str]) -> None:
    """The word that the student chose under `name` is `right`; each wrong one has a reply."""
    given, choices = student[name], sorted([right, *wrong])
    got = given.strip().lower() if type(given) is str else ""
    if got not in choices:
        listed = ", ".join(f'"{one}"' for one in choices)
        raise Fault("value", f"`{name}` should be one of {listed}.", got=show(given))
    if got != right:
        raise Fault("value", f"`{name}` is not right yet.", wrong[got], got=f'"{got}"')


@contextmanager
def otherwise(diagnosis: str = "", *, exception: str = "", shape: str = "") -> Iterator[None]:
    """Gives a diagnosis to a fault in the block that has none.

    exception, shape: for a fault of that kind; diagnosis: for a result that is wrong in any way. What
    raised gave no result, so it has none that could be evidence.
    """
    try:
        yield
    except Fault as fault:
        of_result = diagnosis if fault.kind in ("type", "shape", "dtype", "value") else ""
        of_kind = {"exception": exception, "shape": shape}.get(fault.kind)
        fault.diagnosis = fault.diagnosis or of_kind or of_result
        raise


@contextmanager
def explained(*causes: tuple[str, str]) -> Iterator[None]:
    """Gives what the learner's code raised a diagnosis, where it has none.

    causes: (a piece of the exception's text, the diagnosis); the first that fits counts.
    """
    try:
        yield
    except Fault as fault:
        if fault.kind == "exception" and not fault.diagnosis:
            near = [why for piece, why in causes if piece in fault.detail]
            fault.diagnosis = near[0] if near else ""
        raise


_NOTHING = object()


def alike(
    got: Any, value: Any, *, rtol: float = 1e-6, atol: float = 1e-8, dtype: str | None = None
) -> bool:
    """Whether `close` would pass."""
    try:
        _close(got, value, "", rtol, atol, dtype)
    except Fault:
        return False
    return True


@contextmanager
def recognised(
    got: Any, knows: Knows, *, rtol: float = 1e-6, atol: float = 1e-8, only: bool = False
) -> Iterator[None]:
    """A fault in the block gets the diagnosis of the mistake that explains all of `got`.

    only: a wrong value that no mistake explains whole gets no diagnosis; else it keeps what the
    part of `got` looks like in which it was found.
    """
    try:
        yield
    except Fault as fault:
        if only and fault.kind == "value" and "NaN" not in fault.message:
            fault.diagnosis = ""
        fault.diagnosis = _known(got, knows, rtol, atol) or fault.diagnosis
        raise


@contextmanager
def recognised_by_all(
    student: Student,
    mistakes: Table,
    name: str,
    cases: Sequence[tuple[Any, ...]],
    *,
    exercise: str = "",
    rtol: float = 1e-6,
    atol: float = 1e-8,
    only: bool = True,
) -> Iterator[None]:
    """A fault in the block gets the diagnosis of the mistake that explains what the student's
    function `name` gives for all `cases`, its arguments: by one case some mistakes are alike.
    exercise: whose mistakes they are, if not `name`'s; only: as in `recognised`."""
    call = lambda own, case: getattr(own, name)(*copy.deepcopy(case))  # noqa: E731
    try:
        yield
    except Fault:
        got = None
        with suppress(Fault):  # the fault of the block is told, not that of another case
            got = [call(student, case) for case in cases]
        if alike(got, [call(mistakes.right, case) for case in cases], rtol=rtol, atol=atol):
            raise  # right values: a mistake in another function of the exercise has them, too
        of = gives(got, cases, call, rtol=rtol, atol=atol)
        knows = mistakes.values(exercise or name, of, name)
        with recognised(got, knows, rtol=rtol, atol=atol, only=only):
            raise


def gives(
    got: Any,
    cases: Sequence[Any],
    call: Callable[[Any, Any], Any],
    *,
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> Callable[[Any], Any]:
    """For `Table.values`: what a mistake gives for all cases, if that is `got`.

    got: the learner's values, one for each case, or None; call: (names, case) → the value. The
    first case in which a mistake gives another value ends it: most end with the first of all.
    """

    def of(own: Any) -> Any:
        for one, case in zip(got or (), cases, strict=True):
            if not alike(one, call(own, case), rtol=rtol, atol=atol):
                raise LookupError("not this mistake")
        return got

    return of


def unchanged(
    student: Student,
    right: Any = _NOTHING,
    *,
    given: Given = "",
    rtol: float = 1e-6,
    atol: float = 1e-8,
) -> None:
    """The student's last call left its arguments as they were.

    right: what the call was to return. The same call on the very same arguments must return it
    again, which is evidence; that they look unchanged is only what the student's process says.
    """
    changed = _changed(mutated_arguments(student))
    if changed:
        raise Fault(
            "value",
            changed,
            "What is changed in place (`w += …`, `.pop()`, `.sort()`) is the caller's own: build a"
            " new one.",
            given=_given(given),
        )
    if right is not _NOTHING:
        again = call_again(student)
        try:
            close(again, right, given=given, rtol=rtol, atol=atol)
        except Fault:
            raise Fault(
                "value",
                "Called again with the very same arguments, it returns something else.",
                "It changes an argument in place, or keeps something from one call to the next.",
                given=_given(given),
            ) from None


def _changed(names: Sequence[str]) -> str:
    """Says so where a call changed its arguments, as far as the student's process says."""
    listed = " and ".join(f"`{name}`" for name in names)
    return f"The call changed its argument {listed} in place." if names else ""


def show(value: Any) -> str:
    """A value as short text: small arrays whole, large ones by shape and their first numbers."""
    if type(value) is Student:
        return f"<{value._type_name} object>"
    if _is_tensor(value):
        return f"tensor {show(_as_array(value))}"
    if type(value) is np.ndarray:
        large = value.size > 24
        numbers = value.ravel() if large and value.ndim > 2 else value
        text = np.array2string(
            numbers,
            separator=", ",
            threshold=24,
            edgeitems=3,
            max_line_width=76,
            formatter=_FORMATS,
        )
        return f"{text}  shape {value.shape}" if large else text
    if isinstance(value, float | np.floating):
        number = float(value) + 0.0  # no -0
        whole = number.is_integer() and abs(number) < 1e15
        return str(int(number)) if whole else f"{number:.6g}"
    if isinstance(value, np.generic):
        return str(value.item())
    if type(value) is tuple:
        return "(" + ", ".join(show(item) for item in value) + ("," * (len(value) == 1)) + ")"
    if type(value) is list:
        shown = ", ".join(show(item) for item in value[:8])
        return f"[{shown}{', …' * (len(value) > 8)}]"
    if type(value) is dict:
        return "{" + ", ".join(f"{k!r}: {show(v)}" for k, v in list(value.items())[:8]) + "}"
    text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"


def _close(
    got: Any, expected: Any, what: What, rtol: float, atol: float, dtype: str | None
) -> None:
    if isinstance(expected, tuple | list):
        whole = what if isinstance(what, str) else f"the result ({', '.join(what)})"
        items(got, len(expected), what=whole, kind=type(expected).__name__)
        for i, (one, other) in enumerate(zip(got, expected, strict=True)):
            name = _item(i, what) if isinstance(what, str) else what[i]
            _close(one, other, name, rtol, atol, dtype)
        return
    what = what if isinstance(what, str) else ", ".join(what)
    if expected is None:
        raise ValueError("None is not a value to expect: the runner reads it as not done")
    if isinstance(expected, dict):
        if type(got) is not dict:
            raise _type_fault(what, "a dict", got)
        if got.keys() != expected.keys():
            message = f"{_subject(what)} should have exactly the keys {list(expected)}."
            raise Fault("type", message)
        for key in expected:
            _close(got[key], expected[key], _item(key, what), rtol, atol, dtype)
    elif isinstance(expected, bool | np.bool_ | str):
        kinds, name = (
            ((str,), "a string") if isinstance(expected, str) else (_BOOLS, "True or False")
        )
        if type(got) not in kinds:
            raise _type_fault(what, name, got)
        if got != expected:
            raise Fault("value", f"{_subject(what)} is not what it should be.")
    elif isinstance(expected, int | float | np.number):
        if not _is_number(got):
            raise _type_fault(what, "a number", got)
        _compare(np.asarray(_as_array(got)).reshape(()), np.asarray(expected), what, rtol, atol)
    else:
        _close_arrays(got, expected, what, rtol, atol, dtype)


def _form(got: Any, like: Any, what: str, given: Given) -> None:
    if isinstance(like, tuple | list | dict):
        if type(got) is not type(like):
            raise _type_fault(what, f"a {type(like).__name__} of {len(like)}", got, given)
        if len(got) != len(like) or (isinstance(like, dict) and set(got) != set(like)):
            message = f"{_subject(what)} should have {len(like)} members and has {len(got)}."
            raise Fault("type", message, given=_given(given))
        keys = list(like) if isinstance(like, dict) else range(len(like))
        for key in keys:
            _form(got[key], like[key], _item(key, what), given)
    elif isinstance(like, bool | np.bool_ | str):
        kinds = (str,) if isinstance(like, str) else _BOOLS
        if type(got) not in kinds:
            raise _type_fault(what, "a string" if kinds == (str,) else "True or False", got, given)
    elif isinstance(like, int | float | np.number):
        if math.isfinite(like):
            number(got, what=what, given=given)
        elif not _is_number(got):
            raise _type_fault(what, "a number", got, given)
    else:
        _form_array(got, like, what, given)


def _form_array(got: Any, like: Any, what: str, given: Given) -> None:
    if _is_tensor(like) != _is_tensor(got) or not (_is_tensor(got) or type(got) is np.ndarray):
        wanted = "a torch tensor" if _is_tensor(like) else "a NumPy array"
        raise _type_fault(what, wanted, got, given)
    if tuple(got.shape) != tuple(like.shape):
        raise _shape_fault(what, str(tuple(like.shape)), tuple(got.shape), given)
    ours, theirs = _as_array(like), _as_array(got)
    if ours.dtype.kind in "biuf" and theirs.dtype.kind not in "biuf":
        raise Fault("dtype", f"{_subject(what)} should hold real numbers.", given=_given(given))
    if np.isfinite(ours).all() and not np.isfinite(theirs).all():
        message = f"{_subject(what)} holds values that are not finite (NaN or infinity)."
        raise Fault("value", message, given=_given(given))


def _close_arrays(
    got: Any, expected: Any, what: str, rtol: float, atol: float, dtype: str | None
) -> None:
    if _is_tensor(expected):
        if not _is_tensor(got):
            raise _type_fault(what, "a torch tensor", got)
    elif type(got) is not np.ndarray:
        raise _type_fault(what, "a NumPy array", got)
    if dtype is not None and str(got.dtype).removeprefix("torch.") != dtype:
        message = f"{_subject(what)} should have dtype {dtype} and has {got.dtype}."
        raise Fault("dtype", message)
    if tuple(got.shape) != tuple(expected.shape):
        raise _shape_fault(what, str(tuple(expected.shape)), tuple(got.shape))
    ours, theirs = _as_array(expected), _as_array(got)
    if theirs.dtype.kind not in "biufc":
        raise Fault("dtype", f"{_subject(what)} should hold numbers and has dtype {theirs.dtype}.")
    _compare(theirs, ours, what, rtol, atol)


def _compare(got: np.ndarray, expected: np.ndarray, what: str, rtol: float, atol: float) -> None:
    def same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return _isclose(one, other, rtol, atol)

    wrong = ~same(got, expected)
    if not wrong.any():
        return
    if np.isnan(got).any() and not np.isnan(expected).any():
        raise Fault(
            "value",
            f"{_subject(what)} holds NaN, “not a number”.",
            "NaN comes from 0/0, ∞ − ∞, ∞ · 0 or the logarithm of a negative number.",
        )
    fault = Fault("value", f"{_subject(what)} has the wrong value.")
    fault.diagnosis = pattern.relation(got, expected, same, rtol)
    if got.size > 8:
        count = int(wrong.sum())
        everywhere = "everywhere" if count == got.size else "in some places"
        first = tuple(int(i) for i in np.argwhere(wrong)[0])
        fault.message = f"{_subject(what)} is wrong {everywhere}."
        fault.detail = (
            f"{count} of {got.size} values differ; the first is at"
            f" [{', '.join(map(str, first))}]: expected {show(expected[first])},"
            f" yours {show(got[first])}."
        )
    fault.guess = pattern.places(got, expected, same)
    raise fault


def _isclose(got: np.ndarray, expected: np.ndarray, rtol: float, atol: float) -> np.ndarray:
    if got.dtype.kind in "biu" and expected.dtype.kind in "biu":
        got, expected = got.astype(np.int64), expected.astype(np.int64)
    with np.errstate(all="ignore"):
        return np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)


def _known(got: Any, knows: Knows, rtol: float, atol: float) -> str:
    pairs: Any = knows.items() if isinstance(knows, Mapping) else knows or ()
    matching = (why for why, value in pairs if alike(got, value, rtol=rtol, atol=atol))
    return next(matching, "")


def _type_fault(what: str, wanted: str, got: Any, given: Given = "") -> Fault:
    if type(got) is Student:
        kind = f"an object of type {got._type_name}"
    elif got is None:
        kind = "None (is a return missing?)"
    elif type(got) is np.ndarray:
        kind = f"a NumPy array of shape {got.shape} and dtype {got.dtype}"
    elif _is_tensor(got):
        kind = f"a torch tensor of shape {tuple(got.shape)}"
    else:
        name = type(got).__name__
        kind = f"an {name}" if name[0] in "aeiou" else f"a {name}"
    return Fault("type", f"{_subject(what)} should be {wanted} and is {kind}.", given=_given(given))


def _shape_fault(what: str, wanted: str, shape: tuple[int, ...], given: Given = "") -> Fault:
    fault = Fault("shape", f"{_subject(what)} should have shape {wanted} and has {shape}.")
    fault.given = _given(given)
    if len(shape) == 2 and str(shape[::-1]) == wanted and shape[0] != shape[1]:
        fault.diagnosis = "The shape is the transpose of what it should be."
    return fault


_PHRASES = "the ", "item ", "what "  # how a phrase begins that names a value; else it is code


def _item(key: object, of: str) -> str:
    return f"item {key!r} of {of}" if of.startswith(_PHRASES) else f"{of}[{key!r}]"


def _subject(what: str) -> str:
    return what[0].upper() + what[1:] if what.startswith(_PHRASES) else what


def _named(what: What, value: Any) -> str:
    if isinstance(what, tuple):
        return ", ".join(_named(name, item) for name, item in zip(what, value, strict=True))
    text = show(value)
    return text if what in ("", "the result") else f"{what} = {text}"


def _given(given: Given) -> str:
    if isinstance(given, str):
        return given
    listed = ", ".join(f"{name} = {show(value)}" for name, value in given.items())
    return f"For {listed}."


def _is_number(value: Any) -> bool:
    if type(value) in (int, float):
        return True
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return value.shape == () and value.dtype.kind in "iuf"
    if not _is_tensor(value) or value.ndim or value.is_complex():
        return False
    return str(value.dtype) != "torch.bool"


def _as_array(value: Any) -> np.ndarray:
    if _is_tensor(value):
        value = value.detach()
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    array = np.asarray(value)
    if array.dtype.kind == "O" and _is_number(value):  # an integer that no dtype holds
        array = np.asarray(math.copysign(math.inf, value))
    return array


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and type(value) is torch.Tensor
