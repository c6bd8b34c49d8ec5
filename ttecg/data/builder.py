"""What the TFDS builders share: the features of a record, its splits by fold, and the account of bad records.

A builder of ttecg says only which rows there are; see `ttecg/data/ptbxl`. Prepare with `ttecg.data.prepare`.
"""

import numpy as np

from ttecg.data.quiet_tfds import tensorflow_datasets
from ttecg.data.rows import SPLITS, Row, load

tfds = tensorflow_datasets()


class RecordBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes `rows` as array_record, one split per group of folds, in the order of the rows.

    rate: samples per second of the prepared signals (None: as in the files). checksum: verify the files' own.
    progress is called once per row. After the run `bad` holds (id, reason) of the records that were left out,
    `flagged` those of the suspect ones."""

    VERSION = tfds.core.Version("1.0.0")
    CITATION = ""
    HOMEPAGE = ""

    def __init__(
        self,
        *,
        rows: tuple[Row, ...] = (),
        rate: float | None = None,
        checksum: bool = True,
        progress=lambda: None,
        **kwargs,
    ):
        super().__init__(file_format="array_record", **kwargs)
        self.rows, self.rate, self.checksum, self.progress = rows, rate, checksum, progress
        self.bad: list[tuple[str, str]] = []
        self.flagged: list[tuple[str, str]] = []

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "signal": tfds.features.Tensor(shape=(None, 12), dtype=np.int16, encoding="zlib"),
                "rate": np.float32,
                "id": tfds.features.Text(),
                "age": np.float32,
                "sex": tfds.features.Text(),
                "report": tfds.features.Text(),
                "labels": tfds.features.Sequence(tfds.features.Text()),
                "likelihoods": tfds.features.Sequence(np.float32),
                "patient_id": tfds.features.Text(),
                "fold": np.int64,
            }
        )
        return self.dataset_info_from_configs(
            features=features,
            description=self.__doc__,
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # the files are there: see ttecg.data.download
        groups = {split: [row for row in self.rows if row.split == split] for split in SPLITS}
        return {split: self._generate_examples(rows) for split, rows in groups.items() if rows}

    def _generate_examples(self, rows):
        for number, row in enumerate(rows):
            try:
                example, notes = load(row, self.rate, self.checksum)
            except (ValueError, OSError) as error:
                self.bad.append((row.id, str(error)))
            else:
                self.flagged += [(row.id, note) for note in notes]
                yield number, example
            self.progress()
