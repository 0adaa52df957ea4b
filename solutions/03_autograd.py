# %% [markdown]
# # 03 · Autograd
# In lab 02 you derived every gradient by hand. Here you write an engine that finds the gradients of
# whatever is computed with it, train a digit reader on it, and see PyTorch arrive at the same numbers.
#
# The picture is where you are going: a computation that drew itself. Each box holds a value, found
# going down, and the gradient of the loss in it, found going up. Round: a leaf, which nothing
# computed. Square: an operation.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import itertools
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from grading.check import checks, progress
from utils import device, graphs, plots, settings
from utils.data import digits
from utils.figures import autograd as figures

# %%
Array = NDArray[np.float64]
threadpool_limits(1)  # matrices as small as this lab's are multiplied fastest by one core
check = checks("03_autograd")
sizes = settings.choose(
    scale,
    smoke={"steps": 400, "batch": 64, "rows": 2_000, "repeats": 5, "compile": False},
    cpu={"steps": 2_000, "batch": 64, "rows": 8_000, "repeats": 20, "compile": True},
    gpu={"steps": 2_000, "batch": 64, "rows": 200_000, "repeats": 50, "compile": True},
)

# %%
x, w, b = (torch.tensor(value, requires_grad=True) for value in (2.0, 3.0, -10.0))
z = w * x
s = z + b
L = s * s
for middle in (z, s, L):
    middle.retain_grad()
L.backward()


def box(name: str, op: str, value: torch.Tensor, *parents: SimpleNamespace) -> SimpleNamespace:
    number, slope = value.item(), value.grad.item()
    return SimpleNamespace(name=name, op=op, data=number, grad=slope, parents=parents)


z_box = box("z", "mul", z, box("w", "", w), box("x", "", x))
s_box = box("s", "add", s, z_box, box("b", "", b))
plots.show(
    graphs.draw(box("L", "mul", L, s_box, s_box)), alt="w, x, b; z = w·x; s = z + b; L = s²."
)

# %% [markdown]
# **You will** write five operations that remember what they were computed from; undo broadcasting;
# put a graph into order; send gradients back through it; cut it where it should end; write SGD with
# momentum and Adam; train the same network with your engine and with PyTorch; and see what is gained
# when a graph is known *before* it runs.

# %% [markdown]
# **Not in this lab:** second derivatives, GPU arrays, convolution (lab 05).
#
# **You need** lab 02: the chain rule, and the backward pass of a layer; and Python's functions as
# values (a function inside a function, `lambda`). 180 minutes for the exercises. A CPU is enough: all
# cells together compute for about half a minute at scale `smoke`. Exercises 1 to 7 do without PyTorch,
# which the lab compares with.

# %% [markdown]
# ## 1 · A value that remembers
# Lab 02's `MLP` knew its layers in advance, and `backward` walked the same list in reverse. That ends
# with lists. A program has branches, loops, and values used twice.
#
# **Define-by-run**, which Chainer brought to deep learning in 2015, needs no list: each operation
# runs at once, and its result remembers three things. Which operation made it (`op`), from which
# tensors (`parents`), and how to send a gradient back to them (`pull`). What results is the
# **computation graph**, with no one having declared it. A tensor that no operation made is a **leaf**.

# %% [markdown]
# | of a `Tensor` | |
# |---|---|
# | `data` | the array, float64, of any shape |
# | `op` | the name of what computed it; `""` for a leaf |
# | `parents` | the tensors that went in, a tuple |
# | `pull` | takes the gradient of the loss in this tensor, an array like `data`; returns a tuple of the gradients in its parents, one for each; None for a leaf |
# | `grad` | the gradient of the loss in this tensor, an array like `data`; None until backward ran |


# %%
class Tensor:
    """A float64 array that remembers what it was computed from, as the table says."""

    def __init__(
        self,
        data: ArrayLike,
        op: str = "",
        parents: Sequence["Tensor"] = (),
        pull: Callable[[Array], tuple[Array, ...]] | None = None,
        name: str = "",
    ) -> None:
        self.data: Array = np.asarray(data, dtype=np.float64)
        self.op, self.parents, self.pull, self.name = op, tuple(parents), pull, name
        self.grad: Array | None = None

    def __repr__(self) -> str:
        return f"Tensor({self.op or 'leaf'}, {self.data.tolist()})"


# %% [markdown]
# One operation, as an example. Forward computes `Y`; `pull` is the chain rule, with `dY` what arrives
# from above and `Y` the **local slope** of exp. `pull` is not called now: it waits.


# %%
def exp(a: Tensor) -> Tensor:
    """e to the power a, number by number."""
    Y = np.exp(a.data)

    def pull(dY: Array) -> tuple[Array, ...]:
        return (dY * Y,)  # a tuple of one: the comma makes it

    return Tensor(Y, "exp", (a,), pull)


a = Tensor([0.0, 1.0], name="a")
y = exp(a)
print("value   ", y.data)
print("op      ", y.op, "of", y.parents[0].name)
print("gradient", y.pull(np.array([1.0, 1.0])), "in a, if the one in y is [1, 1]")

# %% [markdown]
# ### Exercise 1 · Five operations — 2 points, 30 minutes, ●●○
# Into `add` and `mul` go arrays of one shape; section 2 sees to others. How you call an operation
# (`op`) is free: the pictures show it. Leave the arrays that come in as they are, `dY` too: others hold
# them.
#
# <details><summary>Hint 1</summary>In y = a·b, moving a by a little moves y by b times as much.
# </details>
#
# <details><summary>Hint 2</summary><code>matmul</code> is lab 02's linear layer without its bias: the
# shapes tell where the transposes go.</details>
#
# <details><summary>Hint 3</summary>In <code>total</code>, each number goes into one sum, with slope 1.
# So the gradient of the sum reaches every number that was summed.</details>

# %%
check.predict("in y = a + b, the gradient that a gets is", "", "dY", "dY times b", "half of dY")


# %% nbgrader={"grade_id": "tensor_ops_code", "solution": true}
def add(a: Tensor, b: Tensor) -> Tensor:
    """a + b, for tensors of one shape."""
    ### BEGIN SOLUTION
    return Tensor(a.data + b.data, "add", (a, b), lambda dY: (dY, dY))
    ### END SOLUTION


def mul(a: Tensor, b: Tensor) -> Tensor:
    """a times b, number by number, for tensors of one shape."""
    ### BEGIN SOLUTION
    return Tensor(a.data * b.data, "mul", (a, b), lambda dY: (dY * b.data, dY * a.data))
    ### END SOLUTION


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product a b: (N, H), of a: (N, D) and b: (D, H)."""
    ### BEGIN SOLUTION
    return Tensor(a.data @ b.data, "matmul", (a, b), lambda dY: (dY @ b.data.T, a.data.T @ dY))
    ### END SOLUTION


# %% nbgrader={"grade_id": "tensor_ops_code_2", "solution": true}
def relu(a: Tensor) -> Tensor:
    """max(a, 0), number by number. The slope at 0 is 0."""
    ### BEGIN SOLUTION
    return Tensor(np.maximum(a.data, 0), "relu", (a,), lambda dY: (dY * (a.data > 0),))
    ### END SOLUTION


def total(a: Tensor, axis: int | None = None) -> Tensor:
    """The sum of all numbers, of shape (). With an axis: the sum along it, which stays, of length 1.

    >>> total(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1).data
    array([[3.],
           [7.]])
    """
    ### BEGIN SOLUTION
    Y = a.data.sum(axis=axis, keepdims=axis is not None)
    return Tensor(Y, "sum", (a,), lambda dY: (np.broadcast_to(dY, a.data.shape),))
    ### END SOLUTION


# %% nbgrader={"grade_id": "tensor_ops", "grade": true, "points": 2}
check("tensor_ops")

# %%
with check.needs("tensor_ops"):
    a, b = Tensor([1.0, 2.0]), Tensor([10.0, 20.0])
    share = add(a, b).pull(np.array([5.0, 7.0]))[0]
    print(f"y = a + b, and dY = [5, 7] arrives: a gets {share}")
    check.measured("in y = a + b, the gradient that a gets is", "dY")

# %% [markdown]
# Below, plain Python with your five functions; the picture comes from following `parents` back from
# the result. Nobody told the drawing what the formula is. Round: a leaf. Square: an operation.

# %%
with check.needs("tensor_ops"):
    w, x, b = Tensor(3.0, name="w"), Tensor(2.0, name="x"), Tensor(-10.0, name="b")
    s = add(mul(w, x), b)
    L = mul(s, s)
    plots.show(graphs.draw(L), alt="w·x = 6; plus b is −4; times itself is 16.")

# %% [markdown]
# ## 2 · Broadcasting
# A bias `b: (H,)` is added to `Z: (N, H)`. NumPy **broadcasts**: it repeats `b` for each of the N rows,
# without a word. The gradient in the sum has shape (N, H); the gradient in `b` must have shape (H,).
#
# **Guess first:** `b[0]` was used in N rows, and each row has a gradient for it. What becomes of these
# N numbers?

# %%
check.predict("of the N gradients, b[0] gets", "", "their mean", "their sum", "the largest")

# %% [markdown]
# Shapes are compared from the right. An array is repeated along axes that it lacks on the left, or
# that have length 1. `unbroadcast` is the way back:
#
# | `shape` of the tensor | shape of `dY` | summed over |
# |---|---|---|
# | `(3,)` | `(5, 3)` | axis 0, which is gone afterwards |
# | `(5, 1)` | `(5, 3)` | axis 1, which keeps length 1 |
# | `()` | `(5, 3)` | both |
# | `(2, 1)` | `(4, 2, 3)` | axis 0, gone; axis 2, kept |

# %% [markdown]
# ### Exercise 2 · Unbroadcast — 1 point, 20 minutes, ●●○
# Write it for any pair of shapes that NumPy would broadcast.
#
# <details><summary>Hint 1</summary>First the axes that are missing on the left: there are
# <code>dY.ndim − len(shape)</code> of them.</details>
#
# <details><summary>Hint 2</summary>What is left has as many axes as <code>shape</code>. Now sum those
# where <code>shape</code> says 1, with <code>keepdims=True</code>. <code>sum</code> takes a tuple of
# axes.</details>


# %% nbgrader={"grade_id": "unbroadcast_code", "solution": true}
def unbroadcast(dY: Array, shape: tuple[int, ...]) -> Array:
    """The gradient in an array of this shape, which was broadcast to the shape of dY.

    dY: the gradient in the broadcast array; left as it was.
    >>> unbroadcast(np.ones((5, 3)), (5, 1)).shape
    (5, 1)
    """
    ### BEGIN SOLUTION
    dX = dY.sum(axis=tuple(range(dY.ndim - len(shape))))
    repeated = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return dX.sum(axis=repeated, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"grade_id": "unbroadcast", "grade": true, "points": 1}
check("unbroadcast")

# %%
with check.needs("unbroadcast"):
    print(unbroadcast(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), (2,)), "from three rows")
    check.measured("of the N gradients, b[0] gets", "their sum")

# %% [markdown]
# Broadcasting becomes an operation like the others: a node of its own, whose `pull` is yours. With it
# the tensors get Python's operators. (`detach`, `backward` and `topological_order` are yours to write
# below; Python looks the names up when they are called.)


# %%
def as_tensor(value: Tensor | ArrayLike) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def spread(a: Tensor, shape: tuple[int, ...]) -> Tensor:
    """a, broadcast to this shape; a itself, where it has it."""
    before = a.data.shape
    if before == shape:
        return a
    repeated = np.broadcast_to(a.data, shape)
    return Tensor(repeated, "broadcast", (a,), lambda dY: (unbroadcast(dY, before),))


def alike(a: Tensor, b: Tensor | ArrayLike) -> tuple[Tensor, Tensor]:
    """Both, broadcast to the shape that NumPy would give to a + b."""
    other = as_tensor(b)
    shape = np.broadcast_shapes(a.data.shape, other.data.shape)
    return spread(a, shape), spread(other, shape)


# %%
Tensor.__add__ = lambda self, other: add(*alike(self, other))
Tensor.__mul__ = lambda self, other: mul(*alike(self, other))
Tensor.__radd__, Tensor.__rmul__ = Tensor.__add__, Tensor.__mul__  # 2.0 * t
Tensor.__neg__ = lambda self: self * -1.0
Tensor.__sub__ = lambda self, other: self + -as_tensor(other)
Tensor.__rsub__ = lambda self, other: as_tensor(other) - self
Tensor.__matmul__ = lambda self, other: matmul(self, as_tensor(other))
Tensor.__gt__ = lambda self, other: bool(self.data > other)  # for an `if`: a bool, no tensor
Tensor.relu = lambda self: relu(self)
Tensor.sum = lambda self, axis=None: total(self, axis)
Tensor.backward = lambda self: backward(topological_order(self))
Tensor.__array_ufunc__ = None  # or NumPy's numbers would try to multiply by themselves

# %%
with check.needs("tensor_ops"):
    rng = np.random.default_rng(0)
    X = Tensor(rng.normal(size=(4, 3)), name="X")
    W, b = Tensor(rng.normal(size=(3, 2)), name="W"), Tensor([0.1, -0.2], name="b")
    layer = (X @ W + b).relu().sum()
    plots.show(graphs.draw(layer), alt="A layer: X @ W, plus b broadcast to 4×2, relu, sum.")

# %% [markdown]
# A layer of lab 02, in one line. Large arrays show their shape, here 4×2 for `(4, 2)`.

# %% [markdown]
# ## 3 · Which one first
# Backward goes from the loss to the leaves. At each tensor it calls `pull` with the gradient that has
# arrived there. It must be *complete*: a tensor that is used in two places has to wait for both.
#
# So backward needs an order in which every tensor comes after all tensors that it was computed from, a
# **topological order**; and takes it from the end. In the picture below, `a` is used by `b` and by `d`.
#
# **Guess first:** number the tensors by their distance from `d`, counted in arrows, as the picture
# does. Which one comes to its turn too early?

# %%
a = Tensor(2.0, name="a")
b = Tensor(4.0, "double", (a,), name="b")
c = Tensor(8.0, "double", (b,), name="c")
d = Tensor(10.0, "add", (a, c), name="d")
nearest_first = [d, a, c, b]
plots.show(graphs.draw(d, order=nearest_first), alt="d is first, then a and c, then b.")
check.predict("by distance, too early comes", "", "a", "b", "c")

# %% [markdown]
# Write down a guess, then read on. By distance, `a` is second. It would send on what `d` brought, before `b` has brought its share.

# %%
check.measured("by distance, too early comes", "a")

# %% [markdown]
# ### Exercise 3 · Topological order — 1.25 points, 30 minutes, ●●●
# **Depth first**: a tensor goes onto the list after its parents have. Remember which ones you have
# visited (`id(tensor)` tells them apart), or shared ones come twice. Write the walk yourself, without
# `graphlib` or `networkx`.
#
# A quarter of a point is for long graphs: thousands of tensors in a row. Python allows about 1,000
# nested calls; leave that limit as it is.

# %% [markdown]
# <details><summary>Hint 1</summary>A function <code>visit(tensor)</code> inside: if it was visited,
# return; mark it; visit its parents; append it.</details>
#
# <details><summary>Hint 2</summary>Without recursion: a list used as a stack. Take an entry off. If it
# is new, put it back with a mark "parents are done", and its parents on top. If it has the mark, append
# it to the order.</details>


# %% nbgrader={"grade_id": "topological_order_code", "solution": true}
def topological_order(root: Tensor) -> list[Tensor]:
    """All tensors that root was computed from, and root: each once, each after its parents.

    For the picture above, [a, b, c, d].
    """
    ### BEGIN SOLUTION
    order, visited = [], set()
    stack = [(root, False)]
    while stack:
        tensor, parents_done = stack.pop()
        if parents_done:
            order.append(tensor)
        elif id(tensor) not in visited:
            visited.add(id(tensor))
            stack.append((tensor, True))
            stack.extend((parent, False) for parent in tensor.parents)
    return order
    ### END SOLUTION


# %% nbgrader={"grade_id": "topological_order", "grade": true, "points": 1.25}
check("topological_order")

# %%
with check.needs("topological_order"):
    plots.show(graphs.draw(d, order=topological_order(d)), alt="Your order: a, b, c, d.")

# %% [markdown]
# There may be several right orders; every arrow leads from a smaller number to a larger one.
#
# ## 4 · Backward
# The gradient of the loss in itself is 1. Then, from the end of the order: call `pull`, and give each
# parent its share. Where several paths meet, shares **add up**: lab 02's sum over paths, one tensor at
# a time.
#
# **Guess first:** for `L = s · s` with `s = 3`, the parents of `L` are `(s, s)`, and `pull` returns
# `(3, 3)`. What gradient would `s` have if the second share *replaced* the first?

# %%
check.predict("with the second share replacing the first, dL/ds is", "", "0", "3", "6", "9")

# %% [markdown]
# ### Exercise 4 · Backward — 1.5 points, 30 minutes, ●●○
# A leaf's gradient also adds up from one call to the next, as in PyTorch: so gradients of several small
# batches can be collected. (Leaves are all that the graphs of two calls share.) Starting afresh is for
# exercise 5.
#
# Mind who owns an array. `add` hands *the same* `dY` to both parents, and what `total` hands on may be
# a view that cannot be written to. Training often scales gradients in place afterwards: each `grad` has
# to be an array of its own.

# %% [markdown]
# <details><summary>Hint 1</summary><code>zip(tensor.parents, tensor.pull(tensor.grad))</code> pairs
# each parent with its share. A leaf has no <code>pull</code>.</details>
#
# <details><summary>Hint 2</summary>Two cases for a share: the parent's <code>grad</code> is None, or it
# is an array already. <code>np.array(share)</code> copies an array; so does <code>+</code>, not
# <code>+=</code>.</details>


# %% nbgrader={"grade_id": "backward_code", "solution": true}
def backward(order: list[Tensor]) -> None:
    """Add the gradient of the loss to `grad` of every tensor, as an array in the shape of its data.

    order: a topological order. The last one is the loss: its own gradient is 1, everywhere, if it has
    several numbers. Each grad is an array of its own, and no array that a pull took or gave is changed.
    """
    ### BEGIN SOLUTION
    loss = order[-1]
    loss.grad = np.ones_like(loss.data)
    for tensor in reversed(order):
        if tensor.pull is not None:
            shares = tensor.pull(tensor.grad)
            for parent, share in zip(tensor.parents, shares, strict=True):
                parent.grad = np.array(share) if parent.grad is None else parent.grad + share
    ### END SOLUTION


# %% nbgrader={"grade_id": "backward", "grade": true, "points": 1.5}
check("backward")

# %% [markdown]
# The promise of the first picture, kept by your own objects. Both arrows into the last box bring back
# the gradient −4; `s` has their sum.

# %%
with check.needs("tensor_ops", "topological_order", "backward"):
    w, x, b = Tensor(3.0, name="w"), Tensor(2.0, name="x"), Tensor(-10.0, name="b")
    s = w * x + b
    L = s * s
    L.backward()
    plots.show(graphs.draw(L), alt="The first picture again, with your gradients: w −16, b −8.")
    check.measured("with the second share replacing the first, dL/ds is", "3")

# %% [markdown]
# With s = 3 your sum is 3 + 3 = 6, the slope of s²; one share alone says 3. Move the slider from the
# left: before each `pull`, the gradients that have arrived. In `nearest_first` the gradient of `a` would
# go on without its second share; in your order it is complete.

# %%
with check.needs("tensor_ops", "topological_order", "backward"):
    a = Tensor(2.0, name="a")
    b = mul(a, a)
    c = relu(b)
    d = add(a, c)
    a.name, b.name, c.name, d.name = "abcd"
    alt = "d = a + c, c = relu(b), b = a·a: gradients arrive from d upwards, in a last."
    figures.step_back(topological_order(d), backward, alt=alt)

# %% [markdown]
# And the layer of section 2, with broadcasting, against PyTorch. `if` and `for` work as they are: the
# graph is whatever ran.


# %%
def score(X, W, b):  # of Tensors, or of torch's tensors: the code is the same
    Z = X @ W + b
    for _ in range(2):
        Z = Z * Z - b
    if Z.sum() > 0:
        Z = Z * X.sum()
    return Z.relu().sum()


with check.needs("tensor_ops", "unbroadcast", "topological_order", "backward"):
    arrays = [rng.normal(size=shape) for shape in ((4, 3), (3, 2), (2,))]
    mine = [Tensor(array) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    score(*mine).backward()
    score(*theirs).backward()
    for name, a, t in zip("XWb", mine, theirs, strict=True):
        difference = abs(a.grad - t.grad.numpy()).max()
        print(f"d{name}: shape {a.grad.shape}, largest difference {difference:.0e}")

# %% [markdown]
# A **gradient check** needs no PyTorch: move one number by a little, in both directions, and divide
# (lab 02's `numerical_gradient`). Put any operation of yours into `checked`, also ones you add later.


# %%
def checked(function: Callable[..., Tensor], *arrays: Array, step: float = 1e-6) -> float:
    """The largest difference between backward's gradients of a sum and numerical ones."""
    leaves, differences = [Tensor(array) for array in arrays], []
    total(function(*leaves)).backward()
    for k, leaf in enumerate(leaves):
        for place in np.ndindex(leaf.data.shape):
            ends = []
            for move in (step, -step):
                moved = [array.copy() for array in arrays]
                moved[k][place] += move
                ends.append(function(*map(Tensor, moved)).data.sum())
            slope = (ends[0] - ends[1]) / (2 * step)
            differences.append(abs(leaf.grad[place] - slope))
    return max(differences)


with check.needs("tensor_ops", "topological_order", "backward"):
    for function in (add, mul, matmul):
        worst = checked(function, rng.normal(size=(3, 3)), rng.normal(size=(3, 3)))
        print(f"{function.__name__:7} {worst:.0e}")

# %% [markdown]
# ### Why backwards
# For y = f(x) the **Jacobian** J is the matrix of all slopes ∂yᵢ/∂xⱼ. `pull` never builds it. It
# takes dY, a row as long as y, and returns dY·J: a **vector–Jacobian product**. From the loss to the
# leaves, that is **reverse mode**: one pass gives the slope of *one* result in *all* inputs. **Forward
# mode** pushes a change of one input through to all results, J times a column: one pass gives the slopes
# of all results in *one* input.
#
# A network has one loss and many weights. How many passes would each mode need for lab 02's reader?

# %%
layers = [784, 64, 10]
weights = sum(m * n + n for m, n in itertools.pairwise(layers))
print(f"{weights:,} weights, 1 loss: {weights:,} forward passes, or 1 reverse pass")

# %% [markdown]
# The price of reverse mode is memory: every value waits in the graph until its `pull` has run. For a
# function with one input and many results, forward mode is the cheap one.
#
# ## 5 · Where a graph ends
# As long as anyone holds a tensor, its `parents` hold everything that it was computed from. Two cuts
# keep graphs in bounds:
#
# - **detach**: a new tensor with the same numbers and no past. No gradient passes it.
# - a **number** instead of a tensor, for what is only reported, such as the loss of a step.
#
# And since leaves add up, someone has to clear them: PyTorch calls it **zero_grad**.

# %%
with check.needs("tensor_ops", "topological_order", "backward"):
    p = Tensor(5.0, name="p")
    for step in range(4):
        (p * p).backward()
        print(f"step {step}: the gradient of p·p at p = 5 is 10; p.grad is {p.grad}")

# %% [markdown]
# **Guess first:** let `y = x * detach(x)`, at `x = 3`. What is the gradient of `y` in `x`?

# %%
check.predict("dy/dx of x · detach(x) at 3 is", "", "0", "1", "3", "6", "9")

# %% [markdown]
# ### Exercise 5 · Detach, and a step — 1.25 points, 20 minutes, ●●○
# Write `detach`, and `train_step`, which is the loop body of every training in this course.
# `loss_of()` computes the loss, a tensor with a method `backward()`; `update(parameters)` moves the
# parameters by their gradients. Each of the three is called once in a step.
#
# <details><summary>Hint 1</summary>To clear a parameter's gradient, set it to <code>None</code>.
# </details>
#
# <details><summary>Hint 2</summary>In which order: loss, backward, update, clear? Two places for
# clearing are right; one of the two that are wrong throws away what was just computed.</details>


# %% nbgrader={"grade_id": "detach_code", "solution": true}
def detach(a: Tensor) -> Tensor:
    """A leaf with the numbers of a. a itself stays as it was, past and all."""
    ### BEGIN SOLUTION
    return Tensor(a.data)
    ### END SOLUTION


# %% nbgrader={"grade_id": "detach_code_2", "solution": true}
def train_step(
    loss_of: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    update: Callable[[Sequence[Tensor]], None],
) -> float:
    """One step: update the parameters by the gradients of this step's loss alone.

    loss_of: computes the loss, of shape (). Returns the loss as a plain float.
    """
    ### BEGIN SOLUTION
    for parameter in parameters:
        parameter.grad = None
    loss = loss_of()
    loss.backward()
    update(parameters)
    return float(loss.data)
    ### END SOLUTION


# %% nbgrader={"grade_id": "detach", "grade": true, "points": 1.25}
check("detach")

# %%
with check.needs("tensor_ops", "topological_order", "backward", "detach"):
    x = Tensor(3.0, name="x")
    y = x * detach(x)
    y.backward()
    plots.show(graphs.draw(y), alt="y = x times a leaf of 3: the gradient in x is 3, not 6.")
    check.measured("dy/dx of x · detach(x) at 3 is", "3")

# %% [markdown]
# `detach(x)` is a leaf that happens to equal x, and to the graph a number like any other: the slope of
# x · 3 is 3. The gradient that arrives in that leaf, also 3, goes nowhere.
#
# ## 6 · Two ways to step
# Plain gradient descent zigzags in a valley that is steep across and flat along. **Momentum** keeps a
# running sum `v` of past gradients, in which the zigzag cancels and the way along adds up. With
# learning rate η and momentum μ, as PyTorch has it:
#
# $$v \leftarrow \mu v + g \qquad\quad w \leftarrow w - \eta v$$

# %% [markdown]
# **Guess first:** if the gradient is the same at every step, to how many times its size does `v` grow,
# with μ = 0.9?

# %%
check.predict("v under a gradient that stays grows to, times its size", "", "0.9", "1.9", "10", "∞")

# %% [markdown]
# ### Exercise 6 · SGD with momentum — 0.75 points, 15 minutes, ●○○
# Two forms are in use. In the other, η is inside `v`: as long as η stays, both walk the same way;
# when η falls, they differ. Write the one above.


# %% nbgrader={"grade_id": "sgd_momentum_code", "solution": true}
def sgd_momentum(w: Array, g: Array, v: Array, lr: float, momentum: float) -> tuple[Array, Array]:
    """One step: the new (w, v).

    w, g, v: parameter, gradient and running sum, arrays of one shape; they stay as they are.
    >>> sgd_momentum(np.array([1.0]), np.array([2.0]), np.array([0.0]), lr=0.1, momentum=0.5)
    (array([0.8]), array([2.]))
    """
    ### BEGIN SOLUTION
    v = momentum * v + g
    return w - lr * v, v
    ### END SOLUTION


# %% nbgrader={"grade_id": "sgd_momentum", "grade": true, "points": 0.75}
check("sgd_momentum")

# %%
with check.needs("sgd_momentum"):
    w, v, g = np.zeros(1), np.zeros(1), np.ones(1)
    for _ in range(200):
        w, v = sgd_momentum(w, g, v, lr=0.1, momentum=0.9)
    print(f"after 200 steps with gradient 1: v = {v[0]:.4f}")
    check.measured("v under a gradient that stays grows to, times its size", "10")

# %% [markdown]
# **Adam** (Kingma and Ba 2014) gives every weight a step length of its own: it keeps a running mean `m`
# of the gradient and `u` of its square, and divides one by the root of the other. Both start at 0, so
# early means are too small; dividing by $1 - \beta^t$ mends that, with t = 1 for the first step:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1) g \qquad u \leftarrow \beta_2 u + (1 - \beta_2) g^2$$
#
# $$\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat u = \frac{u}{1 - \beta_2^t} \qquad
# w \leftarrow w - \eta \frac{\hat m}{\sqrt{\hat u} + \varepsilon}$$

# %% [markdown]
# **Guess first:** one weight has the gradient 1,000, another 0.001. How many times as far does Adam's
# first step move the one as the other, with a tiny ε?

# %%
check.predict("Adam's first step, times as far", "", "1", "1,000", "1,000,000")

# %% [markdown]
# ### Exercise 7 · Adam — 1.25 points, 20 minutes, ●●○
# <details><summary>Hint 1</summary>The formulas in their order: first the new m and u, from them m̂ and
# û, then w.</details>
#
# <details><summary>Hint 2</summary>What is kept for the next step is m and u, not the corrected ones.
# </details>


# %% nbgrader={"grade_id": "adam_code", "solution": true}
def adam(
    w: Array,
    g: Array,
    m: Array,
    u: Array,
    t: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """One step: the new (w, m, u). The arrays have one shape and stay as they are.

    t: the number of this step, from 1.
    """
    ### BEGIN SOLUTION
    beta1, beta2 = betas
    m = beta1 * m + (1 - beta1) * g
    u = beta2 * u + (1 - beta2) * g**2
    m_hat, u_hat = m / (1 - beta1**t), u / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(u_hat) + eps), m, u
    ### END SOLUTION


# %% nbgrader={"grade_id": "adam", "grade": true, "points": 1.25}
check("adam")

# %%
with check.needs("adam"):
    start_w, g, zeros = np.zeros(2), np.array([1000.0, 0.001]), np.zeros(2)
    moved = adam(start_w, g, zeros, zeros, 1, lr=0.1)[0]
    print(f"first steps {moved[0]:.4f} and {moved[1]:.4f}: {moved[0] / moved[1]:.3f} times as far")
    check.measured("Adam's first step, times as far", "1")


# %% [markdown]
# A valley, 25 times as steep across as along. Each method takes 40 steps from the same point, yours
# as a line, PyTorch's as rings; on the right, the height f(w) after each step. **Guess first:** which
# method is lowest after 40 steps, at these learning rates?

# %%
check.predict("lowest after 40 steps", "", "plain", "momentum", "Adam")


# %%
def walk(step: Callable[[Array, Array, int], Array], steps: int = 40) -> Array:
    """The points (steps + 1, 2) of a way down f(w) = ½ (w₀² + 25 w₁²)."""
    path = [np.array([-9.0, 2.0])]
    for t in range(1, steps + 1):
        path.append(step(path[-1], path[-1] * [1.0, 25.0], t))
    return np.array(path)


def torch_walk(kind: type[torch.optim.Optimizer], **options: float) -> Array:
    w = torch.tensor([-9.0, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = kind([w], **options)

    def step(_w: Array, g: Array, _t: int) -> Array:
        w.grad = torch.tensor(g)
        optimizer.step()
        return w.detach().numpy().copy()

    return walk(step)


# %%
walks = {}
with check.needs("sgd_momentum", "adam"):
    state = {"v": np.zeros(2), "m": np.zeros(2), "u": np.zeros(2)}

    def with_momentum(w: Array, g: Array, t: int) -> Array:
        w, state["v"] = sgd_momentum(w, g, state["v"], 0.03, 0.8)
        return w

    def with_adam(w: Array, g: Array, t: int) -> Array:
        w, state["m"], state["u"] = adam(w, g, state["m"], state["u"], t, 0.5)
        return w

    SGD, ADAM = torch.optim.SGD, torch.optim.Adam
    walks = {
        "plain": (walk(lambda w, g, t: w - 0.07 * g), torch_walk(SGD, lr=0.07)),
        "momentum": (walk(with_momentum), torch_walk(SGD, lr=0.03, momentum=0.8)),
        "Adam": (walk(with_adam), torch_walk(ADAM, lr=0.5)),
    }

# %%
if walks:
    alt = (
        "Plain descent zigzags; momentum swings and speeds up; Adam goes diagonally, and ends last."
    )
    plots.show(figures.valley(walks), alt=alt)
    ends = {name: figures.height(mine[-1]) for name, (mine, _) in walks.items()}
    worst = max(abs(mine - theirs).max() for mine, theirs in walks.values())
    for name, end in ends.items():
        print(f"{name:9} f(w) = {end:.3g} after 40 steps")
    print(f"largest difference between yours and PyTorch's: {worst:.0e}")
    check.measured("lowest after 40 steps", min(ends, key=ends.__getitem__))

# %% [markdown]
# Plain descent and momentum start straight down, which is mostly *across* the valley. Adam sets out
# diagonally: its first step is as long in the flat direction as in the steep one. It ends last here:
# û remembers the large gradients of the beginning for long, and lr = 0.5 was chosen for the picture.
# No method is best at every rate; Adam's gain shows where gradients differ in size by weight.

# %% [markdown]
# With momentum 0.9, v grows to 1 + 0.9 + 0.81 + … = 10 times a gradient that stays: a learning rate
# acts like one ten times as large.
#
# ## 7 · The same network, the same numbers
# Now lab 02's digit reader, 64 hidden units, cross-entropy, without one hand-made gradient. `log` is
# given; the row's largest score is a constant (a leaf): subtracting it changes no value.


# %%
def log(a: Tensor) -> Tensor:
    return Tensor(np.log(a.data), "log", (a,), lambda dY: (dY / a.data,))


def cross_entropy(S: Tensor, y: NDArray[np.integer]) -> Tensor:
    """The mean cross-entropy, of shape (), of scores S: (N, C) for labels y: (N,)."""
    shifted = S - S.data.max(axis=1, keepdims=True)
    log_sum = log(exp(shifted).sum(axis=1))
    target = np.eye(S.data.shape[1])[y]
    return ((log_sum - (shifted * target).sum(axis=1)) * (1 / len(y))).sum()


def network(parameters: Sequence[Tensor], X: Array) -> Tensor:
    """Scores (N, C) for X: (N, D)."""
    W1, b1, W2, b2 = parameters
    return (Tensor(X, name="X") @ W1 + b1).relu() @ W2 + b2


# %% [markdown]
# In lab 02 you derived $\partial L/\partial S = (P - \text{one-hot})/N$. Your engine has never been
# told:

# %%
with check.needs("tensor_ops", "unbroadcast", "topological_order", "backward"):
    rng = np.random.default_rng(0)
    S, y = Tensor(rng.normal(size=(5, 10)), name="S"), rng.integers(10, size=5)
    loss = cross_entropy(S, y)
    loss.backward()
    P = np.exp(S.data) / np.exp(S.data).sum(axis=1, keepdims=True)
    by_hand = (P - np.eye(10)[y]) / 5
    print(f"{len(topological_order(loss))} tensors from the scores to the loss")
    print(f"largest difference from (P − one-hot)/N: {abs(S.grad - by_hand).max():.0e}")

# %%
data = digits.load()
train_X, test_X = (x.reshape(len(x), -1).astype(np.float64) for x in (data.train_x, data.test_x))
train_y, test_y = data.train_y, data.test_y
rng = np.random.default_rng(0)
units = [train_X.shape[1], 64, 10]
names = ("W1", "b1", "W2", "b2")
start = [  # the same for both engines
    array
    for m, n in itertools.pairwise(units)
    for array in (rng.normal(0, np.sqrt(2 / m), (m, n)), rng.normal(0, 0.01, n))
]
batches = rng.integers(len(train_X), size=(sizes.steps, sizes.batch))  # of indices


# %%
def train_mine(method: str) -> tuple[list[float], list[Tensor]]:
    """The loss of each step, and the trained parameters, by your engine."""
    parameters = [Tensor(array, name=name) for array, name in zip(start, names, strict=True)]
    zeros = [np.zeros_like(array) for array in start]
    v, m, u, steps = list(zeros), list(zeros), list(zeros), itertools.count(1)

    def update(parameters: Sequence[Tensor]) -> None:
        t = next(steps)
        for i, p in enumerate(parameters):
            if method == "momentum":
                p.data, v[i] = sgd_momentum(p.data, p.grad, v[i], 0.05, 0.9)
            else:
                p.data, m[i], u[i] = adam(p.data, p.grad, m[i], u[i], t, 0.002)

    def loss_of(i: NDArray[np.integer]) -> Tensor:
        return cross_entropy(network(parameters, train_X[i]), train_y[i])

    return [train_step(partial(loss_of, i), parameters, update) for i in batches], parameters


# %%
def train_torch(method: str) -> tuple[list[float], list[torch.Tensor]]:
    """The same with PyTorch: same start, same batches, float64."""
    parameters = [torch.tensor(array, requires_grad=True) for array in start]
    if method == "momentum":
        optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(parameters, lr=0.002)
    W1, b1, W2, b2 = parameters
    losses = []
    for i in batches:
        optimizer.zero_grad()
        scores = (torch.tensor(train_X[i]) @ W1 + b1).relu() @ W2 + b2
        loss = F.cross_entropy(scores, torch.tensor(train_y[i]))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, parameters


# %%
def compared(method: str) -> tuple[list[float], list[float], float]:
    """Both engines' losses, and the largest difference in losses and weights; prints the rest."""
    began = time.perf_counter()
    losses, mine = train_mine(method)
    middle = time.perf_counter()
    their_losses, theirs = train_torch(method)
    took = middle - began, time.perf_counter() - middle
    pairs = [(a.data, b.detach().numpy()) for a, b in zip(mine, theirs, strict=True)]
    pairs.append((np.array(losses), np.array(their_losses)))
    accuracy = np.mean(np.argmax(network(mine, test_X).data, axis=1) == test_y)
    print(f"{method}, {sizes.steps} steps, {data.name}: {accuracy:.1%} of test images right,")
    print(f"    in seconds: yours {took[0]:.1f}, PyTorch {took[1]:.1f}")
    return losses, their_losses, max(abs(a - b).max() for a, b in pairs)


# %% tags=["headline"]
runs = {}
with check.needs(
    "tensor_ops", "unbroadcast", "topological_order", "backward", "detach", "sgd_momentum", "adam"
):
    runs = {method: compared(method) for method in ("momentum", "Adam")}
    difference = max(run[2] for run in runs.values())
    reached = "reached" if difference <= 1e-6 else "missed"
    print(
        f"Losses and weights differ from PyTorch's by at most {difference:.0e}"
        f" (target 1e-06: {reached})"
    )

# %%
if runs:
    fig = figures.same_losses({method: run[:2] for method, run in runs.items()})
    plots.show(fig, alt="The thin curve of your losses runs inside PyTorch's broad one throughout.")

# %% [markdown]
# The thin line is yours. What differs is rounding: sums are added in another order, which shows in a
# step's sixteenth digit. And this is what each step builds and throws away, drawn from your objects,
# here for four images and a squared error. Follow the gradients from the bottom up; the **length** of
# one is the root of the sum of its squares:

# %%
with check.needs("tensor_ops", "unbroadcast", "topological_order", "backward"):
    parameters = [Tensor(array, name=name) for array, name in zip(start, names, strict=True)]
    error = network(parameters, train_X[:4]) + Tensor(-np.eye(10)[train_y[:4]], name="−target")
    loss = (error * error).sum()
    loss.backward()
    alt = "X and W1 into matmul, b1 broadcast, add, relu; again with W2, b2; the error squared, summed."
    plots.show(graphs.draw(loss), alt=alt)

# %% [markdown]
# ## 8 · Three ways to run a model
# Your engine is **imperative**: it finds out what to do next by doing it. Theano and Caffe were
# **declarative**: first the whole graph, then a run. MXNet (Chen and others 2015) argued for both in
# one library, and PyTorch has arrived there: the same model can run line by line, be **traced** into
# a graph, and be **compiled**.
#
# `torch.fx` traces by running your function with *proxies* instead of tensors: objects with no values
# that write down each operation applied to them.


# %%
class Looped(torch.nn.Module):
    """One layer, applied three times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = torch.relu(self.layer(x))
        return x


def branching(x):  # of a Tensor, or of torch's tensor
    if x.sum() > 0:
        return x * x
    return x.relu()


# %% [markdown]
# **Guess first**, before you run anything below:
#
# - how many operations (calls of the layer or of relu) does the traced graph of `Looped` list?
# - what does `torch.fx` make of `branching`: a graph with both branches, a graph with the branch taken,
#   or an error?
# - and what does your own engine make of it, for `x = Tensor([1.0, 2.0])`?

# %%
check.predict("calls in the trace of Looped", "", "1", "2", "3", "6")
check.predict("torch.fx makes of branching", "", "both branches", "the one taken", "an error")
check.predict("your engine makes of branching", "", "both branches", "the one taken", "an error")

# %%
traced = torch.fx.symbolic_trace(Looped())
print(traced.code.strip())
calls = sum(node.op in ("call_module", "call_function") for node in traced.graph.nodes)
check.measured("calls in the trace of Looped", str(calls))
try:
    torch.fx.symbolic_trace(branching)
except torch.fx.proxy.TraceError as error:
    print(f"torch.fx on `branching`: {error}")
    check.measured("torch.fx makes of branching", "an error")

# %%
with check.needs("tensor_ops", "topological_order"):
    for start_x in ([1.0, 2.0], [-1.0, -2.0]):
        ops = [tensor.op for tensor in topological_order(branching(Tensor(start_x)))]
        print(f"your engine, x = {start_x}: {ops}")
    check.measured("your engine makes of branching", "the one taken")

# %% [markdown]
# The `for` ran while tracing, and only its steps were written down: the loop is **unrolled**, three
# calls of the layer and three of relu. The `if` asks a proxy for a truth value that it does not have.
# Your engine has the value in hand, records the branch that ran, and would record the other one next
# time.

# %% [markdown]
# So much for what tracing loses. Below, what it gains. The model has a fault: it computes something
# that nothing uses. **Guess first:** who notices, Python or the graph?


# %%
class Reader(torch.nn.Module):
    """A digit reader with GELU (Hendrycks and Gimpel 2016), written out, between two layers."""

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        self.wide = torch.nn.Linear(train_X.shape[1], hidden)
        self.narrow = torch.nn.Linear(hidden, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.wide(x)
        _variance = (x - x.mean()).pow(2).mean()  # computed, and never used
        x = 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))
        return self.narrow(x)


torch.manual_seed(0)
here = device.best_device()
reader = Reader().to(here)
traced = torch.fx.symbolic_trace(reader)


# %%
before = len(traced.graph.nodes)
traced.graph.eliminate_dead_code()
traced.recompile()
print(f"{before} nodes traced, {len(traced.graph.nodes)} left without those that nothing uses")
plots.show(
    figures.trace(traced.graph), alt="x, wide, GELU's operations, narrow, output; no values."
)

# %% [markdown]
# Line by line, Python cannot know that `_variance` will not be needed: it computes it. With the whole
# graph in hand the four operations are seen to lead nowhere and are dropped.

# %% [markdown]
# The eight operations of GELU each read and write an array the size of the hidden layer. For the
# additions and products among them, moving the numbers takes longer than computing with them (tanh
# computes more; a small array stays in the processor's cache). A **compiler** that sees them together
# can **fuse** them: one loop, read once, write once. `torch.compile` captures the graph and generates such a loop, in C++
# for a CPU, in Triton for a GPU. It needs a C++ compiler here; without one the model runs on as
# before.


# %%
def compiled_reader(x: torch.Tensor) -> tuple[Callable | None, str]:
    """torch.compile's version of the reader, run once; or None and the reason why there is none."""
    if not sizes.compile:
        return None, f"left out at scale {sizes.scale}: the first compilation can take a minute"
    if here.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))):
        return None, "not here: torch.compile needs a C++ compiler, and this machine has none"
    try:
        compiled = torch.compile(reader)
        compiled(x)
    except (RuntimeError, OSError) as error:
        return None, f"not here: {type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return compiled, ""


# %%
def seconds(run: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> float:
    """The median time of one call."""
    times = []
    for _ in range(sizes.repeats):
        began = time.perf_counter()
        float(run(x).sum())  # asks for a number: a GPU has to finish first
        times.append(time.perf_counter() - began)
    return statistics.median(times)


# %%
x = torch.randn(sizes.rows, train_X.shape[1], device=here)
with torch.no_grad():
    ways = {"imperative": (reader, ""), "traced": (traced, ""), "compiled": compiled_reader(x)}
    scores = reader(x)
    for name, (run, reason) in ways.items():
        if run is None:
            print(f"{name:10}  {reason}")
            continue
        difference = (run(x) - scores).abs().max().item()
        print(
            f"{name:10}  {1000 * seconds(run, x):7.2f} ms for {sizes.rows:,} rows on {here.type},"
            f" largest difference in the scores {difference:.0e}"
        )

# %% [markdown]
# At scale `cpu`, on two cores of an AMD EPYC (torch 2.14.1, 2026-11-21, 8,000 rows), the model took
# 91 ms imperatively, 77 ms traced and 47 ms compiled, after a compilation of many seconds: worth it for
# what runs thousands of times.
#
# And the `if`? `torch.compile` reads Python's bytecode instead of passing proxies. Where a branch
# depends on a value it **breaks the graph**: compiles what comes before, lets Python decide, compiles
# what follows.

# %%
report = torch._dynamo.explain(branching)(torch.tensor([1.0, 2.0]))
print(
    f"torch.compile on `branching`: {report.graph_count} graphs, {report.graph_break_count} break"
)

# %% [markdown]
# | | sees | gains | pays |
# |---|---|---|---|
# | imperative (yours, Chainer, PyTorch) | the values | any Python; stop and print anywhere | nothing is planned ahead |
# | traced (`torch.fx`; Theano, Caffe, in spirit) | the operations | inspect, rewrite, plan, store | no branch on values |
# | compiled (`torch.compile`) | both, in pieces | fused loops | time to compile, again for new shapes |
#
# That is what mixing the styles is for.

# %% [markdown]
# ### Exercise 8 · Three ways — 1 point, 15 minutes, ●●○
# - `calls_in_trace`: how many operations (calls of a layer, of relu, or additions) lists the trace of a
#   `Looped` with `range(4)` and the line `x = x + torch.relu(self.layer(x))`?
# - `fx_on_where`: what does `torch.fx` make of `torch.where(x > 0, x * x, x.relu())`? `"both"`: a graph
#   with both ways. `"one"`: a graph with one of them. `"error"`: none, it stops.
# - `fx_on_flag`: and of `x * x if flag else x.relu()`, where `flag = True` is a global of the notebook?
#   `"both"`, `"one"` or `"error"`.

# %% [markdown]
# And `why_both`: why did MXNet mix the two styles?
#
# | | |
# |---|---|
# | `"a"` | Imperative code is always the slower one, so that it only serves to try things out. |
# | `"b"` | A graph known in advance can be planned as a whole; code line by line can branch on values. |
# | `"c"` | Gradients need a graph that was declared; imperative code cannot have them at all. |
# | `"d"` | A declared graph is computed with more digits, so that its numbers are more exact. |
#
# You may try things out in a cell of your own first.

# %% nbgrader={"grade_id": "three_ways_words", "solution": true}
calls_in_trace = None  # a number
fx_on_where = None  # "both", "one" or "error"
fx_on_flag = None  # "both", "one" or "error"
why_both = None  # "a", "b", "c" or "d"
### BEGIN SOLUTION
calls_in_trace = 12
fx_on_where = "both"
fx_on_flag = "one"
why_both = "b"
### END SOLUTION

# %% nbgrader={"grade_id": "three_ways", "grade": true, "points": 1}
check("three_ways")

# %% [markdown]
# ## 9 · Experiments
# The first one is drawn below: if gradients are never cleared, each step is made with the sum of all
# gradients so far. That is momentum with μ = 1, which nothing slows down: at first faster, then it
# swings.
#
# - Without clearing: what do other rates do, 0.01 or 0.3, and more steps?
# - Write `tanh` or `sigmoid` as an operation and put it into `network`.
# - Which gradients are computed in vain? (Draw the graph: look at `X`, `−target`, and the constants.)
#   PyTorch's `requires_grad` marks what needs one; add it to `Tensor`.
# - How long may a graph get? Time `backward` for 10, 100, 1,000 tensors in a row.


# %%
def forgetful(rate: float, clear: bool, steps: int = 60) -> list[float]:
    """The loss of each step of plain descent, with or without clearing the gradients."""
    parameters = [Tensor(array) for array in start]
    losses = []
    for i in batches[:steps]:
        loss = cross_entropy(network(parameters, train_X[i]), train_y[i])
        loss.backward()
        for p in parameters:
            p.data = p.data - rate * p.grad
            p.grad = None if clear else p.grad
        losses.append(float(loss.data))
    return losses


with check.needs("tensor_ops", "unbroadcast", "topological_order", "backward"):
    series = {"cleared": forgetful(0.1, True), "never cleared": forgetful(0.1, False)}
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    plots.curves(ax, series, "step", "loss")
    alt = "Cleared, the loss falls steadily; never cleared, it falls faster, then swings."
    plots.show(fig, alt=alt)

# %% [markdown]
# ## 10 · What you built is called
# | yours | PyTorch |
# |---|---|
# | `Tensor`, `op`, `parents` | `torch.Tensor`, `grad_fn`, `grad_fn.next_functions` |
# | an operation with its `pull` | `torch.autograd.Function` with `forward` and `backward` |
# | `unbroadcast` | `torch.Tensor.sum_to_size` |
# | `topological_order`, `backward` | `loss.backward()`, in C++ |
# | `detach` | `tensor.detach()`; `torch.no_grad()` for a whole block |
# | `parameter.grad = None` | `optimizer.zero_grad()` |
# | `sgd_momentum` | `torch.optim.SGD(…, momentum=0.9)` |
# | `adam` | `torch.optim.Adam` |

# %% [markdown]
# PyTorch's own graph, followed back from a result, and its way of undoing a broadcast:

# %%
x = torch.tensor([1.0, -2.0], requires_grad=True)
y = (x * x).relu().sum()
step = y.grad_fn
while step is not None:
    print(step.name())
    step = step.next_functions[0][0] if step.next_functions else None
print(torch.ones(4, 3, 2).sum_to_size(3, 1).shape)

# %% [markdown]
# ## 11 · Further
# - Tokui, Oono, Hido, Clayton (2015), *Chainer: a next-generation open source framework for deep
#   learning*, LearningSys workshop at NIPS: define-by-run.
# - Chen, Li, Li, Lin, Wang, Wang, Xiao, Xu, Zhang, Zhang (2015), *MXNet: a flexible and efficient
#   machine learning library for heterogeneous distributed systems*,
#   [arXiv:1512.01274](https://arxiv.org/abs/1512.01274): declarative and imperative in one.
# - Karpathy (2020), [micrograd](https://github.com/karpathy/micrograd): this lab's engine on single
#   numbers.
# - Baydin, Pearlmutter, Radul, Siskind (2018), *Automatic differentiation in machine learning: a
#   survey*, JMLR 18(153), [arXiv:1502.05767](https://arxiv.org/abs/1502.05767).
# - Paszke and others (2019), *PyTorch: an imperative style, high-performance deep learning library*,
#   [arXiv:1912.01703](https://arxiv.org/abs/1912.01703).

# %% [markdown]
# - Kingma, Ba (2014), *Adam: a method for stochastic optimization*,
#   [arXiv:1412.6980](https://arxiv.org/abs/1412.6980).
# - Sutskever, Martens, Dahl, Hinton (2013), *On the importance of initialization and momentum in deep
#   learning*, [PMLR 28](https://proceedings.mlr.press/v28/sutskever13.html).
# - Ansel and others (2024), *PyTorch 2: faster machine learning through dynamic Python bytecode
#   transformation and graph compilation*, ASPLOS: `torch.compile`.
# - Reed, DeVito, He, Ussery, Ansel (2022), *torch.fx: practical program capture and transformation
#   for deep learning in Python*, [arXiv:2112.08429](https://arxiv.org/abs/2112.08429).
# - Hendrycks, Gimpel (2016), *Gaussian error linear units*,
#   [arXiv:1606.08415](https://arxiv.org/abs/1606.08415).
#
# **Next:** in lab 04 the engine is PyTorch's, and training itself is what you watch.

# %%
progress()
