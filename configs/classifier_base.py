"""The classifier of ECGs: five superclasses from eight leads at 100 Hz, by shape alone.

ttecg train classifier --config configs/classifier_base.py --workdir runs/classifier \
    --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.train.classifier import ClassifierTraining

config = ClassifierTraining()
