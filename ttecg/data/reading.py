"""Records of array_record files by index, many in one call, and the signals in them."""

import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from tensorflow_datasets.proto import tf_example_pb2

from ttecg.ecg import INDEPENDENT, LEADS, to_twelve

_EIGHT_OF_TWELVE = [LEADS.index(name) for name in INDEPENDENT]


class Records:
    """The records of several files as one sequence, for any number of threads."""

    def __init__(self, files: Sequence):
        self._files = [_File(str(file)) for file in files]
        self._ends = np.cumsum([len(file) for file in self._files])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, indices_B: np.ndarray) -> Iterator[tuple[int, Mapping]]:
        """(place b in the batch, {name: value} as TFDS stores it) of each, in the order of the files."""
        file_B = np.searchsorted(self._ends, indices_B, side="right")
        record_B = indices_B - np.concatenate([[0], self._ends])[file_B]
        for b in np.argsort(indices_B, kind="stable"):
            stored = self._files[file_B[b]].read(int(record_B[b]))
            yield b, tf_example_pb2.Example.FromString(stored).features.feature


class _File:
    """Reads one file record by record. The reader's call for many would hand each to another thread, which takes twice
    the time for records as small as these, and memory in every thread."""

    def __init__(self, path: str):
        options = "readahead_buffer_size:0,max_parallelism:0"  # neighbours in a batch are none in a file
        self._reader = ArrayRecordReader(path, options, file_reader_buffer_size=32768)
        self._lock = threading.Lock()  # held from seeking to reading

    def __len__(self) -> int:
        return self._reader.num_records()

    def read(self, index: int) -> bytes:
        with self._lock:
            self._reader.seek(index)
            return self._reader.read()


class SignalFormat:
    """How a set stores its signals, after TFDS's feature: 12 leads or the 8 independent ones, compressed or not."""

    def __init__(self, feature):
        self._leads = feature.shape[1]
        self._eight = slice(None) if self._leads == len(INDEPENDENT) else _EIGHT_OF_TWELVE
        self._decode = zlib.decompress if feature.to_json_content().encoding == "zlib" else bytes

    def twelve(self, row: Mapping) -> np.ndarray:
        """(T, 12) float32 mV of a row of `Records`."""
        signal = self._microvolts(row) / np.float32(1000)
        return signal if self._leads == len(LEADS) else to_twelve(signal)

    def eight(self, row: Mapping) -> np.ndarray:
        """(T, 8) int16 microvolts of the independent leads."""
        return self._microvolts(row)[:, self._eight]

    def _microvolts(self, row) -> np.ndarray:
        stored = self._decode(row["signal"].bytes_list.value[0])
        return np.frombuffer(stored, np.int16).reshape(-1, self._leads)
