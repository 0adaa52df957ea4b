# %% [markdown]
# # 13 · Model parallel
# A model that is too large for one device is cut, layer by layer, into parts that work at the same time.
# You will write the two functions on which this rests, two kinds of layer, a vocabulary and a loss in
# parts, and an Adam whose memory is shared out; train a small language model with them on two and four
# processes; and count every message and byte.
#
# The picture is what you will see: the loss on one process, on two ranks and on four.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from grading.check import checks, progress
from utils import plots, ranks, settings
from utils.data import text
from utils.figures import model_parallel as figures
from utils.ranks.collectives import Collectives, simulate

# %%
check = checks("13_model_parallel")
torch.set_num_threads(1)  # the ranks need the cores
sizes = settings.choose(scale, smoke={"steps": 60}, cpu={"steps": 400})
ranks.warm_up()
print(ranks.plan(4))

# %%
recorded = """4.85 3.42 3.08 2.86 2.79 2.92 2.75 2.66 2.49 2.68 2.46 2.63 2.42
              2.37 2.41 2.48 2.61 2.33 2.27 2.55 2.29 2.36 2.59 2.31 2.39"""
values = [float(loss) for loss in recorded.split()]  # every 4th step; Shakespeare, CPU, 2026
fig = figures.losses(dict.fromkeys((1, 2, 4), values), 3.30, apart=4)
plots.show(fig, alt="One falling line; the markers of two and of four ranks lie on it.")

# %% [markdown]
# A model in two parts, or in four, learns what the whole one does: rings and diamonds lie on the line,
# to the two decimals recorded here. Section 5 draws it for the run on your machine.

# %% [markdown]
# **You will** write two functions that send in one direction and not in the other; a layer cut by its
# outputs and one cut by its inputs; a block that sends once forward and once backward; a vocabulary
# and its loss in p parts; Adam with 1/p of the state on each rank; and decide from bytes what to cut.
#
# **Not in this lab:** models cut into stages, one after another (labs 14 and 15); attention (its heads
# are cut as the columns of section 2 are).
#
# **You need** lab 12 (ranks, all-reduce, the ring's bytes), PyTorch's `nn.Module`, and a CPU. 220
# minutes, of which all cells together compute for less than a minute.

# %% [markdown]
# ## 1 · What autograd does not know
# In lab 12 every rank had the whole model and a part of the batch. Here every rank sees the *whole batch*
# and has a *part of the model*: **model parallelism**. What is cut here is single layers, and that kind
# of it is called **tensor parallelism**.
#
# What ranks do together is a **collective**. `dist.all_reduce(x)` replaces `x` on every rank by the sum
# over all ranks. Every rank must call it, in the same order, with the same shapes. `simulate(f, p)` runs
# `f(dist)` on p ranks that are threads of this process, and lists all collectives; real processes come in
# section 5.


# %%
def together(dist: Any) -> Tensor:
    x = torch.tensor([1.0 + dist.get_rank()])
    dist.all_reduce(x)
    return x


outcome = simulate(together, 4)
print("each rank has", [x.item() for x in outcome.results])
for call in outcome.calls:
    print(
        f"{call.kind} of {call.numbers} number: {call.sent(p=4):.0f} bytes sent by each rank (ring)"
    )

# %% [markdown]
# Take x = 1, the same on four ranks, of which rank r computes its part (r + 1) · x. The loss is the sum
# of all parts, 10 x, so its derivative by x is 10.
#
# **Predict first:** each rank computes its part from its x, the parts are summed by `all_reduce`, and
# every rank calls `backward`. What is in rank 1's `x.grad`? Write your guess between the quotes; a guess
# has no marks, and its answer comes beside the result.

# %%
check.predict("rank 1's x.grad", "", "2", "10", "nothing")


# %%
def parts(dist: Any) -> Tensor | None:
    x = torch.ones(1, requires_grad=True)
    loss = (1 + dist.get_rank()) * x
    dist.all_reduce(loss)
    loss.backward()
    return x.grad


outcome = simulate(parts, 4)
print("x.grad by rank:", [grad.item() for grad in outcome.results])
check.measured("rank 1's x.grad", f"{outcome.results[1].item():.0f}")

# %% [markdown]
# Autograd sees one process. For it, x leads to this rank's part and to nothing else. That x is one and
# the same number on all ranks, and that its gradients are to be added, only you know.
#
# A `torch.autograd.Function` is an operation whose backward you write yourself: `forward(ctx, …)`
# computes the result and may put things on `ctx`; `backward(ctx, dy)` gets dy, the gradient of the
# result, and returns a gradient for *each argument* of forward (None for what has none). This one
# changes nothing on the way forward and doubles the gradient:


# %%
class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)  # the same numbers, a new tensor

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return ctx.factor * dy, None


x = torch.ones(2, requires_grad=True)
y = _Doubled.apply(x, 2.0)
y.sum().backward()
print("y =", y.tolist(), "  x.grad =", x.grad.tolist())

# %% [markdown]
# ### Exercise 1 · There and back, each once — 1.25 points, 25 minutes, ●●○
# Two functions, each the other's mirror:
#
# | | forward | backward |
# |---|---|---|
# | `copy_to_ranks` | x as it is | the sum of dy over all ranks |
# | `reduce_from_ranks` | the sum of x over all ranks | dy as it is |

# %% [markdown]
# x and dy belong to the caller, and others may use them: both stay as they are. In x + f(x), say, the
# same dy goes both ways.
#
# <details><summary>Hint 1</summary>Two classes like the one above. <code>dist</code> is an argument of
# forward, and is kept on <code>ctx</code>.</details>
#
# <details><summary>Hint 2</summary><code>all_reduce</code> replaces the numbers of its argument: give it a
# copy. It wants a <b>contiguous</b> tensor, laid out row after row, and neither x nor dy need be one:
# <code>dy.clone(memory_format=torch.contiguous_format)</code> is a copy that is.</details>


# %% nbgrader={"grade_id": "copy_and_reduce_code", "solution": true}
def copy_to_ranks(dist: Any, x: Tensor) -> Tensor:
    """x, which every rank has, goes on as it is; its gradient is summed over the ranks.

    dist: has get_rank, get_world_size, all_reduce. x: of any shape, the same on all ranks.
    >>> simulate(lambda dist: copy_to_ranks(dist, torch.ones(2)), 2).results[1]
    tensor([1., 1.])
    """
    ### BEGIN SOLUTION
    return _Copied.apply(x, dist)
    ### END SOLUTION


def reduce_from_ranks(dist: Any, x: Tensor) -> Tensor:
    """The sum of x over all ranks, on every rank; its gradient goes back as it is.

    >>> simulate(lambda dist: reduce_from_ranks(dist, torch.ones(2)), 3).results[1]
    tensor([3., 3.])
    """
    ### BEGIN SOLUTION
    return _Reduced.apply(x, dist)


class _Copied(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dist: Any) -> Tensor:
        ctx.dist = dist
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        total = dy.clone(memory_format=torch.contiguous_format)
        ctx.dist.all_reduce(total)
        return total, None


class _Reduced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dist: Any) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return dy, None

    ### END SOLUTION


# %% nbgrader={"grade_id": "copy_and_reduce", "grade": true, "points": 1.25}
check("copy_and_reduce")


# %%
def parts_again(dist: Any) -> Tensor | None:
    x = torch.ones(1, requires_grad=True)
    dist.phase("forward")  # a name for what follows, in the list of calls
    part = (1 + dist.get_rank()) * copy_to_ranks(dist, x)
    loss = reduce_from_ranks(dist, part)
    dist.phase("backward")
    loss.backward()
    return x.grad


with check.needs("copy_and_reduce"):
    outcome = simulate(parts_again, 4)
    print("x.grad by rank:", [grad.item() for grad in outcome.results])
    print([f"{call.phase}: {call.kind} of {call.numbers}" for call in outcome.calls])

# %% [markdown]
# Now every rank has 10. What lies between a `copy_to_ranks` and a `reduce_from_ranks` is a region in which
# ranks differ; outside of it all have the same numbers. Megatron-LM calls the two f and g.

# %% [markdown]
# ## 2 · One layer, p parts
# A linear layer is y = x Wᵀ + b with W: (outputs, inputs), x: (N, inputs). W can be cut in two ways.
#
# **By outputs.** Each rank has some rows of W, and of b, and computes those columns of y from the whole
# x. Nothing is sent forward. But each rank knows the gradient of x only by its own outputs.
#
# **By inputs.** Each rank has some columns of W and the same columns of x. What it computes is a part of
# *every* output, and y is the sum of the parts.

# %% [markdown]
# Megatron-LM, which multiplies by x from the left, calls the first `ColumnParallelLinear` and the second
# `RowParallelLinear`. The names have stayed.

# %% [markdown]
# ### Exercise 2 · Column and row — 2 points, 40 minutes, ●●○
# Cut with `tensor_split(p)`, which always makes p pieces, that differ by at most one. The whole layer is
# given to every rank, and only the rank's piece is kept, as `self.weight` and `self.bias`.
#
# With the same optimizer on each rank, the pieces must stay pieces of what one process would have learnt:
# the check takes three steps. It carries the sums itself and adds a secret amount to each, so a result
# must be made of what arrived.

# %% [markdown]
# <details><summary>Hint 1</summary>Which of the functions of exercise 1 stands in front of the product,
# which behind it? Each layer needs one of them.</details>
#
# <details><summary>Hint 2</summary>A piece that <code>tensor_split</code> gives is a view, which keeps the
# whole in memory: <code>.clone()</code>. Only an <code>nn.Parameter</code> is found by the
# optimizer.</details>
#
# <details><summary>Hint 3</summary>If a row layer's bias is in every rank's part, how often is it in the
# sum?</details>


# %% nbgrader={"grade_id": "parallel_linear_code", "solution": true}
class ColumnLinear(nn.Module):
    """This rank's piece of the outputs of y = x Wᵀ + b.

    weight: (outputs, inputs), bias: (outputs,), of the whole layer; both are left as they are.
    forward(x): x: (N, inputs), the same on all ranks; returns (N, this rank's outputs).
    """

    def __init__(self, dist: Any, weight: Tensor, bias: Tensor) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.dist, rank, p = dist, dist.get_rank(), dist.get_world_size()
        self.weight = nn.Parameter(weight.tensor_split(p)[rank].clone())
        self.bias = nn.Parameter(bias.tensor_split(p)[rank].clone())
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return F.linear(copy_to_ranks(self.dist, x), self.weight, self.bias)
        ### END SOLUTION


# %% nbgrader={"grade_id": "parallel_linear_row_code", "solution": true}
class RowLinear(nn.Module):
    """y = x Wᵀ + b, from this rank's piece of the inputs.

    weight: (outputs, inputs), bias: (outputs,), of the whole layer; both are left as they are.
    self.weight: this rank's columns; self.bias: the whole bias, on every rank.
    forward(x): x: (N, this rank's inputs); returns (N, outputs), the same on all ranks.
    """

    def __init__(self, dist: Any, weight: Tensor, bias: Tensor) -> None:
        ### BEGIN SOLUTION
        super().__init__()
        self.dist, rank, p = dist, dist.get_rank(), dist.get_world_size()
        self.weight = nn.Parameter(weight.tensor_split(p, dim=1)[rank].clone())
        self.bias = nn.Parameter(bias.clone())
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        return reduce_from_ranks(self.dist, F.linear(x, self.weight)) + self.bias
        ### END SOLUTION


# %% nbgrader={"grade_id": "parallel_linear", "grade": true, "points": 2}
check("parallel_linear")


# %%
def cut(dist: Any) -> tuple[Tensor, Tensor]:
    """The weights that this rank keeps of two layers, 8 → 12 and 12 → 8."""
    first = ColumnLinear(dist, torch.zeros(12, 8), torch.zeros(12))
    second = RowLinear(dist, torch.zeros(8, 12), torch.zeros(8))
    return first.weight.detach(), second.weight.detach()


with check.needs("parallel_linear"):
    by_rank = simulate(cut, 3).results
    fig = figures.pieces([column for column, _ in by_rank], [row for _, row in by_rank])
    plots.show(fig, alt="Left: W cut into three bands of rows. Right: into three bands of columns.")

# %% [markdown]
# Your own pieces, on three ranks, each with the shape of its weight. Look at the two side by side: the
# outputs that rank r has on the left are the inputs that it wants on the right.

# %% [markdown]
# ## 3 · Two layers, one message each way
# So a column layer and then a row layer fit together with nothing in between. A **block** of a
# transformer's second half is
#
# x + W2 · GELU(W1 · norm(x) + b1) + b2.
#
# GELU, a smooth ReLU, works number by number, so a rank can do it on its own columns. The norm
# (`nn.LayerNorm`) needs all of x, is small, and stands whole on every rank.
#
# **Predict first:** a block on p ranks, forward and backward. How many all-reduces are there in all?

# %%
check.predict("all-reduces of a block", "", "2", "4", "8")

# %% [markdown]
# ### Exercise 3 · The block — 1 point, 20 minutes, ●●○
# The function gets the parts of an ordinary block and returns a module that computes the same on p ranks,
# with exactly one all-reduce forward and one backward. All that learns, the norm too, must be among its
# parameters.

# %% [markdown]
# And a question, `gelu_place`. Somebody begins with a row layer, so that W1's outputs are a sum over the
# ranks. Where may GELU stand?
#
# - `"a"`: In front of the sum, on each rank's own part of it.
# - `"b"`: Behind the sum, on every rank, on all the numbers.
# - `"c"`: Behind the sum, on the last rank, that has it all.
# - `"d"`: Behind the second layer, as the last step of all.
#
# <details><summary>Hint 1</summary>A small <code>nn.Module</code> of your own, that has norm, a column layer
# and a row layer. <code>first.weight.detach()</code> is a weight without its graph.</details>
#
# <details><summary>Hint 2</summary>x itself is whole on every rank: where may it be added once?</details>

# %% nbgrader={"grade_id": "parallel_block_code", "solution": true}
gelu_place = None  # "a", "b", "c" or "d"
### BEGIN SOLUTION
gelu_place = "b"
### END SOLUTION


def parallel_block(dist: Any, norm: nn.LayerNorm, first: nn.Linear, second: nn.Linear) -> nn.Module:
    """A module that computes x + second(gelu(first(norm(x)))) with the two layers in p parts.

    norm: over d; first: d → h; second: h → d: whole, the same on all ranks.
    The module: x: (N, d), the same on all ranks; returns (N, d), the same on all ranks.
    """
    ### BEGIN SOLUTION
    return _Block(dist, norm, first, second)


class _Block(nn.Module):
    def __init__(self, dist: Any, norm: nn.Module, first: nn.Linear, second: nn.Linear) -> None:
        super().__init__()
        self.norm = norm
        self.first = ColumnLinear(dist, first.weight.detach(), first.bias.detach())
        self.second = RowLinear(dist, second.weight.detach(), second.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.gelu(self.first(self.norm(x))))

    ### END SOLUTION


# %% nbgrader={"grade_id": "parallel_block", "grade": true, "points": 1}
check("parallel_block")


# %%
def whole_block(d: int = 16, h: int = 64) -> tuple[nn.LayerNorm, nn.Linear, nn.Linear]:
    torch.manual_seed(0)  # the same on every rank
    return nn.LayerNorm(d), nn.Linear(d, h), nn.Linear(h, d)


def block_both_ways(dist: Any, x: Tensor) -> tuple[Tensor, Tensor | None]:
    block, x = parallel_block(dist, *whole_block()), x.clone().requires_grad_()
    dist.phase("forward")
    y = block(x)
    dist.phase("backward")
    y.square().sum().backward()
    return y.detach(), x.grad


# %%
x = torch.randn(32, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
norm, first, second = whole_block()
y = x + second(F.gelu(first(norm(x))))
y.square().sum().backward()
with check.needs("parallel_block"):
    for p in (2, 4):
        outcome = simulate(block_both_ways, p, x.detach())
        far = max((got - y).abs().max().item() for got, _ in outcome.results)
        slope = max((grad - x.grad).abs().max().item() for _, grad in outcome.results)
        print(f"p = {p}: output {far:.1e} and gradient {slope:.1e} from one process's;", end=" ")
        print(", ".join(f"{call.phase}: {call.nbytes} bytes" for call in outcome.calls))
    check.measured("all-reduces of a block", str(len(outcome.calls)))

# %% [markdown]
# N · d numbers forward and as many backward, whatever h is and whatever p is. Had each layer gathered its
# outputs, N · h numbers would travel too, and h is usually four times d.
#
# ## 4 · The vocabulary
# A language model begins with a table of **embeddings**, one row of d numbers for each **token** (here a
# character), and ends with a **logit** for each: V rows twice. V is large: 50,257 in GPT-2. So the rows
# are cut. Rank r has the rows `first` to `first + v − 1` of V.
#
# A token's row is on one rank. That rank gives the row, all others give zeros, and the sum is the row.

# %% [markdown]
# ### Exercise 4 · Look-up in parts — 0.75 points, 15 minutes, ●●○
# <details><summary>Hint 1</summary>A mask says which tokens are this rank's:
# <code>tokens − first</code> must be at least 0 and below the number of own rows.</details>
#
# <details><summary>Hint 2</summary>Foreign tokens have no row here. Look up any row for them, row 0 say, and
# multiply by zero: <code>rows * mask[..., None]</code>.</details>


# %% nbgrader={"grade_id": "parallel_embedding_code", "solution": true}
def parallel_embedding(dist: Any, tokens: Tensor, weight: Tensor, first: int) -> Tensor:
    """The rows of all tokens, on every rank, from one all-reduce.

    tokens: whole numbers below V, of any shape, the same on all ranks; they stay as they are.
    weight: (v, d), this rank's rows of the table; first: the token of its row 0.
    Returns (*tokens.shape, d).
    """
    ### BEGIN SOLUTION
    mine = (tokens >= first) & (tokens < first + len(weight))
    rows = F.embedding(torch.where(mine, tokens - first, 0), weight)
    return reduce_from_ranks(dist, rows * mine[..., None])
    ### END SOLUTION


# %% nbgrader={"grade_id": "parallel_embedding", "grade": true, "points": 0.75}
check("parallel_embedding")

# %% [markdown]
# At the other end each rank has the logits of its own words, (N, v). The loss of one example is the
# **cross-entropy**
#
# log Σ exp(l) − l at the target, the sum over all V words.
#
# For it to be computed with large logits, the highest is taken off first, h: log Σ exp(l − h) + h. One
# could gather all logits: N · V numbers. But what does a rank need to know of the others' logits? Three
# numbers for each example.
#
# `dist.all_reduce(x, op=dist.ReduceOp.MAX)` replaces x by the largest over all ranks.

# %% [markdown]
# **Predict first:** a vocabulary ten times as large. How many more numbers does your loss send?

# %%
check.predict("numbers sent, with ten times the words", "", "as many", "twice", "ten times")

# %% [markdown]
# ### Exercise 5 · The loss in parts — 1.75 points, 40 minutes, ●●●
# <details><summary>Hint 1</summary>The three: the highest logit, the sum of exponentials, the target's
# logit, which all but one rank do not have.</details>
#
# <details><summary>Hint 2</summary>The highest logit only shifts, and the loss does not depend on it: it
# wants no gradient, so <code>detach</code> it <i>before</i> it is reduced.</details>
#
# <details><summary>Hint 3</summary>Every rank computes the same loss from the sums. So the gradient of a sum
# is the same on every rank already: which function of exercise 1 has that backward?</details>


# %% nbgrader={"grade_id": "parallel_cross_entropy_code", "solution": true}
def parallel_cross_entropy(dist: Any, logits: Tensor, targets: Tensor, first: int) -> Tensor:
    """The mean cross-entropy over N examples, on every rank.

    logits: (N, v), of this rank's words; targets: (N,), tokens of the whole vocabulary, the same on
    all ranks, which stay as they are; first: the token of this rank's column 0.
    Sends 3 N numbers forward (in two or three all-reduces, one of them MAX), none backward.
    >>> f = lambda dist: parallel_cross_entropy(dist, torch.zeros(1, 2), torch.tensor([3]), 2 * dist.get_rank())
    >>> simulate(f, 2).results[0]  # four words, equally probable: log 4
    tensor(1.3863)
    """
    ### BEGIN SOLUTION
    highest = logits.detach().amax(dim=1)
    dist.all_reduce(highest, op=dist.ReduceOp.MAX)
    place = targets - first
    mine = (place >= 0) & (place < logits.shape[1])
    at = logits.gather(1, torch.where(mine, place, 0)[:, None])[:, 0]
    target = reduce_from_ranks(dist, at * mine)
    total = reduce_from_ranks(dist, (logits - highest[:, None]).exp().sum(dim=1))
    return (total.log() + highest - target).mean()
    ### END SOLUTION


# %% nbgrader={"grade_id": "parallel_cross_entropy", "grade": true, "points": 1.75}
check("parallel_cross_entropy")


# %%
def loss_of_one(dist: Any, words: int) -> None:
    own = torch.zeros(1, words).tensor_split(dist.get_world_size(), dim=1)
    first = sum(one.shape[1] for one in own[: dist.get_rank()])
    parallel_cross_entropy(dist, own[dist.get_rank()], torch.tensor([0]), first)


with check.needs("parallel_cross_entropy"):
    words = [100, 1000, 10_000, 50_257]
    calls = [simulate(loss_of_one, 4, count).calls for count in words]
    sent = [sum(call.sent(p=4) for call in one) for one in calls]
    gathered = [4 * count * 3 / 4 for count in words]  # float32, round a ring of 4
    fig = figures.growth(words, gathered, sent)
    plots.show(fig, alt="Gathered logits grow with the vocabulary; yours is a flat line.")
    grows = sent[1] / sent[0]
    answers = {1: "as many", 2: "twice", 10: "ten times"}
    check.measured("numbers sent, with ten times the words", answers.get(round(grows), "ten times"))

# %% [markdown]
# Both for one example on four ranks: what your loss sends, and what gathering all logits would.

# %% [markdown]
# ## 5 · A language model in parts
# Now all of it together: a model that reads eight characters and predicts the ninth. Its table of
# embeddings is **tied**: the same rows turn characters into numbers at the beginning and give the logits
# at the end. Tied rows get two gradients, and autograd adds them.
#
# In front of the logits stands `copy_to_ranks`: what every rank has, is used by each for its own words.
#
# **Predict first:** the table is cut, and it is tied. How many collectives does that cost in a step, more
# than two tables of their own would?

# %%
check.predict("collectives that tying costs", "", "none", "one", "two")


# %%
class Reader(nn.Module):
    """Predicts a character from the eight before it; on rank r, the r-th part of all that is large."""

    def __init__(self, dist: Any, words: int, tied: bool = True, d: int = 32, h: int = 128) -> None:
        super().__init__()
        torch.manual_seed(0)  # every rank draws the same whole weights, and keeps its part
        self.dist, rank, p = dist, dist.get_rank(), dist.get_world_size()
        table = (torch.randn(words, d) / d**0.5).tensor_split(p)
        self.first, self.words = sum(map(len, table[:rank])), nn.Parameter(table[rank].clone())
        self.out = self.words if tied else nn.Parameter(table[rank].clone())
        near = 0.5 ** torch.arange(7.0, -1, -1)[:, None]  # the last character counts most, at first
        self.place = nn.Parameter(near * torch.randn(8, d))  # small: whole on every rank
        layers = [(nn.LayerNorm(d), nn.Linear(d, h), nn.Linear(h, d)) for _ in range(2)]
        self.blocks = nn.Sequential(*(parallel_block(dist, *one) for one in layers))
        self.norm = nn.LayerNorm(d)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = parallel_embedding(self.dist, tokens, self.words, self.first)  # (N, 8, d)
        x = self.norm(self.blocks((self.place * x).sum(dim=1)))
        logits = copy_to_ranks(self.dist, x) @ self.out.T
        return parallel_cross_entropy(self.dist, logits, targets, self.first)


# %%
corpus = text.corpus()
alphabet = sorted(set(corpus.train))
code = torch.tensor([alphabet.index(c) for c in corpus.train[:100_000]])
windows = code.unfold(0, 9, 1)  # (count, 9): eight characters and the next
chosen = torch.randint(len(windows), (sizes.steps, 128), generator=torch.Generator().manual_seed(0))
batches = windows[chosen]  # (steps, 128, 9)
counts = torch.bincount(code).float()
unigram = -(counts / len(code) * (counts / len(code)).clamp_min(1e-9).log()).sum().item()


def one_step(dist: Any, words: int, batch: Tensor, tied: bool) -> None:
    model = Reader(dist, words, tied)
    dist.phase("forward")
    loss = model(batch[:, :8], batch[:, 8])
    dist.phase("backward")
    loss.backward()


# %%
everything = "copy_and_reduce", "parallel_block", "parallel_embedding", "parallel_cross_entropy"
with check.needs(*everything):
    calls = {
        tied: simulate(one_step, 4, len(alphabet), batches[0], tied).calls for tied in (True, False)
    }
    fig = figures.collectives(calls[True], 4)
    plots.show(fig, alt="All collectives of one step: the embedding's is the largest.")
    more = len(calls[True]) - len(calls[False])
    check.measured("collectives that tying costs", {0: "none", 1: "one"}.get(more, "two"))

# %% [markdown]
# One step of the whole model on four ranks, each collective with its size. Tying costs nothing: both
# uses of a row are on the same rank. (Where a table's two uses are on different ranks, as in a pipeline,
# their gradients must be summed.)
#
# Now on processes. Every rank has its own Adam for its own part.


# %%
def train(dist: Any, words: int, batches: Tensor) -> tuple[list[float], int, list[Tensor]]:
    """The loss of each step, the numbers that learn here, and those that all ranks have."""
    model, losses = Reader(dist, words), []
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for batch in batches:
        optimizer.zero_grad()
        loss = model(batch[:, :8], batch[:, 8])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    numbers = sum(one.numel() for one in model.parameters())
    return losses, numbers, [model.place.detach(), model.norm.weight.detach()]


# %% tags=["headline"]
losses: dict[int, list[float]] = {}
with check.needs(*everything):
    for p in (1, 2, 4):
        given = Collectives(), len(alphabet), batches
        by_rank = ranks.run(train, p, *given, device="cpu", timeout=600)
        losses[p], numbers, same = by_rank[0]
        apart = max((a - b).abs().max().item() for a, b in zip(same, by_rank[-1][2], strict=True))
        far = max(abs(a - b) for a, b in zip(losses[p], losses[1], strict=True))
        print(
            f"p = {p}: {numbers:6,} numbers on rank 0; what all ranks have differs by {apart:.0e}"
        )
        print(
            f"       loss {losses[p][-1]:.4f} after {sizes.steps} steps, at most {far:.1e} from one process's"
        )

# %%
if losses:
    fig = figures.losses(losses, unigram)
    plots.show(fig, alt="The losses of one, two and four ranks fall on one line.")

# %% [markdown]
# The losses differ by float32's rounding: the sums are added up in another order. What every rank has
# whole (the norms, the row layers' biases) is *exactly* equal among ranks, although nobody sends it: equal
# numbers got equal gradients. If that difference is ever not 0, a gradient was summed too often or not
# at all.
#
# The dotted line is the loss of a guess by frequency alone, for comparison.

# %% [markdown]
# ## 6 · The state in p parts
# Back to lab 12: every rank has the whole model and its share of the batch. Adam keeps two numbers for
# each weight, its moments m and v; with weight and gradient that is four, and p ranks keep all four p
# times. **ZeRO** (Rajbhandari and others 2020) shares them out. Its first stage shares out the moments: a
# rank *steps* one p-th of the weights, and needs the gradients and moments of these only.

# %% [markdown]
# Two collectives do it; together they are lab 12's ring, cut in the middle:
#
# | call | does |
# |---|---|
# | `dist.reduce_scatter_tensor(own, whole)` | puts into `own` (k,) this rank's piece of the sum of all `whole` (p·k,) |
# | `dist.all_gather_into_tensor(whole, own)` | puts into `whole` (p·k,) the `own` (k,) of all ranks |
#
# **Predict first:** how many bytes does a rank send in a step with these two, against lab 12's one
# all-reduce of all gradients?

# %%
check.predict("bytes of ZeRO's first stage, against lab 12", "", "half", "as much", "twice")


# %%
def scatter_and_gather(dist: Any) -> tuple[list[float], list[float]]:
    whole = torch.arange(4.0) + 10 * dist.get_rank()
    own = torch.empty(2)
    dist.reduce_scatter_tensor(own, whole)
    both = torch.empty(4)
    dist.all_gather_into_tensor(both, own / 2)
    return own.tolist(), both.tolist()


for rank, (own, both) in enumerate(simulate(scatter_and_gather, 2).results):
    print(f"rank {rank}: its piece of the sum {own}, the halves of all pieces {both}")

# %% [markdown]
# ### Exercise 6 · Sharded Adam — 1.5 points, 40 minutes, ●●●
# Put all gradients into one flat tensor, in the order of the parameters, with zeros at its end so that p
# divides its length. Get your piece of the mean; step your piece of the weights; gather all pieces; put
# them back. Adam, for step t = 1, 2, …, with g the mean gradient:
#
# m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g², w ← w − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + eps)

# %% [markdown]
# <details><summary>Hint 1</summary><code>-(-n // p)</code> is n / p rounded up. <code>F.pad(flat, (0,
# k))</code> adds k zeros at the end.</details>
#
# <details><summary>Hint 2</summary><code>flat.view(p, -1)[rank]</code> is piece <code>rank</code>. What comes
# back is put into the parameters with <code>torch.no_grad()</code> and
# <code>parameter.copy_(…)</code>.</details>


# %% nbgrader={"grade_id": "shard_optimizer_code", "solution": true}
class ShardedAdam:
    """Adam on the mean of all ranks' gradients; each rank keeps 1/p of its state.

    parameters: the same on all ranks, perhaps from a generator; frozen ones (requires_grad=False)
    are left out; n numbers in all. A gradient that is None counts as zeros.
    self.m, self.v: (ceil(n / p),), the moments of this rank's piece; at first zeros, of the
    parameters' dtype, which need not be float32.
    step(): one reduce_scatter_tensor, one all_gather_into_tensor.
    """

    def __init__(
        self,
        dist: Any,
        parameters: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        ### BEGIN SOLUTION
        self.dist, self.lr, self.betas, self.eps = dist, lr, betas, eps
        self.parameters = [one for one in parameters if one.requires_grad]
        piece = -(-sum(one.numel() for one in self.parameters) // dist.get_world_size())
        like = self.parameters[0].detach()
        self.m, self.v, self.steps = like.new_zeros(piece), like.new_zeros(piece), 0
        ### END SOLUTION

    def step(self) -> None:
        ### BEGIN SOLUTION
        rank, p = self.dist.get_rank(), self.dist.get_world_size()
        own, (b1, b2) = torch.empty_like(self.m), self.betas
        self.dist.reduce_scatter_tensor(
            own,
            self._flat(
                torch.zeros_like(one) if one.grad is None else one.grad for one in self.parameters
            ),
        )
        mean, self.steps = own / p, self.steps + 1
        self.m = b1 * self.m + (1 - b1) * mean
        self.v = b2 * self.v + (1 - b2) * mean**2
        m, v = self.m / (1 - b1**self.steps), self.v / (1 - b2**self.steps)
        weights = self._flat(self.parameters)
        own = weights.view(p, -1)[rank] - self.lr * m / (v.sqrt() + self.eps)
        self.dist.all_gather_into_tensor(weights, own)
        lengths = [one.numel() for one in self.parameters]
        with torch.no_grad():
            for one, piece in zip(
                self.parameters,
                weights.split([*lengths, len(weights) - sum(lengths)]),
                strict=False,
            ):
                one.copy_(piece.view_as(one))

    def _flat(self, tensors: Iterable[Tensor]) -> Tensor:
        flat = torch.cat([one.detach().flatten() for one in tensors])
        return F.pad(flat, (0, len(self.m) * self.dist.get_world_size() - len(flat)))
        ### END SOLUTION


# %% nbgrader={"grade_id": "shard_optimizer", "grade": true, "points": 1.5}
check("shard_optimizer")

# %%
pixels, labels = load_digits(return_X_y=True)  # scikit-learn's 1,797 digits of 8×8 pixels
X, y = torch.tensor(pixels / 16).float(), torch.tensor(labels)


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))


def sharded_steps(dist: Any, optimizer_class: Any, X: Tensor, y: Tensor) -> tuple[list, int]:
    """The weights after twenty steps on batches of 64, of which this rank has its share."""
    rank, p, model = dist.get_rank(), dist.get_world_size(), small()
    optimizer = optimizer_class(dist, model.parameters(), lr=1e-3)
    for batch in torch.arange(1280).split(64):
        mine = batch.tensor_split(p)[rank]
        model.zero_grad()
        F.cross_entropy(model(X[mine]), y[mine]).backward()
        optimizer.step()
    return [one.detach() for one in model.parameters()], optimizer.m.nbytes + optimizer.v.nbytes


# %%
model = small()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for batch in torch.arange(1280).split(64):
    optimizer.zero_grad()
    F.cross_entropy(model(X[batch]), y[batch]).backward()
    optimizer.step()
with check.needs("shard_optimizer"):
    for p in (1, 2, 4):
        arguments = Collectives(), ShardedAdam, X, y
        by_rank = ranks.run(sharded_steps, p, *arguments, device="cpu", timeout=600)
        pairs = zip(by_rank[-1][0], model.parameters(), strict=True)
        far = max((a - b).abs().max().item() for a, b in pairs)
        state = [nbytes for _, nbytes in by_rank]
        print(f"p = {p}: weights {far:.1e} from torch's Adam; bytes of state by rank {state}")

# %%
with check.needs("shard_optimizer"):
    outcome = simulate(sharded_steps, 4, ShardedAdam, X, y)
    calls, n = outcome.calls[:2], sum(one.numel() for one in model.parameters())
    sent, plain = sum(call.sent(p=4) for call in calls), 2 * 3 / 4 * 4 * n
    print(
        f"a step, 4 ranks: {' + '.join(call.kind for call in calls)} send {sent:,.0f} bytes a rank"
    )
    print(f"one all-reduce of the {n:,} gradients: {plain:,.0f} bytes")
    nearest = {"half": 0.5, "as much": 1.0, "twice": 2.0}
    answer = min(nearest, key=lambda name: abs(nearest[name] - sent / plain))
    check.measured("bytes of ZeRO's first stage, against lab 12", answer)

# %% [markdown]
# Half of an all-reduce before the step, half of one after it: in between, each rank steps its own piece.
# The memory is saved at no cost in bytes. In the paper weights and gradients are rounded to 2 bytes each
# (mixed precision), and Adam keeps 12 bytes a weight: m, v, and the weight in float32. For 7.5 billion
# weights that is 120 GB; with the 12 bytes shared out over 64 GPUs each needs 31.4 GB.
#
# ## 7 · What fills the memory
# Four things: weights, their gradients, the optimizer's **state**, and the **activations**, which forward
# keeps for backward. To compute its weight's gradient a linear layer keeps its *input*.

# %% [markdown]
# ### Exercise 7 · The bill for memory — 0.75 points, 20 minutes, ●●○
# Linear layers with bias, one after another; float32, 4 bytes a number; Adam, two moments a weight. Three
# layouts:
#
# - `"data"`: the model whole on each rank, the examples shared out.
# - `"sharded"`: the same, with the state as in exercise 6: all n weights in one flat tensor, in p pieces.
# - `"tensor"`: every rank sees all examples; the layers are a column layer, a row layer, a column layer,
#   and so on.

# %% [markdown]
# <details><summary>Hint 1</summary>Count numbers for the rank with the largest pieces, which is rank 0;
# <code>-(-n // p)</code> rounds up.</details>
#
# <details><summary>Hint 2</summary>In <code>"tensor"</code>, what does section 2 say of each kind of layer:
# which bias is cut, and which input?</details>


# %% nbgrader={"grade_id": "memory_of_code", "solution": true}
def memory_of(layers: list, batch: int, p: int, layout: str) -> dict[str, int]:
    """Bytes on rank 0 of p; layers: [inputs, outputs] of each; batch: examples of all ranks together.

    Returns {"weights": …, "gradients": …, "state": …, "activations": …}. What p does not divide is cut
    as tensor_split does: rank 0 has the larger piece.
    >>> memory_of([[3, 5]], batch=4, p=2, layout="tensor")
    {'weights': 48, 'gradients': 48, 'state': 96, 'activations': 48}
    """
    ### BEGIN SOLUTION
    numbers = kept = 0
    for place, (inputs, outputs) in enumerate(layers):
        if layout != "tensor":
            numbers += inputs * outputs + outputs
            kept += -(-batch // p) * inputs
        elif place % 2 == 0:
            numbers += (inputs + 1) * -(-outputs // p)
            kept += batch * inputs
        else:
            numbers += -(-inputs // p) * outputs + outputs
            kept += batch * -(-inputs // p)
    state = -(-numbers // p) if layout == "sharded" else numbers
    return {
        "weights": 4 * numbers,
        "gradients": 4 * numbers,
        "state": 8 * state,
        "activations": 4 * kept,
    }
    ### END SOLUTION


# %% nbgrader={"grade_id": "memory_of", "grade": true, "points": 0.75}
check("memory_of")

# %%
stack = [[1024, 4096], [4096, 1024]] * 12
with check.needs("memory_of"):
    for batch in (512, 32_768):
        bills = {"one process": memory_of(stack, batch, 1, "data")}
        for layout in ("data", "sharded", "tensor"):
            bills[f"{layout}, p = 8"] = memory_of(stack, batch, 8, layout)
        fig = figures.memory(bills, f"12 blocks of 1024 → 4096 → 1024, {batch:,} examples")
        plots.show(fig, alt=f"Memory on one rank for each layout and {batch:,} examples.")

# %% [markdown]
# Few examples: the weights and what belongs to them fill the memory, and only `"tensor"` cuts all of that.
# Many examples: activations fill it, and cutting the model helps these less, since every column layer keeps
# its whole input on every rank.
#
# Does the bill hold? Below, two of your own layers on four ranks, asked for what they hold and what their
# forward keeps:


# %%
def held(dist: Any, n: int, d: int, h: int) -> dict[str, int]:
    """Bytes of this rank's weights, and of what forward keeps besides them."""
    layers = (
        ColumnLinear(dist, torch.zeros(h, d), torch.zeros(h)),
        RowLinear(dist, torch.zeros(d, h), torch.zeros(d)),
    )
    own = {one.data_ptr(): one.nbytes for layer in layers for one in layer.parameters()}
    kept: dict[int, int] = {}

    def note(one: Tensor) -> Tensor:
        kept[one.data_ptr()] = one.nbytes
        return one

    with torch.autograd.graph.saved_tensors_hooks(note, lambda one: one):
        layers[1](layers[0](torch.zeros(n, d)))
    activations = sum(nbytes for at, nbytes in kept.items() if at not in own)
    return {"weights": sum(own.values()), "activations": activations}


with check.needs("parallel_linear", "memory_of"):
    bill = memory_of([[64, 256], [256, 64]], 100, 4, "tensor")
    print("measured:", simulate(held, 4, 100, 64, 256).results[0])
    print("the bill:", {key: bill[key] for key in ("weights", "activations")})

# %% [markdown]
# ## 8 · Which layers to cut
# AlexNet has convolutions with few weights and large inputs, then three fully connected layers with many
# weights and small inputs. Krizhevsky (2014) treated the two kinds differently, "one weird trick". In bytes
# that each of p ranks sends, round a ring, for one layer and one step:
#
# - **data-parallel**: an all-reduce of the weights' gradients;
# - **model-parallel**, in a network whose other layers are data-parallel: an all-gather of the layer's
#   inputs of *all* examples forward, and a reduce-scatter of their gradients backward.
#
# (Outputs are the next layer's inputs, and are counted there.)
#
# **Predict first:** AlexNet, a batch of 128 on 8 ranks. Which layers are cheaper cut?

# %%
check.predict(
    "layers that are cheaper cut, at batch 128",
    "",
    "convolutions",
    "fully connected",
    "all of them",
)

# %% [markdown]
# ### Exercise 8 · One weird trick — 1 point, 20 minutes, ●●○
# Two short functions, and a number. `flip_batch`: AlexNet's last layer, fc8, has 4,096 inputs and 1,000
# outputs, and a bias. What is the largest batch for which it is cheaper model-parallel, for any p ≥ 2?
#
# <details><summary>Hint 1</summary>From lab 12: round a ring each rank sends 2 (p − 1) / p of the tensor's
# bytes for an all-reduce, and half of that for each of its halves. float32 has 4 bytes.</details>
#
# <details><summary>Hint 2</summary>For flip_batch p does not matter: what stands on both sides cancels.
# </details>

# %% nbgrader={"grade_id": "choose_parallelism_code", "solution": true}
flip_batch = None  # a whole number
### BEGIN SOLUTION
flip_batch = (4096 * 1000 + 1000) // 4096
### END SOLUTION


def bytes_sent(weights: int, inputs: int, batch: int, p: int) -> dict[str, float]:
    """Bytes that each of p ranks sends for one layer and step: {"data": …, "model": …}.

    weights: numbers that learn in the layer, biases too; inputs: numbers that enter it for one
    example; batch: examples of all ranks together.
    >>> bytes_sent(weights=1000, inputs=10, batch=4, p=2)
    {'data': 4000.0, 'model': 160.0}
    """
    ### BEGIN SOLUTION
    each = 4 * 2 * (p - 1) / p
    return {"data": each * weights, "model": each * batch * inputs}
    ### END SOLUTION


def choose_parallelism(layers: list, batch: int, p: int) -> list[str]:
    """For each layer, [weights, inputs], the way that sends less: "data" or "model".

    Where both send the same: "data".
    """
    ### BEGIN SOLUTION
    both = [bytes_sent(weights, inputs, batch, p) for weights, inputs in layers]
    return ["model" if sent["model"] < sent["data"] else "data" for sent in both]
    ### END SOLUTION


# %% nbgrader={"grade_id": "choose_parallelism", "grade": true, "points": 1}
check("choose_parallelism")

# %%
from torchvision.models import alexnet

found: list[list[int]] = []
with torch.device("meta"):  # shapes, no numbers
    network = alexnet()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            learns = sum(one.numel() for one in layer.parameters())
            layer.register_forward_hook(
                lambda module, given, _, learns=learns: found.append([learns, given[0].numel()])
            )
    network.eval()(torch.zeros(1, 3, 224, 224))
names = [f"conv{k}" for k in range(1, 6)] + ["fc6", "fc7", "fc8"]
for name, (weights, inputs) in zip(names, found, strict=True):
    print(f"{name}: {weights:10,} weights, {inputs:7,} inputs an example")

# %%
with check.needs("choose_parallelism"):
    ways = choose_parallelism(found, 128, 8)
    sent = {name: bytes_sent(*one, 128, 8) for name, one in zip(names, found, strict=True)}
    fig = figures.by_layer(sent, ways, "AlexNet, batch 128, 8 ranks")
    plots.show(fig, alt="Convolutions are cheaper data-parallel, fc6 to fc8 model-parallel.")
    mixed = sum(one[way] for one, way in zip(sent.values(), ways, strict=True))
    for way in ("data", "model"):
        print(f"all {way}-parallel: {sum(one[way] for one in sent.values()) / 1e6:7.1f} MB a step")
    print(f"each as chosen:     {mixed / 1e6:7.1f} MB a step")
    kinds = {
        "c" if name[0] == "c" else "f"
        for name, way in zip(names, ways, strict=True)
        if way == "model"
    }
    answer = {("c",): "convolutions", ("f",): "fully connected"}.get(
        tuple(sorted(kinds)), "all of them"
    )
    check.measured("layers that are cheaper cut, at batch 128", answer)

# %% [markdown]
# The weights of a convolution are used at every place of the image, so it has few of them and many inputs.
# A fully connected layer uses each weight once. That is all the trick is.
#
# Where does it flip? Your choice for each layer and batch (D data, M model):

# %%
with check.needs("choose_parallelism"):
    batches_tried = (32, 128, 512, 900, 1100, 4000, 8000)
    by_batch = {batch: choose_parallelism(found, batch, 8) for batch in batches_tried}
    fig = figures.choices(by_batch, names)
    plots.show(fig, alt="Large batches turn fc8 to data-parallel first, then fc6 and fc7.")

# %% [markdown]
# With the batches of today's data-parallel training AlexNet would be data-parallel throughout. What made
# tensor parallelism worth its messages again is layers of which one device cannot hold the weights.

# %% [markdown]
# ## 9 · Experiments
# Change the knobs and run again; nothing here is graded.
#
# - In `Reader`, h = 1024: what happens to the bytes of a block's collectives, and to the numbers a rank?
# - Leave `copy_to_ranks` in front of the logits away. Which number in section 5 tells you?
# - In `train`, give each rank another seed in `Reader`: what goes wrong, and is there an error?
# - `ranks.run(train, 3, …)`: three does not divide the alphabet, and need not.
# - In section 7: at which number of examples do `"sharded"` and `"tensor"` need the same?
# - On a machine with GPUs, leave `device="cpu"` away, and move model and batches to `ranks.device()`.

# %% [markdown]
# ## 10 · What you built is called
# | yours | PyTorch | Megatron-LM |
# |---|---|---|
# | `copy_to_ranks`, `reduce_from_ranks` | DTensor's change from one placement to another | `copy_to_…`, `reduce_from_tensor_model_parallel_region` |
# | `ColumnLinear`, `RowLinear` | `ColwiseParallel`, `RowwiseParallel` | `ColumnParallelLinear`, `RowParallelLinear` |
# | `parallel_embedding` | `RowwiseParallel` on `nn.Embedding` | `VocabParallelEmbedding` |
# | `parallel_cross_entropy` | `loss_parallel` | `vocab_parallel_cross_entropy` |
# | `ShardedAdam` | `ZeroRedundancyOptimizer`; further, `fully_shard` (all of ZeRO) | its distributed optimizer |
#
# Your block against PyTorch's, on the same input, on two processes:


# %%
def both_blocks(ours: Any, x: Tensor) -> tuple[Tensor, Tensor | None]:
    """Output and gradient of x; ours: what makes the block, or None for PyTorch's own."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.parallel import (
        ColwiseParallel,
        RowwiseParallel,
        parallelize_module,
    )

    norm, first, second = whole_block()
    start = x.clone().requires_grad_()
    if ours:
        y = ours(Collectives(), norm, first, second)(start)
    else:
        cut = {"0": ColwiseParallel(), "2": RowwiseParallel()}
        mesh = init_device_mesh("cpu", (2,))
        layers = parallelize_module(nn.Sequential(first, nn.GELU(), second), mesh, cut)
        y = start + layers(norm(start))
    y.square().sum().backward()
    return y.detach(), start.grad


# %%
with check.needs("parallel_block"):
    both = [
        ranks.run(both_blocks, 2, ours, x.detach(), device="cpu", timeout=600)
        for ours in (parallel_block, None)
    ]
    for name, ours, theirs in zip(("output", "gradient of x"), both[0][0], both[1][0], strict=True):
        print(f"{name}: largest difference {(ours - theirs).abs().max():.1e}")

# %% [markdown]
# ## 11 · Further
# - Shoeybi and others (2019), *Megatron-LM: training multi-billion parameter language models using model
#   parallelism*, [arXiv:1909.08053](https://arxiv.org/abs/1909.08053): sections 1 to 4 of this lab; 8.3
#   billion weights on 512 GPUs at 76 % of linear scaling. Here: equality and bytes; time needs GPUs.
# - Rajbhandari, Rasley, Ruwase, He (2020), *ZeRO: memory optimizations toward training trillion parameter
#   models*, [arXiv:1910.02054](https://arxiv.org/abs/1910.02054): state, then gradients, then weights in
#   parts. Section 6 measured the first stage: 1/p of the state, the same bytes sent.
# - Krizhevsky (2014), *One weird trick for parallelizing convolutional neural networks*,
#   [arXiv:1404.5997](https://arxiv.org/abs/1404.5997): section 8.

# %% [markdown]
# - Narayanan and others (2021), *Efficient large-scale language model training on GPU clusters using
#   Megatron-LM*, [arXiv:2104.04473](https://arxiv.org/abs/2104.04473): tensor, pipeline and data
#   parallelism together.
# - Korthikanti and others (2022), *Reducing activation recomputation in large transformer models*,
#   [arXiv:2205.05198](https://arxiv.org/abs/2205.05198): the activations that section 7 leaves whole on
#   each rank, cut too.
# - Zhao and others (2023), *PyTorch FSDP: experiences on scaling fully sharded data parallel*,
#   [arXiv:2304.11277](https://arxiv.org/abs/2304.11277).
#
# **Next:** in lab 14 the model is cut the other way, into stages one after another.

# %%
progress()
