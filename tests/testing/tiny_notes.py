# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A small data set that TensorFlow Datasets prepares, and its texts."""

from data_pipelines.corpora.corpus import Corpus

# A builder must live in a package that can be imported.
BUILDER = """
import numpy as np
import tensorflow_datasets as tfds


class TinyNotes(tfds.core.GeneratorBasedBuilder):
  VERSION = tfds.core.Version("1.2.0")
  BUILDER_CONFIGS = [
    tfds.core.BuilderConfig(name="en"),
    tfds.core.BuilderConfig(name="de"),
  ]

  def _info(self):
    features = {
      "id": np.int64,
      "text": tfds.features.Text(),
      "title": tfds.features.Text(),
      "kind": tfds.features.ClassLabel(names=["even", "odd"]),
      "words": tfds.features.Sequence(tfds.features.Text()),
      "tags": tfds.features.Sequence(
        tfds.features.ClassLabel(names=["O", "B-number"])
      ),
      "answers": tfds.features.Sequence(
        {"text": tfds.features.Text(), "answer_start": np.int32}
      ),
    }
    return self.dataset_info_from_configs(
      features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {
      "train": self._generate_examples(100, True),
      "test": self._generate_examples(7, False),
    }

  def _generate_examples(self, count, is_labeled):
    for number in range(count):
      text = f"{self.builder_config.name} número {number}\\r\\n"
      if number == 5:
        text = ""
      yield number, {
        "id": number,
        "text": text,
        "title": f"t{number}",
        "kind": number % 2 if is_labeled else -1,
        "words": ["t", str(number)],
        "tags": [0, 1],
        "answers": {"text": [str(number)], "answer_start": [1]},
      }
"""


def make(kind, folder, file_format):
  """Prepare tiny_notes/en by its class, in three files of a split."""
  import tensorflow_datasets as tfds

  config = tfds.download.DownloadConfig(num_shards=3)
  builder = kind(data_dir=str(folder), config="en", file_format=file_format)
  builder.download_and_prepare(download_config=config)
  return builder


def texts(spec, folder, **options):
  corpus = Corpus(f"tfds:{spec}", tfds_data_dir=str(folder), **options)
  return [document.text for document in corpus]
