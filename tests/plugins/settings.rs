use serde_json::json;

use super::hosting::{host, hostile, refused, secret, setup};

#[tokio::test]
async fn everything_wrong_with_settings_is_said_at_once() {
    let host = host();
    let settings = setup(json!({"port": 70000, "tls": "maybe", "color": "red"}));
    let settings = secret(settings, "pasword", "x");

    let error = refused(&host, "email", settings).await.to_string();
    insta::assert_snapshot!(error.replace("; ", "\n"), @r#"
    provider `test` (plugin `email`): `/settings`: "host" is a required property
    `/settings`: "from" is a required property
    `/settings/port`: 70000 is greater than the maximum of 65535
    `/settings/tls`: "maybe" is not one of "none", "starttls" or "tls"
    `/settings`: Additional properties are not allowed ('color' was unexpected)
    `/secrets/pasword`: the plugin's secrets are `password`
    "#);
}

#[tokio::test]
async fn a_plugin_has_the_last_word() {
    let host = host();
    let bad = setup(json!({"url": "http://127.0.0.1/bad"}));
    insta::assert_snapshot!(refused(&host, &hostile(), bad).await, @"provider `test` (plugin `hostile`): `/settings`: `url` is bad; `/settings`: and that twice");

    let from = setup(json!({"host": "localhost", "from": "nobody"}));
    insta::assert_snapshot!(refused(&host, "email", from).await, @"provider `test` (plugin `email`): `/settings`: `from`: it is no mailbox");

    let headers = json!({"headers": {"Webhook-ID": "1", "x": "ok"}});
    insta::assert_snapshot!(refused(&host, "webhook", setup(headers)).await, @"provider `test` (plugin `webhook`): `/settings`: `headers.Webhook-ID` is set by the channel itself");
}

#[tokio::test]
async fn secrets_are_checked_without_being_shown() {
    let host = host();
    let signing = secret(setup(json!({})), "signing", "whsec_%%%hunter2");
    let error = refused(&host, "webhook", signing).await;
    insta::assert_snapshot!(error, @"provider `test` (plugin `webhook`): `/secrets/signing`: after `whsec_` comes base64");
    assert!(!format!("{error:?}").contains("hunter2"));

    let half = json!({"host": "localhost", "from": "a@example.com", "username": "ada"});
    insta::assert_snapshot!(refused(&host, "email", setup(half)).await, @"provider `test` (plugin `email`): `/secrets/password`: `username` needs a password");
}
