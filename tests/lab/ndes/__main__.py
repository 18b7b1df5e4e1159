"""Starts the responder: python3 -m ndes DIR [PORT].

DIR/ca and DIR/other-ca hold the CAs, DIR/root.pem the root to pin, DIR/url the address, DIR/events.jsonl the
event log, DIR/control the control channel. READY=1 goes to $NOTIFY_SOCKET. SIGTERM ends it.
"""
import os
import shutil
import signal
import socket
import sys
import threading

from . import ca, challenges, control, enrollment, events, switches, web


def notify(text):
    address = os.environ.pop("NOTIFY_SOCKET", None)
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(text, "\0" + address[1:] if address.startswith("@") else address)


class PkiChoice:
    """The CA in force; the other one is made when first asked for."""

    def __init__(self, folder):
        self._folder, self._lock = folder, threading.Lock()
        self._main, self._other = ca.Pki(os.path.join(folder, "ca"), "Lab"), None

    def __call__(self, board):
        if not board["other-ca"]:
            return self._main
        with self._lock:
            if not self._other:
                self._other = ca.Pki(os.path.join(self._folder, "other-ca"), "Other")
            return self._other


def main(folder, port=0):
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    os.makedirs(folder, exist_ok=True)
    log = events.EventLog(os.path.join(folder, "events.jsonl"))
    board, challenge_list, pki_of = switches.Switches(), challenges.Challenges(), PkiChoice(folder)
    shutil.copy(os.path.join(folder, "ca", "root.pem"), os.path.join(folder, "root.pem"))
    work = enrollment.Enrollment(pki_of, board, challenge_list, log, os.path.join(folder, "record"))
    try:
        server = web.Server(port, work, pki_of, board, log)
    except OSError:
        server = web.Server(0, work, pki_of, board, log)  # somebody took the port of last time
    control_server = control.Server(folder, "control", control.Control(board, challenge_list, work, log))
    url = f"http://127.0.0.1:{server.server_address[1]}{web.PATHS[0]}"
    with open(os.path.join(folder, "url"), "w", encoding="ascii") as file:
        file.write(url + "\n")
    for one in (server, control_server):
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 3600}, daemon=True).start()
    log.write(1, url=url)
    notify(b"READY=1")
    signal.sigwait((signal.SIGTERM, signal.SIGINT))
    server.stopping.set()
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python3 -m ndes DIR [PORT]")
    sys.exit(main(os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 0))
