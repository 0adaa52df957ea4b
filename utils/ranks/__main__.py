"""A function on ranks that torchrun started, on one machine or several (docs/ranks.md).

    torchrun --nproc-per-node 4 -m utils.ranks train.py train 10 0.1

runs train(10, 0.1) of train.py on four ranks, as `ranks.run(train, 4, 10, 0.1)` would, and prints
what each returns. Arguments are Python literals; what is none is a string.
"""

import argparse
import ast
import os
import runpy
import sys
from typing import Any

from utils.ranks import _group, _words
from utils.ranks._rank import failure


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="torchrun … -m utils.ranks", description=__doc__)
    parser.add_argument("file", help="a Python file; notebooks write one with %%%%writefile")
    parser.add_argument("function", help="a function in it")
    parser.add_argument("args", nargs="*", help="its arguments")
    parser.add_argument("--device", default="", help="cpu: leave GPUs unused")
    asked = parser.parse_args(arguments)
    if "LOCAL_RANK" not in os.environ:
        parser.error("this runs under torchrun, which says which rank it is")
    names = runpy.run_path(asked.file, run_name="ranks")
    if asked.function not in names:
        parser.error(f"there is no {asked.function!r} in {asked.file}")
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
    _group.join(_group.plan(here, device=asked.device), local, "")
    rank = int(os.environ["RANK"])
    try:
        result = names[asked.function](*map(_value, asked.args))
    except Exception as error:
        sys.stderr.write(f"{_words.failed({rank: _words.Outcome(failure=failure(error))})}\n")
        return 1
    # One write, or ranks that share a terminal mix their lines: print may end them with another.
    sys.stdout.write(f"rank {rank}: {result!r}\n")
    sys.stdout.flush()
    _group.leave()
    return 0


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
