"""Every part of the CLIP pair's training on a CPU in seconds, from the simulator. What it learns is of no use.

ttecg train clip --config configs/clip_debug.py --workdir runs/clip-debug
"""

from ttecg.models.clip import ClipConfig
from ttecg.models.resnet import ResNetConfig
from ttecg.train.clip import ClipTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = ClipTraining(
    model=ClipConfig(resnet=ResNetConfig(widths=(16, 32), outputs=16), text_width=16, layers=1, heads=2),
    sources=("simulator:32",),
    crop=256,
    validation=8,
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup=5),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
