"""Lab 14: what people get wrong about partitions, micro-batches, schedules and their costs."""

from tests.mistakes import Mistake, variants

_partition = variants(
    "partition",
    """
from itertools import combinations, combinations_with_replacement, pairwise
def partition(costs, stages):
    layers = len(costs)
    def worst(cuts):
        return {worst}([sum(costs[a:b]) for a, b in pairwise([0, *cuts, layers])])
    cuts = min({choices}, key=worst)
    {last}
    return {result}
""",
    worst="max",
    choices="combinations(range(1, layers), stages - 1)",
    last="",
    result="[b - a for a, b in pairwise([0, *cuts, layers])]",
)
_GREEDY = """
def partition(costs, stages):
    share, sizes, left = sum(costs) / stages, [], list(costs)
    for stage in range(stages - 1):
        size, room = 1, len(left) - (stages - stage - 1)
        while size < room and {more}:
            size += 1
        sizes.append(size)
        left = left[size:]
    return sizes + [len(left)]
"""
_PARTITION = [
    Mistake(
        "partition",
        "equal counts",
        0.7,
        "the costs differ",
        """
def partition(costs, stages):
    return [len(costs) // stages + (i < len(costs) % stages) for i in range(stages)]
""",
    ),
    Mistake(
        "partition",
        "filled up to the average",
        0.7,
        "cannot know what is to come",
        _GREEDY.format(more="sum(left[:size + 1]) <= share"),
    ),
    Mistake(
        "partition",
        "filled past the average",
        0.7,
        "cannot know what is to come",
        _GREEDY.format(more="sum(left[:size]) < share"),
    ),
    _partition("cuts", 0.3, "one fewer than the stages", result="list(cuts)"),
    _partition("ends", 0.3, "the places of the cuts", result="[*cuts, layers]"),
    _partition(
        "costs of the stages",
        0.3,
        "number of layers of each stage",
        result="[sum(costs[a:b]) for a, b in pairwise([0, *cuts, layers])]",
    ),
    _partition("cheapest stage", 0.7, "by their most expensive stage", worst="min"),
    _partition(
        "least squares",
        0.7,
        "What counts is the most expensive",
        worst="(lambda each: sum(x * x for x in each))",
    ),
    _partition(
        "least range",
        0.7,
        "What counts is the most expensive",
        worst="(lambda each: max(each) - min(each))",
    ),
    _partition(
        "cut before layer 0",
        1.1,
        "needs at least one layer",
        choices="combinations(range(layers), stages - 1)",
    ),
    _partition("empty stages", 0.3, "needs at least one layer", last="cuts = [0] * (stages - 1)"),
    Mistake("partition", "whole way", 1.2, "how long one micro-batch is on its way", "pace = 6"),
    Mistake("partition", "average", 1.2, "The slowest one sets the pace", "pace = 1.5"),
]

_split = variants(
    "split_microbatches",
    """
def split_microbatches(batch, microbatches):
    {guard}
    return {parts}

def accumulate(model, loss, X, y, microbatches):
    total = 0.0
    xs, ys = list(X.chunk(microbatches)), list({ys})
    for inputs, targets in {pairs}:
        {before}
        share = {share}
        share.backward()
        {total}
    return {result}
""",
    guard="""if len(batch) % microbatches:
        raise ValueError("no")""",
    parts="list(batch.split(len(batch) // microbatches))",
    ys="y.chunk(microbatches)",
    pairs="zip(xs, ys)",
    before="",
    share="loss(model(inputs), targets) / microbatches",
    total="total += share.item()",
    result="total",
)
_AT_ONCE = """
def accumulate(model, loss, X, y, microbatches):
    pairs = zip(X.chunk(microbatches), y.chunk(microbatches))
    total = sum(loss(model(a), b) for a, b in pairs) / microbatches
    total.backward()
    return total.item()
"""
_WHOLE = """
def accumulate(model, loss, X, y, microbatches):
    value = loss(model(X), y)
    value.backward()
    return value.item()
"""
_RUNNING = """
def accumulate(model, loss, X, y, microbatches):
    total = 0.0
    for a, b in zip(X.chunk(microbatches), y.chunk(microbatches)):
        total = total + loss(model(a), b) / microbatches
        total.backward(retain_graph=True)
    return total.item()
"""
_ADDED_UP = """
def accumulate(model, loss, X, y, microbatches):
    {first}
    losses = []
    for a, b in zip(X.chunk(microbatches), y.chunk(microbatches)):
        losses.append(loss(model(a), b) / {share})
        losses[-1].backward()
    {last}
    return sum(float(one.detach()) for one in losses) / {mean}
"""
_ZEROED = _ADDED_UP.format(first="model.zero_grad()", share="microbatches", last="", mean=1)
_DIVIDED = _ADDED_UP.format(
    first="",
    share=1,
    last="for p in model.parameters(): p.grad /= microbatches",
    mean="microbatches",
)
_SPLIT = [
    _split("chunk", 1.1, "the mean of the means is not the mean", guard=""),
    _split("parts of m", 1.1, "how many parts", parts="list(batch.split(microbatches))"),
    _split(
        "strided",
        1.1,
        "should be in order",
        parts="[batch[i::microbatches] for i in range(microbatches)]",
    ),
    _split("m times", 0.8, "m times too large", share="loss(model(inputs), targets)"),
    _split(
        "m times, reported right",
        1.0,
        "m times too large",
        share="loss(model(inputs), targets)",
        total="total += share.item() / microbatches",
    ),
    _split(
        "1/m", 0.8, "divided by m twice", share="loss(model(inputs), targets) / microbatches**2"
    ),
    _split(
        "size for number",
        0.8,
        "divide by how many there are",
        share="loss(model(inputs), targets) / len(inputs)",
    ),
    _split(
        "number for size",
        0.4,
        "not how many examples each has",
        pairs="zip(X.split(microbatches), y.split(microbatches))",
    ),
    Mistake("split_microbatches", "running sum", 0.6, "holds the earlier graphs", _RUNNING),
    Mistake("split_microbatches", "zero_grad first", 1.0, "are to be added to", _ZEROED),
    Mistake("split_microbatches", "divided at the end", 1.0, "not the gradients", _DIVIDED),
    _split("zero_grad in the loop", 1.0, "zero_grad in the loop", before="model.zero_grad()"),
    _split("last dropped", 0.4, "The last micro-batch is missing", pairs="zip(xs[:-1], ys)"),
    _split(
        "labels of others",
        0.8,
        "Inputs meet the targets",
        ys="[y[i::microbatches] for i in range(microbatches)]",
    ),
    _split(
        "loss of the notebook",
        0.8,
        "`loss`, which is an argument",
        share="nn.functional.cross_entropy(model(inputs), targets) / microbatches",
    ),
    _split("last loss", 1.3, "the last micro-batch's share", result="share.item()"),
    _split("sum of losses", 1.3, "it should be their mean", result="total * microbatches"),
    Mistake("split_microbatches", "backward once", 1.1, "keeps all graphs until then", _AT_ONCE),
    Mistake("split_microbatches", "whole batch", 1.1, "what micro-batches are to avoid", _WHOLE),
]

_gpipe = variants(
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
        "come last in, first out",
        result="[forwards + backwards[::-1] for rank in range(stages)]",
    ),
    _gpipe(
        "one at a time",
        0.5,
        "only one rank works at a time",
        result="[[a for pair in zip(forwards, backwards) for a in pair] for rank in range(stages)]",
    ),
    _gpipe(
        "forwards last first",
        0.5,
        "micro-batch 0 goes first",
        result="[forwards[::-1] + backwards for rank in range(stages)]",
    ),
    _gpipe(
        "waits written down",
        0,
        "a rank waits by itself",
        result="[[None] * rank + forwards + backwards for rank in range(stages)]",
    ),
    _gpipe(
        "a column for each rank",
        0,
        "one member for each rank",
        result="[[a] * stages for a in forwards + backwards]",
    ),
    _gpipe("off by one", 0, "A micro-batch is left out", count="microbatches - 1"),
    _gpipe("from 1", 0, "count from 0 to m − 1", count="1, microbatches + 1"),
    _gpipe("exchanged", 0, "should have", result="[forwards + backwards for m in order]"),
    _gpipe("forwards only", 0, "never followed by its backward", result="[forwards] * stages"),
    _gpipe("one rank", 0, "should have", result="forwards + backwards"),
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
]

_BUBBLE = [
    Mistake("bubble_fraction", name, score, says, f"def bubble_fraction(p, m): return {formula}")
    for name, score, says, formula in (
        ("of working time", 0.75, "compared with working time", "(p - 1) / m"),
        ("the rest", 0.75, "the share that is not idle", "m / (m + p - 1)"),
        ("exchanged", 0.75, "are exchanged", "(m - 1) / (m + p - 1)"),
        ("p for p − 1", 0.75, "p − 1 stages before the last one", "p / (m + p)"),
        ("m + p", 0.75, "the last starts after p − 1", "(p - 1) / (m + p)"),
        ("one way", 0.75, "not the way back up", "(p - 1) / (2 * m + p - 1)"),
        ("per cent", 0.75, "asked for is a share", "100 * (p - 1) / (m + p - 1)"),
        ("rounded", 0.75, "It is rounded", "round((p - 1) / (m + p - 1), 2)"),
        ("twice", 0.75, "not twice that", "2 * (p - 1) / (m + p - 1)"),
        ("way down, f and 2f", 0.75, "way down alone", "(p - 1) / (3 * m + p - 1)"),
        ("all ranks by one", 0.75, "take all ranks' time", "p * (p - 1) / (m + p - 1)"),
        ("not cut", 0.75, "a batch that is not cut", "(p - 1) / p"),
        ("cut off", 0.75, "// cuts off", "(p - 1) // (m + p - 1)"),
    )
] + [
    Mistake("bubble_fraction", "30", 1.0, "idle time at 10 %", "microbatches_needed = 30"),
    Mistake("bubble_fraction", "26", 1.0, "a little more than 10 %", "microbatches_needed = 26"),
    Mistake("bubble_fraction", "larger", 1.25, "made of f + b", 'slower_backward = "larger"'),
]

_one_f = variants(
    "one_f_one_b_actions",
    """
def one_f_one_b_actions(stages, microbatches):
    schedule = []
    for rank in range(stages):
        warmup = {warmup}
        actions = [("F", m) for m in range(warmup)]
        for m in range(microbatches - warmup):
            actions += {pair}
        {drain}
        schedule.append(actions)
    return schedule
""",
    warmup="min(stages - rank - 1, microbatches)",
    pair='[("F", warmup + m), ("B", m)]',
    drain='actions += [("B", m) for m in range(microbatches - warmup, microbatches)]',
)
_SHORT_DRAIN = 'actions += [("B", m) for m in range(microbatches - warmup, microbatches - 1)]'
_M_PAIRS = """
def one_f_one_b_actions(stages, microbatches):
    schedule = []
    for rank in range(stages):
        warmup = min(stages - rank - 1, microbatches)
        pairs = [(("F", warmup + m), ("B", m)) for m in range(microbatches)]
        schedule.append([("F", m) for m in range(warmup)] + [a for pair in pairs for a in pair])
    return schedule
"""
_ONE_F = [
    _one_f(
        "warm-up too long", 0.5, "one forward too long", warmup="min(stages - rank, microbatches)"
    ),
    _one_f(
        "warm-up too short",
        1.0,
        "one forward too short",
        warmup="max(0, min(stages - rank - 2, microbatches))",
    ),
    _one_f(
        "newest first",
        1.0,
        "newest micro-batch goes back first",
        pair='[("F", warmup + m), ("B", warmup + m)]',
        drain='actions += [("B", m) for m in range(warmup)]',
    ),
    Mistake("one_f_one_b_actions", "m pairs", 0, "are there m − w pairs", _M_PAIRS),
    _one_f("same warm-up", 0.5, "has the same warm-up", warmup="min(stages - 1, microbatches)"),
    _one_f(
        "other way round", 0, "waits for another one to go on", warmup="min(rank, microbatches)"
    ),
    _one_f("no warm-up", 1.0, "There is no warm-up", warmup="0"),
    _one_f("GPipe", 0.5, "all forwards come first", warmup="microbatches"),
    _one_f("no min", 1.7, "there is no micro-batch", warmup="stages - rank - 1"),
    _one_f("no drain", 0, "is the drain complete", drain="pass"),
    _one_f("drain off by one", 0, "is the drain complete", drain=_SHORT_DRAIN),
    _one_f("backward first", 0, "first F, then B", pair='[("B", m), ("F", warmup + m)]'),
    _one_f("forward of m", 0, "goes forward once", pair='[("F", m), ("B", m)]'),
]

_PEAK = [
    Mistake(
        "peak_stash",
        name,
        score,
        says,
        f"def peak_stash(rank, p, m, schedule): return {gpipe} if schedule == 'gpipe' else {other}",
    )
    for name, score, says, gpipe, other in (
        ("p for GPipe", 0.75, "so a rank holds them all", "p", "min(p - rank, m)"),
        ("no min", 0.85, "only m micro-batches to hold", "m", "p - rank"),
        ("warm-up only", 0.5, "One more goes forward", "m", "min(p - rank - 1, m)"),
        ("one too many", 0.5, "and the first forward after it", "m", "min(p - rank + 1, m)"),
        ("less the rank", 0.85, "not that of p and m less r", "m", "min(p, m) - rank"),
        ("reversed", 0.5, "not longer", "m", "min(rank + 1, m)"),
        ("same on all", 0.5, "not the same on all ranks", "m", "min(p, m)"),
        ("rank 1's", 0.5, "That is rank 1's", "m", "min(p - 1, m)"),
        ("a share", 0.25, "a share of the batch", "1", "min(p - rank, m) / m"),
        ("no difference", 0.5, "turns round at once", "m", "m"),
    )
] + [
    Mistake("peak_stash", "time", 0.75, "the bubbles that were printed", 'gain_of_1f1b = "time"'),
    Mistake("peak_stash", "both", 0.75, "One of the two is right", 'gain_of_1f1b = "both"'),
]

_remat = variants(
    "rematerialisation",
    """
class RematerialisedStage:
    def __init__(self, module):
        self.module, self.kept = module, {{}}

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
    key="m",
    keep="x",
    context="torch.no_grad()",
    forward="self.module(x)",
    take="self.kept.pop(m).detach().requires_grad_()",
    first="",
    run="self.module(x).backward(dy)",
    result="x.grad",
)
_LAST_IN = """
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
"""
_REMATERIALISATION = [
    _remat(
        "with a graph", 1.15, "run the module under torch.no_grad()", context="torch.enable_grad()"
    ),
    _remat(
        "detached",
        1.15,
        "only leaves it afterwards",
        context="torch.enable_grad()",
        forward="self.module(x).detach()",
    ),
    _remat(
        "first in, first out",
        0.6,
        "in whatever order",
        take="self.kept.pop(next(iter(self.kept))).detach().requires_grad_()",
    ),
    _remat(
        "never let go",
        1.3,
        "grows with every micro-batch",
        take="self.kept[m].detach().requires_grad_()",
    ),
    _remat("caller's tensor", 1.3, "detach() first", take="self.kept.pop(m).requires_grad_()"),
    _remat("no requires_grad", 1.1, "wants no gradient by itself", take="self.kept.pop(m)"),
    _remat("sum", 0.8, "dy does not enter", run="self.module(x).sum().backward()"),
    _remat("zero_grad", 1.2, "add to what is there", first="self.module.zero_grad()"),
    _remat(
        "one slot",
        0.25,
        "between forward and backward",
        key="0",
        take="self.kept[0].detach().requires_grad_()",
    ),
    _remat("returns dy", 1.1, "wrong", result="torch.zeros_like(x)"),
    _remat(
        "autograd.grad",
        1.2,
        "fills no grad",
        run="dx, = torch.autograd.grad(self.module(x), x, dy)",
        result="dx",
    ),
    _remat(
        "tuple of autograd.grad",
        1.1,
        "one gradient for each input",
        run="y = self.module(x); y.backward(dy, retain_graph=True); x.grad = None",
        result="torch.autograd.grad(y, x, dy)",
    ),
    Mistake("rematerialisation", "a list", 0.25, "is no dict", _LAST_IN),
    Mistake("rematerialisation", "whole", 1.25, "what fraction is it longer", "extra_time = 4 / 3"),
    Mistake(
        "rematerialisation", "of a backward", 1.25, "compared with a backward", "extra_time = 0.5"
    ),
    Mistake("rematerialisation", "of a forward", 1.25, "compared with a forward", "extra_time = 1"),
]

MISTAKES = [
    *_PARTITION,
    *_SPLIT,
    *_GPIPE,
    *_BUBBLE,
    *_ONE_F,
    *_PEAK,
    *_REMATERIALISATION,
]
