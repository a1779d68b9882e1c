"""One gateway a network namespace: two would fight over the same marks."""

import errno
import socket

from rules.errors import KernelError

# An abstract name belongs to the network namespace, and goes with the process however that ends (unix(7)).
_NAME = "\0sipmasq"


class Claim:
    """That this process is the gateway of its network namespace; KernelError when another one is."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(_NAME)
        except OSError as error:
            self._socket.close()
            if error.errno != errno.EADDRINUSE:
                raise KernelError(f"this network namespace cannot be claimed: {error.strerror}") from error
            raise KernelError("another sipmasq runs in this network namespace: end it first") from error

    def close(self) -> None:
        """Let another one take over."""
        self._socket.close()


def is_claimed() -> bool:
    """Whether a gateway runs in this network namespace."""
    try:
        Claim().close()
    except KernelError:
        return True
    return False
