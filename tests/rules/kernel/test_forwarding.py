import os
from pathlib import Path

import pytest

from rules.errors import KernelError, NotPermittedError
from rules.kernel.forwarding import forwarding_is_on, set_forwarding
from tests.support.netns import hosts, run


@pytest.mark.root
def test_each_namespace_has_its_own_switch() -> None:
    def check() -> list[bool]:
        seen = [forwarding_is_on()]
        for wanted in (True, True, False, True):
            set_forwarding(wanted)
            seen.append(forwarding_is_on())
        return seen

    with hosts("router", "bystander") as (router, bystander):
        assert router.call(check) == [False, True, True, False, True]
        assert router.run("cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
        assert bystander.run("cat", "/proc/sys/net/ipv4/ip_forward") == "0\n"


@pytest.mark.root
def test_without_rights_it_says_what_to_do() -> None:
    def check() -> None:
        os.setuid(65534)
        assert not forwarding_is_on()
        with pytest.raises(NotPermittedError, match=r"run as root, or set net\.ipv4\.ip_forward=1"):
            set_forwarding(True)

    with hosts("router") as (router,):
        router.call(check)


@pytest.mark.root
def test_a_read_only_proc_is_named(tmp_path: Path) -> None:
    run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(tmp_path)])
    try:
        with pytest.raises(NotPermittedError, match=r"mounted read-only: set net\.ipv4\.ip_forward=0"):
            set_forwarding(False, tmp_path / "ip_forward")
    finally:
        run(["umount", str(tmp_path)])


def test_a_missing_proc_is_named(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"ip_forward cannot be read: No such file or directory; is /proc"):
        forwarding_is_on(tmp_path / "ip_forward")
    with pytest.raises(KernelError, match="cannot be written: No such file or directory"):
        set_forwarding(True, tmp_path / "gone" / "ip_forward")
