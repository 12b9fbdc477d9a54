//! The seven gates, through the real pipeline on a clock that is turned by hand.

mod batch;
mod budget;
mod duplicate;
mod expiry;
mod order;
mod preference;
mod quiet_hours;
mod reference;
mod scene;
mod zones;
