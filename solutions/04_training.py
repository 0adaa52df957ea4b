# %% [markdown]
# # 04 · Training
# You have a network and its gradients. What is missing is the craft: which data to show it, how long,
# how fast, and how to tell whether it has learnt. In 2015 NVIDIA's DIGITS put that craft into a web
# page: browse the data, watch the loss fall while the network trains, try learning rates side by side.
# You build the same in a notebook.
#
# The first picture below moves: it is drawn while a network trains.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import copy
import itertools
import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# %%
from grading.check import checks, progress
from utils import plots, settings, training
from utils.data import digits
from utils.device import best_device
from utils.figures import training as figures

check = checks("04_training")
sizes = settings.choose(
    scale,
    smoke={"images": 6_000, "epochs": 12, "sweep_images": 2_000, "batches": (8, 32, 128)},
    cpu={"images": 24_000, "epochs": 20, "sweep_images": 4_000, "batches": (8, 32, 128, 512)},
    gpu={"images": 60_000, "epochs": 30, "sweep_images": 10_000, "batches": (8, 32, 128, 512)},
)

# %%
data = digits.load()
is_mnist = data.name == "MNIST"
device = best_device() if sizes.scale == "gpu" else torch.device("cpu")
pool_X = torch.tensor(data.train_x[: sizes.images], device=device)  # (N, H, W) float32, 0 to 1
pool_y = torch.tensor(data.train_y[: sizes.images], device=device)  # (N,) int64, 0 to 9
test_X, test_y = (torch.tensor(a, device=device) for a in (data.test_x, data.test_y))


def make_model(seed: int, hidden: int = 128, dropout: float = 0.0) -> nn.Sequential:
    """The network of lab 02, in PyTorch: images (N, H, W) to scores (N, 10)."""
    torch.manual_seed(seed)
    inputs, drop = pool_X[0].numel(), nn.Dropout(dropout)
    layers = nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), drop, nn.Linear(hidden, 10)
    return nn.Sequential(*layers).to(device)


print(f"{len(pool_X):,} images to learn from, on {device}.")

# %%
opening_model = make_model(seed=0)
optimizer = torch.optim.SGD(opening_model.parameters(), lr=0.2)
first, second = (pool_X[:1000], pool_y[:1000]), (pool_X[1000:1400], pool_y[1000:1400])
live = training.Live("A network that trains on 1,000 images")
look = {"epochs": 25, "batch_size": 32, "called": "other images", "live": live}
history = training.fit(opening_model, optimizer, first, second, **look)

# %% [markdown]
# Each grey dot is the loss of one batch, in **nats**: the cross-entropy of lab 02, with the natural
# logarithm. On the images that it trains on, the network comes close to perfect. On images that it has
# not seen, the loss soon stops falling, and the accuracy stops rising. This lab is about that gap.

# %% [markdown]
# **You will** split data without leaks; write the training and the evaluation loop, and find what makes
# them silently wrong; read loss curves; stop in time; shape the learning rate over a run; and search
# learning rate × batch size with a queue that survives an interrupt.
#
# **Not in this lab:** better networks (05, 06) and several GPUs (12).
#
# **You need** lab 03, or PyTorch; from lab 02 the cross-entropy and batches. 155 minutes. A CPU is
# enough: all cells together compute for about half a minute at scale `smoke`, a few minutes at `cpu`.

# %% [markdown]
# ## From your engine to PyTorch
# In lab 03 a network was a function of some tensors. In PyTorch it is an object, an `nn.Module`, that
# owns its tensors:
#
# | lab 03 | PyTorch |
# |---|---|
# | `W`, `b` and a function | a **module**: an object with `forward`, called as `model(X)` |
# | a list of what is trained | `model.parameters()`: it finds all in the modules inside |
# | `X @ W`, `W` of shape (in, out) | `nn.Linear(in, out)`, which keeps `weight` as (out, in): `X @ weight.T` |
# | functions one after another | `nn.Sequential(…)` of modules |
# | your optimizer's step | `optimizer.step()`, after `loss.backward()` |

# %% [markdown]
# **Parameters** are trained. **Buffers** are tensors that a module keeps and does not train, such as a
# running mean. `model.state_dict()` has both by name.


# %%
class Network(nn.Module):
    """Lab 03's network, with two inputs, three hidden units and two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 3), nn.Linear(3, 2)

    def forward(self, X: Tensor) -> Tensor:
        return self.second(F.relu(self.first(X)))


# %%
torch.manual_seed(1)
network = Network()
for name, values in network.state_dict().items():
    print(f"{name:14} shape {tuple(values.shape)}")
three = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])  # (N, D) float32: 3 examples
loss = F.cross_entropy(network(three), torch.tensor([0, 1, 1]))  # scores and labels, as in lab 02
loss.backward()
print("the gradient of first.bias:", network.first.bias.grad)
with torch.no_grad():  # no graph is recorded in this block
    print("the scores have a graph:", network(three).requires_grad)

# %% [markdown]
# Two more things. An **index tensor** holds places, as whole numbers, and takes several rows at once. A
# random **generator** is an object with a state of its own: each draw moves it on. Without one, PyTorch
# draws from a global generator, which all code of the notebook shares.

# %%
places = torch.tensor([2, 0])
print("rows 2 and 0:", three[places].tolist())
print("where a mask is true:", torch.nonzero(torch.tensor([True, False, True])).flatten().tolist())
generator = torch.Generator().manual_seed(1)
for draw in ("first", "second"):
    print(f"{draw} random order of 0 to 4:", torch.randperm(5, generator=generator).tolist())

# %% [markdown]
# ## 1 · Look at the data
# Before any training: look. Below is one row for each class, and how many images it has. DIGITS called
# this *Explore*.
#
# **Think first.** If one class had ten times the images of the others, what would a lazy network
# learn to answer?


# %%
images, labels = pool_X.cpu().numpy(), pool_y.cpu().numpy()
fig = figures.classes(images, labels)
plots.show(fig, alt="Fourteen handwritten images of each digit, one row a digit, with counts.")

# %% [markdown]
# Here the classes are about equal. With one ten times as large, always answering it would be right in
# 10 of 19 cases, and a lazy network finds that first.
#
# Averages hide what is odd, so a browser should find it. A label is doubtful where a network that has
# learnt the digits is surprised by it. `browse(d)` sorts the images labelled d by the loss that the
# network of the opening has on each, the largest first; above an image is what the network reads.
# Change the 4: where would you side with the network, and where is it just wrong?

# %%
with torch.no_grad():
    scores = opening_model.eval()(pool_X)
reads = scores.argmax(dim=1).cpu().numpy()
surprise = F.cross_entropy(scores, pool_y, reduction="none").cpu().numpy()  # (N,): one an image


def browse(digit: int, count: int = 20) -> None:
    """Show the images of a class on which the network of the opening has the largest loss."""
    members = np.flatnonzero(labels == digit)
    oddest = members[np.argsort(-surprise[members])][:count]
    fig = plots.image_grid(images[oddest], titles=[f"reads {one}" for one in reads[oddest]])
    plots.show(fig, alt=f"The {count} images labelled {digit} with the largest loss.")


browse(4)

# %% [markdown]
# ## 2 · Three sets
# A network is judged on images that had no part in making it. Choosing among networks is a part of
# making one. So there are three sets: the **training set** changes the weights; the **validation set**
# chooses (learning rate, when to stop, which network); the **test set** measures, once, at the end.
#
# Choosing is all that validation images may do. Where they influence what the network trains on, or
# how, in any other way, there is a **leak**: the figure improves and the network does not.
#
# A **stratified** split takes the same share of each class, so that a rare class is not left out by
# chance.

# %% [markdown]
# ### Exercise 1 · Split — 1.5 points, 20 minutes, ●●○
# `torch.manual_seed` would change what later cells draw. So `split` makes a random generator of its
# own: `torch.Generator().manual_seed(seed)`. (What you write in this lab, libraries have: leave
# scikit-learn and `training`'s `minibatches`, `fit`, `evaluate` and `sweep` out of your answers.)
#
# <details><summary>Hint 1</summary><code>y.unique()</code> are the classes. How do you get the indices
# of the examples of one class? A mask, and a function that you have just met.</details>
#
# <details><summary>Hint 2</summary>Within a class, which examples are held out must be chance, and
# another chance than in the class before. Then one cut is enough: what is not held out
# trains.</details>


# %% nbgrader={"grade_id": "split_code", "solution": true}
def split(y: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices (train, held_out), each (n,) int64, of a random stratified split; in any order.

    y: (N,) int64 labels, any whole numbers; left as they are. Each class gives `share` of its
    examples to held_out, rounded up or down. Every index from 0 to N − 1 is in one of the two.
    The same seed gives the same split; no global generator is used or moved.
    >>> train, held_out = split(torch.tensor([7, 7, 7, 7, 8, 8]), share=0.5, seed=0)
    >>> len(train), len(held_out)
    (3, 3)
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    train, held_out = [], []
    for label in y.unique():
        members = torch.nonzero(y == label).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        cut = round(share * len(members))
        held_out.append(members[:cut])
        train.append(members[cut:])
    return torch.cat(train), torch.cat(held_out)
    ### END SOLUTION


# %% [markdown]
# **Decide:** which of these leaks? Put the letter into `leak`.
#
# - `"a"` the mean over all images is subtracted, before the split
# - `"b"` the order of all images is shuffled, before the split
# - `"c"` the validation loss is measured, after each epoch
# - `"d"` the split and the weights are drawn, with one seed

# %% nbgrader={"grade_id": "split_leak", "solution": true}
leak = None  # "a", "b", "c" or "d"
### BEGIN SOLUTION
leak = "a"
### END SOLUTION

# %% nbgrader={"grade_id": "split", "grade": true, "points": 1.5}
check("split")

# %%
with check.needs("split"):
    train_at, held_at = split(pool_y.cpu(), share=1 / 6, seed=0)
    fig = figures.split(labels, train_at.numpy(), held_at.numpy())
    plots.show(fig, alt="Your split: in each class, one validation image to five training images.")

# %% [markdown]
# From here the lab has a split of its own, so that nothing depends on yours: the first five sixths of
# the pool train, the rest validate. (Both data sets come in random order.)

# %%
cut = len(pool_X) * 5 // 6
train_X, train_y, valid_X, valid_y = pool_X[:cut], pool_y[:cut], pool_X[cut:], pool_y[cut:]
print(f"{len(train_X):,} training, {len(valid_X):,} validation and {len(test_X):,} test images")

# %% [markdown]
# ## 3 · One epoch
# For each batch: scores, loss, gradient, step. Five lines, and each has a way to go wrong that raises no
# error.
#
# PyTorch *adds* each new gradient to `parameter.grad`, as your engine in lab 03 did: it has to be
# cleared for each batch. And some layers behave differently while training: **dropout** switches
# units off at random, **batch normalisation** uses the batch's own mean. `model.train()` and
# `model.eval()` tell them which it is.
#
# **Predict first.** Below, the same network trains with and without `optimizer.zero_grad()`, at a small
# learning rate. Which loss is lower after 140 batches? Write your guess between the empty quotes. It
# gives no marks; the answer comes with the picture.

# %%
question = "Which loss is lower after 140 batches"
check.predict(question, "", "cleared", "never cleared", "about the same")


# %%
def losses_of(clear: bool, batches: int = 150) -> list[float]:
    """The losses of a run's batches, with or without clearing the gradients before each."""
    model, losses = make_model(seed=0), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if is_mnist else 0.2)
    for i in range(batches):
        X, y = (a[16 * (i % 70) :][:16] for a in (train_X, train_y))
        loss = F.cross_entropy(model(X), y)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.convolve(losses, np.ones(8) / 8, mode="valid").tolist()


# %%
fig, ax = plt.subplots(figsize=(6.4, 3))
series = {"cleared": losses_of(clear=True), "never cleared": losses_of(clear=False)}
plots.curves(ax, series, "batch", "loss, mean of 8 batches (nats)")
alt = "Cleared, the loss falls steadily; never cleared, it drops, then swings and climbs."
plots.show(fig, alt=alt)
cleared, never = (one[-10] for one in series.values())
alike = abs(cleared - never) < 0.1 * cleared
lower = "cleared" if cleared < never else "never cleared"
check.measured("Which loss is lower after 140 batches", "about the same" if alike else lower)

# %% [markdown]
# Each curve is smoothed over 8 batches. Gradients that pile up act like a ball without friction: faster at first, then past the valley and up
# the other side. A short look at the first batches would have called it the better one.

# %% [markdown]
# ### Exercise 2 · One epoch — 2 points, 30 minutes, ●●○
# The value returned is the mean over the *examples*: the last batch may be shorter, and then the mean
# of the batches' means is another number.
#
# <details><summary>Hint 1</summary>Cut one random order of all indices into batches of indices: a
# tensor's method <code>split</code> cuts it into pieces of a length that you give.</details>
#
# <details><summary>Hint 2</summary>A batch's loss is a mean over its examples: times their number it is
# their sum. <code>loss.item()</code> is the plain number; the tensor <code>loss</code> itself keeps the
# whole graph of its batch in memory.</details>


# %% nbgrader={"grade_id": "train_one_epoch_code", "solution": true}
def train_one_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    X: Tensor,
    y: Tensor,
    batch_size: int,
    generator: torch.Generator,
) -> float:
    """Train for one pass over X: (N, …), y: (N,) int64; returns the mean loss of the examples.

    The loss is cross-entropy, each example's taken when its batch was trained on. Every example
    comes once, in a random order drawn from generator (on the CPU); batches have batch_size
    examples, the last may have fewer. The model is put into training mode; X and y are left as
    they are. A float, not a tensor.
    """
    ### BEGIN SOLUTION
    model.train()
    total = 0.0
    for batch in torch.randperm(len(X), generator=generator).to(X.device).split(batch_size):
        loss = F.cross_entropy(model(X[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(X)
    ### END SOLUTION


# %% nbgrader={"grade_id": "train_one_epoch", "grade": true, "points": 2}
check("train_one_epoch")

# %% [markdown]
# ## 4 · Measuring
# Measuring must change nothing and must not depend on how the data are cut into batches. In evaluation
# mode dropout lets all units through, and batch normalisation uses the means it has gathered. Inside
# `torch.no_grad()` no graph is kept.
#
# ### Exercise 3 · Evaluate — 1.5 points, 20 minutes, ●●○
# `model.training` tells the mode the model is in; leave it as you found it.
#
# <details><summary>Hint 1</summary><code>F.cross_entropy(…, reduction="sum")</code> adds up instead of
# averaging. Divide once, at the end.</details>
#
# <details><summary>Hint 2</summary><code>model.train</code> takes a truth value: True for training mode,
# False for evaluation mode. It tells the modules inside, too.</details>


# %% nbgrader={"grade_id": "evaluate_code", "solution": true}
def evaluate(model: nn.Module, X: Tensor, y: Tensor, batch_size: int) -> tuple[float, float]:
    """(loss, accuracy) on X: (N, …), y: (N,): mean cross-entropy in nats, share right (0 to 1).

    In evaluation mode, without gradients, in batches of at most batch_size examples. Afterwards
    the model is in the mode it was in, and nothing else about it has changed. Two plain numbers.
    """
    ### BEGIN SOLUTION
    mode = model.training
    model.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for batch, labels in zip(X.split(batch_size), y.split(batch_size), strict=True):
            scores = model(batch)
            loss += F.cross_entropy(scores, labels, reduction="sum").item()
            right += (scores.argmax(dim=1) == labels).sum().item()
    model.train(mode)
    return loss / len(X), right / len(X)
    ### END SOLUTION


# %% nbgrader={"grade_id": "evaluate", "grade": true, "points": 1.5}
check("evaluate")

# %% [markdown]
# Now watch your two functions at work. The network has dropout: in each training step, seven in ten of
# its hidden units are off.
#
# **Predict first.** Dropout makes the training task harder. Which loss will be lower after the first
# epoch, the running loss of training (with dropout) or the validation loss (without)?

# %%
check.predict("Which loss is lower with dropout", "", "training", "validation", "about the same")


# %%
def watch(model: nn.Module, lr: float, epochs: int, title: str) -> training.History:
    """Train with your functions, and draw each epoch as it ends."""
    history, live = training.History(called="validation"), training.Live(title)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(0)
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        running = train_one_epoch(model, optimizer, train_X, train_y, 32, generator)
        accuracy = evaluate(model, train_X, train_y, 1000)[1]
        held_out = evaluate(model, valid_X, valid_y, 1000)
        seconds = time.perf_counter() - start
        history.rows.append(training.Row(epoch, running, accuracy, *held_out, lr, seconds))
        live.update(history)
    live.finish(history)
    return history


# %%
with check.needs("train_one_epoch", "evaluate"):
    row = watch(make_model(seed=0, dropout=0.7), 0.2, 8, "Your loop, with dropout").rows[0]
    lower = "training" if row.train_loss < row.held_out_loss else "validation"
    alike = abs(row.train_loss - row.held_out_loss) < 0.05
    check.measured("Which loss is lower with dropout", "about the same" if alike else lower)

# %% [markdown]
# On the left, the validation curve starts below. That is no miracle: the training loss is measured with
# most of the units missing, and as a mean over an epoch in which the network was still improving. The
# training *accuracy*, on the right, is measured by your `evaluate` after each epoch, without dropout:
# there training is above. Compare curves only when you know how each was measured.
#
# ## 5 · Reading curves
# Six networks were trained on MNIST digits. Noted for each of 20 epochs, in hundredths of a nat: the
# training loss, measured on the way as in the picture above, and the validation loss after the epoch.

# %%
notes = """
A train 228 224 220 215 211 205 200 194 188 182 175 168 162 155 148 142 136 130 125 120
A valid 226 222 217 212 207 201 195 188 181 174 167 160 153 146 139 133 126 120 115 110
B train 191 123  96  80  65  50  38  30  22  20  18  14  12  10   7   6   5   5   5   4
B valid 110  77  79  74  74  75  77  77  80  81 105  88  86  88  91  88  89  89  98  93
C train  99  55  48  42  40  38  34  34  32  31  30  28  28  28  27  26  25  24  25  25
C valid  34  25  23  20  20  18  18  17  15  15  15  15  14  13  14  14  13  14  14  13
D train 190 160 141 125 123 116 117 136 154 131 134 122 120 139 125 123 111 103 101 123
D valid 148 129 110 134 112 118 130 213 131 135 136 149 147 209 143 123 119 124 176 153
E train  69  33  28  24  21  19  17  15  14  13  12  11  10   9   9   8   8   7   7   6
E valid  28  23  21  19  18  17  15  15  14  12  13  12  11  11  12  12  11  11  11  10
F train 209 177 161 151 144 138 134 130 128 125 123 121 120 119 117 116 115 115 114 113
F valid 188 167 155 146 139 135 131 129 126 124 122 121 119 118 118 117 115 115 114 113
"""
runs: dict[str, dict[str, np.ndarray]] = {}
for line in notes.split("\n")[1:-1]:
    letter, which, *numbers = line.split()
    name = {"train": "training", "valid": "validation"}[which]
    runs.setdefault(letter, {})[name] = np.array(numbers, dtype=float) / 100

# %%
alt = (
    "Six plots of training and validation loss over 20 epochs. A: both fall slowly, nearly "
    "straight. B: training to 0, validation turns up after epoch 5. C: validation below training. "
    "D: both jump about above 1. E: both fall and level off, close together. F: both level off at 1.1."
)
plots.show(figures.runs(runs, guessing=math.log(10)), alt=alt)

# %% [markdown]
# ### Exercise 4 · Reading loss curves — 1.5 points, 15 minutes, ●●○
# The dashed line is the loss of a guess, ln 10. Name each run: `"healthy"`, `"overfitting"` (it learns
# its training images by heart), `"underfitting"` (the network is too small for the task), `"rate too
# high"`, `"rate too low"`, `"dropout"`. Each word once. Then: after which epoch of run B would you
# have kept the weights? (For this the picture is too coarse: look at the notes.)

# %% [markdown]
# <details><summary>Hint 1</summary>Ask in this order: does the training loss come down at all, and
# smoothly? Is it still falling at the end? What does the validation loss do meanwhile?</details>
#
# <details><summary>Hint 2</summary>Too small a network and too low a rate both leave the loss high. One
# has stopped falling, the other has not.</details>

# %% nbgrader={"grade_id": "read_loss_curves_answers", "solution": true}
curve_a = None  # one of the six words
curve_b = None
curve_c = None
curve_d = None
curve_e = None
curve_f = None
keep_epoch = None  # a whole number from 1 to 20
### BEGIN SOLUTION
curve_a, curve_b, curve_c = "rate too low", "overfitting", "dropout"
curve_d, curve_e, curve_f = "rate too high", "healthy", "underfitting"
keep_epoch = 5
### END SOLUTION

# %% nbgrader={"grade_id": "read_loss_curves", "grade": true, "points": 1.5}
check("read_loss_curves")

# %% [markdown]
# ## 6 · Stopping in time
# Run B was best long before it ended. **Early stopping**: after each epoch measure the validation loss,
# keep a copy of the weights whenever it is the lowest so far, and give up when `patience` epochs in a
# row have brought no new lowest. Then put the copy back.
#
# A **copy**: `model.state_dict()` is a dictionary of the model's *own* tensors. Training goes on
# changing them in place, in your dictionary, too.
#
# **By hand, first.** Patience 3, and the losses after epochs 1, 2, … are
# 0.90, 0.70, 0.80, 0.75, 0.72, 0.69, 0.68. After which epoch does training stop? Put it into
# `stops_after`.

# %% [markdown]
# ### Exercise 5 · Early stopping — 1.25 points, 25 minutes, ●●○
# An epoch that only equals the lowest loss so far is no new lowest. Two `EarlyStopping`s may be at work
# at once.
#
# <details><summary>Hint 1</summary>Three things to remember between calls: the lowest loss, the copy,
# and how many epochs have gone by since.</details>
#
# <details><summary>Hint 2</summary><code>copy.deepcopy</code> copies a dictionary with all that is in
# it; <code>model.load_state_dict</code> takes such a dictionary. Batch normalisation's running means are
# buffers: they belong to the copy.</details>


# %% nbgrader={"grade_id": "early_stopping_code", "solution": true}
class EarlyStopping:
    """Tells when to stop, and keeps the best weights.

    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.step(loss, model) for loss in (0.5, 0.4, 0.6, 0.4)]
    [False, False, False, True]
    """

    def __init__(self, patience: int) -> None:
        """patience: after so many epochs in a row without a new lowest loss, stop. At least 1."""
        ### BEGIN SOLUTION
        self.patience, self.waited, self.lowest = patience, 0, math.inf
        self.best: dict[str, Tensor] = {}
        ### END SOLUTION

    def step(self, loss: float, model: nn.Module) -> bool:
        """Note one epoch's validation loss; returns True if training should stop now."""
        ### BEGIN SOLUTION
        self.waited += 1
        if loss < self.lowest:
            self.lowest, self.waited = loss, 0
            self.best = copy.deepcopy(model.state_dict())
        return self.waited >= self.patience
        ### END SOLUTION

    def restore(self, model: nn.Module) -> None:
        """Put back the weights and buffers that the model had at the lowest loss."""
        ### BEGIN SOLUTION
        model.load_state_dict(self.best)
        ### END SOLUTION


# %% nbgrader={"grade_id": "early_stopping_prediction", "solution": true}
stops_after = None  # the number of an epoch
### BEGIN SOLUTION
stops_after = 5
### END SOLUTION

# %% nbgrader={"grade_id": "early_stopping", "grade": true, "points": 1.25}
check("early_stopping")

# %% [markdown]
# Nothing overfits like wrong labels: there is no rule to learn, only a list. Below, 200 images, two
# fifths of which got a random label. The grey curve goes on for all 40 epochs; yours, with dots, stops,
# and the star is the copy that it kept. Which network does better on images that neither has seen?

# %%
noisy_y = train_y[:200].clone()
noisy_y[:80] = torch.randint(10, (80,), generator=torch.Generator().manual_seed(0)).to(device)


def train_on_noise(stopping: Any = None) -> tuple[list[float], nn.Module]:
    """Validation losses by epoch, and the model."""
    model, losses = make_model(seed=0, hidden=256), []
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        for X, y in training.minibatches(train_X[:200], noisy_y, 16, generator):
            optimizer.zero_grad()
            F.cross_entropy(model(X), y).backward()
            optimizer.step()
        losses.append(training.evaluate(model, valid_X, valid_y).loss)
        if stopping is not None and stopping.step(losses[-1], model):
            stopping.restore(model)
            break
    return losses, model


# %%
with check.needs("early_stopping"):
    all_losses, last_model = train_on_noise()
    losses, best_model = train_on_noise(EarlyStopping(patience=6))
    alt = "Validation loss falls, then climbs for good; yours stops soon after the low."
    plots.show(figures.stopped(all_losses, losses), alt=alt)
    for name, model in (("all epochs", last_model), ("stopped", best_model)):
        share = training.evaluate(model, train_X[200:], train_y[200:]).accuracy
        print(f"{name:>10}: {share:.1%} of {len(train_X) - 200:,} unseen images right")

# %% [markdown]
# ## 7 · A learning rate that changes
# Early on, weights are random and gradients point anywhere: a full-sized step may throw the network
# into a corner it never leaves. **Warm-up** begins with small steps. Near the end, large steps jump
# about the minimum: the rate is **annealed** to 0.
#
# A common shape is a straight rise over $w$ steps, then half a cosine. As a factor on the
# **peak rate**, with $s = 0, 1, …, S - 1$ the step:
#
# $$f(s) = \begin{cases} (s + 1)/w & s < w\\[2pt] \tfrac12\left(1 + \cos \pi\frac{s - w}{S - w}\right) & s \ge w \end{cases}$$
#
# The first factor is $1/w$ and not 0, or that step would be wasted.

# %% [markdown]
# ### Exercise 6 · Learning-rate schedule — 0.75 points, 15 minutes, ●○○
# **By hand, first:** the peak rate is 0.4, there are 100 steps, 10 of them warm-up. What is the rate of
# the very first step, and of step 55? Put them into `first_rate` and `rate_55`.
#
# <details><summary>Hint 1</summary>Step 55 is half-way from 10 to 100.</details>


# %% nbgrader={"grade_id": "learning_rate_schedule_code", "solution": true}
def learning_rate_schedule(step: int, steps: int, warmup: int) -> float:
    """The factor on the peak learning rate in `step` (0 to steps − 1), from 0 to 1.

    warmup: the number of steps of the rise, 0 ≤ warmup < steps; 0: there is none.
    >>> [round(learning_rate_schedule(s, steps=6, warmup=2), 3) for s in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    ### BEGIN SOLUTION
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
    ### END SOLUTION


# %% nbgrader={"grade_id": "learning_rate_schedule_by_hand", "solution": true}
first_rate = None  # a number
rate_55 = None  # a number
### BEGIN SOLUTION
first_rate, rate_55 = 0.04, 0.2
### END SOLUTION

# %% nbgrader={"grade_id": "learning_rate_schedule", "grade": true, "points": 0.75}
check("learning_rate_schedule")

# %% [markdown]
# **Predict first.** Two runs at a peak rate of 0.5, which is high: one holds it, one follows your
# schedule. Which has the quieter validation loss in the second half of the run?

# %%
check.predict("Which loss is quieter in the second half", "", "held", "yours")

# %%
with check.needs("learning_rate_schedule"):
    shapes: dict[str, training.Schedule] = {
        "held": lambda step, steps: 1.0,
        "yours": lambda step, steps: learning_rate_schedule(step, steps, steps // 10),
    }
    held = {}
    for name, shape in shapes.items():
        model = make_model(seed=0)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        sets = (train_X[:1000], train_y[:1000]), (valid_X, valid_y)
        history = training.fit(model, optimizer, *sets, epochs=10, batch_size=8, schedule=shape)
        held[name] = np.array(history["held_out_loss"])
    alt = "Left: the two shapes. Right: with the schedule the loss is calm in the second half."
    plots.show(figures.schedules(shapes, 0.5, held), alt=alt)
    jumps = {name: float(abs(np.diff(losses[4:])).mean()) for name, losses in held.items()}
    for name, jump in jumps.items():
        print(f"{name}: {jump:.3f} nats from epoch to epoch")
    quiet = min(jumps, key=lambda name: jumps[name])
    check.measured("Which loss is quieter in the second half", quiet)

# %% [markdown]
# Held at its peak, the rate keeps the loss jumping; yours is calm in the second half, where steps are
# small.
#
# ## 8 · How much is luck?
# A network that was better by half a point: is its setting better, or its seed? Train the *same*
# setting with eight seeds (other initial weights, another order), and look how far the results spread.
#
# **Predict first.** By how many percentage points do the best and the worst of eight equal runs differ?

# %%
check.predict("Best minus worst, in points", "", "below 1", "1 to 3", "above 3")


# %%
def accuracy_of(lr: float, seed: int) -> float:
    """Validation accuracy after 5 epochs on 1,000 images."""
    model = make_model(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    sets = (train_X[:1000], train_y[:1000]), (valid_X, valid_y)
    history = training.fit(model, optimizer, *sets, epochs=5, batch_size=16, seed=seed)
    return history.last.held_out_accuracy


results = {
    f"rate {lr}": np.array([accuracy_of(lr, seed) for seed in range(8)]) for lr in (0.15, 0.2)
}
plots.show(figures.seeds(results), alt="Eight runs each of two rates; their accuracies overlap.")
for name, values in results.items():
    error = values.std(ddof=1) / math.sqrt(8)
    shown = f"{values.min():.1%} to {values.max():.1%}, mean {values.mean():.1%} ± {error:.1%}"
    print(f"{name}: {shown}")
spread = 100 * float(np.ptp(results["rate 0.2"]))
range_of = "below 1" if spread < 1 else "1 to 3" if spread <= 3 else "above 3"
check.measured("Best minus worst, in points", range_of)

# %% [markdown]
# Circles are runs, diamonds their means with the **standard error** $e$: the standard deviation of the
# runs divided by √8. A difference of single runs that is smaller than the spread says nothing. And a
# difference of two means? Both are uncertain, and the squares of the errors add up: the difference has
# the standard error √2 $e$, not $e$. Below, both settings are the *same*, 20,000 times over. How often
# does each rule see a difference that is not there?

# %%
draws = np.random.default_rng(0).normal(size=(2, 20_000, 8))
gap = abs(draws[0].mean(axis=1) - draws[1].mean(axis=1))
errors = np.sqrt(draws.var(axis=2, ddof=1).mean(axis=0) / 8)  # e, from the runs of both settings
for rule, factor in (("2 e", 2.0), ("2 √2 e", 2 * math.sqrt(2))):
    print(f"more than {rule:6} apart: {np.mean(gap > factor * errors):.1%} false alarms")

# %% [markdown]
# So believe a difference of two such means when it is larger than about 2√2 $e$. Bouthillier and others
# (2021) measured how much of such spread comes from the data drawn, the initial weights and the choice
# of settings.

# %% [markdown]
# ## 9 · A sweep
# Learning rate and batch size belong together. To find the pair, try all of them: a **sweep** over a
# **grid**, here a dictionary of settings and their values. Each combination is a **run**.
#
# Runs take hours in earnest, machines are switched off, and so a sweep is a *queue with a memory*: a
# table to which each run's result is added the moment it is there. Started again, it skips what the
# table has.

# %% [markdown]
# ### Exercise 7 · The sweep — 1.5 points, 30 minutes, ●●●
# The table is a file of JSON lines: `training.read_table(path)` gives its rows, a list of dictionaries
# (empty if there is no file yet); `training.append_row(path, row)` adds one.
#
# <details><summary>Hint 1</summary>A grid has any number of settings, so loops in loops will not do:
# look up <code>itertools.product</code>.</details>
#
# <details><summary>Hint 2</summary>A row belongs to a run if it agrees with it in every setting; other
# sweeps may have rows in the same table, with other settings. Such a row is not run again, and is
# returned as it stands.</details>


# %% nbgrader={"grade_id": "sweep_code", "solution": true}
def sweep(
    run: Callable[..., Mapping[str, float]],
    grid: Mapping[str, Sequence[Any]],
    table: str,
) -> list[dict[str, Any]]:
    """Run every combination of the grid's values that is not in the table yet.

    run: called as run(**settings), one value for each name; returns its results by name.
    grid: setting → values; the last setting changes fastest. table: the path of a file.
    Each run is in the table, as one row {**settings, **results}, before the next one begins.
    Returns the rows of all combinations, in the grid's order.
    """
    ### BEGIN SOLUTION
    old, rows = training.read_table(table), []
    for values in itertools.product(*grid.values()):
        settings = dict(zip(grid, values, strict=True))
        row = next((row for row in old if settings.items() <= row.items()), None)
        if row is None:
            row = {**settings, **run(**settings)}
            training.append_row(table, row)
        rows.append(row)
    return rows
    ### END SOLUTION


# %% nbgrader={"grade_id": "sweep", "grade": true, "points": 1.5}
check("sweep")

# %% [markdown]
# Your queue at work. The third run is interrupted, as if you had pressed the stop button; then the
# sweep is started again. It should begin with the third run.

# %%
folder = Path("runs") / "04_training" / f"{sizes.scale} {data.name}"
shutil.rmtree(folder, ignore_errors=True)  # a lab begins afresh; a real sweep would not
calls = []


def short_run(rate: float, batch_size: int) -> dict[str, float]:
    calls.append((rate, batch_size))
    if len(calls) == 3:
        raise KeyboardInterrupt
    model = make_model(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    sets = (train_X[:500], train_y[:500]), (valid_X, valid_y)
    score = training.fit(model, optimizer, *sets, epochs=2, batch_size=batch_size).last
    return {"accuracy": round(score.held_out_accuracy, 4)}


# %%
with check.needs("sweep"):
    small_grid, table = {"rate": [0.05, 0.2], "batch_size": [8, 64]}, folder / "small.jsonl"
    try:
        sweep(short_run, small_grid, str(table))
    except KeyboardInterrupt:
        print("interrupted; in the table:", len(training.read_table(table)), "runs")
    for row in sweep(short_run, small_grid, str(table)):
        print(row)
    print(f"{len(calls)} calls for 4 runs")

# %% [markdown]
# Now in earnest, with `training.sweep`, which keeps the same kind of table and shows how far it is.
# Press the stop button in the middle of it, open `runs/04_training/…/rates.jsonl`, and run the cell
# again.
#
# It is one seed a cell: you know by now what a small difference is worth.
#
# **Predict first.** Against batches of 8, is the best learning rate for batches of 128 smaller or
# larger, the number of epochs being equal?

# %%
check.predict("The best rate for 128 against 8", "", "smaller", "the same", "larger")


# %%
def run(batch_size: int, rate: float) -> dict[str, float]:
    """Train for 5 epochs at one rate."""
    model = make_model(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    few = slice(0, sizes.sweep_images)
    sets = (train_X[few], train_y[few]), (valid_X, valid_y)
    history = training.fit(model, optimizer, *sets, epochs=5, batch_size=batch_size)
    # No whole epoch: the loss was not finite.
    accuracy = history.last.held_out_accuracy if history.rows else 0.1
    return {"validation_accuracy": accuracy}


grid = {"batch_size": sizes.batches, "rate": (0.01, 0.03, 0.1, 0.3, 1.0)}
results = training.sweep(run, grid, folder / "rates.jsonl")

# %%
best = max(results, key=lambda row: row["validation_accuracy"])
floor = best["validation_accuracy"] - 0.2
fig = training.heat_map(results, "rate", "batch_size", "validation_accuracy", floor=floor)
plots.show(fig, alt="Accuracy by rate and batch size: larger batches are best at higher rates.")
best_rates = {}
for size in sizes.batches:
    rows = [row for row in results if row["batch_size"] == size]
    row = max(rows, key=lambda row: row["validation_accuracy"])
    best_rates[size] = row["rate"]
    print(f"batches of {size:3}: best at rate {row['rate']}, {row['validation_accuracy']:.1%}")
small, large = best_rates[8], best_rates[128]
order = "smaller" if large < small else "larger" if large > small else "the same"
check.measured("The best rate for 128 against 8", order)

# %% [markdown]
# Numbers are validation accuracies. Along a row, accuracy rises with the rate, and then falls, at times
# gently, at times to a guess. With larger batches the best rate lies further right: a mean over more
# images is less noisy and bears longer steps. It also *needs* them, having fewer steps in an epoch: 16
# times fewer with 128 than with 8. In the lower left, where steps are many, there is no need to hurry;
# in the upper left little has been learnt yet.
#
# ## 10 · All together
# Your split, your loop, your schedule, your early stopping, with the best pair of the sweep. The test
# set is used here, once.


# %%
def at_best(model: nn.Module, steps: int) -> torch.optim.Optimizer:
    """An optimizer at the sweep's best rate; a hook moves your schedule after each of its steps."""
    optimizer = torch.optim.SGD(model.parameters(), lr=best["rate"])
    # LambdaLR asks once more after the last step: hence steps + 1.
    factor = partial(learning_rate_schedule, steps=steps + 1, warmup=steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    return optimizer


# %%
needed = "split", "train_one_epoch", "evaluate", "learning_rate_schedule", "early_stopping"
with check.needs(*needed):
    train_at, held_at = split(pool_y.cpu(), share=1 / 6, seed=0)
    (X, y), held_out = (pool_X[train_at], pool_y[train_at]), (pool_X[held_at], pool_y[held_at])
    size, model, stopping = best["batch_size"], make_model(0, hidden=256), EarlyStopping(patience=4)
    optimizer = at_best(model, sizes.epochs * math.ceil(len(X) / size))
    generator, losses = torch.Generator().manual_seed(0), []
    while len(losses) < sizes.epochs:
        train_one_epoch(model, optimizer, X, y, size, generator)
        losses.append(evaluate(model, *held_out, batch_size=1000)[0])
        if stopping.step(losses[-1], model):
            break
    stopping.restore(model)

# %% tags=["headline"]
with check.needs(*needed):
    accuracy = evaluate(model, test_X, test_y, batch_size=1000)[1]
    target = {"smoke": 0.94, "cpu": 0.96, "gpu": 0.975}[sizes.scale] if is_mnist else 0.95
    print(
        f"{data.name}: {accuracy:.2%} of {len(test_y):,} test images right after {len(losses)} epochs"
        f" on {len(X):,} images (target {target:.1%})"
    )

# %% [markdown]
# **Think first:** if you now tuned the hidden size on *this* figure, twenty times over, what would
# the twentieth figure be worth? Yadav and Bottou (2019) rebuilt 50,000 lost MNIST test images to see
# what 25 years of such tuning had done: error rates were a little too good, the ranking of methods
# had held.
#
# ## 11 · TensorBoard
# Many tools read one format of logs: **event files**, as TensorBoard writes them. `training.fit` writes
# them with PyTorch's `SummaryWriter`, one folder a run.

# %%
try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    EventAccumulator = None
    print("TensorBoard is not installed here: this section runs where it is.")

for rate in (0.03, 0.3) if EventAccumulator else ():
    model = make_model(seed=0)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    sets, log = ((train_X[:2000], train_y[:2000]), (valid_X, valid_y)), folder / f"rate {rate}"
    training.fit(model, optimizer, *sets, epochs=5, batch_size=32, log=log)
    events = EventAccumulator(str(log)).Reload()
    print(f"rate {rate}: {', '.join(events.Tags()['scalars'])}")
    print("   loss/held_out:", [round(event.value, 3) for event in events.Scalars("loss/held_out")])
print(f'\nTo see the curves:\n"{sys.executable}" -m tensorboard.main --logdir "{folder.resolve()}"')

# %% [markdown]
# The numbers were read back from the files; `held_out` is here the validation set. To see them as
# curves, paste the last line into a terminal and open the address that it prints. TensorBoard overlays
# the runs and reloads while they train.

# %% [markdown]
# ## 12 · Experiments
# - Add `dropout=0.5` to `train_on_noise`'s network. Does it replace early stopping?
# - In the sweep, replace SGD by `torch.optim.Adam` and the rates by 1e-4 … 1e-1. Is the diagonal still
#   there?
# - A third setting in `grid`: `"hidden": (32, 128, 512)`. How many runs is that, and how would you draw
#   them?
# - Bergstra and Bengio (2012) draw random pairs in the place of a grid. Try 15 random pairs against the
#   15 of the grid.
# - How many seeds would you need to tell rate 0.15 from 0.2?

# %% [markdown]
# ## 13 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `split` | `sklearn.model_selection.train_test_split(…, stratify=y)` |
# | shuffled batches | `torch.utils.data.DataLoader(dataset, batch_size, shuffle=True, generator=…)` |
# | `train_one_epoch`, `evaluate` | `utils.training.fit`, from here on; Lightning's `Trainer` |
# | `learning_rate_schedule` | `LambdaLR`; `SequentialLR` of `LinearLR` and `CosineAnnealingLR` |
# | `EarlyStopping` | Lightning's and Keras's `EarlyStopping` |
# | `sweep` | `utils.training.sweep`; Ray Tune, Optuna, Weights & Biases Sweeps |
#
# Same numbers, your schedule against PyTorch's, and your split against scikit-learn's:

# %%
with check.needs("learning_rate_schedule", "split"):
    from sklearn.model_selection import train_test_split
    from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    parts = LinearLR(optimizer, 1 / 10, 1, 9), CosineAnnealingLR(optimizer, 90)
    theirs, schedule = [], SequentialLR(optimizer, list(parts), [10])
    for _ in range(100):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    yours = [learning_rate_schedule(step, 100, 10) for step in range(100)]
    print(f"schedule: largest difference {np.max(np.abs(np.subtract(yours, theirs))):.1e}")
    held = train_test_split(np.arange(len(labels)), test_size=len(held_at), stratify=labels)[1]
    for name, at in (("yours", split(pool_y.cpu(), 1 / 6, seed=0)[1]), ("scikit-learn's", held)):
        print(f"{name:>15}: {np.bincount(labels[at]).tolist()}")

# %% [markdown]
# ## 14 · Further
# - NVIDIA (2015), *[DIGITS: Deep Learning GPU Training System](https://devblogs.nvidia.com/digits-deep-learning-gpu-training-system/)*:
#   the console that this lab follows.
# - Prechelt (1998), *Early stopping — but when?*, [10.1007/3-540-49430-8_3](https://doi.org/10.1007/3-540-49430-8_3):
#   in 1,296 runs, slower criteria gained about 4 % in generalisation at four times the training time.
# - Loshchilov, Hutter (2017), *SGDR: stochastic gradient descent with warm restarts*,
#   [arXiv:1608.03983](https://arxiv.org/abs/1608.03983): the cosine. Goyal and others (2017),
#   *Accurate, large minibatch SGD*, [arXiv:1706.02677](https://arxiv.org/abs/1706.02677): warm-up, and a
#   rate that grows with the batch (lab 12).
# - Srivastava and others (2014), *Dropout*, [JMLR 15, 1929–1958](https://jmlr.org/papers/v15/srivastava14a.html).
# - Bergstra, Bengio (2012), *Random search for hyper-parameter optimization*,
#   [JMLR 13, 281–305](https://jmlr.org/papers/v13/bergstra12a.html).

# %% [markdown]
# - Bouthillier and others (2021), *Accounting for variance in machine learning benchmarks*,
#   [arXiv:2103.03098](https://arxiv.org/abs/2103.03098).
# - Yadav, Bottou (2019), *Cold case: the lost MNIST digits*,
#   [arXiv:1905.10498](https://arxiv.org/abs/1905.10498).
#
# **Next:** in lab 05 the network stops looking at pixels one by one and starts to look at patches.

# %%
progress()
