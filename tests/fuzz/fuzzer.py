"""libFuzzer over `target`: takes its arguments, and ends the process itself; `tests.fuzz` starts it."""

import sys

import atheris

with atheris.instrument_imports(include=["gateway"], enable_loader_override=False):
    from tests.fuzz.target import check


def main() -> None:
    """Fuzz until libFuzzer's arguments say enough."""
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
