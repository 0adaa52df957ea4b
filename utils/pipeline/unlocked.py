"""Schedules whose backward need not wait for the next rank's backward.

`schedules.simulate` knows one kind of backward: it waits for that of the next rank. Here the caller
says what it waits for, so that other ways to train fit into the same picture. F, B, ranks and
micro-batches are those of `schedules`; what ran is its `Timeline`.
"""

from collections.abc import Callable

from utils.pipeline import published, schedules
from utils.pipeline.schedules import Action, Schedule, ScheduleError, Timeline

Source = tuple[int, str]  # a rank and the kind of its action, "F" or "B", on the same micro-batch
WaitsFor = Callable[[int, int], Source]


def in_turn(ranks: int, microbatches: int) -> list[list[Action]]:
    """Each backward right after its forward, on every rank."""
    return [[(kind, m) for m in range(microbatches) for kind in "FB"] for _ in range(ranks)]


def warmed_up(ranks: int, microbatches: int, batches: int = 1) -> list[list[Action]]:
    """1F1B: rank r begins with ranks − r forwards, then a backward and a forward take turns.

    With several batches the micro-batches are numbered on, and each batch ends before the next
    one begins, rank by rank.
    """
    return [
        [(kind, m + microbatches * batch) for batch in range(batches) for kind, m in actions]
        for actions in published.one_f_one_b(ranks, microbatches)
    ]


def simulate(
    schedule: Schedule,
    waits_for: WaitsFor,
    forward: float = 1.0,
    backward: float = 2.0,
    *,
    unit: str = "",
) -> Timeline:
    """Run a schedule of "F" and "B" in thought; messages take no time.

    A forward waits for the same micro-batch's forward on the rank before. waits_for(rank, ranks):
    whose action a backward waits for, beside its own forward, such as (2, "B").

    Raises ScheduleError if the schedule is not valid, if what `waits_for` returns is no action of
    these ranks, or if no rank can go on.
    """
    ranks = len(schedule)
    wrong = schedules.problems(schedule)
    if wrong:
        raise ScheduleError("\n".join(wrong))
    sources = [_checked(waits_for(rank, ranks), rank, ranks) for rank in range(ranks)]

    def needs(rank: int, kind: str, m: int) -> Source | None:
        if kind == "B":
            return sources[rank]
        return (rank - 1, "F") if rank > 0 else None

    spans, stuck = schedules.run(schedule, [forward] * ranks, [backward] * ranks, needs)
    if stuck:
        raise ScheduleError(schedules.waiting(schedule, stuck, needs))
    return Timeline(tuple(spans), ranks, unit)


def _checked(source: object, rank: int, ranks: int) -> Source:
    if isinstance(source, tuple) and len(source) == 2:
        other, kind = source
        if isinstance(other, int) and 0 <= other < ranks and kind in ("F", "B"):
            return other, kind
    raise ScheduleError(
        f"waits_for({rank}, {ranks}) should be a rank and a kind, such as (0, 'F'), not {source!r}."
    )
