"""Lab 13: right answers in other styles."""

_PAIR = """
class _C(torch.autograd.Function):
    @staticmethod
    def forward(ctx, dist, x):
        ctx.dist = dist
        return {copied}
    @staticmethod
    def backward(ctx, *dys):
        {back}
        return None, dy
class _R(torch.autograd.Function):
    @staticmethod
    def forward(ctx, dist, x):
        {forth}
        return y
    @staticmethod
    def backward(ctx, dy):
        return None, {passed}
def copy_to_ranks(dist, x):
    return _C.apply(dist, x)
def reduce_from_ranks(dist, x):
    return _R.apply(dist, x)
"""
_FORTH = "y = x.detach().contiguous().clone(); dist.all_reduce(y)"
_BACK = (
    "dy = torch.empty_like(dys[0], memory_format=torch.contiguous_format).copy_(dys[0]);"
    " ctx.dist.all_reduce(dy)"
)
_HOOK = """
class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, dist):
        y = 1 * x.contiguous()
        dist.all_reduce(y)
        return y
    backward = staticmethod(lambda ctx, dy: (dy, None))
def copy_to_ranks(dist, x):
    y = x.view_as(x) if x.requires_grad else x
    def hook(dy):
        total = dy.contiguous() + 0
        dist.all_reduce(total, dist.ReduceOp.SUM)
        return total
    if y.requires_grad:
        y.register_hook(hook)
    return y
def reduce_from_ranks(dist, x):
    return _Sum.apply(x, dist)
"""
_SETUP = """
class _C(torch.autograd.Function):
    @staticmethod
    def forward(x, dist):
        return x.clone()
    @staticmethod
    def setup_context(ctx, inputs, output):
        _, ctx.dist = inputs
    @staticmethod
    def backward(ctx, dy):
        total = torch.zeros(dy.shape, dtype=dy.dtype) + dy
        ctx.dist.all_reduce(total)
        return total, None
def copy_to_ranks(dist, x):
    return _C.apply(x, dist)
def reduce_from_ranks(dist, x):
    total = x.clone(memory_format=torch.contiguous_format)   # all_reduce is no step of autograd's
    dist.all_reduce(total.data)
    return total
"""
_DETACHED = """
def copy_to_ranks(dist, x):
    class Copy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x + 0
        @staticmethod
        def backward(ctx, dy):
            flat = dy.reshape(-1).clone()
            dist.all_reduce(flat)
            return flat.reshape(dy.shape)
    return Copy.apply(x)
def reduce_from_ranks(dist, x):
    total = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return x + (total - x).detach()
"""

_LINEAR = """
class ColumnLinear(torch.nn.Module):
    def __init__(self, dist, weight, bias):
        super().__init__()
        {column}
    def forward(self, x):
        {forward}
class RowLinear(torch.nn.Module):
    def __init__(self, dist, weight, bias):
        super().__init__()
        {row}
    def forward(self, x):
        {backward}
"""
_BOUNDS = """
        self.dist, r, p = dist, dist.get_rank(), dist.get_world_size()
        each, more = divmod(weight.shape[{axis}], p)
        start = r * each + min(r, more)
        stop = start + each + (r < more)
"""

_BLOCK = """
class _B(nn.Module):
    def __init__(self, dist, norm, first, second):
        super().__init__()
        self.dist = dist
        {init}
    def forward(self, x):
        {forward}
def parallel_block(dist, norm, first, second):
    return _B(dist, norm, first, second)
"""
_PARTS = """self.norm = norm
        self.up = ColumnLinear(dist, first.weight.detach(), first.bias.detach())
        self.down = RowLinear(dist, second.weight.detach(), second.bias.detach())"""

_LOOK = """
def parallel_embedding(dist, tokens, weight, first):
    {body}
"""
_LOSS = """
def parallel_cross_entropy(dist, logits, targets, first):
    {body}
"""
_TARGET = """mine = (targets >= first) & (targets < first + logits.shape[1])
    rows = torch.arange(len(targets))
    t = torch.where(mine, logits[rows, (targets - first) * mine], 0.0)"""
_FUNCTION = """
class _CE(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, targets, first, dist):
        h = logits.max(dim=1)[0]
        dist.all_reduce(h, op=dist.ReduceOp.MAX)
        e = (logits - h[:, None]).exp()
        place = targets - first
        mine = (place >= 0) & (place < logits.shape[1])
        t = torch.zeros_like(h)
        t[mine] = logits[mine, place[mine]] - h[mine]
        both = torch.stack([e.sum(1), t])
        dist.all_reduce(both)
        s, t = both
        grad = e / s[:, None]
        grad[mine, place[mine]] -= 1
        ctx.save_for_backward(grad / len(h))
        return (s.log() - t).mean()
    @staticmethod
    def backward(ctx, dy):
        return dy * ctx.saved_tensors[0], None, None, None
def parallel_cross_entropy(dist, logits, targets, first):
    return _CE.apply(logits, targets, first, dist)
"""

_ADAM = """
class ShardedAdam:
    def __init__(self, dist, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.dist, self.lr, self.betas, self.eps, self.t = dist, lr, betas, eps, 0
        self.ps = [q for q in parameters if q.requires_grad]
        self.n = sum(q.numel() for q in self.ps)
        self.p, self.r = dist.get_world_size(), dist.get_rank()
        self.k = (self.n + self.p - 1) // self.p
        self.m = torch.zeros(self.k, dtype=self.ps[0].dtype)
        self.v = torch.zeros(self.k, dtype=self.ps[0].dtype)
    @torch.no_grad()
    def step(self):
        self.t += 1
        g = self.m.new_zeros(self.k * self.p)
        w = self.m.new_zeros(self.k * self.p)
        at = 0
        for q in self.ps:
            if q.grad is not None:
                g[at : at + q.numel()] = q.grad.reshape(-1)
            w[at : at + q.numel()] = q.reshape(-1)
            at += q.numel()
        {before}
        own = torch.zeros(self.k, dtype=g.dtype)
        self.dist.{scatter}(own, g)
        {after}
        b1, b2 = self.betas
        {moments}
        mine = w[self.r * self.k : (self.r + 1) * self.k].clone()
        {move}
        self.dist.{gather}(w, mine)
        at = 0
        for q in self.ps:
            {back}
            at += q.numel()
"""
_USUAL = {
    "before": "",
    "scatter": "reduce_scatter_tensor",
    "after": "own /= self.p",
    "moments": "self.m = self.m * b1 + own * (1 - b1); self.v = self.v * b2 + own * own * (1 - b2)",
    "move": "mine -= self.lr * self.m / (1 - b1**self.t)"
    " / ((self.v / (1 - b2**self.t)) ** 0.5 + self.eps)",
    "gather": "all_gather_into_tensor",
    "back": "q.copy_(w[at : at + q.numel()].reshape(q.shape))",
}
_MASTER = """
class ShardedAdam:
    def __init__(self, dist, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        import math
        self.dist, self.lr, self.betas, self.eps, self.t = dist, lr, betas, eps, 0
        self.ps = [q for q in list(parameters) if q.requires_grad]
        p, r = dist.get_world_size(), dist.get_rank()
        self.lengths = [q.numel() for q in self.ps]
        k = math.ceil(sum(self.lengths) / p)
        zeros = torch.zeros(k * p - sum(self.lengths)).double()
        flat = torch.cat([q.data.view(-1) for q in self.ps] + [zeros])
        self.own = flat.chunk(p)[r].clone()       # kept from step to step
        self.m, self.v = torch.zeros_like(self.own), torch.zeros_like(self.own)
    def step(self):
        p, self.t = self.dist.get_world_size(), self.t + 1
        grads = [(torch.zeros_like(q) if q.grad is None else q.grad).reshape(-1) for q in self.ps]
        grads.append(grads[0].new_zeros(len(self.m) * p - sum(self.lengths)))
        g = torch.empty_like(self.m)
        self.dist.reduce_scatter_tensor(g, torch.cat(grads).div_(p))
        (b1, b2), t = self.betas, self.t
        self.m.lerp_(g, 1 - b1)
        self.v.mul_(b2).addcmul_(g, g, value=1 - b2)
        root = (self.v / (1 - b2**t)).sqrt() + self.eps
        self.own.addcdiv_(self.m / (1 - b1**t), root, value=-self.lr)
        whole = self.own.new_empty(len(self.own) * p)
        self.dist.all_gather_into_tensor(whole, self.own)
        for q, new in zip(self.ps, whole.split([*self.lengths, len(whole) - sum(self.lengths)])):
            q.data = new.view(q.shape).clone()
"""

STYLES = {
    "copy_and_reduce": {
        "the other order of arguments": _PAIR.format(
            copied="x.view_as(x)", back=_BACK, forth=_FORTH, passed="dy"
        ),
        "clones everywhere": _PAIR.format(
            copied="x.clone()",
            back="dy = dys[0].contiguous().clone(); ctx.dist.all_reduce(tensor=dy)",
            forth="y = x + 0 if x.is_contiguous() else x.contiguous(); dist.all_reduce(y)",
            passed="dy.clone()",
        ),
        "a hook": _HOOK,
        "setup_context, and a sum that autograd does not see": _SETUP,
        "classes in functions, a detached difference": _DETACHED,
    },
    "parallel_linear": {
        "bounds by hand": _LINEAR.format(
            column=_BOUNDS.format(axis=0)
            + "        self.weight = nn.Parameter(weight[start:stop].detach().clone())\n"
            "        self.bias = nn.Parameter(bias[start:stop].detach().clone())",
            forward="return copy_to_ranks(self.dist, x) @ self.weight.T + self.bias",
            row=_BOUNDS.format(axis=1)
            + "        self.weight = nn.Parameter(weight[:, start:stop].detach().clone())\n"
            "        self.bias = nn.Parameter(torch.clone(bias))",
            backward="return reduce_from_ranks(self.dist, x @ self.weight.T) + self.bias",
        ),
        "registered parameters": _LINEAR.format(
            column="self.d = dist\n        cut = lambda t: nn.Parameter("
            "torch.tensor_split(t, dist.get_world_size())"
            "[dist.get_rank()].clone())\n        self.register_parameter('weight', cut(weight));"
            " self.register_parameter('bias', cut(bias))",
            forward="return F.linear(copy_to_ranks(self.d, x), self.weight, bias=self.bias)",
            row="self.d = dist\n        self.weight = nn.Parameter(weight.T.tensor_split("
            "dist.get_world_size())[dist.get_rank()].T.contiguous().clone())\n"
            "        self.bias = nn.Parameter(bias.clone())",
            backward="y = F.linear(x, self.weight)\n"
            "        return self.bias + reduce_from_ranks(self.d, y)",
        ),
        "einsum": _LINEAR.format(
            column="self.d = dist; r, p = dist.get_rank(), dist.get_world_size()\n"
            "        cut = lambda t: nn.Parameter(t.tensor_split(p, 0)[r].clone())\n"
            "        self.weight, self.bias = map(cut, (weight, bias))",
            forward="y = torch.einsum('ni,oi->no', copy_to_ranks(self.d, x), self.weight)\n"
            "        return y + self.bias[None]",
            row="self.d = dist; r, p = dist.get_rank(), dist.get_world_size()\n"
            "        self.weight = nn.Parameter(weight.tensor_split(p, -1)[r].clone())\n"
            "        self.bias = nn.Parameter(bias.clone())",
            backward="part = torch.einsum('ni,oi->no', x, self.weight)\n"
            "        return reduce_from_ranks(self.d, part) + self.bias[None]",
        ),
        "an own Linear's parameters": _LINEAR.format(
            column="r, p = dist.get_rank(), dist.get_world_size(); self.d = dist\n"
            "        w, b = weight.tensor_split(p)[r], bias.tensor_split(p)[r]\n"
            "        made = nn.Linear(w.shape[1], w.shape[0]).to(w.dtype)\n"
            "        made.load_state_dict({'weight': w, 'bias': b})\n"
            "        self.weight, self.bias = made.weight, made.bias",
            forward="x = copy_to_ranks(self.d, x); return F.linear(x, self.weight, self.bias)",
            row="r, p = dist.get_rank(), dist.get_world_size(); self.d = dist\n"
            "        w = weight.tensor_split(p, dim=1)[r]\n"
            "        made = nn.Linear(w.shape[1], w.shape[0]).to(w.dtype)\n"
            "        made.load_state_dict({'weight': w, 'bias': bias})\n"
            "        self.weight, self.bias = made.weight, made.bias",
            backward="return reduce_from_ranks(self.d, F.linear(x, self.weight)).add(self.bias)",
        ),
        "one parent": """
class _Part(nn.Module):
    axis = 0
    def __init__(self, dist, weight, bias):
        nn.Module.__init__(self)
        self.dist = dist
        part = lambda t, axis: t.tensor_split(dist.get_world_size(), axis)[dist.get_rank()]
        self.weight = nn.Parameter(part(weight, self.axis).clone())
        self.bias = nn.Parameter((bias if self.axis else part(bias, 0)).clone())
class ColumnLinear(_Part):
    def forward(self, x):
        return torch.addmm(self.bias, copy_to_ranks(self.dist, x), self.weight.t())
class RowLinear(_Part):
    axis = 1
    def forward(self, x):
        return torch.add(reduce_from_ranks(self.dist, torch.mm(x, self.weight.t())), self.bias)
""",
    },
    "parallel_block": {
        "a module": _BLOCK.format(
            init=_PARTS, forward="return x + self.down(F.gelu(self.up(self.norm(x))))"
        ),
        "nn.GELU and sequence": _BLOCK.format(
            init=_PARTS + "; self.all = nn.Sequential(self.norm, self.up, nn.GELU(), self.down)",
            forward="return self.all(x) + x",
        ),
        "the formula of GELU": _BLOCK.format(
            init=_PARTS,
            forward="h = self.up(self.norm(x)); g = h * 0.5 * (1 + torch.erf(h / 2**0.5));"
            " return torch.add(x, self.down(g))",
        ),
        "without the classes of exercise 2": _BLOCK.format(
            init="self.norm = norm; r, p = dist.get_rank(), dist.get_world_size()\n"
            "        self.a = nn.Parameter(first.weight.detach().tensor_split(p)[r].clone())\n"
            "        self.b = nn.Parameter(first.bias.detach().tensor_split(p)[r].clone())\n"
            "        self.c = nn.Parameter(second.weight.detach().tensor_split(p, 1)[r].clone())\n"
            "        self.e = second.bias",
            forward="h = F.gelu(copy_to_ranks(self.dist, self.norm(x)) @ self.a.T + self.b)\n"
            "        return x + reduce_from_ranks(self.dist, h @ self.c.T) + self.e",
        ),
        "data, and capitals": 'gelu_place = " B "\n'
        + _BLOCK.format(
            init="self.n = norm; self.up = ColumnLinear(dist, first.weight.data, first.bias.data)\n"
            "        self.down = RowLinear(dist, second.weight.data, second.bias.data)",
            forward="return self.down(nn.functional.gelu(self.up(self.n(x)))) + x",
        ),
        "a residual module": """
class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
    def forward(self, x):
        return x + self.inner(x)
def parallel_block(dist, norm, first, second):
    with torch.no_grad():
        up = ColumnLinear(dist, first.weight, first.bias)
        down = RowLinear(dist, second.weight, second.bias)
    return Residual(nn.Sequential(norm, up, nn.GELU(), down))
""",
    },
    "parallel_embedding": {
        "summed where it stands": _LOOK.format(
            body="own = tokens - first\n"
            "    mine = (own >= 0) & (own < len(weight))\n"
            "    rows = weight[own * mine] * mine[..., None]\n"
            "    dist.all_reduce(rows)\n"
            "    return rows"
        ),
        "masked fill": _LOOK.format(
            body="at = tokens - first; out = (at < 0) | (at >= len(weight))\n"
            "    rows = weight[at.masked_fill(out, 0)].masked_fill(out.unsqueeze(-1), 0)\n"
            "    return reduce_from_ranks(dist, rows)"
        ),
        "one-hot": _LOOK.format(
            body="own = torch.arange(first, first + len(weight))\n"
            "    hot = (tokens[..., None] == own).to(weight.dtype)\n"
            "    return reduce_from_ranks(dist, hot @ weight)"
        ),
        "put where they belong": _LOOK.format(
            body="mine = torch.logical_and(tokens >= first, tokens < first + weight.size(0))\n"
            "    rows = weight.new_zeros(*tokens.shape, weight.size(1))\n"
            "    rows[mine] = weight[tokens[mine] - first]\n"
            "    return reduce_from_ranks(dist, rows)"
        ),
        "a row of zeros": _LOOK.format(
            body="v = len(weight); at = tokens - first\n"
            "    at = torch.where((0 <= at) & (at < v), at, v)\n"
            "    return reduce_from_ranks(dist, F.pad(weight, (0, 0, 0, 1))[at])"
        ),
        "clamped, then zero in place": _LOOK.format(
            body="at = tokens - first; rows = F.embedding(at.clamp(0, len(weight) - 1), weight)\n"
            "    rows[(at < 0) | (at >= len(weight))] = 0.0\n"
            "    return reduce_from_ranks(dist, rows)"
        ),
    },
    "parallel_cross_entropy": {
        "a function of its own": _FUNCTION,
        "two sums in one": _LOSS.format(
            body="with torch.no_grad():\n        h = logits.amax(1)\n"
            "        dist.all_reduce(h, op=dist.ReduceOp.MAX)\n"
            f"    {_TARGET}\n"
            "    s = torch.exp(logits - h[:, None]).sum(1)\n"
            "    both = reduce_from_ranks(dist, torch.stack([s, t], dim=1))\n"
            "    return (both[:, 0].log() + h - both[:, 1]).mean()"
        ),
        "the target first": _LOSS.format(
            body=f"{_TARGET}\n    t = reduce_from_ranks(dist, t)\n"
            "    h = logits.max(dim=1).values.detach(); dist.all_reduce(h, dist.ReduceOp.MAX)\n"
            "    s = reduce_from_ranks(dist, (logits - h.unsqueeze(1)).exp().sum(1))\n"
            "    return torch.mean(s.log() - (t - h))"
        ),
        "logsumexp of each part": _LOSS.format(
            body="own = logits.logsumexp(dim=1); h = own.detach().clone()\n"
            "    dist.all_reduce(h, op=dist.ReduceOp.MAX)\n"
            f"    {_TARGET}\n"
            "    s = reduce_from_ranks(dist, (own - h).exp())\n"
            "    return (h + s.log() - reduce_from_ranks(dist, t)).sum() / len(targets)"
        ),
        "shifted, one-hot": _LOSS.format(
            body="h = torch.amax(logits.detach(), dim=1, keepdim=True)\n"
            "    dist.all_reduce(h, op=dist.ReduceOp.MAX)\n"
            "    z = logits - h\n"
            "    hot = targets[:, None] == torch.arange(first, first + logits.shape[1])\n"
            "    t = reduce_from_ranks(dist, (z * hot).sum(dim=1, keepdim=True))\n"
            "    s = reduce_from_ranks(dist, z.exp().sum(dim=1, keepdim=True))\n"
            "    return (s.log() - t).mean()"
        ),
    },
    "shard_optimizer": {
        "divided afterwards": _ADAM.format(**_USUAL),
        "divided before": _ADAM.format(**{**_USUAL, "before": "g /= self.p", "after": ""}),
        "in place": _ADAM.format(
            **{
                **_USUAL,
                "moments": "self.m.mul_(b1).add_(own, alpha=1 - b1);"
                " self.v.mul_(b2).addcmul_(own, own, value=1 - b2)",
                "back": "q.data.copy_(w[at : at + q.numel()].view(*q.shape))",
            }
        ),
        "newer names": _ADAM.format(
            **{**_USUAL, "scatter": "reduce_scatter_single", "gather": "all_gather_single"}
        ),
        "its own weights kept": _MASTER,
    },
    "memory_of": {
        "formulas": """
def memory_of(layers, batch, p, layout):
    import math
    c = lambda n: math.ceil(n / p)
    if layout == "tensor":
        n = sum(c(o) * (i + 1) if k % 2 == 0 else c(i) * o + o for k, (i, o) in enumerate(layers))
        a = sum(batch * (i if k % 2 == 0 else c(i)) for k, (i, o) in enumerate(layers))
    else:
        n = sum(i * o + o for i, o in layers)
        a = sum(c(batch) * i for i, _ in layers)
    state = 2 * 4 * (c(n) if layout == "sharded" else n)
    return dict(weights=4 * n, gradients=4 * n, state=state, activations=4 * a)
""",
        "torch's own cut": """
def memory_of(layers, batch, p, layout):
    first = lambda n: len(torch.empty(n, device="meta").tensor_split(p)[0])
    n, a = 0, 0
    for k, (i, o) in enumerate(layers):
        rows, columns, seen = o, i, batch
        if layout == "tensor":
            rows, columns = (first(o), i) if k % 2 == 0 else (o, first(i))
        else:
            seen = first(batch)
        n += rows * columns + rows
        a += seen * columns
    state = first(n) if layout == "sharded" else n
    return {"weights": n * 4, "gradients": n * 4, "state": state * 8, "activations": a * 4}
""",
        "in another order, NumPy's numbers": """
def memory_of(layers, batch, p, layout):
    import numpy as np
    up = lambda n: np.int64((n + p - 1) // p)
    cut = layout == "tensor"
    out = [up(o) if cut and not k % 2 else np.int64(o) for k, (_, o) in enumerate(layers)]
    inn = [up(i) if cut and k % 2 else np.int64(i) for k, (i, _) in enumerate(layers)]
    n = sum(a * b + b for a, b in zip(inn, out))
    kept = sum(inn) * (batch if cut else up(batch))
    state = 8 * (up(n) if layout == "sharded" else n)
    return {"activations": 4 * kept, "state": state, "gradients": 4 * n, "weights": 4 * n}
""",
        "by divmod": """
def memory_of(layers, batch, p, layout):
    def larger(n):
        each, more = divmod(n, p)
        return each + (more > 0)
    numbers = activations = 0
    column = True
    for inputs, outputs in layers:
        if layout == "tensor" and column:
            outputs = larger(outputs)
        elif layout == "tensor":
            inputs = larger(inputs)
        numbers += inputs * outputs + outputs
        activations += inputs * (batch if layout == "tensor" else larger(batch))
        column = not column
    moments = 2 * (larger(numbers) if layout == "sharded" else numbers)
    names = "weights", "gradients", "state", "activations"
    return {k: 4 * n for k, n in zip(names, (numbers, numbers, moments, activations))}
""",
        "match": """
def memory_of(layers, batch, p, layout):
    up = lambda n: -(n // -p)
    match layout:
        case "tensor":
            shapes = [(i, up(o)) if k % 2 == 0 else (up(i), o) for k, (i, o) in enumerate(layers)]
        case _:
            shapes, batch = layers, up(batch)
    n = sum((i + 1) * o for i, o in shapes)
    state = 8 * up(n) if layout == "sharded" else 8 * n
    return {"weights": 4 * n, "gradients": 4 * n, "state": state,
            "activations": 4 * batch * sum(i for i, _ in shapes)}
""",
    },
    "choose_parallelism": {
        "one function": """
def bytes_sent(weights, inputs, batch, p):
    ring = lambda n: 8 * n * (1 - 1 / p)
    return dict(data=ring(weights), model=ring(inputs * batch))
def choose_parallelism(layers, batch, p):
    return [min(("data", "model"), key=bytes_sent(w, i, batch, p).get) for w, i in layers]
flip_batch = 1000
""",
        "numbers alone": """
def choose_parallelism(layers, batch, p):
    return ["data" if weights <= batch * inputs else "model" for weights, inputs in layers]
flip_batch = 1000.0
""",
        "a loop": """
def choose_parallelism(layers, batch, p):
    chosen = []
    for one in layers:
        sent = bytes_sent(one[0], one[1], batch=batch, p=p)
        if sent["data"] > sent["model"]:
            chosen.append("model")
        else:
            chosen.append("data")
    return chosen
flip_batch = max(b for b in range(1, 5000) if 4096 * b < 4096 * 1000 + 1000)
""",
        "two halves": """
def bytes_sent(weights, inputs, batch, p):
    scatter = gather = (p - 1) / p
    both = gather + scatter
    return {"model": both * 4 * batch * inputs, "data": both * 4 * weights}
flip_batch = int((4096 * 1000 + 1000) / 4096)
""",
        "arrays": """
def bytes_sent(weights, inputs, batch, p):
    both = torch.tensor([weights, batch * inputs], dtype=torch.float64) * 8 * (p - 1) / p
    return {"data": both[0].item(), "model": both[1].item()}
def choose_parallelism(layers, batch, p):
    cheaper = [w > batch * i for w, i in layers]
    return [("data", "model")[one] for one in cheaper]
flip_batch = torch.tensor(1000)
""",
    },
}
