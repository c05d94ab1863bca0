# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
from data_pipelines.corpora.reading import ReadCounts


def test_counts_add_up_field_by_field():
  one, other = ReadCounts(1, 2, 3, 4, 5), ReadCounts(10, 20, 30, 40, 50)
  assert sum([one, other], ReadCounts()) == ReadCounts(11, 22, 33, 44, 55)
  assert one == ReadCounts(1, 2, 3, 4, 5)
