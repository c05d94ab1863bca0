# SPDX-FileCopyrightText: The bertjax authors
# SPDX-License-Identifier: Apache-2.0
"""Keep the memory of large buffers between steps, on Linux with glibc.

XLA allocates all temporaries of a step as one block and frees it after the
step. By default glibc returns such a block to the kernel each time, and a step
on the CPU then spends up to a third of its time on page faults
(`python -m benchmarks.train_step --noretain` measures a step without this).
"""

import ctypes
import platform

# Parameters of mallopt, from glibc's malloc.h, and of madvise.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_M_ARENA_MAX = -8
_MADV_HUGEPAGE = 14
_HUGE_PAGE = 2 << 20
# Bytes of address space; a page takes memory only once it is written.
RESERVE = 8 << 30


def retain(reserve: int = RESERVE) -> bool:
  """Serve large blocks from one heap that is never returned to the kernel.

  Call it first in a process that computes on the CPU: it has no effect on
  threads that have allocated memory before. The heap starts with `reserve`
  bytes of address space, in huge pages where the kernel allows them.

  Returns:
    True on success; False if the system is not Linux with glibc.
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
    # The freed block becomes the top of the heap, which serves all others.
    libc.free(block)
  return True
