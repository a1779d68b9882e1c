"""A message of a known call counts only if it comes from an address of that call; from elsewhere it ends here."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio, reply
from tests.transcripts.test_incoming_call import register

ALICE = "sip:alice@203.0.113.1:5060"
SCANNER = "192.0.2.66"
UP = {"20000 -> 10.0.0.11:16384 rtp from 198.51.100.20"}
THEIRS, OTHERS = audio("198.51.100.20", 40000), audio("192.0.2.66", 41000)


def calls(alice: Party, provider: Party, *headers: str, contact: str = "") -> None:
    """A call out that is up; `headers` are those of its answer."""
    provider.contact = contact or provider.contact
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=THEIRS, headers=headers)
    alice.asks("ACK")


def is_called(alice: Party, provider: Party, *headers: str, contact: str = "", via: str = "") -> None:
    """A call in that is up; `headers` are those of its INVITE."""
    alice.asks("OPTIONS", call="hello")
    provider.asks("INVITE", ALICE, sdp=THEIRS, headers=headers, contact=contact, via=via)
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    provider.asks("ACK", ALICE)


@pytest.mark.parametrize("method", ["BYE", "INVITE", "UPDATE", "PRACK", "ACK", "CANCEL", "REFER", "INFO"])
@pytest.mark.parametrize("begin", [calls, is_called])
def test_a_request_with_the_right_tags_from_elsewhere_is_dropped(
    flow: Flow, alice: Party, provider: Party, method: str, begin: object
) -> None:
    (calls if begin is calls else is_called)(alice, provider)
    heard = len(alice.inbox)
    provider.moves(SCANNER)
    provider.asks(method, ALICE, far_tag="alice-tag", sdp="" if method in ("BYE", "CANCEL") else OTHERS).is_dropped()
    flow.wait(100)
    assert (flow.rtp, flow.calls, len(alice.inbox)) == (UP, 1, heard)
    assert flow.engine.counters["dropped: third address"] == 1
    assert flow.notices[-1].endswith("192.0.2.66 is no party of this call")


@pytest.mark.parametrize("status", ["183 Session Progress", "200 OK", "486 Busy Here"])
def test_a_response_from_elsewhere_is_dropped(flow: Flow, alice: Party, provider: Party, status: str) -> None:
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.moves(SCANNER)
    provider.answers(status, tag="mallory", sdp="" if "Busy" in status else OTHERS).is_dropped()
    assert flow.rtp == {"20000 -> 10.0.0.11:16384 rtp closed"}
    provider.moves("198.51.100.1")
    provider.answers("200 OK", tag="bob", sdp=THEIRS)
    assert flow.rtp == UP


def test_a_cancel_from_elsewhere_is_dropped(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS", call="hello")
    provider.asks("INVITE", ALICE, sdp=THEIRS)
    provider.moves(SCANNER)
    provider.asks("CANCEL", ALICE, far_tag="").is_dropped()
    assert not alice.inbox[-1].startswith(b"CANCEL")


def test_the_phone_has_spoken_with_it(flow: Flow, alice: Party, provider: Party) -> None:
    """The ACK goes to the contact behind a host name, and the BYE comes from there."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="bob", sdp=THEIRS)
    provider.moves("198.51.100.77")
    alice.asks("ACK")
    provider.asks("BYE", ALICE)
    alice.answers("200 OK", to=b"BYE")
    assert flow.open == set()


@pytest.mark.parametrize(
    ("headers", "contact"),
    [
        ((), "<sip:bob@192.0.2.66:5070>"),
        (("Record-Route: <sip:198.51.100.1;lr>, <sip:192.0.2.66;lr>",), ""),
        (("Record-Route: <sip:198.51.100.1;lr>", "Record-Route: <sip:proxy.example.org;maddr=192.0.2.66;lr>"), ""),
    ],
    ids=["Contact", "Record-Route", "maddr of a second Record-Route"],
)
@pytest.mark.parametrize("begin", [calls, is_called])
def test_a_hop_that_the_far_side_names_is_a_party(
    flow: Flow, alice: Party, provider: Party, headers: tuple[str, ...], contact: str, begin: object
) -> None:
    (calls if begin is calls else is_called)(alice, provider, *headers, contact=contact)
    provider.moves(SCANNER)
    provider.asks("BYE", ALICE)
    alice.answers("200 OK", to=b"BYE")
    assert flow.open == set()


@pytest.mark.parametrize("via", ["192.0.2.66:5060", "bob.example.org;received=192.0.2.66"])
def test_so_is_one_that_its_request_came_through(flow: Flow, alice: Party, provider: Party, via: str) -> None:
    is_called(alice, provider, via=f"198.51.100.1:5060;branch=z9hG4bKproxy, SIP/2.0/UDP {via}")
    provider.moves(SCANNER)
    provider.asks("BYE", ALICE)
    alice.answers("200 OK", to=b"BYE")
    assert flow.open == set()


@pytest.mark.parametrize(
    ("headers", "contact", "anybody"),
    [
        ((), "<sip:bob@example.org>", True),
        (("Record-Route: <sip:proxy.example.org;lr>, <sip:198.51.100.1;lr>",), "<sip:bob@198.51.100.7>", True),
        (("Record-Route: <sip:198.51.100.1;lr>, <sip:proxy.example.org;lr>",), "<sip:bob@example.org>", False),
        (("Record-Route: <sip:198.51.100.1;lr>",), "<sip:bob@example.org>", False),
    ],
)
def test_a_caller_whose_next_hop_is_a_host_name_may_come_back_from_anywhere(
    flow: Flow, alice: Party, provider: Party, headers: tuple[str, ...], contact: str, *, anybody: bool
) -> None:
    is_called(alice, provider, *headers, contact=contact)
    provider.moves(SCANNER)
    bye = provider.asks("BYE", ALICE)
    assert (bye.arrived is not None) is anybody


def test_a_called_party_by_name_may_not(flow: Flow, alice: Party, provider: Party) -> None:
    calls(alice, provider, contact="<sip:bob@example.org>")
    provider.moves(SCANNER)
    provider.asks("BYE", ALICE).is_dropped()
    assert flow.rtp == UP


def test_a_name_is_an_address_only_as_a_whole(flow: Flow, alice: Party, provider: Party) -> None:
    calls(alice, provider, contact="<sip:192.0.2.66@192.0.2.166>")
    provider.moves(SCANNER)
    provider.asks("BYE", ALICE).is_dropped()


def test_whoever_begins_another_branch_speaks_for_that_alone(flow: Flow, alice: Party, provider: Party) -> None:
    """A cluster delivers the branches of a fork from several addresses; a scanner may say that it is one."""
    is_called(alice, provider)
    provider.moves(SCANNER)
    provider.legs["call-1"].cseq = 0
    provider.asks("INVITE", ALICE, branch="strange", far_tag="", sdp=OTHERS).is_dropped()
    flow.engine.configure(Settings(callers="any"))
    provider.asks("INVITE", ALICE, branch="other", far_tag="", sdp=OTHERS)
    branch = alice.inbox[-1]
    assert branch.startswith(b"INVITE")
    provider.asks("BYE", ALICE, far_tag="alice-tag").is_dropped()
    alice.sends(reply(branch, "200 OK", "alice-other", body=audio("10.0.0.11", 17000)))
    assert len(flow.rtp) == 2
    provider.asks("BYE", ALICE, far_tag="alice-tag").is_dropped()
    provider.asks("BYE", ALICE, far_tag="alice-other")
    alice.sends(reply(alice.inbox[-1], "200 OK"))
    assert flow.rtp == UP


def test_nobody_repeats_an_invite_from_elsewhere(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS", call="hello")
    provider.asks("INVITE", ALICE, sdp=THEIRS)
    sent = provider.sent
    provider.moves(SCANNER)
    provider.sends(sent, ALICE).is_dropped()
    provider.moves("198.51.100.1")
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    flow.wait(40)
    provider.moves(SCANNER)
    provider.sends(sent, ALICE).is_dropped()
    provider.asks("BYE", ALICE).is_dropped()
    assert flow.rtp == UP


def test_a_call_knows_so_many_parties(flow: Flow, alice: Party, provider: Party) -> None:
    is_called(alice, provider, contact="<sip:bob@example.org>")
    for host in range(1, 40):
        provider.moves(f"192.0.2.{host}")
        assert provider.asks("INFO", ALICE).arrived is not None
    for number in range(40):
        provider.moves(f"198.51.100.{100 + number}")
        provider.asks("UPDATE", ALICE, contact=f"<sip:bob@192.0.2.{100 + number}>")
    (call,) = flow.engine.calls
    assert len(call.parties) == 16
    assert flow.rtp == UP


def test_another_call_of_the_same_phone_is_none_of_its_business(flow: Flow, alice: Party, provider: Party) -> None:
    flow.engine.configure(Settings(callers="any"))
    calls(alice, provider)
    provider.moves("198.51.100.2")
    provider.asks("INVITE", ALICE, call="call-2", sdp=THEIRS)
    provider.asks("BYE", ALICE, call="call-1", far_tag="alice-tag").is_dropped()
    alice.answers("486 Busy Here")
    assert (flow.rtp, flow.calls) == (UP, 1)


@pytest.mark.parametrize("policy", ["registrar", "known", "any", ("192.0.2.0/29",)])
def test_the_phones_provider_may_speak_from_all_its_addresses(policy: str) -> None:
    flow = Flow(Settings(callers=policy))  # type: ignore[arg-type]  # it is one of them
    alice, provider = flow.phone("alice", "10.0.0.11"), flow.provider
    register(alice, provider)
    flow.engine.callers.know("example.org", frozenset({"198.51.100.77"}))
    provider.asks("INVITE", ALICE, sdp=THEIRS)
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    provider.asks("ACK", ALICE)
    provider.moves(SCANNER)
    provider.asks("BYE", ALICE).is_dropped()
    provider.moves("198.51.100.77")
    provider.asks("BYE", ALICE)
    assert alice.inbox[-1].startswith(b"BYE ")


def test_a_quoted_bracket_is_no_end_of_an_address(flow: Flow, alice: Party, provider: Party) -> None:
    is_called(alice, provider, contact='"a>b" <sip:bob@198.51.100.1>')
    provider.moves(SCANNER)
    provider.asks("BYE", ALICE).is_dropped()


def test_a_party_may_repeat_itself_after_the_call(flow: Flow, alice: Party, provider: Party) -> None:
    register(alice, provider)
    provider.asks("INVITE", ALICE, sdp=THEIRS, contact="<sip:bob@192.0.2.66:5070>")
    alice.answers("200 OK", sdp=audio("10.0.0.11", 16384))
    provider.asks("ACK", ALICE)
    provider.moves(SCANNER)
    provider.asks("BYE", "sip:100@203.0.113.1:5060")
    alice.answers("200 OK", to=b"BYE")
    assert flow.calls == 0
    provider.again()
    assert [each.split()[0] for each in alice.inbox[-2:]] == [b"BYE", b"BYE"]
    flow.wait(33)
    provider.again().is_dropped()


def test_a_guest_too_many_does_not_even_begin() -> None:
    flow = Flow(Settings(callers="any"))
    alice, provider = flow.phone("alice", "10.0.0.11"), flow.provider
    is_called(alice, provider)
    provider.moves("198.51.100.99")
    for number in range(16):
        provider.asks("INVITE", ALICE, far_tag="", sdp=THEIRS, branch=f"guest{number}")
        alice.answers("486 Busy Here", to=b"INVITE")
    provider.asks("INVITE", ALICE, far_tag="", sdp=THEIRS, branch="guest16").is_dropped()
