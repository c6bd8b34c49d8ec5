"""Trains the SentencePiece model of report text.

    ttecg train text-tokenizer --config configs/text_tokenizer.py --workdir runs/text

Reports are first brought to canonical English (data.reports). Every finding that has a name is one piece.
"""

import dataclasses
import io
import pathlib

import numpy as np
import sentencepiece as spm

from ttecg.data import batches, reports
from ttecg.data.findings import FINDINGS
from ttecg.data.simulator import draw_findings
from ttecg.train.config import open_workdir, write_bytes

FILE = "text.model"


@dataclasses.dataclass(frozen=True)
class TextTokenizerTraining:
    """Everything that defines the text tokenizer."""

    # CSV files with a column `report` (and strat_fold, of which 1-8 are used); what pieces are learned from
    tables: tuple[str, ...] = ()
    # prepared sets whose reports are used, as for the other trainers
    sources: tuple[str, ...] = ("simulator",)
    # most pieces there may be; fewer come out where the text has fewer
    vocab: int = 2000
    seed: int = 0

    def __post_init__(self):
        if not 300 <= self.vocab <= 3000:
            raise ValueError(f"vocab must be between 300 and 3000, got {self.vocab}")


def run(config: TextTokenizerTraining, workdir, resume: bool = False):
    """Writes workdir/text.model. Same text, same bytes (one thread, no shuffling)."""
    texts = sorted(set(_texts(config)))
    model = train(texts, config.vocab)
    workdir = open_workdir(workdir, config, resume)
    write_bytes(workdir / FILE, model)
    size = spm.SentencePieceProcessor(model_proto=model).vocab_size()
    print(f"{workdir / FILE}: {size} pieces from {len(texts)} different reports")
    return workdir / FILE


def _texts(config):
    for table in config.tables:
        yield from (reports.canonical(r) for r in reports.read_reports(table, folds=range(1, 9)) if r.strip())
    for source in config.sources:
        source = batches.Source.parse(source)
        if source.path.partition(":")[0] == "simulator":
            rng = np.random.default_rng(config.seed)
            yield from (reports.canonical(". ".join(draw_findings(rng))) for _ in range(2000))
        else:
            records = source.open("train")
            yield from (
                reports.canonical(r)
                for r in (records[i].report for i in range(len(records)))
                if r and r.strip()
            )


def train(texts: list[str], vocab: int) -> bytes:
    """A SentencePiece unigram model (bytes) of at most `vocab` pieces, each finding's name a piece of its own.
    ValueError where there is no text, or `vocab` is less than its characters, the findings and 256 bytes need."""
    if not texts:
        raise ValueError("there is no report to learn text pieces from; name tables or sources with reports")
    out = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=out,
            vocab_size=vocab,
            hard_vocab_limit=False,
            user_defined_symbols=[name.replace(" ", "\u2581") for name in FINDINGS],
            byte_fallback=True,
            character_coverage=1.0,
            split_digits=True,
            num_threads=1,
            shuffle_input_sentence=False,
            input_sentence_size=0,
            minloglevel=2,
            pad_id=-1,
            bos_id=-1,
            eos_id=-1,
            unk_id=0,
        )
    except RuntimeError as error:
        raise ValueError(f"no {vocab} text pieces can be made of {len(texts)} reports: {error}") from None
    return out.getvalue()


def load(path) -> bytes:
    """The model's bytes, from a .model file, a directory that holds text.model, or a bundle that ships, by its name.
    ValueError where there is none."""
    from ttecg.bundle import shipped

    path = shipped(path) or pathlib.Path(path)
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise ValueError(
            f"no text tokenizer at {path}; train one: ttecg train text-tokenizer --config "
            f"configs/text_tokenizer.py --workdir {path}"
        )
    return file.read_bytes()
