"""A FreeRADIUS for EAP-TLS with a configuration and directories of its own; it asks the openssl command, with the CA's CRL,
what it thinks of each client's certificate, and logs the serial number of those that it lets in."""
import pathlib
import subprocess

PROGRAM = "/usr/sbin/freeradius"
SECRET = "between switch and server"
CONFIG = """prefix = /usr
name = radiusd
raddbdir = {dir}
logdir = {dir}
radacctdir = {dir}
run_dir = {dir}
libdir = /usr/lib/freeradius
max_requests = 256
security {{
  max_attributes = 200
  reject_delay = 0
  status_server = no
}}
log {{
  destination = stdout
  auth = yes
  msg_goodpass = "certificate %{{TLS-Client-Cert-Serial}}"
}}
thread pool {{
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 1
  max_requests_per_server = 0
}}
client switch {{
  ipaddr = 127.0.0.1
  secret = "{secret}"
  require_message_authenticator = yes
}}
modules {{
  eap {{
    default_eap_type = tls
    timer_expire = 60
    tls-config common {{
      certificate_file = {dir}/server.pem
      private_key_file = {dir}/server.key
      ca_file = {dir}/root.pem
      cipher_list = "DEFAULT"
      ecdh_curve = ""
      tls_min_version = "1.2"
      tls_max_version = "{tls}"
      cache {{
        enable = no
      }}
      verify {{
        tmpdir = {dir}/clients
        client = "{dir}/is-good %{{TLS-Client-Cert-Filename}}"
      }}
    }}
    tls {{
      tls = common
    }}
  }}
}}
server default {{
  listen {{
    type = auth
    ipaddr = 127.0.0.1
    port = {port}
  }}
  authorize {{
    eap {{
      ok = return
    }}
  }}
  authenticate {{
    Auth-Type eap {{
      eap
    }}
  }}
}}
"""
# The certificate of the CA between comes with the client's to the server, but not to this program.
IS_GOOD = """#!/bin/sh
exec openssl verify -crl_check -CAfile {dir}/root.pem -untrusted {dir}/issuing.pem -CRLfile {dir}/crl.pem "$1"
"""


class Radius:
    """@root, @issuing: the CAs of server and clients; @certificate (with its chain), @key: the server's own. All PEM."""

    def __init__(self, folder, root, issuing, certificate, key, port=1812, tls="1.2"):
        self.dir = pathlib.Path(folder)
        (self.dir / "clients").mkdir(parents=True, mode=0o700)
        for name, data in (("root.pem", root), ("issuing.pem", issuing), ("server.pem", certificate), ("server.key", key)):
            (self.dir / name).write_bytes(data)
        for name, text, mode in (("radiusd.conf", CONFIG, 0o600), ("is-good", IS_GOOD, 0o755)):
            (self.dir / name).write_text(text.format(dir=self.dir, secret=SECRET, port=port, tls=tls))
            (self.dir / name).chmod(mode)

    def trust_crl(self, der):
        """What was not revoked in this one is good."""
        made = subprocess.run(["openssl", "crl", "-inform", "DER"], input=der, capture_output=True, check=True)
        new = self.dir / "crl.new"
        new.write_bytes(made.stdout)
        new.rename(self.dir / "crl.pem")

    def let_in(self):
        """The serial numbers (hexadecimal) of the certificates that it let in, in order."""
        lines = (self.dir.parent / "freeradius.log").read_text().splitlines()
        return [line.split("certificate ")[1].split()[0].lower() for line in lines if "Login OK" in line]

    def refused(self):
        return (self.dir.parent / "freeradius.log").read_text().count("Login incorrect")
