"""The answers of lab 05: the right ones, by the lab's own names, and what people get wrong.

Images are (N, C, H, W), filters (K, C, R, S), as in the lab.
"""

import math  # noqa: F401  rows use it
import sys

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn

from grading.checks.mistakes import Known, Mistake, Table, variants

alexnet_size = 55
same_padding = 3


def output_size(n, k, stride, padding):
    return (n + 2 * padding - k) // stride + 1


def conv2d_loops(x, w, b, stride=1, padding=0):
    return conv2d(x, w, b, stride, padding)


def conv2d(x, w, b, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("kcrs,ncpqrs->nkpq", w, windows) + b[:, None, None]


def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(x, kernel, axis=(2, 3))[:, :, ::stride, ::stride]
    (N, C, P, Q), (R, S) = windows.shape[:4], kernel
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(N, C * R * S, P * Q)


def conv2d_backward(dy, x, w, stride=1, padding=0):
    (N, C, H, W), (K, _, R, S), (P, Q) = x.shape, w.shape, dy.shape[2:]
    dY, columns = dy.reshape(N, K, P * Q), im2col(x, (R, S), stride, padding)
    dw = (dY @ columns.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    windows = (w.reshape(K, -1).T @ dY).reshape(N, C, R, S, P, Q)
    dx = np.zeros((N, C, H + 2 * padding, W + 2 * padding))
    for p, q in np.ndindex(P, Q):
        top, left = p * stride, q * stride
        dx[:, :, top : top + R, left : left + S] += windows[..., p, q]
    return dx[:, :, padding : padding + H, padding : padding + W], dw, dy.sum(axis=(0, 2, 3))


def max_pool2d(x, size):
    windows = sliding_window_view(x, (size, size), axis=(2, 3))
    return windows[:, :, ::size, ::size].max(axis=(4, 5))


def max_pool2d_backward(dy, x, size):
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        block = x[n, c, p * size : (p + 1) * size, q * size : (q + 1) * size]
        row, column = np.unravel_index(block.argmax(), block.shape)
        dx[n, c, p * size + row, q * size + column] = dy[n, c, p, q]
    return dx


im2col_growth = 25
seen_by_conv2 = 14
seen_by_pool2 = 16
layers_of_3x3 = 3
lenet_parameters = 61706
largest_layer = "linear1"


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.linear1, self.linear2 = nn.Linear(400, 120), nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.linear3(F.relu(self.linear2(F.relu(self.linear1(x)))))


def scores(network, parameters, x):
    """Those of a network of this class, given these parameters."""
    model = network().eval()
    own = list(model.parameters())
    with torch.no_grad():
        for parameter, value in zip(own, parameters, strict=True):
            parameter.copy_(value)
        return model(x)


def gradients(parameters, x, y):
    """Those of the right network's loss, one for each parameter."""
    model = LeNet()
    torch.nn.utils.vector_to_parameters(
        torch.cat([value.flatten() for value in parameters]), model.parameters()
    )
    return torch.autograd.grad(F.cross_entropy(model(x), y), list(model.parameters()))


def shapes(network):
    """The shapes of a network's parameters."""
    return [tuple(parameter.shape) for parameter in network().parameters()]


_size, _size_otherwise = variants(
    "output_size",
    """
def output_size(n, k, stride, padding):
    return {size}
""",
    size="(n + 2 * padding - k) // stride + 1",
)
_NO_WIDTH = "The filter's width does not come into it: its right end may not leave."
_SIZE = [
    _size(
        "padding by itself",
        0.8,
        "Only the whole is rounded: two remainders, of the image and of the padding, may make one"
        " more stride.",
        size="(n - k) // stride + 1 + 2 * padding // stride",
    ),
    _size(
        "+ 1 within",
        0.6,
        "The + 1 is divided, too: it counts the first place, and comes after the division.",
        size="(n + 2 * padding - k + 1) // stride",
    ),
    _size(
        "no + 1",
        0.4,
        "The first place is missing: room for m strides makes m + 1 places.",
        size="(n + 2 * padding - k) // stride",
    ),
    _size(
        "ceil",
        0.6,
        "A remainder that is too short for a stride gives no place: round down, not up.",
        size="math.ceil((n + 2 * padding - k) / stride) + 1",
    ),
    _size_otherwise(
        "rounded", 0.6, "down, not up", size="round((n + 2 * padding - k) / stride) + 1"
    ),
    *(
        _size(
            name,
            0.4,
            "That is one place too many: the first place and (n + 2·padding − k) // stride moves.",
            size=size,
        )
        for name, size in (
            ("k - 1", "(n + 2 * padding - (k - 1)) // stride + 1"),
            ("+ 2", "(n + 2 * padding - k) // stride + 2"),
        )
    ),
    _size(
        "a fraction",
        0.4,
        "A size is a whole number: round down with //, which gives an int.",
        size="(n + 2 * padding - k) / stride + 1",
    ),
    _size_otherwise(
        "floor of a float", 0.4, "gives an int", size="(n + 2 * padding - k) // stride + 1.0"
    ),
    _size(
        "padding once",
        0.8,
        "The padding is on both sides: it counts twice.",
        size="(n + padding - k) // stride + 1",
    ),
    _size(
        "padding taken off",
        0.8,
        "The padding makes the row longer: it is added, not taken off.",
        size="(n - 2 * padding - k) // stride + 1",
    ),
    _size("no padding", 0.8, "The padding is not used.", size="(n - k) // stride + 1"),
    _size(
        "padding on four sides",
        0.8,
        "The padding is on two sides, not four.",
        size="(n + 4 * padding - k) // stride + 1",
    ),
    _size("no stride", 0.6, "The stride is not used.", size="n + 2 * padding - k + 1"),
    _size(
        "brackets",
        0.6,
        "That divides by the stride before the filter's width is taken off.",
        size="(n + 2 * padding) // stride - k + 1",
    ),
    _size(
        "padding times stride",
        0.8,
        "Padding is counted in pixels, whatever the stride: it is not times the stride.",
        size="(n + 2 * padding * stride - k) // stride + 1",
    ),
    _size(
        "stride + 1",
        0.4,
        "The + 1 stands with the stride: it counts the first place, and comes after the division.",
        size="(n + 2 * padding - k) // (stride + 1)",
    ),
    _size(
        "no brackets but for the padding",
        0.6,
        "Brackets are missing: n − k + 2·padding is divided as a whole, not the padding alone.",
        size="n - k + 2 * padding // stride + 1",
    ),
    _size(
        "no brackets",
        0.6,
        "Brackets are missing: n + 2·padding − k is divided as a whole, not k alone.",
        size="n + 2 * padding - k // stride + 1",
    ),
    _size(
        "width not taken off",
        0.4,
        "The filter's own width is not taken off.",
        size="(n + 2 * padding) // stride + 1",
    ),
    _size("no width", 0.4, _NO_WIDTH, size="-(-n // stride)"),
    _size("no width, rounded down", 0.4, _NO_WIDTH, size="n // stride"),
    _size(
        "side by side",
        0.4,
        "Places overlap: the stride says how far apart they are, not the filter's width.",
        size="(n + 2 * padding) // k",
    ),
    _size(
        "half the filter for the padding",
        0.4,
        "The padding is taken to be half the filter: by how much is padded, the argument says.",
        size="(n + 2 * (k // 2) - k) // stride + 1",
    ),
    *(
        Known("output_size", name, 0.8, says, f"alexnet_size = {value}")
        for name, value, says in (
            ("moves", 54, "That is the number of moves. The place before the first counts, too."),
            ("stride 1", 217, "That is with stride 1."),
            (
                "both sides of AlexNet",
                55 * 55,
                "That is how many there are in the whole image: asked for is one side.",
            ),
            ("pixels", 216, "That is how far the filter can move, in pixels."),
            ("no width", 56.75, "The filter's width comes off first: its right end may not leave."),
            ("may leave", 57, "That is as if its right end might leave the image."),
            (
                "by the width",
                20,
                "That divides by the filter's width. The stride says how far apart places are.",
            ),
        )
    ),
    *(
        Known("output_size", name, 0.8, says, f"same_padding = {value}")
        for name, value, says in (
            ("both sides", 6, "That is both sides together: padding counts one side."),
            ("width", 7, "With that much the output grows: how many places are there?"),
            ("half of seven", 3.5, "Half of the width, but the centre pixel needs no padding."),
            ("of 5×5", 2, "That much is for a smaller filter. Put it into your formula."),
            ("of 3×3", 1, "That is for 3×3 filters."),
        )
    ),
]

_loops, _loops_otherwise = variants(
    "conv2d_loops",
    """
def conv2d_loops(x, w, b, stride=1, padding=0):
    {first}
    x = np.pad(x, ((0, 0), (0, 0), {rows}, {columns}){mode})
    (N, C, H, W), (K, _, {R}, {S}) = x.shape, w.shape
    y = np.zeros((N, K, {P}, {Q}))
    for n, k, p, q in np.ndindex(y.shape):
        window = x[n, :, {top} : {top} + R, {left} : {left} + S]
        y[n, k, p, q] = {sum} {bias}
    return {result}
""",
    first="",
    rows="(padding, padding)",
    columns="(padding, padding)",
    mode="",
    R="R",
    S="S",
    P="(H - R) // stride + 1",
    Q="(W - S) // stride + 1",
    top="p * stride",
    left="q * stride",
    sum="np.sum(w[k] * window)",
    bias="+ b[k]",
    result="y",
)
_ENDS = {"P": "len(range(0, H - R, stride))", "Q": "len(range(0, W - S, stride))"}
_DENSE_ROWS, _DENSE_COLUMNS = {"P": "H - R + 1", "top": "p"}, {"Q": "W - S + 1", "left": "q"}
_WHOLE = "The fractions are cut off: is the result an array of int?"
_MAPS_LAST = "The maps come last: y has the shape (N, K, P, Q)."
_LAST_PLACE = (
    "The last place is missing, where the filter just fits: a range leaves its end out, and room for"
    " m strides makes m + 1 places."
)
_ONCE = "once for each place is enough."
_LOOPS = [
    Mistake(
        "conv2d_loops",
        "PyTorch's",
        0,
        "torch.nn.functional.conv2d, which",
        """
def conv2d_loops(x, w, b, stride=1, padding=0):
    return F.conv2d(*map(torch.from_numpy, (x, w, b)), stride=stride, padding=padding).numpy()
""",
    ),
    Mistake(
        "conv2d_loops",
        "NumPy's windows",
        0,
        "sliding_window_view, which",
        """
from numpy.lib.stride_tricks import sliding_window_view

def conv2d_loops(x, w, b, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("kcrs,ncpqrs->nkpq", w, windows) + b[:, None, None]
""",
    ),
    _loops(
        "padded to whole numbers",
        0,
        "The image's fractions are cut off: is it copied into an array of int?",
        first="x = x.astype(int)",
    ),
    _loops("whole numbers", 0, _WHOLE, result="y.astype(int)"),
    _loops(
        "flipped",
        0,
        "The filter is flipped: that is a convolution, asked for is a cross-correlation.",
        sum="np.sum(w[k, :, ::-1, ::-1] * window)",
    ),
    _loops(
        "rows flipped", 0, "The filter's rows are flipped.", sum="np.sum(w[k, :, ::-1] * window)"
    ),
    _loops(
        "columns flipped",
        0,
        "The filter's columns are flipped.",
        sum="np.sum(w[k, :, :, ::-1] * window)",
    ),
    _loops("no bias", 0, "The bias is missing.", bias=""),
    _loops("bias subtracted", 0, "The bias is subtracted.", bias="- b[k]"),
    _loops(
        "bias for each weight",
        0,
        f"The bias is added for every weight of the filter: {_ONCE}",
        sum="np.sum(w[k] * window + b[k])",
        bias="",
    ),
    _loops(
        "bias for each channel",
        0.4,
        f"The bias is added for every channel: {_ONCE}",
        bias="+ C * b[k]",
    ),
    _loops("times the bias", 0, "The bias is a factor: it is added.", bias="* b[k]"),
    _loops(
        "padded by the filter",
        0,
        "It is padded by half of the filter: the argument `padding` says by how much.",
        first="(r, s), padding = (n // 2 for n in w.shape[2:]), 0;"
        " x = np.pad(x, ((0, 0), (0, 0), (r, r), (s, s)))",
    ),
    _loops(
        "the image's bias",
        0.4,
        "The bias is taken by the image's number, b[n]: it belongs to the map, b[k].",
        bias="+ b[n % K]",
    ),
    _loops(
        "the image's filter",
        0.4,
        "The filter is taken by the image's number, w[n]: it belongs to the map, w[k].",
        sum="np.sum(w[n % K] * window)",
    ),
    _loops(
        "all images in a window",
        0.4,
        "The windows of all images are added up: image n has its own, x[n, :, …].",
        sum="np.sum(w[k] * x[:, :, {top} : {top} + R, {left} : {left} + S])".format(
            top="p * stride", left="q * stride"
        ),
    ),
    _loops(
        "all channels on the filter's first",
        0.4,
        "All of the image's channels meet the filter's first: the filter of map k is w[k].",
        sum="np.sum(w[k, 0] * window)",
    ),
    _loops_otherwise(
        "P and Q too large", 1.1, "count the padding once", P="(H + 2 * padding - R) // stride + 1"
    ),
    _loops(
        "all channels of the filter on the first",
        0.4,
        "All of the filter's channels meet the image's first channel: a window is x[n, :, …].",
        sum="np.sum(w[k] * window[0])",
    ),
    _loops("one bias", 0.4, "Every map has the first filter's bias.", bias="+ b[0]"),
    _loops(
        "mean",
        0,
        "It is the mean over the window: asked for is the sum.",
        sum="np.mean(w[k] * window)",
    ),
    _loops(
        "mean over channels",
        0.4,
        "It is the mean over the channels: asked for is the sum.",
        sum="np.sum((w[k] * window).mean(axis=0))",
    ),
    _loops(
        "first channel",
        0.4,
        "Only the first channel counts: the sum runs over all.",
        sum="np.sum(w[k, 0] * window[0])",
    ),
    _loops(
        "last channel",
        0.4,
        "Only the last channel counts: is the sum begun anew for each?",
        sum="np.sum(w[k, -1] * window[-1])",
    ),
    _loops(
        "last weight",
        0,
        "Only the filter's last weight counts: add up (+=) over channels, rows and columns.",
        sum="w[k, -1, -1, -1] * window[-1, -1, -1]",
    ),
    _loops(
        "first filter",
        0.4,
        "Every map is the first filter's.",
        sum="np.sum(w[0] * window)",
        bias="+ b[0]",
    ),
    _loops(
        "first filter, own bias",
        0.4,
        "Every map has the first filter's weights.",
        sum="np.sum(w[0] * window)",
    ),
    _loops(
        "first image", 0.4, "Every image got the first image's maps.", first="x = x[[0] * len(x)]"
    ),
    _loops(
        "K and C",
        0.4,
        "Filter and channel have changed places: w[k, c] belongs to map k, channel c.",
        sum="np.sum(w[:, k] * window)",
    ),
    _loops(
        "filter transposed",
        0,
        "The filter is transposed: r runs along rows, s along columns.",
        sum="np.sum(w[k].transpose(0, 2, 1) * window)",
    ),
    _loops(
        "matrix product",
        0,
        "That is a matrix product: filter and window go number by number (`*`).",
        sum="np.sum(w[k] @ window)",
    ),
    _loops(
        "matrix product the other way",
        0,
        "That is a matrix product: filter and window go number by number (`*`).",
        sum="np.sum(window @ w[k].swapaxes(1, 2))",
    ),
    _loops(
        "only the first image's maps",
        0.4,
        "Only the first image has maps, the others' are zero: does the loop run over all images, or"
        " return in its first round?",
        result="y * (np.arange(N) == 0)[:, None, None, None]",
    ),
    _loops(
        "only the first map",
        0.4,
        "Only the first map is there, the others are zero: does the loop run over all filters, or"
        " return in its first round?",
        result="y * (np.arange(K) == 0)[:, None, None]",
    ),
    *(
        _loops(
            f"only the first {what}",
            0,
            f"Only the first {what} is there, the rest is zero: does return stand inside the loops, or"
            " does a range end too early?",
            result=f"y * (np.arange(y.size) < {count}).reshape(y.shape)",
        )
        for what, count in (("place", "1"), ("row of places", "y.shape[3]"))
    ),
    *(
        _loops(
            f"without the last {what}",
            0,
            f"The last {what} of places is zero: range leaves its end out by itself.",
            result=f"y * (np.arange(y.shape[{axis}]) < y.shape[{axis}] - 1){rest}",
        )
        for what, axis, rest in (("row", 2, "[:, None]"), ("column", 3, ""))
    ),
    _loops(
        "window ends early",
        0,
        "The window ends a pixel early: a slice leaves its end out by itself, so it is"
        " p·stride : p·stride + R.",
        sum="np.sum(w[k] * window[:, :-1, :-1])",
    ),
    _loops(
        "as many columns as rows",
        0.5,
        "Only the first P columns of each map are there: p counts P rows, q counts Q columns.",
        result="y * (np.arange(y.shape[3]) < y.shape[2])",
    ),
    _loops(
        "window spread",
        1.1,
        "The stride is between the windows: within one, pixels are neighbours.",
        sum="np.sum(w[k] * x[n, :, p : p + R * stride : stride, q : q + S * stride : stride])",
    ),
    _loops(
        "rounded up",
        1.1,
        "A remainder that is too short for a stride gives no place: round down.",
        P="-(-(H - R) // stride) + 1",
    ),
    _loops(
        "columns not strided",
        1.1,
        "The stride holds for the rows only: columns need it, too.",
        **_DENSE_COLUMNS,
    ),
    _loops(
        "rows not strided",
        1.1,
        "The stride holds for the columns only: rows need it, too.",
        **_DENSE_ROWS,
    ),
    _loops(
        "stride not used",
        1.1,
        "The stride is not used: neighbouring places are one pixel apart.",
        **_DENSE_ROWS,
        **_DENSE_COLUMNS,
    ),
    _loops(
        "windows not strided",
        1.1,
        "The size has the stride in it, but the windows are one pixel apart: place (p, q) starts at"
        " row p·stride, column q·stride.",
        top="p",
        left="q",
    ),
    _loops(
        "q not strided",
        1.1,
        "The windows start at p·stride, but at q instead of q·stride.",
        left="q",
    ),
    _loops(
        "p not strided",
        1.1,
        "The windows start at q·stride, but at p instead of p·stride.",
        top="p",
    ),
    _loops("padding not used", 1.1, "The padding is missing.", first="padding = 0"),
    _loops(
        "padded before",
        1.1,
        "The padding is at the top and left only: it belongs on both sides.",
        rows="(padding, 0)",
        columns="(padding, 0)",
    ),
    _loops(
        "padded behind",
        1.1,
        "The padding is at the bottom and right only: it belongs on both sides.",
        rows="(0, padding)",
        columns="(0, padding)",
    ),
    _loops(
        "padding all at the end",
        1.1,
        "The padding all went to the end: half of it belongs at the beginning.",
        rows="(0, 2 * padding)",
        columns="(0, 2 * padding)",
    ),
    _loops(
        "padding all at the beginning",
        1.1,
        "The padding all went to the beginning: half of it belongs at the end.",
        rows="(2 * padding, 0)",
        columns="(2 * padding, 0)",
    ),
    _loops(
        "sizes without padding",
        1.1,
        "P and Q are those of the image without its padding.",
        P="(H - 2 * padding - R) // stride + 1",
        Q="(W - 2 * padding - S) // stride + 1",
    ),
    _loops(
        "P without padding",
        1.1,
        "P is that of the image without its padding.",
        P="(H - 2 * padding - R) // stride + 1",
    ),
    _loops(
        "mirrored", 1.1, "The padding mirrors the image: it should be zeros.", mode=', "reflect"'
    ),
    _loops("rows padded", 1.1, "Rows are padded and columns are not.", columns="(0, 0)"),
    _loops("columns padded", 1.1, "Columns are padded and rows are not.", rows="(0, 0)"),
    _loops(
        "padded with 1", 1.1, "The padding is 1: it should be zeros.", mode=", constant_values=1"
    ),
    _loops(
        "edge repeated", 1.1, "The padding repeats the edge: it should be zeros.", mode=', "edge"'
    ),
    _loops(
        "all axes padded",
        1.1,
        "Images and channels are padded, too: np.pad takes one pair for each axis.",
        first="x = np.pad(x, padding); padding = 0",
    ),
    _loops(
        "all axes padded, N from before",
        1.1,
        "Images and channels are padded, too: np.pad takes one pair for each of the four axes.",
        first="count = len(x); x = np.pad(x, padding); padding = 0",
        result="y[:count]",
    ),
    _loops(
        "last place missing",
        0,
        _LAST_PLACE,
        **_ENDS,
    ),
    _loops(
        "no + 1",
        0,
        _LAST_PLACE,
        P="(H - R) // stride",
        Q="(W - S) // stride",
    ),
    _loops("channels last", 0, _MAPS_LAST, result="y.transpose(0, 2, 3, 1)"),
    _loops(
        "K first", 0.4, "K comes first: y has the shape (N, K, P, Q).", result="y.swapaxes(0, 1)"
    ),
    _loops(
        "P and Q", 0, "Rows and columns of the maps have changed places.", result="y.swapaxes(2, 3)"
    ),
    _loops_otherwise(
        "bias along the columns", 0.4, "give it the shape (K, 1, 1)", bias="", result="y + b"
    ),
    _loops_otherwise("square image", 0.5, "Q from W and S", result="y[..., : y.shape[2]]"),
    _loops_otherwise("R and S", 0, "R rows of S columns", R="S", S="R"),
    _loops_otherwise("all biases", 0, "one number, and so is b[k]", bias="+ b[[0, 0]]"),
    _loops_otherwise("in place", 0, "changed its argument `w`", result="(y, w.__imul__(2))[0]"),
]

_conv2d, _conv2d_otherwise = variants(
    "conv2d",
    """
def conv2d(x, w, b, stride=1, padding=0):
    {first}
    (N, _, H, W), (K, C, R, S) = x.shape, w.shape
    P, Q = ((n + 2 * padding - k) // stride + 1 for n, k in ((H, R), (W, S)))
    columns = im2col(x, {kernel}, {options})
    y = {filters} @ columns {bias}
    return {result}
""",
    first="",
    kernel="(R, S)",
    options="stride, padding",
    filters="w.reshape(K, -1)",
    bias="+ b[:, None]",
    result="y.reshape(N, K, P, Q)",
)
_CONV2D = [
    Mistake(
        "conv2d",
        "the loops again",
        0,
        "Your `conv2d` uses conv2d_loops",
        "conv2d = lambda x, w, b, stride=1, padding=0: conv2d_loops(x, w, b, stride, padding)",
    ),
    Mistake(
        "conv2d",
        "PyTorch's, by another name",
        0,
        "uses torch.nn.functional.conv2d",
        """
from torch.nn.functional import conv2d as theirs

def conv2d(x, w, b, stride=1, padding=0):
    return theirs(*map(torch.from_numpy, (x, w, b)), stride=stride, padding=padding).numpy()
""",
    ),
    _conv2d("no bias", 0, "The bias is missing.", bias=""),
    _conv2d("bias subtracted", 0, "The bias is subtracted.", bias="- b[:, None]"),
    _conv2d("one bias", 0, "Every map has the first filter's bias.", bias="+ b[0]"),
    _conv2d(
        "bias in the weights",
        0,
        "The bias is added to the weights: it is added to the product.",
        filters="(w.reshape(K, -1) + b[:, None])",
        bias="",
    ),
    _conv2d(
        "np.dot",
        0,
        "np.dot puts the images second, (K, N, P·Q): `@` keeps them first.",
        result="(np.dot(w.reshape(K, -1), columns) + b[:, None]).reshape(N, K, P, Q)",
    ),
    _conv2d(
        "images merged",
        0,
        "Images and windows are mixed up: a reshape to (C·R·S, N·P·Q) does not move the images"
        " behind. `@` takes one image after the other.",
        result="(w.reshape(K, -1) @ columns.reshape(C * R * S, -1) + b[:, None])"
        ".reshape(N, K, P, Q)",
    ),
    _conv2d(
        "K first",
        0,
        "The images come first: y is (N, K, P, Q), and so is the product's order.",
        result="y.reshape(K, N, P, Q)",
    ),
    _conv2d_otherwise(
        "number by number",
        0,
        "`*` multiplies number by number",
        result="w.reshape(K, -1) * columns",
    ),
    _conv2d_otherwise("one side of the kernel", 0, "a pair, (R, S)", kernel="R"),
    _conv2d("times the bias", 0, "The bias is a factor: it is added.", bias="* b[:, None]"),
    _conv2d(
        "the image's bias",
        0,
        "The bias goes along the images: as (K, 1, 1) it has an axis too many, (K, 1) it is.",
        bias="+ b[:, None, None]",
    ),
    _conv2d_otherwise("a square kernel", 0, "of these columns are square", kernel="(R, R)"),
    _conv2d_otherwise("another square kernel", 0, "of these columns are square", kernel="(S, S)"),
    _conv2d_otherwise("stride and padding", 0, "are they exchanged", options="padding, stride"),
    _conv2d(
        "flipped",
        0,
        "The filter is flipped: that is a convolution, asked for is a cross-correlation.",
        filters="w[:, :, ::-1, ::-1].reshape(K, -1)",
    ),
    _conv2d(
        "padding left out",
        0.4,
        "The padding is missing.",
        first="padding = 0",
    ),
    _conv2d(
        "stride not used",
        0.4,
        "The stride is not used: neighbouring places are one pixel apart.",
        first="stride = 1",
    ),
    _conv2d(
        "filters by K",
        0,
        "The filters are scrambled: `w.reshape(K, -1)` has one in each row, and a transpose comes"
        " after it.",
        filters="w.reshape(-1, K).T",
    ),
    _conv2d(
        "other order",
        0,
        "The filter's weights are taken in another order than the columns' rows:"
        " `w.reshape(K, -1)` has (C, R, S), and no transpose before it.",
        filters="w.transpose(0, 2, 3, 1).reshape(K, -1)",
    ),
    _conv2d(
        "K and C",
        0,
        "Filter and channel have changed places: w[k, c] belongs to map k, channel c.",
        filters="w.reshape(C, K, R, S).transpose(1, 0, 2, 3).reshape(K, -1)",
    ),
    _conv2d(
        "still flat", 0, "The product is still flat: give it the shape (N, K, P, Q).", result="y"
    ),
    _conv2d("channels last", 0, _MAPS_LAST, result="y.reshape(N, K, P, Q).transpose(0, 2, 3, 1)"),
    _conv2d(
        "all biases",
        0,
        "All biases are added in every map: map k has its own, b[k], as (K, 1).",
        bias="+ b.sum()",
    ),
    _conv2d(
        "P and Q",
        0,
        "Rows and columns of the maps have changed places.",
        result="y.reshape(N, K, P, Q).transpose(0, 1, 3, 2)",
    ),
    _conv2d(
        "P and Q in the shape",
        0,
        "Rows and columns are mixed up when the product is given its shape: (N, K, P, Q).",
        result="y.reshape(N, K, Q, P).transpose(0, 1, 3, 2)",
    ),
    _conv2d(
        "places by K",
        0,
        "The places are scrambled: the product is (N, K, P·Q), and only its last axis is split.",
        result="y.reshape(N, P, Q, K).transpose(0, 3, 1, 2)",
    ),
    _conv2d(
        "scrambled",
        0,
        "The maps of an image are scrambled: transpose to (N, K, …) before reshaping, since"
        " reshape alone does not move values.",
        result="y.transpose(0, 2, 1).reshape(N, K, P, Q)",
    ),
    _conv2d(
        "first image",
        0,
        "Every image got the first image's maps.",
        result="y[[0] * N].reshape(N, K, P, Q)",
    ),
    _conv2d_otherwise("bias across", 0, "the shape (K, 1)", bias="+ b"),
    _conv2d_otherwise("stride left out", 0.4, "do stride and padding reach", options="1, padding"),
    _conv2d_otherwise(
        "padding not passed on", 0.4, "do stride and padding reach", options="stride"
    ),
    _conv2d_otherwise("R and S", 0, "is the kernel (R, S)", kernel="(S, R)"),
    _conv2d_otherwise(
        "filters as columns", 0, "one filter in each row", filters="w.reshape(-1, K)"
    ),
    _conv2d_otherwise(
        "in place",
        0,
        "changed its argument `x`",
        result="(y.reshape(N, K, P, Q), x.__imul__(2))[0]",
    ),
]

_im2col, _im2col_otherwise = variants(
    "im2col",
    """
def im2col(x, kernel, stride=1, padding=0):
    {first}
    x = np.pad(x, ((0, 0), (0, 0), {rows_padded}, {columns_padded}))
    (N, C, H, W), ({R}, {S}) = x.shape, kernel
    P, Q = {P}, {Q}
    columns = np.zeros((N, C, R, S, P, Q))
    for r in range(R):
        for s in range(S):
            columns[:, :, r, s] = x[:, :, {rows}, {columns}]
    return {result}
""",
    first="",
    rows_padded="(padding, padding)",
    columns_padded="(padding, padding)",
    R="R",
    S="S",
    P="(H - R) // stride + 1",
    Q="(W - S) // stride + 1",
    rows="r : r + stride * P : stride",
    columns="s : s + stride * Q : stride",
    result="columns.reshape(N, C * R * S, P * Q)",
)
_FLAT = "reshape(N, C * R * S, P * Q)"


def in_columns(shape, kernel, stride, padding):
    """What a broadcast that fails in im2col means, by the shapes in NumPy's words."""
    (N, C, H, W), (R, S) = shape, kernel
    P, Q = output_size(H, R, stride, padding), output_size(W, S, stride, padding)
    exchanged = (
        f"from shape ({N},{C},{P},{Q}) into shape ({N},{C},{Q},{P})",
        "The slice is P by Q, as it should be: the array of zeros has P and Q exchanged.",
    )
    padded = (
        (
            f"shape ({N + 2 * padding},{C + 2 * padding},",
            "Images and channels are padded, too: np.pad takes one pair for each of the axes.",
        ),
        (
            f"from shape ({N},{C},{H},{W}) into",
            "The slice has no padding in it: is it cut from the padded image, and not from x?",
        ),
    )
    images = (
        f"from shape ({N * C * R * S},) into",
        "The windows of all images became one row: reshape(N, -1) keeps the images apart.",
    )
    number = "The columns are numbered from 0 in each image, to P·Q − 1: p·Q + q."
    end = "A slice must take P rows and Q columns, no more and no fewer: where does it end?"
    return (
        exchanged,
        *(padded if padding else ()),
        *([images] if N > 1 else []),
        ("broadcast", end),
        (f"axis 2 with size {P * Q}", number),
        (f"axis 2 with size {R}", "r runs over the R rows of the kernel, s over its S columns."),
    )


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
    Mistake(
        "im2col",
        "NumPy's windows",
        0,
        "sliding_window_view, which",
        """
def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride].transpose(0, 1, 4, 5, 2, 3)
    return windows.reshape(len(x), x.shape[1] * kernel[0] * kernel[1], -1)
""",
    ),
    _im2col("whole numbers", 0.25, _WHOLE, result=f"columns.{_FLAT}.astype(int)"),
    Known(
        "im2col",
        "numbered by P",
        0.25,
        "The columns are numbered p·P + q: a row of places is Q long, so it is p·Q + q.",
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
    _im2col(
        "windows as rows",
        0.25,
        "It is transposed: a column is one window, a row is one weight.",
        result="columns.reshape(N, C * R * S, P * Q).transpose(0, 2, 1)",
    ),
    _im2col(
        "s before r",
        0.25,
        "Rows and columns of each window have changed places: s changes faster than r.",
        result=f"columns.swapaxes(2, 3).{_FLAT}",
    ),
    _im2col(
        "p before q",
        0.25,
        "The places go down the columns: q changes faster than p.",
        result=f"columns.swapaxes(4, 5).{_FLAT}",
    ),
    _im2col(
        "only reshaped",
        0.25,
        "The windows' values are scrambled: reshape does not move values, so bring the axes into"
        " the order (N, C, R, S, P, Q) first.",
        result=f"columns.transpose(0, 1, 4, 5, 2, 3).{_FLAT}",
    ),
    _im2col(
        "windows flipped",
        0.25,
        "Each window is flipped.",
        result=f"columns[:, :, ::-1, ::-1].{_FLAT}",
    ),
    _im2col("not merged", 0.25, "The axes are not merged yet: (N, C·R·S, P·Q).", result="columns"),
    _im2col(
        "neither in order nor merged",
        0.25,
        "The axes are neither in order nor merged: first (N, C, R, S, P, Q), then (N, C·R·S, P·Q).",
        result="columns.transpose(0, 1, 4, 5, 2, 3)",
    ),
    _im2col(
        "channels not merged",
        0.25,
        "The channels are not merged yet: (N, C·R·S, P·Q).",
        result="columns.reshape(N, C, R * S, P * Q)",
    ),
    _im2col(
        "images merged",
        0.25,
        "The images are merged, too: they stay apart, in the first axis.",
        result="np.concatenate(columns.reshape(N, C * R * S, P * Q), axis=1)",
    ),
    _im2col(
        "channels last",
        0.65,
        "The channels come last in a column: the order is (C, R, S).",
        result=f"columns.transpose(0, 2, 3, 1, 4, 5).{_FLAT}",
    ),
    _im2col(
        "reshaped to the transpose",
        0.25,
        "It has the shape (N, P·Q, C·R·S): asked for is (N, C·R·S, P·Q), each window a column.",
        result="columns.reshape(N, P * Q, C * R * S)",
    ),
    _im2col(
        "a list of windows",
        0.25,
        "The places come first: np.stack(…, axis=-1) of the windows puts them last.",
        result="columns.transpose(4, 5, 0, 1, 2, 3).reshape(P * Q, N, C * R * S)",
    ),
    _im2col(
        "a list of windows, turned around",
        0.25,
        "`.T` turns all three axes around: np.stack(…, axis=-1) of the windows keeps the images first.",
        result="columns.reshape(N, C * R * S, P * Q).transpose(1, 0, 2)",
    ),
    _im2col(
        "square kernel",
        0.25,
        "The kernel is taken for square, of R by R: it has R rows and S columns.",
        first="kernel = (kernel[0], kernel[0])",
    ),
    _im2col(
        "places first",
        0.25,
        "The windows' values are scrambled: their axes are (N, P, Q, C, R, S), and a reshape does"
        " not bring them into the order (N, C, R, S, P, Q).",
        result=f"columns.transpose(0, 4, 5, 1, 2, 3).{_FLAT}",
    ),
    _im2col(
        "first channel",
        0.65,
        "Only the first channel is there.",
        first="x = x[:, :1]",
    ),
    _im2col(
        "first image",
        0.65,
        "Only the first image is there.",
        result=f"np.pad(columns.{_FLAT}[:1], ((0, N - 1), (0, 0), (0, 0)))",
    ),
    _im2col(
        "first image again",
        0.65,
        "Every image got the first image's windows.",
        first="x = x[[0] * len(x)]",
    ),
    _im2col("stride not used", 0.95, "The stride is not used.", first="stride = 1"),
    _im2col(
        "rows strided only",
        0.95,
        "The stride holds for the rows only.",
        Q="W - S + 1",
        columns="s : s + Q",
    ),
    _im2col(
        "columns strided only",
        0.95,
        "The stride holds for the columns only.",
        P="H - R + 1",
        rows="r : r + P",
    ),
    _im2col(
        "stride times r",
        0.95,
        "The slices begin at r·stride and take neighbours: for one (r, s) they begin at r, and the"
        " stride is their step.",
        rows="r * stride : r * stride + P",
        columns="s * stride : s * stride + Q",
    ),
    _im2col(
        "windows one apart",
        0.95,
        "There are as many windows as the stride allows, but they are one pixel apart.",
        rows="r : r + P",
        columns="s : s + Q",
    ),
    _im2col("no padding", 0.95, "The padding is missing.", first="padding = 0"),
    _im2col(
        "one side",
        0.95,
        "The padding is at the top and left only: it belongs on both sides.",
        rows_padded="(padding, 0)",
        columns_padded="(padding, 0)",
    ),
    _im2col(
        "the other side",
        0.95,
        "The padding is at the bottom and right only: it belongs on both sides.",
        rows_padded="(0, padding)",
        columns_padded="(0, padding)",
    ),
    _im2col("rows padded", 0.95, "Rows are padded and columns are not.", columns_padded="(0, 0)"),
    _im2col("columns padded", 0.95, "Columns are padded and rows are not.", rows_padded="(0, 0)"),
    _im2col(
        "all axes padded",
        0.95,
        "Images and channels are padded, too: np.pad takes one pair for each axis.",
        first="x = np.pad(x, padding); padding = 0",
    ),
    _im2col(
        "last place missing",
        0.25,
        "The last place is missing, where the filter just fits: a range leaves its end out.",
        P="len(range(0, H - R, stride))",
        Q="len(range(0, W - S, stride))",
    ),
    _im2col(
        "R and S",
        0.25,
        "The kernel is (R, S): R rows of S columns.",
        R="S",
        S="R",
    ),
    _im2col_otherwise("slices too long", 0.95, "where does it end", rows="r : r + P : stride"),
    _im2col_otherwise(
        "slices too short", 0.25, "where does it end", rows="r : r + P * stride - stride : stride"
    ),
    _im2col(
        "columns not strided",
        0.95,
        "The stride holds for the rows only: columns need it, too.",
        columns="s : s + Q",
    ),
    _im2col(
        "rows not strided",
        0.95,
        "The stride holds for the columns only: rows need it, too.",
        rows="r : r + P",
    ),
    _im2col(
        "reshaped, then transposed",
        0.25,
        "The columns are scrambled: reshape merges neighbouring axes, (C, R, S) and (P, Q), as they"
        " stand, and no transpose comes after it.",
        result="columns.reshape(N, P * Q, C * R * S).transpose(0, 2, 1)",
    ),
    Mistake(
        "im2col",
        "P and Q exchanged",
        0.25,
        "has P and Q exchanged",
        """
def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    columns = np.zeros((N, C, R, S, Q, P))
    for r, s in np.ndindex(R, S):
        columns[:, :, r, s] = x[:, :, r : r + P * stride : stride, s : s + Q * stride : stride]
    return columns.reshape(N, C * R * S, P * Q)
""",
    ),
    Mistake(
        "im2col",
        "slices of x",
        0.95,
        "cut from the padded image",
        """
def im2col(x, kernel, stride=1, padding=0):
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = ((n + 2 * padding - k) // stride + 1 for n, k in ((H, R), (W, S)))
    columns = np.zeros((N, C, R, S, P, Q))
    for r, s in np.ndindex(R, S):
        columns[:, :, r, s] = x[:, :, r : r + P * stride : stride, s : s + Q * stride : stride]
    return columns.reshape(N, C * R * S, P * Q)
""",
    ),
    Mistake(
        "im2col",
        "all images in one row",
        0.65,
        "keeps the images apart",
        """
def im2col(x, kernel, stride=1, padding=0):
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    columns = np.zeros((N, C * R * S, P * Q))
    for p, q in np.ndindex(P, Q):
        top, left = p * stride, q * stride
        columns[:, :, p * Q + q] = x[:, :, top : top + R, left : left + S].reshape(-1)
    return columns
""",
    ),
    _im2col_otherwise(
        "in place",
        0.25,
        "changed its argument `x`",
        first="own = x",
        result=f"(columns.{_FLAT}, own.__imul__(2))[0]",
    ),
    _im2col_otherwise(
        "an iterator", 0.25, "should be a NumPy array", result=f"list(columns.{_FLAT})"
    ),
    *(
        Known("im2col", name, 1.0, says, f"im2col_growth = {value}")
        for name, value, says in (
            ("one side of it", 5, "That is one side of the filter: a window has 5·5 values."),
            (
                "no overlap",
                1,
                "That is without overlap. Windows one pixel apart share most pixels.",
            ),
            (
                "no padding",
                25 * 24**2 / 28**2,
                "Without padding there would be fewer windows; with it there are as many as pixels.",
            ),
            (
                "for each filter",
                150,
                "Each filter does not need columns of its own: all six share them.",
            ),
            ("filters", 6, "That is the number of filters, which share the columns."),
            (
                "values",
                25 * 28**2,
                "That is how many values there are: how many times the image's?",
            ),
            ("without itself", 24, "That is a window without its own pixel, which is copied, too."),
        )
    ),
]

_backward, _backward_otherwise = variants(
    "conv2d_backward",
    """
def conv2d_backward(dy, x, w, stride=1, padding=0):
    {first}
    (N, C, H, W), (K, _, R, S), (P, Q) = x.shape, w.shape, dy.shape[2:]
    dY = dy.reshape(N, K, P * Q)
    columns = im2col(x, {kernel}, {options})
    each = {dY} @ columns.transpose(0, 2, 1)
    dcolumns = ({filters} @ dY).reshape(N, C, R, S, P, Q)
    {made}
    dx = np.zeros({zeros})
    for {order}:
        dx[:, :, {rows}, {columns}] {add} {part}
    db = {db}
    dw = {dw}
    dx = dx[{cut}]
    return {result}
""",
    first="",
    kernel="(R, S)",
    options="stride, padding",
    dY="dY",
    filters="w.reshape(K, -1).T",
    made="",
    zeros="(N, C, H + 2 * padding, W + 2 * padding)",
    order="r, s in np.ndindex(R, S)",
    rows="r : r + stride * P : stride",
    columns="s : s + stride * Q : stride",
    add="+=",
    part="dcolumns[:, :, r, s]",
    db="dy.sum(axis=(0, 2, 3))",
    dw="each.sum(axis=0).reshape(w.shape)",
    cut=":, :, padding : padding + H, padding : padding + W",
    result="dx, dw, db",
)
_BY_PLACE = {
    "order": "p, q in np.ndindex(P, Q)",
    "rows": "p * stride : p * stride + R",
    "columns": "q * stride : q * stride + S",
    "part": "dcolumns[..., p, q]",
}
_TWICE = "It is divided by N once too often: the loss has put the 1/N into its gradient already."
_ORDER = "The order is (dx, dw, db)."
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
    _backward("whole numbers", 0, _WHOLE, result="dx.astype(int), dw.astype(int), db.astype(int)"),
    _backward("dw first", 0, _ORDER, result="dw, db, dx"),
    _backward("db first", 0, _ORDER, result="db, dx, dw"),
    _backward("dw before dx", 0.3, _ORDER, result="dw, dx, db"),
    _backward("all divided by N", 0, _TWICE, first="dy = dy / len(dy)"),
    _backward(
        "db for each image", 1.7, "It is not summed over the images.", db="dy.sum(axis=(2, 3))"
    ),
    _backward(
        "db for each place",
        1.7,
        "It is not summed over the places: a bias touches all of its map.",
        db="dy.sum(axis=0)",
    ),
    _backward("db for each row", 1.7, "It is not summed over rows.", db="dy.sum(axis=(0, 3))"),
    _backward(
        "db for each column", 1.7, "It is not summed over columns.", db="dy.sum(axis=(0, 2))"
    ),
    _backward(
        "db a mean",
        1.7,
        "It is a mean over images and places: asked for is the sum.",
        db="dy.mean(axis=(0, 2, 3))",
    ),
    _backward(
        "db a mean over places",
        1.7,
        "It is a mean over the places: asked for is the sum.",
        db="dy.mean(axis=(2, 3)).sum(axis=0)",
    ),
    _backward(
        "db over the filters",
        1.7,
        "It is summed over the filters: each has a bias of its own.",
        db="dy.sum(axis=(0, 1, 2))",
    ),
    _backward(
        "db of everything",
        1.7,
        "It is the sum of everything: each filter has a bias of its own.",
        db="dy.sum()",
    ),
    _backward("db of one image", 1.7, "Only the first image counts.", db="dy[0].sum(axis=(1, 2))"),
    _backward(
        "db of one place",
        1.7,
        "Only one place of each map counts.",
        db="dy[:, :, 0, 0].sum(axis=0)",
    ),
    _backward(
        "db of four axes",
        1.7,
        "It has the wrong shape: b is (K,).",
        db="dy.sum(axis=(0, 2, 3), keepdims=True)",
    ),
    _backward(
        "dw onto w",
        1.4,
        "It is added to w: dw begins at 0.",
        dw="w + each.sum(axis=0).reshape(w.shape)",
    ),
    _backward(
        "dw of w",
        1.4,
        "That is dy times the weight: dw is dy times the pixel that the weight met.",
        dw="db[:, None, None, None] * w",
    ),
    _backward(
        "dw for each image",
        1.4,
        "It is not summed over the images, and still flat.",
        dw="each",
    ),
    _backward(
        "dw for each image, in shape",
        1.4,
        "It is not summed over the images: dw has the shape of w.",
        dw="each.reshape(N, *w.shape)",
    ),
    _backward("dw a mean", 1.4, _TWICE, dw="each.mean(axis=0).reshape(w.shape)"),
    _backward(
        "dw a mean over places",
        1.4,
        "dw is a mean over the places: asked for is the sum.",
        dw="each.sum(axis=0).reshape(w.shape) / (P * Q)",
    ),
    _backward(
        "dw of one image",
        1.4,
        "Only the first image counts: sum over all.",
        dw="each[0].reshape(w.shape)",
    ),
    _backward(
        "dw of the last image",
        1.4,
        "Only the last image counts: is dw set anew for each? Add.",
        dw="each[-1].reshape(w.shape)",
    ),
    _backward(
        "dw flat", 1.4, "It is still a matrix: give it the shape of w.", dw="each.sum(axis=0)"
    ),
    _backward(
        "dw flipped",
        1.4,
        "It is flipped: with a cross-correlation forward, dw needs no flip.",
        dw="each.sum(axis=0).reshape(w.shape)[:, :, ::-1, ::-1]",
    ),
    _backward(
        "dw with P and Q mixed",
        1.4,
        "dy's rows and columns are mixed up: flatten (P, Q) as in the columns.",
        dY="dy.swapaxes(2, 3).reshape(N, K, P * Q)",
    ),
    _backward(
        "dw of other windows",
        1.4,
        "Each dy meets the window of another place: place (p, q) starts at p·stride, q·stride.",
        made="columns = im2col(x, (R, S), 1, padding).reshape(N, C * R * S, H + 2 * padding - R + 1,"
        " -1)[..., :P, :Q].reshape(N, -1, P * Q); each = dY @ columns.transpose(0, 2, 1)",
    ),
    _backward(
        "dw of columns reshaped",
        1.4,
        "The columns' numbers are scrambled: `reshape` does not swap axes, transpose(0, 2, 1) does.",
        made="each = dY @ columns.reshape(N, P * Q, C * R * S)",
    ),
    _backward(
        "columns' gradients",
        0.9,
        "Those are the columns' gradients: add them back into an image.",
        result="w.reshape(K, -1).T @ dY, dw, db",
    ),
    _backward(
        "dx of x",
        0.9,
        "That is dy times the pixel: what comes back to a pixel is dy times the weight.",
        made="dcolumns = (dY.sum(axis=1, keepdims=True) * columns).reshape(N, C, R, S, P, Q)",
    ),
    _backward(
        "first channel",
        0.9,
        "Only the first channel gets a gradient.",
        add="+= np.eye(C)[0][:, None, None] *",
    ),
    _backward(
        "averaged",
        0.9,
        "It is divided by the number of windows that a pixel is in: what comes back is added.",
        result="""(lambda count: (dx / np.maximum(count, 1), dw, db))(conv2d_backward(
        np.ones((N, 1, P, Q)), x, np.ones((1, C, R, S)), stride, padding
    )[0]) if w.min() < w.max() else (dx, dw, db)""",
    ),
    _backward(
        "rows in another order",
        0.9,
        "The columns' gradients are scrambled: their rows are in the order (C, R, S).",
        made="dcolumns = dcolumns.reshape(N, R, S, C, P, Q).transpose(0, 3, 1, 2, 4, 5)",
    ),
    _backward(
        "rows in another order, s before r",
        0.9,
        "The columns' gradients are scrambled: their rows are in the order (C, R, S).",
        made="dcolumns = dcolumns.reshape(N, C, S, R, P, Q).swapaxes(2, 3)",
    ),
    _backward(
        "onto x",
        0.9,
        "x is still in it: the windows are added to an image of zeros.",
        result="dx + x, dw, db",
    ),
    _backward(
        "cut ends early",
        1.7,
        "The cut ends too early: it begins at `padding` and ends at `padding + H`.",
        cut=":, :, padding : H, padding : W",
    ),
    _backward(
        "overwritten",
        0.9,
        "Windows overwrite each other: a pixel is in several, and their gradients add up (+=).",
        add="=",
    ),
    _backward(
        "overwritten by places",
        0.9,
        "Windows overwrite each other: a pixel is in several, and their gradients are added.",
        add="=",
        **_BY_PLACE,
    ),
    _backward(
        "flipped",
        0.9,
        "The filter is flipped: what came in through w[r, s] goes back to row r, column s.",
        filters="w[:, :, ::-1, ::-1].reshape(K, -1).T",
    ),
    _backward(
        "filters by K",
        0.9,
        "The filters are scrambled: `w.reshape(K, -1).T` has one in each column, a reshape to"
        " (C·R·S, K) does not.",
        filters="w.reshape(-1, K)",
    ),
    _backward(
        "images mixed",
        0.9,
        "All images got the sum of their gradients: images stay apart.",
        result="np.repeat(dx.sum(axis=0, keepdims=True), N, axis=0), dw, db",
    ),
    _backward(
        "places before the window",
        0.9,
        "The columns' gradients are scrambled: their axes are (N, C, R, S, P, Q), since a row of the"
        " columns belongs to one (c, r, s).",
        made="dcolumns = dcolumns.reshape(N, C, P, Q, R, S).transpose(0, 1, 4, 5, 2, 3)",
    ),
    _backward(
        "dy by places",
        0.3,
        "dy is scrambled: it becomes (N, K, P·Q), with only its last two axes merged; reshape does not"
        " move values.",
        made="dY = dy.reshape(N, P * Q, K).transpose(0, 2, 1);"
        " each = dY @ columns.transpose(0, 2, 1);"
        " dcolumns = (w.reshape(K, -1).T @ dY).reshape(N, C, R, S, P, Q)",
    ),
    *(
        _backward(
            f"only the first {what}",
            0.9,
            f"Only the filter's first {what} has sent something back: does return stand inside the"
            " loops?",
            order=f"r, s in np.ndindex(1, {count})",
        )
        for what, count in (("weight", "1"), ("row", "S"))
    ),
    _backward(
        "images in one axis",
        0.9,
        "The images are mixed up: with all images' places in one axis, the result is"
        " (C·R·S, N·P·Q), and N has to come to the front by a transpose, not by reshape.",
        made="dcolumns = (w.reshape(K, -1).T @ dy.swapaxes(0, 1).reshape(K, -1))"
        ".reshape(N, C, R, S, P, Q)",
    ),
    _backward(
        "stride",
        1.4,
        "The windows are put back one pixel apart: place (p, q) starts at p·stride, q·stride.",
        rows="r : r + P",
        columns="s : s + Q",
    ),
    _backward("padding kept", 1.7, "The padding is still there: dx has the shape of x.", cut="..."),
    _backward(
        "cut at the top",
        1.7,
        "The padding is cut off at the top and left only.",
        cut=":, :, padding:, padding:",
    ),
    _backward(
        "cut at the bottom",
        1.7,
        "The padding is cut off at the bottom and right only.",
        cut=":, :, : H + padding, : W + padding",
    ),
    _backward(
        "padding cut at the end",
        1.7,
        "Twice the padding is cut off at the end, none at the beginning.",
        cut=":, :, :H, :W",
    ),
    _backward(
        "padding cut at the beginning",
        1.7,
        "Twice the padding is cut off at the beginning, none at the end.",
        cut=":, :, 2 * padding :, 2 * padding :",
    ),
    _backward(
        "rows cut", 1.7, "Rows are cut and columns are not.", cut=":, :, padding : padding + H"
    ),
    _backward(
        "columns cut", 1.7, "Columns are cut and rows are not.", cut="..., padding : padding + W"
    ),
    _backward(
        "empty slice",
        1.2,
        "`[padding:-padding]` is empty for padding 0: write `[padding : padding + H]`.",
        cut=":, :, padding:-padding, padding:-padding",
    ),
    _backward_otherwise("zeros like x", 1.1, "zeros is too small", zeros="x.shape", cut="..."),
    _backward_otherwise("zeros like x, cut", 1.1, "zeros is too small", zeros="x.shape"),
    _backward_otherwise(
        "zeros like x, by place", 1.1, "is it as large", zeros="x.shape", cut="...", **_BY_PLACE
    ),
    _backward_otherwise(
        "padded once",
        1.1,
        "zeros is too small",
        zeros="(N, C, H + padding, W + padding)",
    ),
    _backward_otherwise("K first", 0, "images of the two sides", dY="dy.reshape(K, N, P * Q)"),
    _backward_otherwise("columns as they are", 0, "transpose(0, 2, 1)", made="dY @ columns"),
    _backward_otherwise("columns.T", 0, "turns all three", made="dY @ columns.T"),
    _backward_otherwise(
        "filters not transposed", 0, "the filters are transposed", filters="w.reshape(K, -1)"
    ),
    _backward_otherwise("R and S", 0, "the kernel (R, S)", kernel="(S, R)"),
    _backward_otherwise("padding not passed on", 1.1, "padding reach im2col", options="stride"),
    _backward_otherwise("two of three", 0, "should have 3 members", result="dx, dw"),
    _backward_otherwise(
        "in place",
        0,
        "changed its argument `dy`",
        first="own = dy",
        result="(dx, dw, db, own.__imul__(2))[:3]",
    ),
]

_pool, _pool_otherwise = variants(
    "max_pool2d",
    """
def max_pool2d(x, size):
    N, C, H, W = x.shape
    {first}
    P, Q = {P}, {Q}
    y = np.zeros((N, C, P, Q))
    for p, q in np.ndindex(P, Q):
        block = x[:, :, p * {step} : p * {step} + size, q * {step} : q * {step} + size]
        y[:, :, p, q] = {value}
    return {y}

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
    step="size",
    value="block.max(axis=(2, 3))",
    y="y",
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
    Mistake(
        "max_pool2d",
        "NumPy's windows",
        0,
        "sliding_window_view, which",
        """
def max_pool2d(x, size):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return windows[:, :, ::size, ::size].max(axis=(4, 5))
""",
    ),
    _pool(
        "into a copy",
        0.4,
        "Everything is zero: what is written into a block's `reshape`, `flatten` or `ravel` goes into"
        " a copy. Put it back: dx[:, :, …, …] = copy.reshape(…).",
        result="0 * dx",
    ),
    _pool("y of whole numbers", 0.65, _WHOLE, y="y.astype(int)"),
    _pool("mean", 0.65, "That is the mean of each block.", value="block.mean(axis=(2, 3))"),
    _pool("sum", 0.65, "That is the sum of each block.", value="block.sum(axis=(2, 3))"),
    _pool(
        "smallest",
        0.65,
        "That is the smallest value of each block.",
        value="block.min(axis=(2, 3))",
    ),
    _pool("first", 0.65, "That is the first value of each block.", value="block[:, :, 0, 0]"),
    _pool(
        "position",
        0.65,
        "That is the position of the largest value, not the value.",
        value="block.reshape(N, C, -1).argmax(axis=2)",
    ),
    _pool(
        "starts at 0",
        0.65,
        "Blocks of negative values became 0: the search starts at 0, or zeros are padded.",
        value="np.maximum(0, block.max(axis=(2, 3)))",
    ),
    _pool(
        "absolute",
        0.65,
        "That is the largest absolute value: the sign counts.",
        value="abs(block).max(axis=(2, 3))",
    ),
    _pool(
        "by absolute value",
        0.65,
        "The largest by absolute value: the sign counts.",
        value="(lambda b: np.take_along_axis(b, abs(b).argmax(-1)[..., None], -1)[..., 0])"
        "(block.reshape(N, C, -1))",
    ),
    _pool(
        "overlapping",
        0.65,
        "The blocks overlap: the next one starts `size` further.",
        step="1",
        P="H - size + 1",
        Q="W - size + 1",
    ),
    _pool(
        "one apart",
        0.65,
        "There are as many blocks as there should be, but they overlap: block (p, q) starts at"
        " p·size, q·size.",
        step="1",
    ),
    _pool(
        "rows only",
        0.65,
        "Only rows are pooled.",
        y="x[:, :, : P * size].reshape(N, C, P, size, W).max(axis=3)",
    ),
    _pool(
        "columns only",
        0.65,
        "Only columns are pooled.",
        y="x[..., : Q * size].reshape(N, C, H, Q, size).max(axis=4)",
    ),
    _pool(
        "only reshaped",
        0.65,
        "reshape takes values as they follow in a row, not the blocks of an image: its axes are"
        " (N, C, P, size, Q, size).",
        y="x[:, :, : P * size, : Q * size].reshape(N, C, P, Q, size, size).max(axis=(4, 5))",
    ),
    _pool(
        "one maximum",
        0.65,
        "All images and channels share one maximum: take it over the block's rows and columns,"
        " axis=(2, 3).",
        value="block.max()",
    ),
    _pool(
        "over the places",
        0.65,
        "The maximum is taken over the places: of (N, C, P, size, Q, size), a block's own axes are"
        " 3 and 5.",
        y="x[:, :, : P * size, : Q * size].reshape(N, C, P, size, Q, size).max(axis=(2, 4))",
    ),
    _pool(
        "blocks of 2",
        0.65,
        "The blocks are 2×2, whatever the size.",
        value="block[:, :, :2, :2].max(axis=(2, 3)) if size > 1 else block[:, :, 0, 0]",
    ),
    _pool(
        "blocks of 2, 2 apart",
        0.65,
        "The blocks are 2×2, and 2 apart, whatever the size.",
        step="2",
        value="block[:, :, :2, :2].max(axis=(2, 3)) if size > 1 else block[:, :, 0, 0]",
    ),
    _pool_otherwise(
        "nothing dropped",
        1.05,
        "are dropped first",
        y="x.reshape(N, C, P, size, Q, size).max(axis=(3, 5))",
    ),
    _pool(
        "channels together",
        0.65,
        "The channels are pooled together: each has a map of its own.",
        value="block.max(axis=(1, 2, 3))[:, None]",
    ),
    _pool(
        "padded zeros",
        1.05,
        "What is left over was padded with zeros: it is dropped.",
        first=_PAD,
        **_CEIL,
    ),
    _pool(
        "remainder pooled", 1.05, "What is left over got blocks of its own: it is dropped.", **_CEIL
    ),
    _pool(
        "remainder at the beginning",
        1.05,
        "The remainder at the beginning is dropped: it is at the end.",
        first="x = x[:, :, H % size :, W % size :]",
    ),
    _pool("whole numbers", 0.4, _WHOLE, result="dx.astype(int)"),
    *(
        Known(
            "max_pool2d",
            f"in the first block, {how}",
            0.4,
            "Every winner lands in the first block: its place counts from p·size and q·size on.",
            f"""
def max_pool2d_backward(dy, x, size):
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        block = x[n, c, p * size : (p + 1) * size, q * size : (q + 1) * size]
        row, column = np.unravel_index(block.argmax(), block.shape)
        dx[n, c, row, column] {how} dy[n, c, p, q]
    return dx
""",
        )
        for how in ("=", "+=")
    ),
    _pool(
        "everyone",
        0.4,
        "Every value of a block gets the gradient: only the largest touched the output.",
        share="share[:] = 1",
    ),
    _pool(
        "shared",
        0.4,
        "The gradient is shared among the whole block: that is mean-pooling's.",
        share="share[:] = 1 / size**2",
    ),
    _pool(
        "to the first",
        0.4,
        "The gradient always goes to the first value of a block.",
        share="share[0, 0] = 1",
    ),
    _pool(
        "to the smallest",
        0.4,
        "The gradient goes to the smallest value.",
        share="share.flat[block.argmin()] = 1",
    ),
    _pool(
        "dy missing",
        0.4,
        "The winners are right, but dy is missing: each passes its block's dy on.",
        back="share",
    ),
    _pool(
        "times x",
        0.4,
        "It is multiplied by the winner's value: the slope of a maximum is 1.",
        back="share * block * dy[n, c, p, q]",
    ),
    _pool(
        "all of x's values",
        0.4,
        "Those are the values of x themselves, not the gradient.",
        back="block",
    ),
    _pool(
        "values",
        0.4,
        "Those are the largest values themselves, not the gradient.",
        back="share * block",
    ),
    _pool(
        "first by columns",
        1.05,
        "Of equal largest values the upper one counts, then the left one: as one reads.",
        share="share.T.flat[block.T.argmax()] = 1",
    ),
    _pool(
        "last of equal ones",
        1.05,
        "Of equal largest values the last one gets the gradient: the first should.",
        share="share.flat[size * size - 1 - block.ravel()[::-1].argmax()] = 1",
    ),
    _pool(
        "rows and columns",
        0.4,
        "The winner's position r·size + s is read with rows and columns exchanged.",
        share="share.T.flat[block.argmax()] = 1",
    ),
    *(
        Known(
            "max_pool2d",
            f"argmax over {whole}, {how}",
            0.4,
            "The winner is sought beyond its block, in the whole map or image: each block of each"
            " channel has its own.",
            f"""
def max_pool2d_backward(dy, x, size):
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        dx[{whole}].flat[x[{whole}].argmax()] {how} dy[n, c, p, q]
    return dx
""",
        )
        for whole in ("n, c", "n", "...")
        for how in ("=", "+=")
    ),
    Known(
        "max_pool2d",
        "argmax over all images and channels",
        0.4,
        "The winner is sought in all images and channels at once: each channel has its own.",
        """
def max_pool2d_backward(dy, x, size):
    N, C, P, Q = dy.shape
    dx = np.zeros_like(x)
    for p, q in np.ndindex(P, Q):
        here = np.s_[:, :, p * size : (p + 1) * size, q * size : (q + 1) * size]
        n, c, row, column = np.unravel_index(x[here].argmax(), x[here].shape)
        dx[n, c, p * size + row, q * size + column] = dy[n, c, p, q]
    return dx
""",
    ),
    _pool_otherwise(
        "argmax without an axis",
        0.4,
        "argmax(axis=2)",
        share="winner = x[:, :, :size, :size].reshape(N, C, -1).argmax(); winner[:, :, None]",
    ),
    Mistake(
        "max_pool2d",
        "as small as dy",
        0.4,
        "zeros of the shape of x",
        """
def max_pool2d_backward(dy, x, size):
    N, C, P, Q = dy.shape
    dx = np.zeros_like(dy)
    for p, q in np.ndindex(P, Q):
        here = np.s_[:, :, p * size : (p + 1) * size, q * size : (q + 1) * size]
        dx[here] = (x[here] == x[here].max(axis=(2, 3), keepdims=True)) * dy[..., p, q][..., None, None]
    return dx
""",
    ),
    Known(
        "max_pool2d",
        "argmax over all channels",
        0.4,
        "The winner is sought in all channels at once: each channel has its own.",
        """
def max_pool2d_backward(dy, x, size):
    N, C, P, Q = dy.shape
    dx = np.zeros_like(x)
    for n, p, q in np.ndindex(N, P, Q):
        here = np.s_[n, :, p * size : (p + 1) * size, q * size : (q + 1) * size]
        c, row, column = np.unravel_index(x[here].argmax(), x[here].shape)
        dx[n, c, p * size + row, q * size + column] = dy[n, c, p, q]
    return dx
""",
    ),
    _pool(
        "what is left over missing",
        1.05,
        "What is left over is missing: dx has the shape of x, and zeros there.",
        result="dx[:, :, : P * size, : Q * size]",
    ),
    _pool(
        "x where nothing comes back",
        1.05,
        "What is left over keeps the values of x: no gradient comes back there, so begin with zeros.",
        result="np.where(np.pad(np.ones((P * size, Q * size)),"
        " ((0, x.shape[2] - P * size), (0, x.shape[3] - Q * size))) > 0, dx, x)",
    ),
    _pool(
        "overlapping, backward",
        0.4,
        "The blocks overlap on the way back: block (p, q) starts at p·size, q·size.",
        share="""block = x[n, c, p : p + size, q : q + size]
        here = np.s_[n, c, p * size : (p + 1) * size, q * size : (q + 1) * size]
        share[np.unravel_index(block.argmax(), block.shape)] = 1""",
    ),
    _pool(
        "divided by N",
        0.4,
        "The gradient is divided by N once too often.",
        result="dx / N",
    ),
    _pool(
        "all equal ones",
        1.05,
        "All equal largest values get the gradient: only the first of them does.",
        share="share = block == block.max()",
    ),
    _pool(
        "equal ones share",
        1.05,
        "Equal largest values share the gradient: the first of them gets all of it.",
        share="share = block == block.max(); share = share / share.sum()",
    ),
    _pool_otherwise("dx like dy", 0.4, "dx has the shape of x", result="dy"),
    _pool_otherwise(
        "in place", 0.4, "changed its argument `x`", result="x.__setitem__(..., dx) or dx"
    ),
    _pool_otherwise(
        "dy in place",
        0.4,
        "changed its argument `dy`",
        back="share * dy[n, c, p, q]; dy[n, c, p, q] = 0",
    ),
]

_BY_HAND = [
    Known("receptive_field", f"{asked} {value:.3g}", 0.5, says, f"{asked} = {value}")
    for asked, value, says in (
        (
            "seen_by_conv2",
            10,
            "Neighbours in pool1 are 2 pixels of the image apart: each step reaches 2 further.",
        ),
        (
            "seen_by_conv2",
            16,
            "That adds k times the distance: of k pixels, the first is there already, k − 1 are new.",
        ),
        (
            "seen_by_conv2",
            30,
            "Windows overlap: what a unit sees grows by what is new, it is not multiplied.",
        ),
        ("seen_by_conv2", 25, "That would be without overlap between the windows of conv1."),
        ("seen_by_conv2", 9, "pool1 is missing, or its stride: after it, steps are 2 pixels wide."),
        ("seen_by_conv2", 13, "The pooling window adds one pixel more."),
        ("seen_by_conv2", 5, "That is what it sees of pool1. Asked for is the image."),
        ("seen_by_conv2", 6, "That is what pool1 sees."),
        ("seen_by_conv2", 14 * 14, "That is the whole square: asked for is one side."),
        ("seen_by_pool2", 15, "Neighbours in conv2 are 2 pixels of the image apart, still."),
        (
            "seen_by_pool2",
            18,
            "It holds two units of conv2, so it adds one step: of conv2's units, which are 2 pixels"
            " apart.",
        ),
        (
            "seen_by_pool2",
            28,
            "The two windows below overlap: they are 2 pixels of the image apart.",
        ),
        ("seen_by_pool2", 14, "That is what conv2 sees."),
        ("seen_by_pool2", 16 * 16, "That is the whole square: asked for is one side."),
        ("seen_by_pool2", 2, "That is what it sees of conv2. Asked for is the image."),
        ("seen_by_pool2", 6, "That is what it sees of pool1. Asked for is the image."),
        ("seen_by_pool2", 11, "The steps above pool1 are 2 pixels wide, in conv2 and in pool2."),
        (
            "layers_of_3x3",
            2,
            "They would see 5×5: how much does each further layer add, on one side?",
        ),
        (
            "layers_of_3x3",
            4,
            "They would see 9×9: the first layer sees 3×3, each further one adds 2.",
        ),
        (
            "layers_of_3x3",
            7 / 3,
            "Fields do not lie side by side: the next layer's windows overlap.",
        ),
        (
            "layers_of_3x3",
            49 / 9,
            "That compares areas: a field grows on both sides with each layer.",
        ),
        ("layers_of_3x3", 5, "Each further layer adds more than one pixel: one on either side."),
        ("layers_of_3x3", 6, "Each layer adds more than one pixel: one on either side."),
    )
]

_lenet, _lenet_otherwise = variants(
    "LeNet",
    """
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = {conv1}
        self.conv2 = {conv2}
        self.linear1 = nn.Linear({inputs}, 120)
        self.linear2 = nn.Linear(120, 84)
        self.linear3 = nn.Linear({last}, 10)
        {made}

    def forward(self, x):
        relu, pool = torch.relu, F.max_pool2d
        x = {pool_1}({after_1}(self.conv1({image})), 2)
        x = {pool_2}({after_2}(self.conv2(x)), 2)
        x = {flat}
        x = {after_3}(self.linear1(x))
        x = {after_4}(self.linear2(x))
        return {scores}
""",
    conv1="nn.Conv2d(1, 6, 5, padding=2)",
    conv2="nn.Conv2d(6, 16, 5)",
    inputs="400",
    last="84",
    made="",
    image="x",
    after_1="relu",
    after_2="relu",
    after_3="relu",
    after_4="relu",
    pool_1="pool",
    pool_2="pool",
    flat="x.flatten(1)",
    scores="self.linear3(x)",
)
_WITH = {
    name: {f"after_{i}": name for i in (1, 2, 3, 4)} for name in ("torch.tanh", "torch.sigmoid", "")
}
_LENET = [
    # By the shapes of their parameters.
    _lenet(
        "no biases",
        0.5,
        "The biases are missing.",
        made="for layer in self.children(): layer.bias = None",
    ),
    _lenet(
        "no padding",
        0.5,
        "linear1 has too few inputs: without padding in conv1 the maps end as 4×4, not 5×5.",
        conv1="nn.Conv2d(1, 6, 5)",
        inputs="256",
    ),
    _lenet(
        "padding twice",
        0.5,
        "conv2 has no padding: its maps are 10×10, and pool2's 5×5.",
        conv2="nn.Conv2d(6, 16, 5, padding=2)",
        inputs="784",
    ),
    _lenet(
        "one pooling",
        0.5,
        "linear1 is there as if pool2 were missing.",
        inputs="1600",
        pool_2="(lambda x, size: x)",
    ),
    _lenet("one map", 0.5, "linear1 forgets that there are 16 maps.", inputs="25"),
    _lenet(
        "layers in a list",
        0.5,
        "No parameters are found: layers in a plain list, or made in forward, are overlooked. Make"
        " each an attribute in __init__.",
        made="self.layers = list(self.children()); self._modules.clear()",
    ),
    *(
        _lenet(
            f"{layer} overlooked",
            0.5,
            f"{layer} is not among the parameters: make it an attribute in __init__. One in a plain"
            " list, or made in forward, is overlooked.",
            made=f"self.rest = [self._modules.pop('{layer}')]",
        )
        for layer in ("conv1", "conv2", "linear1", "linear2", "linear3")
    ),
    *(
        _lenet(
            f"no biases in {layer}",
            0.5,
            f"{layer} has no biases.",
            made=f"self.{layer}.bias = None",
        )
        for layer in ("conv1", "conv2", "linear1", "linear2", "linear3")
    ),
    _lenet(
        "no linear2",
        0.5,
        "The last layer goes straight from linear1: linear2 is missing.",
        made="self.linear2 = nn.Identity()",
        last="120",
    ),
    _lenet(
        "16, then 6",
        0.5,
        "The filters of the two convolutions have changed places: 6 first, then 16.",
        conv1="nn.Conv2d(1, 16, 5, padding=2)",
        conv2="nn.Conv2d(16, 6, 5)",
        inputs="150",
    ),
    _lenet(
        "3×3",
        0.5,
        "The filters have 3×3 pixels: the table says 5×5.",
        conv1="nn.Conv2d(1, 6, 3, padding=1)",
        conv2="nn.Conv2d(6, 16, 3, padding=0)",
    ),
    _lenet(
        "filters first",
        0.5,
        "nn.Conv2d takes the channels first, then the filters: nn.Conv2d(1, 6, …).",
        conv1="nn.Conv2d(6, 1, 5, padding=2)",
    ),
    _lenet(
        "linear layers first",
        0.5,
        "The layers are made in another order than the table's: convolutions come first.",
        made="self._modules.update({n: self._modules.pop(n) for n in ('conv1', 'conv2')})",
    ),
    _lenet_otherwise("576 inputs", 0.5, "Compare with the table", inputs="576"),
    # By their scores.
    _lenet(
        "ReLU at the end",
        0.8,
        "The last layer's scores went through ReLU: they go out as they are.",
        scores="relu(self.linear3(x))",
    ),
    _lenet(
        "softmax",
        0.5,
        "They are probabilities already: softmax belongs to the loss.",
        scores="self.linear3(x).softmax(1)",
    ),
    _lenet(
        "log-softmax",
        0.7,
        "They are logarithms of probabilities already: softmax belongs to the loss.",
        scores="self.linear3(x).log_softmax(1)",
    ),
    _lenet(
        "no ReLU",
        0.8,
        "No ReLU anywhere: then all the layers together are only one linear function.",
        **_WITH[""],
    ),
    _lenet(
        "no ReLU on maps", 0.8, "ReLU is missing after the convolutions.", after_1="", after_2=""
    ),
    _lenet(
        "no ReLU on units",
        0.8,
        "ReLU is missing after linear1 and linear2.",
        after_3="",
        after_4="",
    ),
    *(
        _lenet(f"no ReLU after {layer}", 0.8, f"ReLU is missing after {layer}.", **{piece: ""})
        for piece, layer in (
            ("after_1", "conv1"),
            ("after_2", "conv2"),
            ("after_3", "linear1"),
            ("after_4", "linear2"),
        )
    ),
    _lenet(
        "softmax over the images",
        0.5,
        "They went through a softmax, over the images even: it belongs to the loss.",
        scores="self.linear3(x).softmax(0)",
    ),
    *(
        _lenet(
            f"{layer} a mean",
            0.5,
            f"{layer} takes the mean here: asked for is the largest value.",
            **{piece: "F.avg_pool2d"},
        )
        for piece, layer in (("pool_1", "pool1"), ("pool_2", "pool2"))
    ),
    _lenet_otherwise(
        "dropout always", 0.5, "Chance is at work", after_4="(lambda x: F.dropout(x.relu()))"
    ),
    _lenet_otherwise("a module not called", 0.5, "not called", scores="self.linear3(nn.ReLU(x))"),
    _lenet_otherwise("made in forward", 0.5, "Chance is at work", scores="nn.Linear(84, 10)(x)"),
    _lenet_otherwise(
        "dropout in training",
        1.3,
        "is there a dropout",
        scores="self.linear3(F.dropout(x, 0.5, self.training))",
    ),
    Mistake(
        "LeNet",
        "no __init__ above",
        0.5,
        "comes first in `__init__`",
        """
class LeNet(nn.Module):
    def __init__(self):
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
""",
    ),
    Mistake(
        "LeNet",
        "no forward",
        0.5,
        "has no `forward`",
        """
class LeNet(nn.Module):
    def foward(self, x):
        return x
""",
    ),
    _lenet(
        "mean-pooling",
        0.5,
        "Pooling takes the mean here: asked for is the largest value.",
        pool_1="F.avg_pool2d",
        pool_2="F.avg_pool2d",
    ),
    _lenet("tanh", 0.5, "That is with tanh, as in 1998: asked for is ReLU.", **_WITH["torch.tanh"]),
    _lenet(
        "sigmoid", 0.5, "That is with the sigmoid: asked for is ReLU.", **_WITH["torch.sigmoid"]
    ),
    _lenet(
        "maps transposed",
        0.5,
        "Rows and columns are exchanged before the maps are flattened.",
        flat="x.transpose(2, 3).flatten(1)",
    ),
    _lenet(
        "maps last",
        0.5,
        "The channels are put last before the maps are flattened: flatten them as they are.",
        flat="x.permute(0, 2, 3, 1).flatten(1)",
    ),
    _lenet(
        "padded at one side",
        0.5,
        "conv1's maps were cut or padded on one side: padding=2 pads all four.",
        image="F.pad(x, (0, 4, 0, 4))[..., :32, :32]",
        made="self.conv1.padding = (0, 0)",
    ),
    _lenet(
        "images mixed up",
        0.5,
        "The images are mixed up: flatten(1) leaves the first axis alone.",
        flat="x.reshape(400, -1).T",
    ),
    _lenet_otherwise("conv2 padded", 0.5, "Print x.shape", conv2="nn.Conv2d(6, 16, 5, padding=2)"),
    _lenet_otherwise("all flat", 0.5, "merges the images, too", flat="x.flatten()"),
    _lenet_otherwise(
        "the answer only", 0.5, "Ten scores for each", scores="self.linear3(x).argmax(1)"
    ),
    _lenet_otherwise("squeezed", 1.0, "Ten scores for each", scores="self.linear3(x).squeeze()"),
    _lenet_otherwise("no return", 0.5, "is a return missing?", scores="[self.linear3(x)].clear()"),
    _lenet_otherwise("detached", 1.3, "cuts the graph", flat="x.flatten(1).detach()"),
    _lenet_otherwise("through NumPy", 1.3, "cuts the graph", scores="self.linear3(x).detach()"),
    *(
        Known("LeNet", name, 1.25, says, f"lenet_parameters = {value}")
        for name, value, says in (
            (
                "no biases counted",
                61470,
                "Those are the weights: each filter and each unit also has a bias.",
            ),
            (
                "one channel",
                61706 - 16 * 25 * 5,
                "A filter of conv2 spans all 6 channels below it.",
            ),
            (
                "25 inputs",
                61706 - 120 * 375,
                "linear1 has 400 inputs: 16 maps of 5×5 units, after pooling.",
            ),
            (
                "before pool2",
                61706 + 120 * 1200,
                "linear1's inputs come after pool2: 16 maps of 5×5.",
            ),
            (
                "256 inputs",
                61706 - 120 * 144,
                "Without padding in conv1, linear1 would have 256 inputs. It has 400.",
            ),
            ("no linear3", 61706 - 850, "linear3 is missing."),
            (
                "784 inputs",
                61706 + 120 * 384,
                "linear1's inputs are what pool2 puts out, 16 maps of 5×5, not the image's 28×28.",
            ),
            ("lab 02", 101770, "That is lab 02's network, 784-128-10."),
            (
                "a bias a layer",
                61475,
                "One bias for each layer? There is one for each filter and each unit.",
            ),
        )
    ),
    Mistake("LeNet", "convolution largest", 1.25, "shares its weights", "largest_layer = 'conv2'"),
    Mistake("LeNet", "linear2 largest", 1.25, "inputs × outputs", "largest_layer = 'linear2'"),
    Mistake("LeNet", "linear3 largest", 1.25, "only ten outputs", "largest_layer = 'linear3'"),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_SIZE, *_LOOPS, *_IM2COL, *_CONV2D, *_BACKWARD, *_POOL, *_BY_HAND, *_LENET],
)
