"""Whether a check speaks one language alone: what is left in English of what another one says."""

import re
from collections.abc import Iterator
from functools import cache

from grading.answer.exercise import Result
from grading.course.languages.entries import COURSE, entries, languages
from grading.course.languages.speech import speech
from tests.labs import ROOT

# Code and what is quoted, a name for instance; and three words in a row that are English.
_QUOTED = re.compile(r"`[^`]*`|\"[^\"]*\"|'[^']*'|“[^”]*”")
_ENGLISH = re.compile(r"(?<![\w.])(?:[A-Za-z][a-z’-]* ){2,}[A-Za-z][a-z’-]*(?![\w(=])")


@cache
def complete(lab: str) -> list[str]:
    """The languages in which all entries of a lab, and those of the course, are translated."""
    return [
        one
        for one in languages(ROOT)
        if (found := entries(ROOT, one, lab))
        and all({**found, **entries(ROOT, one, COURSE)}.values())
    ]


def english_in(text: str) -> list[str]:
    """Pieces of a sentence in English; a row of names, such as `a b c`, is none."""
    found = _ENGLISH.findall(_QUOTED.sub("`", text))
    return [one for one in found if sum(len(word) > 2 for word in one.split()) > 1]


def partly_english(result: Result, language: str) -> Iterator[str]:
    """What a result says partly in English where a language is spoken, whatever the values.

    What Python itself says of an exception stays as it is.
    """
    say = speech(ROOT, language, result.lab)
    for part in result.parts:
        fault = part.fault
        texts = [part.title]
        if fault is not None:
            own = fault.kind != "exception"
            texts += [fault.message, fault.detail * own, fault.given, fault.diagnosis]
            texts += ["" if fault.diagnosis else fault.guess, fault.expected, fault.got]
        yield from (said for said in map(say, filter(None, texts)) if english_in(said))
