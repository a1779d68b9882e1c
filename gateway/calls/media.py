"""What a session description says of its sender's media: a phone's own addresses, or the far side's hosts."""

from typing import NamedTuple

from gateway.calls.bindings import MediaAddress
from gateway.calls.candidates import alternatives, offered_hosts
from gateway.errors import ForeignAddressError, MalformedError, NotUnderstoodError
from gateway.networks import Inside
from gateway.sdp.grammar import DISCARD_PORT
from gateway.sdp.session import UNSPECIFIED, Connection, Session, Stream
from gateway.sip.grammar import HIGHEST_PORT, LOWEST_PORT
from rules.model import Endpoint, Purpose

_MOST_HOSTS = 16  # of one description; each one is an entry in the kernel's set
_MOST_PORTS = 8  # of one m-line
_MOST_STREAMS = 64  # of one description, those of one line counted each


class FarHost(NamedTuple):
    """A host that the far side sends media from; None when it was named before anybody here listened."""

    host: str | None


Media = MediaAddress | FarHost


class Described(NamedTuple):
    """The media of one side. `paused` says that an unspecified address hides streams that still are there.

    `has_another_way` says that ICE may settle on one that does not cross these addresses.
    """

    media: frozenset[Media]
    on_hold: bool
    paused: bool
    has_another_way: bool = False


def of_phone(session: Session, phone: str, inside: Inside) -> Described:
    """The streams that the phone at address `phone` receives itself, or at an address that it may speak for.

    Raises ForeignAddressError for another inside host's address or a port under 1024; a candidate that is one is
    left out, since it is one of several. NotUnderstoodError for more ports than any stream has.
    """
    local: set[Media] = set()
    paused = False
    for stream in session.streams:
        connection = stream.address
        if not stream.port or not stream.is_udp:
            continue
        if connection is None:
            raise MalformedError("a media stream without a c= line")
        paused |= stream.is_paused
        if stream.port != DISCARD_PORT and _is_own(connection, stream.port, phone, inside):
            if stream.port_count == 1:
                local.add(_media_address(stream, connection, phone, inside))
            else:
                local.update(_run(stream, connection))
    if len(local) > _MOST_STREAMS:
        raise NotUnderstoodError(f"{len(local)} streams in one description, more than {_MOST_STREAMS}")
    if session.candidates:
        local.update(alternatives(session, local, lambda host: _may_speak_for(host, phone, inside)))
    another_way = any(each.kind.is_another_way and each.is_udp for each in session.candidates)
    return Described(frozenset(local), session.is_on_hold, paused, another_way)


def of_far_side(session: Session, public: str) -> Described:
    """The hosts that the far side sends its media from; behind the router's own address is an inside phone.

    Only addresses count: a host name would have to open to all, or to whatever a stranger's DNS says. Candidates
    count as far as there is room. Raises NotUnderstoodError for more hosts than anybody sends from.
    """
    hosts: dict[str, None] = {}
    paused = False
    for stream in session.streams:
        if not stream.port or not stream.is_udp:
            continue
        paused |= stream.is_paused
        rtcp = stream.rtcp.connection if stream.rtcp is not None else None
        for connection in (stream.address, rtcp):
            if connection is not None and connection.is_ipv4:
                hosts[connection.host] = None
    for nobody in (UNSPECIFIED, public):
        hosts.pop(nobody, None)
    if len(hosts) > _MOST_HOSTS:
        raise NotUnderstoodError(f"{len(hosts)} media hosts in one description, more than {_MOST_HOSTS}")
    meets_inside = False
    if session.candidates:
        meets_inside = any(each.kind.is_offered and each.host == public for each in session.candidates)
        others = [host for host in offered_hosts(session) if host not in (UNSPECIFIED, public)]
        hosts = dict.fromkeys(list(dict.fromkeys([*hosts, *others]))[:_MOST_HOSTS])
    return Described(frozenset([FarHost(host) for host in hosts]), session.is_on_hold, paused, meets_inside)


def _media_address(stream: Stream, connection: Connection, phone: str, inside: Inside) -> MediaAddress:
    rtp = Endpoint(connection.host, stream.port)
    if not stream.is_rtp:
        return MediaAddress(rtp, None, Purpose.UDPTL)
    if stream.rtcp is None:
        rtcp = Endpoint(connection.host, stream.port + 1) if stream.port < HIGHEST_PORT else None
    else:
        beside = stream.rtcp.connection or connection
        own = stream.rtcp.port != DISCARD_PORT and _is_own(beside, stream.rtcp.port, phone, inside)
        rtcp = Endpoint(beside.host, stream.rtcp.port) if own else None
    return MediaAddress(rtp, None if rtcp == rtp else rtcp, Purpose.RTP)


def _run(stream: Stream, connection: Connection) -> list[MediaAddress]:
    """The streams of one m-line with a count: RTP has every other port (RFC 8866 section 5.14), others each one."""
    host, port, count = connection.host, stream.port, stream.port_count
    step = 2 if stream.is_rtp else 1
    if not 0 < count <= _MOST_PORTS or port + step * count - 1 > HIGHEST_PORT:
        raise NotUnderstoodError(f"{count} ports on one media line, which begin at {port}")
    if stream.rtcp is not None:
        raise NotUnderstoodError("an a=rtcp: attribute for several ports on one media line")
    first = Endpoint(host, port)
    ports = range(port, port + step * count, step)
    if not stream.is_rtp:
        return [MediaAddress(Endpoint(host, each), None, Purpose.UDPTL, first) for each in ports]
    return [MediaAddress(Endpoint(host, each), Endpoint(host, each + 1), Purpose.RTP, first) for each in ports]


def _is_own(connection: Connection, port: int, phone: str, inside: Inside) -> bool:
    if not connection.is_ipv4 or not inside.is_own(connection.host, phone):
        return False
    if port < LOWEST_PORT:
        raise ForeignAddressError(f"{phone} asks for media at port {port}; ports under 1024 are never opened")
    return True


def _may_speak_for(host: str, phone: str, inside: Inside) -> bool:
    try:
        return inside.is_own(host, phone)
    except ForeignAddressError:
        return False
