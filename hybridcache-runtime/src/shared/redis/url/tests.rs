//! For every mistake in a URL, the error says what is expected and repeats nothing of the URL.

use super::*;
use crate::shared::redis::endpoint::located;

fn problem(url: &str) -> String {
    Target::parse(url).err().unwrap_or_else(|| panic!("{url} was accepted"))
}

fn server(url: &str) -> ConnectionInfo {
    match Target::parse(url) {
        Ok(Target::Server(info)) => info,
        Ok(_) => panic!("{url} is no single server"),
        Err(problem) => panic!("{url}: {problem}"),
    }
}

/// Killed by: repeating the URL.
#[test]
fn mistakes_are_told_without_the_password() {
    let mistakes = [
        ("secret", "expected redis://"),
        ("u:secret@h:6379", "expected redis://"),
        ("http://u:secret@h", "redis-cluster://"),
        ("secret://h", "redis-sentinel://"),
        ("redis://u:secret@h:99999", "expected redis://"),
        ("redis://u:secret@h/secret", "expected redis://"),
        ("redis://u:secret@h/1/2", "expected redis://"),
        ("redis://:secret@", "expected redis://"),
        ("redis://:secret@h,i", "redis://[[user]:password@]host[:port][/database]"),
        ("redis://u:sec/ret@h", "percent-encoded: `/` is %2F"),
        ("redis://u:sec?ret@h", "unknown parameter"),
        ("redis://u:sec#ret@h", "%23"),
        ("redis://h/?secret=1", "ca, cert, key"),
        ("redis://h/?ca=secret", "rediss://"),
        ("redis://h/?protocol=%ffsecret", "UTF-8"),
        ("unix://secret", "expected unix:///path"),
        ("unix:///secret?db=secret", "expected unix:///path"),
    ];
    for (url, expected) in mistakes {
        let problem = problem(url);
        assert!(problem.contains(expected), "{url}: {problem}");
        for part in ["secret", "sec/", "ret@", "ret "] {
            assert!(!problem.contains(part), "{url}: {problem}");
        }
    }
}

#[test]
fn a_single_server() {
    let info = server("redis://cache:p%40ss%2Fword@h:7000/3");
    assert_eq!(info.addr().to_string(), "h:7000");
    let settings = info.redis_settings();
    assert_eq!((settings.username(), settings.password(), settings.db()), (Some("cache"), Some("p@ss/word"), 3));
    assert!(settings.protocol().supports_resp3());
    for url in ["redis://h", "redis://h/", "redis://h:6379/0", "valkey://h", "redis://h?protocol=resp2"] {
        let info = server(url);
        assert_eq!((info.addr().to_string().as_str(), info.redis_settings().db()), ("h:6379", 0), "{url}");
        assert!(info.redis_settings().protocol().supports_resp3(), "{url}");
    }
    assert_eq!(server("redis://[::1]:7000").addr().to_string(), "::1:7000");
}

#[test]
fn a_socket() {
    let info = server("unix:///run/redis.sock?db=2&user=cache&pass=secret");
    assert_eq!(info.addr().to_string(), "/run/redis.sock");
    assert_eq!((info.redis_settings().username(), info.redis_settings().db()), (Some("cache"), 2));
    assert_eq!(server("redis+unix:///run/redis.sock").addr().to_string(), "/run/redis.sock");
}

#[cfg(feature = "tls")]
mod tls {
    use redis::ConnectionAddr;

    use super::*;

    /// Killed by: an insecure connection, whatever asks for it.
    #[test]
    fn tls_is_never_insecure() {
        let info = server("rediss://h");
        assert!(matches!(info.addr(), ConnectionAddr::TcpTls { insecure: false, .. }), "{:?}", info.addr());
        for url in ["rediss://h/#insecure", "rediss://h#insecure", "redis://h#insecure"] {
            assert!(problem(url).contains("certificates are always checked"), "{url}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_used() {
        let file = std::env::temp_dir().join(format!("hybridcache-no-certificate-{}.pem", std::process::id()));
        std::fs::write(&file, "secret").expect("a file");
        let file_name = file.to_str().expect("UTF-8");
        let mistakes = [
            ("ca=/secret/none.pem".to_owned(), "parameter `ca` names cannot be read"),
            (format!("ca={file_name}"), "parameter `ca` names holds no CERTIFICATE in PEM form"),
            (format!("key={file_name}"), "parameter `key` names holds no PRIVATE KEY in PEM form"),
        ];
        for (parameters, expected) in mistakes {
            let problem = problem(&format!("rediss://u:secret@h/?{parameters}"));
            assert!(problem.contains(expected) && !problem.contains("secret"), "{problem}");
        }
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nsecret\n-----END CERTIFICATE-----").expect("a file");
        let broken = problem(&format!("rediss://h/?ca={file_name}"));
        assert!(broken.contains("certificate") && !broken.contains("secret"), "{broken}");
        assert!(problem(&format!("rediss://h/?cert={file_name}")).contains("`cert` and `key`"));
        std::fs::remove_file(&file).expect("it was there");
    }
}

/// Killed by: leaving any of the connections plain.
#[cfg(all(feature = "tls", feature = "sentinel", feature = "cluster"))]
#[test]
fn all_kinds_over_tls() {
    let is_tls = |info: &ConnectionInfo| matches!(info.addr(), redis::ConnectionAddr::TcpTls { insecure: false, .. });
    let Ok(Target::Sentinel(watched)) = Target::parse("rediss-sentinel://a,b/m") else { panic!("refused") };
    assert!(watched.sentinels.iter().all(is_tls) && is_tls(&watched.master));
    assert!(is_tls(&located(&watched.master, "c", 7000)));
    let Ok(Target::Cluster(cluster)) = Target::parse("rediss-cluster://a,b") else { panic!("refused") };
    assert!(is_tls(&cluster.node(&("c".to_owned(), 7000))));
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_names_its_feature() {
    for url in ["rediss://:secret@h", "valkeys://h"] {
        assert!(problem(url).contains("feature `tls`"), "{url}");
    }
}

#[cfg(feature = "sentinel")]
mod sentinel {
    use super::*;

    #[test]
    fn a_master_behind_sentinels() {
        let url = "redis-sentinel://cache:p%40ss@a,b:7000,[::1]/shop%20master/3?sentinel_user=s&sentinel_password=t%26";
        let Ok(Target::Sentinel(watched)) = Target::parse(url) else { panic!("refused") };
        assert_eq!(watched.name, "shop master");
        let sentinels: Vec<_> = watched.sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect();
        assert_eq!(sentinels, ["a:26379", "b:7000", "::1:26379"]);
        let (master, sentinel) = (watched.master.redis_settings(), watched.sentinels[0].redis_settings());
        assert_eq!((master.username(), master.password(), master.db()), (Some("cache"), Some("p@ss"), 3));
        assert_eq!((sentinel.username(), sentinel.password(), sentinel.db()), (Some("s"), Some("t&"), 0));
    }

    /// The password is the master's. Killed by: sending it to the sentinels.
    #[test]
    fn sentinels_do_not_get_the_masters_password() {
        let Ok(Target::Sentinel(watched)) = Target::parse("redis-sentinel://:secret@a/m") else { panic!("refused") };
        assert_eq!(watched.sentinels[0].redis_settings().password(), None);
        assert_eq!(watched.master.redis_settings().password(), Some("secret"));
    }

    #[test]
    fn mistakes() {
        for url in
            ["redis-sentinel://:secret@a", "redis-sentinel://a/", "redis-sentinel://a/m/x", "redis-sentinel://a,/m"]
        {
            let problem = problem(url);
            assert!(problem.contains("/master-name") && !problem.contains("secret"), "{url}: {problem}");
        }
        assert!(problem("redis-sentinel://a/m?secret=1").contains("sentinel_password"));
    }
}

#[cfg(not(feature = "sentinel"))]
#[test]
fn sentinel_names_its_feature() {
    for url in ["redis-sentinel://:secret@h/m", "rediss-sentinel://h/m"] {
        let problem = problem(url);
        assert!(problem.contains("feature `sentinel`") && !problem.contains("secret"), "{url}");
    }
}

#[cfg(feature = "cluster")]
#[test]
fn a_cluster() {
    assert!(matches!(Target::parse("redis-cluster://u:secret@a:7000,b:7001"), Ok(Target::Cluster(_))));
    assert!(matches!(Target::parse("redis-cluster://a/0"), Ok(Target::Cluster(_))));
    assert!(problem("redis-cluster://:secret@a/1").contains("only database 0"));
    for url in ["redis-cluster://", "redis-cluster://:secret@a,,b", "redis-cluster://:secret@a:x"] {
        let problem = problem(url);
        assert!(problem.contains("expected redis-cluster://") && !problem.contains("secret"), "{url}: {problem}");
    }
}

#[cfg(not(feature = "cluster"))]
#[test]
fn cluster_names_its_feature() {
    for url in ["redis-cluster://:secret@h", "rediss-cluster://h"] {
        let problem = problem(url);
        assert!(problem.contains("feature `cluster`") && !problem.contains("secret"), "{url}");
    }
}
