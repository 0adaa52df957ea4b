"""The answers of lab 14: the right one, and those that known misconceptions lead to.

Each function returns (right, known): the value to expect, and wrong values by their diagnoses.
"""

from itertools import combinations, pairwise

import torch
from torch.nn.functional import cross_entropy

# What the validator's words say about the one who wrote the schedule.
UNRUNNABLE = {
    "no action": 'An action is a tuple of a capital letter and a number, ("F", 2). Waiting is no'
    " action: a rank waits by itself.",
    "before its forward": "A backward needs what its forward left behind: first F, then B.",
    "deadlock": "Each of these ranks waits for another one to go on first.",
    "for a second time": "Every micro-batch goes forward once and back once on each rank.",
    "there is no micro-batch": "Micro-batches count from 0 to m − 1. Are stages and micro-batches"
    " exchanged? Is the warm-up longer than m? After a warm-up of w, are there m − w pairs?",
    "the backward of": "A forward is never followed by its backward: is the drain complete?",
    "the forward of": "A micro-batch is left out: does the count end one too soon, or are stages"
    " and micro-batches exchanged?",
}


def most_expensive(costs, sizes):
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return max(sum(costs[start:end]) for start, end in pairwise([0, *ends]))


def _best(costs, stages, badness=max):
    """The partition whose stages' costs have the least `badness`."""

    def of(cuts):
        return badness([sum(costs[a:b]) for a, b in pairwise([0, *cuts, len(costs)])])

    cuts = min(combinations(range(1, len(costs)), stages - 1), key=of)
    return [end - start for start, end in pairwise([0, *cuts, len(costs)])]


def _equal_counts(layers, stages):
    return [layers // stages + (i < layers % stages) for i in range(stages)]


def _greedy(costs, stages, over):
    """Fill each stage to the average: up to it, or until it is passed (`over`)."""
    share, sizes, left = sum(costs) / stages, [], list(costs)
    for stage in range(stages - 1):
        room, size = len(left) - (stages - stage - 1), 1
        while size < room and (
            sum(left[:size]) < share if over else sum(left[: size + 1]) <= share
        ):
            size += 1
        sizes.append(size)
        left = left[size:]
    return [*sizes, len(left)]


def costs(rng, layers, stages):
    """Costs for which no simple rule finds the best partition; the rules are told apart."""
    while True:
        drawn = [round(float(cost), 2) for cost in rng.uniform(0.1, 0.9, layers)]
        best, known = partition(drawn, stages)
        least = most_expensive(drawn, best) + 1e-6
        counts, *others = known.values()
        distinct = counts not in others and not any(each in others[:2] for each in others[2:])
        if distinct and all(most_expensive(drawn, w) > least for w in known.values()):
            return drawn


def partition(costs, stages):
    layers = len(costs)
    counts = _equal_counts(layers, stages)
    return _best(costs, stages), {
        "Those are equal numbers of layers; the costs differ.": counts,
        "It fills each stage up to the average and leaves what is left to the last: filling from"
        " the left cannot know what is to come.": _greedy(costs, stages, over=False),
        "It fills each stage until the average is passed: filling from the left cannot know what"
        " is to come.": _greedy(costs, stages, over=True),
        "Those are the stages that differ least from each other. What counts is the most expensive"
        " one alone: a cheaper one may be as cheap as it likes.": _best(
            costs, stages, lambda each: sum(cost**2 for cost in each)
        ),
        "The most and the least expensive stage differ least. What counts is the most expensive"
        " one alone.": _best(costs, stages, lambda each: max(each) - min(each)),
    }


def pace():
    return 3.0, {
        "That is how long one micro-batch is on its way; others are in the row meanwhile.": 6.0,
        "That is the average stage. The slowest one sets the pace.": 1.5,
        "That is the last stage before the slow one. The slowest sets the pace.": 1.0,
    }


def split(batch, count):
    right = list(batch.split(len(batch) // count))
    known = {}
    if len(batch) // count != count:
        known["There are parts of that many examples; the argument is how many parts."] = list(
            batch.split(count)
        )
    if count > 1:
        strided = [batch[i::count] for i in range(count)]
        known["Every m-th example is taken: the parts should be in order."] = strided
        known["The last micro-batch is missing."] = right[:-1]
    return right, known


def whole_batch(W, V, X, y, count):
    """(loss, gradients), known losses, known gradients."""

    def run(inputs, targets, scale=1.0):
        w, v = W.clone().requires_grad_(), V.clone().requires_grad_()
        loss = 2 * scale * cross_entropy(torch.tanh(inputs @ w) @ v, targets)
        return loss.item(), list(torch.autograd.grad(loss, (w, v)))

    loss, gradients = run(X, y)
    size = len(X) // count
    pieces = [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]
    last_loss, last = run(*pieces[-1])
    dropped = run(X[:-size], y[:-size], (count - 1) / count)
    shuffled = run(X, torch.cat([y[i::count] for i in range(count)]))[1]
    known = {
        "It is m times too large: the batch's loss is the mean of the micro-batches' losses, so"
        " each enters with 1/m.": [g * count for g in gradients],
        "It is 1/m of what it should be: is the loss divided by m twice?": [
            g / count for g in gradients
        ],
        "It is divided by the number of examples: cross-entropy is a mean already.": [
            g * count / len(X) for g in gradients
        ],
        "Each loss is divided by the size of a micro-batch: divide by how many there are.": [
            g * count / size for g in gradients
        ],
        "`microbatches` is how many there are, not how many examples each has.": [
            g * size / count for g in gradients
        ],
        "That is the gradient of the last micro-batch alone: is zero_grad in the loop?": last,
        "That is 1/m of the last micro-batch's gradient: is zero_grad in the loop?": [
            g / count for g in last
        ],
        "The last micro-batch is missing.": dropped[1],
        "The last micro-batch is missing, and the mean is over the others.": [
            g * count / (count - 1) for g in dropped[1]
        ],
        "Inputs meet the targets of others: cut X and y alike.": shuffled,
        "It is not the gradient of `loss`, which is an argument.": [g / 2 for g in gradients],
    }
    known_loss = {
        "That is the sum of the micro-batches' losses: it should be their mean.": loss * count,
        "That is the last micro-batch's loss.": last_loss,
        "That is the last micro-batch's share.": last_loss / count,
        "It is divided by m twice.": loss / count,
        "The last micro-batch is missing.": dropped[0],
        "Each loss is divided by the size of a micro-batch: divide by how many there are.": loss
        * count
        / size,
        "`microbatches` is how many there are, not how many examples each has.": loss
        * size
        / count,
    }
    return (loss, gradients), known_loss, known


def gpipe(stages, microbatches):
    forwards = [("F", m) for m in range(microbatches)]
    backwards = [("B", m) for m in range(microbatches)]
    pairs = [action for pair in zip(forwards, backwards, strict=True) for action in pair]
    known = {
        "The backwards come last in, first out. That runs as well, and some pictures show it; asked"
        " for is 0, 1, …, m − 1.": [forwards + backwards[::-1]] * stages,
        "Each micro-batch goes back before the next goes forward: then only one rank works at a"
        " time. First all forwards.": [pairs] * stages,
        "That is 1F1B, which comes later.": one_f_one_b(stages, microbatches)[0],
        "The forwards come last first: micro-batch 0 goes first.": [forwards[::-1] + backwards]
        * stages,
    }
    right = [forwards + backwards for _ in range(stages)]
    return right, {why: wrong for why, wrong in known.items() if wrong != right}


def _phases(stages, microbatches, warmups, newest_first=False):
    schedule = []
    for rank in range(stages):
        warmup = max(0, min(warmups(rank), microbatches))
        actions = [("F", m) for m in range(warmup)]
        for m in range(microbatches - warmup):
            actions += [("F", warmup + m), ("B", warmup + m if newest_first else m)]
        left = range(warmup) if newest_first else range(microbatches - warmup, microbatches)
        schedule.append([*actions, *(("B", m) for m in left)])
    return schedule


LONG = (
    "The warm-up is one forward too long: rank r waits for p − r − 1 ranks below it, and the"
    " forward after that belongs to the first pair."
)
SHORT = (
    "The warm-up is one forward too short: rank r waits for p − r − 1 ranks below it, and has"
    " nothing to do meanwhile but their first forwards."
)
SAME = "Every rank has the same warm-up: the nearer the end of the row, the shorter the way back."
REVERSED = "The warm-up grows with the rank: it is the first rank that waits longest."
GPIPE = "That is GPipe: all forwards come first."


def one_f_one_b(stages, microbatches):
    p, m = stages, microbatches
    right = _phases(p, m, lambda rank: p - rank - 1)
    known = {
        LONG: _phases(p, m, lambda rank: p - rank),
        SHORT: _phases(p, m, lambda rank: p - rank - 2),
        "The newest micro-batch goes back first. The oldest should: it has come down and up again,"
        " and forward w + k is followed by backward k.": _phases(
            p, m, lambda rank: p - rank - 1, newest_first=True
        ),
        SAME: _phases(p, m, lambda rank: p - 1),
        REVERSED: _phases(p, m, lambda rank: rank),
        GPIPE: [[("F", i) for i in range(m)] + [("B", i) for i in range(m)]] * p,
        "There is no warm-up: one micro-batch is on its way, and one rank works.": _phases(
            p, m, lambda rank: 0
        ),
    }
    return right, {why: wrong for why, wrong in known.items() if wrong != right}


def held(stages, microbatches):
    """The most micro-batches that each rank may hold."""
    p, m = stages, microbatches
    return [min(p - rank, m) for rank in range(p)], {
        LONG: [min(p - rank + 1, m) for rank in range(p)],
        SAME: [min(p, m)] * p,
        REVERSED: [min(rank + 1, m) for rank in range(p)],
        GPIPE: [m] * p,
    }


def bubble(p, m):
    right = (p - 1) / (m + p - 1)
    known = {
        "That is idle time compared with working time; the share is of all time, working and idle.": (
            p - 1
        )
        / m,
        "That is the share that is not idle.": m / (m + p - 1),
        "Stages and micro-batches are exchanged.": (m - 1) / (m + p - 1),
        "A batch passes p − 1 stages before the last one works, not p.": p / (m + p),
        "All time is m + p − 1 micro-batches long: the last starts after p − 1.": (p - 1) / (m + p),
        "One stage is always at work, so at most p − 1 wait.": p / (m + p - 1),
        "That counts the way down, and not the way back up.": (p - 1) / (2 * m + p - 1),
        "That counts way down and way back each as long as a forward and a backward together.": 2
        * (p - 1)
        / (m + 2 * (p - 1)),
        "That is with whole numbers: / divides, // cuts off.": 0.0,
        "That is in per cent: asked for is a share.": 100 * right,
        "It is rounded: give it as it is.": round(right, 2),
        "The way down costs p − 1 forwards and the way back p − 1 backwards: together p − 1 times"
        " f + b, not twice that.": 2 * right,
        "That counts the way down alone, with b = 2f: the way back up takes p − 1 backwards.": (
            p - 1
        )
        / (3 * m + p - 1),
        "Idle time of all ranks, compared with one rank's time: take all ranks' time, too.": p
        * right,
        "That is the bubble of a batch that is not cut: m is to shrink it.": (p - 1) / p,
    }
    return right, {why: wrong for why, wrong in known.items() if abs(wrong - right) > 1e-6}


def needed():
    return 27.0, {
        "That is idle time at 10 % of the working time, (p − 1)/m: the bubble is a share of all"
        " time.": 30.0,
        "For that many it is still a little more than 10 %: is the row of 4 stages 3 long?": 26.0,
        "That is one more than needed: “at most 10 %” includes 10 %.": 28.0,
        "Are there 4 − 1 = 3 stages to pass, or 4?": 36.0,
    }


def peak(rank, p, m, name):
    if name == "gpipe":
        known = {
            "GPipe has all forwards before the first backward, so a rank holds them all.": p,
            "That is 1F1B's. GPipe has all forwards before the first backward.": min(p - rank, m),
            "After the last forward all of them are held, the last one too.": m - 1,
            "That is a share of the batch: asked for is how many micro-batches.": 1,
        }
        right = m
    else:
        right = min(p - rank, m)
        known = {
            "That is a share of the batch: asked for is how many micro-batches.": right / m,
            "There are only m micro-batches to hold.": p - rank,
            "The smaller of p − r and m is asked for, not that of p and m less r.": min(p, m)
            - rank,
            "That is the warm-up. One more goes forward before the first comes back.": min(
                p - rank - 1, m
            ),
            "The warm-up and the first forward after it, no more.": min(p - rank + 1, m),
            "The way to the end of the row and back grows shorter from rank to rank, not longer.": min(
                rank + 1, m
            ),
            "It is not the same on all ranks.": min(p, m),
            "That is rank 1's: it is not the same on all ranks.": min(p - 1, m),
            "That is GPipe's: 1F1B turns round at once.": m,
            "That is the rank's own number; what counts is how far the end of the row is.": rank,
        }
    return right, {why: wrong for why, wrong in known.items() if wrong != right}


def rematerialised(W, V, xs, dys):
    """Outputs, gradients of inputs, gradients of W and V, and known wrong ones of the last two."""
    ys, dxs, each = [], [], []
    for x, dy in zip(xs, dys, strict=True):
        w, v, x = (t.clone().requires_grad_() for t in (W, V, x))
        y = torch.tanh(x @ w) @ v
        y.backward(dy)
        ys.append(y.detach())
        dxs.append(x.grad)
        each.append([w.grad, v.grad])
    total = [sum(parts) for parts in zip(*each, strict=True)]
    last = "That is the last micro-batch's gradient: backward should add to what is there."
    double = "Each gradient is added twice: is backward called on a graph of forward's, too?"
    ones = []
    for x in xs:
        x = x.clone().requires_grad_()
        (torch.tanh(x @ W) @ V).sum().backward()
        ones.append(x.grad)
    return (
        ys,
        dxs,
        total,
        {
            "dxs": {"dy does not enter: y.backward(dy), not y.sum().backward().": ones},
            "grads": {last: each[-1], double: [2 * g for g in total]},
        },
    )


def extra_time():
    return 1 / 3, {
        "That is the whole, compared with before. By what fraction is it longer?": 4 / 3,
        "That is one forward's share of the new whole: compare with the old one.": 1 / 4,
        "That is compared with a backward: a micro-batch's work is forward and backward.": 1 / 2,
        "That is compared with a forward: a micro-batch's work is forward and backward.": 1.0,
        "A fraction: 33 per cent are 0.33.": 33.0,
    }
