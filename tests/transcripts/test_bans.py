"""Who is dropped too often is banned for a while; nobody that matters here ever is, whoever forges his address."""

import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party
from tests.transcripts.messages import audio

BANNING = Settings(bans_after=3, bans_window=10, bans_seconds=600)
PHONE = "sip:100@203.0.113.1:5060"


@pytest.fixture
def flow() -> Flow:
    return Flow(BANNING)


@pytest.fixture
def home(alice: Party, provider: Party) -> Party:
    """Registered with the provider."""
    alice.asks("REGISTER", "sip:example.org", call="reg", to="<sip:alice@example.org>")
    provider.answers("200 OK", headers=("Expires: 3600",))
    return alice


@pytest.fixture
def scanner(flow: Flow, home: Party) -> Party:
    return flow.outside("scanner", "203.0.113.99")


def banned(flow: Flow) -> list[str]:
    return [ban.address for ban in flow.engine.bans]


def knock(stranger: Party, times: int, call: str = "scan") -> None:
    for number in range(times):
        stranger.asks("OPTIONS", PHONE, call=f"{call}-{number}").is_dropped()


def test_after_so_many_within_the_window(flow: Flow, scanner: Party) -> None:
    knock(scanner, 2)
    assert banned(flow) == []
    knock(scanner, 1, "more")
    [ban] = flow.engine.bans
    assert (ban.address, ban.until - ban.since, ban.why) == ("203.0.113.99", 600, "3 times caller")
    assert flow.notices[-1] == "banned: 203.0.113.99 for 600 s: dropped 3 times caller"
    assert flow.engine.bans.take_changes() == {"203.0.113.99": ban}
    flow.engine.bans.expire(flow.now + 599)
    assert banned(flow) == ["203.0.113.99"]
    flow.engine.bans.expire(flow.now + 600)
    assert (banned(flow), flow.engine.bans.take_changes()) == ([], {"203.0.113.99": None})


def test_who_knocks_now_and_then_is_not(flow: Flow, scanner: Party) -> None:
    for number in range(9):
        knock(scanner, 1, f"now-{number}")
        flow.wait(6)
    assert banned(flow) == []


def test_nobody_unless_the_operator_wants_it(flow: Flow, scanner: Party) -> None:
    flow.engine.configure(Settings())
    knock(scanner, 50)
    assert banned(flow) == []


def test_the_registrar_is_not_for_what_is_forged_in_its_name(flow: Flow, home: Party, provider: Party) -> None:
    """Another phone is not registered there, so what comes for that one is a stranger's."""
    flow.phone("carol", "10.0.0.12", 5061).far = flow.outside("friend", "192.0.2.9")
    flow.phone("carol", "10.0.0.12", 5061).asks("OPTIONS", call="carols")
    flow.engine.callers.configure("registrar", 3600)
    for number in range(9):
        provider.asks("OPTIONS", "sip:carol@203.0.113.1:5061", call=f"forged-{number}").is_dropped()
    assert banned(flow) == []


def test_whom_the_operator_names_is_not(flow: Flow, home: Party) -> None:
    settings = Settings(bans_after=3, bans_window=10, callers=("203.0.113.99/32",))
    flow.engine.configure(settings)
    friend = flow.outside("friend", "203.0.113.99")
    for number in range(9):
        friend.asks("OPTIONS", PHONE, call=f"x-{number}")
    assert flow.engine.callers.serves("203.0.113.99")
    assert banned(flow) == []


def test_a_party_of_a_call_is_not(flow: Flow, home: Party, provider: Party) -> None:
    """The stranger speaks up in another call than his own."""
    far = flow.outside("far", "192.0.2.50")
    home.far = far
    home.asks("INVITE", call="with-far", sdp=audio("10.0.0.11", 4000))
    far.answers("200 OK", to=b"INVITE", sdp=audio("192.0.2.50", 4000))
    home.asks("ACK", call="with-far")
    home.far = provider
    home.asks("INVITE", call="with-provider", sdp=audio("10.0.0.11", 4010))
    for number in range(9):
        far.asks("BYE", PHONE, call="with-provider", branch=f"forged-{number}").is_dropped()
    assert banned(flow) == []


def test_whom_a_phone_writes_to_is_no_longer(flow: Flow, scanner: Party, home: Party) -> None:
    knock(scanner, 3)
    assert banned(flow) == ["203.0.113.99"]
    home.far = scanner
    home.asks("OPTIONS", call="hello")
    assert banned(flow) == []


def test_offenders_are_remembered_as_far_as_there_is_room(flow: Flow, home: Party, scanner: Party) -> None:
    """Forged senders without end push one another out, and are banned no more than so many."""
    knock(scanner, 2)
    for number in range(4096):
        knock(flow.outside("forged", f"192.0.{number >> 8}.{number & 255}"), 1)
    knock(scanner, 1, "more")
    assert banned(flow) == []
    for number in range(4097):
        knock(flow.outside("forged", f"198.18.{number >> 8}.{number & 255}"), 3, "thrice")
    assert len(banned(flow)) == 4096


def test_they_outlive_a_reload_and_end_when_they_are_switched_off(flow: Flow, scanner: Party) -> None:
    knock(scanner, 3)
    flow.engine.configure(Settings(bans_after=5, bans_window=10, bans_seconds=10))
    assert banned(flow) == ["203.0.113.99"]
    flow.engine.configure(Settings())
    assert banned(flow) == []
