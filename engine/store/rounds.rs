use std::collections::HashSet;

use uuid::Uuid;

/// Calls, each with its place among the answers.
pub(super) type Round<'a, T> = Vec<(usize, &'a T)>;

/// Splits calls on the same row, so that each round has a row once: an update says which rows it
/// changed, not for whom. Nearly always one round.
pub(super) fn rounds<'a, T>(all: &[&'a T], id: fn(&T) -> Uuid) -> Vec<Round<'a, T>> {
    let mut rounds: Vec<(HashSet<Uuid>, Round<'a, T>)> = Vec::new();
    for (place, each) in all.iter().enumerate() {
        let free =
            rounds.iter_mut().find_map(|(taken, round)| taken.insert(id(each)).then_some(round));
        match free {
            Some(round) => round.push((place, each)),
            None => rounds.push((HashSet::from([id(each)]), vec![(place, each)])),
        }
    }
    rounds.into_iter().map(|(_, round)| round).collect()
}
