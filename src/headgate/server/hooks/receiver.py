"""One attempt: a signed POST to an address that was looked at. No redirect is followed, no proxy asked."""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version

import httpx

from headgate.errors import HookError
from headgate.server.hooks.addresses import Place, address_of, check, place_of
from headgate.server.hooks.outgoing import Notice
from headgate.server.hooks.signature import signature

RESPONSE_BYTES_MAX = 64 * 1024  # of an answer, which nobody reads: a longer one ends the connection
ADDRESSES_MAX = 4  # of one name that are tried
RESOLVED_S = 30.0  # how long the addresses of a name are taken to be the same
KEEP_ALIVE_S = 30.0
RESOLVERS = 4
USER_AGENT = f"headgate/{version('headgate')}"


class Resolver:
    """Asks for the addresses of names, in threads of its own: a name server may take its time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="headgate-resolver")

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a name. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, resolved, host, port)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Nobody waits for answers any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def resolved(host: str, port: int) -> list[str]:
    """As the system resolves it. Blocking."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]).partition("%")[0] for *_, address in found]


class Receiver:
    """The connections to one hook's receiver."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        resolver: Resolver,
        allow_private: bool,
        timeout_s: float,
        concurrency: int,
    ) -> None:
        """Raises HookError for a URL that is not permitted any more; trust is loaded with the first https."""
        self._place: Place = place_of(url, allow_private=allow_private)
        self._secret = secret
        self._resolver = resolver
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._concurrency = concurrency
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._addresses: list[str] = []
        self._resolved_s = float("-inf")

    async def attempt(self, notice: Notice, now: float) -> str | None:
        """None where the receiver has taken it (2xx), else why not. `now` is what is signed."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._attempt(notice, now)
        except TimeoutError:
            self._addresses = []
            return f"no answer within {self._timeout_s:g} s"
        except HookError as error:
            return str(error)
        except (
            httpx.HTTPError,
            OSError,
            UnicodeError,
        ) as error:  # UnicodeError: no name that could be asked for
            self._addresses = []
            return f"{type(error).__name__}: {error}"[:200]

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _attempt(self, notice: Notice, now: float) -> str | None:
        async with self._opening:  # many may be the first
            if self._client is None:
                self._client = await asyncio.to_thread(self._opened)
        client = self._client
        addresses = await self._permitted(now)
        for address in addresses[:-1]:
            try:
                return await self._post(client, address, notice, now)
            except httpx.ConnectError:
                continue  # nothing was sent: another of its addresses may be reached
        return await self._post(client, addresses[-1], notice, now)

    async def _permitted(self, now: float) -> list[str]:
        """The addresses that may be connected to, at least one. Raises HookError and OSError."""
        place = self._place
        if self._addresses and now - self._resolved_s < RESOLVED_S:
            return self._addresses
        literal = address_of(place.host)
        found = [place.host] if literal else await self._resolver.addresses(place.host, place.port)
        refused: HookError | None = None
        permitted = []
        for text in found:
            address = address_of(text)
            assert address is not None, "a resolver answers by addresses"
            try:
                check(address, allow_private=self._allow_private)
            except HookError as error:
                refused = error
            else:
                permitted.append(text)
        if not permitted:
            raise HookError(f"{place.host}: {refused or 'has no address'}")
        self._addresses, self._resolved_s = permitted[:ADDRESSES_MAX], now
        return self._addresses

    async def _post(self, client: httpx.AsyncClient, address: str, notice: Notice, now: float) -> str | None:
        place = self._place
        host = f"[{address}]" if ":" in address else address
        headers = {
            "Host": place.authority,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Headgate-Event": notice.event,
            "Headgate-Event-Id": notice.event_id,
            "Headgate-Delivery": str(notice.attempts + 1),
            "Headgate-Signature": signature(self._secret, int(now), notice.body),
        }
        request = client.stream(
            "POST",
            f"{place.scheme}://{host}:{place.port}{place.target}",
            content=notice.body,
            headers=headers,
            extensions={"sni_hostname": place.host},  # which its certificate must name
        )
        async with request as response:
            size = 0
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > RESPONSE_BYTES_MAX:
                    break
        return None if response.is_success else f"answered {response.status_code}"

    def _opened(self) -> httpx.AsyncClient:
        """Blocking: the certificates that are trusted are the system's."""
        trust: ssl.SSLContext | bool = (
            ssl.create_default_context() if self._place.scheme == "https" else False
        )
        return httpx.AsyncClient(
            verify=trust,
            trust_env=False,  # no proxy of the environment: it would resolve the name itself
            follow_redirects=False,
            timeout=None,
            limits=httpx.Limits(
                max_connections=self._concurrency,
                max_keepalive_connections=self._concurrency,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # none is kept
        )
