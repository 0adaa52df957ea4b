"""`python -m grading` with shorter limits, so that what hangs is soon over, and with all cells: an
attack in a cell that no answer stands on would not be run else.

python -m tests.attacks.grade CELL EXERCISE TOTAL autograde 01_attacked ...
"""

import sys
from dataclasses import replace
from typing import Any

from grading import __main__ as command
from grading.marking import autograde, batch
from grading.marking.job import Setting
from grading.marking.judge import TimeLimits


def main(cell: str, exercise: str, total: str, *arguments: str) -> int:
    usual, limits = autograde.setting_of, TimeLimits(float(cell), float(exercise), float(total))

    def setting_of(*given: Any, **more: Any) -> Setting:
        return replace(usual(*given, **more), limits=limits, all_cells=True)

    autograde.setting_of = setting_of
    batch._run_alone = lambda *_: None  # limits are met on purpose here, however busy the machine
    return command.main(arguments)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
