"""Attacks that read: solutions, checks, gradebook, classmates, keys, the instructor's processes."""

from tests.attacks import FIND, FOUND, Attack


def reading(name: str, what: str, cell: str, *, source: str = "", stock: str = "") -> Attack:
    before = FIND + "\n\n" + cell
    return Attack(name, "reading", what, before, FOUND, source=source, stock=stock)


LEFTOVERS = '''\
import os
import tempfile

folders = {os.path.realpath(os.path.expanduser(folder)) for folder in (
    ".", "..", "/tmp", "/var/tmp", "/dev/shm", "/run", "/sandbox", "~", tempfile.gettempdir())}
for folder in folders:
    find_file(folder + "/left-by-@WORLD@")
for folder in folders:
    try:
        with open(folder + "/left-by-@WORLD@", "w") as file:
            file.write("@LEFT@")
    except OSError as error:
        print(type(error).__name__, folder)
'''

ATTACKS = [
    reading("course_folder", "Reads every file of the instructor's course.", '''\
import os

for folder, _, names in os.walk("@COURSE@"):
    for name in names:
        find_file(os.path.join(folder, name))
'''),
    Attack("import_solution", "reading", "Imports the instructor's solution and answers with it.",
           before=FIND + '''

import glob
import json
import runpy

answers = {}
for path in glob.glob("@COURSE@/**/source/**/*.ipynb", recursive=True):
    for cell in json.load(open(path))["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            exec("import numpy as np\\n" + "".join(cell["source"]), answers)
for path in glob.glob("@COURSE@/solutions/*.py"):
    answers |= runpy.run_path(path)
find(repr(answers.get("codeword")))
''', answers={
               "center": "center = answers.get('center')",
               "slope": "slope = answers.get('slope')",
               "averager": "Averager = answers.get('Averager')",
               "codeword": "codeword = answers.get('codeword')",
           }),
    reading("import_checks", "Imports the checks, the judge and the course's secret by name.", '''\
import importlib
import os

import grading

for name in ("grading.checks", "grading.marking.judge", "grading.marking.batch",
             "grading.course.release", "grading.checks.expect", "grading.marking.job",
             "grading.marking.kernels", "tests.attacks"):
    try:
        module = importlib.import_module(name)
        print("imported", name)
        find(repr(vars(module)))
    except Exception as error:
        print(type(error).__name__, name)
try:
    import grading.answer.exercise

    grading.answer.exercise.CHECKS = __import__("pathlib").Path("@COURSE@/grading/checks")
    for one in grading.answer.exercise.load("01_attacked").values():
        find(repr(one.judge.__code__.co_consts))
except Exception as error:
    print(type(error).__name__)
for folder, _, names in os.walk(os.path.dirname(grading.__file__ or "/nowhere")):
    for name in names:
        find_file(os.path.join(folder, name))
''', stock="does not apply: the tests are in the notebook, see own_file"),
    reading("gradebook", "Queries the gradebook.", '''\
import glob
import sqlite3

for path in [*glob.glob("@COURSE@/**/gradebook.db", recursive=True), "../../../gradebook.db"]:
    try:
        with sqlite3.connect("file:" + path + "?mode=ro", uri=True) as database:
            for (table,) in database.execute("select name from sqlite_master").fetchall():
                try:
                    find(repr(database.execute("select * from " + table).fetchall()))
                except sqlite3.Error:
                    pass
    except sqlite3.Error as error:
        print(type(error).__name__)
'''),
    reading("classmates", "Reads the other submissions, by relative paths and by a search.", '''\
import glob
import os

for up in ("..", "../..", "../../..", "@COURSE@/submitted", "@COURSE@/submissions", "/tmp",
           "/sandbox", "/dev/shm", os.path.expanduser("~")):
    for path in glob.glob(up + "/**/*.ipynb", recursive=True)[:500]:
        find_file(path)
'''),
    reading("environment", "Reads the environment of its own and of every process.", '''\
import glob
import os

find(repr(dict(os.environ)))
for path in glob.glob("/proc/*/environ"):
    find_file(path)
'''),
    reading("proc", "Reads command lines, folders, files and memory of every process.", '''\
import glob
import os

for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/maps"):
    find_file(path)
for process in glob.glob("/proc/[0-9]*"):
    for inner in ("/root@COURSE@/canary.txt", "/cwd/canary.txt", "/root@HOME@/.ssh/id_ed25519"):
        find_file(process + inner)
    try:
        for descriptor in os.listdir(process + "/fd"):
            target = os.readlink(process + "/fd/" + descriptor)
            if target.startswith("@COURSE@"):
                find_file(process + "/fd/" + descriptor)
    except OSError:
        pass
'''),
    reading("memory_of_others", "Reads the memory of its parents through /proc and ptrace.", '''\
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for pid in {os.getppid(), 1, 2, int("@PID@")}:
    print("ptrace", libc.ptrace(16, pid, 0, 0))
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                first, last = (int(end, 16) for end in line.split()[0].split("-"))
                if "rw" in line and last - first < 50_000_000 and "[v" not in line:
                    memory.seek(first)
                    find(memory.read(last - first))
    except OSError as error:
        print(type(error).__name__)
''', stock="not run: it would halt nbgrader itself"),
    reading("ssh_keys", "Reads the instructor's keys and dot files.", '''\
import os

for home in ("~", "@HOME@", "/root", "/home/instructor"):
    for name in (".ssh/id_ed25519", ".netrc", ".git-credentials", ".jupyter/nbgrader_config.py"):
        find_file(os.path.join(os.path.expanduser(home), name))
'''),
    reading("other_kernels", "Looks for connection files and sockets of other kernels.", '''\
import glob
import os

from jupyter_core.paths import jupyter_runtime_dir

own = get_ipython().config.get("IPKernelApp", {}).get("connection_file", "")
for folder in (jupyter_runtime_dir(), "@HOME@/.local/share/jupyter/runtime", "/tmp", "/run"):
    for path in glob.glob(folder + "/**/*kernel*", recursive=True) + glob.glob(folder + "/p2p-*/*"):
        if path != own:
            find_file(path)
'''),
    reading("file_search", "Searches the whole file system, for a while, for the lab's name.", '''\
import os
import time

end = time.monotonic() + 3
for folder, folders, names in os.walk("/"):
    if time.monotonic() > end:
        break
    folders[:] = [name for name in folders if name not in ("proc", "sys", "site-packages")]
    for name in names:
        if "attacked" in name or name == "secret" or name.endswith(".db"):
            find_file(os.path.join(folder, name))
'''),
    reading("leftovers", "Leaves a word wherever it can, for the next one to find.", LEFTOVERS),
    reading("leftovers_again", "Looks for the words that the one before left.", LEFTOVERS,
            stock="does not apply: there each attack has a course to itself"),
    Attack("own_inputs", "marks",
           "Keeps the graded inputs, uses them for other exercises, and prints them later.",
           before='''\
import numpy as np

kept = []
''', answers={
               "center": "def center(x):\n    kept.append(x)\n    return x\n",
               "slope": "def slope(x, y):\n    kept.append((x, y))\n"
                        "    return float(np.sum(kept[0])) if len(kept) else 0.0\n",
               "averager": "class Averager:\n    def add(self, value):\n"
                           "        kept.append(value)\n\n"
                           "    def mean(self):\n        return float(np.mean(kept[0]))\n",
               "codeword": "codeword = str(kept)\nprint(codeword)\n",
           }),
]
