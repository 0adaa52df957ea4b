"""What went wrong among ranks, in words that point to the learner's own lines."""

import linecache
import os
import re
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import utils

_LIBRARIES = tuple(
    {
        *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(os.path.abspath(folder) for folder in utils.__path__),
        str(Path(utils.__path__[0]).resolve().parent / "grading"),
    }
)
# What the backend says in a rank whose partner has gone.
_LOST = re.compile(r"closed by peer|reset by peer|broken pipe|connection refused", re.IGNORECASE)
_NOBODYS = ("<frozen ", "<string>", "<probe>", "<stdin>")


class RankError(RuntimeError):
    """A function that ranks ran did not end well.

    rank: the one that failed first; None if none failed but they stopped each other.
    reason: "raised", "died", "deadlock" or "time limit".
    """

    def __init__(self, message: str, rank: int | None = None, reason: str = "raised") -> None:
        super().__init__(message)
        self.rank, self.reason = rank, reason


@dataclass(frozen=True)
class Frame:
    """One step of a call stack."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Where:
    """Where a rank is, innermost frame first.

    operation: the communication it waits in, "recv" say, or "" if it computes; peer: with whom;
    cpu: seconds that its main thread has computed (it has not moved while that stands still).
    """

    frames: Sequence[Frame] = ()
    operation: str = ""
    peer: int | None = None
    cpu: float | None = None

    @property
    def waiting(self) -> bool:
        return bool(self.operation) or ".wait(" in self.line

    @property
    def line(self) -> str:
        """The learner's innermost line."""
        mine = learners(self.frames)
        return source(mine[0]) if mine else ""


@dataclass(frozen=True)
class Failure:
    """What a rank raised, where, innermost frame first, and when (time.monotonic)."""

    kind: str
    message: str
    frames: Sequence[Frame]
    when: float
    not_done: bool = False


@dataclass
class Outcome:
    """What is known of a rank: it failed, returned, died with an exit code, or is somewhere."""

    failure: Failure | None = None
    returned: bool = False
    exit_code: int | None = None
    last_words: str = ""
    where: Where | None = field(default=None)

    @property
    def verb(self) -> str:
        """What it did, for a rank that waits for it; "" while it runs."""
        if self.failure is not None:
            return "failed"
        if self.exit_code is not None:
            return "died"
        return "has ended" if self.returned else ""


def learners(frames: Sequence[Frame]) -> list[Frame]:
    """The frames of the learner's own code."""
    return [
        frame
        for frame in frames
        if not frame.file.startswith(_NOBODYS)
        and not any(frame.file.startswith(library + os.sep) for library in _LIBRARIES)
    ]


def source(frame: Frame) -> str:
    return linecache.getline(frame.file, frame.line).strip()


def place(frame: Frame) -> str:
    """Such as "`step`, line 4 of its cell:  y = x / 0"."""
    file = os.path.basename(frame.file) if os.path.isfile(frame.file) else "its cell"
    text = source(frame)
    return f"`{frame.function}`, line {frame.line} of {file}" + (f":  {text}" if text else "")


def failed(outcomes: Mapping[int, Outcome]) -> RankError | NotImplementedError:
    """The error to raise for ranks of which at least one failed or died."""
    failures = {rank: one.failure for rank, one in outcomes.items() if one.failure is not None}
    causes = {rank: one for rank, one in failures.items() if not _LOST.search(one.message)}
    dead = [rank for rank, one in outcomes.items() if one.exit_code is not None]
    if dead and not causes:
        rank, outcome = dead[0], outcomes[dead[0]]
        lines = [f"Rank {rank} {_death(outcome)}"]
        return RankError("\n".join([*lines, *_others(outcomes, rank)]), rank, "died")
    rank = min(causes or failures, key=lambda rank: failures[rank].when)
    first = failures[rank]
    lines = [f"Rank {rank} failed: {first.kind}" + (f": {first.message}" if first.message else "")]
    for depth, frame in enumerate(learners(first.frames)[:6]):
        lines.append(f"  {'called from' if depth else 'in'} {place(frame)}")
    message = "\n".join([*lines, *_others(outcomes, rank)])
    return NotImplementedError(message) if first.not_done else RankError(message, rank)


def stuck(outcomes: Mapping[int, Outcome]) -> RankError:
    """The error to raise for ranks that wait for each other, or for one that has ended."""
    return RankError(
        "\n".join(["The ranks wait for messages that nobody sends.", *_others(outcomes, None)]),
        reason="deadlock",
    )


def late(outcomes: Mapping[int, Outcome], seconds: float) -> RankError:
    """The error to raise for ranks that did not end in time."""
    message = f"The ranks were stopped after {seconds:g} s, the time limit of the call."
    return RankError("\n".join([message, *_others(outcomes, None)]), reason="time limit")


def _death(outcome: Outcome) -> str:
    code, words = outcome.exit_code or 0, outcome.last_words.strip()
    how = f"was killed by signal {-code}" if code < 0 else f"left with exit code {code}"
    memory = " (is there too little memory?)" if code == -9 else ""
    return f"{how}{memory}." + (f" Its last words:\n{words[-600:]}" if words else "")


def _others(outcomes: Mapping[int, Outcome], first: int | None) -> list[str]:
    lines = []
    for rank, outcome in sorted(outcomes.items()):
        if rank == first:
            continue
        if outcome.failure is not None:
            continue  # mostly for want of the first: noise
        if outcome.verb:
            lines.append(f"Rank {rank} {outcome.verb}.")
        else:
            lines.append(f"Rank {rank} {_activity(outcome.where, outcomes)}")
    return lines


def _activity(where: Where | None, outcomes: Mapping[int, Outcome]) -> str:
    mine = learners(where.frames) if where else []
    here = f": {place(mine[0])}" if mine else "."
    if where is None or not where.waiting:
        return f"was running{here}"
    operation = f" in {where.operation}" if where.operation else ""
    partner = ""
    if where.peer is not None:
        verb = outcomes[where.peer].verb if where.peer in outcomes else ""
        partner = f" for rank {where.peer}" + (f", which {verb}" if verb else "")
    return f"waits{operation}{partner}{here}"
