"""Starts the responder: python3 -m ndes DIR [PORT [TLS_PORT]].

DIR/ca and DIR/other-ca hold the CAs, DIR/root.pem the root to pin, DIR/url and DIR/tls-url the addresses,
DIR/tls-ca.pem the CA of the latter, DIR/issued what was issued, DIR/events.jsonl the event log, DIR/control the control
channel. READY=1 goes to $NOTIFY_SOCKET. SIGTERM ends it.
"""
import os
import shutil
import signal
import socket
import sys
import threading
from typing import NamedTuple

from . import challenges, control, enrollment, events, issuing, pki, revocation, store, switches, tls, web


def notify(text):
    address = os.environ.pop("NOTIFY_SOCKET", None)
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(text, "\0" + address[1:] if address.startswith("@") else address)


class Authorities:
    """The CA in force; the other one is made when first asked for."""

    def __init__(self, folder, crl_url):
        self._folder, self._crl_url, self._lock = folder, crl_url, threading.Lock()
        self._main, self._other = pki.Pki(os.path.join(folder, "ca"), "Lab", crl_url), None

    def __call__(self, board):
        return self._get_other() if board["other-ca"] else self._main

    def _get_other(self):
        with self._lock:
            if not self._other:
                self._other = pki.Pki(os.path.join(self._folder, "other-ca"), "Other", self._crl_url)
            return self._other

    def _all(self):
        return [self._main, *([self._get_other()] if os.path.exists(os.path.join(self._folder, "other-ca")) else [])]

    def issuer_of(self, certificate):
        """The Pki, and its label for the CA; or None twice."""
        for one in self._all():
            label = one.issuer_of(certificate)
            if label:
                return one, label
        return None, None

    def by_crl(self, file_name):
        """The same for the name of a CRL's file."""
        for one in self._all():
            for label in pki.AUTHORITIES:
                if file_name == f"{one.name}-{label}.crl":
                    return one, label
        return None, None


class Services(NamedTuple):
    """What the web server works with."""
    switches: object
    log: object
    authorities: object
    store: object
    strangers: object
    enrollment: object


def _listen(make, port):
    try:
        return make(port)
    except OSError:
        return make(0)  # somebody took the port of last time


def _write(folder, name, text):
    with open(os.path.join(folder, name), "w", encoding="ascii") as file:
        file.write(text + "\n")


def main(folder, port=0, tls_port=0):
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    os.makedirs(folder, exist_ok=True)
    log = events.EventLog(os.path.join(folder, "events.jsonl"))
    board, challenge_list = switches.Switches(), challenges.Challenges()
    server = _listen(web.Server, port)  # certificates say where their CRLs lie
    kept, strangers = store.Store(os.path.join(folder, "issued"), f"http://127.0.0.1:{server.server_address[1]}"), issuing.Strangers()
    authorities = Authorities(folder, kept.crl_url)
    shutil.copy(os.path.join(folder, "ca", "root.pem"), os.path.join(folder, "root.pem"))
    work = enrollment.Enrollment(authorities, board, challenge_list, log, kept,
                                 issuing.Issuing(board, log, kept, strangers), strangers, os.path.join(folder, "record"))
    services = server.services = Services(board, log, authorities, kept, strangers, work)
    faces = tls.Faces(folder)
    tls_server = _listen(lambda number: tls.Server(number, services, faces), tls_port)
    control_server = control.Server(folder, "control", control.Control(
        board, challenge_list, work, revocation.Revocation(authorities, board, kept, log), log))
    url = kept.base_url + web.PATH
    _write(folder, "url", url)
    _write(folder, "tls-url", f"https://{tls.HOST}:{tls_server.server_address[1]}{web.PATH}")
    for one in (server, tls_server, control_server):
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 3600}, daemon=True).start()
    log.write(1, url=url)
    log.write(10010, 0)
    notify(b"READY=1")
    signal.sigwait((signal.SIGTERM, signal.SIGINT))
    for one in (server, tls_server):
        one.stopping.set()
    log.write(10020, 0)
    log.write(3)
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3, 4):
        sys.exit("usage: python3 -m ndes DIR [PORT [TLS_PORT]]")
    sys.exit(main(os.path.abspath(sys.argv[1]), *(int(number) for number in sys.argv[2:])))
