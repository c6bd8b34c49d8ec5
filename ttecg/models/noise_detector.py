"""Two detectors of noise that no noise label taught.

The first, after Dua et al. 2022 (arXiv 2208.08853), has two stages. An autoencoder learns what pieces of single leads
of mostly clean ECGs look like. Then the codes of these pieces are put into clusters, and a new piece is as noisy as
its levels lie above those of its cluster (Mahalanobis distance). Levels are what a heartbeat does not explain: the
error of the reconstruction, and what lies below and above the autoencoder's band. The paper measures the distance of
the codes themselves, in both directions; here codes only choose the cluster, and a piece quieter than usual is not
noisy: at 0 dB that is worth .05 to .1 of AUROC. The second detector, after arXiv 2502.14522, is a logistic regression
on what R peaks say (`ttecg.quality.hrv_features`).

Axes: B batch, T samples of a piece, C channels of the code, F features, K clusters.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Buffer, Conv1d, Upsample2

QUANTILES = 101
LEVELS = 3  # error of the reconstruction, below the band, above the band
HRV = 57
_STILL = 1e-6  # mV, so that a flat piece has finite levels
_CLIP = 5.0


@dataclasses.dataclass(frozen=True)
class NoiseDetectorConfig:
    """Sizes of the autoencoder and of the second stage."""

    # samples per second and band (Hz) of what the autoencoder sees
    rate: float = 100.0
    band: tuple[float, ...] = (0.67, 40.0)
    # band (Hz) above it, where muscle and mains are, looked at with samples per second; a slower recording has
    # nothing there
    fast_rate: float = 250.0
    fast_band: tuple[float, ...] = (42.0, 100.0)
    # samples of a piece; pieces overlap by half
    piece: int = 256
    # channels from the finest level down, each halving the time
    widths: tuple[int, ...] = (16, 24, 32, 48)
    # channels of the code, which has a number for each and every 2 ** len(widths) samples
    code: int = 4
    # clusters of codes
    clusters: int = 4

    def __post_init__(self):
        if not self.widths or self.piece % 2 ** len(self.widths):
            raise ValueError(
                f"piece must be a multiple of 2 for each of widths: {2 ** len(self.widths)}, got {self.piece}"
            )
        if self.piece > 3 * self.rate:
            raise ValueError(f"piece must fit into 3 s, {3 * self.rate:g} samples, got {self.piece}")
        for name in ("code", "clusters"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name, rate in (("band", self.rate), ("fast_band", self.fast_rate)):
            low, high = getattr(self, name)
            if not 0 < low < high < rate / 2:
                raise ValueError(
                    f"{name} must lie between 0 and half of its {rate:g} Hz, got {low:g}-{high:g} Hz"
                )

    def create(self, rngs: nnx.Rngs) -> "NoiseDetector":
        return NoiseDetector(self, rngs=rngs)


class NoiseDetector(nnx.Module):
    """See the module's docstring. Buffers are set by `ttecg.train.noise_detector.fit`."""

    def __init__(self, config: NoiseDetectorConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        pairs = list(zip((1, *c.widths), c.widths))
        self.down = nnx.List([Conv1d(a, b, 5, stride=2, rngs=rngs) for a, b in pairs])
        self.encode = Conv1d(c.widths[-1], c.code, 1, rngs=rngs)
        self.decode = Conv1d(c.code, c.widths[-1], 3, rngs=rngs)
        self.up = nnx.List([Upsample2(b, max(a, 8), rngs=rngs) for a, b in reversed(pairs)])
        self.out = Conv1d(8, 1, 5, rngs=rngs)
        # of the training pieces: features (codes, levels), and clusters of the codes with their levels
        code, k = 2 * c.code, c.clusters
        self.mean, self.spread = Buffer(jnp.zeros(code + LEVELS)), Buffer(jnp.ones(code + LEVELS))
        self.code_centres, self.level_centres = Buffer(jnp.zeros((k, code))), Buffer(jnp.zeros((k, LEVELS)))
        self.code_precision = Buffer(jnp.tile(jnp.eye(code), (k, 1, 1)))
        self.level_precision = Buffer(jnp.tile(jnp.eye(LEVELS), (k, 1, 1)))
        # distances of the training records' leads, and of whole records, in ascending order
        self.lead_quantiles = Buffer(jnp.linspace(0.0, 1.0, QUANTILES))
        self.record_quantiles = Buffer(jnp.linspace(0.0, 1.0, QUANTILES))
        self.hrv_mean, self.hrv_spread = Buffer(jnp.zeros(HRV)), Buffer(jnp.ones(HRV))
        self.hrv_weight, self.hrv_bias = Buffer(jnp.zeros(HRV)), Buffer(jnp.zeros(()))

    def codes(self, piece_BxT):
        """(B, T / 2 ** len(widths), C) of pieces with mean 0 and spread 1."""
        x = piece_BxT[..., None]
        for conv in self.down:
            x = jax.nn.gelu(conv(x))
        return self.encode(x)

    def rebuilt(self, codes_BxNxC):
        """(B, T)."""
        x = jax.nn.gelu(self.decode(codes_BxNxC))
        for layer in self.up:
            x = jax.nn.gelu(layer(x))
        return self.out(x)[..., 0]

    def features(self, piece_BxT, outside_Bx2):
        """(B, 2 C + 3): mean and logarithm of the spread over time of each channel of the code, which do not depend on
        where in the piece the beats lie; then the levels, logarithms of shares of the piece's spread. mV; outside is
        the spread of what lies below and above the band."""
        x, spread = standardised(piece_BxT)
        codes = self.codes(x)
        error = jnp.sqrt(((x - self.rebuilt(codes)) ** 2).mean(-1, keepdims=True))
        levels = jnp.log(jnp.concatenate([error, outside_Bx2 / spread], -1) + 0.01)
        return jnp.concatenate([codes.mean(1), jnp.log(codes.std(1) + 1e-3), levels], -1)

    def distances(self, piece_BxT, outside_Bx2):
        """(B,) Mahalanobis distance of the levels, where they lie above, to those of the piece's cluster."""
        x = (self.features(piece_BxT, outside_Bx2) - self.mean[...]) / self.spread[...]
        codes, levels = x[:, None, :-LEVELS], x[:, None, -LEVELS:]
        nearest = squared(codes - self.code_centres[...], self.code_precision[...]).argmin(-1)
        above = jnp.maximum(levels - self.level_centres[...], 0)
        away = squared(above, self.level_precision[...])
        return jnp.sqrt(jnp.maximum(jnp.take_along_axis(away, nearest[:, None], 1)[:, 0], 0))

    def hrv(self, features_BxF):
        """(B,) logits that what the R peaks say is noise."""
        return (
            hrv_scaled(features_BxF, self.hrv_mean[...], self.hrv_spread[...]) @ self.hrv_weight[...]
            + self.hrv_bias[...]
        )


def standardised(piece_BxT):
    """Pieces with mean 0 and spread 1, and the spreads (B, 1); a flat piece is zero."""
    x = piece_BxT - piece_BxT.mean(-1, keepdims=True)
    spread = jnp.sqrt((x**2).mean(-1, keepdims=True)) + _STILL
    return x / spread, spread


def hrv_scaled(features_BxF, mean_F, spread_F):
    """As the logistic regression takes them: a single feature cannot outweigh all others."""
    return jnp.clip((features_BxF - mean_F) / spread_F, -_CLIP, _CLIP)


def squared(away_BxKxF, precision_KxFxF):
    """(B, K) squared Mahalanobis distances."""
    return jnp.einsum("bkf,kfg,bkg->bk", away_BxKxF, precision_KxFxF, away_BxKxF)
