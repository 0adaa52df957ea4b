"""The answers of lab 05: the right ones, by the lab's own names, and what people get wrong.

Images are (N, C, H, W), filters (K, C, R, S), as in the lab.
"""

import math  # noqa: F401  rows use it
import sys

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from torch import nn  # noqa: F401

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


TWICE = "It is divided by N once too often: the loss has put the 1/N into its gradient already."

WHOLE = "The fractions are cut off: is the result an array of int?"


def old_im2col(x, kernel, stride, padding):
    (R, S), (N, C) = kernel, x.shape[:2]

    def flat(windows):
        n, c, r, s, p, q = windows.shape
        return windows.reshape(n, c * r * s, p * q)

    def of(x, stride):
        return flat(_windows(x, R, S, stride))

    x, bare, p = _padded(x, (padding, padding), (padding, padding)), x, padding
    windows = _windows(x, R, S, stride)
    right, (P, Q) = flat(windows), windows.shape[4:]
    count = (N, C * R * S, P * Q)
    by_p, first = np.zeros(count), np.zeros(count)
    for p_, q_ in np.ndindex(P, Q):
        by_p[..., min(p_ * P + q_, P * Q - 1)] = right[..., p_ * Q + q_]
    first[0] = right[0]
    return right, {
        WHOLE: np.trunc(right),
        "The columns are numbered p·P + q: a row of places is Q long, so it is p·Q + q.": by_p,
        "Only the first image is there.": first,
        "It is transposed: a column is one window, a row is one weight.": right.transpose(0, 2, 1),
        "The channels come last in a column: the order is (C, R, S).": windows.transpose(
            0, 2, 3, 1, 4, 5
        ).reshape(count),
        "Rows and columns of each window have changed places: s changes faster than r.": windows.transpose(
            0, 1, 3, 2, 4, 5
        ).reshape(count),
        "The places go down the columns: q changes faster than p.": windows.transpose(
            0, 1, 2, 3, 5, 4
        ).reshape(count),
        "The windows' values are scrambled: reshape does not move values, so bring the axes into"
        " the order (N, C, R, S, P, Q) first.": windows.transpose(0, 1, 4, 5, 2, 3).reshape(count),
        "The windows' values are scrambled: bring the axes into the order (N, C, R, S, P, Q)"
        " before reshaping.": windows.transpose(0, 4, 5, 1, 2, 3).reshape(count),
        "Each window is flipped.": flat(windows[:, :, ::-1, ::-1]),
        "The axes are not merged yet: (N, C·R·S, P·Q).": windows,
        "The axes are neither in order nor merged: first (N, C, R, S, P, Q), then (N, C·R·S, P·Q).": windows.transpose(
            0, 1, 4, 5, 2, 3
        ),
        "The channels are not merged yet: (N, C·R·S, P·Q).": right.reshape(N, C, R * S, P * Q),
        "The images are merged, too: they stay apart, in the first axis.": right.transpose(
            1, 0, 2
        ).reshape(C * R * S, N * P * Q),
        "The stride is not used.": of(x, 1),
        "The stride holds for the rows only.": of(x, (stride, 1)),
        "The stride holds for the columns only.": of(x, (1, stride)),
        "There are as many windows as the stride allows, but they are one pixel apart.": flat(
            _windows(x, R, S, 1)[..., :P, :Q]
        ),
        "The padding is missing.": of(bare, stride),
        "The padding is at the top and left only: it belongs on both sides.": of(
            _padded(bare, (p, 0), (p, 0)), stride
        ),
        "The padding is at the bottom and right only: it belongs on both sides.": of(
            _padded(bare, (0, p), (0, p)), stride
        ),
        "Rows are padded and columns are not.": of(_padded(bare, (p, p), (0, 0)), stride),
        "Columns are padded and rows are not.": of(_padded(bare, (0, 0), (p, p)), stride),
        "The last place is missing, where the filter just fits: a range leaves its end out.": flat(
            windows[..., : _short(x, R, stride, 0, 2), : _short(x, S, stride, 0, 3)]
        ),
        "Every image got the first image's windows.": np.repeat(right[:1], N, axis=0),
        "Only the first channel is there.": of(x[:, :1], stride),
    }


def im2col_growth():
    return 25, {
        "That is one side of the filter: a window has 5·5 values.": 5,
        "That would be without overlap. Windows one pixel apart share most of their pixels.": 1,
        "Without padding there would be fewer windows; with it there are as many as pixels.": 25
        * 24**2
        / 28**2,
        "Each filter does not need columns of its own: all six share them.": 150,
        "That is the number of filters, which share the columns.": 6,
        "That is how many values there are: how many times the image's?": 25 * 28**2,
        "That is a window without its own pixel, which is copied as well.": 24,
    }


def conv2d_backward(dy, x, w, stride, padding):
    """(dx, dw, db), three pairs of right and known."""
    return _dx(dy, x, w, stride, padding), _dw(dy, x, w, stride, padding), _db(dy)


def _db(dy):
    N, _, P, Q = dy.shape
    right = dy.sum(axis=(0, 2, 3))
    return right, {
        WHOLE: np.trunc(right),
        "It is not summed over the images.": dy.sum(axis=(2, 3)),
        "It is not summed over the places: a bias touches all of its map.": dy.sum(axis=0),
        "It is not summed over rows.": dy.sum(axis=(0, 3)),
        "It is not summed over columns.": dy.sum(axis=(0, 2)),
        TWICE: right / N,
        "It is a mean over images and places: asked for is the sum.": right / (N * P * Q),
        "It is a mean over the places: asked for is the sum.": right / (P * Q),
        "It is the sum of everything: each filter has a bias of its own.": dy.sum(),
        "Only the first image counts.": dy[0].sum(axis=(1, 2)),
        "Only one place of each map counts.": dy[:, :, 0, 0].sum(axis=0),
        "It has the wrong shape: b is (K,).": dy.sum(axis=(0, 2, 3), keepdims=True),
    }


def _dw(dy, x, w, stride, padding):
    p, (N, K, P, Q), (R, S) = padding, dy.shape, w.shape[2:]
    padded = _padded(x, (p, p), (p, p))

    def meet(windows):
        return np.einsum("nkpq,ncrspq->kcrs", dy, windows)

    windows = _windows(padded, R, S, stride)
    each = np.einsum("nkpq,ncrspq->nkcrs", dy, windows)
    right = each.sum(axis=0)
    known = {
        WHOLE: np.trunc(right),
        "It is added to w: dw begins at 0.": right + w,
        "That is dy times the weight: dw is dy times the pixel that the weight met.": dy.sum(
            axis=(0, 2, 3)
        )[:, None, None, None]
        * w,
        "It is not summed over the images: dw has the shape of w.": each,
        "It is not summed over the images, and still flat.": each.reshape(N, K, -1),
        TWICE: right / N,
        "Only the first image counts: sum over all.": each[0],
        "Only the last image counts: is dw set anew for each? Add.": each[-1],
        "It is a mean over the places: asked for is the sum.": right / (P * Q),
        "It is flipped: with a cross-correlation forward, dw needs no flip.": right[
            :, :, ::-1, ::-1
        ],
        "It is still a matrix: give it the shape of w.": right.reshape(K, -1),
        "Filters and channels have changed places: dw has the shape of w.": right.transpose(
            1, 0, 2, 3
        ),
        "Each dy meets the window of another place: place (p, q) starts at p·stride, q·stride.": meet(
            _windows(padded, R, S, 1)[..., :P, :Q]
        ),
        "dy's rows and columns are mixed up: flatten (P, Q) as in the columns.": np.einsum(
            "nkj,ncrsj->kcrs",
            dy.transpose(0, 1, 3, 2).reshape(N, K, -1),
            windows.reshape(*windows.shape[:4], -1),
        ),
    }
    if right.shape[0] == right.shape[1]:
        known["It is transposed in filter and channel: dw[k, c]."] = right.transpose(1, 0, 2, 3)
    return right, known


def _dx(dy, x, w, stride, padding):
    p, (N, C, H, W), (K, _, R, S), (P, Q) = padding, x.shape, w.shape, dy.shape[2:]

    def cut(image):
        return image[:, :, p : p + H, p : p + W]

    mixed = w.reshape(K, -1).T @ dy.transpose(1, 0, 2, 3).reshape(K, -1)
    whole = _added_back(dy, x, w, stride, p)
    right = cut(whole)
    met = _windows(_padded(x, (p, p), (p, p)), R, S, stride)
    by_pixel = np.einsum("nkpq,ncrspq->ncrspq", dy, met)
    first = right * (np.arange(C) == 0)[:, None, None]
    known = {
        TWICE: right / N,
        WHOLE: np.trunc(right),
        "That is dy times the pixel: what comes back to a pixel is dy times the weight.": cut(
            _summed(by_pixel, x, stride, p)
        ),
        "Only the first channel gets a gradient.": first,
        "Those are the columns' gradients: add them back into an image.": w.reshape(K, -1).T
        @ dy.reshape(N, K, P * Q),
        "The filter is flipped: what came in through w[r, s] goes back to row r, column s.": cut(
            _added_back(dy, x, w[:, :, ::-1, ::-1], stride, p)
        ),
        "Windows overwrite each other: a pixel is in several, and their gradients add up (+=).": cut(
            _written_back(dy, x, w, stride, p, by_weight=True)
        ),
        "Windows overwrite each other: a pixel is in several, and their gradients are added.": cut(
            _written_back(dy, x, w, stride, p, by_weight=False)
        ),
        "The windows are put back one pixel apart: place (p, q) starts at p·stride, q·stride.": cut(
            _added_back(dy, x, w, 1, p)
        ),
        "The images are mixed up: with all images' places in one axis, the result is"
        " (C·R·S, N·P·Q), and N has to come to the front by a transpose, not by reshape.": cut(
            _summed(mixed.reshape(N, C, R, S, P, Q), x, stride, p)
        ),
        "All images got the sum of their gradients: images stay apart.": np.repeat(
            right.sum(axis=0, keepdims=True), N, axis=0
        ),
    }
    if p:
        known |= {
            "The padding is still there: dx has the shape of x.": whole,
            "The padding is cut off at the top and left only.": whole[:, :, p:, p:],
            "The padding is cut off at the bottom and right only.": whole[:, :, :-p, :-p],
            "Twice the padding is cut off at the end, none at the beginning.": whole[:, :, :H, :W],
            "Twice the padding is cut off at the beginning, none at the end.": whole[
                :, :, 2 * p :, 2 * p :
            ],
            "Rows are cut and columns are not.": whole[:, :, p : p + H],
            "Columns are cut and rows are not.": whole[:, :, :, p : p + W],
        }
    else:
        known["`[padding:-padding]` is empty for padding 0: write `[padding : padding + H]`."] = (
            whole[:, :, :0, :0]
        )
    if w.shape[0] == w.shape[1]:
        known["Filter and channel have changed places: dx's channels are w's second axis."] = cut(
            _added_back(dy, x, w.transpose(1, 0, 2, 3), stride, p)
        )
    return right, known


def max_pool2d(x, size):
    N, C, H, W = x.shape
    P, Q = H // size, W // size
    blocks = _blocks(x, size)
    right = blocks.max(axis=-1)
    down, across = -H % size, -W % size
    zeros = _blocks(_padded(x, (0, down), (0, across)), size).max(axis=-1)
    rest = np.pad(x, ((0, 0), (0, 0), (0, down), (0, across)), constant_values=-np.inf)
    known = {
        "That is the mean of each block.": blocks.mean(axis=-1),
        "That is the sum of each block.": blocks.sum(axis=-1),
        "That is the smallest value of each block.": blocks.min(axis=-1),
        "That is the first value of each block.": blocks[..., 0],
        "Blocks of negative values became 0: the search starts at 0, or zeros are padded.": np.maximum(
            right, 0
        ),
        "The largest by absolute value: the sign counts.": np.take_along_axis(
            blocks, abs(blocks).argmax(-1)[..., None], -1
        )[..., 0],
        "That is the largest absolute value: the sign counts.": abs(blocks).max(axis=-1),
        "The blocks overlap: the next one starts `size` further.": sliding_window_view(
            x, (size, size), axis=(2, 3)
        ).max(axis=(4, 5)),
        "There are as many blocks as there should be, but they overlap: block (p, q) starts at"
        " p·size, q·size.": sliding_window_view(x, (size, size), axis=(2, 3)).max(axis=(4, 5))[
            :, :, :P, :Q
        ],
        "Only rows are pooled.": x[:, :, : P * size].reshape(N, C, P, size, W).max(axis=3),
        "Only columns are pooled.": x[..., : Q * size].reshape(N, C, H, Q, size).max(axis=4),
        "The channels are pooled together: each has a map of its own.": np.repeat(
            right.max(axis=1, keepdims=True), C, axis=1
        ),
        "That is the position of the largest value, not the value.": blocks.argmax(axis=-1).astype(
            float
        ),
    }
    if H % size or W % size:
        known["The rest at the beginning is dropped: it is at the end."] = _blocks(
            x[:, :, H % size :, W % size :], size
        ).max(axis=-1)
    else:
        cut = x.reshape(N, C, P, Q, size, size).max(axis=(4, 5))
        known[
            "reshape takes values as they follow in a row, not the blocks of an image: its axes"
            " are (N, C, P, size, Q, size)."
        ] = cut
    if down or across:
        known |= {
            "What is left over was padded with zeros: it is dropped.": zeros,
            "What is left over got blocks of its own: it is dropped.": _blocks(rest, size).max(
                axis=-1
            ),
        }
    return right, known


def max_pool2d_backward(dy, x, size):
    blocks = _blocks(x, size)
    first = np.arange(size * size) == blocks.argmax(axis=-1)[..., None]
    backwards = blocks[..., ::-1].argmax(axis=-1)[..., None]
    last = np.arange(size * size) == size * size - 1 - backwards
    top = blocks == blocks.max(axis=-1, keepdims=True)

    def back(mask, dy=dy[..., None]):
        return _unblocked(np.where(mask, mask * dy, 0), x, size)

    right = back(first)
    at_start = np.zeros_like(x)
    for n, c, p, q in np.ndindex(dy.shape):
        at_start[n, c][np.divmod(blocks[n, c, p, q].argmax(), size)] = dy[n, c, p, q]
    return right, {
        WHOLE: np.trunc(right),
        "Every winner lands in the first block: its place counts from p·size and q·size on.": at_start,
        "Every value of a block gets the gradient: only the largest touched the output.": back(
            np.ones_like(first)
        ),
        "The gradient is shared among the whole block: that is mean-pooling's.": back(
            np.ones_like(first) / size**2
        ),
        "All equal largest values get the gradient: only the first of them does.": back(top),
        "Equal largest values share the gradient: the first of them gets all of it.": back(
            top / top.sum(axis=-1, keepdims=True)
        ),
        "Of equal largest values the last one gets the gradient: the first should.": back(last),
        "The gradient goes to the smallest value.": back(
            np.arange(size * size) == blocks.argmin(axis=-1)[..., None]
        ),
        "The gradient always goes to the first value of a block.": back(
            np.arange(size * size) == 0
        ),
        "The winners are right, but dy is missing: each passes its block's dy on.": back(
            first, np.ones_like(dy)[..., None]
        ),
        "It is multiplied by the winner's value: the slope of a maximum is 1.": right * x,
        "The winner's position r·size + s is read with rows and columns exchanged.": _unblocked(
            _turned(first, size) * dy[..., None], x, size
        ),
        "Those are the largest values themselves, not the gradient.": back(
            first, blocks.max(axis=-1)[..., None]
        ),
        "The gradient is divided by N once too often.": right / len(x),
    }


def seen_by_conv2():
    return 14, {
        "Neighbours in pool1 are 2 pixels of the image apart: each step reaches 2 further.": 10,
        "That adds k times the distance: of k pixels, the first is there already, k − 1 are new.": 16,
        "Windows overlap: what a unit sees grows by what is new, it is not multiplied.": 30,
        "That would be without overlap between the windows of conv1.": 25,
        "pool1 is missing, or its stride: after it, steps are 2 pixels wide.": 9,
        "The pooling window adds one pixel more.": 13,
        "That is what it sees of pool1. Asked for is the image.": 5,
        "That is what pool1 sees.": 6,
        "That is the whole square: asked for is one side.": 14 * 14,
    }


def seen_by_pool2():
    return 16, {
        "Neighbours in conv2 are 2 pixels of the image apart, still.": 15,
        "That adds k times the distance: of k pixels, the first is there already, k − 1 are new.": 18,
        "The two windows below overlap: they are 2 pixels of the image apart.": 28,
        "That is what conv2 sees.": 14,
        "That is the whole square: asked for is one side.": 16 * 16,
        "That is what it sees of conv2. Asked for is the image.": 2,
        "That is what it sees of pool1. Asked for is the image.": 6,
        "The steps above pool1 are 2 pixels wide, in conv2 and in pool2.": 11,
    }


def layers_of_3x3():
    return 3, {
        "They would see 5×5: how much does each further layer add, on one side?": 2,
        "They would see 9×9: the first layer sees 3×3, each further one adds 2.": 4,
        "Fields do not lie side by side: the next layer's windows overlap.": 7 / 3,
        "That compares areas: a field grows on both sides with each layer.": 49 / 9,
        "Each further layer adds more than one pixel: one on either side.": 5,
        "Each layer adds more than one pixel: one on either side.": 6,
    }


LENET_SHAPES = [
    (6, 1, 5, 5),
    (6,),
    (16, 6, 5, 5),
    (16,),
    (120, 400),
    (120,),
    (84, 120),
    (84,),
    (10, 84),
    (10,),
]


def lenet_shapes():
    def but(changed):
        return [changed.get(i, shape) for i, shape in enumerate(LENET_SHAPES)]

    return LENET_SHAPES, {
        "The biases are missing.": LENET_SHAPES[::2],
        "linear1 has too few inputs: without padding in conv1 the maps end as 4×4, not 5×5.": but(
            {4: (120, 256)}
        ),
        "conv2 has no padding: its maps are 10×10, and pool2's 5×5.": but({4: (120, 784)}),
        "linear1 is there as if pool2 were missing.": but({4: (120, 1600)}),
        "linear1 forgets that there are 16 maps.": but({4: (120, 25)}),
        "No parameters are found: layers in a plain list, or made in forward, are overlooked. Make"
        " each an attribute in __init__.": [],
        "linear2 is missing.": [*LENET_SHAPES[:6], (10, 120), (10,)],
        "The last layer goes straight from linear1.": LENET_SHAPES[:6] + LENET_SHAPES[8:],
        "The filters of the two convolutions have changed places: 6 first, then 16.": but(
            {0: (16, 1, 5, 5), 1: (16,), 2: (6, 16, 5, 5), 3: (6,), 4: (120, 150)}
        ),
        "The filters have 3×3 pixels: the table says 5×5.": but(
            {0: (6, 1, 3, 3), 2: (16, 6, 3, 3)}
        ),
        "nn.Conv2d takes the channels first, then the filters: nn.Conv2d(1, 6, …).": but(
            {0: (1, 6, 5, 5), 1: (1,), 2: (6, 16, 5, 5), 3: (6,)}
        ),
        "The layers are made in another order than the table's: convolutions come first.": LENET_SHAPES[
            4:
        ]
        + LENET_SHAPES[:4],
    }


def lenet_scores(parameters, x):
    def but(**changes):
        return lenet(parameters, x, **changes)

    scores = but()
    mean = F.avg_pool2d
    return scores, {
        "The last layer's scores went through ReLU: they go out as they are.": F.relu(scores),
        "They are probabilities already: softmax belongs to the loss.": scores.softmax(1),
        "They are logarithms of probabilities already: softmax belongs to the loss.": scores.log_softmax(
            1
        ),
        "No ReLU anywhere: then all the layers together are only one linear function.": but(
            maps=_same, units=_same
        ),
        "ReLU is missing after the convolutions.": but(maps=_same),
        "ReLU is missing after linear1 and linear2.": but(units=_same),
        "ReLU is missing after linear1.": but(units=(_same, F.relu)),
        "ReLU is missing after linear2.": but(units=(F.relu, _same)),
        "ReLU is missing after conv1.": but(maps=(_same, F.relu)),
        "ReLU is missing after conv2.": but(maps=(F.relu, _same)),
        "Pooling takes the mean here: asked for is the largest value.": but(pool=mean),
        "That is with tanh, as in 1998: asked for is ReLU.": but(maps=torch.tanh, units=torch.tanh),
        "That is with the sigmoid: asked for is ReLU.": but(
            maps=torch.sigmoid, units=torch.sigmoid
        ),
        "Rows and columns are exchanged before the maps are flattened.": but(
            flat=lambda x: x.transpose(2, 3).flatten(1)
        ),
        "The channels are put last before the maps are flattened: flatten them as they are.": but(
            flat=lambda x: x.permute(0, 2, 3, 1).flatten(1)
        ),
        "The images are mixed up: flatten(1) leaves the first axis alone.": but(
            flat=lambda x: x.reshape(400, -1).T
        ),
        "conv1's maps were cut or padded on one side: padding=2 pads all four.": but(shift=True),
    }


def lenet_parameters():
    return 61706, {
        "Those are the weights: each filter and each unit also has a bias.": 61470,
        "A filter of conv2 spans all 6 channels below it.": 61706 - 16 * 25 * 5,
        "linear1 has 400 inputs: 16 maps of 5×5 units, after pooling.": 61706 - 120 * 375,
        "linear1's inputs come after pool2: 16 maps of 5×5.": 61706 + 120 * 1200,
        "Without padding in conv1, linear1 would have 256 inputs. It has 400.": 61706 - 120 * 144,
        "linear3 is missing.": 61706 - 850,
        "The layers of lab 02's network, 784-128-10.": 101770,
        "One bias for each layer? There is one for each filter and each unit.": 61475,
    }


def numbers(rng, *shape):
    """Whole numbers from −9 to 9."""
    return rng.integers(-9, 10, size=shape).astype(float)


def convolved(x, w, b, stride, padding):
    """The cross-correlation; stride: one number, or one for rows and one for columns."""
    x = _padded(x, (padding, padding), (padding, padding))
    R, S = w.shape[2:]
    windows = _windows(x, R, S, stride)
    return np.einsum("kcrs,ncrspq->nkpq", w, windows) + b[:, None, None]


def lenet(parameters, x, *, maps=F.relu, units=F.relu, pool=F.max_pool2d, flat=None, shift=False):
    """LeNet's scores. maps, units: what follows the convolutions and the linear layers, one for
    both or one for each."""
    w1, b1, w2, b2, *linear = parameters
    after_1, after_2 = maps if isinstance(maps, tuple) else (maps, maps)
    after_3, after_4 = units if isinstance(units, tuple) else (units, units)
    padding = (0, 4, 0, 4) if shift else (2, 2, 2, 2)
    x = pool(after_1(F.conv2d(F.pad(x, padding), w1, b1)), 2)
    x = pool(after_2(F.conv2d(x, w2, b2)), 2)
    x = x.flatten(1) if flat is None else flat(x)
    x = after_3(F.linear(x, linear[0], linear[1]))
    x = after_4(F.linear(x, linear[2], linear[3]))
    return F.linear(x, linear[4], linear[5])


def _same(x):
    return x


def _padded(x, rows, columns):
    return np.pad(x, ((0, 0), (0, 0), rows, columns))


def _windows(x, R, S, stride):
    """(N, C, R, S, P, Q)"""
    down, across = stride if isinstance(stride, tuple) else (stride, stride)
    view = sliding_window_view(x, (R, S), axis=(2, 3))
    return view[:, :, ::down, ::across].transpose(0, 1, 4, 5, 2, 3)


def _short(x, kernel, stride, padding, axis):
    """How many places range(0, n − k, stride) has."""
    return len(range(0, x.shape[axis] + 2 * padding - kernel, stride))


def _added_back(dy, x, w, stride, padding):
    """The gradient of the padded image: every window's share, added."""
    return _summed(np.einsum("nkpq,kcrs->ncrspq", dy, w), x, stride, padding)


def _summed(windows, x, stride, padding):
    """windows: (N, C, R, S, P, Q), added up where they lie in the padded image."""
    image = _padded(np.zeros_like(x), (padding, padding), (padding, padding))
    for r, s, p, q in np.ndindex(windows.shape[2:]):
        image[:, :, p * stride + r, q * stride + s] += windows[:, :, r, s, p, q]
    return image


def _written_back(dy, x, w, stride, padding, *, by_weight):
    """The same with later windows (or weights, if those are looped over) overwriting earlier."""
    (P, Q), (R, S) = dy.shape[2:], w.shape[2:]
    image = _padded(np.zeros_like(x), (padding, padding), (padding, padding))
    order = np.ndindex(P, Q, R, S)
    if by_weight:
        order = ((p, q, r, s) for r, s, p, q in np.ndindex(R, S, P, Q))
    for p, q, r, s in order:
        image[:, :, p * stride + r, q * stride + s] = dy[:, :, p, q] @ w[:, :, r, s]
    return image


def _blocks(x, size):
    """(N, C, P, Q, size·size); what is left over is dropped."""
    (N, C), (P, Q) = x.shape[:2], (x.shape[2] // size, x.shape[3] // size)
    whole = x[:, :, : P * size, : Q * size].reshape(N, C, P, size, Q, size)
    return whole.transpose(0, 1, 2, 4, 3, 5).reshape(N, C, P, Q, size * size)


def _unblocked(blocks, x, size):
    N, C, P, Q, _ = blocks.shape
    image = np.zeros_like(x)
    whole = blocks.reshape(N, C, P, Q, size, size).transpose(0, 1, 2, 4, 3, 5)
    image[:, :, : P * size, : Q * size] = whole.reshape(N, C, P * size, Q * size)
    return image


def _turned(blocks, size):
    """Rows and columns within each block exchanged."""
    square = blocks.reshape(*blocks.shape[:-1], size, size)
    return square.swapaxes(-1, -2).reshape(blocks.shape)


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
    _loops("rows padded", 1.1, "Rows are padded and columns are not.", columns="(0, 0)"),
    _loops("columns padded", 1.1, "Columns are padded and rows are not.", rows="(0, 0)"),
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
        "The last place is missing, where the filter just fits: a range leaves its end out.",
        **_ENDS,
    ),
    _loops("channels last", 0, _MAPS_LAST, result="y.transpose(0, 2, 3, 1)"),
    _loops(
        "K first", 0.4, "K comes first: y has the shape (N, K, P, Q).", result="y.swapaxes(0, 1)"
    ),
    _loops(
        "P and Q", 0, "Rows and columns of the maps have changed places.", result="y.swapaxes(2, 3)"
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
    _conv2d_otherwise("R and S", 0, "is its kernel (R, S)", kernel="(S, R)"),
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

MISTAKES = Table(sys.modules[__name__], [*_SIZE, *_LOOPS, *_CONV2D])
