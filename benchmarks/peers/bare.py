"""Nothing but requests in a pool of threads: no queue, no memory of what was sent. What the others pay for theirs."""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor

from benchmarks.peers.posting import post


def main() -> None:
    """Post the mails, then print the CPU seconds it took."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--stub", required=True)
    arguments.add_argument("--mails", type=int, required=True)
    arguments.add_argument("--in-flight", type=int, default=64)
    options = arguments.parse_args()
    before = os.times()
    with ThreadPoolExecutor(options.in_flight) as pool:
        for posted in [pool.submit(post, options.stub, number) for number in range(options.mails)]:
            posted.result()
    after = os.times()
    print(after.user + after.system - before.user - before.system)


if __name__ == "__main__":
    main()
