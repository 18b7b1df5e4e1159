"""The packages on a booted machine with a TPM at /dev/tpmrm0: a certificate of the device's and one of a user's, and all of it
again after a restart of the machine. The transcript of its console is BUILD/vm.console."""
import pytest

import vm_room
from test_packages import packages  # noqa: F401  (a fixture)


@pytest.fixture(scope="module")
def room(packages):  # noqa: F811
    with vm_room.booted(packages, "vm") as made:
        yield made


def test_the_TPM_is_found(room):
    """Through the unit's group and its list of devices, with no word about it in a configuration."""
    said = room.good("cat /sys/class/dmi/id/sys_vendor; stat -c '%U %G %a' /dev/tpmrm0; ls /etc/scepter; "
                     "systemctl is-active scepterd.service scepterd.socket; scepter tpm").split("\n")
    assert said[:2] == ["QEMU", "tss tss 660"] and "scepter.conf" not in said
    assert said.count("active") == 2 and [line for line in said if line.startswith("State ") and "ready" in line], said


def test_the_device(room):
    room.enroll("device", protection="tpm")
    shown = room.good("scepter key test device; scepter show device")
    assert "Key protection  tpm" in shown, shown


def test_a_user_who_sits_there(room):
    """polkit lets her, without a password, have a certificate of her own; her key is the TPM's."""
    room.enroll_user()
    done = room.at_seat("alice", "id -un; scepter key test mine; scepter renew device")
    assert done.returncode == 4 and "alice" in done.stdout and "(tpm)" in done.stdout, done.stdout + done.stderr


def test_the_machine_is_started_anew(room):
    """Everything is in place, and goes on."""
    before, boot = (room.serial("device"), room.serial("mine")), room.good("cat /proc/sys/kernel/random/boot_id")
    room.reboot()
    assert room.good("cat /proc/sys/kernel/random/boot_id") != boot
    assert room.good("systemctl is-active scepterd.service scepterd.socket").split() == ["active", "active"]
    assert (room.serial("device"), room.serial("mine")) == before
    done = room.at_seat("alice", "scepter key test mine")
    assert done.returncode == 0, done.stderr
    room.good("scepter key test device; scepter renew device --wait")
    assert room.serial("device") != before[0]
    assert room.good("systemctl list-units --failed --no-legend --plain 'scepter*'") == ""
