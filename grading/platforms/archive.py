"""What was downloaded of a class's submissions: a zip, or the folder that somebody made of it.

Nothing is unpacked: files are read one by one, and what a path says leads nowhere.
"""

import lzma
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from grading.course.files import CourseError
from grading.marking.submission import MAX_BYTES

MOST_FILES = 50_000
_UTF8, _ENCRYPTED = 0x800, 0x1  # flags of an entry
_LEFT_BEHIND = {"__MACOSX", ".ipynb_checkpoints", ".DS_Store", "Thumbs.db", "desktop.ini"}
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,  # a way of compressing that Python does not know
)


class Refused(Exception):
    """A file that is not read; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A file. path: as it was found; modified: by the clock of the machine that made the zip, to
    two seconds; fault: why it is not to be read, or nothing."""

    path: str
    modified: datetime
    fault: str
    _content: Callable[[], bytes]

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in re.split(r"[/\\]", self.path) if part not in ("", "."))

    @property
    def is_notebook(self) -> bool:
        return self.path.lower().endswith(".ipynb")

    def read(self) -> bytes:
        """Its content. Raises Refused."""
        if self.fault:
            raise Refused(self.fault)
        try:
            return self._content()
        except _BROKEN as error:
            raise Refused(f"it is damaged ({str(error) or type(error).__name__})") from None


@contextmanager
def opened(source: Path) -> Iterator[list[Entry]]:
    """The files in a zip or a folder, but for what systems leave behind. Raises CourseError."""
    if source.is_dir():
        yield _checked(_of_folder(source), source)
        return
    try:
        archive = zipfile.ZipFile(source)
    except OSError as error:
        raise CourseError(f"{source} cannot be read ({error.strerror}).") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CourseError(
            f"{source} is no zip, or is not whole ({error}): download it again."
        ) from None
    with archive:
        yield _checked(_of_zip(archive), source)


def _checked(entries: Iterator[Entry], source: Path) -> list[Entry]:
    found = list[Entry]()
    for one in entries:
        if len(found) == MOST_FILES:
            raise CourseError(f"{source} has more than {MOST_FILES} files: is it the right one?")
        parts = one.parts
        if parts and not _LEFT_BEHIND.intersection(parts) and not parts[-1].startswith("._"):
            found.append(one)
    return sorted(found, key=lambda one: one.path)


def _of_zip(archive: zipfile.ZipFile) -> Iterator[Entry]:
    for info in archive.infolist():
        if not info.is_dir():
            path = _path(info)
            time = _time(info)
            yield Entry(path, time, _fault(info, path), partial(_unpacked, archive, info))


def _path(info: zipfile.ZipInfo) -> str:
    """The name of an entry. Canvas and macOS write UTF-8 without the flag that says so."""
    name = info.orig_filename
    if not info.flag_bits & _UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name)


def _time(info: zipfile.ZipInfo) -> datetime:
    try:
        return datetime(*info.date_time)
    except ValueError:  # a zip may say the 31st of February
        return datetime(1980, 1, 1)


def _fault(info: zipfile.ZipInfo, path: str) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "it is a link"
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if (
        path.startswith(("/", "\\"))
        or re.match("[A-Za-z]:", path)
        or ".." in re.split(r"[/\\]", path)
    ):
        return "its path leads out of the zip"
    return _too_large(info.file_size)


def _too_large(size: int) -> str:
    most = f"{MAX_BYTES / 2**20:.0f} MB"
    return f"it has more than the {most} that are read" if size > MAX_BYTES else ""


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """zipfile gives no more than the size that an entry declares, and finds out if it has more."""
    with archive.open(info) as stream:
        return stream.read(MAX_BYTES + 1)


def _of_folder(folder: Path) -> Iterator[Entry]:
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            about = file.lstat()
            fault = _too_large(about.st_size) if stat.S_ISREG(about.st_mode) else "it is no file"
            path = unicodedata.normalize("NFC", str(file.relative_to(folder)))
            modified = datetime.fromtimestamp(about.st_mtime)
            yield Entry(path, modified, fault, file.read_bytes)
