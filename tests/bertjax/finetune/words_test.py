# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Labels are read where words have most context."""

import numpy as np

from bertjax.finetune.windows import Windows
from bertjax.finetune.words import divide_labels, find_words, predict_tags
from data_pipelines.tasks.tagging import Words

LABELS = ("O", "B-fish", "I-fish")


def words(texts, window_W, place_W):
  return Words(
    " ".join(texts),
    tuple(texts),
    np.zeros((len(texts), 2), np.int64),
    np.asarray(window_W),
    np.asarray(place_W),
  )


# The second example has two windows; one word of it counts in the second.
EXAMPLES = (
  words(("cod",), [0], [1]),
  words(("a", "big", "eel"), [0, 0, 1], [1, 2, 3]),
)
WINDOWS = Windows(
  {}, np.asarray([3, 4, 4]), np.asarray([0, 1, 1]), EXAMPLES, labels=LABELS
)


def test_each_word_is_read_in_the_window_of_its_example():
  places = find_words(WINDOWS)
  assert places.window_W.tolist() == [0, 1, 1, 2]
  assert places.place_W.tolist() == [1, 1, 2, 3]
  assert places.stop_E.tolist() == [1, 4]
  assert divide_labels(np.asarray([1, 0, 1, 2]), places, LABELS) == [
    ["B-fish"],
    ["O", "B-fish", "I-fish"],
  ]


def test_the_likeliest_label_is_that_of_the_place_that_counts():
  logits_NSC = np.zeros((3, 5, 3), np.float32)
  logits_NSC[0, 1, 1] = logits_NSC[1, 2, 1] = logits_NSC[2, 3, 2] = 2
  logits_NSC[1, 3, 1] = 9  # the last word stands here, too, and does not count
  tags = predict_tags({"logits_NSC": logits_NSC}, WINDOWS, LABELS)
  assert tags == [["B-fish"], ["O", "B-fish", "I-fish"]]
