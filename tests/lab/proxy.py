"""A SIP proxy that passes a message on whenever the test says so, and stays in the way (RFC 3261 section 16)."""

import itertools

from rules.model import Endpoint
from tests.lab.agent import Agent, Message

_branches = itertools.count(1)


class Proxy:
    """Passes on what arrives at its agent's address; what descriptions say is not its business."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def pass_request(self, to: Endpoint) -> None:
        """Send the request that has come, or will, to the next host."""
        asked = self._next()
        start, _, rest = asked.text.partition("\r\n")
        # where the answer must go, for the sender may be behind a NAT (RFC 3581)
        rest = rest.replace(";rport\r\n", f";received={asked.source.ip};rport={asked.source.port}\r\n", 1)
        added = [f"Via: SIP/2.0/UDP {self._agent.address};branch=z9hG4bKproxy{next(_branches)};rport"]
        if start.startswith("INVITE"):
            added.append(f"Record-Route: <sip:{self._agent.address};lr>")
        self._agent.send("\r\n".join((start, *added, rest)).encode(), to)

    def pass_response(self) -> None:
        """Send the response that has come, or will, back the way of its request."""
        answer = self._next()
        own, before = answer.headers("Via")
        assert str(self._agent.address) in own, "the answer to a request of somebody else"
        parameters = dict(part.partition("=")[::2] for part in before.split(";")[1:])
        to = Endpoint(parameters["received"], int(parameters["rport"]))
        self._agent.send(answer.text.replace(f"Via: {own}\r\n", "", 1).encode(), to)

    def _next(self) -> Message:
        payload, source = self._agent.receive()
        return Message(payload.decode(), source)
