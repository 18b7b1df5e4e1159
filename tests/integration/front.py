"""Another way to the lab's server, that does not carry every operation, or holds one until the test says so."""
import contextlib
import http.client
import http.server
import socket
import threading
from urllib.parse import urlsplit


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, format, *args):
        pass

    def _refuse(self):
        self.server.refused += 1
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _carry(self, body=None):
        front = self.server
        if any(word in self.path for word in front.broken):
            return self._refuse()
        held = front.holds and front.holds in self.path
        if held and not front.after:
            front.wait()
        behind = http.client.HTTPConnection(front.behind, timeout=30)
        with contextlib.closing(behind):
            behind.request(self.command, self.path, body, {"Content-Type": self.headers.get("Content-Type", "")})
            answer = behind.getresponse()
            content = answer.read()
        if held and front.after:
            front.wait()
        with contextlib.suppress(OSError):  # whoever asked may be gone
            self.send_response(answer.status)
            for name in ("Content-Type", "Date"):
                self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        return None

    def do_GET(self):
        self._carry()

    def do_POST(self):
        self._carry(self.rfile.read(int(self.headers["Content-Length"])))


class Front(http.server.ThreadingHTTPServer):
    def __init__(self, url, broken):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind, self.broken, self.refused = urlsplit(url).netloc, broken, 0
        self.url = f"http://127.0.0.1:{self.server_port}{urlsplit(url).path}"
        self.holds, self.after = None, False
        self.arrived, self.go = threading.Event(), threading.Event()

    def hold(self, operation, after=False):
        """The next of these waits for go: before the server behind sees it, or @after it has answered."""
        self.arrived.clear()
        self.go.clear()
        self.holds, self.after = operation, after

    def wait(self):
        self.holds = None
        self.arrived.set()
        self.go.wait(60)

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def front(lab, *broken):
    """@broken: words of request targets that are not answered."""
    server = Front(lab.url, broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.go.set()
        server.shutdown()
        thread.join()
        server.server_close()
