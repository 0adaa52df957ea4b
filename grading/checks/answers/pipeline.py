"""The answers of lab 15, and what people get wrong about a pipeline's ranks and their measures."""

import sys
import weakref
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from grading.checks.mistakes import Known, Mistake, Table, variants
from utils.pipeline import schedules
from utils.pipeline.schedules import Span

__all__ = [
    "MISTAKES",
    "Callable",
    "Iterable",
    "Sequence",
    "Span",
    "cross_entropy",
    "dist",
    "nn",
    "schedules",
]


def stage_layers(layers, rank, stages):
    each, more = divmod(len(layers), stages)
    start = rank * each + min(rank, more)
    return layers[start : start + each + (rank < more)]


def there_and_back(dist, module, x, loss=None):
    if dist.get_rank() == 0:
        y = module(x)
        sent = dist.isend(y.detach(), 1)
        dy = torch.empty_like(y)
        dist.irecv(dy, 1).wait()
        sent.wait()
        y.backward(dy)
        return None
    dist.irecv(x, 0).wait()
    x.requires_grad_()
    value = loss(module(x))
    value.backward()
    dist.isend(x.grad, 0).wait()
    return value.item()


def as_tuple(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def run_stage(actions, module, send, recv, inputs=None, loss=None):
    microbatches = sum(kind == "F" for kind, _ in actions)
    stash, total = {}, 0.0
    for kind, m in actions:
        if kind == "F":
            if inputs is not None:
                x = (inputs[m],)
            else:
                x = tuple(value.requires_grad_() for value in recv("previous", ("F", m)))
            y = as_tuple(module(*x))
            if loss is not None:
                y = (loss(m, *y) / microbatches,)
                total += y[0].item()
            else:
                send("next", ("F", m), tuple(value.detach() for value in y))
            stash[m] = x, y
        else:
            x, y = stash.pop(m)
            torch.autograd.backward(y, recv("next", ("B", m)) if loss is None else None)
            if inputs is None:
                send("previous", ("B", m), tuple(value.grad for value in x))
    return total if loss is not None else None


def measured_bubble(spans, stages):
    work = [span for span in spans if span.kind in ("F", "B", "I", "W")]
    whole = max(span.end for span in work) - min(span.start for span in work)
    return 1 - sum(span.end - span.start for span in work) / (stages * whole)


def measured_stash(run, parameters):
    weights = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    held, most = weakref.WeakSet(), 0

    class Held:
        def __init__(self, tensor):
            self.tensor = tensor.detach()

    def pack(tensor):
        nonlocal most
        kept = Held(tensor)
        held.add(kept)
        storages = [one.tensor.untyped_storage() for one in held]
        sizes = {storage.data_ptr(): storage.nbytes() for storage in storages}
        most = max(most, sum(size for place, size in sizes.items() if place not in weights))
        return kept

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        run()
    return most


def speed_up(stages, microbatches):
    return stages * microbatches / (microbatches + stages - 1)


share_reached = 4.953 / (8 * 32 / (32 + 8 - 1))
rest = "balance"


def chunks_of(rank, stages, chunks):
    return [rank + stages * chunk for chunk in range(chunks)]


def interleaved_bubble(stages, microbatches, chunks):
    return (stages - 1) / (chunks * microbatches + stages - 1)


def staleness(rank, stages):
    return stages - 1 - rank


# What the check draws

OTHER_ORDER = "F0 F1 F2 B1 B0 F3 B3 B2"  # valid on every rank, if all have it


def one_f_one_b(rank, stages, microbatches):
    """1F1B's actions of one rank."""
    ahead = min(stages - 1 - rank, microbatches)
    order = [("F", m) for m in range(ahead)]
    for m in range(microbatches):
        order += [("F", m + ahead)] * (m + ahead < microbatches) + [("B", m)]
    return order


def gpipe(microbatches):
    order = range(microbatches)
    return [("F", m) for m in order] + [("B", m) for m in order]


def held(actions):
    """How many micro-batches a rank holds as each of its forwards begins."""
    counts, now = [], 0
    for kind, _ in actions:
        counts += [now] * (kind == "F")
        now += 1 if kind == "F" else -1
    return counts


def most_saved(steps, number_bytes):
    """The most bytes that the steps of `utils.pipeline.saved` hold at a time."""
    graphs, most = {}, 0
    for do, name, *shape in steps:
        if shape:
            n, d = shape
            numbers = {"linear": 2 * n * d, "part": n * (2 * d - 1)}.get(do, n * d)
            graphs[name] = numbers * number_bytes
        elif do != "again":
            del graphs[name]
        most = max(most, sum(graphs.values()))
    return most


# Simple cases of the formulas, and why they are as they are.
SPEEDS = (
    ((1, 6), 1.0, "One rank is as fast as one rank: for p = 1 it is 1."),
    ((4, 1), 1.0, "With a single micro-batch one rank works at a time: it is 1, whatever p."),
    (
        (3, 10**5),
        3e5 / (10**5 + 2),
        "With very many micro-batches p ranks are next to p times as fast.",
    ),
    ((2, 3), 1.5, "For 2 stages and 3 micro-batches it is 1.5, as the docstring says."),
)
HELD_CHUNKS = (
    ((1, 2, 2), [1, 3], "With v = 2 on p = 2 ranks, rank 1 holds stages 1 and 3."),
    ((2, 3, 1), [2], "With one chunk a rank it is a list of the rank's own number."),
    ((0, 4, 2), [0, 4], "Rank 0 has the first stage and the (p + 1)-th: of 4 ranks, 0 and 4."),
)
BUBBLES = (
    ((1, 3, 2), 0.0, "A single rank waits for nobody: for p = 1 it is 0."),
    ((4, 8, 1), 3 / 11, "For v = 1 it is lab 14's bubble, (p − 1)/(m + p − 1)."),
    (
        (2, 1, 2),
        1 / 3,
        "For p = 2, m = 1 and v = 2 a rank works for t and waits for t/2: a third of the whole.",
    ),
    ((3, 10**5, 2), 2 / (2 * 10**5 + 2), "With very many micro-batches the bubble is next to 0."),
)
STALENESSES = (
    ((3, 4), 0, "On the last rank the backward follows its forward at once: 0."),
    ((0, 4), 3, "In the written-out schedule three Bs stand between F3 and B3 on rank 0 of 4."),
    ((0, 1), 0, "A single rank has no row to wait for: 0."),
)

# What the words of an error say about an exercise; the first that fits.
LAYER_ERRORS = (
    ("process group", "Which rank is meant is the argument `rank`: no process runs here yet."),
    ("slice indices must be", "L / p need be no whole number: // divides down to one."),
    ("Module", "The check sends numbers in place of layers: return a plain list of some."),
)
EXCHANGE_ERRORS = (
    ("process group", "Ask the `dist` that is given: here it stands for torch.distributed."),
    (
        "not NoneType",
        "What goes back is x.grad, and there is one after this: x.requires_grad_() asks for it, x"
        " enters the module as it is, and a backward from the loss computes it.",
    ),
    (
        "'NoneType' object is not callable",
        "`loss` is None on rank 0: rank 1 computes the loss.",
    ),
    (
        "'NoneType' object",
        "wait() returns None: what came is then in the tensor that irecv was given.",
    ),
    (
        "implicitly created only for scalar",
        "Rank 0's backward starts from what came back, y.backward(dy). It is in the tensor that"
        " irecv was given; wait() returns None.",
    ),
    ("does not require grad", "Keep the output that has its graph; send its detach()."),
    (
        "modified by an inplace operation",
        "The gradient was received into the output's own memory, and the backward needs the output:"
        " receive into a place of its own, torch.empty_like(y).",
    ),
    ("changed before wait()", "Until wait() the tensor belongs to the message: use another."),
    ("has one other rank", "Rank 0 sends to rank 1 and receives from it, and rank 1 from rank 0."),
    (
        "receives a tensor of shape",
        "Rank 1 receives what has x's shape, and rank 0 what has the shape of its output.",
    ),
)
HOOK_ERRORS = (
    (
        "unpack_hook expected",
        "unpack is given what pack returned, and must give back the tensor that was saved.",
    ),
    (
        "Boolean value of Tensor",
        "A set compares its members, and tensors compare number by number: put an object of a class"
        " of your own into it.",
    ),
)
ERRORS = (
    (
        "process group",
        "run_stage learns from its arguments which rank it is on: the first has inputs, the last"
        " has loss.",
    ),
    (
        "value 0 is None",
        "The gradient of what was received is to be sent, and an output has none: ask for it, with"
        " requires_grad_(), before"
        " the module's forward, and keep in the stash what was received, too.",
    ),
    (
        "send takes tensors; value",
        "One of the received tensors has no gradient: all of them must enter, module(*received).",
    ),
    (
        "'NoneType' object is not callable",
        "`loss` is None on every rank but the last: only there is it asked.",
    ),
    (
        "'NoneType' object is not subscriptable",
        "`inputs` is None on every rank but the first: the others receive theirs.",
    ),
    (
        "attached to this rank's graph",
        "What is sent must be data alone: detach() the output before it goes. Keep the attached"
        " one for the backward.",
    ),
    ("takes a tuple of tensors", "A message is a tuple, also of one tensor: (y,)."),
    (
        "has no next rank",
        "The last rank has none after it: its output goes into the loss, and its backward starts"
        " from the loss.",
    ),
    (
        "has no previous rank",
        "The first rank's inputs come from `inputs`, and nobody waits for their gradients. Those of"
        " its output come from the next rank.",
    ),
    (
        "does not require grad and does not have a grad_fn",
        "backward starts from a tensor without a graph: is it the detached one that was kept?",
    ),
    (
        "a second time",
        "A graph can be gone back through once. Is the stash's key the micro-batch? Do all outputs"
        " of a stage share one call of torch.autograd.backward?",
    ),
    (
        "implicitly created only for scalar",
        "A stage's backward starts from the gradient that was received:"
        " torch.autograd.backward(outputs, gradients).",
    ),
    ("tensors and", "There must be one gradient for each output: a stage may return several."),
    ("grad_tensors", "There must be one gradient for each output: a stage may return several."),
    ("Mismatch in shape", "The gradient has another shape than the output that it is of."),
    (
        "'tuple' object has no attribute",
        "A tuple of tensors is used as one tensor: recv returns a tuple, and the loss takes the"
        " outputs one by one, loss(m, *outputs).",
    ),
    ("must be Tensor, not tuple", "recv returns a tuple of tensors: module(*received)."),
    ("'tuple' and 'Parameter'", "The module takes tensors, not a tuple: module(*received)."),
    (
        "incorrect number of gradients",
        "A tensor that is unpacked with * falls into its rows: as_tuple(output) makes a tuple of"
        " one tensor.",
    ),
    (
        "only integer tensors of a single element",
        "The loss is asked for with the micro-batch's number first: loss(m, *outputs).",
    ),
    (
        "One of the differentiated",
        "torch.autograd.grad gives the gradients that it is asked for, and fills no .grad:"
        " torch.autograd.backward does.",
    ),
    ("is not registered", "Here messages go by the arguments `send` and `recv`, not by dist."),
    ("'list' object has no attribute", "A list is used as one tensor: loss(m, *outputs)."),
    (
        "KeyError",
        "Is what the backward needs kept under the micro-batch's number, and did its forward run?"
        ' Kinds are capital letters, "F" and "B".',
    ),
)


# Misconceptions

_layers, _layers_otherwise = variants(
    "stage_layers",
    "def stage_layers(layers, r, p):\n    n = len(layers) // p\n    return {value}",
)
_STAGE_0 = "The rank does not enter: all of them would train the same stage."
_LAYERS = [
    _layers(
        "every p-th",
        0,
        "Stages are consecutive layers: what a rank computes goes to the next.",
        value="layers[r::p]",
    ),
    _layers(
        "from the end",
        0,
        "The stages are not in order: rank 0 has the first layers.",
        value="layers[(p - 1 - r) * n:][: n]",
    ),
    _layers(
        "rest lost",
        0.3,
        "L // p layers a rank leave L % p over: who has them?",
        value="layers[r * n : (r + 1) * n]",
    ),
    _layers(
        "rest to the last",
        0.3,
        "All that is left over goes to one rank: then the stages are not as even as they can be.",
        value="layers[r * n : (r + 1) * n if r < p - 1 else None]",
    ),
    _layers(
        "rest to the first",
        0.3,
        "All that is left over goes to one rank: then the stages are not as even as they can be.",
        value="layers[r * n + (r > 0) * (len(layers) % p) : (r + 1) * n + len(layers) % p]",
    ),
    _layers(
        "longer ones last",
        0.3,
        "The longer stages are the first ones, not the last.",
        value="layers[r * len(layers) // p : (r + 1) * len(layers) // p]",
    ),
    _layers(
        "places",
        0,
        "Those are the places of the layers: return the layers themselves.",
        value="list(range(r * n, (r + 1) * n))",
    ),
    _layers(
        "rounded up",
        0.3,
        "Each rank has L // p layers, and each of the first L % p one more.",
        value="layers[-(-len(layers) // p) * r :][: -(-len(layers) // p)]",
    ),
    _layers(
        "begins too early",
        0.3,
        "The stages before have longer ones among them: where does this rank begin?",
        value="layers[r * n :][: n + (r < len(layers) % p)]",
    ),
    _layers(
        "begins too late",
        0.3,
        "It begins as if all stages before had the length of the longer ones.",
        value="layers[r * (n + (len(layers) % p > 0)) :][: n + (r < len(layers) % p)]",
    ),
    _layers(
        "all longer before",
        0,
        "It begins as if all stages before had the length of the longer ones.",
        value="layers[r * (n + 1) :][: n + (r < len(layers) % p)]",
    ),
    _layers(
        "begins after all that is left over",
        0.3,
        "Of the L % p longer stages only min(r, L % p) come before rank r's.",
        value="layers[r * n + (len(layers) % p) * (r > 0) :][: n + (r < len(layers) % p)]",
    ),
    _layers(
        "no end",
        0,
        "The stage goes on to the last layer: it has an end, layers[start:end].",
        value="layers[r * n + min(r, len(layers) % p) :]",
    ),
    _layers(
        "all that is left over first",
        0.3,
        "Of the L % p longer stages only min(r, L % p) come before rank r's.",
        value="layers[r * n + len(layers) % p :][: n + (r < len(layers) % p)]",
    ),
    _layers(
        "one longer stage too many",
        0,
        "The longer stages are the first L % p: r < L % p, not r <= L % p.",
        value="layers[r * n + min(r, len(layers) % p) :][: n + (r <= len(layers) % p)]",
    ),
    _layers(
        "ranks from 1",
        0,
        "The ranks count from 0: the first has rank 0.",
        value="layers[(r - 1) * n : r * n] if r else []",
    ),
    _layers(
        "all stages",
        0,
        "Those are all stages; this rank needs its own alone.",
        value="[layers[k * len(layers) // p : (k + 1) * len(layers) // p] for k in range(p)]",
    ),
    _layers(
        "longer ones spread",
        0.3,
        "The longer stages lie between shorter ones: the first L % p are to be longer.",
        value="layers[-(-len(layers) * r // p) : -(-len(layers) * (r + 1) // p)]",
    ),
    _layers(
        "longer ones spread, rounded",
        0.3,
        "The longer stages lie between shorter ones: the first L % p are to be longer.",
        value="layers[round(len(layers) * r / p) : round(len(layers) * (r + 1) / p)]",
    ),
    _layers(
        "one too few",
        0,
        "A slice ends before its second number: layers[a:b] goes up to layers[b - 1].",
        value="layers[r * n : (r + 1) * n - 1]",
    ),
    _layers(
        "p layers",
        0,
        "Each stage has L // p layers, not p.",
        value="layers[r * p : (r + 1) * p]",
    ),
    _layers(
        "all alike, spread",
        0.3,
        "L // p layers a rank leave L % p over: who has them?",
        value="layers[r * len(layers) // p :][:n]",
    ),
    _layers(
        "one layer",
        0,
        "That is one layer; a stage is a list of layers, layers[start:end].",
        value="layers[r * n]",
    ),
    _layers(
        "turned round",
        0,
        "The stages are not in order: rank 0 has the first layers.",
        value="layers[::-1][r * n : (r + 1) * n]",
    ),
    _layers_otherwise(
        "divided with /",
        0,
        "// divides down",
        value="layers[int(r > 9) + r * (len(layers) / p) : (r + 1) * (len(layers) / p)]",
    ),
    _layers_otherwise(
        "asks for its rank",
        0,
        "is the argument `rank`",
        value="layers[dist.get_rank() * n :][: n]",
    ),
    _layers(
        "from and to",
        0,
        "Those are the places of a stage's first layer and its end: return layers[start:end].",
        value="(r * n + min(r, len(layers) % p), (r + 1) * n + min(r + 1, len(layers) % p))",
    ),
    _layers(
        "longer ones cut off",
        0.3,
        "It begins in the right place; the first L % p stages have one layer more.",
        value="layers[r * n + min(r, len(layers) % p) :][:n]",
    ),
    _layers(
        "the later ones longer",
        0,
        "The longer stages are the first L % p: r < L % p, not r > L % p.",
        value="layers[r * n + min(r, len(layers) % p) :][: n + (r > len(layers) % p)]",
    ),
    _layers(
        "begins where it ends",
        0,
        "It begins where the next one should: rank 0 begins with layer 0.",
        value="layers[(r + 1) * n + min(r, len(layers) % p) :][: n + (r < len(layers) % p)]",
    ),
    _layers(
        "divmod the wrong way round",
        0,
        "Quotient and remainder are exchanged: divmod gives the quotient first.",
        value="layers[r * (len(layers) % p) + min(r, n) :][: len(layers) % p + (r < n)]",
    ),
    _layers(
        "overlap",
        0,
        "A stage begins where the one before it ends.",
        value="layers[r * n :][: n + (r < p - 1)]",
    ),
    _layers("all stage 0", 0, _STAGE_0, value="layers[:n]"),
    _layers("all layers", 0, _STAGE_0, value="list(layers)"),
    _layers_otherwise(
        "a module",
        0,
        "numbers in place of layers",
        value="nn.Sequential(*layers[r * n : (r + 1) * n])",
    ),
]

_both, _both_otherwise = variants(
    "there_and_back",
    """
def there_and_back(dist, module, x, loss=None):
    if dist.get_rank() == 0:
        y = module(x)
        {send}
        {receive}
        {first}
        return None
    {take}
    {leaf}
    y = module(x)
    value = loss(y)
    {back}
    {answer}
    return {value}
""",
    send="sent = dist.isend(y.detach(), 1)",
    receive="dy = torch.empty_like(y); dist.irecv(dy, 1).wait(); sent.wait()",
    first="y.backward(dy)",
    take="dist.irecv(x, 0).wait()",
    leaf="x.requires_grad_()",
    back="value.backward()",
    answer="dist.isend(x.grad, 0).wait()",
    value="value.item()",
)
_UNREAD = "What is in the tensor is not the message yet: irecv only begins to receive, and wait() ends it."
_GONE = "The gradients that were there before are gone: they are to be added to."
_MOVED = "The weights have changed between two calls: they are the optimizer's to move."
_AFRESH = (
    "The module runs a second time for the backward: go back through the graph of the output that"
    " there is."
)
_STEP = "torch.optim.SGD(module.parameters(), lr=0.1).step()"
_BOTH = [
    _both(
        "not waited for",
        0.6,
        _UNREAD,
        receive="dy = torch.empty_like(y); coming = dist.irecv(dy, 1); sent.wait()",
    ),
    _both("activation not waited for", 0.65, _UNREAD, take="dist.irecv(x, 0)"),
    _both(
        "sum instead of the gradient",
        0.6,
        "Rank 0's backward starts from what came back: y.backward(dy).",
        first="y.sum().backward()",
    ),
    _both(
        "the output as its gradient",
        0.6,
        "Rank 0's backward starts from what came back: y.backward(dy).",
        first="y.backward(y.detach())",
    ),
    _both(
        "received elsewhere",
        0.65,
        "What came is in the tensor that irecv was given; the module ran on another, the x of the"
        " arguments.",
        take="dist.irecv(torch.empty_like(x), 0).wait()",
    ),
    _both_otherwise(
        "rank without a call", 0, "has no attribute 'rank'", send="dist.rank", leaf="dist.rank"
    ),
    _both_otherwise(
        "a loss on rank 0", 0.6, "rank 1 computes the loss", first="loss(y).backward()"
    ),
    _both(
        "no backward", 0.6, "Rank 0 receives a gradient and does not go back with it.", first="pass"
    ),
    _both(
        "the input comes back",
        0.65,
        "That is what rank 1 received; rank 0 waits for its gradient.",
        answer="dist.isend(x.detach(), 0).wait()",
    ),
    _both(
        "the weights' gradient comes back",
        0.65,
        "What goes back is the gradient of what rank 1 received, not of its weights.",
        answer="dist.isend(module.weight.grad, 0).wait()",
    ),
    _both(
        "the input is sent",
        0.6,
        "Rank 0 sends its stage's output, not the input.",
        send="sent = dist.isend(x, 1)",
    ),
    _both(
        "the loss comes back",
        0.65,
        "That is the loss; rank 0 waits for the gradient of what it sent.",
        answer="dist.isend(value.detach(), 0).wait()",
    ),
    _both(
        "backward from the output",
        0.65,
        "Rank 1's backward starts from the loss, not from its output.",
        back="y.sum().backward()",
    ),
    _both(
        "the output's gradient comes back",
        0.65,
        "That is the gradient of rank 1's output; rank 0 waits for that of rank 1's input.",
        back="y.retain_grad(); value.backward()",
        answer="dist.isend(y.grad, 0).wait()",
    ),
    _both("run again on rank 0", 0.6, _AFRESH, first="module(x).backward(dy)"),
    _both("run again on rank 1", 0.65, _AFRESH, back="loss(module(x)).backward()"),
    _both_otherwise("no backward on rank 1", 0.65, "a backward from the", back="pass"),
    _both_otherwise("loss as a tensor", 0.65, "`.item()`", value="value.detach()"),
    _both_otherwise(
        "x wants a gradient",
        0.6,
        "is the caller's",
        send="x.requires_grad_(); sent = dist.isend(y.detach(), 1)",
    ),
    _both_otherwise("x changed", 0.6, "is not as it was", first="y.backward(dy); x.mul_(2)"),
    _both_otherwise(
        "into the output's memory",
        0.6,
        "a place of its own",
        receive="sent.wait(); dy = y.detach(); dist.irecv(dy, 1).wait()",
    ),
    _both_otherwise(
        "changed while it is sent",
        0.6,
        "belongs to the message",
        send="out = y.detach().clone(); sent = dist.isend(out, 1)",
        receive="dy = out; coming = dist.irecv(dy, 1); coming.wait(); sent.wait()",
    ),
    _both_otherwise(
        "wait's value",
        0.65,
        "what came is then in the tensor",
        take="x = dist.irecv(x, 0).wait()",
    ),
    _both_otherwise(
        "wait's value as gradient",
        0.6,
        "wait() returns None",
        receive="sent.wait(); dy = dist.irecv(torch.empty_like(y), 1).wait()",
    ),
    _both_otherwise(
        "to itself", 0.6, "sends to rank 1 and receives", send="sent = dist.isend(y.detach(), 0)"
    ),
    _both_otherwise(
        "the input's shape",
        0.6,
        "the shape of its output",
        receive="dy = torch.empty_like(x); dist.irecv(dy, 1).wait(); sent.wait()",
    ),
    Mistake(
        "there_and_back",
        "another dist",
        0,
        "the `dist` that is given",
        "def there_and_back(_, module, x, loss=None): return dist.get_rank()",
    ),
    _both("a step on rank 0", 0.6, _MOVED, first=f"y.backward(dy); {_STEP}"),
    _both("a step on rank 1", 0.65, _MOVED, back=f"value.backward(); {_STEP}"),
    _both_otherwise(
        "a smaller step",
        0.6,
        "which are the optimizer's to move",
        first="y.backward(dy); torch.optim.SGD(module.parameters(), lr=0.01).step()",
    ),
    _both("zeroed on rank 0", 0.6, _GONE, first="module.zero_grad(); y.backward(dy)"),
    _both("zeroed on rank 1", 0.65, _GONE, back="module.zero_grad(); value.backward()"),
    _both_otherwise("no gradient asked for", 0.65, "x.requires_grad_() asks for", leaf="pass"),
    _both_otherwise("nothing sent back", 0.65, "that is never sent", answer="pass"),
    _both_otherwise("no loss returned", 0.65, "The last rank returns the loss", value="None"),
    _both_otherwise("graph returned", 0.65, "without its graph", value="value"),
    _both_otherwise("sends not ended", 0.65, "has not ended", answer="dist.isend(x.grad, 0)"),
    _both_otherwise(
        "receives first",
        0.6,
        "Rank 1 sends nothing before it has received",
        send="dy = torch.empty_like(y); dist.irecv(dy, 1).wait()",
        receive="dist.isend(y.detach(), 1).wait()",
    ),
    _both_otherwise(
        "the graph's end was sent",
        0.6,
        "Keep the output that has its graph",
        first="y.detach().backward(dy)",
    ),
]

_run, _run_otherwise = variants(
    "run_stage",
    """
def run_stage(actions, module, send, recv, inputs=None, loss=None{more}):
    microbatches = sum(kind == "F" for kind, _ in actions)
    stash, total = {{}}, 0.0
    {start}
    for kind, m in {order}:
        {first}
        if kind == "F":
            if inputs is not None:
                x = ({input},)
            else:
                x = tuple({received} for value in recv("previous", {asked}))
            output = {forward}
            y = output if isinstance(output, tuple) else (output,)
            if loss is not None:
                y = ({share},)
                total += {total}
            else:
                send("next", {label}, {sent})
            stash[{key}] = x, y
            {forwarded}
        else:
            x, y = stash{take}
            {back}
            if {guard}:
                send("previous", {back_label}, tuple({gradient} for value in x))
    {finish}
    return {result}
""",
    more="",
    start="",
    finish="",
    order="actions",
    first="",
    input="inputs[m]",
    received="value.requires_grad_()",
    asked='("F", m)',
    forward="module(*x)",
    share="loss(m, *y) / microbatches",
    total="y[0].item()",
    label='("F", m)',
    sent="tuple(value.detach() for value in y)",
    key="m",
    forwarded="",
    take=".pop(m)",
    back='torch.autograd.backward(y, recv("next", ("B", m)) if loss is None else None)',
    guard="inputs is None",
    back_label='("B", m)',
    gradient="value.grad",
    result="total if loss is not None else None",
)
_LABEL = (
    "A message is found by its label: an activation carries the ('F', m) that made it, a gradient"
    " the ('B', m) that made it."
)
_OWN = "A backward takes that of its own micro-batch out of the stash, whatever the order."
_TWICE = "if kind == 'F' and inputs is not None: module(inputs[m])"
_ORDER = (
    "The order is that of `actions`, one after another, which is the caller's choice: is a backward"
    " put off, or left out?"
)
_NAIVE = "[(k, m) for k, m in actions if k == 'F'] + [(k, m) for k, m in actions if k == 'B']"
_ASKED = 'recv("next", ("B", m))'
_COME = f"dy = {_ASKED} if loss is None else None"
_DY = f"{_COME}; torch.autograd.backward(y, dy)"
_RUN = [
    _run(
        "sum of losses",
        2.7,
        "That is the sum of the micro-batches' losses: the batch's loss is their mean.",
        total="y[0].item() * microbatches",
    ),
    _run("last loss", 2.7, "That is the last micro-batch's loss.", total="y[0].item() - total"),
    _run(
        "last loss, undivided",
        2.7,
        "That is the last micro-batch's loss.",
        total="y[0].item() * microbatches - total",
    ),
    _run(
        "m times",
        0,
        "It is m times too large: each micro-batch's loss enters the mean with 1/m.",
        share="loss(m, *y)",
    ),
    _run(
        "1/m",
        0,
        "It is 1/m of what it should be: is the loss divided by m twice?",
        share="loss(m, *y) / microbatches**2",
    ),
    _run(
        "half",
        0,
        "It is half of what it should be: the actions are twice as many as the micro-batches.",
        share="loss(m, *y) / len(actions)",
    ),
    _run("first in, first out", 2.2, _OWN, take=".pop(next(iter(stash)))"),
    _run("last in, first out", 0.4, _OWN, key="len(stash)", take=".popitem()[1]"),
    _run(
        "zeroed first",
        0,
        "The gradients that were there before are gone: they are to be added to.",
        start="module.zero_grad()",
    ),
    _run(
        "divided at the end",
        0,
        "What was there before is divided, too: scale each loss, not the gradients.",
        share="loss(m, *y)",
        total="y[0].item() / microbatches",
        finish="for p in module.parameters(): p.grad /= microbatches",
    ),
    _run(
        "last micro-batch dropped",
        0,
        "The last micro-batch is missing.",
        order="[(k, m) for k, m in actions if m < microbatches - 1]",
    ),
    _run(
        "zeroed",
        0,
        "Earlier micro-batches' gradients are gone: gradients should add up.",
        first="module.zero_grad()",
    ),
    _run(
        "backward inside the forward",
        1.1,
        'The backward runs inside of its forward: it is the turn of others until ("B", m) comes.',
        forwarded="if loss is not None: y[0].backward()",
        back=f"torch.autograd.backward(y, {_ASKED}) if loss is None else None",
    ),
    _run("all forwards first", 0.8, _ORDER, order=_NAIVE),
    _run("sorted", 0.4, _ORDER, order="sorted(actions, key=lambda action: action[1])"),
    _run(
        "dy passed on",
        0.4,
        "That is the gradient of this stage's output, as it came; the rank before waits for that of"
        " this stage's input.",
        back=_DY,
        gradient="dy[0] if dy else value.grad",
    ),
    _run(
        "sum of y",
        0.4,
        "backward starts from the sum of the output: what was received as its gradient must enter.",
        back=f"{_ASKED} if loss is None else None; sum(one.sum() for one in y).backward()",
    ),
    _run(
        "forward twice",
        0.4,
        'The module runs once for each ("F", m): batch normalisation changes with each forward.',
        first=_TWICE,
    ),
    _run(
        "the input passed on",
        0.4,
        "That is this stage's input, as it came: the next rank waits for the output.",
        sent="tuple(value.detach() for value in x)",
    ),
    _run(
        "gradient times m",
        0.4,
        "The gradient is multiplied by m on its way: it goes on as it is.",
        gradient="value.grad * microbatches",
    ),
    _run_otherwise(
        "autograd.grad",
        0.4,
        "fills no .grad",
        back="torch.autograd.grad(y, x, recv('next', ('B', m)) if loss is None else None)"
        " if inputs is None or loss is None else y[0].backward()",
    ),
    _run_otherwise("loss of a list", 0, "A list is used", share="loss(m, list(y)) / microbatches"),
    _run_otherwise("dist's send", 0.4, "not by dist", start="send = dist.send"),
    _run(
        "the weights' gradient",
        0.4,
        "That is the gradient of the weights; the rank before waits for that of this stage's input.",
        gradient="module.weight.grad",
    ),
    _run(
        "by the number of the micro-batch",
        0,
        "The loss is divided by m, the number that this micro-batch has; the share is 1 by how"
        " many there are.",
        share="loss(m, *y) / m",
    ),
    _run(
        "by the number of the micro-batch, from 1",
        0,
        "The loss is divided by the number of its micro-batch, from 1; the share is 1 by how many"
        " there are.",
        share="loss(m, *y) / (m + 1)",
    ),
    _run(
        "backwards skipped",
        0,
        'No backward is run: its kind is a capital "B".',
        order='[action for action in actions if action[0] == "F"]',
    ),
    _run(
        "m² times",
        0,
        "It is m² times too large: the loss is multiplied by m, and its share is 1/m.",
        share="loss(m, *y) * microbatches",
    ),
    _run(
        "returns in the loop",
        0,
        "The function returns after its first action: the return stands inside of the loop.",
        finish="    return total if loss is not None else None",
    ),
    _run(
        "returns after a backward",
        0,
        "The function returns after its first backward: the return stands inside of the loop.",
        finish="        return total if loss is not None else None",
    ),
    _run(
        "m is the largest number",
        0,
        "The micro-batches count from 0: they are one more than the largest number.",
        start="microbatches = max(m for _, m in actions)",
    ),
    _run(
        "divided on each rank",
        0.4,
        "The gradient that comes already has the 1/m of the mean: only the last rank divides.",
        back=f"{_COME}; torch.autograd.backward("
        "y, [d / microbatches for d in dy] if loss is None else None)",
    ),
    _run(
        "eval",
        0,
        "The module is put into eval mode: the caller has set its mode, and batch normalisation"
        " works otherwise in it.",
        start="module.eval()",
    ),
    _run(
        "first tensor's gradient alone",
        2.6,
        "backward starts from the first output alone: torch.autograd.backward(outputs, gradients).",
        back=f"{_COME}; y[0].backward(dy[0] if dy else None)",
    ),
    _run(
        "gradients in another order",
        2.6,
        "The gradients come in the order of the outputs that they are of.",
        back=f"{_COME}; torch.autograd.backward(y, dy[::-1] if dy else None)",
    ),
    _run_otherwise(
        "one after another",
        2.3,
        "takes all outputs and all gradients at once",
        back=f"dy = {_ASKED} if loss is None else [None];"
        " [one.backward(d, retain_graph=True) for one, d in zip(y, dy)]",
    ),
    _run_otherwise("a tuple as input", 0, "module(*received)", forward="module(x)"),
    _run_otherwise(
        "a tensor falls apart", 0.4, "falls into its rows", share="loss(m, *output) / microbatches"
    ),
    _run_otherwise("loss without m", 0, "the micro-batch's number", share="loss(*y)"),
    _run_otherwise("loss of a tuple", 0, "loss(m, *outputs)", share="loss(m, y) / microbatches"),
    _run_otherwise("loss as a tensor", 2.7, "a float is asked for", total="y[0].detach()"),
    _run_otherwise(
        "wrong neighbour",
        0.4,
        "from previous to next",
        start="send, really = lambda to, *more: really('next', *more), send",
    ),
    _run("wrong label", 0.4, _LABEL, label='("B", m)'),
    _run("label off by one", 0.4, _LABEL, asked='("F", m + 1)'),
    _run("gradient as F", 0.4, _LABEL, back_label='("F", m)'),
    _run(
        "gradient never sent",
        0.4,
        "The rank before waits for the gradient of what it sent: send it.",
        first='if kind == "B": send = lambda *_: None',
    ),
    _run(
        "all gradients at the end",
        0.4,
        "The rank before waits for the gradient of what it sent: send it.",
        start="late, really = [], send",
        first="if kind == 'B': send = lambda *message: late.append(message)",
        finish="[really(*message) for message in late]",
    ),
    _run(
        "all sends at the end",
        0.4,
        "Messages are held back: the next rank can begin once its input has come.",
        start="late, really = [], send; send = lambda *message: late.append(message)",
        finish="[really(*message) for message in late]",
    ),
    _run(
        "first tensor alone",
        2.6,
        "A stage may pass on several tensors: only the first was sent.",
        sent="(y[0].detach(),)",
    ),
    _run("a step at the end", 2.3, _MOVED, finish=_STEP),
    _run_otherwise(
        "a smaller step at the end",
        2.3,
        "which are the optimizer's to move",
        finish="torch.optim.SGD(module.parameters(), lr=0.01).step()",
    ),
    _run(
        "an input's rows",
        0.4,
        "A tensor that is unpacked falls into its rows: (inputs[m],) is a tuple of one tensor.",
        input="*inputs[m]",
    ),
    _run(
        "by its place in the stash",
        1.2,
        "Micro-batch m is inputs[m], however many are in the stash.",
        input="inputs[len(stash)]",
    ),
    _run(
        "graph kept",
        2.7,
        "A graph is whole after its backward, with all that it saved: without retain_graph=True it"
        " is let go.",
        back=f"{_COME}; torch.autograd.backward(y, dy, retain_graph=True)",
    ),
    _run_otherwise(
        "small letters", 0, "capital letters", order="[(k.lower(), m) for k, m in actions]"
    ),
    _run_otherwise(
        "a loss on all ranks",
        0.4,
        "only there is it asked",
        sent="tuple(value.detach() for value in y) if loss(m, *y) is not None else ()",
    ),
    _run_otherwise("loss as a graph", 2.4, "with its graph", total="y[0]"),
    _run(
        "loss everywhere",
        2.7,
        "Only the last rank knows the loss: the others return None.",
        result="total",
    ),
    _run("first micro-batch always", 0.4, "Micro-batch m is inputs[m].", input="inputs[0]"),
    _run(
        "loss of one output",
        2.6,
        "All outputs of the last stage enter its loss: loss(m, *outputs).",
        share="loss(m, y[0]) / microbatches",
    ),
    _run_otherwise("no requires_grad", 0.4, "ask for it, with requires_grad_()", received="value"),
    _run_otherwise("not detached", 0.4, "detach() the output before it goes", sent="y"),
    _run_otherwise("one tensor", 0.4, "A message is a tuple", sent="y[0].detach()"),
    _run_otherwise(
        "no gradient asked for",
        0.4,
        "starts from the gradient that was received",
        back="torch.autograd.backward(y)",
    ),
    _run_otherwise("stash never freed", 2.7, "1F1B gains nothing", take="[m]"),
    _run_otherwise(
        "input leaves never freed",
        2.7,
        "1F1B gains nothing",
        start="leaves = []",
        forwarded="leaves.append(x)",
    ),
    _run_otherwise(
        "the caller's inputs",
        2.7,
        "nobody waits for their gradients",
        input="inputs[m].requires_grad_()",
    ),
    _run_otherwise("one slot", 0.4, "Is the stash's key the micro-batch", key="0", take="[0]"),
    _run(
        "one input",
        2.6,
        "All that was received enters the module: module(*received).",
        forward="module(x[0])",
    ),
    _run_otherwise(
        "asks for its rank", 0, "which rank it is on", start="first = dist.get_rank() == 0"
    ),
    _run_otherwise(
        "sends back from the first", 0.4, "nobody waits for their gradients", guard="True"
    ),
]

_bubble, _ = variants(
    "measured_bubble",
    """
def measured_bubble(spans, stages):
    from itertools import pairwise
    work = [span for span in spans if {counts}]
    start, end = {start}, {end}
    busy = sum(span.end - span.start for span in work)
    ranks = [[s for s in work if s.rank == rank] for rank in range(stages)]
    return {result}
""",
    counts='span.kind in "FBIW"',
    start="min(span.start for span in work)",
    end="max(span.end for span in work)",
    result="1 - busy / (stages * (end - start))",
)
_OWN_ENDS = "sum(max(s.end for s in r) - min(s.start for s in r) for r in ranks if r)"
_GAPS = "sum(b.start - a.end for r in ranks for a, b in pairwise(sorted(r, key=lambda s: s.start)))"
_OTHERS = "Spans of kind F, B, I and W are work, and no others."
_NO_WORK = "Waiting for a message is counted as work: only forward and backward are."
_BUBBLE = [
    _bubble(
        "rank 0's work",
        0,
        "Only rank 0's spans are counted: all ranks' work is compared with all ranks' time.",
        counts='span.kind in "FBIW" and span.rank == 0',
    ),
    _bubble(
        "rank 0's work in all ranks' time",
        0,
        "Only rank 0's spans are counted: all ranks' work is compared with all ranks' time.",
        result="1 - sum(s.end - s.start for s in ranks[0]) / (stages * (end - start))",
    ),
    _bubble(
        "spans counted",
        0,
        "Spans are counted; a span takes its time, end − start.",
        result="1 - len(work) / (stages * (end - start))",
    ),
    _bubble("waiting is work", 0.9, _NO_WORK, counts="True"),
    _bubble(
        "waiting is work, within the time of work",
        0.9,
        _NO_WORK,
        start="min(span.start for span in spans if span.kind in 'FBIW')",
        end="max(span.end for span in spans if span.kind in 'FBIW')",
        counts="True",
    ),
    _bubble(
        "no split",
        0.9,
        "A backward in two parts, I and W, is work, too.",
        counts='span.kind in "FB"',
    ),
    _bubble(
        "no split, in the time of all work",
        0.9,
        "A backward in two parts, I and W, is work, too.",
        result="1 - sum(s.end - s.start for s in work if s.kind in 'FB') / (stages * (end - start))",
    ),
    _bubble(
        "to the last start",
        0,
        "The time goes to the last end of work, not to its last start.",
        end="max(span.start for span in work)",
    ),
    _bubble(
        "to the end of the last to begin",
        0.75,
        "What begins last need not end last: the last end of all work is meant.",
        end="max(work, key=lambda span: span.start).end",
    ),
    _bubble(
        "one rank alone",
        0,
        "That is the share of rank 0 alone: all ranks' time and all ranks' work count.",
        result="1 - sum(s.end - s.start for s in ranks[0]) / (end - start)",
    ),
    _bubble(
        "the idlest rank",
        0,
        "That is the share of the rank that idles most: all ranks' time counts.",
        result="max(1 - sum(s.end - s.start for s in r) / (end - start) for r in ranks)",
    ),
    _bubble(
        "upside down",
        0,
        "It is upside down: work is a share of the time, not the time of work.",
        result="1 - stages * (end - start) / busy",
    ),
    _bubble("first letter", 0.9, _OTHERS, counts='span.kind[0] in "FBIW"'),
    _bubble("all but waiting", 0.9, _OTHERS, counts='span.kind.lower() != "wait"'),
    _bubble("all but receiving", 0.9, _OTHERS, counts='span.kind != "receive"'),
    _bubble("forward only", 0, "Backwards are work, too.", counts='span.kind == "F"'),
    _bubble(
        "the rest",
        0,
        "That is the share of work; the bubble is the remainder.",
        result="busy / (stages * (end - start))",
    ),
    _bubble(
        "one rank",
        0,
        "It is divided by one rank's time: all ranks together have p times as much.",
        result="1 - busy / (end - start)",
    ),
    _bubble(
        "seconds",
        0,
        "That is idle time in seconds, not as a share.",
        result="stages * (end - start) - busy",
    ),
    _bubble(
        "per cent",
        0,
        "It is in per cent: asked for is a share.",
        result="100 * (1 - busy / (stages * (end - start)))",
    ),
    _bubble(
        "as if sorted",
        0,
        "Spans come in any order: the first and the last of the list are not those in time.",
        start="work[0].start",
        end="work[-1].end",
    ),
    _bubble(
        "the law",
        0,
        "That is the law of lab 14; asked for is what was measured.",
        result="(stages - 1) / (len({{s.microbatch for s in work}}) + stages - 1)".replace(
            "{{", "{"
        ).replace("}}", "}"),
    ),
    _bubble(
        "gaps alone",
        0,
        "That is idle time between a rank's own work; before its first and after its last it waits,"
        " too.",
        result=f"{_GAPS} / (stages * (end - start))",
    ),
    _bubble(
        "ranks that work",
        0.85,
        "A rank that did no work at all was idle all the time, and counts.",
        result="1 - busy / (len([r for r in ranks if r]) * (end - start))",
    ),
    _bubble(
        "p − 1 ranks",
        0,
        "All ranks have p times one rank's time, not p − 1 times.",
        result="1 - busy / ((stages - 1) * (end - start))",
    ),
    _bubble(
        "brackets forgotten",
        0.4,
        "Brackets are missing: p times the time (end − start), not p times its end.",
        result="1 - busy / (stages * end - start)",
    ),
    _bubble(
        "brackets forgotten below",
        0,
        "Brackets are missing: that divides by p alone, and multiplies with the time.",
        result="1 - busy / stages * (end - start)",
    ),
    _bubble(
        "from the first end",
        0,
        "The time begins with the first start of work, not with the first end.",
        start="min(span.end for span in work)",
    ),
    _bubble(
        "spans from end to start",
        0,
        "A span takes end − start; this is start − end, below 0.",
        result="1 + busy / (stages * (end - start))",
    ),
    _bubble(
        "to the first end",
        0,
        "The time goes to the last end of all, not to the first.",
        end="min(span.end for span in work)",
    ),
    _bubble(
        "mean of the spans",
        0,
        "The work is the sum of all spans, not their mean.",
        result="1 - busy / len(work) / (stages * (end - start))",
    ),
    _bubble("from 0", 0.4, "The clock need not begin at 0: subtract the first start.", start="0"),
    _bubble(
        "whole trace",
        0.9,
        "The time is from the first start to the last end of work; a message before or after it is"
        " none.",
        start="min(span.start for span in spans)",
        end="max(span.end for span in spans)",
    ),
    _bubble(
        "of work",
        0,
        "That is idle time compared with work: the share is of all time.",
        result="(stages * (end - start) - busy) / busy",
    ),
    _bubble(
        "ranks by themselves",
        0,
        "Each rank's own first start and last end are taken: waiting at both ends is idle, too.",
        result=f"1 - busy / {_OWN_ENDS}",
    ),
    _bubble(
        "mean of the ranks' own shares",
        0,
        "Each rank's share is of its own time; at both ends it waits, too.",
        result="sum(1 - sum(s.end - s.start for s in r) / (max(s.end for s in r)"
        " - min(s.start for s in r)) for r in ranks if r) / stages",
    ),
    Mistake(
        "measured_bubble",
        "library",
        0,
        "this exercise does without",
        "def measured_bubble(spans, stages):\n"
        "    return schedules.Timeline(tuple(spans), stages).bubble()",
    ),
]

_stash, _stash_otherwise = variants(
    "measured_stash",
    """
def measured_stash(run, parameters):
    weights = {{{place} for p in parameters}}
    {before}
    held, most, total = weakref.WeakSet(), 0, 0
    class Held:
        def __init__(self, tensor): self.tensor = {own}
    def pack(tensor):
        nonlocal most, total
        kept = Held(tensor)
        held.add(kept)
        total += tensor.untyped_storage().nbytes()
        {keep}
        storages = [one.tensor.untyped_storage() for one in held]
        {sizes}
        most = {most}
        return kept
    def unpack(kept):
        {unpack}
        return kept.tensor
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        run()
    return {result}
""",
    place="p.untyped_storage().data_ptr()",
    own="tensor.detach()",
    before="",
    keep="",
    sizes="now = sum({s.data_ptr(): s.nbytes() for s in storages if s.data_ptr() not in weights}"
    ".values())",
    most="max(most, now)",
    unpack="",
    result="most",
)
_EACH = "now = sum(s.nbytes() for s in storages if s.data_ptr() not in weights)"
_AT_END = "sum(one.tensor.untyped_storage().nbytes() for one in held)"
_ONCE = (
    "Memory holds a storage once, whatever is saved of it: compare storages, not tensors, places or"
    " copies."
)
_ADDED = "That is what was saved in all; asked for is the most that is held at one time."
_WEIGHTS = (
    "The weights are counted; they are there all the time and are no stash. Is `parameters` gone"
    " through twice? A generator is empty after once."
)
_STASH = [
    _stash(
        "the weights' places",
        1.2,
        "A slice of a weight is counted: it lies in the weight's storage. Compare storages,"
        " p.untyped_storage().data_ptr().",
        place="p.data_ptr()",
        sizes="now = sum({(s := o.tensor.untyped_storage()).data_ptr(): s.nbytes() for o in held"
        " if o.tensor.data_ptr() not in weights}.values())",
    ),
    _stash("weights", 1.2, _WEIGHTS, before="weights = set()"),
    _stash(
        "parameters asked twice",
        1.2,
        _WEIGHTS,
        before="weights = set()",
        keep="nonlocal weights; weights = {p.untyped_storage().data_ptr() for p in parameters}",
    ),
    _stash("twice", 1.1, _ONCE, sizes=_EACH),
    _stash(
        "by place, not by storage",
        0.8,
        _ONCE,
        sizes="now = sum({o.tensor.data_ptr(): o.tensor.nbytes for o in held"
        " if o.tensor.data_ptr() not in weights}.values())",
    ),
    _stash(
        "a slice's own bytes",
        1.1,
        "A slice keeps its whole storage in memory, once: count storages.",
        sizes="now = sum({o.tensor.untyped_storage().data_ptr(): o.tensor.nbytes for o in held"
        " if o.tensor.untyped_storage().data_ptr() not in weights}.values())",
    ),
    _stash(
        "graph kept",
        1,
        "The object that pack returns has the tensor with its graph, and the graph has the object:"
        " nothing is freed. Keep tensor.detach() in it.",
        own="tensor",
    ),
    _stash_otherwise(
        "unpack returns the object", 0.7, "give back the tensor", unpack="return kept"
    ),
    Mistake(
        "measured_stash",
        "a set of tensors",
        0.6,
        "an object of a class of your own",
        """
def measured_stash(run, parameters):
    weights = {p.untyped_storage().data_ptr() for p in parameters}
    alive, most = weakref.WeakSet(), 0
    def pack(tensor):
        nonlocal most
        alive.add(tensor)
        storages = [one.untyped_storage() for one in alive]
        sizes = {s.data_ptr(): s.nbytes() for s in storages if s.data_ptr() not in weights}
        most = max(most, sum(sizes.values()))
        return tensor
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return most
""",
    ),
    _stash(
        "let go in unpack",
        0.6,
        "unpack is called by a backward; a graph that is dropped has none, and one that is kept has"
        " it twice. Count what somebody still refers to.",
        before="now = 0",
        sizes="nonlocal now; now += tensor.untyped_storage().nbytes()"
        " * (tensor.untyped_storage().data_ptr() not in weights)",
        unpack="nonlocal now; now -= kept.tensor.untyped_storage().nbytes()",
    ),
    _stash("all in all", 0.3, _ADDED, most="max(most, total)"),
    _stash("never let go", 1, _ADDED, before="kept_all = []", keep="kept_all.append(kept)"),
    _stash("copies", 0.8, _ONCE, own="tensor.detach().clone()"),
    _stash(
        "the largest",
        0.3,
        "That is the largest of what is held at a time; asked for is its sum. (Or was nothing else"
        " left to add up, since pack does not return the object that is to be kept?)",
        sizes="now = max([s.nbytes() for s in storages if s.data_ptr() not in weights], default=0)",
    ),
    _stash("KiB", 0, "That is in KiB; asked for are bytes.", result="most / 1024"),
    _stash(
        "sums added up",
        0.3,
        "What is held is added up again with each tensor; asked for is the most at one time.",
        most="most + now",
    ),
    _stash(
        "numbers",
        0,
        "That is the number of values; asked for are bytes.",
        sizes="now = sum({s.data_ptr(): s.nbytes() // {4: 4, 8: 8}[tensor.element_size()]"
        " for s in storages if s.data_ptr() not in weights}.values())",
    ),
    _stash(
        "as if float32",
        1.2,
        "A number need not have 4 bytes: storages tell their bytes.",
        sizes="now = sum({o.tensor.untyped_storage().data_ptr(): 4 *"
        " (o.tensor.untyped_storage().nbytes() // o.tensor.element_size()) for o in held"
        " if o.tensor.untyped_storage().data_ptr() not in weights}.values())",
    ),
    _stash(
        "at the end",
        0,
        "It is 0, as much as is held at the end; asked for is the most that is held at any time."
        " Does `run()` run, with the hooks in place, and is what pack makes among what is counted?",
        result=_AT_END,
    ),
    _stash(
        "the last",
        1,
        "That is what is held at the last save; asked for is the most that is held at any time.",
        most="now",
    ),
    _stash_otherwise(
        "the object is not returned",
        0.3,
        "pack does not return the object",
        unpack="return kept",
        most="max(most, now)\n        return tensor",
    ),
    Mistake(
        "measured_stash",
        "the result's size",
        0,
        "at the end",
        "def measured_stash(run, parameters): run(); return 0",
    ),
]

_speed, _ = variants("speed_up", "def speed_up(p, m): return {formula}")
_SPEED = [
    _speed(
        "share of work",
        0.6,
        "That is one rank's share of work; p ranks work.",
        formula="m / (m + p - 1)",
    ),
    _speed("bubble", 0.6, "That is the bubble.", formula="(p - 1) / (m + p - 1)"),
    _speed(
        "no filling", 0.6, "That is without the time to fill and to drain the row.", formula="p"
    ),
    _speed(
        "upside down",
        0.6,
        "It is upside down: the time of one rank by that of p.",
        formula="(m + p - 1) / (p * m)",
    ),
    _speed(
        "filling",
        0.6,
        "That is how much longer a pipeline takes than one that need not be filled.",
        formula="(m + p - 1) / m",
    ),
    _speed(
        "work and time mixed up",
        0.6,
        "The whole work is p · m and the time m + p − 1: the speed-up is one by the other.",
        formula="p * (m + p - 1) / m",
    ),
    _speed(
        "whole numbers",
        0.6,
        "// cuts off what comes after the point: a speed-up is no whole number.",
        formula="p * m // (m + p - 1)",
    ),
    _speed(
        "p less the bubble",
        0.6,
        "The bubble is a share: p · (1 − bubble), not p − bubble.",
        formula="p - (p - 1) / (m + p - 1)",
    ),
    _speed(
        "m",
        0.6,
        "The micro-batches do not make the ranks more: with very many it is p.",
        formula="m",
    ),
    _speed(
        "p + 1", 0.6, "Filling the row takes p − 1 steps, not p + 1.", formula="p * m / (m + p + 1)"
    ),
    _speed(
        "brackets forgotten",
        0.6,
        "Brackets are missing: that divides by m alone, and adds p − 1.",
        formula="p * m / m + p - 1",
    ),
    _speed(
        "by the bubble",
        0.6,
        "That is 1 by the bubble. The speed-up is p times the share that is work, 1 − bubble.",
        formula="(m + p - 1) / max(p - 1, 1e-9)",
    ),
    _speed(
        "steps taken off",
        0.6,
        "Filling the row takes p − 1 steps more, so they are added: m + p − 1.",
        formula="p * m / max(m - p + 1, 0.5)",
    ),
    _speed("p steps", 0.6, "Filling the row takes p − 1 steps, not p.", formula="p * m / (m + p)"),
    _speed(
        "bubble by m",
        0.6,
        "p · (1 − bubble): the bubble has m + p − 1 below, not m.",
        formula="p * (1 - (p - 1) / m)",
    ),
    Known(
        "speed_up",
        "of 8",
        0.65,
        "That is compared with 8, the number of GPUs; the formula allows less.",
        "share_reached = 4.953 / 8",
    ),
    Known(
        "speed_up",
        "allowed",
        0.65,
        "That is what the formula allows; what share of it is 4.953?",
        "share_reached = 8 * 32 / 39",
    ),
    Known(
        "speed_up",
        "of a longer filling",
        0.65,
        "Filling the row takes p − 1 steps, not p.",
        "share_reached = 4.953 / (8 * 32 / 40)",
    ),
    Known(
        "speed_up",
        "lost",
        0.65,
        "That is the share that is lost; asked for is the one reached.",
        "share_reached = 1 - 4.953 / (8 * 32 / 39)",
    ),
    Known(
        "speed_up",
        "lost, rounded",
        0.65,
        "A quarter is the share that is lost; asked for is the one reached.",
        "share_reached = 0.25",
    ),
    Known(
        "speed_up",
        "one digit",
        0.65,
        "Asked for are two digits.",
        "share_reached = 0.8",
    ),
    Known("speed_up", "over", 0.65, "It is upside down.", "share_reached = 8 * 32 / 39 / 4.953"),
    Known(
        "speed_up",
        "per cent",
        0.65,
        "A share is between 0 and 1.",
        "share_reached = 100 * 4.953 / (8 * 32 / 39)",
    ),
    Mistake("speed_up", "bubble is left", 0.75, "has the bubble in it", 'rest = "bubble"'),
    Mistake("speed_up", "memory", 0.75, "not how fast", 'rest = "memory"'),
    Mistake("speed_up", "recompute", 0.75, "recomputes, too", 'rest = "recompute"'),
]

_chunks, _ = variants(
    "interleaved",
    """
def chunks_of(rank, stages, chunks): return {stages}
def interleaved_bubble(p, m, v): return {bubble}
""",
    stages="[rank + stages * c for c in range(chunks)]",
    bubble="(p - 1) / (v * m + p - 1)",
)
_INTERLEAVED = [
    _chunks(
        "neighbours",
        0.5,
        "Those are stages next to each other: then a rank is done with a micro-batch at once, and"
        " nothing is interleaved.",
        stages="[rank * chunks + c for c in range(chunks)]",
    ),
    _chunks(
        "back and forth",
        0.5,
        "Each round of stages begins on rank 0 again.",
        stages="[c * stages + (rank if c % 2 == 0 else stages - 1 - rank) for c in range(chunks)]",
    ),
    _chunks(
        "chunks for ranks",
        0.5,
        "Chunks of a rank are p stages apart, not v.",
        stages="[rank + chunks * c for c in range(chunks)]",
    ),
    _chunks(
        "from 1",
        0.5,
        "Stages and ranks count from 0: rank 0's first stage is stage 0.",
        stages="[rank + 1 + stages * c for c in range(chunks)]",
    ),
    _chunks(
        "one too many",
        0.5,
        "A rank holds as many stages as `chunks` says; this is one more.",
        stages="[rank + stages * c for c in range(chunks + 1)]",
    ),
    _chunks(
        "from the rank on",
        0.5,
        "Those are stages next to each other: a rank's stages are p apart.",
        stages="[rank + c for c in range(chunks)]",
    ),
    _chunks(
        "brackets forgotten",
        0.25,
        "Brackets are missing: that divides by v · m alone, and adds p − 1.",
        bubble="(p - 1) / (v * m) + p - 1",
    ),
    _chunks(
        "waiting without v above",
        0.25,
        "Above is how long a rank waits, (p − 1) times t/v, and below the same and m times t.",
        bubble="(p - 1) / (m + v * (p - 1))",
    ),
    _chunks(
        "stops at p",
        0.5,
        "There are stages · chunks stages in all; the numbers stop before.",
        stages="list(range(rank, stages, chunks))",
    ),
    _chunks(
        "stops at v",
        0.5,
        "There are stages · chunks stages in all; the numbers stop before.",
        stages="list(range(rank, chunks, stages))",
    ),
    _chunks(
        "neighbours, p apart",
        0.5,
        "Those are stages next to each other: a rank's stages are p apart.",
        stages="[rank * stages + c for c in range(chunks)]",
    ),
    _chunks(
        "waits v times as long",
        0.25,
        "A chunk takes 1/v of the time t, not v times: waiting becomes shorter.",
        bubble="v * (p - 1) / (m + v * (p - 1))",
    ),
    _chunks(
        "longer row, chunk by chunk",
        0.25,
        "The row has p ranks, not v · p: a rank's chunks share its time.",
        bubble="(v * p - 1) / (v * m + v * p - 1)",
    ),
    _chunks(
        "waits twice",
        0.25,
        "Forward and backward of a chunk are both in its time: p − 1 chunks are idle time in all.",
        bubble="2 * (p - 1) / (v * m + 2 * (p - 1))",
    ),
    _chunks(
        "p ranks before",
        0.25,
        "Before the last rank there are p − 1 others, not p.",
        bubble="p / (v * m + p)",
    ),
    _chunks(
        "p in the whole",
        0.25,
        "The whole is work and waiting: p − 1 chunks of waiting, below as above.",
        bubble="(p - 1) / (v * m + p)",
    ),
    _chunks(
        "ranks for micro-batches",
        0.25,
        "The arguments are mixed up: p is the number of ranks, m that of micro-batches.",
        bubble="(m - 1) / (v * p + m - 1)",
    ),
    _chunks(
        "not interleaved",
        0.25,
        "That is without chunks: v does not enter.",
        bubble="(p - 1) / (m + p - 1)",
    ),
    _chunks(
        "by v",
        0.25,
        "The whole time becomes shorter, too: idle time by v, and work as it was.",
        bubble="(p - 1) / (v * (m + p - 1))",
    ),
    _chunks(
        "of work",
        0.25,
        "That is idle time compared with work (as Megatron-LM counts it); the share is of all"
        " time.",
        bubble="(p - 1) / (v * m)",
    ),
    _chunks(
        "longer row",
        0.25,
        "The row has p ranks, not v · p: a rank's chunks share its time.",
        bubble="(v * p - 1) / (m + v * p - 1)",
    ),
    _chunks(
        "the work",
        0.25,
        "That is the share of work; the bubble is the remainder.",
        bubble="v * m / (v * m + p - 1)",
    ),
]

_stale, _ = variants("staleness", "def staleness(rank, stages): return {formula}")
_STALE = [
    _stale(
        "stash",
        0,
        "That is the stash, which counts the micro-batch itself.",
        formula="stages - rank",
    ),
    _stale(
        "the rank",
        0,
        "The way to the end of the row and back grows shorter from rank to rank.",
        formula="rank",
    ),
    _stale(
        "counts up",
        0,
        "It grows with the rank; the first rank waits longest for its backward.",
        formula="rank + 1",
    ),
    _stale("all ranks", 0, "It is not the same on all ranks.", formula="stages"),
    _stale(
        "none",
        0,
        "Other micro-batches' backwards come between: count the Bs between F3 and B3 on rank 0.",
        formula="0",
    ),
    _stale(
        "both ways, the own one too",
        0,
        "Both ways are counted; only what comes back makes an update.",
        formula="2 * (stages - rank) - 1",
    ),
    _stale(
        "one more than the stash",
        0,
        "The stash has p − r micro-batches, and this one is among them.",
        formula="stages - rank + 1",
    ),
    _stale("same", 0, "It is not the same on all ranks.", formula="stages - 1"),
    _stale(
        "one too few",
        0,
        "One too few: count the Bs between F3 and B3 on rank 0 of the written-out schedule.",
        formula="max(0, stages - 2 - rank)",
    ),
    _stale(
        "every other",
        0,
        "Each of the backwards between is followed by an update, not every other one.",
        formula="(stages - 1 - rank) / 2",
    ),
    _stale(
        "both ways",
        0,
        "Both ways are counted; only what comes back makes an update.",
        formula="2 * (stages - 1 - rank)",
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_LAYERS, *_BOTH, *_RUN, *_BUBBLE, *_STASH, *_SPEED, *_INTERLEAVED, *_STALE],
)
