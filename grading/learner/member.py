"""A learner in a workshop: joins its board, tells it how the checks go, raises a hand, hands in.

`grading.check` has these as `join`, `leave`, `hand` and `hand_in`. None of them raises, and none
makes a check slower or say something else: what goes wrong is one sentence.
"""

import getpass
import os
import sqlite3
from pathlib import Path
from typing import Any

from grading.answer.progress import progress_file
from grading.answer.say import say
from grading.answer.width import wrapped
from grading.learner import notebook
from grading.learner.outbox import Membership, Outbox
from grading.learner.sender import Sender, admit
from grading.learner.wire import Refused, Unreachable, ask, plain

VARIABLE = "P2P_BOARD"
TOKEN = "P2P_BOARD_TOKEN"  # where a hub has joined for the learner already: the token that it drew
_senders: dict[Path, Sender] = {}  # by the file of the outbox; one, but in tests


def sent() -> str:
    """What the board is told from now on, and what a learner can say."""
    told = say(
        "Your notebook now tells the board which lab you open and, at each check: the lab, the"
        " exercise, your points, which attempt it was, the seconds since you opened the lab, and"
        " the name of the misconception if a known one was recognised. It sends none of your code,"
        " values or output."
    )
    calls = {
        'hand("…")': say('raises your hand, with these words; hand("") takes it down'),
        "hand_in()": say("saves this notebook and hands it in"),
        "leave()": say("sends nothing more; leave(delete=True) also deletes what was sent"),
    }
    return "\n".join([wrapped(told), *(f"    {call:<12}{does}" for call, does in calls.items())])


def _not_joined() -> None:
    print(say('You have joined no board: join("http://…", "CODE", name="…") does.'))


def join(address: str, code: str, name: str) -> None:
    """Join the board at an address under a name. Says so, and what is sent from then on.

    Without all three, it shows a form for them.
    """
    if not (address or code or name):
        from grading.learner import form  # here: nothing else of the course wants widgets

        form.show(_join)
    else:
        _join(address, code, name)


def _join(address: str, code: str, name: str) -> None:
    try:
        outbox = _outbox()
        member = outbox.enrol(plain(address), str(code), " ".join(str(name).split()))
        _first_answer(outbox, member)
        joined = say(f"You have joined the board at {member.address} as {member.name}.")
    except Unreachable as error:
        joined = say(
            f"The board does not answer ({error}). Work on: your notebook goes on trying, and you"
            " have joined once it does."
        )
    except (Refused, ValueError, OSError, sqlite3.Error) as error:
        print(say(f"You have not joined the board: {error}"))
        return
    print(f"{joined}\n{sent()}")
    _sender().wake()


def leave(delete: bool = False) -> None:
    """Send nothing more. delete: the board also deletes what it was sent."""
    told = ""
    try:
        member = _outbox().membership() if _outbox().exists() else None
        if member is None:
            _not_joined()
            return
        _outbox().leave()
        if delete:
            told = _delete(member)
    except (Unreachable, Refused) as error:
        print(
            say(
                f"Nothing more is sent. What was sent is not deleted yet, the board said: {error}"
                " Say leave(delete=True) again later."
            )
        )
        return
    except (OSError, sqlite3.Error) as error:
        print(say(f"You have not left the board: {error}"))
        return
    print(" ".join(filter(None, [say("You have left the board: nothing more is sent."), told])))


def hand(words: str = "") -> None:
    """Raise your hand, with a few words that the instructor sees; without words, take it down."""
    said = " ".join(str(words).split())[:200]
    event = {"kind": "hand", "text": said} if said else {"kind": "lowered"}
    told = _tell(event)
    if told:
        up = "Your hand is up: the instructor sees it as soon as the board answers."
        print(say(up) if said else say("Your hand is down."))
    elif told is None:
        _not_joined()


def hand_in(file: str | Path | None = None) -> None:
    """Save this notebook, or the one in `file`, and hand it in; the newest one counts."""
    try:
        member = _member()
        if member is None:
            _not_joined()
            return
        found = notebook.saved(Path(file) if file else None)
        if member.state == "asked":
            admit(_outbox(), member)
        receipt = ask(
            member.address,
            "POST",
            f"/api/notebook/{found.lab}",
            token=member.token,
            content=found.content,
            timeout=60.0,
        )
        place = notebook.keep_receipt(found, receipt)
        size, at, digest = f"{receipt['bytes']:,}", receipt["at"], receipt["digest"]
        print(
            say(
                f"Handed in: {found.file.name}, {found.note}, {size} bytes, at {at} by the board's"
                " clock."
            ),
            say(
                f"Its digest is {digest}; the receipt is in {place}. Hand in again as often as you"
                " like: the newest counts."
            ),
            sep="\n",
        )
    except Unreachable as error:
        print(
            say(f"Not handed in: the board does not answer ({error}). Say hand_in() again later.")
        )
    except (Refused, notebook.NotSaved, OSError, sqlite3.Error) as error:
        print(say(f"Not handed in: {error}"))


def opened(lab: str) -> None:
    """A notebook has asked for the checks of a lab; joins the board that P2P_BOARD names."""
    try:
        _from_environment()
    except (sqlite3.Error, OSError) as error:
        print(say(f"{VARIABLE}: you have not joined the board ({error})."))
    _tell({"kind": "open", "lab": lab})


def checked(lab: str, exercise: str, score: float, seconds: float, misconception: str) -> None:
    """Tell the board how a check went. seconds: since the lab was opened."""
    event = {"kind": "check", "lab": lab, "exercise": exercise, "points": score}
    _tell({**event, "seconds": round(seconds, 1), "misconception": misconception})


def _tell(event: dict[str, Any]) -> bool | None:
    """Queue an event; whether it is queued (if not, that is said), None where there is no board."""
    try:
        if _member() is None:
            return None
        _outbox().add(event)
    except (sqlite3.Error, OSError) as error:
        print(say(f"The board was not told ({error}); everything else works as before."))
        return False
    _sender().wake()
    return True


def _delete(member: Membership) -> str:
    """Have the board delete what it was sent; says so. Raises Unreachable and Refused."""
    said = ask(member.address, "DELETE", "/api/me", token=member.token)
    if said.get("kept"):
        return say(
            "The board has deleted what it was sent. The notebooks that you handed in stay there."
        )
    _outbox().forget()
    return say("The board has deleted what it was sent.")


def _from_environment() -> None:
    """`P2P_BOARD="http://10.0.0.5:8300 CODE Anna"`; without a name, that of JupyterHub's user or
    of the login."""
    address, code, name = (*os.environ.get(VARIABLE, "").split(None, 2), "", "", "")[:3]
    if not code:
        return
    name = " ".join((name or os.environ.get("JUPYTERHUB_USER") or getpass.getuser()).split())
    before = _outbox().membership() if _outbox().exists() else None
    try:
        place = (plain(address), name)
    except ValueError as error:
        print(f"{VARIABLE}: {say(str(error))}")
        return
    if before and before.place == place and (before.code == code or not before.active):
        return  # joined already; and who has left, or was refused, is not asked again
    _outbox().enrol(place[0], code, name, os.environ.get(TOKEN, ""))
    joining = say(f"Joining the board at {place[0]} as {name}, as {VARIABLE} says.")
    print(f"{joining}\n{sent()}")


def _member() -> Membership | None:
    member = _outbox().membership() if _outbox().exists() else None
    if member and member.notice:
        print(say(_outbox().notice()))
    return member if member and member.active else None


def _first_answer(outbox: Outbox, member: Membership) -> None:
    """Join while the learner waits: a refusal is told at once, and not asked for again."""
    try:
        admit(outbox, member)
    except Refused:
        outbox.settle(member, "refused")
        raise


def _outbox() -> Outbox:
    return _sender().outbox


def _sender() -> Sender:
    file = progress_file().with_name(".board.sqlite")
    if file not in _senders:
        _senders[file] = Sender(Outbox(file))
    return _senders[file]
