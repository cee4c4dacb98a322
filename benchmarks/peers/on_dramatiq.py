"""A dramatiq worker on Redis, started by dramatiq's own command line; it acknowledges late by nature.

`python -m dramatiq benchmarks.peers.on_dramatiq:set_up --processes 1 --threads 64`, with BENCH_REDIS_URL and
BENCH_STUB_URL in the environment: its command line has no other way to hand a value through.
"""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.posting import post


def set_up() -> None:
    """Called by dramatiq in the worker, with its default middleware."""
    an_actor(os.environ["BENCH_REDIS_URL"], os.environ["BENCH_STUB_URL"])


def an_actor(redis_url: str, stub_url: str) -> dramatiq.Actor[[int], None]:
    broker = RedisBroker(url=redis_url)  # type: ignore[no-untyped-call]
    dramatiq.set_broker(broker)

    @dramatiq.actor(broker=broker, actor_name="post")
    def post_mail(number: int) -> None:
        post(stub_url, number)

    return post_mail


def fill(redis_url: str, mails: int) -> None:
    actor = an_actor(redis_url, "")
    for number in range(mails):
        actor.send(number)
    actor.broker.close()
