"""What the recorders of PTB-XL add to the heart's signal, for bundles whose tokenizer writes 0.5 to 40 Hz.

ttecg train recorder --config configs/recorder.py --workdir runs/recorder --set tokenizer=runs/tokenizer
"""

from ttecg.train.recorder import RecorderTraining

config = RecorderTraining()
