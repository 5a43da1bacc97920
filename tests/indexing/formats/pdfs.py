"""Small PDFs for tests, written byte by byte."""

from __future__ import annotations

import zlib


def pdf(*pages: str, info: str = "", stream: bytes | None = None, entries: str = "") -> bytes:
    """A PDF with a line of text a page; `stream` replaces the contents of every page."""
    count = len(pages)
    kids = " ".join(f"{number + 4} 0 R" for number in range(count))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {count}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *(
            "<</Type/Page/Parent 2 0 R/Resources<</Font<</F1 3 0 R>>>>/MediaBox[0 0 612 792]"
            f"/Contents {number + 4 + count} 0 R>>"
            for number in range(count)
        ),
    ]
    told = [each.encode() for each in objects]
    for text in pages:
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in text.split("\n"))
        content = stream if stream is not None else f"BT /F1 12 Tf 72 700 Td {shown}ET".encode()
        told.append(
            f"<</Length {len(content)}{entries}>>stream\n".encode() + content + b"\nendstream"
        )
    told.append(f"<<{info}>>".encode())
    data = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(told, start=1):
        places.append(len(data))
        data += f"{number} 0 obj".encode() + body + b"\nendobj\n"
    start = len(data)
    data += f"xref\n0 {len(told) + 1}\n0000000000 65535 f \n".encode()
    data += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    size = len(told) + 1
    return (
        data
        + (
            f"trailer<</Size {size}/Root 1 0 R/Info {len(told)} 0 R>>\nstartxref\n{start}\n%%EOF\n"
        ).encode()
    )


def bomb(size: int) -> bytes:
    """A PDF whose page unpacks to `size` bytes, packed twice."""
    packed = zlib.compress(zlib.compress(b" " * size, 9), 9)
    return pdf("x", stream=packed, entries="/Filter[/FlateDecode/FlateDecode]")
