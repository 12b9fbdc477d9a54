-- Runs that wait at one step to go on as one.
CREATE TABLE collection (
  id        BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant    TEXT    COLLATE "C" NOT NULL,
  workflow  TEXT    COLLATE "C" NOT NULL,
  step      TEXT    COLLATE "C" NOT NULL,
  who       TEXT    COLLATE "C" NOT NULL,
  key       TEXT    COLLATE "C" NOT NULL,
  -- The run that will go on for all; NULL: a window that has begun, and nobody waits yet.
  leader    UUID,
  opened_at BIGINT  NOT NULL,
  closes_at BIGINT  NOT NULL,
  count     BIGINT  NOT NULL,
  min_items BIGINT  NOT NULL,
  -- With a leading item: the length of the window that follows, in milliseconds.
  window_ms BIGINT,
  open      BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX collection_open ON collection (tenant, workflow, step, who, key) WHERE open;
CREATE INDEX collection_empty ON collection (closes_at) WHERE leader IS NULL;

CREATE TABLE collected (
  -- In the order of their coming.
  seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run        UUID   NOT NULL,
  step       TEXT   COLLATE "C" NOT NULL,
  item       BIGINT NOT NULL,
  -- NULL: it goes on alone.
  collection BIGINT,
  UNIQUE (run, step, item)
);
CREATE INDEX collected_together ON collected (collection, seq);

-- Places in throttles, taken or reserved.
CREATE TABLE throttled (
  run   UUID   NOT NULL,
  step  TEXT   COLLATE "C" NOT NULL,
  item  BIGINT NOT NULL,
  -- What is counted together; empty: given back, and told so to whoever asks once more.
  key   BYTEA  NOT NULL,
  at    BIGINT NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (run, step, item)
);
CREATE INDEX throttled_key ON throttled (key, at);
CREATE INDEX throttled_until ON throttled (until);
