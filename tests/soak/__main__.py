"""`nice python -m tests.soak [MESSAGES [CALLS]]` as root: a million and 50 000, in about a quarter of an hour."""

import asyncio
import sys
from collections.abc import Iterable, Sequence

from tests.soak import daemon
from tests.soak.alone import Soak
from tests.soak.flat import Sample, grown
from tests.support import netns


def main(arguments: Sequence[str]) -> int:
    """Both parts; 1 if something was not flat."""
    messages, calls = (*map(int, arguments), *(1_000_000, 50_000)[len(arguments) :])[:2]
    reason = netns.why_not()
    if reason is not None:
        sys.stderr.write(f"The soak {reason}.\n")
        return 1
    alone = _tell("engine", asyncio.run(Soak().run(messages, calls)))
    return alone | _tell("gateway", daemon.run(calls))


def _tell(name: str, looks: Iterable[Sample]) -> int:
    samples = []
    for sample in looks:
        sys.stdout.write(f"{name}: {sample}\n")
        sys.stdout.flush()
        samples.append(sample)
    told = grown(samples)
    sys.stdout.write(f"{name}: {'; '.join(told) or 'flat'}\n")
    sys.stdout.flush()
    return bool(told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
