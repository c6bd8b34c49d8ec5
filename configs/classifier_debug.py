"""Every part of classifier training on a CPU in seconds, from the simulator. What it learns is of no use.

ttecg train classifier --config configs/classifier_debug.py --workdir runs/classifier-debug
"""

from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = ClassifierTraining(
    model=ResNetConfig(widths=(16, 32)),
    sources=("simulator:32",),
    crop=256,
    validation=8,
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup=5),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
