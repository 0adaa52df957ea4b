"""Tables with separators (CSV), as people and platforms write them; and changed cell by cell, so
that every other byte of the file stays what it was.
"""

import codecs
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from grading.course.files import CourseError

_SEPARATORS = ",;\t"
_BOM = "\ufeff"


class _Cell(NamedTuple):
    """A cell's value, and where it stands in the text."""

    value: str
    start: int
    end: int


class Table:
    """A table that was read from a file.

    rows: the values, the header first; in Unicode's composed form (NFC), without blanks around.
    lines: where each row begins in the file, from 1.
    """

    def __init__(self, content: bytes, name: str) -> None:
        """name: of the file, for its faults. Raises CourseError where it is no table."""
        self.name = name
        self._text, self._encoding = _decoded(content, name)
        self._cells, self.lines = self._parsed()
        self.rows = [
            [unicodedata.normalize("NFC", cell.value).strip() for cell in row]
            for row in self._cells
        ]
        self._filled: dict[_Cell, str] = {}

    def column(self, *headings: str) -> int | None:
        """The first column with one of these headings; capitals, blanks and `_` do not matter."""
        found = [heading(cell) for cell in self.rows[0]]
        return next((found.index(one) for one in headings if one in found), None)

    def value(self, row: int, column: int | None) -> str:
        """A cell's value; nothing where the row ends before it, or there is no such column."""
        return self.rows[row][column] if column is not None and column < len(self.rows[row]) else ""

    def fill(self, row: int, column: int, number: str) -> None:
        """Put a number into a cell. Raises CourseError where the row ends before it."""
        if column >= len(self._cells[row]):
            raise CourseError(
                f"{self.name}, line {self.lines[row]}: it has fewer columns than the header: export"
                " the file again."
            )
        self._filled[self._cells[row][column]] = number

    def content(self) -> bytes:
        """The file as it was but for the cells that were filled."""
        pieces, at = list[str](), 0
        for cell, number in sorted(self._filled.items(), key=lambda one: one[0].start):
            pieces += [self._text[at : cell.start], number]
            at = cell.end
        return "".join([*pieces, self._text[at:]]).encode(self._encoding)

    def _parsed(self) -> tuple[list[list[_Cell]], list[int]]:
        text, at = self._text, len(_BOM) if self._text.startswith(_BOM) else 0
        header = re.sub(r'"[^"]*"', "", text[at:]).partition("\n")[0]  # cells have line ends
        separator = max(_SEPARATORS, key=header.count)
        field = re.compile(
            rf'(?:"((?:[^"]|"")*+)"|([^"{separator}\r\n][^{separator}\r\n]*+)?)'
            rf"({separator}|\r\n|\r|\n|\Z)"
        )
        rows, lines, line = [list[_Cell]()], [1], 1
        while True:
            found = field.match(text, at)
            if found is None:
                message = "a quoted cell does not end where the next begins: save it as CSV again."
                raise CourseError(f"{self.name}, line {line}: {message}")
            quoted, plain, end = found.groups()
            value = plain or "" if quoted is None else quoted.replace('""', '"')
            rows[-1].append(_Cell(value, at, found.start(3)))
            line += found[0].count("\n")
            at = found.end()
            if end != separator:
                if at >= len(text):
                    return rows, lines
                rows.append([])
                lines.append(line)


def read(file: Path) -> Table:
    """The table in a file. Raises CourseError."""
    try:
        return Table(file.read_bytes(), file.name)
    except OSError as error:
        raise CourseError(f"{file} cannot be read ({error.strerror}).") from None


def written(rows: Sequence[Sequence[str]]) -> bytes:
    """A table as CSV, in UTF-8 with the mark by which Excel knows it."""
    lines = [",".join(_quoted(harmless(cell)) for cell in row) for row in rows]
    return "".join([_BOM, *(f"{line}\r\n" for line in lines)]).encode()


def heading(text: str) -> str:
    """A column's heading, for comparing."""
    return " ".join(text.replace("_", " ").split()).casefold()


def harmless(text: str) -> str:
    """A text that a spreadsheet would take for a formula begins with a quote instead."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""')) if re.search(r'[",;\r\n]', text) else text


def _decoded(content: bytes, name: str) -> tuple[str, str]:
    """A file's text, with its byte order mark if it has one, and its encoding."""
    if b"\0" in content and not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise CourseError(f"{name} is no table of text: save it as CSV, not as a workbook.")
    for mark, encoding in (
        (codecs.BOM_UTF16_LE, "utf-16-le"),  # what Excel calls Unicode text
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "utf-8"),
        (b"", "cp1252"),  # what Excel calls CSV, in Western Europe
    ):
        try:
            text = content.decode(encoding) if content.startswith(mark) else ""
        except UnicodeDecodeError:
            continue
        strange = [
            one for one in text if not one.isascii() and not one.isalpha() and one not in "’"
        ]
        if text and not (encoding == "cp1252" and strange):
            return text, encoding
    if not content:
        raise CourseError(f"{name} is empty.")
    raise CourseError(f"{name} is not in UTF-8: save it as “CSV UTF-8”.")
