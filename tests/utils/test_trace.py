"""Traces: what is recorded, how clocks are aligned, and the exported file."""

import json
import queue
import threading
from pathlib import Path

import pytest

from utils.pipeline import trace
from utils.pipeline.schedules import Span
from utils.pipeline.trace import Recorder, merge


class Clock:
    """A clock that goes on by a step each time it is read, `ahead` of everyone else's."""

    def __init__(self, ahead: float = 0.0, step: float = 1.0) -> None:
        self.now, self.step = ahead, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_a_span_has_its_rank_its_name_and_its_times_on_rank_0s_clock() -> None:
    recorder = Recorder(2, offset=100.0, clock=Clock())
    with recorder.span("F", 3):
        pass
    with recorder.span("all-reduce"):
        pass
    assert recorder.spans == [
        Span(2, "F", 3, 101.0, 102.0),
        Span(2, "all-reduce", None, 103.0, 104.0),
    ]


def test_a_block_that_fails_is_noted_too() -> None:
    recorder = Recorder(0, clock=Clock())
    with pytest.raises(RuntimeError), recorder.span("F", 0):
        raise RuntimeError
    assert [span.kind for span in recorder.spans] == ["F"]


def test_spans_nest() -> None:
    recorder = Recorder(0, clock=Clock())
    with recorder.span("step"), recorder.span("F", 0):
        pass
    inner, outer = recorder.spans
    assert outer.start < inner.start < inner.end < outer.end


def test_a_merged_timeline_begins_at_0_in_its_unit() -> None:
    ranks = [[Span(0, "F", 0, 7.5, 7.54)], [Span(1, "F", 0, 7.54, 7.58)]]
    timeline = merge(ranks, "ms")
    assert (timeline.ranks, timeline.unit) == (2, "ms")
    assert timeline.start == 0
    assert timeline.end == pytest.approx(80)
    assert timeline.bubble() == pytest.approx(0.5)
    assert merge(ranks, "s").end == pytest.approx(0.08)


def test_nothing_to_merge_and_unknown_units_are_refused() -> None:
    with pytest.raises(ValueError, match="no spans"):
        merge([[], []])
    with pytest.raises(ValueError, match="choose s, ms, µs"):
        merge([[Span(0, "F", 0, 0, 1)]], "h")


@pytest.mark.parametrize("ahead", [0.0, 1234.5, -7.25])
def test_each_rank_finds_how_far_its_clock_is_from_rank_0s(ahead: float) -> None:
    ranks = 3
    wires: dict[tuple[int, int], queue.Queue[float]] = {
        (a, b): queue.Queue() for a in range(ranks) for b in range(ranks)
    }
    base, found = Clock(step=1e-6), {}

    def run(rank: int) -> None:
        def clock() -> float:
            return base() + rank * ahead

        found[rank] = trace.clock_offset(
            rank,
            ranks,
            lambda number, to: wires[rank, to].put(number),
            lambda source: wires[source, rank].get(timeout=30),
            clock=clock,
        )

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == 0.0
    for rank in (1, 2):
        assert found[rank] == pytest.approx(-rank * ahead, abs=1e-3)


def test_the_exported_file_is_what_perfetto_reads(tmp_path: Path) -> None:
    timeline = merge([[Span(0, "F", 3, 1.0, 1.5)], [Span(1, "receive", None, 1.0, 1.25)]], "ms")
    path = tmp_path / "run.json"
    trace.write_chrome(timeline, path)
    events = json.loads(path.read_text())["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert names == {0: "rank 0", 1: "rank 1"}
    first, second = (e for e in events if e["ph"] == "X")
    assert (first["name"], first["cat"], first["tid"]) == ("F3", "forward", 0)
    assert (first["ts"], first["dur"]) == (0.0, pytest.approx(5e5))
    assert (second["name"], second["tid"], second["dur"]) == ("receive", 1, pytest.approx(2.5e5))
