"""Lab 17: right answers in other styles."""

_NUMPY_GROUPS = """
import numpy as np
def groups(rank, ranks, data, pipeline, tensor=1):
    if data * pipeline * tensor != ranks:
        raise ValueError(f"{data}, {pipeline} and {tensor} do not make {ranks} ranks.")
    grid = np.arange(ranks).reshape(data, pipeline, tensor)
    d, s, t = (int(i) for i in np.unravel_index(rank, grid.shape))
    return dict(data=grid[:, s, t].tolist(), pipeline=grid[d, :, t].tolist(),
                tensor=grid[d, s].tolist())
"""

_SEARCHED_GROUPS = """
import itertools
def groups(rank, ranks, data, pipeline, tensor=1):
    places = list(itertools.product(range(data), range(pipeline), range(tensor)))
    if len(places) != ranks:
        raise ValueError("There are %d places and %d ranks." % (len(places), ranks))
    mine, found = places[rank], {}
    for axis, name in enumerate(("data", "pipeline", "tensor")):
        others = [i for i in range(3) if i != axis]
        found[name] = [r for r, place in enumerate(places)
                       if all(place[i] == mine[i] for i in others)]
    return found
"""

_RANGES = """
def groups(rank, ranks, data, pipeline, tensor=1):
    size = data * pipeline * tensor
    if size < ranks or size > ranks:
        raise ValueError(f"{ranks} ranks, {size} places")
    replica = pipeline * tensor
    first = rank - rank % replica
    return {
        "data": list(range(rank % replica, ranks, replica)),
        "pipeline": list(range(first + rank % tensor, first + replica, tensor)),
        "tensor": list(range(rank - rank % tensor, rank - rank % tensor + tensor)),
    }
"""

_TORCH_GROUPS = """
def groups(rank, ranks, data, pipeline, tensor=1):
    if ranks != data * pipeline * tensor:
        raise ValueError(f"{data} x {pipeline} x {tensor} is not {ranks}.")
    grid = torch.arange(ranks).view(data, pipeline, tensor)
    d, s, t = (grid == rank).nonzero()[0].tolist()
    names = ("data", "pipeline", "tensor")
    lines = (grid[:, s, t], grid[d, :, t], grid[d, s, :])
    return {name: line.tolist() for name, line in zip(names, lines)}
"""

_SORTED_GROUPS = """
def groups(rank, ranks, data, pipeline, tensor=1):
    def place(r):
        return r // tensor // pipeline, r // tensor % pipeline, r % tensor
    if data * pipeline * tensor != ranks:
        raise ValueError(f"ranks: {ranks}, places: {data * pipeline * tensor}")
    d, s, t = place(rank)
    every = [(r, *place(r)) for r in range(ranks)]
    return {"data": [r for r, _, b, c in every if (b, c) == (s, t)],
            "pipeline": [r for r, a, _, c in every if (a, c) == (d, t)],
            "tensor": [r for r, a, b, _ in every if (a, b) == (d, s)]}
"""

_STEP = """
def hybrid_step(dist, pipeline, data_group, replicas, module, inputs, loss=None):
    stage, count = list(pipeline).index(dist.get_rank()), len(inputs)
    first, last = stage == 0, stage == len(pipeline) - 1
    stash, total, sent = {{}}, 0.0, []
    def forward(m):
        nonlocal total
        x = inputs[m]
        if not first:
            {come}
            x.requires_grad_(True)
        y = module(x)
        if last:
            y = loss(m, y){share}
            total = total + float(y)
        else:
            {go}
        stash[m] = x, y
    def backward(m):
        x, y = stash.pop(m)
        if last:
            y.backward()
        else:
            dy = torch.zeros_like(y)
            dist.recv(dy, pipeline[stage + 1])
            torch.autograd.backward([y], [dy])
        if not first:
            dist.send(x.grad, pipeline[stage - 1])
    {order}
    for request in sent:
        request.wait()
    {sum}
    if not last:
        return None
    whole = torch.full((1,), total, dtype=torch.float64)
    {loss}
"""


def _step(**changes: str) -> str:
    usual = {
        "come": "dist.recv(x, pipeline[stage - 1])",
        "share": " / count",
        "go": "dist.send(y.detach(), pipeline[stage + 1])",
        "order": "[forward(m) for m in range(count)]; [backward(m) for m in range(count)]",
        "sum": """for p in module.parameters():
        dist.all_reduce(p.grad, group=data_group)
        p.grad.div_(replicas)""",
        "loss": """dist.all_reduce(whole, group=data_group)
    return float(whole) / replicas""",
    }
    return _STEP.format(**{**usual, **changes})


_FLAT = """flat = torch.cat([p.grad.flatten() for p in module.parameters()])
    dist.all_reduce(flat, group=data_group)
    at = 0
    for p in module.parameters():
        p.grad.copy_((flat[at : at + p.numel()] / replicas).view_as(p))
        at += p.numel()"""
_AHEAD = """ahead = min(len(pipeline) - 1 - stage, count)
    [forward(m) for m in range(ahead)]
    for m in range(count):
        if m + ahead < count:
            forward(m + ahead)
        backward(m)"""

_CHECKPOINT = """
import zlib
class _Part:
    def __init__(self, folder, step, rank):
        self.path = Path(folder) / {name}
    def write(self, mesh, state):
        {write}
    def read(self):
        {read}
def save(folder, step, rank, mesh, state):
    _Part(folder, step, rank).write(list(mesh), state)
def resume(folder, rank, mesh):
    steps = {steps}
    for step in sorted(steps, reverse=True):
        parts = []
        for r in range({most}):
            try:
                parts.append(_Part(folder, step, r).read())
            except Exception:
                parts.append(None)
        there = [part for part in parts if part is not None]
        if any(list(part[0]) != list(mesh) for part in there):
            raise ValueError(f"These checkpoints are of another mesh than {{mesh}}.")
        if all(part is not None for part in parts[: mesh[0] * mesh[1]]):
            return step, parts[rank][1]
    return None
"""


def _checkpoint(**changes: str) -> str:
    usual = {
        "name": 'f"{step}_{rank}.ckpt"',
        "write": """buffer = io.BytesIO()
        torch.save([mesh, state], buffer)
        content = buffer.getvalue()
        new = self.path.with_name("new_" + self.path.name)
        new.write_bytes(zlib.crc32(content).to_bytes(4, "big") + content)
        new.rename(self.path)""",
        "read": """raw = self.path.read_bytes()
        if zlib.crc32(raw[4:]) != int.from_bytes(raw[:4], "big"):
            raise OSError("torn")
        return torch.load(io.BytesIO(raw[4:]))""",
        "steps": '{int(p.name.split("_")[0]) for p in Path(folder).glob("[0-9]*_*.ckpt")}',
        "most": "64",
    }
    return _CHECKPOINT.format(**{**usual, **changes})


_SHA_BESIDE = {
    "write": """buffer = io.BytesIO()
        torch.save([mesh, state], buffer)
        content = buffer.getvalue()
        with open(self.path, "wb") as file:
            file.write(content)
        self.path.with_suffix(".sha").write_text(hashlib.sha256(content).hexdigest())""",
    "read": """content = self.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.path.with_suffix(".sha").read_text():
            raise OSError("torn")
        return torch.load(io.BytesIO(content))""",
}
_FOLDERS = {
    "name": 'f"step-{step:08d}" / f"{rank}.pt"',
    "write": """self.path.parent.mkdir(exist_ok=True)
        buffer = io.BytesIO()
        torch.save([mesh, state], buffer)
        content = buffer.getvalue() + b"whole"
        new = str(self.path) + "~"
        Path(new).write_bytes(hashlib.md5(content).digest() + content)
        os.replace(new, self.path)""",
    "read": """raw = self.path.read_bytes()
        if hashlib.md5(raw[16:]).digest() != raw[:16]:
            raise OSError("torn")
        return torch.load(io.BytesIO(raw[16:-5]))""",
    "steps": '[int(p.name[5:]) for p in Path(folder).iterdir() if p.name.startswith("step-")]',
}
_PICKLED = {
    "write": """import pickle
        content = pickle.dumps((mesh, state))
        new = self.path.with_suffix(".part")
        with open(new, "wb") as file:
            file.write(hashlib.blake2b(content).hexdigest().encode() + b"\\n" + content)
        os.rename(new, self.path)""",
    "read": """import pickle
        digest, content = self.path.read_bytes().split(b"\\n", 1)
        if hashlib.blake2b(content).hexdigest().encode() != digest:
            raise OSError("torn")
        return pickle.loads(content)""",
}
_JSON_INDEX = {
    "write": """buffer = io.BytesIO()
        torch.save([mesh, state], buffer)
        about = {"sum": hashlib.sha1(buffer.getvalue()).hexdigest(), "size": len(buffer.getvalue())}
        head = json.dumps(about).encode().ljust(100)
        new = self.path.parent / ("." + self.path.name)
        new.write_bytes(head + buffer.getvalue())
        os.replace(new, self.path)""",
    "read": """raw = self.path.read_bytes()
        about, content = json.loads(raw[:100]), raw[100:]
        assert about["size"] == len(content)
        assert about["sum"] == hashlib.sha1(content).hexdigest()
        return torch.load(io.BytesIO(content))""",
}

_TRAIN = """
def train(dist, job, folder):
    me, size, mesh = dist.get_rank(), dist.get_world_size(), (job.data, job.pipeline)
    mine = groups(rank=me, ranks=size, data=job.data, pipeline=job.pipeline)
    {make}
    stage, replica = divmod(me, job.pipeline)[::-1]
    module, generator = job.stage(stage), torch.Generator()
    generator.manual_seed(job.seed)
    optimizer, losses, step = job.optimizer(list(module.parameters())), [], 0
    old = resume(folder, me, mesh)
    if old:
        {load}
    {loop}
        X, y = job.draw(generator)
        part = job.batch // job.data
        X, y = X[replica * part :][:part], y[replica * part :][:part]
        micro = part // job.microbatches
        inputs = [job.room(micro) if stage else x for x in X.split(micro)]
        targets = y.split(micro)
        def loss(m, scores):
            return job.loss(scores, targets[m])
        {zero}
        found = hybrid_step(dist, mine["pipeline"], group, job.data, module, inputs,
                            loss if stage == job.pipeline - 1 else None)
        losses.append(found)
        optimizer.step()
        step += 1
        if step % job.every == 0:
            save(folder, step, me, mesh, {state})
    return losses, {weights}
"""


def _train(**changes: str) -> str:
    usual = {
        "make": """group = None
    for s in range(job.pipeline):
        made = dist.new_group(list(range(s, size, job.pipeline)))
        group = made if s == me % job.pipeline else group""",
        "load": """step, state = old
        module.load_state_dict(state["m"]); optimizer.load_state_dict(state["o"])
        generator.set_state(state["g"]); losses = list(state["l"])""",
        "loop": "while step < job.steps:",
        "zero": "optimizer.zero_grad()",
        "state": '{"m": module.state_dict(), "o": optimizer.state_dict(),'
        ' "g": generator.get_state(), "l": losses}',
        "weights": "[p.detach().clone() for p in module.parameters()]",
    }
    return _TRAIN.format(**{**usual, **changes})


_REPLAYED = {  # the generator is not saved: the batches of before are drawn again
    "load": """step, state = old
        module.load_state_dict(state["m"]); optimizer.load_state_dict(state["o"])
        losses = list(state["l"])
        [job.draw(generator) for _ in range(step)]""",
    "state": '{"m": module.state_dict(), "o": optimizer.state_dict(), "l": losses}',
}
_BY_HAND = {
    "zero": "[setattr(p, 'grad', None) for p in module.parameters()]",
    "weights": "list(module.state_dict().values())",
}
_FIRST_OF_EACH = {
    "make": """every = [groups(r, size, job.data, job.pipeline)["data"] for r in range(size)]
    made = {ranks[0]: dist.new_group(ranks) for r, ranks in enumerate(every) if r == ranks[0]}
    group = made[mine["data"][0]]""",
}
_FOR = {
    "loop": "for _ in range(step, job.steps):",
    "zero": "module.zero_grad()",
}
_LISTS = {
    "load": """step, state = old
        for p, saved in zip(module.parameters(), state["m"]):
            p.data.copy_(saved)
        optimizer.load_state_dict(state["o"]); generator.set_state(state["g"])
        losses += state["l"]""",
    "state": '{"m": [p.detach().clone() for p in module.parameters()],'
    ' "o": optimizer.state_dict(), "g": generator.get_state(), "l": losses}',
}

_COST = """
def predict_step(model, layout, machine):
    {body}
    return {{"compute": compute, "bubble": bubble, "messages": messages, "gradients": gradients,
            "seconds": compute + bubble + messages + gradients, "memory": memory}}
"""
_COST_BODY = """L, B = -(-model["layers"] // layout["pipeline"]), model["batch"]
    d, p, m = (layout[k] for k in ("data", "pipeline", "microbatches"))
    b = B / d / m
    one = 3 * L * b * model["flops"] / machine["flops"]
    compute, bubble = m * one, (p - 1) * one
    link = lambda numbers: machine["latency"] + 4 * numbers / machine["bandwidth"]
    messages = 2 * (p - 1) * link(b * model["activation"])
    gradients = 2 * (d - 1) * link(L * model["weights"] / d)
    memory = 16 * L * model["weights"] + 4 * L * b * m * model["activation"]"""

_BEST = """
import itertools as it
def best_layout(model, machine, gpus, predict):
    {body}
"""
_CANDIDATES = """L, B = model["layers"], model["batch"]
    every = [{"data": d, "pipeline": gpus // d, "microbatches": m}
             for d, m in it.product(range(1, gpus + 1), range(1, B + 1))
             if gpus % d == 0 and gpus // d <= L and B % (d * m) == 0]"""

_REPORT = """
def report(records, layouts):
    names = sorted({r["machine"] for r in records})
    if len(names) > 1:
        raise ValueError("more than one machine: " + ", ".join(names))
    rows, missing = [], []
    def last(layout):
        {last}
    base = last((1, 1))
    for layout in layouts:
        r = last(tuple(layout))
        if r is None:
            missing.append(tuple(layout))
            continue
        seconds = r["seconds"] / r["steps"]
        {speed}
        {row}
    return {result}
"""


def _report(**changes: str) -> str:
    usual = {
        "last": """found = [r for r in records if (r["data"], r["pipeline"]) == layout]
        found = [r for r in found if len(r["losses"]) == r["steps"]]
        return found[-1] if found else None""",
        "speed": 'speed = None if base is None else base["seconds"] / base["steps"] / seconds',
        "row": 'rows.append({"run": r["run"], "layout": tuple(layout), "seconds": seconds,'
        ' "loss": r["losses"][-1], "speed_up": speed})',
        "result": '{"machine": names[0], "date": sorted(r["date"] for r in records)[-1],'
        ' "rows": rows, "missing": missing}',
    }
    found = _REPORT
    for name, code in {**usual, **changes}.items():
        found = found.replace("{" + name + "}", code)
    return found


STYLES = {
    "groups": {
        "numpy": _NUMPY_GROUPS,
        "searched": _SEARCHED_GROUPS,
        "ranges": _RANGES,
        "torch": _TORCH_GROUPS,
        "filtered": _SORTED_GROUPS,
    },
    "hybrid_step": {
        "functions": _step(),
        "1F1B": _step(order=_AHEAD, go="sent.append(dist.isend(y.detach(), pipeline[stage + 1]))"),
        "flat": _step(sum=_FLAT),
        "isend": _step(
            go="out = y.detach(); sent.append(dist.isend(out, pipeline[stage + 1]))",
            come="dist.irecv(x, pipeline[stage - 1]).wait()",
        ),
        "divided first": _step(
            sum="""for p in module.parameters():
        p.grad = p.grad / replicas
        dist.all_reduce(p.grad, group=data_group)""",
            loss="""whole /= replicas
    dist.all_reduce(whole, group=data_group)
    return whole.item()""",
        ),
        "backwards": _step(
            order="[forward(m) for m in range(count)]; [backward(m) for m in range(count)[::-1]]"
        ),
        "shares at the end": _step(
            share="",
            sum="""for p in module.parameters():
        dist.all_reduce(p.grad, group=data_group)
        p.grad /= replicas * count""",
            loss="""dist.all_reduce(whole, group=data_group)
    return whole.item() / replicas / count""",
        ),
    },
    "checkpoint": {
        "crc": _checkpoint(),
        "checksum in its own file": _checkpoint(**_SHA_BESIDE),
        "a folder for each step": _checkpoint(**_FOLDERS),
        "pickled": _checkpoint(**_PICKLED),
        "json before": _checkpoint(**_JSON_INDEX),
    },
    "train": {
        "while": _train(),
        "replayed": _train(**_REPLAYED),
        "by hand": _train(**_BY_HAND),
        "by the first of each": _train(**_FIRST_OF_EACH),
        "for": _train(**_FOR),
        "lists": _train(**_LISTS),
    },
    "predict_step": {
        "short names": _COST.format(body=_COST_BODY),
        "integers": _COST.format(
            body=_COST_BODY.replace(
                '-(-model["layers"] // layout["pipeline"])', "_up(model, layout)"
            )
        )
        + "\ndef _up(model, layout):\n    more = model['layers'] % layout['pipeline'] > 0\n"
        "    return model['layers'] // layout['pipeline'] + more\n",
        "a class": _COST.format(body=_COST_BODY)
        + "\nclass _Step:\n    of = staticmethod(predict_step)\n"
        "def predict_step(*args): return _Step().of(*args)\n",
        "numpy": "import numpy as np\n"
        + _COST.format(
            body=_COST_BODY.replace(
                '-(-model["layers"] // layout["pipeline"])',
                'float(np.ceil(model["layers"] / layout["pipeline"]))',
            )
        ),
        "terms": """
def predict_step(model, layout, machine):
    d, p, m = layout.values()
    sizes = [model["layers"] // p + (s < model["layers"] % p) for s in range(p)]
    one = lambda n: n * model["flops"] * model["batch"] / d / m / machine["flops"]
    link = lambda numbers: machine["latency"] + 4 * numbers / machine["bandwidth"]
    found = {"compute": sum(one(max(sizes)) * 3 for _ in range(m)),
             "bubble": sum(one(max(sizes)) * 3 for _ in range(p - 1)),
             "messages": sum(2 * link(model["activation"] * model["batch"] / d / m)
                             for _ in range(p - 1)),
             "gradients": sum(2 * link(model["weights"] * max(sizes) / d) for _ in range(d - 1))}
    found["seconds"] = sum(found.values())
    stash = 4 * model["activation"] * model["batch"] / d
    found["memory"] = max(16 * n * model["weights"] + n * stash for n in sizes)
    return found
""",
    },
    "best_layout": {
        "product": _BEST.format(
            body=_CANDIDATES
            + """
    costs = [predict(model, one, machine) for one in every]
    fits = [i for i, c in enumerate(costs) if c["memory"] <= machine["memory"]]
    if not fits: raise ValueError("nothing fits")
    return every[min(fits, key=lambda i: (costs[i]["seconds"], costs[i]["memory"]))]"""
        ),
        "sorted": _BEST.format(
            body=_CANDIDATES
            + """
    def key(one):
        cost = predict(model=model, layout=one, machine=machine)
        return cost["memory"] > machine["memory"], cost["seconds"], cost["memory"]
    first = sorted(every, key=key)[0]
    if key(first)[0]: raise ValueError(f"{gpus} GPUs have too little memory.")
    return first"""
        ),
        "loop": _BEST.format(
            body=_CANDIDATES
            + """
    best = None
    for one in every:
        cost = predict(model, one, machine)
        if cost["memory"] > machine["memory"]: continue
        now = cost["seconds"], cost["memory"]
        if best is None or now < best[0]: best = now, one
    if best is None: raise ValueError("Nothing fits: take more GPUs.")
    return best[1]"""
        ),
        "generator": _BEST.format(
            body=_CANDIDATES
            + """
    def fitting():
        for n, one in enumerate(every):
            cost = predict(model, one, machine)
            if cost["memory"] <= machine["memory"]:
                yield cost["seconds"], cost["memory"], n
    try:
        return every[min(fitting())[2]]
    except ValueError:
        raise ValueError(f"No layout of {gpus} GPUs fits.") from None"""
        ),
        "two steps": _BEST.format(
            body=_CANDIDATES
            + """
    costs = [(predict(model, one, machine), one) for one in every]
    room = machine["memory"]
    costs = [(c["seconds"], c["memory"], one) for c, one in costs if not c["memory"] > room]
    if len(costs) == 0: raise ValueError("The model is too large for these GPUs.")
    fastest = min(c[0] for c in costs)
    costs = [c for c in costs if c[0] == fastest]
    return min(costs, key=lambda c: c[1])[-1]"""
        ),
    },
    "report": {
        "a function": _report(),
        "reversed": _report(
            last="""for r in reversed(records):
            if (r["data"], r["pipeline"]) == layout and len(r["losses"]) >= r["steps"]:
                return r
        return None"""
        ),
        "next": _report(
            last="""return next((r for r in records[::-1] if r["data"] == layout[0]
                     and r["pipeline"] == layout[1] and not len(r["losses"]) < r["steps"]), None)"""
        ),
        "dict": _report(
            row="rows.append(dict(run=r['run'], layout=tuple(layout), seconds=seconds,"
            " loss=float(r['losses'][-1]), speed_up=speed))"
        ),
        "by the step": _report(
            speed="""speed = None
        if base:
            speed = (base["seconds"] * r["steps"]) / (r["seconds"] * base["steps"])""",
            result="dict(rows=rows, missing=missing, machine=names.pop(),"
            " date=max([r['date'] for r in records]))",
        ),
    },
}
