"""Whom and where URIs mean, as bytes and whole."""

import pytest

from gateway.sip.authority import host_of, userinfo_before
from gateway.sip.contact import contacts
from gateway.sip.uri import request_uri_hostports


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        (b"sip:alice@10.0.0.11:5060", b"alice"),
        (b"SIPS:%61lice;x=1:secret@10.0.0.11;transport=udp", b"%61lice;x=1:secret"),
        (b"sip:10.0.0.11", b""),
        (b"sip:@10.0.0.11", b""),
    ],
)
def test_the_userinfo_is_taken_as_it_is_written(uri: bytes, user: bytes) -> None:
    (found,) = request_uri_hostports(uri)
    assert userinfo_before(found.start, uri) == user


def test_each_contact_has_its_own() -> None:
    value = b'"sip:x@10.9.9.9" <sip:a@10.0.0.11>;expires=5, sip:10.0.0.12, <sip:n@example.org>,<sip:b:c@10.0.0.13>'
    assert [contact.user for contact in contacts(value)] == [b"a", b"", b"b:c"]
    assert [contact.host for contact in contacts(value)] == ["10.0.0.11", "10.0.0.12", "10.0.0.13"]


def test_hostile_userinfo_costs_linear_time() -> None:
    data = b"sip:" * 15000 + b"@10.0.0.11"
    assert userinfo_before(len(data) - 9, data) == b""


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:example.org", "example.org"),
        ("sip:alice@Example.ORG.:5070;transport=udp", "example.org"),
        ("SIPS:a:b@example.org?x=y", "example.org"),
        ("sip:198.51.100.1:5060", "198.51.100.1"),
        ("sip:[2001:db8::1]", ""),
        ("tel:+49301234", ""),
        ("sip:exa_mple.org", ""),
        ("sip:a b@c d", ""),
        ("", ""),
    ],
)
def test_a_host_is_a_name_or_an_address(uri: str, host: str) -> None:
    assert host_of(uri) == host
