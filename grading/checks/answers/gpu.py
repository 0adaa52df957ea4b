"""The answers of lab 11: the right ones, and what people get wrong about a GPU."""

import math
import statistics
import sys

import numpy as np

from grading.checks.mistakes import Known, Mistake, Table, variants
from utils.kernels.device import training_steps

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


def count(operation, shape, dtype):
    size = BYTES[dtype]
    if operation == "product":
        M, K, N = shape
        return 2 * M * K * N, size * (M * K + K * N + M * N)
    if operation == "convolution":
        N, C, H, W, K, R, S = shape
        P, Q = H - R + 1, W - S + 1
        return 2 * N * K * P * Q * C * R * S, size * (N * C * H * W + K * C * R * S + N * K * P * Q)
    if operation == "softmax":
        rows, columns = shape
        return 5 * rows * columns, size * 2 * rows * columns
    n, links = shape
    return n * links, size * 2 * n * links


def roofline(intensity, peak, bandwidth):
    return min(peak, intensity * bandwidth)


def bound_by(intensity, peak, bandwidth):
    return "memory" if intensity * bandwidth < peak else "compute"


def smallest_batch(inputs, outputs, size, peak, bandwidth):
    needed = size * peak / bandwidth
    room = 2 * inputs * outputs - needed * (inputs + outputs)
    return math.ceil(needed * inputs * outputs / room) if room > 0 else 0


ridge_h100 = 989.4e12 / 3.35e12


def measure(f, device, repeats):
    f()
    device.synchronize()
    times = []
    for _ in range(repeats):
        start = device.now()
        f()
        device.synchronize()
        times.append(device.now() - start)
    return statistics.median(times)


timer_a, timer_b, timer_c, timer_d = "queue", "launch", "outlier", "first"


def programs(n, block):
    return -(-n // block)


def relu_add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK):
    raise NotImplementedError  # a text is what is judged


softmax_kernel = relu_add_kernel


def transactions(addresses, size, line):
    touched = set()
    for address in addresses.tolist():
        touched |= set(range(address // line, (address + size - 1) // line + 1))
    return len(touched)


structures_take, arrays_take, slower = 32, 4, "rows"


def lost_share(gradients, scale):
    some = gradients[gradients != 0]
    return float(np.mean((some * scale).astype(np.float16) == 0)) if some.size else 0.0


def scaled_step(w, gradients, scale, good, lr, every):
    if not np.isfinite(gradients).all():
        return w.copy(), scale / 2, 0
    w = w - np.float32(lr) * (gradients.astype(np.float32) / np.float32(scale))
    return (w, 2 * scale, 0) if good + 1 == every else (w, scale, good + 1)


def idle_share(device):
    """In the last of the steps, from one wait's end to the next."""
    ends = [b.end for b in device.spans if b.name == "wait"]
    start, end = ends[-2], ends[-1]
    busy = sum(b.end - b.start for b in device.spans if b.where == "device" and b.start >= start)
    return 1 - busy / (end - start)


device_idle = idle_share(training_steps())
dominant, waits_for, remedy = "product", "batch", "prefetch"

# Misconceptions

_count, _count_otherwise = variants(
    "count",
    """
def count(operation, shape, dtype):
    size = {size}
    if operation == "product":
        M, K, N = shape
        return {product}, size * ({product_bytes})
    if operation == "convolution":
        N, C, H, W, K, R, S = shape
        P, Q = {places}
        x, w, y = N * C * H * W, K * C * R * S, N * K * P * Q
        return {convolution}, size * ({convolution_bytes})
    if operation == "softmax":
        rows, columns = shape
        return {softmax}, size * {softmax_bytes}
    n, links = shape
    return {chain}, size * {chain_bytes}
""",
    size="{'float64': 8, 'float32': 4, 'bfloat16': 2, 'float16': 2}[dtype]",
    product="2 * M * K * N",
    product_bytes="M * K + K * N + M * N",
    places="H - R + 1, W - S + 1",
    convolution="2 * y * C * R * S",
    convolution_bytes="x + w + y",
    softmax="5 * rows * columns",
    softmax_bytes="2 * rows * columns",
    chain="n * links",
    chain_bytes="2 * n * links",
)
_ALL4 = "float32 has 4 bytes, float64 8, and the two short ones 2: what does dtype say?"
_COUNT = [
    _count("always 4 bytes", 0, _ALL4, size="4"),
    _count(
        "divided by 8",
        0,
        "BYTES holds bytes, not bits: there is nothing to divide by 8.",
        size="{'float64': 8, 'float32': 4, 'bfloat16': 2, 'float16': 2}[dtype] / 8",
    ),
    _count(
        "bits",
        0,
        "Those are bits: a byte has 8.",
        size="{'float64': 64, 'float32': 32, 'bfloat16': 16, 'float16': 16}[dtype]",
    ),
    _count(
        "numbers",
        0,
        "Those are numbers, not bytes: each has as many bytes as dtype says.",
        size="1",
    ),
    _count(
        "multiplications alone",
        0.9,
        "Those are the multiplications: each product is added as well, and counts two.",
        product="M * K * N",
    ),
    _count(
        "one addition fewer",
        0.9,
        "A sum of K products starts from 0 here: K additions, not K − 1.",
        product="(2 * K - 1) * M * N",
    ),
    _count(
        "output only", 0.9, "That is the output: both inputs are read, too.", product_bytes="M * N"
    ),
    _count(
        "inputs only",
        0.9,
        "Those are the inputs: the output is written, too.",
        product_bytes="M * K + K * N",
    ),
    _count(
        "read for each",
        0.9,
        "Each number is counted as often as it is used; asked for is the least, each once.",
        product_bytes="2 * M * K * N + M * N",
    ),
    _count(
        "K for N",
        0.9,
        "The second matrix is (K, N), and the output (M, N).",
        product_bytes="M * K + M * N + M * N",
    ),
    _count(
        "written twice",
        0.9,
        "The output is counted twice: it is only written.",
        product_bytes="M * K + K * N + 2 * M * N",
    ),
    *(
        _count(
            f"no brackets {at}",
            0.9,
            "The bytes of a number multiply one term only: put the sum of all three in brackets.",
            product_bytes=some,
        )
        for at, some in enumerate(
            ("M * K + (K * N + M * N) / size", "(M * K + K * N) / size + M * N")
        )
    ),
    _count(
        "the second matrix twice",
        0.9,
        "The output has M · N numbers, the second matrix K · N.",
        product_bytes="M * K + K * N + K * N",
    ),
    _count(
        "maps of one image",
        0.85,
        "The maps are those of one image: there are N.",
        convolution_bytes="x + w + y // N",
    ),
    _count(
        "three times",
        1.0,
        "That is three numbers moved for each; each is read once and written once.",
        softmax_bytes="3 * rows * columns",
    ),
    _count(
        "H twice",
        0.85,
        "An image is W wide: a filter fits at W − S + 1 places in a row.",
        places="H - R + 1, H - S + 1",
    ),
    _count(
        "R with W",
        0.85,
        "R rows of a filter move over H rows of an image, S over W.",
        places="H - S + 1, W - R + 1",
    ),
    _count(
        "images without channels",
        0.85,
        "An image has C channels: N · C · H · W numbers.",
        convolution_bytes="x // C + w + y",
    ),
    _count(
        "filters without channels",
        0.85,
        "Each filter spans all C channels: K · C · R · S numbers.",
        convolution_bytes="x + w // C + y",
    ),
    _count(
        "padded",
        0.85,
        "Without padding a filter of R rows fits at H − R + 1 places.",
        places="H, W",
    ),
    _count(
        "no + 1",
        0.85,
        "One place too few: the first place counts, H − R + 1.",
        places="H - R, W - S",
    ),
    _count("no channels", 0.85, "Each filter spans all C channels.", convolution="2 * y * R * S"),
    _count(
        "no filters",
        0.85,
        "There are K filters, and each makes a map of its own.",
        convolution="2 * N * P * Q * C * R * S",
    ),
    _count("one image", 0.85, "That is one image of N.", convolution="2 * K * P * Q * C * R * S"),
    _count(
        "multiplications of windows",
        0.85,
        "Those are the multiplications: each product is added as well, and counts two.",
        convolution="y * C * R * S",
    ),
    _count(
        "all pixels",
        0.85,
        "That is as if a filter fitted at every pixel: it fits at P × Q places.",
        convolution="2 * N * K * H * W * C * R * S",
    ),
    _count(
        "windows stored",
        0.85,
        "Those are im2col's windows: stored, they would be moved; at least, each pixel is read once.",
        convolution_bytes="N * P * Q * C * R * S + w + y",
    ),
    _count("no filters read", 0.85, "The filters are read, too.", convolution_bytes="x + y"),
    _count("no maps written", 0.85, "The maps are written, too.", convolution_bytes="x + w"),
    _count(
        "filters for each image",
        0.85,
        "The filters are the same for all images: at least, they are read once.",
        convolution_bytes="x + N * w + y",
    ),
    _count("one row", 1.0, "That is one row: there are `rows` of them.", softmax="5 * columns"),
    _count("one column", 1.0, "That is one number a row of `columns`.", softmax="5 * rows"),
    _count("one link's FLOPs", 1.0, "Each link does one operation for each number.", chain="n"),
    _count(
        "one a number",
        1.0,
        "That is one operation a number: the table has five.",
        softmax="rows * columns",
    ),
    _count(
        "exp and division",
        1.0,
        "Those are exp and division: the maximum, the subtraction and the sum count, too.",
        softmax="2 * rows * columns",
    ),
    _count(
        "without the maximum",
        1.0,
        "One of the five is missing: is the maximum, or the subtraction, left out?",
        softmax="4 * rows * columns",
    ),
    _count(
        "exact sums",
        1.0,
        "Sum and maximum start from nothing here: each is C operations a row, not C − 1.",
        softmax="5 * rows * columns - 2 * rows",
    ),
    _count(
        "once a row",
        1.0,
        "Maximum and sum take an operation for each number of a row, not one for the row.",
        softmax="3 * rows * columns + 2 * rows",
    ),
    _count(
        "softmax writes",
        1.0,
        "Each number is read once and written once: that is one of the two.",
        softmax_bytes="rows * columns",
    ),
    _count(
        "five kernels",
        1.0,
        "That is with what lies between the five written and read again; at least, each number is read and written once.",
        softmax_bytes="8 * rows * columns + 4 * rows",
    ),
    _count(
        "five times all",
        1.0,
        "That is with what lies between the five written and read again; at least, each number is read and written once.",
        softmax_bytes="10 * rows * columns",
    ),
    _count("one link", 1.0, "That is one link of the chain.", chain="n", chain_bytes="2 * n"),
    _count(
        "fused",
        1.0,
        "That is with the chain in one kernel; here each link reads and writes all n numbers.",
        chain_bytes="2 * n",
    ),
    _count("link writes", 1.0, "Each link reads n numbers and writes n.", chain_bytes="n * links"),
    _count(
        "links + 1",
        1.0,
        "What a link writes the next one reads again: that moves it twice.",
        chain_bytes="n * (links + 1)",
    ),
    _count_otherwise(
        "bytes first",
        0,
        "FLOPs first",
        product="size * (M * K + K * N + M * N)",
        product_bytes="2 * M * K * N / size",
        convolution="size * (x + w + y)",
        softmax="2 * size * rows * columns",
        chain="2 * size * n * links",
    ),
    Mistake(
        "count",
        "only the FLOPs",
        0,
        "tuple of 2",
        "def count(operation, shape, dtype): return 2 * math.prod(shape)",
    ),
]

_roof, _roof_otherwise = variants(
    "roofline",
    """
def roofline(intensity, peak, bandwidth): return {speed}
def bound_by(intensity, peak, bandwidth): return {bound}
def smallest_batch(inputs, outputs, size, peak, bandwidth):
    needed = {needed}
    room = {room}
    return {batch}
ridge_h100 = {ridge}
""",
    speed="min(peak, intensity * bandwidth)",
    bound='"memory" if intensity * bandwidth < peak else "compute"',
    needed="size * peak / bandwidth",
    room="2 * inputs * outputs - needed * (inputs + outputs)",
    batch="math.ceil(needed * inputs * outputs / room) if room > 0 else 0",
    ridge="989.4 / 3.35",
)
_RIDGE = "The ridge is at peak / bandwidth FLOPs a byte: neither at 1 nor at bandwidth / peak."
_ROOF = [
    _roof(
        "max",
        0.85,
        "That is the larger of the two: the slower of memory and arithmetic sets the pace.",
        speed="max(peak, intensity * bandwidth)",
    ),
    _roof(
        "sloping only",
        0.85,
        "That has no roof: no operation is faster than the peak.",
        speed="intensity * bandwidth",
    ),
    _roof(
        "flat only",
        0.85,
        "That is the peak: with few operations a byte, the memory is too slow for it.",
        speed="peak",
    ),
    _roof(
        "divided",
        0.85,
        "FLOPs a byte, times bytes a second, are FLOPs a second: multiply.",
        speed="min(peak, bandwidth / intensity)",
    ),
    _roof(
        "upside down",
        0.85,
        "FLOPs a byte, times bytes a second, are FLOPs a second: multiply.",
        speed="min(peak, intensity / bandwidth)",
    ),
    _roof(
        "the ridge",
        0.85,
        "That is the intensity of the ridge; asked for is a speed.",
        speed="peak / bandwidth",
    ),
    _roof(
        "harmonic",
        0.85,
        "The two work at the same time: the slower sets the pace, they do not add up.",
        speed="1 / (1 / peak + 1 / (intensity * bandwidth))",
    ),
    _roof(
        "a share",
        0.85,
        "That is the share of the peak; asked for are FLOPs a second.",
        speed="min(1, intensity * bandwidth / peak)",
    ),
    _roof(
        "room in whole numbers",
        0.9,
        "What is left of the 2 · inputs · outputs is no whole number: less than 1 is more than nothing.",
        room="int(2 * inputs * outputs - needed * (inputs + outputs))",
    ),
    _roof(
        "words exchanged",
        0.95,
        "The other way round: left of the ridge, below it, the memory is the limit.",
        bound='"compute" if intensity * bandwidth < peak else "memory"',
    ),
    _roof(
        "tie",
        0.95,
        "At the ridge itself the peak is reached: there it is bound by compute.",
        bound='"memory" if intensity * bandwidth <= peak else "compute"',
    ),
    _roof(
        "below 1",
        0.95,
        _RIDGE,
        bound='"memory" if intensity < 1 else "compute"',
    ),
    _roof(
        "always memory",
        0.95,
        "It depends on the intensity: compare it with peak / bandwidth.",
        bound='"memory"',
    ),
    _roof(
        "always compute",
        0.95,
        "It depends on the intensity: compare it with peak / bandwidth.",
        bound='"compute"',
    ),
    _roof_otherwise(
        "capital letters",
        0.95,
        '"memory" or "compute"',
        bound='"Memory" if intensity * bandwidth < peak else "Compute"',
    ),
    _roof(
        "weights only",
        0.9,
        "Those are the weights' bytes: inputs and outputs of the batch are moved as well.",
        room="2 * inputs * outputs",
    ),
    _roof(
        "inputs forgotten",
        0.9,
        "The batch's inputs are read, too: B × inputs numbers.",
        room="2 * inputs * outputs - needed * outputs",
    ),
    _roof(
        "outputs forgotten",
        0.9,
        "The batch's outputs are written, too: B × outputs numbers.",
        room="2 * inputs * outputs - needed * inputs",
    ),
    _roof(
        "no additions",
        0.9,
        "A product has two FLOPs for each of B · inputs · outputs.",
        room="inputs * outputs - needed * (inputs + outputs)",
    ),
    _roof("numbers for bytes", 0.9, "Each number has `size` bytes.", needed="peak / bandwidth"),
    _roof(
        "4 bytes",
        0.9,
        "Each number has `size` bytes, which need not be 4.",
        needed="4 * peak / bandwidth",
    ),
    _roof(
        "ridge for batch",
        0.9,
        "That is the ridge, in FLOPs a byte; asked for is the batch at which the layer reaches it.",
        batch="math.ceil(peak / bandwidth)",
    ),
    _roof(
        "rounded down",
        0.9,
        "At that batch the layer is still below the ridge: round up.",
        batch="int(needed * inputs * outputs / room) if room > 0 else 0",
    ),
    _roof(
        "rounded",
        0.9,
        "At that batch the layer is still below the ridge: round up.",
        batch="round(needed * inputs * outputs / room) if room > 0 else 0",
    ),
    _roof(
        "2 bytes",
        0.9,
        "A number has `size` bytes, which need not be 2.",
        needed="2 * peak / bandwidth",
    ),
    _roof(
        "rounded down and one more",
        0.9,
        "Where the division comes out even, that is one too many: math.ceil rounds up.",
        batch="int(needed * inputs * outputs / room) + 1 if room > 0 else 0",
    ),
    _roof(
        "tried up to 10,000",
        0.9,
        "There is such a batch, larger than all that were tried: solve for B instead.",
        batch="min(math.ceil(needed * inputs * outputs / room), 10000) % 10000 if room > 0 else 0",
    ),
    _roof(
        "bytes by FLOPs",
        0.95,
        _RIDGE,
        bound='"memory" if intensity < bandwidth / peak else "compute"',
    ),
    _roof(
        "the H100's ridge",
        0.95,
        "That is the H100's ridge, whatever the processor: compare with peak / bandwidth.",
        bound='"memory" if intensity < 989.4 / 3.35 else "compute"',
    ),
    _roof(
        "one more",
        0.9,
        "A smaller batch is enough, by one.",
        batch="math.ceil(needed * inputs * outputs / room) + 1 if room > 0 else 0",
    ),
    _roof_otherwise(
        "never negative",
        0.9,
        "never gets to the ridge, it is 0",
        batch="math.ceil(needed * inputs * outputs / room)",
    ),
    _roof(
        "sparse",
        1.05,
        "That is with sparsity, twice the speed for matrices half of zeros: take the dense figure.",
        ridge="1979 / 3.35",
    ),
    _roof("float32", 1.05, "That is float32's peak: asked for is bfloat16's.", ridge="66.9 / 3.35"),
    _roof(
        "upside down ridge",
        1.05,
        "It is upside down: FLOPs a second by bytes a second.",
        ridge="3.35 / 989.4",
    ),
    _roof("in different units", 1.05, "Tera is 10¹² in both: it cancels.", ridge="989.4e12 / 3.35"),
    _roof("tera by kilo", 1.05, "3.35 TB are 3.35 · 10¹² bytes.", ridge="989.4e12 / 3.35e9"),
    _roof(
        "tera by giga", 1.05, "That is TFLOP by GB: both in the same unit.", ridge="989.4 / 3350"
    ),
]

_measure, _measure_otherwise = variants(
    "measure",
    """
def measure(f, device, repeats):
    {warm}
    times = []
    for _ in range({rounds}):
        {before}
        start = device.now()
        {work}
        {after}
        times.append(device.now() - start)
    {end}
    return {result}
""",
    warm="f(); device.synchronize()",
    rounds="repeats",
    before="pass",
    work="f()",
    after="device.synchronize()",
    end="pass",
    result="statistics.median(times)",
)
_NO_WAIT = "That is how long the launch takes: the clock is read before the work is done."
_FIRST = "The first call is among those that count: it is slower than all others."
_BUSY = "When the clock is started the device is still busy with earlier work, which is counted as well: wait for its end first."
_TIMERS = {
    "launch": "That timer waits for the device before it reads the clock for the second time.",
    "first": "That timer calls f before it starts to count: the slow first call is not in it.",
    "queue": "When that timer reads the clock for the first time, the device has nothing to do.",
    "outlier": "That timer returns the middle one of its times: a single slow one changes little.",
}
_MEASURE = [
    _measure("no waiting", 0.4, _NO_WAIT, warm="f()", after="pass"),
    _measure("waits after warm-up only", 0.4, _NO_WAIT, after="pass"),
    _measure("waits before, not after", 0.4, _NO_WAIT, before="device.synchronize()", after="pass"),
    _measure("waits at the end", 0.4, _NO_WAIT, after="pass", end="device.synchronize()"),
    _measure("no warm-up", 1.15, _FIRST, warm="device.synchronize()"),
    _measure("cold", 0.85, _FIRST, warm="pass"),
    _measure("warm-up counted", 1.15, _FIRST, warm="device.synchronize()", rounds="repeats + 1"),
    _measure("warm-up not waited for", 0.4, _BUSY, warm="f()"),
    _measure(
        "one call fewer",
        1.45,
        "One call fewer counts than `repeats` says.",
        warm="f(); device.synchronize()",
        rounds="max(1, repeats - 1)",
    ),
    _measure(
        "mean",
        1.45,
        "That is the mean, which one slow call moves.",
        result="sum(times) / len(times)",
    ),
    _measure(
        "shortest", 1.45, "That is the shortest time; asked for is the median.", result="min(times)"
    ),
    _measure(
        "longest", 1.45, "That is the longest time; asked for is the median.", result="max(times)"
    ),
    _measure(
        "upper middle",
        1.45,
        "Of an even number of times the median lies between the middle two: their mean.",
        result="sorted(times)[len(times) // 2]",
    ),
    _measure(
        "lower middle",
        1.45,
        "Of an even number of times the median lies between the middle two: their mean.",
        result="sorted(times)[(len(times) - 1) // 2]",
    ),
    _measure(
        "not sorted",
        1.45,
        "The median is the middle one in order of size, not of time.",
        result="times[len(times) // 2]",
    ),
    _measure("all together", 0.4, "That is the time of all calls together.", result="sum(times)"),
    _measure(
        "milliseconds",
        0.4,
        "Those are milliseconds; asked for are seconds.",
        result="1000 * statistics.median(times)",
    ),
    _measure(
        "microseconds",
        0.4,
        "Those are microseconds; asked for are seconds.",
        result="1e6 * statistics.median(times)",
    ),
    _measure(
        "two calls", 0.4, "There are two calls of f between the two readings.", work="f(); f()"
    ),
    Known(
        "measure",
        "in one go",
        0.4,
        "That is the mean of calls that wait for each other in the queue: time each call by itself.",
        """
def measure(f, device, repeats):
    f()
    device.synchronize()
    start = device.now()
    for _ in range(repeats):
        f()
    device.synchronize()
    return (device.now() - start) / repeats
""",
    ),
    _measure(
        "warm-up each time",
        1.45,
        "f is called before each time as well: one call beforehand is enough, and then each call counts.",
        warm="pass",
        before="f(); device.synchronize()",
    ),
    Known(
        "measure",
        "readings",
        0.4,
        "Those are readings of the clock: a time is the difference of two.",
        """
def measure(f, device, repeats):
    f()
    device.synchronize()
    times = []
    for _ in range(repeats):
        start = device.now()
        f()
        device.synchronize()
        times.append(device.now())
    return statistics.median(times)
""",
    ),
    Known(
        "measure",
        "one start",
        0.4,
        "The clock is started once, before the loop, so that each time holds those before it: start it anew before each call.",
        """
def measure(f, device, repeats):
    f()
    device.synchronize()
    start, times = device.now(), []
    for _ in range(repeats):
        f()
        device.synchronize()
        times.append(device.now() - start)
    return statistics.median(times)
""",
    ),
    Known(
        "measure",
        "waits once",
        0.4,
        "It waits for the device once, at the end: of each call only the launch is timed.",
        """
def measure(f, device, repeats):
    f()
    device.synchronize()
    start, times = device.now(), []
    for _ in range(repeats):
        f()
        times.append(device.now() - start)
        start = device.now()
    device.synchronize()
    times[-1] = device.now() - start
    return statistics.median(times)
""",
    ),
    Mistake(
        "measure",
        "the list",
        0.4,
        "It returns a number",
        "def measure(f, device, repeats):\n    f(); device.synchronize()\n    start = device.now(); f(); device.synchronize()\n    return [device.now() - start]",
    ),
    Mistake(
        "measure",
        "nothing returned",
        0.4,
        "It returns a number",
        "def measure(f, device, repeats):\n    f(); device.synchronize()",
    ),
    Mistake(
        "measure",
        "own clock",
        0.4,
        "device's own clock",
        "import time\ndef measure(f, device, repeats):\n    f(); device.synchronize()\n    start = time.perf_counter(); f(); device.synchronize()\n    return time.perf_counter() - start",
    ),
    Mistake(
        "measure",
        "f called once",
        0.4,
        "not called for each time",
        "def measure(f, device, repeats):\n    f()\n    device.synchronize()\n    for _ in range(repeats):\n        start = device.now()\n        f\n        device.synchronize()\n    return device.now() - start",
    ),
    Mistake(
        "measure",
        "f not called",
        0.4,
        "`f` is never called",
        "def measure(f, device, repeats):\n    start = device.now()\n    f\n    device.synchronize()\n    return device.now() - start",
    ),
    *(
        Mistake("measure", f"{name} {word}", 1.65, _TIMERS[word], f'{name} = "{word}"')
        for name, right in (
            ("timer_a", "queue"),
            ("timer_b", "launch"),
            ("timer_c", "outlier"),
            ("timer_d", "first"),
        )
        for word in _TIMERS
        if word != right
    ),
]

_relu, _relu_otherwise = variants(
    "relu_add",
    """
def programs(n, block):
    return {programs}
def relu_add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK):
    offsets = {offsets}
    mask = {mask}
    x = tl.load(x_ptr + {x}, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    {more}
    tl.store(out_ptr + offsets, {value}, mask={stored})
""",
    programs="-(-n // block)",
    offsets="tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
    mask="offsets < n",
    x="offsets",
    more="pass",
    value="tl.maximum(x + y, 0.0)",
    stored="mask",
)
_ONCE_ONLY = (
    "A fused kernel loads each number once and keeps it: what lies between stays in registers."
)
_FIRST_BLOCK = "Only the first block is stored: a program's block starts at tl.program_id(0) * BLOCK, and the mask compares places with n."
_RELU = [
    _relu(
        "rounded down",
        1.05,
        "Rounded down: the last numbers, fewer than a block, need a program of their own.",
        programs="n // block",
    ),
    _relu(
        "one more",
        1.05,
        "One program more than needed where n is a multiple of block.",
        programs="n // block + 1",
    ),
    _relu(
        "one fewer",
        1.05,
        "(n − 1) // block is the number of the last program; counted from 0, there is one more.",
        programs="(n - 1) // block",
    ),
    _relu(
        "no - 1",
        1.05,
        "One program more than needed where n is a multiple of block.",
        programs="(n + block) // block",
    ),
    _relu(
        "rounded",
        1.05,
        "Rounded to the nearest: the last numbers need a program, however few.",
        programs="round(n / block)",
    ),
    _relu(
        "a program a number",
        1.05,
        "That is a program for each number: each takes a block of them.",
        programs="n",
    ),
    _relu_otherwise("a float", 1.05, "whole number", programs="math.ceil(n / block) + 0.0"),
    _relu(
        "block of 0",
        0.2,
        _FIRST_BLOCK,
        offsets="tl.arange(0, BLOCK)",
    ),
    _relu("mask by BLOCK", 0.2, _FIRST_BLOCK, mask="offsets < BLOCK"),
    _relu(
        "y alone",
        0.2,
        "That is ReLU of y alone: x is to be added before.",
        value="tl.maximum(y, 0.0)",
    ),
    _relu(
        "no BLOCK",
        0.2,
        "The blocks overlap: program i starts at i * BLOCK, not at i.",
        offsets="tl.program_id(0) + tl.arange(0, BLOCK)",
    ),
    _relu_otherwise(
        "n for BLOCK", 0.2, "never stored", offsets="tl.program_id(0) * n + tl.arange(0, BLOCK)"
    ),
    _relu("no relu", 0.2, "ReLU is missing: negative sums become 0.", value="x + y"),
    _relu(
        "x alone",
        0.2,
        "That is ReLU of x alone: y is to be added before.",
        value="tl.maximum(x, 0.0)",
    ),
    _relu(
        "relu first",
        0.2,
        "ReLU comes after the sum: max(x + y, 0).",
        value="tl.maximum(x, 0.0) + y",
    ),
    _relu(
        "relu of y", 0.2, "ReLU comes after the sum: max(x + y, 0).", value="x + tl.maximum(y, 0.0)"
    ),
    _relu(
        "both relu",
        0.2,
        "ReLU comes after the sum: max(x + y, 0).",
        value="tl.maximum(x, 0.0) + tl.maximum(y, 0.0)",
    ),
    _relu(
        "product", 0.2, "That is the product: asked for is the sum.", value="tl.maximum(x * y, 0.0)"
    ),
    _relu("minus", 0.2, "y is subtracted: asked for is the sum.", value="tl.maximum(x - y, 0.0)"),
    _relu(
        "minimum",
        0.2,
        "That is the smaller of sum and 0: ReLU is the larger.",
        value="tl.minimum(x + y, 0.0)",
    ),
    _relu(
        "maximum of both",
        0.2,
        "That is the larger of x and y, without a sum.",
        value="tl.maximum(x, y)",
    ),
    _relu(
        "absolute",
        0.2,
        "That is the absolute value: ReLU makes negative sums 0.",
        value="tl.abs(x + y)",
    ),
    _relu(
        "reduced",
        0.2,
        "tl.max reduces the block to one number; tl.maximum compares number by number.",
        value="tl.max(x + y, axis=0)",
    ),
    _relu("x twice", 0.2, "Both numbers come from x.", value="tl.maximum(x + x, 0.0)"),
    _relu_otherwise("no mask", 0.6, "A mask keeps such lanes away", mask="None"),
    _relu_otherwise("store without mask", 0.6, "A mask keeps such lanes away", stored="None"),
    _relu_otherwise("one too many", 0.6, "A mask keeps such lanes away", mask="offsets <= n"),
    _relu_otherwise("one too few", 0.2, "never stored", mask="offsets < n - 1"),
    _relu_otherwise(
        "mask of the block", 0.6, "A mask keeps such lanes away", mask="tl.arange(0, BLOCK) < n"
    ),
    _relu_otherwise(
        "whole blocks only", 0.6, "never stored", mask="tl.program_id(0) * BLOCK + BLOCK <= n"
    ),
    _relu_otherwise("pointers compared", 0.2, "as if it were a number", mask="x_ptr + offsets < n"),
    _relu_otherwise(
        "not loaded",
        0.2,
        "as if it were a number",
        value="tl.maximum(x_ptr + offsets + y_ptr, 0.0)",
    ),
    _relu_otherwise(
        "place without offsets",
        0.2,
        "more values than places",
        more="out_ptr = out_ptr + tl.program_id(0)",
        value="tl.maximum(x + y, 0.0)",
        offsets="tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)",
        stored="mask)\n    tl.store(out_ptr, x",
    ),
    _relu_otherwise(
        "loaded twice", 0.95, _ONCE_ONLY, more="x = tl.load(x_ptr + offsets, mask=mask)"
    ),
    _relu_otherwise(
        "stored in between",
        0.95,
        _ONCE_ONLY,
        more="tl.store(out_ptr + offsets, x + y, mask=mask); x = tl.load(out_ptr + offsets, mask=mask); y = x * 0.0",
    ),
    _relu_otherwise(
        "stored twice", 0.95, _ONCE_ONLY, more="tl.store(out_ptr + offsets, x + y, mask=mask)"
    ),
    _relu_otherwise(
        "one program for all",
        0.2,
        "does the work of others",
        offsets="tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)\n    for i in range(n if tl.program_id(0) == 0 else 0):\n        one = tl.load(x_ptr + i) + tl.load(y_ptr + i)\n        tl.store(out_ptr + i, tl.maximum(one, 0.0))",
        mask="offsets < 0",
    ),
    _relu_otherwise(
        "in place",
        0.2,
        "belongs to the caller",
        stored="mask); tl.store(x_ptr + offsets, x + y, mask=mask",
    ),
    _relu_otherwise("torch inside", 0.2, "functions of tl", value="torch.relu(x + y)"),
    _relu_otherwise("indexed", 0.2, "not indexed", x="offsets * 1", more="x = x[offsets]"),
    _relu_otherwise("if", 0.2, "many truth values", more="x = x if x > 0 else y"),
    _relu_otherwise(
        "range of n", 0.2, "known when the kernel is compiled", offsets="tl.arange(0, n)"
    ),
    _relu_otherwise("and", 0.2, "many truth values", mask="(offsets < n) and (offsets >= 0)"),
]

_soft, _soft_otherwise = variants(
    "softmax_kernel",
    """
def softmax_kernel(x_ptr, out_ptr, row_stride, columns, BLOCK):
    row = {row}
    offsets = tl.arange(0, BLOCK)
    places = {places}
    mask = {mask}
    x = tl.load(x_ptr + places, mask=mask{other})
    {more}
    e = {e}
    {late}
    tl.store(out_ptr + {out}, {value}, mask=mask)
""",
    row="tl.program_id(0)",
    places="row * row_stride + offsets",
    mask="offsets < columns",
    other=', other=-float("inf")',
    more="pass",
    e="tl.exp(x - tl.max(x, axis=0))",
    late="pass",
    out="places",
    value="e / tl.sum(e, axis=0)",
)
_FIRST_ROW = "Only the first row is stored: row r starts at r · row_stride, and the mask asks for the lane within the row, not for the place in the memory."
_SOFT = [
    _soft(
        "other = -1e9",
        1.25,
        "Of a row of numbers below `other` the lanes that are left out are the largest: −∞ is below all.",
        other=", other=-1e9",
    ),
    _soft(
        "no maximum",
        0.9,
        "Without the maximum exp overflows for large numbers: subtract each row's maximum first.",
        e="tl.exp(x)",
    ),
    _soft(
        "no division",
        0,
        "Those are the numerators, the largest of them 1: divide by their sum.",
        value="e",
    ),
    _soft(
        "sum of differences",
        0,
        "The sum is that of the numerators, after exp.",
        value="e / tl.sum(x - tl.max(x, axis=0), axis=0)",
    ),
    _soft(
        "loads the first row",
        0,
        "Each program loads the first row: row r starts at r · row_stride in x, too.",
        more="x = tl.load(x_ptr + offsets, mask=mask, other=-float('inf'))",
    ),
    _soft(
        "loads by columns",
        0.85,
        "In x row r starts at r · row_stride, not at r · columns.",
        more="x = tl.load(x_ptr + row * columns + offsets, mask=mask, other=-float('inf'))",
    ),
    _soft("no exp", 0, "exp is missing.", e="x - tl.max(x, axis=0)"),
    _soft(
        "logarithm",
        0,
        "That is the logarithm of softmax.",
        value="x - tl.max(x, axis=0) - tl.log(tl.sum(e, axis=0))",
    ),
    _soft("exp2", 0, "That is with base 2: exp has base e.", e="tl.exp2(x - tl.max(x, axis=0))"),
    _soft(
        "divided by columns",
        0,
        "That is divided by the number of columns: divide by the sum.",
        value="e / columns",
    ),
    _soft(
        "sum of x",
        0,
        "The sum is that of the numerators, after exp.",
        value="e / tl.sum(x, axis=0)",
    ),
    _soft(
        "minus the minimum",
        1.4,
        "The minimum is subtracted: with the maximum no exponent is above 0.",
        e="tl.exp(x - tl.min(tl.where(mask, x, float('inf')), axis=0))",
    ),
    _soft_otherwise(
        "plus the maximum",
        0.9,
        "exp overflows",
        e="tl.exp(x + tl.max(x, axis=0))",
    ),
    _soft(
        "the sum of the row",
        0.9,
        "The sum is subtracted, not the maximum.",
        e="tl.exp(x - tl.sum(tl.where(mask, x, 0.0), axis=0))",
    ),
    _soft(
        "exp of a sum",
        0,
        "The sum is that of the numerators: exp first, then the sum.",
        value="e / tl.exp(tl.sum(x, axis=0))",
    ),
    _soft(
        "sigmoid",
        0,
        "That is the sigmoid of each number: softmax divides by the sum over the row.",
        value="tl.sigmoid(x)",
    ),
    _soft(
        "nothing for what is left out",
        0.85,
        "Lanes that a mask leaves out take part in maximum and sum: without `other` they are anything (here NaN), and +∞ makes the maximum infinite. Which number changes neither?",
        other="",
    ),
    _soft(
        "other = 0",
        0.85,
        "With other=0 the lanes that are left out take part in the sum: exp(0 − max) is not 0.",
        other=", other=0.0",
    ),
    _soft(
        "other = inf",
        0.85,
        "Lanes that a mask leaves out take part in maximum and sum: without `other` they are anything (here NaN), and +∞ makes the maximum infinite. Which number changes neither?",
        other=', other=float("inf")',
    ),
    _soft(
        "other = -1",
        0.85,
        "The lanes that are left out take part in the sum: `other` must make exp 0.",
        other=", other=-1.0",
    ),
    _soft(
        "the first row",
        0,
        _FIRST_ROW,
        row="tl.program_id(0) * 0",
    ),
    _soft("mask by place", 0, _FIRST_ROW, mask="places < columns"),
    _soft(
        "no stride",
        0,
        "Row r starts at r · row_stride, not at r.",
        places="row + offsets",
    ),
    _soft(
        "columns for stride",
        0.85,
        "Row r starts at r · row_stride, not at r · columns: between two rows there may be other numbers.",
        places="row * columns + offsets",
    ),
    _soft(
        "BLOCK for stride",
        0.85,
        "Row r starts at r · row_stride, not at r · BLOCK: a row may be shorter than the block, and the next begin elsewhere.",
        places="row * BLOCK + offsets",
    ),
    _soft_otherwise("no mask", 0.85, "row_stride", mask="None"),
    _soft_otherwise("one too many", 0.85, "outside", mask="offsets <= columns"),
    _soft_otherwise("mask by stride", 0.85, "outside of `x_ptr`", mask="offsets < row_stride"),
    _soft(
        "out without row",
        0,
        "Each program stores to the first row of out: there, too, row r starts at r · row_stride.",
        out="offsets",
    ),
    _soft_otherwise(
        "three passes",
        1.35,
        _ONCE_ONLY,
        more="top = tl.max(x, axis=0)",
        e="tl.exp(tl.load(x_ptr + places, mask=mask, other=-float('inf')) - top)",
    ),
    _soft_otherwise(
        "through the memory",
        1.35,
        _ONCE_ONLY,
        late="tl.store(out_ptr + places, e, mask=mask); e = tl.load(out_ptr + places, mask=mask, other=0.0)",
    ),
    _soft_otherwise("tl's own", 0, "does without", value="tl.softmax(x)"),
    _soft_otherwise("torch's own", 0, "does without", value="torch.softmax(x, 0)"),
    _soft_otherwise("wrong axis", 0, "cannot go on", e="tl.exp(x - tl.max(x, axis=1))"),
    _soft_otherwise("sum over places", 0, "not places", value="e / tl.sum(x_ptr + places, axis=0)"),
]

_trans, _trans_otherwise = variants(
    "transactions",
    """
def transactions(addresses, size, line):
    first, last = {first}, {last}
    return {result}
""",
    first="addresses // line",
    last="(addresses + size - 1) // line",
    result="len({n for a, b in zip(first.tolist(), last.tolist()) for n in range(a, b + 1)})",
)
_TRANS = [
    _trans(
        "first byte only",
        0.75,
        "An access may cross the border of two lines: its last byte counts, too.",
        last="addresses // line",
    ),
    _trans(
        "last byte only",
        0.75,
        "An access may cross the border of two lines: its first byte counts, too.",
        first="(addresses + size - 1) // line",
    ),
    _trans(
        "end after the end",
        0.4,
        "The last byte of an access is at address + size − 1.",
        last="(addresses + size) // line",
    ),
    _trans(
        "each its own",
        0.4,
        "That is one for each thread: threads that touch the same line share it.",
        result="len(addresses)",
    ),
    _trans(
        "lines counted again",
        0.4,
        "A line that several threads touch counts once.",
        result="int((last - first + 1).sum())",
    ),
    _trans(
        "bytes by line",
        0.4,
        "That is the bytes asked for by the length of a line; a line is fetched whole, wherever they lie.",
        result="-(-len(addresses) * size // line)",
    ),
    _trans(
        "from first to last",
        0.4,
        "Lines between that nobody touches are not fetched.",
        result="int(last.max() - first.min() + 1)",
    ),
    _trans(
        "different addresses",
        0.4,
        "Those are different addresses: several lie in one line, whose number // finds.",
        result="len(set(addresses.tolist()))",
    ),
    _trans(
        "from the first address on",
        0.4,
        "Lines begin at multiples of their length, not at the first address.",
        first="(addresses - addresses.min()) // line",
        last="(addresses - addresses.min() + size - 1) // line",
    ),
    _trans(
        "neighbours compared",
        0.4,
        "Two threads that are no neighbours may share a line, too.",
        result="1 + int((first[1:] != first[:-1]).sum())",
    ),
    _trans(
        "always 32 bytes",
        0.4,
        "The length of a line is what `line` says.",
        first="addresses // 32",
        last="(addresses + size - 1) // 32",
    ),
    _trans(
        "always 128 bytes",
        0.4,
        "The length of a line is what `line` says.",
        first="addresses // 128",
        last="(addresses + size - 1) // 128",
    ),
    _trans(
        "no last line",
        0.4,
        "Python's range ends before its end: the last line of each access is missing.",
        result="len({n for a, b in zip(first.tolist(), last.tolist()) for n in range(a, b)})",
    ),
    _trans(
        "first thread only",
        0.4,
        "Those are the lines of the first thread: is `return` inside the loop?",
        result="int(last[0] - first[0] + 1)",
    ),
    _trans(
        "remainders",
        0.4,
        "% is the place within a line; // is the line's number.",
        result="len(set((addresses % line).tolist()))",
    ),
    _trans(
        "ends only",
        0.75,
        "An access longer than a line touches the lines between its first and last byte, too.",
        result="len({*first.tolist(), *last.tolist()})",
    ),
    _trans(
        "always 4 bytes",
        0.75,
        "An access has `size` bytes, which need not be 4.",
        last="(addresses + 3) // line",
    ),
    _trans(
        "bytes",
        0.4,
        "Those are the bytes of the lines; asked for is how many lines.",
        result="line * len({n for a, b in zip(first.tolist(), last.tolist()) for n in range(a, b + 1)})",
    ),
    *(
        Known("transactions", f"{name} {value}", 0.9, says, f"{name} = {value}")
        for name, value, says in (
            (
                "structures_take",
                4,
                "Fields of one point lie next to each other; the same field of the next point is 32 bytes on.",
            ),
            (
                "structures_take",
                8,
                "That is for lines of 128 bytes; of 32 each point takes one, for its 8 fields of 4 bytes.",
            ),
            ("structures_take", 1, "32 points of 32 bytes are 1,024 bytes: no line is as long."),
            ("structures_take", 16, "A point has 8 fields of 4 bytes: 32, a line of its own."),
            ("structures_take", 1024, "Those are bytes; asked for is how many lines."),
            ("structures_take", 256, "Only one field is read: a line for each point."),
            (
                "arrays_take",
                32,
                "The x of neighbours lie next to each other: 8 of them in a line of 32 bytes.",
            ),
            ("arrays_take", 1, "That is for lines of 128 bytes; asked for are those of 32."),
            (
                "arrays_take",
                5,
                "That is for numbers that begin in the middle of a line; these begin with one.",
            ),
            ("arrays_take", 8, "8 numbers lie in a line: how many lines do 32 numbers take?"),
            ("arrays_take", 128, "Those are bytes; asked for is how many lines."),
        )
    ),
    Mistake(
        "transactions",
        "columns slower",
        0.8,
        "neighbouring threads read neighbouring numbers",
        'slower = "columns"',
    ),
    Mistake("transactions", "alike", 0.8, "fetches a line for each thread", 'slower = "alike"'),
]

_lost, _lost_otherwise = variants(
    "loss_scale",
    """
def lost_share(gradients, scale):
    some = {some}
    if not some.size: return 0.0
    return {share}
def scaled_step(w, gradients, scale, good, lr, every):
    if {overflow}:
        return {skipped}
    g = {unscaled}
    w = {step}
    good += 1
    {grow}
    return w, scale, good
""",
    some="gradients[gradients != 0]",
    share="float(np.mean((some * scale).astype(np.float16) == 0))",
    overflow="not np.isfinite(gradients).all()",
    skipped="w.copy(), scale / 2, 0",
    unscaled="gradients.astype(np.float32) / np.float32(scale)",
    step="w - np.float32(lr) * g",
    grow="if good == every: scale, good = 2 * scale, 0",
)
_LOSS = [
    _lost(
        "zeros counted", 0.65, "Gradients that are 0 anyway are counted as lost.", some="gradients"
    ),
    _lost(
        "share of all",
        0.65,
        "That is the share of all gradients; asked for is that of those that are not 0.",
        share="float(np.sum((some * scale).astype(np.float16) == 0) / gradients.size)",
    ),
    _lost(
        "scaled too late",
        0.65,
        "That is as if there were no scale: multiply before the number becomes float16. What is lost cannot be scaled back.",
        share="float(np.mean(some.astype(np.float16) * np.float16(scale) == 0))",
    ),
    _lost(
        "kept",
        0.65,
        "That is the share that is kept.",
        share="float(np.mean((some * scale).astype(np.float16) != 0))",
    ),
    _lost(
        "smallest normal",
        0.65,
        "That counts what is below 2⁻¹⁴: float16 has smaller numbers still, down to 2⁻²⁴, with fewer digits.",
        share="float(np.mean(abs(some * scale) < 2.0**-14))",
    ),
    _lost(
        "smallest",
        0.65,
        "That counts what is below 2⁻²⁴: more than half of it is rounded up to it, and not lost.",
        share="float(np.mean(abs(some * scale) < 2.0**-24))",
    ),
    _lost(
        "per cent",
        0.65,
        "A share is between 0 and 1.",
        share="100 * float(np.mean((some * scale).astype(np.float16) == 0))",
    ),
    _lost(
        "a count",
        0.65,
        "That is how many; asked for is their share.",
        share="int(np.sum((some * scale).astype(np.float16) == 0))",
    ),
    _lost(
        "divided",
        0.65,
        "The gradients are divided by the scale: the loss was multiplied with it.",
        share="float(np.mean((some / scale).astype(np.float16) == 0))",
    ),
    _lost(
        "float32",
        0.65,
        "Nothing is lost in float32: round to float16.",
        share="float(np.mean((some * scale).astype(np.float32) == 0))",
    ),
    _lost(
        "magnitude of positive ones",
        0.65,
        "Negative gradients are gradients, too.",
        some="gradients[gradients > 0]",
    ),
    _lost(
        "empty",
        0.65,
        "Where every gradient is 0, none is lost: 0.",
        some="gradients[gradients != 0] if (gradients != 0).any() else np.ones(1, np.float32) * 1e-30",
    ),
    _lost(
        "not unscaled",
        0.35,
        "The gradients are still those of the loss times scale: divide by it.",
        unscaled="gradients.astype(np.float32)",
    ),
    _lost(
        "unscaled in float16",
        0.35,
        "It is divided in float16, where small numbers are lost again: make it float32 first.",
        unscaled="(gradients / np.float16(scale)).astype(np.float32)",
    ),
    _lost(
        "infinity made finite",
        0.8,
        "What is not finite is made a number, and the step is taken: skip the step.",
        overflow="False",
        unscaled="np.nan_to_num(gradients).astype(np.float32) / np.float32(scale)",
    ),
    _lost(
        "all in float16",
        0.35,
        "It is divided in float16, where small numbers are lost again: make it float32 first.",
        unscaled="gradients / scale",
        step="w - lr * g",
    ),
    _lost(
        "the new scale",
        0.8,
        "These gradients were made with the old scale: divide by that, and double it afterwards.",
        unscaled="gradients.astype(np.float32) / np.float32(scale + scale * (good + 1 == every))",
    ),
    _lost(
        "step in float16",
        0.35,
        "The step is made in float16, where w loses its last digits: make it in float32.",
        step="(w.astype(np.float16) - (lr * g).astype(np.float16)).astype(np.float32)",
    ),
    _lost(
        "multiplied",
        0.35,
        "The gradients are multiplied with the scale once more: divide by it.",
        unscaled="gradients.astype(np.float32) * np.float32(scale)",
    ),
    _lost(
        "uphill",
        0.35,
        "The step goes uphill: w − lr · gradient.",
        step="w + np.float32(lr) * g",
    ),
    _lost("no learning rate", 0.35, "The learning rate is missing.", step="w - g"),
    _lost_otherwise(
        "half weights",
        0.35,
        "float32",
        step="(w.astype(np.float16) - np.float16(lr) * g).astype(np.float16)",
    ),
    _lost(
        "weights in float16",
        0.35,
        "The weights were kept in float16: their last digits are lost. Keep them in float32.",
        step="w.astype(np.float16).astype(np.float32) - np.float32(lr) * g",
    ),
    _lost(
        "NaN not seen",
        0.8,
        "There are gradients that are no numbers: NaN is no overflow's sign for isinf, so ask for isfinite.",
        overflow="np.isinf(gradients).any()",
    ),
    _lost(
        "inf not seen",
        0.8,
        "There are infinite gradients: isnan does not see them, so ask for isfinite.",
        overflow="np.isnan(gradients).any()",
    ),
    _lost(
        "minus inf not seen",
        0.8,
        "−∞ is an overflow, too.",
        overflow="np.isnan(gradients).any() or (gradients == np.inf).any()",
    ),
    _lost(
        "all must overflow",
        0.8,
        "One number that is not finite spoils the step: any, not all.",
        overflow="not np.isfinite(gradients).any()",
    ),
    _lost(
        "never skipped",
        0.8,
        "A gradient is not finite, and the step was taken all the same: NaN in a weight never goes away.",
        overflow="False",
    ),
    _lost(
        "scale kept",
        0.8,
        "The scale stays, so the next step overflows as well: halve it.",
        skipped="w.copy(), scale, 0",
    ),
    _lost(
        "scale doubled", 0.8, "It was too large: halve the scale.", skipped="w.copy(), 2 * scale, 0"
    ),
    _lost(
        "scale back to 1",
        0.8,
        "Halve the scale: at 1 the small gradients are lost again.",
        skipped="w.copy(), 1.0, 0",
    ),
    _lost(
        "good kept",
        0.8,
        "After a step that was skipped, `good` counts from 0 again.",
        skipped="w.copy(), scale / 2, good",
    ),
    _lost(
        "skipped counted",
        0.8,
        "A skipped step is no good one: `good` is 0 after it.",
        skipped="w.copy(), scale / 2, good + 1",
    ),
    _lost(
        "never grows",
        0.8,
        "After `every` good steps, this one counted, the scale doubles.",
        grow="pass",
    ),
    _lost_otherwise(
        "one step late",
        0.8,
        "this one counted",
        grow="if good > every: scale, good = 2 * scale, 0",
    ),
    _lost(
        "one step early",
        0.8,
        "The scale doubles one step too early: this step counts as well.",
        grow="if good >= every - 1: scale, good = 2 * scale, 0",
    ),
    _lost(
        "two more",
        0.8,
        "The scale is doubled, not made larger by 2.",
        grow="if good == every: scale, good = scale + 2, 0",
    ),
    _lost(
        "good goes on",
        0.8,
        "When the scale has doubled, `good` counts from 0 again.",
        grow="scale = 2 * scale if good == every else scale",
    ),
    _lost(
        "grows each step",
        0.35,
        "The scale doubles after `every` good steps, not after each.",
        grow="scale, good = 2 * scale, 0",
    ),
    _lost_otherwise(
        "in place", 0.35, "changed its argument `w`", step="w.__isub__(np.float32(lr) * g)"
    ),
]

_READ = [
    *(
        Known("read_a_profile", f"idle {name}", 0.55, says, f"device_idle = {value!r}")
        for name, value, says in (
            (
                "busy",
                1 - device_idle,
                "That is the share in which it works; asked for is the rest.",
            ),
            ("per cent", 100 * device_idle, "A share is between 0 and 1."),
            (
                "host waits",
                956 / 2454,
                "That is the host's wait. The device idles in what is left of the step when all it does is taken away.",
            ),
            (
                "host works",
                1498 / 2454,
                "That is the host's batch and launches. The device idles in what is left of the step when all it does is taken away.",
            ),
            *(
                (f"without {left}", 1 - busy / 2454, says)
                for left, busy, says in (
                    (
                        "the copy, or the optimizer,",
                        1094,
                        "Of what the device does, the copy, or the optimizer, is missing.",
                    ),
                    ("relu", 1120, "Of what the device does, relu is missing."),
                    (
                        "all but the products",
                        1000,
                        "Of what the device does, all but the products is missing.",
                    ),
                )
            ),
            (
                "launches only",
                24 * 4 / 2454,
                "Those are the gaps between the small kernels: the long gap at the start of a step is idle time, too.",
            ),
        )
    ),
    Mistake(
        "read_a_profile", "copy dominates", 0.55, "one kernel in each step", 'dominant = "copy"'
    ),
    Mistake(
        "read_a_profile",
        "optimizer dominates",
        0.55,
        "many kernels, and short",
        'dominant = "optimizer"',
    ),
    Mistake(
        "read_a_profile", "relu dominates", 0.55, "two kernels in each step", 'dominant = "relu"'
    ),
    Mistake(
        "read_a_profile",
        "waits for launches",
        0.55,
        "gaps between the small kernels",
        'waits_for = "launch"',
    ),
    Mistake(
        "read_a_profile",
        "waits for the copy",
        0.55,
        "the device itself is busy",
        'waits_for = "copy"',
    ),
    Mistake(
        "read_a_profile", "waits for the loss", 0.55, "the host waits there", 'waits_for = "loss"'
    ),
    Mistake("read_a_profile", "fuse", 0.6, "shorter gaps", 'remedy = "fuse"'),
    Mistake(
        "read_a_profile", "halve", 0.6, "the device would only idle more", 'remedy = "bfloat16"'
    ),
    Mistake(
        "read_a_profile",
        "bigger GPU",
        0.6,
        "the device would only idle more",
        'remedy = "faster device"',
    ),
]

MISTAKES = Table(
    sys.modules[__name__],
    [*_COUNT, *_ROOF, *_MEASURE, *_RELU, *_SOFT, *_TRANS, *_LOSS, *_READ],
)
