"""Recipients of a long list are kept in a temporary file while the list is read: as in memory, but memory is flat."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mailroom.domain.audiences import Recipient, screen, sift
from mailroom.domain.errors import Unavailable
from mailroom.domain.lists.reading import look_at, rows_of
from mailroom.services.audiences import lists
from mailroom.services.audiences.lists import NewAudience
from mailroom.services.audiences.recipients_on_disk import RecipientsOnDisk
from mailroom.services.common.idempotency import digest_of_request

ROWS = [
    (1, {"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome", "since": 2020, "vip": True}}),
    (2, {"address": "Ada@Example.org", "time_zone": "Europe/Rome", "language": "it"}),
    (3, {"address": "not an address"}),
    (4, {"address": "BO@example.org", "name": "Another Bo"}),
    (5, {"address": "ünal@bücher.example", "variables": {"rate": 0.1, "none": None}}),
    (6, {"address": "\U0001f600@example.org"}),
    (7, {"address": "￼@example.org"}),
]
# Read in a process of its own, whose peak is that of this reading.
READ = """
import sys
from mailroom.domain.audiences import sift
from mailroom.domain.lists.reading import look_at, rows_of
from mailroom.services.audiences.recipients_on_disk import RecipientsOnDisk
with open(sys.argv[1], "rb") as file, RecipientsOnDisk() as kept:
    sifted = sift(rows_of(file, look_at(file)), kept.add)
    assert sum(1 for _ in kept) == sifted.recipients == int(sys.argv[2])
with open("/proc/self/status") as status:  # not `ru_maxrss`: that counts what its parent had, too
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


def test_they_are_those_of_a_list_read_into_memory_in_the_same_order() -> None:
    in_memory = screen(ROWS)

    with RecipientsOnDisk() as kept:
        sifted = sift(ROWS, kept.add)
        on_disk = list(kept)
        again = list(kept)

    assert on_disk == again == list(in_memory.recipients)
    assert [sifted.recipients, sifted.duplicates, sifted.refused] == [
        len(in_memory.recipients),
        in_memory.duplicates,
        in_memory.refused,
    ]
    assert sifted.duplicates == 1


def test_a_request_for_them_has_the_digest_of_the_same_request_in_memory() -> None:
    recipients = [Recipient("ada@example.org", 'Ada "A"', {"city": "Zürich"}), Recipient("bo@example.org")]

    for listed in (recipients, recipients[:1], []):
        assert lists.digest_of_checked("Readers", listed) == digest_of_request(NewAudience("Readers", listed))


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def peak_mb(rows: int) -> float:
        file = tmp_path / f"{rows}.csv"
        with file.open("w") as written:
            written.write("email,name,city,plan,seats\n")
            written.writelines(f"reader-{n * 7919 % rows}@example.org,Reader {n},Rome,pro,{n}\n" for n in range(rows))
        command = [sys.executable, "-c", READ, str(file), str(rows)]
        return int(subprocess.run(command, capture_output=True, check=True, timeout=120).stdout) / 1_024

    small, large = peak_mb(20_000), peak_mb(250_000)

    assert large - small < 20, f"{small:.0f} and {large:.0f} MB"  # 16 are the cache of SQLite


def test_a_folder_of_temporary_files_without_room_is_told() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with RecipientsOnDisk() as kept, pytest.raises(Unavailable, match="temporary files"):
            for number in range(400_000):
                kept.add(Recipient(f"reader-{number}@example.org", "A reader", {"city": "Rome" * 20}))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes("email,name\nbo@example.org,Bö\n".encode("cp1252"))

    with file.open("rb") as opened:
        looks = [look_at(opened), look_at(opened)]
        rows = [list(rows_of(opened, look)) for look in looks]

    assert looks[0] == looks[1] == look_at(file.read_bytes())
    assert rows[0] == rows[1] == [(2, {"address": "bo@example.org", "variables": {}, "name": "Bö"})]
