import pytest

from gateway.engine import Settings
from tests.transcripts.flow import Flow, Party


@pytest.fixture
def flow() -> Flow:
    return Flow()


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
