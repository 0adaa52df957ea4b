"""Lab 01: right answers in other styles."""

STYLES = {
    "neuron": {
        "lambda": """
neuron = lambda x, w, b, activation: (
    max(0.0, np.dot(w, x) + b) if activation == "relu" else float(np.dot(w, x) + b >= 0)
)
""",
        "a loop, match": """
def neuron(x, w, b, activation):
    z = b
    for one, weight in zip(x, w, strict=True):
        z += one * weight
    match activation:
        case "relu":
            return z if z > 0 else 0
        case "step":
            return int(z >= 0)
""",
        "NumPy's numbers": """
def neuron(x: np.ndarray, w: np.ndarray, b: float, activation: str) -> np.ndarray:
    z = np.asarray((x * w).sum() + b)
    return np.maximum(z, 0) if activation == "relu" else np.heaviside(z, 1.0)
""",
        "instance, table of functions": """
class Neuron:
    activations = {"relu": lambda z: z * (z > 0), "step": lambda z: 1.0 * (z >= 0)}

    def __call__(self, x, w, b, activation):
        return self.activations[activation](x @ w + b)

neuron = Neuron()
""",
        "bias as a weight": """
import functools

def _fired(activation, x, w, b):
    z = np.append(w, b) @ np.append(x, 1)
    return np.where(z >= 0, z if activation == "relu" else 1.0, 0.0)[()]

def neuron(x, w, b, activation):
    return functools.partial(_fired, activation)(x=x, w=w, b=b)
""",
    },
    "predict": {
        "lambda": "predict = lambda X, w, b: 2 * (X @ w + b >= 0) - 1",
        "list, row by row": """
def predict(X, w, b):
    return np.array([1 if row @ w >= -b else -1 for row in X])
""",
        "in place on its own array": """
def predict(X, w, b):
    z = np.einsum("nd,d->n", X, w) + b
    classes = np.ones(len(X))
    classes[z < 0] = -1
    return classes
""",
        "sign, mended": """
def predict(X, w, b):
    signs = np.sign(np.matmul(X, w) + b)
    signs[signs == 0] = 1
    return signs.astype(np.int8)
""",
        "with the neuron": """
def predict(X, w, b):
    return np.fromiter((1 if neuron(x, w, b, "step") else -1 for x in X), dtype=int)
""",
        "select": "predict = lambda X, w, b: np.select([np.inner(X, w) + b >= 0], [1], -1)",
    },
    "perceptron_update": {
        "by the error": """
def perceptron_update(w, b, x, y, lr):
    error = (y - (1 if w @ x + b >= 0 else -1)) / 2
    return w + lr * error * x, b + lr * error
""",
        "with predict": """
def perceptron_update(w, b, x, y, lr):
    if predict(x[None], w, b)[0] != y:
        w, b = w + lr * y * x, b + lr * y
    return (w, b)
""",
        "in place on copies": """
def perceptron_update(w, b, x, y, lr):
    w = w.copy()
    if y * (w @ x + b) < 0 or (y == -1 and w @ x + b == 0):
        w += lr * y * x
        b += lr * y
    return w, b
""",
        "a list": """
def perceptron_update(w, b, x, y, lr):
    wrong = (w @ x + b >= 0) != (y > 0)
    c = wrong * lr * y
    return [np.array([one + c * other for one, other in zip(w, x)]), b + c]
""",
        "lambda, one array": """
_moved = lambda line, point, y, lr: line + lr * y * point * ((line @ point >= 0) != (y == 1))

def perceptron_update(w, b, x, y, lr):
    *w, b = _moved(np.append(w, b), np.append(x, 1.0), y, lr)
    return np.array(w), b
""",
    },
    "perceptron_train": {
        "own steps": """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, mistakes = np.zeros(X.shape[1]), 0, []
    while len(mistakes) < max_epochs:
        count = 0
        for i in range(len(X)):
            z = X[i] @ w + b
            if (z >= 0 and y[i] == -1) or (z < 0 and y[i] == 1):
                w += lr * y[i] * X[i]
                b += lr * y[i]
                count += 1
        mistakes.append(count)
        if not count:
            return w, b, mistakes
    return w, b, mistakes
""",
        "the bias moved": """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, [None]
    while mistakes[-1] != 0 and len(mistakes) <= max_epochs:
        before = 0
        for x, label in zip(X, y):
            w, new = perceptron_update(w, b, x, label, lr)
            before += new != b
            b = new
        mistakes.append(int(before))
    return w, b, mistakes[1:]
""",
        "for and else": """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    line, T, mistakes = np.zeros(X.shape[1] + 1), np.column_stack([X, np.ones(len(X))]), []
    for _ in range(max_epochs):
        wrong = []
        for i, (t, label) in enumerate(zip(T, y)):
            if np.where(t @ line >= 0, 1, -1) != label:
                line = line + lr * label * t
                wrong.append(i)
        mistakes += [len(wrong)]
        if wrong == []:
            break
    return line[:-1], line[-1], mistakes
""",
        "recursion": """
def perceptron_train(X, y, lr=1.0, max_epochs=1000, w=None, b=0.0):
    w, count = np.zeros(X.shape[1]) if w is None else w, 0
    for x, label in zip(X, y):
        if predict(x.reshape(1, -1), w, b).item() != label:
            (w, b), count = perceptron_update(w, b, x, label, lr=lr), count + 1
    if count == 0 or max_epochs == 1:
        return w, b, [count]
    w, b, rest = perceptron_train(X, y, lr, max_epochs - 1, w, b)
    return w, b, [count, *rest]
""",
        "instance": """
class Trainer:
    def __call__(self, X, y, lr=1.0, max_epochs=1000):
        self.w, self.b = np.zeros(len(X[0])), 0.0
        mistakes = []
        for _ in range(max_epochs):
            mistakes.append(np.int64(sum(self.step(x, t, lr) for x, t in zip(X, y))))
            if mistakes[-1] == 0:
                break
        return [self.w, self.b, mistakes]

    def step(self, x, label, lr):
        missed = (1 if self.w @ x + self.b >= 0 else -1) != label
        if missed:
            self.w, self.b = self.w + lr * label * x, self.b + lr * label
        return missed

perceptron_train = Trainer()
""",
    },
    "mistake_bound": {
        "normalised first": """
def mistake_bound(X, y, w, b):
    length = math.sqrt(w @ w + b * b)
    w, b = w / length, b / length
    gamma = np.min(y * (X @ w + b))
    R = np.sqrt((X**2).sum(axis=1) + 1).max()
    return (R / gamma) ** 2 if gamma > 0 else math.inf
""",
        "loops": """
def mistake_bound(X, y, w, b):
    R, gamma = 0.0, math.inf
    for x, label in zip(X, y):
        R = max(R, math.hypot(*x, 1.0))
        gamma = min(gamma, label * (w @ x + b) / math.hypot(*w, b))
    if gamma <= 0:
        return float("inf")
    return R**2 / gamma**2
""",
        "lambda": """
mistake_bound = lambda X, y, w, b: (
    np.inf if (y * (X @ w + b)).min() <= 0
    else ((X * X).sum(1) + 1).max() * (w @ w + b**2) / (y * (X @ w + b)).min() ** 2
)
""",
        "γ < 0, and NumPy's infinity at 0": """
def mistake_bound(X, y, w, b):
    T, u = np.column_stack([X, np.ones(len(X))]), np.append(w, b)
    gamma = (y * (T @ u)).min() / np.linalg.norm(u)
    if gamma < 0:
        return math.inf
    return (np.linalg.norm(T, axis=1).max() / gamma) ** 2
""",
        "NumPy's division by zero": """
def mistake_bound(X, y, w, b):
    T, u = np.c_[X, np.ones(len(X))], np.r_[w, b]
    u = u / np.linalg.norm(u)
    gamma = np.min(y * (T @ u))
    if gamma < 0:
        return math.inf
    with np.errstate(divide="ignore"):
        return np.linalg.norm(T, axis=1).max() ** 2 / gamma**2
""",
        "with predict": """
def mistake_bound(X, y, w, b):
    z = X @ w + b
    if (predict(X, w, b) != y).any() or (z == 0).any():
        return math.inf
    return float(max(x @ x + 1 for x in X) / (abs(z) / np.hypot(np.linalg.norm(w), b)).min() ** 2)
""",
    },
    "xor_network": {
        "lists": """
W_first, b_first = [[1.0, 1.0], [1, 1]], [-0.5, -1.5]
w_last, b_last = [1.0, -1.0], -0.5
""",
        "tuples": """
W_first, b_first = ((-2.0, -2.0), (2.0, 2.0)), (3.0, -1.0)
w_last, b_last = (1, 1), -1.5
""",
        "one, not the other": """
W_first, b_first = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([-0.5, -0.5])
w_last, b_last = np.array([1.0, 1.0]), -0.5
""",
        "whole numbers": """
W_first, b_first = np.array([[2, 2], [-2, -2]]), np.array([-1, 3])
w_last, b_last = np.array([1, 1]), -2
""",
        "AND first": """
W_first, b_first = np.full((2, 2), 10.0), np.array([-15.0, -5.0])
w_last, b_last = np.array([-2.0, 1.0]), np.float64(-1.0)
""",
        "at the edges of the boxes": """
W_first, b_first = np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([-0.59, -1.41])
w_last, b_last = np.array([1.0, -1.0]), -1.0
""",
        "one by one": """
W_first = np.zeros((2, 2), dtype=np.float32)
W_first[0], W_first[1] = (0.5, 0.5), (1.0, 1.0)
b_first = -np.array([0.25, 1.5])
w_last, b_last = np.array([3.0, -3.0]), -2
""",
        "steep lines": """
W_first, b_first = np.array([[1.0, 1.1], [1.1, 1.0]]), np.array([-0.5, -1.6])
w_last, b_last = np.array([1.0, -2.0]), -0.5
""",
    },
    "multiclass_train": {
        "loop over ten": """
def multiclass_train(X, y, epochs):
    N, D = X.shape
    W, b = np.zeros((10, D)), np.zeros(10)
    W_sum, b_sum = W.copy(), b.copy()
    for _ in range(epochs):
        for n in range(N):
            for k in range(10):
                target = 1 if y[n] == k else -1
                W[k], b[k] = perceptron_update(W[k], b[k], X[n], target, 1.0)
            W_sum, b_sum = W_sum + W, b_sum + b
    return W_sum / (N * epochs), b_sum / (N * epochs)
""",
        "by the errors": """
def multiclass_train(X, y, epochs):
    T, steps = np.eye(10)[y] * 2 - 1, len(X) * epochs
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    W_mean, b_mean = np.zeros_like(W), np.zeros_like(b)
    for _ in range(epochs):
        for x, t in zip(X, T):
            e = (t - np.where(W @ x + b >= 0, 1, -1)) / 2
            W, b = W + e[:, None] * x, b + e
            W_mean, b_mean = W_mean + W / steps, b_mean + b / steps
    return W_mean, b_mean
""",
        "bias as a column": """
def multiclass_train(X, y, epochs):
    T = np.column_stack([X, np.ones(len(X))])
    V = np.zeros((10, T.shape[1]))
    total = V.copy()
    for step in range(epochs * len(X)):
        x, label = T[step % len(X)], y[step % len(X)]
        target = np.where(np.arange(10) == label, 1, -1)
        V += np.outer(np.where((V @ x >= 0) == (target > 0), 0, target), x)
        total += V
    total /= epochs * len(X)
    return total[:, :-1], total[:, -1]
""",
        "generator": """
def _steps(X, y, epochs):
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    for x, label in [*zip(X, y)] * epochs:
        t = -np.ones(10)
        t[label] = 1
        e = t * (np.where(W @ x + b >= 0, 1, -1) != t)
        W, b = W + np.outer(e, x), b + e
        yield W, b

def multiclass_train(X, y, epochs):
    n, W_sum, b_sum = 0, 0.0, 0.0
    for n, (W, b) in enumerate(_steps(X, y, epochs), start=1):
        W_sum, b_sum = W_sum + W, b_sum + b
    return W_sum / n, b_sum / n
""",
        "running average": """
def multiclass_train(X, y, epochs):
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    mean_W, mean_b, n = W * 0, b * 0, 0
    for epoch in range(epochs):
        for i in range(X.shape[0]):
            for k in np.flatnonzero((W @ X[i] + b >= 0) != (np.arange(10) == y[i])):
                sign = 1 if k == y[i] else -1
                W[k] += sign * X[i]
                b[k] += sign
            n += 1
            mean_W += (W - mean_W) / n
            mean_b += (b - mean_b) / n
    return [mean_W, mean_b]
""",
    },
}
