use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use serde_json::Value;

/// What is still read and dropped of a body that is too large, so that an ordinary client, which
/// writes before it reads, sees the answer.
const MAX_DRAIN: u64 = 8 << 20;

/// Why a body could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("the body is no JSON: {message} at line {line}, column {column}")]
    NotJson { message: String, line: usize, column: usize },
    #[error("the body is taken as application/json")]
    MediaType,
    #[error("the body ended before its announced end")]
    Interrupted,
    #[error("the body did not come in time")]
    TooSlow,
    #[error("too many bodies are being read: come again")]
    Overloaded,
    #[error("a body is taken as it is: without a Content-Encoding")]
    Encoded,
}

impl BodyError {
    /// What reading failed of, as `paced` told it.
    pub fn of(error: axum::Error) -> Self {
        error.into_inner().downcast::<Self>().map_or(Self::Interrupted, |told| *told)
    }
}

/// Reads a whole JSON body of at most `max` bytes.
pub async fn json(headers: &HeaderMap, body: Body, max: usize) -> Result<Value, BodyError> {
    if !is_json(headers) {
        return Err(BodyError::MediaType);
    }
    parse(&read(body, max).await?)
}

/// The same, where no body at all is allowed too: an empty object.
pub async fn optional_json(
    headers: &HeaderMap,
    body: Body,
    max: usize,
) -> Result<Value, BodyError> {
    let bytes = read(body, max).await?;
    if bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    if is_json(headers) { parse(&bytes) } else { Err(BodyError::MediaType) }
}

/// Reads a whole body of at most `max` bytes; one that came in one piece is not copied.
pub async fn read(body: Body, max: usize) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { max };
    let announced = body.size_hint().lower();
    if announced > max as u64 + MAX_DRAIN {
        return Err(too_large);
    }
    let mut pieces = body.into_data_stream();
    let Some(first) = pieces.next().await else { return Ok(Bytes::new()) };
    let first = first.map_err(BodyError::of)?;
    if first.len() as u64 == announced && first.len() <= max {
        return Ok(first);
    }
    let mut whole = first.to_vec();
    let mut read = whole.len() as u64;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(BodyError::of)?;
        read += piece.len() as u64;
        if read > max as u64 + MAX_DRAIN {
            return Err(too_large);
        }
        if read > max as u64 {
            whole = Vec::new();
        } else {
            whole.extend_from_slice(&piece);
        }
    }
    if read > max as u64 { Err(too_large) } else { Ok(whole.into()) }
}

pub fn parse(bytes: &[u8]) -> Result<Value, BodyError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let message = text.split(" at line ").next().unwrap_or_default();
        BodyError::NotJson { message: message.into(), line: error.line(), column: error.column() }
    })
}

/// JSON, or nothing said of the kind.
pub fn is_json(headers: &HeaderMap) -> bool {
    match media_type(headers) {
        None => true,
        Some(kind) => {
            kind.eq_ignore_ascii_case("application/json")
                || kind.len() > 5 && kind[kind.len() - 5..].eq_ignore_ascii_case("+json")
        }
    }
}

/// Newline-delimited JSON.
pub fn is_lines(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-ndjson"))
}

/// The content type without its parameters; text that is no ASCII is no type we know.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?;
    let text = value.to_str().unwrap_or("?");
    Some(text.split(';').next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(sizes: &[usize]) -> Body {
        let pieces: Vec<_> =
            sizes.iter().map(|size| Ok::<_, std::io::Error>(vec![b' '; *size])).collect();
        Body::from_stream(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_refused() {
        assert_eq!(read(Body::from("abc"), 3).await, Ok(Bytes::from("abc")));
        assert_eq!(read(pieces(&[2, 1]), 3).await, Ok(Bytes::from("   ")));
        assert_eq!(read(Body::empty(), 3).await, Ok(Bytes::new()));
        let refused = Err(BodyError::TooLarge { max: 3 });
        assert_eq!(read(Body::from("abcd"), 3).await, refused);
        assert_eq!(read(pieces(&[2, 2]), 3).await, refused);
        assert_eq!(read(pieces(&[4 << 20, 4 << 20, 4 << 20]), 3).await, refused);
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let error = parse(b"{\n  \"a\": nope}").expect_err("it is no JSON");
        assert!(matches!(error, BodyError::NotJson { line: 2, column: 9, .. }), "{error:?}");
    }

    #[test]
    fn media_types_are_told_apart() {
        let headers = |kind: &'static str| {
            HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().expect("it is a header"))])
        };
        assert!(is_json(&HeaderMap::new()));
        assert!(is_json(&headers("application/json; charset=utf-8")));
        assert!(is_json(&headers("application/merge-patch+json")));
        assert!(!is_json(&headers("application/x-www-form-urlencoded")));
        assert!(is_lines(&headers("application/x-ndjson")));
    }
}
