from collections.abc import Callable, Iterator

import pytest

from rules.flows import Flow, Search
from rules.kernel.conntrack import Conntrack
from rules.model import Endpoint
from tests.support.netns import Namespace, hosts

pytestmark = pytest.mark.root

ROUTER, PEER = Endpoint("203.0.113.1", 20000), Endpoint("198.51.100.7", 9000)
PHONE, OTHER = Endpoint("10.0.0.5", 16384), Endpoint("10.0.0.6", 16384)
OUTWARD = Flow(PHONE, PEER, PEER, ROUTER)
INWARD = Flow(Endpoint("198.51.100.8", 9000), ROUTER, PHONE, Endpoint("198.51.100.8", 9000))
OTHERS = Flow(OTHER, PEER, PEER, Endpoint("203.0.113.1", 20002))
EVERYTHING = Search({PHONE, OTHER}, {ROUTER}, thorough=True)


@pytest.fixture
def router() -> Iterator[Namespace]:
    with hosts("router") as (host,):
        # an entry is only kept where something tracks connections
        host.run("iptables-legacy", "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW")
        for flow in (OUTWARD, INWARD, OTHERS):
            track(host, flow, "udp")
        track(host, Flow(PHONE, PEER, PEER, PHONE), "tcp")
        yield host


def track(host: Namespace, flow: Flow, protocol: str) -> None:
    arguments = ["-s", flow.source.ip, "-d", flow.target.ip, "-r", flow.reply_source.ip, "-q", flow.reply_target.ip]
    arguments += ["--sport", str(flow.source.port), "--dport", str(flow.target.port)]
    arguments += ["--reply-port-src", str(flow.reply_source.port), "--reply-port-dst", str(flow.reply_target.port)]
    state = ["--state", "ESTABLISHED"] if protocol == "tcp" else []
    host.run("conntrack", "-I", "-p", protocol, "-t", "300", *arguments, *state)


def play(router: Namespace, story: Callable[[Conntrack], None]) -> None:
    def with_conntrack() -> None:
        conntrack = Conntrack()
        story(conntrack)
        conntrack.close()

    router.call(with_conntrack)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        (Search({PHONE}), {OUTWARD}),
        (Search({Endpoint(PHONE.ip, 1)}), set()),
        (Search({PHONE}, {ROUTER}), {OUTWARD, INWARD}),
        (Search({OTHER}, thorough=True), {OTHERS}),
        (Search(publics={ROUTER}), {INWARD}),
        (Search(publics={ROUTER}, thorough=True), {INWARD, OUTWARD}),
    ],
    ids=["inside", "another port", "inside and public", "thorough", "public", "public, thorough"],
)
@pytest.mark.parametrize("dear", [1, 10**9], ids=["one walk for all", "a walk for each"])
def test_what_is_found(
    router: Namespace, monkeypatch: pytest.MonkeyPatch, search: Search, found: set[Flow], dear: int
) -> None:
    monkeypatch.setattr("rules.kernel.conntrack._ENTRY", dear)

    def story(conntrack: Conntrack) -> None:
        flows = conntrack.flows(search)
        assert {flow for flow in flows if search.touches(flow)} == found
        assert set(flows) <= {OUTWARD, INWARD, OTHERS}

    play(router, story)


def test_what_is_cut_is_gone_and_nothing_else(router: Namespace) -> None:
    def story(conntrack: Conntrack) -> None:
        conntrack.cut([OUTWARD, INWARD])
        conntrack.cut([OUTWARD])  # gone already
        assert conntrack.flows(EVERYTHING) == [OTHERS]

    play(router, story)
    assert router.run("conntrack", "-L", "-p", "tcp").count("10.0.0.5") == 2


def test_many_are_cut_at_once(router: Namespace) -> None:
    def story(conntrack: Conntrack) -> None:
        flows = [Flow(PHONE, Endpoint("192.0.2.1", port), PEER, ROUTER) for port in range(1, 1001)]
        conntrack.cut([*flows, OUTWARD])
        assert OUTWARD not in conntrack.flows(EVERYTHING)

    play(router, story)
