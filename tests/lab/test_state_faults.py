"""The file of the state can not be written, or is not there: calls go on, it is said, and all is kept again after."""

import subprocess

import pytest

from tests.lab.agent import connect, hang_up
from tests.lab.conftest import LabMaker
from tests.lab.lab import Lab
from tests.lab.sdp import audio
from tests.lab.talk import traces_of_calls
from tests.support.until import until

pytestmark = [pytest.mark.root, pytest.mark.lab]

READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
TINY = 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$@"'


class Scene:
    """A gateway whose state is in a directory of its own, and two who talk."""

    def __init__(self, lab: Lab, prefix: tuple[str, ...] = ()) -> None:
        self.lab = lab
        self.state = lab.directory / "state"
        self.state.mkdir()
        self.settings = {"state.path": str(self.state / "state.db")}
        self.gateway = lab.gateway(self.settings, prefix=self.mounted(prefix[0]) if prefix else ())
        self.home = lab.agent(lab.net.phones[0], lab.net.phone_address(0))
        self.far = lab.agent(lab.net.far[0], lab.net.far_address(0))
        self.mine = lab.rtp(lab.net.phones[0], self.home.address.ip, 16384)
        self.theirs = lab.rtp(lab.net.far[0], self.far.address.ip, 40000)

    def mounted(self, how: str) -> tuple[str, ...]:
        """The prefix of a command that sees the state's directory so."""
        return "unshare", "--mount", "sh", "-c", how, str(self.state)

    def talk(self) -> None:
        connect(self.home, self.far, self.far.address, audio(self.mine.address), audio(self.theirs.address))

    def hang_up(self) -> None:
        hang_up(self.home, self.far)
        until("no trace of the call", lambda: not traces_of_calls(self.lab.net.router))


def test_a_state_that_can_only_be_read_is_known_again(make_lab: LabMaker) -> None:
    scene = Scene(make_lab())
    scene.talk()
    before = traces_of_calls(scene.lab.net.router)
    scene.gateway.kill()
    scene.gateway = scene.lab.gateway(scene.settings, prefix=scene.mounted(READ_ONLY))
    scene.gateway.wait_log("the state is not kept, a restart would end the calls: .*state.db: Read-only file system")
    assert len(scene.gateway.ask("calls")) == 1
    assert traces_of_calls(scene.lab.net.router) == before
    scene.hang_up()


def test_the_calls_outlive_a_state_that_is_gone(make_lab: LabMaker) -> None:
    scene = Scene(make_lab())
    scene.talk()
    before = traces_of_calls(scene.lab.net.router)
    scene.gateway.kill()
    for each in scene.state.iterdir():
        each.unlink()
    scene.gateway = scene.lab.gateway(scene.settings)
    scene.gateway.wait_log("only what their rules say is known of 3 ports")
    assert traces_of_calls(scene.lab.net.router) == before
    scene.hang_up()


def test_a_full_disk_refuses_no_call_and_all_is_kept_when_there_is_room(make_lab: LabMaker) -> None:
    scene = Scene(make_lab(), prefix=(TINY,))
    within = ("nsenter", "--mount", "--target", str(scene.gateway.process.pid))
    subprocess.run([*within, "sh", "-c", f"cat /dev/zero > {scene.state}/filler"], check=False, capture_output=True)
    scene.talk()
    scene.gateway.wait_log("the state is not kept, a restart would end the calls: .*full")
    assert len(scene.gateway.ask("calls")) == 1
    subprocess.run([*within, "rm", f"{scene.state}/filler"], check=True)
    scene.gateway.wait_log("the state can be kept again", timeout=15)
    scene.hang_up()
