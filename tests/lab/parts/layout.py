"""Where things lie under the lab's DIR, and what 'up' was asked for."""
import json
import os
import struct

SOCKET_PATH_MAX = 107
DAEMON_UID = 64811
# Accounts of the lab alone, known to its bus and its daemon: tests act as the last two.
ACCOUNTS = {"scepter-lab": DAEMON_UID, "lab-alice": 64821, "lab-bob": 64822}


class LabError(Exception):
    """Something did not work; the text is for people."""

    def __init__(self, text, log=None):
        super().__init__(text)
        self.log = log  # a file whose end says more


class UsageError(LabError):
    """It was asked for in the wrong way."""


class Layout:
    def __init__(self, folder):
        self.dir = os.path.abspath(folder)
        for name in ("etc", "log", "run", "state", "tpm", "bus", "ndes", "pids", "modules", "sys", "applied", "polkit"):
            setattr(self, name, os.path.join(self.dir, name))
        self.consumers = os.path.join(self.etc, "consumers.d")
        self.profiles = os.path.join(self.etc, "profiles.d")
        self.env = os.path.join(self.dir, "env")
        self.settings = os.path.join(self.etc, "lab.json")
        self.bus_socket = os.path.join(self.bus, "socket")
        self.tpm_socket = os.path.join(self.tpm, "sock")
        self.keys_socket = os.path.join(self.run, "keys.sock")
        self.clock = os.path.join(self.dir, "clock")
        self.notify_socket = os.path.join(self.dir, "notify")

    def check(self):
        longest = max((self.bus_socket, self.tpm_socket + ".ctrl", self.keys_socket), key=len)
        if len(longest.encode()) > SOCKET_PATH_MAX:
            raise LabError(f"{self.dir} is too long a path: the socket {longest} would not fit; take a shorter one")
        if any(letter in self.dir for letter in ",;:='\"\n<&%"):
            raise LabError(f"{self.dir} has a character in it that D-Bus addresses or TCTI strings cannot carry")

    def log_of(self, name):
        return os.path.join(self.log, name + ".log")

    def address(self):
        return "unix:path=" + self.bus_socket


def load_settings(layout):
    try:
        with open(layout.settings, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        raise LabError(f"there is no lab in {layout.dir}; 'lab up {layout.dir}' starts one") from None


def save_settings(layout, settings):
    write(layout.settings, json.dumps(settings, indent=4) + "\n", 0o644)


def write(path, text, mode):
    """Replaces the file in one step."""
    with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
    os.rename(path + ".new", path)


def folder(path, mode, uid=-1):
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, uid)
    os.chmod(path, mode)


def read_clock(layout):
    """How many seconds the lab's time is ahead of the machine's. FileNotFoundError."""
    with open(layout.clock, "rb") as file:
        return struct.unpack("<q", file.read(8))[0]


def write_clock(layout, seconds):
    """In place: the daemon has the file mapped and watches it."""
    descriptor = os.open(layout.clock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(descriptor, struct.pack("<q", seconds), 0)
    finally:
        os.close(descriptor)
