-- Whoever is erased is found without reading all that there is. Runs have no such index: it would
-- cost each of them, and they are looked for beside the work.
CREATE INDEX decision_recipient ON decision (recipient) WHERE recipient IS NOT NULL;
CREATE INDEX event_actor ON event (actor) WHERE actor IS NOT NULL;
