"""A machine with systemd as PID 1, polkit and the system bus: systemd-nspawn over a copy-on-write view of this one."""
import os
import pathlib
import select
import shutil
import subprocess
import tempfile

import pytest

NEEDED = ("systemd-nspawn", "unshare", "nsenter", "busctl")
# What would only slow the start; and nothing of this machine's own services.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
          "systemd-udevd.service", "systemd-networkd.service", "systemd-timesyncd.service", "console-getty.service",
          "getty@tty1.service", "systemd-firstboot.service", "ldconfig.service", "NetworkManager.service",
          "wpa_supplicant.service", "hostapd.service", "freeradius.service")
# /mnt/m: a copy-on-write view of this machine that boots.
VIEW = r"""
mount -t tmpfs tmpfs /mnt
mkdir /mnt/u /mnt/w /mnt/m
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m
rm -rf /mnt/m/etc/systemd/system/*.wants
for unit in $MASKED; do ln -sfn /dev/null /mnt/m/etc/systemd/system/$unit; done
: > /mnt/m/etc/fstab
systemd-id128 new > /mnt/m/etc/machine-id
rm -f /mnt/m/usr/sbin/policy-rc.d /mnt/m/var/lib/man-db/auto-update
"""
BOOT = r"""
set -e
mount -t tmpfs tmpfs /run
""" + VIEW + r"""cat > /mnt/m/etc/systemd/system/test-ready.service <<X
[Unit]
After=dbus.service
Wants=dbus.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo ready > /srv/ready/pipe'
[Install]
WantedBy=multi-user.target
X
mkdir -p /mnt/m/etc/systemd/system/multi-user.target.wants
ln -s ../test-ready.service /mnt/m/etc/systemd/system/multi-user.target.wants/
exec systemd-nspawn -q -D /mnt/m -M "$NAME" -b --register=no --keep-unit --console=read-only --kill-signal=SIGRTMIN+3 \
    --link-journal=no --private-network --capability=CAP_IPC_LOCK \
    --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" "$@"
"""
BOOT_SECONDS = 40


class Machine:
    def __init__(self, **binds):
        """@binds: a name under /srv, and what lies there."""
        if os.getuid() != 0:
            pytest.skip("only root starts machines")
        for program in NEEDED:
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="scepter-vm."))
        self.name = self.dir.name.replace(".", "-").replace("_", "0")  # no name of a host ends in -
        os.mkfifo(self.dir / "pipe")
        self.groups = [pathlib.Path(f"/sys/fs/cgroup/{kind}/{self.name}") for kind in ("systemd", "unified")
                       if os.path.isdir(f"/sys/fs/cgroup/{kind}")]
        for group in self.groups:
            group.mkdir()
        options = [f"--bind={self.dir}:/srv/ready", *(f"--bind-ro={path}:/srv/{name}" for name, path in binds.items())]
        self.log = open(self.dir / "log", "w+", encoding="utf-8")
        ready = os.open(self.dir / "pipe", os.O_RDWR)
        try:
            self.process = subprocess.Popen(["unshare", "-m", "--propagation", "private", "bash", "-c", BOOT, "boot", *options],
                                            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=self._join,
                                            env={**os.environ, "NAME": self.name, "MASKED": " ".join(MASKED)})
            with os.fdopen(os.pidfd_open(self.process.pid)) as ended:
                came = ready in select.select([ready, ended], [], [], BOOT_SECONDS)[0]
        finally:
            os.close(ready)
        if not came:
            self.log.seek(0)
            said = self.log.read()[-500:]
            self.close()
            pytest.skip(f"systemd-nspawn starts no machine here: {said}")

    def _join(self):
        for group in self.groups:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def leader(self):
        """The machine's PID 1."""
        for child in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            for line in pathlib.Path(f"/proc/{child}/status").read_text().splitlines():
                if line.startswith("NSpid:") and line.split()[-1] == "1" and len(line.split()) > 2:
                    return int(child)
        return None

    def run(self, script, **options):
        """As root in the machine, as a service of it."""
        return subprocess.run(["nsenter", "-t", str(self.leader()), "-a", "--", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                               "systemd-run", "-q", "--pipe", "--wait", "bash", "-c", "set -e; PATH=/usr/local/bin:$PATH; " + script],
                              capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL, **options)

    def close(self):
        leader = self.leader() if self.process.poll() is None else None
        if leader:
            with os.fdopen(os.pidfd_open(leader)) as pid:
                os.kill(leader, 9)
                select.select([pid], [], [], 30)  # and with it all of the machine
        self.process.kill()
        self.process.wait()
        self.log.close()
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
        shutil.rmtree(self.dir, ignore_errors=True)
