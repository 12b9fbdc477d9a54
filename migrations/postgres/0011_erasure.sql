-- Whoever is erased is found without reading all that there is.
CREATE INDEX run_recipient ON run (recipient) WHERE recipient IS NOT NULL;
CREATE INDEX decision_recipient ON decision (recipient) WHERE recipient IS NOT NULL;
CREATE INDEX event_actor ON event (actor) WHERE actor IS NOT NULL;
