"""Whole protocol flows, told step by step: who sends what, what leaves the router, which ports are open then."""

import pytest

# its assertions explain themselves, as those in test files do
pytest.register_assert_rewrite("tests.transcripts.flow")
