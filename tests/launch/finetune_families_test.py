# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Every family learns every task, from its tokenizer's rows to a step."""

import dataclasses
import functools
import json

import flax.linen as nn
import jax
import numpy as np
import pytest

from bertjax.config import ComputeConfig, FinetuneConfig, TaskConfig
from bertjax.model.parameters import by_name
from configs.families import FAMILIES
from data_pipelines.tokenizers import tokenizers
from data_pipelines.tokenizers.template import Template
from launch import tasks
from tests.testing import small, squad_files
from tests.testing.choices import CONFIGS

pytestmark = pytest.mark.usefixtures("small_programs")

# The tokenizer that each family has, and the special tokens of its pairs.
TOKENIZERS = {
  "roberta": ("roberta", 4),
  "distilbert": ("wordpiece", 3),
  "albert": ("albert", 3),
  "modernbert": ("modernbert", 3),
}
CONFIG = FinetuneConfig(
  steps=2,
  batch_size=4,
  evaluation_batch_size=4,
  seq_length=16,
  learning_rates=(1e-2,),
  pack=False,
)
TEXTS = [text for text, _ in small.make_texts(40, 0)]


def test_every_family_is_here():
  assert TOKENIZERS.keys() == FAMILIES.keys() - {"bert"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Tokenizers by family, and a small file of each form of data."""
  place = tmp_path_factory.mktemp("families")
  for name, (kind, _) in TOKENIZERS.items():
    size = {"wordpiece": 60, "albert": 36}.get(kind, 300)
    (place / name).mkdir()
    tokenizers.train(TEXTS * 3, kind, size).save(place / name)
  rows = small.make_texts(16, 1)
  table = [
    {
      "a": text,
      "b": f"the {label}",
      "c": text[:9],
      "label": label,
      "labels": f"{label},odd" if i % 2 else label,
      "n": i % 2,
    }
    for i, (text, label) in enumerate(rows)
  ]
  lines = "".join(json.dumps(row) + "\n" for row in table)
  (place / "table.jsonl").write_text(lines)
  words = [text.rstrip(".").split() for text, _ in rows]
  tagged = "\n".join(
    "".join(f"{w} {'B-x' if w in ('the', 'a') else 'O'}\n" for w in sentence)
    for sentence in words
  )
  (place / "tagged").write_text(tagged)
  questions = [(text, [("the", text.split()[1])]) for text, _ in rows]
  squad_files.write(place / "squad.json", *questions)
  return place


def table(folder, **fields):
  return TaskConfig(
    kind="table", train=str(folder / "table.jsonl"), text="a", **fields
  )


TASKS = {
  "sequence": table,
  "pair": functools.partial(table, text_pair="b"),
  "labels": functools.partial(table, target="labels", label="labels"),
  "score": functools.partial(table, target="score", label="n"),
  "choice": functools.partial(
    table, target="choice", choices="b,c", label="n", num_choices=2
  ),
  "token": lambda folder: TaskConfig(
    kind="conll", train=str(folder / "tagged")
  ),
  "span": lambda folder: TaskConfig(
    kind="squad", train=str(folder / "squad.json"), max_question_length=2
  ),
}


# Tasks of whole texts, whose heads have a pooler.
SEQUENCES = ("sequence", "pair", "labels", "score", "choice")


def encoder_of(name, vocab_size):
  sizes = {"num_layers": 2, "hidden_size": 16, "num_heads": 2}
  return dataclasses.replace(CONFIGS[name], vocab_size=vocab_size, **sizes)


def load(name, task, folder):
  tokenizer = tokenizers.load(folder / name)
  encoder = encoder_of(name, tokenizer.vocab_size)
  config = dataclasses.replace(CONFIG, task=TASKS[task](folder))
  data, _ = tasks.load_data(config, encoder, folder / name)
  return config, encoder, tokenizer, data


def parameters(model, batch):
  """Random ones; nothing is compiled for them."""
  made = jax.eval_shape(
    lambda key: model.init(key, batch, deterministic=True), jax.random.key(0)
  )
  draw = np.random.default_rng(0)

  def leaf(path, shape):
    noise = 0.1 * draw.standard_normal(shape.shape)
    return (noise + (path[-1].key == "scale")).astype(np.float32)

  return jax.tree.map_with_path(leaf, nn.unbox(made)["params"])


@functools.cache
def make_gradient(task, encoder, num_labels):
  """Return the model, and (params, batch) → the loss and its gradient."""
  model = task.make_model(
    encoder, ComputeConfig(), num_labels=num_labels, pooling="cls"
  )

  def loss(params, batch):
    outputs = model.apply({"params": params}, batch, deterministic=True)
    sums, weights = task.losses(outputs, batch), task.weights(batch)
    return sum(
      coefficient * sums[name][0] / weights[name]
      for name, coefficient in task.coefficients.items()
    )

  return model, jax.jit(jax.value_and_grad(loss))


@pytest.mark.parametrize(
  "task",
  [
    # "labels" and "score" have the same model as "sequence".
    pytest.param(
      task, marks=pytest.mark.full if task in ("labels", "score") else ()
    )
    for task in TASKS
  ],
)
@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_step_of_every_task_moves_every_part_and_learns(name, task, folder):
  config, encoder, tokenizer, data = load(name, task, folder)
  batch = data.splits["train"].training(seed=0, step=0, batch_size=4)
  if task in ("pair", "choice", "span"):
    assert data.pair
    specials = np.isin(batch["tokens_BS"], [*tokenizer.template.ids])
    specials &= batch["packs_BS"] > 0
    expected = TOKENIZERS[name][1] * batch["packs_BS"].max(axis=1)
    np.testing.assert_array_equal(specials.sum(axis=1), expected)
  model, gradient = make_gradient(
    tasks.find(config.task), encoder, len(data.labels)
  )
  params = parameters(model, batch)
  loss, found = gradient(params, batch)
  parts = {leaf.split("/")[0] for leaf in by_name(params)}
  felt = {leaf.split("/")[0] for leaf, g in by_name(found).items() if np.any(g)}
  assert felt == parts
  assert ("pooler" in parts) == (task in SEQUENCES or name == "modernbert")
  moved = jax.tree.map(
    lambda leaf, g: leaf - 0.01 * np.asarray(g), params, found
  )
  assert gradient(moved, batch)[0] < loss


def test_pairs_that_nothing_tells_apart_are_refused(folder, monkeypatch):
  tokenizer = tokenizers.load(folder / "distilbert")
  tokenizer.template = Template((2,), (), (3,))
  monkeypatch.setattr(tokenizers, "load", lambda _: tokenizer)
  with pytest.raises(
    ValueError,
    match=r"task\.kind=table makes pairs .*type_vocab_size=0, and no",
  ) as caught:
    load("distilbert", "pair", folder)
  assert "\n" not in str(caught.value)
