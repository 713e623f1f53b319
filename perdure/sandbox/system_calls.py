"""A seccomp filter (BPF) for the system calls of a process that reads hostile documents.

It denies the calls that no parser needs: sockets, programs, other processes, changes to the file system, and
administration of the kernel. The filter is written out here, because not every machine has libseccomp. The numbers come
from `asm/unistd.h`, the instructions from `linux/bpf_common.h`; see seccomp(2).
"""

import ctypes
import errno
import os
import platform
from collections.abc import Iterable, Mapping

# Codes of BPF instructions.
_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_SET = 0x45
_JUMP_FROM = 0x35
_RETURN = 0x06

# Offsets in `struct seccomp_data`. An argument has 8 bytes; the lower 4 come first.
_NUMBER = 0
_ARCHITECTURE = 4
_ARGUMENTS = 16

# Results of the filter. An error number is added to `_ERROR`.
_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERROR = 0x00050000

_X32 = 0x40000000
"""Calls from this number on belong to the x32 interface, which numbers its calls differently."""
_CLONE_THREAD = 0x00010000
_O_ACCMODE_CREAT_TRUNC = 0o1 | 0o2 | 0o100 | 0o1000
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

# The architecture's number, as `linux/audit.h` defines it.
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X86_64 = {
    "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "accept4": 288,
    "execve": 59, "execveat": 322, "fork": 57, "vfork": 58, "clone": 56, "clone3": 435,
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438, "pidfd_send_signal": 424,
    "kill": 62, "tgkill": 234, "tkill": 200, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
    "open": 2, "creat": 85, "openat": 257, "openat2": 437, "truncate": 76,
    "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "chown": 92,
    "lchown": 94, "mknod": 133, "mkdirat": 258, "mknodat": 259, "fchownat": 260, "unlinkat": 263, "renameat": 264,
    "linkat": 265, "symlinkat": 266, "fchmodat": 268, "renameat2": 316, "fchmodat2": 452, "fchmod": 91, "fchown": 93,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190,
    "mount": 165, "umount2": 166, "chroot": 161, "pivot_root": 155, "unshare": 272, "setns": 308, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "bpf": 321, "perf_event_open": 298, "io_uring_setup": 425, "userfaultfd": 323,
    "keyctl": 250, "add_key": 248, "request_key": 249, "init_module": 175, "finit_module": 313, "delete_module": 176,
    "kexec_load": 246, "reboot": 169, "setuid": 105, "setgid": 106, "setreuid": 113, "setresuid": 117,
    "setgroups": 116, "personality": 135, "open_by_handle_at": 304, "name_to_handle_at": 303,
}  # fmt: skip
_AARCH64 = {
    "socket": 198, "connect": 203, "accept": 202, "bind": 200, "listen": 201, "accept4": 242,
    "execve": 221, "execveat": 281, "clone": 220, "clone3": 435,
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "pidfd_getfd": 438, "pidfd_send_signal": 424,
    "kill": 129, "tgkill": 131, "tkill": 130, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
    "openat": 56, "openat2": 437, "truncate": 45,
    "mkdirat": 34, "mknodat": 33, "fchownat": 54, "unlinkat": 35, "renameat": 38, "linkat": 37, "symlinkat": 36,
    "fchmodat": 53, "renameat2": 276, "fchmodat2": 452, "fchmod": 52, "fchown": 55,
    "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7,
    "mount": 40, "umount2": 39, "chroot": 51, "pivot_root": 41, "unshare": 97, "setns": 268, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "bpf": 280, "perf_event_open": 241, "io_uring_setup": 425, "userfaultfd": 282,
    "keyctl": 219, "add_key": 217, "request_key": 218, "init_module": 105, "finit_module": 273, "delete_module": 106,
    "kexec_load": 104, "reboot": 142, "setuid": 146, "setgid": 144, "setreuid": 145, "setresuid": 147,
    "setgroups": 159, "personality": 92, "open_by_handle_at": 265, "name_to_handle_at": 264,
}  # fmt: skip
_NUMBERS = {"x86_64": _X86_64, "aarch64": _AARCH64}
_FLAGS_ARGUMENT = {"open": 1, "openat": 2}
"""Index of the argument that holds the flags. A call that can write or create a file is denied."""
_OWN_PROCESS_ONLY = ("kill", "tgkill")
"""Calls allowed if their first argument is the process's own id."""
_ABSENT = ("clone3", "openat2")
"""Calls answered as by an old kernel, so that the C library falls back to `clone` and `openat`.

The filter can read the flags of the older calls only: the newer ones pass them in memory.
"""


class _Instruction(ctypes.Structure):
    """`struct sock_filter`: `yes` and `no` are how many instructions a jump skips."""

    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction))]


def deny_system_calls() -> bool:
    """Install the filter in this process and its later threads.

    A denied call fails with `EACCES`. The installation needs `no_new_privs`, or the capability `CAP_SYS_ADMIN`.

    Returns:
        Whether the kernel enforces the filter from now on.
    """
    machine = platform.machine()
    if machine not in _NUMBERS:
        return False
    instructions = list(_make_instructions(_AUDIT[machine], _NUMBERS[machine], os.getpid()))
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    return bool(ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0)


def _make_instructions(audit: int, numbers: Mapping[str, int], pid: int) -> Iterable[_Instruction]:
    """Yield the filter.

    Args:
        audit: number of the architecture; a call of another architecture kills the process.
        numbers: numbers of the denied calls.
        pid: the process's own id.
    """
    denied = _ERROR | errno.EACCES
    absent = _ERROR | errno.ENOSYS
    yield _Instruction(_LOAD, 0, 0, _ARCHITECTURE)
    yield _Instruction(_JUMP_EQUAL, 1, 0, audit)
    yield _Instruction(_RETURN, 0, 0, _KILL)
    yield _Instruction(_LOAD, 0, 0, _NUMBER)
    yield _Instruction(_JUMP_FROM, 0, 1, _X32)
    yield _Instruction(_RETURN, 0, 0, denied)
    for name, number in numbers.items():
        if name in _FLAGS_ARGUMENT:
            argument = _FLAGS_ARGUMENT[name]
            yield from _deny_if(number, argument, _Instruction(_JUMP_SET, 0, 1, _O_ACCMODE_CREAT_TRUNC), denied)
        elif name == "clone":
            yield from _deny_if(number, 0, _Instruction(_JUMP_SET, 1, 0, _CLONE_THREAD), denied)
        elif name in _OWN_PROCESS_ONLY:
            yield from _deny_if(number, 0, _Instruction(_JUMP_EQUAL, 1, 0, pid), denied)
        else:
            yield _Instruction(_JUMP_EQUAL, 0, 1, number)
            yield _Instruction(_RETURN, 0, 0, absent if name in _ABSENT else denied)
    yield _Instruction(_RETURN, 0, 0, _ALLOW)


def _deny_if(number: int, argument: int, test: _Instruction, result: int) -> Iterable[_Instruction]:
    """Yield the instructions for a call that depends on an argument.

    Args:
        number: number of the call.
        argument: index of the argument, which is loaded for the test.
        test: jumps over no instruction to return `result`, and over one instruction to allow the call.
        result: result of a call that the test denies.
    """
    yield _Instruction(_JUMP_EQUAL, 0, 4, number)
    yield _Instruction(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)
    yield test
    yield _Instruction(_RETURN, 0, 0, result)
    yield _Instruction(_RETURN, 0, 0, _ALLOW)
