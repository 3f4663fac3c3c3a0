"""Named streams of random numbers: every seed comes from the root seed and a name.

Adding a node or a phase changes no other stream. Names in use: `init/<node>`, `split/<FeatureSet>`,
`phase/<path>/sampler`, `phase/<path>/global`; `split/<FeatureSet>/<group>` and `seeds/<group>/<index>`
of groups that are run for each fold or seed.
"""

from __future__ import annotations

_KEY_BYTES = 32
_63_BITS = (1 << 63) - 1


def seed_of(root: int, name: str) -> int:
    """The seed of the stream `name`: 63 bits, never negative."""
    from blake3 import blake3  # validating needs no seed

    key = root.to_bytes(_KEY_BYTES, "little", signed=True)
    digest = blake3(name.encode(), key=key).digest(length=8)
    return int.from_bytes(digest, "little") & _63_BITS


def written_seed_of(root: int, name: str) -> int:
    """The seed of a stream that is written out in a plan: 32 bits, which JSON and scikit-learn hold."""
    return seed_of(root, name) % (1 << 32)
