"""Exercises: what is graded, for how many points, and the function that checks it.

The checks of a lab are in `grading/checks/NN_name.py`, one function an exercise:

    @exercise("perceptron_update", points=2)
    def perceptron_update(student, rng):
        with part("a correctly classified point changes nothing", points=0.5):
            ...
        with part("a mistake moves the line", points=1.5):
            ...

`student` is the handle of `answer.student`, `rng` a NumPy Generator from which inputs are drawn.
Each part earns its points by ending without a `Fault`; the parts that the reference solution passes
add up to the exercise's points (the tests see to it).
"""

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from grading.answer.fault import FINAL, UNDONE, UNWRITTEN, Fault
from grading.answer.student import Student, Transport, connect
from grading.answer.usual_state import usual_state

CHECKS = Path(__file__).parents[1] / "checks"

Check = Callable[[Student, np.random.Generator], None]


@dataclass(frozen=True)
class Exercise:
    """One graded part of a lab."""

    lab: str
    name: str
    points: float
    check: Check
    time_limit: float  # seconds, for one call of the student's code
    forbids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stands_on: Sequence[str] = ()


@dataclass(frozen=True)
class Part:
    """One thing that an exercise was judged on; `fault` is None where it passed."""

    title: str
    points: float
    fault: Fault | None = None


@dataclass
class Result:
    """What judging one exercise gave."""

    lab: str
    exercise: str
    points: float
    parts: list[Part] = field(default_factory=list)
    seconds: float = 0.0
    lent: Sequence[str] = ()  # exercises whose right answers stood in the place of the learner's

    @property
    def score(self) -> float:
        return round(sum(part.points for part in self.parts if part.fault is None), 6)

    @property
    def status(self) -> str:
        """passed, partial, failed or not done"""
        if self.score >= self.points:
            return "passed"
        faults = [part.fault for part in self.parts if part.fault is not None]
        if self.score == 0 and faults and all(fault.kind in UNDONE for fault in faults):
            return "not done"
        return "partial" if self.score > 0 else "failed"

    @property
    def unwritten(self) -> bool:
        """Whether nothing of the answer itself is there, so that it can have no better result."""
        faults = [part.fault for part in self.parts if part.fault is not None]
        return self.score == 0 and all(fault.kind in UNWRITTEN for fault in faults)


class UnknownExercise(LookupError):
    """There is no such lab or exercise; the message says which there are."""


_loading: ContextVar[tuple[str, dict[str, Exercise]] | None] = ContextVar("loading", default=None)
_running: ContextVar[Result | None] = ContextVar("running", default=None)


def exercise(
    name: str,
    *,
    points: float,
    time_limit: float = 10.0,
    forbids: Mapping[str, Sequence[str]] | None = None,
    stands_on: Sequence[str] = (),
) -> Callable[[Check], Check]:
    """Declare the decorated function to be the check of the exercise `name` of its lab.

    time_limit: seconds that one call of the student's code may take.
    forbids: for a name that the learner defines, the library calls that would do its work:
        {"conv2d": ["torch"]}. An answer in whose source one is found gets no points, and is told.
    stands_on: the earlier exercises whose answers this one's answer, or its check, uses. Where one
        of them is wrong, this one is judged with a right one in its place.
    """

    def declare(check: Check) -> Check:
        loading = _loading.get()
        if loading is None:
            raise RuntimeError("checks are loaded by grading.answer.exercise.load, not imported")
        lab, found = loading
        at = f"grading/checks/{lab}.py"
        if name in found:
            raise ValueError(f"{at} declares the exercise {name!r} twice")
        if forbids is not None and not isinstance(forbids, Mapping):
            example = f'{{"{name}": ["numpy.dot"]}}'
            raise ValueError(f"{at}: forbids of {name!r} should be a dict, such as {example}")
        for base in stands_on:
            if base not in found:
                raise ValueError(f"{at}: {name!r} stands on {base!r}, no earlier exercise of it")
        found[name] = Exercise(lab, name, points, check, time_limit, forbids or {}, stands_on)
        return check

    return declare


@contextmanager
def part(title: str, *, points: float, alone: bool = True) -> Iterator[None]:
    """One part of the exercise being checked: earns `points` if the block raises no Fault.

    The exercise goes on after a failed part, except where the rest could only fail alike.
    alone: False for what an answer that does nothing does as well, such as raising an error for
    input that must be refused: it earns its points only beside an earlier part that passed.
    """
    result = _running.get()
    if result is None:
        raise RuntimeError("part() belongs inside a check that grading.answer.exercise.run runs")
    fault = None
    try:
        yield
        if not alone and result.score == 0:
            raise Fault("value", "This counts once something above it is right.")
    except Fault as caught:
        fault = caught
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        # The check met an answer that its author did not foresee. That is ours to mend, but the
        # learner must not see it as a crash.
        message = f"The check could not make sense of the result ({type(error).__name__})."
        fault = Fault("check", message, detail=f"{error}. Does it have the form the task asks for?")
    result.parts.append(Part(title, points, fault))
    if fault is not None and fault.kind in FINAL:
        raise fault


def run(exercise: Exercise, transport: Transport, rng: np.random.Generator) -> Result:
    """Run one check against the student's work that `transport` reaches."""
    student = connect(transport, exercise.time_limit)
    result = Result(exercise.lab, exercise.name, exercise.points)
    token, start = _running.set(result), time.perf_counter()
    try:
        with usual_state():
            _refuse_library_calls(exercise, transport)
            exercise.check(student, rng)
    except Fault as fault:
        if all(part.fault is not fault for part in result.parts):
            result.parts.append(Part("", 0.0, fault))
    finally:
        _running.reset(token)
    result.seconds = time.perf_counter() - start
    return result


def _refuse_library_calls(exercise: Exercise, transport: Transport) -> None:
    for name, forbidden in exercise.forbids.items():
        used = transport.uses(name, forbidden)
        if used:
            with part("built by yourself", points=0):
                raise Fault(
                    "library call",
                    f"Your `{name}` uses {' and '.join(used)}, which this exercise does without.",
                    "Found by searching the source for names; where it does no harm, tell whoever"
                    " grades.",
                )


def foundations(exercises: Mapping[str, Exercise], name: str) -> list[str]:
    """All that an exercise stands on, what that stands on, and so on, in the lab's order."""
    found, waiting = set[str](), list(exercises[name].stands_on)
    while waiting:
        base = waiting.pop()
        if base not in found:
            found.add(base)
            waiting += exercises[base].stands_on
    return [one for one in exercises if one in found]


def labs() -> list[str]:
    """The labs that have checks, in order."""
    return sorted(path.stem for path in CHECKS.glob("[0-9]*.py"))


def load(lab: str, folder: Path | None = None) -> dict[str, Exercise]:
    """The exercises of a lab by name, in order. Raises UnknownExercise for an unknown lab.

    folder: where the checks are; default: this course's.
    """
    path = (folder or CHECKS) / f"{lab}.py"
    if not path.exists():
        raise UnknownExercise(f"There is no lab {lab!r}; the labs are {', '.join(labs())}.")
    return _load(path, path.stat().st_mtime_ns)


@cache
def _load(path: Path, changed: int) -> dict[str, Exercise]:
    """`changed` makes a file that was changed be loaded again."""
    lab = path.stem
    found: dict[str, Exercise] = {}
    token = _loading.set((lab, found))
    try:
        spec = importlib.util.spec_from_file_location(f"grading.checks.lab_{lab}", path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    finally:
        _loading.reset(token)
    return found
