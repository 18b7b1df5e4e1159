"""More of a booted machine with a TPM at /dev/tpmrm0, with AppArmor's profiles in force: what a container cannot show. The
devices' controller and the limits of memory, the machine's own clock, the kernel's resource manager, a TPM that is unplugged."""
import pytest

import doors
import vm
import vm_room
from test_packages import packages  # noqa: F401  (a fixture)

UNITS = {"scepterd.service": "scepterd", "scepter-parse@.service": "scepter-parse", "scepter-worker@.service": "scepter-worker"}
PROBER = "setpriv --reuid=scepter --regid=scepter --groups=tss,shadow"
DENIED = "dmesg | grep 'apparmor=.DENIED.*profile=.scepter' || true"
# What the service does for a connection to this socket; then who it is: a worker waits for its job.
LABEL = """import socket, subprocess
stream = socket.socket(socket.AF_UNIX)
stream.connect("/run/scepter/{socket}.sock")
while not (seen := subprocess.run(["ps", "-o", "label=", "-C", "scepter-{socket}"], capture_output=True, text=True).stdout.strip()) or seen == "unconfined":
    pass
print(seen)
"""


@pytest.fixture(scope="module")
def room(packages):  # noqa: F811
    with vm_room.booted(packages, "vm_long") as made:
        # Debian's own profiles are none of ours, and reading them takes the machine a minute.
        made.good("cd /etc/apparmor.d; rm -f usr.* lsb_release nvidia_modprobe; systemctl start apparmor.service; "
                  "systemctl restart scepterd.service")
        made.enroll("device", protection="tpm")
        made.enroll_user()
        yield made


def test_who_is_confined(room):
    assert room.good("cat /proc/$(pidof scepterd)/attr/current") == "scepterd (enforce)\n"
    loaded = room.good("aa-status")
    assert "3 profiles are in enforce mode" in loaded and all(f"   {name}\n" in loaded for name in UNITS.values()), loaded
    for socket in ("parse", "worker"):
        room.write("/srv/label", LABEL.format(socket=socket))
        assert room.good("timeout 60 runuser -u scepter -- python3 - < /srv/label") == f"scepter-{socket} (enforce)\n"


def test_what_root_places(room):
    """A profile with its files, a credential, a consumer with files and a unit."""
    room.challenge()
    room.good("cp /srv/vm/challenge /etc/scepter/placed.challenge; cp /srv/vm/root.pem /etc/scepter/root.pem; "
              "chown scepter /etc/scepter/placed.challenge; chmod 600 /etc/scepter/placed.challenge; mkdir -p /etc/placed; "
              "mkdir -p /run/systemd/system/scepterd.service.d; "
              "printf '[Service]\\nSetCredential=scepter.serial:4711\\n' > /run/systemd/system/scepterd.service.d/serial.conf; "
              "printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/touch /etc/placed/restarted\\n' "
              "> /run/systemd/system/taker.service; systemctl daemon-reload; systemctl start taker.service; rm /etc/placed/restarted; "
              "systemctl restart scepterd.service")
    room.write("/etc/scepter/consumers.d/placed.consumer", "[Consumer]\nProfile=placed\n[Files]\nFullChain=/etc/placed/chain.pem\n"
               "[Units]\nRestart=taker.service\n")
    room.profile("placed", subject="CN={{SerialNumber}} {{DeviceName}},O=Contoso")
    # hostnamed takes longer to start here than the service waits for it.
    room.good("hostnamectl > /dev/null; sed -e 's|^Challenge=.*|Challenge=file:/etc/scepter/placed.challenge|; s|^RootCertificate=.*|RootCertificate=../root.pem|' "
              "/srv/placed.profile > /etc/scepter/profiles.d/placed.new; cd /etc/scepter/profiles.d; mv placed.new placed.profile")
    room.good("timeout 120 bash -c 'until [ -e /etc/placed/restarted ] && [ -e /etc/placed/chain.pem ]; do read -r -t 1 <> /run/never || :; done'")
    assert "CN = 4711 " in room.good("openssl x509 -in /etc/placed/chain.pem -noout -subject")


def test_renewal(room):
    before = room.serial("device")
    room.good("scepter renew device --wait")
    assert room.serial("device") != before
    said = room.run("scepter diagnose device").stdout
    assert "ok     keys " in said and "fault " not in said, said


def test_T11_fifty_handshakes_at_once(room):
    """The keys' TPM is the kernel's resource manager, with no daemon of another's between; other programs use it meanwhile."""
    chain = room.good("cat /var/lib/scepter/certificates/*/current/chain.pem")
    room.server.write("cas.pem", open(room.server.root, encoding="ascii").read() + chain)
    door = doors.Door(room.server, seconds=300)
    try:
        (room.dir / "vm/door-ca.pem").write_bytes((room.server.files / "door-ca.pem").read_bytes())
        done = room.run(f"""mkdir /srv/door; cd /srv/door
for one in /var/lib/scepter/certificates/*; do
        grep -q '"name": *"device"' $one/record.json && cp $one/current/cert.pem device.pem
        grep -q '"name": *"mine"' $one/record.json && cp $one/current/cert.pem mine.pem
done
for number in $(seq 50); do
        [ $((number % 2)) = 1 ] && name=device || name=mine
        [ $((number % 4)) -lt 2 ] && version=-tls1_2 || version=-tls1_3
        printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -provider default -provider ksp -connect {vm.HOST}:{door.port} \\
            -cert $name.pem -key ksp:$name -CAfile /srv/vm/door-ca.pem -quiet -verify_return_error $version > $number.out 2> $number.err &
done
for number in $(seq 10); do
        tpm2_getrandom -T device:/dev/tpmrm0 --hex 8 > $number.random &
done
wait
grep -l 'come in' *.out | wc -l; cat *.random | wc -c; tail -n 1 *.err >&2""", timeout=600)
    finally:
        door.close()
    assert done.stdout.split() == ["50", "160"] and len(door.seen) == 50, done.stdout + done.stderr
    assert len(set(door.seen)) == 2
    assert room.run("pidof tpm2-abrmd").returncode == 1


def test_the_sandbox(room):
    """What nspawn does not enforce: other devices than the TPM, and the memory of a worker. By the unit alone."""
    for unit, command, works in (("scepterd.service", "head -c1 /dev/tpmrm0 < /dev/null; exec 3<>/dev/tpmrm0", True),
                                 ("scepterd.service", "exec 3</dev/vda || exec 3</dev/mem", False),
                                 ("scepterd.service", "exec 3<>/dev/ttyS0", False),
                                 ("scepter-worker@.service", "exec 3<>/dev/tpmrm0", False),
                                 ("scepter-worker@.service", "python3 -c 'x = bytearray(600 << 20)'", False)):
        room.good("sed -e 's|^ExecStart=.*|ExecStart=/bin/bash /srv/probe|; s|^Type=.*||; s|^BusName=.*||; s|^Restart=.*||; "
                  "s|^WatchdogSec=.*||; s|^StandardInput=.*||; s|^Requires=.*||; s|^After=.*||; s|^AppArmorProfile=.*||; "
                  "s|^.Service.|[Service]\\nType=oneshot|' "
                  f"/lib/systemd/system/{unit} > /run/systemd/system/probe.service; systemctl daemon-reload")
        room.write("/srv/probe", command + "\n")
        assert (room.run("systemctl start probe.service").returncode == 0) == works, (unit, command)


def test_the_clock(room):
    """Stepped by an administrator, forward and back: what is due is done once, and nothing else."""
    before, asked = room.serial("device"), room.server.ndes("issued")
    now = int(room.good("date +%s"))
    room.good(f"date -s @{now + 3 * 86400}")
    assert "valid" in room.shown("device")
    room.good(f"date -s @{now - 3 * 86400}")
    room.shown("device")
    room.good(f"date -s @{now + 60}")
    assert "Activity        idle" in room.shown("device")
    assert room.serial("device") == before and room.server.ndes("issued") == asked
    room.good("scepter key test device")


def test_the_TPM_is_unplugged_and_comes_back(room):
    """Its trouble has a name, nothing is lost, and the service starts without it. The kernel gives it another number while the
    service has the old one open, and it is found there; no restart is needed."""
    driver = "/sys/bus/acpi/drivers/tpm_crb"
    device = room.good(f"ls {driver} | grep MSFT").strip()
    before = room.serial("device")
    assert room.good(f"echo {device} > {driver}/unbind; echo {device} > {driver}/bind; udevadm settle; ls /dev/tpmrm*") == "/dev/tpmrm1\n"
    room.good(f"scepter key test device; echo {device} > {driver}/unbind")
    for then in ("true", "systemctl restart scepterd.service"):
        room.good(then)
        refused = room.run("scepter key test device")
        assert refused.returncode == 5 and "/dev/tpmrm0 does not exist" in refused.stderr, refused.stderr
        assert room.serial("device") == before
    pid = room.good("pidof scepterd")
    room.good(f"echo {device} > {driver}/bind; udevadm settle; scepter key test device")
    assert room.good("pidof scepterd") == pid


# Under each profile: what is tried, by a process that has entered it, with rights to files that do not forbid it; and whether
# it has to work.
PROBES = [
    ("scepterd", "open('/etc/scepter/host.key')", True),
    ("scepterd", "open('TPM', 'r+b', 0)", True),
    ("scepterd", "open('/etc/shadow')", False),
    ("scepterd", "open('/srv/probe')", False),
    ("scepterd", "open('/tmp/probe', 'w')", False),
    ("scepterd", "os.posix_spawn('/bin/sh', ['sh'], {})", False),
    ("scepterd", "os.posix_spawn('/usr/bin/scepter', ['scepter'], {})", False),
    ("scepter-worker", "socket.socket(socket.AF_INET)", True),
    ("scepter-worker", "open('/etc/ssl/certs/ca-certificates.crt')", True),
    ("scepter-worker", "open('/etc/scepter/host.key')", False),
    ("scepter-worker", "open('TPM', 'r+b', 0)", False),
    ("scepter-worker", "os.posix_spawn('/bin/sh', ['sh'], {})", False),
    ("scepter-parse", "open('/etc/passwd')", False),
    ("scepter-parse", "socket.socket(socket.AF_INET)", False),
    ("scepter-parse", "os.posix_spawn('/bin/sh', ['sh'], {})", False),
]


def test_what_AppArmor_denies(room):
    """Nothing that was done so far; and what none of them has to do."""
    assert room.good(DENIED) == ""
    device = room.good("ls /dev/tpmrm*").strip()
    for profile in UNITS.values():
        mine = [(what.replace("TPM", device), works) for name, what, works in PROBES if name == profile]
        lines = "".join(f"try:\n    {what}\n    print(True)\nexcept PermissionError:\n    print(False)\n" for what, _ in mine)
        room.write("/srv/probe", "import os, socket\nwith open('/proc/self/attr/current', 'w') as own:\n"
                   f"    own.write('changeprofile {profile}')\n{lines}")
        said = [line == "True" for line in room.good(f"{PROBER} python3 /srv/probe").split()]
        assert said == [works for _, works in mine], (profile, list(zip(mine, said)))
    assert 'profile="scepterd" name="/etc/shadow"' in room.good(DENIED)
