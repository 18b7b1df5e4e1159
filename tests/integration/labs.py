"""A lab for tests: everything real, in a directory of its own, gone afterwards."""
import contextlib
import fcntl
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import threading
import time

import wakes

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LAB = SOURCE / "tests/lab/lab"
BUILD = pathlib.Path(os.environ.get("SCEPTER_BUILD", SOURCE / "build"))
PREPARED_KEYS = BUILD / "lib/prepared-keys.so"

PROFILE = """[Profile]
Name={name}
Type={type}
[Server]
Url={url}
RootCertificate={root}
Challenge={challenge}
{server}
[Key]
Protection={protection}
Algorithm={algorithm}
[Subject]
Name={subject}
{san}
KeyUsage=digitalSignature keyEncipherment
ExtendedKeyUsage=1.3.6.1.5.5.7.3.2
[Renewal]
Method={method}
RetryDelay={delay}
RetryCount={count}
"""
DEFAULTS = {"type": "device", "challenge": "ask", "server": "", "protection": "software", "algorithm": "rsa-2048",
            "subject": "CN=pc1,O=Contoso", "san": "AlternativeName=dns:pc1.contoso.com", "delay": 1, "count": 3, "method": "auto"}


def _configured(text):
    cache = BUILD / "CMakeCache.txt"
    return cache.exists() and text in cache.read_text()


def sanitized():
    return _configured("SCEPTER_SANITIZE:BOOL=ON")


def locks_memory():
    """Not where mlock(2) is AddressSanitizer's or ThreadSanitizer's, which locks nothing and succeeds."""
    return not sanitized() and not _configured("-fsanitize=thread")


def foreign_environment():
    """What a program of others needs that loads a ksp.so built with AddressSanitizer."""
    if not sanitized():
        return {}
    library = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return {"LD_PRELOAD": os.path.realpath(library.stdout.strip()), "ASAN_OPTIONS": "detect_leaks=0"}


def _lab_program():
    """The program 'lab' as a module: its small verbs need no process of their own."""
    loader = importlib.machinery.SourceFileLoader("lab", str(LAB))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("lab", loader))
    loader.exec_module(module)
    return module


PROGRAM = _lab_program()
PRINTING = threading.Lock()  # what it prints goes to one caller at a time
CA_KEYS = ("root", "issuing", "ra-sign", "ra-encrypt")
SOFTWARE_KEYS = 48  # of RSA, 2048 bits, for each lab


def _rsa_key():
    return subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def _keys():
    """Keys for every lab of this build: Python takes a second of a processor to make those of one CA, and a quarter of the
    time of all tests went into making the service's."""
    folder = BUILD / "test-keys"
    with open(BUILD / "test-keys.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder
        new = pathlib.Path(tempfile.mkdtemp(prefix="test-keys.", dir=BUILD))
        for name in CA_KEYS:
            (new / f"{name}.key").write_bytes(_rsa_key())
        # as prepared-keys.c reads them
        (new / "software").write_bytes(bytes(8) + b"".join(_rsa_key() for _ in range(SOFTWARE_KEYS)) + bytes(1))
        new.rename(folder)
    return folder


@contextlib.contextmanager
def open_folder():
    """For other users, too: pytest's own folders are closed to them, and closed again whenever another pytest starts."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="scepter-open."))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


COMPLAINT = re.compile(r"==\d+==ERROR: |: runtime error: ")


class Lab:
    def __init__(self, *options, before=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="scepter-it."))
        self.dir.chmod(0o711)
        self.files = self.dir / "files"
        self.files.mkdir(mode=0o755)
        ca = self.dir / "lab/ndes/ca"
        ca.mkdir(parents=True, mode=0o700)
        keys = _keys()
        for name in CA_KEYS:
            shutil.copy(keys / f"{name}.key", ca)
        if not sanitized() and PREPARED_KEYS.exists():
            shutil.copy(keys / "software", self.dir / "lab/prepared-keys")
            (self.dir / "lab/prepared-keys").chmod(0o666)
        (self.dir / "lab").chmod(0o711)
        (self.dir / "lab/ndes").chmod(0o711)
        if before:  # what the lab finds in its folder
            before(self.dir / "lab")
        arguments = list(options)
        extra = arguments[arguments.index("--"):] if "--" in arguments else []
        arguments = arguments[:len(arguments) - len(extra)]
        subprocess.run([LAB, "up", self.dir / "lab", "--build", BUILD, *arguments, *extra], check=True)
        self.env = {**os.environ, **self._environment()}
        self.state = pathlib.Path(self.env["LAB_STATE"])
        self.url, self.root = self.env["LAB_URL"], self.env["LAB_ROOT"]
        self._written, self._monitor = wakes.Wakes(), None

    def _environment(self):
        # The lab's env is for shells: let one read it.
        text = subprocess.run(["sh", "-c", '. "$1" && env -0', "sh", self.dir / "lab/env"], capture_output=True,
                              check=True).stdout.decode()
        return dict(line.split("=", 1) for line in text.split("\0") if "=" in line)

    def close(self):
        self._stop_listening()
        self._written.close()
        done = subprocess.run([LAB, "down", self.dir / "lab"], check=False)
        complaints = self.complaints()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert done.returncode == 0 and not complaints, complaints

    def complaints(self):
        """What the sanitizers of the daemon and its workers said, leaks at its end included."""
        log = self.log()
        return log[match.start():][:8000] if (match := COMPLAINT.search(log)) else ""

    def users_environment(self):
        """Other users may not be able to read the build: they get a copy of the modules."""
        modules = self.files / "modules"
        if not modules.exists() and "OPENSSL_MODULES" in self.env:
            shutil.copytree(self.env["OPENSSL_MODULES"], modules)
            for path in (modules, *modules.iterdir()):
                path.chmod(0o755)
        return {"OPENSSL_MODULES": str(modules)}

    def run(self, *command, user=None, env=None, **options):
        if user is not None:
            env = {**self.users_environment(), **(env or {})}
            command = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *command)
        options.setdefault("timeout", 120)
        return subprocess.run([str(part) for part in command], env={**self.env, **(env or {})}, capture_output=True,
                              text=True, **options)

    def scepter(self, *arguments, **options):
        return self.run(BUILD / "bin/scepter", *arguments, **options)

    def json(self, *arguments, **options):
        done = self.scepter(*arguments, "--json", **options)
        return json.loads(done.stdout)

    def openssl(self, *arguments, **options):
        return self.run("openssl", *arguments, env=foreign_environment(), **options)

    def write(self, name, content, mode=0o644):
        path = self.files / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def profile_text(self, name, **values):
        return PROFILE.format(**{**DEFAULTS, "name": name, "url": self.url, "root": self.root, **values})

    def add(self, name, **values):
        """A profile; fails the test where it is refused."""
        path = self.write(f"{name}.profile", self.profile_text(name, **values))
        done = self.scepter("profile", "add", path)
        assert done.returncode == 0, done.stderr
        return path

    def tool(self, verb, *words):
        """What 'lab @verb DIR @words' prints."""
        with PRINTING, contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
            status = PROGRAM.main([verb, str(self.dir / "lab"), *map(str, words)])
        assert status == 0, printed.getvalue()
        return printed.getvalue()

    def challenge(self, *options):
        return self.write("challenge", self.tool("challenge", *options))

    def enroll(self, name, *options, challenge=True, **run_options):
        given = ("--challenge-file", self.challenge()) if challenge else ()
        return self.scepter("enroll", name, "--wait", *given, *options, **run_options)

    def until(self, look, seconds=90):
        """What look() answers as soon as that is true: it is asked again after each signal on the bus, and after each
        change of what the server, the service or the state has written."""
        monitor = self._listening(seconds)
        self._written.add([self.dir / "lab/ndes", self.dir / "lab/log", self.state, self.state / "certificates",
                           *self.state.glob("certificates/*")])
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, self.log()[-3000:]
            # once a second in any case: not all that a test looks at is told
            ready = select.select([monitor.stdout, self._written], [], [], 1)[0]
            if monitor.stdout in ready:
                assert monitor.stdout.read(), "the bus went away"
            self._written.drain()
        return found

    def _listening(self, seconds):
        """A dbus-monitor that hears the signals from now on."""
        if self._monitor and self._monitor.poll() is None:
            return self._monitor
        self._stop_listening()
        # that of a client which comes and goes is told, too, and would be an endless reason to look again
        self._monitor = subprocess.Popen(["dbus-monitor", "--address", self.env["DBUS_SYSTEM_BUS_ADDRESS"],
                                          "type='signal',path_namespace='/org/scepter1'",
                                          "type='signal',member='NameOwnerChanged',arg0='org.scepter1'"], stdout=subprocess.PIPE)
        os.set_blocking(self._monitor.stdout.fileno(), False)
        select.select([self._monitor.stdout], [], [], seconds)
        return self._monitor

    def _stop_listening(self):
        if self._monitor:
            self._monitor.kill()
            self._monitor.communicate()
            self._monitor = None

    def wait_for(self, name, *activities):
        """The certificate, once it does one of these."""
        def look():
            shown = self.json("show", name)
            return shown if shown["activity"] in activities else None
        return self.until(look)

    def ndes(self, *words):
        return self.tool("ndes", *words)

    def clock(self, *seconds):
        """How far it is ahead of the machine's, as 'lab clock' prints and sets it."""
        return self.tool("clock", *seconds)

    def daemon(self, what, check=True):
        return self.run(LAB, "daemon", self.dir / "lab", what, check=check)

    def daemon_pid(self):
        return json.loads((self.dir / "lab/pids/scepterd.json").read_text())["pid"]

    def log(self):
        path = self.dir / "lab/log/scepterd.log"
        return path.read_text() if path.exists() else ""  # a lab without a daemon

    def certificate(self, name):
        """The state directory of the certificate of this name."""
        for record in self.state.glob("certificates/*/record.json"):
            if json.loads(record.read_text())["name"] == name:
                return record.parent
        raise AssertionError(f"there is no certificate {name}")

    def serves(self):
        """The next request is served."""
        done = self.scepter("list", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextlib.contextmanager
def lab(*options, before=None):
    made = Lab(*options, before=before)
    try:
        yield made
    finally:
        made.close()
