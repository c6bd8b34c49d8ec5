"""Every part of generator training on a CPU in seconds, from the simulator. What it learns is of no use.

ttecg train text-tokenizer --config configs/text_tokenizer.py --workdir runs/text
ttecg train tokenizer --config configs/tokenizer_debug.py --workdir runs/tokenizer-debug
ttecg train generator --config configs/generator_debug.py --workdir runs/generator-debug
"""

from ttecg.models.generator import GeneratorConfig
from ttecg.train.generator import GeneratorTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = GeneratorTraining(
    model=GeneratorConfig(layers=1, width=32, heads=2, head_dim=16, levels=2),
    tokenizer="runs/tokenizer-debug",
    text="runs/text",
    sources=("simulator:16",),
    variants=2,
    level_loss=(1.0, 0.8),
    validation=8,
    optimizer=OptimizerConfig(learning_rate=2e-3, warmup=5),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
