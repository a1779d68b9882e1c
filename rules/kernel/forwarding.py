"""Whether this network namespace forwards IPv4 packets."""

import errno
from pathlib import Path

from rules.errors import KernelError, NotPermittedError

_SWITCH = Path("/proc/sys/net/ipv4/ip_forward")


def forwarding_is_on(switch: Path = _SWITCH) -> bool:
    """The state of net.ipv4.ip_forward; KernelError where it cannot be read."""
    try:
        return switch.read_text().strip() != "0"
    except OSError as error:
        raise KernelError(f"{switch} cannot be read: {error.strerror}; is /proc mounted?") from error


def set_forwarding(on: bool, switch: Path = _SWITCH) -> None:
    """Turn IPv4 forwarding on or off; KernelError or NotPermittedError with what to do."""
    value = "1" if on else "0"
    by_hand = f"set net.ipv4.ip_forward={value} from outside (sysctl, or the container's settings)"
    try:
        switch.write_text(value)
    except PermissionError as error:
        raise NotPermittedError(f"{switch} may not be written: run as root, or {by_hand}") from error
    except OSError as error:
        if error.errno == errno.EROFS:
            raise NotPermittedError(f"{switch} is mounted read-only: {by_hand}") from error
        raise KernelError(f"{switch} cannot be written: {error.strerror}; {by_hand}") from error
