"""A limit of time on a block of code, in a process that other code shares."""

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class TimeLimit(BaseException):
    """Raised inside the student's code; a BaseException, so that `except Exception` lets it by."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block with TimeLimit after `seconds`, and again each second until it ends.

    A timer signal where there is one (it also ends a sleep); elsewhere, on Windows, a thread that
    interrupts the main one. Off the main thread, as in a Dask worker, Python's own steps are
    interrupted; one that is in C, such as a sleep, ends first.
    """
    if threading.current_thread() is not threading.main_thread():
        with _raising_in_this_thread(seconds):
            yield
    elif hasattr(signal, "setitimer"):
        with _by_a_signal(seconds):
            yield
    else:
        with _interrupting_thread(seconds):
            yield


@contextmanager
def _by_a_signal(seconds: float) -> Iterator[None]:
    fired = threading.Event()

    def interrupt(*_: object) -> None:
        fired.set()
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    except Exception:  # a library may make another error of it, or none
        if not fired.is_set():
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if fired.is_set():
        raise TimeLimit


@contextmanager
def _raising_in_this_thread(seconds: float) -> Iterator[None]:
    thread, over, lock = threading.get_ident(), threading.Event(), threading.Lock()

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
                    raise_in(ctypes.c_ulong(thread), ctypes.py_object(TimeLimit))
            wait = 1.0

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        with lock:
            over.set()


@contextmanager
def _interrupting_thread(seconds: float) -> Iterator[None]:
    import _thread

    over, fired = threading.Event(), threading.Event()

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            fired.set()
            _thread.interrupt_main()
            wait = 1.0

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        raise (TimeLimit if fired.is_set() else KeyboardInterrupt) from None
    finally:
        over.set()
