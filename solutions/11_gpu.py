# %% [markdown]
# # 11 · What a GPU is good at
# A GPU computes hundreds of operations in the time that one number takes to come from its memory. So the
# speed of a layer is rarely a matter of arithmetic. You count what a layer computes and what it moves,
# predict from two numbers of a data sheet how fast it can be, and write two kernels that move each number
# once.
#
# The picture is where you are going: six operations under the **roofline** of one GPU. None can be
# above the line. You will draw the line of your own machine, and measure how near six layers come.

# %% tags=["parameters"]
scale = ""  # smoke, cpu, gpu or multi; empty: LAB_SCALE, else chosen by the machine

# %%
import math
import os
import statistics
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

# %%
from grading.check import checks, progress
from utils import plots, settings
from utils.data import digits
from utils.device import describe
from utils.figures import gpu as figures
from utils.kernels.device import Here, Simulated, training_steps
from utils.kernels.launch import INTERPRETED, jit, launch, tl, trace, where

Array = NDArray[np.floating]
check = checks("11_gpu")
here = Here()
print(describe())
print(where())

# %%
sizes = settings.choose(
    scale,
    smoke={"side": 512, "numbers": 2**24, "repeats": 5, "steps": 60},
    cpu={"side": 1024, "numbers": 2**25, "repeats": 9, "steps": 200},
    gpu={"side": 2048, "numbers": 2**28, "repeats": 30, "steps": 200},
)
H100 = {"float32": 66.9e12, "bfloat16": 989.4e12, "bandwidth": 3.35e12}  # FLOP/s, byte/s

# %%
operations = {  # in bfloat16: FLOPs for each byte that is moved at least
    "ReLU": (0.25, None),
    "softmax": (1.25, None),
    "matrix (4096, 4096) times a vector": (1.0, None),
    "the same, times 64 vectors": (62.1, None),
    "convolution, 64 filters of 3×3": (277.1, None),
    "product of two (4096, 4096)": (1365.3, None),
}
fig = figures.roof(operations, H100["bfloat16"], H100["bandwidth"], "H100 SXM, bfloat16")
plots.show(
    fig, alt="A line that rises, then stays flat; only the large product lies on its flat part."
)

# %% [markdown]
# *One H100's roofline, from its data sheet. Right of the ridge the arithmetic is the limit, left of it the
# memory.* ReLU can reach less than a thousandth of the speed that the card is sold for.

# %% [markdown]
# **You will** count operations and bytes; predict what limits a layer, and how large a batch must be; write
# a timer that does not fool you; write two **kernels** (the programs that a GPU runs), each graded by its
# values *and* by the bytes it moves; see why neighbours should read neighbours; keep float16's
# small gradients; and read a profile.
#
# **Not in this lab:** several GPUs (labs 12 to 17), fast products of matrices, CUDA C++.

# %% [markdown]
# **You need** lab 04. The exercises take about 205 minutes together. All cells compute for less than a
# minute at scale `smoke`, for a few minutes at `cpu`.
#
# No GPU is needed. Kernels are written in **Triton**, a language inside Python. Without a GPU, Triton
# interprets them; it comes for Linux only, and elsewhere the course's own small machine runs them. The
# cells that need a GPU say so, and were not tried on one.

# %% [markdown]
# ## 1 · Work and traffic
# A **FLOP** is one operation with floating-point numbers: an addition, a product, a comparison, an exp. A
# GPU's cores keep the numbers they work on in registers. All others lie in its **memory**, gigabytes of
# it, and have to be brought: that is the **traffic**, in bytes.
#
# **Arithmetic intensity** is work divided by traffic, in FLOPs for each byte.

# %% [markdown]
# How work is counted, and the *least* traffic: each input read once, each output written once.
#
# | `operation`, `shape` | FLOPs |
# |---|---|
# | `"product"`, (M, K, N): (M, K) times (K, N) | each of the M·N outputs is a sum of K products, begun at 0: K products, K additions |
# | `"convolution"`, (N, C, H, W, K, R, S) | as lab 05's: stride 1, no padding, no bias; x: (N, C, H, W), w: (K, C, R, S); each output a sum of C·R·S products |
# | `"softmax"`, (rows, columns) | for each number five: maximum, subtraction, exp, sum, division |
# | `"chain"`, (n, links) | one for each of n numbers in each link |

# %% [markdown]
# A chain is several element-wise operations, one after the other, *each in a kernel of its own*: a kernel reads
# n numbers from the memory and writes n numbers back.
#
# **Predict first:** both matrices of a product, (n, n), are made twice as large, (2n, 2n). What happens to
# the intensity? Guesses are not marked; they are shown again beside what comes out.

# %%
check.predict(
    "what becomes of a product's intensity", "", "half", "the same", "twice", "eight times"
)

# %% [markdown]
# ### Exercise 1 · Counting — 1.25 points, 25 minutes, ●●○
# <details><summary>Hint 1</summary>Write down the shapes of inputs and output first: how many numbers
# each has, and, for one number of the output, what it takes to compute it.</details>
#
# <details><summary>Hint 2</summary>A convolution without padding has P = H − R + 1 rows and Q = W − S + 1
# columns of outputs in each of N·K maps.</details>

# %%
BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


# %% nbgrader={"grade_id": "count_code", "solution": true}
def count(operation: str, shape: tuple[int, ...], dtype: str) -> tuple[int, int]:
    """The FLOPs of an operation, and the least bytes that it moves, as in the table above.

    Of a chain the bytes are those of all its kernels.
    >>> count("product", (2, 3, 4), "float32")
    (48, 104)
    """
    ### BEGIN SOLUTION
    size = BYTES[dtype]
    if operation == "product":
        M, K, N = shape
        return 2 * M * K * N, size * (M * K + K * N + M * N)
    if operation == "convolution":
        N, C, H, W, K, R, S = shape
        outputs = N * K * (H - R + 1) * (W - S + 1)
        return 2 * outputs * C * R * S, size * (N * C * H * W + K * C * R * S + outputs)
    if operation == "softmax":
        rows, columns = shape
        return 5 * rows * columns, size * 2 * rows * columns
    n, links = shape
    return n * links, size * 2 * n * links
    ### END SOLUTION


# %% nbgrader={"grade_id": "count", "grade": true, "points": 1.25}
check("count")

# %%
n = sizes.side
layers = {
    "ReLU": ("chain", (sizes.numbers, 1)),
    "softmax, rows of 1,024": ("softmax", (sizes.numbers // 1024, 1024)),
    "matrix times a vector": ("product", (1, 8 * n, 8 * n)),
    "matrix times 64 vectors": ("product", (64, 8 * n, 8 * n)),
    "convolution, 3×3": ("convolution", (8, 64, 58, 58, 64, 3, 3)),
    "product of matrices": ("product", (2 * n, 2 * n, 2 * n)),
}
with check.needs("count"):
    for name, (operation, shape) in layers.items():
        flops, moved = count(operation, shape, "float32")
        print(f"{name:24} {flops:.1e} FLOPs  {moved:.1e} bytes  {flops / moved:8.2f} FLOPs a byte")
    small, large = (count("product", (k, k, k), "float32") for k in (512, 1024))
    ratio = large[0] / large[1] / (small[0] / small[1])
    words = {0.5: "half", 1: "the same", 2: "twice", 8: "eight times"}
    check.measured("what becomes of a product's intensity", words.get(round(ratio, 1), "other"))

# %% [markdown]
# Eight times the work on four times the numbers. An element-wise operation has no such luck: one FLOP for
# each number, at any size.

# %% [markdown]
# ## 2 · The roofline
# A processor has two speeds. Its **peak** is how many FLOPs it does in a second, if numbers are always at
# hand. Its **bandwidth** is how many bytes come from the memory in a second. Both go on at the same time,
# so the slower one sets the pace.
#
# With few FLOPs a byte, an operation is **memory-bound**; with many, **compute-bound**. The **ridge** is the
# intensity where both take equally long. Williams, Waterman and Patterson drew the line in 2009.

# %% [markdown]
# | NVIDIA H100 SXM, of its data sheet | |
# |---|---|
# | peak, float32 | 66.9 TFLOP/s |
# | peak, bfloat16, products of matrices | 989.4 TFLOP/s |
# | the same, "with sparsity" | 1,979 TFLOP/s |
# | bandwidth | 3.35 TB/s |
#
# 1 TFLOP is 10¹² FLOPs. Sparsity means matrices of which every second number is zero, in a fixed pattern. Yours
# are **dense**: they are not.

# %% [markdown]
# ### Exercise 2 · Roofline — 1.25 points, 25 minutes, ●●○
# - `ridge_h100`: the ridge of the H100 for dense bfloat16 products, in FLOPs a byte.
# - `roofline` and `bound_by`: for any operation on any processor.
# - `smallest_batch`: a layer with B examples is a product (B, inputs) times (inputs, outputs). From which B on
#   is it compute-bound?
#
# <details><summary>Hint 1</summary>Bytes a second times FLOPs a byte: which unit does that have?</details>
#
# <details><summary>Hint 2</summary>Write the layer's FLOPs and bytes with the letter B, set the intensity equal to
# the ridge, and solve for B. Examples are whole.</details>
#
# <details><summary>Hint 3</summary>With B without end, the intensity does not grow without end: the outputs have
# to be written, too.</details>

# %% nbgrader={"grade_id": "roofline_ridge", "solution": true}
ridge_h100 = None  # FLOPs a byte
### BEGIN SOLUTION
ridge_h100 = 989.4 / 3.35
### END SOLUTION


# %% nbgrader={"grade_id": "roofline_code", "solution": true}
def roofline(intensity: float, peak: float, bandwidth: float) -> float:
    """The highest speed, in FLOP/s, that an operation can reach.

    intensity: FLOPs a byte; peak: FLOP/s; bandwidth: byte/s.
    >>> roofline(0.25, 100.0, 8.0)
    2.0
    """
    ### BEGIN SOLUTION
    return min(peak, intensity * bandwidth)
    ### END SOLUTION


def bound_by(intensity: float, peak: float, bandwidth: float) -> str:
    """ "memory" or "compute": what the limit is. At the ridge itself: "compute".

    >>> bound_by(0.25, 100.0, 8.0)
    'memory'
    """
    ### BEGIN SOLUTION
    return "memory" if intensity * bandwidth < peak else "compute"
    ### END SOLUTION


def smallest_batch(inputs: int, outputs: int, size: int, peak: float, bandwidth: float) -> int:
    """The smallest batch with which the layer is compute-bound; 0 if there is none.

    size: bytes of a number. Counted as a "product" in exercise 1.
    >>> smallest_batch(1000, 1000, 2, peak=10.0, bandwidth=1.0)
    11
    """
    ### BEGIN SOLUTION
    needed = size * peak / bandwidth  # FLOPs for each number
    room = 2 * inputs * outputs - needed * (inputs + outputs)
    return math.ceil(needed * inputs * outputs / room) if room > 0 else 0
    ### END SOLUTION


# %% nbgrader={"grade_id": "roofline", "grade": true, "points": 1.25}
check("roofline")

# %%
with check.needs("smallest_batch"):
    for units in (512, 1024, 4096, 16384):
        least = smallest_batch(units, units, 2, H100["bfloat16"], H100["bandwidth"])
        print(f"a layer {units} × {units} on an H100, bfloat16: from {least or 'no'} examples on")

# %% [markdown]
# That is why networks are trained, and served, in batches. One example alone reads every weight to use it
# for two FLOPs.
#
# **Predict:** further down six layers, those of the table printed in section 1, are measured in float32 on
# *this* machine. How many of them will be memory-bound?

# %%
check.predict("how many of the six are memory-bound here", "", "none", "1 or 2", "3 or 4", "5 or 6")

# %% [markdown]
# ## 3 · A timer that is right
# A GPU works by itself. Python's call puts the work into a **queue** and returns at once: that is the
# **launch**, a few millionths of a second. Python, on the **host**, is long gone when the work begins.
# `synchronize` waits until the queue is empty.
#
# `Simulated` is a device of that kind with a clock of its own. Three calls, then one wait:

# %%
simulated = Simulated([0.0004, 0.0007, 0.0005], launch=0.00008)
for name in ("first", "second", "third"):
    simulated.call(name)
launched = simulated.now()
simulated.synchronize()
fig = figures.timeline(simulated.spans, "Three calls, and a wait")
plots.show(
    fig, alt="The host launches three times and waits; the device works one after the other."
)
print(f"launched after {1e3 * launched:.2f} ms, done after {1e3 * simulated.now():.2f} ms")

# %% [markdown]
# *The host is done with all three launches before the first piece of work is half done.*
#
# **Predict:** a product takes a GPU 2 ms. What does a timer show that reads the clock, calls, and
# reads the clock again?

# %%
check.predict("what a timer shows that does not wait", "", "about 2 ms", "far less", "far more")

# %%
simulated = Simulated([0.002])
start = simulated.now()
simulated.call()
shown = simulated.now() - start
print(f"the timer shows {1e3 * shown:.3f} ms")
answer = "far less" if shown < 0.001 else "far more" if shown > 0.003 else "about 2 ms"
check.measured("what a timer shows that does not wait", answer)

# %% [markdown]
# Two things more disturb. The first call of all is slow: kernels are compiled or loaded, memory is
# allocated; so some calls come before those that count, the **warm-up**. And any single time may be off, if
# the machine has something else to do.
#
# Four timers. Each has one fault, and one only:


# %%
def timer_1(f: Callable[[], object], device, repeats: int) -> float:
    f()
    times = []
    for _ in range(repeats):
        start = device.now()
        f()
        device.synchronize()
        times.append(device.now() - start)
    return statistics.median(times[:1])  # one is enough


def timer_2(f: Callable[[], object], device, repeats: int) -> float:
    f()
    device.synchronize()
    times = []
    for _ in range(repeats):
        start = device.now()
        f()
        times.append(device.now() - start)
        device.synchronize()
    return statistics.median(times)


# %%
def timer_3(f: Callable[[], object], device, repeats: int) -> float:
    f()
    device.synchronize()
    times = []
    for _ in range(repeats):
        start = device.now()
        f()
        device.synchronize()
        times.append(device.now() - start)
    return sum(times) / repeats


def timer_4(f: Callable[[], object], device, repeats: int) -> float:
    device.synchronize()
    start = device.now()
    f()
    device.synchronize()
    return device.now() - start


# %%
for number, timer in enumerate((timer_1, timer_2, timer_3, timer_4), 1):
    simulated = Simulated([0.030, *[0.002] * 5, 0.040, *[0.002] * 5], queue=0.010)
    shown = timer(simulated.call, simulated, 9)
    print(f"timer_{number}: {1e3 * shown:6.3f} ms, where a call takes 2 ms")

# %% [markdown]
# ### Exercise 3 · Measuring — 1.75 points, 35 minutes, ●●○
# Name each timer's fault: `timer_a` is that of `timer_1`, `timer_b` that of `timer_2`, and so on.
#
# | | |
# |---|---|
# | `"launch"` | it reads the clock before the work is done |
# | `"first"` | the first call counts, with all that is slow about it |
# | `"queue"` | earlier work is still under way when the clock is started |
# | `"outlier"` | one time that is off moves the result |
#
# Then write one without a fault.
#
# <details><summary>Hint 1</summary>Before each reading of the clock ask: may the device still be
# busy?</details>
#
# <details><summary>Hint 2</summary><code>statistics.median</code> knows what to do with an even number of
# times.</details>

# %% nbgrader={"grade_id": "measure_timers", "solution": true}
timer_a = None  # "launch", "first", "queue" or "outlier"
timer_b = None
timer_c = None
timer_d = None
### BEGIN SOLUTION
timer_a, timer_b, timer_c, timer_d = "queue", "launch", "outlier", "first"
### END SOLUTION


# %% nbgrader={"grade_id": "measure_code", "solution": true}
def measure(f: Callable[[], object], device, repeats: int) -> float:
    """The median, in seconds, of `repeats` times that one call of f takes, its work included.

    Each of the last `repeats` calls is timed by itself, between two readings of the clock, on a device
    that has nothing else to do. The first call of all does not count.
    device: device.now() reads the clock, in seconds; device.synchronize() waits for all work to end.
    """
    ### BEGIN SOLUTION
    f()
    device.synchronize()
    times = []
    for _ in range(repeats):
        start = device.now()
        f()
        device.synchronize()
        times.append(device.now() - start)
    return statistics.median(times)
    ### END SOLUTION


# %% nbgrader={"grade_id": "measure", "grade": true, "points": 1.75}
check("measure")

# %%
with check.needs("measure"):
    simulated = Simulated([0.030, *[0.002] * 5, 0.040, *[0.002] * 5], queue=0.010)
    print(f"yours: {1e3 * measure(simulated.call, simulated, 9):.3f} ms, where a call takes 2 ms")
    slow = Simulated([0.006, 0.002, 0.002, 0.007, 0.002], launch=0.0004, queue=0.003)
    measure(slow.call, slow, 4)
    fig = figures.timeline(slow.spans, "Your timer: a slow first call, then four that count")
    plots.show(fig, alt="Launch, work and wait follow each other; nothing runs when a call begins.")

# %% [markdown]
# *Your timer on the simulated device (launches are longer here, to be seen). Each call that counts should
# begin when the device has nothing to do.*
#
# Now your machine. It has no data sheet with these two numbers, so they are measured: its peak is the
# most FLOPs a second that any of the six layers reached, its bandwidth the most bytes a second, of the
# layers or of a long copy.


# %%
def ready(operation: str, shape: tuple[int, ...]) -> Callable[[], object]:
    """The operation on random numbers, ready to be called."""
    if operation == "product":
        a, b = torch.randn(*shape[:2], device=here.kind), torch.randn(*shape[1:], device=here.kind)
        return lambda: a @ b
    if operation == "convolution":
        N, C, H, W, K, R, S = shape
        x, w = torch.randn(N, C, H, W, device=here.kind), torch.randn(K, C, R, S, device=here.kind)
        return lambda: F.conv2d(x, w)
    x = torch.randn(*shape[: 2 if operation == "softmax" else 1], device=here.kind)
    y = torch.empty_like(x)
    return lambda: torch.softmax(x, 1) if operation == "softmax" else torch.clamp_min(x, 0, out=y)


# %%
points = {}
with check.needs("count", "bound_by", "measure"):
    seconds = {name: measure(ready(*one), here, sizes.repeats) for name, one in layers.items()}
    work = {name: count(*one, "float32") for name, one in layers.items()}
    source = torch.randn(sizes.numbers, device=here.kind)
    target = torch.empty_like(source)
    copying = measure(lambda: target.copy_(source), here, sizes.repeats)
    traffic = [moved / seconds[name] for name, (_, moved) in work.items()]
    bandwidth = max([2 * source.nbytes / copying, *traffic])
    peak = max(flops / seconds[name] for name, (flops, _) in work.items())
    points = {name: (f / b, f / seconds[name]) for name, (f, b) in work.items()}
    bound = [bound_by(i, peak, bandwidth) for i, _ in points.values()]
    print(f"{peak / 1e9:,.0f} GFLOP/s, {bandwidth / 1e9:.1f} GB/s; ridge at {peak / bandwidth:.1f}")
    few = ("none", "1 or 2", "1 or 2", "3 or 4", "3 or 4", "5 or 6", "5 or 6")
    check.measured("how many of the six are memory-bound here", few[bound.count("memory")])

# %%
if points:
    fig = figures.roof(points, peak, bandwidth, "This machine, float32")
    plots.show(fig, alt="Six measured layers below, and near, the roofline of this machine.")

# %% [markdown]
# *Six layers, measured by your timer and counted by your `count`, under the roofline of this machine. A dotted
# line leads up to the roof.*
#
# On a CPU a **cache** near the cores keeps the last megabytes, and what fits there is faster than the memory.
# On a GPU the six are too large for that. What lies far below the roof is worth a look: does it compute more
# than it must, move more than it must, or wait for something else?

# %% [markdown]
# ## 4 · A kernel
# A **kernel** is what a GPU runs. It is written for a small part of the work, a **block** of numbers, and
# started many times at once: each start is a **program** with a number of its own. Programs run in any
# order, and none sees another.
#
# - `tl.program_id(0)`: the program's number.
# - `tl.arange(0, BLOCK)`: 0, 1, …, BLOCK − 1. BLOCK is a power of 2, and known beforehand.
# - `x_ptr` is where the array begins in the memory; `x_ptr + offsets` are places.
# - `tl.load(places, mask=…)`, `tl.store(places, values, mask=…)`: between memory and registers.

# %% [markdown]
# The **mask** says which lanes of the block take part. The last block is rarely full, and behind the end of
# an array lies somebody else's. What a mask leaves out of a load is anything at all, unless
# `other=…` says what stands there.
#
# A kernel that negates 100 numbers in blocks of 32:


# %%
@jit
def negate_kernel(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, -x, mask=mask)


# %%
x = torch.arange(100.0, device=here.kind)
out = torch.empty_like(x)
launch(negate_kernel, 4, x, out, 100, 32)
print("the last ones:", out[-3:].tolist())
memory = trace(negate_kernel, 4, x, out, 100, 32)
fig = figures.memory_map(memory, "negate_kernel: how often each number is touched, and by whom")
plots.show(fig, alt="100 boxes for x and for out, each touched once, in four blocks of 32.")
print(f"moved: {memory.bytes} bytes; 2 × 100 numbers of 4 bytes are {2 * 100 * 4}")

# %% [markdown]
# *Each box is a number, coloured by the program that touched it; the figure in it says how often.*
# `launch` runs a kernel: `negate_kernel[(4,)](x, out, 100, 32)` is how Triton writes it. (It first looks
# whether all places lie inside, which nobody does for you on a GPU.) `trace` runs its text on a machine that
# notes every load and store. `jit` is Triton's own, where there is one.

# %% [markdown]
# ### Exercise 4 · Two operations, one kernel — 1.25 points, 25 minutes, ●●○
# In a residual network ReLU follows a sum: $out = \max(x + y,\, 0)$. As two kernels, the sum goes into the
# memory and comes back. Write one. (**Fusion** is the name for that.)
#
# Graded are values, and that each number is moved once. The check runs your kernel's text, with programs in
# a random order. `@jit` stays above the kernel: a GPU compiles what it marks.
#
# <details><summary>Hint 1</summary>It has the lines of <code>negate_kernel</code>, with one load more, and
# another value to store.</details>
#
# <details><summary>Hint 2</summary>How many programs: the last block needs one also if it is not full.
# <code>tl.maximum(a, b)</code> compares number by number.</details>


# %% nbgrader={"grade_id": "relu_add_code", "solution": true}
def programs(n: int, block: int) -> int:
    """How many programs n numbers take, n ≥ 1, with `block` for each.

    >>> programs(100, 32)
    4
    """
    ### BEGIN SOLUTION
    return -(-n // block)
    ### END SOLUTION


# %% nbgrader={"grade_id": "relu_add_kernel_code", "solution": true}
@jit
def relu_add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """Store max(x + y, 0) to out, for one block of the n numbers of each.

    x_ptr, y_ptr, out_ptr: where the three arrays of float32 begin. BLOCK: a power of 2.
    """
    ### BEGIN SOLUTION
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, tl.maximum(x + y, 0.0), mask=mask)
    ### END SOLUTION


# %% nbgrader={"grade_id": "relu_add", "grade": true, "points": 1.25}
check("relu_add")

# %%
with check.needs("programs", "relu_add_kernel"):
    x, y = torch.randn(2, 70, device=here.kind)
    out = torch.empty_like(x)
    launch(relu_add_kernel, programs(70, 16), x, y, out, 70, 16)
    gap = (out - torch.relu(x + y)).abs().max().item()
    memory = trace(relu_add_kernel, programs(70, 16), x, y, out, 70, 16)
    print(f"farthest from torch's: {gap:.1e}; moved {memory.bytes} bytes")
    fig = figures.memory_map(memory, "Your relu_add_kernel, n = 70, BLOCK = 16")
    plots.show(fig, alt="Three arrays of 70 boxes; in a fused kernel each box has a 1 in it.")

# %% [markdown]
# With n numbers, the two kernels of `torch.relu(x + y)` load 2n and store n, then load n and store n: 5n. Yours
# moves 3n. On a GPU, where both are memory-bound, that is the time saved. This cell measures it, if there is
# a GPU; an interpreted kernel says nothing about time.

# %%
if not INTERPRETED and here.kind == "cuda":
    with check.needs("measure", "programs", "relu_add_kernel"):
        x, y = torch.randn(2, sizes.numbers, device="cuda")
        out = torch.empty_like(x)
        grid = (programs(x.numel(), 1024),)
        ours = measure(lambda: relu_add_kernel[grid](x, y, out, x.numel(), 1024), here, 30)
        theirs = measure(lambda: torch.relu(x + y), here, 30)
        print(
            f"one kernel {1e3 * ours:.2f} ms, two kernels {1e3 * theirs:.2f} ms: {theirs / ours:.2f}×"
        )
else:
    print("No GPU here: this cell times compiled kernels.")

# %% [markdown]
# ## 5 · Softmax in one kernel
# The softmax of a row takes five steps: maximum, subtraction, exp, sum, division. As five kernels, for M rows
# of N numbers, they load 5MN + 2M numbers and store 3MN + 2M: count along.
#
# **Predict:** one kernel loads and stores each number once. How many times fewer numbers does it move?

# %%
check.predict("how many times less traffic", "", "about 2", "about 4", "about 8")

# %% [markdown]
# ### Exercise 5 · Fused softmax — 1.75 points, 30 minutes, ●●●
# One program takes one whole row; a row fits into a block. `tl.max(x, axis=0)` and `tl.sum(x, axis=0)` reduce
# a block to one number, in registers. Row r begins at r · `row_stride`: between two rows there may be
# numbers of somebody else's.
#
# Lab 02's trap is still open: exp of a large number is infinite.
#
# <details><summary>Hint 1</summary>The row's places: where the row begins, plus 0, 1, …, BLOCK − 1, as far as
# there are columns.</details>
#
# <details><summary>Hint 2</summary>Lanes beyond the row take part in maximum and sum. Which number changes
# neither, after exp? <code>-float("inf")</code> is one that can be loaded with
# <code>other=…</code>.</details>


# %% nbgrader={"grade_id": "softmax_kernel_code", "solution": true}
@jit
def softmax_kernel(x_ptr, out_ptr, row_stride, columns, BLOCK: tl.constexpr):
    """Store the softmax of one row of x to the same row of out; the program's number is the row's.

    Row r of either begins row_stride · r numbers after x_ptr or out_ptr, and has `columns` numbers of
    float32, of any size. BLOCK: a power of 2, at least `columns`.
    """
    ### BEGIN SOLUTION
    offsets = tl.arange(0, BLOCK)
    places = tl.program_id(0) * row_stride + offsets
    mask = offsets < columns
    x = tl.load(x_ptr + places, mask=mask, other=-float("inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(out_ptr + places, e / tl.sum(e, axis=0), mask=mask)
    ### END SOLUTION


# %% nbgrader={"grade_id": "softmax_kernel", "grade": true, "points": 1.75}
check("softmax_kernel")

# %% tags=["headline"]
with check.needs("softmax_kernel"):
    x = 30 * torch.randn(4, 24, device=here.kind)
    out = torch.empty_like(x)
    launch(softmax_kernel, 4, x, out, 24, 24, 32)
    gap = (out - torch.softmax(x, 1)).abs().max().item()
    memory = trace(softmax_kernel, 4, x, out, 24, 24, 32)
    moved, five = memory.bytes // 4, 8 * 4 * 24 + 4 * 4
    print(f"farthest from torch's: {gap:.1e}; numbers moved: {moved}, by five kernels {five}")
    print(f"{five / moved:.1f} times less traffic than five kernels (target 4)")
    words = {2: "about 2", 4: "about 4", 8: "about 8"}
    check.measured("how many times less traffic", words.get(round(five / moved), "other"))
    fig = figures.memory_map(memory, "Your softmax_kernel, 4 rows of 24", columns=24)
    plots.show(fig, alt="Four rows of x and out, a program for each row.")

# %%
kernels = {"maximum": (1, 0), "subtract": (1, 1), "exp": (1, 1), "sum": (1, 0), "divide": (1, 1)}
five = {name: 96 * (loads + stores) for name, (loads, stores) in kernels.items()}
with check.needs("softmax_kernel"):
    bars = {"five kernels": five, "yours": {"fused": memory.bytes // 4}}
    fig = figures.traffic(bars)
    plots.show(fig, alt="Five kernels move about four times as many numbers as one.")

# %% [markdown]
# *Numbers loaded and stored for 4 rows of 24 (without the one number a row that maximum and sum pass on).* A
# chain of small operations on a GPU costs what it moves, not what it computes.
#
# For rows longer than a block the maximum is not known before the row has been read. The way out, a running
# maximum whose sum is corrected as it grows (Milakov and Gimelshein 2018), made fused attention possible.


# %%
def five_kernels(x: torch.Tensor) -> torch.Tensor:
    e = torch.exp(x - x.max(1, keepdim=True).values)
    return e / e.sum(1, keepdim=True)


if not INTERPRETED and here.kind == "cuda":
    with check.needs("measure", "softmax_kernel"):
        x = torch.randn(sizes.numbers // 1024, 1024, device="cuda")
        out = torch.empty_like(x)
        ours = measure(lambda: softmax_kernel[(len(x),)](x, out, 1024, 1024, 1024), here, 30)
        by_five = measure(lambda: five_kernels(x), here, 30)
        torchs = measure(lambda: torch.softmax(x, 1), here, 30)
        print(f"{1e3 * ours:.2f} ms; five kernels {1e3 * by_five:.2f}; torch {1e3 * torchs:.2f}")
        print(f"{2 * x.nbytes / ours / 1e12:.2f} TB/s: compare with your card's data sheet")
else:
    print("No GPU here: this cell times compiled kernels.")

# %% [markdown]
# ## 6 · Neighbours read neighbours
# A GPU's threads run in groups of 32, a **warp**, in step: at a load, 32 addresses go out at once. The memory
# answers in whole **lines**: pieces of 32 bytes that begin at multiples of 32. (NVIDIA's guide counts so
# for cards from 2016 on.) A line that several threads touch is fetched once.
# Addresses that fall into few lines are **coalesced**.

# %%
lanes = np.arange(32)
patterns = {
    "4 bytes each, one after the other: 4 lines": 4 * lanes,
    "the same, 4 bytes further on: 5 lines": 4 * lanes + 4,
    "every fourth number: 16 lines, three quarters of each for nothing": 16 * lanes,
}
fig = figures.lines_touched(patterns, size=4, line=32)
plots.show(
    fig, alt="Boxes of 32 bytes; neighbours fill four of them, a stride of four spreads over 16."
)

# %% [markdown]
# *Black: the 32 numbers of a warp. Blue: the lines that are fetched.*
#
# ### Exercise 6 · Coalescing — 1 point, 20 minutes, ●●○
# Write `transactions`. Then by hand, for lines of 32 bytes. 1,000 points have 8 fields of 4 bytes (x, y, z, …); a
# warp reads the x of 32 points that follow each other, from the first point on. Arrays begin where a line begins.
#
# - `structures_take`: how many lines, if each point's 8 fields lie together (an **array of structures**)?
# - `arrays_take`: how many, if all x lie together, then all y (a **structure of arrays**)?

# %% [markdown]
# - `slower`: a matrix of (4096, 4096) float32 lies in the memory row after row. One kernel sums its `"rows"`,
#   a thread for each row, which goes along it. The other sums its `"columns"`, a thread for each column.
#   Which is far slower, or are they `"alike"`?
#
# <details><summary>Hint 1</summary>Of each access, where is its first byte, and where its last?</details>
#
# <details><summary>Hint 2</summary>For <code>slower</code>: write down the addresses of threads 0, 1, 2 at
# the <i>same</i> step.</details>

# %% nbgrader={"grade_id": "transactions_by_hand", "solution": true}
structures_take = None  # a whole number
arrays_take = None  # a whole number
slower = None  # "rows", "columns" or "alike"
### BEGIN SOLUTION
structures_take = 32
arrays_take = 4
slower = "rows"
### END SOLUTION


# %% nbgrader={"grade_id": "transactions_code", "solution": true}
def transactions(addresses: NDArray[np.int64], size: int, line: int) -> int:
    """How many lines of the memory a warp's accesses touch.

    addresses: (32,), the first byte of each thread's access; size: bytes of an access. Lines are
    `line` bytes long and begin at multiples of that.
    >>> transactions(np.arange(32) * 4, 4, 32)
    4
    """
    ### BEGIN SOLUTION
    first, last = addresses // line, (addresses + size - 1) // line
    return len({n for a, b in zip(first, last, strict=True) for n in range(a, b + 1)})
    ### END SOLUTION


# %% nbgrader={"grade_id": "transactions", "grade": true, "points": 1}
check("transactions")

# %%
with check.needs("transactions"):
    by_stride = {k: transactions(4 * k * lanes, 4, 32) for k in (1, 2, 4, 8, 16, 32)}
    print("lines of 32 bytes by stride:", by_stride)
    print("asked for: 128 bytes; fetched:", {k: 32 * count for k, count in by_stride.items()})

# %% [markdown]
# From a stride of 8 on, each thread has a line of its own. It cannot get worse.
#
# A CPU fetches lines, too, mostly of 64 bytes. Below, this machine reads every k-th number of a long array, always
# equally many of them.
#
# **Predict:** from which stride on does it hardly get slower?

# %%
check.predict("where does the curve flatten", "", "from 2 on", "from 16 on", "from 256 on")


# %%
def time_of_stride(k: int) -> float:
    """Seconds for each number, with every k-th of a long array read."""
    x = torch.ones(2**15 * 512)  # 64 MiB: more than most caches
    start, some = Here(), x[::k][: 2**15 * 2] if k < 256 else x[::k]
    seconds = [0.0] * 7
    for i in range(7):
        x.add_(1)  # what is in the caches now is the end of x
        before = start.now()
        some.sum()
        seconds[i] = start.now() - before
    return min(seconds) / len(some)


# %%
times = {k: time_of_stride(k) for k in (1, 2, 4, 8, 16, 32, 64, 128)}
plots.show(figures.strides(times, "every k-th"), alt="Time for one number over the stride.")
for k in (4, 16, 64):
    print(f"stride {k:3}: {times[k] / times[1]:5.1f} times as long as neighbours")
reached = min(k for k in times if times[k] > 0.6 * max(times.values()))
answer = "from 2 on" if reached < 8 else "from 16 on" if reached <= 64 else "from 256 on"
check.measured("where does the curve flatten", answer)

# %% [markdown]
# *How long one number takes, over how far apart the numbers are.* With a stride of 16 numbers, 64 bytes, every
# number has a line of its own, and most of the line is fetched for nothing. (The curve rises a little further, as
# the machine finds its way through more and more memory.)

# %% [markdown]
# ## 7 · Half the bytes
# Numbers of 16 bits are half the traffic, and a GPU's matrix units are made for them. There are two kinds.
# **float16** has 10 binary digits after the point and exponents from −14 to 15; below, numbers lose digits down to
# 2⁻²⁴, and then are 0. **bfloat16** has float32's exponents and only 7 digits.

# %%
for value in (1e-9, 3e-8, 1 + 1 / 256, 70000.0):
    both = [torch.tensor(value).to(kind).item() for kind in (torch.float16, torch.bfloat16)]
    print(f"{value:<12g} float16 {both[0]:<14.8g} bfloat16 {both[1]:.8g}")

# %% [markdown]
# Gradients are small numbers. A network of sixteen layers on digits, trained for some steps, has these:


# %%
def gradients_while_training(steps: int) -> list[Array]:
    """All gradients of a network, as one array for each step."""
    torch.manual_seed(0)
    data = digits.load()
    x, y = torch.from_numpy(data.train_x).flatten(1), torch.from_numpy(data.train_y)
    units = [x.shape[1], *[48] * 15, 10]
    pieces = [p for a, b in pairwise(units) for p in (nn.Linear(a, b), nn.Tanh())]
    network = nn.Sequential(*pieces[:-1])
    optimizer, found = torch.optim.SGD(network.parameters(), lr=0.3, momentum=0.9), []
    for _ in range(steps):
        batch = torch.randint(len(x), (128,))
        optimizer.zero_grad()
        F.cross_entropy(network(x[batch]), y[batch]).backward()
        found.append(torch.cat([p.grad.flatten() for p in network.parameters()]).numpy())
        optimizer.step()
    return found


# %%
steps = gradients_while_training(sizes.steps)
gradients = steps[-1]
fig = figures.exponents(gradients, 1024.0)
plots.show(fig, alt="Sizes of gradients by powers of two; a part lies left of float16's end.")

# %% [markdown]
# *Sizes of one step's gradients. Left of the first line they become 0 in float16.*
#
# **Loss scaling** is one multiplication: the loss times 1,024, say, makes every gradient 1,024 times as large, and
# moves them to the right. Before the step the gradients, now float32, are divided again. The right scale is
# found while training: if a gradient is not finite, the step is skipped and the scale halved; after enough
# good steps, it is doubled.

# %% [markdown]
# ### Exercise 7 · Loss scale — 1 point, 30 minutes, ●●○
# Weights stay in float32: these are the **master weights**. To −1.5 · 10⁻⁴, a step of 10⁻⁹ makes no difference in
# float16.
#
# <details><summary>Hint 1</summary>What is lost is lost in <code>astype(np.float16)</code>. Multiply
# before it.</details>
#
# <details><summary>Hint 2</summary><code>np.isfinite</code> is False for ∞, −∞ and NaN. Divide in
# float32.</details>


# %% nbgrader={"grade_id": "loss_scale_code", "solution": true}
def lost_share(gradients: Array, scale: float) -> float:
    """Of the gradients that are not 0, the share that is 0 in float16 once the loss is scaled.

    gradients: (n,) float32, of the loss without a scale. Without any that is not 0: 0.
    >>> lost_share(np.array([0.0, 1e-9, 1e-3, 0.5], dtype=np.float32), 1.0)
    0.3333333333333333
    """
    ### BEGIN SOLUTION
    some = gradients[gradients != 0]
    return float(np.mean((some * scale).astype(np.float16) == 0)) if some.size else 0.0
    ### END SOLUTION


def scaled_step(
    w: Array, gradients: Array, scale: float, good: int, lr: float, every: int
) -> tuple[Array, float, int]:
    """A step of gradient descent from float16 gradients of the loss times scale.

    w: (n,) float32; gradients: (n,) float16; good: how many good steps there were since the scale was
    last changed. Returns the new w (float32), scale and good; the arguments are left as they were.
    If any gradient is not finite: w as it is, half the scale, 0. Otherwise the step is taken, with the
    gradients of the loss itself; if that makes `every` good steps: twice the scale, 0.
    """
    ### BEGIN SOLUTION
    if not np.isfinite(gradients).all():
        return w.copy(), scale / 2, 0
    w = w - np.float32(lr) * (gradients.astype(np.float32) / np.float32(scale))
    return (w, 2 * scale, 0) if good + 1 == every else (w, scale, good + 1)
    ### END SOLUTION


# %% nbgrader={"grade_id": "loss_scale", "grade": true, "points": 1}
check("loss_scale")

# %%
with check.needs("lost_share"):
    for power in (0, 4, 8, 12, 16, 20, 24):
        over = np.mean(np.abs(gradients * 2.0**power) > 65504)
        with np.errstate(over="ignore"):
            lost = lost_share(gradients, 2.0**power)
        print(f"scale 2^{power:<3} lost {lost:7.3%}  infinite {over:.3%}")

# %%
with check.needs("scaled_step"):
    w, loss_scale, good, scales, skipped = np.zeros_like(gradients), 2.0**24, 0, [], []
    for number, gradient in enumerate(steps):
        with np.errstate(over="ignore"):
            half = (gradient * np.float32(loss_scale)).astype(np.float16)
        scales.append(loss_scale)
        before = loss_scale
        w, loss_scale, good = scaled_step(w, half, loss_scale, good, 0.1, 12)
        skipped += [number] if loss_scale < before else []
    fig = figures.scale_by_step(scales, skipped)
    plots.show(fig, alt="The scale falls at first, then doubles, and is halved at each overflow.")
    print(
        f"{len(skipped)} of {len(steps)} steps skipped; the scale ends at 2^{math.log2(loss_scale):g}"
    )

# %% [markdown]
# *Your `scaled_step` on the gradients of the run above, with a scale that is too large at first, and doubles
# after 12 good steps (PyTorch waits for 2,000).* Each cross is a step lost. With bfloat16 none of that is
# needed: its exponents reach as far as float32's. That is why most large networks are trained with it.

# %% [markdown]
# ## 8 · Reading a profile
# A **profile** notes what host and device did when. Below are two steps of training, of a small network on the
# simulated device (its durations are made up, of the size that they have on a GPU; the real ones come from
# `torch.profiler`, further down).

# %%
device = training_steps()
waits = [span.end for span in device.spans if span.name == "wait"]
fig = figures.timeline(device.spans, "Two steps of training", start=waits[0], until=waits[2])
plots.show(
    fig, alt="The host prepares a batch while the device idles; then kernels follow closely."
)
last = [span for span in device.spans if span.start >= waits[1]]
for side in ("host", "device"):
    names = dict.fromkeys(span.name for span in last if span.where == side)
    for name in names:
        here_too = [
            span.end - span.start for span in last if (span.where, span.name) == (side, name)
        ]
        print(f"{side:6} {name:14} {len(here_too):3} times {1e6 * sum(here_too):7.0f} µs in all")
print(f"one step: {1e6 * (waits[2] - waits[1]):.0f} µs")

# %% [markdown]
# ### Exercise 8 · Reading a profile — 0.75 points, 15 minutes, ●●○
# Of one step, from one wait's end to the next:
#
# - `device_idle`: the share of the time in which the device does nothing, to two digits.
# - `dominant`: which work takes most of the device's time?
# - `waits_for`: what does the device wait for, most of its idle time?
# - `remedy`: what shortens the step most?
#
# <details><summary>Hint 1</summary>The device's rows of the printed table add up to the time in which it
# works.</details>

# %% [markdown]
# | | |
# |---|---|
# | `dominant` | `"copy"`, `"product"`, `"relu"`, `"optimizer"` |
# | `waits_for` | `"batch"` (the next one is not ready), `"launch"` (kernels are shorter than their launches), `"copy"` (numbers on their way), `"loss"` (it is read on the host) |
# | `remedy` | `"prefetch"` (other processes prepare batches), `"fuse"` (one kernel for the optimizer), `"bfloat16"` (products of half the bytes), `"faster device"` |

# %% nbgrader={"grade_id": "read_a_profile_words", "solution": true}
device_idle = None  # between 0 and 1
dominant = None
waits_for = None
remedy = None
### BEGIN SOLUTION
device_idle = 1 - (60 + 1000 + 28 + 12 + 48) / 2454  # of the printed table, in µs
dominant, waits_for, remedy = "product", "batch", "prefetch"
### END SOLUTION

# %% nbgrader={"grade_id": "read_a_profile", "grade": true, "points": 0.75}
check("read_a_profile")

# %%
ways = {"as it was": {}, "fused": {"fused": True}, "prefetched": {"prefetched": True}}
ways["both"] = {"fused": True, "prefetched": True}
for name, way in ways.items():
    changed = training_steps(**way)
    ends = [span.end for span in changed.spans if span.name == "wait"]
    print(f"{name:11} one step {1e6 * (ends[-1] - ends[-2]):5.0f} µs")

# %% [markdown]
# A real one: some calls on this machine, as `torch.profiler` saw them. On a GPU the kernels are in it, too, and
# `export_chrome_trace` writes a file that [Perfetto](https://ui.perfetto.dev) draws like the picture above.

# %%
from torch.profiler import ProfilerActivity, profile

os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # only what is wrong
kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (here.kind == "cuda")
x, w = torch.randn(2, 256, 256, device=here.kind)
with profile(activities=kinds) as seen:
    for _ in range(20):
        x = torch.softmax(torch.relu(x @ w), 1)
    here.synchronize()
events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
for event in events[:5]:
    print(f"{event.key:24} {event.count:4} calls {event.self_cpu_time_total:9.0f} µs of its own")

# %% [markdown]
# ## 9 · Experiments
# - Give `relu_add_kernel` a mask that is wrong by one, and look at `trace`'s words, and at the picture.
# - Write a kernel for `x * sigmoid(x)`. How many kernels does `x * torch.sigmoid(x)` take, how many bytes?
# - Change `sizes.numbers`: from which size on does ReLU not fit into this machine's caches? Where is its point
#   then, against the roof?
# - Set the launch of `Simulated` to 50 µs and run `training_steps`' kernels again. What dominates now?
# - With a GPU: measure the six layers in bfloat16. Which of them become twice as fast, and why those?

# %% [markdown]
# ## 10 · What you built is called
# | yours | elsewhere |
# |---|---|
# | `count` | `torch.utils.flop_counter.FlopCounterMode` |
# | `roofline` | the roofline chart of Nsight Compute |
# | `measure` | `torch.utils.benchmark.Timer`, `triton.testing.do_bench` |
# | `relu_add_kernel`, `softmax_kernel` | what `torch.compile` writes: Triton kernels, fused |
# | `transactions` | sectors per request, in Nsight Compute |
# | `lost_share`, `scaled_step` | `torch.amp.GradScaler`, `torch.autocast` |
# | the profile | `torch.profiler.profile`, Nsight Systems |

# %%
from torch.utils.flop_counter import FlopCounterMode

with check.needs("count"):
    a, b = torch.randn(300, 400, device=here.kind), torch.randn(400, 500, device=here.kind)
    x, w = torch.randn(2, 3, 20, 20, device=here.kind), torch.randn(4, 3, 5, 5, device=here.kind)
    with FlopCounterMode(display=False) as counter:
        a @ b
        F.conv2d(x, w)
    yours = count("product", (300, 400, 500), "float32")[0]
    yours += count("convolution", (2, 3, 20, 20, 4, 5, 5), "float32")[0]
    print(
        f"FLOPs of a product and a convolution: yours {yours}, torch's {counter.get_total_flops()}"
    )

# %% [markdown]
# ## 11 · Further
# - Williams, Waterman, Patterson (2009), *Roofline: an insightful visual performance model for multicore
#   architectures*, Communications of the ACM 52(4), [10.1145/1498765.1498785](https://doi.org/10.1145/1498765.1498785).
# - Tillet, Kung, Cox (2019), *Triton: an intermediate language and compiler for tiled neural network
#   computations*, [10.1145/3315508.3329973](https://doi.org/10.1145/3315508.3329973). Its tutorial *Fused
#   softmax* counts 8MN + 4M numbers against 2MN: your picture of section 5.
# - Milakov, Gimelshein (2018), *Online normalizer calculation for softmax*,
#   [arXiv:1805.02867](https://arxiv.org/abs/1805.02867).

# %% [markdown]
# - Dao and others (2022), *FlashAttention*, [arXiv:2205.14135](https://arxiv.org/abs/2205.14135): attention as
#   one kernel, counted in reads and writes.
# - Micikevicius and others (2018), *Mixed precision training*,
#   [arXiv:1710.03740](https://arxiv.org/abs/1710.03740): master weights and loss scaling. Compare their
#   histograms with yours.
# - NVIDIA, *CUDA C++ best practices guide*, on coalesced access to global memory: a warp's accesses take as
#   many transactions of 32 bytes as they touch.
#
# **Next:** in lab 12 several such devices train one network, and messages between them become the
# traffic.

# %%
progress()
