"""The pages beside the labs, as MyST Markdown: start page, guides, reference.

The guides are the repository's own files, at the same places, so that their links hold; README's
parts become a page for each reader. In another language a guide is docs/<language>/ that file, and
README.<language>.md; where there is none, the page is the original, and says `lang: en`.
"""

import importlib
import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grading.answer import exercise, render
from grading.answer.say import say, speaking
from grading.check import Notebook
from grading.course.files import CourseError
from grading.course.languages.speech import speech
from grading.course.outline import Outline
from grading.course.site.labs import Page

SPHINX = Path(__file__).parent / "sphinx"
GUIDES = (
    "docs/workshop.md",
    "docs/kubernetes.md",
    "docs/grading.md",
    "docs/results.md",
    "docs/sandbox.md",
)
CONTRIBUTORS = ("CONTRIBUTING.md", "docs/lab_style.md")

# A page of the site, and README's parts that are on it; its title is the last one's.
_READERS = {
    "learners": ("Start", "For learners"),
    "instructors": ("For instructors",),
    "graders": ("For those who grade",),
}
_ANSWERED = ("01_perceptron", "perceptron_update", "no label")
_LINK = re.compile(r"(?<=\]\()(?![\w+]+:|#)[^)\s#]+")
_PLACE_IN_A_PAGE = re.compile(r"(?<=\.md)#[^)\s]*")
_ORIGINAL = "---\nlang: en\n---\n\n"


def pages(
    root: Path, course: Outline, labs: Sequence[Page], address: str | None, language: str = ""
) -> dict[str, str | bytes]:
    """The source's files by path, but for the labs', in the language that is spoken.

    address: of the public repository, if any. language: its name; "" for the original.
    """
    found: dict[str, str | bytes] = {}
    for file in sorted((root / "docs").glob("*.md")):
        found[f"docs/{file.name}"] = _guide(root, f"docs/{file.name}", language)
    for image in sorted((root / "docs" / "images").glob("*")):
        found[f"docs/images/{image.name}"] = image.read_bytes()
    found["CONTRIBUTING.md"] = _guide(root, "CONTRIBUTING.md", language)
    found |= _for_readers(root, language)
    found |= {name: _marked(text, language) for name, text in _reference(root)}
    measurements = [name for name in found if name.startswith("docs/") and name.endswith(".md")]
    found["index.md"] = _start(
        root,
        course,
        labs,
        address,
        language,
        guides=[*_READERS, *map(_name, GUIDES)],
        contributors=[_name(one) for one in CONTRIBUTORS],
        reference=[_name(name) for name in found if name.startswith("reference/")],
        measurements=[_name(m) for m in measurements if m not in (*GUIDES, *CONTRIBUTORS)],
    )
    return found


def _name(file: str) -> str:
    return file.removesuffix(".md")


def _guide(root: Path, file: str, language: str) -> str:
    """A guide in a language. Where it is not translated, the original, whose links lead to the
    beginnings of other guides: these may have other headings."""
    translated = _translation(root, file, language)
    if translated is not None:
        return translated
    original = (root / file).read_text(encoding="utf-8")
    return _marked(_PLACE_IN_A_PAGE.sub("", original) if language else original, language)


def _marked(text: str, language: str) -> str:
    """A page that is not translated; among those that are, it says so."""
    return f"{_ORIGINAL}{text}" if language else text


def _translation(root: Path, file: str, language: str) -> str | None:
    """The text of docs/ja/grading.md or README.ja.md, its links as from the original's place."""
    folder, name = posixpath.split(file)
    path = f"{folder}/{language}/{name}" if folder else f"{_name(name)}.{language}.md"
    if not language or not (root / path).exists():
        return None

    def original(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link[0]))
        target = target.replace(f"/{language}/", "/").replace(f".{language}.md", ".md")
        return posixpath.relpath(target, folder or ".")

    return _LINK.sub(original, (root / path).read_text(encoding="utf-8"))


def _for_readers(root: Path, language: str) -> Iterator[tuple[str, str]]:
    readme = (root / "README.md").read_text(encoding="utf-8")
    translated = _translation(root, "README.md", language)
    titles = [title for title, _ in _parts(readme)]
    parts = _parts(readme if translated is None else translated)
    if len(parts) != len(titles):
        raise CourseError(
            f"README.{language}.md has {len(parts)} parts `## …`, and README.md {len(titles)}:"
            " the site takes them for the same, one by one."
        )
    for name, wanted in _READERS.items():
        if missing := [one for one in wanted if one not in titles]:
            raise CourseError(f"README.md has no part `## {missing[0]}`, which the site shows.")
        *before, (title, own) = [parts[titles.index(one)] for one in wanted]
        body = "".join(f"## {other}\n{text}" for other, text in before)
        page = f"# {title}\n\n{body}{own}"
        yield f"{name}.md", page if translated is not None else _marked(page, language)


def _parts(readme: str) -> list[tuple[str, str]]:
    """The title and the text of each."""
    _, *parts = re.split(r"^## (.+)\n", readme, flags=re.MULTILINE)
    return list(zip(parts[::2], parts[1::2], strict=True))


def _reference(root: Path) -> Iterator[tuple[str, str]]:
    """A page for each room of `utils`, one for what stands beside the rooms, and the checks' door.

    `utils.figures`, of which each module draws for one lab, is left out.
    """
    rooms, hidden = dict[str, list[str]](), set[str]()
    for file in sorted((root / "utils").rglob("*.py")):
        room = ".".join(file.relative_to(root).parent.parts)
        if file.stem.startswith("_") and file.stem != "__init__":
            hidden.add(room)
        elif room != "utils.figures":
            own = room if file.stem == "__init__" else f"{room}.{file.stem}"
            rooms.setdefault(room, []).append(own)
    rooms["grading.check"] = ["grading.check"]
    for room, modules in rooms.items():
        yield f"reference/{room}.md", _described(room, modules, room in hidden)


_AUTOMODULE = """\
```{{eval-rst}}
.. automodule:: {}
   :members:
{}```"""
_ITS_OWN = "   :ignore-module-all:\n"  # and not what it offers from modules that are shown, too


def _described(room: str, modules: Sequence[str], hidden: bool) -> str:
    """hidden: whether the room offers names from modules that are not shown."""
    blocks = [f"# {room}"]
    for module in sorted(modules, key=lambda name: (name != room, name)):
        blocks += [] if module == room else [f"## {module}"]
        blocks.append(_AUTOMODULE.format(module, "" if hidden else _ITS_OWN))
    return "\n\n".join(blocks) + "\n"


def _start(
    root: Path,
    course: Outline,
    labs: Sequence[Page],
    address: str | None,
    language: str,
    **listed: Sequence[str],
) -> str:
    there = {page.lab.name: page for page in labs}
    environment = Environment(
        loader=FileSystemLoader(SPHINX),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("start.md.j2").render(
        say=say,
        course=course,
        pages=there,
        address=address or "ADDRESS",
        public=address is not None,
        picture=_at_the_top,
        said=_what_a_check_says(root, language, *_ANSWERED),
        **listed,
    )


def _at_the_top(page: Page, alt: str) -> str:
    """What a lab drew, as HTML for the start page. alt: how its alternative text begins."""
    return page.shown(alt).replace('src="../', 'src="')


def _what_a_check_says(root: Path, language: str, lab: str, name: str, mistake: str) -> str:
    """What the check of an exercise says to a named mistake, asked now, as HTML."""
    found = exercise.load(lab)[name]
    table = importlib.import_module(f"grading.checks.answers.{lab[3:]}").MISTAKES
    (row,) = (row for row in table if (row.exercise, row.name) == (name, mistake))
    names = dict(vars(table.right))
    exec(row.code, names)
    result = exercise.run(found, Notebook(names), np.random.default_rng(0))
    with speaking(speech(root, language, lab)):
        return render.html(result)
