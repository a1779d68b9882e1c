"""Pages of text and tables: with lines and colours on a terminal, plain aligned columns in a pipe."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import typer

_STYLES = {"error": "red", "warning": "yellow", "ok": "green"}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under their headings, or just rows; the columns named in `right` hold numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[str] = field(default_factory=frozenset)


Page = Sequence[str | Table]
"""Lines of text and tables, from top to bottom."""


def show(page: Page) -> None:
    """Print a page on stdout as fits what stdout is."""
    if sys.stdout.isatty():
        _show_on_terminal(page)
        return
    for part in page:
        for line in plain(part) if isinstance(part, Table) else [printable(part)]:
            typer.echo(line)


def plain(table: Table) -> Iterator[str]:
    """The table as aligned columns, nothing cut off."""
    rows = [[printable(cell) for cell in row] for row in table.rows]
    if table.headings:
        rows.insert(0, list(table.headings))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [name in table.right for name in table.headings] or [False] * len(widths)
    for row in rows:
        cells = [
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def printable(text: str) -> str:
    """The text without what could steer a terminal: names of calls and parties are strangers' words."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _show_on_terminal(page: Page) -> None:
    # rich takes as long to load as all the rest of a command
    from rich import box  # noqa: PLC0415  # see above
    from rich.console import Console  # noqa: PLC0415  # see above
    from rich.table import Table as RichTable  # noqa: PLC0415  # see above
    from rich.text import Text  # noqa: PLC0415  # see above

    console = Console(highlight=False)
    for part in page:
        if isinstance(part, str):
            console.print(Text(printable(part)))
            continue
        drawn = RichTable(box=box.SIMPLE_HEAD if part.headings else None, show_header=bool(part.headings))
        for name in part.headings:
            drawn.add_column(name, justify="right" if name in part.right else "left", overflow="fold")
        for row in part.rows:
            drawn.add_row(*(Text(printable(cell), style=_STYLES.get(cell, "")) for cell in row))
        console.print(drawn)
