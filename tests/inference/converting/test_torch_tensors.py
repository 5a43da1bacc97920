"""Tensors of a file of PyTorch 1.5, written here byte by byte, and what is refused."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest

from core.errors import ModelError
from inference.converting.torch_tensors import MAGIC, VERSION, read_tensors
from tests.inference.converting.torch_files import torch_file

TABLE = {
    "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a.count": np.array(7, np.int64),
}


def test_tensors_come_back_as_they_were_written() -> None:
    found = read_tensors(torch_file(TABLE), "here")
    assert {name: value.tolist() for name, value in found.items()} == {
        name: value.tolist() for name, value in TABLE.items()
    }
    assert found["a.weight"].dtype == np.float32


def test_a_tensor_that_is_a_view_is_put_in_order() -> None:
    turned = {"t": np.arange(12, dtype=np.float32).reshape(3, 4).T}
    (found,) = read_tensors(torch_file(turned), "here").values()
    assert found.tolist() == turned["t"].tolist()


def evil() -> bytes:
    """A pickle that would run a command."""
    return b"\x80\x02cos\nsystem\n(X\x05\x00\x00\x00false" + b"tR."


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 an archive",
        torch_file(TABLE)[:-5],
        evil(),
        pickle.dumps(MAGIC, 2) + pickle.dumps(VERSION, 2) + evil(),
        pickle.dumps(1, 2) + torch_file(TABLE)[len(pickle.dumps(MAGIC, 2)) :],
        torch_file(TABLE).replace(struct.pack("<q", 12), struct.pack("<q", 10**15)),
        torch_file(TABLE, offset=10),
    ],
)
def test_anything_else_is_refused_and_runs_nothing(content: bytes) -> None:
    with pytest.raises(ModelError, match="no table of tensors"):
        read_tensors(content, "here")
