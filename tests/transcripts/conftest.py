import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party

FEW_PORTS = Settings(media_ports=(20000, 20199), public_ports=(5062, 5099))

# whose dialogues are played a second time, the gateway killed and started again before each datagram
RESTARTED = {
    f"tests.transcripts.test_{name}"
    for name in (
        "changing_a_call", "early_offers", "forked_call", "hanging_up", "inside_proxy", "lost_bye", "registering",
        "streams", "third_address", "transfer", "trickle_ice", "unanswered_calls",
    )
}  # fmt: skip
# these ask for what is not kept: notices not read yet, and which of the free ports was leased last
NOT_KEPT = {
    "test_a_change_offered_in_the_answer_and_answered_in_the_ack",
    "test_an_unknown_phone_that_asks_for_its_contacts_is_no_news",
    "test_another_call_on_the_same_port_may_have_its_rtcp_elsewhere",
    "test_ports_in_a_row",
    "test_rtcp_in_a_message_of_no_dialog_is_not_announced",
    "test_rtcp_that_moves_while_speech_stays_is_named_where_it_is",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have restarts where there are to be some."""
    if metafunc.module.__name__ in RESTARTED and "flow" in metafunc.fixturenames:
        ways = [False] if metafunc.function.__name__ in NOT_KEPT else [False, True]
        metafunc.parametrize("flow", ways, ids=lambda way: "restarted" if way else "running", indirect=True)


@pytest.fixture
def flow(request: pytest.FixtureRequest) -> Flow:
    return Flow(FEW_PORTS, restarts=True) if getattr(request, "param", False) else Flow()


@pytest.fixture
def alice(flow: Flow) -> Party:
    """A phone that nothing is known of yet."""
    return flow.phone("alice", "10.0.0.11")


@pytest.fixture
def provider(flow: Flow) -> Party:
    return flow.provider


@pytest.fixture
def narrow() -> Flow:
    """A router with two pairs of media ports."""
    return Flow(Settings(media_ports=(20000, 20003)))
