"""The catalogues: `locale/<language>/NN_name.po`, what a lab and its checks say, and `course.po`.

`update` brings them in step with the English, as gettext does it: a new text is an empty entry, a
changed one keeps its translation, marked fuzzy, with the text that it was made for; one that is
gone stays at the end as obsolete. `report` says what is missing, fuzzy or wrong.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import nbformat
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import write_po

from grading.answer import render
from grading.course import source, workspace
from grading.course.files import CourseError, labs_in, select, write_atomically
from grading.course.languages import prose, rules, spoken
from grading.course.languages.entries import COURSE, entries, file_of, read
from grading.course.languages.glossary import glossary
from grading.course.languages.words import Words
from grading.course.outline import Language, outline
from grading.sandbox.inside import limits

_HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
# Of all labs: what their checks share, and what stands on the student's side.
_SHARED = ("calls", "carrier", "expect", "limits", "mistakes", "pattern", "programs")
# Whose words a check passes on.
_VALIDATORS = (
    "utils/kernels/machine.py",
    "utils/kernels/source.py",
    "utils/pipeline/puzzles.py",
    "utils/pipeline/schedules.py",
)
# What talks to learners, in the words that it passes to `say`.
_SAY = (
    "grading/course/start_page.py",
    "grading/check.py",
    "grading/marking/verdict.py",
    "grading/gradebook/execute.py",
    "grading/gradebook/feedback.py",
    "grading/course/site/build.py",
    "grading/course/site/labs.py",
)
# What does, in all that it says.
_SPEAK = (
    "grading/course/workspace.py",
    "grading/course/carry_over.py",
    "grading/course/files.py",
    "grading/learner/*.py",
    "grading/workshop/accounts.py",
    "grading/workshop/bounds.py",
    "grading/workshop/handed.py",
    "grading/workshop/hub.py",
    "grading/workshop/lessons.py",
    "grading/workshop/proxy.py",
    "grading/workshop/serve.py",
    "grading/workshop/server.py",
    "grading/workshop/store.py",
    "grading/marking/judge.py",
    "grading/marking/session.py",
    "grading/sandbox/inside/limits.py",
)
# Pages, in the words that they pass to `say`.
_PAGES = (
    "grading/course/site/sphinx/start.md.j2",
    "grading/workshop/board.html",
    "grading/workshop/join.html",
    "grading/workshop/pages/login.html",
)
_OTHER_SENSE = re.compile(
    r"another sense: *(.+)"
)  # a translator's comment: `# another sense: rank`


@dataclass(frozen=True)
class State:
    """How far a catalogue is. faults, fuzzy, missing: a sentence each, with the file and line."""

    file: str
    entries: int
    faults: list[str]
    fuzzy: list[str]
    missing: list[str]

    @property
    def complete(self) -> bool:
        return not (self.faults or self.fuzzy or self.missing)

    def __str__(self) -> str:
        done = self.entries - len(self.missing) - len(self.fuzzy)
        more = [f"{len(self.fuzzy)} fuzzy"] * bool(self.fuzzy)
        more += [f"{len(self.faults)} wrong"] * bool(self.faults)
        return ", ".join([f"{self.file}: {done} of {self.entries} translated", *more])


def update(root: Path, language: str, names: Sequence[str]) -> None:
    """Bring catalogues in step with the English. Raises CourseError where one cannot be read."""
    others = _memory(root, language)
    for name in names:
        file = file_of(root, language, name)
        template = Catalog(locale=language)
        for one in words(root, name):
            template.add(one.text, auto_comments=[one.kind])
        catalogue = read(file, language) if file.exists() else Catalog(locale=language)
        previous = {one.id: one.previous_id for one in catalogue if one.previous_id}
        catalogue.update(template, update_creation_date=False)
        for message in catalogue:
            message.previous_id = message.previous_id or previous.get(message.id, [])
            if not message.string and message.id in others:
                message.string = others[str(message.id)]  # said just so in another lab
        write_atomically(file, _dump(catalogue, language))


def state(root: Path, language: str, name: str) -> State:
    """How far a catalogue is, compared with the English as it is now."""
    file = file_of(root, language, name)
    place = str(file.relative_to(root))
    catalogue = read(file, language) if file.exists() else Catalog(locale=language)
    terms = glossary(file.parent / "glossary.yml")
    found = State(place, 0, [], [], [])
    entries: dict[str, Words] = {}
    for one in words(root, name):
        entries.setdefault(one.text, one)
    for text, entry in entries.items():
        message = catalogue.get(text)
        if message is None:
            found.missing.append(f"{place}: no entry for {_begin(text)}")
            continue
        at = f"{place}:{message.lineno}: {_begin(text)}"
        if not message.string:
            found.missing.append(f"{at} is not translated")
        elif message.fuzzy:
            found.fuzzy.append(f"{at} is fuzzy: the English has changed")
        else:
            senses = _other_senses(message)
            found.faults.extend(
                f"{at} {fault}" for fault in rules.faults(entry, str(message.string), terms, senses)
            )
    return State(place, len(entries), found.faults, found.fuzzy, found.missing)


def words(root: Path, name: str) -> Iterator[Words]:
    """What there is to translate: of a lab, its own words and then those of its checks."""
    checks = root / "grading" / "checks"
    if name != COURSE:
        yield from prose.words(source.read(root / "solutions" / f"{name}.py"))
        judging, answers = checks / f"{name}.py", checks / "answers" / f"{name[3:]}.py"
        if judging.exists():
            yield from spoken.words(judging)
        if answers.exists():  # its phrases are the names of mistakes, and pieces of code
            yield from (one for one in spoken.words(answers) if spoken.is_sentence(one.text))
        return
    yield from _of_the_list(root)
    yield from (Words(one, "joins names") for one in (" and ", " or "))
    yield Words("For {given}.", "the inputs that a check shows: w = [1, 2], b = 3")
    yield from (Words(one, "the state of an exercise") for one in render.STATES.values())
    yield from (Words(one, "a limit of the sandbox") for one in limits.NAMED.values())
    for file in (root / one for one in _SAY):
        yield from spoken.words(file, by_form=False)
    yield from prose.words(nbformat.read(workspace.JOIN, as_version=4))
    shared = [f"grading/checks/{one}.py" for one in _SHARED]
    speak = [*shared, "grading/answer/*.py", *_SPEAK, *_VALIDATORS]
    for file in (file for one in speak for file in sorted(root.glob(one))):
        yield from spoken.words(file)
    for file in (root / one for one in _PAGES):
        yield from spoken.words_of_page(file)


def _of_the_list(root: Path) -> Iterator[Words]:
    """The words of course.yml."""
    course = outline(root)
    yield Words(course.title, "the course's title")
    yield Words(course.promise, "the course's promise")
    for part in course.parts:
        yield Words(part.title, "a part's title")
        for lab in part.labs:
            yield Words(lab.title, f"the title of {lab.name}")
            yield Words(lab.promise, f"the promise of {lab.name}")


def run(root: Path, language: str | None, only: str | None, write: bool, everything: bool) -> int:
    """Print how far translations are, and what is wrong with them; the exit code.

    It is 1 where an entry is wrong, and for a finished language where one is missing or fuzzy.
    only: a lab, or "course"; everything: each missing entry, too, not the first few.
    """
    code = 0
    for one in _languages(root, language):
        names = _names(root, only)
        if write:
            update(root, one.name, names)
        states = [state(root, one.name, name) for name in names]
        for each in states:
            print(each)
            for line in [*each.faults, *each.fuzzy, *_first(each.missing, everything)]:
                print(f"  {line}")
        wrong = any(each.faults or (one.finished and not each.complete) for each in states)
        code = max(code, int(wrong))
    return code


def _languages(root: Path, name: str | None) -> list[Language]:
    _, *others = outline(root).languages
    chosen = [one for one in others if name in (None, one.name)]
    if not chosen:
        known = ", ".join(one.name for one in others) or "none"
        raise CourseError(f"course.yml has no language {name!r} to translate into: {known}.")
    return chosen


def _names(root: Path, only: str | None) -> list[str]:
    labs = labs_in(root / "solutions", ".py")
    if only == COURSE:
        return [COURSE]
    return select(labs, only) if only else [*labs, COURSE]


def _first(lines: Sequence[str], everything: bool, count: int = 3) -> Iterable[str]:
    if everything or len(lines) <= count:
        return lines
    return [*lines[:count], f"… and {len(lines) - count} more (--all lists them)"]


def _memory(root: Path, language: str) -> dict[str, str]:
    """All translations that there are, by their English."""
    found: dict[str, str] = {}
    for file in sorted((root / "locale" / language).glob("*.po")):
        for text, said in entries(root, language, file.stem).items():
            if said:
                found.setdefault(text, said)
    return found


def _dump(catalogue: Catalog, language: str) -> bytes:
    for message in catalogue:
        message.flags &= {"fuzzy"}  # not python-format: "12 % of" is no format
    stream = BytesIO()
    write_po(stream, catalogue, width=0, omit_header=True, include_previous=True)
    return _HEADER.format(language=language).encode() + stream.getvalue()


def _other_senses(message: Message) -> frozenset[str]:
    """The terms that a translator says mean something else here."""
    found = (_OTHER_SENSE.match(one) for one in message.user_comments)
    return frozenset(one.strip() for each in found if each for one in each[1].split(","))


def _begin(text: str) -> str:
    return f"“{text if len(text) <= 50 else text[:49] + '…'}”"
