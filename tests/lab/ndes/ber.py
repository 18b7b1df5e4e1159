"""Reads BER as strangers write it, and writes DER (or, when asked, BER with indefinite lengths).

asn1crypto's parser splits the bytes; its typed classes are not used for CMS because they refuse forms that
real clients send (an encryptedContent that is constructed with a definite length).
"""
from asn1crypto import core, parser

UNIVERSAL, CONTEXT = 0, 2
OCTET_STRING, SET, SEQUENCE = 4, 0x31, 0x30
CHUNK = 1000


class Malformed(ValueError):
    """These bytes are not what they should be."""


class Node:
    """One TLV. Children are read when asked for."""

    def __init__(self, data):
        try:
            self.cls, self.constructed, self.tag, self.header, self.content, self.trailer = \
                parser.parse(data, strict=True)
        except ValueError as error:
            raise Malformed(f"not BER: {error}") from None
        self.raw = self.header + self.content + self.trailer
        self._children = None

    @property
    def children(self):
        if self._children is None:
            if not self.constructed:
                raise Malformed(f"tag {self.tag} should be constructed")
            self._children, rest = [], self.content
            while rest:
                try:
                    size = parser.peek(rest)
                except ValueError as error:
                    raise Malformed(f"not BER: {error}") from None
                self._children.append(Node(rest[:size]))
                rest = rest[size:]
        return self._children

    def __getitem__(self, index):
        try:
            return self.children[index]
        except IndexError:
            raise Malformed(f"element {index} is missing") from None

    def context(self, number):
        """The child with context tag @number, or None."""
        for child in self.children:
            if child.cls == CONTEXT and child.tag == number:
                return child
        return None

    def octets(self):
        """The octets of a string: its pieces put together where it is constructed."""
        if not self.constructed:
            return self.content
        return b"".join(child.octets() for child in self.children)

    def der(self):
        """This element again with definite lengths."""
        if not self.constructed:
            return self.raw
        if self.cls == UNIVERSAL and self.tag == OCTET_STRING:
            return tlv(OCTET_STRING, self.octets())
        return tlv(self.header[0], b"".join(child.der() for child in self.children))

    def native(self, kind, what):
        if self.cls != UNIVERSAL or self.tag != kind.tag:
            raise Malformed(f"{what} has tag {self.tag}")
        try:
            return kind.load(self.der()).native
        except ValueError as error:
            raise Malformed(f"{what}: {error}") from None

    def oid(self):
        if self.cls != UNIVERSAL or self.tag != core.ObjectIdentifier.tag:
            raise Malformed(f"an object identifier is missing, tag {self.tag} stands there")
        try:
            return core.ObjectIdentifier.load(self.der()).dotted
        except ValueError as error:
            raise Malformed(f"object identifier: {error}") from None

    def integer(self):
        return self.native(core.Integer, "integer")

    def text(self):
        """The value of any string type."""
        encodings = {12: "utf-8", 30: "utf-16-be", 28: "utf-32-be", 20: "latin-1"}
        if self.cls != UNIVERSAL or self.tag not in (12, 18, 19, 20, 22, 26, 28, 30):
            raise Malformed(f"a string is missing, tag {self.tag} stands there")
        try:
            return self.octets().decode(encodings.get(self.tag, "ascii"))
        except UnicodeDecodeError as error:
            raise Malformed(f"string: {error}") from None


def read(data):
    """The one element that @data is."""
    if not data:
        raise Malformed("no bytes")
    return Node(data)


def tlv(tag, content):
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def seq(*parts):
    return tlv(SEQUENCE, b"".join(parts))


def set_of(*parts):
    return tlv(SET, b"".join(sorted(parts)))


def context(number, *parts):
    """[number], constructed: EXPLICIT around one part, or IMPLICIT SEQUENCE OF several."""
    return tlv(0xA0 | number, b"".join(parts))


def context_set(number, *parts):
    return tlv(0xA0 | number, b"".join(sorted(parts)))


def octet_string(data):
    return tlv(OCTET_STRING, data)


def integer(number):
    return core.Integer(number).dump()


def oid(dotted):
    return core.ObjectIdentifier(dotted).dump()


def null():
    return b"\x05\x00"


def printable(text):
    return core.PrintableString(text).dump()


def algorithm(dotted, parameters=b"\x05\x00"):
    return seq(oid(dotted), parameters)


class Der:
    """The frames of a message in DER."""
    seq = staticmethod(seq)
    context = staticmethod(context)
    octet_string = staticmethod(octet_string)

    @staticmethod
    def context_octets(number, data):
        return tlv(0x80 | number, data)


class Indefinite:
    """The same frames with indefinite lengths and strings in pieces, as Java writes them."""

    @staticmethod
    def _frame(tag, content):
        return bytes([tag, 0x80]) + content + b"\x00\x00"

    @classmethod
    def seq(cls, *parts):
        return cls._frame(SEQUENCE, b"".join(parts))

    @classmethod
    def context(cls, number, *parts):
        return cls._frame(0xA0 | number, b"".join(parts))

    @staticmethod
    def _pieces(data):
        return b"".join(octet_string(data[at:at + CHUNK]) for at in range(0, len(data), CHUNK))

    @classmethod
    def octet_string(cls, data):
        return cls._frame(0x20 | OCTET_STRING, cls._pieces(data))

    @classmethod
    def context_octets(cls, number, data):
        return cls._frame(0xA0 | number, cls._pieces(data))
