"""Written down, then released: a gateway that is killed knows afterwards of all that its messages promised."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from gateway.engine import Engine, Settings
from gateway.snapshot import Row
from gateway.state.keeper import Keeper
from tests.gateway.daemon.clock import until
from tests.gateway.daemon.router import Router
from tests.gateway.daemon.talk import PROVIDER, announced, answer, invite, register, sdp, within

SOON = 5.0  # seconds


class SlowKeeper(Keeper):
    """Writes when it is let."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun, self.may_write = threading.Event(), threading.Event()

    def _write(self, rows: list[Row], *, afresh: bool) -> None:
        self.begun.set()
        assert self.may_write.wait(SOON)
        super()._write(rows, afresh=afresh)


def known(path: Path) -> Engine:
    """What the next gateway would know if this one were killed now."""
    copy = path.with_name("left")
    copy.mkdir(exist_ok=True)
    for each in (path, path.with_name(f"{path.name}-wal")):
        shutil.copy(each, copy)
    keeper = Keeper(copy / path.name)
    try:
        return keeper.restored(lambda: Engine(Settings()))
    finally:
        keeper.close()


@pytest.mark.parametrize("message", [invite(), register()], ids=["INVITE", "REGISTER"])
def test_a_message_leaves_once_what_it_tells_of_is_written(message: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        keeper = SlowKeeper(tmp_path / "state.db")
        keeper.may_write.set()
        async with Router(keeper=keeper) as router:
            keeper.begun.clear()
            keeper.may_write.clear()
            sent = router.outward(message)
            await asyncio.to_thread(keeper.begun.wait, SOON)
            await asyncio.sleep(0.1)
            assert sent.verdict is None
            assert not list(known(tmp_path / "state.db").ledger)
            keeper.may_write.set()
            await until(lambda: sent.verdict)
            assert sent.verdict == "accepted"
            rows = {binding.port for binding in known(tmp_path / "state.db").ledger}
            assert announced(sent.message) <= rows

    asyncio.run(story())


def test_a_registration_is_known_again_that_is_granted_after_the_kill(tmp_path: Path) -> None:
    """The phone repeats its REGISTER, with credentials now, from a port that is leased already."""

    async def story() -> None:
        keeper = SlowKeeper(tmp_path / "state.db")
        keeper.may_write.set()
        async with Router(keeper=keeper) as router:
            first = router.outward(register())
            await until(lambda: first.verdict)
            refused = router.inward(answer(first.message, "401 Unauthorized"))
            await until(lambda: refused.verdict)
            again = router.outward(register(cseq=2))
            await until(lambda: again.verdict)
            assert [key.cseq for key in known(tmp_path / "state.db").registrations.requests] == [2]

    asyncio.run(story())


def test_an_end_is_written_before_the_message_that_says_so_leaves(tmp_path: Path) -> None:
    """Else the next gateway would wait for a call that both ends know to be over."""

    async def story() -> None:
        keeper = SlowKeeper(tmp_path / "state.db")
        keeper.may_write.set()
        async with Router(keeper=keeper) as router:
            request = router.outward(invite())
            await until(lambda: request.verdict)
            answered = router.inward(answer(request.message, "200 OK", sdp(PROVIDER, 40000)))
            await until(lambda: answered.verdict)
            router.outward(within("ACK", answered.message, cseq=1))
            bye = router.outward(within("BYE", answered.message))
            await until(lambda: bye.verdict)
            assert [call.state for call in known(tmp_path / "state.db").calls] == ["ending"]
            keeper.may_write.clear()
            over = router.inward(answer(bye.message))
            await asyncio.sleep(0.1)
            assert over.verdict is None
            keeper.may_write.set()
            await until(lambda: over.verdict)
            assert list(known(tmp_path / "state.db").calls) == []

    asyncio.run(story())


def test_where_nothing_can_be_written_messages_leave_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        (tmp_path / "state.db").mkdir()
        async with Router(keeper=Keeper(tmp_path / "state.db")) as router:
            sent = router.outward(invite())
            await until(lambda: sent.verdict)
            assert sent.verdict == "accepted"
            assert announced(sent.message) & router.public_ports

    asyncio.run(story())
    assert caplog.text.count("the state is not kept, a restart would end the calls: ") == 1
