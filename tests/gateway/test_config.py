"""A configuration is read whole or refused with what is wrong, where, and what is allowed."""

import json
import re
from pathlib import Path

import msgspec
import pytest

import gateway
from gateway import config
from gateway.config import (
    Bans,
    Config,
    Control,
    Host,
    Inside,
    Interface,
    Interfaces,
    Limits,
    Media,
    Outside,
    PortRange,
    Prefix,
    Rules,
    Sip,
    load,
)
from gateway.errors import ConfigError

MAX_EXPIRES = "whole seconds, 10 to 31536000 (a year), or 0: as granted"
EXAMPLE = Path(gateway.__file__).parent / "data" / "sipmasq.toml"
INTERFACES = 'inside.interface = "lan0"\noutside.interface = "wan0"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sipmasq.toml"


def refused(file: Path, text: str) -> str:
    """What is said of a configuration that names both interfaces unless `text` does."""
    missing = [line for line in INTERFACES.splitlines(keepends=True) if line.partition(".")[0] not in text]
    file.write_text("".join(missing) + text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{file}: ")


def test_the_interfaces_are_enough(file: Path) -> None:
    file.write_text(INTERFACES)
    read = load(file)
    assert read.inside.interface == ("lan0",)
    assert read.outside.interface == "wan0"
    assert (read.sip.ports, read.sip.public_ports, read.sip.queue) == ((5060,), (5062, 5999), 5060)
    assert (read.media.ports, read.media.source) == ((20000, 29999), "signalled")
    assert (read.media.silence, read.media.longest) == (300, 86400)
    assert (read.sip.on_failure, read.sip.idle, read.outside.host, read.outside.masquerade) == (
        "drop",
        3600,
        "",
        True,
    )
    assert (read.sip.callers, read.inside.media_hosts) == ("known", ())
    assert read.rules.backend == "auto"
    assert (read.control.socket, read.control.group) == (Path("/run/sipmasq/control.sock"), "")


def test_everything_can_be_said(file: Path) -> None:
    file.write_text("""
        control = { socket = "/srv/other.sock", group = "daemon" }
        [inside]
        interface = ["lan0", "lan1"]
        media_hosts = ["10.0.0.128/25", "10.0.0.9"]
        phones = ["10.0.0.64/26"]
        [outside]
        interface = "ppp0"
        host = "gw.example.org"
        masquerade = false
        [sip]
        ports = [5060, 5070]
        public_ports = "6000-6000"
        queue = 7
        any_port = false
        flood = 50
        flood_burst = 60
        flood_strangers = 70
        on_failure = "pass"
        idle = 60
        callers = ["198.51.100.0/24"]
        [bans]
        after = 10
        window = 30
        seconds = 600
        [limits]
        calls = 10
        ports = 20
        registrations = 5
        addresses = 4
        [media]
        ports = "40001-40004"
        source = "any"
        silence = 0.5
        longest = 7200
        [rules]
        backend = "nftables"
    """)
    assert load(file) == Config(
        Inside(
            Interfaces(("lan0", "lan1")), (Prefix("10.0.0.128/25"), Prefix("10.0.0.9")), (Prefix("10.0.0.64/26"),)
        ),
        Outside(Interface("ppp0"), Host("gw.example.org"), masquerade=False),
        Sip(
            (5060, 5070),
            any_port=False,
            public_ports=PortRange((6000, 6000)),
            queue=7,
            on_failure="pass",
            idle=60,
            flood=50,
            flood_burst=60,
            flood_strangers=70,
            callers=(Prefix("198.51.100.0/24"),),
        ),
        Media(PortRange((40001, 40004)), source="any", silence=0.5, longest=7200),
        Limits(calls=10, ports=20, registrations=5, addresses=4),
        Bans(after=10, window=30, seconds=600),
        Control(Path("/srv/other.sock"), group="daemon"),
        rules=Rules("nftables"),
    )


def test_the_example_shows_every_setting_with_its_default(file: Path) -> None:
    shown = re.sub(r"(?m)^#(\w+ = )", r"\1", EXAMPLE.read_text())
    file.write_text(shown)
    assert load(file) == load(None, inside=("lan0",), outside="wan0")
    said = [line.partition(" = ")[0] for line in shown.splitlines() if re.match(r"\w+ = ", line)]
    fields = [field for section in msgspec.structs.fields(Config) for field in msgspec.structs.fields(section.type)]
    assert said == [field.name for field in fields]


def test_a_group_that_is_not_there_is_said_to_who_runs_it_and_keeps_nobody_from_asking(file: Path) -> None:
    said = refused(file, 'control.group = "nobody-at-all"')
    assert said == 'control.group = "nobody-at-all": there is no such group: create it (groupadd), or name another'
    assert load(file, need_interfaces=False).control.group == "nobody-at-all"


def test_flags_win_over_the_file(file: Path) -> None:
    file.write_text(INTERFACES + 'media.source = "any"')
    read = load(file, inside=["lan1", "lan2"], outside="ppp0")
    assert (read.inside.interface, read.outside.interface) == (("lan1", "lan2"), "ppp0")
    assert read.media.source == "any"


def test_the_default_file_may_be_missing_and_a_named_one_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "DEFAULT_PATH", file)
    assert load(None, inside=["lan0"], outside="wan0").media.source == "signalled"
    with pytest.raises(ConfigError, match="there is no such file"):
        load(file)
    file.write_text('media.source = "any"')
    assert load(None, inside=["lan0"], outside="wan0").media.source == "any"


def test_commands_that_ask_a_running_gateway_need_no_interfaces(file: Path) -> None:
    file.write_text('control.socket = "/srv/s"')
    assert load(file, need_interfaces=False).control.socket == Path("/srv/s")


def test_missing_interfaces_are_said_with_the_flag_that_names_them(file: Path) -> None:
    file.write_text('outside.interface = "wan0"')
    with pytest.raises(ConfigError, match=r"inside\.interface is not set: .* --inside"):
        load(file)
    file.write_text('inside.interface = "lan0"')
    with pytest.raises(ConfigError, match=r"outside\.interface is not set: .* --outside"):
        load(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('media.source = "none"', 'media.source = "none": allowed is "signalled" or "any"'),
        ("sip.on_failure = true", 'sip.on_failure = true: allowed is "drop" or "pass"'),
        ('outside.masquerade = "yes"', 'outside.masquerade = "yes": allowed is true or false'),
        ("sip.ports = [5060, 0]", "sip.ports = [5060, 0]: allowed is a list of 1 to 15 UDP ports, 1 to 65535 each"),
        ("sip.ports = []", "sip.ports = []: allowed is a list of 1 to 15 UDP ports, 1 to 65535 each"),
        ("sip.ports = 5060", "sip.ports = 5060: allowed is a list of 1 to 15 UDP ports, 1 to 65535 each"),
        ("sip.queue = 65536", "sip.queue = 65536: allowed is a number of a packet queue, 0 to 65535"),
        ('control.socket = "s"', 'control.socket = "s": allowed is an absolute path of at most 107 bytes'),
        ("control.socket = 3", "control.socket = 3: allowed is an absolute path of at most 107 bytes"),
        ("sip.max_expires = 9", f"sip.max_expires = 9: allowed is {MAX_EXPIRES}"),
        ("sip.max_expires = -1", f"sip.max_expires = -1: allowed is {MAX_EXPIRES}"),
        ("sip.max_expires = 59.5", f"sip.max_expires = 59.5: allowed is {MAX_EXPIRES}"),
        ("media = 3", "media = 3: allowed is a table of settings: [media]"),
        ('inside = "lan0"', 'inside = "lan0": allowed is a table of settings: [inside]'),
    ],
)
def test_a_wrong_value_is_said_with_its_key_and_what_is_allowed(file: Path, text: str, said: str) -> None:
    assert refused(file, text) == said


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "31536001", '"60"', "true", "1979-05-27"])
@pytest.mark.parametrize("key", ["sip.idle", "media.silence", "media.longest"])
def test_durations_are_seconds(file: Path, key: str, value: str) -> None:
    said = refused(file, f"{key} = {value}")
    assert said.startswith(f"{key} = ")
    assert said.endswith(": allowed is a number of seconds, more than 0 and at most 31536000 (a year)")


@pytest.mark.parametrize(
    "value", ["1-2", "1023-2000", "2000-65536", "3000-2999", "3000", "3000-", "-3000", "3000 - 4000", "٣٠٠٠-٤٠٠٠", ""]
)
@pytest.mark.parametrize("key", ["sip.public_ports", "media.ports"])
def test_port_ranges_lie_within_what_phones_may_have(file: Path, key: str, value: str) -> None:
    said = refused(file, f'{key} = "{value}"')
    assert said.startswith(f'{key} = "{value}": allowed is "LOW-HIGH" within 1024-65535')


@pytest.mark.parametrize("value", ["20000-20000", "20001-20002"])
def test_media_ports_need_room_for_one_stream(file: Path, value: str) -> None:
    said = refused(file, f'media.ports = "{value}"')
    assert said.startswith(f'media.ports = "{value}": allowed is ')
    assert said.endswith("with at least one even port and its next")


def test_port_ranges_are_kept_apart(file: Path) -> None:
    said = refused(file, 'media.ports = "5900-6100"')
    assert said == 'media.ports = "5900-6100" overlaps sip.public_ports = "5062-5999": keep them apart'


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a b", "a/b", "a:b", "eth+", "sixteencharacter", "\\u0007", "\\u00e4" * 8]
)
def test_names_that_no_interface_can_have(file: Path, name: str) -> None:
    assert refused(file, f'outside.interface = "{name}"').startswith("outside.interface = ")
    assert refused(file, f'inside.interface = ["lan0", "{name}"]').startswith('inside.interface = ["lan0", ')


@pytest.mark.parametrize("value", ["[]", '["lan0", "lan0"]', "3", "[3]", '[["lan0"]]'])
def test_what_is_no_list_of_interfaces(file: Path, value: str) -> None:
    said = refused(file, f"inside.interface = {value}")
    assert said.startswith(f"inside.interface = {value}: allowed is the name of an interface, or a list")


def test_a_wrong_flag_is_not_blamed_on_the_file(file: Path) -> None:
    file.write_text(INTERFACES)
    with pytest.raises(ConfigError) as caught:
        load(file, inside=["lan 0"])
    assert str(caught.value).startswith('--inside: inside.interface = ["lan 0"]: allowed is ')
    with pytest.raises(ConfigError, match=r'^--outside: outside\.interface = "": allowed is '):
        load(file, outside="")


def test_inside_is_not_outside(file: Path) -> None:
    said = refused(file, 'inside.interface = ["lan0", "wan0"]')
    assert said == 'inside.interface and outside.interface are both "wan0": name two different ones'


@pytest.mark.parametrize("host", ["203.0.113.5", "gw.example.org", "gw.example.org.", "gw", "_x.a-b.example", ""])
def test_hosts_that_can_be_announced(file: Path, host: str) -> None:
    file.write_text(f'{INTERFACES}outside.host = "{host}"')
    assert load(file).outside.host == host


@pytest.mark.parametrize(
    "host",
    ["300.1.1.1", "1.2.3", "0.0.0.0", "127.0.0.1", "224.0.0.1", "a..b", "-a.example", "a b", "a" * 64, "::1", "."],
)
def test_hosts_that_cannot(file: Path, host: str) -> None:
    said = refused(file, f'outside.host = "{host}"')
    assert (
        said == f'outside.host = "{host}": allowed is an IPv4 address or a DNS name, or empty: the interface\'s own'
    )


PREFIXES = 'IPv4 addresses, or networks by their first address: ["198.51.100.0/24", "203.0.113.7"]'


@pytest.mark.parametrize(
    "value",
    [
        "10.0.0.9/24",
        "10.0.0.0/33",
        "10.0.0",
        "300.1.1.1",
        "10.0.0.0/255.0.0.0",
        "::1",
        "010.0.0.1",
        "gw",
        "",
        "٣.1.1.1",
    ],
)
def test_networks_that_are_none(file: Path, value: str) -> None:
    said = refused(file, f'inside.media_hosts = ["{value}"]')
    assert said.startswith("inside.media_hosts = [")
    assert said.endswith(f"]: allowed is a list of at most 64 {PREFIXES}")


@pytest.mark.parametrize("value", ['"all"', "[]", "[3]", "true", '["10.0.0.9/24"]', '"198.51.100.0/24"'])
def test_callers_are_a_policy_or_networks(file: Path, value: str) -> None:
    said = refused(file, f"sip.callers = {value}")
    assert said == f'sip.callers = {value}: allowed is "registrar", "known", "any" or a list of 1 to 256 {PREFIXES}'


@pytest.mark.parametrize(("key", "most"), [("inside.media_hosts", 64), ("sip.callers", 256)])
def test_lists_of_networks_have_an_end(file: Path, key: str, most: int) -> None:
    listed = [f"10.0.{number // 256}.{number % 256}" for number in range(most)]
    file.write_text(f"{INTERFACES}{key} = {json.dumps(listed)}")
    section, name = key.split(".")
    assert getattr(getattr(load(file), section), name) == tuple(listed)
    assert refused(file, f"{key} = {json.dumps([*listed, '10.9.9.9'])}").startswith(f"{key} = ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('media.port = "1-2"', "there is no setting media.port; is media.ports meant?"),
        ('[medai]\nsource = "any"', "there is no setting medai.source; is media.source meant?"),
        ("colour = 3", "there is no setting colour"),
        ("sip.colour = {a = 3}", "there is no setting sip.colour"),
        ("rtp = {}", "there is no setting rtp"),
        ('media."`a` - at" = 3', "there is no setting media.`a` - at"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_one(file: Path, text: str, said: str) -> None:
    assert refused(file, text) == said


def test_what_is_not_toml_is_said_with_its_line(file: Path) -> None:
    assert re.match(r"is not TOML: .* \(at line 4, column 7\)", refused(file, "\nsip = = 3"))
    file.write_bytes(b"media.source = '\xff'")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(file)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_configuration_cannot_be_changed() -> None:
    read = load(None, inside=["lan0"], outside="wan0")
    with pytest.raises(AttributeError):
        read.media.source = "any"  # type: ignore[misc]  # that is the point
