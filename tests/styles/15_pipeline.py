"""Lab 15: right answers in other styles."""

_EXCHANGE = """
def there_and_back(dist, module, x, loss=None):
    if dist.get_rank() == 0:
        return _first(dist, module, x)
    return _last(dist, module, x, loss)
def _first(dist, module, x):
    y = module(x)
    {out}
    gradient = {room}
    {back}
    {go}
def _last(dist, module, x, loss):
    {come}
    {leaf}
    found = loss(module({name}))
    {backward}
    {answer}
    return {value}
"""


def _exchange(**changes: str) -> str:
    usual = {
        "out": "dist.send(y.detach(), 1)",
        "room": "torch.zeros_like(y)",
        "back": "dist.recv(gradient, 1)",
        "go": "y.backward(gradient)",
        "come": "dist.recv(x, 0)",
        "leaf": "x.requires_grad_(True)",
        "name": "x",
        "backward": "found.backward()",
        "answer": "dist.send(x.grad, 0)",
        "value": "float(found)",
    }
    return _EXCHANGE.format(**{**usual, **changes})


_BUBBLE_BY_RANK = """
def measured_bubble(spans, stages):
    work = sorted((s for s in spans if s.kind in {"F", "B", "I", "W"}), key=lambda s: s.start)
    start, end = work[0].start, max(s.end for s in work)
    idle = 0.0
    for rank in range(stages):
        at = start
        for span in (s for s in work if s.rank == rank):
            idle += span.start - at
            at = span.end
        idle += end - at
    return idle / (stages * (end - start))
"""

_STASH_BY_COUNT = """
import weakref as wr
def measured_stash(run, parameters):
    mine = [p.untyped_storage().data_ptr() for p in list(parameters)]
    count, size, most = {}, 0, 0
    class Kept: pass
    def let_go(place, bytes):
        nonlocal size
        count[place] -= 1
        if not count[place]:
            size -= bytes
    def pack(tensor):
        nonlocal size, most
        kept = Kept()
        kept.tensor = tensor.detach()
        storage = tensor.untyped_storage()
        place, bytes = storage.data_ptr(), storage.nbytes()
        if place not in mine:
            count[place] = count.get(place, 0) + 1
            size += bytes * (count[place] == 1)
            most = max(most, size)
            wr.finalize(kept, let_go, place, bytes)
        return kept
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        run()
    return most
"""

_STASH_BY_REFERENCES = """
def measured_stash(run, parameters):
    weights, places, history = set(p.untyped_storage().data_ptr() for p in parameters), [], [0]
    class Box:
        def __init__(self, tensor): self.tensor = tensor.detach()
    def pack(tensor):
        box = Box(tensor)
        places.append(weakref.ref(box))
        alive = [b for b in (ref() for ref in places) if b is not None]
        unique = {b.tensor.untyped_storage().data_ptr(): b.tensor.untyped_storage() for b in alive}
        history.append(sum(s.nbytes() for p, s in unique.items() if p not in weights))
        return box
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
        run()
    return max(history)
"""

_STASH_CLASS = """
class _Meter:
    class Held:
        pass
    def __init__(self, leave_out):
        self.leave_out, self.held, self.peak = leave_out, weakref.WeakKeyDictionary(), 0
    def pack(self, tensor):
        held = self.Held()
        held.tensor = tensor.detach()
        storage = tensor.untyped_storage()
        self.held[held] = storage.data_ptr(), storage.nbytes()
        self.peak = max(self.peak, sum(n for p, n in set(self.held.values())
                                       if p not in self.leave_out))
        return held
    def unpack(self, held):
        return held.tensor
def measured_stash(run, parameters):
    meter = _Meter({p.untyped_storage().data_ptr() for p in parameters})
    with torch.autograd.graph.saved_tensors_hooks(meter.pack, meter.unpack):
        run()
    return meter.peak
"""

_RUN_TWO_DICTS = """
def run_stage(actions, module, send, recv, inputs=None, loss=None):
    share, losses, kept_in, kept_out = len(actions) // 2, [], {}, {}
    for kind, m in actions:
        if kind == "F":
            received = [inputs[m]] if inputs is not None else [
                value.detach().requires_grad_() for value in recv("previous", ("F", m))]
            out = module(*received)
            out = list(out) if isinstance(out, tuple) else [out]
            if loss is None:
                send("next", ("F", m), tuple(one.detach().clone() for one in out))
            else:
                out = [loss(m, *out)]
                losses.append(float(out[0]))
            kept_in[m], kept_out[m] = received, out
        elif kind == "B":
            out, received = kept_out.pop(m), kept_in.pop(m)
            gradients = [torch.tensor(1 / share)] if loss is not None else recv("next", ("B", m))
            gradients = [g.to(o.dtype) for g, o in zip(gradients, out)]
            torch.autograd.backward(out, gradients)
            if inputs is None:
                send("previous", ("B", m), tuple(value.grad for value in received))
    return sum(losses) / share if losses else None
"""

_RUN_CLASS = """
class _Rank:
    def __init__(self, actions, module, send, recv, inputs=None, loss=None):
        self.m = len([a for a in actions if a[0] == "F"])
        self.module, self.send, self.recv = module, send, recv
        self.inputs, self.loss, self.stash, self.total = inputs, loss, {}, 0.0
    def F(self, m):
        first, last = self.inputs is not None, self.loss is not None
        x = (self.inputs[m],) if first else self.recv("previous", ("F", m))
        if not first:
            for one in x:
                one.requires_grad = True
        y = as_tuple(self.module(*x))
        if last:
            y = (self.loss(m, *y).div(self.m),)
            self.total = self.total + y[0].detach().item()
        self.stash[m] = (x, y)
        if not last:
            self.send("next", ("F", m), tuple(map(torch.Tensor.detach, y)))
    def B(self, m):
        x, y = self.stash[m]
        del self.stash[m]
        if self.loss is not None:
            y[0].backward()
        else:
            torch.autograd.backward(tensors=y, grad_tensors=self.recv("next", ("B", m)))
        if self.inputs is None:
            self.send("previous", ("B", m), tuple(one.grad for one in x))
def run_stage(actions, module, send, recv, inputs=None, loss=None):
    rank = _Rank(actions, module, send, recv, inputs=inputs, loss=loss)
    for kind, m in actions:
        getattr(rank, kind)(m)
    return None if loss is None else rank.total
"""

_RUN_CLOSURES = """
def run_stage(actions, module, send, recv, inputs=None, loss=None):
    m_all, pending, total = len(actions) / 2, {}, []
    def forward(m):
        x = recv("previous", ("F", m)) if inputs is None else (inputs[m],)
        if inputs is None:
            [value.requires_grad_() for value in x]
        y = as_tuple(module(*x))
        if loss is not None:
            value = loss(m, *y) / m_all
            total.append(value.item())
            y = (value,)
        else:
            send("next", ("F", m), tuple(one.detach() for one in y))
        def backward():
            torch.autograd.backward(y, None if loss else recv("next", ("B", m)))
            if inputs is None:
                send("previous", ("B", m), tuple(one.grad for one in x))
        pending[m] = backward
    for kind, m in actions:
        forward(m) if kind == "F" else pending.pop(m)()
    return sum(total) if loss is not None else None
"""

_RUN_GRAD = """
def run_stage(actions: list, module: nn.Module, send, recv, inputs=None, loss=None):
    count, kept, mean = len({m for _, m in actions}), {}, 0.0
    for kind, m in actions:
        match kind:
            case "F":
                x = (inputs[m],) if inputs is not None else tuple(
                    one.requires_grad_() for one in recv(source="previous", action=("F", m)))
                y = as_tuple(module(*x))
                if loss is None:
                    send(to="next", action=("F", m), values=tuple(one.data for one in y))
                else:
                    y = (loss(m, *y) / count,)
                    mean += y[0].item()
                kept[m] = x, y
            case _:
                x, y = kept.pop(m)
                dy = recv("next", ("B", m)) if loss is None else (torch.ones_like(y[0]),)
                for one in y:
                    one.retain_grad() if False else None
                torch.autograd.backward(y, dy)
                if inputs is None:
                    send("previous", ("B", m), tuple(one.grad.clone() for one in x))
    if loss is not None:
        return mean
"""

_RUN_GENERATOR = """
def _program(module, send, recv, inputs, loss, count, m):
    x = (inputs[m],) if inputs is not None else recv("previous", ("F", m))
    x = x if inputs is not None else tuple(one.requires_grad_() for one in x)
    y = as_tuple(module(*x))
    if loss is not None:
        y = (loss(m, *y) / count,)
    else:
        send("next", ("F", m), tuple(one.detach() for one in y))
    yield y[0].item() if loss is not None else 0.0
    torch.autograd.backward(y, recv("next", ("B", m)) if loss is None else None)
    if inputs is None:
        send("previous", ("B", m), tuple(one.grad for one in x))
def run_stage(actions, module, send, recv, inputs=None, loss=None):
    count, running, total = len(actions) // 2, {}, 0.0
    for kind, m in actions:
        if kind == "F":
            running[m] = _program(module, send, recv, inputs, loss, count, m)
            total += next(running[m])
        else:
            next(running.pop(m), None)
    return total if loss is not None else None
"""

_RUN_LOSS_LATE = """
def run_stage(actions, module, send, recv, inputs=None, loss=None):
    count, stash, total = len(actions) // 2, {}, 0.0
    for kind, m in actions:
        if kind == "F":
            x = recv("previous", ("F", m)) if inputs is None else (inputs[m],)
            x = tuple(one.requires_grad_() for one in x) if inputs is None else x
            stash[m] = x, as_tuple(module(*x))
            if loss is None:
                send("next", ("F", m), tuple(one.detach() for one in stash[m][1]))
            continue
        x, y = stash.pop(m)
        if loss is None:
            torch.autograd.backward(y, recv("next", ("B", m)))
        else:
            share = loss(m, *y) / count
            share.backward()
            total += share.item()
        if inputs is None:
            send("previous", ("B", m), tuple(one.grad for one in x))
    return total if loss is not None else None
"""

STYLES = {
    "stage_layers": {
        "a lambda": "stage_layers = lambda layers, rank, stages: layers["
        "rank * (len(layers) // stages) + min(rank, len(layers) % stages):]["
        ": len(layers) // stages + (rank < len(layers) % stages)]",
        "lengths added up": """
def stage_layers(layers, rank, stages):
    lengths = [len(layers) // stages + (r < len(layers) % stages) for r in range(stages)]
    return layers[sum(lengths[:rank]) : sum(lengths[: rank + 1])]
""",
        "NumPy": """
import numpy as np
def stage_layers(layers, rank, stages):
    return [layers[i] for i in np.array_split(np.arange(len(layers)), stages)[rank]]
""",
        "recursion": """
def stage_layers(layers, rank, stages):
    first = -(-len(layers) // stages)
    if rank == 0:
        return layers[:first]
    return stage_layers(layers[first:], rank - 1, stages - 1)
""",
        "popping from a copy": """
def stage_layers(layers, rank, stages):
    layers, mine = list(layers), []
    for r in range(rank + 1):
        mine = [layers.pop(0) for _ in range(-(-len(layers) // (stages - r)))]
    return mine
""",
        "an iterator": """
from itertools import islice
def stage_layers(layers: list, rank: int, stages: int) -> list:
    each, more = divmod(len(layers), stages)
    own = iter(layers)
    for r in range(rank):
        list(islice(own, each + (r < more)))
    return list(islice(own, each + (rank < more)))
""",
    },
    "there_and_back": {
        "send and recv": _exchange(),
        "receives begun early": _exchange(
            out="gradient = torch.empty_like(y); coming = dist.irecv(gradient, 1);"
            " going = dist.isend(y.detach(), dst=1)",
            room="gradient",
            back="going.wait(); coming.wait()",
        ),
        "autograd.backward": _exchange(
            go="torch.autograd.backward((y,), (gradient,))", value="found.detach().item()"
        ),
        "a leaf of its own": _exchange(
            leaf="leaf = x.clone().requires_grad_()", name="leaf", answer="dist.send(leaf.grad, 0)"
        ),
        "sum of products": _exchange(go="(y * gradient).sum().backward()"),
        "graphs kept until it returns": _exchange(
            go="y.backward(gradient, retain_graph=True)",
            backward="found.backward(retain_graph=True)",
        ),
        "autograd.grad for the input": _exchange(
            backward="found.backward(retain_graph=False)",
            answer="dist.isend(x.grad.clone(), 0).wait()",
        ),
    },
    "run_stage": {
        "two dicts": _RUN_TWO_DICTS,
        "a class": _RUN_CLASS,
        "closures": _RUN_CLOSURES,
        "match, keywords, ones": _RUN_GRAD,
        "generators": _RUN_GENERATOR,
        "the loss as it goes back": _RUN_LOSS_LATE,
    },
    "measured_bubble": {
        "gaps of each rank": _BUBBLE_BY_RANK,
        "a lambda": "_work = lambda spans: [s for s in spans if s.kind in 'FBIW']\n"
        "measured_bubble = lambda spans, stages: 1 - sum(s.end - s.start for s in _work(spans))"
        " / stages / (max(s.end for s in _work(spans)) - min(s.start for s in _work(spans)))",
        "NumPy": """
import numpy as np
def measured_bubble(spans, stages):
    work = np.array([(s.start, s.end) for s in spans if s.kind in ("F", "B", "I", "W")])
    whole = stages * np.ptp(work)
    return (whole - np.diff(work).sum()) / whole
""",
        "a tensor": """
def measured_bubble(spans, stages):
    times = [[s.start, s.end] for s in spans if s.kind in list("FBIW")]
    t = torch.tensor(times, dtype=torch.float64)
    return 1 - (t[:, 1] - t[:, 0]).sum() / (stages * (t.max() - t.min()))
""",
        "a loop": """
def measured_bubble(spans, stages):
    first, last, busy = float("inf"), float("-inf"), 0
    for span in spans:
        if span.kind not in schedules.COMPUTE:
            continue
        first, last = min(first, span.start), max(last, span.end)
        busy += span.end - span.start
    return 1 - busy / (last - first) / stages
""",
    },
    "measured_stash": {
        "counted with finalizers": _STASH_BY_COUNT,
        "weak references": _STASH_BY_REFERENCES,
        "a class": _STASH_CLASS,
        "keywords": """
def measured_stash(run, parameters):
    weights = {id(None)} | {p.untyped_storage().data_ptr() for p in parameters}
    kept, peaks = weakref.WeakSet(), {0}
    class Held:
        __slots__ = ("tensor", "__weakref__")
    def pack_hook(tensor):
        held = Held(); held.tensor = tensor.detach(); kept.add(held)
        sizes = {h.tensor.untyped_storage().data_ptr(): h.tensor.untyped_storage().nbytes()
                 for h in list(kept)}
        peaks.add(sum(sizes[place] for place in sizes.keys() - weights))
        return held
    hooks = torch.autograd.graph.saved_tensors_hooks(
        pack_hook=pack_hook, unpack_hook=lambda held: held.tensor)
    with hooks:
        run()
    return max(peaks)
""",
        "storages compared": """
def measured_stash(run, parameters):
    parameters, held, most = list(parameters), weakref.WeakSet(), [0]
    class Held:
        def __init__(self, tensor):
            self.tensor, self.storage = tensor.detach(), tensor.untyped_storage()
    def is_weight(storage):
        return any(p.untyped_storage().data_ptr() == storage.data_ptr() for p in parameters)
    def pack(tensor):
        one = Held(tensor)
        if not is_weight(one.storage):
            held.add(one)
        seen = {}
        for other in held:
            seen[other.storage.data_ptr()] = len(other.storage)
        most.append(sum(seen.values()))
        return one
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one.tensor):
        run()
    return sorted(most)[-1]
""",
    },
    "speed_up": {
        "a lambda": "speed_up = lambda stages, microbatches: "
        "stages / (1 + (stages - 1) / microbatches)",
        "from the bubble": """
def speed_up(stages, microbatches):
    bubble = (stages - 1) / (microbatches + stages - 1)
    return stages * (1 - bubble)
""",
        "times": """
def speed_up(p: int, m: int) -> float:
    one, many = p * m * 3.0, (m + p - 1) * 3.0
    return one / many
""",
        "fractions": """
from fractions import Fraction
speed_up = lambda stages, microbatches: float(
    Fraction(stages * microbatches, microbatches + stages - 1))
""",
        "a partial": """
from functools import partial
def _up(f, b, stages, microbatches):
    return stages * microbatches * (f + b) / ((microbatches + stages - 1) * (f + b))
speed_up = partial(_up, 1, 2)
""",
        "two digits": "share_reached = 0.75\nrest = 'Balance '",
    },
    "interleaved": {
        "a range": "chunks_of = lambda rank, stages, chunks: "
        "list(range(rank, stages * chunks, stages))",
        "a slice": """
def chunks_of(rank, stages, chunks):
    return [*range(stages * chunks)][rank::stages]
""",
        "from times": """
def interleaved_bubble(stages, microbatches, chunks):
    t = 3.0
    work, idle = microbatches * t, (stages - 1) * t / chunks
    return idle / (work + idle)
""",
        "a lambda": "interleaved_bubble = lambda p, m, v: 1 - v * m / (v * m + p - 1)",
        "more micro-batches": """
def interleaved_bubble(stages, microbatches, chunks):
    def plain(p, m):
        return (p - 1) / (m + p - 1)
    return plain(stages, microbatches * chunks)
""",
    },
    "staleness": {
        "a lambda": "staleness = lambda rank, stages: stages - rank - 1",
        "a count": "def staleness(rank, stages): return len(range(rank + 1, stages))",
        "recursion": """
def staleness(rank, stages):
    return 0 if rank == stages - 1 else 1 + staleness(rank + 1, stages)
""",
        "a class": """
class _Rule:
    def __call__(self, rank, stages): return stages - 1 - rank
staleness = _Rule()
""",
        "a partial": """
from functools import partial
staleness = partial(lambda one, rank, stages: int(stages - one - rank), 1)
""",
    },
}
