"""What is written down, and what a gateway that is started again makes of it.

That no party of a dialogue notices is shown by the dialogues themselves, which are played with restarts as well.
"""

import pytest

from gateway.engine import Engine
from gateway.networks import Networks
from gateway.snapshot import DamagedStateError, Kind, Row, all_rows, restore, take_rows
from rules.model import Endpoint, Traffic
from tests.transcripts.conftest import FEW_PORTS
from tests.transcripts.flow import LAN, PUBLIC, Flow, Party
from tests.transcripts.messages import audio


def called(flow: Flow, alice: Party, provider: Party) -> None:
    """Alice calls and is answered."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="b", sdp=audio("198.51.100.20", 40000))
    alice.asks("ACK")


def test_what_is_written_when_it_changes_is_all_there_is(flow: Flow, alice: Party, provider: Party) -> None:
    called(flow, alice, provider)
    alice.asks("REGISTER", "sip:example.org", call="reg", headers=("Expires: 600",))
    provider.answers("200 OK", tag="r", to=b"REGISTER", headers=("Expires: 600",))
    flow.keep()
    all_of_it = {(row.kind, row.key): row.value for row in all_rows(flow.engine)}
    assert {kind for kind, _ in all_of_it} == {*Kind} - {Kind.SUBSCRIBERS, Kind.REQUEST, Kind.ORPHAN}
    assert flow.written.keys() == all_of_it.keys()
    assert take_rows(flow.engine) == []


def test_a_call_that_ended_leaves_nothing_for_long(flow: Flow, alice: Party, provider: Party) -> None:
    called(flow, alice, provider)
    alice.asks("BYE")
    provider.answers("200 OK")
    flow.restart()
    assert flow.calls == 0
    assert flow.open == set()
    assert [kind for kind, _ in flow.written if kind is Kind.MEDIA] == []
    flow.wait(40)
    flow.restart()
    alice.asks("INVITE", call="next", sdp=audio("10.0.0.11", 16384))
    provider.answers("486 Busy Here", tag="n")
    flow.keep()
    assert len([kind for kind, _ in flow.written if kind is Kind.CALL]) == 1


def test_a_call_that_both_ends_gave_up_unseen_ends_by_its_silence(flow: Flow, alice: Party, provider: Party) -> None:
    """The ACK and each BYE were sent while nobody was there to let them through."""
    alice.asks("INVITE", sdp=audio("10.0.0.11", 16384))
    provider.answers("200 OK", tag="b", sdp=audio("198.51.100.20", 40000))
    silent = {Endpoint("10.0.0.11", 16384): Traffic(0, 0)}
    for _ in range(2):
        flow.wait(149)
        flow.restart()
        flow.count(silent)
    assert flow.calls == 1
    flow.wait(2)
    flow.count(silent)
    assert (flow.calls, flow.open) == (0, set())


def test_times_go_on_over_a_restart(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("REGISTER", "sip:example.org", headers=("Expires: 600",))
    provider.answers("200 OK", tag="r", headers=("Expires: 600",))
    flow.wait(500)
    flow.restart()
    flow.wait(99)
    assert flow.sip_ports == {"10.0.0.11:5060": 5060}
    flow.wait(2)
    assert flow.sip_ports == {}


def test_after_a_reboot_phones_are_still_registered_and_no_call_lives(
    flow: Flow, alice: Party, provider: Party
) -> None:
    alice.asks("REGISTER", "sip:example.org", call="reg", headers=("Expires: 600",))
    provider.answers("200 OK", tag="r", headers=("Expires: 600",))
    called(flow, alice, provider)
    flow.keep()
    flow.engine = Engine(flow.settings)
    restore(
        flow.engine, [Row(*name, value) for name, value in flow.written.items()],
        shift=100 - flow.now, calls_live=False,
    )  # fmt: skip
    flow.engine.place(Networks([LAN]), PUBLIC, PUBLIC)
    flow.now, flow.kernel = 100.0, {}
    flow.commit()
    assert (flow.calls, flow.open, flow.sip_ports) == (0, set(), {"10.0.0.11:5060": 5060})
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call="in").leaves_with(
        "INVITE sip:alice@10.0.0.11:5060 SIP/2.0"
    )
    provider.asks("CANCEL", "sip:alice@203.0.113.1:5060", call="in")
    flow.wait(601)
    assert flow.sip_ports == {}


@pytest.mark.parametrize("value", [b"", b"\xc1", b"\x90", b"text", b"\x93\x01\x02\x03"])
@pytest.mark.parametrize("kind", Kind)
def test_rows_that_no_gateway_wrote_are_damage(kind: Kind, value: bytes) -> None:
    with pytest.raises(DamagedStateError):
        restore(Engine(FEW_PORTS), [Row(kind, b"key", value)])


def test_one_port_of_two_addresses_is_damage(flow: Flow, alice: Party, provider: Party) -> None:
    called(flow, alice, provider)
    rows = all_rows(flow.engine)
    twice = [row._replace(value=row.value.replace(b"\xcd\x4e\x20", b"\xcd\x4e\x21")) for row in rows if row.value]
    assert twice != rows
    with pytest.raises(DamagedStateError, match="is there twice"):
        restore(Engine(FEW_PORTS), twice)
