"""Frames as NumPy's file of one array (`.npy`), read without trust in its header."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.lib import format as npy

from api.problems import ParameterError
from core.items import FloatMatrix
from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames

NPY = "application/x-npy"
_MEND = f"Send uint8 [n, t, {FRAME_HEIGHT}, {FRAME_WIDTH}, 3], as numpy.save writes it."


def array_of(data: bytes) -> Frames:
    """Return uint8 [n, t, 27, 48, 3], a view of `data`. Raises ParameterError for anything else:
    nothing is allocated by what the header says.
    """
    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, EOFError) as error:
        raise ParameterError("The body is no .npy array.", field="body", mend=_MEND) from error
    if dtype != np.uint8 or fortran or len(shape) != 5:
        what = f"The array is {dtype} of shape {shape}."
        raise ParameterError(what, field="body", mend=_MEND)
    there = len(data) - stream.tell()
    if math.prod(shape) != there:
        what = f"The array has {there:,} bytes, its header says {math.prod(shape):,}."
        raise ParameterError(what, field="body", mend=_MEND)
    frames: Frames = np.frombuffer(data, np.uint8, offset=stream.tell()).reshape(shape)
    return frames


def npy_of(values: FloatMatrix) -> bytes:
    """Return an array as the bytes of a .npy file."""
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()
