"""A PostgreSQL server of a test's own, on a socket in a folder with a short name."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

PATIENCE = 60.0  # seconds: a limit, not an expectation


class Server:
    """It keeps its data when it is killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
        if self._user:
            shutil.chown(folder, self._user)
        subprocess.run(
            ["initdb", "-D", folder / "data", "-A", "trust", "-U", "grader", "--no-sync"],
            user=self._user,
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )

    def url(self, database: str = "postgres", folder: Path | None = None) -> str:
        """folder: of another socket, which leads to this server's."""
        return f"postgresql://grader@/{database}?host={folder or self.folder}"

    def new_database(self) -> str:
        """The name of an empty one."""
        with psycopg.connect(self.url(), autocommit=True) as base:
            (count,) = base.execute("SELECT count(*) FROM pg_database").fetchone() or (0,)
            base.execute(f"CREATE DATABASE class_{count}".encode())
        return f"class_{count}"

    def start(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",  # a test kills the server, not the machine
        }
        settings = [part for pair in options.items() for part in ("-c", "=".join(pair))]
        log = self.folder / "log"
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                ["postgres", "-D", self.folder / "data", *settings],
                user=self._user,
                stderr=said,
                cwd=self.folder,
            )
        end = time.monotonic() + PATIENCE
        while "ready to accept connections" not in log.read_text():
            assert time.monotonic() < end, log.read_text()
            assert self._process.poll() is None, log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash ends it: what is not committed is lost, and every connection is cut."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(PATIENCE)


@contextmanager
def served() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        server = Server(folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)
