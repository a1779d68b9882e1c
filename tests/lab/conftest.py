"""The lab as fixtures; its logs stay in pytest's temporary directory."""

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import lab as labs

_PROGRAMS = {
    "kamailio": "kamailio",
    "baresip": "baresip-core",
    "sipp": "sip-tester",
    "nft": "nftables",
    "iptables-legacy": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
}

LabMaker = Callable[..., labs.Lab]


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs the Debian packages {' '.join(missing)}: run 'sudo make setup-lab'")


@pytest.fixture(params=["iptables", "nftables"])
def each_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A story with the rules in both, one after the other; which one it is."""
    monkeypatch.setattr(labs.Lab, "backend", request.param)
    return str(request.param)


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[LabMaker]:
    """`make_lab(phones=2, far=1)`; taken down when the test ends."""
    numbers = itertools.count(1)

    def make(**hosts: int) -> labs.Lab:
        directory = tmp_path / f"lab{next(numbers)}"
        directory.mkdir()
        return stack.enter_context(labs.lab(**hosts, directory=directory))

    with contextlib.ExitStack() as stack:
        yield make


@pytest.fixture
def lab(make_lab: LabMaker) -> labs.Lab:
    """One phone on each side."""
    return make_lab()
