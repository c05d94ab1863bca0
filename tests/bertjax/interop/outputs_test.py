# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the outputs of a head mean, in both layouts."""

import pytest

from bertjax.interop.outputs import Outputs, from_mapping, to_mapping

SEQUENCES, TOKENS = (
  "BertForSequenceClassification",
  "BertForTokenClassification",
)
LABELS = ("fish", "tree", "a | b")


@pytest.mark.parametrize(
  ("outputs", "architecture", "count"),
  [
    (Outputs(LABELS, "single_label_classification"), SEQUENCES, 3),
    (Outputs(LABELS, "multi_label_classification"), SEQUENCES, 3),
    (Outputs(LABELS[:1], "multi_label_classification"), SEQUENCES, 1),
    (Outputs((), "regression"), SEQUENCES, 1),
    (Outputs(LABELS), TOKENS, 3),
    (Outputs(), "BertForQuestionAnswering", 0),
    (Outputs(), "BertForMultipleChoice", 0),
  ],
)
def test_outputs_go_there_and_back(outputs, architecture, count):
  assert outputs.size == count
  assert from_mapping(to_mapping(outputs), architecture) == outputs


def test_labels_are_written_both_ways():
  fields = to_mapping(Outputs(LABELS))
  assert fields["id2label"] == {"0": "fish", "1": "tree", "2": "a | b"}
  assert fields["label2id"] == {"fish": 0, "tree": 1, "a | b": 2}
  # transformers would take two labels where none are named.
  assert to_mapping(Outputs((), "regression"))["id2label"] == {"0": "LABEL_0"}


@pytest.mark.parametrize(
  ("mapping", "expected"),
  [
    ({}, Outputs(("LABEL_0", "LABEL_1"), "single_label_classification")),
    ({"num_labels": 1}, Outputs((), "regression")),
    ({"id2label": {"0": "relevance"}}, Outputs((), "regression")),
    (
      {"num_labels": 3, "problem_type": "multi_label_classification"},
      Outputs(("LABEL_0", "LABEL_1", "LABEL_2"), "multi_label_classification"),
    ),
  ],
)
def test_what_a_config_leaves_out_is_as_in_transformers(mapping, expected):
  assert from_mapping(mapping, SEQUENCES) == expected


@pytest.mark.parametrize(
  ("mapping", "message"),
  [
    ({"id2label": {"0": "a", "2": "b"}}, r"ids \[0, 2\]"),
    ({"id2label": {"0": "a", "1": "a"}}, "a name twice"),
    ({"id2label": ["a", "b"]}, "a name for each id"),
    ({"num_labels": "three"}, "num_labels='three'; give the number of labels"),
    (
      {"num_labels": 3, "id2label": {"0": "a", "1": "b"}},
      "num_labels=3 and id2label has 2 names; make them agree",
    ),
    ({"problem_type": "ranking"}, "problem_type='ranking'; give one of single"),
    (
      {"problem_type": "single_label_classification", "num_labels": 1},
      "with one label; give regression for a score",
    ),
    ({"problem_type": "regression"}, "with 2 outputs; only one score can be"),
  ],
)
def test_what_means_nothing_is_refused(mapping, message):
  with pytest.raises(ValueError, match=message) as told:
    from_mapping(mapping, SEQUENCES)
  assert "\n" not in str(told.value)


def test_ids_are_numbers_and_not_texts():
  ten = {str(id_): f"label {id_}" for id_ in reversed(range(11))}
  labels = from_mapping({"id2label": ten}, TOKENS).labels
  assert labels == tuple(f"label {id_}" for id_ in range(11))
