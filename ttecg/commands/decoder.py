"""`ttecg evaluate decoder`: HiFi-GAN beside the tokenizer's own decoder."""

import dataclasses
import pathlib

from ttecg.commands import Optional, check_results, check_seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateDecoder:
    """Lays a HiFi-GAN beside the tokenizer's own decoder: both write the same codes of recorded ECGs and of reports.

    --out gets decoder.json and, where --decoder is a work directory, the curves of its training.
    """

    examples = (
        "ttecg evaluate decoder --model demo --decoder runs/decoder --data data/ptbxl-500 --out out/decoder",
    )

    # prepared set with reports
    data: pathlib.Path
    # a work directory of `ttecg train decoder`, or a bundle with a HiFi-GAN
    decoder: str
    # a text-to-ECG bundle's name or folder, whose codes are decoded
    model: str = "demo"
    # which part of --data; best what neither was trained on
    split: str = "test"
    # encoder whose features sets are compared by
    encoder: str = "encoder"
    # compare no ECGs of the generator's codes, which take longest; --data then needs no reports
    no_generated: bool = False
    # of the random choices
    seed: int = 0
    # folder for the figures; printed only unless given
    out: Optional[pathlib.Path] = None

    def run(self) -> None:
        from ttecg.data.dataset import describe

        describe(self.data)
        check_seed(self.seed)
        check_results(self.out)
        from ttecg.evaluate.decoder import evaluate
        from ttecg.runtime import keep_compiled_programs

        keep_compiled_programs()
        generated = not self.no_generated
        evaluate(
            self.model, self.decoder, self.data, self.split, self.encoder, generated, self.seed, self.out
        )
