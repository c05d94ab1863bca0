# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the pages of large buffers between steps, on Linux with glibc.

XLA allocates all temporaries of a step at once and frees them after it. glibc
gives such a block back to the kernel each time, and a CPU step then spends up
to a third of its time on page faults. `benchmarks/train_step.py` measures it
(`--noretain`).
"""

import ctypes
import platform

# malloc.h; the two limits count blocks and bytes.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_MADV_HUGEPAGE = 14
_HUGE_PAGE = 2 << 20
# Address space only: a page is real when it is first written.
RESERVE = 8 << 30


def retain(reserve: int = RESERVE) -> bool:
  """Serve large blocks from one heap that is never given back.

  Call it first thing in a process that computes on CPU: it has no effect on
  threads that have allocated before. The heap starts with `reserve` bytes of
  address space, in huge pages where the kernel allows them.

  Returns:
    Whether anything changed: not outside Linux with glibc.
  """
  if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
    return False
  libc = ctypes.CDLL(None)
  for limit, value in (
    (_M_ARENA_MAX, 1),
    (_M_MMAP_MAX, 0),
    (_M_TRIM_THRESHOLD, -1),
  ):
    if not libc.mallopt(limit, value):
      return False
  libc.malloc.restype = ctypes.c_void_p
  libc.malloc.argtypes = [ctypes.c_size_t]
  libc.free.argtypes = [ctypes.c_void_p]
  libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  block = libc.malloc(reserve)
  if block:
    start = -(-block // _HUGE_PAGE) * _HUGE_PAGE
    length = (block + reserve - start) // _HUGE_PAGE * _HUGE_PAGE
    libc.madvise(start, length, _MADV_HUGEPAGE)
    # Freed at once: it becomes the top of the heap, from which all follow.
    libc.free(block)
  return True
