//! Nuncio, a notification delivery engine.
