"""The generator that ships: report -> beat plan -> codes of the base tokenizer.

    ttecg train generator --config configs/generator_base.py --workdir runs/generator \
        --set tokenizer=runs/tokenizer --set text=runs/text --set 'sources=["prepared/ptbxl-500"]'
"""

from ttecg.train.generator import GeneratorTraining

config = GeneratorTraining()
