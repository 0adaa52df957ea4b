"""Schedules: what is wrong with one, how long it takes and holds, and what its picture shows."""

import base64
import html
import io
import json
import re
from collections.abc import Iterator

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from tests.notebooks import outputs_of
from utils import plots
from utils.pipeline import pictures, schedules
from utils.pipeline.schedules import Action, ScheduleError, Span, Timeline

ALT = 'Two "ranks" & what they do'

# Three ranks, four micro-batches, as the papers draw them.
GPIPE = schedules.parse("F0 F1 F2 F3 B0 B1 B2 B3\n" * 3)
ONE_F_ONE_B = schedules.parse(
    """F0 F1 F2 B0 F3 B1 B2 B3
       F0 F1 B0 F2 B1 F3 B2 B3
       F0 B0 F1 B1 F2 B2 F3 B3"""
)


@pytest.fixture
def ax() -> Iterator[Axes]:
    fig, axes = plt.subplots()
    yield axes
    plt.close(fig)


# What is wrong with a schedule


@pytest.mark.parametrize("schedule", [GPIPE, ONE_F_ONE_B])
def test_a_known_schedule_has_no_problems(schedule: list[list[Action]]) -> None:
    assert schedules.problems(schedule) == schedules.problems(schedule, 4) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("F0 B0\nB0 F0", "rank 1, step 0: backward of micro-batch 0 before its forward."),
        ("F0 B0\nF0", "rank 1: the backward of micro-batch 0 is missing."),
        ("F0 B0\nF0 B0 F1 B1", "rank 0: the forward of micro-batch 1 is missing."),
        ("F0 F0 B0\nF0 B0", "rank 0, step 1: forward of micro-batch 0 for a second time"),
        ("F0 B0 I0 W0\nF0 B0", "rank 0, step 2: backward, input of micro-batch 0, whose"),
        ("F0 W0 I0\nF0 B0", "rank 0, step 1: backward, weights of micro-batch 0 before that"),
        ("F0 I0\nF0 B0", "rank 0: W, the second part of a backward, lacks micro-batch 0."),
    ],
)
def test_a_problem_is_named_with_its_rank_and_step(text: str, says: str) -> None:
    assert schedules.problems(schedules.parse(text))[0].startswith(says)


def test_micro_batches_beyond_the_batch_and_missing_ones_are_told_apart() -> None:
    schedule = schedules.parse("F0 F1 B0 B1\nF0 B0 F1 B1")
    assert schedules.problems(schedule, 1)[0].startswith("rank 0, step 1: there is no micro-batch")
    assert "forward of micro-batch 2 is missing" in schedules.problems(schedule, 3)[0]


def test_ranks_that_wait_for_each_other_are_a_deadlock_and_it_says_who_waits_for_what() -> None:
    schedule = schedules.parse("F0 B0 F1 B1\nF0 F1 B0 B1")
    assert schedules.problems(schedule) == [
        "It is a deadlock, no rank can go on: rank 0 waits at step 1 (B0) for B0 of rank 1;"
        " rank 1 waits at step 1 (F1) for F1 of rank 0."
    ]


INTERLEAVED = schedules.parse("0F0 2F0 2B0 0B0\n1F0 3F0 3B0 1B0")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0F0 0B0\n2F0 2B0", "stage 1: no rank holds it."),
        ("0F0 0B0 1F0 1B0\n1F0 1B0", "stage 1: ranks 0 and 1 both hold it."),
        (
            "0F0 2F0 2B0 0B0\n1F0 1B0 3F0",
            "rank 1: the backward of micro-batch 0 on stage 3 is miss",
        ),
        ("0F0 2B0 2F0 0B0\n1F0 1B0", "rank 0, step 1: backward of micro-batch 0 on stage 2 before"),
        (
            "2F0 2B0 0F0 0B0\n1F0 1B0",
            "It is a deadlock, no rank can go on: rank 0 waits at step 0 (2F0) for 1F0 of rank 1;"
            " rank 1 waits at step 0 (1F0) for 0F0 of rank 0.",
        ),
    ],
)
def test_a_problem_of_ranks_with_several_stages_names_the_stage(text: str, says: str) -> None:
    assert schedules.problems(schedules.parse(text))[0].startswith(says)


def test_a_rank_may_hold_several_stages_each_with_its_own_time_and_stash() -> None:
    assert schedules.problems(INTERLEAVED) == []
    assert schedules.placement(INTERLEAVED) == [[0, 2], [1, 3]]
    timeline = schedules.simulate(INTERLEAVED, [1, 1, 1, 5], [2, 2, 2, 10])
    assert timeline.end == 3 * 3 + 15
    assert timeline.peak_stash() == [2, 2]
    assert schedules.parse(schedules.text(INTERLEAVED)) == INTERLEAVED


def test_the_last_stage_may_be_on_the_first_rank() -> None:
    there_and_back = schedules.parse("0F0 3F0 3B0 0B0\n1F0 2F0 2B0 1B0")
    assert schedules.simulate(there_and_back).end == 4 * 3


@pytest.mark.parametrize("thing", [[["F0"]], [[("X", 0)]], [[("F", -1)]], [[("F", 0, 1)]], "F0"])
def test_what_is_no_action_is_named(thing: list[list[Action]]) -> None:
    (problem,) = schedules.problems(thing)[:1]
    assert problem.startswith("rank 0")


def test_text_and_schedule_go_into_each_other() -> None:
    assert schedules.parse(schedules.text(ONE_F_ONE_B)) == ONE_F_ONE_B
    with pytest.raises(ScheduleError, match="write F0"):
        schedules.parse("F0 G1")


# Time, bubble and stash


@pytest.mark.parametrize("schedule", [GPIPE, ONE_F_ONE_B])
@pytest.mark.parametrize("backward", [1.0, 2.0, 3.5])
def test_the_bubble_follows_the_law_whatever_a_backward_takes(
    schedule: list[list[Action]], backward: float
) -> None:
    timeline = schedules.simulate(schedule, 1.0, backward)
    assert timeline.bubble() == pytest.approx((3 - 1) / (4 + 3 - 1))
    assert timeline.end == pytest.approx((4 + 3 - 1) * (1 + backward))


def test_gpipe_holds_every_micro_batch_and_1f1b_as_many_as_ranks_remain() -> None:
    assert schedules.simulate(GPIPE).peak_stash() == [4, 4, 4]
    assert schedules.simulate(ONE_F_ONE_B).peak_stash() == [3, 2, 1]


def test_a_split_backward_lets_the_rank_before_go_on_sooner() -> None:
    whole = schedules.simulate(schedules.parse("F0 B0\nF0 B0"))
    split = schedules.simulate(schedules.parse("F0 I0 W0\nF0 I0 W0"))
    assert (whole.end, split.end) == (6.0, 5.0)
    assert split.peak_stash() == [1, 1]


def test_a_slow_rank_and_slow_messages_cost_time() -> None:
    schedule = schedules.parse("F0 B0\nF0 B0")
    assert schedules.simulate(schedule, [1.0, 3.0], [2.0, 6.0]).end == 12.0
    assert schedules.simulate(schedule, transfer=0.5).end == 7.0


def test_a_schedule_that_cannot_run_is_not_simulated() -> None:
    with pytest.raises(ScheduleError, match="rank 1, step 0"):
        schedules.simulate(schedules.parse("F0 B0\nB0 F0"))


@given(st.data())
def test_no_action_starts_before_what_it_waits_for(data: st.DataObject) -> None:
    ranks, microbatches = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    schedule = [_some_order(data, microbatches) for _ in range(ranks)]
    if schedules.problems(schedule, microbatches):
        return
    timeline = schedules.simulate(schedule)
    ends = {(span.rank, span.kind, span.microbatch): span.end for span in timeline.spans}
    for span in timeline.spans:
        neighbour = span.rank + (-1 if span.kind == "F" else 1)
        assert span.start >= ends.get((neighbour, span.kind, span.microbatch), 0.0)
        if span.kind == "B":
            assert span.start >= ends[span.rank, "F", span.microbatch]
    assert len(ends) == 2 * ranks * microbatches


def _some_order(data: st.DataObject, microbatches: int) -> list[Action]:
    """Forwards and backwards in order, mixed in any way that has each forward first."""
    actions: list[Action] = []
    forwards = backwards = 0
    while backwards < microbatches:
        may = (forwards < microbatches, backwards < forwards)
        if may[0] and (not may[1] or data.draw(st.booleans())):
            actions.append(("F", forwards))
            forwards += 1
        else:
            actions.append(("B", backwards))
            backwards += 1
    return actions


def test_a_measured_timeline_may_start_at_any_time_and_hold_other_work() -> None:
    spans = (Span(0, "F", 0, 7.0, 8.0), Span(0, "receive", 0, 8.0, 11.0), Span(0, "B", 0, 9, 11))
    timeline = Timeline(spans, 1, "ms")
    assert timeline.bubble() == pytest.approx(0.25)
    assert timeline.stash(0)[-1] == (11, 0)


# Pictures


def blocks(ax: Axes) -> list[Rectangle]:
    return [p for p in ax.patches if isinstance(p, Rectangle) and p.get_zorder() == 2]


def test_each_action_is_a_block_with_its_number_and_rank_0_is_on_top(ax: Axes) -> None:
    pictures.draw(ax, schedules.simulate(ONE_F_ONE_B))
    assert len(blocks(ax)) == 24
    assert sorted(t.get_text() for t in ax.texts) == sorted("0123" * 6)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["rank 0", "rank 1", "rank 2"]
    assert ax.yaxis_inverted()
    assert "time" in ax.get_xlabel()


def test_a_letter_tells_the_stages_of_a_rank_apart_and_words_name_them(ax: Axes) -> None:
    timeline = schedules.simulate(INTERLEAVED)
    pictures.draw(ax, timeline)
    assert [t.get_text() for t in ax.texts].count("0b") == 4
    assert "rank 1: 3F0, holds 2" in html.unescape(pictures.stepper(timeline, alt=ALT))


def test_forward_and_backward_differ_in_grey_too(ax: Axes) -> None:
    pictures.draw(ax, schedules.simulate(GPIPE))
    colours = {to_rgb(block.get_facecolor()) for block in blocks(ax)}
    greys = sorted(0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2] for c in colours)
    assert len(greys) == 2
    assert greys[1] - greys[0] > 0.35
    legend = ax.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["F: forward", "B: backward", "idle"]


def test_theory_and_measurement_share_one_axis_and_name_their_bubbles() -> None:
    theory = schedules.simulate(GPIPE, 40, 80, unit="ms")
    later = tuple(Span(s.rank, s.kind, s.microbatch, s.start + 3, s.end + 3) for s in theory.spans)
    fig = pictures.compare({"theory": theory, "measured": Timeline(later, 3, "ms")})
    assert [ax.get_title(loc="left") for ax in fig.axes] == [
        "theory: bubble 33.3%",
        "measured: bubble 33.3%",
    ]
    assert fig.axes[0].get_xlim() == fig.axes[1].get_xlim()
    plt.close(fig)
    with pytest.raises(ValueError, match="different units"):
        pictures.compare({"theory": schedules.simulate(GPIPE), "measured": theory})


def test_the_legend_names_the_kinds_of_all_timelines() -> None:
    split = schedules.simulate(schedules.parse("F0 I0 W0"))
    fig = pictures.compare({"whole": schedules.simulate([[("F", 0), ("B", 0)]]), "split": split})
    assert [text.get_text()[0] for text in fig.legends[0].get_texts()] == ["F", "B", "I", "W", "i"]
    plt.close(fig)


def test_the_stash_is_drawn_as_a_curve_for_each_rank(ax: Axes) -> None:
    pictures.draw_stash(ax, schedules.simulate(ONE_F_ONE_B))
    assert [max(line.get_ydata()) for line in ax.lines] == [3, 2, 1]  # type: ignore[type-var]
    assert [line.get_label() for line in ax.lines] == ["rank 0", "rank 1", "rank 2"]


def test_the_stepper_veils_what_is_still_to_come_and_says_what_each_rank_does() -> None:
    timeline = schedules.simulate(schedules.parse("F0 B0\nF0 B0"))
    page = pictures.stepper(timeline, alt=ALT)
    assert f'<img alt="{html.escape(ALT)}"' in page
    found = re.search(r'data-steps="([^"]*)"', page)
    assert found is not None
    steps = json.loads(html.unescape(found[1]))
    assert steps[0]["says"] == "At 0:  rank 0: F0, holds 1;  rank 1: idle, holds 0"
    assert steps[-1]["says"] == "At 6:  rank 0: idle, holds 0;  rank 1: idle, holds 0"
    assert page.count(html.escape(steps[-1]["says"])) == 2  # in the data, and shown at first
    assert [step["holds"] for step in steps[:2]] == [["holds 1", "holds 0"], ["holds 1", "holds 1"]]
    left = [step["veils"][0] for step in steps]
    assert left == sorted(left)
    assert 5 < left[0] < left[-1] < 100
    assert page.count('class="veil"') == page.count('class="holds"') == 2


def test_the_stepper_uncovers_the_whole_action_that_it_names_and_no_later_one() -> None:
    timeline = schedules.simulate(ONE_F_ONE_B)
    for time in sorted({span.start for span in timeline.work}):
        for rank in range(3):
            until = pictures._shown(timeline, rank, time)
            now = [s.end for s in timeline.work if s.rank == rank and s.start <= time < s.end]
            assert until == now[0] if now else until > time
            assert not [s for s in timeline.work if s.rank == rank and time < s.start < until], (
                f"rank {rank} at {time}"
            )
    assert pictures._shown(timeline, 0, timeline.end) == timeline.end


def test_the_veil_begins_where_the_time_is_in_the_picture() -> None:
    """A black line at a time, found again in the pixels."""
    fig, ax = plt.subplots(figsize=(6, 2))
    ax.set(xlim=(0, 10), ylabel="left of the axes")
    ax.axis("off")
    ax.axvline(7.0, color="black")
    (place,) = pictures._places(ax, [7.0])
    png = plots.bundle(fig, alt=ALT)["text/html"].partition("base64,")[2].rstrip('">')
    plt.close(fig)
    pixels = plt.imread(io.BytesIO(base64.b64decode(png)))[..., 0]
    dark = np.flatnonzero(pixels.min(axis=0) < 0.5)
    assert abs(100 * dark.mean() / pixels.shape[1] - place) < 1


def test_outside_a_notebook_the_stepper_is_its_alternative_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pictures.step_through(schedules.simulate(GPIPE), alt=ALT)
    assert capsys.readouterr().out == f"[figure] {ALT}\n"
    with pytest.raises(ValueError, match="alternative text"):
        pictures.step_through(schedules.simulate(GPIPE), alt=" ")


def test_in_a_notebook_the_stepper_is_html() -> None:
    source = (
        "from utils.pipeline import pictures, schedules\n"
        "pictures.step_through(schedules.simulate([[('F', 0), ('B', 0)]]), alt='one rank')"
    )
    [[output]] = outputs_of(source)
    assert '<input type="range"' in output["data"]["text/html"]
    assert output["data"]["text/plain"] == "[figure] one rank"
