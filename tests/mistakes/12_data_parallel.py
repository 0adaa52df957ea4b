"""Lab 12: what people get wrong when ranks add up, pay for messages, and share a batch."""

from tests.mistakes import Mistake, variants

_tree = variants(
    "tree_all_reduce",
    """
def tree_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total, part = {copy}, torch.empty_like(x)
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
    distances="[2**k for k in range(p.bit_length()) if 2**k < p]",
    sent="total",
    partner=" and rank + d < p",
    add="total += part",
    back="reversed(distances)",
    receive="dist.recv(total, rank - d)",
    result="total",
)
_BY_SERVER = """
def tree_all_reduce(dist, x):
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
_TREE = [
    Mistake(
        "tree_all_reduce",
        "the library's",
        0,
        "the library's answer",
        _LIBRARY.format("tree_all_reduce"),
    ),
    Mistake("tree_all_reduce", "a server", 1.5, "One message follows the other", _BY_SERVER),
    Mistake("tree_all_reduce", "a line", 1.5, "One message follows the other", _LINE),
    _tree("x sent, not the sum", 0.9, "missing from the sum", sent="x"),
    _tree("no way back", 0.0, "find its way back", back="[]"),
    _tree(
        "added on the way back",
        0.9,
        "more than once",
        receive="dist.recv(part, rank - d); total += part",
    ),
    _tree("powers of two only", 0.6, "there is no rank", partner=""),
    _tree("down as up", 0.9, "find its way back", back="distances"),
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
    _tree("the mean", 0.9, "That is the mean", result="total / p"),
    Mistake("tree_all_reduce", "butterfly", 0.6, "another algorithm", _BUTTERFLY),
    _tree("x returned", 0.9, "nothing was added", result="x"),
]

_ring = variants(
    "ring_all_reduce",
    """
def ring_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    chunks = list({pieces})
    for step in range({steps}):
        going, coming = {going}, {coming}
        {send}
        part = torch.empty_like(chunks[{like}])
        dist.recv(part, {source})
        {wait}
        chunks[coming] = {new}
    return torch.cat(chunks)
""",
    pieces="x.clone().tensor_split(p)",
    steps="2 * (p - 1)",
    going="(rank - step) % p",
    coming="(rank - step - 1) % p",
    send="request = dist.isend(chunks[going], (rank + 1) % p)",
    like="coming",
    source="(rank - 1) % p",
    wait="request.wait()",
    new="chunks[coming] + part if step < p - 1 else part",
)
_RING = [
    _ring(
        "send blocks",
        0.0,
        "not all ranks may wait",
        send="dist.send(chunks[going], (rank + 1) % p)",
        wait="",
    ),
    _ring("added all the way", 1.15, "more than once", new="chunks[coming] + part"),
    _ring("never added", 1.15, "missing from the sum", new="part"),
    _ring("half the way", 0.0, "missing from the sum", steps="p - 1"),
    _ring(
        "a step too many",
        0.6,
        "comes round to where it began",
        steps="2 * p",
        new="chunks[coming] + part if step < p - 1 else part",
    ),
    _ring("wrong chunk", 1.15, "missing from the sum", going="rank", coming="(rank - 1) % p"),
    _ring("size of the one sent", 1.15, "receives into", like="going"),
    _ring(
        "remainder in the last",
        1.65,
        "do not have the lengths",
        pieces="x.clone().split([len(x) // p] * (p - 1) + [len(x) - len(x) // p * (p - 1)])",
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
]

_cost = variants(
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
_COST = [
    _cost("one way", 0.95, "the sum has to get back", server="(p - 1) * (alpha + beta * nbytes)"),
    _cost("server of p", 0.95, "no message to itself", server="2 * p * (alpha + beta * nbytes)"),
    _cost("one latency", 0.95, "for each message", server="alpha + 2 * (p - 1) * beta * nbytes"),
    _cost(
        "broken logarithm",
        0.85,
        "Rounds are whole",
        tree="2 * np.log2(p) * (alpha + beta * nbytes)",
    ),
    _cost(
        "rounded down",
        0.85,
        "round the logarithm up",
        tree="2 * int(np.log2(p)) * (alpha + beta * nbytes)",
    ),
    _cost(
        "bit length of p",
        0.85,
        "one round too many",
        tree="2 * p.bit_length() * (alpha + beta * nbytes)",
    ),
    _cost(
        "tree by messages",
        0.85,
        "in a round many travel at once",
        tree="2 * (p - 1) * (alpha + beta * nbytes)",
    ),
    _cost(
        "whole in the ring", 0.85, "moves one chunk", ring="2 * (p - 1) * (alpha + beta * nbytes)"
    ),
    _cost("2p steps", 0.85, "not 2 p", ring="2 * p * (alpha + beta * nbytes / p)"),
    _cost(
        "latency divided", 0.85, "does not shrink", ring="2 * (p - 1) / p * (alpha + beta * nbytes)"
    ),
    _cost(
        "bandwidth for beta",
        0.55,
        "1 / beta is the bandwidth",
        server="2 * (p - 1) * (alpha + nbytes / beta)",
        tree="2 * (p - 1).bit_length() * (alpha + nbytes / beta)",
    ),
    _cost(
        "bandwidth in the ring",
        0.85,
        "1 / beta is the bandwidth",
        ring="2 * (p - 1) * (alpha + nbytes / p / beta)",
    ),
    _cost(
        "all ranks' messages",
        0.85,
        "travel at the same time",
        ring="2 * p * (p - 1) * (alpha + beta * nbytes / p)",
    ),
    _cost(
        "four bytes a byte",
        0.95,
        "counts bytes already",
        server="2 * (p - 1) * (alpha + 4 * beta * nbytes)",
    ),
    _cost(
        "whole bytes",
        0.85,
        "no whole number",
        ring="2 * (p - 1) * (alpha + beta * -(-nbytes // p))",
    ),
    _cost("no refusal", 1.1, "worse than none", unknown="return 0.0"),
]

_READ = [
    Mistake("read_the_link", name, score, says, code)
    for name, score, says, code in (
        ("ring for a crumb", 0.7, "has the most steps", 'tiny_winner = "ring"'),
        ("server for a crumb", 0.7, "only the latency", 'tiny_winner = "server"'),
        ("eight times", 0.6, "each step moves an eighth", "ring_growth = 8"),
        ("steps alone", 0.6, "ratio of the steps", "ring_growth = 9"),
        ("not at all", 0.6, "still grows a little", "ring_growth = 1.0"),
        ("equal sums", 0.7, "took unequal times", 'no_difference = "a"'),
        ("too small", 0.7, "does it change", 'no_difference = "b"'),
        ("gloo", 0.7, "your functions decided", 'no_difference = "d"'),
    )
]

_average = variants(
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
_MEAN_OF_COPY = "g = parameter.grad.clone(); dist.all_reduce(g); g /= dist.get_world_size()"
_AVERAGE = [
    _average("sum", 0.0, "divide by their number", divide=""),
    _average(
        "divided twice",
        0.0,
        "twice",
        reduce="parameter.grad /= dist.get_world_size(); dist.all_reduce(parameter.grad)",
    ),
    _average("no all_reduce", 0.0, "own gradient, divided", reduce=""),
    _average("copy dropped", 0.0, "put back into .grad", reduce=_MEAN_OF_COPY, divide=""),
    _average(
        "None skipped", 0.9, "not all ranks call all_reduce equally often", lacking="continue"
    ),
    _average("frozen too", 0.85, "A frozen parameter has a gradient", skip=""),
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

_buckets = variants(
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
        flat = torch.cat([g.flatten() for g in bucket])
        dist.all_reduce(flat)
        {divide}
        for g, mean in zip(bucket, flat.split([g.numel() for g in bucket])):
            {back}
""",
    order="reversed([q for q in model.parameters() if q.requires_grad])",
    lacking="parameter.grad = torch.zeros_like(parameter)",
    close="buckets[-1] and sum(h.nbytes for h in buckets[-1]) + g.nbytes > bucket_bytes",
    sent="buckets",
    divide="flat /= dist.get_world_size()",
    back="g.copy_(mean.view_as(g))",
)
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
    _buckets("one for all", 0.5, "All are in one bucket", close="False"),
    _buckets("one a gradient", 0.5, "one message for each gradient", close="buckets[-1]"),
    _buckets("None skipped", 0.75, "all_reduce", lacking="continue"),
    Mistake(
        "bucketed_all_reduce",
        "no buckets",
        0.5,
        "one message for each gradient",
        """
def bucketed_all_reduce(dist, model, bucket_bytes):
    for parameter in reversed(list(model.parameters())):
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
""",
    ),
]

_rate = variants(
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
    _rate("from 0", 0.6, "grows from 0", during="scaled * step / warmup_steps"),
    _rate("not scaled", 0.0, "not scaled with the batch", scaled="base_rate"),
    _rate("no warm-up", 0.6, "where is the warm-up", during="scaled"),
    _rate("root", 0.0, "the rule is linear", scaled="base_rate * (batch / base_batch) ** 0.5"),
    _rate(
        "upside down",
        0.0,
        "a larger batch takes a larger rate",
        scaled="base_rate * base_batch / batch",
    ),
    _rate(
        "counted from 1",
        0.6,
        "counted from 0",
        during="base_rate + (scaled - base_rate) * (step + 1) / warmup_steps",
    ),
    _rate("on and on", 0.65, "the line does not go on", over="warmup_steps == 0"),
    _rate("whole multiples", 0.65, "// cuts off", scaled="base_rate * (batch // base_batch)"),
    _rate(
        "by a factor",
        0.6,
        "asked for is a straight line",
        during="base_rate * (batch / base_batch) ** (step / warmup_steps)",
    ),
    _rate(
        "from 0, counted from 1",
        0.6,
        "grows from 0 and counts from 1",
        during="scaled * (step + 1) / warmup_steps",
    ),
    _rate(
        "by nothing",
        0.75,
        "ZeroDivisionError",
        over="False",
        during="base_rate + (scaled - base_rate) * min(step / warmup_steps, 1)",
    ),
    _rate("on top", 0.6, "not on top", during="base_rate + scaled * step / warmup_steps"),
]

MISTAKES = [*_TREE, *_RING, *_COST, *_READ, *_AVERAGE, *_BUCKETS, *_RATE]
