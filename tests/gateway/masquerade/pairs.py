"""A bijection written down by hand."""

from dataclasses import dataclass, field

from gateway.masquerade.translation import Place
from rules.model import Endpoint, Purpose

PUBLIC = "203.0.113.1"
ALICE = Endpoint("10.0.0.11", 5060)
CAROL = Endpoint("10.0.0.12", 5060)


@dataclass
class Row:
    inside: Endpoint
    port: int
    purpose: Purpose
    unported: set[Place] = field(default_factory=set)


@dataclass
class Table:
    """Alice has a pool port, Carol 5060; one stream each."""

    public: str | None = PUBLIC
    rows: list[Row] = field(
        default_factory=lambda: [
            Row(ALICE, 5062, Purpose.SIGNALLING),
            Row(CAROL, 5060, Purpose.SIGNALLING),
            Row(Endpoint("10.0.0.11", 16384), 20000, Purpose.RTP),
            Row(Endpoint("10.0.0.11", 16385), 20001, Purpose.RTCP),
            Row(Endpoint("10.0.0.12", 16384), 20002, Purpose.RTP),
            Row(Endpoint("10.0.0.11", 18000), 20004, Purpose.RTP),
            Row(Endpoint("10.0.0.11", 18007), 20005, Purpose.RTCP),
        ]
    )

    def of_inside(self, inside: Endpoint) -> Row | None:
        return next((row for row in self.rows if row.inside == inside), None)

    def of_port(self, port: int) -> Row | None:
        return next((row for row in self.rows if row.port == port), None)
