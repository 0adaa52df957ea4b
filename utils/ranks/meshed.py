"""Carried ranks that make process groups: what `carried` has, with `new_group` and `group=`.

    talk = Carried(meshed(job), 4)    # job(dist): dist.all_reduce(x, group=dist.new_group([0, 2]))

Which group a rank makes, and whose the next reduction is, it tells to whoever carries:
("tell", ["new_group", [0, 2]]) and ("tell", ["group", [0, 2], 1]), with the group's number: the how
manieth it was that the rank made, from 1; 0: all ranks.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from utils.ranks.carried import CarriedDistributed


class Group:
    """Some of the ranks, as `new_group` returns it."""

    def __init__(self, ranks: tuple[int, ...], number: int) -> None:
        self.ranks, self.number = ranks, number

    def __repr__(self) -> str:
        return f"the group of ranks {list(self.ranks)}"


class MeshedDistributed(CarriedDistributed):
    """What stands for `torch.distributed` on a rank of a mesh."""

    _made = 0

    def get_rank(self, group: Group | None = None) -> int:
        return self._rank if group is None else self._of(group).ranks.index(self._rank)

    def get_world_size(self, group: Group | None = None) -> int:
        return self._world.size if group is None else len(self._of(group).ranks)

    def new_group(self, ranks: Iterable[int] | None = None, **_: Any) -> Group:
        """A group of some ranks. Every rank calls it for every group, in the same order."""
        every = range(self._world.size)
        members = tuple(every if ranks is None else ranks)
        if not members or len(set(members)) < len(members) or not set(members) <= set(every):
            raise ValueError(f"new_group: {list(members)} are not different ranks of {len(every)}.")
        members = tuple(sorted(int(one) for one in members))
        self.tell(["new_group", list(members)])
        self._made += 1
        return Group(members, self._made)

    def all_reduce(  # pyright: ignore[reportIncompatibleMethodOverride]  (torch's own order)
        self, tensor: torch.Tensor, op: Any = None, group: Any = None, async_op: bool = False
    ) -> Any:
        """Replace `tensor` by the sum over the group, on each of its ranks."""
        whole = Group(tuple(range(self._world.size)), 0)
        of = whole if group is None else self._of(group)
        self.tell(["group", list(of.ranks), of.number])
        return super().all_reduce(tensor, op, async_op)

    def barrier(self, group: Any = None) -> None:
        self.all_reduce(torch.zeros(0), group=group)

    def _of(self, group: object) -> Group:
        if not isinstance(group, Group):
            raise TypeError(f"A group is what new_group returned, not {group!r}.")
        if self._rank not in group.ranks:
            raise ValueError(f"Rank {self._rank} is not in {group!r}, and takes no part in it.")
        return group


def meshed(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """fn(dist) for `Carried`, with a `dist` that makes groups."""
    return lambda dist: fn(MeshedDistributed(dist._talk, dist.get_rank()))
