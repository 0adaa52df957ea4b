"""Right answers to lab 02 in other styles than the reference's."""

STYLES = {
    "numerical_gradient": {
        "put back in place": """
def numerical_gradient(f, x, eps):
    gradient = np.empty(x.shape)
    for i in np.ndindex(*x.shape):
        old = x[i]
        x[i] = old + eps
        above = f(x)
        x[i] = old - eps
        below = f(x)
        x[i] = old
        gradient[i] = (above - below) / (2 * eps)
    return gradient
""",
        "a lambda over the unit arrays": """
numerical_gradient = lambda f, x, eps: np.array([
    (f(x + eps * e.reshape(x.shape)) - f(x - eps * e.reshape(x.shape))) / eps / 2
    for e in np.eye(x.size)
]).reshape(x.shape)
""",
        "flat": """
def numerical_gradient(f, x, eps):
    flat, slopes = x.flatten(), []
    for i in range(flat.size):
        up, down = flat.copy(), flat.copy()
        up[i], down[i] = up[i] + eps, down[i] - eps
        slopes.append((f(up.reshape(x.shape)) - f(down.reshape(x.shape))) / (2.0 * eps))
    return np.asarray(slopes).reshape(x.shape)
""",
        "np.nditer": """
def numerical_gradient(f, x, eps):
    gradient = np.zeros_like(x)
    steps = np.nditer(x, flags=["multi_index"])
    for _ in steps:
        e = np.zeros_like(x)
        e[steps.multi_index] = eps
        gradient[steps.multi_index] = (f(x + e) - f(x - e)) / (2 * eps)
    return gradient
""",
        "np.ndenumerate, np.where, annotated": """
def numerical_gradient(f: Callable, x: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    out = {}
    for i, value in np.ndenumerate(x):
        here = np.zeros(x.shape, bool)
        here[i] = True
        out[i] = f(np.where(here, value + eps, x)) - f(np.where(here, value - eps, x))
    return np.array(list(out.values())).reshape(x.shape) / (2 * eps)
""",
    },
    "softmax": {
        "lambda": """
softmax = lambda S: (lambda E: E / E.sum(1, keepdims=True))(np.exp(S - S.max(1, keepdims=True)))
""",
        "row by row": """
def softmax(S):
    rows = []
    for scores in S:
        e = [np.exp(s - max(scores)) for s in scores]
        rows.append([one / sum(e) for one in e])
    return np.array(rows)
""",
        "through logarithms": """
def softmax(S):
    S = S - np.amax(S, axis=-1)[:, None]
    return np.exp(S - np.log(np.sum(np.exp(S), axis=-1))[:, None])
""",
        "transposed": """
def softmax(S):
    columns = S.T - S.max(axis=1)
    np.exp(columns, out=columns)
    columns /= columns.sum(axis=0)
    return columns.T
""",
        "an instance, and a logsumexp": """
class Softmax:
    def __call__(self, S):
        total = np.logaddexp.reduce(S, axis=1, keepdims=True)
        return np.exp(S - total)
softmax = Softmax()
""",
        "by differences": """
def softmax(S):
    with np.errstate(over="ignore"):
        return 1 / np.exp(S[:, None, :] - S[:, :, None]).sum(axis=2)
""",
    },
    "cross_entropy": {
        "one-hot": """
def cross_entropy(S, y):
    due = np.zeros(S.shape)
    due[np.arange(len(y)), y] = 1
    logs = S - np.logaddexp.reduce(S, axis=1)[:, None]
    return -(due * logs).sum() / len(S), (np.exp(logs) - due) / len(S)
""",
        "loop, a list": """
def cross_entropy(S, y):
    loss, dS = 0.0, np.empty(S.shape)
    for n, label in enumerate(y):
        shifted = S[n] - S[n].max()
        e = np.exp(shifted)
        loss += np.log(e.sum()) - shifted[label]
        dS[n] = e / e.sum()
        dS[n, label] -= 1
    return [loss / len(y), dS / len(y)]
""",
        "take_along_axis": """
def cross_entropy(S, y):
    top = S.max(axis=1, keepdims=True)
    total = top + np.log(np.exp(S - top).sum(axis=1, keepdims=True))
    own = np.take_along_axis(S, y[:, None], axis=1)
    due = (np.arange(S.shape[1]) == y[:, None]).astype(float)
    return np.mean(total - own), (softmax(S) - due) / S.shape[0]
""",
        "np.eye": """
def cross_entropy(S, y):
    n = len(y)
    dS = (softmax(S) - np.eye(S.shape[1])[y]) / n
    z = S - S.max(axis=1, keepdims=True)
    return float(np.average(np.log(np.exp(z).sum(axis=1)) - z[range(n), y])), dS
""",
        "np.subtract.at; the guess computed": """
loss_of_a_guess = -np.log(1 / 10)
def cross_entropy(S, y):
    dS, rows = softmax(S), np.arange(y.size)
    np.subtract.at(dS, (rows, y), 1)
    z = (S.T - S.T.max(axis=0)).T
    return -(z[rows, y] - np.log(np.exp(z).sum(1))).mean(), dS / y.size
""",
    },
    "activation_backward": {
        "a dict of lambdas": """
slopes = {
    "sigmoid": lambda Z: activation(Z, "sigmoid") * activation(-Z, "sigmoid"),
    "tanh": lambda Z: 1 - np.tanh(Z) ** 2,
    "relu": lambda Z: np.where(Z > 0, 1.0, 0.0),
}
activation_backward = lambda dA, Z, kind: dA * slopes[kind](Z)
""",
        "match, in place on a copy": """
def activation_backward(dA, Z, kind):
    dZ, A = dA.copy(), activation(Z, kind)
    match kind:
        case "sigmoid":
            dZ *= A - A**2
        case "tanh":
            dZ *= (1 - A) * (1 + A)
        case _:
            dZ[Z <= 0] = 0
    return dZ
""",
        "np.sign, np.cosh": """
def activation_backward(dA, Z, kind):
    if kind == "relu":
        return dA * np.sign(activation(Z, kind))
    Z = Z / 2 if kind == "sigmoid" else Z
    with np.errstate(over="ignore"):
        slope = 1 / np.cosh(Z) ** 2
    return np.multiply(dA, slope / 4 if kind == "sigmoid" else slope)
""",
        "number by number": """
import math
def activation_backward(dA, Z, kind):
    def slope(z):
        if kind == "relu":
            return float(z > 0)
        t = math.tanh(z / 2 if kind == "sigmoid" else z)
        return (1 - t * t) / (4 if kind == "sigmoid" else 1)
    return dA * np.vectorize(slope)(Z)
""",
        "by hand computed, heaviside": """
sigma = 1 / (1 + np.exp(-1.0))
dL_dw = 2 * (sigma - 1) * sigma * (1 - sigma) * 2
def activation_backward(dA, Z, kind):
    A = activation(Z, kind)
    each = {"sigmoid": A * (1 - A), "tanh": 1 - A * A, "relu": np.heaviside(Z, 0)}
    return each[kind] * dA
""",
        "another rounding": "dL_dw = -0.211",
    },
    "linear": {
        "einsum": """
def linear_forward(X, W, b):
    return np.einsum("nd,dh->nh", X, W) + b[None]
def linear_backward(dY, X, W):
    return np.einsum("nh,dh->nd", dY, W), np.einsum("nd,nh->dh", X, dY), np.einsum("nh->h", dY)
""",
        "np.dot, a list": """
def linear_forward(X, W, b):
    Y = np.dot(X, W)
    Y += b
    return Y
def linear_backward(dY, X, W):
    return [np.dot(dY, W.T), np.dot(dY.T, X).T, np.ones(len(dY)) @ dY]
""",
        "image by image": """
def linear_forward(X, W, b):
    return np.stack([x @ W + b for x in X])
def linear_backward(dY, X, W):
    dW = sum(np.outer(x, dy) for x, dy in zip(X, dY))
    return np.stack([W @ dy for dy in dY]), dW, sum(dY)
""",
        "lambdas": """
linear_forward = lambda X, W, b: np.matmul(X, W) + b
linear_backward = lambda dY, X, W: (dY @ W.transpose(), X.transpose() @ dY, np.sum(dY, 0))
""",
        "the bias as one more row": """
def linear_forward(X, W, b):
    return np.column_stack([X, np.ones(len(X))]) @ np.vstack([W, b])
def linear_backward(dY, X, W):
    both = np.column_stack([X, np.ones(len(X))]).T @ dY
    return np.tensordot(dY, W, axes=(1, 1)), both[:-1], both[-1]
""",
    },
    "MLP": {
        "two lists, insert": """
class MLP(MLP):
    def forward(self, X):
        self.inputs, self.sums = [X], []
        for i in range(len(self.W)):
            self.sums.append(self.inputs[-1] @ self.W[i] + self.b[i])
            self.inputs.append(activation(self.sums[-1], self.kind))
        return self.sums[-1]

    def backward(self, dS):
        self.dW, self.db = [], []
        for i in range(len(self.W) - 1, -1, -1):
            dX, dW, db = linear_backward(dS, self.inputs[i], self.W[i])
            self.dW.insert(0, dW)
            self.db.insert(0, db)
            if i:
                dS = activation_backward(dX, self.sums[i - 1], self.kind)
""",
        "recursion": """
class MLP(MLP):
    def forward(self, X, i=0):
        self.seen = {} if i == 0 else self.seen
        Z = linear_forward(X, self.W[i], self.b[i])
        self.seen[i] = X, Z
        return Z if i + 1 == len(self.W) else self.forward(activation(Z, self.kind), i + 1)

    def backward(self, dZ, i=None):
        if i is None:
            i = len(self.W) - 1
            self.dW, self.db = [None] * (i + 1), [None] * (i + 1)
        dA, self.dW[i], self.db[i] = linear_backward(dZ, self.seen[i][0], self.W[i])
        if i > 0:
            self.backward(activation_backward(dA, self.seen[i - 1][1], self.kind), i - 1)
""",
        "in place": """
class MLP(MLP):
    def step(self, lr):
        for p, dp in zip(self.W + self.b, self.dW + self.db):
            p -= lr * dp
""",
        "new lists": """
class MLP(MLP):
    def step(self, lr):
        self.W = [W - lr * dW for W, dW in zip(self.W, self.dW)]
        self.b = [b - lr * db for b, db in zip(self.b, self.db)]
""",
        "a stack of ways back": """
class MLP(MLP):
    def forward(self, X):
        self.way = []
        for i, (W, b) in enumerate(zip(self.W, self.b)):
            if i:
                self.way.append(lambda d, Z=X: activation_backward(d, Z, self.kind))
                X = activation(X, self.kind)
            self.way.append(lambda d, X=X, W=W: linear_backward(d, X, W))
            X = linear_forward(X, W, b)
        return X

    def backward(self, d):
        dW, db = [], []
        for back in reversed(self.way):
            d = back(d)
            if type(d) is tuple:
                d, one, other = d
                dW.append(one)
                db.append(other)
        self.dW, self.db = dW[::-1], db[::-1]
""",
    },
    "train_mlp": {
        "rng.shuffle": """
def train_mlp(model, loss, X, y, rates, batch_size, rng):
    losses, order = [], np.arange(len(X))
    for rate in rates:
        rng.shuffle(order)
        for i in range(0, len(order), batch_size):
            now = order[i : i + batch_size]
            value, dS = loss(model.forward(X[now]), y[now])
            model.backward(dS)
            model.step(lr=rate)
            losses.append(value)
    return losses
""",
        "np.split": """
def train_mlp(model, loss, X, y, rates, batch_size, rng):
    out = []
    for lr in rates:
        cuts = np.arange(batch_size, len(y), batch_size)
        for batch in np.split(rng.permutation(len(y)), cuts):
            L, dS = loss(model.forward(X[batch]), y[batch])
            out += [L]
            model.backward(dS)
            model.step(lr)
    return out
""",
        "shuffled copies": """
def train_mlp(model, loss, X, y, rates, batch_size, rng):
    losses = []
    for rate in rates:
        order = rng.choice(len(X), size=len(X), replace=False)
        images, labels = X[order], y[order]
        while len(images):
            value, dS = loss(model.forward(images[:batch_size]), labels[:batch_size])
            model.backward(dS)
            model.step(rate)
            losses.append(value)
            images, labels = images[batch_size:], labels[batch_size:]
    return losses
""",
        "a generator": """
def batches(n, size, rng):
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]

def train_mlp(model, loss, X, y, rates, batch_size, rng):
    def one(batch, rate):
        value, dS = loss(model.forward(X.take(batch, axis=0)), y.take(batch))
        model.backward(dS)
        model.step(rate)
        return value
    return [one(b, rate) for rate in rates for b in batches(len(X), batch_size, rng)]
""",
        "by count of epochs, argsort": """
def train_mlp(model, loss, X, y, rates, batch_size, rng):
    losses = []
    for epoch in range(len(rates)):
        order = np.argsort(rng.random(len(X)))
        for k in range(-(-len(X) // batch_size)):
            batch = order[k * batch_size : min((k + 1) * batch_size, len(X))]
            scores = model.forward(X[batch])
            value, gradient = loss(scores, y[batch])
            model.backward(gradient)
            model.step(rates[epoch])
            losses.append(float(value))
    return losses
""",
    },
    "gradient_by_depth": {
        "a rounded number": "shrink_per_layer, why_relu = 0.31, 'a'",
        "two digits more": "shrink_per_layer, why_relu = 0.3142, 'A'",
        "NumPy's number": "shrink_per_layer = np.float64(0.3)",
        "an annotated float": "shrink_per_layer: float = 0.32",
        "from neighbours": "shrink_per_layer = (0.1) ** 0.5",
    },
}
