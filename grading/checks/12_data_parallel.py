"""Checks of lab 12: all-reduce from messages, its cost, averaged gradients, large batches."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import probe
from grading.checks import expect

LATENCY, BANDWIDTH = 1.0, 4.0  # of the simulated links: s, bytes a second


@probe
def reduced(learner, name, parts, latency, bandwidth):
    """Run the all-reduce `name` on simulated ranks, each with its own tensor."""
    from utils.ranks import RankError
    from utils.ranks.simulated import simulate

    class Watched:
        """dist, and how many sends were begun and not waited for."""

        def __init__(self, dist):
            self._dist, self.begun, self.waited = dist, 0, set()

        def __getattr__(self, name):
            return getattr(self._dist, name)

        def isend(self, *args, **options):
            request, number = self._dist.isend(*args, **options), self.begun
            self.begun, wait = self.begun + 1, request.wait

            def ended():
                wait()
                self.waited.add(number)

            request.wait = ended
            return request

    def job(dist):
        x, dist = parts[dist.get_rank()].clone(), Watched(dist)
        result = getattr(learner, name)(dist, x)
        return result, x, dist.begun - len(dist.waited)

    try:
        found = simulate(job, len(parts), latency=latency, bandwidth=bandwidth)
    except RankError as error:
        return {"reason": error.reason, "text": str(error)}
    return {
        "results": [result for result, _, _ in found.results],
        "arguments": [x for _, x, _ in found.results],
        "unwaited": sum(count for _, _, count in found.results),
        "messages": [(m.source, m.target, m.values.numel(), m.received) for m in found.messages],
        "reductions": len(found.reductions),
        "seconds": found.seconds,
    }


def _ran(reply, name, given):
    """The reply of ranks that ended well; a Fault for others."""
    if "reason" not in reply:
        return reply
    if reply["reason"] == "deadlock":
        raise Fault(
            "exception",
            f"`{name}` never ends: ranks wait for messages that nobody sends.",
            "A send ends when its receive does. For every send there must be a receive on the other"
            " rank, in the same order, and not all ranks may wait at the same time.",
            detail=reply["text"],
            given=given,
        )
    raise Fault("exception", f"`{name}` failed on one rank.", detail=reply["text"], given=given)


def _all_reduce(student, name, parts):
    given = f"For p = {len(parts)} ranks with n = {len(parts[0])} numbers each."
    reply = _ran(reduced(student, name, parts, LATENCY, BANDWIDTH), name, given)
    expect.that(
        reply["reductions"] == 0,
        f"`{name}` calls dist.all_reduce.",
        given=given,
        diagnosis="That is the library's answer to this exercise. Here numbers travel by dist.send,"
        " dist.isend and dist.recv.",
    )
    return reply, given


def _judge_sum(student, rng, name, p, n):
    """All ranks have the sum, and their x is left alone; first with numbers that tell the ranks."""
    telling = [torch.full((n,), 8.0**rank, dtype=torch.float64) for rank in range(p)]
    random = [torch.tensor(rng.normal(size=n)) for _ in range(p)]
    for parts in (telling, random):
        reply, given = _all_reduce(student, name, parts)
        total = torch.stack(parts).sum(dim=0)
        for rank, (got, after) in enumerate(zip(reply["results"], reply["arguments"], strict=True)):
            try:
                what = "the result of some rank"
                mean = {"That is the mean; asked for is the sum.": total / p} if p > 1 else {}
                expect.close(got, total, what=what, given=given, knows=mean, dtype="float64")
            except Fault as fault:
                fault.detail = f"On rank {rank}. {fault.detail}".strip()
                if parts is telling and fault.kind == "value":
                    fault.diagnosis = _whose_numbers(got, rank, p) or fault.diagnosis
                raise
            expect.that(
                torch.equal(after, parts[rank]),
                "x itself was changed.",
                given=given,
                diagnosis="Add in a copy: x.clone(). A slice of x or of its tensor_split is x.",
            )


def _whose_numbers(got, rank, p):
    """What is wrong with a result that should be the sum of 8⁰, 8¹, …; the ranks below have it."""
    found = got.double().nan_to_num(-1.0)
    if (found < 0).any() or (found >= 8**p).any() or not torch.equal(found.round(), found):
        return ""
    times = torch.stack([found.long() // 8**one % 8 for one in range(p)])
    if (times > 1).any():
        return (
            "Some ranks' numbers are in the sum more than once. On the way back a finished number"
            " replaces what is there; it is not added."
        )
    if rank > 0:
        return "Rank 0 has the sum, and this rank not: the total must find its way back to all."
    if torch.equal(found, torch.full_like(found, 8.0**rank)):
        return "That is this rank's own x: nothing was added."
    return (
        "Some ranks' numbers are missing from the sum: does a rank send on what it has added up,"
        " and not only its own? Is everything added before the way back?"
    )


@exercise("tree_all_reduce", points=2)
def judge_tree(student, rng):
    name = "tree_all_reduce"
    with part("every rank has the sum, for p = 2, 4 and 8", points=0.6):
        for p in (2, 4, 8):
            _judge_sum(student, rng, name, p, int(rng.integers(3, 9)))
    with part("and for any other p, one rank included", points=0.5):
        for p in (3, 1, 5, 6, 7, 9):
            _judge_sum(student, rng, name, p, int(rng.integers(3, 9)))
    with part("2 (p − 1) messages, each the whole of n numbers", points=0.4):
        for p in (2, 3, 4, 6):
            n = int(rng.integers(3, 9))
            reply, given = _all_reduce(student, name, _random(rng, p, n))
            _judge_count(reply, 2 * (p - 1), given)
            lengths = {length for _, _, length, _ in reply["messages"]}
            expect.that(
                lengths == {n},
                "Some messages do not have n numbers.",
                given=given,
                detail=f"Lengths sent: {sorted(lengths)}.",
                diagnosis="In the tree whole tensors travel; chunks are for the ring.",
            )
    with part("pairs work at the same time: as few rounds as doublings of 1 up to p", points=0.5):
        for p in (2, 4, 8, 3, 5, 9):  # where sends that are begun together cost no round
            _judge_rounds(student, rng, name, p)


def _random(rng, p, n):
    return [torch.tensor(rng.normal(size=n), dtype=torch.float32) for _ in range(p)]


def _judge_count(reply, right, given):
    sent = reply["messages"]
    expect.that(
        len(sent) == right,
        "The number of messages is not right.",
        given=given,
        detail=f"expected {right} messages   yours {len(sent)}",
        diagnosis="Up the tree every rank but rank 0 sends once, and down it every rank but rank 0"
        " receives once."
        if sent
        else "No message was sent: use dist.send and dist.recv of the argument `dist`.",
    )
    expect.that(
        all(received for *_, received in sent),
        "A message was sent that nobody received.",
        given=given,
    )


def _judge_rounds(student, rng, name, p):
    n = 4 * int(rng.integers(1, 4))
    reply, given = _all_reduce(student, name, _random(rng, p, n))
    one, rounds = LATENCY + 4 * n / BANDWIDTH, 2 * (p - 1).bit_length()
    took = float(reply["seconds"]) / one
    why = "Which pairs can talk in the same round? A rank must not wait for one it needs no more."
    if p > 3 and abs(took - 2 * (p - 1)) < 0.01:
        why = (
            "One message follows the other. Do all go to rank 0, or along a line from rank to rank?"
            " In a tree, pairs that have nothing to do with each other send at the same time."
        )
    elif took < rounds:
        why = (
            "That is less than the way up and the way down. Two partners that send to each other in"
            " the same round are another algorithm, which needs more messages."
        )
    elif took > rounds:
        sums = "The way back takes as many rounds as the way up: the same pairs, in reverse order."
        why = f"{why} {sums}"
    expect.that(
        took > 0 and abs(took - rounds) < 0.01,
        "It takes another number of rounds than a binary tree.",
        given=given,
        detail=f"expected {rounds} rounds   yours {took:g}, on the simulation's clock",
        diagnosis=why,
    )
    _judge_waited(reply, given)


@exercise("ring_all_reduce", points=2.25)
def judge_ring(student, rng):
    name = "ring_all_reduce"
    with part("every rank has the sum, where n is a multiple of p", points=0.6):
        for p in (2, 4, 3):
            _judge_sum(student, rng, name, p, p * int(rng.integers(1, 4)))
    with part("and where it is not, and for a single rank", points=0.5):
        for p, n in ((2, 5), (3, 7), (4, 6), (4, 7), (3, 5), (1, 3)):
            _judge_sum(student, rng, name, p, n)
    with part("each rank sends 2 (p − 1) chunks to its right neighbour", points=0.6):
        for p in (2, 3, 4):
            _judge_ring_messages(student, rng, p)
    with part("all links work at the same time", points=0.55):
        for p in (2, 3, 4):
            _judge_ring_time(student, rng, p)


def _judge_ring_messages(student, rng, p):
    n = p * int(rng.integers(1, 4)) + p - 1
    reply, given = _all_reduce(student, "ring_all_reduce", _random(rng, p, n))
    by_rank = {rank: [m for m in reply["messages"] if m[0] == rank] for rank in range(p)}
    counts = [len(sent) for sent in by_rank.values()]
    why = "p − 1 steps add, p − 1 steps pass the finished chunks on."
    if counts == [2 * p] * p:
        why += " With p steps a chunk comes round to where it began."
    if not any(counts):
        why = "No message was sent: use dist.isend and dist.recv of the argument `dist`."
    expect.that(
        counts == [2 * (p - 1)] * p,
        "The number of messages is not right.",
        given=given,
        detail=f"Each rank sends {2 * (p - 1)}; yours {counts}.",
        diagnosis=why,
    )
    steps = {(target - source) % p for source, target, _, _ in reply["messages"]}
    expect.that(
        steps == {1},
        "A message goes to another rank than the right neighbour.",
        given=given,
        diagnosis="Right of rank r is (r + 1) % p; what comes, comes from (r − 1) % p.",
    )
    chunks = sorted(len(one) for one in np.array_split(np.zeros(n), p))
    lengths = [length for _, _, length, _ in reply["messages"]]
    right = sorted(chunks * (2 * (p - 1)))
    whole = all(length == n for length in lengths)
    expect.that(
        sorted(lengths) == right,
        "The messages do not have the lengths of the chunks.",
        given=given,
        detail=f"Chunks of {chunks}; lengths sent: {sorted(lengths)}.",
        diagnosis="The whole tensor travels in each step: send one chunk."
        if whole
        else "tensor_split(p) makes pieces that differ by at most one number; every piece travels"
        " 2 (p − 1) times.",
    )


def _judge_ring_time(student, rng, p):
    n = p * int(rng.integers(2, 5))
    reply, given = _all_reduce(student, "ring_all_reduce", _random(rng, p, n))
    one, steps = LATENCY + 4 * (n / p) / BANDWIDTH, 2 * (p - 1)
    took = float(reply["seconds"]) / one
    expect.that(
        took > 0 and abs(took - steps) < 0.01,
        "It takes another time than 2 (p − 1) steps in which all ranks send.",
        given=given,
        detail=f"expected {steps} steps   yours {took:g}, on the simulation's clock",
        diagnosis="A rank that waits for the end of its send before it receives holds up its"
        " neighbour: begin to send with isend, receive, and then wait."
        if took > steps
        else "Are all chunks passed on?",
    )
    _judge_waited(reply, given)


def _judge_waited(reply, given):
    expect.that(
        reply["unwaited"] == 0,
        "A send was begun, and its end never waited for.",
        given=given,
        detail=f"On all ranks together: {reply['unwaited']}.",
        diagnosis="Until request.wait() returns the numbers may still be on their way: they must"
        " not change, and the function must not end.",
    )


@probe
def refused(learner, name, args):
    """The name of the exception that a call raises; "" if it returns."""
    try:
        getattr(learner, name)(*args)
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__
    return ""


@exercise("communication_cost", points=1.25)
def judge_cost(student, rng):
    def judge(algorithm, p, known):
        nbytes, alpha, beta = (float(x) for x in rng.uniform((1e3, 0.1, 1e-4), (1e4, 0.5, 1e-3)))
        whole = alpha + beta * nbytes
        right = {
            "server": 2 * (p - 1) * whole,
            "tree": 2 * math.ceil(math.log2(p)) * whole,
            "ring": 2 * (p - 1) * (alpha + beta * nbytes / p),
        }[algorithm]
        got = student.communication_cost(algorithm, p, nbytes, alpha=alpha, beta=beta)
        given = {"algorithm": algorithm, "p": p, "nbytes": nbytes, "alpha": alpha, "beta": beta}
        knows = {
            "Only one of the two ways is counted: the sum has to get back, too.": right / 2,
            "1 / beta is the bandwidth; beta itself is the time for a byte.": right
            - beta * nbytes * right / whole
            + right / whole * nbytes / beta
            if algorithm != "ring"
            else right / 2,
            "`nbytes` counts bytes already: a number's 4 are in it.": right
            + 3 * beta * nbytes * (right / whole if algorithm != "ring" else 2 * (p - 1) / p),
            **known(p, nbytes, alpha, beta, whole),
        }
        expect.close(got, right, what="the time", given=given, knows=knows, rtol=1e-6)

    with part("the parameter server", points=0.3):
        for p in (2, 8, 5):
            judge(
                "server",
                p,
                lambda p, n, a, b, whole: {
                    "Rank 0 needs no message to itself: there are p − 1 others.": 2 * p * whole,
                    "The latency is paid for each message.": a + 2 * (p - 1) * b * n,
                    "The latency is forgotten.": 2 * (p - 1) * b * n,
                },
            )
    with part("the tree, for powers of two and other p", points=0.4):
        for p in (2, 8, 5, 6, 9, 64):
            log = math.log2(p)
            judge(
                "tree",
                p,
                lambda p, n, a, b, whole, log=log: {
                    "Rounds are whole: a p between two powers of two takes those of the larger.": 2
                    * log
                    * whole,
                    "A p between two powers of two takes one more round: round the logarithm up.": 2
                    * int(log)
                    * whole,
                    "That is as many rounds as messages; in a round many travel at once.": 2
                    * (p - 1)
                    * whole,
                    "A logarithm to the base 2 counts doublings.": 2 * math.log(p) * whole,
                    "That is one round too many each way: 2 ranks need one.": 2
                    * p.bit_length()
                    * whole,
                    "Messages of the tree are not cut: each has nbytes.": 2
                    * (p - 1).bit_length()
                    * (a + b * n / p),
                },
            )
    with part("the ring", points=0.4):
        for p in (8, 2, 5, 64):
            judge(
                "ring",
                p,
                lambda p, n, a, b, whole: {
                    "A step moves one chunk, not the whole: nbytes / p.": 2 * (p - 1) * whole,
                    "2 (p − 1) steps, not 2 p: a chunk need not come back to where it began.": 2
                    * p
                    * (a + b * n / p),
                    "Every step pays the latency.": a + 2 * (p - 1) * b * n / p,
                    "The latency is forgotten.": 2 * (p - 1) * b * n / p,
                    "1 / beta is the bandwidth; beta itself is the time for a byte.": 2
                    * (p - 1)
                    * (a + n / p / b),
                    "Messages of one step travel at the same time: count the step once.": 2
                    * p
                    * (p - 1)
                    * (a + b * n / p),
                    "A chunk is nbytes / p here, also where that is no whole number.": 2
                    * (p - 1)
                    * (a + b * math.ceil(n / p)),
                    "The latency does not shrink with the chunk: only bytes are divided by p.": 2
                    * (p - 1)
                    * whole
                    / p,
                },
            )
    with part("an unknown algorithm is a ValueError", points=0.15):
        kind = refused(student, "communication_cost", ["star", 4, 100.0, 0.1, 0.01])
        expect.that(
            kind == "ValueError",
            "An algorithm that does not exist is not refused with ValueError.",
            detail=f'For algorithm = "star": {kind or "no exception"}.',
            diagnosis="An answer to a misspelt name is worse than none: raise ValueError(…).",
        )


@exercise("read_the_link", points=1)
def judge_reading(student, rng):
    with part("tiny_winner", points=0.3):
        wrong = {
            "server": "For 4 bytes only the latency counts. How many messages follow one another?",
            "ring": "For 4 bytes only the latency counts, and the ring has the most steps"
            " that follow one another. Look at the left end of the right picture in section 5.",
        }
        expect.choice(student, "tiny_winner", "tree", wrong)
    with part("ring_growth", points=0.4):
        known = {
            "Eight times the ranks, but each step moves an eighth: put both into the formula.": 8.0,
            "That is the ratio of the steps. How large is a chunk in each?": 63 / 7,
            "Nearly, but not quite: (p − 1)/p still grows a little.": 1.0,
            "Upside down: how much longer does it take with 64?": 8 / 9,
        }
        how = "Put α = 0 into the ring's formula, for p = 64 and p = 8, and divide."
        expect.answer(student, "ring_growth", 1.125, known, how, rtol=0.02)
    with part("no_difference", points=0.3):
        wrong = {
            "a": "It does, and it did so on the wire, too, where equal sums took unequal times.",
            "b": "Make `numbers` larger in `timed` and run it again: does it change?",
            "d": "gloo saw sends and receives only; your functions decided who talks to whom.",
        }
        expect.choice(student, "no_difference", "c", wrong)


@probe
def averaged(learner, name, p, weights, tokens, targets, uses, extra):
    """Each rank's gradients after the learner's averaging, on simulated ranks."""
    import torch
    import torch.nn.functional as F

    from utils.ranks import RankError
    from utils.ranks.simulated import simulate

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            d, h = weights["words.weight"].shape
            self.words = torch.nn.Embedding(d, h)
            self.mix = torch.nn.Linear(h, h)
            self.fixed = torch.nn.Linear(h, h)
            self.side = torch.nn.Linear(h, h)
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
        return {
            "gradients": {
                key: "none" if one.grad is None else one.grad for key, one in parameters.items()
            },
            "weights": {key: one.detach() for key, one in parameters.items()},
        }

    try:
        found = simulate(job, p)
    except RankError as error:
        return {"reason": error.reason, "text": str(error)}
    return {"ranks": found.results, "reductions": found.reductions}


_MODEL = "For an embedding tied to the output layer, a frozen layer, and a layer `side`."


class _Case:
    """A model and a shard for each rank, with the right gradients."""

    def __init__(self, rng, p, uses):
        d, h, n = 7, 4, 6
        shapes = {"words.weight": (d, h)}
        for layer in ("mix", "fixed", "side"):
            shapes |= {f"{layer}.weight": (h, h), f"{layer}.bias": (h,)}
        self.p, self.uses = p, uses
        self.weights = {key: torch.tensor(rng.normal(size=s)) for key, s in shapes.items()}
        self.tokens, self.targets = (torch.tensor(rng.integers(d, size=(p, n))) for _ in range(2))
        self.shards = [self._gradients(rank) for rank in range(p)]
        self.trained = [key for key in self.weights if not key.startswith("fixed")]

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

    def mean(self, key):
        return torch.stack([shard[key] for shard in self.shards]).mean(dim=0)

    def reply(self, student, name, *extra):
        given = f"{_MODEL[:-1]}, on p = {self.p} ranks."
        inputs = self.p, self.weights, self.tokens, self.targets, [int(u) for u in self.uses]
        reply = averaged(student, name, *inputs, list(extra))
        if reply.get("reason") == "deadlock":
            raise Fault(
                "exception",
                f"`{name}` never ends: not all ranks call all_reduce equally often.",
                "A rank that has no gradient for a parameter must still take part, with zeros:"
                " the others wait for it.",
                detail=reply["text"],
                given=given,
            )
        return _ran(reply, name, given), given

    def judge(self, reply, given, keys):
        for rank, found in enumerate(reply["ranks"]):
            for key in keys:
                self._judge_one(found["gradients"][key], key, rank, given)
            for key, right in self.weights.items():
                expect.that(
                    torch.equal(found["weights"][key], right),
                    "The weights were changed.",
                    given=given,
                    diagnosis="It is the gradients that are averaged; the optimizer moves the"
                    " weights afterwards.",
                )

    def _judge_one(self, got, key, rank, given):
        if type(got) is str:
            raise Fault(
                "value",
                "A trainable parameter has no gradient afterwards.",
                "Where a rank lacks a gradient, it takes part with zeros, and gets the mean.",
                detail=f"`{key}`, rank {rank}.",
                given=given,
            )
        right, own = self.mean(key), self.shards[rank][key]
        having = sum(self.uses) if key.startswith("side") else self.p
        knows = {
            "That is the mean over the ranks that had a gradient: divide by the number of all."
            if 1 < having < self.p
            else "": self.p / having * right,
            "That is the sum over the ranks: divide by their number.": self.p * right,
            "That is this rank's own gradient: nothing was averaged. Is what all_reduce gives put"
            " back into .grad?": own,
            "That is divided by the number of ranks twice.": right / self.p,
            "That is this rank's own gradient, divided.": own / self.p,
        }
        what = f"`{key}`.grad on rank {rank}"
        try:
            expect.close(got, right, what=what, given=given, knows=knows, rtol=1e-9, atol=1e-12)
        except Fault as fault:
            fault.message = fault.message.replace(what, "a gradient").capitalize()
            fault.message = fault.message.replace("A gradient", "A parameter's gradient")
            fault.detail = f"{what}. {fault.detail}".strip()
            raise


@exercise("average_gradients", points=1.25)
def judge_average(student, rng):
    name, plain = "average_gradients", ["mix.weight", "mix.bias"]
    with part("the mean over all ranks, which is the whole batch's gradient", points=0.5):
        for p in (2, 3, 4):
            case = _Case(rng, p, [True] * p)
            case.judge(*case.reply(student, name), plain)
    with part("frozen parameters are left out, tied ones sent once", points=0.4):
        case = _Case(rng, 3, [True] * 3)
        reply, given = case.reply(student, name)
        case.judge(reply, given, case.trained)
        _judge_frozen(reply, given)
        right = sum(case.weights[key].numel() for key in case.trained)
        sent, tied = sum(reply["reductions"]), case.weights["words.weight"].numel()
        why = "One all_reduce for each parameter that requires a gradient."
        if sent == right + tied:
            why = "The tied parameter is reduced twice: model.parameters() gives it once."
        expect.that(
            sent == right,
            "The all_reduces take more or fewer numbers than there are gradients.",
            given=given,
            detail=f"expected {right} numbers   yours {sent}",
            diagnosis=why,
        )
    with part("a gradient that some ranks lack counts as zeros there", points=0.35):
        for uses in ([False, True, True], [True, False], [False, False, True]):
            case = _Case(rng, len(uses), uses)
            case.judge(*case.reply(student, name), case.trained)


def _judge_frozen(reply, given):
    for found in reply["ranks"]:
        expect.that(
            all(type(found["gradients"][f"fixed.{kind}"]) is str for kind in ("weight", "bias")),
            "A frozen parameter has a gradient afterwards.",
            given=given,
            diagnosis="Leave out what does not require a gradient: an optimizer moves whatever has"
            " one, if only by its weight decay.",
        )


@exercise("bucketed_all_reduce", points=1.25)
def judge_buckets(student, rng):
    name = "bucketed_all_reduce"
    with part("the same gradients as exercise 5", points=0.5):
        for uses, size in (([True] * 2, 10**6), ([True] * 3, 300), ([False, True, True], 200)):
            case = _Case(rng, len(uses), uses)
            reply, given = case.reply(student, name, size)
            given = f"{given[:-1]}, bucket_bytes = {size}."
            case.judge(reply, given, case.trained)
            _judge_frozen(reply, given)
    with part("buckets are filled from the last parameter on, up to bucket_bytes", points=0.5):
        for size in (10**6, 320, 384, 200):
            _judge_bucket_sizes(student, rng, size)
    with part("a gradient larger than a bucket travels alone", points=0.25):
        for size in (160, 190):
            _judge_bucket_sizes(student, rng, size)


def _judge_bucket_sizes(student, rng, size):
    case = _Case(rng, 2, [True, True])
    reply, given = case.reply(student, "bucketed_all_reduce", size)
    lengths = [case.weights[key].numel() for key in case.trained]
    right, got = _packed(lengths[::-1], size), list(reply["reductions"])
    ending = "Empty buckets need no message." if 0 in got else ""
    known = {
        tuple(_packed(lengths[::-1], size - 1)): "A gradient that fills the bucket exactly still"
        " fits in.",
        tuple(_packed(lengths, size)): "Those are the buckets from the first parameter on: begin"
        " with the last, whose gradient is there first.",
        tuple(right[:-1]): "The last bucket, not full, is still to be sent.",
        tuple(lengths): "That is one message for each gradient.",
        tuple(lengths[::-1]): "That is one message for each gradient.",
        tuple(_packed(lengths[::-1], 8 * size)): "bucket_bytes counts bytes: a float64 number has"
        " 8 of them (g.nbytes).",
        tuple(_packed(lengths[::-1], 2 * size)): "A number need not have 4 bytes: these have 8"
        " (g.nbytes).",
        tuple(_overfull(lengths[::-1], size)): "A bucket is closed before a gradient makes it too"
        " large, not after.",
        (sum(lengths),): "All are in one bucket. Is bucket_bytes the limit, and does it count bytes"
        " (g.nbytes)? A float64 number has 8.",
    }
    how = (
        "Add gradients while they fit; then send, and begin a new bucket with the one that did not."
    )
    expect.that(
        got == right,
        "The all_reduces are not those of the buckets.",
        given=f"{given[:-1]}, bucket_bytes = {size}; float64 gradients, last first, of"
        f" {lengths[::-1]} numbers.",
        detail=f"Numbers in each all_reduce: expected {right}, yours {got}.",
        diagnosis=known.get(tuple(got), "") or ending or how,
    )


def _packed(lengths, size):
    buckets = []
    for n in lengths:
        if buckets and 8 * (buckets[-1] + n) <= size:
            buckets[-1] += n
        else:
            buckets.append(n)
    return buckets


def _overfull(lengths, size):
    buckets, full = [], True
    for n in lengths:
        if full:
            buckets.append(0)
        buckets[-1] += n
        full = 8 * buckets[-1] >= size
    return buckets


@exercise("learning_rate_at", points=1)
def judge_rate(student, rng):
    def judge(step, warmup, factor=None):
        base_batch = int(rng.integers(2, 9)) * 8
        batch = int(base_batch * (factor or int(rng.integers(3, 12))))
        base = float(rng.uniform(0.01, 0.2))
        scaled = base * batch / base_batch
        share = min(step / warmup, 1.0) if warmup else 1.0
        right = base + (scaled - base) * share
        inputs = {"base_rate": base, "base_batch": base_batch, "batch": batch}
        got = student.learning_rate_at(step, **inputs, warmup_steps=warmup)
        knows = {
            "That grows from 0; it begins at base_rate.": scaled * share,
            "The steps are counted from 0: at step 0 it is base_rate itself.": base
            + (scaled - base) * min((step + 1) / max(warmup, 1), 1.0),
            "That grows from 0 and counts from 1; at step 0 it is base_rate.": scaled
            * min((step + 1) / max(warmup, 1), 1.0),
            "That grows by a factor in each step; asked for is a straight line.": base
            * (batch / base_batch) ** share,
            "// cuts off what is not whole: divide with /.": base
            + (base * (batch // base_batch) - base) * share,
            "The rate is not scaled with the batch.": base,
            "That is the scaled rate at once: where is the warm-up?": scaled,
            "That scales with the root of the batch; the rule is linear.": base
            * math.sqrt(batch / base_batch),
            "After the warm-up it stays: the line does not go on.": base
            + (scaled - base) * step / max(warmup, 1),
            "Upside down: a larger batch takes a larger rate.": base * base_batch / batch,
            "The line goes to the scaled rate, not on top of base_rate.": base + scaled * share,
        }
        given = {"step": step, **inputs, "warmup_steps": warmup}
        expect.close(got, right, what="the rate", given=given, knows=knows, rtol=1e-6)

    with part("after the warm-up: scaled with the batch", points=0.35):
        for step in (10, 11, 500):
            judge(step, 10)
        judge(12, 10, factor=2.5)
    with part("in the warm-up: a straight line from base_rate", points=0.4):
        warmup = int(rng.integers(8, 20))
        for step in (0, 1, warmup // 2, warmup - 1):
            judge(step, warmup)
    with part("without warm-up, scaled from the first step", points=0.25):
        for step in (0, 3):
            judge(step, 0)
