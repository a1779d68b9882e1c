"""python-iptables, imported where it finds its libraries; everybody else takes `iptc` from here.

Left alone it runs ldconfig to find the directory of iptables' extensions, and the compiler to find its own.
"""

import importlib.util
import os
import sysconfig
from pathlib import Path

_ROOTS = (
    Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or ""),  # Debian and its kin
    Path("/usr/lib64"),
    Path("/usr/lib"),
    Path("/lib"),
)


def library_directories() -> tuple[Path, Path] | None:
    """The directories of libxtables and of iptables' extensions, None where iptables is not installed.

    `XTABLES_LIBDIR` in the environment wins.
    """
    given = os.environ.get("XTABLES_LIBDIR")
    if given:
        return Path(given).parent, Path(given)
    for root in _ROOTS:
        extensions = root / "xtables"
        if extensions.is_dir():
            return root, extensions
    return None


_found = library_directories()
if _found is not None:
    # the compiled half of python-iptables lies beside its package; looked for elsewhere, gcc and ld are run
    _beside = Path(getattr(importlib.util.find_spec("iptc"), "origin", None) or "").parent.parent
    os.environ.setdefault("IPTABLES_LIBDIR", f"{_found[0]}:{_beside}")
    os.environ.setdefault("XTABLES_LIBDIR", str(_found[1]))

import iptc  # noqa: E402  # reads the environment once, when it is imported

__all__ = ["iptc", "library_directories"]
