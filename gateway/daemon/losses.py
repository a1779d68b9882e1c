"""Says when packets were lost before the gateway saw them; their senders repeat them, the operator should know."""

import logging

from rules.kernel.queue import QueueStats

log = logging.getLogger("sipmasq")


class Losses:
    """Compares the queue's counts with those of the last look."""

    def __init__(self) -> None:
        self._known = (0, 0, 0)

    def look(self, stats: QueueStats) -> None:
        """Log what was lost since the last time; a queue that is another begins at nothing."""
        now = (stats.dropped_full, stats.dropped_undelivered, stats.overruns)
        full, undelivered, overruns = (
            count - known if count >= known else count for count, known in zip(now, self._known, strict=True)
        )
        self._known = now
        if full:
            log.warning("%d SIP packets were lost: too many waited in the queue for their rules", full)
        if undelivered or overruns:
            log.warning(
                "%d SIP packets were lost: the queue's socket was full (ENOBUFS), more came than can be read",
                max(undelivered, overruns),
            )
