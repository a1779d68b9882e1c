"""Fuzz for some seconds, or replay inputs: `make fuzz SECONDS=60`, `python -m tests.fuzz finding`.

`python -m tests.fuzz 600 folder` also goes on from what is in that folder and leaves there what reached new code;
what begins with a dash is the fuzzer's own option.
"""

import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.seeds import seeds
from tests.fuzz.target import check

_DICTIONARY = Path(__file__).with_name("sip.dict")
_LONGEST = 4096  # of what libFuzzer makes up; `target` stretches some of it to a whole datagram
_HANGS = 20  # seconds for one input


def main(arguments: list[str]) -> int:
    """Exit code 0: nothing found, 1: something, 2: usage or no fuzzer."""
    if not arguments:
        sys.stderr.write("Say for how many seconds, or which inputs to replay.\n")
        return 2
    if not arguments[0].isdigit():
        for name in arguments:
            check(Path(name).read_bytes())
        return 0
    if find_spec("atheris") is None:
        sys.stderr.write("There is no atheris for this Python and machine; 'make test' replays the kept inputs.\n")
        return 2
    return fuzz(int(arguments[0]), arguments[1:])


def fuzz(seconds: int, folders: list[str]) -> int:
    """Look for an input that breaks what must hold; where there is one, say how to see it again."""
    with tempfile.TemporaryDirectory() as work:
        corpus, found = Path(work, "corpus"), Path(work, "found")
        corpus.mkdir()
        found.mkdir()
        for seed in seeds():
            shutil.copy(seed, corpus)
        command = [
            *(sys.executable, "-m", "tests.fuzz.fuzzer"),
            *(f"-max_total_time={seconds}", f"-max_len={_LONGEST}", f"-timeout={_HANGS}"),
            *(f"-artifact_prefix={found}/", f"-dict={_DICTIONARY}", "-print_final_stats=1", "-verbosity=0"),
            *(*folders, str(corpus)),
        ]
        status = subprocess.run(command, check=False).returncode
        findings = sorted(found.iterdir())
        for finding in findings:
            sys.stderr.write(_how_to_reproduce(finding))
    return 1 if status or findings else 0


def _how_to_reproduce(finding: Path) -> str:
    text = b64encode(finding.read_bytes()).decode()
    return (
        f"\nFound {finding.name}. To see it again:\n"
        f"    echo {text} | base64 -d >{finding.name}\n    .venv/bin/python -m tests.fuzz {finding.name}\n"
        "Once mended, keep it as a .txt in tests/corpus/fuzz.\n"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
