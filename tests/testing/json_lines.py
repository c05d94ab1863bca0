# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Files of JSON lines."""

import json


def json_lines(*records):
  """The bytes of a .jsonl file."""
  return "".join(json.dumps(record) + "\n" for record in records).encode()
