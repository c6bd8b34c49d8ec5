"""Writing WFDB records: int16, 1 microvolt per unit, limb leads that obey Einthoven's law to one unit."""

import pathlib
import re

import numpy as np

from ttecg.data.comments import comment_lines
from ttecg.data.staged import staged
from ttecg.data.wfdb_record import record_base
from ttecg.ecg import ECG, LEADS

GAINS = (1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)  # units per mV, the finest first
NOT_A_NUMBER = -32768  # WFDB's mark for an invalid sample in 16 bits
# what the other limb leads are of I and II
_OF_I_II = {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}


def quantise(ecg: ECG, gain: float = 1000.0) -> np.ndarray:
    """(T, L) int16, in units of 1/gain mV, invalid samples -32768.

    I and II are rounded first; III is then their exact difference, and aVR, aVL, aVF are rounded half sums,
    so Einthoven's and Goldberger's laws hold to one unit. A stored limb lead that strays from the law by more
    than two units was measured on its own and is rounded like V1-V6."""
    x = np.asarray(ecg.signal, np.float64) * gain
    bad = ~np.isfinite(x)
    d = np.rint(np.where(bad, 0.0, x))
    if "I" in ecg.leads and "II" in ecg.leads:
        i_ii = d[:, [ecg.leads.index("I"), ecg.leads.index("II")]]
        for name, weights in _OF_I_II.items():
            if name in ecg.leads:
                derived, column = i_ii @ weights, ecg.leads.index(name)
                if np.abs(derived - d[:, column]).max(initial=0.0) <= 2:
                    d[:, column] = np.rint(derived)
    largest = np.abs(d).max(initial=0.0)
    if largest > 32767:
        raise ValueError(
            f"{ecg.id or 'ECG'}: {largest / gain:.0f} mV does not fit 16 bits at {gain:g} units per mV"
        )
    return np.where(bad, NOT_A_NUMBER, d).astype(np.int16)


def fitting_gain(ecg: ECG) -> int:
    """Units per mV: 1000 (1 microvolt each), or the next in GAINS at which every sample fits 16 bits."""
    x = np.asarray(ecg.signal, np.float64)
    largest = np.abs(x[np.isfinite(x)]).max(initial=0.0)
    for gain in GAINS:
        if largest * gain < 32765:  # a derived lead may round two units further
            return gain
    raise ValueError(
        f"{ecg.id or 'ECG'}: {largest:.3g} mV is no ECG voltage and does not fit a WFDB file; check the unit"
    )


def write_wfdb(ecg: ECG, path, comments=()) -> tuple[pathlib.Path, pathlib.Path]:
    """Write NAME.hea and NAME.dat (NAME.mat, as in the PhysioNet challenges, if `path` ends so): int16, mV,
    1 microvolt per unit or coarser where the voltage needs it, standard leads first in their standard order.

    Both files are made in a temporary folder beside the target and moved in, the header last; so there is
    never a header without its samples. ValueError for a name that WFDB does not allow."""
    import wfdb

    base = record_base(path)
    if not re.fullmatch(r"[-\w]+", base.name, re.ASCII):
        raise ValueError(f"{base.name!r}: a WFDB record's name has letters, digits, - and _ only")
    ecg = ecg.select([n for n in LEADS if n in ecg.leads] + [n for n in ecg.leads if n not in LEADS])
    gain, count = fitting_gain(ecg), len(ecg.leads)
    d = quantise(ecg, gain)
    ending = ".mat" if pathlib.Path(path).suffix.lower() == ".mat" else ".dat"
    rate = int(ecg.rate) if float(ecg.rate).is_integer() else float(ecg.rate)
    with staged(base.parent, base.name + ending, base.name + ".hea") as folder:
        wfdb.wrsamp(
            base.name,
            fs=rate,
            units=["mV"] * count,
            sig_name=list(ecg.leads),
            d_signal=d.astype(np.int64),
            fmt=["16"] * count,
            adc_gain=[gain] * count,
            baseline=[0] * count,
            comments=comment_lines(ecg, comments),
            write_dir=str(folder),
        )
        if ending == ".mat":
            _as_mat(folder, base.name, d)
    return base.with_name(base.name + ".hea"), base.with_name(base.name + ending)


def _as_mat(folder, name, d_TL):
    """Make it the challenges' flavour: a MATLAB 4 matrix "val" (L, T), whose samples start at byte 24."""
    import scipy.io

    scipy.io.savemat(folder / f"{name}.mat", {"val": np.asarray(d_TL.T, np.int16)}, format="4")
    header = folder / f"{name}.hea"
    text = header.read_text(encoding="utf-8")
    header.write_text(
        re.sub(rf"(?m)^{re.escape(name)}\.dat 16 ", f"{name}.mat 16+24 ", text), encoding="utf-8"
    )
