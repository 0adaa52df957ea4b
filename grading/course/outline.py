"""The one list of the course, `course.yml`: its parts, and of each lab title, promise and minutes,
and a teacher's question for each exercise.

`python -m grading.course.outline` prints the table that README.md has.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grading.answer.say import say
from grading.course.files import LAB_NAME, CourseError
from utils.spec import Section, SpecError, read

FILE = "course.yml"
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


@dataclass(frozen=True)
class Lab:
    """One lab of the list. minutes: of its exercises, the first time; level: 1 to 3; ask: by
    exercise, what to ask somebody who is stuck there."""

    name: str
    title: str
    promise: str
    minutes: int
    level: int
    needs: tuple[str, ...]
    ask: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def number(self) -> str:
        return self.name[:2]


@dataclass(frozen=True)
class Part:
    """A part of the course, its number in Roman numerals."""

    number: str
    title: str
    labs: tuple[Lab, ...]


@dataclass(frozen=True)
class Language:
    """A language of the course. name: such as ja; title: its own word for itself; finished: whether
    everything is translated, so that a text without a translation is an error."""

    name: str
    title: str
    finished: bool


@dataclass(frozen=True)
class Outline:
    """The course as it is listed, labs that are to come included. languages: the original first."""

    title: str
    promise: str
    languages: tuple[Language, ...]
    parts: tuple[Part, ...]

    def __iter__(self) -> Iterator[Lab]:
        return (lab for part in self.parts for lab in part.labs)

    def lab(self, name: str) -> Lab | None:
        return next((lab for lab in self if lab.name == name), None)


def outline(root: Path) -> Outline:
    """The list of the course in this folder. Raises CourseError, which names the line."""
    try:
        return _outline(read(root / FILE))
    except SpecError as error:
        raise CourseError(str(error)) from None
    except OSError as error:
        raise CourseError(f"{root / FILE} cannot be read ({error.strerror}).") from None


def asked_language(course: Outline) -> Language:
    """The language that LAB_LANG names; the original where it names none. Raises CourseError."""
    original, *_ = course.languages
    name = os.environ.get("LAB_LANG") or original.name
    found = next((one for one in course.languages if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in course.languages)
        raise CourseError(f"LAB_LANG is {name!r}, and the course has {known}: set it to one.")
    return found


def titles_of(root: Path) -> dict[str, str]:
    """`05 · Convolution`, of every lab by its name, as it is said. Raises CourseError."""
    return {lab.name: f"{lab.number} · {say(lab.title)}" for lab in outline(root)}


def table(course: Outline, there: Iterable[str]) -> str:
    """The course as README.md shows it. there: the names of the labs that exist."""
    existing = set(there)
    rows = ["| | lab | |", "|---|---|---|"]
    for part in course.parts:
        rows.append(f"| **{part.number}** | **{part.title}** | |")
        for lab in part.labs:
            promise = lab.promise if lab.name in existing else f"*to come:* {lab.promise}"
            rows.append(f"| {lab.number} | {lab.title} | {promise} |")
    return "\n".join(rows)


def _outline(file: Section) -> Outline:
    _keys(file, title=str, promise=str, languages=list, parts=list)
    parts, seen = [], list[str]()
    for number, part in zip(_ROMAN, _sections(file, "parts"), strict=False):
        _keys(part, title=str, labs=list)
        labs = tuple(_lab(lab, seen) for lab in _sections(part, "labs"))
        parts.append(Part(number, part["title"], labs))
    languages = tuple(map(_language, _sections(file, "languages")))
    if not languages or not languages[0].finished:
        raise file.error("languages", "the first is the original, which is finished.")
    return Outline(file["title"], file["promise"], languages, tuple(parts))


def _language(language: Section) -> Language:
    _keys(language, name=str, title=str, finished=bool)
    if not re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2})?", language["name"]):
        raise language.error("name", f"a language is named like ja, not {language['name']!r}.")
    return Language(**language)


def _lab(lab: Section, seen: list[str]) -> Lab:
    lab.setdefault("ask", {})  # a lab that is to come has no exercises yet
    _keys(lab, name=str, title=str, promise=str, minutes=int, level=int, needs=list, ask=dict)
    name = lab["name"]
    if not LAB_NAME.fullmatch(name):
        raise lab.error("name", f"a lab is named like 05_convolution, not {name!r}.")
    if seen and name <= seen[-1]:
        raise lab.error("name", f"{name} comes after {seen[-1]}: labs are listed by their numbers.")
    if not re.fullmatch(r"[^.?]+\.", lab["promise"]):
        raise lab.error("promise", "it should be one sentence, with a full stop at its end.")
    if lab["minutes"] < 1:
        raise lab.error("minutes", f"it should be at least 1, not {lab['minutes']}.")
    if lab["level"] not in (1, 2, 3):
        raise lab.error("level", f"it should be 1, 2 or 3, not {lab['level']}.")
    for needed in lab["needs"]:
        if needed not in seen:
            raise lab.error("needs", f"{needed!r} is no lab that is listed before this one.")
    for exercise, question in lab["ask"].items():
        if not str(question).endswith("?"):
            raise lab["ask"].error(exercise, f"it should be a question, not {question!r}.")
    seen.append(name)
    return Lab(**{**lab, "needs": tuple(lab["needs"])})


def _sections(section: Section, key: str) -> Iterator[Section]:
    for one in section[key]:
        if not isinstance(one, Section):
            raise section.error(key, f"each should have keys and values, not be {one!r}.")
        yield one


def _keys(section: Section, **kinds: type) -> None:
    """The section has exactly these keys, each with a value of its kind. Raises SpecError."""
    for key in section:
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, 1)
            meant = f" Is {near[0]} meant?" if near else ""
            raise section.error(key, f"there is no such key here.{meant}")
    for key, kind in kinds.items():
        if key not in section:
            raise section.error(key, "it is missing.")
        value: Any = section[key]
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            names = {
                str: "a text",
                int: "a whole number",
                bool: "true or false",
                list: "a list",
                dict: "keys and values",
            }
            raise section.error(key, f"it should be {names[kind]}, not {value!r}.")


if __name__ == "__main__":
    ROOT = Path(__file__).parents[2]
    print(table(outline(ROOT), (path.stem for path in (ROOT / "solutions").glob("*.py"))))
