"""What a mark depends on: an edit regrades the labs that depend on the file, and no others."""

import shutil
from pathlib import Path

import pytest

from grading.marking import digest
from tests.labs import LABS, ROOT

CHECKS = "grading/checks"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the course that an edit may change."""
    for folder in ("grading", "utils"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    monkeypatch.setattr(digest, "ROOT", tmp_path)
    return tmp_path


def digests(course: Path) -> dict[str, str]:
    return {lab: digest.checks_digest(str(course / CHECKS), lab) for lab in LABS}


def regraded(course: Path, file: str) -> set[str]:
    """The labs, by number, that an edit to a file regrades."""
    before = digests(course)
    path = course / file
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    after = digests(course)
    return {lab[:2] for lab in LABS if before[lab] != after[lab]}


ALL = {lab[:2] for lab in LABS}


@pytest.mark.parametrize(
    ("file", "labs"),
    [
        (f"{CHECKS}/09_char_rnn.py", {"09"}),
        (f"{CHECKS}/answers/char_rnn.py", {"09"}),
        (f"{CHECKS}/answers/convolution.py", {"05"}),
        (f"{CHECKS}/expect.py", ALL),
        (f"{CHECKS}/calls.py", ALL),
        ("grading/answer/codec.py", ALL),
        ("grading/answer/runner.py", ALL),
        ("grading/gradebook/report.py", set[str]()),
        ("grading/course/outline.py", set[str]()),
        ("utils/plots.py", set[str]()),
        ("utils/training/sweeps.py", set[str]()),
        ("utils/training/modes.py", {"07", "20"}),
    ],
)
def test_an_edit_regrades_exactly_what_depends_on_it(copy: Path, file: str, labs: set[str]) -> None:
    assert regraded(copy, file) == labs


def test_a_module_that_judges_counts_for_the_labs_that_it_judges(copy: Path) -> None:
    assert {"14", "15"} <= regraded(copy, "utils/pipeline/schedules.py") < ALL
    assert "05" not in regraded(copy, "utils/ranks/simulated.py")


def test_an_import_over_several_lines_and_one_inside_a_function_count(copy: Path) -> None:
    lab = copy / CHECKS / "01_perceptron.py"
    text = lab.read_text(encoding="utf-8")
    assert "01" not in regraded(copy, "utils/spec.py")
    lab.write_text(f"{text}\n\ndef later():\n    from utils.spec import (\n        read,\n    )\n")
    assert "01" in regraded(copy, "utils/spec.py")
