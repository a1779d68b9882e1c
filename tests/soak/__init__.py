"""Very many messages and calls, to see that nothing of them stays: `python -m tests.soak`."""
