"""The noise detectors behind `ttecg data inspect --quality`. Recordings that are mostly clean are what they need.

ttecg train noise-detector --config configs/noise_detector_base.py --workdir runs/quality \
    --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.train.noise_detector import NoiseDetectorTraining

config = NoiseDetectorTraining()
