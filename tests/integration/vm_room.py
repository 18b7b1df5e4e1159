"""A booted machine with the packages, and a server of the lab's beside it."""
import contextlib
import shutil
import subprocess

import pytest

import installed
import labs
import vm

AT_SEAT = "systemd-run -q --pipe --wait --uid={user} -p PAMName=login -p Environment=XDG_SEAT=seat0 " \
          "-p Environment=XDG_VTNR=1 -p Environment=XDG_SESSION_TYPE=wayland bash -c '{command}'"


class Booted(vm.VirtualMachine, installed.Commands):
    def __init__(self, packages, name, lab):
        super().__init__(packages, name)
        self.server = lab
        self.url = lab.url.replace("127.0.0.1", vm.HOST)
        shutil.copy(lab.root, self.dir / "vm/root.pem")

    def profile(self, name, **values):
        super().profile(name, root="/srv/vm/root.pem", **values)

    def challenge(self):
        shutil.copy(self.server.challenge(), self.dir / "vm/challenge")
        return "/srv/vm/challenge"

    def at_seat(self, user, command):
        return self.run(AT_SEAT.format(user=user, command=command))

    def shown(self, name):
        return self.good(f"scepter show {name}")

    def serial(self, name):
        return self.good(f"scepter show {name} | grep Serial")

    def enroll_user(self):
        """alice's own, by polkit, which lets her."""
        self.profile("mine", type="user", subject="CN={{UserName}},O=Contoso", protection="tpm", key="Algorithm=ec-p256")
        self.good("scepter profile add /srv/mine.profile")
        done = self.at_seat("alice", f"scepter enroll mine --wait --challenge-file {self.challenge()}")
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def booted(packages, name):
    """@name: see vm.VirtualMachine."""
    done = subprocess.run(["dpkg", "--simulate", "-i", *(packages / "first").glob("*.deb")], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("dependencies are not installed: " + done.stderr[-400:])
    with labs.lab("--no-tpm", "--no-daemon") as lab:
        made = Booted(packages, name, lab)
        try:
            yield made
            print(made.good("scepter list; scepter events | tail -n 40; journalctl -b -u scepterd --no-pager | tail -n 20"))
        finally:
            made.close()
