"""Ranks between which somebody else carries the messages."""

import threading
from typing import Any

import pytest
import torch

from utils.ranks.carried import Carried


def pass_on(dist: Any) -> float:
    rank, received = dist.get_rank(), torch.zeros(1)
    request = dist.isend(torch.tensor([rank + 1.0]), 1 - rank)
    dist.recv(received, 1 - rank)
    request.wait()
    dist.tell("received")
    return received.item()


def test_ranks_run_until_they_wait_and_get_what_the_carrier_gives() -> None:
    ranks = Carried(pass_on, 2)
    sent, received, wait = ranks.report[0]
    assert sent[:2] == ("send", 1)
    assert (sent[2].item(), sent[3]) == (1.0, 0)
    assert received == ("receive", 1, [1], "float32", 1)
    assert wait == ("wait", 1)
    report = ranks.resume([(0, 0, "", None), (0, 1, "", torch.tensor([7.0]))])
    assert report == [[("wait", 0), ("tell", "received"), ("ended", 7.0)], []]
    report = ranks.resume([(1, 1, "", torch.tensor([8.0]))])
    assert report == [[], [("wait", 0)]]
    assert ranks.resume([(1, 0, "", None)])[1][-1] == ("ended", 8.0)


def test_who_waits_where_is_told_and_all_can_be_ended() -> None:
    before = threading.active_count()
    ranks = Carried(pass_on, 2)
    assert "Rank 1 waits in recv for rank 0: `pass_on`" in ranks.words()
    ranks.end()
    assert threading.active_count() == before


def test_what_a_rank_raises_is_told_and_a_stub_is_not_implemented() -> None:
    def job(dist: Any) -> None:
        raise (KeyError if dist.get_rank() else NotImplementedError)("x")

    with pytest.raises(NotImplementedError):
        Carried(job, 2)

    def other(dist: Any) -> None:
        if dist.get_rank():
            raise KeyError("x")
        dist.all_reduce(torch.zeros(2))

    ranks = Carried(other, 2)
    assert ranks.report[1] == [("failed",)]
    assert ranks.report[0][0][0] == "reduce"
    assert "Rank 1 failed: KeyError" in ranks.words()
    ranks.end()


def test_a_misfit_and_a_tensor_changed_under_way_are_the_ranks_error() -> None:
    def job(dist: Any) -> None:
        x = torch.zeros(2)
        request = dist.isend(x, 1 - dist.get_rank())
        x += 1
        request.wait()

    ranks = Carried(job, 2)
    ranks.resume([(0, 0, "", None), (1, 0, "Rank 1 receives another shape.", None)])
    assert "Rank 0 changed a tensor while it was being sent to rank 1" in ranks.words()
    ranks.end()
