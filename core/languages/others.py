"""Languages whose words are stemmed or recognised, but in which no dates are read."""

from __future__ import annotations

from core.languages.declaration import Language

_ITALIAN = Language(
    code="it",
    name="Italian",
    stemmer="italian",
    telling=(
        "ieri oggi domani settimana mese anno scorso scorsa lunedì martedì elezioni governo guerra "
        "ministro"
    ),
    letters="èàùìò",
    endings="zione zioni mento",
    elided="d l dell nell all un",
)
_PORTUGUESE = Language(
    code="pt",
    name="Portuguese",
    stemmer="portuguese",
    telling="ontem hoje amanhã semana mês ano passado passada eleições governo guerra",
    letters="áíóúãõçé",
    endings="dora ções ção idade mento",
)
_DUTCH = Language(
    code="nl",
    name="Dutch",
    stemmer="dutch",
    telling="gisteren vandaag morgen week maand jaar verkiezingen regering oorlog",
    endings="heid ingen",
)
_STEMMED = {
    "ar": ("Arabic", "arabic"),
    "da": ("Danish", "danish"),
    "el": ("Greek", "greek"),
    "fi": ("Finnish", "finnish"),
    "hu": ("Hungarian", "hungarian"),
    "nb": ("Norwegian Bokmål", "norwegian"),
    "nn": ("Norwegian Nynorsk", "norwegian"),
    "no": ("Norwegian", "norwegian"),
    "ro": ("Romanian", "romanian"),
    "ru": ("Russian", "russian"),
    "sv": ("Swedish", "swedish"),
    "ta": ("Tamil", "tamil"),
    "tr": ("Turkish", "turkish"),
}
OTHERS = (
    _ITALIAN,
    _PORTUGUESE,
    _DUTCH,
    *(Language(code, name, stemmer) for code, (name, stemmer) in _STEMMED.items()),
)
