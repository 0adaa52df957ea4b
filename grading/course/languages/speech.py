"""Messages in another language: they are made in English, with their values, and said translated.

    say = Speech(entries)            # English with {places} -> the same in the other language
    say("`w` is not right yet.")     # fits "`{name}` is not right yet."

A message that no entry fits is said by its sentences, each in the language or else in English.
What stands in a place is a value and stays, unless it is an entry itself ("the result").
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from grading.answer.say import Say, speak
from grading.course.languages.words import PLACE

_SENTENCE = re.compile(r"\S.*?(?:[.?)…](?= [^a-z\s])|$)", re.MULTILINE)
_CLAUSE = re.compile(r"\S.*?(?::(?= [^a-z\s])|$)", re.MULTILINE)
_MORE = re.compile(r"[.?] +[A-Z`]|\n[A-Za-z]")  # a sentence, and another one
_JOINED = re.compile(r"(, |; | and | or )")
_SEVERAL = re.compile(r" = |; ")
FEW = 5  # letters
_HERE = Path(__file__).parents[3]
# A space that stood between an English word and a place, and is between two Japanese words now.
_INNER_SPACE = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")
# `w = [1, 2], rows of X with the scores = […]`: the names that values are shown by.
_GIVEN = re.compile(r"(^For |^|, )([A-Za-z][^=,\[\]]*?)(?= = )")
_VALUES = re.compile(r"[A-Za-z][^=,.\[\]]*? = .*[^.]\Z", re.DOTALL)  # such values, no sentence
_FIRST = re.compile(r"^\{\w+\} ?(?=[(（]?[A-Z\u3000-\u9fff].*[.。][)）]?$)")  # a place, a sentence


def language(root: Path) -> str:
    """The language of this process: LAB_LANG, or else the folder it works in (`my_labs/ja`); the
    name of a folder of `locale/`, or "" for the original."""
    wanted = os.environ.get("LAB_LANG") or _folder()
    return wanted if (root / "locale" / wanted).is_dir() else ""


def _folder() -> str:
    try:
        return Path.cwd().name
    except FileNotFoundError:  # it was deleted under this process
        return ""


def speak_here(root: Path, lab: str = "") -> None:
    """From now on, in the language of this process. lab: whose messages it has, beside the
    course's."""
    speak(speech(root, language(root), lab))


@cache
def speech(root: Path, language: str, lab: str = "") -> Say:
    """What says messages in a language: those of a lab, and those of the course."""
    return Speech(said(root, language, lab)) if language else str


def said(root: Path, language: str, lab: str = "") -> Mapping[str, str]:
    """Translations by their English: of what this installation says, the course and the lab."""
    # Not at the top: where everything is said in English, nothing that reads catalogues is needed.
    from grading.course.languages.entries import COURSE, entries

    found = [entries(one, language, COURSE) for one in dict.fromkeys((_HERE, root))]
    found += [entries(root, language, lab)] if lab else []
    return {text: said for each in found for text, said in each.items()}


@dataclass(frozen=True)
class _Template:
    """A message with places: what stands around them, their names, and the translation.

    One with few letters of its own, such as "{score} of {of}", fits single words alone, and values
    with their names ("For {given}.").
    """

    around: tuple[str, ...]
    names: tuple[str, ...]
    said: str

    @property
    def few(self) -> bool:
        return len(re.findall(r"\w", "".join(self.around))) < FEW

    @property
    def sentence(self) -> bool:
        return any(re.search(r"[.?:](?: |$)", piece) for piece in self.around)

    def values(self, text: str) -> dict[str, str] | None:
        """What stands in the places, if the text fits."""
        first, *between, last = self.around
        end = len(text) - len(last)
        if not (text.startswith(first) and text.endswith(last) and len(first) <= end):
            return None
        at, found = len(first), list[str]()
        for piece in between:
            next_at = text.find(piece, at, end)
            if next_at < 0:
                return None
            found.append(text[at:next_at])
            at = next_at + len(piece)
        found.append(text[at:end])
        if any(_MORE.search(value) for value in found):
            return None  # the next sentence has an entry of its own
        if not self.sentence and any(_SEVERAL.search(one) for one in found):
            return None  # a phrase says one thing, or names one value
        if self.few and any(" " in one.strip() and " = " not in one for one in found):
            return None
        return dict(zip(self.names, found, strict=True))


class Speech:
    """Says messages in a language. entries: translations by their English; "": there is none."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        # Pieces that a check puts together have spaces between them, and some may be left out.
        rest = {_FIRST.sub("", text): _FIRST.sub("", said) for text, said in entries.items()}
        entries = {**{text.strip(): said.strip() for text, said in rest.items()}, **entries}
        self._entries = entries
        templates = [
            _Template(tuple(PLACE.split(text)[::2]), tuple(PLACE.findall(text)), said)
            for text, said in entries.items()
            if PLACE.search(text)
        ]
        # What says more comes first: "{what} is wrong" would fit most of what goes on so.
        self._templates = sorted(templates, key=lambda one: -sum(map(len, one.around)))

    def __call__(self, text: str) -> str:
        if _VALUES.match(text) and text not in self._entries:
            return _INNER_SPACE.sub("", self._named(text))
        said = self._whole(text)
        if said is None:
            said = _INNER_SPACE.sub("", self._named("".join(self._by_sentence(text))))
        return said

    def _by_sentence(self, text: str) -> Iterator[str]:
        """The text in pieces: as many sentences at once as one entry has."""
        sentences, at = [found.span() for found in _SENTENCE.finditer(text)], 0
        while sentences:
            start = sentences[0][0]
            yield text[at:start]
            runs = ((end, self._whole(text[start:end])) for _, end in reversed(sentences))
            at, said = next((run for run in runs if run[1] is not None), (sentences[0][1], None))
            yield said or self._by_clause(text[start:at])
            sentences = [one for one in sentences if one[0] >= at]
        yield text[at:]

    def _by_clause(self, text: str) -> str:
        return _CLAUSE.sub(lambda found: self._whole(found[0]) or found[0], text)

    def _whole(self, text: str, few: bool = True) -> str | None:
        """The text by one entry; None where there is none. few: also by those of few letters."""
        if text in self._entries:
            return self._entries[text] or None
        for template in (one for one in self._templates if few or not one.few):
            values = template.values(text)
            if values is not None:
                return self._filled(template, values) if template.said else None
        return None

    def _filled(self, template: _Template, values: Mapping[str, str]) -> str:
        filled = PLACE.sub(lambda place: self._value(values[place[1]]), template.said)
        return _INNER_SPACE.sub("", filled)

    def _value(self, text: str) -> str:
        """What stands in a place: a phrase, some names, values with their names, or a value."""
        whole = self._whole(text) or self._whole(text[:1].lower() + text[1:])
        if whole is not None:
            return whole
        pieces = _JOINED.split(text)
        if len(pieces) > 1 and not _GIVEN.search(text):
            return "".join(self._whole(piece) or piece for piece in pieces)
        return self._named(text)

    def _named(self, text: str) -> str:
        """Values, with those of their names that are phrases ("the bound = 3") translated."""
        return _GIVEN.sub(lambda name: name[1] + self._name(name[2]), text)

    def _name(self, text: str) -> str:
        """A phrase, by its entry; a single word by one of its own, as it may be a name in code."""
        return (self._whole(text, few=False) if " " in text else self._entries.get(text)) or text
