"""`python -m grading hub`: JupyterHub with a seat for each learner of a class, and the board.

One process holds the hub, its proxy and the board. A seat is a process of its own: as root under a
user of its own, otherwise under the instructor's. Seats that outlive a kill are taken up again.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator, LocalAuthenticator
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner
from tornado.web import HTTPError, RequestHandler
from traitlets.config import Config

from grading.answer.say import say
from grading.course import workspace
from grading.course.files import CourseError
from grading.course.languages.speech import language
from grading.course.outline import outline
from grading.learner import member
from grading.workshop import seat, serve
from grading.workshop.accounts import SHORTEST, Accounts, NotSignedIn
from grading.workshop.bounds import Bounds
from grading.workshop.proxy import OwnProxy
from grading.workshop.store import url_of

BOARD = "/services/board"
_SLOWEST = 600  # seconds that a seat may take to start, when a whole class signs in at once
_NOBODY = 65534
# What a seat's user does at its start, and must not be able to do.
_TRIAL = """
import os, sys
import grading.workshop.seat, jupyterhub.singleuser
print(*[one for one in sys.argv[1:] if os.access(one, os.W_OK)])
"""


@dataclass(frozen=True)
class Place:
    """Where a class is served. course: the folder with labs/; db: the URL of the board's database,
    where that is no file of the folder; host: "" for everywhere; address: as learners reach it;
    idle: seconds after which an unused seat is ended, 0 for never."""

    course: Path
    folder: Path
    db: str | None
    host: str
    port: int
    address: str
    bounds: Bounds
    idle: int

    @property
    def seats(self) -> Path:
        return self.folder / "seats"


class Hub(JupyterHub):
    """JupyterHub with a board in its process; there is one. Set before it is launched: place,
    accounts, and the sockets of the board."""

    place: Place
    accounts: Accounts
    board_sockets: list[socket.socket]

    def load_config_file(self, *names: Any, **more: Any) -> None:
        """None: one that lies in the current folder is somebody else's."""

    async def start(self) -> None:
        board = self.accounts.board
        serve.answering(board, self.board_sockets, BOARD, proxied=True)
        self._learning = asyncio.create_task(serve.learn(board))
        await super().start()
        print(_welcome(self), flush=True)

    def board_url(self) -> str:
        """As the board is reached on this machine."""
        return f"http://127.0.0.1:{self.board_sockets[0].getsockname()[1]}{BOARD}"


class SignIn(Authenticator):
    """By a name, the class's code and a password; the user is the account's seat."""

    # Any, here and in the proxy: JupyterHub's own classes are read as giving nothing.
    async def authenticate(self, handler: RequestHandler, data: dict[str, str]) -> Any:
        given = (data.get(key, "") for key in ("username", "code", "password"))
        accounts = Hub.instance().accounts
        try:
            return accounts.sign_in(*given, place=handler.request.remote_ip or "").user
        except NotSignedIn as error:
            # JupyterHub says it on its sign-in page.
            raise HTTPError(403, say(str(error))) from None


class SignInToSystem(SignIn, LocalAuthenticator):
    """The same, where each seat has a user of the system's, who is made here."""


class Seat(LocalProcessSpawner):
    """A seat's process, under the system's user of its name."""

    def get_env(self) -> dict[str, str]:
        hub, given = Hub.instance(), super().get_env()
        account, code = hub.accounts.of(self.user.name), hub.accounts.board.code
        given |= {
            seat.COURSE: str(hub.place.course),
            member.VARIABLE: f"{hub.board_url()} {code} {account.name}",
            member.TOKEN: account.token,
        }
        if "LAB_LANG" in os.environ:
            given["LAB_LANG"] = os.environ["LAB_LANG"]
        if "LAB_DATA" in os.environ:
            given["LAB_DATA"] = os.path.abspath(os.environ["LAB_DATA"])
        return given

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        # Where the class's folder is now, whatever the system has noted of the user's home.
        return {**super().user_env(env), "HOME": str(Hub.instance().place.seats / self.user.name)}

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        place, become = Hub.instance().place, super().make_preexec_fn(name)
        enter, home = place.bounds.enter(name), place.seats / name

        def prepare() -> None:
            enter()
            os.umask(0o077)  # nobody else reads what the learner writes, be it in /tmp
            become()
            os.chdir(home)
            log = os.open("seat.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            for output in (1, 2):
                os.dup2(log, output)

        return prepare


class SharedSeat(Seat, SimpleLocalProcessSpawner):
    """The same, under the instructor's own user, as all others are."""


def run(place: Place) -> int:
    """Serve until Ctrl-C; the exit code. Raises CourseError."""
    if place.db and url_of(place.db).password:
        raise CourseError(
            "Whoever has a seat can read this command's line, and the password in --db with it: put"
            " it into ~/.pgpass, or into PGPASSWORD."
        )
    with serve.opened(place.course, place.folder, place.db) as board:
        _check_free(place.host, place.port)
        _check_free("127.0.0.1", place.port + 1)
        if place.bounds.own_user:
            _check_system(place)
        board.address, board.seats = f"{place.address}{BOARD}", place.address
        hub = Hub.instance(config=_config(place))
        hub.place = place
        hub.accounts = Accounts(place.folder, board)
        hub.board_sockets = serve.bound("127.0.0.1", place.port + 2)
        Hub.launch_instance([])
        hub.accounts.close()
    return 0


def _config(place: Place) -> Config:
    kept = place.folder / "hub"
    for folder, mode in ((place.folder, 0o711), (kept, 0o700), (place.seats, 0o711)):
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)  # a seat's user goes through to its own home, and sees nothing else
    found = Config()
    found.JupyterHub.update(
        authenticator_class=SignInToSystem if place.bounds.own_user else SignIn,
        spawner_class=Seat if place.bounds.own_user else SharedSeat,
        proxy_class=OwnProxy,
        bind_url=f"http://{place.host or '0.0.0.0'}:{place.port}",
        hub_bind_url=f"http://127.0.0.1:{place.port + 1}",
        services=[{"name": "board", "url": f"http://127.0.0.1:{place.port + 2}", "display": False}],
        db_url=f"sqlite:///{kept / 'jupyterhub.sqlite'}",
        cookie_secret_file=str(kept / "cookie_secret"),
        log_level="ERROR",
        template_paths=[str(Path(__file__).parent / "pages")],
        template_vars={
            "course": say(outline(place.course).title),
            "language": language(place.course) or "en",
            "say": lambda _user: say,  # JupyterHub calls what it can, for a value
            "shortest": SHORTEST,
        },
    )
    found.OwnProxy.scheme = urlsplit(place.address).scheme
    found.Authenticator.allow_all = True
    found.LocalAuthenticator.create_system_users = True
    found.LocalAuthenticator.add_user_cmd = [
        *("useradd", "--create-home", "--base-dir", str(place.seats)),
        *("--shell", "/bin/bash", "--user-group", "-K", "HOME_MODE=0700"),
    ]
    # The same users again where the system has forgotten them, as a new container has.
    found.LocalAuthenticator.uids = {one.name: one.stat().st_uid for one in place.seats.iterdir()}
    found.SimpleLocalProcessSpawner.home_dir_template = str(place.seats / "{username}")
    found.Spawner.update(
        cmd=[sys.executable, "-m", seat.__name__],
        args=_ended_when_idle(place.idle),
        default_url=f"/lab/tree/{workspace.start(place.course)}",
        start_timeout=_SLOWEST,
        http_timeout=_SLOWEST,
        post_stop_hook=lambda spawner: place.bounds.leave(spawner.user.name),
    )
    return found


def _ended_when_idle(seconds: int) -> list[str]:
    """The options by which a seat ends its idle kernels, and then itself."""
    if not seconds:
        return []
    return [
        f"--MappingKernelManager.cull_idle_timeout={seconds}",
        f"--MappingKernelManager.cull_interval={max(1, seconds // 10)}",
        "--MappingKernelManager.cull_connected=True",  # pages are left open
        f"--ServerApp.shutdown_no_activity_timeout={seconds}",
    ]


def _check_free(host: str, port: int) -> None:
    for one in serve.bound(host, port):
        one.close()


def _check_system(place: Place) -> None:
    """Whether users of the system's own can be made, and can run the course but not change it.
    Raises CourseError."""
    if shutil.which("useradd") is None:
        raise CourseError(
            "As root the hub makes a user for each seat, and there is no `useradd` here: install"
            " it, or start the hub as an ordinary user."
        )
    for path in (Path(sys.executable).resolve(), place.course.resolve(), place.folder.resolve()):
        closed = [one for one in path.parents if not one.stat().st_mode & 0o001]
        if closed:
            raise CourseError(
                f"The seats' users could not reach {path}, because {closed[-1]} is closed to them:"
                " have the course, its Python and the class's folder where everybody may look (such"
                " as /opt/course, installed by `make PYTHON=/usr/bin/python3 install`), or start"
                " the hub as an ordinary user."
            )
    mine = [str(path) for path in (place.course, place.course / "labs", sys.prefix)]
    tried = subprocess.run(
        [sys.executable, "-c", _TRIAL, *mine],
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        last = tried.stderr.strip().rpartition("\n")[2]
        raise CourseError(f"The seats' users could not run the course: {last}")
    if tried.stdout.strip():
        raise CourseError(
            f"Everybody could change the course for everybody: {tried.stdout.strip()} can be"
            " written by any user. Take that right away (chmod -R go-w) first."
        )


def _welcome(hub: Hub) -> str:
    place, board = hub.place, hub.accounts.board
    page = f"{board.address}/board#{board.store.key}"
    lines = [
        say("The seats are open. A learner opens in a browser"),
        "",
        f"    {place.address}",
        "",
        say(
            f"and signs in with a name, the class's code {board.code} and a password of their own."
        ),
        "",
        say(f"Your page, which only you should open: {page}"),
        say(f"Notebooks that are handed in: {board.handed.submissions}"),
        say(f"What the learners write: {place.seats}"),
        say(place.bounds.sentence()),
    ]
    if not place.bounds.own_user:
        lines.append(
            say(
                "All seats run as you: whoever has one can read and change everybody's files and"
                " yours, the board's secrets too. Let only people in whom you trust; as root, each"
                " seat has a user of its own."
            )
        )
    if place.idle:
        idle = f"{place.idle / 60:g}"
        lines.append(say(f"A seat that nobody uses is ended after {idle} minutes."))
    lines.append(
        say("Ctrl-C ends all seats; the same command opens the class again, with all that it has.")
    )
    return "\n".join(lines)
