"""Lab 02: what people get wrong about gradients, and about the network they train."""

from tests.mistakes import Mistake, variants

_softmax = variants(
    "softmax",
    """
def softmax(S):
    {first}
    E = np.exp(S - {shift})
    return {result}
""",
    first="",
    shift="S.max(axis=1, keepdims=True)",
    result="E / E.sum(axis=1, keepdims=True)",
)
_SOFTMAX = [
    Mistake(
        "softmax",
        "SciPy's",
        0,
        "uses scipy.special.softmax",
        """
from scipy import special

def softmax(S):
    return special.softmax(S, axis=1)
""",
    ),
    _softmax("no shift", 0.65, "subtract each row's largest score first", shift="0"),
    _softmax("lowest", 0.65, "the largest score can still", shift="S.min(axis=1, keepdims=True)"),
    _softmax(
        "divided by the top", 0, "does not divide", shift="(S - S / S.max(axis=1, keepdims=True))"
    ),
    _softmax(
        "two sums", 0, "rows do not sum to 1", result="E / np.exp(S).sum(axis=1, keepdims=True)"
    ),
    _softmax("the best takes all", 0, "gives each a share", result="np.eye(len(S.T))[S.argmax(1)]"),
    _softmax("one shift for the batch", 0.65, "its own largest score", shift="S.max()"),
    _softmax("wrong axis", 0, "sum along axis 1", shift="S.max()", result="E / E.sum(axis=0)"),
    _softmax("batch's sum", 0.15, "each row has its own", shift="0", result="E / E.sum()"),
    _softmax("no keepdims", 0.15, "keeps them (N, 1)", shift="0", result="E / E.sum(axis=1)"),
    _softmax("not divided", 0, "yet to be divided", shift="0", result="E"),
    _softmax("sigmoid", 0, "a row shares a sum of 1", shift="0", result="E / (1 + E)"),
    _softmax("in place", 0, "changed its argument `S`", first="S -= S.max(axis=1, keepdims=True)"),
]

_cross_entropy = variants(
    "cross_entropy",
    """
def cross_entropy(S, y):
    {first}
    n, c = S.shape
    rows = np.arange(n)
    top = S.max(axis=1, keepdims=True)
    logs = S - top - np.log(np.exp(S - top).sum(axis=1, keepdims=True))
    P, due = np.exp(logs), np.eye(c)[y]
    with np.errstate(all="ignore"):
        loss = {loss}
        dS = {dS}
    return {result}
""",
    first="",
    loss="float(-logs[rows, y].mean())",
    dS="(P - due) / n",
    result="loss, dS",
)
_CROSS_ENTROPY = [
    Mistake(
        "cross_entropy",
        "PyTorch's",
        0,
        "uses torch.nn.functional.cross_entropy",
        """
import torch.nn.functional as F

def cross_entropy(S, y):
    scores = torch.tensor(S, requires_grad=True)
    loss = F.cross_entropy(scores, torch.tensor(y))
    loss.backward()
    return loss.item(), scores.grad.numpy()
""",
    ),
    _cross_entropy("sum", 0.75, "divide by the number of", loss="float(-logs[rows, y].sum())"),
    _cross_entropy("no minus", 0.75, "minus is missing", loss="float(logs[rows, y].mean())"),
    _cross_entropy("base 10", 0.75, "the natural one", loss="-np.log10(P[rows, y]).mean()"),
    _cross_entropy("softmax twice", 0.25, "Softmax is applied twice", first="S = softmax(S)"),
    _cross_entropy("labels off by one", 0.25, "label 0 is column 0", first="y = y - 1"),
    _cross_entropy("whole columns", 0.75, "P[:, y] takes whole", loss="-logs[:, y].mean()"),
    _cross_entropy("log of zero", 1.15, "has the logarithm −∞", loss="-np.log(P[rows, y]).mean()"),
    _cross_entropy(
        "small number in the log",
        1.15,
        "That hides how wrong",
        loss="-np.log(P[rows, y] + 1e-12).mean()",
    ),
    _cross_entropy(
        "largest not taken off",
        0.75,
        "not from the right class's",
        loss="(np.log(np.exp(S - top).sum(axis=1)) - S[rows, y]).mean()",
    ),
    _cross_entropy(
        "yes-or-no questions",
        0.75,
        "log(1 − p) is counted",
        loss="-(due * logs + (1 - due) * np.log(1 - P)).sum(axis=1).mean()",
    ),
    _cross_entropy("one entry", 0.65, "the other scores have slopes", dS="due * (P - due) / n"),
    _cross_entropy("other order", 0.25, "the order is (loss, dS)", result="dS, loss"),
    _cross_entropy("gradient of the sum", 0.65, "its gradient has the 1/N", dS="P - due"),
    _cross_entropy("N twice", 0.65, "divided by N twice", dS="(P - due) / n**2"),
    _cross_entropy("N·C", 0.65, "divided by all N·C", dS="(P - due) / P.size"),
    _cross_entropy("one-hot forgotten", 0.65, "is not subtracted.", dS="P / n"),
    _cross_entropy("upside down", 0.65, "It points the wrong way", dS="(due - P) / n"),
    _cross_entropy("slope in P", 0.65, "Go one step further", dS="np.where(due, -1 / P, 0) / n"),
    Mistake("cross_entropy", "guess 0.1", 1.25, "probability itself", "loss_of_a_guess = 0.1"),
    Mistake("cross_entropy", "guess 1", 1.25, "to the base 10", "loss_of_a_guess = 1"),
]

_numerical = variants(
    "numerical_gradient",
    """
def numerical_gradient(f, x, eps=1e-5):
    {first}
    gradient = np.zeros_like(x)
    for i in {indices}:
        above, below = {copies}
        above[{at}] += eps
        below[{at}] -= eps
        gradient[i] = {slope}
        {last}
    return gradient
""",
    first="",
    indices="np.ndindex(x.shape)",
    at="i",
    copies="x.copy(), x.copy()",
    slope="(f(above) - f(below)) / (2 * eps)",
    last="",
)
_NUMERICAL = [
    Mistake(
        "numerical_gradient",
        "SciPy's",
        0,
        "uses scipy.optimize.approx_fprime",
        """
import scipy.optimize

def numerical_gradient(f, x, eps):
    flat = lambda v: f(v.reshape(x.shape))
    return scipy.optimize.approx_fprime(x.ravel(), flat, eps).reshape(x.shape)
""",
    ),
    _numerical("one-sided", 0.25, "from x to x + ε", slope="(f(above) - f(x)) / eps"),
    _numerical("backward", 0.25, "from x − ε to x", slope="(f(x) - f(below)) / eps"),
    _numerical("not divided", 0.25, "is not divided by 2ε", slope="f(above) - f(below)"),
    _numerical("by ε", 0.25, "it is 2ε, not ε", slope="(f(above) - f(below)) / eps"),
    _numerical("by 2", 0.25, "not by ε", slope="(f(above) - f(below)) / 2"),
    _numerical("brackets", 0.25, "then multiplies", slope="(f(above) - f(below)) / 2 * eps"),
    _numerical("not put back", 0.25, "put it back", last="x[i] -= eps"),
    _numerical("left changed", 0.75, "the last number too", last="last = i\n    x[last] += eps"),
    _numerical("all at once", 0.25, "Every number moves at once", at="..."),
    _numerical("eps not used", 0.25, "use the argument eps", first="eps = 1e-5"),
    _numerical("no copy", 0.25, "a second name", copies="x, x"),
    _numerical("returns at once", 0.25, "inside the loop", last="return gradient"),
    _numerical("half a step", 0.25, "a whole ε", first="eps = eps / 2"),
    _numerical("half one-sided", 0.25, "over ε, not 2ε", slope="(f(above) - f(x)) / (2 * eps)"),
    _numerical("whole rows", 0.25, "np.ndindex(x.shape)", indices="range(len(x))"),
    Mistake("numerical_gradient", "smallest", 0.75, "noisy digits", "best_eps = 1e-12"),
    Mistake("numerical_gradient", "of the other", 0.75, "for a one-sided", "best_eps = 1e-8"),
]

_through = variants(
    "activation_backward",
    """
def activation_backward(dA, Z, kind):
    {first}
    A = activation(Z, kind)
    if kind == "relu":
        {relu}
    return {what} * ({sigmoid} if kind == "sigmoid" else {tanh})
""",
    first="",
    relu="return dA * (Z > 0)",
    what="dA",
    sigmoid="A * (1 - A)",
    tanh="1 - A**2",
)
_THROUGH = [
    _through("sigmoid of Z", 0.75, "takes Z for the sigmoid's output", sigmoid="Z * (1 - Z)"),
    _through("tanh of Z", 0.75, "takes Z for tanh's output", tanh="1 - Z**2"),
    _through("no square", 0.75, "square of tanh is missing", tanh="1 - A"),
    _through("at the output", 0.5, "not at what went in", first="Z = activation(Z, kind)"),
    _through("slope alone", 0.5, "multiply it by what arrives", what="1"),
    _through("added", 0.75, "multiplied, not added", tanh="(1 + (1 - A**2) / dA)"),
    _through("relu by dA", 0.75, "The sign of Z decides", relu="return dA * (dA > 0)"),
    _through("relu itself", 0.75, "activation's slope", relu="return dA * np.maximum(Z, 0)"),
    _through("in place", 0.75, "changed its argument `dA`", relu="dA[Z <= 0] = 0; return dA"),
    Mistake("activation_backward", "two arrows", 0.75, "first, into z", "dL_dw = -0.106"),
    Mistake("activation_backward", "no slope", 0.75, "sigmoid's is missing", "dL_dw = -1.08"),
    Mistake("activation_backward", "two digits", 0.75, "To three digits", "dL_dw = -0.21"),
    Mistake("activation_backward", "w for x", 0.75, "not w itself", "dL_dw = 0.106"),
    Mistake("activation_backward", "sign", 0.75, "is negative", "dL_dw = 0.2115"),
]

_linear = variants(
    "linear",
    """
def linear_forward(X, W, b):
    return {Y}

def linear_backward(dY, X, W):
    dX, dW, db = {dX}, {dW}, {db}
    return {result}
""",
    Y="X @ W + b",
    dX="dY @ W.T",
    dW="X.T @ dY",
    db="dY.sum(axis=0)",
    result="dX, dW, db",
)
_LINEAR = [
    _linear("no bias", 1.2, "The bias b is missing", Y="X @ W"),
    _linear("number by number", 0.3, "a matrix product is `@`", dW="X * dY"),
    _linear("local slope alone", 1.1, "meets what arrives", db="np.ones(W.shape[1])"),
    _linear("dX summed", 1.1, "dX has a row for each", dX="dY.sum(axis=0) @ W.T"),
    _linear("W not transposed", 0.3, "goes through W's transpose", dX="dY @ W"),
    _linear("dW transposed", 1.1, "dW has the shape of W", dW="dY.T @ X"),
    _linear("X not transposed", 0.3, "X is not transposed", dW="X @ dY"),
    _linear("dW divided by N", 1.1, "divided by N once too often", dW="X.T @ dY / len(X)"),
    _linear("db not summed", 1.1, "It is not summed", db="dY"),
    _linear("db, wrong axis", 1.1, "along the wrong axis", db="dY.sum(axis=1)"),
    _linear("db a mean", 1.1, "divided by N once too often", db="dY.mean(axis=0)"),
    _linear("db too deep", 1.1, "one dimension too", db="dY.sum(axis=0, keepdims=True)"),
    _linear("other order", 0.7, "the order is (dX, dW, db)", result="dW, dX, db"),
]

_mlp = variants(
    "MLP",
    """
class MLP:
    def __init__(self, sizes, kind, seed):
        self.kind, self.cache, self.sums = kind, [], None

    def forward(self, X):
        {cache}
        for i, (W, b) in enumerate(zip(self.W, self.b)):
            Z = linear_forward(X, W, b)
            self.cache.append((X, Z))
            X = {between}
        return {scores}

    def backward(self, dS):
        self.dW, self.db = list(self.W), list(self.b)
        {first}
        for i in reversed(range(len(self.W))):
            dS, self.dW[i], self.db[i] = linear_backward(dS, self.cache[i][0], self.W[i])
            {update}
            if i > 0:
                dS = {back}
        {last}

    def step(self, lr):
        for i in range(len(self.W)):
            {step_W}
            {step_b}
""",
    cache="self.cache = []",
    between="activation(Z, self.kind)",
    scores="Z",
    first="",
    update="",
    back="activation_backward(dS, self.cache[i - 1][1], self.kind)",
    last="",
    step_W="self.W[i] = self.W[i] - lr * self.dW[i]",
    step_b="self.b[i] = self.b[i] - lr * self.db[i]",
)
_AFTER_LAST = "dS = activation_backward(dS, self.cache[-1][1], self.kind)"
_ADD_UP = """old, self.sums = self.sums, (self.dW, self.db)
        if old:
            self.dW = [one + other for one, other in zip(self.dW, old[0])]
            self.db = [one + other for one, other in zip(self.db, old[1])]"""
_MLP = [
    Mistake(
        "MLP",
        "PyTorch's",
        0,
        "uses torch.nn.Linear",
        """
class MLP:
    def __init__(self, sizes, activation, seed):
        self.layers = [torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]
""",
    ),
    _mlp(
        "one activation",
        0.15,
        "not only after the first",
        between="Z if i else activation(Z, self.kind)",
    ),
    _mlp(
        "own output",
        0.4,
        "If shapes do not meet",
        back="activation_backward(dS, self.cache[i][1], self.kind)",
    ),
    _mlp("activation at the end", 1.1, "they go out as they are", scores="X"),
    _mlp("softmax inside", 1.1, "softmax belongs to the loss", scores="softmax(Z)"),
    _mlp("no activation", 0, "activations between the layers are missing", between="Z"),
    _mlp("not back through it", 0.4, "way back through the activations is missing", back="dS"),
    _mlp(
        "slope at the output",
        0.4,
        "not at what went in",
        back="activation_backward(dS, self.cache[i][0], self.kind)",
    ),
    _mlp("through a last one", 0.4, "No activation follows the last layer", first=_AFTER_LAST),
    _mlp("back to front", 0.4, "the wrong way round", last="self.dW.reverse(); self.db.reverse()"),
    _mlp("mean once more", 0.4, "divided by N once too often", first="dS = dS / len(dS)"),
    _mlp("cache not renewed", 1.35, "start them anew", cache=""),
    _mlp("gradients added up", 1.35, "Both batches' gradients are added", last=_ADD_UP),
    _mlp("backward steps", 1.0, "that is for step to do", last="self.step(0.01)"),
    _mlp(
        "moved before it is used",
        1.0,
        "that is for step to do",
        update="self.W[i] = self.W[i] - 0.01 * self.dW[i]",
    ),
    _mlp(
        "up the slope",
        1.15,
        "It goes up the slope",
        step_W="self.W[i] = self.W[i] + lr * self.dW[i]",
        step_b="self.b[i] = self.b[i] + lr * self.db[i]",
    ),
    _mlp(
        "no learning rate",
        1.15,
        "learning rate lr is missing",
        step_W="self.W[i] = self.W[i] - self.dW[i]",
        step_b="self.b[i] = self.b[i] - self.db[i]",
    ),
    _mlp("no biases", 1.15, "The biases stand still", step_b=""),
    _mlp(
        "the loop's names",
        1.15,
        "changes the loop's name",
        step_W="W, b = self.W[i], self.b[i]",
        step_b="W = W - lr * self.dW[i]; b = b - lr * self.db[i]",
    ),
]

_train = variants(
    "train_mlp",
    """
def train_mlp(model, loss, X, y, rates, batch_size, rng):
    losses, epoch = [], []
    {before}
    for rate in {rates}:
        {order}
        for start in range({starts}):
            batch = {batch}
            value, dS = loss(model.forward(X[batch]), {labels})
            {update}
            {keep}
    return losses
""",
    before="",
    rates="rates",
    order="order = rng.permutation(len(X))",
    starts="0, len(X), batch_size",
    batch="order[start : start + batch_size]",
    labels="y[batch]",
    update="model.backward(dS); model.step(rate)",
    keep="losses.append(value)",
)
_EPOCH_LOSSES = """epoch = [*epoch, value] if start else [value]
        losses.append(sum(epoch) / len(epoch))"""
_OTHER_SOURCE = "order = np.random.permutation(len(X))"
_IN_PLACE = "order = rng.permutation(len(X)); X[:], y[:] = X[order], y[order]"
_TRAIN = [
    _train("y not shuffled", 0.85, "same indices", labels="y[start : start + batch_size]"),
    _train("not shuffled", 1.25, "in which they are stored", order="order = np.arange(len(X))"),
    _train(
        "shuffled once",
        1.25,
        "Two epochs have one order",
        before="order = rng.permutation(len(X))",
        order="",
    ),
    _train(
        "with replacement",
        1.1,
        "others never",
        batch="rng.integers(len(X), size=min(batch_size, len(X) - start))",
    ),
    _train(
        "last batch dropped",
        0.4,
        "shorter batch of each epoch is missing",
        starts="0, len(X) - batch_size + 1, batch_size",
    ),
    _train("one epoch", 0, "there is one for each learning rate", rates="rates[:1]"),
    _train("one step an epoch", 0, "not for each batch", starts="1"),
    _train(
        "step first", 0, "A step before backward", update="model.step(rate); model.backward(dS)"
    ),
    _train(
        "one step, after the last batch",
        0,
        "after its last batch",
        update="model.backward(dS); start + batch_size < len(X) or model.step(rate)",
    ),
    _train("other source", 1.25, "does not come from rng", order=_OTHER_SOURCE),
    _train("in place", 1.25, "changes X or y in place", order=_IN_PLACE),
    _train(
        "mean again",
        0.9,
        "holds the mean",
        update="model.backward(dS); model.step(rate / batch_size)",
    ),
    _train("own loss", 0, "call the arguments", before="loss = cross_entropy"),
    _train("no step", 0, "No step was made", update="model.backward(dS)"),
    _train("loss for dS", 0, "the second", update="model.backward(value); model.step(rate)"),
    _train(
        "first rate", 1.3, "go through rates", update="model.backward(dS); model.step(rates[0])"
    ),
    _train("by epoch", 1.3, "asked for is one for each batch", keep=_EPOCH_LOSSES),
    _train(
        "last epoch",
        1.3,
        "begin the list before",
        order="order, losses = rng.permutation(len(X)), []",
    ),
]

_BY_DEPTH = [
    Mistake("gradient_by_depth", name, score, says, code)
    for name, score, says, code in (
        ("twenty times", 0.6, "18 times, not 20", "shrink_per_layer = 0.35"),
        ("last", 0.7, "has gone back through no layer", 'stuck_layers = "last"'),
        ("all", 0.7, "multiplies it once more", 'stuck_layers = "all"'),
        ("of two layers", 0.6, "that is the factor for two", "shrink_per_layer = 0.1"),
        ("slope alone", 0.6, "weights multiply, too", "shrink_per_layer = 0.25"),
        ("upside down", 0.6, "of one layer less", "shrink_per_layer = 3.2"),
        ("larger outputs", 0.7, "The outputs are not what", 'why_relu = "b"'),
        ("slope above 1", 0.7, "your picture of the slopes", 'why_relu = "d"'),
    )
]

MISTAKES = [
    *_SOFTMAX,
    *_CROSS_ENTROPY,
    *_NUMERICAL,
    *_THROUGH,
    *_LINEAR,
    *_MLP,
    *_TRAIN,
    *_BY_DEPTH,
]
