"""The lab the bench measures in, and programs run and timed there."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PROFILE = """[Profile]
Name={name}
Type=device
[Server]
Url={url}
RootCertificate={root}
[Key]
Protection={protection}
Algorithm={algorithm}
[Subject]
Name=CN={name}
KeyUsage=digitalSignature keyEncipherment
ExtendedKeyUsage=1.3.6.1.5.5.7.3.2
"""


class BenchError(Exception):
    """Something could not be measured; the text is for people."""


class Room:
    """A lab in a temporary folder, which ends with everything in it."""

    def __init__(self, root, build):
        folder = os.path.join(root, "tests", "lab")
        self._profiles, self.cpu_ms = set(), 0.0
        self.build, self._lab = build, os.path.join(folder, "lab")
        sys.path.insert(0, folder)
        from parts import commands, daemon, layout, process, services  # the lab's
        self.commands, self.daemon, self.services = commands, daemon, services
        self._layout, self._process = layout, process

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="scepter-bench.")
        try:
            self._call_lab("up", self.dir, "--build", self.build)
            self.layout = self._layout.Layout(self.dir)
            self.settings = self._layout.load_settings(self.layout)
            self.records = self._process.Records(self.layout)
            self.log = os.path.join(self.layout.log, "bench.log")
            self.env = self._environment()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        # Nothing may keep what runs from being ended.
        before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._call_lab("down", self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)
        signal.signal(signal.SIGTERM, before)

    def _call_lab(self, *words):
        result = subprocess.run([self._lab, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, check=False)
        if result.returncode:
            raise BenchError(result.stderr.strip())

    def _environment(self):
        script = '. "$1" && env -0'
        result = subprocess.run(["/bin/sh", "-c", script, "sh", self.layout.env], stdout=subprocess.PIPE, check=True)
        env = dict(entry.split("=", 1) for entry in os.fsdecode(result.stdout).split("\0") if entry)
        env["TPM2OPENSSL_TCTI"] = env["TPM2_PKCS11_TCTI"] = env["LAB_TCTI"]
        env["TSS2_LOG"], env["TPM2_PKCS11_LOG_LEVEL"] = "all+NONE", "0"
        env["TPM2_PKCS11_STORE"] = os.path.join(self.dir, "tpm2-pkcs11")
        env["PATH"] = env["PATH"] + ":/usr/sbin:/sbin"
        return env

    # programs

    def find(self, program):
        path = shutil.which(program, path=self.env["PATH"])
        if not path:
            raise BenchError(f"{program} is missing")
        return path

    def timed(self, *command, allowed=(0,), stdout=None):
        """Milliseconds from the start of the program to its end; its CPU time goes to self.cpu_ms."""
        output = stdout or "/dev/null"
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
                   (os.POSIX_SPAWN_OPEN, 2, self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)]
        path = self.find(command[0])
        start = time.monotonic()
        pid = os.posix_spawn(path, command, self.env, file_actions=actions)
        _, status, usage = os.wait4(pid, 0)
        elapsed = (time.monotonic() - start) * 1e3
        self.cpu_ms, status = (usage.ru_utime + usage.ru_stime) * 1e3, os.waitstatus_to_exitcode(status)
        if status not in allowed:
            raise BenchError(f"{' '.join(command)} ended with status {status}:\n{self.end_of_log()}")
        return elapsed

    def end_of_log(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-8:]).rstrip()

    # the daemon

    def daemon_pid(self):
        pid = self.records.pid("scepterd")
        if not pid:
            raise BenchError("scepterd does not run any more:\n" + self.tail("scepterd"))
        return pid

    def daemon_cpu_ms(self):
        """What the daemon and its workers that ended have used so far."""
        with open(f"/proc/{self.daemon_pid()}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) * 1e3 / os.sysconf("SC_CLK_TCK")

    def tail(self, name):
        with open(self.layout.log_of(name), encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-8:]).rstrip()

    def restart_daemon(self):
        """An orderly end flushes what it has loaded in the TPM."""
        self._call_lab("daemon", self.dir, "restart")

    # the responder

    def switch(self, **values):
        for name, value in values.items():
            self.commands.call(self.layout, op="set", name=name.replace("_", "-"), value=str(value))

    def challenge(self):
        """A fresh one, in a file."""
        path = os.path.join(self.dir, "challenge")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(self.commands.call(self.layout, op="challenge"))
        return path

    def ensure_profile(self, name, protection, algorithm):
        """Adds it once."""
        if name in self._profiles:
            return
        self._profiles.add(name)
        path = os.path.join(self.dir, name + ".profile")
        with open(path, "w", encoding="utf-8") as file:
            file.write(PROFILE.format(name=name, url=self.env["LAB_URL"], root=self.env["LAB_ROOT"],
                                      protection=protection, algorithm=algorithm))
        self.timed("scepter", "profile", "add", path)

    def enroll(self, name, allowed=(0,)):
        challenge = self.challenge()
        return self.timed("scepter", "enroll", name, "--challenge-file", challenge, "--wait", allowed=allowed)
