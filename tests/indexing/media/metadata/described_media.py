"""Pictures with embedded descriptions, made here: EXIF and XMP by Pillow, IPTC IIM by hand."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping

from PIL import Image

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
NAMESPACES = {
    "rdf": RDF,
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "core": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "ext": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "rights": "http://ns.adobe.com/xap/1.0/rights/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
}


def packet(inner: str, attributes: str = "") -> str:
    """An XMP packet with one Description of `inner`."""
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {names}>'
        f'<rdf:Description rdf:about="" {attributes}>{inner}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def alt(tag: str, text: str, other: str = "") -> str:
    """A property in languages, the default one last."""
    first = f'<rdf:li xml:lang="de">{other}</rdf:li>' if other else ""
    return f'<{tag}><rdf:Alt>{first}<rdf:li xml:lang="x-default">{text}</rdf:li></rdf:Alt></{tag}>'


def bag(tag: str, *texts: str, kind: str = "Bag") -> str:
    """A property with several values."""
    entries = "".join(f"<rdf:li>{text}</rdf:li>" for text in texts)
    return f"<{tag}><rdf:{kind}>{entries}</rdf:{kind}></{tag}>"


def jpeg(
    *, xmp: str = "", exif: Mapping[int, str] | None = None, iptc: Mapping[int, str] | None = None
) -> bytes:
    """A small JPEG with these metadata; IIM datasets of record 2 by number, in UTF-8."""
    image = Image.new("RGB", (64, 48), (90, 120, 150))
    tags = Image.Exif()
    for number, text in (exif or {}).items():
        tags[number] = text
    out = io.BytesIO()
    image.save(out, "JPEG", exif=tags.tobytes(), xmp=xmp.encode() if xmp else b"")
    data = out.getvalue()
    if not iptc:
        return data
    block = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"".join(
        b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(text.encode())) + text.encode()
        for number, text in iptc.items()
    )
    block += b"\0" * (len(block) % 2)
    resource = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", len(block)) + block
    segment = b"\xff\xed" + struct.pack(">H", len(resource) + 2) + resource
    return data[:2] + segment + data[2:]
