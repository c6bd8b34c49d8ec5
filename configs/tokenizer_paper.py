"""The VQ-VAE of Auto-TTE (arXiv 2303.09395) as its released code has it: twelve leads, 500 Hz, 312 codes of 1024.

Mean squared error in mV, commitment 0.25, moving-average codebook of decay 0.8, Adam 2e-3 falling by 0.98 per epoch.
No filter and no scaling; the recordings are taken as they are.
"""

from ttecg.models.tokenizer import TokenizerConfig
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig
from ttecg.train.tokenizer import TokenizerTraining

config = TokenizerTraining(
    model=TokenizerConfig(
        kind="paper",
        leads=12,
        rate=500.0,
        samples=5000,
        band=None,
        width=256,
        blocks=2,
        levels=1,
        code_dim=512,
        decay=0.8,
        dead_share=0.01,
    ),
    crop=0,
    per_lead_scale=False,
    mse=1.0,
    l1=0.0,
    stft=0.0,
    level_dropout=0.0,
    augment=False,
    optimizer=OptimizerConfig(
        learning_rate=2e-3, warmup=0, schedule="exponential", weight_decay=0.0, b2=0.999, clip=0.0
    ),
    run=RunConfig(steps=6800, batch=256),
)
