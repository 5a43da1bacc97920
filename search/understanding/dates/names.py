"""Names that have a date in them: the September 11 attacks are not a date, Good Friday is not a
weekday.

A year alone filters nothing, so World Cup 2026 and Agenda 2030 need no line here.
"""

from __future__ import annotations

import re

_MONTH = (
    "january|february|march|april|may|june|july|august|september|october|november|december|"
    "jan\\.?|feb\\.?|sept?\\.?|oct\\.?|nov\\.?|dec\\.?"
)
_DAY = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)s?"
_EVENT = (
    "attacks?|attackers?|terror(?:ist|ism)?|hijack\\w+|victims?|memorial|museum|commission|committee|"
    "riots?|rioters?|insurrection|panel|hearings?|pardons?|defendants?|massacre|bombings?|uprising|"
    "revolution|movement|coup|generation|crackdown|agreement|accords?|anniversary|survivors?|plot"
)
# Names of things that have a number: iPhone 15, Section 230, Boeing 737, Resolution 1701.
_NUMBERED = (
    "iphone|ipad|galaxy|pixel|playstation|ps|xbox|windows|android|ios|section|article|chapter|title|"
    "act|rule|resolution|proposition|prop|amendment|clause|paragraph|boeing|airbus|flight|mig|route|"
    "highway|interstate|motorway|area|studio|channel|catch|covid|apollo|soyuz|artemis|voyager|type|"
    "class|grade|level|phase|tier|stage|round|game|part|volume|episode|season|series|group|formula|"
    "model|version|number|no\\.|page|room|gate|platform|track|line|bus|unit|block|top|under|over|"
    "g|f|b|psalm|fahrenheit"
)
# One a line; a blank is any white space.
_LINES = r"""
{month} [0-9]{1,2}(?:th|st|nd|rd)? (?:{event})
[0-9]{1,2}(?:th|st|nd|rd)? (?:of )?(?:{month}) (?:{event})
(?:{month}) (?:revolution|uprising|coup)
(?:9/11|7/7|24/7|11-m)
mardi gras
heute[- ](?:journal|show)
(?:black|good|bloody|super|giving|ash|palm|easter|holy|maundy|shrove|whit|cyber|casual) {day}
(?:freaky|ruby|stormy|blue|sheffield|gospel) {day}
{day} (?:times|nights?|mail|telegraph|mirror|express|roast|school|league|post|herald|independent)
friday the (?:13|thirteen)th
freitag,? (?:der|den) 13\.?
(?:viernes|martes|vendredi) 13
(?:vendredi|viernes) saint
(?:lunes|jueves|viernes|sábado|domingo) (?:santo|negro|sangriento)
(?:lundi|jeudi|vendredi) (?:noir|rouge|de pâques|de pentecôte)
domingo de (?:ramos|resurrección)
(?:schwarzer|blutiger) (?:montag|donnerstag|freitag|sonntag)
welt am sonntag
bild am sonntag
journal du dimanche
fridays for future
(?:may|lady|boxing|mother['’]?s|father['’]?s|labou?r|canada|australia|bastille|victory) day
black september
september song
fifth of november
cinco de mayo
april fools?['’]?s?
march madness
(?<!in )(?<!since )(?<!last )(?<!this )march (?:on|for|against|of) (?!18|19|20)\w+
(?:theresa|brian|lady|mrs|mr|ms|pm|prime minister|imelda) may
(?:confidence|trust|faith) in may
(?:fredric|jane) march
june (?:carter|allyson)
august wilson
april (?:lavigne|ludgate)
jan (?:van|de|von|smuts|palach)
(?:arab|prague|croatian|beijing) spring
spring of nations
nuclear winter
winter of discontent
indian summer
summer of (?:love|soul|sam|['’]?[0-9]{2}(?![0-9]))
what you did last summer
(?:winter|summer) (?:olympics?|paralympics?|games|war|palace|school|fuel|camp|soldier|time)
(?:18|19|20)[0-9]{2} (?:world cup|olympics?|paralympics?|games|super bowl|expo|grand prix|ashes)
(?:18|19|20)[0-9]{2} (?:general |presidential |midterm )?(?:elections?|primary|primaries|census)
(?:18|19|20)[0-9]{2} (?:championships?|season|edition|tour|film|movie|remake|novel|album|model)
1984 (?:by )?(?:george )?orwell
orwell['’]s (?:in )?1984
nineteen eighty[- ]four
2001:? a space odyssey
2000 (?:ad|guineas)
(?:{numbered})[- ]?[0-9]{1,4}(?! ?[-/.] ?[0-9])
(?:his|her|their|my|your|our|its) (?:(?:early|mid|late)[- ])?['’]?[0-9]0s
(?:men|women|people|man|woman|aged|temperatures|highs|lows) in the (?:\w+[- ])?['’]?[0-9]0s
in (?:early|mid|late)?[- ]?['’]?[0-9]0s
today (?:show|programme|program|fm)
(?:usa|india|russia|psychology|veterans|world) today
yesterday (?:beatles|film|movie|song)
(?:day after|edge of|die another|war of) tomorrow
tomorrow (?:never dies|people|land)
this morning (?:itv|host|show|presenters?)
last night (?:in soho|of the proms)
day['’]s night
"""


def _pattern(line: str) -> str:
    text = line.replace("{month}", f"(?:{_MONTH})").replace("{day}", _DAY)
    text = text.replace("{event}", _EVENT).replace("{numbered}", _NUMBERED)
    return rf"(?<!\w){text}(?!\w)".replace("[- ]", r"[-\s]").replace(" ", r"\s")


_NAMES = re.compile("|".join(_pattern(line) for line in _LINES.split("\n") if line), re.IGNORECASE)
# Days of a month that name an event if no year is beside them.
KNOWN_DAYS = re.compile(
    r"(?:sept(?:ember|\.)?\s+11(?:th)?|11(?:th)?\s+(?:of\s+)?sept(?:ember|\.)?|"
    r"jan(?:uary|\.)?\s+6(?:th)?|oct(?:ober|\.)?\s+7(?:th)?|july\s+4(?:th)?|"
    r"(?:the\s+)?4(?:th)?\s+of\s+july|june\s+4(?:th)?|may\s+(?:1st|4th|1)|"
    r"(?:del?\s+)?(?:11\s+de\s+septiembre|(?:1|1\.?º|primero)\s+de\s+mayo|8\s+de\s+marzo|"
    r"12\s+de\s+octubre|20\s+de\s+noviembre)|"
    r"(?:du\s+)?(?:11\s+septembre|14\s+juillet|1er\s+mai|11\s+novembre|8\s+mai)|"
    r"(?:vom\s+|des\s+)?(?:11\.\s+september|1\.\s+mai|9\.\s+november|17\.\s+juni|"
    r"20\.\s+juli|3\.\s+oktober))",
    re.IGNORECASE,
)


def names_in(text: str) -> tuple[tuple[int, int], ...]:
    """Return the spans in the text of names that look like dates."""
    return tuple(found.span() for found in _NAMES.finditer(text))
