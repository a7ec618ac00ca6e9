//! Certificates for `rediss://` and the other URLs with TLS.

#[cfg(feature = "tls")]
pub(crate) use self::enabled::Tls;

#[cfg(feature = "tls")]
mod enabled {
    use std::fs;

    use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
    use rustls::crypto::{CryptoProvider, ring};

    use crate::shared::redis::endpoint::Parameters;

    /// The certificates that check the server, and the client certificate.
    pub(crate) struct Tls(TlsCertificates);

    impl Tls {
        /// The parameters `ca`, `cert` and `key` name files. They are read once, here. Without `ca`, the server's
        /// certificate is checked against the public authorities that Mozilla trusts.
        pub(crate) fn of(is_tls: bool, parameters: &mut Parameters) -> Result<Option<Self>, String> {
            if !is_tls {
                return Ok(None);
            }
            let root_cert = read(parameters, "ca", "CERTIFICATE")?;
            let client_cert = read(parameters, "cert", "CERTIFICATE")?;
            let client_key = read(parameters, "key", "PRIVATE KEY")?;
            let client_tls = match (client_cert, client_key) {
                (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
                (None, None) => None,
                _ => return Err("the parameters `cert` and `key` of the URL belong together".to_owned()),
            };
            // rustls takes the process's provider, and panics if it cannot choose one.
            if CryptoProvider::get_default().is_none() {
                // Another thread may have installed a provider first.
                let _ = ring::default_provider().install_default();
            }
            Ok(Some(Self(TlsCertificates { client_tls, root_cert })))
        }

        /// The same server over TLS.
        pub(crate) fn secure(&self, info: ConnectionInfo) -> Result<ConnectionInfo, String> {
            let ConnectionAddr::Tcp(host, port) = info.addr().clone() else { return Ok(info) };
            let addr = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
            let client = Client::build_with_tls(info.set_addr(addr), self.0.clone());
            let wrong = |error| format!("the certificates that the URL names cannot be used: {error}");
            client.map(|client| client.get_connection_info().clone()).map_err(wrong)
        }
    }

    /// The PEM file that a parameter names.
    fn read(parameters: &mut Parameters, name: &str, content: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(path) = parameters.take(name) else { return Ok(None) };
        let file = format!("the file that the URL's parameter `{name}` names");
        let pem = fs::read_to_string(path).map_err(|error| format!("{file} cannot be read: {error}"))?;
        if !pem.contains(&format!("{content}-----")) {
            return Err(format!("{file} holds no {content} in PEM form"));
        }
        Ok(Some(pem.into_bytes()))
    }
}

#[cfg(not(feature = "tls"))]
pub(crate) use self::disabled::Tls;

#[cfg(not(feature = "tls"))]
mod disabled {
    use redis::ConnectionInfo;

    use crate::shared::redis::endpoint::{Parameters, missing};

    /// Without the feature there are no certificates.
    pub(crate) enum Tls {}

    impl Tls {
        pub(crate) fn of(is_tls: bool, _: &mut Parameters) -> Result<Option<Self>, String> {
            if is_tls { Err(missing("rediss:// (TLS)", "tls")) } else { Ok(None) }
        }

        pub(crate) fn secure(&self, _: ConnectionInfo) -> Result<ConnectionInfo, String> {
            match *self {}
        }
    }
}
