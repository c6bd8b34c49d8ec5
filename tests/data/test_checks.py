"""Every fault that recordings come with is named; a sound recording has none."""

import numpy as np
import pytest

from ttecg.data.checks import defects, flags, problems
from ttecg.data.files import read_ecg
from ttecg.ecg import ECG, LEADS, to_twelve


def sound(seconds=10, rate=500.0):
    """A beat a second in every lead, mV."""
    t = np.arange(int(seconds * rate)) / rate
    beat = np.exp(-0.5 * ((t % 1 - 0.4) / 0.012) ** 2) + 0.2 * np.exp(-0.5 * ((t % 1 - 0.7) / 0.05) ** 2)
    wander = 0.02 * np.sin(2 * np.pi * 0.3 * t)
    return ECG(to_twelve(np.outer(beat, np.linspace(0.4, 1.6, 8)) + wander[:, None]), rate=rate)


def changed(lead, change):
    ecg = sound()
    signal = ecg.signal.copy()
    column = LEADS.index(lead)
    signal[:, column] = change(signal[:, column])
    return ecg.replace(signal=signal)


def with_nan(x):
    x[10:22] = np.nan
    return x


def unplugged(x):
    x[1000:3300] = x[1000]
    return x


def test_a_sound_recording_has_no_problem():
    assert problems(sound()) == []
    assert problems(sound(rate=100.0)) == []


@pytest.mark.parametrize("ecg, reason", [
    (changed("V2", with_nan), "lead V2 has 12 NaN samples"),
    (sound().select(LEADS[:-1]), "missing lead V6"),
    (sound(seconds=1.5), "shorter than 2 s"),
    (sound().replace(signal=sound().signal * 1000), "mV is implausible: perhaps uV labelled mV"),
    (sound().replace(signal=sound().signal / 1000), "perhaps V labelled mV"),
    (sound().replace(signal=np.zeros((5000, 12))), "not connected"),
    (sound().replace(rate=25.0), "25 Hz is too low"),
])  # fmt: skip
def test_defects(ecg, reason):
    assert any(reason in found for found in defects(ecg))


@pytest.mark.parametrize("ecg, reason", [
    (changed("V3", lambda x: 0 * x), "lead V3 is flat"),
    (changed("V3", unplugged), "lead V3 is flat for 4.6 s"),
    (changed("V6", lambda x: np.minimum(3 * x, 1.5)), "lead V6 is clipped at 1.50 mV"),
    (changed("III", lambda x: x + 0.8), "III differs from II - I by 0.8 mV"),
    (changed("aVL", lambda x: -x), "aVL differs from I - II/2"),
])  # fmt: skip
def test_flags(ecg, reason):
    assert any(reason in found for found in flags(ecg))
    assert defects(ecg) == []


def test_a_limb_lead_that_can_be_derived_is_not_missing():
    ecg = sound().select(("II", "III", *LEADS[6:]))
    assert defects(ecg) == []
    assert defects(ecg.select(("II", "V1")), leads=("II", "V1")) == []


def test_real_recordings_are_sound(shared_data):
    folder = shared_data / "ptbxl" / "records500" / "00000"
    found = {path.stem: problems(read_ecg(path)) for path in sorted(folder.glob("*.hea"))[:200]}
    assert [name for name, reasons in found.items() if reasons] == ["00162_hr"]  # an artefact in aVR and aVF
