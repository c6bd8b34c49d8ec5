"""Text pieces of canonical reports.

    ttecg train text-tokenizer --config configs/text_tokenizer.py --workdir runs/text \
        --set 'tables=["ptbxl_database.csv"]' --set 'sources=["simulator"]'
"""

from ttecg.train.text_tokenizer import TextTokenizerTraining

config = TextTokenizerTraining()
