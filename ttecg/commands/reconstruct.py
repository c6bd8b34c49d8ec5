"""`ttecg reconstruct`: twelve leads from any few, for many recordings at once."""

import dataclasses
import json
import pathlib
from typing import Annotated, Literal

import tyro

from ttecg.commands import Optional, positional, record_name

_AT_ONCE = 64  # recordings in memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reconstruct:
    """Makes 12-lead ECGs of recordings of which only some leads may be looked at.

    Each result has the recording's length and sampling rate; the leads looked at come back sample for sample. --out
    gets a WFDB record each, with a picture (over the original, where it holds all twelve leads), and manifest.jsonl.
    """

    examples = (
        "ttecg reconstruct watch/0001 --leads I,II,V2 --out out/twelve",
        "ttecg reconstruct recordings/ --leads I,II --model ridge --no-pictures --out out/twelve",
    )

    # recordings (WFDB, .csv, .npz), or folders of them
    records: Annotated[tuple[pathlib.Path, ...], *positional("RECORD"), tyro.conf.arg(metavar="RECORD...")]
    # leads that may be looked at, as in I,II,V2; all that a recording holds unless given
    leads: Optional[str] = None
    # new folder for the results
    out: pathlib.Path
    # unet, ridge, dower, inverse-dower, kors, a bundle's folder, or a work directory of `ttecg train unet`
    model: str = "unet"
    # write no pictures
    no_pictures: bool = False
    # kind of pictures
    picture_format: Literal["png", "pdf", "svg"] = "png"

    def run(self) -> None:
        from ttecg.data.staged import staged_folder
        from ttecg.export import MANIFEST, check_out
        from ttecg.models.lead_maps import visible

        if not self.records:
            raise ValueError("name at least one recording, or a folder of them")
        check_out(self.out)
        leads = None if self.leads is None else tuple(filter(None, map(str.strip, self.leads.split(","))))
        if leads is not None:
            visible(leads)
        files = _names(file for record in self.records for file in _files(record))
        from tqdm import tqdm

        from ttecg.reconstruct import check, load
        from ttecg.runtime import keep_compiled_programs

        first = _read(next(iter(files.values())))
        check(first, leads)  # before the model is loaded
        keep_compiled_programs()
        model, names = load(self.model), list(files)
        with (
            staged_folder(self.out) as folder,
            open(folder / MANIFEST, "w", encoding="utf-8", newline="\n") as manifest,
            tqdm(total=len(names), desc="reconstructing", unit="ECG", disable=len(names) < 20) as bar,
        ):
            for i in range(0, len(names), _AT_ONCE):
                part = names[i : i + _AT_ONCE]
                ecgs = [_read(files[name]) for name in part]
                for name, ecg, made in zip(part, ecgs, model.reconstruct_many(ecgs, leads)):
                    self._write(folder / name, ecg, made, files[name])
                    manifest.write(json.dumps(_origin(name, files[name], made), ensure_ascii=False) + "\n")
                    bar.update()
        print(f"{len(names)} ECG{'s' * (len(names) > 1)} of 12 leads in {self.out}")

    def _write(self, base: pathlib.Path, ecg, made, file: pathlib.Path) -> None:
        from ttecg.data.files import write_ecg
        from ttecg.ecg import LEADS

        seen = made.info["reconstructed_from"].replace(",", ", ")
        what = (
            f"SYNTHETIC: what was looked at ({seen}) is of a synthetic or partly synthetic ECG"
            if ecg.info.get("synthetic")
            else f"PARTLY SYNTHETIC: only {seen} were looked at"
        )
        comments = [
            f"{what}, the other leads are a model's guess. Not for diagnosis.",
            f"Made from {file.name} by {made.info['model']}, hash {made.info['model_hash']}",
        ]
        made = made.replace(id=base.name)
        write_ecg(made, base, comments)
        if self.no_pictures:
            return
        from ttecg.plot import LONGEST, overlay, plot_ecg

        shown = made.crop(0, LONGEST) if made.duration > LONGEST else made
        picture = base.with_name(f"{base.name}.{self.picture_format}")
        if set(LEADS) <= set(ecg.leads):
            band = 0.67, min(40.0, 0.45 * ecg.rate)
            original = ecg.select(LEADS).crop(0, shown.duration)
            overlay(original.bandpass(*band).replace(id=base.name), shown.bandpass(*band), picture)
        else:
            plot_ecg(shown, picture)


def _origin(name: str, file: pathlib.Path, made) -> dict:
    import ttecg

    return {
        "name": name,
        "record": file.name,
        "visible": made.info["reconstructed_from"].split(","),
        "seconds": made.duration,
        "rate": made.rate,
        "model": made.info["model"],
        "model_hash": made.info["model_hash"],
        "ttecg": ttecg.__version__,
    }


def _read(file: pathlib.Path):
    from ttecg.data.files import read_ecg

    return read_ecg(file)


def _files(record: pathlib.Path) -> list[pathlib.Path]:
    """The recording itself, or those of a folder and the folders in it."""
    if not record.is_dir():
        return [record]
    found = sorted(f for f in record.rglob("*") if f.suffix in (".hea", ".csv", ".npz") and f.is_file())
    found = [f for f in found if f.suffix != ".csv" or not any(g.suffix == ".hea" for g in found)]
    if not found:
        raise ValueError(f"{record}: no recording (.hea, .csv, .npz) is in this folder")
    return found


def _names(files) -> dict[str, pathlib.Path]:
    """A name for each result, those of recordings of one name numbered."""
    named: dict[str, pathlib.Path] = {}
    for file in files:
        plain, number = record_name(file.stem), 1
        name = plain
        while name in named:
            number += 1
            name = f"{plain}-{number}"
        named[name] = file
    return named
