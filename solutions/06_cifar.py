# %% [markdown]
# # 06 · CIFAR-10, declared
# In lab 05 you wrote a convolution. Here you write none. A network and its training are *declared*,
# in two texts that you can read aloud, and your code builds what they say. A minute of training later
# the network names six photographs of 32×32 pixels in ten, out of ten classes. Guessing names one, a
# linear classifier four.
#
# These are the pictures.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from grading.check import checks, progress
from utils import plots, settings, spec, training
from utils.data import images
from utils.device import best_device
from utils.figures import cifar as figures
from utils.spec import Section

# %%
check = checks("06_cifar")
sizes = settings.choose(
    scale,
    smoke={"images": 10_000, "epochs": 4, "augment": False, "few_epochs": 10, "seeds": 2},
    cpu={"images": 10_000, "epochs": 16, "augment": True, "few_epochs": 30, "seeds": 3},
    gpu={"images": 50_000, "epochs": 30, "augment": True, "few_epochs": 60, "seeds": 5},
)
device = best_device()

# %%
pictures = images.cifar10()
names = pictures.class_names
shown = [np.flatnonzero(pictures.train_y == label)[:2] for label in range(10)]
titles = [names[label] for label in range(10) for _ in range(2)]
fig = plots.image_grid(pictures.train_x[np.concatenate(shown)], titles, columns=5)
plots.show(fig, alt="Two training images of each of the ten classes, with its name.")

# %% [markdown]
# **You will** write what turns YAML into a network and an optimizer (its errors name file, line and
# key); batch normalisation in both its modes; data augmentation; the block that SqueezeNet is made
# of; and the block that makes residual networks deep. At the end a network of your own layers learns.
#
# **Not in this lab:** the convolution itself (lab 05), what a trained network sees.
#
# **You need** labs 04 and 05, and 165 minutes. All cells together compute for about a minute on one
# core at scale `smoke`, some minutes at `cpu`. Data: CIFAR-10 (Krizhevsky 2009; `make data` fetches
# its 170 MB), else pictures that the lab draws: far easier.

# %% [markdown]
# ## 1 · The pictures
# Images come as `(N, 32, 32, 3)` uint8: height, width, and red, green, blue from 0 to 255. PyTorch's
# layers want `(N, C, H, W)` float32, channels first, and learn best from numbers around 0 with spread
# 1: so each colour is shifted and scaled by its mean and standard deviation *over the training
# images*.


# %%
def as_input(x: np.ndarray) -> Tensor:
    """(N, 32, 32, 3) uint8 → (N, 3, 32, 32) float32, each colour normalised, on the device."""
    scaled = torch.from_numpy(x).to(device).permute(0, 3, 1, 2) / 255
    normal = (scaled - colour_mean) / colour_std
    return normal.contiguous(memory_format=torch.channels_last)  # where numbers lie: for speed only


count = min(sizes.images, len(pictures.train_x))
seen = torch.from_numpy(pictures.train_x[:count]).float() / 255
colour_mean = seen.mean(dim=(0, 1, 2)).reshape(1, 3, 1, 1).to(device)
colour_std = seen.std(dim=(0, 1, 2)).reshape(1, 3, 1, 1).to(device)
train_X, test_X = as_input(pictures.train_x[:count]), as_input(pictures.test_x)
train_y = torch.from_numpy(pictures.train_y[:count]).to(device)
test_y = torch.from_numpy(pictures.test_y).to(device)
train, test = (train_X, train_y), (test_X, test_y)
print(f"train_X: {tuple(train_X.shape)} {train_X.dtype}, mean {train_X.mean():.3f}")

# %% [markdown]
# The control first: the simplest thing that could work, one linear layer. It has one template per
# class, as in lab 01. A guess is right once in ten. How often is a linear classifier? Write your guess
# between the quotes; it is not marked.

# %%
shares = ("2 in 10", "4 in 10", "6 in 10")
check.predict("how often a linear classifier is right", "", *shares)


# %%
def falling(step: int, steps: int) -> float:
    """A factor on the learning rate: from 1 down to nearly 0."""
    return 1 - step / steps


# %%
torch.manual_seed(0)
linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).to(device)
optimizer = torch.optim.SGD(linear.parameters(), lr=0.002, momentum=0.9)
plan = {"epochs": 3, "batch_size": 64, "schedule": falling}
history = training.fit(linear, optimizer, train, test, **plan)
control = history.last.held_out_accuracy
print(f"{pictures.name}: a linear classifier gets {control:.1%} of the test images right.")
nearest = min(shares, key=lambda share: abs(int(share[0]) / 10 - control))
check.measured("how often a linear classifier is right", nearest)

# %% [markdown]
# Remember the figure: what a network adds is what it gets beyond this. (On drawn pictures the linear
# classifier is nearly blind, since their colours mean nothing, and a small network is nearly perfect,
# since each class is one shape. Photographs are harder for the second and easier for the first.)
#
# ## 2 · A network as a text
# In Caffe (Jia et al. 2014) nobody wrote a training loop: a network was one text, its **solver**,
# that is how it is trained, another. One could mail them, compare two of them line by line, and read
# in a paper's repository exactly what had been run. We do the same with YAML.

# %%
BEGINNING = """\
name: small
input: [3, 32, 32]  # channels, height, width
layers:
  - {name: conv1, type: conv, channels: 16, kernel: 3, padding: 1, bias: false}
  - {name: norm1, type: batch_norm}
  - {name: relu1, type: relu}
  - {name: pool1, type: max_pool, kernel: 2}
  - {name: conv2, type: conv, channels: 32, kernel: 3, padding: 1, bias: false}
  - {name: norm2, type: batch_norm}
  - {name: relu2, type: relu}
  - {name: pool2, type: max_pool, kernel: 2}
  - {name: conv3, type: conv, channels: 64, kernel: 3, padding: 1, bias: false}
  - {name: norm3, type: batch_norm}
  - {name: relu3, type: relu}
  - {name: pool3, type: max_pool, kernel: 2}
"""

# %%
NETWORK = (
    BEGINNING
    + """\
  - {name: conv4, type: conv, channels: 128, kernel: 3, padding: 1, bias: false}
  - {name: norm4, type: batch_norm}
  - {name: relu4, type: relu}
  - {name: pool4, type: max_pool, kernel: 4}
  - {name: flatten, type: flatten}
  - {name: scores, type: linear, units: 10}
"""
)

# %% [markdown]
# At scale `gpu` a larger one stands in its place. Its text is written by a loop, as the texts of
# Caffe's large networks were.

# %%
if sizes.scale in ("gpu", "multi"):
    lines = ["name: large", "input: [3, 32, 32]", "layers:"]
    for n, step in enumerate([64, 128, "pool", 128, 256, "pool", 256, 512, "pool", 512, 512]):
        if step == "pool":
            lines += [f"  - {{name: pool{n}, type: max_pool, kernel: 2}}"]
            continue
        form = f"channels: {step}, kernel: 3, padding: 1, bias: false"
        lines += [f"  - {{name: conv{n}, type: conv, {form}}}"]
        lines += [f"  - {{name: norm{n}, type: batch_norm}}", f"  - {{name: relu{n}, type: relu}}"]
    lines += ["  - {name: last, type: max_pool, kernel: 4}", "  - {name: flatten, type: flatten}"]
    NETWORK = "\n".join([*lines, "  - {name: scores, type: linear, units: 10}\n"])

folder = Path(tempfile.mkdtemp())
(folder / "network.yaml").write_text(NETWORK, encoding="utf-8")
network_spec = spec.read(folder / "network.yaml")
print(network_spec["layers"][0])

# %% [markdown]
# `spec.read` gives what PyYAML gives, with one addition: each mapping is a `Section`, a dict that
# remembers where it stands. `section.error(key, problem)` makes an error that says so. For a key
# that is not there it names the line on which the mapping begins.

# %%
layer = network_spec["layers"][0]
print(layer.file, layer.line, layer.lines)
print(layer.error("kernel", "there is something wrong with it"))

# %% [markdown]
# A declaration that is wrong should say so before anything is computed. The worst is the one that is
# wrong in silence: somebody writes `paddding: 1`, the network is built without padding, and the paper
# reports the wrong figure.
#
# What a section may hold is written down in a table: key → the type of a value that **must** be
# given, or the value it has if it is not given.

# %%
LAYERS: dict[str, dict[str, Any]] = {
    "conv": {"channels": int, "kernel": int, "stride": 1, "padding": 0, "bias": True},
    "batch_norm": {},
    "relu": {},
    "max_pool": {"kernel": int},
    "mean_pool": {"kernel": int},
    "flatten": {},
    "linear": {"units": int},
}

# %% [markdown]
# ### Exercise 1 · Options — 0.75 points, 15 minutes, ●○○
# Return the section's values with the missing ones filled in, or raise the error that helps whoever
# wrote the text.
#
# <details><summary>Hint 1</summary>Look once through the section's keys, and once through
# the table's. What can be wrong in each?</details>
#
# <details><summary>Hint 2</summary><code>isinstance(usual, type)</code> says whether an entry is a
# type; for a default, <code>type(usual)</code> is the type that a given value must have. In Python
# <code>isinstance(True, int)</code> is true.</details>


# %% nbgrader={"grade_id": "options_code", "solution": true}
def options(section: Section, known: dict[str, Any]) -> dict[str, Any]:
    """The value of every key in `known`: the section's own, else the default.

    known: key → a type (the key must be given, with a value of it) or a default (the value may be
        given, with the default's type). Where the type is float, an int will do; true and false
        are of type bool alone.
    Both are left as they were.
    Raises section.error(key, …) for a key that is unknown, missing, or has a value of a wrong type.
    >>> options(spec.parse("{channels: 8, kernel: 3, stride: 2}"), LAYERS["conv"])
    {'channels': 8, 'kernel': 3, 'stride': 2, 'padding': 0, 'bias': True}
    """
    ### BEGIN SOLUTION
    for key in section:
        if key not in known:
            raise section.error(key, f"there is no such key; there are {', '.join(known)}")
    chosen = {}
    for key, usual in known.items():
        kind = usual if isinstance(usual, type) else type(usual)
        if key not in section and isinstance(usual, type):
            raise section.error(key, "it is missing")
        chosen[key] = section.get(key, usual)
        if type(chosen[key]) not in ((int, float) if kind is float else (kind,)):
            raise section.error(key, f"it should be of type {kind.__name__}")
    return chosen
    ### END SOLUTION


# %% nbgrader={"grade_id": "options", "grade": true, "points": 0.75}
check("options")

# %%
with check.needs("options"):
    for text in ("{channels: 8, kernal: 3}", "{channels: 8}", "channels: 8\nkernel: three"):
        try:
            options(spec.parse(text, "network.yaml"), LAYERS["conv"])
        except spec.SpecError as error:
            print(error)

# %% [markdown]
# ## 3 · From text to network
# The text never says how many channels *come into* a layer: that follows from the layer before. So
# the builder carries the **shape** of one example along, `(C, H, W)`, after `flatten` `(D,)`. It
# begins as the text's `input`. Given options and the shape that comes in, a layer is one line. (`MORE`
# is for types of your own; section 10 fills it.)

# %%
MORE: dict[str, Callable[[dict[str, Any], tuple[int, ...]], nn.Module]] = {}


# %%
def make_layer(o: dict[str, Any], shape: tuple[int, ...]) -> nn.Module:
    """The layer with options o; shape: of one example that comes in, (C, H, W) or (D,)."""
    match o["type"]:
        case "conv":
            form = o["channels"], o["kernel"], o["stride"], o["padding"]
            return nn.Conv2d(shape[0], *form, bias=o["bias"])
        case "batch_norm":
            return nn.BatchNorm2d(shape[0])
        case "relu":
            return nn.ReLU()
        case "max_pool":
            return nn.MaxPool2d(o["kernel"])
        case "mean_pool":
            return nn.AvgPool2d(o["kernel"])
        case "flatten":
            return nn.Flatten()
        case "linear":
            return nn.Linear(shape[0], o["units"])
    return MORE[o["type"]](o, shape)


# %% [markdown]
# ### Exercise 2 · The network — 1 point, 30 minutes, ●●○
# Layer by layer: look its type up, get its options, make it, find the shape that comes out. (`name`
# and `type` are not in `LAYERS`: to `options` they would be unknown keys.)
#
# <details><summary>Hint 1</summary>The shape that comes out: send one image of zeros through the
# layer and look. (In which mode should batch normalisation be meanwhile? In training mode it
# would learn from the zeros.)</details>
#
# <details><summary>Hint 2</summary>A layer that does not fit raises RuntimeError when the image
# comes, a batch norm ValueError; <code>raise section.error("type", …) from None</code> turns that into
# a line of the text.</details>
#
# <details><summary>Hint 3</summary><code>nn.Sequential(layers)</code> takes an
# <code>OrderedDict</code>, name → layer: <code>from collections import
# OrderedDict</code>.</details>


# %% nbgrader={"grade_id": "build_network_code", "solution": true}
def build_network(network: Section) -> nn.Sequential:
    """The network that a text declares, its layers under their names, in training mode.

    network: has `name`, `input` (channels, height, width) and `layers`; each layer has `name`,
        `type`, and the keys of its type in LAYERS.
    Raises an error that names file, line and key: for `type` if there is no such type of layer, or
    if the layer does not fit what comes in; for `name` if a name is taken; and whatever options finds.
    The sections are left as they were: the same text can be built again.
    """
    ### BEGIN SOLUTION
    from collections import OrderedDict

    declared = options(network, {"name": str, "input": list, "layers": list})
    shape, layers = tuple(declared["input"]), OrderedDict()
    for section in declared["layers"]:
        kind = section.get("type")
        if kind not in LAYERS:
            raise section.error("type", f"there is no layer {kind}; there are {', '.join(LAYERS)}")
        o = options(section, {"name": str, "type": str, **LAYERS[kind]})
        if o["name"] in layers:
            raise section.error("name", "a layer above has it")
        layer = make_layer(o, shape)
        try:
            shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])
        except (RuntimeError, ValueError) as error:
            raise section.error("type", f"it does not fit shape {shape}: {error}") from None
        layers[o["name"]] = layer.train()
    return nn.Sequential(layers)
    ### END SOLUTION


# %% nbgrader={"grade_id": "build_network", "grade": true, "points": 1}
check("build_network")

# %% [markdown]
# The picture shows what *your* network does to the shape: each block is what a layer puts out, as
# tall as its image, as wide as its channels are many.

# %%
with check.needs("options", "build_network"):
    network = build_network(network_spec)
    shapes, x = {"input": (3, 32, 32)}, train_X[:1].cpu()
    for name, layer in network.eval().named_children():
        x = layer(x)
        if x.ndim == 4 and not name.startswith(("norm", "relu")):
            shapes[name] = tuple(x.shape[1:])
    small = "Blocks from 3×32×32 to 128×1×1: ever smaller images, ever more channels."
    plots.show(figures.blocks(shapes), alt=small)
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters")

# %% [markdown]
# Height and width go, channels come: *where* is traded for *what*.
#
# ## 4 · The solver
# The second text says how the network is trained. Caffe's words: `base_lr` is the highest learning
# rate, `lr_policy` how it changes.

# %%
SOLVER = f"""\
optimizer: sgd
base_lr: 0.1
momentum: 0.9
weight_decay: 0.0005
lr_policy: one_cycle
warm_up: 0.25
epochs: {sizes.epochs}
batch_size: 64
seed: 0
"""
(folder / "solver.yaml").write_text(SOLVER, encoding="utf-8")
solver_spec = spec.read(folder / "solver.yaml")

# %%
SOLVERS: dict[str, Any] = {
    "optimizer": "sgd",  # or adamw, which takes no momentum
    "base_lr": float,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "lr_policy": "fixed",  # or one_cycle
    "warm_up": 0.25,  # the share of all steps in which the rate rises: above 0, below 1
    "epochs": int,
    "batch_size": 64,
    "seed": 0,
}

# %% [markdown]
# `training.fit` takes a **schedule**: a function of `(step, steps)`, step counting from 0 to steps − 1
# over all epochs, whose value is a *factor* on the optimizer's learning rate. Fixed: always 1. The
# one-cycle policy (Smith 2018), here with straight lines, rises to 1 over the share $w$ (`warm_up`)
# of the steps and falls to 0 over the rest:
#
# $$t = \frac{\text{step} + 1}{\text{steps} + 1},\qquad
# f = \begin{cases} t/w & t < w\\ (1-t)/(1-w) & \text{otherwise}\end{cases}$$
#
# ### Exercise 3 · The solver — 0.75 points, 15 minutes, ●○○
# Return the arguments for `training.fit`, as a dict.
#
# <details><summary>Hint 1</summary>A function inside a function sees the outer one's variables:
# define <code>schedule(step, steps)</code> inside.</details>


# %% nbgrader={"grade_id": "build_solver_code", "solution": true}
def build_solver(solver: Section, model: nn.Module) -> dict[str, Any]:
    """What training.fit needs beside model and data, as the text declares it.

    The keys: optimizer (torch.optim.SGD or AdamW, over all of the model's parameters, with the
    declared rate, weight decay and, for sgd, momentum), schedule, epochs, batch_size, seed.
    Raises an error that names file, line and key for another optimizer or lr_policy than those in
    the comments of SOLVERS, and for whatever options finds. The section is left as it was.
    """
    ### BEGIN SOLUTION
    o = options(solver, SOLVERS)
    common = {"lr": o["base_lr"], "weight_decay": o["weight_decay"]}
    if o["optimizer"] == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), momentum=o["momentum"], **common)
    elif o["optimizer"] == "adamw":
        optimizer = torch.optim.AdamW(model.parameters(), **common)
    else:
        raise solver.error("optimizer", "it should be sgd or adamw")
    if o["lr_policy"] not in ("fixed", "one_cycle"):
        raise solver.error("lr_policy", "it should be fixed or one_cycle")

    def schedule(step: int, steps: int) -> float:
        if o["lr_policy"] == "fixed":
            return 1.0
        t, w = (step + 1) / (steps + 1), o["warm_up"]
        return t / w if t < w else (1 - t) / (1 - w)

    kept = {key: o[key] for key in ("epochs", "batch_size", "seed")}
    return {"optimizer": optimizer, "schedule": schedule, **kept}
    ### END SOLUTION


# %% nbgrader={"grade_id": "build_solver", "grade": true, "points": 0.75}
check("build_solver")

# %%
with check.needs("options", "build_solver"):
    plan = build_solver(solver_spec, nn.Linear(2, 2))
    steps = plan["epochs"] * -(-count // plan["batch_size"])
    rates = [solver_spec["base_lr"] * plan["schedule"](step, steps) for step in range(steps)]
    fig, ax = plt.subplots(figsize=(6.4, 2.8))
    plots.curves(ax, {"one_cycle": rates}, "step", "learning rate")
    plots.show(fig, alt="The learning rate rises for a quarter of the steps, then falls to 0.")

# %% [markdown]
# ## 5 · Batch normalisation
# Every layer learns from what the layers below send, and those change meanwhile. How large is what
# comes through many layers? Noise of standard deviation 1 goes through 16 convolutions with ReLU,
# with the weights that PyTorch gives them at first.

# %%
check.predict("the spread after 16 layers", "", "grows", "stays", "shrinks")

# %%
torch.manual_seed(0)
spreads: dict[str, list[float]] = {"PyTorch's": [], "He's": [], "batch norm": []}
for kind, spread in spreads.items():
    x = torch.randn(32, 16, 8, 8)
    for _ in range(16):
        conv = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        if kind == "He's":
            nn.init.kaiming_normal_(conv.weight)
        x = conv(x).detach()
        x = F.relu(nn.BatchNorm2d(16)(x).detach() if kind == "batch norm" else x)
        spread.append(x.std().item())
    print(f"{kind:10} from {spread[0]:.2g} to {spread[-1]:.2g}:", end=" ")
    print(f"times {(spread[-1] / spread[0]) ** (1 / 15):.2f} a layer")
change = spreads["PyTorch's"][-1] / spreads["PyTorch's"][0]
found = "shrinks" if change < 0.5 else "grows" if change > 2 else "stays"
check.measured("the spread after 16 layers", found)

# %%
fig, ax = plt.subplots(figsize=(6.4, 3))
ax.set_yscale("log")
plots.curves(ax, spreads, "layer", "standard deviation")
plots.show(fig, alt="PyTorch's falls in a straight line, He's slowly, batch norm stays level.")

# %% [markdown]
# On the logarithmic axis the fall is a straight line: every layer multiplies by the same factor, and
# the factor can be calculated. A number that comes out is a sum of $n = 16 \cdot 9$ products. If the
# weights have variance $v$, its variance is $n v$ times the mean square of what came in, and ReLU keeps
# half of that mean square. So a layer multiplies it by $n v / 2$.

# %% [markdown]
# PyTorch draws weights with $v = 1/(3n)$: the factor is 1/6, or $\sqrt{1/6} = 0.41$ for the spread. He
# and others (2015) take $v = 2/n$, so that it is 1. (Both come out lower here: at the rim, where a small
# image has much of its area, some of the $n$ products are with the padding's zeros.)

# %% [markdown]
# He's weights are right at the start only; training changes them. The third curve does not calculate
# the spread, it measures it, in every batch anew.
#
# **Batch normalisation** (Ioffe, Szegedy 2015) makes each channel's mean 0 and variance 1 *over the
# batch and the image*, then lets the network choose another mean and spread, with a `weight` $\gamma$
# and a `bias` $\beta$ for each channel:
#
# $$y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta$$

# %% [markdown]
# In **training mode** $\mu, \sigma^2$ are those of the batch at hand, $\sigma^2$ divided by the count
# $n$ of numbers in a channel. Besides, **running** statistics are kept for later. The new batch's share
# $m$ is the argument `momentum`, usually 0.1:
#
# $$\text{running} \leftarrow (1 - m)\cdot\text{running} + m\cdot\text{batch's}$$
#
# where the batch's variance is divided by $n - 1$, the unbiased estimate. In **evaluation mode** the
# running statistics are used, and left as they are: what the network says of a picture must not
# depend on which others came along.

# %% [markdown]
# ### Exercise 4 · Batch normalisation — 2.5 points, 30 minutes, ●●○
# Use sums, means and `var`; PyTorch's own normalisations, `F.batch_norm` and its like, are not allowed.
#
# <details><summary>Hint 1</summary><code>x.mean(dim=(0, 2, 3))</code> has shape (C,);
# <code>.reshape(1, C, 1, 1)</code> or <code>keepdim=True</code> lets it broadcast against
# x.</details>
#
# <details><summary>Hint 2</summary><code>x.var(dim=…, correction=0)</code> divides by n,
# <code>correction=1</code> by n − 1.</details>
#
# <details><summary>Hint 3</summary>The gradient goes back through μ and σ², too: they depend on x.
# The running statistics are only numbers to keep: <code>.detach()</code> them.</details>


# %% nbgrader={"grade_id": "batch_norm_code", "solution": true}
def batch_norm(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation of x: (N, C, H, W); the other tensors: (C,).

    Returns (y, running_mean, running_var): y (N, C, H, W), and the running statistics after the
    call, without a graph. No argument is changed.
    """
    ### BEGIN SOLUTION
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)
        unbiased = x.var(dim=(0, 2, 3)).detach()
        running_mean = (1 - momentum) * running_mean + momentum * mean.detach()
        running_var = (1 - momentum) * running_var + momentum * unbiased
    mean, scale, bias = (
        one.reshape(1, -1, 1, 1) for one in (mean, weight / torch.sqrt(var + eps), bias)
    )
    return (x - mean) * scale + bias, running_mean, running_var
    ### END SOLUTION


# %% nbgrader={"grade_id": "batch_norm", "grade": true, "points": 2.5}
check("batch_norm")

# %% [markdown]
# A test batch of a single class, say 1,000 frogs, goes through a trained network in *training* mode.
# Will it recognise more of them than in evaluation mode, or fewer? Section 7 will measure it.

# %%
check.predict("frogs recognised in training mode", "", "more", "fewer", "as many")

# %%
with check.needs("batch_norm"):
    fig, ax = plt.subplots(figsize=(6.4, 3))
    kept, red = {}, train_X[:, :1].cpu() + 2  # one channel, with mean 2
    for momentum in (0.02, 0.1, 0.9):
        mean, var = torch.zeros(1), torch.ones(1)
        kept[f"momentum {momentum:g}"] = means = []
        for batch in red[:3200].split(64):
            _, mean, var = batch_norm(
                batch, torch.ones(1), torch.zeros(1), mean, var, True, momentum
            )
            means.append(mean.item())
    plots.curves(ax, kept, "batches seen", "running mean")
    ax.axhline(2, color=plots.GREY, linewidth=1)
    plots.show(fig, alt="The running mean nears 2: slowly, sooner, or at once and restlessly.")

# %% [markdown]
# The grey line is the mean over all images. A small momentum is slow, a large one keeps little but the
# last batch. (Elsewhere in deep learning a momentum of 0.9 is what keeps 90 % of the *old*; PyTorch's
# here is the share of the *new*.)
#
# ## 6 · Pictures that were never taken
# A frog seen from a little to the left is a frog, and so is its mirror image. **Augmentation** makes
# such pictures for training, new ones in every epoch: pad each image with zeros, cut a window of the
# old size out of it anywhere, and toss a coin whether to flip it left to right.

# %% [markdown]
# ### Exercise 5 · Augmentation — 1.5 points, 25 minutes, ●●○
# Every image has its own window and its own flip, all drawn from `generator`.
#
# (Zero is the right padding for normalised images: it is the mean colour. Labels stay as they are.)
#
# <details><summary>Hint 1</summary><code>F.pad(x, (p, p, p, p))</code> pads left, right, top and
# bottom. A window of the old size can start at how many places in each direction?</details>
#
# <details><summary>Hint 2</summary><code>torch.randint(low, high, (N,), generator=generator)</code>
# leaves <code>high</code> out.</details>
#
# <details><summary>Hint 3</summary>A loop over the images is fine. To flip some:
# <code>torch.where(mask, x.flip(3), x)</code> with a mask of shape (N, 1, 1, 1).</details>


# %% nbgrader={"grade_id": "augment_code", "solution": true}
def augment(x: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """Each image of x: (N, C, H, W) padded, cropped at random to its old size, maybe flipped.

    All (2·padding + 1)² places of the window are equally likely, and a flip is as likely as none,
    wherever the window is.
    generator: on the CPU; all chance comes from it. x is left as it was; the result has its dtype.
    """
    ### BEGIN SOLUTION
    n, _, height, width = x.shape
    padded = F.pad(x, (padding,) * 4)
    tops, lefts = torch.randint(0, 2 * padding + 1, (2, n), generator=generator).tolist()
    windows = [
        one[:, top : top + height, left : left + width]
        for one, top, left in zip(padded, tops, lefts, strict=True)
    ]
    flipped = (torch.rand(n, generator=generator) < 0.5).reshape(n, 1, 1, 1).to(x.device)
    cropped = torch.stack(windows)
    return torch.where(flipped, cropped.flip(3), cropped)
    ### END SOLUTION


# %% nbgrader={"grade_id": "augment", "grade": true, "points": 1.5}
check("augment")


# %%
def as_picture(x: Tensor) -> np.ndarray:
    """(N, 3, H, W) normalised → (N, H, W, 3), 0 to 1."""
    return (x * colour_std + colour_mean).clip(0, 1).permute(0, 2, 3, 1).cpu().numpy()


with check.needs("augment"):
    generator = torch.Generator().manual_seed(0)
    originals = train_X[:4]
    rounds = [originals, *(augment(originals, generator) for _ in range(8))]
    shown = torch.stack(rounds, dim=1).flatten(0, 1)  # a row for each original
    titles = ["as taken", *[f"epoch {n}" for n in range(1, 9)], *[""] * 27]
    fig = plots.image_grid(as_picture(shown), titles, columns=9)
    plots.show(fig, alt="Four images and eight augmented versions of each: shifted, some mirrored.")

# %% [markdown]
# The grey margins are the padding. Every image moves its own way; nothing stands on its head.
#
# ## 7 · Training
# Two texts, two calls. (Your augmentation takes part from scale `cpu` on. In the few epochs of `smoke`
# nothing is learnt by heart yet, so it could only cost.)

# %% tags=["headline"]
model: nn.Module | None = None
with check.needs("options", "build_network", "build_solver", "augment"):
    torch.manual_seed(solver_spec["seed"])
    built = build_network(network_spec).to(device, memory_format=torch.channels_last)
    plan = build_solver(solver_spec, built)
    plan["augment"] = augment if sizes.augment else None
    history = training.fit(built, train=train, held_out=test, live=training.Live(), **plan)
    floor = 0.9 if sizes.scale in ("gpu", "multi") and len(train_X) == 50_000 else 0.6
    target = floor if pictures.name.startswith("CIFAR-10") else 0.9
    print(
        f"{pictures.name}: {history.last.held_out_accuracy:.2%} of {len(test_y):,} test images right after"
        f" {len(history.rows)} epochs on {count:,}, {history.seconds:.1f} s (target {target:.0%};"
        f" linear {control:.1%})"
    )
    model = built

# %% [markdown]
# Where does it err? Each row is a true class, each column an answer; a row sums to 100 %. Photographs
# of animals are mostly taken for other animals, automobiles for trucks.

# %%
if model is not None:
    with training.evaluation_mode(model), torch.no_grad():
        answers = torch.cat([model(part).argmax(dim=1) for part in test_X.split(500)])
    fig = figures.confusion(test_y, answers, names)
    plots.show(fig, alt="A confusion matrix: mostly the diagonal; animals are taken for animals.")

# %% [markdown]
# Now the frogs of section 5, and the other classes. One class at a time goes through the trained
# network, once in each mode.

# %%
if model is not None:
    rows = {"evaluation": [], "training": []}
    for mode, right in rows.items():
        for label in range(10):
            subject = copy.deepcopy(model).train(mode == "training")  # training mode changes it
            with torch.no_grad():
                said = subject(test_X[test_y == label]).argmax(dim=1)
            right.append((said == label).float().mean().item())
        print(f"{mode} mode: {np.mean(right):.1%} right, class by class")
    frogs = [right[names.index("frog") if "frog" in names else 0] for right in rows.values()]
    said = "as many" if frogs[0] == frogs[1] else "more" if frogs[1] > frogs[0] else "fewer"
    check.measured("frogs recognised in training mode", said)
    fig = figures.by_mode(rows, names)
    plots.show(fig, alt="In training mode far fewer images of a single class are recognised.")

# %% [markdown]
# In training mode whatever they all have in common, their being frogs, is subtracted as the batch's
# mean. Forgetting `model.eval()` is the commonest fault in evaluation code; it hides when test batches
# are large and mixed.
#
# And augmentation, what does it gain? A network that sees few images again and again learns them by
# heart. We train on 1,000, with and without, from several seeds. (To be quick, on images of 16×16:
# the text gets one more line, which takes the mean of each 2×2 pixels.)
#
# Which of the two will be better on its *training* images?

# %%
check.predict("better on its training images", "", "as taken", "augmented")


# %%
shrink = "layers:\n  - {name: shrink, type: mean_pool, kernel: 2}\n"
QUICK = NETWORK.replace("layers:\n", shrink).replace("kernel: 4}", "kernel: 2}")


def few_images(seed: int, augmented: bool) -> tuple[float, float]:
    """Accuracy on training and test images of a network trained on the first few images."""
    torch.manual_seed(seed)
    net = build_network(spec.parse(QUICK)).to(device, memory_format=torch.channels_last)
    plan = build_solver(solver_spec, net) | {"epochs": sizes.few_epochs, "seed": seed}
    few = train_X[:1000], train_y[:1000]
    glance = test_X[:100], test_y[:100]
    training.fit(net, train=few, held_out=glance, augment=augment if augmented else None, **plan)
    return training.evaluate(net, *few).accuracy, training.evaluate(net, *test).accuracy


# %%
with check.needs("options", "build_network", "build_solver", "augment"):
    print(f"1,000 images, {sizes.few_epochs} epochs, {sizes.seeds} seeds: accuracy on")
    results = {}
    for augmented in (False, True):
        kind = "augmented" if augmented else "as taken"
        results[kind] = [few_images(seed, augmented) for seed in range(sizes.seeds)]
        listed = (f"training {a:.1%}, test {b:.1%}" for a, b in results[kind])
        print(f"  {kind:9}  {';  '.join(listed)}")
    first = {kind: np.mean(runs, axis=0)[0] for kind, runs in results.items()}
    check.measured("better on its training images", max(first, key=lambda kind: first[kind]))
    fig = figures.accuracies(results)
    plots.show(fig, alt="Accuracy on training and test images, as taken and augmented, by seed.")

# %% [markdown]
# As taken, the network ends up knowing its training images by heart; augmented, it never sees one
# twice, does worse on them and better on new ones. The gap between the two is what **overfitting**
# costs. With few epochs, or on images so easy that there is nothing to gain, augmentation can also
# cost: a network that has learnt nothing by heart has nothing to forget. So compare, over several
# seeds: is the difference larger than the scatter?

# %% [markdown]
# ## 8 · Fifty times fewer parameters
# AlexNet (Krizhevsky, Sutskever, Hinton 2012) won ImageNet with 61 million parameters. SqueezeNet
# (Iandola et al. 2016) reached the same accuracy with 1.2 million. Where do parameters sit, and what
# saves them?

# %%
with torch.device("meta"):  # shapes only: nothing is allocated
    alexnet, squeezenet = models.alexnet(), models.squeezenet1_0()


def parameter_count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


for name, layer in alexnet.named_modules():
    if isinstance(layer, nn.Conv2d | nn.Linear):
        print(f"{name:14}{tuple(layer.weight.shape)!s:20} + {tuple(layer.bias.shape)}")
print(f"all together  {parameter_count(alexnet):,}")

# %% [markdown]
# A convolution's weight is `(channels out, channels in, k, k)`, a linear layer's `(units, inputs)`;
# each has one bias for every channel or unit that comes out. A **Fire module** replaces one
# convolution from 96 to 128 channels, with 3×3 kernels, by three:
#
# - **squeeze**: 1×1, from 96 to 16 channels;
# - **expand**: 1×1, from 16 to 64, and beside it 3×3, from 16 to 64; the two results are stacked to
#   128 channels.

# %% [markdown]
# ### Exercise 6 · Parameters — 0.75 points, 15 minutes, ●○○
# All with their biases: `conv_parameters`, of that 3×3 convolution from 96 to 128 channels;
# `fire_parameters`, of the Fire module; `fc6_parameters`, of AlexNet's first linear layer,
# `classifier.1` above. And `without_linear`: how many times fewer parameters would AlexNet have
# without its three linear layers?

# %% nbgrader={"grade_id": "parameters_by_hand", "solution": true}
conv_parameters = None  # a whole number
fire_parameters = None  # a whole number
fc6_parameters = None  # a whole number
without_linear = None  # a number, to three digits
### BEGIN SOLUTION
conv_parameters = 96 * 128 * 9 + 128
fire_parameters = (96 * 16 + 16) + (16 * 64 + 64) + (16 * 64 * 9 + 64)
fc6_parameters = 9216 * 4096 + 4096
without_linear = 61_100_840 / 2_469_696
### END SOLUTION

# %% nbgrader={"grade_id": "parameters", "grade": true, "points": 0.75}
check("parameters")

# %% [markdown]
# ### Exercise 7 · Fire — 1.25 points, 15 minutes, ●●○
# ReLU after each of the three convolutions. Height and width stay as they are.
#
# <details><summary>Hint 1</summary>A 3×3 kernel without padding makes the image smaller by 2; then
# the two results do not stack.</details>
#
# <details><summary>Hint 2</summary><code>torch.cat((a, b), dim=1)</code> stacks channels.</details>


# %% nbgrader={"grade_id": "Fire_code", "solution": true}
class Fire(nn.Module):
    """SqueezeNet's Fire module: (N, inputs, H, W) → (N, ones + threes, H, W).

    squeeze: the 1×1 convolution inputs → squeezed; expand1x1: squeezed → ones; expand3x3:
    squeezed → threes. The result has expand1x1's channels first.
    """

    def __init__(self, inputs: int, squeezed: int, ones: int, threes: int) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, ones, 1)
        self.expand3x3 = nn.Conv2d(squeezed, threes, 3, padding=1)
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        x = F.relu(self.squeeze(x))
        return torch.cat((F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))), dim=1)
        ### END SOLUTION


# %% nbgrader={"grade_id": "Fire", "grade": true, "points": 1.25}
check("Fire")

# %% [markdown]
# SqueezeNet 1.0 is a convolution, eight Fire modules with three poolings among them, and a 1×1
# convolution to 1,000 channels whose average over the image is the score: no linear layer at all.


# %%
def fire_network() -> nn.Sequential:
    """SqueezeNet 1.0 from your Fire modules."""
    pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    early = [Fire(96, 16, 64, 64), Fire(128, 16, 64, 64), Fire(128, 32, 128, 128), pool]
    middle = [Fire(256, 32, 128, 128), Fire(256, 48, 192, 192), Fire(384, 48, 192, 192)]
    late = [Fire(384, 64, 256, 256), pool, Fire(512, 64, 256, 256)]
    start = [nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(), pool]
    end = [nn.Dropout(0.5), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*start, *early, *middle, *late, *end, nn.Flatten())


with check.needs("Fire"):
    with torch.device("meta"):
        yours = fire_network()
    print(f"yours          {parameter_count(yours):>12,}")
    print(f"torchvision's  {parameter_count(squeezenet):>12,}")
    print(f"AlexNet        {parameter_count(alexnet):>12,}")
    print(f"ratio          {parameter_count(alexnet) / parameter_count(yours):12.1f}")
    print(f"without linear {parameter_count(alexnet) / parameter_count(alexnet.features):12.1f}")

# %%
groups = {"AlexNet": alexnet, "SqueezeNet 1.0": squeezenet}
fig = figures.parameters(groups)
plots.show(fig, alt="AlexNet: two linear layers dwarf all else. SqueezeNet: evenly small Fires.")

# %% [markdown]
# Hatched bars are linear layers; AlexNet's are nearly all of it. Mind the axes, the right one is some
# seventy times finer. So most of the saving is not Fire's: giving up the linear layers saves a factor
# of 24.7, and all that is left for eight Fire modules, deeper than AlexNet's five convolutions, is the
# factor of 2 from there to 48.9.

# %% [markdown]
# ## 9 · A way round
# More layers should never hurt: the added ones could leave things as they are. Yet plain deep networks
# get *worse*, on their training images too (He et al. 2015): "leave it as it is" is hard to learn
# for a convolution. A **residual block** makes it the default. Its layers compute what to *add*:
#
# $$y = \mathrm{relu}(\,F(x) + x\,),\qquad F = \text{norm2} \circ \text{conv2} \circ \mathrm{relu}
# \circ \text{norm1} \circ \text{conv1}$$
#
# Where F changes the channels or the size, x cannot be added as it is: the **shortcut** is then a
# **projection**, a 1×1 convolution with the same stride, and a batch norm.

# %% [markdown]
# ### Exercise 8 · Residual block — 1.5 points, 20 minutes, ●●●
# A class with the parts that its docstring lists, under those names.
#
# <details><summary>Hint 1</summary><code>nn.Identity()</code> is a shortcut that changes nothing and
# has no parameters.</details>
#
# <details><summary>Hint 2</summary>Only conv1 has the stride; conv2 keeps the size. No biases: the
# norm that follows would subtract them.</details>


# %% nbgrader={"grade_id": "residual_block_code", "solution": true}
class ResidualBlock(nn.Module):
    """(N, inputs, H, W) → (N, outputs, H / stride, W / stride), with a shortcut.

    conv1, conv2: 3×3 convolutions with padding 1 and no bias, conv1 with the stride; norm1, norm2:
    nn.BatchNorm2d; shortcut: nn.Identity() if stride is 1 and outputs equals inputs, else
    nn.Sequential of a 1×1 convolution with the stride and no bias, and nn.BatchNorm2d.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        ### BEGIN SOLUTION
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        ### END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        ### BEGIN SOLUTION
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return F.relu(out + self.shortcut(x))
        ### END SOLUTION


# %% nbgrader={"grade_id": "residual_block", "grade": true, "points": 1.5}
check("residual_block")

# %% [markdown]
# At the start of training, norm2's weight and bias are often set to 0. What does a block without a
# projection compute then?

# %%
check.predict("what a block with norm2 at 0 computes", "", "0", "x", "relu(x)")

# %%
with check.needs("ResidualBlock"):
    block, x = ResidualBlock(4, 4).eval(), torch.randn(2, 4, 6, 6)
    nn.init.zeros_(block.norm2.weight)
    y = block(x).detach()
    values = {"0": 0 * x, "x": x, "relu(x)": F.relu(x)}
    found = [name for name, value in values.items() if torch.allclose(y, value)]
    check.measured("what a block with norm2 at 0 computes", (found or ["none of them"])[0])

# %% [markdown]
# Does it help? Networks of 4 and of 24 layers learn the same 256 images, each 8×8 pixels small: plain
# ones, and the same with shortcuts. (The blocks here are the lab's own, so that the picture does not
# wait for yours.) Whose *training* loss will be highest at the end?

# %%
kinds = [f"{depth} layers, {kind}" for depth in (4, 24) for kind in ("plain", "residual")]
check.predict("the highest training loss", "", *kinds)


# %%
class Block(nn.Module):
    """Two convolutions of 16 channels, with or without a shortcut."""

    def __init__(self, shortcut: bool) -> None:
        super().__init__()
        conv = [nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(2)]
        norm = [nn.BatchNorm2d(16) for _ in range(2)]
        self.layers = nn.Sequential(conv[0], norm[0], nn.ReLU(), conv[1], norm[1])
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.layers(x) + x if self.shortcut else self.layers(x))


# %%
def depth_run(blocks: int, shortcut: bool, steps: int = 48) -> np.ndarray:
    """The loss of each step, as a mean over eight."""
    torch.manual_seed(0)
    body = [Block(shortcut) for _ in range(blocks)]
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), *body, *end).to(device)
    optimizer, losses = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9), []
    X = F.avg_pool2d(train_X[:256], 4).contiguous()
    for batch in torch.arange(steps * 64).remainder(256).split(64):
        loss = F.cross_entropy(net(X[batch]), train_y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.convolve(losses, np.ones(8) / 8, mode="valid")


# %%
runs = {
    f"{2 * blocks} layers, {kind}": depth_run(blocks, kind == "residual")
    for blocks in (12, 2)
    for kind in ("plain", "residual")
}
check.measured("the highest training loss", max(runs, key=lambda kind: runs[kind][-1]))
fig, ax = plt.subplots(figsize=(6.4, 3.4))
plots.curves(ax, runs, "step", "training loss (nats)")
plots.show(fig, alt="24 plain layers learn worst by far; 24 with shortcuts best.")

# %% [markdown]
# Twenty-four plain layers could do all that four can, and do not find it, on the very images they
# are trained on; that is no overfitting. The shortcuts hand the gradient to every layer directly.
# Networks of a hundred and more layers followed, and every transformer has such a shortcut around
# each of its parts.

# %% [markdown]
# ## 10 · Your own layers, declared
# Now the layers that you wrote go into a declaration, and learn. `batch_norm` needs a module around it
# that keeps its tensors: weight and bias are **parameters**, which the optimizer changes; the running
# statistics are **buffers**, which belong to the network's state and are not learnt.


# %%
class OwnNorm(nn.Module):
    """Your batch_norm as a layer."""

    mean: Tensor
    var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        kept = self.mean, self.var
        y, self.mean, self.var = batch_norm(x, self.weight, self.bias, *kept, self.training)
        return y


# %%
LAYERS |= {"own_norm": {}, "fire": {"squeezed": int, "expanded": int}}
LAYERS |= {"residual": {"channels": int, "stride": 1}}
MORE["own_norm"] = lambda o, shape: OwnNorm(shape[0])
MORE["fire"] = lambda o, shape: Fire(shape[0], o["squeezed"], o["expanded"], o["expanded"])
MORE["residual"] = lambda o, shape: ResidualBlock(shape[0], o["channels"], o["stride"])
OWN = """\
name: own
input: [3, 32, 32]
layers:
  - {name: shrink, type: mean_pool, kernel: 2}
  - {name: conv1, type: conv, channels: 16, kernel: 3, padding: 1, bias: false}
  - {name: norm1, type: own_norm}
  - {name: relu1, type: relu}
  - {name: fire2, type: fire, squeezed: 8, expanded: 16}
  - {name: block3, type: residual, channels: 64, stride: 2}
  - {name: pool3, type: max_pool, kernel: 8}
  - {name: flatten, type: flatten}
  - {name: scores, type: linear, units: 10}
"""

# %%
with check.needs("options", "build_network", "build_solver", "batch_norm", "Fire", "ResidualBlock"):
    torch.manual_seed(0)
    net = build_network(spec.parse(OWN, "own.yaml")).to(device)
    plan = build_solver(solver_spec, net) | {"epochs": 5}
    some, glance = (train_X[:2000], train_y[:2000]), (test_X[:1000], test_y[:1000])
    history = training.fit(net, train=some, held_out=glance, live=training.Live(), **plan)
    print(f"{parameter_count(net):,} parameters, all in layers that you wrote or declared:")
    print(
        f"{history.last.held_out_accuracy:.1%} of 1,000 test images, after 2,000 images, 5 times each"
    )

# %% [markdown]
# ## 11 · Experiments
# Nothing here is graded. Change a text, build, train.
#
# - Take the four `batch_norm` lines out of the text, and try `base_lr` from 0.02 to 0.4, with and
#   without them. Which rates are best in either case, and how good is the best?
# - `lr_policy: fixed`, at the same rate. `optimizer: adamw` at 0.002.
# - Flip upside down as well. On CIFAR-10 it costs a little; on the drawn pictures two classes become
#   one. Which?
# - Declare a deeper network of `residual` layers. With 24 of them, does it still learn?
# - How much does each of the four poolings cost, if you take it out?


# %%
def experiment(network: str = QUICK, solver: str = SOLVER, epochs: int = 5) -> float:
    """Test accuracy of a network and a solver, each given as a text."""
    torch.manual_seed(0)
    net = build_network(spec.parse(network, "network.yaml")).to(device)
    plan = build_solver(spec.parse(solver, "solver.yaml"), net) | {"epochs": epochs}
    few = train_X[:1000], train_y[:1000]
    training.fit(net, train=few, held_out=few, **plan)
    return training.evaluate(net, *test).accuracy


with check.needs("options", "build_network", "build_solver"):
    plain = "\n".join(line for line in QUICK.splitlines() if "batch_norm" not in line)
    print("1,000 images of 16×16, 5 epochs: accuracy on test images")
    print(f"  as declared     {experiment():.1%}")
    print(f"  no batch norm   {experiment(plain):.1%}")

# %% [markdown]
# ## 12 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `build_network`, `build_solver` | Caffe's `Net` and `Solver`; today Hydra, Lightning's `--config`, Hugging Face's `config.json` |
# | `batch_norm(x, …)` | `F.batch_norm`, `nn.BatchNorm2d` |
# | `augment(x, generator)` | `transforms.v2.RandomCrop(32, padding=4)`, `RandomHorizontalFlip()`, per image |
# | `Fire` | `torchvision.models.squeezenet.Fire` |
# | `ResidualBlock` | `torchvision.models.resnet.BasicBlock` |
# | the one-cycle schedule | `torch.optim.lr_scheduler.OneCycleLR` |
#
# Same input, same weights, your batch norm against PyTorch's, in both modes:

# %%
with check.needs("batch_norm"):
    torch.manual_seed(0)
    x, theirs = torch.randn(8, 3, 5, 5), nn.BatchNorm2d(3)
    mean, var = theirs.running_mean.clone(), theirs.running_var.clone()
    for mode in (True, False):
        theirs.train(mode)
        y, mean, var = batch_norm(x, theirs.weight, theirs.bias, mean, var, mode)
        worst = (y - theirs(x)).abs().max().item()
        drift = (var - theirs.running_var).abs().max().item()
        print(
            f"training={mode!s:6} largest difference of y {worst:.1e}, of running_var {drift:.1e}"
        )

# %% [markdown]
# ## 13 · Further
# - Jia et al. (2014), *Caffe: Convolutional architecture for fast feature embedding*,
#   [arXiv:1408.5093](https://arxiv.org/abs/1408.5093): networks and solvers as texts.
# - Krizhevsky (2009), *Learning multiple layers of features from tiny images*, report, University of
#   Toronto: CIFAR-10.
# - Krizhevsky, Sutskever, Hinton (2012), *ImageNet classification with deep convolutional neural
#   networks*, NeurIPS, [10.1145/3065386](https://doi.org/10.1145/3065386).
# - Ioffe, Szegedy (2015), *Batch normalization*, [arXiv:1502.03167](https://arxiv.org/abs/1502.03167).
# - He, Zhang, Ren, Sun (2015), *Deep residual learning for image recognition*,
#   [arXiv:1512.03385](https://arxiv.org/abs/1512.03385): 20 and 56 plain layers on CIFAR-10, the deeper
#   one worse, as above; 110 with shortcuts reach 93.6 %.

# %% [markdown]
# - Iandola et al. (2016), *SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and < 0.5 MB
#   model size*, [arXiv:1602.07360](https://arxiv.org/abs/1602.07360). You counted 48.9, of torchvision's
#   AlexNet.
# - Goyal et al. (2017), *Accurate, large minibatch SGD*,
#   [arXiv:1706.02677](https://arxiv.org/abs/1706.02677): blocks that start with the last norm's weight
#   at 0.
# - Smith (2018), *A disciplined approach to neural network hyper-parameters*,
#   [arXiv:1803.09820](https://arxiv.org/abs/1803.09820): the one-cycle policy.
#
# **Next:** in lab 07 you open a network that is trained, and look for its evidence.

# %%
progress()
