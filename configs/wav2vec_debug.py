"""Every part of the self-supervised encoder's training on a CPU in seconds, from the simulator. What it learns is of no
use.

ttecg train wav2vec --config configs/wav2vec_debug.py --workdir runs/encoder-debug
"""

from ttecg.models.wav2vec import Wav2VecConfig
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig
from ttecg.train.wav2vec import Wav2VecTraining

config = Wav2VecTraining(
    model=Wav2VecConfig(stem_width=16, width=16, layers=1, heads=2, vectors=8, compared=8, features=8),
    sources=("simulator:32",),
    segment=256,
    negatives=8,
    validation=8,
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup=5),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
