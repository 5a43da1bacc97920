"""Every error that Dateline raises on purpose.

    DatelineError
    ├── InputError            the caller's document, query or parameter is wrong (HTTP 4xx)
    │   ├── DocumentError     a document could not be read; has file, line and field
    │   ├── MediaError        a media file could not be decoded
    │   │   └── LimitError    it would take more memory, time or pixels than is allowed
    │   ├── QueryError        a query, filter or date could not be understood
    │   ├── NotFoundError     no such item, for this caller
    │   ├── ConflictError     a write that contradicts the record (stale, same version changed)
    │   └── ExpiredError      a cursor whose candidate list is gone (HTTP 410)
    ├── AccessError           the key is missing, unknown or not allowed to do this
    ├── SettingsError         a setting is missing, unknown or unsafe
    ├── ModelError            a model file is missing, changed or does not fit
    │   └── UnavailableError  a model can't be had just now; try again (HTTP 503)
    └── StorageError          the record of truth or a projection failed
        ├── StorageFullError  no space left for writes; reads go on (HTTP 507)
        ├── HiddenHereError   a kill that is in force in this process only (HTTP 507)
        ├── DiskError         a disk failed; what was written may be recorded or not (HTTP 503)
        ├── CorruptError      a file's checksum does not match
        └── BusyError         too much work at once; try again (HTTP 503)

Each says what happened, where, and how to mend it.
"""

from __future__ import annotations


class DatelineError(Exception):
    """The base of the tree: `what` happened, `where`, and how to `mend` it. Users may see all
    three.
    """

    code = "error"

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        mend = f" — {self.mend}" if self.mend else ""
        return f"{self.what}{place}{mend}"


class InputError(DatelineError):
    """The caller's input is wrong; sending it again unchanged fails again."""

    code = "bad_request"


class DocumentError(InputError):
    """A document that could not be read; `where` is file and line, `field` the JSON path."""

    code = "bad_document"

    def __init__(self, what: str, *, where: str = "", field: str = "", mend: str = "") -> None:
        super().__init__(what, where=where, mend=mend)
        self.field = field

    def __str__(self) -> str:
        return f"{self.field}: {super().__str__()}" if self.field else super().__str__()


class MediaError(InputError):
    """A media file that can't be decoded; trying again does not help."""

    code = "bad_media"


class LimitError(MediaError):
    """A media file that would take more than the limits allow: pixels, memory, time or bytes."""

    code = "media_too_large"


class QueryError(InputError):
    """A query, filter, date or parameter that can't be understood."""

    code = "bad_query"


class NotFoundError(InputError):
    """There is no such item, or this caller may not see it; the error does not say which."""

    code = "not_found"


class ConflictError(InputError):
    """A write that contradicts the record of truth."""

    code = "conflict"


class ExpiredError(InputError):
    """A cursor whose frozen candidate list is no longer kept."""

    code = "cursor_expired"


class AccessError(DatelineError):
    """No key, an unknown key, or a key without this right."""

    code = "forbidden"


class SettingsError(DatelineError):
    """A setting is missing, unknown, malformed or unsafe."""

    code = "bad_setting"


class ModelError(DatelineError):
    """A model's file is missing, changed, or does not fit its manifest."""

    code = "bad_model"


class UnavailableError(ModelError):
    """A model is unavailable at the moment, for example because its service does not answer."""

    code = "model_unavailable"


class StorageError(DatelineError):
    """The record of truth or a projection could not do its work."""

    code = "storage_error"


class StorageFullError(StorageError):
    """No space left on the device: nothing was written, reads go on."""

    code = "storage_full"


class HiddenHereError(StorageError):
    """A change of state that could not be recorded anywhere. It hides its item in this process and
    nowhere else, and is not acknowledged.
    """

    code = "hidden_here"


class DiskError(StorageError):
    """Reading, writing or syncing a file failed, and not for lack of space."""

    code = "disk_error"


class CorruptError(StorageError):
    """A file does not match its checksum."""

    code = "corrupt_file"


class BusyError(StorageError):
    """Too much work at once; nothing was done, try again."""

    code = "busy"
