"""The learner's working copy, my_labs/: filled from labs/, never overwritten, carried over by name.

`make lab` fills it and opens it in JupyterLab; `make update` brings a lab's new version with the
learner's answers in it and keeps the old file.
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
from grading.course.files import CourseError, labs_in, select, write_atomically
from grading.course.outline import outline
from grading.course.start_page import start_page

START_PAGE = "start.md"
JOIN_PAGE = "join.ipynb"
_JUPYTERLAB = Path(__file__).parent / "jupyterlab"
# For instructors; in a learner's JupyterLab they only fail, in the browser's console.
_SERVER_EXTENSIONS_OFF = (
    "jupyterlab_jupytext",
    "nbgrader.server_extensions.assignment_list",
    "nbgrader.server_extensions.course_list",
    "nbgrader.server_extensions.formgrader",
    "nbgrader.server_extensions.validate_assignment",
)


@dataclass
class Filled:
    """What filling the working copy found."""

    new: list[str] = field(default_factory=list)  # labs copied now
    newer: list[str] = field(default_factory=list)  # labs that have another version in labs/
    faults: list[str] = field(default_factory=list)  # a sentence for each unreadable notebook

    def sentences(self) -> list[str]:
        said = [f"New in my_labs: {', '.join(self.new)}."] if self.new else []
        if self.newer:
            listed = ", ".join(self.newer)
            said.append(f"A newer version of {listed} is there: run `make update` for it.")
        return said + self.faults


def fill(root: Path) -> Filled:
    """Copy into my_labs/ the labs that are not there yet; what is there stays as it is."""
    filled = Filled()
    for lab in labs_in(root / "labs", ".ipynb"):
        theirs, mine = _files(root, lab)
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
    except CourseError as error:
        print(error, file=sys.stderr)
        return 1
    code = 0
    for name in labs:
        try:
            print(_update(root, name))
        except CourseError as error:
            print(error, file=sys.stderr)
            code = 1
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
    print("JupyterLab opens the course; Ctrl-C here stops it.", flush=True)
    if os.environ.get("LAB_DATA"):
        # The kernels run in my_labs: a relative path would mean another place there.
        os.environ["LAB_DATA"] = os.path.abspath(os.environ["LAB_DATA"])
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(argv=[*options(root, arguments), *arguments])
    return 0


def prepare(root: Path, standing: Iterable[Standing]) -> None:
    """Fill the working copy, say so, and write its start page."""
    filled = fill(root)
    for sentence in filled.sentences():
        print(sentence, flush=True)
    page, folder = (
        start_page(outline(root), root / "labs", filled.newer, standing),
        _working_copy(root),
    )
    write_atomically(folder / START_PAGE, page.encode())
    write_atomically(folder / JOIN_PAGE, (_JUPYTERLAB / JOIN_PAGE).read_bytes())


def options(root: Path, arguments: Sequence[str]) -> list[str]:
    """The course's options to JupyterLab; one that is among the arguments gives way to them."""
    import zmq

    folder = _working_copy(root).resolve()
    options = {
        "Application.log_level": "ERROR",
        "KernelManager.transport_encryption": "auto" if zmq.has("curve") else "disabled",
        "LabApp.app_settings_dir": _JUPYTERLAB,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.default_url": f"/lab/tree/{START_PAGE}",
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


def _update(root: Path, lab: str) -> str:
    """Bring one lab up to date; says what was done."""
    import nbformat

    from grading.course.carry_over import carry_over

    theirs, mine = _files(root, lab)
    if not mine.exists():
        return f"{lab}: not in my_labs yet; `make lab` puts it there."
    before, notebook = mine.read_bytes(), _read(mine)
    if _release(notebook) == _release(_read(theirs)):
        return f"{lab}: you have the newest version."
    try:
        nbformat.validate(notebook)
        carried = carry_over(*(nbformat.read(file, as_version=4) for file in (mine, theirs)))
    except (nbformat.ValidationError, KeyError) as error:
        raise _unreadable(mine, error) from None
    kept = _new_name(mine.parent / "old", lab)
    write_atomically(kept, before)
    write_atomically(mine, (nbformat.writes(carried.notebook).rstrip("\n") + "\n").encode())
    lines = [
        f"{lab}: updated; the old notebook is my_labs/old/{kept.name}.",
        *carried.sentences(),
        "If it is open in JupyterLab: File > Reload Notebook from Disk.",
    ]
    return "\n    ".join(lines)


def _new_name(folder: Path, lab: str) -> Path:
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = (
        folder / f"{lab}.{time}{more}.ipynb" for more in ["", *(f"_{i}" for i in range(2, 99))]
    )
    return next(name for name in names if not name.exists())


def _files(root: Path, lab: str) -> tuple[Path, Path]:
    return root / "labs" / f"{lab}.ipynb", _working_copy(root) / f"{lab}.ipynb"


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
        f"{name} cannot be read as a notebook ({reason}) and was left as it is:"
        " mend it, or move it away and run `make lab` for a fresh copy."
    )
