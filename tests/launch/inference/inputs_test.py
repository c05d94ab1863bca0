# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from data_pipelines.tasks.table_files import Columns
from launch.inference.inputs import SHOWN, BadRows, Source, examine


def test_pairs_are_read_by_their_columns(tmp_path):
  path = tmp_path / "in.csv"
  path.write_text('a,b,c\n1,"x, ""y""\nz",2\n3,u,4\n')
  source = Source(str(path), Columns("a", "", "b"))
  assert [tuple(row) for row in source.rows()] == [
    (2, ("1", 'x, "y"\nz'), (), (), ""),
    (4, ("3", "u"), (), (), ""),
  ]
  examined = examine(source)
  assert examined.rows == 2
  assert examined.identity["columns"] == "a,b"


def test_the_identity_is_that_of_the_bytes(tmp_path):
  identities = []
  for number, text in enumerate(("a", "a", "b")):
    path = tmp_path / f"{number}.jsonl"
    path.write_text(f'{{"text": "{text}"}}\n')
    identities.append(examine(Source(str(path), Columns())).identity)
  assert identities[0] == identities[1] != identities[2]


def test_a_source_without_a_usable_row_is_one_line(tmp_path):
  path = tmp_path / "in.jsonl"
  path.write_text('{"text": 3}\n')
  with pytest.raises(ValueError, match=r"in\.jsonl:1 has a number as 'text'"):
    examine(Source(str(path), Columns()))
  with pytest.raises(ValueError, match=r"has no rows that can be used; .*:1"):
    examine(Source(str(path), Columns(), skip_bad_rows=True))
  with pytest.raises(ValueError, match=r"there is no file '.*none\.csv'"):
    examine(Source(str(tmp_path / "none.csv"), Columns()))
  with pytest.raises(ValueError, match="is a folder; give a file"):
    examine(Source(str(tmp_path), Columns()))


def test_many_bad_rows_are_counted():
  bad = BadRows()
  for number in range(SHOWN + 3):
    bad.add(f"row {number}")
  assert str(bad).endswith("row 4; and 3 more")
