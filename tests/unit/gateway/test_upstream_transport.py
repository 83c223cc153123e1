"""What a client of httpx promises holds when aiohttp carries its requests."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from graphrouter.gateway.upstream_transport import AiohttpTransport, choose_transport

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-kept: \xc3\xa9\r\nx-kept: two\r\n\r\n{}"


class Upstream:
    """What it was sent, and how often somebody connected."""

    def __init__(self, *answers: bytes, hangs: bool = False) -> None:
        self.answers, self.hangs = answers, hangs
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.connections, self.left = 0, asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            for answer in self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                sizes = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
                size = int(sizes[0].split(b":")[1]) if sizes else 0
                self.bodies.append(await reader.readexactly(size))
                writer.write(answer)
                await writer.drain()
            if self.hangs:
                await reader.read()
        finally:
            self.left.set()
            writer.close()


@asynccontextmanager
async def serving(upstream: Upstream) -> AsyncIterator[tuple[str, httpx2.AsyncClient]]:
    async with (
        await asyncio.start_server(upstream.serve, "127.0.0.1", 0) as server,
        httpx2.AsyncClient(transport=AiohttpTransport(), timeout=5) as client,
    ):
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", client


def ask(upstream: Upstream, **more: object) -> httpx2.Response:
    async def run() -> httpx2.Response:
        async with serving(upstream) as (address, client):
            return await client.post(f"{address}/v1/a%2Fb?c=d%20e", content=b'{"a": 1}', **more)  # type: ignore[arg-type]

    return asyncio.run(run())


def test_a_request_arrives_as_it_was_made_and_the_answer_as_it_was_given() -> None:
    upstream = Upstream(WHOLE)
    answer = ask(upstream, headers={"authorization": "Bearer k", "content-type": "text/x"})
    assert (answer.status_code, answer.reason_phrase, answer.content) == (200, "OK", b"{}")
    assert answer.headers.get_list("x-kept") == ["é", "two"]
    first, *lines = upstream.heads[0].decode().lower().strip().split("\r\n")
    assert first == "post /v1/a%2fb?c=d%20e http/1.1"
    names = [line.partition(":")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"authorization: bearer k", "content-type: text/x", "content-length: 8"} <= set(lines)
    assert any(line.startswith("user-agent: python-httpx") for line in lines)
    assert upstream.bodies == [b'{"a": 1}']


def test_compressed_answers_are_read_and_redirects_are_not_followed() -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n"
    assert ask(Upstream(head.encode() + packed)).json() == {"a": 1}
    moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    assert ask(Upstream(moved)).status_code == 302


def test_a_connection_serves_again_once_its_answer_is_read() -> None:
    async def run() -> int:
        upstream = Upstream(WHOLE, WHOLE, WHOLE)
        async with serving(upstream) as (address, client):
            for _ in range(3):
                assert (await client.get(address)).content == b"{}"
        return upstream.connections

    assert asyncio.run(run()) == 1


def test_pieces_of_a_stream_come_as_they_are_sent_and_leaving_closes_it() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n"

    async def run() -> None:
        upstream = Upstream(head, hangs=True)
        async with serving(upstream) as (address, client):
            async with client.stream("GET", address) as answer:
                assert await anext(answer.aiter_raw()) == b"one"
            await asyncio.wait_for(upstream.left.wait(), 5)

    asyncio.run(run())


def test_whoever_gives_up_before_the_answer_leaves_the_upstream() -> None:
    async def run() -> None:
        upstream = Upstream(b"", hangs=True)
        async with serving(upstream) as (address, client):
            asking = asyncio.create_task(client.get(address))
            while not upstream.heads:
                await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.wait_for(upstream.left.wait(), 5)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "hangs", "named"),
    [
        (b"", False, httpx2.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", False, httpx2.RemoteProtocolError),
        (b"garbage\r\n\r\n", False, httpx2.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}", False, None),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", False, None),
        (b"", True, httpx2.ReadTimeout),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", True, httpx2.ReadTimeout),
    ],
    ids=["closed", "cut off", "garbage", "two lengths", "long header", "hangs", "hangs midway"],
)
def test_what_goes_wrong_has_the_names_of_httpx(
    answer: bytes, hangs: bool, named: type[httpx2.HTTPError] | None
) -> None:
    with pytest.raises(named or httpx2.TransportError):
        ask(Upstream(answer, hangs=hangs), timeout=httpx2.Timeout(5, read=0.2))


async def _read_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await asyncio.sleep(30)
    finally:
        writer.close()


async def send_to_nobody(content: bytes) -> None:
    async with (
        await asyncio.start_server(_read_nothing, "127.0.0.1", 0, limit=1_000) as server,
        httpx2.AsyncClient(transport=AiohttpTransport(), timeout=0.3) as client,
    ):
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            await asyncio.wait_for(client.post(address, content=content), 5)
        finally:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()


@pytest.mark.parametrize(
    ("content", "named"), [(b"x" * 30_000_000, httpx2.WriteTimeout), (b"x", httpx2.ReadTimeout)]
)
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_an_upstream_that_takes_nothing_is_left_in_time(
    content: bytes, named: type[httpx2.TimeoutException]
) -> None:
    with pytest.raises(named):
        asyncio.run(send_to_nobody(content))


def test_a_large_body_arrives_whole() -> None:
    async def run(upstream: Upstream) -> None:
        async with serving(upstream) as (address, client):
            await client.post(address, content=b"x" * 900_000)

    upstream = Upstream(WHOLE)
    asyncio.run(run(upstream))
    assert upstream.bodies == [b"x" * 900_000]


def test_finding_an_address_counts_to_the_time_of_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look_up(*_: object, **__: object) -> list[object]:
        await asyncio.sleep(30)
        return []

    async def run() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
        async with httpx2.AsyncClient(transport=AiohttpTransport(), timeout=0.2) as client:
            await asyncio.wait_for(client.get("http://slow.invalid"), 5)

    with pytest.raises(httpx2.ConnectTimeout):
        asyncio.run(run())


def test_user_and_password_of_an_address_are_sent_as_a_header() -> None:
    async def run(upstream: Upstream) -> None:
        async with serving(upstream) as (address, client):
            named = address.replace("//", "//ann:p%40w@")
            (await client.get(f"{named}/v1")).raise_for_status()

    upstream = Upstream(WHOLE)
    asyncio.run(run(upstream))
    lines = upstream.heads[0].decode().split("\r\n")
    assert "authorization: Basic YW5uOnBAdw==" in [line.replace("Auth", "auth") for line in lines]
    assert not any("p%40w" in line for line in lines)


def test_nobody_there_and_addresses_that_are_none() -> None:
    async def run(address: str) -> None:
        async with httpx2.AsyncClient(transport=AiohttpTransport()) as client:
            await client.get(address)

    with pytest.raises(httpx2.ConnectError):
        asyncio.run(run("http://127.0.0.1:1"))
    with pytest.raises(httpx2.ConnectError):
        asyncio.run(run("http://no-such-host.invalid"))
    with pytest.raises(httpx2.TransportError):
        asyncio.run(run("ftp://127.0.0.1"))
    with pytest.raises(httpx2.TransportError, match="Port out of range"):
        asyncio.run(run("http://127.0.0.1:99999/v1"))


def test_where_the_environment_names_a_proxy_httpx_asks_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    assert choose_transport() is None
