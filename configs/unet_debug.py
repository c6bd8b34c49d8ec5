"""A few steps of a tiny network on simulated ECGs: drives every part in seconds."""

from ttecg.models.unet import UNetConfig
from ttecg.train.loop import RunConfig
from ttecg.train.unet import UNetTraining

config = UNetTraining(
    model=UNetConfig(widths=(8, 16)),
    sources=("simulator:32",),
    crop=256,
    validation=4,
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
