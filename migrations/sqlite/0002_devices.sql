-- A token is sealed; its hash tells whether it is known.
CREATE TABLE device (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  user         TEXT    NOT NULL,
  token        TEXT    NOT NULL,
  token_hash   BLOB    NOT NULL UNIQUE,
  kind         INTEGER NOT NULL,
  name         TEXT,
  app_version  TEXT,
  is_active    INTEGER NOT NULL DEFAULT 1,
  created_at   INTEGER NOT NULL,
  updated_at   INTEGER NOT NULL,
  last_used_at INTEGER
);
CREATE INDEX device_user ON device (user);

-- Addresses that will never work, by their hashes.
CREATE TABLE bounce (
  user    TEXT    NOT NULL,
  channel TEXT    NOT NULL,
  address BLOB    NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (user, channel, address)
) WITHOUT ROWID;

-- A sensitive entry's title, message and metadata are one sealed text in `message`.
ALTER TABLE inbox ADD COLUMN sensitive INTEGER NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN public_title TEXT;
