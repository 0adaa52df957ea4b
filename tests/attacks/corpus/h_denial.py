"""Attacks on the grading itself: crashes, endless work, floods, everything used up."""

from tests.attacks import Attack

HARMFUL = "not run: it would harm this machine"
SLOW = "not run: it takes as long as the limit"

ATTACKS = [
    Attack("os_exit_in_cell", "denial", "The first cell ends the process.",
           before="import os\n\nos._exit(0)\n"),
    Attack("os_exit_in_answers", "denial", "Each answer ends the process.",
           answers={
               "center": "import os\n\n\ndef center(x):\n    os._exit(0)\n",
               "slope": "def slope(x, y):\n    os.abort()\n",
               "averager": "class Averager:\n    def __init__(self):\n        os._exit(1)\n",
           }),
    Attack("crash", "denial", "A null pointer is read.",
           before="import faulthandler\n\nfaulthandler._sigsegv()\n"),
    Attack("stack_overflow", "denial", "Recursion without a limit, until the C stack ends.",
           before='''\
import sys
import threading

sys.setrecursionlimit(10**9)
''', answers={"center": "def center(x):\n    return center([x])\n",
              "slope": "def slope(x, y):\n    return repr(nested(10**6))\n\n\n"
                       "def nested(n):\n    inner = []\n    for _ in range(n):\n"
                       "        inner = [inner]\n    return inner\n"}),
    Attack("endless_cell", "denial", "A cell that never ends.", before="while True:\n    pass\n",
           stock=SLOW),
    Attack("endless_answers", "denial", "Functions that never end and swallow what would end them.",
           answers={
               "center": "def center(x):\n    while True:\n        pass\n",
               "slope": '''\
def slope(x, y):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
''',
           }, stock=SLOW),
    Attack("uninterruptible", "denial",
           "A cell that never ends, with signals blocked and exceptions swallowed.",
           before='''\
import signal

signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
''', stock=SLOW),
    Attack("frozen_clocks", "denial",
           "Clocks and timers stand still, so that no limit counted in the process is reached.",
           before='''\
import signal
import threading
import time

for name in ("monotonic", "time", "perf_counter", "process_time", "monotonic_ns", "time_ns"):
    setattr(time, name, lambda: 0)
signal.setitimer = signal.alarm = signal.signal = lambda *args: None
threading.Event.wait = lambda *args: False
''', answers={"center": "def center(x):\n    while True:\n        pass\n"}, stock=SLOW),
    Attack("sleep", "denial", "A function that sleeps in C, and a cell that waits for input.",
           before="print(input('your name? '))\n",
           answers={"center": "import ctypes\n\n\ndef center(x):\n"
                              "    ctypes.CDLL(None).sleep(3600)\n"}, stock=SLOW),
    Attack("fork_bomb", "denial", "Processes that make processes.", before='''\
import os
import time

while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.2)
''', stock=HARMFUL),
    Attack("thread_bomb", "denial", "Threads that make threads.", before='''\
import threading
import time


def more():
    while True:
        try:
            threading.Thread(target=more).start()
        except RuntimeError:
            pass
        time.sleep(0.01)


more()
''', stock=HARMFUL),
    Attack("memory", "denial", "Takes memory until there is none, in the cell and in children.",
           before='''\
import os

for _ in range(3):
    os.fork()
blocks = []
while True:
    block = bytearray(50_000_000)
    block[::4096] = b"x" * len(block[::4096])
    blocks.append(block)
''', stock=HARMFUL),
    Attack("memory_in_answer", "denial", "An answer that takes all memory, and one that is huge.",
           answers={
               "center": "import numpy as np\n\n\ndef center(x):\n    return np.ones(10**11)\n",
               "slope": "def slope(x, y):\n    return 10 ** 10 ** 8\n",
               "codeword": "codeword = 'x' * 10**9\n",
           }, stock=HARMFUL),
    Attack("disk", "denial", "Fills the disk, the shared memory and the table of files.",
           before='''\
import os

for folder in (".", "/dev/shm", "/tmp"):
    try:
        with open(folder + "/owned-disk", "wb", 0) as file:
            for _ in range(10_000):
                file.write(bytes(10_000_000))
    except OSError as error:
        print(error)
try:
    for i in range(300_000):
        os.close(os.open(f"f{i}", os.O_CREAT | os.O_WRONLY))
except OSError as error:
    print(error)
''', stock=HARMFUL),
    Attack("open_files", "denial", "Opens files until none can be opened.", before='''\
import os

descriptors = []
try:
    while True:
        descriptors.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print(error)
'''),
    Attack("output_flood", "denial", "A cell prints 110 MB.",
           before="for _ in range(110):\n    print('x' * 1_000_000)\n"),
    Attack("output_drops", "denial", "A cell prints a million times, flushing each.",
           before='''\
import sys

for i in range(1_000_000):
    sys.stderr.write("x")
    sys.stderr.flush()
''', stock=SLOW),
    Attack("output_in_slices", "denial", "Many cells that each print a little less than a limit.",
           tamper=lambda notebook: notebook["cells"].extend(
               {"cell_type": "code", "id": f"slice{i}", "metadata": {}, "outputs": [],
                "execution_count": None, "source": "print('x' * 8_000_000)"} for i in range(20)
           )),
    Attack("output_in_answers", "denial", "Functions that print without end while they are judged.",
           answers={
               "center": "def center(x):\n    while True:\n        print('passed ' * 100_000)\n",
               "slope": "import sys\n\n\ndef slope(x, y):\n    while True:\n"
                        "        sys.stderr.write('x' * 100_000)\n",
           }, stock=SLOW),
    Attack("display_flood", "denial", "Displays of every type, with scripts, images and 40 MB.",
           before='''\
from IPython.display import HTML, Javascript, display

display(HTML("<script>document.body.innerHTML='7 of 7'</script>"))
display(Javascript("alert(1)"))
display({"text/html": "<b>" + "x" * 40_000_000, "application/x-owned": {"a": [1] * 100_000}},
        raw=True)
display({"image/png": "not an image", "text/plain": "x"}, raw=True, metadata={"a": "x" * 100_000})
'''),
    Attack("giant_error", "denial", "An exception whose message has 30 MB, and one nested deep.",
           before="raise ValueError('<script>' + 'x' * 30_000_000)\n",
           answers={"center": '''\
def center(x):
    error = ValueError("x" * 10_000_000)
    for _ in range(5000):
        outer = ValueError("y")
        outer.__cause__ = error
        error = outer
    raise error
'''}),
    Attack("deep_answer", "denial", "Answers nested 100,000 deep, endless, or within themselves.",
           before='''\
loop = []
loop.append(loop)
deep = []
for _ in range(100_000):
    deep = [deep]


class Endless(list):
    def __iter__(self):
        while True:
            yield 0.0
''', answers={
               "center": "def center(x):\n    return deep\n",
               "slope": "def slope(x, y):\n    return loop\n",
               "averager": "class Averager:\n    def add(self, value):\n        pass\n\n"
                           "    def mean(self):\n        return Endless()\n",
               "codeword": "codeword = {'a': loop}\n",
           }),
]
