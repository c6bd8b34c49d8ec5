"""The waveform decoder for the codes of the tokenizer that ships: eight leads at 250 Hz, 1.2 M parameters.

    ttecg train decoder --config configs/decoder_base.py --workdir runs/decoder-plain \
        --set 'sources=["data/ptbxl-500@4", "data/ludb@1"]' --set adversarial=0 --set optimizer.learning_rate=1.5e-3
    ttecg train decoder --config configs/decoder_base.py --workdir runs/decoder \
        --set 'sources=["data/ptbxl-500@4", "data/ludb@1"]' --set init=runs/decoder-plain
    ttecg export runs/decoder --out bundles/demo-hifigan
"""

from ttecg.models.hifigan_judges import JudgesConfig
from ttecg.train.decoder import DecoderTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = DecoderTraining(
    judges=JudgesConfig(
        periods=(2, 3, 5, 7),
        period_widths=(16, 32, 64, 64),
        scales=2,
        scale_widths=(16, 32, 64, 64),
        scale_kernels=(15, 21, 21, 5),
        scale_strides=(1, 2, 4, 1),
        scale_groups=(1, 4, 8, 1),
    ),
    tokenizer="demo",
    adversarial=1.0,
    optimizer=OptimizerConfig(learning_rate=3e-4, b1=0.8),
    run=RunConfig(steps=1300, batch=16, eval_every=100, checkpoint_every=100, ema=0.995),
)
