"""Names of faults on lines of a limited width: a row of a table cannot be broken."""

from collections.abc import Iterator

COLUMNS = 120


def wrapped(names: list[str], columns: int) -> Iterator[str]:
    """Yield *names*, with commas, on lines of at most *columns*."""
    line = names[0]
    for name in names[1:]:
        if len(f"{line}, {name}") > columns:
            yield line
            line = name
        else:
            line = f"{line}, {name}"
    yield line
