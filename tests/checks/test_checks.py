"""What a learner reads for an answer that no check foresaw: each fault has its own clear words."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from grading.answer import exercise, render
from grading.answer.codec import CodecError
from grading.answer.exercise import Exercise, Result, part
from grading.answer.fault import Fault
from grading.answer.student import Student, connect, probe
from grading.check import Notebook
from grading.checks import expect
from grading.checks.mistakes import Table


def judged(check: Callable[..., None], code: str, points: float = 1, limit: float = 5) -> Result:
    """The result of a check, given as a function of student and rng, on a notebook's code."""
    namespace: dict[str, Any] = {"np": np}
    exec(code, namespace)
    one = Exercise("00_test", "double", points, check, limit)
    return exercise.run(one, Notebook(namespace), np.random.default_rng(0))


def double(student: Student, rng: np.random.Generator) -> None:
    x = rng.normal(size=3)
    with part("every entry is doubled", points=1):
        got = student.double(x)
        expect.close(got, 2 * x, given={"x": x}, knows={"That is x²: double adds.": x**2})


def message(code: str, check: Callable[..., None] = double, **options: Any) -> str:
    return render.text(judged(check, code, **options))


def test_the_right_answer_gets_full_marks() -> None:
    result = judged(double, "def double(x): return 2 * x")
    assert (result.score, result.status) == (1, "passed")


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        ("", "not done", "There is no `double` yet: run the cell that defines it."),
        ("def double(x): raise NotImplementedError", "not done", "`double` is not written yet."),
        (
            "def half(x): raise NotImplementedError\ndef double(x): return 4 * half(x)",
            "not done",
            "`double` uses `half`, which is not written yet.",
        ),
        ("double = 3", "not done", "`double` is an int here, not a function."),
        ("def double(): return 0", "failed", "is called with 1 argument, but yours is `double()`"),
        ("def double(x, y): return 0", "failed", "missing a required argument: 'y'"),
        ("def double(x): pass", "failed", "should be a NumPy array and is None (is a return"),
        ("def double(x): return list(2 * x)", "failed", "should be a NumPy array and is a list"),
        ("def double(x): return '6'", "failed", "should be a NumPy array and is a str"),
        ("def double(x): return print", "failed", "an object of type builtin_function_or_method"),
        ("def double(x): return (2 * x)[:2]", "failed", "should have shape (3,) and has (2,)"),
        (
            "def double(x): return (2 * x)[:, None]",
            "failed",
            "should have shape (3,) and has (3, 1)",
        ),
        ("def double(x): return x * np.nan", "failed", "holds NaN"),
        ("def double(x): return 0 * x", "failed", "Everything is zero"),
        ("def double(x): return -2 * x", "failed", "exactly the opposite sign"),
        (
            "def double(x): return np.float16(x) * np.float16(2)",
            "failed",
            "right as far as float16 has digits: compute in float64.",
        ),
        ("def double(x): return 6 * x", "failed", "Every value is 3 times what it should be."),
        ("def double(x): return x * x", "failed", "That is x²: double adds."),
        ("def double(x): return 2 * x + 1j", "failed", "wrong value"),
        (
            "def double(x): return np.array(['a'] * 3)",
            "failed",
            "an object of type ndarray with dtype <U1",
        ),
        ("def double(x):\n  y = x\n  return y / z", "failed", "raised NameError in line 3"),
        ("def double(x): return exit()", "failed", "raised SystemExit"),
        ("def double(x): return double(x)", "failed", "raised RecursionError"),
        ("def double(x): raise ValueError('x' * 10**6)", "failed", "raised ValueError"),
    ],
)
def test_each_fault_has_its_own_message(code: str, status: str, words: str) -> None:
    result = judged(double, code)
    assert words in render.text(result)
    assert (result.score, result.status) == (0, status)
    assert len(render.text(result)) < 1500


def test_an_error_shows_the_learners_own_line(tmp_path: Any) -> None:
    cell = tmp_path / "cell.py"
    cell.write_text("def double(x):\n    factor = 2\n    return x @ factor\n")
    namespace: dict[str, Any] = {}
    exec(compile(cell.read_text(), str(cell), "exec"), namespace)
    one = Exercise("00_test", "double", 1, double, 5)
    text = render.text(exercise.run(one, Notebook(namespace), np.random.default_rng(0)))
    assert "in line 3 of its cell:  return x @ factor" in text
    assert "ValueError: matmul" in text
    assert "Traceback" not in text
    assert "grading" not in text


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "while True:\n    try:\n      while True: pass\n    except Exception: pass",
        "import time; time.sleep(60)",
        # the jump back to the loop's head, where a signal is met, stands on no line
        "import itertools\n  for i in itertools.repeat(0):\n    if i: x = 1",
    ],
)
def test_an_endless_loop_is_interrupted_and_the_limit_named(loop: str) -> None:
    text = message(f"def double(x):\n  {loop}", limit=0.2)
    assert "`double` was stopped after 0.2 seconds" in text


def test_a_loop_that_catches_everything_is_interrupted_all_the_same() -> None:
    code = """
def double(x):
    for attempt in range(2):
        try:
            while True: pass
        except: pass
    while True: pass
"""
    assert "was stopped after 0.1 seconds" in message(code, limit=0.1)


def test_the_comparison_is_never_the_students_own() -> None:
    code = """
class Yes(np.ndarray):
    def __eq__(self, other): return True
    def __array__(self, *a, **k): return np.zeros(3)
    shape = property(lambda self: (3,))
class Float(float):
    def __eq__(self, other): return True
def double(x): return {answer}
"""
    for answer in ("x.view(Yes)", "Float(1)", "Yes((3,))"):
        assert "an object of type" in message(code.replace("{answer}", answer))


def test_a_changed_argument_is_seen_and_named() -> None:
    def check(student: Student, rng: np.random.Generator) -> None:
        with part("the argument is left alone", points=1):
            expect.close(student.double(np.ones(3)), np.full(3, 2.0))
            expect.unchanged(student)

    assert "changed its argument `x` in place" in message("def double(x): x *= 2; return x", check)
    assert "1 of 1" in message("def double(x): return x * 2", check)


def test_a_check_that_meets_the_unforeseen_says_so_and_goes_on() -> None:
    def check(student: Student, rng: np.random.Generator) -> None:
        with part("first", points=1):
            assert student.double(1.0)[0]
        with part("second", points=1):
            expect.close(student.double(1.0), 2.0)

    result = judged(check, "def double(x): return 2 * x", points=2)
    assert result.score == 1
    assert "could not make sense of the result (TypeError)" in render.text(result)


def test_an_error_of_the_check_itself_is_not_swallowed() -> None:
    def check(student: Student, rng: np.random.Generator) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        judged(check, "")


def test_objects_stay_with_the_student_and_can_be_used() -> None:
    code = """
class Counter:
    def __init__(self, start): self.count = start
    def add(self, n): self.count += n; return self
def total(counters): return sum(c.count for c in counters)
"""
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    student = connect(Notebook(namespace), 1.0)
    one, two = student.Counter(1), student.Counter(10)
    assert one.add(n=4)["count"] == 5
    assert student.total([one, two]) == 15
    assert repr(one) == "<the student's Counter>"
    with pytest.raises(Fault, match="has no `subtract`"):
        one.subtract(1)
    with pytest.raises(CodecError):
        student.total([SimpleNamespace(count=1)])


def test_a_value_is_read_and_an_unset_one_has_none() -> None:
    student = connect(Notebook({"a": 3, "b": None, "c": ...}), 1.0)
    assert student["a"] == 3
    for name, kind in (("b", "no value"), ("c", "no value"), ("d", "missing")):
        with pytest.raises(Fault) as caught:
            student[name]
        assert caught.value.kind == kind


@probe
def doubled_often(learner: Any, times: int) -> int:
    value = 1
    for _ in range(times):
        value = learner.double(value)
    return value


def test_a_probe_runs_beside_the_students_code() -> None:
    code = "def double(x): return 2 * x"
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    assert doubled_often(connect(Notebook(namespace), 1.0), 10) == 1024
    with pytest.raises(Fault, match="There is no `double` yet"):
        doubled_often(connect(Notebook({}), 1.0), 10)


def test_a_probe_of_names_of_this_process_runs_at_once_on_copies() -> None:
    @probe
    def emptied(learner: Any, values: list[int]) -> int:
        values.clear()
        return learner.double(3)

    given = [1, 2]
    assert emptied(SimpleNamespace(double=lambda x: 2 * x), given) == 6
    assert given == [1, 2]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def double(x): raise NotImplementedError", "`double` is not written yet."),
        (
            "import torch\ndef double(x):\n"
            "  class F(torch.autograd.Function): pass\n  return F.apply(torch.ones(1))",
            "`double` raised NotImplementedError",
        ),
        (
            "import torch\nclass Net(torch.nn.Module):\n    def foward(self, x): return x\n"
            "def double(x): return Net()(x)",
            "The `Net` has no method `forward`: is its name misspelt?",
        ),
        (
            "def add(x, y): raise NotImplementedError\ndef double(x): return add(x, x)",
            "`double` uses `add`, which is not written yet.",
        ),
        ("def double(x): return 1 / 0", "`double` raised ZeroDivisionError in line 1 of its cell:"),
        (
            "def add(x, y): return x + z\ndef double(x): return add(x, x)",
            "`double` raised NameError in `add`, line 1:",
        ),
        ("def double(x, y): return x + y", "Using `double` raised TypeError."),
        ("def double(x):\n  while True: pass", "`double` was stopped after 0.2 seconds"),
    ],
)
def test_what_goes_wrong_in_a_probe_is_told_of_the_students_function(code: str, said: str) -> None:
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    with pytest.raises(Fault) as caught:
        doubled_often(connect(Notebook(namespace), 0.2), 10)
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.array(0.5), 0.5),
        (torch.tensor(0.5), 0.5),
        (torch.tensor(3), 3),
        (1, 1.0),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (torch.ones(2), torch.ones(2)),
        ((np.ones(2), 3), (np.ones(2), 3)),
        ([1, 2], (1, 2)),
        ({"a": np.ones(2)}, {"a": np.ones(2)}),
        (True, True),
        ("far", "far"),
        (np.zeros(0), np.zeros(0)),
    ],
)
def test_equal_values_are_equal(got: object, expected: object) -> None:
    expect.close(got, expected)


@pytest.mark.parametrize(
    ("got", "expected", "kind"),
    [
        (True, 1.0, "type"),
        (torch.tensor(True), 1.0, "type"),
        (1, True, "type"),
        ("1", 1, "type"),
        (np.ones(1), 1.0, "type"),
        (np.ones(2), torch.ones(2), "type"),
        (torch.ones(2), np.ones(2), "type"),
        ([1], (1, 2), "type"),
        ((1, 2), np.array([1, 2]), "type"),
        ({"b": 1}, {"a": 1}, "type"),
        ("close", "far", "value"),
        (np.ones((2, 3)), np.ones((3, 2)), "shape"),
        (np.inf, 1.0, "value"),
        (np.nan, 1.0, "value"),
        (np.full(3, np.nan), np.zeros(3), "value"),
        (np.uint8(255), -1, "value"),
        (np.array([255], np.uint8), np.array([-1]), "value"),
    ],
)
def test_unequal_values_have_the_right_kind_of_fault(got: Any, expected: Any, kind: str) -> None:
    with pytest.raises(Fault) as caught:
        expect.close(got, expected)
    assert caught.value.kind == kind


def test_dtype_is_asked_for_only_where_it_matters() -> None:
    expect.close(np.ones(2, np.float32), np.ones(2))
    with pytest.raises(Fault, match="should have dtype float32 and has float64"):
        expect.close(np.ones(2), np.ones(2), dtype="float32")


def test_graded_feedback_holds_no_values() -> None:
    result = judged(double, "def double(x): return x ** 2")
    fault = result.parts[0].fault
    assert fault is not None
    shown = " ".join(fault.lines(practice=False))
    assert "That is x²" in shown
    assert not any(digit in shown for digit in "0123456789")
    assert any(digit in " ".join(fault.lines()) for digit in "0123456789")


def test_html_shows_the_answer_as_text_never_as_markup() -> None:
    code = "def double(x): raise ValueError('<script>alert(1)</script>')"
    html = render.html(judged(double, code))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("forbids=('torch',)", "forbids of 'b' should be a dict"),
        ("stands_on=['c']", "'b' stands on 'c', no earlier exercise"),
        ("stands_on=['b']", "'b' stands on 'b', no earlier exercise"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(
    tmp_path: Any, monkeypatch: Any, more: str, says: str
) -> None:
    text = "from grading.answer.exercise import exercise\n" + "".join(
        f"@exercise('{name}', points=1{given})\ndef {name}(student, rng): pass\n"
        for name, given in (("a", ""), ("b", f", {more}"))
    )
    (tmp_path / "99_odd.py").write_text(text)
    monkeypatch.setattr(exercise, "CHECKS", tmp_path)
    with pytest.raises(ValueError, match=says):
        exercise.load("99_odd")


def test_an_exercise_declared_twice_is_refused(tmp_path: Any, monkeypatch: Any) -> None:
    declaration = "@exercise('a', points=1)\ndef a(student, rng): ...\n"
    text = "from grading.answer.exercise import exercise\n" + 2 * declaration
    (tmp_path / "99_twice.py").write_text(text)
    monkeypatch.setattr(exercise, "CHECKS", tmp_path)
    with pytest.raises(ValueError, match="declares the exercise 'a' twice"):
        exercise.load("99_twice")


ANSWERS: Any = SimpleNamespace(double=lambda x: 2 * x)
TWICE = Table(ANSWERS, [])


def both(student: Student, rng: np.random.Generator) -> None:
    with part("twice", points=1):
        expect.answers(student, TWICE, "double", {"x": 3.0})


class Counting:
    """A transport that counts its requests."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook, self.uses, self.asked = notebook, notebook.uses, 0

    def answer(self, request: bytes) -> bytes:
        self.asked += 1
        return self.notebook.answer(request)


@pytest.mark.parametrize(
    ("code", "score"),
    [
        ("def double(x): return 2 * x", 1),
        ("def double(x): return 3 * x", 0),
        ("calls = []\ndef double(x): calls.append(x); return 2 * x * len(calls)", 0),
        ("calls = []\ndef double(x): calls.append(x); return [6.0][len(calls) - 1]", 0),
        ("kept = np.zeros(1)\ndef double(x): kept[0] += 2 * x; return kept", 0),
    ],
)
def test_that_a_second_call_gives_the_same_takes_one_request(code: str, score: float) -> None:
    namespace: dict[str, Any] = {"np": np}
    exec(code, namespace)
    notebook = Counting(Notebook(namespace))
    one = Exercise("00_test", "double", 1, both, 5)
    result = exercise.run(one, notebook, np.random.default_rng(0))
    assert (result.score, notebook.asked) == (score, 1)


@pytest.mark.parametrize("error", [TypeError, KeyError, AttributeError])
def test_an_error_of_the_transport_is_not_taken_for_the_student_s(error: type[Exception]) -> None:
    class Broken(Notebook):
        def answer(self, request: bytes) -> bytes:
            raise error

    with pytest.raises(error):
        connect(Broken({}), 5).double(3.0)
