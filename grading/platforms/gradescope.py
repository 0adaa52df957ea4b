"""`python -m grading gradescope`: a lab as an autograder of Gradescope, and its run over there.

Gradescope unpacks the zip into /autograder/source of an Ubuntu image and runs its setup.sh as root;
for each submission it starts a fresh container of that image, puts the student's files into
/autograder/submission and runs /autograder/run_autograder, a copy of the zip's, as root; that has
to write /autograder/results/results.json.

    https://gradescope-autograders.readthedocs.io/en/latest/specs/
    https://gradescope-autograders.readthedocs.io/en/latest/best_practices/    (a second user)
"""

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from grading.course.files import CourseError, lab_of, write_atomically
from grading.course.languages.entries import COURSE, translated
from grading.gradebook import report
from grading.marking import job, kernels
from grading.marking.handed_in import HandedIn, submission_in
from grading.marking.judge import NoSession

PACKAGE = Path(__file__).parents[2]  # where `grading` and `utils` are
_FILES = ("install.py", "requirements.txt", "pyproject.toml", "LICENSE", "LICENSE-content")
# What root alone may see: in the image; in the course; of this one submission.
_PRIVATE = ("source", "course/course", "course/solutions", "course/grading/checks")
_PRIVATE_OF_ONE = ("submission", "results", "submission_metadata.json")

_SETUP = """\
#!/usr/bin/env bash
# Made by `python -m grading gradescope`. Installs the course, once, when the image is built.
set -euo pipefail
at="${AUTOGRADER:-/autograder}"
umask 022
cp -r "$at/source/course" "$at/course"
cd "$at/course"
apt-get update
for python in python3.13 python3.12 python3.11; do
  command -v "$python" && break
done
apt-get install -y bubblewrap util-linux "$python" "$python-venv"
"$python" install.py
chmod -R a+rX .venv
"""
_RUN = """\
#!/usr/bin/env bash
# Made by `python -m grading gradescope`. Grades the submission that this container is for.
at="${{AUTOGRADER:-/autograder}}"
cd "$at/course" || exit 1
exec .venv/bin/python -m grading.platforms.gradescope {lab} "$at"
"""


def run(root: Path, lab: str, to: Path) -> int:
    """Write the autograder of a lab as a zip. Raises CourseError."""
    name = lab_of(root, lab)
    setting = job.setting_of(root, name, kernels.SECOND_USER)  # whatever is missing is told now
    if setting.lacks:
        print(setting.lacks)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as whole:
        for inside, content in _contents(root, name):
            about = zipfile.ZipInfo(inside)
            about.external_attr = (0o644 if "/" in inside else 0o755) << 16
            whole.writestr(about, content, zipfile.ZIP_DEFLATED)
    write_atomically(to, made.getvalue(), private=True)
    print(
        f"{to}: the autograder of {name}. It holds the checks, the answers and the course's secret."
    )
    return 0


def _contents(root: Path, lab: str) -> Iterator[tuple[str, bytes]]:
    """The files of the zip: what grading this lab needs, and no other lab's checks."""
    yield "setup.sh", _SETUP.encode()
    yield "run_autograder", _RUN.format(lab=lab).encode()
    checks = f"grading/checks/{lab}.py"
    own = [checks, f"labs/{lab}.ipynb", f"solutions/{lab}.py", "course/secret"]
    for language in translated(root, lab):
        own += [f"labs/{language}/{lab}.ipynb"]
        own += [f"locale/{language}/{name}.po" for name in (COURSE, lab)]
    for name in own:
        if (root / name).exists():
            yield f"course/{name}", (root / name).read_bytes()
    for name in _FILES:
        yield f"course/{name}", (PACKAGE / name).read_bytes()
    for package in ("grading", "utils"):
        for file in sorted((PACKAGE / package).rglob("*")):
            name = file.relative_to(PACKAGE).as_posix()
            of_a_lab = file.parent.name == "checks" and file.name[:2].isdigit()
            if file.is_file() and "__pycache__" not in file.parts and not of_a_lab:
                yield f"course/{name}", file.read_bytes()


def grade(root: Path, lab: str, at: Path) -> None:
    """Grade the submission in `at` (over there, /autograder), and write its results.json.

    Raises CourseError or NoSession where that is not possible: Gradescope then says that the
    autograder failed, which is nobody's mark.
    """
    isolation = kernels.isolation_of_one()
    for name in (*_PRIVATE, *_PRIVATE_OF_ONE):
        if (at / name).exists():
            os.chmod(at / name, 0o700)
    found = submission_in(at / "submission", lab)
    text = _graded(root, lab, found, isolation) if isinstance(found, HandedIn) else _nothing(found)
    write_atomically(at / "results" / "results.json", text.encode("utf-8", "replace"), private=True)
    print(f"isolation: {isolation}")


def _graded(root: Path, lab: str, found: HandedIn, isolation: str) -> str:
    setting = job.setting_of(root, lab, isolation)
    result = job.grade(job.Job(found.student, found.content(), setting, found.note))
    return report.gradescope(result)


def _nothing(why: str) -> str:
    """The results of a submission without the lab's notebook."""
    return json.dumps({"score": 0, "output": f"Nothing was graded: {why}.", "tests": []})


def main(lab: str, at: str) -> int:
    """What run_autograder runs; standard output is for the instructor alone."""
    try:
        grade(Path.cwd(), lab, Path(at))
    except (CourseError, NoSession) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
