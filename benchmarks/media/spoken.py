"""Sounds to transcribe whose words are known: recorded clips, speech that is generated here by
espeak-ng in four languages, and sounds in which nobody speaks.

The generated speech is a machine's voice and says nothing about how well people are understood: it
compares languages and settings. espeak-ng comes with the package `espeakng-loader` (GPL), which
nothing but this benchmark uses.
"""

from __future__ import annotations

import csv
import ctypes
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.int16]
RATE = 22_050
SENTENCES = {
    "en": (
        "The ferry left the harbour at nine and reached the island shortly before noon.",
        "Firefighters worked through the night to keep the flames away from the village.",
        "The central bank raised its interest rate by a quarter of a point on Thursday.",
        "Thousands of people marched through the capital to demand higher wages.",
        "The court found that the company had hidden the results of its tests.",
        "Heavy rain flooded several streets and closed the main railway line.",
        "The minister said that the new hospital would open before the end of the year.",
        "The striker scored twice in the second half and the home team won the match.",
    ),
    "es": (
        "El barco salió del puerto a las nueve y llegó a la isla poco antes del mediodía.",
        "Los bomberos trabajaron toda la noche para alejar las llamas del pueblo.",
        "El banco central subió el jueves los tipos de interés un cuarto de punto.",
        "Miles de personas marcharon por la capital para exigir mejores salarios.",
        "El tribunal concluyó que la empresa había ocultado los resultados de sus pruebas.",
        "Las fuertes lluvias inundaron varias calles y cerraron la principal línea de tren.",
        "El ministro dijo que el nuevo hospital abrirá antes de que termine el año.",
        "El delantero marcó dos goles en la segunda parte y ganó el equipo local.",
    ),
    "de": (
        "Die Fähre verließ den Hafen um neun Uhr und erreichte die Insel kurz vor Mittag.",
        "Die Feuerwehr arbeitete die ganze Nacht, um die Flammen vom Dorf fernzuhalten.",
        "Die Zentralbank erhöhte den Leitzins am Donnerstag um einen Viertelpunkt.",
        "Tausende Menschen zogen durch die Hauptstadt und forderten höhere Löhne.",
        "Das Gericht stellte fest, dass die Firma die Ergebnisse ihrer Tests verborgen hatte.",
        "Starker Regen überflutete mehrere Straßen und sperrte die wichtigste Bahnstrecke.",
        "Der Minister sagte, das neue Krankenhaus werde noch vor Jahresende öffnen.",
        "Der Stürmer traf in der zweiten Hälfte zweimal und die Heimmannschaft gewann das Spiel.",
    ),
    "fr": (
        "Le ferry a quitté le port à neuf heures et a atteint l'île peu avant midi.",
        "Les pompiers ont travaillé toute la nuit pour éloigner les flammes du village.",
        "La banque centrale a relevé jeudi son taux d'intérêt d'un quart de point.",
        "Des milliers de personnes ont défilé dans la capitale pour de meilleurs salaires.",
        "Le tribunal a conclu que l'entreprise avait caché les résultats de ses tests.",
        "De fortes pluies ont inondé plusieurs rues et fermé la principale ligne de train.",
        "Le ministre a déclaré que le nouvel hôpital ouvrirait avant la fin de l'année.",
        "L'attaquant a marqué deux fois en seconde période et l'équipe locale a gagné le match.",
    ),
}


@dataclass(frozen=True, slots=True)
class Spoken:
    """A file of sound, and the words in it."""

    path: Path
    words: str
    language: str = "en"


def recorded(folder: Path) -> list[Spoken]:
    """Return the clips that `transcripts.tsv` in the folder names."""
    with (folder / "transcripts.tsv").open(encoding="utf-8", newline="") as table:
        rows = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Spoken(folder / row["file"], row["transcript"].strip()) for row in rows]


def generated(folder: Path) -> Iterator[Spoken]:
    """Write and yield a file for each language: its sentences with pauses between them."""
    voice = Espeak()
    for language, sentences in SENTENCES.items():
        parts: list[Wave] = []
        for sentence in sentences:
            parts += [voice.said(sentence, language), np.zeros(round(0.7 * RATE), np.int16)]
        path = write(folder / f"{language}.wav", np.concatenate(parts), RATE)
        yield Spoken(path, " ".join(sentences), language)


def wordless(folder: Path) -> dict[str, Path]:
    """Write a minute of each sound in which nobody speaks, and return the files by their names."""
    random = np.random.default_rng(7)
    noise = random.normal(0, 1, 60 * RATE)
    sounds = {
        "silence": np.zeros(60 * RATE),
        "room noise": 60 * noise,
        "loud noise": 4_000 * noise,
        "music": music(60.0, random),
    }
    return {
        name: write(folder / f"{name.replace(' ', '_')}.wav", samples, RATE)
        for name, samples in sounds.items()
    }


def music(seconds: float, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a band: chords that change every two seconds, a melody, a bass and a drum."""
    out, hit = np.zeros(round(seconds * RATE)), RATE // 10
    chords = ((220, 262, 330), (175, 220, 262), (262, 330, 392), (196, 247, 294))  # hertz
    for start in np.arange(0.0, seconds, 0.5):
        chord = chords[int(start // 2) % len(chords)]
        _add(out, start, _note(chord[0] / 2, 0.5, 6))
        _add(out, start, _note(float(random.choice(chord)) * 2, 0.45, 4))
        if start % 2 == 0:
            for pitch in chord:
                _add(out, start, 0.6 * _note(pitch, 2.0, 1.0))
        _add(out, start, 0.5 * random.normal(0, 1, hit) * np.exp(-np.arange(hit) / 300))
    loud: npt.NDArray[np.float64] = 8_000 * out / np.abs(out).max()
    return loud


def write(path: Path, samples: npt.NDArray[np.generic], rate: int) -> Path:
    """Write samples of one channel as a WAV file."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.clip(samples, -32_768, 32_767).astype("<i2").tobytes())
    return path


def _note(pitch: float, seconds: float, decay: float) -> npt.NDArray[np.float64]:
    times = np.arange(round(seconds * RATE)) / RATE
    harmonics = sum(np.sin(2 * np.pi * pitch * n * times) / n for n in range(1, 6))
    made: npt.NDArray[np.float64] = harmonics * np.exp(-decay * times)
    return made


def _add(out: npt.NDArray[np.float64], start_s: float, part: npt.NDArray[np.float64]) -> None:
    start = round(start_s * RATE)
    end = min(len(out), start + len(part))
    out[start:end] += part[: end - start]


class Espeak:
    """espeak-ng's library; https://github.com/espeak-ng/espeak-ng, speak_lib.h."""

    _SYNCHRONOUS, _UTF8, _RATE_PARAMETER = 2, 1, 1

    def __init__(self, words_a_minute: int = 150) -> None:
        import espeakng_loader  # type: ignore[import-not-found]

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        rate = self._library.espeak_Initialize(self._SYNCHRONOUS, 0, data, 0)
        if rate != RATE:
            raise SystemExit(f"espeak-ng gives {rate} samples a second")
        self._said: list[bytes] = []
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._heard = kind(self._hear)  # kept: the library calls it
        self._library.espeak_SetSynthCallback(self._heard)
        self._library.espeak_SetParameter(self._RATE_PARAMETER, words_a_minute, 0)

    def said(self, text: str, language: str) -> Wave:
        """Return the text as samples."""
        self._said.clear()
        self._library.espeak_SetVoiceByName(language.encode())
        data = text.encode()
        place = ctypes.c_char_p(data)
        self._library.espeak_Synth(place, len(data) + 1, 0, 0, 0, self._UTF8, None, None)
        self._library.espeak_Synchronize()
        return np.frombuffer(b"".join(self._said), np.int16)

    def _hear(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _: int) -> int:
        if samples and count > 0:
            self._said.append(ctypes.string_at(samples, 2 * count))
        return 0
