"""`python -m tests.soak.counted` is `sipmasq`, and says at SIGUSR1 how many objects it has."""

import gc
import os
import signal

from gateway.cli import main
from tests.soak.flat import objects

OBJECTS = "objects: "


def _say(*_: object) -> None:
    gc.unfreeze()
    os.write(1, f"{OBJECTS}{objects()}\n".encode())
    gc.freeze()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _say)
    main()
