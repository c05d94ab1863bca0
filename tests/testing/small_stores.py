# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Prepared stores that have the tokenizer of the bundles of `small`."""

from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from tests.testing import small


def make_store(folder, bundle, validation):
  """Prepare a store with the tokenizer of a bundle; return its path."""
  texts = [text for text, _ in small.make_texts(120, 5)]
  lines = ["\n".join(texts[i : i + 4]) for i in range(0, len(texts), 4)]
  (folder / "text.txt").write_text("\n\n".join(lines) + "\n")
  output = folder / f"store{validation}"
  prepare(
    Options(
      corpus=str(folder / "text.txt"),
      output=str(output),
      documents="blank_line",
      sentences="lines",
      validation=validation,
      tokenizer=bundle,
    )
  )
  return str(output)
