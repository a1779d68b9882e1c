"""The netfilter side of the gateway: from forwards to a ruleset, and from there into the kernel. It knows no SIP.

`model` is what it is told, `plan` makes the ruleset that this means, `reconcile` brings the kernel there and keeps it
there through a `backend`. `kernel` is the only door to the kernel; `fake` is one in memory that obeys the same laws.
"""
