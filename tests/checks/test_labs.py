"""Every check of every lab against the reference, the named mistakes and answers that are none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grading.answer import exercise, render
from grading.answer.exercise import Result
from grading.check import Notebook
from grading.checks.mistakes import Mistake
from tests import mistakes, styles
from tests.labs import LABS, SEEDS, answer_names, answered, reference
from tests.languages import complete, partly_english

EXERCISES = [(lab, name) for lab in LABS for name in exercise.load(lab)]
STYLES = [
    (lab, name, style)
    for lab in LABS
    for name, codes in styles.load(lab).items()
    for style in codes
]
MISTAKES = [(lab, mistake) for lab in LABS for mistake in mistakes.load(lab)]


def judged(lab: str, name: str, namespace: dict[str, Any], seed: int = 0) -> Result:
    found = exercise.load(lab)[name]
    return exercise.run(found, Notebook(namespace), np.random.default_rng(seed))


@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_the_reference_gets_full_marks_for_any_input(lab: str, name: str) -> None:
    points = exercise.load(lab)[name].points
    for seed in range(4 * SEEDS):
        result = judged(lab, name, reference(lab), seed)
        assert result.score == points, render.text(result)
        assert all(part.fault is None for part in result.parts), render.text(result)


@pytest.mark.parametrize(
    ("lab", "mistake"), MISTAKES, ids=[f"{lab}-{m.exercise}-{m.name}" for lab, m in MISTAKES]
)
def test_a_named_mistake_loses_its_marks_and_gets_its_diagnosis(lab: str, mistake: Mistake) -> None:
    namespace = answered(lab, mistake.code)
    for seed in range(SEEDS):
        result = judged(lab, mistake.exercise, namespace, seed)
        text = render.text(result)
        assert mistake.says in text, text
        assert result.score == mistake.points < result.points, text
        for language in complete(lab):
            left = list(partly_english(result, language))
            assert left == [], "no entry fits: `python -m grading translate --update`"


@pytest.mark.parametrize(("lab", "name", "style"), STYLES)
def test_a_right_answer_in_another_style_gets_full_marks(lab: str, name: str, style: str) -> None:
    namespace = answered(lab, styles.load(lab)[name][style])
    for seed in range(SEEDS):
        result = judged(lab, name, namespace, seed)
        assert result.score == result.points, render.text(result)


def answers_that_are_none() -> dict[str, Callable[..., Any]]:
    return {
        "None": lambda *args, **kwargs: None,
        "zero": lambda *args, **kwargs: 0.0,
        "NaN": lambda *args, **kwargs: float("nan"),
        "a string": lambda *args, **kwargs: "one",
        "an object": lambda *args, **kwargs: object(),
        "an empty tuple": lambda *args, **kwargs: (),
        "a pair of zeros": lambda *args, **kwargs: (0.0, 0.0),
        "an array of zeros": lambda *args, **kwargs: np.zeros(3),
        "an array of NaN": lambda *args, **kwargs: np.full((3, 3), np.nan),
        "its first argument": lambda *args, **kwargs: args[0] if args else None,
        "its arguments": lambda *args, **kwargs: args,
        "zeros like its first argument": lambda *args, **kwargs: np.zeros_like(args[0]),
    }


@pytest.mark.parametrize("answer", answers_that_are_none())
@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_an_answer_that_is_none_passes_nothing(lab: str, name: str, answer: str) -> None:
    function = answers_that_are_none()[answer]
    namespace, names = dict(reference(lab)), answer_names(lab, name)
    assert names, f"no answer cell {name}_… in solutions/{lab}.py"
    for each in names:
        namespace[each] = function if callable(reference(lab)[each]) else _value(function)
    result = judged(lab, name, namespace)
    text = render.text(result)
    assert result.score < result.points, text
    assert result.score <= 0.34 * result.points, text
    faults = [part.fault for part in result.parts if part.fault is not None]
    assert not [fault for fault in faults if fault.kind == "check"], text


def _value(function: Callable[..., Any]) -> Any:
    """The same answer for an exercise that asks for a value; 12345.0 stands for an argument."""
    return function(12345.0)


@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_each_exercise_has_three_named_mistakes(lab: str, name: str) -> None:
    count = sum(mistake.exercise == name for mistake in mistakes.load(lab))
    assert count >= 3, f"{name} of lab {lab} has {count} mistakes in its table: it needs three"


@pytest.mark.parametrize("lab", LABS)
def test_each_mistake_names_an_exercise_and_can_be_read(lab: str) -> None:
    for mistake in mistakes.load(lab):
        assert mistake.exercise in exercise.load(lab), f"the row {mistake.name!r} of no exercise"
        compile(mistake.code, f"<the row {mistake.name!r} of {mistake.exercise}>", "exec")


@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_each_exercise_has_right_answers_in_five_styles(lab: str, name: str) -> None:
    count = len(styles.load(lab).get(name, {}))
    assert count >= 5, f"{name} has {count} answers in tests/styles/{lab}.py: it needs five"


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_has_ten_points_in_five_to_eight_exercises(lab: str) -> None:
    exercises = exercise.load(lab).values()
    assert sum(one.points for one in exercises) == 10
    assert 5 <= len(exercises) <= 8, f"lab {lab} has {len(exercises)} exercises: a lab has 5 to 8"


def test_exercise_names_are_unique_over_the_course() -> None:
    names = [name for _, name in EXERCISES]
    assert len(names) == len(set(names)) > 0
