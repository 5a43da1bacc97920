"""The name of each property in XMP, IPTC IIM, EXIF and a video's container.

IPTC Photo Metadata Standard 2023.1, IPTC IIM 4.2 (record 2, datasets by number), Exif 3.0,
QuickTime File Format (com.apple.quicktime.*), Matroska tags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DC = "{http://purl.org/dc/elements/1.1/}"
PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
CORE = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
RIGHTS = "{http://ns.adobe.com/xap/1.0/rights/}"
BASIC = "{http://ns.adobe.com/xap/1.0/}"
PLUS = "{http://ns.useplus.org/ldf/xmp/1.0/}"
TDM = "{http://www.w3.org/ns/tdmrep/}"

Names = Mapping[str, Sequence[str]]

# Roles with one text, and the ninjs member that each becomes.
TEXTS: Mapping[str, str] = {
    "headline": "headline",
    "title": "title",
    "description": "description_caption",
    "creator": "byline",
    "credit": "creditline",
    "copyright": "copyrightnotice",
    "usageterms": "usageterms",
    "instructions": "ednote",
}
# For people who can't see the picture: not a caption, but indexed beside it.
ALT_TEXTS = (f"{CORE}ExtDescrAccessibility", f"{CORE}AltTextAccessibility")
DATES: Mapping[str, str] = {"created": "firstcreated"}
# Statements about rights, as they are written: they, and not our reading of them, decide whether a
# file may be sent to somebody.
RAW_RIGHTS: Mapping[str, str] = {
    "UsageTerms": f"{RIGHTS}UsageTerms",
    "Marked": f"{RIGHTS}Marked",
    "WebStatement": f"{RIGHTS}WebStatement",
    "DataMining": f"{PLUS}DataMining",
    "OtherConstraints": f"{PLUS}OtherConstraints",
    "TDMReservation": f"{TDM}reservation",
    "TDMPolicy": f"{TDM}policy",
}

XMP: Names = {
    "headline": (f"{PHOTOSHOP}Headline",),
    "title": (f"{DC}title",),
    "description": (f"{DC}description",),
    "creator": (f"{DC}creator",),
    "credit": (f"{PHOTOSHOP}Credit",),
    "copyright": (f"{DC}rights",),
    "usageterms": (f"{RIGHTS}UsageTerms",),
    "instructions": (f"{PHOTOSHOP}Instructions",),
    "keywords": (f"{DC}subject",),
    "subjectcodes": (f"{CORE}SubjectCode",),
    "persons": (f"{EXT}PersonInImage",),
    "organisations": (f"{EXT}OrganisationInImageName",),
    "sublocation": (f"{CORE}Location",),
    "city": (f"{PHOTOSHOP}City",),
    "state": (f"{PHOTOSHOP}State",),
    "country": (f"{PHOTOSHOP}Country",),
    "countrycode": (f"{CORE}CountryCode",),
    "urgency": (f"{PHOTOSHOP}Urgency",),
    "language": (f"{DC}language",),
    "sourcetype": (f"{EXT}DigitalSourceType",),
    "created": (f"{PHOTOSHOP}DateCreated", f"{BASIC}CreateDate"),
}
# By number, and by the names of some programs.
IIM: Names = {
    "headline": ("2:105", "headline"),
    "title": ("2:05", "2:5", "objectname"),
    "description": ("2:120", "captionabstract", "caption"),
    "creator": ("2:80", "byline"),
    "credit": ("2:110", "credit"),
    "copyright": ("2:116", "copyrightnotice"),
    "instructions": ("2:40", "specialinstructions"),
    "keywords": ("2:25", "keywords"),
    "subjectcodes": ("2:12", "subjectreference"),
    "sublocation": ("2:92", "sublocation"),
    "city": ("2:90", "city"),
    "state": ("2:95", "provincestate"),
    "country": ("2:101", "countryprimarylocationname", "country"),
    "countrycode": ("2:100", "countryprimarylocationcode"),
    "urgency": ("2:10", "urgency"),
    "created": ("2:55", "datecreated"),
    "created_time": ("2:60", "timecreated"),
}
EXIF: Names = {
    "title": ("xptitle",),
    "description": ("imagedescription", "xpcomment", "xpsubject"),
    "creator": ("artist", "xpauthor"),
    "copyright": ("copyright",),
    "keywords": ("xpkeywords",),
    "created": ("datetimeoriginal", "datetimedigitized"),
    "created_offset": ("offsettimeoriginal", "offsettimedigitized", "offsettime"),
}
_QUICKTIME = "com.apple.quicktime."
CONTAINER: Names = {
    "title": ("title", f"{_QUICKTIME}title", f"{_QUICKTIME}displayname"),
    "description": (
        "description",
        f"{_QUICKTIME}description",
        "synopsis",
        "comment",
        f"{_QUICKTIME}comment",
    ),
    "creator": ("artist", "author", f"{_QUICKTIME}author"),
    "copyright": ("copyright", f"{_QUICKTIME}copyright"),
    "keywords": ("keywords", f"{_QUICKTIME}keywords"),
    "created": (f"{_QUICKTIME}creationdate", "creationtime", "date", "datereleased"),
}
