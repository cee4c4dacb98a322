"""A small DNS server on loopback: it answers over UDP from a table, and can be silent."""

import contextlib
import socket
import threading
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Sequence[str]]  # by name and type; the records as a zone file has them


class DnsServer:
    def __init__(self, zone: Zone, *, silent: bool = False) -> None:
        self._zone, self._silent = zone, silent
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def setting(self) -> str:
        """As MAILROOM_DNS_SERVERS has it."""
        return f"{self.address[0]}:{self.address[1]}"

    def close(self) -> None:
        with contextlib.closing(self._socket):
            self._silent = True
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waking:
                waking.sendto(b"", self.address)
            self._thread.join(5)

    def _serve(self) -> None:
        while True:
            asked, whence = self._socket.recvfrom(4096)
            if not asked:
                return
            if not self._silent:
                self._socket.sendto(self._answer(dns.message.from_wire(asked)), whence)

    def _answer(self, asked: dns.message.Message) -> bytes:
        (question,) = asked.question
        name, type_ = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        answer = dns.message.make_response(asked)
        answer.flags |= dns.flags.RA
        if records := self._zone.get((name, type_)):
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", type_, *records))
        elif name not in {known for known, _ in self._zone}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer.to_wire()
