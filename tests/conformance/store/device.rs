use nuncio::model::{Bounce, Device, DeviceId, DeviceToken, DeviceType, Registration, UserId};
use nuncio::store::{DeviceChange, MOST_DEVICES, Registered};

use super::scene::Scene;
use super::user::user;

fn registration(token: &str) -> Registration {
    Registration {
        device_token: DeviceToken::new(token).expect("a token"),
        device_type: DeviceType::Android,
        device_name: Some("Ada's phone".into()),
        app_version: Some("1.2".into()),
    }
}

async fn register(scene: &Scene, user: &str, token: &str) -> Device {
    let registration = registration(token);
    let put = scene.store.put_device(&user.into(), &registration, scene.now()).await;
    match put.expect("the store answers") {
        Registered::New(device) => device,
        other => panic!("the device is new: {other:?}"),
    }
}

async fn listed(scene: &Scene, user: &str) -> Vec<Device> {
    scene.store.devices(Some(&user.into()), 1000).await.expect("the store answers")
}

pub async fn a_device_is_registered_then_updated(scene: Scene) {
    let first = register(&scene, "42", "token-of-a-phone").await;
    let expected = Device {
        id: first.id,
        user: "42".into(),
        token: DeviceToken::new("token-of-a-phone").unwrap(),
        kind: DeviceType::Android,
        name: Some("Ada's phone".into()),
        app_version: Some("1.2".into()),
        is_active: true,
        created_at: scene.now(),
        updated_at: scene.now(),
        last_used_at: None,
    };
    assert_eq!(first, expected);
    let off = DeviceChange { is_active: Some(false), ..DeviceChange::default() };
    scene.store.change_device(&first.user, first.id, &off, scene.now()).await.unwrap();

    scene.clock.set(scene.after(60));
    let again = Registration {
        device_type: DeviceType::Ios,
        device_name: None,
        app_version: Some("1.3".into()),
        ..registration("token-of-a-phone")
    };
    let put = scene.store.put_device(&"42".into(), &again, scene.now()).await.unwrap();
    let second = Device {
        kind: DeviceType::Ios,
        app_version: Some("1.3".into()),
        updated_at: scene.now(),
        ..expected
    };
    assert_eq!(put, Registered::Known(second.clone()));
    assert_eq!(listed(&scene, "42").await, [second]);
}

pub async fn a_token_is_of_who_registered_it_last(scene: Scene) {
    let first = register(&scene, "42", "handed-over").await;
    scene.store.put_users(vec![user(&scene, "42"), user(&scene, "43")]).await.unwrap();
    assert_eq!(scene.store.people(&["42".into()]).await.unwrap()[0].devices.len(), 1);
    let second = register(&scene, "43", "handed-over").await;
    assert_ne!(first.id, second.id);
    assert!(listed(&scene, "42").await.is_empty());
    assert!(scene.store.people(&["42".into()]).await.unwrap()[0].devices.is_empty());
    assert_eq!(listed(&scene, "43").await, [second]);
}

pub async fn devices_are_listed_by_id_of_one_or_of_all(scene: Scene) {
    let mut ids = Vec::new();
    for (user, token) in [("42", "one-token"), ("43", "two-token"), ("42", "three-token")] {
        ids.push(register(&scene, user, token).await.id);
    }
    let of = |devices: Vec<Device>| devices.iter().map(|device| device.id).collect::<Vec<_>>();
    assert_eq!(of(listed(&scene, "42").await), [ids[0], ids[2]]);
    assert_eq!(of(scene.store.devices(None, 1000).await.unwrap()), ids);
    assert_eq!(of(scene.store.devices(None, 2).await.unwrap()), ids[..2]);
    assert!(listed(&scene, "44").await.is_empty());
}

pub async fn a_device_is_changed_where_it_is_said(scene: Scene) {
    let device = register(&scene, "42", "token-of-a-phone").await;
    scene.clock.set(scene.after(60));
    let change = DeviceChange { name: Some(None), ..DeviceChange::default() };
    let changed = scene.store.change_device(&device.user, device.id, &change, scene.now()).await;
    let expected = Device { name: None, updated_at: scene.now(), ..device.clone() };
    assert_eq!(changed.unwrap(), Some(expected));
    let change = DeviceChange {
        is_active: Some(false),
        name: Some(Some("Tablet".into())),
        app_version: Some(None),
    };
    let changed = scene.store.change_device(&device.user, device.id, &change, scene.now()).await;
    let changed = changed.unwrap().expect("it is there");
    assert_eq!((changed.is_active, changed.name.as_deref()), (false, Some("Tablet")));
    assert_eq!(changed.app_version, None);
    scene.store.device_used(&device.user, device.id, scene.now()).await.unwrap();
    let used = Device { last_used_at: Some(scene.now()), ..changed };
    assert_eq!(listed(&scene, "42").await, [used]);
}

pub async fn anothers_device_is_nobodys(scene: Scene) {
    let device = register(&scene, "42", "token-of-a-phone").await;
    let (other, now) = (UserId::from("43"), scene.now());
    let change = DeviceChange { is_active: Some(false), ..DeviceChange::default() };
    for (user, id) in [(&other, device.id), (&device.user, DeviceId(99))] {
        assert_eq!(scene.store.change_device(user, id, &change, now).await.unwrap(), None);
        assert!(!scene.store.delete_device(user, id).await.unwrap());
        scene.store.device_used(user, id, now).await.unwrap();
    }
    assert_eq!(listed(&scene, "42").await, std::slice::from_ref(&device));
    assert!(scene.store.delete_device(&device.user, device.id).await.unwrap());
    assert!(listed(&scene, "42").await.is_empty());
    assert!(!scene.store.delete_device(&device.user, device.id).await.unwrap());
    assert_ne!(register(&scene, "42", "another-token").await.id, device.id, "no id comes again");
}

pub async fn a_user_has_only_so_many_devices(scene: Scene) {
    for place in 0..MOST_DEVICES {
        register(&scene, "42", &format!("token-{place}")).await;
    }
    let put = async |user: &str, token: &str| {
        scene.store.put_device(&user.into(), &registration(token), scene.now()).await.unwrap()
    };
    assert_eq!(put("42", "one-more").await, Registered::Full);
    assert!(matches!(put("42", "token-7").await, Registered::Known(_)));
    assert!(matches!(put("43", "one-more").await, Registered::New(_)));
    assert_eq!(listed(&scene, "42").await.len(), MOST_DEVICES);
}

pub async fn people_come_with_their_devices(scene: Scene) {
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    let person = async || scene.store.people(&["42".into()]).await.unwrap().remove(0);
    assert_eq!(person().await.device(), None);
    let phone = register(&scene, "42", "token-of-a-phone").await;
    assert_eq!(person().await.device(), Some(&phone));
    scene.clock.set(scene.after(60));
    let tablet = register(&scene, "42", "token-of-a-tablet").await;
    assert_eq!(person().await.device(), Some(&tablet), "the newest");
    scene.store.device_used(&phone.user, phone.id, scene.now()).await.unwrap();
    assert_eq!(person().await.device().map(|device| device.id), Some(phone.id), "the one used");
    let off = DeviceChange { is_active: Some(false), ..DeviceChange::default() };
    scene.store.change_device(&phone.user, phone.id, &off, scene.now()).await.unwrap();
    assert_eq!(person().await.device(), Some(&tablet), "the active one");
    scene.store.delete_device(&tablet.user, tablet.id).await.unwrap();
    assert_eq!(person().await.device(), None);
    assert_eq!(person().await.devices.len(), 1);
}

pub async fn a_bounce_lasts_until_an_address_changes(scene: Scene) {
    let ada = user(&scene, "42");
    let bounce = Bounce::of(&"email".into(), "ada@example.com");
    scene.store.put_users(vec![ada.clone(), user(&scene, "43")]).await.unwrap();
    let bounces = async |user: &str| {
        scene.store.people(&[user.into()]).await.unwrap().remove(0).bounces.clone()
    };
    assert_eq!(bounces("42").await, []);
    scene.store.mark_bounced(&ada.id, &bounce, scene.now()).await.unwrap();
    scene.store.mark_bounced(&ada.id, &bounce, scene.now()).await.unwrap();
    assert_eq!(bounces("42").await, std::slice::from_ref(&bounce));
    assert_eq!(bounces("43").await, []);
    let other = Bounce::of(&"webhook".into(), "https://gone.example");
    scene.store.mark_bounced(&ada.id, &other, scene.now()).await.unwrap();
    assert_eq!(bounces("42").await.len(), 2);
    scene.store.forget_bounce(&ada.id, &other).await.unwrap();
    let renamed = nuncio::model::User { first_name: Some("A.".into()), ..ada.clone() };
    scene.store.put_users(vec![renamed]).await.unwrap();
    assert_eq!(bounces("42").await, [bounce]);
    let moved = nuncio::model::User { email: Some("ada@example.org".into()), ..ada };
    scene.store.put_users(vec![moved]).await.unwrap();
    assert_eq!(bounces("42").await, []);
}

pub async fn an_erased_user_has_no_devices(scene: Scene) {
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    register(&scene, "42", "token-of-a-phone").await;
    let others = register(&scene, "43", "token-of-another").await;
    let bounce = Bounce::of(&"email".into(), "ada@example.com");
    scene.store.mark_bounced(&"42".into(), &bounce, scene.now()).await.unwrap();
    scene.store.erase_user(&"42".into()).await.unwrap();
    assert_eq!(scene.store.devices(None, 9).await.unwrap(), [others]);
    scene.store.put_users(vec![user(&scene, "42")]).await.unwrap();
    assert_eq!(scene.store.people(&["42".into()]).await.unwrap()[0].bounces, []);
}
