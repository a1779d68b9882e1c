"""What two people do with their phones, and what a call leaves in the router's kernel."""

import contextlib
import re

from tests.lab.gateway import conntrack, router_state
from tests.lab.phone import Call, Phone
from tests.support.capture import Capture
from tests.support.netns import Namespace

# of the phones' audio, and of the public ports that stand for it
_MEDIA_PORT = re.compile(r"port=(?:1638[4-9]|1639[0-4]|2[0-9]{4}|3[0-9]{4})\b")


def connect(caller: Phone, called: Phone) -> tuple[Call, Call]:
    """Let one phone call another that answers."""
    out = caller.dial(called.user)
    incoming = called.wait_incoming()
    out.wait_ringing()
    incoming.answer()
    out.wait_established()
    incoming.wait_established()
    return out, incoming


def hear(*calls: Call, packets: int = 25) -> None:
    """Wait until so many more RTP packets of the other side have arrived at the host of each of these phones."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Capture(call.phone.host, "eth0")) for call in calls]
        for wire, call in zip(wires, calls, strict=True):
            wire.wait_rtp(packets, destination=call.phone.address)


def converse(caller: Phone, called: Phone, packets: int = 25) -> None:
    """A whole call: it is answered, both are heard, the caller hangs up, and both phones have counted the audio."""
    out, incoming = connect(caller, called)
    hear(out, incoming, packets=packets)
    out.hangup()
    assert min(*out.counts(), *incoming.counts()) >= packets


def traces_of_calls(router: Namespace) -> list[str]:
    """Rules, set entries and flows of calls in the router's kernel."""
    state = router_state(router)
    return [
        *(rule for rule in state.rules if "sipmasq call " in rule),
        *(line for line in state.sets.splitlines() if re.match("add sipmasq-(in|any|out|to) ", line)),
        *re.findall(r'comment "(?:sipmasq )?call [^"]*"', state.nftables),
        *(flow for flow in conntrack(router, "-p", "udp") if _MEDIA_PORT.search(flow)),
    ]


def traces_of_phones(router: Namespace) -> list[str]:
    """Rules and set entries that stand for phones' SIP addresses."""
    state = router_state(router)
    return [
        *(rule for rule in state.rules if "sipmasq phone " in rule),
        *(line for line in state.sets.splitlines() if line.startswith("add sipmasq-sip ")),
    ]
