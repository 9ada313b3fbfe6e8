"""PostgreSQL's index of words is on a table of its own; on SQLite, which has one already, nothing changes."""

from __future__ import annotations

from alembic import op

from aggregator.store.partitions import ranges

revision = "0024"
down_revision = "0023"

FILL = "INSERT INTO entry_words SELECT id, strip(entry_words(title, text)) FROM"

TRIGGERS = (
    f"""CREATE FUNCTION entries_have_words() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {FILL} new;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER entries_have_words AFTER INSERT ON entry REFERENCING NEW TABLE AS new
    FOR EACH STATEMENT EXECUTE FUNCTION entries_have_words()""",
    """CREATE FUNCTION entry_has_words() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE entry_words SET words = strip(entry_words(NEW.title, NEW.text)) WHERE entry_id = NEW.id;
        RETURN NULL;
    END $$""",
    """CREATE TRIGGER entry_has_words AFTER UPDATE OF title, text ON entry
    FOR EACH ROW EXECUTE FUNCTION entry_has_words()""",
    """CREATE OR REPLACE FUNCTION entry_is_gone() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM entry_identity USING gone WHERE entry_identity.feed_id = gone.feed_id
        AND entry_identity.identity = CAST(md5(gone.identity) AS uuid);
        DELETE FROM entry_words USING gone WHERE entry_words.entry_id = gone.id;
        RETURN NULL;
    END $$""",
    """CREATE OR REPLACE FUNCTION entries_are_gone() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        TRUNCATE entry_identity, entry_words;
        RETURN NULL;
    END $$""",
)


def upgrade() -> None:
    """Makes the table, cut as `entry` is, fills it, and keeps it in step by triggers.

    The clusterer updates each entry twice. An index of its words had them taken apart and put in each time, though
    they stay the same: that was a third of what grouping cost the server.
    """
    db = op.get_bind()
    if db.dialect.name == "sqlite":
        return
    # Readers go on until the old index goes, at the end.
    op.execute("LOCK TABLE entry IN SHARE ROW EXCLUSIVE MODE")
    op.execute(
        "CREATE TABLE entry_words (entry_id bigint PRIMARY KEY, words tsvector NOT NULL) "
        "PARTITION BY RANGE (entry_id)"
    )
    for numbers in ranges(db, "entry"):
        bounds = f"FROM ({numbers.start}) TO ({numbers.end})"
        op.execute(f"CREATE TABLE {numbers.of('entry_words')} PARTITION OF entry_words FOR VALUES {bounds}")
    op.execute("CREATE TABLE entry_words_rest PARTITION OF entry_words DEFAULT")
    op.execute(f"{FILL} entry")
    op.execute("CREATE INDEX entry_words_found ON entry_words USING gin (words)")
    for statement in TRIGGERS:
        op.execute(statement)
    op.execute("DROP INDEX IF EXISTS entry_words_index")
    op.execute("ALTER INDEX entry_words_found RENAME TO entry_words_index")
