"""The packages on a booted machine with a TPM at /dev/tpmrm0: a device's and a user's certificate, renewals, a clock that is set,
a TPM that is unplugged, a restart of the machine. What a container cannot show is shown here: the devices' controller, the
limits of memory, the machine's own clock."""
import pytest

import installed
import vm
from test_packages import packages  # noqa: F401  (a fixture)

AT_SEAT = "systemd-run -q --pipe --wait --uid={user} -p PAMName=login -p Environment=XDG_SEAT=seat0 " \
          "-p Environment=XDG_VTNR=1 -p Environment=XDG_SESSION_TYPE=wayland bash -c '{command}'"


class Booted(vm.VirtualMachine, installed.Commands):
    def lab(self):
        """The server; after a restart of the machine once more, with what it knew."""
        self.good("/srv/source/tests/lab/lab up /srv/l/lab --no-tpm --no-daemon --build /srv/build > /srv/l/log 2>&1")
        self.url = self.good(". /srv/l/lab/env; echo $LAB_URL").strip()

    def shown(self, name):
        return self.good(f"scepter show {name}")

    def serial(self, name):
        return self.good(f"scepter show {name} | grep Serial")


@pytest.fixture(scope="module")
def room(packages):  # noqa: F811
    made = Booted(packages)
    try:
        made.good("ip link set lo up; mkdir -p /srv/l; chmod 711 /srv/l; useradd -m -b /srv alice")
        made.lab()
        made.good("dpkg -i $(ls /srv/packages/first/*.deb | grep -v dbgsym)")
        yield made
        print(made.good("scepter list; scepter events | tail -n 40; journalctl -b -u scepterd --no-pager | tail -n 20"))
    finally:
        made.close()


def test_the_TPM_is_found(room):
    """Through the unit's group and its list of devices, with no word about it in a configuration."""
    assert "QEMU" in room.good("cat /sys/class/dmi/id/sys_vendor")
    assert room.good("stat -c '%U %G %a' /dev/tpmrm0") == "tss tss 660\n"
    said = room.good("scepter tpm")
    assert "ready" in said, said
    assert room.good("test -e /etc/scepter/scepter.conf || echo none") == "none\n"


def test_the_device(room):
    room.enroll("device", protection="tpm")
    shown = room.shown("device")
    assert "Key protection  tpm" in shown, shown
    room.good("scepter key test device")


def test_a_user_who_sits_there(room):
    """polkit lets her, without a password, have a certificate of her own; her key is the TPM's."""
    room.profile("mine", type="user", subject="CN={{UserName}},O=Contoso", protection="tpm", key="Algorithm=ec-p256")
    room.good("scepter profile add /srv/mine.profile")
    done = room.run(AT_SEAT.format(user="alice", command=f"scepter enroll mine --wait --challenge-file {room.challenge()}"))
    assert done.returncode == 0, done.stderr
    done = room.run(AT_SEAT.format(user="alice", command="scepter key test mine"))
    assert done.returncode == 0, done.stderr
    refused = room.run(AT_SEAT.format(user="alice", command="scepter renew device"))
    assert refused.returncode == 4, refused.stderr


def test_renewal(room):
    before = room.serial("device")
    room.good("scepter renew device --wait")
    assert room.serial("device") != before


def test_the_sandbox(room):
    """What nspawn does not enforce: other devices than the TPM, and the memory of a worker."""
    for unit, command, works in (("scepterd.service", "head -c1 /dev/tpmrm0 < /dev/null; exec 3<>/dev/tpmrm0", True),
                                 ("scepterd.service", "exec 3</dev/vda || exec 3</dev/mem", False),
                                 ("scepterd.service", "exec 3<>/dev/ttyS0", False),
                                 ("scepter-worker@.service", "exec 3<>/dev/tpmrm0", False),
                                 ("scepter-worker@.service", "python3 -c 'x = bytearray(600 << 20)'", False)):
        room.good("sed -e 's|^ExecStart=.*|ExecStart=/bin/bash /srv/probe|; s|^Type=.*||; s|^BusName=.*||; s|^Restart=.*||; "
                  "s|^WatchdogSec=.*||; s|^StandardInput=.*||; s|^Requires=.*||; s|^After=.*||; s|^.Service.|[Service]\\nType=oneshot|' "
                  f"/lib/systemd/system/{unit} > /run/systemd/system/probe.service; systemctl daemon-reload")
        room.write("/srv/probe", command + "\n")
        assert (room.run("systemctl start probe.service").returncode == 0) == works, (unit, command)


def test_the_clock(room):
    """Stepped by an administrator, forward and back: what is due is done once, and nothing else."""
    requests = "grep -c '\"PKIOperation\"\\|pkioperation' /srv/l/lab/log/*.log || true"
    before, asked = room.serial("device"), room.good(requests)
    now = int(room.good("date +%s"))
    room.good(f"date -s @{now + 3 * 86400}")
    assert "valid" in room.shown("device")
    room.good(f"date -s @{now - 3 * 86400}")
    room.shown("device")
    room.good(f"date -s @{now + 60}")
    assert "Activity        idle" in room.shown("device")
    assert room.serial("device") == before and room.good(requests) == asked
    room.good("scepter key test device")


def test_the_TPM_is_unplugged(room):
    """Its trouble has a name, nothing is lost, and the service starts without it. It is back with the next start of the machine:
    a driver that is bound again may give it another number, where nobody looks for it."""
    driver = "/sys/bus/acpi/drivers/tpm_crb"
    device = room.good(f"ls {driver} | grep MSFT").strip()
    before = room.serial("device")
    room.good(f"echo {device} > {driver}/unbind")
    for then in ("true", "systemctl restart scepterd.service"):
        room.good(then)
        refused = room.run("scepter key test device")
        assert refused.returncode == 5 and "/dev/tpmrm0 does not exist" in refused.stderr, refused.stderr
        assert room.serial("device") == before


def test_the_machine_is_started_anew(room):
    """Everything is in place, and goes on."""
    before = room.serial("device"), room.serial("mine")
    room.reboot()
    room.good("ip link set lo up")
    room.lab()
    assert room.good("systemctl is-active scepterd.service scepterd.socket").split() == ["active", "active"]
    assert (room.serial("device"), room.serial("mine")) == before
    room.good("scepter key test device")
    done = room.run(AT_SEAT.format(user="alice", command="scepter key test mine"))
    assert done.returncode == 0, done.stderr
    room.good("scepter renew device --wait")
    assert room.serial("device") != before[0]
    assert room.good("systemctl list-units --failed --no-legend --plain 'scepter*'") == ""
