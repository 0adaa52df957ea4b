"""Judges one submission: its code runs in a session, what it is worth is decided here.

The session is a kernel that the student's code may do with as it likes. It never holds an expected
value, a held-out label, a seed or a check: a check runs in this process and asks the session for
values (`grading.answer.student`), with inputs drawn from a seed that only this process knows.

A session that dies, hangs or floods costs the exercise that was being judged, or the cell that was
being run, and no other: a new session replays the cells before it and grading goes on.
"""

import base64
import hashlib
import hmac
import json
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from grading.answer import exercise
from grading.answer.exercise import Exercise
from grading.answer.fault import UNDONE, Fault
from grading.answer.say import say
from grading.answer.time_limit import TimeLimit, time_limit
from grading.checks import calls
from grading.course.cells import exercise_of
from grading.marking import foundations
from grading.marking.submission import Decide, LeftOut, Run, Submission
from grading.marking.verdict import CellOutcome, ExerciseVerdict, Verdict, of_result, plain

# Replies are kept, so that a changed check can judge them again.
KEPT_REPLY = 64 * 1024  # bytes of one reply
KEPT_REPLIES = 2 * 2**20  # of all replies of a submission
KEPT_OUTPUT = 8 * 2**20  # characters of all outputs of a submission

SLACK = 5.0  # seconds beyond its limit that a call has to come back


class SessionLost(Exception):
    """The session is gone; the message names the limit that it met, or says that it died."""


class NoSession(RuntimeError):
    """A kernel could not be started. That is this machine's fault, and costs nobody marks."""


class Session(Protocol):
    """A kernel in which one submission runs. isolation: what keeps it apart, in words;
    idle_seconds: how long it has waited without computing."""

    isolation: str

    @property
    def idle_seconds(self) -> float: ...

    def execute(self, source: str, seconds: float) -> CellOutcome:
        """Run one cell for at most `seconds`. Raises SessionLost."""
        ...

    def answer(self, request: bytes, seconds: float) -> bytes:
        """Pass a request to the runner beside the student's names. SessionLost."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class TimeLimits:
    """Seconds that one cell may take, the judging of one exercise, and the whole submission; and
    those of it in which it may wait without computing, so that sleepers hold no worker for long."""

    cell_seconds: float = 120.0
    exercise_seconds: float = 120.0
    total_seconds: float = 900.0
    idle_seconds: float = 180.0


def seed_for(secret: bytes, digest: str, name: str) -> int:
    """The seed of an exercise's inputs for one submission: the same submission has the same, and
    nobody without the course's secret can tell it."""
    mac = hmac.new(secret, f"{digest}/{name}".encode(), hashlib.sha256)
    return int.from_bytes(mac.digest(), "big")


def seed_id(secret: bytes) -> str:
    """Names a secret without giving it away."""
    return hashlib.sha256(b"perceptron-to-pipeline/" + secret).hexdigest()[:12]


def judge_submission(
    submission: Submission,
    exercises: Mapping[str, Exercise],
    open_session: Callable[[], Session],
    secret: bytes,
    limits: TimeLimits | None = None,
    answers: Mapping[str, str] | None = None,
) -> Verdict:
    """Run a submission and judge its exercises. Raises NoSession, and for nothing that the
    submission does.

    answers: the code of right ones, by exercise. An exercise that failed on top of a wrong answer
    is judged once more with a right one beneath it, and the better counts. So is one that failed
    where a cell that was left out might have helped, with all cells.
    """
    limits = limits or TimeLimits()
    deadline, idle = time.monotonic() + limits.total_seconds, 0.0

    def run(work: Submission, some: Iterable[str]) -> Verdict:
        nonlocal idle  # what was spent stays spent
        chosen = {name: exercises[name] for name in some}
        with closing(_Grader(work, chosen, open_session, secret, limits, deadline, idle)) as grader:
            found = grader.grade()
        idle = grader.idle
        return found

    found = run(submission, exercises)
    doubtful = [row.name for row in found.exercises if _may_lack(row, submission.left_out)]
    if doubtful:
        submission = replace(submission, left_out=LeftOut())
        whole = run(submission, doubtful)
        found.cells = whole.cells
        foundations.take_the_better(found, whole)
    upon = foundations.second(submission, exercises, answers or {}, found)
    if upon is not None:
        foundations.take_the_better(found, run(upon.submission, upon.lent), upon.lent)
    return found


def _may_lack(row: ExerciseVerdict, left_out: LeftOut) -> bool:
    """Whether a cell that was left out may be why an exercise fell short: one of the student's own,
    as the course's are known to change nothing that answers stand on."""
    if row.score >= row.max_score or row.unwritten or not left_out.changed:
        return False
    raised = any(fault["kind"] in ("dead", "exception", "missing") for fault in row.faults)
    return raised or row.name in left_out.unsettled


class _Grader:
    def __init__(
        self,
        submission: Submission,
        exercises: Mapping[str, Exercise],
        open_session: Callable[[], Session],
        secret: bytes,
        limits: TimeLimits,
        deadline: float,
        idle: float,
    ) -> None:
        """deadline: by time.monotonic(); idle: the seconds that sessions before it waited."""
        self.submission, self.exercises, self.open_session = submission, exercises, open_session
        self.secret, self.limits = secret, limits
        self.deadline, self.idle = deadline, idle
        self.session: Session | None = None
        self.ran: list[Run] = []  # the cells that a new session has to replay
        self.verdict = Verdict([], list(submission.notes))
        self.kept_output = self.kept_replies = 0

    def grade(self) -> Verdict:
        rows, left_out = {}, self.submission.left_out.cells
        for step in self.submission.steps:
            if isinstance(step, Run):
                if step.index not in left_out:
                    self._run(step)
            elif step.exercise in self.exercises:
                rows[step.exercise] = self._judge(self.exercises[step.exercise])
        self.verdict.exercises = [rows[name] for name in self.exercises]
        return self.verdict

    def close(self) -> None:
        if self.session is not None:
            self.idle += self.session.idle_seconds
            self.session.close()
            self.session = None

    def _run(self, step: Run) -> None:
        try:
            outcome = self.ready().execute(step.source, self.seconds(self.limits.cell_seconds))
            if outcome.status != "interrupted":
                self.ran.append(step)
        except SessionLost as lost:
            self.close()
            outcome = CellOutcome("lost", plain(str(lost)))
        self.verdict.cells[step.index] = self._within_budget(outcome)

    def _within_budget(self, outcome: CellOutcome) -> CellOutcome:
        self.kept_output += sum(len(repr(output)) for output in outcome.outputs)
        if self.kept_output <= KEPT_OUTPUT:
            return outcome
        message = outcome.message or "Its output is left out: the notebook printed too much."
        return CellOutcome(outcome.status, message, (), outcome.seconds)

    def _judge(self, one: Exercise) -> ExerciseVerdict:
        verdict, transcript = self._attempt(one)
        if any(fault["kind"] == "dead" for fault in verdict.faults):
            # What ended the process may be the effect of something earlier. So it is tried again in
            # one that is new, and what counts is the better.
            self.close()
            again, kept = self._attempt(one)
            if again.score > verdict.score:
                verdict, transcript = again, kept
        self.verdict.transcripts[one.name] = transcript
        return self._explained(one, verdict)

    def _explained(self, one: Exercise, verdict: ExerciseVerdict) -> ExerciseVerdict:
        """An answer that is not there because its cell failed is not "not done"."""
        undone = [fault for fault in verdict.faults if fault["kind"] in UNDONE]
        failed = self._failed_cell(one.name) if undone and verdict.score < verdict.max_score else ""
        if not failed:
            return verdict
        why = f"The cell of this answer failed when it was run: {failed}"
        for fault in undone:
            fault.update(kind="exception", message=why, diagnosis="")
        status = "failed" if verdict.status == "not done" else verdict.status
        said = [say(fault["message"]) for fault in verdict.faults]
        return replace(verdict, status=status, message="\n".join(dict.fromkeys(said)))

    def _failed_cell(self, name: str) -> str:
        """What the exercise's answer cell failed with, or nothing."""
        for step in self.submission.steps:
            if isinstance(step, Run) and exercise_of(step.grade_id or "", self.exercises) == name:
                outcome = self.verdict.cells.get(step.index)
                if outcome is not None and outcome.status != "ok":
                    return outcome.message or "the cell did not end well"
        return ""

    def _attempt(self, one: Exercise) -> tuple[ExerciseVerdict, list[dict[str, str]]]:
        seed = seed_for(self.secret, self.submission.digest, one.name)
        transport = _Transport(self, one)
        verdict = _decide(one, transport, seed, self.limits.exercise_seconds)
        if verdict.status == "not judged":
            self.close()  # it may have been left in the midst of an answer
        return verdict, transport.transcript

    def ready(self) -> Session:
        """The session, opened anew and brought up to where it was if it was lost. SessionLost."""
        if self.session is None:
            self.seconds(1)
            session = self.open_session()
            self.verdict.isolation = session.isolation
            try:
                for step in self.ran:
                    session.execute(step.source, self.seconds(self.limits.cell_seconds))
            except SessionLost:
                session.close()
                raise
            self.session = session
        return self.session

    def seconds(self, wanted: float) -> float:
        """As many as are left of the whole, at most `wanted`. Raises SessionLost at its end."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            total = self.limits.total_seconds
            raise SessionLost(f"The notebook took longer than {total:g} seconds in all, the limit.")
        if self.idle >= self.limits.idle_seconds:
            most = f"{self.limits.idle_seconds:g} seconds in all"
            raise SessionLost(f"The notebook waited without computing for {most}, the limit.")
        return min(wanted, left)


class _Transport:
    """Carries a check's requests to the session and keeps what came back."""

    def __init__(self, grader: _Grader, one: Exercise) -> None:
        self.grader, self.exercise = grader, one
        self.spent = 0.0  # seconds that the student's code took
        self.transcript: list[dict[str, str]] = []

    def answer(self, request: bytes) -> bytes:
        start, asked = time.monotonic(), hashlib.sha256(request).hexdigest()
        try:
            reply = self._ask(request)
        except (SessionLost, TimeLimit) as lost:  # the whole exercise's limit, met while waiting
            self.grader.close()
            why = plain(str(lost)) or self._took_too_long()
            self.transcript.append({"request": asked, "lost": why})
            raise Fault("dead", why) from None
        finally:
            self.spent += time.monotonic() - start
        entry = {"request": asked}
        if len(reply) <= min(KEPT_REPLY, KEPT_REPLIES - self.grader.kept_replies):
            self.grader.kept_replies += len(reply)
            entry["reply"] = base64.b64encode(reply).decode("ascii")
        self.transcript.append(entry)
        return reply

    def uses(self, name: str, forbidden: Sequence[str]) -> list[str]:
        """From what was handed in; the session has no part in it."""
        steps = self.grader.submission.steps
        before = takewhile(lambda step: step != Decide(self.exercise.name), steps)
        cells = [step.source for step in before if isinstance(step, Run)]
        found = calls.found(cells, name, forbidden)
        reply = base64.b64encode(json.dumps(found).encode()).decode("ascii")
        self.transcript.append({"request": _reading(name, forbidden), "reply": reply})
        return found

    def _ask(self, request: bytes) -> bytes:
        if self.spent > self.grader.limits.exercise_seconds:
            raise SessionLost(self._took_too_long())
        session = self.grader.ready()
        # The runner stops a call, or each of two, at the limit; one that goes on is given up on.
        most = 2 * self.exercise.time_limit + SLACK
        return session.answer(request, self.grader.seconds(most))

    def _took_too_long(self) -> str:
        most = self.grader.limits.exercise_seconds
        return f"Judging it took longer than {most:g} seconds, the limit."


class NotKept(LookupError):
    """A changed check asks for a value that the record does not have: the submission must run."""


class Replay:
    """Answers a check from a kept transcript, without the student's code."""

    def __init__(self, transcript: Iterable[Mapping[str, str]]) -> None:
        self.entries = iter(transcript)

    def answer(self, request: bytes) -> bytes:
        return self._kept(hashlib.sha256(request).hexdigest())

    def uses(self, name: str, forbidden: Sequence[str]) -> list[str]:
        return json.loads(self._kept(_reading(name, forbidden)))

    def _kept(self, asked: str) -> bytes:
        entry = next(self.entries, {})
        if entry.get("request") != asked:
            raise NotKept
        if "lost" in entry:
            raise Fault("dead", entry["lost"])
        if "reply" not in entry:
            raise NotKept
        return base64.b64decode(entry["reply"])


def _reading(name: str, forbidden: Sequence[str]) -> str:
    """Stands in a transcript for the question which of these names the source has."""
    return hashlib.sha256(json.dumps(["uses", name, *forbidden]).encode()).hexdigest()


def judge_kept(
    one: Exercise, transcript: Iterable[Mapping[str, str]], secret: bytes, digest: str
) -> ExerciseVerdict:
    """Judge kept replies with the check as it is now. Raises NotKept where that is not possible."""
    return _decide(one, Replay(transcript), seed_for(secret, digest, one.name), 60.0)


def _decide(one: Exercise, transport: Any, seed: int, seconds: float) -> ExerciseVerdict:
    try:
        # The student's time is counted elsewhere; this ends a check that a value keeps busy.
        with time_limit(2 * seconds):
            return of_result(exercise.run(one, transport, np.random.default_rng(seed)))
    except (NotKept, NoSession):
        raise
    except (Exception, TimeLimit) as error:
        # This is the border: whatever a value does to a check, the other exercises go on.
        why = f"The check could not judge this answer ({type(error).__name__}); a person must."
        broke = plain(_place(error))
        return ExerciseVerdict(one.name, 0.0, one.points, "not judged", say(why), 0.0, broke=broke)


def _place(error: BaseException) -> str:
    """What was raised, and where in the check's file."""
    places = traceback.extract_tb(error.__traceback__)
    last = next((one for one in reversed(places) if "checks" in one.filename), places[-1])
    said = f": {error}" if str(error) else ""
    return f"{type(error).__name__}{said} ({Path(last.filename).name}, line {last.lineno})"
