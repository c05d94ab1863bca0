# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import re

import pytest

from data_pipelines.tasks.sentences import TagForm


def test_types_alone_beside_o_are_inside_tags():
  form = TagForm.find(["O", "PER", "work-of-art", "O"])
  assert [form.wrong(tag) for tag in ("O", "PER", "work-of-art")] == [""] * 3
  assert form.complete("work-of-art") == "I-work-of-art"
  assert form.complete("O") == "O"


def test_a_tag_with_a_prefix_stays_as_it_is():
  form = TagForm.find(["O", "B-PER", "E-PER", "S-x y"])
  assert not any(map(form.wrong, ("O", "B-PER", "E-PER", "S-x y")))
  assert form.complete("B-PER") == "B-PER"


@pytest.mark.parametrize(
  ("tags", "wrong", "message"),
  [
    # Types alone and prefixes in one file.
    (("O", "PER", "B-LOC"), "PER", "other tags .* a prefix; give I-PER, or"),
    # Columns of part-of-speech tags have no O.
    (("NN", "DT"), "NN", "the tag 'NN'; give O, or B-, I-, E- or S- with a"),
    # Prefixes without a type, and those of other schemes.
    (("O", "B", "I"), "B", "the tag 'B'; give O, or B-"),
    (("O", "B-"), "B-", "the tag 'B-'; give O"),
    (("O", "L-PER"), "L-PER", "the tag 'L-PER'; give O"),
  ],
)
def test_a_tag_of_another_form_is_wrong(tags, wrong, message):
  assert re.search(message, TagForm.find(tags).wrong(wrong))
