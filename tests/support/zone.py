"""A name server for tests: it answers from a table, in a thread of its own."""

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL = 60


class Zone:
    """Answers "NAME TYPE" with the records there, or with the error named: ``{"a.example A": "192.0.2.1"}``.

    The records of one answer stand on lines of their own; after the last one may stand ``TTL 20``. "" is a
    name without such records, "silence" no answer, and what is not in the table does not exist. `asked` are the
    questions so far.
    """

    def __init__(self, where: socket.socket, table: Mapping[str, str]) -> None:
        self._socket = where
        self.address: tuple[str, int] = where.getsockname()
        self.table = dict(table)
        self.asked: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # wakes the thread, which a mere close would not
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, sender = self._socket.recvfrom(4096)
                if not sender:
                    return
                answer = self._answer(data)
                if answer is not None:
                    self._socket.sendto(answer, sender)

    def _answer(self, data: bytes) -> bytes | None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{name} {kind}")
        found = self.table.get(f"{name} {kind}", "NXDOMAIN")
        if found == "silence":
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if found in ("NXDOMAIN", "SERVFAIL"):
            response.set_rcode(dns.rcode.from_text(found))
        elif found:
            records, _, ttl = found.partition("TTL ")
            lines = [line.strip() for line in records.strip().splitlines()]
            response.answer = [dns.rrset.from_text(question.name, int(ttl or TTL), "IN", kind, *lines)]
        return response.to_wire()


@contextlib.contextmanager
def zone(where: socket.socket, table: Mapping[str, str]) -> Iterator[Zone]:
    """A name server on a bound socket for the length of a block."""
    server = Zone(where, table)
    try:
        yield server
    finally:
        server.close()
