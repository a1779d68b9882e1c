"""SIP messages as bytes and spans (RFC 3261); nothing here knows addresses from each other."""
