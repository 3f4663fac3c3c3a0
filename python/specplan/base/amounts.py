"""Numbers as people read them."""

from __future__ import annotations

_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_DECIMAL = ("", "k", "M", "G", "T", "P", "E")


def count(number: int, noun: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def size(bytes_: int) -> str:
    """`17 B`, `1.5 KiB`."""
    return _scaled(bytes_, 1024, _BYTES)


def decimal(number: int) -> str:
    """`17`, `1.5 k`."""
    return _scaled(number, 1000, _DECIMAL).rstrip()


def _scaled(number: int, step: int, units: tuple[str, ...]) -> str:
    amount = float(number)
    power = 0
    # What would be shown as `1024.0 KiB` is 1.0 MiB.
    while round(amount, 1 if power else 0) >= step and power + 1 < len(units):
        amount /= step
        power += 1
    return f"{amount:.1f} {units[power]}" if power else f"{number} {units[0]}"
