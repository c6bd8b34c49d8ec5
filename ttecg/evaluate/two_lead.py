"""How good twelve leads from two of different times are: `ttecg evaluate two-lead --model M --data DIR --out DIR`.

Windows of 5 s: lead I of one half of a record, lead II of the other, each way round; truth are the eight leads at lead
I's time, in the model's band. Values are per record, then averaged; intervals are bootstrapped over patients.
"""

import numpy as np
from matplotlib.figure import Figure

from ttecg import plot
from ttecg.data.beats import r_peaks
from ttecg.data.corrupt import KINDS, corrupt
from ttecg.data.dataset import open_dataset
from ttecg.ecg import ECG, INDEPENDENT, resample
from ttecg.evaluate import report
from ttecg.evaluate.given import patient_of
from ttecg.evaluate.reconstruction_metrics import mean_interval
from ttecg.metrics import pearson
from ttecg.models import lead_maps
from ttecg.reconstruct import load as load_reconstructor
from ttecg.two_lead import TwoLeadModel, load

OFFSETS = (0, 1, 2, 3, 5)  # seconds from the start of lead I's window to that of lead II's
WINDOW = 5  # seconds
SNRS = (0, 6, 12)  # dB, of the inputs with noise
MATCH_S = 0.075  # R peaks further apart than this are not the same
_FINE = 500.0  # Hz, at which R waves are timed
_REACH = 0.05  # seconds around the R peak in which lead II's R wave is looked for


def evaluate(model, data, split="test", against=("unet", "ridge"), seed: int = 0, out=None) -> dict:
    """Prints the tables; writes out/two_lead.json and two_lead.png. Returns {"systems", "offsets", "noise"}: rows.

    against: names for `ttecg.reconstruct.load`, shown on lead I alone and on I and II of one time."""
    model, records = load(model), open_dataset(data, split)
    others = {name: load_reconstructor(name) for name in against}  # before anything takes time
    if not len(records):
        raise ValueError(f"{data} has no record in its {split} split")
    ecgs = [e for e in records if e.duration >= 2 * WINDOW]
    if not ecgs:
        raise ValueError(f"{data}: no record of its {split} split lasts {2 * WINDOW} s")
    patients = np.array([patient_of(e) for e in ecgs])
    signals = [model_signal(e, model.config.rate, model.config.band) for e in ecgs]
    made = {f"two-lead, {WINDOW} s apart": two_lead_rows(model, signals)}
    made |= baseline_rows(others, ecgs)
    results = {
        "systems": [{"system": name} | summary(rows, patients, seed) for name, rows in made.items()],
        "offsets": offset_rows(model, signals),
        "noise": noise_rows(model, ecgs, seed),
    }
    print(
        f"{len(ecgs)} records of {len(set(patients))} patients, {split} split of {data}; {model.name} ({model.hash})"
    )
    for name, rows in results.items():
        print(f"\n{name}\n{report.table(rows)}")
    if out:
        about = {
            "model": model.name,
            "hash": model.hash,
            "data": str(data),
            "split": split,
            "records": len(ecgs),
        }
        report.save(
            out, "two_lead", about | {k: results[k] for k in ("offsets", "noise")}, results["systems"]
        )
        draw(results, f"{out}/two_lead.png")
    return results


def model_signal(ecg: ECG, rate: float, band) -> np.ndarray:
    """(T, 8) mV."""
    return ecg.select(INDEPENDENT).resample(rate).bandpass(*band).signal


def two_lead_rows(model: TwoLeadModel, signals) -> list[dict]:
    """Scores of each record, means of both ways round."""
    size = round(WINDOW * model.config.rate)
    halves = [(x[:size], x[size : 2 * size]) for x in signals]
    ways = [*halves, *((b, a) for a, b in halves)]
    made = model.predict_many([(here[:, 0], there[:, 1]) for here, there in ways])
    rows = [scores(here, y, model.config.rate) for (here, _), y in zip(ways, made)]
    count = len(signals)
    return [_mean([rows[i], rows[count + i]]) for i in range(count)]


def baseline_rows(others: dict, ecgs) -> dict[str, list[dict]]:
    """Scores of other reconstructors by name on the same windows. Where lead II is seen it is not scored."""
    made = {}
    for name, other in others.items():
        size = round(WINDOW * other.rate)
        signals = [model_signal(e, other.rate, other.band) for e in ecgs]
        parts = np.stack([x[:size] for x in signals] + [x[size : 2 * size] for x in signals]).astype(
            np.float32
        )
        for leads, said in ((("I",), "lead I alone"), (("I", "II"), "I and II of one time")):
            y = np.asarray(other.predict(parts, lead_maps.visible(leads)))
            rows = [scores(a, b, other.rate, seen_ii="II" in leads) for a, b in zip(parts, y)]
            count = len(ecgs)
            made[f"{name}, {said}"] = [_mean([rows[i], rows[count + i]]) for i in range(count)]
    return made


def scores(x_Tx8, y_Tx8, rate: float, seen_ii: bool = False) -> dict:
    """One record: r and RMSE (mV) of V1-V6 and of II; R timing error (ms) of all eight leads and share of R peaks
    without a match; time (ms) and amplitude (%) error of lead II's R wave. nan where there is nothing to measure."""
    r, rmse = pearson(x_Tx8, y_Tx8), np.sqrt(((x_Tx8 - y_Tx8) ** 2).mean(0))
    fine_x, fine_y = (resample(s, rate, _FINE) for s in (x_Tx8, y_Tx8))
    peaks = r_peaks(ECG(fine_x, INDEPENDENT, _FINE))
    timing, missed = peak_timing(peaks, r_peaks(ECG(fine_y, INDEPENDENT, _FINE)), _FINE)
    late, amplitude = r_wave_errors(fine_x[:, 1], fine_y[:, 1], peaks, _FINE)
    row = {"r_V": r[2:].mean(), **{f"r_{n}": r[i] for i, n in enumerate(INDEPENDENT) if i > 1}}
    row |= {"rmse_V": rmse[2:].mean(), "r_II": r[1], "rmse_II": rmse[1]}
    row |= {"timing_ms": timing, "missed": missed, "R_II_ms": late, "R_II_amplitude_%": amplitude}
    hidden = {k: np.nan for k in row if "II" in k} if seen_ii else {}
    return {k: float(v) for k, v in (row | hidden).items()}


def peak_timing(true, found, rate: float) -> tuple[float, float]:
    """(mean |difference| in ms of R peaks matched one to one within 75 ms, share of the true ones without a match)."""
    found, apart = list(found), []
    for p in true:
        near = min(found, key=lambda q: abs(q - p), default=None)
        if near is not None and abs(near - p) <= MATCH_S * rate:
            apart.append(abs(near - p) / rate * 1000)
            found.remove(near)
    if not len(true):
        return np.nan, np.nan
    return (float(np.mean(apart)) if apart else np.nan), 1 - len(apart) / len(true)


def r_wave_errors(x_T, y_T, peaks, rate: float) -> tuple[float, float]:
    """Median over beats of the time (ms) and amplitude (%) error of one lead's R wave: its highest point within 50 ms
    of the R peak, where that is at least 0.1 mV, against the highest point of the other within 75 ms of it."""
    late, amplitude = [], []
    for p in peaks:
        at, height = _top(x_T, p, round(_REACH * rate))
        if height >= 0.1:
            there, other = _top(y_T, at, round(MATCH_S * rate))
            late.append(abs(there - at) / rate * 1000)
            amplitude.append(abs(other - height) / height * 100)
    return (float(np.median(late)), float(np.median(amplitude))) if late else (np.nan, np.nan)


def _top(x_T, place: int, reach: int) -> tuple[int, float]:
    start = max(0, place - reach)
    at = start + int(np.argmax(x_T[start : place + reach + 1]))
    return at, float(x_T[at])


def _mean(rows: list[dict]) -> dict:
    with np.errstate(invalid="ignore"):
        return {k: _nanmean([row[k] for row in rows]) for k in rows[0]}


def _nanmean(values) -> float:
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def summary(rows: list[dict], patients, seed: int) -> dict:
    """Means over records, with 95 % intervals over patients for the figures that are compared."""
    out = _mean(rows)
    for name in ("r_V", "rmse_V", "timing_ms", "R_II_amplitude_%"):
        _, out[f"{name}_low"], out[f"{name}_high"] = mean_interval([r[name] for r in rows], patients, seed)
    return out


def offset_rows(model: TwoLeadModel, signals) -> list[dict]:
    """The same windows of lead I with lead II from 0 s (recorded together) to 5 s later."""
    rate, rows = model.config.rate, []
    size = round(WINDOW * rate)
    for offset in OFFSETS:
        start = round(offset * rate)
        made = model.predict_many([(x[:size, 0], x[start : start + size, 1]) for x in signals])
        mean = _mean([scores(x[:size], y, rate) for x, y in zip(signals, made)])
        rows.append({"offset_s": offset} | {k: v for k, v in mean.items() if k[:3] != "r_V" or k == "r_V"})
    return rows


def noise_rows(model: TwoLeadModel, ecgs, seed: int) -> list[dict]:
    """Signal-to-noise ratios in dB, means over records: of lead I as it goes in, after the band-pass alone, and as it
    comes out, all against the clean lead in the band; and of II and V1-V6, how far noise in the inputs moves them
    from what clean inputs give."""
    clean = [_halves(model, ecg.lead("I"), ecg.lead("II"), ecg.rate) for ecg in ecgs]
    truth = model.predict_many(clean)
    rows = []
    for kind in KINDS:
        for snr in SNRS:
            noisy = []
            for number, ecg in enumerate(ecgs):
                rng = np.random.default_rng((seed, KINDS.index(kind), snr, number))
                leads = (corrupt(ecg.lead(name), ecg.rate, rng, kind, snr) for name in ("I", "II"))
                noisy.append(_halves(model, *leads, ecg.rate))
            made = model.predict_many(noisy)
            band = np.mean([_snr(a[0], b[0]) for a, b in zip(clean, noisy)])
            out = np.mean([_snr(a[0], y[:, 0]) for a, y in zip(clean, made)])
            row = {"noise": kind, "snr_in": snr, "I_band_pass": float(band), "I_out": float(out)}
            row |= {"I_gain": float(out - snr), "I_gain_beyond_band_pass": float(out - band)}
            for i, lead in enumerate(INDEPENDENT[1:], 1):
                row[f"{lead}_out"] = float(np.mean([_snr(a[:, i], b[:, i]) for a, b in zip(truth, made)]))
            rows.append(row)
    return rows


def _halves(model, one_T, two_T, rate: float):
    one, two = model.prepare(one_T, rate), model.prepare(two_T, rate)
    size = round(WINDOW * model.config.rate)
    return one[:size], two[size : 2 * size]


def _snr(clean_T, noisy_T) -> float:
    """dB."""
    return float(10 * np.log10((clean_T**2).sum() / (((noisy_T - clean_T) ** 2).sum() + 1e-12)))


def draw(results: dict, path) -> None:
    """Correlation by offset beside the baselines, and what noise goes in and comes out."""
    figure = Figure(figsize=(11, 4), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2)
    offsets = results["offsets"]
    for name, label in (("r_V", "V1-V6"), ("r_II", "II")):
        left.plot([row["offset_s"] for row in offsets], [row[name] for row in offsets], "o-", label=label)
    for row in results["systems"][1:]:
        left.axhline(row["r_V"], linewidth=0.8, linestyle="--", color="grey")
        left.text(0, row["r_V"], f"V1-V6: {row['system']}", fontsize=7, va="bottom")
    left.set(xlabel="lead II later than lead I by (s)", ylabel="Pearson r")
    left.legend(fontsize=8)
    for kind in KINDS:
        rows = [row for row in results["noise"] if row["noise"] == kind]
        right.plot([row["snr_in"] for row in rows], [row["I_out"] for row in rows], "o-", label=kind)
    right.plot(SNRS, SNRS, color="grey", linewidth=0.8, label="as it goes in")
    right.set(xlabel="lead I in, SNR (dB)", ylabel="lead I out, SNR (dB)")
    right.legend(fontsize=8)
    plot.save(figure, path, 120)
