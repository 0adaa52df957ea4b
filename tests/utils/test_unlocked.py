"""Schedules whose backward waits for what the caller says."""

import itertools

import pytest

from utils.pipeline import schedules, unlocked
from utils.pipeline.schedules import ScheduleError


def next_rank(rank: int, ranks: int) -> tuple[int, str]:
    return (rank + 1, "B") if rank + 1 < ranks else (rank, "F")


def own_forward(rank: int, ranks: int) -> tuple[int, str]:
    return rank, "F"


def last_forward(rank: int, ranks: int) -> tuple[int, str]:
    return ranks - 1, "F"


SIZES = list(itertools.product((1, 2, 4, 5), (1, 3, 8), (1, 2)))


@pytest.mark.parametrize(("ranks", "microbatches", "batches"), SIZES)
def test_a_backward_that_waits_for_the_next_rank_is_that_of_schedules(
    ranks: int, microbatches: int, batches: int
) -> None:
    schedule = unlocked.warmed_up(ranks, microbatches, batches)
    ours = unlocked.simulate(schedule, next_rank, 1.5, 2.5)
    theirs = schedules.simulate(schedule, 1.5, 2.5)
    assert sorted(ours.spans, key=str) == sorted(theirs.spans, key=str)


@pytest.mark.parametrize(("ranks", "microbatches", "batches"), SIZES)
def test_how_long_unlocked_backwards_take(ranks: int, microbatches: int, batches: int) -> None:
    f, b = 1.25, 3.0
    fill = (ranks - 1) * f
    batch = microbatches * (f + b) + fill
    direct = unlocked.simulate(unlocked.warmed_up(ranks, microbatches, batches), last_forward, f, b)
    assert direct.end == pytest.approx(batches * batch)
    local = unlocked.simulate(unlocked.in_turn(ranks, microbatches * batches), own_forward, f, b)
    assert local.end == pytest.approx(batches * microbatches * (f + b) + fill)
    assert local.peak_stash() == [1] * ranks
    assert direct.peak_stash() == [min(microbatches, ranks - rank) for rank in range(ranks)]


def test_the_order_of_a_rank() -> None:
    assert schedules.text(unlocked.warmed_up(2, 2, 2)[:1]) == "F0 F1 B0 B1 F2 F3 B2 B3"
    assert schedules.text(unlocked.in_turn(1, 2)) == "F0 B0 F1 B1"


@pytest.mark.parametrize("wrong", [None, (4, "F"), (-1, "F"), (0, "W"), ("0", "F"), (0,)])
def test_what_is_no_action_is_refused(wrong: object) -> None:
    with pytest.raises(ScheduleError, match=r"waits_for\(0, 4\) should be a rank and a kind"):
        unlocked.simulate(unlocked.in_turn(4, 2), lambda rank, ranks: wrong)  # pyright: ignore


def test_a_deadlock_and_a_bad_schedule_are_told() -> None:
    with pytest.raises(
        ScheduleError, match=r"no rank can go on: rank 0 waits at step 1 \(B0\) for B0 of"
    ):
        unlocked.simulate(unlocked.in_turn(1, 2), lambda rank, ranks: (0, "B"))
    with pytest.raises(ScheduleError, match="the backward of micro-batch 0 is missing"):
        unlocked.simulate([[("F", 0)]], own_forward)
