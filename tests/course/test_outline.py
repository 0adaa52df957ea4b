"""The one list of the course: what it refuses, and what is made from it."""

import re
from pathlib import Path

import pytest

from grading.course.files import CourseError
from grading.course.outline import Outline, outline, table
from tests.labs import LABS, ROOT
from tests.tiny_course import OUTLINE


def listed(folder: Path, text: str) -> Outline:
    (folder / "course.yml").write_text(text, encoding="utf-8")
    return outline(folder)


def test_the_tiny_list_is_read(tmp_path: Path) -> None:
    course = listed(tmp_path, OUTLINE)
    assert [part.number for part in course.parts] == ["I"]
    assert [lab.name for lab in course] == ["01_tiny", "02_later"]
    assert course.lab("02_later").needs == ("01_tiny",)  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("minutes: 1,", "minutes: soon,", "line 7, minutes: it should be a whole number"),
        ("minutes: 1,", "minutes: 0,", "line 7, minutes: it should be at least 1"),
        ("minutes: 1,", "minuts: 1,", "line 7, minuts: there is no such key here. Is minutes"),
        ("level: 1,", "", "line 7, level: it is missing"),
        ("level: 1,", "level: 4,", "line 7, level: it should be 1, 2 or 3"),
        ("You double a number.", "You double. And more.", "line 7, promise: it should be one"),
        ("You double a number.", "doubling", "line 7, promise: it should be one sentence"),
        ("needs: [01_tiny]", "needs: [03_x]", "line 8, needs: '03_x' is no lab that is listed"),
        ("02_later", "00_later", "line 8, name: 00_later comes after 01_tiny"),
        ("02_later", "later", "line 8, name: a lab is named like 05_convolution"),
        ("title: Beginnings", "title: [a]", "line 5, title: it should be a text"),
        ("level: 1,", "level: 1, ask: [],", "line 7, ask: it should be keys and values"),
        ("level: 1,", "level: 1, ask: {a: So.},", "line 7, a: it should be a question"),
        ("languages: [{", "languages: en # [{", "line 3, languages: it should be a list"),
        ("finished: true", "finished: false", "line 3, languages: the first is the original"),
        ("name: en", "name: English", "line 3, name: a language is named like ja"),
        ("title: A tiny course", "title: {", "course.yml, line"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, before: str, after: str, says: str
) -> None:
    assert before in OUTLINE
    with pytest.raises(CourseError, match=re.escape(says)):
        listed(tmp_path, OUTLINE.replace(before, after, 1))


def test_a_course_without_a_list_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=r"course\.yml cannot be read"):
        outline(tmp_path)


def test_every_lab_of_the_course_is_listed() -> None:
    assert not set(LABS) - {lab.name for lab in outline(ROOT)}, "course.yml does not list them"


def test_readme_has_the_list() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert table(outline(ROOT), LABS) in readme, "run `python -m grading.course.outline`"


@pytest.mark.parametrize("lab", LABS)
def test_a_labs_minutes_are_those_of_its_exercises(lab: str) -> None:
    source = (ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8")
    heads = re.findall(r"^# ### Exercise .*?(\d+) minutes", source, re.MULTILINE)
    wanted = outline(ROOT).lab(lab)
    assert wanted is not None, f"course.yml does not list {lab}"
    total = sum(map(int, heads))
    assert total == wanted.minutes, f"{lab}: the headings' minutes add up to {total}"
    opening = source.partition("# ### Exercise")[0]
    said = f"{wanted.minutes} minutes" in " ".join(opening.replace("\n#", " ").split())
    assert said, f"the opening of {lab} does not say `{wanted.minutes} minutes`"


@pytest.mark.parametrize("lab", LABS)
def test_next_is_the_lab_that_follows(lab: str) -> None:
    source = (ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8")
    after = re.search(r"\*\*Next.*?lab (\d\d)", source, re.DOTALL)
    assert after is not None or lab == LABS[-1], f"{lab} has no `**Next:** … lab NN`"
    following = LABS[LABS.index(lab) + 1 :]
    assert not following or (after is not None and after[1] == following[0][:2])
