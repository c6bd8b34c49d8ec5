"""Prompts: a report and what is known of the patient, as ids for a transformer.

    [BOS] [origin] [sex] [age] [heart rate] text pieces ...

Ids 0..103 are conditions, 104 and up SentencePiece pieces. Each condition has ids of its own and an "unknown" id.
"origin" says whether an ECG was recorded from a person or simulated; generation asks for recorded ones.
"""

import dataclasses
import pathlib

import numpy as np
import sentencepiece as spm

from ttecg.data.numbers import NUMBERS, asked
from ttecg.data.reports import canonical
from ttecg.ecg import SEXES

PAD, BOS = 0, 1
TEXT = 104  # first id of a text piece; ids below it that no condition uses are spare
BUCKET = 16  # prompts are padded to a multiple of this, so that few lengths are compiled
CONDITIONS = ("origin", "sex", "age", "heart_rate")
ORIGINS = ("recorded", "simulated")
_RATES = np.arange(30, 225, 5)  # centres of the heart-rate bands, per minute
_FIRST = {"origin": 2, "sex": 5, "age": 8, "heart_rate": 19}  # the "unknown" id of each condition
END_OF_CONDITIONS = _FIRST["heart_rate"] + 1 + len(_RATES)


@dataclasses.dataclass(frozen=True)
class Prompt:
    """What is asked for. age in years, heart_rate per minute; None is "unknown"; an empty report says nothing.

    pr_ms, qrs_ms, qt_ms, axis_deg: of the usual beat, for drafting generators; they have no ids."""

    report: str = ""
    age: float | None = None
    sex: str | None = None
    heart_rate: float | None = None
    origin: str | None = "recorded"
    pr_ms: float | None = None
    qrs_ms: float | None = None
    qt_ms: float | None = None
    axis_deg: float | None = None

    def __post_init__(self):
        if self.age is not None and not 0 <= self.age <= 130:
            raise ValueError(f"age must be between 0 and 130 years, got {self.age:g}")
        if self.sex is not None and self.sex not in SEXES:
            raise ValueError(f"sex is 'male' or 'female' (or leave it out), got {self.sex!r}")
        for name, value in self.numbers.items():
            low, high, unit = NUMBERS[name]
            if not low <= value <= high:
                raise ValueError(
                    f"{name.replace('_', ' ')} must be between {low:g} and {high:g} {unit}, got {value:g}"
                )
        if self.origin is not None and self.origin not in ORIGINS:
            raise ValueError(f"origin is one of {', '.join(ORIGINS)}, got {self.origin!r}")

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that are asked for, by name."""
        return asked(self)

    def drop(self, rng: np.random.Generator, text: float, condition: float, partial: float = 0.0) -> "Prompt":
        """Left out at random: the text with probability `text`; age, sex and heart rate each with `condition`; with
        `partial`, each phrase of the text with one half, but not all."""
        gone = {name: None for name in ("age", "sex", "heart_rate") if rng.random() < condition}
        if rng.random() < text:
            gone["report"] = ""
        elif partial and rng.random() < partial:
            parts = self.report.split(". ")
            kept = rng.random(len(parts)) < 0.5
            kept[rng.integers(len(parts))] = True
            gone["report"] = ". ".join(part for part, stays in zip(parts, kept) if stays)
        return dataclasses.replace(self, **gone)


class PromptEncoder:
    """Prompts to ids. `model` is a SentencePiece model's bytes; `conditions` says which ids a prompt starts with."""

    def __init__(self, model: bytes, conditions: tuple[str, ...] = CONDITIONS, length: int = 64):
        unknown = set(conditions) - set(CONDITIONS)
        if unknown:
            raise ValueError(f"condition is one of {', '.join(CONDITIONS)}, got {sorted(unknown)[0]!r}")
        self.model, self.conditions, self.length = model, tuple(conditions), length
        self._pieces = spm.SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise ValueError(
                f"no SentencePiece model ({error}); train one with ttecg train text-tokenizer"
            ) from None

    @classmethod
    def load(cls, path, **options) -> "PromptEncoder":
        """From a .model file; ValueError where it cannot be used."""
        try:
            return cls(pathlib.Path(path).read_bytes(), **options)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None

    @property
    def vocab(self) -> int:
        """Number of ids."""
        return TEXT + self._pieces.vocab_size()

    def __call__(self, prompt: Prompt) -> np.ndarray:
        """Ids without padding, at most `length`; a longer text loses its end."""
        ids = [BOS] + [_condition_id(name, getattr(prompt, name)) for name in self.conditions]
        if prompt.report.strip():
            ids += [TEXT + i for i in self._pieces.encode(canonical(prompt.report))]
        return np.array(ids[: self.length], np.int32)

    def padded(self, prompts, length: int | None = None) -> np.ndarray:
        """(B, P) int32 ids padded on the right with 0, P the smallest bucket that holds all, or `length`."""
        rows = [self(p) for p in prompts]
        longest = max(len(r) for r in rows)
        width = length or min(-(-longest // BUCKET) * BUCKET, self.length)
        return np.stack([np.pad(r[:width], (0, width - min(len(r), width))) for r in rows])


def _condition_id(name: str, value) -> int:
    first = _FIRST[name]
    if value is None:
        return first
    if name == "origin":
        return first + 1 + ORIGINS.index(value)
    if name == "sex":
        return first + 1 + SEXES.index(value)
    if name == "age":
        return first + 1 + int(min(value, 99) // 10)
    return first + 1 + int(np.abs(_RATES - value).argmin())
