"""The words of dates: English, and what is also read in Spanish, French and German."""

from __future__ import annotations

from collections.abc import Mapping

_ENGLISH = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_OTHERS = {
    "sept": 9,
    "januar": 1,
    "februar": 2,
    "märz": 3,
    "maerz": 3,
    "mai": 5,
    "juni": 6,
    "juli": 7,
    "oktober": 10,
    "okt": 10,
    "dezember": 12,
    "dez": 12,
    "janvier": 1,
    "février": 2,
    "fevrier": 2,
    "avril": 4,
    "juin": 6,
    "juillet": 7,
    "août": 8,
    "aout": 8,
    "septembre": 9,
    "octobre": 10,
    "novembre": 11,
    "décembre": 12,
    "decembre": 12,
    "enero": 1,
    "febrero": 2,
    "marzo": 3,
    "abril": 4,
    "mayo": 5,
    "junio": 6,
    "julio": 7,
    "agosto": 8,
    "septiembre": 9,
    "setiembre": 9,
    "octubre": 10,
    "noviembre": 11,
    "diciembre": 12,
}
MONTHS = {
    **{name: number for number, name in enumerate(_ENGLISH, 1)},
    **{name[:3]: number for number, name in enumerate(_ENGLISH, 1)},
    **_OTHERS,
}
DAY_MONTHS = {**MONTHS, "mars": 3}  # without a day it is the planet
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEKDAYS = {name: number for number, name in enumerate(_DAYS)}
SHORT_WEEKDAYS = {
    "mon": 0,
    "tue": 1,
    "tues": 1,
    "wed": 2,
    "thu": 3,
    "thur": 3,
    "thurs": 3,
    "fri": 4,
    "sat": 5,
    "sun": 6,
}
SEASONS = {  # first month, north
    **dict.fromkeys(("spring", "primavera", "printemps", "frühling", "frühjahr"), 3),
    **dict.fromkeys(("summer", "verano", "été", "sommer"), 6),
    **dict.fromkeys(("autumn", "fall", "otoño", "automne", "herbst"), 9),
    **dict.fromkeys(("winter", "invierno", "hiver"), 12),
}
SPANISH_WEEKDAYS = {
    name: number
    for number, names in enumerate(
        ("lunes", "martes", "miércoles miercoles", "jueves", "viernes", "sábado sabado", "domingo")
    )
    for name in names.split()
}
FRENCH_WEEKDAYS = {
    name: number
    for number, name in enumerate(
        ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
    )
}
GERMAN_WEEKDAYS = {
    **{
        name: number
        for number, name in enumerate(
            ("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag")
        )
    },
    "sonnabend": 5,
}
# A unit of time by its words in Spanish, French and German.
OTHER_UNITS = {
    word: unit
    for unit, words in {
        "minute": "minuto minutos minute minutes minuten",
        "hour": "hora horas heure heures stunde stunden",
        "day": "día días dia dias jour jours tag tage tagen",
        "week": "semana semanas semaine semaines woche wochen",
        "month": "mes meses mois monat monate monaten",
        "quarter": "trimestre trimestres quartal quartale quartalen",
        "year": "año años an ans année années jahr jahre jahren",
        "decade": "década décadas décennie décennies jahrzehnt jahrzehnte jahrzehnten",
    }.items()
    for word in words.split()
} | {"fin de semana": "weekend", "week-end": "weekend", "wochenende": "weekend"}
_COUNTED = {
    1: "un una uno une ein eine einer einem einen",
    2: "dos deux zwei",
    3: "tres trois drei",
    4: "cuatro quatre vier",
    5: "cinco cinq fünf",
    6: "seis six sechs",
    7: "siete sept sieben",
    8: "ocho huit acht",
    9: "nueve neuf neun",
    10: "diez dix zehn",
    12: "doce douze zwölf",
    15: "quince quinze fünfzehn",
    20: "veinte vingt zwanzig",
    30: "treinta trente dreißig",
}
OTHER_NUMBERS = {word: number for number, words in _COUNTED.items() for word in words.split()}
NUMBERS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
    "a": 1,
    "an": 1,
    "couple of": 2,
    "a couple of": 2,
    "half a dozen": 6,
    "dozen": 12,
    "a dozen": 12,
}
DECADES = {
    "twenties": 1920,
    "thirties": 1930,
    "forties": 1940,
    "fifties": 1950,
    "sixties": 1960,
    "seventies": 1970,
    "eighties": 1980,
    "nineties": 1990,
}
ORDINALS = {
    "first": 1,
    "second": 2,
    "third": 3,
    "fourth": 4,
    "1st": 1,
    "2nd": 2,
    "3rd": 3,
    "4th": 4,
}
PARTS_OF_DAY = {
    "morning": (0, 12),
    "afternoon": (12, 18),
    "evening": (18, 24),
    "night": (18, 30),
}
# Other first words of a date, besides months, weekdays, numbers and the like.
_OPENERS = """
    early mid late beginning start middle end the today yesterday tonight tomorrow gestern last
    past previous this next week fortnight month quarter year decade weekend q1 q2 q3 q4 h1 h2 in
    on during throughout within over at im am en from between zwischen entre von vom du since ever
    starting seit depuis any anytime after later nach après before prior earlier avant until till
    up through bis jusqu published dated of for le der den die
    hoy ayer anteayer antier anoche hace el la los las últimos últimas este esta desde después antes
    hasta durante aujourd hier avant il les ces l dans pendant ce cette cet dernier dernière
    del au heute vorgestern vor letzte letzten letzter letztes letztem vergangene vergangenen
    vergangener vergangenes vorige vorigen voriges diese diesen dieser dieses dem das während week
"""
_BEGINNINGS = frozenset(_OPENERS.split()) | frozenset(
    word.split()[0]
    for words in (
        *(DAY_MONTHS, WEEKDAYS, SHORT_WEEKDAYS, SEASONS, NUMBERS, DECADES, ORDINALS),
        *(SPANISH_WEEKDAYS, FRENCH_WEEKDAYS, GERMAN_WEEKDAYS, OTHER_UNITS, OTHER_NUMBERS),
    )
    for word in words
)


def can_begin(word: str) -> bool:
    """Whether a date may begin with this word."""
    return word[0].isdigit() or word.casefold() in _BEGINNINGS


def any_of(words: Mapping[str, object]) -> str:
    """A pattern that matches any of the words, longest first."""
    return "|".join(sorted(words, key=len, reverse=True)).replace(" ", r"\s+")
