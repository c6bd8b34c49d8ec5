"""The classifier that judges generated ECGs: superclasses and all statements at once, wider than classifier_base.

ttecg train classifier --config configs/classifier_all.py --workdir runs/classifier-all \
    --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.loop import RunConfig

config = ClassifierTraining(
    model=ResNetConfig(widths=(64, 128, 256)),
    labels=("superclass", "subset", "all"),
    run=RunConfig(steps=800, batch=32, eval_every=200, checkpoint_every=200, ema=0.99),
)
