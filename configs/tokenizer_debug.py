"""Every part of tokenizer training on a CPU in seconds, from the simulator. What it learns is of no use.

ttecg train tokenizer --config configs/tokenizer_debug.py --workdir runs/tokenizer-debug
"""

from ttecg.models.tokenizer import TokenizerConfig
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig
from ttecg.train.tokenizer import TokenizerTraining

config = TokenizerTraining(
    model=TokenizerConfig(width=16, coarse_width=24, blocks=1, levels=2, codes=32, code_dim=8),
    sources=("simulator:16",),
    crop=252,
    validation=4,
    optimizer=OptimizerConfig(learning_rate=2e-3, warmup=5),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
