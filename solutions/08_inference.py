# %% [markdown]
# # 08 · Smaller and faster
# You will make a trained network more than twenty-five times smaller, as a file that you write, read
# back and run; and then make networks answer faster, and measure how much of it was saved by what.

# %% [markdown]
# This is what this lab's code made of LeNet-300-100, 266,610 numbers, on MNIST at scale `smoke`:
#
# ```text
#                                        file   test images right
# dense                           1,066,453 B   97.46 %
# pruned, shared, Huffman-coded      23,716 B   97.36 %
# ```
#
# Both are sizes on disk. All that is needed to run the network again is in the file. (Both networks
# were trained for the same number of steps.)

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import copy
import heapq
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune
from torch.optim import Optimizer

from grading.check import checks, progress
from utils import compressed, plots, settings, training
from utils.compressed import Layer
from utils.data import digits
from utils.figures import inference as figures

# %%
Array = NDArray[np.floating]
Integers = NDArray[np.integer]
check = checks("08_inference")
torch.manual_seed(0)
sizes = settings.choose(
    scale,
    smoke={"train": 700, "retrain": 350, "tune": 150, "repeats": 15},
    cpu={"train": 4000, "retrain": 2000, "tune": 600, "repeats": 40},
)

# %% [markdown]
# **You will** remove weights and keep them removed while the rest is trained; let weights share a few
# values; write a prefix code; count a file to the last bit; fold batch normalisation into a
# convolution; compute with integers of 8 bits; and choose a batch for a time limit.
#
# **Not in this lab:** kernels of your own (lab 11), smaller architectures (lab 06's Fire), one network
# that teaches another.
#
# **You need** lab 04's training loop, lab 05's convolution and what batch normalisation does (lab 06
# builds it; section 6 says what is needed). 220 minutes. A CPU is enough: at `smoke` all cells together
# compute for less than a minute, at `cpu` for some minutes.

# %% [markdown]
# ## 1 · What a network weighs
# A number of type **float32** takes 32 bits, four bytes. The network is LeNet-300-100: two hidden
# layers, of 300 and 100 units. A weight matrix is (O, I) float32, one row an output, as in `nn.Linear`.
#
# An image of MNIST has 784 pixels. Without MNIST on this machine the images are scikit-learn's digits, of
# 64 pixels: the network has 50,610 numbers then, and its file can shrink less.

# %%
data = digits.load()
train_x, test_x = (torch.from_numpy(x).flatten(1) for x in (data.train_x, data.test_x))
train_y, test_y = (torch.from_numpy(y) for y in (data.train_y, data.test_y))  # (N,) int64
is_mnist = data.name == "MNIST"


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    """The network's linear layers, first to last."""
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def accuracy(network: nn.Module) -> float:
    """The share of the test images that it gets right."""
    return training.evaluate(network, test_x, test_y).accuracy


def batches(steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Random batches of 128 training images and their labels."""
    for chosen in torch.randint(len(train_x), (steps, 128)):
        yield train_x[chosen], train_y[chosen]


# %%
network = nn.Sequential(
    *(nn.Linear(train_x.shape[1], 300), nn.ReLU()),
    *(nn.Linear(300, 100), nn.ReLU()),
    nn.Linear(100, 10),
)


def train(network: nn.Module, steps: int, rate: float) -> None:
    """Adam, all weights."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    for x, y in batches(steps):
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()


train(network, sizes.train, 1.5e-3)

# %%
folder = Path(tempfile.mkdtemp())  # where this lab's files go
dense_bytes = compressed.write_dense(
    folder / "dense",
    [(one.weight.detach().numpy(), one.bias.detach().numpy()) for one in linear_layers(network)],
)
dense_accuracy = accuracy(network)
numbers = sum(p.numel() for p in network.parameters())
print(f"{numbers:,} numbers, {dense_bytes:,} bytes on disk, {dense_accuracy:.2%} right")
for one in linear_layers(network):
    print(f"  weights {tuple(one.weight.shape)}: {one.weight.numel() / numbers:.0%} of all numbers")

# %% [markdown]
# That file is the one to beat: it holds the numbers and three shapes, nothing else.
#
# ## 2 · Most weights can go
# A weight that is nearly 0 does nearly nothing. **Pruning** sets the smallest ones to exactly 0; small
# means small in **magnitude**, the value without its sign. A **mask** says which are kept: an array of
# the weights' shape, `True` for kept.
#
# **Predict first.** Without any training afterwards: what share of the weights can go before a tenth
# of the accuracy is lost? No marks; the answer comes below exercise 1.

# %%
check.predict(
    "how much can go before a tenth of the accuracy is lost",
    "",
    "under 10 %",
    "about 30 %",
    "over 50 %",
)

# %% [markdown]
# What pruning breaks, training mends: the weights that are left take over. Two things make pruned
# weights come back to life in that training: the gradient, and what the optimizer remembers. A
# **momentum** buffer holds old gradients and goes on pushing with them, also where the new gradient
# is 0.
#
# ### Exercise 1 · Pruning that lasts — 1.25 points, 25 minutes, ●●○
# Write the mask, and a training step after which what was pruned is still 0, whatever the optimizer.
# PyTorch's own pruning (`torch.nn.utils.prune`) is not to be used.

# %% [markdown]
# <details><summary>Hint 1</summary>A threshold removes too many, or too few, where several weights are
# equally large. Sorting gives an order, and a count cuts it exactly.</details>
#
# <details><summary>Hint 2</summary><code>np.argsort</code> gives places. With <code>axis=None</code> it
# takes the whole array as one row.</details>
#
# <details><summary>Hint 3</summary>Whatever happened in <code>optimizer.step()</code>, it has happened
# to the weights when it returns.</details>


# %% nbgrader={"grade_id": "prune_code", "solution": true}
def prune(weights: Array, share: float) -> NDArray[np.bool_]:
    """Which weights are kept: a mask of the shape of `weights`, (O, I).

    share: of the weights, 0 to 1, that go: those of the smallest magnitudes, `round(share * n)` of n,
    no more and no fewer. Among equal magnitudes any may go. `weights` is left as it was.
    >>> prune(np.array([[0.5, -0.1], [0.2, -0.9]]), share=0.5)
    array([[ True, False],
           [False,  True]])
    """
    ### BEGIN SOLUTION
    mask = np.ones(weights.size, bool)
    smallest_first = np.argsort(abs(weights), axis=None, kind="stable")
    mask[smallest_first[: round(share * weights.size)]] = False
    return mask.reshape(weights.shape)
    ### END SOLUTION


# %% nbgrader={"grade_id": "prune_step", "solution": true}
def masked_step(
    network: nn.Module, masks: dict[str, Tensor], optimizer: Optimizer, x: Tensor, y: Tensor
) -> float:
    """One step of training on a batch, after which each pruned weight is 0. The loss, as a number.

    The loss is the mean cross-entropy of `network(x)` and y. masks: by the name of a parameter, as
    in `network.named_parameters()`, a mask of its shape; a parameter without a mask is trained as
    usual. optimizer: any, with its parameters, momentum and weight decay.
    Before the call the pruned weights are 0.
    """
    ### BEGIN SOLUTION
    optimizer.zero_grad()
    loss = F.cross_entropy(network(x), y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in masks:
                parameter *= masks[name]
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade_id": "prune", "grade": true, "points": 1.25}
check("prune")


# %%
def prune_layers(pruned: nn.Module, share: float) -> dict[str, Tensor]:
    """Prune each layer with your `prune`, the last, with few weights, half as far; the masks."""
    masks = {}
    for name, parameter in pruned.named_parameters():
        if parameter.ndim == 2:
            part = share / 2 if len(parameter) == 10 else share
            masks[name] = torch.from_numpy(prune(parameter.detach().numpy(), part))
            parameter.data *= masks[name]
    return masks


def retrain(pruned: nn.Module, masks: dict[str, Tensor], steps: int) -> None:
    """Train with your `masked_step`."""
    optimizer = torch.optim.Adam(pruned.parameters(), lr=1e-3)
    for x, y in batches(steps):
        masked_step(pruned, masks, optimizer, x, y)


# %%
with check.needs("prune"):
    shares = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
    left: dict[str, list[float]] = {"as pruned": [], "trained on": []}
    for share in shares:
        one = copy.deepcopy(network)
        masks = prune_layers(one, share)
        left["as pruned"].append(accuracy(one))
        retrain(one, masks, sizes.retrain // 5)
        left["trained on"].append(accuracy(one))
    fig = figures.by_share(shares, left)
    plots.show(
        fig, alt="Accuracy over the share pruned: at first flat, then falling; training lifts it."
    )
    gone = max(
        s for s, a in zip(shares, left["as pruned"], strict=True) if a >= 0.9 * dense_accuracy
    )
    answer = "over 50 %" if gone >= 0.5 else "about 30 %" if gone >= 0.3 else "under 10 %"
    check.measured("how much can go before a tenth of the accuracy is lost", answer)

# %% [markdown]
# *Accuracy over the share of weights that your masks remove.* Below, the network is pruned in three
# rounds with training between them. Han and others (2015) also went step by step, and removed 92 % of
# this network's weights.
#
# The training in between makes the network better, too. So the **control** is the dense network,
# trained on for as many steps.

# %%
rounds = (0.7, 0.85, 0.92)
pruned, pruned_by_you = copy.deepcopy(network), False
try:
    for share in rounds:
        masks = prune_layers(pruned, share)
        before = accuracy(pruned)
        retrain(pruned, masks, sizes.retrain)
        print(f"{share:.0%} gone: {before:.2%} right, and {accuracy(pruned):.2%} after training")
    pruned_by_you = True
except NotImplementedError:  # without yours: the library's, in one step
    for layer, share in zip(linear_layers(pruned), (rounds[-1], rounds[-1], 0.5), strict=True):
        torch_prune.remove(torch_prune.l1_unstructured(layer, "weight", share), "weight")
    print("Pruned by PyTorch and not trained on: run this cell again once exercise 1 is done.")
pruned_accuracy = accuracy(pruned)

# %%
longer = copy.deepcopy(network)  # the control: the dense network, trained on for as many steps
train(longer, len(rounds) * sizes.retrain + sizes.tune, 1e-3)
control = accuracy(longer)
print(f"pruned {pruned_accuracy:.2%} right; dense, and trained as long: {control:.2%}")

# %%
first = linear_layers(pruned)[0].weight.detach().numpy()
per_pixel = (first != 0).sum(axis=0).reshape(data.image_shape)
inked = (data.train_x > 0).mean(axis=0)
fig = figures.kept_pixels(per_pixel)
plots.show(fig, alt="A map of the pixels: how many of 300 units have kept a weight for each.")
print(
    f"pixels without ink in any image keep {per_pixel[inked == 0].mean():.1f} weights on average,"
)
print(f"pixels with ink in more than a tenth of the images {per_pixel[inked > 0.1].mean():.1f}")

# %% [markdown]
# *For each pixel, how many of the first layer's 300 units have kept a weight for it.* Nobody told the
# masks where the digits are. A pixel without ink gives no gradient, so its weights stay as small as
# they began, and go. (One that seldom has ink may keep many: Adam's steps are as large for it as for
# others.)

# %% [markdown]
# ## 3 · Weights that share a value
# What is left still takes 32 bits each. **Weight sharing** groups the weights of a layer and gives all
# of a group one value. The values stand in a list, the **codebook**; of each weight only its place in
# the list is kept, its **code**. Codes of 4 bits can name 16 values.
#
# Code 0 is kept for pruned weights: `codebook[0]` is 0, always. That leaves 15 values at 4 bits,
# $2^b - 1$ at $b$ bits. The layer's weights are then `codebook[codes]`.

# %% [markdown]
# The values are found by **k-means**, in one dimension:
#
# 1. Begin with values at equal distances, the lowest weight and the highest being the first and the
#    last (*linear initialisation*).
# 2. Give each weight to the nearest value.
# 3. Move each value to the mean of its weights. One without weights stays where it is.
# 4. Repeat 2 and 3 until no weight changes its group.
#
# Han and others compared three ways to begin. Linear keeps values far from 0, where there are few
# weights, and these matter most.

# %% [markdown]
# ### Exercise 2 · A codebook — 1.5 points, 35 minutes, ●●○
# The list can be trained, too. If one value stands for many weights, how does the loss change with
# that value? `codebook_gradient` answers it from the gradient that PyTorch found for the weights.
#
# Library clustering (scikit-learn, SciPy) is not to be used, nor autograd.

# %% [markdown]
# <details><summary>Hint 1</summary><code>abs(values[:, None] - centres)</code> has all distances, a row
# for each weight.</details>
#
# <details><summary>Hint 2</summary>Only weights that are not 0 take part; a mask of them,
# <code>weights != 0</code>, picks them out and puts their codes back.</details>
#
# <details><summary>Hint 3</summary>A value moves and all of its weights move with it: by the chain
# rule, each of them passes its own gradient on. And what must stay 0?</details>


# %% nbgrader={"grade_id": "share_weights_code", "solution": true}
def share_weights(weights: Array, bits: int) -> tuple[Integers, Array]:
    """Codes and codebook (codes, codebook) of a layer, by k-means as above, to the end.

    weights: (O, I), those that are 0 are pruned; bits: 2 to 8.
    codes: (O, I) int64, 0 for pruned weights and for no others; codebook: (2 ** bits,), its first
    number 0, the others rising. A layer of zeros has a codebook of zeros.
    >>> codes, codebook = share_weights(np.array([[1.0, 0.0, 1.5], [4.0, 9.0, 0.0]]), bits=2)
    >>> codes, codebook
    (array([[1, 0, 1],
           [2, 3, 0]]), array([0.  , 1.25, 4.  , 9.  ]))
    """
    ### BEGIN SOLUTION
    codes, codebook = np.zeros(weights.shape, np.int64), np.zeros(2**bits, weights.dtype)
    kept = weights != 0
    values = weights[kept]
    if values.size == 0:
        return codes, codebook
    centres = np.linspace(values.min(), values.max(), 2**bits - 1)
    nearest = None
    while True:
        before, nearest = nearest, abs(values[:, None] - centres).argmin(axis=1)
        if before is not None and np.array_equal(before, nearest):
            break
        for k in set(nearest.tolist()):
            centres[k] = values[nearest == k].mean()
    codes[kept], codebook[1:] = nearest + 1, centres
    return codes, codebook
    ### END SOLUTION


# %% nbgrader={"grade_id": "share_weights_gradient", "solution": true}
def codebook_gradient(gradient: Array, codes: Integers, size: int) -> Array:
    """The gradient (size,) of the loss for a codebook of so many numbers.

    gradient: (O, I), the loss's gradient for each weight `codebook[codes]`; codes: (O, I).
    Pruned weights stay pruned.
    """
    ### BEGIN SOLUTION
    sums = np.bincount(codes.ravel(), gradient.ravel(), minlength=size)
    sums[0] = 0
    return sums
    ### END SOLUTION


# %% nbgrader={"grade_id": "share_weights", "grade": true, "points": 1.5}
check("share_weights")

# %%
with check.needs("share_weights"):
    some = first[first != 0]
    begin = np.linspace(some.min(), some.max(), 15)
    codes, codebook = share_weights(first, 4)
    fig = figures.codebook(some, begin, codebook[1:])
    plots.show(
        fig, alt="A histogram of weights with a gap around 0; 15 values, before and after k-means."
    )

# %% [markdown]
# *The weights that the first layer kept, and the 15 values: above at equal distances, below where your
# k-means left them.* The gap in the middle is what pruning took. Values there that no weight is
# nearest to stay where they began.
#
# **Predict first.** With how few bits does the network keep its accuracy to one point, before the
# codebook is trained?

# %%
check.predict("how few bits keep the accuracy to one point", "", "2", "3", "4", "5")


# %%
def with_layers(layers: Sequence[Layer]) -> nn.Sequential:
    """A network of these layers."""
    built = copy.deepcopy(network)
    for one, layer in zip(linear_layers(built), layers, strict=True):
        one.weight.data = torch.from_numpy(layer.weights)
        one.bias.data = torch.from_numpy(layer.bias)
    return built


def shared(bits: int) -> list[Layer]:
    """The pruned network's layers with your codebooks."""
    pairs = [
        (one.weight.detach().numpy(), one.bias.detach().numpy()) for one in linear_layers(pruned)
    ]
    return [Layer(*share_weights(weights, bits), bias.copy()) for weights, bias in pairs]


with check.needs("share_weights"):
    by_bits = {bits: accuracy(with_layers(shared(bits))) for bits in (2, 3, 4, 5)}
    print(f"pruned: {pruned_accuracy:.2%} right")
    print("\n".join(f"codes of {bits} bits: {right:.2%}" for bits, right in by_bits.items()))
    enough = [bits for bits, right in by_bits.items() if right >= pruned_accuracy - 0.01]
    check.measured("how few bits keep the accuracy to one point", str(min(enough, default=5)))


# %% [markdown]
# Now your `codebook_gradient` trains the lists: 15 numbers a layer, and the biases. A step moves whole
# groups of weights at once.


# %%
def tune(layers: Sequence[Layer], steps: int) -> list[Layer]:
    """Train codebooks and biases with your `codebook_gradient`; the codes stay."""
    model = with_layers(layers)
    books = [nn.Parameter(torch.from_numpy(layer.codebook.copy())) for layer in layers]
    linear = linear_layers(model)
    optimizer = torch.optim.Adam([*books, *(one.bias for one in linear)], lr=3e-4)
    for x, y in batches(steps):
        model.zero_grad()
        F.cross_entropy(model(x), y).backward()
        for book, layer, one in zip(books, layers, linear, strict=True):
            gradient = codebook_gradient(one.weight.grad.numpy(), layer.codes, len(book))
            book.grad = torch.as_tensor(gradient, dtype=book.dtype)
        optimizer.step()
        for book, layer, one in zip(books, layers, linear, strict=True):
            one.weight.data = book.detach()[torch.from_numpy(layer.codes)]
    three = zip(layers, books, linear, strict=True)
    return [Layer(o.codes, b.detach().numpy(), n.bias.detach().numpy()) for o, b, n in three]


# %%
tuned: list[Layer] | None = None
with check.needs("share_weights"):
    clustered = shared(4)
    tuned = tune(clustered, sizes.tune)
    for name, layers in (("k-means", clustered), ("trained", tuned)):
        print(f"{name}: {accuracy(with_layers(layers)):.2%} of the test images right")

# %% [markdown]
# ## 4 · Frequent codes, short words
# Some codes are far more frequent than others. A **prefix code** gives each symbol a word of bits, the
# frequent ones short words, and no word begins with another word. So a row of words needs no commas:
# read bits until they are a word, note its symbol, begin again.
#
# Huffman's (1952): take the two rarest symbols, and make one of them, as frequent as both together;
# their words are its word with 0 and with 1 at the end. Go on until one is left. No prefix code has a
# shorter mean length.

# %% [markdown]
# Five symbols that come 5, 2, 1, 1 and 0 times may get the words `0`, `10`, `110`, `111` and none. (Which of
# two gets the 0 does not matter.) The symbols 0, 1, 0, 3 are then written `0100111`: 0, 10, 0, 111.
#
# **Predict first:** eight symbols, all equally frequent. What does Huffman's code save, against plain
# numbers of 3 bits?

# %%
check.predict(
    "what Huffman saves on eight equally frequent symbols", "", "nothing", "a third", "half"
)

# %% [markdown]
# ### Exercise 3 · Huffman's code — 1.75 points, 35 minutes, ●●●
# Words and bits are strings of `"0"` and `"1"`: easy to look at. Symbols are 0, 1, 2 and so on.
#
# <details><summary>Hint 1</summary>Keep a list of (count, symbols in it). Putting two together puts one
# bit in front of the words of all symbols in them.</details>
#
# <details><summary>Hint 2</summary><code>heapq</code> hands out the smallest first. Two members with
# equal counts are compared by what stands next in the tuple: a number there, different for each, avoids
# surprises.</details>
#
# <details><summary>Hint 3</summary>For reading, turn the table round: a dictionary from word to
# symbol.</details>


# %% nbgrader={"grade_id": "huffman_code", "solution": true}
def huffman(counts: Sequence[int]) -> list[str]:
    """A word for each symbol, of a prefix code with the least total length.

    counts: (S,) how often each symbol comes, 0 or more. A symbol that never comes has no word, "".
    If only one comes, its word has one bit.
    >>> [len(word) for word in huffman([5, 2, 1, 1, 0])]
    [1, 2, 3, 3, 0]
    """
    ### BEGIN SOLUTION
    words = [""] * len(counts)
    heap = [(count, symbol, [symbol]) for symbol, count in enumerate(counts) if count]
    if len(heap) == 1:
        words[heap[0][1]] = "0"
    heapq.heapify(heap)
    while len(heap) > 1:
        (count, first, members), (more, _, others) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in members:
            words[symbol] = "0" + words[symbol]
        for symbol in others:
            words[symbol] = "1" + words[symbol]
        heapq.heappush(heap, (count + more, first, members + others))
    return words
    ### END SOLUTION


# %% nbgrader={"grade_id": "huffman_coded", "solution": true}
def encode(symbols: Sequence[int], words: Sequence[str]) -> str:
    """The bits of the symbols, one word after another. ValueError for a symbol without a word.

    >>> encode([0, 1, 0, 3], ["0", "10", "110", "111", ""])
    '0100111'
    """
    ### BEGIN SOLUTION
    if any(not words[symbol] for symbol in symbols):
        raise ValueError("a symbol has no word")
    return "".join(words[symbol] for symbol in symbols)
    ### END SOLUTION


def decode(bits: str, words: Sequence[str]) -> list[int]:
    """The symbols that the bits say: what `encode` began with. ValueError if the last word is cut
    short.

    >>> decode("0100111", ["0", "10", "110", "111", ""])
    [0, 1, 0, 3]
    """
    ### BEGIN SOLUTION
    symbol_of = {word: symbol for symbol, word in enumerate(words) if word}
    symbols, word = [], ""
    for bit in bits:
        word += bit
        if word in symbol_of:
            symbols.append(symbol_of[word])
            word = ""
    if word:
        raise ValueError(f"the bits end in the middle of a word: {word}")
    return symbols
    ### END SOLUTION


# %% nbgrader={"grade_id": "huffman", "grade": true, "points": 1.75}
check("huffman")

# %%
with check.needs("huffman"):
    equal = sum(map(len, huffman([1] * 8))) / 8
    answer = "nothing" if equal == 3 else "a third" if equal == 2 else "half"
    check.measured("what Huffman saves on eight equally frequent symbols", answer)

# %%
with check.needs("huffman", "share_weights"):
    codes = shared(4)[0].codes
    counts = np.bincount(codes[codes > 0], minlength=16)
    lengths = [len(word) for word in huffman(counts.tolist())]
    p = counts[counts > 0] / counts.sum()
    fig = figures.words(counts, lengths)
    plots.show(
        fig,
        alt="Counts of 15 codes and the lengths of their words: frequent ones have short words.",
    )
    mean = (counts * lengths).sum() / counts.sum()
    print(f"a plain code: 4 bits; your words: {mean:.3f}; entropy: {-(p * np.log2(p)).sum():.3f}")

# %% [markdown]
# *Above, how often each code comes; below, how long its word is.* The **entropy**,
# $-\sum p \log_2 p$ over the shares $p$, is what no code can beat. Yours is close above it: a word has
# a whole number of bits.

# %% [markdown]
# ## 5 · A file, to the last bit
# Where are the weights that were kept? An **entry** is a code and its **gap**: how many zeros lie
# between it and the entry before, reading the matrix row by row. The first entry's gap counts the zeros
# before it. Gaps are small numbers, of $g$ bits: 0 to $2^g - 1$.
#
# If more zeros than that lie in between, a **filler** is stored: an entry with the largest gap and
# the code 0. It stands on a zero itself. What comes after the last entry needs no entry: the shape
# tells how many zeros follow.

# %% [markdown]
# The codes 5 0 0 3 0 0 0 0 0 0 2 0, with gaps of 2 bits, have the entries (gap, code) (0, 5), (2, 3),
# (3, 0), (2, 2). The third is a filler.

# %% [markdown]
# The file is one stream of bits, filled up with zeros to a whole byte. The length of each word stands
# in it, not the word: writer and reader make the same words from the lengths (*canonical* codes, as in
# ZIP files and PNGs). `utils/compressed.py` writes and reads it, with your functions.

# %% [markdown]
# | | bits |
# |---|---|
# | once: how many layers | 8 |
# | a layer: O, I, b, g, bits of all gaps' words, of all codes' words | 16 + 16 + 4 + 4 + 32 + 32 |
# | its codebook of $2^b$ numbers, but for the first, which is 0 | 32 each |
# | the length of the word of each of the $2^g$ gaps and $2^b$ codes | 5 each |
# | the entries: gaps in one Huffman code, codes in another, fillers included | |
# | its biases | 32 each |

# %% [markdown]
# ### Exercise 4 · Every bit counted — 1.5 points, 35 minutes, ●●●
# First the entries, then the size of the file, without writing it. Use your `huffman`.
#
# <details><summary>Hint 1</summary>Keep the place of the last entry. A filler is an entry, and moves
# that place on.</details>
#
# <details><summary>Hint 2</summary>With gaps of 2 bits a filler passes three zeros and stands on a
# fourth.</details>
#
# <details><summary>Hint 3</summary>What the words take: for each symbol, how often it comes times how
# long its word is.</details>


# %% nbgrader={"grade_id": "compressed_bits_code", "solution": true}
def entries(codes: Integers, gap_bits: int) -> tuple[list[int], list[int]]:
    """The gaps and the codes of what is stored of a layer, fillers included, as two lists of int.

    codes: (O, I), 0 for pruned; gap_bits: g, 1 or more.
    >>> entries(np.array([[5, 0, 0, 3, 0, 0], [0, 0, 0, 0, 2, 0]]), gap_bits=2)
    ([0, 2, 3, 2], [5, 3, 0, 2])
    """
    ### BEGIN SOLUTION
    gaps, stored, last = [], [], -1
    flat = codes.ravel().tolist()
    for place in np.flatnonzero(codes).tolist():
        gap = place - last - 1
        while gap >= 2**gap_bits:
            gaps.append(2**gap_bits - 1)
            stored.append(0)
            gap -= 2**gap_bits
        gaps.append(gap)
        stored.append(flat[place])
        last = place
    return gaps, stored
    ### END SOLUTION


# %% nbgrader={"grade_id": "compressed_bits_size", "solution": true}
def compressed_bits(layers: Sequence[tuple[Integers, Array, Array]], gap_bits: int) -> int:
    """The size of the file in bits, as in the table above: a multiple of 8.

    layers: for each (codes, codebook, bias), (O, I) int64, (2 ** b,) and (O,); b may differ.
    """
    ### BEGIN SOLUTION
    bits = 8
    for codes, codebook, bias in layers:
        bits += 16 + 16 + 4 + 4 + 32 + 32
        bits += 32 * (len(codebook) - 1) + 32 * len(bias)
        gaps, stored = entries(codes, gap_bits)
        for symbols, kinds in ((gaps, 2**gap_bits), (stored, len(codebook))):
            counts = np.bincount(np.array(symbols, np.int64), minlength=kinds).tolist()
            words = huffman(counts)
            bits += 5 * kinds
            bits += sum(count * len(word) for count, word in zip(counts, words, strict=True))
    return -(-bits // 8) * 8
    ### END SOLUTION


# %% nbgrader={"grade_id": "compressed_bits", "grade": true, "points": 1.5}
check("compressed_bits")

# %%
# Your layers, or values at equal distances where exercise 2 is not done.
pairs = [(one.weight.detach().numpy(), one.bias.detach().numpy()) for one in linear_layers(pruned)]
final = tuned or [compressed.rounded(weights, bias, bits=4) for weights, bias in pairs]

# %%
with check.needs("compressed_bits", "huffman"):
    fig = figures.pieces(final, range(2, 9), entries, huffman)
    plots.show(
        fig, alt="Stacked bars of the file's pieces for gaps of 2 to 8 bits: falling, then flat."
    )
    by_gap = {g: compressed_bits(final, g) // 8 for g in range(2, 9)}
    gap_bits = min(by_gap, key=lambda g: by_gap[g])
    print(f"smallest with gaps of {gap_bits} bits: {by_gap[gap_bits]:,} bytes by your count")

# %% [markdown]
# *The file's bytes by what they are for, over the bits of a gap.* With few bits most entries are
# fillers. With many, Huffman's code gives short words to the gaps that come often, and only the table
# grows.
#
# Now the file is written, its size is asked of the file system, and it is read back and run. The
# network that runs is made of what was in the file and nothing else. The target: 35 times smaller on
# MNIST, 25 times on scikit-learn's digits, and at most 0.01 less accuracy than the control. (A negative loss
# is a gain.)

# %% tags=["headline"]
with check.needs("prune", "share_weights", "huffman", "compressed_bits"):
    if not (tuned and pruned_by_you):
        raise NotImplementedError
    file, own = folder / "compressed", {"entries": entries, "huffman": huffman, "encode": encode}
    written = compressed.write(file, final, gap_bits, **own)
    again = with_layers(compressed.read(file, decode=decode))
    right = accuracy(again)
    name, target = ("LeNet-300-100 on MNIST", 35) if is_mnist else ("64-300-100-10", 25)
    print(f"your count {compressed_bits(final, gap_bits) // 8:,} bytes, the file {written:,} bytes")
    print(
        f"read back: {right:.2%} right; dense {dense_accuracy:.2%}, trained as long {control:.2%}"
    )
    print(
        f"{name}: {dense_bytes / written:.1f} times smaller (target {target}), accuracy lost"
        f" {control - right:+.4f} (target 0.01 at most)"
    )

# %%
with check.needs("prune", "share_weights", "huffman", "compressed_bits"):
    if not (tuned and pruned_by_you):
        raise NotImplementedError
    kept = [int((layer.codes != 0).sum()) for layer in final]
    steps = {
        "as trained": (dense_bytes, dense_accuracy),
        "pruned: entries of 32 + 8 bits": (sum(kept) * 5 + 4 * 410, pruned_accuracy),
        "and shared: 4 + 8 bits": (sum(kept) * 12 // 8 + 4 * (410 + 45), right),
        "and Huffman: the file": (written, right),
    }
    fig = figures.staircase(steps)
    plots.show(
        fig, alt="Bars of bytes on a log axis: each step is shorter; accuracy stands beside each."
    )

# %% [markdown]
# *Bytes after each step, on a logarithmic axis; beside each bar how many times smaller, and the
# accuracy. The two in the middle are counted, the others are files.* Pruning and sharing do most of
# it. Huffman's code adds the rest, without any loss: it writes the same numbers shorter.
#
# Han, Mao and Dally (2016) report 40 times for LeNet-300-100, from 1,070 to 27 kB, with no loss.

# %% [markdown]
# ## 6 · One layer for two
# From here on: time. A small file does not yet run faster: the pruned matrix is multiplied like any
# other. What costs time is often not arithmetic but reading and writing numbers.
#
# After training, **batch normalisation** is a fixed line for each channel, with what it learnt and
# noted in training (its mean $\mu$ and variance $\sigma^2$ no longer change):
#
# $$z = \gamma\,\frac{y - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$$
#
# The convolution before it, $y = w * x + b$, is linear, too. A line after a line is a line.

# %%
channels, side = 32, 28
map_ = channels * side * side  # numbers in one layer's output, for one image
weights = channels * channels * 9
moved = {
    "all three apart": {"convolution": 2 * map_ + weights, "norm": 2 * map_, "ReLU": 2 * map_},
    "norm folded": {"convolution": 2 * map_ + weights, "ReLU": 2 * map_},
    "all in one kernel": {"convolution": 2 * map_ + weights},
}
fig = figures.traffic(moved)
plots.show(fig, alt="Stacked bars of numbers read and written: each fusion takes one pass away.")

# %% [markdown]
# *Numbers read and written for one image of 32 maps of 28×28, one layer.* Each operation reads its
# whole input from memory and writes its whole output. Norm and ReLU do next to no arithmetic, and yet
# move as much as the convolution: **fusion**, doing several operations in one go, saves the passes in
# between.
#
# **Predict first:** what part of the *time* does folding the norm save on this machine?

# %%
check.predict(
    "what part of the time folding saves here",
    "",
    "under a tenth",
    "a tenth to a half",
    "over half",
)

# %% [markdown]
# ### Exercise 5 · Folding — 1 point, 20 minutes, ●●○
# Which convolution, alone, does what convolution and norm do together? PyTorch's own fusing functions
# are not to be used.
#
# <details><summary>Hint 1</summary>Put $y = w * x + b$ into the formula and multiply out. What stands
# with $x$, and what stands alone?</details>
#
# <details><summary>Hint 2</summary>The factor is one number an output channel, and
# <code>conv.weight</code> is (K, C/groups, R, S).</details>
#
# <details><summary>Hint 3</summary><code>copy.deepcopy(conv)</code> has all its options already; a
# module's parameter may be replaced by a new <code>nn.Parameter</code>.</details>


# %% nbgrader={"grade_id": "fold_batch_norm_code", "solution": true}
def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A new convolution with a bias that does what `conv` and then `norm` do in evaluation.

    conv: with or without bias, any stride, padding, dilation and groups; norm: in evaluation mode,
    of conv's output channels, with γ (`weight`), β (`bias`), `running_mean`, `running_var`, `eps`.
    Both are left as they were. ValueError if norm is in training mode: there it uses the batch's own
    mean and variance, which no fixed layer knows.
    """
    ### BEGIN SOLUTION
    if norm.training:
        raise ValueError("norm is in training mode: call .eval() first")
    folded = copy.deepcopy(conv)
    with torch.no_grad():
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = torch.zeros_like(norm.running_mean) if conv.bias is None else conv.bias
        folded.weight = nn.Parameter(conv.weight * factor[:, None, None, None])
        folded.bias = nn.Parameter((bias - norm.running_mean) * factor + norm.bias)
    return folded
    ### END SOLUTION


# %% nbgrader={"grade_id": "fold_batch_norm", "grade": true, "points": 1}
check("fold_batch_norm")


# %%
def milliseconds(*runs: Callable[[], object], repeats: int = sizes.repeats) -> list[float]:
    """The time of each call, the shortest of many: what disturbs a measurement makes it longer.

    The calls take turns, so that a busy moment of the machine is shared.
    """
    taken: list[list[float]] = [[] for _ in runs]
    with torch.inference_mode():
        for _ in range(repeats):
            for run, times in zip(runs, taken, strict=True):
                start = time.perf_counter()
                run()
                times.append(1000 * (time.perf_counter() - start))
    return [min(times) for times in taken]


# %%
def blocks() -> list[nn.Module]:
    """Six times convolution, norm, ReLU, on 32 channels, as after some training."""
    layers: list[nn.Module] = []
    for _ in range(6):
        norm = nn.BatchNorm2d(32)
        nn.init.uniform_(norm.running_mean, -0.1, 0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        layers += [nn.Conv2d(32, 32, 3, padding=1, bias=False), norm, nn.ReLU()]
    return layers


# %%
torch.manual_seed(0)
apart = nn.Sequential(*blocks()).eval()
image = torch.randn(16, 32, 28, 28)
parts: list[nn.Module] = list(apart)
with check.needs("fold_batch_norm"):
    folded: list[nn.Module] = []
    for conv, norm, relu in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        folded += [fold_batch_norm(conv, norm), relu]
    fused = nn.Sequential(*folded).eval()
    with torch.inference_mode():
        print(f"largest difference of an output: {(fused(image) - apart(image)).abs().max():.0e}")

# %%
with check.needs("fold_batch_norm"):
    fold_batch_norm(parts[0], parts[1])  # stops here while it is undone
    saved = []
    for n in (1, 16):
        both = milliseconds(lambda n=n: apart(image[:n]), lambda n=n: fused(image[:n]))
        saved.append(1 - both[1] / both[0])
        print(
            f"batch {n:>2}: apart {both[0]:6.2f} ms, folded {both[1]:6.2f} ms, saved {saved[-1]:.0%}"
        )
    more = "a tenth to a half" if saved[1] < 0.5 else "over half"
    answer = "under a tenth" if saved[1] < 0.1 else more
    check.measured("what part of the time folding saves here", answer)

# %% [markdown]
# On a CPU the convolution itself takes most of the time, and a map of 28×28 may stay in the cache, so
# less is saved than the count of numbers says. On a GPU arithmetic is cheap and starting a kernel is
# not. NVIDIA's GIE (2016, later TensorRT) fuses convolution, bias and ReLU, and layers with the same
# input side by side. Caffe, an older library, does not. A network of convolutions, GoogLeNet, on a GPU,
# Tesla M4, in milliseconds a batch:
#
# | batch | Caffe | GIE |
# |---|---|---|
# | 1 | 15 | 3.7 |
# | 16 | 67 | 39 |
#
# Section 8 reads more out of these four numbers.

# %% [markdown]
# ## 7 · Eight bits are enough to compute
# Sharing made weights small on disk. To *compute* with small numbers they have to lie on a regular
# grid. **Quantization** maps a real $x$ to a whole number $q$ of 8 bits, −128 to 127:
#
# $$x \approx s\,(q - z)$$
#
# The **scale** $s$ is the distance from one grid point to the next; the **zero point** $z$ is the $q$
# that stands for 0. Because $z$ is a whole number, 0 is represented exactly: padding, pruned weights
# and what ReLU cut off stay 0.

# %% [markdown]
# The range from the lowest to the highest value, widened where it has to be so that 0 is in it, is
# spread over all 256 numbers: its ends at −128 and 127. That gives $s$ and, rounded, $z$.
#
# What lies outside the range later **saturates**: it becomes −128 or 127. It must not wrap round, as
# integers of a fixed size do:

# %%
print("130 and -129 as int8, wrapped:", np.array([130, -129]).astype(np.int8).tolist())

# %% [markdown]
# **By hand:** values lie between −1 and 4.1. To which number is $x = 0$ mapped? Put it into
# `zero_by_hand`.
#
# ### Exercise 6 · Quantize — 1 point, 25 minutes, ●●○
# For a whole array (`per_row=False`), or for each row by itself: a row of a weight matrix belongs to
# one output, one **channel**.
#
# <details><summary>Hint 1</summary>256 numbers have 255 steps between them.</details>
#
# <details><summary>Hint 2</summary>Solve $\text{lowest} = s\,(-128 - z)$ for $z$, then round
# it.</details>
#
# <details><summary>Hint 3</summary>Round and limit while the numbers are still floats or wide
# integers; make them int8 last.</details>


# %% nbgrader={"grade_id": "quantize_by_hand", "solution": true}
zero_by_hand = None  # a whole number
### BEGIN SOLUTION
zero_by_hand = -78  # s = 0.02, and −1 / 0.02 = −50 lies at −128
### END SOLUTION


# %% nbgrader={"grade_id": "quantize_code", "solution": true}
def calibrate(x: Array, per_row: bool = False) -> tuple[Array, Integers]:
    """Scale and zero point (s, z) for the values in x.

    x: (N, I). per_row=False: s and z are arrays of shape (1, 1), for all of x; True: (N, 1), for each
    row. z is int64. Where all values are 0, s is 1 and z is 0.
    >>> s, z = calibrate(np.array([[0.0, 1.0], [2.0, 5.1]]))
    >>> s.round(4), z
    (array([[0.02]]), array([[-128]]))
    """
    ### BEGIN SOLUTION
    axis = 1 if per_row else None
    low = np.minimum(x.min(axis=axis, keepdims=True), 0)
    high = np.maximum(x.max(axis=axis, keepdims=True), 0)
    none = low == high
    s = np.where(none, 1, (high - low) / 255)
    z = np.where(none, 0, np.round(-128 - low / s))
    return s, z.astype(np.int64)
    ### END SOLUTION


# %% nbgrader={"grade_id": "quantize_numbers", "solution": true}
def quantize(x: Array, s: Array, z: Integers) -> NDArray[np.int8]:
    """x (N, I) as int8 (N, I): the nearest number of the grid; what lies outside saturates.

    >>> quantize(np.array([[0.0, 0.1, 9.9]]), np.array([[0.02]]), np.array([[-128]]))
    array([[-128, -123,  127]], dtype=int8)
    """
    ### BEGIN SOLUTION
    return np.clip(np.round(x / s) + z, -128, 127).astype(np.int8)
    ### END SOLUTION


# %% nbgrader={"grade_id": "quantize", "grade": true, "points": 1}
check("quantize")

# %%
with check.needs("quantize"):
    w = linear_layers(network)[0].weight.detach().numpy()
    errors = {}
    for name, per_row in (("one scale", False), ("a scale for each row", True)):
        s, z = calibrate(w, per_row)
        errors[name] = abs(s * (quantize(w, s, z) - z) - w) / calibrate(w)[0]
        print(
            f"{name}: mean error {errors[name].mean():.3f}, largest {errors[name].max():.3f} steps"
        )
    fig = figures.rounding_errors(errors)
    plots.show(
        fig, alt="Two histograms of errors: one scale fills 0 to a half step, scales by row less."
    )

# %% [markdown]
# *How far each weight of the first layer was moved, in steps of the one scale.* The error is at most half a
# step, everywhere. With a scale for each row a row of small weights has a finer grid.

# %% [markdown]
# ### Exercise 7 · A layer in integers — 1 point, 25 minutes, ●●●
# Put $x \approx s_x (q_x - z_x)$ and $w \approx s_w (q_w - z_w)$ into $y = x w^\top + b$. The sum over
# the inputs has only whole numbers in it, the scales stand in front: hardware with 8-bit units does
# the sum, and one multiplication an output does the rest.
#
# A product of two such numbers needs 16 bits, and a sum of many more: it is **accumulated** in int32.
#
# <details><summary>Hint 1</summary>Which type has <code>a - b</code> if both are int8? What is
# 127 − (−128) there?</details>
#
# <details><summary>Hint 2</summary>The weights' scales are (O, 1) or (1, 1), and y is (N, O).</details>


# %% nbgrader={"grade_id": "quantized_linear_code", "solution": true}
def accumulate(
    q_x: NDArray[np.int8], z_x: Integers, q_w: NDArray[np.int8], z_w: Integers
) -> NDArray[np.int32]:
    """The sums of (q_x − z_x)(q_w − z_w) over the inputs: (N, O) int32, exact.

    q_x: (N, I) int8; z_x: (1, 1) int64; q_w: (O, I) int8; z_w: (O, 1) or (1, 1) int64.
    """
    ### BEGIN SOLUTION
    x = q_x.astype(np.int32) - z_x.astype(np.int32)
    w = q_w.astype(np.int32) - z_w.astype(np.int32)
    return x @ w.T
    ### END SOLUTION


# %% nbgrader={"grade_id": "quantized_linear_layer", "solution": true}
def quantized_linear(
    x: Array, s_x: Array, z_x: Integers, q_w: NDArray[np.int8], s_w: Array, z_w: Integers, b: Array
) -> Array:
    """y ≈ x wᵀ + b, (N, O), with the sums in integers.

    x: (N, I), as it comes, quantized here with s_x and z_x, (1, 1); q_w: (O, I) int8 with s_w and z_w,
    (O, 1) or (1, 1); b: (O,).
    """
    ### BEGIN SOLUTION
    return s_x * s_w.T * accumulate(quantize(x, s_x, z_x), z_x, q_w, z_w) + b
    ### END SOLUTION


# %% nbgrader={"grade_id": "quantized_linear", "grade": true, "points": 1}
check("quantized_linear")


# %%
def integer_accuracy(per_row: bool) -> float:
    """The network's, in 8-bit integers, on 1,000 test images; ranges of x from training images."""
    seen, x = train_x[:1000].numpy(), test_x[:1000].numpy()
    for at, one in enumerate(linear_layers(network)):
        w, b = one.weight.detach().numpy(), one.bias.detach().numpy()
        s_w, z_w = calibrate(w, per_row)
        s_x, z_x = calibrate(seen)
        x = quantized_linear(x, s_x, z_x, quantize(w, s_w, z_w), s_w, z_w, b)
        seen = seen @ w.T + b
        if at < 2:
            x, seen = np.maximum(x, 0), np.maximum(seen, 0)
    return float((x.argmax(axis=1) == test_y[: len(x)].numpy()).mean())


with check.needs("quantize", "quantized_linear"):
    on_some = training.evaluate(network, test_x[:1000], test_y[:1000]).accuracy
    print(f"float32         : {on_some:.2%} right")
    for per_row in (False, True):
        print(
            f"int8, {'a scale a row' if per_row else 'one scale    '}: {integer_accuracy(per_row):.2%}"
        )

# %% [markdown]
# A quarter of the bytes, nothing retrained. Is it faster, too?
#
# **Predict first:** on this machine's CPU, which of these multiplies two matrices fastest: float32,
# bfloat16 or float16 (**half precision**, 16 bits), or your integers in NumPy?

# %%
check.predict(
    "what multiplies fastest on this CPU", "", "float32", "bfloat16", "float16", "int8 in int32"
)

# %%
a, b = torch.randn(128, 512), torch.randn(512, 512)
halves = [(a.to(dtype), b.to(dtype)) for dtype in (torch.float32, torch.bfloat16, torch.float16)]
ints = [np.random.default_rng(0).integers(-128, 128, one.shape).astype(np.int32) for one in (a, b)]
several = milliseconds(
    *(lambda x=x, y=y: x @ y.T for x, y in halves), lambda: ints[0] @ ints[1].T, repeats=5
)
times = dict(zip(("float32", "bfloat16", "float16", "int8 in int32"), several, strict=True))
fig = figures.times(times, "float32")
plots.show(fig, alt="Bars of the time of one product, in four types of number.")
print(f"this CPU, as PyTorch sees it: {torch.backends.cpu.get_cpu_capability()}")
check.measured("what multiplies fastest on this CPU", min(times, key=lambda name: times[name]))

# %% [markdown]
# *The time of one product, 128×512 by 512×512.* Fewer bits are faster only where the hardware has units
# for them: a GPU's tensor cores, a CPU's AMX, AVX512-VNNI or AVX512-BF16 (AVX2 has none). Without them
# half precision is unpacked to float32 and packed again. NumPy's product of integers is a plain loop
# without a tuned library behind it: right, and slow.
#
# What is saved everywhere is memory. Where a layer waits for its weights to arrive from there, half the
# bytes are half the wait.

# %%
if torch.cuda.is_available():
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x, y = (torch.randn(4096, 4096, device="cuda", dtype=dtype) for _ in range(2))

        def product(x: Tensor = x, y: Tensor = y) -> None:
            x @ y
            torch.cuda.synchronize()

        print(f"{dtype} on {torch.cuda.get_device_name()}: {milliseconds(product)[0]:.2f} ms")
else:
    print("No GPU here: where there is one, this cell times half precision on it.")

# %% [markdown]
# ## 8 · How many at once?
# Whoever asks a network waits for the whole batch. The **latency** of a batch of $n$ is close to a line:
#
# $$t(n) \approx \text{fixed} + n \cdot \text{each}$$
#
# *fixed* is paid for any batch: starting operations, reading the weights. *each* is paid for every
# image. A large batch shares the fixed part among many, so more images a second come out; and all of
# them wait longer. So a service sets a limit to the latency, and takes the largest batch within it.

# %% [markdown]
# ### Exercise 8 · The batch for a limit — 1 point, 20 minutes, ●●○
# The line is the one with the least squared error over all measurements (NumPy's and SciPy's fitting
# functions are not to be used). Then read section 6's table the same way, by hand, with the line
# through its two batches:
#
# - `caffe_fixed`: Caffe's fixed part, in ms, to one digit after the point.
# - `what_went`: of which part did GIE remove the larger share? `"a"` the fixed part, most of it; `"b"` each
#   image's, most of it; `"c"` both, by the same share; `"d"` neither, to speak of.

# %% [markdown]
# <details><summary>Hint 1</summary>The slope is the covariance of batch and time over the variance of the
# batch; the line goes through the two means.</details>
#
# <details><summary>Hint 2</summary>A batch is a whole number, and one too many breaks the
# limit.</details>
#
# <details><summary>Hint 3</summary>From batch 1 to batch 16 there are 15 more images.</details>


# %% nbgrader={"grade_id": "choose_batch_by_hand", "solution": true}
caffe_fixed = None  # ms
what_went = None  # "a", "b", "c" or "d"
### BEGIN SOLUTION
caffe_fixed = 11.5  # 15 − 52 / 15; GIE's is 1.3
what_went = "a"
### END SOLUTION


# %% nbgrader={"grade_id": "choose_batch_code", "solution": true}
def latency_line(n: Array, t: Array) -> tuple[float, float]:
    """(fixed, each) of the line through measurements with the least squared error.

    n: (M,) batch sizes, not all equal; t: (M,) latencies, in ms.
    >>> latency_line(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 9.0]))
    (1.0, 2.0)
    """
    ### BEGIN SOLUTION
    away = n - n.mean()
    each = (away * t).sum() / (away * away).sum()
    return float(t.mean() - each * n.mean()), float(each)
    ### END SOLUTION


# %% nbgrader={"grade_id": "choose_batch_limit", "solution": true}
def choose_batch(fixed: float, each: float, limit: float) -> int:
    """The largest batch whose latency on the line is at most `limit`, an int; 0 if there is none.

    fixed: 0 or more; each: above 0; limit: above 0; all in ms.
    >>> choose_batch(1.0, 2.0, limit=8.0)
    3
    """
    ### BEGIN SOLUTION
    return max(0, int((limit - fixed) // each))
    ### END SOLUTION


# %% nbgrader={"grade_id": "choose_batch", "grade": true, "points": 1}
check("choose_batch")

# %%
measured = np.array([1, 2, 4, 8, 12, 16])
own = np.array(milliseconds(*(lambda n=n: apart(image[:n]) for n in measured)))
with check.needs("choose_batch"):
    fixed, each = latency_line(measured.astype(float), own)
    limit = fixed + 10.5 * each
    batch = choose_batch(fixed, each, limit)
    fig = figures.latency(measured, own, fixed, each, limit, batch)
    plots.show(fig, alt="Measured latencies, your line through them, and the batch at the limit.")
    print(f"here: fixed {fixed:.2f} ms, each {each:.2f} ms; within {limit:.1f} ms: {batch} images")
    for name, two in (("Caffe", [15.0, 67.0]), ("GIE", [3.7, 39.0])):
        fixed, each = latency_line(np.array([1.0, 16.0]), np.array(two))
        print(f"{name:5} fixed {fixed:5.2f} ms, each {each:.2f} ms, within 20 ms:"
              f" {choose_batch(fixed, each, 20.0)} images")  # fmt: skip

# %% [markdown]
# *Your measurements, your line, and the largest batch below the limit.* On a CPU the fixed part is small:
# there are few operations, and starting one is cheap. (It may even come out below 0, where large batches
# no longer fit into the cache: the line is a model.) On the M4 of 2016, Caffe started a kernel
# for each small operation of GoogLeNet. GIE took away most of the fixed part by starting fewer, and
# a third of each image's, by reading and writing less.
#
# With batch 1 a user waits least, and the GPU idles most. That is why fusion mattered most there.

# %% [markdown]
# ## 9 · Experiments
# Nothing here is graded.
#
# - Other `rounds` of pruning: how far can it go? All at once instead of in three?
# - Codes of 3 bits or of 6 in `final`. Which file is smallest at an accuracy lost of 0.01 or less?
# - Biases are a quarter of the file on scikit-learn's digits, 7 % on MNIST. What if they were float16?
# - Set one weight of a layer to 50 and quantize it, with one scale and with one a row. What is lost?
# - `scale = "cpu"`: more training, between the rounds, too.

# %%
with check.needs("quantize", "quantized_linear"):
    first_layer = linear_layers(network)[0]
    kept_weight = first_layer.weight[0, 0].item()
    for value in (kept_weight, 50.0, 500.0):
        first_layer.weight.data[0, 0] = value  # a corner of the image, where there is no ink
        both = [integer_accuracy(per_row) for per_row in (False, True)]
        print(f"one weight {value:6.2f}: one scale {both[0]:.2%}, a scale a row {both[1]:.2%}")
    first_layer.weight.data[0, 0] = kept_weight

# %% [markdown]
# One outlier stretches the scale of all. With a scale for each row it spoils its own row only.
#
# ## 10 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `prune` | `torch.nn.utils.prune.l1_unstructured` |
# | `share_weights` | k-means, `sklearn.cluster.KMeans`; *palettization* in Core ML's tools |
# | `huffman`, `encode`, `decode` | the last step of DEFLATE: `zlib`, PNG, ZIP |
# | `entries` | a sparse format: compressed rows (CSR) with relative indices |
# | `fold_batch_norm` | `torch.nn.utils.fusion.fuse_conv_bn_eval` |
# | `calibrate`, `quantize` | `torch.quantize_per_tensor`, `…_per_channel` |
# | `quantized_linear` | QNNPACK, oneDNN, cuBLAS with int8 |
#
# TensorRT, ONNX Runtime and `torch.compile` fuse, fold and choose kernels for you, on their own.

# %%
with check.needs("prune", "fold_batch_norm"):
    layer = nn.Linear(64, 32)
    mine = torch.from_numpy(prune(layer.weight.detach().numpy(), 0.75))
    torch_prune.l1_unstructured(layer, "weight", 0.75)
    print(f"masks: {(mine == layer.weight_mask.bool()).float().mean():.0%} equal")
    theirs = torch.nn.utils.fusion.fuse_conv_bn_eval(parts[0], parts[1])
    difference = (theirs.bias - fold_batch_norm(parts[0], parts[1]).bias).abs().max().item()
    print(f"folded biases: largest difference {difference:.0e}")

# %% [markdown]
# ## 11 · Further
# - Han, Pool, Tran, Dally (2015), *Learning both weights and connections for efficient neural networks*,
#   [arXiv:1506.02626](https://arxiv.org/abs/1506.02626): LeNet-300-100 with 12 times fewer weights, no
#   loss. Compare with your rounds.
# - Han, Mao, Dally (2016), *Deep compression: compressing deep neural networks with pruning, trained
#   quantization and Huffman coding*, [arXiv:1510.00149](https://arxiv.org/abs/1510.00149): 35 to 49
#   times smaller without loss of accuracy; 40 for LeNet-300-100.
# - Huffman (1952), *A method for the construction of minimum-redundancy codes*, Proceedings of the IRE
#   40, [10.1109/JRPROC.1952.273898](https://doi.org/10.1109/JRPROC.1952.273898).

# %% [markdown]
# - Jacob and others (2018), *Quantization and training of neural networks for efficient
#   integer-arithmetic-only inference*, [arXiv:1712.05877](https://arxiv.org/abs/1712.05877): scale, zero
#   point, int32 sums.
# - Gray, Gottbrath, Olson, Prasanna (2016), *Production deep learning with NVIDIA GPU Inference Engine*,
#   [NVIDIA's blog](https://devblogs.nvidia.com/production-deep-learning-nvidia-gpu-inference-engine/):
#   section 6's table.
# - Ioffe, Szegedy (2015), *Batch normalization*, [arXiv:1502.03167](https://arxiv.org/abs/1502.03167):
#   already says that in inference it is a fixed line.
#
# **Next:** lab 09 writes text, one character at a time.

# %%
progress()
