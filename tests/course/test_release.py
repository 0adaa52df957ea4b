"""solutions/*.py -> labs/*.ipynb and the nbgrader course: round trip, leaks, malformed sources."""

import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from grading.course import release as releasing
from grading.course.files import CourseError
from grading.course.release import ReleaseError, check_release, release
from grading.course.source import BEGIN, END, content_id, read
from tests.labs import LABS, ROOT
from tests.tiny_course import LAB, POINTS, SOURCE, points_of, write_source

# Its fixtures are dear: one worker of pytest-xdist has them all.
pytestmark = pytest.mark.xdist_group("release")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny course, released."""
    root = tmp_path_factory.mktemp("course")
    write_source(root)
    assert release(root, None, points_of) == [root / "labs" / f"{LAB}.ipynb"]
    return root


@pytest.fixture
def copy(course: Path, tmp_path: Path) -> Path:
    """The released course, to change."""
    return shutil.copytree(course, tmp_path / "course")


def released(root: Path) -> nbformat.NotebookNode:
    nb = nbformat.read(root / "labs" / f"{LAB}.ipynb", as_version=4)
    nbformat.validate(nb)
    return nb


def source_of(nb: nbformat.NotebookNode, grade_id: str) -> str:
    return next(cell.source for cell in nb.cells if cell.id == grade_id)


def test_the_labs_are_what_their_sources_give() -> None:
    assert LABS
    assert check_release(ROOT) == []


@pytest.mark.parametrize("lab", LABS)
def test_no_solution_text_is_in_the_labs(lab: str) -> None:
    nb = nbformat.read(ROOT / "labs" / f"{lab}.ipynb", as_version=4)
    given = "\n".join(cell.source for cell in nb.cells)
    source = (ROOT / "solutions" / f"{lab}.py").read_text(encoding="utf-8")
    regions = re.findall(rf"### {BEGIN}\n(.*?)\n *(?:# )?### {END}", source, re.DOTALL)
    assert regions
    assert "SOLUTION" not in given
    assert not [region for region in regions if region.strip("# \n") in given]


def test_releasing_again_gives_the_same_bytes(course: Path) -> None:
    file = course / "labs" / f"{LAB}.ipynb"
    first = file.read_bytes()
    release(course, ["1"], points_of)
    assert file.read_bytes() == first
    assert first.endswith(b"}\n")
    assert check_release(course, points_of) == []


def test_an_unindented_region_leaves_a_comment_and_an_indented_one_raises(course: Path) -> None:
    nb = released(course)
    assert source_of(nb, "guess_code") == 'guess = None  # "yes" or "no"\n# your answer here'
    assert source_of(nb, "double_code").endswith(
        '    # your code here\n    raise NotImplementedError("your code here")'
    )
    assert "addition" not in source_of(nb, "why")


def test_the_notebook_carries_metadata_for_graders_and_nothing_else(course: Path) -> None:
    nb = released(course)
    assert set(nb.metadata) == {"kernelspec", "lab", "language_info"}
    assert nb.metadata.lab.name == LAB
    check = next(cell for cell in nb.cells if cell.id == "double")
    assert check.metadata.editable is check.metadata.deletable is False
    assert {"grade", "locked", "points", "checksum"} <= set(check.metadata.nbgrader)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in nb.cells)


def test_cell_ids_survive_changes_elsewhere_and_tell_an_edit(tmp_path: Path) -> None:
    before = read(write_source(tmp_path)).cells
    after = read(write_source(tmp_path, "# %% [markdown]\n# New.\n\n" + SOURCE)).cells
    assert [cell.id for cell in after[1:]] == [cell.id for cell in before]
    assert all(content_id(cell) == cell.id for cell in before)


def test_equal_cells_get_ids_of_their_own(tmp_path: Path) -> None:
    cells = read(write_source(tmp_path, SOURCE + "\n# %%\nknob = 3\n")).cells
    assert len({cell.id for cell in cells}) == len(cells)


def test_the_release_changes_with_the_lab_and_not_with_its_solution(copy: Path) -> None:
    fingerprints = []
    for source in (SOURCE, SOURCE.replace("x + x", "2 * x"), SOURCE.replace("Twice", "Double")):
        write_source(copy, source)
        release(copy, None, points_of)
        fingerprints.append(released(copy).metadata.lab.release)
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def test_an_edited_a_missing_and_a_sourceless_notebook_are_reported(copy: Path) -> None:
    file = copy / "labs" / f"{LAB}.ipynb"
    file.write_text(file.read_text().replace("Doubling", "Trebling"))
    file.with_name("02_gone.ipynb").write_text("{}")
    edited, sourceless = check_release(copy, points_of)
    file.unlink()
    missing, _ = check_release(copy, points_of)
    assert missing == edited
    assert edited.startswith("labs/01_tiny.ipynb is not what solutions/01_tiny.py gives")
    assert "labs/02_gone.ipynb has no source" in sourceless
    assert all(sentence.endswith("run `make release`.") for sentence in (edited, sourceless))
    release(copy, None, points_of)
    assert check_release(copy, points_of) == []


def test_nbgraders_refusal_is_one_sentence(copy: Path) -> None:
    write_source(copy, SOURCE.replace("Twice x.", "Twice x. ### BEGIN HIDDEN TESTS"))
    before = (copy / "labs" / f"{LAB}.ipynb").read_bytes()
    with pytest.raises(ReleaseError, match=r"would not generate 01_tiny in .*: .*hidden tests"):
        release(copy, None, points_of)
    assert (copy / "labs" / f"{LAB}.ipynb").read_bytes() == before


def test_a_lab_that_is_not_there_is_named_with_those_that_are(course: Path) -> None:
    with pytest.raises(CourseError, match='no lab "99": the labs are 01_tiny'):
        release(course, ["99"], points_of)


def test_a_lab_without_checks_is_told_where_they_go() -> None:
    with pytest.raises(ReleaseError, match=r"write grading/checks/99_none\.py"):
        releasing.points_of("99_none")


CODE = '"grade_id": "double_code"'
MALFORMED = {
    "unclosed region": ("    ### END SOLUTION\n", "", r"unclosed solution region: add `### END"),
    "end without begin": ("    ### BEGIN SOLUTION\n", "", "was not begun: add `### BEGIN"),
    "region within a region": ("return x + x", "### BEGIN SOLUTION", "end the first with"),
    "answer without region": (
        "### BEGIN SOLUTION\n    return x + x\n    ### END SOLUTION",
        "pass",
        "answer without a solution region",
    ),
    "region in no answer": (
        ' nbgrader={"grade_id": "double_code", "solution": true}',
        "",
        r"cell 5 \(def double.* is no answer: add",
    ),
    "duplicate id": (CODE, '"grade_id": "guess_code"', r"cell 9 \(guess_code\) .* of an earlier"),
    "answer to nothing": (CODE, '"grade_id": "dubble_code"', "answers no exercise of this lab"),
    "unknown exercise": ('"grade_id": "double",', '"grade_id": "dubble",', "does not have"),
    "no check cell": (
        '# %% nbgrader={"grade_id": "double", "grade": true, "points": 2}\ncheck("double")\n',
        "",
        r'^solutions/01_tiny.py: no check cell for double .* `check\("double"\)`',
    ),
    "points that disagree": ('"points": 2', '"points": 3', r"gives 3 points where .* says 2: make"),
    "no points": (', "points": 2', "", 'add "points"'),
    "points that are no number": ('"points": 2', '"points": "2"', 'add "points"'),
    "other code beside the check": (
        'check("double")',
        'check("double")\nx = 1',
        r'its one line must be `check\("double"\)`',
    ),
    "check of another exercise": ('\ncheck("double")', '\ncheck("guess")', r'`check\("double"\)`'),
    "checks of another lab": (
        'scale = ""\n',
        'scale = ""\n\n# %%\ncheck = checks("01_tinny")\n',
        r"asks for the checks of another lab: write `checks\(.01_tiny.\)`",
    ),
    "no parameters cell": ("parameters", "parameter", "no parameters cell: add"),
    "metadata that is not JSON": ('code", "solution": true', 'code", "solution": tru', "not JSON"),
    "misspelt metadata": (
        'nbgrader={"grade_id": "gu',
        'nbgarder={"grade_id": "gu',
        "only nbgrader",
    ),
    "misspelt key": ('"solution": true', '"solution": true, "point": 1', "nbgrader does not know"),
    "neither answer nor check": ('_code", "solution": true', '_code"', "neither an answer nor a"),
    "bad id": (CODE, '"grade_id": "double code"', "needs a grade id of letters"),
    "ungraded written answer": (
        '"why", "grade": true, "solution": true, "points": 1',
        '"why", "solution": true',
        "a person grades",
    ),
    "code in a Markdown cell": (
        "# ## Doubling\n",
        "# ## Doubling\ny = 1\n",
        r"with code at line 28: begin that",
    ),
    "text before the first cell": ("# %% [markdown]\n# # Lab 1", "# # Lab 1", "before the first"),
    "broken Python": ("return x + x", "return x +", r"tiny\.py:\d+: not valid Python"),
}


@pytest.mark.parametrize(("old", "new", "says"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_source_is_told_where_and_what_to_do(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in SOURCE
    source = write_source(tmp_path, SOURCE.replace(old, new, 1))
    with pytest.raises(ReleaseError, match=says) as caught:
        read(source, POINTS)
    for line in str(caught.value).splitlines():
        assert re.match(r"solutions/01_tiny\.py(:\d+)?: .*[.]$", line), line


def test_every_fault_is_reported_with_its_line_and_nothing_is_written(tmp_path: Path) -> None:
    bad = SOURCE.replace("    ### END SOLUTION\n", "").replace('"points": 2', '"points": 3')
    write_source(tmp_path, bad)
    with pytest.raises(ReleaseError) as caught:
        release(tmp_path, None, points_of)
    first, second = str(caught.value).splitlines()
    line = bad.splitlines().index('# %% nbgrader={"grade_id": "double_code", "solution": true}') + 1
    assert first.startswith(f"solutions/01_tiny.py:{line}: cell 5 (double_code) has an unclosed")
    assert "cell 6 (double) gives 3 points" in second
    assert not (tmp_path / "labs").exists()


def test_a_marker_within_a_string_is_no_cell(tmp_path: Path) -> None:
    source = SOURCE.replace("knob = 3", 'knob = """\n# %%\n"""').replace("2}", "3}", 1)
    with pytest.raises(ReleaseError, match=r"cell 6 \(double\) gives 3"):
        read(write_source(tmp_path, source), POINTS)


def test_the_course_with_its_solutions_is_its_owners_only(course: Path) -> None:
    assert (course / "course").stat().st_mode & 0o077 == 0
    assert (course / "labs").stat().st_mode & 0o077


def test_a_path_that_nbgrader_takes_for_a_pattern_is_named(tmp_path: Path) -> None:
    write_source(tmp_path / "course [1]")
    with pytest.raises(CourseError, match=r"has \[ and \] in it.*move the course"):
        release(tmp_path / "course [1]", None, points_of)


def test_the_gradebook_holds_the_exercises_and_their_points(course: Path) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'course' / 'gradebook.db'}") as gradebook:
        cells = gradebook.find_notebook(LAB, LAB).grade_cells
        assert {cell.name: cell.max_score for cell in cells} == {**POINTS, "why": 1.0}


def test_release_writes_plain_json(course: Path) -> None:
    text = (course / "labs" / f"{LAB}.ipynb").read_text(encoding="utf-8")
    assert "·" in text  # not escaped, so that a diff can be read
    assert json.loads(text)["nbformat_minor"] == 5
