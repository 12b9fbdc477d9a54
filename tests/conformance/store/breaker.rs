use futures_util::future::join_all;
use nuncio::store::Breaker;

use super::scene::Scene;

fn breaker(scene: &Scene, provider: &str, host: &str) -> Breaker {
    Breaker {
        provider: provider.into(),
        host: host.into(),
        code: "provider.open".into(),
        since: scene.now(),
        until: scene.after(30),
        probe_until: None,
        openings: 1,
    }
}

pub async fn a_breaker_is_open_until_it_is_closed(scene: Scene) {
    let (smtp, hook) = (breaker(&scene, "smtp", ""), breaker(&scene, "hook", "a.example:443"));
    for breaker in [&smtp, &hook] {
        scene.store.open_breaker(breaker).await.unwrap();
    }
    assert_eq!(scene.store.breakers().await.unwrap(), [hook.clone(), smtp]);
    scene.store.close_breaker(&"smtp".into(), "").await.unwrap();
    scene.store.close_breaker(&"hook".into(), "").await.unwrap();
    assert_eq!(scene.store.breakers().await.unwrap(), [hook]);
}

pub async fn a_breaker_opened_again_stays_open_for_longer(scene: Scene) {
    let first = breaker(&scene, "smtp", "");
    scene.store.open_breaker(&first).await.unwrap();
    let later = scene.after(90);
    let second = Breaker {
        code: "plugin.quarantined".into(),
        since: scene.after(60),
        until: later,
        openings: 2,
        ..first.clone()
    };
    scene.store.open_breaker(&second).await.unwrap();
    // One that heard late of the first opening.
    scene
        .store
        .open_breaker(&Breaker { code: second.code.clone(), ..first.clone() })
        .await
        .unwrap();
    let stored = scene.store.breakers().await.unwrap();
    assert_eq!(stored, [Breaker { since: first.since, ..second }]);
}

pub async fn of_many_callers_one_takes_the_probe(scene: Scene) {
    let breaker = breaker(&scene, "smtp", "");
    let smtp = breaker.provider.clone();
    let take = || scene.store.take_probe(&smtp, "", scene.now(), scene.after(40));
    assert!(!take().await.unwrap(), "there is no breaker to try");
    scene.store.open_breaker(&breaker).await.unwrap();
    assert!(!take().await.unwrap(), "its moment has not come");
    scene.clock.set(breaker.until);

    let (now, until) = (scene.now(), scene.after(40));
    let callers = (0..8).map(|_| {
        let (store, smtp) = (scene.store.clone(), smtp.clone());
        tokio::spawn(async move { store.take_probe(&smtp, "", now, until).await.unwrap() })
    });
    let taken: Vec<bool> = join_all(callers).await.into_iter().map(|it| it.unwrap()).collect();
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    assert_eq!(scene.store.breakers().await.unwrap()[0].probe_until, Some(until));

    scene.clock.set(until);
    assert!(take().await.unwrap(), "who took it was not heard of again");
    scene.store.open_breaker(&breaker).await.unwrap();
    assert_eq!(scene.store.breakers().await.unwrap()[0].probe_until, None, "it was given back");
}
