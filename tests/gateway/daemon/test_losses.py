from collections.abc import Sequence

import pytest

from gateway.daemon.losses import Losses
from rules.kernel.queue import QueueStats


def stats(full: int = 0, undelivered: int = 0, overruns: int = 0) -> QueueStats:
    return QueueStats(100, 100, 100, 0, 0, overruns, waiting=0, dropped_full=full, dropped_undelivered=undelivered)


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ([stats(), stats()], []),
        ([stats(full=3), stats(full=3), stats(full=5)], ["3 SIP packets", "2 SIP packets"]),
        ([stats(undelivered=7, overruns=1)], ["7 SIP packets were lost: the queue's socket was full (ENOBUFS)"]),
        ([stats(full=9), stats(full=2)], ["9 SIP packets", "2 SIP packets"]),
    ],
    ids=["nothing", "more and more", "on the socket", "after a new queue"],
)
def test_losses_are_said_once(looks: Sequence[QueueStats], said: list[str], caplog: pytest.LogCaptureFixture) -> None:
    losses = Losses()
    for look in looks:
        losses.look(look)
    assert len(caplog.messages) == len(said)
    for message, text in zip(caplog.messages, said, strict=True):
        assert message.startswith(text)
