"""One step, in this process: `python -m grading.course.gpu KIND FILE '{"lab": "05_convolution"}'`.

What is known is written to FILE whenever something new is: a step that is ended has not worked for
nothing.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from grading.course.files import write_atomically
from grading.course.gpu import labs

ROOT = Path(__file__).parents[3]


def main(kind: str, file: Path, given: dict[str, Any]) -> int:
    known: dict[str, Any] = {}

    def note(figures: dict[str, Any]) -> None:
        known["figures"] = figures
        write_atomically(file, json.dumps(known).encode())

    try:
        _do(kind, given, note)
    except Exception as error:
        traceback.print_exc()
        known["error"] = labs.in_a_line(error)
        write_atomically(file, json.dumps(known).encode())
        return 1
    return 0


def _do(kind: str, given: dict[str, Any], note: labs.Note) -> None:
    if kind == "lab":
        labs.run(ROOT, given["lab"], given["scale"], note)
        return
    from grading.course.gpu import kernels, machine, parallel

    gpus, nccl = given.get("gpus", 0), tuple(given.get("nccl", ()))
    if kind == "machine":
        note(machine.look())
    elif kind == "kernels":
        kernels.kernels(ROOT, note)
    elif kind == "networks":
        kernels.networks(ROOT, note)
    elif kind == "exchange":
        parallel.exchange(given["way"], gpus, nccl, note)
    elif kind == "sleeping":
        parallel.sleeping(ROOT, gpus, note)
    elif kind == "layers":
        parallel.layers(ROOT, gpus, note)
    else:
        raise ValueError(f"there is no step of the kind {kind!r}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])))
