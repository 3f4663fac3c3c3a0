"""What the specs in `right` call."""


def run(helper: object, values: dict[str, object]) -> None:
    """Take anything."""
