//! What each kind of step does, on a clock that is turned. Every story is told four times: on each
//! store, in peace and in trouble (each worker dies before it has written, each result is written
//! twice).

mod emit;
mod plain;
mod recipients;
mod schedule;
mod stops;

use crate::harness::stage::{On, Stage};

/// Runs a story on every ground.
macro_rules! told {
    ($($story:ident)+) => { $(
        #[tokio::test]
        async fn $story() {
            use crate::harness::stage::On;
            for on in [On::Memory, On::Sqlite] {
                for troubled in [false, true] {
                    story::$story(super::ground(on, troubled)).await;
                }
            }
        }
    )+ };
}
pub(crate) use told;

/// Where a story is told.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    on: On,
    troubled: bool,
}

fn ground(on: On, troubled: bool) -> Ground {
    Ground { on, troubled }
}

impl Ground {
    pub async fn stage(self, files: &[(&str, &str)]) -> Stage {
        let stage = Stage::new(self.on, files).await;
        stage.user("7", "seven@shop.example").await;
        stage.user("8", "eight@shop.example").await;
        if self.troubled { stage.troubled() } else { stage }
    }
}
