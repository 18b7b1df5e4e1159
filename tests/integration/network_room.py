"""A machine with a cable and 802.1X on it: the real NetworkManager and wpa_supplicant at one end, hostapd (wired driver) and
FreeRADIUS behind it at the other, on a bus, in a network and with directories of their own. Run by root within 'unshare --net --mount'; obeys lines of
JSON, answers each with one."""
import contextlib
import json
import os
import pathlib
import subprocess
import sys

import dbus

import radius
from polkit_room import BUS, bind, running

NM = "org.freedesktop.NetworkManager"
HOSTAPD = """interface=auth0
driver=wired
logger_stdout=-1
logger_stdout_level=2
ieee8021x=1
eapol_version=2
eap_reauth_period=0
use_pae_group_addr=1
own_ip_addr=127.0.0.1
nas_identifier=switch
auth_server_addr=127.0.0.1
auth_server_port=1812
auth_server_shared_secret={secret}
"""
MANAGER = """[main]
plugins=keyfile
auth-polkit=false
dhcp=internal
dns=none
no-auto-default=*
[keyfile]
unmanaged-devices=interface-name:auth0
[logging]
level=INFO
"""
CONNECTION = """[connection]
id=corp lan
uuid=5f3c1a52-6c0e-4a8e-9d2e-1f0b5a7c9e11
type=ethernet
interface-name=lan0
[ethernet]
[802-1x]
eap=tls;
identity=pc1
ca-cert={dir}/out/anchor.pem
client-cert={dir}/out/cert.pem
private-key={dir}/client.key
private-key-password-flags=4
[ipv4]
method=manual
addresses=192.0.2.10/24
[ipv6]
method=disabled
"""


class Room:
    def __init__(self, place, stack):
        self.dir, self.stack = place, stack
        self.address = f"unix:path={place}/bus"
        for path in ("run", "nm-state", "nm-etc", "nm-etc/system-connections"):
            (place / path).mkdir(mode=0o755)
        subprocess.run(["mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys"], check=True)  # no udev: it is as it is
        for source, target in (("run", "/run"), ("nm-state", "/var/lib/NetworkManager"), ("nm-etc", "/etc/NetworkManager"),
                               ("modules", "/usr/share/p11-kit/modules")):
            bind(place / source, target)
        for words in ("link set lo up", "link add lan0 type veth peer name auth0", "link set auth0 up", "link set lan0 up"):
            subprocess.run(["ip", *words.split()], check=True)
        self.write("hostapd.conf", HOSTAPD.format(secret=radius.SECRET))
        self.write("nm-etc/NetworkManager.conf", MANAGER)
        self.write("nm-etc/system-connections/lan.nmconnection", CONNECTION.format(dir=place))
        self.write("bus.conf", BUS.format(socket=place / "bus"))
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = self.address

    def write(self, name, text):
        path = self.dir / name
        path.write_text(text)
        path.chmod(0o600)

    def start(self, *command):
        log = open(self.dir / f"{pathlib.Path(command[0]).name}.log", "w", encoding="utf-8")
        return self.stack.enter_context(running("stdbuf", "-oL", *command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL))

    def up(self):
        bus = self.stack.enter_context(running("dbus-daemon", f"--config-file={self.dir}/bus.conf", "--nofork", "--nopidfile",
                                               "--print-address=1", stdout=subprocess.PIPE))
        bus.stdout.readline()
        self.start(radius.PROGRAM, "-f", "-d", self.dir / "radius", "-n", "radiusd")
        self.start("/usr/sbin/hostapd", self.dir / "hostapd.conf")
        self.start("/sbin/wpa_supplicant", "-u")
        self.start("/usr/sbin/NetworkManager", "--no-daemon")
        self.bus = dbus.bus.BusConnection(self.address)
        with running("dbus-monitor", "--address", self.address, stdout=subprocess.PIPE) as watch:
            while not (self.bus.name_has_owner(NM) and self.bus.name_has_owner("fi.w1.wpa_supplicant1")):
                watch.stdout.readline()
        return self.nmcli("--wait", "40", "connection", "up", "corp lan")

    def nmcli(self, *words):
        done = subprocess.run(["nmcli", *words], capture_output=True, text=True, timeout=90, check=False)
        return {"status": done.returncode, "out": done.stdout, "err": done.stderr}

    def run(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        return {"status": done.returncode, "out": done.stdout, "err": done.stderr}


def main():
    with contextlib.ExitStack() as stack:
        room = Room(pathlib.Path(sys.argv[1]), stack)
        for line in sys.stdin:
            verb, *words = json.loads(line)
            print(json.dumps(getattr(room, verb)(*words)), flush=True)


if __name__ == "__main__":
    main()
