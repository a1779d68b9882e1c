"""Measurements: `python -m tests.bench [name ...]` prints one table. Nothing is asserted about speed."""
