-- The topic by which a run came to its recipient.
ALTER TABLE run ADD COLUMN topic TEXT COLLATE "C";

-- TRUE while a gate has put the message off; NULL for all others, so that they pay for no index.
ALTER TABLE message ADD COLUMN held BOOLEAN;
-- When it first left on a channel that interrupts.
ALTER TABLE message ADD COLUMN spent_at BIGINT;
-- Of one that waits for others to be told of with it: what they have in common.
ALTER TABLE message ADD COLUMN gathers TEXT COLLATE "C";
-- The one that tells of it.
ALTER TABLE message ADD COLUMN gathered_by UUID;
CREATE INDEX message_held ON message (recipient) WHERE held IS NOT NULL;
CREATE INDEX message_gathers ON message (gathers) WHERE gathers IS NOT NULL;
CREATE INDEX message_gathered ON message (gathered_by) WHERE gathered_by IS NOT NULL;

-- What left for users whom a limit is in force for, over the last 24 hours.
CREATE TABLE spending (
  user_id TEXT   COLLATE "C" NOT NULL,
  at      BIGINT NOT NULL,
  message UUID   NOT NULL,
  PRIMARY KEY (user_id, at, message)
);

-- Dedupe keys: the message last sent with each, until its window ends.
CREATE TABLE sent (
  key     BYTEA  NOT NULL PRIMARY KEY,
  at      BIGINT NOT NULL,
  until   BIGINT NOT NULL,
  message UUID   NOT NULL
);
CREATE INDEX sent_until ON sent (until);
CREATE INDEX sent_message ON sent (message);
