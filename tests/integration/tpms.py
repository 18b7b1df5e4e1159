"""The lab's TPM in the hands of others: tools that change it, and a proxy before it that spoils its answers."""
import os
import pathlib
import select
import signal
import socket
import threading

SRK = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
COUNTING = SRK.replace("noda|", "")  # its wrong passwords count towards the lockout
PERSISTENT = "0x81000001"


class Tpm:
    def __init__(self, lab):
        self.lab = lab
        self.tcti = lab.env["LAB_TCTI"]
        self.socket = pathlib.Path(self.tcti.partition("path=")[2])
        self.files = lab.files / "tpm"
        self.files.mkdir(exist_ok=True)
        self.conf = lab.dir / "lab/etc/scepter.conf"
        self.proxies = []

    def close(self):
        for proxy in self.proxies:
            proxy.close()

    def tool(self, name, *arguments, fails=False):
        for _ in range(3):
            done = self.lab.run("timeout", "-s", "KILL", "10", f"tpm2_{name}", *arguments,
                                env={"TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+NONE"})
            gone = name == "flushcontext" and "0x910" in done.stderr  # the service was quicker
            if done.returncode not in (-9, 137) and not gone:
                break  # else swtpm had met the service at that moment, and both stood still
        assert (done.returncode != 0) == fails, (name, done.stdout, done.stderr)

    def flush(self):
        """What the service has loaded goes too: there is no resource manager here."""
        self.tool("flushcontext", "-t")

    def clear(self):
        self.tool("clear", "-c", "p")

    def owner(self, new="", old=""):
        self.tool("changeauth", "-c", "owner", *(("-p", old) if old else ()), *((new,) if new else ()))

    def persist(self, attributes=SRK, owner=""):
        self.flush()
        context = self.files / "srk.ctx"
        password = ("-P", owner) if owner else ()
        self.tool("createprimary", "-Q", "-C", "o", *password, "-G", "ecc", "-a", attributes, "-c", context)
        self.tool("evictcontrol", "-Q", "-C", "o", *password, "-c", context, PERSISTENT)
        self.flush()

    def evict(self, owner=""):
        self.tool("evictcontrol", "-Q", "-C", "o", *(("-P", owner) if owner else ()), "-c", PERSISTENT)

    def lock(self, seconds=600):
        """Two wrong passwords for a key that counts them."""
        self.tool("dictionarylockout", "--setup-parameters", "--max-tries=2", f"--recovery-time={seconds}",
                  f"--lockout-recovery-time={seconds}")
        self.flush()
        parent, key = self.files / "da.parent", self.files / "da.key"
        self.tool("createprimary", "-Q", "-C", "n", "-G", "ecc", "-c", parent)
        self.tool("create", "-Q", "-C", parent, "-G", "ecc", "-p", "right", "-u", self.files / "da.pub",
                  "-r", self.files / "da.priv")
        self.flush()
        self.tool("load", "-Q", "-C", parent, "-u", self.files / "da.pub", "-r", self.files / "da.priv", "-c", key)
        for _ in range(2):
            self.flush()
            self.tool("sign", "-Q", "-c", key, "-p", "wrong", "-o", "/dev/null", "/etc/hostname", fails=True)
        self.flush()

    def unlock(self):
        self.tool("dictionarylockout", "--clear-lockout")

    def fill(self):
        """Objects of others in each of its slots."""
        self.flush()
        for n in range(3):
            self.tool("createprimary", "-Q", "-C", "n", "-G", "ecc", "-c", self.files / f"fill{n}")

    def control(self, word):
        done = self.lab.run("swtpm_ioctl", "--unix", f"{self.socket}.ctrl", word)
        assert done.returncode == 0, done.stderr

    def power_cycle(self):
        """Not started afterwards: that is for start()."""
        self.control("--stop")
        self.control("-i")

    def start(self):
        self.tool("startup", "-c")

    def process(self):
        """Pid and command line of the lab's swtpm."""
        for entry in os.listdir("/proc"):
            try:
                command = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            except OSError:
                continue
            if command and command[0].endswith("swtpm") and any(str(self.lab.dir) in word for word in command):
                return int(entry), command
        raise AssertionError("the lab has no swtpm")

    def kill(self):
        pid, self.command = self.process()
        descriptor = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        _gone(descriptor)

    def again(self):
        """After kill(). The lab does not know this one: end() it."""
        assert self.lab.run(*self.command).returncode == 0

    def end(self):
        os.kill(self.process()[0], signal.SIGKILL)

    def tcti_is(self, tcti):
        """The service is started anew with another way to the TPM."""
        text = self.conf.read_text()
        lines = [f"Tcti={tcti}" if line.startswith("Tcti=") else line for line in text.splitlines()]
        self.conf.write_text("\n".join(lines) + "\n")
        self.lab.daemon("restart")

    def proxy(self):
        proxy = Proxy(self.socket, self.lab.files / "proxy")
        self.proxies.append(proxy)
        return proxy


def _gone(descriptor):
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(10_000)
    finally:
        os.close(descriptor)


class Proxy:
    """Before a swtpm: mode "pass", "garbage" (no code that any layer has), "nonsense" (a success with
    a body that means nothing), "cut" (half an answer) or "close" (none)."""

    def __init__(self, upstream, path):
        self.mode, self.upstream, self.path = "pass", str(upstream), str(path)
        self.only = None  # command codes whose next answer alone is spoilt
        self.listeners = [self._listen(self.path, self._data), self._listen(self.path + ".ctrl", self._control)]
        self.tcti = f"swtpm:path={self.path}"

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _listen(self, path, serve):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(16)

        def loop():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        serve(connection)
                    except OSError:
                        pass
        threading.Thread(target=loop, daemon=True).start()
        return listener

    @staticmethod
    def _message(connection):
        data = b""
        while len(data) < 10 or len(data) < int.from_bytes(data[2:6], "big"):
            part = connection.recv(4096)
            if not part:
                return b""
            data += part
        return data

    def _ask(self, command):
        with socket.socket(socket.AF_UNIX) as tpm:
            tpm.connect(self.upstream)
            tpm.sendall(command)
            return self._message(tpm)

    def _forget(self):
        """A client that cannot make sense of an answer connects anew, and the kernel then flushes what it had loaded:
        TPM2_FlushContext of each slot."""
        for slot in range(3):
            self._ask(bytes.fromhex("80010000000e00000165") + (0x80000000 + slot).to_bytes(4, "big"))

    def _mode_of(self, code):
        if self.only is None:
            return self.mode
        if code not in self.only:
            return "pass"
        self.only.remove(code)  # once
        return self.mode

    def _data(self, connection):
        while command := self._message(connection):
            mode = self._mode_of(int.from_bytes(command[6:10], "big"))
            if mode == "close":
                self._forget()
                return
            answer = self._ask(command)
            if mode != "pass":
                self._forget()
            if mode == "garbage":
                answer = answer[:6] + b"\xee" * (len(answer) - 6)
            if mode == "nonsense":
                answer = answer[:10] + b"\xee" * (len(answer) - 10)
            if mode == "cut":
                connection.sendall(answer[:len(answer) // 2])
                return
            connection.sendall(answer)

    def _control(self, connection):
        with socket.socket(socket.AF_UNIX) as tpm:
            tpm.connect(self.upstream + ".ctrl")
            tpm.sendall(connection.recv(4096))
            connection.sendall(tpm.recv(4096))
