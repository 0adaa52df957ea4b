"""The course in other languages: words found and put back, catalogues kept, translations held."""

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from nbformat import NotebookNode, v4

from grading.answer.width import columns, wrapped
from grading.course import source
from grading.course.files import CourseError, labs_in
from grading.course.languages import catalogue, prose, rules, spoken
from grading.course.languages.glossary import Glossary, Term, glossary
from grading.course.languages.speech import Speech
from grading.course.languages.words import Words
from grading.course.outline import outline
from tests.labs import LABS, ROOT
from tests.languages import english_in
from tests.tiny_course import LAB, SOURCE, write_source

JAPANESE = ROOT / "locale" / "ja"


def notebook(text: str, kind: str = "markdown") -> NotebookNode:
    cell = v4.new_markdown_cell(text) if kind == "markdown" else v4.new_code_cell(text)
    return v4.new_notebook(cells=[cell])


def marked(text: str) -> str:
    """Stands for a translation."""
    return f"⟦{text}⟧"


def said(text: str, kind: str = "markdown", say: Callable[[str], str] = marked) -> str:
    book = notebook(text, kind)
    prose.translate(book, say)
    return book.cells[0].source


# Words in a lab.


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        (
            "# A title\n\nOne paragraph\nin two lines.",
            "# ⟦A title⟧\n\n⟦One paragraph in two lines.⟧",
        ),
        ("- one item\n  of two lines\n- another", "- ⟦one item of two lines⟧\n- ⟦another⟧"),
        ("You will\n1. do\n2. see", "⟦You will⟧\n1. ⟦do⟧\n2. ⟦see⟧"),
        (
            "| a name | `x` |\n|---|---|\n| `f` | `g` |",
            "⟦| a name | `x` |⟧\n|---|---|\n| `f` | `g` |",
        ),
        (
            "<details><summary>Hint 1</summary>Look at\n`x`.</details>\n<details>",
            "<details><summary>⟦Hint 1⟧</summary>⟦Look at `x`.⟧</details>\n<details>",
        ),
        ("Then\n\n$$y = F(x)$$\n\nholds.", "⟦Then⟧\n\n$$y = F(x)$$\n\n⟦holds.⟧"),
        ("$$\\text{always}\n> 0$$", "⟦$$\\text{always} > 0$$⟧"),
        ("Run:\n\n```\nmake lab\n```\n", "⟦Run:⟧\n\n```\nmake lab\n```\n"),
        ("`x` $y$ 12 http://a.b", "`x` $y$ 12 http://a.b"),
    ],
)
def test_the_words_of_markdown_are_found_by_paragraph(text: str, translated: str) -> None:
    assert said(text) == translated
    assert said(text, say=str) == text


CODE = '''\
x = None  # a number  # noqa: E731


def double(x: float) -> float:
    """Twice x.

    x: a number,
        finite. Returns a number.
    >>> double(2.0)
    4.0

    Of a string it is the string twice.
    """
    # The sum
    # is exact.
    ### BEGIN SOLUTION
    """Nothing of this."""
    return x + x  # nor of this
    ### END SOLUTION
'''


def test_the_words_of_code_are_docstrings_and_comments_outside_solutions() -> None:
    assert [one.text for one in prose.words(notebook(CODE, "code"))] == [
        "a number",
        "Twice x.",
        "x: a number, finite. Returns a number.",
        "Of a string it is the string twice.",
        "The sum is exact.",
    ]
    assert said(CODE, "code", say=str) == CODE
    translated = said(CODE, "code")
    assert "# ⟦a number⟧  # noqa: E731\n" in translated
    assert "\n    ⟦x: a number, finite. Returns a number.⟧\n    >>> double(2.0)\n" in translated
    assert "    # ⟦The sum is exact.⟧\n    ### BEGIN" in translated


def test_a_translation_is_wrapped_and_no_line_begins_with_punctuation() -> None:
    text = "xは`np.array`で、形状は(N, D)です。" * 9
    lines = wrapped(text, column=7, margin="    ").split("\n")
    assert "".join(line.removeprefix("    ") for line in lines).replace(" ", "") == text.replace(
        " ", ""
    )
    assert len(lines) > 2
    assert all(columns(line) <= 100 for line in lines)
    assert not [line for line in lines[1:] if line[4] in " 、。」）"]


def without_docstrings(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_in_other_words_has_the_same_code(lab: str) -> None:
    book, other, same = (source.read(ROOT / "solutions" / f"{lab}.py") for _ in range(3))
    prose.translate(same, str)
    assert [cell.source for cell in same.cells] == [cell.source for cell in book.cells]
    prose.translate(other, lambda text: f"訳{text}")
    for cell, translated in zip(book.cells, other.cells, strict=True):
        if cell.cell_type == "code":
            assert without_docstrings(translated.source) == without_docstrings(cell.source)
    formulas = [one.text for one in prose.words(book) if one.kind == "formula"]
    assert not [one for one in formulas if one.count("$$") != 2]


# What checks say.


def test_what_is_said_is_told_by_its_form(tmp_path: Path) -> None:
    file = tmp_path / "checks.py"
    file.write_text(
        '''"""A module about doubles."""
known, other = variants("double", "def double(x): return {it}", it="x + x")
MISTAKES = [known("a name", 0, "That is x²: double adds."), other("no return", 0, "is a return")]
PAIRS = (("truth value of an array", "One number is needed here."),)

def double(student, rng):
    """Says it."""
    with part("every entry is doubled", points=1):
        how = "everywhere" if rng else "in some places"
        why += " It goes on with the next one."
        close(got, what="the result", given={"x": x, "the factor": 2})
        that(got, f"`{name}` should be {'a' if n else 'an'} {kind[0]} of {len(got)}.")
        raise ValueError("The author is wrong here.")
''',
        encoding="utf-8",
    )
    assert [one.text for one in spoken.words(file)] == [
        "That is x²: double adds.",
        "One number is needed here.",
        "every entry is doubled",
        "everywhere",
        "in some places",
        "It goes on with the next one.",
        "the result",
        "the factor",
        "`{name}` should be {article} {kind} of {got}.",
    ]


ENTRIES = {
    "{what} should have shape {wanted} and has {shape}.": (
        "{what}の形状は{shape}ではなく{wanted}です。"
    ),
    "the result": "結果",
    "item {key} of {of}": "{of}の項目{key}",
    "Everything is zero.": "すべて0です。",
    "{names} are missing.": "{names}がありません。",
    " and ": "と",
    "{what} is wrong {where}.": "",
    "{score} of {of}": "{of}点中{score}点",
    "Yours: {got}.": "あなたの値：{got}。",
    "For {given}.": "{given}の場合です。",
    "For a list.": "リストの場合です。",
    "the bound": "上界",
    "the slope in {name}": "{name}の傾き",
    "{detail} It was {before} before.": "{detail}前は{before}でした。",
    "the gradient in {name}": "{name}の勾配",
    "It is kept. So it stays.": "残してあります。だからそのままです。",
}


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("Everything is zero.", "すべて0です。"),
        (
            "The result should have shape (3,) and has (2,).",
            "結果の形状は(2,)ではなく(3,)です。",
        ),
        (
            "item 2 of the result should have shape (3,) and has ().",
            "結果の項目2の形状は()ではなく(3,)です。",
        ),
        ("`W` and `b` are missing.", "`W`と`b`がありません。"),
        ("Everything is zero. Is it?", "すべて0です。 Is it?"),
        ("The result is wrong in some places.", "The result is wrong in some places."),
        ("Nothing of the kind", "Nothing of the kind"),
        ("1.5 of 2", "2点中1.5点"),
        ("x of shape = (2, 3), labels = [1, 2]", "x of shape = (2, 3), labels = [1, 2]"),
        ("For w = [1, 2], the bound = 3.5.", "w = [1, 2], 上界 = 3.5の場合です。"),
        (
            "the slope in a = [0.5, 1], the slope in b = 2",
            "aの傾き = [0.5, 1], bの傾き = 2",
        ),
        ("It was 3 before.", "前は3でした。"),
        ("For a list.", "リストの場合です。"),
        ("For everything that is new.", "For everything that is new."),
        ("Yours: 3. Everything is zero.", "あなたの値：3。すべて0です。"),
        ("For w = [1], x = 3.", "w = [1], x = 3の場合です。"),
        ("the gradient in a = [1], the gradient in b = 2", "aの勾配 = [1], bの勾配 = 2"),
        (
            "Everything is zero. It is kept. So it stays.",
            "すべて0です。残してあります。だからそのままです。",
        ),
    ],
)
def test_a_message_is_said_by_its_entry_with_its_values(text: str, translated: str) -> None:
    assert Speech(ENTRIES)(text) == translated


def test_what_is_left_in_english_is_seen() -> None:
    """`tests/checks/test_labs.py` looks for it in what every named mistake is told."""
    assert english_in("値が違います。 Is one cleared here? 合計は3です。") == [
        "Is one cleared here"
    ]
    assert (
        english_in('`a b c`の値はdata parallelの"one two three"で、a b cは正しい順序です。') == []
    )


# Catalogues.

TINY_LIST = """\
title: A tiny course
promise: You double.
languages:
  - {name: en, title: English, finished: true}
  - {name: ja, title: 日本語, finished: false}
parts: []
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    write_source(tmp_path)
    (tmp_path / "course.yml").write_text(TINY_LIST, encoding="utf-8")
    catalogue.update(tmp_path, "ja", [LAB])
    return tmp_path


def translate(root: Path, text: str, translation: str) -> None:
    file = catalogue.file_of(root, "ja", LAB)
    before = file.read_text(encoding="utf-8")
    entry = f'msgid "{text}"\nmsgstr ""'
    assert entry in before
    file.write_text(before.replace(entry, entry[:-1] + f'{translation}"'), encoding="utf-8")


def test_a_new_catalogue_has_an_empty_entry_for_every_text(course: Path) -> None:
    state = catalogue.state(course, "ja", LAB)
    assert state.entries == len(state.missing) > 3
    assert "locale/ja/01_tiny.po:" in state.missing[0]
    assert state.missing[0].endswith("“Lab 1 · Tiny” is not translated")
    translate(course, "Lab 1 · Tiny", "ラボ1 · 小さい")
    assert len(catalogue.state(course, "ja", LAB).missing) == state.entries - 1
    assert catalogue.entries(course, "ja", LAB)["Lab 1 · Tiny"] == "ラボ1 · 小さい"


def test_an_update_changes_nothing_where_the_english_has_not(course: Path) -> None:
    translate(course, "Doubling", "倍にする")
    before = catalogue.file_of(course, "ja", LAB).read_bytes()
    catalogue.update(course, "ja", [LAB])
    assert catalogue.file_of(course, "ja", LAB).read_bytes() == before


def test_changed_english_makes_its_entry_fuzzy_and_keeps_what_it_was_made_for(course: Path) -> None:
    translate(course, "You double a number.", "数を倍にします。")
    write_source(course, SOURCE.replace("You double a number.", "You double any number."))
    assert any("no entry for" in one for one in catalogue.state(course, "ja", LAB).missing)
    for _ in range(2):
        catalogue.update(course, "ja", [LAB])
        (fuzzy,) = catalogue.state(course, "ja", LAB).fuzzy
        assert "“You double any number.” is fuzzy" in fuzzy
        text = catalogue.file_of(course, "ja", LAB).read_text(encoding="utf-8")
        assert '#| msgid "You double a number."\n' in text
        assert catalogue.entries(course, "ja", LAB)["You double any number."] == ""


def test_what_is_said_in_two_labs_is_translated_once(course: Path) -> None:
    translate(course, "Doubling", "倍にする")
    (course / "solutions" / "02_next.py").write_text(SOURCE, encoding="utf-8")
    catalogue.update(course, "ja", ["02_next"])
    assert catalogue.entries(course, "ja", "02_next")["Doubling"] == "倍にする"


def test_the_report_is_wrong_where_an_entry_is_and_for_a_finished_language_where_one_lacks(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert catalogue.run(course, None, "1", write=False, everything=False) == 0
    assert "more (--all lists them)" in capsys.readouterr().out
    listed = course / "course.yml"
    listed.write_text(TINY_LIST.replace("finished: false", "finished: true"), encoding="utf-8")
    assert catalogue.run(course, "ja", "1", write=False, everything=True) == 1
    listed.write_text(TINY_LIST, encoding="utf-8")
    translate(course, "You double a number.", "12を倍にします。")
    assert catalogue.run(course, "ja", "1", write=False, everything=False) == 1
    assert "“You double a number.” has a number that there is not: 12" in capsys.readouterr().out
    with pytest.raises(CourseError, match=r"no language 'xx' to translate into: ja"):
        catalogue.run(course, "xx", None, write=False, everything=False)


def test_a_catalogue_that_cannot_be_read_is_named(course: Path) -> None:
    catalogue.file_of(course, "ja", LAB).write_text("msgid unquoted\n", encoding="utf-8")
    with pytest.raises(CourseError, match=r"01_tiny\.po cannot be read as a catalogue"):
        catalogue.state(course, "ja", LAB)


# What is wrong with a translation.

TERMS = Glossary(
    (
        Term("weight decay", ("重み減衰",), ("荷重減衰",), False),
        Term("weight", ("重み",), ("ウェイト",), False),
        Term("step", ("ステップ",), (), True),
    ),
    glossary(JAPANESE / "glossary.yml").style,
)
RIGHT = [
    (
        "`w` has 3 weights and 1,200 steps.",
        "`w` には3個の重みと1,200回のステップがあります。",
        "paragraph",
    ),
    ("Ten neurons, in July 1958.", "1958年7月の10個のニューロンです。", "paragraph"),
    ("The **weight** $w_1$", "**重み** $w_1$", "paragraph"),
    ("$$a_{\\text{old score}}$$", "$$a_{\\text{古いスコア}}$$", "formula"),
    ("point{plural} of {of}", "{of}点", "said"),
    (
        "A. Author, *A title with weight*, 1958, doi:10.1/x.",
        "A. Author, *A title with weight*, 1958, doi:10.1/x.",
        "item",
    ),
    ("x: (N, D) weights", "x: (N, D)の重み", "docstring of `f`"),
    ("float32 and conv2d take 2 steps.", "float32とconv2dは2ステップかかります。", "paragraph"),
    ("| a | `b` |", "| あ | `b` |", "row"),
]
WRONG = [
    ("`w` moves.", "`v` が動きます。", "lacks the code w"),
    ("`w` moves.", "動きます。", "lacks the code w"),
    ("It moves.", "`w` が動きます。", "has a code that there is not: w"),
    ("<code>w</code> moves.", "wが動きます。", "lacks the code w"),
    ("12 images", "13枚の画像", "lacks the number 12"),
    ("some images", "13枚の画像", "has a number that there is not: 13"),
    ("$w \\cdot x$ grows.", "$w x$ が増えます。", "lacks the formula"),
    ("https://a.b/c, doi:10.1/x.", "https://a.b/c です。", "lacks the link doi:10.1/x."),
    ("The **weight** is kept.", "**「重み」**は残ります。", "is bold 0 times"),
    ("X<sub>n</sub>", "Xn", "lacks the tag <sub>"),
    ("| a | b |", "| あ、い |", "has 2 bars | where the row has 3"),
    ("`{name}` is {kind}.", "`{name}` です。", "lacks the place {kind}"),
    ("`{name}` is it.", "`{nome}` です。", "has a place {nome} that there is not"),
    ("Weights move.", "荷重が動きます。", "does not call “weight” 重み"),
    ("Weight decay", "重みの減衰", "does not call “weight decay” 重み減衰"),
    ("The weights move.", "重みウェイトが動きます。", "has ウェイト: the term for"),
    ("It moves.", "動く。", "does not end in です・ます"),
    ("It moves.", "それが 動きます。".replace(" 動", "１動"), "full-width digit"),
    ("It moves.", "それが,動きます。", "half-width punctuation"),
    ("ReLU moves.", "ReLU が動きます。", "a space between Japanese and Latin"),
    ("`w` moves.", "`w`が動きます。", "no space between Japanese and `code`"),
    ("It moves.", "あなたが動きます。", "あなた"),
    ("It moves.", " 動きます。", "begins or ends with a space"),
    ("It moves.", "動き\\\\nます。\n", "line break"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "translation", "kind"), RIGHT)
def test_a_right_translation_has_no_faults(text: str, translation: str, kind: str) -> None:
    assert list(rules.faults(Words(text, kind), translation, TERMS)) == []


@pytest.mark.parametrize(("text", "translation", "fault"), WRONG)
def test_a_wrong_translation_is_told_what_is_wrong(text: str, translation: str, fault: str) -> None:
    kind = "row" if text.startswith("|") else "paragraph"
    found = list(rules.faults(Words(text, kind), translation, TERMS))
    assert any(fault in one for one in found), found


def test_a_term_in_another_sense_is_excused_by_a_comment(course: Path) -> None:
    (course / "locale" / "ja" / "glossary.yml").write_text(
        "terms:\n  - {en: number, term: 個数}\nstyle: []\n", encoding="utf-8"
    )
    translate(course, "You double a number.", "数を倍にします。")
    assert "does not call “number” 個数" in "".join(catalogue.state(course, "ja", LAB).faults)
    file = catalogue.file_of(course, "ja", LAB)
    text = file.read_text(encoding="utf-8")
    comment = '# another sense: number\nmsgid "You double'
    file.write_text(text.replace('msgid "You double', comment), encoding="utf-8")
    assert catalogue.state(course, "ja", LAB).faults == []


@pytest.mark.parametrize("name", [*labs_in(ROOT / "solutions", ".py"), catalogue.COURSE])
def test_the_translations_are_right_and_those_of_a_finished_language_complete(name: str) -> None:
    _, *others = outline(ROOT).languages
    assert others
    for one in others:
        state = catalogue.state(ROOT, one.name, name)
        found = [*state.faults, *([*state.fuzzy, *state.missing] if one.finished else [])]
        command = f"`python -m grading translate {name[:2] if name != catalogue.COURSE else name}`"
        assert found == [], f"{command} lists what is wrong; `--update` takes up new English"


# Pages that stand beside the labs.

PAGES = {
    "README.md": "README.ja.md",
    "docs/grading.md": "docs/ja/grading.md",
    "docs/workshop.md": "docs/ja/workshop.md",
}


def blocks(page: str) -> list[tuple[str, str]]:
    """What a page consists of, in order: the kind and the text of its code and of its words. Links
    are to pages of the original, from the repository's folder; each of them must be there."""

    def from_the_root(link: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(page), link[1]))
        assert (ROOT / target).exists(), f"{page} has a link to {link[1]}, which is not there"
        return f"]({originals.get(target, target)}"

    originals = {translated: original for original, translated in PAGES.items()}
    text = (ROOT / page).read_text(encoding="utf-8").replace("!", "")  # of a picture, of the board
    text = re.sub(r"\]\((?!https?:)([^)#]+)", from_the_root, text)
    tokens = MarkdownIt().enable("table").parse(text)
    return [(one.type, one.content) for one in tokens if one.content]


@pytest.mark.parametrize("original", PAGES)
def test_a_page_in_japanese_says_what_the_original_says(original: str) -> None:
    terms, page = glossary(JAPANESE / "glossary.yml"), PAGES[original]
    ours, theirs = blocks(original), blocks(page)
    code = [[text for kind, text in one if kind != "inline"] for one in (ours, theirs)]
    assert code[0] == code[1], f"{page} has other code than {original}"
    assert [kind for kind, _ in ours] == [kind for kind, _ in theirs]
    for (kind, english), (_, said) in zip(ours, theirs, strict=True):
        entry = Words(" ".join(english.split("\n")), "paragraph")
        faults = list(rules.faults(entry, said, terms)) if kind == "inline" else []
        assert faults == [], f"{page}: “{said}” {'; '.join(faults)}"


def test_the_table_of_the_course_in_japanese_has_the_words_of_the_catalogue() -> None:
    said, readme = catalogue.entries(ROOT, "ja", catalogue.COURSE), (ROOT / PAGES["README.md"])
    rows = readme.read_text(encoding="utf-8").splitlines()
    for lab in outline(ROOT):
        (row,) = (row for row in rows if row.startswith(f"| {lab.number} |"))
        title, promise = said[lab.title], said[lab.promise]
        to_come = "" if lab.name in LABS else "*準備中：* "
        assert row == f"| {lab.number} | {title} | {to_come}{promise} |"
