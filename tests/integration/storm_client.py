"""One client of test_storm.py: random requests, some without waiting for the answer. storm_client.py SEED COUNT ROOT URL
CHALLENGES…"""
import os
import random
import sys
import types

import dbus
import dbus.bus
import dbus.lowlevel

import messages
from labs import PROFILE

SERVICE, MANAGER = "org.scepter1", "org.scepter1.Manager"
NAMES = 6
# What the others did meanwhile may be told like this, and nothing else may.
EXPECTED = {"org.scepter1.Error." + name for name in ("AlreadyExists", "Busy", "NotFound", "Cancelled")} | {
    "org.freedesktop.DBus.Error.UnknownObject"}


def memfd(content):
    fd = os.memfd_create("storm")
    os.write(fd, content)
    return fd


class Client:
    def __init__(self, seed, root, url, challenges):
        self._random = random.Random(seed)
        self._seed, self._root, self._url, self._challenges = seed, root, url, challenges
        self._files = memfd(open(root, "rb").read())
        self._bus = dbus.bus.BusConnection(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])

    def _call(self, path, interface, method, signature, *arguments, wait=True, also=""):
        message = dbus.lowlevel.MethodCallMessage(SERVICE, path, interface, method)
        message.append(*arguments, signature=signature)
        if not wait:
            self._bus.send_message(message)
            return None
        try:
            return self._bus.send_message_with_reply_and_block(message, 60).get_args_list()
        except dbus.DBusException as e:
            if e.get_dbus_name() not in EXPECTED and e.get_dbus_name() != also:
                raise
            return None

    def _add(self):
        name = f"storm-{self._seed}-{self._random.randrange(NAMES)}"
        text = PROFILE.format(name=name, type="device", url=self._url, root=self._root, challenge="ask", server="", method="auto",
                              protection=self._random.choice(("tpm", "software")),
                              algorithm=self._random.choice(("rsa-2048", "ec-p256")), subject="CN=" + name, san="",
                              delay=1, count=3)
        files = dbus.Dictionary({self._root: dbus.types.UnixFd(self._files)}, signature="sh")
        fd = memfd(text.encode())
        self._call("/org/scepter1", MANAGER, "AddProfile", "sha{sv}", "ini", dbus.types.UnixFd(fd), {"files": files})
        os.close(fd)

    def _lab(self):
        """As much of a lab as messages.py needs."""
        challenge = self._challenges.pop() if self._challenges else "0123456789ABCDEF"
        return types.SimpleNamespace(root=self._root, url=self._url, env=os.environ,
                                     challenge=lambda *_: types.SimpleNamespace(read_text=lambda: challenge))

    def _document(self, wait):
        """A message about one of a few instances that all clients know."""
        name = f"shared-{self._random.randrange(3)}"
        instance, message = f"{messages.CSP}/{name}", messages.Message()
        kind = self._random.choice(("agent", "atomic", "loose", "delete", "get", "exec"))
        if kind == "agent":
            text = messages.intune(self._lab(), name, version=self._random.randrange(3),
                                   SUBJECT=self._random.choice(("CN=a", "CN=b")))
        else:
            if kind == "atomic":
                message.atomic()
            if kind in ("atomic", "loose"):
                messages.install(message, messages.csp_values(self._lab()), instance, enroll=self._random.random() < 0.8)
            if kind == "atomic":
                message.end()
            if kind == "delete":
                message.command("Delete", instance)
            if kind == "exec":
                message.command("Exec", instance + "/Install/Enroll")
            message.get(instance + "/Status")
            message.get(messages.CSP)
            text = message.text()
        fd = memfd(text.encode())
        self._call("/org/scepter1", MANAGER, "ApplySyncML", "ha{sv}", dbus.types.UnixFd(fd), {}, wait=wait)
        os.close(fd)

    def _diagnose(self, path, wait):
        """Read to its end, or left at once."""
        answer = self._call("/org/scepter1", MANAGER, "Diagnose", "sa{sv}", path, {},
                            also="org.scepter1.Error.LimitExceeded")  # those that were left go on to their end
        if not answer:
            return
        fd = answer[0].take()
        lines = open(fd, encoding="utf-8").read().splitlines() if wait else os.close(fd) or ["{"]
        assert lines and all(line.startswith("{") for line in lines), lines

    def turn(self):
        verb = self._random.choice(("add", "enroll", "enroll", "enroll", "Cancel", "Remove", "TestKey", "leave", "document",
                                    "document", "Resolve", "Diagnose", "Renew", "Renew", "events"))
        wait = self._random.random() < 0.6
        if verb == "add":
            self._add()
            return
        if verb == "document":
            self._document(wait)
            return
        if verb == "events":
            answer = self._call("/org/scepter1", MANAGER, self._random.choice(("GetEvents", "FollowEvents")), "a{sv}", {},
                                wait=wait, also="org.scepter1.Error.LimitExceeded")
            for fd in answer or ():
                os.close(fd.take())
            return
        profiles = verb in ("enroll", "leave", "Resolve") or (verb == "Diagnose" and self._random.random() < 0.5)
        kind = "/profile/" if profiles else "/certificate/"
        objects = self._call("/org/scepter1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "")[0]
        paths = sorted(path for path in objects if kind in path)
        if not paths:
            return
        path = self._random.choice(paths)
        if verb == "enroll" and self._challenges:
            fd = memfd(self._challenges.pop().encode())
            options = {"challenge": dbus.types.UnixFd(fd)}
            self._call("/org/scepter1", MANAGER, "Enroll", "oa{sv}", path, options, wait=wait)
            os.close(fd)
        elif verb == "Diagnose":
            self._diagnose(path, wait)
        elif verb == "Resolve":
            self._call(path, "org.scepter1.Profile", "Resolve", "a{sv}", {}, wait=wait)
        elif verb == "leave" and self._random.random() < 0.3:
            self._call(path, "org.scepter1.Profile", "Remove", "a{sv}", {"with-certificates": True}, wait=wait)
        elif kind == "/certificate/":
            self._call(path, "org.scepter1.Certificate", verb, "a{sv}", {}, wait=wait)


client = Client(int(sys.argv[1]), sys.argv[3], sys.argv[4], sys.argv[5:])
for _ in range(int(sys.argv[2])):
    client.turn()
