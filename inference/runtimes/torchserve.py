"""A graph in TorchServe: another process computes, which serves the archive that
`dateline models convert --to torchserve` wrote.

Arrays go to its inference address as .npz and come back so; nothing is unpickled. Its answer to a
request without arrays says which model's files it has: their digest must be the manifest's here, so
that vectors of two models never mix.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from core.errors import ModelError
from inference.models.store import ModelFolder
from inference.runtime import Array
from inference.runtimes.loading import asked, opened
from inference.serving.remote_calls import RemoteAddress, RemoteService

SECONDS = 30.0  # for a call with all its attempts
_BYTES = "application/octet-stream"
_MEND = "convert the model again, and serve that archive"


@dataclass(slots=True)
class TorchServeRuntime:
    """A model of a TorchServe. `run` may be called from several threads at once."""

    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str
    _path: str
    _service: RemoteService | None  # None once closed

    @classmethod
    def open(
        cls, folder: ModelFolder, *, threads: int, option: str, key: str = ""
    ) -> TorchServeRuntime:
        """Return the model of this name at the inference address `option`, which must answer.
        `key` is its inference key; how many threads work, its own settings say.

        Raises ModelError if it has other files or refuses, UnavailableError if it doesn't answer.
        """
        manifest = folder.manifest
        address = RemoteAddress.parse(f"torchserve:{option}", where="runtimes", path="")
        service, path = RemoteService.open(address, key=key), f"/predictions/{manifest.name}"
        where = f"{address.url}{path}"
        try:
            body, _ = service.send(path, b"", _BYTES, seconds=SECONDS)
            inputs, outputs, digest = _description(body, where)
            if digest != manifest.digest:
                what = f"TorchServe has other files: digest {digest[:12]}…, here "
                raise ModelError(f"{what}{manifest.digest[:12]}…", where=where, mend=_MEND)
        except ModelError:
            service.close()
            raise
        return cls(where, inputs, outputs, "torchserve", path, service)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the named `outputs` for `arrays`, in the order asked for.

        Raises ModelError for a name that the graph lacks or an array that it can't take,
        UnavailableError if TorchServe doesn't answer.
        """
        service = opened(self._service, self.where)
        types = {n: arrays[n].dtype if n in arrays else np.dtype(np.int64) for n in self.inputs}
        feeds = asked(self, outputs, arrays, types)
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, outputs=np.array(list(outputs)), **feeds)
        body, _ = service.send(self._path, packed.getvalue(), _BYTES, seconds=SECONDS)
        try:
            with np.load(io.BytesIO(body), allow_pickle=False) as found:
                return [found[name] for name in outputs]
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise ModelError("the answer can't be read", where=self.where, mend=_MEND) from error

    def close(self) -> None:
        """Close the connections; `run` fails afterwards."""
        service, self._service = self._service, None
        if service is not None:
            service.close()


def _description(body: bytes, where: str) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return what the graph takes and gives, and the digest of its model's files."""
    try:
        told = orjson.loads(body)
        return tuple(map(str, told["inputs"])), tuple(map(str, told["outputs"])), told["digest"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        what = "the model there is not one of our archives"
        raise ModelError(what, where=where, mend=_MEND) from error
