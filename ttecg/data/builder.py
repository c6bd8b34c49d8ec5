"""What a prepared set stores of a record, and how: TFDS features as bytes, and the set's own description.

The files are array_record with one tf.Example to a record, so `tensorflow_datasets.builder_from_directory` reads a set
as well as `ttecg.data.dataset` does. Signals lie there as int16 microvolts, not compressed: reading is to cost
less than what is done with them.
"""

import functools
import pathlib

import numpy as np

from ttecg.data.quiet_tfds import tensorflow_datasets

tfds = tensorflow_datasets()


class RecordBuilder:
    """What a data set tells TFDS of itself: docstring, citation, address, and how many LEADS it stores: 12 as recorded,
    or the 8 independent ones."""

    CITATION = ""
    HOMEPAGE = ""
    LEADS = 12


@functools.cache
def features(leads: int):
    """The features of a record whose signal is (T, leads) int16 microvolts."""
    return tfds.features.FeaturesDict(
        {
            "signal": tfds.features.Tensor(shape=(None, leads), dtype=np.int16, encoding="bytes"),
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


@functools.cache
def _serializer(leads: int):
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    return ExampleSerializer(features(leads).get_serialized_info())


def encode(example: dict) -> bytes:
    """The bytes of a record {name of the feature: value}, the same in every process."""
    leads = example["signal"].shape[1]
    encoded = features(leads).encode_example(example)
    return _serializer(leads).get_tf_example(encoded).SerializeToString(deterministic=True)


def write_info(builder: type[RecordBuilder], folder: pathlib.Path, name: str, lengths: dict[str, list[int]]):
    """Writes the files by which TFDS knows the set `name` in `folder`; lengths: {split: records of each shard}."""
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version=tfds.core.Version("1.0.0"), data_dir=str(folder), module_name=builder.__module__
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description=builder.__doc__,
        features=features(builder.LEADS),
        homepage=builder.HOMEPAGE,
        citation=builder.CITATION,
        disable_shuffling=True,
    )
    info.set_file_format("array_record")
    sizes = {
        split: sum(p.stat().st_size for p in folder.glob(f"{name}-{split}.array_record-*"))
        for split in lengths
    }
    splits = [
        tfds.core.SplitInfo(name=split, shard_lengths=counts, num_bytes=sizes[split])
        for split, counts in lengths.items()
    ]
    info.set_splits(tfds.core.splits.SplitDict(splits))
    info.write_to_directory(folder)
