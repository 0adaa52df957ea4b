"""Checks of lab 20: a camera for drawn digits, two halves, a GAN's step, and how its pictures fare.

The networks are the judge's: their weights are drawn here and sent as numbers. What a step makes of
them comes back, and is compared with what the right step makes of them here.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from grading.answer.exercise import exercise, part
from grading.answer.student import probe
from grading.checks import expect
from grading.checks.answers import synthesis as answers
from grading.checks.answers.synthesis import MISTAKES

there: Callable[[Callable[..., Any]], Callable[..., Any]] = cache(probe)
CLOSE = {"rtol": 1e-5, "atol": 1e-8}


def drawing(rng):
    """Draws normal numbers of a shape, float64."""
    return lambda *shape: torch.tensor(rng.normal(size=shape))


# ------------------------------------------------------------------------------- the camera


@exercise("perspective_grid", points=1.25, forbids={"perspective_grid": ["torchvision"]})
def perspective_grid(student, rng):
    causes = (
        ("expected scalar type", answers.ON_THE_WAY),
        ("same dtype", answers.ON_THE_WAY),
        ("expected m1 and m2", answers.ON_THE_WAY),
    )

    def check(H, side, kind=""):
        given = {"H": H, "side": side}
        shape = "Each pixel of each image has two numbers: (N, side, side, 2)."
        with expect.otherwise(shape=shape), expect.explained(*causes):
            how = {"what": "the grid", "rtol": 1e-4, "atol": 1e-5}
            got = expect.answers(student, MISTAKES, "perspective_grid", given, **how)
        if kind:
            message = "The grid should have the dtype of H."
            expect.that(str(got.dtype) == kind, message, given=given, kind="dtype")

    def affine(count):
        """Last rows (0, 0, 1): w is 1 everywhere."""
        H = torch.tensor(rng.uniform(-0.9, 0.9, (count, 3, 3)))
        H[:, :2, :2] += torch.tensor([[2.0, 0.0], [0.0, 3.0]])
        H[:, 2] = torch.tensor([0.0, 0.0, 1.0])
        return H.float()

    def tilted(count):
        H = affine(count).double()
        H[:, 2] = torch.tensor(rng.choice([-1, 1], (count, 3)) * rng.uniform(0.2, 0.4, (count, 3)))
        H[:, 2, 2] = torch.tensor(rng.uniform(1.2, 2, count))
        return H.float()

    with part("turned, slanted and moved, w = 1", points=0.5):
        check(affine(1), 3)
        check(affine(1), 4)
    with part("tilted: divided by w", points=0.35):
        check(tilted(1), 3)
        check(tilted(1), 4)
    with part("each image by its own H", points=0.25):
        check(tilted(3), 3)
        check(tilted(2), 2)
    with part("a single pixel, and H's dtype", points=0.15):
        check(tilted(2), 1, "torch.float32")
        check(tilted(1).double(), 4, "torch.float64")


@exercise(
    "photographed", points=1.25, forbids={"photographed": ["torchvision", "scipy", "PIL", "cv2"]}
)
def photographed(student, rng):
    sizes = "The image stays as large as it was: there is paper around it, so pad with zeros."

    def check(shape, width, dark=0.0, noise=0.0, dtype=torch.float64):
        """dark: how much of the light is missing at most; noise: how strong."""
        ink = torch.tensor(rng.uniform(0.1, 0.9, shape)).to(dtype)
        side = rng.uniform(0.2, 1, width // 2)
        kernel = torch.tensor([*side, 1.5, *side[::-1]]).to(dtype)
        light = torch.tensor(1 - dark * rng.uniform(0.3, 1, shape)).to(dtype)
        noises = torch.tensor(noise * rng.choice([-1, 1], shape) * rng.uniform(0.2, 1, shape))
        given = {"ink": ink, "kernel": kernel / kernel.sum(), "light": light}
        given["noise"] = noises.to(dtype)
        how = {"rtol": 1e-4} if dtype == torch.float32 else {}
        with expect.otherwise(shape=sizes), expect.explained(*answers.IN_CAMERA):
            expect.answers(student, MISTAKES, "photographed", given, what="the ink seen", **how)

    with part("blurred along rows and columns", points=0.5):
        check((1, 1, 4, 4), 3)
        check((3, 1, 5, 4), 5)
    with part("the light falls on the paper", points=0.35):
        check((1, 1, 3, 4), 1, dark=0.9)
        check((2, 1, 4, 3), 1, dark=0.9)
    with part("noise, then clipped", points=0.25):
        check((1, 1, 3, 4), 1, noise=1.5)
        check((2, 1, 3, 5), 1, noise=1.5)
    with part("all together, in this order", points=0.15):
        check((1, 1, 4, 5), 3, dark=0.8, noise=0.3)
        check((2, 1, 6, 5), 5, dark=0.8, noise=1.5)
        check((1, 1, 1, 1), 1, dark=0.8, noise=0.3, dtype=torch.float32)


# -------------------------------------------------------------------------------- two halves


def denoised(learner, weights, clean, kept):
    """The denoising loss of two layers with these weights, and its gradient in each of them."""
    import torch
    from torch import nn

    first = nn.Sequential(nn.Conv2d(1, len(weights[0]), 3, padding=1), nn.Tanh()).double()
    decoder = nn.Conv2d(len(weights[0]), 1, 3, padding=1).double()
    parameters = [*first.parameters(), *decoder.parameters()]
    for p, value in zip(parameters, weights, strict=True):
        p.data.copy_(value)
    given = clean.clone(), kept.clone()
    with torch.enable_grad():
        loss = learner.denoising_loss(first, decoder, clean, kept)
    as_tensor = isinstance(loss, torch.Tensor)
    if as_tensor and loss.requires_grad and loss.ndim == 0:
        loss.backward()
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    graph = bool(as_tensor and loss.requires_grad)
    changed = [not torch.equal(*pair) for pair in zip(given, (clean, kept), strict=True)]
    return [loss.detach() if as_tensor else loss, grads, graph, changed]


def halves(learner, state, rates, training, old, batches, after):
    """second_half_step, once for each batch, on two halves with these numbers.

    state: of the first half, then of the second; rates: the optimizer's; training: first's mode;
    old: a number in all gradients of first and of second; after: what first is shown at the end.
    """
    import torch
    from torch import nn

    channels, units, classes = len(state[1]), len(state[8]), len(state[-1])
    first = nn.Sequential(nn.Conv2d(1, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.Tanh())
    second = nn.Sequential(nn.Flatten(), nn.Linear(state[7].shape[1], units), nn.BatchNorm1d(units))
    second.append(nn.Tanh()).append(nn.Linear(units, classes))
    first, second = first.double(), second.double()
    both = [*first.state_dict().values(), *second.state_dict().values()]
    for own, value in zip(both, state, strict=True):
        own.copy_(value)
    first.train(training)
    for half, value in zip((first, second), old, strict=True):
        for p in half.parameters():
            p.grad = torch.full_like(p, value) if value else None
    optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], **rates)
    losses = []
    for x, y in batches:
        with torch.enable_grad():
            loss = learner.second_half_step(first, second, optimizer, x, y)
        losses.append(loss.detach() if isinstance(loss, torch.Tensor) else loss)
    weights = [one.detach().clone() for one in second.state_dict().values()]
    with torch.no_grad():
        return [losses, weights, first(after)]


@exercise("two_halves", points=1.5)
def two_halves(student, rng):
    normal = drawing(rng)

    def denoise(count, height, width, at):
        """at: 0 to look at the loss, 1 at the gradients."""
        weights = [normal(2, 1, 3, 3), normal(2), normal(1, 2, 3, 3), normal(1)]
        clean = torch.tensor(rng.uniform(0.2, 1, (count, 1, height, width)))
        kept = torch.tensor(rng.permutation(np.arange(clean.numel()) % 3 > 0)).double()
        asked = weights, clean, kept.reshape(clean.shape)
        given = f"For {count} images of {height}×{width} pixels, a third of them erased."
        right = denoised(answers, *copy.deepcopy(asked))
        got = expect.items(there(denoised)(student, *asked), 4, what="the report", kind="list")
        kind = isinstance(got[0], torch.Tensor) and got[0].ndim > 0
        expect.that(not kind, answers.ONE_NUMBER, given=given, kind="shape")
        of = lambda own: denoised(own, *copy.deepcopy(asked))  # noqa: E731
        knows = MISTAKES.values("two_halves", lambda own: of(own)[0], "denoising_loss")
        expect.close(got[0], right[0], what="the loss", given=given, knows=knows, **CLOSE)
        for changed, name in zip(expect.items(got[3], 2, what="the report"), "ck", strict=True):
            message = answers.CLEAN_CHANGED if name == "c" else answers.KEPT_CHANGED
            expect.that(changed is False, message, given=given)
        if not at:
            return
        expect.that(got[2] is True, answers.NO_GRAPH, given=given, diagnosis=answers.NUMBER_ALONE)
        grads = expect.form(got[1], right[1], what="the gradients", given=given)
        cut = not any(np.any(one.numpy()) for one in grads[:2])
        expect.that(not cut, answers.NO_GRADIENT, given=given, diagnosis=answers.CUT)
        expect.close(grads, right[1], what="the gradients", given=given, **CLOSE)

    def step(count, *, steps=1, training=True, old=(0.0, 0.0), at=(0, 1), decay=0.0):
        """at: what is looked at, of losses, second's numbers and first's answer afterwards."""
        c, units, classes = 2, 3, 4
        state = [normal(c, 1, 3, 3), normal(c), 1 + 0.3 * normal(c), normal(c), normal(c)]
        state += [0.5 + torch.tensor(rng.random(c)), torch.tensor(3)]
        state += [normal(units, 9 * c), normal(units), 1 + 0.3 * normal(units), normal(units)]
        state += [normal(units), 0.5 + torch.tensor(rng.random(units)), torch.tensor(7)]
        state += [normal(classes, units), normal(classes)]
        rates = {"lr": float(rng.uniform(0.2, 0.5)), "weight_decay": decay}
        batches = [
            (normal(count, 1, 3, 3), torch.tensor(rng.integers(0, classes, count)))
            for _ in range(steps)
        ]
        asked = state, rates, training, list(old), batches, normal(4, 1, 3, 3)
        given = f"For {count} examples and {steps} steps in a row."
        right = halves(answers, *copy.deepcopy(asked))
        with expect.explained(*answers.IN_HALVES):
            got = there(halves)(student, *asked)
        got = expect.items(got, 3, what="the report", kind="list")
        of = lambda own: pick(halves(own, *copy.deepcopy(asked)))  # noqa: E731
        pick = lambda report: [report[i] for i in at]  # noqa: E731
        names = ("the losses", "the weights and statistics of second", "what first says afterwards")
        knows = MISTAKES.values("two_halves", of, "second_half_step")
        with expect.recognised(pick(got), knows, **CLOSE):
            for i in at:
                expect.close(got[i], right[i], what=names[i], given=given, **CLOSE)

    with part("denoising_loss", points=0.3):
        denoise(3, 3, 4, 0)
        denoise(1, 4, 3, 0)
    with part("denoising_loss: its gradient reaches both halves", points=0.3):
        denoise(2, 3, 4, 1)
    with part("second_half_step: second learns", points=0.4):
        step(5, at=(0, 1))
        step(4, at=(0, 1), old=(0.0, 0.7))
    with part("second_half_step: first stays as it was", points=0.3):
        step(5, steps=3, at=(0, 1, 2), training=True)
        step(4, steps=2, at=(0, 1, 2), training=False)
    with part("second_half_step: whatever the optimizer holds", points=0.2):
        step(5, steps=2, at=(0, 1, 2), old=(0.8, 0.3), decay=0.3)


@exercise("read_the_gap", points=0.75)
def read_the_gap(student, rng):
    for name, replies in answers.REPLIES.items():
        with part(name, points=0.25):
            expect.choice(student, name, getattr(answers, name), replies)


# ------------------------------------------------------------------------------------ the GAN


def gan_losses(learner, real, fake):
    """The two losses of these scores, and their gradients for the scores."""
    import torch

    real, fake = (one.clone().requires_grad_() for one in (real, fake))
    with torch.enable_grad():
        losses = learner.discriminator_loss(real, fake), learner.generator_loss(fake)
    report = [one.detach() if isinstance(one, torch.Tensor) else one for one in losses]
    for loss, leaves in zip(losses, ((real, fake), (fake,)), strict=True):
        grads = (None,) * len(leaves)
        if isinstance(loss, torch.Tensor) and loss.requires_grad and loss.ndim == 0:
            grads = torch.autograd.grad(loss, leaves, allow_unused=True)
        pairs = zip(grads, leaves, strict=True)
        report.append([torch.zeros_like(x) if g is None else g for g, x in pairs])
    return report


def gan_steps(learner, state, rates, old, batches):
    """gan_step, once for each batch (real, z), on two networks with these numbers.

    state: of G, then of D; rates: of both optimizers; old: a number in all gradients of G and D.
    """
    import torch
    from torch import nn

    class Shaped(nn.Module):
        def __init__(self, *layers):
            super().__init__()
            self.layers = nn.Sequential(*layers)

        def forward(self, x):
            return self.layers(x)

    (hidden, size), (wide, pixels) = state[0].shape, state[4].shape
    G = Shaped(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, pixels)).double()
    D = Shaped(nn.Linear(pixels, wide), nn.LeakyReLU(0.2), nn.Linear(wide, 1)).double()
    for own, value in zip([*G.parameters(), *D.parameters()], state, strict=True):
        own.data.copy_(value)
    optimizers = [torch.optim.SGD(one.parameters(), **rates) for one in (G, D)]
    for network, value in zip((G, D), old, strict=True):
        for p in network.parameters():
            p.grad = torch.full_like(p, value) if value else None
    losses = []
    for real, z in batches:
        with torch.enable_grad():
            pair = learner.gan_step(G, D, *optimizers, real, z)
        if isinstance(pair, (tuple, list)):
            pair = [one.detach() if isinstance(one, torch.Tensor) else one for one in pair]
        losses.append(pair)
    numbers = [[p.detach().clone() for p in one.parameters()] for one in (D, G)]
    return [losses, *numbers]


@exercise("gan_step", points=2)
def gan_step(student, rng):
    normal = drawing(rng)

    def losses(name, real, fake, why=""):
        """name: whose loss is looked at; its gradient for the scores, too."""
        asked, at = (real, fake), ["discriminator_loss", "generator_loss"].index(name)
        given = {"real_scores": real, "fake_scores": fake} if at == 0 else {"fake_scores": fake}
        call = lambda own: copied(gan_losses(own, *copy.deepcopy(asked)))  # noqa: E731
        copied = lambda report: [report[at], report[2 + at]]  # noqa: E731
        right = call(answers)
        with expect.otherwise(exception=why):
            got = there(gan_losses)(student, *asked)
        got = expect.items(got, 4, what="the report", kind="list")
        one = not isinstance(got[at], torch.Tensor) or got[at].ndim == 0
        expect.that(one, "The loss should be one number.", given=given, kind="shape")
        knows = MISTAKES.values("gan_step", lambda own: call(own)[0], name)
        with expect.otherwise(why):
            expect.close(got[at], right[0], what="the loss", given=given, knows=knows, **CLOSE)
            what = "the gradient for the scores"
            with expect.otherwise(answers.NO_SLOPE):
                expect.close(got[2 + at], right[1], what=what, given=given, **CLOSE)

    def step(at, *, steps=1, old=(0.0, 0.0)):
        """at: what is looked at, of losses, D's weights and G's weights."""
        size, hidden, pixels, wide, count = 2, 3, 4, 3, 5
        state = [normal(hidden, size), normal(hidden), normal(pixels, hidden), normal(pixels)]
        state += [normal(wide, pixels), normal(wide), normal(1, wide), normal(1)]
        rates = {"lr": float(rng.uniform(0.1, 0.3)), "momentum": 0.5}
        batches = [(normal(count, pixels), normal(count, size)) for _ in range(steps)]
        asked = state, rates, list(old), batches
        given = f"For {count} pictures of {pixels} numbers and {steps} steps in a row."
        right = gan_steps(answers, *copy.deepcopy(asked))
        with expect.explained(*answers.IN_GAN):
            got = there(gan_steps)(student, *asked)
        got = expect.items(got, 3, what="the report", kind="list")
        pick = lambda report: [report[i] for i in at]  # noqa: E731
        of = lambda own: pick(gan_steps(own, *copy.deepcopy(asked)))  # noqa: E731
        knows = MISTAKES.values("gan_step", of, "gan_step")
        names = ("the losses", "the weights of D", "the weights of G")
        with expect.recognised(pick(got), knows, **CLOSE):
            for i in at:
                expect.close(got[i], right[i], what=names[i], given=given, **CLOSE)

    high = lambda *shape: 2 * normal(*shape)  # noqa: E731
    with part("discriminator_loss", points=0.4):
        losses("discriminator_loss", high(4, 1), high(7, 1))
        losses("discriminator_loss", high(1), high(2))
    with part("generator_loss", points=0.4):
        losses("generator_loss", high(4, 1), high(7, 1))
        losses("generator_loss", high(1), high(3))
    with part("scores of 10,000", points=0.2), expect.otherwise(answers.OVERFLOW):
        far = torch.tensor(rng.permutation([-1e4, 1e4, -3e3, 2e3]))
        losses("discriminator_loss", far, -2 * far, answers.OVERFLOW)
        losses("generator_loss", far, -2 * far, answers.OVERFLOW)
    with part("gan_step: D's step", points=0.4):
        step((0, 1))
    with part("gan_step: G's step, by the D after its own", points=0.4):
        step((0, 1, 2), old=(0.0, 0.6))
    with part("gan_step: several in a row", points=0.2):
        step((0, 1, 2), steps=3, old=(0.4, 0.6))


# -------------------------------------------------------------------------- how pictures fare


@exercise("modes", points=1)
def modes(student, rng):
    def count(pictures, classes, least, exact=False):
        scores = 2.5 * rng.normal(size=(pictures, classes)) + rng.uniform(-2, 2, (pictures, 1))
        scores[:, -1] -= 20  # the last class never occurs
        scores[0, :] = (
            5.0  # high scores and nothing sure; sure and low scores; and what lies between
        )
        scores[1] = [*rng.permutation([-3.0, *[-20.0] * (classes - 2)]), -20.0]
        middle = (least + np.log(least / max(1 - least, 0.1))) / 2
        scores[2] = [*rng.permutation([middle, *[middle - 15] * (classes - 2)]), -20.0]
        if exact:  # two classes alike and no other: both have exactly one half
            scores[3:5] = -200.0
            scores[3:5, :2] = -1.0
        given = {"scores": torch.tensor(scores), "least": least}
        shape = "A count for each class: as many numbers as there are classes."
        with expect.otherwise(shape=shape):
            how = {"what": "the counts", "exercise": "modes", "dtype": "int64"}
            expect.answers(student, MISTAKES, "mode_counts", given, **how)

    def effective(*counts, why=""):
        given = {"counts": torch.tensor(counts)}
        with expect.otherwise(why):
            how = {"what": "the number of classes", "exercise": "modes", **CLOSE}
            expect.answers(student, MISTAKES, "effective_modes", given, **how)

    drawn = lambda n: [int(one) for one in rng.permutation(np.arange(3, 40))[:n]]  # noqa: E731
    with part("mode_counts: of pictures that the classifier is sure of", points=0.4):
        count(12, 4, 0.6)
        count(20, 5, 0.8)
    with part("mode_counts: exactly `least`, and none at all", points=0.1):
        count(8, 3, 0.5, exact=True)
        count(6, 3, 1.0001)
    with part("effective_modes: e to the entropy", points=0.2):
        effective(*drawn(3))
        effective(*drawn(5))
    zero = "A class that does not occur adds exactly 0 to the entropy."
    nan = "0 · log 0 is no number here: in the entropy it counts as 0, so leave such a class out."
    logarithm = ("math domain error", nan), ("expected a positive input", nan)
    absent = part("effective_modes: classes that do not occur", points=0.2)
    with absent, expect.explained(*logarithm), expect.otherwise(zero):
        effective(*drawn(2), 0, *drawn(1), 0)
        effective(0, 7, 0)
    with part("effective_modes: no pictures", points=0.1, alone=False):
        effective(0, 0, 0)


@exercise("frechet_distance", points=1.25)
def frechet_distance(student, rng):
    def features(count, size, apart=0.0, dtype=np.float64):
        mixed = rng.normal(size=(size, size)) + np.eye(size)
        return (rng.normal(size=(count, size)) @ mixed + apart).astype(dtype)

    def check(a, b, rtol=1e-5, atol=1e-8):
        given = {"a": a, "b": b}
        how = {"what": "the distance", "rtol": rtol, "atol": atol}
        with expect.explained(*answers.in_frechet(a, b)):
            expect.answers(student, MISTAKES, "frechet_distance", given, **how)

    with part("two features: means and covariances", points=0.5):
        check(features(4, 2, 1.5), features(5, 2, -1.0))
        check(features(6, 2, 0.7), features(4, 2, 3.0))
    with part("more features", points=0.25):
        check(features(9, 4), features(12, 4, 0.5))
        check(features(8, 3, 2.0, np.float32), features(9, 3, dtype=np.float32), 1e-4)
    with part("equal sets: 0", points=0.1, alone=False):
        same = features(7, 3)
        check(same, same[::-1].copy(), atol=1e-6)
    with part("one feature: (m₁ − m₂)² + (s₁ − s₂)²", points=0.15):
        check(features(5, 1), features(4, 1, 2.0))
    with part("fewer pictures than features", points=0.25), expect.otherwise(answers.FEWER):
        check(features(3, 6), features(4, 6, 1.0), 1e-5, 1e-5)
        check(features(2, 5), features(9, 5), 1e-5, 1e-5)


@exercise("laplacian", points=1)
def laplacian(student, rng):
    normal = drawing(rng)

    def split(shape, levels):
        given = {"x": normal(*shape), "levels": levels}
        how = {"what": "the pyramid", "exercise": "laplacian", **CLOSE}
        expect.answers(student, MISTAKES, "laplacian_pyramid", given, **how)

    def join(count, side, levels):
        """Parts that no image gave: what is put together from them is known all the same."""
        parts = [normal(count, 1, side >> n, side >> n) for n in range(levels + 1)]
        how = {"what": "the image", "exercise": "laplacian", **CLOSE}
        expect.answers(student, MISTAKES, "from_pyramid", {"parts": parts}, **how)

    with part("laplacian_pyramid: one level", points=0.3):
        split((1, 1, 4, 4), 1)
        split((2, 1, 2, 6), 1)
    with part("laplacian_pyramid: several levels", points=0.25):
        split((2, 1, 8, 8), 3)
        split((1, 1, 4, 8), 2)
    with part("laplacian_pyramid: none", points=0.05, alone=False):
        split((2, 1, 3, 3), 0)
    sizes = (("must match the size", answers.FROM_THE_END),)
    with part("from_pyramid: one level", points=0.25), expect.explained(*sizes):
        join(2, 4, 1)
    with part("from_pyramid: several levels, and none", points=0.15), expect.explained(*sizes):
        join(1, 8, 3)
        join(2, 4, 2)
        join(2, 3, 0)
