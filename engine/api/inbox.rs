//! The inbox API: what an end user's app calls (docs/reference/api.md). Paths work with and without their
//! trailing slash.

pub(super) mod bulk;
pub(super) mod devices;
pub(super) mod entry;
pub(super) mod list;
mod object;
pub(super) mod preferences;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, patch, post};

use super::State;
use super::envelope::InboxError;
use crate::model::Category;

pub fn routes() -> Router<Arc<State>> {
    let calls: [(&str, MethodRouter<Arc<State>>); 9] = [
        ("/api/notifications", get(list::list)),
        ("/api/notifications/mark-all-read", post(bulk::mark_all)),
        ("/api/notifications/mark-multiple-read", post(bulk::mark_many)),
        ("/api/notifications/bulk-delete", delete(bulk::delete_many)),
        ("/api/notifications/unread-count", get(entry::unread)),
        (
            "/api/notifications/preferences",
            get(preferences::show).put(preferences::replace).patch(preferences::change),
        ),
        ("/api/notifications/devices", get(devices::list).post(devices::register)),
        ("/api/notifications/devices/{id}", patch(devices::change).delete(devices::erase)),
        ("/api/notifications/{id}", get(entry::show).patch(entry::change).delete(entry::erase)),
    ];
    calls.into_iter().fold(Router::new(), |router, (path, call)| {
        router.route(path, call.clone()).route(&format!("{path}/"), call)
    })
}

/// The known type of that name, whatever its case.
fn known_type(api: &State, name: &str, field: &str) -> Result<Category, InboxError> {
    let known = api.catalog.types().into_iter();
    let mut matching = known.filter(|known| known.as_str().eq_ignore_ascii_case(name));
    matching.next().ok_or_else(|| InboxError::unknown_type(name, field))
}
