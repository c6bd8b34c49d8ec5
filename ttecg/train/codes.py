"""Codes of every training ECG, extracted once: what a generator is trained on, kept in `workdir/codes-*.npz`.

A recorded ECG gives `variants` examples: as it is, then with its axis turned, its gain changed and its pauses
stretched (never across the borders of brady- and tachycardia, so that the report stays true). A simulated one
gives one.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable

import jax
import numpy as np
import tqdm

from ttecg.bundle import digest
from ttecg.data import augment, reports
from ttecg.data.batches import Source
from ttecg.data.beats import r_peaks
from ttecg.data.findings import FINDINGS, PHRASE_OF_SCP
from ttecg.data.prompt import Prompt
from ttecg.ecg import ECG, SEXES
from ttecg.models import beat_plan
from ttecg.models.layout import lay_out_batch, window
from ttecg.train import distributed, usual
from ttecg.train.tokenizer import prepare_signal

_RATE_CLASSES = (0.0, 60.0, 100.0, 400.0)  # bradycardia, normal, tachycardia: per minute
_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class Examples:
    """Arrays of one source: codes (M, N, Q) uint16, plans (M, R) int16, and what prompts are made of."""

    codes: np.ndarray
    plans: np.ndarray
    reports: np.ndarray  # (M,) canonical report text, "" where there is none
    statements: np.ndarray  # (M,) canonical text of the labels
    age: np.ndarray  # (M,) years, nan unknown
    sex: np.ndarray  # (M,) index into SEXES, -1 unknown
    heart_rate: np.ndarray  # (M,) per minute, nan unknown
    simulated: np.ndarray  # (M,) bool
    # of a drafting generator, None for others
    peaks: np.ndarray | None = None  # (M, R) float32 seconds of the R peaks, infinite past the last one
    kinds: np.ndarray | None = None  # (M, R) uint8 kind of each beat
    measures: np.ndarray | None = None  # (M, measures) uint8 bins
    usual: np.ndarray | None = None  # (M, K, C) uint8 components of the usual beat of each kind
    draft: np.ndarray | None = None  # (M, N, Q) uint16 codes of the usual beats laid out over the R peaks

    def __len__(self) -> int:
        return len(self.codes)

    def prompt(self, index: int, statement: bool = False, plain: bool = True) -> Prompt:
        """The prompt of one example, from its report or (statement=True, or where it has none) from its labels; plain:
        without words that no phrase explains."""
        first, second = self.reports[index], self.statements[index]
        age, rate, sex = self.age[index], self.heart_rate[index], self.sex[index]
        text = str((second or first) if statement else (first or second))
        return Prompt(
            report=_understood(text) if plain else text,
            age=None if np.isnan(age) else float(age),
            sex=SEXES[sex] if sex >= 0 else None,
            heart_rate=None if np.isnan(rate) else float(np.clip(rate, 20, 250)),
            origin="simulated" if self.simulated[index] else "recorded",
        )

    def rarity(self, exponent: float, least: int = 0) -> np.ndarray:
        """(M,) sampling weights: the mean of an example's phrases' frequency ** -exponent, at most 4-fold. Recorded
        examples with a finding that fewer than `least` recorded ones have weigh nothing: they would be learned by
        heart."""
        phrases = [set(f"{a}. {b}".split(". ")) - {""} for a, b in zip(self.reports, self.statements)]
        count = _counts(phrases)
        rare = {p: (max(n, len(self) / 200) / len(self)) ** -exponent for p, n in count.items()}
        weights = np.array([np.mean([rare[p] for p in sorted(group)]) if group else 1.0 for group in phrases])
        recorded = _counts(group for group, made in zip(phrases, self.simulated) if not made)
        alone = {p for p, n in recorded.items() if n < least and p in FINDINGS}
        known = np.array([made or not group & alone for group, made in zip(phrases, self.simulated)])
        return np.minimum(weights / weights.min(), 4.0) * known


def _counts(groups) -> dict[str, int]:
    count: dict[str, int] = {}
    for group in groups:
        for phrase in group:
            count[phrase] = count.get(phrase, 0) + 1
    return count


@functools.lru_cache(maxsize=65_536)
def _understood(text: str) -> str:
    return reports.understood(text)


def extract(
    text: str, split: str, tokenizer, variants: int, seed: int, cache, limit: int | None = None, basis=None
) -> Examples:
    """The examples of source `text` ("PATH@WEIGHT"), from the cache, or made by the main process and put there.

    tokenizer: a `bundle.LoadedTokenizer`. limit: only the first so many records. basis: a `BeatBasis`, for what a
    drafting generator needs.
    """
    source = Source.parse(text)
    key = [
        source.path,
        split,
        tokenizer.hash,
        variants,
        seed,
        source.fingerprint(),
        *([limit] if limit else []),
        *([digest(vars(basis), "")] if basis else []),
    ]

    def make():
        found = vars(_make(source, split, tokenizer, variants, seed, limit, basis))
        return {k: v for k, v in found.items() if v is not None}

    return Examples(**cached(cache, key, make))


def cached(cache, key: list, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of `codes-HASH.npz` in a directory, the hash that of `key` (JSON data); the main process makes them
    where they are not there yet."""
    path = pathlib.Path(cache) / f"codes-{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.npz"

    def store():
        if not path.exists():
            scratch = path.with_suffix(".tmp.npz")
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(scratch, **make())
            os.replace(scratch, path)

    distributed.by_main(store)
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _make(source: Source, split: str, tokenizer, variants, seed: int, limit: int | None, basis) -> Examples:
    records = source.open(split)
    count = 1 if source.simulated or split != "train" else variants
    rows, parts, waiting = [], [], []
    for number in tqdm.tqdm(
        range(min(len(records), limit or len(records))),
        desc=f"codes of {source.path} {split}",
        unit="ECG",
        mininterval=1,
    ):
        ecg = records[number]
        about = _about(ecg, source.simulated)
        for signal, peaks in variants_of(ecg, tokenizer.config, count, (seed, number)):
            rows.append(about | _timing(peaks / tokenizer.config.rate))
            waiting.append((signal, peaks))
            if len(waiting) == _CHUNK:
                parts.append(_coded(waiting, tokenizer, basis))
                waiting = []
    if waiting:
        parts.append(_coded(waiting, tokenizer, basis))
    columns = {name: np.array([r[name] for r in rows]) for name in rows[0]}
    return Examples(**columns, **{k: np.concatenate([p[k] for p in parts]) for k in parts[0]})


def _coded(some: list, tokenizer, basis) -> dict[str, np.ndarray]:
    """What is made of signals and their peaks: codes, and with a basis beats, draft and numbers."""
    signals = np.stack([x for x, _ in some])
    found = {"codes": tokenizer.encode(signals).astype(np.uint16)}
    return found if basis is None else found | _drafted(some, tokenizer, basis)


def _drafted(some: list, tokenizer, basis) -> dict[str, np.ndarray]:
    c, slots = tokenizer.config, beat_plan.SLOTS
    found = usual.of(some, c.rate)
    coordinates = basis.encode(found.beats.reshape(-1, *found.beats.shape[2:]))
    peaks, kinds = np.full((len(some), slots), np.inf, np.float32), np.zeros((len(some), slots), np.uint8)
    for i, ((_, p), k) in enumerate(zip(some, found.kinds)):
        count = min(len(p), slots - 1)
        peaks[i, :count], kinds[i, :count] = p[:count] / c.rate, k[:count]
    decoded = usual.from_form(basis.decode(coordinates).reshape(found.beats.shape), found.numbers, c.rate)
    draft = np.asarray(lay_out_batch(decoded, peaks, kinds, c.samples, c.rate, window(c.rate)[0]))
    return {
        "peaks": peaks,
        "kinds": kinds,
        "measures": found.numbers,
        "usual": coordinates.reshape(*found.beats.shape[:2], -1),
        "draft": tokenizer.encode(draft).astype(np.uint16),
    }


def _about(ecg: ECG, simulated: bool) -> dict:
    likelihoods = ecg.info.get("likelihoods") or (100.0,) * len(ecg.labels)
    codes = {code: p for code, p in zip(ecg.labels, likelihoods) if code in PHRASE_OF_SCP}
    said = reports.canonical(ecg.report) if ecg.report and ecg.report.strip() else ""
    coded = reports.from_scp(codes) if codes else ""
    return {
        "reports": "" if said == reports.NOTHING else said,
        "statements": "" if coded == reports.NOTHING else coded,
        "age": np.nan if ecg.age is None else ecg.age,
        "sex": -1 if ecg.sex is None else SEXES.index(ecg.sex),
        "simulated": simulated,
    }


def _timing(peaks_s: np.ndarray) -> dict:
    rate = 60 / np.median(np.diff(peaks_s)) if len(peaks_s) > 1 else np.nan
    return {"plans": beat_plan.encode(peaks_s).astype(np.int16), "heart_rate": rate}


def variants_of(ecg: ECG, config, count: int, seed: tuple[int, int]):
    """(signal (T, 8) float32, peaks in samples) of each variant, at the tokenizer's rate and length."""
    known = ecg.info.get("r_peaks")
    peaks = np.asarray(r_peaks(ecg) if known is None else known) * config.rate / ecg.rate
    whole = prepare_signal(ecg, config)
    yield whole[: config.samples], peaks[peaks < config.samples]
    for variant in range(1, count):
        rng = np.random.default_rng((*seed, variant))
        x = augment.random_gain(augment.random_rotation(whole, rng), rng)
        x, moved = augment.retime(
            x,
            np.round(peaks).astype(int),
            config.rate,
            config.samples,
            rng,
            _stretch(peaks, config.rate, rng),
        )
        yield x.astype(np.float32), moved


def _stretch(peaks: np.ndarray, rate: float, rng: np.random.Generator) -> float:
    """About one, such that the heart rate stays in its class."""
    stretch = float(np.exp(rng.normal(0, 0.1)))
    if len(peaks) < 2:
        return stretch
    heart_rate = 60 * rate / np.median(np.diff(peaks))
    low = max(b for b in _RATE_CLASSES if b <= heart_rate)
    high = min(b for b in _RATE_CLASSES if b > heart_rate)
    return float(np.clip(stretch, heart_rate / (high - 0.5), heart_rate / (low + 0.5)))


def normalised_code_vectors(vectors_QxKxD: np.ndarray, codes_MxNxQ: np.ndarray):
    """Code vectors divided by the spread (root mean square) of their sums over the training codes: unit latents."""
    sample = codes_MxNxQ[:: max(1, len(codes_MxNxQ) // 500)].astype(int)
    sums = sum(vectors_QxKxD[q][sample[..., q]] for q in range(sample.shape[-1]))
    return jax.numpy.asarray(vectors_QxKxD / np.sqrt(np.mean(sums**2)), jax.numpy.float32)
