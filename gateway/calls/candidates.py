"""Where a side may receive besides what its m- and c= lines say: its candidates (RFC 8839)."""

from collections.abc import Callable, Iterable, Iterator

from gateway.calls.bindings import MediaAddress
from gateway.sdp.candidate import Candidate
from gateway.sdp.session import Session
from gateway.sip.grammar import LOWEST_PORT
from rules.model import Endpoint, Purpose

_RTCP = 2
_MOST_ADDRESSES = 16  # of one description, besides those of its m-lines


def alternatives(session: Session, known: Iterable[object], is_own: Callable[[str], bool]) -> list[MediaAddress]:
    """What a phone's candidates add to the media that are `known` of it.

    Those over UDP count, at hosts for which `is_own` says that they are the phone's, from port 1024 on, up to a
    bound. All others open nothing: ICE finds its way with those that are left.
    """
    rtcp_of = {media.rtp: media.rtcp for media in known if isinstance(media, MediaAddress)}
    seen: set[Endpoint | None] = {None, *rtcp_of, *rtcp_of.values()}
    added: list[MediaAddress] = []
    room = _MOST_ADDRESSES
    for candidates, purpose in _live(session):
        usable = [each for each in candidates if each.port >= LOWEST_PORT and is_own(each.host)]
        for rtp, rtcp in _components(usable):
            fresh = {rtp, rtcp} - seen
            room -= len(fresh)
            if room < 0:
                return added
            if not fresh:
                continue
            if rtcp in fresh and (rtp in fresh or rtcp_of.get(rtp, rtcp) is None):
                added.append(MediaAddress(rtp, rtcp, purpose, is_candidate=True))
            else:  # the place beside RTP is taken, or not needed
                added.append(MediaAddress(rtp if rtp in fresh else rtcp or rtp, None, purpose, is_candidate=True))
            seen |= fresh
    return added


def offered_hosts(session: Session) -> list[str]:
    """The hosts that a far side's candidates over UDP name, in their order."""
    return [each.host for candidates, _ in _live(session) for each in candidates]


def _live(session: Session) -> Iterator[tuple[list[Candidate], Purpose]]:
    """The candidates over UDP of each stream that is not off, and those for all of them."""
    streams = [stream for stream in session.streams if stream.port and stream.is_udp]
    groups = [(session.shared, True)] if streams else []
    for candidates, is_rtp in [*groups, *[(stream.candidates, stream.is_rtp) for stream in streams]]:
        offered = [each for each in candidates if each.kind.is_offered and each.is_udp]
        yield offered, Purpose.RTP if is_rtp else Purpose.UDPTL


def _components(candidates: list[Candidate]) -> Iterator[tuple[Endpoint, Endpoint | None]]:
    """RTP, and the RTCP that belongs to it: of the same foundation and host (RFC 8445 section 5.1.1.3)."""
    rtcp = {(each.foundation, each.host): each.endpoint for each in candidates if each.component == _RTCP}
    for each in candidates:
        if each.component != _RTCP:
            beside = rtcp.pop((each.foundation, each.host), None)
            yield each.endpoint, None if beside == each.endpoint else beside
    for alone in rtcp.values():
        yield alone, None
