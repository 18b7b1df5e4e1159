#!/usr/bin/python3 -B
"""An agent that does what its test says, as a program of its own: what the service asks goes to its standard output, one
JSON object a line, and what it is to do comes from its standard input."""
import contextlib
import json
import os
import pathlib
import select
import subprocess
import sys

AGENT, PATH = "org.scepter1.Agent", "/org/example/agent"


class Agent:
    """The test's end of it. @user: a uid."""

    def __init__(self, lab, user=None, path=PATH):
        change = () if user is None else ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        code = pathlib.Path(__file__).read_text()  # other users may not be able to read the tree
        self.process = subprocess.Popen([*change, "/usr/bin/python3", "-B", "-c", code, lab.env["DBUS_SYSTEM_BUS_ADDRESS"]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.name = self.hears("name")
        self.registered = self.do(register=path)

    def tell(self, **what):
        self.process.stdin.write(json.dumps(what).encode() + b"\n")

    def do(self, **what):
        """Calls the service; "" or the name of the error."""
        self.tell(**what)
        return self.hears("called")

    def hears(self, what, seconds=90):
        """The value of the next line, which is of this kind."""
        assert select.select([self.process.stdout], [], [], seconds)[0], f"no {what}"
        line = self.process.stdout.readline()
        assert line, "the agent has ended"
        line = json.loads(line)
        assert what in line, line
        return line[what]

    def asked(self, **expected):
        """The next question; @expected: of its options."""
        question = self.hears("asked")
        for name, value in expected.items():
            assert question.get(name.replace("_", "-")) == value, question
        return question

    def silent(self):
        """Nothing came: the service has answered a call of this connection since."""
        return self.do(ping=True) == ""

    def close(self):
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def agent(lab, **options):
    made = Agent(lab, **options)
    try:
        assert made.registered == "", made.registered
        yield made
    finally:
        made.close()


def memfd(content):
    fd = os.memfd_create("pin")
    os.write(fd, content)
    return fd


def pipe(content):
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    return read


def main():
    import dbus
    import dbus.bus
    import dbus.lowlevel
    import dbus.mainloop.glib
    from gi.repository import GLib

    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus, elsewhere = dbus.bus.BusConnection(sys.argv[1]), dbus.bus.BusConnection(sys.argv[1])
    questions = []

    def manager(member, signature, *arguments):
        """By the service's name, whoever has it now."""
        bus.call_blocking("org.scepter1", "/org/scepter1", "org.scepter1.Manager", member, signature, arguments)

    def say(**what):
        print(json.dumps(what), flush=True)

    def heard(_, message):
        if message.get_interface() != AGENT:
            return dbus.lowlevel.HANDLER_RESULT_NOT_YET_HANDLED
        arguments = message.get_args_list()
        if message.get_member() == "Cancel":
            say(cancelled=str(arguments[0]))
            return dbus.lowlevel.HANDLER_RESULT_HANDLED
        questions.append(message)
        say(asked={"certificate": str(arguments[0]),
                   **{str(key): int(value) if isinstance(value, dbus.UInt32) else str(value)
                      for key, value in arguments[1].items()}})
        return dbus.lowlevel.HANDLER_RESULT_HANDLED

    def answer(what):
        message = questions.pop()  # the last one: those before are over
        if "error" in what:
            bus.send_message(dbus.lowlevel.ErrorMessage(message, what["error"], "The user said so"))
            return
        reply = dbus.lowlevel.MethodReturnMessage(message)
        if "text" in what:
            reply.append(what["text"], signature="s")
        else:
            kind = next(iter(set(what) & {"pin", "pipe"}))
            fd = {"pin": memfd, "pipe": pipe}[kind](what[kind].encode())
            reply.append(dbus.types.UnixFd(fd), signature="h")
            os.close(fd)
        if "elsewhere" in what:
            questions.append(message)
            elsewhere.send_message(reply)
            elsewhere.flush()
        else:
            bus.send_message(reply)

    def call(what):
        try:
            if "register" in what:
                manager("RegisterAgent", "oa{sv}", dbus.ObjectPath(what["register"]), {})
            elif "unregister" in what:
                manager("UnregisterAgent", "oa{sv}", dbus.ObjectPath(what["unregister"]), {})
            else:
                manager("Subscribe", "a{sv}", {})
        except dbus.DBusException as failure:
            say(called=failure.get_dbus_name().replace("org.scepter1.Error.", ""))
        else:
            say(called="")

    def told(source, _):
        line = source.readline()
        if not line:
            sys.exit(0)
        what = json.loads(line)
        if {"register", "unregister", "ping"} & set(what):
            call(what)
        else:
            answer(what)
        return True

    bus.add_message_filter(heard)
    say(name=bus.get_unique_name())
    GLib.io_add_watch(os.fdopen(0, "rb", buffering=0), GLib.IO_IN | GLib.IO_HUP, told)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
