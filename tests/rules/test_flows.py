import pytest

from rules.flows import Flow, Search, public, wrong
from rules.forwards import Forwards
from rules.model import Endpoint, Forward
from tests.rules.cases import CLOSED, OPEN, PHONE, RTP

ADDRESS = "203.0.113.1"
NETWORKS = ("10.0.0.0/24",)
PEER = Endpoint("198.51.100.7", 9000)
STRANGER = Endpoint("192.0.2.66", 9000)
OTHER = Endpoint("10.0.0.99", 4000)


def outward(inside: Endpoint, port: int, target: Endpoint = PEER) -> Flow:
    """A flow begun inside that leaves from a port of the router."""
    return Flow(inside, target, target, Endpoint(ADDRESS, port))


def inward(port: int, inside: Endpoint, source: Endpoint = PEER) -> Flow:
    """A flow begun outside at a port of the router, led to an inside address."""
    return Flow(source, Endpoint(ADDRESS, port), inside, source)


def judge(flow: Flow, *forwards: Forward, gone: tuple[Forward, ...] = ()) -> tuple[bool, frozenset[Endpoint]]:
    table = Forwards()
    table.update({forward.inside: forward for forward in forwards})
    search = Search()
    for forward in forwards:
        search.changed(None, None, forward, public(ADDRESS, forward))
    for forward in gone:
        search.changed(forward, public(ADDRESS, forward), None, None)
    flows, cut = wrong([flow], search, table, ADDRESS, NETWORKS)
    return bool(flows), cut


@pytest.mark.parametrize(
    "flow",
    [
        outward(RTP.inside, RTP.port),
        inward(RTP.port, RTP.inside),
        Flow(RTP.inside, OTHER, OTHER, RTP.inside),
        Flow(RTP.inside, Endpoint(ADDRESS, 53), Endpoint(ADDRESS, 53), RTP.inside),
        outward(OTHER, 4000),
    ],
    ids=["right outward", "right inward", "stays inside", "to the router itself", "another host"],
)
def test_flows_that_stay(flow: Flow) -> None:
    assert judge(flow, RTP) == (False, frozenset())


@pytest.mark.parametrize(
    ("flow", "cut"),
    [
        (outward(RTP.inside, 1024), {RTP.inside}),
        (outward(OTHER, RTP.port), set()),
        (inward(RTP.port, OTHER), set()),
        (inward(RTP.port, Endpoint(ADDRESS, RTP.port)), set()),
        (inward(RTP.port, RTP.inside, STRANGER), {RTP.inside}),
        (inward(RTP.port, RTP.inside)._replace(reply_target=Endpoint(PEER.ip, 57693)), {RTP.inside}),
    ],
    ids=["older than the forward", "port of another", "led elsewhere", "the router's", "not allowed", "bent"],
)
def test_flows_that_must_go(flow: Flow, cut: set[Endpoint]) -> None:
    assert judge(flow, RTP) == (True, frozenset(cut))


def test_anybody_may_send_to_open_media_and_to_a_phone() -> None:
    assert not judge(inward(OPEN.port, OPEN.inside, STRANGER), OPEN)[0]
    assert not judge(inward(PHONE.port, PHONE.inside, STRANGER), PHONE)[0]


def test_nobody_may_send_to_closed_media() -> None:
    assert judge(inward(CLOSED.port, CLOSED.inside), CLOSED)[0]


@pytest.mark.parametrize("flow", [outward(RTP.inside, RTP.port), inward(RTP.port, RTP.inside)])
def test_the_flows_of_a_forward_go_with_it_and_are_no_reason_to_drop_a_packet(flow: Flow) -> None:
    assert judge(flow, OPEN, gone=(RTP,)) == (True, frozenset())


def test_between_phones_inside_flows_go_with_the_forward_of_media_only() -> None:
    for forward in (RTP, PHONE):
        flow = Flow(forward.inside, OTHER, OTHER, forward.inside)
        assert judge(flow, gone=(forward,)) == (forward is RTP, frozenset())
        assert judge(flow, forward, gone=(forward,)) == (False, frozenset())


def test_new_media_is_searched_by_its_inside_alone() -> None:
    search = Search()
    search.changed(None, None, RTP, public(ADDRESS, RTP))
    assert search == Search({RTP.inside}, urgent=True)


def test_a_new_phone_is_searched_for_in_everything() -> None:
    search = Search()
    search.changed(None, None, PHONE, public(ADDRESS, PHONE))
    assert search == Search({PHONE.inside}, {Endpoint(ADDRESS, 5060)}, thorough=True, urgent=True)


def test_only_what_is_new_or_moved_must_be_searched_for_at_once() -> None:
    there, elsewhere = public(ADDRESS, RTP), public("203.0.113.99", RTP)
    for old, before, new, after, urgent in (
        (None, None, RTP, there, True),
        (RTP, there, RTP, elsewhere, True),
        (RTP, there, RTP._replace(sources=frozenset({"192.0.2.1"})), there, False),
        (RTP, there, None, None, False),
    ):
        search = Search()
        search.changed(old, before, new, after)
        assert search
        assert search.urgent is urgent


def test_other_sources_are_searched_from_both_ends() -> None:
    assert RTP.sources is not None
    there = public(ADDRESS, RTP)
    search = Search()
    search.changed(RTP, there, RTP._replace(sources=RTP.sources | {"192.0.2.1"}), there)
    assert search == Search({RTP.inside}, {Endpoint(ADDRESS, RTP.port)})
    search.changed(RTP, there, RTP._replace(sources=frozenset()), there)
    assert search.former == {(RTP.inside, "198.51.100.7"), (RTP.inside, "198.51.100.8")}
    unchanged = Search()
    unchanged.changed(RTP, there, RTP._replace(reason="another"), there)
    assert not unchanged


@pytest.mark.parametrize(
    ("target", "wrong_now"),
    [("198.51.100.7", False), ("198.51.100.8", True), (STRANGER.ip, False)],
    ids=["still named", "named before", "never named"],
)
def test_a_flow_that_the_phone_began_goes_only_with_the_host_that_was_named(target: str, wrong_now: bool) -> None:
    there = public(ADDRESS, RTP)
    now = RTP._replace(sources=frozenset({"198.51.100.7"}))
    table = Forwards()
    table.update({now.inside: now})
    search = Search()
    search.changed(RTP, there, now, there)
    flow = outward(RTP.inside, RTP.port, Endpoint(target, 9000))
    assert wrong([flow], search, table, ADDRESS, NETWORKS)[0] == [flow] * wrong_now


def test_a_host_that_is_named_again_before_anybody_looked_keeps_its_flow() -> None:
    there = public(ADDRESS, RTP)
    without = RTP._replace(sources=frozenset())
    table = Forwards()
    table.update({RTP.inside: RTP})
    search = Search()
    search.changed(RTP, there, without, there)
    search.changed(without, there, RTP, there)
    assert wrong([outward(RTP.inside, RTP.port)], search, table, ADDRESS, NETWORKS) == ([], frozenset())


def test_a_new_address_is_searched_at_both() -> None:
    search = Search()
    search.changed(RTP, Endpoint("192.0.2.1", 20000), RTP, Endpoint(ADDRESS, 20000))
    assert search.publics == {Endpoint("192.0.2.1", 20000), Endpoint(ADDRESS, 20000)}
    assert search.thorough
