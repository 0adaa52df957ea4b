"""The answers of lab 13: the right ones, and those of known misconceptions."""

import ast
import re
import sys
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from grading.checks.mistakes import Known, Mistake, Table, variants


class _Copy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dist):
        ctx.dist = dist
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dy):
        total = dy.clone(memory_format=torch.contiguous_format)
        ctx.dist.all_reduce(total)
        return total, None


class _Reduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dist):
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, dy):
        return dy, None


def copy_to_ranks(dist, x):
    return _Copy.apply(x, dist)


def reduce_from_ranks(dist, x):
    return _Reduce.apply(x, dist)


def _own(dist, whole, dim=0):
    return nn.Parameter(whole.tensor_split(dist.get_world_size(), dim)[dist.get_rank()].clone())


class ColumnLinear(nn.Module):
    def __init__(self, dist, weight, bias):
        super().__init__()
        self.dist, self.weight, self.bias = dist, _own(dist, weight), _own(dist, bias)

    def forward(self, x):
        return F.linear(copy_to_ranks(self.dist, x), self.weight, self.bias)


class RowLinear(nn.Module):
    def __init__(self, dist, weight, bias):
        super().__init__()
        self.dist, self.weight = dist, _own(dist, weight, 1)
        self.bias = nn.Parameter(bias.clone())

    def forward(self, x):
        return reduce_from_ranks(self.dist, F.linear(x, self.weight)) + self.bias


class _Block(nn.Module):
    def __init__(self, dist, norm, first, second):
        super().__init__()
        self.norm = norm
        self.first = ColumnLinear(dist, first.weight.detach(), first.bias.detach())
        self.second = RowLinear(dist, second.weight.detach(), second.bias.detach())

    def forward(self, x):
        return x + self.second(F.gelu(self.first(self.norm(x))))


def parallel_block(dist, norm, first, second):
    return _Block(dist, norm, first, second)


def parallel_embedding(dist, tokens, weight, first):
    mine = (tokens >= first) & (tokens < first + len(weight))
    rows = F.embedding(torch.where(mine, tokens - first, 0), weight)
    return reduce_from_ranks(dist, rows * mine[..., None])


def parallel_cross_entropy(dist, logits, targets, first):
    highest = logits.detach().amax(dim=1)
    dist.all_reduce(highest, op=dist.ReduceOp.MAX)
    mine = (targets >= first) & (targets < first + logits.shape[1])
    place = torch.where(mine, targets - first, 0)
    target = logits.gather(1, place[:, None])[:, 0] * mine
    total = reduce_from_ranks(dist, (logits - highest[:, None]).exp().sum(dim=1))
    return (total.log() + highest - reduce_from_ranks(dist, target)).mean()


class ShardedAdam:
    before = False  # whether the gradients are divided before they travel

    def __init__(self, dist, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.dist, self.lr, self.betas, self.eps = dist, lr, betas, eps
        self.parameters = [one for one in parameters if one.requires_grad]
        self.piece = -(-sum(one.numel() for one in self.parameters) // dist.get_world_size())
        like = self.parameters[0].detach()
        self.m, self.v, self.steps = like.new_zeros(self.piece), like.new_zeros(self.piece), 0

    def _flat(self, tensors):
        flat = torch.cat([one.detach().flatten() for one in tensors])
        return F.pad(flat, (0, self.piece * self.dist.get_world_size() - len(flat)))

    @torch.no_grad()
    def step(self):
        rank, p = self.dist.get_rank(), self.dist.get_world_size()
        whole = self._flat(
            [torch.zeros_like(q) if q.grad is None else q.grad for q in self.parameters]
        )
        mean = torch.empty_like(self.m)
        self.dist.reduce_scatter_tensor(mean, whole / p if self.before else whole)
        if not self.before:
            mean /= p
        self.steps += 1
        b1, b2 = self.betas
        self.m = b1 * self.m + (1 - b1) * mean
        self.v = b2 * self.v + (1 - b2) * mean**2
        m, v = self.m / (1 - b1**self.steps), self.v / (1 - b2**self.steps)
        weights = self._flat(self.parameters)
        own = weights.view(p, -1)[rank] - self.lr * m / (v.sqrt() + self.eps)
        self.dist.all_gather_into_tensor(weights, own.contiguous())
        start = 0
        for one in self.parameters:
            one.copy_(weights[start : start + one.numel()].view_as(one))
            start += one.numel()


class DividedFirst(ShardedAdam):
    before = True


def memory_of(layers, batch, p, layout):
    numbers = activations = 0
    for place, (inputs, outputs) in enumerate(layers):
        m, n, bias, examples = inputs, outputs, outputs, batch
        if layout == "tensor" and place % 2 == 0:
            n = bias = -(-outputs // p)
        elif layout == "tensor":
            m = -(-inputs // p)
        else:
            examples = -(-batch // p)
        numbers += m * n + bias
        activations += examples * m
    state = -(-numbers // p) if layout == "sharded" else numbers
    return {
        "weights": 4 * numbers,
        "gradients": 4 * numbers,
        "state": 8 * state,
        "activations": 4 * activations,
    }


def bytes_sent(weights, inputs, batch, p):
    share = 4 * 2 * (p - 1) / p
    return {"data": share * weights, "model": share * batch * inputs}


def choose_parallelism(layers, batch, p):
    sent = [bytes_sent(weights, inputs, batch, p) for weights, inputs in layers]
    return ["model" if one["model"] < one["data"] else "data" for one in sent]


flip_batch = 1000


# What a check says

RAISED = [
    (
        "process group",
        "Ask the `dist` that is given: here it stands for torch.distributed.",
    ),
    (
        "contiguous tensor",
        "A tensor need not be laid out row after row. .contiguous() lays it out, and"
        " .clone(memory_format=torch.contiguous_format) does so in a copy.",
    ),
    (
        "incorrect number of gradients",
        "backward returns one gradient for each argument that forward has besides ctx: None for"
        " `dist`.",
    ),
    (
        "'NoneType' object has no attribute",
        "Something is None here. Is a `return` missing? And all_reduce returns nothing: it replaces"
        " the numbers of its argument.",
    ),
    (
        "' object has no attribute 'detach'",
        "What is returned is no tensor. A torch.autograd.Function is not called but applied:"
        " Copying.apply(…), with forward's arguments without ctx.",
    ),
    (
        "but the corresponding forward input was not a Variable",
        "backward returns the gradients in the order of forward's arguments, None at `dist`.",
    ),
    (
        "does not require grad",
        "Nothing that leads to the output wants a gradient: is the way back cut by detach, no_grad"
        " or by what is no nn.Parameter?",
    ),
    (
        "modified by an inplace operation",
        "A tensor that backward still needs was changed in place, by all_reduce say: give it a copy.",
    ),
    (
        "in-place operation",
        "A tensor that wants a gradient is changed in place, by all_reduce say: give it a copy.",
    ),
    (
        "backward() takes",
        "backward(ctx, dy) gets ctx, and one gradient for each result of forward.",
    ),
]
LAYERS = [
    (
        "before Module.__init__",
        "super().__init__() comes first in a module's own __init__.",
    ),
    (
        "shapes cannot be multiplied",
        "A weight is (outputs, inputs). ColumnLinear has some outputs of all inputs, and gets all"
        " inputs; RowLinear has all outputs of some inputs, and gets these, as tensor_split cuts them:"
        " chunk and inputs // p cut otherwise.",
    ),
    (
        "must match",
        "Two things do not have as many numbers. ColumnLinear's weight, bias and output are this"
        " rank's piece by tensor_split; RowLinear's bias and output are whole.",
    ),
    (
        "empty parameter list",
        "The optimizer finds nothing to train: what learns is an nn.Parameter.",
    ),
    (
        "index out of range",
        "chunk(p) may make fewer than p pieces; tensor_split(p) always makes p.",
    ),
    (
        "cannot assign",
        "A module's parameter stays an nn.Parameter: nn.Parameter(piece).",
    ),
    (
        "does not require grad",
        "The weight wants no gradient: what learns is an nn.Parameter.",
    ),
]
INDEX = [
    (
        "out of range",
        "A token of another rank is looked up here. Its place is token − first, and where that is"
        " below 0, or not below the number of own rows, the token is another rank's.",
    ),
    (
        "out of bounds",
        "A token of another rank is looked up here. Its place is token − first, and where that is"
        " below 0, or not below the number of own rows, the token is another rank's.",
    ),
    (
        "must match the size",
        "Two tensors do not fit together. Every token gets a row here, another rank's one of zeros;"
        " and a mask (…,) beside rows (…, d) needs one axis more at its end: mask[..., None].",
    ),
    (
        "Boolean value of Tensor",
        "Two conditions on a tensor are joined by &, each in parentheses: (a >= 0) & (a < v).",
    ),
    (
        "dtypes match",
        "Zeros are made of the dtype of what comes into them, which is float64 here:"
        " weight.new_zeros(…).",
    ),
    ("shape mismatch", "A mask fits the tensor's first axes: rows[~mask] = 0."),
    (
        "same number of dimensions",
        "gather takes the index with as many axes as the logits: index[:, None].",
    ),
]
ADAM = [
    (
        "times the piece",
        "The flat tensor is p pieces long: where p does not divide its numbers, add zeros at its end,"
        " and zeros for each gradient that is None. What is filled comes first:"
        " reduce_scatter_tensor(own, whole), all_gather_into_tensor(whole, own).",
    ),
    (
        "the piece torch.float",
        "The parameters here are float64. Tensors are made of their dtype: parameter.new_zeros(k), or"
        " torch.empty(k, dtype=parameter.dtype).",
    ),
    (
        "non-empty",
        "There are no parameters left: `parameters` may be a generator, which can be gone through"
        " once. Keep a list.",
    ),
    (
        "NoneType",
        "A parameter has no gradient here: its .grad is None. It counts as zeros.",
    ),
    (
        "for input of size",
        "The flat tensor is p pieces long: where p does not divide its numbers, add zeros at its end.",
    ),
    (
        "must match",
        "Two tensors do not have as many numbers: the state and what a rank gets are one piece, of"
        " ceil(n / p) numbers.",
    ),
    (
        "leaf Variable",
        "Weights are changed by no gradient's graph: with torch.no_grad(), or on parameter.data.",
    ),
    (
        "list index out of range",
        "A list is empty, or too short. `parameters` may be a generator, which can be gone through once:"
        " list(parameters) comes first.",
    ),
    ("index out of range", "There are p pieces of equal length: pad the flat tensor with zeros."),
]
BLOCK = [
    (
        "has no attribute 'zero_grad'",
        "What is returned is no nn.Module: its parameters are all that learns in the block.",
    ),
    (
        "has no attribute 'parameters'",
        "What is returned is no nn.Module: its parameters are all that learns in the block.",
    ),
    (
        "'NoneType' object is not callable",
        "parallel_block returns None: is its `return` missing?",
    ),
    (
        "mixed dtype",
        "That norm is a new one, with numbers of its own: it is the given one that is needed.",
    ),
    *LAYERS,
]
ENTROPY = [
    (
        "'float' object has no",
        "The loss is a tensor with its graph, from which backward begins; .item() leaves that behind.",
    ),
    (
        "inplace operation",
        "all_reduce replaces the highest logits, and autograd still needs the old ones for their"
        " gradient. It only shifts, and wants none: detach it before it is reduced.",
    ),
    ("only for scalar outputs", "The loss is one number: the mean over the examples."),
    (
        "must match the size",
        "Two tensors do not fit together. The highest logit is one for each example, amax(dim=1);"
        " (N,) beside logits (N, v) needs one axis more at its end: highest[:, None].",
    ),
    *INDEX,
]
_LEARNS = (
    "In the first step this is right, in a later one not: weight or bias learns nothing, or something"
    " else. Is each an nn.Parameter, and used in forward as it is?"
)
_LEARNS_ALL = (
    "After a step it computes something else: are all parameters, those of norm too, parameters of the"
    " module?"
)
OWN_BYTES = (
    "By your own bytes_sent that is the cheaper: bytes_sent is to be mended, and this with it."
)
GIVES = {
    "copy_to_ranks": "In backward a rank gives the gradient that came, all of it, and nothing else.",
    "reduce_from_ranks": "In forward a rank gives its x as it is.",
    "ColumnLinear": "In backward it is the gradient of x by this rank's outputs: dy times own weight.",
    "RowLinear": "In forward it is own inputs times own columns of the weight, and no bias yet.",
    "parallel_block": "Forward: this rank's part of W2 gelu(W1 norm(x) + b1), without b2 and without"
    " x. Backward: the gradient of norm(x) by this rank's part.",
    "parallel_embedding": "A rank gives the rows of its own tokens, first to first + v − 1, and zeros for all others.",
    ("ColumnLinear", "later"): _LEARNS,
    ("RowLinear", "later"): _LEARNS,
    ("parallel_block", "later"): _LEARNS_ALL,
    (
        "ShardedAdam",
        "later",
    ): "The first step is right, and a later one is not: do m and v stay from"
    " step to step, is t counted on, and are the new weights put back into the parameters?",
    ("ShardedAdam", "gather"): "Into all_gather goes this rank's piece of the new weights, by the"
    " formulas above: m and v with the mean gradient, each divided by 1 − β**t, times lr, and eps"
    " added to the root.",
    "ShardedAdam": "Into reduce_scatter go the gradients of this rank, flat, in the order of the"
    " parameters; into all_gather goes the rank's piece of the new weights.",
}
RESULTS = {
    (
        "parallel_block",
        "the output before a step",
    ): "It is x + W2 gelu(W1 norm(x) + b1) + b2, with x and b2 once.",
    ("parallel_block", "the gradient of x before a step"): "x goes on in two ways, as it is and"
    " through the layers; its gradient is the sum of both.",
    (
        "ShardedAdam",
        "the weights",
    ): "What was gathered is put back: where does each parameter begin in the flat tensor?",
    ("copy_to_ranks", "the output"): "Forward passes x on as it is.",
    ("copy_to_ranks", "the gradient of x"): "It is what all_reduce made of dy, on every rank.",
    ("reduce_from_ranks", "the output"): "It is what all_reduce made of x, on every rank.",
    ("reduce_from_ranks", "the gradient of x"): "The gradient comes back as it is.",
    (
        "ColumnLinear",
        "the output",
    ): "It is x times own rows of the weight, plus own part of the bias.",
    ("ColumnLinear", "the gradient of x"): "It is what all_reduce made of all ranks' gradients.",
    ("RowLinear", "the output"): "It is what all_reduce made of all ranks' parts, plus the bias.",
    ("RowLinear", "the gradient of x"): "It is dy times own columns of the weight.",
    (
        "parallel_block",
        "the output after a step",
    ): _LEARNS_ALL,
    ("parallel_block", "the gradient of x after a step"): _LEARNS_ALL,
    (
        "ShardedAdam",
        "self.m",
    ): "It is the mean of the gradients, of this rank's ceil(n / p) numbers, and the state itself: each"
    " step goes on from what stands there.",
    (
        "ShardedAdam",
        "self.v",
    ): "It is the mean of the squares, of this rank's ceil(n / p) numbers, and"
    " the state itself: each step goes on from what stands there.",
    ("parallel_cross_entropy", "the loss"): "It is the mean over the examples of log Σ exp(logit −"
    " highest) + highest − the target's logit.",
    (
        "parallel_cross_entropy",
        "the gradient",
    ): "It is (softmax − 1 at the target) / N, of own words.",
}
CUT = (
    "The result has no way back to it: detach, .data, no_grad, or an all_reduce on a copy without a graph"
    " cuts it. The functions of exercise 1 have a backward."
)
RESULTS |= {
    (
        layer,
        f"the whole {name} afterwards",
    ): f"The steps change the whole {name}, which is the caller's:"
    " a piece by tensor_split is a view of it, and .clone() makes one of its own."
    for layer in ("ColumnLinear", "RowLinear")
    for name in ("weight", "bias")
}
TRAVELS = {  # what the message says that lacks, of the three that the loss needs
    "highest": "What goes into MAX is not the highest logit of each example among this rank's words.",
    "total": "The highest logit is there; a sum of exponentials is not. It is Σ exp(logit − highest)"
    " over this rank's words, one for each example, with the highest that MAX gave back, and no log.",
    "target": "The highest logit and the sum of exponentials are right; the third is no target's logit."
    " Where the target is another rank's word, this rank gives 0.",
}
GELU_REPLIES = {
    "a": "For one rank's part z, GELU(z) is a number for each number; but it is a sum that it should"
    " be taken of. Is GELU(1) + GELU(−1) equal to GELU(0)?",
    "c": "Only the last rank would have the sum there. The next layer begins on every rank.",
    "d": "W2 needs GELU of the whole sum as its input. After W2 it is too late.",
}


def _simple(function, *given):
    """A simple case for `limits`: what a function is to return, and why."""
    *args, why = given
    return tuple(args), function(*args), why


_LAYER = [[3, 5]]
MEMORY = {
    "data": (
        _simple(
            memory_of,
            *(_LAYER, 4, 1, "data"),
            "3 · 5 weights and 5 biases, of 4 bytes; two moments for each; 3 inputs of 4 examples.",
        ),
        _simple(
            memory_of, _LAYER, 4, 2, "data", "Each has the whole model, and half the examples."
        ),
        _simple(memory_of, _LAYER, 5, 2, "data", "Of 5 examples the first of two ranks has 3."),
    ),
    "sharded": (
        _simple(
            memory_of,
            *(_LAYER, 4, 1, "sharded"),
            "3 · 5 weights and 5 biases, of 4 bytes; two moments for each; 3 inputs of 4 examples.",
        ),
        _simple(
            memory_of,
            *(_LAYER, 4, 2, "sharded"),
            'Only the state is halved, and the examples are shared out as in "data".',
        ),
        _simple(
            memory_of,
            *(_LAYER, 4, 3, "sharded"),
            "20 numbers in 3 pieces: the first has 7, and two moments for each.",
        ),
    ),
    "tensor": (
        _simple(
            memory_of,
            *(_LAYER, 4, 1, "tensor"),
            "3 · 5 weights and 5 biases, of 4 bytes; two moments for each; 3 inputs of 4 examples.",
        ),
        _simple(
            memory_of,
            *(_LAYER, 4, 2, "tensor"),
            "The larger part has 3 of 5 outputs with their biases; all examples, and all 3 inputs of each.",
        ),
        _simple(
            memory_of,
            *([[2, 6], [6, 4]], 4, 2, "tensor"),
            "The second is a row layer: half of its inputs, all of its outputs and biases.",
        ),
    ),
}
BYTES = (
    _simple(bytes_sent, 1000, 10, 4, 1, "A single rank sends nothing."),
    _simple(
        bytes_sent,
        *(1000, 10, 4, 2),
        "Of two ranks each sends a half, twice: 4 · weights, and 4 · batch · inputs, bytes.",
    ),
    _simple(bytes_sent, 1000, 10, 4, 4, "Of 4 ranks each sends 6 quarters, of 4 bytes a number."),
)

# What people get wrong

_copy, _copy_otherwise = variants(
    "copy_and_reduce",
    """
class Copying(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dist):
        ctx.dist = dist
        {forward}
        return {out}
    @staticmethod
    def backward(ctx, dy):
        {backward}
        return {gradient}
def copy_to_ranks(dist, x):
    return {call}
""",
    forward="",
    out="x.view_as(x)",
    backward="total = dy.clone(memory_format=torch.contiguous_format); ctx.dist.all_reduce(total)",
    gradient="total, None",
    call="Copying.apply(x, dist)",
)
_reduce, _reduce_otherwise = variants(
    "copy_and_reduce",
    """
class Reducing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dist):
        ctx.dist = dist
        {forward}
        return {out}
    @staticmethod
    def backward(ctx, dy):
        {backward}
        return {gradient}
def reduce_from_ranks(dist, x):
    return {call}
""",
    forward="total = x.clone(memory_format=torch.contiguous_format); dist.all_reduce(total)",
    out="total",
    backward="",
    gradient="dy, None",
    call="Reducing.apply(x, dist)",
)
_DY = "That changes dy in place, and dy is also the gradient of whatever else was added to the output, as in x + f(x). Sum in a copy; .contiguous() is none where dy is contiguous already."
_SWAPPED = "That is the other of the two functions: forward and backward are exchanged."
_FUNCTIONS = [
    _copy(
        "x itself",
        0.4,
        "That passes x on, and its gradient as it is: each rank keeps the gradient by its own part alone.",
        call="x",
    ),
    _copy(
        "exchanged",
        0.4,
        _SWAPPED,
        forward="x = x.clone(); dist.all_reduce(x)",
        out="x",
        backward="total = dy",
    ),
    _copy("in place", 0.8, _DY, backward="total = dy; ctx.dist.all_reduce(total)"),
    _copy(
        "contiguous is a copy",
        0.8,
        _DY,
        backward="total = dy.contiguous(); ctx.dist.all_reduce(total)",
    ),
    _copy_otherwise(
        "a copy as it lies",
        0.8,
        "contiguous_format",
        backward="total = dy.clone(); ctx.dist.all_reduce(total)",
    ),
    _copy_otherwise("one gradient", 0.4, "None for `dist`", gradient="total"),
    _copy(
        "mean",
        0.4,
        "That is the mean over the ranks; each rank's part adds to the loss, so the gradients are summed.",
        gradient="total / ctx.dist.get_world_size(), None",
    ),
    _copy(
        "the sum dropped",
        0.4,
        "What all_reduce made is not what is returned: each rank gets its own dy back.",
        gradient="dy, None",
    ),
    _copy(
        "summed both ways",
        0.4,
        "That sums forward, too: x is the same on every rank already, and comes out p times as large.",
        forward="x = x.clone(); dist.all_reduce(x)",
        out="x",
    ),
    _copy(
        "summed twice",
        0.4,
        "That sums the gradient twice.",
        gradient="(ctx.dist.all_reduce(total), total)[1], None",
    ),
    _copy(
        "None returned",
        0.4,
        "backward returns None for x: all_reduce returns nothing, it replaces the numbers of its argument.",
        backward="total = dy.clone(memory_format=torch.contiguous_format)",
        gradient="ctx.dist.all_reduce(total), None",
    ),
    _copy_otherwise("no return", 0.4, "Is a `return` missing?", call="None"),
    _copy_otherwise("called", 0.4, "not called but applied", call="Copying(x, dist)"),
    _copy_otherwise("None at x", 0.4, "the order of forward's arguments", gradient="None, total"),
    _copy_otherwise(
        "all_reduce's return",
        0.4,
        "all_reduce returns nothing",
        gradient="ctx.dist.all_reduce(dy.clone()).clone(), None",
        backward="",
    ),
    _copy_otherwise(
        "the library's own",
        0.4,
        "`dist` that is given",
        backward="import torch.distributed as real; total = dy.clone(); real.all_reduce(total)",
    ),
    _reduce("x itself", 0.4, "That passes x on: nothing is summed.", call="x"),
    _reduce(
        "exchanged",
        0.4,
        _SWAPPED,
        forward="total = x.clone()",
        backward="dy = dy.clone(memory_format=torch.contiguous_format); ctx.dist.all_reduce(dy)",
    ),
    _reduce(
        "gradients summed, too",
        0.4,
        "That sums the gradients, too. Every rank has the whole loss of the sum, and the same dy: summed, it counts p times.",
        backward="dy = dy.clone(memory_format=torch.contiguous_format); ctx.dist.all_reduce(dy)",
    ),
    _reduce(
        "mean", 0.4, "That is the mean; asked for is the sum.", out="total / dist.get_world_size()"
    ),
    _reduce(
        "gradient shared out",
        0.4,
        "That divides the gradient by p. A sum passes its gradient to each addend as it is.",
        gradient="dy / ctx.dist.get_world_size(), None",
    ),
    _reduce(
        "in place",
        0.4,
        "x itself is replaced by the sum, and it belongs to the caller: sum in a copy.",
        call="(dist.all_reduce(x), x)[1]",
    ),
    _reduce(
        "in place, in forward",
        0.4,
        "x itself is replaced by the sum, and it belongs to the caller: sum in a copy.",
        forward="total = x.detach(); dist.all_reduce(total)",
        out="total.clone()",
    ),
    _reduce_otherwise(
        "a copy as it lies",
        0.8,
        "contiguous_format",
        forward="total = x.clone(); dist.all_reduce(total)",
    ),
    _reduce(
        "no way back",
        0.4,
        "The result has no way back to x: where its graph is cut (detach), autograd does not know where it came from.",
        call="(lambda t: (dist.all_reduce(t), t)[1])(x.detach().clone())",
    ),
    _reduce_otherwise(
        "all_reduce's return", 0.4, "all_reduce returns nothing", call="dist.all_reduce(x.clone())"
    ),
    _reduce_otherwise("one gradient", 0.4, "None for `dist`", gradient="dy"),
]

_LAYER_TEMPLATE = """
class {name}(nn.Module):
    def __init__(self, dist, weight, bias):
        super().__init__()
        rank, p = dist.get_rank(), dist.get_world_size()
        self.dist = dist
        self.weight = {weight}
        self.bias = {bias}
    def forward(self, x):
        return {forward}
"""
_column, _column_otherwise = variants(
    "parallel_linear",
    _LAYER_TEMPLATE.replace("{name}", "ColumnLinear"),
    weight="nn.Parameter(weight.tensor_split(p)[rank].clone())",
    bias="nn.Parameter(bias.tensor_split(p)[rank].clone())",
    forward="F.linear(copy_to_ranks(self.dist, x), self.weight, self.bias)",
)
_row, _row_otherwise = variants(
    "parallel_linear",
    _LAYER_TEMPLATE.replace("{name}", "RowLinear"),
    weight="nn.Parameter(weight.tensor_split(p, dim=1)[rank].clone())",
    bias="nn.Parameter(bias.clone())",
    forward="reduce_from_ranks(self.dist, F.linear(x, self.weight)) + self.bias",
)
_FIRST = "Every rank takes the first piece: whose piece it is, get_rank() says."
_LAYERS = [
    _column(
        "no copy_to_ranks",
        0.5,
        "The gradient of x is that by this rank's outputs alone. copy_to_ranks before the product sums it over the ranks.",
        forward="F.linear(x, self.weight, self.bias)",
    ),
    _column(
        "reduced",
        0.5,
        "The outputs of all ranks are summed, and they are different outputs: each rank keeps its own.",
        forward="reduce_from_ranks(self.dist, F.linear(copy_to_ranks(self.dist, x), self.weight, self.bias))",
    ),
    _column(
        "reduced for copied",
        0.5,
        "reduce_from_ranks sums x, which every rank has whole already: in front of a column layer x is copied.",
        forward="F.linear(reduce_from_ranks(self.dist, x), self.weight, self.bias)",
    ),
    _column_otherwise(
        "inputs cut",
        0.5,
        "ColumnLinear has some outputs of all inputs",
        weight="nn.Parameter(weight.tensor_split(p, dim=1)[rank].clone())",
    ),
    _column_otherwise(
        "bias whole",
        0.5,
        "ColumnLinear's weight, bias and output",
        bias="nn.Parameter(bias.clone())",
    ),
    _column(
        "the first piece",
        0.5,
        _FIRST,
        weight="nn.Parameter(weight.tensor_split(p)[0].clone())",
        bias="nn.Parameter(bias.tensor_split(p)[0].clone())",
    ),
    _column(
        "the first piece of the bias",
        0.5,
        "The weight is this rank's, the bias is the first rank's.",
        bias="nn.Parameter(bias.tensor_split(p)[0].clone())",
    ),
    _column(
        "pieces from the last",
        0.5,
        "Rank 0 has the last piece: the pieces go from rank 0 on.",
        weight="nn.Parameter(weight.tensor_split(p)[-1 - rank].clone())",
        bias="nn.Parameter(bias.tensor_split(p)[-1 - rank].clone())",
    ),
    _column(
        "every p-th",
        0.5,
        "That takes every p-th output; a piece is consecutive, as tensor_split cuts.",
        weight="nn.Parameter(weight[rank::p].clone())",
        bias="nn.Parameter(bias[rank::p].clone())",
    ),
    _column(
        "no bias",
        0.5,
        "The bias is missing.",
        forward="F.linear(copy_to_ranks(self.dist, x), self.weight)",
    ),
    _column(
        "views",
        1.4,
        "The piece is a view of the whole: its steps change the whole, and the whole stays in memory. .clone() makes a piece of its own.",
        weight="nn.Parameter(weight.tensor_split(p)[rank])",
        bias="nn.Parameter(bias.tensor_split(p)[rank])",
    ),
    _column(
        "no parameters",
        1.4,
        "Weight and bias stay as they were: what learns is an nn.Parameter.",
        weight="weight.tensor_split(p)[rank].clone()",
        bias="bias.tensor_split(p)[rank].clone()",
    ),
    _column(
        "weight no parameter",
        1.4,
        "The weight stays as it was, and the bias learns: the weight, too, is an nn.Parameter.",
        weight="weight.tensor_split(p)[rank].clone()",
    ),
    _column(
        "bias not trained",
        1.4,
        "The bias stays as it was: what learns is an nn.Parameter.",
        bias="bias.tensor_split(p)[rank].clone()",
    ),
    _column(
        "weight not trained",
        1.4,
        "The weight stays as it was: without its graph (detach, data) it gets no gradient.",
        forward="F.linear(copy_to_ranks(self.dist, x), self.weight.detach(), self.bias)",
    ),
    _column(
        "copied behind",
        0.5,
        "copy_to_ranks stands behind the product: there each rank has numbers of its own. In front of it all ranks have the same x.",
        forward="copy_to_ranks(self.dist, F.linear(x, self.weight, self.bias))",
    ),
    _column_otherwise(
        "chunks",
        1.6,
        "piece by tensor_split",
        weight="nn.Parameter(weight.chunk(p)[rank].clone())",
        bias="nn.Parameter(bias.chunk(p)[rank].clone())",
    ),
    _column_otherwise(
        "rounded down",
        1.0,
        "piece by tensor_split",
        weight="nn.Parameter(weight[rank * (len(weight) // p) :][: len(weight) // p].clone())",
        bias="nn.Parameter(bias[rank * (len(bias) // p) :][: len(bias) // p].clone())",
    ),
    _row(
        "bias in every part",
        0.5,
        "The bias is in each rank's part, so it is in the sum p times. It is added once, to the sum.",
        forward="reduce_from_ranks(self.dist, F.linear(x, self.weight, self.bias))",
    ),
    _row(
        "a p-th of the bias",
        0.5,
        "A p-th of the bias in each part adds up to the bias; but its gradient is then a p-th, too.",
        forward="reduce_from_ranks(self.dist, F.linear(x, self.weight, self.bias / self.dist.get_world_size()))",
    ),
    _row(
        "bias on rank 0",
        1.4,
        "Only one rank's bias gets a gradient: the others stay as they were. Every rank adds it to the sum, and all step alike.",
        forward="reduce_from_ranks(self.dist, F.linear(x, self.weight)) + (self.bias if self.dist.get_rank() == 0 else self.bias.detach())",
    ),
    _row(
        "bias in rank 0's part",
        0.5,
        "The bias is in one rank's part, and no other rank's bias gets a gradient. Every rank adds it to the sum.",
        forward="reduce_from_ranks(self.dist, F.linear(x, self.weight, self.bias if self.dist.get_rank() == 0 else None))",
    ),
    _row(
        "no reduce_from_ranks",
        0.5,
        "That is the part that own inputs give; the parts are summed over the ranks.",
        forward="F.linear(x, self.weight) + self.bias",
    ),
    _row(
        "copied, too",
        0.5,
        "The input of a row layer is this rank's own: its gradient is needed nowhere else, and summed with others it is wrong.",
        forward="reduce_from_ranks(self.dist, F.linear(copy_to_ranks(self.dist, x), self.weight)) + self.bias",
    ),
    _row(
        "copied for reduced",
        0.5,
        "copy_to_ranks passes the part on unsummed: behind a row layer the parts are reduced.",
        forward="copy_to_ranks(self.dist, F.linear(x, self.weight)) + self.bias",
    ),
    _row(
        "bias twice",
        0.5,
        "The bias is added twice: it is added once, to the sum.",
        forward="reduce_from_ranks(self.dist, F.linear(x, self.weight)) + 2 * self.bias",
    ),
    _row(
        "no bias",
        0.5,
        "The bias is missing.",
        forward="reduce_from_ranks(self.dist, F.linear(x, self.weight))",
    ),
    _row(
        "weight no parameter",
        1.4,
        "The weight stays as it was, and the bias learns: the weight, too, is an nn.Parameter.",
        weight="weight.tensor_split(p, dim=1)[rank].clone()",
    ),
    _row_otherwise(
        "outputs cut",
        0.5,
        "RowLinear has all outputs of some inputs",
        weight="nn.Parameter(weight.tensor_split(p)[rank].clone())",
    ),
    _row_otherwise(
        "bias cut",
        0.5,
        "RowLinear's bias and output are whole",
        bias="nn.Parameter(bias.tensor_split(p)[rank].clone())",
    ),
    _row(
        "the first piece",
        0.5,
        _FIRST,
        weight="nn.Parameter(weight.tensor_split(p, dim=1)[0].clone())",
    ),
    _row(
        "views",
        1.4,
        "The piece is a view of the whole: its steps change the whole, and the whole stays in memory. .clone() makes a piece of its own.",
        weight="nn.Parameter(weight.tensor_split(p, dim=1)[rank])",
        bias="nn.Parameter(bias)",
    ),
    _row(
        "bias a view",
        1.4,
        "The bias is the whole's own: its steps change it. .clone() makes one of its own.",
        bias="nn.Parameter(bias)",
    ),
    _row(
        "bias reduced, too",
        0.5,
        "The bias is the same on all ranks, and whole: summed over them it counts p times.",
        forward="reduce_from_ranks(self.dist, F.linear(x, self.weight)) + reduce_from_ranks(self.dist, self.bias)",
    ),
]

_block, _block_otherwise = variants(
    "parallel_block",
    """
class Blocky(nn.Module):
    def __init__(self, dist, norm, first, second):
        super().__init__()
        self.dist = dist
        {norm}
        self.first = {first}
        self.second = {second}
    def forward(self, x):
        return {forward}
def parallel_block(dist, norm, first, second):
    return Blocky(dist, norm, first, second)
""",
    norm="self.norm = norm",
    first="ColumnLinear(dist, first.weight.detach(), first.bias.detach())",
    second="RowLinear(dist, second.weight.detach(), second.bias.detach())",
    forward="x + self.second(F.gelu(self.first(self.norm(x))))",
)
_BLOCK = [
    _block_otherwise(
        "row, then column",
        0.3,
        "ColumnLinear has some outputs of all inputs",
        first="RowLinear(dist, first.weight.detach(), first.bias.detach())",
        second="ColumnLinear(dist, second.weight.detach(), second.bias.detach())",
    ),
    _block(
        "no x",
        0.3,
        "x itself is missing from the sum.",
        forward="self.second(F.gelu(self.first(self.norm(x))))",
    ),
    _block(
        "the normed x",
        0.3,
        "That adds norm(x); what passes by the two layers is x.",
        forward="self.norm(x) + self.second(F.gelu(self.first(self.norm(x))))",
    ),
    _block(
        "x twice",
        0.3,
        "x is in the sum twice.",
        forward="x + x + self.second(F.gelu(self.first(self.norm(x))))",
    ),
    _block(
        "no norm", 0.3, "The norm is missing.", forward="x + self.second(F.gelu(self.first(x)))"
    ),
    _block(
        "no GELU",
        0.3,
        "GELU is missing: two layers without it are one.",
        forward="x + self.second(self.first(self.norm(x)))",
    ),
    _block(
        "ReLU",
        0.3,
        "That is ReLU; asked for is GELU.",
        forward="x + self.second(F.relu(self.first(self.norm(x))))",
    ),
    _block(
        "GELU's approximation",
        0.3,
        "That is GELU by its approximation with tanh; F.gelu(x) without more is the exact one.",
        forward="x + self.second(F.gelu(self.first(self.norm(x)), approximate='tanh'))",
    ),
    _block(
        "GELU at the end",
        0.3,
        "GELU stands between the two layers, not behind them.",
        forward="x + F.gelu(self.second(self.first(self.norm(x))))",
    ),
    _block(
        "norm at the end",
        0.3,
        "The norm stands in front of the two layers, not behind them.",
        forward="self.norm(x + self.second(F.gelu(self.first(x))))",
    ),
    _block(
        "copied before the norm",
        0.3,
        "The gradient is summed in front of the norm, too, where it is whole already: ColumnLinear did it.",
        forward="x + self.second(F.gelu(self.first(self.norm(copy_to_ranks(self.dist, x)))))",
    ),
    _block(
        "all copied",
        0.3,
        "The gradient is summed once more than needed, where it is whole already: ColumnLinear did it.",
        forward="(lambda x: x + self.second(F.gelu(self.first(self.norm(x)))))(copy_to_ranks(self.dist, x))",
    ),
    _block(
        "reduced in the middle",
        0.3,
        "Between the two layers nothing is summed: the row layer takes what the column layer gives, on the same rank.",
        forward="x + self.second(F.gelu(reduce_from_ranks(self.dist, self.first(self.norm(x)))))",
    ),
    _block(
        "reduced again",
        0.3,
        "RowLinear has summed its parts already.",
        forward="x + reduce_from_ranks(self.dist, self.second(F.gelu(self.first(self.norm(x)))))",
    ),
    _block(
        "x reduced, too",
        0.3,
        "x + … is summed over the ranks, so x counts p times: x is whole on every rank.",
        forward="reduce_from_ranks(self.dist, x + F.linear(F.gelu(self.first(self.norm(x))), self.second.weight)) + self.second.bias",
    ),
    _block(
        "not in parts",
        0.3,
        "The ranks send each other nothing: each computes the whole block by itself.",
        first="first",
        second="second",
    ),
    _block(
        "only the first in parts",
        0.3,
        "x + … has its first layer in parts, whose outputs are gathered by a sum: the second layer can take a part as it is, being a RowLinear.",
        second="second",
        forward="x + self.second(reduce_from_ranks(self.dist, F.pad(F.gelu(self.first(self.norm(x))), (sum(len(w) for w in self.second.weight.T.tensor_split(self.dist.get_world_size())[: self.dist.get_rank()]), self.second.in_features - len(self.first.bias) - sum(len(w) for w in self.second.weight.T.tensor_split(self.dist.get_world_size())[: self.dist.get_rank()])))))",
    ),
    _block(
        "the norm does not learn",
        0.7,
        "norm's own weight and bias do not learn: the module does not have them as its own.",
        norm="self.norm = lambda x: norm(x)",
    ),
    _block(
        "x minus",
        0.3,
        "What the layers give is subtracted from x; it is added.",
        forward="x - self.second(F.gelu(self.first(self.norm(x))))",
    ),
    _block(
        "normed twice",
        0.3,
        "The norm is taken twice.",
        forward="x + self.second(F.gelu(self.first(self.norm(self.norm(x)))))",
    ),
    _block(
        "GELU twice",
        0.3,
        "GELU is taken twice.",
        forward="x + self.second(F.gelu(F.gelu(self.first(self.norm(x)))))",
    ),
    _block(
        "the norm bare",
        0.3,
        "norm's own weight and bias are missing: the norm that is given has learnt some.",
        forward="x + self.second(F.gelu(self.first(F.layer_norm(x, x.shape[-1:]))))",
    ),
    _block(
        "a new norm",
        0.3,
        "norm's own weight and bias are missing: the norm that is given has learnt some.",
        norm="self.norm = nn.LayerNorm(norm.normalized_shape, dtype=norm.weight.dtype)",
    ),
    _block_otherwise(
        "a new norm in float32",
        0.3,
        "That norm is a new one",
        norm="self.norm = nn.LayerNorm(norm.normalized_shape)",
    ),
    Mistake(
        "parallel_block",
        "no return",
        0.3,
        "is its `return` missing?",
        "def parallel_block(dist, norm, first, second): _Block(dist, norm, first, second)",
    ),
    _block(
        "weights exchanged",
        0.3,
        "The gradient of norm(x) is summed twice.",
        forward="x + self.second(F.gelu(self.first(copy_to_ranks(self.dist, self.norm(x)))))",
    ),
] + [
    Mistake("parallel_block", f"GELU at {choice}", 0.7, says, f'gelu_place = "{choice}"')
    for choice, says in (
        ("a", "equal to GELU(0)"),
        ("c", "begins on every rank"),
        ("d", "it is too late"),
    )
]

_embedding, _embedding_otherwise = variants(
    "parallel_embedding",
    """
def parallel_embedding(dist, tokens, weight, first):
    place = {place}
    mine = {mine}
    rows = {rows}
    return {result}
""",
    place="tokens - first",
    mine="(place >= 0) & (place < len(weight))",
    rows="F.embedding(torch.where(mine, place, 0), weight)",
    result="reduce_from_ranks(dist, rows * mine[..., None])",
)
_TOKENS = [
    _embedding(
        "row 0 for others",
        0.0,
        "A rank gives its row 0 for tokens that are another's; for these it gives zeros.",
        result="reduce_from_ranks(dist, rows)",
    ),
    _embedding(
        "clamped",
        0.0,
        "A rank gives its nearest row for tokens that are another's; for these it gives zeros.",
        rows="F.embedding(place.clamp(0, len(weight) - 1), weight)",
        result="reduce_from_ranks(dist, rows)",
    ),
    _embedding(
        "around the end",
        0.0,
        "A rank gives the row that token modulo the number of rows leads to for tokens that are another's; for these it gives zeros.",
        rows="F.embedding(place % len(weight), weight)",
        result="reduce_from_ranks(dist, rows)",
    ),
    _embedding(
        "the mask inverted",
        0.0,
        "The rank gives rows for the others' tokens, and zeros for its own: the mask is inverted.",
        result="reduce_from_ranks(dist, rows * ~mine[..., None])",
    ),
    _embedding(
        "first − token",
        0.0,
        "A token's place is token − first; that is first − token.",
        place="first - tokens",
    ),
    _embedding(
        "modulo",
        0.0,
        "A token's place is token − first. token % v is that only where all pieces are as long as this one.",
        rows="F.embedding(tokens % len(weight), weight)",
    ),
    _embedding(
        "tokens changed",
        0.0,
        "tokens themselves are changed, and they belong to the caller: tokens - first is a new tensor, tokens -= first is not.",
        place="tokens.sub_(first)",
    ),
    _embedding_otherwise(
        "own rows only",
        0.0,
        "Every token gets a row here",
        result="reduce_from_ranks(dist, rows[mine])",
    ),
    _embedding_otherwise(
        "joined by and",
        0.0,
        "joined by &",
        mine="place >= 0 and place < len(weight)",
    ),
    _embedding_otherwise(
        "not shifted",
        0.0,
        "Its place is token − first",
        rows="F.embedding(torch.where(mine, tokens, 0), weight)",
    ),
    _embedding_otherwise(
        "no mask", 0.0, "the token is another rank's", rows="F.embedding(place, weight)"
    ),
    _embedding_otherwise(
        "negative ones wrap", 0.0, "the token is another rank's", rows="weight[place]"
    ),
    _embedding_otherwise(
        "one too many",
        0.0,
        "not below the number of own rows",
        mine="(place >= 0) & (place <= len(weight))",
    ),
    _embedding(
        "the first left out",
        0.0,
        "Each rank's first row is left out: token − first is 0 there.",
        mine="(place > 0) & (place < len(weight))",
    ),
    _embedding(
        "the last left out",
        0.0,
        "Each rank's last row is left out.",
        mine="(place >= 0) & (place < len(weight) - 1)",
    ),
    _embedding(
        "no reduce",
        0.0,
        "Nothing is summed over the ranks: tokens of others stay zeros.",
        result="rows * mine[..., None]",
    ),
    _embedding(
        "copied",
        0.0,
        "copy_to_ranks passes the rows on unsummed: each token's row is on one rank only.",
        result="copy_to_ranks(dist, rows * mine[..., None])",
    ),
    _embedding(
        "mean",
        0.0,
        "That divides by the number of ranks: a row is on one of them, and the others add zeros.",
        result="reduce_from_ranks(dist, rows * mine[..., None]) / dist.get_world_size()",
    ),
    _embedding(
        "equal pieces",
        0.0,
        "Own rows begin at `first`: the pieces need not be equally long.",
        place="tokens - dist.get_rank() * len(weight)",
    ),
    _embedding_otherwise(
        "one axis of tokens",
        0.4,
        "mask[..., None]",
        result="reduce_from_ranks(dist, rows * mine[:, None])",
    ),
    _embedding_otherwise(
        "weights do not learn",
        0.0,
        "wants a gradient",
        rows="F.embedding(torch.where(mine, place, 0), weight.detach())",
    ),
    _embedding_otherwise(
        "summed by hand",
        0.0,
        "wants a gradient",
        result="(lambda t: (dist.all_reduce(t), t)[1])((rows * mine[..., None]).detach())",
    ),
    _embedding(
        "gradients summed, too",
        0.0,
        "The gradients are summed over the ranks, where each already has the whole: rows learn p times as fast.",
        result="copy_to_ranks(dist, reduce_from_ranks(dist, rows * mine[..., None]))",
    ),
]

_entropy, _entropy_otherwise = variants(
    "parallel_cross_entropy",
    """
def parallel_cross_entropy(dist, logits, targets, first):
    highest = {highest}
    {maximum}
    place = targets - first
    mine = {mine}
    at = {at}
    target = {target}
    total = {total}
    return {loss}
""",
    at="logits.gather(1, torch.where(mine, place, 0)[:, None])[:, 0]",
    highest="logits.detach().amax(dim=1)",
    maximum="dist.all_reduce(highest, op=dist.ReduceOp.MAX)",
    mine="(place >= 0) & (place < logits.shape[1])",
    target="reduce_from_ranks(dist, at * mine)",
    total="reduce_from_ranks(dist, (logits - highest[:, None]).exp().sum(dim=1))",
    loss="(total.log() + highest - target).mean()",
)
_GATHERING = """
def parallel_cross_entropy(dist, logits, targets, first):
    p, rank = dist.get_world_size(), dist.get_rank()
    whole = logits.new_empty(p * logits.numel())
    dist.all_gather_into_tensor(whole, logits.T.contiguous().flatten())
    parts = list(whole.view(p, logits.shape[1], len(logits)).transpose(1, 2))
    parts[rank] = logits
    return F.cross_entropy(torch.cat(parts, dim=1), targets)
"""
_LOSS = [
    Known(
        "parallel_cross_entropy",
        "logits gathered",
        0.0,
        "The logits themselves travel: N numbers for each word. Only the highest, the sum and the target's are needed, N numbers each.",
        _GATHERING,
    ),
    _entropy(
        "own highest",
        0.0,
        "Each rank takes off its own highest logit, and sums that were shifted differently do not add. The highest is that over all ranks: all_reduce with op=dist.ReduceOp.MAX.",
        maximum="",
    ),
    _entropy(
        "the highest summed",
        0.0,
        "The highest logits are summed over the ranks: op=dist.ReduceOp.MAX takes the maximum.",
        maximum="dist.all_reduce(highest)",
    ),
    _entropy(
        "no highest",
        0.0,
        "Without taking off the highest logit, exp of 10,000 is infinite.",
        highest="logits.new_zeros(len(logits))",
        maximum="",
    ),
    _entropy(
        "highest with gradient",
        0.5,
        "The highest logit has a gradient of its own here: it only shifts, and is to be detached.",
        highest="logits.amax(dim=1) + 0",
    ),
    _entropy_otherwise("highest not detached", 0.0, "It only shifts", highest="logits.amax(dim=1)"),
    _entropy(
        "own sum",
        0.0,
        "The sum of exponentials is that of own words: it is summed over the ranks, too.",
        total="(logits - highest[:, None]).exp().sum(dim=1)",
    ),
    _entropy(
        "own target",
        0.0,
        "The target's logit is known to one rank only: it is summed over the ranks, the others adding zeros.",
        target="at * mine",
    ),
    _entropy(
        "foreign targets",
        0.0,
        "A rank gives a logit of its own for targets that are another's; for these it gives zeros.",
        target="reduce_from_ranks(dist, at)",
    ),
    _entropy(
        "sum",
        0.0,
        "That is the sum over the examples; asked for is the mean.",
        loss="(total.log() + highest - target).sum()",
    ),
    _entropy(
        "by p",
        0.0,
        "That divides by the number of ranks, too: every rank has the loss, and it is the same one.",
        loss="(total.log() + highest - target).mean() / dist.get_world_size()",
    ),
    _entropy(
        "the loss summed",
        0.0,
        "The loss is summed over the ranks, and every rank has the whole of it already.",
        loss="reduce_from_ranks(dist, (total.log() + highest - target).mean())",
    ),
    _entropy(
        "highest not put back",
        0.0,
        "The highest logit was taken off in the exponent, and is not put back.",
        loss="(total.log() - target).mean()",
    ),
    _entropy(
        "opposite sign",
        0.0,
        "It has the opposite sign: the loss is −log of a probability.",
        loss="(target - total.log() - highest).mean()",
    ),
    _entropy(
        "no logarithm",
        0.0,
        "The logarithm of the sum is missing.",
        loss="(total + highest - target).mean()",
    ),
    _entropy_otherwise(
        "one for each", 0.0, "the mean over the examples", loss="total.log() + highest - target"
    ),
    _entropy(
        "sum copied",
        0.0,
        "The gradient is summed over the ranks, too: every rank has the same loss, so the sum's gradient comes back as it is.",
        total="copy_to_ranks(dist, reduce_from_ranks(dist, (logits - highest[:, None]).exp().sum(dim=1)))",
    ),
    _entropy(
        "sum without way back",
        0.5,
        "The sum of exponentials has no way back to the logits: reduce_from_ranks has one, what is detached has not.",
        total="(lambda t: (dist.all_reduce(t), t)[1])((logits - highest[:, None]).exp().sum(dim=1).detach())",
    ),
    _entropy(
        "target without way back",
        0.5,
        "The target's logit has no way back to the logits: reduce_from_ranks has one, what is detached has not.",
        target="(lambda t: (dist.all_reduce(t), t)[1])((at * mine).detach())",
    ),
    _entropy_otherwise(
        "one too many", 0.0, "another rank's", mine="(place >= 0) & (place <= logits.shape[1])"
    ),
    _entropy(
        "the first left out",
        0.0,
        "Each rank's first word is left out: target − first is 0 there.",
        mine="(place > 0) & (place < logits.shape[1])",
    ),
    _entropy(
        "log1p",
        0.0,
        "The logarithm is that of 1 + the sum (log1p): asked for is that of the sum.",
        loss="(total.log1p() + highest - target).mean()",
    ),
    _entropy(
        "another logarithm",
        0.0,
        "The logarithm is not the natural one: torch.log.",
        loss="(total.log2() + highest - target).mean()",
    ),
    _entropy(
        "by words",
        0.0,
        "The sum is divided by the number of words; the mean is that over the examples.",
        loss="(total.log() + highest - target).sum() / logits.shape[1]",
    ),
    _entropy(
        "own examples",
        0.0,
        "The mean is taken over the examples whose target this rank has; asked for is that over all.",
        loss="(total.log() + highest - target)[mine].mean()",
    ),
    _entropy(
        "softmax for exp",
        0.0,
        "The rank sums its own softmax, which is 1; what adds over the ranks is exp.",
        total="reduce_from_ranks(dist, torch.softmax(logits - highest[:, None], dim=1).sum(dim=1))",
    ),
    _entropy(
        "shifted twice",
        0.0,
        "The highest is taken off the target's logit, too, and put back all the same: it cancels, or is left in both.",
        target="reduce_from_ranks(dist, (at - highest) * mine)",
    ),
    _entropy(
        "taken off the wrong way",
        0.0,
        "The highest logit is taken off once more in the end; it is put back, with a plus.",
        loss="(total.log() - highest - target).mean()",
    ),
    _entropy(
        "own highest in exp",
        0.0,
        "In the exponent stands each rank's own highest logit, and sums that were shifted differently do not add. First comes MAX, then exp.",
        total="reduce_from_ranks(dist, (logits - logits.detach().amax(dim=1)[:, None]).exp().sum(dim=1))",
    ),
    _entropy(
        "targets below first",
        0.0,
        "A target below `first` is another rank's, too: a negative place counts from the end.",
        mine="place < logits.shape[1]",
        at="logits[torch.arange(len(logits)), torch.where(mine, place, 0)]",
    ),
    _entropy(
        "targets changed",
        0.0,
        "targets themselves are changed, and they belong to the caller: targets - first is a new tensor, targets -= first is not.",
        mine="(targets.sub_(first) >= 0) & (place < logits.shape[1])",
    ),
    Known(
        "parallel_cross_entropy",
        "mean of the ranks' own",
        0.0,
        "Each rank takes the loss among its own words, and these are averaged. Sums of exponentials add over the ranks; losses do not.",
        """
def parallel_cross_entropy(dist, logits, targets, first):
    place = (targets - first).clamp(0, logits.shape[1] - 1)
    return reduce_from_ranks(dist, F.cross_entropy(logits, place)) / dist.get_world_size()
""",
    ),
    _entropy(
        "log of each part",
        0.0,
        "The logarithm is taken of each rank's sum, and then summed. It is taken of the sum over all ranks.",
        total="reduce_from_ranks(dist, (logits - highest[:, None]).exp().sum(dim=1).log()).exp()",
    ),
]

_PAIR = re.compile(r"    target = (.*)\n    total = (.*)\n")


def _shifted(row):
    """The same mistake where the highest is taken off the target's logit, too."""
    code = row.code.replace("    at = logits.", "    at = (logits - highest[:, None]).")
    code = code.replace(" + highest - target", " - target").replace(".log() - highest)", ".log())")
    return replace(row, code=code)


def _swapped(row):
    """The same mistake with the sum sent before the target's logit."""
    return replace(row, code=_PAIR.sub(r"    total = \2\n    target = \1\n", row.code))


def _stacked(row):
    """The same mistake with both in one message, in either order; nothing where they are no sums."""
    pieces = [ast.parse(piece, mode="eval").body for piece in _PAIR.search(row.code).groups()]
    if all(ast.unparse(piece).startswith("reduce_from_ranks(dist, ") for piece in pieces):
        names = dict(zip(("target", "total"), pieces, strict=True))
        if all(type(piece.func) is ast.Name for piece in pieces):
            for order in (("total", "target"), ("target", "total")):
                both = ", ".join(ast.unparse(names[name].args[1]) for name in order)
                line = f"    {', '.join(order)} = reduce_from_ranks(dist, torch.stack([{both}]))\n"
                yield replace(row, code=_PAIR.sub(lambda _, line=line: line, row.code))


_TWO_SUMS = [row for row in _LOSS if type(row) is Known and _PAIR.search(row.code)]
_SHIFTED = list(map(_shifted, _TWO_SUMS))


_adam, _adam_otherwise = variants(
    "shard_optimizer",
    """
class ShardedAdam:
    def __init__(self, dist, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.dist, self.lr, self.betas, self.eps, self.t = dist, lr, betas, eps, 0
        self.parameters = {parameters}
        self.piece = {piece}
        like = {like}
        self.m, self.v = like.new_zeros(self.piece), like.new_zeros(self.piece)
    def flat(self, tensors):
        flat = torch.cat([one.detach().flatten() for one in tensors])
        return {padded}
    @torch.no_grad()
    def step(self):
        rank, p = self.dist.get_rank(), self.dist.get_world_size()
        gradients = self.flat({gradients})
        mean = torch.empty_like(self.m)
        {scatter}
        {mean}
        {count}
        (b1, b2), t = self.betas, self.t
        {moments}
        {step}
        weights = self.flat(self.parameters)
        own = {own} - update
        {gather}
        start = 0
        for one in self.parameters:
            {back}
            start += one.numel()
""",
    parameters="[one for one in parameters if one.requires_grad]",
    piece="-(-sum(one.numel() for one in self.parameters) // dist.get_world_size())",
    like="self.parameters[0].detach()",
    padded="F.pad(flat, (0, self.piece * self.dist.get_world_size() - len(flat)))",
    gradients="[torch.zeros_like(q) if q.grad is None else q.grad for q in self.parameters]",
    scatter="self.dist.reduce_scatter_tensor(mean, gradients)",
    mean="mean /= p",
    count="self.t += 1",
    moments="self.m, self.v = b1 * self.m + (1 - b1) * mean, b2 * self.v + (1 - b2) * mean**2",
    step="update = self.lr * (self.m / (1 - b1**t)) / ((self.v / (1 - b2**t)).sqrt() + self.eps)",
    gather="self.dist.all_gather_into_tensor(weights, own.contiguous())",
    own="weights.view(p, -1)[rank]",
    back="one.copy_(weights[start : start + one.numel()].view_as(one))",
)
_OPTIMIZER = [
    _adam(
        "sum",
        0.0,
        "That steps with the sum of the gradients; the batch's gradient is the mean over the ranks.",
        mean="",
    ),
    _adam(
        "corrected m kept",
        0.5,
        "The corrected m is kept for the next step: divide by 1 − β**t in the step alone, and keep m"
        " itself.",
        step="self.m = self.m / (1 - b1**t); update = self.lr * self.m / ((self.v / (1 - b2**t)).sqrt()"
        " + self.eps)",
    ),
    _adam(
        "state kept elsewhere",
        1.2,
        "self.m and self.v are copies of a state that is kept elsewhere: numbers that are put into them"
        " change nothing. They are the state, the only one.",
        moments="""own = getattr(self, "own", (self.m, self.v))
        self.own = b1 * own[0] + (1 - b1) * mean, b2 * own[1] + (1 - b2) * mean**2
        self.m, self.v = (one.clone() for one in self.own)""",
    ),
    _adam(
        "one β for both",
        0.0,
        "v is made with β₁: its own is β₂, and g² comes in with 1 − β₂.",
        moments="self.m, self.v = b1 * self.m + (1 - b1) * mean, b1 * self.v + (1 - b1) * mean**2",
    ),
    _adam(
        "all_reduce",
        0.0,
        "That sums with all_reduce, which gives each rank all n sums, of which it needs a p-th: reduce_scatter_tensor sends half of that.",
        scatter="self.dist.all_reduce(gradients); mean = gradients.view(p, -1)[rank].clone()",
    ),
    _adam(
        "gathered by a sum",
        0.0,
        "The new weights are put together by all_reduce, which sends twice what all_gather_into_tensor does.",
        gather="whole = torch.zeros_like(weights); whole.view(p, -1)[rank] = own; self.dist.all_reduce(whole); weights = whole",
    ),
    _adam(
        "not gathered",
        0.0,
        "The ranks do not tell each other their new weights: each has new ones in its piece only.",
        gather="weights.view(p, -1)[rank] = own",
    ),
    _adam(
        "own gradients",
        0.0,
        "The gradients are this rank's own: nothing is summed over the ranks.",
        scatter="mean = gradients.view(p, -1)[rank].clone()",
        mean="",
    ),
    _adam(
        "no correction",
        0.0,
        "The moments begin at 0 and are too small at first: the division by 1 − β**t is missing.",
        step="update = self.lr * self.m / (self.v.sqrt() + self.eps)",
    ),
    _adam(
        "m not corrected",
        0.0,
        "The first moment is not divided by 1 − β1**t.",
        step="update = self.lr * self.m / ((self.v / (1 - b2**t)).sqrt() + self.eps)",
    ),
    _adam(
        "v not corrected",
        0.0,
        "The second moment is not divided by 1 − β2**t.",
        step="update = self.lr * (self.m / (1 - b1**t)) / (self.v.sqrt() + self.eps)",
    ),
    _adam(
        "steps not counted",
        0.5,
        "The steps are not counted: every one is corrected as the first.",
        count="self.t = 1",
    ),
    _adam(
        "counted from 0",
        0.0,
        "The steps are counted from 0: then 1 − β**t is 0 in the first. The first step is t = 1.",
        count="",
        moments="self.t += 1; self.m, self.v = b1 * self.m + (1 - b1) * mean, b2 * self.v + (1 - b2) * mean**2",
    ),
    _adam(
        "eps in the root",
        0.0,
        "eps stands inside of the root; it is added to the root.",
        step="update = self.lr * (self.m / (1 - b1**t)) / (self.v / (1 - b2**t) + self.eps).sqrt()",
    ),
    _adam(
        "no root",
        0.0,
        "The root of the second moment is missing.",
        step="update = self.lr * (self.m / (1 - b1**t)) / (self.v / (1 - b2**t) + self.eps)",
    ),
    _adam(
        "betas exchanged",
        0.5,
        "The two betas are exchanged.",
        count="self.t += 1; self.betas = self.betas[::-1] if self.t == 1 else self.betas",
    ),
    _adam(
        "v of no square",
        0.0,
        "The second moment is the mean of the squares.",
        moments="self.m, self.v = b1 * self.m + (1 - b1) * mean, b2 * self.v + (1 - b2) * mean.abs()",
    ),
    _adam(
        "v of no square, with its sign",
        0.0,
        "The second moment is the mean of the squares.",
        moments="self.m, self.v = b1 * self.m + (1 - b1) * mean, b2 * self.v + (1 - b2) * mean",
    ),
    _adam(
        "v of m",
        0.0,
        "The second moment is made of the first; it is the mean of the gradient's squares.",
        moments="self.m = b1 * self.m + (1 - b1) * mean; self.v = b2 * self.v + (1 - b2) * self.m**2",
    ),
    _adam(
        "counted for each parameter",
        0.5,
        "t grows with each parameter; it counts the steps.",
        back="one.copy_(weights[start : start + one.numel()].view_as(one)); self.t += one is not self.parameters[0]",
    ),
    _adam(
        "divided twice",
        0.0,
        "The sum is divided by the number of ranks twice.",
        mean="mean /= p**2",
    ),
    _adam(
        "divided before and behind",
        0.0,
        "The sum is divided by the number of ranks twice: before it is made, and after.",
        scatter="self.dist.reduce_scatter_tensor(mean, gradients / p)",
    ),
    _adam(
        "every p-th weight",
        0.0,
        "The rank steps every p-th weight; its piece is consecutive: flat.view(p, -1)[rank].",
        own="weights.view(-1, p)[:, rank]",
    ),
    _adam(
        "β times t",
        0.5,
        "The correction is 1 − β to the power t, not times t.",
        step="update = self.lr * (self.m / (1 - b1 * t)) / ((self.v / (1 - b2 * t)).sqrt() + self.eps)",
    ),
    _adam(
        "m's new whole",
        0.0,
        "In m the new gradient enters whole: its share is 1 − β1.",
        moments="self.m, self.v = b1 * self.m + mean, b2 * self.v + (1 - b2) * mean**2",
    ),
    _adam(
        "v's new whole",
        0.0,
        "In v the new square enters whole: its share is 1 − β2.",
        moments="self.m, self.v = b1 * self.m + (1 - b1) * mean, b2 * self.v + mean**2",
    ),
    _adam(
        "usual lr",
        0.0,
        "The step is that of lr = 0.001, whatever lr is given.",
        step="update = 1e-3 * (self.m / (1 - b1**t)) / ((self.v / (1 - b2**t)).sqrt() + self.eps)",
    ),
    _adam(
        "usual eps",
        0.0,
        "The step is that of eps = 1e-8, or of none: the eps that is given is added to the root.",
        step="update = self.lr * (self.m / (1 - b1**t)) / ((self.v / (1 - b2**t)).sqrt() + 1e-8)",
    ),
    _adam(
        "usual betas",
        0.5,
        "The betas are 0.9 and 0.999, whatever betas are given.",
        count="self.t += 1; self.betas = 0.9, 0.999",
    ),
    _adam_otherwise(
        "float32",
        0.0,
        "Tensors are made of their dtype",
        like="torch.zeros(1)",
    ),
    _adam_otherwise(
        "the whole first",
        0.0,
        "What is filled comes first",
        scatter="self.dist.reduce_scatter_tensor(gradients, mean)",
    ),
    _adam(
        "no memory",
        0.5,
        "The moments begin at 0 again in every step: they are kept from one to the next.",
        moments="self.m, self.v = (1 - b1) * mean, (1 - b2) * mean**2",
    ),
    _adam(
        "up",
        0.0,
        "The step goes up the gradient: it is subtracted.",
        step="update = -self.lr * (self.m / (1 - b1**t)) / ((self.v / (1 - b2**t)).sqrt() + self.eps)",
    ),
    _adam(
        "of rank 0",
        0.0,
        "Every rank takes the first piece of the weights: its own is piece get_rank().",
        back="one.copy_(weights[start : start + one.numel()].view_as(one))",
        gather="own = weights.view(p, -1)[0] - update; self.dist.all_gather_into_tensor(weights, own.contiguous())",
    ),
    _adam(
        "no lr",
        0.0,
        "The learning rate is missing from the step.",
        step="update = (self.m / (1 - b1**t)) / ((self.v / (1 - b2**t)).sqrt() + self.eps)",
    ),
    _adam(
        "no eps",
        0.0,
        "The step is that of eps = 1e-8, or of none: the eps that is given is added to the root.",
        step="update = self.lr * (self.m / (1 - b1**t)) / (self.v / (1 - b2**t)).sqrt()",
    ),
    _adam(
        "no share of the new",
        0.0,
        "The new gradient enters whole: its share is 1 − β.",
        moments="self.m, self.v = b1 * self.m + mean, b2 * self.v + mean**2",
    ),
    _adam(
        "plain descent",
        0.0,
        "That is the gradient times lr, without the moments.",
        step="update = self.lr * mean",
    ),
    _adam(
        "corrected ones kept",
        0.5,
        "The corrected moments are kept for the next step, and corrected again.",
        moments="self.m, self.v = b1 * self.m + (1 - b1) * mean, b2 * self.v + (1 - b2) * mean**2; self.m, self.v = self.m / (1 - b1**t), self.v / (1 - b2**t)",
        step="update = self.lr * self.m / (self.v.sqrt() + self.eps)",
    ),
    _adam(
        "from the last",
        0.0,
        "The flat tensor begins with the last parameter: the order is that of the parameters.",
        parameters="[one for one in parameters if one.requires_grad][::-1]",
    ),
    _adam_otherwise("not padded", 0.7, "add zeros at its end", padded="flat"),
    _adam_otherwise(
        "rounded down",
        0.7,
        "add zeros at its end",
        piece="sum(one.numel() for one in self.parameters) // dist.get_world_size()",
        padded="flat",
    ),
    _adam_otherwise(
        "None met bare", 1.3, "It counts as zeros", gradients="[q.grad for q in self.parameters]"
    ),
    _adam(
        "frozen too",
        1.3,
        "Frozen parameters travel, too: leave out what does not require a gradient.",
        parameters="list(parameters)",
    ),
    _adam(
        "those without left out",
        1.3,
        "A parameter without a gradient is left out, and those after it get the wrong pieces: zeros stand in its place.",
        gradients="[q.grad for q in self.parameters if q.grad is not None]",
    ),
    _adam_otherwise(
        "a generator",
        0.0,
        "Keep a list",
        parameters="parameters",
        piece="3",
        like="torch.zeros(1, dtype=torch.float64)",
    ),
    _adam(
        "weights not put back",
        0.0,
        "The parameters stay as they were: what was gathered is put back into them.",
        back="one = weights[start : start + one.numel()].view_as(one)",
    ),
    _adam(
        "padded in front",
        0.7,
        "The zeros are added in front; the pieces are cut as if they were at the end.",
        padded="F.pad(flat, (self.piece * self.dist.get_world_size() - len(flat), 0))",
    ),
    Mistake(
        "shard_optimizer", "the state by another name", 1.2, "There is no such thing: self.m", ""
    ),
]
_OPTIMIZER[-1] = Mistake(
    "shard_optimizer",
    "the state by another name",
    1.2,
    "There is no such thing: self.m",
    _OPTIMIZER[0]
    .code.replace("self.m", "self.mu")
    .replace("self.v", "self.nu")
    .replace("like = self.parameters", "like = self.parameters")
    .replace("(b1, b2), t", "mean /= p; (b1, b2), t"),
)

_memory, _ = variants(
    "memory_of",
    """
def memory_of(layers, batch, p, layout):
    up = lambda n: -(-n // p)
    numbers = kept = 0
    for place, (inputs, outputs) in enumerate(layers):
        m, n, bias, examples = inputs, outputs, outputs, batch
        if layout == "tensor" and {column}:
            {cut}
        elif layout == "tensor":
            {row}
        else:
            examples = {examples}
        numbers += {count}
        kept += {activations}
    state = {state}
    return {{"weights": {weights} * numbers, "gradients": {gradients}, "state": state, "activations": {width} * kept}}
""",
    column="place % 2 == 0",
    cut="n = bias = up(outputs)",
    row="m = up(inputs)",
    examples="up(batch)",
    count="m * n + bias",
    activations="examples * m",
    state="8 * (up(numbers) if layout == 'sharded' else numbers)",
    width="4",
    weights="4",
    gradients="4 * numbers",
)
_MEMORY = [
    _memory(
        "numbers, not bytes",
        0.0,
        "Those are numbers; a float32 has 4 bytes.",
        width="1",
        weights="1",
        gradients="numbers",
        state="2 * (up(numbers) if layout == 'sharded' else numbers)",
    ),
    _memory(
        "float64",
        0.0,
        "That is 8 bytes a number; a float32 has 4.",
        width="8",
        weights="8",
        gradients="8 * numbers",
        state="16 * (up(numbers) if layout == 'sharded' else numbers)",
    ),
    _memory(
        "one moment",
        0.0,
        "Adam keeps two numbers for each weight.",
        state="4 * (up(numbers) if layout == 'sharded' else numbers)",
    ),
    _memory("no biases", 0.0, "The biases are missing from the weights.", count="m * n"),
    _memory(
        "outputs kept",
        0.0,
        "That counts each layer's outputs; what its backward needs is its input.",
        activations="examples * n",
    ),
    _memory(
        "last outputs, too",
        0.0,
        "The last layer's outputs are counted, too: what a layer keeps is its input.",
        activations="examples * m + (batch if layout == 'tensor' else examples) * outputs * (place == len(layers) - 1)",
    ),
    _memory(
        "weights not in bytes",
        0.0,
        "The weights are numbers there, and not bytes: float32 has 4 for each.",
        weights="1",
    ),
    _memory(
        "gradients twice",
        0.0,
        "There is one gradient for each weight, and two moments.",
        gradients="8 * numbers",
    ),
    _memory(
        "outputs before inputs",
        0.0,
        "Inputs and outputs are exchanged: a layer is [inputs, outputs].",
        count="(m * n + m if layout != 'tensor' else outputs * up(inputs) + up(inputs) if place % 2 == 0 else up(outputs) * inputs + inputs)",
        activations="(examples * n if layout != 'tensor' else batch * (outputs if place % 2 == 0 else up(outputs)))",
    ),
    _memory(
        "the whole model's state",
        0.4,
        'In "tensor" a rank has the state of its own weights only.',
        state="8 * (up(numbers) if layout == 'sharded' else sum(a * b + b for a, b in layers))",
    ),
    _memory(
        "all moments in one tensor",
        0.55,
        "The moments are two tensors, each of ceil(n / p) numbers: rounded up, then doubled.",
        state="4 * (up(2 * numbers) if layout == 'sharded' else 2 * numbers)",
    ),
    _memory(
        "inputs of a row whole",
        0.4,
        "A row layer gets its part of the inputs only, and keeps that.",
        activations="examples * inputs",
    ),
    _memory(
        "outputs kept, too",
        0.0,
        "That counts inputs and outputs: the output of one layer is the input of the next, and kept once.",
        activations="examples * (m + n)",
    ),
    _memory(
        "batch whole",
        0.35,
        "Where the model is whole on each rank, the examples are shared out.",
        examples="batch",
    ),
    _memory(
        "rounded down",
        0.0,
        "That rounds down; the first rank has the larger piece.",
        examples="batch // p",
        cut="n = bias = outputs // p",
        row="m = inputs // p",
        state="8 * (numbers // p if layout == 'sharded' else numbers)",
    ),
    _memory(
        "a fraction",
        0.0,
        "A rank holds whole numbers: the first has the larger piece.",
        examples="batch / p",
        cut="n = bias = outputs / p",
        row="m = inputs / p",
        state="8 * (numbers / p if layout == 'sharded' else numbers)",
    ),
    _memory("state whole", 0.55, 'In "sharded" the state is in p parts.', state="8 * numbers"),
    _memory(
        "all sharded",
        0.55,
        "Only the state is sharded here; weights and gradients are whole on each rank.",
        gradients="4 * (up(numbers) if layout == 'sharded' else numbers)",
    ),
    _memory(
        "state by layers",
        0.55,
        "The flat tensor of all layers is cut, and rounded up once; that rounds each layer.",
        state="8 * (sum(up(a * b + b) for a, b in layers) if layout == 'sharded' else numbers)",
    ),
    _memory(
        "all columns",
        0.4,
        "Column and row layers take turns: the second layer is a row layer.",
        column="True",
    ),
    _memory(
        "row first",
        0.4,
        "The first layer is a column layer, the second a row layer.",
        column="place % 2 == 1",
    ),
    _memory(
        "column's bias whole",
        0.4,
        "A column layer has the biases of its own outputs only.",
        cut="n = up(outputs)",
    ),
    _memory(
        "row's bias cut",
        0.4,
        "A row layer's bias is whole on each rank.",
        row="m = up(inputs); bias = up(outputs)",
    ),
    _memory(
        "examples shared out, too",
        0.4,
        'In "tensor" every rank sees all examples.',
        activations="up(batch) * m",
    ),
    _memory(
        "the whole by p",
        0.4,
        "Not all is a p-th: a column layer's input and a row layer's bias are whole on each rank.",
        cut="n = bias = up(outputs); m = inputs",
        row="m = up(inputs); bias = up(outputs)",
        activations="(examples * up(m) if layout == 'tensor' and place % 2 == 0 else examples * m)",
    ),
]

_bytes, _ = variants(
    "choose_parallelism",
    """
def bytes_sent(weights, inputs, batch, p):
    return {{"data": {data}, "model": {model}}}
""",
    data="4 * 2 * (p - 1) / p * weights",
    model="4 * 2 * (p - 1) / p * batch * inputs",
)
_choice, _choice_otherwise = variants(
    "choose_parallelism",
    """
def choose_parallelism(layers, batch, p):
    chosen = []
    for weights, inputs in layers:
        sent = bytes_sent({arguments})
        chosen.append({chosen})
    return {result}
""",
    arguments="weights, inputs, batch, p",
    chosen='"model" if sent["model"] < sent["data"] else "data"',
    result="chosen",
)
_CHOICES = [
    _bytes(
        "numbers, not bytes",
        0.65,
        "Those are numbers; a float32 has 4 bytes.",
        data="2 * (p - 1) / p * weights",
        model="2 * (p - 1) / p * batch * inputs",
    ),
    _bytes(
        "once",
        0.65,
        "That is one way only: an all-reduce is a reduce-scatter and an all-gather, and inputs go there as their gradients come back.",
        data="4 * (p - 1) / p * weights",
        model="4 * (p - 1) / p * batch * inputs",
    ),
    _bytes(
        "inputs one way",
        0.65,
        "The inputs' gradients come back, too: an all-gather forward and a reduce-scatter backward.",
        model="4 * (p - 1) / p * batch * inputs",
    ),
    _bytes(
        "all of it",
        0.65,
        "A rank has its own p-th already, and sends (p − 1) / p of all, each way.",
        data="4 * 2 * weights",
        model="4 * 2 * batch * inputs",
    ),
    _bytes(
        "for all the ranks",
        0.65,
        "That is what all ranks send together; asked for is what each sends.",
        data="4 * 2 * (p - 1) * weights",
        model="4 * 2 * (p - 1) * batch * inputs",
    ),
    _bytes(
        "one example",
        0.65,
        "That is one example's inputs; all ranks need those of the whole batch.",
        model="4 * 2 * (p - 1) / p * inputs",
    ),
    _bytes(
        "own examples",
        0.65,
        "That is one rank's share of the batch; a layer in parts needs the inputs of all its examples.",
        model="4 * 2 * (p - 1) / p * batch / p * inputs",
    ),
    _bytes(
        "gradients of the batch",
        0.65,
        "The weights' gradient is one number for each weight, whatever the batch.",
        data="4 * 2 * (p - 1) / p * weights * batch",
    ),
    _bytes(
        "exchanged",
        0.65,
        'The two are exchanged: "data" sends gradients of weights, "model" sends inputs.',
        data="4 * 2 * (p - 1) / p * batch * inputs",
        model="4 * 2 * (p - 1) / p * weights",
    ),
    _bytes(
        "whole numbers",
        0.65,
        "// cuts off what is not whole: multiply first, or divide with /.",
        data="4 * 2 * ((p - 1) * weights // p)",
        model="4 * 2 * ((p - 1) * batch * inputs // p)",
    ),
    _bytes(
        "share rounded down",
        0.65,
        "(p - 1) // p is 0 for every p: // cuts off what is not whole.",
        data="4 * 2 * ((p - 1) // p) * weights",
        model="4 * 2 * ((p - 1) // p) * batch * inputs",
    ),
    _bytes(
        "share inverted",
        0.65,
        "The share is (p − 1) / p; that is p / (p − 1).",
        data="4 * 2 * p / (p - 1) * weights",
        model="4 * 2 * p / (p - 1) * batch * inputs",
    ),
    _choice(
        "unpacked the other way",
        0.65,
        "A layer is [weights, inputs], in this order.",
        arguments="inputs, weights, batch, p",
    ),
    _choice(
        "the dearer",
        0.65,
        "Those are the dearer ones.",
        chosen='"model" if sent["model"] > sent["data"] else "data"',
    ),
    _choice(
        "model where equal",
        0.65,
        'Where both cost the same it is "data".',
        chosen='"model" if sent["model"] <= sent["data"] else "data"',
    ),
    _choice(
        "one for all",
        0.65,
        "That is one choice for the whole network; each layer has its own.",
        result='["model" if sum(a for a, _ in layers) > batch * sum(b for _, b in layers) else "data"] * len(layers)',
    ),
    _choice(
        "one example",
        0.65,
        "That compares with one example's inputs: the batch counts.",
        arguments="weights, inputs, 1, p",
    ),
    _choice(
        "a rank's share",
        0.65,
        "That compares with one rank's share of the batch.",
        arguments="weights, inputs, batch / p, p",
    ),
    _choice_otherwise("the last alone", 0.65, "members", result="chosen[-1:]"),
    _choice_otherwise(
        "words of its own",
        0.65,
        "is not what it should be",
        chosen='"model-parallel" if sent["model"] < sent["data"] else "data-parallel"',
    ),
] + [
    Known("choose_parallelism", name, 0.7, says, f"flip_batch = {value}")
    for name, value, says in (
        ("one too many", "1001", "For this batch the data-parallel way is cheaper already."),
        (
            "the inputs",
            "4096",
            "That is the number of inputs; B · inputs is to be compared with the number of weights.",
        ),
        ("fc6", "4096.4", "That is another layer's: fc8 has 4,096 inputs and 1,000 outputs."),
        (
            "all weights",
            "4097000",
            "That is the number of weights; how many examples have as many inputs?",
        ),
        (
            "for each of 8 ranks",
            "125",
            "That is a share of the batch; the batch is that of all ranks.",
        ),
        (
            "not whole",
            "1000.24414",
            "That is where they are equal; a batch is a whole number, and the largest is asked for.",
        ),
        ("one less", "999", "One more example, and the model-parallel way is still cheaper."),
    )
]

MISTAKES = Table(
    sys.modules[__name__],
    [
        *_FUNCTIONS,
        *_LAYERS,
        *_BLOCK,
        *_TOKENS,
        *_LOSS,
        *_OPTIMIZER,
        *_MEMORY,
        *_CHOICES,
    ],
)
_BOTH = [*_TWO_SUMS, *_SHIFTED]
SWAPPED = Table(sys.modules[__name__], [*map(_swapped, _BOTH), *_SHIFTED])
STACKED = Table(sys.modules[__name__], [one for row in _BOTH for one in _stacked(row)])
