"""Schedules from papers, for any number of ranks, as `schedules` has them.

Lab 14 has its learners write GPipe and 1F1B; here are 1F1B and what came after it.
"""

from collections.abc import Sequence
from typing import Literal

from utils.pipeline.schedules import Action


def one_f_one_b(ranks: int, microbatches: int) -> list[list[Action]]:
    """Rank r begins with ranks − r forwards, then a backward and a forward take turns.

    Narayanan and others (2021), Memory-Efficient Pipeline-Parallel DNN Training, arXiv:2006.09503.
    """
    forwards: list[Action] = [("F", m) for m in range(microbatches)]
    backwards: list[list[Action]] = [[("B", m)] for m in range(microbatches)]
    return [_in_turn(ranks - rank, forwards, backwards) for rank in range(ranks)]


def interleaved(ranks: int, microbatches: int, chunks: int) -> list[list[Action]]:
    """1F1B where each rank holds `chunks` stages: rank r has stages r, r + ranks, r + 2 ranks, …

    The micro-batches go round the ranks in groups of `ranks`, of which they must be a multiple:
    else ValueError. Narayanan and others (2021), Efficient Large-Scale Language Model Training on
    GPU Clusters Using Megatron-LM, arXiv:2104.04473, section 2.2.
    """
    if chunks == 1:
        return one_f_one_b(ranks, microbatches)
    if microbatches % ranks:
        raise ValueError(f"{microbatches} micro-batches make no groups of {ranks}, one for a rank.")
    rounds = [
        (chunk, first + m)
        for first in range(0, microbatches, ranks)
        for chunk in range(chunks)
        for m in range(ranks)
    ]
    schedule = []
    for rank in range(ranks):
        held = [rank + ranks * chunk for chunk in range(chunks)]
        forwards: list[Action] = [(f"{held[chunk]}F", m) for chunk, m in rounds]
        backwards: list[list[Action]] = [[(f"{held[-1 - chunk]}B", m)] for chunk, m in rounds]
        ahead = 2 * (ranks - 1 - rank) + (chunks - 1) * ranks + 1
        schedule.append(_in_turn(ahead, forwards, backwards))
    return schedule


def zero_bubble(ranks: int, microbatches: int, version: Literal[1, 2] = 1) -> list[list[Action]]:
    """Backwards in two parts, "I" and "W", with W put off to where a rank would idle.

    version: 1 for ZB-H1, which holds `ranks` micro-batches on every rank, as 1F1B does on its
    first; 2 for ZB-H2, which holds 2 ranks − 1, and where no rank idles between its first action
    and its last. So it is if F, I and W take equally long, with at least as many micro-batches as
    are held.

    Qi and others (2024), Zero Bubble Pipeline Parallelism, arXiv:2401.10241, section 2, which draws
    both; the rule by which they are written here is this course's own.
    """
    forwards: list[Action] = [("F", m) for m in range(microbatches)]
    schedule = []
    for rank in range(ranks):
        put_off = version * rank  # by so many micro-batches
        backwards: list[list[Action]] = [
            [("I", m), ("W", m - put_off)] if m >= put_off else [("I", m)]
            for m in range(microbatches)
        ]
        ahead = version * (ranks - rank) - (version - 1)
        left = range(max(0, microbatches - put_off), microbatches)
        schedule.append([*_in_turn(ahead, forwards, backwards), *[("W", m) for m in left]])
    return schedule


def _in_turn(
    ahead: int, forwards: Sequence[Action], backwards: Sequence[Sequence[Action]]
) -> list[Action]:
    """`ahead` forwards, then backwards and forwards in turn, then the backwards that are left."""
    actions = list(forwards[:ahead])
    for number, backward in enumerate(backwards):
        actions += [*backward, *forwards[ahead + number : ahead + number + 1]]
    return actions
