"""Questions to netfilter over netlink, and the attributes of the answers as values."""

import contextlib
import errno
import socket
from collections.abc import Iterator

from rules.kernel.netlink import Netlink, attribute, refusal
from rules.kernel.netlink import attributes as spans
from rules.kernel.netlink import family as family_of

__all__ = ["Attributes", "ask", "attribute", "attributes", "dump", "each_attribute", "number", "text"]

Attributes = dict[int, bytes]


def dump(
    subsystem: int, command: int, question: bytes = b"", family: int = socket.AF_UNSPEC
) -> Iterator[tuple[int, Attributes]]:
    """Everything of one kind, as (family, attributes); KernelError as the kernel answers."""
    with _asking(subsystem, family) as netlink:
        for part in netlink.dump(command, question):
            data, start, end = part
            yield family_of(part), attributes(data[start:end])


def ask(subsystem: int, command: int, question: bytes) -> None:
    """One question whose answer is that there is one; KernelError as the kernel answers."""
    with _asking(subsystem, socket.AF_UNSPEC) as netlink:
        netlink.ask(command, question)


def attributes(data: bytes) -> Attributes:
    """The attributes in `data` by kind; of a repeated one the last."""
    return dict(each_attribute(data))


def each_attribute(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes in `data` in order."""
    return ((kind, data[start:end]) for kind, start, end in spans(data, 0, len(data)))


def text(value: bytes) -> str:
    """A zero-terminated string."""
    return value.partition(b"\0")[0].decode(errors="replace")


def number(value: bytes) -> int:
    """A number in network byte order."""
    return int.from_bytes(value, "big")


@contextlib.contextmanager
def _asking(subsystem: int, family: int) -> Iterator[Netlink]:
    netlink = Netlink(subsystem, family)
    try:
        yield netlink
    except OSError as error:
        raise refusal("what netfilter has cannot be read", error.errno or errno.EIO, error.strerror) from error
    finally:
        netlink.close()
