"""Every part of the noise detectors' training on a CPU in seconds, from the simulator. What they learn is of no use.

ttecg train noise-detector --config configs/noise_detector_debug.py --workdir runs/quality-debug
"""

from ttecg.models.noise_detector import NoiseDetectorConfig
from ttecg.train.loop import RunConfig
from ttecg.train.noise_detector import NoiseDetectorTraining
from ttecg.train.state import OptimizerConfig

config = NoiseDetectorTraining(
    model=NoiseDetectorConfig(widths=(8, 8), code=2, clusters=2),
    sources=("simulator:32",),
    fitted=20,
    validation=4,
    optimizer=OptimizerConfig(learning_rate=3e-3, warmup=5),
    run=RunConfig(steps=20, batch=16, log_every=5, eval_every=20, checkpoint_every=10),
)
