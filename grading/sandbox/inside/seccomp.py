"""The system calls that code in the sandbox may not make (seccomp, mode 2).

The namespaces isolate; this closes what they leave: memory that belongs to no process and would
escape the count (memfd, System V), sockets that no network namespace holds (vsock), and the
parts of the system that only exploits of the kernel want. Numbers: asm/unistd.h of Linux 6.1;
instructions: linux/bpf_common.h, linux/filter.h and linux/seccomp.h.
"""

import ctypes
import errno
import os
import struct

# name: (number on x86-64, number on arm64)
_FORBIDDEN = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "sched_setaffinity": (203, 122),  # a sandbox keeps to the processor that its worker was given
}
_MEMFD_CREATE, _SOCKET, _CLONE, _CLONE3 = (319, 279), (41, 198), (56, 220), (435, 435)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH
_X32_CALLS = 0x40000000  # x86-64's second table of calls begins here
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWUSER and its like

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


def supported() -> bool:
    return os.uname().machine in _MACHINES


def forbid_system_calls(*, gpu: bool) -> None:
    """Forbid them to this process and all that come of it. It must have no new privileges."""
    program = _program(gpu)

    class FilterProgram(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    whole = FilterProgram(len(program) // 8, program)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(whole), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")


def _program(gpu: bool) -> bytes:
    column, architecture = _MACHINES[os.uname().machine]
    forbidden = [numbers[column] for numbers in _FORBIDDEN.values()]
    if not gpu:  # the GPU's driver shares memory through it
        forbidden.append(_MEMFD_CREATE[column])
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32_CALLS, 0, 1),
        _refuse(errno.ENOSYS),
        # Its flags lie in memory, out of sight; told that there is none, libc falls back to clone.
        _step(_EQUAL, _CLONE3[column], 0, 1),
        _refuse(errno.ENOSYS),
    ]
    for number in forbidden:
        code += [_step(_EQUAL, number, 0, 1), _refuse(errno.EPERM)]
    code += [
        _step(_EQUAL, _CLONE[column], 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_ANY_BIT, _NEW_NAMESPACES, 0, 1),
        _refuse(errno.EPERM),
        _step(_RETURN, _ALLOW),
        _step(_EQUAL, _SOCKET[column], 1, 0),
        _step(_RETURN, _ALLOW),
        _step(_LOAD, _FIRST_ARGUMENT),
    ]
    for family in _FAMILIES:
        code += [_step(_EQUAL, family, 0, 1), _step(_RETURN, _ALLOW)]
    code.append(_refuse(errno.EAFNOSUPPORT))
    return b"".join(code)


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; a comparison skips so many of the next ones."""
    return struct.pack("HBBI", operation, if_true, if_false, value)


def _refuse(number: int) -> bytes:
    return _step(_RETURN, 0x00050000 | number)  # SECCOMP_RET_ERRNO
