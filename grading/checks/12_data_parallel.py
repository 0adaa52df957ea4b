"""Checks of lab 12: all-reduce from messages, its cost, averaged gradients, large batches.

The judge is the network between the ranks (`carrier`): results must follow from what it delivers,
and messages, their sizes and their times are those that it carried.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import data_parallel as right
from grading.checks.answers.data_parallel import MISTAKES
from grading.checks.carrier import BANDWIDTH, LATENCY, Network, Sums
from grading.checks.limits import limits

_FITS = "recv overwrites a tensor of the size and dtype of what is sent."
_GIVEN = ("process group", "Ask the `dist` that is given: here it stands for torch.distributed.")
_OVERWRITTEN = (
    "changed a tensor while",
    "Is what is sent also what is received into, or what was received in the step before? Receive"
    " into a new tensor in each step.",
)
RAISED = {
    "tree_all_reduce": [
        _GIVEN,
        (".0; there", "The number of a rank is whole: halve a distance with //."),
        (
            "there is no rank",
            "In some rounds a rank has no partner: the other is rank − d, or rank + d if that is"
            " below p.",
        ),
        ("receives into", _FITS),
        _OVERWRITTEN,
    ],
    "ring_all_reduce": [
        _GIVEN,
        (
            "and itself need",
            "Right of rank r is rank (r + 1) % p, and a single rank sends nothing: 2 (p − 1) steps"
            " are none for p = 1.",
        ),
        ("there is no rank", "Numbers of ranks are modulo p: left of rank 0 is rank p − 1."),
        (
            "receives into",
            f"{_FITS} In step s of the first half chunk r − s − 1 comes; which in the second?",
        ),
        _OVERWRITTEN,
        (
            "list index",
            "Numbers of chunks are modulo p, and tensor_split(p) always makes p of them; chunk and"
            " split may make fewer.",
        ),
    ],
}


@probe
def reducing(learner, name, parts, calls):
    """Begin the all-reduce `name` on ranks that have one of the parts each, so many times."""
    from utils.ranks.carried import Carried

    def job(dist):
        x = parts[dist.get_rank()]
        for _ in range(calls):
            dist.tell(getattr(learner, name)(dist, x))
        return x

    ranks = Carried(job, len(parts))
    return ranks, ranks.report


def _carried(student, rng, name, p, n, calls=1):
    """The all-reduce of n numbers on p ranks, as the judge carried it."""
    x = [torch.tensor(rng.normal(size=n)) for _ in range(p)]
    given = f"For p = {p} ranks with n = {n} numbers each; the check alters each number on its way."
    sums = Sums(x, rng, name, given)
    with expect.explained(*RAISED[name]):
        sums.run(reducing(student, name, x, calls))
    diagnosis = (
        "That is the library's answer to this exercise. Here numbers travel by dist.send, dist.isend"
        " and dist.recv."
    )
    expect.that(
        not sums.reductions, f"`{name}` calls dist.all_reduce.", given=given, diagnosis=diagnosis
    )
    for told in sums.told:
        expect.items(told, calls, what="the results", given=given)
    return sums


def _singles(student, name):
    """Numbers may be of float32, as in the lab."""
    x = [torch.ones(4)] * 2
    with expect.explained(*RAISED[name]):
        Network(2, name, "For p = 2 ranks with 4 numbers of float32 each.").run(
            reducing(student, name, x, 1)
        )


def _sum(sums):
    """Every rank has the sum, also when it is asked again with the same x."""
    for rank, told in enumerate(sums.told):
        for got in told:
            what, like = "the result of some rank", sums.x[rank]
            expect.form(got, like, what=what, given=sums.given)
            message = f"The result of some rank has dtype {got.dtype}; x has {like.dtype}."
            expect.that(got.dtype == like.dtype, message, given=sums.given, kind="dtype")
    for call in range(len(sums.told[0])):
        counts = [results[call] for results in sums.results]
        wrong = [r for r, of in enumerate(counts) if of is None or (of != 1).any()]
        if wrong:
            first = next((r for r in wrong if counts[r] is None), wrong[0])
            of, detail = counts[first], f"On rank {first}."
            if of is not None:
                detail += f" Its first number has each rank's x {of[0].tolist()} times."
            message = "The result of some rank is not the sum over all ranks."
            if call:
                message = "Called again with the very same x, it returns something else."
            why = _changed_or_kept(sums) if call else _whose_numbers(sums, counts)
            raise Fault("value", message, why, detail=detail, given=sums.given)


_IN_PLACE = (
    "x itself was changed. Add in a copy: x.clone(). A slice of x or of its tensor_split is x."
)


def _changed(sums):
    return any(x is not None and not _same(x, sums.ended[r]) for r, x in enumerate(sums.x))


def _changed_or_kept(sums):
    return _IN_PLACE if _changed(sums) else "Something is kept from one call to the next."


def _same(a, b):
    return type(b) is torch.Tensor and a.shape == b.shape and torch.equal(a, b.to(a.dtype))


def _whose_numbers(sums, counts):
    """What is wrong with results of which it is known how often each x is in them."""
    left = sums.p > 2 and all((source - to) % sums.p == 1 for source, to, _ in sums.messages)
    if any(one.shape and not one.waited for one in sums):
        return (
            "irecv returns at once: what it receives is there when its wait() has ended, or recv."
        )
    if any(of is None for of in counts):
        if sums.means:
            return "That is the mean; asked for is the sum."
        if sums.doubled:
            return "What arrives is added to itself: receive into a new tensor, not into the chunk."
        if sums.name == "ring_all_reduce" and sums.messages and left:
            return (
                "All messages go to the left, rank (r − 1) % p. With chunk r − s in step s they go"
                " to the right, rank (r + 1) % p."
            )
        if sums.name == "ring_all_reduce" and (half := sums.strays()):
            return _CHUNKS[half]
        return (
            "It is not made of its own x and of what arrived by recv, which alone a rank can know:"
            " added, each once, and not divided. Is what arrives added to the numbers that it"
            " belongs to?"
        )
    every = np.stack(counts)  # rank, number, whose x
    if sums.name == "tree_all_reduce" and (why := _distances(sums, every[0, 0])):
        return why
    if sums.name == "tree_all_reduce" and (every[0] > 1).any():
        return (
            "Rank 0 has some ranks' numbers more than once, and it only receives on the way up:"
            " there a rank sends once, to one other, and adds no more."
        )
    if (every > 1).any():
        return (
            "Some ranks' numbers are in the sum more than once. On the way back a finished number"
            " replaces what is there; it is not added."
        )
    whole, ring = (every == 1).all(axis=2), sums.name == "ring_all_reduce"
    ownly = np.stack([of.sum(axis=1) == of[:, rank] for rank, of in enumerate(counts)]).all(axis=0)
    ends = int(np.argmin(ownly[::-1])) if ownly.any() and not ownly.all() else 0
    if ring and ends and whole[:, : sums.n - ends].all():
        return (
            "At its end each result is the rank's own x: a piece takes no part. split(n // p) may"
            " make p + 1 pieces, tensor_split(p) makes p."
        )
    if not ring and (every[0, :, 0] == 0).all():
        return (
            "Rank 0's own numbers are not in it: did what it received replace them? Begin with"
            " x.clone(), receive into another tensor, add that, and return the sum."
        )
    if ring and sums.p > 2 and sums.stays():
        return (
            "In the first p − 1 steps each message has one rank's numbers alone. What comes is added"
            " to this rank's chunk, and that chunk is the one that goes on in the next step."
        )
    own = all((of.sum(axis=1) == of[:, rank]).all() for rank, of in enumerate(counts))
    if own:
        return "That is this rank's own x: nothing was added."
    if ring and sums.p > 2 and sums.grows():
        return (
            "The adding is right in the messages of the first p − 1 steps: each has one addend more."
            " The last chunk that comes in them is added, too, and the all-gather begins with it: it"
            " takes p − 1 steps, and what comes replaces."
        )
    if whole[0].all():
        return (
            "Rank 0 has the sum, and this rank not: the total must find its way back to all, and"
            " take the place of what is there."
        )
    if _changed(sums):
        return " ".join((_IN_PLACE, "Return the sum, too."))
    return (
        "Some ranks' numbers are missing from the sum: does a rank send on what it has added up,"
        " and not only its own? Is each part added to all that was added before?"
    )


_CHUNKS = {
    "first": "In step s of the first p − 1 rank r sends chunk r − s, and adds what comes to chunk"
    " r − s − 1: does it send another one?",
    "second": "The first p − 1 steps send the right chunks. The next ones begin with the chunk that"
    " is whole: in step s of them rank r sends chunk r + 1 − s, and chunk r − s is replaced.",
}


def _distances(sums, of):
    """What is wrong with who talks to whom in a tree; of: how often rank 0 has each rank's x."""
    up = [source - target for source, target, _ in sums.messages if source > target]
    down = [target - source for source, target, _ in sums.messages if source < target]
    reached, largest = int(of.sum()), max(up, default=0)
    first = of.max() == 1 < reached < sums.p and of[:reached].all()
    known = (
        (
            any(d & (d - 1) for d in up),
            "A message goes up over a distance that is none of 1, 2, 4, 8 …: it doubles.",
        ),
        (
            down and not up,
            "Rank 0 receives nothing: on the way up the higher rank of a pair sends, and the lower"
            " one receives and adds.",
        ),
        (
            up and not down and (of == 0).any(),
            "Rank 0 sends nothing: who sent in a round of the way up receives in it on the way"
            " down, and who received sends.",
        ),
        (
            (of == 1).all() and down and down[0] < largest,
            "The way back does not begin with the largest distance of the way up: it goes through"
            " the same ones in the opposite order.",
        ),
        (
            first and not reached & (reached - 1),
            "The last ranks are missing from the sum: the distances go on, 1, 2, 4 …, as long as"
            " they are below p, also where p is between two powers of two.",
        ),
    )
    return next((why for wrong, why in known if wrong), "")


def _known(sums):
    """All numbers in messages are such as their senders can know."""
    expect.that(
        not sums.made_up,
        "A message has numbers that its sender cannot know.",
        given=sums.given,
        diagnosis="A rank knows its own x and what arrived: it sends sums of these, each once, and"
        " does not divide them. Is what arrives added to the numbers that it belongs to?",
    )
    expect.that(
        not sums.empty(),
        "A message has nothing of any rank's x in it.",
        given=sums.given,
        diagnosis="What travels is a rank's own x, or a piece of it, and what was added to it.",
    )


def _waited(sums):
    expect.that(not sums.unreceived, "A message was sent that nobody received.", given=sums.given)
    expect.that(
        sums.unwaited == 0,
        "A send was begun, and its end never waited for.",
        given=sums.given,
        detail=f"On all ranks together: {sums.unwaited}.",
        diagnosis="Until request.wait() returns the numbers may still be on their way: they must"
        " not change, and the function must not end.",
    )


@exercise("tree_all_reduce", points=2)
def tree_all_reduce(student, rng):
    n = rng.integers(3, 9, size=10).tolist()  # by p
    carried = cache(lambda p, calls=1: _carried(student, rng, "tree_all_reduce", p, n[p], calls))
    with part("every rank has the sum, for p = 2, 4 and 8", points=0.6):
        for p, *calls in ((2,), (4, 2), (8,)):
            _sum(carried(p, *calls))
        _singles(student, "tree_all_reduce")
    with part("and for any other p, one rank included", points=0.5):
        for p, *calls in ((3, 2), (1,), (5,), (6,), (7,), (9,)):
            _sum(carried(p, *calls))
    with part("2 (p − 1) messages, each the whole of n numbers", points=0.4):
        for p in (2, 3, 4, 6):
            _tree_messages(carried(p))
    with part("pairs work at the same time: as few rounds as doublings of 1 up to p", points=0.5):
        for p in (2, 4, 8, 3, 5, 9):  # where sends that are begun together cost no round
            _rounds(carried(p))


def _tree_messages(sums):
    p, lengths = sums.p, sorted({length for _, _, length in sums.messages})
    _known(sums)
    expect.that(
        len(sums.messages) == 2 * (p - 1),
        "The number of messages is not right.",
        given=sums.given,
        detail=f"expected {2 * (p - 1)} messages   yours {len(sums.messages)}",
        diagnosis="Up the tree every rank but rank 0 sends once, and down it every rank but"
        " rank 0 receives once."
        if sums.messages
        else "No message was sent: use dist.send and dist.recv of the argument `dist`.",
    )
    expect.that(
        lengths == [sums.n],
        "Some messages do not have n numbers.",
        given=sums.given,
        detail=f"Lengths sent: {lengths}.",
        diagnosis="In the tree whole tensors travel; chunks are for the ring.",
    )
    expect.that(not sums.unreceived, "A message was sent that nobody received.", given=sums.given)


def _rounds(sums):
    _known(sums)
    p, rounds = sums.p, 2 * (sums.p - 1).bit_length()
    took = sums.seconds / (LATENCY + 8 * sums.n / BANDWIDTH)
    why = "Which pairs can talk in the same round? A rank must not wait for one it needs no more."
    if p > 3 and abs(took - 2 * (p - 1)) < 0.01:
        why = (
            "One message follows the other. Do all go to rank 0, or along a line from rank to rank?"
            " In a tree, pairs that have nothing to do with each other send at the same time."
        )
    elif len(sums.messages) < 2 * (p - 1):
        why = "That is less than the way up and the way down: messages are missing."
    elif took < rounds:
        why = (
            "That is less than the way up and the way down. Two partners that send to each other in"
            " the same round are another algorithm, which needs more messages."
        )
    elif took > rounds:
        why += " The way back takes as many rounds as the way up: the same pairs, in reverse order."
    expect.that(
        abs(took - rounds) < 0.01,
        "It takes another number of rounds than a binary tree.",
        given=sums.given,
        detail=f"expected {rounds} rounds   yours {took:g}, on the check's clock",
        diagnosis=why,
    )
    _waited(sums)


@exercise("ring_all_reduce", points=2.25)
def ring_all_reduce(student, rng):
    n = [p * int(k) for p, k in enumerate(rng.integers(2, 4, size=5))]  # by p
    name = "ring_all_reduce"
    carried = cache(lambda p, n, calls=1: _carried(student, rng, name, p, n, calls))
    with part("every rank has the sum, where n is a multiple of p", points=0.6):
        for p, *calls in ((3, 2), (4,), (2,)):
            _sum(carried(p, n[p], *calls))
        _singles(student, name)
    with part("and where it is not, and for a single rank", points=0.5):
        for p, count, *calls in ((3, 7, 2), (2, 5), (4, 6), (4, 7), (3, 5), (1, 3)):
            _sum(carried(p, count, *calls))
    with part("each rank sends 2 (p − 1) chunks to its right neighbour", points=0.6):
        for p, count in ((2, 5), (3, 5), (4, 7)):
            _ring_messages(carried(p, count))
    with part("all links work at the same time", points=0.55):
        for p in (2, 3, 4):
            _ring_time(carried(p, n[p]))


def _ring_messages(sums):
    _known(sums)
    p, sent = sums.p, sums.messages
    counts = [sum(source == rank for source, _, _ in sent) for rank in range(p)]
    why = "p − 1 steps add, p − 1 steps pass the finished chunks on."
    if counts == [2 * p] * p:
        why += " With p steps a chunk comes round to where it began."
    if sent and {length for *_, length in sent} == {sums.n}:
        why = "The whole tensor travels in each step: send one chunk, 2 (p − 1) times."
    if not sent:
        why = "No message was sent: use dist.isend and dist.recv of the argument `dist`."
    expect.that(
        counts == [2 * (p - 1)] * p,
        "The number of messages is not right.",
        given=sums.given,
        detail=f"Each rank sends {2 * (p - 1)}; yours {counts}.",
        diagnosis=why,
    )
    expect.that(
        all((target - source) % p == 1 for source, target, _ in sent),
        "A message goes to another rank than the right neighbour.",
        given=sums.given,
        diagnosis="Right of rank r is (r + 1) % p; what comes, comes from (r − 1) % p.",
    )
    chunks = [len(one) for one in np.array_split(np.zeros(sums.n), p)]
    lengths = [length for _, _, length in sent]
    expect.that(
        sorted(lengths) == sorted(chunks * (2 * (p - 1))),
        "The messages do not have the lengths of the chunks.",
        given=sums.given,
        detail=f"Chunks of {chunks}; lengths sent: {sorted(lengths)}.",
        diagnosis="The whole tensor travels in each step: send one chunk."
        if set(lengths) == {sums.n}
        else "tensor_split(p) makes pieces that differ by at most one number; every piece travels"
        " 2 (p − 1) times.",
    )


def _ring_time(sums):
    _known(sums)
    steps = 2 * (sums.p - 1)
    took = sums.seconds / (LATENCY + 8 * (sums.n / sums.p) / BANDWIDTH)
    why = "p − 1 steps add, p − 1 steps pass the finished chunks on, and in each one chunk travels."
    if took > steps and len(sums.messages) == sums.p * steps:
        why = (
            "A rank that waits for the end of its send before it receives holds up its neighbour:"
            " begin to send with isend, receive, and then wait."
        )
    expect.that(
        abs(took - steps) < 0.01,
        "It takes another time than 2 (p − 1) steps in which all ranks send.",
        given=sums.given,
        detail=f"expected {steps} steps   yours {took:g}, on the check's clock",
        diagnosis=why,
    )
    _waited(sums)


@exercise("communication_cost", points=1.25)
def communication_cost(student, rng):
    def check(algorithm, *many):
        for place, p in enumerate(many):
            rates = (1e-3, 0.3) if place % 2 else (1e-5, 5.0)  # where β · n counts more, and α
            beta, alpha = (float(rate * rng.uniform(1.0, 1.5)) for rate in rates)
            inputs = algorithm, p, float(rng.uniform(1e4, 2e4)), alpha, beta
            given = dict(zip(("algorithm", "p", "nbytes", "alpha", "beta"), inputs, strict=True))
            with limits(student, "communication_cost", *right.COSTS[algorithm]):
                expect.answers(student, MISTAKES, "communication_cost", given, what="the time")
        got = student.communication_cost(**given)  # by the names that the lab uses later
        expect.close(got, right.communication_cost(**given), what="the time", given=given)

    with part("the parameter server", points=0.3):
        check("server", 8, 2, 5, 1)
    with part("the tree, for powers of two and other p", points=0.4):
        check("tree", 16, 5, 2, 6, 9, 64, 65, 1)
    with part("the ring", points=0.4):
        check("ring", 6, 2, 5, 64, 1)
    with part("an unknown algorithm is a ValueError", points=0.15, alone=False):
        found = 'For algorithm = "star" nothing is raised.'
        try:
            student.communication_cost("star", 4, 100.0, 0.1, 0.01)
        except Fault as fault:
            if fault.kind != "exception":
                raise
            found = fault.detail
        expect.that(
            found.startswith("ValueError"),
            "An algorithm that does not exist is not refused with ValueError.",
            detail=found,
            diagnosis="An answer to a misspelt name is worse than none: raise ValueError(…).",
        )


@exercise("read_the_link", points=1)
def read_the_link(student, rng):
    with part("tiny_winner", points=0.3):
        wrong = {
            "server": "For 4 bytes only the latency counts. How many messages follow one another?",
            "ring": "For 4 bytes only the latency counts, and the ring has the most steps"
            " that follow one another. Look at the left end of the right picture in section 5.",
        }
        expect.choice(student, "tiny_winner", "tree", wrong)
    with part("ring_growth", points=0.4):
        known = dict(MISTAKES.written("read_the_link", "ring_growth"))
        how = "Put α = 0 into the ring's formula, for p = 64 and p = 8, and divide."
        expect.answer(student, "ring_growth", right.ring_growth, known, how, rtol=0.02)
    with part("no_difference", points=0.3):
        wrong = {
            "a": "It does, and it did so on the wire, too, where equal sums took unequal times.",
            "b": "Make `numbers` larger in `timed` and run it again: does it change?",
            "d": "gloo saw sends and receives only; your functions decided who talks to whom.",
        }
        expect.choice(student, "no_difference", "c", wrong)


@probe
def averaging(learner, name, weights, tokens, targets, uses, extra):
    """Begin the learner's averaging on ranks that have each a model with gradients."""
    import torch
    import torch.nn.functional as F

    from utils.ranks.carried import Carried

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            d, h = weights["words.weight"].shape
            self.words = torch.nn.Embedding(d, h)
            self.side = torch.nn.Linear(h, h)
            self.fixed = torch.nn.Linear(h, h)
            self.mix = torch.nn.Linear(h, h)
            self.out = torch.nn.Linear(h, d, bias=False)
            self.out.weight = self.words.weight
            self.double().load_state_dict({**weights, "out.weight": weights["words.weight"]})
            self.fixed.requires_grad_(False)

        def forward(self, x, side):
            h = self.words(x)
            h = h + torch.tanh(self.fixed(torch.tanh(self.mix(h))))
            return self.out(h + self.side(h) if side else h)

    def job(dist):
        rank, model = dist.get_rank(), Net()
        scores = model(tokens[rank], bool(uses[rank]))
        F.cross_entropy(scores, targets[rank]).backward()
        getattr(learner, name)(dist, model, *extra)
        parameters = dict(model.named_parameters())
        return (
            {key: "none" if one.grad is None else one.grad for key, one in parameters.items()},
            {key: one.detach() for key, one in parameters.items()},
        )

    ranks = Carried(job, len(tokens))
    return ranks, ranks.report


_BY_ZERO = "Is it divided by the number of a rank, which may be 0? All are dist.get_world_size()."


class Averages(Network):
    """Carries the all_reduces of gradients. What every rank gets has secret amounts added.

    A model and a shard for each rank are drawn; `shards` are the gradients that this leads to.
    order: whose gradients each all_reduce had, in order; secret: of each, what the means must have
    besides. An all_reduce of anything else is carried as it is, and has None in order.
    """

    def __init__(self, rng, uses, name, *extra):
        d, h, n, p = 7, 4, 6, len(uses)
        given = f"For an embedding tied to the output layer, a frozen layer, and a layer `side`; p = {p}."
        given += f" bucket_bytes = {extra[0]}." if extra else ""
        super().__init__(p, name, given)
        shapes = {"words.weight": (d, h)}
        for layer in ("side", "fixed", "mix"):  # a rank may lack a gradient amid the others
            shapes |= {f"{layer}.weight": (h, h), f"{layer}.bias": (h,)}
        self.rng, self.uses, self.extra = rng, uses, list(extra)
        self.weights = {key: torch.tensor(rng.normal(size=s)) for key, s in shapes.items()}
        self.tokens, self.targets = (torch.tensor(rng.integers(d, size=(p, n))) for _ in range(2))
        self.trained = [key for key in self.weights if not key.startswith("fixed")]
        shards = [self._gradients(rank) for rank in range(p)]
        self.shards = {key: torch.stack([one[key] for one in shards]) for key in self.trained}
        self.order, self.secret, self.rounded = [], {}, False

    def _gradients(self, rank):
        w = {key: one.clone().requires_grad_() for key, one in self.weights.items()}
        h = w["words.weight"][self.tokens[rank]]
        mixed = torch.tanh(F.linear(h, w["mix.weight"], w["mix.bias"]))
        h = h + torch.tanh(F.linear(mixed, w["fixed.weight"], w["fixed.bias"]))
        if self.uses[rank]:
            h = h + F.linear(h, w["side.weight"], w["side.bias"])
        F.cross_entropy(F.linear(h, w["words.weight"]), self.targets[rank]).backward()
        return {
            key: torch.zeros_like(one) if one.grad is None else one.grad for key, one in w.items()
        }

    def reduced(self, parts):
        total = torch.stack(parts).sum(dim=0)
        self.rounded |= total.dtype != torch.float64 and total.numel() > 1
        rows, start, found = torch.stack([one.flatten() for one in parts]), 0, []
        while start < rows.shape[1]:
            piece = self._whose(rows[:, start:])
            if piece is None:
                self.order.append(None)
                return total
            key, share = piece
            size = self.weights[key].numel()
            found.append((key, share, start, start + size))
            start += size
        self.order.append([key for key, *_ in found])
        for key, share, begin, end in found:
            secret = torch.tensor(self.rng.normal(size=end - begin))
            total.view(-1)[begin:end] += secret
            self.secret[key] = (secret / (1 if share else self.p)).view(self.weights[key].shape)
        return total

    def _whose(self, rows):
        """The parameter whose gradients of all ranks the rows begin with; whether by p already."""
        for key, weight in self.weights.items():  # of frozen ones: zeros
            zeros = torch.zeros(self.p, *weight.shape, dtype=weight.dtype)
            shards = self.shards.get(key, zeros).flatten(1)
            for share in (False, True):
                expected = shards / self.p if share else shards
                begin = rows[:, : shards.shape[1]].double()
                fits = begin.shape == expected.shape
                if key not in self.secret and fits and torch.allclose(begin, expected):
                    return key, share
        return None

    def deadlock(self, detail):
        why = "All ranks call all_reduce for the same parameters, in the same order: none is left out."
        if not all(self.uses):
            why = (
                "A rank that has no gradient for a parameter must still take part, with zeros: the"
                " others wait for it."
            )
        return Fault(
            "exception",
            f"`{self.name}` never ends: not all ranks call all_reduce equally often, and alike.",
            why,
            detail=detail,
            given=self.given,
        )

    def carried(self, student):
        """Itself, once the student's function has ended on all ranks."""
        inputs = self.weights, self.tokens, self.targets, [int(use) for use in self.uses]
        bare = (
            "A frozen parameter has no gradient: its .grad is None. Leave it out. One that this"
            " rank's shard did not use has None, too, and counts as zeros."
        )
        with expect.explained(
            _GIVEN,
            (
                "for /: 'NoneType'",
                "None is divided. all_reduce returns nothing, it replaces the numbers of its"
                " argument; and .grad is None where a parameter is frozen or this shard did not use"
                " it.",
            ),
            ("not iterable", "Is it the result of .reverse()? That is None: reversed(list(…))."),
            ("NoneType", bare),
            (
                "must match the size",
                "A piece of the flat tensor is flat, its gradient need not be: piece.view_as(g).",
            ),
            (
                "is invalid for input of size",
                "A piece does not fit its gradient: unpack in the order in which was packed, and"
                " give each piece the length of its gradient (numel).",
            ),
            ("not reversible", "list(model.parameters()) can be reversed."),
            ("non-empty list", "Is a bucket that is still empty closed, and sent?"),
            ("a leaf Variable", "Packed and averaged are gradients, .grad, not the parameters."),
            ("grad_dtype", "The zeros have another dtype than the parameter: torch.zeros_like."),
            ("same number of dimensions", "Packed are gradients made flat: g.flatten()."),
            (
                "to be equal size",
                "Gradients differ in size: torch.cat takes them one after another.",
            ),
        ):
            self.run(averaging(student, self.name, *inputs, self.extra))
        like = [self.shards[key][0] if key in self.trained else "none" for key in self.weights]
        for ended in self.ended.values():
            gradients, weights = expect.items(ended, 2, given=self.given)
            expect.form(weights, self.weights, given=self.given)
            expect.that(
                type(gradients) is dict and list(gradients) == list(self.weights),
                "There are not the gradients of all parameters.",
                kind="type",
            )
            for key, one in zip(self.weights, like, strict=True):
                if type(gradients[key]) is not str:
                    shaped = self.weights[key] if type(one) is str else one
                    with expect.otherwise(_BY_ZERO, shape="A gradient keeps its shape."):
                        expect.form(gradients[key], shaped, what="a gradient", given=self.given)
        return self

    def check(self, keys):
        """The gradients of these parameters are the means of what was delivered."""
        expect.that(
            not self.rounded,
            "What is given to all_reduce has another dtype than the gradients, which are float64.",
            kind="dtype",
            given=self.given,
        )
        for rank, (gradients, weights) in self.ended.items():
            for key in keys:
                self._check_one(gradients[key], key, rank)
            expect.that(
                all(torch.equal(weights[key], drawn) for key, drawn in self.weights.items()),
                "The weights were changed.",
                given=self.given,
                diagnosis="It is the gradients that are averaged; the optimizer moves the"
                " weights afterwards.",
            )

    def _check_one(self, got, key, rank):
        at = f"`{key}`, rank {rank}."
        if type(got) is str:
            message = "A trainable parameter has no gradient afterwards."
            why = "Where a rank lacks a gradient, it takes part with zeros, and gets the mean."
            if all(type(one) is str for one in self.ended[rank][0].values()):
                why = "All gradients are gone: what zero_grad clears, the optimizer lacks."
            raise Fault("value", message, why, detail=at, given=self.given)
        shards, p, secret = self.shards[key], self.p, self.secret.get(key, 0.0)
        own, mean = shards[rank], shards.mean(dim=0) + secret
        having = sum(self.uses) if key.startswith("side") else p
        knows = [
            ("That is the sum over the ranks: divide by their number.", p * mean),
            (
                "That is this rank's own gradient: nothing was averaged. Is what all_reduce gives"
                " put back into .grad?",
                own,
            ),
            ("That is divided by the number of ranks twice.", mean / p),
            ("That is multiplied by the number of ranks: divide by it.", p * p * mean),
            (
                "That is this rank's own gradient, divided: all_reduce's sum must come into .grad.",
                own / p,
            ),
            *(
                (
                    "That is the sum, divided by another number: divide by the number of ranks.",
                    p / n * mean,
                )
                for n in (2, 3, 4, 5, 7, 8)
            ),
        ]
        if all(key not in (one or ()) for one in self.order):
            why = "No all_reduce took this gradient: it is this rank's own still."
            if self.order and not any(self.order):
                why += " What it was given is another tensor: is it .grad, and not the parameter?"
            knows.insert(0, (why, own))
        if having < p:
            users = (
                "That is the mean over the ranks that had a gradient: divide by the number of all."
            )
            knows.insert(0, (users, p / having * mean))
        message = "A parameter's gradient is not the mean of what the ranks gave to all_reduce."
        try:
            expect.close(got, mean, what="it", given=self.given, knows=knows, rtol=1e-9, atol=1e-12)
            if key not in self.secret:
                raise Fault("value", message, given=self.given)
        except Fault as fault:
            if fault.kind == "value":
                fault.message = message
            fault.detail = f"{at} {fault.detail}"
            if key in self.secret and self.extra and fault.kind == "value":
                fault.diagnosis = fault.diagnosis or (
                    "The mean was made, but other numbers are in .grad: are the pieces unpacked in"
                    " the order, and with the lengths, of what was packed?"
                )
            if key not in self.secret and not fault.diagnosis:
                fault.diagnosis = (
                    "What the ranks gave to all_reduce are not their gradients of this parameter,"
                    " with zeros where a rank has none."
                )
            raise

    def check_frozen(self):
        frozen = [key for key in self.weights if key not in self.trained]
        expect.that(
            all(type(g[key]) is str for g, _ in self.ended.values() for key in frozen),
            "A frozen parameter has a gradient afterwards.",
            given=self.given,
            diagnosis="Leave out what does not require a gradient: an optimizer moves whatever has"
            " one, if only by its weight decay.",
        )


@exercise("average_gradients", points=1.25)
def average_gradients(student, rng):
    def carried(*uses):
        return Averages(rng, uses, "average_gradients").carried(student)

    with part("the mean over all ranks, which is the whole batch's gradient", points=0.5):
        for p in (3, 2, 4):
            carried(*[True] * p).check(["mix.weight", "mix.bias"])
    with part("frozen parameters are left out, tied ones sent once", points=0.4):
        means = carried(True, True, True)
        means.check(means.trained)
        means.check_frozen()
        expected = sum(means.weights[key].numel() for key in means.trained)
        sent, tied = sum(means.reductions), means.weights["words.weight"].numel()
        expect.that(
            sent == expected,
            "The all_reduces take more or fewer numbers than there are gradients.",
            given=means.given,
            detail=f"expected {expected} numbers   yours {sent}",
            diagnosis="The tied parameter is reduced twice: model.parameters() gives it once."
            if sent == expected + tied
            else "One all_reduce for each parameter that requires a gradient.",
        )
    with part("a gradient that some ranks lack counts as zeros there", points=0.35):
        for uses in ([False, True, True], [True, False], [False, False, True]):
            means = carried(*uses)
            means.check(means.trained)


@exercise("bucketed_all_reduce", points=1.25)
def bucketed_all_reduce(student, rng):
    def carried(size, *uses):
        return Averages(rng, uses, "bucketed_all_reduce", size).carried(student)

    with part("the same gradients as exercise 5", points=0.5):
        for size, *uses in ((10**6, True, True), (300, True, True, True), (200, False, True, True)):
            means = carried(size, *uses)
            means.check(means.trained)
            means.check_frozen()
    with part("buckets are filled from the last parameter on, up to bucket_bytes", points=0.5):
        for size in (10**6, 184, 320, 384, 200, 150):
            _bucket_sizes(carried(size, True, True), size)
    with part("a gradient larger than a bucket travels alone", points=0.25):
        for size in (24, 160, 190):  # 24: the first one is larger already
            _bucket_sizes(carried(size, True, True), size)


def _bucket_sizes(means, size):
    first = [means.weights[key].numel() for key in means.trained]
    last, got = first[::-1], means.reductions
    known = [
        ("Empty buckets need no message.", [n for n in got if n] != got and got),
        (
            "All are in one bucket. Is bucket_bytes the limit, and does it count bytes"
            " (g.nbytes)? A float64 number has 8.",
            [sum(last)],
        ),
        ("A gradient that fills the bucket exactly still fits in.", right.packed(last, size - 1)),
        (
            "Those are the buckets from the first parameter on: begin with the last, whose gradient"
            " is there first.",
            right.packed(first, size),
        ),
        (
            "A gradient that is larger than bucket_bytes is left out: it has a bucket of its own.",
            right.packed([n for n in last if 8 * n <= size], size),
        ),
        (
            "No all_reduce was made: a full bucket is sent. The last bucket, not full, is still to be"
            " sent.",
            [],
        ),
        ("The last bucket, not full, is still to be sent.", right.packed(last, size)[:-1]),
        (
            "The last bucket is sent twice.",
            [*right.packed(last, size), right.packed(last, size)[-1]],
        ),
        (
            "A gradient that does not fit is in no bucket: with it the next one begins.",
            right.dropping(last, size),
        ),
        (
            "What a bucket held is sent again with the next: empty it after it was sent.",
            np.cumsum(right.packed(last, size)).tolist(),
        ),
        (
            "The size of the bucket goes on from the one before: a new bucket begins at 0.",
            right.never_reset(last, size),
        ),
        (
            "The size of a new bucket begins at 0 though its first gradient is in it: count it, too.",
            right.first_uncounted(last, size),
        ),
        (
            "Those are the smallest first: the order is from the last parameter to the first.",
            right.packed(sorted(last), size),
        ),
        (
            "A bucket is sent with each gradient that is put into it: send it when the next does not"
            " fit, and at the end.",
            [*np.cumsum(last).tolist(), sum(last)],
        ),
        ("That is one message for each gradient.", first),
        ("That is one message for each gradient.", last),
        (
            "bucket_bytes counts bytes: a float64 number has 8 of them (g.nbytes).",
            right.packed(last, size, 1),
        ),
        (
            "A bucket holds more than bucket_bytes: are the sizes of all gradients in it added up,"
            " in bytes (g.nbytes)? A float64 number has 8.",
            right.packed(last, size, 4),
        ),
        (
            "A bucket is closed before a gradient makes it too large, not after.",
            right.overfull(last, size),
        ),
    ]
    expected, keys = right.packed(last, size), iter(means.trained[::-1])
    groups = [set() for _ in expected]
    for group, numbers in zip(groups, expected, strict=True):
        while sum(means.weights[key].numel() for key in group) < numbers:
            group.add(next(keys))
    sent = [set(one or []) for one in means.order]
    if sent == groups:
        return
    in_turn = [key for one in means.order for key in one or []]
    if in_turn != means.trained and sorted(map(sorted, sent)) == sorted(map(sorted, groups)):
        known.insert(0, ("The buckets are right; they are to be sent as they get full.", got))
    elif got == expected:
        whose = "So many numbers are right, whose they are is not: from the last parameter to the first."
        known.insert(0, (whose, got))
    how = (
        "Add gradients while they fit; then send, and begin a new bucket with the one that did not."
    )
    raise Fault(
        "value",
        "The all_reduces are not those of the buckets.",
        next((why for why, sizes in known if sizes == got), how),
        given=" ".join((means.given, f"Gradients of float64, last first, have {last} numbers.")),
        detail=f"Numbers in each all_reduce: expected {expected}, yours {got}.",
    )


@exercise("learning_rate_at", points=1)
def learning_rate_at(student, rng):
    def check(warmup, *steps, factor=None):
        for step in steps:
            base_batch = int(rng.integers(2, 9)) * 8
            batch = int(base_batch * (factor or int(rng.integers(3, 12))))
            inputs = step, float(rng.uniform(0.01, 0.2)), base_batch, batch, warmup
            names = "step", "base_rate", "base_batch", "batch", "warmup_steps"
            given = dict(zip(names, inputs, strict=True))
            nothing = "It divides by 0: warmup_steps is 0 without warm-up, and step is 0 at first."
            with (
                limits(student, "learning_rate_at", *right.RATES),
                expect.explained(("division", nothing)),
            ):
                expect.answers(student, MISTAKES, "learning_rate_at", given, what="the rate")
        got = student.learning_rate_at(**given)  # by the names that the docstring uses
        expect.close(got, right.learning_rate_at(**given), what="the rate", given=given)

    with part("after the warm-up: scaled with the batch", points=0.35):
        check(10, 10, 11, 500)
        check(10, 12, factor=2.5)
        check(1, 1, 2)
    with part("in the warm-up: a straight line from base_rate", points=0.4):
        warmup = int(rng.integers(8, 20))
        check(warmup, 0, 1, warmup // 2, warmup - 1)
        check(warmup, 3, factor=2.5)
        check(1, 0)
    with part("without warm-up, scaled from the first step", points=0.25):
        check(0, 0, 3)
