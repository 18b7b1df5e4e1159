"""Other clients of SCEP, each enrolling with an RSA key that exists, by whole programs: StrongSwan, Certmonger, ScepClient.

prepare() does what is not measured; run() says (milliseconds, milliseconds of CPU time).
"""
import os
import select
import shutil
import subprocess
import tempfile
import time

from .room import BenchError


class StrongSwan:
    def __init__(self, room):
        self._room, self._folder = room, os.path.join(room.dir, "pki")
        os.makedirs(self._folder, exist_ok=True)
        self._key = self._path("key.pem")
        room.find("pki")
        room.timed("pki", "--gen", "--type", "rsa", "--size", "2048", "--outform", "pem", stdout=self._key)
        self._fetch()
        # Two RA certificates of one name, in files by their order: told apart by key usage.
        ra = {self._usage(name): self._path(name) for name in os.listdir(self._folder) if name.startswith("ra")}
        if set(ra) != {"Digital Signature", "Key Encipherment"}:
            raise BenchError(f"pki --scepca wrote other RA certificates than expected: {ra}")
        self._encryption, self._signature = ra["Key Encipherment"], ra["Digital Signature"]

    def _path(self, name):
        return os.path.join(self._folder, name)

    def _usage(self, name):
        text = subprocess.run(["openssl", "x509", "-in", self._path(name), "-noout", "-ext", "keyUsage"],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        return text.splitlines()[-1].strip()

    def _fetch(self):
        return self._room.timed("pki", "--scepca", "--url", self._room.env["LAB_URL"], "--caout", self._path("ca.pem"),
                                "--raout", self._path("ra.pem"), "--outform", "pem", "--force")

    def prepare(self):
        with open(self._room.challenge(), encoding="ascii") as file:
            self._challenge = file.read()

    def run(self):
        certificate = self._path("cert.pem")
        elapsed = self._fetch()
        cpu = self._room.cpu_ms
        elapsed += self._room.timed(
            "pki", "--scep", "--url", self._room.env["LAB_URL"], "--in", self._key, "--dn", "CN=bench",
            "--password", self._challenge, "--cacert-enc", self._encryption, "--cacert-sig", self._signature,
            "--cacert", self._path("ca.pem"), "--cacert", self._path("ca-1.pem"), "--outform", "pem",
            stdout=certificate)
        if not os.path.getsize(certificate):
            raise BenchError("pki --scep wrote no certificate")
        return elapsed, cpu + self._room.cpu_ms


class CertmongerDaemon:
    """Listens on a socket of its own, with its state in @folder; room.env tells getcert where."""

    def __init__(self, room, folder):
        self._room, self.folder, self.process = room, folder, None
        room.find("certmonger")
        room.find("getcert")
        self._env = {**room.env, "CERTMONGER_SYSTEM_LOCK_FILE": self.path("lock")}
        for name in ("REQUESTS_DIR", "CAS_DIR", "LOCAL_CA_DIR", "TMPDIR", "CONFIG_DIR"):
            self._env["CERTMONGER_" + name] = self.path(name)
            os.mkdir(self.path(name))
        # It runs as long as its command does, which tells where it listens and waits.
        with open(self.path("hold"), "w", encoding="ascii") as file:
            file.write(f'echo "$CERTMONGER_PVT_ADDRESS" > {self.path("told")}; read -r end < {self.path("held")}\n')
        for name in ("told", "held"):
            os.mkfifo(self.path(name))

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, seconds=120):
        """Milliseconds until it answers."""
        told = os.open(self.path("told"), os.O_RDONLY | os.O_NONBLOCK)
        self._hold = os.open(self.path("held"), os.O_RDWR | os.O_CLOEXEC)
        begun = time.monotonic()
        with open(self._room.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(["certmonger", "-L", "-n", "-c", f"/bin/sh {self.path('hold')}"], env=self._env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        address = select.select([told], [], [], seconds)[0] and os.read(told, 4096).decode().strip()
        took = (time.monotonic() - begun) * 1e3
        os.close(told)
        if not address:
            self.stop()
            raise BenchError("certmonger did not start:\n" + self._room.end_of_log())
        self._room.env["CERTMONGER_PVT_ADDRESS"] = address
        return took

    def stop(self):
        os.close(self._hold)
        self.process.wait(60)


class Certmonger:
    """Its daemon is there before and knows the CA; 'getcert request --wait' is what is timed."""

    def __init__(self, room):
        self._room, self._number = room, 0
        self.daemon = CertmongerDaemon(room, tempfile.mkdtemp(prefix="certmonger.", dir=room.dir))
        self.daemon.start()
        room.timed("getcert", "add-scep-ca", "-c", "lab", "-u", room.env["LAB_URL"], "-N", room.env["LAB_ROOT"])
        room.timed("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self._path("key.pem"))

    def _path(self, name):
        return self.daemon.path(name)

    def prepare(self):
        self._number += 1
        self._key = self._path(f"key-{self._number}.pem")
        shutil.copy(self._path("key.pem"), self._key)
        os.chmod(self._key, 0o600)
        with open(self._room.challenge(), encoding="ascii") as file:
            self._challenge = file.read()

    def _cpu_ms(self):
        with open(f"/proc/{self.daemon.process.pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) * 1e3 / os.sysconf("SC_CLK_TCK")

    def run(self):
        before = self._cpu_ms()
        elapsed = self._room.timed("getcert", "request", "-c", "lab", "-I", f"bench-{self._number}", "-k", self._key, "-f",
                                   self._path(f"cert-{self._number}.pem"), "-N", "CN=bench", "-L", self._challenge, "--wait")
        return elapsed, self._room.cpu_ms + self._cpu_ms() - before

    def close(self):
        self.daemon.stop()


class ScepClient:
    """micromdm's: single DES and SHA-1, so the server is set for it alone while it runs."""

    SERVER, BACK = {"cipher": "des"}, {"cipher": "auto"}

    def __init__(self, room):
        self._room, self._folder = room, os.path.join(room.dir, "scepclient")
        room.find("scepclient")
        os.mkdir(self._folder)
        room.timed("openssl", "genrsa", "-traditional", "-out", self._path("key.pem"), "2048")

    def _path(self, name):
        return os.path.join(self._folder, name)

    def prepare(self):
        for name in ("csr.pem", "self.pem", "cert.pem"):
            if os.path.exists(self._path(name)):
                os.unlink(self._path(name))
        with open(self._room.challenge(), encoding="ascii") as file:
            self._challenge = file.read()
        self._room.switch(**self.SERVER)

    def run(self):
        elapsed = self._room.timed("scepclient", "-server-url", self._room.env["LAB_URL"], "-challenge", self._challenge,
                                   "-private-key", self._path("key.pem"), "-certificate", self._path("cert.pem"), "-cn",
                                   "bench")
        self._room.switch(**self.BACK)
        return elapsed, self._room.cpu_ms
