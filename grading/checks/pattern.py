"""Where a wrong array differs from the right one, and how, in plain words: facts, never guesses.

`relation` names a simple relation that all values have; `places` says where the wrong ones are, or
where the right ones went. Both say nothing about fewer values than a chance would explain.
"""

from collections.abc import Callable, Iterator

import numpy as np

Same = Callable[[np.ndarray, np.ndarray], np.ndarray]  # where two arrays are equal, by tolerance
_ENOUGH = 3  # different values, from which on a relation between arrays is no accident
_AXES = {1: ("value",), 2: ("row", "column")}


def relation(got: np.ndarray, expected: np.ndarray, same: Same, rtol: float) -> str:
    """What all of a wrong array has to do with the right one, or nothing."""
    if got.dtype.kind not in "iuf" or not np.isfinite(got).all() or not np.any(expected):
        return ""
    if not np.any(got):
        return "Everything is zero." if got.size > 1 else ""  # of one number it can be seen
    if imprecise := _imprecise(got, expected, same, rtol):
        return imprecise
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    if same(got, -expected).all():
        return "It has exactly the opposite sign."
    if len(np.unique(expected)) < _ENOUGH:
        return ""
    if got.ndim == 2 and got.shape[0] == got.shape[1] and same(got.T, expected).all():
        return "It is the transpose of what it should be."
    factor = float((got * expected).sum() / (expected * expected).sum())
    if abs(factor - 1) < 1e-4:
        return ""  # rounding, which no factor explains
    if factor and same(got, factor * expected).all():
        return _by_factor(factor)
    return ""


def places(got: np.ndarray, expected: np.ndarray, same: Same) -> str:
    """Where the wrong values are, or what became of the right ones, or nothing."""
    if got.ndim == 0 or got.dtype.kind not in "iuf" or not np.isfinite(got).all():
        return ""
    if not np.isfinite(expected).all():
        return ""
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    if len(np.unique(expected)) >= _ENOUGH and (moved := next(_moved(got, expected, same), "")):
        return moved
    wrong = ~same(got, expected)
    if wrong.all():
        return ""
    return next(_where(wrong), "") or next(_what(got[wrong], expected[wrong]), "")


def _moved(got: np.ndarray, expected: np.ndarray, same: Same) -> Iterator[str]:
    """The right values, in other places."""
    for axis, length in enumerate(expected.shape):
        along = f" along axis {axis}" if expected.ndim > 1 else ""
        if same(np.flip(got, axis), expected).all():
            yield f"These are the right values in reverse order{along}."
        first, last = (_slice(expected, axis, one) for one in (slice(1, None), slice(None, -1)))
        if length > _ENOUGH and len(np.unique(first)) >= _ENOUGH:
            if same(_slice(got, axis, slice(None, -1)), first).all():
                yield f"Each value is the one that belongs a place further on{along}."
            if same(_slice(got, axis, slice(1, None)), last).all():
                yield f"Each value is the one that belongs a place further back{along}."
    if same(np.sort(got, axis=None), np.sort(expected, axis=None)).all():
        yield "These are the right values in another order."
    if same(abs(got), abs(expected)).all():
        yield "Only signs are wrong."
    whole = got.any() and (got == np.rint(got)).all()
    if whole and (expected != np.rint(expected)).any():
        yield "Every value is a whole number, and should not be: is there a `//`, or an integer dtype?"
    if same(got - got.flat[0], expected - expected.flat[0]).all():
        yield "Every value is off by the same amount."


def _where(wrong: np.ndarray) -> Iterator[str]:
    """Which part of the array the wrong values keep to."""
    names = _AXES.get(wrong.ndim, tuple(f"place of axis {axis}" for axis in range(wrong.ndim)))
    for axis, (length, name) in enumerate(zip(wrong.shape, names, strict=True)):
        if length >= _ENOUGH:
            for end, one in (("first", slice(1, None)), ("last", slice(None, -1))):
                if not _slice(wrong, axis, one).any():
                    yield f"All but the {end} {name} is right."
    if wrong.ndim >= 2 and min(wrong.shape[-2:]) > _ENOUGH and not wrong[..., 1:-1, 1:-1].any():
        yield "All is right but for the border."


def _what(got: np.ndarray, expected: np.ndarray) -> Iterator[str]:
    """What the wrong values have in common, where some are right. Both: the wrong ones only."""
    if len(got) < _ENOUGH:
        return
    if not got.any():
        yield "Where it is wrong, it is zero."
    if not expected.any():
        yield "It is wrong only where it should be zero."
    if (expected < 0).all():
        yield "It is wrong only where the right value is negative."
    if (got > expected).all() or (got < expected).all():
        yield f"Each wrong value is too {'large' if got[0] > expected[0] else 'small'}."


def _slice(array: np.ndarray, axis: int, one: slice) -> np.ndarray:
    return array[(slice(None),) * axis + (one,)]


def _imprecise(got: np.ndarray, expected: np.ndarray, same: Same, rtol: float) -> str:
    """Where the values are right, as far as the digits go that their dtype has."""
    if got.dtype.kind != "f" or got.dtype.itemsize >= expected.dtype.itemsize:
        return ""
    digits = 16 * float(np.finfo(got.dtype).eps)
    exact = expected.astype(np.float64)
    near = digits * (abs(exact) + float(np.abs(exact).max()))
    if digits <= rtol or not (abs(got.astype(np.float64) - exact) <= near).all():
        return ""
    return f"The values are right as far as {got.dtype} has digits: compute in {expected.dtype}."


def _by_factor(factor: float) -> str:
    for name, value in (("", factor), ("1/", 1 / factor)):
        if abs(value - round(value)) < 1e-6 * abs(value) and abs(value) >= 2:
            return f"Every value is {name}{round(value)} times what it should be."
    return "Every value is off by the same factor."
