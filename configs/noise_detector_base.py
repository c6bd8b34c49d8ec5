"""The noise detectors behind `ttecg data inspect --quality`.

ttecg train noise-detector --config configs/noise_detector_base.py --workdir runs/quality \
    --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.train.noise_detector import NoiseDetectorTraining

config = NoiseDetectorTraining()
