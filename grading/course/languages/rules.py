"""What is wrong with a translation: it has other numbers, code or formulas, another term, no end.

Each fault is a piece of a sentence that follows the entry's place, such as "lacks the number 12".
"""

import re
from collections.abc import Callable, Iterator
from functools import cache

from markdown_it import MarkdownIt

from grading.course.languages.glossary import Glossary, Term
from grading.course.languages.words import PLACE, Words, without_text

_CODE = re.compile(r"``.+?``|`[^`]+`|<code>.*?</code>")
_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$]+\$", re.DOTALL)
_LINK = re.compile(r"https?://[^\s)>\]、。`]+|doi:[^\s,;)、。]+|arXiv:[\d.]*\d|\]\([^)]*\)")
_TAG = re.compile(r"</?[a-zA-Z]+[^<>]*>")
_ESCAPE = re.compile(r"\\[^\s`$]")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NUMBERED = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z_]+\d[A-Za-z0-9_]*")  # conv2d, float32: a name
# Places for an ending or an article of English, which another language may do without.
_ENDINGS = re.compile(r"plural|article")
# Numbers that English has as words, or not at all (months), and a translation may have in digits.
_WORDS_FOR_NUMBERS = {
    "1": r"one|once|first|single|an?|each|every|January|only",
    "2": r"two|twice|second|both|pairs?|double|half|halves|halved|February|either|other",
    "3": r"three|third|March|triple|thrice",
    "4": r"four|fourth|quarters?|April",
    "5": r"five|fifth|May",
    "6": r"six|sixth|June|half a dozen",
    "7": r"seven|seventh|July",
    "8": r"eight|eighth|August",
    "9": r"nine|ninth|September",
    "10": r"ten|tenths?|tens|October",
    "11": r"eleven|eleventh|November",
    "12": r"twelve|twelfth|December|dozen",
    "100": r"hundreds?|hundredth|per cent|percent",
    "1000": r"thousands?|thousandth",
    "0": r"zeros?|none|nothing|no",
}
_MANY = (
    "thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty"
    " seventy eighty ninety hundred thousand million billion trillion"
)


def faults(
    entry: Words, said: str, glossary: Glossary, other_senses: frozenset[str] = frozenset()
) -> Iterator[str]:
    """What is wrong with the translation of an entry.

    other_senses: terms of the glossary that do not mean the usual thing in this entry.
    """
    if said != said.strip() and entry.text == entry.text.strip():
        yield "begins or ends with a space"
    if "\n" in said:
        yield "has a line break: an entry is one line"
    yield from _other_things(entry, said)
    yield from _numbers(entry.text, said)
    if _is_markdown(entry):
        yield from _markup(entry.text, said)
    if entry.kind.startswith(("docstring", "comment")):
        yield from _compared("escape", _ESCAPE.findall, entry.text, said)
        if '"""' in said:
            yield 'has """, which would end the docstring'
    if said != entry.text:  # a title of a book, a name: nothing to say of its language
        yield from _terms(entry.text, said, glossary, other_senses)
        yield from (f"has {why}" for pattern, why in glossary.style if re.search(pattern, said))


def _is_markdown(entry: Words) -> bool:
    return entry.kind in ("heading", "item", "row", "paragraph", "formula")


def _other_things(entry: Words, said: str) -> Iterator[str]:
    """Whatever is no language must be in both."""
    text = entry.text
    yield from _compared("code", _codes, text, said)
    yield from _compared("formula", lambda of: map(without_text, _FORMULA.findall(of)), text, said)
    yield from _compared("link", _LINK.findall, text, said)
    yield from _compared("tag", lambda of: _TAG.findall(_CODE.sub("", of)), text, said)
    if entry.kind == "row" and text.count("|") != said.count("|"):
        yield f"has {said.count('|')} bars | where the row has {text.count('|')}"
    ours, theirs = set(PLACE.findall(text)), set(PLACE.findall(said))
    yield from (
        f"lacks the place {{{one}}}" for one in sorted(ours - theirs) if not _ENDINGS.match(one)
    )
    yield from (f"has a place {{{one}}} that there is not" for one in sorted(theirs - ours))


def _codes(text: str) -> list[str]:
    return [re.sub(r"^(?:`+ ?|<code>)|(?: ?`+|</code>)$", "", one) for one in _CODE.findall(text)]


def _compared(
    name: str, of: Callable[[str], "Iterator[str] | list[str] | map[str]"], text: str, said: str
) -> Iterator[str]:
    ours, theirs = set(of(text)), set(of(said))
    yield from (f"lacks the {name} {one}" for one in sorted(ours - theirs))
    yield from (f"has a {name} that there is not: {one}" for one in sorted(theirs - ours))


def _numbers(text: str, said: str) -> Iterator[str]:
    """Each number of the text is there, and no other but for one that the text has as a word."""
    ours, theirs = _numbers_in(text), _numbers_in(said)
    yield from (f"lacks the number {one}" for one in sorted(ours - theirs))
    if re.search(rf"\b(?:{_MANY.replace(' ', '|')})", text, re.IGNORECASE):
        return  # twenty, fifty-five, two thousand: not read here
    for one in sorted(theirs - ours):
        words = _WORDS_FOR_NUMBERS.get(one)
        if words is None or not re.search(rf"\b(?:{words})\b", text, re.IGNORECASE):
            yield f"has a number that there is not: {one}"


def _numbers_in(text: str) -> set[str]:
    return set(_NUMBER.findall(_NUMBERED.sub("", _bare(text))))


def _bare(text: str) -> str:
    """Text without code, formulas, links, tags and places."""
    for other in (_CODE, _FORMULA, _LINK, _TAG, PLACE):
        text = other.sub(" ", text)
    return text


def _markup(text: str, said: str) -> Iterator[str]:
    """As many words are bold and italic: a ** beside Japanese punctuation may be no sign at all."""
    for name, ours, theirs in zip(("bold", "italic"), _marks(text), _marks(said), strict=True):
        if ours != theirs:
            yield (
                f"is {name} {theirs} times, and the original {ours} times (beside brackets and"
                " punctuation a * may not count: put it next to a letter, or a space before it)"
            )
    if "**" in re.sub(r"`[^`]*`", "", said) and _marks(said)[0] == 0:
        yield "has ** that are no signs"


def _marks(text: str) -> tuple[int, int]:
    tokens = _parser().parseInline(_FORMULA.sub("F", text))[0].children or []
    kinds = [token.type for token in tokens]
    return kinds.count("strong_open"), kinds.count("em_open")


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt()


def _terms(text: str, said: str, glossary: Glossary, other_senses: frozenset[str]) -> Iterator[str]:
    """Each term of the text is called what the glossary calls it; longer terms come first."""
    left = _bare(
        re.sub(r"(?<!\*)\*[^*]+\*(?!\*)", " ", text)
    )  # *titles* of papers stay as they are
    bare = _bare(said)
    for term in glossary.terms:
        left, count = re.subn(term.pattern, " ", left, flags=re.IGNORECASE)
        needed = count and not term.senses and term.english not in other_senses
        if needed and not any(one in bare for one in (*term.said, term.english)):
            yield f"does not call “{term.english}” {' or '.join(term.said)}"
        yield from _avoided(term, bare)


def _avoided(term: Term, said: str) -> Iterator[str]:
    for word in term.avoid:
        if re.search(word, said):
            yield f"has {word}: the term for “{term.english}” is {term.said[0]}"
