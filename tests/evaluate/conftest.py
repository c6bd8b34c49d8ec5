"""What the tests of evaluations share: a small prepared set, and networks that look at ECGs, with random weights."""

import jax
import pytest

from ttecg import encoders
from ttecg.data.simulated import Simulated
from ttecg.data.statements import CLASSES
from ttecg.data.write_folder import write_folder
from ttecg.evaluate.seen import Eyes
from ttecg.models.clip import ClipConfig
from ttecg.models.functional import Functional
from ttecg.models.resnet import ResNetConfig
from ttecg.models.wav2vec import Wav2VecConfig
from ttecg.train.text_tokenizer import load as load_text


@pytest.fixture(scope="session")
def reported_set(tmp_path_factory):
    """A prepared set of 60 simulated records of 30 patients in ten folds, with reports and labels."""
    from ttecg.data.prepare import prepare

    root = tmp_path_factory.mktemp("reported")
    ecgs = [
        ecg.replace(id=f"r{i}", info={"patient_id": f"p{i // 2}", "fold": 1 + i // 2 % 10})
        for i, ecg in enumerate(Simulated(60, rate=100.0)[n] for n in range(60))
    ]
    write_folder(ecgs, root / "records")
    return prepare("folder", root / "records", root / "set")


@pytest.fixture(scope="session")
def eyes(debug_runs) -> Eyes:
    """Tiny networks with random weights."""
    small = ResNetConfig(widths=(8,), stem_stride=8, outputs=len(CLASSES))
    text = load_text(debug_runs.text)
    clip = ClipConfig(
        resnet=ResNetConfig(widths=(8,), stem_stride=8, outputs=8),
        vocab=2000,
        text_width=8,
        layers=1,
        heads=2,
    )
    wave = Wav2VecConfig(stem_width=8, width=16, layers=1, heads=2, vectors=4, compared=8, features=8)
    classifier = encoders.Classifier("classifier", small, *_random(small), CLASSES)
    return Eyes(
        {"encoder": encoders.SelfSupervised("encoder", wave, *_random(wave)), "classifier": classifier},
        classifier,
        encoders.Clip("clip", clip, *_random(clip), text),
    )


def _random(config):
    functional = Functional(config.create)
    return functional, *functional.init(jax.random.key(0))
