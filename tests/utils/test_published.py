"""Schedules from papers: how long they take, what they hold, and that they run."""

import pytest

from utils.pipeline import published, schedules

SIZES = [(1, 1), (2, 2), (2, 5), (3, 3), (4, 8), (4, 13), (8, 24)]


@pytest.mark.parametrize(("ranks", "microbatches"), SIZES)
def test_1f1b_holds_as_many_micro_batches_as_ranks_remain(ranks: int, microbatches: int) -> None:
    timeline = schedules.simulate(published.one_f_one_b(ranks, microbatches))
    assert timeline.end == 3 * (microbatches + ranks - 1)
    assert timeline.peak_stash() == [ranks - rank for rank in range(ranks)]


def test_1f1b_holds_as_little_of_a_thousand_micro_batches() -> None:
    assert schedules.simulate(published.one_f_one_b(4, 1000)).peak_stash() == [4, 3, 2, 1]


@pytest.mark.parametrize("chunks", [1, 2, 4])
@pytest.mark.parametrize(("ranks", "microbatches"), [(2, 2), (2, 6), (3, 3), (4, 8), (4, 12)])
def test_interleaving_divides_the_idle_time_by_the_chunks(
    ranks: int, microbatches: int, chunks: int
) -> None:
    schedule = published.interleaved(ranks, microbatches, chunks)
    timeline = schedules.simulate(schedule, 1 / chunks, 2 / chunks)
    assert timeline.end == pytest.approx(3 * (microbatches + (ranks - 1) / chunks))
    held = [[rank + ranks * chunk for chunk in range(chunks)] for rank in range(ranks)]
    assert schedules.placement(schedule) == held


def test_interleaving_wants_whole_groups_of_micro_batches() -> None:
    with pytest.raises(ValueError, match="7 micro-batches make no groups of 3"):
        published.interleaved(3, 7, 2)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("ranks", "more"), [(1, 0), (2, 0), (2, 7), (3, 0), (4, 1), (4, 8), (8, 3)]
)
def test_zero_bubble_takes_the_shortest_time_that_there_is(
    ranks: int, more: int, version: int
) -> None:
    most = ranks if version == 1 else 2 * ranks - 1
    microbatches = most + more
    timeline = schedules.simulate(published.zero_bubble(ranks, microbatches, version))  # type: ignore[arg-type]
    # The last rank can begin after ranks − 1 forwards at the earliest; then it has its own work.
    assert timeline.end == ranks - 1 + 3 * microbatches
    assert timeline.peak_stash() == [most] * ranks


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_under_the_second_zero_bubble_no_rank_idles_between_its_first_action_and_its_last(
    ranks: int,
) -> None:
    timeline = schedules.simulate(published.zero_bubble(ranks, 2 * ranks, 2))
    for rank in range(ranks):
        mine = [span for span in timeline.work if span.rank == rank]
        assert mine[-1].end - mine[0].start == sum(span.end - span.start for span in mine)


def test_with_fewer_micro_batches_than_are_held_all_run_still() -> None:
    for ranks, microbatches in ((4, 1), (4, 3), (8, 7)):
        for version in (1, 2):
            schedule = published.zero_bubble(ranks, microbatches, version)
            assert schedules.problems(schedule, microbatches) == []
