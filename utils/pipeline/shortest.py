"""Whether a puzzle can be solved at all: every way of placing is tried, so "no" is a proof.

Micro-batches that go the same way are alike: if some schedule meets a time and limits, so does the
one with the same times in which each rank takes them in order, for the k-th forward of a stage can
take whichever came k-th. So a position is how many of each kind a stage has done, what each rank is
doing, and the time; a rank may also wait. What cannot end in time any more is left out, and so is a
position that was there before, no later.
"""

from dataclasses import dataclass
from itertools import product

from utils.pipeline.puzzles import Puzzle

_F, _I, _W = range(3)  # a whole backward is an I that does its W as well
_Done = tuple[tuple[int, int, int], ...]  # by slot: forwards, I and W that are done
_Busy = tuple[tuple[int, int, int] | None, ...]  # by rank: slot, kind, time left


@dataclass(frozen=True)
class Answer:
    """possible: whether there is such a schedule; positions: how many were looked at."""

    possible: bool
    positions: int


@dataclass(frozen=True)
class _Slot:
    """One stage of one direction. above, below: the slots before and after it, or None."""

    rank: int
    above: int | None
    below: int | None
    count: int
    times: tuple[int, int, int]  # of F, I, W; of a whole backward all is in I
    down: int  # the time of the forwards after this one, and of all backwards
    up: int  # the time of the backwards that follow this one's


def possible(puzzle: Puzzle) -> Answer:
    """Whether any schedule reaches the puzzle's par within its limits.

    Where time is that of rows, only par equal to the work of a rank can be asked for, which is to
    have no gap in any row; another par raises ValueError.
    """
    work = puzzle.microbatches * (puzzle.forward[0] + puzzle.backward[0])
    if puzzle.rows and puzzle.par != work:
        raise ValueError(f"Rows without a gap take {work}: par cannot be {puzzle.par} here.")
    return _Search(puzzle).answer()


class _Search:
    def __init__(self, puzzle: Puzzle) -> None:
        self.puzzle, self.parts = puzzle, puzzle.kinds == "FIW"
        self.slots = _slots(puzzle)
        self.of = [
            [number for number, slot in enumerate(self.slots) if slot.rank == rank]
            for rank in range(puzzle.ranks)
        ]
        self.end = puzzle.par + (puzzle.ranks * puzzle.par if puzzle.rows else 0)
        self.seen: dict[tuple[_Done, _Busy], int] = {}

    def answer(self) -> Answer:
        start: tuple[_Done, _Busy] = (
            tuple((0, 0, 0) for _ in self.slots),
            (None,) * self.puzzle.ranks,
        )
        waiting = [(0, *start)]
        while waiting:
            time, done, busy = waiting.pop()
            if all(d == (slot.count,) * 3 for d, slot in zip(done, self.slots, strict=True)):
                return Answer(True, len(self.seen))
            if self.seen.get((done, busy), self.end + 1) <= time or self._late(time, done, busy):
                continue
            self.seen[done, busy] = time
            waiting += self._next(time, done, busy)
        return Answer(False, len(self.seen))

    def _next(self, time: int, done: _Done, busy: _Busy) -> list[tuple[int, _Done, _Busy]]:
        """What follows: each idle rank begins something or waits, until the next action ends."""
        choices = [
            [now] if now else [*self._ready(rank, done), *self._wait(rank, done)]
            for rank, now in enumerate(busy)
        ]
        found = []
        for chosen in product(*choices):
            left = [one[2] for one in chosen if one]
            if left:
                found.append(self._pass(time, min(left), done, chosen))
        return found

    def _ready(self, rank: int, done: _Done) -> list[tuple[int, int, int] | None]:
        ready: list[tuple[int, int, int] | None] = []
        held = sum(done[number][_F] - done[number][_W] for number in self.of[rank])
        for number in self.of[rank]:
            slot, (f, i, w) = self.slots[number], done[number]
            came = slot.count if slot.above is None else done[slot.above][_F]
            back = slot.count if slot.below is None else done[slot.below][_I]
            if f < came and held < self.puzzle.limits[rank]:
                ready.append((number, _F, slot.times[_F]))
            if i < min(f, back):
                ready.append((number, _I, slot.times[_I]))
            if w < i:
                ready.append((number, _W, slot.times[_W]))
        return ready

    def _wait(self, rank: int, done: _Done) -> list[None]:
        """Waiting, if the rank may: where rows are to have no gap, not once it has begun."""
        begun = any(done[number] != (0, 0, 0) for number in self.of[rank])
        ended = all(done[n] == (self.slots[n].count,) * 3 for n in self.of[rank])
        return [] if self.puzzle.rows and begun and not ended else [None]

    def _pass(
        self, time: int, by: int, done: _Done, chosen: tuple[tuple[int, int, int] | None, ...]
    ) -> tuple[int, _Done, _Busy]:
        after, busy = list(done), list[tuple[int, int, int] | None]()
        for one in chosen:
            if one and one[2] == by:
                number, kind, _ = one
                counts = list(after[number])
                counts[kind] += 1
                counts[_W] += kind == _I and not self.parts
                after[number] = (counts[0], counts[1], counts[2])
            busy.append((one[0], one[1], one[2] - by) if one and one[2] > by else None)
        return time + by, tuple(after), tuple(busy)

    def _late(self, time: int, done: _Done, busy: _Busy) -> bool:
        """Whether it cannot end in time any more: by a rank's work, or by a way still to go."""
        for rank, now in enumerate(busy):
            work, under_way = (now[2] if now else 0), now[:2] if now else None
            for number in self.of[rank]:
                slot = self.slots[number]
                left = [slot.count - count for count in done[number]]
                if under_way and under_way[0] == number:
                    left[under_way[1]] -= 1
                work += sum(n * t for n, t in zip(left, slot.times, strict=True))
                forward, backward = left[_F] * slot.times[_F], left[_I] * slot.times[_I]
                if left[_F] and time + forward + slot.down > self.end:
                    return True
                if left[_I] and time + backward + slot.up > self.end:
                    return True
            if time + work > self.end:
                return True
        return False


def _slots(puzzle: Puzzle) -> list[_Slot]:
    stages = puzzle.ranks * puzzle.chunks
    down = [stage % puzzle.ranks for stage in range(stages)]
    ways = [(down, puzzle.microbatches - len(puzzle.upward))]
    if puzzle.upward:
        ways.append((down[::-1], len(puzzle.upward)))
    slots: list[_Slot] = []
    for ranks, count in ways:
        begin, last = len(slots), stages - 1
        each = [
            _times(puzzle, stage if puzzle.chunks > 1 else ranks[stage]) for stage in range(stages)
        ]
        for stage, rank in enumerate(ranks):
            up = sum(times[_I] for times in each[:stage])
            slots.append(
                _Slot(
                    rank,
                    begin + stage - 1 if stage else None,
                    begin + stage + 1 if stage < last else None,
                    count,
                    each[stage],
                    sum(times[_F] for times in each[stage + 1 :])
                    + sum(times[_I] for times in each),
                    up,
                )
            )
    return slots


def _times(puzzle: Puzzle, stage: int) -> tuple[int, int, int]:
    forward, backward = puzzle.forward[stage], puzzle.backward[stage]
    if puzzle.kinds == "FB":
        return forward, backward, 0
    return forward, backward // 2, backward // 2
