"""Residual vector quantiser with codebooks learned by exponential moving averages.

One level is the plain VQ of van den Oord et al. 2017 (arXiv 1711.00937, appendix A.1); several levels quantise
the remainder of the level before (SoundStream, arXiv 2107.03312). A code that has fallen out of use is put onto
an encoder output of the current batch; since all counts start at zero, that is also the initialisation from data.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ttecg.models.layers import Buffer


class ResidualVQ(nnx.Module):
    """levels codebooks of `size` vectors of width `dim`."""

    def __init__(self, levels: int, size: int, dim: int, *, decay: float = 0.99, dead_share: float = 0.01):
        self.decay, self.dead_share = decay, dead_share
        self.vectors = Buffer(jnp.zeros((levels, size, dim)))
        self.counts = Buffer(jnp.zeros((levels, size)))

    @property
    def levels(self) -> int:
        return self.vectors.shape[0]

    def __call__(self, z_BxNxD, levels_B=None, key=None):
        """Quantise. With a key (training) the codebooks move.

        levels_B: how many levels each example uses (None: all). Returns the quantised latents with
        straight-through gradients, codes (B, N, Q) of every level, the commitment loss (mean over used levels)
        and the codebooks after this batch, (vectors, counts), for `replace_codebooks`.
        """
        used_BxQ = jnp.ones((z_BxNxD.shape[0], self.levels), bool)
        if levels_B is not None:
            used_BxQ = jnp.arange(self.levels)[None] < levels_B[:, None]
        z = z_BxNxD.astype(jnp.float32)
        total, commit, codes, vectors, counts = jnp.zeros_like(z), 0.0, [], [], []
        for level in range(self.levels):
            use = used_BxQ[:, level, None, None]
            rest = jax.lax.stop_gradient(z - total)
            book, count = self.vectors[...][level], self.counts[...][level]
            if key is not None:
                book, count = _revive(book, count, rest, self.dead_share, jax.random.fold_in(key, level))
            code_BxN = nearest(rest, book)
            chosen = book[code_BxN]
            if key is not None:
                book, count = _moving_average(book, count, rest, code_BxN, use[..., 0], self.decay)
            commit += jnp.sum(use * (z - total - chosen) ** 2) / (
                z.size * jnp.maximum(used_BxQ.mean() * self.levels, 1e-6)
            )
            total = jax.lax.stop_gradient(total + use * chosen)
            codes.append(code_BxN)
            vectors.append(book)
            counts.append(count)
        straight = z + jax.lax.stop_gradient(total - z)
        codebooks = (jnp.stack(vectors), jnp.stack(counts))
        return straight.astype(z_BxNxD.dtype), jnp.stack(codes, -1), commit, codebooks

    def replace_codebooks(self, codebooks):
        self.vectors[...], self.counts[...] = codebooks

    def lookup(self, codes_BxNxQ):
        """Sum of the codebook vectors of the first Q levels, (B, N, D); fewer levels give a coarser latent."""
        return sum(self.vectors[...][q][codes_BxNxQ[..., q]] for q in range(codes_BxNxQ.shape[-1]))


def nearest(x_BxNxD, book_KxD):
    """Index of the nearest codebook vector (squared Euclidean), in float32."""
    return jnp.argmin(jnp.sum(book_KxD**2, -1) - 2 * x_BxNxD @ book_KxD.T, axis=-1)


def _revive(book, count, rest, dead_share, key):
    """Codes used less than dead_share of the mean are moved onto random vectors of this batch, at the mean count."""
    flat = rest.reshape(-1, rest.shape[-1])
    mean = jnp.maximum(count.mean(), 1.0)
    dead = count < dead_share * mean
    random = flat[jax.random.randint(key, dead.shape, 0, len(flat))]
    return jnp.where(dead[:, None], random, book), jnp.where(dead, mean, count)


def _moving_average(book, count, rest, code_BxN, use_Bx1, decay):
    """The counts and means of the vectors that chose each code, as exponential moving averages."""
    weight = jnp.broadcast_to(use_Bx1, code_BxN.shape).reshape(-1).astype(jnp.float32)
    flat = rest.reshape(-1, rest.shape[-1]) * weight[:, None]
    hits = jnp.zeros_like(count).at[code_BxN.reshape(-1)].add(weight)
    sums = jnp.zeros_like(book).at[code_BxN.reshape(-1)].add(flat)
    new = decay * count + (1 - decay) * hits
    moved = (decay * count[:, None] * book + (1 - decay) * sums) / jnp.maximum(new[:, None], 1e-5)
    return jnp.where(new[:, None] > 1e-5, moved, book), new


def codebook_use(codes_BxNxQ, size: int):
    """Perplexity (Q,) of each level's codes and the share (Q,) of codes used at least once."""
    levels = codes_BxNxQ.shape[-1]
    hits = jnp.stack([jnp.bincount(codes_BxNxQ[..., q].reshape(-1), length=size) for q in range(levels)])
    p = hits / hits.sum(-1, keepdims=True)
    return jnp.exp(-jnp.sum(p * jnp.log(jnp.maximum(p, 1e-12)), -1)), (hits > 0).mean(-1)
