"""The class as the board sees it, without a process: where somebody is, and for how long."""

from collections.abc import Callable
from typing import Any

import pytest

from grading.workshop.lessons import Exercise, Lesson
from grading.workshop.limits import Limit
from grading.workshop.room import Room, without_names
from grading.workshop.store import Event, Learner

LAB = "00_tiny"
NAMES = ("first", "second", "third")
MINUTE = 60.0
Happen = Callable[..., dict[str, Any]]


@pytest.fixture
def happen() -> Happen:
    """Has something happen at a minute, and gives the learner's cells at a later one."""
    room = Room({LAB: Lesson(LAB, "Tiny", {one: Exercise(one, one, 2.0, 10) for one in NAMES})})
    room.enter(Learner(1, "Anna", 0.0))

    def take(*events: tuple[float, str, float], now: float) -> dict[str, Any]:
        for number, (minute, name, points) in enumerate(events):
            kind = "check" if name else "open"
            at = minute * MINUTE
            room.take(Event(1, f"{at}{number}", at, kind, LAB, name, points, seconds=at))
        (row,) = room.picture(now * MINUTE)["learners"]
        return row["labs"][LAB]

    return take


def here(cells: dict[str, Any]) -> tuple[str, int, bool]:
    ((name, cell),) = [(name, cell) for name, cell in cells.items() if cell["here"]]
    return name, cell["minutes"], cell["slow"]


def test_who_has_opened_a_lab_is_at_its_first_exercise(happen: Happen) -> None:
    assert here(happen((0, "", 0), now=9)) == ("first", 9, False)


def test_ten_minutes_are_not_too_long_and_eleven_are(happen: Happen) -> None:
    assert here(happen((0, "", 0), now=10.5)) == ("first", 10, False)
    assert here(happen(now=11)) == ("first", 11, True)


def test_a_wrong_answer_does_not_begin_the_time_anew(happen: Happen) -> None:
    assert here(happen((0, "", 0), (8, "first", 0), (11, "first", 1), now=12)) == (
        "first",
        12,
        True,
    )


def test_a_right_answer_leads_to_the_next_that_is_not_done(happen: Happen) -> None:
    cells = happen((0, "", 0), (3, "second", 2), (5, "first", 2), now=7)
    assert here(cells) == ("third", 2, False)
    assert cells["second"]["state"] == "done"


def test_who_goes_on_without_an_answer_is_there(happen: Happen) -> None:
    cells = happen((0, "", 0), (5, "first", 0), (9, "second", 0), now=12)
    assert here(cells) == ("second", 3, False)
    assert cells["first"]["state"] == "tried"


def test_with_everything_done_nobody_is_anywhere(happen: Happen) -> None:
    cells = happen(*[(minute, name, 2) for minute, name in enumerate(NAMES)], now=99)
    assert [one for one in cells.values() if one["here"]] == []


def test_a_restarted_kernel_does_not_begin_the_time_anew_and_a_break_does(happen: Happen) -> None:
    assert here(happen((0, "", 0), (20, "", 0), now=21)) == ("first", 21, True)
    assert here(happen((90, "", 0), now=91)) == ("first", 1, False)


def test_a_worse_answer_after_a_right_one_takes_nothing_away(happen: Happen) -> None:
    cells = happen((0, "first", 2), (1, "first", 0), now=2)
    assert (cells["first"]["state"], cells["first"]["attempts"]) == ("done", 2)


def test_a_lab_without_a_learner_has_no_row_in_the_projector_view() -> None:
    room = Room({LAB: Lesson(LAB, "Tiny")})
    room.enter(Learner(1, "Anna", 0.0))
    assert without_names(room.picture(0.0))["labs"] == {}


def test_a_limit_empties_and_fills() -> None:
    limit = Limit(most=3, rate=0.5)
    assert [limit.allows("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert limit.allows("b", 0.0)
    assert not limit.allows("a", 1.0)
    assert limit.allows("a", 2.0)
    assert not limit.allows("a", 100.0, 4)
    assert limit.allows("a", 100.0, 3)
