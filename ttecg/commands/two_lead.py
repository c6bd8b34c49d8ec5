"""`ttecg two-lead` and `ttecg evaluate two-lead`: twelve leads from leads I and II of different times."""

import dataclasses
import json
import pathlib
from typing import Literal

from ttecg.commands import Optional, check_results, check_seed, record_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoLead:
    """Makes a clean 12-lead ECG from a lead I and a lead II that were recorded at different times.

    The result has the time base, length and sampling rate of lead I. --out gets a WFDB record, its picture on ECG
    paper, a line in manifest.jsonl and, where the record of lead I holds all twelve leads, a picture of the
    reconstruction over the original.
    """

    examples = ("ttecg two-lead --lead-i watch/first --lead-ii watch/second --out out/twelve",)

    # record with lead I (WFDB, .csv or .npz); it may hold other leads, which are not looked at
    lead_i: pathlib.Path
    # record with lead II, of the same person, from another time; its rate and length may differ
    lead_ii: pathlib.Path
    # new folder for the results
    out: pathlib.Path
    # a model of the package by name, a bundle's folder, or a work directory of `ttecg train two-lead`
    model: str = "two-lead"
    # leave lead I as it was recorded, noise and all, instead of cleaning it
    keep_input: bool = False
    # write no pictures
    no_pictures: bool = False
    # kind of pictures
    picture_format: Literal["png", "pdf", "svg"] = "png"

    def run(self) -> None:
        from ttecg.data.files import read_ecg
        from ttecg.export import check_out

        check_out(self.out)
        lead_i, lead_ii = read_ecg(self.lead_i), read_ecg(self.lead_ii)
        from ttecg.runtime import keep_compiled_programs
        from ttecg.two_lead import load, only

        only(lead_i, "I"), only(lead_ii, "II")  # before the model is loaded
        keep_compiled_programs()
        model = load(self.model)
        made = model.reconstruct(lead_i, lead_ii, self.keep_input)
        name = record_name(lead_i.id or self.lead_i.stem)
        files = self._write(model, lead_i, lead_ii, made.replace(id=name), name)
        print(f"12 leads, {made.duration:g} s at {made.rate:g} Hz, in {self.out}: {', '.join(files)}")

    def _write(self, model, lead_i, lead_ii, made, name: str) -> list[str]:
        import ttecg
        from ttecg.data.files import write_ecg
        from ttecg.data.staged import staged_folder
        from ttecg.export import MANIFEST, WARNING

        origin = {
            "name": name,
            "lead_i": lead_i.id,
            "lead_ii": lead_ii.id,
            "lead_i_kept": self.keep_input,
            "seconds": made.duration,
            "rate": made.rate,
            "model": model.name,
            "model_hash": model.hash,
            "ttecg": ttecg.__version__,
        }
        comments = [
            WARNING,
            f"Made from lead I of {lead_i.id} and lead II of {lead_ii.id}; lead I is "
            + ("as recorded" if self.keep_input else "cleaned"),
            f"Model: {model.name}, hash {model.hash}, ttecg {ttecg.__version__}",
        ]
        with staged_folder(self.out) as folder:
            write_ecg(made, folder / name, comments)
            if not self.no_pictures:
                self._draw(model, lead_i, made, folder / name)
            (folder / MANIFEST).write_text(json.dumps(origin, ensure_ascii=False) + "\n", encoding="utf-8")
            return sorted(path.name for path in folder.iterdir())

    def _draw(self, model, lead_i, made, base: pathlib.Path) -> None:
        from ttecg.ecg import LEADS
        from ttecg.plot import LONGEST, overlay, plot_ecg

        shown = made.crop(0, LONGEST) if made.duration > LONGEST else made
        plot_ecg(shown, base.with_name(f"{base.name}.{self.picture_format}"))
        if set(LEADS) <= set(lead_i.leads):
            original, rebuilt = (e.select(LEADS).bandpass(*_band(model, made.rate)) for e in (lead_i, made))
            overlay(
                original.replace(id=made.id),
                rebuilt,
                base.with_name(f"{base.name}-original.{self.picture_format}"),
            )


def _band(model, rate: float) -> tuple[float, float]:
    low, high = model.config.band
    return low, min(high, 0.45 * rate)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateTwoLead:
    """Scores twelve leads made from two of different times, beside models that see lead I alone or both at once."""

    examples = ("ttecg evaluate two-lead --model two-lead --data data/ptbxl-500 --out out/two-lead",)

    # a bundle's name or folder, or a work directory of `ttecg train two-lead`
    model: str = "two-lead"
    # prepared set
    data: pathlib.Path
    # which part of it
    split: str = "test"
    # reconstructors to set beside it (`ttecg reconstruct --model`), on lead I alone and on I and II of one time
    against: tuple[str, ...] = ("unet", "ridge")
    # of the noise and of the bootstrap
    seed: int = 0
    # folder for the figures and the plot; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        check_seed(self.seed)
        check_results(self.out)
        from ttecg.evaluate.two_lead import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        evaluate(self.model, self.data, self.split, self.against, self.seed, self.out)
