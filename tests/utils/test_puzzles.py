"""Schedule puzzles: their rules, their pars, and solving them by clicking."""

from dataclasses import replace
from itertools import permutations, product
from typing import Any

import matplotlib

matplotlib.use("Agg")

import pytest

from grading.checks.answers import schedule_puzzles as answers
from utils.figures import schedule_puzzles as figures
from utils.pipeline import published, puzzles, schedules, shortest
from utils.pipeline.puzzles import Puzzle, Tiles
from utils.pipeline.schedules import Action, ScheduleError

LEVELS = sorted(puzzles.LEVELS)


def answer_to(level: int) -> Any:
    return getattr(answers, f"level_{level}")


def within(puzzle: Puzzle, schedule: list[list[Action]]) -> bool:
    """Whether it takes par's time, and holds no more than it may."""
    assert puzzle.problems(schedule) == []
    timeline = puzzle.timeline(schedule)
    peaks = timeline.peak_stash()
    fits = all(peak <= most for peak, most in zip(peaks, puzzle.limits, strict=True))
    return fits and puzzle.time(timeline) <= puzzle.par


# Par


@pytest.mark.parametrize("level", LEVELS)
def test_par_is_reached_by_an_answer_and_by_nothing_shorter(level: int) -> None:
    puzzle = puzzles.LEVELS[level]()
    assert within(puzzle, puzzle.schedule(answer_to(level)))
    assert shortest.possible(puzzle).possible
    if not puzzle.rows:
        assert not shortest.possible(replace(puzzle, par=puzzle.par - 1)).possible


@pytest.mark.parametrize("level", [3, 4, 7, 9])
def test_no_rank_could_do_with_one_fewer(level: int) -> None:
    puzzle = puzzles.LEVELS[level]()
    for rank in range(puzzle.ranks):
        limits = [most - (r == rank) for r, most in enumerate(puzzle.limits)]
        assert not shortest.possible(replace(puzzle, limits=tuple(limits))).possible


def test_a_row_without_a_gap_has_the_memory_that_it_needs() -> None:
    puzzle = puzzles.no_gap()
    assert not shortest.possible(replace(puzzle, limits=(4, 4, 4))).possible
    with pytest.raises(ValueError, match="Rows without a gap take 15: par cannot be 16 here"):
        shortest.possible(replace(puzzle, par=16))


@pytest.mark.parametrize(("ranks", "microbatches"), [(2, 3), (3, 7), (5, 9), (4, 2)])
def test_1f1b_solves_level_3_of_any_size(ranks: int, microbatches: int) -> None:
    puzzle = puzzles.turn(ranks, microbatches)
    assert within(puzzle, published.one_f_one_b(ranks, microbatches))


@pytest.mark.parametrize(("ranks", "rounds"), [(2, 1), (2, 4), (3, 2), (4, 3)])
def test_interleaved_1f1b_solves_level_5_of_any_size(ranks: int, rounds: int) -> None:
    puzzle = puzzles.chunks(ranks, ranks * rounds)
    assert within(puzzle, published.interleaved(ranks, ranks * rounds, 2))


@pytest.mark.parametrize(("ranks", "more"), [(2, 1), (3, 0), (4, 5), (5, 2)])
def test_the_zero_bubbles_solve_levels_6_to_8_of_any_size(ranks: int, more: int) -> None:
    first = published.zero_bubble(ranks, ranks + more)
    assert within(puzzles.split(ranks, ranks + more), first)
    assert within(puzzles.within(ranks, ranks + more), first)
    many = 2 * ranks - 1 + more
    assert within(puzzles.no_gap(ranks, many), published.zero_bubble(ranks, many, 2))


def legal_rows(puzzle: Puzzle, rank: int) -> list[list[Action]]:
    """Every order of a rank's actions in which each backward comes after its forward."""
    return [
        list(row)
        for row in permutations(puzzle.actions[rank])
        if all(row.index(("F", m)) < row.index(("B", m)) for m in range(puzzle.microbatches))
    ]


@pytest.mark.parametrize("upward", [frozenset(), frozenset([1])])
@pytest.mark.parametrize("limits", [(2, 2), (2, 1), (1, 1)])
def test_the_search_finds_the_shortest_of_all_orders(
    limits: tuple[int, int], upward: frozenset[int]
) -> None:
    puzzle = replace(puzzles.fill(2, 2), limits=limits, upward=upward)
    times = set[float]()
    for rows in product(*(legal_rows(puzzle, rank) for rank in range(2))):
        if not puzzle.problems(rows):
            timeline = puzzle.timeline(rows)
            if all(a <= b for a, b in zip(timeline.peak_stash(), limits, strict=True)):
                times.add(timeline.end)
    found = [par for par in range(30) if shortest.possible(replace(puzzle, par=par)).possible]
    assert found[0] == min(times)


# Rules


def test_what_goes_up_enters_on_the_last_rank() -> None:
    up = schedules.simulate(schedules.parse("F0 B0\nF0 B0\nF0 B0"), upward={0})
    assert [span.rank for span in up.work] == [2, 1, 0, 0, 1, 2]
    assert up.end == 9
    down = schedules.parse("F0 F1 B1 B0\nF1 F0 B0 B1")
    assert schedules.problems(down, upward={1}) == []
    stuck = schedules.problems(schedules.parse("F1 F0 B0 B1\nF0 F1 B0 B1"), upward={1})
    assert "rank 0 waits at step 0 (F1) for F1 of rank 1" in stuck[0]


@pytest.mark.parametrize(
    ("level", "text", "says"),
    [
        (1, "F0 B0", "The schedule has 1 line, and there are 3 ranks: one for each."),
        (1, "F0 I0\nF0 B0\nF0 B0", "rank 0, step 1: I0 is no action of this rank, which has B, F."),
        (6, "F0 B0\nF0 B0", "rank 0, step 1: B0 is no action of this rank, which has F, I, W."),
        (5, "F0 B0\nF0 B0", "F0 is no action of this rank, which has 0B, 0F, 2B, 2F."),
        (1, "F0 B0\n" * 3, "rank 0: the forward of micro-batch 1 is missing."),
    ],
)
def test_what_breaks_a_rule_is_named(level: int, text: str, says: str) -> None:
    puzzle = puzzles.LEVELS[level]()
    assert says in puzzle.problems(puzzle.schedule(text))[0]


@pytest.mark.parametrize(
    ("level", "before", "move", "says"),
    [
        (1, "", (0, ("B", 0)), "B0 comes after F0 of the same rank."),
        (1, "", (1, ("F", 0)), "F0 of rank 1 waits for F0 of rank 0, which is not placed yet."),
        (1, "F0", (0, ("F", 0)), "F0 stands in this row already."),
        (1, "F0", (0, ("B", 0)), "B0 of rank 0 waits for B0 of rank 1, which is not placed yet."),
        (1, "", (0, ("W", 0)), "W0 is no action of rank 0."),
        (2, "F0 F1", (0, ("F", 2)), "Rank 0 holds 2 already, and may hold no more"),
        (6, "F0\nF0", (1, ("W", 0)), "W0 comes after I0 of the same rank."),
        (5, "0F0\n1F0", (1, ("3F", 0)), "3F0 of rank 1 waits for 2F0 of rank 0"),
        (9, "", (0, ("F", 2)), "F2 of rank 0 waits for F2 of rank 1"),
    ],
)
def test_a_move_against_the_rules_is_refused(
    level: int, before: str, move: tuple[int, Action], says: str
) -> None:
    tiles = Tiles(puzzles.LEVELS[level](), before)
    placed = tiles.text
    assert says in tiles.place(*move)
    assert tiles.text == placed


def test_an_answer_is_text_lists_or_a_program() -> None:
    puzzle = puzzles.fill(2, 1)
    wanted = [[("F", 0), ("B", 0)]] * 2
    for answer in ("F0 B0\nF0 B0", wanted, (tuple(wanted[0]),) * 2, lambda ranks, m: wanted):
        assert puzzle.schedule(answer) == wanted
    with pytest.raises(NotImplementedError):
        puzzle.schedule(None)
    with pytest.raises(ScheduleError, match="a function that makes one, not int"):
        puzzle.schedule(3)


# By clicking


@pytest.mark.parametrize("level", LEVELS)
def test_every_answer_can_be_placed_move_by_move_and_taken_back(level: int) -> None:
    puzzle = puzzles.LEVELS[level]()
    schedule = puzzle.schedule(answer_to(level))
    tiles = Tiles(puzzle, schedule)
    assert tiles.rows == schedule
    assert tiles.said() == puzzle.said(puzzle.timeline(schedule))
    assert puzzle.schedule(tiles.text) == schedule
    for _ in range(sum(map(len, schedule))):
        tiles.take_back()
    tiles.take_back()
    assert not any(tiles.rows)


def button(widget: Any, name: str) -> Any:
    found = [one for one in descendants(widget) if getattr(one, "tooltip", None) == name]
    return found[0]


def descendants(widget: Any) -> list[Any]:
    return [
        widget,
        *(one for child in getattr(widget, "children", ()) for one in descendants(child)),
    ]


def test_a_click_places_a_tile_and_a_wrong_one_is_refused_with_the_reason() -> None:
    widget = figures._widget(Tiles(puzzles.cut()))
    *_, says, _, text = widget.children
    button(widget, "Place F0 on rank 1").click()
    assert "F0 of rank 1 waits for F0 of rank 0" in says.value
    button(widget, "Place F0 on rank 0").click()
    button(widget, "Place F0 on rank 1").click()
    assert text.value == "F0\nF0\n"
    assert "22 to place" in says.value
    assert not [
        one for one in descendants(widget) if getattr(one, "tooltip", 0) == "Place F0 on rank 0"
    ]
    button(widget, "Undo the last move").click()
    assert text.value == "F0\n\n"


def test_where_nobody_can_click_the_text_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    figures.play(puzzles.fill(2, 1), "F0 B0\nF0 B0")
    assert "time 6 (par 6), held by rank: 1, 1" in (out := capsys.readouterr().out)
    assert "F0 B0\nF0 B0" in out


def test_a_broken_schedule_is_shown_with_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    figures.show(puzzles.fill(), "F0 F1\nB0")
    out = capsys.readouterr().out
    assert "The schedule has 2 lines, and there are 3 ranks: one for each." in out
    assert "cannot run as it stands" in out
    figures.show(puzzles.fill(), "F0, F1")
    assert "Fill the pipeline: 'F0,' is no action" in capsys.readouterr().out
    figures.show(puzzles.fill(), [[("F0",)], [], []])
    assert "is no action" in capsys.readouterr().out


def test_a_board_is_solved_in_pars_time_within_the_limits_and_not_otherwise() -> None:
    gpipe, one_by_one = "F0 F1 F2 F3 B0 B1 B2 B3\n" * 3, "F0 B0 F1 B1 F2 B2 F3 B3\n" * 3
    assert puzzles.fill().solved(gpipe)
    assert not puzzles.fill().solved(one_by_one)  # late
    assert not puzzles.cut().solved(gpipe)  # holds too many
    assert not puzzles.fill().solved("F0 B0\n" * 3)  # lacks some


def test_what_comes_before_its_own_forward_is_not_drawn() -> None:
    drawn = puzzles.fill().timeline([[], [], [("B", 0), ("F", 0)]])
    assert list(drawn.work) == []
    backward_first = puzzles.fill(1, 1).timeline([[("B", 0), ("F", 0)]])
    assert [span.kind for span in backward_first.work] == ["F"]
