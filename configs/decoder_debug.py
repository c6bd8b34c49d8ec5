"""Every part of decoder training on a CPU in seconds, from the simulator. What it learns is of no use.

ttecg train tokenizer --config configs/tokenizer_debug.py --workdir runs/tokenizer-debug
ttecg train decoder --config configs/decoder_debug.py --workdir runs/decoder-debug
"""

from ttecg.models.hifigan import HifiGanConfig
from ttecg.models.hifigan_judges import JudgesConfig
from ttecg.train.decoder import DecoderTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = DecoderTraining(
    model=HifiGanConfig(levels=2, codes=32, code_dim=8, width=32, kernels=(3, 5), dilations=(2,)),
    judges=JudgesConfig(
        periods=(3,),
        period_widths=(8, 8),
        scales=2,
        scale_widths=(8, 8),
        scale_kernels=(5, 5),
        scale_strides=(1, 2),
        scale_groups=(1, 2),
    ),
    tokenizer="runs/tokenizer-debug",
    sources=("simulator:16",),
    variants=2,
    crop=32,
    adversarial=1.0,
    validation=4,
    optimizer=OptimizerConfig(learning_rate=2e-3, warmup=5, b1=0.8),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
