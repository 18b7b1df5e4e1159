"""The key channel as it is on the wire (ksp/channel/frame.h), spoken by hand: what no library of ours would send can be sent,
and as whom one likes."""
import contextlib
import os
import socket
import struct

OPEN, SIGN, DECRYPT, DERIVE, CLOSE, TLS_SIGN, UNWRAP, LIST, DESCRIBE, VERIFY = range(1, 11)
ANSWER, ERROR = 0x40, 0x41
(LABEL, KEY_ID, HANDLE, SPKI, CERTIFICATE, SCHEME, PADDING, DIGEST, MGF1, SALT, OAEP_LABEL, DATA, CODE, MESSAGE,
 REMEDY, TLS_SCHEME, SALT_OCTETS, ITERATIONS, KEK, IV, INDEX, NEXT, ENTRY, OWNER, PIN, WANTS_PIN) = range(1, 27)
SHA256 = 3
PKCS1, PSS, ECDSA = range(3)
HEADER = struct.Struct(">BBHII")
BODY_MAX = 64 * 1024


def field(tag, value):
    data = struct.pack(">Q", value) if isinstance(value, int) else value.encode() if isinstance(value, str) else bytes(value)
    return struct.pack(">HI", tag, len(data)) + data


def parse(data):
    """(tag, value) of each field, in their order."""
    found, at = [], 0
    while at < len(data):
        tag, length = struct.unpack_from(">HI", data, at)
        found.append((tag, data[at + 6:at + 6 + length]))
        at += 6 + length
    return found


def body(fields):
    return b"".join(field(tag, value) for tag, value in fields.items())


def frame(kind, number=1, fields=None, raw=b""):
    content = body(fields or {}) + raw
    return HEADER.pack(1, kind, 0, number, len(content)) + content


class Refused(Exception):
    """FRAME_ERROR: its code, and its sentence."""

    def __init__(self, fields):
        self.code, self.text, self.remedy = (fields[tag].decode() for tag in (CODE, MESSAGE, REMEDY))
        super().__init__(f"{self.code}: {self.text}")


class Closed(Exception):
    """The daemon closed the connection."""


class Channel:
    """A connection, made by a process with these credentials: the kernel tells of whoever called connect(2)."""

    def __init__(self, path, uid=None, gid=None, groups=()):
        if uid is None:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(path))
        else:
            self.socket = _connect_as(str(path), uid, uid if gid is None else gid, groups)
        self.socket.settimeout(60)
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed()
            data += more
        return data

    def receive(self):
        """(number of the request, fields), where a tag comes more than once the last"""
        number, fields = self.receive_all()
        return number, dict(fields)

    def receive_all(self):
        _, kind, _, number, size = HEADER.unpack(self._exactly(HEADER.size))
        fields = parse(self._exactly(size))
        if kind == ERROR:
            raise Refused(dict(fields))
        return number, fields

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed() from None

    def call(self, kind, fields):
        self.number += 1
        self.send(frame(kind, self.number, fields))
        number, answer = self.receive()
        assert number == self.number
        return answer

    def open(self, key):
        """@key: a name, or the 20 octets of an id."""
        answer = self.call(OPEN, {LABEL if isinstance(key, str) else KEY_ID: key})
        return int.from_bytes(answer[HANDLE], "big"), answer

    def sign(self, handle, digest=bytes(32), scheme=PKCS1):
        return self.call(SIGN, {HANDLE: handle, SCHEME: scheme, DIGEST: SHA256, DATA: digest})[DATA]

    def decrypt(self, handle, data):
        return self.call(DECRYPT, {HANDLE: handle, PADDING: 0, DATA: data})[DATA]

    def derive(self, handle, point):
        return self.call(DERIVE, {HANDLE: handle, DATA: point})[DATA]

    def list(self):
        """The ids of the keys that are there for it."""
        ids, index = set(), 0
        while True:
            self.send(frame(LIST, 1, {INDEX: index}))
            fields = self.receive_all()[1]
            ids |= {dict(parse(value))[KEY_ID] for tag, value in fields if tag == ENTRY}
            index = int.from_bytes(dict(fields)[NEXT], "big")
            if not index:
                return ids

    def describe(self, key_id, index=0):
        return self.call(DESCRIBE, {KEY_ID: key_id, INDEX: index})

    def ended(self):
        """Whether the daemon closes it, whatever it says before."""
        with contextlib.suppress(Refused, Closed):
            while True:
                self.receive()
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def _connect_as(path, uid, gid, groups):
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(list(groups))
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            made = socket.socket(socket.AF_UNIX)
            made.connect(path)
            socket.send_fds(theirs, [b"x"], [made.fileno()])
        finally:
            os._exit(0)
    theirs.close()
    with ours:
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    os.waitpid(child, 0)
    if not descriptors:
        raise ConnectionRefusedError(f"uid {uid} cannot connect to {path}")
    return socket.socket(fileno=descriptors[0])
