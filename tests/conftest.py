"""Marks decide what can run here; nothing is skipped without its reason."""

import pytest

from tests.support import netns


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = netns.why_not()
    if reason is None:
        return
    for item in items:
        if item.get_closest_marker("root") or item.get_closest_marker("lab"):
            item.add_marker(pytest.mark.skip(reason=reason))
