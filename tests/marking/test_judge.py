"""Judging a submission whose code dies, hangs, floods, forges and forgets."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from grading.answer import exercise, runner
from grading.answer.exercise import Exercise
from grading.answer.runner import Runner
from grading.answer.student import connect, probe
from grading.marking import judge, kernels, session
from grading.marking.judge import (
    NoSession,
    NotKept,
    Session,
    SessionLost,
    TimeLimits,
    judge_submission,
)
from grading.marking.session import KernelSession
from grading.marking.submission import Decide, LeftOut, Run, Step, Submission
from grading.marking.verdict import CellOutcome, ExerciseVerdict, Verdict, as_dict
from tests.graded_course import CHECKS, LAB, write
from tests.needs import needs

SECRET = b"secret"
RIGHT = {
    "double": "def double(x):\n    return x + x",
    "guess": "guess = 'yes'",
    "average": "def average(values):\n    return sum(values) / len(values)",
}
OUT = 99  # the place of a cell that is left out
FULL = {"double": 2, "guess": 1, "average": 2}


@pytest.fixture(autouse=True)
def exercises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Exercise]:
    return load(tmp_path, monkeypatch, CHECKS)


def load(folder: Path, monkeypatch: pytest.MonkeyPatch, checks: str) -> dict[str, Exercise]:
    write(folder / f"{LAB}.py", checks)
    monkeypatch.setattr(exercise, "CHECKS", folder)
    return exercise.load(LAB)


def submission(**answers: str) -> Submission:
    """A notebook with these answers; each exercise is judged after its own."""
    steps: list[Step] = []
    for name, answer in {**RIGHT, **answers}.items():
        steps.append(Run(answer, len(steps)))
        if name in RIGHT:
            steps.append(Decide(name))
    return Submission(tuple(steps), (), "digest")


def scores(verdict: Verdict) -> dict[str, float]:
    return {one.name: one.score for one in verdict.exercises}


def verdict_on(verdict: Verdict, name: str) -> ExerciseVerdict:
    return next(one for one in verdict.exercises if one.name == name)


class Near:
    """A session in this process. A cell that says `die` ends it, and so does a call that does."""

    isolation = "near"
    idle_seconds = 0.0

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"die": self.die}
        self.runner, self.ran = Runner(self.namespace), list[str]()
        self.closed = False

    def die(self) -> None:
        raise Died

    def execute(self, source: str, seconds: float) -> CellOutcome:
        self.ran.append(source)
        try:
            exec(source, self.namespace)
        except Died:
            raise SessionLost("The notebook's process died.") from None
        status = "interrupted" if "hang" in source else "ok"
        return CellOutcome(status, outputs=self.printed(source))

    def printed(self, source: str) -> tuple[dict[str, Any], ...]:
        return ({"output_type": "stream", "name": "stdout", "text": source},)

    def answer(self, request: bytes, seconds: float) -> bytes:
        try:
            return self.runner.answer(request)
        except Died:
            raise SessionLost("The notebook's process died.") from None

    def close(self) -> None:
        self.closed = True


class Died(BaseException):
    pass


class Opened:
    """Opens sessions and remembers them."""

    def __init__(self, make: Callable[[], Near] = Near) -> None:
        self.make, self.all = make, list[Near]()

    def __call__(self) -> Session:
        self.all.append(self.make())
        return self.all[-1]


def judged(
    work: Submission, exercises: dict[str, Exercise], opened: Any = None, **limits: float
) -> Verdict:
    return judge_submission(work, exercises, opened or Opened(), SECRET, TimeLimits(**limits))


# What is decided, and from what


def test_right_answers_get_full_marks(exercises: dict[str, Exercise]) -> None:
    opened = Opened()
    verdict = judged(submission(), exercises, opened)
    assert scores(verdict) == FULL
    assert [outcome.status for outcome in verdict.cells.values()] == ["ok", "ok", "ok"]
    assert verdict.isolation == "near"
    assert [one.closed for one in opened.all] == [True]


ON_DOUBLE = {  # a right average, which builds on the learner's own double
    "average": "def average(values):\n    return double(sum(values)) / (2 * len(values))",
}
LENT = {"double": "def double(x):\n    return x + x"}


def named(work: Submission) -> Submission:
    """The submission with the names of its answers' cells."""
    names = iter(RIGHT)
    steps = [
        replace(step, grade_id=f"{next(names)}_code") if isinstance(step, Run) else step
        for step in work.steps
    ]
    return replace(work, steps=tuple(steps))


def judged_on_double(
    exercises: dict[str, Exercise], monkeypatch: pytest.MonkeyPatch, **sources: str
) -> tuple[Verdict, Opened]:
    opened = Opened()
    monkeypatch.setattr(runner, "_kernels_runner", lambda: opened.all[-1].runner)
    upon = {**exercises, "average": replace(exercises["average"], stands_on=("double",))}
    work = named(submission(**{**ON_DOUBLE, **sources}))
    return judge_submission(work, upon, opened, SECRET, TimeLimits(), LENT), opened


def test_what_failed_on_a_wrong_answer_is_judged_on_a_right_one(
    exercises: dict[str, Exercise], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "def double(x):\n    return 3 * x"
    verdict, opened = judged_on_double(exercises, monkeypatch, double=wrong)
    assert scores(verdict) == {**FULL, "double": 0}
    average = verdict_on(verdict, "average")
    assert average.lent == ["double"]
    assert average.message.startswith("Judged with the course's own `double`, in the place of")
    assert [one.closed for one in opened.all] == [True, True]
    # The right answer was in the second session only, and nothing printed there is shown.
    assert not any("x + x" in source for source in opened.all[0].ran)
    assert any("x + x" in source for source in opened.all[1].ran)
    assert "x + x" not in str(verdict.cells)
    judged_again(exercises["average"], verdict.transcripts["average"])


def test_what_is_left_out_does_not_run(exercises: dict[str, Exercise]) -> None:
    opened = Opened()
    verdict = judged(leaving_out("die()"), exercises, opened)
    assert scores(verdict) == FULL
    assert len(opened.all) == 1
    assert "die()" not in opened.all[0].ran
    assert OUT not in verdict.cells


@pytest.mark.parametrize("changed", [True, False])
def test_where_a_cell_of_ones_own_may_be_missing_all_run(
    exercises: dict[str, Exercise], changed: bool
) -> None:
    opened = Opened()
    work = leaving_out("factor = 2", changed, double="def double(x):\n    return factor * x")
    verdict = judged(work, exercises, opened)
    assert scores(verdict) == (FULL if changed else {**FULL, "double": 0})
    assert len(opened.all) == (2 if changed else 1)
    assert (OUT in verdict.cells) == changed


def test_a_wrong_answer_is_not_run_again_with_all_cells(exercises: dict[str, Exercise]) -> None:
    opened = Opened()
    verdict = judged(
        leaving_out("factor = 2", double="def double(x):\n    return x"), exercises, opened
    )
    assert scores(verdict)["double"] < FULL["double"]
    assert len(opened.all) == 1


def leaving_out(cell: str, changed: bool = True, **answers: str) -> Submission:
    """A notebook that begins with a cell which is left out."""
    work = submission(**answers)
    return replace(
        work, steps=(Run(cell, OUT), *work.steps), left_out=LeftOut(frozenset({OUT}), changed)
    )


def test_a_wrong_answer_stays_wrong_on_a_right_one(
    exercises: dict[str, Exercise], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = {"double": "double = None", "average": "def average(values):\n    return double(0)"}
    verdict, opened = judged_on_double(exercises, monkeypatch, **both)
    assert scores(verdict) == {**FULL, "double": 0, "average": 0}
    assert verdict_on(verdict, "average").lent == []
    assert len(opened.all) == 2


def test_on_right_answers_nothing_is_judged_twice(
    exercises: dict[str, Exercise], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "def average(values):\n    return double(0)"
    verdict, opened = judged_on_double(exercises, monkeypatch, average=wrong)
    assert scores(verdict) == {**FULL, "average": 0}
    assert len(opened.all) == 1


def test_one_that_waits_too_long_in_all_is_ended(exercises: dict[str, Exercise]) -> None:
    class Sleeper(Near):
        idle_seconds = 200.0

    verdict = judged(submission(double="die()"), exercises, Opened(Sleeper))
    assert scores(verdict) == {"double": 0, "guess": 0, "average": 0}
    assert "waited without computing" in verdict_on(verdict, "average").message


def test_the_reason_is_told_without_inputs_and_expected_values(
    exercises: dict[str, Exercise],
) -> None:
    wrong = judged(submission(double="def double(x): return x * x"), exercises)
    one = verdict_on(wrong, "double")
    assert (one.score, one.status) == (0, "failed")
    assert "That is the square." in one.message
    assert not [character for character in one.message if character.isdigit()]
    assert one.faults[0]["diagnosis"] == "That is the square."


def test_the_seed_is_repeatable_and_depends_on_secret_submission_and_exercise() -> None:
    seed = judge.seed_for(SECRET, "digest", "double")
    assert seed == judge.seed_for(SECRET, "digest", "double")
    others = [(b"other", "digest", "double"), (SECRET, "d", "double"), (SECRET, "digest", "guess")]
    assert seed not in [judge.seed_for(*other) for other in others]
    assert "secret" not in judge.seed_id(SECRET)


def test_inputs_are_the_same_for_the_same_submission_and_others_for_another(
    exercises: dict[str, Exercise],
) -> None:
    spying = submission(double="asked = []\ndef double(x): asked.append(x); return 2 * x")

    def inputs(work: Submission) -> list[float]:
        opened = Opened()
        judged(work, exercises, opened)
        return opened.all[0].namespace["asked"]

    assert inputs(spying) == inputs(spying)
    assert inputs(spying) != inputs(Submission(spying.steps, (), "another digest"))


def test_a_check_that_fails_on_an_answer_costs_no_other_exercise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = CHECKS.replace(
        "known = {", "raise RuntimeError(student.double(x))\n        known = {", 1
    )
    exercises = load(tmp_path, monkeypatch, broken)
    verdict = judged(submission(), exercises)
    assert scores(verdict) == {**FULL, "double": 0}
    one = verdict_on(verdict, "double")
    assert one.status == "not judged"
    assert "a person must" in one.message


def test_a_check_that_never_ends_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = CHECKS.replace("known = {", "while True: pass\n        known = {", 1)
    exercises = load(tmp_path, monkeypatch, endless)
    verdict = judged(submission(), exercises, exercise_seconds=0.1)
    assert scores(verdict) == {**FULL, "double": 0}
    assert verdict_on(verdict, "double").status == "not judged"


def test_no_kernel_is_nobodys_fault(exercises: dict[str, Exercise]) -> None:
    def fails() -> Near:
        raise NoSession("no room")

    with pytest.raises(NoSession):
        judged(submission(), exercises, Opened(fails))


# Sessions that are lost


def test_a_cell_that_kills_costs_itself_and_what_went_before_is_replayed(
    exercises: dict[str, Exercise],
) -> None:
    opened = Opened()
    verdict = judged(submission(guess="guess = 'yes'\ndie()"), exercises, opened)
    assert scores(verdict) == {**FULL, "guess": 0}
    assert verdict_on(verdict, "guess").status == "not done"
    assert verdict.cells[2] == CellOutcome("lost", "The notebook's process died.")
    first, second = opened.all
    assert second.ran == [RIGHT["double"], RIGHT["average"]]
    assert first.closed
    assert second.closed


def test_an_answer_that_kills_costs_its_exercise_only(exercises: dict[str, Exercise]) -> None:
    verdict = judged(submission(double="def double(x): die()"), exercises)
    assert scores(verdict) == {**FULL, "double": 0}
    assert "The notebook's process died." in verdict_on(verdict, "double").message


def test_an_interrupted_cell_is_not_replayed(exercises: dict[str, Exercise]) -> None:
    opened = Opened()
    judged(submission(guess="hang = 1", average="def average(v): die()"), exercises, opened)
    assert [RIGHT["double"], "def average(v): die()"] != opened.all[0].ran
    assert all("hang" not in source for one in opened.all[1:] for source in one.ran)


def test_the_time_of_the_whole_names_its_limit(exercises: dict[str, Exercise]) -> None:
    verdict = judged(submission(), exercises, total_seconds=0.0)
    assert scores(verdict) == dict.fromkeys(FULL, 0)
    assert "longer than 0 seconds in all" in verdict_on(verdict, "double").message


def test_slow_answers_use_up_their_own_exercises_time(exercises: dict[str, Exercise]) -> None:
    slow = "import time\ndef double(x): time.sleep(0.3); return 2 * x"
    verdict = judged(submission(double=slow), exercises, exercise_seconds=0.2)
    one = verdict_on(verdict, "double")
    assert (one.score, scores(verdict)["guess"]) == (1.5, 1)
    assert "longer than 0.2 seconds" in one.message


# What is kept


def test_outputs_beyond_the_budget_are_left_out(
    exercises: dict[str, Exercise], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "KEPT_OUTPUT", 200)
    verdict = judged(submission(double=RIGHT["double"] + "#" * 300), exercises)
    assert verdict.cells[0].outputs == ()
    assert "printed too much" in verdict.cells[0].message
    assert scores(verdict) == FULL


def test_what_a_hostile_process_says_is_shortened_and_moves_no_cursor(
    exercises: dict[str, Exercise],
) -> None:
    class Forging(Near):
        def answer(self, request: bytes, seconds: float) -> bytes:
            message = "\x1b[2J\ud800" + "x" * 10_000_000
            fault = {"kind": "value", "message": message, "detail": ""}
            form = ["dict", [["fault", ["dict", [list(pair) for pair in fault.items()]]]]]
            return json.dumps(form).encode()

    verdict = judged(submission(), exercises, Opened(Forging))
    assert scores(verdict) == dict.fromkeys(FULL, 0)
    text = json.dumps(as_dict(verdict), ensure_ascii=False, allow_nan=False)
    assert len(text.encode()) < 100_000
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'["dict",[]]',
        b'["dict",[["value",NaN],["mutated",["list",[]]]]]',
        b'["dict",[["fault",["dict",[]]]]]',
        b'["dict",[["value",1]]]',
        b"[" * 100_000,
        b"\xff",
        b'["dict",[["value",["array","float64",[1000000000],""]],["mutated",["list",[]]]]]',
        b'["dict",[["value",["object","Score"]],["mutated",["list",[]]]]]',
        b'["dict",[["score",2.0],["passed",true]]]',
        b'["dict",[["first",2.0],["again",2.0]]]',
        b'["dict",[["first","[[["],["again","["]]]',
        b'["dict",[["first","\\ud800"],["again",""]]]',
        b'["dict",[["first","[\\"dict\\",[[\\"first\\",\\"{}\\"]]]"],["again","{}"]]]',
        b'["dict",[["first","{}"]]]',
    ],
)
def test_forged_replies_gain_nothing(exercises: dict[str, Exercise], reply: bytes) -> None:
    class Forging(Near):
        def answer(self, request: bytes, seconds: float) -> bytes:
            return reply

    assert scores(judged(submission(), exercises, Opened(Forging))) == dict.fromkeys(FULL, 0)


# Library calls


@pytest.fixture
def forbidding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Exercise]:
    """The exercises, of which `double` forbids NumPy's functions."""
    declared = '@exercise("double", points=2'
    assert declared in CHECKS
    checks = CHECKS.replace(declared, f"{declared}, forbids={{'double': ['numpy']}}")
    return load(tmp_path / "forbidding", monkeypatch, checks)


LIBRARY = "import numpy as np\ndef double(x): return np.add(x, x)"


def test_a_forbidden_library_call_gets_no_points_and_is_told(
    forbidding: dict[str, Exercise],
) -> None:
    verdict = judged(submission(double=LIBRARY), forbidding)
    assert scores(verdict) == {**FULL, "double": 0}
    assert "Your `double` uses numpy.add" in verdict_on(verdict, "double").message
    assert scores(judged(submission(), forbidding)) == FULL


def test_what_was_handed_in_is_read_and_not_what_the_process_says_of_it(
    forbidding: dict[str, Exercise],
) -> None:
    forged = submission(double=LIBRARY + "\nIn = ['def double(x): return x + x']")
    assert scores(judged(forged, forbidding)) == {**FULL, "double": 0}


def test_a_library_call_is_judged_again_as_it_was(
    exercises: dict[str, Exercise], forbidding: dict[str, Exercise]
) -> None:
    for answer, score in ((LIBRARY, 0), (RIGHT["double"], 2)):
        transcript = judged(submission(double=answer), forbidding).transcripts["double"]
        assert judged_again(forbidding["double"], transcript).score == score
        with pytest.raises(NotKept):
            judged_again(exercises["double"], transcript)


# Judging again


def changed(checks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise:
    return load(tmp_path / "changed", monkeypatch, checks)["double"]


def judged_again(one: Exercise, transcript: list[dict[str, str]]) -> ExerciseVerdict:
    return judge.judge_kept(one, transcript, SECRET, "digest")


def test_kept_values_are_judged_again_without_the_code(
    exercises: dict[str, Exercise], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = judged(submission(double="def double(x): return 2 * abs(x)"), exercises)
    transcript = before.transcripts["double"]
    assert judged_again(exercises["double"], transcript).score == 1.5
    generous = CHECKS.replace("-2 * x, given={", "2 * x, given={")
    assert judged_again(changed(generous, tmp_path, monkeypatch), transcript).score == 2
    assert transcript == json.loads(json.dumps(transcript))


def test_a_lost_session_stays_lost(exercises: dict[str, Exercise]) -> None:
    before = judged(submission(double="def double(x): die()"), exercises)
    again = judged_again(exercises["double"], before.transcripts["double"])
    assert again.message == verdict_on(before, "double").message


def test_a_check_that_asks_for_something_else_needs_the_code(
    exercises: dict[str, Exercise], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcript = judged(submission(), exercises).transcripts["double"]
    for old, new in (
        ("uniform(1, 9))\n    with", "uniform(2, 9))\n    with"),
        ("student.double(-x)", "student.double(-x) + student.double(0.0) * 0"),
    ):
        assert old in CHECKS
        other = changed(CHECKS.replace(old, new, 1), tmp_path, monkeypatch)
        with pytest.raises(NotKept):
            judged_again(other, transcript)


def test_a_value_too_large_to_keep_needs_the_code(
    exercises: dict[str, Exercise], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "KEPT_REPLY", 10)
    verdict = judged(submission(), exercises)
    assert scores(verdict) == FULL
    with pytest.raises(NotKept):
        judged_again(exercises["double"], verdict.transcripts["double"])


# Real kernels

HOSTILE = {
    # Each of these in turn: an answer that ends its process, one that never ends and cannot be
    # interrupted, one that floods; then a cell that floods, and the honest rest.
    "double": "import os\ndef double(x): os._exit(0)",
    "guess": (
        "print('x' * 40_000_000)\nguess = 'yes'\n"
        "import IPython.display\n"
        "IPython.display.display(IPython.display.HTML('<script>1</script>'))"
    ),
    "average": (
        "import signal, time\n"
        "def average(values):\n"
        "    for number in (signal.SIGINT, signal.SIGALRM):\n"
        "        signal.signal(number, signal.SIG_IGN)\n"
        "    while True: time.sleep(1)"
    ),
}


@pytest.fixture(params=[kernels.TRUSTED, pytest.param(kernels.SANDBOX, marks=needs("bwrap"))])
def opener(request: pytest.FixtureRequest) -> Callable[[], KernelSession]:
    return kernels.opener(request.param, TimeLimits(), "smoke")


def test_each_hostile_exercise_costs_itself_only(
    opener: Callable[[], KernelSession],
    exercises: dict[str, Exercise],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judge, "SLACK", 0.5)
    monkeypatch.setattr(session, "GRACE", 0.5)
    work = submission(**HOSTILE)
    verdict = judge_submission(work, exercises, opener, SECRET, TimeLimits(cell_seconds=40))
    assert scores(verdict) == {"double": 0, "guess": 0, "average": 0}
    assert "died" in verdict_on(verdict, "double").message or "ended" in verdict.cells[0].message
    assert "printed more than 10 MB" in verdict.cells[2].message
    assert "seconds, the limit" in verdict_on(verdict, "average").message
    honest = submission(double=HOSTILE["double"])
    verdict = judge_submission(honest, exercises, opener, SECRET, TimeLimits())
    assert scores(verdict) == {**FULL, "double": 0}


@probe
def sees(learner: Any) -> list[str]:
    import os

    return [os.getcwd(), os.environ["LAB_SCALE"], *os.listdir()]


def test_a_check_sees_the_session_s_own_folder_and_environment(
    opener: Callable[[], KernelSession],
) -> None:
    """Not those of the process that it was forked from, nor what the notebook made of them."""
    opened = opener()
    opened.execute("import os; open('mine', 'w').close(); own = os.getcwd()", 60)
    opened.execute("os.environ['LAB_SCALE'] = 'mine'; os.chdir('/')", 60)
    transport: Any = SimpleNamespace(answer=partial(opened.answer, seconds=60))
    student = connect(transport, 60)
    assert sees(student) == [student["own"], "smoke", "mine"]
    opened.close()


@pytest.fixture
def kernel() -> Iterator[KernelSession]:
    opened = kernels.opener(kernels.TRUSTED, TimeLimits(), "smoke")()
    yield opened
    opened.close()


def test_its_sockets_are_no_ports_that_another_process_could_take(kernel: KernelSession) -> None:
    source = "import ipykernel, json\njson.loads(ipykernel.get_connection_info())['transport']"
    (output,) = kernel.execute(source, 60).outputs
    assert output["data"]["text/plain"] == "'ipc'"


def test_a_cell_s_outputs_are_text_and_pictures_only(kernel: KernelSession) -> None:
    source = """
import sys
from IPython.display import display
print("a"); print("b"); print("c", file=sys.stderr)
display({"text/html": "<script>1</script>", "text/plain": "plain"}, raw=True)
display({"text/html": "<script>1</script>"}, raw=True)
display({"image/png": '"><script>1</script>', "application/javascript": "1"}, raw=True)
display({"image/png": "iVBORw0KGgo="}, raw=True)
1 + 1
"""
    outcome = kernel.execute(source, 60)
    assert outcome.status == "ok"
    assert list(outcome.outputs) == [
        {"output_type": "stream", "name": "stdout", "text": "a\nb\n"},
        {"output_type": "stream", "name": "stderr", "text": "c\n"},
        {"output_type": "display_data", "data": {"text/plain": "plain"}, "metadata": {}},
        {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}, "metadata": {}},
        {"output_type": "display_data", "data": {"text/plain": "2"}, "metadata": {}},
    ]


def test_a_hanging_cell_is_interrupted_and_the_kernel_lives(kernel: KernelSession) -> None:
    kernel.execute("a = 1", 60)
    outcome = kernel.execute("while True: pass", 0.5)
    assert (outcome.status, outcome.message) == (
        "interrupted",
        "It was stopped after 0.5 seconds, the limit.",
    )
    assert kernel.execute("print(a)", 60).outputs[0]["text"] == "1\n"


def test_a_kernel_that_cannot_be_asked_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, close = list[str](), kernels.TrustedKernel.close
    monkeypatch.setattr(
        kernels.TrustedKernel, "close", lambda own: (closed.append("closed"), close(own))
    )
    monkeypatch.setattr(session, "_LISTEN", "import grading.no_such_room")
    with pytest.raises(NoSession, match="takes no requests: ModuleNotFoundError"):
        kernels.opener(kernels.TRUSTED, TimeLimits(), "smoke")()
    assert closed == ["closed"]


def test_a_request_without_a_reply_is_given_up_soon(
    kernel: KernelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LATE", 0.5)
    kernel.execute("get_ipython().kernel.shell_handlers['judge_request'] = print", 60)
    with pytest.raises(SessionLost, match="did not answer"):
        kernel.answer(b"{}", 600)


def test_nonsense_on_the_wire_is_passed_over(kernel: KernelSession) -> None:
    """The student's process holds the key: it can send whatever it likes as the kernel."""
    source = """
kernel = get_ipython().kernel
socket, session = kernel.iopub_socket, kernel.session
parent = kernel.get_parent()
for content in ([], 1, "x", {"execution_state": []}, {"data": 3}, {"data": {"text/plain": {}}},
                {"text": 3}, {"traceback": "x"}, {"traceback": [[]]}):
    for kind in ("status", "stream", "display_data", "execute_result", "error", "x"):
        session.send(socket, kind, content=content, parent=parent, ident=b"x")
for frames in ([b""], [b"<IDS|MSG>"], [b"<IDS|MSG>", b"x"], [b"<IDS|MSG>"] + [b"x"] * 5):
    socket.send_multipart(frames)
signed = [session.pack(part) for part in ([], 1, {}, {})]
socket.send_multipart([b"<IDS|MSG>", session.sign(signed), *signed])
"""
    outcome = kernel.execute(source, 60)
    assert len(outcome.outputs) < 60
    assert kernel.execute("print('still here')", 60).outputs[-1]["text"] == "still here\n"


def test_numbers_in_seconds_are_plain(exercises: dict[str, Exercise]) -> None:
    text = json.dumps(as_dict(judged(submission(), exercises)), allow_nan=False)
    assert np.isclose(json.loads(text)["score"], 5)


# What a cell did, and when it showed


def test_exit_costs_its_own_cell_only(exercises: dict[str, Exercise]) -> None:
    """As a kernel does: it answers, and dies."""

    class Leaves(Near):
        def execute(self, source: str, seconds: float) -> CellOutcome:
            if source == "exit()":
                raise SessionLost("It ended the notebook's process (`exit()` or `quit()`).")
            return super().execute(source, seconds)

    steps = list(submission().steps)
    steps.insert(2, Run("exit()", 77))
    opened = Opened(Leaves)
    verdict = judge.judge_submission(
        Submission(tuple(steps), (), "digest"), exercises, opened, SECRET
    )
    assert scores(verdict) == FULL
    assert verdict.cells[77].status == "lost"
    assert all("exit()" not in session.ran for session in opened.all)


def test_a_death_during_an_exercise_is_tried_again_in_a_new_process(
    exercises: dict[str, Exercise],
) -> None:
    deaths = iter([True])

    class Delayed(Near):
        """Dies once, in the midst of a call that has no part in it."""

        def answer(self, request: bytes, seconds: float) -> bytes:
            if next(deaths, False):
                raise SessionLost("The notebook's process died.")
            return super().answer(request, seconds)

    verdict = judge.judge_submission(submission(), exercises, Opened(Delayed), SECRET)
    assert scores(verdict) == FULL


def test_an_answer_whose_cell_failed_is_told_so_and_not_that_it_is_not_done(
    exercises: dict[str, Exercise],
) -> None:
    class Fails(Near):
        def execute(self, source: str, seconds: float) -> CellOutcome:
            if "numba" in source:
                return CellOutcome("error", "ModuleNotFoundError: No module named 'numba'")
            return super().execute(source, seconds)

    steps = [
        Run("import numba\ndef double(x): return 2 * x", 0, "double_code"),
        *(step for step in submission().steps if step != Run(RIGHT["double"], 0)),
    ]
    verdict = judge.judge_submission(
        Submission(tuple(steps), (), "digest"), exercises, Opened(Fails), SECRET
    )
    row = verdict_on(verdict, "double")
    assert (row.score, row.status) == (0, "failed")
    assert "failed when it was run: ModuleNotFoundError: No module named 'numba'" in row.message
