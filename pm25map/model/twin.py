"""A network that estimates twice in one run: with the place of a cell, and with a neutral place beside it.

Where the place joins late (GeoCLIP), all of the work on the 21 days is shared and the second estimate costs
next to nothing. The onnx package is not needed to predict, so the few fields that matter are read and written
here in protobuf's wire format: two messages of one type that follow each other are merged, lists end to end
(protobuf, Encoding, "Last One Wins"). A network is extended by adding bytes at its end.
"""

from collections.abc import Iterator
from pathlib import Path

from pm25map.base.errors import BadModel

NEUTRAL_INPUT, NEUTRAL_OUTPUT = "neutral_place", "pm25_neutral"

_SUFFIX = "/neutral"

# Field numbers of onnx.proto (ONNX IR).
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME = 1, 2, 3
_VALUE_NAME = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, bytes]
"""Number, wire type, and content: of _BYTES without its length, of the others as it stands in the file."""


def twin_of(network: Path) -> bytes:
    """Extend a network by a second place and a second estimate.

    Args:
        network: model.onnx, with the inputs window and place and one output (cell,).

    Returns:
        The network with one more input, NEUTRAL_INPUT, shaped as the place, and one more output,
        NEUTRAL_OUTPUT: what the network gives for the same window at that place.

    Raises:
        BadModel: the file is no network, or takes no place.
    """
    content = network.read_bytes()
    try:
        graph = next(value for number, _, value in _fields(content) if number == _MODEL_GRAPH)
        delta = _second_branch(list(_fields(graph)))
    except (ValueError, IndexError, StopIteration) as error:
        raise BadModel(
            f"{network} is no readable network with a place: {error}. Export or fetch the model again"
        ) from error
    return content + _field((_MODEL_GRAPH, _BYTES, delta))


def _second_branch(graph: list[Field]) -> bytes:
    """Copy every node that the place reaches, under other names."""
    inputs = [value for number, _, value in graph if number == _GRAPH_INPUT]
    (place,) = [value for value in inputs if _name(value) == b"place"]
    (output,) = [value for number, _, value in graph if number == _GRAPH_OUTPUT]
    renamed = {b"place": NEUTRAL_INPUT.encode()}
    parts = [(_GRAPH_INPUT, _BYTES, _renamed_value(place, NEUTRAL_INPUT.encode()))]
    for node in (value for number, _, value in graph if number == _GRAPH_NODE):
        fields = list(_fields(node))
        if any(number == _NODE_INPUT and value in renamed for number, _, value in fields):
            outputs = [value for number, _, value in fields if number == _NODE_OUTPUT and value]
            renamed |= {name: name + _SUFFIX.encode() for name in outputs}
            parts.append((_GRAPH_NODE, _BYTES, b"".join(_field(f) for f in _renamed_node(fields, renamed))))
    last = _name(output)
    if last not in renamed:
        raise ValueError("its estimate does not depend on the place")
    # The copy of the last node is the new output: it takes the output's name.
    before, after = renamed[last], NEUTRAL_OUTPUT.encode()
    number, wire, node = parts[-1]
    closing = _renamed_node(list(_fields(node)), {before: after})
    parts[-1] = (number, wire, b"".join(_field(f) for f in closing))
    parts.append((_GRAPH_OUTPUT, _BYTES, _renamed_value(output, after)))
    return b"".join(_field(part) for part in parts)


def _renamed_node(fields: list[Field], names: dict[bytes, bytes]) -> list[Field]:
    touched = []
    for number, wire, value in fields:
        if number in (_NODE_INPUT, _NODE_OUTPUT):
            touched.append((number, wire, names.get(value, value)))
        elif number == _NODE_NAME:
            touched.append((number, wire, value + _SUFFIX.encode()))
        else:
            touched.append((number, wire, value))
    return touched


def _renamed_value(value: bytes, name: bytes) -> bytes:
    fields = [(n, wire, name if n == _VALUE_NAME else old) for n, wire, old in _fields(value)]
    return b"".join(_field(field) for field in fields)


def _name(value: bytes) -> bytes:
    return next(content for number, _, content in _fields(value) if number == _VALUE_NAME)


def _fields(message: bytes) -> Iterator[Field]:
    """Walk the fields of a message, in order; their content is not looked into."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == _BYTES:
            length, at = _read_varint(message, at)
            end = at + length
        elif wire == _VARINT:
            end = _read_varint(message, at)[1]
        elif wire in (_FIXED64, _FIXED32):
            end = at + (8 if wire == _FIXED64 else 4)
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if end > len(message):
            raise ValueError("it ends in the middle of a field")
        yield number, wire, message[at:end]
        at = end


def _field(field: Field) -> bytes:
    number, wire, value = field
    length = _write_varint(len(value)) if wire == _BYTES else b""
    return _write_varint(number << 3 | wire) + length + value


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _write_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))
