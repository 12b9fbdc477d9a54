-- Nothing to make here: `nuncio.emit` writes in the transaction of a service, which works on a
-- server. The number is taken so that both stores count alike.
SELECT 1;
