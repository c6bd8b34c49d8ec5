"""`ttecg.load`: any model by its name, ready to use."""

from ttecg import bundle


def load(name="demo"):
    """A bundle by the name of one that ships ("demo", "unet", "two-lead", "encoder", "clip", "classifier") or by its
    folder; "ridge", "dower", "inverse-dower" and "kors" too.

    What comes back does what the bundle is for: `generate(report, ...)` (`ttecg.generate.TextToECG`),
    `reconstruct(ecg, leads)` (`ttecg.reconstruct.Reconstructor`), `reconstruct(lead_i, lead_ii)`
    (`ttecg.two_lead.TwoLeadModel`), `features(ecgs)` (`ttecg.encoders.Encoder`) or `scores(ecg)`
    (`ttecg.quality.NoiseDetector`)."""
    from ttecg import encoders, generate, quality, reconstruct, two_lead

    if str(name).partition(":")[0] in ("ridge", *reconstruct.TRANSFORMS):
        return reconstruct.load(name)
    kind = bundle.kind_of(bundle.resolve(name))
    kinds = {reconstruct.KIND: reconstruct.load, two_lead.KIND: two_lead.load, quality.KIND: quality.load}
    kinds |= dict.fromkeys(encoders.KINDS, encoders.load)
    return kinds.get(kind, generate.load)(name)
