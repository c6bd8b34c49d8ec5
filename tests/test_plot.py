"""ECG paper true to scale, the same bytes for the same ECG, and nothing half-written."""

import re
import threading

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.image import imread

from ttecg import plot
from ttecg.ecg import ECG, LEADS, to_twelve


def make(seconds=10.0, rate=250.0, height=1.0, **facts):
    t = np.arange(round(seconds * rate)) / rate
    r = sum(np.exp(-0.5 * ((t - c) / 0.012) ** 2) for c in np.arange(0.4, seconds, 0.8))
    x = height * r[:, None] * np.array([0.6, 1.0, -0.5, -0.8, 0.7, 1.2, 1.3, 1.0])
    facts = {"id": "made-up", "age": 63, "sex": "female", "report": "sinus rhythm"} | facts
    return ECG(to_twelve(x), rate=rate, **facts)


def texts(figure):
    return [t.get_text() for t in figure.axes[0].texts]


def traces(figure):
    """The (x, y) in mm of every line longer than a mark."""
    return [line.get_xydata() for line in figure.axes[0].lines if len(line.get_xydata()) > 20]


def test_paper_is_true_to_scale():
    figure = plot.plot_ecg(make())
    axes = figure.axes[0]
    np.testing.assert_allclose(figure.get_size_inches() * 25.4, (axes.get_xlim()[1], axes.get_ylim()[1]))
    assert tuple(axes.get_position().bounds) == (0, 0, 1, 1)
    rhythm = traces(figure)[-1]  # lead II for ten seconds, R of 1 mV
    assert np.ptp(rhythm[:, 0]) == pytest.approx(250, abs=0.2)
    assert np.ptp(rhythm[:, 1]) == pytest.approx(10, abs=0.05)
    fine, bold = (c for c in axes.collections if isinstance(c, LineCollection))
    for grid, step in ((fine, 1), (bold, 5)):
        lines = [path.vertices for path in grid.get_paths()]
        upright = sorted({xy[0, 0] for xy in lines if np.ptp(xy[:, 0]) == 0})
        np.testing.assert_allclose(np.diff(upright), step)


def test_size_in_the_files_is_in_millimetres(tmp_path):
    figure = plot.plot_ecg(make(), tmp_path / "a.svg")
    plot.plot_ecg(make(), tmp_path / "a.pdf")
    width, height = figure.get_size_inches() * 25.4
    svg = re.search(
        r'width="([\d.]+)pt" height="([\d.]+)pt"|height="([\d.]+)pt"[^>]*width="([\d.]+)pt"',
        (tmp_path / "a.svg").read_text(),
    )
    sides = sorted(float(g) for g in svg.groups() if g)
    np.testing.assert_allclose(np.array(sides) / 72 * 25.4, sorted((width, height)), rtol=1e-4)
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", (tmp_path / "a.pdf").read_bytes())
    np.testing.assert_allclose([float(g) / 72 * 25.4 for g in box.groups()], (width, height), rtol=1e-4)


def test_all_that_a_reader_expects_is_on_it():
    report = "vorhofflimmern, überwiegend normales $ekg$ \n" + 80 * "lang und breit "
    ecg = make(report=report, info={"synthetic": True})
    on_it = texts(plot.plot_ecg(ecg))
    assert set(LEADS) <= set(on_it) and on_it.count("II") == 2
    whole = " ".join(on_it)
    for words in (
        "made-up",
        "63 years",
        "female",
        "heart rate 75/min",
        "25 mm/s",
        "10 mm/mV",
        "$ekg$",
        "…",
        "SYNTHETIC - not for diagnosis",
    ):
        assert words in whole
    assert "SYNTHETIC" not in " ".join(texts(plot.plot_ecg(make())))


def test_layouts():
    assert len(traces(plot.plot_ecg(make(), layout="3x4"))) == 13
    assert len(traces(plot.plot_ecg(make(), layout="12x1"))) == 12
    few = plot.plot_ecg(make().select(("V2", "I")))
    assert len(traces(few)) == 2 and texts(few)[:2] == ["V2", "I"]
    quarter = traces(plot.plot_ecg(make()))[1]  # aVR from 2.5 s on
    assert np.ptp(quarter[:, 0]) == pytest.approx(62.5, abs=0.2)
    with pytest.raises(ValueError, match="3x4, 12x1"):
        plot.plot_ecg(make(), layout="6x2")


ODD = {
    "short": make(2.5, 100.0),
    "long": make(30.0, 100.0),
    "1 kHz": make(10, 1000.0),
    "6 mV": make(height=6.0),
    "flat": make(height=0.0),
    "nothing known": make(age=None, sex=None, report=None, id=""),
    "no such glyph": make(report="\u4e2d\u6587 \x00 report"),
    "NaN": ECG(np.full((500, 12), np.nan), rate=100.0),
    "one unknown lead": ECG(np.zeros((1000, 1)), ("ECG",), 100.0),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_ecgs_are_drawn(name, tmp_path):
    plot.plot_ecg(ODD[name], tmp_path / "x.png", dpi=50)
    assert imread(tmp_path / "x.png").std() > 0


def test_too_long_or_too_short_is_refused():
    for ecg in (make(130, 20.0), ECG(np.zeros((1, 12)))):
        with pytest.raises(ValueError, match="cannot be drawn on one sheet"):
            plot.plot_ecg(ecg)


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_same_ecg_same_bytes_and_no_rubbish(ending, tmp_path):
    ecg = make(5.0)
    plot.plot_ecg(ecg, tmp_path / f"a.{ending}")
    plot.plot_ecg(ecg, tmp_path / f"b.{ending}")
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a.{ending}", f"b.{ending}"]


def test_threads_do_not_disturb_each_other(tmp_path):
    ecg = make(3.0)
    before = dict(matplotlib.rcParams)
    jobs = [threading.Thread(target=plot.plot_ecg, args=(ecg, tmp_path / f"{i}.png")) for i in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert len({(tmp_path / f"{i}.png").read_bytes() for i in range(4)}) == 1
    assert dict(matplotlib.rcParams) == before


def test_bad_ending_or_failure_leaves_nothing(tmp_path, monkeypatch):
    for call in (lambda p: plot.plot_ecg(make(), p), lambda p: plot.overlay(make(), make(), p)):
        with pytest.raises(ValueError, match="picture ends in .png, .pdf, .svg"):
            call(tmp_path / "a.jpeg")
    monkeypatch.setattr(plot.os, "replace", lambda a, b: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        plot.plot_ecg(make(3.0), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("layout", "count"), [("3x4", 13), ("12x1", 12)])
def test_a4_is_true_to_scale_and_every_sheet_alike(layout, count):
    low, tall = (plot.plot_a4(make(height=h), "Page 7", ("a", "b"), "c", layout) for h in (0.2, 3.0))
    np.testing.assert_allclose(low.get_size_inches() * 25.4, plot.A4)
    assert len(traces(low)) == count
    rhythm = traces(tall)[-1] if layout == "3x4" else traces(tall)[1]  # lead II, R of 3 mV
    assert np.ptp(rhythm[:, 0]) == pytest.approx(250, abs=0.2) and rhythm[:, 0].max() < plot.A4[0] - 10
    assert np.ptp(rhythm[:, 1]) == pytest.approx(30, abs=0.2)
    for a, b in zip(traces(low), traces(tall), strict=True):
        assert np.median(a[:, 1]) == pytest.approx(np.median(b[:, 1]), abs=0.1)
    assert texts(low) == texts(tall) and texts(low)[-4:] == ["Page 7", "a", "b", "c"]
    assert "made-up" not in " ".join(texts(low))
    with pytest.raises(ValueError, match="crop it to 10.4 s or less"):
        plot.plot_a4(make(11))
    with pytest.raises(ValueError, match="3x4, 12x1"):
        plot.plot_a4(make(), layout="6x2")


def test_pages_are_one_file_the_same_bytes_or_none(tmp_path):
    for name in ("a", "b"):
        plot.save_pages((plot.plot_a4(make(3.0), f"Page {i}") for i in range(3)), tmp_path / f"{name}.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes().count(b"/Type /Page ") == 3
    with pytest.raises(ZeroDivisionError):
        plot.save_pages((plot.plot_a4(make(3.0), str(1 / (1 - i))) for i in range(3)), tmp_path / "c.pdf")
    with pytest.raises(ValueError, match="ends in .pdf"):
        plot.save_pages([], tmp_path / "c.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pdf", "b.pdf"]


def test_overlay(tmp_path):
    ecg = make()
    rebuilt = ecg.select(reversed(LEADS))
    rebuilt = rebuilt.replace(signal=0.9 * rebuilt.signal)
    figure = plot.overlay(ecg, rebuilt, tmp_path / "o.png")
    assert imread(tmp_path / "o.png").std() > 0
    panels = {axes.get_title(loc="left").split()[0]: axes for axes in figure.axes}
    assert set(panels) == set(LEADS)
    for lead, axes in panels.items():
        assert "r 1.000" in axes.get_title(loc="left")
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), ecg.lead(lead))
        np.testing.assert_array_equal(axes.lines[1].get_ydata(), rebuilt.lead(lead))
    with pytest.raises(ValueError, match="2500 samples at 250 Hz do not match 1250"):
        plot.overlay(ecg, rebuilt.crop(0, 5))
