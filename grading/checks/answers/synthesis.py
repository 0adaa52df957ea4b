"""Lab 20: the right answers, and what people get wrong about cameras, halves, GANs and distances."""

import sys

import numpy as np
import torch
import torch.nn.functional as F

from grading.checks.mistakes import Known, Mistake, Table, variants
from utils.training import modes as training  # of what a lab calls so, what these answers use


def perspective_grid(H, side):
    at = (2 * torch.arange(side, dtype=H.dtype) + 1) / side - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), dim=-1)
    u, v, w = torch.einsum("nab,ijb->anij", H, points)
    return torch.stack((u / w, v / w), dim=-1)


def photographed(ink, kernel, light, noise):
    reach = len(kernel) // 2
    blurred = F.conv2d(ink, kernel.reshape(1, 1, 1, -1), padding=(0, reach))
    blurred = F.conv2d(blurred, kernel.reshape(1, 1, -1, 1), padding=(reach, 0))
    return (1 - light * (1 - blurred) + noise).clip(0, 1)


def denoising_loss(first, decoder, clean, kept):
    return F.mse_loss(decoder(first(clean * kept)), clean)


def second_half_step(first, second, optimizer, x, y):
    with training.evaluation_mode(first), torch.no_grad():
        seen = first(x)
    optimizer.zero_grad()
    loss = F.cross_entropy(second(seen), y)
    loss.backward()
    optimizer.step()
    return loss.item()


choose_by, first_half_saw, shadow_did_little = "kept apart", "images", "not in the test"

REPLIES = {
    "choose_by": {
        "held-out fonts": "Their accuracy is high without any camera: it tells little of handwriting.",
        "test digits": "What was chosen by them is no longer tested by them: the number flatters you.",
        "training loss": "A strong camera makes the drawn digits harder: the loss rises either way.",
    },
    "first_half_saw": {
        "labels": "Which loss did it learn by? Look for a label among the arguments of that loss.",
        "both": "Which loss did it learn by? Look for a label among the arguments of that loss.",
        "neither": "Two kinds of pictures were put together for it. Whose were they, with what?",
    },
    "shadow_did_little": {
        "too weak": "The figure shows it: a shadow darkens the paper by up to a third of the ink.",
        "not seen": "A shadow changes most pixels, and a network takes every pixel as an input.",
        "labels": "The label of a drawn digit is known, whatever happens to its image afterwards.",
    },
}


def discriminator_loss(real_scores, fake_scores):
    return F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()


def generator_loss(fake_scores):
    return F.softplus(-fake_scores).mean()


def gan_step(G, D, opt_G, opt_D, real, z):
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


def mode_counts(scores, least):
    chance, label = torch.softmax(scores, dim=1).max(dim=1)
    return torch.bincount(label[chance >= least], minlength=scores.shape[1])


def effective_modes(counts):
    total = counts.sum()
    if total == 0:
        return 0.0
    share = counts[counts > 0].double() / total
    return float(torch.exp(-(share * share.log()).sum()))


def frechet_distance(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    A, B = (np.atleast_2d(np.cov(one, rowvar=False)) for one in (a, b))
    values, vectors = np.linalg.eigh(A)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ B @ root).clip(0)).sum()
    apart = a.mean(axis=0) - b.mean(axis=0)
    return float(apart @ apart + np.trace(A) + np.trace(B) - 2 * both)


def down(x):
    """The lab's own, given to the learner."""
    return F.avg_pool2d(x, 2)


def up(x):
    """The lab's own, given to the learner."""
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def laplacian_pyramid(x, levels):
    parts = []
    for _ in range(levels):
        low = down(x)
        parts.append(x - up(low))
        x = low
    return [*parts, x]


def from_pyramid(parts):
    x = parts[-1]
    for high in reversed(parts[:-1]):
        x = up(x) + high
    return x


ON_THE_WAY = "A dtype differs from H's on the way: make the places with dtype=H.dtype."

# What PyTorch's and NumPy's words mean here: (a piece of them, the sentence).
IN_CAMERA = (
    (
        "expected 3D (unbatched) or 4D (batched) input",
        "F.conv2d takes images (N, 1, H, W) and a filter of four axes, too: (1, 1, rows, columns).",
    ),
    *(
        (piece, "F.conv2d takes a filter of four axes: for a row of K weights (1, 1, 1, K).")
        for piece in ("expected weight to be at least", "weight should have at least three dim")
    ),
)
ONE_NUMBER = "The loss should be one number: the mean over images and pixels."
CLEAN_CHANGED = "`clean` is not as it was: the call changed it in place."
KEPT_CHANGED = "`kept` is not as it was: the call changed it in place."
NO_GRAPH = "The loss has no graph: nothing can learn from it."
NUMBER_ALONE = (
    "item(), detach() and torch.no_grad() leave a number alone: return the loss as it is."
)
NO_GRADIENT = "No gradient reaches the first half."
CUT = "Somewhere between the first half and the loss the graph is cut: detach() and no_grad() do that."
NO_SLOPE = "The loss is right and its gradient is not: is a part of it detached?"
IN_HALVES = (
    (
        "does not require grad",
        "The loss depends on nothing that learns: no_grad() is for the first half alone.",
    ),
)
IN_GAN = (
    (
        "backward through the graph a second time",
        "The graph of G(z) is used up by D's backward: D's loss takes the made pictures detached.",
    ),
    (
        "modified by an inplace operation",
        "D's weights have changed since its scores were computed: after D's step, ask D again.",
    ),
)
ONE_FEATURE = "Of one feature np.cov makes a single number, not a 1×1 matrix: np.atleast_2d helps."
HOLDS_NAN = (
    "Eigenvalues do not converge where the matrix holds NaN, such as the root of a negative number."
)
AS_ROWS = (
    "The matrices have a row for each picture: np.cov takes rows as features, but for rowvar=False."
)


def in_frechet(a, b):
    """Of errors in frechet_distance: (a piece of NumPy's words, the sentence)."""
    by_picture = f"(size {len(b)} is different from {len(a)})"
    return (
        ("0-dimensional array given", ONE_FEATURE),
        ("Array must be at least two-dimensional", ONE_FEATURE),
        ("did not converge", HOLDS_NAN),
        ("infs or NaNs", HOLDS_NAN),
        *([(by_picture, AS_ROWS)] if len(a) != len(b) else []),
    )


FEWER = (
    "With fewer pictures than features some eigenvalues are 0, and rounding can make them a little"
    " negative: before the root, clip them at 0."
)
FROM_THE_END = (
    "The sizes do not fit: begin with the small image at the end, and enlarge before adding."
)

# -------------------------------------------------------------------------- perspective_grid

_grid, _grid_other = variants(
    "perspective_grid",
    """
def perspective_grid(H, side):
    at = {at}
    y, x = torch.meshgrid(at, at, indexing="{indexing}")
    points = torch.stack(({x}, {y}, {one}), dim=-1)
    u, v, w = torch.einsum("{product}", {H}, points)
    return {result}
""",
    at="(2 * torch.arange(side, dtype=H.dtype) + 1) / side - 1",
    indexing="ij",
    x="x",
    y="y",
    one="torch.ones_like(x)",
    product="nab,ijb->anij",
    H="H",
    result="torch.stack((u / w, v / w), dim=-1)",
)
_GRID = [
    _grid(
        "not divided by w",
        0.5,
        "u and v are not divided by w: that is right where w is 1 alone.",
        result="torch.stack((u, v), dim=-1)",
    ),
    _grid(
        "divided by the corner of H",
        0.5,
        "u and v are divided by H's last number alone: w also depends on x and y.",
        result="torch.stack((u, v), dim=-1) / H[:, 2:, 2:, None]",
    ),
    _grid(
        "length in place of w",
        0,
        "u and v are divided by the length of (u, v, w): divide by w.",
        result="torch.stack((u, v), dim=-1) / (u**2 + v**2 + w**2).sqrt()[..., None]",
    ),
    _grid(
        "(y, x)",
        0,
        "The two numbers of a place are exchanged: first u/w, then v/w.",
        result="torch.stack((v / w, u / w), dim=-1)",
    ),
    _grid(
        "columns down",
        0,
        "Rows and columns are exchanged: at [n, i, j], y is that of row i and x that of column j.",
        indexing="xy",
    ),
    _grid(
        "from edge to edge",
        0,
        "The outer pixels lie at −1 and 1, the edges of the image: their centres lie half a pixel inside.",
        at="torch.linspace(-1, 1, side, dtype=H.dtype)",
    ),
    _grid(
        "left edges",
        0,
        "The places are those of the pixels' upper left corners: the centre is half a pixel further.",
        at="2 * torch.arange(side, dtype=H.dtype) / side - 1",
    ),
    _grid(
        "from 0 to 1",
        0,
        "The image reaches from −1 to 1 here, not from 0 to 1.",
        at="(torch.arange(side, dtype=H.dtype) + 0.5) / side",
    ),
    _grid(
        "pixels",
        0,
        "The places are in pixels: the image reaches from −1 to 1.",
        at="torch.arange(side, dtype=H.dtype)",
    ),
    _grid(
        "y upwards",
        0,
        "y grows upwards here: row 0, at the top, has the smallest y.",
        y="-y",
    ),
    _grid(
        "transposed",
        0,
        "That is with H transposed: u is the product of H's first row with (x, y, 1).",
        product="nba,ijb->anij",
    ),
    _grid(
        "inverse",
        0,
        "That is with H's inverse: H itself leads from the image back to the drawing.",
        H="torch.linalg.inv(H)",
    ),
    _grid(
        "moved by nothing",
        0,
        "The point is taken as (x, y, 0): then H's last column moves nothing.",
        one="torch.zeros_like(x)",
    ),
    _grid(
        "one matrix for all",
        0.85,
        "All images are looked up with the first H: each has its own.",
        H="H[:1].expand_as(H)",
    ),
    _grid_other(
        "three numbers",
        0,
        "(N, side, side, 2)",
        result="torch.stack((u / w, v / w, w / w), dim=-1)",
    ),
    _grid_other(
        "coordinates first",
        0,
        "(N, side, side, 2)",
        result="torch.stack((u / w, v / w), dim=1)",
    ),
    _grid_other(
        "always float32",
        1.1,
        "The grid should have the dtype of H.",
        result="torch.stack((u / w, v / w), dim=-1).float()",
    ),
    _grid_other(
        "float32 on the way",
        1.1,
        "A dtype differs from H's on the way",
        at="(2 * torch.arange(side) + 1) / side - 1",
    ),
    _grid_other(
        "H changed",
        0.5,
        "changed its argument `H`",
        H="H.div_(H[:, 2:, 2:].clone())",
    ),
]

# ------------------------------------------------------------------------------ photographed

_photo, _photo_other = variants(
    "photographed",
    """
def photographed(ink, kernel, light, noise):
    reach = len(kernel) // 2
    {before}
    blurred = F.conv2d({ink}, kernel.reshape(1, 1, 1, -1), padding=(0, reach))
    blurred = {down}
    return {result}
""",
    before="pass",
    ink="ink",
    down="F.conv2d(blurred, kernel.reshape(1, 1, -1, 1), padding=(reach, 0))",
    result="(1 - light * (1 - blurred) + noise).clip(0, 1)",
)
_PHOTO = [
    _photo(
        "only along rows",
        0.6,
        "It is blurred along rows alone: the same kernel also goes along columns.",
        down="blurred",
    ),
    _photo(
        "only along columns",
        0.6,
        "It is blurred along columns alone: the same kernel also goes along rows.",
        down="F.conv2d(ink, kernel.reshape(1, 1, -1, 1), padding=(reach, 0))",
    ),
    _photo(
        "two blurs averaged",
        0.6,
        "Two blurs of the ink are averaged: the second one goes over what the first one made.",
        down="(blurred + F.conv2d(ink, kernel.reshape(1, 1, -1, 1), padding=(reach, 0))) / 2",
    ),
    _photo(
        "two blurs added",
        0,
        "Two blurs of the ink are added: the second one goes over what the first one made.",
        down="blurred + F.conv2d(ink, kernel.reshape(1, 1, -1, 1), padding=(reach, 0))",
    ),
    _photo(
        "no blur",
        0.6,
        "Nothing is blurred.",
        down="ink",
    ),
    _photo(
        "edges repeated",
        0.6,
        "Beyond the edge the outermost pixels are repeated: there is paper, which is 0.",
        down="F.conv2d(F.pad(ink, 4 * [reach], mode='replicate'),"
        " (kernel[:, None] * kernel)[None, None])",
    ),
    _photo(
        "edges mirrored",
        0.6,
        "Beyond the edge the image is mirrored: there is paper, which is 0.",
        down="F.conv2d(F.pad(ink, 4 * [reach], mode='reflect'),"
        " (kernel[:, None] * kernel)[None, None])",
    ),
    _photo(
        "light on the ink",
        0.75,
        "The light is multiplied with the ink: paper would get lighter in a shadow. It falls on the"
        " paper, 1 − ink.",
        result="(light * blurred + noise).clip(0, 1)",
    ),
    _photo(
        "brightness",
        0,
        "That is the brightness: ink is what it lacks of 1.",
        result="(light * (1 - blurred) + noise).clip(0, 1)",
    ),
    _photo(
        "brightness, noise from it",
        0,
        "That is the brightness, with the noise taken from it: ink is what it lacks of 1.",
        result="(light * (1 - blurred) - noise).clip(0, 1)",
    ),
    _photo(
        "light added",
        0.75,
        "The missing light is added to ink and paper alike: ink that is black gets no darker.",
        result="(blurred + 1 - light + noise).clip(0, 1)",
    ),
    _photo(
        "light before the blur",
        1.1,
        "The shadow is blurred, too: the blur is of the ink, before the light falls on it.",
        ink="1 - light * (1 - ink)",
        result="(blurred + noise).clip(0, 1)",
    ),
    _photo(
        "noise before the light",
        1.1,
        "The light also falls on the noise: noise comes after it, in the camera.",
        result="(1 - light * (1 - blurred - noise)).clip(0, 1)",
    ),
    _photo(
        "noise before the blur",
        1.1,
        "The noise is blurred, too: it comes last, in the camera.",
        ink="ink + noise",
        result="(1 - light * (1 - blurred)).clip(0, 1)",
    ),
    _photo(
        "not clipped",
        0.85,
        "Values below 0 and above 1 are left: clip them.",
        result="1 - light * (1 - blurred) + noise",
    ),
    _photo(
        "clipped below alone",
        0.85,
        "Values above 1 are left: clip them, too.",
        result="(1 - light * (1 - blurred) + noise).clip(min=0)",
    ),
    _photo(
        "clipped above alone",
        0.85,
        "Values below 0 are left: clip them, too.",
        result="(1 - light * (1 - blurred) + noise).clip(max=1)",
    ),
    _photo(
        "noise subtracted",
        0.85,
        "The noise is subtracted: add it.",
        result="(1 - light * (1 - blurred) - noise).clip(0, 1)",
    ),
    _photo(
        "noise as a factor",
        0.85,
        "The noise multiplies: add it.",
        result="((1 - light * (1 - blurred)) * (1 + noise)).clip(0, 1)",
    ),
    _photo(
        "no noise",
        0.85,
        "The noise is missing.",
        result="(1 - light * (1 - blurred)).clip(0, 1)",
    ),
    _photo_other(
        "no padding",
        0,
        "as large as it was",
        down="F.conv2d(ink, (kernel[:, None] * kernel)[None, None])",
        result="(1 - blurred.mean() * light).clip(0, 1)[..., 1:, 1:]",
    ),
    _photo_other(
        "in place",
        0,
        "changed its argument `ink`",
        before="ink.clip_(0.4, 1)",
    ),
]

# --------------------------------------------------------------------------------- two_halves

_denoise, _denoise_other = variants(
    "two_halves",
    """
def denoising_loss(first, decoder, clean, kept):
    return {loss}
""",
    loss="F.mse_loss(decoder(first(clean * kept)), clean)",
)
_DENOISE = [
    _denoise(
        "target damaged",
        0.9,
        "The damaged image is the target: what is to come out is the clean one.",
        loss="F.mse_loss(decoder(first(clean * kept)), clean * kept)",
    ),
    _denoise(
        "nothing damaged",
        0.9,
        "The first half is given the clean image: then copying it is enough.",
        loss="F.mse_loss(decoder(first(clean)), clean)",
    ),
    _denoise(
        "erased and kept exchanged",
        0.9,
        "What is to be kept is erased, and the other way round: kept is 1 where a pixel stays.",
        loss="F.mse_loss(decoder(first(clean * (1 - kept))), clean)",
    ),
    _denoise(
        "erased pixels alone",
        0.9,
        "The error counts the erased pixels alone: it is the mean over all.",
        loss="((decoder(first(clean * kept)) - clean) ** 2)[kept == 0].mean()",
    ),
    _denoise(
        "erased pixels, over all",
        0.9,
        "The error of kept pixels is left out: it is the mean over all.",
        loss="((decoder(first(clean * kept)) - clean) ** 2 * (1 - kept)).mean()",
    ),
    _denoise(
        "kept pixels, over all",
        0.9,
        "The error of erased pixels is left out: it is the mean over all.",
        loss="((decoder(first(clean * kept)) - clean) ** 2 * kept).mean()",
    ),
    _denoise(
        "sum",
        0.9,
        "The squared errors are summed: it is the mean over images and pixels.",
        loss="F.mse_loss(decoder(first(clean * kept)), clean, reduction='sum')",
    ),
    _denoise(
        "sum over pixels",
        0.9,
        "The squared errors of an image are summed: it is the mean over images and pixels.",
        loss="((decoder(first(clean * kept)) - clean) ** 2).flatten(1).sum(1).mean()",
    ),
    _denoise(
        "absolute error",
        0.9,
        "That is the mean absolute error: asked for is the squared one.",
        loss="F.l1_loss(decoder(first(clean * kept)), clean)",
    ),
    _denoise(
        "half",
        0.9,
        "That is half the mean squared error.",
        loss="F.mse_loss(decoder(first(clean * kept)), clean) / 2",
    ),
    _denoise(
        "kept added",
        0.9,
        "The mask is added to the image: multiplied with it, it erases.",
        loss="F.mse_loss(decoder(first(clean + kept)), clean)",
    ),
    _denoise(
        "root",
        0.9,
        "That is the root of the mean squared error: leave the root out.",
        loss="F.mse_loss(decoder(first(clean * kept)), clean).sqrt()",
    ),
    _denoise(
        "damaged features",
        0.9,
        "The image comes whole to the first half, and the decoder's result is damaged: damage the input.",
        loss="F.mse_loss(decoder(first(clean)) * kept, clean)",
    ),
    _denoise_other(
        "detached features",
        1.2,
        "No gradient reaches the first half",
        loss="F.mse_loss(decoder(first(clean * kept).detach()), clean)",
    ),
    _denoise_other(
        "no graph",
        1.2,
        "The loss has no graph",
        loss="torch.tensor(F.mse_loss(decoder(first(clean * kept)), clean).item())",
    ),
    _denoise_other(
        "each image's own",
        0.9,
        "should be one number",
        loss="((decoder(first(clean * kept)) - clean) ** 2).mean(dim=(1, 2, 3))",
    ),
    _denoise_other(
        "clean changed",
        0.9,
        "`clean` is not as it was",
        loss="F.mse_loss(decoder(first(clean * kept)), clean.clone()) + 0 * clean.mul_(kept).sum()",
    ),
]

_half, _half_other = variants(
    "two_halves",
    """
def second_half_step(first, second, optimizer, x, y):
    with {mode}, {grad}:
        seen = {seen}
    {zero}
    loss = {loss}
    loss.backward()
    {step}
    {last}
    return {result}
""",
    mode="training.evaluation_mode(first)",
    grad="torch.no_grad()",
    seen="first(x)",
    zero="optimizer.zero_grad()",
    loss="F.cross_entropy(second(seen), y)",
    step="optimizer.step()",
    last="pass",
    result="loss.item()",
)
_AS_GIVEN = "__import__('contextlib').nullcontext()"
FIRST_MODE = "First's mode decides what its batch norm does: it is to be evaluation mode."
_HALF = [
    _half(
        "first in training mode",
        0.6,
        "First's batch norm uses the batch's statistics, and learns from it: set evaluation mode.",
        mode=_AS_GIVEN,
    ),
    _half(
        "first learns, too",
        1.0,
        "The first half has learnt, too: no gradient may go into it.",
        grad=_AS_GIVEN,
    ),
    _half(
        "all learns",
        0.6,
        "The first half has learnt, too, and its batch norm ran in training mode.",
        mode=_AS_GIVEN,
        grad=_AS_GIVEN,
    ),
    _half(
        "old gradients of both",
        0.6,
        "Old gradients are added: empty them before backward.",
        zero="pass",
    ),
    _half(
        "old gradients of first",
        1.3,
        "Old gradients of first are still there, and the optimizer makes a step with them.",
        zero="second.zero_grad()",
    ),
    _half(
        "gradients of zero",
        1.3,
        "With a gradient of zero, weight decay still shrinks first's weights; a gradient of None makes no"
        " step.",
        zero="optimizer.zero_grad(set_to_none=False)",
    ),
    _half(
        "emptied too late",
        0.6,
        "Second's weights have not moved: the step is missing, or the gradients were emptied before it.",
        zero="pass",
        step="optimizer.zero_grad(); optimizer.step()",
    ),
    _half(
        "no step",
        0.6,
        "Second's weights have not moved: the step is missing, or the gradients were emptied before it.",
        step="pass",
    ),
    _half(
        "second in evaluation mode",
        0.6,
        "Second's batch norm used its running statistics: second learns, in training mode.",
        loss="(second.eval(), F.cross_entropy(second(seen), y))[1]",
        last="second.train()",
    ),
    _half(
        "softmax twice",
        0.6,
        "The scores went through softmax before cross_entropy, which has one of its own.",
        loss="F.cross_entropy(second(seen).softmax(1), y)",
    ),
    _half(
        "loss after the step",
        0.6,
        "That is the loss after the step: asked for is the one before.",
        result="F.cross_entropy(second(seen), y).item()",
    ),
    _half(
        "summed loss",
        0.6,
        "The loss is summed over the examples: it is their mean.",
        loss="F.cross_entropy(second(seen), y, reduction='sum')",
    ),
    _half(
        "first left in evaluation mode",
        1.0,
        "First is left in another mode than it was in.",
        mode=_AS_GIVEN,
        seen="first.eval()(x)",
    ),
    _half(
        "first set to training mode",
        1.2,
        "First ends in training mode, whatever it was in.",
        last="first.train()",
    ),
    _half_other(
        "no loss returned",
        0.6,
        "is a return missing",
        result="None",
    ),
]

# ------------------------------------------------------------------------------- read_the_gap

_READ = [
    Mistake("read_the_gap", f"{name}: {word}", 0.5, says, f'{name} = "{word}"')
    for name, replies in REPLIES.items()
    for word, says in replies.items()
]

# ----------------------------------------------------------------------------------- gan_step

_LOSSES = [
    Known("gan_step", name, points, says, code)
    for name, points, says, code in (
        (
            "real and fake exchanged",
            1.4,
            "Real and made are exchanged: real pictures are to get high scores, made ones low ones.",
            "def discriminator_loss(real_scores, fake_scores):"
            " return F.softplus(real_scores).mean() + F.softplus(-fake_scores).mean()",
        ),
        (
            "halved",
            1.4,
            "That is half of it: the two means are added.",
            "def discriminator_loss(real_scores, fake_scores):"
            " return (F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()) / 2",
        ),
        (
            "one mean of all",
            1.4,
            "That is one mean over all scores: it is the sum of two means.",
            "def discriminator_loss(real_scores, fake_scores): return torch.cat("
            "(F.softplus(-real_scores).flatten(), F.softplus(fake_scores).flatten())).mean()",
        ),
        (
            "sums",
            1.4,
            "The scores' losses are summed: it is a mean over real ones and a mean over made ones.",
            "def discriminator_loss(real_scores, fake_scores):"
            " return F.softplus(-real_scores).sum() + F.softplus(fake_scores).sum()",
        ),
        (
            "real alone",
            1.4,
            "The term of the made pictures is missing.",
            "def discriminator_loss(real_scores, fake_scores): return F.softplus(-real_scores).mean()",
        ),
        (
            "made alone",
            1.4,
            "The term of the real pictures is missing.",
            "def discriminator_loss(real_scores, fake_scores): return F.softplus(fake_scores).mean()",
        ),
        (
            "Wasserstein",
            1.4,
            "Those are differences of scores, as in a Wasserstein GAN: here the loss is cross-entropy.",
            "def discriminator_loss(real_scores, fake_scores):"
            " return fake_scores.mean() - real_scores.mean()",
        ),
        (
            "sigmoid twice",
            1.4,
            "The scores went through the sigmoid twice.",
            "def discriminator_loss(real_scores, fake_scores):"
            " return F.softplus(-real_scores.sigmoid()).mean()"
            " + F.softplus(fake_scores.sigmoid()).mean()",
        ),
        (
            "saturating",
            1.4,
            "That is the saturating loss, the mean of log(1 − D): where D is sure it has hardly a slope.",
            "def generator_loss(fake_scores): return -F.softplus(fake_scores).mean()",
        ),
        (
            "for the discriminator",
            1.4,
            "That is what D wants of made pictures: G wants them taken for real ones.",
            "def generator_loss(fake_scores): return F.softplus(fake_scores).mean()",
        ),
        (
            "generator, summed",
            1.4,
            "The scores' losses are summed: it is their mean.",
            "def generator_loss(fake_scores): return F.softplus(-fake_scores).sum()",
        ),
        (
            "generator, upside down",
            1.4,
            "It has the opposite sign: a loss falls while D's scores of made pictures rise.",
            "def generator_loss(fake_scores): return -F.softplus(-fake_scores).mean()",
        ),
        (
            "generator, Wasserstein",
            1.4,
            "That is the mean score with its sign changed, as in a Wasserstein GAN: here the loss is"
            " cross-entropy.",
            "def generator_loss(fake_scores): return -fake_scores.mean()",
        ),
        (
            "least squares",
            1.4,
            "That is the loss of a least-squares GAN: here the loss is cross-entropy.",
            "def generator_loss(fake_scores): return ((fake_scores - 1) ** 2).mean()",
        ),
        (
            "hinge",
            1.4,
            "That is the hinge loss: here the loss is cross-entropy.",
            "def discriminator_loss(real_scores, fake_scores):"
            " return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()",
        ),
        (
            "generator, sigmoid twice",
            1.4,
            "The scores went through the sigmoid twice.",
            "def generator_loss(fake_scores): return F.softplus(-fake_scores.sigmoid()).mean()",
        ),
        (
            "probability",
            1.4,
            "That is 1 − D's mean probability: the loss is its logarithm, of each picture.",
            "def generator_loss(fake_scores): return 1 - fake_scores.sigmoid().mean()",
        ),
    )
]
OVERFLOW = (
    "At such scores the sigmoid is exactly 0 or 1, and its logarithm infinite or cut off: softplus, logsigmoid"
    " and the …with_logits losses take the scores themselves."
)
_OVERFLOW = [
    Mistake(
        "gan_step",
        "logarithm of the sigmoid, D",
        1.8,
        OVERFLOW,
        """
def discriminator_loss(real_scores, fake_scores):
    real, fake = torch.sigmoid(real_scores), torch.sigmoid(fake_scores)
    return -torch.log(real).mean() - torch.log(1 - fake).mean()
""",
    ),
    Mistake(
        "gan_step",
        "logarithm of the sigmoid, G",
        1.8,
        OVERFLOW,
        "def generator_loss(fake_scores): return -fake_scores.sigmoid().log().mean()",
    ),
]

_gan, _gan_other = variants(
    "gan_step",
    """
def gan_step(G, D, opt_G, opt_D, real, z):
    fake = G(z)
    {zero_D}
    loss_D = discriminator_loss(D({real}), D({fake_D}))
    loss_D.backward({keep})
    {step_D}
    {zero_G}
    loss_G = {loss_G}
    loss_G.backward()
    {step_G}
    return {result}
""",
    zero_D="opt_D.zero_grad()",
    real="real",
    fake_D="fake.detach()",
    keep="",
    step_D="opt_D.step()",
    zero_G="opt_G.zero_grad()",
    loss_G="generator_loss(D(fake))",
    step_G="opt_G.step()",
    result="loss_D.item(), loss_G.item()",
)
_GAN = [
    _gan(
        "D's old gradients",
        1.4,
        "D's step also has old gradients, such as those that G's loss left in D: empty them before.",
        zero_D="pass",
    ),
    _gan(
        "G's old gradients",
        1.8,
        "G's step also has old gradients: empty them before its backward.",
        zero_G="pass",
    ),
    _gan(
        "D's loss in G",
        1.4,
        "D's loss has left its gradient in G, and G steps with it: detach the made pictures for D.",
        zero_D="opt_D.zero_grad(); opt_G.zero_grad()",
        fake_D="fake",
        keep="retain_graph=True",
        zero_G="pass",
    ),
    _gan(
        "no step of D",
        1.0,
        "D has not changed: its step is missing.",
        step_D="pass",
    ),
    _gan(
        "no step of G",
        1.4,
        "G has not changed: its step is missing, or no gradient reaches it.",
        step_G="pass",
    ),
    _gan(
        "D steps again",
        1.0,
        "D makes another step, by G's loss: that one is G's alone.",
        step_G="opt_G.step(); opt_D.step()",
    ),
    _gan(
        "G works for D",
        1.0,
        "G is trained by D's term for made pictures: it then helps D.",
        loss_G="F.softplus(D(fake)).mean()",
    ),
    _gan(
        "G by other pictures",
        1.0,
        "G's loss is of other pictures than the ones of z.",
        loss_G="generator_loss(D(G(-z)))",
    ),
    Known(
        "gan_step",
        "G first",
        1.0,
        "G steps by the scores of the D before its step: D steps first, and G by the D after it.",
        """
def gan_step(G, D, opt_G, opt_D, real, z):
    fake = G(z)
    opt_G.zero_grad()
    loss_G = generator_loss(D(fake))
    loss_G.backward()
    opt_G.step()
    opt_D.zero_grad()
    loss_D = discriminator_loss(D(real), D(fake.detach()))
    loss_D.backward()
    opt_D.step()
    return loss_D.item(), loss_G.item()
""",
    ),
    Known(
        "gan_step",
        "by the old D",
        1.0,
        "G steps by the scores of the D before its step: D steps first, and G by the D after it.",
        """
def gan_step(G, D, opt_G, opt_D, real, z):
    fake = G(z)
    opt_G.zero_grad()
    loss_G = generator_loss(D(fake))
    loss_G.backward()
    opt_D.zero_grad()
    loss_D = discriminator_loss(D(real), D(fake.detach()))
    loss_D.backward()
    opt_D.step()
    opt_G.step()
    return loss_D.item(), loss_G.item()
""",
    ),
    Known(
        "gan_step",
        "D twice",
        1.0,
        "D makes two steps: one of D, then one of G.",
        """
def gan_step(G, D, opt_G, opt_D, real, z):
    for _ in range(2):
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
""",
    ),
    _gan(
        "losses exchanged",
        1.0,
        "The two losses are exchanged: D's comes first.",
        result="loss_G.item(), loss_D.item()",
    ),
    _gan_other(
        "detached for G",
        1.4,
        "or no gradient reaches it",
        loss_G="generator_loss(D(fake.detach()))",
    ),
    _gan_other(
        "without a graph",
        1.0,
        "asks for a gradient",
        real="real",
        fake_D="fake.detach()",
        zero_D="opt_D.zero_grad(); D.requires_grad_(False)",
    ),
    _gan_other(
        "not detached",
        1.0,
        "The graph of G(z) is used up by D's backward",
        fake_D="fake",
    ),
    _gan_other(
        "D's weights changed under G",
        1.0,
        "D's weights have changed since its scores were computed",
        zero_D="scores = D(fake); opt_D.zero_grad()",
        loss_G="generator_loss(scores)",
    ),
    _gan_other(
        "one loss",
        1.0,
        "should be",
        result="loss_D.item() + loss_G.item()",
    ),
]

# -------------------------------------------------------------------------------------- modes

_count, _count_other = variants(
    "modes",
    """
def mode_counts(scores, least):
    chance, label = {chance}.max(dim=1)
    return {result}
""",
    chance="torch.softmax(scores, dim=1)",
    result="torch.bincount(label[chance >= least], minlength=scores.shape[1])",
)
_COUNTS = [
    _count(
        "all counted",
        0.5,
        "All pictures are counted: only those that the classifier is sure of count.",
        result="torch.bincount(label, minlength=scores.shape[1])",
    ),
    _count(
        "the unsure ones",
        0.5,
        "Those are the pictures that it is not sure of.",
        result="torch.bincount(label[chance < least], minlength=scores.shape[1])",
    ),
    _count(
        "scores for probabilities",
        0.5,
        "The scores are compared with `least`: it is a probability, so softmax first.",
        chance="scores",
    ),
    _count(
        "sigmoid for softmax",
        0.5,
        "That is each score's sigmoid: the classes exclude each other, so softmax over all.",
        chance="torch.sigmoid(scores)",
    ),
    _count(
        "softmax over pictures",
        0.5,
        "The softmax goes over the pictures: each picture has its own, over the classes, dim=1.",
        chance="torch.softmax(scores, dim=0)",
    ),
    _count(
        "more than least",
        0.9,
        "A picture with exactly the probability `least` is left out: it counts, too.",
        result="torch.bincount(label[chance > least], minlength=scores.shape[1])",
    ),
    _count(
        "every class",
        0.9,
        "A picture counts there for each class that reaches `least`: it counts once, for the likeliest.",
        result="(torch.softmax(scores, dim=1) >= least).sum(dim=0)",
    ),
    _count_other(
        "floats",
        0.5,
        "should have dtype int64",
        result="torch.bincount(label[chance >= least], minlength=scores.shape[1]).float()",
    ),
    _count(
        "shares",
        0.5,
        "Those are shares: asked for is how many pictures.",
        result="torch.bincount(label[chance >= least], minlength=scores.shape[1])"
        " / (chance >= least).sum()",
    ),
    _count(
        "sum of probabilities",
        0.5,
        "Those are sums of probabilities: each picture counts as one.",
        result="torch.zeros(scores.shape[1], dtype=scores.dtype).index_add("
        "0, label[chance >= least], chance[chance >= least])",
    ),
    _count_other(
        "last classes missing",
        0.5,
        "as many numbers as there are classes",
        result="torch.bincount(label[chance >= least])",
    ),
    _count_other(
        "labels",
        0.5,
        "as many numbers as there are classes",
        result="label[chance >= least]",
    ),
]
_modes, _modes_other = variants(
    "modes",
    """
def effective_modes(counts):
    total = counts.sum()
    {none}
    {share}
    return {result}
""",
    none="if total == 0: return 0.0",
    share="share = counts[counts > 0].double() / total",
    result="float(torch.exp(-(share * share.log()).sum()))",
)
_MODES = [
    _modes(
        "entropy alone",
        0.6,
        "That is the entropy: the number of classes is e to its power.",
        result="float(-(share * share.log()).sum())",
    ),
    _modes(
        "bits to e",
        0.6,
        "The logarithm has base 2 and the power base e: both have the same.",
        result="float(torch.exp(-(share * share.log2()).sum()))",
    ),
    _modes(
        "e to bits",
        0.6,
        "The logarithm has base e and the power base 2: both have the same.",
        result="float(2 ** -(share * share.log()).sum())",
    ),
    _modes(
        "sign",
        0.6,
        "The minus is missing: that is 1 over the number asked for.",
        result="float(torch.exp((share * share.log()).sum()))",
    ),
    _modes(
        "classes that occur",
        0.6,
        "That is how many classes occur at all: one picture counts there as much as a thousand.",
        result="float((counts > 0).sum())",
    ),
    _modes(
        "by squares",
        0.6,
        "That is 1 over the sum of squared shares, another such measure: here it is e to the entropy.",
        result="float(1 / (share**2).sum())",
    ),
    _modes(
        "not shares",
        0.6,
        "The counts are not divided by their sum.",
        share="share = counts[counts > 0].double()",
    ),
    _modes(
        "share of the largest",
        0.6,
        "The counts are divided by the largest one: shares are of the sum.",
        share="share = counts[counts > 0].double() / counts.max()",
    ),
    _modes(
        "none are one",
        0.9,
        "Of no pictures at all there are 0 classes, by the docstring.",
        none="if total == 0: return 1.0",
    ),
    _modes_other(
        "0 · log 0",
        0.8,
        "NaN comes from",
        share="share = counts.double() / total",
    ),
    _modes_other(
        "a small number inside",
        0.6,
        "A class that does not occur adds exactly 0",
        share="share = counts.double() / total + 1e-3",
    ),
]

# --------------------------------------------------------------------------- frechet_distance

_frechet, _frechet_other = variants(
    "frechet_distance",
    """
def frechet_distance(a, b):
    {start}
    A, B = ({cov} for one in (a, b))
    values, vectors = np.linalg.eigh(A)
    root = (vectors * np.sqrt({clip})) @ vectors.T
    both = {both}
    apart = a.mean(axis=0) - b.mean(axis=0)
    return {result}
""",
    start="a, b = a.astype(np.float64), b.astype(np.float64)",
    cov="np.atleast_2d(np.cov(one, rowvar=False))",
    clip="values.clip(0)",
    both="np.sqrt(np.linalg.eigvalsh(root @ B @ root).clip(0)).sum()",
    result="float(apart @ apart + np.trace(A) + np.trace(B) - 2 * both)",
)
_FRECHET = [
    _frechet(
        "root of it",
        0,
        "That is the root of it: the distance is reported squared.",
        result="float(np.sqrt(apart @ apart + np.trace(A) + np.trace(B) - 2 * both))",
    ),
    _frechet(
        "means not squared",
        0,
        "The distance of the means is not squared.",
        result="float(np.sqrt(apart @ apart) + np.trace(A) + np.trace(B) - 2 * both)",
    ),
    _frechet(
        "means alone",
        0,
        "Those are the means alone: the covariances count, too.",
        result="float(apart @ apart)",
    ),
    _frechet(
        "covariances alone",
        0.0,
        "The distance of the means is missing.",
        result="float(np.trace(A) + np.trace(B) - 2 * both)",
    ),
    _frechet(
        "means averaged",
        0.15,
        "The squares of the means' differences are averaged over the features: sum them.",
        result="float((apart**2).mean() + np.trace(A) + np.trace(B) - 2 * both)",
    ),
    _frechet(
        "once",
        0,
        "The root is subtracted once: it is twice.",
        result="float(apart @ apart + np.trace(A) + np.trace(B) - both)",
    ),
    _frechet(
        "added",
        0,
        "The root is added: it is subtracted.",
        result="float(apart @ apart + np.trace(A) + np.trace(B) + 2 * both)",
    ),
    _frechet(
        "root number by number",
        0.15,
        "The root is taken of each number of the product: it is a matrix's root, by eigenvalues.",
        both="np.trace(np.sqrt(np.abs(A @ B)))",
    ),
    _frechet(
        "diagonals alone",
        0.15,
        "Only the variances count there: features that move together show in the rest of the matrix.",
        both="np.sqrt(np.diag(A) * np.diag(B)).sum()",
    ),
    _frechet(
        "roots multiplied",
        0.15,
        "That is √A √B: it is the root of A B only where the two can be exchanged.",
        both="np.trace(root @ (lambda w, v: (v * np.sqrt(w.clip(0))) @ v.T)(*np.linalg.eigh(B)))",
    ),
    _frechet(
        "eigh of A B",
        0.15,
        "A B is not symmetric, and eigh reads one half of it alone: √A B √A is, and has its eigenvalues.",
        both="np.sqrt(np.linalg.eigvalsh(A @ B).clip(0)).sum()",
    ),
    _frechet(
        "eigenvalues without a root",
        0,
        "Those are the eigenvalues of A B: the root is missing.",
        both="np.linalg.eigvalsh(root @ B @ root).sum()",
    ),
    _frechet(
        "divided by N",
        0.0,
        "The covariances are divided by N: np.cov divides by N − 1.",
        cov="np.atleast_2d(np.cov(one, rowvar=False, ddof=0))",
    ),
    _frechet(
        "second moments",
        0.0,
        "Those are means of products: a covariance is of what is left without the mean.",
        cov="one.T @ one / (len(one) - 1)",
    ),
    _frechet(
        "correlations",
        0.0,
        "Those are correlations, of which each feature has variance 1: covariances are asked for.",
        cov="np.atleast_2d(np.corrcoef(one, rowvar=False))",
    ),
    _frechet_other(
        "pictures for features",
        0.0,
        "np.cov takes rows as features",
        cov="np.cov(one)",
    ),
    _frechet_other(
        "not clipped",
        1.0,
        "NaN comes from",
        both="np.sqrt(np.linalg.eigvalsh(root @ B @ root) - 1e-9).sum()",
    ),
    _frechet_other(
        "not clipped inside",
        1.0,
        "Eigenvalues do not converge where the matrix holds NaN",
        clip="values - 1e-9",
    ),
    _frechet_other(
        "one feature",
        1.1,
        "np.atleast_2d helps",
        cov="np.cov(one, rowvar=False)",
    ),
    _frechet_other(
        "a matrix",
        0,
        "should be a number",
        result="apart @ apart + A + B - 2 * root",
    ),
    _frechet_other(
        "centred in place",
        0,
        "changed its argument",
        start="a -= 0.5; a += 0.25",
    ),
]

# ---------------------------------------------------------------------------------- laplacian

_split, _split_other = variants(
    "laplacian",
    """
def laplacian_pyramid(x, levels):
    parts = []
    for _ in range({levels}):
        low = {low}
        parts.append({high})
        x = {next}
    return {result}
""",
    levels="levels",
    low="down(x)",
    high="x - up(low)",
    next="low",
    result="[*parts, x]",
)
_SPLIT = [
    _split(
        "every other pixel",
        0.4,
        "The small image has every other pixel: `down` takes the mean of four.",
        low="x[..., ::2, ::2]",
    ),
    _split(
        "detail with the sign changed",
        0.4,
        "The detail has its sign changed: it is what the small image, enlarged, lacks.",
        high="up(low) - x",
    ),
    _split(
        "images for details",
        0.4,
        "Those are the images of each size: a detail is an image less its small one, enlarged.",
        high="x",
    ),
    _split(
        "blurred for details",
        0.4,
        "Those are the enlarged small images: a detail is what they lack.",
        high="up(low)",
    ),
    _split(
        "pixels repeated",
        0.4,
        "The small image is enlarged by repeating pixels: `up` lets them run into each other.",
        high="x - F.interpolate(low, scale_factor=2)",
    ),
    _split(
        "smallest first",
        0.4,
        "They are in reverse order: the largest detail comes first, the small image last.",
        result="[x, *parts[::-1]]",
    ),
    _split(
        "small image first",
        0.4,
        "The small image comes first here: it comes last.",
        result="[x, *parts]",
    ),
    _split(
        "small image missing",
        0.4,
        "The small image that is left is missing at the end.",
        result="parts",
    ),
    _split(
        "a level more",
        0.4,
        "There is a level more than asked for.",
        levels="levels + 1",
    ),
    _split(
        "a level less",
        0.4,
        "There is a level less than asked for.",
        levels="max(levels - 1, 0)",
    ),
    _split_other(
        "always one level",
        0.7,
        "members",
        levels="1",
    ),
    _split_other(
        "in place",
        0.4,
        "changed its argument `x`",
        high="x.sub_(up(low)).clone()",
    ),
]
_join, _join_other = variants(
    "laplacian",
    """
def from_pyramid(parts):
    x = {start}
    for high in {order}:
        x = {step}
    return x
""",
    start="parts[-1]",
    order="reversed(parts[:-1])",
    step="up(x) + high",
)
_JOIN = [
    _join(
        "detail subtracted",
        0.6,
        "The details are subtracted: add them.",
        step="up(x) - high",
    ),
    _join(
        "details left out",
        0.6,
        "The details are left out: that is the small image, enlarged.",
        step="up(x)",
    ),
    _join(
        "pixels repeated on the way back",
        0.6,
        "The small image is enlarged by repeating pixels: `up` lets them run into each other.",
        step="F.interpolate(x, scale_factor=2) + high",
    ),
    _join_other(
        "largest first",
        0.85,
        "begin with the small image at the end",
        order="parts[:-1]",
    ),
    _join_other(
        "not enlarged",
        0.6,
        "begin with the small image at the end",
        step="x + high",
    ),
    _join_other(
        "list emptied",
        0.6,
        "changed its argument `parts`",
        start="parts.pop()",
        order="reversed(parts)",
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [
        *_GRID,
        *_PHOTO,
        *_DENOISE,
        *_HALF,
        *_READ,
        *_LOSSES,
        *_OVERFLOW,
        *_GAN,
        *_COUNTS,
        *_MODES,
        *_FRECHET,
        *_SPLIT,
        *_JOIN,
    ],
)
