"""Lab 12: right answers in other styles."""

_TREE_DOWN = """
def tree_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total, d = x.clone(), 1
    while d < p:
        d *= 2
    while d > 1:          # the upper half to the lower one: another binary tree
        d //= 2
        if d <= rank < min(2 * d, p):
            dist.send(total, rank - d)
        elif rank < d and rank + d < p:
            part = torch.zeros_like(x)
            dist.recv(part, src=rank + d)
            total = total + part
    while d < p:
        if d <= rank < min(2 * d, p):
            dist.recv(total, src=rank - d)
        elif rank < d and rank + d < p:
            dist.send(total, dst=rank + d)
        d *= 2
    return total
"""
_TREE_RECURSIVE = """
def tree_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    def go(total, d):
        if d >= p:
            return total
        if rank % (2 * d):
            dist.send(total, rank - d)
            back = torch.empty_like(total)
            dist.recv(back, rank - d)
            return back
        part = torch.zeros_like(total)
        if rank + d < p:
            dist.recv(part, rank + d)
        total = go(total + part, 2 * d)
        if rank + d < p:
            dist.send(total, rank + d)
        return total
    return go(x.clone(), 1)
"""
_TREE_MASKS = """
def tree_all_reduce(dist: object, x: "torch.Tensor") -> "torch.Tensor":
    '''Bits of the rank say when it sends.'''
    rank, size = dist.get_rank(), dist.get_world_size()
    own, children, mask = torch.clone(x), [], 1
    while mask < size and not rank & mask:
        if rank | mask < size:
            children.append(rank | mask)
        mask <<= 1
    for child in children:
        incoming = own.new_empty(own.shape)
        dist.irecv(incoming, child).wait()
        own.add_(incoming)
    if rank:
        dist.isend(own, rank ^ mask).wait()
        answer = torch.empty_like(own)
        dist.recv(answer, rank ^ mask)
        own = answer
    for request in [dist.isend(own, child) for child in reversed(children)]:
        request.wait()
    return own
"""
_TREE_CLASS = """
class Tree:
    def __call__(self, dist, x):
        self.dist, self.rank, self.p = dist, dist.get_rank(), dist.get_world_size()
        return Tree.run(dist, x)
    @staticmethod
    def run(dist, x):
        rank, p = dist.get_rank(), dist.get_world_size()
        total, steps = x.detach().clone(), []
        d = 1
        while d < p:
            if rank % (2 * d) == d:
                steps.append((False, rank - d))
            elif rank % (2 * d) == 0 and rank + d < p:
                steps.append((True, rank + d))
            d *= 2
        for receives, other in steps:
            if receives:
                part = torch.full_like(x, 7.0)
                dist.recv(part, other)
                total += part
            else:
                dist.send(total, other)
        for receives, other in steps[::-1]:
            if receives:
                dist.send(total, other)
            else:
                dist.recv(total, other)
        return total
tree_all_reduce = Tree()
"""
_TREE_TABLE = """
def pairs(p, d):
    yield from ((low, low + d) for low in range(0, p - d, 2 * d))

tree_all_reduce = lambda dist, x: meet(dist, dist.get_rank(), dist.get_world_size(), x.clone())

def meet(dist, rank, p, total):
    rounds = [list(pairs(p, 1 << k)) for k in range((p - 1).bit_length())]
    for low, high in [pair for one in rounds for pair in one if rank in pair]:
        if rank == high:
            dist.send(total, low)
        else:
            part = torch.empty(total.shape, dtype=total.dtype)
            dist.recv(part, high)
            total = part + total
    for low, high in [pair for one in rounds[::-1] for pair in one if rank in pair]:
        dist.recv(total, low) if rank == high else dist.send(total, high)
    return total
"""
_RING_LOOPS = """
def ring_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    total = x.clone()
    chunks = total.tensor_split(p)      # views: total changes with them
    right, left = (rank + 1) % p, (rank - 1) % p
    for s in range(p - 1):
        request = dist.isend(chunks[(rank - s) % p], right)
        part = torch.empty_like(chunks[(rank - s - 1) % p])
        dist.recv(part, left)
        chunks[(rank - s - 1) % p].add_(part)
        request.wait()
    for s in range(p - 1):
        request = dist.isend(chunks[(rank + 1 - s) % p], right)
        dist.recv(chunks[(rank - s) % p], left)
        request.wait()
    return total
"""
_RING_SHIFTED = """
def ring_all_reduce(dist, x):
    # Rank r begins with chunk r − 1, and holds chunk r when all is added.
    rank, p = dist.get_rank(), dist.get_world_size()
    pieces = [piece.clone() for piece in torch.tensor_split(x, p)]
    for s in range(1, p):
        out, into = (rank - s) % p, (rank - s - 1) % p
        part = torch.zeros_like(pieces[into])
        waiting = [dist.irecv(part, (rank - 1) % p), dist.isend(pieces[out], (rank + 1) % p)]
        for one in waiting:
            one.wait()
        pieces[into] += part
    for s in range(p - 1):
        out, into = (rank - s) % p, (rank - s - 1) % p
        request = dist.isend(pieces[out], (rank + 1) % p)
        fresh = torch.zeros_like(pieces[into])
        dist.recv(fresh, (rank + p - 1) % p)
        request.wait()
        pieces[into] = fresh
    return torch.hstack(pieces)
"""
_RING_GENERATOR = """
def ring_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    edges = [len(piece) for piece in x.tensor_split(p)]
    chunks = dict(enumerate(torch.clone(x).split(edges)))
    def around(first):
        for step in range(p - 1):
            yield (first - step) % p, (first - step - 1) % p
    def pass_on(out, into):
        begun = dist.isend(chunks[out], (rank + 1) % p)
        part = torch.empty(edges[into], dtype=x.dtype)
        dist.recv(part, (rank - 1) % p)
        begun.wait()
        return part
    for out, into in around(rank):
        chunks[into] = pass_on(out, into) + chunks[into]
    for out, into in around(rank + 1):
        chunks[into] = pass_on(out, into)
    return torch.cat([chunks[k] for k in range(p)])
"""
_RING_CLASS = """
import functools
class Ring:
    def turn(self, dist, chunks, step, add):
        rank, p = dist.get_rank(), dist.get_world_size()
        out = (rank + (not add) - step) % p
        into = (out - 1) % p
        request = dist.isend(chunks[out], (rank + 1) % p)
        part = torch.empty_like(chunks[into])
        dist.recv(part, (rank - 1) % p)
        request.wait()
        chunks[into] = part + chunks[into] if add else part
    def reduce(self, dist, x):
        p = dist.get_world_size()
        chunks = [*x.clone().tensor_split(p)]
        for add in (True, False):
            for step in range(p - 1):
                self.turn(dist, chunks, step, add)
        return torch.concatenate(chunks)
ring_all_reduce = functools.partial(Ring.reduce, Ring())
"""
_RING_RECURSIVE = """
def ring_all_reduce(dist, x):
    rank, p = dist.get_rank(), dist.get_world_size()
    if p == 1:
        return +x
    def step(chunks, s):
        if s == 2 * p - 2:
            return torch.cat(chunks)
        out = (rank - s) % p
        request = dist.isend(chunks[out], (rank + 1) % p)
        part = torch.empty_like(chunks[out - 1])
        dist.recv(part, (rank - 1) % p)
        request.wait()
        new = part + chunks[out - 1] if s < p - 1 else part
        return step([new if k == (out - 1) % p else c for k, c in enumerate(chunks)], s + 1)
    return step(list(x.clone().tensor_split(p)), 0)
"""
_AVERAGES = {
    "divided before": """
def average_gradients(dist, model):
    for q in filter(lambda q: q.requires_grad, model.parameters()):
        g = torch.zeros_like(q) if q.grad is None else q.grad / dist.get_world_size()
        dist.all_reduce(g)
        q.grad = g
""",
    "out of place": """
def average_gradients(dist, model):
    p = float(dist.get_world_size())
    for _, q in model.named_parameters():
        if q.requires_grad:
            g = q.grad.clone() if q.grad is not None else torch.zeros(q.shape, dtype=q.dtype)
            dist.all_reduce(g)
            q.grad = torch.div(g, p)
""",
    "begun together, ended together": """
def average_gradients(dist, model):
    waiting = []
    for q in model.parameters():
        if q.requires_grad:
            q.grad = torch.zeros_like(q) if q.grad is None else q.grad
            waiting.append((q, dist.all_reduce(q.grad, async_op=True)))
    for q, work in waiting:
        work.wait()
        q.grad.mul_(1 / dist.get_world_size())
""",
    "a class that is called": """
class Average:
    def trained(self, model):
        yield from (q for q in model.parameters() if q.requires_grad)
    def __call__(self, dist, model):
        with torch.no_grad():
            for q in self.trained(model):
                if q.grad is None:
                    q.grad = q.new_zeros(q.shape)
                dist.all_reduce(q.grad, op=dist.ReduceOp.SUM)
                q.grad.div_(dist.get_world_size())
average_gradients = Average()
""",
    "from the last, in data": """
def average_gradients(dist, model) -> None:
    for parameter in list(model.parameters())[::-1]:
        if parameter.requires_grad is False:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter.data)
        dist.all_reduce(parameter.grad.data)
        parameter.grad.data.copy_(parameter.grad.data / dist.get_world_size())
""",
    "all in one": """
def average_gradients(dist, model):
    trained = [q for q in model.parameters() if q.requires_grad]
    gradients = [torch.zeros_like(q) if q.grad is None else q.grad for q in trained]
    flat = torch.nn.utils.parameters_to_vector(gradients)
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for q, piece in zip(trained, flat.split([q.numel() for q in trained])):
        q.grad = piece.view_as(q).clone()
""",
}
_PACK = """
def bucketed_all_reduce(dist, model, bucket_bytes):
    p = dist.get_world_size()
    def send(bucket):
        flat = {pack}
        dist.all_reduce(flat)
        {unpack}
    bucket, full = [], 0
    for q in {order}:
        if not q.requires_grad:
            continue
        if q.grad is None:
            q.grad = torch.zeros_like(q)
        size = q.grad.numel() * q.grad.element_size()
        if bucket and full + size > bucket_bytes:
            send(bucket)
            bucket, full = [], 0
        bucket.append(q)
        full += size
    if bucket:
        send(bucket)
"""
_SPLIT = """for q, g in zip(bucket, (flat / p).split([q.numel() for q in bucket])):
            q.grad = g.view(q.shape).clone()"""
_USUAL = {
    "pack": "torch.cat([q.grad.reshape(-1) for q in bucket])",
    "unpack": _SPLIT,
    "order": "list(model.parameters())[::-1]",
}
_BUCKETS = {
    "sent while packing": _PACK.format(**_USUAL),
    "divided before": _PACK.format(
        **{
            **_USUAL,
            "pack": "torch.cat([q.grad.reshape(-1) / p for q in bucket])",
            "unpack": _SPLIT.replace("(flat / p)", "flat"),
        }
    ),
    "with places instead of split": _PACK.format(
        **{
            **_USUAL,
            "unpack": """start = 0
        for q in bucket:
            q.grad.copy_(flat[start : start + q.numel()].reshape(q.shape)).div_(p)
            start += q.numel()""",
        }
    ),
    "torch's own packing": _PACK.format(
        **{
            **_USUAL,
            "pack": "torch._utils._flatten_dense_tensors([q.grad for q in bucket])",
            "unpack": """for q, g in zip(
            bucket, torch._utils._unflatten_dense_tensors(flat / p, [q.grad for q in bucket])
        ):
            q.grad.data = g""",
        }
    ),
    "by index, reversed": _PACK.format(
        **{**_USUAL, "order": "reversed([q for _, q in model.named_parameters()])"}
    ),
    "a generator of buckets": """
def buckets_of(gradients, limit):
    held = []
    for g in gradients:
        if held and sum(map(lambda h: h.nbytes, held)) + g.nbytes > limit:
            yield held
            held = []
        held.append(g)
    if held:
        yield held

def bucketed_all_reduce(dist, model, bucket_bytes):
    trained = [q for q in model.parameters() if q.requires_grad]
    for q in trained:
        q.grad = torch.zeros_like(q) if q.grad is None else q.grad
    for held in buckets_of([q.grad for q in reversed(trained)], bucket_bytes):
        flat = torch.hstack([g.ravel() for g in held])
        dist.all_reduce(flat)
        for g, mean in zip(held, flat.div(dist.get_world_size()).split([*map(torch.numel, held)])):
            g[...] = mean.reshape(g.shape)
""",
}
_BILLS = {
    "a dict of lambdas": """
def communication_cost(algorithm, p, nbytes, alpha, beta):
    ways = {
        "server": lambda: (p - 1, nbytes),
        "tree": lambda: (int(np.ceil(np.log2(p))), nbytes),
        "ring": lambda: (p - 1, nbytes / p),
    }
    if algorithm not in ways:
        raise ValueError(f"no {algorithm}")
    steps, size = ways[algorithm]()
    return 2 * steps * (alpha + beta * size)
""",
    "match": """
def communication_cost(algorithm, p, nbytes, alpha, beta):
    message = lambda size: alpha + size * beta
    match algorithm:
        case "server":
            return sum(message(nbytes) for _ in range(2 * (p - 1)))
        case "tree":
            rounds, reached = 0, 1
            while reached < p:
                reached, rounds = 2 * reached, rounds + 1
            return 2 * rounds * message(nbytes)
        case "ring":
            return (2 * p - 2) * message(nbytes / p)
        case _:
            raise ValueError
""",
    "NumPy's floats": """
def communication_cost(algorithm, p, nbytes, alpha, beta):
    rounds = {"server": p - 1, "tree": np.ceil(np.log2(p)), "ring": p - 1}
    if algorithm not in rounds:
        raise ValueError("server, tree or ring")
    size = np.float64(nbytes / (p if algorithm == "ring" else 1))
    return 2 * rounds[algorithm] * (alpha + beta * size)
""",
    "a class": """
class Bill:
    def server(self, p, n, a, b): return 2 * (p - 1) * (a + b * n)
    def tree(self, p, n, a, b): return 2 * len(bin(p - 1)[2:].lstrip("0")) * (a + b * n)
    def ring(self, p, n, a, b): return 2 * (p - 1) * (a + b * n / p)
    def __call__(self, algorithm, p, nbytes, alpha, beta):
        if not hasattr(self, algorithm):
            raise ValueError(algorithm)
        return getattr(self, algorithm)(p, nbytes, alpha, beta)
communication_cost = Bill()
""",
    "recursion, annotated": """
def communication_cost(algorithm: str, p: int, nbytes: float, alpha: float, beta: float) -> float:
    def rounds(q: int) -> int:
        return 0 if q < 2 else 1 + rounds((q + 1) // 2)
    if algorithm not in {"tree", "server", "ring"}:
        raise ValueError("unknown")
    steps = rounds(p) if algorithm == "tree" else p - 1
    share = nbytes / p if algorithm == "ring" else nbytes
    return 2 * steps * alpha + 2 * steps * share * beta
""",
}
_RATES = {
    "min": """
def learning_rate_at(step, base_rate, base_batch, batch, warmup_steps):
    factor = batch / base_batch
    done = min(1.0, step / warmup_steps) if warmup_steps > 0 else 1.0
    return base_rate * (1 + (factor - 1) * done)
""",
    "interpolation": """
def learning_rate_at(step, base_rate, base_batch, batch, warmup_steps):
    scaled = base_rate * batch / base_batch
    return np.interp(step, [0, warmup_steps], [base_rate, scaled]) if warmup_steps else scaled
""",
    "a lambda": """
learning_rate_at = lambda step, base_rate, base_batch, batch, warmup_steps: (
    base_rate * batch / base_batch
    if step >= warmup_steps
    else base_rate * (1 + (batch / base_batch - 1) * step / warmup_steps)
)
""",
    "a class": """
class Rate:
    def __call__(self, step, base_rate, base_batch, batch, warmup_steps):
        top = base_rate * (batch / base_batch)
        left = max(warmup_steps - step, 0)
        return top - (top - base_rate) * left / max(warmup_steps, 1)
learning_rate_at = Rate()
""",
    "NumPy's clip": """
def learning_rate_at(step, base_rate, base_batch, batch, warmup_steps):
    share = np.clip(step / warmup_steps, 0, 1) if warmup_steps else np.float64(1)
    return base_rate + share * (base_rate * batch / base_batch - base_rate)
""",
    "step by step": """
def learning_rate_at(step, base_rate, base_batch, batch, warmup_steps):
    scaled = base_rate / base_batch * batch
    rate = base_rate if warmup_steps else scaled
    for _ in range(min(step, warmup_steps)):
        rate += (scaled - base_rate) / warmup_steps
    return rate
""",
}

STYLES = {
    "tree_all_reduce": {
        "halves": _TREE_DOWN,
        "recursion": _TREE_RECURSIVE,
        "bits": _TREE_MASKS,
        "a class": _TREE_CLASS,
        "a table of pairs": _TREE_TABLE,
    },
    "ring_all_reduce": {
        "two loops over views": _RING_LOOPS,
        "begins elsewhere, receives first": _RING_SHIFTED,
        "generators": _RING_GENERATOR,
        "a partial method": _RING_CLASS,
        "recursion": _RING_RECURSIVE,
    },
    "communication_cost": _BILLS,
    "read_the_link": {
        "a fraction": "from fractions import Fraction\nring_growth = float(Fraction(9, 8))",
        "rounded": "ring_growth = 1.13",
        "NumPy": "ring_growth = np.float32(9 / 8)",
        "of a tensor": "ring_growth = torch.tensor(1.125).item()",
        "capitals and blanks": 'tiny_winner, ring_growth, no_difference = " Tree", 1.12, "C "',
        "through the formula": 'ring_growth = communication_cost("ring", 64, 1.0, 0.0, 1.0)'
        ' / communication_cost("ring", 8, 1.0, 0.0, 1.0)',
    },
    "average_gradients": _AVERAGES,
    "bucketed_all_reduce": _BUCKETS,
    "learning_rate_at": _RATES,
}
