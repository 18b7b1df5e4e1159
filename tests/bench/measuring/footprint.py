"""The daemon with one certificate: start to bus name, 'scepter list', memory while idle.

The start is timed from the moment the waiting shell, already in the daemon's uid and mount namespace, is told to
exec it, until the bus tells the name's owner.
"""
import contextlib
import glob
import os
import re
import subprocess
import time

import dbus
import dbus.bus
import dbus.mainloop.glib
from gi.repository import GLib

from . import enrollment
from .room import BenchError
from .table import row

PATIENCE_MS = 20000
NAME = "org.scepter1"
GATE = 'read -r go && exec "$@"'


def memory(pid):
    """MiB by kind, or None where this user may not look."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            kilobytes = dict(re.findall(r"^(\w+): +([0-9]+) kB$", file.read(), re.MULTILINE))
    except PermissionError:
        return None
    return {kind: int(kilobytes[kind]) / 1024 for kind in ("Rss", "Pss", "Private_Dirty")}


def _sharers(pid):
    """How many other processes map libcrypto, which counts in Pss by its share alone."""
    count = 0
    for maps in glob.glob("/proc/[0-9]*/maps"):
        with contextlib.suppress(OSError), open(maps, encoding="utf-8", errors="replace") as file:
            count += maps != f"/proc/{pid}/maps" and "/libcrypto.so.3" in file.read()
    return count


def _gated(room):
    """The lab's command for the daemon, behind a shell that waits."""
    command = ["/bin/sh", "-c", GATE, "sh", room.daemon.program(room.layout, room.settings), "--config",
               os.path.join(room.layout.etc, "scepter.conf"), "--exec-workers"]
    if room.settings["root"]:
        uid = str(room.settings["uid"])
        command = ["/usr/bin/setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *command]
        if room.settings["own_accounts"]:
            command = room.services.with_accounts(room.layout, command)
    return command


class NameWatch:
    """When the daemon's name got an owner."""

    def __init__(self, room):
        self._loop, self._since = GLib.MainLoop(), None
        bus = dbus.bus.BusConnection(room.env["DBUS_SYSTEM_BUS_ADDRESS"],
                                     mainloop=dbus.mainloop.glib.DBusGMainLoop())
        self._first = True
        bus.watch_name_owner(NAME, self._changed)
        self._bus = bus
        self._run()  # the first call tells the present state

    def _changed(self, owner):
        if owner or self._first:
            self._first, self._since = False, time.monotonic()
            self._loop.quit()

    def _run(self):
        timer = GLib.timeout_add(PATIENCE_MS, self._loop.quit)
        self._since = None
        self._loop.run()
        if self._since is not None:
            GLib.source_remove(timer)
        return self._since

    def wait(self):
        return self._run()

    def close(self):
        self._bus.close()


def _ready(pid):
    """The shell waits: everything before it is over."""
    while True:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            state = file.read().rpartition(")")[2].split()[0]
        if words[:2] == [b"/bin/sh", b"-c"] and words[2:3] == [GATE.encode()] and state == "S":
            return
        if state in "ZX":
            raise BenchError("scepterd could not be started")
        os.sched_yield()


def starts(room, count):
    room.records.stop("scepterd")
    watch = NameWatch(room)
    env = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "LANG": "C.UTF-8",
           "DBUS_SYSTEM_BUS_ADDRESS": room.env["DBUS_SYSTEM_BUS_ADDRESS"]}
    times = []
    try:
        for _ in range(count):
            with open(room.layout.log_of("scepterd"), "ab") as log:
                daemon = subprocess.Popen(_gated(room), stdin=subprocess.PIPE, stdout=log, stderr=log, cwd="/", env=env)
            try:
                _ready(daemon.pid)
                start = time.monotonic()
                daemon.stdin.write(b"go\n")
                daemon.stdin.flush()
                end = watch.wait()
                if end is None:
                    raise BenchError("scepterd did not take its name:\n" + room.tail("scepterd"))
                times.append((end - start) * 1e3)
            finally:
                daemon.stdin.close()
                daemon.terminate()
                daemon.wait()
    finally:
        watch.close()
    return times


def lists(room, count):
    room.timed("scepter", "list")
    return [room.timed("scepter", "list") for _ in range(count)]


def measure(room, given):
    room.ensure_profile(enrollment.NAME, "software", "rsa-2048")
    room.enroll(enrollment.NAME)
    worked, sharers = memory(room.daemon_pid()), _sharers(room.daemon_pid())
    started = starts(room, given.rounds)
    room.restart_daemon()
    listed = lists(room, 2 * given.rounds)
    fresh = memory(room.daemon_pid())
    rows = [row("start to bus name, ms", started, target=("at most", 20)),
            row("scepter list, ms", listed, target=("at most", 10))]
    for when, found in (("after its start", fresh), ("after an enrollment", worked)):
        for kind, most in (("Pss", 5), ("Private_Dirty", 2), ("Rss", None)):
            rows.append(row(f"idle {when}: {kind}, MiB", [found[kind]] if found else None,
                            target=("at most", most) if most else None))
    notes = [f"{given.rounds} starts, {2 * given.rounds} lists; {sharers} other processes map libcrypto"]
    if not fresh:
        notes.append("scepterd is not dumpable: its memory is shown to root alone")
    return [{"title": "scepterd with 1 certificate", "unit": "", "rows": rows, "notes": notes,
             "samples": {"start": started, "list": listed}}]
