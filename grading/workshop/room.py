"""The class as the instructor sees it, made from what happened: events in, a picture out.

It holds no more than the picture needs, whatever the number of events, and reads no clock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from grading.workshop.lessons import Lesson, Misconceptions
from grading.workshop.store import Event, HandedIn, Learner

_COMMONEST = 3  # misconceptions that are shown for an exercise
_BREAK = 3600.0  # seconds without a word, after which who opens a lab begins anew


@dataclass
class Tried:
    """One learner's checks of one exercise. best: points; misconception: of the last check."""

    attempts: int = 0
    best: float = 0.0
    last: float = 0.0
    misconception: str = ""


@dataclass
class Seat:
    """One learner, as far as the board knows. turned: when each lab's work was last at another
    exercise than it is now; handed_in: when, by lab."""

    learner: Learner
    lab: str = ""
    tried: dict[tuple[str, str], Tried] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    turned: dict[str, float] = field(default_factory=dict)
    handed_in: dict[str, float] = field(default_factory=dict)
    hand: tuple[float, str] | None = None
    seen: float = 0.0


class Room:
    """All seats. misconceptions: the known ones; others are neither counted nor shown."""

    def __init__(self, lessons: Mapping[str, Lesson]) -> None:
        self.lessons = lessons
        self.misconceptions: Misconceptions = {}
        self.seats: dict[int, Seat] = {}

    def enter(self, learner: Learner) -> None:
        self.seats.setdefault(learner.id, Seat(learner))

    def leave(self, learner: int) -> None:
        self.seats.pop(learner, None)

    def clear(self, learner: int) -> None:
        """Forget what a learner did, but for the notebooks."""
        seat = self.seats[learner]
        self.seats[learner] = Seat(seat.learner, handed_in=seat.handed_in)

    def take(self, event: Event) -> None:
        seat = self.seats.get(event.learner)
        if seat is None:
            return
        before, seat.seen = seat.seen, event.at
        if event.kind == "hand":
            seat.hand = (seat.hand[0] if seat.hand else event.at, event.text)
        elif event.kind == "lowered":
            seat.hand = None
        elif event.lab in self.lessons:
            seat.lab = event.lab
            if event.kind == "open" and event.at - before > _BREAK:
                seat.turned[event.lab] = event.at
            elif event.kind == "open":
                seat.turned.setdefault(event.lab, event.at)
            elif event.exercise in self.lessons[event.lab].exercises:
                self._check(seat, event)

    def take_notebook(self, one: HandedIn) -> None:
        if one.learner in self.seats:
            self.seats[one.learner].handed_in[one.lab] = one.at

    def _check(self, seat: Seat, event: Event) -> None:
        exercises = self.lessons[event.lab].exercises
        tried = seat.tried.setdefault((event.lab, event.exercise), Tried())
        tried.attempts += 1
        tried.last = min(event.points, exercises[event.exercise].points)
        tried.best = max(tried.best, tried.last)
        tried.misconception = event.misconception
        seat.turned.setdefault(event.lab, event.at - event.seconds)
        before = seat.at.get(event.lab)
        done = tried.last >= exercises[event.exercise].points
        if done or before not in (None, event.exercise):
            seat.turned[event.lab] = event.at
        seat.at[event.lab] = self._next(seat, event) if done else event.exercise

    def _next(self, seat: Seat, event: Event) -> str:
        """The first exercise behind this one that is not done; if there is none, before it."""
        exercises = self.lessons[event.lab].exercises
        names = list(exercises)
        here = names.index(event.exercise)
        for name in [*names[here + 1 :], *names[:here]]:
            tried = seat.tried.get((event.lab, name))
            if tried is None or tried.best < exercises[name].points:
                return name
        return ""

    def course(self) -> list[dict[str, Any]]:
        """What does not change: labs and exercises."""
        return [
            {
                "name": lesson.name,
                "title": lesson.title,
                "exercises": [vars(one) for one in lesson.exercises.values()],
            }
            for lesson in self.lessons.values()
        ]

    def picture(self, now: float) -> dict[str, Any]:
        """What there is to see at a time, in plain values."""
        seats = list(self.seats.values())
        raised = [(*seat.hand, seat.learner) for seat in seats if seat.hand is not None]
        hands = sorted(raised, key=lambda hand: hand[0])
        return {
            "learners": [self._row(seat, now) for seat in seats],
            "hands": [
                {"id": one.id, "name": one.name, "text": text, "minutes": _minutes(now - at)}
                for at, text, one in hands
            ],
            "misconceptions": self._commonest(seats),
        }

    def _row(self, seat: Seat, now: float) -> dict[str, Any]:
        labs = {lab for lab, _ in seat.tried} | set(seat.turned) | set(seat.handed_in)
        return {
            "id": seat.learner.id,
            "name": seat.learner.name,
            "lab": seat.lab,
            "hand": seat.hand is not None,
            "labs": {lab: self._cells(seat, lab, now) for lab in sorted(labs)},
            "handed_in": seat.handed_in,
        }

    def _cells(self, seat: Seat, lab: str, now: float) -> dict[str, Any]:
        exercises, at = self.lessons[lab].exercises, seat.at.get(lab)
        if at is None and lab in seat.turned:
            at = next(iter(exercises), "")  # opened: at the first one
        cells: dict[str, Any] = {}
        for name, exercise in exercises.items():
            tried = seat.tried.get((lab, name), Tried())
            minutes = _minutes(now - seat.turned[lab]) if name == at and lab == seat.lab else 0
            if tried.attempts or name == at:
                cells[name] = {
                    "state": _state(tried, exercise.points),
                    "attempts": tried.attempts,
                    "points": tried.best,
                    "here": name == at and lab == seat.lab,
                    "minutes": minutes,
                    "slow": 0 < exercise.minutes < minutes,
                }
        return cells

    def _commonest(self, seats: Iterable[Seat]) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """For each lab and exercise, what is now behind wrong answers, and with how many."""
        counts: dict[str, dict[str, Counter[str]]] = {}
        for seat in seats:
            for (lab, name), tried in seat.tried.items():
                if tried.misconception in self.misconceptions.get(lab, {}).get(name, {}):
                    counter = counts.setdefault(lab, {}).setdefault(name, Counter())
                    counter[tried.misconception] += 1
        return {
            lab: {
                name: [
                    {"name": one, "says": self.misconceptions[lab][name][one], "count": count}
                    for one, count in counter.most_common(_COMMONEST)
                ]
                for name, counter in exercises.items()
            }
            for lab, exercises in counts.items()
        }


def without_names(picture: Mapping[str, Any]) -> dict[str, Any]:
    """The same for everybody's eyes: how many, and nobody in particular."""
    labs: dict[str, dict[str, Any]] = {}
    for learner in picture["learners"]:
        for lab, cells in learner["labs"].items():
            one = labs.setdefault(lab, {"learners": 0, "handed_in": 0, "exercises": {}})
            one["learners"] += 1
            one["handed_in"] += lab in learner["handed_in"]
            for name, cell in cells.items():
                counts = one["exercises"].setdefault(name, Counter())
                counts[cell["state"]] += 1
                counts["here"] += cell["here"]
                counts["slow"] += cell["slow"]
    current = Counter(one["lab"] for one in picture["learners"] if one["lab"])
    return {
        "joined": len(picture["learners"]),
        "hands": len(picture["hands"]),
        "current": current,
        "labs": labs,
        "misconceptions": picture["misconceptions"],
    }


def _state(tried: Tried, points: float) -> str:
    if not tried.attempts:
        return "begun"
    if tried.best >= points:
        return "done"
    return "partly" if tried.best > 0 else "tried"


def _minutes(seconds: float) -> int:
    return int(max(0.0, seconds) // 60)
