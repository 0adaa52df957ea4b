"""Lab 06: the right answers, by the lab's own names, and the known wrong ones."""

import sys
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grading.checks.mistakes import Known, Mistake, Table, variants
from utils.spec import Section

LAYERS: dict[str, dict[str, Any]] = {
    "conv": {"channels": int, "kernel": int, "stride": 1, "padding": 0, "bias": True},
    "batch_norm": {},
    "relu": {},
    "max_pool": {"kernel": int},
    "flatten": {},
    "linear": {"units": int},
}
SOLVERS: dict[str, Any] = {
    "optimizer": "sgd",
    "base_lr": float,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "lr_policy": "fixed",
    "warm_up": 0.25,
    "epochs": int,
    "batch_size": 64,
    "seed": 0,
}


def options(section: Section, known: dict[str, Any]) -> dict[str, Any]:
    for key in section:
        if key not in known:
            raise section.error(key, "there is no such key")
    chosen = {}
    for key, usual in known.items():
        kind = usual if isinstance(usual, type) else type(usual)
        if key not in section and isinstance(usual, type):
            raise section.error(key, "it is missing")
        chosen[key] = section.get(key, usual)
        if type(chosen[key]) not in ((int, float) if kind is float else (kind,)):
            raise section.error(key, f"it should be of type {kind.__name__}")
    return chosen


def make_layer(o: dict[str, Any], shape: tuple[int, ...]) -> nn.Module:
    """The lab's own, given to the learner."""
    match o["type"]:
        case "conv":
            form = o["channels"], o["kernel"], o["stride"], o["padding"]
            return nn.Conv2d(shape[0], *form, bias=o["bias"])
        case "batch_norm":
            return nn.BatchNorm2d(shape[0])
        case "max_pool":
            return nn.MaxPool2d(o["kernel"])
        case "linear":
            return nn.Linear(shape[0], o["units"])
    return {"relu": nn.ReLU, "flatten": nn.Flatten}[o["type"]]()


def build_network(network: Section) -> nn.Sequential:
    shape, layers = tuple(network["input"]), OrderedDict()
    for section in network["layers"]:
        kind = section["type"]
        if kind not in LAYERS:
            raise section.error("type", "there is no such layer")
        o = options(section, {"name": str, "type": str, **LAYERS[kind]})
        if o["name"] in layers:
            raise section.error("name", "a layer above has it")
        layer = make_layer(o, shape)
        try:
            shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])
        except (RuntimeError, ValueError):
            raise section.error("type", "it does not fit") from None
        layers[o["name"]] = layer.train()
    return nn.Sequential(layers)


def build_solver(solver: Section, model: nn.Module) -> dict[str, Any]:
    o = options(solver, SOLVERS)
    common = {"lr": o["base_lr"], "weight_decay": o["weight_decay"]}
    if o["optimizer"] == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), momentum=o["momentum"], **common)
    elif o["optimizer"] == "adamw":
        optimizer = torch.optim.AdamW(model.parameters(), **common)
    else:
        raise solver.error("optimizer", "it should be sgd or adamw")
    if o["lr_policy"] not in ("fixed", "one_cycle"):
        raise solver.error("lr_policy", "it should be fixed or one_cycle")

    def schedule(step: int, steps: int) -> float:
        if o["lr_policy"] == "fixed":
            return 1.0
        t, w = (step + 1) / (steps + 1), o["warm_up"]
        return t / w if t < w else (1 - t) / (1 - w)

    kept = {key: o[key] for key in ("epochs", "batch_size", "seed")}
    return {"optimizer": optimizer, "schedule": schedule, **kept}


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mean, var = running_mean, running_var
    if training:
        mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)
        unbiased = x.var(dim=(0, 2, 3)).detach()
        running_mean = (1 - momentum) * running_mean + momentum * mean.detach()
        running_var = (1 - momentum) * running_var + momentum * unbiased
    mean, scale, bias = (
        one.reshape(1, -1, 1, 1) for one in (mean, weight / torch.sqrt(var + eps), bias)
    )
    return (x - mean) * scale + bias, running_mean, running_var


def augment(x: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    n, _, height, width = x.shape
    padded = F.pad(x, (padding,) * 4)
    tops, lefts = torch.randint(0, 2 * padding + 1, (2, n), generator=generator).tolist()
    cropped = torch.stack(
        [
            one[:, top : top + height, left : left + width]
            for one, top, left in zip(padded, tops, lefts, strict=True)
        ]
    )
    flipped = (torch.rand(n, generator=generator) < 0.5).reshape(n, 1, 1, 1)
    return torch.where(flipped, cropped.flip(3), cropped)


def windows(x: Tensor, padding: int) -> dict[tuple[int, int, bool], Tensor]:
    """Every way to crop the padded images, by (top, left, flipped)."""
    height, width = x.shape[2:]
    padded, ways = F.pad(x, (padding,) * 4), {}
    for top, left in np.ndindex(2 * padding + 1, 2 * padding + 1):
        crop = padded[:, :, top : top + height, left : left + width]
        ways[top, left, False], ways[top, left, True] = crop, crop.flip(3)
    return ways


conv_parameters = 96 * 128 * 9 + 128
fire_parameters = (96 * 16 + 16) + (16 * 64 + 64) + (16 * 64 * 9 + 64)
fc6_parameters = 9216 * 4096 + 4096
without_linear = 61_100_840 / 2_469_696


class Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int, ones: int, threes: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, ones, 1)
        self.expand3x3 = nn.Conv2d(squeezed, threes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat((F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))), dim=1)


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


# What people get wrong about options

_options, _options_otherwise = variants(
    "options",
    """
def options(section, known):
    for key in section:
        {unknown}
    chosen = {{}}
    for key, usual in known.items():
        kind = usual if isinstance(usual, type) else type(usual)
        {missing}
        value = {value}
        {typed}
        chosen[key] = value
    return {result}
""",
    unknown="""if key not in known:
            raise section.error(key, "unknown")""",
    missing="""if key not in section and isinstance(usual, type):
            raise section.error(key, "missing")""",
    value="section.get(key, usual)",
    typed="""if type(value) not in ((int, float) if kind is float else (kind,)):
            raise section.error(key, "of a wrong type")""",
    result="chosen",
)


def _typed(kinds: str, error: str = "section.error(key, 'of a wrong type')") -> str:
    return f"if not isinstance(value, {kinds}):\n            raise {error}"


_KINDS = "(int, float) if kind is float else kind"
CHANGED = (
    "The call changes its section or its table, and both are read again: fill a dict of your own."
)
BOOL = "In Python True is an int, too: isinstance takes it for one, and `type(value)` does not."
_OPTIONS = [
    _options(
        "returned in the loop",
        0.25,
        "Only the table's first key is there: does return stand inside the loop?",
        typed="chosen[key] = value\n        return chosen",
    ),
    _options_otherwise(
        "the default for its type",
        0.25,
        "This section has no fault",
        typed="""if type(value) is not (usual if isinstance(usual, type) else value is usual):
            raise section.error(key, "of a wrong type")""",
    ),
    _options_otherwise(
        "an error of one piece",
        0.65,
        "takes two: the key",
        missing="""if key not in section and isinstance(usual, type):
            raise section.error("missing")""",
    ),
    _options(
        "defaults not filled in",
        0.45,
        "The defaults of what is not given are missing.",
        result="{key: chosen[key] for key in section}",
    ),
    _options(
        "falsy replaced",
        0.25,
        "What is given as false, 0 or empty is replaced by the default: ask whether the key is"
        " there, not whether its value is true.",
        value="section.get(key) or usual",
        typed="",
    ),
    _options(
        "default wins",
        0.25,
        "The default wins over what is given: it is for what is not.",
        value="section.get(key, usual) if isinstance(usual, type) else usual",
    ),
    _options_otherwise(
        "null for missing",
        0.55,
        "given as null is given",
        value="section[key] if section.get(key) is not None else usual",
    ),
    _options_otherwise(
        "the key's value named",
        0.55,
        "first argument of section.error",
        typed=_typed(_KINDS, "section.error('type', 'of a wrong type')"),
    ),
    _options_otherwise("table wins", 0.25, "the table's own entry", result="{**chosen, **known}"),
    _options_otherwise("into the table", 0.65, CHANGED, result="known.update(chosen) or known"),
    _options_otherwise(
        "into the section", 0.65, CHANGED, result="section.update(chosen) or dict(section)"
    ),
    _options_otherwise("unknown ignored", 0.6, "ignored in silence", unknown="pass"),
    _options_otherwise(
        "missing not seen",
        0.65,
        "there is no default to fill in",
        missing="""
        if key not in section and isinstance(usual, type):
            continue""",
    ),
    _options_otherwise(
        "int alone is a type",
        0.65,
        "there is no default to fill in",
        missing="""if key not in section and usual is int:
            raise section.error(key, "missing")""",
        typed="""if key in section and type(value) not in ((int, float) if kind is float else (kind,)):
            raise section.error(key, "of a wrong type")""",
    ),
    _options_otherwise("types not looked at", 0.55, "Compare the value's type", typed=""),
    _options_otherwise("true for 1", 0.55, BOOL, typed=_typed(_KINDS)),
    _options_otherwise(
        "a line too early",
        0.55,
        "Lines count from 1",
        typed=_typed(
            _KINDS, "ValueError(f'{section.file}, line {section.lines[key] - 1}, {key}: wrong')"
        ),
    ),
    _options_otherwise(
        "the section's line",
        0.55,
        "another section",
        typed=_typed(
            _KINDS, "ValueError(f'{section.file}, line {section.line - 2}, {key}: wrong')"
        ),
    ),
    _options_otherwise(
        "no line",
        0.55,
        "look first or catch it",
        typed=_typed(_KINDS, "ValueError(f'{key} is wrong')"),
    ),
    _options_otherwise(
        "every key named",
        0.6,
        "not about the key at fault",
        unknown="""if key not in known:
            raise section.error(", ".join(section), "one of them is unknown")""",
    ),
    _options_otherwise(
        "a default of 0 is none",
        0.45,
        "whatever its default",
        unknown="""if not known.get(key):
            raise section.error(key, "unknown")""",
    ),
    _options_otherwise(
        "any number",
        0.55,
        "Compare the value's type",
        typed=_typed("(int, float) if kind in (int, float) else kind"),
    ),
    _options_otherwise(
        "made, not raised",
        0.6,
        "`raise` raises it",
        unknown="""if key not in known:
            section.error(key, "unknown")""",
    ),
    _options_otherwise(
        "returned, not raised",
        0.6,
        "raise what it returns",
        unknown="""if key not in known:
            return section.error(key, "unknown")""",
    ),
    _options_otherwise("int for float refused", 0.55, "an int will do", typed=_typed("kind")),
    _options_otherwise(
        "int for a default of float refused",
        0.55,
        "an int will do",
        typed=_typed("(int, float) if usual is float else kind"),
    ),
    _options_otherwise(
        "defaults' types not looked at",
        0.55,
        "or a default's type",
        typed=_typed(f"{_KINDS} if isinstance(usual, type) else object"),
    ),
]

# … about the network

_network = variants(
    "build_network",
    """
def build_network(network):
    from collections import OrderedDict

    shape, layers = tuple(network["input"]), OrderedDict()
    for section in network["layers"]:
        kind = {kind}
        {unknown}
        o = {options}
        {taken}
        layer = make_layer(o, shape)
        {through}
        {keep}
    return {result}
""",
    kind="section.get('type')",
    unknown="""if kind not in LAYERS:
            raise section.error("type", "unknown")""",
    options="""options(section, {"name": str, "type": str, **LAYERS[kind]})""",
    taken="""if o["name"] in layers:
            raise section.error("name", "taken")""",
    through="""try:
            shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:])
        except (RuntimeError, ValueError):
            raise section.error("type", "does not fit")
        layer.train()""",
    keep="layers[o['name']] = layer",
    result="nn.Sequential(layers)",
)[1]
_THROUGH = """try:
            shape = tuple({}.shape[1:])
        except (RuntimeError, ValueError):
            raise section.error("type", "does not fit")
        {}"""
_NETWORK = [
    _network("names for layers", 0.25, "without the star", result="nn.Sequential(*layers)"),
    _network(
        "an image without a batch",
        0,
        "a batch of one",
        through=_THROUGH.format("layer.eval()(torch.zeros(shape))", "layer.train()"),
    ),
    _network(
        "LAYERS changed",
        0.9,
        "not into LAYERS itself",
        options="options(section, LAYERS[kind]) if not LAYERS[kind].update(name=str, type=str)"
        " else {}",
        result="nn.Sequential(layers)\n\n"
        "LAYERS = {kind: dict(table) for kind, table in LAYERS.items()}",
    ),
    _network(
        "LAYERS changed, from the first",
        0.9,
        "It did so before this call",
        result="nn.Sequential(layers)\n\n"
        "LAYERS = {kind: {**table, 'name': str} for kind, table in LAYERS.items()}",
    ),
    _network(
        "LAYERS changed earlier",
        0,
        "from an earlier try",
        options="{**section, **options(without(section), LAYERS[kind])}",
        result="nn.Sequential(layers)\n\n"
        "def without(section):\n"
        "    rest = copy.copy(section)\n"
        "    del rest['name'], rest['type']\n"
        "    return rest\n\n"
        "LAYERS = {kind: {'name': str, **table} for kind, table in LAYERS.items()}",
    ),
    _network(
        "numbered", 0.5, "an OrderedDict of them by name", result="nn.Sequential(*layers.values())"
    ),
    _network(
        "in training mode",
        0.85,
        "and it learnt from it",
        through=_THROUGH.format("layer(torch.randn(2, *shape))", ""),
    ),
    _network(
        "left in evaluation mode", 0.85, "takes a layer back", result="nn.Sequential(layers).eval()"
    ),
    _network(
        "norms left in evaluation mode",
        0.85,
        "takes a layer back",
        through=_THROUGH.format("layer.eval()(torch.zeros(1, *shape))", ""),
    ),
    _network("shape not carried", 0.15, "Carry the shape along", through=""),
    _network(
        "options not read",
        0.1,
        "does every option arrive",
        options="{**LAYERS[kind], **section, 'stride': 1}",
    ),
    _network(
        "unknown type left out",
        0.85,
        "Nothing was said about the last layer",
        unknown="if kind not in LAYERS: continue",
    ),
    _network("name taken twice", 0.85, "A name comes twice", taken=""),
    _network(
        "returned in the loop",
        0,
        "inside the loop",
        keep="return nn.Sequential(layers | {o['name']: layer})",
    ),
    _network("KeyError", 0.85, "own kind: look first", unknown=""),
    _network(
        "error on the whole",
        0.85,
        "another section",
        unknown="""if kind not in LAYERS:
            raise network.error("type", "unknown type")""",
    ),
    _network(
        "does not fit",
        0.9,
        "own kind: look first",
        through="shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape[1:]); layer.train()",
    ),
    _network(
        "only RuntimeError",
        0.9,
        "look first or catch it",
        through=_THROUGH.format("layer.eval()(torch.zeros(1, *shape))", "layer.train()").replace(
            "(RuntimeError, ValueError)", "RuntimeError"
        ),
    ),
    _network(
        "only the type's keys",
        0,
        "the table that options gets",
        options="options(section, LAYERS[kind])",
    ),
    _network(
        "only the type's keys, then the type",
        0,
        "the table that options gets",
        options="""{**options(section, LAYERS[kind]), "type": kind, "name": section["name"]}""",
    ),
    _network(
        "a plain dict",
        0.85,
        "A plain dict has no `error`",
        options="""{"type": kind, "name": section["name"], **options(
            {k: v for k, v in section.items() if k not in ("name", "type")}, LAYERS[kind])}""",
    ),
    _network(
        "error about the type's word",
        0.85,
        "first argument of section.error",
        unknown="""if kind not in LAYERS:
            raise section.error(kind, "unknown")""",
    ),
    _network(
        "shape with the batch",
        0,
        "This text has no fault",
        through="""try:
            shape = tuple(layer.eval()(torch.zeros(1, *shape)).shape)
        except (RuntimeError, ValueError):
            raise section.error("type", "does not fit")
        layer.train()""",
    ),
    _network(
        "past options",
        0.85,
        "Let options read every layer",
        options="{**LAYERS[kind], **section}",
    ),
    _network(
        "name popped",
        0.9,
        "Built again from the same section",
        keep="layers[section.pop('name')] = layer",
    ),
    _network(
        "layers popped",
        0.9,
        "Built again from the same section",
        keep="layers[o['name']] = layer\n    network['layers'] = []",
    ),
    _network("no network", 0.25, "return nn.Sequential(layers)", result="nn.ModuleDict(layers)"),
    _network("a dict", 0.25, "return nn.Sequential(layers)", result="layers"),
    _network(
        "norms left out",
        0.25,
        "A layer is missing",
        keep="if kind != 'batch_norm': layers[o['name']] = layer",
    ),
    _network(
        "one layer too many",
        0.5,
        "A layer is missing",
        result="nn.Sequential(OrderedDict([*layers.items(), ('end', nn.Identity())]))",
    ),
]

# … about the solver

_solver, _solver_otherwise = variants(
    "build_solver",
    """
def build_solver(solver, model):
    o = {read}
    common = {common}
    if o["optimizer"] == "sgd":
        optimizer = {sgd}
    elif {adamw_if}:
        optimizer = {adamw}
    else:
        raise solver.error("optimizer", "sgd or adamw")
    {policy}

    def schedule(step, steps):
        if o["lr_policy"] == "fixed":
            return {fixed}
        t, w = {t}, {w}
        return {rate} * ({rise} if t < w else {fall})

    return {{"optimizer": optimizer, "schedule": schedule, {rest}}}
""",
    read="options(solver, SOLVERS)",
    common="""{"lr": o["base_lr"], "weight_decay": o["weight_decay"]}""",
    sgd="torch.optim.SGD(model.parameters(), momentum=o['momentum'], **common)",
    adamw_if="o['optimizer'] == 'adamw'",
    adamw="torch.optim.AdamW(model.parameters(), **common)",
    policy="""if o["lr_policy"] not in ("fixed", "one_cycle"):
        raise solver.error("lr_policy", "fixed or one_cycle")""",
    fixed="1.0",
    t="(step + 1) / (steps + 1)",
    w="o['warm_up']",
    rate="1.0",
    rise="t / w",
    fall="(1 - t) / (1 - w)",
    rest="**{key: o[key] for key in ('epochs', 'batch_size', 'seed')}",
)
_FACTOR = "A schedule gives a factor; the optimizer has the base rate already."
_SOLVER = [
    _solver(
        "policies exchanged",
        0.4,
        "For `fixed` the factor is always 1: are the two policies exchanged, or is a return missing"
        " there?",
        policy="o['lr_policy'] = {'fixed': 'one_cycle', 'one_cycle': 'fixed'}[o['lr_policy']]"
        " if o['lr_policy'] in ('fixed', 'one_cycle') else o['lr_policy']",
    ),
    _solver(
        "epochs for steps",
        0.5,
        "The time is counted against the epochs: t = (step + 1)/(steps + 1).",
        t="(step + 1) / (o['epochs'] + 1)",
    ),
    _solver(
        "whole division",
        0.5,
        "t is cut to a whole number: `/`, not `//`.",
        t="(step + 1) // (steps + 1)",
    ),
    _solver(
        "share times steps",
        0.5,
        "w is a share, as t is: neither is times steps.",
        w="o['warm_up'] * steps",
    ),
    _solver(
        "rises again",
        0.5,
        "After the warm-up it rises again: the line down is (1 − t)/(1 − w).",
        fall="(t - w) / (1 - w)",
    ),
    _solver_otherwise("options not asked", 0, "fills it in", read="solver"),
    _solver_otherwise(
        "parameters not called",
        0.1,
        "call it, model.parameters()",
        sgd="torch.optim.SGD(model.parameters, momentum=o['momentum'], **common)",
    ),
    _solver_otherwise(
        "policy asked in the schedule",
        0.65,
        "not from schedule",
        policy="",
        fixed="1.0\n        if o['lr_policy'] != 'one_cycle':\n"
        "            raise solver.error('lr_policy', 'fixed or one_cycle')",
    ),
    _solver(
        "weight decay dropped",
        0.45,
        "The weight decay is dropped.",
        common="{'lr': o['base_lr'], 'weight_decay': 0.0}",
    ),
    _solver(
        "momentum dropped",
        0.55,
        "The momentum is dropped.",
        sgd="torch.optim.SGD(model.parameters(), **common)",
    ),
    _solver(
        "momentum and decay dropped",
        0.55,
        "Momentum and weight decay are dropped.",
        sgd="torch.optim.SGD(model.parameters(), lr=o['base_lr'])",
    ),
    _solver(
        "momentum by default",
        0.55,
        "The momentum is the table's default, not the declared one.",
        sgd="torch.optim.SGD(model.parameters(), momentum=0.9, **common)",
    ),
    _solver(
        "rate by default",
        0.55,
        "The learning rate is another than base_lr.",
        sgd="torch.optim.SGD(model.parameters(), momentum=o['momentum'],"
        " weight_decay=o['weight_decay'])",
    ),
    _solver(
        "nesterov",
        0.55,
        "torch.optim.SGD takes the declared rate, momentum and weight decay, and nothing else:"
        " no Nesterov.",
        sgd="torch.optim.SGD(model.parameters(), momentum=o['momentum'], nesterov=True, **common)",
    ),
    _solver(
        "adam",
        0.65,
        "That is Adam: AdamW takes the decay from the weights themselves, not as gradient.",
        adamw="torch.optim.Adam(model.parameters(), **common)",
    ),
    _solver(
        "always sgd",
        0.65,
        "The optimizer is SGD whatever is declared.",
        adamw="torch.optim.SGD(model.parameters(), momentum=0.9, **common)",
    ),
    _solver(
        "AdamW's own decay",
        0.65,
        "The weight decay is AdamW's own default.",
        adamw="torch.optim.AdamW(model.parameters(), lr=o['base_lr'])",
    ),
    _solver(
        "AdamW's own rate",
        0.65,
        "The rate is AdamW's own default: base_lr is its lr.",
        adamw="torch.optim.AdamW(model.parameters(), weight_decay=o['weight_decay'])",
    ),
    _solver("rate for fixed", 0.5, _FACTOR, fixed="o['base_lr']", rate="o['base_lr']"),
    _solver("rate for one-cycle", 0.5, _FACTOR, rate="o['base_lr']"),
    _solver(
        "from zero",
        0.5,
        "The time begins at 0 and the first step is lost: t = (step + 1)/(steps + 1).",
        t="step / steps",
    ),
    _solver(
        "last step lost",
        0.5,
        "The last step is lost: t = (step + 1)/(steps + 1).",
        t="(step + 1) / steps",
    ),
    _solver(
        "first step lost",
        0.5,
        "The time begins at 0: t = (step + 1)/(steps + 1).",
        t="step / (steps + 1)",
    ),
    _solver(
        "both ends lost",
        0.5,
        "The last step is lost, and the first: t = (step + 1)/(steps + 1).",
        t="step / (steps - 1)",
    ),
    _solver(
        "rate while it rises",
        0.5,
        f"The rising line alone is multiplied by the rate. {_FACTOR}",
        rise="o['base_lr'] * t / w",
    ),
    _solver(
        "rate while it falls",
        0.5,
        f"The falling line alone is multiplied by the rate. {_FACTOR}",
        fall="o['base_lr'] * (1 - t) / (1 - w)",
    ),
    _solver("rises to w", 0.5, "It rises to w, and not to 1: divide t by w.", rise="t"),
    _solver(
        "falls by w",
        0.5,
        "The line down is divided by w: divided by 1 − w it begins at 1.",
        fall="(1 - t) / w",
    ),
    _solver(
        "as steep as t",
        0.5,
        "The line down does not reach 0: it is (1 − t)/(1 − w).",
        fall="1 - (t - w)",
    ),
    _solver("no fall", 0.5, "It rises and then stays: after the warm-up it falls to 0.", fall="1"),
    _solver(
        "no rise", 0.5, "It falls from the start: during the warm-up it rises.", w="0", rise="t"
    ),
    _solver(
        "falls from less",
        0.5,
        "After the warm-up it falls from less than 1: divide by 1 − w.",
        fall="1 - t",
    ),
    _solver("warm-up not used", 0.5, "The warm_up of the text is not used.", w="0.25"),
    _solver(
        "steps first",
        0.5,
        "The function takes step first, then steps.",
        t="(steps + 1) / (step + 1)",
    ),
    _solver(
        "lines exchanged",
        0.5,
        "During the warm-up it rises, after it it falls: the two lines are exchanged.",
        rise="(1 - t) / (1 - w)",
        fall="t / w",
    ),
    _solver_otherwise(
        "cosine", 0.5, "the line from 1 down", fall="0.5 + 0.5 * np.cos(np.pi * (t - w))"
    ),
    _solver_otherwise("policy not looked at", 0.65, "taken for one of them", policy=""),
    _solver_otherwise("adamw or anything", 0.65, "taken for one of them", adamw_if="True"),
    _solver(
        "one parameter",
        0.55,
        "Some parameters stay as they were: the optimizer needs all of the model's.",
        sgd="torch.optim.SGD([next(model.parameters())], momentum=o['momentum'], **common)",
    ),
    _solver(
        "weights only",
        0.55,
        "Some parameters stay as they were: the optimizer needs all of the model's.",
        sgd="torch.optim.SGD([p for p in model.parameters() if p.ndim > 1],"
        " momentum=o['momentum'], **common)",
    ),
    _solver(
        "momentum for AdamW",
        0.65,
        "AdamW takes no momentum: its own betas stay as they are.",
        adamw="torch.optim.AdamW(model.parameters(), betas=(o['momentum'], 0.999), **common)",
    ),
    _solver_otherwise(
        "PyTorch's scheduler",
        0.5,
        "It is a function of (step, steps)",
        rest="**{key: o[key] for key in ('epochs', 'batch_size', 'seed')},"
        " **{'schedule': torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)}",
    ),
    _solver_otherwise(
        "optimizer taken out of the section",
        0.65,
        "leave it whole",
        rest="**{key: o[key] for key in ('epochs', 'batch_size', 'seed')},"
        " **({} if solver.pop('optimizer', None) else {})",
    ),
    _solver_otherwise(
        "taken out of the section",
        0.65,
        "leave it whole",
        rest="**{key: o[key] for key in ('batch_size', 'seed')}, 'epochs': solver.pop('epochs')",
    ),
    _solver_otherwise(
        "no schedule for fixed",
        0.5,
        "for `fixed` as well",
        rest="**{key: o[key] for key in ('epochs', 'batch_size', 'seed')},"
        " **({'schedule': None} if o['lr_policy'] == 'fixed' else {})",
    ),
    _solver_otherwise(
        "past options",
        0.65,
        "Let options read the text",
        common="""{"lr": solver["base_lr"], "weight_decay": solver.get("weight_decay", 0.0)}
    o = {**SOLVERS, **solver}""",
        read="solver",
    ),
    _solver_otherwise(
        "everything",
        0.65,
        "the keys that the docstring lists",
        rest="'epochs': o['epochs'],"
        " 'batch_size': o['batch_size'], 'seed': o['seed'], 'warm_up': o['warm_up']",
    ),
    _solver_otherwise(
        "no seed",
        0.65,
        "exactly the keys",
        rest="'epochs': o['epochs'], 'batch_size': o['batch_size']",
    ),
]

# … about batch normalisation

_norm, _norm_otherwise = variants(
    "batch_norm",
    """
def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    axes = {axes}
    if {training}:
        with {grad}:
            mean, var = x.mean(axes, keepdim=True), {var}
        flat = x.mean((0, 2, 3)).detach(), x.var((0, 2, 3), correction={correction}).detach()
        {keep}
    else:
        mean, var = running_mean.reshape(1, -1, 1, 1), {running_var}.reshape(1, -1, 1, 1)
        {after}
    weight, bias = {pair}
    weight, bias = weight.reshape(1, -1, 1, 1), bias.reshape(1, -1, 1, 1)
    return {y}, {kept}
""",
    kept="running_mean, running_var",
    axes="(0, 2, 3)",
    training="training",
    grad="torch.enable_grad()",
    var="x.var(axes, correction=0, keepdim=True)",
    correction="1",
    keep="""running_mean = (1 - momentum) * running_mean + momentum * flat[0]
        running_var = (1 - momentum) * running_var + momentum * flat[1]""",
    running_var="running_var",
    after="",
    pair="weight, bias",
    y="weight * (x - mean) / torch.sqrt(var + eps) + bias",
)


def _mixed(mean: str, var: str) -> str:
    return f"running_mean = {mean}\n        running_var = {var}"


_MEAN = "(1 - momentum) * running_mean + momentum * flat[0]"
_VAR = "(1 - momentum) * running_var + momentum * flat[1]"
_ROUND = "The momentum is the wrong way round: it is the share of the new batch."
_REPLACED = "The old value is replaced by the batch's: momentum mixes the two."
_USED = (
    "The batch's statistics are used: in evaluation mode it is the running ones, or an image's"
    " result depends on which others came along."
)
_DETACHED = (
    "μ and σ² depend on x, so the gradient goes through them, too: no detach or no_grad there."
)
_LEARNT = "γ and β are learnt, by the gradients in weight and bias: no detach or no_grad there."
_NO_EPS = "ε is missing under the root."
_OUTSIDE = "ε is added to the root: it belongs under it."
_NORM = [
    _norm(
        "x.std",
        0.85,
        "x.std is of the variance divided by n − 1, and ε belongs under the root: torch.sqrt(var + eps).",
        y="weight * (x - mean) / (x.std(axes, keepdim=True) + eps) + bias",
    ),
    _norm(
        "one mean",
        0.85,
        "One mean is taken of all channels: each has its own.",
        y="weight * (x - x.mean()) / torch.sqrt(var + eps) + bias",
    ),
    _norm(
        "mean added",
        0.85,
        "The mean is added: it is subtracted.",
        y="weight * (x + mean) / torch.sqrt(var + eps) + bias",
    ),
    _norm(
        "ε kept",
        1.7,
        "ε is in the running variance, too: it belongs under the root alone.",
        keep=_mixed(_MEAN, "(1 - momentum) * running_var + momentum * (flat[1] + eps)"),
    ),
    _norm(
        "divided by γ",
        0.85,
        "It is divided by the weight γ: multiply.",
        y="(x - mean) / torch.sqrt(var + eps) / weight + bias",
    ),
    *(
        _norm(
            name,
            1.7,
            "The old value counts 1 − m, the batch's counts m, the momentum: a mean of the two.",
            keep=_mixed(*pair),
        )
        for name, pair in (
            ("old mean by momentum", ("momentum * running_mean + flat[0]", _VAR)),
            ("old var by momentum", (_MEAN, "momentum * running_var + flat[1]")),
            (
                "both by momentum",
                ("momentum * running_mean + flat[0]", "momentum * running_var + flat[1]"),
            ),
        )
    ),
    _norm(
        "mean not kept",
        1.7,
        "`running_mean` is not updated.",
        keep=_mixed("running_mean", _VAR),
    ),
    *(
        _norm(name, 1.7, "The old value is not multiplied by 1 − momentum.", keep=_mixed(*pair))
        for name, pair in (
            ("mean added up", ("running_mean + momentum * flat[0]", _VAR)),
            ("var added up", (_MEAN, "running_var + momentum * flat[1]")),
        )
    ),
    _norm(
        "mean mixed into the variance",
        1.7,
        "`running_var` is mixed with the old mean: it is the old variance.",
        keep="old = running_mean\n        "
        + _mixed(_MEAN, "(1 - momentum) * old + momentum * flat[1]"),
    ),
    _norm_otherwise(
        "a mean for each column",
        0.65,
        "one mean for each column",
        keep="running_mean = (1 - momentum) * running_mean + momentum * x.mean((0, 1, 2))",
    ),
    _norm(
        "β subtracted",
        0.85,
        "The bias β is subtracted: it is added.",
        y="weight * (x - mean) / torch.sqrt(var + eps) - bias",
    ),
    _norm(
        "x detached",
        2.05,
        "No gradient gets to x: no detach or no_grad on its way to y.",
        axes="(0, 2, 3); x = x.detach()",
    ),
    *(
        _norm(
            f"{name} replaced",
            1.7,
            f"`{name}` is the batch's alone: momentum mixes it with the old one.",
            keep=_mixed(*pair),
        )
        for name, pair in (("running_mean", ("flat[0]", _VAR)), ("running_var", (_MEAN, "flat[1]")))
    ),
    _norm_otherwise(
        "PyTorch's",
        0,
        "uses torch.nn.functional.batch_norm",
        y="F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)",
    ),
    _norm(
        "a standard deviation for the variance",
        1.45,
        "Under the root is a standard deviation: it takes the variance.",
        var="x.std(axes, correction=0, keepdim=True)",
    ),
    _norm(
        "a standard deviation, unbiased",
        1.45,
        "Under the root is a standard deviation: it takes the variance.",
        var="x.std(axes, keepdim=True)",
    ),
    _norm_otherwise(
        "a mean for each pixel",
        0.65,
        "one mean for each pixel of each channel",
        keep="running_mean = (1 - momentum) * running_mean + momentum * x.mean(0)",
    ),
    _norm_otherwise(
        "a mean for each image",
        0.65,
        "one mean for each image",
        keep="flat = x.mean((1, 2, 3)); running_mean = (1 - momentum) * running_mean + flat",
    ),
    _norm_otherwise(
        "running statistics in the shape of x",
        1.65,
        "keep their shape, (C,)",
        kept="running_mean.reshape(1, -1, 1, 1), running_var.reshape(1, -1, 1, 1)",
    ),
    _norm(
        "the mean's graph kept",
        2.3,
        "The running mean carries a graph: every batch's then stays in memory. `.detach()` it, too.",
        keep="""running_mean = (1 - momentum) * running_mean + momentum * mean.flatten()
        running_var = (1 - momentum) * running_var + momentum * flat[1]""",
    ),
    _norm(
        "batch statistics in evaluation",
        1.9,
        _USED,
        after="mean, var = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)",
    ),
    _norm(
        "unbiased ones in evaluation",
        1.9,
        _USED,
        after="mean, var = x.mean(axes, keepdim=True), x.var(axes, keepdim=True)",
    ),
    _norm(
        "updated in evaluation",
        2.25,
        "They are updated in evaluation mode, too: then the network goes on learning as it is"
        " tested.",
        after=_mixed(
            "(1 - momentum) * running_mean + momentum * x.mean((0, 2, 3))",
            "(1 - momentum) * running_var + momentum * x.var((0, 2, 3))",
        ),
    ),
    _norm("training ignored", 1.65, _USED, training="True"),
    _norm(
        "running used in training",
        1.45,
        "The running statistics are used: in training mode it is the batch's own.",
        keep="mean, var = running_mean.reshape(1, -1, 1, 1), running_var.reshape(1, -1, 1, 1)\n"
        "        " + _mixed(_MEAN, _VAR),
    ),
    _norm(
        "updated first",
        1.45,
        "The running statistics are updated first and then used: use the batch's own.",
        keep=_mixed(_MEAN, _VAR)
        + "\n        mean, var = running_mean.reshape(1, -1, 1, 1), running_var.reshape(1, -1, 1, 1)",
    ),
    _norm(
        "unbiased to normalise",
        1.45,
        "The variance is divided by n − 1: to normalise, it is divided by n.",
        var="x.var(axes, keepdim=True)",
    ),
    _norm(
        "biased kept",
        1.7,
        "The variance kept is divided by n: keep the unbiased one, divided by n − 1.",
        correction="0",
    ),
    _norm(
        "momentum round",
        1.7,
        _ROUND,
        keep=_mixed(
            "momentum * running_mean + (1 - momentum) * flat[0]",
            "momentum * running_var + (1 - momentum) * flat[1]",
        ),
    ),
    _norm(
        "momentum round for the mean",
        1.7,
        "For `running_mean` the momentum is the wrong way round: it is the share of the new batch.",
        keep=_mixed("momentum * running_mean + (1 - momentum) * flat[0]", _VAR),
    ),
    _norm(
        "momentum round for the variance",
        1.7,
        "For `running_var` the momentum is the wrong way round: it is the share of the new batch.",
        keep=_mixed(_MEAN, "momentum * running_var + (1 - momentum) * flat[1]"),
    ),
    _norm(
        "bias multiplied",
        0.85,
        "The bias β is multiplied by the weight: it is added after that.",
        y="weight * ((x - mean) / torch.sqrt(var + eps) + bias)",
    ),
    _norm(
        "momentum round, biased",
        1.7,
        _ROUND,
        keep=_mixed(
            "momentum * running_mean + (1 - momentum) * flat[0]",
            "momentum * running_var + (1 - momentum) * x.var((0, 2, 3), correction=0)",
        ),
    ),
    _norm(
        "not kept",
        1.7,
        "The running statistics are not updated: in training mode they are.",
        keep="",
    ),
    _norm(
        "variance not kept",
        1.7,
        "The running mean is updated, the running variance is not.",
        keep=_mixed(_MEAN, "running_var"),
    ),
    _norm("replaced", 1.7, _REPLACED, keep="running_mean, running_var = flat"),
    _norm(
        "replaced, biased",
        1.7,
        _REPLACED,
        correction="0",
        keep="running_mean, running_var = flat",
    ),
    _norm(
        "old one whole",
        1.7,
        "The old value is kept whole: it has the share 1 − momentum.",
        keep=_mixed("running_mean + momentum * flat[0]", "running_var + momentum * flat[1]"),
    ),
    _norm(
        "deviations kept",
        1.7,
        "Those are standard deviations: the running one is a variance.",
        keep=_mixed(_MEAN, _VAR.replace("flat[1]", "flat[1].sqrt()")),
    ),
    _norm(
        "momentum of 0.1",
        1.9,
        "The argument momentum is not used.",
        keep=_mixed(_MEAN.replace("momentum", "0.1"), _VAR.replace("momentum", "0.1")),
    ),
    _norm(
        "images counted",
        1.7,
        "The variance kept has n = the number of images: n counts all numbers of a channel.",
        correction="0",
        keep=_mixed(_MEAN, _VAR + " * len(x) / (len(x) - 1)"),
    ),
    _norm(
        "all numbers counted",
        1.7,
        "The variance kept has n = the count of all numbers in x: n counts those of one channel.",
        correction="0",
        keep=_mixed(_MEAN, _VAR + " * x.numel() / (x.numel() - 1)"),
    ),
    _norm(
        "variance first",
        1.45,
        "The two are exchanged: first running_mean, then running_var.",
        kept="running_var, running_mean",
    ),
    _norm(
        "each image",
        1.45,
        "Each image is normalised by itself: take the statistics over the images, too.",
        axes="(2, 3)",
    ),
    _norm(
        "each image's variance, averaged",
        1.45,
        "That is the mean of the images' own variances: each is about its own mean. Take it over all"
        " numbers of a channel at once.",
        var="x.var((2, 3), correction=0, keepdim=True).mean(0, keepdim=True)",
    ),
    _norm(
        "each place",
        1.45,
        "Each place in the image has its own statistics: take them over all places, too.",
        axes="(0,)",
    ),
    _norm(
        "all channels",
        1.45,
        "All channels share one mean and variance: each channel has its own.",
        axes="(0, 1, 2, 3)",
    ),
    _norm(
        "over the channels",
        1.45,
        "The statistics are taken over the channels: each channel has its own.",
        axes="(1,)",
    ),
    _norm(
        "layer norm",
        1.45,
        "Each image is normalised over all its channels: that is layer normalisation.",
        axes="(1, 2, 3)",
    ),
    _norm(
        "weight fixed",
        1.85,
        _LEARNT,
        y="weight.detach() * (x - mean) / torch.sqrt(var + eps) + bias",
    ),
    _norm(
        "bias fixed",
        1.85,
        _LEARNT,
        y="weight * (x - mean) / torch.sqrt(var + eps) + bias.detach()",
    ),
    _norm(
        "both fixed",
        1.85,
        _LEARNT,
        pair="weight.detach(), bias.detach()",
    ),
    _norm(
        "no root",
        0.85,
        "It is divided by the variance: its square root is missing.",
        y="weight * (x - mean) / (var + eps) + bias",
    ),
    _norm(
        "eps not used",
        0.85,
        "The argument eps is not used.",
        y="weight * (x - mean) / torch.sqrt(var + 1e-5) + bias",
    ),
    _norm("no eps", 0.85, _NO_EPS, y="weight * (x - mean) / torch.sqrt(var) + bias"),
    _norm("eps outside", 0.85, _OUTSIDE, y="weight * (x - mean) / (torch.sqrt(var) + eps) + bias"),
    _norm(
        "mean not subtracted",
        0.85,
        "The mean is not subtracted.",
        y="weight * x / torch.sqrt(var + eps) + bias",
    ),
    _norm(
        "no weight",
        0.85,
        "The weight γ is missing.",
        y="(x - mean) / torch.sqrt(var + eps) + bias",
    ),
    _norm(
        "no bias", 0.85, "The bias β is missing.", y="weight * (x - mean) / torch.sqrt(var + eps)"
    ),
    _norm(
        "neither",
        0.85,
        "The weight γ and the bias β are missing.",
        y="(x - mean) / torch.sqrt(var + eps)",
    ),
    _norm(
        "weight and bias exchanged",
        0.85,
        "The weight γ and the bias β are exchanged.",
        pair="bias, weight",
    ),
    _norm(
        "running_var squared",
        1.9,
        "running_var is taken for the standard deviation: its root is missing.",
        running_var="running_var.square()",
    ),
    _norm("no gradient", 2.05, _DETACHED, grad="torch.no_grad()"),
    _norm(
        "variance fixed", 2.05, _DETACHED, var="x.detach().var(axes, correction=0, keepdim=True)"
    ),
    _norm(
        "mean fixed",
        2.05,
        _DETACHED,
        y="weight * (x - mean.detach()) / torch.sqrt(var + eps) + bias",
    ),
    _norm(
        "nothing learnt",
        1.85,
        "No gradient comes back at all: y has no graph.",
        y="(weight * (x - mean) / torch.sqrt(var + eps) + bias).detach()",
    ),
    _norm(
        "graph kept",
        2.3,
        "The running statistics carry a graph: every batch's then stays in memory, one hanging on"
        " the next. `.detach()` what is kept.",
        keep=_mixed(
            _MEAN.replace("flat[0]", "x.mean((0, 2, 3))"),
            _VAR.replace("flat[1]", "x.var((0, 2, 3))"),
        ),
    ),
    _norm_otherwise(
        "in place",
        1.9,
        "changed its argument `running_mean`",
        keep="""running_mean.mul_(1 - momentum).add_(momentum * flat[0])
        running_var.mul_(1 - momentum).add_(momentum * flat[1])""",
    ),
    _norm_otherwise(
        "each image, reshaped",
        0.65,
        "one number for each image and channel",
        keep=_mixed(_MEAN, _VAR) + "\n        mean = x.mean((2, 3)).reshape(1, -1, 1, 1)",
    ),
    _norm_otherwise(
        "not reshaped",
        0.65,
        "Statistics of shape (C,) meet the width",
        keep=_mixed(_MEAN, _VAR) + "\n        mean = x.mean((0, 2, 3))",
    ),
]

# … about augmentation

_augment, _augment_otherwise = variants(
    "augment",
    """
def augment(x, generator, padding=4):
    {first}
    n, _, h, w = x.shape
    padded = {padded}
    tops = {tops}
    lefts = {lefts}
    out = torch.stack([
        one[:, top : top + h, left : left + w] for one, top, left in zip(padded, tops, lefts)
    ])
    flipped = {flips}
    {last}
    return torch.where(flipped.reshape(-1, 1, 1, 1), out.flip({axis}), out)
""",
    first="",
    padded="F.pad(x, (padding,) * 4)",
    tops="torch.randint(2 * padding + 1, (n,), generator=generator).tolist()",
    lefts="torch.randint(2 * padding + 1, (n,), generator=generator).tolist()",
    flips="torch.rand(n, generator=generator) < 0.5",
    last="",
    axis="3",
)


def wrong_form(shape, channels):
    """What to say of a batch of images that has another shape."""
    if shape[0:1] == (1,) or (len(shape) == 3 and shape[0] == channels):
        return "Only one image is returned: does return stand inside the loop?"
    if len(shape) == 3:
        return "torch.cat runs the images together: torch.stack keeps them apart."
    return "The window has the images' old size: pad first, then crop to it."


_RIM = "The padding repeats or mirrors the image: pad with zeros."
_AUGMENT = [
    _augment_otherwise("one image", 0, "inside the loop", last="return out[:1]"),
    _augment_otherwise("doubles", 0, "It keeps x's dtype", last="out = out.double()"),
    _augment_otherwise("floats for doubles", 1.1, "It keeps x's dtype", last="out = out.float()"),
    _augment_otherwise("bytes", 0, "It keeps x's dtype", last="out = out.byte()"),
    _augment_otherwise("one image alone", 0, "inside the loop", last="return out[0]"),
    _augment_otherwise("run together", 0, "torch.stack keeps", last="return out.flatten(0, 1)"),
    _augment_otherwise(
        "rows and columns",
        0,
        "Rows and columns are exchanged",
        padded="F.pad(x, (padding,) * 4); h, w = w, h",
    ),
    _augment_otherwise(
        "windows without an end", 0, "end at top + H", padded="F.pad(x, (padding,) * 4); h = w = 99"
    ),
    _augment_otherwise(
        "windows of 32×32, put in",
        0,
        "end at top + H",
        last="""
    for i, (top, left) in enumerate(zip(tops, lefts)):
        out[i] = padded[i, :, top : top + 32, left : left + 32]""",
    ),
    _augment_otherwise(
        "padded in one direction, put in",
        0,
        "are all four sides padded",
        padded="F.pad(x, (padding,) * 2)",
        last="""
    out = torch.empty_like(x)
    for i, (top, left) in enumerate(zip(tops, lefts)):
        out[i] = padded[i, :, top : top + h, left : left + w]""",
    ),
    _augment_otherwise(
        "x flipped",
        0.65,
        "is x used a second time",
        last="return torch.where(flipped.reshape(-1, 1, 1, 1), x.flip(3), out)",
    ),
    _augment_otherwise("an axis too far", 0, "counted from 0", last="out[0].flip(3)"),
    _augment(
        "turned round",
        0,
        "The images are turned round: flip left to right only, the last dimension.",
        axis="(2, 3)",
    ),
    _augment(
        "windows of the first image",
        0,
        "They are windows of the first image: each has its own.",
        first="x = x[:1].expand_as(x)",
    ),
    _augment(
        "padded with 1",
        0,
        "The padding is 1: pad with zeros.",
        padded="F.pad(x, (padding,) * 4, value=1.0)",
    ),
    _augment_otherwise(
        "near one side",
        1.05,
        "there is padding on both",
        tops="torch.randint(padding + 1, (n,), generator=generator).tolist()",
    ),
    _augment_otherwise(
        "flipped in place",
        0.85,
        "changes x in place",
        first="mask = torch.rand(len(x), generator=generator) < 0.5; x[mask] = x[mask].flip(3)",
        flips="torch.zeros(n)",
        last="return out",
    ),
    _augment_otherwise(
        "beyond the image",
        0,
        "leave the padded image",
        tops="torch.randint(h, (n,), generator=generator).tolist()",
    ),
    _augment_otherwise(
        "joined", 0, "torch.stack makes a new one", last="out = torch.cat(list(out))"
    ),
    _augment_otherwise(
        "a flat mask",
        0,
        "has the shape (N, 1, 1, 1)",
        last="return torch.where(flipped, out.flip(3), out)",
    ),
    _augment_otherwise("a list", 0, "torch.stack makes one tensor", last="out = list(out)"),
    _augment_otherwise(
        "flipped by the window",
        1.1,
        "Draw the flip by itself",
        flips="torch.tensor(tops) % 2 == 0",
    ),
    _augment_otherwise("images turned around", 0, "Images change places", axis="0"),
    _augment(
        "upside down",
        0,
        "The images are turned upside down: flip left to right, the last dimension.",
        axis="2",
    ),
    _augment(
        "channels flipped",
        0,
        "The channels are flipped: left to right is the last dimension.",
        axis="1",
    ),
    _augment(
        "padding of 4",
        0,
        "The argument padding is not used: 4 is only its usual value.",
        first="padding = 4",
    ),
    _augment(
        "padding too wide",
        0,
        "The padding is wider than asked for: `padding` on each side.",
        first="padding += 1",
    ),
    _augment(
        "padding after the crop",
        0,
        "The image is cropped first and padded after, so its rim is always lost: pad first.",
        last="""
    out = F.pad(torch.stack([one[:, top : top + h - 2 * padding, left : left + w - 2 * padding]
                             for one, top, left in zip(x, tops, lefts)]), (padding,) * 4)""",
    ),
    _augment(
        "rolled",
        0,
        "What leaves on one side comes back on the other: pad with zeros instead of rolling.",
        last="""
    out = torch.stack([torch.roll(one, (top - padding, left - padding), (1, 2))
                       for one, top, left in zip(x, tops, lefts)])""",
    ),
    _augment("mirrored rim", 0, _RIM, padded="F.pad(x, (padding,) * 4, mode='reflect')"),
    _augment("repeated rim", 0, _RIM, padded="F.pad(x, (padding,) * 4, mode='replicate')"),
    _augment(
        "padding of grey",
        0,
        "The padding is no zero: for normalised images 0 is the mean colour.",
        padded="F.pad(x, (padding,) * 4, value=0.5)",
    ),
    _augment_otherwise(
        "height for width",
        0,
        "raised RuntimeError",
        last="""
    out = torch.stack([one[:, top : top + w, left : left + h]
                       for one, top, left in zip(padded, tops, lefts)])""",
    ),
    _augment_otherwise(
        "no padding",
        0,
        "pad first, then crop",
        last="""
    out = torch.stack([one[:, top : top + h - 2 * padding, left : left + w - 2 * padding]
                       for one, top, left in zip(x, tops, lefts)])""",
    ),
    _augment_otherwise("a list", 0, "makes one tensor of a list", last="return list(out)"),
    _augment_otherwise(
        "batch flipped alike",
        1.1,
        "The whole batch is flipped or not",
        flips="(torch.rand(1, generator=generator) < 0.5).expand(n)",
    ),
    _augment_otherwise(
        "flipped by its place",
        1.1,
        "Draw the flip by itself",
        flips="torch.tensor([(top + left) % 2 == 0 for top, left in zip(tops, lefts)])",
    ),
    _augment_otherwise("always flipped", 1.1, "Every image is flipped", flips="torch.ones(n) > 0"),
    _augment_otherwise("never flipped", 1.1, "No image is flipped", flips="torch.ones(n) < 0"),
    _augment_otherwise(
        "one in five", 1.1, "as likely as none", flips="torch.rand(n, generator=generator) < 0.2"
    ),
    _augment_otherwise(
        "every second one flipped", 1.1, "flipped in every batch", flips="torch.arange(n) % 2 == 1"
    ),
    _augment_otherwise(
        "one window for all",
        1.05,
        "The whole batch has one window",
        tops="torch.randint(2 * padding + 1, (1,), generator=generator).tolist() * n",
        lefts="torch.randint(2 * padding + 1, (1,), generator=generator).tolist() * n",
    ),
    _augment_otherwise(
        "upper end left out",
        1.05,
        "never reaches the far end",
        tops="torch.randint(2 * padding, (n,), generator=generator).tolist()",
        lefts="torch.randint(2 * padding, (n,), generator=generator).tolist()",
    ),
    _augment_otherwise("on a diagonal", 1.05, "top and left go together", lefts="tops"),
    _augment_otherwise("one direction", 1.05, "one top", tops="[padding] * n"),
    _augment_otherwise(
        "generator not used",
        1.25,
        "generator=generator",
        tops="torch.randint(2 * padding + 1, (n,)).tolist()",
        lefts="torch.randint(2 * padding + 1, (n,)).tolist()",
        flips="torch.rand(n) < 0.5",
    ),
    _augment_otherwise(
        "flips past the generator",
        1.25,
        "generator=generator",
        flips="torch.rand(n) < 0.5",
    ),
    _augment_otherwise("seeded anew", 0.85, "seeded anew", first="generator.manual_seed(0)"),
    _augment_otherwise("in place", 0, "changes x in place", last="x.copy_(out)"),
]

# … about counting parameters

_PARAMETERS = [
    Known("parameters", name, points, says, code)
    for name, points, says, code in (
        (
            "without_linear rounded",
            0.55,
            "That is rounded to a whole number: give three digits.",
            "without_linear = 25",
        ),
        (
            "without_linear rounded down",
            0.55,
            "That is rounded down to a whole number: give three digits.",
            "without_linear = 24",
        ),
        (
            "conv without biases",
            0.6,
            "The biases are missing: one for each channel that comes out.",
            "conv_parameters = 110_592",
        ),
        (
            "biases of channels in",
            0.6,
            "There is one bias for each channel that comes out.",
            "conv_parameters = 110_688",
        ),
        (
            "conv of 1×1",
            0.6,
            "That is a kernel of 1×1: a 3×3 kernel has nine weights.",
            "conv_parameters = 12_416",
        ),
        (
            "conv of three",
            0.6,
            "A 3×3 kernel has nine weights, not three.",
            "conv_parameters = 96 * 128 * 3 + 128",
        ),
        (
            "conv of one channel",
            0.6,
            "Each channel out has a kernel for every channel in.",
            "conv_parameters = 1_280",
        ),
        ("fire without biases", 0.55, "The biases are missing.", "fire_parameters = 11_776"),
        (
            "not squeezed",
            0.55,
            "The expansions see the 16 squeezed channels, not the 96.",
            "fire_parameters = 63_120",
        ),
        (
            "3×3 not squeezed",
            0.55,
            "The 3×3 expansion sees the 16 squeezed channels, not the 96.",
            "fire_parameters = 96 * 16 + 16 + (16 * 64 + 64) + (96 * 64 * 9 + 64)",
        ),
        (
            "1×1 not squeezed",
            0.55,
            "The 1×1 expansion sees the 16 squeezed channels, not the 96.",
            "fire_parameters = 96 * 16 + 16 + (96 * 64 + 64) + (16 * 64 * 9 + 64)",
        ),
        (
            "squeeze forgotten",
            0.55,
            "The squeeze is missing.",
            "fire_parameters = 16 * 64 + 64 + 16 * 64 * 9 + 64",
        ),
        (
            "one expansion",
            0.55,
            "Both expansions count, the 1×1 one, too.",
            "fire_parameters = 10_832 + 0",
        ),
        (
            "both of 1×1",
            0.55,
            "One of the two expansions has a 3×3 kernel.",
            "fire_parameters = 96 * 16 + 16 + 2 * (16 * 64 + 64)",
        ),
        (
            "percent",
            0.55,
            "That is the share that is left, in percent: asked for is how many times smaller.",
            "without_linear = 4.04",
        ),
        (
            "3 for 3×3",
            0.55,
            "A 3×3 kernel has 9 weights for each channel in, not 3.",
            "fire_parameters = 96 * 16 + 16 + (16 * 64 + 64) + (16 * 64 * 3 + 64)",
        ),
        (
            "both of 3×3",
            0.55,
            "Only one of the two expansions has a 3×3 kernel.",
            "fire_parameters = 96 * 16 + 16 + 2 * (16 * 64 * 9 + 64)",
        ),
        (
            "fc6 without biases",
            0.55,
            "The biases are missing: one for each unit.",
            "fc6_parameters = 37_748_736",
        ),
        (
            "fc6's biases of what comes in",
            0.55,
            "There is one bias for each unit that comes out.",
            "fc6_parameters = 9216 * 4096 + 9216",
        ),
        (
            "fc6 of channels",
            0.55,
            "What comes in are the 256 channels of a 6×6 image, flattened.",
            "fc6_parameters = 1_052_672",
        ),
        (
            "all linear layers",
            0.55,
            "Those are all three linear layers: only the first is asked for.",
            "fc6_parameters = 58_631_144",
        ),
        (
            "fc7",
            0.55,
            "That is the next layer, classifier.4.",
            "fc6_parameters = 16_781_312",
        ),
        (
            "share that is left",
            0.55,
            "That is the share that is left: asked for is how many times smaller, all through"
            " what is left.",
            "without_linear = 2_469_696 / 61_100_840",
        ),
        (
            "linear over convolutions",
            0.55,
            "That is the linear layers through the convolutions: asked for is all through what is"
            " left.",
            "without_linear = 58_631_144 / 2_469_696",
        ),
        (
            "only fc6 left out",
            0.55,
            "Only the first linear layer is left out: there are three.",
            "without_linear = 61_100_840 / (61_100_840 - 37_752_832)",
        ),
        (
            "SqueezeNet",
            0.55,
            "That is SqueezeNet's ratio: here only AlexNet's linear layers are left out.",
            "without_linear = 61_100_840 / 1_248_424",
        ),
        (
            "how many are left",
            0.55,
            "That is how many are left: asked for is how many times fewer that is.",
            "without_linear = 2_469_696",
        ),
    )
]

# … about Fire modules

_fire, _fire_otherwise = variants(
    "Fire",
    """
class Fire(nn.Module):
    def __init__(self, inputs, squeezed, ones, threes):
        super().__init__()
        self.{calls} = {wrap}nn.Conv2d({squeeze}, 1, bias={bias}){end}
        self.expand1x1 = nn.Conv2d({sees}, {ones}, {k1})
        self.expand3x3 = nn.Conv2d({sees3}, {threes}, {k3})

    def forward(self, x):
        {forward}
        return {result}
""",
    calls="squeeze",
    wrap="",
    end="",
    bias="True",
    squeeze="inputs, squeezed",
    sees="squeezed",
    sees3="squeezed",
    ones="ones",
    threes="threes",
    k1="1",
    k3="3, padding=1",
    forward="x = F.relu(self.squeeze(x)); a, b = self.expand1x1(x), self.expand3x3(x)",
    result="torch.cat((a, b), dim=1).relu()",
)
_PLAIN = "x = self.squeeze(x); a, b = self.expand1x1(x), self.expand3x3(x)"
_ADDED = "The two results are added: they are stacked along the channels."
_FIRE = [
    _fire(
        "x stacked, too",
        0,
        "What was squeezed is stacked, too: only the two expansions go out.",
        forward="x = F.relu(self.squeeze(x)); a, b = self.expand1x1(x), self.expand3x3(x)",
        result="torch.cat((x, a, b), dim=1).relu()",
    ),
    _fire_otherwise(
        "a layer in a list",
        0,
        "overlooked",
        calls="layers",
        wrap="[",
        end="]",
        forward="x = F.relu(self.layers[0](x)); a, b = self.expand1x1(x), self.expand3x3(x)",
    ),
    *(
        _fire(
            f"only {one}",
            0,
            f"Only {one}'s result is returned: the two are stacked along the channels.",
            result=f"F.relu(self.{one}(x))",
        )
        for one in ("expand1x1", "expand3x3")
    ),
    Mistake(
        "Fire",
        "torchvision's",
        0,
        "uses torchvision",
        """
from torchvision.models.squeezenet import Fire as Theirs

class Fire(Theirs):
    def __init__(self, inputs, squeezed, ones, threes):
        super().__init__(inputs, squeezed, ones, threes)
""",
    ),
    _fire(
        "along the width",
        0,
        "The two results are stacked side by side, along the width: channels are dimension 1.",
        result="torch.cat((a, b), dim=3).relu()",
    ),
    _fire(
        "along the height",
        0,
        "The two results are stacked on top of each other, along the height: channels are"
        " dimension 1.",
        result="torch.cat((a, b), dim=2).relu()",
    ),
    _fire(
        "along the batch",
        0,
        "The two results are stacked along the batch: channels are dimension 1.",
        result="torch.cat((a, b)).relu()",
    ),
    _fire(
        "other order",
        0,
        "They are stacked in the other order: expand1x1's channels come first.",
        result="torch.cat((b, a), dim=1).relu()",
    ),
    _fire(
        "no relu on 1×1",
        0,
        "ReLU after expand1x1 is missing.",
        result="torch.cat((a, b.relu()), dim=1)",
    ),
    _fire(
        "no relu on 3×3",
        0,
        "ReLU after expand3x3 is missing.",
        result="torch.cat((a.relu(), b), dim=1)",
    ),
    _fire(
        "a new dimension",
        0,
        "torch.stack makes a new dimension: torch.cat joins along the channels, dimension 1.",
        result="torch.stack((a, b), dim=1).relu()",
    ),
    _fire(
        "1×1 sees the input",
        0,
        "The expansions see what the squeeze puts out, not what comes into the module.",
        sees="inputs",
    ),
    _fire_otherwise(
        "one expansion after the other",
        0,
        "what the squeeze puts out, side by side",
        forward="x = F.relu(self.squeeze(x)); a = F.relu(self.expand1x1(x)); b = self.expand3x3(a)",
    ),
    _fire_otherwise("5×5", 0, "`expand3x3.weight` is not", k3="5, padding=2"),
    _fire_otherwise("stride", 0, "`expand3x3.stride` is not", k3="3, stride=2, padding=1"),
    Mistake(
        "Fire",
        "no __init__ above",
        0,
        "comes first in `__init__`",
        """
class Fire(nn.Module):
    def __init__(self, inputs, squeezed, ones, threes):
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)

    def forward(self, x):
        return self.squeeze(x)
""",
    ),
    _fire("added", 0, _ADDED, result="(a + b).relu()"),
    _fire("added after ReLU", 0, _ADDED, result="a.relu() + b.relu()"),
    _fire_otherwise("no padding", 0, "needs padding for that", k3="3"),
    _fire(
        "no relu at the end",
        0,
        "ReLU after the expansions is missing.",
        result="torch.cat((a, b), dim=1)",
    ),
    _fire("no relu in the middle", 0, "ReLU after the squeeze is missing.", forward=_PLAIN),
    _fire(
        "no relu",
        0,
        "ReLU is missing everywhere.",
        forward=_PLAIN,
        result="torch.cat((a, b), dim=1)",
    ),
    _fire(
        "chained",
        0,
        "Both expansions see what the squeeze puts out, side by side.",
        sees3="ones",
        forward="x = F.relu(self.squeeze(x)); a = self.expand1x1(x); b = self.expand3x3(a.relu())",
    ),
    _fire(
        "channels exchanged",
        0.75,
        "The channels of the two expansions are exchanged.",
        ones="threes",
        threes="ones",
    ),
    _fire(
        "wrapped",
        0,
        "Each of the three is an nn.Conv2d, with nothing round it: ReLU comes in forward.",
        wrap="nn.Sequential(",
        end=", nn.ReLU())",
    ),
    _fire(
        "sees the input",
        0,
        "The expansions see what the squeeze puts out, not what comes into the module.",
        sees="inputs",
        sees3="inputs",
    ),
    _fire("kernels exchanged", 0, "The two kernels are exchanged.", k1="3, padding=1", k3="1"),
    _fire(
        "squeeze round",
        0,
        "Channels in come first in nn.Conv2d(inputs, outputs, kernel).",
        squeeze="squeezed, inputs",
    ),
    _fire(
        "squeeze without biases",
        0,
        "The three convolutions have biases: no batch norm follows that would subtract them.",
        bias="False",
    ),
    _fire_otherwise(
        "another name",
        0,
        "squeeze, expand1x1 and expand3x3 are the names to use",
        calls="conv",
        forward="x = F.relu(self.conv(x)); a, b = self.expand1x1(x), self.expand3x3(x)",
    ),
    _fire(
        "no way back",
        1.0,
        "No gradient comes back from some of the layers: a detach or no_grad cuts it off.",
        forward="x = F.relu(self.squeeze(x).detach()); a, b = self.expand1x1(x), self.expand3x3(x)",
    ),
]

# … about residual blocks

_block, _block_otherwise = variants(
    "residual_block",
    """
class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, {stride1}, padding={padding1}, bias={bias})
        self.norm1 = nn.BatchNorm2d({channels1})
        self.conv2 = nn.Conv2d({channels2}, outputs, 3, {stride2}, padding={padding2}, bias={bias2})
        self.norm2 = {norm2}
        self.shortcut = nn.Identity()
        if {projects}:
            self.shortcut = nn.Sequential({projection})

    def forward(self, x):
        {forward}
        return {result}
""",
    stride1="stride",
    stride2="1",
    channels1="outputs",
    channels2="outputs",
    padding1="1",
    padding2="1",
    bias2="False",
    norm2="nn.BatchNorm2d(outputs)",
    bias="False",
    projects="stride != 1 or inputs != outputs",
    projection="nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)",
    forward="out = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))",
    result="F.relu(out + self.shortcut(x))",
)
_PROJECT = "Where stride or channels change, x needs a projection: it cannot be added as it is."
_BIAS = "A bias before a batch norm does nothing: bias=False."
_BLOCK = [
    _block("no projection", 0.5, _PROJECT, projects="False"),
    _block("only for channels", 0.9, _PROJECT, projects="inputs != outputs"),
    _block("only for a stride", 0.9, _PROJECT, projects="stride != 1"),
    _block(
        "one norm twice",
        0,
        "norm2 has no weights of its own: it needs an nn.BatchNorm2d beside norm1's.",
        norm2="self.norm1",
    ),
    _block(
        "norm1 used twice",
        0,
        "norm1 is used twice: norm2 follows conv2.",
        forward="out = self.norm1(self.conv2(F.relu(self.norm1(self.conv1(x)))))",
    ),
    _block(
        "conv1 used twice",
        0,
        "conv1 is used twice: conv2 follows norm1 and ReLU.",
        forward="out = self.norm2(self.conv1(F.relu(self.norm1(self.conv1(x)))))",
    ),
    _block(
        "norm1 of the inputs",
        0.5,
        "norm1 follows conv1, which puts out `outputs` channels.",
        channels1="inputs",
    ),
    _block(
        "conv2 of the inputs",
        0.5,
        "conv2 takes what conv1 puts out: outputs to outputs.",
        channels2="inputs",
    ),
    _block_otherwise(
        "another name",
        0,
        "are the names to use",
        norm2="None; self.last = nn.BatchNorm2d(outputs)",
        forward="out = self.last(self.conv2(F.relu(self.norm1(self.conv1(x)))))",
    ),
    _block_otherwise("one bias", 0, _BIAS, bias="True"),
    _block_otherwise("no padding", 0, "padding=1 keeps its size", padding1="0", padding2="0"),
    _block_otherwise(
        "no padding in conv2",
        0,
        "padding=1 keeps its size",
        padding2="0",
    ),
    _block(
        "always projected",
        0.6,
        "Where neither stride nor channels change, the shortcut is nn.Identity().",
        projects="True",
    ),
    _block(
        "projection without norm",
        0.5,
        "The projection needs its batch norm, too.",
        projection="nn.Conv2d(inputs, outputs, 1, stride, bias=False)",
    ),
    _block(
        "projection by itself",
        0.5,
        "The projection is an nn.Sequential of two: the convolution, and its batch norm.",
        projection="); self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False",
    ),
    _block(
        "projection with bias",
        0.5,
        _BIAS,
        projection="nn.Conv2d(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)",
    ),
    _block(
        "projection of 3×3",
        0.5,
        "The projection is a 1×1 convolution.",
        projection="nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),"
        " nn.BatchNorm2d(outputs)",
    ),
    _block(
        "projection without stride",
        0.5,
        "The projection has no stride: where conv1 makes the image smaller, it does, too.",
        projection="nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)",
    ),
    _block(
        "no stride",
        0.5,
        "The stride is not used by conv1.",
        stride1="1",
    ),
    _block("stride on both", 0.5, "Only conv1 has the stride; conv2 has 1.", stride2="stride"),
    _block(
        "stride on conv2", 0.5, "The stride is conv1's, not conv2's.", stride1="1", stride2="stride"
    ),
    _block(
        "relu before the addition",
        0,
        "ReLU comes before the addition: the layers could never take anything away.",
        result="F.relu(out) + self.shortcut(x)",
    ),
    _block(
        "relu twice",
        0,
        "ReLU comes before the addition, and once more after it: only the one after.",
        result="F.relu(F.relu(out) + self.shortcut(x))",
    ),
    _block(
        "no last relu",
        0,
        "ReLU after the addition is missing.",
        result="out + self.shortcut(x)",
    ),
    _block("no shortcut", 0, "The shortcut is not added.", result="F.relu(out)"),
    _block(
        "no shortcut, no relu",
        0,
        "The shortcut is not added, and the last ReLU is missing.",
        result="out",
    ),
    _block(
        "no relu between",
        0,
        "ReLU between norm1 and conv2 is missing.",
        forward="out = self.norm2(self.conv2(self.norm1(self.conv1(x))))",
    ),
    _block(
        "no norm2",
        0,
        "norm2 is missing.",
        forward="out = self.conv2(F.relu(self.norm1(self.conv1(x))))",
    ),
    _block(
        "no norm1",
        0,
        "norm1 is missing.",
        forward="out = self.norm2(self.conv2(F.relu(self.conv1(x))))",
    ),
    _block(
        "norm1 after ReLU",
        0,
        "norm1 comes after ReLU: the order is conv, norm, ReLU.",
        forward="out = self.norm2(self.conv2(self.norm1(F.relu(self.conv1(x)))))",
    ),
    _block(
        "norm2 of the sum",
        0,
        "The shortcut ends before norm2: the addition comes after it.",
        forward="out = self.conv2(F.relu(self.norm1(self.conv1(x))))",
        result="F.relu(self.norm2(out + self.shortcut(x)))",
    ),
    _block(
        "relu on the shortcut",
        0,
        "ReLU is on the shortcut, too: it carries x as it is.",
        result="F.relu(out + F.relu(self.shortcut(x)))",
    ),
    _block(
        "subtracted",
        0,
        "The shortcut is subtracted: it is added.",
        result="F.relu(out - self.shortcut(x))",
    ),
    _block(
        "multiplied",
        0,
        "The two are multiplied: a shortcut is added.",
        result="F.relu(out * self.shortcut(x))",
    ),
    _block(
        "shortcut behind conv1",
        0,
        "The shortcut begins at x, which comes into the block, not behind conv1.",
        forward="first = F.relu(self.norm1(self.conv1(x))); out = self.norm2(self.conv2(first))",
        result="F.relu(out + first)",
    ),
    _block(
        "shortcut of F",
        0,
        "The shortcut gets what the layers made of x, and not x as it came in: is x overwritten?",
        result="F.relu(out + self.shortcut(out))",
    ),
    _block_otherwise(
        "padding for 1×1",
        0.5,
        "takes no padding",
        projection="nn.Conv2d(inputs, outputs, 1, stride, 1, bias=False), nn.BatchNorm2d(outputs)",
    ),
    _block_otherwise("x as it is", 0.5, "by way of the shortcut", result="F.relu(out + x)"),
    _block_otherwise(
        "norm before",
        0,
        "conv1, norm1, ReLU, conv2",
        forward="out = self.norm2(F.relu(self.conv2(F.relu(self.norm1(self.conv1(x))))))",
    ),
    _block("biases", 0, _BIAS, bias="True", bias2="True"),
    _block_otherwise(
        "added in place",
        0.6,
        "in place",
        result="F.relu(self.shortcut(x).add_(out))",
    ),
    _block(
        "no way back",
        1.1,
        "No gradient comes back through F: a detach or no_grad cuts it off.",
        result="F.relu(out.detach() + self.shortcut(x))",
    ),
    _block(
        "no way back by the shortcut",
        1.1,
        "No gradient comes back by the shortcut: a detach or no_grad cuts it off.",
        result="F.relu(out + self.shortcut(x).detach())",
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_OPTIONS, *_NETWORK, *_SOLVER, *_NORM, *_AUGMENT, *_PARAMETERS, *_FIRE, *_BLOCK],
)
