# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import copy
import dataclasses
from typing import Any

import numpy as np
import pytest

from bertjax.config import TaskConfig
from data_pipelines.tasks import question_answering
from data_pipelines.tasks.batches import RowOptions
from data_pipelines.tasks.squad import Question
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.template import Template
from tests.testing import hub_rows, small, squad_files

ROWS = RowOptions(12)
CONTEXT = "The  cod and a elm by the river and oak by the hill."


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
  return tokenizers.load(
    small.make_tokenizer(tmp_path_factory.mktemp("a") / "tokenizer")
  )


def config_of(tmp_path, *questions, dev=(("a fir", "elm"),), **fields):
  return TaskConfig(
    **{
      "kind": "squad",
      "train": squad_files.write(tmp_path / "train", (CONTEXT, questions)),
      "dev": squad_files.write(tmp_path / "dev", (f"{CONTEXT} ", dev)),
      "test_rate": 0.0,
      "stride": 3,
      "max_question_length": 2,
      **fields,
    }
  )


def arrays(split) -> Any:
  """The arrays of all windows of a split."""
  return split._arrays


def words_of(split, window):
  """The tokens that a window has as its answer."""
  arrays = split._arrays
  bounds = arrays["start_BR"][window, 0], arrays["end_BR"][window, 0] + 1
  tokens = arrays["tokens_BS"][window, slice(*bounds)]
  return [small.TOKENS[t] for t in tokens]


def test_an_answer_is_in_the_windows_that_have_all_of_it(tmp_path, tokenizer):
  data = question_answering.read(
    config_of(tmp_path, ("the oak", "river and oak"), ("ash", "cod")),
    tokenizer,
    ROWS,
  )
  split = data.splits["train"]
  assert (len(split), data.pair, data.labels) == (2, True, ())
  found = [words_of(split, n) for n in range(split.num_windows)]
  # 14 tokens of context in windows of 7, or of 8 beside a question of one.
  assert split.owners_N.tolist() == [0, 0, 0, 0, 1, 1, 1]
  none, answer = ["[CLS]"], ["river", "and", "oak"]
  assert found == [none, answer, answer, none, ["cod"], none, none]
  assert (arrays(split)["weight_BR"] == 1).all()


def test_tokens_lead_back_to_the_characters_of_the_context(tmp_path, tokenizer):
  data = question_answering.read(
    config_of(tmp_path, ("the oak", "river and oak")), tokenizer, ROWS
  )
  split = data.splits["train"]
  (example,) = split.examples
  start, end = (arrays(split)[f"{name}_BR"][2, 0] for name in ("start", "end"))
  first = example.start_W[2] - example.shift
  offsets_T2 = example.offsets_T2
  text = CONTEXT[offsets_T2[start + first, 0] : offsets_T2[end + first, 1]]
  assert text == "river and oak"
  assert example.answers == ("river and oak",)


def test_lost_answers_leave_train_and_stay_in_dev(tmp_path, tokenizer):
  lost = ("elm", ("eel", 5))
  data = question_answering.read(
    config_of(tmp_path, ("oak", "cod"), lost, dev=[lost, ("oak", "elm")]),
    tokenizer,
    ROWS,
  )
  train, dev = data.splits["train"], data.splits["dev"]
  assert (len(train), len(dev)) == (1, 2)
  assert [each.answers for each in dev.examples] == [("eel",), ("elm",)]
  assert arrays(dev)["weight_BR"][:, 0].tolist() == (dev.owners_N == 1).tolist()
  figures = data.figures.splits
  assert figures["train"].lost_answers == figures["dev"].lost_answers == 1
  with pytest.raises(ValueError, match="no answer is in its context where"):
    question_answering.read(config_of(tmp_path, lost), tokenizer, ROWS)


def test_questions_without_an_answer_are_classes_of_their_own(
  tmp_path, tokenizer
):
  data = question_answering.read(
    config_of(tmp_path, ("oak", "cod"), ("the ash by", None)), tokenizer, ROWS
  )
  assert data.settings["null_answers"] == 1
  figures = data.figures
  assert figures.labels == ("answer", "no answer")
  assert figures.splits["train"].by_class == (1, 1)
  assert figures.splits["train"].cut_questions == 1
  assert figures.splits["train"].cut == 0
  split = data.splits["train"]
  silent = split.owners_N == 1
  assert (arrays(split)["start_BR"][silent] == 0).all()
  assert (arrays(split)["weight_BR"][silent] == 1).all()


def test_questions_of_one_context_are_on_one_side(tmp_path, tokenizer):
  path = squad_files.write(
    tmp_path / "all",
    *((f"cod {word}", [("a", "cod"), ("b", "cod")]) for word in "vwxyz"),
  )
  config = config_of(tmp_path, ("oak", "cod"), dev_rate=0.2, train=path)
  data = question_answering.read(
    dataclasses.replace(config, dev=""), tokenizer, ROWS
  )
  train, dev = (data.splits[name].examples for name in ("train", "dev"))
  assert (len(train), len(dev)) == (8, 2)
  assert not {q.context for q in train} & {q.context for q in dev}


def test_no_room_for_a_context_is_refused(tokenizer):
  settings = {"stride": 4, "max_question_length": 9}
  with pytest.raises(ValueError, match="seq_length=12 leaves no room for a"):
    question_answering.encode_questions(tokenizer, [], 12, settings)


def test_a_context_without_a_token_has_an_empty_window(tokenizer):
  settings = {"stride": 4, "max_question_length": 4}
  encoded = question_answering.encode_questions(
    tokenizer, [Question("oak", "\u200b"), Question("ash", "cod")], 12, settings
  )
  assert encoded.rows.empty == 1
  assert encoded.rows.owner_N.tolist() == [0, 1]
  targets = question_answering.make_targets(
    encoded, [Question("oak", "\u200b"), Question("ash", "cod")]
  )
  assert np.count_nonzero(targets["start_BR"]) == 0


def test_one_file_is_read_for_a_model(tmp_path, tokenizer):
  config = config_of(tmp_path, ("a fir", "elm"), test_rate=0.2)
  config = dataclasses.replace(config, train="gone", test=config.train)
  data = question_answering.read(config, tokenizer, ROWS._replace(labels=()))
  assert [*data.splits] == [*data.figures.splits] == ["test"]
  assert data.figures.splits["test"].shared == 0


def test_a_question_that_is_cut_is_no_text_that_loses_its_end(tokenizer):
  settings = {"max_question_length": 2, "stride": 4}
  asked = [Question("the cod by the hill", "the elm"), Question("a", "the elm")]
  encoded = question_answering.encode_questions(tokenizer, asked, 9, settings)
  assert (encoded.rows.cut, encoded.rows.cut_questions) == (0, 1)


def test_bad_questions_are_left_out_and_counted(tmp_path, tokenizer):
  asked = ("oak", "cod"), (" ", "cod")
  with pytest.raises(ValueError, match="an empty question"):
    question_answering.read(config_of(tmp_path, *asked), tokenizer, ROWS)
  config = config_of(tmp_path, *asked, skip_bad_rows=True)
  data = question_answering.read(config, tokenizer, ROWS)
  assert len(data.splits["train"]) == 1
  assert data.figures.table.rows == 3
  (skipped,) = data.figures.table.skipped
  assert "qas[1] has an empty question" in skipped


def test_rows_are_the_data_of_their_json(tmp_path, tokenizer):
  config = config_of(tmp_path, ("the oak", "river and oak"))
  rows = [hub_rows.question("the oak", CONTEXT, "river and oak")]
  path = hub_rows.write_lines(tmp_path / "train.jsonl", rows)
  found = [
    question_answering.read(each, tokenizer, ROWS).splits["train"].sha256()
    for each in (config, dataclasses.replace(config, train=path))
  ]
  assert found[0] == found[1]


def test_answers_stand_behind_the_special_tokens_of_the_tokenizer(
  tmp_path, tokenizer
):
  other = copy.copy(tokenizer)
  other.template = Template.doubled(tokenizer.cls_id, tokenizer.sep_id)
  config = config_of(tmp_path, ("the oak", "cod"))
  # One more special token in a longer row leaves the context the same windows.
  data = question_answering.read(config, other, RowOptions(13))
  usual = question_answering.read(config, tokenizer, ROWS)
  ours, theirs = data.splits["train"], usual.splits["train"]
  assert [words_of(ours, n) for n in range(ours.num_windows)] == [
    words_of(theirs, n) for n in range(theirs.num_windows)
  ]
  assert ours.examples[0].shift == theirs.examples[0].shift + 1
