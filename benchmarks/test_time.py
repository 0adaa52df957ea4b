"""Where the tests' time goes: seconds of all workers together, by folder and by the longest tests.

make test ARGS="--durations=0 -q" | tee build/tests.log
python benchmarks/test_time.py build/tests.log
"""

import re
import sys
from collections import Counter
from pathlib import Path

_LINE = re.compile(r"([\d.]+)s (?:call|setup|teardown) +tests/(.+?)::(\w+)")


def main(log: str) -> None:
    folders, files, tests = Counter[str](), Counter[str](), Counter[str]()
    for seconds, file, test in _LINE.findall(Path(log).read_text(encoding="utf-8")):
        spent = float(seconds)
        folders[file.partition("/")[0]] += spent
        files[file] += spent
        tests[f"{file}::{test}"] += spent
    total = sum(folders.values())
    print(f"| what | seconds of {total:.0f} | share |\n|---|---|---|")
    for counter, most in ((folders, 9), (files, 8), (tests, 12)):
        for name, spent in counter.most_common(most):
            print(f"| `{name}` | {spent:.0f} | {spent / total:.0%} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
