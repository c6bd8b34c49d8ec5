"""Pure flax.nnx modules: arrays in, arrays out; no files, no training.

Axes, everywhere in ttecg: B batch, T time (samples), L lead, N code position (frame), Q quantiser level,
D width, H heads, K codebook size, V vocabulary, P prompt position, R beat of the plan.
"""
