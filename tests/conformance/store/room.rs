use nuncio::model::{RoomName, Saying, Stream};
use nuncio::store::Replay;

use super::scene::{Scene, seqs};

fn saying(scene: &Scene, room: &str, user: &str, message: &str) -> Saying {
    Saying {
        id: scene.clock.id(),
        room: room.into(),
        user: user.into(),
        username: "Ann".into(),
        message: message.into(),
        at: scene.now(),
    }
}

pub async fn what_is_said_is_numbered_and_kept(scene: Scene) {
    let room = RoomName::from("blue");
    let mut said = Vec::new();
    for (message, keep) in [("one", true), ("two", false), ("three", true)] {
        let one = saying(&scene, "blue", "1", message);
        let frame = scene.store.say(&one, keep).await.unwrap();
        assert_eq!(*frame.body, one.frame(frame.seq));
        said.push((frame.seq, one));
    }
    scene.store.say(&saying(&scene, "red", "1", "elsewhere"), true).await.unwrap();
    let stream = Stream::Room(room.clone());
    let Replay::Frames(frames) = scene.store.stream_replay(&stream, 0, 10).await.unwrap() else {
        panic!("nothing is gone")
    };
    assert_eq!(seqs(&frames), [1, 2, 3]);
    let kept = [said[0].clone(), said[2].clone()];
    assert_eq!(scene.store.history(&room, None, 10).await.unwrap(), kept);
    assert_eq!(scene.store.history(&room, None, 1).await.unwrap(), kept[1..]);
    assert_eq!(scene.store.history(&room, Some(3), 10).await.unwrap(), kept[..1]);
}

pub async fn reading_goes_forward_and_is_a_members(scene: Scene) {
    let (room, user) = (RoomName::from("blue"), "1".into());
    assert!(!scene.store.read_up_to(&room, &user, 1).await.unwrap());
    scene.store.join(&room, &user).await.unwrap();
    assert!(scene.store.read_up_to(&room, &user, 3).await.unwrap());
    for seq in [2, 3] {
        assert!(!scene.store.read_up_to(&room, &user, seq).await.unwrap());
    }
    assert!(scene.store.read_up_to(&room, &user, 4).await.unwrap());
}

pub async fn an_erased_person_is_in_no_room(scene: Scene) {
    let room = RoomName::from("blue");
    scene.store.put_users(vec![super::user::user(&scene, "1")]).await.unwrap();
    for user in ["1", "2"] {
        scene.store.join(&room, &user.into()).await.unwrap();
        scene.store.say(&saying(&scene, "blue", user, "hello"), true).await.unwrap();
    }
    scene.store.erase_user(&"1".into()).await.unwrap();
    assert!(!scene.store.is_member(&room, &"1".into()).await.unwrap());
    let left = scene.store.history(&room, None, 10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.user.as_str(), "2");
    // Nor do the frames of the room say it again.
    let stream = Stream::Room(room);
    assert!(matches!(scene.store.stream_replay(&stream, 0, 10).await.unwrap(), Replay::Gone));
}
