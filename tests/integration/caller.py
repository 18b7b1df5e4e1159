"""Calls the service as whoever runs this: cases as JSON from standard input, what came of each to standard output.

A case: path, interface, member, signature, arguments; {"memfd": TEXT} among these is a descriptor. An answer: the name of the
error and its message, or null."""
import json
import os
import sys

import dbus


def argument(value):
    if not isinstance(value, dict) or "memfd" not in value:
        return value
    descriptor = os.memfd_create("argument")
    os.write(descriptor, value["memfd"].encode())
    return dbus.types.UnixFd(descriptor)


def call(bus, case):
    values = [argument(value) for value in case["arguments"]]
    try:
        bus.call_blocking("org.scepter1", case["path"], case["interface"], case["member"], case["signature"], values)
    except dbus.DBusException as error:
        return [error.get_dbus_name(), error.get_dbus_message()]
    return None


def main():
    bus = dbus.bus.BusConnection(sys.argv[1])
    print(json.dumps([call(bus, case) for case in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
