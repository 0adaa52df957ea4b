"""What each rank of a real run did and when: recorded, put on one clock, drawn and exported.

    recorder = Recorder(rank)
    with recorder.span("F", 0):
        y = module(x)
    return recorder.spans            # on every rank; the caller makes them one timeline:

    timeline = merge(spans_of_each_rank)
    pictures.draw(ax, timeline)
    write_chrome(timeline, "run.json")    # for https://ui.perfetto.dev or chrome://tracing

The clock is `time.perf_counter`, which the processes of one machine share where it counts from the
machine's start (Linux, macOS, Windows). Between machines each rank measures its `clock_offset`.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from utils.pipeline.schedules import KINDS, Span, Timeline

UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6}


@dataclass
class Recorder:
    """Notes what one rank does. Times are in seconds, on the clock of rank 0.

    offset: what to add to this rank's clock to have rank 0's, see `clock_offset`.
    """

    rank: int
    offset: float = 0.0
    clock: Callable[[], float] = time.perf_counter
    spans: list[Span] = field(default_factory=list)

    @contextmanager
    def span(
        self, kind: str, microbatch: int | None = None, stage: int | None = None
    ) -> Iterator[None]:
        """Note the block as a span. On a GPU, synchronise in it, or only the launch counts."""
        start = self.clock() + self.offset
        try:
            yield
        finally:
            end = self.clock() + self.offset
            self.spans.append(Span(self.rank, kind, microbatch, start, end, stage))


def clock_offset(
    rank: int,
    ranks: int,
    send: Callable[[float, int], None],
    receive: Callable[[int], float],
    *,
    clock: Callable[[], float] = time.perf_counter,
    rounds: int = 10,
) -> float:
    """What to add to this rank's clock to have rank 0's, in seconds; all ranks call it together.

    send(number, to), receive(source): between any rank and rank 0. Each rank asks rank 0 for the
    time `rounds` times and believes the quickest reply, which it takes to have been written half
    way through (Cristian 1989, doi:10.1007/BF01784024): wrong by at most half of that round trip.
    """
    if rank == 0:
        for other in range(1, ranks):
            for _ in range(rounds):
                receive(other)
                send(clock(), other)
        return 0.0
    replies = []
    for _ in range(rounds):
        asked = clock()
        send(asked, 0)
        theirs, now = receive(0), clock()
        replies.append((now - asked, theirs - (asked + now) / 2))
    return min(replies)[1]


def merge(ranks: Sequence[Iterable[Span]], unit: str = "ms") -> Timeline:
    """One timeline from each rank's spans (times in seconds); it begins at 0.

    ranks: the spans of rank 0, 1, …; unit: of the timeline, "s", "ms" or "µs".
    """
    if unit not in UNITS:
        raise ValueError(f"There is no unit {unit!r}: choose {', '.join(UNITS)}.")
    spans = [span for one in ranks for span in one]
    if not spans:
        raise ValueError("There are no spans: no rank recorded anything.")
    origin, scale = min(span.start for span in spans), UNITS[unit]
    moved = (
        replace(span, start=(span.start - origin) * scale, end=(span.end - origin) * scale)
        for span in spans
    )
    return Timeline(tuple(moved), len(ranks), unit)


def chrome(timeline: Timeline) -> dict[str, Any]:
    """The timeline as Chrome's trace events: a row (thread) for each rank, times in µs.

    The format: Duffy, Sinclair and others, Trace Event Format (Google).
    """
    scale = UNITS["µs"] / UNITS.get(timeline.unit, 1.0)
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 0, "tid": rank, "name": "thread_name", "args": {"name": f"rank {rank}"}}
        for rank in range(timeline.ranks)
    ]
    for span in timeline.spans:
        events.append(
            {
                "ph": "X",
                "pid": 0,
                "tid": span.rank,
                "name": span.label,
                "cat": KINDS.get(span.kind, span.kind),
                "ts": span.start * scale,
                "dur": (span.end - span.start) * scale,
            }
        )
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def write_chrome(timeline: Timeline, path: str | Path) -> None:
    """Write `chrome(timeline)` to a file, to be opened in ui.perfetto.dev or chrome://tracing."""
    Path(path).write_text(json.dumps(chrome(timeline)), encoding="utf-8")
