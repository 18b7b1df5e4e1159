"""A web server that lets nobody in without a certificate of the lab's CA."""
import contextlib
import socket
import ssl
import threading


def make_certificate(lab):
    """Of the server, by a CA of its own: Firefox takes no CA's certificate for a server's."""
    new = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for command in ((*new, "-x509", "-subj", "/CN=Door CA", "-keyout", lab.files / "door-ca.key", "-out", lab.files / "door-ca.pem"),
                    (*new, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", lab.files / "door.key",
                     "-out", lab.files / "door.csr"),
                    ("openssl", "x509", "-req", "-in", lab.files / "door.csr", "-CA", lab.files / "door-ca.pem", "-CAkey",
                     lab.files / "door-ca.key", "-copy_extensions", "copy", "-out", lab.files / "door.pem")):
        done = lab.run(*command)
        assert done.returncode == 0, done.stderr


class Door:
    """A server that wants a certificate of the lab's CA, and notes the serial numbers that it was shown."""

    def __init__(self, lab, seconds=30):
        """@seconds: how long it waits for each word of a client."""
        make_certificate(lab)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(lab.files / "door.pem", lab.files / "door.key")
        context.load_verify_locations(lab.files / "cas.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.seen, self.came, self._context, self._seconds = [], threading.Event(), context, seconds
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        with contextlib.suppress(OSError):
            connection.settimeout(self._seconds)
            with self._context.wrap_socket(connection, server_side=True) as stream:
                stream.recv(4096)
                self.seen.append(stream.getpeercert()["serialNumber"].lower())
                self.came.set()
                stream.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>come in</p>")

    def close(self):
        self._listener.close()
