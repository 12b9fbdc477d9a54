-- A token is sealed; its hash tells whether it is known.
CREATE TABLE device (
  id           BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id      TEXT    COLLATE "C" NOT NULL,
  token        TEXT    NOT NULL,
  token_hash   BYTEA   NOT NULL UNIQUE,
  kind         BIGINT  NOT NULL,
  name         TEXT,
  app_version  TEXT,
  is_active    BOOLEAN NOT NULL DEFAULT TRUE,
  created_at   BIGINT  NOT NULL,
  updated_at   BIGINT  NOT NULL,
  last_used_at BIGINT
);
CREATE INDEX device_user ON device (user_id);

-- Addresses that will never work, by their hashes.
CREATE TABLE bounce (
  user_id TEXT   COLLATE "C" NOT NULL,
  channel TEXT   COLLATE "C" NOT NULL,
  address BYTEA  NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (user_id, channel, address)
);

-- A sensitive entry's title, message and metadata are one sealed text in `message`.
ALTER TABLE inbox ADD COLUMN sensitive BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE inbox ADD COLUMN public_title TEXT;
