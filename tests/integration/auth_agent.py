"""An authentication agent of polkit's for one process: who is asked for has given his password ("yes"), or closes the dialogue
("no"), or sits before it ("never"). auth_agent.py ADDRESS PID yes|no|never; run by root, who vouches as polkit's own setuid helper does. Prints what it was asked."""
import pathlib
import sys

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

INTERFACE = "org.freedesktop.PolicyKit1.AuthenticationAgent"
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(sys.argv[1])
pid, answer = int(sys.argv[2]), sys.argv[3]
started = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
authority = dbus.Interface(bus.get_object("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", introspect=False),
                           "org.freedesktop.PolicyKit1.Authority")


class Agent(dbus.service.Object):
    @dbus.service.method(INTERFACE, in_signature="sssa{ss}sa(sa{sv})", async_callbacks=("done", "failed"))
    def BeginAuthentication(self, action, message, _icon, _details, cookie, identities, done, failed):
        print(action, message, flush=True)
        if answer == "no":
            failed(dbus.DBusException("closed", name="org.freedesktop.PolicyKit1.Error.Cancelled"))
        elif answer == "yes":
            authority.AuthenticationAgentResponse(cookie, identities[0])
            done()

    @dbus.service.method(INTERFACE, in_signature="s")
    def CancelAuthentication(self, _cookie):
        pass


agent = Agent(bus, "/agent")
subject = ("unix-process", dbus.Dictionary({"pid": dbus.UInt32(pid), "start-time": dbus.UInt64(started)}, signature="sv"))
authority.RegisterAuthenticationAgent(subject, "C", "/agent")
print("ready", flush=True)
GLib.MainLoop().run()
