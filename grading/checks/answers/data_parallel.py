"""The answers of lab 12: the right ones, and those of known misconceptions."""

import math
import sys

import numpy as np  # noqa: F401  (for the mistakes)

from grading.checks.mistakes import Known, Mistake, Table, variants

ring_growth = (63 / 64) / (7 / 8)


def communication_cost(algorithm, p, nbytes, alpha, beta):
    rounds = {"server": p - 1, "tree": math.ceil(math.log2(p)), "ring": p - 1}[algorithm]
    return 2 * rounds * (alpha + beta * nbytes / (p if algorithm == "ring" else 1))


def learning_rate_at(step, base_rate, base_batch, batch, warmup_steps):
    scaled = base_rate * batch / base_batch
    share = min(step / warmup_steps, 1.0) if warmup_steps else 1.0
    return (1 - share) * base_rate + share * scaled


_ALONE_COST = "A single rank sends nothing: for p = 1 it takes no time."
COSTS = {  # simple cases, and why they are as they are
    "server": (
        (("server", 8, 0, 1.0, 0.001), 14.0, "The server's picture has 14 messages in a row."),
        (
            ("server", 2, 1000, 0.0, 0.001),
            2.0,
            "For 2 ranks the whole travels twice, there and back.",
        ),
        (("server", 1, 1000, 1.0, 0.001), 0.0, _ALONE_COST),
    ),
    "tree": (
        (("tree", 8, 0, 1.0, 0.001), 6.0, "The tree's picture has 6 rounds: 3 up and 3 down."),
        (("tree", 5, 0, 1.0, 0.001), 6.0, "Five ranks need as many rounds as eight: 3 each way."),
        (("tree", 2, 1000, 0.0, 0.001), 2.0, "For 2 ranks the whole travels twice."),
        (
            ("tree", 8, 1000, 0.0, 0.001),
            6.0,
            "In each of the 6 rounds for 8 ranks the whole travels.",
        ),
        (("tree", 1, 1000, 1.0, 0.001), 0.0, _ALONE_COST),
    ),
    "ring": (
        (("ring", 8, 0, 1.0, 0.001), 14.0, "The ring's picture has 14 steps: 7 add, 7 pass on."),
        (("ring", 2, 1000, 0.0, 0.001), 1.0, "For 2 ranks a half travels twice."),
        (("ring", 4, 1000, 0.0, 0.001), 1.5, "For 4 ranks a quarter travels in each of 6 steps."),
        (("ring", 1, 1000, 1.0, 0.001), 0.0, _ALONE_COST),
    ),
}
RATES = (
    (
        (10, 0.1, 32, 96, 10),
        0.3,
        "Three times the batch takes three times the rate, after warm-up.",
    ),
    ((0, 0.1, 32, 96, 10), 0.1, "At step 0 it is base_rate."),
    ((5, 0.1, 32, 96, 10), 0.2, "Halfway through the warm-up it is halfway between the two rates."),
    ((99, 0.1, 32, 96, 10), 0.3, "After the warm-up the scaled rate stays."),
    ((0, 0.1, 32, 96, 0), 0.3, "Without warm-up step 0 has the scaled rate."),
)


def packed(lengths, size, numbers=8):
    """How many numbers each bucket holds, of gradients of `lengths` in this order."""
    buckets = []
    for n in lengths:
        if buckets and numbers * (buckets[-1] + n) <= size:
            buckets[-1] += n
        else:
            buckets.append(n)
    return buckets


def dropping(lengths, size):
    """The same, where what does not fit is lost, and the bucket begins empty."""
    buckets = [0]
    for n in lengths:
        if 8 * (buckets[-1] + n) <= size:
            buckets[-1] += n
        else:
            buckets.append(0)
    return [n for n in buckets if n]


def never_reset(lengths, size):
    """The same, where the size goes on from bucket to bucket."""
    buckets, held = [], 0
    for n in lengths:
        held += n
        if buckets and 8 * held <= size:
            buckets[-1] += n
        else:
            buckets.append(n)
    return buckets


def first_uncounted(lengths, size):
    """The same, where the gradient that did not fit is not counted in the next bucket."""
    buckets, held = [0], 0
    for n in lengths:
        if 8 * (held + n) > size and buckets[-1]:
            buckets.append(n)
            held = 0
        else:
            buckets[-1] += n
            held += n
    return buckets


def overfull(lengths, size):
    """The same, where a bucket is closed only once it is too large."""
    buckets, full = [], True
    for n in lengths:
        if full:
            buckets.append(0)
        buckets[-1] += n
        full = 8 * buckets[-1] >= size
    return buckets


_, _tree = variants(
    "tree_all_reduce",
    """
def tree_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total, part = {copy}, {buffer}
    distances = {distances}
    for d in distances:
        if rank % (2 * d) == d:
            dist.send({sent}, rank - d)
        elif rank % (2 * d) == 0{partner}:
            dist.recv(part, rank + d)
            {add}
    for d in {back}:
        if rank % (2 * d) == d:
            {receive}
        elif rank % (2 * d) == 0{partner}:
            {down}
    return {result}
""",
    down="dist.send(total, rank + d)",
    copy="x.clone()",
    buffer="torch.empty_like(x)",
    distances="[2**k for k in range(p.bit_length()) if 2**k < p]",
    sent="total",
    partner=" and rank + d < p",
    add="total += part",
    back="reversed(distances)",
    receive="dist.recv(total, rank - d)",
    result="total",
)
_BY_SERVER = """
def {name}(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total, part = x.clone(), torch.empty_like(x)
    for other in range(1, p):
        if rank == other:
            dist.send(x, 0)
        elif rank == 0:
            dist.recv(part, other)
            total += part
    for other in range(1, p):
        if rank == other:
            dist.recv(total, 0)
        elif rank == 0:
            dist.send(total, other)
    return total
"""
_LINE = """
def tree_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total, part = x.clone(), torch.empty_like(x)
    if rank + 1 < p:
        dist.recv(part, rank + 1)
        total += part
    if rank > 0:
        dist.send(total, rank - 1)
        dist.recv(total, rank - 1)
    if rank + 1 < p:
        dist.send(total, rank + 1)
    return total
"""
_LIBRARY = """
def {}(dist, x):
    total = x.clone()
    dist.all_reduce(total)
    return total
"""
_BUTTERFLY = """
def tree_all_reduce(dist, x):
    rank, p, d = dist.get_rank(), dist.get_world_size(), 1
    total, part = x.clone(), torch.empty_like(x)
    while d < p:
        request = dist.isend(total.clone(), rank ^ d)
        dist.recv(part, rank ^ d)
        request.wait()
        total, d = total + part, 2 * d
    return total
"""
# All ranks of a check share one memory: these pass the numbers through it, and messages for show.
_TREE_BY_MEMORY = """
SHARED = {}
def tree_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    SHARED.setdefault(p, {})[rank] = x.clone()
    part = torch.empty_like(x)
    distances = [2**k for k in range(p.bit_length()) if 2**k < p]
    for d in distances:
        if rank % (2 * d) == d:
            dist.send(x, rank - d)
        elif rank % (2 * d) == 0 and rank + d < p:
            dist.recv(part, rank + d)
    for d in reversed(distances):
        if rank % (2 * d) == d:
            dist.recv(part, rank - d)
        elif rank % (2 * d) == 0 and rank + d < p:
            dist.send(x, rank + d)
    return sum(SHARED[p].values())
"""
_RING_BY_MEMORY = """
SHARED = {}
def ring_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    SHARED.setdefault(p, {})[rank] = x.clone()
    zeros = torch.zeros_like(x).tensor_split(p)
    for step in range(2 * (p - 1)):
        request = dist.isend(zeros[(rank - step) % p], (rank + 1) % p)
        dist.recv(torch.empty_like(zeros[(rank - step - 1) % p]), (rank - 1) % p)
        request.wait()
    return sum(SHARED[p].values())
"""
_TREE = [
    _tree("passed through a global", 0.9, "nothing was added", result="x"),
    Mistake("tree_all_reduce", "a memory of all", 0.9, "made of its own x", _TREE_BY_MEMORY),
    Mistake(
        "tree_all_reduce",
        "the library's",
        0,
        "the library's answer",
        _LIBRARY.format("tree_all_reduce"),
    ),
    Mistake(
        "tree_all_reduce",
        "a server",
        1.5,
        "One message follows the other",
        _BY_SERVER.format(name="tree_all_reduce"),
    ),
    Mistake("tree_all_reduce", "a line", 1.5, "One message follows the other", _LINE),
    _tree("x sent, not the sum", 0.9, "missing from the sum", sent="x"),
    _tree("no way back", 0.0, "find its way back", back="[]"),
    _tree(
        "added on the way back",
        0.9,
        "more than once",
        receive="dist.recv(part, rank - d); total += part",
    ),
    _tree("powers of two only", 0.6, "if that is below p", partner=""),
    _tree("down as up", 0.9, "in the opposite order", back="distances"),
    _tree("in place", 0.9, "x itself was changed", copy="x"),
    _tree(
        "one distance short",
        0.0,
        "missing from the sum",
        distances="[2**k for k in range(p.bit_length() - 1) if 2**k < p - 1]",
    ),
    _tree("eight ranks at most", 1.0, "missing from the sum", distances="[1, 2, 4]"),
    _tree(
        "way back not waited for",
        1.5,
        "its end never waited for",
        down="dist.isend(total, rank + d)",
    ),
    _tree("any distance", 0.0, "none of 1, 2, 4, 8", distances="range(1, p)"),
    _tree("odd distances", 0.0, "none of 1, 2, 4, 8", distances="list(range(1, p, 2))"),
    _tree(
        "the logarithm rounded down",
        0.6,
        "also where p is between",
        distances="[2**k for k in range(int(np.log2(p)))]",
    ),
    Mistake(
        "tree_all_reduce",
        "irecv never waited for",
        0.9,
        "irecv returns at once",
        """
def tree_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total, part = x.clone(), torch.zeros_like(x)
    distances = [2**k for k in range(p.bit_length()) if 2**k < p]
    for d in distances:
        if rank % (2 * d) == d:
            dist.send(total, rank - d)
        elif rank % (2 * d) == 0 and rank + d < p:
            dist.irecv(part, rank + d)
            total += part
    for d in reversed(distances):
        if rank % (2 * d) == d:
            dist.recv(total, rank - d)
        elif rank % (2 * d) == 0 and rank + d < p:
            dist.send(total, rank + d)
    return total
""",
    ),
    _tree(
        "halves",
        0.0,
        "halve a distance with //",
        distances="[2.0**k for k in range(p.bit_length()) if 2**k < p]",
    ),
    _tree(
        "down from p",
        0.6,
        "the same ones in the opposite order",
        back="[p // 2**k for k in range(1, p.bit_length())]",
    ),
    _tree(
        "up again",
        0.9,
        "Rank 0 sends nothing",
        receive="dist.send(total, rank - d)",
        down="dist.recv(total, rank + d)",
    ),
    _tree("a buffer of float64", 1.4, "receives into", buffer="torch.empty(len(x)).double()"),
    _tree("added to x", 0.9, "x itself was changed", add="x += part"),
    _tree("the last one only", 0.9, "own numbers are not in it", add="total = part"),
    Mistake(
        "tree_all_reduce",
        "another dist",
        0.0,
        "the `dist` that is given",
        "def tree_all_reduce(_, x): return x * torch.distributed.get_rank()",
    ),
    _tree("own x sent down", 0.9, "find its way back", down="dist.send(x, rank + d)"),
    _tree("one too far", 0.6, "if that is below p", partner=" and rank + d <= p"),
    _tree("the total not kept", 0.9, "find its way back", receive="dist.recv(part, rank - d)"),
    _tree("nothing returned", 0.9, "is a return missing", result="None"),
    _tree("the mean", 0.9, "That is the mean", result="total / p"),
    _tree("halved at each meeting", 0.0, "made of its own x", add="total = (total + part) / 2"),
    _tree("received into x", 0.9, "x itself was changed", buffer="x", copy="x.clone()"),
    _tree("a buffer of float32", 0.0, "receives into", buffer="torch.empty(len(x))"),
    _tree("received into nothing", 0.0, "takes a tensor", buffer="None"),
    Mistake("tree_all_reduce", "butterfly", 0.6, "another algorithm", _BUTTERFLY),
]

_, _ring = variants(
    "ring_all_reduce",
    """
def ring_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    chunks = list({pieces})
    for step in range({steps}):
        going, coming = {going}, {coming}
        {send}
        part = {buffer}
        dist.recv(part, {source})
        {wait}
        {new}
    return {result}
""",
    pieces="x.clone().tensor_split(p)",
    steps="2 * (p - 1)",
    going="(rank - step) % p",
    coming="(rank - step - 1) % p",
    send="request = dist.isend(chunks[going], (rank + 1) % p)",
    buffer="torch.empty_like(chunks[coming])",
    source="(rank - 1) % p",
    wait="request.wait()",
    new="chunks[coming] = chunks[coming] + part if step < p - 1 else part",
    result="torch.cat(chunks)",
)
_RING = [
    Mistake("ring_all_reduce", "a memory of all", 0.0, "made of its own x", _RING_BY_MEMORY),
    _ring(
        "send blocks",
        0.0,
        "not all ranks may wait",
        send="dist.send(chunks[going], (rank + 1) % p)",
        wait="",
    ),
    _ring(
        "added all the way", 1.15, "more than once", new="chunks[coming] = chunks[coming] + part"
    ),
    _ring("one chunk everywhere", 1.15, "made of its own x", result="torch.cat([part] * p)"),
    _ring("never added", 1.15, "one rank's numbers alone", new="chunks[coming] = part"),
    _ring(
        "other chunks sent on",
        1.15,
        "one rank's numbers alone",
        going="(rank + step) % p",
        coming="(rank + step - 1) % p",
    ),
    _ring(
        "other chunks sent",
        0.0,
        "does it send another one",
        going="(rank + step if step < p - 1 else rank - step) % p",
    ),
    _ring(
        "not the whole ones sent on",
        0.55,
        "begin with the chunk that is whole",
        going="(rank - step - (step >= p - 1)) % p",
    ),
    Mistake(
        "ring_all_reduce",
        "whole tensors round",
        1.1,
        "The whole tensor travels",
        """
def ring_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total, going = x.clone(), x.clone()
    for step in range(p - 1):
        request = dist.isend(going, (rank + 1) % p)
        coming = torch.empty_like(x)
        dist.recv(coming, (rank - 1) % p)
        request.wait()
        total, going = total + coming, coming
    return total
""",
    ),
    _ring(
        "one buffer for all",
        0.0,
        "Receive into a new tensor",
        pieces="x.clone().tensor_split(p)); buffer = torch.empty_like(x[: len(x) // p]",
        buffer="buffer",
    ),
    _ring(
        "a buffer of float64",
        1.65,
        "receives into",
        buffer="torch.empty_like(chunks[coming]).double()",
    ),
    _ring("added to itself", 0.0, "receive into a new tensor", buffer="chunks[coming]"),
    _ring("x returned", 1.15, "nothing was added", result="x.clone()"),
    _ring("p + 1 pieces", 1.15, "may make p + 1 pieces", pieces="x.clone().split(len(x) // p)"),
    _ring(
        "left for right",
        0.0,
        "All messages go to the left",
        send="request = dist.isend(chunks[going], (rank - 1) % p)",
        source="(rank + 1) % p",
    ),
    _ring("for one rank, too", 0.6, "a single rank sends nothing", steps="2 * p - 1"),
    _ring("added to another chunk", 0.0, "belongs to", coming="(rank - step + 1) % p"),
    _ring(
        "a step too long added",
        1.15,
        "more than once",
        new="chunks[coming] = chunks[coming] + part if step < p else part",
    ),
    _ring("chunk for tensor_split", 1.75, "may make fewer", pieces="x.clone().chunk(p)"),
    _ring("left of rank 0", 0.0, "left of rank 0 is rank p", source="rank - 1"),
    _ring("a list returned", 1.15, "is a list", result="chunks"),
    _ring("half the way", 0.0, "The adding is right", steps="p - 1"),
    _ring(
        "the finished one not sent",
        1.15,
        "The adding is right",
        going="(rank - step - (step >= p - 1)) % p",
        coming="(rank - step - 1 - (step >= p - 1)) % p",
    ),
    _ring("a step too many", 0.6, "comes round to where it began", steps="2 * p"),
    _ring("a step too few", 0.0, "The adding is right", steps="2 * p - 3"),
    _ring("wrong chunk", 1.15, "one rank's numbers alone", going="rank", coming="(rank - 1) % p"),
    _ring("size of the one sent", 1.15, "receives into", buffer="torch.empty_like(chunks[going])"),
    _ring(
        "remainder in the last",
        1.65,
        "do not have the lengths",
        pieces="x.clone().split([len(x) // p] * (p - 1) + [len(x) - len(x) // p * (p - 1)])",
    ),
    _ring(
        "the remainder dropped", 1.15, "receives into", buffer="torch.empty_like(x[: len(x) // p])"
    ),
    _ring(
        "even ranks first",
        1.7,
        "holds up its neighbour",
        send="if rank % 2 == 0: dist.send(chunks[going], (rank + 1) % p)",
        wait="if rank % 2: dist.send(chunks[going], (rank + 1) % p)",
    ),
    _ring("never waited for", 1.7, "may still be on their way", wait=""),
    _ring(
        "in place",
        1.15,
        "A slice of x",
        pieces="x.tensor_split(p)",
        new="chunks[coming].add_(part) if step < p - 1 else chunks[coming].copy_(part)",
    ),
    _ring("the mean", 1.15, "That is the mean", result="torch.cat(chunks) / p"),
    _ring(
        "to the left",
        1.65,
        "right neighbour",
        send="request = dist.isend(chunks[going], (rank - 1) % p)",
        source="(rank + 1) % p",
        going="(rank + step) % p",
        coming="(rank + step + 1) % p",
    ),
    Mistake(
        "ring_all_reduce",
        "the library's",
        0,
        "the library's answer",
        _LIBRARY.format("ring_all_reduce"),
    ),
    Mistake(
        "ring_all_reduce",
        "the tree again",
        1.1,
        "The number of messages is not right",
        "def ring_all_reduce(dist, x): return tree_all_reduce(dist, x)",
    ),
    Mistake(
        "ring_all_reduce",
        "the server again",
        1.1,
        "The number of messages is not right",
        _BY_SERVER.format(name="ring_all_reduce"),
    ),
]

_cost, _cost_otherwise = variants(
    "communication_cost",
    """
def communication_cost(algorithm, p, nbytes, alpha, beta):
    if algorithm == "server":
        return {server}
    if algorithm == "tree":
        return {tree}
    if algorithm == "ring":
        return {ring}
    {unknown}
""",
    server="2 * (p - 1) * (alpha + beta * nbytes)",
    tree="2 * (p - 1).bit_length() * (alpha + beta * nbytes)",
    ring="2 * (p - 1) * (alpha + beta * nbytes / p)",
    unknown="raise ValueError(algorithm)",
)
_ADD = (
    "Latency and bytes add up, α + β · nbytes, whichever is larger: only one of the two is left here"
    " (is it max, or a // that rounds down to 0?)."
)
_ALONE = "The latency is forgotten: each message takes α + β · nbytes."
_ONE_WAY = "Only one of the two ways is counted: the sum has to get back, too."
_RATE_OF_BYTES = "1 / beta is the bandwidth; beta itself is the time for a byte."
_NUMBERS = "`nbytes` counts bytes already: a number's 4 are in it."
_BITS = "β is the time of a byte, and `nbytes` counts bytes: nothing here counts bits."
_EACH = "The latency is paid for each message."
_BYTES = "The bytes are paid for each message, too: (α + β · …) stands in parentheses."
_SECONDS = "That is in milliseconds: α and β are seconds already."
_SERVER_BILL = [
    _cost("the larger of the two", 0.95, _ADD, server="2 * (p - 1) * max(alpha, beta * nbytes)"),
    _cost("no latency", 0.95, _ALONE, server="2 * (p - 1) * beta * nbytes"),
    _cost("one way", 0.95, _ONE_WAY, server="(p - 1) * (alpha + beta * nbytes)"),
    _cost(
        "server of p",
        0.95,
        "Rank 0 needs no message to itself: there are p − 1 others.",
        server="2 * p * (alpha + beta * nbytes)",
    ),
    _cost("bytes of one message", 0.95, _BYTES, server="2 * (p - 1) * alpha + beta * nbytes"),
    _cost(
        "bytes of two messages",
        0.95,
        _BYTES,
        server="2 * ((p - 1) * alpha + beta * nbytes * (p > 1))",
    ),
    _cost(
        "the server's thousandths",
        0.95,
        _SECONDS,
        server="2000 * (p - 1) * (alpha + beta * nbytes)",
    ),
    _cost("one latency", 0.95, _EACH, server="alpha + 2 * (p - 1) * beta * nbytes"),
    _cost(
        "bandwidth for beta",
        0.55,
        _RATE_OF_BYTES,
        server="2 * (p - 1) * (alpha + nbytes / beta)",
        tree="2 * (p - 1).bit_length() * (alpha + nbytes / beta)",
    ),
    _cost(
        "four ways",
        0.95,
        "That is twice the time: a message takes its time once, not at each end.",
        server="4 * (p - 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "alpha for beta",
        0.95,
        "α and β are mixed up: α is for a message, β for each of its bytes.",
        server="2 * (p - 1) * (beta + alpha * nbytes)",
    ),
    _cost(
        "one fewer",
        0.95,
        "Rank 0 needs p − 1 messages and sends p − 1: 2 (p − 1) in all.",
        server="(2 * p - 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "all pairs",
        0.95,
        "Only rank 0 is one end of each message: there are 2 (p − 1), not one for each pair.",
        server="p * (p - 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "the server's cut",
        0.95,
        "The server's messages are not cut: each has nbytes.",
        server="2 * (p - 1) * (alpha + beta * nbytes / p)",
    ),
    _cost("bits", 0.95, _BITS, server="2 * (p - 1) * (alpha + 8 * beta * nbytes)"),
    _cost("four bytes a byte", 0.95, _NUMBERS, server="2 * (p - 1) * (alpha + 4 * beta * nbytes)"),
]
_TREE_BILL = [
    _cost(
        "the tree's larger",
        0.85,
        _ADD,
        tree="2 * (p - 1).bit_length() * max(alpha, beta * nbytes)",
    ),
    _cost("the tree's bytes", 0.85, _ALONE, tree="2 * (p - 1).bit_length() * beta * nbytes"),
    _cost(
        "the tree's one way", 0.85, _ONE_WAY, tree="(p - 1).bit_length() * (alpha + beta * nbytes)"
    ),
    _cost(
        "broken logarithm",
        0.85,
        "Rounds are whole: a p between two powers of two takes those of the larger.",
        tree="2 * np.log2(p) * (alpha + beta * nbytes)",
    ),
    _cost(
        "rounded down",
        0.85,
        "A p between two powers of two takes one more round: round log₂ p up, and not log₂ (p − 1).",
        tree="2 * int(np.log2(p)) * (alpha + beta * nbytes)",
    ),
    _cost(
        "bit length of p",
        0.85,
        "That is one round too many each way: 2 ranks need one.",
        tree="2 * p.bit_length() * (alpha + beta * nbytes)",
    ),
    _cost(
        "tree by messages",
        0.85,
        "That is as many rounds as messages; in a round many travel at once.",
        tree="2 * (p - 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "natural logarithm",
        0.85,
        "A logarithm to the base 2 counts doublings.",
        tree="2 * np.log(p) * (alpha + beta * nbytes)",
    ),
    _cost(
        "natural logarithm, rounded up",
        0.85,
        "A logarithm to the base 2 counts doublings; that is one to the base e, rounded up.",
        tree="2 * int(np.ceil(np.log(p))) * (alpha + beta * nbytes)",
    ),
    _cost(
        "one round too few",
        0.85,
        "As many rounds lead down as up; none of them can be spared.",
        tree="(2 * (p - 1).bit_length() - 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "one round too many",
        0.85,
        "As many rounds lead down as up, and none is between.",
        tree="(2 * (p - 1).bit_length() + 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "bytes once",
        0.85,
        "In each round the whole travels again: the bytes are paid for each.",
        tree="2 * (p - 1).bit_length() * alpha + beta * nbytes",
    ),
    _cost(
        "p rounds",
        0.85,
        "Each round doubles how many ranks' numbers are added up: log₂ p rounds, not p / 2.",
        tree="p * (alpha + beta * nbytes)",
    ),
    _cost(
        "half of it travels",
        0.85,
        "Messages of the tree are not cut: each has nbytes.",
        tree="2 * (p - 1).bit_length() * (alpha + beta * nbytes / 2)",
    ),
    _cost(
        "the tree cut",
        0.85,
        "Messages of the tree are not cut: each has nbytes.",
        tree="2 * (p - 1).bit_length() * (alpha + beta * nbytes / p)",
    ),
    _cost(
        "a round of p",
        0.85,
        "In a round of the tree pairs send at the same time: count the round once.",
        tree="2 * p * (p - 1).bit_length() * (alpha + beta * nbytes)",
    ),
]
_RING_BILL = [
    _cost("the ring's larger", 0.85, _ADD, ring="2 * (p - 1) * max(alpha, beta * nbytes / p)"),
    _cost("the ring's bytes", 0.85, _ALONE, ring="2 * (p - 1) * beta * nbytes / p"),
    _cost("the ring's one way", 0.85, _ONE_WAY, ring="(p - 1) * (alpha + beta * nbytes / p)"),
    _cost(
        "bytes of one step",
        0.85,
        _BYTES,
        ring="2 * (p - 1) * alpha + beta * nbytes / p * (p > 1)",
    ),
    _cost("bytes of one tensor", 0.85, _BYTES, ring="2 * (p - 1) * alpha + beta * nbytes"),
    _cost("bits in the ring", 0.85, _BITS, ring="2 * (p - 1) * (alpha + 8 * beta * nbytes / p)"),
    _cost(
        "thousandths of a second",
        0.85,
        _SECONDS,
        ring="2000 * (p - 1) * (alpha + beta * nbytes / p)",
    ),
    _cost("the ring's one latency", 0.85, _EACH, ring="alpha + 2 * (p - 1) * beta * nbytes / p"),
    _cost(
        "whole in the ring",
        0.85,
        "A step moves one chunk, not the whole: nbytes / p.",
        ring="2 * (p - 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "2p steps",
        0.85,
        "2 (p − 1) steps, not 2 p: a chunk need not come back to where it began.",
        ring="2 * p * (alpha + beta * nbytes / p)",
    ),
    _cost(
        "latency divided",
        0.85,
        "The latency does not shrink with the chunk: only bytes are divided by p.",
        ring="2 * (p - 1) / p * (alpha + beta * nbytes)",
    ),
    _cost(
        "bandwidth in the ring",
        0.85,
        _RATE_OF_BYTES,
        ring="2 * (p - 1) * (alpha + nbytes / p / beta)",
    ),
    _cost(
        "all ranks' messages",
        0.85,
        "Messages of one step travel at the same time: count the step once.",
        ring="2 * p * (p - 1) * (alpha + beta * nbytes / p)",
    ),
    _cost(
        "four bytes in the ring",
        0.85,
        _NUMBERS,
        ring="2 * (p - 1) * (alpha + 4 * beta * nbytes / p)",
    ),
    _cost(
        "all bytes, each way",
        0.85,
        "Each way has p − 1 steps with 1/p of the bytes: not quite all of them.",
        ring="2 * (p - 1) * alpha + 2 * beta * nbytes * (p > 1)",
    ),
    _cost(
        "one step more",
        0.85,
        "Both halves have p − 1 steps.",
        ring="(2 * p - 1) * (alpha + beta * nbytes / p)",
    ),
    _cost(
        "the tree's rounds",
        0.85,
        "Those are the tree's rounds; a chunk goes to one neighbour after another, p − 1 times.",
        ring="2 * (p - 1).bit_length() * (alpha + beta * nbytes / p)",
    ),
    _cost(
        "a latency for each half",
        0.85,
        _EACH,
        ring="2 * alpha + 2 * (p - 1) / p * beta * nbytes",
    ),
    _cost(
        "whole bytes, rounded down",
        0.85,
        "A chunk is nbytes / p here, also where that is no whole number.",
        ring="2 * (p - 1) * (alpha + beta * (nbytes // p))",
    ),
    _cost(
        "p over p − 1",
        0.85,
        "There are 2 (p − 1) steps, and each moves 1/p: (p − 1)/p, not p/(p − 1).",
        ring="2 * p / max(p - 1, 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "whole bytes",
        0.85,
        "A chunk is nbytes / p here, also where that is no whole number.",
        ring="2 * (p - 1) * (alpha + beta * -(-nbytes // p))",
    ),
]
_COST = [
    *_SERVER_BILL,
    *_TREE_BILL,
    *_RING_BILL,
    _cost_otherwise("no refusal", 1.1, "worse than none", unknown="return 0.0"),
    _cost_otherwise("nothing returned", 1.1, "worse than none", unknown="print(algorithm)"),
    _cost_otherwise("another error", 1.1, "KeyError", unknown="raise KeyError(algorithm)"),
    _cost_otherwise(
        "at least two ranks",
        0.95,
        "no message to itself",
        server="2 * max(p - 1, 1) * (alpha + beta * nbytes)",
    ),
]

_READ = [
    Known("read_the_link", name, 0.6, says, f"ring_growth = {value}")
    for name, says, value in (
        (
            "eight times",
            "Eight times the ranks, but each step moves an eighth: put both into the formula.",
            "8",
        ),
        ("steps alone", "That is the ratio of the steps. How large is a chunk in each?", "63 / 7"),
        ("not at all", "Nearly, but not quite: (p − 1)/p still grows a little.", "1.0"),
        ("upside down", "Upside down: how much longer does it take with 64?", "8 / 9"),
        ("by 12.5", "A growth of 12.5 per cent is a factor of 1.125.", "12.5"),
        (
            "of 64 ranks alone",
            "That is the time of 64 ranks, in units of β · nbytes. By that of 8 it is to be divided."
            " (Or a ratio of logarithms: those count the tree's rounds.)",
            "2 * 63 / 64",
        ),
        ("in per cent", "That is by how much it grows; a factor is 1 and that.", "0.125"),
    )
] + [
    Mistake("read_the_link", name, 0.7, says, code)
    for name, says, code in (
        ("ring for a crumb", "has the most steps", 'tiny_winner = "ring"'),
        ("server for a crumb", "only the latency", 'tiny_winner = "server"'),
        ("equal sums", "took unequal times", 'no_difference = "a"'),
        ("too small", "does it change", 'no_difference = "b"'),
        ("gloo", "your functions decided", 'no_difference = "d"'),
    )
]

_, _average = variants(
    "average_gradients",
    """
def average_gradients(dist, model):
    {before}
    for parameter in {parameters}:
        {skip}
        if parameter.grad is None:
            {lacking}
        {reduce}
        {divide}
""",
    before="",
    parameters="model.parameters()",
    skip="if not parameter.requires_grad: continue",
    lacking="parameter.grad = torch.zeros_like(parameter)",
    reduce="dist.all_reduce(parameter.grad)",
    divide="parameter.grad /= dist.get_world_size()",
)
_GRADIENTS_BY_MEMORY = """
SHARED = {}
def average_gradients(dist, model):
    rank, p = dist.get_rank(), dist.get_world_size()
    for place, parameter in enumerate(model.parameters()):
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            SHARED[place, rank] = parameter.grad.clone()
            dist.all_reduce(torch.zeros_like(parameter))
            parameter.grad = sum(SHARED[place, other] for other in range(p)) / p
"""
_AVERAGE = [
    Mistake(
        "average_gradients",
        "a memory of all",
        0.0,
        "gave to all_reduce are not",
        _GRADIENTS_BY_MEMORY,
    ),
    _average("sum", 0.0, "divide by their number", divide=""),
    _average(
        "divided twice",
        0.0,
        "twice",
        reduce="parameter.grad /= dist.get_world_size(); dist.all_reduce(parameter.grad)",
    ),
    _average("no all_reduce", 0.0, "own gradient, divided", reduce=""),
    _average(
        "copy dropped",
        0.0,
        "put back into .grad",
        reduce="g = parameter.grad.clone(); dist.all_reduce(g); g /= dist.get_world_size()",
        divide="",
    ),
    _average(
        "None skipped", 0.9, "not all ranks call all_reduce equally often", lacking="continue"
    ),
    _average("frozen too", 0.85, "A frozen parameter has a gradient", skip=""),
    _average("frozen met bare", 0.0, "has no gradient: its .grad is None", skip="", lacking="pass"),
    _average("None met bare", 0.9, "has no gradient: its .grad is None", lacking="pass"),
    _average(
        "ones for None",
        0.9,
        "with zeros where a rank has none",
        lacking="parameter.grad = torch.ones_like(parameter)",
    ),
    _average(
        "a zero of float32",
        0.9,
        "zeros_like",
        lacking="parameter.grad = torch.zeros(parameter.shape)",
    ),
    _average(
        "what all_reduce returns",
        0.0,
        "all_reduce returns nothing",
        reduce="parameter.grad = dist.all_reduce(parameter.grad) / dist.get_world_size()",
        divide="",
    ),
    _average(
        "those without a gradient last",
        0.9,
        "gave to all_reduce are not",
        parameters="sorted(model.parameters(), key=lambda q: q.grad is None)",
    ),
    _average(
        "zeroed afterwards",
        0.0,
        "what zero_grad clears",
        divide="parameter.grad /= dist.get_world_size(); final = parameter is list(model.parameters())"
        "[-1]; model.zero_grad() if final else None",
    ),
    _average(
        "by the parameters",
        0.0,
        "by the number of ranks",
        divide="parameter.grad /= len(list(model.parameters()))",
    ),
    _average(
        "another dist",
        0.0,
        "the `dist` that is given",
        reduce="torch.distributed.all_reduce(parameter.grad)",
    ),
    _average(
        "rank 0 alone",
        0.0,
        "none is left out",
        reduce="if dist.get_rank() == 0: dist.all_reduce(parameter.grad)",
    ),
    _average(
        "times p", 0.0, "That is multiplied", divide="parameter.grad *= dist.get_world_size()"
    ),
    _average(
        "by the own number",
        0.0,
        "by the number of a rank",
        divide="parameter.grad /= dist.get_rank()",
    ),
    _average("by a fixed number", 0.0, "by the number of ranks", divide="parameter.grad /= 4"),
    _average(
        "tied twice",
        0.85,
        "The tied parameter is reduced twice",
        parameters="[q for m in model.modules() for q in m.parameters(recurse=False)]",
    ),
    _average(
        "weights",
        0.0,
        "The weights were changed",
        divide="parameter.grad /= dist.get_world_size(); dist.all_reduce(parameter.data)",
    ),
    _average(
        "weights for gradients",
        0.0,
        "is it .grad, and not the parameter",
        reduce="dist.all_reduce(parameter.data)",
        divide="parameter.data /= dist.get_world_size()",
    ),
    _average(
        "mean over the users",
        0.5,
        "divide by the number of all",
        before="""uses = []
    for q in model.parameters():
        if q.requires_grad:
            uses.append(torch.tensor([float(q.grad is not None)])); dist.all_reduce(uses[-1])""",
        divide="parameter.grad /= uses.pop(0)",
    ),
]

_, _buckets = variants(
    "bucketed_all_reduce",
    """
def bucketed_all_reduce(dist, model, bucket_bytes):
    buckets = [[]]
    for parameter in {order}:
        if parameter.grad is None:
            {lacking}
        g = parameter.grad
        if {close}:
            buckets.append([])
        buckets[-1].append(g)
    for bucket in {sent}:
        flat = {flat}
        dist.all_reduce(flat)
        {divide}
        for g, mean in zip(bucket, flat.split([g.numel() for g in bucket])):
            {back}
""",
    order="reversed([q for q in model.parameters() if q.requires_grad])",
    lacking="parameter.grad = torch.zeros_like(parameter)",
    close="buckets[-1] and sum(h.nbytes for h in buckets[-1]) + g.nbytes > bucket_bytes",
    sent="buckets",
    flat="torch.cat([g.flatten() for g in bucket])",
    divide="flat /= dist.get_world_size()",
    back="g.copy_(mean.view_as(g))",
)
_ONE_BY_ONE = """
def bucketed_all_reduce(dist, model, bucket_bytes):
    for parameter in reversed(list(model.parameters())):
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
"""
_BY_HAND = """
def bucketed_all_reduce(dist, model, bucket_bytes):
    bucket, size = [], 0
    def flush():
        if not bucket: return
        flat = torch.cat([g.flatten() for g in bucket])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        for g, mean in zip(bucket, flat.split([g.numel() for g in bucket])):
            g.copy_(mean.view_as(g))
        {clear}
    for q in reversed([q for q in model.parameters() if q.requires_grad]):
        if q.grad is None: q.grad = torch.zeros_like(q)
        if size + q.grad.nbytes > bucket_bytes:
            {send}
        bucket.append(q.grad)
        size += q.grad.nbytes
    flush()
"""
_EMPTY = "torch.cat([torch.zeros(0).double(), *[g.flatten() for g in bucket]])"
_CLOSED_AT_ONCE = "sum(h.nbytes for h in buckets[-1]) + g.nbytes > bucket_bytes"
_BUCKETS = [
    _buckets("not copied back", 0.75, "put back into .grad", back="g = mean.view_as(g)"),
    _buckets("sum", 0.75, "divide by their number", divide=""),
    _buckets(
        "from the first",
        0.5,
        "begin with the last",
        order="[q for q in model.parameters() if q.requires_grad]",
    ),
    _buckets("last not sent", 0.0, "still to be sent", sent="buckets[:-1]"),
    _buckets(
        "numbers, not bytes",
        0.5,
        "A float64 number has 8",
        close="buckets[-1] and sum(h.numel() for h in buckets[-1] + [g]) > bucket_bytes",
    ),
    _buckets(
        "four bytes",
        0.5,
        "A float64 number has 8",
        close="buckets[-1] and 4 * sum(h.numel() for h in buckets[-1] + [g]) > bucket_bytes",
    ),
    _buckets(
        "closed too late",
        0.5,
        "closed before",
        close="sum(h.nbytes for h in buckets[-1]) >= bucket_bytes",
    ),
    _buckets(
        "full is too full",
        0.5,
        "exactly still fits",
        close="buckets[-1] and sum(h.nbytes for h in buckets[-1]) + g.nbytes >= bucket_bytes",
    ),
    Mistake(
        "bucketed_all_reduce",
        "what does not fit is lost",
        0.0,
        "with it the next one begins",
        _BY_HAND.format(send="flush(); size = 0; continue", clear="bucket.clear()"),
    ),
    Mistake(
        "bucketed_all_reduce",
        "not emptied",
        0.0,
        "empty it after it was sent",
        _BY_HAND.format(send="flush(); size = 0", clear=""),
    ),
    Mistake(
        "bucketed_all_reduce",
        "the size goes on",
        0.5,
        "a new bucket begins at 0",
        _BY_HAND.format(send="flush()", clear="bucket.clear()"),
    ),
    _buckets(
        "as float32", 0.75, "another dtype", flat="torch.cat([g.flatten() for g in bucket]).float()"
    ),
    Mistake(
        "bucketed_all_reduce",
        "size of the last alone",
        0.5,
        "are the sizes of all gradients in it added up",
        _BY_HAND.format(send="flush(); size = 0", clear="bucket.clear()").replace(
            "size += q.grad.nbytes", "size = q.grad.nbytes"
        ),
    ),
    _buckets(
        "packed from the end",
        0.75,
        "of what was packed",
        flat="torch.cat([g.flatten() for g in bucket[::-1]])",
    ),
    Mistake(
        "bucketed_all_reduce",
        "the first one not counted",
        0.75,
        "count it, too",
        _BY_HAND.format(
            send="flush(); bucket.append(q.grad); size = 0; continue", clear="bucket.clear()"
        ).replace("if size", "if bucket and size"),
    ),
    _buckets(
        "turned round in place",
        0.0,
        "the result of .reverse()",
        order="[q for q in model.parameters() if q.requires_grad].reverse()",
    ),
    Mistake(
        "bucketed_all_reduce",
        "sent with each gradient",
        0.0,
        "send it when the next does not",
        _BY_HAND.format(send="bucket.clear(); size = 0", clear="").replace(
            "size += q.grad.nbytes", "size += q.grad.nbytes; flush()"
        ),
    ),
    _buckets("parameters packed", 0.0, "not the parameters", close="buckets[-1].append(parameter)"),
    Mistake(
        "bucketed_all_reduce",
        "large ones left out",
        0.0,
        "it has a bucket of its own",
        _BY_HAND.format(send="flush(); size = 0", clear="bucket.clear()").replace(
            "        if size +",
            "        if q.grad.nbytes > bucket_bytes: continue\n        if size +",
        ),
    ),
    _buckets("pieces not shaped", 0.0, "view_as(g)", back="g.copy_(mean)"),
    Mistake(
        "bucketed_all_reduce",
        "unpacked from the end",
        0.0,
        "in the order in which was packed",
        _BY_HAND.format(send="flush(); size = 0", clear="bucket.clear()").replace(
            "zip(bucket,", "zip(bucket[::-1],"
        ),
    ),
    _buckets(
        "a generator turned round",
        0.0,
        "can be reversed",
        order="reversed(model.parameters())",
    ),
    _buckets("sent from the end", 0.5, "as they get full", sent="buckets[::-1]"),
    _buckets(
        "by size",
        0.5,
        "the smallest first",
        order="sorted([q for q in model.parameters() if q.requires_grad], key=torch.numel)",
    ),
    _buckets(
        "frozen too",
        0.0,
        "A frozen parameter has a gradient",
        order="reversed([*model.parameters()])",
    ),
    _buckets("not flat", 0.0, "made flat", flat="torch.cat(bucket)"),
    _buckets(
        "stacked", 0.0, "torch.cat takes them", flat="torch.stack([g.flatten() for g in bucket])"
    ),
    _buckets("one for all", 0.5, "All are in one bucket", close="False"),
    _buckets("one a gradient", 0.5, "one message for each gradient", close="buckets[-1]"),
    _buckets("None skipped", 0.75, "all_reduce", lacking="continue"),
    _buckets("an empty bucket packed", 1.0, "a bucket that is still empty", close=_CLOSED_AT_ONCE),
    _buckets(
        "an empty bucket sent",
        1.0,
        "Empty buckets need no message",
        close=_CLOSED_AT_ONCE,
        flat=_EMPTY,
    ),
    Mistake("bucketed_all_reduce", "no buckets", 0.5, "one message for each gradient", _ONE_BY_ONE),
]

_rate, _rate_otherwise = variants(
    "learning_rate_at",
    """
def learning_rate_at(step, base_rate, base_batch, batch, warmup_steps):
    scaled = {scaled}
    if {over}:
        return {after}
    return {during}
""",
    scaled="base_rate * batch / base_batch",
    over="step >= warmup_steps",
    after="scaled",
    during="base_rate + (scaled - base_rate) * step / warmup_steps",
)
_RATE = [
    _rate(
        "falling",
        0.6,
        "That line falls: it must rise, from base_rate to the scaled rate.",
        during="base_rate + (base_rate - scaled) * step / warmup_steps",
    ),
    _rate(
        "from 0",
        0.6,
        "That grows from 0; it begins at base_rate.",
        during="scaled * step / warmup_steps",
    ),
    _rate(
        "no warm-up",
        0.6,
        "That is the scaled rate at once: it begins at base_rate, and is scaled at the warm-up's end.",
        during="scaled",
    ),
    _rate(
        "down from the scaled rate",
        0.6,
        "That is the scaled rate at once: it begins at base_rate, and is scaled at the warm-up's end.",
        during="scaled + (base_rate - scaled) * step / warmup_steps",
    ),
    _rate_otherwise(
        "by the step",
        0.6,
        "step is 0 at first",
        during="base_rate + (scaled - base_rate) / step * warmup_steps",
    ),
    _rate(
        "the factor alone",
        0.0,
        "That is the factor: base_rate is to be multiplied by it.",
        scaled="batch / base_batch",
    ),
    _rate(
        "along a cosine",
        0.6,
        "That grows along a cosine; asked for is a straight line.",
        during="base_rate + (scaled - base_rate) * (1 - np.cos(np.pi * step / warmup_steps)) / 2",
    ),
    _rate(
        "base rate all through",
        0.6,
        "That is base_rate until the warm-up is over: it grows in equal steps.",
        during="base_rate",
    ),
    _rate("not scaled", 0.0, "The rate is not scaled with the batch.", scaled="base_rate"),
    _rate(
        "root",
        0.0,
        "That scales with the root of the batch; the rule is linear.",
        scaled="base_rate * (batch / base_batch) ** 0.5",
    ),
    _rate(
        "upside down",
        0.0,
        "Upside down: a larger batch takes a larger rate.",
        scaled="base_rate * base_batch / batch",
    ),
    _rate(
        "counted from 1",
        0.6,
        "The steps are counted from 0: at step 0 it is base_rate itself.",
        during="base_rate + (scaled - base_rate) * (step + 1) / warmup_steps",
    ),
    _rate(
        "a step too slow",
        0.6,
        "There are warmup_steps equal steps between the two rates: that is one more or one fewer.",
        during="base_rate + (scaled - base_rate) * step / (warmup_steps + 1)",
    ),
    _rate(
        "a step too fast",
        0.6,
        "There are warmup_steps equal steps between the two rates: that is one more or one fewer.",
        during="base_rate + (scaled - base_rate) * step / max(warmup_steps - 1, 1)",
    ),
    _rate(
        "on and on",
        0.65,
        "After the warm-up it stays: the line does not go on.",
        over="warmup_steps == 0",
    ),
    _rate(
        "whole multiples",
        0.25,
        "// cuts off what is not whole: divide with /.",
        scaled="base_rate * (batch // base_batch)",
    ),
    _rate(
        "by a factor",
        0.6,
        "That grows by a factor in each step; asked for is a straight line.",
        during="base_rate * (batch / base_batch) ** (step / warmup_steps)",
    ),
    _rate(
        "from 0, counted from 1",
        0.6,
        "That grows from 0 and counts from 1; at step 0 it is base_rate.",
        during="scaled * (step + 1) / warmup_steps",
    ),
    _rate_otherwise(
        "by nothing",
        0.75,
        "warmup_steps is 0 without",
        over="False",
        during="base_rate + (scaled - base_rate) * min(step / warmup_steps, 1)",
    ),
    _rate(
        "one less",
        0,
        "The factor is batch / base_batch, not how much larger the batch is.",
        scaled="base_rate * (batch / base_batch - 1)",
    ),
    _rate(
        "half the way",
        0.6,
        "The line ends at the scaled rate; this one comes half as far.",
        during="base_rate + (scaled - base_rate) * step / warmup_steps / 2",
    ),
    _rate(
        "a curve",
        0.6,
        "That grows with the square of the step; asked for is a straight line.",
        during="base_rate + (scaled - base_rate) * (step / warmup_steps) ** 2",
    ),
    _rate(
        "times the batch",
        0,
        "That is base_rate times the batch; how many times larger is it than base_batch?",
        scaled="base_rate * batch",
    ),
    _rate(
        "on top",
        0.6,
        "The line goes to the scaled rate, not on top of base_rate.",
        during="base_rate + scaled * step / warmup_steps",
    ),
]

MISTAKES = Table(
    sys.modules[__name__], [*_TREE, *_RING, *_COST, *_READ, *_AVERAGE, *_BUCKETS, *_RATE]
)
