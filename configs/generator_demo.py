"""The small generator that ships as `demo`: trained on two to four CPU cores, decodes an ECG in a fraction of a second.

    ttecg train generator --config configs/generator_demo.py --workdir runs/generator \
        --set tokenizer=runs/tokenizer --set text=runs/text --set 'sources=["data/ptbxl-500", "simulator:12000"]'
"""

from ttecg.models.generator import GeneratorConfig
from ttecg.train.generator import GeneratorTraining

config = GeneratorTraining(model=GeneratorConfig(layers=4, width=256))
