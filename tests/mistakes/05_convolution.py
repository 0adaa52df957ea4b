"""Lab 05: what people get wrong about convolution, pooling and their gradients."""

from grading.checks.answers import convolution as answers
from tests.mistakes import Mistake, variants

_im2col = variants(
    "im2col",
    """
def im2col(x, kernel, stride=1, padding=0):
    {first}
    x = np.pad(x, ((0, 0), (0, 0), {pad}, {pad}))
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = {P}, {Q}
    columns = np.empty((N, C, R, S, P, Q))
    for r in range(R):
        for s in range(S):
            columns[:, :, r, s] = x[:, :, {rows}, {columns}]
    return {result}
""",
    first="",
    pad="(padding, padding)",
    P="(H - R) // stride + 1",
    Q="(W - S) // stride + 1",
    rows="r : r + stride * P : stride",
    columns="s : s + stride * Q : stride",
    result="columns.reshape(N, C * R * S, P * Q)",
)
_FLAT = "reshape(N, C * R * S, P * Q)"
_ENDS = "len(range(0, {}, stride))"
_IM2COL = [
    Mistake(
        "im2col",
        "the library's",
        0,
        "uses torch.from_numpy and torch.nn.functional.unfold",
        """
def im2col(x, kernel, stride=1, padding=0):
    return unfold(x, kernel, stride, padding)
""",
    ),
    _im2col(
        "windows as rows",
        0.25,
        "a column is one window",
        result="columns.reshape(N, C * R * S, P * Q).transpose(0, 2, 1)",
    ),
    _im2col(
        "channels last",
        0.65,
        "The channels come last",
        result=f"columns.transpose(0, 2, 3, 1, 4, 5).{_FLAT}",
    ),
    _im2col(
        "only reshaped",
        0.25,
        "reshape does not move values",
        result=f"columns.transpose(0, 1, 4, 5, 2, 3).{_FLAT}",
    ),
    _im2col(
        "s before r",
        0.25,
        "s changes faster",
        result=f"columns.swapaxes(2, 3).{_FLAT}",
    ),
    _im2col(
        "p before q",
        0.25,
        "q changes faster",
        result=f"columns.swapaxes(4, 5).{_FLAT}",
    ),
    Mistake(
        "im2col",
        "numbered by P",
        0.25,
        "a row of places is Q long",
        """
def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    columns = np.zeros((N, C * R * S, P * Q))
    for p, q in np.ndindex(P, Q):
        top, left = p * stride, q * stride
        columns[..., p * P + q] = x[:, :, top : top + R, left : left + S].reshape(N, -1)
    return columns
""",
    ),
    _im2col("whole numbers", 0.25, "fractions are cut off", result=f"columns.{_FLAT}.astype(int)"),
    _im2col("slices too long", 0.95, "where does it end", rows="r : r + P : stride"),
    _im2col("not merged", 0.25, "not merged yet", result="columns"),
    _im2col(
        "windows one apart",
        0.95,
        "they are one pixel apart",
        rows="r : r + P",
        columns="s : s + Q",
    ),
    _im2col(
        "rows strided only",
        0.95,
        "for the rows only",
        Q="W - S + 1",
        columns="s : s + Q",
    ),
    _im2col("no padding", 0.95, "The padding is missing", first="padding = 0"),
    _im2col("one side", 0.95, "at the top and left only", pad="(padding, 0)"),
    _im2col(
        "last place missing",
        0.25,
        "a range leaves its end out",
        P=_ENDS.format("H - R"),
        Q=_ENDS.format("W - S"),
    ),
    Mistake("im2col", "one side of it", 1.0, "one side of the filter", "im2col_growth = 5"),
    Mistake("im2col", "no overlap", 1.0, "without overlap", "im2col_growth = 1"),
    Mistake("im2col", "for each filter", 1.0, "all six share them", "im2col_growth = 150"),
]

_backward = variants(
    "conv2d_backward",
    """
def conv2d_backward(dy, x, w, stride=1, padding=0):
    {first}
    (N, C, H, W), (K, _, R, S), (P, Q) = x.shape, w.shape, dy.shape[2:]
    dY = dy.reshape(N, K, P * Q)
    columns = im2col(x, (R, S), stride, padding)
    each = dY @ columns.transpose(0, 2, 1)
    dcolumns = ({filters}.reshape(K, -1).T @ dY).reshape(N, C, R, S, P, Q)
    dx = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    for r in range(R):
        for s in range(S):
            dx[:, :, {rows}, {columns}] {add} dcolumns[:, :, r, s]
    db = {db}
    dw = {dw}
    dx = dx[{cut}]
    return {result}
""",
    first="",
    filters="w",
    rows="r : r + stride * P : stride",
    columns="s : s + stride * Q : stride",
    add="+=",
    db="dy.sum(axis=(0, 2, 3))",
    dw="each.sum(axis=0).reshape(w.shape)",
    cut=":, :, padding : padding + H, padding : padding + W",
    result="dx, dw, db",
)
_BACKWARD = [
    Mistake(
        "conv2d_backward",
        "PyTorch's",
        0,
        "uses torch.nn.grad.conv2d_input",
        """
def conv2d_backward(dy, x, w, stride=1, padding=0):
    dx = nn.grad.conv2d_input(x.shape, torch.from_numpy(w), torch.from_numpy(dy), stride, padding)
    return dx.numpy(), np.zeros_like(w), dy.sum(axis=(0, 2, 3))
""",
    ),
    _backward("dw onto w", 1.4, "dw begins at 0", dw="w + each.sum(axis=0).reshape(w.shape)"),
    _backward("dw of w", 1.4, "the pixel that the weight met", dw="db[:, None, None, None] * w"),
    _backward("columns' gradients", 0.9, "add them back", result="w.reshape(K, -1).T @ dY, dw, db"),
    _backward(
        "first channel", 0.9, "Only the first channel", add="+= np.eye(C)[0][:, None, None] *"
    ),
    _backward(
        "whole numbers",
        0,
        "fractions are cut",
        result="dx.astype(int), dw.astype(int), db.astype(int)",
    ),
    _backward("db for each image", 1.7, "not summed over the images", db="dy.sum(axis=(2, 3))"),
    _backward("db for each place", 1.7, "not summed over the places", db="dy.sum(axis=0)"),
    _backward("db a mean", 1.7, "mean over images and places", db="dy.mean(axis=(0, 2, 3))"),
    _backward("dw for each image", 1.4, "and still flat", dw="each"),
    _backward("dw a mean", 1.4, "by N once too often", dw="each.mean(axis=0).reshape(w.shape)"),
    _backward("dw of one image", 1.4, "Only the first image", dw="each[0].reshape(w.shape)"),
    _backward("dw flat", 1.4, "still a matrix", dw="each.sum(axis=0)"),
    _backward(
        "dw flipped",
        1.4,
        "dw needs no flip",
        dw="each.sum(axis=0).reshape(w.shape)[:, :, ::-1, ::-1]",
    ),
    _backward("all divided by N", 0, "divided by N once too often", first="dy = dy / len(dy)"),
    _backward("overwritten", 0.9, "overwrite each other", add="="),
    _backward("flipped", 0.9, "The filter is flipped", filters="w[:, :, ::-1, ::-1]"),
    _backward("padding kept", 1.7, "The padding is still there", cut="..."),
    _backward("padding cut at the end", 1.7, "none at the beginning", cut=":, :, :H, :W"),
    _backward("cut at one side", 1.7, "at the top and left only", cut=":, :, padding:, padding:"),
    _backward("stride", 1.4, "put back one pixel apart", rows="r : r + P", columns="s : s + Q"),
    _backward(
        "empty slice", 1.2, "is empty for padding 0", cut=":, :, padding:-padding, padding:-padding"
    ),
    _backward("other order", 0, "the order is (dx, dw, db)", result="dw, db, dx"),
    _backward(
        "images mixed",
        0.9,
        "images stay apart",
        result="np.repeat(dx.sum(axis=0, keepdims=True), N, axis=0), dw, db",
    ),
]

_pool = variants(
    "max_pool2d",
    """
def max_pool2d(x, size):
    N, C, H, W = x.shape
    {first}
    P, Q = {P}, {Q}
    y = np.{start}((N, C, P, Q))
    for p, q in np.ndindex(P, Q):
        block = x[:, :, p * {step} : p * {step} + size, q * {step} : q * {step} + size]
        y[:, :, p, q] = {value}
    return y

def max_pool2d_backward(dy, x, size):
    N, C, P, Q = dy.shape
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        here = np.s_[n, c, p * size : (p + 1) * size, q * size : (q + 1) * size]
        block = x[here]
        share = np.zeros(block.shape)
        {share}
        dx[here] = {back}
    return {result}
""",
    first="",
    P="H // size",
    Q="W // size",
    start="zeros",
    step="size",
    value="block.max(axis=(2, 3))",
    share="share[np.unravel_index(block.argmax(), block.shape)] = 1",
    back="share * dy[n, c, p, q]",
    result="dx",
)
_CEIL = {"P": "-(-H // size)", "Q": "-(-W // size)"}
_PAD = "x = np.pad(x, ((0, 0), (0, 0), (0, -H % size), (0, -W % size)))"
_POOL = [
    Mistake(
        "max_pool2d",
        "PyTorch's",
        0,
        "uses torch.from_numpy",
        """
def max_pool2d(x, size):
    return F.max_pool2d(torch.from_numpy(x), size).numpy()
""",
    ),
    _pool("dx like dy", 0.4, "dx has the shape of x", result="dy"),
    _pool("whole numbers", 0.4, "fractions are cut off", result="dx.astype(int)"),
    Mistake(
        "max_pool2d",
        "in the first block",
        0.4,
        "counts from p·size",
        """
def max_pool2d_backward(dy, x, size):
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        block = x[n, c, p * size : (p + 1) * size, q * size : (q + 1) * size]
        row, column = np.unravel_index(block.argmax(), block.shape)
        dx[n, c, row, column] = dy[n, c, p, q]
    return dx
""",
    ),
    _pool("mean", 0.65, "the mean of each block", value="block.mean(axis=(2, 3))"),
    _pool("smallest", 0.65, "smallest value", value="block.min(axis=(2, 3))"),
    _pool("starts at 0", 0.85, "starts at 0", value="np.maximum(0, block.max(axis=(2, 3)))"),
    _pool("absolute", 0.85, "the sign counts", value="abs(block).max(axis=(2, 3))"),
    _pool(
        "channels together",
        0.65,
        "channels are pooled together",
        value="block.max(axis=(1, 2, 3))[:, None]",
    ),
    _pool("overlapping", 0.65, "The blocks overlap", step="1", P="H - size + 1", Q="W - size + 1"),
    _pool("one apart", 0.65, "but they overlap", step="1"),
    _pool("padded zeros", 1.05, "padded with zeros", first=_PAD, **_CEIL),
    _pool("the rest pooled", 1.05, "blocks of its own", **_CEIL),
    _pool("everyone", 0.4, "only the largest touched", share="share[:] = 1"),
    _pool("shared", 0.4, "that is mean-pooling's", share="share[:] = 1 / size**2"),
    _pool("all equal ones", 1.05, "only the first of them", share="share = block == block.max()"),
    _pool(
        "equal ones share",
        1.05,
        "gets all of it",
        share="share = block == block.max(); share = share / share.sum()",
    ),
    _pool(
        "last of equal ones",
        1.05,
        "the first should",
        share="share.flat[size * size - 1 - block.ravel()[::-1].argmax()] = 1",
    ),
    _pool("dy missing", 0.4, "dy is missing", back="share"),
    _pool("times x", 0.4, "slope of a maximum is 1", back="share * block * dy[n, c, p, q]"),
    _pool("in place", 0.4, "changed its argument `x`", result="x.__setitem__(..., dx) or dx"),
]

_BY_HAND = [
    Mistake("receptive_field", name, 0.5, says, code)
    for name, says, code in (
        ("distance forgotten", "each step reaches 2 further", "seen_by_conv2 = 10"),
        ("k for k − 1", "k − 1 are new", "seen_by_conv2 = 16"),
        ("multiplied", "it is not multiplied", "seen_by_conv2 = 30"),
        ("of pool1", "Asked for is the image", "seen_by_conv2 = 5"),
        ("distance of conv2", "2 pixels of the image apart, still", "seen_by_pool2 = 15"),
        ("doubled", "The two windows below overlap", "seen_by_pool2 = 28"),
        ("two layers", "They would see 5×5", "layers_of_3x3 = 2"),
        ("side by side", "do not lie side by side", "layers_of_3x3 = 7 / 3"),
        ("nine", "They would see 9×9", "layers_of_3x3 = 4"),
    )
]

_lenet = variants(
    "LeNet",
    """
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = {conv1}
        self.conv2 = {conv2}
        self.linear1 = nn.Linear({inputs}, 120)
        self.linear2 = nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, 10)

    def forward(self, x):
        relu, pool = torch.relu, F.max_pool2d
        x = pool({after_1}(self.conv1(x)), 2)
        x = {pool_2}({after_2}(self.conv2(x)), 2)
        x = {flat}
        x = {after_3}(self.linear1(x))
        x = {after_4}(self.linear2(x))
        return {scores}
""",
    conv1="nn.Conv2d(1, 6, 5, padding=2)",
    conv2="nn.Conv2d(6, 16, 5)",
    inputs="400",
    after_1="relu",
    after_2="relu",
    after_3="relu",
    after_4="relu",
    pool_2="pool",
    flat="x.flatten(1)",
    scores="self.linear3(x)",
)
_LENET = [
    _lenet("576 inputs", 0.5, "Compare with the table", inputs="576"),
    _lenet("conv2 padded", 0.8, "Print x.shape", conv2="nn.Conv2d(6, 16, 5, padding=2)"),
    _lenet("the answer only", 0.8, "Ten scores for each", scores="self.linear3(x).argmax(1)"),
    _lenet("no return", 0.8, "is a return missing?", scores="[self.linear3(x)].clear()"),
    _lenet("no padding", 0.5, "as 4×4, not 5×5", conv1="nn.Conv2d(1, 6, 5)", inputs="256"),
    _lenet(
        "padding twice", 0.5, "no padding", conv2="nn.Conv2d(6, 16, 5, padding=2)", inputs="784"
    ),
    _lenet(
        "3×3",
        0.5,
        "the table says 5×5",
        conv1="nn.Conv2d(1, 6, 3, padding=1)",
        conv2="nn.Conv2d(6, 16, 3, padding=0)",
    ),
    _lenet("no ReLU on maps", 0.8, "missing after the convolutions", after_1="", after_2=""),
    _lenet("no ReLU on units", 0.8, "after linear1 and linear2", after_3="", after_4=""),
    _lenet("no ReLU after conv2", 0.8, "missing after conv2", after_2=""),
    _lenet("ReLU at the end", 0.8, "they go out as they are", scores="relu(self.linear3(x))"),
    _lenet("softmax", 0.8, "probabilities already", scores="self.linear3(x).softmax(1)"),
    _lenet("log-softmax", 1.0, "logarithms of", scores="self.linear3(x).log_softmax(1)"),
    _lenet("tanh", 0.8, "as in 1998", **{f"after_{i}": "torch.tanh" for i in (1, 2, 3, 4)}),
    _lenet("images mixed up", 0.8, "leaves the first axis alone", flat="x.reshape(400, -1).T"),
    _lenet("detached", 1.3, "cuts the graph", flat="x.flatten(1).detach()"),
    _lenet("through NumPy", 1.3, "cuts the graph", scores="self.linear3(x).detach()"),
    Mistake("LeNet", "no biases", 1.25, "also has a bias", "lenet_parameters = 61470"),
    Mistake("LeNet", "one channel", 1.25, "spans all 6", "lenet_parameters = 59706"),
    Mistake("LeNet", "convolution largest", 1.25, "shares its weights", "largest_layer = 'conv2'"),
]

MISTAKES = [
    *answers.MISTAKES,
    *_IM2COL,
    *_BACKWARD,
    *_POOL,
    *_BY_HAND,
    *_LENET,
]
