"""`locale/<language>/glossary.yml`: one term for each thing, and how the language is written."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grading.course.files import CourseError
from utils.spec import Section, SpecError, read


@dataclass(frozen=True)
class Term:
    """An English term and what it is called.

    said: the term, and after it other words that may stand for it; avoid: those that may not;
    senses: whether the English word also means something else, so that it need not be this.
    """

    english: str
    said: tuple[str, ...]
    avoid: tuple[str, ...]
    senses: bool

    @property
    def pattern(self) -> str:
        """Where it stands in an English text: one or several, in small or capital letters."""
        word = re.sub(r"\\[ -]", r"[\\s-]", re.escape(self.english))
        several = f"{word[:-1]}(?:y|ies)" if word.endswith("y") else f"{word}(?:s|es)?"
        return rf"(?<![\w.-]){several}(?!\w|[-.(]\w)"


@dataclass(frozen=True)
class Glossary:
    """terms: the longest first; style: a pattern that may stand in no translation, and why."""

    terms: tuple[Term, ...]
    style: tuple[tuple[str, str], ...]


def glossary(file: Path) -> Glossary:
    """The glossary of a language; an empty one where there is no file. Raises CourseError."""
    return _read(file, file.stat().st_mtime_ns) if file.exists() else Glossary((), ())


@cache
def _read(file: Path, changed: int) -> Glossary:
    """`changed` makes a file that was changed be read again."""
    try:
        content = read(file)
        terms = [_term(one) for one in content["terms"]]
        style = [(one["pattern"], one["why"]) for one in content["style"]]
    except SpecError as error:
        raise CourseError(str(error)) from None
    except (KeyError, TypeError) as error:
        raise CourseError(f"{file}: it lacks {error}, or has something else there.") from None
    return Glossary(tuple(sorted(terms, key=lambda term: -len(term.english))), tuple(style))


def _term(entry: Section) -> Term:
    unknown = set(entry) - {"en", "term", "also", "avoid", "senses", "source", "note"}
    if unknown:
        raise entry.error(sorted(unknown)[0], "there is no such key here.")
    said = (entry["term"], *entry.get("also", ()))
    return Term(entry["en"], said, tuple(entry.get("avoid", ())), entry.get("senses", False))
