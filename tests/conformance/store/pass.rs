use std::time::Duration;

use futures_util::future::join_all;
use nuncio::model::{Occasion, Pass, Passage, RunId};
use nuncio::store::Plan;

use super::scene::Scene;

/// At most two a minute.
fn passing(scene: &Scene, run: RunId) -> Pass {
    Pass {
        occasion: Occasion { run, step: "0".into(), item: 0 },
        key: [1; 32],
        limit: 2,
        window: Duration::from_secs(60),
        at: scene.now(),
        ahead: false,
    }
}

async fn pass(scene: &Scene, pass: Pass) -> Passage {
    scene.store.pass(pass).await.expect("answers")
}

async fn next(scene: &Scene, shape: impl FnOnce(&mut Pass)) -> Passage {
    let mut asked = passing(scene, scene.clock.id());
    shape(&mut asked);
    pass(scene, asked).await
}

pub async fn only_so_many_pass_within_a_window(scene: Scene) {
    assert_eq!(next(&scene, |_| {}).await, Passage::Free);
    let first_ends = scene.after(60);
    scene.clock.set(scene.after(30));
    assert_eq!(next(&scene, |_| {}).await, Passage::Free);
    assert_eq!(next(&scene, |_| {}).await, Passage::From(first_ends));
    assert_eq!(next(&scene, |pass| pass.key = [2; 32]).await, Passage::Free);
    scene.clock.set(scene.after(30));
    assert_eq!(next(&scene, |_| {}).await, Passage::Free);
    assert_eq!(next(&scene, |_| {}).await, Passage::From(scene.after(30)));
}

pub async fn a_place_is_taken_once(scene: Scene) {
    let run = scene.clock.id();
    for _ in 0..3 {
        assert_eq!(pass(&scene, passing(&scene, run)).await, Passage::Free);
    }
    let mut round = passing(&scene, run);
    round.occasion.item = 1;
    assert_eq!(pass(&scene, round).await, Passage::Free, "the next round of a loop is another");
    assert_eq!(next(&scene, |_| {}).await, Passage::From(scene.after(60)));
}

pub async fn places_are_kept_in_the_order_of_asking(scene: Scene) {
    for _ in 0..2 {
        assert_eq!(next(&scene, |_| {}).await, Passage::Free);
    }
    let mut kept = Vec::new();
    for minute in [1, 1, 2, 2] {
        let mut asked = passing(&scene, scene.clock.id());
        asked.ahead = true;
        assert_eq!(pass(&scene, asked.clone()).await, Passage::From(scene.after(60 * minute)));
        kept.push(asked);
    }
    scene.clock.set(scene.after(60));
    assert_eq!(next(&scene, |_| {}).await, Passage::From(scene.after(120)));
    for (asked, free) in kept.into_iter().zip([true, true, false, false]) {
        let answer = pass(&scene, Pass { at: scene.now(), ..asked }).await;
        let expected = if free { Passage::Free } else { Passage::From(scene.after(60)) };
        assert_eq!(answer, expected);
    }
}

pub async fn a_place_that_was_kept_is_given_back(scene: Scene) {
    let run = scene.clock.id();
    for _ in 0..2 {
        next(&scene, |_| {}).await;
    }
    let kept = Pass { ahead: true, ..passing(&scene, run) };
    assert_eq!(pass(&scene, kept).await, Passage::From(scene.after(60)));
    let leaves = vec![(run, scene.now())];
    scene.accept(&scene.event(), Plan { leaves, ..Plan::default() }).await;
    for _ in 0..2 {
        assert_eq!(next(&scene, |pass| pass.ahead = true).await, Passage::From(scene.after(60)));
    }
    assert_eq!(next(&scene, |pass| pass.ahead = true).await, Passage::From(scene.after(120)));
}

pub async fn where_none_may_pass_none_does(scene: Scene) {
    let none = |pass: &mut Pass| (pass.limit, pass.ahead) = (0, true);
    for _ in 0..2 {
        assert_eq!(next(&scene, none).await, Passage::From(scene.after(60)));
    }
}

pub async fn concurrent_passes_keep_the_limit(scene: Scene) {
    let asked = join_all((0..20).map(|_| next(&scene, |_| {}))).await;
    assert_eq!(asked.iter().filter(|answer| **answer == Passage::Free).count(), 2);
}
