"""A result as a person reads it, in their language: plain text, and HTML for Jupyter and VS Code.

The HTML has inline styles only (notebook front ends strip the rest), takes its colours from
JupyterLab's theme where there is one; the bar's colour says nothing that a word does not.
"""

import re
from collections.abc import Iterator
from html import escape

from grading.answer.exercise import Part, Result
from grading.answer.fault import UNDONE
from grading.answer.say import say
from grading.answer.width import padded

STATES = {
    "passed": "passed",
    "partial": "partly done",
    "failed": "not right yet",
    "not done": "not done yet",
}
_COLOURS = {"passed": "#009E73", "partial": "#E69F00", "failed": "#D55E00", "not done": "#888888"}
_MONO = "font-family:var(--jp-code-font-family,monospace);font-size:0.92em"


def points(score: float, of: float) -> str:
    """`1 of 2 points`."""
    return say(f"{score:g} of {of:g} point{'s' * (of != 1)}")


def text(result: Result) -> str:
    """The result as plain text."""
    score, state = points(result.score, result.points), say(STATES[result.status])
    lines = [f"{result.exercise}   {score}   {state}"]
    lines += [f"           {_lent(result)}"] if result.lent else []
    for part, fault_lines in _parts(result):
        lines.append(f"  {padded(_word(part), 8)} {say(part.title)}".rstrip())
        for line in fault_lines:
            lines += [f"           {piece}" for piece in line.splitlines()]
    return "\n".join(lines)


def html(result: Result) -> str:
    """The result as an HTML fragment."""
    colour = _COLOURS[result.status]
    rows = "".join(_row(part, lines) for part, lines in _parts(result))
    lent = f"<div>{_marked(_lent(result))}</div>" if result.lent else ""
    return (
        f'<div role="status" style="border-left:4px solid {colour};padding:4px 12px;margin:4px 0;'
        f'max-width:60em;line-height:1.45">'
        f'<div><b style="{_MONO}">{escape(result.exercise)}</b> &nbsp; '
        f"{points(result.score, result.points)} &nbsp; "
        f"<b>{say(STATES[result.status])}</b></div>{lent}{rows}</div>"
    )


def _lent(result: Result) -> str:
    names = " and ".join(f"`{name}`" for name in result.lent)
    return say(
        f"Judged with the course's own {names}: with yours, which this stands on, it got less."
    )


def _parts(result: Result) -> Iterator[tuple[Part, list[str]]]:
    """Each part with the lines that say what is wrong with it; nothing is said twice."""
    said = set()
    for part in result.parts:
        lines = part.fault.lines(say=say) if part.fault else []
        reason = part.fault and (part.fault.message, part.fault.diagnosis)
        if reason in said:
            lines = [say("For the same reason.")]
        elif reason is not None:
            said.add(reason)
        yield part, lines


def _word(part: Part) -> str:
    if not part.title:
        return ""
    if part.fault is None:
        return say("passed")
    return say("to do") if part.fault.kind in UNDONE else say("failed")


def _row(part: Part, lines: list[str]) -> str:
    word = _word(part)
    head = f'<span style="display:inline-block;width:4.6em">{word}</span> ' if word else ""
    body = "".join(
        '<div style="margin-left:4.9em;white-space:pre-wrap">'
        f'<span style="{_style(line)}">{_marked(line)}</span></div>'
        for line in lines
    )
    return f'<div style="margin-top:3px">{head}{_marked(say(part.title))}{body}</div>'


def _style(line: str) -> str:
    compared = line.startswith((say("expected") + " ", say("yours") + " "))
    return _MONO if compared or re.match(r"(?:For )?\S+ = ", line) or "\n" in line else ""


def _marked(line: str) -> str:
    """Escaped, with `code` in backticks set as code."""
    pieces = escape(line).split("`")
    if len(pieces) % 2 == 0:
        return escape(line)
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
