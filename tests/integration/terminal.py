"""What is typed at a terminal, as programs read a PIN."""
import os
import pty
import re
import select
import signal

import labs

PROMPT = re.compile(rb"': $")


class Program:
    """A command with a terminal of its own, on which @lines are typed, one at each question."""

    def __init__(self, lab, *command, lines=(), strict=True, prompt=PROMPT, echoes=False, env=None, ready=None):
        """@strict: all of them are asked for. @prompt: what a question ends with. @echoes: it asks first and turns the echo
        off then, when it may be too late. @ready: called before a line is typed; many programs throw away what was typed
        before they turned the echo off."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe(command[0], [str(part) for part in command], {**lab.env, **(env or {})})
        self.output, typed, lines, seen = b"", lines, list(lines), 0
        while True:
            if not select.select([terminal], [], [], 120)[0]:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"it says no more: {self.output}")
            try:
                data = os.read(terminal, 4096)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            self.output += data
            if prompt.search(self.output[seen:]):
                seen = len(self.output)
                if lines:
                    if ready:
                        ready()
                    os.write(terminal, lines.pop(0).encode() + b"\n")
                else:
                    os.kill(pid, signal.SIGKILL)  # it asks more often than it should
        os.close(terminal)
        self.status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.text = self.output.decode()
        assert not (lines and strict), f"never asked for: {self.text}"
        assert echoes or not any(len(line) > 3 and line in self.text for line in typed), "it was echoed"


class Typed(Program):
    """The same with scepter itself; @user: as whom."""

    def __init__(self, lab, *arguments, user=None, **options):
        as_user = () if user is None else ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        super().__init__(lab, *as_user, labs.BUILD / "bin/scepter", *arguments, **options)


class Console:
    """A command of scepter that goes on at its terminal, until the test ends it."""

    def __init__(self, lab, *arguments):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(labs.BUILD / "bin/scepter", ["scepter", *map(str, arguments)], lab.env)
        self.text = ""

    def until(self, text, seconds=90):
        """Reads until this has come behind what was read before; returns that."""
        while text not in self.text:
            assert select.select([self.terminal], [], [], seconds)[0], self.text
            try:
                data = os.read(self.terminal, 4096)
            except OSError:  # the other side is closed
                data = b""
            assert data, f"it has ended: {self.text}"
            self.text += data.decode()
        read, self.text = self.text.split(text, 1)
        return read

    def type(self, text):
        os.write(self.terminal, text.encode())

    def end(self, number=signal.SIGINT):
        """Its exit status."""
        os.kill(self.pid, number)
        try:
            while os.read(self.terminal, 4096):
                pass
        except OSError:
            pass
        return self.close()

    def close(self):
        if self.pid:
            os.close(self.terminal)
            status, self.pid = os.waitpid(self.pid, 0)[1], 0
            return os.waitstatus_to_exitcode(status)
        return None
