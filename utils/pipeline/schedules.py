"""Pipeline schedules: one model of them, a validator and a simulator.

A schedule has one list of actions for each rank, in the rank's own order; rank r holds stage r of
the network. An action is a pair (kind, micro-batch):

    ("F", 2)              forward of micro-batch 2
    ("B", 2)              backward of micro-batch 2
    ("I", 2), ("W", 2)    a backward in two parts: the gradient of the stage's input, for which the
                          rank before waits, and that of its weights, for which nobody waits
                          (Qi and others 2024, Zero Bubble Pipeline Parallelism, arXiv:2401.10241)

The letters are those of `torch.distributed.pipelining`. Whatever ran, simulated or real, is a
`Timeline` of spans, so theory and measurement are drawn as the same picture (`pictures`).
"""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

Action = tuple[str, int]

Schedule = Sequence[Sequence[Action]]

# Of an action (rank, kind, micro-batch) the rank and the kind of the one whose result it waits for,
# on the same micro-batch; None where it waits for none.
Needs = Callable[[int, str, int], tuple[int, str] | None]

KINDS = {
    "F": "forward",
    "B": "backward",
    "I": "backward, input",
    "W": "backward, weights",
}

COMPUTE = tuple(KINDS)


class ScheduleError(ValueError):
    """A schedule that cannot run; the message has one line for each thing that is wrong."""


@dataclass(frozen=True)
class Span:
    """What one rank did from `start` to `end`: an action, or another named piece of work."""

    rank: int
    kind: str  # "F", "B", "I", "W", or any other name, such as "receive"
    microbatch: int | None
    start: float
    end: float


@dataclass(frozen=True)
class Timeline:
    """What all ranks did. unit: of the times, such as "ms" ("": one forward takes 1)."""

    spans: tuple[Span, ...]
    ranks: int
    unit: str = ""

    @property
    def work(self) -> list[Span]:
        """The spans that are forward or backward, by start."""
        return sorted((s for s in self.spans if s.kind in COMPUTE), key=lambda s: (s.start, s.rank))

    @property
    def start(self) -> float:
        return min((span.start for span in self.work), default=0.0)

    @property
    def end(self) -> float:
        return max((span.end for span in self.work), default=0.0)

    def bubble(self) -> float:
        """The share of all ranks' time, from the first start to the last end, that is idle."""
        whole = self.ranks * (self.end - self.start)
        return 1 - sum(span.end - span.start for span in self.work) / whole if whole else 0.0

    def stash(self, rank: int) -> list[tuple[float, int]]:
        """(time, micro-batches held from that time on): from a forward to its backward's end."""
        held: set[int | None] = set()
        steps = [(self.start, 0)]
        for span in self.work:
            if span.rank == rank:
                if span.kind == "F":
                    held.add(span.microbatch)
                    steps.append((span.start, len(held)))
                elif span.kind in ("B", "W"):
                    held.discard(span.microbatch)
                    steps.append((span.end, len(held)))
        return list(dict(steps).items())  # of what happens at one time, the last

    def peak_stash(self) -> list[int]:
        """The most micro-batches that each rank holds at a time."""
        return [max(count for _, count in self.stash(rank)) for rank in range(self.ranks)]


def parse(text: str) -> list[list[Action]]:
    """The schedule that a text describes: a line for each rank.

    >>> parse("F0 F1 B0 B1\\nF0 B0 F1 B1")[1]
    [('F', 0), ('B', 0), ('F', 1), ('B', 1)]
    """
    return [[_action(word) for word in line.split()] for line in text.strip().splitlines()]


def _action(word: str) -> Action:
    if not re.fullmatch(r"[FBIW]\d+", word):
        raise ScheduleError(f"{word!r} is no action: write F0, B0, I0 or W0.")
    return word[0], int(word[1:])


def text(schedule: Schedule) -> str:
    """The schedule as text, a line for each rank, as `parse` reads it."""
    return "\n".join(" ".join(f"{kind}{m}" for kind, m in actions) for actions in schedule)


# What is wrong with a schedule


def problems(schedule: Schedule, microbatches: int | None = None) -> list[str]:
    """What keeps a schedule from training a batch, a sentence each; empty if it is valid.

    Steps count from 0: step 3 of rank 1 is schedule[1][3]. microbatches: how many there are;
    default: as many as the schedule names.
    """
    malformed = list(_malformed(schedule))
    if malformed or not len(schedule):
        return malformed or ["The schedule has no ranks."]
    named = {m for actions in schedule for _, m in actions}
    wanted = set(range(microbatches if microbatches is not None else max(named, default=-1) + 1))
    found = list(
        itertools.chain.from_iterable(
            _rank_problems(rank, actions, wanted) for rank, actions in enumerate(schedule)
        )
    )
    return found or _deadlock(schedule)


def _malformed(schedule: Schedule) -> Iterator[str]:
    for rank, actions in enumerate(schedule):
        if not isinstance(actions, Sequence) or isinstance(actions, str):
            yield f"rank {rank}: its actions should be a list, not {type(actions).__name__}."
            continue
        for step, action in enumerate(actions):
            if not _is_action(action):
                yield (
                    f"rank {rank}, step {step}: {action!r} is no action; an action is a tuple of"
                    ' a kind and a micro-batch, such as ("F", 0).'
                )


def _is_action(action: object) -> bool:
    return bool(
        isinstance(action, tuple)
        and len(action) == 2
        and action[0] in COMPUTE
        and isinstance(action[1], int | np.integer)
    )


_OTHER_WAY = {"B": "I", "I": "B"}  # a backward is whole, or in two parts


def _rank_problems(rank: int, actions: Sequence[Action], wanted: set[int]) -> Iterator[str]:
    seen: dict[Action, int] = {}
    listed = f"0 to {len(wanted) - 1}" if wanted else "0, 1 and so on"
    for step, (kind, m) in enumerate(actions):
        at, what = f"rank {rank}, step {step}", f"{KINDS[kind]} of micro-batch {m}"
        if m not in wanted:
            yield f"{at}: there is no micro-batch {m}; they are {listed}."
        elif (kind, m) in seen:
            yield f"{at}: {what} for a second time; the first was step {seen[kind, m]}."
        elif kind != "F" and ("F", m) not in seen:
            yield f"{at}: {what} before its forward."
        elif kind == "W" and ("I", m) not in seen:
            yield f"{at}: {what} before that of its input."
        elif (_OTHER_WAY.get(kind), m) in seen:
            yield f"{at}: {what}, whose backward is done already."
        seen.setdefault((kind, m), step)
    for m in sorted(wanted):
        if ("F", m) not in seen:
            yield f"rank {rank}: the forward of micro-batch {m} is missing."
        elif ("B", m) not in seen and not {("I", m), ("W", m)} <= seen.keys():
            yield f"rank {rank}: the backward of micro-batch {m} is missing."


def _deadlock(schedule: Schedule) -> list[str]:
    """Why no rank can go on, if it comes to that."""
    needs = partial(_needs, schedule)
    _, stuck = run(schedule, [1.0] * len(schedule), [2.0] * len(schedule), needs)
    return [f"deadlock, {waiting(schedule, stuck, needs)}"] if stuck else []


def waiting(schedule: Schedule, stuck: Mapping[int, int], needs: Needs) -> str:
    """What the ranks that cannot go on wait for. stuck: the step at which each of them stands."""
    waits = []
    for rank, step in sorted(stuck.items()):
        kind, m = schedule[rank][step]
        other, needed = needs(rank, kind, m) or (rank, kind)
        waits.append(
            f"rank {rank} waits at step {step} ({kind}{m}) for {needed}{m} of rank {other}"
        )
    return "no rank can go on: " + "; ".join(waits) + "."


def _needs(schedule: Schedule, rank: int, kind: str, m: int) -> tuple[int, str] | None:
    """The rank and the kind of the action whose result an action waits for; None for none."""
    first, last = rank == 0, rank == len(schedule) - 1
    if kind == "W" or (kind == "F" and first) or (kind in "BI" and last):
        return None
    if kind == "F":
        return rank - 1, "F"
    return rank + 1, "I" if ("I", m) in schedule[rank + 1] else "B"


# Running a schedule on paper


def simulate(
    schedule: Schedule,
    forward: float | Sequence[float] = 1.0,
    backward: float | Sequence[float] = 2.0,
    *,
    transfer: float = 0.0,
    unit: str = "",
) -> Timeline:
    """Run a schedule in thought: each action starts as soon as its rank and its input are ready.

    forward, backward: the time of one action, one number for all ranks or one for each; the parts
    "I" and "W" of a backward take half of it each. transfer: the time of a message; it keeps no
    rank busy. Raises ScheduleError if the schedule is not valid.
    """
    wrong = problems(schedule)
    if wrong:
        raise ScheduleError("\n".join(wrong))
    each = [
        [float(time)] * len(schedule) if isinstance(time, int | float) else list(time)
        for time in (forward, backward)
    ]
    spans, _ = run(schedule, each[0], each[1], partial(_needs, schedule), transfer)
    return Timeline(tuple(spans), len(schedule), unit)


def run(
    schedule: Schedule,
    forward: Sequence[float],
    backward: Sequence[float],
    needs: Needs,
    transfer: float = 0.0,
) -> tuple[list[Span], dict[int, int]]:
    """The spans of what can run, and the step at which each rank that cannot go on stands."""
    done: dict[tuple[int, str, int], float] = {}  # when each action's result is there
    free, step, spans = [0.0] * len(schedule), [0] * len(schedule), []
    moved = True
    while moved:
        moved = False
        for rank, actions in enumerate(schedule):
            while step[rank] < len(actions):
                kind, m = actions[step[rank]]
                source = needs(rank, kind, m)
                if source and (*source, m) not in done:
                    break
                ready = done[(*source, m)] + transfer if source else 0.0
                time = {"F": forward[rank], "B": backward[rank]}.get(kind, backward[rank] / 2)
                start = max(free[rank], ready)
                free[rank] = done[rank, kind, m] = start + time
                spans.append(Span(rank, kind, m, start, start + time))
                step[rank] += 1
                moved = True
    stuck = {rank: at for rank, at in enumerate(step) if at < len(schedule[rank])}
    return spans, stuck
