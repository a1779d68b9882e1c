"""The rules of other programs, as they have them on a router between lan0 and wan0.

Those of ufw and firewalld were read from a namespace in which the program had started.
"""

import re
from pathlib import Path

from tests.support.netns import Namespace

_HERE = Path(__file__).parent
_IN_UFW = re.compile(r"add to /etc/ufw/before\.rules before COMMIT, then ufw reload: (-A .*)")
_COMMANDS = re.compile(r"let them pass [^:]*: (.*)")
# by these the real firewall-cmd leads from firewalld.nft to firewalld-policy.nft
_TYPED = (
    "--permanent --new-policy sipmasq-out",
    "--permanent --policy sipmasq-out --add-ingress-zone internal",
    "--permanent --policy sipmasq-out --add-egress-zone external",
    "--permanent --policy sipmasq-out --add-rich-rule 'rule protocol value=udp accept'",
    "--reload",
)


class Neighbour:
    """A program that owns `ruleset`, loaded with nft or this kind of iptables."""

    def __init__(self, router: Namespace, ruleset: str, iptables: str = "iptables-nft") -> None:
        self._router = router
        self._ruleset = (_HERE / ruleset).read_text()
        self._program = "nft" if ruleset.endswith(".nft") else iptables
        self.reload()

    def reload(self) -> None:
        """What it does at its start and whenever it is told to."""
        if self._program == "nft":
            self._router.run("nft", "-f", "-", stdin=self._ruleset)
        else:
            self._router.run(f"{self._program}-restore", stdin=self._ruleset)

    def follow(self, advice: str) -> None:
        """Do what a finding advises, and keep it for the next reload."""
        if line := _IN_UFW.fullmatch(advice):
            head, commit, tail = self._ruleset.rpartition("COMMIT")
            self._ruleset = f"{head}{line[1]}\n{commit}{tail}"
            self.reload()
            return
        commands = _COMMANDS.fullmatch(advice)
        if commands is None:
            raise AssertionError(f"nothing to type in: {advice}")
        if commands[1].startswith("firewall-cmd "):
            typed = [command.removeprefix("firewall-cmd ") for command in commands[1].split(" && ")]
            assert tuple(typed) == _TYPED
            self._ruleset = (_HERE / "firewalld-policy.nft").read_text()
            self.reload()
            return
        self._router.run("sh", "-ec", commands[1])
        self._ruleset = self._saved()

    def _saved(self) -> str:
        if self._program == "nft":
            return f"flush ruleset\n{self._router.run('nft', 'list', 'ruleset')}"
        return self._router.run(f"{self._program}-save")
