"""What simulated ranks do together, and that a stand-in does the same as real ranks."""

from typing import Any

import pytest
import torch

from utils import ranks
from utils.ranks import RankError
from utils.ranks.collectives import Call, Collectives, combine, simulate


def all_of_them(dist: Any) -> list[torch.Tensor]:
    rank, p = dist.get_rank(), dist.get_world_size()
    total, largest = torch.tensor([1.0 + rank, 2.0]), torch.tensor([float(rank)])
    dist.all_reduce(total)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    own, whole = torch.empty(2), torch.empty(2 * p)
    dist.reduce_scatter_tensor(own, torch.arange(2.0 * p) + rank)
    dist.all_gather_into_tensor(whole, own)
    return [total, largest, own, whole]


def test_simulated_ranks_find_what_real_ranks_find() -> None:
    simulated = simulate(all_of_them, 3).results
    real = ranks.run(all_of_them, 3, Collectives(), device="cpu")
    for one, other in zip(simulated, real, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert simulated[1][0].tolist() == [6, 6]
    assert simulated[1][1].tolist() == [2]
    assert simulated[1][2].tolist() == [9, 12]
    assert simulated[1][3].tolist() == [3, 6, 9, 12, 15, 18]


def test_every_collective_is_listed_with_its_phase_and_its_bytes() -> None:
    def job(dist: Any) -> None:
        dist.phase("forward")
        all_of_them(dist)

    calls = simulate(job, 4).calls
    assert [call.kind for call in calls] == ["sum", "max", "scatter", "gather"]
    assert calls[0] == Call("sum", 2, 8, "forward")
    assert calls[0].sent(4) == 12  # 2 · 3/4 of 8 bytes
    assert calls[2].sent(4) == calls[3].sent(4) == 24  # 3/4 of 32 bytes


def test_a_rank_finds_no_other_piece_of_a_scattered_sum() -> None:
    first, second = combine("scatter", [torch.ones(4), torch.ones(4)])
    assert first[:2].tolist() == second[2:].tolist() == [2, 2]
    assert first[2:].isnan().all()
    assert second[:2].isnan().all()


@pytest.mark.parametrize("back", [False, True])
def test_a_collective_may_stand_in_backward(back: bool) -> None:
    class Summed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, dist: Any) -> torch.Tensor:
            ctx.dist = dist
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, *dy: torch.Tensor) -> Any:
            total = dy[0].clone()
            ctx.dist.all_reduce(total)
            return total, None

    def job(dist: Any) -> Any:
        x = torch.ones(1, requires_grad=True)
        if dist.get_rank() < 2 or back:
            Summed.apply(x, dist).backward()
        return x.grad

    if back:
        assert [grad.item() for grad in simulate(job, 3).results] == [3, 3, 3]
    else:
        with pytest.raises(RankError, match="Rank 2 has ended"):
            simulate(job, 3)


def test_ranks_that_do_not_do_the_same_are_told() -> None:
    with pytest.raises(RankError, match=r"rank 1: sum of \(2,\)"):
        simulate(lambda dist: dist.all_reduce(torch.ones(1 + dist.get_rank())), 2)
    with pytest.raises(RankError, match="3 times the piece"):
        simulate(lambda dist: dist.reduce_scatter_tensor(torch.ones(2), torch.ones(5)), 3)
    with pytest.raises(RankError, match="MAX here"):
        simulate(lambda dist: dist.all_reduce(torch.ones(2), op=dist.ReduceOp.MIN), 2)


def test_an_exercise_that_is_not_done_stays_that() -> None:
    def job(dist: Any) -> None:
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        simulate(job, 2)
