"""Starts programs so that a later 'lab' finds them again, and ends only those: a record holds pid and start
time, and a pid that was given to somebody else meanwhile is left alone."""
import json
import os
import select
import signal
import socket
import subprocess
import time

from .layout import LabError, write

STOP_SECONDS, READY_SECONDS = 10, 60


def _start_time(pid):
    """Clock ticks since boot, or None: no such process, or a dead one nobody has waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


class Records:
    def __init__(self, layout):
        self._layout = layout

    def _path(self, name):
        return os.path.join(self._layout.pids, name + ".json")

    def add(self, name, pid):
        start = _start_time(pid)
        if start:
            write(self._path(name), json.dumps({"pid": pid, "start": start}) + "\n", 0o644)

    def pid(self, name):
        """The running process of that name, or None."""
        try:
            with open(self._path(name), encoding="utf-8") as file:
                record = json.load(file)
        except (FileNotFoundError, ValueError):
            return None
        return record["pid"] if _start_time(record["pid"]) == record["start"] else None

    def stop(self, name, first=signal.SIGTERM):
        """Ends it and waits for that. False: it did not run."""
        pid = self.pid(name)
        if pid:
            self._end(name, pid, first)
        try:
            os.unlink(self._path(name))
        except FileNotFoundError:
            pass
        return pid is not None

    def _end(self, name, pid, first):
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if self.pid(name) != pid:  # the descriptor may already be somebody else's
                return
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            for number in (first, signal.SIGKILL):
                try:
                    signal.pidfd_send_signal(descriptor, number)
                except ProcessLookupError:
                    return
                if poll.poll(STOP_SECONDS * 1000):
                    return
            raise LabError(f"{name} (pid {pid}) does not end")
        finally:
            os.close(descriptor)


def _environment(extra):
    """As little as systemd gives a service, and what sanitizers read."""
    kept = {key: value for key, value in os.environ.items() if key.endswith("SAN_OPTIONS") or key == "TZ"}
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **kept, **extra}


def spawn(layout, records, name, command, env=None, **more):
    """Starts it, output to the log, recorded. The Popen."""
    with open(layout.log_of(name), "ab") as log:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                       env=_environment(env or {}), start_new_session=True, **more)
        except OSError as error:
            raise LabError(f"{name} does not start: {error}") from None
    records.add(name, process.pid)
    return process


def wait_ready(layout, name, process, channel, seconds=READY_SECONDS):
    """Until READY=1 comes on @channel, or the process ends."""
    descriptor, end = os.pidfd_open(process.pid), time.monotonic() + seconds
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.register(channel, select.POLLIN)
        while True:
            left = end - time.monotonic()
            ready = [number for number, _ in poll.poll(left * 1000)] if left > 0 else []
            if not ready:
                raise LabError(f"{name} was not ready after {seconds} s", layout.log_of(name))
            if channel.fileno() in ready:
                if b"READY=1" in channel.recv(4096).split(b"\n"):
                    return
            elif descriptor in ready:
                status = process.wait()
                raise LabError(f"{name} ended with status {status} before it was ready", layout.log_of(name))
    finally:
        os.close(descriptor)


class NotifyChannel:
    """The socket for $NOTIFY_SOCKET, open to the daemon's uid."""

    def __init__(self, layout):
        self.path = layout.notify_socket

    def __enter__(self):
        self._remove()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.bind(self.path)
        os.chmod(self.path, 0o666)
        return self._socket

    def __exit__(self, *_):
        self._socket.close()
        self._remove()

    def _remove(self):
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass


def start_and_wait(layout, records, name, command, env=None, **more):
    with NotifyChannel(layout) as channel:
        process = spawn(layout, records, name, command, {"NOTIFY_SOCKET": layout.notify_socket, **(env or {})}, **more)
        wait_ready(layout, name, process, channel)
