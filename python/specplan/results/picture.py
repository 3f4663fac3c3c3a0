"""The bytes of a figure, which a notebook shows."""

from __future__ import annotations

_PNG = b"\x89PNG"
_PDF = b"%PDF"


class Picture(bytes):
    """A figure as the bytes of its file: PNG, SVG or PDF."""

    @property
    def format(self) -> str:
        """ "png", "svg" or "pdf"."""
        if self.startswith(_PNG):
            return "png"
        return "pdf" if self.startswith(_PDF) else "svg"

    def _repr_mimebundle_(self, **_: object) -> dict[str, bytes | str]:
        shown: dict[str, bytes | str] = {"text/plain": repr(self)}
        if self.format == "png":
            shown["image/png"] = bytes(self)
        elif self.format == "svg":
            shown["image/svg+xml"] = self.decode()
        return shown

    def __repr__(self) -> str:
        return f"Picture({self.format}, {len(self):,} bytes)"
