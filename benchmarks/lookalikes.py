# ruff: noqa: E501 (a table of sentences reads best a sentence a line)
"""Writes labelled look-alikes: events of one kind that differ in place, names and numbers, each told by several outlets.

`python benchmarks/lookalikes.py FOLDER` writes lookalikes_a and lookalikes_b (.jsonl and .labels.tsv, as `evaluate`
reads them). The two share no kind of event, no name and no place: weights fitted with the one are tested on the other.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

KINDS_A: Mapping[str, Sequence[tuple[str, str]]] = {
    "quake": [
        ("Magnitude {n} earthquake shakes {place}", "A magnitude {n} earthquake shook {place} early on {day}, the geological survey said. {k} people were hurt and dozens of houses lost their roofs."),
        ("{place}: {k} injured as strong quake damages homes", "Rescue crews in {place} searched damaged houses after a strong earthquake of {n}. {k} people were taken to hospital."),
        ("Strong tremor near {place} leaves {k} hurt", "A tremor of magnitude {n} was felt across {place} and neighbouring towns on {day}. Schools stayed closed while engineers looked at the walls."),
    ],
    "verdict": [
        ("{name} sentenced to {k} years for {crime} in {place}", "The court in {place} sentenced {name} to {k} years in prison for {crime} on {day}. The defence said that it would appeal."),
        ("{place} court finds {name} guilty", "Judges in {place} found {name} guilty of {crime}. The prosecution had asked for a longer term than the {k} years that the court gave."),
        ("{k} years in prison: {crime} trial of {name} ends", "With a sentence of {k} years the trial of {name} came to an end. The accused listened without a word; the lawyers spoke of an appeal."),
    ],
    "match": [
        ("{place} beat {other} {n}", "{place} won {n} against {other} on {day}. {name} scored after the break in front of a full house and was carried off the field."),
        ("{name} leads {place} to win over {other}", "A late goal by {name} decided the match between {place} and {other}. The coach praised the defence."),
        ("{n}: {other} lose again, {place} climb the table", "{other} lost {n} at {place} and stay in the lower half of the table. {name} was the best on the field."),
    ],
    "weather": [
        ("Weather in {place}: sunny, {k} degrees", "The weather for {place} today: sunny in the morning, clouds in the afternoon, a light wind. Highest temperature {k} degrees, tonight down to 7."),
        ("Weather in {place}: showers, {k} degrees", "The weather for {place} today: showers from the west, a fresh wind in the evening. Highest temperature {k} degrees, tonight down to 9."),
    ],
    "rates": [
        ("{place} central bank raises rates to {n} percent", "The central bank of {place} raised its key interest rate to {n} percent on {day}, the second step this year. Governor {name} pointed to prices."),
        ("Governor {name}: inflation in {place} leaves no choice", "Borrowing becomes dearer in {place}: the bank's board under {name} voted for a rate of {n} percent. Shares fell slightly."),
        ("Interest rates: {place} goes to {n} percent", "The rate rises to {n} percent in {place}. Economists had expected as much. Savers will have to wait for more, said {name}."),
    ],
    "trial": [
        ("Trial of {who} opens at {place} court", "The trial of {who} opened at {place} district court with pleas of not guilty. The prosecution speaks of {thing}. The judge has set aside {k} days; thirty witnesses are to be called."),
        ("{place} court: {who} deny any knowledge of {thing}", "Nobody knew of {thing}, the lawyers said when {place} district court heard the case. Neighbours told the paper that {who} had always greeted them."),
        ("{thing}: court hears {who}", "At {place} district court the first day went to {thing}. For {who} prison is at stake."),
    ],
    "theft": [
        ("Police in {place} look for {who}", "Police in {place} asked for help on {day}: {who} are said to have taken {thing} from a warehouse. The value was put at {k} thousand crowns."),
        ("{thing} gone from {place} warehouse", "A guard found the door open and {thing} gone. Witnesses in {place} saw {who} in a white van."),
    ],
    "arrest": [
        ("Police in {place} arrest {name}", "{name} was arrested in {place} on {day} on suspicion of {crime}, the police said. The house was searched for {k} hours."),
        ("{crime} suspect {name} held", "A judge ordered {name} to be held. The police of {place} found {k} boxes of papers in the cellar."),
        ("{name} in custody after search in {place}", "After a search the prosecutor spoke of {crime}. The lawyer of {name} said that the boxes held stamps."),
    ],
    "results": [
        ("{firm} profit rises {k} percent in the quarter", "{firm} reported a quarterly profit {k} percent above that of a year ago on {day}. Sales were helped by new products, chief executive {name} said."),
        ("{name} lifts {firm} forecast after strong quarter", "After a strong quarter {firm} expects more for the year. Profit grew by {k} percent. The shares rose in early trading."),
        ("Shares of {firm} jump on results", "Investors liked the figures of {firm}: profit up {k} percent, costs down. {name} has led the group for three years."),
    ],
}  # fmt: skip

KINDS_B: Mapping[str, Sequence[tuple[str, str]]] = {
    "flood": [
        ("Floods cut off {place}, {k} families moved", "After days of rain the river burst its banks at {place}. {k} families were brought to safety on {day}, the fire brigade said."),
        ("{k} families leave homes as river rises in {place}", "Boats instead of buses: in {place} the water stands in the streets. Mayor {name} asked the government for help."),
        ("Mayor {name}: worst flood in {place} for a century", "The level reached {n} metres in {place}, more than ever measured. The mayor, {name}, thanked the helpers."),
    ],
    "strike": [
        ("{firm} workers walk out in {place}", "Some {k}00 workers of {firm} laid down their tools in {place} on {day}. Their union asks for {n} percent more pay."),
        ("Union demands {n} percent at {firm}", "The gates of {firm} stay shut: the union wants {n} percent, the company offers less. {name} spoke for the employees."),
        ("{name}: strike at {place} plant will last", "No trains, no parts: the walk-out at the plant in {place} enters another day, and {firm} counts its losses."),
    ],
    "election": [
        ("{name} wins mayoral election in {place}", "{name} will be the next mayor of {place}. The candidate got {k} percent of the votes on {day}, ahead of the incumbent."),
        ("{place} votes for change: {k} percent for {name}", "Voters in {place} want a new start. With {k} percent {name} was far ahead; turnout was low."),
        ("New mayor {name} promises trams for {place}", "The winner of the vote in {place}, {name}, will begin with the trams. The incumbent conceded in the evening."),
    ],
    "recall": [
        ("{firm} recalls {k},000 cars over brakes", "{firm} calls {k},000 cars back to the garage, as the brakes may fail in the cold. Nobody was hurt, the company said on {day}."),
        ("Brake fault: {k},000 vehicles of {firm} affected", "A fault in the brakes forces {firm} to check {k},000 vehicles. Owners get a letter. Chief engineer {name} spoke of a supplier's mistake."),
        ("{firm} shares fall after recall", "The recall of {k},000 cars costs {firm} some money and some trust. {name} said that safety came first."),
    ],
    "prices": [
        ("Petrol in {place} at {n} crowns a litre", "Drivers in {place} pay {n} crowns for a litre of petrol today, the automobile club said. Diesel stood unchanged."),
        ("Petrol in {place} at {n} crowns", "A litre of petrol cost {n} crowns in {place} on {day}, according to the automobile club. The evening is the cheapest time."),
    ],
    "hearing": [
        ("Inquiry into {thing} begins in {place}", "The inquiry into {thing} began at {place} town hall on {day}. As the first of {k}, {who} were questioned. The public gallery was full, and the chairwoman asked for patience."),
        ("{who} questioned over {thing}", "For hours the panel at {place} town hall questioned {who}. Asked about {thing}, they had few answers."),
        ("{place} panel wants to know about {thing}", "Nothing seen, nothing signed: that was all that {who} had to say on {thing} at {place} town hall."),
    ],
    "fire": [
        ("Fire brigade in {place} saves {thing}", "The fire brigade in {place} was called on {day} when smoke rose from a cellar. It saved {thing}; {who} were led out unhurt."),
        ("Smoke in {place}: {who} unhurt", "With blankets over their heads {who} left the house. The firemen carried out {thing} as well."),
    ],
    "opening": [
        ("{firm} opens branch in {place}", "{firm} opened its new branch in {place} on {day}, with {k} jobs. {name} cut the ribbon."),
        ("{k} jobs as {firm} comes to {place}", "The old tram depot in {place} has a tenant: {firm} moved in with {k} people."),
        ("{name} brings {firm} to {place}", "It took {name} two years to bring {firm} to {place}. The neighbours got free rolls."),
    ],
    "crash": [
        ("{k} hurt in coach crash near {place}", "A coach left the road near {place} on {day}. {k} passengers were hurt, the driver, {name}, only lightly."),
        ("Coach overturns at {place}, {k} in hospital", "On a wet road near {place} a coach with pensioners overturned. Helicopters took {k} people to hospital."),
        ("Police question driver after {place} coach accident", "After the accident with {k} injured near {place} the police spoke with the driver. {name} is said to have braked for a deer."),
    ],
}  # fmt: skip

SYLLABLES_A = (
    "bra",
    "kel",
    "mor",
    "tun",
    "vas",
    "dor",
    "hil",
    "sen",
    "gar",
    "lom",
    "pek",
    "rud",
    "zan",
    "fir",
    "wes",
)
SYLLABLES_B = (
    "nor",
    "jas",
    "tem",
    "bol",
    "cri",
    "uld",
    "yar",
    "mik",
    "hav",
    "ost",
    "pli",
    "eng",
    "sar",
    "dun",
    "qua",
)
WHO_A = ("three fishermen", "a former bank director", "two brothers", "the head of a choir", "a retired pilot", "four students", "a vineyard owner", "the former treasurer", "a locksmith", "two night guards", "a dentist", "the owner of a circus", "five bus drivers", "a tax adviser", "the twins of a baker")  # fmt: skip
WHO_B = ("two nurses", "an antique dealer", "the former harbour master", "three cooks", "a piano teacher", "the heirs of a brewer", "a ship's doctor", "four cyclists", "an architect", "the director of a zoo", "two goldsmiths", "a beekeeper", "the widow of a judge", "six hunters", "a puppeteer")  # fmt: skip
THINGS_A = ("stolen cellos", "a forged map", "smuggled parrots", "false invoices", "a burnt barn", "missing school money", "fake wine labels", "a sunken yacht", "poisoned carp", "counterfeit stamps", "copper from the railway", "bribes for permits", "a rigged lottery", "diluted petrol", "grave robbery")  # fmt: skip
THINGS_B = ("an empty archive", "rusty bridge cables", "a lost painting", "expired medicine", "the broken weir", "double pensions", "a secret account", "the toppled crane", "spoiled cheese", "a vanished statue", "leaking pipes", "unpaid musicians", "a locked emergency door", "the cracked bell", "hidden asbestos")  # fmt: skip
CRIMES = ("arson", "fraud", "bribery", "smuggling", "theft of paintings", "forgery")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
OUTLETS = ("Morning Ledger", "North Wire", "Harbour Gazette", "Daily Lantern")
EVENTS_A_KIND = 25
TOWNS = 5


def written(suffix: str) -> Iterator[tuple[dict[str, str | None], str]]:
    """Each telling as a line of JSON would have it, and its event."""
    numbers = random.Random(ord(suffix))
    kinds, syllables = (KINDS_A, SYLLABLES_A) if suffix == "a" else (KINDS_B, SYLLABLES_B)
    people, things = (WHO_A, THINGS_A) if suffix == "a" else (WHO_B, THINGS_B)
    combinations = list(product(people, things))

    def name() -> str:
        return "".join(numbers.choice(syllables) for _ in range(numbers.choice((2, 3)))).capitalize()

    towns = [name() for _ in range(TOWNS)]
    for number, (kind, tellings) in enumerate(kinds.items()):
        for event in range(EVENTS_A_KIND):
            slots = {
                # Every other kind happens in a few towns: two trials at one court.
                "place": numbers.choice(towns) if number % 2 else name(), "other": name(), "name": f"{name()} {name()}", "firm": name(),
                "n": f"{numbers.randint(2, 7)}.{numbers.randint(0, 9)}", "k": str(numbers.randint(3, 40)),
                "who": (combination := numbers.choice(combinations))[0], "thing": combination[1],
                "crime": numbers.choice(CRIMES), "day": numbers.choice(DAYS),
            }  # fmt: skip
            if kind == "match":
                slots["n"] = f"{numbers.randint(1, 5)}-0"
            told = numbers.sample(range(len(tellings)), numbers.randint(1, len(tellings)))
            for outlet, telling in zip(numbers.sample(OUTLETS, len(told)), told, strict=True):
                title, text = tellings[telling]
                headline_only = numbers.random() < 0.3
                yield (
                    {
                        "id": f"{kind}-{event}-{telling}", "title": title.format(**slots),
                        "text": "" if headline_only else text.format(**slots), "source": outlet,
                        "url": None, "published": None, "lang": "en",
                    },
                    f"{kind}-{event}",
                )  # fmt: skip


def lookalikes(suffix: str) -> tuple[list[bytes], dict[str, str]]:
    """The lines of JSON of set "a" or "b", and the event of each id."""
    told = list(written(suffix))
    lines = [json.dumps(entry).encode() + b"\n" for entry, _ in told]
    return lines, {str(entry["id"]): event for entry, event in told}


def main() -> None:
    """Writes both sets into the folder named on the command line."""
    folder = Path(sys.argv[1])
    for suffix in "ab":
        lines, labels = lookalikes(suffix)
        (folder / f"lookalikes_{suffix}.jsonl").write_bytes(b"".join(lines))
        (folder / f"lookalikes_{suffix}.labels.tsv").write_text(
            "".join(f"{name}\t{event}\n" for name, event in labels.items()), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
