"""Lab 07: the right answers, and what people get wrong about hooks, maps, neighbours and tasks."""

import sys

import torch
import torch.nn.functional as F

from grading.checks.mistakes import Mistake, Table, variants
from utils.training import modes as training  # of what a lab calls so, what these answers use


def top_k(scores, k, names):
    chance = torch.softmax(scores, dim=0)
    order = torch.sort(scores, descending=True, stable=True).indices[:k].tolist()
    return [(names[i], float(chance[i])) for i in order]


def record_activations(model, x, names):
    kept, handles = {}, []

    def keeping(name):
        def keep(module, inputs, output):
            kept[name] = output.detach().clone()

        return keep

    try:
        for name in names:
            handles.append(model.get_submodule(name).register_forward_hook(keeping(name)))
        with training.evaluation_mode(model), torch.no_grad():
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return kept


def saliency(model, x, labels):
    leaf = x.detach().requires_grad_()
    with training.evaluation_mode(model), torch.enable_grad():
        scores = model(leaf)
        (gradient,) = torch.autograd.grad(scores[range(len(x)), labels].sum(), leaf)
    return gradient.abs().amax(dim=1)


def grad_cam(model, layer, x, labels):
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, out: kept.append(out))
    try:
        with training.evaluation_mode(model), torch.enable_grad():
            scores = model(x.detach().requires_grad_())
    finally:
        handle.remove()
    chosen = scores[range(len(x)), labels].sum()
    (gradient,) = torch.autograd.grad(chosen, kept[0])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return F.relu((weights * kept[0]).sum(dim=1)).detach()


def maximise_unit(model, layer, unit, start, steps, rate, decay):
    kept, x = {}, start.detach().clone()

    def keep(module, inputs, output):
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


def nearest(queries, gallery, k, own=None):
    units = [one / one.norm(dim=1, keepdim=True).clamp_min(1e-12) for one in (queries, gallery)]
    cosine = units[0] @ units[1].T
    if own is not None:
        cosine[torch.arange(len(own)), own] = -2.0
    return cosine.sort(dim=1, descending=True, stable=True).indices[:, :k]


def subtask_weights(losses, total=1.0, temperature=2.0):
    falls = [past[-1] / past[-2] if len(past) > 1 else 1.0 for past in losses.values()]
    shares = torch.softmax(torch.tensor(falls, dtype=torch.float64) / temperature, dim=0)
    return {task: total * float(share) for task, share in zip(losses, shares, strict=True)}


def multi_task_loss(scores, labels, weights):
    loss = next(iter(scores.values())).new_zeros(())
    for task, given in labels.items():
        known = given >= 0
        if known.any():
            loss = loss + weights[task] * F.cross_entropy(scores[task][known], given[known])
    return loss


blind_map, passing_means, same_map = "edges", "necessary", "picture"

REPLIES = {
    "blind_map": {
        "saliency": "It goes back through the network: look at its row where all weights are random.",
        "guided": "It changes little, not never. One row is computed without any network: its number?",
        "grad_cam": "It uses activations and gradients of the network: look at how its row changes.",
    },
    "passing_means": {
        "sufficient": "Noise drawn anew for each network would change, too. Would it be a true account?",
        "both": "A map that changes may still be wrong: random numbers change with every network.",
        "neither": "Can a map that no weight influences tell what the network has learnt from data?",
    },
    "same_map": {
        "label": "The two networks learnt different labels for it, and the map is the same for both.",
        "weights": "The two networks have different weights, and the map of the picture is the same.",
        "mistake": "Only one of the two networks learnt wrong labels: what do both of them share?",
    },
}

# ----------------------------------------------------------------------------------- top_k

_top, _top_other = variants(
    "top_k",
    """
def top_k(scores, k, names):
    chance = {chance}
    order = {order}
    return {result}
""",
    chance="torch.softmax(scores, dim=0)",
    order="torch.sort(scores, descending=True, stable=True).indices[:k].tolist()",
    result="[(names[i], float(chance[i])) for i in order]",
)

OVERFLOW = (
    "e to a large power is infinite, and ∞/∞ no number: take the largest score from all first."
)
TOO_FEW = "There are fewer than k classes: topk raises then. A sorted list can be cut with [:k]."
REVERSED = "Equals come out in reverse: turning a rising order around turns them around, too."

# ------------------------------------------------------------------------ record_activations

_record, _record_other = variants(
    "record_activations",
    """
def record_activations(model, x, names):
    kept, handles = {{}}, []

    def keeping(name):
        def keep(module, inputs, output):
            kept[name] = {what}

        return keep

    {tries}
        for name in names:
            handles.append(model.get_submodule(name).register_forward_hook({hook}))
        with {mode}, {grad}:
            model(x)
    {ends}
        for handle in handles:
            {remove}
    {last}
    return kept
""",
    what="output.detach().clone()",
    tries="try:",
    hook="keeping(name)",
    mode="training.evaluation_mode(model)",
    grad="torch.no_grad()",
    ends="finally:",
    remove="handle.remove()",
    last="",
)
MODE = "In training mode batch norm uses the batch's own statistics: evaluation_mode sets the mode."
IN_PLACE = (
    "A later layer has overwritten it in place: detach() shares memory with the output. Clone it."
)
LATE = "Every name has what the last one's layer put out: the hook looks its name up when it is called."
LEFT = {
    "hooks": (
        "A hook is left in the network.",
        "Remove the handles in a `finally:`, so that they go in any case.",
    ),
    "graph": (
        "What is returned still has a graph.",
        "It keeps in memory all that it was computed from: detach it.",
    ),
    "modes": (
        "A module is in another mode than before.",
        "Each module has a mode of its own: evaluation_mode puts all of them back.",
    ),
    "state": (
        "The network's running statistics are others than before.",
        "In training mode batch norm learns from what is sent through: set evaluation mode first.",
    ),
    "gradients": (
        "The parameters' gradients are others than before.",
        "backward() adds to every .grad: torch.autograd.grad returns gradients and touches nothing.",
    ),
    "needs": (
        "Afterwards something else needs a gradient than before: x, or a parameter.",
        "requires_grad_() changes the tensor it is called on: work on x.detach().requires_grad_().",
    ),
    "given": (
        "What was passed in has other values than before.",
        "It is the caller's: make a new tensor rather than change it in place.",
    ),
    "unknown": (
        "A name that the network lacks raised no error.",
        "It was passed over: get_submodule raises for an unknown name, and that error is passed on.",
    ),
    "raised": (
        "An error was caught on the way, and not passed on.",
        "`try: … finally: …` clears up and lets the error pass; `except` swallows it.",
    ),
}

# --------------------------------------------------------------------------------- saliency

_salient, _salient_other = variants(
    "saliency",
    """
def saliency(model, x, labels):
    leaf = {leaf}
    with {mode}, torch.enable_grad():
        scores = model(leaf)
        chosen = {chosen}
        {gradient}
    return {result}
""",
    leaf="x.detach().requires_grad_()",
    mode="training.evaluation_mode(model)",
    chosen="scores[range(len(x)), labels].sum()",
    gradient="(gradient,) = torch.autograd.grad(chosen, leaf)",
    result="gradient.abs().amax(dim=1)",
)

# --------------------------------------------------------------------------------- grad_cam

_cam, _cam_other = variants(
    "grad_cam",
    """
def grad_cam(model, layer, x, labels):
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, out: kept.append({kept}))
    try:
        with {mode}, torch.enable_grad():
            scores = model({x})
    finally:
        {remove}
    chosen = {chosen}
    {gradient}
    weights = {weights}
    return {result}
""",
    kept="out",
    mode="training.evaluation_mode(model)",
    x="x.detach().requires_grad_()",
    remove="handle.remove()",
    chosen="scores[range(len(x)), labels].sum()",
    gradient="(gradient,) = torch.autograd.grad(chosen, kept[0])",
    weights="gradient.mean(dim=(2, 3), keepdim=True)",
    result="F.relu((weights * kept[0]).sum(dim=1)).detach()",
)

# ----------------------------------------------------------------------------- maximise_unit

_unit, _unit_other = variants(
    "maximise_unit",
    """
def maximise_unit(model, layer, unit, start, steps, rate, decay):
    kept, x = {{}}, {start}

    def keep(module, inputs, output):
        kept["answer"] = {answer}

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        with {mode}, torch.enable_grad():
            for _ in range({steps}):
                x.requires_grad_()
                model(x)
                (g,) = torch.autograd.grad(kept["answer"], x)
                x = {step}
    finally:
        {remove}
    return {result}
""",
    start="start.detach().clone()",
    answer="output[0, unit].mean()",
    mode="training.evaluation_mode(model)",
    steps="steps",
    step="(1 - decay) * (x.detach() + rate * g / g.norm().clamp_min(1e-12))",
    remove="handle.remove()",
    result="x.detach()",
)
NO_DIRECTION = "Where the gradient is zero, g / ‖g‖ is 0/0: there x only shrinks."

# ----------------------------------------------------------------------------------- nearest

_near, _near_other = variants(
    "nearest",
    """
def nearest(queries, gallery, k, own=None):
    queries, gallery = {queries}, {gallery}
    cosine = {cosine}
    if own is not None:
        {mask}
    return {result}
""",
    queries="queries / queries.norm(dim=1, keepdim=True).clamp_min(1e-12)",
    gallery="gallery / gallery.norm(dim=1, keepdim=True).clamp_min(1e-12)",
    cosine="queries @ gallery.T",
    mask="cosine[torch.arange(len(own)), own] = -2.0",
    result="cosine.sort(dim=1, descending=True, stable=True).indices[:, :k]",
)
_HIDDEN = (
    "The query's own place comes before others: a cosine goes down to −1, and a tie goes to the"
    " earlier place. What is left out needs less than −1."
)

# -------------------------------------------------------------------------------- multi_task

_weigh, _weigh_other = variants(
    "multi_task",
    """
def subtask_weights(losses, total=1.0, temperature=2.0):
    falls = [{fall} for past in losses.values()]
    shares = {shares}
    return {{task: {weight} for task, share in zip(losses, shares)}}
""",
    fall="past[-1] / past[-2] if len(past) > 1 else 1.0",
    shares="torch.softmax(torch.tensor(falls, dtype=torch.float64) / temperature, dim=0)",
    weight="total * float(share)",
)
_several, _several_other = variants(
    "multi_task",
    """
def multi_task_loss(scores, labels, weights):
    loss = next(iter(scores.values())).new_zeros(())
    for task, given in labels.items():
        known = {known}
        {unless}
            loss = loss + {weight} * {term}
    return {result}
""",
    known="given >= 0",
    unless="if known.any():",
    weight="weights[task]",
    term="F.cross_entropy(scores[task][known], given[known])",
    result="loss",
)
UNKNOWN = "−1 is no class: take the rows whose label is known, of scores and labels alike."
NOTHING = "The mean over no examples is 0/0: a task without a known label adds nothing."
GROWN = (
    "An error that has grown a thousandfold makes e to that power infinite: softmax copes with it."
)
FIRST = "In the first epoch there is no epoch before: r counts as 1 for fewer than two errors."


def _choose(name, word):
    return Mistake(
        "is_it_evidence",
        f"{name}: {word}",
        0.5,
        REPLIES[name][word],
        f'{name} = "{word}"',
    )


MISTAKES = Table(
    sys.modules[__name__],
    [
        _top(
            "scores themselves",
            0,
            "Those are the scores: a page shows probabilities, softmax of all scores.",
            chance="scores",
        ),
        _top(
            "sigmoid",
            0,
            "That is each score's sigmoid: the classes exclude each other, so softmax over all.",
            chance="torch.sigmoid(scores)",
        ),
        _top(
            "of the best alone",
            0.15,
            "The probabilities of the k best add up to 1: softmax goes over all classes, then choose.",
            result="[(names[i], float(p)) for i, p in zip(order, torch.softmax(scores[order], 0))]",
        ),
        _top(
            "logarithms",
            0,
            "Those are logarithms of probabilities: softmax itself.",
            chance="torch.log_softmax(scores, dim=0)",
        ),
        _top(
            "percent",
            0,
            "Those are percent: probabilities lie between 0 and 1.",
            result="[(names[i], 100 * float(chance[i])) for i in order]",
        ),
        _top(
            "softmax twice",
            0,
            "softmax was applied twice: once makes probabilities of the scores.",
            chance="torch.softmax(torch.softmax(scores, dim=0), dim=0)",
        ),
        _top(
            "shares of the scores",
            0,
            "Those are shares of the scores themselves: of e to each score.",
            chance="scores / scores.sum()",
        ),
        _top(
            "place for rank",
            0,
            "The names are sorted and the probabilities are not: the same place indexes both.",
            result="[(names[i], float(chance[n])) for n, i in enumerate(order)]",
        ),
        _top(
            "rounded",
            0,
            "The probabilities are rounded: leave that to whoever prints them.",
            result="[(names[i], round(float(chance[i]), 2)) for i in order]",
        ),
        _top(
            "the worst",
            0,
            "Those are the least likely classes: sort from high to low.",
            order="torch.sort(scores, stable=True).indices[:k].tolist()",
        ),
        _top(
            "only the best",
            0,
            "That is the best class alone, whatever k.",
            order="[int(scores.argmax())]",
        ),
        _top(
            "worst of the best first",
            0,
            "The k best are right, but the likeliest comes last.",
            order="torch.sort(scores, descending=True, stable=True).indices[:k].tolist()[::-1]",
        ),
        _top(
            "probability first",
            0,
            "Each pair is turned around: the name comes first, then its probability.",
            result="[(float(chance[i]), names[i]) for i in order]",
        ),
        _top("exp by hand", 0.6, OVERFLOW, chance="torch.exp(scores) / torch.exp(scores).sum()"),
        _top_other(
            "topk", 0.45, "fewer than k classes", order="torch.topk(scores, k).indices.tolist()"
        ),
        _top(
            "turned around",
            0.6,
            REVERSED,
            order="torch.sort(scores, stable=True).indices.flip(0)[:k].tolist()",
        ),
        _record(
            "what comes in",
            0,
            "Those are the layers' inputs: a hook's third argument is what the layer puts out.",
            what="inputs[0].detach().clone()",
        ),
        _record("in training mode", 0, MODE, mode="torch.enable_grad()"),
        _record(
            "late name",
            0,
            LATE,
            hook="lambda m, i, out: kept.__setitem__(name, out.detach().clone())",
        ),
        _record("overwritten", 1.2, IN_PLACE, what="output.detach()"),
        _record(
            "the first image alone",
            0,
            "That is the first image alone: the whole batch, (N, …).",
            what="output[0].detach().clone()",
        ),
        _record(
            "mean over the batch",
            0,
            "That is the mean over the batch: what the layer put out for each image.",
            what="output.mean(dim=0).detach().clone()",
        ),
        _record_other(
            "with its graph", 1.2, "detach it", what="output.clone()", grad="torch.enable_grad()"
        ),
        _record_other("hooks stay", 1.0, "Remove the handles", remove="pass"),
        _record_other(
            "gone unless it fails", 1.3, "Remove the handles", tries="if True:", ends="if True:"
        ),
        _record_other("swallowed", 1.3, "swallows it", ends="except Exception: pass\n    finally:"),
        _record_other(
            "unknown names passed over",
            1.3,
            "It was passed over",
            tries="try:\n        names = [one for one in names if one in dict(model.named_modules())]",
        ),
        _record_other("stays in evaluation", 1.2, "mode of its own", last="model.eval()"),
        _record_other("all in training afterwards", 1.2, "mode of its own", last="model.train()"),
        _salient(
            "sum over colours",
            0,
            "That is the sum over the three colours: the largest of the three.",
            result="gradient.abs().sum(dim=1)",
        ),
        _salient(
            "mean over colours",
            0,
            "That is the mean over the three colours: the largest of the three.",
            result="gradient.abs().mean(dim=1)",
        ),
        _salient(
            "length over colours",
            0,
            "That is the length of the three colours' gradient: the largest of the three.",
            result="gradient.norm(dim=1)",
        ),
        _salient(
            "smallest of the colours",
            0,
            "That is the smallest of the three colours: the largest.",
            result="gradient.abs().amin(dim=1)",
        ),
        _salient(
            "squared",
            0,
            "The gradient is squared: its size, abs().",
            result="gradient.square().amax(dim=1)",
        ),
        _salient(
            "positive alone",
            0,
            "Negative gradients count as 0 there: their size counts.",
            result="gradient.clamp_min(0).amax(dim=1)",
        ),
        _salient(
            "one class for all",
            0,
            "Every image got the first image's label: each has its own.",
            chosen="scores[:, labels[0]].sum()",
        ),
        _salient(
            "score squared",
            0,
            "That is the gradient of the score's square: of the score itself.",
            chosen="scores[range(len(x)), labels].square().sum()",
        ),
        _salient(
            "signed",
            0,
            "A strong negative gradient counts, too: the size first, then the largest.",
            result="gradient.amax(dim=1)",
        ),
        _salient(
            "size last",
            0,
            "The largest with its sign, then its size, misses strong negative ones: abs() comes first.",
            result="gradient.amax(dim=1).abs()",
        ),
        _salient(
            "of the probability",
            0,
            "That is the gradient of the probability: of the score, before softmax.",
            chosen="torch.softmax(scores, dim=1)[range(len(x)), labels].sum()",
        ),
        _salient(
            "of the loss",
            0,
            "That is the gradient of the cross-entropy: of the label's score alone.",
            chosen="F.cross_entropy(scores, labels, reduction='sum')",
        ),
        _salient(
            "of the answer",
            0,
            "That is for the class which the network names: for the labels that are passed in.",
            chosen="scores.amax(dim=1).sum()",
        ),
        _salient(
            "of all scores",
            0,
            "That is the gradient of all scores together: of each image's own label.",
            chosen="scores.sum()",
        ),
        _salient(
            "every label for every image",
            0,
            "Every image got the labels of all images: scores[:, labels] takes columns, not pairs.",
            chosen="scores[:, labels].sum()",
        ),
        _salient(
            "mean over the batch",
            0,
            "It is N times too small: a mean over the batch divides each image's gradient by N.",
            chosen="scores[range(len(x)), labels].mean()",
        ),
        _salient(
            "times the image",
            0,
            "That is gradient times image, another map: the gradient alone.",
            result="(gradient * x).abs().amax(dim=1)",
        ),
        _salient(
            "scaled",
            0,
            "It is scaled to a largest value of 1: leave it as it is.",
            result="gradient.abs().amax(dim=1) / gradient.abs().amax()",
        ),
        _salient("in training mode", 0, MODE, mode="torch.enable_grad()"),
        _salient_other(
            "backward",
            0.8,
            "touches nothing",
            gradient="chosen.backward(); gradient = leaf.grad",
        ),
        _salient_other(
            "values and places", 0, "values and places", result="gradient.abs().max(dim=1)"
        ),
        _salient_other("x itself", 0.7, "work on x.detach()", leaf="x.requires_grad_()"),
        _cam(
            "no ReLU",
            0,
            "Negative places are evidence against the class: ReLU makes them 0.",
            result="(weights * kept[0]).sum(dim=1).detach()",
        ),
        _cam(
            "place by place",
            0,
            "That is gradient times activation at each place: first the gradient's mean over places.",
            weights="gradient",
        ),
        _cam(
            "ReLU of each channel",
            0,
            "ReLU comes last, on the sum over the channels: one may speak against what others say.",
            result="F.relu(weights * kept[0]).sum(dim=1).detach()",
        ),
        _cam(
            "no negative weights",
            0,
            "Channels with a negative weight speak against the class and count: ReLU comes last.",
            weights="F.relu(gradient.mean(dim=(2, 3), keepdim=True))",
        ),
        _cam(
            "sizes of gradients",
            0,
            "The weights lost their sign: a channel may speak against the class.",
            weights="gradient.abs().mean(dim=(2, 3), keepdim=True)",
        ),
        _cam(
            "positive gradients alone",
            0,
            "Negative gradients count in a weight: the plain mean over places.",
            weights="F.relu(gradient).mean(dim=(2, 3), keepdim=True)",
        ),
        _cam(
            "size at last",
            0,
            "Negative places became positive: ReLU makes them 0.",
            result="(weights * kept[0]).sum(dim=1).abs().detach()",
        ),
        _cam(
            "largest channel",
            0,
            "That is the largest of the weighted channels: their sum.",
            result="F.relu((weights * kept[0]).amax(dim=1)).detach()",
        ),
        _cam(
            "mean over channels of the gradient",
            0,
            "The gradient was averaged over the channels: over the places, one weight a channel.",
            weights="gradient.mean(dim=1, keepdim=True)",
        ),
        _cam(
            "mean over the rows",
            0,
            "The gradient was averaged over the rows alone: over rows and columns, one weight a channel.",
            weights="gradient.mean(dim=2, keepdim=True)",
        ),
        _cam(
            "squares of gradients",
            0,
            "The gradients are squared, and lose their sign: their plain mean over the places.",
            weights="gradient.square().mean(dim=(2, 3), keepdim=True)",
        ),
        _cam(
            "softmax of the weights",
            0,
            "The weights went through softmax, and none is negative: the means as they are.",
            weights="torch.softmax(gradient.mean(dim=(2, 3), keepdim=True), dim=1)",
        ),
        _cam(
            "activations after ReLU",
            0,
            "ReLU was applied to the activations: to the weighted sum alone.",
            result="F.relu((weights * F.relu(kept[0])).sum(dim=1)).detach()",
        ),
        _cam(
            "gradient alone",
            0,
            "The activations are missing: weights times activations, added up.",
            result="F.relu(gradient.sum(dim=1)).detach()",
        ),
        _cam(
            "weights turned around",
            0,
            "The weights have the opposite sign: that is the evidence against the class.",
            weights="-gradient.mean(dim=(2, 3), keepdim=True)",
        ),
        _cam(
            "sum over places",
            0,
            "It is h·w times too large: a weight is the mean over the places.",
            weights="gradient.sum(dim=(2, 3), keepdim=True)",
        ),
        _cam(
            "largest over places",
            0,
            "A weight is the gradient's mean over the places, not its largest value.",
            weights="gradient.amax(dim=(2, 3), keepdim=True)",
        ),
        _cam(
            "mean over channels",
            0,
            "It is K times too small: the channels are added up.",
            result="F.relu((weights * kept[0]).mean(dim=1)).detach()",
        ),
        _cam(
            "one weight for the batch",
            0,
            "All images got the same weights: each has its own gradient. Mean over places, not images.",
            weights="gradient.mean(dim=(0, 2, 3), keepdim=True)",
        ),
        _cam(
            "activations as weights",
            0,
            "The weights are means of the activations: of the gradient, which knows the class.",
            weights="kept[0].mean(dim=(2, 3), keepdim=True)",
        ),
        _cam(
            "no weights",
            0,
            "That is the sum of the channels, the same for every class: the weights are missing.",
            weights="1.0",
        ),
        _cam(
            "of the probability",
            0,
            "That is the gradient of the probability: of the score, before softmax.",
            chosen="torch.softmax(scores, dim=1)[range(len(x)), labels].sum()",
        ),
        _cam(
            "of the answer",
            0,
            "That is for the class which the network names: for the labels that are passed in.",
            chosen="scores.amax(dim=1).sum()",
        ),
        _cam(
            "of the loss",
            0,
            "The gradient is the cross-entropy's, which falls where the score rises: of the score.",
            chosen="F.cross_entropy(scores, labels, reduction='sum')",
        ),
        _cam(
            "every label for every image",
            0,
            "Every image got the labels of all images: scores[:, labels] takes columns, not pairs.",
            chosen="scores[:, labels].sum()",
        ),
        _cam(
            "mean over the batch",
            0,
            "It is N times too small: a mean over the batch divides each image's gradient by N.",
            chosen="scores[range(len(x)), labels].mean()",
        ),
        _cam(
            "scaled",
            0,
            "Each map is scaled to a largest value of 1: leave it as it is.",
            result="(lambda m: m / m.amax(dim=(1, 2), keepdim=True))(F.relu((weights * kept[0]).sum(dim=1)).detach())",
        ),
        _cam("in training mode", 0, MODE, mode="torch.enable_grad()"),
        _cam_other("detached too early", 0, "without detach", kept="out.detach().requires_grad_()"),
        _cam_other("hook stays", 1.5, "Remove the handles", remove="pass"),
        _cam_other(
            "backward",
            1.7,
            "touches nothing",
            gradient="kept[0].retain_grad(); chosen.backward(); gradient = kept[0].grad",
        ),
        _cam_other("no leaf", 1.8, "then x must need one", x="x"),
        _cam_other("graph kept", 1.5, "detach it", result="F.relu((weights * kept[0]).sum(dim=1))"),
        _unit(
            "stops without a direction",
            1.05,
            "Where the gradient is zero x still shrinks, in every step: do not stop there.",
            step="x.detach() if g.norm() == 0 else (1 - decay) * (x.detach() + rate * g / g.norm())",
        ),
        _unit(
            "no step",
            0.3,
            "It only shrinks: the step along the gradient is missing.",
            step="(1 - decay) * x.detach()",
        ),
        _unit(
            "each pixel its own length",
            0.3,
            "Each pixel has a step of its own length: one length over all numbers of the picture.",
            step="(1 - decay) * (x.detach() + rate * g / g.norm(dim=1, keepdim=True).clamp_min(1e-12))",
        ),
        _unit(
            "no decay",
            0,
            "The picture never shrinks: the factor 1 − decay is missing.",
            step="x.detach() + rate * g / g.norm().clamp_min(1e-12)",
        ),
        _unit(
            "decay first",
            0.3,
            "It shrinks before the step: step first, and what comes out shrinks.",
            step="(1 - decay) * x.detach() + rate * g / g.norm().clamp_min(1e-12)",
        ),
        _unit(
            "downhill",
            0.3,
            "It goes downhill: the answer is to rise, so the gradient is added.",
            step="(1 - decay) * (x.detach() - rate * g / g.norm().clamp_min(1e-12))",
        ),
        _unit(
            "by the gradient itself",
            0.3,
            "The step is rate times the gradient: divide by the gradient's length.",
            step="(1 - decay) * (x.detach() + rate * g)",
        ),
        _unit(
            "largest number",
            0.3,
            "The gradient is divided by its largest number: by its length, the root of all squares.",
            step="(1 - decay) * (x.detach() + rate * g / g.abs().amax().clamp_min(1e-12))",
        ),
        _unit(
            "mean size",
            0.3,
            "The gradient is divided by its mean size: by its length, the root of all squares.",
            step="(1 - decay) * (x.detach() + rate * g / g.abs().mean().clamp_min(1e-12))",
        ),
        _unit(
            "squared length",
            0.3,
            "The gradient is divided by its length squared: the step is to be `rate` long.",
            step="(1 - decay) * (x.detach() + rate * g / g.square().sum().clamp_min(1e-12))",
        ),
        _unit(
            "decay of the step",
            0,
            "Only the step shrinks there: what shrinks is the picture after the step.",
            step="x.detach() + (1 - decay) * rate * g / g.norm().clamp_min(1e-12)",
        ),
        _unit(
            "one place",
            0.3,
            "That is the map's first place: the unit's answer is the mean of its map.",
            answer="output[0, unit, 0, 0]",
        ),
        _unit(
            "squared answer",
            0.3,
            "The answer is squared there: the mean of the map as it is.",
            answer="output[0, unit].square().mean()",
        ),
        _unit(
            "the unit before",
            0,
            "That is another unit: channels count from 0, and unit is one's place.",
            answer="output[0, unit - 1].mean()",
        ),
        _unit(
            "from zeros",
            0,
            "It begins with zeros: with start, whatever is in it.",
            start="torch.zeros_like(start)",
        ),
        _unit(
            "signs",
            0.3,
            "The step goes along the gradient's signs: along the gradient, divided by its length.",
            step="(1 - decay) * (x.detach() + rate * g.sign())",
        ),
        _unit(
            "each colour its own length",
            0.3,
            "Each colour has a step of its own length: one length over all numbers of the picture.",
            step="(1 - decay) * (x.detach() + rate * g / g.norm(dim=(2, 3), keepdim=True).clamp_min(1e-12))",
        ),
        _unit(
            "the largest place",
            0.3,
            "The unit's answer is the mean of its map, not the map's largest value.",
            answer="output[0, unit].amax()",
        ),
        _unit(
            "the whole layer",
            0,
            "All channels of the layer count there: one unit is one channel.",
            answer="output.mean()",
        ),
        _unit(
            "decay as a factor",
            0,
            "It is multiplied by decay: what is left is 1 − decay of it.",
            step="decay * (x.detach() + rate * g / g.norm().clamp_min(1e-12))",
        ),
        _unit(
            "one step too many",
            0,
            "That is one step more than asked for.",
            steps="steps + 1",
        ),
        _unit("one step alone", 0, "That is where a single step leads.", steps="min(steps, 1)"),
        _unit(
            "clipped",
            0,
            "The picture is clipped: normalised pixels go beyond 0 to 1.",
            step="((1 - decay) * (x.detach() + rate * g / g.norm().clamp_min(1e-12))).clamp(0, 1)",
        ),
        _unit("in training mode", 0.3, MODE, mode="torch.enable_grad()"),
        _unit(
            "0/0",
            1.05,
            NO_DIRECTION,
            step="(1 - decay) * (x.detach() + rate * g / g.norm())",
        ),
        _unit_other("hook stays", 1.05, "Remove the handles", remove="pass"),
        _unit_other("graph kept", 1.05, "detach it", result="x.requires_grad_() * 1"),
        _near(
            "inner product",
            0,
            "The longest vectors win: that is an inner product. Bring the vectors to length 1 first.",
            queries="queries",
            gallery="gallery",
        ),
        _near(
            "distances",
            0,
            "Those are the nearest by distance: by cosine, length does not count.",
            cosine="-torch.cdist(queries, gallery)",
            queries="queries",
            gallery="gallery",
        ),
        _near(
            "columns of length 1",
            0,
            "Each column was brought to length 1: each vector, that is each row.",
            queries="queries / queries.norm(dim=0).clamp_min(1e-12)",
            gallery="gallery / gallery.norm(dim=0).clamp_min(1e-12)",
        ),
        _near(
            "ranks",
            0,
            "Those are the ranks of the gallery's images: the places of the best, in their order.",
            result="cosine.argsort(dim=1, descending=True, stable=True).argsort(dim=1)[:, :k]",
        ),
        _near(
            "the least similar",
            0,
            "Those are the least similar: sort from high to low.",
            result="cosine.sort(dim=1, stable=True).indices[:, :k]",
        ),
        _near(
            "by size",
            0,
            "Opposite vectors count as similar there: a cosine of −1 comes last.",
            cosine="(queries @ gallery.T).abs()",
        ),
        _near(
            "itself stays",
            0.7,
            "The query's own place is among those found: own says what to leave out.",
            mask="pass",
        ),
        _near(
            "the first is dropped",
            0.7,
            "The first one found is dropped: that need not be the query, which may have a twin.",
            mask="return cosine.sort(dim=1, descending=True, stable=True).indices[:, 1 : k + 1]",
        ),
        _near(
            "own as a column",
            0.7,
            "The places of all queries are left out for each: pair each query with its own place.",
            mask="cosine[:, own] = -2.0",
        ),
        _near("own as 0", 0.7, _HIDDEN, mask="cosine[torch.arange(len(own)), own] = 0.0"),
        _near("own as −1", 1.0, _HIDDEN, mask="cosine[torch.arange(len(own)), own] = -1.0"),
        _near(
            "places of the diagonal",
            0.7,
            "Query i need not stand at place i of the gallery: own says where.",
            mask="cosine.fill_diagonal_(-2.0)",
        ),
        _near(
            "0/0",
            1.0,
            "A vector of zeros has no direction, and 0/0 is no number: its cosine counts as 0.",
            queries="queries / queries.norm(dim=1, keepdim=True)",
            gallery="gallery / gallery.norm(dim=1, keepdim=True)",
        ),
        _near(
            "ties as they come",
            0.8,
            "Of equals the later place comes first: the earlier one, with stable=True.",
            result="cosine.shape[1] - 1 - cosine.flip(1).sort(dim=1, descending=True, stable=True).indices[:, :k]",
        ),
        _near(
            "the cosines",
            0,
            "Those are the cosines: sort gives values and places, and the places are asked for.",
            result="cosine.sort(dim=1, descending=True, stable=True).values[:, :k]",
        ),
        _weigh(
            "all alike",
            0.75,
            "All subtasks weigh alike: r is a task's last error over the one before.",
            fall="1.0",
        ),
        _weigh(
            "upside down",
            0.75,
            "The fall is upside down: the last error over the one before.",
            fall="past[-2] / past[-1] if len(past) > 1 else 1.0",
        ),
        _weigh(
            "since the beginning",
            0.75,
            "That is the fall since the first epoch: the last two alone count.",
            fall="past[-1] / past[0]",
        ),
        _weigh(
            "differences",
            0.75,
            "That is the difference of the two errors: their ratio, which has no unit.",
            fall="past[-1] - past[-2] if len(past) > 1 else 1.0",
        ),
        _weigh(
            "errors themselves",
            0.75,
            "Those are shares of the errors: of how fast they fall.",
            fall="past[-1] if len(past) > 1 else 1.0",
        ),
        _weigh(
            "still stands for 0",
            1.3,
            "A task without two errors counts as standing still: there r is 1.",
            fall="past[-1] / past[-2] if len(past) > 1 else 0.0",
        ),
        _weigh(
            "how much fell",
            0.75,
            "That is by how much the error fell: r is what is left of it.",
            fall="1 - past[-1] / past[-2] if len(past) > 1 else 1.0",
        ),
        _weigh(
            "no temperature",
            0.75,
            "The temperature is missing: r / T.",
            shares="torch.softmax(torch.tensor(falls, dtype=torch.float64), dim=0)",
        ),
        _weigh(
            "times temperature",
            0.75,
            "r is multiplied by T: a high temperature evens the weights out, so divide.",
            shares="torch.softmax(torch.tensor(falls, dtype=torch.float64) * temperature, dim=0)",
        ),
        _weigh(
            "no exponentials",
            0.75,
            "Those are shares of r itself: of e to r / T.",
            shares="torch.tensor(falls, dtype=torch.float64) / sum(falls)",
        ),
        _weigh(
            "fast ones first",
            0.75,
            "A task that falls slowly gets the larger weight: the sign of r is turned around.",
            shares="torch.softmax(-torch.tensor(falls, dtype=torch.float64) / temperature, dim=0)",
        ),
        _weigh("no total", 0.75, "The weights add up to 1: to total.", weight="float(share)"),
        _weigh(
            "total for each",
            0.75,
            "The weights add up to total times the number of tasks: to total.",
            weight="total * len(falls) * float(share)",
        ),
        _weigh(
            "exp by hand",
            1.35,
            GROWN,
            shares="(lambda e: [one / sum(e) for one in e])([float(torch.exp(torch.tensor(f / temperature, dtype=torch.float64))) for f in falls])",
        ),
        _weigh_other("no first epoch", 1.3, FIRST, fall="past[-1] / past[-2]"),
        _several(
            "over all examples",
            1.15,
            "The sum over the known is divided by all N: by how many are known.",
            term="F.cross_entropy(scores[task], given, ignore_index=-1, reduction='sum') / len(given)",
        ),
        _several(
            "no logarithm",
            0.75,
            "The scores are taken for logarithms of probabilities: log-softmax comes first.",
            term="F.nll_loss(scores[task][known], given[known])",
        ),
        _several(
            "softmax first",
            0.75,
            "softmax was applied before: cross_entropy takes the scores themselves.",
            term="F.cross_entropy(scores[task][known].softmax(dim=1), given[known])",
        ),
        _several(
            "class 0 left out",
            0.75,
            "Class 0 counts as unknown: it is a class, and −1 stands for unknown.",
            known="given > 0",
        ),
        _several(
            "sums",
            0.75,
            "Those are sums over the examples: the mean, of each task.",
            term="F.cross_entropy(scores[task][known], given[known], reduction='sum')",
        ),
        _several(
            "no weights", 0.75, "All tasks count alike: the weights are missing.", weight="1.0"
        ),
        _several(
            "shares",
            0.75,
            "The weights were made to add up to 1: they count as they are.",
            weight="weights[task] / sum(weights.values())",
        ),
        _several(
            "known in every task",
            1.15,
            "Only examples with all labels count there: each task has its own known labels.",
            known="torch.stack([one >= 0 for one in labels.values()]).all(dim=0)",
        ),
        _several(
            "unknown as class 0",
            1.15,
            "An unknown label counts as class 0: leave those examples out.",
            term="F.cross_entropy(scores[task], given.clamp_min(0))",
        ),
        _several(
            "mean over tasks",
            0.75,
            "The sum is divided by the number of tasks: the weights settle that.",
            result="loss / len(labels)",
        ),
        _several(
            "one label is none",
            1.25,
            "A task with a single known label is left out: only one with none adds nothing.",
            unless="if known.sum() > 1:",
        ),
        _several("nothing known", 1.4, NOTHING, unless="if True:"),
        _several_other("−1 as a class", 1.15, UNKNOWN, known="given >= -1"),
        *(_choose(name, word) for name, replies in REPLIES.items() for word in replies),
    ],
)
