"""Inputs that a fuzzer makes up, guided by what they reach in the gateway's code.

`target` says what must hold for every input, `fuzzer` lets libFuzzer look for one that breaks it, and the inputs in
tests/corpus/fuzz, where it starts from, are replayed with the other tests.
"""
