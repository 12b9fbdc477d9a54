//! Several nodes on one PostgreSQL, as real processes: equal ones and split ones, killed ones,
//! ones that stand still and ones that are restarted in turn.

mod cluster;
mod lost;
mod restart;
mod roles;
