"""What is said of a wrong array that no table knows: facts to be seen in it, never guesses."""

from types import ModuleType

import numpy as np
import pytest

from grading.answer.exercise import part
from grading.answer.fault import Fault
from grading.answer.student import Student
from grading.checks import expect
from grading.checks.mistakes import Table
from tests.checks.test_checks import message

right = ModuleType("right")
exec("def double(x): return 2 * x", vars(right))
TABLE = Table(right, [])

RIGHT = np.arange(20.0).reshape(4, 5) ** 1.5 - 7.3
LINE = RIGHT.ravel()


def said(got: np.ndarray, right: np.ndarray = RIGHT) -> str:
    with pytest.raises(Fault) as raised:
        expect.close(got, right)
    return "\n".join(raised.value.lines())


def changed(where: object, to: object) -> np.ndarray:
    got = RIGHT.copy()
    got[where] = to  # type: ignore[index]
    return got


@pytest.mark.parametrize(
    ("got", "says"),
    [
        (RIGHT[::-1], "These are the right values in reverse order along axis 0."),
        (np.roll(RIGHT, 1, 1), "a place further back along axis 1."),
        (np.roll(RIGHT, -1, 1), "a place further on along axis 1."),
        (np.random.default_rng(0).permutation(LINE).reshape(4, 5), "values in another order."),
        (abs(RIGHT), "Only signs are wrong."),
        (np.floor(RIGHT), "Every value is a whole number, and should not be"),
        (RIGHT + 0.25, "Every value is off by the same amount."),
        (changed(-1, 0.5), "All but the last row is right."),
        (changed((slice(None), 0), 99.0), "All but the first column is right."),
        (np.pad(RIGHT[1:-1, 1:-1], 1), "All is right but for the border."),
        (changed([0, 2], 0.0), "Where it is wrong, it is zero."),
        (changed([0, 2], 1e3), "Each wrong value is too large."),
        (changed([0, 2], -1e3), "Each wrong value is too small."),
    ],
)
def test_what_can_be_seen_in_a_wrong_array_is_said(got: np.ndarray, says: str) -> None:
    assert says in said(got)


def test_values_that_should_be_negative_or_zero_are_named() -> None:
    mixed = np.where(RIGHT % 2 < 1, -RIGHT, RIGHT)
    assert "wrong only where the right value is negative." in said(np.maximum(mixed, -1e-3), mixed)
    sparse = np.where(RIGHT % 2 < 1, 0.0, RIGHT)
    assert "It is wrong only where it should be zero." in said(RIGHT, sparse)


def test_a_line_has_places_and_no_axes() -> None:
    assert "in reverse order." in said(LINE[::-1], LINE)
    assert "All but the last value is right." in said(np.append(LINE[:-1], 5.0), LINE)


@pytest.mark.parametrize(
    ("got", "right"),
    [
        (np.array(0.0), np.array(2.0)),
        (np.array([2.0, 4.0]), np.array([1.0, 2.0])),
        (np.array([2.0, 1.0]), np.array([1.0, 2.0])),
        (np.array([5.0, 5.0, 5.0]), np.array([1.0, 1.0, 1.0])),
    ],
)
def test_few_values_tell_nothing(got: np.ndarray, right: np.ndarray) -> None:
    lines = said(got, right).splitlines()
    assert len(lines) == 2, lines  # that it is wrong, and both values
    assert lines[1].startswith("expected")


def test_a_change_in_place_is_said_beside_a_wrong_value() -> None:
    def check(student: Student, rng: np.random.Generator) -> None:
        with part("every entry is doubled", points=1):
            expect.answers(student, TABLE, "double", {"x": rng.normal(size=3)})

    text = message("def double(x):\n    x += 1\n    return x", check)
    assert "has the wrong value" in text
    assert "The call changed its argument `x` in place." in text
