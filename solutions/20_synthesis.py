# %% [markdown]
# # 20 · Synthesis
# Labelled pictures are dear, and a computer can draw as many as you like. Here a network learns to
# read from digits that were printed, and is then shown handwriting. You measure the gap, and close a
# part of it: with a camera that is held askew, a line that wobbles, and a first half that learns
# from handwriting without labels. Then two networks make handwriting of their own, and you measure
# what they make: how many digits are among it, how far it is from the real thing, and whether it is
# copied.
#
# The picture below is what the lab is about. The first two rows cost nothing, the third was written
# by people.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from grading.check import checks, progress
from utils import plots, settings, training
from utils.data import digits, fonts
from utils.figures import synthesis as figures

# %%
Array = NDArray[np.floating]
check = checks("20_synthesis")
sizes = settings.choose(
    scale,
    smoke={"seeds": 2, "drawn": 1000, "steps": 90, "gan": 360, "detail": 80},
    cpu={"seeds": 5, "drawn": 10_000, "steps": 1000, "gan": 6000, "detail": 1500},
)
torch.set_num_threads(1)  # such small networks gain nothing by more

# %%
data = digits.load()
is_mnist = data.name == "MNIST"
side = 16 if is_mnist else 8


def as_images(x: NDArray[np.float32]) -> Tensor:
    """(N, H, W) as (N, 1, side, side): one channel of ink, 0 (paper) to 1 (ink)."""
    images = torch.from_numpy(x)[:, None]
    return F.adaptive_avg_pool2d(images[..., 2:-2, 2:-2], side) if is_mnist else images


train_x, test_x = as_images(data.train_x[:10_000]), as_images(data.test_x[:2000])
train_y, test_y = torch.from_numpy(data.train_y[:10_000]), torch.from_numpy(data.test_y[:2000])
print(f"train_x: {tuple(train_x.shape)}, test_x: {tuple(test_x.shape)}, handwritten")

# %%
glyphs = fonts.glyphs(fill=20 / 24 if is_mnist else 1.0)
train_fonts, other_fonts = glyphs.of("DejaVu", "STIX"), glyphs.of("cm")
shape = {"turn": 10.0, "slant": 0.3, "stretch": 0.3}
light = {"blur": 1.5, "shadow": 0.3, "noise": 0.1}
hand = fonts.Camera(**shape, **light, wobble=2.5)
one_each = torch.stack([train_x[train_y == digit][0] for digit in range(10)])
printed, labels = fonts.drawn(10, train_fonts, side=side, seed=3)
seen, seen_labels = fonts.drawn(10, train_fonts, hand, side=side, seed=3)
order, seen_order = labels.argsort(), seen_labels.argsort()
fig = figures.rows(
    {"printed": printed[order], "… and changed": seen[seen_order], "handwritten": one_each}
)
plots.show(fig, alt="The ten digits three times: printed, printed and changed, handwritten.")
print(f"{train_fonts}; held out: {', '.join(other_fonts.names)}")

# %% [markdown]
# **You will** work out where a tilted camera sees each pixel; photograph digits in uneven light; train a
# network's first half without labels, and its second half alone; make the two steps of a GAN and send
# each gradient where it belongs; count modes; compute a Fréchet distance; and take pictures apart by
# size.
#
# **Not in this lab:** diffusion, text, and pictures that anybody would take for photographs.
#
# **You need** lab 06, and 155 minutes. All cells compute for about a minute at scale `smoke` with the small digits, and two with MNIST, on a CPU.

# %% [markdown]
# The handwriting is MNIST where it is at hand (averaged to 16×16 pixels), else scikit-learn's digits of
# 8×8 pixels, which come along. The line above says which it is. The fonts are those that matplotlib
# brings.

# %% [markdown]
# ## 1 · A page that is held askew
# DeepFont (Wang and others 2015) had to name the font of a photographed word, one of 2,383. Nobody had
# labelled enough photographs. So its training words were *drawn*, and then changed in six steps:
# noise, blur, perspective, uneven light, and the spacing and width of letters.
#
# First the perspective. A plane that is photographed from anywhere is changed by a **homography**: a 3×3
# matrix $H$, applied to the point $(x, y, 1)$. It gives $(u, v, w)$, which stands for the place
# $(u/w,\; v/w)$.

# %% [markdown]
# To *make* such a photograph, go through its pixels and look up each one in the drawing: $H$ leads from
# the image to the drawing, not the other way round. (Sent forward, pixels would leave holes.) The
# image reaches from −1 to 1 both ways; a pixel's place is its centre:

# %%
size = 4
print(f"centres of {size} pixels:", [(2 * j + 1) / size - 1 for j in range(size)])
for corner in (0.0, 0.4):
    H = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, corner, 1.0]])
    u, v, w = (H @ torch.tensor([0.75, 0.75, 1.0])).tolist()
    print(f"h₃₂ = {corner}: (0.75, 0.75) is looked up at ({u / w:.2f}, {v / w:.2f}), w = {w:.1f}")

# %% [markdown]
# ### Exercise 1 · Where each pixel is looked up — 1.25 points, 20 minutes, ●●○
# The function returns places alone; `F.grid_sample` then takes the pixels from there.
#
# <details><summary>Hint 1</summary><code>torch.meshgrid(a, b, indexing="ij")</code> makes two tables:
# the first changes from row to row, the second from column to column. Which of them is x?</details>
#
# <details><summary>Hint 2</summary>With points of shape (side, side, 3), <code>torch.einsum("nab,ijb->anij",
# H, points)</code> multiplies every H with every point, and puts u, v and w in front.</details>


# %% nbgrader={"grade_id": "perspective_grid_code", "solution": true}
def perspective_grid(H: Tensor, side: int) -> Tensor:
    """Where each pixel of a side×side image is looked up: (N, side, side, 2), the two numbers u/w, v/w.

    H: (N, 3, 3), float; the grid has its dtype. The pixel of row i and column j has its centre at
    x = (2j + 1)/side − 1, y = (2i + 1)/side − 1, and (u, v, w) = H (x, y, 1). w is never 0.
    >>> perspective_grid(torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 2]]]), 2)[0, 0]
    tensor([[-0.2500, -0.2500],
            [ 0.2500, -0.2500]])
    """
    ### BEGIN SOLUTION
    at = (2 * torch.arange(side, dtype=H.dtype) + 1) / side - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=-1)
    u, v, w = torch.einsum("nab,ijb->anij", H, points)
    return torch.stack((u / w, v / w), dim=-1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "perspective_grid", "grade": true, "points": 1.25}
check("perspective_grid")

# %%
with check.needs("perspective_grid"):
    tilts = torch.eye(3).repeat(10, 1, 1)
    tilts[:, 2, 1] = torch.linspace(-0.5, 0.5, 10)  # nearer at the top, or at the bottom
    tilts[:, 0, 1] = torch.linspace(0.4, -0.4, 10)
    five = torch.from_numpy(train_fonts.x[:1, 5:6]).expand(10, 1, -1, -1)
    tilted = F.grid_sample(five, perspective_grid(1.1 * tilts, fonts.SIDE), align_corners=False)
    plots.show(
        figures.rows({"your grid": tilted}),
        alt="A printed 5, ten times: slanted, larger at the top; slanted back, larger at the bottom.",
    )

# %% [markdown]
# ## 2 · In a poor light
# A photograph of paper is seldom sharp and never evenly lit. The order is that of the light's way: the
# drawing, the lens, the lamp, the sensor.
#
# - **Blur:** each pixel becomes a weighted mean of its neighbours, along rows, and then along columns.
# - **Light:** paper throws back the light that falls on it, ink none. Where a place gets the share
#   $\ell$ of the light, it looks as bright as $\ell\,(1 - \text{ink})$, so its ink is *seen* as
#   $1 - \ell\,(1 - \text{ink})$.
# - **Noise** is added by the sensor, which knows nothing below 0 and above 1.

# %% [markdown]
# ### Exercise 2 · Photographed — 1.25 points, 20 minutes, ●●○
# <details><summary>Hint 1</summary>What is the ink of black ink in a shadow, and of white paper in full
# light, in half the light, in none?</details>
#
# <details><summary>Hint 2</summary><code>F.conv2d(images, weights, padding=(rows, columns))</code> with
# weights of shape (1, 1, 1, K) goes along rows, with (1, 1, K, 1) along columns. Its padding is
# zeros.</details>


# %% nbgrader={"grade_id": "photographed_code", "solution": true}
def photographed(ink: Tensor, kernel: Tensor, light: Tensor, noise: Tensor) -> Tensor:
    """The ink that a camera sees, (N, 1, H, W): blurred, in this light, with this noise, from 0 to 1.

    ink: (N, 1, H, W), 0 (paper) to 1 (ink); around it lies more paper. kernel: (K,), K odd, the weights of
    the blur, the same forwards and backwards. light: (N, 1, H, W), 0 to 1; noise: (N, 1, H, W), of any
    sign. All of one dtype; they are left as they were.
    >>> one = torch.ones(1, 1, 1, 1)
    >>> photographed(0.5 * one, torch.tensor([1.0]), 0.8 * one, 0.05 * one)
    tensor([[[[0.6500]]]])
    """
    ### BEGIN SOLUTION
    reach = len(kernel) // 2
    blurred = F.conv2d(ink, kernel.reshape(1, 1, 1, -1), padding=(0, reach))
    blurred = F.conv2d(blurred, kernel.reshape(1, 1, -1, 1), padding=(reach, 0))
    return (1 - light * (1 - blurred) + noise).clip(0, 1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "photographed", "grade": true, "points": 1.25}
check("photographed")

# %%
with check.needs("photographed"):
    ink = torch.from_numpy(train_fonts.x[4, :])[:, None]
    kernel = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / (2 * 1.5**2))
    shadow = torch.linspace(1, 0.4, fonts.SIDE).expand(10, 1, fonts.SIDE, fonts.SIDE)
    noise = 0.08 * torch.randn(10, 1, fonts.SIDE, fonts.SIDE)
    yours = photographed(ink, kernel / kernel.sum(), shadow, noise)
    plots.show(
        figures.rows({"drawn": ink, "photographed": yours}),
        alt="Ten printed digits; below them the same, blurred, in a shadow from the right, grainy.",
    )

# %% [markdown]
# ## 3 · The gap
# Now a network learns to read. Its training images are drawn: digits in 16 fonts, changed or not. It is
# tested on handwriting, and on four fonts that it has not seen. The drawn images come with everything
# that you have written, and one thing more. A **wobble** moves each place a little, its neighbours nearly
# along (Simard, Steinkraus and Platt 2003 call it elastic distortion): a hand is no machine.
#
# The network has two halves, for section 4:

# %%
WIDE = 16  # channels of the first layer


def first_half() -> nn.Sequential:
    """(N, 1, side, side) → (N, 32, side/2, side/2)."""
    return nn.Sequential(
        nn.Conv2d(1, WIDE, 3, padding=1),
        nn.BatchNorm2d(WIDE),
        nn.ReLU(),
        nn.Conv2d(WIDE, 2 * WIDE, 3, stride=2, padding=1),
        nn.BatchNorm2d(2 * WIDE),
        nn.ReLU(),
    )


def second_half() -> nn.Sequential:
    """(N, 32, side/2, side/2) → ten scores."""
    layers = [nn.Conv2d(2 * WIDE, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(side // 4)]
    layers += [nn.Flatten(), nn.Linear(128, 32), nn.ReLU(), nn.Linear(32, 10)]
    return nn.Sequential(*layers)


# %%
def fitted(network: nn.Sequential, x: Tensor, y: Tensor, steps: int) -> nn.Sequential:
    """The network, after so many steps of Adam on cross-entropy, in evaluation mode."""
    optimizer = torch.optim.Adam(network.train().parameters(), lr=3e-3)
    for step, batch in enumerate(torch.randint(len(x), (steps, 64))):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        optimizer.zero_grad()
        F.cross_entropy(network(x[batch]), y[batch]).backward()
        optimizer.step()
    return network.eval()


def reads(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """The share that it reads rightly."""
    return training.evaluate(network, x, y).accuracy


# %% [markdown]
# **Predict first:** which change, by itself, brings most of the handwriting within reach? *Light* is
# blur, shadow and noise; *shape* is turning, slanting and stretching; *wobble* is wobble.

# %%
check.predict("which change alone helps most", "", "light", "shape", "wobble")

# %%
cameras = {
    "as printed": None,
    "light": fonts.Camera(**light),
    "shape": fonts.Camera(**shape),
    "wobble": fonts.Camera(wobble=2.5),
    "all three": hand,
}
handwriting, print_held_out = {}, {}  # by name, the accuracy of each seed
readers: list[nn.Sequential] = []  # of the camera tried last, one a seed
unseen = fonts.drawn(600, other_fonts, side=side, seed=1000)
for name, camera in cameras.items():
    handwriting[name], print_held_out[name] = [], []
    for seed in range(sizes.seeds):
        torch.manual_seed(seed)
        drawn = fonts.drawn(sizes.drawn, train_fonts, camera, side=side, seed=seed)
        network = fitted(first_half() + second_half(), *drawn, sizes.steps)
        handwriting[name].append(reads(network, test_x, test_y))
        print_held_out[name].append(reads(network, *unseen))
        readers = [*readers, network] if seed else [network]

# %%
plots.show(
    figures.accuracies(handwriting, "accuracy on handwriting, trained on drawn digits"),
    alt="Five bars: "
    + ", ".join(f"{name} {np.mean(runs):.0%}" for name, runs in handwriting.items())
    + " of the handwriting read.",
)
for name, runs in print_held_out.items():
    print(
        f"{name:10} handwriting {np.mean(handwriting[name]):5.1%}, new fonts {np.mean(runs):5.1%}"
    )
alone = {name: np.mean(handwriting[name]) for name in ("light", "shape", "wobble")}
check.measured("which change alone helps most", max(alone, key=lambda name: alone[name]))

# %% [markdown]
# Each dot is one seed. Uneven light matters in a photograph. The digits of the test were cleaned up
# before they came here: none of them has a shadow. What they have is a hand that wrote them. An
# augmentation helps as far as it makes the drawn images vary as the real ones do.
#
# The four new fonts tell nothing of that. A network can be good at all print that there is.

# %% [markdown]
# ## 4 · Two halves
# There is more to be had: handwriting *without labels* is cheap. DeepFont's network therefore has two
# halves. The first is trained as an **autoencoder**, without any label: it turns an image into maps, a
# **decoder** turns the maps back into the image, and the error is what came out wrong. It sees real and
# drawn images alike, so that it finds strokes in both. The decoder is then thrown away. The second
# half is trained on drawn digits with their labels, on top of a first half that stays as it is.

# %% [markdown]
# An autoencoder could learn to copy every pixel. A **denoising autoencoder** (Vincent and others 2008)
# cannot: some pixels of its input are erased, and it is asked for the whole, clean image. What is erased
# must be guessed from the strokes around it.
#
# When the second half learns, three things may still change the first: its gradients; the optimizer, if it
# holds the first half's weights, too; and batch normalisation, which in training mode learns its
# running statistics from whatever is sent through (lab 06).

# %% [markdown]
# ### Exercise 3 · Two halves — 1.5 points, 25 minutes, ●●○
# `with training.evaluation_mode(model):` sets evaluation mode, and afterwards each module's own again.
#
# <details><summary>Hint 1</summary>In the denoising loss, which image goes into the first half, and which
# one is compared with what comes out of the decoder?</details>
#
# <details><summary>Hint 2</summary>An optimizer leaves a weight alone whose <code>.grad</code> is None.
# What does <code>optimizer.zero_grad()</code> make of gradients?</details>


# %% nbgrader={"grade_id": "two_halves_code", "solution": true}
def denoising_loss(first: nn.Module, decoder: nn.Module, clean: Tensor, kept: Tensor) -> Tensor:
    """The mean squared error of what first and decoder make of damaged images, for all pixels.

    clean: (N, 1, H, W); kept: of the same shape, 1 where a pixel is kept and 0 where it is erased (set
    to 0). One number with its graph: first and decoder can learn from it.
    """
    ### BEGIN SOLUTION
    return F.mse_loss(decoder(first(clean * kept)), clean)
    ### END SOLUTION


def second_half_step(
    first: nn.Module, second: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor
) -> float:
    """One step on the mean cross-entropy of second(first(x)), which changes second alone.

    x: (N, 1, H, W); y: (N,) int64. first works in evaluation mode; its weights, running statistics and
    mode stay as they were. second is in training mode, as it is given. optimizer: holds second's weights,
    and may hold first's; in both there may be old gradients. Returns the loss before the step.
    """
    ### BEGIN SOLUTION
    with training.evaluation_mode(first), torch.no_grad():
        seen = first(x)
    optimizer.zero_grad()
    loss = F.cross_entropy(second(seen), y)
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% nbgrader={"grade_id": "two_halves", "grade": true, "points": 1.5}
check("two_halves")

# %% [markdown]
# Now the same in the large. An autoencoder is trained on handwriting without labels, together with
# drawn digits. Its first half then stays as it is, and a second half learns from drawn digits. For
# comparison there is a first half that is random and stays so.
#
# Another way to use handwriting without labels is **self-training** (Lee 2013): the network labels it.
# The answers that it is sure of, to 90 % or more, join the drawn digits, and a new network is trained.
#
# Last, a network that is trained on handwriting *with* labels: the most to be hoped for. **Predict
# first:** which of the two ways closes more of the gap that is left?

# %%
check.predict("which way closes more of the gap", "", "first half", "self-training", "neither")


# %%
def pretrained(x: Tensor, steps: int) -> tuple[nn.Sequential, nn.Sequential]:
    """A first half and its decoder, trained to mend images of which three pixels in ten are erased."""
    layers = [nn.ConvTranspose2d(2 * WIDE, WIDE, 4, stride=2, padding=1), nn.ReLU()]
    first, decoder = first_half(), nn.Sequential(*layers, nn.Conv2d(WIDE, 1, 3, padding=1))
    optimizer = torch.optim.Adam([*first.parameters(), *decoder.parameters()], lr=3e-3)
    for batch in torch.randint(len(x), (steps, 64)):
        optimizer.zero_grad()
        damaged = x[batch] * (torch.rand_like(x[batch]) > 0.3)
        F.mse_loss(decoder(first(damaged)), x[batch]).backward()
        optimizer.step()
    return first.eval(), decoder.eval()


def on_top_of(first: nn.Sequential, x: Tensor, y: Tensor, steps: int) -> nn.Sequential:
    """first as it is, with a second half trained on what it makes of x."""
    with torch.no_grad():
        maps = first.eval()(x)
    return nn.Sequential(*first, *fitted(second_half(), maps, y, steps)).eval()


# %%
def self_labelled(network: nn.Sequential, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Drawn digits and, about as many, handwritten ones with the labels that the network is sure of."""
    with torch.no_grad():
        chance, label = network(train_x).softmax(dim=1).max(dim=1)
    sure = (chance > 0.9).nonzero()[:, 0]
    right = (label[sure] == train_y[sure]).float().mean()
    print(f"self-training: sure of {len(sure):,} of {len(train_x):,}, {right:.1%} of them right")
    sure = sure[torch.randint(len(sure), (len(x),))] if len(sure) else sure
    return torch.cat((x, train_x[sure])), torch.cat((y, label[sure]))


# %%
PRETRAINED, RANDOM = "first half unsupervised", "first half random"
ways = {"as printed": handwriting["as printed"], "changed": handwriting["all three"]}
ways |= {name: [] for name in (PRETRAINED, RANDOM, "self-training", "labelled handwriting")}
coders, classifiers = [], []  # one of each a seed; the last ones are used further down
for seed in range(sizes.seeds):
    torch.manual_seed(seed)
    x, y = fonts.drawn(sizes.drawn, train_fonts, hand, side=side, seed=seed)
    coders.append(pretrained(torch.cat((train_x, x[: len(train_x)])), sizes.steps))
    for name, half in ((PRETRAINED, coders[-1][0]), (RANDOM, first_half())):
        ways[name].append(reads(on_top_of(half, x, y, sizes.steps), test_x, test_y))
    more = self_labelled(readers[seed], x, y)
    again = fitted(first_half() + second_half(), *more, sizes.steps)
    ways["self-training"].append(reads(again, test_x, test_y))
    both = first_half() + second_half()
    classifiers.append(fitted(both, train_x, train_y, 2 * sizes.steps))
    ways["labelled handwriting"].append(reads(classifiers[-1], test_x, test_y))

# %% tags=["headline"]
print(f"{data.name}, {len(test_y):,} handwritten test images, {sizes.seeds} seeds")
for name, runs in ways.items():
    print(f"{name:23} {np.mean(runs):6.1%}  (from {min(runs):.1%} to {max(runs):.1%})")
changed, target = np.mean(ways["changed"]), np.mean(ways["as printed"]) + 0.1
print(f"changed: {changed:.1%} (target: 10 points above as printed, {target:.1%})")

# %%
plots.show(
    figures.accuracies(ways, "accuracy on handwriting"),
    alt="Five bars: "
    + ", ".join(f"{name} {np.mean(runs):.0%}" for name, runs in ways.items())
    + " of the handwriting read.",
)
gains = {
    "first half": np.mean(ways[PRETRAINED]) - changed,
    "self-training": np.mean(ways["self-training"]) - changed,
    "neither": 0.005,
}
check.measured("which way closes more of the gap", max(gains, key=lambda name: gains[name]))
(first, decoder), reader = coders[-1], classifiers[-1]
erased = test_x[:10] * (torch.rand_like(test_x[:10]) > 0.3)
with torch.no_grad():
    mended = decoder(first(erased)).clip(0, 1)
fig = figures.rows({"clean": test_x[:10], "erased": erased, "mended": mended})
plots.show(fig, alt="Ten handwritten digits; with holes; with most of the holes filled again.")

# %% [markdown]
# Most of the gain came from changing the drawn images. A first half that has never seen a label is far
# above a random one: it found edges and strokes. But it stays below one that learnt with labels, and closes
# no more of the gap. Print and handwriting have their strokes in common; what a first half sees is not
# where they differ. (DeepFont's photographs differed from its drawings there, too: in grain and blur.)
#
# Self-training gains a little, though a part of its labels is wrong. Labelled handwriting is far above all
# of them: drawn data is for where there is none.

# %% [markdown]
# ### Exercise 4 · Read the gap — 0.75 points, 10 minutes, ●○○
# - `choose_by`: you want to know how strong the wobble should be. By their accuracy on which images do you
#   choose? `"held-out fonts"`, `"test digits"`, `"training loss"` or `"kept apart"`, a few labelled
#   handwritten digits that are used for nothing else.
# - `first_half_saw`: what of the handwriting did the first half learn from? `"images"`, `"labels"`,
#   `"both"` or `"neither"`.
# - `shadow_did_little`: in section 3, light alone did less than another change. Why? Shadows are `"too weak"`
#   in these drawings; they are `"not seen"` by a network; they are `"not in the test"` images; or they make
#   the `"labels"` wrong.

# %% nbgrader={"grade_id": "read_the_gap_choices", "solution": true}
choose_by = None  # "held-out fonts", "test digits", "training loss" or "kept apart"
first_half_saw = None  # "images", "labels", "both" or "neither"
shadow_did_little = None  # "too weak", "not seen", "not in the test" or "labels"
### BEGIN SOLUTION
choose_by = "kept apart"
first_half_saw = "images"
shadow_did_little = "not in the test"
### END SOLUTION

# %% nbgrader={"grade_id": "read_the_gap", "grade": true, "points": 0.75}
check("read_the_gap")

# %% [markdown]
# ## 5 · Two networks, one against the other
# So far pictures were drawn by a program. In a **generative adversarial network** (Goodfellow and others
# 2014) a network makes them. The **generator** $G$ turns random numbers $z$ into a picture. The
# **discriminator** $D$ gives a picture a score $s$: high for a real one, low for one that was made.
# $\sigma(s)$ is the probability that $D$ thinks it real. Each learns from the other:
#
# $$L_D = -\tfrac1n\sum \log \sigma(s_{\text{real}}) - \tfrac1m\sum \log\,(1 - \sigma(s_{\text{made}}))$$
# $$L_G = -\tfrac1m\sum \log \sigma(s_{\text{made}})$$

# %% [markdown]
# $L_D$ is binary cross-entropy. For $G$ one could simply take $D$'s second term with its sign changed,
# $\log\,(1 - \sigma(s))$. But at first $D$ is sure, $s$ is far below 0, and there that curve is flat.
# $L_G$ above is called **non-saturating**. The slopes, by autograd:

# %%
for score in (-8.0, -2.0, 2.0):
    s = torch.tensor(score, requires_grad=True)
    (flat,) = torch.autograd.grad(torch.log(1 - torch.sigmoid(s)), s)
    (steep,) = torch.autograd.grad(-torch.log(torch.sigmoid(s)), s)
    print(f"s = {score:4}: slope of log(1 − σ(s)) {flat:.4f}, of −log σ(s) {steep:.4f}")

# %% [markdown]
# One step trains $D$, then $G$, on the same made pictures `fake = G(z)`. Each loss depends on both
# networks, and each must move one of them only:
#
# - $L_D$ depends on $G$ through `fake`. `fake.detach()` cuts that off.
# - $L_G$ has to go *through* $D$ to reach $G$, so here nothing is cut. It leaves a gradient in $D$ on the
#   way, which must be gone before $D$'s next step.
#
# **Predict first:** what happens if `fake` is detached for $L_G$, too?

# %%
check.predict(
    "if fake is detached for G's loss, too", "", "an error", "G stands still", "D gets worse"
)

# %% [markdown]
# ### Exercise 5 · One step of a GAN — 2 points, 30 minutes, ●●●
# <details><summary>Hint 1</summary>−log σ(s) is log(1 + e<sup>−s</sup>), and 1 − σ(s) is σ(−s).
# <code>F.softplus(a)</code> is log(1 + e<sup>a</sup>), for any size of a.</details>
#
# <details><summary>Hint 2</summary>Of G's step: with which D are the made pictures scored? D has just
# changed, so its old scores are of no use.</details>
#
# <details><summary>Hint 3</summary>An optimizer steps with what is in <code>.grad</code>, whoever put it
# there: empty it right before the backward that it is meant for.</details>


# %% nbgrader={"grade_id": "gan_step_code", "solution": true}
def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """L_D, one number: the sum of two means, over real and over made pictures.

    real_scores: (N,) or (N, 1), fake_scores: (M,) or (M, 1): D's, before any sigmoid, of any size.
    >>> discriminator_loss(torch.zeros(3), torch.zeros(5))
    tensor(1.3863)
    """
    ### BEGIN SOLUTION
    return F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()
    ### END SOLUTION


def generator_loss(fake_scores: Tensor) -> Tensor:
    """L_G, the non-saturating loss, one number. fake_scores: (M,) or (M, 1), of any size."""
    ### BEGIN SOLUTION
    return F.softplus(-fake_scores).mean()
    ### END SOLUTION


def gan_step(
    G: nn.Module,
    D: nn.Module,
    opt_G: torch.optim.Optimizer,
    opt_D: torch.optim.Optimizer,
    real: Tensor,
    z: Tensor,
) -> tuple[float, float]:
    """One step of D on real and G(z), then one of G on the same z, by the scores of the D after its step.

    real: (N, …) pictures; z: (M, …) random numbers; opt_G, opt_D: over G's and over D's weights alone. In
    the weights there may be old gradients. Returns (L_D, L_G), each before its own step.
    """
    ### BEGIN SOLUTION
    fake = G(z)
    opt_D.zero_grad()
    loss_D = discriminator_loss(D(real), D(fake.detach()))
    loss_D.backward()
    opt_D.step()
    opt_G.zero_grad()
    loss_G = generator_loss(D(fake))
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()
    ### END SOLUTION


# %% nbgrader={"grade_id": "gan_step", "grade": true, "points": 2}
check("gan_step")

# %%
tiny_G, tiny_D = nn.Linear(2, 3), nn.Linear(3, 1)
try:
    F.softplus(-tiny_D(tiny_G(torch.randn(4, 2)).detach())).mean().backward()
    reached = tiny_G.weight.grad is not None
    print("The backward passes; does a gradient reach G?", reached)
    check.measured("if fake is detached for G's loss, too", "G stands still")
except RuntimeError:
    check.measured("if fake is detached for G's loss, too", "an error")

# %% [markdown]
# No error, no warning: $G$'s `.grad` stays None, the optimizer skips it, and $D$ soon tells all the
# pictures apart.
#
# DCGAN (Radford, Metz, Chintala 2016) found what a convolutional pair needs to stay in balance: no pooling but
# strides, batch normalisation in both, ReLU in $G$ and leaky ReLU in $D$, Adam with $\beta_1 = 0.5$. Here
# is a small one. (Its training does not wait for your answer: the loop below has the step written out
# with the library's losses.)

# %%
NOISE, WIDTH = 16, side // 4


def generator() -> nn.Sequential:
    """(N, 16) random numbers → (N, 1, side, side), from 0 to 1."""
    return nn.Sequential(
        nn.Linear(NOISE, 32 * WIDTH**2, bias=False),
        nn.BatchNorm1d(32 * WIDTH**2),
        nn.ReLU(),
        nn.Unflatten(1, (32, WIDTH, WIDTH)),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


def discriminator() -> nn.Sequential:
    """(N, 1, side, side) → (N, 1) scores."""
    layers = [nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(16, 32, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(32)]
    return nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(32 * WIDTH**2, 1))


# %%
def trained_gan(steps: int, ahead: int = 1) -> tuple[nn.Sequential, dict[int, Tensor]]:
    """A generator, and 1,000 of its pictures at some steps. ahead: steps of G for each step of D."""
    G, D, album = generator(), discriminator(), {}
    opt_G = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.5, 0.999))
    opt_D = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))
    looks = {round(steps * share) for share in (0.02, 0.1, 0.25, 0.5, 1)}
    for step, batch in enumerate(torch.randint(len(train_x), (steps, 64)), 1):
        real, made = D(train_x[batch]), D(G(torch.randn(64, NOISE)).detach())
        opt_D.zero_grad()
        loss = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        (loss + F.binary_cross_entropy_with_logits(made, torch.zeros_like(made))).backward()
        opt_D.step()
        for _ in range(ahead):
            made = D(G(torch.randn(64, NOISE)))
            opt_G.zero_grad()
            F.binary_cross_entropy_with_logits(made, torch.ones_like(made)).backward()
            opt_G.step()
        if step in looks:
            album[step] = made_by(G, 1000)
    return G, album


# %%
def made_by(G: nn.Sequential, count: int) -> Tensor:
    """So many pictures. In training mode: each batch of 100 has its own statistics, as in training."""
    with torch.no_grad():
        return torch.cat([G(torch.randn(100, NOISE)) for _ in range(count // 100)])


# %% [markdown]
# Two trainings: one step of $G$ for each step of $D$, and ten. **Predict first:** with ten, $G$ learns ten
# times as much against the same $D$. Of its 1,000 pictures at the end, how many kinds of digit are there?

# %%
check.predict(
    "kinds of digit when G steps ten times as often", "", "all ten", "six to nine", "fewer"
)

# %%
torch.manual_seed(0)
generators, albums = {}, {}
for name, ahead, steps in (("in turn", 1, sizes.gan), ("ten to one", 10, sizes.gan // 4)):
    generators[name], albums[name] = trained_gan(steps, ahead)
rows = {f"step {step}": made for step, made in albums["in turn"].items()}
last = list(albums["ten to one"].values())[-1]
plots.show(
    figures.rows({**rows, "ten to one": last, "handwritten": train_x[:10]}),
    alt="From noise to digits in five rows; digits that are much alike; ten handwritten digits.",
)

# %% [markdown]
# Some could be a person's, some are no digit at all. An eye finds what it looks for; so count.
#
# ## 6 · How many digits are there?
# A generator that makes one perfect 7, again and again, fools its discriminator and is useless:
# **mode collapse**. A classifier can count. Each picture counts for the class that the classifier finds
# likeliest, if it is sure enough; the others count for none.

# %% [markdown]
# The counts are summed up in one number. With the shares $p_c$ of the pictures that count, the
# **entropy** is $-\sum_c p_c \ln p_c$, and $e$ to its power is the number of classes that would have it if
# all came equally often: 10 for ten alike, 1 for one alone, and in between for a few that are rare.

# %% [markdown]
# ### Exercise 6 · Count the modes — 1 point, 15 minutes, ●●○
# <details><summary>Hint 1</summary>$p \ln p$ goes to 0 as p goes to 0. What does the computer say to
# <code>0 * log(0)</code>?</details>
#
# <details><summary>Hint 2</summary><code>torch.bincount(labels, minlength=C)</code> also has a place for
# classes at the end that do not occur.</details>


# %% nbgrader={"grade_id": "modes_code", "solution": true}
def mode_counts(scores: Tensor, least: float) -> Tensor:
    """How many pictures count for each class: (C,) int64.

    scores: (N, C), a classifier's, before softmax. A picture counts for its likeliest class, if that
    one's probability is `least` or more.
    """
    ### BEGIN SOLUTION
    chance, label = torch.softmax(scores, dim=1).max(dim=1)
    return torch.bincount(label[chance >= least], minlength=scores.shape[1])
    ### END SOLUTION


def effective_modes(counts: Tensor) -> float:
    """e to the power of the entropy of counts: (C,) int64. 0 where nothing was counted.

    >>> round(effective_modes(torch.tensor([5, 5, 0])), 6)
    2.0
    """
    ### BEGIN SOLUTION
    total = counts.sum()
    if total == 0:
        return 0.0
    share = counts[counts > 0].double() / total
    return float(torch.exp(-(share * share.log()).sum()))
    ### END SOLUTION


# %% nbgrader={"grade_id": "modes", "grade": true, "points": 1}
check("modes")

# %% [markdown]
# The classifier is the one of section 4 that was trained on labelled handwriting.

# %%
final = {name: list(album.values())[-1] for name, album in albums.items()}
shown = {"handwritten": test_x, **final}
with check.needs("modes"):
    with torch.no_grad():
        counts = {name: mode_counts(reader(x), 0.8) for name, x in shown.items()}
    modes = {name: effective_modes(count) for name, count in counts.items()}
    fig = figures.class_counts(counts, modes)
    plots.show(fig, alt="; ".join(f"{name}: {modes[name]:.1f} classes" for name in modes) + ".")
    for name, count in counts.items():
        sure = count.sum() / len(shown[name])
        print(f"{name:12} {sure:4.0%} counted, {modes[name]:.1f} classes: {count.tolist()}")
    found = modes["ten to one"]
    kinds = "all ten" if found > 9 else "six to nine" if found >= 5.5 else "fewer"
    check.measured("kinds of digit when G steps ten times as often", kinds)

# %% [markdown]
# With ten steps to one, $G$ finds the picture that this $D$ likes best, and makes nothing else. $D$ learns to
# tell it; $G$ moves on to the next. In turn, $G$ keeps nearly all ten, some of them rarer than others.
#
# The count has its limit: the classifier only knows digits, and calls anything one.

# %% [markdown]
# ## 7 · How far from the real thing?
# Counting says nothing of how a 7 looks. Heusel and others (2017) compare two *sets* of pictures. A
# classifier turns each picture into features, the numbers that its last layer works with. Each set is
# summed up by its features' mean $m$ and covariance $C$, as if they were normal. Between two normal
# distributions the **Fréchet distance** is known exactly:
#
# $$d^2 = \lVert m_a - m_b \rVert^2 + \operatorname{tr}\!\left(C_a + C_b - 2\,(C_a C_b)^{1/2}\right)$$
#
# It is reported squared. With one feature it is $(m_a - m_b)^2 + (s_a - s_b)^2$, with $s$ the standard
# deviations.

# %% [markdown]
# The root is a matrix's: the matrix that times itself gives $C_a C_b$, not the root of each number. Only
# its trace is needed, the sum of the roots of the eigenvalues of $C_a C_b$. That product is not
# symmetric. $C_a^{1/2} C_b\, C_a^{1/2}$ is, and has the same eigenvalues. For a symmetric matrix
# $C = V \operatorname{diag}(\lambda) V^\top$ the root is $V \operatorname{diag}(\sqrt\lambda) V^\top$:

# %%
C = np.array([[2.0, 1.0], [1.0, 2.0]])
values, vectors = np.linalg.eigh(C)
root = (vectors * np.sqrt(values)) @ vectors.T
print("root", root.round(3).tolist(), "times itself", (root @ root).round(3).tolist())
print("the root of each number", np.sqrt(C).round(3).tolist())

# %% [markdown]
# ### Exercise 7 · Fréchet distance — 1.25 points, 20 minutes, ●●○
# <details><summary>Hint 1</summary><code>np.cov(a, rowvar=False)</code>: each row is a picture. Of one
# feature it makes a single number; <code>np.atleast_2d</code> makes a matrix of it.</details>
#
# <details><summary>Hint 2</summary>With fewer pictures than features some eigenvalues are 0. Rounding may make
# −10<sup>−17</sup> of them, and its root is no number.</details>


# %% nbgrader={"grade_id": "frechet_distance_code", "solution": true}
def frechet_distance(a: Array, b: Array) -> float:
    """The squared Fréchet distance d² of two sets of features, computed in float64.

    a: (N, D), b: (M, D), float; N, M ≥ 2, D ≥ 1, also with fewer pictures than features. Covariances
    divide by N − 1 and by M − 1, as `np.cov` does.
    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[5.0], [7.0]]))
    25.0
    """
    ### BEGIN SOLUTION
    a, b = a.astype(np.float64), b.astype(np.float64)
    A, B = (np.atleast_2d(np.cov(one, rowvar=False)) for one in (a, b))
    values, vectors = np.linalg.eigh(A)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ B @ root).clip(0)).sum()
    apart = a.mean(axis=0) - b.mean(axis=0)
    return float(apart @ apart + np.trace(A) + np.trace(B) - 2 * both)
    ### END SOLUTION


# %% nbgrader={"grade_id": "frechet_distance", "grade": true, "points": 1.25}
check("frechet_distance")

# %% [markdown]
# Five sets against the handwriting that the generators were trained on. *Copies* are training images with
# a little noise. **Predict first:** which of them comes nearest?

# %%
check.predict(
    "which set has the smallest distance", "", "handwriting held out", "copies", "in turn"
)


# %%
def features(x: Tensor) -> Array:
    """(N, 32): what the classifier's last layer is given."""
    with torch.no_grad():
        return reader[:-1](x).numpy()


# %%
copies = (train_x[:1000] + 0.05 * torch.randn(train_x[:1000].shape)).clip(0, 1)
sets = {"handwriting held out": test_x, "copies": copies, **final, "printed": None}
sets["printed"] = fonts.drawn(1000, train_fonts, side=side, seed=5)[0]
with check.needs("frechet_distance"):
    real = features(train_x)
    far = {name: frechet_distance(features(x), real) for name, x in sets.items()}
    for name, distance in far.items():
        print(f"{name:22} {distance:8.2f}")
    check.measured("which set has the smallest distance", min(far, key=lambda name: far[name]))
    with check.needs("modes"), torch.no_grad():
        steps = list(albums["in turn"])
        both = [
            (frechet_distance(features(x), real), effective_modes(mode_counts(reader(x), 0.8)))
            for x in albums["in turn"].values()
        ]
        fig = figures.over_steps(steps, {"in turn": both}, far["handwriting held out"])
        plots.show(fig, alt="The distance falls over the steps; the classes rise to nearly ten.")

# %% [markdown]
# Copies are as near as handwriting that was held out, or nearer: the distance asks whether two sets are
# alike, not whether one was copied from the other. A generator that has learnt its training images by
# heart would win. And it depends on the classifier, and on how many pictures there are: compare
# only numbers that were made alike.

# %% [markdown]
# ## 8 · Is it copied?
# Lab 07 searched for similar images. Here each picture is compared with *all* training images, pixel by
# pixel, and the nearest is shown. How near is too near? Handwriting that was held out tells: it cannot
# have been copied, and is as near as one person's digit is to another's.


# %%
def nearest(x: Tensor) -> tuple[Tensor, Tensor]:
    """The distance to the nearest training image, (N,), and that image, (N, 1, side, side)."""
    distance, place = torch.cdist(x.flatten(1), train_x.flatten(1)).min(dim=1)
    return distance, train_x[place]


apart = {name: nearest(sets[name]) for name in ("handwriting held out", "copies", "in turn")}
fig = figures.nearest({name: (sets[name], found) for name, (_, found) in apart.items()})
plots.show(fig, alt="Pictures above their nearest training images: alike, the same, less alike.")

# %%
limit = apart["handwriting held out"][0].quantile(0.05)
fig = figures.distances({name: distance for name, (distance, _) in apart.items()})
plots.show(
    fig, alt="Copies lie nearest, handwriting that was held out further off, made digits furthest."
)
for name, (distance, _) in apart.items():
    print(
        f"{name:22} {(distance < limit).float().mean():6.1%} nearer than 95 % of what was held out"
    )

# %% [markdown]
# The copies give themselves away at once. The made digits do not lie nearer to the training images than
# what was held out; they lie further off, since a part of them is no digit. So the two measures
# need each other: near enough in Fréchet's sense, and not too near in this one.

# %% [markdown]
# ## 9 · Coarse first, then fine
# LAPGAN (Denton and others 2015) makes large pictures in steps, along a **Laplacian pyramid**. An image is
# made half as large, `down`, and enlarged again, `up`. What `up` could not bring back is the **detail**:
#
# $$\text{low} = \text{down}(x), \qquad \text{detail} = x - \text{up}(\text{low}), \qquad x = \text{up}(\text{low}) + \text{detail}$$
#
# The last line is exact, whatever `up` does. And low can be split again.


# %%
def down(x: Tensor) -> Tensor:
    """(N, 1, H, W) → (N, 1, H/2, W/2): the mean of each 2×2 block."""
    return F.avg_pool2d(x, 2)


def up(x: Tensor) -> Tensor:
    """(N, 1, H, W) → (N, 1, 2H, 2W), bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")


# %% [markdown]
# ### Exercise 8 · A pyramid — 1 point, 15 minutes, ●○○
# Use `down` and `up`.
#
# <details><summary>Hint 1</summary>What is split in the second round: the image, the detail or the small
# image?</details>
#
# <details><summary>Hint 2</summary>Back: begin with the last part. Which detail has the size of what
# <code>up</code> makes of it?</details>


# %% nbgrader={"grade_id": "laplacian_code", "solution": true}
def laplacian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """The details from the largest to the smallest, then the small image that is left.

    x: (N, 1, H, W), H and W divisible by 2 to the power of levels; it is left as it was. The list has
    levels + 1 members; with no level it is [x].
    """
    ### BEGIN SOLUTION
    parts = []
    for _ in range(levels):
        low = down(x)
        parts.append(x - up(low))
        x = low
    return [*parts, x]
    ### END SOLUTION


def from_pyramid(parts: Sequence[Tensor]) -> Tensor:
    """The image of which these are the parts, in `laplacian_pyramid`'s order. They stay as they were."""
    ### BEGIN SOLUTION
    x = parts[-1]
    for high in reversed(parts[:-1]):
        x = up(x) + high
    return x
    ### END SOLUTION


# %% nbgrader={"grade_id": "laplacian", "grade": true, "points": 1}
check("laplacian")

# %%
with check.needs("laplacian"):
    x = torch.from_numpy(train_fonts.x[9, 2:3])[None]
    parts = laplacian_pyramid(x, 2)
    back = from_pyramid(parts)
    fig = figures.pyramid(x[0], [one[0] for one in parts], back[0])
    plots.show(fig, alt="A printed 2; its edges; coarser edges; the 2 in 8×8 pixels; the 2 again.")
    print(f"largest difference after joining: {(back - x).abs().max():.1e}")

# %% [markdown]
# So a large picture can be made from a small one and an invented detail. Who invents it? For handwriting of
# this size there is nothing larger to learn from. But drawn digits can be had in any size: a
# network learns from *them* what detail belongs to a small image, and adds it to handwriting.

# %% [markdown]
# Two networks of the same make. One is trained by **least squares**: its detail is to have the smallest
# squared error. The other has a discriminator against it, which sees `up(low)` and a detail together.
# It is also given noise, so that one small image may have many details.
#
# **Predict first:** how strong is the detail of least squares, as a share of the real one's? (By
# standard deviation, on fonts that it has not seen.)

# %%
check.predict("how strong is the detail of least squares", "", "weaker", "as strong", "stronger")


# %%
def detailer() -> nn.Sequential:
    """up(low) and noise, (N, 2, H, W) → detail (N, 1, H, W)."""
    layers = [nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(16, 1, 3, padding=1))


def critic(side: int) -> nn.Sequential:
    """up(low) and detail, (N, 2, side, side) → (N, 1) scores."""
    layers = [nn.Conv2d(2, 16, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    layers += [nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(32 * (side // 4) ** 2, 1))


def with_noise(low: Tensor, strength: float) -> Tensor:
    """What a detailer is given."""
    return torch.cat((up(low), strength * torch.randn_like(up(low))), dim=1)


# %%
def by_least_squares(x: Tensor, steps: int) -> nn.Sequential:
    """A detailer for the large images x."""
    net = detailer()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for batch in torch.randint(len(x), (steps, 32)):
        low = down(x[batch])
        optimizer.zero_grad()
        F.mse_loss(net(with_noise(low, 0)), x[batch] - up(low)).backward()
        optimizer.step()
    return net


# %%
def against_a_critic(net: nn.Sequential, x: Tensor, steps: int) -> nn.Sequential:
    """The detailer, trained on as a generator."""
    net, D, loss = copy.deepcopy(net), critic(x.shape[-1]), F.binary_cross_entropy_with_logits
    opt_G, opt_D = (torch.optim.Adam(n.parameters(), lr=2e-3, betas=(0.5, 0.999)) for n in (net, D))
    one, zero = torch.ones(32, 1), torch.zeros(32, 1)
    for batch in torch.randint(len(x), (steps, 32)):
        low = down(x[batch])
        coarse, fake = up(low), net(with_noise(low, 1))
        opt_D.zero_grad()
        real = D(torch.cat((coarse, x[batch] - coarse), dim=1))
        (loss(real, one) + loss(D(torch.cat((coarse, fake.detach()), dim=1)), zero)).backward()
        opt_D.step()
        opt_G.zero_grad()
        loss(D(torch.cat((coarse, fake), dim=1)), one).backward()
        opt_G.step()
    return net


# %%
torch.manual_seed(0)
large_hand = fonts.Camera(**shape, wobble=2.5)
large, _ = fonts.drawn(sizes.drawn, train_fonts, large_hand, side=2 * side, seed=0)
large_new, _ = fonts.drawn(500, other_fonts, large_hand, side=2 * side, seed=1)
squares = by_least_squares(large, sizes.detail)
adversarial = against_a_critic(squares, large, 3 * sizes.detail)
low, true = down(large_new), large_new - up(down(large_new))
with torch.no_grad():
    for name, net, noise in (("least squares", squares, 0), ("adversarial", adversarial, 1)):
        detail = net(with_noise(low, noise))
        strong, error = (
            detail.std() / true.std(),
            (detail - true).square().mean() / true.square().mean(),
        )
        print(
            f"{name:14} detail {strong:4.0%} as strong as the real one, squared error {error:4.0%}"
        )
        if name == "least squares":
            word = "weaker" if strong < 0.95 else "as strong" if strong < 1.05 else "stronger"
            check.measured("how strong is the detail of least squares", word)

# %%
with torch.no_grad():
    small = torch.cat((test_x[:5], final["in turn"][:5]))
    enlarged = {"small": small, "only enlarged": up(small).clip(0, 1)}
    for name, net, noise in (("least squares", squares, 0), ("adversarial", adversarial, 1)):
        enlarged[name] = (up(small) + net(with_noise(small, noise))).clip(0, 1)
    plots.show(
        figures.rows(enlarged),
        alt="Five handwritten and five made digits: small; enlarged and soft; with detail added, twice.",
    )

# %% [markdown]
# Least squares is right on average, and too soft: where several details are possible, their mean has the
# smallest error. (For the best such guess, its strength squared and its error add up to 100 %.) The
# adversarial detail is stronger, and its squared error far larger: it commits itself. Which is
# better depends on what you want, a number near the truth or a picture that could be true.

# %% [markdown]
# ## 10 · Experiments
# Change the knobs and run again; nothing here is graded.
#
# - How many labelled handwritten digits are worth as much as all the drawn ones? Train `reader` on the
#   first 10, 20, 50, 100 of them.
# - Make the wobble stronger, until it hurts. Keep some labelled digits apart to choose by.
# - Freeze only the first of the first half's two convolutions.
# - Give $G$ one random number in place of 16. What happens to the number of modes?
# - Compute the Fréchet distance from 50 pictures in place of 1,000, several times. In which direction is it
#   wrong?


# %%
def from_few(count: int) -> float:
    """The accuracy on handwriting, trained on so many labelled handwritten digits."""
    torch.manual_seed(0)
    network = first_half() + second_half()
    return reads(fitted(network, train_x[:count], train_y[:count], sizes.steps), test_x, test_y)


for count in (20,):
    print(f"{count:4} labelled handwritten digits: {from_few(count):.1%} read")

# %% [markdown]
# ## 11 · What you built is called
# | yours | the library's |
# |---|---|
# | `perspective_grid`, with `F.grid_sample` | `torchvision.transforms.v2.RandomPerspective`; for the affine part, `F.affine_grid` |
# | `photographed` | `v2.GaussianBlur`, `v2.GaussianNoise`, `v2.ColorJitter` |
# | `second_half_step` | `requires_grad_(False)` and `eval()` on what is frozen |
# | `discriminator_loss`, `generator_loss` | `F.binary_cross_entropy_with_logits`, with ones and zeros |
# | `frechet_distance` | FID, in torchmetrics and pytorch-fid, with the features of an Inception network |
#
# On the same inputs:

# %%
with check.needs("perspective_grid", "gan_step"):
    affine = torch.tensor([[[1.2, 0.3, 0.1], [-0.2, 0.9, 0.0], [0.0, 0.0, 1.0]]])
    theirs = F.affine_grid(affine[:, :2], [1, 1, 5, 5], align_corners=False)
    print(f"affine_grid: {(perspective_grid(affine, 5) - theirs).abs().max():.1e} apart at most")
    s, t = torch.randn(6), torch.randn(6)
    entropy = F.binary_cross_entropy_with_logits
    both = entropy(s, torch.ones(6)) + entropy(t, torch.zeros(6))
    print(f"cross-entropy: L_D differs by {(discriminator_loss(s, t) - both).abs():.1e}", end=", ")
    print(f"L_G by {(generator_loss(t) - entropy(t, torch.ones(6))).abs():.1e}")

# %% [markdown]
# ## 12 · Further
# - Wang and others (2015), *DeepFont: identify your font from an image*,
#   [arXiv:1507.03196](https://arxiv.org/abs/1507.03196): drawn training data, six changes, two halves;
#   over 80 % of real photographs have their font among the best five. Compare with what your halves gained.
# - Simard, Steinkraus, Platt (2003), *Best practices for convolutional neural networks applied to visual
#   document analysis*, [10.1109/ICDAR.2003.1227801](https://doi.org/10.1109/ICDAR.2003.1227801): the wobble.
# - Vincent, Larochelle, Bengio, Manzagol (2008), *Extracting and composing robust features with denoising
#   autoencoders*, [10.1145/1390156.1390294](https://doi.org/10.1145/1390156.1390294).
# - Goodfellow and others (2014), *Generative adversarial networks*,
#   [arXiv:1406.2661](https://arxiv.org/abs/1406.2661): the game, and its non-saturating loss.

# %% [markdown]
# - Radford, Metz, Chintala (2016), *Unsupervised representation learning with deep convolutional generative
#   adversarial networks*, [arXiv:1511.06434](https://arxiv.org/abs/1511.06434): DCGAN.
# - Denton, Chintala, Szlam, Fergus (2015), *Deep generative image models using a Laplacian pyramid of adversarial
#   networks*, [arXiv:1506.05751](https://arxiv.org/abs/1506.05751): about 40 % of its CIFAR-10 pictures were
#   taken for real by people, and 10 % of a plain GAN's.
# - Heusel and others (2017), *GANs trained by a two time-scale update rule converge to a local Nash
#   equilibrium*, [arXiv:1706.08500](https://arxiv.org/abs/1706.08500): the Fréchet distance of features.
#
# **Next:** in lab 21 a network learns to drive a small car, from nothing but what its own driving brings.

# %%
progress()
