"""The learner's door to the checks: what a lab imports.

    from grading.check import checks, progress
    check = checks("01_perceptron")

    check("perceptron_update")            # judges the notebook's own function, at once
    with check.needs("perceptron_train"):
        ...                               # shows the learner's own work, once there is some
    check.predict("which moves w more", "", "far", "close", "same")     # a guess, not marked
    check.measured("which moves w more", "far")                          # its answer, later on
    progress()                            # the learner's standing over the course

    from grading.check import hand, hand_in, join, leave    # in a workshop: docs/workshop.md

The result is displayed, not returned, and its display metadata carries the points for programs
(`make execute` reads them). Under nbgrader, which reads marks from what a cell returns, a result
short of full marks is also returned, as a number.
"""

import difflib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from grading.answer import exercise, render
from grading.answer import progress as standings
from grading.answer.exercise import Exercise, Result, UnknownExercise
from grading.answer.runner import Runner
from grading.answer.say import say


def _hidden_utils() -> str:
    """Says so where a file of the learner's stands before the course's `utils`."""
    found = importlib.util.find_spec("utils")
    course, place = Path(__file__).parents[1] / "utils", found.origin if found else None
    if place is None or Path(place).parent == course:
        return ""
    return say(
        f"{place} hides the course's own `utils`: give it another name, and restart the kernel."
    )


class Notebook(Runner):
    """The learner's own notebook, or script, as a check's transport."""

    def uses(self, name: str, forbidden: Sequence[str]) -> list[str]:
        """The forbidden names in the source of `name`: of the cells that ran, or of the script."""
        from grading.checks import calls  # here: in the sandbox there is none, and no check runs

        return calls.found(self._up_to(name), name, forbidden)

    def words(self, name: str) -> set[str]:
        """The names in the cell that defines `name`."""
        return set(re.findall(r"\w+", "".join(self._up_to(name)[-1:])))

    def _up_to(self, name: str) -> Sequence[str]:
        """The cells that ran, or the script, up to the last that defines `name`: a comparison with
        the library, further down, is no part of the answer."""
        from grading.checks import calls

        cells = self.namespace.get("In")  # where IPython keeps them
        if not isinstance(cells, list):
            script = self.namespace.get("__file__")
            cells = [Path(script).read_text(encoding="utf-8")] if script else []
        return calls.up_to([str(cell) for cell in cells], name)


class Checks:
    """The checks of one lab; call it with an exercise's name."""

    def __init__(self, lab: str) -> None:
        self.lab = lab
        self._guesses: dict[str, str] = {}  # the first, by question
        self.results: dict[str, Result] = {}  # of this session, by exercise, the last
        self._opened = time.monotonic()

    def __call__(self, name: str) -> float | None:
        """Judge the exercise `name` on the caller's own work and show the result."""
        try:
            found = self._find(name)
        except UnknownExercise as error:
            _show(str(error), f"<p>{escape(str(error))}</p>")
            return 0.0 if _under_nbgrader() else None
        namespace = sys._getframe(1).f_globals
        # nbgrader gives no marks to a cell that wrote to stderr, be it only a warning of NumPy's.
        with redirect_stderr(sys.stdout):
            result = self.results[name] = self.judged(found, namespace)
        _show(render.text(result), render.html(result), _metadata(result))
        if _in_notebook() and not _under_nbgrader():
            _remember(result)
            _tell_the_board(result, time.monotonic() - self._opened)
        return result.score if _under_nbgrader() and result.status != "passed" else None

    @contextmanager
    def needs(self, *names: str) -> Iterator[None]:
        """A block that uses the learner's own work; left, with a word, where that is unwritten."""
        try:
            yield
        except NotImplementedError:
            _close_figures()  # one that the block began would else be drawn, empty
            listed = " and ".join(f"`{name}`" for name in names)
            print(say(f"This cell shows your {listed}: run it again once the exercise is done."))

    def predict(self, question: str, guess: str, *options: str) -> None:
        """Note the learner's first guess at a question, to be answered by `measured`. No marks.

        question: in a few words; guess: what the learner wrote, "" for not yet.
        """
        listed = ", ".join(f'"{option}"' for option in options)
        if guess not in options:
            wrong = say(f"{guess!r} is none of them.") + " " if guess else ""
            print(wrong + say(f"Your guess goes between the quotes: one of {listed}."))
            return
        self._guesses.setdefault(question, guess)
        first = self._guesses[question]
        if guess == first:
            print(say(f'Noted: {question}? Your first guess: "{first}".'))
        else:
            print(say(f'Noted: {question}? Your first guess: "{first}", and now "{guess}".'))

    def measured(self, question: str, answer: str) -> None:
        """Show what came out beside the learner's first guess. answer: one of the options."""
        first = self._guesses.get(question)
        if first is None:
            print(say(f'{question}? Measured: you made no guess, and it is "{answer}".'))
        elif first == answer:
            print(say(f'{question}? Measured: you guessed "{first}", and so it is.'))
        else:
            print(say(f'{question}? Measured: you guessed "{first}", and it is "{answer}".'))

    def __repr__(self) -> str:
        return f"<checks of {self.lab}: {', '.join(exercise.load(self.lab))}>"

    def judged(self, found: Exercise, namespace: dict[str, Any]) -> Result:
        """The result for a notebook's names; with the course's own answers beneath it, where the
        exercise, or the learner's answer to it, stands on others that have not passed, and gets
        more so."""
        notebook = Notebook(namespace)
        seed = np.random.SeedSequence().entropy  # the same inputs for both, or luck would decide
        result = exercise.run(found, notebook, np.random.default_rng(seed))
        if result.status == "passed":
            return result
        solution = Path(__file__).parents[1] / "solutions" / f"{self.lab}.py"
        if result.unwritten or not solution.exists():
            return result  # an instructor may give the labs out without their solutions
        from grading.course import cells  # here: in the sandbox there is none

        answers = cells.answers(solution)
        words = set[str]().union(*map(notebook.words, cells.names_defined(answers[found.name])))
        bases = cells.beneath(exercise.load(self.lab), found.name, answers, words)
        passed = all(self._passed(base) for base in bases) and not _under_nbgrader()
        if not bases or passed:
            return result
        before = notebook.lend(answers[base] for base in bases)
        try:
            again = exercise.run(found, notebook, np.random.default_rng(seed))
        finally:
            notebook.take_back(before)
        again.lent = bases
        return again if again.score > result.score else result

    def _passed(self, name: str) -> bool:
        return name in self.results and self.results[name].status == "passed"

    def _find(self, name: str) -> Exercise:
        known = exercise.load(self.lab)
        if name in known:
            return known[name]
        near = difflib.get_close_matches(str(name), known, 1)
        sentences = [say(f"Lab {self.lab} has no exercise {name!r}.")]
        sentences += [say(f"Did you mean {one!r}?") for one in near]
        raise UnknownExercise(" ".join([*sentences, say(f"Its exercises are {', '.join(known)}.")]))


def checks(lab: str) -> Checks:
    """The checks of a lab, such as `checks("01_perceptron")`."""
    _speak(lab)
    if hidden := _hidden_utils():
        print(hidden)
    if board := _board():
        board.opened(lab)
    return Checks(lab)


def _speak(lab: str = "") -> None:
    """From now on in the learner's language; in a sandbox, where no catalogue is, in English."""
    if importlib.util.find_spec("grading.course") is not None:
        from grading.course.languages.speech import speak_here

        speak_here(Path(__file__).parents[1], lab)


def progress() -> None:
    """Show the learner's standing over the course."""
    found, titles = standings.standing(), None
    if found:  # in the sandbox there are neither checks nor a list of the course
        from grading.course.outline import titles_of

        titles = titles_of(Path(__file__).parents[1])
    text = standings.table(found, titles)
    _show(text, f"<pre>{escape(text)}</pre>")


def join(address: str = "", code: str = "", name: str = "") -> None:
    """Join the board of a workshop: `join("http://10.0.0.5:8300", "QK7-M2P", name="Anna")`.

    `join()` shows a form for the three.
    """
    if board := _board():
        board.join(address, code, name)


def leave(delete: bool = False) -> None:
    """Send the board nothing more. delete: it also deletes what it was sent."""
    if board := _board():
        board.leave(delete)


def hand(words: str = "") -> None:
    """Raise your hand, with a few words for the instructor; `hand("")` takes it down."""
    if board := _board():
        board.hand(words)


def hand_in(file: str | Path | None = None) -> None:
    """Save this notebook, or the one in `file`, and hand it in to the board."""
    if board := _board():
        board.hand_in(file)


def _show(text: str, html: str, metadata: dict[str, Any] | None = None) -> None:
    if not _in_notebook():
        print(text)
        return
    from IPython.display import display

    display({"text/plain": text, "text/html": html}, raw=True, metadata=metadata or {})


def _metadata(result: Result) -> dict[str, Any]:
    return {
        "grading": {
            "lab": result.lab,
            "exercise": result.exercise,
            "score": result.score,
            "points": result.points,
            "status": result.status,
            "parts": [
                {"title": part.title, "points": part.points, "passed": part.fault is None}
                for part in result.parts
            ],
        }
    }


def _remember(result: Result) -> None:
    try:
        standings.record(result)
    except OSError as error:
        print(
            say(
                f"Your standing could not be saved ({error}); the result above stands all the same."
            )
        )


def _board() -> Any:
    """The learner's side of a workshop; None where notebooks are graded, and in a script."""
    if not _in_notebook() or _under_nbgrader():
        return None
    if importlib.util.find_spec("grading.learner") is None:
        return None  # in a sandbox
    from grading.learner import member

    return member


def _tell_the_board(result: Result, seconds: float) -> None:
    if result.status == "not done":
        return  # running every cell of an untouched lab is no attempt
    if board := _board():
        from grading.checks.mistakes import misconception

        name = misconception(result)
        board.checked(result.lab, result.exercise, result.score, seconds, name)


def _close_figures() -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _under_nbgrader() -> bool:
    return bool(os.environ.get("NBGRADER_EXECUTION"))


_speak()  # who only joins a workshop asks for no checks
