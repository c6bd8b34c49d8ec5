"""The lead reconstructor that ships: any visible leads to twelve, at 100 Hz.

    ttecg train unet --config configs/unet_base.py --workdir runs/unet-0 --set run.seed=0 \
        'sources=["data/ptbxl-500@3", "data/ludb@0.7"]' 'shape_sources=["data/shape@3"]'
"""

from ttecg.train.unet import UNetTraining

config = UNetTraining()
