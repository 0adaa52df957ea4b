"""Lab 15: what people get wrong about the program of a pipeline's rank, and about measuring it."""

from tests.mistakes import Mistake, variants

_LAYERS = [
    Mistake(
        "stage_layers",
        name,
        score,
        says,
        f"def stage_layers(layers, r, p):\n    n = len(layers) // p\n    return {value}",
    )
    for name, score, says, value in (
        ("all stage 0", 0, "all of them would train the same stage", "layers[:n]"),
        ("all layers", 0, "all of them would train the same stage", "list(layers)"),
        ("every p-th", 0, "Stages are consecutive layers", "layers[r::p]"),
        ("from the end", 0, "not in order", "layers[(p - 1 - r) * n:][: n]"),
        ("rest lost", 0.6, "who has them", "layers[r * n : (r + 1) * n]"),
        (
            "rest to the last",
            0.6,
            "as even as they can be",
            "layers[r * n : (r + 1) * n if r < p - 1 else None]",
        ),
        ("places", 0, "return the layers themselves", "list(range(r * n, (r + 1) * n))"),
        (
            "a module",
            0,
            "numbers in place of layers",
            "nn.Sequential(*layers[r * n : (r + 1) * n])",
        ),
        (
            "rounded up",
            0.6,
            "first L % p one more",
            "layers[-(-len(layers) // p) * r :][: -(-len(layers) // p)]",
        ),
        ("overlap", 0, "begins where the one before it ends", "layers[r * n :][: n + (r < p - 1)]"),
    )
]

_run = variants(
    "run_stage",
    """
def run_stage(actions, module, send, recv, inputs=None, loss=None):
    microbatches = sum(kind == "F" for kind, _ in actions)
    stash, total = {{}}, 0.0
    {start}
    for kind, m in actions:
        {first}
        if kind == "F":
            if inputs is not None:
                x = (inputs[{index}],)
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
        else:
            x, y = stash{take}
            torch.autograd.backward(y, {gradient} if loss is None else None)
            if inputs is None:
                send("previous", ("B", m), tuple({back} for value in x))
    {finish}
    return {result}
""",
    start="",
    finish="",
    first="",
    index="m",
    received="value.requires_grad_()",
    asked='("F", m)',
    forward="module(*x)",
    share="loss(m, *y) / microbatches",
    total="y[0].item()",
    label='("F", m)',
    sent="tuple(value.detach() for value in y)",
    key="m",
    take=".pop(m)",
    gradient='recv("next", ("B", m))',
    back="value.grad",
    result="total if loss is not None else None",
)
_TWICE = 'if kind == "F" and inputs is not None: module(inputs[m])'
_FIRST = '(recv("next", ("B", m))[0],) + (None,) * (len(y) - 1)'
_RUN = [
    _run("m times", 0, "m times too large", share="loss(m, *y)"),
    _run("1/m", 0, "divided by m twice", share="loss(m, *y) / microbatches**2"),
    _run("half", 0, "twice as many as", share="loss(m, *y) / len(actions)"),
    _run(
        "first in, first out",
        2.9,
        "that of its own micro-batch",
        take=".pop(next(iter(stash)))",
    ),
    _run("zeroed first", 3.1, "are to be added to", start="module.zero_grad()"),
    _run(
        "divided at the end",
        3.1,
        "not the gradients",
        share="loss(m, *y)",
        total="y[0].item() / microbatches",
        finish="for p in module.parameters(): p.grad /= microbatches",
    ),
    _run(
        "last micro-batch dropped",
        0,
        "The last micro-batch is missing",
        first="if m == microbatches - 1: continue",
    ),
    _run("zeroed", 0.3, "gradients should add up", first="module.zero_grad()"),
    _run("no requires_grad", 0.4, "ask for it, with requires_grad_()", received="value"),
    _run("not detached", 0.4, "detach() the output before it goes", sent="y"),
    _run("one tensor", 0.4, "A message is a tuple", sent="y[0].detach()"),
    _run("wrong tag", 0.4, "A message is found by its label", label='("B", m)'),
    _run("tag off by one", 0.4, "A message is found by its label", asked='("F", m + 1)'),
    _run(
        "gradient never sent",
        0.4,
        "every message that is waited for must be sent",
        first='if kind == "B": send = lambda *_: None',
    ),
    _run(
        "no gradient asked for", 0.4, "starts from the gradient that was received", gradient="None"
    ),
    _run("stash never freed", 3.1, "1F1B gains nothing", take="[m]"),
    _run("one slot", 0.4, "Is the stash's key the micro-batch", key="0", take="[0]"),
    _run(
        "last in, first out",
        1.4,
        "that of its own micro-batch",
        key="len(stash)",
        take=".popitem()[1]",
    ),
    _run("first tensor alone", 3.1, "the gradient", sent="(y[0].detach(),)", gradient=_FIRST),
    _run("one input", 3.1, "module(*received)", forward="module(x[0])"),
    _run("forward twice", 2.8, "running means", first=_TWICE),
    _run(
        "sum of losses", 2.4, "the batch's loss is their mean", total="y[0].item() * microbatches"
    ),
    _run("loss everywhere", 3.2, "the others return None", result="total"),
    _run("asks for its rank", 0, "which rank it is on", start="first = dist.get_rank() == 0"),
    _run("first micro-batch always", 0, "wrong", index="0"),
    _run("loss of one output", 3.1, "loss(m, *outputs)", share="loss(m, y[0]) / microbatches"),
]

_bubble = variants(
    "measured_bubble",
    """
def measured_bubble(spans, stages):
    {first}
    work = [span for span in spans if {counts}]
    start, end = {start}, {end}
    busy = sum(span.end - span.start for span in work)
    return {result}
""",
    first="",
    counts='span.kind in "FBIW"',
    start="min(span.start for span in work)",
    end="max(span.end for span in work)",
    result="1 - busy / (stages * (end - start))",
)
_BUBBLE = [
    _bubble("waiting is work", 1.0, "Waiting for a message", counts="True"),
    _bubble("forward only", 0, "Backwards are work", counts='span.kind == "F"'),
    _bubble("no split", 1.0, "in two parts, I and W", counts='span.kind in "FB"'),
    _bubble("the rest", 0, "the bubble is the rest", result="busy / (stages * (end - start))"),
    _bubble("one rank", 0, "all ranks together have p times", result="1 - busy / (end - start)"),
    _bubble("seconds", 0, "in seconds", result="stages * (end - start) - busy"),
    _bubble("per cent", 0, "in per cent", result="100 * (1 - busy / (stages * (end - start)))"),
    _bubble("as if sorted", 0, "come in any order", start="work[0].start", end="work[-1].end"),
    _bubble(
        "the law",
        0,
        "the law of lab 14",
        result="(stages - 1) / (len({s.microbatch for s in spans}) + stages - 1)",
    ),
    Mistake(
        "measured_bubble",
        "gaps alone",
        0,
        "before its first and after its last",
        """
from itertools import pairwise
def measured_bubble(spans, stages):
    work = sorted((s for s in spans if s.kind in "FBIW"), key=lambda s: s.start)
    ranks = [[s for s in work if s.rank == rank] for rank in range(stages)]
    gaps = sum(b.start - a.end for one in ranks for a, b in pairwise(one))
    return gaps / (stages * (max(s.end for s in work) - work[0].start))
""",
    ),
    Mistake(
        "measured_bubble",
        "library",
        0,
        "this exercise does without",
        """
def measured_bubble(spans, stages):
    return schedules.Timeline(tuple(spans), stages).bubble()
""",
    ),
    _bubble("all but receiving", 1.0, "and no others", counts='span.kind != "receive"'),
    _bubble(
        "ranks that work",
        1.1,
        "wrong",
        result="1 - busy / (len({s.rank for s in work}) * (end - start))",
    ),
    _bubble("from 0", 0.4, "subtract the first start", start="0"),
    _bubble(
        "whole trace",
        1.0,
        "from the first start to the last end of work",
        start="min(span.start for span in spans)",
        end="max(span.end for span in spans)",
    ),
    _bubble(
        "of work",
        0,
        "compared with work",
        result="(stages * (end - start) - busy) / busy",
    ),
    Mistake(
        "measured_bubble",
        "ranks by themselves",
        0,
        "waiting at both ends is idle",
        """
def measured_bubble(spans, stages):
    whole = busy = 0
    for rank in range(stages):
        work = [s for s in spans if s.rank == rank and s.kind in "FBIW"]
        whole += max(s.end for s in work) - min(s.start for s in work)
        busy += sum(s.end - s.start for s in work)
    return 1 - busy / whole
""",
    ),
]

_stash = variants(
    "measured_stash",
    """
import weakref
def measured_stash(run, parameters):
    weights = {{p.untyped_storage().data_ptr() for p in parameters}}
    {before}
    held, most, total = weakref.WeakSet(), 0, 0
    class Held:
        def __init__(self, tensor): self.tensor = tensor.detach()
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
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        run()
    return {result}
""",
    before="",
    keep="",
    sizes="now = sum({s.data_ptr(): s.nbytes() for s in storages if s.data_ptr() not in weights}"
    ".values())",
    most="max(most, now)",
    result="most",
)
_EACH = "now = sum(s.nbytes() for s in storages if s.data_ptr() not in weights)"
_AT_END = "sum(one.tensor.untyped_storage().nbytes() for one in held)"
_STASH = [
    _stash("all in all", 0.4, "what was saved in all", result="total"),
    _stash(
        "never let go",
        1.2,
        "what was saved in all",
        before="kept_all = []",
        keep="kept_all.append(kept)",
    ),
    _stash("weights", 1.6, "The weights are counted", before="weights = set()"),
    _stash("twice", 1.6, "memory holds it once", sizes=_EACH),
    _stash(
        "by place, not by storage",
        1.6,
        "compare storages",
        sizes="now = sum({o.tensor.data_ptr(): o.tensor.nbytes for o in held"
        " if o.tensor.data_ptr() not in weights}.values())",
    ),
    _stash(
        "parameters asked twice",
        1.6,
        "empty after once",
        before="weights = set()",
        keep="nonlocal weights; weights = {p.untyped_storage().data_ptr() for p in parameters}",
    ),
    _stash(
        "a slice's own bytes",
        1.6,
        "keeps its whole storage",
        sizes="now = sum({o.tensor.untyped_storage().data_ptr(): o.tensor.nbytes for o in held"
        " if o.tensor.untyped_storage().data_ptr() not in weights}.values())",
    ),
    _stash("numbers", 0, "asked for are bytes", sizes=f"{_EACH} // 4"),
    _stash("at the end", 0, "wrong", result=_AT_END),
    _stash("the last", 1.2, "the most that is held at any time", most="now"),
    Mistake(
        "measured_stash",
        "the result's size",
        0,
        "wrong",
        "def measured_stash(run, weights): run(); return 0",
    ),
]

_SPEED = [
    Mistake("speed_up", name, 0.6, says, f"def speed_up(p, m): return {formula}")
    for name, says, formula in (
        ("share of work", "one rank's share of work", "m / (m + p - 1)"),
        ("bubble", "That is the bubble", "(p - 1) / (m + p - 1)"),
        ("no filling", "to fill and to drain", "p"),
        ("upside down", "upside down", "(m + p - 1) / (p * m)"),
        ("filling", "need not be filled", "(m + p - 1) / m"),
        ("p steps", "takes p − 1 steps", "p * m / (m + p)"),
    )
] + [
    Mistake("speed_up", "of 8", 0.65, "the formula allows less", "share_reached = 0.62"),
    Mistake("speed_up", "allowed", 0.65, "what share of it", "share_reached = 6.564"),
    Mistake("speed_up", "bubble is the rest", 0.75, "has the bubble in it", 'rest = "bubble"'),
    Mistake("speed_up", "memory", 0.75, "not how fast", 'rest = "memory"'),
]

_STALE = [
    Mistake("staleness", name, 0.3, says, f"def staleness(rank, stages): return {formula}")
    for name, says, formula in (
        ("stash", "counts the micro-batch itself", "stages - rank"),
        ("the rank", "grows shorter from rank to rank", "rank"),
        ("same", "not the same on all ranks", "stages - 1"),
        ("one too few", "One too few", "max(0, stages - 2 - rank)"),
        ("every other", "not every other one", "(stages - 1 - rank) / 2"),
        ("both ways", "Both ways are counted", "2 * (stages - 1 - rank)"),
    )
] + [
    Mistake("staleness", "last", 0.7, "follows its forward at once", 'stalest = "last"'),
    Mistake("staleness", "all", 0.7, "follows its forward at once", 'stalest = "all"'),
]

MISTAKES = [*_LAYERS, *_RUN, *_BUBBLE, *_STASH, *_SPEED, *_STALE]
