"""`make site`: the labs as they ran, the guides and the reference, as pages in build/site."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat

from grading.course import execute
from grading.course.files import CourseError, labs_in, select
from grading.course.outline import Outline, outline
from grading.course.release import PointsOf, points_of
from grading.course.site.faults import faults, given_away
from grading.course.site.labs import Page, page
from grading.course.site.pages import SPHINX, pages


def build(root: Path, only: str | None = None, points_of: PointsOf = points_of) -> int:
    """Build the site of the course at `root`; the exit code, 0 if all went well.

    only: a lab's number or name, for a site with this one. A lab is run where nothing in
    build/executed fits. What Sphinx warns of, a link into nothing, a picture without a text and a
    page that asks another host are failures. Raises CourseError.
    """
    course = outline(root)
    labs = _labs(root, course, select(labs_in(root / "solutions", ".py"), only), points_of)
    if not labs:
        raise CourseError("There is no lab to show.")
    address = public_address(root)
    source, site = root / "build" / "site-source", root / "build" / "site"
    for old in (source, site):
        shutil.rmtree(old, ignore_errors=True)
    _write(source / "pages", {**pages(root, course, labs, address), **_lab_pages(labs)})
    _write(source / "beside", dict(_beside(root, labs)))
    if _run_sphinx(source, site, address) != 0:
        print("The site has the faults that are told above.", file=sys.stderr)
        return 1
    answers = {one.lab.name: one.answers for one in labs}
    problems = [*given_away(site, answers), *faults(site)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"The site is in build/site: open {site / 'index.html'}")
    return 1 if problems else 0


def public_address(root: Path) -> str | None:
    """Where the repository is on GitHub, if that is where it came from."""
    command = ["git", "-C", str(root), "remote", "get-url", "origin"]
    asked = subprocess.run(command, capture_output=True, text=True)
    found = re.fullmatch(
        r"(?:https://|ssh://git@|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?",
        asked.stdout.strip(),
    )
    return f"https://github.com/{found[1]}" if found else None


def _labs(root: Path, course: Outline, names: list[str], points_of: PointsOf) -> list[Page]:
    made = []
    for name in names:
        lab, given = course.lab(name), root / "labs" / f"{name}.ipynb"
        if lab is None:
            raise CourseError(f"course.yml does not list {name}: add it there.")
        if not given.exists():
            raise CourseError(f"labs/{name}.ipynb is not there: run `make release`.")
        executed = execute.executed(root, name, points_of)
        made.append(page(lab, nbformat.read(given, as_version=4), executed, names))
    return made


def _lab_pages(labs: Sequence[Page]) -> dict[str, str]:
    return {f"labs/{one.lab.name}.ipynb": nbformat.writes(one.notebook) for one in labs}


def _beside(root: Path, labs: Sequence[Page]) -> Iterator[tuple[str, bytes]]:
    """What lies beside the labs' pages, as it is: their pictures, and the notebooks to download."""
    for one in labs:
        name = one.lab.name
        yield f"labs/{name}.ipynb", (root / "labs" / f"{name}.ipynb").read_bytes()
        for picture, content in one.pictures.items():
            yield f"labs/{name}/{picture}", content


def _write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def _run_sphinx(source: Path, site: Path, address: str | None) -> int:
    """Sphinx's exit code: not 0 if it had anything to warn of."""
    strict = ["--fail-on-warning", "--keep-going", "--quiet", "--jobs", "auto"]
    settings = ["-c", SPHINX, "-D", f"html_extra_path={source / 'beside'}"]
    folders = ["-d", source / "doctrees", source / "pages", site]
    environment = {**os.environ, "SITE_ADDRESS": address or "", "MPLBACKEND": "Agg"}
    command = [sys.executable, "-m", "sphinx", *strict, *settings, *folders]
    return subprocess.run(command, env=environment).returncode
