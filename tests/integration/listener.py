#!/usr/bin/python3 -B
"""Prints the path and member of every signal that reaches this connection from org.scepter1, one a line."""
import sys

import dbus
import dbus.bus
import dbus.mainloop.glib
from gi.repository import GLib

dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
bus = dbus.bus.BusConnection(sys.argv[1])


def heard(*arguments, path=None, member=None, **_):
    print(path, member, *[str(argument) for argument in arguments[:1]], flush=True)


bus.add_signal_receiver(heard, bus_name="org.scepter1", path_keyword="path", member_keyword="member")
bus.add_signal_receiver(heard, sender_keyword="sender", path_keyword="path", member_keyword="member")
print("listening", flush=True)
GLib.MainLoop().run()
