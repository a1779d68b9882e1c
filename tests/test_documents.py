"""What the documents name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "gateway" / "README.md"]
LINK = re.compile(r"\]\(([^)#:]+)\)")
SUFFIX = r"\.(?:py|toml|service|sh|md)"
CODE = re.compile(rf"`((?:[\w-]+/)+(?:[\w-]+{SUFFIX})?|[\w-]+{SUFFIX})(?:::\w+)?`")
COMMAND = re.compile(r"\bmake ([a-z][a-z-]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_path_in_it_exists(document: Path) -> None:
    text = document.read_text()
    named = [*LINK.findall(text), *CODE.findall(text)]
    assert len(named) > 5
    # a path is said from the document's own folder, or from the top, or by a module's name alone
    missing = [
        name
        for name in named
        if not any((base / name).exists() for base in (document.parent, ROOT))
        and not ("/" not in name and any(ROOT.glob(f"[grt]*/**/{name}")))
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_target_in_it_is_in_the_makefile(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(COMMAND.findall(document.read_text())) <= targets
