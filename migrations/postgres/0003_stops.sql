-- What a workflow's `emit` made: how many events stand before it, and whom it is for alone.
ALTER TABLE event ADD COLUMN depth BIGINT NOT NULL DEFAULT 0;
ALTER TABLE event ADD COLUMN told TEXT;

-- Cancelled while it was with a provider: never tried again.
ALTER TABLE message ADD COLUMN stopping BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX run_key ON run (key, workflow) WHERE key IS NOT NULL;

-- Workflows that have not told all of an event's recipients yet, so that a key can stop them too.
CREATE TABLE unplanned (
  event    UUID    NOT NULL,
  workflow TEXT    COLLATE "C" NOT NULL,
  key      TEXT    COLLATE "C" NOT NULL,
  stopped  BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (event, workflow)
);
CREATE INDEX unplanned_key ON unplanned (key) WHERE NOT stopped;
