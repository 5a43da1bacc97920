"""Where an ONNX file's weights lie, in every place that a graph may have them."""

from __future__ import annotations

import pytest

from inference.models.file_checks import read_outline


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def field(number: int, value: bytes | str | int) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


OUTSIDE = field(8, "w") + field(13, field(1, "location") + field(2, "a.bin")) + field(14, 1)
SPARSE = field(1, OUTSIDE)
SIZES = field(2, field(1, field(2, field(1, field(1, 4)))))
OUTPUT = field(12, field(1, "y") + SIZES)
PLACES = {
    "initializer": field(5, OUTSIDE),
    "values of a sparse initializer": field(15, SPARSE),
    "places of a sparse initializer": field(15, field(2, OUTSIDE)),
    "constant": field(1, field(5, field(5, OUTSIDE))),
    "sparse constant": field(1, field(5, field(22, SPARSE))),
    "sparse constants": field(1, field(5, field(23, SPARSE))),
    "graph in a node": field(1, field(5, field(6, field(15, SPARSE)))),
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_of_another_file_are_seen_wherever_they_stand(place: str) -> None:
    outline = read_outline(field(7, PLACES[place] + OUTPUT))
    assert outline.external == {"a.bin"}
    assert outline.outputs == {"y": (4,)}


def test_a_graph_with_its_own_weights_names_no_file() -> None:
    own = field(5, field(8, "w") + field(9, b"0123")) + field(15, field(1, field(8, "w")))
    assert read_outline(field(7, own + OUTPUT)).external == frozenset()
