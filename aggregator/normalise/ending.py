"""What feed software and sites put under a text, told from the text itself."""

from __future__ import annotations

import regex

BOILERPLATE = regex.compile(
    r"^(?:the post .{1,300} (?:appeared first|first appeared) on .{1,200}"
    r"|(?:l['’]article|cet article) .{1,300} est apparu en premier sur .{1,200}"
    r"|(?:der beitrag|der artikel) .{1,300} erschien zuerst (?:auf|bei) .{1,200}"
    r"|la entrada .{1,300} (?:se publicó primero|aparece primero|apareció primero) en .{1,200}"
    r"|l['’]articolo .{1,300} proviene da .{1,200}"
    r"|o post .{1,300} apareceu primeiro em .{1,200}"
    r"|(?:continue|keep) reading(?: .{0,250}[→»…])?|read (?:more|on)(?: (?:at|on) .{1,40})?"
    r"|read the (?:full|whole|rest|entire).{0,60}|(?:view|see) (?:the )?full (?:article|post|story).{0,40}"
    r"|lire la suite.{0,80}|(?:weiter|mehr) ?lesen.{0,40}|den ganzen artikel lesen"
    r"|leer más.{0,40}|seguir leyendo.{0,40}|leggi (?:tutto|di più).{0,40}|continua a leggere.{0,80}"
    r"|(?:leia|ler) mais.{0,40}|lees (?:meer|verder).{0,40}|läs mer.{0,40}|les mer.{0,40}"
    r"|czytaj (?:więcej|dalej).{0,40}|читать (?:далее|дальше|полностью).{0,80}"
    r"|подробнее|続きを読む|阅读全文|阅读更多"
    r"|(?:the )?full story.{0,20}"
    r"|\d* ?comments?|(?:\[(?:link|\d* ?comments?)\]\s*)+|submitted by.{1,90}|to read (?:this|the) article.{0,60}"
    r"|(?:article|comments) url: \S+|points: \d+|# comments: \d+|[★☆◉∞■◆●∎§|·•*~_-]+(?: permalink)?|permalink)"
    r"[\s.…»>→]*$",
    regex.IGNORECASE,
)
"""Lines that say nothing of the text above them."""

MORE = regex.compile(
    r"\s*(?:\[\s?…\s?\]|\[\.\.\.\]|…|\.\.\.)\s*"
    r"(?:[\[(]?(?:read )?more[\])]?|(?:continue|keep) reading.{0,250}|read (?:more|on|the full).{0,60}"
    r"|lire la suite.{0,80}|(?:weiter|mehr) ?lesen.{0,80}|leer más|seguir leyendo.{0,80}|leggi tutto|leia mais"
    r"|lees (?:meer|verder)|читать (?:далее|дальше)|(?:the post|der beitrag|la entrada) .{1,300} "
    r"(?:appeared|erschien|se publicó|aparece).{1,200})[\s.…»>→]*$",
    regex.IGNORECASE,
)
"""What stands behind the "…" of a text that was cut short."""

LONGEST_ENDING = 700
"""Characters, counted from the end of a line, in which MORE is looked for."""


def without_ending(lines: list[str]) -> list[str]:
    """The lines without boilerplate at their end; what follows the "…" of the last one is gone."""
    kept = list(lines)
    while kept and len(kept[-1]) <= LONGEST_ENDING and BOILERPLATE.match(kept[-1]):
        kept.pop()
    if kept:
        start, end = kept[-1][:-LONGEST_ENDING], kept[-1][-LONGEST_ENDING:]
        if "…" in end or "..." in end:
            kept[-1] = start + MORE.sub("…", end)
    return kept
