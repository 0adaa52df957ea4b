"""Lab 03: right answers in other styles."""

STYLES = {
    "tensor_ops": {
        "named functions, keyword arguments": """
def add(a, b):
    def back(dY):
        return dY, dY
    return Tensor(data=np.add(a.data, b.data), op="+", parents=[a, b], pull=back)

def total(a, axis=None):
    def back(dY):
        return (np.ones(a.data.shape) * dY,)
    if axis is None:
        return Tensor(np.sum(a.data), parents=(a,), pull=back)
    return Tensor(np.expand_dims(a.data.sum(axis), axis), parents=(a,), pull=back)
""",
        "class instances": """
class Product:
    def __init__(self, a, b):
        self.a, self.b = a, b
    def __call__(self, dY):
        return [self.b * dY, self.a * dY]

def mul(a, b):
    return Tensor(a.data * b.data, "*", (a, b), Product(a.data, b.data))
""",
        "partial": """
import functools
def gated(gate, dY):
    return (np.where(gate, dY, 0.0),)
relu = lambda a: Tensor(
    np.where(a.data > 0, a.data, 0), "max", (a,), functools.partial(gated, a.data > 0)
)
""",
        "einsum": """
def matmul(a, b):
    A, B = a.data, b.data
    back = lambda dY: (np.einsum("nh,dh->nd", dY, B), np.einsum("nd,nh->dh", A, dY))
    return Tensor(np.einsum("nd,dh->nh", A, B), "einsum", (a, b), back)
""",
        "annotated, in place on copies": """
def mul(a: Tensor, b: "Tensor") -> "Tensor":
    def back(dY: Array) -> tuple[Array, Array]:
        first, second = dY.copy(), dY.copy()
        first *= b.data
        second *= a.data
        return first, second
    Y = a.data.copy()
    Y *= b.data
    return Tensor(Y, "mul", (a, b), back)
""",
        "a mask from the result, arrays that repeat": """
def relu(a):
    Y = (a.data + abs(a.data)) / 2
    return Tensor(Y, "relu", (a,), lambda dY: (dY * (Y > 0),))
def total(a, axis=None):
    Y = a.data.sum(axis=axis, keepdims=axis is not None)
    def back(dY):
        dX = np.empty_like(a.data)
        dX[...] = dY
        return (dX,)
    return Tensor(Y, "sum", (a,), back)
""",
    },
    "unbroadcast": {
        "axis by axis": """
def unbroadcast(dY, shape):
    while dY.ndim > len(shape):
        dY = dY.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            dY = dY.sum(axis=axis, keepdims=True)
    return dY
""",
        "reshape": """
def unbroadcast(dY, shape):
    padded = (1,) * (dY.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, n in enumerate(padded) if n == 1 and dY.shape[i] != 1)
    return dY.sum(axis=axes).reshape(shape)
""",
        "lambda": """
unbroadcast = lambda dY, shape: np.add.reduce(
    dY, axis=tuple(i for i in range(dY.ndim) if ((1,) * (dY.ndim - len(shape)) + shape)[i] == 1)
).reshape(shape)
""",
        "recursion": """
def unbroadcast(dY, shape):
    if dY.shape == tuple(shape):
        return dY
    if dY.ndim > len(shape):
        return unbroadcast(dY.sum(axis=0), shape)
    axis = next(i for i, n in enumerate(shape) if n != dY.shape[i])
    return unbroadcast(dY.sum(axis=axis, keepdims=True), shape)
""",
        "a place at a time": """
def unbroadcast(dY: Array, shape: tuple[int, ...]) -> Array:
    dX = np.zeros(shape)
    places = np.broadcast_to(np.arange(dX.size).reshape(shape), dY.shape)
    for place, share in zip(places.flat, dY.flat):
        dX.flat[place] += share
    return dX
""",
        "a class instance": """
class Unbroadcast:
    def __call__(self, dY, shape):
        lacking = dY.ndim - len(shape)
        dX = dY.sum(axis=tuple(range(lacking)))
        return dX.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)
unbroadcast = Unbroadcast()
""",
    },
    "topological_order": {
        "an explicit stack of iterators": """
def topological_order(root):
    order, seen, stack = [], {id(root)}, [(root, iter(root.parents))]
    while stack:
        tensor, parents = stack[-1]
        for parent in parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                stack.append((parent, iter(parent.parents)))
                break
        else:
            order.append(tensor)
            stack.pop()
    return order
""",
        "counting children (Kahn)": """
from collections import Counter, deque
def topological_order(root):
    parents, waiting, users = {}, [root], Counter()
    while waiting:
        tensor = waiting.pop()
        if tensor in parents:
            continue
        parents[tensor] = set(tensor.parents)
        users.update(parents[tensor])
        waiting.extend(parents[tensor])
    ready, order = deque([root]), []
    while ready:
        tensor = ready.popleft()
        order.append(tensor)
        for parent in parents[tensor]:
            users[parent] -= 1
            if not users[parent]:
                ready.append(parent)
    return order[::-1]
""",
        "a tuple": """
def topological_order(root: Tensor) -> tuple[Tensor, ...]:
    order, seen, stack = [], set(), [root]
    while stack:
        tensor = stack[-1]
        new = [p for p in tensor.parents if p not in seen]
        if tensor in seen or not new:
            stack.pop()
            if tensor not in seen:
                seen.add(tensor)
                order.append(tensor)
        else:
            stack.extend(new)
    return tuple(order)
""",
        "a generator": """
def walk(root):
    seen, stack = set(), [(root, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            yield tensor
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            stack += [(tensor, True), *((p, False) for p in tensor.parents[::-1])]

topological_order = lambda root: list(walk(root))
""",
        "recursion as generators on a stack": """
def topological_order(root):
    order, seen = {}, set()
    def visit(tensor):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            for parent in tensor.parents:
                yield visit(parent)
            order[id(tensor)] = tensor
    stack = [visit(root)]
    while stack:
        try:
            stack.append(next(stack[-1]))
        except StopIteration:
            stack.pop()
    return list(order.values())
""",
    },
    "backward": {
        "copies, then in place": """
def backward(order):
    order[-1].grad = np.ones(order[-1].data.shape)
    for tensor in order[::-1]:
        if not tensor.parents:
            continue
        for parent, share in zip(tensor.parents, tensor.pull(tensor.grad)):
            if parent.grad is None:
                parent.grad = np.zeros_like(parent.data)
            parent.grad += share
""",
        "a dictionary of sums": """
def backward(order):
    sums = {id(order[-1]): np.ones_like(order[-1].data)}
    while order:
        *order, tensor = order
        grad = sums[id(tensor)]
        if tensor.pull is not None:
            for parent, share in zip(tensor.parents, tensor.pull(grad)):
                sums[id(parent)] = sums.get(id(parent), 0) + share
        old = 0 if tensor.grad is None or tensor.parents else tensor.grad
        tensor.grad = old + grad * np.ones(tensor.data.shape)
""",
        "by index": """
def backward(order):
    order[-1].grad = np.full_like(order[-1].data, 1.0)
    for n in range(len(order) - 1, -1, -1):
        tensor = order[n]
        for i in range(len(tensor.parents)):
            share = tensor.pull(tensor.grad)[i]
            old = tensor.parents[i].grad
            tensor.parents[i].grad = share.copy() if old is None else np.add(old, share)
""",
        "an order that is used up": """
def backward(order):
    order[-1].grad = 0 * order[-1].data + 1
    while order:
        tensor = order.pop()
        if tensor.op:
            for parent, share in zip(tensor.parents, tensor.pull(tensor.grad.copy()), strict=True):
                parent.grad = (0.0 if parent.grad is None else parent.grad) + np.array(share)
""",
        "a helper and map": """
def give(parent, share):
    parent.grad = np.array(share, dtype=float) if parent.grad is None else parent.grad + share

def backward(order: list[Tensor]) -> None:
    order[-1].grad = np.ones_like(order[-1].data)
    for tensor in reversed(order):
        if callable(tensor.pull):
            list(map(give, tensor.parents, tensor.pull(tensor.grad)))
""",
        "a class instance": """
class Backward:
    def __call__(self, order):
        *rest, loss = order
        loss.grad = np.ones_like(loss.data)
        for tensor in [loss, *rest[::-1]]:
            if tensor.pull:
                for p, s in zip(tensor.parents, tensor.pull(tensor.grad)):
                    p.grad = sum([s] if p.grad is None else [p.grad, s])
backward = Backward()
""",
    },
    "detach": {
        "a copy of the data": "def detach(a): return Tensor(a.data.copy(), name=a.name)",
        "lambda": "detach = lambda a: Tensor(data=np.array(a.data))",
        "cleared with zeros": """
def train_step(loss_of, parameters, update):
    for p in parameters:
        p.grad = np.zeros_like(p.data)
    (loss := loss_of()).backward()
    update(parameters)
    return loss.data.item()
""",
        "cleared after the update": """
def train_step(loss_of, parameters, update):
    loss = loss_of()
    loss.backward()
    update(parameters)
    for p in parameters:
        p.grad = None
    return float(loss.data)
""",
        "keywords, in a try": """
def train_step(*, loss_of=None, parameters=(), update=None):
    try:
        for p in parameters:
            setattr(p, "grad", None)
        loss = loss_of()
        loss.backward()
        update(parameters)
        return np.float64(loss.data)
    finally:
        pass
_kept = train_step
def train_step(loss_of, parameters, update):
    return _kept(loss_of=loss_of, parameters=list(parameters), update=update)
""",
        "a decorator that clears": """
def cleared(step):
    def wrapped(loss_of, parameters, update):
        for p in parameters:
            p.grad = None
        return step(loss_of, parameters, update)
    return wrapped

@cleared
def train_step(loss_of, parameters, update):
    loss = loss_of()
    value = float(loss.data)
    loss.backward()
    update(tuple(parameters))
    return value
""",
    },
    "sgd_momentum": {
        "lambda": "sgd_momentum = lambda w, g, v, lr, mu: (w - lr * (mu * v + g), mu * v + g)",
        "a list": """
def sgd_momentum(w: Array, g: Array, v: Array, lr: float, momentum: float):
    new = np.add(momentum * v, g)
    return [np.subtract(w, lr * new), new]
""",
        "in place on copies": """
def sgd_momentum(w, g, v, lr, momentum):
    w, v = w.copy(), v.copy()
    v *= momentum
    v += g
    w -= lr * v
    return w, v
""",
        "number by number": """
def sgd_momentum(w, g, v, lr, momentum):
    W, V = np.empty_like(w), np.empty_like(v)
    for i in np.ndindex(w.shape):
        V[i] = momentum * v[i] + g[i]
        W[i] = w[i] - lr * V[i]
    return W, V
""",
        "partial": """
import functools
def stepped(order, w, g, v, lr, momentum):
    v = v + g - (1 - momentum) * v
    return (w + -lr * v, v)[::order]
sgd_momentum = functools.partial(stepped, 1)
""",
        "a class instance": """
class SGD:
    def __call__(self, w, g, v, lr, momentum):
        v = g + v * momentum
        return w - v * lr, v
sgd_momentum = SGD()
""",
    },
    "adam": {
        "as PyTorch writes it": """
def adam(w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8):
    m = m + (g - m) * (1 - betas[0])
    u = betas[1] * u + (1 - betas[1]) * g * g
    size = lr / (1 - betas[0] ** t)
    below = np.sqrt(u) / np.sqrt(1 - betas[1] ** t) + eps
    return w - size * m / below, m, u
""",
        "lambda": """
mean = lambda b, old, new: b * old + (1 - b) * new
adam = lambda w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8: (
    w - lr * (mean(betas[0], m, g) / (1 - betas[0] ** t))
    / ((mean(betas[1], u, g**2) / (1 - betas[1] ** t)) ** 0.5 + eps),
    mean(betas[0], m, g),
    mean(betas[1], u, g**2),
)
""",
        "in place on copies": """
def adam(w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8):
    w, m, u = np.copy(w), np.copy(m), np.copy(u)
    m *= betas[0]; m += (1 - betas[0]) * g
    u *= betas[1]; u += (1 - betas[1]) * np.square(g)
    w -= lr * m / (1 - betas[0] ** t) / (np.sqrt(u / (1 - betas[1] ** t)) + eps)
    return w, m, u
""",
        "a loop over the two means": """
def adam(w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8):
    new = [b * old + (1 - b) * g**power for b, old, power in zip(betas, (m, u), (1, 2))]
    hats = [one / (1 - b**t) for b, one in zip(betas, new)]
    return (w - lr * hats[0] / (np.sqrt(hats[1]) + eps), *new)
""",
        "a list, annotated": """
def adam(w: Array, g: Array, m, u, t: int, lr: float, betas=(0.9, 0.999), eps=1e-8) -> list:
    one, two = betas
    m, u = m * one + g - one * g, u * two + g * g - two * g * g
    return [w - lr * (m / (1 - pow(one, t))) / (np.sqrt(u / (1 - pow(two, t))) + eps), m, u]
""",
        "a class instance": """
class Adam:
    def __call__(self, w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8):
        m = betas[0] * m + (1 - betas[0]) * g
        u = betas[1] * u + (1 - betas[1]) * g**2
        root = np.sqrt(1 - betas[1] ** t)
        return w - lr * m / (1 - betas[0] ** t) * root / (np.sqrt(u) + eps * root), m, u
adam = Adam()
""",
    },
    "three_ways": {
        "a float": "calls_in_trace = 12.0",
        "NumPy's": "calls_in_trace = np.int64(12)",
        "counted": """
class Four(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)
    def forward(self, x):
        for _ in range(4):
            x = x + torch.relu(self.layer(x))
        return x
nodes = torch.fx.symbolic_trace(Four()).graph.nodes
calls_in_trace = sum(n.op in ("call_module", "call_function") for n in nodes)
""",
        "capitals and spaces": 'fx_on_where, fx_on_flag, why_both = "Both ", "ONE", " B"',
        "tried out": """
flag = True
def by_flag(x):
    return x * x if flag else x.relu()
kinds = {n.name for n in torch.fx.symbolic_trace(by_flag).graph.nodes}
fx_on_flag = "one" if "mul" in kinds and "relu" not in kinds else "both"
def by_where(x):
    return torch.where(x > 0, x * x, x.relu())
kinds = {n.name for n in torch.fx.symbolic_trace(by_where).graph.nodes}
fx_on_where = "both" if {"mul", "relu"} <= kinds else "one"
""",
    },
}
