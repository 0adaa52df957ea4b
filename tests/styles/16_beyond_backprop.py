"""Lab 16: right answers in other styles."""

_GUESS = """
def guessed_backward(stage, guesser, x, y):
    {}
"""
_LOSS = """
def guesser_loss(guesser, h, y, dh):
    {}
"""
_SIMILARITY = """
def similarity(h):
    {}
"""
_STEP = """
def local_step(stage, head, x, y, share):
    {}
"""
_USED = """
def utilization(method, ranks, microbatches, batches, forward=1.0, backward=2.0):
    {}
"""

STYLES = {
    "feedback_alignment_backward": {
        "from the last layer": """
def feedback_alignment_backward(inputs, error, feedback):
    pairs = [(error.T @ inputs[-1], error.sum(0))]
    for i in range(len(feedback) - 1, -1, -1):
        delta = (error @ feedback[i]) * (1 - inputs[i + 1].square())
        pairs.insert(0, (delta.T @ inputs[i], delta.sum(0)))
    return pairs
""",
        "einsum": """
def feedback_alignment_backward(inputs, error, feedback):
    deltas = [
        torch.einsum("nc,cd->nd", error, B) * (1 - h * h) for B, h in zip(feedback, inputs[1:])
    ]
    deltas.append(error)
    return [
        (torch.einsum("no,ni->oi", d, x), torch.einsum("no->o", d)) for d, x in zip(deltas, inputs)
    ]
""",
        "a tuple of lists": """
def feedback_alignment_backward(inputs, error, feedback):
    def one(i):
        last = i == len(inputs) - 1
        delta = error if last else torch.matmul(error, feedback[i]) * (1 - inputs[i + 1] ** 2)
        return [delta.t().mm(inputs[i]), delta.sum(dim=0)]
    return tuple(one(i) for i in range(len(inputs)))
""",
        "autograd of each layer": """
def feedback_alignment_backward(inputs, error, feedback):
    pairs = []
    for i, x in enumerate(inputs):
        if i == len(inputs) - 1:
            delta = error
        else:
            a = torch.atanh(inputs[i + 1]).requires_grad_()
            torch.tanh(a).backward(error @ feedback[i])
            delta = a.grad
        pairs.append(((x[:, None, :] * delta[:, :, None]).sum(0), delta.sum(0)))
    return pairs
""",
        "instance, bias as a product with ones": """
class Feedback:
    def __call__(self, inputs, error, feedback):
        ones = torch.ones(len(error), dtype=error.dtype)
        out = []
        for x, h, B in zip(inputs, [*inputs[1:], None], [*feedback, None]):
            d = error if B is None else (1 - h) * (1 + h) * (error @ B)
            out.append((d.T @ x, ones @ d))
        return out
feedback_alignment_backward = Feedback()
""",
    },
    "alignment_angle": {
        "the library's cosine": """
import torch.nn.functional as F
def alignment_angle(ours, theirs):
    a, b = (torch.cat([t.reshape(-1) for t in each]).double() for each in (ours, theirs))
    if not a.any() or not b.any():
        return 90.0
    return torch.rad2deg(F.cosine_similarity(a, b, dim=0).clamp(-1, 1).acos()).item()
""",
        "sums": """
def alignment_angle(ours, theirs):
    dot = sum(float((a * b).sum()) for a, b in zip(ours, theirs))
    aa = sum(float((a * a).sum()) for a in ours)
    bb = sum(float((b * b).sum()) for b in theirs)
    if aa * bb == 0:
        return 90.0
    return 180 / math.pi * math.acos(min(max(dot / math.sqrt(aa * bb), -1), 1))
""",
        "NumPy": """
import numpy as np
def alignment_angle(ours, theirs):
    a = np.concatenate([t.numpy().ravel() for t in ours])
    b = np.concatenate([t.numpy().ravel() for t in theirs])
    n = np.linalg.norm(a) * np.linalg.norm(b)
    return np.degrees(np.arccos(np.clip(a @ b / n, -1, 1))) if n else 90.0
""",
        "atan2 of unit vectors": """
def alignment_angle(ours, theirs):
    a = torch.nn.utils.parameters_to_vector(list(ours))
    b = torch.nn.utils.parameters_to_vector(list(theirs))
    if a.norm() == 0 or b.norm() == 0:
        return 90.0
    a, b = a / a.norm(), b / b.norm()
    return 2 * math.degrees(math.atan2(float((a - b).norm()), float((a + b).norm())))
""",
        "a tensor, in float32": """
share_at_60 = math.cos(math.pi / 3)
def alignment_angle(ours, theirs):
    a, b = (torch.hstack([t.float().ravel() for t in each]) for each in (ours, theirs))
    n = a.norm() * b.norm()
    return torch.rad2deg(torch.acos(torch.clamp(a @ b / n, -1, 1))) if n > 0 else torch.tensor(90.0)
""",
    },
    "synthetic_gradient": {
        "torch.autograd": _GUESS.format("""x = x.detach().clone().requires_grad_(True)
    h = stage(x)
    with torch.no_grad():
        guess = guesser(h, y)
    torch.autograd.backward(h, guess)
    return h.data, x.grad""")
        + _LOSS.format("return ((guesser(h.detach(), y) - dh.detach()) ** 2).mean()"),
        "a product, and detached": _GUESS.format("""x = x.detach().requires_grad_()
    h = stage(x)
    guess = guesser(h.detach(), y).detach()
    (h * guess).sum().backward()
    return h.detach(), x.grad""")
        + _LOSS.format("""with torch.no_grad():
        h, dh = h.clone(), dh.clone()
    return (guesser(h, y) - dh).square().sum() / dh.numel()"""),
        "a list, the guess with its graph": _GUESS.format("""x = x.data.requires_grad_()
    h = stage(x)
    h.backward(gradient=guesser(h.detach(), y))
    return [h.detach(), x.grad.detach()]""")
        + _LOSS.format("return F.mse_loss(input=guesser(h.data, y), target=dh.data)"),
        "autograd.grad, added by hand": _GUESS.format("""x = x.detach().requires_grad_()
    h = stage(x)
    own = list(stage.parameters())
    guess = guesser(h.detach(), y).detach()
    dx, *grads = torch.autograd.grad(h, [x, *own], guess)
    for p, g in zip(own, grads):
        p.grad = g if p.grad is None else p.grad + g
    return h.detach(), dx""")
        + _LOSS.format("return nn.MSELoss()(guesser(h.detach(), y), dh.detach())"),
        "vjp": _GUESS.format("""x = x.detach()
    names = [name for name, _ in stage.named_parameters()]
    values = {name: p.detach() for name, p in stage.named_parameters()}
    run = lambda values, x: torch.func.functional_call(stage, values, (x,))
    h, back = torch.func.vjp(run, values, x)
    grads, dx = back(guesser(h.detach(), y).detach())
    for name, p in stage.named_parameters():
        p.grad = grads[name] if p.grad is None else p.grad + grads[name]
    return h.detach(), dx""")
        + _LOSS.format(
            "error = guesser(h.detach(), y) - dh.detach()\n    return torch.mean(error * error)"
        ),
    },
    "local_loss": {
        "F.normalize": _SIMILARITY.format(
            "h = F.normalize(h - h.mean(1, keepdim=True), dim=1, eps=1e-8)\n"
            "    return torch.mm(h, h.t())"
        ),
        "an outer product of lengths": _SIMILARITY.format("""h = h - h.mean(-1)[:, None]
    n = (h * h).sum(1).sqrt()
    return (h @ h.T) / torch.clamp(n[:, None] * n[None, :], min=1e-16)"""),
        "the paper's eps": _SIMILARITY.format("""c = h - h.mean(dim=1).unsqueeze(1)
    n = c / (1e-8 + torch.sqrt(torch.sum(c**2, dim=1))).unsqueeze(1)
    return n.matmul(n.transpose(1, 0)).clamp(-1, 1)"""),
        "mse_loss and einsum": _SIMILARITY.format("""means = torch.einsum("nd->n", h) / h.shape[1]
    c = h - means[:, None]
    u = c / torch.linalg.vector_norm(c, dim=1, keepdim=True).clamp(min=1e-8)
    return torch.einsum("nd,md->nm", u, u)""")
        + """
def local_loss(h, scores, y, share):
    Y = torch.zeros_like(scores).scatter(1, y[:, None], 1.0)
    matching = F.mse_loss(similarity(h), similarity(Y))
    prediction = F.nll_loss(scores.log_softmax(1), y)
    return share * matching + (1 - share) * prediction
""",
        "scores first, rows of the identity": """
def local_loss(h, scores, y, share):
    target = similarity(torch.eye(scores.size(1), dtype=h.dtype)[y])
    difference = similarity(h) - target
    return torch.lerp(cross_entropy(scores, y), (difference * difference).mean(), share)
"""
        + _STEP.format("""x = x.detach()
    h = stage(x)
    scores = head(h)
    loss = local_loss(h, scores, y, share)
    loss.backward()
    return h.data"""),
        "autograd.backward, a copy": _STEP.format("""h = stage(x.data.clone())
    torch.autograd.backward(local_loss(h=h, scores=head(h), y=y, share=share))
    return h.detach().clone()"""),
    },
    "utilization": {
        "tables": """
def waits_for(method, rank, ranks):
    last = ranks - 1
    if method == "direct feedback":
        return (last, "F")
    behind = {"backprop": True, "no flush": True}.get(method, False)
    return (rank + 1, "B") if behind and rank != last else (rank, "F")
"""
        + _USED.format("""drain = {"backprop": 1, "no flush": 1, "direct feedback": 0}
    once = {"backprop": 0, "no flush": 1, "direct feedback": 0, "synthetic": 1, "local": 1}
    wait = (ranks - 1) * (forward + drain.get(method, 0) * backward)
    busy = microbatches * batches * (forward + backward)
    return busy / (busy + wait * (1 if once[method] else batches))"""),
        "match": """
def waits_for(method, rank, ranks):
    match method:
        case "direct feedback":
            return ranks - 1, "F"
        case "backprop" | "no flush" if rank + 1 < ranks:
            return rank + 1, "B"
    return rank, "F"
""",
        "the bubble taken off": _USED.format("""if method == "no flush":
        return utilization("backprop", ranks, microbatches * batches, 1)
    if method == "backprop":
        return 1 - (ranks - 1) / (microbatches + ranks - 1)
    if method != "direct feedback":
        microbatches *= batches
    idle = (ranks - 1) * forward
    return 1 - idle / (idle + microbatches * (forward + backward))"""),
        "lists, and a fraction": """
from fractions import Fraction
def waits_for(method, rank, ranks):
    if method in ["synthetic", "local"]:
        return [rank, "F"]
    if method.startswith("direct"):
        return [ranks - 1, "F"]
    return [rank, "F"] if rank == ranks - 1 else [rank + 1, "B"]
def utilization(method, ranks, microbatches, batches, forward=1.0, backward=2.0):
    f, b = Fraction(forward), Fraction(backward)
    wait = f + b if method in ("backprop", "no flush") else f
    times = batches if method in ("backprop", "direct feedback") else 1
    work = batches * microbatches * (f + b)
    return float(work / (work + times * (ranks - 1) * wait))
""",
        "counted along the last rank": _USED.format("""flush = method[0] in "bd"
    groups = [microbatches] * batches if flush else [microbatches * batches]
    end = 0.0
    for group in groups:
        end += (ranks - 1) * forward + group * (forward + backward)
        if method in ("backprop", "no flush"):
            end += (ranks - 1) * backward
    return sum(groups) * (forward + backward) / end"""),
    },
    "which_would_you_use": {
        "capitals": 'same_loss, least_held, learns_nothing = "Backprop", "LOCAL", "As frozen"',
        "spaces": 'same_loss, least_held = " backprop ", "local "',
        "a ratio": "fewer_numbers = 4096 / 1000",
        "rounded": "fewer_numbers = 4.1",
        "NumPy's": "import numpy as np\nfewer_numbers = np.float64(4.096)",
    },
}
