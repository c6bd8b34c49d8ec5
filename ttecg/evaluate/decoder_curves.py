"""The curves of a decoder's training, from the log of its work directory and of the run that it started from."""

import json
import pathlib

from matplotlib.figure import Figure

from ttecg import bundle, plot

_PANELS = (
    ("absolute error, spreads", ("l1",)),
    ("linear STFT", ("spectral", "val_spectral")),
    ("judges and generator", ("judge", "adversarial", "features")),
    ("validation r", ("val_r",)),
)


def draw_curves(workdir, out) -> list[pathlib.Path]:
    """Writes out/curves-NAME.png for the run, where `workdir` is one, and for the run that it took its weights from;
    returns what was written."""
    files = []
    while bundle.task_of(workdir) == "DecoderTraining":
        workdir = pathlib.Path(workdir)
        files.append(pathlib.Path(out) / f"curves-{workdir.name}.png")
        _draw((workdir / "log.jsonl").read_text().splitlines(), workdir.name, files[-1])
        workdir = bundle.workdir_config(workdir, "DecoderTraining")["init"]
    return files


def _draw(lines: list[str], title: str, path: pathlib.Path) -> None:
    rows = [json.loads(line) for line in lines]
    there = [(name, keys) for name, keys in _PANELS if any(k in row for k in keys for row in rows)]
    figure = Figure((3.6 * len(there), 3), facecolor="white", layout="constrained")
    for axes, (name, keys) in zip(figure.subplots(1, len(there), squeeze=False)[0], there):
        for key in keys:
            points = [(row["step"], row[key]) for row in rows if key in row]
            if points:
                axes.plot(*zip(*points), linewidth=0.9, label=key)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7)
    figure.suptitle(title, fontsize=9)
    plot.save(figure, path, 100)
