"""Errors of the SIP side, by whose doing they are: the peer's, our limit, the operator's."""

from rules.errors import SipmasqError


class PeerError(SipmasqError):
    """What a phone or a provider sent cannot be worked with; it passes as it came, counted under `reason`."""

    reason = "peer"


class MalformedError(PeerError):
    """Not a whole, well-formed message by its RFC; the text names the line or rule broken."""

    reason = "malformed"


class NotUnderstoodError(PeerError):
    """Well-formed, and of a shape that is not translated; the text names it."""

    reason = "not understood"


class ForeignAddressError(PeerError):
    """A message speaks for an address that is not its sender's, or for a port that nobody may have opened."""

    reason = "foreign address"


class NotAPhoneError(PeerError):
    """SIP of an inside host that the operator lets open nothing (`inside.phones`)."""

    reason = "not a phone"


class StrangerError(SipmasqError):
    """A message from outside whose sender has no business with the phone; it ends here, counted under `reason`."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class LimitError(SipmasqError):
    """A bound of ours is reached; the text names the setting that raises it."""


class NoPortLeftError(LimitError):
    """Every public port of a pool is leased."""


class ConfigError(SipmasqError):
    """The operator's configuration is wrong; the text names key, value and what is allowed."""


class StateError(SipmasqError):
    """The state cannot be read or written; the text names the file and the reason."""


class ResolveError(SipmasqError):
    """A DNS name leads to no usable address; the text says why."""


class ControlError(SipmasqError):
    """Gateway and command line did not come together over the control socket."""


class NotRunningError(ControlError):
    """Nobody answers at the control socket."""
