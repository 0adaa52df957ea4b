"""The words of a lab, piece by piece, and their translations in the same places.

Words are its Markdown, by paragraph, heading, list item and row of a table, and in its code the
docstrings and comments that the learner is given. A piece is one line in the catalogue, however
the source is wrapped. Code, and formulas without words, are left as they are.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from grading.answer.say import Say
from grading.answer.width import wrapped
from grading.course.languages.words import Words, has_words
from grading.course.source import BEGIN, END

_SOLID = re.compile(
    rf"^ *```.*?^ *```[ ]*$|^[^\n]*{BEGIN}.*?{END}[^\n]*$|<pre>.*?</pre>|</?(?:details|summary)>",
    re.MULTILINE | re.DOTALL,
)
_FORMULA = re.compile(r"^ *\$\$.*?\$\$[.,;:]?[ ]*$", re.MULTILINE | re.DOTALL)
_STARTS = (
    ("heading", re.compile(r"#{1,6} +")),
    ("item", re.compile(r" *(?:[-*]|\d{1,2}\.) +")),
    ("row", re.compile(r"(?=\|)")),
    ("paragraph", re.compile(r" *")),
)
# Comments for tools, the marks of a solution and what release puts in its place.
_NOT_PROSE = re.compile(r"###|#\s*(?:noqa|type:|pyright:|fmt:|ruff:|your (?:code|answer) here)")
_TOOLS = re.compile(r"\s+#\s*(?:noqa|type:|pyright:|fmt:|ruff:).*$")


@dataclass(frozen=True)
class _Piece(Words):
    """Words in their place.

    original: as the source has them; column, margin: of the first line, and what each further line
    begins with, where a translation is wrapped; no margin: it is one line.
    """

    original: str
    column: int = 0
    margin: str | None = None


def words(notebook: NotebookNode) -> Iterator[Words]:
    """What there is to translate in a lab, in its order. notebook: from its source."""
    for cell in notebook.cells:
        yield from (piece for piece in _pieces(cell) if isinstance(piece, _Piece))


def translate(notebook: NotebookNode, say: Say) -> None:
    """Put the translations into a lab. say: gives a text back as it is where there is none."""
    for cell in notebook.cells:
        cell.source = "".join(
            piece if isinstance(piece, str) else _put(piece, say(piece.text))
            for piece in _pieces(cell)
        )


def _put(piece: _Piece, said: str) -> str:
    if said == piece.text:
        return piece.original
    return said if piece.margin is None else wrapped(said, piece.column, piece.margin)


def _pieces(cell: NotebookNode) -> Iterator[str | _Piece]:
    if cell.cell_type == "markdown":
        return _markdown(cell.source)
    return _code(cell.source) if cell.cell_type == "code" else iter([cell.source])


def _markdown(source: str) -> Iterator[str | _Piece]:
    at = 0
    for solid in _SOLID.finditer(source):
        yield from _formulas(source[at : solid.start()])
        yield solid[0]
        at = solid.end()
    yield from _formulas(source[at:])


def _formulas(source: str) -> Iterator[str | _Piece]:
    at = 0
    for formula in _FORMULA.finditer(source):
        yield from _blocks(source[at : formula.start()])
        yield _piece(formula[0], "formula")
        at = formula.end()
    yield from _blocks(source[at:])


def _blocks(source: str) -> Iterator[str | _Piece]:
    """Paragraphs, headings, items and rows, and what stands between them."""
    kind, text = "", ""
    for line in source.splitlines(keepends=True):
        starts, start = _start(line)
        if text and (starts != "paragraph" or kind in ("heading", "row") or not line.strip()):
            yield from _trimmed(text, kind)
            kind, text = "", ""
        if not line.strip():
            yield line
        elif text:
            text += line
        else:
            kind, text = starts, line[len(start) :]
            yield start
    if text:
        yield from _trimmed(text, kind)


def _start(line: str) -> tuple[str, str]:
    """How a line begins: as what, and with which signs."""
    return next((kind, found[0]) for kind, sign in _STARTS if (found := sign.match(line)))


def _trimmed(text: str, kind: str) -> Iterator[str | _Piece]:
    """A piece, and apart from it the spaces behind it."""
    bare = text.rstrip()
    yield _piece(bare, kind)
    yield text[len(bare) :]


def _piece(original: str, kind: str, column: int = 0, margin: str | None = None) -> str | _Piece:
    if not has_words(original):
        return original
    return _Piece(_one_line(original), kind, original, column, margin)


def _one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip())


def _code(source: str) -> Iterator[str | _Piece]:
    """A code cell: docstrings and comments, outside solutions, and the code between them."""
    lines = source.splitlines(keepends=True)
    hidden = _hidden(lines)
    docstrings = _docstrings(source)
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.start[0] not in hidden and not _NOT_PROSE.match(token.string)
    ]
    at = (1, 0)
    for token in _merged(tokens):
        start, column = token.start, token.start[1]
        if token.type == tokenize.STRING and start[0] in docstrings:
            yield _between(lines, at, start)
            yield from _docstring(token.string, docstrings.pop(start[0]), column)
        elif token.type == tokenize.COMMENT:
            yield _between(lines, at, start)
            yield from _comment(token.string, column, own_line=not token.line[:column].strip())
        else:
            continue
        at = token.end
    yield _between(lines, at, (len(lines) + 1, 0))


def _hidden(lines: list[str]) -> set[int]:
    """The numbers of the lines that the learner is not given."""
    hidden, inside = set[int](), False
    for number, line in enumerate(lines, 1):
        inside = inside or BEGIN in line
        if inside:
            hidden.add(number)
        inside = inside and END not in line
    return hidden


def _docstrings(source: str) -> dict[int, str]:
    """The line of each docstring, and whose it is."""
    return {
        node.body[0].lineno: node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and ast.get_docstring(node) is not None
    }


def _merged(tokens: list[tokenize.TokenInfo]) -> Iterator[tokenize.TokenInfo]:
    """The tokens, comments that follow one another on lines of their own as one."""
    waiting: tokenize.TokenInfo | None = None
    for token in tokens:
        if token.type == tokenize.NL and waiting is not None:
            continue
        own_line = token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
        below = (waiting.end[0] + 1, waiting.start[1]) if waiting is not None else None
        if waiting is not None and own_line and token.start == below:
            text = f"{waiting.string}\n{token.line[: token.start[1]]}{token.string}"
            waiting = waiting._replace(string=text, end=token.end)
            continue
        if waiting is not None:
            yield waiting
        waiting = token if own_line else None
        if not own_line:
            yield token
    if waiting is not None:
        yield waiting


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The source from one place to another: lines from 1, columns from 0."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    first = lines[start[0] - 1][start[1] :] if start[0] <= len(lines) else ""
    last = lines[end[0] - 1][: end[1]] if end[0] <= len(lines) else ""
    return "".join([first, *lines[start[0] : end[0] - 1], last])


def _comment(text: str, column: int, own_line: bool) -> Iterator[str | _Piece]:
    sign = re.match(r"#\s*", text)
    assert sign is not None
    tools = _TOOLS.search(text)
    inside = text[sign.end() : tools.start() if tools else len(text)]
    margin = " " * column + "# " if own_line else None
    yield sign[0]
    piece = _piece(inside, "comment", column + 2, margin)
    yield piece if isinstance(piece, str) else _without_signs(piece)
    yield tools[0] if tools else ""


def _without_signs(comment: _Piece) -> _Piece:
    """A comment of several lines without the signs at their beginnings."""
    text = re.sub(r"\s*\n\s*#\s*", " ", comment.original)
    return _Piece(text, comment.kind, comment.original, comment.column, comment.margin)


def _docstring(token: str, of: str, column: int) -> Iterator[str | _Piece]:
    """The paragraphs of a docstring, without its examples; a line that ends a sentence ends one."""
    quotes = re.match(r"[rR]?(\"\"\"|'''|\"|')", token)
    assert quotes is not None
    text = token[quotes.end() : -len(quotes[1])]
    yield quotes[0]
    kind, paragraph, example = f"docstring of `{of}`", "", False
    first = column + len(quotes[0])
    for line in text.splitlines(keepends=True):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if paragraph and (example or not line.strip() or paragraph.rstrip().endswith(".")):
            yield from _wrapped_piece(paragraph, kind, first, column)
            paragraph = ""
        if paragraph:
            paragraph += line
        elif example or not line.strip():
            yield line
        else:
            margin = line[: len(line) - len(line.lstrip())]
            yield margin
            first = len(margin) or first
            paragraph = line[len(margin) :]
    if paragraph:
        yield from _wrapped_piece(paragraph, kind, first, column)
    yield quotes[1]


def _wrapped_piece(text: str, kind: str, column: int, margin: int) -> Iterator[str | _Piece]:
    """A paragraph whose further lines keep the margin of its second, if it has one."""
    bare = text.rstrip()
    further = re.search(r"\n( *)", bare)
    yield _piece(bare, kind, column, further[1] if further else " " * margin)
    yield text[len(bare) :]
