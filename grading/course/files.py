"""What the course's commands share: the names of the labs, their errors, and writing safely."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

LAB_NAME = re.compile(r"\d\d_\w+")


class CourseError(Exception):
    """Something that the person at the command line can put right; the message is for them."""


def labs_in(folder: Path, suffix: str) -> list[str]:
    """The names of the labs that have a file `NN_name<suffix>` in `folder`, in order."""
    return sorted(p.stem for p in folder.glob(f"*{suffix}") if LAB_NAME.fullmatch(p.stem))


def select(names: Sequence[str], only: str | None) -> list[str]:
    """The labs meant by `only`: a number ("02"), a name ("02_backprop"), or None for all of them.

    Raises CourseError where there is no such lab.
    """
    if only is None:
        return list(names)
    wanted = Path(only).name.split(".")[0]
    chosen = [name for name in names if wanted in (name, name[:2], name[:2].lstrip("0"))]
    if not chosen:
        known = f"the labs are {', '.join(names)}" if names else "there are no labs here"
        raise CourseError(f'There is no lab "{only}": {known}.')
    return chosen


def lab_of(root: Path, lab: str) -> str:
    """The name of the lab that is meant by a number or a name. Raises CourseError."""
    (name,) = select(labs_in(root / "labs", ".ipynb"), lab)
    return name


def plain_path(root: Path) -> Path:
    """A course's folder, fit for nbgrader. Raises CourseError where it is not."""
    odd = sorted(set("[]*?") & set(str(root.resolve())))
    if odd:
        raise CourseError(
            f"The path {root.resolve()} has {' and '.join(odd)} in it, which nbgrader takes for a"
            " pattern: move the course to a folder without."
        )
    return root


def write_atomically(file: Path, content: bytes, *, private: bool = False) -> None:
    """Write the whole file or leave it as it was, whatever happens on the way.

    private: for its owner only, and so is a folder that is made for it.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if private else 0o777)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o600 if private else 0o644)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
