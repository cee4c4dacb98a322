"""Blocking clients, a thread for each call in flight: requests, urllib3, http.client, and plain sockets."""

import http.client
import itertools
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httptools
import requests
import urllib3

from benchmarks import form
from benchmarks.clients import Target, check

Post = Callable[[int], None]  # posts the mail of that number


def with_requests(target: Target, mails: int, in_flight: int) -> None:
    """A session a thread, as its documentation asks for."""
    _in_threads(lambda: _requests_post(target), mails, in_flight)


def with_urllib3(target: Target, mails: int, in_flight: int) -> None:
    """One pool for all threads, with a connection for each."""
    pool = urllib3.HTTPConnectionPool(target.host, target.port, maxsize=in_flight, block=True, retries=False)
    headers = form.headers()

    def post(number: int) -> None:
        check(pool.request("POST", form.PATH, body=form.body(number), headers=headers, redirect=False).status)

    _in_threads(lambda: post, mails, in_flight)


def with_http_client(target: Target, mails: int, in_flight: int) -> None:
    _in_threads(lambda: _http_client_post(target), mails, in_flight)


def with_sockets(target: Target, mails: int, in_flight: int) -> None:
    """What of the cost is the threads': one send, one receive, and the parser of the loops."""
    _in_threads(lambda: _socket_post(target), mails, in_flight)


def _requests_post(target: Target) -> Post:
    session, url, headers = requests.Session(), target.url + form.PATH, form.headers()

    def post(number: int) -> None:
        check(session.post(url, data=form.body(number), headers=headers, timeout=60).status_code)

    return post


def _http_client_post(target: Target) -> Post:
    connection, headers = http.client.HTTPConnection(target.host, target.port, timeout=60), form.headers()

    def post(number: int) -> None:
        connection.request("POST", form.PATH, form.body(number), headers)
        answer = connection.getresponse()
        answer.read()
        check(answer.status)

    return post


class _Whole:
    """Knows when an answer is complete."""

    def __init__(self) -> None:
        self.complete = False

    def on_message_complete(self) -> None:
        self.complete = True


def _socket_post(target: Target) -> Post:
    sock, head, whole = socket.create_connection((target.host, target.port)), form.head(target.address), _Whole()
    parser = httptools.HttpResponseParser(whole)

    def post(number: int) -> None:
        whole.complete = False
        sock.sendall(head + form.body(number))
        while not whole.complete:
            parser.feed_data(sock.recv(65536))
        check(parser.get_status_code())

    return post


def _in_threads(client: Callable[[], Post], mails: int, in_flight: int) -> None:
    """Each thread makes its client and takes the next number until there is none."""
    numbers = itertools.count()  # its next() is atomic under the interpreter's lock

    def work() -> None:
        post = client()
        while (number := next(numbers)) < mails:
            post(number)

    with ThreadPoolExecutor(in_flight) as pool:
        for worked in [pool.submit(work) for _ in range(in_flight)]:
            worked.result()
