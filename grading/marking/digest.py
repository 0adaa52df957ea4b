"""What a lab's marks depend on, digested: a change to one of these files regrades its labs alone.

It is the lab's checks, every module of this course that they import, directly or not, all that
stands on the student's side (`grading/answer`), and the search for library calls. Found in the
text; nothing is imported.
"""

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OURS = ("grading.answer", "grading.checks", "utils")
_TYPES = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+[^\n]*\n|\n)+", re.MULTILINE)  # never run
_FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n]+)", re.MULTILINE)


def checks_digest(checks: str, lab: str) -> str:
    """SHA-256 of what judges a lab. checks: the folder with its checks."""
    digest = hashlib.sha256()
    for file in judged_by(Path(checks, f"{lab}.py")):
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def judged_by(check: Path) -> list[Path]:
    """The files that decide a lab's marks, its check's file first."""
    grading = ROOT / "grading"
    always = [*sorted((grading / "answer").glob("*.py")), grading / "checks" / "calls.py"]
    found = dict.fromkeys([check, *always])
    waiting = list(found)
    while waiting:
        file = waiting.pop()
        for name in _imported(file, file.stat().st_mtime_ns):
            for other in _files(name):
                if other not in found:
                    found[other] = None
                    waiting.append(other)
    return list(found)


@lru_cache(maxsize=1024)
def _imported(file: Path, changed: int) -> tuple[str, ...]:
    """The dotted names that a file imports. `changed` makes a file that was changed be read again.

    Not parsed: in Python 3.11 parsers that meet in one process disturb each other.
    """
    text = _TYPES.sub("", file.read_text(encoding="utf-8"))
    names = []
    for module, listed in _FROM.findall(text):
        names += [f"{module}.{name}" for name in re.findall(r"\w+", listed.partition("#")[0])]
    for listed in _IMPORT.findall(text):
        names += re.findall(r"[\w.]+", listed.partition("#")[0])
    return tuple(names)


def _files(name: str) -> Iterator[Path]:
    """The files of a dotted name: of each package on the way, and of the module itself."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        dotted = ".".join(parts[:count])
        if any(dotted == ours or dotted.startswith(f"{ours}.") for ours in _OURS):
            place = ROOT.joinpath(*parts[:count])
            yield from (f for f in (place / "__init__.py", place.with_suffix(".py")) if f.exists())
