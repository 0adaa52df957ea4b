"""Messages between the neighbours of a pipeline. What is here runs inside `ranks.run`."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from utils.pipeline.schedules import Action

_KINDS = ("F", "B")

_DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
)

_HEADER = 64  # whole numbers that describe a message: its action, and each tensor's dtype and shape


class Link:
    """Sends and receives tensors between a rank and its neighbours, "previous" and "next".

        link.send("next", ("F", 2), (y.detach(),))
        (x,) = link.recv("previous", ("F", 2))

    A message is labelled with the action that made it, and `recv` waits for the message with that
    label. Sending does not wait: `finish` does, at the end. What is received is a new tensor, and
    no part of any graph.
    """

    def __init__(self, dist: Any = torch.distributed, device: torch.device | None = None) -> None:
        """dist: `torch.distributed`, or what stands for it on simulated ranks."""
        self.rank, self.ranks = dist.get_rank(), dist.get_world_size()
        self._dist, self._device = dist, device or torch.device("cpu")
        backend = dist.get_backend() if hasattr(dist, "get_backend") else ""
        self._wire = torch.device("cpu") if backend != "nccl" else self._device
        # NCCL keeps the order between two ranks, whichever the direction: a group for each.
        self._groups = (
            {kind: {"group": dist.new_group()} for kind in _KINDS} if backend == "nccl" else {}
        )
        self._sent: dict[tuple[str, Action], list[Any]] = {}
        self._arrived: dict[tuple[str, Action], tuple[Tensor, ...]] = {}

    def send(self, to: str, action: Action, values: tuple[Tensor, ...]) -> None:
        """Begin to send a tuple of tensors to the "previous" or "next" rank.

        Raises TypeError for anything but tensors, ValueError for tensors that belong to a graph.
        """
        other, action = neighbour(self.rank, self.ranks, to), label_of(action)
        require_data(values)
        data = [value.contiguous().to(self._wire) for value in values]
        header = _describe(action, data).to(self._wire)
        options = self._groups.get(action[0], {})
        self._sent[to, action] = [
            self._dist.isend(one, other, **options) for one in (header, *data)
        ]

    def recv(self, source: str, action: Action) -> tuple[Tensor, ...]:
        """Wait for the message that is labelled `action`, from the "previous" or "next" rank."""
        other, action = neighbour(self.rank, self.ranks, source), label_of(action)
        while (source, action) not in self._arrived:
            label, values = self._next_message(other, source)
            self._arrived[source, label] = values
        kind, m = action
        if kind == "B":  # the gradient is here, so the activation has long been there
            self._settle(self._sent.pop((source, ("F", m)), []))
        return self._arrived.pop((source, action))

    def finish(self) -> None:
        """Wait until everything that was sent has been received."""
        for requests in self._sent.values():
            self._settle(requests)
        self._sent.clear()

    def waiting(self) -> str:
        """What has arrived and was never asked for, in words; empty if nothing."""
        labels = [f"{kind}{m} from the {source} rank" for source, (kind, m) in self._arrived]
        return ", ".join(labels)

    def _next_message(self, other: int, source: str) -> tuple[Action, tuple[Tensor, ...]]:
        options = self._groups.get("F" if source == "previous" else "B", {})
        header = torch.empty(_HEADER, dtype=torch.int64, device=self._wire)
        self._dist.recv(header, other, **options)
        action, forms = _described(header)
        values = [torch.empty(shape, dtype=dtype, device=self._wire) for dtype, shape in forms]
        for value in values:
            self._dist.recv(value, other, **options)
        return action, tuple(value.to(self._device) for value in values)

    @staticmethod
    def _settle(requests: list[Any]) -> None:
        for request in requests:
            request.wait()


def neighbour(rank: int, ranks: int, which: str) -> int:
    """The number of the "previous" or "next" rank; ValueError where there is none."""
    if which not in ("previous", "next"):
        raise ValueError(f'A neighbour is "previous" or "next", not {which!r}.')
    other = rank + (1 if which == "next" else -1)
    if not 0 <= other < ranks:
        place = "last" if which == "next" else "first"
        raise ValueError(f"Rank {rank} is the {place}: it has no {which} rank.")
    return other


def label_of(action: object) -> Action:
    """The action, if a message can be labelled with it; ValueError if not."""
    if (
        not isinstance(action, tuple)
        or len(action) != 2
        or action[0] not in _KINDS
        or not isinstance(action[1], int)
    ):
        raise ValueError(f'A message is labelled with an action such as ("F", 0), not {action!r}.')
    return action


def require_data(values: object) -> None:
    """Refuse what is no tuple of tensors without a graph: TypeError or ValueError."""
    if not isinstance(values, tuple):
        kind = type(values).__name__
        raise TypeError(f"send takes a tuple of tensors, not a {kind}: write (y,) for one tensor.")
    for number, value in enumerate(values):
        if not isinstance(value, Tensor):
            raise TypeError(f"send takes tensors; value {number} is {value!r}.")
        if value.requires_grad:
            raise ValueError(
                f"send takes data; value {number} is attached to this rank's graph, which cannot"
                " travel: send its detach()."
            )


def _describe(action: Action, values: Sequence[Tensor]) -> Tensor:
    numbers = [_KINDS.index(action[0]), action[1], len(values)]
    for value in values:
        numbers += [_DTYPES.index(value.dtype), value.ndim, *value.shape]
    if len(numbers) > _HEADER:
        raise ValueError("The message has too many tensors or dimensions: send fewer at a time.")
    return torch.tensor(numbers + [0] * (_HEADER - len(numbers)), dtype=torch.int64)


def _described(header: Tensor) -> tuple[Action, list[tuple[torch.dtype, tuple[int, ...]]]]:
    kind, microbatch, count, *rest = header.tolist()
    forms = []
    for _ in range(count):
        dtype, ndim, *rest = rest
        forms.append((_DTYPES[dtype], tuple(rest[:ndim])))
        rest = rest[ndim:]
    return (_KINDS[kind], microbatch), forms


Send = Callable[[str, Action, tuple[Tensor, ...]], None]

Receive = Callable[[str, Action], tuple[Tensor, ...]]
