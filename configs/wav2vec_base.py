"""The self-supervised encoder at 100 Hz over eight leads, small enough for two cores.

ttecg train wav2vec --config configs/wav2vec_base.py --workdir runs/encoder --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.train.wav2vec import Wav2VecTraining

config = Wav2VecTraining()
