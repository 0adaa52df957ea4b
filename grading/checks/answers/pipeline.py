"""The answers of lab 15: the right one, and those that known misconceptions lead to.

Each function returns (right, known): the value to expect, and wrong values by their diagnoses.
"""

from itertools import pairwise

from torch import stack
from torch.nn.functional import cross_entropy

from utils.pipeline import schedules

# The 1F1B schedules that are judged, and an order of one's own that is valid, too.
ONE_F_ONE_B = {
    (2, 4): "F0 F1 B0 F2 B1 F3 B2 B3\nF0 B0 F1 B1 F2 B2 F3 B3",
    (3, 4): "F0 F1 F2 B0 F3 B1 B2 B3\nF0 F1 B0 F2 B1 F3 B2 B3\nF0 B0 F1 B1 F2 B2 F3 B3",
    (4, 8): "F0 F1 F2 F3 B0 F4 B1 F5 B2 F6 B3 F7 B4 B5 B6 B7\n"
    "F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 F6 B4 F7 B5 B6 B7\n"
    "F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 F6 B5 F7 B6 B7\n"
    "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5 F6 B6 F7 B7",
}
OTHER_ORDER = "F0 F1 F2 B0 B2 B1\nF0 F1 F2 B2 B0 B1"


def one_f_one_b(stages, microbatches):
    return schedules.parse(ONE_F_ONE_B[stages, microbatches])


def gpipe(stages, microbatches):
    order = range(microbatches)
    return [[("F", m) for m in order] + [("B", m) for m in order] for _ in range(stages)]


def build_stages(weights, kind):
    """One module for each weight matrix. kind: "plain", "tuple" or "norm"."""
    import torch

    class Block(torch.nn.Module):
        def __init__(self, weight):
            super().__init__()
            self.weight = torch.nn.Parameter(weight.clone())
            width = weight.shape[1]
            self.norm = torch.nn.BatchNorm1d(width, dtype=weight.dtype) if kind == "norm" else None

        def forward(self, x, around=None):
            y = torch.tanh(x @ self.weight)
            if self.norm is not None:
                y = self.norm(y)
            if kind != "tuple":
                return y
            return y, y * y if around is None else around + 0.5 * y

    return [Block(weight) for weight in weights]


def one_process(weights, kind, X, y, microbatches):
    """Of one process: the loss, each stage's gradients and buffers; and known wrong gradients."""

    def run(keep, scale):
        stages, total, last = build_stages(weights, kind), 0.0, 0.0
        parts = list(zip(X.chunk(microbatches), y.chunk(microbatches), strict=True))
        for part, target in parts[keep]:
            values = (part,)
            for stage in stages:
                output = stage(*values)
                values = output if isinstance(output, tuple) else (output,)
            loss = cross_entropy(stack(values).sum(dim=0), target)
            (loss * scale).backward()
            total, last = total + loss.item() * scale, loss.item()
        gradients = [[p.grad for p in stage.parameters()] for stage in stages]
        return total, last, gradients, [list(stage.buffers()) for stage in stages]

    m = microbatches
    loss, last, gradients, buffers = run(slice(None), 1 / m)
    summed, divided = run(slice(None), 1.0)[2], run(slice(None), 1 / m**2)[2]
    of_last = run(slice(m - 1, None), 1.0)[2]
    known = {
        "It is m times too large: each micro-batch's loss enters the mean with 1/m.": summed,
        "It is 1/m of what it should be: is the loss divided by m twice?": divided,
        "It is half of what it should be: the actions are twice as many as the micro-batches.": run(
            slice(None), 0.5 / m
        )[2],
        "The last micro-batch is missing.": run(slice(m - 1), 1 / m)[2],
        "The last micro-batch is missing, and the mean is over the others.": run(
            slice(m - 1), 1 / (m - 1)
        )[2],
        "That is the last micro-batch's alone: gradients should add up.": of_last,
        "That is the last micro-batch's share alone: gradients should add up.": run(
            slice(m - 1, None), 1 / m
        )[2],
    }
    known_loss = {
        "That is the sum of the micro-batches' losses: the batch's loss is their mean.": loss * m,
        "That is the last micro-batch's loss.": last,
        "That is the last micro-batch's share of the loss.": last / m,
        "It is divided by m twice.": loss / m,
        "It is half of what it should be: the actions are twice as many as the micro-batches.": loss
        / 2,
    }
    return loss, known_loss, gradients, known, buffers


def running(schedule):
    """For each rank, how many micro-batches it holds when each of its forwards begins."""
    counts = []
    for actions in schedule:
        held, mine = 0, []
        for kind, _ in actions:
            if kind == "F":
                mine.append(held)
            held += 1 if kind == "F" else -1
        counts.append(mine)
    return counts


# What the words of an error on a rank say about run_stage; the first that fits.
ERRORS = {
    "process group": "run_stage learns from its arguments which rank it is on: the first has"
    " inputs, the last has loss.",
    "is None": "The gradient of what was received is missing: ask for it, with requires_grad_(),"
    " before the module's forward. Everything must enter: module(*received), loss(m, *outputs).",
    "attached to this rank's graph": "What is sent must be data alone: detach() the output before"
    " it goes. Keep the attached one for the backward.",
    "takes a tuple of tensors": "A message is a tuple, also of one tensor: (y,).",
    "has no next rank": "The last rank sends nothing on: its output goes into the loss.",
    "has no previous rank": "Activations go to the next rank, gradients to the previous one. The"
    " first rank's inputs come from `inputs`, and nobody waits for their gradients.",
    "does not require grad": "backward starts from a tensor without a graph: is it the detached one"
    " that was kept, or was the input's requires_grad_() forgotten?",
    "a second time": "A graph can be gone back through once. Is the stash's key the micro-batch? Do"
    " all outputs of a stage share one call of torch.autograd.backward?",
    "implicitly created only for scalar": "A stage's backward starts from the gradient that was"
    " received: torch.autograd.backward(outputs, gradients).",
    "tensors and": "There must be one gradient for each output: a stage may return several.",
    "grad_tensors": "There must be one gradient for each output: a stage may return several.",
    "Mismatch in shape": "The gradient has another shape than the output that it is of.",
    "positional argument": "A stage may take several tensors: module(*received).",
    "'tuple' object has no attribute": "A stage may return a tuple of tensors; recv always does.",
    "argument 'input'": "recv returns a tuple of tensors: module(*received).",
    "KeyError": "Is what the backward needs kept under the micro-batch's number?",
    "NoneType": "Are `inputs` and `loss` used on ranks that have none?",
}


def bubble(spans, stages):
    """Spans are rows (rank, kind, microbatch, start, end)."""
    work = [row for row in spans if row[1] in "FBIW"]
    start, end = min(row[3] for row in work), max(row[4] for row in work)
    busy = sum(row[4] - row[3] for row in work)
    every = sum(row[4] - row[3] for row in spans)
    right = 1 - busy / (stages * (end - start))
    ranks = [[row for row in work if row[0] == rank] for rank in range(stages)]
    own = [(min(r[3] for r in one), max(r[4] for r in one)) for one in ranks if one]

    def only(kinds):
        some = [row for row in work if row[1] in kinds]
        long = max(row[4] for row in some) - min(row[3] for row in some)
        return 1 - sum(row[4] - row[3] for row in some) / (stages * long)

    starts, ends = min(row[3] for row in spans), max(row[4] for row in spans)
    between = sum(
        after[3] - before[4]
        for one in ranks
        for before, after in pairwise(sorted(one, key=lambda row: row[3]))
    )
    microbatches = len({row[2] for row in spans})
    first_to_last = work[-1][4] - work[0][3] or 1.0
    known = {
        "That is the law of lab 14; asked for is what was measured.": (stages - 1)
        / (microbatches + stages - 1),
        "It is in per cent: asked for is a share.": 100 * right,
        "Spans come in any order: the first and the last of the list are not those in time.": 1
        - busy / (stages * first_to_last),
        "That is idle time between a rank's own work; before its first and after its last it waits,"
        " too.": between / (stages * (end - start)),
        "Waiting for a message is no work: only forward and backward are.": 1
        - every / (stages * (ends - starts)),
        "Waiting for a message is counted as work: only forward and backward are.": 1
        - every / (stages * (end - start)),
        "The time is from the first start to the last end of work; a message before or after it is"
        " none.": 1 - busy / (stages * (ends - starts)),
        "That is the share of work; the bubble is the rest.": 1 - right,
        "Each rank's own first start and last end are taken: waiting at both ends is idle, too.": 1
        - busy / sum(b - a for a, b in own),
        "It is divided by one rank's time: all ranks together have p times as much.": 1
        - busy / (end - start),
        "That is idle time in seconds, not as a share.": stages * (end - start) - busy,
        "That is idle time compared with work: the share is of all time.": (
            stages * (end - start) - busy
        )
        / busy,
        "The clock need not begin at 0: subtract the first start.": 1 - busy / (stages * end),
        "A backward in two parts, I and W, is work, too.": only("FB"),
        "Backwards are work, too.": only("F"),
    }
    return right, {why: wrong for why, wrong in known.items() if abs(wrong - right) > 1e-9}


def speed_up(p, m):
    right = p * m / (m + p - 1)
    known = {
        "That is one rank's share of work; p ranks work.": m / (m + p - 1),
        "That is the bubble.": (p - 1) / (m + p - 1),
        "That is how much longer a pipeline takes than one that need not be filled.": (m + p - 1)
        / m,
        "That is without the time to fill and to drain the row.": float(p),
        "It is upside down: the time of one rank by that of p.": (m + p - 1) / (p * m),
        "Filling the row takes p − 1 steps, not p.": p * m / (m + p),
        "Is it the number of ranks that is not the bubble? p · (1 − bubble) has m + p − 1 below.": p
        * (1 - (p - 1) / m),
    }
    return right, {why: wrong for why, wrong in known.items() if abs(wrong - right) > 1e-6}


def share_reached():
    return 4.953 / (8 * 32 / 39), {
        "That is compared with 8, the number of GPUs; the formula allows less.": 4.953 / 8,
        "It is upside down.": (8 * 32 / 39) / 4.953,
        "That is what the formula allows; what share of it is 4.953?": 8 * 32 / 39,
        "A share is between 0 and 1.": 100 * 4.953 / (8 * 32 / 39),
    }


def staleness(rank, stages):
    right = stages - 1 - rank
    known = {
        "That is the stash, which counts the micro-batch itself.": stages - rank,
        "The way to the end of the row and back grows shorter from rank to rank.": rank,
        "It is not the same on all ranks.": stages - 1,
        "One too few: count the Bs between F3 and B3 on rank 0 of the written-out schedule.": stages
        - 2
        - rank,
        "Each of the backwards between is followed by an update, not every other one.": (
            stages - 1 - rank
        )
        / 2,
        "Both ways are counted; only what comes back makes an update.": 2 * (stages - 1 - rank),
    }
    return right, {why: wrong for why, wrong in known.items() if wrong != right}
