# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""A field's declaration says what it takes and when it is read."""

import dataclasses
import math
import re
from typing import Annotated, Literal

import pytest

from bertjax.config import (
  FinetuneConfig,
  ObjectiveConfig,
  PretrainConfig,
  check_read,
  check_types,
  choices,
  fields,
  from_mapping,
)
from bertjax.config.fields import Above, AtLeast, AtMost, Before, Below
from tests.testing.configs import replaced


@dataclasses.dataclass(frozen=True)
class Inner:
  kind: Literal["a", "b"] = "a"
  count: Annotated[int, AtLeast(1)] = 1
  ratio: Annotated[float, Above(0), Below(1)] = 0.5
  seed: Annotated[int, AtLeast(0), AtMost(9)] = 0
  rates: tuple[Annotated[float, Above(0)], ...] = (0.1,)
  flag: bool = False
  path: str = ""


@dataclasses.dataclass(frozen=True)
class Outer:
  inner: Inner = Inner()
  new: Annotated[int, Before(3)] = 7


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"kind": "c"}, "inner.kind='c'; give one of a, b"),
    ({"count": 0}, "inner.count=0; give 1 or more"),
    ({"count": 1.0}, "inner.count=1.0 is a float; give an int"),
    ({"count": True}, "inner.count=True is a bool; give an int"),
    ({"ratio": 1.0}, "inner.ratio=1.0; give more than 0 and less than 1, such"),
    ({"ratio": math.nan}, "inner.ratio=nan; give a finite number, more than 0"),
    ({"ratio": math.inf}, "inner.ratio=inf; give a finite number, more than 0"),
    ({"ratio": True}, "inner.ratio=True is a bool; give a float"),
    ({"seed": 10}, "inner.seed=10; give 0 to 9"),
    (
      {"rates": 0.1},
      "inner.rates=0.1 is a float; give a tuple, such as (0.1,)",
    ),
    ({"rates": (0.1, 0.0)}, "inner.rates[1]=0.0; give more than 0"),
    ({"flag": 1}, "inner.flag=1 is an int; give a bool"),
    ({"path": None}, "inner.path=None is a NoneType; give a str"),
  ],
)
def test_a_value_that_a_field_does_not_take_is_one_line(changes, message):
  with pytest.raises(ValueError, match=re.escape(message)) as caught:
    check_types(Outer(dataclasses.replace(Inner(), **changes)))
  assert "\n" not in str(caught.value)
  with pytest.raises(ValueError, match=re.escape(message)):
    from_mapping(Outer, {"inner": changes})


def test_bounds_hold_at_their_limits():
  for changes in ({"count": 1}, {"seed": 9}, {"seed": 0}, {"rates": ()}):
    check_types(dataclasses.replace(Inner(), **changes))


def test_choices_are_those_of_the_declaration():
  assert choices(Inner, "kind") == ("a", "b")
  assert choices(ObjectiveConfig, "mask_unit") == (
    *("token", "word", "span", "ngram"),
  )


def test_a_field_says_what_runs_did_before_it_was_there():
  assert fields.before(Outer, "new") == 3
  assert fields.before(Inner, "count") == 1


# Field → a value for it, changes by which it is not read, changes by which it
# is. Every field with a condition stands here.
PRETRAINING = {
  "objective.next_sentence_weight": (
    0.5,
    {"objective.next_sentence": "off"},
    {"objective.next_sentence": "sop"},
  ),
  "objective.max_ngram": (
    5,
    {"objective.mask_unit": "span"},
    {"objective.mask_unit": "ngram"},
  ),
  "objective.random_tokens": ("all", {"objective.random_token_rate": 0.0}, {}),
  "objective.short_rate": (
    0.3,
    {"objective.input_format": "sentence_pair"},
    {
      "objective.input_format": "full_sentences",
      "objective.next_sentence": "off",
    },
  ),
  "optimizer.schedule_power": (
    2.0,
    {},
    {"optimizer.schedule": "polynomial"},
  ),
  **{
    f"optimizer.{name}": (
      False,
      {"optimizer.weight_decay": 0.0},
      {"optimizer.weight_decay": 0.1},
    )
    for name in ("decay_embeddings", "decay_heads")
  },
  "optimizer.decay_rate": (
    0.3,
    {"optimizer.schedule": "cosine"},
    {"optimizer.schedule": "warmup_stable_decay"},
  ),
  "phase2.seq_length": (256, {}, {"phase2.steps": 5}),
  "phase2.max_packs": (2, {}, {"phase2.steps": 5}),
  "phase2.batch_size": (8, {}, {"phase2.steps": 5}),
  "phase2.accumulation": (2, {}, {"phase2.steps": 5}),
  "phase2.learning_rate": (1e-3, {}, {"phase2.steps": 5}),
  "phase2.warmup_steps": (
    3,
    {"phase2.steps": 5},
    {"phase2.steps": 5, "phase2.learning_rate": 1e-3},
  ),
  "mesh.zero1": (True, {"mesh.data": 1}, {"mesh.data": 8}),
  "compute.dropout_rng": (
    "rbg",
    {"model.hidden_dropout_rate": 0.0, "model.attention_dropout_rate": 0.0},
    {"model.attention_dropout_rate": 0.0},
  ),
  "compute.dropout_draws": (
    "uint8",
    {"model.hidden_dropout_rate": 0.0, "model.attention_dropout_rate": 0.0},
    {"model.hidden_dropout_rate": 0.0},
  ),
  "compute.gradient_dtype": (
    "float32",
    {"compute.dtype": "float32"},
    {"compute.dtype": "bfloat16"},
  ),
  "model.first_attention_norm": (
    False,
    {"model.norm_position": "pre", "model.embedding_norm": False},
    {"model.norm_position": "pre"},
  ),
  "model.position_init": ("sinusoid", {"model.positions": "rotary"}, {}),
  "model.position_offset": (2, {"model.positions": "sinusoidal"}, {}),
  "model.rotary_base": (2e4, {}, {"model.positions": "rotary"}),
  "model.rotary_local_base": (
    2e4,
    {"model.positions": "rotary"},
    {"model.positions": "rotary", "model.attention_pattern": "window"},
  ),
  "model.attention_window": (64, {}, {"model.attention_pattern": "window"}),
  "model.global_every": (2, {}, {"model.attention_pattern": "window"}),
  "profile.steps": (3, {}, {"profile.start_step": 2}),
  "wandb.entity": ("team", {}, {"wandb.project": "bert"}),
  "wandb.name": ("mini", {}, {"wandb.project": "bert"}),
  "wandb.mode": ("offline", {}, {"wandb.project": "bert"}),
}
TABLE = {"task.kind": "table", "task.train": "a.csv"}
TAGGED_ROWS = {"task.kind": "conll", "task.train": "a.JSONL"}
FINETUNING = {
  "task.name": ("cola", TABLE, {"task.kind": "glue"}),
  "task.folder": ("a", TABLE, {"task.kind": "clinc150"}),
  "task.train": ("a.csv", {}, {"task.kind": "table"}),
  "task.dev": ("a.csv", {}, TABLE),
  "task.test": ("a.csv", {}, TABLE),
  "task.text": ("a", {}, TABLE),
  "task.text_pair": ("a", {}, TABLE),
  "task.label": ("a", {}, TABLE),
  "task.target": ("score", {}, TABLE),
  "task.separator": (";", TABLE, {**TABLE, "task.target": "labels"}),
  "task.choices": ("a,b", TABLE, {**TABLE, "task.target": "choice"}),
  "task.num_choices": (5, TABLE, {**TABLE, "task.target": "choice"}),
  "task.long_texts": (
    "mean",
    {"task.kind": "squad"},
    {**TABLE, "task.target": "choice"},
  ),
  "task.stride": (32, TABLE, {**TABLE, "task.long_texts": "max"}),
  "task.labels_per_class": (5, {**TABLE, "task.target": "score"}, TABLE),
  "task.class_weights": ("balanced", {**TABLE, "task.target": "score"}, TABLE),
  "layers.frozen_embeddings": (True, {"layers.frozen": 1}, {}),
  "task.header": ("a,b", {**TABLE, "task.train": "a.jsonl"}, TABLE),
  "task.unlabeled": ("none", {}, TABLE),
  "task.skip_bad_rows": (True, {}, {"task.kind": "glue"}),
  "task.word_column": (1, TAGGED_ROWS, {"task.kind": "conll"}),
  "task.tag_column": (1, TABLE, {"task.kind": "conll"}),
  "task.words": ("a", {"task.kind": "conll"}, TAGGED_ROWS),
  "task.tags": (
    "a",
    TABLE,
    {**TAGGED_ROWS, "task.train": "a.conll", "task.dev": "hf:a:dev"},
  ),
  "task.max_question_length": (
    5,
    {"task.kind": "conll"},
    {"task.kind": "squad"},
  ),
  "task.max_answer_length": (5, {"task.kind": "conll"}, {"task.kind": "squad"}),
  "task.dev_rate": (0.3, {**TABLE, "task.dev": "b.csv"}, TABLE),
  "task.test_rate": (0.3, {**TABLE, "task.test": "b.csv"}, TABLE),
  "task.num_packages": (3, TABLE, {}),
  "task.seed": (3, {}, {"task.labels_per_class": 5}),
  "optimizer.schedule_power": PRETRAINING["optimizer.schedule_power"],
  "optimizer.decay_embeddings": PRETRAINING["optimizer.decay_embeddings"],
  "optimizer.decay_heads": PRETRAINING["optimizer.decay_heads"],
  "optimizer.decay_rate": PRETRAINING["optimizer.decay_rate"],
  "mesh.zero1": PRETRAINING["mesh.zero1"],
  "compute.dropout_rng": (
    "rbg",
    {"hidden_dropout_rate": 0.0, "attention_dropout_rate": 0.0},
    {"hidden_dropout_rate": 0.0},
  ),
  "compute.dropout_draws": (
    "uint8",
    {"hidden_dropout_rate": 0.0, "attention_dropout_rate": 0.0},
    {"hidden_dropout_rate": 0.0},
  ),
  "compute.gradient_dtype": PRETRAINING["compute.gradient_dtype"],
}


@pytest.mark.parametrize(
  ("config", "table"),
  [(PretrainConfig(), PRETRAINING), (FinetuneConfig(), FINETUNING)],
)
def test_every_field_with_a_condition_is_in_the_table(config, table):
  conditional = {
    path
    for group, path, field in fields.walk(config)
    if fields.extras(type(group), field.name, fields.ReadWhen)
  }
  assert conditional == set(table)


@pytest.mark.parametrize(
  ("config", "path", "case"),
  [
    *((PretrainConfig(), *item) for item in PRETRAINING.items()),
    *((FinetuneConfig(), *item) for item in FINETUNING.items()),
  ],
)
def test_a_field_is_refused_where_it_is_not_read_and_taken_where_it_is(
  config, path, case
):
  value, outside, inside = case
  check_read(replaced(config, outside))  # its default is taken
  given = replaced(config, {**outside, path: value})
  with pytest.raises(
    ValueError, match=f"^{path}=.* is read only with"
  ) as caught:
    check_read(given)
  assert "\n" not in str(caught.value)
  assert fields.drop_unread(given) == replaced(config, outside)
  taken = replaced(config, {**inside, path: value})
  check_read(taken)
  assert fields.drop_unread(taken) == taken


def test_a_condition_names_fields_in_full():
  message = (
    "optimizer.schedule_power=2.0 is read only with optimizer.schedule="
    "polynomial; give that, or leave optimizer.schedule_power at 0.5"
  )
  with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
    check_read(replaced(PretrainConfig(), {"optimizer.schedule_power": 2.0}))
