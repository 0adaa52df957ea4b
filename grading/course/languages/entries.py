"""A catalogue's file, read: `locale/<language>/NN_name.po` of a lab, `course.po` of the rest."""

import re
from collections.abc import Mapping
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import PoFileError, read_po, unescape

from grading.course.files import CourseError

COURSE = "course"


def languages(root: Path) -> list[str]:
    """The languages that the course has catalogues in, beside the original."""
    return sorted(path.name for path in (root / "locale").glob("*") if path.is_dir())


def translated(root: Path, lab: str) -> dict[str, Path]:
    """A lab's notebooks in other languages, by language."""
    files = {one: root / "labs" / one / f"{lab}.ipynb" for one in languages(root)}
    return {language: file for language, file in files.items() if file.exists()}


def file_of(root: Path, language: str, name: str) -> Path:
    return root / "locale" / language / f"{name}.po"


def entries(root: Path, language: str, name: str) -> Mapping[str, str]:
    """The translations of a catalogue by their English; of a fuzzy or empty entry, "".

    Raises CourseError where the file cannot be read; where there is none, nothing is translated.
    """
    file = file_of(root, language, name)
    if not file.exists():
        return {}
    found = (one for one in read(file, language) if one.id)
    return {str(one.id): "" if one.fuzzy else str(one.string) for one in found}


def read(file: Path, language: str) -> Catalog:
    """The catalogue in a file. Raises CourseError."""
    try:
        with file.open("rb") as stream:
            catalogue = read_po(stream, locale=language, abort_invalid=True)
    except (OSError, PoFileError, UnicodeDecodeError, ValueError) as error:
        raise CourseError(f"{file} cannot be read as a catalogue ({error}): mend it.") from None
    for message in catalogue:
        _recall_previous(message)
    return catalogue


def _recall_previous(message: Message) -> None:
    """Babel writes the text that a fuzzy entry was made for (`#|`), and reads it as a comment."""
    previous = [one for one in message.user_comments if one.startswith("|")]
    if previous:
        message.user_comments = [one for one in message.user_comments if one not in previous]
        joined = " ".join(one[1:].strip() for one in previous)
        if message.fuzzy:
            message.previous_id = ["".join(map(unescape, re.findall(r'"(?:\\.|[^"\\])*"', joined)))]
