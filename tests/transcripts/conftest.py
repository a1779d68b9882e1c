import pytest

pytest.register_assert_rewrite("tests.transcripts.flow")

from tests.transcripts.flow import Flow, Party  # noqa: E402  # its assertions explain themselves once rewritten


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
