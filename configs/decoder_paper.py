"""The HiFi-GAN of Auto-TTE (arXiv 2303.09395, section 2.3), over the codes of tokenizer_paper: 14.04 M parameters that
write twelve leads at 500 Hz, 71 M that judge them; AdamW of betas 0.8 and 0.99, falling by 0.999 per epoch (273 steps).

The weights 1, 45 and 2 of judges, STFT and features are those of HiFi-GAN; the paper's text has the last two the other
way round. No absolute error, no crop, no augmentation.
"""

from ttecg.models.hifigan import HifiGanConfig
from ttecg.train.decoder import DecoderTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = DecoderTraining(
    model=HifiGanConfig(
        leads=12,
        rate=500.0,
        levels=1,
        code_dim=512,
        own_vectors=True,
        width=512,
        doublings=4,
        kernels=(3, 7, 11),
        dilations=(1, 3, 5),
    ),
    variants=1,
    crop=0,
    l1=0.0,
    spectral=45.0,
    adversarial=1.0,
    features=2.0,
    optimizer=OptimizerConfig(
        learning_rate=2e-4,
        warmup=0,
        schedule="exponential",
        decay_rate=0.999,
        decay_steps=273,
        b1=0.8,
        clip=0.0,
    ),
    run=RunConfig(steps=39_000, batch=64, eval_every=500, checkpoint_every=500),
)
