"""The command line: `python -m grading <command>`; the Makefile's targets call it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from grading import progress

ROOT = Path(__file__).parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m grading", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    lab = commands.add_parser("lab", help="open the course in JupyterLab")
    lab.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to JupyterLab")
    lab.set_defaults(run=_lab)

    update = commands.add_parser("update", help="carry your answers into a lab's new version")
    update.add_argument("lab", nargs="?", help="such as 02; default: every lab")
    update.set_defaults(run=_update)

    standing = commands.add_parser("progress", help="show your standing over the course")
    standing.set_defaults(run=_progress)

    release = commands.add_parser("release", help="generate labs/ and the nbgrader course")
    release.set_defaults(run=_release)

    execute = commands.add_parser("execute", help="run every lab through papermill")
    execute.add_argument("lab", nargs="?", help="such as 02; default: every lab")
    execute.add_argument("--scale", default="smoke", help="smoke (default), cpu, gpu or multi")
    execute.set_defaults(run=_execute)

    options = parser.parse_args(arguments)
    return options.run(options)


# Each command imports its own modules, so that none waits for another's.


def _lab(options: argparse.Namespace) -> int:
    from grading import workspace

    return workspace.serve(ROOT, options.arguments)


def _update(options: argparse.Namespace) -> int:
    from grading import workspace

    return workspace.update(ROOT, options.lab)


def _progress(options: argparse.Namespace) -> int:
    print(progress.table(progress.standing()))
    return 0


def _release(options: argparse.Namespace) -> int:
    from grading import release

    try:
        for path in release.release(ROOT):
            print(path.relative_to(ROOT))
    except release.ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _execute(options: argparse.Namespace) -> int:
    from grading import execute

    return execute.execute_all(ROOT, options.lab, options.scale)


if __name__ == "__main__":
    sys.exit(main())
