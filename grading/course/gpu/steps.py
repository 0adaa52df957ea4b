"""What to try on a machine, in order of worth: what only a GPU can show comes first."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

# Labs by what a GPU shows of them; those that are not named come last, in the course's order.
WORTH = [
    "11_gpu",
    "15_pipeline",
    "06_cifar",
    "05_convolution",
    "09_char_rnn",
    "16_beyond_backprop",
    "07_inside",
    "04_training",
    "03_autograd",
    "17_capstone",
    "12_data_parallel",
    "08_inference",
]
SLOWER = 4  # as many times the limits without a GPU: such a machine is slow, and often busy
SHARE_OF_BUDGET = 1 / 8  # that one lab may take at most, if that is longer than its least limit


@dataclass(frozen=True)
class Step:
    """One thing to try, in a process of its own.

    kind: which function does it, see `__main__`; given: its arguments; limit: seconds; alone:
    whether it measures, so that nothing else may run beside it.
    """

    name: str
    kind: str
    limit: float
    given: dict[str, Any] = field(default_factory=dict)
    alone: bool = True


LOOK = Step("machine", "machine", 300)


def steps(machine: dict[str, Any], labs: Sequence[str], scale: str, budget: float) -> list[Step]:
    """machine: as `machine.look` gives it; budget: seconds for everything."""
    slower = 1 if machine["gpus"] else SLOWER
    here = {"gpus": len(machine["gpus"]), "nccl": machine["nccl"]}
    found = [Step("kernels", "kernels", 60)]
    found += [
        Step(f"ranks, {way.name}", "exchange", 45, {"way": way.name} | here)
        for way in ways(here["gpus"], tuple(here["nccl"]))
        if not way.impossible
    ]
    found += [
        Step("engines, stages that sleep", "sleeping", 60, here),
        Step("engines, real layers", "layers", 90, here),
        Step("networks", "networks", 60),
    ]
    limit = max(90.0, SHARE_OF_BUDGET * budget / slower)
    order = [lab for lab in WORTH if lab in labs] + [lab for lab in labs if lab not in WORTH]
    given = {"scale": scale}
    found += [Step(lab, "lab", limit, {"lab": lab} | given, alone=False) for lab in order]
    return [replace(one, limit=slower * one.limit) for one in found]


@dataclass(frozen=True)
class Way:
    """A way for ranks to send each other tensors. gpus, nccl: what `ranks.lay_out` is told.

    impossible: why this machine does not have it; "" where it does.
    """

    name: str
    ranks: int
    gpus: int
    nccl: tuple[int, ...]
    impossible: str = ""


def ways(gpus: int, nccl: tuple[int, ...]) -> list[Way]:
    """All ways, with those that a machine with so many GPUs and this NCCL does not have."""
    from utils.ranks import SEVERAL_RANKS_A_GPU

    none = "" if gpus else "there is no GPU"
    version = ".".join(map(str, nccl))
    wanted = ".".join(map(str, SEVERAL_RANKS_A_GPU))
    old = "" if nccl >= SEVERAL_RANKS_A_GPU else f"it takes NCCL {wanted}, and here is {version}"
    one = "" if gpus != 1 else "there is one GPU"
    return [
        Way("on the CPU, gloo", 4, 0, ()),
        Way("a GPU each, NCCL", max(gpus, 2), gpus, nccl, none or one),
        Way("two on each GPU, NCCL", 2 * max(gpus, 1), gpus, nccl, none or old),
        Way("two on each GPU, gloo by way of the CPU", 2 * max(gpus, 1), gpus, (), none),
    ]
