-- An event's place in a trace, where it is traced.
ALTER TABLE event ADD COLUMN trace TEXT;
