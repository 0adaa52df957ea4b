# %% [markdown]
# # 07 · Inside a network
# A trained network names what is in a picture and does not say why. Here you open it: what every layer
# puts out, which pixels moved the score, where the last layers found their evidence, what a unit likes
# best. Then you test such explanations, on pictures where the right answer is known.
#
# The picture below is the page on which NVIDIA's DIGITS showed a network at work. By section 2 you will
# have made it yourself.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from grading.check import checks, progress
from utils import plots, settings, training
from utils.data import images, scenes
from utils.device import best_device
from utils.figures import inside as figures

# %%
check = checks("07_inside")
sizes = settings.choose(
    scale,
    smoke={"images": 10_000, "epochs": 3, "scenes": 3000, "looks": 3, "steps": 150, "seeds": 3},
    cpu={"images": 10_000, "epochs": 12, "scenes": 6000, "looks": 8, "steps": 250, "seeds": 5},
    gpu={"images": 50_000, "epochs": 20, "scenes": 20_000, "looks": 10, "steps": 500, "seeds": 8},
)
device = best_device()
pictures = images.cifar10()
names = pictures.class_names


# %%
def chain(widths: Sequence[int], classes: int, side: int = 32) -> nn.Sequential:
    """As lab 06's network: for each width conv, norm, relu and pool; then flatten and scores."""
    layers, inputs = OrderedDict[str, nn.Module](), 3
    for n, width in enumerate(widths, 1):
        layers[f"conv{n}"] = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        layers[f"norm{n}"] = nn.BatchNorm2d(width)
        layers[f"relu{n}"] = nn.ReLU()
        layers[f"pool{n}"] = nn.MaxPool2d(side >> (n - 1) if n == len(widths) else 2)
        inputs = width
    layers["flatten"], layers["scores"] = nn.Flatten(), nn.Linear(inputs, classes)
    return nn.Sequential(layers).to(device, memory_format=torch.channels_last)


def one_cycle(step: int, steps: int) -> float:
    """Lab 06's factor on the learning rate: up over a quarter of the steps, then down to 0."""
    t = (step + 1) / (steps + 1)
    return t / 0.25 if t < 0.25 else (1 - t) / 0.75


# %%
count = min(sizes.images, len(pictures.train_x))
seen = torch.from_numpy(pictures.train_x[:count]).float() / 255
mean, std = (
    one.reshape(1, 3, 1, 1).to(device) for one in (seen.mean((0, 1, 2)), seen.std((0, 1, 2)))
)


def as_input(x: np.ndarray) -> Tensor:
    """(N, 32, 32, 3) uint8 → (N, 3, 32, 32) float32, each colour normalised, on the device."""
    scaled = torch.from_numpy(x).to(device).permute(0, 3, 1, 2) / 255
    return ((scaled - mean) / std).contiguous(memory_format=torch.channels_last)


def as_picture(x: Tensor) -> np.ndarray:
    """(N, 3, H, W) normalised → (N, H, W, 3), 0 to 1."""
    return (x * std + mean).clip(0, 1).permute(0, 2, 3, 1).cpu().numpy()


# %%
train_X, test_X = as_input(pictures.train_x[:count]), as_input(pictures.test_x)
train_y = torch.from_numpy(pictures.train_y[:count]).to(device)
test_y = torch.from_numpy(pictures.test_y).to(device)

# %% [markdown]
# The network is lab 06's. If you want to look into *your own*, run in lab 06, at scale `smoke` or `cpu`,
# `torch.save(model.state_dict(), "06_network.pt")`, and put the file beside this notebook. Otherwise the
# next cell trains one. It says which it was.


# %%
def fitted(net: nn.Sequential, train: tuple, held_out: tuple, epochs: int, batch: int) -> float:
    """Train as lab 06 did; the accuracy on what was held out."""
    rate = {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}
    optimizer = torch.optim.SGD(net.parameters(), **rate)
    plan = {"epochs": epochs, "batch_size": batch, "schedule": one_cycle}
    return training.fit(net, optimizer, train, held_out, **plan).last.held_out_accuracy


torch.manual_seed(0)
model, own = chain((16, 32, 64, 128), 10), Path("06_network.pt")
if own.exists():
    model.load_state_dict(torch.load(own, weights_only=True, map_location=device))
    accuracy = training.evaluate(model, test_X, test_y).accuracy
else:
    accuracy = fitted(model, (train_X, train_y), (test_X, test_y), sizes.epochs, 64)
which = f"your own, from {own}" if own.exists() else f"trained here, {sizes.epochs} epochs"
print(f"{pictures.name}, network {which}: {accuracy:.1%} of the test images right")
print(f"It has {sum(weights.numel() for weights in model.parameters()):,} parameters.")

# %%
model.eval()
shown = int(test_y.tolist().index(3))  # the first test image of class 3
kept, x = {}, test_X[shown : shown + 1]
with torch.no_grad():
    for name, layer in model.named_children():
        x = kept[name] = layer(x)
chance = x[0].softmax(dim=0)
best = [(names[i], float(chance[i])) for i in chance.argsort(descending=True)[:5].tolist()]
rows = {name: kept[name][0] for name in kept if name.startswith(("relu", "flatten", "scores"))}
fig = figures.model_page(as_picture(test_X[shown : shown + 1])[0], best, rows)
plots.show(
    fig, alt="A picture, its five likeliest classes as bars, and a row of activations a layer."
)

# %% [markdown]
# *Top: the picture and what the network says. Below, a layer a row: its first channels, and a
# histogram of all its numbers.* From row to row the maps get coarser: the
# *where* goes. Most numbers of the later rows are 0.
#
# **You will** write hooks that look into any network, two kinds of maps, a search for similar images and a
# loss of several tasks; and find out when a map is evidence.
#
# **Not in this lab:** training beyond what is needed.
#
# **You need** labs 04 to 06, and 175 minutes. All cells compute for about a minute at scale `smoke`. Data:
# CIFAR-10 (Krizhevsky 2009) where it is at hand, else pictures that the lab draws.

# %% [markdown]
# ## 1 · What does it say?
# The network puts out ten **scores**, one a class: any real numbers. `softmax` makes probabilities of
# them: $p_c = e^{s_c} / \sum_j e^{s_j}$. A page shows the few best.
#
# ### Exercise 1 · The best few — 0.75 points, 15 minutes, ●○○
# Of two classes that are equally likely, the one that comes first in `names` is listed first.
#
# <details><summary>Hint 1</summary>Which functions that sort promise to leave equals in their
# order?</details>
#
# <details><summary>Hint 2</summary>A score of 10,000 is no mistake. What is e to that power, and what
# changes in the formula if the same number is taken from all scores?</details>


# %% nbgrader={"grade_id": "top_k_code", "solution": true}
def top_k(scores: Tensor, k: int, names: Sequence[str]) -> list[tuple[str, float]]:
    """The k likeliest classes, the likeliest first, as (name, probability).

    scores: (C,), of any size; names: C of them. Of equals the earlier one comes first. All C classes
    if k is more than that.
    >>> top_k(torch.tensor([0.0, 0.0, math.log(2)]), 2, ["cat", "dog", "ship"])
    [('ship', 0.5), ('cat', 0.25)]
    """
    ### BEGIN SOLUTION
    chance = torch.softmax(scores, dim=0)
    order = torch.sort(scores, descending=True, stable=True).indices[:k].tolist()
    return [(names[i], float(chance[i])) for i in order]
    ### END SOLUTION


# %% nbgrader={"grade_id": "top_k", "grade": true, "points": 0.75}
check("top_k")

# %%
with check.needs("top_k"):
    with torch.no_grad():
        scores = model(test_X[:6])
    for row, truth in zip(scores, test_y[:6].tolist(), strict=True):
        said = ", ".join(f"{name} {share:.0%}" for name, share in top_k(row, 3, names))
        print(f"{names[truth]:>16} is taken for: {said}")

# %% [markdown]
# ## 2 · What does every layer put out?
# For the page at the top the lab walked through the network, layer after layer. That works for a plain
# chain only. Where a network branches, or a layer is deep inside another, a **hook** looks at it: a
# function that PyTorch calls each time the layer has computed something.
#
# `module.register_forward_hook(f)` makes it call `f(module, inputs, output)` and returns a handle;
# `handle.remove()` ends it. `model.get_submodule("layer1.0.conv1")` finds a layer by its **name**:
# the names on the way to it, with dots between.

# %% [markdown]
# Looking must not change what is looked at:
#
# - A hook that is left behind goes on keeping tensors. It must go even if the network raises an error.
# - An output that is kept with its graph keeps all that it was computed from in memory.
# - A layer such as `nn.ReLU(inplace=True)` overwrites what the layer before has put out.
# - In training mode batch normalisation learns from whatever is sent through it (lab 06).
#   `with training.evaluation_mode(model):` sets evaluation mode, and afterwards each module's own again.

# %% [markdown]
# ### Exercise 2 · Activations — 1.5 points, 25 minutes, ●●○
# One forward pass, whatever the number of names.
#
# <details><summary>Hint 1</summary>The hook has to know under which name to keep what it sees. A
# function made inside a loop sees the loop variable as it is <i>when it is called</i>: let another
# function make it, with the name as its argument.</details>
#
# <details><summary>Hint 2</summary><code>try: … finally: …</code> removes the hooks in any case; also
# those that are there already when a later name turns out not to exist.</details>
#
# <details><summary>Hint 3</summary><code>detach()</code> shares its memory with the tensor it was
# called on.</details>


# %% nbgrader={"grade_id": "record_activations_code", "solution": true}
def record_activations(model: nn.Module, x: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """What each of the named layers puts out for a batch x, by name, in evaluation mode.

    A tensor is as the layer put it out, also if a later layer works in place; it has no graph.
    Model, x and gradients are left as they were; no hook stays, also where a name is unknown or the
    model raises: that error is passed on.
    """
    ### BEGIN SOLUTION
    kept, handles = {}, []

    def keeping(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            kept[name] = output.detach().clone()

        return keep

    try:
        for name in names:
            layer = model.get_submodule(name)
            handles.append(layer.register_forward_hook(keeping(name)))
        with training.evaluation_mode(model), torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return kept
    ### END SOLUTION


# %% nbgrader={"grade_id": "record_activations", "grade": true, "points": 1.5}
check("record_activations")

# %% [markdown]
# Your own page, of a network that has seen nothing yet: the same architecture with the weights it began
# with. One row at a time, compare it with the page at the top. Before you run it: of the numbers that
# `relu4` puts out, which network has more zeros?

# %%
check.predict("more zeros in relu4", "", "trained", "untrained", "as many")

# %%
with check.needs("record_activations", "top_k"):
    torch.manual_seed(1)
    untrained, x = chain((16, 32, 64, 128), 10), test_X[shown : shown + 1]
    layers = [*rows]
    kept = record_activations(untrained, x, layers)
    fig = figures.model_page(
        as_picture(x)[0], top_k(kept["scores"][0], 5, names), {n: kept[n][0] for n in layers}
    )
    plots.show(fig, alt="The page of an untrained network: five equal bars, blurred activations.")
    zeros = {}
    for kind, net in (("trained", model), ("untrained", untrained)):
        zeros[kind] = float(
            (record_activations(net, test_X[:200], ["relu4"])["relu4"] == 0).float().mean()
        )
        print(f"{kind}: {zeros[kind]:.0%} of relu4's numbers are 0, over 200 images")
    near = abs(zeros["trained"] - zeros["untrained"]) < 0.02
    found = "as many" if near else max(zeros, key=lambda kind: zeros[kind])
    check.measured("more zeros in relu4", found)

# %% [markdown]
# A unit that answers to one thing is silent at most pictures: training makes the later layers
# **sparse**, mostly zeros.
#
# Your function knows nothing about chains. ResNet-18 has shortcuts, and layers inside of blocks:

# %%
with check.needs("record_activations"):
    resnet = models.resnet18(weights=None).to(device)
    for name, a in record_activations(
        resnet, test_X[:2], ["conv1", "layer1.0.conv1", "layer4.1"]
    ).items():
        print(f"{name:15} {tuple(a.shape)!s:18} mean {a.mean():.2f}, spread {a.std():.2f}")

# %% [markdown]
# ## 3 · Which pixels moved the score?
# Move one pixel by a little: by how much does the score of the class change? The gradient of the score
# with respect to the image answers that for all pixels at once (Simonyan, Vedaldi, Zisserman 2013). A
# pixel has three numbers, red, green and blue; its **saliency** is the largest of the three by size,
# whichever its sign:
#
# $$S_{ij} = \max_{c} \left| \frac{\partial s_y}{\partial x_{cij}} \right|$$
#
# $s_y$ is the *score*, not the probability: a probability also rises when the other classes' scores fall.

# %% [markdown]
# ### Exercise 3 · Saliency — 1 point, 20 minutes, ●●○
# Each image of the batch has its own label. In evaluation mode one image's score does not depend on the
# others.
#
# <details><summary>Hint 1</summary>The gradient of the <i>sum</i> of the scores has in each image the
# gradient of its own.</details>
#
# <details><summary>Hint 2</summary><code>loss.backward()</code> adds to every parameter's
# <code>.grad</code>. <code>torch.autograd.grad(outputs, inputs)</code> returns gradients and touches
# nothing.</details>
#
# <details><summary>Hint 3</summary>The caller's x is no leaf of yours: work on
# <code>x.detach().requires_grad_()</code>, which has x's numbers and is another tensor.</details>


# %% nbgrader={"grade_id": "saliency_code", "solution": true}
def saliency(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """How strongly each pixel moves the score of its image's label: (N, H, W), no graph.

    x: (N, 3, H, W); labels: (N,) int64. In evaluation mode; the model may be frozen (no parameter
    needs a gradient). Model, its gradients, and x are left as they were.
    """
    ### BEGIN SOLUTION
    leaf = x.detach().requires_grad_()
    with training.evaluation_mode(model), torch.enable_grad():
        scores = model(leaf)
        (gradient,) = torch.autograd.grad(scores[range(len(x)), labels].sum(), leaf)
    return gradient.abs().amax(dim=1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "saliency", "grade": true, "points": 1}
check("saliency")

# %%
with check.needs("saliency"):
    few = test_X[:6]
    said = model(few).argmax(dim=1)
    maps = {"saliency": saliency(model, few, said).cpu().numpy()}
    fig = figures.maps(as_picture(few), maps, [names[i] for i in said.tolist()])
    plots.show(
        fig, alt="Six pictures; below each its saliency, specks that are densest on the object."
    )

# %% [markdown]
# *The class above is the network's answer.* The specks cluster on the object, roughly. A gradient says
# what a *tiny* change would do, pixel by pixel; it is restless, and neighbours disagree. And is the
# object where the evidence was, or are we only pleased to see it there? With photographs nobody can say.
#
# ## 4 · Where did it find its evidence?
# So we draw pictures ourselves. A **scene** has one object of a known kind at a known place, among lines
# and lights that mean nothing. Where a map points, it points at the object, or does not. There are six
# kinds: disc and ring (round), plus and saltire, a slanting cross (crossed), lying and standing stripes.

# %%
drawn, held_out = scenes.drawn(sizes.scenes, seed=0), scenes.drawn(600, seed=1)
scene_X, scene_y = as_input(drawn.x), torch.from_numpy(drawn.y).to(device)
held_X, held_y = as_input(held_out.x), torch.from_numpy(held_out.y).to(device)
fig = figures.scene_grid(
    held_out.x[:12], held_out.boxes[:12], [scenes.KINDS[k] for k in held_out.y[:12]]
)
plots.show(fig, alt="Twelve scenes; a box marks the object among lines and lights.")

# %%
torch.manual_seed(0)
scout = chain((16, 32, 64), len(scenes.KINDS))
right = fitted(scout, (scene_X, scene_y), (held_X, held_y), sizes.looks, 32)
scout.eval()
print(f"{right:.1%} of {len(held_y)} scenes that it has not seen, of {len(scenes.KINDS)} kinds")

# %% [markdown]
# It is a smaller network of the same make: three convolutions, whose last map is 8×8. Nobody told it
# where the object is. It was told the kind alone.
#
# **Grad-CAM** (Selvaraju and others 2017) does not go back to the pixels. It stops at a layer whose
# channels mean something and still know where. $A^k$ is channel k's map, (h, w). How much the class's
# score depends on that channel is the gradient, averaged over all places:
#
# $$\alpha_k = \frac{1}{h\,w} \sum_{i,j} \frac{\partial s_y}{\partial A^k_{ij}},\qquad
# M = \mathrm{ReLU}\Big(\sum_k \alpha_k A^k\Big)$$
#
# The ReLU keeps the evidence *for* the class: places that speak against it count as 0.

# %% [markdown]
# **Predict:** in which share of the scenes does the highest point of your map lie in the object's box?
# Two **controls** know nothing of any network: always the centre of the picture; its brightest pixel.

# %% [markdown]
# ### Exercise 4 · Grad-CAM — 2 points, 35 minutes, ●●●
# <details><summary>Hint 1</summary>Here the activations are needed <i>with</i> their graph, so your
# <code>record_activations</code> will not do. The hook is the same, without
# <code>detach</code>.</details>
#
# <details><summary>Hint 2</summary><code>torch.autograd.grad(scores, A)</code> works for any tensor that
# the scores were computed from, not for leaves alone. If nothing in the network needs a gradient, there
# is no graph: then x must need one.</details>
#
# <details><summary>Hint 3</summary>Gradient: (N, K, h, w). Its mean over places, with
# <code>keepdim=True</code>, is (N, K, 1, 1), and every image has its own.</details>

# %%
check.predict(
    "share of Grad-CAM's maps that point at the object", "", "under 50 %", "50 to 80 %", "over 80 %"
)


# %% nbgrader={"grade_id": "grad_cam_code", "solution": true}
def grad_cam(model: nn.Module, layer: str, x: Tensor, labels: Tensor) -> Tensor:
    """Where a layer found evidence for each image's label: (N, h, w), the layer's size; no graph.

    layer: the name of one that puts out (N, K, h, w); x: (N, 3, H, W); labels: (N,) int64. In
    evaluation mode; the model may be frozen. Model, its gradients, its hooks, and x are left as they
    were.
    """
    ### BEGIN SOLUTION
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda m, i, output: kept.append(output)
    )
    try:
        with training.evaluation_mode(model), torch.enable_grad():
            scores = model(x.detach().requires_grad_())
    finally:
        handle.remove()
    chosen = scores[range(len(x)), labels].sum()
    (gradient,) = torch.autograd.grad(chosen, kept[0])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return F.relu((weights * kept[0]).sum(dim=1)).detach()
    ### END SOLUTION


# %% nbgrader={"grade_id": "grad_cam", "grade": true, "points": 2}
check("grad_cam")


# %%
def enlarged(maps: Tensor, side: int = 32) -> Tensor:
    """(N, h, w) → (N, side, side), straight lines between the values."""
    return F.interpolate(maps[:, None], size=(side, side), mode="bilinear")[:, 0]


def peaks(maps: Tensor) -> np.ndarray:
    """The highest point of each map: (N, 2), row and column."""
    best = maps.flatten(1).argmax(dim=1).cpu().numpy()
    return np.stack(np.divmod(best, maps.shape[2]), axis=1)


def hit_rate(maps: Tensor) -> float:
    """The share of the held-out scenes in which the map's highest point is in the object's box."""
    return float(scenes.inside(peaks(maps), held_out.boxes).mean())


# %% tags=["headline"]
light = torch.from_numpy(held_out.x.sum(axis=3).astype(np.float32))
middle = torch.zeros_like(light)
middle[:, 16, 16] = 1
controls = {"the centre": hit_rate(middle), "the brightest spot": hit_rate(light)}
hits: dict[str, float] = {}
LAYER = "relu3"
with check.needs("grad_cam"):
    hits["Grad-CAM"] = hit_rate(enlarged(grad_cam(scout, LAYER, held_X, held_y)))
    share = hits["Grad-CAM"]
    found = "under 50 %" if share < 0.5 else "50 to 80 %" if share < 0.8 else "over 80 %"
    check.measured("share of Grad-CAM's maps that point at the object", found)
with check.needs("saliency"):
    hits["saliency"] = hit_rate(saliency(scout, held_X, held_y))
listed = ", ".join(f"{name} {share:.1%}" for name, share in {**hits, **controls}.items())
print(f"{len(held_y)} scenes, in the box: {listed} (target for Grad-CAM 80%)")

# %%
with check.needs("grad_cam", "saliency"):
    few = held_X[:6]
    maps = {"saliency": saliency(scout, few, held_y[:6])}
    maps["Grad-CAM"] = enlarged(grad_cam(scout, LAYER, few, held_y[:6]))
    maps = {name: values.cpu().numpy() for name, values in maps.items()}
    titles = [scenes.KINDS[k] for k in held_out.y[:6]]
    fig = figures.maps(held_out.x[:6], maps, titles, held_out.boxes[:6])
    plots.show(
        fig, alt="Six scenes, their saliency and Grad-CAM: Grad-CAM's bright area is in the box."
    )

# %% [markdown]
# A control that knows nothing hits sometimes: the object is large, and often near the middle. What a map
# adds is what it gets beyond that.
#
# When the network names the wrong kind, did it look at the wrong place, or at the object, and misname it?
# Count, and mind how few are wrong at all.

# %%
with check.needs("grad_cam"):
    said = torch.cat([scout(part).argmax(dim=1) for part in held_X.split(200)])
    cams = enlarged(grad_cam(scout, LAYER, held_X, held_y))
    inside = scenes.inside(peaks(cams), held_out.boxes)
    for kind, which in (("right", said == held_y), ("wrong", said != held_y)):
        rows_of = which.cpu().numpy()
        if rows_of.any():
            print(
                f"kind named {kind}: {rows_of.sum():4} scenes, {inside[rows_of].mean():.1%} in the box"
            )

# %% [markdown]
# ## 5 · What does a unit like best?
# Turn the question around: not which pixels of *this* picture, but which picture at all makes a unit
# answer most? A **unit** is here a channel of a layer, and its answer the mean of the channel's map.
#
# **Gradient ascent** (Erhan and others 2009): begin with noise, and go, step after step, in the
# direction that raises the answer most. Left alone that ends in a glaring pattern of single pixels. A
# **regulariser** holds it back; here the simplest, L2 decay (Yosinski and others 2015): after each step
# the picture shrinks a little towards 0, the mean colour.

# %% [markdown]
# With $g$ the gradient of the unit's answer with respect to the picture $x$, and its length
# $\lVert g\rVert$ over all numbers of the picture, a step is
#
# $$x \leftarrow (1 - \text{decay}) \left( x + \text{rate} \cdot \frac{g}{\lVert g\rVert} \right)$$
#
# The division makes all steps equally long, whatever the length of the unit's gradient. Where
# $g$ is zero there is no direction: then $x$ only shrinks.
#
# **Predict:** the best of 2,000 training images makes the unit answer with some number. A picture made to
# please it: `"less"`, `"up to twice"` or `"more than twice"` that?

# %% [markdown]
# ### Exercise 5 · A picture for a unit — 1.25 points, 25 minutes, ●●○
# <details><summary>Hint 1</summary>One hook for all steps, removed at the end. In each step the picture
# is a new leaf.</details>
#
# <details><summary>Hint 2</summary>0 / 0 is not a number. <code>clamp_min</code> keeps a length away
# from 0.</details>

# %%
check.predict(
    "a made picture's answer, beside the best image's", "", "less", "up to twice", "more than twice"
)


# %% nbgrader={"grade_id": "maximise_unit_code", "solution": true}
def maximise_unit(
    model: nn.Module, layer: str, unit: int, start: Tensor, steps: int, rate: float, decay: float
) -> Tensor:
    """The picture (1, 3, H, W) to which gradient ascent leads from `start`, no graph.

    layer: the name of one that puts out (1, K, h, w); unit: which of its K channels. In evaluation
    mode. Model, its gradients, its hooks, and start are left as they were.
    """
    ### BEGIN SOLUTION
    kept, x = {}, start.detach().clone()

    def keep(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        kept["answer"] = output[0, unit].mean()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        with training.evaluation_mode(model), torch.enable_grad():
            for _ in range(steps):
                x.requires_grad_()
                model(x)
                (g,) = torch.autograd.grad(kept["answer"], x)
                x = (1 - decay) * (x.detach() + rate * g / g.norm().clamp_min(1e-12))
    finally:
        handle.remove()
    return x.detach()
    ### END SOLUTION


# %% nbgrader={"grade_id": "maximise_unit", "grade": true, "points": 1.25}
check("maximise_unit")

# %%
with check.needs("maximise_unit", "record_activations"):
    answers = record_activations(model, train_X[:2000], ["relu3"])["relu3"].mean(dim=(2, 3))
    units = answers.amax(dim=0).argsort(descending=True)[:6].tolist()
    torch.manual_seed(0)
    noise = 0.3 * torch.randn(1, 3, 32, 32, device=device)
    made = [maximise_unit(model, "relu3", unit, noise, 40, 3.0, 0.01) for unit in units]
    reached = record_activations(model, torch.cat(made), ["relu3"])["relu3"].mean(dim=(2, 3))
    ratios = [float(reached[n, u] / answers[:, u].max()) for n, u in enumerate(units)]
    favourites = [train_X[answers[:, unit].argsort(descending=True)[:4]] for unit in units]
    fig = figures.favourites(
        [as_picture(f) for f in favourites], as_picture(torch.cat(made)), units, ratios
    )
    plots.show(
        fig, alt="For six units four favourite images, and a made picture of coloured texture."
    )
    typical = float(np.median(ratios))
    found = "less" if typical < 1 else "up to twice" if typical <= 2 else "more than twice"
    check.measured("a made picture's answer, beside the best image's", found)

# %% [markdown]
# *Left: the four training images to which each unit answers most; right: the made picture, and how many
# times the best image's answer it gets.* Most made pictures please their unit more than any image that the
# network has seen, and look like nothing: what moves a network need not be what we see. Where it says
# ×0.0, the unit was silent at the noise: its gradient is zero, and there is nowhere to climb.

# %% [markdown]
# ## 6 · Which images are alike?
# The numbers before the scores, `flatten`, are what the network has made of the image: its
# **embedding**, one vector an image. Two images that the network takes for similar have vectors that
# point in a similar direction: a high **cosine**, $a \cdot b \,/\, (\lVert a\rVert\,\lVert b\rVert)$.

# %% [markdown]
# ### Exercise 6 · Similar images — 1.25 points, 20 minutes, ●●○
# All cosines of Q queries with G images are one product of two matrices.
#
# A query is often an image of the gallery itself, and then its own nearest neighbour. `own` says where
# each query stands in the gallery, so that it can be left out. A vector of zeros has no direction: its
# cosine with anything counts as 0.
#
# <details><summary>Hint 1</summary>Bring every vector to length 1 first. <code>clamp_min</code> keeps a
# length away from 0.</details>
#
# <details><summary>Hint 2</summary>What value can a cosine never have, so that an image with it comes
# last?</details>


# %% nbgrader={"grade_id": "nearest_code", "solution": true}
def nearest(queries: Tensor, gallery: Tensor, k: int, own: Tensor | None = None) -> Tensor:
    """For each query the places of the k gallery vectors of highest cosine: (Q, k) int64.

    queries: (Q, D); gallery: (G, D); k: at most G, or G − 1 with own. The most similar first; of
    equals the earlier place first. own: (Q,) int64, for each query the place that is left out.
    >>> nearest(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0], [5.0, 0.0], [1.0, 1.0]]), 2)
    tensor([[1, 2]])
    """
    ### BEGIN SOLUTION
    units = [one / one.norm(dim=1, keepdim=True).clamp_min(1e-12) for one in (queries, gallery)]
    cosine = units[0] @ units[1].T
    if own is not None:
        cosine[torch.arange(len(own)), own] = -2.0
    return cosine.sort(dim=1, descending=True, stable=True).indices[:, :k]
    ### END SOLUTION


# %% nbgrader={"grade_id": "nearest", "grade": true, "points": 1.25}
check("nearest")

# %% [markdown]
# **Predict:** of the five nearest of each image, how many have its class? **Precision at 5** is that
# share. The control searches with the raw pixels.

# %%
check.predict(
    "the embedding's precision at 5, beside raw pixels'",
    "",
    "lower",
    "up to 1.5 times",
    "higher still",
)


# %%
def precision(found: Tensor, truth: Tensor, labels: Tensor) -> float:
    """The share of the images found that have their query's class."""
    return float((labels[found] == truth[:, None]).float().mean())


def searched() -> dict[str, Tensor]:
    """By kind of search the places of the five nearest to each query, (200, 5)."""
    vectors = {"raw pixels": gallery.flatten(1)}
    vectors["embedding"] = record_activations(model, gallery, ["flatten"])["flatten"]
    return {kind: nearest(v[asked], v, 5, own=asked) for kind, v in vectors.items()}


gallery, asked = test_X[:1000], torch.arange(200, device=device)
with check.needs("nearest", "record_activations"):
    at_5 = {kind: precision(f, test_y[asked], test_y) for kind, f in searched().items()}
    print(", ".join(f"{kind} {share:.1%}" for kind, share in at_5.items()), "of the five nearest")
    ratio = at_5["embedding"] / at_5["raw pixels"]
    word = "lower" if ratio < 1 else "up to 1.5 times" if ratio <= 1.5 else "higher still"
    check.measured("the embedding's precision at 5, beside raw pixels'", word)

# %%
PAGE = 0  # turn the page: 0 to 32
with check.needs("nearest", "record_activations"):
    queries, found = asked[6 * PAGE : 6 * PAGE + 6].tolist(), searched()
    fig = figures.neighbours(as_picture(gallery), test_y[:1000].tolist(), names, queries, found)
    plots.show(fig, alt="Six queries, each with its five nearest by pixels and by embedding.")

# %% [markdown]
# *Each row: a query, its five nearest by raw pixels, and by embedding; a dashed frame marks another
# class.* Raw pixels find the same background colour. The embedding finds the same kind of thing in other
# colours, and it never saw these images in training. Turn the pages; where it errs, would you have
# asked for that image?

# %% [markdown]
# ## 7 · Several tasks on one trunk
# Some labels are expensive, others cheap. Suppose that few scenes have the kind of their object written
# beside them, while for all of them somebody noted at a glance whether it is round, crossed or striped,
# and whether it is lighter than the ground. Can the second help the first?
#
# **Heterogeneous learning** trains one trunk on tasks of different sorts at once: Fukui, Yamashita and
# others (2016) had one network find facial points, gender and age. The main task has weight 1, each
# **subtask** a weight of its own:
#
# $$L = L_\text{main} + \sum_t w_t L_t$$

# %% [markdown]
# Errors of different tasks differ in size and fall at different speeds; one can drown the others. Their
# remedy is a weighted error. How to weight? Liu, Johns and Davison (2019) look at how fast each error
# falls, the error of an epoch over that of the epoch before:
#
# $$r_t = \frac{L_t(\text{last})}{L_t(\text{last but one})},\qquad
# w_t = W\,\frac{e^{r_t/T}}{\sum_u e^{r_u/T}}$$
#
# A task that falls slowly (r near 1) gets more, one that falls quickly less. $W$ (`total`) is the sum of
# all weights, $T$ the temperature. Before there are two epochs, r counts as 1.

# %% [markdown]
# ### Exercise 7 · Several tasks — 1.5 points, 25 minutes, ●●○
# In `multi_task_loss`, −1 stands for a label that nobody has written down.
#
# <details><summary>Hint 1</summary>Each task's loss is the mean of the cross-entropy over the examples
# whose label is <i>known</i>: two tasks of one batch may have different ones.</details>
#
# <details><summary>Hint 2</summary>The mean of nothing is not a number. Which batches have
# nothing?</details>
#
# <details><summary>Hint 3</summary>The fraction with exponentials is a softmax over the
# tasks.</details>


# %% nbgrader={"grade_id": "multi_task_code", "solution": true}
def subtask_weights(
    losses: Mapping[str, Sequence[float]], total: float = 1.0, temperature: float = 2.0
) -> dict[str, float]:
    """The weight of each subtask from its errors so far; they add up to total.

    losses: by subtask its error in each epoch, the oldest first; fewer than two count as standing
    still. An error may also have grown a thousandfold.
    """
    ### BEGIN SOLUTION
    falls = [past[-1] / past[-2] if len(past) > 1 else 1.0 for past in losses.values()]
    shares = torch.softmax(torch.tensor(falls, dtype=torch.float64) / temperature, dim=0)
    return {task: total * float(share) for task, share in zip(losses, shares, strict=True)}
    ### END SOLUTION


def multi_task_loss(
    scores: Mapping[str, Tensor], labels: Mapping[str, Tensor], weights: Mapping[str, float]
) -> Tensor:
    """The weighted sum of the tasks' cross-entropies, in nats, a scalar with its graph.

    scores: by task (N, C), each task with its own C; labels: by task (N,) int64, −1 where unknown;
    weights: by task. A task none of whose labels are known adds nothing.
    """
    ### BEGIN SOLUTION
    loss = next(iter(scores.values())).new_zeros(())
    for task, given in labels.items():
        known = given >= 0
        if known.any():
            loss = loss + weights[task] * F.cross_entropy(scores[task][known], given[known])
    return loss
    ### END SOLUTION


# %% nbgrader={"grade_id": "multi_task", "grade": true, "points": 1.5}
check("multi_task")

# %% [markdown]
# Now the experiment, on close-ups of 16×16 pixels, to be quick. A few have all labels, the others only
# those of the subtasks, `family` and `lighter`. Three ways to train, with equally many batches:
#
# - **alone**: the main task, with the few labels there are;
# - **with subtasks**: all labels there are;
# - **shuffled**: the same, but each scene has the subtask labels of another one. A control: it has all
#   the arithmetic of the second, and nothing to learn from.
#
# Which of the three will name most kinds right?

# %%
check.predict("best at the main task", "", "alone", "with subtasks", "shuffled", "no difference")


# %%
class Shared(nn.Module):
    """One trunk, and a head a task."""

    def __init__(self, tasks: Mapping[str, int]) -> None:
        super().__init__()
        self.trunk = chain((16, 32, 64), 1, scenes.CLOSE)[:-1]
        self.heads = nn.ModuleDict({t: nn.Linear(64, c, device=device) for t, c in tasks.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.trunk(x)
        return {task: head(features) for task, head in self.heads.items()}


FEW, SUBTASKS = 90, ("family", "lighter")
TASKS = {"kind": len(scenes.KINDS), "family": len(scenes.FAMILIES), "lighter": 2}
close_X, close_held = as_input(scenes.close_ups(drawn)), as_input(scenes.close_ups(held_out))
truth = {task: torch.from_numpy(getattr(drawn, task)).to(device) for task in SUBTASKS}
truth["kind"] = torch.where(torch.arange(len(scene_y), device=device) < FEW, scene_y, -1)
known = {task: int((labels >= 0).sum()) for task, labels in truth.items()}
print(f"labels known, of {len(scene_y)}: {known}")


# %%
def accuracy(net: nn.Module) -> float:
    """Of the main task, on close-ups of the held-out scenes."""
    with training.evaluation_mode(net), torch.no_grad():
        return float((net(close_held)["kind"].argmax(dim=1) == held_y).float().mean())


# %%
def taught(way: str, seed: int) -> float:
    """Accuracy at the main task after training one way."""
    torch.manual_seed(seed)
    net, labels, order = Shared(TASKS), dict(truth), torch.randperm(len(scene_y))
    if way == "shuffled":
        labels |= {task: truth[task][order.to(device)] for task in SUBTASKS}
    optimizer, past = torch.optim.Adam(net.parameters(), 3e-3), {task: [] for task in SUBTASKS}
    for step in range(sizes.steps):
        few, many = torch.randint(FEW, (12,)), torch.randint(len(scene_y), (24,))
        batch = torch.cat((few, many)).to(device)
        scores, here = net(close_X[batch]), {task: labels[task][batch] for task in TASKS}
        weights = dict.fromkeys(SUBTASKS, 0.0) if way == "alone" else subtask_weights(past, 2.0)
        loss = multi_task_loss(scores, here, {"kind": 1.0, **weights})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:  # an epoch, as it were
            for task, errors in past.items():
                errors.append(F.cross_entropy(scores[task], here[task]).item())
    return accuracy(net)


# %% tags=["headline"]
with check.needs("multi_task"):
    ways = ("alone", "with subtasks", "shuffled")
    runs = {way: [taught(way, seed) for seed in range(sizes.seeds)] for way in ways}
    for way, got in runs.items():
        print(f"{way:14} {np.mean(got):.1%} ± {np.std(got):.1%} over {len(got)} seeds")
    gains = np.array(runs["with subtasks"]) - np.array(runs["alone"])
    print(f"gain, seed by seed: {', '.join(f'{100 * gain:+.1f}' for gain in gains)} points")
    best_way = max(runs, key=lambda way: np.mean(runs[way]))
    clear = np.ptp([np.mean(got) for got in runs.values()]) > np.mean(
        [np.std(got) for got in runs.values()]
    )
    check.measured("best at the main task", best_way if clear else "no difference")
    plots.show(
        figures.by_seed(runs), alt="Main-task accuracy of each seed, three ways of training."
    )

# %% [markdown]
# *A mark is a seed, a line their mean.* To tell round from striped, the trunk must find the object among
# lines and lights and follow its outline: much of the main task, learnt from labels that cost little. The
# shuffled control shows that the *labels* help, not the extra term. Not every subtask does: the object's
# row and column in the scene, tried when this lab was written, helped no more than shuffled labels.

# %% [markdown]
# ## 8 · Is it evidence?
# A map that looks convincing may show the picture rather than the network. Adebayo and others (2018)
# propose a test: **randomise** the weights, layer after layer from the top, and look at the map. If it
# stays as it was, it cannot have depended on what the network has learnt.

# %% [markdown]
# Two more maps take part. **Guided backpropagation** is saliency with all negative gradients cut off at
# every ReLU on the way back: it makes sharp, pleasing maps. **Edges** are the differences of neighbouring
# pixels: no network at all.
#
# **Predict:** which map changes *least* when all weights are random, apart from the edges?

# %%
check.predict("changes least, apart from edges", "", "saliency", "guided", "Grad-CAM")


# %%
def guided(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Guided backpropagation, from your saliency: negative gradients are cut off at each ReLU."""
    cut = lambda module, at_input, at_output: (at_input[0].clamp_min(0),)  # noqa: E731
    relus = [module for module in net.modules() if isinstance(module, nn.ReLU)]
    handles = [module.register_full_backward_hook(cut) for module in relus]
    try:
        return saliency(net, x, labels)
    finally:
        for handle in handles:
            handle.remove()


def edges(net: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """How much neighbouring pixels differ. The network and the label are not looked at."""
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    return (across.abs() + down.abs()).amax(dim=1)


# %%
KINDS_OF_MAPS: dict[str, Callable[..., Tensor]] = {"edges": edges}
with check.needs("saliency"):
    saliency(model, test_X[:1], test_y[:1])
    KINDS_OF_MAPS |= {"saliency": saliency, "guided": guided}
with check.needs("grad_cam"):
    grad_cam(model, "relu3", test_X[:1], test_y[:1])
    KINDS_OF_MAPS["Grad-CAM"] = lambda net, x, y: enlarged(grad_cam(net, "relu3", x, y))


def randomised(net: nn.Sequential, down_to: str) -> nn.Sequential:
    """A copy whose layers, from the last down to this one, have random weights."""
    torch.manual_seed(1)
    fresh, copied = chain((16, 32, 64, 128), 10), chain((16, 32, 64, 128), 10)
    copied.load_state_dict(net.state_dict())
    for name in reversed([name for name, _ in net.named_children()]):
        copied.get_submodule(name).load_state_dict(fresh.get_submodule(name).state_dict())
        if name == down_to:
            return copied.eval()
    raise ValueError(f"there is no layer {down_to}")


# %%
def likeness(one: Tensor, other: Tensor) -> float:
    """The mean rank correlation of maps (N, H, W): 1 for the same order of places, 0 for none."""
    ranks = [m.flatten(1).argsort(dim=1).argsort(dim=1).float() for m in (one, other)]
    ranks = [F.normalize(r - r.mean(dim=1, keepdim=True), dim=1) for r in ranks]
    return float((ranks[0] * ranks[1]).sum(dim=1).mean())


stages = ["scores", "conv4", "conv3", "conv2", "conv1"]
nets = {"trained": model} | {f"to {name}": randomised(model, name) for name in stages}
sample_X, sample_y = test_X[:60], test_y[:60]
drawn_maps = {kind: {} for kind in KINDS_OF_MAPS}
alike = {kind: [] for kind in KINDS_OF_MAPS}
for kind, make in KINDS_OF_MAPS.items():
    for stage, net in nets.items():
        drawn_maps[kind][stage] = make(net, sample_X, sample_y)
        alike[kind].append(likeness(drawn_maps[kind]["trained"], drawn_maps[kind][stage]))

# %%
pick = 1  # another picture: 0 to 59
fig = figures.cascade(as_picture(sample_X[pick : pick + 1])[0], drawn_maps, alike, pick)
plots.show(fig, alt="A row a map, a column a stage of randomising; under each its likeness.")
last = {kind: row[-1] for kind, row in alike.items() if kind != "edges"}
if last:
    check.measured("changes least, apart from edges", max(last, key=lambda kind: last[kind]))

# %% [markdown]
# *Columns, from the left: trained, then random from the scores down to the layer named. Numbers: rank
# correlation with the trained network's map, mean over 60 pictures.*
#
# A number for the scenes, too: the hit rate of Grad-CAM on a network that has learnt nothing.

# %%
with check.needs("grad_cam"):
    torch.manual_seed(2)
    nothing = chain((16, 32, 64), len(scenes.KINDS)).eval()
    random_hits = hit_rate(enlarged(grad_cam(nothing, LAYER, held_X, held_y)))
    print(f"Grad-CAM in the box: trained {hits['Grad-CAM']:.1%}, random weights {random_hits:.1%}")
    print(f"controls: {', '.join(f'{name} {share:.1%}' for name, share in controls.items())}")

# %% [markdown]
# ### Exercise 8 · Is it evidence? — 0.75 points, 10 minutes, ●●○
# Read it from your figure. `blind_map`: which of the four maps could never reveal that a network looks at
# the wrong thing, whatever the network? `"edges"`, `"saliency"`, `"guided"` or `"grad_cam"`.
#
# `passing_means`: a map passes the test: it changes when the weights do. For being a true account of the
# network, that is `"necessary"`, `"sufficient"`, `"both"` or `"neither"`.
#
# `same_map`: a second network learnt the same pictures with *shuffled labels*, by heart. A method gives
# the same map of a picture for both networks. What does the map show? The `"picture"`, the `"label"`, the
# `"weights"` or the `"mistake"`.

# %% nbgrader={"grade_id": "is_it_evidence_choice", "solution": true}
blind_map = None  # "edges", "saliency", "guided" or "grad_cam"
passing_means = None  # "necessary", "sufficient", "both" or "neither"
same_map = None  # "picture", "label", "weights" or "mistake"
### BEGIN SOLUTION
blind_map = "edges"
passing_means = "necessary"
same_map = "picture"
### END SOLUTION

# %% nbgrader={"grade_id": "is_it_evidence", "grade": true, "points": 0.75}
check("is_it_evidence")

# %% [markdown]
# ## 9 · Experiments
# Nothing here is graded.
#
# - Grad-CAM at `relu1`, `relu2`, `relu3`: which layer hits best, and what do its maps look like?
# - Grad-CAM without its ReLU, or for a class that is *not* in the scene: where does it point?
# - `maximise_unit` with `decay` 0, 0.01, 0.1; from another noise; for units of `relu1` and `relu4`.
# - The similar images of `relu3`, averaged over places, instead of `flatten`.
# - `FEW` from 30 to 1,000: when do the subtasks stop helping? With one alone, which one helps?
# - Paint a red patch into a corner of every scene of one kind, train again. Does Grad-CAM tell you?


# %%
def by_layer(layers: Sequence[str] = ("relu1", "relu2", "relu3")) -> None:
    """Grad-CAM's hit rate on the scenes, layer by layer."""
    for layer in layers:
        print(
            f"{layer}: {hit_rate(enlarged(grad_cam(scout, layer, held_X, held_y))):.1%} in the box"
        )


with check.needs("grad_cam"):
    by_layer()

# %% [markdown]
# ## 10 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `record_activations` | `torchvision.models.feature_extraction.create_feature_extractor(model, names)` |
# | `top_k` | `scores.softmax(0).topk(k)`, ties in any order |
# | `saliency` | `captum.attr.Saliency`, per colour |
# | `grad_cam` | `captum.attr.LayerGradCam` with `relu_attributions=True`; `pytorch_grad_cam.GradCAM` |
# | `maximise_unit` | activation maximisation, feature visualisation; the lucent library |
# | `nearest` | `faiss.IndexFlatIP` on vectors of length 1 |
# | `multi_task_loss` | `F.cross_entropy(…, ignore_index=-1)` a task, which is NaN where no label is known |
#
# Of these only torchvision is installed here: the same layers by its extractor, and by yours.

# %%
with check.needs("record_activations"):
    from torchvision.models.feature_extraction import create_feature_extractor

    wanted = ["conv1", "relu3", "flatten"]
    theirs = create_feature_extractor(model, wanted)(test_X[:4])
    yours = record_activations(model, test_X[:4], wanted)
    for name in wanted:
        print(f"{name:8} largest difference {(theirs[name] - yours[name]).abs().max():.1e}")

# %% [markdown]
# ## 11 · Further
# - Simonyan, Vedaldi, Zisserman (2013), *Deep inside convolutional networks*,
#   [arXiv:1312.6034](https://arxiv.org/abs/1312.6034): saliency, and pictures that raise a class's score.
# - Selvaraju and others (2017), *Grad-CAM: Visual explanations from deep networks via gradient-based
#   localization*, [arXiv:1610.02391](https://arxiv.org/abs/1610.02391).
# - Erhan, Bengio, Courville, Vincent (2009), *Visualizing higher-layer features of a deep network*,
#   technical report, University of Montreal.
# - Yosinski, Clune, Nguyen, Fuchs, Lipson (2015), *Understanding neural networks through deep
#   visualization*, [arXiv:1506.06579](https://arxiv.org/abs/1506.06579).

# %% [markdown]
# - Adebayo and others (2018), *Sanity checks for saliency maps*,
#   [arXiv:1810.03292](https://arxiv.org/abs/1810.03292): gradients and Grad-CAM pass, guided
#   backpropagation and guided Grad-CAM fail; edges are their analogy for a map that needs no model. You
#   ran their first test on a network of 99,000 parameters, they on ImageNet's.
# - Fukui, Yamashita and others (2016), *Multiple facial attributes estimation based on weighted
#   heterogeneous learning*, [10.1007/978-3-319-54427-4_29](https://doi.org/10.1007/978-3-319-54427-4_29).
# - Liu, Johns, Davison (2019), *End-to-end multi-task learning with attention*,
#   [arXiv:1803.10704](https://arxiv.org/abs/1803.10704): the weights of section 7.
#
# **Next:** in lab 08 networks become smaller and faster, counted to the bit.

# %%
progress()
