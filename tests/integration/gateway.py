"""nginx before the lab's server, as a gateway that lets in only who has a certificate of its CA; and that CA."""
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

CONF = """daemon off;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 64; }}
http {{
    log_format gateway '$ssl_protocol "$ssl_client_s_dn" $status $request';
    access_log {dir}/access.log gateway;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_protocols {protocols};
        ssl_certificate {cert};
        ssl_certificate_key {key};
        {clients}
        {more}
        location / {{ proxy_pass {behind}; }}
    }}
}}
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def openssl(*arguments, **options):
    done = subprocess.run(["openssl", *[str(part) for part in arguments]], capture_output=True, text=True, check=False,
                          **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Authority:
    """A CA of the gateway's own."""

    def __init__(self, folder, name):
        self.folder, self.cert, self.key = folder, folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7", "-subj",
                f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def issue(self, name, algorithm="ec", subject=None, san=None, expired=False):
        """(certificate, key) as paths; the key is PKCS#8."""
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("cert", "key", "csr"))
        kind = ["rsa:2048"] if algorithm == "rsa" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", "-new", "-newkey", *kind, "-nodes", "-subj", subject or f"/CN={name}", "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={san}\n" if san else "basicConstraints=CA:FALSE\n")
        if expired:
            self._issue_expired(request, extensions, cert)
        else:
            openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-extfile",
                    extensions, "-days", "7", "-out", cert)
        return cert, key

    def _issue_expired(self, request, extensions, cert):
        """By 'openssl ca', which alone takes dates in every version."""
        database, configuration = self.folder / "database", self.folder / "ca.conf"
        database.touch()
        configuration.write_text(f"[ca]\ndefault_ca=own\n[own]\ndatabase={database}\nserial={database}.serial\n"
                                 f"new_certs_dir={self.folder}\npolicy=any\n[any]\ncommonName=supplied\n")
        openssl("ca", "-batch", "-config", configuration, "-create_serial", "-md", "sha256", "-notext", "-in", request, "-cert",
                self.cert, "-keyfile", self.key, "-extfile", extensions, "-startdate", "20240101000000Z", "-enddate",
                "20240108000000Z", "-out", cert)


class Gateway:
    def __init__(self, folder, behind, authority, clients=None, protocols="TLSv1.3", more="", server=None):
        if not shutil.which("nginx"):
            pytest.skip("nginx is not installed; tests/setup --test installs it")
        self.dir, self.port = pathlib.Path(folder), free_port()
        self.dir.mkdir(mode=0o755)
        cert, key = server or authority.issue(f"server-{self.port}", san="DNS:localhost,IP:127.0.0.1")
        verify = f"ssl_client_certificate {clients}; ssl_verify_client on; ssl_verify_depth 3;" if clients else ""
        (self.dir / "conf").write_text(CONF.format(dir=self.dir, port=self.port, protocols=protocols, cert=cert, key=key,
                                                   clients=verify, more=more, behind=behind))
        self.url = f"https://localhost:{self.port}/certsrv/mscep/mscep.dll"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENSSL")}
        self.process = subprocess.Popen(["nginx", "-p", self.dir, "-c", self.dir / "conf", "-e", self.dir / "error.log"],
                                        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self):
        for _ in range(100000):
            assert self.process.poll() is None, (self.dir / "error.log").read_text()
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            os.sched_yield()
        raise AssertionError("nginx does not listen")

    def requests(self):
        path = self.dir / "access.log"
        return path.read_text().splitlines() if path.exists() else []

    def close(self):
        self.process.terminate()
        self.process.wait()
