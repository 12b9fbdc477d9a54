-- Providers (and hosts behind them) that fail, and until when they are left alone. No row: well.
CREATE TABLE breaker (
  provider    TEXT   NOT NULL,
  host        TEXT   NOT NULL,
  code        TEXT   NOT NULL,
  since       BIGINT NOT NULL,
  until       BIGINT NOT NULL,
  probe_until BIGINT,
  openings    BIGINT NOT NULL,
  PRIMARY KEY (provider, host)
);

-- Tenants share sixteen lanes, which claims take from in turn. What waits already is in the first.
ALTER TABLE message ADD COLUMN lane BIGINT NOT NULL DEFAULT 0;
DROP INDEX message_due;
CREATE INDEX message_due ON message (priority, lane, due_at) WHERE status = 0;
