"""The drafting generator on a CPU in seconds, from the simulator, after the runs of generator_debug.py.

ttecg train beat-basis --config configs/beat_basis.py --workdir runs/basis-debug \
    --set tokenizer=runs/tokenizer-debug --set 'sources=["simulator:170"]'
ttecg train generator --config configs/drafted_debug.py --workdir runs/drafted-debug
"""

from ttecg.models.drafted import DraftedConfig
from ttecg.train.generator import GeneratorTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = GeneratorTraining(
    model=DraftedConfig(
        layers=1,
        width=32,
        heads=2,
        head_dim=16,
        frame_layers=1,
        frame_width=32,
        frame_heads=2,
        beat_layers=1,
        beat_width=32,
        levels=2,
    ),
    tokenizer="runs/tokenizer-debug",
    text="runs/text",
    basis="runs/basis-debug",
    sources=("simulator:16",),
    variants=2,
    level_loss=(1.0, 0.8),
    validation=8,
    optimizer=OptimizerConfig(learning_rate=2e-3, warmup=5),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
