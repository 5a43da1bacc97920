"""German."""

from __future__ import annotations

from core.languages.declaration import DateWords, KindForms, KindWords, Language

# The closed word classes, also as they are typed without umlauts.
_STOP_WORDS = """
    der die das dem den des ein eine einer eines einem einen kein keine keiner keines keinem keinen
    dieser diese dieses diesem diesen jener jene jenes jenem jenen
    ich mich mir mein meine meiner meines meinem meinen du dich dir dein deine er ihn ihm sein seine
    seiner seines seinem seinen sie ihr ihre ihrer ihres ihrem ihren es wir uns unser unsere unserer
    euch euer eure man sich selbst
    wer wen wem wessen was wie wo wann warum wieso weshalb wohin woher womit wofür wofuer wozu
    wodurch woran worauf worin worüber worum worunter wovon wovor wogegen wonach
    wieviel wieviele welcher welche welches welchem welchen
    bin bist ist sind seid war waren wäre wären sein gewesen
    habe hast hat haben hatte hatten hätte hätten gehabt
    werde wirst wird werden wurde wurden würde würden worden geworden
    kann können koennen konnte konnten könnte könnten muss müssen musste mussten soll sollen sollte
    sollten will wollen wollte wollten darf dürfen durfte mag möchte gibt gab
    an am auf aus bei beim bis durch für fuer gegen hinter im in ins mit nach neben ohne seit über
    ueber um unter vom von vor während waehrend wegen zu zum zur zwischen
    und oder aber denn sondern als wenn weil dass daß ob obwohl damit doch also dann
    nicht nur auch noch schon sehr so da dort hier hin her mehr viel viele vieler vielen wenig
    wenige weniger
    mancher manche manches manchem manchen
    alle aller alles allem allen andere anderer anderes anderem anderen beide jeder jede
    jedes jedem jeden einige einiger etwas nichts
"""
_KINDS = KindWords(
    forms={
        "picture": KindForms(
            "fotos bilder fotografien aufnahmen bildmaterial", "foto", "bild fotografie"
        ),
        "video": KindForms(
            "videos filmaufnahmen videomaterial videoaufnahmen", "video", "clip filmmaterial"
        ),
        "audio": KindForms("audio audios tonaufnahmen o-töne", one="tonaufnahme o-ton"),
        "graphic": KindForms("grafiken infografiken", one="grafik infografik"),
    },
    before=("(von der|von den|von dem|von|vom|der|des|zu|zum|zur|über|aus|mit|zum thema)",),
    joined="und oder",
    asked=(
        "[bitte ](zeig mir|zeige mir|zeigen sie mir)[ mal][ bitte]",
        "[bitte ](finde|suche|ich suche|ich brauche|ich möchte)",
    ),
    which="alle die das der ein einige neue neueste neuesten aktuelle aktuellen letzte letzten",
    subjects="musik stock im ins ohne keine kein",
    names=("bild der frau", "bild zeitung", "bild am sonntag", "bild-zeitung", "bilder im kopf"),
    moments=(
        "{asked}[,] wo",
        "[{asked} ](die stelle|der moment|den moment)[,] (wo|an der|in der|in dem|an dem)",
    ),
    who="sie er jemand man",
    says="sagt sagen sagte sagten erwähnt erwähnen erwähnte spricht_über sprechen_über",
)
_DATES = DateWords(
    months=(
        "januar jan jänner",
        "februar feb feber",
        "märz mär mrz",
        "april apr",
        "mai",
        "juni jun",
        "juli jul",
        "august aug",
        "september sept sep",
        "oktober okt",
        "november nov",
        "dezember dez",
    ),
    weekdays=(
        "montag",
        "dienstag",
        "mittwoch",
        "donnerstag",
        "freitag",
        "samstag sonnabend",
        "sonntag",
    ),
    bare_weekdays="montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag",
    seasons={3: "frühling frühjahr", 6: "sommer", 9: "herbst", 12: "winter"},
    units={
        "minute": ("minute", "minuten"),
        "hour": ("stunde", "stunden"),
        "day": ("tag tages tags", "tage tagen"),
        "week": ("woche", "wochen"),
        "weekend": ("wochenende wochenendes", "wochenenden"),
        "month": ("monat monats monates", "monate monaten"),
        "quarter": ("quartal quartals", "quartale quartalen"),
        "year": ("jahr jahres jahrs", "jahre jahren"),
        "decade": ("jahrzehnt jahrzehnts", "jahrzehnte jahrzehnten"),
    },
    numbers={
        1: "ein eine einer einem einen",
        2: "zwei",
        3: "drei",
        4: "vier",
        5: "fünf",
        6: "sechs",
        7: "sieben",
        8: "acht",
        9: "neun",
        10: "zehn",
        11: "elf",
        12: "zwölf",
        13: "dreizehn",
        14: "vierzehn",
        15: "fünfzehn",
        20: "zwanzig",
        24: "vierundzwanzig",
        30: "dreißig",
        40: "vierzig",
        48: "achtundvierzig",
        50: "fünfzig",
        60: "sechzig",
        100: "hundert",
    },
    ordinals={
        1: "erstes ersten erste 1.",
        2: "zweites zweiten zweite 2.",
        3: "drittes dritten dritte 3.",
        4: "viertes vierten vierte 4.",
    },
    quarters={3: "quartal", 6: "halbjahr"},
    decades={
        1920: "zwanziger zwanzigern zwanzigerjahre zwanzigerjahren",
        1930: "dreißiger dreißigern dreißigerjahre dreißigerjahren",
        1940: "vierziger vierzigern vierzigerjahre vierzigerjahren",
        1950: "fünfziger fünfzigern fünfzigerjahre fünfzigerjahren",
        1960: "sechziger sechzigern sechzigerjahre sechzigerjahren",
        1970: "siebziger siebzigern siebzigerjahre siebzigerjahren",
        1980: "achtziger achtzigern achtzigerjahre achtzigerjahren",
        1990: "neunziger neunzigern neunzigerjahre neunzigerjahren",
    },
    days={0: "heute", 1: "gestern", 2: "vorgestern"},
    day_parts={
        "morning": ("(morgen|früh|vormittag)",),
        "afternoon": ("(nachmittag|mittag)",),
        "evening": ("abend",),
        "night": ("nacht",),
    },
    moments={
        "(heute nacht|in der nacht)": (1, "night"),
        "(letzte|vergangene) nacht": (1, "night"),
        "in der (letzten|vergangenen) nacht": (1, "night"),
        "(gestern|gestrigen) abend": (1, "evening"),
    },
    thirds=(
        ("[zu |am |seit ](anfang|beginn)[ des| der]",),
        ("mitte[ des| der]",),
        ("ende[ des| der]",),
    ),
    ago=("vor [etwa |rund |über |knapp ]{number} ({unit}|{units})",),
    past=(
        "[in |während |binnen ][den |der |die ](letzt|vergangen)(en|er|e) {number} {units}",
        "seit {number} ({unit}|{units})",
        "binnen {number} ({unit}|{units})",
    ),
    past_one=(),
    last=(
        "[in |im |am ][der |dem |den |die |das |des ](letzt|vergangen|vorig)(en|e|er|es|em) {unit}",
    ),
    this=("[in |im |am |während ]dies(e|en|er|es|em) {unit}", "im laufenden {unit}"),
    next=("[in |im |am ][der |dem |den |die |das ](nächst|kommend)(e|en|er|es|em) {unit}",),
    before_last=("[in |im |am ][der |dem |den |die |das ](vorletzt)(e|en|er|es|em) {unit}",),
    so_far=("im bisherigen {unit}",),
    third_of=("{unit}", "dies(es|er) {unit}"),
    last_weekday=("[am |den |vom ](letzten|vergangenen|vorigen|letzter|letztem) {weekday}",),
    this_weekday=("[an |am ]diesen {weekday}", "an diesem {weekday}"),
    next_weekday=("[am |den ](nächsten|kommenden) {weekday}",),
    the_weekday=("(am|vom) {weekday}",),
    night_before=("[in der |der ]nacht [von {first} ](zum|auf[ den]) {weekday}",),
    weekday_of_last_week=(
        "[am ]{weekday}[,] [in der |in |der ](letzt|vergangen|vorig)(er|en|e) woche",
    ),
    weekday_of_this_week=("[am ]{weekday}[,] [in ]diese[r] woche",),
    last_named=(
        "[in |im |am ][den |dem ](letzten|letzter|vergangenen|vergangener|vorigen) {named}",
    ),
    this_named=("[in |im ]diese(n|m|r|s) {named}",),
    next_named=("[in |im ](nächsten|kommenden) {named}",),
    of_last_year=("[im ]{named} (letzten|vergangenen|vorigen) jahres",),
    of_this_year=("[im ]{named} dieses jahres",),
    the_weekend=("am wochenende",),
    decade=(
        "[in ][den |die |der ]{decade}er[(-| )jahre[n]]",
        "[in ][den |die |der ]{decade_word}[ jahre[n]]",
    ),
    last_before="letzten vergangenen vorigen",
    first_day="ersten erster",
    article="die den dem der das",
    of="",
    year=("des jahres",),
    since=("seit", "ab", "beginnend"),
    after=("nach",),
    before=("vor",),
    until=("bis[ zum| ende]",),
    between=("zwischen",),
    start=("von", "vom"),
    to=("bis[ zum]",),
    joined="und",
    within=("im", "während", "über", "am"),
    within_months=("im", "im monat", "im jahr", "im jahre", "während", "in"),
    within_days=("am", "an"),
    counted=(
        "menschen personen tote toten todesopfer verletzte verletzten opfer männer frauen kinder "
        "soldaten fälle spieler schüler studenten arbeitsplätze häuser wohnungen firmen "
        "unternehmen schulen sitze stimmen punkte grad kilometer meter tonnen liter barrel flüge "
        "seiten mal "
        "wörter millionen million milliarden milliarde tausend prozent euro dollar mark franken "
        "minuten stunden tage tagen wochen monate monaten jahre jahren uhr migranten festnahmen"
    ),
)
GERMAN = Language(
    code="de",
    name="German",
    stemmer="german",
    stop_words=frozenset(_STOP_WORDS.split()),
    telling=(
        "gestern heute morgen woche monat jahr jahre letzte letzten letzter letztes vergangene "
        "vergangenen montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar "
        "märz mai juni juli oktober dezember seit wahl wahlen regierung krieg fotos bilder "
        "heißt heißen hieß bedeutet bedeuten laut statt oft"
    ),
    letters="äöüß",
    endings="ung ungen keit heit schaft lichen licher ischen ischer",
    kinds=_KINDS,
    dates=_DATES,
)
