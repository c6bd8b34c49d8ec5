"""The transformer of Auto-TTE (arXiv 2303.09395) as its released code has it, over the codes of tokenizer_paper.

Twelve layers, text + 7 x ECG loss, Adam 2e-4, gradient norm clipped at 0.5.
"""

from ttecg.models.paper_generator import PaperGeneratorConfig
from ttecg.train.generator import GeneratorTraining
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig

config = GeneratorTraining(
    model=PaperGeneratorConfig(),
    conditions=("sex", "age"),
    text_loss=1 / 8,
    plan_loss=0.0,
    level_loss=(7 / 8,),
    variants=1,
    balance=0.0,
    drop_text=0.0,
    drop_condition=0.0,
    statements=0.0,
    early=1.0,
    optimizer=OptimizerConfig(
        learning_rate=2e-4, warmup=0, schedule="constant", weight_decay=0.0, b2=0.999, clip=0.5
    ),
    run=RunConfig(steps=49_000, batch=64, eval_every=500, checkpoint_every=500),
)
