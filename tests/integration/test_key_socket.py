"""The key socket and bad neighbours: frames by hand, from several users. Whatever one of them does, another one is served."""
import collections
import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import time

import pytest

import frames
import labs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other users")

ALICE, BOB, CAROL = 64901, 64902, 64903  # no accounts: a peer is what the kernel says of it
SERVED, WAITING = 64, 64


@pytest.fixture(scope="module")
def room():
    with labs.lab("--no-tpm") as lab:
        lab.add("device")
        assert lab.enroll("device").returncode == 0
        for user in (ALICE, BOB, CAROL):
            with channel(lab, user) as made:
                assert serves(made), "cannot even connect"
        yield lab


def channel(lab, user=None):
    return frames.Channel(lab.env["SCEPTER_KEYS"], user)


def serves(made):
    """Its request is answered: there is no such key for it."""
    with pytest.raises(frames.Refused) as refused:
        made.open("nothing")
    return refused.value.code == "NotFound"


def signs(lab):
    """As a program of root's."""
    with channel(lab) as made:
        return len(made.sign(made.open("device")[0]))


@pytest.fixture(autouse=True)
def healthy(room, request):
    """The same daemon goes on afterwards, and holds nothing of what was there."""
    pid, before = room.daemon_pid(), descriptors(room)
    yield
    assert signs(room) == 256
    room.until(lambda: descriptors(room) <= before + 2)
    assert room.daemon_pid() == pid or request.node.name == "test_restart"


def descriptors(room):
    return len(os.listdir(f"/proc/{room.daemon_pid()}/fd"))


HEADER = frames.HEADER
GARBAGE = {
    "noise": b"\xff" * 4096,
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "version": HEADER.pack(2, frames.OPEN, 0, 1, 0),
    "reserved": HEADER.pack(1, frames.OPEN, 1, 1, 0),
    "type": HEADER.pack(1, 0x33, 0, 1, 0),
    "answer": frames.frame(frames.ANSWER, fields={frames.HANDLE: 1}),
    "error": frames.frame(frames.ERROR, fields={frames.CODE: "Ok", frames.MESSAGE: "", frames.REMEDY: ""}),
    "job": frames.frame(0x80, fields={1: "x"}),
    "result": frames.frame(0x81, fields={1: "x"}),
    "one octet too long": HEADER.pack(1, frames.OPEN, 0, 1, frames.BODY_MAX + 1),
    "4 GiB": HEADER.pack(1, frames.SIGN, 0, 1, 0xffffffff),
    "no key": frames.frame(frames.OPEN),
    "empty name": frames.frame(frames.OPEN, fields={frames.LABEL: ""}),
    "long name": frames.frame(frames.OPEN, fields={frames.LABEL: "x" * 257}),
    "name that is no text": frames.frame(frames.OPEN, fields={frames.LABEL: b"\xff\xfe"}),
    "short id": frames.frame(frames.OPEN, fields={frames.KEY_ID: bytes(19)}),
    "no handle": frames.frame(frames.SIGN, fields={frames.SCHEME: 0, frames.DIGEST: 3, frames.DATA: bytes(32)}),
    "handle of seven": frames.frame(frames.CLOSE, fields={frames.HANDLE: bytes(7)}),
    "much data": frames.frame(frames.SIGN, fields={frames.HANDLE: 1, frames.SCHEME: 0, frames.DIGEST: 0,
                                                   frames.DATA: bytes(4097)}),
    "scheme": frames.frame(frames.SIGN, fields={frames.HANDLE: 1, frames.SCHEME: 9, frames.DIGEST: 3, frames.DATA: bytes(32)}),
    "digest": frames.frame(frames.SIGN, fields={frames.HANDLE: 1, frames.SCHEME: 0, frames.DIGEST: 99, frames.DATA: bytes(32)}),
    "padding": frames.frame(frames.DECRYPT, fields={frames.HANDLE: 1, frames.PADDING: 2, frames.DATA: bytes(256)}),
    "no point": frames.frame(frames.DERIVE, fields={frames.HANDLE: 1, frames.DATA: b"\x04"}),
    "field beyond the body": frames.frame(frames.OPEN, raw=struct.pack(">HI", frames.LABEL, 100) + b"device"),
    "list from nowhere": frames.frame(frames.LIST),
    "short index": frames.frame(frames.LIST, fields={frames.INDEX: bytes(7)}),
    "nothing to describe": frames.frame(frames.DESCRIBE, fields={frames.INDEX: 0}),
    "half a field": frames.frame(frames.OPEN, raw=b"\x00\x01\x00"),
}


@pytest.mark.parametrize("user", [None, ALICE], ids=["root", "user"])
@pytest.mark.parametrize("case", GARBAGE)
def test_garbage(room, case, user):
    """The connection ends, with a reason before; that of a neighbour does not."""
    with channel(room, BOB) as neighbour, channel(room, user) as made:
        made.send(GARBAGE[case])
        with pytest.raises(frames.Refused) as refused:
            made.receive()
        assert refused.value.code == "ProtocolError" and refused.value.remedy
        assert made.ended() and serves(neighbour)


HANDLES = [0, 1, 2, 64, 65, 2**31, 2**32, 2**63, 2**64 - 1]


@pytest.mark.parametrize("handle", HANDLES)
def test_handles_that_are_not_open(room, handle):
    """Nothing of it is fatal; another connection's are no help."""
    with channel(room) as roots, channel(room, ALICE) as made:
        roots.open("device")
        for ask in (made.sign, lambda number: made.decrypt(number, bytes(256))):
            with pytest.raises(frames.Refused) as refused:
                ask(handle)
            assert refused.value.code == "NotFound"
        made.send(frames.frame(frames.CLOSE, fields={frames.HANDLE: handle}))
        assert serves(made)


@pytest.mark.parametrize("kind,fields", [(frames.TLS_SIGN, {frames.HANDLE: 1, frames.TLS_SCHEME: 0x0804, frames.DATA: bytes(32)}),
                                         (frames.UNWRAP, {frames.HANDLE: 1, frames.SALT_OCTETS: bytes(8), frames.ITERATIONS: 1000,
                                                          frames.DIGEST: 3, frames.KEK: 0, frames.IV: bytes(16),
                                                          frames.DATA: bytes(32)})])
def test_frames_of_workers(room, kind, fields):
    """What a worker may with its grant, no application may, root's neither."""
    for user in (None, ALICE):
        with channel(room, user) as made:
            with pytest.raises(frames.Refused) as refused:
                made.call(kind, fields)
            assert refused.value.code == "KeyDenied"


@pytest.mark.parametrize("index", HANDLES)
def test_lists_that_begin_anywhere(room, index):
    """What is not there is not listed, nor described; the list has an end."""
    with channel(room) as root, channel(room, ALICE) as made:
        device = root.open("device")[1][frames.KEY_ID]
        for one, ids in ((root, {device}), (made, set())):
            assert one.list() == ids
            one.send(frames.frame(frames.LIST, 1, {frames.INDEX: index}))
            fields = dict(one.receive_all()[1])
            assert int.from_bytes(fields[frames.NEXT], "big") == 0
        with pytest.raises(frames.Refused) as refused:
            made.describe(device, index)
        assert refused.value.code == "NotFound"
        if index > 8:  # the chain is not so long
            with pytest.raises(frames.Refused) as refused:
                root.describe(device, index)
            assert refused.value.code == "NotFound"


def test_in_pieces(room):
    """A request octet by octet, and many at once, are answered alike, in order."""
    with channel(room) as made:
        for octet in frames.frame(frames.OPEN, 7, {frames.LABEL: "device"}):
            made.send(bytes([octet]))
        number, answer = made.receive()
        assert number == 7 and len(answer[frames.KEY_ID]) == 20
        made.send(b"".join(frames.frame(frames.OPEN, n, {frames.LABEL: "nothing"}) for n in range(100)))
        for n in range(100):
            with pytest.raises(frames.Refused):
                made.receive()
        assert made.sign(1)


def test_half_a_frame(room):
    """It keeps a place, and nobody waiting; at its end it was nothing."""
    whole = frames.frame(frames.OPEN, 1, {frames.LABEL: "device"})
    with contextlib.ExitStack() as stack:
        halves = [stack.enter_context(channel(room, ALICE)) for _ in range(1, len(whole))]
        for size, half in enumerate(halves, 1):
            half.send(whole[:size])
        with channel(room, BOB) as neighbour:
            assert serves(neighbour)
        for half in halves:
            half.socket.shutdown(socket.SHUT_WR)
            assert half.ended()


def test_largest(room):
    """A body of 64 KiB is read to its end before it is judged."""
    filler = frames.field(999, bytes(frames.BODY_MAX - 6 - len(frames.field(frames.LABEL, "device"))))
    with channel(room) as made:
        made.send(frames.frame(frames.OPEN, 5, {frames.LABEL: "device"}, raw=filler))
        assert made.receive()[0] == 5


def test_keys_of_a_connection(room):
    with channel(room) as made:
        assert [made.open("device")[0] for _ in range(64)] == list(range(1, 65))
        with pytest.raises(frames.Refused) as refused:
            made.open("device")
        assert refused.value.code == "LimitExceeded"
        made.send(frames.frame(frames.CLOSE, fields={frames.HANDLE: 9}))
        assert made.open("device")[0] == 9 and made.sign(64)


def test_operations_of_a_connection(room):
    """More than are taken at once are refused by number, none is lost."""
    with channel(room) as made:
        handle, _ = made.open("device")
        asked = 200
        made.send(b"".join(frames.frame(frames.SIGN, n, {frames.HANDLE: handle, frames.SCHEME: 0, frames.DIGEST: 3,
                                                         frames.DATA: bytes(32)}) for n in range(asked)))
        answers = collections.Counter()
        for _ in range(asked):
            try:
                answers["signed" if len(made.receive()[1][frames.DATA]) == 256 else "?"] += 1
            except frames.Refused as error:
                answers[error.code] += 1
        assert set(answers) <= {"signed", "LimitExceeded"} and answers["signed"] >= 8
        assert made.sign(handle)


def test_one_that_does_not_read(room):
    """Its answers have nowhere to go: it is let go of, and nobody waits for it."""
    with channel(room, ALICE) as made, channel(room, BOB) as neighbour:
        made.socket.setblocking(False)
        request = frames.frame(frames.OPEN, 1, {frames.LABEL: "nothing"}) * 100
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                made.socket.send(request)
            except BlockingIOError:  # the daemon takes no more until answers are read
                assert serves(neighbour)
                break
            except (BrokenPipeError, ConnectionResetError):
                break
        else:
            pytest.fail("it was fed without an end")
        assert serves(neighbour) and signs(room) == 256


def readable(channels, seconds=0):
    return select.select([one.socket for one in channels], [], [], seconds)[0]


def test_sockets_of_a_user(room):
    """64 are served, 64 wait, the rest are closed; another user and root do not notice; one that ends lets one in."""
    before = len(room.log())
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(channel(room, ALICE)) for _ in range(SERVED + WAITING + 72)]
        assert all(serves(one) for one in made[:SERVED])
        waiting, closed = made[SERVED:SERVED + WAITING], made[SERVED + WAITING:]
        assert all(one.ended() for one in closed)
        for number, one in enumerate(waiting):
            one.send(frames.frame(frames.OPEN, number, {frames.LABEL: "nothing"}))
        with channel(room, BOB) as neighbour:
            assert serves(neighbour) and signs(room) == 256
        assert not readable(waiting)  # what came after them has been answered
        waiting.pop(1).socket.close()  # one loses patience
        for one in made[:3]:
            one.socket.close()
        for one in (waiting[0], waiting[1], waiting[2]):  # in the order they came
            with pytest.raises(frames.Refused):
                one.receive()
        with channel(room, BOB) as neighbour:
            assert serves(neighbour)
        assert not readable(waiting[3:])
    told = room.log()[before:].count("holds too many connections to the key socket")
    assert told <= 1, "one line a minute, not one for each"


def test_a_thousand_connections(room):
    """At once, of one user and of root; others come through meanwhile and afterwards."""
    with contextlib.ExitStack() as stack:
        mine = [stack.enter_context(channel(room, ALICE)) for _ in range(1000)]
        with channel(room, BOB) as neighbour:
            assert serves(neighbour)
        assert signs(room) == 256
        assert sum(one.socket.fileno() in {s.fileno() for s in readable(mine)} for one in mine) == 1000 - SERVED - WAITING
    room.until(lambda: signs(room) == 256)
    with contextlib.ExitStack() as stack:
        roots = [stack.enter_context(channel(room)) for _ in range(1000)]
        assert all(serves(one) for one in roots)
        with channel(room, CAROL) as late:  # beyond what users have: root's own places
            assert late.ended()
        assert signs(room) == 256


def test_users_do_not_take_roots_places(room):
    """Eight users with all that they may: root comes in still, and so does the next user once there is room."""
    with contextlib.ExitStack() as stack:
        for user in range(65000, 65008):
            for _ in range(SERVED + WAITING):
                stack.enter_context(channel(room, user))
        assert signs(room) == 256
        with channel(room, CAROL) as late:
            assert late.ended()
    with channel(room, CAROL) as late:
        assert serves(late)


def test_flood_of_requests(room):
    """Of one user, on all his connections: root's request is answered between."""
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(channel(room, ALICE)) for _ in range(SERVED)]
        for one in busy:
            one.socket.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):  # the latter: it was cut, since it does not read
                for _ in range(20):
                    one.socket.send(frames.frame(frames.OPEN, 1, {frames.LABEL: "device"}) * 50)
        assert signs(room) == 256 and room.serves()


def queued(made):
    """Octets that have come and are not read."""
    return struct.unpack("i", fcntl.ioctl(made.socket, termios.FIONREAD, bytes(4)))[0]


def test_turns(room):
    """Who asks a hundred things at once is not answered all of them before his neighbour is answered one."""
    asked, pid = 100, room.daemon_pid()
    for _ in range(20):
        with channel(room) as greedy, channel(room, BOB) as neighbour:
            assert serves(neighbour)
            handle, answer = greedy.open("device")
            os.kill(pid, signal.SIGSTOP)
            try:
                greedy.send(b"".join(frames.frame(frames.OPEN, n, {frames.LABEL: "device"}) +
                                     frames.frame(frames.CLOSE, n, {frames.HANDLE: handle + 1}) for n in range(asked)))
                neighbour.send(frames.frame(frames.OPEN, 1, {frames.LABEL: "nothing"}))
            finally:
                os.kill(pid, signal.SIGCONT)
            with pytest.raises(frames.Refused):
                neighbour.receive()
            # Unless the neighbour's was taken first, or this process was too slow to look.
            if 0 < queued(greedy) < asked * len(frames.body(answer)):
                assert all(greedy.receive()[0] == n for n in range(asked))
                return
    pytest.fail("it had everything first, twenty times")


def test_fork(room):
    """A child has its parent's connection; what it says there is said as the parent, and a new one is its own."""
    with channel(room) as made:
        handle, _ = made.open("device")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setresgid(ALICE, ALICE, ALICE)
                os.setresuid(ALICE, ALICE, ALICE)
                inherited = len(made.sign(handle)) == 256
                with frames.Channel(room.env["SCEPTER_KEYS"]) as own:
                    status = 0 if inherited and serves(own) else 1
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert made.sign(handle)


def test_gone_in_the_middle(room):
    """Its operation goes on, its answer goes nowhere."""
    for _ in range(20):
        with channel(room) as made:
            handle, _ = made.open("device")
            made.send(frames.frame(frames.SIGN, 1, {frames.HANDLE: handle, frames.SCHEME: 0, frames.DIGEST: 3,
                                                    frames.DATA: bytes(32)}))
    assert signs(room) == 256


def test_restart(room):
    """A session ends cleanly, its handles mean nothing in the next."""
    with channel(room) as made, channel(room, ALICE) as half:
        handle, _ = made.open("device")
        half.send(frames.frame(frames.OPEN, 1, {frames.LABEL: "device"})[:9])
        room.daemon("restart")
        assert made.ended() and half.ended()
    with channel(room) as again:
        with pytest.raises(frames.Refused) as refused:
            again.sign(handle)
        assert refused.value.code == "NotFound" and signs(room) == 256
