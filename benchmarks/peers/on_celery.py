"""A Celery worker on Redis, acknowledging late: a task whose worker died is run again, and its mail may go out twice.

As a program it is the worker; `fill` puts the mails into the queue before.
"""

import argparse

from celery import Celery

from benchmarks.peers.posting import post


def an_app(redis_url: str, stub_url: str, *, prefetch: int = 4) -> Celery:
    """An app with the one task. What it does not need is turned off: results, events, rate limits, gossip."""
    app = Celery("peers", broker=redis_url)
    app.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=prefetch,
        worker_disable_rate_limits=True,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
    )

    # Not shared: else every later app of the process would get this one's task.
    @app.task(name="post", shared=False)  # type: ignore[untyped-decorator]
    def post_mail(number: int) -> None:
        post(stub_url, number)

    return app


def fill(redis_url: str, mails: int) -> None:
    app = an_app(redis_url, "")
    with app.producer_or_acquire() as producer:
        for number in range(mails):
            app.tasks["post"].apply_async((number,), producer=producer)
    app.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--redis", required=True)
    arguments.add_argument("--stub", required=True)
    arguments.add_argument("--pool", choices=("threads", "prefork"), default="threads")
    arguments.add_argument("--in-flight", type=int, default=64)
    arguments.add_argument("--prefetch", type=int, default=4, help="messages held for each call in flight")
    options = arguments.parse_args()
    quiet = ["--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    an_app(options.redis, options.stub, prefetch=options.prefetch).worker_main(
        ["worker", "--pool", options.pool, "--concurrency", str(options.in_flight), *quiet]
    )


if __name__ == "__main__":
    main()
