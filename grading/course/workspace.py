"""The learner's working copy, my_labs/: filled from labs/, never overwritten, carried over by name.

`make lab` fills it and opens it in JupyterLab; `make update` brings a lab's new version with the
learner's answers in it and keeps the old file. my_labs/ja/ is the same in Japanese: a notebook's
messages are in the language that its folder is called by, and the points are the same ones.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from grading.answer import progress
from grading.answer.progress import Standing
from grading.answer.say import say, speaking
from grading.course.files import CourseError, labs_in, select, write_atomically
from grading.course.languages.speech import speech
from grading.course.outline import Language, asked_language, outline
from grading.course.start_page import start_page

START_PAGE = "start.md"
JOIN_PAGE = "join.ipynb"
_JUPYTERLAB = Path(__file__).parent / "jupyterlab"
JOIN = _JUPYTERLAB / JOIN_PAGE  # in English
# For instructors; in a learner's JupyterLab they only fail, in the browser's console.
_SERVER_EXTENSIONS_OFF = (
    "jupyterlab_jupytext",
    "nbgrader.server_extensions.assignment_list",
    "nbgrader.server_extensions.course_list",
    "nbgrader.server_extensions.formgrader",
    "nbgrader.server_extensions.validate_assignment",
)


@dataclass(frozen=True)
class Copy:
    """The working copy in one language. name: of its folder in my_labs, "" for the original's,
    which is my_labs itself; and of that in labs/."""

    root: Path
    language: Language
    name: str = ""

    @property
    def folder(self) -> Path:
        return _working_copy(self.root) / self.name

    @property
    def shown(self) -> str:
        """The folder, as a learner is told it."""
        return f"my_labs/{self.name}".rstrip("/")

    def mine(self, lab: str) -> Path:
        return self.folder / f"{lab}.ipynb"

    def theirs(self, lab: str) -> Path:
        """The lab as it was released; in the original where it is not translated yet."""
        folder = self.root / "labs"
        return (folder if self.untranslated(lab) else folder / self.name) / f"{lab}.ipynb"

    def untranslated(self, lab: str) -> bool:
        """Whether the lab is to be had in the original only."""
        return not (self.root / "labs" / self.name / f"{lab}.ipynb").exists()


def copies(root: Path) -> list[Copy]:
    """The working copy in the original and in each language that is finished, asked for with
    LAB_LANG, or there already. Raises CourseError."""
    course = outline(root)
    (original, *others), asked = course.languages, asked_language(course)
    found = [Copy(root, original), *(Copy(root, one, one.name) for one in others)]
    return [
        one
        for one in found
        if one.language.finished or one.language == asked or one.folder.is_dir()
    ]


@dataclass
class Filled:
    """What filling the working copy in one language found."""

    folder: str  # as a learner is told it
    new: list[str] = field(default_factory=list)  # labs copied now
    newer: list[str] = field(default_factory=list)  # labs that have another version in labs/
    faults: list[str] = field(default_factory=list)  # a sentence for each unreadable notebook

    def sentences(self) -> list[str]:
        said = [say(f"New in {self.folder}: {', '.join(self.new)}.")] if self.new else []
        if self.newer:
            listed = ", ".join(self.newer)
            newer = f"In {self.folder} a newer version of {listed} is there: run `make update`."
            said.append(say(newer))
        return said + self.faults


def fill(copy: Copy) -> Filled:
    """Copy into my_labs/ the labs that are not there yet; what is there stays as it is."""
    filled = Filled(copy.shown)
    for lab in labs_in(copy.root / "labs", ".ipynb"):
        theirs, mine = copy.theirs(lab), copy.mine(lab)
        if not mine.exists():
            write_atomically(mine, theirs.read_bytes())
            filled.new.append(lab)
            continue
        try:
            if _release(_read(mine)) != _release(_read(theirs)):
                filled.newer.append(lab)
        except CourseError as error:
            filled.faults.append(str(error))
    return filled


def update(root: Path, lab: str | None = None) -> int:
    """Carry the learner's answers into the new versions of the labs (or of one); the exit code.

    An old notebook is kept in my_labs/old; one that cannot be read is left as it is.
    """
    try:
        labs = select(labs_in(root / "labs", ".ipynb"), lab)
        every = copies(root)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    code = 0
    for copy in every:
        newest = []
        for name in labs:
            try:
                if said := _update(copy, name):
                    print(said)
                else:
                    newest.append(name)
            except CourseError as error:
                print(error, file=sys.stderr)
                code = 1
        if newest:
            print(say(f"In {copy.shown} you have the newest version of {', '.join(newest)}."))
    return code


def serve(
    root: Path,
    arguments: Sequence[str] = (),
    standing: Callable[[], Iterable[Standing]] = progress.standing,
) -> int:
    """Fill the working copy and open it in JupyterLab, until Ctrl-C; the exit code.

    arguments: passed on to JupyterLab, such as --no-browser --port 8899.
    """
    prepare(root, standing())
    given = [*options(root, arguments), *arguments]
    os.environ.pop("LAB_LANG", None)  # a notebook speaks as its folder says
    print(say("JupyterLab opens the course; Ctrl-C here stops it."), flush=True)
    if os.environ.get("LAB_DATA"):
        # The kernels run in my_labs: a relative path would mean another place there.
        os.environ["LAB_DATA"] = os.path.abspath(os.environ["LAB_DATA"])
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(argv=given)
    return 0


def prepare(root: Path, standing: Iterable[Standing]) -> None:
    """Fill the working copy in each language, say so, and write its start page. CourseError."""
    course, every, standings = outline(root), copies(root), list(standing)
    for copy in every:
        filled = fill(copy)
        for sentence in filled.sentences():
            print(sentence, flush=True)
        others = {one.language.title: _page_of(one, copy) for one in every if one is not copy}
        labs = labs_in(root / "labs", ".ipynb")
        with speaking(speech(root, copy.name)):
            page = start_page(
                course,
                root / "labs",
                filled.newer,
                standings,
                elsewhere=others,
                original=[lab for lab in labs if copy.untranslated(lab)],
            )
            join = _join_page()
        write_atomically(copy.folder / START_PAGE, page.encode())
        write_atomically(copy.folder / JOIN_PAGE, join)


def start(root: Path) -> str:
    """The page on which JupyterLab opens, from my_labs: that of the language which LAB_LANG names.
    Raises CourseError."""
    asked = asked_language(outline(root))
    name = next(one.name for one in copies(root) if one.language == asked)
    return (Path(name) / START_PAGE).as_posix()


def options(root: Path, arguments: Sequence[str]) -> list[str]:
    """The course's options to JupyterLab; one that is among the arguments gives way to them."""
    import zmq

    folder = _working_copy(root).resolve()
    options = {
        "Application.log_level": "ERROR",
        "KernelManager.transport_encryption": "auto" if zmq.has("curve") else "disabled",
        "LabApp.app_settings_dir": _JUPYTERLAB,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.default_url": f"/lab/tree/{start(root)}",
        "LabApp.expose_app_in_browser": True,  # a notebook that hands itself in asks it to save
        "LabApp.extension_manager": "readonly",
        "LabApp.news_url": "None",
        # Or a language server for maintainers is found on PATH, and shows learners its messages.
        "LanguageServerManager.autodetect": False,
        "LabApp.workspaces_dir": folder / ".jupyterlab",
        "ServerApp.answer_yes": True,  # Ctrl-C stops without a question
        "ServerApp.root_dir": folder,
    }
    given = {argument.partition("=")[0] for argument in arguments}
    ours = [f"--{name}={value}" for name, value in options.items() if f"--{name}" not in given]
    off = [f"--ServerApp.jpserver_extensions={name}=False" for name in _SERVER_EXTENSIONS_OFF]
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [*ours, *off, *as_root]


def _page_of(copy: Copy, seen_from: Copy) -> str:
    """The start page of a copy, as a link on that of another."""
    return (Path(".." if seen_from.name else "") / copy.name / START_PAGE).as_posix()


def _join_page() -> bytes:
    """The notebook by which one joins a workshop, in the language that is spoken."""
    import nbformat

    from grading.course.languages import prose

    notebook = nbformat.read(JOIN, as_version=4)
    prose.translate(notebook, say)
    return (nbformat.writes(notebook) + "\n").encode()


def _update(copy: Copy, lab: str) -> str:
    """Bring one lab up to date; says what was done, nothing where it was the newest already."""
    import nbformat

    from grading.course.carry_over import carry_over

    theirs, mine = copy.theirs(lab), copy.mine(lab)
    if not mine.exists():
        return say(f"{lab}: not in {copy.shown} yet; `make lab` puts it there.")
    before, notebook = mine.read_bytes(), _read(mine)
    if _release(notebook) == _release(_read(theirs)):
        return ""
    try:
        nbformat.validate(notebook)
        carried = carry_over(*(nbformat.read(file, as_version=4) for file in (mine, theirs)))
    except (nbformat.ValidationError, KeyError) as error:
        raise _unreadable(mine, error) from None
    kept = _new_name(mine.parent / "old", lab)
    write_atomically(kept, before)
    write_atomically(mine, (nbformat.writes(carried.notebook).rstrip("\n") + "\n").encode())
    lines = [
        say(f"{lab}: updated; the old notebook is {copy.shown}/old/{kept.name}."),
        *carried.sentences(),
        say("If it is open in JupyterLab: File > Reload Notebook from Disk."),
    ]
    return "\n    ".join(lines)


def _new_name(folder: Path, lab: str) -> Path:
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = (
        folder / f"{lab}.{time}{more}.ipynb" for more in ["", *(f"_{i}" for i in range(2, 99))]
    )
    return next(name for name in names if not name.exists())


def _working_copy(root: Path) -> Path:
    """my_labs, unless LAB_WORK names another folder: where one installation serves many."""
    return Path(os.environ.get("LAB_WORK") or root / "my_labs")


def _read(file: Path) -> dict[str, Any]:
    """The notebook as plain JSON, quickly; raises CourseError where it is none."""
    try:
        notebook = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise _unreadable(file, "it has no cells")
    return notebook


def _release(notebook: dict[str, Any]) -> str | None:
    """The fingerprint that release wrote into the notebook; None where it is lost."""
    try:
        return notebook["metadata"]["lab"]["release"]
    except (KeyError, TypeError):
        return None


def _unreadable(file: Path, why: object) -> CourseError:
    name = f"{file.parent.name}/{file.name}"
    reason = re.sub(r"\s+", " ", str(why))[:120].rstrip(".")
    return CourseError(
        say(
            f"{name} cannot be read as a notebook ({reason}) and was left as it is:"
            " mend it, or move it away and run `make lab` for a fresh copy."
        )
    )
