"""The answers of lab 03, by the lab's own names, and the mistakes that are known.

The checks run both beside the learner's: what is right for an exercise, and what a mistake leads
to, is what the same probe reports of these.
"""

import itertools
import sys

import numpy as np

from grading.checks.mistakes import Known, Mistake, Table, variants


class Tensor:
    """The lab's own, which is given there."""

    def __init__(self, data, op="", parents=(), pull=None, name=""):
        self.data = np.asarray(data, dtype=np.float64)
        self.op, self.parents, self.pull, self.name = op, tuple(parents), pull, name
        self.grad = None


def add(a, b):
    return Tensor(a.data + b.data, "add", (a, b), lambda dY: (dY, dY))


def mul(a, b):
    return Tensor(a.data * b.data, "mul", (a, b), lambda dY: (dY * b.data, dY * a.data))


def matmul(a, b):
    return Tensor(a.data @ b.data, "matmul", (a, b), lambda dY: (dY @ b.data.T, a.data.T @ dY))


def relu(a):
    return Tensor(np.maximum(a.data, 0), "relu", (a,), lambda dY: (dY * (a.data > 0),))


def total(a, axis=None):
    Y = a.data.sum(axis=axis, keepdims=axis is not None)
    return Tensor(Y, "sum", (a,), lambda dY: (np.broadcast_to(dY, a.data.shape),))


def unbroadcast(dY, shape):
    dX = dY.sum(axis=tuple(range(dY.ndim - len(shape))))
    repeated = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return dX.sum(axis=repeated, keepdims=True)


def topological_order(root):
    order, visited = [], set()
    stack = [(root, False)]
    while stack:
        tensor, parents_done = stack.pop()
        if parents_done:
            order.append(tensor)
        elif id(tensor) not in visited:
            visited.add(id(tensor))
            stack.append((tensor, True))
            stack.extend((parent, False) for parent in tensor.parents)
    return order


def backward(order):
    loss = order[-1]
    loss.grad = np.ones_like(loss.data)
    for tensor in reversed(order):
        if tensor.pull is not None:
            shares = tensor.pull(tensor.grad)
            for parent, share in zip(tensor.parents, shares, strict=True):
                parent.grad = np.array(share) if parent.grad is None else parent.grad + share


def detach(a):
    return Tensor(a.data)


def train_step(loss_of, parameters, update):
    for parameter in parameters:
        parameter.grad = None
    loss = loss_of()
    loss.backward()
    update(parameters)
    return float(loss.data)


def sgd_momentum(w, g, v, lr, momentum):
    v = momentum * v + g
    return w - lr * v, v


def adam(w, g, m, u, t, lr, betas=(0.9, 0.999), eps=1e-8):
    beta1, beta2 = betas
    m = beta1 * m + (1 - beta1) * g
    u = beta2 * u + (1 - beta2) * g**2
    m_hat, u_hat = m / (1 - beta1**t), u / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(u_hat) + eps), m, u


calls_in_trace = 12
fx_on_where = "both"
fx_on_flag = "one"
why_both = "b"


_add, _add_otherwise = variants("tensor_ops", "def add(a, b):\n    return {all}")


def _added(value="a.data + b.data", parents="a, b", pull="(dY, dY)"):
    return f'Tensor({value}, "add", ({parents}), lambda dY: {pull})'


_mul, _mul_otherwise = variants(
    "tensor_ops",
    'def mul(a, b):\n    return Tensor({value}, "mul", (a, b), lambda dY: {pull})',
    value="a.data * b.data",
    pull="(dY * b.data, dY * a.data)",
)
_matmul, _ = variants(
    "tensor_ops",
    'def matmul(a, b):\n    return Tensor({value}, "matmul", (a, b), lambda dY: {pull})',
    value="a.data @ b.data",
    pull="(dY @ b.data.T, a.data.T @ dY)",
)
_relu, _relu_otherwise = variants(
    "tensor_ops",
    'def relu(a):\n    return Tensor({value}, "relu", (a,), lambda dY: {pull})',
    value="np.maximum(a.data, 0)",
    pull="(dY * (a.data > 0),)",
)
_total, _total_otherwise = variants(
    "tensor_ops",
    'def total(a, axis=None):\n    return Tensor({value}, "sum", (a,), lambda dY: {pull})',
    value="a.data.sum(axis=axis, keepdims=axis is not None)",
    pull="(np.ones_like(a.data) * dY,)",
)
_ALL = (
    "Everything is summed: sum along the axis that is given. (`if axis:` is false for axis 0, too:"
    " ask whether it is None.)"
)
_OPS = [
    _matmul(
        "b first",
        1.5,
        "That is b @ a: it is a @ b.",
        value="b.data @ a.data",
    ),
    _relu(
        "negative part",
        1.65,
        "That is the negative part: relu passes on what is positive, np.maximum.",
        value="np.minimum(a.data, 0)",
    ),
    _matmul(
        "dY transposed",
        1.5,
        "dY is transposed, where b should be: the gradient in a is dY @ b.T.",
        pull="(dY.T @ b.data, a.data.T @ dY)",
    ),
    _matmul(
        "stars on the way back",
        1.5,
        "`*` multiplies number by number: on the way back, too, it is `@`.",
        pull="(dY * b.data.T, a.data.T * dY)",
    ),
    _relu(
        "value for gradient",
        1.65,
        "That is relu's value, not a gradient: pull gives dY times the slope.",
        pull="(np.maximum(a.data, 0),)",
    ),
    _total(
        "axis left out",
        1.55,
        _ALL,
        value="a.data.sum(keepdims=axis is not None)",
    ),
    _add("product", 1.7, "That is the product.", all=_added("a.data * b.data")),
    _add(
        "dY missing",
        1.7,
        "The slope of a sum is 1, times what arrives: dY is missing.",
        all=_added(pull="(np.ones_like(dY),) * 2"),
    ),
    _add(
        "values matter",
        1.7,
        "In a sum the values do not matter: the slope is 1, whatever a is.",
        all=_added(pull="(dY * a.data, dY * b.data)"),
    ),
    _add(
        "half",
        1.7,
        "In a sum, each input gets all of dY, not half.",
        all=_added(pull="(dY / 2, dY / 2)"),
    ),
    _add(
        "minus",
        1.7,
        "The second is added, not subtracted: its slope is 1.",
        all=_added(pull="(dY, -dY)"),
    ),
    _add_otherwise("an array", 1.7, "Wrap the array", all="a.data + b.data"),
    _add_otherwise(
        "no pull", 1.7, "pass it without calling", all='Tensor(a.data + b.data, "add", (a, b))'
    ),
    _add_otherwise("parents' data", 1.7, "not their data", all=_added(parents="a.data, b.data")),
    _add_otherwise("no parents", 1.7, "a tuple of the input tensors", all=_added(parents="")),
    _add_otherwise("one share", 1.7, "one gradient for each parent", all=_added(pull="(dY,)")),
    _add_otherwise("pull sets grad", 1.7, "sets no grad itself", all=_added(pull="None")),
    Mistake(
        "tensor_ops",
        "pull without dY",
        1.7,
        "pull takes one argument, dY",
        'def add(a, b): return Tensor(a.data + b.data, "add", (a, b), lambda: (a.grad, b.grad))',
    ),
    Mistake(
        "tensor_ops",
        "op left out",
        1.7,
        "op is text",
        "def add(a, b): return Tensor(a.data + b.data, (a, b), lambda dY: (dY, dY))",
    ),
    _mul(
        "product divided",
        1.6,
        "The product is divided by a number that may be 0: the slope of a·b in a is b itself.",
        pull="(lambda a, b: (dY * (a * b) / a, dY * (a * b) / b))(a.data, b.data)",
    ),
    _mul(
        "sum of both",
        1.6,
        "That is dY times the sum of both: the slope of a·b in a is b alone.",
        pull="(dY * (a.data + b.data),) * 2",
    ),
    _mul_otherwise("tensors in pull", 1.6, "take the `data` of the tensors", pull="(b, a)"),
    Mistake(
        "tensor_ops",
        "operator of tensors",
        1.6,
        "a tensor's array is its `data`",
        'def mul(a, b): return Tensor(a * b, "mul", (a, b), lambda dY: (dY * b.data, dY * a.data))',
    ),
    _mul(
        "matrix product",
        1.6,
        "That is the matrix product: mul works number by number.",
        value="a.data @ b.data",
    ),
    _mul(
        "own value",
        1.6,
        "Its own value is taken: the slope of a·b in a is b.",
        pull="(dY * a.data, dY * b.data)",
    ),
    _mul(
        "slope alone",
        1.6,
        "That is the slope alone: multiply it by what arrives, dY.",
        pull="(b.data, a.data)",
    ),
    _mul(
        "unchanged", 1.6, "dY went through unchanged: the slope of a·b in a is b.", pull="(dY, dY)"
    ),
    _mul(
        "times the product",
        1.6,
        "That is dY times the product: the slope of a·b in a is b alone.",
        pull="(dY * a.data * b.data,) * 2",
    ),
    _mul(
        "sum",
        1.6,
        "That is a sum: the chain rule multiplies dY and the slope.",
        pull="(dY + b.data, dY + a.data)",
    ),
    _mul_otherwise(
        "dY in place, in mul",
        1.6,
        "changes dY in place",
        pull="(np.multiply(dY, b.data, out=dY), dY * a.data)",
    ),
    _matmul(
        "number by number",
        1.5,
        "That is the product number by number: a @ b is the matrix product.",
        value="a.data * b.data",
    ),
    _matmul(
        "not transposed",
        1.5,
        "b is not transposed: on the way back dY goes through b's transpose.",
        pull="(dY @ b.data, a.data.T @ dY)",
    ),
    _matmul(
        "a not transposed",
        1.5,
        "a is not transposed: on the way back dY goes through a's transpose.",
        pull="(dY @ b.data.T, a.data @ dY)",
    ),
    _matmul(
        "order",
        1.5,
        "The order is wrong: dY comes first, then b's transpose.",
        pull="(b.data.T @ dY, a.data.T @ dY)",
    ),
    _matmul(
        "order, a",
        1.5,
        "The order is wrong: a's transpose comes first, then dY.",
        pull="(dY @ b.data.T, dY @ a.data.T)",
    ),
    _matmul(
        "changed places",
        1.5,
        "That is the gradient in the other input: pull returns them in the order (a, b).",
        pull="(a.data.T @ dY, dY @ b.data.T)",
    ),
    _matmul(
        "as in mul",
        1.5,
        "That is the rule of mul, number by number: this is a matrix product.",
        pull="(dY * b.data, dY * a.data)",
    ),
    _matmul(
        "transposes",
        1.5,
        "It is the gradient's transpose.",
        pull="(b.data @ dY.T, dY.T @ a.data)",
    ),
    _matmul(
        "transposes alone",
        1.5,
        "Those are the transposes alone: each is multiplied by what arrives, dY.",
        pull="(b.data.T, a.data.T)",
    ),
    _matmul(
        "b's mean over rows",
        1.5,
        "It is divided by the number of rows: the rows' shares add up.",
        pull="(dY @ b.data.T, a.data.T @ dY / len(a.data))",
    ),
    _relu(
        "slope a half at 0",
        1.65,
        "The slope at 0 is 0, not a half: dY passes where a > 0.",
        pull="(dY * np.heaviside(a.data, 0.5),)",
    ),
    Mistake(
        "tensor_ops",
        "one parent, no tuple",
        1.65,
        "The parents are a tuple, of one also",
        """
def relu(a):
    return Tensor(np.maximum(a.data, 0), "relu", (a), lambda dY: (dY * (a.data > 0),))
""",
    ),
    _relu("absolute", 1.65, "That is the absolute value.", value="abs(a.data)"),
    _relu(
        "slope for value",
        1.65,
        "That is the slope of relu, not its value.",
        value="1.0 * (a.data > 0)",
    ),
    _relu(
        "slope of relu alone",
        1.65,
        "That is the slope alone: multiply it by what arrives, dY.",
        pull="(1.0 * (a.data > 0),)",
    ),
    _relu(
        "through relu",
        1.65,
        "dY went through unchanged: where a is negative, relu's slope is 0.",
        pull="(dY,)",
    ),
    _relu(
        "sign of dY",
        1.65,
        "The sign of a decides what passes, not that of dY.",
        pull="(np.maximum(dY, 0),)",
    ),
    _relu(
        "times its value",
        1.65,
        "That is dY times relu's value: it should be dY times its slope, 1 or 0.",
        pull="(dY * np.maximum(a.data, 0),)",
    ),
    _relu(
        "the wrong way round",
        1.65,
        "It is the wrong way round: dY passes where a is positive.",
        pull="(dY * (a.data < 0),)",
    ),
    _relu(
        "slope 1 at 0",
        1.65,
        "The slope at 0 is 0: dY passes where a > 0, not where a ≥ 0.",
        pull="(dY * (a.data >= 0),)",
    ),
    _relu_otherwise("comma", 1.65, "A tuple of one needs its comma", pull="dY * (a.data > 0)"),
    _relu_otherwise(
        "input in place",
        1.65,
        "changes its inputs in place",
        value="np.maximum(a.data, 0, out=a.data)",
    ),
    _relu_otherwise(
        "dY in place",
        1.65,
        "changes dY in place",
        pull="(np.multiply(dY, a.data > 0, out=dY),)",
    ),
    _total(
        "mean", 1.55, "That is the mean.", value="a.data.mean(axis=axis, keepdims=axis is not None)"
    ),
    _total(
        "axes kept",
        1.55,
        "Without an axis the sum is one number, of shape (): no axis stays.",
        value="a.data.sum(axis=axis, keepdims=True)",
    ),
    _total(
        "axis gone",
        1.55,
        "The axis that was summed is gone: keepdims=True keeps it, of length 1.",
        value="a.data.sum(axis=axis)",
    ),
    _total(
        "axis ignored",
        1.55,
        _ALL,
        value="a.data.sum()",
    ),
    _total(
        "axis 0 taken for none",
        1.55,
        _ALL,
        value="a.data.sum(axis=axis, keepdims=True) if axis else a.data.sum()",
    ),
    _total(
        "other axis",
        1.55,
        "That is the sum along the other axis.",
        value="a.data.sum() if axis is None else a.data.sum(axis=1 - axis, keepdims=True)",
    ),
    _total(
        "mean's gradient",
        1.55,
        "It is divided by how many numbers were summed: that is the mean's gradient.",
        pull="(np.ones_like(a.data) * dY / (a.data.size if axis is None else a.data.shape[axis]),)",
    ),
    _total(
        "divided by all",
        1.55,
        "It is divided by how many numbers were summed: that is the mean's gradient.",
        pull="(np.ones_like(a.data) * dY / a.data.size,)",
    ),
    _total(
        "not repeated",
        1.55,
        "The shape is still that of the sum: each number that was summed gets the sum's gradient,"
        " so repeat dY to the shape of a.",
        pull="(dY,)",
    ),
    _total(
        "times a",
        1.55,
        "Each number's slope in the sum is 1, not the number itself.",
        pull="(a.data * dY,)",
    ),
    _total(
        "sum's dY missing",
        1.55,
        "dY is missing: the slope of the sum is 1, times what arrives.",
        pull="(np.ones_like(a.data),)",
    ),
    _total(
        "dY summed",
        1.55,
        "dY is summed, too: with an axis, each row or column has its own.",
        pull="(np.full(a.data.shape, dY.sum()),)",
    ),
    _total(
        "largest number",
        1.55,
        "That is the largest number, not the sum.",
        value="a.data.max(axis=axis, keepdims=axis is not None)",
    ),
    _total_otherwise(
        "repeated along one axis",
        1.55,
        "has the shape of a's data",
        pull="(np.repeat(dY, len(a.data), axis=axis),)",
    ),
    _total_otherwise(
        "a tensor's torch", 0, "uses torch.tensor", value="torch.tensor(a.data).sum().numpy()"
    ),
]

_ONES = (
    "An axis of length 1 is left, and another one is summed. Is the choice the wrong way round, or are"
    " the axes counted before those missing on the left are gone?"
)
_unbroadcast, _unbroadcast_otherwise = variants(
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
_whole, _whole_otherwise = variants("unbroadcast", "def unbroadcast(dY, shape):\n    return {it}")
_EVERYTHING = (
    "Everything is summed into one number: sum only the axes that were repeated, on the left"
    " dY.ndim − len(shape) of them."
)
_AXIS_0 = (
    "Axis 0 alone is summed: several can be missing on the left, none, or one of length 1 is further"
    " on. Look which axes were repeated."
)
_UNBROADCAST = [
    _unbroadcast(
        "mean",
        0,
        "That is the mean: each place where the number was used has a share, and shares add up.",
        left="dY.mean(axis=missing)",
        right="dX.mean(axis=ones, keepdims=True)",
    ),
    _unbroadcast(
        "largest",
        0,
        "That is the largest share: shares add up.",
        left="dY.max(axis=missing)",
        right="dX.max(axis=ones, keepdims=True)",
    ),
    _unbroadcast(
        "left axes only",
        0.3,
        "Only axes missing on the left are summed: those of length 1 were repeated, too.",
        right="dX",
    ),
    _unbroadcast(
        "length 1 only",
        0.3,
        "Only axes of length 1 are summed: those missing on the left were repeated, too.",
        left="dY",
        right="dX.sum(axis=tuple(dY.ndim - len(shape) + a for a in ones), keepdims=True)",
    ),
    _unbroadcast(
        "no keepdims",
        0.3,
        "The axis of length 1 is gone: keepdims=True keeps it.",
        right="dX.sum(axis=ones)",
    ),
    _unbroadcast(
        "left axes stay",
        0.3,
        "Axes missing on the left should be gone afterwards: only those of length 1 stay.",
        left="dY.sum(axis=missing, keepdims=True)",
        right="dX.sum(axis=tuple(dY.ndim - len(shape) + a for a in ones), keepdims=True)",
    ),
    _unbroadcast(
        "the axis that stays",
        0.3,
        "It is summed along the axis that stays: the one of length 1 was repeated.",
        right="dX.sum(axis=1 - ones[0]).reshape(shape) if len(ones) == 1 < len(shape) else dX",
    ),
    _whole(
        "nothing",
        0,
        "Nothing is summed: each number was used in several places, whose shares add up.",
        it="dY",
    ),
    _whole(
        "everything",
        0,
        _EVERYTHING,
        it="dY.sum()",
    ),
    _unbroadcast(
        "an axis too many",
        0,
        _EVERYTHING,
        left="dY.sum(axis=tuple(range(dY.ndim - len(shape) + 1)))",
    ),
    _whole(
        "axis 0",
        0,
        _AXIS_0,
        it="dY.sum(axis=0)",
    ),
    _unbroadcast(
        "one axis on the left",
        0.55,
        _AXIS_0,
        left="dY.sum(axis=0) if missing else dY",
    ),
    _whole(
        "last axis",
        0,
        "The last axis is summed, whatever the shape: look which axes were repeated. (`axis=1` is the"
        " axis number 1, not the first one.)",
        it="dY.sum(axis=-1)",
    ),
    _whole(
        "first share",
        0,
        "That is the share of the first place alone: all of them add up.",
        it="dY.reshape(-1, *shape)[0]",
    ),
    _whole(
        "one sum everywhere",
        0.15,
        "The sum of everything is in every place: sum only the axes that were repeated.",
        it="np.full(shape, dY.sum())",
    ),
    Known(
        "unbroadcast",
        "axes move up",
        0.55,
        "Once axis 0 is summed, the next missing axis is axis 0: the axes have moved up.",
        """
def unbroadcast(dY, shape):
    for axis in range(dY.ndim - len(shape)):
        dY = dY.sum(axis=axis)
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return dY.sum(axis=ones, keepdims=True)
""",
    ),
    _unbroadcast(
        "smallest",
        0,
        "That is the smallest share: shares add up.",
        left="dY.min(axis=missing)",
        right="dX.min(axis=ones, keepdims=True)",
    ),
    _unbroadcast(
        "axes that are not 1",
        0,
        _ONES,
        right="dX.sum(axis=tuple(a for a, n in enumerate(shape) if n != 1), keepdims=True)",
    ),
    Mistake(
        "unbroadcast",
        "axes of length 1 first",
        0.75,
        _ONES,
        """
def unbroadcast(dY, shape):
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return dY.sum(axis=ones, keepdims=True).sum(axis=tuple(range(dY.ndim - len(shape))))
""",
    ),
    _unbroadcast(
        "product",
        0,
        "The shares are multiplied: they add up.",
        left="dY.prod(axis=missing)",
        right="dX.prod(axis=ones, keepdims=True)",
    ),
    _unbroadcast(
        "one axis of length 1",
        0.85,
        "Only one axis of length 1 is summed: does a `return` end the loop?",
        right="dX.sum(axis=ones[:1], keepdims=True)",
    ),
    _unbroadcast_otherwise(
        "no axis as None",
        0.3,
        "sum(axis=()) none",
        left="dY.sum(axis=missing or None)",
    ),
    _whole_otherwise("reshape alone", 0, "reshape adds nothing up", it="dY.reshape(shape)"),
    _whole_otherwise("repeated again", 0, "this is the way back", it="np.broadcast_to(dY, shape)"),
    _unbroadcast_otherwise(
        "axes of the whole",
        0.75,
        "counted from the right",
        left="dY",
        right="dY.sum(axis=missing + ones).reshape(shape)",
    ),
    _whole_otherwise(
        "PyTorch's", 0, "uses torch.", it="torch.tensor(dY).sum_to_size(shape).numpy()"
    ),
]

_order, _order_otherwise = variants(
    "topological_order",
    """
def topological_order(root{arguments}):
    {first}

    def visit(tensor):
        if {seen} in visited:
            return
        visited.add({seen})
        {before}
        for parent in {parents}:
            visit(parent)
        {after}

    visit(root)
    return {result}
""",
    arguments="",
    first="order, visited = [], set()",
    seen="id(tensor)",
    before="",
    parents="tensor.parents",
    after="order.append(tensor)",
    result="order",
)
_BY_DISTANCE = """
def topological_order(root):
    order = [root]
    for tensor in order:
        order += [p for p in dict.fromkeys(tensor.parents{turn}) if p not in order]
    return order{end}
"""
_STACKED = """
def topological_order(root):
    order, visited, stack = [], set(), [root]
    while stack:
        tensor = stack.pop()
        if id(tensor) not in visited:
            visited.add(id(tensor))
            order.append(tensor)
            stack.extend(tensor.parents)
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
_MARKED_EARLY = """
def topological_order(root):
    order, visited, stack = [], {{id(root)}}, [(root, False)]
    while stack:
        tensor, done = stack.pop()
        if done:
            order.append(tensor)
            continue
        stack.append((tensor, True))
        for parent in tensor.parents{turn}:
            if id(parent) not in visited:
                visited.add(id(parent))
                stack.append((parent, False))
    return order
"""
_GRAPHLIB = """
import graphlib
def topological_order(root):
    tensors, waiting = {}, [root]
    while waiting:
        tensor = waiting.pop()
        if tensor not in tensors:
            tensors[tensor] = tensor.parents
            waiting += tensor.parents
    return list(graphlib.TopologicalSorter(tensors).static_order())
"""
_EARLY = "A tensor goes onto the list before its parents are done: append it after they were."
_DISTANCE = (
    "That is the order by distance from the root. A tensor with a short way and a long one"
    " to the root has to wait for the long one."
)
_ORDER = [
    *(
        _order(
            f"before its parents{turn}{end}",
            0.35,
            _EARLY,
            before="order.append(tensor)",
            after="",
            parents=f"tensor.parents{turn}",
            result=f"order{end}",
        )
        for turn, end in itertools.product(("", "[::-1]"), repeat=2)
    ),
    *(
        Known(
            "topological_order",
            f"by distance{turn}{end}",
            0.6 if end else 0.35,
            _DISTANCE,
            _BY_DISTANCE.format(turn=turn, end=end),
        )
        for turn, end in itertools.product(("", "[::-1]"), repeat=2)
    ),
    *(
        Known(
            "topological_order",
            f"marked on the stack{turn}",
            0.6,
            "A tensor is marked as visited when it is put on the stack, before its turn, so that others"
            " pass it by too early: mark it when it is taken off.",
            _MARKED_EARLY.format(turn=turn),
        )
        for turn in ("", "[::-1]")
    ),
    Mistake("topological_order", "a stack alone", 0.6, _EARLY, _STACKED),
    Mistake(
        "topological_order",
        "the mark taken for visited",
        0,
        "Nothing is appended",
        """
def topological_order(root):
    order, visited, stack = [], set(), [(root, False)]
    while stack:
        tensor, done = stack.pop()
        if id(tensor) in visited:
            continue
        visited.add(id(tensor))
        if done:
            order.append(tensor)
        else:
            stack.append((tensor, True))
            stack.extend((p, False) for p in tensor.parents)
    return order
""",
    ),
    _order_otherwise("recursion", 1.0, "a list of your own"),
    _order_otherwise(
        "the limit raised",
        1.0,
        "stays raised",
        first="import sys; order, visited = [], set(); sys.setrecursionlimit(100_000)",
    ),
    _order_otherwise(
        "visited kept between calls",
        0,
        "Something is left from the first call",
        arguments=", visited=set()",
        first="order = []",
    ),
    _order_otherwise(
        "both kept between calls",
        0,
        "Something is left from the first call",
        arguments=", visited=set(), order=[]",
        first="",
    ),
    _order_otherwise(
        "the list kept between calls",
        0,
        "Something is left from the first call",
        arguments=", order=[]",
        first="visited = set()",
    ),
    _order_otherwise(
        "told apart by value",
        0,
        "by id(tensor): names and numbers may be equal",
        seen="float(tensor.data)",
    ),
    _order_otherwise("by name", 0, "tell tensors apart", seen="tensor.name"),
    _order_otherwise("root first", 0.35, "the wrong way round", result="order[::-1]"),
    _order_otherwise(
        "no leaves",
        0,
        "Leaves belong to the order",
        after="tensor.parents and order.append(tensor)",
    ),
    _order_otherwise("no root", 0, "The root belongs to the order", result="order[:-1] or order"),
    _order_otherwise("first parent only", 0, "Follow all parents", parents="tensor.parents[:1]"),
    _order_otherwise(
        "not remembered", 0, "Several paths lead to it", seen="(visited.clear(), id(tensor))[1]"
    ),
    _order_otherwise("data", 0, "the tensors themselves", after="order.append(tensor.data)"),
    _order_otherwise("ids", 0, "the tensors themselves", after="order.append(id(tensor))"),
    _order_otherwise("nothing returned", 0, "is a return missing?", result="None"),
    _order_otherwise("an iterator", 0, "list(…) makes a list", result="reversed(order[::-1])"),
    Mistake(
        "topological_order",
        "the error caught",
        1.0,
        "is Python's RecursionError caught?",
        """
def topological_order(root):
    order, visited = [], set()

    def visit(tensor):
        if id(tensor) not in visited:
            visited.add(id(tensor))
            for parent in tensor.parents:
                visit(parent)
            order.append(tensor)

    try:
        visit(root)
    except RecursionError:
        pass
    return order
""",
    ),
    Mistake(
        "topological_order",
        "visited kept, itself recursive",
        0,
        "Something is left from the first call",
        """
def topological_order(root, visited=set()):
    if id(root) in visited:
        return []
    visited.add(id(root))
    return [one for p in root.parents for one in topological_order(p, visited)] + [root]
""",
    ),
    Mistake(
        "topological_order",
        "marks on the tensors",
        0,
        "or in the tensors themselves",
        """
def topological_order(root):
    if hasattr(root, "visited"):
        return []
    root.visited = True
    return [one for p in root.parents for one in topological_order(p)] + [root]
""",
    ),
    Mistake("topological_order", "marked late", 1.0, "there are 2ⁿ paths", _MARKED_LATE),
    Mistake("topological_order", "the library's", 0, "uses graphlib.TopologicalSorter", _GRAPHLIB),
]

_backward, _backward_otherwise = variants(
    "backward",
    """
def backward(order):
    loss = order[-1]
    {before}
    loss.grad = {seed}
    for tensor in {tensors}:
        if tensor.pull is None:
            {leaf}
        for p, share in zip({parents}, tensor.pull({sent})):
            {join}
    {after}
""",
    before="",
    seed="np.ones_like(loss.data)",
    tensors="reversed(order)",
    leaf="continue",
    parents="tensor.parents",
    sent="tensor.grad",
    join="p.grad = np.array(share) if p.grad is None else p.grad + share",
    after="",
)
_LEAF = (
    "The loop ends at the first leaf that it meets. A leaf may stand anywhere in the order: others"
    " wait behind it."
)
_OWN = (
    "The array that pull gave is kept as the gradient, and others hold it: add hands one and the"
    " same dY to both its parents, and total may give a view that cannot be written to. Copy it."
)
_BACKWARD = [
    _backward(
        "the first share for all",
        0.35,
        "Each parent gets the first share: pull returns one for each parent, in their order.",
        join="share = tensor.pull(tensor.grad)[0];"
        " p.grad = np.array(share) if p.grad is None else p.grad + share",
    ),
    _backward(
        "overwritten",
        0.35,
        "The last share replaces those before it: gradients of several paths add up.",
        join="p.grad = np.array(share)",
    ),
    _backward(
        "added to the wrong one",
        0.35,
        "A share is added to the gradient of the tensor that was pulled: add it to the parent's.",
        join="p.grad = np.array(share) if p.grad is None else tensor.grad + share",
    ),
    _backward(
        "what arrives, twice",
        0,
        "pull has multiplied by what arrived: its shares are added up as they are.",
        join="p.grad = share * tensor.grad if p.grad is None else p.grad + share",
    ),
    _backward(
        "from 0",
        0,
        "Backward starts with 0: the gradient of the loss in itself is 1.",
        seed="np.zeros_like(loss.data)",
    ),
    Known(
        "backward",
        "all shares for each parent",
        0,
        "Each parent gets all that pull returns: pull gives a tuple, one share for each.",
        """
def backward(order):
    order[-1].grad = np.ones_like(order[-1].data)
    for tensor in reversed(order):
        for p in tensor.parents:
            shares = np.array(tensor.pull(tensor.grad))
            p.grad = shares if p.grad is None else p.grad + shares
""",
    ),
    Mistake(
        "backward",
        "the first for the last",
        0,
        "The loss is the last of the order",
        """
def backward(order):
    order[0].grad = np.ones_like(order[0].data)
    for tensor in reversed(order):
        if tensor.pull is not None:
            for p, share in zip(tensor.parents, tensor.pull(tensor.grad)):
                p.grad = np.array(share) if p.grad is None else p.grad + share
""",
    ),
    _backward(
        "first share kept",
        0.35,
        "Only the first share is kept: gradients of several paths add up.",
        join="p.grad = np.array(share) if p.grad is None else p.grad",
    ),
    _backward(
        "multiplied",
        0.35,
        "Shares are multiplied: slopes multiply along a path, and add up over paths.",
        join="p.grad = np.array(share) if p.grad is None else p.grad * share",
    ),
    _backward(
        "averaged",
        0.35,
        "Shares are averaged: they add up.",
        join="p.grad = np.array(share) if p.grad is None else (p.grad + share) / 2",
    ),
    _backward("return at a leaf", 1.0, _LEAF, leaf="return"),
    _backward("break at a leaf", 1.0, _LEAF, leaf="break"),
    _backward(
        "handed on as it came",
        1.2,
        _OWN,
        join="p.grad = share if p.grad is None else p.grad + share",
    ),
    _backward(
        "in place",
        1.2,
        "`p.grad += share` changes an array that others hold, too: the one that pull gave.",
        join="""if p.grad is None:
                p.grad = share
            else:
                p.grad += share""",
    ),
    _backward(
        "cleared inside",
        1.15,
        "The second call replaces what the first left in the leaves. Gradients add up from call to"
        " call; clearing them is for zero_grad.",
        before="for tensor in order: tensor.grad = None",
    ),
    _backward(
        "seed is the loss",
        0,
        "Backward starts with the loss's own value: its gradient in itself is 1.",
        seed="loss.data.copy()",
    ),
    _backward(
        "largest share",
        0.35,
        "The largest share is kept: shares add up.",
        join="p.grad = np.array(share) if p.grad is None else np.maximum(p.grad, share)",
    ),
    _backward(
        "first share twice",
        0,
        "The first share of each tensor is added twice.",
        join="p.grad = share + share if p.grad is None else p.grad + share",
    ),
    _backward_otherwise("kept in a variable", 0, "keep each share", join="grad = np.array(share)"),
    _backward(
        "subtracted",
        0.35,
        "Shares are subtracted: they add up.",
        join="p.grad = np.array(share) if p.grad is None else p.grad - share",
    ),
    _backward(
        "shares exchanged",
        0.35,
        "Each parent gets another one's share: pull's shares stand in the order of `parents`.",
        parents="tensor.parents[::-1]",
    ),
    _backward(
        "ones for the gradient",
        0,
        "pull is given ones: it takes what has arrived, the tensor's grad.",
        sent="np.ones_like(tensor.data)",
    ),
    _backward(
        "gradient twice",
        0,
        "What has arrived is multiplied in twice: pull has done it already.",
        join="p.grad = share * tensor.grad + (0 if p.grad is None else p.grad)",
    ),
    _backward(
        "leaves alone add up",
        0.7,
        "Only in leaves do shares add up: they do in every tensor that is used twice.",
        join="p.grad = np.array(share) if p.grad is None or p.pull else p.grad + share",
    ),
    _backward(
        "seed shared out",
        0,
        "The loss's own gradient is 1 in each of its numbers, not 1 in all.",
        seed="np.ones_like(loss.data) / loss.data.size",
    ),
    Mistake(
        "backward",
        "gradients returned",
        0,
        "sets the `grad` of each tensor",
        """
def backward(order):
    grads = {id(order[-1]): np.ones_like(order[-1].data)}
    for tensor in reversed(order):
        if tensor.pull is not None:
            for p, share in zip(tensor.parents, tensor.pull(grads[id(tensor)])):
                grads[id(p)] = grads.get(id(p), 0) + share
    return grads
""",
    ),
    _backward(
        "data for the gradient",
        0,
        "pull is given the tensor's data: it takes what has arrived, the tensor's grad.",
        sent="tensor.data",
    ),
    _backward_otherwise(
        "float32",
        0,
        "should have dtype float64",
        join="share = np.array(share, dtype=np.float32)\n"
        "            p.grad = share if p.grad is None else p.grad + share",
    ),
    Known(
        "backward",
        "on at once",
        0.7,
        "A gradient is sent on before all its shares have come, and what came first is sent twice:"
        " go through `order` once, from its end.",
        """
def backward(order):
    def send(tensor):
        if tensor.pull is not None:
            for parent, share in zip(tensor.parents, tensor.pull(tensor.grad)):
                parent.grad = np.array(share) if parent.grad is None else parent.grad + share
                send(parent)

    order[-1].grad = np.ones_like(order[-1].data)
    send(order[-1])
""",
    ),
    _backward_otherwise(
        "last left out",
        0,
        "The loss has a pull, too: start with it",
        tensors="reversed(order[:-1])",
    ),
    _backward_otherwise("forwards", 0, "go through the order from its end", tensors="order"),
    _backward_otherwise("no seed", 0, "give it its gradient, 1, first", seed="None"),
    _backward_otherwise("seed is a float", 0, "in the shape of its tensor's data", seed="1.0"),
    _backward_otherwise(
        "truth of an array",
        0.35,
        "is asked by `p.grad is None`",
        join="p.grad = p.grad + share if p.grad else np.array(share)",
    ),
    _backward_otherwise("leaf called", 0, "A leaf has no pull: pass it by", leaf="pass"),
    _backward_otherwise(
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
    Mistake(
        "backward",
        "path by path",
        1.0,
        "paths can be many",
        """
def backward(order):
    def send(tensor, dY):
        tensor.grad = np.array(dY) if tensor.grad is None else tensor.grad + dY
        if tensor.pull is not None:
            for parent, share in zip(tensor.parents, tensor.pull(dY)):
                send(parent, share)

    send(order[-1], np.ones_like(order[-1].data))
""",
    ),
]

_detach, _detach_otherwise = variants("detach", "def detach(a):\n    return {cut}")
_step, _step_otherwise = variants(
    "detach",
    """
def train_step(loss_of, parameters, update):
    {clear}
    loss = loss_of()
    {work}
    return {result}
""",
    clear="for p in parameters: p.grad = None",
    work="loss.backward(); update(parameters)",
    result="float(loss.data)",
)
_PAST = "A gradient still passes to what a was made from: give Tensor the data only."
_DETACH = [
    _detach("keeps pull", 0.75, _PAST, cut="Tensor(a.data, a.op, a.parents, a.pull)"),
    _detach(
        "a parent",
        0.75,
        "A gradient still passes to a: a leaf has no parents and no pull.",
        cut='Tensor(a.data, "detach", (a,), lambda dY: (dY,))',
    ),
    _detach(
        "gradient kept",
        0.75,
        "The new tensor starts with a's gradient: a leaf has none yet.",
        cut="(t := Tensor(a.data), setattr(t, 'grad', a.grad))[0]",
    ),
    _detach_otherwise("PyTorch's", 0.75, "detach is what you write here", cut="a.detach()"),
    _detach("the same", 0.75, "It is the same tensor, past and all: make a new one.", cut="a"),
    _detach(
        "cuts a",
        0.75,
        "The tensor that it was given is cut. Others may still send gradients through a: leave a"
        " alone.",
        cut="(setattr(a, 'parents', ()), setattr(a, 'pull', None), Tensor(a.data))[2]",
    ),
    _detach(
        "cuts a, and is a",
        0.75,
        "a itself is cut and given back. Others may still send gradients through a: make a new"
        " Tensor.",
        cut="(setattr(a, 'parents', ()), setattr(a, 'pull', None), a)[2]",
    ),
    _detach(
        "clears a",
        0.75,
        "a's own gradient is cleared: leave a alone.",
        cut="(t := Tensor(a.data), setattr(a, 'grad', None))[0]",
    ),
    _detach("zeros", 0.75, "The numbers are gone: take a's data.", cut="Tensor(0 * a.data)"),
    _detach(
        "a copy",
        0.75,
        "It is a copy of a with its past and its gradient: give Tensor the data only.",
        cut="(t := Tensor(a.data, a.op, a.parents, a.pull), setattr(t, 'grad', a.grad))[0]",
    ),
    _detach_otherwise("op kept", 0.75, "it has an op", cut="Tensor(a.data, a.op)"),
    _detach_otherwise(
        "parents without pull", 0.75, "it has parents", cut="Tensor(a.data, a.op, a.parents)"
    ),
    _detach_otherwise(
        "a pull of zeros",
        0.75,
        "it has parents",
        cut='Tensor(a.data, "detach", (a,), lambda dY: (0 * dY,))',
    ),
    _detach_otherwise("of a tensor", 0.75, "Tensor takes an array", cut="Tensor(a)"),
    _detach_otherwise("array", 0.75, "should return a Tensor", cut="a.data"),
    _step(
        "no zero_grad",
        1.0,
        "The gradients of earlier steps are still in it: without zero_grad they add up from step to"
        " step.",
        clear="",
    ),
    _step(
        "cleared too late",
        0.7,
        "The gradients were cleared between backward and update: clear before backward, or after"
        " the update.",
        clear="",
        work="loss.backward(); [setattr(p, 'grad', None) for p in parameters]\n"
        "    update(parameters)",
    ),
    _step(
        "data cleared",
        0.7,
        "The parameters' data is cleared, which is what they have learned: clear their grad.",
        clear="for p in parameters: p.data, p.grad = 0 * p.data, None",
    ),
    _step(
        "cut to a whole number",
        1.05,
        "The loss is cut to a whole number: float, not int.",
        result="int(loss.data)",
    ),
    _step_otherwise(
        "parameters one by one in the call",
        0.5,
        "update takes the list of parameters",
        work="loss.backward(); update(*parameters)",
    ),
    _step(
        "one cleared",
        1.0,
        "Only the first parameter's gradient is cleared: clear those of all.",
        clear="parameters[0].grad = None",
    ),
    _step_otherwise("loss.item", 0.5, "A Tensor has no item()", result="loss.item()"),
    _step_otherwise("float of a tensor", 0.5, "is in its data", result="float(loss)"),
    _step_otherwise(
        "zero_grad of each", 0.5, "has no zero_grad", clear="for p in parameters: p.zero_grad()"
    ),
    _step_otherwise("list cleared", 0.5, "`parameters` is a list", clear="parameters.grad = None"),
    _step_otherwise(
        "an order of a loss",
        0.5,
        "it is the method, loss.backward()",
        work="[one.pull for one in loss]",
    ),
    _step(
        "update first",
        0.7,
        "update comes before backward: it would use the gradients of the step before.",
        work="update(parameters); loss.backward()",
    ),
    _step(
        "no update",
        0.7,
        "The parameters are never updated: call update(parameters).",
        work="loss.backward()",
    ),
    _step(
        "no backward",
        0.7,
        "loss.backward() is never called: the update has no gradients to use.",
        work="update(parameters)",
    ),
    _step(
        "loss again",
        0.5,
        "The loss is computed again for the result: keep the tensor in a variable.",
        result="float(loss_of().data)",
    ),
    _step(
        "loss twice",
        0.5,
        "The loss is computed twice: keep the tensor in a variable.",
        work="loss_of().backward(); update(parameters)",
    ),
    _step(
        "one by one",
        0.7,
        "update takes all parameters at once.",
        work="loss.backward(); [update([p]) for p in parameters]",
    ),
    _step(
        "updated twice",
        0.7,
        "update is called twice.",
        work="loss.backward(); update(parameters); update(parameters)",
    ),
    _step_otherwise(
        "backward twice",
        0.7,
        "Yours: loss, backward, backward, update.",
        work="loss.backward(); loss.backward(); update(parameters)",
    ),
    _step_otherwise(
        "loss not computed",
        0.5,
        "loss_of() computes the loss",
        work="loss = loss_of; loss.backward()",
    ),
    _step_otherwise(
        "gradients for update",
        0.5,
        "update takes the list of parameters",
        work="loss.backward(); update([p.grad for p in parameters])",
    ),
    _step_otherwise("tensor", 1.05, "keeps the whole graph", result="loss"),
    _step_otherwise("array of loss", 1.05, "should be a plain float", result="loss.data"),
    _step_otherwise("nothing returned", 1.05, "is a return missing", result="None"),
]

_sgd, _sgd_otherwise = variants(
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
    _sgd(
        "rate inside",
        0,
        "The learning rate is inside v: that is the other form, where a falling rate acts later.",
        v="momentum * v + lr * g",
        result="w - v, v",
    ),
    _sgd(
        "rate and minus inside",
        0,
        "The learning rate is inside v, and v has a minus.",
        v="momentum * v - lr * g",
        result="w + v, v",
    ),
    _sgd(
        "damped",
        0,
        "The gradient counts 1 − momentum: that is a mean, as in Adam; torch's v is a sum.",
        v="momentum * v + (1 - momentum) * g",
    ),
    _sgd(
        "old v",
        0,
        "w moves by the old v: make the new v first.",
        first="old = v",
        result="w - lr * old, v",
    ),
    _sgd(
        "gradient alone",
        0.15,
        "w moves by the gradient alone: it should move by v.",
        result="w - lr * g, v",
    ),
    _sgd(
        "Nesterov",
        0,
        "That is Nesterov's form, which looks a step ahead.",
        result="w - lr * (g + momentum * v), v",
    ),
    _sgd("up", 0, "It goes up the slope: the loss falls against v.", result="w + lr * v, v"),
    _sgd("no momentum", 0.15, "The momentum is missing: old v counts in full.", v="v + g"),
    _sgd(
        "on both",
        0,
        "The momentum weakens the old v alone, not the gradient.",
        v="momentum * (v + g)",
    ),
    _sgd("no rate", 0, "The learning rate is missing in the step.", result="w - v, v"),
    _sgd(
        "old v returned",
        0,
        "v is returned as it came: the next step needs the new one.",
        first="old = v",
        result="w - lr * v, old",
    ),
    _sgd(
        "v left alone",
        0,
        "w moves by the gradient alone, and v is returned as it came: momentum does nothing.",
        first="old = v",
        result="w - lr * g, old",
    ),
    _sgd(
        "v by the rest",
        0.15,
        "Old v counts 1 − momentum: it counts momentum.",
        v="(1 - momentum) * v + g",
    ),
    _sgd(
        "mean the other way",
        0,
        "The gradient counts momentum and old v the rest: v is momentum·v + g.",
        v="(1 - momentum) * v + momentum * g",
    ),
    _sgd(
        "on the gradient",
        0,
        "The momentum weakens the gradient: it weakens old v.",
        v="v + momentum * g",
    ),
    _sgd(
        "w weakened",
        0,
        "The momentum weakens w, too: it weakens the old v alone.",
        result="momentum * w - lr * v, v",
    ),
    _sgd(
        "rate twice",
        0,
        "The learning rate is in v and in the step: it belongs in the step.",
        v="momentum * v + lr * g",
    ),
    _sgd(
        "old v subtracted",
        0.15,
        "The old v is subtracted: it is added to g, times the momentum.",
        v="g - momentum * v",
    ),
    _sgd(
        "v the gradient",
        0.15,
        "v is the gradient alone: the old v is in it, too, times the momentum.",
        v="g",
    ),
    _sgd("the step alone", 0, "That is the step of w: add it to w.", result="-lr * v, v"),
    _sgd("no gradient", 0, "The gradient is not added to v.", v="momentum * v"),
    _sgd(
        "rates mixed up",
        0,
        "The learning rate and the momentum have changed places.",
        v="lr * v + g",
        result="w - momentum * v, v",
    ),
    _sgd(
        "gradient subtracted",
        0,
        "The gradient is added to v; the minus stands where w moves.",
        v="momentum * v - g",
    ),
    _sgd(
        "momentum on the step, too",
        0,
        "The momentum weakens the old v, once: the step is lr times the new v.",
        result="w - lr * momentum * v, v",
    ),
    _sgd(
        "gradient twice",
        0,
        "The gradient moves w twice: it is in v already.",
        result="w - lr * g - lr * v, v",
    ),
    _sgd("other order", 0, "The order is (w, v).", result="v, w - lr * v"),
    _sgd_otherwise("in place", 0, "changed its argument `w`", result="w.__isub__(lr * v), v"),
    _sgd_otherwise("w alone", 0, "a tuple of 2", result="w - lr * v"),
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
]

_adam, _adam_otherwise = variants(
    "adam",
    """
def adam(w, g, m, u, t, lr, betas=(0.9, 0.999), eps={eps}):
    one, two = {betas}
    old_m, old_u = m, u
    with np.errstate(all="ignore"):
        m = {m}
        u = {u}
        m_hat, u_hat = {m_hat}, {u_hat}
        return {w}, {result}
""",
    eps="1e-8",
    betas="betas",
    m="one * m + (1 - one) * g",
    u="two * u + (1 - two) * g**2",
    m_hat="m / (1 - one**t)",
    u_hat="u / (1 - two**t)",
    w="w - lr * m_hat / (np.sqrt(u_hat) + eps)",
    result="m, u",
)
_FIXED = "β₁ and β₂ are fixed here: take them from `betas`."
_KEPT = "The corrected mean is returned: what is kept for the next step is m and u themselves."
_ADAM = [
    _adam(
        "not corrected",
        0.4,
        "The correction for the start at 0 is missing: divide by 1 − βᵗ.",
        m_hat="m",
        u_hat="u",
    ),
    _adam("rate for 1 − β₁", 0, "The gradient counts 1 − β₁ in m, not lr.", m="one * m + lr * g"),
    _adam("u not corrected", 0.4, "Only m is corrected: u starts at 0, too.", u_hat="u"),
    _adam(
        "g corrected",
        0.4,
        "m̂ is made of g: it is the new m that is corrected.",
        m_hat="g / (1 - one**t)",
    ),
    _adam("m not corrected", 0.4, "Only u is corrected: m starts at 0, too.", m_hat="m"),
    _adam(
        "β₁ in both",
        0.4,
        "Both corrections use β₁: û goes with β₂.",
        u_hat="u / (1 - one**t)",
    ),
    _adam(
        "β₂ in both",
        0.4,
        "Both corrections use β₂: m̂ goes with β₁.",
        m_hat="m / (1 - two**t)",
    ),
    _adam(
        "corrections swapped",
        0.4,
        "The two corrections have changed places: m̂ goes with β₁, û with β₂.",
        m_hat="m / (1 - two**t)",
        u_hat="u / (1 - one**t)",
    ),
    _adam(
        "eps inside",
        0.4,
        "ε is under the root: it is added to the root.",
        w="w - lr * m_hat / np.sqrt(u_hat + eps)",
    ),
    _adam(
        "no root",
        0.4,
        "The root is missing: m̂ is divided by the root of û.",
        w="w - lr * m_hat / (u_hat + eps)",
    ),
    _adam(
        "up",
        0.4,
        "It goes up the slope: w moves against m̂.",
        w="w + lr * m_hat / (np.sqrt(u_hat) + eps)",
    ),
    _adam(
        "no power",
        0.4,
        "The correction divides by 1 − β: the power t is missing.",
        m_hat="m / (1 - one)",
        u_hat="u / (1 - two)",
    ),
    _adam(
        "from 1",
        0.4,
        "The correction is that of the next step: the power of β is t.",
        m_hat="m / (1 - one**(t + 1))",
        u_hat="u / (1 - two**(t + 1))",
    ),
    _adam_otherwise(
        "from 0", 0.4, "holds NaN", m_hat="m / (1 - one**(t - 1))", u_hat="u / (1 - two**(t - 1))"
    ),
    _adam(
        "times t",
        0.4,
        "The correction multiplies β by t: βᵗ is a power.",
        m_hat="m / (1 - one * t)",
        u_hat="u / (1 - two * t)",
    ),
    _adam("betas fixed", 0.25, _FIXED, betas="(0.9, 0.999)"),
    _adam(
        "one u for all",
        0,
        "g² goes number by number: each weight has its own u.",
        u="two * u + (1 - two) * (g @ g) * np.ones_like(u)",
    ),
    _adam(
        "β₁ for all",
        0,
        "β₁ is used for u, too: u goes with β₂, the second of `betas`.",
        betas="(betas[0], betas[0])",
    ),
    _adam(
        "power of the difference, m alone",
        0.4,
        "The power is that of β alone: 1 − βᵗ, not (1 − β)ᵗ.",
        m_hat="m / (1 - one) ** t",
    ),
    _adam(
        "m multiplied",
        0.4,
        "The correction multiplies m: it divides by 1 − βᵗ.",
        m_hat="m * (1 - one**t)",
    ),
    _adam(
        "t from 0",
        0.4,
        "The correction is that of the step before: t counts from 1, so the power is t.",
        m_hat="m / (1 - one ** (t - 1))",
        u_hat="u / (1 - two ** (t - 1))",
    ),
    _adam(
        "1 − β₂ in m",
        0,
        "The gradient counts 1 − β₁ in m, not 1 − β₂.",
        m="one * m + (1 - two) * g",
    ),
    _adam("m less g", 0, "g is subtracted from m: both are added.", m="one * m - (1 - one) * g"),
    _adam(
        "u less g²", 0, "g² is subtracted from u: both are added.", u="two * u - (1 - two) * g**2"
    ),
    _adam("betas swapped", 0, "That is β₂'s mean: m goes with β₁.", betas="betas[::-1]"),
    _adam(
        "by the gradient",
        0.4,
        "w moves by the gradient, not by its mean m̂.",
        m_hat="g",
    ),
    _adam("no ε", 0.4, "ε is missing.", w="w - lr * m_hat / np.sqrt(u_hat)"),
    _adam(
        "ε fixed",
        0.65,
        "ε is fixed at 1e-8: take it from `eps`.",
        w="w - lr * m_hat / (np.sqrt(u_hat) + 1e-8)",
    ),
    _adam(
        "no rate",
        0.4,
        "The learning rate is missing in the step.",
        w="w - m_hat / (np.sqrt(u_hat) + eps)",
    ),
    _adam(
        "plus the power",
        0.4,
        "The correction divides by 1 − βᵗ, with a minus.",
        m_hat="m / (1 + one**t)",
        u_hat="u / (1 + two**t)",
    ),
    _adam(
        "root before the correction",
        0.4,
        "The root is taken before the correction: correct u first.",
        w="w - lr * m_hat / (np.sqrt(u) / (1 - two**t) + eps)",
    ),
    _adam(
        "m of |g|",
        0,
        "m is a mean of |g|: of g, with its sign.",
        m="one * m + (1 - one) * abs(g)",
    ),
    _adam(
        "by t", 0.4, "The means are divided by t: divide by 1 − βᵗ.", m_hat="m / t", u_hat="u / t"
    ),
    _adam(
        "ε times",
        0.4,
        "The root is multiplied by ε: ε is added to it.",
        w="w - lr * m_hat / (np.sqrt(u_hat) * eps)",
    ),
    _adam(
        "ε to the uncorrected root",
        0.4,
        "ε is added before the correction of u: it is added to the root of û.",
        w="w - lr * m_hat * np.sqrt(1 - two**t) / (np.sqrt(u) + eps)",
    ),
    _adam(
        "variance",
        0,
        "That is a mean of (g − m)²: u is one of g².",
        u="two * u + (1 - two) * (g - m) ** 2",
    ),
    _adam(
        "absolute value",
        0,
        "u is a mean of |g|, not of its square.",
        u="two * u + (1 - two) * abs(g)",
    ),
    _adam(
        "ε beside the quotient",
        0.4,
        "ε is added to the quotient: the sum √û + ε needs brackets.",
        w="w - lr * m_hat / np.sqrt(u_hat) + eps",
    ),
    _adam(
        "ε added to the step",
        0.4,
        "ε is added to the quotient: the sum √û + ε needs brackets.",
        w="w - lr * (m_hat / np.sqrt(u_hat) + eps)",
    ),
    _adam(
        "multiplied",
        0.4,
        "The correction multiplies by 1 − βᵗ: early means are too small, so divide.",
        m_hat="m * (1 - one**t)",
        u_hat="u * (1 - two**t)",
    ),
    _adam(
        "power of the difference",
        0.4,
        "The power is that of β alone: 1 − βᵗ, not (1 − β)ᵗ.",
        m_hat="m / (1 - one) ** t",
        u_hat="u / (1 - two) ** t",
    ),
    _adam(
        "root of m too",
        0.4,
        "The quotient is under the root: only û is.",
        w="w - lr * np.sign(m_hat) * np.sqrt(abs(m_hat) / (u_hat + eps))",
    ),
    _adam_otherwise("roof", 0, "write `**`", m_hat="m / (1 - one ^ t)"),
    _adam_otherwise(
        "of math",
        0,
        "NumPy's takes arrays",
        w="w - lr * m_hat / (__import__('math').sqrt(u_hat) + eps)",
    ),
    _adam(
        "old means",
        0.4,
        "w moves by the old m and u: make the new ones first.",
        m_hat="old_m / (1 - one**t)",
        u_hat="old_u / (1 - two**t)",
    ),
    _adam("corrected kept", 0.6, _KEPT, result="m_hat, u_hat"),
    _adam("corrected m kept", 0.6, _KEPT, result="m_hat, u"),
    _adam(
        "weights swapped",
        0,
        "The weights of old and new have changed places: the old m counts β₁.",
        m="(1 - one) * m + one * g",
    ),
    _adam("g² in full", 0, "g² is added in full: it counts 1 − β₂.", u="two * u + g**2"),
    _adam(
        "u's weights swapped",
        0,
        "The weights of old and new have changed places: the old u counts β₂.",
        u="(1 - two) * u + two * g**2",
    ),
    _adam("g in full", 0, "g is added in full: it counts 1 − β₁.", m="one * m + g"),
    _adam(
        "m as it came",
        0.6,
        "m is returned as it came: the next step needs the new one.",
        result="old_m, u",
    ),
    _adam(
        "u as it came",
        0.6,
        "u is returned as it came: the next step needs the new one.",
        result="m, old_u",
    ),
    _adam("no square", 0, "u is a mean of g, not of its square.", u="two * u + (1 - two) * g"),
    _adam("mean of m²", 0, "That is a mean of m²: u is one of g².", u="two * u + (1 - two) * m**2"),
    _adam(
        "square of all",
        0,
        "The square covers the weight, too: it is 1 − β₂ times g².",
        u="two * u + ((1 - two) * g) ** 2",
    ),
    _adam("u first", 0.6, "The order is (w, m, u).", result="u, m"),
    _adam_otherwise(
        "in place",
        0.4,
        "changed its argument `w`",
        w="w.__isub__(lr * m_hat / (np.sqrt(u_hat) + eps))",
    ),
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
]

_THREE_WAYS = [
    *(
        Known("three_ways", name, 0.75, says, f"calls_in_trace = {number}")
        for name, says, number in (
            ("loop kept", "That is the loop's body once: the loop runs during the trace.", 3),
            ("rounds", "Count what each round applies, not the rounds.", 4),
            ("two of three", "Each round applies three operations: the addition is one, too.", 8),
            ("nodes", "Input and output are nodes of the graph, but no operations.", 14),
            ("loop counted", "The loop is no operation: it runs during the trace.", 13),
            ("layer once", "The layer is one object, but each of its calls is an operation.", 9),
        )
    ),
    *(
        Mistake("three_ways", name, 0.75, says, code)
        for name, says, code in (
            ("where one", "has to know a truth value", 'fx_on_where = "one"'),
            ("where error", "Nobody asks the proxy", 'fx_on_where = "error"'),
            ("flag both", "runs the function once", 'fx_on_flag = "both"'),
            ("flag error", "an ordinary Python value", 'fx_on_flag = "error"'),
            ("slower", "planning gains little", 'why_both = "a"'),
            ("needs a graph", "without a declared graph", 'why_both = "c"'),
            ("exact", "The numbers are the same", 'why_both = "d"'),
            ("one not filled in", "no value yet", "calls_in_trace = None"),
        )
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_OPS, *_UNBROADCAST, *_ORDER, *_BACKWARD, *_DETACH, *_SGD, *_ADAM, *_THREE_WAYS],
)
