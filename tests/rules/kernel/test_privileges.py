"""What is left of a process's rights, in it, in its threads and in what it runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[3]
BOTH = f"{1 << 12 | 1 << 13:016x}"
NONE = f"{0:016x}"
# it prints one line for each thing asked, after it gave up what it has
GIVE_UP = """
import ctypes, os, subprocess, threading
from pathlib import Path
from rules.kernel import privileges
def rights(status):
    fields = dict(line.split(":", 1) for line in status.splitlines())
    print(*(fields[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd", "NoNewPrivs")))
privileges.drop_privileges()
"""
OWN = 'rights(Path("/proc/thread-self/status").read_text())\n'
OF_A_THREAD = f"thread = threading.Thread(target=lambda: {OWN.strip()}); thread.start(); thread.join()\n"
OF_A_CHILD = 'rights(subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout)\n'

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to have rights to give up")


def run(program: str, *prefix: str) -> tuple[list[str], str]:
    """The lines that a program prints, and the last of its error."""
    done = subprocess.run(
        [*prefix, "env", f"PYTHONPATH={TREE}", sys.executable, "-c", program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout.splitlines(), (done.stderr.splitlines() or [""])[-1]


@root
def test_two_capabilities_are_left_and_no_more_come_by_running_something() -> None:
    lines, error = run(GIVE_UP + OWN + OF_A_THREAD + OF_A_CHILD)
    assert error == ""
    own = f"{BOTH} {BOTH} {NONE} {NONE} {BOTH} 1"
    assert lines == [own, own, own]


@root
def test_supplementary_groups_are_gone() -> None:
    lines, error = run("import os; os.setgroups([1, 2])" + GIVE_UP + "print(os.getgroups())")
    assert (lines, error) == (["[]"], "")


@root
def test_what_is_given_up_does_not_come_back() -> None:
    again = """
privileges._KEPT = 0x1ffffffffff
for attempt in (privileges.drop_privileges, lambda: os.setgroups([1]), lambda: os.setuid(1),
                lambda: os.chown("/tmp", 1, 1)):
    try:
        attempt()
    except Exception as error:
        print(type(error).__name__)
    else:
        print("done")
"""
    lines, _ = run(GIVE_UP + again)
    assert lines == ["NotPermittedError", "PermissionError", "PermissionError", "PermissionError"]


@root
def test_files_are_for_their_owner_and_directories_can_be_passed_through(tmp_path: Path) -> None:
    run(f"{GIVE_UP}os.chdir({str(tmp_path)!r}); Path('file').touch(); Path('directory').mkdir()")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "directory")] == [0o600, 0o711]


@root
def test_a_user_with_these_two_alone_gives_up_the_way_to_more() -> None:
    two = "+net_admin,+net_raw"
    user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", two,
            "--ambient-caps", two)  # fmt: skip
    lines, error = run(GIVE_UP + OWN + OF_A_CHILD, *user)
    assert error == ""
    assert [line.rpartition(" ")[0].rpartition(" ")[0] for line in lines] == [
        f"{BOTH} {BOTH} {NONE} {NONE}",
        f"{NONE} {NONE} {NONE} {NONE}",
    ]
    assert all(line.endswith(" 1") for line in lines)


@root
def test_who_lacks_them_is_told_so() -> None:
    _, error = run(GIVE_UP, "setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")
    assert error.endswith("NotPermittedError: CAP_NET_ADMIN and CAP_NET_RAW are needed: run as root")
