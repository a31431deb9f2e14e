"""A client of the HTTP API. What it refuses, and what keeps it from answering, is one line for people."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import urlsplit

import httpx

from headgate.cli.saying import FAILED, WRONG_USAGE, CommandError

API = "/api/v1"
DATA = Path("headgate-data")  # as `headgate serve` without a word (store.directory)
TOKEN_FILE = "api-token"
PAGE = 1000
CONNECT_S = 10.0
ANSWER_S = 60.0
UPLOAD_S = 600.0  # a package is hashed and written before it is answered
AGAIN_S = (0.5, 1.0, 2.0)  # before a request that is done once is sent again, its answer having been lost
WRONG = frozenset({400, 405, 413, 415, 422, 428})
"""What is asked for can never be done: wrong usage. Everything else may, at another time."""


class UnreachableError(CommandError):
    """No answer came."""


class RefusedError(CommandError):
    """The server answered with a problem (RFC 9457)."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason, exit_code=WRONG_USAGE if status in WRONG else FAILED)
        self.status = status


def address(url: str) -> tuple[str, bool]:
    """The URL without a slash at its end, and whether it is this machine. Raises CommandError.

    >>> address("http://127.0.0.1:8080/"), address("https://fw.example/headgate")
    (('http://127.0.0.1:8080', True), ('https://fw.example/headgate', False))
    """
    wrong = CommandError(f"--url is http://host[:port] or https://..., not {url!r}", exit_code=WRONG_USAGE)
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018  (raises for one that is none)
    except ValueError as error:
        raise wrong from error
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or parts.username:
        raise wrong
    return url.rstrip("/"), host == "localhost" or is_loopback(host)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def secret_of(token: str | None, data: Path | None, *, local: bool) -> str:
    """The token that is given, else the one that a new server has left in its data directory.

    Without a word from the operator, that one is only told to this machine. Raises CommandError.
    """
    file = None
    if token is None:
        if data is None and not local:
            raise CommandError("a token is needed: --token or HEADGATE_TOKEN", exit_code=WRONG_USAGE)
        file = (data or DATA) / TOKEN_FILE
        try:
            token = file.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no token"
            raise CommandError(
                f"a token is needed: --token, HEADGATE_TOKEN, or --data with the server's data directory "
                f"({file}: {why})",
                exit_code=WRONG_USAGE,
            ) from error
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise CommandError(f"{file or '--token'} holds no token", exit_code=WRONG_USAGE)
    return token


class Said(dict[str, Any]):
    """An object that a server has sent. What a command needs of it and is not there is one line too."""

    def __missing__(self, name: str) -> Any:
        raise CommandError(f"the answer has no {name!r}: no Headgate there, or another version of it?")


class Client:
    """An open connection, for a `with` statement. Every method raises UnreachableError and RefusedError."""

    def __init__(self, url: str, token: str | None = None, data: Path | None = None) -> None:
        """Raises CommandError for an address that is none, and where no token is found."""
        self.url, local = address(url)
        self.how: dict[str, Any] = {
            "base_url": self.url + API,
            "headers": {"Authorization": f"Bearer {secret_of(token, data, local=local)}"},
            "trust_env": not local,  # proxies of the environment
            # Without TLS nothing is verified, and reading the world's authorities takes 40 ms.
            "verify": self.url.startswith("https:"),
        }
        """For whoever makes another connection to the same server."""
        self._http = httpx.Client(**self.how, timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, answer_s: float = ANSWER_S) -> Any:
        """What there is."""
        timeout = httpx.Timeout(answer_s, connect=CONNECT_S)
        return self.object_of(self.ask("GET", path, params=params, timeout=timeout))

    def post(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None) -> Any:
        """What was made or done."""
        return self.object_of(self.ask("POST", path, json=body, params=params))

    def post_once(self, path: str, body: Any, key: str) -> Any:
        """The same, sent again with its key where the answer was lost: it is done once."""
        how: dict[str, Any] = {"json": body, "headers": {"Idempotency-Key": key}}
        for wait_s in AGAIN_S:
            try:
                return self.object_of(self.ask("POST", path, **how))
            except UnreachableError:
                time.sleep(wait_s)  # a server that restarts is back within these
        return self.object_of(self.ask("POST", path, **how))

    def upload(self, path: str, file: IO[bytes], name: str, fields: Mapping[str, Any]) -> Any:
        """What was made of a file; it is read as it is sent."""
        files = {"file": (name, file, "application/octet-stream")}
        timeout = httpx.Timeout(UPLOAD_S, connect=CONNECT_S)
        return self.object_of(self.ask("POST", path, files=files, data=fields, timeout=timeout))

    def delete(self, path: str) -> None:
        """Have it gone."""
        self.ask("DELETE", path)

    def pages(self, path: str, params: Mapping[str, Any] | None = None, *, most: int = 0) -> Pages:
        """The items of all pages, `most` at most, 0 for all."""
        return Pages(self, path, params or {}, most)

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """The answer, where it is none of the problems."""
        if how.get("params"):
            how["params"] = {name: value for name, value in how["params"].items() if value is not None}
        try:
            answer = self._http.request(method, path, **how)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(self.url, error) from error
        except UnicodeEncodeError as error:  # bytes of the command line that are no UTF-8, most often
            said = f"this is no text that can be sent: {error.object[error.start :][:40]!r}"
            raise CommandError(said, exit_code=WRONG_USAGE) from error
        if not answer.is_success:
            raise refused(self.url, answer)
        return answer

    def object_of(self, answer: httpx.Response) -> Any:
        """The JSON of an answer. Raises CommandError where something else answers there."""
        try:
            said = answer.json(object_hook=Said)
        except (ValueError, RecursionError) as error:
            raise CommandError(f"{self.url} answers no JSON: no Headgate there?") from error
        if not isinstance(said, Said):
            raise CommandError(f"{self.url} answers JSON of another kind: no Headgate there?")
        return said


class Pages:
    """The items of a list, page by page as they are wanted."""

    def __init__(self, client: Client, path: str, params: Mapping[str, Any], most: int) -> None:
        self._client = client
        self._path = path
        self._params = params
        self._most = most
        self.more = False
        """Whether there are items beyond the most that were wanted; known at the end."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        left, after = self._most, None
        while True:
            limit = min(left, PAGE) if self._most else PAGE
            page = self._client.get(self._path, {**self._params, "limit": limit, "after": after})
            yield from page["items"]
            left, after = left - len(page["items"]), page["next"]
            if after is None:
                return
            if self._most and left <= 0:
                self.more = True
                return


def unreachable(url: str, error: Exception) -> UnreachableError:
    """Why no answer came."""
    if isinstance(error, httpx.ConnectError):
        return UnreachableError(f"no server answers at {url} ({error}): --url says where one runs")
    if isinstance(error, httpx.TimeoutException):
        return UnreachableError(f"{url} does not answer in time")
    return UnreachableError(f"{url} broke off: {error or type(error).__name__}")


def refused(url: str, answer: httpx.Response) -> RefusedError:
    """What a problem says, and what to do about it."""
    status = answer.status_code
    try:
        said = answer.json()
        reason = str(said["detail"])
        mistakes = "; ".join(f"{each['where']}: {each['what']}" for each in said.get("errors") or ())
    except (ValueError, KeyError, TypeError):
        what = f" to {answer.headers['location']}" if "location" in answer.headers else ""
        return RefusedError(
            status, f"{url} answers {status} {answer.reason_phrase}{what}: no Headgate there?"
        )
    if mistakes:
        reason = f"{reason}: {mistakes}"
    if status == 404 and reason == "Not Found":
        reason = f"{url} knows no {answer.request.url.path}: is it another version of Headgate?"
    if status == 401:
        reason = f"{reason} (--token, HEADGATE_TOKEN, or --data with the server's data directory)"
    return RefusedError(status, reason)
