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
    "el": ("Greek", "greek"),
    "nn": ("Norwegian Nynorsk", "norwegian"),
    "no": ("Norwegian", "norwegian"),
    "ru": ("Russian", "russian"),
    "ta": ("Tamil", "tamil"),
}


def _told(code: str, name: str, stemmer: str, telling: str, letters: str = "") -> Language:
    """Return a language that only its telling words and letters show: larger languages have its
    stop words, too.
    """
    return Language(code, name, stemmer, telling=telling, letters=letters, tells_alone=True)


_TOLD = (
    _told(
        "ro",
        "Romanian",
        "romanian",
        "când câte câți cât cine ce au pentru sunt și după despre",
        "ășțţâ",
    ),
    _told(
        "tr", "Turkish", "turkish", "hangi kaç nasıl nedir neden kimdir ve bir için olarak", "ğışİ"
    ),
    _told(
        "sv",
        "Swedish",
        "swedish",
        "och är för vad vilken vilket vilka hur när varför många från föddes",
    ),
    _told(
        "da", "Danish", "danish", "og ikke hvad hvem hvilken hvilket hvornår hvorfor hvordan", "æøå"
    ),
    _told("nb", "Norwegian Bokmål", "norwegian", "hva når hvorfor etter"),
    _told(
        "fi", "Finnish", "finnish", "mikä mitä kuka missä milloin miksi kuinka montako että ovat"
    ),
    _told("hu", "Hungarian", "hungarian", "és hogy milyen mikor miért melyik hány volt egy", "őű"),
    _told(
        "pl", "Polish", "", "jest się kto który która które kiedy gdzie dlaczego przez", "łąęśżźćń"
    ),
    _told("cs", "Czech", "", "který která které kdo kdy kde proč jsou bylo volby", "řěů"),
    _told(
        "vi",
        "Vietnamese",
        "",
        "của là những và các được trong không năm nào sinh",
        "ăđơưạảấầậắặẹếềểễệịọốồổộớờởợụủứừửữự",
    ),
    _told(
        "id", "Indonesian", "", "yang dengan untuk siapa kapan berapa adalah bagaimana mengapa dari"
    ),
)
OTHERS = (
    _ITALIAN,
    _PORTUGUESE,
    _DUTCH,
    *_TOLD,
    *(Language(code, name, stemmer) for code, (name, stemmer) in _STEMMED.items()),
)
