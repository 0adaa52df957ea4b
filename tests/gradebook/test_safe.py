"""What a student wrote is harmless to the page that shows it, and to the process that makes it."""

import pytest

from grading.gradebook import safe
from grading.gradebook.apart import Renderer

# Pygments' lexer for Maple backtracks without end on this.
MAPLE = '```maple\n"' + "\\a" * 60 + "\n```\n"


def test_no_lexer_is_chosen_by_a_student() -> None:
    assert safe.markdown(MAPLE, {}) == MAPLE.replace("```maple", "```")
    for fence in ("~~~ maple", "> ```maple", "1. ```maple", "````maple x=1"):
        assert "maple" not in safe.markdown(f"{fence}\nx\n{fence.split('maple')[0]}\n", {})


def test_answers_keep_what_is_harmless() -> None:
    text = "# Why\n\nBecause $x < 1$ and *this*:\n\n```\ncode\n```"
    assert "Because" in safe.markdown(text, {})
    assert "```\ncode\n```" in safe.markdown(text, {})


@pytest.mark.parametrize("source", ["x" + " " * 60_000, " " * 60_000 + "x", "x\n" * 60_000])
def test_a_page_shows_no_more_than_anybody_reads(source: str) -> None:
    shown = safe.code(source)
    assert len(shown) < 60_000
    assert max(map(len, shown.split("\n"))) < 1_100
    assert "characters" in shown
    assert safe.code("def f(x):\n    return x") == "def f(x):\n    return x"


def test_a_text_that_keeps_the_renderer_busy_costs_its_student_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renderer = Renderer()
    monkeypatch.setattr("grading.gradebook.apart.SECONDS", 0.0)
    renderer.next_student()
    assert renderer.markdown("*a*", {}) == safe.verbatim("*a*")
    monkeypatch.undo()
    renderer.next_student()
    assert renderer.markdown("*a*", {}) == "*a*"
    endless = "\\[" * 12_500
    assert renderer.markdown(endless, {}) in (endless, safe.verbatim(endless))
    renderer.next_student()
    assert renderer.markdown("*b* <b>", {}) == "*b* &lt;b>"
    renderer.close()
    renderer.next_student()
    assert renderer.markdown("*c*", {}) == "*c*"
    renderer.close()
