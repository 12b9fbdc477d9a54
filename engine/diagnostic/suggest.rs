/// The candidate that `name` was probably meant to be: near in letters, or the same but for case
/// and separators. `None` if nothing is near.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = fold(name);
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).map(|c| if c == '-' { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn the_nearest_name_is_proposed_and_nothing_far() {
        let names = ["recipients", "priority", "required"];
        assert_eq!(did_you_mean("recipent", names), Some("recipients"));
        assert_eq!(did_you_mean("Priority", names), Some("priority"));
        assert_eq!(did_you_mean("steps", names), None);
        assert_eq!(did_you_mean("if", ["of"]), Some("of"));
    }
}
