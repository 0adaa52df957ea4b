"""Text in a fixed-width font, where a Chinese or Japanese sign is two columns wide."""

import re
from unicodedata import east_asian_width

WIDTH = 100  # columns of a lab's code, and of what is printed
# What stays together on a line: a run of Latin, or one other sign with the brackets and the
# punctuation that may neither end nor begin a line.
_UNIT = re.compile(
    r"\s+|[「『（【]*(?:`[^`]*`|[^\s\u3000-\u9fff\uff00-\uffef]+|[^\s])[」』）】、。，．：；！？ー々]*"
)


def columns(text: str) -> int:
    """How many columns wide text is."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def padded(text: str, width: int) -> str:
    """Text with blanks behind it, up to so many columns."""
    return text + " " * (width - columns(text))


def wrapped(text: str, column: int = 0, margin: str = "") -> str:
    """Text in lines of `WIDTH`; Japanese breaks between any two signs, but for punctuation.

    column: where the first line begins; margin: what each further line begins with.
    """
    lines, line, used = [], "", column
    for unit in _UNIT.findall(text):
        if line.strip() and not unit.isspace() and used + columns(unit) > WIDTH:
            lines.append(line.rstrip())
            line, used = "", len(margin)
        if unit.isspace() and not line and lines:
            continue
        line, used = line + unit, used + columns(unit)
    return f"\n{margin}".join([*lines, line])
