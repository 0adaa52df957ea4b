"""What a student wrote, made harmless for the browser of the person who looks at it.

nbgrader's formgrader and feedback pages put a notebook's Markdown into the page as HTML. So an
answer keeps its Markdown and formulas and loses its HTML; of attachments pictures are kept
(`marking.pictures`), and outputs are plain text and pictures only (`marking.session`).
"""

import re

from nbconvert.filters.markdown_mistune import (
    InvalidNotebook,
    IPythonRenderer,
    MarkdownWithMath,
)

LONGEST = 50_000  # characters of a cell that are rendered
LONGEST_LINE = 1_000  # highlighting takes time by the square of a line's blanks
# The language of a fenced block chooses a lexer, of which some take time without end.
_FENCE = re.compile(r"^([ \t>*+\-\d.)]*(?:`{3,}|~{3,}))[^`\n]*$", re.MULTILINE)


def markdown(source: str, pictures: dict[str, dict[str, str]]) -> str:
    """Markdown that is harmless when nbconvert renders it; what would not be is shown as it is.

    pictures: the cell's `attachments`.
    """
    source = _FENCE.sub(r"\1", source)
    escaped = source.replace("&", "&amp;").replace("<", "&lt;")
    for safe in (source, escaped) if len(source) <= LONGEST else ():
        try:
            MarkdownWithMath(renderer=_Strict(pictures)).render(safe)
        except (InvalidNotebook, RecursionError):
            continue
        return safe
    return verbatim(source)


class _Strict(IPythonRenderer):
    """nbconvert's renderer, but for what it passes into the page as it is: that is refused."""

    def __init__(self, pictures: dict[str, dict[str, str]]) -> None:
        super().__init__(escape=True, allow_harmful_protocols=False, attachments=pictures)

    def block_code(self, code: str, info: str | None = None) -> str:
        if info:
            raise InvalidNotebook("a language, whose lexer may take time without end")
        return ""

    def block_html(self, html: str) -> str:
        raise InvalidNotebook("HTML")

    inline_html = block_html

    def block_mermaidjs(self, code: str) -> str:
        raise InvalidNotebook("a diagram, whose text nbconvert does not escape")

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if self.sanitize_url(url) != url:
            raise InvalidNotebook("a link that may run a script")
        return super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if not url.startswith("attachment:"):
            raise InvalidNotebook("a picture from elsewhere, which would tell who looks at it")
        return super().image(text, url, title)


def verbatim(source: str) -> str:
    """Markdown that shows the text as it is."""
    return "\n".join(f"    {line}" for line in code(source).split("\n"))


def code(source: str) -> str:
    """Code as a page shows it: what is longer than anybody reads is cut, and said to be."""
    lines = [
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} … ({len(line):,} characters)"
        for line in source[:LONGEST].split("\n")
    ]
    if len(source) > LONGEST:
        lines.append(f"# … the cell has {len(source):,} characters; the notebook has them all")
    return "\n".join(lines)
