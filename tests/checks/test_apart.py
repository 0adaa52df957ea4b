"""One exercise's fault costs no other: each is judged with right answers beneath it."""

import types
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from grading.answer import exercise, render
from grading.check import Checks
from grading.course import cells
from tests.labs import LABS, ROOT, answer_names, answered, notebook

EXERCISES = [(lab, name) for lab in LABS for name in exercise.load(lab)]
BUILT_ON_OTHERS = [
    (lab, name) for lab, name in EXERCISES if exercise.foundations(exercise.load(lab), name)
]


@cache
def fresh(lab: str) -> dict[str, Any]:
    """A notebook of the reference: what is put into it here, all of its functions use."""
    return notebook(lab)


def broken(value: Any, namespace: dict[str, Any]) -> Any:
    """What stands where a learner's answer is wrong."""
    if isinstance(value, type):
        return types.new_class(value.__name__)  # of the same name, without anything in it
    return (lambda *args, **kwargs: None) if callable(value) else None


def unwritten(value: Any, namespace: dict[str, Any]) -> Any:
    """What stands where a learner has not begun."""
    if not callable(value):
        return None
    stub = "def stub(*args, **kwargs):\n    raise NotImplementedError"
    return types.FunctionType(compile(stub, "<cell>", "exec").co_consts[0], namespace)


@pytest.fixture
def instead() -> Callable[..., Any]:
    """What stands in the place of the other answers."""
    return broken


@pytest.fixture
def with_others_wrong(lab: str, name: str, instead: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The notebook with every answer wrong but that of the exercise `name`."""
    namespace = fresh(lab)
    before = dict(namespace)
    own = answer_names(lab, name)
    for other in exercise.load(lab):
        for each in answer_names(lab, other):
            if each not in own:
                namespace[each] = instead(namespace[each], namespace)
    yield namespace
    namespace.clear()
    namespace.update(before)


@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_a_right_answer_gets_full_marks_where_all_others_are_wrong(
    lab: str, name: str, with_others_wrong: dict[str, Any]
) -> None:
    found, names = exercise.load(lab)[name], dict(with_others_wrong)
    result = Checks(lab).judged(found, with_others_wrong)
    assert result.score == result.points, render.text(result)
    assert with_others_wrong == names  # and the wrong ones are back in their places


@pytest.mark.parametrize("instead", [unwritten])
@pytest.mark.parametrize(("lab", "name"), BUILT_ON_OTHERS)
def test_a_right_answer_gets_full_marks_where_what_it_stands_on_is_unwritten(
    lab: str, name: str, with_others_wrong: dict[str, Any]
) -> None:
    result = Checks(lab).judged(exercise.load(lab)[name], with_others_wrong)
    assert result.score == result.points, render.text(result)


@pytest.mark.parametrize(("lab", "name"), EXERCISES)
def test_what_an_exercise_stands_on_has_an_answer_to_lend(lab: str, name: str) -> None:
    known = exercise.load(lab)
    answers = cells.answers(ROOT / "solutions" / f"{lab}.py")
    assert all(answers[base] for base in exercise.foundations(known, name))


STRICT = "def predict(X, w, b):\n    return np.where(X @ w + b > 0, 1, -1)\n"
# A right answer to a later exercise, whose check does without the earlier one that it uses.
UPDATE = """
def perceptron_update(w, b, x, y, lr):
    if predict(x[None], w, b)[0] != y:
        w, b = w + lr * y * x, b + lr * y
    return w, b
"""
TRAIN = """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    while len(mistakes) < max_epochs and (not mistakes or mistakes[-1]):
        mistakes.append(0)
        for x, t in zip(X, y):
            if predict(x[None], w, b)[0] != t:
                w, b = perceptron_update(w, b, x, t, lr)
                mistakes[-1] += 1
    return w, b, mistakes
"""


@pytest.mark.parametrize(
    "earlier", [STRICT, "def predict(X, w, b):\n    raise NotImplementedError\n"]
)
@pytest.mark.parametrize("later", [UPDATE, TRAIN])
def test_an_answer_that_uses_an_earlier_one_is_judged_with_a_right_one(
    later: str, earlier: str
) -> None:
    namespace, name = answered("01_perceptron", earlier), later.split("(")[0].removeprefix("\ndef ")
    exec(later, namespace)
    namespace["In"].append(later)
    result = Checks("01_perceptron").judged(exercise.load("01_perceptron")[name], namespace)
    assert result.score == result.points, render.text(result)
    assert "predict" in result.lent


def test_a_function_of_other_arguments_costs_the_level_that_it_is_and_no_other() -> None:
    lab = "18_schedule_puzzles"
    namespace = answered(lab, "def level_1(): return ''")
    result = Checks(lab).judged(exercise.load(lab)["fill_and_cut"], namespace)
    assert result.score == 0.65, render.text(result)
    assert "`level_1` is called with 2 arguments" in render.text(result)


def test_an_answer_belongs_to_the_exercise_of_the_longest_name() -> None:
    exercises = ["conv2d", "conv2d_loops"]
    assert cells.exercise_of("conv2d_loops_code", exercises) == "conv2d_loops"
    assert cells.exercise_of("conv2d_code", exercises) == "conv2d"
    assert cells.exercise_of("pool_code", exercises) is None
