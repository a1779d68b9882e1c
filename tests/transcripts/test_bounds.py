"""No inside host takes more than its share, whatever it claims to be."""

import pytest

from tests.transcripts.flow import Flow, Party


def test_a_message_with_more_addresses_than_a_phone_has_opens_none(flow: Flow, alice: Party) -> None:
    contact = ", ".join(f"<sip:a@10.0.0.11:{port}>" for port in range(6000, 6008))
    alice.asks("OPTIONS", contact=contact).passes()
    assert flow.sip_ports == {}
    alice.asks("OPTIONS", contact=contact.rpartition(",")[0])
    assert len(flow.sip_ports) == 8


def test_a_host_gets_so_many_sip_ports_and_others_still_get_theirs(flow: Flow) -> None:
    for port in range(6000, 6064):
        flow.phone("scanner", "10.0.0.66", port).asks("OPTIONS", call=f"call-{port}")
    refused = flow.phone("scanner", "10.0.0.66", 7000).asks("OPTIONS", call="one-more").is_refused()
    assert refused.startswith(b"SIP/2.0 503 ")
    told = "10.0.0.66 has 64 SIP addresses already, the most for one host (limits.addresses)"
    assert flow.notices[-1].endswith(told)
    flow.phone("carol", "10.0.0.12").asks("OPTIONS", call="carol")
    assert len(flow.sip_ports) == 65


@pytest.mark.parametrize("port", [53, 161, 1023])
def test_a_system_port_is_no_phone(flow: Flow, port: int) -> None:
    flow.phone("alice", "10.0.0.11", port).asks("OPTIONS").passes()
    assert flow.sip_ports == {}


def test_a_phone_has_so_many_calls_and_others_still_get_theirs(flow: Flow, alice: Party, provider: Party) -> None:
    alice.asks("OPTIONS")
    flow.phone("carol", "10.0.0.12", 5061).asks("OPTIONS")
    flow.notices.clear()
    for number in range(2000):
        provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call=f"flood-{number}", far_tag="")
    assert (flow.calls, flow.notices) == (2000, [])
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call="one-more", far_tag="").is_refused()
    assert flow.calls == 2000
    assert flow.notices[-1].endswith("10.0.0.11 has 2000 calls already, the most for one phone (limits.calls)")
    provider.asks("INVITE", "sip:carol@203.0.113.1:5061", call="carols", far_tag="")
    assert flow.calls == 2001
    flow.wait(33)
    provider.asks("INVITE", "sip:alice@203.0.113.1:5060", call="later", far_tag="")
    assert flow.calls == 1
