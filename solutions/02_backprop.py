# %% [markdown]
# # 02 · Backpropagation
# In lab 01 you wired the hidden layer of an XOR network by hand. Here a network finds hidden weights
# by itself: first for XOR, then for handwritten digits, where 101,770 weights come to read 98 of 100
# MNIST images that they have never seen. In NumPy, with every gradient written by you.
#
# The picture is where you are going: a network with eight hidden units, before and while it learns.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import copy
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from grading.check import checks, progress
from utils import plots, settings
from utils.data import digits
from utils.figures import backprop as figures

# %%
Array = NDArray[np.floating]
threadpool_limits(1)  # matrices as small as this lab's are multiplied fastest by one core
check = checks("02_backprop")
sizes = settings.choose(
    scale,
    smoke={"mnist_epochs": 5, "small_epochs": 30},
    cpu={"mnist_epochs": 10, "small_epochs": 30},
)

# %%
rng = np.random.default_rng(0)
corners = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], 50, axis=0)
xor_X, xor_y = corners + rng.normal(scale=0.13, size=(200, 2)), np.repeat([0, 1, 1, 0], 50)


# %%
torch.manual_seed(3)
network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
predicts = {}
for step in range(501):
    if step in (0, 50, 500):
        then = copy.deepcopy(network)
        predicts[step] = lambda X, then=then: then(torch.tensor(X).float()).argmax(dim=1).numpy()
    optimizer.zero_grad()
    F.cross_entropy(network(torch.tensor(xor_X).float()), torch.tensor(xor_y)).backward()
    optimizer.step()
fig = figures.xor_regions(predicts, xor_X, xor_y)
plots.show(fig, alt="XOR points; the regions a network predicts become the right ones by step 500.")

# %% [markdown]
# **You will** derive and write softmax and cross-entropy, the backward pass of a layer and of an
# activation; check every gradient against a difference quotient; put them together into a
# multilayer perceptron; train it to at least 97.5 % on MNIST; and see why twenty sigmoid layers
# cannot learn.
#
# **Not in this lab:** a library that finds gradients for you (lab 03), convolution (05), and
# anything faster than plain gradient descent.
#
# **You need** lab 01, matrix products, and derivatives in one variable, of log and exp too. 160 minutes.
# A CPU is enough: all cells together compute for about 20 seconds at scale `smoke` and `cpu`, with
# MNIST (`make data` fetches it) or the small digits.

# %% [markdown]
# ## 1 · A slope instead of a step
# The perceptron's rule moves the weights *of the neuron that erred*. A hidden neuron has no label of
# its own: was it wrong? We would have to know how the network's error changes when a hidden weight
# moves a little.
#
# Below, one hidden weight of the hand-wired XOR network goes from −3 to 3. What does the error look
# like as a function of it, if the neurons are steps? The **sigmoid** σ is a step made smooth:
# σ(z) = 1/(1 + e⁻ᶻ) goes from 0 to 1.

# %%
check.predict("the error over one weight, with steps", "", "a valley", "a slope", "plateaus")


# %%
def xor_error(w: float, squash: Callable[[Array], Array]) -> float:
    """Mean squared error of lab 01's XOR network, one weight of its second hidden unit being w."""
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    hidden = squash(X @ np.array([[1.0, w], [1.0, 1.0]]) + np.array([-0.5, -1.5]))
    output = squash(hidden @ np.array([1.0, -1.0]) - 0.5)
    return float(np.mean((output - [0, 1, 1, 0]) ** 2))


weights = np.linspace(-3, 3, 400)
fig, ax = plt.subplots(figsize=(6.4, 3))
neurons = {
    "steps": lambda z: (z >= 0).astype(float),
    "sigmoids": lambda z: 1 / (1 + np.exp(-3 * z)),
}
errors = {name: [xor_error(w, squash) for w in weights] for name, squash in neurons.items()}
plots.curves(ax, errors, "one hidden weight", "mean squared error", x=weights)
plots.show(fig, alt="With steps the error jumps between plateaus; with sigmoids it bends.")
flat = np.mean(np.diff(errors["steps"]) == 0)
print(f"with steps, the error stays the same in {flat:.0%} of the moves")
check.measured("the error over one weight, with steps", "plateaus")

# %% [markdown]
# With steps the error is all plateaus and cliffs: its slope is 0 nearly everywhere, so a small move
# tells nothing. With smooth neurons the curve has a **slope**, which says where down is. The collection
# of slopes of the loss $L$, one for each weight, is the **gradient**; going a little against it is
# **gradient descent**.
#
# $\partial L/\partial w$ is the sign for such a slope: how much $L$ moves for a small move of $w$, all
# other numbers held. Throughout this lab `dW` stands for the array of all $\partial L/\partial W_{ij}$;
# it always has the shape of `W`.

# %% [markdown]
# ## 2 · Can you trust a gradient?
# A wrong gradient seldom crashes; it learns a little worse. So we compare with something too simple
# to get wrong: move one number of `x` by ±ε and look.
#
# $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + \varepsilon e_i) - f(x - \varepsilon e_i)}{2\varepsilon}$$
#
# Here $e_i$ is an array like $x$ with a 1 at place $i$ and 0 elsewhere: only $x_i$ moves.
# This **central difference** costs two evaluations per number, hopeless for training a hundred
# thousand weights, perfect for testing.

# %% [markdown]
# ### Exercise 1 · Numerical gradient — 1 point, 15 minutes, ●○○
# Exercises 1, 2, 3 and 6 are for NumPy alone: an answer that calls torch, SciPy or scikit-learn
# earns nothing. Before you write: which ε gives the most exact slope in 64-bit floats?
#
# <details><summary>Hint 1</summary><code>for i in np.ndindex(x.shape)</code> goes over the indices
# of an array of any shape.</details>
#
# <details><summary>Hint 2</summary>Each slope is measured from the same point: whatever you moved
# has to go back before the next one, and at the end <code>x</code> must be what it was. A copy to
# move things in is the simplest way.</details>

# %%
check.predict("the best ε", "", "1e-2", "1e-5", "1e-8", "1e-12")


# %% nbgrader={"grade_id": "numerical_gradient_code", "solution": true}
def numerical_gradient(f: Callable[[Array], float], x: Array, eps: float) -> Array:
    """The gradient of f at x by central differences; it has the shape of x, which may be any.

    f takes an array like x and returns a number. x: float64, left as it was.
    >>> numerical_gradient(lambda x: x[0] * x[1], np.array([3.0, 5.0]), eps=0.1)
    array([5., 3.])
    """
    ### BEGIN SOLUTION
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        moved = x.copy()
        moved[i] = x[i] + eps
        above = f(moved)
        moved[i] = x[i] - eps
        gradient[i] = (above - f(moved)) / (2 * eps)
    return gradient
    ### END SOLUTION


# %% nbgrader={"grade_id": "numerical_gradient", "grade": true, "points": 1}
check("numerical_gradient")


# %%
def relative_error(a: Array, b: Array) -> float:
    """|a − b| compared with |a| + |b|, as lengths: 0 for equal arrays, 1 for opposite ones."""
    return float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)))


# %%
with check.needs("numerical_gradient"):
    x, epsilons = np.linspace(0.5, 2, 7), np.logspace(-13, 0, 40)
    slopes = {  # of sum(exp(x)), of which the exact gradient is exp(x)
        "one-sided": [(np.exp(x + e) - np.exp(x)) / e for e in epsilons],
        "central (yours)": [numerical_gradient(lambda v: np.exp(v).sum(), x, e) for e in epsilons],
    }
    errors = {name: [relative_error(one, np.exp(x)) for one in s] for name, s in slopes.items()}
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.set(xscale="log", yscale="log")
    plots.curves(ax, errors, "ε", "relative error of the slope", x=epsilons)
    plots.show(fig, alt="Two V-shaped curves on log axes; the central one is lowest near 1e-5.")
    tried = {
        e: np.interp(np.log(float(e)), np.log(epsilons), errors["central (yours)"])
        for e in ("1e-2", "1e-5", "1e-8", "1e-12")
    }
    check.measured("the best ε", min(tried, key=tried.get))

# %% [markdown]
# Read it from both ends. On the right, ε is too long: the curve bends under the line, an error that
# falls like ε (one-sided) or ε² (central). On the left, f(x + ε) and f(x − ε) agree in nearly all
# their 16 digits, the difference keeps the last, noisy ones, and dividing by ε enlarges the noise.
# The best ε lies between. In float32, with 7 digits, there is hardly a good one: check in float64.
#
# A right gradient then shows a relative error of 1e-7 or less; 1e-3 is a bug. You will use it on each
# gradient of this lab.

# %% [markdown]
# ## 3 · From scores to probabilities
# Our networks end in one **score** (or *logit*) per class, `S: (N, C)` for a batch of N images.
# **Softmax** makes each row positive with sum 1:
#
# $$P_{nc} = \frac{e^{S_{nc}}}{\sum_k e^{S_{nk}}}$$

# %% [markdown]
# ### Exercise 2 · Softmax — 1 point, 15 minutes, ●○○
# Mind the numbers: $e^{1000}$ is too large for any float, yet a score of 1000 is legal.
#
# <details><summary>Hint 1</summary>What 100 more for all scores does is the key to the cure. Multiply
# numerator and denominator by the same number: which one makes the largest exponent 0?</details>
#
# <details><summary>Hint 2</summary>For a sum along each row that still broadcasts against
# <code>(N, C)</code>: <code>axis=1, keepdims=True</code>.</details>

# %%
check.predict("100 more for all scores of an image", "", "surer", "less sure", "the same")


# %% nbgrader={"grade_id": "softmax_code", "solution": true}
def softmax(S: Array) -> Array:
    """Probabilities P: (N, C) of scores S: (N, C); each row is positive and sums to 1.

    Scores of any finite size are fine. S is left as it was.
    >>> softmax(np.array([[0.0, 0.0], [np.log(3.0), 0.0]]))
    array([[0.5 , 0.5 ],
           [0.75, 0.25]])
    """
    ### BEGIN SOLUTION
    E = np.exp(S - S.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "softmax", "grade": true, "points": 1}
check("softmax")

# %%
with check.needs("softmax"):
    scores = np.array([2.0, 1.0, 0.0, -1.0])
    S = np.stack([scores, scores + 100, scores * 3])
    P = softmax(S)
    fig = figures.probabilities(S, P, ("the scores", "plus 100", "times 3"))
    plots.show(fig, alt="Adding 100 to all scores changes nothing; times 3 sharpens the choice.")
    check.measured("100 more for all scores of an image", "the same")

# %% [markdown]
# Only differences of scores count; their size is how sure the network is.
#
# ## 4 · One number for how wrong
# **Cross-entropy** is the mean of minus the logarithm of the probability that the right class got,
# with `y: (N,)` the labels:
#
# $$L = -\frac1N\sum_n \log P_{n,y_n}$$

# %% [markdown]
# Sure and right costs 0; sure and wrong costs without limit. Inserting softmax, one image costs
# $L_n = -S_{n,y_n} + \log\sum_k e^{S_{nk}}$, and of that we need the slope in each score.
#
# **By hand first, with one image of two classes.** Its scores are $s_0$ and $s_1$, class 0 is right,
# and $L = -s_0 + \log(e^{s_0} + e^{s_1})$. Differentiate it in $s_0$, and in $s_1$; then write each
# result with $P_0$ and $P_1$ in the place of the fractions. What do both have in common, and what is
# there for the right class only? What becomes of them in a mean over N images?
#
# For equal scores the two slopes are −1/2 and 1/2.

# %% [markdown]
# ### Exercise 3 · Cross-entropy — 1.5 points, 25 minutes, ●●○
# Return the loss and its gradient together. The cell above the check measures your gradient with your
# `numerical_gradient`, which may know better than you.
#
# A network that knows nothing gives each of ten digits the probability 1/10. What
# is its loss? Put that number into `loss_of_a_guess`; you will meet it again at the end of the lab.
#
# <details><summary>Hint 1</summary><code>P[np.arange(N), y]</code> picks one entry from each
# row.</details>
#
# <details><summary>Hint 2</summary>If the right class has a score 1000 below the best, its
# probability rounds to 0 and log(0) is −∞. The form of L<sub>n</sub> above, with the row's largest
# score subtracted first, never takes the logarithm of such a number.</details>


# %% nbgrader={"grade_id": "cross_entropy_code", "solution": true}
def cross_entropy(S: Array, y: NDArray[np.integer]) -> tuple[float, Array]:
    """The mean cross-entropy of scores S: (N, C) for labels y: (N,), and its gradient dS: (N, C).

    Finite for scores of any finite size. S and y are left as they were.
    >>> cross_entropy(np.array([[0.0, 0.0]]), np.array([1]))
    (0.6931..., array([[ 0.5, -0.5]]))
    """
    ### BEGIN SOLUTION
    rows = np.arange(len(S))
    shifted = S - S.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    loss = np.mean(log_sum - shifted[rows, y])
    dS = softmax(S)
    dS[rows, y] -= 1
    return float(loss), dS / len(S)
    ### END SOLUTION


# %% nbgrader={"grade_id": "cross_entropy_guess", "solution": true}
loss_of_a_guess = None  # a number, to three digits
### BEGIN SOLUTION
loss_of_a_guess = 2.303  # log(10), the natural logarithm
### END SOLUTION

# %%
with check.needs("numerical_gradient", "cross_entropy"):
    S, y = np.random.default_rng(0).normal(size=(2, 3)), np.array([2, 0])
    measured = numerical_gradient(lambda S: cross_entropy(S, y)[0], S, 1e-5)
    print(
        "dS measured", measured.round(4), "dS, yours", np.round(cross_entropy(S, y)[1], 4), sep="\n"
    )

# %% nbgrader={"grade_id": "cross_entropy", "grade": true, "points": 1.5}
check("cross_entropy")

# %%
with check.needs("cross_entropy"):
    S, y = np.array([[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [1.0, 1.0, 1.0]]), np.array([0, 2, 1])
    loss, dS = cross_entropy(S, y)
    fig = figures.score_slopes(dS, y, ("sure, right", "sure, wrong", "no idea"))
    plots.show(fig, alt="Slopes near 0 where sure and right, large where sure and wrong.")

# %% [markdown]
# Each image's slopes sum to 0. The one that was sure and right teaches almost nothing, the one that was
# sure and wrong pulls hardest: the perceptron's "move only on a mistake", made smooth.

# %% [markdown]
# ## 5 · The chain rule
# One neuron, one input, one target: $z = wx + b$, $a = \sigma(z)$, $L = (a - y)^2$. The picture is
# its **computation graph**. In the boxes: the numbers that flow forward. At each arrow: the **local
# slope**, how much the arrow's end moves when its start moves a little, at these numbers.

# %%
fig = figures.neuron_graph(x=2.0, y=1.0, w=-1.0, b=3.0)
plots.show(fig, alt="w = −1 and b = 3 lead to z = 1, a = 0.731, L = 0.0723, with local slopes.")

# %% [markdown]
# If moving $w$ a little moves $z$ twice as far, and that moves $a$ 0.197 times as far, and so on, then
# the slope of $L$ in $w$ is the product of the local slopes on the way. That is the **chain rule**.
# **Backpropagation** multiplies from the loss backwards, so that what paths share is computed once:
# all slopes together cost about two more forward passes, however many weights there are.

# %% [markdown]
# ### Exercise 4 · Back through an activation — 1 point, 15 minutes, ●●○
# By hand, from the picture: the slope of the loss in $w$. Put it into `dL_dw`, to three digits.
#
# Then for arrays. An activation works on each number by itself; so does the way back:
#
# | `kind` | activation of z | slope at z |
# |---|---|---|
# | `"sigmoid"` | $\sigma(z) = 1/(1 + e^{-z})$ | $\sigma(z)\,(1 - \sigma(z))$ |
# | `"tanh"` | $\tanh z$ | $1 - \tanh^2 z$ |
# | `"relu"` | $\max(z, 0)$ | 1 where z > 0, else 0 |
#
# <details><summary>Hint 1</summary>Chain rule: what arrives (<code>dA</code>) times the local slope.
# The function below gives you σ(z) and tanh z.</details>


# %%
def activation(Z: Array, kind: str) -> Array:
    """A = sigmoid, tanh or relu of Z, number by number. Z: any shape."""
    if kind == "sigmoid":
        return 0.5 * (1 + np.tanh(0.5 * Z))  # the same as 1 / (1 + exp(−Z)), without overflow
    if kind == "tanh":
        return np.tanh(Z)
    if kind == "relu":
        return np.maximum(Z, 0)
    raise ValueError(f"There is no activation {kind!r}: choose sigmoid, tanh or relu.")


# %% nbgrader={"grade_id": "activation_backward_by_hand", "solution": true}
dL_dw = None  # a number, to three digits
### BEGIN SOLUTION
dL_dw = -0.212  # −0.538 · 0.197 · 2
### END SOLUTION


# %% nbgrader={"grade_id": "activation_backward_code", "solution": true}
def activation_backward(dA: Array, Z: Array, kind: str) -> Array:
    """dZ from dA, for A = activation(Z, kind). All three have the same shape.

    Z is what went into the activation, not what came out. dA and Z are left as they were.
    >>> activation_backward(np.array([3.0, 3.0]), np.array([-1.0, 2.0]), "relu")
    array([0., 3.])
    """
    ### BEGIN SOLUTION
    if kind == "relu":
        return dA * (Z > 0)
    A = activation(Z, kind)
    return dA * (A * (1 - A) if kind == "sigmoid" else 1 - A**2)
    ### END SOLUTION


# %% nbgrader={"grade_id": "activation_backward", "grade": true, "points": 1}
check("activation_backward")

# %%
if dL_dw is not None:
    fig = figures.neuron_graph(x=2.0, y=1.0, w=-1.0, b=3.0, back=True)
    plots.show(
        fig, alt="From right to left, the slope of L at each box: 1, −0.538, −0.106, −0.212."
    )

# %%
with check.needs("activation_backward"):
    Z = np.linspace(-4, 4, 201)
    kinds = ("sigmoid", "tanh", "relu")
    slopes = {kind: activation_backward(np.ones_like(Z), Z, kind) for kind in kinds}
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
    plots.curves(left, {kind: activation(Z, kind) for kind in kinds}, "z", "activation", x=Z)
    plots.curves(right, slopes, "z", "slope (yours)", x=Z)
    plots.show(fig, alt="The sigmoid's slope is at most 0.25; tanh's 1 at 0; relu's 0, then 1.")

# %% [markdown]
# Keep the right picture in mind: the sigmoid's slope is nowhere larger than 1/4.
#
# ## 6 · A layer, forward and backward
# A **linear layer** computes `Y = X W + b` for a whole batch: `X: (N, D)`, `W: (D, H)`, `b: (H,)`,
# `Y: (N, H)`. The layer after it hands back `dY: (N, H)`. We need three gradients from it.
#
# Below are its arrays, and in orange what comes back: each gradient has the shape of its array.

# %%
fig = figures.layer_shapes(N=5, D=4, H=3)
plots.show(fig, alt="X (5, 4), W (4, 3), b (3,), Y (5, 3), and the gradients of the same shapes.")

# %% [markdown]
# **By hand first, with one image of two numbers and one output:** $Y = x_1 w_1 + x_2 w_2 + b$. The layer
# after it hands back one number, $dY$. What are $dw_1$, $dw_2$, $db$, $dx_1$ and $dx_2$? Each is $dY$
# times a local slope.
#
# Then a second image comes with its own $x_1$, $x_2$ and $dY$, and the weights are the same. A weight now
# reaches $L$ on two paths: along several paths slopes add up. What is a sum over images of products, as a
# matrix product? Let the shapes in the picture tell you the order and what is transposed.

# %% [markdown]
# ### Exercise 5 · Linear layer — 1.5 points, 25 minutes, ●●○
# `dY` already holds the 1/N of the mean, put there by the loss. Nothing here divides by N.
#
# <details><summary>Hint 1</summary>Which entries of Y does b<sub>h</sub> touch, and with what slope?
# Which does W<sub>dh</sub> touch?</details>
#
# <details><summary>Hint 2</summary>X<sub>nd</sub> touches every entry of row n of Y, entry h with
# slope W<sub>dh</sub>. Write the sum, then find the matrix product that has the shape of X.</details>


# %% nbgrader={"grade_id": "linear_code", "solution": true}
def linear_forward(X: Array, W: Array, b: Array) -> Array:
    """Y = X W + b: (N, H), for X: (N, D), W: (D, H), b: (H,).

    >>> linear_forward(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0]))
    array([[16.]])
    """
    ### BEGIN SOLUTION
    return X @ W + b
    ### END SOLUTION


# %% nbgrader={"grade_id": "linear_backward_code", "solution": true}
def linear_backward(dY: Array, X: Array, W: Array) -> tuple[Array, Array, Array]:
    """(dX, dW, db) from dY: (N, H), each in the shape of X, W and b.

    >>> linear_backward(np.array([[1.0]]), np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    (array([[3., 4.]]), array([[1.],
           [2.]]), array([1.]))
    """
    ### BEGIN SOLUTION
    return dY @ W.T, X.T @ dY, dY.sum(axis=0)
    ### END SOLUTION


# %% [markdown]
# To test a *backward* function with a numerical gradient, make up a loss that is easy to
# differentiate: $L = \sum dY \cdot Y$ with any fixed array `dY`. Then $\partial L/\partial Y$ is
# exactly `dY`. Measure before you check:

# %%
with check.needs("numerical_gradient", "linear"):
    rng = np.random.default_rng(1)
    X, W, b, dY = (rng.normal(size=shape) for shape in [(5, 4), (4, 3), (3,), (5, 3)])
    losses = {
        "dX": (X, lambda X: np.sum(dY * linear_forward(X, W, b))),
        "dW": (W, lambda W: np.sum(dY * linear_forward(X, W, b))),
        "db": (b, lambda b: np.sum(dY * linear_forward(X, W, b))),
    }
    for mine, (name, (at, f)) in zip(linear_backward(dY, X, W), losses.items(), strict=True):
        numeric = numerical_gradient(f, at, 1e-5)
        error = relative_error(mine, numeric) if mine.shape == at.shape else np.nan
        print(f"{name}: shape {mine.shape}, relative error {error:.1e}")

# %% nbgrader={"grade_id": "linear", "grade": true, "points": 1.5}
check("linear")

# %% [markdown]
# ## 7 · The network
# A **multilayer perceptron** is linear layers with an activation between each two. All of backprop is
# now bookkeeping:
#
# - **forward**: layer by layer; keep what each backward function will ask for (the **cache**).
# - **backward**: the same way back. Each layer takes the gradient of its output, leaves `dW` and
#   `db`, and hands on the gradient of its input.
# - **step**: every `W` and `b` moves by minus the **learning rate** times its gradient. Only now: with
#   half the weights moved, backward would give the gradient of nothing.

# %% [markdown]
# ### How large the weights start
# The weights start as random numbers with mean 0. How far from 0 is yours to find. Below, 256 inputs
# of size about 1 go through 20 layers of 64 units with ReLU. Change `deviation`, the standard
# deviation of the weights, until the activations keep their size. (No marks.)
#
# **Guess first:** the layers become four times as wide. The deviation that keeps the size is then …

# %%
check.predict(
    "with 4 times the inputs, the deviation is", "", "a quarter", "half", "the same", "twice"
)

# %%
deviation = 0.1  # of the weights: change it


def activation_sizes(width: int, deviation: float, layers: int = 20) -> list[float]:
    """The root mean square of the activations after each layer of random weights."""
    rng = np.random.default_rng(0)
    A, sizes = rng.normal(size=(256, width)), []
    for _ in range(layers):
        A = activation(A @ rng.normal(0, deviation, (width, width)), "relu")
        sizes.append(float(np.sqrt(np.mean(A**2))))
    return sizes


tried = {"0.03": 0.03, f"{deviation:g} (yours)": deviation, "1": 1.0}
fig, ax = plt.subplots(figsize=(6.4, 3))
ax.set_yscale("log")
curves = {name: activation_sizes(64, one) for name, one in tried.items()}
plots.curves(ax, curves, "layer", "size of the activations")
plots.show(fig, alt="Sizes by layer: 0.03 fades to nothing, 1 grows without limit.")
print(f"after 20 layers the size is {activation_sizes(64, deviation)[-1]:.2g}")

# %% [markdown]
# Each layer multiplies the size by the same factor: 20 layers take it to the power 20. One sum of D
# products of an input and a weight has D times the variance of one product. ReLU then drops about
# half of the squares. So D · deviation² / 2 should be 1, and the deviation √(2/D) (He et al. 2015):

# %%
for width in (64, 256):
    found = activation_sizes(width, 1.0)[-1] ** (-1 / 20)
    print(f"{width:3} inputs: keeps the size {found:.3f}, √(2/D) = {np.sqrt(2 / width):.3f}")
check.measured("with 4 times the inputs, the deviation is", "half")

# %% [markdown]
# `MLP` starts with just these weights. Section 9 shows what becomes of gradients then.

# %% [markdown]
# ### Exercise 6 · MLP — 1.5 points, 30 minutes, ●●●
# `MLP([784, 128, 10], "relu", seed=0)` has two linear layers and one activation, after the first.
# The last layer's scores go out as they are: softmax belongs to the loss.
#
# <details><summary>Hint 1</summary>For each layer, backward needs the layer's input and what the
# layer gave before the activation. Both are arrays that forward has in its hands.</details>
#
# <details><summary>Hint 2</summary>Backward for layer i, from the last to the first:
# <code>linear_backward</code>; keep two of its results; if there is a layer below, take the third
# back through the activation that stands between the two.</details>


# %% nbgrader={"grade_id": "MLP_code", "solution": true}
class MLP:
    """A multilayer perceptron.

    sizes: units of the input, of each hidden layer, and of the output: (D, H, …, C).
    kind: the activation of the hidden layers.
    W, b: lists, one entry a layer: W[i] (sizes[i], sizes[i + 1]), b[i] (sizes[i + 1],), float32.
    dW, db: the same lists for the gradients, made by backward.
    """

    def __init__(self, sizes: Sequence[int], kind: str, seed: int) -> None:
        rng = np.random.default_rng(seed)
        shapes = list(pairwise(sizes))
        self.kind = kind
        self.W = [rng.normal(0, np.sqrt(2 / m), (m, n)).astype(np.float32) for m, n in shapes]
        self.b = [np.zeros(n, np.float32) for _, n in shapes]

    def forward(self, X: Array) -> Array:
        """The scores S: (N, C) for X: (N, D)."""
        ### BEGIN SOLUTION
        self.cache = []  # for each layer: its input, and what it made of it
        A = X
        for W, b in zip(self.W, self.b, strict=True):
            Z = linear_forward(A, W, b)
            self.cache.append((A, Z))
            A = activation(Z, self.kind)
        return Z
        ### END SOLUTION

    def backward(self, dS: Array) -> None:
        """Set dW and db from dS: (N, C), the gradient of the loss in the last forward's scores."""
        ### BEGIN SOLUTION
        self.dW, self.db = list(self.W), list(self.b)
        dZ = dS
        for i in reversed(range(len(self.W))):
            dA, self.dW[i], self.db[i] = linear_backward(dZ, self.cache[i][0], self.W[i])
            if i > 0:
                dZ = activation_backward(dA, self.cache[i - 1][1], self.kind)
        ### END SOLUTION

    def step(self, lr: float) -> None:
        """Gradient descent: move every W[i] and b[i] against its gradient, lr times as far."""
        ### BEGIN SOLUTION
        for i in range(len(self.W)):
            self.W[i] = self.W[i] - lr * self.dW[i]
            self.b[i] = self.b[i] - lr * self.db[i]
        ### END SOLUTION


# %% nbgrader={"grade_id": "MLP", "grade": true, "points": 1.5}
check("MLP")

# %% [markdown]
# The gradient check works on a whole network, too: three layers, softmax and the loss, against ±ε.

# %%
with check.needs("numerical_gradient", "MLP", "cross_entropy"):
    model, rng = MLP([6, 5, 4, 3], "tanh", seed=0), np.random.default_rng(0)
    model.W = [W.astype(np.float64) for W in model.W]  # ε drowns in float32's rounding
    X, y = rng.normal(size=(8, 6)), rng.integers(3, size=8)
    model.backward(cross_entropy(model.forward(X), y)[1])

    def loss_at(W: Array, layer: int) -> float:
        model.W[layer] = W
        return cross_entropy(model.forward(X), y)[0]

    for i, W in enumerate(model.W):
        numeric = numerical_gradient(lambda W, i=i: loss_at(W, i), W, 1e-5)
        model.W[i] = W
        print(f"dW[{i}]: relative error {relative_error(model.dW[i], numeric):.1e}")

# %% [markdown]
# Now the promise of the first picture, with your network. Lab 01 ended with hidden weights chosen by
# you; these were chosen by a gradient.

# %%
with check.needs("MLP", "cross_entropy"):
    models = {}
    for steps in (0, 50, 500):
        model = models[steps] = MLP([2, 8, 2], "tanh", seed=0)
        for _ in range(steps):
            loss, dS = cross_entropy(model.forward(xor_X), xor_y)
            model.backward(dS)
            model.step(0.5)
    predicts = {
        steps: lambda X, model=model: np.argmax(model.forward(X), axis=1)
        for steps, model in models.items()
    }
    fig = figures.xor_regions(predicts, xor_X, xor_y)
    plots.show(fig, alt="Your network's regions of XOR after 0, 50 and 500 steps.")

# %% [markdown]
# ## 8 · Handwritten digits
# From here on nothing is new but the size. An image is a row of numbers between 0 (paper) and 1 (ink),
# and there are ten classes. `train_x: (N, height, width)` float32, `train_y: (N,)` the digits.

# %%
data = digits.load()
train_X, test_X = (x.reshape(len(x), -1) for x in (data.train_x, data.test_x))  # (N, D)
train_y, test_y = data.train_y, data.test_y
is_mnist = data.name == "MNIST"
epochs = sizes.mnist_epochs if is_mnist else sizes.small_epochs
fig = plots.image_grid(data.train_x[:20], data.train_y[:20])
plots.show(fig, alt="Twenty training images with their labels.")

# %% [markdown]
# **Mini-batches.** The gradient over all images is exact and slow; over 32 of MNIST's 60,000 it is
# noisy and almost 2,000 times cheaper. One pass over the training set in batches is an **epoch**. Each
# epoch takes the images in a new random order, or the batches would come round in the same sequence
# each time.
#
# **Learning rates.** Large at first, to get near; small at the end, to settle. We pass a list with
# one learning rate per epoch, falling to a small one.

# %% [markdown]
# ### Exercise 7 · Training — 1.5 points, 20 minutes, ●●○
# For each batch: forward, loss, backward, step. `model` and `loss` are arguments, so that the same
# loop trains any network with any loss.
#
# <details><summary>Hint 1</summary><code>rng.permutation(N)</code> is a random order of 0, …, N − 1;
# <code>order[i : i + batch_size]</code> is a batch of indices, shorter at the end if N is not a
# multiple.</details>
#
# <details><summary>Hint 2</summary>The same indices pick the rows of <code>X</code> and the labels
# in <code>y</code>.</details>


# %% nbgrader={"grade_id": "train_mlp_code", "solution": true}
def train_mlp(
    model: MLP,
    loss: Callable[[Array, NDArray[np.integer]], tuple[float, Array]],
    X: Array,
    y: NDArray[np.integer],
    rates: Sequence[float],
    batch_size: int,
    rng: np.random.Generator,
) -> list[float]:
    """Train model by mini-batch gradient descent; returns the loss of every batch, in order.

    loss: takes scores and labels, returns the mean loss and its gradient, like cross_entropy.
    rates: the learning rate of each epoch. X: (N, D), y: (N,): left as they were.
    Every epoch uses each example once, in a new random order from rng; the last batch may be short.
    """
    ### BEGIN SOLUTION
    losses = []
    for rate in rates:
        order = rng.permutation(len(X))
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            value, dS = loss(model.forward(X[batch]), y[batch])
            model.backward(dS)
            model.step(rate)
            losses.append(value)
    return losses
    ### END SOLUTION


# %% nbgrader={"grade_id": "train_mlp", "grade": true, "points": 1.5}
check("train_mlp")

# %% tags=["headline"]
digit_model, digit_losses = None, []
with check.needs("train_mlp", "MLP", "cross_entropy"):
    model = MLP([train_X.shape[1], 128, 10], "relu", seed=0)
    rates = np.linspace(0.3, 0, epochs, endpoint=False).tolist()  # plain floats keep float32
    start, rng = time.perf_counter(), np.random.default_rng(0)
    digit_losses = train_mlp(model, cross_entropy, train_X, train_y, rates, 32, rng)
    seconds = time.perf_counter() - start
    accuracy = np.mean(np.argmax(model.forward(test_X), axis=1) == test_y)
    target = 0.975 if is_mnist else 0.95
    print(
        f"{data.name}: {accuracy:.2%} of {len(test_y):,} test images right after {epochs} epochs,"
        f" {seconds:.1f} s (target {target:.1%})"
    )
    digit_model = model

# %% [markdown]
# The next three pictures show *your* network. They stay away until it is trained.

# %%
if digit_model is not None:
    fig = figures.training_curve(digit_losses, np.log(10))
    plots.show(fig, alt="The loss falls from 2.3 by two orders of magnitude, ever more slowly.")

# %%
if digit_model is not None:
    predicted = np.argmax(digit_model.forward(test_X), axis=1)
    wrong = np.flatnonzero(predicted != test_y)[:20]
    titles = [f"{test_y[i]} → {predicted[i]}" for i in wrong]
    fig = plots.image_grid(data.test_x[wrong], titles)
    plots.show(fig, alt="Misread test images, with the label and what the network said.")

# %% [markdown]
# Above: *label → answer* for the first test images it misread. Which would you have read right?
# Below: what 30 of the hidden units look for, each unit's 784 (or 64) weights as an image. Nobody
# drew these: strokes, edges, and blank spots that tell one digit from another. (The small digits, with
# their 64 weights a unit, show little of it.)

# %%
if digit_model is not None:
    units = digit_model.W[0].T[:30].reshape(-1, *data.image_shape)
    plots.show(plots.image_grid(units, unit="weight"), alt="Weights of 30 hidden units as images.")

# %% [markdown]
# ## 9 · Deep, and gone
# Why two layers and not twenty? We build networks of 2 to 20 layers, 64 units wide, sigmoid or ReLU,
# and measure **the length of the gradient of the first layer's weights**, before any training. (The
# networks come from PyTorch, so that this section runs whatever became of exercise 6.)
#
# Going back through a layer multiplies by its weights and by the slope of its activation. You saw
# those slopes in section 5.

# %% [markdown]
# ### Exercise 8 · Gradient by depth — 1 point, 15 minutes, ●●○
# Predict first: if a network of 20 sigmoid layers is trained, which layers will hardly move:
# those next to the data (`"first"`), those next to the loss (`"last"`), or `"all"` alike?

# %%
check.predict("which of 20 sigmoid layers hardly move", "", "first", "last", "all")


# %%
def deep_network(depth: int, kind: type[torch.nn.Module], width: int = 64) -> torch.nn.Sequential:
    """`depth` linear layers with an activation between each two, and He's initial weights."""
    units = [train_X.shape[1], *[width] * (depth - 1), 10]
    layers: list[torch.nn.Module] = []
    for inputs, outputs in pairwise(units):
        linear = torch.nn.Linear(inputs, outputs)
        torch.nn.init.kaiming_normal_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
        layers += [linear, kind()]
    return torch.nn.Sequential(*layers[:-1])


def gradient_lengths(network: torch.nn.Sequential) -> list[float]:
    """The length of the gradient of each linear layer's weights, first layer first."""
    X, y = torch.tensor(train_X[:256]), torch.tensor(train_y[:256])
    F.cross_entropy(network(X), y).backward()
    return [layer.weight.grad.norm().item() for layer in network[::2]]


# %%
torch.manual_seed(0)
depths, kinds = range(2, 21, 2), {"sigmoid": torch.nn.Sigmoid, "ReLU": torch.nn.ReLU}


def in_first_layer(depth: int, kind: type[torch.nn.Module]) -> float:
    """The median of 15 networks' gradients."""
    return np.median([gradient_lengths(deep_network(depth, kind))[0] for _ in range(15)])


by_depth = {name: [in_first_layer(depth, kind) for depth in depths] for name, kind in kinds.items()}
fig, ax = plt.subplots(figsize=(6.4, 3.4))
ax.set_yscale("log")
plots.curves(ax, by_depth, "layers", "gradient in the first layer", x=list(depths))
ax.set_xticks(depths)
plots.show(fig, alt="Straight down on a log axis for sigmoid; level for ReLU.")
for depth, sigmoid, relu in zip(depths, *by_depth.values(), strict=True):
    print(f"{depth:2} layers   sigmoid {sigmoid:8.2e}   ReLU {relu:8.2e}")

# %% [markdown]
# A straight line on a logarithmic axis means: each further layer multiplies the gradient by the same
# factor. Read two answers off:
#
# - `shrink_per_layer`: that factor for the sigmoid, for *one* layer, within 10 %.
# - `why_relu`: why ReLU's gradient stays. `"a"` Its slope is 1 where a unit is on; He's weights (variance
#   2/D) make up for those off. `"b"` Its outputs have no upper limit, and the gradients grow with
#   the outputs. `"c"` It has fewer parameters than a sigmoid, and each gets more of the gradient.
#   `"d"` Its slope is greater than 1, and so makes up for weights that are less than 1.
#
# <details><summary>Hint 1</summary>From 2 layers to 20 the factor has acted 18 times.</details>

# %% nbgrader={"grade_id": "gradient_by_depth_reading", "solution": true}
shrink_per_layer = None  # a number between 0 and 1
why_relu = None  # "a", "b", "c" or "d"
### BEGIN SOLUTION
shrink_per_layer = (by_depth["sigmoid"][-1] / by_depth["sigmoid"][0]) ** (1 / 18)
why_relu = "a"
### END SOLUTION

# %% nbgrader={"grade_id": "gradient_by_depth", "grade": true, "points": 1}
check("gradient_by_depth")


# %%
def train_deep(kind: type[torch.nn.Module], depth: int = 10, steps: int = 400) -> list[float]:
    """The loss of each step of full-batch gradient descent on 256 images."""
    torch.manual_seed(0)
    X, y = torch.tensor(train_X[:256]), torch.tensor(train_y[:256])
    network, losses = deep_network(depth, kind), []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(network(X), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %%
torch.manual_seed(0)
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4))
left.set_yscale("log")
by_layer = {name: gradient_lengths(deep_network(20, kind)) for name, kind in kinds.items()}
plots.curves(left, by_layer, "layer, of 20", "gradient")
losses = {name: train_deep(kind) for name, kind in kinds.items()}
plots.curves(right, losses, "step, 10 layers", "loss")
plots.show(fig, alt="Left: by layer; right: ReLU learns, the sigmoid network stays at 2.3.")
ratio = by_layer["sigmoid"][0] / by_layer["sigmoid"][-1]
least = "first" if ratio < 0.1 else "last" if ratio > 10 else "all"
check.measured("which of 20 sigmoid layers hardly move", least)

# %% [markdown]
# Left, networks of 20 layers: with sigmoids, the loss is heard a billion times more faintly in the
# first layer than in the last. Right, what that does: ten sigmoid layers stay at about 2.3, the loss
# of a guess from exercise 3. Hochreiter described this in 1991, Bengio and others in 1994. It is one
# reason why networks stayed shallow until initial weights (Glorot and Bengio 2010, He and others
# 2015) and ReLU (Nair and Hinton 2010, Glorot and others 2011) were understood.

# %% [markdown]
# ## 10 · Experiments
# Change the knobs and run again; nothing here is graded.
#
# - Which learning rate learns nothing, which learns best? Find one that breaks.
# - 2 hidden units for ten digits? 500?
# - `hidden=(32, 32, 32, 32, 32)`, with each `kind`.
# - What if all weights start equal? Set every `model.W[i][:] = 0.01` after the network is made, train,
#   and look at the columns of `model.W[0]`. (Why are they alike?)
# - In `deep_network`, put `xavier_normal_` in the place of `kaiming_normal_`. What becomes of ReLU?


# %%
def experiment(
    rate: float = 0.1, hidden: tuple[int, ...] = (128,), kind: str = "relu", batch_size: int = 32
) -> list[float]:
    """The loss of each batch, in 5 epochs on 1,400 images."""
    model = MLP([train_X.shape[1], *hidden, 10], kind, seed=0)
    rng = np.random.default_rng(0)
    X, y = train_X[:1400], train_y[:1400]
    losses = train_mlp(model, cross_entropy, X, y, [rate] * 5, batch_size, rng)
    return np.convolve(losses, np.ones(20) / 20, mode="valid").tolist()  # mean of 20 batches


with check.needs("train_mlp", "MLP", "cross_entropy"):
    runs = {f"rate {rate:g}": experiment(rate=rate) for rate in (0.001, 0.01, 0.1, 1.0)}
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    plots.curves(ax, runs, "batches seen", "loss")
    plots.show(fig, alt="The loss of four learning rates: the small ones hardly fall.")

# %% [markdown]
# ## 11 · What you built is called
# | yours | PyTorch |
# |---|---|
# | `softmax(S)` | `torch.softmax(S, dim=1)` |
# | `cross_entropy(S, y)` | `F.cross_entropy(S, y)`; it takes scores, not probabilities |
# | `linear_forward`, `W: (D, H)` | `nn.Linear(D, H)`; its `weight` is our `W` transposed |
# | `activation(Z, "relu")` | `torch.relu`, `nn.ReLU()` |
# | `numerical_gradient` | `torch.autograd.gradcheck` compares it with autograd |
# | `MLP(sizes, "relu", 0)` | `nn.Sequential(nn.Linear(…), nn.ReLU(), nn.Linear(…))` |
# | `backward` | `loss.backward()`: **autograd**, which you build in lab 03 |
# | `step` | `torch.optim.SGD(…).step()` |
#
# Same input, same weights, your gradients against PyTorch's:

# %%
with check.needs("MLP", "cross_entropy"):
    model = MLP([train_X.shape[1], 128, 10], "relu", seed=0)
    X, y = train_X[:64], train_y[:64]
    loss, dS = cross_entropy(model.forward(X), y)
    model.backward(dS)

    W0, W1, b0, b1 = (torch.tensor(p, requires_grad=True) for p in (*model.W, *model.b))
    scores = F.relu(torch.tensor(X) @ W0 + b0) @ W1 + b1
    their_loss = F.cross_entropy(scores, torch.tensor(y))
    their_loss.backward()
    print(f"loss: yours {loss:.6f}, PyTorch's {their_loss.item():.6f}")
    for i, (W, b) in enumerate(((W0, b0), (W1, b1))):
        error_W = relative_error(model.dW[i], W.grad.numpy())
        error_b = relative_error(model.db[i], b.grad.numpy())
        print(f"layer {i}: relative error of dW {error_W:.1e}, of db {error_b:.1e}")

# %% [markdown]
# In float32 an error of 1e-7 is agreement to the last digit.
#
# ## 12 · Further
# - Linnainmaa (1976), *Taylor expansion of the accumulated rounding error*, BIT 16,
#   [10.1007/BF01931367](https://doi.org/10.1007/BF01931367); first in his master's thesis, Helsinki
#   1970: the chain rule computed backwards.
# - Werbos (1974), *Beyond regression*, thesis, Harvard: with a view to learning.
# - Rumelhart, Hinton, Williams (1986), *Learning representations by back-propagating errors*, Nature
#   323, [10.1038/323533a0](https://doi.org/10.1038/323533a0): hidden units that come to mean
#   something.
# - LeCun, Bottou, Bengio, Haffner (1998), *Gradient-based learning applied to document recognition*,
#   [10.1109/5.726791](https://doi.org/10.1109/5.726791): MNIST; 4.7 % errors with 300 hidden units and
#   squared error. Compare with your figure.
# - Simard, Steinkraus, Platt (2003), [10.1109/ICDAR.2003.1227801](https://doi.org/10.1109/ICDAR.2003.1227801):
#   1.6 % with 800 hidden units and cross-entropy.

# %% [markdown]
# - Hochreiter (1991), *Untersuchungen zu dynamischen neuronalen Netzen*, diploma thesis, TU München;
#   Bengio, Simard, Frasconi (1994), *Learning long-term dependencies with gradient descent is
#   difficult*, [10.1109/72.279181](https://doi.org/10.1109/72.279181): gradients that vanish.
# - Nair, Hinton (2010), *Rectified linear units improve restricted Boltzmann machines*, ICML; Glorot,
#   Bordes, Bengio (2011), [PMLR 15, 315–323](https://proceedings.mlr.press/v15/glorot11a.html): ReLU.
# - Glorot, Bengio (2010), *Understanding the difficulty of training deep feedforward neural networks*,
#   [PMLR 9, 249–256](https://proceedings.mlr.press/v9/glorot10a.html); He, Zhang, Ren, Sun (2015),
#   *Delving deep into rectifiers*, [arXiv:1502.01852](https://arxiv.org/abs/1502.01852): the initial
#   weights of section 7.
#
# **Next:** in lab 03 the computation graph draws itself, and `backward` writes itself.

# %%
progress()
