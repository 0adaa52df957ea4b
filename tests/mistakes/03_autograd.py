"""Lab 03: what people get wrong when they write an engine that finds gradients."""

from tests.mistakes import Mistake, variants

_ops = variants(
    "tensor_ops",
    """
def add(a, b):
    return {added}

def mul(a, b):
    return Tensor({product}, "mul", (a, b), lambda dY: {mul})

def matmul(a, b):
    return Tensor(a.data @ b.data, "matmul", (a, b), lambda dY: {matmul})

def relu(a):
    return Tensor({positive}, "relu", (a,), lambda dY: {relu})

def total(a, axis=None):
    return Tensor({sum}, "sum", (a,), lambda dY: {total})
""",
    added='Tensor(a.data + b.data, "add", (a, b), lambda dY: (dY, dY))',
    product="a.data * b.data",
    mul="(dY * b.data, dY * a.data)",
    matmul="(dY @ b.data.T, a.data.T @ dY)",
    positive="np.maximum(a.data, 0)",
    relu="(dY * (a.data > 0),)",
    sum="a.data.sum(axis=axis, keepdims=axis is not None)",
    total="(np.ones_like(a.data) * dY,)",
)
_OPS = [
    _ops("an array", 1.7, "Wrap the array", added="a.data + b.data"),
    _ops("no pull", 1.7, "pass it without calling", added='Tensor(a.data + b.data, "add", (a, b))'),
    _ops(
        "parents' data",
        1.7,
        "not their data",
        added='Tensor(a.data + b.data, "add", (a.data, b.data), lambda dY: (dY, dY))',
    ),
    _ops(
        "dY missing",
        1.7,
        "times what arrives",
        added="""Tensor(a.data + b.data, "add", (a, b), lambda dY: (np.ones_like(dY),) * 2)""",
    ),
    _ops("own value", 1.6, "the slope of a·b in a is b", mul="(dY * a.data, dY * b.data)"),
    _ops("slope alone", 1.6, "multiply it by what arrives", mul="(b.data, a.data)"),
    _ops("times the product", 1.6, "is b alone", mul="(dY * a.data * b.data,) * 2"),
    _ops("not transposed", 1.5, "b is not transposed", matmul="(dY @ b.data, a.data @ dY)"),
    _ops("changed places", 1.5, "in the order (a, b)", matmul="(a.data.T @ dY, dY @ b.data.T)"),
    _ops("as in mul", 1.5, "the rule of mul", matmul="(dY * b.data, dY * a.data)"),
    _ops("sign of dY", 1.65, "not that of dY", relu="(np.maximum(dY, 0),)"),
    _ops("through relu", 1.65, "dY went through unchanged", relu="(dY,)"),
    _ops("comma", 1.65, "A tuple of one needs its comma", relu="dY * (a.data > 0)"),
    _ops("absolute", 1.65, "absolute value", positive="abs(a.data)"),
    _ops("not repeated", 1.55, "repeat dY to the shape", total="(dY,)"),
    _ops(
        "input in place",
        1.65,
        "changes its inputs in place",
        positive="np.maximum(a.data, 0, out=a.data)",
    ),
    _ops(
        "dY in place",
        1.65,
        "changes dY in place",
        relu="(np.multiply(dY, a.data > 0, out=dY),)",
    ),
    _ops("slope 1 at 0", 1.65, "The slope at 0 is 0", relu="(dY * (a.data >= 0),)"),
    _ops(
        "dY in place, in mul",
        1.6,
        "changes dY in place",
        mul="(np.multiply(dY, b.data, out=dY), dY * a.data)",
    ),
    _ops("mean", 1.55, "the mean's gradient", total="(np.ones_like(a.data) * dY / a.data.size,)"),
    _ops("axis gone", 1.55, "keepdims=True keeps it", sum="a.data.sum(axis=axis)"),
    _ops("axes kept", 1.55, "no axis stays", sum="a.data.sum(axis=axis, keepdims=True)"),
    _ops("axis ignored", 1.55, "sum along the axis that is given", sum="a.data.sum()"),
]

_unbroadcast = variants(
    "unbroadcast",
    """
def unbroadcast(dY, shape):
    missing = tuple(range(dY.ndim - len(shape)))
    dX = {left}
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return {right}
""",
    left="dY.sum(axis=missing)",
    right="dX.sum(axis=ones, keepdims=True)",
)
_whole = variants("unbroadcast", "def unbroadcast(dY, shape):\n    return {it}")
_UNBROADCAST = [
    _unbroadcast(
        "mean",
        0,
        "shares add up",
        left="dY.mean(axis=missing)",
        right="dX.mean(axis=ones, keepdims=True)",
    ),
    _unbroadcast("left axes only", 0.3, "Only axes missing on the left", right="dX"),
    _unbroadcast("no keepdims", 0.3, "keepdims=True keeps it", right="dX.sum(axis=ones)"),
    _whole("nothing", 0, "Nothing is summed", it="dY"),
    _whole("everything", 0, "sum only the axes that were repeated", it="dY.sum()"),
    _whole("axis 0", 0.3, "Axis 0 is summed, whatever", it="dY.sum(axis=0)"),
    _whole("last axis", 0, "The last axis is summed", it="dY.sum(axis=-1)"),
    _whole(
        "PyTorch's",
        0,
        "uses torch.",
        it="torch.tensor(dY).sum_to_size(shape).numpy()",
    ),
    _whole("first share", 0, "of the first place alone", it="dY.reshape(-1, *shape)[0]"),
]

_order = variants(
    "topological_order",
    """
def topological_order(root):
    order, visited = [], set()

    def visit(tensor):
        {first}
        if id(tensor) in visited:
            return
        visited.add(id(tensor))
        {before}
        for parent in {parents}:
            visit(parent)
        {after}

    visit(root)
    return {result}
""",
    first="",
    before="",
    parents="tensor.parents",
    after="order.append(tensor)",
    result="order",
)
_BREADTH_FIRST = """
def topological_order(root):
    order = [root]
    for tensor in order:
        order += [p for p in dict.fromkeys(tensor.parents) if p not in order]
    return order[::-1]
"""
_MARKED_LATE = """
def topological_order(root):
    order, stack = [], [(root, False)]
    while stack:
        tensor, parents_done = stack.pop()
        if not parents_done:
            stack.append((tensor, True))
            stack += [(parent, False) for parent in tensor.parents]
        elif tensor not in order:
            order.append(tensor)
    return order
"""
_ORDER = [
    _order("recursion", 1.0, "a list of your own"),
    _order(
        "before its parents",
        0.35,
        "before its parents are done",
        before="order.append(tensor)",
        after="",
        result="order[::-1]",
    ),
    Mistake(
        "topological_order",
        "visited kept between calls",
        0,
        "Something is left from the first call",
        """
def topological_order(root, visited=set()):
    order = []

    def visit(tensor):
        if id(tensor) in visited:
            return
        visited.add(id(tensor))
        for parent in tensor.parents:
            visit(parent)
        order.append(tensor)

    visit(root)
    return order
""",
    ),
    Mistake(
        "topological_order",
        "told apart by value",
        0,
        "by id(tensor): names and numbers may be equal",
        """
def topological_order(root):
    order, visited = [], set()

    def visit(tensor):
        if float(tensor.data) in visited:
            return
        visited.add(float(tensor.data))
        for parent in tensor.parents:
            visit(parent)
        order.append(tensor)

    visit(root)
    return order
""",
    ),
    _order("root first", 0.35, "the wrong way round", result="order[::-1]"),
    _order(
        "no leaves",
        0,
        "Leaves belong to the order",
        after="tensor.parents and order.append(tensor)",
    ),
    _order("no root", 0, "The root belongs to the order", result="order[:-1] or order"),
    _order("first parent only", 0, "Follow all parents", parents="tensor.parents[:1]"),
    _order("not remembered", 0, "Several paths lead to it", first="visited.clear()"),
    _order("data", 0, "the tensors themselves", after="order.append(tensor.data)"),
    _order("nothing returned", 0, "Is a return missing?", result="None"),
    _order("an iterator", 0, "list(…) makes a list", result="reversed(order[::-1])"),
    _order(
        "by name",
        0,
        "tell tensors apart",
        first="""if tensor.name in visited: return
        visited.add(tensor.name)""",
    ),
    Mistake("topological_order", "by distance", 0.6, "has to wait for", _BREADTH_FIRST),
    Mistake("topological_order", "marked late", 1.0, "there are 2ⁿ paths", _MARKED_LATE),
]

_backward = variants(
    "backward",
    """
def backward(order):
    loss = order[-1]
    {before}
    loss.grad = {seed}
    for tensor in {tensors}:
        if tensor.pull is not None:
            for p, share in zip(tensor.parents, tensor.pull(tensor.grad)):
                {join}
    {after}
""",
    before="",
    seed="np.ones_like(loss.data)",
    tensors="reversed(order)",
    join="p.grad = share if p.grad is None else p.grad + share",
    after="",
)
_BACKWARD = [
    Mistake(
        "backward",
        "PyTorch's",
        0,
        "uses torch.autograd.backward",
        """
def backward(order):
    torch.autograd.backward([torch.tensor(order[-1].data, requires_grad=True)])
""",
    ),
    _backward("overwritten", 0.35, "The last share replaces", join="p.grad = share"),
    _backward(
        "first share kept",
        0.35,
        "Only the first share is kept",
        join="p.grad = share if p.grad is None else p.grad",
    ),
    _backward(
        "in place",
        1.2,
        "changes an array that others hold",
        join="""if p.grad is None:
                    p.grad = share
                else:
                    p.grad += share""",
    ),
    _backward(
        "cleared inside",
        1.15,
        "clearing them is for zero_grad",
        before="for tensor in order: tensor.grad = None",
    ),
    _backward("forwards", 0, "go through the order from its end", tensors="order"),
    _backward("no seed", 0, "give it its gradient, 1, first", seed="None"),
    _backward("seed is a float", 0.35, "in the shape of its tensor's data", seed="1.0"),
    _backward(
        "truth of an array",
        0.35,
        "is asked by `p.grad is None`",
        join="p.grad = p.grad + share if p.grad else share",
    ),
    _backward("seed 0", 0, "Everything is zero", seed="np.zeros_like(loss.data)"),
    _backward("seed is the loss", 0, "its gradient in itself is 1", seed="loss.data.copy()"),
    _backward(
        "averaged",
        0.35,
        "Shares are averaged",
        join="p.grad = share if p.grad is None else (p.grad + share) / 2",
    ),
    Mistake(
        "backward",
        "path by path",
        0.7,
        "paths can be many",
        """
def backward(order):
    def send(tensor, dY):
        tensor.grad = dY if tensor.grad is None else tensor.grad + dY
        if tensor.pull is not None:
            for parent, share in zip(tensor.parents, tensor.pull(dY)):
                send(parent, share)

    send(order[-1], np.ones_like(order[-1].data))
""",
    ),
    _backward(
        "cleared on the way",
        0,
        "Is one cleared when it has been passed on",
        after="for t in order:\n        if t.pull is not None: t.grad = None",
    ),
    Mistake(
        "backward",
        "pull not called",
        0,
        "backward called no `pull`",
        "def backward(order): order[-1].grad = np.ones_like(order[-1].data)",
    ),
]

_detach = variants(
    "detach",
    """
slope_past_detach = {slope}

def detach(a):
    return {cut}

def train_step(loss_of, parameters, update):
    {clear}
    loss = loss_of()
    {work}
    return {result}
""",
    slope="3.0",
    cut="Tensor(a.data)",
    clear="for p in parameters: p.grad = None",
    work="loss.backward(); update(parameters)",
    result="float(loss.data)",
)
_DETACH = [
    _detach("both paths", 1.0, "lets no gradient pass", slope="6.0"),
    _detach("value", 1.0, "not its slope", slope="9"),
    _detach("the same", 0.9, "the same tensor", cut="a"),
    _detach("of a tensor", 0.9, "Tensor takes an array", cut="Tensor(a)"),
    _detach("array", 0.9, "should return a Tensor", cut="a.data"),
    _detach("keeps pull", 0.9, "A new leaf", cut="Tensor(a.data, a.op, a.parents, a.pull)"),
    _detach(
        "gradient kept",
        0.9,
        "A new leaf has none",
        cut="(t := Tensor(a.data), setattr(t, 'grad', a.grad))[0]",
    ),
    _detach(
        "cuts a",
        0.9,
        "Others may still send gradients",
        cut="(setattr(a, 'parents', ()), setattr(a, 'pull', None), a)[2]",
    ),
    _detach("no zero_grad", 1.0, "without zero_grad they add up", clear=""),
    _detach(
        "cleared too late",
        1.0,
        "cleared between backward and update",
        clear="",
        work="loss.backward(); [setattr(p, 'grad', None) for p in parameters]\n"
        "    update(parameters)",
    ),
    _detach(
        "update first",
        0.75,
        "update comes before backward",
        work="update(parameters); loss.backward()",
    ),
    _detach("no update", 0.75, "never updated", work="loss.backward()"),
    _detach("no backward", 0.75, "backward() is never called", work="update(parameters)"),
    _detach("loss again", 0.75, "computed again for the result", result="float(loss_of().data)"),
    _detach(
        "loss not computed",
        0.6,
        "loss_of() computes the loss",
        work="loss = loss_of; loss.backward()",
    ),
    _detach(
        "one by one",
        0.75,
        "all parameters at once",
        work="loss.backward(); [update([p]) for p in parameters]",
    ),
    _detach("tensor", 1.1, "keeps the whole graph", result="loss"),
    _detach("array of loss", 1.1, "should be a plain float", result="loss.data"),
]

_sgd = variants(
    "sgd_momentum",
    """
def sgd_momentum(w, g, v, lr, momentum):
    {first}
    v = {v}
    return {result}
""",
    first="",
    v="momentum * v + g",
    result="w - lr * v, v",
)
_SGD = [
    Mistake(
        "sgd_momentum",
        "PyTorch's",
        0,
        "uses torch.optim.SGD",
        """
def sgd_momentum(w, g, v, lr, momentum):
    weight = torch.tensor(w, requires_grad=True)
    weight.grad = torch.tensor(g)
    optimizer = torch.optim.SGD([weight], lr=lr, momentum=momentum)
    optimizer.step()
    return weight.detach().numpy(), v
""",
    ),
    _sgd(
        "rate inside",
        0,
        "The learning rate is inside v",
        v="momentum * v + lr * g",
        result="w - v, v",
    ),
    _sgd("damped", 0, "torch's v is a sum", v="momentum * v + (1 - momentum) * g"),
    _sgd("old v", 0, "make the new v first", first="old = v", result="w - lr * old, v"),
    _sgd("up", 0, "goes up the slope", result="w + lr * v, v"),
    _sgd("no momentum", 0.15, "The momentum is missing", v="v + g"),
    _sgd("Nesterov", 0, "Nesterov", result="w - lr * (g + momentum * v), v"),
    _sgd("gradient alone", 0.15, "it should move by v", result="w - lr * g, v"),
    _sgd("on both", 0, "weakens the old v alone", v="momentum * (v + g)"),
    _sgd("other order", 0, "The order is (w, v)", result="v, w - lr * v"),
    _sgd("in place", 0, "changed its argument `w`", result="w.__isub__(lr * v), v"),
]

_adam = variants(
    "adam",
    """
adam_step_ratio = {ratio}

def adam(w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8):
    one, two = {betas}
    with np.errstate(all="ignore"):
        m = {m}
        u = {u}
        m_hat, u_hat = {m_hat}, {u_hat}
        return {w}, {result}
""",
    ratio="1",
    betas="betas",
    m="one * m + (1 - one) * g",
    u="two * u + (1 - two) * g**2",
    m_hat="m / (1 - one**t)",
    u_hat="u / (1 - two**t)",
    w="w - lr * m_hat / (np.sqrt(u_hat) + eps)",
    result="m, u",
)
_ADAM = [
    Mistake(
        "adam",
        "PyTorch's, by a helper",
        0,
        "uses torch.optim.Adam",
        """
from torch import optim

def stepped(w, g, lr):
    weight = torch.tensor(w, requires_grad=True)
    weight.grad = torch.tensor(g)
    optim.Adam([weight], lr=lr).step()
    return weight.detach().numpy()

def adam(w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8):
    return stepped(w, g, lr), m, u
""",
    ),
    _adam("plain ratio", 1.0, "That is plain descent's", ratio="1e6"),
    _adam("gradient", 1.0, "the root of û is the size of g", ratio="1e3"),
    _adam("not corrected", 0.55, "correction for the start at 0 is missing", m_hat="m", u_hat="u"),
    _adam("u not corrected", 0.55, "Only m is corrected", u_hat="u"),
    _adam("eps inside", 0.8, "ε is under the root", w="w - lr * m_hat / np.sqrt(u_hat + eps)"),
    _adam("no root", 0.55, "The root is missing", w="w - lr * m_hat / (u_hat + eps)"),
    _adam("no square", 0.25, "not of its square", u="two * u + (1 - two) * g"),
    _adam("betas swapped", 0.25, "m goes with β₁", betas="betas[::-1]"),
    _adam("corrected kept", 0.7, "what is kept for the next step", result="m_hat, u_hat"),
    _adam("no power", 0.55, "the power t is missing", m_hat="m / (1 - one)", u_hat="u / (1 - two)"),
    _adam(
        "from 0", 0.55, "holds NaN", m_hat="m / (1 - one**(t - 1))", u_hat="u / (1 - two**(t - 1))"
    ),
    _adam("up", 0.55, "goes up the slope", w="w + lr * m_hat / (np.sqrt(u_hat) + eps)"),
    _adam("times t", 0.55, "is a power", m_hat="m / (1 - one * t)", u_hat="u / (1 - two * t)"),
    _adam("betas fixed", 0.5, "take them from `betas`", betas="(0.9, 0.999)"),
    _adam("one u for all", 0.25, "number by number", u="two * u + (1 - two) * g @ g"),
    _adam("mean of m²", 0.25, "a mean of m²", u="two * u + (1 - two) * m**2"),
    _adam("weights swapped", 0.25, "have changed places", m="(1 - one) * m + one * g"),
]

_THREE_WAYS = [
    Mistake("three_ways", name, 0.75, says, code)
    for name, says, code in (
        ("loop kept", "loop's body once", "calls_in_trace = 2"),
        ("rounds", "applies two operations", "calls_in_trace = 3"),
        ("nodes", "no operations", "calls_in_trace = 8"),
        ("fx both", "never sees the branch", 'fx_on_if = "both"'),
        ("fx one", "whether it is true", 'fx_on_if = "one"'),
        ("yours both", "How many branches ran", 'yours_on_if = "both"'),
        ("yours error", "carry their numbers", 'yours_on_if = "error"'),
        ("slower", "planning gains little", 'why_both = "a"'),
        ("needs a graph", "without a declared graph", 'why_both = "c"'),
        ("one not filled in", "no value yet", "calls_in_trace = None"),
        ("exact", "The numbers are the same", 'why_both = "d"'),
    )
]

MISTAKES = [
    *_OPS,
    *_UNBROADCAST,
    *_ORDER,
    *_BACKWARD,
    *_DETACH,
    *_SGD,
    *_ADAM,
    *_THREE_WAYS,
]
