# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Read an HTML page back: its elements, references and text."""

import collections
import html.parser


class HtmlPage(html.parser.HTMLParser):
  """Elements, attributes and text of a page whose tags are balanced."""

  def __init__(self, path):
    super().__init__()
    self.tags, self.links, self.text = collections.Counter(), [], []
    self.classes, self.ids, self.open = collections.Counter(), [], []
    self.titles = []
    self.source = path.read_text(encoding="utf-8")
    self.feed(self.source)
    assert not self.open

  def handle_starttag(self, tag, attrs):
    if tag not in ("meta", "link", "br", "img"):
      self.open.append(tag)
    self.handle_startendtag(tag, attrs)

  def handle_startendtag(self, tag, attrs):
    self.tags[tag] += 1
    for name, value in attrs:
      if name in ("src", "href", "xlink:href", "srcset", "data"):
        self.links.append(value)
      if name == "class":
        self.classes.update((value or "").split())
      if name == "title":
        self.titles.append(value)
      if name == "id":
        self.ids.append(value)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text.append(data)
