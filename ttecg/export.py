"""Generated ECGs as files: a WFDB record and a picture each, and one manifest that says how they came about.

    write_generated([(Origin(...), ecg), ...], "out/af")

The folder is complete or absent, and nothing in it depends on when or where it was made.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterable

from ttecg.data.files import write_ecg
from ttecg.data.numbers import NUMBERS, asked
from ttecg.ecg import ECG, LEADS

RATE = 500.0
MANIFEST = "manifest.jsonl"
WARNING = "SYNTHETIC: made by a model, not recorded from a person. Not for diagnosis."


@dataclasses.dataclass(frozen=True)
class Origin:
    """How one ECG came about: a line of the manifest.

    name: of its files. report: as typed; prompt: as the model read it. age in years, heart_rate per minute, pr_ms,
    qrs_ms, qt_ms, axis_deg, and rr, the RR intervals in seconds, are what was asked for, in the report or beside it;
    None where nothing was. seed and index: the index-th ECG of that seed, from 0. sampling: temperature and the like,
    None for the model's own. model_hash: of the model's files, hex.
    """

    name: str
    report: str
    prompt: str
    age: float | None
    sex: str | None
    heart_rate: float | None
    pr_ms: float | None
    qrs_ms: float | None
    qt_ms: float | None
    axis_deg: float | None
    rr: tuple[float, ...] | None
    seed: int
    index: int
    sampling: dict
    model: str
    model_hash: str
    ttecg: str

    def line(self, folder: str = "") -> str:
        """Its line of the manifest, where the record lies in this folder beside the manifest."""
        return json.dumps(dataclasses.asdict(self) | {"name": folder + self.name}, ensure_ascii=False) + "\n"

    def comments(self) -> list[str]:
        """Lines for the head of the WFDB record."""
        numbers = ", ".join(f"{name} {value:g} {NUMBERS[name][2]}" for name, value in asked(self).items())
        beats = f"RR intervals asked for, s: {' '.join(f'{s:.3f}' for s in self.rr)}" if self.rr else ""
        chosen = ", ".join(f"{name} {value:g}" for name, value in self.sampling.items() if value is not None)
        return [
            WARNING,
            f"Prompt: {self.prompt}",
            *filter(None, (numbers and f"Asked for: {numbers}", beats)),
            f"Model: {self.model}, hash {self.model_hash}, ttecg {self.ttecg}",
            f"Seed: {self.seed}, index {self.index}" + (f", {chosen}" if chosen else ""),
        ]


def origin_of(request, ecg: ECG, drawn: tuple[int, int], rr, sampling: dict, model) -> Origin:
    """How an ECG came about that a model made of a request (a `commands.requests.Request`); drawn: (seed, index),
    rr and sampling: as in `Origin`."""
    import ttecg

    seed, index = drawn
    return Origin(
        name=f"{request.name}-{index + 1:04d}",
        report=request.report,
        prompt=ecg.info["prompt"],
        age=request.age,
        sex=request.sex,
        **{name: ecg.info.get(name) for name in NUMBERS},
        rr=rr,
        seed=seed,
        index=index,
        sampling=sampling,
        model=model.name,
        model_hash=model.hash,
        ttecg=ttecg.__version__,
    )


def check_out(out) -> pathlib.Path:
    """`out` as a path, if a new folder can be made there; ValueError where something is in the way."""
    out = check_folder(out)
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"--out {out} is not empty; give a new folder")
    return out


def check_folder(out) -> pathlib.Path:
    """`out` as a path, if it is a folder to write into or one can be made there; ValueError where not."""
    out = pathlib.Path(out)
    if not out.is_dir() and (out.exists() or out.is_symlink()):
        raise ValueError(f"--out {out} is a file; give a folder")
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"--out {out}: cannot write in {there}")
    return out


def write_generated(ecgs: Iterable[tuple[Origin, ECG]], out, picture: str | None = "png") -> list[Origin]:
    """Writes NAME.hea and NAME.dat (int16, 12 leads, 500 Hz, mV) and the picture NAME.png, .pdf or .svg
    (None: no picture) of every ECG, and manifest.jsonl, into the new or empty folder `out`. Returns what was
    written.

    ValueError where `out` holds something or two ECGs have one name; nothing is left behind by a failure."""
    out, written = check_out(out), {}
    with _new_folder(out) as folder, open(folder / MANIFEST, "w", encoding="utf-8", newline="\n") as manifest:
        for origin, ecg in ecgs:
            if origin.name in written:
                raise ValueError(f"two ECGs are called {origin.name!r}; give each its own name")
            write_one(origin, ecg, folder, picture)
            manifest.write(origin.line())
            written[origin.name] = origin
        if not written:
            raise ValueError("there is no ECG to write")
    return list(written.values())


def write_one(origin: Origin, ecg: ECG, folder: pathlib.Path, picture: str | None):
    """The WFDB record of one ECG and its picture (None: no picture), in `folder`."""
    ecg = _presentable(ecg, origin)
    write_ecg(ecg, folder / origin.name, origin.comments())
    if picture:
        from ttecg.plot import plot_ecg

        plot_ecg(ecg, folder / f"{origin.name}.{picture}")


def _presentable(ecg: ECG, origin: Origin) -> ECG:
    """Twelve leads in standard order at 500 Hz, with what was asked for as what is known of the patient."""
    ecg = ecg.select(LEADS).resample(RATE)
    return ecg.replace(
        id=origin.name,
        age=origin.age,
        sex=origin.sex,
        report=origin.report,
        labels=(),
        info={"synthetic": True},
    )


@contextlib.contextmanager
def _new_folder(out: pathlib.Path):
    """A hidden folder whose files appear in `out` on success, and which vanishes with all else on failure."""
    out = out.absolute()
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    folder = out / f".partial-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir()
        yield folder
        for file in sorted(folder.iterdir(), key=lambda file: file.name == MANIFEST):  # the manifest last
            os.replace(file, out / file.name)
        folder.rmdir()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        for made in missing:  # the innermost first; those that hold something are kept
            with contextlib.suppress(OSError):
                made.rmdir()
        raise
