"""Everything that can go wrong, by whose doing it is."""


class SipmasqError(Exception):
    """Root of every error this project raises on purpose."""


class KernelError(SipmasqError):
    """The kernel refused or could not do what was asked; the message names the object and the reason."""


class NotPermittedError(KernelError):
    """The process lacks the rights (CAP_NET_ADMIN, CAP_NET_RAW) for what it asked."""


class UnsupportedError(KernelError):
    """This kernel lacks a feature the rules need; the message says which one and how to get it."""


class LockedError(KernelError):
    """Another program holds the lock of the tables and does not let go; the message names it."""
