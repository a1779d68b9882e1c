import pytest

from tests.transcripts.flow import Flow


@pytest.fixture
def flow() -> Flow:
    return Flow()
