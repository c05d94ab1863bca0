# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import dataclasses
import json
from collections.abc import Mapping

import pytest

from bertjax.trials.results import JsonResult


@dataclasses.dataclass(frozen=True)
class Inner(JsonResult):
  values: tuple[float, ...]
  name: str | None = None


@dataclasses.dataclass(frozen=True)
class Outer(JsonResult):
  seeds: tuple[int, ...]
  best: Inner | None
  parts: tuple[Inner, ...]
  by_name: Mapping[str, Mapping[str, Inner]]


RESULT = Outer((1, 2), None, (Inner((0.1,)),), {"a": {"b": Inner((), "c")}})


@pytest.mark.parametrize("best", [None, Inner((1 / 3, 2.0))])
def test_nested_results_are_read_as_they_were_written(best):
  result = dataclasses.replace(RESULT, best=best)
  saved = json.loads(json.dumps(result.to_json()))
  assert saved == result.to_json()
  assert list(saved) == ["seeds", "best", "parts", "by_name"]
  assert Outer.from_json({**saved, "version": 1, "other": 0}) == result


def test_results_of_a_newer_version_are_refused():
  with pytest.raises(ValueError, match=r"Outer has version 2, .* reads 1; "):
    Outer.from_json({**RESULT.to_json(), "version": 2})


def test_a_field_that_is_newer_than_a_file_has_its_default():
  saved = Inner((1.0,), "c").to_json()
  del saved["name"]
  assert Inner.from_json(saved) == Inner((1.0,))
  del saved["values"]
  with pytest.raises(KeyError, match="values"):
    Inner.from_json(saved)
