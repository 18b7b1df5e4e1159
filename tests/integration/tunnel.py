"""Two machines with a cable between them, each charon of strongSwan in a network and with a /run of its own. ESP is made by
kernel-libipsec, since few kernels of test machines have it."""
import contextlib
import os
import subprocess

CHARON = "/usr/lib/ipsec/charon"
PLUGINS = "/usr/lib/ipsec/plugins"
LOAD = "pkcs11 random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints hmac kdf kernel-libipsec kernel-netlink " \
       "socket-default vici"
OUTSIDE = {"here": "192.0.2.1", "there": "192.0.2.2"}
INSIDE = {"here": "198.51.100.1", "there": "198.51.100.2"}
DAEMON = """charon {{
    load = {load}
    install_routes = yes
    stderr {{ default = 1 }}
    plugins {{
        vici {{ socket = unix://{folder}/vici }}
        pkcs11 {{ modules {{ {modules} }} }}
    }}
}}
"""


def missing():
    """What there is not for it, in words; empty: all is there."""
    if os.geteuid() != 0:
        return "needs root, for networks of its own"
    for path in (CHARON, "/usr/sbin/swanctl", f"{PLUGINS}/libstrongswan-pkcs11.so", f"{PLUGINS}/libstrongswan-kernel-libipsec.so"):
        if not os.path.exists(path):
            return f"needs {path} (tests/setup --desktop)"
    made = subprocess.run(["unshare", "--net", "ip", "tuntap", "add", "dev", "probe", "mode", "tun"], capture_output=True,
                          text=True, check=False)
    return f"needs a network and a tunnel of its own: {made.stderr.strip()}" if made.returncode else ""


class End:
    def __init__(self, name, folder, env, modules=""):
        self.name, self.folder, self.env = name, folder, {**env, "SWANCTL_DIR": str(folder)}
        for part in ("x509", "x509ca", "private"):
            (folder / part).mkdir(parents=True)
        (folder / "strongswan.conf").write_text(DAEMON.format(load=LOAD, folder=folder, modules=modules))
        self.env["STRONGSWAN_CONF"] = str(folder / "strongswan.conf")

    def run(self, *command, **options):
        return subprocess.run(["nsenter", f"--target={self.process.pid}", "--net", *map(str, command)], env=self.env,
                              capture_output=True, text=True, timeout=60, **options)

    def swanctl(self, *words):
        return self.run("swanctl", *words, "--uri", f"unix://{self.folder}/vici", start_new_session=True, stdin=subprocess.DEVNULL)

    def start(self, stack):
        """In a network of its own, where it waits for the cable."""
        self.process = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", "mount -t tmpfs tmpfs /run && echo && read _ && "
             'exec "$1" > "$2" 2>&1', "sh", CHARON, self.folder / "log"], env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        stack.callback(self.end)
        assert self.process.stdout.readline() == "\n"

    def end(self):
        self.process.kill()
        self.process.communicate()

    def go(self, until):
        """charon itself, once the cable is there; @until(): it can be spoken to."""
        for words in (("link", "set", "lo", "up"), ("address", "add", f"{INSIDE[self.name]}/32", "dev", "lo"),
                      ("address", "add", f"{OUTSIDE[self.name]}/24", "dev", "cable"), ("link", "set", "cable", "up")):
            done = self.run("ip", *words)
            assert done.returncode == 0, done.stderr
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        until(lambda: self.process.poll() is not None or self.swanctl("--stats").returncode == 0)
        done = self.swanctl("--load-all")
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def ends(here, there, until):
    """Both run, and reach each other."""
    with contextlib.ExitStack() as stack:
        for end in (here, there):
            end.start(stack)
        subprocess.run(["ip", "link", "add", "cable", "netns", str(here.process.pid), "type", "veth", "peer", "name", "cable",
                        "netns", str(there.process.pid)], check=True)
        for end in (here, there):
            end.go(until)
        yield
