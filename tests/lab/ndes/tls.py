"""The same server behind TLS, with a certificate that can be wrong in the usual ways."""
import datetime
import os
import ssl
import threading

from asn1crypto import pem
from cryptography.hazmat.primitives import serialization

from . import ber, ca, clock, web

HOST = "localhost"
SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1"
HANDSHAKE_SECONDS = 30
DAY = datetime.timedelta(days=1)


def _private(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write_private(path, data):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)


class _Authority:
    """A CA for servers."""

    def __init__(self, common_name, key=None):
        self.key, self.name = key or ca.new_ec_key(), ca.name(common_name=common_name)
        now = clock.now()
        basic = ca.extension(ca.BASIC_CONSTRAINTS, ber.seq(b"\x01\x01\xff"), True)
        self.certificate = ca.issue(self.key, self.name, self.name, ca.spki_of(self.key),
                                    [basic, ca.key_usage(ca.CERT_SIGN | ca.CRL_SIGN)], now - 2 * ca.YEAR,
                                    now + 10 * ca.YEAR)

    def issue(self, key, host, start, end):
        names = [ber.tlv(0x82, host.encode())]
        if host == HOST:
            names.append(ber.tlv(0x87, bytes([127, 0, 0, 1])))
        extensions = [ca.key_usage(ca.SIGN), ca.extended_key_usage(SERVER_AUTHENTICATION),
                      ca.extension(ca.ALT_NAME, ber.seq(*names))]
        now = clock.now()
        return ca.issue(self.key, self.name, ca.name(common_name=host), ca.spki_of(key), extensions, now + start,
                        now + end)


def _pem(*certificates):
    return b"".join(pem.armor("CERTIFICATE", one.dump()) for one in certificates)


class Faces:
    """An SSLContext for each value of the switch 'tls', made when first needed. @folder/tls-ca.pem is the CA to trust."""

    def __init__(self, folder):
        self._folder, self._lock, self._contexts = folder, threading.Lock(), {}
        key_path, path = (os.path.join(folder, "tls-ca" + end) for end in (".key", ".pem"))
        if not os.path.exists(key_path):
            _write_private(key_path, _private(ca.new_ec_key()))
        with open(key_path, "rb") as file:
            self._authority = _Authority("Lab TLS CA", serialization.load_pem_private_key(file.read(), None))
        if not os.path.exists(path):    # that of last time: it may be known somewhere
            with open(path, "wb") as file:
                file.write(_pem(self._authority.certificate))

    def _make(self, face):
        key = ca.new_ec_key()
        issuer = _Authority("Unknown CA") if face == "unknown-ca" else self._authority
        start, end = {"expired": (-30 * DAY, -DAY), "not-yet-valid": (DAY, 30 * DAY)}.get(face, (-DAY, ca.YEAR))
        if face == "self-signed":
            issuer = _Authority(HOST)
            key = issuer.key
        certificate = issuer.issue(key, "other.example.com" if face == "wrong-name" else HOST, start, end)
        return self._context(face, key, certificate)

    def _context(self, face, key, certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if face == "old-version":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        path = os.path.join(self._folder, f"tls-{face}.pem")
        _write_private(path, _pem(certificate) + _private(key))
        context.load_cert_chain(path)
        return context

    def __call__(self, face):
        with self._lock:
            if face not in self._contexts:
                self._contexts[face] = self._make(face)
            return self._contexts[face]


class Server(web.Server):
    """The handshake is done in the connection's own thread."""

    def __init__(self, port, services, faces):
        self._faces = faces
        super().__init__(port, services)

    def finish_request(self, request, client_address):
        request.settimeout(HANDSHAKE_SECONDS)
        try:
            channel = self._faces(self.services.switches["tls"]).wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError) as error:
            self.services.log.write(0, method="?", operation=None, httpStatus=0, fault="tls", result=str(error))
            return
        try:
            super().finish_request(channel, client_address)
        finally:
            channel.close()
