//! What one node is told of a person, every node goes by from then on.

use futures_util::future::join_all;
use nuncio::model::{DeviceToken, DeviceType, Person, Preferences, Registration, Row, UserId};
use nuncio::store::Registered;

use super::nodes;
use crate::conformance::store::scene::Scene;
use crate::conformance::store::user::user;

async fn person(scene: &Scene) -> Option<Person> {
    let people = scene.store.people(&["42".into()]).await.unwrap();
    people.first().map(|person| Person::clone(person))
}

fn says(allowed: bool) -> Preferences {
    let row = Row([("email".into(), allowed)].into());
    Preferences { notification_types: [("order".into(), row)].into(), ..Preferences::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_says_no_on_one_node_is_heard_on_all() {
    let (here, there) = nodes().await;
    let ada = user(&here, "42");
    here.store.put_users(vec![ada.clone()]).await.unwrap();
    for round in 0..20 {
        let (says_it, hears_it) = if round % 2 == 0 { (&here, &there) } else { (&there, &here) };
        let said = says(round % 3 == 0);
        says_it.store.put_preferences(&ada.id, said.clone()).await.unwrap();
        assert_eq!(person(hears_it).await.unwrap().preferences, said);
    }
    here.store.subscribe(&"news".into(), &ada.id).await.unwrap();
    assert_eq!(person(&there).await.unwrap().topics, ["news".into()]);
    there.store.erase_user(&ada.id).await.unwrap();
    assert!(person(&here).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_registered_on_two_nodes_at_once_is_of_one_user() {
    let (here, there) = nodes().await;
    let registration = Registration {
        device_token: DeviceToken::new("token-of-a-phone").expect("a token"),
        device_type: DeviceType::Android,
        device_name: None,
        app_version: None,
    };
    let registered = join_all((0..20).map(|round: u32| {
        let scene = if round.is_multiple_of(2) { &here } else { &there };
        let (id, registration) = (UserId::from(round.to_string()), &registration);
        async move { scene.store.put_device(&id, registration, scene.now()).await.unwrap() }
    }));
    for registered in registered.await {
        assert!(matches!(registered, Registered::New(_)), "the device changed hands");
    }
    assert_eq!(here.store.devices(None, 100).await.unwrap().len(), 1);
}
