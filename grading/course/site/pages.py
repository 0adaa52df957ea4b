"""The pages beside the labs, as MyST Markdown: start page, guides, reference.

The guides are the repository's own files, at the same places, so that their links hold; README's
parts become a page for each reader.
"""

import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grading.answer import exercise, render
from grading.check import Notebook
from grading.course.files import CourseError
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

# A page of the site: its title, and README's parts that are on it.
_READERS = {
    "learners": ("For learners", ("Start", "For learners")),
    "instructors": ("For instructors", ("For instructors",)),
    "graders": ("For those who grade", ("For those who grade",)),
}
# What the start page shows: a lab, how its picture's text begins, and what to see there.
_GALLERY = (
    ("01_perceptron", "The line before and after", "A neuron mends its line, mistake by mistake."),
    ("05_convolution", "A digit; eight 7×7 filters", "What eight learned filters see in a digit."),
    ("07_inside", "Six scenes, their saliency", "Where a network found its evidence."),
    ("09_char_rnn", "Cell ", "One memory cell of a network that writes."),
    ("11_gpu", "Six measured layers", "Six layers, and the roof of the machine."),
    ("15_pipeline", "Your runs repeat", "A pipeline on four processes, beside theory."),
)
_STEPPER = ("14_pipeline_schedules", "Your 1F1B on 4 ranks")
_ANSWERED = ("01_perceptron", "perceptron_update", "no label")


def pages(
    root: Path, course: Outline, labs: Sequence[Page], address: str | None
) -> dict[str, str | bytes]:
    """The source's files by path, but for the labs'. address: of the public repository, if any."""
    found: dict[str, str | bytes] = {
        f"docs/{file.name}": file.read_text(encoding="utf-8")
        for file in sorted((root / "docs").glob("*.md"))
    }
    for image in sorted((root / "docs" / "images").glob("*")):
        found[f"docs/images/{image.name}"] = image.read_bytes()
    found["CONTRIBUTING.md"] = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found |= _for_readers((root / "README.md").read_text(encoding="utf-8"))
    found |= _reference(root)
    measurements = [name for name in found if name.startswith("docs/") and name.endswith(".md")]
    found["index.md"] = _start(
        course,
        labs,
        address,
        guides=[*_READERS, *map(_name, GUIDES)],
        contributors=[_name(one) for one in CONTRIBUTORS],
        reference=[_name(name) for name in found if name.startswith("reference/")],
        measurements=[_name(m) for m in measurements if m not in (*GUIDES, *CONTRIBUTORS)],
    )
    return found


def _name(file: str) -> str:
    return file.removesuffix(".md")


def _for_readers(readme: str) -> Iterator[tuple[str, str]]:
    _, *parts = re.split(r"^## (.+)\n", readme, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    for name, (title, wanted) in _READERS.items():
        if missing := [one for one in wanted if one not in sections]:
            raise CourseError(f"README.md has no part `## {missing[0]}`, which the site shows.")
        body = [f"## {one}\n{sections[one]}" if one != title else sections[one] for one in wanted]
        yield f"{name}.md", f"# {title}\n\n{''.join(body)}"


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
    course: Outline, labs: Sequence[Page], address: str | None, **listed: Sequence[str]
) -> str:
    there = {page.lab.name: page for page in labs}
    environment = Environment(
        loader=FileSystemLoader(SPHINX),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("start.md.j2").render(
        course=course,
        pages=there,
        address=address or "ADDRESS",
        public=address is not None,
        gallery=[
            (there[lab].lab, _at_the_top(there[lab], alt), caption)
            for lab, alt, caption in _GALLERY
            if lab in there
        ],
        stepper=[_at_the_top(there[lab], alt) for lab, alt in [_STEPPER] if lab in there],
        said=_what_a_check_says(*_ANSWERED),
        **listed,
    )


def _at_the_top(page: Page, alt: str) -> str:
    """What a lab drew, as HTML for the start page."""
    return page.shown(alt).replace(f'src="{page.lab.name}/', f'src="labs/{page.lab.name}/')


def _what_a_check_says(lab: str, name: str, mistake: str) -> str:
    """What the check of an exercise says to a named mistake, asked now, as HTML."""
    found = exercise.load(lab)[name]
    table = importlib.import_module(f"grading.checks.answers.{lab[3:]}").MISTAKES
    (row,) = (row for row in table if (row.exercise, row.name) == (name, mistake))
    names = dict(vars(table.right))
    exec(row.code, names)
    return render.html(exercise.run(found, Notebook(names), np.random.default_rng(0)))
