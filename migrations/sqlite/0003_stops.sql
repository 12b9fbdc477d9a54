-- What a workflow's `emit` made: how many events stand before it, and whom it is for alone.
ALTER TABLE event ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN told TEXT;

-- Cancelled while it was with a provider: never tried again.
ALTER TABLE message ADD COLUMN stopping INTEGER NOT NULL DEFAULT 0;

CREATE INDEX run_key ON run (key, workflow) WHERE key IS NOT NULL;

-- Workflows that have not told all of an event's recipients yet, so that a key can stop them too.
CREATE TABLE unplanned (
  event    BLOB    NOT NULL,
  workflow TEXT    NOT NULL,
  key      TEXT    NOT NULL,
  stopped  INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (event, workflow)
) WITHOUT ROWID;
CREATE INDEX unplanned_key ON unplanned (key) WHERE stopped = 0;
