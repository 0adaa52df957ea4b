"""The answers of lab 06: the right ones, and those that known misconceptions lead to."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def numbers(rng: np.random.Generator, *shape: int) -> Tensor:
    """Random float64 numbers with mean 0 and standard deviation 1."""
    return torch.from_numpy(rng.normal(size=shape))


# Batch normalisation


def normal(x, mean, var, weight, bias, eps):
    """γ (x − μ) / √(σ² + ε) + β, every statistic (C,) or broadcastable to x."""
    mean, var, weight, bias = (
        one.reshape(1, -1, 1, 1) if one.ndim == 1 else one for one in (mean, var, weight, bias)
    )
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


def normalised_in_training(case: dict[str, Tensor], eps: float):
    """(right, known) for y in training mode; case: x, weight, bias, running mean and variance."""
    x, weight, bias, running_mean, running_var = case.values()
    axes = (0, 2, 3)
    mean, var, unbiased = x.mean(axes), x.var(axes, correction=0), x.var(axes)
    one, zero = torch.ones(1, dtype=x.dtype), torch.zeros(1, dtype=x.dtype)

    def over(*axes):
        return normal(
            x,
            x.mean(axes, keepdim=True),
            x.var(axes, correction=0, keepdim=True),
            weight,
            bias,
            eps,
        )

    def with_(mean=mean, var=var, weight=weight, bias=bias, eps=eps):
        return normal(x, mean, var, weight, bias, eps)

    root = torch.sqrt(var).reshape(1, -1, 1, 1) + eps
    centred = x - mean.reshape(1, -1, 1, 1)
    return with_(), {
        "The running statistics are used: in training mode it is the batch's own.": with_(
            running_mean, running_var
        ),
        "Each image is normalised by itself: take the statistics over the images, too.": over(2, 3),
        "Each place in the image has its own statistics: take them over all places, too.": over(0),
        "All channels share one mean and variance: each channel has its own.": over(0, 1, 2, 3),
        "The statistics are taken over the channels: each channel has its own.": over(1),
        "Each image is normalised over all its channels: that is layer normalisation.": over(
            1, 2, 3
        ),
        "The variance is divided by n − 1: to normalise, it is divided by n.": with_(var=unbiased),
        "It is divided by the variance: its square root is missing.": centred
        / (var + eps).reshape(1, -1, 1, 1)
        * weight.reshape(1, -1, 1, 1)
        + bias.reshape(1, -1, 1, 1),
        "ε is missing under the root.": with_(eps=0.0),
        "The argument eps is not used.": with_(eps=1e-5),
        "ε is added to the root: it belongs under it.": centred / root * weight.reshape(1, -1, 1, 1)
        + bias.reshape(1, -1, 1, 1),
        "The mean is not subtracted.": with_(mean=zero),
        "The weight γ is missing.": with_(weight=one),
        "The bias β is missing.": with_(bias=zero),
        "The weight γ and the bias β are missing.": with_(weight=one, bias=zero),
        "The weight γ and the bias β are exchanged.": with_(weight=bias, bias=weight),
        "The running statistics are updated first and then used: use the batch's own.": with_(
            0.9 * running_mean + 0.1 * mean, 0.9 * running_var + 0.1 * unbiased
        ),
    }


def normalised_in_evaluation(case: dict[str, Tensor], eps: float):
    """(right, known) for y in evaluation mode."""
    x, weight, bias, running_mean, running_var = case.values()
    right = normal(x, running_mean, running_var, weight, bias, eps)
    batch = normal(x, x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0), weight, bias, eps)
    unbiased = normal(x, x.mean((0, 2, 3)), x.var((0, 2, 3)), weight, bias, eps)
    used = (
        "The batch's statistics are used: in evaluation mode it is the running ones, or an image's"
        " result depends on which others came along."
    )
    root = torch.sqrt(running_var).reshape(1, -1, 1, 1) + eps
    return right, {
        used: batch,
        used + " ": unbiased,
        "ε is missing under the root.": normal(x, running_mean, running_var, weight, bias, 0.0),
        "The argument eps is not used.": normal(x, running_mean, running_var, weight, bias, 1e-5),
        "The weight γ and the bias β are exchanged.": normal(
            x, running_mean, running_var, bias, weight, eps
        ),
        "ε is added to the root: it belongs under it.": weight.reshape(1, -1, 1, 1)
        * (x - running_mean.reshape(1, -1, 1, 1))
        / root
        + bias.reshape(1, -1, 1, 1),
        "running_var is taken for the standard deviation: its root is missing.": normal(
            x, running_mean, running_var**2, weight, bias, eps
        ),
    }


def running(x, running_mean, running_var, momentum):
    """(right, known) for the pair (running_mean, running_var) after a batch in training mode."""
    mean, biased, unbiased = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0), x.var((0, 2, 3))

    def mix(new_mean, new_var, m=momentum):
        return (1 - m) * running_mean + m * new_mean, (1 - m) * running_var + m * new_var

    return mix(mean, unbiased), {
        "The momentum is the wrong way round: it is the share of the new batch.": mix(
            mean, unbiased, 1 - momentum
        ),
        "The momentum is the wrong way round: it is the share of the new batch. ": mix(
            mean, biased, 1 - momentum
        ),
        "The variance kept is divided by n: keep the unbiased one, divided by n − 1.": mix(
            mean, biased
        ),
        "The variance kept has n = the number of images: n counts all numbers of a channel.": mix(
            mean, biased * len(x) / (len(x) - 1)
        ),
        "The two are exchanged: first running_mean, then running_var.": mix(mean, unbiased)[::-1],
        "The running statistics are not updated: in training mode they are.": (
            running_mean,
            running_var,
        ),
        "The running mean is updated, the running variance is not.": (
            mix(mean, unbiased)[0],
            running_var,
        ),
        "The old value is replaced by the batch's: momentum mixes the two.": (mean, unbiased),
        "The old value is replaced by the batch's: momentum mixes the two. ": (
            mean,
            biased,
        ),
        "The old value is kept whole: it has the share 1 − momentum.": (
            running_mean + momentum * mean,
            running_var + momentum * unbiased,
        ),
        "Those are standard deviations: the running one is a variance.": mix(mean, unbiased.sqrt()),
        "The argument momentum is not used.": mix(mean, unbiased, 0.1),
    }


def batch_norm_gradient(x, dy, weight, bias, eps):
    """(right, known) for the gradients of sum(dy · y) in x, weight and bias, in training mode."""

    def gradient(fixed_mean=False, fixed_var=False):
        leaves = [one.clone().requires_grad_() for one in (x, weight, bias)]
        at, gamma, beta = leaves
        mean, var = at.mean((0, 2, 3)), at.var((0, 2, 3), correction=0)
        y = normal(
            at,
            mean.detach() if fixed_mean else mean,
            var.detach() if fixed_var else var,
            gamma,
            beta,
            eps,
        )
        return torch.autograd.grad((dy * y).sum(), leaves)

    detached = (
        "μ and σ² depend on x, so the gradient goes through them, too: no detach or no_grad there."
    )
    right = in_x, in_weight, in_bias = gradient()
    learnt = "γ and β are learnt, by the gradients in weight and bias: no detach or no_grad there."
    return right, {
        learnt: (in_x, 0 * in_weight, 0 * in_bias),
        learnt + " ": (in_x, 0 * in_weight, in_bias),
        learnt + "  ": (in_x, in_weight, 0 * in_bias),
        detached: gradient(True, True),
        detached + " ": gradient(False, True),
        detached + "  ": gradient(True, False),
    }


# Augmentation


def windows(x: Tensor, padding: int, mode: str = "constant") -> dict[tuple[int, int, bool], Tensor]:
    """Every way to crop the padded images, by (top, left, flipped)."""
    h, w = x.shape[2:]
    padded = F.pad(x, (padding,) * 4, mode=mode)
    ways = {}
    for top in range(2 * padding + 1):
        for left in range(2 * padding + 1):
            crop = padded[:, :, top : top + h, left : left + w]
            ways[top, left, False], ways[top, left, True] = crop, crop.flip(3)
    return ways


def wrong_windows(x: Tensor, padding: int) -> dict[str, list[Tensor]]:
    """What known misconceptions make of the images, by diagnosis: every way they could come out."""
    right = windows(x, padding)
    h, w = x.shape[2:]
    inner = [
        F.pad(x[:, :, top : top + h - 2 * padding, left : left + w - 2 * padding], (padding,) * 4)
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    rolls = [
        torch.roll(x, (down, right_), (2, 3))
        for down in range(-padding, padding + 1)
        for right_ in range(-padding, padding + 1)
    ]
    return {
        "The images are turned upside down: flip left to right, the last dimension.": [
            one.flip(2) for one in right.values()
        ],
        "The image is cropped first and padded after, so its rim is always lost: pad first.": [
            *inner,
            *(one.flip(3) for one in inner),
        ],
        "What leaves on one side comes back on the other: pad with zeros instead of rolling.": [
            *rolls,
            *(one.flip(3) for one in rolls),
        ],
        "The padding repeats or mirrors the image: pad with zeros.": [
            one for mode in ("reflect", "replicate") for one in windows(x, padding, mode).values()
        ],
        "The channels are flipped: left to right is the last dimension.": [
            one.flip(1) for one in right.values()
        ],
        "The argument padding is not used: 4 is only its usual value.": list(
            windows(x, 4).values()
        ),
        "The padding is wider than asked for: `padding` on each side.": list(
            windows(x, padding + 1).values()
        ),
    }


def which(out: Tensor, ways: list[Tensor]) -> np.ndarray:
    """For each image the index of the way that gives exactly it, or −1."""
    found = np.full(len(out), -1)
    for number, way in enumerate(ways):
        same = (out == way).flatten(1).all(dim=1).numpy()
        found[same & (found < 0)] = number
    return found


# Declared networks


def random_layers(rng: np.random.Generator):
    """The options of a random network's layers, and the shape that comes in."""
    c1, c2, units = (int(n) for n in rng.choice(np.arange(3, 12), size=3, replace=False))
    channels, side = int(rng.integers(2, 5)), int(rng.choice([12, 16]))
    layers = [
        {"name": "a", "type": "conv", "channels": c1, "kernel": 3, "padding": 1, "bias": False},
        {"name": "b", "type": "batch_norm"},
        {"name": "c", "type": "relu"},
        {"name": "d", "type": "conv", "channels": c2, "kernel": 4, "stride": 2, "padding": 1},
        {"name": "e", "type": "batch_norm"},
        {"name": "f", "type": "max_pool", "kernel": 2},
        {"name": "g", "type": "flatten"},
        {"name": "h", "type": "linear", "units": units},
    ]
    return layers, (channels, side, side + 4)


def network_text(layers: list[dict[str, Any]], shape: tuple[int, ...]) -> str:
    """The network declared in YAML, one layer in a block of its own."""
    lines = ["name: random", f"input: {list(shape)}", "layers:"]
    for number, layer in enumerate(layers):
        pairs = [f"{key}: {str(value).lower()}" for key, value in layer.items()]
        block = number == 3  # the others are on one line each
        text = [f"  - {pairs[0]}", *(f"    {pair}" for pair in pairs[1:])]
        lines += text if block else [f"  - {{{', '.join(pairs)}}}"]
    return "\n".join(lines) + "\n"


def shapes_of(layers: list[dict[str, Any]], shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The shapes of all entries of the network's state, by their names."""
    found: dict[str, tuple[int, ...]] = {}
    for o in layers:
        name = o["name"]
        if o["type"] == "conv":
            k, stride, padding = o["kernel"], o.get("stride", 1), o.get("padding", 0)
            found[f"{name}.weight"] = (o["channels"], shape[0], k, k)
            if o.get("bias", True):
                found[f"{name}.bias"] = (o["channels"],)
            shape = (o["channels"], *((n + 2 * padding - k) // stride + 1 for n in shape[1:]))
        elif o["type"] == "batch_norm":
            found |= {
                f"{name}.{one}": shape[:1]
                for one in ("weight", "bias", "running_mean", "running_var")
            }
            found[f"{name}.num_batches_tracked"] = ()
        elif o["type"] == "max_pool":
            shape = (shape[0], *(n // o["kernel"] for n in shape[1:]))
        elif o["type"] == "flatten":
            shape = (int(np.prod(shape)),)
        elif o["type"] == "linear":
            found[f"{name}.weight"], found[f"{name}.bias"] = (o["units"], shape[0]), (o["units"],)
            shape = (o["units"],)
    return found


def output(layers: list[dict[str, Any]], state: dict[str, Tensor], x: Tensor) -> Tensor:
    """What the network makes of x in evaluation mode."""
    for o in layers:
        own = {
            key.split(".")[1]: value
            for key, value in state.items()
            if key.split(".")[0] == o["name"]
        }
        if o["type"] == "conv":
            x = F.conv2d(x, own["weight"], own.get("bias"), o.get("stride", 1), o.get("padding", 0))
        elif o["type"] == "batch_norm":
            x = F.batch_norm(x, own["running_mean"], own["running_var"], own["weight"], own["bias"])
        elif o["type"] == "relu":
            x = F.relu(x)
        elif o["type"] == "max_pool":
            x = F.max_pool2d(x, o["kernel"])
        elif o["type"] == "flatten":
            x = x.flatten(1)
        elif o["type"] == "linear":
            x = F.linear(x, own["weight"], own["bias"])
    return x


# Solvers


def after_sgd(
    weights: list[Tensor], gradients: list[Tensor], lr: float, momentum: float, decay: float
):
    """(right, known) for the weights after three steps with the same gradient."""
    return _sgd(weights, gradients, lr, momentum, decay), {
        "The weight decay is dropped.": _sgd(weights, gradients, lr, momentum, 0.0),
        "The momentum is dropped.": _sgd(weights, gradients, lr, 0.0, decay),
        "Momentum and weight decay are dropped.": _sgd(weights, gradients, lr, 0.0, 0.0),
        "The momentum is the table's default, not the declared one.": _sgd(
            weights, gradients, lr, 0.9, decay
        ),
        "The learning rate is another than base_lr.": _sgd(
            weights, gradients, 0.001, momentum, decay
        ),
    }


def after_adamw(weights: list[Tensor], gradients: list[Tensor], lr: float, decay: float):
    """(right, known) for the weights after three steps with the same gradient."""
    return _adamw(weights, gradients, lr, decay), {
        "The weight decay is dropped.": _adamw(weights, gradients, lr, 0.0),
        "The weight decay is AdamW's own default.": _adamw(weights, gradients, lr, 0.01),
        "The optimizer is SGD whatever is declared.": _sgd(weights, gradients, lr, 0.9, decay),
    }


def _sgd(weights, gradients, lr, momentum, decay):
    after = []
    for w, g in zip(weights, gradients, strict=True):
        v = torch.zeros_like(w)
        for _ in range(3):
            v = momentum * v + g + decay * w
            w = w - lr * v
        after.append(w)
    return after


def _adamw(weights, gradients, lr, decay):
    after = []
    for w, g in zip(weights, gradients, strict=True):
        for _ in range(3):  # with one gradient, Adam's means are that gradient and its square
            w = w * (1 - lr * decay) - lr * g / (g.abs() + 1e-8)
        after.append(w)
    return after


def one_cycle(w: float, steps: int):
    """(right, known) for the factors of a schedule that rises for the share w of its steps."""
    t = [(step + 1) / (steps + 1) for step in range(steps)]
    from_zero = [step / steps for step in range(steps)]

    def factors(times):
        return [one / w if one < w else (1 - one) / (1 - w) for one in times]

    return factors(t), {
        "The time begins at 0 and the first step is lost: t = (step + 1)/(steps + 1).": factors(
            from_zero
        ),
        "The last step is lost: t = (step + 1)/(steps + 1).": factors(
            [(step + 1) / steps for step in range(steps)]
        ),
        "It rises and then stays: after the warm-up it falls to 0.": [
            min(one / w, 1.0) for one in t
        ],
        "It falls from the start: during the warm-up it rises.": [1 - one for one in t],
        "After the warm-up it falls from less than 1: divide by 1 − w.": [
            one / w if one < w else 1 - one for one in t
        ],
        "The last step is lost, and the first: t = (step + 1)/(steps + 1).": factors(
            [step / (steps - 1) for step in range(steps)]
        ),
        "The function takes step first, then steps.": factors(
            [(steps + 1) / (step + 1) for step in range(steps)]
        ),
        "During the warm-up it rises, after it it falls: the two lines are exchanged.": [
            (1 - one) / (1 - w) if one < w else one / w for one in t
        ],
        "The argument warm_up of the text is not used.": [
            one / 0.25 if one < 0.25 else (1 - one) / 0.75 for one in t
        ],
    }


# Blocks


def fire(x: Tensor, state: dict[str, Tensor]):
    """(right, known) for Fire's output with these weights."""

    def conv(x, name, padding=0):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    plain = conv(x, "squeeze")
    s = F.relu(plain)
    one, three = conv(s, "expand1x1"), conv(s, "expand3x3", 1)
    right = torch.cat((one, three), 1).relu()
    known = {
        "ReLU after the squeeze is missing.": torch.cat(
            (conv(plain, "expand1x1"), conv(plain, "expand3x3", 1)), 1
        ).relu(),
        "ReLU after the expansions is missing.": torch.cat((one, three), 1),
        "ReLU is missing everywhere.": torch.cat(
            (conv(plain, "expand1x1"), conv(plain, "expand3x3", 1)), 1
        ),
        "They are stacked in the other order: expand1x1's channels come first.": torch.cat(
            (three, one), 1
        ).relu(),
    }
    for axis, name in (
        (0, "along the batch"),
        (2, "on top of each other, along the height"),
        (3, "side by side, along the width"),
    ):
        if one.shape[1] == three.shape[1]:
            known[f"The two results are stacked {name}: channels are dimension 1."] = torch.cat(
                (one, three), axis
            ).relu()
    if one.shape == three.shape:
        known["The two results are added: they are stacked along the channels."] = (
            one + three
        ).relu()
        known["The two results are added: they are stacked along the channels. "] = (
            one.relu() + three.relu()
        )
    return right, known


SQUEEZENET = (
    (96, 16, 64, 64),
    (128, 16, 64, 64),
    (128, 32, 128, 128),
    (256, 32, 128, 128),
    (256, 48, 192, 192),
    (384, 48, 192, 192),
    (384, 64, 256, 256),
    (512, 64, 256, 256),
)


def fire_shapes(inputs: int, squeezed: int, ones: int, threes: int) -> dict[str, tuple[int, ...]]:
    return {
        "squeeze.weight": (squeezed, inputs, 1, 1),
        "squeeze.bias": (squeezed,),
        "expand1x1.weight": (ones, squeezed, 1, 1),
        "expand1x1.bias": (ones,),
        "expand3x3.weight": (threes, squeezed, 3, 3),
        "expand3x3.bias": (threes,),
    }


def block_shapes(inputs: int, outputs: int, stride: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a residual block's state."""

    def norm(name):
        return {
            f"{name}.{one}": (outputs,) for one in ("weight", "bias", "running_mean", "running_var")
        } | {f"{name}.num_batches_tracked": ()}

    shapes = {"conv1.weight": (outputs, inputs, 3, 3), **norm("norm1")}
    shapes |= {"conv2.weight": (outputs, outputs, 3, 3), **norm("norm2")}
    if stride != 1 or inputs != outputs:
        shapes |= {"shortcut.0.weight": (outputs, inputs, 1, 1), **norm("shortcut.1")}
    return shapes


def block(x: Tensor, state: dict[str, Tensor], stride: int):
    """(right, known) for a residual block's output in evaluation mode."""

    def conv(x, name, stride=1, padding=1):
        return F.conv2d(x, state[f"{name}.weight"], stride=stride, padding=padding)

    def norm(x, name):
        mean, var, weight, bias = (
            state[f"{name}.{one}"] for one in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, weight, bias)

    short = (
        norm(conv(x, "shortcut.0", stride, 0), "shortcut.1") if "shortcut.0.weight" in state else x
    )
    first = conv(x, "conv1", stride)
    inner = conv(F.relu(norm(first, "norm1")), "conv2")
    out = norm(inner, "norm2")
    no_middle = norm(conv(norm(first, "norm1"), "conv2"), "norm2")
    return F.relu(out + short), {
        "ReLU comes before the addition: the layers could never take anything away.": F.relu(out)
        + short,
        "ReLU comes before the addition, and once more after it: only the one after.": F.relu(
            F.relu(out) + short
        ),
        "ReLU after the addition is missing.": out + short,
        "The shortcut is not added.": F.relu(out),
        "The shortcut is not added, and the last ReLU is missing.": out,
        "ReLU between norm1 and conv2 is missing.": F.relu(no_middle + short),
        "norm2 is missing.": F.relu(inner + short),
        "norm1 is missing.": F.relu(norm(conv(F.relu(first), "conv2"), "norm2") + short),
        "norm1 comes after ReLU: the order is conv, norm, ReLU.": F.relu(
            norm(conv(norm(F.relu(first), "norm1"), "conv2"), "norm2") + short
        ),
        "ReLU is on the shortcut, too: it carries x as it is.": F.relu(out + F.relu(short)),
        "The two are multiplied: a shortcut is added.": F.relu(out * short),
        "The shortcut begins at x, which comes into the block, not behind conv1.": F.relu(
            out + F.relu(norm(first, "norm1"))
        ),
        "The stride is conv1's, not conv2's.": F.relu(
            norm(conv(F.relu(norm(conv(x, "conv1"), "norm1")), "conv2", stride), "norm2") + short
        ),
        "The shortcut ends before norm2: the addition comes after it.": F.relu(
            norm(inner + short, "norm2")
        ),
    }
