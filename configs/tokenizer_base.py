"""The tokenizer that ships: eight leads at 250 Hz, 312 frames of 32 ms, residual VQ of 4 x 1024.

    ttecg train tokenizer --config configs/tokenizer_base.py --workdir runs/tokenizer \
        --set 'sources=["data/ptbxl-500"]'
"""

from ttecg.train.tokenizer import TokenizerTraining

config = TokenizerTraining()
