-- What a run waits for: one thing at a time, forgotten when the run goes on.
CREATE TABLE wait (
  run        UUID    NOT NULL PRIMARY KEY,
  step       TEXT    COLLATE "C" NOT NULL,
  item       BIGINT  NOT NULL,
  -- 0: an event; else a state of messages, by the numbers of engine/model.
  kind       BIGINT  NOT NULL,
  of_step    TEXT    COLLATE "C",
  of_item    BIGINT,
  of_channel TEXT    COLLATE "C",
  began_at   BIGINT  NOT NULL,
  matched    BOOLEAN NOT NULL DEFAULT FALSE,
  matched_by UUID,
  concluded  BOOLEAN NOT NULL DEFAULT FALSE
);

-- The open waits for events, by the name that they wait for: a pattern where `glob`.
CREATE TABLE awaited (
  name     TEXT    COLLATE "C" NOT NULL,
  tenant   TEXT    COLLATE "C" NOT NULL,
  glob     BOOLEAN NOT NULL,
  -- FALSE: the step's own `match` decides; TRUE: `key` does, by the expression of `version`.
  keyed    BOOLEAN NOT NULL,
  version  TEXT    COLLATE "C" NOT NULL,
  key      TEXT    COLLATE "C" NOT NULL,
  run      UUID    NOT NULL,
  workflow TEXT    COLLATE "C" NOT NULL,
  -- Events up to this one's `seq` were accepted before the wait began.
  accepted BIGINT  NOT NULL,
  PRIMARY KEY (name, tenant, glob, keyed, version, key, run)
);
CREATE INDEX awaited_glob ON awaited (tenant) WHERE glob;
CREATE INDEX awaited_run ON awaited (run);

-- Streams of users, topics and rooms (`user:…`, `topic:…`, `room:…`): the last `seq`, which
-- outlives its frames. The row's lock is what keeps `seq` without gaps among nodes.
CREATE TABLE stream (
  name TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
  head BIGINT NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE stream_frame (
  stream TEXT   COLLATE "C" NOT NULL,
  seq    BIGINT NOT NULL,
  at     BIGINT NOT NULL,
  body   TEXT   NOT NULL,
  -- Whose words they are: they go with the person.
  author TEXT   COLLATE "C",
  PRIMARY KEY (stream, seq)
);

CREATE TABLE member (
  room     TEXT   COLLATE "C" NOT NULL,
  user_id  TEXT   COLLATE "C" NOT NULL,
  -- How far the member has read the room's stream.
  read_seq BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (room, user_id)
);
CREATE INDEX member_user ON member (user_id);

-- What a step did once for all runs of an event in a workflow, with what it came to.
CREATE TABLE once (
  event    UUID   NOT NULL,
  workflow TEXT   COLLATE "C" NOT NULL,
  step     TEXT   COLLATE "C" NOT NULL,
  item     BIGINT NOT NULL,
  result   TEXT   NOT NULL,
  PRIMARY KEY (event, workflow, step, item)
);

-- What members said in rooms that keep it, at its place in the room's stream.
CREATE TABLE saying (
  room     TEXT   COLLATE "C" NOT NULL,
  seq      BIGINT NOT NULL,
  id       UUID   NOT NULL,
  user_id  TEXT   COLLATE "C" NOT NULL,
  username TEXT   NOT NULL,
  message  TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  PRIMARY KEY (room, seq)
);
CREATE INDEX saying_user ON saying (user_id);
