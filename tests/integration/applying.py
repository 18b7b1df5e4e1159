"""What scepter-apply works on, in a folder of a test's own."""
import json
import os
import shutil
import subprocess

import labs

APPLY = labs.BUILD / "bin/scepter-apply"
DAEMON = 64811


class Machine:
    """A state directory of the service's, consumers of root's, and a place to write to."""

    def __init__(self, lab, folder):
        self.dir = folder
        self.state, self.consumers, self.applied, self.out = (folder / name for name in ("state", "consumers.d", "applied", "out"))
        shutil.copytree(lab.certificate("one"), self.state / "certificates" / lab.certificate("one").name, symlinks=True)
        self.other = lab.certificate("two")
        self.home = next((self.state / "certificates").iterdir())
        self.id = self.home.name
        for path in (self.state, *self.state.rglob("*")):
            os.chown(path, DAEMON, DAEMON, follow_symlinks=False)
        for path in (self.consumers, self.out):
            path.mkdir(mode=0o755)
        (folder / "scepter.conf").write_text(f"[Service]\nStateDirectory={self.state}\nConsumersDirectory={self.consumers}\n"
                                             f"AppliedDirectory={self.applied}\n")
        self.consumer(f"[Files]\nCertificate={self.out}/cert.pem\nKey={self.out}/key.pem\n")

    @property
    def current(self):
        return self.home / os.readlink(self.home / "current")

    def consumer(self, text, name="one"):
        path = self.consumers / f"{name}.consumer"
        path.write_text("[Consumer]\nProfile=one\n" + text)
        return path

    def put(self, path, content):
        """As the service writes it."""
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        os.chown(path, DAEMON, DAEMON)

    def apply(self, *before, env=None):
        return subprocess.run([*before, APPLY, "--config", self.dir / "scepter.conf", self.id], capture_output=True, text=True,
                              timeout=60, check=False, env={**os.environ, **(env or {})})

    def rows(self):
        return json.loads((self.applied / f"{self.id}.json").read_text())["consumers"]
