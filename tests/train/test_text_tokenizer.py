"""The text tokenizer: same text, same bytes; findings are pieces; nothing is left behind where it fails."""

import pytest
import sentencepiece as spm

from ttecg.data.findings import FINDINGS
from ttecg.train import text_tokenizer
from ttecg.train.text_tokenizer import FILE, TextTokenizerTraining

TEXTS = [
    ". ".join((a, b))
    for a in FINDINGS
    for b in ("sinus rhythm", "normal axis", "otherwise 12 unremarkable words")
]


def test_same_text_gives_the_same_bytes():
    assert text_tokenizer.train(TEXTS, 500) == text_tokenizer.train(TEXTS, 500)


def test_every_finding_is_a_piece_and_any_text_comes_back():
    pieces = spm.SentencePieceProcessor(model_proto=text_tokenizer.train(TEXTS, 500))
    assert pieces.vocab_size() <= 500
    for finding in FINDINGS:
        assert finding.replace(" ", "\u2581") in {pieces.id_to_piece(i) for i in range(pieces.vocab_size())}
    for text in ("left bundle branch block. heart rate 62/min", "ß 心"):
        assert pieces.decode(pieces.encode(text)) == text


def test_a_run_writes_the_model_and_is_not_overwritten(tmp_path):
    config = TextTokenizerTraining(vocab=400)
    file = text_tokenizer.run(config, tmp_path / "text")
    assert (
        text_tokenizer.load(tmp_path / "text")
        == text_tokenizer.load(file)
        == (tmp_path / "text" / FILE).read_bytes()
    )
    with pytest.raises(ValueError, match="holds a run already"):
        text_tokenizer.run(config, tmp_path / "text")


@pytest.mark.parametrize("vocab", [0, 299, 3001])
def test_a_vocabulary_of_another_size_is_named(vocab):
    with pytest.raises(ValueError, match=f"between 300 and 3000, got {vocab}"):
        TextTokenizerTraining(vocab=vocab)


def test_what_cannot_be_trained_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="no 300 text pieces can be made") as error:
        text_tokenizer.run(TextTokenizerTraining(vocab=300), tmp_path / "text")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="no report to learn"):
        text_tokenizer.run(TextTokenizerTraining(sources=()), tmp_path / "text")
    assert not (tmp_path / "text").exists()
    with pytest.raises(ValueError, match="no text tokenizer at"):
        text_tokenizer.load(tmp_path / "text")
