"""Depth, width and kernel of the classifier, one against the other, after "Optimizing Neural Network Scale for ECG
Classification" (arXiv 2308.12492), which found shallow, wide networks with small kernels best.

ttecg evaluate classifier-scale --config configs/classifier_scale.py --data data/ptbxl-500 --out out/scale
"""

from ttecg.models.resnet import ResNetConfig
from ttecg.train.classifier import ClassifierTraining
from ttecg.train.loop import RunConfig

config = ClassifierTraining(model=ResNetConfig(), run=RunConfig(steps=400, batch=32, ema=0.99))

# every combination is trained: residual blocks of each of three stages, channels of the first stage, kernel
grid = {"depth": (1, 2, 4), "width": (16, 32, 64), "kernel": (3, 9, 15)}
