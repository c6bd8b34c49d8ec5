"""The components of usual beats, which the drafting generator writes.

    ttecg train beat-basis --config configs/beat_basis.py --workdir runs/basis --set tokenizer=runs/tokenizer \
        --set 'sources=["data/ptbxl-500@3", "simulator:3000"]'
"""

from ttecg.train.beat_basis import BeatBasisTraining

config = BeatBasisTraining()
