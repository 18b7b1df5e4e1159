"""The services facts come from, as python3-dbusmock plays them on the lab's bus: their names, objects and interfaces."""
import contextlib
import os
import signal

import dbus
import dbusmock

OBJECTS = "org.freedesktop.DBus.ObjectManager"
MOCK = "org.freedesktop.DBus.Mock"
DENIED = 'raise dbus.exceptions.DBusException("Access denied", name="org.freedesktop.DBus.Error.AccessDenied")'


class Neighbour:
    """One service: name, path of its main object, interface."""

    def __init__(self, lab, name, path, interface, template=None):
        address = lab.env["DBUS_SYSTEM_BUS_ADDRESS"]
        before = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
        os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address  # dbusmock takes it from there, and so does its child
        try:
            self.process = dbusmock.DBusTestCase.spawn_server(name, path, interface, system_bus=True)
        finally:
            if before is None:
                del os.environ["DBUS_SYSTEM_BUS_ADDRESS"]
            else:
                os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = before
        self.bus = dbus.bus.BusConnection(address)
        self.interface = interface
        self.object = self.bus.get_object(name, path)
        self.mock = dbus.Interface(self.object, MOCK)
        if template:
            self.mock.AddTemplate(template, dbus.Dictionary({}, signature="sv"))

    def method(self, name, given, answer, code, interface=None):
        self.mock.AddMethod(interface or self.interface, name, given, answer, code)

    @contextlib.contextmanager
    def silent(self):
        """It is there and answers nothing."""
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def close(self):
        self.bus.close()
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def neighbour(*arguments, **options):
    made = Neighbour(*arguments, **options)
    try:
        yield made
    finally:
        made.close()


def hostname(lab, static=None, serial=None):
    """systemd-hostnamed. @serial: the code of its method."""
    made = Neighbour(lab, "org.freedesktop.hostname1", "/org/freedesktop/hostname1", "org.freedesktop.hostname1")
    if static is not None:
        made.mock.AddProperty("org.freedesktop.hostname1", "StaticHostname", static)
    if serial is not None:
        made.method("GetHardwareSerial", "", "s", serial)
    return contextlib.closing(made)


def managed(objects):
    """The code of a GetManagedObjects that answers {path: {interface: {property: value}}}."""
    return (f"ret = dbus.Dictionary({{dbus.ObjectPath(p): dbus.Dictionary({{i: dbus.Dictionary(v, signature='sv') for i, v"
            f" in o.items()}}, signature='sa{{sv}}') for p, o in {objects!r}.items()}}, signature='oa{{sa{{sv}}}}')")


def modems(lab, objects=None, code=None):
    made = Neighbour(lab, "org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1", OBJECTS)
    made.method("GetManagedObjects", "", "a{oa{sa{sv}}}", code or managed(objects))
    return contextlib.closing(made)


def directory(lab, code):
    """SSSD's InfoPipe."""
    made = Neighbour(lab, "org.freedesktop.sssd.infopipe", "/org/freedesktop/sssd/infopipe",
                     "org.freedesktop.sssd.infopipe")
    made.method("GetUserAttr", "sas", "a{sv}", code)
    return contextlib.closing(made)


def attributes(uid, **values):
    """Its answer: those of @values that were asked for, as SSSD has them: lists of strings."""
    known = {"uidNumber": [str(uid)], **values}
    return (f"known, ret = {known!r}, dbus.Dictionary({{}}, signature='sv')\n"
            "for name in args[1]:\n"
            "    if name in known:\n"
            "        ret[name] = dbus.Array(known[name], signature='s', variant_level=1)\n")


SYSTEMD = "org.freedesktop.systemd1"
SYSTEMD_MANAGER = SYSTEMD + ".Manager"


class Systemd(Neighbour):
    """The manager's jobs: what was asked for, and how it ended when the test says so."""

    def __init__(self, lab, ends=None, refuses=None):
        """@ends: each job ends so at once; @refuses: the name of an error."""
        super().__init__(lab, SYSTEMD, "/org/freedesktop/systemd1", SYSTEMD_MANAGER)
        self.method("Subscribe", "", "", "")
        code = "ret = dbus.ObjectPath('/org/freedesktop/systemd1/job/%d' % len(self.GetCalls()))"
        if ends:
            code += f"\nself.EmitSignal('{SYSTEMD_MANAGER}', 'JobRemoved', 'uoss', [dbus.UInt32(1), ret, args[0], '{ends}'])"
        if refuses:
            code = f"raise dbus.exceptions.DBusException('Not here', name='{refuses}')"
        for name in ("StartUnit", "TryRestartUnit", "ReloadOrTryRestartUnit"):
            self.method(name, "ss", "o", code)

    def asked(self):
        """[(method, unit, mode)]"""
        return [(str(method), *map(str, arguments)) for _, method, arguments in self.mock.GetCalls() if method != "Subscribe"]

    def job(self):
        """The last one's path."""
        return f"/org/freedesktop/systemd1/job/{len(self.mock.GetCalls())}"

    def end(self, unit, result):
        self.mock.EmitSignal(SYSTEMD_MANAGER, "JobRemoved", "uoss", [dbus.UInt32(1), dbus.ObjectPath(self.job()), unit, result])


def systemd(lab, **options):
    return contextlib.closing(Systemd(lab, **options))
