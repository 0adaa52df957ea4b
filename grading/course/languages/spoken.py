"""What checks and commands say, found in their source: the entries of a catalogue for it.

Nothing marks a message in a check: it is told by its form. A sentence is one, the title of a part,
and a phrase that goes into a sentence ("the gradient in {name}"). A field of an f-string becomes a
place, `{name}`, called after what stands in it. What is passed to `say` is a message whatever its
form. Names of mistakes, pieces of other people's errors, and code are none.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, nodes

from grading.course.languages.words import Words, has_words

_TWO_WORDS = re.compile(r"[A-Za-z’']+[,;:]? (?:[A-Za-z(“`{±−×·]|\d)")
_PROSE = re.compile(r"(?:[^\W\d]+|[}`])[,;:]? [a-z]{2,}(?![\w(\[=]|\.\w)")
_SENTENCE = re.compile(r"[.?:…}][)”\"']*$")
_PHRASE = re.compile(r"(?:the|a|an|item|your|what|before a|after a) \S")
_AUTHORS_ERRORS = {"ValueError", "RuntimeError", "TypeError", "LookupError", "AssertionError"}
# By the function called, which of its arguments are said; -1: none of them.
_SAID = {
    "part": 0,
    "say": 0,
    "Known": 3,
    **dict.fromkeys(("Mistake", "compile", "search", "match", "execute", "executemany"), -1),
}
_SAID_BY_KEYWORD = {"what", "message", "diagnosis", "given", "detail"}


def words(file: Path, by_form: bool = True) -> Iterator[Words]:
    """What there is to translate in a module. by_form: also what `say` is not given."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if not by_form:
        calls = (one for one in ast.walk(tree) if isinstance(one, ast.Call))
        found = (text for call in calls if _called(call) == "say" for text in _of_call(call, _SAID))
        yield from (Words(text, f"said in {file.name}") for text in found if has_words(text))
        return
    said = {**_SAID, **_makers(tree)}
    for statement in _without_docstring(tree):
        name = getattr(statement, "name", "")
        kind = f"said in `{name}`" if name else "said"
        texts = (one for one in _texts(statement, said) if has_words(one) or _PHRASE.match(one))
        yield from (Words(text, kind) for text in texts)


def words_of_page(template: Path) -> Iterator[Words]:
    """What a template of Jinja passes to `say`."""
    tree = Environment().parse(template.read_text(encoding="utf-8"))
    for call in tree.find_all(nodes.Call):
        if getattr(call.node, "name", "") == "say" and isinstance(call.args[0], nodes.Const):
            yield Words(call.args[0].value, f"said in {template.name}")


def _makers(tree: ast.Module) -> dict[str, int]:
    """The names that `variants` gives to the makers of a table's rows, as `_SAID` has them."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            target, maker = node.targets[0], node.value.func
            if getattr(maker, "id", "") == "variants" and isinstance(target, ast.Tuple):
                known, other = (getattr(one, "id", "") for one in target.elts)
                found |= {known: 2, other: -1}
    return found


def _texts(node: ast.AST, said: dict[str, int]) -> Iterator[str]:
    if _is_text(node):
        text = _template(node, {})
        if _is_message(text.strip()):
            yield _alone(text)
        yield from _in_fields(node, said)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, said)
    elif isinstance(node, ast.IfExp):
        yield from _choices(node)
        yield from _all((node.body, node.orelse), said)
    elif isinstance(node, ast.Dict):
        for key in (one for one in node.keys if one is not None):
            yield from _phrase(key) if _is_text(key) else _texts(key, said)
        yield from _all(node.values, said)
    elif isinstance(node, ast.Raise) and _called(node.exc) in _AUTHORS_ERRORS:
        return
    elif not isinstance(node, ast.Compare | ast.Subscript):
        yield from _all(_without_docstring(node), said)


def _all(nodes: Sequence[ast.AST], said: dict[str, int]) -> Iterator[str]:
    for node in nodes:
        yield from _texts(node, said)


def _of_call(node: ast.Call, said: dict[str, int]) -> Iterator[str]:
    place = said.get(_called(node))
    if place is None:
        yield from _all([node.func, *node.args], said)
    elif 0 <= place < len(node.args):
        if _called(node) in ("say", "part") and _is_text(node.args[place]):
            yield _template(node.args[place], {})
        else:
            yield from _phrase(node.args[place])
        if not _is_text(node.args[place]):
            yield from _texts(node.args[place], said)
        yield from _in_fields(node.args[place], said)
    for keyword in node.keywords:
        phrase = list(_phrase(keyword.value)) if keyword.arg in _SAID_BY_KEYWORD else []
        yield from phrase
        if phrase:
            yield from _in_fields(keyword.value, said)
        elif place is None:
            yield from _texts(keyword.value, said)


def _called(node: ast.AST | None) -> str:
    """The name of what is called."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def _phrase(node: ast.AST) -> Iterator[str]:
    """The text of a node in whose place all text is said."""
    if _is_text(node):
        text = _template(node, {})
        if _TWO_WORDS.search(text) and not _is_code(text):
            yield text


def _choices(node: ast.IfExp) -> Iterator[str]:
    """What is chosen between, where one of the two is a phrase."""
    texts = [_template(one, {}) for one in (node.body, node.orelse) if _is_text(one)]
    if any(_TWO_WORDS.search(text) for text in texts):
        yield from (_alone(text) for text in texts if "\n" not in text and text[:1] != "<")


def _in_fields(node: ast.AST, said: dict[str, int]) -> Iterator[str]:
    """What stands in the fields of a text: of choices, single words as well."""
    inside = list(ast.walk(node))
    fields = [one.value for one in inside if isinstance(one, ast.FormattedValue)]
    sums = [one for one in inside if isinstance(one, ast.BinOp) and _is_text(one)]
    fields += [one for each in sums for one in (each.left, each.right) if not _is_text(one)]
    for field in fields:
        if isinstance(field, ast.IfExp):
            for branch in (field.body, field.orelse):
                text = _template(branch, {}) if _is_text(branch) else ""
                if re.fullmatch(r"[a-z]{3,}", text):
                    yield text
        yield from _texts(field, said)


def _is_message(text: str) -> bool:
    if not _TWO_WORDS.search(text) or _is_code(text):
        return False
    return is_sentence(text) or _PHRASE.match(text) is not None


def _alone(text: str) -> str:
    """A sentence without the space that was between it and the one before."""
    return text.strip() if text.rstrip().endswith((".", "?", ":", "…")) else text


def is_sentence(text: str) -> bool:
    """Whether a message is more than a title or a phrase."""
    return _SENTENCE.search(text) is not None and _PROSE.search(text) is not None


def _is_code(text: str) -> bool:
    """Whether it is something else than a message: a program, a piece of one, of HTML."""
    if "\n" in text or text.startswith("<"):
        return True
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and (_is_text(node.left) or _is_text(node.right))
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _template(node: ast.AST, names: dict[str, str]) -> str:
    """Text with places for what differs. names: by their source, those given so far."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(value, names) for value in node.values)
    if isinstance(node, ast.BinOp) and _is_text(node):
        return _template(node.left, names) + _template(node.right, names)
    field = node.value if isinstance(node, ast.FormattedValue) else node
    source = ast.unparse(field)
    if source not in names:
        name = _name(field, source)
        taken = sum(re.fullmatch(rf"{name}(_\d+)?", one) is not None for one in names.values())
        names[source] = f"{name}_{taken + 1}" if taken else name
    return f"{{{names[source]}}}"


def _name(field: ast.AST, source: str) -> str:
    """What to call a place: the last name in it that is not called."""
    if isinstance(field, ast.BinOp) and isinstance(field.op, ast.Mult) and "'" in source:
        return "plural"
    if isinstance(field, ast.IfExp):
        return "article" if "'an'" in source else "choice"
    found = re.findall(r"\b[a-z]\w*\b(?!\()", re.sub(r"'[^']*'|__\w+__", "", source).lower())
    return next((one for one in reversed(found) if one not in _WORDS_OF_PYTHON), "value")


_WORDS_OF_PYTHON = {"if", "else", "for", "in", "not", "and", "or", "is", "none", "map", "str"}


def _without_docstring(node: ast.AST) -> list[ast.AST]:
    """What a node consists of, but for its docstring and its decorators."""
    inside = list(ast.iter_child_nodes(node))
    if (
        isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and ast.get_docstring(node) is not None
    ):
        inside.remove(node.body[0])
    if isinstance(node, ast.FunctionDef):
        inside = [one for one in inside if one not in node.decorator_list]
    return inside
