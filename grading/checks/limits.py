"""What a wrong formula says of simple cases: for one that no known mistake explains.

with limits(student, "bubble_fraction", ((1, 5), 0.0, "With one stage nobody waits: it is 0.")):
    expect.answers(student, MISTAKES, "bubble_fraction", given)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from grading.answer.fault import Fault
from grading.answer.student import Student
from grading.checks import expect


@contextmanager
def limits(student: Student, name: str, *cases: tuple[tuple[Any, ...], Any, str]) -> Iterator[None]:
    """Gives to a wrong value without a diagnosis that of the first case that is wrong, too.

    cases: arguments of the student's function `name`, what it is to return, and why.
    """
    try:
        yield
    except Fault as fault:
        if fault.kind == "value" and not fault.diagnosis:
            wrong = (one for one in cases if not _right(student, name, *one[:2]))
            fault.diagnosis = next((_told(name, *one) for one in wrong), "")
        raise


def _right(student: Student, name: str, args: tuple[Any, ...], right: Any) -> bool:
    try:
        expect.close(getattr(student, name)(*args), right)
    except Fault:
        return False
    return True


def _told(name: str, args: tuple[Any, ...], right: Any, why: str) -> str:
    call = f"{name}({', '.join(map(expect.show, args))})"
    case = f"In a simple case, too: {call} is {expect.show(right)}."
    return " ".join((case, why))
