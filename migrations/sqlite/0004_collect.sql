-- Runs that wait at one step to go on as one.
CREATE TABLE collection (
  id        INTEGER PRIMARY KEY,
  tenant    TEXT    NOT NULL,
  workflow  TEXT    NOT NULL,
  step      TEXT    NOT NULL,
  who       TEXT    NOT NULL,
  key       TEXT    NOT NULL,
  -- The run that will go on for all; NULL: a window that has begun, and nobody waits yet.
  leader    BLOB,
  opened_at INTEGER NOT NULL,
  closes_at INTEGER NOT NULL,
  count     INTEGER NOT NULL,
  min_items INTEGER NOT NULL,
  -- With a leading item: the length of the window that follows, in milliseconds.
  window    INTEGER,
  open      INTEGER NOT NULL
);
CREATE UNIQUE INDEX collection_open ON collection (tenant, workflow, step, who, key) WHERE open = 1;
CREATE INDEX collection_empty ON collection (closes_at) WHERE leader IS NULL;

CREATE TABLE collected (
  -- In the order of their coming.
  seq        INTEGER PRIMARY KEY,
  run        BLOB    NOT NULL,
  step       TEXT    NOT NULL,
  item       INTEGER NOT NULL,
  -- NULL: it goes on alone.
  collection INTEGER,
  UNIQUE (run, step, item)
);
CREATE INDEX collected_together ON collected (collection, seq);

-- Places in throttles, taken or reserved.
CREATE TABLE throttled (
  run   BLOB    NOT NULL,
  step  TEXT    NOT NULL,
  item  INTEGER NOT NULL,
  -- What is counted together; empty: given back, and told so to whoever asks once more.
  key   BLOB    NOT NULL,
  at    INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (run, step, item)
) WITHOUT ROWID;
CREATE INDEX throttled_key ON throttled (key, at);
CREATE INDEX throttled_until ON throttled (until);
