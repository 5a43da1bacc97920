"""Spanish."""

from __future__ import annotations

from core.languages.declaration import DateWords, KindForms, KindWords, Language

# The closed word classes, also as they are typed without accents.
_STOP_WORDS = """
    el la los las lo un una unos unas al del
    este esta esto estos estas ese esa eso esos esas aquel aquella aquello aquellos aquellas
    yo me mí mi mis tú tu tus te ti él ella ello ellos ellas le les se sí si su sus nos nosotros
    nosotras nuestro nuestra nuestros nuestras os vosotros vosotras vuestro vuestra vuestros
    vuestras usted ustedes suyo suya suyos suyas mismo misma mismos mismas uno
    qué que quién quien quiénes quienes cuál cual cuáles cuales cuándo cuando dónde donde cómo como
    cuánto cuanto cuánta cuanta cuántos cuantos cuántas cuantas cuyo cuya cuyos cuyas porqué
    soy es somos son sea sean era eran fue fueron será serán sería serían ser siendo sido
    estoy está esta están estan estaba estaban estuvo estuvieron estar estado
    he ha has hemos han haya hayan había habían hubo haber habido hay
    tiene tienen tenía tenían tuvo tuvieron tener
    puede pueden podía podían pudo podría podrían debe deben debía debería deberían
    hace hacen hizo va van
    a ante bajo con contra de desde durante en entre hacia hasta mediante para por según segun sin
    sobre tras
    y e ni o u pero sino aunque porque pues mientras luego
    no más mas menos muy ya también tambien tampoco sólo solo tan tanto tanta tantos tantas aquí
    aqui ahí ahi allí alli así asi aún aun
    todo toda todos todas otro otra otros otras cada algún algun alguno alguna algunos algunas
    ningún ningun ninguno ninguna mucho mucha muchos muchas poco poca pocos pocas algo nada
"""
_KINDS = KindWords(
    forms={
        "picture": KindForms(
            "fotos fotografías imágenes", "foto", "fotografía imagen instantánea instantáneas"
        ),
        "video": KindForms("vídeos videos", "vídeo video", "clip grabación_de_vídeo"),
        "audio": KindForms("audio audios grabaciones", one="grabación sonido"),
        "graphic": KindForms("gráficos infografías", one="gráfico infografía"),
    },
    before=("[recientes |nuevas |nuevos ](de|del|sobre|acerca de|con)",),
    joined="y e o",
    asked=(
        "[por favor ](muéstrame|muéstreme|enséñame|dame|encuentra|busco|buscar|busca)",
        "(necesito|quiero[ ver]|ver)",
    ),
    which=(
        "todas todos todas_las todos_los las los la el una un unas unos algunas algunos últimas "
        "últimos nuevas nuevos recientes mejores"
    ),
    subjects="música juego juegos cámara de sin no",
    names=(
        "foto de familia",
        "foto de perfil",
        "imagen de marca",
        "vídeo musical",
        "video musical",
    ),
    moments=(
        "{asked} (donde|dónde)",
        "[{asked} ](el momento|la parte|el vídeo|el pasaje) (en (que|el que|la que)|donde|cuando)",
    ),
    who="ella él ellas ellos alguien",
    says=(
        "dice dicen dijo dijeron está_diciendo menciona mencionan mencionó habla_de hablan_de "
        "habló_de"
    ),
)
_DATES = DateWords(
    months=(
        "enero ene",
        "febrero",
        "marzo",
        "abril abr",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre setiembre",
        "octubre",
        "noviembre",
        "diciembre dic",
    ),
    weekdays=("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    bare_weekdays="lunes martes miércoles jueves viernes sábado",  # Plácido Domingo
    seasons={3: "primavera", 6: "verano", 9: "otoño", 12: "invierno"},
    units={
        "minute": ("minuto", "minutos"),
        "hour": ("hora", "horas"),
        "day": ("día", "días"),
        "week": ("semana", "semanas"),
        "fortnight": ("quincena", "quincenas"),
        "weekend": ("fin_de_semana finde", "fines_de_semana"),
        "month": ("mes", "meses"),
        "quarter": ("trimestre", "trimestres"),
        "year": ("año", "años"),
        "decade": ("década", "décadas"),
    },
    numbers={
        1: "un una",
        2: "dos un_par_de",
        3: "tres",
        4: "cuatro",
        5: "cinco",
        6: "seis media_docena_de",
        7: "siete",
        8: "ocho",
        9: "nueve",
        10: "diez",
        11: "once",
        12: "doce",
        13: "trece",
        14: "catorce",
        15: "quince",
        20: "veinte",
        24: "veinticuatro",
        30: "treinta",
        40: "cuarenta",
        48: "cuarenta_y_ocho",
        50: "cincuenta",
        60: "sesenta",
        100: "cien",
    },
    ordinals={
        1: "primer primero 1er 1.º 1º",
        2: "segundo 2.º 2º",
        3: "tercer tercero 3er 3.º 3º",
        4: "cuarto 4.º 4º",
    },
    quarters={3: "trimestre", 6: "semestre"},
    decades={
        1920: "veinte",
        1930: "treinta",
        1940: "cuarenta",
        1950: "cincuenta",
        1960: "sesenta",
        1970: "setenta",
        1980: "ochenta",
        1990: "noventa",
    },
    days={0: "hoy", 1: "ayer", 2: "anteayer antier antes_de_ayer"},
    day_parts={
        "morning": ("(por|en|a) la mañana", "temprano"),
        "afternoon": ("(por|en|a) la tarde",),
        "evening": ("(por|en|a) la noche",),
        "small hours": ("de madrugada", "(por|en|a) la madrugada"),
    },
    moments={
        "anoche": (1, "night"),
        "anteanoche": (2, "night"),
        "antenoche": (2, "night"),
        "(la noche pasada|la pasada noche)": (1, "night"),
        "esta mañana": (0, "morning"),
        "esta tarde": (0, "afternoon"),
        "esta noche": (0, "evening"),
        "esta madrugada": (0, "small hours"),
        "(la pasada madrugada|la madrugada pasada)": (0, "small hours"),
    },
    thirds=(
        ("[a ](principio|principios|comienzos|inicios) (de|del)",),
        ("[a ]mediados (de|del)",),
        ("[a ](final|finales|fines) (de|del)",),
    ),
    ago=(
        "hace [unos |unas |casi |más de |mas de ]{number} ({unit}|{units})",
        "{number} {units} atrás",
    ),
    past=(
        "[en |durante ][los |las |estos |estas ]últim(o|a)s {number} {units}",
        "[en |durante ][los |las |estos |estas ]{number} últim(o|a)s {units}",
        "[en |durante ](los|las) pasad(o|a)s {number} {units}",
    ),
    past_one=("[en |durante ](el|la) últim(o|a) {unit}",),
    last=(
        "[en |durante ][el |la ]{unit} (pasad(o|a)|anterior)",
        "[en |durante ](el|la) pasad(o|a) {unit}",
    ),
    this=("[en |durante ]est(e|a) {unit}", "[en |durante ](el|la) (presente|actual) {unit}"),
    next=("[el |la ]{unit} (que viene|próxim(o|a)|entrante)", "[el |la ]próxim(o|a) {unit}"),
    before_last=("[el |la ]penúltim(o|a) {unit}", "[el |la ]antepasad(o|a) {unit}"),
    so_far=("[en ]lo que va (de|del) {unit}", "en lo que llevamos de {unit}"),
    third_of=("{unit}", "este {unit}"),
    last_weekday=("[el ]{weekday} pasado", "[el ]pasado {weekday}", "el último {weekday}"),
    this_weekday=("este {weekday}",),
    next_weekday=("[el ]próximo {weekday}", "[el ]{weekday} (próximo|que viene)"),
    the_weekday=("[ayer |hoy ](el|del) {weekday}",),
    night_before=("[en |durante ]la (noche|madrugada) del {first} al {weekday}",),
    weekday_of_last_week=("[el ]{weekday}[,] [de ]la (semana pasada|pasada semana)",),
    weekday_of_this_week=("[el ]{weekday}[,] [de ]esta semana",),
    last_named=("[en |durante ][el ]pasado [mes de ]{named}", "[en |durante ][el ]{named} pasado"),
    this_named=("[en |durante ]este {named}",),
    next_named=("[el ]próximo {named}", "[el ]{named} (próximo|que viene)"),
    of_last_year=("[en ][el ]{named} (del año pasado|del pasado año)",),
    of_this_year=("[en ][el ]{named} de este año",),
    the_weekend=("el fin de semana", "el finde"),
    decade=(
        "[en |durante ][los ]años {decade}",
        "[en |durante ][los ]años {decade_word}",
        "[en |durante ]la década (de|del) [los |los años ]{decade}",
        "[en |durante ]la década (de|del) [los |los años ]{decade_word}",
        "(en|durante) los {decade_word}",
        "(en|durante) los {decade}",
    ),
    last_before="pasado último",
    last_after="pasado último",
    first_day="primero",
    article="el la los las el_día",
    of="de del",
    year=("(de|del)[ año]",),
    since=("[ya ]desde", "a partir (de|del)", "a contar (de|del)"),
    after=("después (de|del)", "con posterioridad a", "posterior(es| )a", "posteriores a", "tras"),
    before=("antes (de|del)", "anteriores a", "previos a", "con anterioridad a"),
    until=("hasta",),
    between=("entre",),
    start=("desde", "(de|del)"),
    to=("hasta", "(a|al)"),
    joined="y e",
    within=("durante", "en el transcurso de", "a lo largo (de|del)"),
    within_months=("en", "durante", "en el mes de", "durante el mes de", "[en ]el año", "año"),
    counted=(
        "personas muertos muertas fallecidos heridos víctimas hombres mujeres niños soldados casos "
        "jugadores estudiantes empleos viviendas casas empresas escuelas escaños votos puntos "
        "grados kilómetros metros toneladas litros barriles vuelos páginas veces palabras "
        "millones millón "
        "mil por_ciento euros dólares pesos minutos horas días semanas meses años migrantes "
        "detenidos desaparecidos desplazados trabajadores alumnos"
    ),
)
SPANISH = Language(
    code="es",
    name="Spanish",
    stemmer="spanish",
    stop_words=frozenset(_STOP_WORDS.split()),
    telling=(
        "ayer hoy mañana semana mes año años pasado pasada lunes martes miércoles jueves viernes "
        "sábado domingo enero febrero abril junio julio septiembre octubre noviembre diciembre "
        "desde elecciones gobierno guerra fotos vídeo presidente ministro"
    ),
    letters="ñáíóúé",
    endings="ción ciones idad idades miento mientos dora",
    kinds=_KINDS,
    dates=_DATES,
)
