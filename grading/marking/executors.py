"""What the jobs of a run are given to: processes of this machine, or a Dask cluster."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from grading.course.files import CourseError

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized

Begin = Callable[[], None]
SECONDS = 20.0  # until a scheduler that does not answer is taken for not there


@contextmanager
def processes(
    count: int,
    prepare: Callable[[int], Begin | None] | None = None,
    imports: Sequence[str] = (),
) -> Iterator[Executor]:
    """An executor of `count` processes on this machine, which end when this process does.

    prepare: is called with `count`; what it returns, each process calls as it begins. imports:
    modules that every process will want: they are imported once.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["grading.marking.job", *imports])
    started, begin = context.Value("i", 0), prepare(count) if prepare else None
    executor = ProcessPoolExecutor(
        count, mp_context=context, initializer=_begin, initargs=(started, begin)
    )
    try:
        yield executor
    except BaseException:
        # What is in flight is given up, so that Ctrl-C or a full disk ends the run at once.
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def dask(address: str) -> Iterator[Executor]:
    """An executor on the Dask cluster whose scheduler listens at `address`.

    Raises CourseError if none answers. A task whose worker dies is given to another one by Dask.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise CourseError(
            "A cluster needs the package distributed: run `make install`, or"
            " `pip install distributed`."
        ) from None
    try:
        client = Client(address, timeout=SECONDS)
    except (OSError, ValueError) as error:
        raise CourseError(f"No Dask scheduler answers at {address}: {error}.") from None
    with client, client.get_executor(pure=False) as executor:
        yield executor


def _begin(started: "Synchronized[int]", begin: Begin | None) -> None:
    """A worker of this machine leaves Ctrl-C to its parent, and ends when that has ended.

    It keeps to one processor, and so does what it starts: a submission that spins on every thread
    takes nothing from those that other workers grade.
    """
    with started.get_lock():
        mine, started.value = started.value, started.value + 1
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processors[mine % len(processors)]})
    if hasattr(os, "setsid"):
        os.setsid()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if begin:
        begin()
