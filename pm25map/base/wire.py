"""Protobuf's wire format, as far as a network file needs it to be looked into and extended without the onnx package.

Two messages of one type that follow each other are merged, their lists end to end (protobuf.dev, Encoding, "Last
One Wins"): a graph gets further nodes by adding the bytes of a graph that holds only those.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types; the two others, of groups, are no longer in use."""

Field = tuple[int, int, bytes]
"""Number, wire type, and content: of BYTES without its length, of the others as it stands in the file."""


def fields_of(message: bytes) -> Iterator[Field]:
    """Walk the fields of a message, in order; their content is not looked into.

    Raises:
        ValueError, IndexError: the bytes are no message.
    """
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == BYTES:
            length, at = _read_varint(message, at)
            end = at + length
        elif wire == VARINT:
            end = _read_varint(message, at)[1]
        elif wire in (FIXED64, FIXED32):
            end = at + (8 if wire == FIXED64 else 4)
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if end > len(message):
            raise ValueError("it ends in the middle of a field")
        yield number, wire, message[at:end]
        at = end


def written(*fields: Field) -> bytes:
    """Write fields one after another, as `fields_of` reads them."""
    out = b""
    for number, wire, value in fields:
        out += _varint(number << 3 | wire) + (_varint(len(value)) if wire == BYTES else b"") + value
    return out


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
