"""ttecg: clinical reports to 12-lead electrocardiograms, in JAX.

    import ttecg
    ecgs = ttecg.load("demo").generate("atrial fibrillation with rapid ventricular response", num=4, seed=0)

Importing the package is cheap; JAX is loaded with the first model.
"""

import importlib

__all__ = ["ECG", "__version__", "load"]

_HOME = {"load": "ttecg.loading", "ECG": "ttecg.ecg"}


def __getattr__(name: str):
    if name == "__version__":
        from importlib.metadata import version

        return version("ttecg")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'ttecg' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
