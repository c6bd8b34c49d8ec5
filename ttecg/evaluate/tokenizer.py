"""How much of an ECG survives the tokenizer: `ttecg evaluate tokenizer --model demo --data data/ptbxl-500`.

Scored at 500 Hz on all twelve leads against the recording band-passed as the base tokenizer's is (0.5-40 Hz), also
for a tokenizer that sees the raw recording; per record, then averaged, at every number of levels.
"""

import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ttecg import metrics
from ttecg.bundle import LoadedTokenizer, load_tokenizer
from ttecg.data.beats import r_peaks
from ttecg.data.dataset import open_dataset
from ttecg.ecg import ECG, LEADS, to_twelve
from ttecg.evaluate import report
from ttecg.models.vq import codebook_use
from ttecg.train.tokenizer import prepare_signal

BAND = (0.5, 40.0)
RATE = 500.0
_CHUNK = 16


def evaluate(model, data, split: str = "test", out=None) -> list[dict]:
    """One row per number of levels; prints the table, writes out/tokenizer.json. model: bundle or work directory."""
    tokenizer = load_tokenizer(model)
    records = open_dataset(data, split)
    if not len(records):
        raise ValueError(f"{data} has no record in its {split} split")
    ecgs = [records[i] for i in range(len(records))]
    originals = [e.select(LEADS).resample(RATE).bandpass(*BAND).signal for e in ecgs]
    peaks = [r_peaks(ECG(x, LEADS, RATE)) for x in originals]
    codes = encoded(tokenizer, ecgs)
    rows = [
        _row(tokenizer, codes[..., :levels], originals, peaks)
        for levels in range(1, tokenizer.config.levels + 1)
    ]
    print(f"{len(ecgs)} records, {split} split of {data}; tokenizer {model} ({tokenizer.hash})")
    print(report.table(rows))
    if out:
        about = {
            "model": str(model),
            "hash": tokenizer.hash,
            "data": str(data),
            "split": split,
            "records": len(ecgs),
        }
        report.save(out, "tokenizer", about, rows)
    return rows


def encoded(tokenizer: LoadedTokenizer, ecgs) -> np.ndarray:
    """(M, N, Q) codes of recordings."""
    config = tokenizer.config
    signals = [prepare_signal(e, config)[: config.samples] for e in ecgs]
    chunks = range(0, len(signals), _CHUNK)
    return np.concatenate(
        [
            tokenizer.encode(np.stack(signals[i : i + _CHUNK]))
            for i in tqdm(chunks, desc="encoding", disable=None)
        ]
    )


def decoded(decoder, codes: np.ndarray) -> list[ECG]:
    """Twelve leads at 500 Hz of each row of codes (M, N, Q), by a tokenizer or by a HiFi-GAN."""
    signals = np.concatenate([decoder.decode(codes[i : i + _CHUNK]) for i in range(0, len(codes), _CHUNK)])
    signals = to_twelve(signals) if signals.shape[-1] == 8 else signals
    return [ECG(x.astype(np.float64), LEADS, decoder.config.rate).resample(RATE) for x in signals]


def _row(tokenizer: LoadedTokenizer, codes, originals, peaks) -> dict:
    made = decoded(tokenizer, codes)
    seen = [e.signal if tokenizer.config.band else e.bandpass(*BAND).signal for e in made]
    both = list(zip(originals, seen, peaks))
    r = [metrics.pearson(x, y).mean() for x, y, _ in both]
    prd = [metrics.prd(x, y) for x, y, _ in both]
    perplexity, used = codebook_use(jnp.asarray(codes[..., -1:]), tokenizer.config.codes)
    low, high = report.bootstrap(r)
    return {
        "levels": codes.shape[-1],
        "bits": int(codes.shape[1] * codes.shape[2] * np.log2(tokenizer.config.codes)),
        "r": float(np.mean(r)), "r_low": low, "r_high": high,
        "rmse_mv": float(np.mean([metrics.rmse(x, y) for x, y, _ in both])),
        "prd": float(np.mean(prd)),
        "p_wave_r": float(np.nanmean([metrics.p_wave_correlation(x, y, p, RATE) for x, y, p in both])),
        "qrs_ratio": float(np.nanmean([metrics.qrs_amplitude_ratio(x, y, p, RATE) for x, y, p in both])),
        "perplexity": float(perplexity[0]), "codes_used": float(used[0]),
    }  # fmt: skip
