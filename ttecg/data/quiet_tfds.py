"""TensorFlow Datasets without TensorFlow, imported late and without the banner that asks for TensorFlow."""


def tensorflow_datasets():
    """The module tensorflow_datasets. ttecg reads and writes array_record only, which needs no TensorFlow."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.utils import lazy_imports_utils

    lazy_imports_utils.print = lambda *_: (
        None
    )  # shadows the builtin in that module alone, which prints nothing else
    return tfds
