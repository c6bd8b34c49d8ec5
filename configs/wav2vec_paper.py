"""The sizes of Oh et al. 2022 (arXiv 2203.06889): 5 s at 500 Hz, a stem of four layers of 256, a transformer of twelve
layers of 768. Departures: they give it twelve leads, of which four are sums of others, here it sees eight; their stem
has kernels of 2, ours of 4; their positions are convolutions, ours rotary. Their spans start at .065 of the frames and
overlap, which hides about .48 of them; `hidden` counts the latter.

ttecg train wav2vec --config configs/wav2vec_paper.py --workdir runs/encoder-paper --set 'sources=["data/ptbxl"]'
"""

from ttecg.models.wav2vec import Wav2VecConfig
from ttecg.train.loop import RunConfig
from ttecg.train.state import OptimizerConfig
from ttecg.train.wav2vec import Wav2VecTraining

config = Wav2VecTraining(
    model=Wav2VecConfig(
        rate=500.0,
        band=(0.67, 100.0),
        stem_width=256,
        stem_layers=4,
        width=768,
        layers=12,
        heads=12,
        vectors=320,
        compared=256,
    ),
    segment=2496,
    hidden=0.48,
    span=10,
    negatives=100,
    temperature=0.1,
    gumbel=(2.0, 0.999995, 0.5),
    penalty=10.0,
    noise=0.0,
    optimizer=OptimizerConfig(learning_rate=5e-5, warmup=1000, b2=0.98),
    run=RunConfig(steps=100_000, batch=128, eval_every=2000, checkpoint_every=1000),
)
