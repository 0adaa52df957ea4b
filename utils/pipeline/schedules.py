"""Pipeline schedules: one model of them, a validator and a simulator.

A schedule has one list of actions for each rank, in the rank's own order. An action is a pair
(kind, micro-batch), and rank r holds stage r of the network:

    ("F", 2)              forward of micro-batch 2
    ("B", 2)              backward of micro-batch 2
    ("I", 2), ("W", 2)    a backward in two parts: the gradient of the stage's input, for which the
                          rank before waits, and that of its weights, for which nobody waits
                          (Qi and others 2024, Zero Bubble Pipeline Parallelism, arXiv:2401.10241)

Where ranks hold several stages each, the kind begins with the stage's number: ("5F", 2) is the
forward of micro-batch 2 on stage 5. The letters, and "5F2" for that action, are those of
`torch.distributed.pipelining`. Micro-batches may also go up, from the last rank to the first, if
each rank holds a stage for either direction (`upward`; Li and Hoefler 2021, Chimera,
arXiv:2107.06925). Whatever ran, simulated or real, is a `Timeline` of spans, so theory and
measurement are drawn as the same picture (`pictures`).
"""

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Action = tuple[str, int]

Schedule = Sequence[Sequence[Action]]

# Of an action (stage, letter, micro-batch) the stage and the letter of the one whose result it
# waits for, on the same micro-batch; None where it waits for none.
Needs = Callable[[int, str, int], tuple[int, str] | None]

KINDS = {
    "F": "forward",
    "B": "backward",
    "I": "backward, input",
    "W": "backward, weights",
}

COMPUTE = tuple(KINDS)


def stage_of(rank: int, kind: str) -> int:
    """The stage that a rank's action of this kind works on: stage_of(1, "5F") is 5, of "F" 1."""
    return int(kind[:-1] or rank)


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
    stage: int | None = None  # where the rank holds several

    @property
    def label(self) -> str:
        """The action as text: "F2", or "5F2" with its stage."""
        stage = "" if self.stage is None else self.stage
        return f"{stage}{self.kind}{'' if self.microbatch is None else self.microbatch}"


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
        """(time, micro-batches held from that time on): from a forward to its backward's end.

        A micro-batch counts once for each of the rank's stages that holds it.
        """
        held: set[tuple[int | None, int | None]] = set()
        steps = [(self.start, 0)]
        for span in self.work:
            if span.rank == rank:
                if span.kind == "F":
                    held.add((span.stage, span.microbatch))
                    steps.append((span.start, len(held)))
                elif span.kind in ("B", "W"):
                    held.discard((span.stage, span.microbatch))
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
    found = re.fullmatch(r"(\d*[FBIW])(\d+)", word)
    if not found:
        raise ScheduleError(f"{word!r} is no action: write F0, B0, I0 or W0, or 5F0 for stage 5.")
    return found[1], int(found[2])


def text(schedule: Schedule) -> str:
    """The schedule as text, a line for each rank, as `parse` reads it."""
    return "\n".join(" ".join(f"{kind}{m}" for kind, m in actions) for actions in schedule)


# What is wrong with a schedule


def problems(
    schedule: Schedule, microbatches: int | None = None, upward: Collection[int] = ()
) -> list[str]:
    """What keeps a schedule from training a batch, a sentence each; empty if it is valid.

    Steps count from 0: step 3 of rank 1 is schedule[1][3]. microbatches: how many there are;
    default: as many as the schedule names. upward: those that go up, see `simulate`.
    """
    malformed = list(_malformed(schedule))
    if malformed or not len(schedule):
        return malformed or ["The schedule has no ranks."]
    named = {m for actions in schedule for _, m in actions}
    wanted = set(range(microbatches if microbatches is not None else max(named, default=-1) + 1))
    placed = placement(schedule)
    found = list(_misplaced(placed)) or [
        problem
        for rank, actions in enumerate(schedule)
        for problem in _rank_problems(rank, actions, wanted, placed[rank])
    ]
    return found or _deadlock(schedule, upward)


def placement(schedule: Schedule) -> list[list[int]]:
    """The stages that each rank holds, in order; where no action has a number, the rank's own."""
    if not any(kind[:-1] for actions in schedule for kind, _ in actions):
        return [[rank] for rank in range(len(schedule))]
    return [
        sorted({stage_of(rank, kind) for kind, _ in actions})
        for rank, actions in enumerate(schedule)
    ]


def _misplaced(placed: Sequence[Sequence[int]]) -> Iterator[str]:
    holders: dict[int, list[int]] = {}
    for rank, stages in enumerate(placed):
        for stage in stages:
            holders.setdefault(stage, []).append(rank)
    for stage in range(max(holders, default=-1) + 1):
        ranks = holders.get(stage, [])
        if not ranks:
            yield f"stage {stage}: no rank holds it."
        elif len(ranks) > 1:
            yield f"stage {stage}: ranks {ranks[0]} and {ranks[1]} both hold it."


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
        and isinstance(action[0], str)
        and re.fullmatch(r"[0-9]*[FBIW]", action[0])
        and isinstance(action[1], int | np.integer)
    )


_OTHER_WAY = {"B": "I", "I": "B"}  # a backward is whole, or in two parts


def _rank_problems(
    rank: int, actions: Sequence[Action], wanted: set[int], stages: Sequence[int]
) -> Iterator[str]:
    seen: dict[tuple[int, str, int], int] = {}
    listed = f"0 to {len(wanted) - 1}" if wanted else "0, 1 and so on"
    for step, (kind, m) in enumerate(actions):
        stage, letter = stage_of(rank, kind), kind[-1]
        at = f"rank {rank}, step {step}"
        what = f"{KINDS[letter]} of micro-batch {m}{f' on stage {stage}' if kind[:-1] else ''}"
        if m not in wanted:
            yield f"{at}: there is no micro-batch {m}; they are {listed}."
        elif (stage, letter, m) in seen:
            yield f"{at}: {what} for a second time; the first was step {seen[stage, letter, m]}."
        elif letter != "F" and (stage, "F", m) not in seen:
            yield f"{at}: {what} before its forward."
        elif letter == "W" and (stage, "I", m) not in seen:
            yield f"{at}: {what} before that of its input."
        elif (stage, _OTHER_WAY.get(letter), m) in seen:
            yield f"{at}: {what}, whose backward is done already."
        seen.setdefault((stage, letter, m), step)
    for m, stage in itertools.product(sorted(wanted), stages):
        where = f" on stage {stage}" if list(stages) != [rank] else ""
        if (stage, "F", m) not in seen:
            yield f"rank {rank}: the forward of micro-batch {m}{where} is missing."
        elif (stage, "B", m) not in seen and (stage, "I", m) not in seen:
            yield f"rank {rank}: the backward of micro-batch {m}{where} is missing."
        elif (stage, "B", m) not in seen and (stage, "W", m) not in seen:
            yield f"rank {rank}: W, the second part of a backward, lacks micro-batch {m}{where}."


def _deadlock(schedule: Schedule, upward: Collection[int]) -> list[str]:
    """Why no rank can go on, if it comes to that."""
    needs, stages = needs_of(schedule, upward), sum(map(len, placement(schedule)))
    _, stuck = run(schedule, [1.0] * stages, [2.0] * stages, needs)
    return [waiting(schedule, stuck, needs)] if stuck else []


def waiting(schedule: Schedule, stuck: Mapping[int, int], needs: Needs) -> str:
    """What the ranks that cannot go on wait for. stuck: the step at which each of them stands."""
    rank_of = {stage: rank for rank, stages in enumerate(placement(schedule)) for stage in stages}
    waits = []
    for rank, step in sorted(stuck.items()):
        kind, m = schedule[rank][step]
        stage, letter = stage_of(rank, kind), kind[-1]
        stage, needed = needs(stage, letter, m) or (stage, letter)
        needed = f"{stage if kind[:-1] else ''}{needed}{m}"
        waits.append(
            f"rank {rank} waits at step {step} ({kind}{m}) for {needed} of rank {rank_of[stage]}"
        )
    return "It is a deadlock, no rank can go on: " + "; ".join(waits) + "."


def needs_of(schedule: Schedule, upward: Collection[int] = ()) -> Needs:
    """What an action of this schedule waits for: the forward of the stage before, and the backward
    of the next, whole or that of its input. upward: as for `simulate`."""
    last = max((stage for stages in placement(schedule) for stage in stages), default=0)
    in_parts = {
        (stage_of(rank, kind), m)
        for rank, actions in enumerate(schedule)
        for kind, m in actions
        if kind[-1] == "I"
    }

    def needs(stage: int, letter: str, m: int) -> tuple[int, str] | None:
        first, end, step = (last, 0, -1) if m in upward else (0, last, 1)
        if letter == "F":
            return (stage - step, "F") if stage != first else None
        if letter == "W" or stage == end:
            return None
        return stage + step, "I" if (stage + step, m) in in_parts else "B"

    return needs


# Running a schedule on paper


def simulate(
    schedule: Schedule,
    forward: float | Sequence[float] = 1.0,
    backward: float | Sequence[float] = 2.0,
    *,
    transfer: float = 0.0,
    unit: str = "",
    upward: Collection[int] = (),
) -> Timeline:
    """Run a schedule in thought: each action starts as soon as its rank and its input are ready.

    forward, backward: the time of one action, one number for all stages or one for each; the parts
    "I" and "W" of a backward take half of it each. transfer: the time of a message; it keeps no
    rank busy. upward: the micro-batches that enter on the last rank and leave on the first, where
    ranks hold one stage for each direction; times are then those of the ranks. Raises ScheduleError
    if the schedule is not valid.
    """
    wrong = problems(schedule, upward=upward)
    if wrong:
        raise ScheduleError("\n".join(wrong))
    stages = sum(map(len, placement(schedule)))
    each = [
        [float(time)] * stages if isinstance(time, int | float) else list(time)
        for time in (forward, backward)
    ]
    spans, _ = run(schedule, each[0], each[1], needs_of(schedule, upward), transfer)
    return Timeline(tuple(spans), len(schedule), unit)


def run(
    schedule: Schedule,
    forward: Sequence[float],
    backward: Sequence[float],
    needs: Needs,
    transfer: float = 0.0,
) -> tuple[list[Span], dict[int, int]]:
    """The spans of what can run, and the step at which each rank that cannot go on stands.

    forward, backward: the time of one action, by stage.
    """
    done: dict[tuple[int, str, int], float] = {}  # when each action's result is there
    free, step, spans = [0.0] * len(schedule), [0] * len(schedule), []
    moved = True
    while moved:
        moved = False
        for rank, actions in enumerate(schedule):
            while step[rank] < len(actions):
                kind, m = actions[step[rank]]
                stage, letter = stage_of(rank, kind), kind[-1]
                source = needs(stage, letter, m)
                if source and (*source, m) not in done:
                    break
                ready = done[(*source, m)] + transfer if source else 0.0
                whole = backward[stage]
                time = {"F": forward[stage], "B": whole}.get(letter, whole / 2)
                start = max(free[rank], ready)
                free[rank] = done[stage, letter, m] = start + time
                number = stage if kind[:-1] else None
                spans.append(Span(rank, letter, m, start, start + time, number))
                step[rank] += 1
                moved = True
    stuck = {rank: at for rank, at in enumerate(step) if at < len(schedule[rank])}
    return spans, stuck
