"""The operator's configuration: a TOML file, read once into frozen values; what is wrong is said with its key.

The description of each setting is what an error calls allowed.
"""

import difflib
import grp
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, get_type_hints

import msgspec
from msgspec import Meta

from gateway.errors import ConfigError

DEFAULT_PATH = Path("/etc/sipmasq.toml")

_LONGEST_INTERFACE_NAME = 15  # IFNAMSIZ, <linux/if.h>
_LONGEST_SOCKET_PATH = 107  # sun_path, unix(7)
_LEAST_MAX_EXPIRES = 10  # seconds: a shorter one would have phones register all the time
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_ADDRESS_OR_NETWORK = re.compile(r"[0-9.]+(/[0-9]{1,2})?", re.ASCII)
_PORT_RANGE = re.compile(r"([0-9]{4,5})-([0-9]{4,5})")
_KEY_IN_ERROR = re.compile(r"`\$\.([a-z_.]+)[^`]*`$")


class Interface(str):
    """The name of a network interface, empty for none."""

    __slots__ = ()


class Interfaces(tuple[str, ...]):
    """Names of interfaces; the file may say one as a plain string."""


class Host(str):
    """An IPv4 address or a DNS name, empty for none."""

    __slots__ = ()


class PortRange(tuple[int, int]):
    """First and last port; the file says ``"20000-29999"``."""


class Prefix(str):
    """An IPv4 network, ``198.51.100.0/24``, or a single address."""

    __slots__ = ()


_Port = Annotated[int, Meta(ge=1, le=65535)]
_Seconds = Annotated[
    float, Meta(gt=0, le=31_536_000, description="a number of seconds, more than 0 and at most 31536000 (a year)")
]
_Count = Annotated[int, Meta(ge=1, le=65535, description="a number, 1 to 65535")]
_Rate = Annotated[int, Meta(ge=1, le=100_000, description="a number of datagrams, 1 to 100000")]
_PREFIXES = 'IPv4 addresses, or networks by their first address: ["198.51.100.0/24", "203.0.113.7"]'
_NAME = "1 to 15 characters without space, '/', ':' and final '+'"


class Inside(msgspec.Struct, frozen=True):
    """Where the phones are, which hosts are phones, and whose addresses there each of them may announce."""

    interface: Annotated[
        Interfaces, Meta(description=f"the name of an interface, or a list of different ones; {_NAME}")
    ] = Interfaces()
    media_hosts: Annotated[
        tuple[Prefix, ...], Meta(max_length=64, description=f"a list of at most 64 {_PREFIXES}")
    ] = ()
    phones: Annotated[
        Literal["all"] | Annotated[tuple[Prefix, ...], Meta(min_length=1, max_length=256)],
        Meta(description=f'"all" or a list of 1 to 256 {_PREFIXES}'),
    ] = "all"


class Outside(msgspec.Struct, frozen=True):
    """Where the providers are; `host` is what the world knows a router behind another NAT by."""

    interface: Annotated[Interface, Meta(description=f"the name of an interface; {_NAME}")] = Interface()
    host: Annotated[Host, Meta(description="an IPv4 address or a DNS name, or empty: the interface's own")] = Host()
    masquerade: Annotated[bool, Meta(description="true or false")] = True


class Sip(msgspec.Struct, frozen=True):
    """What is taken for SIP and from whom, the ports that stand for phones, and the packet queue it goes through."""

    ports: Annotated[
        tuple[_Port, ...],
        Meta(min_length=1, max_length=15, description="a list of 1 to 15 UDP ports, 1 to 65535 each"),
    ] = (5060,)
    any_port: Annotated[bool, Meta(description="true or false")] = True
    public_ports: Annotated[PortRange, Meta(description='"LOW-HIGH" within 1024-65535')] = PortRange((5062, 5999))
    queue: Annotated[int, Meta(ge=0, le=65535, description="a number of a packet queue, 0 to 65535")] = 5060
    on_failure: Annotated[Literal["drop", "pass"], Meta(description='"drop" or "pass"')] = "drop"
    idle: _Seconds = 3600.0
    max_expires: Annotated[
        int, Meta(ge=0, le=31_536_000, description="whole seconds, 10 to 31536000 (a year), or 0: as granted")
    ] = 60
    flood: _Rate = 1000
    flood_burst: _Rate = 2000
    flood_strangers: _Rate = 2000
    callers: Annotated[
        Literal["registrar", "known", "any"] | Annotated[tuple[Prefix, ...], Meta(min_length=1, max_length=256)],
        Meta(description=f'"registrar", "known", "any" or a list of 1 to 256 {_PREFIXES}'),
    ] = "known"


class Media(msgspec.Struct, frozen=True):
    """The ports that calls get, who may send to them, how long a call may be silent, and how long it may last."""

    ports: Annotated[
        PortRange, Meta(description='"LOW-HIGH" within 1024-65535, with at least one even port and its next')
    ] = PortRange((20000, 29999))
    source: Annotated[Literal["signalled", "any"], Meta(description='"signalled" or "any"')] = "signalled"
    silence: _Seconds = 300.0
    longest: _Seconds = 86400.0


class Bans(msgspec.Struct, frozen=True):
    """After how many dropped messages within how many seconds an outside address is not listened to, for how long."""

    after: Annotated[int, Meta(ge=0, le=1000, description="a number of messages, at most 1000, or 0: never")] = 0
    window: _Seconds = 60.0
    seconds: Annotated[
        float, Meta(ge=1, le=2_000_000, description="a number of seconds, 1 to 2000000 (three weeks)")
    ] = 3600.0


class Rules(msgspec.Struct, frozen=True):
    """What keeps the rules in the kernel."""

    backend: Annotated[
        Literal["auto", "iptables", "nftables"], Meta(description='"auto", "iptables" or "nftables"')
    ] = "auto"


class Control(msgspec.Struct, frozen=True):
    """Where the running gateway answers the other commands, and which group beside root may give them."""

    socket: Annotated[Path, Meta(description="an absolute path of at most 107 bytes")] = Path(
        "/run/sipmasq/control.sock"
    )
    group: Annotated[str, Meta(description="the name of a group of users, or empty: root alone")] = ""


class Limits(msgspec.Struct, frozen=True):
    """How much one phone may take: what is asked for beyond that gets a 503."""

    calls: _Count = 2000
    ports: _Count = 4000
    registrations: _Count = 2000
    addresses: _Count = 64


class State(msgspec.Struct, frozen=True):
    """Where it is written what outlives the process, and what becomes of calls when the gateway is stopped."""

    path: Annotated[Path, Meta(description="an absolute path of at most 107 bytes")] = Path(
        "/var/lib/sipmasq/state.db"
    )
    on_stop: Annotated[Literal["remove", "keep"], Meta(description='"remove" or "keep"')] = "remove"


class Config(msgspec.Struct, frozen=True):
    """Everything the operator decides."""

    inside: Inside = Inside()
    outside: Outside = Outside()
    sip: Sip = Sip()
    media: Media = Media()
    limits: Limits = Limits()
    bans: Bans = Bans()
    control: Control = Control()
    state: State = State()
    rules: Rules = Rules()


def load(
    path: Path | None,
    *,
    inside: Sequence[str] = (),
    outside: str | None = None,
    need_interfaces: bool = True,
) -> Config:
    """The configuration in a file, with the flags of a command line in place of what it says of the interfaces.

    Without a path the default one is read if it is there. ConfigError says what is wrong, where, and what is allowed.
    """
    where = path or DEFAULT_PATH
    document = _read(where, needed=path is not None)
    said_by_flag = {}
    if inside:
        _overrule(document, "inside", list(inside))
        said_by_flag["inside.interface"] = "--inside"
    if outside is not None:
        _overrule(document, "outside", outside)
        said_by_flag["outside.interface"] = "--outside"
    for problem in _unknown(document):
        raise ConfigError(f"{where}: {problem}")
    try:
        config = msgspec.convert(document, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        key = _key(error)
        raise ConfigError(f"{said_by_flag.get(key, where)}: {_not_allowed(key, document)}") from error
    for problem in _contradictions(config, need_interfaces=need_interfaces):
        raise ConfigError(f"{where}: {problem}")
    return config


def _read(path: Path, *, needed: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if not needed:
            return {}
        raise ConfigError(f"{path}: there is no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _overrule(document: dict[str, Any], section: str, interface: object) -> None:
    table = document.setdefault(section, {})
    if isinstance(table, dict):  # what else it is will be refused
        table["interface"] = interface


def _decode(kind: type, value: object) -> object:
    """What the file says of a type that TOML has not; ValueError if that is wrong."""
    if kind is Interfaces:
        return _interfaces([value] if isinstance(value, str) else value)
    if kind is Interface and _is_interface(value):
        return Interface(value)
    if kind is Host and isinstance(value, str):
        return _host(value)
    if kind is PortRange and isinstance(value, str):
        return _port_range(value)
    if kind is Path and isinstance(value, str):
        return _path(value)
    if kind is Prefix and isinstance(value, str):
        return _prefix(value)
    raise ValueError("of a wrong type")


def _interfaces(names: object) -> Interfaces:
    if not isinstance(names, list) or not names or not all(_is_interface(name) for name in names):
        raise ValueError("not names of interfaces")
    if len(set(names)) < len(names):
        raise ValueError("an interface is named twice")
    return Interfaces(names)


def _is_interface(name: object) -> TypeGuard[str]:
    return (
        isinstance(name, str)
        and 1 <= len(name.encode()) <= _LONGEST_INTERFACE_NAME
        and name not in (".", "..")
        and name.isprintable()
        and not set(name) & set(" /:")
        and not name.endswith("+")  # to iptables that means every name that begins so
    )


def _host(value: str) -> Host:
    labels = value.removesuffix(".").split(".")
    if labels[-1].isdigit():
        try:
            address = IPv4Address(value)
        except AddressValueError as error:
            raise ValueError("not an IPv4 address") from error
        if address.is_multicast or address.is_unspecified or address.is_loopback:
            raise ValueError("not an address that others can send to")
    elif value and (len(value) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in labels)):
        raise ValueError("not a DNS name")
    return Host(value)


def _prefix(value: str) -> Prefix:
    if not _ADDRESS_OR_NETWORK.fullmatch(value):
        raise ValueError("not a network as it is usually written")
    IPv4Network(value)
    return Prefix(value)


def _port_range(value: str) -> PortRange:
    match = _PORT_RANGE.fullmatch(value)
    if match is None or not 1024 <= int(match[1]) <= int(match[2]) <= 65535:
        raise ValueError("not a range of ports")
    return PortRange((int(match[1]), int(match[2])))


def _path(value: str) -> Path:
    if not value.startswith("/") or "\0" in value or len(value.encode()) > _LONGEST_SOCKET_PATH:
        raise ValueError("not a path that is allowed")
    return Path(value)


def _unknown(document: Mapping[str, Any]) -> Iterator[str]:
    known = list(_settings())
    sections = {name.partition(".")[0] for name in known}
    for section, table in document.items():
        names = [f"{section}.{key}" for key in table] if isinstance(table, dict) else []
        if section not in sections:
            names = names or [section]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
                yield f"there is no setting {name}" + (f"; is {near[0]} meant?" if near else "")


def _contradictions(config: Config, *, need_interfaces: bool) -> Iterator[str]:
    """What is wrong although each setting for itself is of the right kind."""
    inside, outside = config.inside.interface, config.outside.interface
    if need_interfaces and not inside:
        yield "inside.interface is not set: name the interface with the phones there, or with --inside"
    if need_interfaces and not outside:
        yield "outside.interface is not set: name the interface to the provider there, or with --outside"
    if outside in inside:
        yield f'inside.interface and outside.interface are both "{outside}": name two different ones'
    group = config.control.group
    if need_interfaces and group and not _is_group(group):
        yield f"control.group = {json.dumps(group)}: there is no such group: create it (groupadd), or name another"
    if 0 < config.sip.max_expires < _LEAST_MAX_EXPIRES:
        yield f"sip.max_expires = {config.sip.max_expires}: allowed is {_allowed('sip.max_expires')}"
    sip, media = config.sip.public_ports, config.media.ports
    if media[0] + media[0] % 2 >= media[1]:
        yield f"media.ports = {_text(media)}: allowed is {_allowed('media.ports')}"
    if sip[0] <= media[1] and media[0] <= sip[1]:
        yield f"media.ports = {_text(media)} overlaps sip.public_ports = {_text(sip)}: keep them apart"


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except (KeyError, ValueError):  # ValueError: a name with a zero byte
        return False
    return True


def _text(ports: tuple[int, int]) -> str:
    return f'"{ports[0]}-{ports[1]}"'


def _key(error: msgspec.ValidationError) -> str:
    found = _KEY_IN_ERROR.search(str(error))
    return found[1] if found else ""


def _not_allowed(key: str, document: Mapping[str, Any]) -> str:
    value: Any = document
    for part in key.split("."):
        value = value[part]
    return f"{key} = {json.dumps(value, default=str, ensure_ascii=False)}: allowed is {_allowed(key)}"


def _allowed(key: str) -> str:
    section, _, name = key.partition(".")
    if not name:
        return f"a table of settings: [{section}]"
    hint = get_type_hints(get_type_hints(Config)[section], include_extras=True)[name]
    return next(str(meta.description) for meta in hint.__metadata__ if meta.description)


def _settings() -> Iterator[str]:
    for section, kind in get_type_hints(Config).items():
        yield from (f"{section}.{name}" for name in get_type_hints(kind))
