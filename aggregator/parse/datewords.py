"""The words of date strings: months, days and time zones, in lower case and without accents."""

# English, German, French, Italian, Spanish, Portuguese; without accents, as the parser folds them.
_MONTH_NAMES = (
    "jan january januar janv janvier gen gennaio ene enero janeiro janner",
    "feb february februar febr fev fevr fevrier febbraio febrero fevereiro",
    "mar march marz mrz mars marzo marco",
    "apr april avr avril aprile abr abril",
    "may mai mag maggio mayo maio",
    "jun june juni juin giu giugno junio junho",
    "jul july juli juil juillet lug luglio julio julho",
    "aug august aou aout ago agosto",
    "sep sept september septembre set sett settembre septiembre setiembre setembro",
    "oct october okt oktober octobre ott ottobre octubre out outubro",
    "nov november novembre noviembre novembro",
    "dec december dez dezember decembre dic dicembre diciembre dezembro",
)
_WEEKDAY_NAMES = (
    "mon monday mo montag lun lundi lunedi lunes seg segunda",
    "tue tues tuesday tu di die dienstag mar mardi martedi martes ter terca",
    "wed weds wednesday we mi mit mittwoch mer mercredi mercoledi mie miercoles qua quarta",
    "thu thur thurs thursday th do don donnerstag jeu jeudi gio giovedi jue jueves qui quinta",
    "fri friday fr fre freitag ven vendredi venerdi vie viernes sex sexta",
    "sat saturday sa sam samstag sonnabend samedi sab sabato sabado",
    "sun sunday su so son sonntag dim dimanche dom domenica domingo",
)
MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES, 1) for name in names.split()}
WEEKDAYS = {name: number for number, names in enumerate(_WEEKDAY_NAMES) for name in names.split()}
_FILLER_WORDS = "at on of the um am den uhr le a il alle ore el las de del as feira"
FILLERS = frozenset(_FILLER_WORDS.split())

# Minutes east of Greenwich. RFC 822 gives CST, MST and the other North American names one meaning; BST is
# the British one, as the feeds of the BBC write it. Names with several living meanings (IST, AST, ...) are
# left out: such a string is read only if it gives a numeric offset as well.
_ZONE_NAMES = {
    0: "z ut utc gmt wet",
    60: "bst cet mez west",
    120: "cest mesz eet sast",
    180: "eest msk",
    300: "pkt",
    420: "wib",
    480: "hkt sgt awst",
    540: "jst kst",
    600: "aest",
    660: "aedt",
    720: "nzst",
    780: "nzdt",
    -120: "brst",
    -180: "brt",
    -240: "edt",
    -300: "est cdt",
    -360: "cst mdt",
    -420: "mst pdt",
    -480: "pst akdt",
    -540: "akst",
    -600: "hst",
}
ZONES = {name: minutes for minutes, names in _ZONE_NAMES.items() for name in names.split()}
# "3 PM ET" means the time on the wall there, standard or daylight.
WALL_ZONES = {"et": "America/New_York", "pt": "America/Los_Angeles"}
