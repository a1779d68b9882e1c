"""What a session description says of its sender's media: a phone's own addresses, or the far side's hosts."""

from typing import NamedTuple

from gateway.calls.bindings import MediaAddress
from gateway.errors import ForeignAddressError, MalformedError, NotUnderstoodError
from gateway.networks import Inside
from gateway.sdp.session import UNSPECIFIED, Connection, Session, Stream
from gateway.sip.grammar import LOWEST_PORT
from rules.model import Endpoint, Purpose

_MOST_HOSTS = 16  # of one description; each one is an entry in the kernel's set


class FarHost(NamedTuple):
    """A host that the far side sends media from; None when it was named before anybody here listened."""

    host: str | None


Media = MediaAddress | FarHost


class Described(NamedTuple):
    """The media of one side. `paused` says that an unspecified address hides streams that still are there."""

    media: frozenset[Media]
    on_hold: bool
    paused: bool


def of_phone(session: Session, phone: str, inside: Inside) -> Described:
    """The streams that the phone at address `phone` receives itself, or at an address that it may speak for.

    Raises ForeignAddressError for another inside host's address or a port under 1024.
    """
    local: set[Media] = set()
    paused = False
    for stream in session.streams:
        connection = stream.address
        if not stream.port or not stream.is_udp:
            continue
        if connection is None:
            raise MalformedError("a media stream without a c= line")
        paused |= connection.host == UNSPECIFIED
        if _is_own(connection, stream.port, phone, inside):
            if stream.port_count != 1:
                raise NotUnderstoodError(f"{stream.port_count} ports on one media line")
            local.add(_media_address(stream, connection, phone, inside))
    return Described(frozenset(local), session.is_on_hold, paused)


def of_far_side(session: Session, public: str) -> Described:
    """The hosts that the far side sends its media from; behind the router's own address is an inside phone.

    Only addresses count: a host name would have to open to all, or to whatever a stranger's DNS says. Raises
    NotUnderstoodError for more of them than anybody sends from.
    """
    hosts: set[Media] = set()
    paused = False
    for stream in session.streams:
        if not stream.port or not stream.is_udp:
            continue
        rtcp = stream.rtcp.connection if stream.rtcp is not None else None
        for connection in (stream.address, rtcp):
            if connection is None or not connection.is_ipv4:
                continue
            if connection.host == UNSPECIFIED:
                paused = True
            elif connection.host != public:
                hosts.add(FarHost(connection.host))
    if len(hosts) > _MOST_HOSTS:
        raise NotUnderstoodError(f"{len(hosts)} media hosts in one description, more than {_MOST_HOSTS}")
    return Described(frozenset(hosts), session.is_on_hold, paused)


def _media_address(stream: Stream, connection: Connection, phone: str, inside: Inside) -> MediaAddress:
    rtp = Endpoint(connection.host, stream.port)
    if not stream.is_rtp:
        return MediaAddress(rtp, None, Purpose.UDPTL)
    if stream.rtcp is None:
        rtcp = Endpoint(connection.host, stream.port + 1) if stream.port < 65535 else None
    else:
        beside = stream.rtcp.connection or connection
        own = _is_own(beside, stream.rtcp.port, phone, inside)
        rtcp = Endpoint(beside.host, stream.rtcp.port) if own else None
    return MediaAddress(rtp, None if rtcp == rtp else rtcp, Purpose.RTP)


def _is_own(connection: Connection, port: int, phone: str, inside: Inside) -> bool:
    if not connection.is_ipv4 or not inside.is_own(connection.host, phone):
        return False
    if port < LOWEST_PORT:
        raise ForeignAddressError(f"{phone} asks for media at port {port}; ports under 1024 are never opened")
    return True
