"""Is a HiFi-GAN a better decoder? `ttecg evaluate decoder --model demo --decoder runs/decoder --data data/ptbxl-500`.

Both decoders write the same codes: those of recorded ECGs, laid beside the recordings band-passed as the tokenizer's
input is, and those that the generator writes for the recordings' reports. Scored at 500 Hz on twelve leads.
"""

import time

import numpy as np
from scipy.signal import welch
from tqdm import tqdm

from ttecg import decoder as decoders
from ttecg import encoders, generate, metrics
from ttecg.bundle import load_tokenizer, resolve
from ttecg.data.beats import r_peaks
from ttecg.data.dataset import open_dataset
from ttecg.ecg import ECG, LEADS
from ttecg.evaluate import fidelity, intervals, point_sets, report
from ttecg.evaluate.decoder_curves import draw_curves
from ttecg.evaluate.given import patient_of, prompt_of, with_reports
from ttecg.evaluate.tokenizer import BAND, RATE, decoded, encoded
from ttecg.train.decoder import check_fits

BANDS = {
    "spectrum_db": (0.5, 45.0),
    "above_45_db": (45.0, 120.0),
}  # Hz; 125 is the end of what 250 per second hold
_FLOOR = 1e-6 / 12 / (RATE / 2)  # mV²/Hz: the noise of rounding to whole microvolts
_LARGEST, _DRAWS = 64, 20
_SCORES = ("r", "rmse_mv", "prd", "p_wave_r", "qrs_ratio", *BANDS)


def evaluate(
    model,
    decoder,
    data,
    split: str = "test",
    encoder: str = "encoder",
    generated: bool = True,
    seed: int = 0,
    out=None,
) -> list[dict]:
    """One row for each decoder, one for their paired difference, one for the floor of the set distance; prints them,
    writes out/decoder.json and, of a work directory, out/curves.png. generated=False asks for no ECGs of reports."""
    tokenizer, hifigan = load_tokenizer(resolve(model)), decoders.load(decoder)
    check_fits(hifigan.config, tokenizer)
    both = {"vq": tokenizer, "hifigan": hifigan}
    records = open_dataset(data, split)
    if generated:
        records = with_reports(records)
    ecgs = list(records) if generated else [records[i] for i in range(len(records))]
    if len(ecgs) < 16:
        raise ValueError(
            f"{data} has {len(ecgs)} records to compare in its {split} split; at least 16 are needed"
        )
    codes = encoded(tokenizer, ecgs)
    scores = {name: _scores(ecgs, decoded(one, codes)) for name, one in both.items()}
    rows = [_row(name, scores[name], one, codes) for name, one in both.items()]
    rows.append(_difference(scores))
    written = {"decoded": codes} | ({"generated": _written(model, ecgs, seed)} if generated else {})
    rows = _with_distances(rows, both, written, ecgs, encoders.load(encoder))
    print(
        f"{len(ecgs)} records, {split} split of {data}; {model} ({tokenizer.hash}), {decoder} ({hifigan.hash})"
    )
    print(report.table(_by_measure(rows)))
    if out:
        about = {"model": str(model), "tokenizer": tokenizer.hash, "decoder": str(decoder), "hash": hifigan.hash,
                 "data": str(data), "split": split, "records": len(ecgs), "seed": seed}  # fmt: skip
        report.save(out, "decoder", about, rows)
        draw_curves(decoder, out)
    return rows


def _by_measure(rows) -> list[dict]:
    """The rows turned: a line for each measure, four digits that count, intervals in brackets."""
    names = [name for name in rows[0] if name != "decoder"]
    return [{"measure": name} | {row["decoder"]: _shown(row[name]) for row in rows} for name in names]


def _shown(value) -> str:
    if isinstance(value, tuple):
        return "{:.4g} ({:.4g} to {:.4g})".format(*value)
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


# --- codes, and what the decoders make of them ---


def _written(model, ecgs, seed: int) -> np.ndarray:
    """Codes that the generator writes for the report, age, sex and heart rate of each record."""
    maker = generate.load(model)
    asked = [prompt_of(e, intervals.measured(e).heart_rate) for e in ecgs]
    seeds = [(seed, i) for i in range(len(asked))]
    parts = np.array_split(np.arange(len(asked)), -(-len(asked) // _LARGEST))
    return np.concatenate([
        maker.sample([asked[i] for i in part], [seeds[i] for i in part], maker.policy)[1]
        for part in tqdm(parts, desc="codes of reports", disable=None)
    ])  # fmt: skip


# --- against the recordings ---


def _scores(ecgs, made_ecgs) -> dict[str, np.ndarray]:
    """(M,) of each of _SCORES."""
    found = {name: [] for name in _SCORES}
    for ecg, made in zip(ecgs, made_ecgs):
        x, y = ecg.select(LEADS).resample(RATE).bandpass(*BAND).signal[: len(made.signal)], made.signal
        peaks = r_peaks(ECG(x, LEADS, RATE))
        found["r"].append(metrics.pearson(x, y).mean())
        found["rmse_mv"].append(metrics.rmse(x, y))
        found["prd"].append(metrics.prd(x, y))
        found["p_wave_r"].append(metrics.p_wave_correlation(x, y, peaks, RATE))
        found["qrs_ratio"].append(metrics.qrs_amplitude_ratio(x, y, peaks, RATE))
        for name, band in BANDS.items():
            found[name].append(spectral_distance(x, y, RATE, band))
    return {name: np.array(values) for name, values in found.items()}


def spectral_distance(x_TxL, y_TxL, rate: float, band: tuple[float, float]) -> float:
    """Root mean squared difference of the logarithms of the power densities within a band (Hz), in decibels, over
    frequencies and leads. Power below the noise of rounding to microvolts is taken for that noise."""
    length = min(round(2 * rate), len(x_TxL))
    (frequency, px), (_, py) = (welch(s, rate, nperseg=length, axis=0) for s in (x_TxL, y_TxL))
    within = (frequency >= band[0]) & (frequency < band[1])
    gap = 10 * np.log10((px[within] + _FLOOR) / (py[within] + _FLOOR))
    return float(np.sqrt((gap**2).mean()))


def _row(name: str, scores, decoder, codes) -> dict:
    low, high = report.bootstrap(scores["r"])
    mean = {k: float(np.nanmean(v)) for k, v in scores.items()}
    seconds = {f"seconds_{size}": _seconds(decoder, codes[:size]) for size in (1, 16)}
    parameters = {"parameters": sum(v.size for v in decoder.params.values())} if name == "hifigan" else {}
    return {
        "decoder": name,
        **{"r": mean.pop("r"), "r_low": low, "r_high": high},
        **mean,
        **seconds,
        **parameters,
    }


def _difference(scores) -> dict:
    """HiFi-GAN less VQ, record by record: mean and 95 % interval."""
    gaps = {k: scores["hifigan"][k] - scores["vq"][k] for k in _SCORES}
    return {"decoder": "difference"} | {
        k: (float(np.nanmean(g)), *report.bootstrap(g)) for k, g in gaps.items()
    }


def _seconds(decoder, codes, times: int = 5) -> float:
    """Median seconds per ECG of decoding a batch, compiled before."""
    decoder.decode(codes)
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        decoder.decode(codes)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) / len(codes)


# --- as sets ---


def _with_distances(rows, both, written, ecgs, encoder) -> list[dict]:
    """The rows with FID: of what was decoded against its own recordings, and, of that and of what was generated,
    against recordings of other patients."""
    band_passed = [e.select(LEADS).resample(RATE).bandpass(*BAND) for e in ecgs]
    real, patients = encoder.features(band_passed), np.array([patient_of(e) for e in ecgs], object)
    rows = [*rows, {"decoder": "recorded", "fid_decoded": set_distance(real, real, patients)}]
    for row in rows:
        for what, codes in written.items():
            if row["decoder"] in both:
                made = encoder.features(decoded(both[row["decoder"]], codes))
                row[f"fid_{what}"] = set_distance(real, made, patients)
                row |= {"fid_same": point_sets.frechet(real, made)} if what == "decoded" else {}
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in names} for row in rows]


def set_distance(real_MxD, made_MxD, patients) -> tuple[float, float, float]:
    """FID of what was made of a random half of the patients, against the recordings of the other half: mean and 95 %
    of the draws. Row i of both sets belongs to patients[i]."""
    found = []
    for draw in range(_DRAWS):
        reference, other = fidelity.halves(patients, np.random.default_rng(draw))
        count = min(len(reference), len(other))
        found.append(point_sets.frechet(real_MxD[reference[:count]], made_MxD[other[:count]]))
    low, high = np.percentile(found, [2.5, 97.5])
    return float(np.mean(found)), float(low), float(high)
