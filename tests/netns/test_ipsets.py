import re
from collections.abc import Callable, Iterator

import pytest

from rules import owner
from rules.errors import KernelError
from rules.kernel import ipsets
from rules.kernel.ipsets import Sets
from rules.model import Endpoint
from rules.plan import SETS
from rules.ruleset import Element, Entry
from tests.support.netns import Namespace, hosts
from tests.support.until import until

pytestmark = pytest.mark.root

INSIDE = Endpoint("10.0.0.5", 16384)


@pytest.fixture
def router() -> Iterator[Namespace]:
    with hosts("router") as (host,):
        yield host


def play(router: Namespace, story: Callable[[Sets], None]) -> None:
    def with_sets() -> None:
        sets = Sets()
        for spec in SETS:
            sets.create(spec)
        story(sets)
        sets.close()

    router.call(with_sets)


def test_what_was_put_in_is_read_back(router: Namespace) -> None:
    def story(sets: Sets) -> None:
        entries = [
            Entry(Element(owner.SET_IN, INSIDE, "198.51.100.7"), "call 3f2a9c01 rtp"),
            Entry(Element(owner.SET_OUT, INSIDE), "call 3f2a9c01 rtp"),
            Entry(Element(owner.SET_SIP, Endpoint("10.0.0.5", 5060)), "registration alice"),
        ]
        sets.add(entries)
        assert sets.read() == (frozenset(SETS), dict(entries))
        assert sets.packets() == {entry.element: 0 for entry in entries[:2]}

    play(router, story)


def test_adding_again_changes_the_comment_and_deleting_again_nothing(router: Namespace) -> None:
    def story(sets: Sets) -> None:
        element = Element(owner.SET_OUT, INSIDE)
        sets.add([Entry(element, "call 1")])
        sets.add([Entry(element, "call 2")])
        assert sets.read()[1] == {element: "call 2"}
        sets.drop([element])
        sets.drop([element])
        assert sets.read()[1] == {}

    play(router, story)


def test_bans_run_out_by_themselves_and_are_none_of_what_is_compared(router: Namespace) -> None:
    def story(sets: Sets) -> None:
        sets.look()
        looked = sets.changes
        sets.ban({"198.51.100.7": 100, "198.51.100.8": 100, "198.51.100.9": 1})
        sets.ban({"198.51.100.7": 1000, "198.51.100.8": None})
        sets.ban({"198.51.100.8": None})
        sets.look()
        assert (sets.read(), sets.packets(), sets.changes) == ((frozenset(SETS), {}), {}, looked)

    play(router, story)
    listed = router.run("ipset", "save", owner.SET_BANNED)
    assert re.search(r"add sipmasq-banned 198.51.100.7 timeout (1000|99\d)", listed)
    assert "198.51.100.8" not in listed
    until("the last ban is over", lambda: "198.51.100.9" not in router.run("ipset", "save", owner.SET_BANNED))


def test_thousands_of_entries_at_once(router: Namespace) -> None:
    def story(sets: Sets) -> None:
        elements = [Element(owner.SET_OUT, Endpoint(f"10.0.{i // 250}.{i % 250}", 16384)) for i in range(5000)]
        sets.add([Entry(element, "call 3f2a9c01 rtp") for element in elements])
        assert set(sets.read()[1]) == set(elements)
        assert len(sets.packets()) == 5000
        sets.drop(elements)
        assert not sets.packets()

    play(router, story)


def test_a_set_has_room_for_many_calls_and_says_when_it_is_full(
    router: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def story(sets: Sets) -> None:
        for spec in SETS:
            assert " maxelem 262144 " in router.run("ipset", "list", "-t", spec.name)
        sets.destroy(owner.SET_OUT)
        monkeypatch.setattr(ipsets, "_MOST_ENTRIES", 64)
        sets.create(SETS[2])
        with pytest.raises(KernelError, match=r"^set sipmasq-out: adding entries: the set is full$"):
            sets.add([Entry(Element(owner.SET_OUT, Endpoint("10.0.0.5", port)), "") for port in range(1, 1000)])

    play(router, story)


def test_sets_of_others_are_not_read(router: Namespace) -> None:
    router.run("ipset", "create", "f2b-sshd", "hash:ip,port")
    router.run("ipset", "add", "f2b-sshd", "192.0.2.1,udp:1")

    def story(sets: Sets) -> None:
        assert sets.read() == (frozenset(SETS), {})
        for spec in SETS:
            sets.destroy(spec.name)
        assert sets.read() == (frozenset(), {})

    play(router, story)
    assert router.run("ipset", "list", "-n") == "f2b-sshd\n"


def test_a_refusal_names_the_set_and_the_reason(router: Namespace) -> None:
    def story(sets: Sets) -> None:
        with pytest.raises(KernelError, match="set sipmasq-out: File exists"):
            sets.create(SETS[2])
        with pytest.raises(KernelError, match="set sipmasq-no: adding entries: No such file"):
            sets.add([Entry(Element("sipmasq-no", INSIDE), "")])
        router.run("iptables-legacy", "-A", "FORWARD", "-m", "set", "--match-set", "sipmasq-out", "src,src")
        with pytest.raises(KernelError, match="sipmasq-out: in use by a rule that is not ours; delete that rule"):
            sets.destroy("sipmasq-out")
        assert len(sets.read()[0]) == 6  # the socket is still in step

    play(router, story)


def test_an_answer_that_nobody_read_to_its_end_is_not_taken_for_the_next(router: Namespace) -> None:
    def story(sets: Sets) -> None:
        elements = [Element(owner.SET_OUT, Endpoint(f"10.0.{i // 250}.{i % 250}", 16384)) for i in range(5000)]
        sets.add([Entry(element, "call 3f2a9c01 rtp") for element in elements])
        next(sets._list(owner.SET_OUT))
        assert set(sets.read()[1]) == set(elements)

    play(router, story)
