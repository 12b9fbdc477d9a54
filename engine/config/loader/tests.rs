use std::io::Write;
use std::path::Path;

use super::super::{AllowPrivate, Environment, Origin, Secret, Span};
use super::{ConfigError, Flag, Loaded, load};

/// Loads `file` under the name `nuncio.toml`, with the paths of what is answered shortened to it.
fn with(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, Vec<ConfigError>> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nuncio.toml");
    std::fs::File::create(&path).and_then(|mut f| f.write_all(file.as_bytes())).expect("writes");
    let environment: Environment = environment.iter().copied().collect();
    let short = |origin: &mut Origin| {
        if let Origin::File { path, .. } = origin {
            *path = "nuncio.toml".into();
        }
    };
    load(Some(&path), &environment, &[])
        .map(|mut loaded| {
            loaded.settings.iter_mut().for_each(|setting| short(&mut setting.origin));
            loaded
        })
        .map_err(|mut errors| {
            errors.iter_mut().for_each(|error| short(&mut error.at));
            errors
        })
}

fn errors(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let errors = with(file, environment).expect_err("something is wrong");
    let lines = errors.iter().map(|error| {
        let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}: {error}{hint}", error.code)
    });
    lines.collect()
}

fn shown(loaded: &Loaded, key: &str) -> (String, String) {
    let setting = loaded.settings.iter().find(|setting| setting.key == key).expect("is set");
    (setting.value.clone(), setting.origin.to_string())
}

#[test]
fn without_a_file_everything_is_default() {
    let loaded = load(None, &Environment::default(), &[]).expect("the defaults are right");
    assert_eq!(loaded.config, super::Config::default());
    assert!(loaded.settings.iter().all(|setting| setting.origin == Origin::Default));
    let default = || "default".to_owned();
    assert_eq!(shown(&loaded, "engine.lease"), ("\"1m\"".into(), default()));
    assert_eq!(shown(&loaded, "server.bind"), ("\"127.0.0.1:8080\"".into(), default()));
}

#[test]
fn the_environment_wins_over_the_file_value_by_value() {
    let file = "[store]\nurl = \"sqlite:a.db\"\n[engine]\nworkers = 8\nlease = \"30s\"\n";
    let loaded = with(file, &[("NUNCIO_ENGINE__WORKERS", "16"), ("HOME", "/")]).expect("loads");
    assert_eq!(loaded.config.engine.workers, 16);
    assert_eq!(loaded.config.engine.lease, Span::seconds(30));
    let workers = ("16".to_owned(), "NUNCIO_ENGINE__WORKERS".to_owned());
    assert_eq!(shown(&loaded, "engine.workers"), workers);
    assert_eq!(shown(&loaded, "engine.lease").1, "nuncio.toml:5:1");
    assert_eq!(shown(&loaded, "store.url"), ("\"sqlite:a.db\"".into(), "nuncio.toml:2:1".into()));
}

#[test]
fn flags_win_over_all() {
    let environment: Environment = [("NUNCIO_SERVER__BIND", "127.0.0.1:1")].into_iter().collect();
    let flag =
        Flag { name: "--port".into(), key: "server.bind".into(), value: "127.0.0.1:2".into() };
    let loaded = load(None, &environment, &[flag]).expect("loads");
    assert_eq!(loaded.config.server.bind.port(), 2);
    assert_eq!(shown(&loaded, "server.bind").1, "--port");
}

#[test]
fn a_variable_is_toml_where_that_fits_and_text_where_not() {
    let variables = [
        ("NUNCIO_CHANNELS__EMAIL__PROVIDERS", "[\"smtp\"]"),
        ("NUNCIO_PROVIDERS__SMTP__PLUGIN", "email"),
        ("NUNCIO_PROVIDERS__SMTP__SETTINGS__PORT", "1025"),
        ("NUNCIO_PROVIDERS__SMTP__SETTINGS__FROM", "Shop <no-reply@shop.example>"),
        ("NUNCIO_PROVIDERS__SMTP__SECRETS__PASSWORD", "12345"),
        ("NUNCIO_AUTH__ISSUER", "2026-01-01"),
        ("NUNCIO_EGRESS__ALLOW_PRIVATE", "true"),
    ];
    let config = with("", &variables).expect("loads").config;
    let smtp = &config.providers["smtp"];
    assert_eq!(config.channels["email"].providers, ["smtp".into()]);
    assert_eq!(smtp.settings["port"], 1025);
    assert_eq!(smtp.settings["from"], "Shop <no-reply@shop.example>");
    assert_eq!(smtp.secrets["password"], Secret::Text("12345".into()));
    assert_eq!(config.auth.issuer.as_deref(), Some("2026-01-01"));
    assert_eq!(config.egress.allow_private, AllowPrivate::All(true));
}

#[test]
fn a_variable_finds_the_name_that_the_file_wrote() {
    let file = "[providers.My-Relay]\nplugin = \"email\"\n";
    let loaded = with(file, &[("NUNCIO_PROVIDERS__MY_RELAY__CONCURRENCY", "3")]).expect("loads");
    assert_eq!(loaded.config.providers.len(), 1);
    assert_eq!(loaded.config.providers["My-Relay"].concurrency, 3);
}

#[test]
fn every_unknown_key_is_told_with_the_nearest_known_one() {
    let file = "[server]\nbnd = \"127.0.0.1:1\"\n\n[relay]\n  zebra = 1\n[stor]\nurl = \"\"\n";
    let variables = [
        ("NUNCIO_ENGINE__WORKER", "1"),
        ("NUNCIO_STORRE__URL", "x"),
        ("NUNCIO_STORE_URL", "x"),
        ("NUNCIO_API_KEY", "a client's own"),
    ];
    let errors = errors(file, &variables);
    assert_eq!(errors.len(), 6, "{errors:#?}");
    assert_eq!(
        errors[0],
        "config.unknown_key: nuncio.toml:2:1: unknown key `server.bnd` (did you mean `bind`?)"
    );
    assert!(errors[1].contains("nuncio.toml:5:3: unknown key `relay.zebra` (known here: "));
    assert!(errors[2].contains("nuncio.toml:6:2: unknown key `stor` (did you mean `store`?)"));
    assert!(errors[3].contains("`engine.worker` (did you mean `workers`?)"));
    assert!(errors[4].contains("NUNCIO_STORE_URL` sets nothing"));
    assert!(errors[4].contains("`NUNCIO_STORE__URL`"));
    assert!(errors[5].contains("unknown section `storre` (did you mean `store`?)"));
}

#[test]
fn every_wrong_value_is_told_with_its_place() {
    let file = "[engine]\nretry = [\"1m\",\n  \"soon\"]\nworkers = \"many\"\n\
                [providers.smtp]\nrate = \"fast\"\n[auth]\nleeway = 60\n";
    let errors = errors(file, &[("NUNCIO_RELAY__BUFFER_FRAMES", "lots")]);
    assert_eq!(errors.len(), 6, "{errors:#?}");
    assert!(
        errors[0].starts_with("config.value: nuncio.toml:2:9: `engine.retry`: `soon` is no "),
        "{errors:#?}"
    );
    assert!(
        errors[1].starts_with("config.value: nuncio.toml:4:11: `engine.workers`: invalid type")
    );
    assert!(errors[2].contains("`providers.smtp`: missing field `plugin`"));
    assert!(errors[3].contains("nuncio.toml:6:8: `providers.smtp.rate`: `fast` is no rate"));
    assert!(errors[4].contains("nuncio.toml:8:10: `auth.leeway`"));
    assert!(errors[5].contains("NUNCIO_RELAY__BUFFER_FRAMES: `relay.buffer_frames`"));
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    let errors = errors("[server]\nbind = \n[store\nurl = 1\n", &[]);
    assert!(errors[0].starts_with("config.syntax: nuncio.toml:2:"), "{errors:#?}");
    assert!(errors.iter().any(|error| error.starts_with("config.syntax: nuncio.toml:3:")));
}

#[test]
fn what_does_not_go_together_is_told() {
    let file = "[channels.email]\nproviders = [\"smpt\", \"capture\"]\n\
                [providers.smtp]\nplugin = \"email\"\nconcurrency = 0\n\
                [engine]\nretry = []\nlease = \"4s\"\ntime_zone = \"Mars/Base\"\n\
                [auth]\nalgorithm = \"RS256\"\n[store]\nurl = \"oracle:x\"\n\
                [egress]\nallow_private = [\"localhost\", \"10.0.0.0/99\"]\n\
                [relay]\nping_interval = \"10m\"\n";
    let errors = errors(file, &[]);
    for (line, part) in [
        (2, "there is no provider `smpt` (did you mean `smtp`?)"),
        (5, "0 would let nothing through"),
        (7, "no wait is named"),
        (8, "is too short"),
        (9, "there is no time zone `Mars/Base`"),
        (11, "`RS256` needs `auth.public_key`"),
        (13, "the store is none that is known"),
        (15, "`10.0.0.0/99` is no CIDR"),
        (17, "a ping must come before"),
    ] {
        let told = |error: &&String| {
            error.starts_with(&format!("config.conflict: nuncio.toml:{line}:1:"))
                && error.contains(part)
        };
        assert_eq!(errors.iter().filter(told).count(), 1, "{part}: {errors:#?}");
    }
    assert_eq!(errors.len(), 9);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let errors = load(Some(Path::new("no/such.toml")), &Environment::default(), &[]);
    let errors = errors.expect_err("there is no such file");
    assert_eq!((errors.len(), errors[0].code), (1, "config.unreadable"));
    assert!(errors[0].to_string().starts_with("no/such.toml:1:1: "));
}

#[test]
fn secrets_are_never_shown() {
    let file = "[auth]\nsecret = \"hunter2\"\n\
                [redis]\nurl = \"redis://me:hunter2@redis:6379/\"\n[egress]\nproxy = \"http://me:hunter2@proxy:1/\"\n\
                [providers.smtp]\nplugin = \"email\"\n\
                secrets = { password = \"hunter2\", other = \"env:OTHER\" }\n";
    let loaded = with(file, &[]).expect("loads");
    assert_eq!(shown(&loaded, "auth.secret").0, "\"***\"");
    assert_eq!(shown(&loaded, "redis.url").0, "\"***\"");
    assert_eq!(shown(&loaded, "egress.proxy").0, "\"http://me:***@proxy:1/\"");
    assert_eq!(shown(&loaded, "providers.smtp.secrets.password").0, "\"***\"");
    assert_eq!(shown(&loaded, "providers.smtp.secrets.other").0, "\"env:OTHER\"");
    assert!(!format!("{loaded:?}").contains("hunter2") || loaded.config.egress.proxy.is_some());
    assert!(!format!("{:?}", loaded.settings).contains("hunter2"));

    let wrong = "[auth]\nsecret = [\"hunter2\"]\n\
                 [providers.smtp]\nplugin = \"email\"\nsecrets = \"hunter2\"\n";
    let errors = errors(wrong, &[]);
    assert_eq!(errors.len(), 2, "{errors:#?}");
    assert!(errors.iter().all(|error| !error.contains("hunter2")), "{errors:#?}");
}

#[test]
fn a_secret_is_had_where_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    std::fs::write(&path, "of the file\r\n").expect("writes");
    let environment: Environment =
        [("KEY", "of the environment"), ("NONE", "")].into_iter().collect();
    let resolve = |text: &str| Secret::from(text).resolve(&environment);
    assert_eq!(resolve("env:KEY").expect("is set"), "of the environment");
    assert_eq!(resolve(&format!("file:{}", path.display())).expect("is there"), "of the file");
    assert_eq!(resolve("plain: text").expect("is text"), "plain: text");
    let missing = resolve("env:OTHER").expect_err("is not set");
    assert_eq!(missing.to_string(), "the environment has no `OTHER`");
    assert!(resolve("file:no/such").expect_err("is not there").to_string().contains("no/such"));
    assert_eq!(
        resolve("env:NONE").expect_err("is empty").to_string(),
        "the secret of `env:NONE` is empty"
    );
}

#[test]
fn what_holds_for_those_who_said_nothing_is_read_and_checked() {
    let file = "[engine]\nexpiry = \"12h\"\nbudgets = { max_per_hour = 5 }\n\
                quiet_hours = { start_time = \"22:00\", end_time = \"08:00:30\" }\n\
                preferences = { billing = false, news = { email = false, \"*\" = true } }\n\
                [tenants.acme.preferences.notification_types]\nnews = { sms = false }\n";
    let config = with(file, &[]).expect("loads").config;
    assert_eq!(config.engine.expiry, Some(Span::seconds(12 * 3600)));
    assert_eq!(config.engine.budgets.max_per_hour, Some(5));
    let quiet = config.engine.quiet_hours.expect("is set");
    assert_eq!((quiet.start_time.hour(), quiet.end_time.second()), (22, 30));
    assert_eq!(config.engine.preferences["billing"].every(), Some(false));
    let news = &config.engine.preferences["news"];
    assert_eq!((news.of(&"email".into()), news.every()), (Some(false), Some(true)));
    let acme = &config.tenants["acme"].preferences.notification_types["news"];
    assert_eq!(acme.of(&"sms".into()), Some(false));

    let quiet = "[engine.quiet_hours]\nstart_time = \"22:00\"\nend_time = \"22:00\"\n\
                 timezone = \"Mars/North\"\n";
    assert_eq!(
        errors(quiet, &[]),
        [
            "config.conflict: nuncio.toml:3:1: `engine.quiet_hours.end_time`: quiet hours end at \
             another time than they start",
            "config.conflict: nuncio.toml:4:1: `engine.quiet_hours.timezone`: there is no time \
             zone `Mars/North` (an IANA name: `Africa/Tunis`)",
        ]
    );
    assert_eq!(errors("[engine.budgets]\nmax_per_week = 1\n", &[]).len(), 1);
}
