"""Answers as people read them; the answers themselves are made in gateway.daemon.report."""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.cli.table import Page, Table

Answer = Mapping[str, Any]

_CALLERS = {
    "registrar": "where a phone is registered",
    "known": "where a phone is registered, and whom it knows",
    "any": "everybody",
}
_MASQUERADE = {"ours": "by a rule of sipmasq's", "others": "by rules that were there already", "off": "off"}


def status(answer: Answer) -> Page:
    """The gateway as a whole."""
    outside, free, queue = answer["outside"], answer["free"], answer["queue"]
    lost = queue["dropped_full"] + queue["dropped_undelivered"]
    rows = [
        ("inside", "; ".join(_interface(interface) for interface in answer["inside"])),
        ("networks", ", ".join(answer["networks"]) or "none yet"),
        ("outside", _interface(outside)),
        ("announced", _announced(answer)),
        ("masquerade", _MASQUERADE[answer["masquerade"]]),
        ("calls", str(answer["calls"])),
        ("registrations", str(answer["registrations"])),
        ("callers", callers(answer["callers"])),
        *((f"registrar {each['domain']}", _each(each["addresses"])) for each in answer["registrars"]),
        ("bindings", f"{answer['bindings']}; {_each(f'{count} ports free of {key}' for key, count in free.items())}"),
        ("rules", f"{answer['rules']} and {answer['set_entries']} set entries"),
        ("last change", f"took {answer['commit_seconds'] * 1000:.1f} ms"),
        ("state", answer["state"]),
        ("packet queue", f"{queue['received']} taken, {queue['rewritten']} rewritten, {queue['waiting']} waiting"),
        ("packets lost", f"{lost} before they were read, {queue['dropped']} dropped"),
        ("floods", f"{answer['flooded']} packets dropped before the queue"),
        *((name, str(count)) for name, count in answer["counters"].items()),
    ]
    return [f"sipmasq {answer['version']}, up for {duration(answer['uptime'])}", Table((), rows)]


def calls(answer: Iterable[Answer]) -> Page:
    """One row for each public port of each call."""
    headings = ("CALL", "WAY", "PHONE", "PEER", "STATE", "TIME", "PUBLIC", "INSIDE", "USE", "SOURCES", "IN", "OUT")
    rows: list[tuple[str, ...]] = []
    for call in answer:
        state = f"{call['state']}, on hold" if call["on_hold"] else call["state"]
        way = "out" if call["direction"] == "outgoing" else "in"
        about: tuple[str, ...] = (call["label"], way, call["phone"], call["peer"], state, duration(call["seconds"]))
        for media in call["media"] or (None,):
            rows.append((*about, *(_address(media) if media else ("-",) * 6)))
            about = ("",) * len(about)
    return [Table(headings, rows, frozenset({"TIME", "IN", "OUT"}))] if rows else ["no calls"]


def bindings(answer: Iterable[Answer]) -> Page:
    """One row for each public port."""
    headings = ("PUBLIC", "INSIDE", "USE", "SOURCES", "IN", "OUT", "SINCE", "EXPIRES", "HELD BY")
    rows = [
        (
            *_address(binding),
            duration(binding["seconds"]),
            "-" if binding["expires_in"] is None else duration(binding["expires_in"]),
            _each(binding["held_by"]),
        )
        for binding in answer
    ]
    return [Table(headings, rows, frozenset({"IN", "OUT", "SINCE", "EXPIRES"}))] if rows else ["no bindings"]


def bans(answer: Iterable[Answer]) -> Page:
    """One row for each banned address."""
    rows = [
        (each["address"], duration(each["seconds"]), duration(each["expires_in"]), each["why"]) for each in answer
    ]
    return (
        [Table(("ADDRESS", "SINCE", "EXPIRES", "DROPPED"), rows, frozenset({"SINCE", "EXPIRES"}))]
        if rows
        else ["nobody is banned"]
    )


def rules(answer: Iterable[Answer]) -> Page:
    """One row for each rule and set entry."""
    rows = [(rule["table"], rule["chain"], _each(rule["for"]) or rule["reason"], rule["rule"]) for rule in answer]
    return [Table(("TABLE", "CHAIN", "FOR", "RULE"), rows)] if rows else ["no rules"]


def differences(answer: Iterable[Answer]) -> Page:
    """One row for each thing that is not as wanted."""
    rows = [(each["difference"], each["table"], each["chain"], each["what"], each["rule"]) for each in answer]
    headings = ("DIFFERENCE", "TABLE", "CHAIN", "WHAT", "RULE")
    return [Table(headings, rows)] if rows else ["no difference: the kernel holds what is wanted"]


def findings(answer: Iterable[Answer]) -> Page:
    """One row for each finding, and the verdict."""
    rows = [(found["severity"], found["subject"], found["what"], found["advice"]) for found in answer]
    errors = sum(severity == "error" for severity, *_ in rows)
    warnings = sum(severity == "warning" for severity, *_ in rows)
    verdict = "calls cannot work here before the errors are mended" if errors else "the gateway can run here"
    return [
        Table(("", "SUBJECT", "FINDING", "WHAT TO DO"), rows),
        f"{_counted(errors, 'error')}, {_counted(warnings, 'warning')}: {verdict}",
    ]


def cleaned(answer: Answer) -> Page:
    """What was taken away, and what the running gateway will do about it."""
    if answer["skipped"]:
        why = "a gateway is running" if answer["running"] else "the next gateway is to find the rules"
        return [f"{why}: nothing was removed"]
    page = [f"removed {what}" for what in answer["removed"]] or ["there was nothing of sipmasq's to remove"]
    if answer["forwarding_turned_off"]:
        page.append("turned IPv4 forwarding off, as it was before")
    if answer["running"]:
        page.append("a gateway is running and will make its rules again: end it first to be rid of them")
    return page


def duration(seconds: float) -> str:
    """The way clocks show it: ``3:07``, ``1:00:00``, ``2 d 1:00:00``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour}:{minute:02}:{second:02}"
    return f"{hour}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def callers(policy: str | Iterable[str]) -> str:
    """Whose requests reach a phone, as `sip.callers` has it."""
    if isinstance(policy, str):
        return f"{policy}: {_CALLERS[policy]}"
    return f"{_each(policy)}, and {_CALLERS['registrar']}"


def _interface(interface: Answer) -> str:
    if not interface["exists"]:
        return f"{interface['name']} does not exist"
    state = "up" if interface["up"] else "down"
    return f"{interface['name']} is {state}, {', '.join(interface['addresses']) or 'without address'}"


def _announced(answer: Answer) -> str:
    if answer["announced"] is None:
        return "no address yet: nothing is translated"
    if answer["host"]:
        return f"{answer['announced']}, from outside.host {answer['host']}"
    return str(answer["announced"])


def _address(binding: Answer) -> tuple[str, ...]:
    sources = binding["sources"]
    return (
        binding["public"],
        binding["inside"],
        binding["purpose"],
        "any" if sources is None else ", ".join(sources) or "nobody yet",
        _count(binding["packets_in"]),
        _count(binding["packets_out"]),
    )


def _count(packets: int | None) -> str:
    return "-" if packets is None else str(packets)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _each(texts: Iterable[str]) -> str:
    return ", ".join(texts)
