"""What an error of Python, NumPy or PyTorch means, in one sentence, and the shapes on its line."""

import re
from types import FrameType

# A piece of the error's text, and what it says of the learner's line. The first that fits counts.
_MEANINGS = (
    (
        r"matmul: Input operand \d does not have enough dimensions",
        "`@` multiplies arrays; where one side is a single number, write `*`.",
    ),
    (
        r"operands could not be broadcast together|must match the size of tensor|"
        r"doesn't match the broadcast shape|non-broadcastable output",
        "The two shapes do not fit: counted from the right, each pair of sizes must be equal, or"
        " one of them 1.",
    ),
    (
        r"matmul: Input operand|shapes cannot be multiplied|size mismatch, got|not aligned|"
        r"inconsistent tensor size, expected",
        "In a matrix product the last size of the left side must be the first of the right side.",
    ),
    (
        r"truth value of an array|Boolean value of Tensor with more than one value",
        "A condition needs one truth value and this array has many: compare one number, use"
        " np.where (torch.where), or say .all() or .any().",
    ),
    (
        r"only (length-1|size-1|0-dimensional) arrays can be converted|only one element tensors|"
        r"a Tensor with \d+ elements cannot be converted",
        "One number is needed here, and this is an array of several.",
    ),
    (
        r"cannot reshape array of size|is invalid for input of size",
        "A new shape must hold exactly as many numbers as there are.",
    ),
    (r"inhomogeneous", "The rows have different lengths."),
    (
        r"setting an array element with a sequence",
        "One number is needed there, and an array or list of several is given.",
    ),
    (
        r"before Module\.__init__\(\)",
        "`super().__init__()` comes first in `__init__`: it makes the place where layers are kept.",
    ),
    (
        r"is out of bounds for (axis|dimension)|index out of range|out of range in self",
        "The index is beyond the end: places count from 0, so the last is the length less 1.",
    ),
    (
        r"too many indices",
        "There are more indices in the brackets than the array has axes.",
    ),
    (r"axis \d+ is out of bounds|Dimension out of range", "The array has no axis of that number."),
    (
        r"'NoneType' object|operand type\(s\) for .*'NoneType'|NoneType.* is not",
        "Something here is None: a function without `return`, or a value that was not given yet.",
    ),
    (
        r"Can't call numpy\(\) on Tensor that requires grad",
        "The tensor belongs to a graph: detach() it first.",
    ),
    (
        r"does not require grad and does not have a grad_fn",
        "Nothing that it was computed from asks for a gradient: was it detached, or computed under"
        " no_grad?",
    ),
    (
        r"leaf Variable that requires grad",
        "What wants a gradient is changed in place while a graph is recorded. A parameter: do it"
        " under torch.no_grad(); an input: work on a new tensor.",
    ),
    (
        r"backward through the graph a second time",
        "A graph can be gone back through once; backward has let its values go.",
    ),
    (
        r"modified by an inplace operation",
        "A value that backward needs was changed in place after it was used.",
    ),
    (
        r"expected target dtype to be Long",
        "Labels are whole numbers: are scores and labels exchanged, or is a .long() missing?",
    ),
    (
        r"not implemented for '(Long|Int)'|Got: Long",
        "Whole numbers stand where floats are needed: are scores and labels exchanged, or is a"
        " .float() missing?",
    ),
    (
        r"expected (scalar type|m1 and m2 to have the same dtype)|should be the same|"
        r"must have the same dtype|expected .*dtype",
        "The tensors have different dtypes, such as float32 and float64.",
    ),
    (
        r"Expected all tensors to be on the same device",
        "The tensors are on different devices: move them with .to(device).",
    ),
    (
        r"Cannot cast ufunc|same_kind|can't be cast to the desired output type",
        "The array holds whole numbers and cannot take fractions in place: make it one of floats.",
    ),
    (
        r"too many values to unpack|not enough values to unpack",
        "Left and right of `=` do not have equally many members.",
    ),
    (
        r"cannot access local variable|referenced before assignment",
        "The function gives that name a value somewhere, so it is its own name, and here it has no"
        " value yet.",
    ),
    (
        r"stack expects each tensor to be equal size",
        "torch.stack needs equal shapes; torch.cat joins pieces of different lengths.",
    ),
    (
        r"'(float|int)' object has no attribute 'backward'",
        "`.item()` makes a plain number, which has no graph: backward needs the tensor.",
    ),
    (
        r"Got: Bool|not implemented for 'Bool'",
        "Truth values stand where numbers are needed: .float() makes 0 and 1 of them.",
    ),
    (
        r"'(builtin_function_or_method|method|function)' object is not (iterable|subscriptable)|"
        r"operand type\(s\) for .*'(builtin_function_or_method|method|function)'",
        "A function stands where its result is needed: its brackets are missing.",
    ),
    (
        r"must be Tensor, not (?!NoneType)[A-Z]\w+",
        "Something that is no tensor stands where one is needed: a module is made, and must then be"
        " called on the tensor.",
    ),
    (
        r"unhashable type: '(dict|list)'",
        "`{a, b}` is a set, which cannot hold these: a dict is `{name: value}`, a list `[a, b]`.",
    ),
    (
        r"exceptions must derive from BaseException",
        "`raise` takes an exception, such as ValueError(message).",
    ),
    (
        r"'list' object cannot be interpreted as an integer",
        "One whole number is needed here, or a tuple of them, and this is a list.",
    ),
    (
        r"slice indices must be integers|indices must be integers.*not float|only integers, slices|"
        r"'float' object cannot be interpreted as an integer",
        "Places are whole numbers: `/` gives a float, `//` a whole number.",
    ),
    (
        r"CUDA (error|driver)|Device index must|not compiled with CUDA|No CUDA GPUs|NVIDIA driver",
        "A GPU is asked for that is not there. A number as a device means a GPU: torch.Generator,"
        " too, takes a device; its seed is set by .manual_seed(seed).",
    ),
    (r"bitwise_xor|operand type\(s\) for \^", "`^` is no power in Python: write `**`."),
    (r"object is not callable", "Something that is no function is called: is a name used twice?"),
    (r"object is not iterable", "A loop needs a list, an array or a range, and this is one thing."),
    (r"maximum recursion depth", "The function calls itself without coming to an end."),
)


def meaning(error: BaseException) -> str:
    """What the error says of the line; empty where its own words must do."""
    text = str(error)
    return next((says for sign, says in _MEANINGS if re.search(sign, text)), "")


def shapes(frame: FrameType, line: str) -> str:
    """`w (3,), X (100, 4)`: the arrays that are named on the line."""
    found = {}
    for name in re.findall(r"[A-Za-z_]\w*", line):
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
            found[name] = tuple(shape)
    return ", ".join(f"{name} {shape}" for name, shape in found.items())
