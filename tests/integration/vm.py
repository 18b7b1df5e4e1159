"""A whole machine: QEMU with a kernel of Debian's, a TPM at /dev/tpmrm0 (swtpm), and a copy-on-write view of this machine as its
disk (virtiofs). Without KVM; a boot takes some twenty seconds of both processors."""
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

VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
NEEDED = ("qemu-system-x86_64", "busybox", "swtpm", "unshare", "cpio", "apt-get")
MODULES = ("virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
           "virtio/virtio_pci")
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
# virtiofsd holds a descriptor for each file that this machine remembers.
mkfifo /run/never
while :; do
        echo 2 > /proc/sys/vm/drop_caches
        read -r -t 2 <> /run/never
done &
echo hello >&3
while read -r name <&3; do
        bash /srv/vm/$name > /srv/vm/$name.out 2> /srv/vm/$name.err < /dev/null
        echo $? > /srv/vm/$name.status
        echo "$name" >&3
done
"""
UNIT = """[Unit]
After=dbus.service systemd-logind.service
Wants=dbus.service
[Service]
ExecStart=/bin/bash /srv/vm/agent
"""
PLACE = r"""
set -e
""" + machine.VIEW + r"""mount -t tmpfs -o mode=1777 tmpfs /mnt/m/tmp
mkdir -p /mnt/m/srv/vm /mnt/m/srv/build /mnt/m/srv/source /mnt/m/srv/packages /mnt/m/etc/systemd/system/multi-user.target.wants
mount --bind "$DIR/vm" /mnt/m/srv/vm
mount --bind "$BUILD" /mnt/m/srv/build
mount --bind "$SOURCE" /mnt/m/srv/source
mount --bind "$PACKAGES" /mnt/m/srv/packages
cp "$DIR/unit" /mnt/m/etc/systemd/system/test-agent.service
ln -s ../test-agent.service /mnt/m/etc/systemd/system/multi-user.target.wants/
ulimit -n 500000 2>/dev/null || ulimit -n "$(ulimit -Hn)" # one for each file that the machine has seen
"$VIRTIOFSD" --socket-path="$DIR/fs" --rlimit-nofile=0 -o source=/mnt/m -o cache=auto -o sandbox=chroot -o log_level=err &
until [ -S "$DIR/fs" ]; do kill -0 $! || exit 1; done
exec "$@"
"""
BOOT_SECONDS = 100


def kernel():
    """Debian's cloud kernel, unpacked below the build; it is not installed."""
    place = labs.BUILD.resolve() / "vm-kernel"
    if not place.exists():
        depends = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=False).stdout
        names = [line.split(": ")[1] for line in depends.splitlines() if "Depends: linux-image" in line]
        if not names:
            pytest.skip("Debian's cloud kernel is not to be had here")
        with tempfile.TemporaryDirectory(dir=labs.BUILD) as folder:
            done = subprocess.run(["apt-get", "download", "-q", names[0]], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip("Debian's cloud kernel cannot be downloaded: " + done.stderr[-300:])
            subprocess.run(["dpkg-deb", "-x", next(pathlib.Path(folder).glob("*.deb")), f"{folder}/kernel"], check=True)
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
    for number, name in enumerate([*(f"drivers/{name}" for name in MODULES), "fs/fuse/fuse", "fs/fuse/virtiofs"]):
        shutil.copy(drivers / f"{name}.ko", root / f"modules/{number}.ko")
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    with open(folder / "initrd.cpio", "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(), stdout=out, check=True)
    return folder / "initrd.cpio"


class VirtualMachine:
    def __init__(self, packages):
        if os.getuid() != 0:
            pytest.skip("only root makes a view of this machine")
        for program in (*NEEDED, VIRTIOFSD):
            if not shutil.which(program):
                pytest.skip(f"{program} is not installed")
        image = kernel()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="scepter-qemu."))
        self.number = 0
        self.processes = []
        (self.dir / "vm").mkdir()
        (self.dir / "tpm").mkdir()
        (self.dir / "vm/agent").write_text(AGENT)
        (self.dir / "unit").write_text(UNIT)
        self.port = None
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.bind(str(self.dir / "serial"))
            listener.listen()
            self._start(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.dir}/tpm", "--ctrl",
                         f"type=unixio,path={self.dir}/tpm/ctrl"])
            self._start(self._qemu(image), env={**os.environ, "DIR": str(self.dir), "BUILD": str(labs.BUILD.resolve()),
                                                "SOURCE": str(labs.SOURCE), "PACKAGES": str(packages), "VIRTIOFSD": VIRTIOFSD,
                                                "MASKED": " ".join(unit for unit in machine.MASKED if "udevd" not in unit)})
            listener.settimeout(60)
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
                "qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536",
                "-object", "memory-backend-memfd,id=mem,size=1536M,share=on", "-numa", "node,memdev=mem", "-display", "none",
                "-nic", "none", "-monitor", "none", "-kernel", next((image / "boot").glob("vmlinuz-*")), "-initrd",
                initrd(self.dir, image), "-append", "console=ttyS0 quiet panic=-1 systemd.show_status=0 random.trust_cpu=on",
                "-serial", f"file:{self.dir}/console", "-serial", f"unix:{self.dir}/serial",
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
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
