"""A whole machine: QEMU with a kernel of Debian's, a TPM at /dev/tpmrm0 (swtpm), and a copy-on-write view of this machine as its
disk (virtiofs), on which the packages are installed. Without KVM: a boot takes some fifteen seconds of a processor, and what is
not needed is left out. Servers of this machine's loopback are at HOST for it."""
import os
import pathlib
import select
import shutil
import socket
import subprocess
import tempfile
import time

import pytest

import labs
import machine

HOST = "10.0.2.2"
FETCHED = pathlib.Path("/var/cache/apt/archives")  # by tests/setup
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
NEEDED = ("qemu-system-x86_64", "busybox", "swtpm", "unshare", "cpio", "apt-get")
MODULES = (*(f"drivers/virtio/{name}" for name in ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev",
                                                   "virtio_pci")), "fs/fuse/fuse", "fs/fuse/virtiofs", "net/core/failover",
           "drivers/net/net_failover", "drivers/net/virtio_net")
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /new
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*; do /bin/busybox insmod $module; done
/bin/busybox mount -t virtiofs root /new
exec /bin/busybox switch_root /new /lib/systemd/systemd
"""
# What comes over the second serial port is the name of a script; what it did stands beside it afterwards.
AGENT = """#!/bin/bash
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
# virtiofsd holds a descriptor for each file that this machine remembers.
mkfifo /run/never
while :; do
        read -r known _ < /proc/sys/fs/dentry-state
        [ "$known" -lt 15000 ] || echo 2 > /proc/sys/vm/drop_caches
        read -r -t 1 <> /run/never
done &
echo hello >&3
while read -r name <&3; do
        bash /srv/vm/$name > /srv/vm/$name.out 2> /srv/vm/$name.err < /dev/null
        echo $? > /srv/vm/$name.status
        echo "$name" >&3
done
"""
UNIT = """[Unit]
After=dbus.service systemd-logind.service scepterd.service
[Service]
ExecStart=/bin/bash /srv/vm/agent
"""
# Of all devices the TPM alone has a rule that counts here.
TRIGGER = """[Service]
ExecStart=
ExecStart=udevadm trigger --subsystem-match=tpm --subsystem-match=tpmrm
"""
MASKED = [unit for unit in machine.MASKED if "udevd" not in unit] + [
    "getty.target", "kmod-static-nodes.service", "modprobe@.service", "dev-hugepages.mount", "dev-mqueue.mount",
    "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "systemd-binfmt.service", "systemd-hwdb-update.service", "systemd-journal-flush.service",
    "systemd-machine-id-commit.service", "systemd-modules-load.service", "systemd-random-seed.service",
    "systemd-remount-fs.service", "systemd-repart.service", "systemd-sysctl.service", "systemd-sysusers.service",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service"]
# Packages are installed before the machine starts, as an installer does: under emulation it takes a minute.
PLACE = r"""
set -e
""" + machine.VIEW + r"""rm -f /mnt/m/.dockerenv /mnt/m/.containerenv # systemd believes them
etc=/mnt/m/etc/systemd
mkdir -p /mnt/m/srv/vm $etc/system/multi-user.target.wants $etc/system/sysinit.target.wants \
    $etc/system/systemd-udev-trigger.service.d $etc/system-generators
for generator in /usr/lib/systemd/system-generators/*; do ln -s /dev/null $etc/system-generators/"${generator##*/}"; done
mount -t tmpfs -o mode=1777 tmpfs /mnt/m/tmp
mount -t tmpfs tmpfs /mnt/m/run
mount --rbind /dev /mnt/m/dev
mount -t proc proc /mnt/m/proc
mkdir /mnt/m/tmp/packages
mount --bind "$PACKAGES" /mnt/m/tmp/packages
chroot /mnt/m bash -c 'set -e; dpkg --force-unsafe-io -i $(ls /tmp/packages/first/*.deb | grep -v dbgsym); useradd -m -b /srv alice'
umount /mnt/m/tmp/packages /mnt/m/proc /mnt/m/run
umount -l /mnt/m/dev
mount --bind "$DIR/vm" /mnt/m/srv/vm
cp "$DIR/unit" $etc/system/test-agent.service
cp "$DIR/trigger" $etc/system/systemd-udev-trigger.service.d/tpm.conf
ln -s ../test-agent.service $etc/system/multi-user.target.wants/
ulimit -n "$(ulimit -Hn)" # one for each file that the machine has seen
"$VIRTIOFSD" --socket-path="$DIR/fs" --rlimit-nofile=0 -o source=/mnt/m -o cache=always -o sandbox=chroot -o log_level=err &
until [ -S "$DIR/fs" ]; do kill -0 $! || exit 1; done
exec "$@"
"""
# What holds strangers off a processor costs most of the time where that is emulated.
COMMAND_LINE = "console=ttyS0 TERM=dumb quiet systemd.show_status=1 panic=-1 net.ifnames=0 mitigations=off nopti nokaslr random.trust_cpu=on " \
               "rcupdate.rcu_expedited=1 nowatchdog systemd.unit=multi-user.target"
BOOT_SECONDS = 300


def kernel():
    """Debian's cloud kernel, unpacked below the build; it is not installed."""
    place = labs.BUILD.resolve() / "vm-kernel"
    if not place.exists():
        depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=False).stdout
        names = [line.split(": ")[1] for line in depends.splitlines() if "Depends: linux-image" in line]
        if not names:
            pytest.skip("Debian's cloud kernel is not to be had here")
        with tempfile.TemporaryDirectory(dir=labs.BUILD) as folder:
            fetched = sorted(FETCHED.glob(f"{names[0]}_*.deb"))
            if not fetched:
                done = subprocess.run(["apt-get", "download", "-q", names[0]], cwd=folder, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.skip("Debian's cloud kernel cannot be downloaded: " + done.stderr[-300:])
                fetched = list(pathlib.Path(folder).glob("*.deb"))
            subprocess.run(["dpkg-deb", "-x", fetched[-1], f"{folder}/kernel"], check=True)
            os.rename(f"{folder}/kernel", place)
    return place


def initrd(folder, image):
    """What mounts the disk."""
    root = folder / "initrd"
    (root / "bin").mkdir(parents=True)
    (root / "modules").mkdir()
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    drivers = next((image / "lib/modules").iterdir()) / "kernel"
    for number, name in enumerate(MODULES):
        shutil.copy(drivers / f"{name}.ko", root / f"modules/{number:02}.ko")
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with open(folder / "initrd.cpio", "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(), stdout=out, check=True)
    return folder / "initrd.cpio"


class VirtualMachine:
    def __init__(self, packages, name):
        """@name: that of the transcript, which stays below the build."""
        if os.getuid() != 0:
            pytest.skip("only root makes a view of this machine")
        for program in (*NEEDED, VIRTIOFSD):
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed")
        image = kernel()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="scepter-qemu."))
        self.name, self.number = name, 0
        self.processes = []
        (self.dir / "vm").mkdir()
        (self.dir / "tpm").mkdir()
        (self.dir / "vm/agent").write_text(AGENT)
        (self.dir / "unit").write_text(UNIT)
        (self.dir / "trigger").write_text(TRIGGER)
        self.port = None
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self.dir / "serial"))
            listener.listen()
            self._start(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.dir}/tpm", "--ctrl",
                         f"type=unixio,path={self.dir}/tpm/ctrl"])
            self._start(self._qemu(image), env={**os.environ, "DIR": str(self.dir), "PACKAGES": str(packages),
                                                "VIRTIOFSD": VIRTIOFSD, "MASKED": " ".join(MASKED)})
            listener.settimeout(BOOT_SECONDS)
            self.port, _ = listener.accept()
            self.wait_boot()
        except BaseException:
            self.close()
            raise
        finally:
            listener.close()

    def _start(self, command, **options):
        log = open(self.dir / "log", "ab")
        self.processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options))
        log.close()

    def _qemu(self, image):
        # Kernel and initrd are read before the view hides their place.
        return ["unshare", "-m", "--propagation", "private", "bash", "-c", PLACE, "place",
                "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "Nehalem,+rdrand,+aes", "-smp", "2", "-m", "1536",
                "-object", "memory-backend-memfd,id=mem,size=1536M,share=on", "-numa", "node,memdev=mem", "-display", "none",
                "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=", "-monitor", "none", "-kernel", next((image / "boot").glob("vmlinuz-*")),
                "-initrd", initrd(self.dir, image), "-append", COMMAND_LINE,
                "-chardev", f"file,id=console,path={self.dir}/console,append=on", "-serial", "chardev:console", "-serial", f"unix:{self.dir}/serial",
                "-chardev", f"socket,id=fs,path={self.dir}/fs", "-device", "vhost-user-fs-pci,chardev=fs,tag=root",
                "-chardev", f"socket,id=tpm,path={self.dir}/tpm/ctrl", "-tpmdev", "emulator,id=tpm0,chardev=tpm",
                "-device", "tpm-crb,tpmdev=tpm0"]

    def _read_line(self, wanted, seconds):
        """Lines of the agent, until @wanted comes."""
        said, end = b"", time.monotonic() + seconds
        while f"{wanted}\n".encode() not in said.replace(b"\r", b""):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.port], [], [], left)[0]:
                raise AssertionError(f"the machine did not say '{wanted}':\n{self.console()[-3000:]}")
            part = self.port.recv(4096)
            assert part, self.console()[-3000:]
            said += part

    def wait_boot(self):
        self._read_line("hello", BOOT_SECONDS)

    def console(self):
        texts = [(self.dir / name).read_text(errors="replace") for name in ("log", "console") if (self.dir / name).exists()]
        return "\n".join(texts)

    def run(self, script, timeout=300):
        """As root in the machine."""
        self.number += 1
        name = f"{self.number}.sh"
        (self.dir / "vm" / name).write_text("set -e\n" + script + "\n")
        self.port.sendall(f"{name}\n".encode())
        self._read_line(name, timeout)
        out, err, status = ((self.dir / f"vm/{name}.{part}").read_text() for part in ("out", "err", "status"))
        with open(self.dir / "console", "a", encoding="utf-8") as console:
            console.write(f"# {script}\n{out}{err}")
        return subprocess.CompletedProcess(script, int(status), out, err)

    def reboot(self):
        self.number += 1
        name = f"{self.number}.sh"
        (self.dir / "vm" / name).write_text("systemctl reboot --no-block; tail -f /dev/null\n")
        self.port.sendall(f"{name}\n".encode())
        self.wait_boot()

    def close(self):
        if self.port:
            self.port.close()
        (labs.BUILD / f"{self.name}.console").write_text(self.console())
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
