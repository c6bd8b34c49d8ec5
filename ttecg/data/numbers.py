"""What an ECG may be asked for by number, beside its report."""

# {name: (lowest, highest, unit)}
NUMBERS = {
    "heart_rate": (20.0, 250.0, "per minute"),
    "pr_ms": (80.0, 400.0, "ms"),
    "qrs_ms": (60.0, 240.0, "ms"),
    "qt_ms": (240.0, 640.0, "ms"),
    "axis_deg": (-180.0, 180.0, "degrees"),
}
# of the usual beat: only drafting generators can be asked for them
SHAPE = frozenset(NUMBERS) - {"heart_rate"}


def widened(
    ranges: dict[str, tuple[float, float]], values: dict[str, float]
) -> dict[str, tuple[float, float]]:
    """The least and the greatest number of each name, with further values."""
    both = {name: (value, *ranges.get(name, ())) for name, value in values.items()}
    return ranges | {name: (min(found), max(found)) for name, found in both.items()}


def asked(request) -> dict[str, float]:
    """The numbers that a prompt or a request, which has them as attributes, does not leave open (None)."""
    values = {name: getattr(request, name) for name in NUMBERS}
    return {name: value for name, value in values.items() if value is not None}
