# %% [markdown]
# # 05 · Convolution
# Lab 02's network read an image as a row of 784 numbers that might as well have been shuffled. Here a
# network looks: small filters slide over the image, with the same weights everywhere. LeNet has two
# fifths fewer weights than lab 02's network, and makes about half as many mistakes. You write the
# convolution, forward and backward, in NumPy, and see LeNet's filters form.
#
# The picture is where you are going: eight filters that a small network has just learnt, and what
# each makes of one digit.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import itertools
import math
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from grading.check import checks, progress
from utils import plots, settings, training
from utils.data import digits
from utils.device import best_device
from utils.figures import convolution as figures

# %%
Array = NDArray[np.floating]
check = checks("05_convolution")
sizes = settings.choose(
    scale,
    smoke={"epochs": 2, "small_epochs": 14},
    cpu={"epochs": 3, "small_epochs": 20},
    gpu={"epochs": 12, "small_epochs": 40},
)

# %%
data, device = digits.load(), best_device()
is_mnist = data.name == "MNIST"


def images(x: NDArray[np.float32]) -> Tensor:
    """(N, H, W) as (N, 1, 28, 28): one channel of ink. Smaller digits are enlarged (bilinear)."""
    return F.interpolate(torch.from_numpy(x)[:, None], (28, 28), mode="bilinear").to(device)


train_x, test_x = images(data.train_x), images(data.test_x)
train_y, test_y = (torch.from_numpy(y).to(device) for y in (data.train_y, data.test_y))
print(f"train_x: {tuple(train_x.shape)} on {device}" + ("" if is_mnist else ", enlarged from 8×8"))


# %%
def train_briefly(network: nn.Sequential, steps: int) -> nn.Sequential:
    """Adam, on random batches of 64 training images."""
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for batch in torch.randint(len(train_x), (steps, 64), device=device):
        optimizer.zero_grad()
        F.cross_entropy(network(train_x[batch]), train_y[batch]).backward()
        optimizer.step()
    return network


torch.manual_seed(0)
layer = nn.Conv2d(1, 8, kernel_size=7, stride=2, padding=3)
nn.init.normal_(layer.weight, std=0.01)  # small, so that what is seen is what was learnt
small = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))
small = train_briefly(small, 250)

# %%
filters, maps = (t.detach().cpu().numpy() for t in (layer.weight[:, 0], layer(test_x[:1])[0]))
plots.show(
    figures.filters_and_maps(data.test_x[0], filters, maps),
    alt="A digit; eight 7×7 filters with dark and light sides; the digit as each sees it.",
)

# %% [markdown]
# Light is positive, dark negative. Several filters have become edges: light on one side, dark on the
# other, each in a direction of its own.

# %% [markdown]
# **You will** work out where a filter fits; write a convolution as loops, then as a matrix product;
# take gradients back through it and through max-pooling; say how far a unit sees; and build LeNet,
# which has to read at least 98.39 % of MNIST's test images after at most three epochs. (Two at scale
# `smoke`, twelve at `gpu`.)
#
# **Not in this lab:** other networks than LeNet, batch normalisation and augmentation (lab 06), what
# deeper layers see (lab 07).

# %% [markdown]
# **You need** labs 02 and 04, and NumPy's slices with a step, `reshape` and `transpose`. The exercises
# take about 180 minutes together. On a CPU all cells together compute for about a minute and a half
# with MNIST (`make data` fetches it), less with the small digits that come along; those are enlarged
# from 8×8 to 28×28 pixels, so that every size in the lab holds.

# %% [markdown]
# ## 1 · An image is not a row of numbers
# Below, a fully connected network is trained on the digits as they are and tested on digits moved to
# the right. Ink that leaves the frame is lost; how many digits lose some is printed, too.
#
# **Predict first.** How much of its accuracy is left at 4 pixels? Write your guess between the empty
# quotes, and run the cell. Guesses in this lab are not marked; they are shown again beside what is
# measured.

# %%
check.predict(
    "what part of the accuracy is left at 4 pixels",
    "",
    "over two thirds",
    "about a half",
    "under one third",
)


# %%
def moved(x: Tensor, by: int) -> Tensor:
    """Images x: (N, C, H, W), moved to the right by so many pixels; what leaves is lost."""
    return F.pad(x, (by, 0))[..., : x.shape[-1]]


def accuracy_by_shift(network: nn.Module) -> list[float]:
    """The accuracy on 2,000 test images, moved by 0, 1, …, 6 pixels."""
    x, y = test_x[:2000], test_y[:2000]
    return [training.evaluate(network, moved(x, by), y).accuracy for by in range(7)]


# %%
torch.manual_seed(0)
dense = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
dense_by_shift = accuracy_by_shift(train_briefly(dense, 900))
for by, accuracy in enumerate(dense_by_shift):
    loses_ink = (test_x[:2000, ..., 28 - by :] > 0).flatten(1).any(1).float().mean()
    print(f"moved by {by}: {accuracy:6.1%} right, {loses_ink:5.1%} of the digits lose ink")
left = dense_by_shift[4] / dense_by_shift[0]
check.measured(
    "what part of the accuracy is left at 4 pixels",
    "over two thirds" if left > 2 / 3 else "about a half" if left > 1 / 3 else "under one third",
)

# %% [markdown]
# On MNIST the lost ink explains little of it: at 4 pixels five digits in six are still whole. (The
# small digits fill their frame.) Each pixel has weights of its own, so a stroke learnt in one place
# means nothing in the next. Two ideas cure that:
#
# - **Local:** a unit is connected to a small window of the image.
# - **Shared weights:** all units of a **feature map** have the *same* weights, each at its own place.
#   A set of such weights is a **filter** or *kernel*.
#
# What that saves, for six maps of 28×28 units over one 28×28 image, biases included:

# %%
each_its_own = nn.Linear(28 * 28, 6 * 28 * 28)
shared = nn.Conv2d(1, 6, kernel_size=5, padding=2)
for name, one in (("fully connected", each_its_own), ("six 5×5 filters", shared)):
    print(f"{name}: {sum(p.numel() for p in one.parameters()):9,} parameters")

# %% [markdown]
# ## 2 · Where a filter fits
# A filter of $k$ pixels slides over a row of $n$. The **stride** is how far it moves from one place to the
# next. **Padding** puts that many zeros on *both* sides, so that the filter can also be centred on
# the edge. In the picture: hatched boxes are padding, each bar below is one place of the filter.

# %%
plots.show(
    figures.places([(7, 3, 1, 0), (7, 3, 2, 0), (8, 3, 2, 1)]),
    alt="Places of a filter of 3 on 7 or 8 pixels: 5, 3 and 4 of them.",
)

# %% [markdown]
# On the right, the last pixel of padding is never covered: where the stride leaves a remainder, the
# remainder is not used.
#
# ### Exercise 1 · Output size — 1 point, 15 minutes, ●○○
# By hand first:
#
# - `alexnet_size`: AlexNet's first filters have 11×11 pixels and slide over 227×227 with stride 4, without
#   padding. How many places are there along one side?
# - `same_padding`: with a 7×7 filter and stride 1, which padding makes the output as large as the
#   image?
#
# <details><summary>Hint 1</summary>The first place always fits. How often can the filter then move on
# by a stride before its right end leaves?</details>

# %% nbgrader={"grade_id": "output_size_by_hand", "solution": true}
alexnet_size = None  # a whole number
same_padding = None  # a whole number
### BEGIN SOLUTION
alexnet_size = 55  # (227 − 11) / 4 + 1
same_padding = 3  # 2 · 3 + 1 = 7
### END SOLUTION


# %% nbgrader={"grade_id": "output_size_code", "solution": true}
def output_size(n: int, k: int, stride: int, padding: int) -> int:
    """At how many places a filter of k pixels fits on n pixels with `padding` zeros on both sides.

    k ≤ n + 2 padding, stride ≥ 1, padding ≥ 0. An int.
    >>> output_size(8, 3, stride=2, padding=1)
    4
    """
    ### BEGIN SOLUTION
    return (n + 2 * padding - k) // stride + 1
    ### END SOLUTION


# %% nbgrader={"grade_id": "output_size", "grade": true, "points": 1}
check("output_size")

# %% [markdown]
# ## 3 · What it computes there
# At each place: multiply filter and window pixel by pixel, sum, add the bias. A colour image has three
# **channels**, the maps of one layer are the channels of the next, and a filter spans all of them. So
# the sum runs over channels, too. The letters are those of cuDNN, NVIDIA's library for such layers:

# %% [markdown]
# | array | shape | |
# |---|---|---|
# | `x` | (N, C, H, W) | N images, C channels, H rows, W columns |
# | `w` | (K, C, R, S) | K filters, each with R×S weights for every channel |
# | `b` | (K,) | one bias a filter |
# | `y` | (N, K, P, Q) | one map a filter, of P×Q places |

# %% [markdown]
# $$y_{nkpq} = b_k + \sum_{c}\sum_{r}\sum_{s} w_{kcrs}\; \tilde x_{n,\;c,\;p\cdot\text{stride}+r,\;q\cdot\text{stride}+s}$$
#
# with $\tilde x$ the padded image.
#
# A word on the name. In mathematics a **convolution** runs through the filter backwards; what is
# written above is a **cross-correlation**. Every deep-learning library calls it convolution. As the
# weights are learnt, nothing is lost: a network that needs the mirrored filter learns the mirrored
# one. Only those who compare numbers have to know.

# %%
signal, kernel = np.array([0, 0, 1, 0, 0]), np.array([1, 2, 3])
print("cross-correlation", np.correlate(signal, kernel, mode="valid"))
print("convolution      ", np.convolve(signal, kernel, mode="valid"))

# %% [markdown]
# ### Exercise 2 · Convolution in loops — 1.5 points, 25 minutes, ●●○
# Go through the output, place by place. Slow is fine here; clear is better. (Exercises 2 to 6 are NumPy's:
# library calls that convolve, unfold or pool for you, such as `F.conv2d`, are not allowed there, nor
# are views that cut all windows out for you, `np.lib.stride_tricks`.)

# %% [markdown]
# **Predict first:** an image of ones, one filter of 3×3 ones, padding 1, no bias. What comes out in the
# corner, at an edge, and in the middle? The first cell below the check measures it.
#
# <details><summary>Hint 1</summary><code>np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding,
# padding)))</code> pads rows and columns, and leaves images and channels alone;
# <code>np.pad(x, padding)</code> pads all four.</details>
#
# <details><summary>Hint 2</summary>The window of place (p, q) starts at row p·stride and column
# q·stride. For one image and one filter it has the filter's shape (C, R, S), so that
# <code>np.sum</code> of their product is the inner triple sum.</details>

# %%
check.predict(
    "what is in the corner, at an edge, in the middle", "", "9, 9, 9", "4, 6, 9", "1, 3, 9"
)


# %% nbgrader={"grade_id": "conv2d_loops_code", "solution": true}
def conv2d_loops(x: Array, w: Array, b: Array, stride: int = 1, padding: int = 0) -> Array:
    """y: (N, K, P, Q) for x: (N, C, H, W), w: (K, C, R, S), b: (K,), as in the formula above.

    stride and padding hold for rows and columns alike; the sizes P and Q are those of exercise 1.
    The arguments are left as they were.
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d_loops(x, np.array([[[[1.0, 0.0], [0.0, 2.0]]]]), np.array([100.0]))
    array([[[[108., 111.],
             [117., 120.]]]])
    """
    ### BEGIN SOLUTION
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, _, H, W), (K, _, R, S) = x.shape, w.shape
    y = np.empty((N, K, (H - R) // stride + 1, (W - S) // stride + 1), x.dtype)
    for n, k, p, q in np.ndindex(y.shape):
        top, left = p * stride, q * stride
        y[n, k, p, q] = np.sum(w[k] * x[n, :, top : top + R, left : left + S]) + b[k]
    return y
    ### END SOLUTION


# %% nbgrader={"grade_id": "conv2d_loops", "grade": true, "points": 1.5}
check("conv2d_loops")

# %%
with check.needs("conv2d_loops"):
    ones = np.ones((1, 1, 4, 5))
    y = conv2d_loops(ones, np.ones((1, 1, 3, 3)), np.zeros(1), padding=1)[0, 0]
    print(y)
    found = ", ".join(f"{value:g}" for value in (y[0, 0], y[0, 1], y[1, 1]))
    check.measured("what is in the corner, at an edge, in the middle", found)

# %%
edge = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])  # Sobel's, of 1968
point = np.array([[0, -1.0, 0], [-1, 4, -1], [0, -1, 0]])
by_hand = np.stack([edge, edge.T, point, np.full((3, 3), 2 / 3)])[:, None]
with check.needs("conv2d_loops"):
    digit = test_x[:1].cpu().numpy()
    maps = conv2d_loops(digit, by_hand, np.zeros(4), padding=1)[0]
    names = ("digit", "right sides", "bottom sides", "outline", "blur")
    pictures = np.concatenate([4 * digit[0], maps])
    plots.show(
        plots.image_grid(pictures, names, columns=5, unit="y"),
        alt="Your convolution of a digit: left and right sides, top and bottom sides, outline, blur.",
    )

# %% [markdown]
# The printed array first: nine ones lie under the filter in the middle, fewer at an edge, where it hangs
# over zeros. Padding with zeros makes the edge of a feature map weaker, which tells a network where
# the edge is.
#
# In the picture, the second image is positive (light) where ink ends to the right and negative where it
# begins. People designed such filters for decades. LeNet learns them.

# %% [markdown]
# ## 4 · The same everywhere
# If the image moves, the map moves along: **translation equivariance**. It follows from shared weights
# and is *not* invariance: the answer's place still matters to whoever reads it.
#
# **Predict first.** With stride 2, does the map move along when the image moves by one pixel? By two?

# %%
check.predict(
    "by which moves of the image does a map of stride 2 move along",
    "",
    "1 and 2",
    "1 alone",
    "2 alone",
    "neither",
)

# %%
torch.manual_seed(0)
w, along = torch.randn(1, 1, 5, 5, device=device), []
for stride, by in ((1, 1), (1, 3), (2, 2), (2, 1)):
    after = F.conv2d(moved(test_x[:100], by), w, stride=stride, padding=2)
    before = F.conv2d(test_x[:100], w, stride=stride, padding=2)
    errors = [(moved(before, d) - after)[..., 3:-3].abs().max().item() for d in range(4)]
    best = int(np.argmin(errors))
    print(
        f"stride {stride}, image moved by {by}: the map moved by {best} differs"
        f" by {errors[best]:.1e} at most"
    )
    along += [str(by)] if stride == 2 and errors[best] < 1e-3 else []
answer = f"{along[0]} alone" if len(along) == 1 else "1 and 2" if along else "neither"
check.measured("by which moves of the image does a map of stride 2 move along", answer)

# %% [markdown]
# Three agree to the last digit (on a GPU, up to rounding). With stride 2 a move by one pixel falls
# between two places, and no move of the map matches: each stride gives a little equivariance away.
# (Compared without three columns at each side, where the edge of the frame plays a part.)

# %% [markdown]
# ## 5 · From loops to a matrix product
# Loops in Python are slow, and loops in any language use a processor badly. One operation that every
# processor does fast is the matrix product. So copy each window into a column of a large matrix,
# once: **im2col**, "image to columns". Every weight then meets its pixels along one row.
#
# Pixels are copied as often as windows overlap: memory paid for speed (Chellapilla, Puri and Simard
# 2006; Caffe's convolution was this).

# %% [markdown]
# ### Exercise 3 · im2col — 1.25 points, 25 minutes, ●●○
# Column number p·Q + q holds the window at place (p, q), its values in the order (C, R, S): that is how
# `reshape` flattens a filter, too.
#
# By hand: the columns of LeNet's first layer (5×5 filter, stride 1, padding 2) take how many times the
# image's memory? Put the number into `im2col_growth`.

# %% [markdown]
# <details><summary>Hint 1</summary>Fill an array of shape (N, C, R, S, P, Q), and reshape it at the
# end. Along which pair of axes is it shortest to loop?</details>
#
# <details><summary>Hint 2</summary>For one (r, s): which pixels does this weight meet, over all
# places? Those at rows r, r + stride, …, P of them: a slice with a step.</details>

# %% nbgrader={"grade_id": "im2col_growth", "solution": true}
im2col_growth = None  # a number
### BEGIN SOLUTION
im2col_growth = 25  # as many places as pixels, each with 5·5 values
### END SOLUTION


# %% nbgrader={"grade_id": "im2col_code", "solution": true}
def im2col(x: Array, kernel: tuple[int, int], stride: int = 1, padding: int = 0) -> Array:
    """The windows of x: (N, C, H, W) as columns: (N, C·R·S, P·Q), for a kernel (R, S).

    x is left as it was.
    >>> im2col(np.arange(6.0).reshape(1, 1, 2, 3), (2, 2))
    array([[[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]]])
    """
    ### BEGIN SOLUTION
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    (N, C, H, W), (R, S) = x.shape, kernel
    P, Q = (H - R) // stride + 1, (W - S) // stride + 1
    columns = np.empty((N, C, R, S, P, Q), x.dtype)
    for r, s in np.ndindex(R, S):
        columns[:, :, r, s] = x[:, :, r : r + stride * P : stride, s : s + stride * Q : stride]
    return columns.reshape(N, C * R * S, P * Q)
    ### END SOLUTION


# %% nbgrader={"grade_id": "im2col", "grade": true, "points": 1.25}
check("im2col")

# %%
with check.needs("im2col"):
    numbered = np.arange(1.0, 13).reshape(1, 1, 3, 4)
    columns = im2col(numbered, (2, 2))[0]
    figures.show_steps(
        figures.windows_to_columns(numbered[0, 0], columns, (2, 2)),
        label="place",
        alt="A 3×4 image and its six 2×2 windows, which become the columns of a 4×6 matrix.",
    )

# %% [markdown]
# Move the slider (or focus it and press the arrow keys): each window becomes a column. Read a column
# downwards: a window. Read a row: everything that one weight meets. Inner pixels are there four times.

# %% [markdown]
# ### Exercise 4 · Convolution as a matrix product — 0.75 points, 15 minutes, ●●○
# The same function as in exercise 2, as one matrix product (for each image, if you like) and without
# `conv2d_loops`. The check sees values only; that the way is another, the clock shows below. (Until
# your `im2col` passes, you may call the library's `unfold` instead.)

# %% [markdown]
# **Predict first:** a layer like LeNet's second (6 channels of 14×14, 16 filters of 5×5), 16 images,
# one core each. How many times as fast as your loops is the matrix product?
#
# <details><summary>Hint 1</summary>The filters as a matrix: <code>w.reshape(K, -1)</code>, (K, C·R·S).
# <code>@</code> of it with (N, C·R·S, P·Q) is done for each image.</details>
#
# <details><summary>Hint 2</summary>The bias has to stand in the axis of K: the shape (K, 1)
# broadcasts against (N, K, P·Q).</details>

# %%
check.predict(
    "how many times as fast is the matrix product", "", "about 10", "about 100", "about 1000"
)


# %%
def unfold(x: Array, kernel: tuple[int, int], stride: int = 1, padding: int = 0) -> Array:
    """What im2col should return, from the library."""
    return F.unfold(torch.from_numpy(x), kernel, stride=stride, padding=padding).numpy()


# %% nbgrader={"grade_id": "conv2d_code", "solution": true}
def conv2d(x: Array, w: Array, b: Array, stride: int = 1, padding: int = 0) -> Array:
    """y: (N, K, P, Q) for x: (N, C, H, W), w: (K, C, R, S), b: (K,), by a matrix product.

    The arguments are left as they were.
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, np.array([[[[1.0, 0.0], [0.0, 2.0]]]]), np.array([100.0]))
    array([[[[108., 111.],
             [117., 120.]]]])
    """
    ### BEGIN SOLUTION
    (N, _, H, W), (K, _, R, S) = x.shape, w.shape
    P, Q = ((n + 2 * padding - k) // stride + 1 for n, k in ((H, R), (W, S)))
    y = w.reshape(K, -1) @ im2col(x, (R, S), stride, padding) + b[:, None]
    return y.reshape(N, K, P, Q)
    ### END SOLUTION


# %% nbgrader={"grade_id": "conv2d", "grade": true, "points": 0.75}
check("conv2d")


# %%
def seconds(run: Callable[[], object], tries: int) -> float:
    """The shortest of several tries."""
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


# %%
with check.needs("conv2d_loops", "conv2d"), threadpool_limits(1):
    rng, threads = np.random.default_rng(0), torch.get_num_threads()
    torch.set_num_threads(1)
    x, w, b = (rng.normal(size=n).astype("f") for n in ((16, 6, 14, 14), (16, 6, 5, 5), 16))
    tensors = [torch.from_numpy(array) for array in (x, w, b)]
    taken = {
        "your loops": seconds(lambda: conv2d_loops(x, w, b), 2),
        "your matrix product": seconds(lambda: conv2d(x, w, b), 20),
        "F.conv2d": seconds(lambda: F.conv2d(*tensors), 20),
    }
    torch.set_num_threads(threads)
    loops, product, _ = taken.values()
    near = min((10, 100, 1000), key=lambda factor: abs(math.log(loops / product / factor)))
    print(f"matrix product {loops / product:.0f} times as fast as the loops")
    check.measured("how many times as fast is the matrix product", f"about {near}")
    plots.show(
        figures.times(taken),
        alt="Time of the loops, the matrix product and the library, on a log axis.",
    )

# %% [markdown]
# The same multiplications each time; what differs is how well the processor is fed. If your two bars
# are alike, your `conv2d` still goes from place to place.
#
# ## 6 · Backward
# From the layer above comes `dy: (N, K, P, Q)`, the gradient of the loss in `y`. Backwards, each number
# asks: what did I touch, and with which factor?
#
# - $b_k$ touches every place of map k, in every image, with factor 1.
# - $w_{kcrs}$ meets at each place one pixel: row c·R·S + r·S + s of the columns.
# - A pixel is in several windows. From each comes back the weight that it met there, times `dy`, and
#   what comes back is *added*.

# %% [markdown]
# In matrices, with the columns of image n as $X_n$, $dY_n$ as (K, P·Q), the filters as (K, C·R·S):
#
# $$dW = \sum_n dY_n X_n^\top \qquad dX_n = W^\top dY_n$$
#
# which is lab 02's linear layer. What is new: $dX_n$ are the *columns'* gradients. They have to be
# added back into an image, **col2im**.

# %% [markdown]
# ### Exercise 5 · Convolution, backward — 2 points, 40 minutes, ●●●
# `dy` already holds the 1/N of the mean loss: nothing here divides by N. (Until your `im2col` passes,
# `unfold` stands in for it here, too.)
#
# **Predict first:** stride 2, no padding, 3×3 filters, 8 rows, and no number in `dy` is 0. Which row of
# `dx` is all zeros?

# %% [markdown]
# <details><summary>Hint 1</summary>Give the columns' gradients the shape (N, C, R, S, P, Q). Then go the
# way of <code>im2col</code> backwards: the same slices, with <code>+=</code> on an image of zeros where
# <code>im2col</code> had <code>=</code>.</details>
#
# <details><summary>Hint 2</summary>The slices belong to the padded image, so the zeros have its shape.
# At the end the padding is cut off, on all four sides; <code>[padding:-padding]</code> fails for
# padding 0.</details>
#
# <details><summary>Hint 3</summary>For the sum over images: <code>(A @ B).sum(axis=0)</code>, with the
# last two axes of B swapped by <code>B.transpose(0, 2, 1)</code>.</details>

# %%
check.predict("which row of dx is all zeros", "", "row 0", "row 3", "row 7", "none")


# %% nbgrader={"grade_id": "conv2d_backward_code", "solution": true}
def conv2d_backward(
    dy: Array, x: Array, w: Array, stride: int = 1, padding: int = 0
) -> tuple[Array, Array, Array]:
    """(dx, dw, db) of y = conv2d(x, w, b, stride, padding), in the shapes of x, w and b.

    dy: (N, K, P, Q), x: (N, C, H, W), w: (K, C, R, S): left as they were.
    >>> x, w = np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[10.0, 20.0]]]])
    >>> conv2d_backward(np.array([[[[1.0, 1.0]]]]), x, w)
    (array([[[[10., 30., 20.]]]]), array([[[[3., 5.]]]]), array([2.]))
    """
    ### BEGIN SOLUTION
    (N, C, H, W), (K, _, R, S), (P, Q) = x.shape, w.shape, dy.shape[2:]
    dY = dy.reshape(N, K, P * Q)
    columns = im2col(x, (R, S), stride, padding)
    dw = (dY @ columns.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    dcolumns = (w.reshape(K, -1).T @ dY).reshape(N, C, R, S, P, Q)
    dx = np.zeros((N, C, H + 2 * padding, W + 2 * padding), x.dtype)
    for r, s in np.ndindex(R, S):
        dx[:, :, r : r + stride * P : stride, s : s + stride * Q : stride] += dcolumns[:, :, r, s]
    return dx[:, :, padding : padding + H, padding : padding + W], dw, dy.sum(axis=(0, 2, 3))
    ### END SOLUTION


# %% nbgrader={"grade_id": "conv2d_backward", "grade": true, "points": 2}
check("conv2d_backward")

# %%
with check.needs("conv2d_backward"):
    rng = np.random.default_rng(0)
    x, w, dy = (rng.normal(size=shape) for shape in ((1, 1, 8, 8), (1, 1, 3, 3), (1, 1, 3, 3)))
    zero = np.flatnonzero(~conv2d_backward(dy, x, w, stride=2)[0][0, 0].any(axis=1))
    answer = " and ".join(f"row {row}" for row in zero) or "none"
    check.measured("which row of dx is all zeros", answer)

# %% [markdown]
# A row that no window covers moves nothing. Now the way back as a picture: a gradient of 1 for every
# number of the columns is added to an image of zeros, window by window.

# %%
figures.show_steps(
    figures.columns_to_image((3, 4), np.ones((4, 6)), (2, 2)),
    label="place",
    alt="Six columns of ones, added to a 3×4 image at the windows they came from: 1, 2, 2, 1 above.",
)

# %% [markdown]
# At the end each pixel holds the number of windows that it is in: 1 in a corner, 4 inside. Last, your
# gradients against the library's, for random shapes, strides and paddings, in float64:


# %%
def errors_against_library(rng: np.random.Generator) -> tuple[str, list[float]]:
    """A random case, in words, and the largest errors of y, dx, dw and db in it."""
    N, C, K, R, S, stride = rng.integers(1, 5, size=6)
    H, W, padding = R + rng.integers(9), S + rng.integers(9), rng.integers(3)
    x, w, b = (rng.normal(size=shape) for shape in ((N, C, H, W), (K, C, R, S), K))
    tensors = [torch.from_numpy(array).requires_grad_() for array in (x, w, b)]
    theirs = F.conv2d(*tensors, stride=int(stride), padding=int(padding))
    dy = rng.normal(size=theirs.shape)
    theirs.backward(torch.from_numpy(dy))
    mine = conv2d(x, w, b, stride, padding), *conv2d_backward(dy, x, w, stride, padding)
    right = theirs.detach().numpy(), *(t.grad.numpy() for t in tensors)
    errors = [abs(one - other).max() for one, other in zip(mine, right, strict=True)]
    return f"{x.shape!s:17}{w.shape!s:17}{stride}, {padding}", errors


with check.needs("conv2d", "conv2d_backward"):
    rng = np.random.default_rng(0)
    print("  x                w             stride, padding   largest error of y, dx, dw, db")
    for case, errors in (errors_against_library(rng) for _ in range(6)):
        print(f"  {case:50}" + "  ".join(f"{error:.0e}" for error in errors))

# %% [markdown]
# ## 7 · Pooling
# **Max-pooling** keeps the largest value of each `size`×`size` block, in each channel by itself. It has
# no weights. Two uses: the maps shrink, so that the layers above see further at less cost; and
# whether a feature is here or one pixel further matters less.
#
# Backward, only the value that won gets anything: moving the others a little changes nothing.

# %% [markdown]
# ### Exercise 6 · Max-pooling — 1.25 points, 25 minutes, ●●○
# The blocks do not overlap. Rows and columns that are left over at the end are dropped.
#
# <details><summary>Hint 1</summary>A loop over the places (p, q) is fine: the block
# <code>x[:, :, …, …]</code> has the shape (N, C, size, size).</details>
#
# <details><summary>Hint 2</summary>With the block reshaped to (N, C, size·size),
# <code>argmax(axis=2)</code> gives the winner's position, of equal ones the first.
# <code>np.put_along_axis</code> writes there.</details>


# %% nbgrader={"grade_id": "max_pool2d_code", "solution": true}
def max_pool2d(x: Array, size: int) -> Array:
    """The largest value of each size×size block: (N, C, H // size, W // size) of x: (N, C, H, W).

    >>> max_pool2d(np.array([[[[1.0, 2.0, 9.0], [4.0, 3.0, 9.0]]]]), 2)
    array([[[[4.]]]])
    """
    ### BEGIN SOLUTION
    N, C, H, W = x.shape
    P, Q = H // size, W // size
    blocks = x[:, :, : P * size, : Q * size].reshape(N, C, P, size, Q, size)
    return blocks.max(axis=(3, 5))
    ### END SOLUTION


def max_pool2d_backward(dy: Array, x: Array, size: int) -> Array:
    """dx, in the shape of x, from dy: (N, C, H // size, W // size), for y = max_pool2d(x, size).

    Of several equal largest values, the first gets the gradient (row by row, as one reads). dy and x
    are left as they were.
    >>> max_pool2d_backward(np.array([[[[5.0]]]]), np.array([[[[1.0, 4.0], [4.0, 3.0]]]]), 2)
    array([[[[0., 5.],
             [0., 0.]]]])
    """
    ### BEGIN SOLUTION
    (N, C, P, Q), dx = dy.shape, np.zeros_like(x)
    for p, q in np.ndindex(P, Q):
        here = np.s_[:, :, p * size : (p + 1) * size, q * size : (q + 1) * size]
        winner = x[here].reshape(N, C, -1).argmax(axis=2)[..., None]
        block = np.zeros((N, C, size * size), x.dtype)
        np.put_along_axis(block, winner, dy[:, :, p, q, None], axis=2)
        dx[here] = block.reshape(N, C, size, size)
    return dx
    ### END SOLUTION


# %% nbgrader={"grade_id": "max_pool2d", "grade": true, "points": 1.25}
check("max_pool2d")

# %%
with check.needs("max_pool2d"):
    x = F.interpolate(test_x[:1], (12, 12), mode="area").cpu().numpy()
    y = max_pool2d(x, 2)
    dx = max_pool2d_backward(np.ones_like(y), x, 2)
    plots.show(
        figures.pooling(x[0, 0], y[0, 0], dx[0, 0]),
        alt="A coarse digit, its pooled half-size map, one winner in each 2×2 block.",
    )

# %% [markdown]
# Each block has one winner. In a block that is all paper the four are equal, and the first one gets the
# gradient: an arbitrary choice, and torch's.

# %% [markdown]
# ## 8 · LeNet, and how far a unit sees
# Yann LeCun and others read cheques with this network in the 1990s. Ours is its usual modern form, with
# ReLU and max-pooling where the original had tanh and a pooling with weights:

# %% [markdown]
# | layer | its output |
# |---|---|
# | image | (N, 1, 28, 28) |
# | `conv1`: 6 filters of 5×5, padding 2, then ReLU | (N, 6, 28, 28) |
# | `pool1`: max-pooling, 2×2 | (N, 6, 14, 14) |
# | `conv2`: 16 filters of 5×5, then ReLU | (N, 16, 10, 10) |
# | `pool2`: max-pooling, 2×2 | (N, 16, 5, 5) |
# | `linear1`, after flattening to (N, 400), then ReLU | (N, 120) |
# | `linear2`, then ReLU | (N, 84) |
# | `linear3`: the scores | (N, 10) |

# %% [markdown]
# A unit of `conv1` sees 5×5 pixels. The **receptive field** of a unit is what it sees of the *image*,
# through all layers below. It grows upwards: neighbours in `pool1` are 2 pixels of the image apart, so
# one step there reaches 2 pixels further, and above `pool2` one step reaches 4.

# %% [markdown]
# ### Exercise 7 · Receptive field — 0.75 points, 15 minutes, ●●○
# By hand, on one side (5 for `conv1`):
#
# - `seen_by_conv2`, `seen_by_pool2`: how many pixels a unit of these layers sees.
# - `layers_of_3x3`: how many layers of 3×3 filters, one on the other with stride 1, see as much as
#   one layer of 7×7?
#
# <details><summary>Hint 1</summary>Go up layer by layer and keep two numbers: what a unit sees, and how
# far apart in the image two neighbours are. A layer with kernel k adds (k − 1) times that distance to
# the first; its stride multiplies the second.</details>

# %% nbgrader={"grade_id": "receptive_field_by_hand", "solution": true}
seen_by_conv2 = None  # a whole number of pixels
seen_by_pool2 = None  # a whole number of pixels
layers_of_3x3 = None  # a whole number
### BEGIN SOLUTION
seen_by_conv2 = 14  # 5, then 5 + 1 · 1 = 6 in pool1, then 6 + 4 · 2
seen_by_pool2 = 16  # 14 + 1 · 2
layers_of_3x3 = 3  # 3, 5, 7
### END SOLUTION

# %% nbgrader={"grade_id": "receptive_field", "grade": true, "points": 0.75}
check("receptive_field")

# %% [markdown]
# Your numbers can be measured. Below, every filter of a LeNet is all ones and pooling takes the mean, so
# that the gradient of one unit is above zero in exactly those pixels that the unit sees. The dashed
# square is as large as your number.

# %%
layers = [nn.Conv2d(1, 6, 5, padding=2), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.AvgPool2d(2)]
for one in nn.Sequential(*layers).parameters():
    nn.init.ones_(one)
seen = {}  # layer → the gradient of a unit near the middle, in the image
for count, name in enumerate(("conv1", "pool1", "conv2", "pool2"), 1):
    x = torch.zeros(1, 1, 28, 28, requires_grad=True)
    maps = nn.Sequential(*layers[:count])(x)
    maps[0, 0, maps.shape[2] // 2, maps.shape[3] // 2].backward()
    seen[name] = x.grad[0, 0].numpy()
yours = {"conv1": 5, "pool1": 6, "conv2": seen_by_conv2, "pool2": seen_by_pool2}
plots.show(
    figures.receptive_fields(seen, yours),
    alt="Squares that grow from layer to layer; in the upper ones the centre is darkest.",
)

# %% [markdown]
# The middle of a receptive field counts most: more paths lead from there to the unit.
#
# Three 3×3 layers have 27 weights for each pair of channels where one 7×7 layer has 49, and two more
# ReLUs between them. VGG (Simonyan and Zisserman 2014) is built on that sum.

# %% [markdown]
# ### Exercise 8 · LeNet — 1.5 points, 20 minutes, ●●○
# Build it from `nn.Conv2d`, `nn.Linear` and what else you need, after the table above. What you call the
# layers is up to you; make them in the table's order.
#
# By hand: `lenet_parameters`, the number of its weights and biases together; and `largest_layer`, the
# layer that has most of them.
#
# <details><summary>Hint 1</summary>A filter has weights for every channel below it, and one
# bias.</details>
#
# <details><summary>Hint 2</summary><code>x.flatten(1)</code> keeps the images apart and flattens the
# rest.</details>

# %% nbgrader={"grade_id": "LeNet_parameters", "solution": true}
lenet_parameters = None  # a whole number
largest_layer = None  # "conv1", "conv2", "linear1", "linear2" or "linear3"
### BEGIN SOLUTION
lenet_parameters = 61706  # 156 + 2,416 + 48,120 + 10,164 + 850
largest_layer = "linear1"
### END SOLUTION


# %% nbgrader={"grade_id": "LeNet_code", "solution": true}
class LeNet(nn.Module):
    """Scores (N, 10) for images (N, 1, 28, 28), float32."""

    def __init__(self) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.linear1 = nn.Linear(400, 120)
        self.linear2 = nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, 10)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        x = F.relu(self.linear2(F.relu(self.linear1(x))))
        return self.linear3(x)
        ### END SOLUTION


# %% nbgrader={"grade_id": "LeNet", "grade": true, "points": 1.5}
check("LeNet")

# %% [markdown]
# Now it learns. While it does, a **hook** keeps the first layer's filters: a function that PyTorch calls
# before each forward pass. It is called the first time at step 0, when the filters are still random.
#
# **Predict first:** after how many steps of 64 images do the filters look like the final ones? Measured
# is their cosine, the mean over the six: 1 for the same direction, 0 for an unrelated one. Above 0.9
# counts.

# %%
check.predict("after how many steps is the cosine above 0.9", "", "0", "30", "100", "400", "later")

# %%
album: dict[int, Tensor] = {}  # step → the first layer's weights (6, 1, 5, 5)


def watch(model: nn.Module) -> None:
    """Have the first layer's weights put into the album at some steps of training."""
    count = itertools.count()
    album.clear()

    def keep(model: nn.Module, _: object) -> None:
        if model.training and (step := next(count)) in (0, 30, 100, 400):
            album[step] = next(model.parameters()).detach().cpu().clone()

    model.register_forward_pre_hook(keep)


# %% tags=["headline"]
lenet, epochs = None, sizes.epochs if is_mnist else sizes.small_epochs
with check.needs("LeNet"):
    torch.manual_seed(0)
    model = LeNet().to(device)
    watch(model)
    history = training.fit(
        model,
        torch.optim.Adam(model.parameters(), lr=3e-3),
        (train_x, train_y),
        (test_x, test_y),
        epochs=epochs,
        batch_size=64,
        schedule=lambda step, steps: 0.5 + 0.5 * math.cos(math.pi * step / steps),
        live=training.Live("LeNet"),
    )
    lenet, target = model, 0.9839 if is_mnist else 0.96
    print(
        f"{data.name}: {history.last.held_out_accuracy:.2%} of {len(test_y):,} test images right after"
        f" {epochs} epochs, {history.seconds:.1f} s (target {target:.2%})"
    )

# %% [markdown]
# The next pictures show *your* network. They stay away until it is trained.

# %%
if lenet is not None:
    last = next(lenet.parameters()).detach().cpu()
    cosines = {
        k: F.cosine_similarity(w.flatten(1), last.flatten(1)).mean() for k, w in album.items()
    }
    print("; ".join(f"step {step}: cosine {cosine:.2f}" for step, cosine in cosines.items()))
    alike = [str(step) for step, cosine in cosines.items() if cosine > 0.9]
    check.measured("after how many steps is the cosine above 0.9", [*alike, "later"][0])
    by_step = {f"step {step}": w[:, 0].numpy() for step, w in album.items()}
    plots.show(
        figures.filters_by_step(by_step | {"the end": last[:, 0].numpy()}),
        alt="Six filters of 5×5 at five steps: from noise to light and dark sides.",
    )

# %% [markdown]
# Each column is one filter, from random at the top to learnt at the bottom: sides, bars and corners grow
# out of the noise they started from.
#
# Next, what the six filters make of two digits, after ReLU. A map that stays empty is a filter whose
# ReLU is off everywhere: its gradient is 0, and it has stopped learning. Last, the digits moved to the
# right again.

# %%
if lenet is not None:
    weight, bias = (p.detach() for p in list(lenet.parameters())[:2])
    chosen = torch.stack([test_x[test_y == label][0] for label in (2, 7)])
    maps = F.relu(F.conv2d(chosen, weight, bias, padding=2)).cpu()
    plots.show(
        figures.digits_and_maps(chosen[:, 0].cpu().numpy(), maps.numpy()),
        alt="A 2 and a 7, each with six maps; every map has other strokes in it.",
    )

# %%
if lenet is not None:
    by_shift = {"LeNet (yours)": accuracy_by_shift(lenet), "fully connected": dense_by_shift}
    plots.show(
        figures.accuracy_by_shift(by_shift),
        alt="Moved by some pixels, LeNet keeps far more of its accuracy.",
    )

# %% [markdown]
# LeNet has never seen a moved digit either. Its maps move along with the image and pooling swallows small
# moves, but the linear layers on top have weights for every place again: equivariant below, not invariant
# above. (On the small digits, which have no finer strokes to see, LeNet is ahead only once
# they move.)

# %% [markdown]
# ## 9 · The same pixels, shuffled
# A control. All images get their pixels shuffled, every image in the same order: no information is
# lost, but neighbours are neighbours no more. The two networks are trained anew, on the images as they
# are and on the shuffled ones, for the same few steps.
#
# **Predict first:** which of them loses more than a point of accuracy?

# %%
check.predict(
    "which network loses a point or more when pixels are shuffled",
    "",
    "both of them",
    "only LeNet",
    "only the other",
    "none of them",
)


# %%
def trained_on(network: nn.Module, order: Tensor) -> float:
    """The test accuracy after 200 steps, on images with their pixels in this order."""

    def shuffled(x: Tensor) -> Tensor:
        return x.flatten(1)[:, order].reshape(x.shape)

    network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for batch in torch.randint(len(train_x), (200, 64), device=device):
        optimizer.zero_grad()
        F.cross_entropy(network(shuffled(train_x[batch])), train_y[batch]).backward()
        optimizer.step()
    return training.evaluate(network, shuffled(test_x), test_y).accuracy


# %%
with check.needs("LeNet"):
    torch.manual_seed(0)
    orders = torch.arange(784, device=device), torch.randperm(784, device=device)
    lost = {}
    for name in ("LeNet (yours)", "fully connected"):
        both = []
        for order in orders:
            torch.manual_seed(1)
            layers = nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)
            both.append(trained_on(LeNet() if "LeNet" in name else nn.Sequential(*layers), order))
        lost[name] = both[0] - both[1]
        print(f"{name:16} as they are {both[0]:.1%}, shuffled {both[1]:.1%}")
    loses = [name for name, much in lost.items() if much >= 0.01]
    one = "only LeNet" if "LeNet (yours)" in loses else "only the other"
    answer = one if len(loses) == 1 else "both of them" if loses else "none of them"
    check.measured("which network loses a point or more when pixels are shuffled", answer)

# %% [markdown]
# To a fully connected network the order of its inputs is nothing: each pixel has its own weights anyway.
# (A difference that is left is chance: the same random weights meet other pixels.) LeNet is built
# on the assumption that neighbours belong together. That is what it knows before it has seen an
# image, and shuffling takes it away.

# %% [markdown]
# ## 10 · Experiments
# Change the knobs and run again; nothing here is graded.
#
# - How small can the filters be? How few, how many? What does that do to the number of parameters?
# - Take pooling out and give the convolutions stride 2 instead.
# - Put `nn.AvgPool2d` or `nn.Tanh` in: nearer to the network of 1998.
# - Shuffle only blocks of 7×7 pixels, and keep the order inside each. What does LeNet lose then?


# %%
def experiment(filters: int = 6, size: int = 5, pool: int = 2, steps: int = 200) -> float:
    """The test accuracy of a network with one convolution, after a few hundred steps."""
    torch.manual_seed(0)
    units = filters * (28 // pool) ** 2
    convolution = nn.Conv2d(1, filters, size, padding=size // 2)  # size: an odd number
    head = [nn.ReLU(), nn.MaxPool2d(pool), nn.Flatten(), nn.Linear(units, 10)]
    network = train_briefly(nn.Sequential(convolution, *head), steps)
    return training.evaluate(network, test_x, test_y).accuracy


for knobs in ({"filters": 1}, {"filters": 6}, {"filters": 6, "size": 1}):
    print(f"{knobs}: {experiment(**knobs):.1%} right")

# %% [markdown]
# ## 11 · What you built is called
# | yours | PyTorch |
# |---|---|
# | `conv2d(x, w, b, stride, padding)` | `F.conv2d`, `nn.Conv2d(C, K, (R, S), stride, padding)` |
# | `im2col` | `F.unfold`, `nn.Unfold` |
# | the loop with `+=` in `conv2d_backward` (col2im) | `F.fold`, `nn.Fold` |
# | `conv2d_backward` | autograd; dx alone: `F.conv_transpose2d(dy, w)` |
# | `max_pool2d(x, size)` | `F.max_pool2d(x, size)`, `nn.MaxPool2d(size)` |
#
# The proof of it all: PyTorch trained LeNet, and now your NumPy runs it, with its weights.

# %%
if lenet is not None:
    with check.needs("conv2d", "max_pool2d"):
        w1, b1, w2, b2, *linear = (p.detach().cpu().numpy() for p in lenet.parameters())
        x = test_x[:500].cpu().numpy()
        x = max_pool2d(np.maximum(conv2d(x, w1, b1, padding=2), 0), 2)
        x = max_pool2d(np.maximum(conv2d(x, w2, b2), 0), 2).reshape(len(x), -1)
        for i in (0, 2):
            x = np.maximum(x @ linear[i].T + linear[i + 1], 0)
        scores = x @ linear[4].T + linear[5]
        with torch.no_grad():
            theirs = lenet(test_x[:500]).cpu().numpy()
        same = (scores.argmax(axis=1) == theirs.argmax(axis=1)).sum()
        print(
            f"{same} of {len(x)} answers agree; largest error of a score {abs(scores - theirs).max():.1e}"
        )

# %% [markdown]
# ## 12 · Further
# - Fukushima (1980), *Neocognitron: a self-organizing neural network model for a mechanism of pattern
#   recognition unaffected by shift in position*, Biological Cybernetics 36,
#   [10.1007/BF00344251](https://doi.org/10.1007/BF00344251): local, shared, pooled; without
#   backpropagation.
# - LeCun, Bottou, Bengio, Haffner (1998), *Gradient-based learning applied to document recognition*,
#   [10.1109/5.726791](https://doi.org/10.1109/5.726791): LeNet-5, 0.95 % errors on MNIST. Compare with
#   your figure.
# - Chellapilla, Puri, Simard (2006), *High performance convolutional neural networks for document
#   processing*, [inria-00112631](https://inria.hal.science/inria-00112631): convolution unrolled into a
#   matrix product, 2.4 to 3.0 times as fast. Compare with yours.

# %% [markdown]
# - Chetlur and others (2014), *cuDNN: efficient primitives for deep learning*,
#   [arXiv:1410.0759](https://arxiv.org/abs/1410.0759): im2col without storing the columns.
# - Simonyan, Zisserman (2014), *Very deep convolutional networks for large-scale image recognition*,
#   [arXiv:1409.1556](https://arxiv.org/abs/1409.1556): 3×3 all the way.
#
# **Next:** in lab 06 networks are declared in a file, and read colour photographs.

# %%
progress()
