"""Checks of lab 05: convolution and pooling, forward and backward, and LeNet."""

import numpy as np
import torch
from torch import Tensor

from grading.answer.exercise import exercise, part
from grading.answer.fault import Fault
from grading.answer.student import call_again, probe, twice
from grading.checks import expect
from grading.checks.answers import convolution as answers

MISTAKES = answers.MISTAKES

# Not all of torch: the lab's own `unfold`, which stands in for a missing `im2col`, uses it.
CONVOLUTIONS = [
    "torch.conv2d",
    "torch.nn.functional.conv2d",
    "torch.nn.Conv2d",
    "torch.nn.grad",
    "torch.conv_transpose2d",
    "torch.nn.functional.conv_transpose2d",
    "torch.nn.ConvTranspose2d",
    "torch.nn.functional.fold",
    "torch.nn.Fold",
    "torch.autograd",
    "scipy",
]
# NumPy's own ways to all windows at once.
WINDOWS = ["numpy.lib.stride_tricks", "scipy"]


@exercise("output_size", points=1)
def output_size(student, rng):
    def check(*cases):
        """cases: (moves, remainder, stride, padding): for how many strides there is room."""
        asked = []
        for i, (moves, remainder, stride, padding) in enumerate(cases):
            k = int(2 * padding + 2 + i % 2 + 2 * rng.integers(4))  # even and odd ones
            n = k + moves * stride + remainder - 2 * padding
            asked.append({"n": n, "k": k, "stride": stride, "padding": padding})
        cases = [tuple(given.values()) for given in asked]
        told = expect.recognised_by_all(
            student, MISTAKES, "output_size", cases, rtol=0, atol=0, only=False
        )
        exact = {"what": "the size", "rtol": 0, "atol": 0}
        whole = "A size is a whole number: round down with //, which gives an int."
        with told:
            for given in asked:
                one = expect.answers(student, MISTAKES, "output_size", given, **exact)
                kind = type(one) is int or isinstance(one, np.integer)
                message = "The size is right, but no int."
                expect.that(kind, message, given=given, diagnosis=whole, kind="dtype")

    def moves():
        return int(rng.integers(12, 60))

    with part("with stride 1 and without padding", points=0.2):
        check(*((moves(), 0, 1, 0) for _ in range(3)), (0, 0, 1, 0))
    with part("the stride, with and without a remainder", points=0.2):
        check(
            (moves(), 0, 1, 0),
            (moves(), 2, 3, 0),
            (moves(), 0, 2, 0),
            (moves(), 3, 5, 0),
            (0, 2, 4, 0),
        )
    with part("the padding", points=0.2):
        rests = [(moves(), rest, 3, p) for rest in range(3) for p in (1, 2)]
        few = (0, 0, 1, 1), (0, 1, 2, 3)  # one place; on the image alone there is none
        check((moves(), 0, 1, 2), (moves(), 1, 3, 2), *rests, *few)
    by_hand = {
        "alexnet_size": "Draw the row of pixels, put the filter to the left, and count its moves.",
        "same_padding": "With stride 1: each pixel of the image is the centre of one place.",
    }
    for name, how in by_hand.items():
        known = dict(MISTAKES.written("output_size", name))
        with part(name, points=0.2):
            expect.answer(student, name, getattr(answers, name), known, how, rtol=1e-6)


def case(rng, x, w, stride=1, padding=0):
    """What a convolution is given, random, for the shapes of x and w; in x no number is whole."""
    b = rng.choice(np.arange(-9, 9), size=w[0], replace=False) + 0.25  # no two alike
    x = rng.integers(-9, 10, size=x) + rng.choice((0.25, 0.5), size=x)
    w = rng.integers(-9, 10, size=w).astype(float)
    return {"x": x, "w": w, "b": b, **options(stride, padding)}


def options(stride, padding):
    """Both, without those at the end that have their defaults."""
    given = {"stride": stride, "padding": padding}
    return given if padding else {"stride": stride} if stride > 1 else {}


# What NumPy's words mean here: (a piece of them, the sentence).
IN_LOOPS = (
    *(
        (
            empty,
            "A window leaves the image: is it cut from the padded one, padding on both sides, do P and"
            " Q count the padding once, and does P belong to H, Q to W?",
        )
        for empty in (",0) (", ",0,")
    ),
    (
        "could not be broadcast together",
        "The window must have the filter's shape: R rows of S columns in each channel, cut from the"
        " padded image. Does P belong to H, the rows, and Q to W?",
    ),
    (
        "out of bounds",
        "p and q count places, to P − 1 and Q − 1: the pixels begin at p·stride, q·stride.",
    ),
    ("negative dimensions", "P or Q is negative: output_size takes n, the image's size, before k."),
    ("modulo by zero", "The stride arrives as 0: are stride and padding exchanged on the way?"),
    (
        "setting an array element",
        "At one place the sum of window times filter is one number, and so is b[k].",
    ),
)


def bias_alone(given):
    """Of a broadcast that fails because b, of shape (K,), meets the last axis."""
    why = "b has one number a map and meets y's columns here: give it the shape (K, 1, 1), or add b[k]."
    return ((f") ({len(given['b'])},)", why),)


@exercise("conv2d_loops", points=1.5, forbids={"conv2d_loops": ["torch", *WINDOWS]})
def conv2d_loops(student, rng):
    def check(*cases):
        for given in (case(rng, *one) for one in cases):
            with (
                expect.otherwise(shape="y is (N, K, P, Q): P comes from H and R, Q from W and S."),
                expect.explained(*bias_alone(given), *IN_LOOPS),
            ):
                expect.answers(student, MISTAKES, "conv2d_loops", given, what="y")

    with part("one image, one channel, one filter", points=0.4):
        check(
            ((1, 1, 4, 4), (1, 1, 2, 2)), ((1, 1, 4, 5), (1, 1, 3, 2)), ((1, 1, 2, 5), (1, 1, 2, 3))
        )
    with part("channels are summed; filters, biases and images stay apart", points=0.4):
        check(
            ((2, 2, 4, 5), (2, 2, 2, 3)), ((2, 5, 4, 4), (4, 5, 2, 2)), ((3, 1, 3, 3), (2, 1, 1, 1))
        )
    with part("the stride, along rows and columns", points=0.3):
        check(((1, 1, 4, 6), (1, 1, 2, 3), 2), ((1, 1, 5, 4), (1, 1, 2, 2), 2))
        check(((2, 2, 9, 11), (2, 2, 3, 2), 3))
    with part("the padding, on all sides", points=0.3):
        check(((1, 1, 3, 4), (1, 1, 2, 2), 1, 2), ((1, 1, 3, 4), (1, 1, 2, 2), 1, 1))
        check(((2, 2, 4, 3), (2, 2, 3, 2), 1, 2))
    with part("both together", points=0.1):
        check(((1, 1, 4, 3), (1, 1, 3, 2), 2, 1), ((2, 2, 5, 6), (3, 2, 3, 4), 2, 2))


@exercise("im2col", points=1.25, forbids={"im2col": ["torch", *WINDOWS]})
def im2col(student, rng):
    def check(*cases):
        for shape, kernel, stride, padding in cases:
            x = rng.permutation(int(np.prod(shape))).reshape(shape) + 0.5
            given = {"x": x, "kernel": kernel, **options(stride, padding)}
            with expect.explained(*answers.in_columns(shape, kernel, stride, padding)):
                expect.answers(student, MISTAKES, "im2col", given)

    with part("one channel: each window a column", points=0.4):
        check(((1, 1, 3, 4), (2, 2), 1, 0), ((1, 1, 5, 4), (2, 3), 1, 0))
    with part("channels and images", points=0.3):
        check(((1, 2, 3, 4), (2, 2), 1, 0), ((3, 2, 3, 5), (2, 3), 1, 0))
    with part("stride and padding", points=0.3):
        check(((1, 1, 6, 7), (2, 3), 2, 0), ((1, 2, 3, 4), (2, 3), 1, 1))
        check(((2, 2, 5, 8), (3, 2), 3, 2), ((2, 1, 3, 2), (3, 2), 2, 0))
    with part("im2col_growth", points=0.25):
        how = "How many places are there, for each pixel one? How many values has a window?"
        known = dict(MISTAKES.written("im2col", "im2col_growth"))
        expect.answer(student, "im2col_growth", answers.im2col_growth, known, how, rtol=1e-3)


IN_PRODUCT = (
    (
        "cannot reshape array",
        "Other places came out than P·Q: do stride and padding reach the columns, and P and Q, too,"
        " and is the kernel (R, S)?",
    ),
    (
        "mismatch in its core dimension",
        "The product is (K, C·R·S) @ (N, C·R·S, P·Q): one filter in each row.",
    ),
    *(
        (piece, "im2col takes the stride before the padding: are they exchanged?")
        for piece in ("ZeroDivisionError", "must not be zero", "cannot be zero")
    ),
    ("cannot unpack non-iterable", "im2col takes the kernel as a pair, (R, S)."),
)


def in_product(x, w, b, stride=1, padding=0):
    """Of a broadcast or a reshape that fails in conv2d, by the shapes in NumPy's words."""
    K, rows, size = w.shape[0], w[0].size, answers.conv2d(x, w, b, stride, padding).size
    channels = "A filter has a weight for every channel: w.reshape(K, -1) is (K, C·R·S)."
    along = (
        "There are K times too many numbers: product and bias lie along different axes. By `@` the"
        " product is (N, K, P·Q), and the bias meets it as (K, 1)."
    )
    product = "`*` multiplies number by number: the product of two matrices is `@`."
    bias = "The product is (N, K, P·Q), so the bias needs the shape (K, 1)."
    C, R, S = w.shape[1:]
    square = "The windows of these columns are square: im2col takes the kernel as a pair, (R, S)."
    sides = [side for side in (R, S) if R != S]
    return (
        *((f"(size {C * side * side} is different from {rows})", square) for side in sides),
        *([(f"into shape ({K},{w[0, 0].size})", channels)] if len(w[0]) > 1 else []),
        *([(f"array of size {K * size} into shape ({len(x)},", along)] if K > 1 else []),
        (f"shapes ({K},{rows}) (", product),
        *((f") {shape}", bias) for shape in (f"({K},)", f"(1,{K})")),
        *IN_PRODUCT,
    )


@exercise(
    "conv2d",
    points=0.75,
    forbids={"conv2d": [*CONVOLUTIONS, *WINDOWS, "conv2d_loops"]},
    stands_on=["im2col"],
)
def conv2d(student, rng):
    def check(*cases):
        for given in (case(rng, *one) for one in cases):
            with (
                expect.otherwise(shape="y is (N, K, P, Q): P comes from H and R, Q from W and S."),
                expect.explained(*in_product(**given)),
            ):
                expect.answers(student, MISTAKES, "conv2d", given, what="y")

    with part("filters, channels and images", points=0.4):
        check(((1, 1, 4, 5), (1, 1, 2, 3)), ((2, 2, 4, 5), (2, 2, 2, 3)))
        check(((3, 2, 5, 4), (4, 2, 3, 2)), ((2, 4, 3, 4), (3, 4, 2, 3)))
    with part("any stride and padding", points=0.35):
        check(((1, 2, 7, 6), (2, 2, 2, 3), 2), ((1, 2, 4, 3), (2, 2, 3, 2), 1, 1))
        check(*[shapes(rng) for _ in range(6)])


def shapes(rng, least_padding=0):
    """(shape of x, shape of w, stride, padding)"""
    N, C, K, R, S, stride = (int(n) for n in rng.integers(1, 5, size=6))
    H, W = R + int(rng.integers(2, 8)), S + int(rng.integers(2, 8))
    return (N, C, H, W), (K, C, R, S), stride, int(rng.integers(least_padding, 3))


def in_backward(dy, x, w, stride=1, padding=0):
    """Of a broadcast or a product that fails in conv2d_backward, by the shapes in NumPy's words."""
    (N, C, H, W), K, rows, places = x.shape, len(w), w[0].size, dy[0, 0].size
    small = (
        "The image of zeros is too small: the slices belong to the padded one, so its shape is (N,"
        " C, H + 2·padding, W + 2·padding). The padding is cut off at the end."
    )
    axes = (
        "For dw, the columns' last two axes are swapped: transpose(0, 2, 1). `.T` turns all three"
        " around."
    )
    filters = "For dx, the filters are transposed: w.reshape(K, -1).T, which is (C·R·S, K)."
    around = "`.T` turns all four axes of w around: w.reshape(K, -1).T is (C·R·S, K)."
    as_x = [(f"shapes ({N},{C},{H},{W}) (", small), (f"shapes ({N},{C},{H - 1},{W}) (", small)]
    return (
        *(as_x if padding else []),
        (f"{w.T.shape}->".replace(" ", ""), around),
        (
            "remapped shapes",
            "The images of the two sides do not agree: dY is dy.reshape(N, K, P·Q).",
        ),
        (f"(size {rows} is different from {places})", axes),
        (f"(size {K} is different from {rows})", filters),
        *IN_BACKWARD,
    )


IN_BACKWARD = (
    (
        "broadcast",
        "The slices are those of im2col, on an image of zeros with the padding: is it as large, and"
        " is each slice P by Q?",
    ),
    (
        "mismatch in its core dimension",
        "For dw, (K, P·Q) meets (P·Q, C·R·S): do stride and padding reach im2col, with the kernel"
        " (R, S)? For dx, (C·R·S, K) meets (K, P·Q).",
    ),
)
THREE = ("dx", "dw", "db")


@exercise(
    "conv2d_backward",
    points=2,
    forbids={"conv2d_backward": [*CONVOLUTIONS, *WINDOWS]},
    stands_on=["im2col"],
)
def conv2d_backward(student, rng):
    def check(name, *cases):
        at, whole = THREE.index(name), "the result (dx, dw, db)"
        for given in (case(rng, *one) for one in cases):
            y = answers.conv2d(**given)
            given = {"dy": rng.integers(-9, 10, size=y.shape) + 0.5, **given}
            del given["b"]
            right = answers.conv2d_backward(**given)[at]
            wrong = MISTAKES.call("conv2d_backward", **given)
            with expect.explained(*in_backward(**given)):
                got = twice(student).conv2d_backward(*given.values())
            three = expect.items(got, 3, what=whole, given=given)
            knows = ((why, each[at]) for why, each in wrong)
            expect.close(three[at], right, what=name, given=given, knows=knows)
            expect.unchanged(student, given=given)
            again = expect.items(call_again(student), 3, what=whole)
            expect.close(again[at], right, what=f"{name} of a second call", given=given)

    plain = (
        ((1, 1, 3, 4), (1, 1, 2, 2)),
        ((3, 2, 4, 5), (2, 2, 2, 3)),
        ((2, 3, 5, 4), (4, 3, 3, 2)),
    )
    strided = (((1, 2, 7, 8), (2, 2, 3, 3), 2), ((2, 1, 8, 7), (2, 1, 3, 2), 3))
    padded = (((1, 1, 3, 4), (1, 1, 3, 2), 1, 1), ((2, 2, 5, 6), (3, 2, 3, 4), 2, 2))
    with part("db: a bias touches all of its map, in every image", points=0.3):
        check("db", *plain[::-1], strided[1])
    with part("dw: each weight, over all places and images", points=0.6):
        check("dw", *plain, *strided, *padded)
    with part("dx: a pixel's windows add up", points=0.5):
        check("dx", *plain)
    with part("dx with a stride", points=0.3):
        check("dx", *strided)
    with part("dx with padding", points=0.3):
        check("dx", *padded, *[shapes(rng, 1) for _ in range(4)])


@exercise(
    "max_pool2d",
    points=1.25,
    forbids={"max_pool2d": ["torch", *WINDOWS], "max_pool2d_backward": ["torch", *WINDOWS]},
)
def max_pool2d(student, rng):
    def image(*shape):
        """No two values alike; some blocks have only negative ones."""
        count = int(np.prod(shape))
        return ((rng.permutation(count) - 0.7 * count).round() + 0.5).reshape(shape)

    def forward(*cases):
        for x, size in cases:
            with expect.otherwise(shape="y has H // size rows and W // size columns."):
                given = {"x": x, "size": size}
                expect.answers(student, MISTAKES, "max_pool2d", given, what="y")

    def backward(*cases):
        for x, size in cases:
            (N, C, H, W), asked = x.shape, {"what": "dx", "exercise": "max_pool2d"}
            dy = rng.integers(2, 10, size=(N, C, H // size, W // size)) + 0.5  # cut, it is not 1
            dy *= rng.choice((-1, 1), size=dy.shape)
            one = "argmax() without an axis is one place for all: argmax(axis=2) of (N, C, size·size)."
            zeros = "A block lies outside dx: begin with zeros of the shape of x."
            said = ("invalid index to scalar", one), (f"into shape ({N},{C},{size},0)", zeros)
            beyond = (
                "A block lies outside x: there are H // size rows of blocks, of W // size each."
            )
            said += ("same number of dimensions", one), ("empty sequence", beyond)
            said += (
                ("value array of shape", "The values have an axis less: dy[:, :, p, q, None]."),
            )
            with expect.otherwise(shape="dx has the shape of x."), expect.explained(*said):
                given = {"dy": dy, "x": x, "size": size}
                expect.answers(student, MISTAKES, "max_pool2d_backward", given, **asked)

    shapes = (((1, 1, 4, 4), 2), ((2, 3, 4, 6), 2), ((2, 3, 3, 9), 3), ((1, 2, 2, 3), 1))
    with part("the largest value of each block", points=0.4):
        forward(*((image(*shape), size) for shape, size in shapes))
        forward((-1 - abs(image(1, 1, 2, 4)), 2))
    with part("the winner gets the gradient, the others nothing", points=0.45):
        backward(*((image(*shape), size) for shape, size in shapes))
    with part("what is left over is dropped, and gets no gradient", points=0.2):
        first = (
            "Rows and columns that are left over are dropped first: x[:, :, : P·size, : Q·size]."
        )
        for shape, size in (((1, 1, 5, 4), 2), ((2, 2, 7, 5), 3), ((1, 2, 3, 8), 3)):
            x, (H, W) = image(*shape), shape[2:]
            x -= x.max() + 0.75
            x[:, :, : H - H % size, : W - W % size] *= -1  # what is left over is negative
            with expect.explained(("cannot reshape array", first)):
                forward((x, size), (-x, size))
                backward((x, size), (-x, size))
    with part("of equal values, the first wins", points=0.2):
        low, high = sorted(rng.choice(np.arange(-9, 9), size=2, replace=False) + 0.5)
        three = np.array([[high, high], [high, low]])
        across = np.array([[low, high], [high, low]])  # the one as one reads, the other by columns
        backward((three.reshape(1, 1, 2, 2), 2), (across.reshape(1, 1, 2, 2), 2))
        backward((np.repeat(image(2, 3, 2, 4), 2, axis=3), 2))


@exercise("receptive_field", points=0.75)
def receptive_field(student, rng):
    how = "Draw one row of each layer, and which units below each unit is connected to."
    for name in ("seen_by_conv2", "seen_by_pool2", "layers_of_3x3"):
        with part(name, points=0.25):
            known = dict(MISTAKES.written("receptive_field", name))
            expect.answer(student, name, getattr(answers, name), known, how, rtol=1e-6)


@probe
def shapes_of(learner):
    """The shapes of its parameters; a lazy layer takes its own from the first image."""
    import torch

    model = learner.LeNet().eval()
    if getattr(type(model), "forward", None) is torch.nn.Module.forward:
        raise TypeError("the class has no method of that name: forward")
    if any(torch.nn.parameter.is_lazy(p) for p in model.parameters()):
        model(torch.zeros(1, 1, 28, 28))
    return [tuple(p.shape) for p in model.parameters()]


@probe
def forward(learner, parameters, x, y):
    """The scores of a LeNet with these parameters, and the loss's gradient in each of them when it
    is in training mode."""
    import torch

    model = learner.LeNet().eval()
    if any(torch.nn.parameter.is_lazy(p) for p in model.parameters()):
        model(x)
    own = list(model.parameters())
    with torch.no_grad():
        for parameter, value in zip(own, parameters, strict=True):
            parameter.copy_(value)
    scores = model(x)
    if not getattr(scores, "requires_grad", False) or scores.shape != (len(x), 10):
        return scores, []
    loss = torch.nn.functional.cross_entropy(model.train()(x), y)
    gradients = torch.autograd.grad(loss, own, allow_unused=True, materialize_grads=True)
    return scores, list(gradients)


SHAPES = answers.shapes(answers.LeNet)
# What PyTorch's words mean here.
IN_LENET = (
    ("(1x1600 and", "`flatten()` merges the images, too: `flatten(1)` keeps them apart."),
    ("(400x4 and", "The images come first, (N, 400): `flatten(1)` keeps them apart."),
    ("(320x5 and", "The maps are not flattened before linear1: `flatten(1)`."),
    *(
        (piece, "Print x.shape after each layer, and compare it with the table.")
        for piece in (
            "cannot be multiplied",
            "expected input",
            "size mismatch",
            "invalid for input",
        )
    ),
    ("must be Tensor, not", "A module is made here and not called: nn.ReLU()(x), or F.relu(x)."),
    ("no method of that name", "`LeNet` has no `forward`: is its name spelt so, within the class?"),
)
TEN = "Ten scores for each image go out, as linear3 makes them."
CHANCE = (
    "Chance is at work: the same images and parameters gave other scores a second time. Is there a"
    " dropout, or a layer that forward makes anew?"
)
GIVEN = "For random images and random parameters."


@exercise("LeNet", points=1.5, time_limit=30)
def LeNet(student, rng):
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    parameters = [parameter(shape, generator) for shape in SHAPES]
    positive = [positive_parameter(shape, generator) for shape in SHAPES]
    x = torch.randn(4, 1, 28, 28, generator=generator)
    y = torch.randint(10, (4,), generator=generator)

    def reply(parameters, x, y):
        """Scores and gradients. The shapes are a claim: they tell what is wrong, no more."""
        with expect.explained(*IN_LENET):
            shapes = shapes_of(student)
        why = (
            "Compare with the table: a convolution's weights are (filters, channels, 5, 5), a"
            " linear layer's (units, inputs), and each has its biases."
        )
        given = "The shapes of the parameters, in the order in which their layers were made."
        knows = MISTAKES.values("LeNet", lambda own: answers.shapes(own.LeNet), "LeNet")
        with expect.otherwise(why):
            expect.equal(shapes, SHAPES, what="the list of shapes", given=given, knows=knows)
        with expect.explained(*IN_LENET):
            got = forward(student, parameters, x, y)
        return expect.items(got, 2, what="the reply")

    def check(parameters, x, y):
        right = answers.scores(answers.LeNet, parameters, x)
        of = lambda own: answers.scores(own.LeNet, parameters, x)  # noqa: E731
        knows = MISTAKES.values("LeNet", of, "LeNet")
        got, close = reply(parameters, x, y)[0], {"rtol": 1e-3, "atol": 1e-4}
        try:
            with expect.otherwise(shape=TEN):
                expect.close(got, right, what="the scores", given=GIVEN, knows=knows, **close)
        except Fault as fault:
            if fault.kind == "value":
                again = reply(parameters, x, y)[0]
                if not (type(again) is Tensor and torch.equal(got, again)):
                    fault.diagnosis = CHANCE
            raise

    with part("the layers: where all is positive, and ReLU changes nothing", points=0.3):
        check(positive, x.exp(), y)
    with part("forward: the scores", points=0.5):
        check(parameters, x, y)
        check(parameters, x[:1], y[:1])
    with part("every parameter can learn", points=0.2):
        scores, gradients = reply(parameters, x, y)
        with expect.otherwise(shape=TEN):
            expect.form(scores, torch.zeros(4, 10), what="the scores", given=GIVEN)
        begin = "If the scores are not right either, begin there; if they are, is there a dropout?"
        with expect.otherwise(begin):
            learnt(gradients, answers.gradients(parameters, x, y))
    with part("lenet_parameters", points=0.25):
        how = "Layer by layer: weights of one filter or unit, plus its bias, times how many."
        known = dict(MISTAKES.written("LeNet", "lenet_parameters"))
        expect.answer(student, "lenet_parameters", answers.lenet_parameters, known, how, rtol=1e-6)
    with part("largest_layer", points=0.25):
        few = "A convolution shares its weights among all places. How many are there in linear1?"
        wrong = {
            "conv1": few,
            "conv2": few,
            "linear2": "Each linear layer has inputs × outputs weights. Compare it with linear1.",
            "linear3": "The last layer has only ten outputs.",
        }
        expect.choice(student, "largest_layer", answers.largest_layer, wrong)


def parameter(shape, generator):
    """Random, of a size that keeps numbers near 1 all through the network."""
    inputs = int(np.prod(shape[1:])) or 1
    scale = (2 / inputs) ** 0.5 if len(shape) > 1 else 0.5
    return scale * torch.randn(shape, generator=generator)


def positive_parameter(shape, generator):
    """Positive and of very different sizes, or all the scores would be much alike."""
    inputs = int(np.prod(shape[1:])) or 1
    return torch.exp(2 * torch.randn(shape, generator=generator)) / (7 * inputs)


def learnt(gradients, right):
    """gradients: [] where the scores depend on no parameter, else one for each."""
    cut = "A `detach`, `no_grad`, `argmax` or a detour over NumPy on the way cuts the graph."
    message = "The scores hang on no parameter: nothing can be learnt."
    expect.that(gradients != [], message, given=GIVEN, diagnosis=cut)
    layers = ("conv1", "conv2", "linear1", "linear2", "linear3")
    names = [
        name for layer in layers for name in (f"the weights of {layer}", f"the biases of {layer}")
    ]
    expect.items(gradients, len(names), what="the list of gradients")
    for got, gradient, name in zip(gradients, right, names, strict=True):
        none = {"No gradient gets here. " + cut: 0 * gradient}
        what, close = f"the gradient in {name}", {"rtol": 1e-3, "atol": 1e-4}
        expect.close(got, gradient, what=what, given=GIVEN, knows=none, **close)
