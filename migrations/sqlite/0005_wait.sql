-- What a run waits for: one thing at a time, forgotten when the run goes on.
CREATE TABLE wait (
  run        BLOB    NOT NULL PRIMARY KEY,
  step       TEXT    NOT NULL,
  item       INTEGER NOT NULL,
  -- 0: an event; else a state of messages, by the numbers of engine/model.
  kind       INTEGER NOT NULL,
  of_step    TEXT,
  of_item    INTEGER,
  of_channel TEXT,
  began_at   INTEGER NOT NULL,
  matched    INTEGER NOT NULL DEFAULT 0,
  matched_by BLOB,
  concluded  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- The open waits for events, by the name that they wait for: a GLOB pattern where `glob` is 1.
CREATE TABLE awaited (
  name     TEXT    NOT NULL,
  tenant   TEXT    NOT NULL,
  glob     INTEGER NOT NULL,
  -- 0: the step's own `match` decides; 1: `key` does, by the expression of `version`.
  keyed    INTEGER NOT NULL,
  version  TEXT    NOT NULL,
  key      TEXT    NOT NULL,
  run      BLOB    NOT NULL,
  workflow TEXT    NOT NULL,
  -- Events up to this row were accepted before the wait began.
  accepted INTEGER NOT NULL,
  PRIMARY KEY (name, tenant, glob, keyed, version, key, run)
) WITHOUT ROWID;
CREATE INDEX awaited_glob ON awaited (tenant) WHERE glob = 1;
CREATE INDEX awaited_run ON awaited (run);

-- Streams of topics and rooms (`topic:…`, `room:…`): the last `seq`, which outlives its frames.
CREATE TABLE stream (
  name TEXT    NOT NULL PRIMARY KEY,
  head INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE stream_frame (
  stream TEXT    NOT NULL,
  seq    INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  body   TEXT    NOT NULL,
  PRIMARY KEY (stream, seq)
) WITHOUT ROWID;

CREATE TABLE member (
  room TEXT NOT NULL,
  user TEXT NOT NULL,
  -- How far the member has read the room's stream.
  read_seq INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (room, user)
) WITHOUT ROWID;
CREATE INDEX member_user ON member (user);

-- What a step did once for all runs of an event in a workflow, with what it came to.
CREATE TABLE once (
  event    BLOB    NOT NULL,
  workflow TEXT    NOT NULL,
  step     TEXT    NOT NULL,
  item     INTEGER NOT NULL,
  result   TEXT    NOT NULL,
  PRIMARY KEY (event, workflow, step, item)
) WITHOUT ROWID;

-- What members said in rooms that keep it, at its place in the room's stream.
CREATE TABLE saying (
  room     TEXT    NOT NULL,
  seq      INTEGER NOT NULL,
  id       BLOB    NOT NULL,
  user     TEXT    NOT NULL,
  username TEXT    NOT NULL,
  message  TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (room, seq)
) WITHOUT ROWID;
CREATE INDEX saying_user ON saying (user);
