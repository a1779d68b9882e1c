"""Which sipmasq this is."""

from importlib import metadata


def version() -> str:
    """The version installed, or a word that says that none is."""
    try:
        return metadata.version("sipmasq")
    except metadata.PackageNotFoundError:
        return "(not installed)"
