"""HTTP as IIS with mscep.dll speaks it, and the faults a network can have."""
import base64
import binascii
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, unquote_to_bytes

from . import authority, ber, clock, cms, pages, store
from .pages import Answer, page

BODY_MAX, HUGE = 1 << 20, 50 << 20
FOLDER, ADMIN = "/certsrv/mscep", "/certsrv/mscep_admin"
PATHS = {"/certsrv/mscep/mscep.dll": "mscep.dll", "/certsrv/mscep/mscep.dll/pkiclient.exe": "pkiclient.exe"}
PATH = next(iter(PATHS))
OPERATIONS = {"GetCACaps": "caps", "GetCACert": "cacert", "GetNextCACert": "nextca", "PKIOperation": "pki"}
CLOSED = Answer(0, None, b"", "closed")


def read_message(text):
    """The message of a GET: base64 in either alphabet, a blank for a plus, with or without padding. Or None."""
    raw = unquote_to_bytes(text).translate(bytes.maketrans(b" -_", b"++/"), b"\r\n").rstrip(b"=")
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except binascii.Error:
        return None


def query_value(query, name):
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == name:
            return value
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version, server_version, sys_version = "HTTP/1.1", "Microsoft-IIS/10.0", ""
    disable_nagle_algorithm, timeout, wbufsize = True, 60, -1

    def log_message(self, format, *args):  # the event log has it
        pass

    def date_time_string(self, timestamp=None):
        now = clock.timestamp() if timestamp is None else timestamp
        return super().date_time_string(now + self.server.services.switches["date-skew"])

    def do_GET(self):
        self._serve(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self._send(page(411, "Length Required"), "?", time.monotonic())
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > BODY_MAX:
            self.close_connection = True
            return self._send(page(411 if not length else 413, "Request refused"), "?", time.monotonic())
        return self._serve(self.rfile.read(int(length)))

    def _serve(self, body):
        start = time.monotonic()
        path, _, query = self.path.partition("?")
        operation = query_value(query, "operation")
        answer = self._answer(path, query, operation, body)
        kind = OPERATIONS.get(operation)
        switches = self.server.services.switches
        if switches["delay"] and switches["fault-on"] in ("all", kind):
            self.server.stopping.wait(switches["delay"])
        if answer is CLOSED:
            return self._close(operation, start, answer)
        if kind and switches.fault_strikes(kind):
            return self._spoil(answer, operation, start)
        return self._send(answer, operation, start)

    def _answer(self, path, query, operation, body):
        switches, path = self.server.services.switches, path.lower().rstrip("/")
        if len(self.path) > switches["uri-limit"]:
            return page(414, "Request-URI Too Long")
        if path == pages.LOGIN:
            return pages.login()
        if path.startswith(store.PATH):
            return authority.crl(self.server.services, unquote(path[len(store.PATH):]))
        if path == ADMIN:
            return pages.unauthorized()
        if path not in PATHS:
            return page(403 if path.startswith(FOLDER) else 404, "Not Found")
        if switches["paths"] not in ("both", PATHS[path]):
            return page(404, "Not Found")
        if operation is None:
            if switches["policy-module"]:
                return page(403, "403 - Forbidden: Access is denied.")
            return pages.general()
        return self._operate(query, operation, body)

    def _operate(self, query, operation, body):
        services, post = self.server.services, self.command == "POST"
        if operation == "GetCACaps":
            return authority.capabilities(services) or CLOSED
        if operation == "GetCACert":
            return authority.certificates(services)
        if operation == "GetNextCACert":
            return authority.next_certificates(services)
        if operation != "PKIOperation":
            return page(400, "Bad Request")
        if post and services.switches["get-only"]:
            return page(405, "Method Not Allowed")
        message = body if post else read_message(query_value(query, "message") or "")
        if not message:
            services.log.write(16, reason="there is no message, or it is not base64")
            return page(400, "Bad Request")
        return services.enrollment.operate(message)

    # sending

    def _head(self, answer, length):
        override = self.server.services.switches["content-type"]
        self.send_response(answer.status)
        if override != "none" and answer.content_type:
            self.send_header("Content-Type", "text/html" if override == "html" else answer.content_type)
        self.send_header("Content-Length", str(length))
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, answer, operation, start):
        self._note(answer, operation, start, len(answer.body))
        self._head(answer, len(answer.body))
        self.wfile.write(answer.body)

    def _note(self, answer, operation, start, size, fault=None, win32=0):
        milliseconds = round((time.monotonic() - start) * 1e3, 2)
        self.server.services.log.write(
            0, method=self.command, path=self.path.partition("?")[0], operation=operation, httpStatus=answer.status,
            iis=f"{answer.status} 0 {win32} {milliseconds:.0f}", bytes=size, milliseconds=milliseconds,
            agent=self.headers.get("User-Agent"), transaction=answer.transaction, result=answer.note, fault=fault)

    def _close(self, operation, start, answer):
        self._note(answer._replace(status=0), operation, start, 0, "close")
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _spoil(self, answer, operation, start):
        """The answer stands, what was done is done; but this is what arrives."""
        switches = self.server.services.switches
        (fault, seconds), status, win32 = switches["body"], switches["http-status"], switches["win32-status"]
        if switches["close"]:
            return self._close(operation, start, answer)
        if status != "off":
            answer = pages.of_status(status, win32)._replace(transaction=answer.transaction)
        if switches["retry-after"] != "off":
            answer = answer._replace(headers=(*answer.headers, ("Retry-After", str(switches["retry-after"]))))
        if fault == "html":
            answer = page(answer.status, "Sign in to the guest network")._replace(transaction=answer.transaction)
        elif fault == "empty":
            answer = answer._replace(body=b"")
        elif fault == "stub":
            answer = answer._replace(body=ber.seq(ber.oid(cms.SIGNED)))
        elif fault == "half":
            answer = answer._replace(body=answer.body[:len(answer.body) // 2])
        size = HUGE if fault == "huge" else len(answer.body)
        self._note(answer, operation, start, size, fault if fault != "off" else None, 0 if win32 == "off" else win32)
        self._head(answer, size)
        if fault in ("huge", "cut", "slow"):
            return self._drip(answer.body, fault, seconds)
        self.wfile.write(answer.body)
        return None

    def _drip(self, body, fault, seconds):
        if fault == "cut":
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        elif fault == "huge":
            block = bytes(1 << 16)
            for _ in range(HUGE // len(block)):
                self.wfile.write(block)
        else:
            for index in range(len(body)):
                self.wfile.write(body[index:index + 1])
                self.wfile.flush()
                if self.server.stopping.wait(seconds / len(body)):
                    self.close_connection = True
                    return


class Server(ThreadingHTTPServer):
    daemon_threads, block_on_close, request_queue_size = True, False, 256

    """Listens at once, serves when it has @services."""

    def __init__(self, port, services=None):
        self.services, self.stopping = services, threading.Event()
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        """A client that goes away is no event; anything else would be our own fault and is shown."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)
