"""Docstrings, which are plain English, as reStructuredText, which Sphinx reads.

`code` stays in its single backticks: `default_role` in conf.py takes care of it.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile

# A line that tells of an argument or a result stands alone.
_ALONE = re.compile(r"[\w*]+(, [\w*]+)*: |Returns |Raises |Yields |- ")
_MARKUP = re.compile(r"[*|\\]|(?<=\w)_(?=\W|$)")


def as_rest(lines: Sequence[str]) -> Iterator[str]:
    """The lines of a docstring, changed so that nothing in them is markup which was not meant."""
    for empty, paragraph in groupby(lines, key=lambda line: not line.strip()):
        if not empty:
            yield from _paragraph([*paragraph])


def _paragraph(lines: list[str]) -> Iterator[str]:
    if lines[0].startswith(" "):  # an example
        yield from ("::", "", *(f"    {line}" for line in lines), "")
        return
    prose = list(takewhile(lambda line: not line.startswith(">>>"), lines))
    for line in _escaped("\n".join(prose)).splitlines():
        if _ALONE.match(line):
            yield ""
        # What an argument's second line is set in by would be a quotation; a list's belongs to it.
        yield line if lines[0].startswith("- ") else line.strip()
    yield from ("", *lines[len(prose) :], "")


def _escaped(text: str) -> str:
    pieces = re.split("(`[^`]*`)", text)
    pieces[::2] = (_MARKUP.sub(r"\\\g<0>", piece) for piece in pieces[::2])
    # In the plural, or so: a word that goes on behind the code.
    return re.sub("`\0(?=\\w)", r"`\\ ", "\0".join(pieces)).replace("\0", "")
