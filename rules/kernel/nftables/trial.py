"""What nftables has in this kernel, tried where nothing can come of it."""

from collections.abc import Iterable

from pyroute2.netlink.nfnetlink import nftsocket as nft

from rules import owner
from rules.kernel.netlink import NESTED, Request, attribute

TRIED_AT = 2
"""The place of the first expression in the batch."""

# <linux/netfilter/nf_tables.h>, <linux/netlink.h>
_TABLE = attribute(1, f"{owner.NAME}-trial\0".encode())
_CHAIN = b"trial\0"
_CHAIN_NAME, _RULE_CHAIN, _RULE_EXPRESSIONS = 3, 2, 4
_CREATE = 0x400


def trial(names: Iterable[str]) -> list[Request]:
    """A batch with a rule for each expression that is refused as a whole: it ends with what cannot be done.

    An expression that the kernel does not know is refused by ENOENT, one that lacks all it needs by another.
    """
    rules = [
        _TABLE
        + attribute(_RULE_CHAIN, _CHAIN)
        + attribute(_RULE_EXPRESSIONS | NESTED, attribute(1 | NESTED, attribute(1, name.encode() + b"\0")))
        for name in names
    ]
    return [
        (nft.NFT_MSG_NEWTABLE, _CREATE, _TABLE),
        (nft.NFT_MSG_NEWCHAIN, _CREATE, _TABLE + attribute(_CHAIN_NAME, _CHAIN)),
        *((nft.NFT_MSG_NEWRULE, _CREATE, body) for body in rules),
        (nft.NFT_MSG_DELCHAIN, 0, _TABLE + attribute(_CHAIN_NAME, b"nothing\0")),
    ]
