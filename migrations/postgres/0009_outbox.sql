-- The outbox: what services tell in their own transactions, until it is drained
-- (docs/reference/sources.md). Everything is made where it is missing and named in full, since the
-- drain puts the same file into the database of a service that is not the store's.

DO $$
BEGIN
    -- `CREATE SCHEMA IF NOT EXISTS` asks for the right to create even where there is one.
    IF to_regnamespace('nuncio') IS NULL THEN
        CREATE SCHEMA nuncio;
    END IF;
END
$$;

-- One row a transaction that emitted, named by its number: who holds its lock drains that
-- transaction's rows, so their order is kept however many nodes drain.
CREATE TABLE IF NOT EXISTS nuncio.outbox_turn (
    turn bigint PRIMARY KEY
);

CREATE TABLE IF NOT EXISTS nuncio.outbox (
    turn       bigint NOT NULL,
    seq        bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    id         uuid NOT NULL,
    name       text NOT NULL,
    data       jsonb NOT NULL,
    key        text,
    actor      text,
    tenant     text,
    at         timestamptz,
    -- Bytes of `data` as it is written: what is too large is never read.
    size       integer NOT NULL,
    emitted_at timestamptz NOT NULL,
    PRIMARY KEY (turn, seq)
)
-- A queue's rows die young: their places are wanted back soon.
WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- What was refused, with the reason; it stays until somebody deletes it.
CREATE TABLE IF NOT EXISTS nuncio.outbox_rejected (
    turn        bigint NOT NULL,
    seq         bigint NOT NULL,
    id          uuid NOT NULL,
    name        text NOT NULL,
    data        jsonb NOT NULL,
    key         text,
    actor       text,
    tenant      text,
    at          timestamptz,
    size        integer NOT NULL,
    emitted_at  timestamptz NOT NULL,
    code        text NOT NULL,
    reason      text NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (turn, seq)
);

CREATE OR REPLACE FUNCTION nuncio.emit(
    name   text,
    data   jsonb DEFAULT '{}',
    key    text DEFAULT NULL,
    actor  text DEFAULT NULL,
    tenant text DEFAULT NULL,
    at     timestamptz DEFAULT NULL
) RETURNS uuid
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    own_turn bigint := pg_current_xact_id()::text::bigint;
    own_id   uuid := gen_random_uuid();
BEGIN
    IF emit.name IS NULL THEN
        RAISE EXCEPTION 'an event needs a name' USING ERRCODE = 'null_value_not_allowed';
    END IF;
    INSERT INTO nuncio.outbox_turn (turn) VALUES (own_turn) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        -- Once a transaction. It is heard after the commit, and not at all after a rollback.
        PERFORM pg_notify('nuncio_outbox', '');
    END IF;
    INSERT INTO nuncio.outbox (turn, id, name, data, key, actor, tenant, at, size, emitted_at)
    VALUES (
        own_turn, own_id, emit.name, coalesce(emit.data, '{}'), emit.key, emit.actor,
        emit.tenant, emit.at, octet_length(coalesce(emit.data, '{}')::text), clock_timestamp()
    );
    RETURN own_id;
END
$$;

-- Runs as whoever changes the row: what turns a row into JSON may be code of the table's owner,
-- which must not run as the outbox's. So who writes to a watched table may execute `emit`.
CREATE OR REPLACE FUNCTION nuncio.watched() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
    subject text := TG_ARGV[0];
    columns text[] := nullif(TG_ARGV[1], '')::text[];
    before  jsonb;
    after   jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        before := to_jsonb(OLD);
    END IF;
    IF TG_OP <> 'DELETE' THEN
        after := to_jsonb(NEW);
    END IF;
    -- A row that stays as it is tells nothing, and of named columns one has to change.
    IF before = after OR TG_OP = 'UPDATE' AND NOT EXISTS (
        SELECT FROM unnest(coalesce(columns, ARRAY(SELECT jsonb_object_keys(after)))) AS watched
        WHERE before -> watched IS DISTINCT FROM after -> watched
    ) THEN
        RETURN NULL;
    END IF;
    PERFORM nuncio.emit(
        subject || CASE TG_OP WHEN 'INSERT' THEN '.created' WHEN 'UPDATE' THEN '.updated'
            ELSE '.deleted' END,
        jsonb_build_object('old', before, 'new', after)
    );
    RETURN NULL;
END
$$;

-- Both run as the caller, who has to own the table, or hold TRIGGER on it.
CREATE OR REPLACE FUNCTION nuncio.watch(
    relation regclass,
    subject  text,
    columns  text[] DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    missing text;
BEGIN
    IF relation IS NULL OR coalesce(subject, '') = '' OR octet_length(subject) > 50 THEN
        RAISE EXCEPTION 'watch takes a table and a subject of 1 to 50 bytes'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT string_agg(coalesce(named, 'NULL'), ', ') INTO missing
    FROM unnest(columns) AS named
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = relation AND attname = named AND attnum > 0 AND NOT attisdropped
    );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'table % has no column %', relation, missing
            USING ERRCODE = 'undefined_column';
    END IF;
    EXECUTE format(
        'CREATE OR REPLACE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s '
        'FOR EACH ROW EXECUTE FUNCTION nuncio.watched(%L, %L)',
        'nuncio_watch_' || subject, relation, subject, coalesce(columns::text, '')
    );
END
$$;

-- Without a subject: every watch of the table.
CREATE OR REPLACE FUNCTION nuncio.unwatch(
    relation regclass,
    subject  text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT tgname FROM pg_trigger
        WHERE tgrelid = relation AND NOT tgisinternal
            AND tgfoid = to_regprocedure('nuncio.watched()')
            AND (subject IS NULL OR tgname = 'nuncio_watch_' || subject)
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', name, relation);
    END LOOP;
END
$$;

-- Who may execute `emit` may tell anything, as a holder of a key with `events:write` may.
REVOKE ALL ON FUNCTION nuncio.emit(text, jsonb, text, text, text, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION nuncio.watched() FROM PUBLIC;
REVOKE ALL ON FUNCTION nuncio.watch(regclass, text, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION nuncio.unwatch(regclass, text) FROM PUBLIC;
