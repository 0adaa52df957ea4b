"""Ranks: one function run by p processes that send each other tensors, from a notebook.

    def total() -> float:
        x = torch.tensor([float(dist.get_rank())])
        dist.all_reduce(x)
        return x.item()

    ranks.run(total, 4)      # [6.0, 6.0, 6.0, 6.0]

`run` takes functions that are defined in the notebook. In each rank `torch.distributed` is ready,
`device()` is the rank's device, and what is printed appears in the notebook at once, with the
rank's number. A call has a time limit. If a rank fails, `RankError` tells which one failed first,
on which line, and where each other rank was waiting; the next call finds all ranks ready again.

The processes. The first call (or `warm_up`) starts one subprocess, which imports torch, computes
nothing, and forks the ranks when they are wanted: a rank that has to be replaced, because it waits
for a message that nobody sends, is there again in a hundredth of a second. The kernel itself is
never forked: a fork of a process in which torch has computed hangs. (Where forking is not safe, on
macOS and Windows, every rank is a subprocess that imports torch itself.) Functions travel by
cloudpickle. Ranks find each other through a file, so there is no port to collide with another's,
and all of them end when the kernel ends, however it ends.

What else there is, and why it is not used. `ipyparallel` keeps engines as well and has cells run on
them, but it is a cluster of servers with ports and keys of its own, its engines do not know each
other, and one that waits inside torch can be neither questioned nor replaced by itself.
`torch.multiprocessing.spawn` and `torch.distributed.elastic` (torchrun) start processes afresh for
every run, at seconds apiece, from functions in importable files; their report is a traceback of the
rank that failed, without the others. For several machines torchrun is right, and the same functions
run under it: see `utils.ranks.__main__` and docs/ranks.md.

`utils.ranks.simulated` has ranks that are threads of one process, for checks and for drawing.
"""

from utils.ranks._group import SEVERAL_RANKS_A_GPU, Plan, device, lay_out, plan, recv, send
from utils.ranks._pool import run, stop, warm_up
from utils.ranks._words import RankError

__all__ = [
    "SEVERAL_RANKS_A_GPU",
    "Plan",
    "RankError",
    "device",
    "lay_out",
    "plan",
    "recv",
    "run",
    "send",
    "stop",
    "warm_up",
]
