"""The command line: `sipmasq run`, and what an operator asks of a gateway and of the machine it runs on.

What a daemon needs is imported by the commands that need it, so that asking a running one is quick.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import config as configuration
from gateway.cli import views
from gateway.cli.client import ask
from gateway.cli.logs import LogFormat, LogLevel, start_logging
from gateway.cli.table import Page, printable, show
from gateway.errors import ConfigError, NotRunningError
from gateway.version import version
from rules.errors import NotPermittedError, SipmasqError

_EXIT_CODES: tuple[tuple[type[SipmasqError], int], ...] = (
    (NotRunningError, 3),
    (NotPermittedError, 4),
    (ConfigError, 78),  # EX_CONFIG, <sysexits.h>
    (SipmasqError, 1),
)

app = typer.Typer(
    help="SIP through a masquerading router.",
    epilog="Exit codes: 0 fine, 1 failure, 2 usage, 3 not running, 4 not permitted, 78 bad configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help=f"The configuration in place of {configuration.DEFAULT_PATH}."),
]
InsideOption = Annotated[
    list[str] | None,
    typer.Option("--inside", metavar="INTERFACE", help="The interface with the phones; may be given several times."),
]
OutsideOption = Annotated[
    str | None, typer.Option("--outside", metavar="INTERFACE", help="The interface towards the provider.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line and exit; what goes wrong is one line on stderr and a code."""
    try:
        app(prog_name="sipmasq")
    except SipmasqError as error:
        typer.echo(f"sipmasq: {printable(str(error))}", err=True)
        sys.exit(next(code for kind, code in _EXIT_CODES if isinstance(error, kind)))


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sipmasq {version()}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Carry the option that stands before any command."""


@app.command()
def run(
    config: ConfigOption = None,
    inside: InsideOption = None,
    outside: OutsideOption = None,
    log_level: Annotated[LogLevel, typer.Option(help="The least important lines to log.")] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat, typer.Option(help="Lines to read, or an object of JSON in each.")
    ] = LogFormat.TEXT,
) -> None:
    """Run the gateway in the foreground.

    SIGTERM and SIGINT end it, SIGHUP has it read its configuration again.
    """
    from gateway import daemon  # noqa: PLC0415  # see above

    start_logging(log_level, log_format)
    daemon.run(lambda: configuration.load(config, inside=inside or (), outside=outside))


@app.command()
def check(
    config: ConfigOption = None,
    inside: InsideOption = None,
    outside: OutsideOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check configuration and machine.

    Each finding says what to do. Exit code 1 if calls cannot work here.
    """
    from gateway.cli import machine  # noqa: PLC0415  # see above

    findings = machine.look(configuration.load(config, inside=inside or (), outside=outside))
    _print(findings, views.findings, as_json=as_json)
    if any(finding["severity"] == "error" for finding in findings):
        raise typer.Exit(1)


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show how the gateway is doing."""
    _ask_and_print("status", views.status, config, as_json=as_json)


@app.command()
def calls(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the calls and their media ports."""
    _ask_and_print("calls", views.calls, config, as_json=as_json)


@app.command()
def bindings(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show which public port is which phone's.

    Who holds it and why, since when, until when, and how many packets went through it each way.
    """
    _ask_and_print("bindings", views.bindings, config, as_json=as_json)


@app.command()
def rules(
    config: ConfigOption = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show how what the kernel holds differs from what is wanted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the rules and what each is for.

    Rules and set entries in the kernel, each with the calls or registrations it stands for.
    """
    if diff:
        _ask_and_print("differences", views.differences, config, as_json=as_json)
    else:
        _ask_and_print("rules", views.rules, config, as_json=as_json)


@app.command()
def bans(
    config: ConfigOption = None,
    lift: Annotated[
        str | None, typer.Option("--lift", metavar="ADDRESS", help="End the ban of this address first.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which addresses outside are banned, until when and why."""
    _ask_and_print("bans" if lift is None else f"lift {lift}", views.bans, config, as_json=as_json)


@app.command()
def clean(
    config: ConfigOption = None,
    if_stopped: Annotated[
        bool, typer.Option("--if-stopped", help="Remove nothing where a gateway is running.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove all rules, chains and sets of sipmasq.

    They are found by their marks alone, whether a gateway is running or not. Where none is, calls are forgotten, too.
    """
    from gateway.cli import machine  # noqa: PLC0415  # see above

    def load() -> configuration.Config:
        return configuration.load(config, need_interfaces=False)

    _print(machine.clean(load, if_stopped=if_stopped), views.cleaned, as_json=as_json)


def _ask_and_print(command: str, view: Callable[[Any], Page], config: Path | None, *, as_json: bool) -> None:
    settings = configuration.load(config, need_interfaces=False)
    _print(ask(settings.control.socket, command), view, as_json=as_json)


def _print(answer: object, view: Callable[[Any], Page], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    else:
        show(view(answer))
