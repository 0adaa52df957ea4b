"""`make site`: the labs as they ran, the guides and the reference, as pages in build/site; in
another language of the course, in build/site/ja."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading.answer.say import say, speaking
from grading.course import execute
from grading.course.files import CourseError, labs_in, select
from grading.course.languages.speech import speech
from grading.course.outline import Lab, Language, Outline, outline
from grading.course.release import PointsOf, points_of
from grading.course.site.faults import faults, given_away
from grading.course.site.labs import Page, page
from grading.course.site.pages import SPHINX, pages


@dataclass(frozen=True)
class _Ran:
    """A lab, as it is released and as its solution ran."""

    lab: Lab
    released: NotebookNode
    executed: NotebookNode


@dataclass(frozen=True)
class _Edition:
    """The site in one language. folder: of its pages, in the site's own; "" for the original's."""

    language: Language
    folder: str
    labs: list[Page]
    files: dict[str, str | bytes]
    settings: dict[str, object]


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
    editions = [_edition(root, course, labs, one) for one in _languages(root, course)]
    source, site = root / "build" / "site-source", root / "build" / "site"
    for old in (source, site):
        shutil.rmtree(old, ignore_errors=True)
    for one in editions:
        _write(source / one.language.name / "pages", one.files)
        _write(source / one.language.name / "beside", dict(_beside(root, one)))
    running = [_sphinx(source / one.language.name, site / one.folder, one) for one in editions]
    codes = [process.wait() for process in running]
    if any(codes):
        print("The site has the faults that are told above.", file=sys.stderr)
        return 1
    answers = {lab.lab.name: lab.answers for lab in editions[0].labs}
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


def _labs(root: Path, course: Outline, names: list[str], points_of: PointsOf) -> list[_Ran]:
    made = []
    for name in names:
        lab = course.lab(name)
        if lab is None:
            raise CourseError(f"course.yml does not list {name}: add it there.")
        released = _released(root, name)
        if released is None:
            raise CourseError(f"labs/{name}.ipynb is not there: run `make release`.")
        made.append(_Ran(lab, released, execute.executed(root, name, points_of)))
    return made


def _released(root: Path, lab: str, folder: str = "") -> NotebookNode | None:
    file = root / "labs" / folder / f"{lab}.ipynb"
    return nbformat.read(file, as_version=4) if file.exists() else None


def _languages(root: Path, course: Outline) -> list[Language]:
    """The original, and those in which there is a lab."""
    original, *others = course.languages
    return [original, *(one for one in others if labs_in(root / "labs" / one.name, ".ipynb"))]


def _edition(root: Path, course: Outline, labs: Sequence[_Ran], language: Language) -> _Edition:
    languages = _languages(root, course)
    folder = "" if language == languages[0] else language.name
    address = public_address(root)
    with speaking(speech(root, folder)):
        made = [_page(root, one, [each.lab.name for each in labs], folder) for one in labs]
        files = pages(root, course, made, address, folder)
        settings = {
            "title": say(course.title),
            "terms": say("Code: Apache-2.0. Text and figures: CC BY 4.0."),
            "original": say("This page is not translated yet; it is in English."),
            "address": address,
            "language": language.name,
            "folder": folder,
            "languages": [(one.name, one.title) for one in languages],
        }
    files |= {f"labs/{one.lab.name}.ipynb": nbformat.writes(one.notebook) for one in made}
    return _Edition(language, folder, made, files, settings)


def _page(root: Path, ran: _Ran, built: Sequence[str], folder: str) -> Page:
    """A lab's page; where the lab is not translated, it is the original, and says so."""
    name = ran.lab.name
    translated = _released(root, name, folder) if folder else None
    with speaking(speech(root, folder, name)):
        up = "../" if folder else ""
        made = page(ran.lab, ran.released, ran.executed, built, translated, up)
    if folder and translated is None:
        made.notebook.metadata.lang = "en"
    return made


def _beside(root: Path, edition: _Edition) -> Iterator[tuple[str, bytes]]:
    """What lies beside the labs' pages, as it is: the notebooks to download, and their pictures,
    which are the same in every language."""
    for one in edition.labs:
        name = f"{one.lab.name}.ipynb"
        translated = root / "labs" / edition.folder / name
        given = translated if translated.exists() else root / "labs" / name
        yield f"labs/{name}", given.read_bytes()
        if not edition.folder:
            yield from one.pictures.items()


def _write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def _sphinx(source: Path, site: Path, edition: _Edition) -> subprocess.Popen[bytes]:
    """Sphinx at work; its exit code is not 0 if it had anything to warn of."""
    strict = ["--fail-on-warning", "--keep-going", "--quiet", "--jobs", "auto"]
    settings = ["-c", SPHINX, "-D", f"html_extra_path={source / 'beside'}"]
    folders = ["-d", source / "doctrees", source / "pages", site]
    environment = {**os.environ, "SITE": json.dumps(edition.settings), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-m", "sphinx", *strict, *settings, *folders]
    return subprocess.Popen(command, env=environment)
