"""Schedules as puzzles: a board, what may be placed on it, and par for its time and its memory.

    puzzle = cut()                        # 3 ranks, 4 micro-batches, 2 of them held at most
    puzzle.problems(schedule)             # what breaks a rule, a sentence each
    puzzle.timeline(schedule)             # when everything runs
    puzzle.refusal(rows, 1, ("F", 0))     # why this move cannot be made now, or ""

Each function below makes the puzzle of one level, for other numbers of ranks and micro-batches,
too, where its par is known. `shortest` proves pars, and `utils.figures.schedule_puzzles` draws a
puzzle and lets it be solved by clicking.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from utils.pipeline import schedules
from utils.pipeline.schedules import KINDS, Action, Schedule, ScheduleError, Timeline


@dataclass(frozen=True)
class Puzzle:
    """A board of `ranks` rows, and what counts on it.

    kinds: the actions there are, "FB" or "FIW"; forward, backward: the time of one action, by
    stage ("I" and "W" take half a backward each); limits: the most micro-batches that each rank may
    hold, from a forward to the end of its backward (of several stages each counts); par: the time
    to reach; rows: that time is of the longest row, from a rank's own first action to its own last,
    and not from the first start to the last end; chunks: the stages of each rank, where rank r has
    r, r + ranks, …; upward: the micro-batches that go up.
    """

    title: str
    ranks: int
    microbatches: int
    kinds: str
    forward: tuple[int, ...]
    backward: tuple[int, ...]
    limits: tuple[int, ...]
    par: int
    rows: bool = False
    chunks: int = 1
    upward: frozenset[int] = frozenset()

    @property
    def actions(self) -> list[list[Action]]:
        """All that has to be placed, by rank."""
        return [
            [
                (f"{stage if self.chunks > 1 else ''}{kind}", m)
                for kind in self.kinds
                for stage in range(rank, self.ranks * self.chunks, self.ranks)
                for m in range(self.microbatches)
            ]
            for rank in range(self.ranks)
        ]

    @property
    def limited(self) -> bool:
        """Whether the limits are less than a rank holds that does all its forwards first."""
        return min(self.limits) < self.chunks * self.microbatches

    def schedule(self, answer: object) -> list[list[Action]]:
        """The schedule that an answer describes: text, a list for each rank, or a program.

        A program is called with the numbers of ranks and micro-batches. Raises ScheduleError for
        what is no schedule, NotImplementedError for None.
        """
        if callable(answer):
            answer = answer(self.ranks, self.microbatches)
        if answer is None:
            raise NotImplementedError("There is no schedule yet.")
        if isinstance(answer, str):
            answer = self._lines(answer)
        if not isinstance(answer, Sequence):
            raise ScheduleError(
                "A schedule is text, a list for each rank or a function that makes one, not"
                f" {type(answer).__name__}."
            )
        return [_row(rank, actions) for rank, actions in enumerate(answer)]

    def _lines(self, text: str) -> list[str]:
        """A line for each rank; an empty one stands for an empty row only where lines lack."""
        lines = text.split("\n")
        written = [line for line in lines if line.strip()]
        if len(written) >= self.ranks:
            return written
        while len(lines) > self.ranks and not lines[0].strip():
            lines.pop(0)
        while len(lines) > max(1, len(written)) and not lines[-1].strip():
            lines.pop()
        return lines

    def problems(self, schedule: Schedule) -> list[str]:
        """What breaks a rule of the game, a sentence each; the limits are none of them."""
        if len(schedule) != self.ranks:
            lines = "1 line" if len(schedule) == 1 else f"{len(schedule)} lines"
            return [f"The schedule has {lines}, and there are {self.ranks} ranks: one for each."]
        return list(self._foreign(schedule)) or schedules.problems(
            schedule, self.microbatches, self.upward
        )

    def _foreign(self, schedule: Schedule) -> list[str]:
        """Actions that are not on this board at all."""
        found = []
        for rank, (actions, known) in enumerate(zip(schedule, self.actions, strict=True)):
            kinds = {kind for kind, _ in known}
            for step, action in enumerate(actions):
                if _is_action(action) and action[0] not in kinds:
                    listed = ", ".join(sorted(kinds))
                    found.append(
                        f"rank {rank}, step {step}: {_word(action)} is no action of this rank,"
                        f" which has {listed}."
                    )
        return found

    def solved(self, answer: object) -> bool:
        """Whether an answer breaks no rule and reaches par within the limits. ScheduleError."""
        schedule = self.schedule(answer)
        if self.problems(schedule):
            return False
        timeline = self.timeline(schedule)
        pairs = zip(timeline.peak_stash(), self.limits, strict=True)
        return self.time(timeline) <= self.par and all(peak <= most for peak, most in pairs)

    def timeline(self, schedule: Schedule) -> Timeline:
        """When everything runs that can run, also of a schedule that is not complete."""
        whole = list(schedule) + [[]] * (self.ranks - len(schedule))
        pairs = zip(whole[: self.ranks], self.actions, strict=True)
        known = [_in_order(action for action in actions if action in own) for actions, own in pairs]
        needs = self._needs()
        spans, _ = schedules.run(known, self.forward, self.backward, needs)
        return Timeline(tuple(spans), self.ranks)

    def time(self, timeline: Timeline) -> float:
        """What par is compared with."""
        if not self.rows:
            return timeline.end
        ends: dict[int, tuple[float, float]] = {}
        for span in timeline.work:
            first, last = ends.get(span.rank, (span.start, span.end))
            ends[span.rank] = min(first, span.start), max(last, span.end)
        return max((last - first for first, last in ends.values()), default=0.0)

    def refusal(self, rows: Schedule, rank: int, action: Action) -> str:
        """Why an action cannot be placed at the end of a rank's row now; "" if it can."""
        kind, m = action
        stage, letter, word = schedules.stage_of(rank, kind), kind[-1], _word(action)
        own = set(rows[rank])
        number = kind[:-1]
        if action not in self.actions[rank]:
            return f"{word} is no action of rank {rank}."
        if action in own:
            return f"{word} stands in this row already."
        before = needed_before(action)
        if before and before not in own:
            return f"{word} comes after {_word(before)} of the same rank."
        source = self._needs()(stage, letter, m)
        if source:
            holder = source[0] % self.ranks
            needed = (f"{source[0] if number else ''}{source[1]}", m)
            if needed not in rows[holder]:
                return (
                    f"{word} of rank {rank} waits for {_word(needed)} of rank {holder}, which is"
                    " not placed yet."
                )
        if letter == "F" and held(rows[rank]) >= self.limits[rank]:
            return (
                f"Rank {rank} holds {held(rows[rank])} already, and may hold no more: first one has"
                " to go back."
            )
        return ""

    def said(self, timeline: Timeline) -> str:
        """Time and memory of what ran, beside par, in words."""
        what = "longest row" if self.rows else "time"
        listed = ", ".join(map(str, timeline.peak_stash()))
        allowed = ", ".join(map(str, self.limits))
        found = f"{what} {self.time(timeline):g} (par {self.par}), held by rank: {listed}"
        return f"{found}, at most {allowed}" if self.limited else found

    def _needs(self) -> schedules.Needs:
        return schedules.needs_of(self.actions, self.upward)


def _row(rank: int, actions: object) -> list[Action]:
    """The actions of one rank: tuples, or lists of two, or a line of text, or of its words."""
    if isinstance(actions, str):
        return next(iter(schedules.parse(actions)), [])
    if not isinstance(actions, Sequence):
        raise ScheduleError(f"rank {rank}: its actions should be a list, or a line of text.")
    if actions and all(isinstance(one, str) for one in actions):
        return _row(rank, " ".join(actions))
    return [tuple(one) if isinstance(one, list) else one for one in actions]


def needed_before(action: Action) -> Action | None:
    """What the same rank has to have done before."""
    kind, m = action
    needed = {"B": "F", "I": "F", "W": "I"}.get(kind[-1])
    return (f"{kind[:-1]}{needed}", m) if needed else None


def _in_order(actions: Iterable[Action]) -> list[Action]:
    """Those of a row that come after what the rank has to have done before them."""
    done: list[Action] = []
    for action in actions:
        before = needed_before(action)
        if before is None or before in done:
            done.append(action)
    return done


def held(actions: Sequence[Action]) -> int:
    """How many micro-batches a row holds at its end."""
    ends = sum(kind[-1] in "BW" for kind, _ in actions)
    return sum(kind[-1] == "F" for kind, _ in actions) - ends


def _is_action(action: object) -> bool:
    return isinstance(action, tuple) and len(action) == 2 and str(action[0])[-1:] in (*KINDS,)


def _word(action: Action) -> str:
    return f"{action[0]}{action[1]}"


class Tiles:
    """The rows of a puzzle, filled by moves that can be made and taken back."""

    def __init__(self, puzzle: Puzzle, answer: object = None) -> None:
        """answer: a schedule to begin with, as `Puzzle.schedule` takes it; of it is placed what can
        be."""
        self.puzzle = puzzle
        self.rows: list[list[Action]] = [[] for _ in range(puzzle.ranks)]
        self.moves: list[int] = []  # the rank of each move
        given = [] if answer is None else puzzle.schedule(answer)
        while any(self._begin(rank, given) for rank in range(puzzle.ranks)):
            pass

    def _begin(self, rank: int, given: list[list[Action]]) -> bool:
        actions = given[rank] if rank < len(given) else []
        at = len(self.rows[rank])
        return at < len(actions) and not self.place(rank, actions[at])

    @property
    def text(self) -> str:
        return schedules.text(self.rows)

    def left(self, rank: int) -> list[Action]:
        """What the rank still has to place."""
        return [one for one in self.puzzle.actions[rank] if one not in self.rows[rank]]

    def place(self, rank: int, action: Action) -> str:
        """Place an action at the end of a rank's row; why it cannot be, or "" once it is."""
        refused = self.puzzle.refusal(self.rows, rank, action)
        if not refused:
            self.rows[rank].append(action)
            self.moves.append(rank)
        return refused

    def take_back(self) -> None:
        """Undo the last move, if there was one."""
        if self.moves:
            self.rows[self.moves.pop()].pop()

    def said(self) -> str:
        """What is still to place, or how the solution stands to par."""
        count = sum(len(self.left(rank)) for rank in range(self.puzzle.ranks))
        if count:
            return f"{count} to place"
        return self.puzzle.said(self.puzzle.timeline(self.rows))


# The levels. With equal stages nothing ends before the last rank has had its turn: it begins after
# ranks − 1 forwards, has its own work, and the last gradient goes back up.


def fill(ranks: int = 3, microbatches: int = 4) -> Puzzle:
    """Keep the ranks busy; memory does not count. GPipe is one answer (Huang and others 2019)."""
    return _whole("Fill the pipeline", ranks, microbatches, (microbatches,) * ranks)


def cut() -> Puzzle:
    """Two micro-batches held at most, and what that costs in time: found by search."""
    return _whole("Cut the memory", 3, 4, (2, 2, 2), par=21)


def turn(ranks: int = 4, microbatches: int = 5) -> Puzzle:
    """Level 1's time in the least memory: 1F1B (Narayanan and others 2021, arXiv:2006.09503)."""
    limits = tuple(min(ranks - rank, microbatches) for rank in range(ranks))
    return _whole("One forward, one backward", ranks, microbatches, limits)


def uneven() -> Puzzle:
    """The middle stage takes twice as long: it begins at 1, has 24 to do, and the last gradient
    takes 2 more. Within 1F1B's limits, one less on the middle rank, 28 is the least."""
    return Puzzle("A slow rank", 3, 4, "FB", (1, 2, 1), (2, 4, 2), (3, 3, 1), par=27)


def chunks(ranks: int = 2, microbatches: int = 4) -> Puzzle:
    """Two stages a rank: interleaved 1F1B (Narayanan and others 2021, arXiv:2104.04473, section
    2.2). Times are those of a chunk, half a stage. microbatches: a multiple of ranks."""
    stages = 2 * ranks
    return Puzzle(
        "Two chunks a rank",
        ranks,
        microbatches,
        "FB",
        (1,) * stages,
        (2,) * stages,
        (min(3 * ranks - 1, 2 * microbatches),) * ranks,
        par=6 * microbatches + 3 * (ranks - 1),
        chunks=2,
    )


def split(ranks: int = 2, microbatches: int = 3) -> Puzzle:
    """Backwards in two parts (Qi and others 2024, arXiv:2401.10241); memory does not count."""
    return _parts("A backward in two parts", ranks, microbatches, microbatches)


def within(ranks: int = 3, microbatches: int = 5) -> Puzzle:
    """The same in 1F1B's memory, which is `ranks` micro-batches on the first rank: ZB-H1 of Qi and
    others. microbatches: at least ranks."""
    return _parts("In 1F1B's memory", ranks, microbatches, ranks)


def no_gap(ranks: int = 3, microbatches: int = 5) -> Puzzle:
    """No rank idles from its first action to its last: ZB-H2 of Qi and others, in 2 ranks − 1.
    microbatches: at least as many."""
    return _parts("Rows without a gap", ranks, microbatches, 2 * ranks - 1, rows=True)


def both_ways() -> Puzzle:
    """Half of the micro-batches enter at the other end: Chimera (Li and Hoefler 2021,
    arXiv:2107.06925). Par is found by search."""
    limits = (3, 4, 4, 3)
    return _whole("Both ways", 4, 4, limits, par=16, upward=frozenset((2, 3)))


def _whole(
    title: str,
    ranks: int,
    microbatches: int,
    limits: tuple[int, ...],
    par: int = 0,
    upward: frozenset[int] = frozenset(),
) -> Puzzle:
    """Forwards of 1 and backwards of 2 on every rank."""
    par = par or 3 * (microbatches + ranks - 1)
    once, twice = (1,) * ranks, (2,) * ranks
    return Puzzle(title, ranks, microbatches, "FB", once, twice, limits, par, upward=upward)


def _parts(title: str, ranks: int, microbatches: int, limit: int, rows: bool = False) -> Puzzle:
    """Forwards and both parts of a backward of 1 on every rank."""
    par = 3 * microbatches + (0 if rows else ranks - 1)
    once, twice = (1,) * ranks, (2,) * ranks
    limits = (min(limit, microbatches),) * ranks
    return Puzzle(title, ranks, microbatches, "FIW", once, twice, limits, par, rows=rows)


LEVELS: Mapping[int, Callable[..., Puzzle]] = {
    1: fill,
    2: cut,
    3: turn,
    4: uneven,
    5: chunks,
    6: split,
    7: within,
    8: no_gap,
    9: both_ways,
}
