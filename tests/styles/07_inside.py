"""Lab 07: right answers in other styles."""

_RECORD = """
def record_activations(model, x, names):
    {}
"""
_SALIENT = """
def saliency(model, x, labels):
    {}
"""
_CAM = """
def grad_cam(model, layer, x, labels):
    {}
"""
_NEAR = """
def nearest(queries, gallery, k, own=None):
    {}
"""

STYLES = {
    "top_k": {
        "sorted with a key": """
def top_k(scores, k, names):
    p = torch.exp(scores - scores.max())
    p = (p / p.sum()).tolist()
    return sorted(zip(names, p), key=lambda pair: -pair[1])[:k]
""",
        "NumPy": """
def top_k(scores, k, names):
    s = scores.numpy()
    p = np.exp(s - s.max())
    p /= p.sum()
    return [[names[i], p[i]] for i in np.argsort(-s, kind="stable")[:k]]
""",
        "one by one": """
def top_k(scores, k, names):
    chances, found = F.softmax(scores, dim=-1).tolist(), []
    left = list(range(len(names)))
    while left and len(found) < k:
        best = max(left, key=lambda i: chances[i])
        left.remove(best)
        found.append((names[best], chances[best]))
    return found
""",
        "log-softmax, tensors": """
def top_k(scores, k, names):
    p = scores.log_softmax(0).exp()
    values, places = p.sort(stable=True, descending=True)
    return [(names[int(i)], v) for v, i in zip(values[:k], places[:k])]
""",
        "a lambda": """
top_k = lambda scores, k, names: [
    (names[i], scores.softmax(0)[i].item())
    for i in sorted(range(len(names)), key=lambda i: (-scores[i].item(), i))
][:k]
""",
    },
    "record_activations": {
        "partial": _RECORD.format("""import functools

    def keep(name, module, inputs, output):
        kept[name] = output.clone().detach()

    kept, modules, handles = {}, dict(model.named_modules()), []
    try:
        for name in names:
            handles += [modules[name].register_forward_hook(functools.partial(keep, name))]
        with torch.no_grad(), training.evaluation_mode(model):
            model(x)
        return kept
    finally:
        [handle.remove() for handle in handles]"""),
        "an exit stack": _RECORD.format("""from contextlib import ExitStack

    kept = {}
    with ExitStack() as stack:
        for name in names:
            hook = lambda m, i, out, name=name: kept.update({name: out.detach().clone()})
            stack.enter_context(model.get_submodule(name).register_forward_hook(hook))
        stack.enter_context(training.evaluation_mode(model))
        stack.enter_context(torch.no_grad())
        model(x)
    return kept"""),
        "modes by hand": _RECORD.format("""was = {m: m.training for m in model.modules()}
    kept, handles = dict.fromkeys(names), []
    try:
        for name in kept:
            def hook(m, args, out, at=name):
                kept[at] = torch.empty_like(out).copy_(out.data)
            handles.append(model.get_submodule(name).register_forward_hook(hook))
        model.eval()
        with torch.inference_mode():
            model(x)
    finally:
        for m, mode in was.items():
            m.train(mode) if not list(m.children()) else setattr(m, "training", mode)
        for handle in handles:
            handle.remove()
    return {name: one.clone() for name, one in kept.items()}"""),
        "one pass a name": _RECORD.format("""def one(name):
        seen = []
        with model.get_submodule(name).register_forward_hook(
            lambda m, i, out: seen.append(out.detach().clone())
        ):
            with training.evaluation_mode(model), torch.no_grad():
                model(x)
        return seen[0]

    return {name: one(name) for name in names}"""),
        "by the module": _RECORD.format("""wanted = {}
    for name in names:
        wanted[model.get_submodule(name)] = name
    kept = {}

    def hook(module, inputs, output):
        kept[wanted[module]] = output.detach().clone()

    handles = [module.register_forward_hook(hook) for module in wanted]
    try:
        with training.evaluation_mode(model):
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    return kept"""),
    },
    "saliency": {
        "one image at a time": _SALIENT.format("""maps = []
    with training.evaluation_mode(model):
        for image, label in zip(x, labels):
            leaf = image[None].clone().requires_grad_()
            score = model(leaf)[0, label]
            maps.append(torch.autograd.grad(score, leaf)[0][0].abs().max(dim=0).values)
    return torch.stack(maps)"""),
        "gather": _SALIENT.format("""with training.evaluation_mode(model):
        image = x.clone().detach().requires_grad_(True)
        chosen = model(image).gather(1, labels[:, None])
        gradient = torch.autograd.grad(chosen, image, torch.ones_like(chosen))[0]
    return torch.linalg.vector_norm(gradient, ord=float("inf"), dim=1)"""),
        "a mask of ones": _SALIENT.format("""leaf = x.detach().clone()
    leaf.requires_grad = True
    with training.evaluation_mode(model):
        scores = model(leaf)
    hot = F.one_hot(labels, scores.shape[1]).to(scores.dtype)
    g, = torch.autograd.grad(outputs=scores, inputs=leaf, grad_outputs=hot)
    return torch.maximum(g, -g).max(1)[0]"""),
        "backward, put back": _SALIENT.format("""copied = lambda g: None if g is None else g.clone()
    before = [copied(p.grad) for p in model.parameters()]
    leaf = x.detach().clone().requires_grad_()
    with training.evaluation_mode(model):
        model(leaf)[torch.arange(len(x)), labels].sum().backward()
    for p, grad in zip(model.parameters(), before):
        p.grad = grad
    return leaf.grad.abs().max(1).values"""),
        "backward of the leaf alone": _SALIENT.format("""leaf = x.detach().clone().requires_grad_()
    with training.evaluation_mode(model):
        scores = model(leaf)
        sum(row[label] for row, label in zip(scores, labels)).backward(inputs=[leaf])
    return leaf.grad.detach().abs().amax(dim=-3)"""),
    },
    "grad_cam": {
        "einsum": _CAM.format("""A = []
    with model.get_submodule(layer).register_forward_hook(lambda m, i, o: A.append(o)):
        with training.evaluation_mode(model):
            s = model(x.detach().clone().requires_grad_())
    g = torch.autograd.grad(s.gather(1, labels[:, None]).sum(), A[0])[0]
    alpha = g.mean((-1, -2))
    return torch.einsum("nk,nkhw->nhw", alpha, A[0].detach()).clamp(min=0)"""),
        "image by image": _CAM.format("""maps = []
    for image, label in zip(x, labels):
        seen = {}
        handle = dict(model.named_modules())[layer].register_forward_hook(
            lambda m, i, o: seen.update(A=o)
        )
        try:
            with training.evaluation_mode(model):
                score = model(image[None].clone().requires_grad_())[0, label]
        finally:
            handle.remove()
        A, g = seen["A"], torch.autograd.grad(score, seen["A"])[0]
        total = 0
        for k in range(A.shape[1]):
            total = total + g[0, k].mean() * A[0, k].detach()
        maps.append(torch.relu(total))
    return torch.stack(maps)"""),
        "a tensor's hook": _CAM.format("""seen = {}

    def hook(module, inputs, output):
        seen["A"] = output.detach()
        output.register_hook(lambda g: seen.update(g=g.detach()))

    handle = model.get_submodule(layer).register_forward_hook(hook)
    leaf = x.detach().clone().requires_grad_()
    try:
        with training.evaluation_mode(model):
            scores = model(leaf)
    finally:
        handle.remove()
    hot = F.one_hot(labels, scores.shape[1])
    (scores * hot).sum().backward(inputs=[leaf])
    weights = F.adaptive_avg_pool2d(seen["g"], 1)
    return torch.clamp((weights * seen["A"]).sum(1), min=0.0)"""),
        "a leaf in the layer's place": _CAM.format("""from contextlib import ExitStack

    seen = []

    def replace(module, inputs, output):
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    with ExitStack() as stack:
        stack.enter_context(model.get_submodule(layer).register_forward_hook(replace))
        stack.enter_context(training.evaluation_mode(model))
        scores = model(x)
    chosen = torch.stack([row[i] for row, i in zip(scores, labels)])
    g = torch.autograd.grad(chosen.sum(), seen[0])[0]
    n, k, h, w = g.shape
    alpha = g.reshape(n, k, h * w).sum(2) / (h * w)
    with torch.no_grad():
        return (alpha[:, :, None, None] * seen[0]).sum(1).relu()"""),
        "retained, put back": _CAM.format("""kept = []
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.append(o))
    try:
        with training.evaluation_mode(model):
            scores = model(x.detach().clone().requires_grad_())
    finally:
        handle.remove()
    kept[0].retain_grad()
    scores[torch.arange(len(labels)), labels].sum().backward()
    for p, grad in zip(model.parameters(), before):
        p.grad = grad
    weights = kept[0].grad.flatten(2).mean(2)
    product = (weights.unsqueeze(-1).unsqueeze(-1) * kept[0].detach()).sum(dim=1)
    return product * (product > 0)"""),
    },
    "maximise_unit": {
        "an image without a batch": """
def maximise_unit(model, layer, unit, start, steps, rate, decay):
    seen, image = [], start[0].clone()
    keep = lambda m, i, o: seen.append(o[0][unit])
    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        with training.evaluation_mode(model):
            for _ in range(steps):
                leaf = image.detach().requires_grad_()
                model(leaf[None])
                g = torch.autograd.grad(seen.pop().mean(), leaf)[0]
                length = float(g.pow(2).sum()) ** 0.5
                image = leaf.detach() + (rate / length * g if length else 0)
                image = image * (1 - decay)
    finally:
        handle.remove()
    return image[None]
""",
        "normalize": """
def maximise_unit(model, layer, unit, start, steps, rate, decay):
    def answer(x):
        seen = []
        with model.get_submodule(layer).register_forward_hook(lambda m, i, o: seen.append(o)):
            model(x)
        return seen[0][:, unit].sum()

    x = start.clone()
    with training.evaluation_mode(model):
        for _ in range(steps):
            leaf = x.clone().requires_grad_()
            g = torch.autograd.grad(answer(leaf), leaf)[0]
            x = x + rate * F.normalize(g.flatten(), dim=0).view_as(g)
            x = x - decay * x
    return x
""",
        "in place on a clone": """
def maximise_unit(model, layer, unit, start, steps, rate, decay):
    x, kept = start.detach().clone(), {}
    def hook(module, inputs, output):
        kept["map"] = output[0, unit]
    handle = model.get_submodule(layer).register_forward_hook(hook)
    try:
        with training.evaluation_mode(model):
            while steps > 0:
                x.requires_grad_(True)
                model(x)
                g, = torch.autograd.grad(kept["map"].mean(), [x])
                with torch.no_grad():
                    if g.any():
                        x += rate * g / torch.linalg.vector_norm(g)
                    x *= 1 - decay
                steps -= 1
    finally:
        handle.remove()
    return x.detach()
""",
        "backward of the picture alone": """
def maximise_unit(model, layer, unit, start, steps, rate, decay):
    kept = []
    keep = lambda m, i, o: kept.append(o[0, unit])
    handle = model.get_submodule(layer).register_forward_hook(keep)
    x = torch.nn.Parameter(start.clone())
    try:
        with training.evaluation_mode(model):
            for _ in range(steps):
                x.grad = None
                model(x)
                kept[-1].mean().backward(inputs=[x])
                g = x.grad
                x.data = (1 - decay) * (x.data + rate * torch.nan_to_num(g / g.norm()))
    finally:
        handle.remove()
    return x.data.clone()
""",
        "recursive": """
def maximise_unit(model, layer, unit, start, steps, rate, decay):
    if steps == 0:
        return start.clone()
    leaf, kept = start.detach().clone().requires_grad_(), {}
    handle = model.get_submodule(layer).register_forward_hook(lambda m, i, o: kept.update(o=o))
    try:
        with training.evaluation_mode(model):
            model(leaf)
    finally:
        handle.remove()
    g = torch.autograd.grad(kept["o"][0, unit].mean(), leaf)[0]
    norm = g.norm()
    direction = g / norm if norm > 0 else torch.zeros_like(g)
    following = (leaf.detach() + rate * direction) * (1 - decay)
    return maximise_unit(model, layer, unit, following, steps - 1, rate, decay)
""",
    },
    "nearest": {
        "normalize": _NEAR.format("""gallery = F.normalize(gallery, dim=1)
    cosine = F.normalize(queries, dim=1) @ gallery.T
    if own is not None:
        cosine = cosine.scatter(1, own[:, None], -torch.inf)
    return torch.argsort(cosine, dim=1, descending=True, stable=True)[:, :k]"""),
        "gallery alone": _NEAR.format("""length = gallery.norm(dim=1)
    scores = queries @ gallery.T / torch.where(length > 0, length, 1)
    if own is not None:
        scores[range(len(own)), own] = float("-inf")
    return (-scores).sort(dim=1, stable=True)[1][:, :k]"""),
        "one query at a time": _NEAR.format("""unit = lambda v: v / v.norm() if v.norm() > 0 else v
    rows = []
    for q, query in enumerate(queries):
        cosines = [float(unit(query) @ unit(other)) for other in gallery]
        places = [i for i in range(len(gallery)) if own is None or i != int(own[q])]
        rows.append(sorted(places, key=lambda i: -cosines[i])[:k])
    return torch.tensor(rows)"""),
        "NumPy": _NEAR.format("""q, g = queries.numpy(), gallery.numpy()
    lengths = [np.linalg.norm(one, axis=1, keepdims=True) for one in (q, g)]
    lengths = [np.where(one == 0, 1, one) for one in lengths]
    cosine = (q / lengths[0]) @ (g / lengths[1]).T
    if own is not None:
        cosine[np.arange(len(q)), own.numpy()] = -9
    return torch.from_numpy(np.argsort(-cosine, axis=1, kind="stable")[:, :k].copy())"""),
        "a mask": _NEAR.format("""dots = torch.einsum("qd,gd->qg", queries, gallery)
    lengths = queries.norm(dim=1)[:, None] * gallery.norm(dim=1)[None]
    cosine = torch.nan_to_num(dots / lengths)
    if own is not None:
        cosine = cosine.masked_fill(F.one_hot(own, len(gallery)).bool(), -3)
    _, places = torch.sort(cosine, dim=-1, descending=True, stable=True)
    return places[:, :k].contiguous()"""),
    },
    "multi_task": {
        "float32": """
def subtask_weights(losses, total=1.0, temperature=2.0):
    r = torch.tensor([p[-1] / p[-2] if len(p) > 1 else 1.0 for p in losses.values()])
    return dict(zip(losses, (total * torch.softmax(r / temperature, dim=0)).tolist()))

def multi_task_loss(scores, labels, weights):
    loss = torch.tensor(0.0)
    for task, weight in weights.items():
        known = labels[task] != -1
        if known.sum() > 0:
            loss = loss + weight * F.cross_entropy(scores[task][known], labels[task][known])
    return loss
""",
        "by hand": """
import math

def subtask_weights(losses, total=1.0, temperature=2.0):
    r = {t: (p[-1] / p[-2] if len(p) >= 2 else 1) / temperature for t, p in losses.items()}
    most = max(r.values())
    e = {t: math.exp(one - most) for t, one in r.items()}
    return {t: total * one / sum(e.values()) for t, one in e.items()}

def multi_task_loss(scores, labels, weights):
    terms = []
    for task in scores:
        rows = [i for i, label in enumerate(labels[task].tolist()) if label >= 0]
        if rows:
            p = scores[task][rows].log_softmax(dim=1)
            picked = p[range(len(rows)), labels[task][rows]]
            terms.append(-weights[task] * picked.mean())
    return torch.stack(terms).sum() if terms else 0 * sum(s.sum() for s in scores.values())
""",
        "ignore_index": """
def subtask_weights(losses, total=1.0, temperature=2.0):
    r = np.array([([1.0, 1.0] + list(p))[-1] / ([1.0, 1.0] + list(p))[-2] if len(p) > 1 else 1.0
                  for p in losses.values()]) / temperature
    e = np.exp(r - r.max())
    return dict(zip(losses, (total * e / e.sum()).tolist()))

def multi_task_loss(scores, labels, weights):
    total = torch.zeros(())
    for task in labels:
        known = int((labels[task] != -1).sum())
        added = F.cross_entropy(scores[task], labels[task], ignore_index=-1, reduction="sum")
        total = total + weights[task] * added / max(known, 1)
    return total
""",
        "nan_to_num": """
def subtask_weights(losses, total=1.0, temperature=2.0):
    def fall(past):
        try:
            return past[-1] / past[-2]
        except IndexError:
            return 1.0
    shares = F.softmax(torch.tensor([fall(p) for p in losses.values()]).double() / temperature, -1)
    return {task: total * share for task, share in zip(losses, shares)}

def multi_task_loss(scores, labels, weights):
    return sum(
        weights[t] * F.cross_entropy(scores[t][labels[t] >= 0], labels[t][labels[t] >= 0])
        for t in scores if (labels[t] >= 0).any()
    ) + 0 * scores[next(iter(scores))].sum()
""",
        "one-hot": """
def subtask_weights(losses, *, total=1.0, temperature=2.0):
    ...

def subtask_weights(losses, total=1.0, temperature=2.0):
    falls = torch.ones(len(losses), dtype=torch.float64)
    for n, past in enumerate(losses.values()):
        if len(past) > 1:
            falls[n] = past[-1] / past[-2]
    weights = total * (falls / temperature).softmax(0)
    return {task: weights[n].item() for n, task in enumerate(losses)}

def multi_task_loss(scores, labels, weights):
    loss = 0 * next(iter(scores.values())).sum()
    for task, weight in weights.items():
        known = (labels[task] >= 0).to(scores[task].dtype)
        hot = F.one_hot(labels[task].clamp(min=0), scores[task].shape[1])
        each = -(hot * scores[task].log_softmax(1)).sum(1) * known
        loss = loss + weight * each.sum() / known.sum().clamp(min=1)
    return loss
""",
        "filter by index": """
def subtask_weights(losses, total=1.0, temperature=2.0):
    falls = []
    for task, past in losses.items():
        *_, before, last = [1.0, 1.0, *past] if len(past) > 1 else [1.0, 1.0]
        falls.append(last / before / temperature)
    logs = torch.log_softmax(torch.tensor(falls, dtype=torch.float64), 0)
    return {task: total * float(one.exp()) for task, one in zip(losses, logs)}

def multi_task_loss(scores, labels, weights):
    losses = []
    for task, s in scores.items():
        at = torch.nonzero(labels[task] + 1)[:, 0]
        if len(at) == 0:
            losses.append(s.sum() * 0)
            continue
        log_p = s[at].log_softmax(1)
        losses.append(weights[task] * nn.functional.nll_loss(log_p, labels[task][at]))
    return sum(losses)
""",
    },
    "is_it_evidence": {
        "capitals": 'blind_map, passing_means, same_map = "Edges", "Necessary", "Picture"',
        "spaces": 'blind_map, passing_means, same_map = " edges", "necessary ", "picture "',
        "from a tuple": """
blind_map, passing_means, same_map = ("edges", "saliency")[0], "necessary", "picture"
""",
        "joined": """
blind_map, passing_means, same_map = "ed" + "ges", "".join(["necess", "ary"]), "picture"
""",
        "lower": """
blind_map, passing_means, same_map = [w.lower() for w in ("EDGES", "NECESSARY", "PICTURE")]
""",
    },
}
