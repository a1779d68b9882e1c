"""Bounded and repeatable: the same examples on every machine, more of them when asked for."""

import os

from hypothesis import settings

settings.register_profile("bounded", max_examples=100, deadline=None, derandomize=True, database=None)
settings.register_profile("long", max_examples=3000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "bounded"))
