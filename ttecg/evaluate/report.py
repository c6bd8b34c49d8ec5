"""Tables and JSON files of results, the same for every evaluation."""

import json
import pathlib

from ttecg.train.config import write_text


def table(rows: list[dict], digits: int = 3) -> str:
    """Rows of equal keys as aligned text."""
    names = list(rows[0])
    cells = [[cell(r[n], digits) for n in names] for r in rows]
    widths = [max(len(n), *(len(c[i]) for c in cells)) for i, n in enumerate(names)]
    lines = [names, *cells]
    return "\n".join(
        "  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip()
        for line in lines
    )


def cell(value, digits: int) -> str:
    """How a table shows a value: numbers with decimals as `digits` say, spans of two with a dash, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "-".join(cell(v, digits) for v in value)
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def save(out, name: str, about: dict, rows: list[dict]):
    """`out/name.json` with what was measured on what."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / f"{name}.json", json.dumps({**about, "rows": rows}, indent=1) + "\n")


def read_lines(file: pathlib.Path) -> list[dict]:
    """The complete lines of a file of results, none where it is not there; a last one that an interruption cut short is
    cut off, so that the next stands on its own line."""
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        write_text(file, whole)
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError:
        raise ValueError(f"{file} is damaged; delete it to start afresh") from None


def add_lines(file: pathlib.Path, rows: list[dict]):
    """Adds a line for each row to a file of results."""
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def bootstrap(values, seed: int = 0, draws: int = 1000) -> tuple[float, float]:
    """95 % interval of the mean over records."""
    import numpy as np

    values = np.asarray(values, float)
    picks = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.nanpercentile(np.nanmean(values[picks], axis=1), [2.5, 97.5])
    return float(low), float(high)
