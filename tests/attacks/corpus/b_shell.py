"""Attacks on IPython and the kernel, which run the checks in stock nbgrader."""

from tests.attacks import FIND, FOUND, Attack, returning

LATE_TWO = "get_ipython().displayhook(2.0)"

ATTACKS = [
    Attack("ast_transformers", "marks", "An AST transformer turns every assert into pass.",
           before='''\
import ast


class NoAsserts(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.copy_location(ast.Pass(), node)


get_ipython().ast_transformers.append(NoAsserts())
'''),
    Attack("input_transformers_post", "marks", "An input transformer blanks all later cells.",
           before='''\
def blank(lines):
    return ["\\n"]
''', after="", answers=returning("None") | {
               "codeword": "get_ipython().input_transformers_post.append(blank)",
               "center": "get_ipython().input_transformers_post.append(blank)",
           }),
    Attack("input_transformers_cleanup", "marks",
           "A cleanup transformer replaces the source of later cells by a number.",
           before='''\
def two(lines):
    return ["2.0\\n"]


get_ipython().input_transformers_cleanup.append(two)
'''),
    Attack("do_execute", "marks", "The kernel's do_execute is replaced by one that always says ok.",
           before='''\
async def do_execute(*args, **kwargs):
    return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}


get_ipython().kernel.do_execute = do_execute
'''),
    Attack("run_cell", "marks", "The shell's run_cell and run_cell_async are replaced.",
           before='''\
from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell


def nothing(*args, **kwargs):
    return ExecutionResult(ExecutionInfo("", False, False, True, None))


async def nothing_async(*args, **kwargs):
    return nothing()


InteractiveShell.run_cell = nothing
InteractiveShell.run_cell_async = nothing_async
'''),
    Attack("displayhook", "marks",
           "The functions show a number as the cell's result before they fail.",
           answers={
               "center": f"def center(x):\n    {LATE_TWO}\n    raise ValueError\n",
               "slope": f"def slope(x, y):\n    {LATE_TWO}\n    raise ValueError\n",
               "averager": f"class Averager:\n    def __init__(self):\n        {LATE_TWO}\n",
           }),
    Attack("nan_score", "marks", "What the partial credit is computed from is NaN.",
           answers=returning("float('nan')")),
    Attack("showtraceback", "marks", "Errors are not shown: showtraceback and its like do nothing.",
           before='''\
from IPython.core.interactiveshell import InteractiveShell

for name in ("showtraceback", "showsyntaxerror", "_showtraceback", "showindentationerror"):
    setattr(InteractiveShell, name, lambda *args, **kwargs: None)
get_ipython().set_custom_exc((Exception,), lambda *args, **kwargs: None)
''', source="nbgrader pull request 1324"),
    Attack("system_exit", "marks", "The functions leave with exit code 0 instead of answering.",
           answers={
               "center": "def center(x):\n    raise SystemExit(0)\n",
               "slope": "def slope(x, y):\n    exit(0)\n",
               "averager": "import sys\n\n\nclass Averager:\n"
                           "    def __init__(self):\n        sys.exit(0)\n",
           }, source="gradema"),
    Attack("exit_of_the_kernel", "marks", "The kernel is told to stop after the first answer.",
           answers={"center": "get_ipython().ask_exit()\nget_ipython().kernel.do_shutdown(False)"}),
    Attack("forged_display", "marks",
           "Cells display what this course's check displays for full marks.",
           before='''\
from IPython.display import display


def show(name, points):
    result = {"lab": "01_attacked", "exercise": name, "score": points, "points": points,
              "status": "passed"}
    display({"text/plain": str(points), "text/html": f"<b>{points} of {points}</b>"}, raw=True,
            metadata={"grading": result})


def check(name):
    show(name, 2.0)
    return 2.0


for name in ("center", "slope", "averager", "codeword"):
    show(name, 2.0)
''', answers=returning("show('center', 2.0)") | {
               "center": "def center(x):\n    show('center', 2.0)\n    return x * 0\n"}),
    Attack("trace", "marks", "A trace function jumps over the asserts of later cells.",
           before='''\
import linecache
import sys


def trace(frame, event, arg):
    source = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    if event == "line" and source.startswith("assert") and frame.f_code.co_name == "<module>":
        frame.f_trace = None
        raise StopIteration
    return trace


class Quiet:
    def __call__(self, frame, event, arg):
        return trace(frame, event, arg)


shell = type(get_ipython())
run_code = shell.run_code


async def traced(self, code, result=None, *, async_=False):
    sys.settrace(Quiet())
    try:
        exec(code, self.user_ns)
    except BaseException:
        pass
    finally:
        sys.settrace(None)
    return False


shell.run_code = traced
'''),
    Attack("pre_run_cell", "reading", "A hook reads the source of every cell that is run later.",
           before=FIND + '''

def read_cell(info):
    find(info.raw_cell or "")


get_ipython().events.register("pre_run_cell", read_cell)
''', answers=FOUND,
           after="codeword = found"),
    Attack("lazy_codeword", "marks",
           "The answer is read from the source of the very cell that asks for it.",
           before=FIND + '''

class Late(str):
    def __eq__(self, other):
        find(get_ipython().user_ns["In"][-1])
        return found == other

    __hash__ = None
''', answers=returning("None") | {"codeword": "codeword = Late()"}),
    Attack("history", "reading", "A cell reads the shell's history, in memory and on disk.",
           before=FIND, after='''\
import glob
import os

for *_, line in get_ipython().history_manager.get_range(raw=True):
    find(line)
for path in glob.glob(os.path.expanduser("~/.ipython/profile_*/history.sqlite")):
    find_file(path)
find(repr(get_ipython().user_ns.get("In")))
'''),
]
