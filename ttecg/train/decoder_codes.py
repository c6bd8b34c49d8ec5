"""What a waveform decoder is trained on: records, their copies with another gain and axis, and the codes of each."""

import numpy as np
from tqdm import tqdm

from ttecg.bundle import LoadedTokenizer
from ttecg.data import augment, batches
from ttecg.ecg import to_eight, to_twelve
from ttecg.train.codes import cached
from ttecg.train.tokenizer import prepare_signal


def extract(name: str, records, tokenizer: LoadedTokenizer, variants: int, seed: int, cache) -> np.ndarray:
    """Codes (M, V, N, Q) uint16 of the variants of every record of source `name`, from the cache directory, or made by
    the main process and put there."""
    source = batches.Source.parse(name)
    key = [source.path, len(records), tokenizer.hash, variants, seed, source.fingerprint()]

    def make():
        found = []
        for number in tqdm(range(len(records)), desc=f"codes of {name}", unit="ECG", mininterval=1):
            whole = prepare_signal(records[number], tokenizer.config)[: tokenizer.config.samples]
            found.append(
                tokenizer.encode(np.stack([varied(whole, seed, number, v) for v in range(variants)]))
            )
        return {"codes": np.stack(found).astype(np.uint16)}

    return cached(cache, key, make)["codes"]


def varied(x_TxL: np.ndarray, seed: int, number: int, variant: int) -> np.ndarray:
    """A record as it is (variant 0), or with a random gain and a turned axis, float32."""
    if variant == 0:
        return x_TxL
    rng = np.random.default_rng((seed, number, variant))
    x8 = to_eight(x_TxL) if x_TxL.shape[1] == 12 else x_TxL
    x8 = augment.random_gain(augment.random_rotation(x8, rng), rng)
    return (to_twelve(x8) if x_TxL.shape[1] == 12 else x8).astype(np.float32)
