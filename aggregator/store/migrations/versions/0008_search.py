"""The index of entries' words, kept in step by the database itself."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

SQLITE = (
    """CREATE VIRTUAL TABLE entry_words USING fts5(
        title, text, content='entry', content_rowid='id', detail='column',
        tokenize="unicode61 remove_diacritics 2")""",
    """CREATE TRIGGER entry_words_new AFTER INSERT ON entry BEGIN
        INSERT INTO entry_words (rowid, title, text) VALUES (new.id, new.title, new.text);
        END""",
    """CREATE TRIGGER entry_words_gone AFTER DELETE ON entry BEGIN
        INSERT INTO entry_words (entry_words, rowid, title, text) VALUES ('delete', old.id, old.title, old.text);
        END""",
    """CREATE TRIGGER entry_words_edited AFTER UPDATE OF title, text ON entry BEGIN
        INSERT INTO entry_words (entry_words, rowid, title, text) VALUES ('delete', old.id, old.title, old.text);
        INSERT INTO entry_words (rowid, title, text) VALUES (new.id, new.title, new.text);
        END""",
    "INSERT INTO entry_words (entry_words) VALUES ('rebuild')",
)
POSTGRESQL = (
    """CREATE FUNCTION entry_words(title text, body text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS $$ SELECT to_tsvector('simple', left(title || ' ' || body, 200000)) $$""",
    "CREATE INDEX entry_words_index ON entry USING gin (entry_words(title, text))",
)


def upgrade() -> None:
    """Adds the index and fills it from the entries that are there."""
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
