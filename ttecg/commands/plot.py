"""`ttecg plot`: a recording on ECG paper."""

import dataclasses
import pathlib
from typing import Annotated, Literal

from ttecg.commands import positional


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot:
    """Draws a recording on ECG paper, 25 mm/s and 10 mm/mV; a PDF or SVG prints true to scale."""

    examples = ("ttecg plot out/lbbb/ecg-0001 --out lbbb.pdf",)

    # a WFDB record (with or without .hea), or a .csv or .npz file
    record: Annotated[pathlib.Path, *positional("RECORD")]
    # the picture to write, by its ending .png, .pdf or .svg; a file of that name is replaced
    out: pathlib.Path
    # 3x4: three rows of four leads above a rhythm strip; 12x1: a row per lead
    layout: Literal["3x4", "12x1"] = "3x4"

    def run(self) -> None:
        if self.out.suffix.lower() not in (".png", ".pdf", ".svg"):
            raise ValueError(f"--out {self.out}: a picture ends in .png, .pdf or .svg")
        if self.out.is_dir() or not self.out.absolute().parent.is_dir():
            raise ValueError(f"--out {self.out}: give a file in a folder that exists")
        from ttecg.data.files import read_ecg

        ecg = read_ecg(self.record)
        from ttecg.plot import plot_ecg

        plot_ecg(ecg, self.out, self.layout)
        print(self.out)
