-- Times are UTC milliseconds. Ids are UUIDv7: they grow, so inserts append.
-- Numbers of statuses, outcomes and verdicts are those of engine/model.
-- Keys compare by their bytes (COLLATE "C"), whatever the database was made with.
-- Tables that work as queues are vacuumed early: what was claimed must not be walked over again.

CREATE TABLE event (
  id          UUID   NOT NULL PRIMARY KEY,
  -- The order of acceptance, as far as nodes side by side have one.
  seq         BIGINT GENERATED ALWAYS AS IDENTITY,
  tenant      TEXT   COLLATE "C" NOT NULL,
  name        TEXT   COLLATE "C" NOT NULL,
  ikey        TEXT   COLLATE "C",
  body_hash   BYTEA  NOT NULL,
  actor       TEXT   COLLATE "C",
  data        TEXT   NOT NULL,
  at          BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  -- NULL once all runs exist; else when to go on with planning, and where.
  plan_at     BIGINT,
  cursor      TEXT,
  fence       BIGINT,
  lease_until BIGINT,
  tries       BIGINT NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.1);
CREATE UNIQUE INDEX event_key ON event (tenant, ikey) WHERE ikey IS NOT NULL;
CREATE INDEX event_due ON event (plan_at) WHERE plan_at IS NOT NULL AND fence IS NULL;
CREATE INDEX event_leased ON event (lease_until) WHERE fence IS NOT NULL;

CREATE TABLE run (
  id          UUID   NOT NULL PRIMARY KEY,
  event       UUID   NOT NULL,
  workflow    TEXT   COLLATE "C" NOT NULL,
  recipient   TEXT   COLLATE "C",
  -- Whom the run is for, as a key: the recipient, else a hash of the contact, else ''.
  who         TEXT   COLLATE "C" NOT NULL,
  version     TEXT   COLLATE "C" NOT NULL,
  role        TEXT   NOT NULL,
  contact     TEXT,
  priority    BIGINT NOT NULL,
  key         TEXT   COLLATE "C",
  status      BIGINT NOT NULL,
  position    TEXT,
  wake_at     BIGINT,
  state       TEXT   NOT NULL,
  started_at  BIGINT NOT NULL,
  fence       BIGINT,
  lease_until BIGINT,
  tries       BIGINT NOT NULL DEFAULT 0,
  UNIQUE (event, workflow, who)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX run_due ON run (priority, wake_at) WHERE status = 0;
CREATE INDEX run_leased ON run (lease_until) WHERE status = 1;

CREATE TABLE message (
  id           UUID   NOT NULL PRIMARY KEY,
  run          UUID   NOT NULL,
  step         TEXT   COLLATE "C" NOT NULL,
  item         BIGINT NOT NULL,
  channel      TEXT   COLLATE "C" NOT NULL,
  event        UUID   NOT NULL,
  recipient    TEXT   COLLATE "C",
  workflow     TEXT   COLLATE "C" NOT NULL,
  category     TEXT   COLLATE "C" NOT NULL,
  priority     BIGINT NOT NULL,
  status       BIGINT NOT NULL,
  due_at       BIGINT NOT NULL,
  expires_at   BIGINT,
  attempt      BIGINT NOT NULL DEFAULT 0,
  -- Attempts spent when a person last asked for a retry: the budget counts from here.
  forgiven     BIGINT NOT NULL DEFAULT 0,
  provider     TEXT   COLLATE "C",
  receipt      TEXT,
  code         TEXT   COLLATE "C",
  created_at   BIGINT NOT NULL,
  departed_at  BIGINT,
  fence        BIGINT,
  lease_until  BIGINT,
  -- Claims since it last got anywhere.
  tries        BIGINT NOT NULL DEFAULT 0,
  UNIQUE (run, step, item, channel)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX message_due ON message (priority, due_at) WHERE status = 0;
CREATE INDEX message_leased ON message (lease_until) WHERE status IN (1, 2);
-- What a person has to look at: dead letters.
CREATE INDEX message_dead ON message (id) WHERE status IN (3, 5);

CREATE TABLE attempt (
  message     UUID   NOT NULL,
  number      BIGINT NOT NULL,
  provider    TEXT   COLLATE "C" NOT NULL,
  started_at  BIGINT NOT NULL,
  finished_at BIGINT NOT NULL,
  outcome     BIGINT NOT NULL,
  code        TEXT,
  detail      TEXT,
  receipt     TEXT,
  PRIMARY KEY (message, number)
);

CREATE TABLE decision (
  seq       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event     UUID   NOT NULL,
  at        BIGINT NOT NULL,
  workflow  TEXT   COLLATE "C",
  run       UUID,
  message   UUID,
  recipient TEXT   COLLATE "C",
  step      TEXT   COLLATE "C",
  channel   TEXT   COLLATE "C",
  verdict   BIGINT NOT NULL,
  code      TEXT   COLLATE "C" NOT NULL,
  reason    TEXT   NOT NULL,
  rule      TEXT,
  until     BIGINT
);
CREATE INDEX decision_event ON decision (event);

-- An entry's id is its run's. `seq` has no gaps in a user's stream; frames share it.
CREATE TABLE inbox (
  id         UUID   NOT NULL PRIMARY KEY,
  event      UUID   NOT NULL,
  user_id    TEXT   COLLATE "C" NOT NULL,
  seq        BIGINT NOT NULL,
  category   TEXT   COLLATE "C" NOT NULL,
  title      TEXT   NOT NULL,
  message    TEXT   NOT NULL,
  priority   BIGINT NOT NULL,
  metadata   TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  read_at    BIGINT,
  deleted_at BIGINT,
  UNIQUE (user_id, seq)
);
CREATE INDEX inbox_unread ON inbox (user_id) WHERE read_at IS NULL AND deleted_at IS NULL;

-- What changed an inbox and is no entry of it: reads and bulk changes, for those who were away.
CREATE TABLE frame (
  user_id TEXT   COLLATE "C" NOT NULL,
  seq     BIGINT NOT NULL,
  at      BIGINT NOT NULL,
  body    TEXT   NOT NULL,
  PRIMARY KEY (user_id, seq)
);

CREATE TABLE users (
  id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
  profile    TEXT   NOT NULL,
  -- As the profile says, where a list can look for it.
  role       TEXT   COLLATE "C",
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);

CREATE TABLE preference (
  user_id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  body    TEXT NOT NULL
);

CREATE TABLE subscription (
  topic   TEXT COLLATE "C" NOT NULL,
  user_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (topic, user_id)
);
CREATE INDEX subscription_user ON subscription (user_id);

CREATE TABLE api_key (
  name       TEXT   COLLATE "C" NOT NULL,
  hash       BYTEA  NOT NULL PRIMARY KEY,
  scopes     TEXT   NOT NULL,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE UNIQUE INDEX api_key_name ON api_key (name) WHERE revoked_at IS NULL;

CREATE TABLE version (
  version  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
  workflow TEXT COLLATE "C" NOT NULL,
  source   TEXT NOT NULL
);

-- One row: who this store is. A relay client's `resume` holds only while `epoch` is the same.
CREATE TABLE installation (
  singleton BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
  epoch     TEXT NOT NULL
);
