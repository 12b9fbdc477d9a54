use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::{MemoryStore, State};
use crate::model::{Person, Preferences, TopicName, User, UserId};
use crate::store::{Erased, Result, Topics, Users};

#[async_trait]
impl Users for MemoryStore {
    async fn put_users(&self, users: Vec<User>) -> Result<Vec<bool>> {
        let now = self.clock.now();
        let mut state = self.state();
        let created = users.into_iter().map(|mut user| {
            state.readdress(&user);
            let known = state.users.get(&user.id);
            let created = known.is_none();
            user.created_at = known.map_or(user.created_at, |known| known.created_at);
            state.ask_again(&user.id, now, |_| true);
            state.users.insert(user.id.clone(), user);
            created
        });
        Ok(created.collect())
    }

    async fn user(&self, id: &UserId) -> Result<Option<User>> {
        Ok(self.state().users.get(id).cloned())
    }

    async fn people(&self, ids: &[UserId]) -> Result<Vec<Arc<Person>>> {
        let state = self.state();
        Ok(ids.iter().filter_map(|id| state.person(id)).map(Arc::new).collect())
    }

    async fn members(
        &self,
        role: Option<&str>,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>> {
        let state = self.state();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let users = state.users.range::<UserId, _>((from, Bound::Unbounded));
        let of_role = users.filter(|(_, user)| role.is_none() || user.role.as_deref() == role);
        Ok(of_role.map(|(id, _)| id.clone()).take(limit).collect())
    }

    async fn erase_user(&self, id: &UserId) -> Result<Option<Erased>> {
        let now = self.clock.now();
        Ok(self.state().erase(id, now))
    }

    async fn put_preferences(&self, id: &UserId, preferences: Preferences) -> Result<()> {
        let now = self.clock.now();
        let mut state = self.state();
        state.preferences.insert(id.clone(), preferences);
        state.ask_again(id, now, |_| true);
        Ok(())
    }

    async fn preferences(&self, id: &UserId) -> Result<Preferences> {
        Ok(self.state().preferences.get(id).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Topics for MemoryStore {
    async fn subscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool> {
        Ok(self.state().topics.entry(topic.clone()).or_default().insert(user.clone()))
    }

    async fn unsubscribe(&self, topic: &TopicName, user: &UserId) -> Result<bool> {
        let mut state = self.state();
        Ok(state.topics.get_mut(topic).is_some_and(|subscribers| subscribers.remove(user)))
    }

    async fn subscribers(
        &self,
        topic: &TopicName,
        after: Option<&UserId>,
        limit: usize,
    ) -> Result<Vec<UserId>> {
        let state = self.state();
        let Some(subscribers) = state.topics.get(topic) else { return Ok(Vec::new()) };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = subscribers.range::<UserId, _>((start, Bound::Unbounded));
        Ok(page.take(limit).cloned().collect())
    }
}

impl State {
    fn person(&self, id: &UserId) -> Option<Person> {
        let topics = self.topics.iter().filter(|(_, subscribers)| subscribers.contains(id));
        let devices = self.devices.values().filter(|device| device.user == *id);
        Some(Person {
            user: self.users.get(id)?.clone(),
            preferences: self.preferences.get(id).cloned().unwrap_or_default(),
            topics: topics.map(|(topic, _)| topic.clone()).collect(),
            devices: devices.cloned().collect(),
            bounces: self.bounces.get(id).into_iter().flatten().cloned().collect(),
        })
    }
}
