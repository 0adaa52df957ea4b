"""Checks of lab 13: layers, a vocabulary and Adam's state in p parts, memory and bytes.

The judge carries what the ranks do together, and adds a secret amount to all that a rank gets. So
results must be made of what was delivered, and what a rank gives must be its own part; both are
compared with those of the right answer, for which the same secrets are drawn.
"""

from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import torch

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import model_parallel as right
from grading.checks.answers.model_parallel import MISTAKES
from grading.checks.carrier import Network
from grading.checks.limits import limits
from utils.ranks.collectives import KINDS, combine

WORDS = {
    "sum": "all_reduce",
    "max": "all_reduce(MAX)",
    "scatter": "reduce_scatter_tensor",
    "gather": "all_gather_into_tensor",
}


EXERCISE = {  # of a function whose exercise has another name
    "copy_to_ranks": "copy_and_reduce",
    "reduce_from_ranks": "copy_and_reduce",
    "ColumnLinear": "parallel_linear",
    "RowLinear": "parallel_linear",
    "ShardedAdam": "shard_optimizer",
}


class Collected(Network):
    """Carries collectives: what every rank gets has secret amounts added, drawn in their order.

    calls: (phase, kind, what each rank gave); got: for each call, what each rank got.
    """

    def __init__(self, p, name, given, seed, length=None):
        super().__init__(p, name, given)
        self._length = length  # what lies beyond is no more than padding, and gets no secret
        self.calls, self.got = [], []
        self._secrets = torch.Generator().manual_seed(seed)
        self._kinds, self._phases = ["sum"] * p, [""] * p

    def hears(self, rank, value):
        known = type(value) is tuple and len(value) == 2 and all(type(one) is str for one in value)
        expect.that(known, "The ranks' report has no form that it can have.", kind="type")
        about, word = value
        if about == "phase":
            self._phases[rank] = word
        else:
            expect.that(word in KINDS, "There is no such collective.", kind="type")
            self._kinds[rank] = word

    def _reduce(self, request, values, _):
        request.values, rank = values, request.rank
        mine = sum(any(one.rank == rank for one, _ in parts) for parts in self._reduces)
        if mine == len(self._reduces):
            self._reduces.append([])
        parts: Any = self._reduces[mine]
        parts.append((request, self._kinds[rank]))
        if len(parts) < self.p:
            return
        parts.sort(key=lambda one: one[0].rank)
        forms = [f"{WORDS[k]} {tuple(one.values.shape)}" for one, k in parts]
        dtypes = {one.values.dtype for one, _ in parts}
        if len(set(forms)) > 1 or len(dtypes) > 1:
            raise self.deadlock("By rank: " + "; ".join(forms) + ".")
        kind, given = parts[0][1], [one.values for one, _ in parts]
        self.calls.append((self._phases[0], kind, given))
        self.got.append(self._delivered(kind, given))
        for (one, _), values in zip(parts, self.got[-1], strict=True):
            self._complete(one, one.posted, values=values)

    def _delivered(self, kind, given):
        secret = torch.rand(given[0].numel(), generator=self._secrets, dtype=torch.float64) + 0.5
        secret[self._length or len(secret) :] = 0
        size, each = given[0].numel() // self.p, []
        for rank, values in enumerate(combine(kind, given)):
            mine = secret.clone()
            if kind == "gather":  # a rank's own piece is as it gave it
                mine[rank * size : (rank + 1) * size] = 0
            each.append(values + mine.to(values.dtype).view(values.shape))
        return each

    def deadlock(self, detail):
        why = (
            "All ranks take part in every collective, with tensors of the same shape and in the same"
            " order: none may leave one out."
        )
        return Fault(
            "exception",
            f"`{self.name}` never ends: not all ranks do the same together.",
            why,
            detail=detail,
            given=self.given,
        )

    @property
    def signature(self):
        return [(phase, kind, given[0].numel()) for phase, kind, given in self.calls]


# By student, function and table: the diagnosis found, "" where there was none.
_FOUND: WeakKeyDictionary[Any, dict[tuple[str, Any], str]] = WeakKeyDictionary()


class Case:
    """One setting that the student's ranks, the right answer's and known mistakes' run in.

    begin: the probe that begins them; p: how many; setting: its arguments.
    """

    def __init__(self, rng, name, begin, p, setting, given, length=None):
        self.name, self.begin, self.p, self.setting = name, begin, p, setting
        self.length = length
        self.seed = int(rng.integers(2**31))
        self.given = " ".join(filter(None, (f"For p = {p} ranks.", given)))

    def run(self, who):
        network = Collected(self.p, self.name, self.given, self.seed, self.length)
        network.who = who
        network.run(self.begin(who, self.p, *self.setting))
        return network

    def judged(self, student, keys, raised=(), also=()):
        """The student's collectives, and what it returned under `keys`, are right.

        also: right names in the place of some others, which are as right.
        """
        with expect.explained(*raised, *right.RAISED):
            mine = self.run(student)
        wanted = self.run(right)
        for names in also:
            if not _same_calls(mine, wanted):
                other = self.run(SimpleNamespace(**{**vars(right), **names}))
                wanted = other if _same_calls(mine, other) else wanted
        self._signature(mine, wanted)
        state = [key for key in keys if key in ("self.m", "self.v")]
        for rank in range(self.p):  # first, since what is given follows from it
            self._results(mine, wanted.ended[rank], rank, state)
        outputs = [key for key in keys if key.startswith("the output")]
        calls = list(zip(mine.calls, wanted.calls, strict=True))
        forward = [one for one in calls if one[0][0] != "backward"]
        for these, shown in ((forward, outputs), (calls, keys)):
            if len(calls) <= 2 or these is calls:  # of one step an output is told before gradients
                for at, ((phase, kind, given), (_, _, theirs)) in enumerate(these):
                    later = (phase, kind) in [one[:2] for one, _ in these[:at]]
                    self._given(mine, phase, kind, given, theirs, later)
                for rank in range(self.p):
                    self._results(mine, wanted.ended[rank], rank, shown)

    def why(self, mine, table=MISTAKES):
        """The diagnosis of the known mistake that does all as the student's does, or nothing.

        Each runs on all ranks, so all are tried for the first part that fails, and for the later
        ones only what was found then.
        """
        found = _FOUND.setdefault(mine.who, {})
        if found.get((self.name, table)) == "":
            return ""
        says = (found.get((self.name, table), ""),)
        known = table.values(EXERCISE.get(self.name, self.name), self.run, self.name, says)
        why = next((says for says, other in known if _alike(mine, other)), "")
        found.setdefault((self.name, table), why)
        return why

    def _signature(self, mine, wanted):
        if mine.signature != wanted.signature:
            texts = [_listed(one.signature) for one in (wanted, mine)]
            raise Fault(
                "value",
                "The ranks do not do together what they should.",
                self.why(mine) or _generic(mine.signature, wanted.signature),
                detail=f"expected {texts[0]}; yours {texts[1]}.",
                given=self.given,
            )

    def _given(self, mine, phase, kind, given, theirs, later):
        """Each rank gives to a collective what it should. later: it did so in the first step."""
        for rank, (one, other) in enumerate(zip(given, theirs, strict=True)):
            expect.that(
                one.dtype == other.dtype,
                f"What is given to {WORDS[kind]} has another dtype than the numbers.",
                given=self.given,
                detail=f"expected {other.dtype}, yours {one.dtype}.",
                kind="dtype",
            )
            if not _near(one.flatten(), other.flatten()):
                raise Fault(
                    "value",
                    f"What a rank gives to {WORDS[kind]} is not its own part.",
                    self.why(mine) or _gives(self.name, kind, later),
                    detail=f"In {phase}, rank {rank}: expected {expect.show(other.flatten())},"
                    f" yours {expect.show(one.flatten())}.",
                    given=self.given,
                )

    def _results(self, mine, wanted, rank, keys):
        got, given = mine.ended[rank], " ".join((self.given, f"On rank {rank}."))
        expect.that(
            type(got) is dict and list(got) == list(wanted), "There is no report.", kind="type"
        )
        for key in keys:
            fault = None
            if type(got[key]) is str and type(wanted[key]) is not str:
                fault = Fault("value", f"There is no such thing: {key}.", given=given)
            else:
                try:
                    expect.close(got[key], wanted[key], what=key, given=given, rtol=1e-7, atol=1e-9)
                except Fault as caught:
                    fault = caught
            if fault is not None:
                cut = type(got[key]) is str and "gradient" in key
                says = right.CUT if cut else right.RESULTS.get((self.name, key), "")
                fault.diagnosis = self.why(mine) or says
                raise fault


def _alike(one, other):
    if len(one.ended) != len(other.ended) or not _same_calls(one, other):
        return False
    return all(_same(one.ended[rank], other.ended[rank]) for rank in one.ended)


def _same_calls(one, other):
    return one.signature == other.signature and all(
        _near(a.flatten(), b.flatten())
        for (_, _, mine), (_, _, theirs) in zip(one.calls, other.calls, strict=True)
        for a, b in zip(mine, theirs, strict=True)
    )


def _same(one, other):
    if type(one) is dict and type(other) is dict:
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) is torch.Tensor and type(other) is torch.Tensor:
        return _near(one, other)
    return type(one) is type(other) and type(one) in (str, int) and one == other


def _near(one, other):
    same = one.shape == other.shape and one.dtype == other.dtype
    return same and torch.allclose(one, other, rtol=1e-7, atol=1e-9, equal_nan=True)


def _listed(signature):
    steps = [f"the {phase}'s {WORDS[kind]} of {n} numbers" for phase, kind, n in signature]
    return ", ".join(steps) if steps else "no collective at all"


def _gives(name, kind, later):
    keys = [(name, "later")] * later + [(name, kind), name]
    return next((right.GIVES[key] for key in keys if key in right.GIVES), "")


def _generic(mine, wanted):
    """What is wrong with the collectives, where no mistake is known."""
    if not mine:
        return "The ranks send each other nothing: each computes by itself."
    for phase in dict.fromkeys(phase for phase, *_ in wanted + mine):
        have = [one for one in mine if one[0] == phase]
        want = [one for one in wanted if one[0] == phase]
        if len(have) > len(want):
            return f"In {phase} there are more collectives than needed: which one is for nothing?"
        if len(have) < len(want):
            return f"In {phase} a collective is missing: there the ranks work each on its own."
        if [kind for _, kind, _ in have] != [kind for _, kind, _ in want]:
            return f"In {phase} another collective is asked for."
        if have != want:
            return f"In {phase} a tensor of another size travels."
    return "They are the right ones, in another order."


def _draw(rng, *shape):
    return torch.tensor(rng.normal(size=shape))


# 1


@probe
def through(learner, p, name, x, c, u, form):
    """Forward and backward through one of the two functions, beside a tensor u that shares dy."""
    from utils.ranks.carried import Carried
    from utils.ranks.collectives import Collectives

    def job(dist):
        dist, rank = Collectives(dist), dist.get_rank()
        start, side = x[rank].clone().requires_grad_(), u[rank].clone().requires_grad_()
        beside = 2 * side  # made before y, so that backward comes to it after y
        dist.phase("forward")
        columns = form == "transposed"  # laid out column after column, as dy then is, too
        y = getattr(learner, name)(dist, (1 * start.T.contiguous()).T if columns else 1 * start)
        value = y.detach().clone()
        dist.phase("backward")
        if form == "transposed":
            ((beside + y).T * c[rank].T.contiguous()).sum().backward()
        elif form == "expanded":
            (c[rank][0, 0] * (beside + y).sum()).backward()
        else:
            ((beside + y) * c[rank]).sum().backward()
        none = lambda one: "none" if one is None else one  # noqa: E731
        return {
            "the output": value,
            "the gradient of x": none(start.grad),
            "the gradient of what was added to the output": none(side.grad),
        }

    ranks = Carried(job, p)
    return ranks, ranks.report


@probe
def input_after(learner, p, name, x):
    """What the argument is after the call."""
    from utils.ranks.carried import Carried
    from utils.ranks.collectives import Collectives

    def job(dist):
        start = x[dist.get_rank()].clone()
        dist = Collectives(dist)
        dist.phase("forward")
        y = getattr(learner, name)(dist, start)
        return {"the output": y.detach(), "x after the call": start}

    ranks = Carried(job, p)
    return ranks, ranks.report


FORMS = {
    "plain": "Its gradients are plain.",
    "transposed": "Its gradients are transposed.",
    "expanded": "Its gradients are expanded.",
}


@exercise("copy_and_reduce", points=1.25)
def copy_and_reduce(student, rng):
    keys = "the output", "the gradient of x"

    def check(name, p, form, *more):
        shape = tuple(rng.integers(2, 5, size=2).tolist())
        x = [_draw(rng, *shape) for _ in range(p)]
        if name == "copy_to_ranks":
            x = x[:1] * p
        c, u = ([_draw(rng, *shape) for _ in range(p)] for _ in range(2))
        given = " ".join((f"The shape of x is {shape}.", FORMS[form]))
        Case(rng, name, through, p, (name, x, c, u, form), given).judged(student, [*keys, *more])

    with part("copy_to_ranks: x goes on as it is, the gradients are summed", points=0.4):
        for p in (2, 4):
            check("copy_to_ranks", p, "plain")
    with part("reduce_from_ranks: the sum goes on, its gradient comes back as it is", points=0.4):
        for p in (2, 4, 3):
            check("reduce_from_ranks", p, "plain")
        x = [_draw(rng, 3) for _ in range(2)]
        case = Case(rng, "reduce_from_ranks", input_after, 2, ("reduce_from_ranks", x), "")
        case.judged(student, ["the output", "x after the call"])
    with part("whatever the gradient's layout, and whoever else uses it", points=0.45):
        for form in ("plain", "transposed", "expanded"):
            check("copy_to_ranks", 3, form, "the gradient of what was added to the output")
            check("reduce_from_ranks", 2, form, "the gradient of what was added to the output")


# 2


@probe
def layer_steps(learner, p, name, weight, bias, x, target, steps):
    """Steps of SGD with momentum of one layer in p parts."""
    import torch

    from utils.ranks.carried import Carried
    from utils.ranks.collectives import Collectives

    def job(dist):
        dist, rank = Collectives(dist), dist.get_rank()
        whole = weight.clone(), bias.clone()
        layer = getattr(learner, name)(dist, *whole)
        moving = {one: torch.zeros_like(one) for one in layer.parameters()}
        report = {}
        for step in range(steps):
            start = x[rank][step].clone().requires_grad_()
            dist.phase("forward")
            y = layer(start)
            report["the output"] = y.detach().clone()
            dist.phase("backward")
            layer.zero_grad()
            (0.5 * (y - target[rank][step]) ** 2).sum().backward()
            report["the gradient of x"] = "none" if start.grad is None else start.grad
            with torch.no_grad():
                for one, before in moving.items():
                    if one.grad is not None:
                        one -= 0.1 * before.mul_(0.9).add_(one.grad)
        own = dict(layer.named_parameters())
        for key in ("weight", "bias"):
            report[f"self.{key}"] = own[key].detach() if key in own else "none"
        report["the number of parameters"] = sum(one.numel() for one in own.values())
        report["the whole weight afterwards"], report["the whole bias afterwards"] = whole
        return report

    ranks = Carried(job, p)
    return ranks, ranks.report


@exercise(
    "parallel_linear",
    points=2,
    stands_on=("copy_and_reduce",),
    forbids={
        name: ["torch.distributed.tensor", "torch.distributed.nn"]
        for name in ("ColumnLinear", "RowLinear")
    },
)
def parallel_linear(student, rng):
    def check(name, p, inputs, outputs, steps, *keys):
        weight, bias = _draw(rng, outputs, inputs), _draw(rng, outputs)
        x, target = _draw(rng, steps, 3, inputs), _draw(rng, steps, 3, outputs)
        if name == "ColumnLinear":
            xs, targets = [x] * p, list(target.tensor_split(p, dim=2))
        else:
            xs, targets = list(x.tensor_split(p, dim=2)), [target] * p
        setting = name, weight, bias, xs, targets, steps
        given = f"3 examples, {inputs} inputs and {outputs} outputs; {steps} steps of SGD."
        case = Case(rng, name, layer_steps, p, setting, given)
        case.judged(student, keys or ("the output", "the gradient of x"), raised=right.LAYERS)

    with part("ColumnLinear: this rank's outputs, and the input's whole gradient", points=0.5):
        check("ColumnLinear", 2, 3, 4, 1)
        check("ColumnLinear", 4, 3, 8, 1)
    with part("RowLinear: the whole output, its bias once", points=0.5):
        check("RowLinear", 2, 4, 3, 1)
        check("RowLinear", 4, 8, 3, 1)
    with part("sizes that p does not divide", points=0.4):
        check("ColumnLinear", 3, 2, 7, 1)
        check("RowLinear", 3, 7, 2, 1)
        check("ColumnLinear", 4, 2, 6, 1)
        check("RowLinear", 4, 5, 2, 1)
    with part("after three steps the weights are those of one process", points=0.6):
        keys = "self.weight", "self.bias"
        whole = "the whole weight afterwards", "the whole bias afterwards"
        for name, p, inputs, outputs in (("ColumnLinear", 2, 3, 5), ("RowLinear", 3, 4, 2)):
            check(name, p, inputs, outputs, 3, *keys, *whole, "the number of parameters")


# 3


@probe
def block_steps(learner, p, weights, x, target, steps):
    """Two steps of SGD of a block in p parts; what it does before each."""
    import torch

    from utils.ranks.carried import Carried
    from utils.ranks.collectives import Collectives

    def module(kind, name):
        made = kind(weights[f"{name}.weight"].shape)
        made.load_state_dict({key: weights[f"{name}.{key}"] for key in ("weight", "bias")})
        return made

    linear = lambda shape: torch.nn.Linear(shape[1], shape[0], dtype=torch.float64)  # noqa: E731
    normal = lambda shape: torch.nn.LayerNorm(shape[0], dtype=torch.float64)  # noqa: E731

    def job(dist):
        dist = Collectives(dist)
        whole = module(normal, "norm"), module(linear, "first"), module(linear, "second")
        block, report = learner.parallel_block(dist, *whole), {}
        for step in steps:
            start = x.clone().requires_grad_()
            dist.phase("forward")
            y = block(start)
            dist.phase("backward")
            block.zero_grad()
            (0.5 * (y - target) ** 2).sum().backward()
            with torch.no_grad():
                for one in block.parameters():
                    if one.grad is not None:
                        one -= 0.1 * one.grad
            report[f"the output {step}"] = y.detach()
            report[f"the gradient of x {step}"] = "none" if start.grad is None else start.grad
        return report

    ranks = Carried(job, p)
    return ranks, ranks.report


@exercise("parallel_block", points=1, stands_on=("copy_and_reduce", "parallel_linear"))
def parallel_block(student, rng):
    def check(p, d, h, *steps):
        shapes = {"norm.weight": (d,), "norm.bias": (d,), "first.weight": (h, d)}
        shapes |= {"first.bias": (h,), "second.weight": (d, h), "second.bias": (d,)}
        weights = {name: _draw(rng, *shape) for name, shape in shapes.items()}
        setting = weights, _draw(rng, 3, d), _draw(rng, 3, d), list(steps)
        given = f"The sizes are d = {d} and h = {h}."
        case = Case(rng, "parallel_block", block_steps, p, setting, given)
        keys = [
            key for step in steps for key in (f"the output {step}", f"the gradient of x {step}")
        ]
        case.judged(student, keys, raised=right.BLOCK)

    with part("output and gradient, one all-reduce forward and one backward", points=0.4):
        check(2, 4, 6, "before a step")
        check(4, 3, 8, "before a step")
    with part("and after a step of all its parameters", points=0.3):
        check(3, 4, 7, "before a step", "after a step")
    with part("where GELU may stand", points=0.3):
        expect.choice(student, "gelu_place", "b", right.GELU_REPLIES)


# 4


@probe
def looked_up(learner, p, tokens, weights, firsts, c):
    from utils.ranks.carried import Carried
    from utils.ranks.collectives import Collectives

    def job(dist):
        dist, rank = Collectives(dist), dist.get_rank()
        own, mine = weights[rank].clone().requires_grad_(), tokens.clone()
        dist.phase("forward")
        rows = learner.parallel_embedding(dist, mine, own, firsts[rank])
        value = rows.detach().clone()
        dist.phase("backward")
        (rows * c).sum().backward()
        gradient = "none" if own.grad is None else own.grad
        return {
            "the rows": value,
            "the gradient of the weight": gradient,
            "tokens afterwards": mine,
        }

    ranks = Carried(job, p)
    return ranks, ranks.report


@exercise(
    "parallel_embedding",
    points=0.75,
    stands_on=("copy_and_reduce",),
)
def parallel_embedding(student, rng):
    def check(p, vocabulary, *shape):
        weights = list(_draw(rng, vocabulary, 2).tensor_split(p))
        firsts = [sum(len(one) for one in weights[:rank]) for rank in range(p)]
        ends = [*firsts, *(first - 1 for first in firsts[1:]), vocabulary - 1]
        count = int(torch.tensor(shape).prod())
        more = rng.integers(vocabulary, size=max(0, count - len(ends))).tolist()
        tokens = torch.tensor([*ends, *more])[torch.tensor(rng.permutation(count))]
        tokens = tokens[:count].reshape(shape)
        setting = tokens, weights, firsts, _draw(rng, *shape, 2)
        given = f"{vocabulary} words, and tokens of shape {shape}."
        case = Case(rng, "parallel_embedding", looked_up, p, setting, given)
        keys = "the rows", "the gradient of the weight", "tokens afterwards"
        case.judged(student, keys, raised=right.INDEX)

    with part("every token's row on every rank, from one all-reduce", points=0.4):
        check(2, 6, 8)
        check(4, 9, 10)
        check(4, 5, 8)  # of a single row each, but the first
    with part("tokens of any shape", points=0.35):
        check(3, 7, 4, 3)
        check(2, 5, 2, 2, 3)


# 5


@probe
def entropy(learner, p, logits, targets, firsts, scale):
    from utils.ranks.carried import Carried
    from utils.ranks.collectives import Collectives

    def job(dist):
        dist, rank = Collectives(dist), dist.get_rank()
        own, given = logits[rank].clone().requires_grad_(), targets.clone()
        dist.phase("forward")
        loss = learner.parallel_cross_entropy(dist, 1 * own, given, firsts[rank])
        value = loss.detach().clone()
        dist.phase("backward")
        (scale * loss).backward()
        gradient = "none" if own.grad is None else own.grad
        return {"the loss": value, "the gradient": gradient, "targets afterwards": given}

    ranks = Carried(job, p)
    return ranks, ranks.report


class Entropy(Case):
    """A vocabulary in p parts. The sums may travel in any order, and together."""

    def __init__(self, rng, p, vocabulary, n, size=1.0, around=0.0):
        whole = around + size * _draw(rng, n, vocabulary)
        self.logits = list(whole.tensor_split(p, dim=1))
        self.firsts = [sum(one.shape[1] for one in self.logits[:rank]) for rank in range(p)]
        ends = [*self.firsts, *(first - 1 for first in self.firsts[1:]), vocabulary - 1]
        more = rng.integers(vocabulary, size=n).tolist()
        self.targets = torch.tensor([*ends, *more][:n])
        self.scale = float(rng.uniform(0.5, 2))
        setting = self.logits, self.targets, self.firsts, self.scale
        given = f"{n} examples and {vocabulary} words; logits are {around:g} ± {size:g}."
        super().__init__(rng, "parallel_cross_entropy", entropy, p, setting, given)
        self.n = n

    def check(self, student, keys):
        with expect.explained(*right.ENTROPY, *right.RAISED):
            mine = self.run(student)
        wanted = self._follows(mine)
        for rank in range(self.p):
            self._results(mine, wanted[rank], rank, [*keys, "targets afterwards"])

    def why(self, mine, table=MISTAKES):
        together = any(given[0].numel() == 2 * self.n for _, _, given in mine.calls)
        other = right.STACKED if together else right.SWAPPED
        return super().why(mine) or super().why(mine, other)

    def _follows(self, mine):
        """What the loss and each rank's gradient must be, given what was delivered."""
        late = [kind for phase, kind, _ in mine.calls if phase != "forward"]
        self._that(not late, mine, "There is a collective in backward: none is needed.")
        kinds = [kind for _, kind, _ in mine.calls]
        sent = sum(given[0].numel() for _, _, given in mine.calls)
        least = (
            "N numbers for each of three: the highest logit, the sum of exponentials, the target's"
            " logit."
        )
        self._that(sent <= 3 * self.n, mine, f"That is more than needed. {least}")
        self._that(kinds.count("max") == 1, mine, "The highest logit is found by one MAX.")
        self._that(set(kinds) <= {"max", "sum"}, mine, "Nothing is gathered: sums are enough.")
        self._that(sent == 3 * self.n, mine, least)
        found = {}
        for (_, kind, given), got in zip(mine.calls, mine.got, strict=True):
            found |= self._pieces(kind, given, got, found)
        lacks = next((one for one in ("highest", "total") if one not in found), "target")
        self._that(len(found) == 3, mine, right.TRAVELS[lacks])
        return self._expected(found)

    def _pieces(self, kind, given, got, found):
        """Of each N numbers of a call what they are, and what each rank got for them."""
        n, count = self.n, given[0].numel() // self.n
        flat, back = [one.flatten() for one in given], [one.flatten() for one in got]
        for cut in (lambda x, k: x[k * n : (k + 1) * n], lambda x, k: x[k::count]):
            pieces = {}
            for k in range(count):
                name = self._whose(kind, [cut(x, k) for x in flat], found)
                pieces[name] = [cut(x, k) for x in back]
            if len(pieces) == count and "" not in pieces:
                return pieces
        return {}

    def _whose(self, kind, given, found):
        for name, values in self._candidates(kind, found):
            if all(_near(mine, own) for mine, own in zip(given, values, strict=True)):
                return name
        return ""

    def _candidates(self, kind, found):
        target = [self._targets(rank) for rank in range(self.p)]
        if kind == "max":
            yield "highest", [one.amax(dim=1) for one in self.logits]
            yield "highest", [one.logsumexp(dim=1) for one in self.logits]
            return
        yield "target", [at * mine for at, mine in target]
        if "highest" in found:
            highest = found["highest"]
            yield "shifted", [(at - h) * m for (at, m), h in zip(target, highest, strict=True)]
            shifted = [one - h[:, None] for one, h in zip(self.logits, highest, strict=True)]
            yield "total", [one.exp().sum(dim=1) for one in shifted]

    def _targets(self, rank):
        own = self.logits[rank]
        place = self.targets - self.firsts[rank]
        mine = (place >= 0) & (place < own.shape[1])
        at = own.gather(1, torch.where(mine, place, 0)[:, None])[:, 0]
        return at, mine.to(own.dtype)

    def _expected(self, found):
        each = []
        for rank, own in enumerate(self.logits):
            highest, total = found["highest"][rank], found["total"][rank]
            loss = total.log() - (
                found["shifted"][rank] if "shifted" in found else found["target"][rank] - highest
            )
            gradient = (own - highest[:, None]).exp() / total[:, None]
            place = self.targets - self.firsts[rank]
            rows = torch.arange(self.n)[(place >= 0) & (place < own.shape[1])]
            gradient[rows, place[rows]] -= 1
            found_here = {"the loss": loss.mean(), "the gradient": self.scale * gradient / self.n}
            each.append({**found_here, "targets afterwards": self.targets})
        return each

    def _that(self, condition, mine, otherwise):
        if not condition:
            raise Fault(
                "value",
                "What the ranks send each other is not what the loss needs.",
                self.why(mine) or otherwise,
                detail=f"Yours: {_listed(mine.signature)}; N is {self.n}.",
                given=self.given,
            )


@exercise(
    "parallel_cross_entropy",
    points=1.75,
    stands_on=("copy_and_reduce",),
)
def parallel_cross_entropy(student, rng):
    with part("the loss, on every rank", points=0.5):
        for p, vocabulary in ((2, 6), (4, 10), (3, 7), (4, 5)):
            Entropy(rng, p, vocabulary, 7).check(student, ["the loss"])
    with part("its gradient, from no message more", points=0.5):
        for p, vocabulary in ((2, 6), (4, 10), (3, 7), (4, 5)):
            Entropy(rng, p, vocabulary, 7).check(student, ["the loss", "the gradient"])
    with part("stable for logits of 10,000, and of −10,000", points=0.35):
        for size, around in ((1, 1e4), (1, -1e4), (1e4, 0)):
            Entropy(rng, 2, 6, 5, size, around).check(student, ["the loss", "the gradient"])
    with part("as many numbers for a vocabulary ten times as large", points=0.4):
        Entropy(rng, 2, 60, 5).check(student, ["the loss", "the gradient"])


# 6


@probe
def adam_steps(learner, p, name, weights, frozen, gradients, settings, moments):
    """Steps of the learner's Adam, with given gradients; a number in the place of one: None.

    moments: m and v of each rank, put into self.m and self.v after the first step; or empty.
    """
    import torch

    from utils.ranks.carried import Carried
    from utils.ranks.collectives import Collectives

    def job(dist):
        dist, rank = Collectives(dist), dist.get_rank()
        parameters = [torch.nn.Parameter(one.clone()) for one in weights]
        for place in frozen:
            parameters[place].requires_grad_(False)
        optimizer = getattr(learner, name)(dist, iter(parameters), *settings)
        for number, step in enumerate(gradients):
            for key, value in (
                zip("mv", moments[rank], strict=True) if moments and number == 1 else ()
            ):
                state = getattr(optimizer, key, None)
                if isinstance(state, torch.Tensor) and state.shape == value.shape:
                    state.detach().copy_(value)
            for one, gradient in zip(parameters, step[rank], strict=True):
                one.grad = gradient.clone() if isinstance(gradient, torch.Tensor) else None
            dist.phase("step")
            optimizer.step()
        report = {"the weights": [one.detach().clone() for one in parameters]}
        for key in ("m", "v"):
            state = getattr(optimizer, key, "none")
            report[f"self.{key}"] = state.detach() if isinstance(state, torch.Tensor) else "none"
        return report

    ranks = Carried(job, p)
    return ranks, ranks.report


@exercise(
    "shard_optimizer",
    points=1.5,
    forbids={"ShardedAdam": ["torch.optim", "torch.distributed.optim"]},
)
def shard_optimizer(student, rng):
    def moments(p, count):
        """m and v of each rank's piece of so many numbers, with zeros as padding."""
        whole = [_draw(rng, count), torch.tensor(rng.uniform(0.5, 2, count))]
        more = -count % p
        flat = [torch.nn.functional.pad(one, (0, more)).view(p, -1) for one in whole]
        return [list(pair) for pair in zip(*flat, strict=True)]

    def check(p, shapes, steps, *keys, frozen=(), lacking=(), usual=False):
        weights = [_draw(rng, *shape) for shape in shapes]
        gradients = [
            [
                [
                    0 if i in frozen or (s, r, i) in lacking else _draw(rng, *shapes[i])
                    for i in range(len(shapes))
                ]
                for r in range(p)
            ]
            for s in range(steps)
        ]
        betas = float(rng.uniform(0.7, 0.9)), float(rng.uniform(0.9, 0.99))
        settings = [float(rng.uniform(0.05, 0.2)), betas, float(rng.uniform(0.01, 0.1))]
        if usual:  # betas and eps as they are where nothing is said
            settings = settings[:1]
        given = f"{steps} steps for parameters of shapes {', '.join(map(str, shapes))}."
        length = sum(one.numel() for i, one in enumerate(weights) if i not in frozen)
        # What is in self.m and self.v is the state if the next step goes on from what is put there.
        put = moments(p, length) if "self.m" in keys else []
        given += " After the first step self.m and self.v get other numbers." * bool(put)
        setting = "ShardedAdam", weights, list(frozen), gradients, settings, put
        case = Case(rng, "ShardedAdam", adam_steps, p, setting, given, length)
        also = [{"ShardedAdam": right.DividedFirst}]
        case.judged(student, keys or ("the weights",), raised=right.ADAM, also=also)

    some = [(3, 2), (5,)]
    with part("one step, as plain Adam's on the mean gradient", points=0.5):
        check(2, [(3, 2), (4,)], 1)
        check(4, [(4, 3)], 1)
    with part("several steps, and numbers that p does not divide", points=0.5):
        check(2, some, 3, usual=True)
        check(4, [(3, 3), (2,)], 2)
        check(3, [(2, 2), (1,), (3, 1)], 3)
    with part("frozen parameters left out, missing gradients are zeros", points=0.2):
        check(2, [(2, 2), (3,), (1, 2)], 2, frozen=[1], lacking=[(0, 0, 2), (1, 1, 0)])
    with part("each rank keeps 1/p of the state", points=0.3):
        check(2, [(3, 2), (4,)], 2, "self.m", "self.v")
        check(3, some, 2, "self.m", "self.v")


# 7 and 8


def _sizes(rng, count, p, even):
    """Layers and a batch; where not even, p divides no size, nor the numbers of a layer or of all."""
    for _ in range(1000):
        sizes = [int(n) for n in rng.choice(range(3, 40), size=count + 2, replace=False)]
        if even:
            sizes = [p * n for n in sizes]
        layers = [[sizes[i], sizes[i + 1]] for i in range(count)]
        numbers = [m * n + n for m, n in layers]
        one_by_one = sum(-(-n // p) for n in numbers)
        if even or (
            all(n % p for n in [*sizes, sum(numbers)])
            and (p < 4 or one_by_one > -(-sum(numbers) // p))
            and 2 * (sum(numbers) % p) <= p  # two moments, each rounded up, are more than both
        ):
            break
    return layers, sizes[-1]


@exercise("memory_of", points=0.75)
def memory_of(student, rng):
    def check(layout, *cases):
        for count, p, even in cases:
            layers, batch = _sizes(rng, count, p, even)
            given = {"layers": layers, "batch": batch, "p": p, "layout": layout}
            with limits(student, "memory_of", *right.MEMORY[layout]):
                expect.answers(student, MISTAKES, "memory_of", given, what="the bytes")

    with part("data: the model whole on each rank", points=0.2):
        check("data", (2, 3, False), (3, 4, True), (1, 2, True), (2, 1, True))
    with part("sharded: the state in p parts", points=0.2):
        check("sharded", (2, 5, False), (3, 4, False), (1, 2, True), (3, 4, True), (2, 1, True))
    with part("tensor: column layers and row layers in turn", points=0.35):
        check("tensor", (2, 3, False), (2, 4, True), (1, 2, True), (3, 4, True), (2, 1, True))


@contextmanager
def _own_bytes(student, layers, batch, p):
    """A wrong choice that is right by the student's own bytes is that function's fault."""
    try:
        yield
    except Fault as fault:
        with suppress(Exception):  # they may be anything
            sent = [student.bytes_sent(*layer, batch, p) for layer in layers]
            ways = ["model" if one["model"] < one["data"] else "data" for one in sent]
            if student.choose_parallelism(layers, batch, p) == ways:
                fault.diagnosis = right.OWN_BYTES
        raise


@exercise("choose_parallelism", points=1)
def choose_parallelism(student, rng):
    def counts(p):
        weights, inputs = (int(n) for n in rng.integers(100, 90_000, size=2))
        given = {"weights": weights, "inputs": inputs}
        given |= {"batch": int(rng.integers(8, 500)), "p": p}
        with limits(student, "bytes_sent", *right.BYTES):
            expect.answers(
                student,
                MISTAKES,
                "bytes_sent",
                given,
                what="the bytes",
                exercise="choose_parallelism",
            )

    with part("bytes_sent: what each of p ranks sends for one layer", points=0.35):
        for p in (4, 2, 3, 8, 1):
            counts(p)
    with part("choose_parallelism: the cheaper for each layer", points=0.35):
        for p in (2, 4, 8):
            batch = int(rng.integers(20, 60))
            inputs = [int(n) for n in rng.integers(2000, 3000, size=7)]
            near = [0.0002, 0.3, 0.9, 1.0, 1.1, 1.6]  # of the inputs of all examples, and one less
            shares = [*rng.permutation(near).tolist(), 1 - 0.5 / batch / inputs[6]]
            layers = [
                [round(share * batch * n), n] for share, n in zip(shares, inputs, strict=True)
            ]
            given = {"layers": layers, "batch": batch, "p": p}
            with _own_bytes(student, **given):
                expect.answers(student, MISTAKES, "choose_parallelism", given, what="the choice")
    with part("flip_batch", points=0.3):
        known = dict(MISTAKES.written("choose_parallelism", "flip_batch"))
        how = "Set weights equal to batch · inputs, for fc8, and round down."
        expect.answer(student, "flip_batch", right.flip_batch, known, how, rtol=1e-6)
