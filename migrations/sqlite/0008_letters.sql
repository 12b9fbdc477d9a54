-- A user's messages, newest or oldest first: the table's key follows in every index.
CREATE INDEX message_user ON message (recipient) WHERE recipient IS NOT NULL;
CREATE INDEX message_expired ON message (id) WHERE status = 8;

-- Of one whose provider reports what becomes of it: 1 where that includes its delivery, else 0.
ALTER TABLE message ADD COLUMN reports INTEGER;
-- SHA-256 of the address it went to: what a bounce is remembered by.
ALTER TABLE message ADD COLUMN sent_to BLOB;
CREATE INDEX message_reported ON message (receipt, provider) WHERE reports IS NOT NULL;

-- Who changed what: the newest has the highest `seq`.
CREATE TABLE audit (
  seq    INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  who    TEXT    NOT NULL,
  what   TEXT    NOT NULL,
  about  TEXT    NOT NULL,
  detail TEXT    NOT NULL
);
