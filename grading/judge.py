"""Judges one submission: its code runs in a session, what it is worth is decided here.

The session is a kernel that the student's code may do with as it likes. It never holds an expected
value, a held-out label, a seed or a check: a check runs in this process and asks the session for
values (`grading.student`), with inputs drawn from a seed that only this process knows.

A session that dies, hangs or floods costs the exercise that was being judged, or the cell that was
being run, and no other: a new session replays the cells before it and grading goes on.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from grading import exercise
from grading.exercise import Exercise, Result
from grading.fault import Fault
from grading.submission import Run, Submission

SCHEMA = 1
KEPT_BYTES = (
    64 * 1024
)  # a reply up to this size is kept, so that a changed check can judge it again


class SessionLost(Exception):
    """The session is gone; the message names the limit that it met, or says that it died."""


class Session(Protocol):
    """A kernel in which one submission runs."""

    def execute(self, source: str, seconds: float) -> "Outcome":
        """Run one cell for at most `seconds`. Raises SessionLost."""
        ...

    def answer(self, request: bytes, seconds: float) -> bytes:
        """Pass a request to the `grading.runner.Runner` beside the student's names. SessionLost."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How one cell ended: ok, error, interrupted or lost; its outputs as nbformat has them."""

    status: str
    message: str = ""
    outputs: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Limits:
    """Seconds that one cell may take, and the whole submission with its judging."""

    cell_seconds: float = 120.0
    total_seconds: float = 900.0


@dataclass
class ExerciseVerdict:
    """What one exercise is worth, and why. `message` is fit for the student: it holds no inputs,
    no expected values and nothing of the check's source."""

    name: str
    score: float
    max_score: float
    status: str
    message: str
    seconds: float


@dataclass
class Verdict:
    """What one submission is worth."""

    exercises: list[ExerciseVerdict]
    notes: list[str] = field(default_factory=list)
    cells: dict[int, Outcome] = field(default_factory=dict)
    transcripts: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def score(self) -> float:
        return round(sum(one.score for one in self.exercises), 6)

    @property
    def max_score(self) -> float:
        return round(sum(one.max_score for one in self.exercises), 6)


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
    limits: Limits | None = None,
) -> Verdict:
    """Run a submission and judge its exercises. Nothing that the submission does raises here."""
    grader = _Grader(submission, exercises, open_session, secret, limits or Limits())
    try:
        return grader.grade()
    finally:
        grader.close()


def unreadable(reason: str, exercises: Iterable[Exercise]) -> Verdict:
    """The verdict on a file that cannot be graded: no points, and the reason."""
    rows = [
        ExerciseVerdict(one.name, 0.0, one.points, "unreadable", reason, 0.0) for one in exercises
    ]
    return Verdict(rows, notes=[reason])


class _Grader:
    def __init__(
        self,
        submission: Submission,
        exercises: Mapping[str, Exercise],
        open_session: Callable[[], Session],
        secret: bytes,
        limits: Limits,
    ) -> None:
        self.submission, self.exercises, self.open_session = submission, exercises, open_session
        self.secret, self.limits = secret, limits
        self.deadline = time.monotonic() + limits.total_seconds
        self.session: Session | None = None
        self.ran: list[Run] = []  # the cells that a new session has to replay
        self.verdict = Verdict([], list(submission.notes))

    def grade(self) -> Verdict:
        rows = {}
        for step in self.submission.steps:
            if isinstance(step, Run):
                self._run(step)
            else:
                rows[step.exercise] = self._judge(self.exercises[step.exercise])
        self.verdict.exercises = [rows[name] for name in self.exercises]
        return self.verdict

    def close(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None

    def _run(self, step: Run) -> None:
        try:
            outcome = self._ready().execute(step.source, self._seconds(self.limits.cell_seconds))
            self.ran.append(step)
        except SessionLost as lost:
            self.close()
            outcome = Outcome("lost", str(lost))
        self.verdict.cells[step.index] = outcome

    def _judge(self, one: Exercise) -> ExerciseVerdict:
        seed = seed_for(self.secret, self.submission.digest, one.name)
        transport = _Transport(self, one.time_limit)
        result = exercise.judge(one, transport, np.random.default_rng(seed))
        self.verdict.transcripts[one.name] = transport.transcript
        return verdict_on(result)

    def _ready(self) -> Session:
        """The session, opened anew and brought up to where it was if it was lost."""
        if self.session is None:
            self._seconds(1)
            session = self.open_session()
            try:
                for step in self.ran:
                    session.execute(step.source, self._seconds(self.limits.cell_seconds))
            except SessionLost:
                session.close()
                raise
            self.session = session
        return self.session

    def _seconds(self, wanted: float) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            total = self.limits.total_seconds
            raise SessionLost(f"The notebook took longer than {total:g} seconds in all, the limit.")
        return min(wanted, left)


class _Transport:
    """Carries a check's requests to the session and keeps what came back."""

    def __init__(self, grader: _Grader, limit: float) -> None:
        self.grader, self.limit = grader, limit
        self.transcript: list[dict[str, str]] = []

    def answer(self, request: bytes) -> bytes:
        try:
            session = self.grader._ready()
            # The runner stops the call at the limit; a process that will not is given up on.
            reply = session.answer(request, self.grader._seconds(self.limit + 5.0))
        except SessionLost as lost:
            self.grader.close()
            raise Fault("dead", str(lost)) from None
        self.transcript.append(_entry(request, reply))
        return reply


def _entry(request: bytes, reply: bytes) -> dict[str, str]:
    entry = {"request": hashlib.sha256(request).hexdigest()}
    if len(reply) <= KEPT_BYTES:
        entry["reply"] = base64.b64encode(reply).decode("ascii")
    return entry


class NotKept(LookupError):
    """A changed check asks for a value that the record does not have: the submission must run."""


class Replay:
    """Answers a check from a kept transcript, without the student's code."""

    def __init__(self, transcript: Iterable[Mapping[str, str]]) -> None:
        self.entries = list(transcript)
        self.next = 0

    def answer(self, request: bytes) -> bytes:
        entry = self.entries[self.next] if self.next < len(self.entries) else {}
        if entry.get("request") != hashlib.sha256(request).hexdigest() or "reply" not in entry:
            raise NotKept
        self.next += 1
        return base64.b64decode(entry["reply"])


def rejudge(
    one: Exercise, transcript: Iterable[Mapping[str, str]], secret: bytes, digest: str
) -> ExerciseVerdict:
    """Judge kept replies with the check as it is now. Raises NotKept where that is not possible."""
    rng = np.random.default_rng(seed_for(secret, digest, one.name))
    return verdict_on(exercise.judge(one, Replay(transcript), rng))


def verdict_on(result: Result) -> ExerciseVerdict:
    """A result as the student's feedback has it."""
    lines: list[str] = []
    for part in result.parts:
        if part.fault is not None:
            why = " ".join(part.fault.lines(practice=False))
            lines.append(f"{part.title}: {why}" if part.title else why)
    message = "\n".join(lines)
    return ExerciseVerdict(
        result.exercise, result.score, result.points, result.status, message, result.seconds
    )


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """The part of a result file that the judge answers for."""
    return {
        "schema": SCHEMA,
        "score": verdict.score,
        "max_score": verdict.max_score,
        "exercises": [asdict(one) for one in verdict.exercises],
        "notes": verdict.notes,
        "transcripts": verdict.transcripts,
    }
