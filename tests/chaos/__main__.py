"""`python -m tests.chaos`: break it for minutes, then count. Exit 1 if anything is doubled, lost, unknown or
wrong, or a lane with work waits for nobody.

--seed N        the order of faults; a failing run can be repeated with its seed
--schedules, --recipients   what is asked: schedules x recipients mails, two a dispatch
--mails         single mails, to two recipients each
--faults N      how many faults at least
--minutes N     how long it goes on breaking things at most
--json FILE     where the verdict goes
--only WORDS    only faults whose name holds these words
--second NAME   the provider beside Mailgun: sendgrid, or smtp with a mailbox that bounces come to
--clusters N    three members of each store, Redis under Sentinels; each kind of fault to N leaders and N followers
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from tests.chaos import driving, members, shown

console = Console(stderr=True)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seed", type=int, default=int(time.time()))
    arguments.add_argument("--schedules", type=int, default=110)
    arguments.add_argument("--recipients", type=int, default=400)
    arguments.add_argument("--mails", type=int, default=3_000, help="single mails, to two recipients each")
    arguments.add_argument("--faults", type=int, default=500)
    arguments.add_argument("--hits", type=int, default=10)
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--clusters", type=int, default=0, metavar="N")
    arguments.add_argument("--second", choices=driving.SECOND, default="sendgrid", help="the provider beside Mailgun")
    arguments.add_argument("--json", type=Path, default=Path("data/chaos.json"))
    options = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mailroom-chaos-"))
    found = driving.run(
        folder,
        seed=options.seed,
        schedules=options.schedules,
        recipients=options.recipients,
        mails=options.mails,
        least_faults=options.faults,
        least_hits=options.hits,
        most_s=options.minutes * 60,
        only=options.only,
        cards=members.deck(options.clusters, random.Random(options.seed)),
        second=options.second,
    )
    for table in shown.tables(found):
        console.print(table)
    for word, ids in found.faulty.items():
        for id_ in ids[:20]:
            console.print(f"[red]{word}[/] {id_}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(shown.as_json(found))
    if found.holds:
        shutil.rmtree(folder)
    else:
        console.print(f"logs and stores are kept in {folder}")
    return 0 if found.holds else 1


if __name__ == "__main__":
    sys.exit(main())
