//! Certificates for tests: a private authority, a server's and a client's certificate.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::{ATTEMPTS, RedisServer, free_port};

/// A private certificate authority. Its files go when it is dropped.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
}

impl Authority {
    /// Creates an authority, and what it signs: a certificate for servers at `localhost` and 127.0.0.1, and one for
    /// clients.
    ///
    /// # Panics
    ///
    /// Where files cannot be written.
    pub fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("hybridcache-tls-{}-{}", std::process::id(), free_port()));
        fs::create_dir_all(&directory).unwrap_or_else(|error| panic!("no directory {directory:?}: {error}"));
        let authority = Self { directory };
        let key = key();
        let mut root = CertificateParams::default();
        // OpenSSL takes a certificate for self-signed that has its issuer's name.
        root.distinguished_name.push(DnType::CommonName, "authority");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = root.self_signed(&key).expect("parameters that can be signed");
        authority.write("ca.pem", &certificate.pem());
        let issuer = Issuer::new(root, key);
        for name in ["server", "client"] {
            let key = self::key();
            let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
            let mut params = CertificateParams::new(names).expect("names that can stand in a certificate");
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).expect("parameters that can be signed");
            authority.write(&format!("{name}.pem"), &certificate.pem());
            authority.write(&format!("{name}.key"), &key.serialize_pem());
        }
        authority
    }

    /// The authority's own certificate.
    pub fn ca(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A client's certificate and its key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.directory.join("client.pem"), self.directory.join("client.key"))
    }

    /// What makes a server serve TLS on a port.
    ///
    /// `clients` is its `tls-auth-clients`: `yes`, `no` or `optional`.
    pub fn arguments(&self, port: u16, clients: &str) -> Vec<String> {
        let file = |name: &str| self.directory.join(name).display().to_string();
        let port = port.to_string();
        let settings = [
            ["--tls-port", &port],
            ["--tls-cert-file", &file("server.pem")],
            ["--tls-key-file", &file("server.key")],
            ["--tls-ca-cert-file", &file("ca.pem")],
            ["--tls-auth-clients", clients],
        ];
        settings.into_iter().flatten().map(str::to_owned).collect()
    }

    /// A server that also serves TLS, on the port that is returned. The methods of [`RedisServer`] go on using the other.
    ///
    /// # Panics
    ///
    /// As [`RedisServer::start`], and where `redis-server` was built without TLS.
    pub fn start(&self, clients: &str) -> (RedisServer, u16) {
        for _ in 0..ATTEMPTS {
            let port = free_port();
            if let Some(server) = RedisServer::try_start(&self.arguments(port, clients)) {
                return (server, port);
            }
        }
        panic!("redis-server did not start with TLS in {ATTEMPTS} attempts: was it built without?")
    }

    fn write(&self, name: &str, text: &str) {
        let path: &Path = &self.directory.join(name);
        fs::write(path, text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("randomness")
}
