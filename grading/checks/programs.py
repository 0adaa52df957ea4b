"""Programs of several ranks: the judge carries their messages, keeps their disk, and kills them.

The ranks of a mesh run in the student's process (`utils.ranks.meshed`), and the judge is the network
between them, as in `carrier`. What goes over a link, and what a group sums, arrives multiplied by a
secret factor of that link or group: a result that went another way has other numbers. `one_process`
computes what they must be.

A disk is a dict of file names and bytes. The judge takes it from one call and gives it, whole, torn
or as it was at some moment, to the next, in a folder that the program has not seen.
"""

import itertools
from typing import Any

import numpy as np
import torch

from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.carrier import Network

Disk = dict[str, bytes]


class Stopped(Exception):
    """The judge ended the ranks, as a kill does."""


class Mesh(Network):
    """Carries the messages of a mesh. rows: the ranks of each replica's stages, in order.

    factors: whether what arrives is multiplied; most: after so many messages and sums it kills all.
    groups: what each rank made, in order; sums: (group, how many numbers); crossing: (source,
    target) of messages that are not between neighbours of a row.
    """

    def __init__(
        self,
        rows: list[list[int]],
        rng: np.random.Generator,
        name: str,
        given: str,
        *,
        factors: bool = True,
        most: int = 10**9,
    ) -> None:
        p = sum(map(len, rows))
        super().__init__(p, name, given)
        self.rows, self.columns = rows, [sorted(one) for one in zip(*rows, strict=True)]
        draw = lambda: float(rng.uniform(0.6, 1.4)) if factors else 1.0  # noqa: E731
        self.link = {(a, b): draw() for a in range(p) for b in range(p)}
        self.group = {tuple(one): draw() if len(one) > 1 else 1.0 for one in self.columns}
        self.most, self.carried = most, 0
        self.groups: list[list[list[int]]] = [[] for _ in range(p)]
        self.sums: list[tuple[tuple[int, ...], int]] = []
        self.crossing: list[tuple[int, int]] = []
        self._next: dict[int, tuple[tuple[int, ...], int]] = {}  # the group, and which of that name
        self._open: dict[Any, list[list[Any]]] = {}

    def hears(self, rank: int, value: Any) -> None:
        name, ranks, *number = value if type(value) is list and len(value) in (2, 3) else ("", 0)
        fine = (name, len(number)) in (("new_group", 0), ("group", 1))
        fine = fine and type(ranks) is list and all(type(one) is int for one in [*ranks, *number])
        expect.that(fine, "The ranks' report has no form that it can have.", kind="type")
        if name == "new_group":
            self.groups[rank].append(ranks)
        else:
            self._next[rank] = tuple(ranks), number[0]

    def posted(self, request: Any) -> None:
        ends = request.rank, request.peer
        pairs = [pair for row in self.rows for pair in itertools.pairwise(row)]
        if ends not in pairs and ends[::-1] not in pairs:
            self.crossing.append(ends)
        self._count()

    def arrives(self, sent: Any, target: int) -> torch.Tensor:
        return sent.values * self.link[sent.rank, target]

    def _reduce(self, request: Any, values: torch.Tensor, _: int) -> None:
        request.values, key = values, self._next.pop(request.rank, ((), 0))
        waiting, group = self._open.setdefault(key, []), key[0]
        parts = next((one for one in waiting if request.rank not in [r.rank for r in one]), None)
        if parts is None:
            waiting.append(parts := [])
        parts.append(request)
        if len(parts) < len(group):
            return
        waiting.remove(parts)
        self.sums.append((group, values.numel()))
        forms = {(tuple(one.values.shape), one.values.dtype) for one in parts}
        if len(forms) > 1:
            if list(group) not in self.columns:
                raise self._strange(group)
            listed = ", ".join(f"rank {one.rank} gives {tuple(one.values.shape)}" for one in parts)
            raise self.deadlock(f"Of one all_reduce {listed}.")
        parts.sort(key=lambda one: one.rank)
        total = sum(one.values for one in parts) * self.group.get(group, 1.0)
        for one in parts:
            self._complete(one, one.posted, values=total)
        self._count()

    def _count(self) -> None:
        self.carried += 1
        if self.carried >= self.most:
            raise Stopped

    def deadlock(self, detail: str) -> Fault:
        fault = super().deadlock(detail)
        told = {tuple(map(tuple, made)) for made in self.groups}
        if any(parts for group in self._open.values() for parts in group):
            fault.diagnosis = (
                "Some ranks wait in an all_reduce that others of its group never call: every rank of"
                " the group calls it equally often, in the same order. Is the group the ranks that"
                " hold the same stage?"
            )
        open_groups = [ranks for (ranks, _), parts in self._open.items() if parts]
        if len(set(open_groups)) < len(open_groups):
            fault.diagnosis = (
                "Several groups of the very same ranks are made, and not all ranks use the same one of"
                " them: each call of new_group makes another group, so make each once."
            )
        if len(told) > 1:
            fault.diagnosis = GROUPS
        return fault

    def _strange(self, group: tuple[int, ...]) -> Fault:
        every = group == tuple(range(self.p))
        return Fault(
            "value",
            "An all_reduce has another group than that of the ranks with the same stage.",
            "Without `group=` all_reduce sums over all ranks, also over those that hold other stages."
            if every
            else "Gradients of the same stage belong together: the group to give is the data group.",
            detail=f"Its group: {list(group)}; the data groups: {self.columns}.",
            given=self.given,
        )

    def judge(self, held: list[int], losses: int) -> None:
        """Gradients crossed data groups and nothing else. held: the numbers of each stage's
        parameters; losses: how many losses the last stage may have summed besides."""
        columns = [tuple(one) for one in self.columns]
        for group, _ in self.sums:
            if group not in columns:
                raise self._strange(group)
        expect.that(
            not self.crossing,
            "A message goes to a rank that is no neighbour in this rank's pipeline.",
            given=self.given,
            detail=f"(source, target): {self.crossing[:4]}; pipelines: {self.rows}.",
            diagnosis="The next stage is the next entry of `pipeline`, which need not be rank + 1.",
        )
        for stage, column in enumerate(columns):
            if len(column) == 1:
                continue
            went = sum(count for group, count in self.sums if group == column)
            more = losses if stage == len(columns) - 1 else 0
            wanted = {held[stage], held[stage] + more}
            expect.that(
                went in wanted,
                "Through some data group go more or fewer numbers than its stage has gradients.",
                given=self.given,
                detail=f"Stage {stage}: expected {sorted(wanted)}, yours {went}.",
                diagnosis="After all micro-batches each gradient is summed once over its data group.",
            )


GROUPS = (
    "Not all ranks make the same groups in the same order. new_group is a call that all ranks make"
    " together, also those that are not in the group."
)


class _Scaled(torch.autograd.Function):
    """A link: what goes over it is multiplied, and on the way back by another factor."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, there: float, back: float) -> torch.Tensor:
        ctx.back = back
        return there * x

    @staticmethod
    def backward(ctx: Any, *dy: torch.Tensor) -> Any:
        return ctx.back * dy[0], None, None


def one_process(
    net: Mesh, stages: list[torch.nn.Module], batches: list[list[Any]], loss: Any
) -> tuple[float, list[list[torch.Tensor]]]:
    """The loss and each stage's gradients of one batch, through the links and sums of `net`.

    batches: of each replica its micro-batches, (images, targets); loss(output, target).
    """
    total, found = 0.0, [[torch.zeros_like(p) for p in stage.parameters()] for stage in stages]
    for row, micro in zip(net.rows, batches, strict=True):
        for x, target in micro:
            for at, stage in enumerate(stages):
                if at:
                    a, b = row[at - 1], row[at]
                    x = _Scaled.apply(x, net.link[a, b], net.link[b, a])
                x = stage(x)
            value = loss(x, target) / (len(micro) * len(net.rows))
            total += value.item()
            every = [p for stage in stages for p in stage.parameters()]
            gradients = iter(torch.autograd.grad(value, every))
            for stage in found:
                for one in stage:
                    one += next(gradients)
    for stage, column in zip(found, net.columns, strict=True):
        for one in stage:
            one *= net.group[tuple(column)]
    return total * net.group[tuple(net.columns[-1])], found


# What runs beside the student's code


@probe
def stepping(learner, setting):
    """Begin one batch of `hybrid_step` on carried ranks."""
    import torch

    from utils.ranks.carried import Carried
    from utils.ranks.meshed import meshed

    rows = setting["rows"]
    columns = [list(one) for one in zip(*rows, strict=True)]

    def job(dist):
        rank = dist.get_rank()
        made = [dist.new_group(one) for one in columns]
        replica = next(r for r, row in enumerate(rows) if rank in row)
        at = rows[replica].index(rank)
        weights = setting["weights"][at]
        module = torch.nn.Sequential(
            *[torch.nn.Linear(*w.shape[::-1], bias=False) for w in weights]
        )
        for layer, weight in zip(module, weights, strict=True):
            layer.weight = torch.nn.Parameter(weight.clone())
        module.append(torch.nn.Tanh())
        mine = setting["inputs"][replica] if at == 0 else setting["room"][at]
        inputs = [one.clone() for one in mine]
        targets = setting["targets"][replica]

        def loss(m, output):
            return ((output - targets[m]) ** 2).mean()

        last = at == len(columns) - 1
        value = learner.hybrid_step(
            dist, list(rows[replica]), made[at], len(rows), module, inputs, loss if last else None
        )
        kept = at > 0 or all(torch.equal(a, b) for a, b in zip(mine, inputs, strict=True))
        clean = at > 0 or not any(one.requires_grad for one in inputs)
        gradients = [layer.weight.grad for layer in module[:-1]]
        return value, [g if g is not None else torch.zeros(0) for g in gradients], kept and clean

    ranks = Carried(meshed(job), sum(map(len, rows)))
    return ranks, ranks.report


@probe
def folder_with(learner, disk):
    """A new folder that holds these files."""
    import tempfile

    from utils import program

    folder = tempfile.mkdtemp(prefix="judged-")
    program.put(folder, disk)
    return folder


@probe
def taken(learner, folder):
    """What is in a folder, which is then removed."""
    import shutil

    from utils import program

    found = program.files(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return found


@probe
def training(learner, fields, folder, ranks):
    """Begin `train` on carried ranks."""
    from utils.program import Job
    from utils.ranks.carried import Carried
    from utils.ranks.meshed import meshed

    job = Job(**fields)

    def run(dist):
        losses, weights = learner.train(dist, job, folder)
        return list(losses), list(weights)

    found = Carried(meshed(run), ranks)
    return found, found.report


@probe
def warmed(learner):
    """Begin what takes seconds at the first start of processes."""
    from utils import ranks

    ranks.warm_up()


@probe
def processes(learner, fields, folder, ranks, victim, moment):
    """`train` on real ranks, of which one is killed. True for a kill; else what each returned."""
    from utils import program
    from utils import ranks as pool
    from utils.program import Job

    inputs = learner.train, Job(**fields), folder, victim, moment
    try:
        found = pool.run(program.run_until, ranks, *inputs, device="cpu", timeout=40.0)
    except pool.RankError as error:
        if error.reason == "died":
            return True
        raise
    return [(list(losses), list(weights), count) for (losses, weights), count in found]


@probe
def saved(learner, disk, calls, watch):
    """Make these calls of `save` in a folder of these files: what it holds then, or, if asked for,
    at each moment of the last call."""
    import tempfile

    from utils import program

    with tempfile.TemporaryDirectory(prefix="judged-") as folder:
        program.put(folder, disk)
        for step, rank, mesh, state in calls[:-1]:
            learner.save(folder, step, rank, mesh, state)
        act = lambda: learner.save(folder, *calls[-1])  # noqa: E731
        if watch:
            return program.snapshots(folder, act)
        act()
        return [program.files(folder)]


@probe
def resumed(learner, disk, ranks, mesh):
    """For each rank what `resume` returns of these files, or the ValueError that it raises."""
    import tempfile

    from utils import program

    found = []
    with tempfile.TemporaryDirectory(prefix="judged-") as folder:
        program.put(folder, disk)
        for rank in ranks:
            try:
                said = learner.resume(folder, rank, mesh)
            except ValueError as error:
                found.append(("refused", str(error)))
                continue
            if said is None:
                found.append(("nothing",))
                continue
            step, state = said
            found.append(("found", step, state))
    return found
