-- Times are UTC milliseconds. Ids are UUIDv7 in 16 bytes: they grow, so inserts append.
-- Numbers of statuses, outcomes and verdicts are those of engine/model.

CREATE TABLE event (
  id          BLOB    NOT NULL PRIMARY KEY,
  tenant      TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  ikey        TEXT,
  body_hash   BLOB    NOT NULL,
  actor       TEXT,
  data        TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  -- NULL once all runs exist; else when to go on with planning, and where.
  plan_at     INTEGER,
  cursor      TEXT,
  fence       INTEGER,
  lease_until INTEGER,
  tries       INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX event_key ON event (tenant, ikey) WHERE ikey IS NOT NULL;
CREATE INDEX event_due ON event (plan_at) WHERE plan_at IS NOT NULL AND fence IS NULL;
CREATE INDEX event_leased ON event (lease_until) WHERE fence IS NOT NULL;

CREATE TABLE run (
  id          BLOB    NOT NULL PRIMARY KEY,
  event       BLOB    NOT NULL,
  workflow    TEXT    NOT NULL,
  recipient   TEXT,
  -- Whom the run is for, as a key: the recipient, else the contact, else ''.
  who         TEXT    NOT NULL,
  version     TEXT    NOT NULL,
  role        TEXT    NOT NULL,
  contact     TEXT,
  priority    INTEGER NOT NULL,
  key         TEXT,
  status      INTEGER NOT NULL,
  position    TEXT,
  wake_at     INTEGER,
  state       TEXT    NOT NULL,
  started_at  INTEGER NOT NULL,
  fence       INTEGER,
  lease_until INTEGER,
  tries       INTEGER NOT NULL DEFAULT 0,
  UNIQUE (event, workflow, who)
) WITHOUT ROWID;
CREATE INDEX run_due ON run (priority, wake_at) WHERE status = 0;
CREATE INDEX run_leased ON run (lease_until) WHERE status = 1;

CREATE TABLE message (
  id           BLOB    NOT NULL PRIMARY KEY,
  run          BLOB    NOT NULL,
  step         TEXT    NOT NULL,
  item         INTEGER NOT NULL,
  channel      TEXT    NOT NULL,
  event        BLOB    NOT NULL,
  recipient    TEXT,
  workflow     TEXT    NOT NULL,
  category     TEXT    NOT NULL,
  priority     INTEGER NOT NULL,
  status       INTEGER NOT NULL,
  due_at       INTEGER NOT NULL,
  expires_at   INTEGER,
  attempt      INTEGER NOT NULL DEFAULT 0,
  -- Attempts spent when a person last asked for a retry: the budget counts from here.
  forgiven     INTEGER NOT NULL DEFAULT 0,
  provider     TEXT,
  receipt      TEXT,
  code         TEXT,
  created_at   INTEGER NOT NULL,
  departed_at  INTEGER,
  fence        INTEGER,
  lease_until  INTEGER,
  -- Claims since it last got anywhere.
  tries        INTEGER NOT NULL DEFAULT 0,
  UNIQUE (run, step, item, channel)
) WITHOUT ROWID;
CREATE INDEX message_due ON message (priority, due_at) WHERE status = 0;
CREATE INDEX message_leased ON message (lease_until) WHERE status IN (1, 2);
-- What a person has to look at: dead letters.
CREATE INDEX message_dead ON message (id) WHERE status IN (3, 5);

CREATE TABLE attempt (
  message     BLOB    NOT NULL,
  number      INTEGER NOT NULL,
  provider    TEXT    NOT NULL,
  started_at  INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  outcome     INTEGER NOT NULL,
  code        TEXT,
  detail      TEXT,
  receipt     TEXT,
  PRIMARY KEY (message, number)
) WITHOUT ROWID;

CREATE TABLE decision (
  seq       INTEGER PRIMARY KEY,
  event     BLOB    NOT NULL,
  at        INTEGER NOT NULL,
  workflow  TEXT,
  run       BLOB,
  message   BLOB,
  recipient TEXT,
  step      TEXT,
  channel   TEXT,
  verdict   INTEGER NOT NULL,
  code      TEXT    NOT NULL,
  reason    TEXT    NOT NULL,
  rule      TEXT,
  until     INTEGER
);
CREATE INDEX decision_event ON decision (event);

-- An entry's id is its run's. `seq` has no gaps in a user's stream; frames share it.
CREATE TABLE inbox (
  rowid      INTEGER PRIMARY KEY,
  id         BLOB    NOT NULL UNIQUE,
  event      BLOB    NOT NULL,
  user       TEXT    NOT NULL,
  seq        INTEGER NOT NULL,
  category   TEXT    NOT NULL,
  title      TEXT    NOT NULL,
  message    TEXT    NOT NULL,
  priority   INTEGER NOT NULL,
  metadata   TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  read_at    INTEGER,
  deleted_at INTEGER,
  UNIQUE (user, seq)
);
CREATE INDEX inbox_unread ON inbox (user) WHERE read_at IS NULL AND deleted_at IS NULL;

-- What changed an inbox and is no entry of it: reads and bulk changes, for those who were away.
CREATE TABLE frame (
  user TEXT    NOT NULL,
  seq  INTEGER NOT NULL,
  at   INTEGER NOT NULL,
  body TEXT    NOT NULL,
  PRIMARY KEY (user, seq)
) WITHOUT ROWID;

CREATE TABLE user (
  id         TEXT    NOT NULL PRIMARY KEY,
  profile    TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE preference (
  user TEXT NOT NULL PRIMARY KEY,
  body TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE subscription (
  topic TEXT NOT NULL,
  user  TEXT NOT NULL,
  PRIMARY KEY (topic, user)
) WITHOUT ROWID;
CREATE INDEX subscription_user ON subscription (user);

CREATE TABLE api_key (
  name       TEXT    NOT NULL,
  hash       BLOB    NOT NULL PRIMARY KEY,
  scopes     TEXT    NOT NULL,
  created_at INTEGER NOT NULL,
  revoked_at INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX api_key_name ON api_key (name) WHERE revoked_at IS NULL;

CREATE TABLE version (
  version  TEXT NOT NULL PRIMARY KEY,
  workflow TEXT NOT NULL,
  source   TEXT NOT NULL
) WITHOUT ROWID;

-- One row: who this store is. A relay client's `resume` holds only while `epoch` is the same.
CREATE TABLE installation (
  only  INTEGER PRIMARY KEY CHECK (only = 1),
  epoch TEXT NOT NULL
);
