"""What is typed at a terminal, as the command line reads a PIN."""
import os
import pty
import re
import signal

import labs

PROMPT = re.compile(rb"': $")


class Typed:
    """A command of scepter with a terminal of its own, on which @lines are typed, one at each question."""

    def __init__(self, lab, *arguments, lines=(), strict=True):
        """@strict: all of them are asked for."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(labs.BUILD / "bin/scepter", ["scepter", *map(str, arguments)], lab.env)
        self.output, typed, lines, seen = b"", lines, list(lines), 0
        while True:
            try:
                data = os.read(terminal, 4096)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            self.output += data
            if PROMPT.search(self.output[seen:]):
                seen = len(self.output)
                if lines:
                    os.write(terminal, lines.pop(0).encode() + b"\n")
                else:
                    os.kill(pid, signal.SIGKILL)  # it asks more often than it should
        os.close(terminal)
        self.status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.text = self.output.decode()
        assert not (lines and strict), f"never asked for: {self.text}"
        assert not any(len(line) > 3 and line in self.text for line in typed), "it was echoed"
