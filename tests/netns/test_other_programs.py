"""What others do to tables and sets: what of it a cheap look sees, and that mending touches nothing of theirs."""

from collections.abc import Callable, Iterator

import pytest

from rules.kernel.netfilter import Netfilter
from rules.reconcile import Reconciler
from tests.netns.stage import PEER, RTP, SETUP, Scene, Stage, listing, other_phone, stage

pytestmark = pytest.mark.root

FOREIGN = """\
*nat
:DOCKER - [0:0]
-A PREROUTING -i wan0 -p tcp -m tcp --dport 443 -j DOCKER
-A DOCKER -j DNAT --to-destination 10.0.0.80
COMMIT
*mangle
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
*filter
-A FORWARD -m limit --limit 5/min -m comment --comment "sipmasq is great" -j LOG
-A FORWARD -s 192.0.2.0/24 -j DROP
COMMIT
"""
DOINGS = {
    "a flush": "iptables-legacy -F",
    "a flush of the translations": "iptables-legacy -t nat -F",
    "an emptied chain": "iptables-legacy -t nat -F SIPMASQ-MASQUERADE",
    "a foreign ruleset": "iptables-legacy-restore",
    "a deleted chain": "iptables-legacy -D FORWARD 1; iptables-legacy -F SIPMASQ-FORWARD;"
    " iptables-legacy -X SIPMASQ-FORWARD",
    "a foreign rule first": "iptables-legacy -I FORWARD -s 192.0.2.9 -j DROP",
    "a jump moved": 'rule=$(iptables-legacy -S FORWARD | grep -e "-j SIPMASQ" | cut -c4-);'
    " iptables-legacy -D FORWARD 1; eval iptables-legacy -A $rule",
    "a foreign rule last": "iptables-legacy -t nat -A POSTROUTING -d 192.0.2.9 -j ACCEPT",
    "rules of ours in another order": "r=$(iptables-legacy -S SIPMASQ-FORWARD 1 | cut -c4-);"
    " iptables-legacy -D SIPMASQ-FORWARD 1; eval iptables-legacy -A $r",
    "a deleted entry": f"ipset del sipmasq-in 10.0.0.5,udp:16384,{PEER}",
    "a foreign entry": "ipset add sipmasq-sip 10.0.0.9,udp:5060",
    "emptied sets": "ipset flush",
    "no sets": "iptables-legacy -F; iptables-legacy -t mangle -F;"
    " for name in in any out to sip; do ipset destroy sipmasq-$name; done",
}


@pytest.fixture(scope="module")
def wired() -> Iterator[Stage]:
    with stage() as made:
        yield made


@pytest.fixture
def play(wired: Stage) -> Iterator[Callable[..., None]]:
    """Run a story on a router that has rules of others and nothing of ours."""
    wired.router.run("iptables-legacy-restore", stdin=FOREIGN)
    wired.router.run("ipset", "create", "f2b-sshd", "hash:ip")
    yield wired.play
    for table in ("filter", "nat", "mangle"):
        for option in ("-F", "-X"):
            wired.router.run("iptables-legacy", "-t", table, option)
    wired.router.run("ipset", "destroy")


def of_others(scene: Scene) -> list[str]:
    """What stands there that is not ours, in its order."""
    return [line for line in listing(scene.router).splitlines() if "SIPMASQ-" not in line and "sipmasq-" not in line]


def of_us(scene: Scene) -> list[str]:
    """The rest, without the number that each new set rolls for itself."""
    lines = set(listing(scene.router).splitlines()) - set(of_others(scene))
    return sorted(line.partition(" initval ")[0] for line in lines)


@pytest.mark.parametrize("doing", DOINGS)
def test_what_another_program_does_is_seen_and_mended(play: Callable[..., None], doing: str) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        whole = of_us(scene)
        quiet = await scene.rules.disturbances()
        assert await scene.rules.disturbances() == quiet
        scene.router.run("sh", "-ec", DOINGS[doing], stdin=FOREIGN)
        theirs = of_others(scene)
        assert await scene.rules.disturbances() > quiet
        assert await scene.rules.verify()
        await scene.rules.configure(SETUP)
        assert not await scene.rules.verify()
        assert of_us(scene) == whole
        assert of_others(scene) == theirs
        mended = await scene.rules.disturbances()
        assert await scene.rules.disturbances() == mended

    play(story)


def test_our_own_commits_and_passing_packets_are_nobodys_doing(play: Callable[..., None]) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        quiet = await scene.rules.disturbances()
        line, peer = scene.phone_line(), scene.outside_line()
        for _ in range(3):
            line.send(PEER, 9000)
            assert peer.receive()
        await scene.put(other_phone(RTP, 20002))
        assert await scene.rules.disturbances() == quiet
        await scene.end(RTP)
        assert await scene.rules.disturbances() == quiet

    play(story)


@pytest.mark.parametrize("doing", ["an emptied chain", "a foreign rule last", "a jump moved", "a deleted entry"])
def test_what_others_do_between_our_commits_is_seen_after_them(play: Callable[..., None], doing: str) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        quiet = await scene.rules.disturbances()
        scene.router.run("sh", "-ec", DOINGS[doing], stdin=FOREIGN)
        await scene.put(other_phone(RTP, 20002))
        assert await scene.rules.disturbances() > quiet

    play(story)


def test_a_jump_moved_in_the_table_that_each_commit_changes_is_seen(play: Callable[..., None]) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        quiet = await scene.rules.disturbances()
        moved = DOINGS["a jump moved"].replace("iptables-legacy", "iptables-legacy -t nat")
        scene.router.run("sh", "-ec", moved.replace("FORWARD", "PREROUTING"))
        await scene.put(other_phone(RTP, 20002))
        assert await scene.rules.disturbances() > quiet
        assert (await scene.rules.verify()).misplaced == ("jump nat PREROUTING -> SIPMASQ-PREROUTING not first",)

    play(story)


def test_a_flow_that_began_while_the_rules_were_gone_is_ended_with_the_repair(play: Callable[..., None]) -> None:
    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        await scene.put(RTP)
        for chain in ("SIPMASQ-POSTROUTING", "SIPMASQ-PREROUTING"):
            scene.router.run("iptables-legacy", "-t", "nat", "-F", chain)
        line, peer = scene.phone_line(), scene.outside_line()
        line.send(PEER, 9000)
        first = peer.sender()
        assert first is not None
        assert first.port != RTP.port
        assert (await scene.rules.configure(SETUP)).cut == {RTP.inside}
        line.send(PEER, 9000)
        again = peer.sender()
        assert again is not None
        assert again.port == RTP.port

    play(story)


def test_looking_does_not_wait_for_the_lock(play: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(*_: object) -> None:
        raise AssertionError("the lock was asked for")

    async def story(scene: Scene) -> None:
        await scene.rules.configure(SETUP)
        monkeypatch.setattr("rules.kernel.iptables.xtables_lock", locked)
        other = Reconciler(Netfilter())
        assert await other.disturbances()
        assert await scene.rules.verify() == await scene.rules.verify()
        await other.close()

    play(story)
