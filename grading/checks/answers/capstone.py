"""The answers of lab 17, and what people get wrong in a program for several machines."""

import hashlib
import io
import json
import math
import os
import re
import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from grading.checks.mistakes import Mistake, Table, variants

__all__ = ["MISTAKES", "dist", "hashlib", "io", "json", "math", "nn", "os", "re"]


def groups(rank, ranks, data, pipeline, tensor=1):
    if data * pipeline * tensor != ranks:
        raise ValueError(
            f"{data} x {pipeline} x {tensor} = {data * pipeline * tensor} places for {ranks} ranks."
        )
    d, rest = divmod(rank, pipeline * tensor)
    s, t = divmod(rest, tensor)
    at = lambda d, s, t: (d * pipeline + s) * tensor + t  # noqa: E731
    return {
        "data": [at(i, s, t) for i in range(data)],
        "pipeline": [at(d, i, t) for i in range(pipeline)],
        "tensor": [at(d, s, i) for i in range(tensor)],
    }


def hybrid_step(dist, pipeline, data_group, replicas, module, inputs, loss=None):
    at = pipeline.index(dist.get_rank())
    before = pipeline[at - 1] if at > 0 else None
    after = pipeline[at + 1] if at + 1 < len(pipeline) else None
    outputs, total = [], 0.0
    for m, x in enumerate(inputs):
        if before is not None:
            dist.recv(x, before)
            x.requires_grad_()
        y = module(x)
        if after is None:
            y = loss(m, y) / len(inputs)
            total += y.item()
        else:
            dist.send(y.detach(), after)
        outputs.append(y)
    for x, y in zip(inputs, outputs, strict=True):
        dy = None
        if after is not None:
            dy = torch.empty_like(y)
            dist.recv(dy, after)
        y.backward(dy)
        if before is not None:
            dist.send(x.grad, before)
    for parameter in module.parameters():
        dist.all_reduce(parameter.grad, group=data_group)
        parameter.grad /= replicas
    if after is not None:
        return None
    mean = torch.tensor([total], dtype=y.dtype, device=y.device)
    dist.all_reduce(mean, group=data_group)
    return mean.item() / replicas


def save(folder, step, rank, mesh, state):
    buffer = io.BytesIO()
    torch.save({"mesh": tuple(mesh), "state": state}, buffer)
    content = buffer.getvalue()
    path = Path(folder, f"step{step}-rank{rank}.pt")
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        file.write(hashlib.sha256(content).digest() + content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def read_part(path):
    """What is in one rank's file; None where it is not as it was written."""
    content = path.read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    return torch.load(io.BytesIO(content[32:]), weights_only=True)


def resume(folder, rank, mesh):
    files = {}
    for path in Path(folder).glob("step*-rank*.pt"):
        step, of = map(int, re.findall(r"\d+", path.name))
        files.setdefault(step, {})[of] = path
    for step in sorted(files, reverse=True):
        found = {of: read_part(path) for of, path in files[step].items()}
        whole = {of: part for of, part in found.items() if part is not None}
        for part in whole.values():
            if part["mesh"] != tuple(mesh):
                raise ValueError(f"A checkpoint of mesh {part['mesh']} cannot go on as {mesh}.")
        if set(whole) >= set(range(mesh[0] * mesh[1])):
            return step, whole[rank]["state"]
    return None


def train(dist, job, folder):
    rank, ranks = dist.get_rank(), dist.get_world_size()
    place = groups(rank, ranks, job.data, job.pipeline)
    every = [tuple(groups(r, ranks, job.data, job.pipeline)["data"]) for r in range(ranks)]
    made = {members: dist.new_group(list(members)) for members in dict.fromkeys(every)}
    number, replica = place["pipeline"].index(rank), place["data"].index(rank)
    module = job.stage(number)
    optimizer = job.optimizer(module.parameters())
    generator = torch.Generator().manual_seed(job.seed)
    mesh, begin, losses = (job.data, job.pipeline), 0, []
    found = resume(folder, rank, mesh)
    if found is not None:
        begin, state = found
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        losses = list(state["losses"])
    for step in range(begin, job.steps):
        X, y = job.draw(generator)
        inputs = X.chunk(job.data)[replica].chunk(job.microbatches)
        targets = y.chunk(job.data)[replica].chunk(job.microbatches)
        if number > 0:
            inputs = [job.room(len(x)) for x in inputs]
        last = number == job.pipeline - 1
        loss = (lambda m, scores: job.loss(scores, targets[m])) if last else None  # noqa: B023
        optimizer.zero_grad()
        group = made[tuple(place["data"])]
        losses.append(hybrid_step(dist, place["pipeline"], group, job.data, module, inputs, loss))
        optimizer.step()
        if (step + 1) % job.every == 0:
            state = {
                "module": module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "generator": generator.get_state(),
                "losses": losses,
            }
            save(folder, step + 1, rank, mesh, state)
    return losses, [parameter.detach() for parameter in module.parameters()]


def predict_step(model, layout, machine):
    d, p, m = layout["data"], layout["pipeline"], layout["microbatches"]
    layers, samples = math.ceil(model["layers"] / p), model["batch"] / (d * m)
    forward = layers * model["flops"] * samples / machine["flops"]
    activation = 4 * model["activation"] * samples
    weights = layers * model["weights"]
    sent = lambda nbytes: machine["latency"] + nbytes / machine["bandwidth"]  # noqa: E731
    time = {
        "compute": m * 3 * forward,
        "bubble": (p - 1) * 3 * forward,
        "messages": 2 * (p - 1) * sent(activation),
        "gradients": 2 * (d - 1) * sent(4 * weights / d),
    }
    memory = 16 * weights + m * layers * activation
    return {**time, "seconds": sum(time.values()), "memory": memory}


def best_layout(model, machine, gpus, predict):
    found = []
    for p in range(1, min(gpus, model["layers"]) + 1):
        d, rest = divmod(gpus, p)
        if rest or model["batch"] % d:
            continue
        for m in range(1, model["batch"] // d + 1):
            if model["batch"] % (d * m) == 0:
                layout = {"data": d, "pipeline": p, "microbatches": m}
                cost = predict(model, layout, machine)
                if cost["memory"] <= machine["memory"]:
                    found.append((cost["seconds"], cost["memory"], len(found), layout))
    if not found:
        raise ValueError(f"No layout of {gpus} GPUs fits into {machine['memory']} bytes.")
    return min(found)[-1]


what_grows = "gradients"


def report(records, layouts):
    machines = {record["machine"] for record in records}
    if len(machines) != 1:
        raise ValueError(f"Runs of {len(machines)} machines are not compared.")
    of = {}
    for record in records:
        if len(record["losses"]) == record["steps"]:
            of[record["data"], record["pipeline"]] = record
    alone = of.get((1, 1))
    rows = []
    for layout in layouts:
        if tuple(layout) in of:
            record = of[tuple(layout)]
            seconds = record["seconds"] / record["steps"]
            rows.append(
                {
                    "run": record["run"],
                    "layout": tuple(layout),
                    "seconds": seconds,
                    "loss": record["losses"][-1],
                    "speed_up": alone["seconds"] / alone["steps"] / seconds if alone else None,
                }
            )
    return {
        "machine": machines.pop(),
        "date": max(record["date"] for record in records),
        "rows": rows,
        "missing": [tuple(one) for one in layouts if tuple(one) not in of],
    }


# What people get wrong

_group, _groups = variants(
    "groups",
    """
def groups(rank, ranks, data, pipeline, tensor=1):
    if {wrong}:
        raise ValueError(f"{{data}} x {{pipeline}} x {{tensor}} places for {{ranks}} ranks.")
    {place}
    at = lambda d, s, t: {at}
    return {{"data": {data}, "pipeline": {pipeline}, "tensor": {tensor}}}
""",
    wrong="data * pipeline * tensor != ranks",
    place="d, s, t = rank // (pipeline * tensor), rank // tensor % pipeline, rank % tensor",
    at="(d * pipeline + s) * tensor + t",
    data="[at(i, s, t) for i in range(data)]",
    pipeline="[at(d, i, t) for i in range(pipeline)]",
    tensor="[at(d, s, i) for i in range(tensor)]",
)
_GROUPS = [
    _group(
        "data varies fastest",
        0,
        "The order is turned round: neighbours in rank should be neighbours in the tensor group,"
        " then in the pipeline, and replicas farthest apart.",
        place="t, s, d = rank // (pipeline * data), rank // data % pipeline, rank % data",
        at="(t * pipeline + s) * data + d",
    ),
    _group(
        "pipeline and data swapped",
        0,
        "The ranks under data and pipeline are exchanged: a data group holds the ranks with the"
        " same stage, a pipeline those of one replica.",
        data="[at(d, i, t) for i in range(pipeline)]",
        pipeline="[at(i, s, t) for i in range(data)]",
    ),
    _group(
        "without tensor",
        0.5,
        "The tensor dimension takes part in the rank's number: (d · pipeline + s) · tensor + t.",
        place="d, s, t = rank // pipeline, rank % pipeline, 0",
        at="d * pipeline + s + 0 * t",
        tensor="[rank]",
    ),
    _group(
        "without tensor in the number",
        0.5,
        "The tensor dimension takes part in the rank's number: (d · pipeline + s) · tensor + t.",
        at="d * pipeline + s",
    ),
    _group(
        "tensor varies slowest",
        0.5,
        "The tensor index runs fastest: yours runs slowest.",
        place="t, d, s = rank // (data * pipeline), rank // pipeline % data, rank % pipeline",
        at="(t * data + d) * pipeline + s",
    ),
    _group(
        "divided by the replicas",
        0,
        "A replica has pipeline stages: divmod(rank // tensor, pipeline) takes a number apart, not"
        " divmod(…, data).",
        place="(d, s), t = divmod(rank // tensor, data), rank % tensor",
    ),
    _group(
        "quotient and rest exchanged",
        0,
        "divmod(rank // tensor, pipeline) is the replica and the stage, in this order.",
        place="(s, d), t = divmod(rank // tensor, pipeline), rank % tensor",
    ),
    _group(
        "divided by the replicas, and exchanged",
        0,
        "That counts the replicas within a stage: s, d = divmod(…, data). The stage runs faster than the"
        " replica: d, s = divmod(rank // tensor, pipeline).",
        place="(s, d), t = divmod(rank // tensor, data), rank % tensor",
    ),
    _group(
        "pipeline varies fastest",
        0.5,
        "The order is data, pipeline, tensor, the last one fastest: yours is data, tensor,"
        " pipeline.",
        place="d, t, s = rank // (pipeline * tensor), rank // pipeline % tensor, rank % pipeline",
        at="(d * tensor + t) * pipeline + s",
    ),
    _group(
        "taken apart one way, made the other",
        0.5,
        "A rank's number is taken apart in one order and put together in another: it is"
        " (d · pipeline + s) · tensor + t, both ways.",
        at="(d * tensor + t) * pipeline + s",
    ),
    _group(
        "the stage without tensor",
        0.5,
        "The stage is taken from the rank itself: rank // tensor comes first, then % pipeline.",
        place="d, s, t = rank // (pipeline * tensor), rank % pipeline, rank % tensor",
    ),
    _group(
        "without itself",
        0,
        "A rank is a member of its own groups: none leaves it out.",
        data="[at(i, s, t) for i in range(data) if i != d]",
        pipeline="[at(d, i, t) for i in range(pipeline) if i != s]",
        tensor="[at(d, s, i) for i in range(tensor) if i != t]",
    ),
    _group(
        "first rows for all",
        0,
        "Those are the groups of rank 0: whose they are depends on the rank.",
        place="d, s, t = 0, 0, 0",
    ),
    _group(
        "divided by data",
        0,
        "A replica takes pipeline · tensor ranks: rank // (pipeline · tensor) is its number.",
        place="d, s, t = rank // data % data, rank // tensor % pipeline, rank % tensor",
    ),
    _groups(
        "too many ranks are let by",
        0.8,
        "does not refuse",
        wrong="data * pipeline * tensor > ranks",
    ),
    _groups(
        "too few ranks are let by",
        0.8,
        "does not refuse",
        wrong="data * pipeline * tensor < ranks",
    ),
    Mistake(
        "groups",
        "assert",
        0.8,
        "A ValueError is asked for",
        """
def groups(rank, ranks, data, pipeline, tensor=1):
    assert data * pipeline * tensor == ranks
    d, s, t = rank // (pipeline * tensor), rank // tensor % pipeline, rank % tensor
    at = lambda d, s, t: (d * pipeline + s) * tensor + t
    return {"data": [at(i, s, t) for i in range(data)],
            "pipeline": [at(d, i, t) for i in range(pipeline)],
            "tensor": [at(d, s, i) for i in range(tensor)]}
""",
    ),
    Mistake(
        "groups",
        "only whether they divide",
        0.8,
        "does not refuse",
        """
def groups(rank, ranks, data, pipeline, tensor=1):
    if ranks % (data * pipeline * tensor):
        raise ValueError(f"{ranks} ranks do not divide by {data * pipeline * tensor}.")
    d, s, t = rank // (pipeline * tensor) % data, rank // tensor % pipeline, rank % tensor
    at = lambda d, s, t: (d * pipeline + s) * tensor + t
    return {"data": [at(i, s, t) for i in range(data)],
            "pipeline": [at(d, i, t) for i in range(pipeline)],
            "tensor": [at(d, s, i) for i in range(tensor)]}
""",
    ),
]

LAST_STAGE_RIGHT = (
    "The last stage's gradients are right, those before it are not. A stage passes back x.grad, the"
    " gradient of what it received; the stage before gives it to y.backward(dy), micro-batch by"
    " micro-batch."
)

_step, _steps = variants(
    "hybrid_step",
    """
def hybrid_step(dist, pipeline, data_group, replicas, module, inputs, loss=None):
    rank = dist.get_rank()
    at = pipeline.index(rank)
    before = {before} if at > 0 else None
    after = {after} if at + 1 < len(pipeline) else None
    outputs, total = [], 0.0
    for m, x in enumerate({inputs}):
        if before is not None:
            dist.recv(x, before)
            {leaf}
        y = module(x)
        if after is None:
            y = {loss}
            total += y.item()
        else:
            {send}
        outputs.append(y)
    for m, (x, y) in enumerate(zip(inputs, outputs)):
        dy = None
        if after is not None:
            dy = torch.empty_like(y)
            dist.recv(dy, after)
        {backward}
        if before is not None:
            dist.send({back}, before)
        {each}
    for parameter in module.parameters():
        {sum}
        {divide}
    if after is not None:
        return {other}
    mean = torch.tensor([total], dtype=y.dtype)
    {reduce}
    return {value}
""",
    before="pipeline[at - 1]",
    after="pipeline[at + 1]",
    inputs="inputs",
    leaf="x.requires_grad_()",
    send="dist.send(y.detach(), after)",
    loss="loss(m, y) / len(inputs)",
    backward="y.backward(dy)",
    back="x.grad",
    each="pass",
    sum="dist.all_reduce(parameter.grad, group=data_group)",
    divide="parameter.grad /= replicas",
    other="None",
    reduce="dist.all_reduce(mean, group=data_group)",
    value="mean.item() / replicas",
)
_STEP = [
    _step(
        "micro-batches summed",
        0,
        "The gradients of the micro-batches are summed; the batch's mean is the mean of its"
        " micro-batches' means: each counts 1/m.",
        loss="loss(m, y)",
        value="mean.item() / replicas / len(inputs)",
    ),
    _step(
        "micro-batches divided twice",
        0,
        "The gradients are divided by the number of micro-batches twice: in the loss, or in the"
        " gradients, once.",
        divide="parameter.grad /= replicas * len(inputs)",
    ),
    _step(
        "replicas summed",
        1.55,
        "The gradients are summed over the replicas; asked for is their mean.",
        divide="pass",
    ),
    _step(
        "each replica for itself",
        1.55,
        "Those are the gradients of one replica's own part of the batch: the others' are missing.",
        sum="pass",
        divide="pass",
    ),
    _step(
        "divided, not summed",
        1.55,
        "The gradients are divided by the number of replicas, and not summed over them.",
        sum="pass",
    ),
    _step(
        "the sum is thrown away",
        1.55,
        "The gradients are divided by the number of replicas, and not summed over them.",
        sum="dist.all_reduce(parameter.grad.clone(), group=data_group)",
    ),
    _step(
        "replicas divided twice",
        1.55,
        "The gradients are divided by the number of replicas twice: in the loss, or after the sum,"
        " once.",
        divide="parameter.grad /= replicas**2",
    ),
    _step(
        "by all ranks",
        1.25,
        "The gradients are divided by the number of ranks; as many replicas as there are hold this"
        " stage.",
        divide="parameter.grad /= dist.get_world_size()",
    ),
    _step(
        "weights summed",
        1.55,
        "The gradients are divided by the number of replicas, and not summed over them.",
        sum="dist.all_reduce(parameter.data, group=data_group)",
    ),
    _step(
        "the last micro-batch dropped",
        0,
        "One of the micro-batches takes no part.",
        inputs="inputs[:-1]",
    ),
    _step(
        "gradient of the output passed on",
        1.25,
        "What goes back is the gradient of this stage's output; the stage before waits for that of"
        " its own output, which is this stage's input.",
        back="x.grad if dy is None else dy[:, :1].expand_as(x).contiguous()",
    ),
    _step(
        "input passed back",
        1.25,
        "What goes back is what was received; the stage before waits for its gradient, x.grad.",
        back="x.detach()",
    ),
    _step(
        "the last micro-batch's share",
        2.0,
        "Of the loss only the last micro-batch's share is counted: total += …, not total = ….",
        reduce="mean = outputs[-1].detach().reshape(1); dist.all_reduce(mean, group=data_group)",
    ),
    _step(
        "loss by replicas twice",
        2.0,
        "The loss is divided by the number of replicas twice.",
        value="mean.item() / replicas**2",
    ),
    _step(
        "loss in float32",
        2.0,
        "The loss is rounded to float32, which torch.tensor(number) has; with dtype=y.dtype it stays"
        " as exact as the outputs.",
        reduce="mean = mean.float(); dist.all_reduce(mean, group=data_group)",
    ),
    _step(
        "losses of micro-batches summed",
        2.0,
        "The losses of the micro-batches are summed; the batch's is their mean.",
        value="mean.item() * len(inputs) / replicas",
    ),
    _step(
        "loss of its own part",
        2.0,
        "That is the loss of this replica's own part; asked for is the mean over all replicas.",
        reduce="pass",
        value="mean.item()",
    ),
    _step(
        "losses summed",
        2.0,
        "The losses are summed over the replicas; asked for is their mean.",
        value="mean.item()",
    ),
    _step(
        "loss of the last micro-batch",
        2.0,
        "That is the loss of the last micro-batch; asked for is the mean over all of them.",
        reduce="mean = (outputs[-1] * len(inputs)).detach().reshape(1);"
        " dist.all_reduce(mean, group=data_group)",
    ),
    _steps(
        "all ranks in one sum",
        0.75,
        "Without `group=` all_reduce sums over all ranks",
        sum="dist.all_reduce(parameter.grad)",
        reduce="pass",
        value="mean.item()",
    ),
    _steps(
        "the next rank",
        1.25,
        "The next stage is the next entry of `pipeline`",
        before="rank - 1",
        after="rank + 1",
    ),
    _steps(
        "no gradient for the input",
        1.25,
        "requires_grad_()",
        leaf="pass",
    ),
    _steps(
        "summed in each micro-batch",
        1.55,
        "After all micro-batches each gradient is summed once",
        each="[dist.all_reduce(p.grad, group=data_group) for p in module.parameters()]",
        sum="pass",
    ),
    _steps(
        "not waited for",
        1.25,
        "Until request.wait() returns",
        send="dist.isend(y.detach(), after)",
    ),
    _steps("a loss everywhere", 2.0, "the others return None", other="0.0"),
    _steps("a tensor", 2.0, "`.item()`", value="mean[0] / replicas"),
    _steps("no backward", 0, "only after the backward", backward="pass"),
    Mistake(
        "hybrid_step",
        "receives first",
        0,
        "never ends",
        """
def hybrid_step(dist, pipeline, data_group, replicas, module, inputs, loss=None):
    at = pipeline.index(dist.get_rank())
    for x in inputs:
        dist.recv(x, pipeline[at - 1])
""",
    ),
    Mistake(
        "hybrid_step",
        "one rank of a group leaves the sum out",
        1.55,
        "Some ranks wait in an all_reduce",
        """
_whole = hybrid_step
def hybrid_step(dist, pipeline, data_group, replicas, module, inputs, loss=None):
    class Without:
        def __getattr__(self, name): return getattr(dist, name)
        def all_reduce(self, x, group=None):
            if dist.get_rank(group) == 0: dist.all_reduce(x, group=group)
    return _whole(Without(), pipeline, data_group, replicas, module, inputs, loss)
""",
    ),
]


_part, _parts = variants(
    "checkpoint",
    """
def save(folder, step, rank, mesh, state):
    buffer = io.BytesIO()
    torch.save({{"mesh": tuple(mesh), "state": {state}}}, buffer)
    content = buffer.getvalue()
    path = Path(folder, {name})
    {before}
    {write}
    {after}
def read_part(path):
    content = path.read_bytes()
    if {torn}:
        return None
    return torch.load(io.BytesIO(content[32:]), weights_only=True)
def resume(folder, rank, mesh):
    files = {{}}
    for path in Path(folder).glob({pattern}):
        step, of = map(int, re.findall(r"\\d+", path.name))
        files.setdefault(step, {{}})[of] = path
    for step in {order}:
        found = {{of: read_part(path) for of, path in files[step].items()}}
        whole = {{of: part for of, part in found.items() if part is not None}}
        {mesh}
        if {complete}:
            return {result}
    return None
""",
    state="state",
    name='f"step{step}-rank{rank}.pt"',
    before="pass",
    write="""unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(hashlib.sha256(content).digest() + content)
    os.replace(unfinished, path)""",
    after="pass",
    torn="hashlib.sha256(content[32:]).digest() != content[:32]",
    pattern='"step*-rank*.pt"',
    order="sorted(files, reverse=True)",
    mesh="""for part in whole.values():
            if part["mesh"] != tuple(mesh):
                raise ValueError(f"A checkpoint of {part['mesh']} cannot go on as {mesh}.")""",
    complete="set(whole) >= set(range(mesh[0] * mesh[1]))",
    result='(step, whole[rank]["state"])',
)
_CHECKPOINT = [
    _parts(
        "by name",
        1.7,
        "a name with 9 in it comes after one with 10",
        order="sorted(files, key=str, reverse=True)",
    ),
    _parts(
        "by the time of the file",
        1.7,
        "which file was written last says nothing",
        order="sorted(files, key=lambda s: max(p.stat().st_mtime_ns for p in files[s].values()),"
        " reverse=True)",
    ),
    _parts("the oldest", 1.05, "is not the newest", order="sorted(files)"),
    _parts(
        "only its own part is looked at",
        1.0,
        "parts of other ranks are missing",
        complete="rank in whole",
    ),
    _parts(
        "half of the parts are enough",
        1.0,
        "parts of other ranks are missing",
        complete="rank in whole and len(whole) >= mesh[0]",
    ),
    _parts("no checksum", 1.65, "A checksum beside the data tells", torn="len(content) < 100"),
    _parts(
        "only its own part is checked",
        1.65,
        "part of another rank",
        complete="rank in whole and set(files[step]) >= set(range(mesh[0] * mesh[1]))",
    ),
    _parts(
        "a torn file raises",
        1.65,
        "It is refused without an error",
        torn="hashlib.sha256(content[32:]).digest() != content[:32] and exec('raise EOFError')",
    ),
    _parts(
        "one file for all ranks",
        0,
        "of another rank",
        name='f"step{step}-rank0.pt"',
        result='(step, whole[0]["state"])',
        complete="0 in whole",
    ),
    _parts(
        "the first rank's state",
        0,
        "of another rank",
        result='(step, whole[0]["state"])',
    ),
    _parts("one step further", 0, "not the step", result='(step + 1, whole[rank]["state"])'),
    _parts(
        "one file, written over",
        0.7,
        "only one checkpoint is kept",
        name='f"step{0 * step + 1}-rank{rank}.pt"',
        after="Path(folder, 'step').write_text(str(step))",
        result='(int(Path(folder, "step").read_text()), whole[rank]["state"])',
    ),
    _parts(
        "the old one is removed first",
        0.7,
        "only one checkpoint is kept",
        before="[p.unlink() for p in Path(folder).glob(f'step*-rank{rank}.pt')]",
    ),
    _parts(
        "the old one is removed when its own part is there",
        0.7,
        "only one checkpoint is kept",
        after="[p.unlink() for p in Path(folder).glob(f'step*-rank{rank}.pt') if p != path]",
    ),
    _parts("any mesh", 1.8, "goes on with a checkpoint of another mesh", mesh="pass"),
    _parts(
        "another mesh is nothing",
        1.8,
        "says nothing of it",
        mesh="if any(part['mesh'] != tuple(mesh) for part in whole.values()): continue",
    ),
    _parts(
        "as many ranks are enough",
        1.8,
        "goes on with a checkpoint of another mesh",
        mesh="""for part in whole.values():
            if part["mesh"][0] * part["mesh"][1] != mesh[0] * mesh[1]:
                raise ValueError("another mesh")""",
    ),
    _parts(
        "only the weights",
        0,
        "has lost",
        state="{k: v for k, v in state.items() if torch.is_tensor(v)}",
    ),
    Mistake(
        "checkpoint",
        "kept in memory",
        0,
        "another process",
        """
_kept = {}
def save(folder, step, rank, mesh, state): _kept[step, rank] = state
def resume(folder, rank, mesh):
    steps = [s for s, r in _kept if r == rank]
    return (max(steps), _kept[max(steps), rank]) if steps else None
""",
    ),
    Mistake(
        "checkpoint",
        "save does nothing",
        0,
        "writes nothing",
        "def save(folder, step, rank, mesh, state): pass",
    ),
    Mistake(
        "checkpoint",
        "resume returns the state alone",
        0,
        "a tuple of the step and the state",
        """
_both = resume
def resume(folder, rank, mesh):
    found = _both(folder, rank, mesh)
    return None if found is None else found[1]
""",
    ),
]

_CHECKPOINT += [
    Mistake(
        "checkpoint",
        "kept in memory",
        1.6,
        "from this folder's files",
        """
_kept, _saved, _resumed = {}, save, resume
def save(folder, step, rank, mesh, state):
    _kept[step, rank] = state
    _saved(folder, step, rank, mesh, state)
def resume(folder, rank, mesh):
    found = _resumed(folder, rank, mesh)
    return found and (found[0], _kept[found[0], rank])
""",
    ),
    Mistake(
        "checkpoint",
        "one file for all ranks",
        0,
        "The rank belongs into the file's name",
        """
_saved = save
def save(folder, step, rank, mesh, state):
    _saved(folder, step, 0, mesh, state)
""",
    ),
    Mistake(
        "checkpoint",
        "one unfinished name for all",
        1.7,
        "Two ranks write unfinished files of the same name",
        """
def save(folder, step, rank, mesh, state):
    buffer = io.BytesIO()
    torch.save({"mesh": tuple(mesh), "state": state}, buffer)
    content, unfinished = buffer.getvalue(), Path(folder, "unfinished")
    unfinished.write_bytes(hashlib.sha256(content).digest() + content)
    os.replace(unfinished, Path(folder, f"step{step}-rank{rank}.pt"))
""",
    ),
]

ONE_NAME = (
    "After a save by several ranks there are fewer files than ranks: one rank writes over another's. The"
    " rank belongs into the file's name, as the step does."
)
STEPS = (
    "`done` steps are behind it after a resume, 0 without one: range(done, job.steps) are the others,"
    " counted from 0, and range(done + 1, job.steps + 1) counted from 1."
)

_program, _programs = variants(
    "train",
    """
def train(dist, job, folder):
    rank, ranks = dist.get_rank(), dist.get_world_size()
    place = groups(rank, ranks, job.data, job.pipeline)
    {make}
    number, replica = place["pipeline"].index(rank), place["data"].index(rank)
    module = job.stage({stage})
    optimizer = job.optimizer(module.parameters())
    generator = torch.Generator().manual_seed({seed})
    mesh, begin, losses = (job.data, job.pipeline), 0, []
    found = {resume}
    if found is not None:
        begin, state = found
        {load}
    for step in range({begin}, job.steps):
        X, y = job.draw(generator)
        inputs = {share}
        targets = {targets}
        if number > 0:
            inputs = [job.room(len(x)) for x in inputs]
        last = number == job.pipeline - 1
        loss = (lambda m, scores: job.loss(scores, targets[m])) if last else None
        {zero}
        {early}
        losses.append(hybrid_step(dist, place["pipeline"], group, job.data, module, inputs, loss))
        {step}
        if {when}:
            save(folder, {number}, rank, mesh, {{
                "module": module.state_dict(), "optimizer": optimizer.state_dict(),
                "generator": generator.get_state(), "losses": losses}})
    return {result}
""",
    make="""every = [tuple(groups(r, ranks, job.data, job.pipeline)["data"]) for r in range(ranks)]
    made = {members: dist.new_group(list(members)) for members in sorted(set(every))}
    group = made[every[rank]]""",
    stage="number",
    seed="job.seed",
    resume="resume(folder, rank, mesh)",
    load="""module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        losses = list(state["losses"])""",
    begin="begin",
    share="X.chunk(job.data)[replica].chunk(job.microbatches)",
    targets="y.chunk(job.data)[replica].chunk(job.microbatches)",
    zero="optimizer.zero_grad()",
    early="pass",
    step="optimizer.step()",
    when="(step + 1) % job.every == 0",
    number="step + 1",
    result="losses, [p.detach() for p in module.parameters()]",
)
_TRAIN = [
    _programs("one step too many", 0, "counted from 1", begin="begin - 1"),
    _programs("one step too few", 0, "counted from 1", begin="begin + 1"),
    _program(
        "the same part for all replicas",
        0,
        "All replicas train on the same part of the batch: replica d takes the d-th of `data` parts.",
        share="X.chunk(job.data)[0].chunk(job.microbatches)",
        targets="y.chunk(job.data)[0].chunk(job.microbatches)",
    ),
    _program(
        "labels of the first part",
        0,
        "Images and labels are not cut alike: each micro-batch keeps its own labels.",
        targets="y.chunk(job.data)[0].chunk(job.microbatches)",
    ),
    _program(
        "the same batch in every step",
        0,
        "Every step draws the same batch: the generator is made once, before the steps.",
        early="generator.manual_seed(job.seed)",
    ),
    _program(
        "images by the stage",
        0,
        "The images are chosen by the stage, and the labels by the replica: both are the replica's part.",
        share="X.chunk(job.data)[number % job.data].chunk(job.microbatches)",
    ),
    _program(
        "a seed for each rank",
        0,
        "The ranks draw different batches: all begin with the same generator, and each takes its part.",
        seed="job.seed + rank",
    ),
    _program(
        "a fixed seed",
        0,
        "The data do not come from the job's seed.",
        seed="0",
    ),
    _program(
        "gradients not cleared",
        0,
        "The gradients of one step are added to those of the step before.",
        zero="pass",
    ),
    _program(
        "the whole batch for each replica",
        0,
        "Each replica trains on the whole batch: replica d takes the d-th of `data` equal parts.",
        share="X.chunk(job.microbatches)",
        targets="y.chunk(job.microbatches)",
    ),
    _program(
        "a part for each stage",
        0,
        "The part of the batch is chosen by the stage, or by rank % data: it is the replica's number"
        " that counts, this rank's place in its data group.",
        share="X.chunk(job.data)[number % job.data].chunk(job.microbatches)",
        targets="y.chunk(job.data)[number % job.data].chunk(job.microbatches)",
    ),
    _programs(
        "saved at other steps",
        1.1,
        "saves after every `every` steps",
        when="(step - 1) % job.every == 0",
    ),
    _program(
        "saved before the update",
        0.7,
        "The checkpoint is saved before the optimizer steps: after a restart that update is missing.",
        step="""if (step + 1) % job.every == 0:
            save(folder, step + 1, rank, mesh, {
                "module": module.state_dict(), "optimizer": optimizer.state_dict(),
                "generator": generator.get_state(), "losses": losses})
        optimizer.step()""",
        when="False",
    ),
    _program(
        "no update",
        0,
        "The weights are those of the beginning: does the optimizer step?",
        step="pass",
    ),
    _program(
        "the update comes first",
        0,
        "The update comes before the gradients are there.",
        zero="pass",
        early="optimizer.step(); optimizer.zero_grad()",
        step="pass",
    ),
    _program(
        "every replica's own batch",
        0,
        "Every step draws several batches, one for each replica: a step has one batch, of which each"
        " replica takes its part.",
        early="[job.draw(generator) for _ in range(job.data - 1)]",
    ),
    _program(
        "the generator is not restored",
        0.7,
        "After the restart the data begin from the start again: the generator's state belongs to the"
        " checkpoint.",
        load="""module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        losses = list(state["losses"])""",
    ),
    _program(
        "the optimizer is not restored",
        0.7,
        "After the restart the optimizer has forgotten its momentum: its state belongs to the"
        " checkpoint.",
        load="""module.load_state_dict(state["module"])
        generator.set_state(state["generator"])
        losses = list(state["losses"])""",
    ),
    _program(
        "the weights are not restored",
        0.7,
        "After the restart the weights are those of the beginning.",
        load="""optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
        losses = list(state["losses"])""",
    ),
    _program(
        "a step is left out",
        0.7,
        "After the restart one step is left out: `step` of a checkpoint is how many are done.",
        begin="begin + (found is not None)",
    ),
    _program(
        "the last step once more",
        0.7,
        "After the restart the last step is made a second time: `step` of a checkpoint is how many"
        " are done.",
        begin="max(begin - 1, 0)",
    ),
    _programs(
        "never resumed",
        0.7,
        "It begins from the start again",
        resume="None",
    ),
    _programs("never saved", 0.7, "It begins from the start again", when="False"),
    _programs(
        "saved one step too early",
        0.7,
        "a second time",
        number="step",
    ),
    _programs(
        "saved after the first",
        0.7,
        "It begins from the start again",
        when="step == 0 and job.every == 1",
    ),
    _programs(
        "losses lost",
        1.35,
        "the losses before the restart",
        load="""module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])""",
    ),
    _programs(
        "only its own group",
        1.05,
        "Not all ranks make the same groups",
        make="group = dist.new_group(place['data'])",
    ),
    _programs(
        "its own group first",
        1.05,
        "Not all ranks make the same groups",
        make="""group = dist.new_group(place["data"])
    every = [groups(r, ranks, job.data, job.pipeline)["data"] for r in range(ranks)]
    made = {tuple(m): dist.new_group(m) for m in every if m != place["data"]}""",
    ),
    _programs(
        "the pipeline's group",
        0,
        "another group",
        make="""every = [groups(r, ranks, job.data, job.pipeline)["pipeline"] for r in range(ranks)]
    made = [dist.new_group(members) for members in every]
    group = made[rank]""",
    ),
    _programs(
        "a group for each rank",
        0,
        "each call of new_group makes another group",
        make="""every = [groups(r, ranks, job.data, job.pipeline)["data"] for r in range(ranks)]
    made = [dist.new_group(members) for members in every]
    group = made[rank]""",
    ),
    _programs("the first stage everywhere", 0, "another stage than its place", stage="0"),
    _programs("nothing returned", 0, "a list of losses and a list of weights", result="None"),
]

_AT_ONCE = _step(
    "",
    0,
    "",
    loss="loss(m, y) / len(inputs) / replicas",
    divide="pass",
    value="mean.item()",
)
_TRAIN += [  # what is left in .grad is divided once more, or not
    replace(row, name=f"{row.name}, the loss divided at once", code=_AT_ONCE.code + row.code)
    for row in _TRAIN
    if row.name == "gradients not cleared"
]

_cost, _costs = variants(
    "predict_step",
    """
def predict_step(model, layout, machine):
    d, p, m = layout["data"], layout["pipeline"], layout["microbatches"]
    layers, samples = {layers}, {samples}
    forward = layers * model["flops"] * samples / machine["flops"]
    activation = 4 * model["activation"] * samples
    weights = layers * model["weights"]
    sent = lambda nbytes: {sent}
    time = {{
        "compute": {compute},
        "bubble": {bubble},
        "messages": {messages},
        "gradients": {gradients},
    }}
    return {{**time, "seconds": {seconds}, "memory": {memory}}}
""",
    layers='math.ceil(model["layers"] / p)',
    samples='model["batch"] / (d * m)',
    sent='machine["latency"] + nbytes / machine["bandwidth"]',
    compute="m * 3 * forward",
    bubble="(p - 1) * 3 * forward",
    messages="2 * (p - 1) * sent(activation)",
    gradients="2 * (d - 1) * sent(4 * weights / d)",
    memory="16 * weights + m * layers * activation",
    seconds="sum(time.values())",
)
_PREDICT = [
    _cost(
        "forward only",
        0.35,
        "Backward is missing: it takes twice as long as forward.",
        compute="m * forward",
        bubble="(p - 1) * forward",
    ),
    _cost(
        "backward as long as forward",
        0.35,
        "Backward takes twice as long as forward: three forwards in all.",
        compute="m * 2 * forward",
        bubble="(p - 1) * 2 * forward",
    ),
    _cost(
        "mean stage",
        0.5,
        "The stages are not equally long: the longest sets the pace, and its rank needs the most memory.",
        layers='model["layers"] / p',
    ),
    _cost(
        "shortest stage",
        0.5,
        "That is the shortest stage: the longest sets the pace, and its rank needs the most memory.",
        layers='model["layers"] // p',
    ),
    _cost(
        "the whole network",
        0,
        "Each rank holds a stage of the network, not all of its layers.",
        layers='model["layers"]',
    ),
    _cost(
        "batch not shared out",
        0,
        "The replicas share the batch: of a micro-batch there are batch / (data · microbatches) samples.",
        samples='model["batch"] / m',
    ),
    _cost(
        "micro-batches not counted",
        0,
        "A micro-batch is a part of the replica's batch: batch / (data · microbatches) samples.",
        samples='model["batch"] / d',
    ),
    _cost(
        "p steps of bubble",
        0.35,
        "The row fills and drains in p − 1 steps, not p.",
        bubble="p * 3 * forward",
    ),
    _cost(
        "bubble as a share",
        0.35,
        "That is the bubble as a share; asked for are its seconds.",
        bubble="(p - 1) / (m + p - 1)",
    ),
    _cost(
        "no bubble",
        0.35,
        "The bubble is missing: (p − 1) times a micro-batch's forward and backward.",
        bubble="0.0",
    ),
    _cost(
        "messages one way",
        0.75,
        "A message goes forward over each link, and one comes back: 2 (p − 1) of them delay the end.",
        messages="(p - 1) * sent(activation)",
    ),
    _cost(
        "all messages",
        0.35,
        "All m messages are counted, but while one travels the ranks compute: only filling and"
        " draining the row wait for messages.",
        messages="2 * m * (p - 1) * sent(activation)",
    ),
    _cost(
        "p links",
        0.75,
        "Between p stages there are p − 1 links.",
        messages="2 * p * sent(activation)",
    ),
    _cost(
        "numbers for bytes",
        0,
        "A float32 number has 4 bytes: what is sent and kept is counted in bytes.",
        messages="2 * (p - 1) * sent(activation / 4)",
        gradients="2 * (d - 1) * sent(weights / d)",
        memory="4 * weights + m * layers * activation / 4",
    ),
    _cost(
        "no latency",
        0.75,
        "The latency is missing: a message takes it however short it is.",
        sent='nbytes / machine["bandwidth"]',
    ),
    _cost(
        "latency only once",
        0.75,
        "Every one of the ring's 2 (d − 1) steps takes the latency.",
        gradients='machine["latency"] + 2 * (d - 1) * 4 * weights / d / machine["bandwidth"]',
    ),
    _cost(
        "whole gradients in each step",
        0.35,
        "In each step of a ring a chunk travels, 1/d of the gradients.",
        gradients="2 * (d - 1) * sent(4 * weights)",
    ),
    _cost(
        "half a ring",
        0.35,
        "A ring takes d − 1 steps to add up and d − 1 to pass on.",
        gradients="(d - 1) * sent(4 * weights / d)",
    ),
    _cost(
        "ring of d",
        0.75,
        "A ring of d ranks takes 2 (d − 1) steps, not 2 d.",
        gradients="2 * d * sent(4 * weights / d)",
    ),
    _cost(
        "gradients of all layers",
        0.35,
        "Each data group sums the gradients of its own stage, at the same time as the others.",
        gradients='2 * (d - 1) * sent(4 * model["weights"] * model["layers"] / d)',
    ),
    _cost(
        "numbers travel",
        0.75,
        "A message's activation has 4 bytes for each number.",
        messages="2 * (p - 1) * sent(activation / 4)",
    ),
    _cost(
        "messages without latency",
        0.75,
        "The latency of the messages is missing.",
        messages='2 * (p - 1) * activation / machine["bandwidth"]',
    ),
    _cost(
        "gradients in numbers",
        0.35,
        "A gradient has 4 bytes for each number.",
        gradients="2 * (d - 1) * sent(weights / d)",
    ),
    _cost(
        "stash in numbers",
        0.9,
        "The activations that are kept have 4 bytes for each number.",
        memory="16 * weights + m * layers * activation / 4",
    ),
    _cost(
        "weights of the whole model",
        0.9,
        "A rank keeps the weights of its own stage only, and what belongs to them.",
        memory='16 * model["layers"] * model["weights"] + m * layers * activation',
    ),
    _costs(
        "the longest term",
        0.85,
        "not the sum of the four terms",
        seconds="max(time.values())",
    ),
    _cost(
        "weights alone",
        0.9,
        "Besides the weights there are their gradients and Adam's two numbers: 16 bytes for each.",
        memory="4 * weights + m * layers * activation",
    ),
    _cost(
        "one micro-batch kept",
        0.9,
        "GPipe keeps the activations of all m micro-batches until their backwards.",
        memory="16 * weights + layers * activation",
    ),
    _cost(
        "one layer's activations",
        0.9,
        "Each layer of the stage keeps its activation for the backward.",
        memory="16 * weights + m * activation",
    ),
    _cost(
        "no activations",
        0.9,
        "The activations that wait for their backwards are missing.",
        memory="16 * weights",
    ),
]

_best, _bests = variants(
    "best_layout",
    """
def best_layout(model, machine, gpus, predict):
    found = []
    for p in range(1, gpus + 1):
        d = gpus // p
        if {fits}:
            continue
        for m in {counts}:
            if model["batch"] % (d * m) == 0:
                layout = {{"data": d, "pipeline": p, "microbatches": m}}
                cost = predict({asked})
                if {memory}:
                    found.append((*({key}), len(found), layout))
    {none}
    return {choice}[-1]
""",
    fits='gpus % p or p > model["layers"] or model["batch"] % d',
    counts='range(1, model["batch"] // d + 1)',
    asked="model, layout, machine",
    memory='cost["memory"] <= machine["memory"]',
    key='cost["seconds"], cost["memory"]',
    none='if not found: raise ValueError(f"No layout of {gpus} GPUs fits.")',
    choice="min(found)",
)
_BEST = [
    _best(
        "memory ignored",
        0.35,
        "That is the fastest of all; it does not fit into the machine's memory.",
        memory="True",
    ),
    _best(
        "least memory",
        0.15,
        "That is the layout that needs the least memory; asked for is the fastest that fits.",
        key='cost["memory"], cost["seconds"]',
    ),
    _best(
        "slowest",
        0.15,
        "That is the slowest that fits.",
        choice="max(found)",
    ),
    _best(
        "the first that fits",
        0.15,
        "That is the first that fits, not the fastest.",
        choice="min(found, key=lambda one: one[2])",
    ),
    _best(
        "one micro-batch",
        0.15,
        "Only one number of micro-batches was tried: every m that cuts a replica's batch evenly"
        " counts.",
        counts="range(1, 2)",
    ),
    _best(
        "break at the first m that does not divide",
        0.15,
        "After the first m that does not divide the batch the larger ones are not tried: `continue`,"
        " not `break`.",
        counts="range(1, next(m for m in range(1, 99) if model['batch'] % (d * m)))",
    ),
    _best(
        "powers of two",
        0.15,
        "Not every number of micro-batches was tried: every m that cuts a replica's batch evenly"
        " counts, also 3, and up to one sample each.",
        counts='[2**k for k in range(20) if 2**k <= model["batch"] // d]',
    ),
    _best(
        "micro-batches up to the stages",
        0.15,
        "Not every number of micro-batches was tried: every m that cuts a replica's batch evenly"
        " counts, also 3, and up to one sample each.",
        counts="range(1, p + 1)",
    ),
    _best(
        "not the largest m",
        0.15,
        "Not every number of micro-batches was tried: every m that cuts a replica's batch evenly"
        " counts, also 3, and up to one sample each.",
        counts='range(1, model["batch"] // d)',
    ),
    _best(
        "one micro-batch left out",
        0.15,
        "A replica's part of the batch may stay in one piece: m = 1 counts, too.",
        counts='range(2, model["batch"] // d + 1)',
    ),
    _best(
        "fewer stages than layers",
        0.55,
        "A stage may be a single layer: as many stages as layers still count.",
        fits='gpus % p or p >= model["layers"] or model["batch"] % d',
    ),
    _best(
        "data parallel only",
        0.15,
        "Only data parallelism was tried: all data · pipeline = gpus count.",
        fits="p > 1",
    ),
    _best(
        "pipeline only",
        0.55,
        "Only pipelines were tried: data = gpus, pipeline = 1 counts, too.",
        fits='gpus % p or p > model["layers"] or model["batch"] % d or p == 1',
    ),
    _best(
        "fits only with room to spare",
        0.8,
        "A layout that fills the memory exactly still fits.",
        memory='cost["memory"] < machine["memory"]',
    ),
    _best(
        "the first of equals",
        0.8,
        "Of layouts that are equally fast the one that needs less memory is asked for.",
        key='cost["seconds"], 0',
    ),
    _bests(
        "more stages than layers",
        0.15,
        "more stages than layers",
        fits='gpus % p or model["batch"] % d',
    ),
    _bests(
        "not all GPUs",
        0.15,
        "data · pipeline is not the number of GPUs",
        fits='p > model["layers"] or model["batch"] % d',
    ),
    _bests("model and machine exchanged", 0.15, "in this order", asked="machine, layout, model"),
    Mistake(
        "best_layout",
        "its own predict_step",
        0.15,
        "Ask the `predict` that is given",
        """
def best_layout(model, machine, gpus, predict):
    found = []
    for d, p, m in ((gpus, 1, 1), (1, gpus, 1)):
        layout = {"data": d, "pipeline": p, "microbatches": m}
        cost = predict_step(model, layout, machine)
        if cost["memory"] <= machine["memory"]:
            found.append((cost["seconds"], cost["memory"], p, layout))
    if not found:
        raise ValueError(f"No layout of {gpus} GPUs fits.")
    return min(found)[-1]
""",
    ),
    _bests("nothing fits", 0.8, "raised ValueError", none="pass", choice="min(found)"),
    _bests(
        "None if nothing fits",
        0.8,
        "Where no layout fits",
        none="if not found: return None",
    ),
    Mistake("best_layout", "compute", 0.85, "as long for every layout", 'what_grows = "compute"'),
    Mistake("best_layout", "bubble", 0.85, "has no bubble", 'what_grows = "bubble"'),
    Mistake("best_layout", "messages", 0.85, "sends no activation", 'what_grows = "messages"'),
]

_table, _tables = variants(
    "report",
    """
def report(records, layouts):
    machines = {{record["machine"] for record in records}}
    {machines}
    of = {{}}
    for record in records:
        if {done}:
            {choice}
    alone = of.get((1, 1))
    rows = []
    for layout in {order}:
        if tuple(layout) in of:
            record = of[tuple(layout)]
            seconds = {seconds}
            rows.append({{"run": record["run"], "layout": tuple(layout), "seconds": seconds,
                "loss": {loss}, "speed_up": {speed}}})
    return {{"machine": machines.pop(), "date": {date}, "rows": rows, "missing": {missing}}}
""",
    machines='if len(machines) != 1: raise ValueError(f"Runs of {len(machines)} machines.")',
    done='len(record["losses"]) == record["steps"]',
    choice='of[record["data"], record["pipeline"]] = record',
    order="layouts",
    seconds='record["seconds"] / record["steps"]',
    loss='record["losses"][-1]',
    speed='alone["seconds"] / alone["steps"] / seconds if alone else None',
    date='max(record["date"] for record in records)',
    missing="[tuple(one) for one in layouts if tuple(one) not in of]",
)
_REPORT = [
    _table(
        "one unfinished run, and the layout is out",
        0.3,
        "A layout is left out because one of its runs is unfinished: that run does not count, and the"
        " finished ones do.",
        choice="""of[record["data"], record["pipeline"]] = record
        else:
            of.pop((record["data"], record["pipeline"]), None)""",
    ),
    _table(
        "against the first layout",
        0.3,
        "The speed-up is that against the first of `layouts`; asked for is that against (1, 1).",
        speed='(lambda r: r["seconds"] / r["steps"] / seconds)(of[tuple(layouts[0])])'
        " if tuple(layouts[0]) in of else None",
    ),
    _table(
        "seconds of the run",
        0.3,
        "Those are the seconds of the whole run; asked for are those of one step.",
        seconds='record["seconds"]',
        speed='alone["seconds"] / seconds if alone else None',
    ),
    _table(
        "the first run",
        0.3,
        "Of several runs with one layout the last one counts.",
        choice='of.setdefault((record["data"], record["pipeline"]), record)',
    ),
    _table(
        "the fastest run",
        0.3,
        "Of several runs with one layout the last one counts, not the fastest: the best of many tries"
        " is no measurement.",
        choice="""key = record["data"], record["pipeline"]
            of[key] = min(of.get(key, record), record, key=lambda one: one["seconds"])""",
    ),
    _table(
        "layouts turned round",
        0,
        "data and pipeline are exchanged: a layout is (data, pipeline).",
        choice='of[record["pipeline"], record["data"]] = record',
    ),
    _table(
        "unfinished runs count",
        0.3,
        "A run that did not come to its end counts: it has fewer losses than steps.",
        done="True",
    ),
    _table(
        "mean loss",
        0.3,
        "That is the mean of the losses; asked for is the last one.",
        loss='sum(record["losses"]) / len(record["losses"])',
    ),
    _table(
        "first loss",
        0.3,
        "That is the first loss; asked for is the last one.",
        loss='record["losses"][0]',
    ),
    _table(
        "rows that nobody asked for",
        0.3,
        "There are rows for the layouts that are asked for, and for no others.",
        order="[*layouts, *(one for one in of if one not in layouts)]",
    ),
    _table(
        "newest date of the rows",
        0.6,
        "The newest date of all records is asked for, also of those that are in no row.",
        date='max(record["date"] for record in of.values())',
    ),
    Mistake(
        "report",
        "None for a row",
        0.6,
        "has no row",
        """
_rightly = report
def report(records, layouts):
    found = _rightly(records, layouts)
    found["rows"] += [None] * len(found["missing"])
    return found
""",
    ),
    _table(
        "smallest loss",
        0.3,
        "That is the smallest loss; asked for is the last one.",
        loss='min(record["losses"])',
    ),
    _table(
        "speed-up upside down",
        0.3,
        "The speed-up is upside down: one process's seconds by this layout's.",
        speed='seconds / (alone["seconds"] / alone["steps"]) if alone else None',
    ),
    _table(
        "speed-up of whole runs",
        0.3,
        "The speed-up compares seconds of a step: runs may have different numbers of steps.",
        speed='alone["seconds"] / record["seconds"] if alone else None',
    ),
    _table(
        "speed-up by ranks",
        0.3,
        "That is divided by the number of ranks, the efficiency; asked for is the speed-up.",
        speed='alone["seconds"] / alone["steps"] / seconds / record["data"] / record["pipeline"]'
        " if alone else None",
    ),
    _table(
        "first date",
        0.6,
        "That is the date of the first run; asked for is that of the newest one.",
        date='min(record["date"] for record in records)',
    ),
    _table(
        "the last line's date",
        0.6,
        "That is the date of the last line; lines need not be in order of time.",
        date='records[-1]["date"]',
    ),
    _table(
        "nothing is missing",
        0.6,
        "A layout without a finished run is missing from the report, and the report has to say so.",
        missing="[]",
    ),
    _tables(
        "machines mixed",
        0.6,
        "does not refuse",
        machines="pass",
    ),
    _tables(
        "no run of one process", 0.6, "raised", speed='alone["seconds"] / alone["steps"] / seconds'
    ),
    _tables("in order of the runs", 0.3, "", order="of"),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_GROUPS, *_STEP, *_CHECKPOINT, *_TRAIN, *_PREDICT, *_BEST, *_REPORT],
)
