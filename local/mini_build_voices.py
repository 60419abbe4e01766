"""Where each voice of egs/mini lies in its Debian package (a table for local/mini_build.py to walk).

Genders: from the name of the voice where its package or its credits give one, else from the median F0
of all its speech (NOTES says which are not certain; children are listed by the sound of their voice).
"""

from __future__ import annotations

from dataclasses import dataclass

# fmt: off
FEMALE = {
    "ast-allison", "ast-june", "ast-ivrvoice", "ast-menardi", "ast-armelle", "ast-july",
    "fil-cs-m", "fil-nl-m", "tux-be", "tux-el", "tux-en", "tux-es", "tux-ro",
    "ktb-ca", "ktb-da", "ktb-gl", "ktb-nn",
    "klt-ar", "klt-cs", "klt-de-alpha", "klt-en-gb", "klt-es", "klt-it", "klt-nb", "klt-nl", "klt-pt-br",
    "klt-ru", "klt-tn", "klt-uk",
    "queen-arnold", "queen-keith", "queen-martin", "queen-reagan", "queen-valdez",
}
EVAL = {
    "klt-cs", "klt-en-gb", "klt-hu", "klt-ml", "tux-be", "tux-bg", "tux-es", "tux-ru",
    "queen-arnold", "queen-coleman", "queen-hill", "queen-hootkins", "queen-james", "queen-keith",
    "queen-lavelle", "queen-martin", "queen-reagan", "queen-reitel", "queen-valdez",
}
DEV = {"fil-nl-m", "fil-nl-v", "klt-ar", "klt-he", "ktb-gl", "ktb-sl", "tux-nl", "tux-ro"}
# fmt: on
NOTES = {
    "ast-allison": "Allison Smith",
    "ast-june": "June Wallack",
    "ast-carlo": "Carlo Flora",
    "ast-ivrvoice": "the IvrvoiceRU voice, provided by Maxim Topal",
    "ast-menardi": "Paola Dal Zot",
    "ast-armelle": "Armelle Desjardins; 8 kHz GSM",
    "ast-july": "July E. Jimenez; 8 kHz GSM",
    "fil-cs-m": "the small fish",
    "fil-cs-v": "the big fish",
    "fil-cs-hs": "the head on the wall",
    "fil-cs-pap": "the parrot; an actor's put-on voice, gender from F0",
    "fil-nl-m": "the small fish",
    "fil-nl-v": "the big fish",
    "tux-be": "Ksenya Buraya",
    "tux-bg": "Krasimir Petkov",
    "tux-ca": "Pere Pujal i Carabantes",
    "tux-da": "Joe Dalton",
    "tux-el": "Kyriaki Serafeim",
    "tux-en": "files without a language; median F0 168 Hz, gender not certain",
    "tux-es": "Estefania Ortiz",
    "tux-ro": "Tabbytha",
    "ktb-ca": "gender from F0 (240 Hz)",
    "ktb-da": "gender from F0 (260 Hz), perhaps a child",
    "ktb-en": "median F0 137 Hz with a wide range, gender not certain",
    "ktb-gl": "gender from F0 (300 Hz), perhaps a child",
    "ktb-nn": "gender from F0 (190 Hz)",
    "klt-ar": "gender from F0 (267 Hz)",
    "klt-cs": "Eva Mikulcikova",
    "klt-da": "Erik Kjaer Pedersen",
    "klt-de-alpha": "gender from F0 (211 Hz)",
    "klt-de-syllab": "Helmut Kriege",
    "klt-en": "Robert Wadley",
    "klt-en-gb": "gender from F0 (230 Hz)",
    "klt-es": "credited to Ana Belen Caballero and Juan Pedro Paredes; one voice by F0 (180 Hz)",
    "klt-fr": "Ludovic Grossard",
    "klt-he": "Assaf Gorgon; median F0 165 Hz",
    "klt-it": "credited to Pietro Pasotti; F0 222 Hz as of a woman or a child, gender not certain",
    "klt-nds": "credited to Manfred Wiese and Soenke Dibbern; perhaps two men",
    "klt-nl": "credited to Geert Stams; F0 213 Hz as of a woman or a child, gender not certain",
    "klt-pt-br": "a child of nine by the credits (F0 280 Hz), gender not certain",
    "klt-tn": "gender from F0 (300 Hz), perhaps a child",
    "queen-arnold": "Debbie Arnold",
    "queen-coleman": "Jon Coleman",
    "queen-hill": "Tom Hill",
    "queen-hootkins": "Bill Hootkins",
    "queen-james": "Barry James",
    "queen-keith": "Penelope Keith",
    "queen-lavelle": "Brad Lavelle",
    "queen-martin": "Jessica Martin",
    "queen-reagan": "Regina Reagan",
    "queen-reitel": "Enn Reitel",
    "queen-valdez": "Lisa Valdez",
}


def gender(name: str) -> str:
    """ "f" or "m"."""
    return "f" if name in FEMALE else "m"


def split(name: str) -> str:
    """ "train", "dev" or "eval"."""
    return "eval" if name in EVAL else "dev" if name in DEV else "train"


@dataclass(frozen=True)
class Voice:
    """One voice of one package: file patterns below usr/share, or characters of queen.1c."""

    name: str
    language: str
    package: str
    patterns: tuple[str, ...]

    @property
    def where(self) -> str:
        """The source in one cell of a table."""
        return " ".join(self.patterns)


ASTERISK = {
    "ast-allison": ("en", "asterisk-core-sounds-en-g722", "asterisk/sounds/en_US_f_Allison/**/*.g722"),
    "ast-june": ("fr", "asterisk-core-sounds-fr-g722", "asterisk/sounds/fr_CA_f_June/**/*.g722"),
    "ast-carlo": ("it", "asterisk-core-sounds-it-g722", "asterisk/sounds/it_IT_m_Carlo/**/*.g722"),
    "ast-ivrvoice": ("ru", "asterisk-core-sounds-ru-g722", "asterisk/sounds/ru_RU_f_IvrvoiceRU/**/*.g722"),
    "ast-menardi": ("it", "asterisk-prompt-it-menardi-wav", "asterisk/sounds/it_IT_f_Menardi/**/*.wav"),
    "ast-armelle": ("fr", "asterisk-prompt-fr-armelle", "asterisk/sounds/**/*.gsm"),
    "ast-july": ("es", "asterisk-prompt-es-co", "asterisk/sounds/**/*.gsm"),
}
# Fish Fillets: m is the small fish, v the big one, hs the head on the city's wall, pap the parrot
FILLETS = {"cs": ("m", "v", "hs", "pap"), "nl": ("m", "v")}
TUXPAINT = ("be", "bg", "ca", "da", "el", "es", "lt", "nl", "ro", "ru")
KTUBERLING = (
    *("ca", "da", "de", "el", "en", "es", "fi", "fr", "ga", "gl", "it", "lt"),
    *("nds", "nl", "nn", "pt", "ro", "sl", "sr", "sv", "wa"),
)
# Two languages of ktuberling have more than one speaker; a theme has one, so one speaker's themes are taken.
THEMES = {"ca": ("butterflies", "egypt", "patata", "robot", "tv"), "da": ("tux", "xmas")}
KLETTRES = (
    *("ar", "cs", "da", "en", "en_GB", "es", "fr", "he", "hu", "it", "lt"),
    *("ml", "nb", "nds", "nl", "pt_BR", "ru", "tn", "uk"),
)
# The game's credits (CREDIT2.CRD in queen.1c) name the actor of each character, and an actor plays several:
# those listed here sound alike, so they are one voice. Left out: other voices that these actors put on (JIM,
# MAN, APE, DOG and WEDGE by Hill; JOHN by Hootkins; AND and DEATH by Reitel; ZOMBIE by Martin; WITCH by
# Reagan), characters credited to two actors (KLUNK to Reitel and Hurley, LOLA to Arnold and Reagan), and
# characters that sound like another actor's than the one credited (NAOMI, SHOWERAM).
QUEEN = {
    "queen-arnold": ("PRIN",),
    "queen-coleman": ("BOB",),
    "queen-hill": ("LOU", "SPARKY"),
    "queen-hootkins": ("BUD", "CHEF", "FRANK", "LARIS"),
    "queen-james": ("CHIEF", "IAN"),
    "queen-keith": ("ORACLE",),
    "queen-lavelle": ("JOE",),
    "queen-martin": ("SEC",),
    "queen-reagan": ("TAM",),
    "queen-reitel": ("HENRY",),
    "queen-valdez": ("FAYE",),
}


def _language(folder: str) -> str:
    return folder.split("@")[0].lower().replace("_", "-")


def voices() -> list[Voice]:
    """Every voice of every package, in a fixed order, before merges and exclusions."""
    found = [Voice(name, lang, package, (glob,)) for name, (lang, package, glob) in ASTERISK.items()]
    for lang, roles in FILLETS.items():
        for role in roles:
            glob = f"games/fillets-ng/sound/**/{lang}/*-{role}-*.ogg"
            found.append(Voice(f"fil-{lang}-{role}", lang, f"fillets-ng-data-{lang}", (glob,)))
    for lang in TUXPAINT:
        glob = f"tuxpaint/stamps/**/*_desc_{lang}.ogg"
        found.append(Voice(f"tux-{_language(lang)}", _language(lang), "tuxpaint-stamps-default", (glob,)))
    found.append(Voice("tux-en", "en", "tuxpaint-stamps-default", ("tuxpaint/stamps/**/*_desc.ogg",)))
    for lang in KTUBERLING:
        themes = [f"{theme}[_-]" for theme in THEMES.get(lang, ())] or [""]
        kinds = ("ogg",) if lang in THEMES else ("ogg", "opus", "wav")
        globs = tuple(f"ktuberling/sounds/{lang}/{theme}*.{kind}" for theme in themes for kind in kinds)
        found.append(Voice(f"ktb-{_language(lang)}", _language(lang), "ktuberling-data", globs))
    for lang in KLETTRES:
        globs = tuple(f"klettres/{lang}/{part}/*.ogg" for part in ("alpha", "syllab"))
        found.append(Voice(f"klt-{_language(lang)}", _language(lang), "klettres-data", globs))
    for part in ("alpha", "syllab"):
        found.append(Voice(f"klt-de-{part}", "de", "klettres-data", (f"klettres/de/{part}/*.ogg",)))
    for name, characters in QUEEN.items():
        found.append(Voice(name, "en", "flight-of-the-amazon-queen", characters))
    return found
