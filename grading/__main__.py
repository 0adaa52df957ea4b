"""The command line: `python -m grading <command>`; the Makefile's targets call it."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from grading.answer import progress
from grading.course.files import CourseError

ROOT = Path(__file__).parents[1]
_COURSE: Any = {
    "type": Path,
    "default": ROOT,
    "help": "another folder with solutions/, labs/ and grading/checks/",
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m grading", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    lab = commands.add_parser(
        "lab", help="open the course in JupyterLab; its options are JupyterLab's"
    )
    lab.set_defaults(run=_lab)

    update = commands.add_parser("update", help="carry your answers into a lab's new version")
    update.add_argument("lab", nargs="?", help="such as 02; default: every lab")
    update.set_defaults(run=_update)

    standing = commands.add_parser("progress", help="show your standing over the course")
    standing.set_defaults(run=_progress)

    release = commands.add_parser("release", help="generate labs/ and the nbgrader course")
    release.add_argument("--course", **_COURSE)
    release.set_defaults(run=_release)

    execute = commands.add_parser("execute", help="run every lab through papermill")
    execute.add_argument("lab", nargs="?", help="such as 02; default: every lab")
    execute.add_argument("--scale", default="smoke", help="smoke (default), cpu, gpu or multi")
    execute.add_argument(
        "--again", action="store_true", help="run every section once more, the last one first"
    )
    execute.set_defaults(run=_execute)

    gpu = commands.add_parser("gpu", help="try all that this machine has, in minutes")
    gpu.add_argument("--minutes", type=float, default=6.0, help="for everything (default: 6)")
    gpu.add_argument("--scale", default="", help="of the labs; default: gpu, or smoke without one")
    gpu.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="such as kernels, ranks or 05"
    )
    gpu.add_argument("--out", type=Path, help="where the reports go; default: build/gpu")
    after = gpu.add_mutually_exclusive_group()
    after.add_argument("--keep", action="store_true", help="run nothing: keep the last report")
    after.add_argument("--ledger", action="store_true", help="run nothing: write docs/gpu.md")
    gpu.set_defaults(run=_gpu)

    site = commands.add_parser("site", help="build the course's site from the labs as they run")
    site.add_argument("lab", nargs="?", help="such as 02, to show it alone; default: every lab")
    site.set_defaults(run=_site)

    _add_grading(commands)
    _add_workshop(commands)

    options, rest = parser.parse_known_args(arguments)
    if rest and options.command != "lab":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.rest = rest
    try:
        return options.run(options)
    except CourseError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. What was done is kept: the same command goes on there.", file=sys.stderr)
        return 130


def _add_grading(commands: Any) -> None:
    """The commands of an instructor who grades; docs/grading.md is their guide."""
    results = argparse.ArgumentParser(add_help=False)
    results.add_argument("lab", help="such as 02")
    results.add_argument("--results", type=Path, required=True, help="DIR/<student>/NN_name.json")
    results.add_argument("--course", **_COURSE)
    handed_in = argparse.ArgumentParser(add_help=False)
    handed_in.add_argument("submissions", type=Path, help="SUBMISSIONS/<student>/NN_name.ipynb")

    autograde = commands.add_parser(
        "autograde", parents=[results, handed_in], help="grade every submission of a lab"
    )
    autograde.add_argument("--jobs", type=int, help="submissions at a time; default: the cores")
    autograde.add_argument("--scheduler", help="the address of a Dask cluster's scheduler")
    autograde.add_argument(
        "--trust-submissions", action="store_true", help="run them without any protection"
    )
    autograde.add_argument("--gpu", action="store_true", help="let submissions use the GPUs")
    autograde.add_argument(
        "--all-cells", action="store_true", help="run those, too, that no answer stands on"
    )
    autograde.set_defaults(run=_autograde)

    record = commands.add_parser(
        "record", parents=[results, handed_in], help="put results into nbgrader's gradebook"
    )
    record.add_argument("--db", help="the gradebook's URL; default: the course's gradebook.db")
    record.set_defaults(run=_record)

    report = commands.add_parser("report", parents=[results], help="results as CSV and HTML")
    report.set_defaults(run=_report)

    rejudge = commands.add_parser(
        "rejudge", parents=[results], help="apply changed checks to the values that were kept"
    )
    rejudge.set_defaults(run=_rejudge)


def _add_workshop(commands: Any) -> None:
    """The commands of an instructor with a class in the room; docs/workshop.md is their guide."""
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--folder",
        type=Path,
        default=Path("workshop"),
        help="where it keeps all; default: workshop",
    )
    workshop = commands.add_parser("workshop", parents=[folder], help="open the board for a class")
    workshop.add_argument(
        "--port", type=int, default=8300, help="default: 8300; 0: any that is free"
    )
    workshop.add_argument("--host", default="", help="listen on this address alone")
    workshop.add_argument("--address", help="what learners are told, where that is another")
    workshop.add_argument("--course", **_COURSE)
    workshop.set_defaults(run=_workshop)

    receipt = commands.add_parser(
        "receipt", parents=[folder], help="verify a receipt for a notebook that was handed in"
    )
    receipt.add_argument("receipt", type=Path, help="the file that hand_in() wrote")
    receipt.add_argument("notebook", type=Path, nargs="?", help="whether it is this notebook")
    receipt.set_defaults(run=_receipt)


# Each command imports its own modules, so that none waits for another's.


def _lab(options: argparse.Namespace) -> int:
    from grading.course import workspace

    return workspace.serve(ROOT, options.rest)


def _update(options: argparse.Namespace) -> int:
    from grading.course import workspace

    return workspace.update(ROOT, options.lab)


def _progress(options: argparse.Namespace) -> int:
    from grading.course.outline import titles_of

    print(progress.table(progress.standing(), titles_of(ROOT)))
    return 0


def _release(options: argparse.Namespace) -> int:
    from grading.course import release

    points_of = partial(release.points_of, folder=options.course / "grading" / "checks")
    for path in release.release(options.course, points_of=points_of):
        print(path.relative_to(options.course))
    return 0


def _execute(options: argparse.Namespace) -> int:
    from grading.course import execute

    return execute.execute_all(ROOT, options.lab, options.scale, options.again)


def _gpu(options: argparse.Namespace) -> int:
    from grading.course.gpu import report, runner

    if options.keep:
        folder = options.out or ROOT / "build" / "gpu"
        print(report.keep(ROOT, folder / "report.json"))
    if options.keep or options.ledger:
        print(report.write_ledger(ROOT))
        return 0
    return runner.run(
        ROOT, options.minutes, scale=options.scale, only=options.only, out=options.out
    )


def _site(options: argparse.Namespace) -> int:
    from grading.course.site import build

    return build.build(ROOT, options.lab)


def _autograde(options: argparse.Namespace) -> int:
    from grading.marking import autograde

    return autograde.run(
        options.course,
        options.lab,
        options.submissions,
        options.results,
        jobs=options.jobs,
        scheduler=options.scheduler,
        trust=options.trust_submissions,
        gpu=options.gpu,
        all_cells=options.all_cells,
    )


def _record(options: argparse.Namespace) -> int:
    from grading.gradebook import record

    return record.run(options.course, options.lab, options.submissions, options.results, options.db)


def _report(options: argparse.Namespace) -> int:
    from grading.gradebook import report

    return report.run(options.course, options.lab, options.results)


def _rejudge(options: argparse.Namespace) -> int:
    from grading.marking import rejudge

    return rejudge.run(options.course, options.lab, options.results)


def _workshop(options: argparse.Namespace) -> int:
    from grading.workshop import serve

    return serve.run(options.course, options.folder, options.host, options.port, options.address)


def _receipt(options: argparse.Namespace) -> int:
    from grading.workshop import handed

    return handed.receipt(options.folder, options.receipt, options.notebook)


if __name__ == "__main__":
    sys.exit(main())
