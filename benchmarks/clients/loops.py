"""Clients of asyncio: a bare protocol with httptools (also on uvloop), aiohttp, httpx."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import cast

import aiohttp
import httptools
import httpx
import uvloop

from benchmarks import form
from benchmarks.clients import Target, check


def with_protocol(target: Target, mails: int, in_flight: int) -> None:
    asyncio.run(_protocols(target, mails, in_flight))


def with_protocol_on_uvloop(target: Target, mails: int, in_flight: int) -> None:
    uvloop.run(_protocols(target, mails, in_flight))


def with_aiohttp(target: Target, mails: int, in_flight: int) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as session:
            url, headers = target.url + form.PATH, form.headers()

            async def post(number: int) -> None:
                async with session.post(url, data=form.body(number), headers=headers) as answer:
                    await answer.read()
                    check(answer.status)

            await _in_tasks(post, mails, in_flight)

    asyncio.run(run())


def with_httpx(target: Target, mails: int, in_flight: int) -> None:
    async def run() -> None:
        limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            url, headers = target.url + form.PATH, form.headers()

            async def post(number: int) -> None:
                check((await client.post(url, content=form.body(number), headers=headers)).status_code)

            await _in_tasks(post, mails, in_flight)

    asyncio.run(run())


class _Numbers:
    """Which mail is next, and whether all are answered."""

    def __init__(self, mails: int) -> None:
        self._next, self._left = iter(range(mails)), mails
        self.done = asyncio.Event()

    def next(self) -> int | None:
        return next(self._next, None)

    def answered(self) -> None:
        self._left -= 1
        if not self._left:
            self.done.set()


class _Line(asyncio.Protocol):
    def __init__(self, numbers: _Numbers, head: bytes) -> None:
        self._numbers, self._head = numbers, head
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        check(self._parser.get_status_code())
        self._numbers.answered()
        self._send()

    def _send(self) -> None:
        number = self._numbers.next()
        if number is not None:
            self._transport.write(self._head + form.body(number))


async def _protocols(target: Target, mails: int, in_flight: int) -> None:
    loop, numbers, head = asyncio.get_running_loop(), _Numbers(mails), form.head(target.address)
    for _ in range(in_flight):
        await loop.create_connection(lambda: _Line(numbers, head), target.host, target.port)
    await numbers.done.wait()


async def _in_tasks(post: Callable[[int], Awaitable[None]], mails: int, in_flight: int) -> None:
    numbers = count()

    async def work() -> None:
        while (number := next(numbers)) < mails:
            await post(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(work())
