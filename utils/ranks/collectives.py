"""What ranks do together: sum, maximum, scatter and gather, the same on real ranks and simulated.

    def total(dist):
        x = torch.ones(3)
        dist.all_reduce(x)
        return x

    outcome = simulate(total, 4)            # four ranks in this process
    outcome.results                         # what each rank returned
    outcome.calls                           # [Call(kind="sum", numbers=3, nbytes=12, phase="")]
    ranks.run(total, 4, Collectives())      # four processes

`Collectives` has those functions of `torch.distributed` that model parallelism needs, under one
name in every version of torch. Over `utils.ranks.carried` it says of each what it is, and whoever
carries them `combine`s what the ranks give.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed

from utils.ranks._words import RankError
from utils.ranks.carried import Carried

KINDS = ("sum", "max", "scatter", "gather")


@dataclass(frozen=True)
class Call:
    """One collective, in which every rank took part.

    kind: "sum" or "max", where every rank has the result; "scatter", a sum of which each rank has
    its piece; "gather", where the pieces are put together. numbers, nbytes: of the whole tensor.
    phase: what `Collectives.phase` last said.
    """

    kind: str
    numbers: int
    nbytes: int
    phase: str = ""

    def sent(self, p: int) -> float:
        """Bytes that each of p ranks sends if it is done round a ring (lab 12)."""
        rounds = 2 if self.kind in ("sum", "max") else 1
        return rounds * (p - 1) / p * self.nbytes


@dataclass
class Outcome:
    """What became of simulated ranks: what each returned, and the collectives, in order."""

    results: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


class Collectives:
    """The collectives of `torch.distributed`, or of a rank of `utils.ranks.carried`."""

    ReduceOp = torch.distributed.ReduceOp

    def __init__(self, dist: Any = torch.distributed) -> None:
        self._dist = dist

    def get_rank(self) -> int:
        return self._dist.get_rank()

    def get_world_size(self) -> int:
        return self._dist.get_world_size()

    def phase(self, name: str) -> None:
        """Say what comes now, for a picture; real ranks do nothing."""
        self._tell("phase", name)

    def all_reduce(self, tensor: torch.Tensor, op: Any = torch.distributed.ReduceOp.SUM) -> None:
        """Replace `tensor` on every rank by the sum over all; op=ReduceOp.MAX: by the largest."""
        kinds = {self.ReduceOp.SUM: "sum", self.ReduceOp.MAX: "max"}
        if op not in kinds:
            raise ValueError("all_reduce has op=dist.ReduceOp.SUM or op=dist.ReduceOp.MAX here.")
        if self._tell("collective", kinds[op]):
            self._dist.all_reduce(tensor)
        else:
            self._dist.all_reduce(tensor, op=op)

    def reduce_scatter_tensor(
        self, output_tensor: torch.Tensor, input_tensor: torch.Tensor
    ) -> None:
        """Put this rank's piece, (k,), of the sum of all inputs, (p·k,), into the output."""
        self._check(input_tensor, output_tensor, "reduce_scatter_tensor")
        if self._tell("collective", "scatter"):
            whole = input_tensor.detach().clone()
            self._dist.all_reduce(whole)
            output_tensor.detach().copy_(self._piece(whole, output_tensor))
        else:
            self._newest("reduce_scatter")(output_tensor, input_tensor)

    def all_gather_into_tensor(
        self, output_tensor: torch.Tensor, input_tensor: torch.Tensor
    ) -> None:
        """Put all ranks' `input_tensor`, (k,), one after another into the output, (p·k,)."""
        self._check(output_tensor, input_tensor, "all_gather_into_tensor")
        if self._tell("collective", "gather"):
            whole = torch.zeros_like(output_tensor)
            self._piece(whole, input_tensor).copy_(input_tensor.detach())
            self._dist.all_reduce(whole)
            output_tensor.detach().copy_(whole)
        else:
            self._newest("all_gather")(output_tensor, input_tensor)

    # Their names in newer versions of torch
    reduce_scatter_single = reduce_scatter_tensor
    all_gather_single = all_gather_into_tensor

    def tell(self, value: Any) -> None:
        """Put a value into the report of `utils.ranks.carried`."""
        self._dist.tell(value)

    def _tell(self, about: str, name: str) -> bool:
        """Whether the ranks are carried, and have been told."""
        if not hasattr(self._dist, "tell"):
            return False
        self._dist.tell((about, name))
        return True

    def _piece(self, whole: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        rank, size = self.get_rank(), like.numel()
        return whole.flatten()[rank * size : (rank + 1) * size].view_as(like)

    def _check(self, whole: torch.Tensor, piece: torch.Tensor, name: str) -> None:
        for tensor in (whole, piece):
            if not isinstance(tensor, torch.Tensor):
                raise TypeError(f"{name} takes two tensors, not {type(tensor).__name__}.")
        p = self.get_world_size()
        if whole.numel() != p * piece.numel():
            raise ValueError(
                f"{name}: the whole has {whole.numel()} numbers and the piece {piece.numel()}; for"
                f" {p} ranks the whole is {p} times the piece."
            )
        if whole.dtype != piece.dtype:
            raise ValueError(f"{name}: the whole is {whole.dtype}, the piece {piece.dtype}.")

    def _newest(self, name: str) -> Callable[..., Any]:
        older = {
            "reduce_scatter": "reduce_scatter_tensor",
            "all_gather": "all_gather_into_tensor",
        }
        newest = getattr(self._dist, f"{name}_single", None)  # from torch 2.14 on
        return newest or getattr(self._dist, older[name])


def combine(kind: str, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """What each rank finds after a collective; parts: what each gave, all of the same shape.

    For "gather" a rank gives its piece in its place of the whole. After "scatter" there is NaN in
    all of it but the rank's own piece.
    """
    p, stacked = len(parts), torch.stack(list(parts))
    if kind == "gather":
        flat, size = stacked.flatten(1), parts[0].numel() // p
        pieces = [flat[rank, rank * size : (rank + 1) * size] for rank in range(p)]
        return [torch.cat(pieces).view_as(parts[0])] * p
    total = stacked.amax(dim=0) if kind == "max" else stacked.sum(dim=0)
    if kind != "scatter":
        return [total] * p
    size, each = total.numel() // p, []
    for rank in range(p):
        own = torch.full_like(total, float("nan")).flatten()
        own[rank * size : (rank + 1) * size] = total.flatten()[rank * size : (rank + 1) * size]
        each.append(own.view_as(total))
    return each


def simulate(fn: Callable[..., Any], world_size: int, *args: Any) -> Outcome:
    """Run fn(dist, *args) on `world_size` ranks that are threads of this process, in turn.

    dist: a `Collectives`. Raises RankError if a rank raises, or if not all take part in a
    collective, or with tensors of other shapes; NotImplementedError if a rank raises that.
    """
    talk = Carried(lambda dist: fn(Collectives(dist), *args), world_size)
    found, ended, report = Outcome(), {}, talk.report
    kinds, phases = ["sum"] * world_size, [""] * world_size
    waiting: dict[int, tuple[str, torch.Tensor, int]] = {}
    try:
        while True:
            for rank, acts in enumerate(report):
                for act in acts:
                    if act[0] == "tell" and act[1][0] == "collective":
                        kinds[rank] = act[1][1]
                    elif act[0] == "tell" and act[1][0] == "phase":
                        phases[rank] = act[1][1]
                    elif act[0] == "reduce":
                        waiting[rank] = kinds[rank], act[1], act[2]
                    elif act[0] == "ended":
                        ended[rank] = act[1]
            if len(ended) == world_size:
                found.results = [ended[rank] for rank in range(world_size)]
                return found
            if len(waiting) < world_size:
                raise RankError(talk.words())
            parts = [waiting[rank] for rank in range(world_size)]
            if len({(kind, part.shape, part.dtype) for kind, part, _ in parts}) > 1:
                each = [f"rank {r}: {k} of {tuple(x.shape)}" for r, (k, x, _) in enumerate(parts)]
                raise RankError(f"The ranks do not do the same together. {'; '.join(each)}.")
            kind, first, _ = parts[0]
            found.calls.append(Call(kind, first.numel(), first.nbytes, phases[0]))
            given = combine(kind, [part for _, part, _ in parts])
            waiting.clear()
            report = talk.resume([(r, parts[r][2], "", given[r]) for r in range(world_size)])
    finally:
        if len(ended) < world_size:
            talk.end()
