"""The page that shows a class's results: one HTML file, without scripts and without a network.

Colours are those of Okabe and Ito (2008), told apart with any common colour blindness, and none
says what is not also said by a word or a number.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Protocol

STATES = {
    "passed": ("full marks", "#009E73"),
    "partial": ("some marks", "#F0E442"),
    "failed": ("wrong", "#D55E00"),
    "not done": ("not done", "#BBBBBB"),
    "unreadable": ("unreadable file", "#CC79A7"),
    "not judged": ("for a person to judge", "#56B4E9"),
}
SHOWN = 6  # of the things that went wrong in one exercise

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.25rem;margin-top:2.5rem}
h3{font-size:1.05rem;margin:1.8rem 0 .3rem}h3 span{font-weight:normal;color:#555}
code{font-family:ui-monospace,monospace;font-size:.95em}
.bar{display:flex;height:1.6rem;border:1px solid #666;border-radius:3px;overflow:hidden}
.bar div{border-right:1px solid #666;min-width:2px}.bar div:last-child{border-right:0}
.key{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;margin:.3rem 0;font-size:.9rem}
.key i{display:inline-block;width:.9em;height:.9em;border:1px solid #666;vertical-align:-.1em}
table{border-collapse:collapse;width:100%;font-size:.95rem}
td,th{padding:.25rem .5rem;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}
td.n,th.n{text-align:right;white-space:nowrap}summary{cursor:pointer;color:#0060a0}
.share{background:#0072B2;height:.6rem;border-radius:2px}.part{color:#555}
figure{margin:1rem 0}svg text{font:13px system-ui,sans-serif;fill:#222}
"""


class Wrong(Protocol):
    """What went wrong, in which part of an exercise, and for whom."""

    said: str
    part: str
    students: list[str]


def page(
    lab: str, results: Sequence[Mapping[str, Any]], wrong: Mapping[str, Sequence[Wrong]]
) -> str:
    """The whole page. wrong: by exercise, what went wrong, the commonest first."""
    most = results[0]["max_score"]
    mean = sum(one["score"] for one in results) / len(results)
    body = [
        f"<h1>{escape(lab)}</h1>",
        f"<p>{_count(len(results), 'submission')}, {mean:.1f} of {most:g} points on average.</p>",
        _histogram([one["score"] / (most or 1) for one in results], most),
        "<h2>The exercises, and what went wrong in them</h2>",
    ]
    for exercise in results[0]["exercises"]:
        body += _exercise(exercise["name"], exercise["max_score"], results, wrong)
    body += _odd(results)
    body += _students(results)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
        " style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(lab)}: results</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _histogram(shares: Sequence[float], most: float) -> str:
    """How many got how much, in tenths of all points."""
    counts = Counter(min(int(share * 10 + 1e-9), 9) for share in shares)
    highest, bars = max(counts.values()), []
    for tenth in range(10):
        count = counts[tenth]
        height, x = 120 * count / highest, 60 * tenth
        bars.append(
            f'<rect x="{x + 4}" y="{140 - height:.1f}" width="52" height="{height:.1f}"'
            ' fill="#0072B2"/>'
            f'<text x="{x + 30}" y="{134 - height:.1f}" text-anchor="middle">{count or ""}</text>'
            f'<text x="{x}" y="158" text-anchor="middle">{most * tenth / 10:g}</text>'
        )
    said = ", ".join(
        f"{counts[tenth]} with {most * tenth / 10:g} to {most * (tenth + 1) / 10:g}"
        for tenth in range(10)
        if counts[tenth]
    )
    label = f"Submissions by points: {said}"
    return (
        f'<figure><svg viewBox="-20 0 650 165" role="img" aria-label="{label}">'
        f'{"".join(bars)}<line x1="0" x2="600" y1="140" y2="140" stroke="#222"/>'
        f'<text x="600" y="158" text-anchor="middle">{most:g}</text></svg>'
        "<figcaption>Submissions by points.</figcaption></figure>"
    )


def _exercise(
    name: str,
    most: float,
    results: Sequence[Mapping[str, Any]],
    wrong: Mapping[str, Sequence[Wrong]],
) -> Iterator[str]:
    rows = [row for one in results for row in one["exercises"] if row["name"] == name]
    states = Counter(row["status"] for row in rows)
    mean = sum(row["score"] for row in rows) / len(rows)
    average = f"{mean:.2f} of {most:g} points on average"
    yield f"<h3><code>{escape(name)}</code> <span>{average}</span></h3>"
    present = [
        (words, colour, states[key]) for key, (words, colour) in STATES.items() if states[key]
    ]
    bar = "".join(f'<div style="flex:{n};background:{c}"></div>' for _, c, n in present)
    key = "".join(f'<span><i style="background:{c}"></i> {n} {w}</span>' for w, c, n in present)
    yield f'<div class="bar" aria-hidden="true">{bar}</div><div class="key">{key}</div>'
    if wrong[name]:
        yield '<table style="table-layout:fixed">'
        yield from (_wrong(one, len(results)) for one in wrong[name][:SHOWN])
        yield "</table>"
    if len(wrong[name]) > SHOWN:
        others = sum(len(one.students) for one in wrong[name][SHOWN:])
        yield f'<p class="part">And {_count(others, "other fault")}, rarer ones.</p>'


def _wrong(one: Wrong, among: int) -> str:
    count = len(one.students)
    part = f'<br><span class="part">in: {escape(one.part)}</span>' if one.part else ""
    names = escape(", ".join(one.students))
    return (
        f'<tr><td class="n" style="width:2rem">{count}</td><td style="width:6rem">'
        f'<div class="share" style="width:{100 * count / among:.0f}%"></div>'
        f"{100 * count / among:.0f} %</td><td>{_marked(one.said)}{part}"
        f"<details><summary>who</summary>{names}</details></td></tr>"
    )


def _odd(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    noted = [(one["student"], note) for one in results for note in one["notes"]]
    noted += [
        (one["student"], f"A person must judge {row['name']}.")
        for one in results
        for row in one["exercises"]
        if row["status"] == "not judged"
    ]
    if noted:
        yield "<h2>To look at</h2><table>"
        yield from (
            f"<tr><td>{escape(who)}</td><td>{escape(what)}</td></tr>" for who, what in noted
        )
        yield "</table>"


def _students(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [row["name"] for row in results[0]["exercises"]]
    heads = "".join(f'<th class="n"><code>{escape(name)}</code></th>' for name in names)
    yield "<h2>The submissions</h2><details><summary>all of them</summary><table>"
    yield f'<tr><th>student</th><th class="n">points</th>{heads}</tr>'
    for one in results:
        scores = "".join(f'<td class="n">{row["score"]:g}</td>' for row in one["exercises"])
        total = f'<td class="n">{one["score"]:g}</td>'
        yield f"<tr><td>{escape(one['student'])}</td>{total}{scores}</tr>"
    yield "</table></details>"


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _marked(text: str) -> str:
    """Escaped and not too long, with `code` in backticks set as code."""
    pieces = escape(text if len(text) <= 240 else f"{text[:240]}…").split("`")
    if len(pieces) % 2 == 0:
        return "`".join(pieces)
    return "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
