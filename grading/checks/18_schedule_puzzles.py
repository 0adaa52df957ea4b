"""Checks of lab 18: schedules placed by hand, judged by their actions alone.

An answer is text, a list for each rank, or a program that makes either; a program is asked for
several numbers of ranks and micro-batches. What it takes and holds is computed here.
"""

import re
from dataclasses import replace

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import Student
from grading.checks import expect
from grading.checks.answers import schedule_puzzles as answers
from grading.checks.answers.schedule_puzzles import MISTAKES
from utils.pipeline import puzzles, schedules
from utils.pipeline.schedules import ScheduleError

# They write schedules down; none of the levels is to be solved by copying one.
WRITTEN = ["utils.pipeline.published", "utils.pipeline.unlocked"]


class _Level:
    """The student's answer to a level, as puzzles with a schedule for each."""

    def __init__(self, student, number, sizes=()):
        """sizes: the other numbers of ranks and micro-batches that a program is asked for."""
        self.student, self.name = student, f"level_{number}"
        self.make, self.sizes = puzzles.LEVELS[number], sizes
        self.runs = []

    def can_run(self):
        """Each schedule breaks no rule."""
        runs = []
        program = type(self.student[self.name]) is Student
        for size in [(), *self.sizes] if program else [()]:
            puzzle = self.make(*size)
            given = self._given(puzzle)
            schedule = self._schedule(puzzle, program, given)
            _legal(puzzle, schedule, given, program)
            runs.append((puzzle, schedule, puzzle.timeline(schedule), given))
        self.runs = runs

    def in_time(self):
        self._first()
        for puzzle, schedule, timeline, given in self.runs:
            time = puzzle.time(timeline)
            if time > puzzle.par:
                why, detail = _slow(puzzle, schedule, timeline)
                raise Fault(
                    "value",
                    "It takes longer than par.",
                    why,
                    detail=f"{puzzle.said(timeline)}. {detail}".strip(),
                    given=given,
                )

    def within(self):
        """No rank holds more than it may."""
        self._first()
        for puzzle, schedule, timeline, given in self.runs:
            peaks = timeline.peak_stash()
            over = [r for r, peak in enumerate(peaks) if peak > puzzle.limits[r]]
            if over:
                raise Fault(
                    "value",
                    "A rank holds more than it may.",
                    _over(puzzle, schedule[over[0]], over[0]),
                    detail=f"On rank {over[0]}: {puzzle.said(timeline)}.",
                    given=given,
                )

    def as_quick(self):
        expect.that(
            all(puzzle.time(timeline) <= puzzle.par for puzzle, _, timeline, _ in self.runs),
            "It holds no more than it may, and this counts once its time is par's, too.",
        )

    def _first(self):
        _ = self.student[self.name]  # what has no value yet is said to have none, here as well
        expect.that(self.runs, "This counts once the schedule can run.")

    def _given(self, puzzle):
        return f"For {puzzle.ranks} ranks and {puzzle.microbatches} micro-batches."

    def _schedule(self, puzzle, program, given):
        name = self.name
        got = self._made(puzzle) if program else self.student[name]
        if type(got) not in (str, list, tuple):
            kind = "None (is a return missing?)" if got is None else type(got).__name__
            kind = "an object" if type(got) is Student else kind
            raise Fault(
                "type",
                f"A program should give text or a list for each rank, and gives {kind}."
                if program
                else f"`{name}` should be text, a list for each rank or a function, and is {kind}.",
                given=given,
            )
        expect.that(len(got) > 0, "The schedule is empty.", given=given)
        try:
            return puzzle.schedule(got)
        except ScheduleError as error:
            raise Fault(
                "value",
                "It cannot be read.",
                _unreadable(str(error)),
                detail=str(error),
                given=given,
            ) from None

    def _made(self, puzzle):
        """What a program gives; one that takes other arguments costs this level alone."""
        try:
            return getattr(self.student, self.name)(puzzle.ranks, puzzle.microbatches)
        except Fault as fault:
            if fault.kind == "missing":  # what cannot be sent as a value, and is no function
                fault.message = f"`{self.name}` should be text, a list for each rank or a function."
            elif fault.kind != "signature":
                raise
            raise replace(fault, kind="type") from None


def _unreadable(said):
    """What is wrong with a word that is no action."""
    word = said.partition(" is no action")[0]
    if re.search(r"[0-9]*[fbiw][0-9]+'", word):
        return answers.LOWER
    if re.search(r"[0-9][FBIW]", word.lstrip("'0123456789")):
        return answers.TOGETHER
    near = [why for piece, why in answers.UNREADABLE if piece in word]
    if not near and re.search(r"'[0-9]*[FBIW]'", word):
        return answers.NUMBERLESS
    return near[0] if near else ""


def _legal(puzzle, schedule, given, program=False):
    """It breaks no rule."""
    found = puzzle.problems(schedule)
    if found:
        said = found[0]
        swapped = program and len(schedule) == puzzle.microbatches != puzzle.ranks
        if "is no action of this rank" in said:
            said = _foreign(puzzle, said)
        elif puzzle.kinds == "FIW" and re.search("the backward of|part of a backward", said):
            said = "a part is missing"
        elif "is no action;" in said and puzzle.chunks > 1:
            said = "a tuple with its stage"
        elif "deadlock" in said:
            said = "deadlock" + " both ways" * bool(puzzle.upward) + " chunks" * (puzzle.chunks > 1)
        raise Fault(
            "value",
            "The schedule cannot run.",
            answers.SWAPPED
            if swapped
            else next((why for piece, why in answers.UNRUNNABLE if piece in said), ""),
            detail="\n".join(found[:2]),
            given=given,
        )


def _foreign(puzzle, said):
    """Which rule an action breaks that is none of its rank's."""
    word = re.search(r": (\d*)([FBIW])", said)
    if puzzle.chunks > 1 and word and not word[1]:
        return "its stage"
    if puzzle.chunks == 1 and word and word[1]:
        return "no stage"
    if word and word[2] in puzzle.kinds:
        return "elsewhere"
    return "whole" if puzzle.kinds == "FB" else "in parts"


def _slow(puzzle, schedule, timeline):
    """Why a schedule takes longer than par, and where: the one move that would shorten it most."""
    if abs(sum(span.end - span.start for span in timeline.work) - timeline.end) < 1e-9:
        return answers.ONE_AT_A_TIME, ""
    if puzzle.upward and min(s.start for s in timeline.work if s.rank == puzzle.ranks - 1) > 0:
        return answers.FROM_ONE_END, ""
    ready = _Ready(puzzle, schedule, timeline)
    found = []
    for rank, at, to in ready.moves():
        gain, why = ready.gain(rank, at, to), ready.why(rank, at, to)
        start, fills = ready.starts[rank][to], ready.waits(rank, to)
        if puzzle.rows and fills:  # one gap of several makes no row shorter: the first one is told
            found.append((1, -start, 0, why, rank, start))
        elif gain > (0, 0):
            found.append((gain[0], why == answers.W_FIRST, fills + gain[1] / 1e6, why, rank, start))
    if not found:
        mixed = not puzzle.upward and puzzle.chunks == 1 and _orders(schedule) > 1
        return answers.OTHER_ORDERS if mixed else answers.UNEXPLAINED, ""
    *_, why, rank, start = max(found)
    if why in answers.WAITS:
        return why, f"Look at rank {rank}, which waits until {start:g}."
    return why, f"Look at rank {rank}, at time {start:g}."


def _orders(schedule):
    """In how many orders micro-batches go back on the ranks."""
    return len({tuple(m for kind, m in actions if kind in "BI") for actions in schedule})


class _Ready:
    """What each rank could have done sooner than it did, and what it would have won by that."""

    def __init__(self, puzzle, schedule, timeline):
        self.puzzle, self.schedule, self.timeline = puzzle, schedule, timeline
        self.needs = schedules.needs_of(schedule, puzzle.upward)
        self.ends, self.starts, self.free = {}, {}, {}
        for rank in range(puzzle.ranks):
            own = sorted((s for s in timeline.spans if s.rank == rank), key=lambda s: s.start)
            self.starts[rank] = [span.start for span in own]
            self.free[rank] = [0.0, *(span.end for span in own)]
            for span in own:
                stage = rank if span.stage is None else span.stage
                self.ends[stage, span.kind, span.microbatch] = span.end

    def moves(self):
        """(rank, from, to) of each action that was ready as an earlier one of its row began."""
        up = self.puzzle.upward
        for rank, actions in enumerate(self.schedule):
            for to, start in enumerate(self.starts[rank]):
                before = set(actions[:to])
                for at in range(to + 1, len(actions)):
                    kind, m = actions[at]
                    source = self.needs(schedules.stage_of(rank, kind), kind[-1], m)
                    own = puzzles.needed_before(actions[at])
                    if own is not None and own not in before:
                        continue
                    alike = kind == actions[to][0] and (m in up) == (actions[to][1] in up)
                    if not alike and (source is None or self.ends[(*source, m)] <= start):
                        yield rank, at, to

    def waits(self, rank, to):
        """Whether the rank waits before this action."""
        return self.starts[rank][to] > self.free[rank][to]

    def gain(self, rank, at, to):
        """By how much a move shortens the time, and all that others may wait for; 0 if it cannot be."""
        row = list(self.schedule[rank])
        row.insert(to, row.pop(at))
        moved = [row if r == rank else list(a) for r, a in enumerate(self.schedule)]
        timeline = self.puzzle.timeline(moved)
        most = map(max, self.puzzle.limits, self.timeline.peak_stash())
        over = any(peak > one for peak, one in zip(timeline.peak_stash(), most, strict=True))
        if over or len(timeline.spans) < len(self.timeline.spans):
            return 0, 0
        (time, ends), (before, all_before) = map(self._weight, (timeline, self.timeline))
        return before - time, all_before - ends

    def _weight(self, timeline):
        ends = sum(span.end for span in timeline.spans if span.kind != "W")
        return self.puzzle.time(timeline), ends

    def why(self, rank, at, to):
        """What is wrong with the order as it is."""
        later, before = (self.schedule[rank][i][0][-1] for i in (at, to))
        if self.waits(rank, to):
            return {"F": answers.FORWARD_LATE, "W": answers.W_LATE}.get(later, answers.BACK_LATE)
        if later == before:
            return answers.ANOTHER_FIRST if rank < self.puzzle.ranks - 1 else answers.LAST_ORDER
        return {"W": answers.W_FIRST, "F": answers.FORWARD_FIRST}.get(before, answers.BACK_FIRST)


def _over(puzzle, actions, rank):
    """Why a rank holds more than it may."""
    letters = "".join(kind[-1] for kind, _ in actions)
    if "F" not in letters.lstrip("F"):
        return answers.ALL_FORWARDS
    open_ws = 0
    for step, letter in enumerate(letters):
        open_ws += (letter == "I") - (letter == "W")
        if puzzles.held(actions[: step + 1]) > puzzle.limits[rank]:
            return answers.W_PUT_OFF if open_ws else answers.TOO_FAR_AHEAD
    return ""


def _forbids(*numbers):
    return {f"level_{number}": WRITTEN for number in numbers}


def _judge(level, runs, time, within):
    """The three parts of a level, by their points; without limits there are two."""
    with part(f"{level.name}: it can run", points=runs):
        level.can_run()
    with part(f"{level.name}: in par's time", points=time):
        level.in_time()
    if within:
        with part(f"{level.name}: in par's time and within the limits", points=within):
            level.within()
            level.as_quick()  # or it would be no puzzle


@exercise("fill_and_cut", points=1.25, forbids=_forbids(1, 2))
def fill_and_cut(student, rng):
    drawn = [(int(p), int(m)) for p, m in rng.integers((2, 2), (6, 9), size=(3, 2))]
    _judge(_Level(student, 1, drawn), 0.25, 0.35, 0)
    level = _Level(student, 2)
    with part("level_2: it can run", points=0.15):
        level.can_run()
    with part("level_2: in par's time and within the limits", points=0.5):
        level.within()
        level.in_time()


@exercise("turn_round", points=1.25, forbids=_forbids(3))
def turn_round(student, rng):
    drawn = [(int(p), int(p) + int(more)) for p, more in rng.integers((3, 1), (6, 6), size=(3, 2))]
    _judge(_Level(student, 3, [*drawn, (5, 3)]), 0.25, 0.4, 0.6)


@exercise("uneven_stages", points=1.5, forbids=_forbids(4))
def uneven_stages(student, rng):
    _judge(_Level(student, 4), 0.25, 0.4, 0.5)
    with part("hundred", points=0.35):
        how = (
            "How long does the slow rank work? When can it begin, and what is left to do once its last"
            " backward is done?"
        )
        known = dict(MISTAKES.written("uneven_stages", "hundred"))
        expect.answer(student, "hundred", answers.hundred, known, how, rtol=0.0001)


@exercise("two_chunks", points=1.25, forbids=_forbids(5))
def two_chunks(student, rng):
    drawn = [(int(p), int(p * k)) for p, k in rng.integers((2, 1), (5, 4), size=(3, 2))]
    _judge(_Level(student, 5, drawn), 0.3, 0.45, 0.5)


@exercise("split_backward", points=0.75, forbids=_forbids(6))
def split_backward(student, rng):
    drawn = [(int(p), int(p + more)) for p, more in rng.integers((2, 1), (5, 5), size=(3, 2))]
    _judge(_Level(student, 6, drawn), 0.25, 0.5, 0)


@exercise("within_memory", points=1.25, forbids=_forbids(7))
def within_memory(student, rng):
    drawn = [(int(p), int(p + more)) for p, more in rng.integers((2, 1), (6, 6), size=(3, 2))]
    _judge(_Level(student, 7, drawn), 0.25, 0.4, 0.6)


@exercise("no_gap", points=1.5, forbids=_forbids(8))
def no_gap(student, rng):
    drawn = [(int(p), int(2 * p - 1 + k)) for p, k in rng.integers((2, 1), (5, 5), size=(3, 2))]
    _judge(_Level(student, 8, drawn), 0.25, 0.4, 0.5)
    with part("held_by_8", points=0.35):
        how = (
            "Rank 0 has no gap: how many forwards does it do before the first gradient is back? Count"
            " the way down 8 ranks, and up again."
        )
        known = dict(MISTAKES.written("no_gap", "held_by_8"))
        expect.answer(student, "held_by_8", answers.held_by_8, known, how, rtol=0.001)


@exercise("both_ways", points=1.25, forbids=_forbids(9))
def both_ways(student, rng):
    _judge(_Level(student, 9), 0.25, 0.4, 0.35)
    with part("too_large", points=0.25):
        wrong = {
            "1f1b": "Its ranks hold one stage's weights, as all but one of these do.",
            "two chunks": "Its chunks are half as large: two of them are one stage.",
            "rows without a gap": "It holds more micro-batches, but no more weights than one stage.",
        }
        expect.choice(student, "too_large", answers.too_large, wrong)
