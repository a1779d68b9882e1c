"""Rules without rights: what python-iptables and libxtables run was run before, or does no harm afterwards."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.netns import hosts

pytestmark = pytest.mark.root

TREE = Path(__file__).parents[2]
PROGRAM = """
import asyncio, ctypes, json, sys
ran = []
sys.addaudithook(lambda event, what: ran.append(str(what[0])) if event in (
    "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system") else None)
from dataclasses import replace
from rules.kernel.libraries import library_directories
from rules.kernel.netfilter import Netfilter
from rules.kernel.privileges import drop_privileges
from rules.kernel.survey import masquerade_present
from rules.reconcile import Reconciler
from tests.netns.stage import SETUP
drop_privileges()
before, libxtables = len(ran), ctypes.CDLL(next(library_directories()[0].glob("libxtables.so.*")))
insmod = lambda program: libxtables.xtables_insmod(b"sipmasq_none", program.encode(), True)
codes = [insmod(sys.argv[1]), insmod("/bin/false"), insmod("/nowhere/modprobe")]
async def lay():
    reconciler = Reconciler(netfilter := Netfilter())
    await netfilter.call(lambda: masquerade_present("wan0", ["10.0.0.0/24"], ["lan0"]))
    await reconciler.configure(SETUP)
    assert not await reconciler.verify()
    await reconciler.configure(replace(SETUP, queue=7))
    await reconciler.clean()
    await reconciler.close()
asyncio.run(lay())
print(json.dumps([ran[before:], codes]))
"""


def test_after_start_nothing_is_run_and_modprobe_would_do_no_harm(tmp_path: Path) -> None:
    seen, modprobe = tmp_path / "seen", tmp_path / "modprobe"
    modprobe.write_text(f"#!/bin/sh\ngrep CapEff /proc/self/status > {seen}\n")
    modprobe.chmod(0o755)
    with hosts("router") as (router,):
        done = subprocess.run(
            router.command("env", f"PYTHONPATH={TREE}", sys.executable, "-c", PROGRAM, str(modprobe)),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ran, codes = json.loads(done.stdout)
    assert ran == []
    assert codes[0] == 0
    assert all(codes[1:])
    # it was started with the same two rights, and no module is loaded with those
    assert seen.read_text().split() == ["CapEff:", f"{1 << 12 | 1 << 13:016x}"]
