"""The answers of lab 16, by the lab's own names, and the mistakes that are known."""

import math
import sys

import torch
import torch.nn.functional as F
from torch.nn.functional import cross_entropy, one_hot

from grading.checks.mistakes import Known, Mistake, Table, variants

METHODS = ("backprop", "no flush", "direct feedback", "synthetic", "local")

share_at_60 = 0.5
same_loss = "backprop"
least_held = "local"
fewer_numbers = 4.096
learns_nothing = "as frozen"


def feedback_alignment_backward(inputs, error, feedback):
    deltas = [error @ B * (1 - h**2) for B, h in zip(feedback, inputs[1:], strict=True)]
    return [
        (delta.T @ x, delta.sum(dim=0)) for delta, x in zip([*deltas, error], inputs, strict=True)
    ]


def alignment_angle(ours, theirs):
    one, other = (torch.cat([t.flatten() for t in each]) for each in (ours, theirs))
    lengths = float(one.norm() * other.norm())
    if not lengths:
        return 90.0
    return math.degrees(math.acos(min(1.0, max(-1.0, float(one @ other) / lengths))))


def guessed_backward(stage, guesser, x, y):
    x = x.detach().requires_grad_()
    h = stage(x)
    h.backward(guesser(h.detach(), y).detach())
    return h.detach(), x.grad


def guesser_loss(guesser, h, y, dh):
    return F.mse_loss(guesser(h.detach(), y), dh.detach())


def similarity(h):
    h = h - h.mean(dim=1, keepdim=True)
    h = h / h.norm(dim=1, keepdim=True).clamp_min(1e-8)
    return h @ h.T


def local_loss(h, scores, y, share):
    target = similarity(one_hot(y, scores.shape[1]).to(h.dtype))
    matching = (similarity(h) - target).pow(2).mean()
    return share * matching + (1 - share) * cross_entropy(scores, y)


def local_step(stage, head, x, y, share):
    h = stage(x.detach())
    local_loss(h, head(h), y, share).backward()
    return h.detach()


def waits_for(method, rank, ranks):
    if method == "direct feedback":
        return ranks - 1, "F"
    if method in ("backprop", "no flush") and rank < ranks - 1:
        return rank + 1, "B"
    return rank, "F"


def utilization(method, ranks, microbatches, batches, forward=1.0, backward=2.0):
    work = batches * microbatches * (forward + backward)
    flushes = batches if method in ("backprop", "direct feedback") else 1
    wait = forward + backward if method in ("backprop", "no flush") else forward
    return work / (work + flushes * (ranks - 1) * wait)


# What PyTorch's words, and Python's, mean here.
IN_FEEDBACK = (
    (
        "list index out of range",
        "There is one matrix fewer than layers: the last layer has the error itself.",
    ),
    (
        "cannot be multiplied",
        "Write the shapes down: (N, C) @ (C, D) is (N, D), and dW is (outputs, N) @ (N, inputs).",
    ),
    (
        "must match the size",
        "tanh's derivative is that of the layer's own output, which is the next layer's input. The error"
        " meets its matrix by @, not by *.",
    ),
)
IN_ANGLE = (
    (
        "math domain error",
        "A cosine that rounding made larger than 1 has no acos: cut it off at −1 and 1.",
    ),
    ("expected a domain error", ""),
    ("division by zero", "A list of zeros has no direction: 90.0 is asked for."),
    (
        "Sizes of tensors must match",
        "The tensors have different shapes: flatten each one, then put them in one row.",
    ),
    (
        "stack expects each tensor",
        "The tensors have different shapes: flatten each one, then put them in one row.",
    ),
    (
        "1D tensors expected",
        "A scalar product is of two vectors: flatten the tensors first.",
    ),
)
ANGLES = (
    (
        ([torch.tensor([1.0, 0.0])], [torch.tensor([0.0, 2.0])]),
        90.0,
        "Of two vectors at a right angle, [1, 0] and [0, 2], it should be 90.",
    ),
    (
        ([torch.tensor([3.0, 0.0])], [torch.tensor([5.0, 0.0])]),
        0.0,
        "Of two vectors of one direction, [3, 0] and [5, 0], it should be 0: lengths do not count.",
    ),
    (
        ([torch.tensor([1.0]), torch.tensor([0.0])], [torch.tensor([1.0]), torch.tensor([1.0])]),
        45.0,
        "[[1], [0]] and [[1], [1]] are the vectors [1, 0] and [1, 1]: 45.",
    ),
)
LEAF = (
    "Only a leaf keeps its .grad: make one with x.detach(), ask it for its gradient, and let the"
    " stage run on it."
)
A_PAIR = (
    'It is a pair: a rank, then "F" or "B". Where nothing of another rank is needed, that is the'
    " rank's own forward."
)
IN_STAGES = (
    (
        "cannot be multiplied",
        "A guesser takes the activation first, then the labels; guesser and head take h, the"
        " stage's output.",
    ),
    (
        "can be implicitly created only for scalar",
        "Without an argument it goes backward from a single number: at h, backward needs the gradient"
        " at h, the guess; a loss is one mean over all numbers.",
    ),
    (
        "does not require grad",
        "There is no graph to go backward through: was it detached, or run under no_grad?",
    ),
    (
        "second time",
        "One graph is gone through twice: each backward needs a forward of its own.",
    ),
    (
        "Can't call numpy() on Tensor",
        "Stay with tensors: NumPy knows nothing of gradients.",
    ),
    (
        "object has no attribute 'backward'",
        "A plain number has no graph: return the tensor.",
    ),
    (
        "one of the differentiated Tensors",
        "The gradient is asked for something that the output does not come from.",
    ),
)
IN_SIMILARITY = (
    (
        "must match the size",
        "keepdim=True keeps a row's mean, or length, as a column (N, 1).",
    ),
    (
        "cannot be multiplied",
        "All pairs of rows: (N, D) @ (D, N).",
    ),
)
IN_LOCAL = (
    *IN_SIMILARITY,
    (
        "same dtype",
        "one_hot gives whole numbers: make them of the dtype of h.",
    ),
    (
        "mean(): could not infer",
        "one_hot gives whole numbers, which have no mean: make them of the dtype of h.",
    ),
    (
        "input dtype should be either floating",
        "one_hot gives whole numbers, which have no mean: make them of the dtype of h.",
    ),
    (
        "too many indices",
        "cross_entropy takes the scores first, then the labels.",
    ),
)
_ONE = "One rank alone waits for nobody: 1."
_EACH_BATCH = (
    "Idle time is (ranks − 1) forwards *and* as many backwards, and it comes with each batch."
)
_ONCE = "Idle time is (ranks − 1) forwards *and* as many backwards, and it comes once, whatever the batches."
UTILIZATIONS = {
    "backprop": (
        (("backprop", 1, 4, 3), 1.0, _ONE),
        (
            ("backprop", 2, 1, 1),
            0.5,
            "Two ranks and one micro-batch: one works at a time, so it is 1/2.",
        ),
        (("backprop", 3, 4, 10), 2 / 3, _EACH_BATCH),
    ),
    "no flush": (
        (("no flush", 1, 4, 3), 1.0, _ONE),
        (
            ("no flush", 2, 1, 1),
            0.5,
            "Two ranks and one micro-batch: one works at a time, so it is 1/2.",
        ),
        (("no flush", 3, 4, 10), 120 / 126, _ONCE),
    ),
    "direct feedback": (
        (("direct feedback", 1, 4, 3), 1.0, _ONE),
        (
            ("direct feedback", 2, 1, 1),
            0.75,
            "Two ranks, one micro-batch: F, F, then both go backward at once: 6 of 8 units of time.",
        ),
        (
            ("direct feedback", 3, 4, 10),
            12 / 14,
            "Idle time is (ranks − 1) forwards, and it comes with each batch: all ranks end a batch"
            " together.",
        ),
    ),
    **{
        method: (
            ((method, 1, 4, 3), 1.0, _ONE),
            (
                (method, 2, 1, 1),
                0.75,
                "Two ranks and one micro-batch: the second begins one forward later, and the first"
                " is done one forward earlier: 6 of 8 units of time.",
            ),
            (
                (method, 3, 4, 10),
                120 / 122,
                "Idle time is (ranks − 1) forwards, once, whatever the batches.",
            ),
        )
        for method in ("synthetic", "local")
    },
}

_WAITS_ALL = (
    "It waits for the rank behind for each gradient: the row drains and fills between batches."
)
REPLIES = {
    "same_loss": {
        "no flush": "Its gradients are those of older weights: equal only as long as nothing moves.",
        "direct feedback": "Its error comes through random matrices: no gradient, so another step.",
        "synthetic": "Its guesses are wrong by some amount at each step, the first ones by a lot.",
        "local": "Its stages follow losses of their own: what they lower is another function.",
    },
    "least_held": {
        "backprop": "Look at its column in the table: rank 0 holds as many as there are ranks.",
        "no flush": "Look at its column in the table: rank 0 holds as many as there are ranks.",
        "direct feedback": "It holds what waits for the last rank's error, and that is sent back.",
        "synthetic": "It holds one, but the guessers' targets are gradients that are sent back.",
    },
    "learns_nothing": {
        "as chance": "Frozen hidden layers do better than that: here something is being broken.",
        "at 90": "So it was with direct feedback at first, and its hidden layers learnt after all.",
        "below": "It may still be far above frozen features: then the hidden layers did learn.",
    },
}

_feedback, _feedback_otherwise = variants(
    "feedback_alignment_backward",
    """
def feedback_alignment_backward(inputs, error, feedback):
    pairs = []
    {first}
    for i, x in enumerate(inputs):
        delta = {last}
        if i < len(feedback):
            h = inputs[i + 1]
            delta = {delta}
        pairs.append({pair})
    return {result}
""",
    first="",
    last="error",
    delta="error @ feedback[i] * (1 - h**2)",
    pair="(delta.T @ x, delta.sum(dim=0))",
    result="pairs",
)
_MEAN = (
    "The mean over the batch is in the error already: dividing once more makes the step too short."
)
_FEEDBACK = [
    _feedback(
        "no derivative",
        1.0,
        "The derivative of tanh is missing: (1 − h²), with h the layer's output.",
        delta="error @ feedback[i]",
    ),
    _feedback(
        "derivative of the input",
        0,
        "That is tanh's derivative at the layer's input; it belongs to its output, the next input.",
        delta="error @ feedback[i] * (1 - x**2)",
    ),
    _feedback(
        "tanh twice",
        1.0,
        "The inputs of later layers are outputs of tanh already: tanh is applied twice.",
        delta="error @ feedback[i] * (1 - torch.tanh(h) ** 2)",
    ),
    _feedback(
        "not squared",
        1.0,
        "The derivative of tanh is 1 − h², not 1 − h.",
        delta="error @ feedback[i] * (1 - h)",
    ),
    _feedback(
        "sigmoid's",
        0.5,
        "That is the sigmoid's derivative, h(1 − h); this network has tanh.",
        delta="error @ feedback[i] * h * (1 - h)",
    ),
    _feedback(
        "h squared",
        0.5,
        "The derivative of tanh is 1 − h², not h² and not 1 + h².",
        delta="error @ feedback[i] * h**2",
    ),
    _feedback(
        "plus",
        1.0,
        "The derivative of tanh is 1 − h², not h² and not 1 + h².",
        delta="error @ feedback[i] * (1 + h**2)",
    ),
    _feedback(
        "ReLU's",
        0.5,
        "That is ReLU's derivative; this network has tanh.",
        delta="error @ feedback[i] * (h > 0)",
    ),
    _feedback(
        "the activation",
        0.5,
        "That multiplies by the output, not by tanh's derivative there.",
        delta="error @ feedback[i] * h",
    ),
    _feedback(
        "one matrix for all",
        0.5,
        "All layers use the first matrix: each has its own.",
        delta="error @ feedback[0] * (1 - h**2)",
    ),
    _feedback(
        "matrix of the layer before",
        0.5,
        "The matrices are shifted: feedback[i] goes to the output of layer i.",
        delta="error @ feedback[i - 1] * (1 - h**2)",
    ),
    _feedback(
        "matrix of the layer behind",
        0.5,
        "The matrices are shifted: feedback[i] goes to the output of layer i.",
        delta="error @ feedback[min(i + 1, len(feedback) - 1)] * (1 - h**2)",
    ),
    _feedback(
        "matrices in reverse",
        0.5,
        "The matrices are used from the last to the first: feedback[i] goes to layer i's output.",
        delta="error @ feedback[-1 - i] * (1 - h**2)",
    ),
    _feedback(
        "mean of weights and biases",
        0,
        _MEAN,
        pair="(delta.T @ x / len(x), delta.mean(dim=0))",
    ),
    _feedback(
        "mean of the biases",
        0,
        "db is the sum over the examples: the mean over the batch is in the error already.",
        pair="(delta.T @ x, delta.mean(dim=0))",
    ),
    _feedback(
        "mean of the weights",
        0,
        "dW is a sum over the examples, as db is: the mean over the batch is in the error already.",
        pair="(delta.T @ x / len(x), delta.sum(dim=0))",
    ),
    _feedback(
        "a step",
        0,
        "The signs are those of a step, or of h² − 1. Asked for is what a gradient's place takes: the"
        " optimizer subtracts it.",
        pair="(-delta.T @ x, -delta.sum(dim=0))",
    ),
    _feedback(
        "error for the last hidden layer",
        0.5,
        "The last hidden layer has a matrix, too: the error itself is for the scores' layer alone.",
        delta="error @ feedback[i] * (1 - h**2) if i < len(feedback) - 1 else error",
    ),
    _feedback(
        "weights from the error",
        0.5,
        "dW is made of the error itself: take δ, as for db.",
        pair="(error.T @ x, delta.sum(dim=0))",
    ),
    _feedback(
        "weights from the output",
        0.5,
        "dW takes what goes into the layer, inputs[i], not what comes out of it.",
        pair="(delta.T @ inputs[min(i + 1, len(inputs) - 1)], delta.sum(dim=0))",
    ),
    _feedback(
        "error's sign alone",
        0,
        "That is the error's sign: its size counts, too.",
        first="error = error.sign()",
    ),
    _feedback(
        "last layer with tanh",
        1.25,
        "The last layer has no tanh: its error comes as it is.",
        last="error * (1 - error**2)",
    ),
    _feedback(
        "bias over all",
        0,
        "db has one number for each unit: sum over the examples alone.",
        pair="(delta.T @ x, delta.sum().expand(delta.shape[1]))",
    ),
    _feedback_otherwise(
        "weights transposed",
        0,
        "transpose of what it should be",
        pair="(x.T @ delta, delta.sum(dim=0))",
    ),
    _feedback_otherwise(
        "bias first", 0, "should have shape", pair="(delta.sum(dim=0), delta.T @ x)"
    ),
    _feedback_otherwise(
        "bias as a row",
        0,
        "db (outputs,)",
        pair="(delta.T @ x, delta.sum(dim=0, keepdim=True))",
    ),
    _feedback_otherwise(
        "hidden layers alone",
        0,
        "One pair (dW, db) for each layer",
        result="pairs[:-1]",
    ),
    _feedback(
        "last layer first",
        0,
        "The pairs are in reverse: the first layer's comes first.",
        result="pairs[::-1]",
    ),
    _feedback(
        "matrix transposed",
        0,
        "The matrix is transposed: (N, C) meets feedback[i] as it is, (C, D).",
        delta="error @ feedback[i].T * (1 - h**2)",
    ),
    Known(
        "feedback_alignment_backward",
        "sent on from layer to layer",
        0.5,
        "Each layer takes the delta of the one before: the error itself goes to every layer.",
        """
def feedback_alignment_backward(inputs, error, feedback):
    pairs, delta = [], error
    for i, x in enumerate(inputs[:-1]):
        delta = delta @ feedback[i] * (1 - inputs[i + 1] ** 2)
        pairs.append((delta.T @ x, delta.sum(dim=0)))
    return [*pairs, (error.T @ inputs[-1], error.sum(dim=0))]
""",
    ),
    Mistake(
        "feedback_alignment_backward",
        "a matrix for the last layer, too",
        0,
        "one matrix fewer than layers",
        """
def feedback_alignment_backward(inputs, error, feedback):
    pairs = []
    for i, x in enumerate(inputs):
        delta = error @ feedback[i]
        pairs.append((delta.T @ x, delta.sum(dim=0)))
    return pairs
""",
    ),
    Mistake(
        "feedback_alignment_backward",
        "in place",
        0,
        "changed its argument `inputs`",
        """
def feedback_alignment_backward(inputs, error, feedback):
    pairs = [(error.T @ inputs[-1], error.sum(dim=0))]
    for i in reversed(range(len(feedback))):
        delta = error @ feedback[i] * (1 - inputs[i + 1].pow_(2))
        pairs.insert(0, (delta.T @ inputs[i], delta.sum(dim=0)))
    inputs[0].zero_()
    return pairs
""",
    ),
]

_angle, _angle_otherwise = variants(
    "alignment_angle",
    """
def alignment_angle(ours, theirs):
    one = torch.cat([t.flatten() for t in ours])
    other = torch.cat([t.flatten() for t in theirs])
    lengths = float({lengths})
    if lengths == 0:
        return {nothing}
    cosine = {cut}
    return {angle}
""",
    lengths="one.norm() * other.norm()",
    nothing="90.0",
    cut="max(-1.0, min(1.0, float(one @ other) / lengths))",
    angle="math.degrees(math.acos(cosine))",
)
_BY_HAND = "The lengths are the same; only the cosine changes: cos 60° against cos 0°."
_LENGTHS = "The scalar product is divided by the product of both lengths: is one missing, or are they added?"
_ANGLE = [
    _angle(
        "radians",
        0.3,
        "Those are radians: in degrees it is 180/π times that.",
        angle="math.acos(cosine)",
    ),
    _angle("the cosine", 0.3, "That is the cosine, not the angle.", angle="cosine"),
    _angle(
        "without a sign",
        0.3,
        "Angles over 90° come out as under 90°: the cosine keeps its sign.",
        angle="math.degrees(math.acos(abs(cosine)))",
    ),
    _angle(
        "sine",
        0.3,
        "The product over the lengths is the cosine: acos, not asin.",
        angle="math.degrees(math.asin(cosine))",
    ),
    _angle(
        "the rest of 180",
        0.3,
        "That is 180° less the angle: two vectors of one direction have 0°.",
        angle="180 - math.degrees(math.acos(cosine))",
    ),
    _angle(
        "tangent",
        0.3,
        "The product over the lengths is the cosine: acos, not atan.",
        angle="math.degrees(math.atan(cosine))",
    ),
    _angle(
        "made radians twice",
        0.3,
        "acos gives radians: math.degrees makes degrees of them.",
        angle="math.radians(math.acos(cosine))",
    ),
    _angle(
        "sums of sizes",
        0.3,
        "A length is the root of the sum of squares: these are sums of sizes.",
        lengths="one.abs().sum() * other.abs().sum()",
    ),
    Known(
        "alignment_angle",
        "any zero",
        0.6,
        "There is no angle where *all* numbers of a list are 0, not where one of them is.",
        """
def alignment_angle(ours, theirs):
    one, other = (torch.cat([t.flatten() for t in each]) for each in (ours, theirs))
    if (one == 0).any() or (other == 0).any():
        return 90.0
    cosine = float(one @ other / (one.norm() * other.norm()))
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
""",
    ),
    _angle(
        "squared lengths",
        0.3,
        "A length is the root of the sum of squares: these are squared lengths.",
        lengths="(one @ one) * (other @ other)",
    ),
    _angle(
        "one length",
        0.6,
        _LENGTHS,
        lengths="one @ one",
    ),
    _angle("no lengths", 0.6, _LENGTHS, lengths="1.0"),
    _angle("sum of lengths", 0.6, _LENGTHS, lengths="one.norm() + other.norm()"),
    _angle(
        "cosine of the cosine",
        0.3,
        "That is the cosine of the cosine: from a cosine to its angle goes acos.",
        angle="math.degrees(math.cos(cosine))",
    ),
    _angle(
        "cut off at 0",
        0.3,
        "Angles over 90° come out as 90: cut the cosine off at −1, not at 0.",
        cut="max(0.0, min(1.0, float(one @ other) / lengths))",
    ),
    _angle(
        "zeros at 0", 0.9, "A list of zeros has no direction: 90.0 is asked for.", nothing="0.0"
    ),
    _angle_otherwise(
        "cosine over 1",
        0.8,
        "cut it off at −1 and 1",
        cut="float(one @ other) / lengths",
    ),
    Known(
        "alignment_angle",
        "mean of the tensors'",
        0.6,
        "That is the mean of each tensor's own angle. As one long vector, long tensors count more.",
        """
def alignment_angle(ours, theirs):
    angles = []
    for a, b in zip(ours, theirs, strict=True):
        lengths = float(a.norm() * b.norm())
        cosine = float((a * b).sum()) / lengths if lengths else 0.0
        angles.append(math.degrees(math.acos(max(-1.0, min(1.0, cosine)))))
    return sum(angles) / len(angles)
""",
    ),
    Known(
        "alignment_angle",
        "the first tensor's",
        0.6,
        "That is the angle of the first tensor alone.",
        """
def alignment_angle(ours, theirs):
    a, b = ours[0], theirs[0]
    lengths = float(a.norm() * b.norm())
    cosine = float((a * b).sum()) / lengths if lengths else 0.0
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
""",
    ),
    Known(
        "alignment_angle",
        "mean of the cosines",
        0.6,
        "That takes the mean of each tensor's cosine. As one long vector, long tensors count more.",
        """
def alignment_angle(ours, theirs):
    cosines = []
    for a, b in zip(ours, theirs, strict=True):
        lengths = float(a.norm() * b.norm())
        cosines.append(float((a * b).sum()) / lengths if lengths else 0.0)
    cosine = sum(cosines) / len(cosines)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
""",
    ),
    *(
        Known("alignment_angle", name, 0.7, says, f"share_at_60 = {value}")
        for name, value, says in (
            ("sine of 60", 0.866, f"That is the sine of 60°. {_BY_HAND}"),
            ("by the angle", 1 / 3, f"That is what is left of 90°. {_BY_HAND}"),
            ("60 of 90", 2 / 3, f"That is 60 of 90. {_BY_HAND}"),
            ("60 in radians", -0.952, "That is the cosine of 60 radians: 60° are π/3."),
            ("tangent", 1.732, f"That is the tangent of 60°. {_BY_HAND}"),
            ("per cent", 50, "A share is between 0 and 1."),
            ("squared", 0.25, "The cosine comes in once, not squared."),
        )
    ),
]

_guess, _guess_otherwise = variants(
    "synthetic_gradient",
    """
def guessed_backward(stage, guesser, x, y):
    {first}
    x = {x}
    h = stage(x)
    guess = {guess}
    {backward}
    return {result}
""",
    first="",
    x="x.detach().requires_grad_()",
    guess="guesser(h.detach(), y).detach()",
    backward="h.backward(guess)",
    result="h.detach(), x.grad",
)
_loss, _loss_otherwise = variants(
    "synthetic_gradient",
    """
def guesser_loss(guesser, h, y, dh):
    return {loss}
""",
    loss="F.mse_loss(guesser(h.detach(), y), dh.detach())",
)
_NOTHING_LEFT = (
    "Nothing is left in the stage's .grad: was it emptied at the end, or is it torch.autograd.grad,"
    " which adds to no .grad?"
)
_SYNTHETIC = [
    _guess(
        "through the guess",
        1.9,
        "The gradient goes on through the guess into the guesser: to the stage the guess is a"
        " number. Detach it.",
        guess="guesser(h.detach(), y)",
        backward="(h * guess).sum().backward()",
    ),
    _guess(
        "through the guess and h",
        0.7,
        "The gradient goes through the guesser, too, and comes back into h: the guess is for h as a"
        " number, and is a number itself.",
        guess="guesser(h, y)",
        backward="(h * guess).sum().backward()",
    ),
    _guess(
        "mean over the batch",
        0.7,
        "The guess is the loss's gradient at h as it stands: no mean is taken of it.",
        backward="(h * guess).mean().backward()",
    ),
    _guess(
        "divided by the batch",
        0.7,
        "The guess is the loss's gradient at h as it stands: it is not divided by the batch's size.",
        backward="h.backward(guess / len(x))",
    ),
    _guess(
        "opposite",
        0.7,
        "The guess stands for the gradient, with its sign: the optimizer subtracts.",
        backward="h.backward(-guess)",
    ),
    _guess(
        "mean of h",
        0.7,
        "That goes backward from the mean of h: the guess is not used.",
        backward="h.mean().backward()",
    ),
    _guess(
        "ones",
        0.7,
        "That goes backward from a gradient of ones: the guess is not used.",
        backward="h.backward(torch.ones_like(h))",
    ),
    _guess(
        "gradients of before lost",
        1.65,
        "What the gradients held before is lost: add to them, and leave zero_grad to the caller.",
        first="stage.zero_grad()",
    ),
    _guess(
        "emptied at the end",
        1.65,
        _NOTHING_LEFT,
        result="(h.detach(), x.grad, stage.zero_grad())[:2]",
    ),
    _guess(
        "asked for dx alone",
        1.65,
        _NOTHING_LEFT,
        backward="dx = torch.autograd.grad(h, x, guess)[0]",
        result="h.detach(), dx",
    ),
    _guess(
        "twice",
        0.7,
        "It goes backward twice: every gradient is doubled.",
        backward="h.backward(guess, retain_graph=True)\n    h.backward(guess)",
    ),
    _guess(
        "h with its graph",
        1.9,
        "The h that is returned still has its graph: what the next stages do would reach into this"
        " one.",
        result="h, x.grad",
    ),
    _guess(
        "the guess returned",
        1.65,
        "That is the guess, the gradient at h. Asked for is the one at x, behind the stage.",
        result="(h.detach(), guess) if guess.shape == x.shape else (h.detach(), guess)",
    ),
    _guess_otherwise(
        "x with its graph",
        1.3,
        "Only a leaf keeps its .grad",
        x="x",
    ),
    _guess(
        "x kept, gradient retained",
        1.9,
        "The gradient flows on behind x, into the stage before: detach x first.",
        x="x",
        first="x.retain_grad()",
    ),
    _guess_otherwise(
        "no gradient asked for",
        1.65,
        "Only a leaf keeps its .grad",
        x="x.detach()",
    ),
    _guess_otherwise(
        "no guess",
        0.7,
        "backward needs the gradient at h",
        backward="h.backward()",
    ),
    _guess_otherwise(
        "labels first",
        0.7,
        "the activation first, then the labels",
        guess="guesser(y, h.detach()).detach()",
    ),
    _guess_otherwise("h alone", 0.7, "should have 2 members", result="[h.detach()]"),
    _guess_otherwise(
        "guess of x",
        0.7,
        "guesser and head take h",
        guess="guesser(x.detach(), y).detach()",
    ),
    _loss(
        "target learns",
        1.9,
        "The target learns, too: what came back is a number to the guesser. Detach it.",
        loss="F.mse_loss(guesser(h.detach(), y), dh)",
    ),
    _loss(
        "input learns",
        1.9,
        "The guesser's error flows into the stage, through h: it is a number to the guesser. Detach"
        " it.",
        loss="F.mse_loss(guesser(h, y), dh.detach())",
    ),
    _loss(
        "both learn",
        1.9,
        "Neither h nor dh is detached: the guesser's error flows into the stages.",
        loss="F.mse_loss(guesser(h, y), dh)",
    ),
    _loss(
        "sum",
        1.55,
        "That is the sum over all numbers: asked for is the mean.",
        loss="F.mse_loss(guesser(h.detach(), y), dh.detach(), reduction='sum')",
    ),
    _loss(
        "mean over examples alone",
        1.55,
        "That is the sum over an example's numbers: the mean goes over all of them.",
        loss="(guesser(h.detach(), y) - dh.detach()).pow(2).sum(dim=1).mean()",
    ),
    _loss(
        "half",
        1.55,
        "That is half of it: the mean of the squares, without a 1/2.",
        loss="0.5 * F.mse_loss(guesser(h.detach(), y), dh.detach())",
    ),
    _loss(
        "absolute",
        1.55,
        "That is the mean of the absolute errors: asked for are squares.",
        loss="F.l1_loss(guesser(h.detach(), y), dh.detach())",
    ),
    _loss(
        "root",
        1.55,
        "That is the root of it: asked for is the mean of the squares itself.",
        loss="F.mse_loss(guesser(h.detach(), y), dh.detach()).sqrt()",
    ),
    _loss(
        "exchanged",
        1.55,
        "The guesser sees h, and dh is what it should say: the two are exchanged.",
        loss="F.mse_loss(guesser(dh.detach(), y), h.detach())",
    ),
    _loss(
        "sum of guess and target",
        1.55,
        "The error is the guess less dh, not their sum.",
        loss="(guesser(h.detach(), y) + dh.detach()).pow(2).mean()",
    ),
    _loss(
        "length",
        1.55,
        "That is the length of the error: asked for is the mean of the squares.",
        loss="(guesser(h.detach(), y) - dh.detach()).norm()",
    ),
    _loss(
        "not squared",
        1.55,
        "The errors are not squared: those of opposite signs cancel.",
        loss="(guesser(h.detach(), y) - dh.detach()).mean()",
    ),
    _loss(
        "the guess detached, its target not",
        1.9,
        "The guess is detached, so that nothing reaches the guesser: detach h and dh, not the guess.",
        loss="F.mse_loss(guesser(h, y).detach(), dh)",
    ),
    _loss_otherwise(
        "a number",
        1.55,
        "should be a torch tensor",
        loss="F.mse_loss(guesser(h.detach(), y), dh.detach()).item()",
    ),
    _loss_otherwise(
        "the guess detached",
        1.55,
        "no graph to go backward through",
        loss="F.mse_loss(guesser(h.detach(), y).detach(), dh.detach())",
    ),
]

_alike, _alike_otherwise = variants(
    "local_loss",
    """
def similarity(h):
    {first}
    centred = {centred}
    unit = {unit}
    return {result}
""",
    first="",
    centred="h - h.mean(dim=1, keepdim=True)",
    unit="centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-8)",
    result="unit @ unit.T",
)
_own, _own_otherwise = variants(
    "local_loss",
    """
def local_loss(h, scores, y, share):
    target = similarity({labels})
    matching = {matching}
    prediction = {prediction}
    return {result}
""",
    labels="one_hot(y, scores.shape[1]).to(h.dtype)",
    matching="(similarity(h) - target).pow(2).mean()",
    prediction="cross_entropy(scores, y)",
    result="share * matching + (1 - share) * prediction",
)
_step, _step_otherwise = variants(
    "local_loss",
    """
def local_step(stage, head, x, y, share):
    {first}
    h = stage({x})
    {backward}
    return {result}
""",
    first="",
    x="x.detach()",
    backward="local_loss(h, head(h), y, share).backward()",
    result="h.detach()",
)
_LOCAL = [
    _alike(
        "not centred",
        1.4,
        "The rows are not centred: first take each row's own mean off.",
        centred="h",
    ),
    _alike(
        "centred by column",
        1.4,
        "That takes off the mean of each column, over the batch: it is each *row's* own mean.",
        centred="h - h.mean(dim=0, keepdim=True)",
    ),
    _alike(
        "centred as a whole",
        1.4,
        "That takes off one mean of all numbers: each row has its own.",
        centred="h - h.mean()",
    ),
    _alike(
        "not of length 1",
        1.4,
        "The rows are not of length 1: that is a covariance, not a cosine.",
        unit="centred",
    ),
    _alike(
        "length of the row before",
        1.4,
        "The length is that of the row before it was centred.",
        unit="centred / h.norm(dim=1, keepdim=True).clamp_min(1e-8)",
    ),
    _alike(
        "length of the columns",
        1.4,
        "That divides by the length of each column: rows are examples.",
        unit="centred / centred.norm(dim=0, keepdim=True).clamp_min(1e-8)",
    ),
    _alike(
        "one length",
        1.4,
        "That divides by the length of all rows together: each row gets the length 1.",
        unit="centred / centred.norm()",
    ),
    _alike(
        "spread",
        1.4,
        "A row's standard deviation is not its length: the cosines come out too large.",
        unit="centred / centred.std(dim=1, keepdim=True, unbiased=False).clamp_min(1e-8)",
    ),
    _alike(
        "spread, as torch has it",
        1.4,
        "A row's standard deviation is not its length: a cosine divides by the length.",
        unit="centred / (centred.std(dim=1, keepdim=True) + 1e-8)",
    ),
    _alike(
        "squared length",
        1.4,
        "That divides by the squared length: its root is the length.",
        unit="centred / centred.pow(2).sum(dim=1, keepdim=True).clamp_min(1e-8)",
    ),
    _alike(
        "absolute",
        1.4,
        "The sign is lost: rows that are opposite have −1.",
        result="(unit @ unit.T).abs()",
    ),
    _alike(
        "distance",
        1.4,
        "That is 1 − cosine, a distance: similar rows should have 1.",
        result="1 - unit @ unit.T",
    ),
    _alike_otherwise(
        "features, not examples",
        1.4,
        "should have shape",
        result="unit.T @ unit",
    ),
    _alike_otherwise(
        "0/0",
        1.9,
        "holds NaN",
        unit="centred / centred.norm(dim=1, keepdim=True)",
    ),
    _alike_otherwise(
        "without keepdim",
        1.4,
        "keepdim=True keeps",
        centred="h - h.mean(dim=1)",
    ),
    _alike_otherwise(
        "the library's",
        0,
        "cosine_similarity, which",
        result="F.cosine_similarity(centred[:, None], centred[None], dim=2)",
    ),
    _own(
        "share exchanged",
        1.3,
        "The shares are exchanged: `share` belongs to the matching.",
        result="(1 - share) * matching + share * prediction",
    ),
    _own(
        "sum of pairs",
        1.3,
        "That is the sum over the pairs: asked for is the mean.",
        matching="(similarity(h) - target).pow(2).sum()",
    ),
    _own(
        "mean of rows",
        1.3,
        "That divides by the number of examples: the mean goes over all pairs, N².",
        matching="(similarity(h) - target).pow(2).sum() / len(h)",
    ),
    _own(
        "absolute differences",
        1.3,
        "The differences are not squared.",
        matching="(similarity(h) - target).abs().mean()",
    ),
    _own(
        "norm",
        1.3,
        "That is the norm of the differences: asked for is the mean of their squares.",
        matching="(similarity(h) - target).norm()",
    ),
    _own(
        "labels as numbers, same or not",
        1.3,
        "The target is 1 for the same class and 0 else. Centred one-hot rows have a small negative"
        " number there: S(Y) is `similarity` of the one-hot rows.",
        matching="(similarity(h) - (y[:, None] == y[None]).to(h.dtype)).pow(2).mean()",
    ),
    _own(
        "classes that occur",
        1.3,
        "one_hot(y) has as many columns as the largest label wants: how many classes there are, the"
        " scores say.",
        labels="one_hot(y).to(h.dtype)",
    ),
    _own(
        "scores for labels",
        1.3,
        "The target is S of the one-hot labels, not of the scores.",
        labels="scores",
    ),
    _own(
        "root of the mean",
        1.3,
        "That is the root of the mean: asked for is the mean of the squares itself.",
        matching="(similarity(h) - target).pow(2).mean().sqrt()",
    ),
    _own(
        "1 + share",
        1.3,
        "The prediction has the share 1 − share.",
        result="share * matching + (1 + share) * prediction",
    ),
    _own(
        "ten classes",
        1.3,
        "There are not always ten classes: how many there are, the scores say.",
        labels="one_hot(y, 10).to(h.dtype)",
    ),
    _own(
        "labels as numbers",
        1.3,
        "The labels are no rows of classes: one_hot makes them.",
        labels="y[:, None].to(h.dtype)",
    ),
    _own(
        "the head's labels",
        1.3,
        "The target is made of what the head says; it is made of the labels, y.",
        labels="one_hot(scores.argmax(dim=1), scores.shape[1]).to(h.dtype)",
    ),
    _own(
        "matching of the scores",
        1.3,
        "The similarities are those of the scores: matching looks at h, the stage's output.",
        matching="(similarity(scores) - target).pow(2).mean()",
    ),
    _own(
        "softmax twice",
        1.65,
        "cross_entropy takes the scores and makes its own softmax: it is applied twice.",
        prediction="cross_entropy(scores.softmax(dim=1), y)",
    ),
    _own(
        "prediction summed",
        1.65,
        "The cross-entropy is summed over the examples: its mean is meant.",
        prediction="cross_entropy(scores, y, reduction='sum')",
    ),
    _own(
        "matching alone",
        1.65,
        "The prediction is missing.",
        result="share * matching",
    ),
    _own(
        "prediction in full",
        1.3,
        "The prediction has the share 1 − share.",
        result="share * matching + prediction",
    ),
    _own_otherwise(
        "whole numbers",
        1.3,
        "make them of the dtype of h",
        labels="one_hot(y, scores.shape[1])",
    ),
    _own_otherwise(
        "a number",
        1.3,
        "should be a torch tensor",
        result="(share * matching + (1 - share) * prediction).item()",
    ),
    _step(
        "x with its graph",
        1.75,
        "The stage's loss flows back behind x, into the stage before: detach x first.",
        x="x",
    ),
    _step(
        "the head on x with its graph",
        1.75,
        "The stage's loss flows back behind x, into the stage before: detach x first.",
        backward="local_loss(h, head(stage(x)), y, share).backward()",
    ),
    _step(
        "h with its graph",
        1.75,
        "The h that is returned still has its graph: what the next stages do would reach into this"
        " one.",
        result="h",
    ),
    _step(
        "head on a detached h",
        1.55,
        "The prediction does not reach the stage: is h detached before the head, or the"
        " cross-entropy a plain number, as .item() makes it?",
        backward="local_loss(h, head(h.detach()), y, share).backward()",
    ),
    _step(
        "gradients of before lost",
        1.55,
        "What the gradients held before is lost: add to them, and leave zero_grad to the caller.",
        first="stage.zero_grad(); head.zero_grad()",
    ),
    _step(
        "loss doubled",
        1.55,
        "It goes backward twice: every gradient is doubled.",
        backward="for _ in range(2): local_loss(h, head(h), y, share).backward(retain_graph=True)",
    ),
    _step(
        "no backward",
        1.55,
        "Nothing went backward: no gradient is added.",
        backward="",
    ),
    _step(
        "shares exchanged",
        1.55,
        "The shares are exchanged on the way: `share` goes to local_loss as it is.",
        backward="local_loss(h, head(h), y, 1 - share).backward()",
    ),
    _step(
        "always 0.9",
        1.55,
        "The share is 0.9 whatever `share` says.",
        backward="local_loss(h, head(h), y, 0.9).backward()",
    ),
    _step(
        "the scores",
        1.55,
        "Those are the head's scores: the next stage gets h.",
        result="head(h).detach()",
    ),
]

_waits, _waits_otherwise = variants(
    "utilization",
    """
def waits_for(method, rank, ranks):
    if method == "direct feedback":
        return {direct}
    if method in {locked} and rank {inner}:
        return {behind}
    return {own}
""",
    direct='ranks - 1, "F"',
    locked='("backprop", "no flush")',
    inner="< ranks - 1",
    behind='rank + 1, "B"',
    own='rank, "F"',
)
_used, _used_otherwise = variants(
    "utilization",
    """
def utilization(method, ranks, microbatches, batches, forward=1.0, backward=2.0):
    {first}
    work = {work}
    flushes = batches if method in {flushed} else {once}
    wait = {locked} if method in ("backprop", "no flush") else {unlocked}
    idle = flushes * {ranks} * wait
    return {result}
""",
    first="",
    work="batches * microbatches * (forward + backward)",
    flushed='("backprop", "direct feedback")',
    once="1",
    locked="(forward + backward)",
    unlocked="forward",
    ranks="(ranks - 1)",
    result="work / (work + idle)",
)
_UTILIZATION = [
    _waits(
        "direct feedback from the last backward",
        1.0,
        "The error is there as soon as the last rank's *forward* is done: no need to wait for its"
        " backward.",
        direct='ranks - 1, "B"',
    ),
    _waits(
        "direct feedback from the next",
        1.0,
        "With direct feedback the error comes from the last rank straight to each: the ranks between"
        " have no part in it.",
        direct='(rank + 1, "B") if rank < ranks - 1 else (rank, "F")',
    ),
    _waits(
        "direct feedback from the next forward",
        1.0,
        "With direct feedback the error comes from the last rank straight to each: the ranks between"
        " have no part in it.",
        direct='min(rank + 1, ranks - 1), "F"',
    ),
    _waits(
        "ranks from 1",
        1.0,
        "Ranks are counted from 0: the last one is ranks − 1.",
        direct='ranks, "F"',
    ),
    _waits(
        "direct feedback waits for nobody",
        1.0,
        "With direct feedback a rank needs the output's error, which the last rank has.",
        direct='rank, "F"',
    ),
    _waits(
        "past the end",
        1.0,
        "There is no rank behind the last one: it has the loss as soon as its own forward is done.",
        inner="< ranks",
    ),
    _waits(
        "no flush unlocks",
        1.0,
        "Without a flush the gradient still comes from the next rank: what changes is when the next"
        " batch begins.",
        locked='("backprop",)',
    ),
    _waits(
        "the rank before",
        1.0,
        "Gradients come from the rank behind, rank + 1; forwards come from rank − 1.",
        behind='rank - 1, "B"',
    ),
    _waits(
        "the next forward",
        1.0,
        "The next rank's forward is no gradient: its backward gives one.",
        behind='rank + 1, "F"',
    ),
    _waits(
        "synthetic waits",
        1.0,
        "A synthetic gradient is the rank's own guess: what comes back later trains the guesser, and"
        " no backward waits for it.",
        locked='("backprop", "no flush", "synthetic")',
    ),
    _waits(
        "synthetic waits for a forward",
        1.0,
        "A synthetic gradient is the rank's own guess: what comes back later trains the guesser, and"
        " no backward waits for it.",
        own='(rank + 1, "F") if method == "synthetic" and rank < ranks - 1 else (rank, "F")',
    ),
    _waits(
        "the last rank for all",
        1.0,
        "A backward of backpropagation waits for the next rank's, not for the last one's.",
        behind='ranks - 1, "B"',
    ),
    _waits(
        "own backward",
        1.0,
        "A backward cannot wait for itself: it starts from something that was there before.",
        own='rank, "B"',
    ),
    _waits_otherwise("None", 1.0, "own forward", own="None"),
    _waits_otherwise("kind first", 1.0, "own forward", behind='"B", rank + 1', own='"F", rank'),
    _used(
        "idle",
        0.5,
        "That is the idle share, the bubble: asked for is the rest.",
        result="idle / (work + idle)",
    ),
    _used(
        "idle over work",
        0.5,
        "That is idle time over working time: asked for is working time over all time.",
        result="idle / work",
    ),
    _used(
        "work over idle taken off",
        0.5,
        "That is 1 − idle/work: idle time is a share of *all* time.",
        result="1 - idle / work",
    ),
    _used(
        "no flush flushes",
        1.1,
        "Without a flush the row fills and drains once, not once for each batch.",
        flushed='("backprop", "direct feedback", "no flush")',
    ),
    _used(
        "all flush",
        0.8,
        "That fills and drains with each batch for every method: which ones go on without?",
        once="batches",
    ),
    _used(
        "direct feedback never flushes",
        1.2,
        "Direct feedback ends each batch before the next one begins: its idle time comes with each"
        " batch.",
        flushed='("backprop",)',
    ),
    _used(
        "none flushes",
        0.8,
        "That fills and drains once, whatever the batches: which methods do so with each batch?",
        flushed="()",
    ),
    _used(
        "unlocked wait for backwards",
        0.9,
        "Where no backward waits for another, the last rank waits at the start for forwards alone.",
        unlocked="(forward + backward)",
    ),
    _used(
        "locked wait for forwards",
        1.1,
        "Where a backward waits for the next rank's, ranks idle for (p − 1) backwards, too.",
        locked="forward",
    ),
    _used(
        "locked wait for backwards",
        1.1,
        "The ranks idle for (p − 1) forwards, too: the row has to fill first.",
        locked="backward",
    ),
    _used(
        "p, not p − 1",
        0.5,
        "Idle time is that of ranks − 1, not of all ranks: a rank does not wait for itself.",
        ranks="ranks",
    ),
    _used(
        "one batch's work",
        0.5,
        "The work of one batch alone is counted: there are `batches` of them.",
        work="microbatches * (forward + backward)",
    ),
    _used(
        "times of before",
        0.9,
        "The times of F and B are not used: that is for a backward twice as long as a forward.",
        first="forward, backward = 1.0, 2.0",
    ),
    _used(
        "one micro-batch",
        0.5,
        "The work of one micro-batch a batch is counted: there are `microbatches` of them.",
        work="batches * (forward + backward)",
    ),
    _used(
        "whole numbers",
        0.5,
        "// throws away what is behind the point: divide by /.",
        result="float(work // (work + idle))",
    ),
    _used(
        "work of 3",
        0.9,
        "The work is 3 for each micro-batch, whatever the times: it is forward + backward.",
        work="batches * microbatches * (forward + backward if method in ('backprop', 'no flush') else 3.0)",
    ),
    _used(
        "times exchanged",
        0.9,
        "The times of F and B are exchanged.",
        first="forward, backward = backward, forward",
    ),
    _used(
        "all ranks work",
        0.5,
        "That counts the work of all ranks and the idle time of one.",
        work="ranks * batches * microbatches * (forward + backward)",
    ),
    _used(
        "in the long run",
        1.2,
        "Those are 1 in the long run; for a number of batches the row still fills and drains once.",
        result="1.0 if method in ('synthetic', 'local') else work / (work + idle)",
    ),
    _used_otherwise(
        "a simulator",
        0,
        "which this exercise does without",
        first="from utils.pipeline import unlocked; unlocked.in_turn(ranks, microbatches)",
    ),
]

_WORDS = {
    "same_loss": "backprop",
    "least_held": "local",
    "learns_nothing": "as frozen",
}
_WHICH = [
    *(
        Mistake("which_would_you_use", f"{name}: {word}", 0.75, says, f"{name} = {word!r}")
        for name, replies in REPLIES.items()
        for word, says in replies.items()
    ),
    *(
        Known("which_would_you_use", f"fewer: {name}", 0.75, says, f"fewer_numbers = {value}")
        for name, value, says in (
            (
                "the wrong way round",
                1000 / 4096,
                "That is the other way round: how many times fewer.",
            ),
            ("difference", 3096, "That is the difference: how many *times* fewer is a ratio."),
            (
                "all of it",
                4096,
                "That is as if one number were sent back: an error has one a class.",
            ),
            (
                "classes",
                1000,
                "That is what direct feedback sends. Compare it with backpropagation.",
            ),
            ("per cent", 409.6, "That is in per cent: how many *times* fewer."),
            ("three ranks'", 12.288, "That is over three ranks: asked for is one."),
            ("by a product", 4096000, "That is the product: how many times fewer is a ratio."),
        )
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_FEEDBACK, *_ANGLE, *_SYNTHETIC, *_LOCAL, *_UTILIZATION, *_WHICH],
)
