# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Options that a format ignores are refused, and the readers are named."""

import pytest

from launch.exports.formats import Format, Options, check_reads
from launch.preflight.policy import DEFAULT

IGNORE = lambda *_: None
FORMATS = {
  "one": Format("", frozenset({"license", "dtype"}), IGNORE, IGNORE),
  "two": Format("", frozenset({"license"}), IGNORE, IGNORE),
}
READER = Format("", frozenset({"policy"}), IGNORE, IGNORE)


def test_an_option_that_is_ignored_is_refused():
  check_reads("one", FORMATS, Options(license="mit", dtype="bfloat16"))
  check_reads("two", FORMATS, Options(license="mit"))
  with pytest.raises(
    ValueError, match="--dtype=bfloat16 is for --format=one; leave it out with"
  ):
    check_reads("two", FORMATS, Options(dtype="bfloat16"))
  with pytest.raises(
    ValueError, match="are for --format=three; leave them out"
  ):
    check_reads("two", {**FORMATS, "three": READER}, Options(policy=DEFAULT))
