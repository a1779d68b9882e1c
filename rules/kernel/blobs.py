"""Rules as the bytes that libiptc takes, built by python-iptables.

Building one takes python-iptables 0.4 ms. The rules of forwards differ only in an address, ports and a
comment, so one of each shape is built, with stand-ins whose places in the bytes are then found and filled in.
"""

import socket
import struct
from dataclasses import dataclass, replace
from typing import Any

from rules import text
from rules.errors import KernelError, UnsupportedError
from rules.kernel.libraries import iptc
from rules.ruleset import Rule

_IP, _TO_IP = "201.83.119.7", "197.61.151.89"
_PORT, _TO_PORT = 47545, 52693
_COMMENT_SIZE = 256


@dataclass(frozen=True, slots=True)
class Blob:
    """A rule's bytes, and which of them count when one like it is looked for.

    They are given to python-iptables as they are: a buffer of ctypes that it casts would refer to itself.
    """

    entry: bytes
    mask: bytes


def build(rule: Rule) -> Blob:
    """The rule through python-iptables; the sets and chains it names must be there."""
    return _build(rule, text.mark(rule))


class Blobs:
    """Builds rules, those of forwards from a template of their shape."""

    def __init__(self) -> None:
        self._templates: dict[Rule, _Template] = {}

    def build(self, rule: Rule) -> Blob:
        """The rule's bytes; KernelError when iptables does not take it."""
        try:
            shape = _shape(rule)
            if shape is None:
                return build(rule)
            template = self._templates.get(shape)
            if template is None:
                template = self._templates[shape] = _Template(shape)
            return template.fill(rule)
        except ValueError as error:
            raise KernelError(f"rule {text.line(rule)}: refused by iptables: {error}") from error
        except (iptc.XTablesError, AttributeError) as error:
            raise UnsupportedError(
                f"rule {text.line(rule)}: {error}; is iptables installed with all its extensions?"
            ) from error


class _Template:
    """The bytes of a shape, and where the values of a rule go."""

    def __init__(self, shape: Rule) -> None:
        comment = "?" * (_COMMENT_SIZE - 1)
        blob = _build(shape, comment)
        self._entry, self._mask = blob.entry, blob.mask
        self._ip = self._places(socket.inet_aton(_IP), 1)
        self._port = self._places(struct.pack("=HH", _PORT, _PORT), 1)
        self._to_ip = self._places(socket.inet_aton(_TO_IP), 2)
        self._to_port = self._places(struct.pack(">HH", _TO_PORT, _TO_PORT), 1)
        self._comment = self._places(comment.encode(), 1)

    def fill(self, rule: Rule) -> Blob:
        """The rule's bytes."""
        entry = bytearray(self._entry)
        port = int(rule.sport or rule.dport or 0)
        ip, _, to_port = rule.options[0][1][0].partition(":")
        for places, value in (
            (self._ip, socket.inet_aton(rule.source or rule.destination or "")),
            (self._port, struct.pack("=HH", port, port)),
            (self._to_ip, socket.inet_aton(ip)),
            (self._to_port, struct.pack(">HH", int(to_port), int(to_port))),
            (self._comment, text.mark(rule).encode().ljust(_COMMENT_SIZE, b"\0")),
        ):
            for at in places:
                entry[at : at + len(value)] = value
        return Blob(bytes(entry), self._mask)

    def _places(self, value: bytes, count: int) -> list[int]:
        places = []
        at = self._entry.find(value)
        while at >= 0:
            places.append(at)
            at = self._entry.find(value, at + 1)
        if len(places) != count:
            raise UnsupportedError(
                f"this version of iptables lays out a rule in a way not known here ({len(places)} of {count})"
            )
        return places


def _shape(rule: Rule) -> Rule | None:
    """What rules of one template have in common; None for a rule that is built for itself."""
    to = (f"{_TO_IP}:{_TO_PORT}",)
    port = str(_PORT)
    if rule.target == "DNAT":
        options = (("to-destination", to),)
        return replace(rule, reason="", options=options, destination=_IP, dport=port)
    if rule.target == "SNAT":
        return replace(rule, reason="", options=(("to-source", to),), source=_IP, sport=port)
    return None


def _build(rule: Rule, comment: str) -> Blob:
    made = iptc.Rule()
    if rule.source:
        made.src = rule.source
    if rule.destination:
        made.dst = rule.destination
    if rule.incoming:
        made.in_interface = rule.incoming
    if rule.outgoing:
        made.out_interface = rule.outgoing
    if rule.udp:
        made.protocol = "udp"
    if rule.sport or rule.dport:
        ports = (("sport", rule.sport), ("dport", rule.dport))
        _set(made.create_match("udp"), tuple((name, (port,)) for name, port in ports if port))
    for match in rule.matches:
        _set(made.create_match(match.name), match.options)
    _set(made.create_match("comment"), (("comment", (comment,)),))
    _set(made.create_target(rule.target), rule.options)
    return Blob(bytes(made.rule), bytes(made.mask))


def _set(extension: Any, options: tuple[tuple[str, tuple[str, ...]], ...]) -> None:
    for name, values in options:
        negation = ["!"] if name.startswith("!") else []
        extension.set_parameter(name.removeprefix("!"), [*negation, *values])
    # some bytes are only set by this; the public final_check() first reads everything back through a redirected
    # standard output, which other threads may be writing to
    extension._final_check()
