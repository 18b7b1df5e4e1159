#!/usr/bin/python3 -B
"""Run below `unshare -m`: a journald of its own in a private /run, and an enrollment whose service logs there. Prints the
journal's entries as JSON lines, then one line with the text `journalctl -x` shows."""
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import labs

JOURNALD = "/lib/systemd/systemd-journald"
ROOM = pathlib.Path("/run/room")
SHOW = ["journalctl", "-D", "/run/log/journal", "--no-pager", "-q", "SYSLOG_IDENTIFIER=scepterd"]


def build():
    """The build, with a scepterd in it that believes to be systemd's: the lab's environment has no place for that."""
    for name in ("bin", "libexec"):
        (ROOM / name).mkdir(parents=True)
    for name in ("scepterd", "scepter-worker", "scepter-parse", "scepter-apply"):
        shutil.copy(labs.BUILD / "bin" / name, ROOM / "libexec" / name)
    for path in labs.BUILD.iterdir():
        if path.name != "bin":
            (ROOM / path.name).symlink_to(path)
    for name in ("scepter", "scepter-worker", "scepter-parse", "scepter-apply"):
        (ROOM / "bin" / name).symlink_to(labs.BUILD / "bin" / name)
    start = ROOM / "bin/scepterd"
    start.write_text(f'#!/bin/sh\nJOURNAL_STREAM=0:0 exec {ROOM}/libexec/scepterd "$@"\n')
    start.chmod(0o755)
    labs.BUILD = ROOM


def explain():
    """The text of the catalog, in the place of this machine's own."""
    root = ROOM / "root"
    for place in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
        (root / place).mkdir(parents=True)
    shutil.copy(labs.SOURCE / "packaging/journal/scepter.catalog", root / "usr/lib/systemd/catalog")
    subprocess.run(["journalctl", f"--root={root}", "--update-catalog"], check=True, stdout=sys.stderr)
    subprocess.run(["mount", "--bind", root / "var/lib/systemd", "/var/lib/systemd"], check=True)
    return subprocess.run([*SHOW, "-x"], check=True, capture_output=True, text=True).stdout


def main():
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"], check=True)
    for place in ("/run/systemd/journal", "/run/log/journal"):
        os.makedirs(place)
    ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ready.bind("/run/ready")
    ready.settimeout(30)
    journald = subprocess.Popen([JOURNALD], env={**os.environ, "NOTIFY_SOCKET": "/run/ready"}, stderr=subprocess.DEVNULL)
    try:
        assert b"READY=1" in ready.recv(4096)
        build()
        with labs.lab() as lab:
            lab.add("logged")
            assert lab.enroll("logged").returncode == 0
            assert lab.scepter("remove", "logged").returncode == 0
        subprocess.run(["journalctl", "--sync"], check=True)
        shown = subprocess.run([*SHOW, "-o", "json", "-a"], check=True, capture_output=True, text=True).stdout
        sys.stdout.write(shown + repr(explain()) + "\n")
    finally:
        journald.terminate()
        journald.wait()


main()
