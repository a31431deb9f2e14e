"""Where hooks may lead: what of a URL is permitted, which addresses are reached over the Internet."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from headgate.errors import HookError
from headgate.server.hooks.addresses import check, place_of, public
from headgate.server.hooks.outgoing import Notice
from headgate.server.hooks.receiver import Receiver, Resolver
from hook_receiver import HookReceiver, Request, status

PRIVATE = [
    "127.0.0.1",
    "127.255.0.9",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where clouds keep their secrets
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "192.0.0.192",  # and some of them here
    "192.88.99.1",
    "240.0.0.1",
    "::1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "2001:db8::1",
    "3fff::1",
    "64:ff9b:1::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",  # NAT64 to 10.0.0.1
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "::127.0.0.1",
]
NEVER = ["0.0.0.0", "224.0.0.1", "239.1.1.1", "255.255.255.255", "::", "ff02::1", "::ffff:224.0.0.1"]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", PRIVATE)
def test_addresses_of_ones_own_network_take_a_permission(text):
    """Private, loopback, link-local, shared, reserved; in IPv6 too, and IPv4 within IPv6."""
    assert not public(ip_address(text))
    with pytest.raises(HookError, match="allow_private"):
        check(ip_address(text), allow_private=False)
    check(ip_address(text), allow_private=True)


@pytest.mark.parametrize("text", NEVER)
def test_addresses_that_are_no_hosts_are_never_permitted(text):
    """Multicast, broadcast, and what stands for this machine where nobody says which."""
    for allowed in (False, True):
        with pytest.raises(HookError):
            check(ip_address(text), allow_private=allowed)


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_permitted(text):
    """Those that are reached by way of NAT64 too."""
    check(ip_address(text), allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "https://user:word@example.com/",
        "https://user@example.com/",
        "http://example.com/#part",
        "http://example.com/a b",
        "http://example.com/\r\nHost: other",
        "http://example.com\\@other.example/",
        "http://exämple.com/",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://[::1%eth0]/",
        "http://[1:2]/",
        "http://" + "a" * 2000,
    ],
)
def test_urls_that_no_hook_may_have(url):
    """Other schemes, users, fragments, and what one program reads otherwise than the next."""
    with pytest.raises(HookError):
        place_of(url, allow_private=True)


NUMBERS = {  # as resolvers and browsers read them: inet_aton(3), and the URL standard's IPv4 parser
    "0": "0.0.0.0",
    "0.0.0.0": "0.0.0.0",
    "0x0": "0.0.0.0",
    "2130706433": "127.0.0.1",
    "0x7f000001": "127.0.0.1",
    "0X7F.1": "127.0.0.1",
    "0x7f.0x0.0x0.0x1": "127.0.0.1",
    "017700000001": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "127.1": "127.0.0.1",
    "127.0.1": "127.0.0.1",
    "127.0.0.1": "127.0.0.1",
    "127.0.0.1.": "127.0.0.1",
    "127.1.": "127.0.0.1",
    "127.0.0.01": "127.0.0.1",
    "10.1": "10.0.0.1",
    "167772161": "10.0.0.1",
    "012.0.0.1": "10.0.0.1",
    "192.168.257": "192.168.1.1",
    "0xa9fea9fe": "169.254.169.254",
    "2852039166": "169.254.169.254",
    "0xe0.1": "224.0.0.1",
    "[::]": "::",
    "[0:0:0:0:0:0:0:1]": "::1",
    "[::127.0.0.1]": "::7f00:1",
    "[::ffff:127.0.0.1]": "::ffff:7f00:1",
    "[::ffff:7f00:1]": "::ffff:7f00:1",
    "[::ffff:0:127.0.0.1]": "::ffff:0:7f00:1",
    "[0:0:0:0:0:FFFF:10.0.0.1]": "::ffff:a00:1",
    "[64:ff9b::127.0.0.1]": "64:ff9b::7f00:1",
    "[FE80::1]": "fe80::1",
}


@pytest.mark.parametrize("host", NUMBERS)
def test_a_private_address_is_refused_however_it_is_written(host):
    """When the hook is made, before anything is resolved; with a port and a path too."""
    for url in (f"http://{host}", f"https://{host}:8443/hook?x=1"):
        with pytest.raises(HookError, match=r"is not a public address|is no address that") as refused:
            place_of(url, allow_private=False)
        said = str(refused.value).removeprefix(f"{host}: ").partition(" ")[0]
        assert ip_address(said) == ip_address(NUMBERS[host])


@pytest.mark.parametrize("host", ["134744072", "0x8.8.8.8", "8.8.2056", "010.0.0.1", "8.8.8.8."])
def test_a_public_address_is_written_as_four_numbers(host):
    """Programs differ about what is written otherwise, and about what begins with a nought."""
    for allowed in (False, True):
        with pytest.raises(HookError, match="write it as four numbers"):
            place_of(f"http://{host}/", allow_private=allowed)


@pytest.mark.parametrize(
    "host", ["1.2.3.4.5", "256.1.1.1", "4294967296", "0x", "08.1.1.1", "hook.1", "hook.0x7f"]
)
def test_no_name_ends_with_a_number(host):
    """RFC 1123 section 2.1: the last label of a name is alphabetic."""
    with pytest.raises(HookError, match="no name ends with a number"):
        place_of(f"http://{host}/", allow_private=True)


@pytest.mark.parametrize(
    "host", ["1.hook.example", "0x7f.example", "127.0.0.1.nip.example", "hook1", "1e4", "abc"]
)
def test_names_that_have_numbers_in_them_are_names(host):
    """What they mean is looked at when they are asked for."""
    assert place_of(f"http://{host}/", allow_private=False).host == host


def test_a_url_says_where_and_what():
    """The port is the scheme's where none is named; a query needs no slash before it."""
    place = place_of("https://hooks.example:8443/a/b?c=%20d", allow_private=False)
    assert (place.host, place.port, place.authority) == ("hooks.example", 8443, "hooks.example:8443")
    assert place.target == "/a/b?c=%20d"
    assert place_of("http://hooks.example?x", allow_private=False).target == "/?x"
    assert place_of("http://hooks.example", allow_private=False).port == 80
    six = place_of("http://[2606:4700::1]:81/", allow_private=False)
    assert (six.host, six.authority) == ("2606:4700::1", "[2606:4700::1]:81")


class Names(Resolver):
    """Names mean what the test says, each time the next."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def addresses(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0)

    def close(self) -> None:
        pass


def notice() -> Notice:
    """Something to be told."""
    return Notice(
        number=1, event_id="e", event="task.ended", key=("a", ""), body=b"{}", since_s=0.0, attempts=0
    )


def receiver_of(url: str, names: Resolver, *, allow_private: bool = True) -> Receiver:
    """One attempt's other side."""
    return Receiver(
        url,
        "a secret of ours",
        resolver=names,
        allow_private=allow_private,
        timeout_s=5.0,
        concurrency=2,
    )


def test_a_name_that_means_a_private_address_is_not_connected_to(run):
    """Not even where it meant another one before: it is looked at each time that it is asked for."""

    async def main() -> None:
        async with HookReceiver() as there:
            names = Names(["127.0.0.1"], ["10.0.0.1", "127.0.0.1"], [])
            receiver = receiver_of(f"http://hook.example:{there.port}/", names, allow_private=False)
            for said in ("127.0.0.1 is not a public", "127.0.0.1 is not a public", "has no address"):
                assert said in await receiver.attempt(notice(), 1000.0)
            assert there.connections == 0
            await receiver.close()

    run(main())


def test_what_is_connected_to_is_the_address_that_was_looked_at(run):
    """The name is not asked for again in between; the receiver sees the name all the same."""

    async def main() -> None:
        async with HookReceiver() as there:
            names = Names(["127.0.0.1"])  # a second question would fail
            receiver = receiver_of(f"http://hook.example:{there.port}/x", names)
            for _ in range(3):
                assert await receiver.attempt(notice(), 1000.0) is None
            assert names.asked == 1
            assert there.connections == 1
            assert there.taken[0].headers["host"] == f"hook.example:{there.port}"
            await receiver.close()

    run(main())


def test_an_address_that_cannot_be_reached_is_passed_over(run):
    """For the next one of the name; nothing was sent yet."""

    async def main() -> None:
        async with HookReceiver() as there:
            names = Names(["127.0.0.2", "127.0.0.1"])
            receiver = receiver_of(f"http://hook.example:{there.port}/", names)
            assert await receiver.attempt(notice(), 1000.0) is None
            await receiver.close()

    run(main())


def test_redirects_are_failures_and_cookies_are_not_kept(run):
    """What answers with another place could lead anywhere."""

    async def main() -> None:
        async with HookReceiver() as other:

            async def away(request: Request) -> bytes:
                return status(307, f"Location: {other.url}", "Set-Cookie: a=b")

            async with HookReceiver(away) as there:
                receiver = receiver_of(there.url, Names())
                for _ in range(2):
                    assert await receiver.attempt(notice(), 1000.0) == "answered 307"
                assert other.received == []
                assert all("cookie" not in each.headers for each in there.received)
                await receiver.close()

    run(main())


def test_a_long_answer_is_not_read_to_its_end(run):
    """Its status counts; the connection ends with it."""

    async def main() -> None:
        async def endless(request: Request) -> bytes:
            return status(200, body=b"x" * (1 << 20))

        async with HookReceiver(endless) as there:
            receiver = receiver_of(there.url, Names())
            for _ in range(2):
                assert await receiver.attempt(notice(), 1000.0) is None
            assert there.connections == 2
            await receiver.close()

    run(main())


def test_answers_that_are_no_http_are_failures(run):
    """As is a connection that ends too early."""

    async def main() -> None:
        async def nonsense(request: Request) -> bytes:
            return b"SSH-2.0-OpenSSH_9.2\r\n\r\n"

        async def nothing(request: Request) -> bytes:
            return b""

        for answer in (nonsense, nothing):
            async with HookReceiver(answer) as there:
                receiver = receiver_of(there.url, Names())
                assert "RemoteProtocolError" in await receiver.attempt(notice(), 1000.0)
                await receiver.close()

    run(main())
