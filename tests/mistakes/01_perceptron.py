"""Lab 01: what people get wrong about the neuron, its line and its rule."""

from tests.mistakes import Mistake

_NEURON = """
def neuron(x, w, b, activation):
    z = float({score})
    if activation == "relu":
        return {relu}
    return {step}
"""

_UPDATE = """
def perceptron_update(w, b, x, y, lr):
    if {right}:
        return w, b
    return {new}
"""
_IS_RIGHT = "(1 if w @ x + b >= 0 else -1) == y"

_TRAIN = """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    for _ in range(max_epochs):
        {epoch}
        mistakes.append(0)
        for x, label in zip(X, y):
            if {missed}:
                w, b = w + {lr} * label * x, b + {lr} * label
                mistakes[-1] += 1
        if {clean}:
            break
    return w, b, {result}
"""

_BOUND = """
def mistake_bound(X, y, w, b):
    points = np.column_stack([X, np.ones(len(X))])
    z = y * (X @ w + b)
    if {no_bound}:
        return math.inf
    return float({bound})
"""
_RADIUS = "np.linalg.norm(points, axis=1).max()"

_LINE = "np.hypot(np.linalg.norm(w), b)"

_XOR = """
def xor_network(x):
    either = neuron(x, np.ones(2), {either}, "step")
    both = neuron(x, np.ones(2), -1.5, "step")
    return {last}
"""
_LAST = 'neuron(np.array([either, both]), np.array([1.0, -1.0]), -0.5, "step")'

_TEN = """
def multiclass_train(X, y, epochs):
    targets = {targets}
    {start}
    W, b = np.zeros((10, X.shape[1])), np.zeros(10)
    W_sum, b_sum = np.zeros_like(W), np.zeros_like(b)
    for _ in range(epochs):
        for x, target in zip(X, targets):
            missed = {wrong}
            {before}
            W[missed] += np.outer(target[missed], x)
            b[missed] += target[missed]
            {after}
    return {result}
"""
_ADD = "W_sum += W; b_sum += b"
_TARGETS = "np.where(y[:, None] == np.arange(10), 1, -1)"
_AVERAGE = "W_sum / (epochs * len(X)), b_sum / (epochs * len(X))"


def _neuron(
    name: str,
    score: float,
    says: str,
    *,
    z: str = "w @ x + b",
    relu: str = "max(z, 0.0)",
    step: str = "1.0 if z >= 0 else 0.0",
) -> Mistake:
    return Mistake("neuron", name, score, says, _NEURON.format(score=z, relu=relu, step=step))


def _predict(name: str, score: float, says: str, result: str) -> Mistake:
    code = f"def predict(X, w, b):\n    return {result}\n"
    return Mistake("predict", name, score, says, code)


def _update(name: str, score: float, says: str, new: str, right: str = _IS_RIGHT) -> Mistake:
    code = _UPDATE.format(right=right, new=new)
    return Mistake("perceptron_update", name, score, says, code)


def _train(
    name: str,
    score: float,
    says: str,
    *,
    epoch: str = "",
    missed: str = "(1 if w @ x + b >= 0 else -1) != label",
    lr: str = "lr",
    clean: str = "mistakes[-1] == 0",
    result: str = "mistakes",
) -> Mistake:
    code = _TRAIN.format(epoch=epoch, missed=missed, lr=lr, clean=clean, result=result)
    return Mistake("perceptron_train", name, score, says, code)


def _bound(
    name: str, score: float, says: str, bound: str, no_bound: str = "z.min() <= 0"
) -> Mistake:
    code = _BOUND.format(no_bound=no_bound, bound=bound)
    return Mistake("mistake_bound", name, score, says, code)


def _xor(name: str, score: float, says: str, last: str = _LAST, either: float = -0.5) -> Mistake:
    return Mistake("xor_network", name, score, says, _XOR.format(either=either, last=last))


def _ten(name: str, score: float, says: str, **changes: str) -> Mistake:
    usual = {
        "targets": _TARGETS,
        "start": "",
        "wrong": "np.where(W @ x + b >= 0, 1, -1) != target",
        "before": "",
        "after": _ADD,
        "result": _AVERAGE,
    }
    code = _TEN.format(**{**usual, **changes})
    return Mistake("multiclass_train", name, score, says, code)


_LIBRARY = "this exercise does without"
MISTAKES = [
    _neuron("no bias", 0.2, "the bias b is missing", z="w @ x"),
    _neuron("bias subtracted", 0.2, "w·x − b: the bias is added", z="w @ x - b"),
    _neuron("no rectifier", 0.6, "relu turns what is negative into 0", relu="z"),
    _neuron("step for relu", 0.6, "That is the step", relu="1.0 if z >= 0 else 0.0"),
    _neuron("opposite", 0.6, "not into its opposite", relu="abs(z)"),
    _neuron("mean", 0.4, "not their mean", z="(w * x).mean() + b"),
    _neuron("sigmoid", 0.4, "That is a sigmoid", step="1 / (1 + np.exp(-z))"),
    _neuron("half", 0.8, "all of it", step="float(np.heaviside(z, 0.5))"),
    _neuron("silent below", 0.8, "`>=`, not `>`", step="1.0 if z > 0 else 0.0"),
    _neuron("minus one", 0.6, "Below the threshold it gives 0", step="1.0 if z >= 0 else -1.0"),
    _predict("zero and one", 0.0, "not 0 and 1", "np.where(X @ w + b >= 0, 1, 0)"),
    _predict("the scores", 0.0, "Those are the scores", "X @ w + b"),
    _predict("sign of zero", 0.8, "np.sign(0) is 0", "np.sign(X @ w + b)"),
    _predict("strict", 0.8, "`>=`, not `>`", "np.where(X @ w + b > 0, 1, -1)"),
    _predict("no bias", 0.0, "the bias b is missing", "np.where(X @ w >= 0, 1, -1)"),
    _predict("threshold b", 0.0, "is −b", "np.where(X @ w >= b, 1, -1)"),
    _predict("distances", 0.0, "distances from the line", "(X @ w + b) / np.linalg.norm(w)"),
    _predict(
        "each number", 0.0, "`X @ w` has shape (N,)", "np.where(X * w + b >= 0, 1, -1)[:, :1]"
    ),
    _predict("sides swapped", 0.0, "opposite sign", "np.where(X @ w + b >= 0, -1, 1)"),
    _predict(
        "squeezed", 0.9, "should have shape (1,)", "np.where(X @ w + b >= 0, 1, -1).squeeze()"
    ),
    _update("no label", 0.75, "the label y is missing", "w + lr * x, b + lr"),
    _update("no learning rate", 0.75, "learning rate lr is missing", "w + y * x, b + y"),
    _update("bias left alone", 0.75, "The bias is learned too", "w + lr * y * x, b"),
    _update("wrong sign", 0.75, "wrong sign", "w - lr * y * x, b - lr * y"),
    _update(
        "every point",
        1.5,
        "It moves though the point is right",
        "w + lr * y * x, b + lr * y",
        right="False",
    ),
    _update(
        "0 for −1",
        1.75,
        "a step's 0 is no −1",
        "w + lr * y * x, b + lr * y",
        right="(1 if w @ x + b >= 0 else 0) == y",
    ),
    _update(
        "class without bias",
        0.75,
        "with the bias?",
        "w + lr * y * x, b + lr * y",
        right="(1 if w @ x >= 0 else -1) == y",
    ),
    _update("bias at full speed", 0.75, "with the learning rate", "w + lr * y * x, b + y"),
    _update("along w", 0.75, "not along w", "w + lr * y * w, b + lr * y"),
    _update(
        "unit step", 0.75, "as long as it is", "w + lr * y * x / np.linalg.norm(x), b + lr * y"
    ),
    _update("other order", 0.75, "The order is (w, b)", "b + lr * y, w + lr * y * x"),
    _update(
        "two steps at once",
        0.75,
        "±2 on a mistake",
        "w + lr * (y - np.sign(w @ x + b + 1e-9)) * x, b + lr * (y - np.sign(w @ x + b + 1e-9))",
    ),
    _update(
        "Widrow and Hoff",
        1.0,
        "grows with the error of the score",
        "w + lr * (y - w @ x - b) * x, b + lr * (y - w @ x - b)",
    ),
    _update(
        "on the line is right",
        1.75,
        "nothing would ever be learned",
        "w + lr * y * x, b + lr * y",
        right="y * (w @ x + b) >= 0",
    ),
    _update(
        "on the line is wrong",
        1.75,
        "is no mistake: `predict` calls it +1",
        "w + lr * y * x, b + lr * y",
        right="y * (w @ x + b) > 0",
    ),
    Mistake(
        "perceptron_update",
        "in place",
        1.0,
        "changed its argument `w` in place",
        """
def perceptron_update(w, b, x, y, lr):
    if (1 if w @ x + b >= 0 else -1) != y:
        w += lr * y * x
        b += lr * y
    return w, b
""",
    ),
    Mistake("perceptron_update", "far", 1.5, "how far x is from the line", 'prediction_3 = "far"'),
    Mistake(
        "perceptron_update", "close", 1.5, "comes closer to the line", 'prediction_3 = "close"'
    ),
    _train("one epoch", 0.0, "Its last epoch had mistakes", clean="True"),
    Mistake(
        "perceptron_train",
        "no clean epoch",
        1.25,
        "the clean epoch counts too",
        """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    w, b, mistakes = np.zeros(X.shape[1]), 0.0, []
    for _ in range(max_epochs):
        count = 0
        for x, label in zip(X, y):
            if (1 if w @ x + b >= 0 else -1) != label:
                w, b, count = w + lr * label * x, b + lr * label, count + 1
        if count == 0:
            break
        mistakes.append(count)
    return w, b, mistakes
""",
    ),
    _train("on and on", 1.25, "goes on after the clean epoch", clean="False"),
    _train("the total", 0.0, "one whole number for each epoch", result="sum(mistakes)"),
    _train("own learning rate", 1.25, "lr is not used", lr="1.0"),
    _train("never a mistake", 0.0, "w and b are still zero", missed="label * (w @ x + b) < 0"),
    _train(
        "from zero each epoch", 0.5, "begin at zero again", epoch="w, b = np.zeros(X.shape[1]), 0.0"
    ),
    _bound(
        "not squared",
        0.4,
        "the square is missing",
        f"{_RADIUS} / (z.min() / np.hypot(np.linalg.norm(w), b))",
    ),
    _bound("not normalised", 0.4, "not divided by the length", f"({_RADIUS} / z.min()) ** 2"),
    _bound(
        "length of w alone",
        0.4,
        "not of w alone",
        f"({_RADIUS} / (z.min() / np.linalg.norm(w))) ** 2",
    ),
    _bound(
        "without the bias",
        0.4,
        "The bias is left out",
        "(np.linalg.norm(X, axis=1).max() / (z.min() / np.linalg.norm(w))) ** 2",
    ),
    _bound("R as it is", 0.4, "R is squared, too", f"{_RADIUS} / (z.min() / {_LINE}) ** 2"),
    _bound("street", 0.4, "half the street", f"({_RADIUS} / (2 * z.min() / {_LINE})) ** 2"),
    _bound(
        "minus infinity",
        0.85,
        "plus infinity",
        f"-math.inf if z.min() <= 0 else ({_RADIUS} / (z.min() / {_LINE})) ** 2",
        no_bound="False",
    ),
    _bound(
        "average margin",
        0.4,
        "not to the average one",
        f"({_RADIUS} / (z.mean() / np.hypot(np.linalg.norm(w), b))) ** 2",
    ),
    _bound(
        "always a bound",
        0.85,
        "the square hides it",
        f"({_RADIUS} / (z.min() / np.hypot(np.linalg.norm(w), b))) ** 2",
        no_bound="False",
    ),
    Mistake("mistake_bound", "halved", 0.75, "Put 2γ there", "prediction_5 = 0.5"),
    Mistake(
        "mistake_bound", "upside down", 0.75, "new bound divided by the old", "prediction_5 = 4"
    ),
    _xor("or", 0.0, "That is OR", last="either"),
    _xor("and", 0.0, "That is AND", last="both"),
    _xor("upside down", 0.0, "opposite of XOR", last=f"1.0 - {_LAST}"),
    _xor("too close", 0.4, "passes too close", either=-0.01),
    _xor(
        "no last step",
        0.4,
        "the last neuron needs its step",
        last="max(x.sum(), 0.0) - 2 * max(x.sum() - 1, 0.0)",
    ),
    _ten("the last word", 0.75, "average of the weights", result="(W, b)"),
    _ten("sums", 1.5, "Those are sums", result="(W_sum, b_sum)"),
    _ten("the last b", 1.5, "b is what the last", result="(W_sum / (epochs * len(X)), b)"),
    _ten("one epoch", 1.5, "the first epoch alone", start="epochs = 1"),
    _ten("added before", 1.5, "add them after it", before=_ADD, after=""),
    _ten(
        "only mistakes",
        1.5,
        "Steps without a mistake",
        after=f"if missed.any(): n += 1; {_ADD}",
        result="(W_sum / n, b_sum / n)",
        start="n = 0",
    ),
    _ten(
        "on the line is −1",
        1.5,
        "A score of 0 means +1",
        wrong="np.where(W @ x + b > 0, 1, -1) != target",
    ),
    _ten("every image", 0.0, "only a neuron that is wrong", wrong="target != 0"),
    _ten("transposed", 0.0, "transpose", result="(W_sum.T, b_sum)"),
    _ten(
        "targets 0 and 1", 0.0, "All weights are zero", targets="(y[:, None] == np.arange(10)) * 1"
    ),
    _ten("the label itself", 0.0, "All ten rows", targets="np.repeat(y[:, None], 10, axis=1)"),
    _ten("upside down", 0.0, "the lowest score", targets=f"-{_TARGETS}"),
    Mistake(
        "perceptron_train",
        "scikit-learn's",
        0,
        _LIBRARY,
        """
def perceptron_train(X, y, lr=1.0, max_epochs=1000):
    from sklearn.linear_model import Perceptron
    fitted = Perceptron(eta0=lr, max_iter=max_epochs, tol=None, shuffle=False).fit(X, y)
    return fitted.coef_[0], float(fitted.intercept_[0]), [0]
""",
    ),
    Mistake(
        "multiclass_train",
        "scikit-learn's",
        0,
        _LIBRARY,
        """
from sklearn import linear_model

def multiclass_train(X, y, epochs):
    fitted = linear_model.SGDClassifier(loss="perceptron", max_iter=epochs, tol=None).fit(X, y)
    return fitted.coef_, fitted.intercept_
""",
    ),
]
