"""The answers of lab 14, by the lab's own names, and the mistakes that are known."""

import itertools
import math
import sys
from itertools import combinations, pairwise

import torch

from grading.checks.mistakes import Known, Mistake, Table, variants

ten_microbatches = 33.0
microbatches_needed = 27.0


def most_expensive(costs, sizes):
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return max(sum(costs[start:end]) for start, end in pairwise([0, *ends]))


def partition(costs, stages):
    layers, up_to = len(costs), [0.0, *itertools.accumulate(costs)]

    def worst(cuts):  # rounded, so that equal costs stay equal
        ends = pairwise([0, *cuts, layers])
        return round(max([up_to[end] - up_to[start] for start, end in ends]), 9)

    cuts = min(combinations(range(1, layers), stages - 1), key=worst)
    return [end - start for start, end in pairwise([0, *cuts, layers])]


def split_microbatches(batch, microbatches):
    if len(batch) % microbatches:
        raise ValueError("no equal parts")
    return list(batch.split(len(batch) // microbatches))


def accumulate(model, loss, X, y, microbatches):
    total = 0.0
    for inputs, targets in zip(X.chunk(microbatches), y.chunk(microbatches), strict=True):
        share = loss(model(inputs), targets) / microbatches
        share.backward()
        total += share.item()
    return total


def gpipe_actions(stages, microbatches):
    order = range(microbatches)
    return [[("F", m) for m in order] + [("B", m) for m in order] for _ in range(stages)]


def bubble_fraction(stages, microbatches):
    return (stages - 1) / (microbatches + stages - 1)


def rank_actions(warmup, microbatches):
    warmup = min(warmup, microbatches)
    actions = [("F", m) for m in range(warmup)]
    for m in range(microbatches - warmup):
        actions += [("F", warmup + m), ("B", m)]
    return actions + [("B", m) for m in range(microbatches - warmup, microbatches)]


def one_f_one_b_actions(stages, microbatches):
    return [rank_actions(stages - rank - 1, microbatches) for rank in range(stages)]


def peak_stash(rank, stages, microbatches, schedule):
    return microbatches if schedule == "gpipe" else min(stages - rank, microbatches)


def hiding_warmup(rank, stages, forward, backward, transfer):
    return (stages - rank - 1) * (1 + math.ceil(2 * transfer / (forward + backward)))


class RematerialisedStage:
    def __init__(self, module):
        self.module = module
        self.kept = {}

    def forward(self, microbatch, x):
        self.kept[microbatch] = x
        with torch.no_grad():
            return self.module(x)

    def backward(self, microbatch, dy):
        x = self.kept.pop(microbatch).detach().requires_grad_()
        self.module(x).backward(dy)
        return x.grad


# Simple cases of the formulas, and why they are as they are.
BUBBLES = (
    ((1, 5), 0.0, "With one stage nobody waits: the bubble of p = 1 is 0."),
    (
        (4, 1),
        0.75,
        "With a single micro-batch one of p ranks works at a time: for p = 4 that is 3/4.",
    ),
    ((3, 10**5), 2 / (10**5 + 2), "With very many micro-batches the bubble is next to 0."),
    ((3, 4), 1 / 3, "For 3 stages and 4 micro-batches it is 1/3, as the docstring says."),
)
PEAKS = (
    ((0, 4, 8, "gpipe"), 8, "GPipe's ranks hold all micro-batches: the picture shows 8."),
    ((3, 4, 8, "1f1b"), 1, "The last rank turns each micro-batch round at once, and holds one."),
    ((0, 4, 8, "1f1b"), 4, "The picture of 1F1B with 4 ranks shows 4 for rank 0."),
    ((0, 8, 2, "1f1b"), 2, "Of 2 micro-batches a rank that is far from the end holds both."),
)
WARMUPS = (
    ((3, 4, 1.0, 2.0, 0.5), 0, "The last rank's warm-up is 0, as before."),
    ((0, 4, 1.0, 2.0, 0.0), 3, "For messages that take no time it is 1F1B's warm-up, p − r − 1."),
    ((0, 4, 1.0, 2.0, 0.5), 6, "For the example above the exercise it is 6, 4, 2, 0 by rank."),
    (
        (2, 4, 1.0, 2.0, 1.5),
        2,
        "Two messages of 1.5 take just as long as one pair of f = 1 and b = 2: one more forward.",
    ),
    (
        (2, 4, 1.0, 2.0, 15.0),
        11,
        "Two messages of 15 take as long as ten pairs of f = 1 and b = 2: ten more forwards.",
    ),
)

# What the validator's words say about the one who wrote the schedule.
UNRUNNABLE = {
    "not NoneType": "Is a return missing?",
    "no action": 'An action is a tuple of a capital letter and a number, ("F", 2). Waiting is no'
    " action: a rank waits by itself.",
    "before its forward": "A backward needs what its forward left behind: first F, then B.",
    "deadlock": "Each of these ranks waits for another one to go on first.",
    "for a second time": "Every micro-batch goes forward once and back once on each rank.",
    "there is no micro-batch -": "Numbers of micro-batches begin at 0. Is a warm-up negative, or a"
    " number one too small? Ranks count from 0 to p − 1.",
    "there is no micro-batch": "Micro-batches count from 0 to m − 1. Are stages and micro-batches"
    " exchanged? Is the warm-up longer than m? After a warm-up of w, are there m − w pairs?",
    "the backward of": "A forward is never followed by its backward: is the drain complete?",
    "the forward of": "A micro-batch is left out: does the count end one too soon, or are stages"
    " and micro-batches exchanged?",
}

# What the check of re-materialisation sees of a stage: what that means, and why.
SEEN = {
    "no dict": (
        "`kept` is no dict.",
        "It takes a micro-batch's number to its input, since backwards come in any order.",
    ),
    "not there": (
        "`kept` does not hold the micro-batches that are between forward and backward.",
        "forward puts the input in under the micro-batch's number.",
    ),
    "more": (
        "Each entry of `kept` should be one tensor, the input.",
        "Outputs and activations are what re-materialisation does not keep: they can be computed"
        " again.",
    ),
    "another": (
        "`kept` holds something else than the input.",
        "What backward runs again starts from the stage's input.",
    ),
    "switched off": (
        "Gradients are still switched off after forward.",
        "set_grad_enabled(False) holds for the whole notebook from then on: `with torch.no_grad():`"
        " ends with its block.",
    ),
    "graph": (
        "A graph arises in forward.",
        "It holds every activation in the stage, and detach() only leaves it afterwards: run the"
        " module under torch.no_grad().",
    ),
    "moved": (
        "The module's weights were changed.",
        "They are the optimizer's to move: backward adds to their gradients, and no more.",
    ),
    "left": (
        "A micro-batch's input is kept after its backward.",
        "A stash that is never emptied grows with every micro-batch: take this one's input out"
        " (`pop`).",
    ),
    "marked": (
        "The caller's own tensor was made to want a gradient.",
        "requires_grad_() changes the tensor itself: detach() first, which gives another one.",
    ),
    "changed": (
        "The caller's own tensor was changed.",
        "x and dy belong to others: no method of a stage may write into them.",
    ),
}
RETURNED = {
    ("backward", "tuple"): (
        "backward returns a tuple.",
        "torch.autograd.grad gives a tuple, with one gradient for each input.",
    ),
    ("backward", "NoneType"): (
        "backward returns no gradient of the input.",
        "Is a return missing? Or: the input that forward kept wants no gradient by itself. Run the"
        " module on x.detach().requires_grad_(), and return that tensor's grad: an output has no .grad.",
    ),
    ("forward", "NoneType"): ("forward returns nothing.", "Is a return missing?"),
}
RAISED = (  # a piece of the exception's text, and its cause
    (
        "KeyError",
        "An input is not in the stash: was it put in under another number, overwritten, taken out"
        " before, or is one stash shared by two stages?",
    ),
    (
        "inference tensor",
        "What torch.inference_mode() returns can never want a gradient, and the next stage's"
        " backward needs one: use torch.no_grad().",
    ),
    (
        "does not require grad",
        "There is no graph to go back through: backward has to run the module itself, with"
        " gradients switched on.",
    ),
    (
        "implicitly created only for scalar",
        "The output is no single number, so backward needs the gradient that comes from below:"
        " y.backward(dy).",
    ),
)

# Exercise 1

_cut, _cut_otherwise = variants(
    "partition",
    """
def partition(costs, stages):
    layers = len(costs)
    def worst(cuts):
        return {worst}([sum(costs[a:b]) for a, b in pairwise([0, *cuts, layers])])
    cuts = {best}({choices}, key=worst)
    {last}
    return {result}
""",
    worst="max",
    best="min",
    choices="combinations(range(1, layers), stages - 1)",
    last="",
    result="[b - a for a, b in pairwise([0, *cuts, layers])]",
)
_greedy, _ = variants(
    "partition",
    """
def partition(costs, stages):
    share, sizes, left = sum(costs) / stages, [], list(costs)
    for stage in range(stages - 1):
        size, room = 1, len(left) - (stages - stage - 1)
        while size < room and {more}:
            size += 1
        sizes.append(size)
        left = left[size:]
    return sizes + [len(left)]
""",
    more="",
)
ALIKE = (
    "Those are the stages that differ least from each other, by one measure or another. What counts"
    " is the most expensive one alone: a cheaper one may be as cheap as it likes."
)
_LEAST = (
    "Those are the cuts with the cheapest of stages, or the most expensive of all: take the minimum"
    " over the choices of the maximum over the stages."
)
_PARTITION = [
    Known(
        "partition",
        "equal counts",
        0.3,
        "Those are equal numbers of layers; the costs differ.",
        """
def partition(costs, stages):
    return [len(costs) // stages + (i < len(costs) % stages) for i in range(stages)]
""",
    ),
    _greedy(
        "filled up to the average",
        0.3,
        "It fills each stage up to the average and leaves what is left to the last: filling from"
        " the left cannot know what is to come.",
        more="sum(left[:size + 1]) <= share",
    ),
    _greedy(
        "filled past the average",
        0.3,
        "It fills each stage until the average is passed: filling from the left cannot know what"
        " is to come.",
        more="sum(left[:size]) < share",
    ),
    _cut("least squares", 0.7, ALIKE, worst="(lambda each: sum(cost * cost for cost in each))"),
    _cut(
        "least range",
        0.7,
        ALIKE,
        worst="(lambda each: max(each) - min(each))",
    ),
    _cut_otherwise(
        "last stage left out",
        0.3,
        "is the last stage left out",
        result="[b - a for a, b in pairwise([0, *cuts])]",
    ),
    _cut(
        "cheapest stage",
        0.3,
        _LEAST,
        worst="min",
    ),
    _cut(
        "cheapest stage as expensive as it can be",
        0.7,
        ALIKE,
        worst="min",
        best="max",
    ),
    _cut(
        "the worst choice",
        0.3,
        _LEAST,
        best="max",
    ),
    _cut(
        "reversed",
        0.3,
        "The stages come last first: the first member counts the layers of stage 0.",
        result="[b - a for a, b in pairwise([0, *cuts, layers])][::-1]",
    ),
    _cut_otherwise(
        "sorted",
        0.3,
        "changed its argument `costs` in place",
        choices="[costs.sort()] and combinations(range(1, layers), stages - 1)",
    ),
    Mistake(
        "partition",
        "a sorted copy",
        0.3,
        "layers stay in their order",
        """
def partition(costs, stages):
    costs, layers = sorted(costs), len(costs)
    worst = lambda cuts: max(sum(costs[a:b]) for a, b in pairwise([0, *cuts, layers]))
    cuts = min(combinations(range(1, layers), stages - 1), key=worst)
    return [b - a for a, b in pairwise([0, *cuts, layers])]
""",
    ),
    _cut_otherwise(
        "by the last stage", 0.3, "Compare all choices", worst="(lambda each: each[-1])"
    ),
    _cut(
        "as many layers each",
        0.3,
        "Those are equal numbers of layers; the costs differ.",
        worst="(lambda _: max(b - a for a, b in pairwise([0, *cuts, layers])))",
    ),
    Mistake(
        "partition",
        "the last choice",
        0.3,
        "the least so far",
        """
def partition(costs, stages):
    return [len(costs) - stages + 1] + [1] * (stages - 1)
""",
    ),
    _cut_otherwise(
        "a cut for each stage",
        0.3,
        "one cut fewer",
        choices="combinations(range(1, layers), stages)",
    ),
    _cut_otherwise("cuts", 0.3, "one fewer than the stages", result="list(cuts)"),
    _cut_otherwise("ends", 0.3, "the places of the cuts", result="[*cuts, layers]"),
    _cut_otherwise(
        "costs of the stages",
        0.3,
        "number of layers of each stage",
        result="[sum(costs[a:b]) for a, b in pairwise([0, *cuts, layers])]",
    ),
    _cut_otherwise(
        "cut before layer 0",
        0.7,
        "needs at least one layer",
        choices="combinations(range(layers), stages - 1)",
    ),
    _cut_otherwise(
        "empty stages", 0.3, "needs at least one layer", last="cuts = [0] * (stages - 1)"
    ),
    _cut_otherwise(
        "the last stage forgotten",
        0.3,
        "one fewer than the stages",
        result="[b - a for a, b in pairwise([0, *cuts])]",
    ),
    _cut_otherwise(
        "costs used up",
        0.3,
        "changed its argument `costs` in place",
        last="costs.clear()",
    ),
    Known(
        "partition",
        "one by one",
        1.2,
        "That has each micro-batch wait until the one before has left. Others are in the row"
        " meanwhile: how often does the slowest stage finish one?",
        "ten_microbatches = 60",
    ),
    Known(
        "partition",
        "seconds",
        1.2,
        "That is in seconds: asked for are milliseconds.",
        "ten_microbatches = 0.033",
    ),
    Known(
        "partition",
        "average",
        1.2,
        "That takes the average stage for the pace. The slowest one sets it.",
        "ten_microbatches = 19.5",
    ),
    Known(
        "partition",
        "work of a rank",
        1.2,
        "That is the slow stage's work alone: when does its first micro-batch reach it?",
        "ten_microbatches = 30",
    ),
    Known(
        "partition",
        "all steps slow",
        1.2,
        "That is 13 steps as long as the slowest stage. The first three stages take 1 ms each.",
        "ten_microbatches = 39",
    ),
    Known(
        "partition",
        "the first not counted",
        1.2,
        "The first micro-batch has its way through all stages, too, 6 ms.",
        "ten_microbatches = 27",
    ),
    Known(
        "partition",
        "first counted twice",
        1.2,
        "After the first micro-batch has left there are nine to come, not ten.",
        "ten_microbatches = 36",
    ),
    Known(
        "partition",
        "stage before the slow one",
        1.2,
        "That lets one leave each millisecond. The slowest stage sets the pace.",
        "ten_microbatches = 15",
    ),
]

# Exercise 2

_split, _split_otherwise = variants(
    "split_microbatches",
    """
def split_microbatches(batch, microbatches):
    {guard}
    return {parts}

def accumulate(model, loss, X, y, microbatches):
    total = 0.0
    {first}
    xs, ys = list(X.chunk(microbatches)), list({ys})
    for inputs, targets in {pairs}:
        {before}
        share = {share}
        {back}
        {total}
    {last}
    return {result}
""",
    guard="""if len(batch) % microbatches:
        raise ValueError("no")""",
    parts="list(batch.split(len(batch) // microbatches))",
    first="",
    ys="y.chunk(microbatches)",
    pairs="zip(xs, ys)",
    before="",
    share="loss(model(inputs), targets) / microbatches",
    back="share.backward()",
    total="total += share.item()",
    last="",
    result="total",
)
_TIMES = (
    "It is m times too large: the batch's loss is the mean of the micro-batches' losses, so each"
    " enters with 1/m."
)
_SIZE = "Each loss is divided by the size of a micro-batch: divide by how many there are."
_LATE = (
    "All forwards come before the first backward, which keeps all graphs until then, as the whole"
    " batch would: call backward on each micro-batch's share at once."
)
_WHOLE = "What goes backward is all of the batch at once: micro-batches are to avoid that."
_LAST = "The last micro-batch is missing."
_at_once, _at_once_otherwise = variants(
    "split_microbatches",
    """
def accumulate(model, loss, X, y, microbatches):
    pairs = list(zip(X.chunk(microbatches), y.chunk(microbatches)))
    {work}
    return {result}
""",
    work="",
    result="float(total.detach())",
)
_SPLIT = [
    _split_otherwise("chunk", 1.1, "the mean of the means is not the mean", guard=""),
    _split_otherwise(
        "an assertion", 1.1, "should be a ValueError", guard="assert not len(batch) % microbatches"
    ),
    _split_otherwise(
        "only whole batches smaller",
        1.1,
        "the mean of the means is not the mean",
        guard='if len(batch) < microbatches: raise ValueError("no")',
        parts="list(batch.chunk(microbatches))",
    ),
    _split(
        "parts of m",
        1.1,
        "There are parts of that many examples; the argument is how many parts.",
        parts="list(batch.split(microbatches))",
    ),
    _split(
        "strided",
        1.1,
        "Every m-th example is taken: the parts should be in order.",
        parts="[batch[i::microbatches] for i in range(microbatches)]",
    ),
    _split(
        "last part missing",
        1.1,
        _LAST,
        parts="list(batch.split(len(batch) // microbatches))[:-1]",
    ),
    _split(
        "reversed",
        1.1,
        "The last part comes first.",
        parts="list(batch.split(len(batch) // microbatches))[::-1]",
    ),
    _split_otherwise(
        "one tensor",
        1.1,
        "should be a list",
        parts="batch.reshape(microbatches, -1, *batch.shape[1:])",
    ),
    _split_otherwise(
        "arguments exchanged",
        0.4,
        "loss(scores, targets)",
        share="loss(targets, model(inputs)) / microbatches",
    ),
    _split(
        "eval",
        0.4,
        "The model is put into eval mode, in which some layers work otherwise: leave its mode.",
        first="model.eval()",
    ),
    _split(
        "a step",
        1.1,
        "The weights have changed between two calls: they are the optimizer's to move.",
        last="with torch.no_grad(): [p.sub_(0.1 * p.grad) for p in model.parameters()]",
    ),
    _split_otherwise(
        "a smaller step",
        1.1,
        "which are the optimizer's to move",
        last="with torch.no_grad(): [p.sub_(0.01 * p.grad) for p in model.parameters()]",
    ),
    _split(
        "graph kept",
        0.9,
        "A micro-batch's graph is whole after its backward, and stays beside the next one's:"
        " without retain_graph=True it is let go.",
        back="share.backward(retain_graph=True)",
    ),
    _split_otherwise(
        "the remainder of the other",
        0,
        "can be cut equally",
        guard='if microbatches % len(batch): raise ValueError("no")',
        ys="split_microbatches(y, microbatches)",
    ),
    _split_otherwise(
        "returns the error",
        1.1,
        "No ValueError is raised",
        guard='if len(batch) % microbatches: return ValueError("no")',
    ),
    _split(
        "root of m",
        0.4,
        "It is divided by the root of m: each micro-batch's loss enters the mean with 1/m.",
        share="loss(model(inputs), targets) / microbatches**0.5",
    ),
    _split(
        "loss by the examples",
        1.4,
        "It is divided by the number of examples: cross-entropy is a mean already.",
        result="total / len(X)",
    ),
    _split(
        "returns in the loop",
        0.4,
        "That is the first micro-batch alone: does a return stand inside of the loop?",
        total="return share.item()",
    ),
    _split(
        "the whole batch each time",
        0.9,
        "The whole batch goes forward and backward each time.",
        share="loss(model(X), y) / microbatches",
    ),
    _split(
        "multiplied by m",
        0.4,
        "It is multiplied by m where it should be divided: each enters with 1/m.",
        share="loss(model(inputs), targets) * microbatches",
    ),
    _split("m times", 0.4, _TIMES, share="loss(model(inputs), targets)"),
    _split(
        "m times, reported right",
        0.5,
        _TIMES,
        share="loss(model(inputs), targets)",
        total="total += share.item() / microbatches",
    ),
    _split(
        "1/m",
        0.4,
        "It is 1/m of what it should be: is the loss divided by m twice?",
        share="loss(model(inputs), targets) / microbatches**2",
    ),
    _split("size for number", 0.4, _SIZE, share="loss(model(inputs), targets) / len(inputs)"),
    _split(
        "divided by the examples",
        0.4,
        "It is divided by the number of examples: cross-entropy is a mean already.",
        share="loss(model(inputs), targets) / len(X)",
    ),
    _split(
        "number for size",
        0.4,
        "`microbatches` is how many there are, not how many examples each has.",
        pairs="zip(X.split(microbatches), y.split(microbatches))",
    ),
    _split(
        "zero_grad in the loop",
        0.5,
        "That is 1/m of the last micro-batch's gradient: is zero_grad in the loop?",
        before="model.zero_grad()",
    ),
    _split(
        "zero_grad in the loop, undivided",
        0.4,
        "That is the gradient of the last micro-batch alone: is zero_grad in the loop?",
        before="model.zero_grad()",
        share="loss(model(inputs), targets)",
    ),
    _split(
        "zero_grad first",
        1.1,
        "The gradients that were there before are gone: they are to be added to.",
        first="model.zero_grad()",
    ),
    _split(
        "divided at the end",
        1.1,
        "What was there before is divided, too: scale each loss, not the gradients.",
        share="loss(model(inputs), targets)",
        total="total += share.item() / microbatches",
        last="for p in model.parameters(): p.grad /= microbatches",
    ),
    _split("last dropped", 0.4, _LAST, pairs="zip(xs[:-1], ys)"),
    _split(
        "last dropped, mean of the others",
        0.4,
        "The last micro-batch is missing, and the mean is over the others.",
        pairs="zip(xs[:-1], ys)",
        share="loss(model(inputs), targets) / max(1, microbatches - 1)",
    ),
    _split(
        "labels of others",
        0.4,
        "Inputs meet the targets of others: cut X and y alike.",
        ys="[y[i::microbatches] for i in range(microbatches)]",
    ),
    _split(
        "loss of the notebook",
        0.4,
        "It is not the gradient of `loss`, which is an argument.",
        share="torch.nn.functional.cross_entropy(model(inputs), targets) / microbatches",
    ),
    _split("last loss", 1.4, "That is the last micro-batch's share.", result="share.item()"),
    _split(
        "last whole loss",
        1.4,
        "That is the last micro-batch's loss.",
        result="share.item() * microbatches",
    ),
    _split(
        "sum of losses",
        1.4,
        _TIMES,
        result="total * microbatches",
    ),
    _split(
        "loss divided twice",
        1.4,
        "It is 1/m of what it should be: is the loss divided by m twice?",
        result="total / microbatches",
    ),
    _split_otherwise(
        "a loss with its graph", 1.4, "still has its graph", total="total = total + share"
    ),
    _split(
        "nothing goes backward",
        0.5,
        "The gradients are as they were: was backward called on each micro-batch's loss,"
        " and through this model, and are they zeroed nowhere afterwards?",
        share="(loss(model(inputs), targets) / microbatches).detach().requires_grad_()",
    ),
    _at_once(
        "backward once",
        0.9,
        _LATE,
        work="total = sum(loss(model(a), b) for a, b in pairs) / microbatches; total.backward()",
    ),
    _at_once(
        "all forwards first",
        0.9,
        _LATE,
        work="shares = [loss(model(a), b) / microbatches for a, b in pairs]; total = sum(shares)\n"
        "    for one in shares: one.backward()",
    ),
    _at_once(
        "whole batch",
        0.9,
        _WHOLE,
        work="total = loss(model(X), y); total.backward()",
    ),
    _at_once(
        "running sum",
        0.5,
        "The running sum of the losses holds the earlier graphs, too: call backward on the share of"
        " the one micro-batch.",
        work="total = 0.0\n    for a, b in pairs:\n        total = total + loss(model(a), b) /"
        " microbatches\n        total.backward(retain_graph=True)",
    ),
    _at_once(
        "one at a time, for show",
        0.9,
        _WHOLE,
        work="total = sum(float(loss(model(a), b)) for a, b in pairs) / microbatches\n"
        "    loss(model(X), y).backward()",
        result="total",
    ),
]

# Exercise 3

_gpipe, _gpipe_otherwise = variants(
    "gpipe_actions",
    """
def gpipe_actions(stages, microbatches):
    order = range({count})
    forwards, backwards = [("F", m) for m in order], [("B", m) for m in order]
    return {result}
""",
    count="microbatches",
    result="[forwards + backwards for rank in range(stages)]",
)
_GPIPE = [
    _gpipe(
        "last in, first out",
        0.5,
        "The backwards come last in, first out. That runs as well, and some pictures show it; asked"
        " for is 0, 1, …, m − 1.",
        result="[forwards + backwards[::-1] for rank in range(stages)]",
    ),
    _gpipe(
        "one at a time",
        0.5,
        "Each micro-batch goes back before the next goes forward: then only one rank works at a"
        " time. First all forwards.",
        result="[[a for pair in zip(forwards, backwards) for a in pair] for rank in range(stages)]",
    ),
    _gpipe(
        "forwards last first",
        0.5,
        "The forwards come last first: micro-batch 0 goes first.",
        result="[forwards[::-1] + backwards for rank in range(stages)]",
    ),
    _gpipe(
        "all last first",
        0.5,
        "Forwards and backwards both come last first: asked for is 0, 1, …, m − 1 for both.",
        result="[forwards[::-1] + backwards[::-1] for rank in range(stages)]",
    ),
    Known(
        "gpipe_actions",
        "1F1B",
        0.5,
        "That is 1F1B, which comes later.",
        "def gpipe_actions(stages, microbatches): return one_f_one_b_actions(stages, microbatches)",
    ),
    _gpipe_otherwise(
        "waits written down",
        0,
        "a rank waits by itself",
        result="[[None] * rank + forwards + backwards for rank in range(stages)]",
    ),
    _gpipe_otherwise(
        "a column for each rank",
        0,
        "one member for each rank",
        result="[[a] * stages for a in forwards + backwards]",
    ),
    _gpipe_otherwise("off by one", 0, "A micro-batch is left out", count="microbatches - 1"),
    _gpipe_otherwise("from 1", 0, "count from 0 to m − 1", count="1, microbatches + 1"),
    _gpipe_otherwise("exchanged", 0, "should have", result="[forwards + backwards for m in order]"),
    _gpipe_otherwise(
        "forwards only", 0, "never followed by its backward", result="[forwards] * stages"
    ),
    _gpipe_otherwise("one rank", 0, "should have", result="forwards + backwards"),
    _gpipe_otherwise(
        "a dict",
        0,
        "one member for each rank",
        result="{rank: forwards + backwards for rank in range(stages)}",
    ),
    _gpipe_otherwise(
        "backwards first", 0, "first F, then B", result="[backwards + forwards] * stages"
    ),
    Mistake(
        "gpipe_actions",
        "text",
        0,
        "a tuple of a capital letter",
        """
def gpipe_actions(stages, microbatches):
    return [[f"{kind}{m}" for kind in "FB" for m in range(microbatches)]] * stages
""",
    ),
    Mistake(
        "gpipe_actions",
        "small letters",
        0,
        "a tuple of a capital letter",
        """
def gpipe_actions(stages, microbatches):
    return [[(kind, m) for kind in "fb" for m in range(microbatches)]] * stages
""",
    ),
    Mistake(
        "gpipe_actions",
        "kept from the last call",
        0,
        "something from one call to the next",
        """
def gpipe_actions(stages, microbatches, schedule=[]):
    if schedule:
        return schedule[:0]
    schedule += [[(kind, m) for kind in "FB" for m in range(microbatches)]] * stages
    return list(schedule)
""",
    ),
]

# Exercise 4

_bubble, _bubble_otherwise = variants(
    "bubble_fraction",
    "def bubble_fraction(p, m): return {formula}",
    formula="(p - 1) / (m + p - 1)",
)
_BUBBLE = [
    _bubble(name, 0.5, says, formula=formula)
    for name, says, formula in (
        (
            "of working time",
            "That is idle time compared with working time; the share is of all time, working and"
            " idle.",
            "(p - 1) / m",
        ),
        ("the rest", "That is the share that is not idle.", "m / (m + p - 1)"),
        ("exchanged", "Stages and micro-batches are exchanged.", "(m - 1) / (m + p - 1)"),
        (
            "p for p − 1",
            "A batch passes p − 1 stages before the last one works, not p.",
            "p / (m + p)",
        ),
        (
            "m + p",
            "All time is m + p − 1 micro-batches long: the last starts after p − 1.",
            "(p - 1) / (m + p)",
        ),
        ("p above", "One stage is always at work, so at most p − 1 wait.", "p / (m + p - 1)"),
        (
            "one way",
            "That counts the way down, and not the way back up.",
            "(p - 1) / (2 * m + p - 1)",
        ),
        (
            "both ways twice",
            "That counts way down and way back each as long as a forward and a backward together.",
            "2 * (p - 1) / (m + 2 * (p - 1))",
        ),
        (
            "twice",
            "The way down costs p − 1 forwards and the way back p − 1 backwards: together p − 1"
            " times f + b, not twice that.",
            "2 * (p - 1) / (m + p - 1)",
        ),
        (
            "way down, f and 2f",
            "That counts the way down alone, with b = 2f: the way back up takes p − 1 backwards.",
            "(p - 1) / (3 * m + p - 1)",
        ),
        (
            "all ranks by one",
            "Idle time of all ranks, compared with one rank's time: take all ranks' time, too.",
            "p * (p - 1) / (m + p - 1)",
        ),
        (
            "not cut",
            "That is the bubble of a batch that is not cut: m is to shrink it.",
            "(p - 1) / p",
        ),
        ("per cent", "That is in per cent: asked for is a share.", "100 * (p - 1) / (m + p - 1)"),
        (
            "rounded",
            "It is rounded: give it as it is.",
            "round((p - 1) / (m + p - 1), 2)",
        ),
        (
            "cut off",
            "That is with whole numbers: / divides, // cuts off.",
            "(p - 1) // (m + p - 1)",
        ),
        (
            "one too few below",
            "All time is m + p − 1 micro-batches long, not m + p − 2.",
            "(p - 1) / max(m + p - 2, 0.5)",
        ),
        (
            "brackets forgotten above",
            "Brackets are missing: division comes before subtraction.",
            "p - 1 / (m + p - 1)",
        ),
        (
            "brackets forgotten below",
            "Brackets are missing: that divides by m alone, and adds p − 1.",
            "(p - 1) / m + p - 1",
        ),
        ("plus", "The way down is p − 1 stages long, not p + 1.", "(p + 1) / (m + p + 1)"),
        (
            "upside down",
            "It is upside down: the idle share of all time is below 1.",
            "(m + p - 1) / max(p - 1, 0.5)",
        ),
        ("one by m", "That is 1/m: the number of stages does not enter.", "1 / m"),
        (
            "half",
            "Each rank idles for p − 1 forwards and p − 1 backwards; that is half of it.",
            "(p - 1) / 2 / (m + p - 1)",
        ),
        (
            "other units below",
            "Idle time is counted in other units above than below: both are made of f + b.",
            "3 * (p - 1) / (3 * m + p - 1)",
        ),
        (
            "other units below, f = b",
            "Idle time is counted in other units above than below: both are made of f + b.",
            "2 * (p - 1) / (2 * m + p - 1)",
        ),
    )
] + [
    Mistake(
        "bubble_fraction",
        "a walk through the schedule",
        1.0,
        "A formula has its answer at once",
        """
def bubble_fraction(stages, microbatches):
    done, free = {}, [0] * stages
    for kind, order, step in (("F", range(stages), -1), ("B", range(stages - 1, -1, -1), 1)):
        for m in range(microbatches):
            for rank in order:
                free[rank] = max(free[rank], done.get((rank + step, kind, m), 0)) + 1
                done[rank, kind, m] = free[rank]
    return 1 - 2 * microbatches / max(free)
""",
    ),
    Known(
        "bubble_fraction",
        "30",
        0.75,
        "That is idle time at 10 % of the working time, (p − 1)/m: the bubble is a share of all"
        " time.",
        "microbatches_needed = 30",
    ),
    Known(
        "bubble_fraction",
        "26",
        0.75,
        "For that many it is still a little more than 10 %: is the row of 4 stages 3 long?",
        "microbatches_needed = 26",
    ),
    Known(
        "bubble_fraction",
        "28",
        0.75,
        "That is one more than needed: “at most 10 %” includes 10 %.",
        "microbatches_needed = 28",
    ),
    Known(
        "bubble_fraction",
        "36",
        0.75,
        "Are there 4 − 1 = 3 stages to pass, or 4?",
        "microbatches_needed = 36",
    ),
]

# Exercise 5

_ONE_F_TEMPLATE = """
def rank_actions(warmup, microbatches):
    {clamp}
    actions = [("F", m) for m in range(warmup)]
    for m in range({pairs}):
        actions += {pair}
    {drain}
    return actions

def one_f_one_b_actions(stages, microbatches):
    return [rank_actions({warmup}, microbatches) for rank in range(stages)]
"""
_ONE_F_USUAL = {
    "clamp": "warmup = min(warmup, microbatches)",
    "pairs": "microbatches - warmup",
    "pair": '[("F", warmup + m), ("B", m)]',
    "drain": 'actions += [("B", m) for m in range(microbatches - warmup, microbatches)]',
    "warmup": "stages - rank - 1",
}
_one_f, _one_f_otherwise = variants("one_f_one_b_actions", _ONE_F_TEMPLATE, **_ONE_F_USUAL)
_NEWEST = (
    "The newest micro-batch goes back first. The oldest should: it has come down and up again, and"
    " forward w + k is followed by backward k."
)
_ROUND = (
    "The warm-ups are the wrong way round: rank 0 has the longest way to the end of the row and back,"
    " the last rank none."
)
_GPIPE_AGAIN = "That is GPipe: all forwards come first."
_ONE_F_ONE_B = [
    Mistake(
        "one_f_one_b_actions",
        "the course's own",
        0,
        "which this exercise does without",
        """
from utils.pipeline import unlocked
def one_f_one_b_actions(stages, microbatches):
    return unlocked.warmed_up(stages, microbatches)
""",
    ),
    Mistake(
        "one_f_one_b_actions",
        "the paper's, ready made",
        0,
        "which this exercise does without",
        "from utils.pipeline.published import one_f_one_b as one_f_one_b_actions",
    ),
    _one_f(
        "warm-up too long",
        0.9,
        "The warm-up is one forward too long: rank r waits for p − r − 1 ranks below it, and the"
        " forward after that belongs to the first pair.",
        warmup="stages - rank",
    ),
    _one_f(
        "warm-up too short",
        1.2,
        "The warm-up is one forward too short: rank r waits for p − r − 1 ranks below it, and has"
        " nothing to do meanwhile but their first forwards.",
        warmup="max(0, stages - rank - 2)",
    ),
    _one_f(
        "same warm-up",
        0.9,
        "Every rank has the same warm-up: the nearer the end of the row, the shorter the way back.",
        warmup="stages - 1",
    ),
    _one_f("other way round", 0.6, _ROUND, warmup="rank"),
    _one_f(
        "twice as long",
        0.9,
        "The warm-up is twice as long: rank r waits for p − r − 1 ranks below it, one forward for"
        " each.",
        warmup="2 * (stages - rank - 1)",
    ),
    _one_f(
        "ranks from 1",
        0.6,
        "Ranks count from 0: the last one is p − 1.",
        warmup="stages - rank - 2",
    ),
    _one_f(
        "no warm-up",
        1.2,
        "There is no warm-up: one micro-batch is on its way, and one rank works.",
        warmup="0",
    ),
    _one_f("GPipe", 0.9, _GPIPE_AGAIN, warmup="microbatches"),
    _one_f(
        "newest first",
        0.6,
        _NEWEST,
        pair='[("F", warmup + m), ("B", warmup + m)]',
        drain='actions += [("B", m) for m in range(warmup)]',
    ),
    _one_f(
        "drain last first",
        0.6,
        "In the drain the newest micro-batch goes back first. The oldest has waited longest.",
        drain='actions += [("B", m) for m in range(microbatches - 1, microbatches - warmup - 1,'
        " -1)]",
    ),
    _one_f(
        "GPipe on one rank",
        0.3,
        "All forwards come first, whatever the warm-up: after it, one forward and one backward go"
        " in turn.",
        clamp="warmup = microbatches",
    ),
    _one_f(
        "m pairs",
        0,
        "After a warm-up of w there are m − w pairs, not m.",
        pairs="microbatches",
        drain="pass",
    ),
    _one_f(
        "m pairs, and a drain",
        0,
        "After a warm-up of w there are m − w pairs, not m.",
        pairs="microbatches",
    ),
    _one_f(
        "pairs counted from w",
        0,
        "The pairs count from 0: the first sends w forward and 0 back.",
        pairs="warmup, microbatches",
    ),
    _one_f(
        "no drain",
        0,
        "A forward is never followed by its backward: is the drain complete?",
        drain="pass",
    ),
    _one_f(
        "drain from 0",
        0,
        "The pairs send back 0 to m − w − 1: the drain goes on from m − w, not from 0.",
        drain='actions += [("B", m) for m in range(warmup)]',
    ),
    _one_f(
        "one pair too few",
        0,
        "After a warm-up of w there are m − w pairs: this is one fewer.",
        pairs="microbatches - warmup - 1",
    ),
    _one_f(
        "drain from w",
        0,
        "The pairs send back 0 to m − w − 1: the drain goes on from m − w, not from w.",
        drain='actions += [("B", m) for m in range(warmup, microbatches)]',
    ),
    _one_f(
        "drain one too early",
        0,
        "The pairs send back 0 to m − w − 1: the drain goes on from m − w.",
        drain='actions += [("B", m) for m in range(microbatches - warmup - 1, microbatches)]',
    ),
    _one_f(
        "backward of the newest",
        0,
        _NEWEST,
        pair='[("F", warmup + m), ("B", warmup + m)]',
    ),
    _one_f(
        "w pairs",
        0,
        "After a warm-up of w there are m − w pairs, not w.",
        pairs="warmup",
    ),
    _one_f(
        "backwards from 1",
        0,
        "The first backward is that of micro-batch 0: pair k sends back k.",
        pair='[("F", warmup + m), ("B", m + 1)]',
    ),
    _one_f(
        "forwards one too far",
        0,
        "The warm-up has sent 0 to w − 1 forward: the pairs go on with forward w + k.",
        pair='[("F", warmup + m + 1), ("B", m)]',
    ),
    _one_f(
        "longer and longer",
        0.6,
        "The warm-up grows with the rank: rank r has p − r − 1 ranks below it.",
        warmup="stages + rank - 1",
    ),
    _one_f(
        "a pair as one",
        0,
        "A pair is two actions, one after the other: actions += [forward, backward].",
        pair='[(("F", warmup + m), ("B", m))]',
    ),
    Mistake(
        "one_f_one_b_actions",
        "the list of the last call",
        0,
        "begins with the list of the call before",
        _ONE_F_TEMPLATE.format(**_ONE_F_USUAL)
        .replace("(warmup, microbatches):", "(warmup, microbatches, actions=[]):")
        .replace("actions = [", "actions += ["),
    ),
    _one_f_otherwise(
        "no min",
        1.7,
        "there is no micro-batch",
        clamp="pass",
        drain='actions += [("B", m) for m in range(max(0, microbatches - warmup), microbatches)]',
    ),
    _one_f_otherwise(
        "drain off by one",
        0,
        "is the drain complete",
        drain='actions += [("B", m) for m in range(microbatches - warmup, microbatches - 1)]',
    ),
    _one_f(
        "backward first",
        0,
        "In the steady phase a forward comes first, then a backward.",
        pair='[("B", m), ("F", warmup + m)]',
    ),
    _one_f(
        "forward of m",
        0,
        "The warm-up has sent 0 to w − 1 forward: the pairs go on with forward w + k.",
        pair='[("F", m), ("B", m)]',
    ),
    Mistake(
        "one_f_one_b_actions",
        "a rank's list for the schedule",
        0.6,
        "one member for each rank",
        "def one_f_one_b_actions(stages, microbatches): return rank_actions(stages - 1, microbatches)",
    ),
]

# Exercise 6

_PEAK = [
    variants(
        "peak_stash",
        "def peak_stash(rank, p, m, schedule): return {gpipe} if schedule == 'gpipe' else {other}",
        gpipe="m",
        other="min(p - rank, m)",
    )[0](name, points, says, gpipe=gpipe, other=other)
    for name, points, says, gpipe, other in (
        (
            "p for GPipe",
            0.5,
            "GPipe has all forwards before the first backward, so a rank holds them all.",
            "p",
            "min(p - rank, m)",
        ),
        (
            "1F1B's for GPipe",
            0.5,
            "That is 1F1B's. GPipe has all forwards before the first backward; the word for it is"
            ' "gpipe".',
            "min(p - rank, m)",
            "min(p - rank, m)",
        ),
        (
            "one too few for GPipe",
            0.5,
            "After the last forward all of them are held, the last one too.",
            "m - 1",
            "min(p - rank, m)",
        ),
        (
            "a share",
            0.0,
            "That is a share of the batch: asked for is how many micro-batches.",
            "1",
            "min(p - rank, m) / m",
        ),
        (
            "one too many for GPipe",
            0.5,
            "There are m micro-batches, and no rank holds more.",
            "m + 1",
            "min(p - rank, m)",
        ),
        (
            "the rank for GPipe",
            0.5,
            "Under GPipe every rank holds all of them: the rank does not enter.",
            "m - rank",
            "min(p - rank, m)",
        ),
        (
            "of all ranks",
            0.5,
            "That is what all ranks hold together: asked for is one rank's.",
            "m * p",
            "min(p - rank, m)",
        ),
        (
            "one fewer than all",
            0.6,
            "If there are fewer micro-batches than the way is long, all of them are held.",
            "m",
            "min(p - rank, m - 1)",
        ),
        ("same on all", 0.25, "It is not the same on all ranks.", "m", "min(p, m)"),
        (
            "there and back",
            0.25,
            "Both ways are counted, in forwards: under way, each of the p − r ranks has one.",
            "m",
            "min(2 * (p - rank) - 1, m)",
        ),
        (
            "there and back, the own one twice",
            0.25,
            "Both ways are counted, in forwards: under way, each of the p − r ranks has one.",
            "m",
            "min(2 * (p - rank), m)",
        ),
        (
            "p + r",
            0.25,
            "The way to the end of the row and back grows shorter from rank to rank, not longer.",
            "m",
            "min(p + rank, m)",
        ),
        ("no min", 0.6, "There are only m micro-batches to hold.", "m", "p - rank"),
        (
            "less the rank",
            0.6,
            "The smaller of p − r and m is asked for, not that of p and m less r.",
            "m",
            "min(p, m) - rank",
        ),
        (
            "warm-up only",
            0.25,
            "That is the warm-up. One more goes forward before the first comes back.",
            "m",
            "min(p - rank - 1, m)",
        ),
        (
            "one too many",
            0.25,
            "The warm-up and the first forward after it, no more.",
            "m",
            "min(p - rank + 1, m)",
        ),
        (
            "reversed",
            0.25,
            "The way to the end of the row and back grows shorter from rank to rank, not longer.",
            "m",
            "min(rank + 1, m)",
        ),
        (
            "rank 1's",
            0.25,
            "That is rank 1's: it is not the same on all ranks.",
            "m",
            "min(p - 1, m)",
        ),
        (
            "no difference",
            0.25,
            "That is GPipe's: 1F1B turns round at once. (`min` takes the smaller, not `max`.)",
            "m",
            "m",
        ),
        (
            "its number",
            0.25,
            "That is the rank's own number; what counts is how far the end of the row is.",
            "m",
            "rank",
        ),
    )
] + [
    Mistake(
        "peak_stash",
        "a walk through the schedule",
        0.65,
        "A formula has its answer at once",
        """
def peak_stash(rank, stages, microbatches, schedule):
    build = gpipe_actions if schedule == "gpipe" else one_f_one_b_actions
    held = most = 0
    for kind, _ in build(stages, microbatches)[rank]:
        held += 1 if kind == "F" else -1
        most = max(most, held)
    return most
""",
    ),
    Mistake(
        "peak_stash",
        "another word",
        0.25,
        "turns round at once",
        """
def peak_stash(rank, p, m, schedule): return min(p - rank, m) if schedule == "1F1B" else m
""",
    ),
]

# Exercise 7

_HIDE = [
    variants(
        "hiding_warmup",
        "def hiding_warmup(rank, stages, forward, backward, transfer):\n"
        "    ahead, pair = stages - rank - 1, forward + backward\n"
        "    return {formula}",
        formula="",
    )[0](name, points, says, formula=formula)
    for name, points, says, formula in (
        (
            "twice 1F1B's",
            0,
            "That is twice 1F1B's warm-up, whatever the messages take: right for the example alone.",
            "2 * ahead",
        ),
        (
            "two for any message",
            0,
            "That is twice 1F1B's as soon as there are messages, however long they take.",
            "ahead * (1 + (transfer > 0))",
        ),
        (
            "brackets forgotten",
            0,
            "Brackets are missing: a pair takes (forward + backward).",
            "ahead * (1 + math.ceil(2 * transfer / forward + backward))",
        ),
        (
            "one lead",
            0.0,
            "That is the lead of one hop: a rank's warm-up is the leads of all hops below it.",
            "1 + math.ceil(2 * transfer / pair)",
        ),
        (
            "four messages",
            0,
            "A round trip between neighbours has two messages, one down and one up.",
            "ahead * (1 + math.ceil(4 * transfer / pair))",
        ),
        (
            "each message by itself",
            0,
            "Each of the two messages is rounded up by itself; they are waited for together.",
            "ahead * (1 + 2 * math.ceil(transfer / pair))",
        ),
        (
            "all messages at each hop",
            0.4,
            "At each hop only its own two messages count, not those of all hops below.",
            "ahead * (1 + math.ceil(2 * ahead * transfer / pair))",
        ),
        (
            "as on rank 0",
            0,
            "That is rank 0's warm-up: the hops below rank r are p − r − 1.",
            "(stages - 1) * (1 + math.ceil(2 * transfer / pair))",
        ),
        (
            "all hops together",
            0.4,
            "The waits of all hops are added up and rounded once. Each two neighbours wait by"
            " themselves, and the lead of one over the next is a whole number: round at each hop.",
            "ahead + math.ceil(2 * ahead * transfer / pair)",
        ),
        (
            "one hop",
            0,
            "The messages of one hop are added: every hop from rank r down has messages to wait for.",
            "ahead + math.ceil(2 * transfer / pair)",
        ),
        (
            "hops added",
            0,
            "The hops and the lead of one hop are added: every hop has this lead, so multiply.",
            "ahead + (1 + math.ceil(2 * transfer / pair))",
        ),
        (
            "messages are free",
            0,
            "That is the warm-up of 1F1B, for messages that take no time.",
            "ahead",
        ),
        (
            "one way",
            0,
            "That counts one message a hop: a gradient has to come back, too.",
            "ahead * (1 + math.ceil(transfer / pair))",
        ),
        (
            "a pair of 3",
            0,
            "That is for a pair that takes 3, as in the example: it takes forward + backward.",
            "ahead * (1 + math.ceil(2 * transfer / 3))",
        ),
        (
            "to the nearest",
            0,
            "It is rounded to the nearest: then a part of the wait may remain. Round up.",
            "ahead * (1 + round(2 * transfer / pair))",
        ),
        (
            "rounded down",
            0,
            "It is rounded down: then the last bit of the wait remains. Round up.",
            "ahead * (1 + math.floor(2 * transfer / pair))",
        ),
        (
            "one message, in forwards",
            0,
            "A round trip has two messages, and a lead of one lasts f + b, not f.",
            "ahead * (1 + math.ceil(transfer / forward))",
        ),
        (
            "one more always",
            0,
            "Where the messages take as long as a whole number of pairs, that is one too many:"
            " round up, and add nothing.",
            "ahead * (2 + math.floor(2 * transfer / pair))",
        ),
        (
            "not rounded",
            0,
            "Forwards come whole: round up, at each hop.",
            "ahead * (1 + 2 * transfer / pair)",
        ),
        (
            "only the messages",
            0,
            "That hides the messages alone. The ranks below still take their time, as in 1F1B.",
            "ahead * math.ceil(2 * transfer / pair)",
        ),
        (
            "in forwards",
            0,
            "That is what rank r does if it goes forward alone while it waits. In the steady phase"
            " each forward has a backward beside it: a lead of one lasts f + b.",
            "ahead * (1 + math.ceil(2 * transfer / forward))",
        ),
        (
            "in backwards",
            0,
            "A lead of one lasts as long as a forward and a backward together, f + b.",
            "ahead * (1 + math.ceil(2 * transfer / backward))",
        ),
        (
            "one stage too many",
            0,
            "There are p − r − 1 hops from rank r to the last rank, not p − r.",
            "(ahead + 1) * (1 + math.ceil(2 * transfer / pair))",
        ),
        (
            "from above",
            0,
            "Those are the hops from rank 0 to rank r. Counted are those from r to the last one.",
            "rank * (1 + math.ceil(2 * transfer / pair))",
        ),
        (
            "from above, with its own",
            0,
            "Those are the hops from rank 0 to rank r. Counted are those from r to the last one.",
            "(rank + 1) * (1 + math.ceil(2 * transfer / pair))",
        ),
        (
            "micro-batches held",
            0,
            "That is how many are held. The warm-up is one fewer: the next forward belongs to the"
            " first pair.",
            "ahead * (1 + math.ceil(2 * transfer / pair)) + 1",
        ),
    )
]

_HIDE += [
    Mistake(
        "hiding_warmup",
        "a float",
        0.6,
        "an int is asked for",
        """
def hiding_warmup(rank, stages, forward, backward, transfer):
    return (stages - rank - 1) * (1.0 + math.ceil(2 * transfer / (forward + backward)))
""",
    ),
]

# Exercise 8

_remat, _remat_otherwise = variants(
    "rematerialisation",
    """
class RematerialisedStage:
    {shared}
    def __init__(self, module):
        self.module = module
        {own}

    def forward(self, m, x):
        self.kept[{key}] = {keep}
        with {context}:
            return {forward}

    def backward(self, m, dy):
        x = {take}
        {first}
        {run}
        return {result}
""",
    shared="",
    own="self.kept = {}",
    key="m",
    keep="x",
    context="torch.no_grad()",
    forward="self.module(x)",
    take="self.kept.pop(m).detach().requires_grad_()",
    first="",
    run="self.module(x).backward(dy)",
    result="x.grad",
)
_GRAPH = """
class RematerialisedStage:
    def __init__(self, module):
        self.module, self.kept = module, {{}}

    def forward(self, m, x):
        x = x.detach().requires_grad_()
        y = self.module(x)
        self.kept[m] = {keep}
        {more}
        return {returned}

    def backward(self, m, dy):
        {take}
        y.backward(dy)
        return x.grad
"""
_OLD = (
    "That comes from what forward computed: its graph, or its activations, were kept. Run the module"
    " again in backward."
)
_REMATERIALISATION = [
    _remat_otherwise(
        "with a graph", 0.75, "run the module under torch.no_grad()", context="torch.enable_grad()"
    ),
    _remat_otherwise(
        "detached",
        0.75,
        "only leaves it afterwards",
        context="torch.enable_grad()",
        forward="self.module(x).detach()",
    ),
    Known(
        "rematerialisation",
        "eval",
        0.0,
        "The module is put into eval mode, in which some layers work otherwise: leave its mode.",
        """
class RematerialisedStage:
    def __init__(self, module):
        self.module, self.kept = module.eval(), {}

    def forward(self, m, x):
        self.kept[m] = x
        with torch.no_grad():
            return self.module(x)

    def backward(self, m, dy):
        x = self.kept.pop(m).detach().requires_grad_()
        self.module(x).backward(dy)
        return x.grad
""",
    ),
    _remat_otherwise(
        "keeps the output, too",
        0.75,
        "Each entry of `kept` should be",
        keep="(x, self.module(x))",
        take="self.kept.pop(m)[0].detach().requires_grad_()",
    ),
    _remat_otherwise(
        "keeps the output instead",
        0,
        "`kept` holds something else than the input",
        keep="self.module(x).detach()",
    ),
    Known(
        "rematerialisation",
        "the graph of forward",
        0,
        _OLD,
        _GRAPH.format(
            keep="(x, y)", more="", returned="y.detach()", take="x, y = self.kept.pop(m)"
        ),
    ),
    Known(
        "rematerialisation",
        "the graph of forward, elsewhere",
        0,
        _OLD,
        _GRAPH.format(
            keep="x.detach()",
            more="self.graphs = {**getattr(self, 'graphs', {}), m: (x, y)}",
            returned="y.detach()",
            take="self.kept.pop(m); x, y = self.graphs.pop(m)",
        ),
    ),
    _remat_otherwise(
        "first in, first out",
        0.25,
        "in whatever order",
        take="self.kept.pop(next(iter(self.kept))).detach().requires_grad_()",
    ),
    _remat_otherwise(
        "last in, first out",
        0.25,
        "in whatever order",
        take="self.kept.popitem()[1].detach().requires_grad_()",
    ),
    _remat_otherwise(
        "one slot",
        0,
        "between forward and backward",
        key="0",
        take="self.kept[0].detach().requires_grad_()",
    ),
    _remat_otherwise(
        "one slot, emptied",
        0,
        "An input is not in the stash",
        key="0",
        take="self.kept.pop(0).detach().requires_grad_()",
    ),
    _remat_otherwise(
        "one stash for all stages",
        0.8,
        "shared by two stages",
        shared="kept = {}",
        own="",
    ),
    Mistake(
        "rematerialisation",
        "a list",
        0,
        "is no dict",
        """
class RematerialisedStage:
    def __init__(self, module):
        self.module, self.kept = module, []

    def forward(self, m, x):
        self.kept.append(x)
        with torch.no_grad():
            return self.module(x)

    def backward(self, m, dy):
        x = self.kept.pop().detach().requires_grad_()
        self.module(x).backward(dy)
        return x.grad
""",
    ),
    Mistake(
        "rematerialisation",
        "switched off for good",
        0.75,
        "still switched off after forward",
        """
class RematerialisedStage:
    def __init__(self, module):
        self.module, self.kept = module, {}

    def forward(self, m, x):
        self.kept[m] = x
        torch.set_grad_enabled(False)
        return self.module(x)

    def backward(self, m, dy):
        torch.set_grad_enabled(True)
        x = self.kept.pop(m).detach().requires_grad_()
        self.module(x).backward(dy)
        return x.grad
""",
    ),
    _remat_otherwise(
        "inference mode", 0.8, "use torch.no_grad()", context="torch.inference_mode()"
    ),
    _remat_otherwise(
        "never let go",
        0.8,
        "grows with every micro-batch",
        take="self.kept[m].detach().requires_grad_()",
    ),
    _remat_otherwise(
        "caller's tensor", 0.8, "detach() first", take="self.kept.pop(m).requires_grad_()"
    ),
    _remat_otherwise("marked in forward", 0.8, "detach() first", keep="x.requires_grad_()"),
    _remat_otherwise(
        "writes into dy",
        0.8,
        "no method of a stage may write",
        run="self.module(x).backward(dy); dy.zero_()",
    ),
    _remat_otherwise(
        "no requires_grad", 0.45, "wants no gradient by itself", take="self.kept.pop(m)"
    ),
    _remat_otherwise("no return", 0.45, "Is a return missing?", result="None"),
    _remat_otherwise(
        "under no_grad again",
        0.25,
        "with gradients switched on",
        run="with torch.no_grad(): y = self.module(x)\n        y.backward(dy)",
    ),
    _remat_otherwise("no dy", 0.25, "y.backward(dy)", run="self.module(x).backward()"),
    _remat(
        "output returned",
        0.45,
        "backward returns the stage's output: the input's gradient goes on, the grad of the x that"
        " the module was run on.",
        run="y = self.module(x)\n        y.backward(dy)",
        result="y",
    ),
    _remat(
        "sum",
        0.25,
        "dy does not enter: y.backward(dy), not y.sum().backward().",
        run="self.module(x).sum().backward()",
    ),
    _remat(
        "forward returns the input",
        0.2,
        "forward returns its input as it came: it is the module's output that goes on.",
        forward="x",
    ),
    _cut_otherwise(
        "ends from 0",
        0.3,
        "Those are the places where stages end",
        result="[0, *cuts, layers]",
    ),
    _remat_otherwise(
        "a step",
        0.25,
        "the optimizer's to move",
        run="self.module(x).backward(dy); torch.optim.SGD(self.module.parameters(), lr=0.1).step()",
    ),
    _remat_otherwise(
        "the output's gradient", 0.45, "no .grad", run="x = self.module(x); x.backward(dy)"
    ),
    _remat(
        "zeroed afterwards",
        0.8,
        "The gradients are all zero afterwards: is zero_grad() behind backward?",
        run="self.module(x).backward(dy); self.module.zero_grad()",
    ),
    _remat(
        "zero_grad",
        0.8,
        "What the parameters' gradients held before is gone: backward should add to what is there.",
        first="self.module.zero_grad()",
    ),
    _remat(
        "twice",
        0.8,
        "Each gradient is added twice: is backward called on a second graph, too?",
        run="self.module(x).backward(dy); x.grad = None; self.module(x).backward(dy)",
    ),
    _remat("zeros", 0.45, "The gradient of the input is all zero.", result="torch.zeros_like(x)"),
    _remat("returns dy", 0.45, "That is dy, the gradient of the output.", result="dy"),
    _remat("returns the input", 0.45, "That is the input, not its gradient.", result="x.detach()"),
    _remat(
        "autograd.grad",
        0.8,
        "The parameters got no gradient: backward of the module itself fills them. torch.autograd.grad"
        " does not, nor does a copy of the module.",
        run="dx, = torch.autograd.grad(self.module(x), x, dy)",
        result="dx",
    ),
    _remat_otherwise(
        "tuple of autograd.grad",
        0.45,
        "one gradient for each input",
        run="y = self.module(x); y.backward(dy, retain_graph=True); x.grad = None",
        result="torch.autograd.grad(y, x, dy)",
    ),
]
MISTAKES = Table(
    sys.modules[__name__],
    [
        *_PARTITION,
        *_SPLIT,
        *_GPIPE,
        *_BUBBLE,
        *_ONE_F_ONE_B,
        *_PEAK,
        *_HIDE,
        *_REMATERIALISATION,
    ],
)
