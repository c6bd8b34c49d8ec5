"""A scale point: the generator with about 0.95 billion parameters, for many accelerators.

    ttecg plan --config configs/generator_large.py --topology v5e:16x16
    ttecg train generator --config configs/generator_large.py --workdir runs/generator-large --distributed \
        --set tokenizer=runs/tokenizer --set text=runs/text --set 'sources=["data/ptbxl-500"]'

Parameters, averages and moments are split over all devices, activations recomputed, matrix products in bfloat16.
"""

from ttecg.models.generator import GeneratorConfig
from ttecg.train.generator import GeneratorTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = GeneratorTraining(
    model=GeneratorConfig(layers=20, width=2048, heads=16, kv_heads=4, head_dim=128, remat=True),
    optimizer=OptimizerConfig(learning_rate=2e-4, warmup=2000, weight_decay=0.05),
    run=RunConfig(steps=100_000, batch=512, eval_every=1000, checkpoint_every=500, fully_sharded=True),
)
