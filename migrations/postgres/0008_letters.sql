-- A user's messages, newest or oldest first.
CREATE INDEX message_user ON message (recipient, id) WHERE recipient IS NOT NULL;
CREATE INDEX message_expired ON message (id) WHERE status = 8;

-- Of one whose provider reports what becomes of it: whether that includes its delivery.
ALTER TABLE message ADD COLUMN reports BOOLEAN;
-- SHA-256 of the address it went to: what a bounce is remembered by.
ALTER TABLE message ADD COLUMN sent_to BYTEA;
CREATE INDEX message_reported ON message (receipt, provider) WHERE reports IS NOT NULL;

-- Who changed what: the newest has the highest `seq`.
CREATE TABLE audit (
  seq    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at     BIGINT NOT NULL,
  who    TEXT   NOT NULL,
  what   TEXT   NOT NULL,
  about  TEXT   NOT NULL,
  detail TEXT   NOT NULL
);
