"""Training: state, sharding, checkpoints and the loop are shared; each task has one small trainer."""
