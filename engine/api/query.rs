use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use url::form_urlencoded;

use super::problem::Problem;
use crate::ingest::FieldError;

/// A query string, decoded.
pub struct Query(Vec<(String, String)>);

/// A parameter that could not be read: its name, and what it should be.
#[derive(Debug)]
pub struct BadParameter {
    pub name: &'static str,
    pub expected: &'static str,
}

impl Query {
    pub fn new(raw: Option<&str>) -> Self {
        Self(form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// Of pairs that are known already.
    pub fn from_pairs(pairs: &BTreeMap<&str, String>) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    }

    /// Refuses names that the call does not know: a misspelt filter would answer everything.
    pub fn of(raw: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let query = Self::new(raw);
        let unknown: Vec<_> = query
            .0
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, _)| {
                let message =
                    format!("there is no parameter `{name}` here, only {}", known.join(", "));
                FieldError::new("", message)
            })
            .collect();
        if unknown.is_empty() { Ok(query) } else { Err(Problem::invalid("query.invalid", unknown)) }
    }

    /// The first value of that name, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    pub fn read<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, BadParameter> {
        let read = self.get(name).map(str::parse).transpose();
        read.map_err(|_| BadParameter { name, expected })
    }

    /// A page's size: from 1 to `most`.
    pub fn limit(&self, default: usize, most: usize) -> Result<usize, BadParameter> {
        const NAME: &str = "limit";
        let expected = "a number from 1 to 1000";
        match self.read(NAME, expected)? {
            None => Ok(default),
            Some(limit) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(BadParameter { name: NAME, expected }),
        }
    }

    /// The same query with one value replaced.
    pub fn with(&self, name: &str, value: impl Display) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(key, _)| key != name));
        query.append_pair(name, &value.to_string());
        query.finish()
    }
}

impl From<BadParameter> for Problem {
    fn from(bad: BadParameter) -> Self {
        let message = format!("`{}` is {}", bad.name, bad.expected);
        Self::invalid("query.invalid", vec![FieldError::new("", message)])
    }
}
