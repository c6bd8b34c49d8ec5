"""The CLIP pair of ECGs and reports, for text adherence and retrieval.

ttecg train clip --config configs/clip_base.py --workdir runs/clip --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.train.clip import ClipTraining

config = ClipTraining()
