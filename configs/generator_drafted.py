"""The drafting generator: report -> measures -> beat plan -> usual beats -> draft -> codes, for two to four CPU cores.

    ttecg train generator --config configs/generator_drafted.py --workdir runs/generator \
        --set tokenizer=runs/tokenizer --set text=runs/text --set basis=runs/basis \
        --set 'sources=["data/ptbxl-500", "simulator:12000"]'
"""

from ttecg.models.drafted import DraftedConfig
from ttecg.train.generator import GeneratorTraining
from ttecg.train.loop import RunConfig

config = GeneratorTraining(
    model=DraftedConfig(),
    partial=0.4,
    every=5,
    run=RunConfig(steps=1600, batch=64, eval_every=250, checkpoint_every=100),
)
