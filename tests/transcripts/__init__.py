"""Whole protocol flows, told step by step: who sends what, what leaves the router, which ports are open then."""
