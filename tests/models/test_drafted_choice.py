"""The draw that shows what was asked for has the fewest faults."""

import jax
import numpy as np

from ttecg.data.beats import median_beat
from ttecg.data.flutter import flutter_shares
from ttecg.data.simulator import simulate
from ttecg.data.usual_beats import usual_beats
from ttecg.ecg import ECG, INDEPENDENT
from ttecg.models import beat_measures, beat_plan, measures
from ttecg.models.drafted_choice import beat_faults, flutter_share, other_faults, story_faults
from ttecg.models.layout import window

RATE = 250.0
BEFORE, LENGTH = window(RATE)
faults_of = jax.jit(beat_faults, static_argnums=(4, 5))
read = jax.jit(beat_measures.read, static_argnums=(1, 2))
intervals = jax.jit(beat_measures.intervals, static_argnums=(2, 3))


def bins(count, **values):
    return np.tile(measures.bins(values), (count, 1)).astype(np.int32)


def beat_of(*findings):
    ecg = simulate(findings, 3, noise=0.0, rate=RATE)
    return usual_beats(ecg.select(INDEPENDENT).signal, np.asarray(ecg.info["r_peaks"]), RATE, BEFORE, LENGTH)[
        0
    ]


def free(n):
    return np.broadcast_to(measures.allowed(), (n, *measures.allowed().shape)).copy()


def test_a_plan_of_the_rate_and_the_premature_beats_asked_for():
    regular, fast = np.arange(0.3, 10, 0.8), np.arange(0.3, 10, 0.5)
    early = np.delete(np.append(regular, 4.75), 6)
    early.sort()
    plan = np.stack([beat_plan.encode(p) for p in (regular, fast, early)])
    kinds = np.zeros(plan.shape, np.int32)
    kinds[2, np.flatnonzero(early == 4.75)] = 1
    calm = story_faults(bins(3, heart_rate=75, rr_cv=0.01), plan, kinds, free(3))
    assert np.argmin(calm) == 0 and calm[0] <= 1
    one = bins(3, heart_rate=75, rr_cv=0.12, other_beats=1, other_early=0.56)
    ectopic = story_faults(one, plan, kinds, free(3))
    assert np.argmin(ectopic) == 2
    few = free(3)
    few[:, measures.NAMES.index("other_beats"), :2] = False  # at least two
    assert story_faults(one, plan, kinds, few)[2] == ectopic[2] + 10


def bins_of_beat(beat):
    """(2, M) what is read off a beat, asked for twice."""
    beats = np.stack([beat, beat])
    values = read(beats, BEFORE, RATE) | intervals(beats, np.ones(2), BEFORE, RATE)
    asked = bins(2, heart_rate=60)
    for name, number in measures.bins_of(values).items():
        asked[:, measures.NAMES.index(name)] = int(number[0])
    return asked


def test_a_beat_inside_what_the_report_allows():
    beats = np.stack([beat_of("sinus rhythm")[0], beat_of("left bundle branch block")[0]])
    own = {name: np.asarray(v) for name, v in measures.bins_of(read(beats, BEFORE, RATE)).items()}
    for i in range(2):
        asked = np.zeros((2, len(measures.MEASURES)), np.int32)
        for name, number in own.items():
            asked[:, measures.NAMES.index(name)] = number[i]
        allowed = free(2)
        allowed[:, measures.NAMES.index("qrs_ms")] = np.arange(measures.BINS) == own["qrs_ms"][i]
        faults, off = np.asarray(faults_of(beats, beats, asked, allowed, BEFORE, RATE))
        assert faults.argmin() == i and faults[i] == 0 and faults[1 - i] > 2
        assert off[i] == 0 < off[1 - i]


def test_high_voltages_do_not_speak_against_a_story():
    """Errors grow with the voltages; which numbers are drawn is not decided by how well they are shown."""
    beat = beat_of("sinus rhythm")[0]
    beats = np.stack([beat, 3 * beat])
    faults, off = faults_of(beats, beats, bins_of_beat(beat), free(2), BEFORE, RATE)
    assert off[0] < off[1] and faults[0] == faults[1]


def test_flutter_waves_of_a_beat_are_those_of_its_ecg():
    """Waves at 300/min, at every second and third beat, and a beat without."""
    shares, truth = [], []
    share_of = jax.jit(flutter_share, static_argnums=(2, 3))
    t = np.arange(2500) / RATE
    for rr, size in ((0.4, 0.1), (0.6, 0.1), (0.6, 0.03), (0.6, 0.0)):
        peaks = np.arange(0.2, 10, rr)
        qrs = sum(np.exp(-0.5 * ((t - p) / 0.012) ** 2) for p in peaks)
        t_waves = sum(0.1 * np.exp(-0.5 * ((t - p - 0.2) / 0.03) ** 2) for p in peaks)
        x = (qrs + t_waves + size * np.sin(2 * np.pi * 5 * t))[:, None] * np.linspace(0.5, 1, 8)
        ecg = ECG(x, INDEPENDENT, RATE)
        truth.append(flutter_shares(ecg, median_beat(ecg, np.round(peaks * RATE).astype(int)), peaks).locked)
        beat = usual_beats(x, peaks * RATE, RATE, BEFORE, LENGTH)[0][:1]
        shares.append(float(share_of(beat, np.array([rr]), BEFORE, RATE)[0]))
    assert np.abs(np.subtract(shares, truth)).max() < 0.2 and shares[1] > 0.7 > 0.4 > shares[3]


def test_another_beat_is_wide_and_of_another_shape():
    usual, other = beat_of("sinus rhythm", "ventricular premature beats")
    beats, usual = np.stack([usual, other]), np.stack([usual, usual])
    found = other_faults(beats, usual, bins(2, other_qrs_ms=150), free(2), BEFORE, RATE)
    assert np.argmin(found) == 1


def test_no_lapack_since_two_calls_of_it_can_wait_for_each_other():
    beats, asked = np.zeros((2, LENGTH, 8), np.float32), bins(2, heart_rate=75)
    lowered = jax.jit(beat_faults, static_argnums=(4, 5)).lower(beats, beats, asked, free(2), BEFORE, RATE)
    assert "lapack" not in lowered.as_text()
