"""HTTP as IIS with mscep.dll speaks it, and the faults a network can have."""
import base64
import binascii
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_to_bytes

from .enrollment import Answer, encode_ca

BODY_MAX, HUGE = 1 << 20, 50 << 20
PATHS = ("/certsrv/mscep/mscep.dll", "/certsrv/mscep/mscep.dll/pkiclient.exe")
PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
OPERATIONS = {"GetCACaps": "caps", "GetCACert": "cacert", "PKIOperation": "pki"}


def page(status, title):
    return Answer(status, "text/html", PAGE.format(title).encode(), title)


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
        switches = self.server.switches
        if switches["delay"]:
            self.server.stopping.wait(switches["delay"])
        if kind and switches.fault_strikes(kind):
            return self._spoil(answer, operation, start)
        return self._send(answer, operation, start)

    def _answer(self, path, query, operation, body):
        switches, post = self.server.switches, self.command == "POST"
        if len(self.path) > switches["uri-limit"]:
            return page(414, "Request-URI Too Long")
        if path.lower().rstrip("/") not in PATHS:
            return page(403 if path.lower().startswith("/certsrv/mscep") else 404, "Not Found")
        if operation is None:
            return page(403, "403 - Forbidden: Access is denied.")
        if operation == "GetCACaps":
            words = switches["caps"]
            if words is None:
                return page(404, "Not Found")
            if switches["get-only"]:
                words = "\n".join(word for word in words.splitlines() if word not in ("POSTPKIOperation",
                                                                                      "SCEPStandard"))
            return Answer(200, "text/plain", words.encode(), "CAPS")
        if operation == "GetCACert":
            content_type, der = encode_ca(self.server.pki_of(switches).published(switches))
            return Answer(200, content_type, der, "CERTIFICATES")
        if operation != "PKIOperation":
            return page(400, "Bad Request")
        if post and switches["get-only"]:
            return page(405, "Method Not Allowed")
        message = body if post else read_message(query_value(query, "message") or "")
        if not message:
            self.server.log.write(16, reason="there is no message, or it is not base64")
            return page(400, "Bad Request")
        return self.server.enrollment.operate(message)

    # sending

    def _head(self, status, content_type, length):
        override = self.server.switches["content-type"]
        self.send_response(status)
        if override != "none" and content_type:
            self.send_header("Content-Type", "text/html" if override == "html" else content_type)
        self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, answer, operation, start):
        self._note(answer.status, operation, start, answer, len(answer.body))
        self._head(answer.status, answer.content_type, len(answer.body))
        self.wfile.write(answer.body)

    def _note(self, status, operation, start, answer, size, fault=None):
        self.server.log.write(0, method=self.command, path=self.path.partition("?")[0], operation=operation,
                              httpStatus=status, bytes=size, milliseconds=round((time.monotonic() - start) * 1e3, 2),
                              agent=self.headers.get("User-Agent"), transaction=answer.transaction,
                              result=answer.note, fault=fault)

    def _spoil(self, answer, operation, start):
        """The answer stands, what was done is done; but this is what arrives."""
        switches = self.server.switches
        (fault, seconds), status = switches["body"], switches["http-status"]
        if switches["close"]:
            self._note(0, operation, start, answer, 0, "close")
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if status != "off":
            answer = page(status, f"{status} - set by a switch")._replace(transaction=answer.transaction)
        if fault == "off":
            return self._send(answer, operation, start)
        if fault == "html":
            answer = page(answer.status, "Sign in to the guest network")._replace(transaction=answer.transaction)
        elif fault == "empty":
            answer = answer._replace(body=b"")
        if fault in ("html", "empty"):
            return self._send(answer, operation, start)
        size = HUGE if fault == "huge" else len(answer.body)
        self._note(answer.status, operation, start, answer, size, fault)
        self._head(answer.status, answer.content_type, size)
        self._drip(answer.body, fault, seconds)
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

    def __init__(self, port, enrollment, pki_of, switches, log):
        self.enrollment, self.pki_of, self.switches, self.log = enrollment, pki_of, switches, log
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request, client_address):
        """A client that goes away is no event; anything else would be our own fault and is shown."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)
