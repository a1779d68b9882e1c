import pytest

from gateway.sip.grammar import NOWHERE
from gateway.sip.via import top_sent_by, via_params, via_parms


def texts(value: bytes) -> list[tuple[bytes, str, int | None]]:
    return [(value[parm.start : parm.end], parm.host, parm.port) for parm in via_parms(value, 0, len(value))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"SIP/2.0/UDP 10.0.0.11", [(b"10.0.0.11", "10.0.0.11", None)]),
        (b"SIP/2.0/UDP 10.0.0.11:5060;branch=x", [(b"10.0.0.11:5060", "10.0.0.11", 5060)]),
        (b"SIP / 2.0\r\n / UDP\t10.0.0.11 : 5060 ;branch=x", [(b"10.0.0.11 : 5060", "10.0.0.11", 5060)]),
        (b"sip/2.0/tls proxy.example.org", [(b"proxy.example.org", "proxy.example.org", None)]),
        (b"SIP/2.0/UDP [2001:db8::1]:5060", [(b"[2001:db8::1]:5060", "[2001:db8::1]", 5060)]),
        (
            b"SIP/2.0/UDP 10.0.0.1;a=b, SIP/2.0/UDP 10.0.0.2:7",
            [(b"10.0.0.1", "10.0.0.1", None), (b"10.0.0.2:7", "10.0.0.2", 7)],
        ),
        (
            b'SIP/2.0/UDP 10.0.0.1;a="x, SIP/2.0/UDP 10.0.0.9", SIP/2.0/UDP 10.0.0.2',
            [(b"10.0.0.1", "10.0.0.1", None), (b"10.0.0.2", "10.0.0.2", None)],
        ),
        (b'SIP/2.0/UDP 10.0.0.1;a="\\", SIP/2.0/UDP 10.0.0.9', [(b"10.0.0.1", "10.0.0.1", None)]),
        (b"SIP/2.0/UDP 10.0.0.1:506012, SIP/2.0/UDP 10.0.0.2:", []),
        (b"SIP/2.0/UDP 10.0.0.1 (a comment)", [(b"10.0.0.1", "10.0.0.1", None)]),
        (b"10.0.0.11", []),
        (b"", []),
    ],
)
def test_sent_by_of_each_hop(value: bytes, expected: list[tuple[bytes, str, int | None]]) -> None:
    assert texts(value) == expected


@pytest.mark.parametrize("colon", [b":", b" :\t", b"\r\n :\r\n "])
def test_what_stands_between_host_and_port_is_kept(colon: bytes) -> None:
    value = b"SIP/2.0/UDP 10.0.0.1" + colon + b"5060;branch=1"
    assert [parm.colon for parm in via_parms(value, 0, len(value))] == [colon]


def test_parameters_with_addresses() -> None:
    value = b";branch=x;RPORT = 5062 ;received=203.0.113.1;maddr=224.0.0.1;ttl=1"
    params = via_params(value, 0, len(value))
    assert value[slice(*params.rport)] == b"5062"
    assert value[slice(*params.received)] == b"203.0.113.1"
    assert value[slice(*params.maddr)] == b"224.0.0.1"


@pytest.mark.parametrize("value", [b"", b";rport", b";rport;branch=received", b";xreceived=1", b';x=";rport=1"'])
def test_parameters_that_are_not_there(value: bytes) -> None:
    assert via_params(value, 0, len(value)) == (NOWHERE, NOWHERE, NOWHERE)


def test_the_topmost_hop() -> None:
    assert top_sent_by(b"SIP/2.0/UDP 10.0.0.1:7, SIP/2.0/UDP 10.0.0.2") == ("10.0.0.1", 7)
    assert top_sent_by(b"SIP/2.0/UDP h\xff") == ("hÿ", 5060)
    assert top_sent_by(b"nonsense") is None
