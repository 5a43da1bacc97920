"""French."""

from __future__ import annotations

from core.languages.declaration import DateWords, KindForms, KindWords, Language

# The closed word classes, elided forms among them, also as they are typed without accents.
_STOP_WORDS = """
    le la les un une des du de au aux l d
    ce cet cette ces ceci cela ça ca c celui celle ceux celles
    je j me m moi mon ma mes tu te t toi ton ta tes il ils elle elles lui eux se s soi son sa ses
    on nous notre nos vous votre vos leur leurs y en même memes mêmes
    qui que qu quoi quel quelle quels quelles où ou quand comment pourquoi combien dont lequel
    laquelle lesquels lesquelles duquel auquel
    suis es est sommes êtes sont été étée être étant était étaient fut furent sera seront serait
    seraient soit soient
    ai as a avons avez ont eu avoir ayant avait avaient aura auront aurait auraient ait aient
    fait font faire peut peuvent pouvait pourrait doit doivent devait devrait va vont
    à a par pour sur sous dans avec sans chez vers entre contre depuis pendant durant selon après
    apres avant jusque jusqu dès malgré
    et ou ni mais donc or car si comme lorsque lorsqu quand puisque puisqu parce afin
    ne n pas plus moins très tres aussi encore déjà deja ainsi alors ici là très trop peu
    tout toute tous toutes autre autres chaque quelque quelques aucun aucune plusieurs
    aujourd quelqu
"""
_KINDS = KindWords(
    forms={
        "picture": KindForms(
            "photos photographies images clichés", "photo", "photographie image cliché"
        ),
        "video": KindForms("vidéos", "vidéo", "clip clips séquence_vidéo"),
        "audio": KindForms("audio audios enregistrements", one="enregistrement son"),
        "graphic": KindForms("infographies graphiques", one="infographie graphique"),
    },
    before=("[récentes ](de la|de l'|de|d'|du|des|sur|montrant|avec)",),
    joined="et ou",
    asked=(
        "[s'il vous plaît ](montre-moi|montrez-moi|trouve-moi|trouvez-moi|il me faut)",
        "(je cherche|je veux[ voir]|voir|cherche|recherche|trouve|trouvez)",
    ),
    which=(
        "toutes tous toutes_les tous_les les des la le une un quelques dernières derniers "
        "nouvelles récentes meilleures"
    ),
    subjects="jeu jeux caméra album de droit sans aucune aucun",
    names=(
        "photo de famille",
        "photo de classe",
        "photo de profil",
        "image de marque",
        "images de synthèse",
        "son de cloche",
    ),
    moments=(
        "{asked} [là ]où",
        "[{asked} ](le moment|le passage|l'endroit|la partie) (où|dans laquelle)",
    ),
    who="elle il elles ils on quelqu'un",
    says="dit disent disait mentionne mentionnent parle_de parlent_de parle_du parle_des",
)
_DATES = DateWords(
    months=(
        "janvier janv",
        "février févr fév",
        "mars",
        "avril avr",
        "mai",
        "juin",
        "juillet juil",
        "août",
        "septembre sept",
        "octobre",
        "novembre",
        "décembre déc",
    ),
    doubtful_months="mars",  # the planet
    weekdays=("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    bare_weekdays="lundi mardi mercredi jeudi vendredi samedi dimanche",
    seasons={3: "printemps", 6: "été", 9: "automne", 12: "hiver"},
    units={
        "minute": ("minute", "minutes"),
        "hour": ("heure", "heures"),
        "day": ("jour", "jours"),
        "week": ("semaine", "semaines"),
        "fortnight": ("quinzaine", "quinzaines"),
        "weekend": ("week-end weekend", "week-ends weekends"),
        "month": ("mois", "mois"),
        "quarter": ("trimestre", "trimestres"),
        "year": ("an année", "ans années"),
        "decade": ("décennie", "décennies"),
    },
    numbers={
        1: "un une",
        2: "deux",
        3: "trois",
        4: "quatre",
        5: "cinq",
        6: "six",
        7: "sept",
        8: "huit",
        9: "neuf",
        10: "dix une_dizaine_de une_dizaine_d'",
        11: "onze",
        12: "douze",
        13: "treize",
        14: "quatorze",
        15: "quinze une_quinzaine_de",
        20: "vingt une_vingtaine_de",
        24: "vingt-quatre vingt_quatre",
        30: "trente",
        40: "quarante",
        48: "quarante-huit quarante_huit",
        50: "cinquante",
        60: "soixante",
        100: "cent",
    },
    ordinals={
        1: "premier première 1er 1re",
        2: "deuxième second seconde 2e 2ème",
        3: "troisième 3e 3ème",
        4: "quatrième 4e 4ème",
    },
    quarters={3: "trimestre", 6: "semestre"},
    decades={
        1920: "vingt",
        1930: "trente",
        1940: "quarante",
        1950: "cinquante",
        1960: "soixante",
        1970: "soixante-dix",
        1980: "quatre-vingt quatre-vingts",
        1990: "quatre-vingt-dix",
    },
    days={0: "aujourd'hui", 1: "hier", 2: "avant-hier avant_hier"},
    day_parts={
        "morning": ("[au ]matin", "dans la matinée"),
        "afternoon": ("[dans l']après-midi",),
        "evening": ("[au ]soir", "dans la soirée"),
    },
    moments={
        "ce matin": (0, "morning"),
        "cet après-midi": (0, "afternoon"),
        "ce soir": (0, "evening"),
        "cette nuit": (1, "night"),
        "la nuit (dernière|passée)": (1, "night"),
        "dans la nuit d'hier": (1, "night"),
    },
    thirds=(
        (
            "[au |en |dès le ]début[ du| de la| de l'| des| de| d']",
            "[au |en ]commencement[ du| de]",
        ),
        ("[à la |la ]mi", "[au ]milieu[ du| de la| de l'| de| d']"),
        ("[à la |en |la ]fin[ du| de la| de l'| des| de| d']",),
    ),
    ago=(
        "[il ]y a [environ |près de |plus de ]{number} ({unit}|{units})",
        "(voici|voilà) {number} ({unit}|{units})",
    ),
    past=(
        "[au cours des |durant les |dans les |les |ces ]{number} derni(er|ère)s {units}",
        "[au cours des |durant les |dans les |les |ces ]derni(er|ère)s {number} {units}",
        "depuis {number} ({unit}|{units})",
    ),
    past_one=("[au cours de |dans |pendant ](le dernier|la dernière) {unit}", "l'{unit} écoulé[e]"),
    last=(
        "[au cours de |durant |pendant ][le |la |l']{unit} (dernier|dernière|passé|passée)",
        "[le |la |l']{unit} précédent[e]",
    ),
    this=("[au cours de ](ce|cet|cette) {unit}[-ci]", "[au cours de ]l'{unit} en cours"),
    next=("[le |la |l']{unit} (prochain|prochaine|à venir)",),
    before_last=("[l']avant-dernier {unit}", "[l']avant-dernière {unit}"),
    so_far=("depuis le début (du |de la |de l'|de ){unit}",),
    third_of=("{unit}", "(ce|cet|cette) {unit}"),
    last_weekday=("[le |de ]{weekday} (dernier|passé)",),
    this_weekday=("ce {weekday}",),
    next_weekday=("[le ]{weekday} prochain",),
    the_weekday=("le {weekday}",),
    night_before=("[dans |durant |pendant ][la ]nuit (de|du) {first} (à|au) {weekday}",),
    weekday_of_last_week=("[le ]{weekday}[,] [de ]la semaine (dernière|passée)",),
    weekday_of_this_week=("[le ]{weekday}[,] [de ]cette semaine",),
    last_named=("[en |au |à ][le |l']{named} (dernier|passé)",),
    this_named=("(ce|cet|cette) {named}",),
    next_named=("[en |au ][le |l']{named} prochain",),
    of_last_year=("[en |au |à l']{named} (de l'an dernier|de l'année dernière|de l'an passé)",),
    of_this_year=("[en |au |à l']{named} de cette année",),
    the_weekend=("le week-end", "le weekend"),
    decade=(
        "[dans |pendant |durant ][les |des ]années {decade}",
        "[dans |pendant |durant ][les |des ]années {decade_word}",
        "[dans |pendant |durant ]la décennie {decade}",
    ),
    last_after="dernier passé",
    first_day="premier",
    article="le la les l'",
    of="de",
    year=("(de|de l'année|de l'an)",),
    since=("depuis", "à partir (du|de la|de l'|de|d')", "à compter (du|de)"),
    after=("après",),
    before=("avant",),
    until=("jusqu'(en|au|à la|à l'|à)", "jusque"),
    between=("entre",),
    start=("(du|de|d')",),
    to=("au", "à", "jusqu'(au|en|à)"),
    joined="et",
    within=(
        "au",
        "à l'",
        "courant",
        "pendant",
        "durant",
        "au cours (de la|de l'|du|de)",
        "lors (du|de)",
    ),
    within_months=(
        "en",
        "(au|du) mois de",
        "(au|du) mois d'",
        "courant",
        "pendant",
        "durant",
        "en l'an",
    ),
    within_days=(),
    counted=(
        "personnes morts mortes décès blessés victimes hommes femmes enfants soldats cas joueurs "
        "étudiants emplois logements maisons entreprises écoles sièges voix points degrés "
        "kilomètres mètres tonnes litres barils vols pages fois mots millions million milliards "
        "milliard mille pour_cent euros dollars francs minutes heures jours semaines mois ans "
        "années migrants arrestations élèves salariés"
    ),
)
FRENCH = Language(
    code="fr",
    name="French",
    stemmer="french",
    stop_words=frozenset(_STOP_WORDS.split()),
    telling=(
        "hier aujourd demain semaine mois année dernier dernière derniers dernières passé lundi "
        "mardi mercredi jeudi vendredi samedi dimanche janvier février avril juin juillet août "
        "septembre octobre novembre décembre depuis élections gouvernement guerre photos vidéo"
    ),
    letters="çêâôîûœëïèàùé",
    endings="eux euse aux ique iques tés ers",
    elided="d l qu j c n jusqu aujourd",
    kinds=_KINDS,
    dates=_DATES,
)
