"""What a registrar grants, and for how long the ledger holds it."""

import pytest

from gateway.admission import listening_at
from gateway.calls.bindings import Holder, HolderKind
from gateway.calls.ledger import Ledger
from gateway.calls.registration import Registration
from gateway.calls.registrations import Registrations
from gateway.networks import Inside, Networks
from gateway.sip.message import parse
from rules.model import Endpoint

ALICE = Endpoint("10.0.0.11", 5060)
SECOND = Endpoint("10.0.0.11", 5080)
CAROL = Endpoint("10.0.0.12", 5060)
REGISTRAR = Endpoint("198.51.100.1", 5060)
PUBLIC = "203.0.113.1"
INSIDE = Inside(Networks(["10.0.0.0/24"]), Networks())


class Registrar:
    """Sends what a phone asks and a registrar answers straight to the registrations."""

    def __init__(self) -> None:
        self.ledger = Ledger((20000, 20009), (5062, 5069), frozenset())
        self.ledger.public = PUBLIC
        self.registrations = Registrations(self.ledger)
        self.cseq = 0

    def asked(
        self, *headers: str, phone: Endpoint = ALICE, aor: str = "alice", call: str = "reg", now: float = 0.0,
        uri: str = "sip:example.org", registrar: Endpoint = REGISTRAR,
    ) -> None:  # fmt: skip
        self.cseq += 1
        data = self._message(f"REGISTER {uri} SIP/2.0", aor, call, self.cseq, headers)
        message = parse(data)
        self.registrations.requested(message, listening_at(message, phone, INSIDE), registrar, now)

    def answered(
        self, *headers: str, status: int = 200, aor: str = "alice", call: str = "reg", now: float = 0.0,
        phone: Endpoint = ALICE,
    ) -> Registration | None:  # fmt: skip
        data = self._message(f"SIP/2.0 {status} x", aor, call, self.cseq, headers)
        message = parse(data)
        request = self.registrations.asked(message, phone.ip)
        return None if request is None else self.registrations.answered(request, message, now)

    def until(self, inside: Endpoint) -> float | None:
        """How long the ledger holds an address for its registrations."""
        row = self.ledger.of_inside(inside)
        return None if row is None else max(hold.until for hold in row.holds.values())

    @staticmethod
    def _message(start: str, aor: str, call: str, cseq: int, headers: tuple[str, ...]) -> bytes:
        lines = [start, "v:SIP/2.0/UDP x", f"f:<sip:{aor}@example.org>;tag=1", f"t:<sip:{aor}@example.org>"]
        return "\r\n".join([*lines, f"i:{call}", f"CSeq:{cseq} REGISTER", *headers, "", ""]).encode()


@pytest.fixture
def registrar() -> Registrar:
    return Registrar()


CONTACT = "m:<sip:alice@10.0.0.11:5060>"
ECHO = "m:<sip:alice@203.0.113.1:5060>"


@pytest.mark.parametrize(
    ("asked", "answered", "seconds"),
    [
        pytest.param([CONTACT], [ECHO + ";expires=100"], 100, id="the contact's own"),
        pytest.param([CONTACT], [ECHO + ";expires=100", "Expires: 200"], 100, id="before the general one"),
        pytest.param([CONTACT], ["Expires: 200"], 200, id="the general one"),
        pytest.param([CONTACT, "Expires: 300"], [], 300, id="as asked by Expires"),
        pytest.param([CONTACT + ";expires=400", "Expires: 300"], [], 400, id="as asked for the contact"),
        pytest.param([CONTACT], [], 3600, id="nobody says"),
        pytest.param([CONTACT, "Expires: 300"], ["Expires: soon"], 300, id="nonsense is not said"),
        pytest.param(
            [CONTACT], ["m:<sip:alice@198.51.100.9>;expires=5", "Expires: 200"], 200, id="another's contact"
        ),
        pytest.param([CONTACT], ["m:<sip:carol@203.0.113.1:5063>;expires=5", "Expires: 200"], 200, id="another port"),
    ],
)
def test_lifetime(registrar: Registrar, asked: list[str], answered: list[str], seconds: int) -> None:
    registrar.ledger.hold_signalling(ALICE, registrar_request(), 32.0, 0.0)
    registrar.asked(*asked)
    granted = registrar.answered(*answered, now=7.0)
    assert granted is not None
    assert granted.addresses == {ALICE: 7.0 + seconds}
    assert registrar.until(ALICE) == max(7.0 + seconds, 32.0)
    assert registrar.registrations.is_registered(ALICE)


def registrar_request() -> Holder:
    return Holder.of(HolderKind.TRANSACTION, "10.0.0.11:5060")


@pytest.mark.parametrize("status", [100, 401, 403, 423, 500])
def test_only_a_2xx_promises_something(registrar: Registrar, status: int) -> None:
    registrar.asked(CONTACT)
    assert registrar.answered(status=status) is None
    assert not registrar.registrations.is_registered(ALICE)
    assert registrar.until(ALICE) is None


def test_a_failed_refresh_leaves_the_promise_standing(registrar: Registrar) -> None:
    registrar.asked(CONTACT)
    registrar.answered("Expires: 600")
    registrar.asked(CONTACT, now=500.0)
    assert registrar.answered(status=503, now=500.0) is None
    assert registrar.until(ALICE) == 600.0


def test_an_answer_to_nothing(registrar: Registrar) -> None:
    registrar.cseq = 9
    assert registrar.answered("Expires: 600") is None


def test_an_answer_counts_once(registrar: Registrar) -> None:
    registrar.asked(CONTACT)
    assert registrar.answered("Expires: 600") is not None
    assert registrar.answered("Expires: 600", now=300.0) is None
    assert registrar.until(ALICE) == 600.0


@pytest.mark.parametrize("end", [(CONTACT, "Expires: 0"), (CONTACT + ";expires=0",), ("m:*", "Expires: 0")])
def test_unregistering(registrar: Registrar, end: tuple[str, ...]) -> None:
    registrar.asked(CONTACT)
    registrar.answered("Expires: 600")
    registrar.asked(*end)
    ended = registrar.answered()
    assert ended is not None
    assert ended.contacts == {}
    assert registrar.until(ALICE) is None
    assert not registrar.registrations.is_registered(ALICE)
    assert list(registrar.registrations) == []


def test_what_was_to_end_ends_whatever_the_answer_says(registrar: Registrar) -> None:
    registrar.asked(CONTACT)
    registrar.answered("Expires: 600")
    registrar.asked(CONTACT + ";expires=0")
    registrar.answered("Expires: 600")
    assert registrar.until(ALICE) is None


def test_one_of_two_contacts_goes(registrar: Registrar) -> None:
    registrar.asked("m:<sip:alice@10.0.0.11:5060>,<sip:alice@10.0.0.11:5080>")
    registrar.answered("Expires: 600")
    assert (registrar.until(ALICE), registrar.until(SECOND)) == (600.0, 600.0)
    registrar.asked("m:<sip:alice@10.0.0.11:5080>;expires=0")
    registrar.answered()
    assert (registrar.until(ALICE), registrar.until(SECOND)) == (600.0, None)


def test_two_accounts_at_one_address(registrar: Registrar) -> None:
    registrar.asked(CONTACT, aor="alice")
    registrar.answered("Expires: 600", aor="alice")
    registrar.asked(CONTACT, aor="office", call="reg-2")
    registrar.answered("Expires: 900", aor="office", call="reg-2")
    registrar.asked("m:*", "Expires: 0", aor="office", call="reg-2")
    registrar.answered(aor="office", call="reg-2")
    assert registrar.until(ALICE) == 600.0
    assert registrar.registrations.is_registered(ALICE)
    assert [registration.aor for registration in registrar.registrations] == ["sip:alice@example.org"]


def test_two_phones_of_one_account(registrar: Registrar) -> None:
    registrar.asked(CONTACT)
    registrar.answered("Expires: 600")
    registrar.asked("m:<sip:alice@10.0.0.12>", phone=CAROL, call="other")
    registrar.answered("Expires: 600", call="other", phone=CAROL)
    registrar.asked("m:*", "Expires: 0", phone=CAROL, call="other")
    registrar.answered(call="other", phone=CAROL)
    assert registrar.until(ALICE) == 600.0
    assert registrar.until(CAROL) is None


def test_contacts_that_are_not_the_phones_own_promise_nothing(registrar: Registrar) -> None:
    registrar.asked("m:<sip:alice@10.0.0.12:5060>, <sip:alice@198.51.100.9>")
    assert registrar.answered("Expires: 600") is None
    assert list(registrar.ledger) == []


def test_expiry(registrar: Registrar) -> None:
    registrar.asked("m:<sip:alice@10.0.0.11:5060>;expires=100,<sip:alice@10.0.0.11:5080>;expires=200")
    registrar.answered()
    ((holder, inside),) = registrar.ledger.expire(150.0)
    assert registrar.registrations.expired(holder, inside) is None
    assert not registrar.registrations.is_registered(ALICE)
    ((holder, inside),) = registrar.ledger.expire(250.0)
    ended = registrar.registrations.expired(holder, inside)
    assert ended is not None
    assert ended.aor == "sip:alice@example.org"
    assert list(registrar.registrations) == []


def test_requests_that_nobody_answers_are_forgotten(registrar: Registrar) -> None:
    for number in range(5000):
        registrar.asked(CONTACT, call=f"reg-{number}", now=float(number) / 1000)
    registrar.cseq = 1
    assert registrar.answered("Expires: 600", call="reg-0") is None
    registrar.cseq = 5000
    assert registrar.answered("Expires: 600", call="reg-4999") is not None
