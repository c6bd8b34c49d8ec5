"""Pictures of ECGs: on ECG paper as a cardiologist reads them, and original against reconstruction.

    plot_ecg(ecg, "ecg.pdf")              # 25 mm/s, 10 mm/mV, true to scale when printed at 100 %
    save_pages((plot_a4(e, title=f"Page {n}") for n, e in enumerate(ecgs, 1)), "ecgs.pdf")
    overlay(original, rebuilt, "tokenizer.png")

Drawing goes through matplotlib's figure objects and never through pyplot: no screen is needed, threads do not
disturb each other, and the same ECG gives the same bytes. Coordinates are millimetres from the lower left
corner.
"""

import os
import pathlib
import textwrap
import threading
import uuid
from collections.abc import Iterable

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from ttecg.data.beats import heart_rate
from ttecg.ecg import ECG, LEADS

MM_PER_SECOND, MM_PER_MV = 25.0, 10.0
LAYOUTS = ("3x4", "12x1")
LONGEST = 120.0  # seconds on one sheet
A4 = (297.0, 210.0)  # mm, landscape
_A4_GRID = (11.0, 10.0, 286.0, 190.0)  # mm: left, bottom, right, top
_MARGIN, _HEADER, _NARROWEST = 5.0, 25.0, 160.0  # mm
_LEAD_IN = 10.0  # mm of every row before the trace starts; the calibration pulse stands there
_ROW, _UP, _DOWN = 25.0, (15.0, 20.0), (10.0, 25.0)  # mm: least height of a row, reach above and below
_THIN, _THICK, _PAPER, _INK, _WARNING = "#f7dcdc", "#e8b0b0", "#fffefe", "#101010", "#b00020"
_FONT = "DejaVu Sans"
_METADATA = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    ".svg": {"Creator": None, "Date": None},
}
# whatever the user's matplotlibrc says, 1 mm stays 1 mm and the bytes stay the same
_SAVING = {"savefig.bbox": None, "svg.hashsalt": "ttecg", "svg.fonttype": "path", "pdf.fonttype": 42}
_LOCK = threading.Lock()


def plot_ecg(ecg: ECG, path=None, layout: str = "3x4", dpi: float = 127) -> Figure:
    """The ECG on paper at 25 mm/s and 10 mm/mV; in PDF and SVG 1 mm is 1 mm. Saved where a path is given.

    layout "3x4": three rows of four leads, a quarter of the time each, above lead II for the whole time;
    "12x1": a row per lead. An ECG without all twelve leads gets a row for each that it has. Every lead is
    drawn around its median. info["synthetic"] puts a warning on the sheet. dpi is that of a PNG; multiples of
    25.4 look crispest. ValueError: unknown layout or file ending; nothing, or more than two minutes, to
    draw."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not one of {', '.join(LAYOUTS)}")
    if path is not None:
        _ending(path)
    if len(ecg.signal) < 2 or ecg.duration > LONGEST:
        raise ValueError(
            f"{ecg.id or 'ECG'}: {ecg.duration:g} s cannot be drawn on one sheet; crop it to "
            f"{LONGEST:g} s or less"
        )
    rows = [_Row(ecg, parts) for parts in _rows(ecg, layout)]
    width = max(_NARROWEST, 2 * _MARGIN + _LEAD_IN + ecg.duration * MM_PER_SECOND)
    height = _MARGIN + sum(row.height for row in rows) + _HEADER
    width, height = (5 * np.ceil(side / 5) for side in (width, height))
    figure, axes = _sheet(width, height, (0, 0, width, height - 20))
    top = height - _HEADER
    for row in rows:
        row.draw(axes, top)
        top -= row.height
    _write_header(axes, ecg, width, height)
    if path is not None:
        save(figure, path, dpi)
    return figure


def plot_a4(ecg: ECG, title: str = "", lines=(), footer: str = "", layout: str = "3x4") -> Figure:
    """The ECG on a landscape sheet of A4 at 25 mm/s and 10 mm/mV, every sheet alike: rows of one height, so what
    reaches further runs into the next row, and of words only a title, up to three lines below it, and a footer.

    layout: see `plot_ecg`. ValueError: unknown layout; longer than the sheet is wide."""
    if layout not in LAYOUTS:
        raise ValueError(f"layout {layout!r} is not one of {', '.join(LAYOUTS)}")
    left, bottom, right, top = _A4_GRID
    start = left + _MARGIN
    seconds = (right - start - _LEAD_IN) / MM_PER_SECOND
    if not 2 <= len(ecg.signal) <= seconds * ecg.rate:
        raise ValueError(
            f"{ecg.duration:g} s cannot be drawn on A4 at 25 mm/s; crop it to {seconds:g} s or less"
        )
    rows = [_Row(ecg, parts) for parts in _rows(ecg, layout)]
    pitch = min(
        45, (top - bottom - 25) // max(1, len(rows) - 1)
    )  # whole mm: baselines lie on lines of the grid
    first = top - round(0.55 * (top - bottom - pitch * (len(rows) - 1)))
    figure, axes = _sheet(*A4, _A4_GRID)
    for number, row in enumerate(rows):
        row.draw(axes, first - pitch * number + row.up, start, min(11, 0.45 * pitch))
    style = {"family": _FONT, "color": _INK, "va": "center", "parse_math": False}
    axes.text(left, A4[1] - 5, _drawable(title), fontsize=11, weight="bold", **style)
    for number, line in enumerate(lines):
        axes.text(left, A4[1] - 10 - 4 * number, _drawable(line), fontsize=8, **style)
    axes.text(left, bottom / 2, _drawable(footer), fontsize=7, **style)
    return figure


def overlay(original: ECG, reconstruction: ECG, path=None, dpi: float = 100) -> Figure:
    """Original (black) under reconstruction (red), a panel per lead of the original, mV against seconds.

    Both need the same sampling rate and length; the title states Pearson's r and the RMSE of each lead."""
    rebuilt = reconstruction.select(original.leads)
    if rebuilt.rate != original.rate or rebuilt.signal.shape != original.signal.shape:
        have, got = (f"{len(e.signal)} samples at {e.rate:g} Hz" for e in (original, rebuilt))
        raise ValueError(f"{original.id or 'ECG'}: {have} do not match {got}; resample or crop one of them")
    if path is not None:
        _ending(path)
    count = len(original.leads)
    columns = 1 if count < 4 else 2
    rows = -(-count // columns)
    figure = Figure(figsize=(7 * columns, 1.2 * rows + 0.5), facecolor="white", layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).T.ravel()
    seconds = np.arange(len(original.signal)) / original.rate
    for panel, lead, x, y in zip(panels, original.leads, original.signal.T, rebuilt.signal.T, strict=False):
        panel.plot(seconds, x, color="black", linewidth=0.8)
        panel.plot(seconds, y, color="#d62728", linewidth=0.8)
        panel.set_title(f"{lead}   {_likeness(x, y)}", fontsize=8, loc="left", pad=2)
        panel.margins(x=0)
        panel.tick_params(labelsize=7)
    for panel in panels[count:]:
        panel.set_axis_off()
    figure.suptitle(
        _drawable(f"{original.id}  original black, reconstruction red; mV against s"),
        fontsize=9,
        parse_math=False,
    )
    if path is not None:
        save(figure, path, dpi)
    return figure


def save(figure: Figure, path, dpi: float) -> None:
    """Writes a .png, .pdf or .svg, whole or not at all, without dates in it; ValueError for another
    ending."""
    path = pathlib.Path(path)
    ending = _ending(path)
    scratch = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{ending}")
    try:
        with _LOCK, matplotlib.rc_context(_SAVING):
            figure.savefig(scratch, dpi=dpi, metadata=_METADATA[ending])
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def save_pages(figures: Iterable[Figure], path) -> None:
    """Writes figures, drawn as they come, as the pages of one .pdf, whole or not at all, without dates in it."""
    path = pathlib.Path(path)
    if path.suffix.lower() != ".pdf":
        raise ValueError(f"{path}: pages go into a file that ends in .pdf")
    scratch = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.pdf")
    pages = PdfPages(scratch, metadata=_METADATA[".pdf"])
    try:
        try:
            for figure in figures:
                with _LOCK, matplotlib.rc_context(_SAVING):
                    pages.savefig(figure)
        finally:
            with _LOCK, matplotlib.rc_context(_SAVING):  # fonts are written now
                pages.close()
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def _ending(path) -> str:
    ending = pathlib.Path(path).suffix.lower()
    if ending not in _METADATA:
        raise ValueError(f"{path}: a picture ends in {', '.join(_METADATA)}")
    return ending


def _rows(ecg: ECG, layout: str) -> list[list[tuple[str, float, float]]]:
    """Rows of (lead, first second, last second)."""
    end = ecg.duration
    if not set(LEADS) <= set(ecg.leads):
        return [[(lead, 0.0, end)] for lead in ecg.leads]
    if layout == "12x1":
        return [[(lead, 0.0, end)] for lead in LEADS]
    quarters = np.linspace(0, end, 5)
    blocks = [[(LEADS[3 * k + row], quarters[k], quarters[k + 1]) for k in range(4)] for row in range(3)]
    return [*blocks, [("II", 0.0, end)]]


class _Row:
    """One line of traces on the paper: pieces of leads one after another around a common baseline."""

    def __init__(self, ecg: ECG, parts):
        self.rate, self.pieces = ecg.rate, []
        for lead, start, end in parts:
            x = np.asarray(ecg.lead(lead), np.float64)
            a, b = round(start * ecg.rate), round(end * ecg.rate)
            middle = np.median(x[np.isfinite(x)]) if np.isfinite(x).any() else 0.0
            self.pieces.append((lead, a, (x[a : b + 1] - middle) * MM_PER_MV))
        values = np.concatenate([y[np.isfinite(y)] for _, _, y in self.pieces] + [np.zeros(1)])
        # what reaches further runs into the next row, as on paper; four of the tallest rows fit on A4
        self.up, down = (
            5 * np.ceil(np.clip(reach + 2, *limits) / 5)
            for reach, limits in ((values.max(), _UP), (-values.min(), _DOWN))
        )
        self.height = max(_ROW, self.up + down)

    def draw(self, axes: Axes, top: float, left: float = _MARGIN, label: float = 11.0) -> None:
        """label: height of the leads' names over the baseline."""
        base = top - self.up
        x0 = left + _LEAD_IN
        pulse = np.array([(0, 0), (2, 0), (2, 10), (7, 10), (7, 0), (9, 0)]) + (left, base)
        axes.plot(*pulse.T, color=_INK, linewidth=0.8, solid_joinstyle="miter")
        for number, (lead, first, y) in enumerate(self.pieces):
            x = x0 + (first + np.arange(len(y))) / self.rate * MM_PER_SECOND
            axes.plot(x, base + y, color=_INK, linewidth=0.8, solid_joinstyle="round")
            if number:
                axes.plot([x[0], x[0]], [base + label - 2, base + label + 1.5], color=_INK, linewidth=0.8)
            axes.text(
                x[0] + 1,
                base + label,
                lead,
                fontsize=9,
                weight="bold",
                family=_FONT,
                color=_INK,
                va="center",
                zorder=1.5,  # over the grid, under the trace
                bbox={"facecolor": _PAPER, "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
            )


def _sheet(width: float, height: float, grid) -> tuple[Figure, Axes]:
    """A figure of width x height mm whose axes cover it in mm; grid: left, bottom, right, top of that of ECG paper."""
    figure = Figure(figsize=(width / 25.4, height / 25.4), facecolor=_PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    left, bottom, right, top = grid
    for step, colour, thickness in ((1, _THIN, 0.3), (5, _THICK, 0.5)):
        upright = [((x, bottom), (x, top)) for x in np.arange(left, right + 0.5, step)]
        level = [((left, y), (right, y)) for y in np.arange(bottom, top + 0.5, step)]
        axes.add_collection(
            LineCollection(upright + level, colors=colour, linewidths=thickness, snap=True, zorder=1),
            autolim=False,
        )
    return figure, axes


def _write_header(axes: Axes, ecg: ECG, width: float, height: float) -> None:
    rate = heart_rate(ecg)
    facts = [
        f"{ecg.age:.0f} years" if ecg.age is not None else "",
        ecg.sex or "",
        f"heart rate {rate:.0f}/min" if rate else "",
        "25 mm/s   10 mm/mV",
    ]
    style = {"family": _FONT, "color": _INK, "va": "center", "parse_math": False}
    axes.text(_MARGIN, height - 4, _drawable(ecg.id), fontsize=9, weight="bold", **style)
    axes.text(_MARGIN, height - 8.5, "   ".join(fact for fact in facts if fact), fontsize=8, **style)
    columns = int((width - 2 * _MARGIN) / 1.65)  # characters of 8 points that fit
    report = textwrap.wrap(_drawable(ecg.report or ""), columns, max_lines=2, placeholder=" …")
    for number, line in enumerate(report):
        axes.text(_MARGIN, height - 13 - 4 * number, line, fontsize=8, **style)
    if ecg.info.get("synthetic") is True:
        axes.text(
            width - _MARGIN,
            height - 4,
            "SYNTHETIC - not for diagnosis",
            fontsize=9,
            weight="bold",
            ha="right",
            **style | {"color": _WARNING},
        )


def _drawable(text: str) -> str:
    """One line, with a question mark for each character that the font does not have."""
    known = get_font(findfont(_FONT)).get_charmap()
    return "".join(c if ord(c) in known else "?" for c in " ".join(text.split()))


def _likeness(x: np.ndarray, y: np.ndarray) -> str:
    rmse = f"RMSE {np.sqrt(np.mean((x - y) ** 2)):.3f} mV"
    if np.std(x) == 0 or np.std(y) == 0:
        return rmse
    return f"r {np.corrcoef(x, y)[0, 1]:.3f}   {rmse}"
