use nuncio::store::ApiKey;

use super::scene::Scene;

fn key(scene: &Scene, name: &str, hash: u8) -> ApiKey {
    ApiKey {
        name: name.into(),
        hash: [hash; 32],
        scopes: vec!["events:write".into(), "users:write".into()],
        created_at: scene.now(),
        revoked_at: None,
    }
}

pub async fn a_key_is_found_by_its_hash(scene: Scene) {
    let (shop, desk) = (key(&scene, "shop", 1), key(&scene, "desk", 2));
    assert!(scene.store.put_key(&shop).await.unwrap());
    assert!(scene.store.put_key(&desk).await.unwrap());
    assert_eq!(scene.store.key_by_hash(&[1; 32]).await.unwrap(), Some(shop.clone()));
    assert_eq!(scene.store.key_by_hash(&[3; 32]).await.unwrap(), None);
    let mut keys = scene.store.keys().await.unwrap();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(keys, [desk, shop]);
}

pub async fn a_name_is_in_force_once(scene: Scene) {
    assert!(scene.store.put_key(&key(&scene, "shop", 1)).await.unwrap());
    assert!(!scene.store.put_key(&key(&scene, "shop", 2)).await.unwrap());
    assert_eq!(scene.store.key_by_hash(&[2; 32]).await.unwrap(), None);
    assert_eq!(scene.store.keys().await.unwrap().len(), 1);
}

pub async fn a_revoked_key_opens_nothing(scene: Scene) {
    scene.store.put_key(&key(&scene, "shop", 1)).await.unwrap();
    scene.clock.set(scene.after(60));
    assert!(scene.store.revoke_key("shop", scene.now()).await.unwrap());
    assert!(!scene.store.revoke_key("shop", scene.now()).await.unwrap());
    assert!(!scene.store.revoke_key("desk", scene.now()).await.unwrap());
    assert_eq!(scene.store.key_by_hash(&[1; 32]).await.unwrap(), None);
    assert_eq!(scene.store.keys().await.unwrap()[0].revoked_at, Some(scene.now()));

    assert!(scene.store.put_key(&key(&scene, "shop", 2)).await.unwrap());
    assert!(scene.store.key_by_hash(&[2; 32]).await.unwrap().is_some());
}
