"""Rewriting: every address that has a partner is replaced by it, and every other byte stays.

`headers`, `body` and `candidates` know where addresses stand, `outward` and `inward` which partner each has.
"""
