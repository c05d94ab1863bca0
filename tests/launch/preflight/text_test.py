# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""What the text of a store is warned of."""

import pytest

from data_pipelines.prepare.options import Options
from data_pipelines.prepare.prepare import prepare
from data_pipelines.store.store import open_store
from launch.preflight.policy import DEFAULT
from launch.preflight.text import (
  SentenceFigures,
  judge_text,
  measure_sentences,
)
from tests.testing.prepared import write_jsonl

THAI = "เขาออกจากบ้านแต่เช้าและเดินไปที่แม่น้ำ เพื่อนเก่ารออยู่ที่นั่น น้ำมืดมาก "
SPOKEN = "so we went out in the morning and walked along the river and then "
ENGLISH = (
  "He went out in the morning. They walked along the river. It was dark. "
)


@pytest.mark.parametrize(
  ("unit", "level"), [(THAI, "warn"), (SPOKEN, "warn"), (ENGLISH, "pass")]
)
def test_text_whose_sentences_are_not_found_is_told(unit, level, tmp_path):
  texts = [f"{i} {unit * 60}" for i in range(12)]
  options = Options(
    corpus=write_jsonl(tmp_path / "corpus.jsonl", texts),
    output=str(tmp_path / "store"),
    vocab_size=120,
  )
  prepare(options)
  figures = measure_sentences(open_store(options.output))
  findings = {each.name: each for each in judge_text({}, 12, figures, DEFAULT)}
  found = findings["long_sentences"]
  assert found.level == level
  assert "--sentences=lines" in found.fix


def test_lines_that_are_no_sentences_are_not_told_to_be_lines():
  figures = SentenceFigures(long=0.9, lines=True)
  (found,) = (
    each
    for each in judge_text({}, 1, figures, DEFAULT)
    if each.name == "long_sentences"
  )
  assert found.level == "warn"
  assert "--sentences" not in found.fix
