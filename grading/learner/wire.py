"""Asking the board: one request, one answer in JSON. No proxy is used and no redirection followed,
so that nothing goes to another host than the one that the learner named."""

import http.client
import json
from typing import Any
from urllib.parse import quote, urlsplit

_MOST = 1 << 20  # bytes of an answer


class Unreachable(Exception):
    """The board gave no answer that could be understood: it is worth asking again later."""


class Refused(Exception):
    """The board said no; the message is its sentence. again: whether to ask again later."""

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status, self.again = status, status in (408, 429)


def plain(address: str) -> str:
    """`http://10.0.0.5:8300` of what a person may have typed. Raises ValueError."""
    whole = address.strip() if "://" in address else f"http://{address.strip()}"
    parts = urlsplit(whole.partition("#")[0].rstrip("/"))
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        wrong = f"{address!r} is no address of a board: it is like http://10.0.0.5:8300."
        raise ValueError(wrong)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def ask(
    address: str,
    method: str,
    path: str,
    *,
    token: str = "",
    body: Any = None,
    content: bytes | None = None,
    timeout: float = 5.0,
) -> dict[str, Any]:
    """What the board answers. body: sent as JSON; or content: bytes as they are.

    Raises Unreachable and Refused.
    """
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if content is None and body is not None:
        content = json.dumps(body).encode()
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request(method, quote(f"{parts.path}{path}"), content, headers)
            response = connection.getresponse()
            status, said = response.status, json.loads(response.read(_MOST))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(str(error) or type(error).__name__) from None
    if not isinstance(said, dict) or status >= 500:
        raise Unreachable(f"it answered {status}")
    if status != 200:
        raise Refused(str(said.get("error", f"The board answered {status}."))[:500], status)
    return said
