"""The generator to train on PTB-XL with a GPU: report -> beat plan -> codes, about 30 M parameters.

    ttecg train generator --config configs/generator_base.py --workdir runs/generator \
        --set tokenizer=runs/tokenizer --set text=runs/text --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.models.generator import GeneratorConfig
from ttecg.train.generator import GeneratorTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = GeneratorTraining(
    model=GeneratorConfig(layers=8, width=512, heads=8, kv_heads=2, dropout=0.1),
    optimizer=OptimizerConfig(learning_rate=5e-4, warmup=1000, weight_decay=0.05),
    run=RunConfig(steps=50_000, batch=128, eval_every=1000, checkpoint_every=500),
)
