"""Two detectors of noise that no noise label taught.

The first, after Dua et al. 2022 (arXiv 2208.08853), works in two stages: an autoencoder learns what pieces of single
leads of mostly clean ECGs look like; then the pieces' codes, with the error of their reconstruction, are put into
clusters, and a new piece is as noisy as it is far from the nearest of these (Mahalanobis distance). The second, after
arXiv 2502.14522, judges by what the R peaks of the leads say of the rhythm: logistic regression.

Axes: B batch, T samples of a piece, F features, K clusters.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Buffer, Conv1d, Upsample2

QUANTILES = 101
LEAD = 5  # numbers that are said of a whole lead


@dataclasses.dataclass(frozen=True)
class NoiseDetectorConfig:
    """Sizes of the autoencoder and of the second stage."""

    # samples per second and band (Hz) of what it sees; the band is wide, for noise lies at its ends
    rate: float = 250.0
    band: tuple[float, ...] = (0.1, 100.0)
    # samples of a piece, a multiple of 2 for every width; pieces overlap by half
    piece: int = 128
    # channels from the finest level down, each halving the time; numbers in a piece's code
    widths: tuple[int, ...] = (16, 24, 32, 48)
    code: int = 12
    # clusters of codes
    clusters: int = 16
    # features of the rhythm (`ttecg.quality.rhythm_features`)
    rhythm: int = 28

    def __post_init__(self):
        if self.piece % 2 ** len(self.widths) or not self.widths:
            raise ValueError(f"piece {self.piece} must be a multiple of {2 ** len(self.widths)}")
        if min(self.code, self.clusters) < 1:
            raise ValueError("code and clusters must be at least 1")

    def create(self, rngs: nnx.Rngs) -> "NoiseDetector":
        return NoiseDetector(self, rngs=rngs)


class NoiseDetector(nnx.Module):
    """See the module's docstring. What is not trained by gradients is set by `ttecg.train.noise_detector.fit`."""

    def __init__(self, config: NoiseDetectorConfig, *, rngs: nnx.Rngs):
        self.config, c = config, config
        widths = (1, *c.widths)
        self.down = nnx.List([Conv1d(a, b, 5, stride=2, rngs=rngs) for a, b in zip(widths, widths[1:])])
        flat = c.piece // 2 ** len(c.widths) * c.widths[-1]
        self.encode = Conv1d(flat, c.code, 1, rngs=rngs)
        self.decode = Conv1d(c.code, flat, 1, rngs=rngs)
        self.up = nnx.List(
            [Upsample2(b, max(a, 8), rngs=rngs) for a, b in zip(widths[::-1][1:], widths[::-1])]
        )
        self.out = Conv1d(8, 1, 5, rngs=rngs)
        # shape of the loudness and of codes among training pieces, and their clusters
        features = c.code + 4
        self.mean, self.spread = Buffer(jnp.zeros(features)), Buffer(jnp.ones(features))
        self.centres = Buffer(jnp.zeros((c.clusters, features)))
        self.precision = Buffer(jnp.tile(jnp.eye(features), (c.clusters, 1, 1)))
        # of what is said of a whole lead, and of a whole record
        self.lead_mean, self.lead_spread = Buffer(jnp.zeros(LEAD)), Buffer(jnp.ones(LEAD))
        self.quantiles = Buffer(jnp.linspace(0.0, 1.0, QUANTILES))
        self.rhythm_mean, self.rhythm_spread = Buffer(jnp.zeros(c.rhythm)), Buffer(jnp.ones(c.rhythm))
        self.rhythm_weight, self.rhythm_bias = Buffer(jnp.zeros(c.rhythm)), Buffer(jnp.zeros(()))

    def codes(self, piece_BxT):
        """(B, code)."""
        x = piece_BxT[..., None]
        for conv in self.down:
            x = jax.nn.gelu(conv(x))
        return self.encode(x.reshape(len(x), 1, -1))[:, 0]

    def rebuilt(self, codes_BxC):
        """(B, T)."""
        x = jax.nn.gelu(self.decode(codes_BxC[:, None]))
        x = x.reshape(len(x), -1, self.config.widths[-1])
        for layer in self.up:
            x = jax.nn.gelu(layer(x))
        return self.out(x)[..., 0]

    def features(self, piece_BxT):
        """(B, code + 4): the code; logarithms of the error of the reconstruction and of its differences, in which fast
        noise shows; level and slope, in which a wandering baseline does."""
        codes = self.codes(piece_BxT)
        error = piece_BxT - self.rebuilt(codes)
        sizes = [jnp.log((e**2).mean(-1) + 1e-4) for e in (error, jnp.diff(error, axis=-1))]
        half = piece_BxT.shape[-1] // 2
        ends = jnp.median(piece_BxT[:, :half], -1), jnp.median(piece_BxT[:, half:], -1)
        drift = [(ends[0] + ends[1]) / 2, ends[1] - ends[0]]
        return jnp.concatenate([codes, jnp.stack([*sizes, *drift], -1)], -1)

    def leads(self, piece_BxLxPxT):
        """(B, L, 5) of leads cut into P pieces: means of the logarithm of the pieces' Mahalanobis distance to the
        nearest cluster and of both errors; logarithms of how the level varies and how steep it is."""
        shape = piece_BxLxPxT.shape[:3]
        x = self.features(piece_BxLxPxT.reshape(-1, piece_BxLxPxT.shape[-1]))
        z = (x - self.mean[...]) / self.spread[...]
        away = z[:, None] - self.centres[...]
        distance = jnp.einsum("bkf,kfg,bkg->bk", away, self.precision[...], away).min(-1)
        distance, x = 0.5 * jnp.log(distance + 1e-6).reshape(shape), x.reshape(*shape, -1)
        level, slope = x[..., -2], x[..., -1]
        return jnp.stack(
            [
                distance.mean(-1),
                x[..., -4].mean(-1),
                x[..., -3].mean(-1),
                jnp.log(level.std(-1) + 1e-3),
                jnp.log(jnp.abs(slope).mean(-1) + 1e-3),
            ],
            -1,
        )

    def noise(self, piece_BxLxPxT):
        """(B, L) how noisy each lead is: the largest of its five numbers, in standard deviations of training leads."""
        return ((self.leads(piece_BxLxPxT) - self.lead_mean[...]) / self.lead_spread[...]).max(-1)

    def rhythm(self, features_BxF):
        """(B,) logits that the rhythm seen is one of noise."""
        x = (features_BxF - self.rhythm_mean[...]) / self.rhythm_spread[...]
        return jnp.clip(x, -5, 5) @ self.rhythm_weight[...] + self.rhythm_bias[...]
