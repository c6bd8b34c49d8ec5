"""Every part of two-lead training on a CPU in seconds, from the simulator. What it learns is of no use.

ttecg train two-lead --config configs/two_lead_debug.py --workdir runs/two-lead-debug
"""

from ttecg.models.two_lead import TwoLeadConfig
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig
from ttecg.train.two_lead import TwoLeadTraining

config = TwoLeadTraining(
    model=TwoLeadConfig(widths=(16, 24), style_width=8, condition=24, style=8, latent=4),
    sources=("simulator:16",),
    crop=256,
    adversarial=0.1,
    style_reconstruction=0.1,
    cycle=0.1,
    diversity=0.01,
    validation=4,
    optimizer=OptimizerConfig(learning_rate=2e-3, warmup=5),
    run=RunConfig(steps=20, batch=8, log_every=5, eval_every=20, checkpoint_every=10),
)
