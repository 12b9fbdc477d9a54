//! `application/x-ndjson`: events streamed without an end, in bounded memory.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};

use super::State;
use super::body::{self, BodyError};
use super::events::{self, EventAnswer};
use super::problem::Problem;
use crate::ingest::Incoming;

/// Bytes of one line.
const MAX_LINE: usize = 1 << 20;

/// Events stored in one call.
const MAX_CHUNK: usize = 1000;

/// Answers held until the last line is read. A client that sends more has to read while it
/// writes: from there on, answers go out as they come.
const MAX_HELD: usize = 1_000_000;

/// Answers written at once.
const WRITTEN_AT_ONCE: usize = 1000;

/// Stores the lines as they come. The answer is an array in the order of the lines; blank ones do
/// not count. It is 207 if one of the first million was refused.
pub async fn create(api: Arc<State>, content: Body) -> Result<Response, Problem> {
    if api.intake.available_permits() == 0 {
        return Err(Problem::overloaded());
    }
    let mut intake = Intake::new(api, content);
    let mut held = VecDeque::new();
    let mut status = StatusCode::ACCEPTED;
    while held.len() < MAX_HELD {
        let Some(answers) = intake.next().await? else { break };
        if answers.iter().any(|answer| matches!(answer, EventAnswer::Refused(_))) {
            status = StatusCode::MULTI_STATUS;
        }
        held.extend(answers);
    }
    let body = Body::from_stream(stream::unfold(
        Output { intake, held, begun: false, ended: false },
        Output::next,
    ));
    Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The lines of a body, a chunk at a time.
struct Intake {
    api: Arc<State>,
    pieces: BodyDataStream,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// The line is too long: what comes until its end is dropped.
    skipping: bool,
    ready: VecDeque<Result<Incoming, Problem>>,
    /// Bytes of the lines in `ready`, about.
    bytes: usize,
    ended: bool,
}

impl Intake {
    fn new(api: Arc<State>, content: Body) -> Self {
        Self {
            api,
            pieces: content.into_data_stream(),
            rest: Vec::new(),
            skipping: false,
            ready: VecDeque::new(),
            bytes: 0,
            ended: false,
        }
    }

    /// Reads some lines and stores them. `None` after the last.
    async fn next(&mut self) -> Result<Option<Vec<EventAnswer>>, Problem> {
        while self.ready.is_empty() {
            if self.ended {
                return Ok(None);
            }
            match self.pieces.next().await {
                Some(piece) => self.take(&piece.map_err(BodyError::of)?),
                None => self.finish(),
            }
        }
        let chunk: Vec<_> = self.ready.drain(..self.ready.len().min(MAX_CHUNK)).collect();
        let permits = events::kib(self.bytes).min(events::intake(&self.api.server));
        if self.ready.is_empty() {
            self.bytes = 0;
        }
        // Waiting here slows the sender down, which is all that a stream needs.
        let permit = self.api.intake.acquire_many(permits).await;
        let answers = events::accept(&self.api, chunk).await;
        drop(permit);
        answers.map(Some)
    }

    fn take(&mut self, mut piece: &[u8]) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&piece[..end], &piece[end + 1..]);
            if self.rest.is_empty() && !self.skipping {
                self.line(line);
            } else {
                self.append(line);
                self.end_line();
            }
            piece = after;
        }
        self.append(piece);
    }

    fn append(&mut self, text: &[u8]) {
        if self.rest.len() + text.len() > MAX_LINE {
            self.skipping = true;
            self.rest = Vec::new();
        }
        if !self.skipping {
            self.rest.extend_from_slice(text);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.rest);
        if std::mem::take(&mut self.skipping) {
            self.ready.push_back(Err(BodyError::TooLarge { max: MAX_LINE }.into()));
        } else {
            self.line(&line);
        }
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        self.bytes += line.len();
        let max_event = events::max_event(&self.api, line.len());
        let parsed = body::parse(line).map_err(Problem::from);
        self.ready.push_back(parsed.and_then(|value| Ok(Incoming::parse(value, max_event)?)));
    }

    fn finish(&mut self) {
        self.ended = true;
        if self.skipping || !self.rest.is_empty() {
            self.end_line();
        }
    }
}

/// The answer as it is written: `[`, the held ones, those that still come, `]`.
struct Output {
    intake: Intake,
    held: VecDeque<EventAnswer>,
    begun: bool,
    ended: bool,
}

impl Output {
    /// A body that breaks off, or a store that fails half-way, breaks the answer off too: the
    /// sender repeats what was not answered, under the same keys.
    async fn next(mut self) -> Option<(Result<Bytes, BodyError>, Self)> {
        if self.ended {
            return None;
        }
        if self.held.is_empty() {
            match self.intake.next().await {
                Ok(Some(answers)) => self.held.extend(answers),
                Ok(None) => self.ended = true,
                Err(_) => {
                    self.ended = true;
                    return Some((Err(BodyError::Interrupted), self));
                }
            }
        }
        let mut text = Vec::new();
        if !self.begun && self.held.is_empty() {
            text.push(b'[');
        }
        for answer in self.held.drain(..self.held.len().min(WRITTEN_AT_ONCE)) {
            text.push(if self.begun { b',' } else { b'[' });
            self.begun = true;
            // Memory takes everything.
            let _ = serde_json::to_writer(&mut text, &answer);
        }
        if self.ended {
            text.push(b']');
        }
        Some((Ok(text.into()), self))
    }
}
