//! The parts of a URL that all kinds of servers have.

use percent_encoding::percent_decode_str;
#[cfg(any(feature = "sentinel", feature = "cluster"))]
use redis::{ConnectionAddr, ConnectionInfo};

#[cfg(not(all(feature = "tls", feature = "sentinel", feature = "cluster")))]
pub(crate) fn missing(schemes: &str, feature: &str) -> String {
    format!("{schemes} needs hybridcache's feature `{feature}`, and it was built without")
}

/// The parameters after `?`.
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(crate) fn read(query: &str) -> Result<Self, String> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8().map_err(|_| "a parameter of the URL is not UTF-8")?;
            Ok((name.to_owned(), value.into_owned()))
        });
        Ok(Self(pairs.collect::<Result<_, String>>()?))
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(given, _)| given == name)?;
        Some(self.0.remove(place).1)
    }

    /// Fails if a parameter is left that no code has taken.
    pub(crate) fn end(&mut self, expected: &str) -> Result<(), String> {
        // A parameter of redis-rs. Here the version is always 3.
        self.take("protocol");
        if self.0.is_empty() {
            return Ok(());
        }
        Err(format!("an unknown parameter behind `?` in the URL; expected some of {expected}"))
    }
}

/// The same connection parameters for another address.
#[cfg(any(feature = "sentinel", feature = "cluster"))]
pub(crate) fn located(info: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let host = host.to_owned();
    let address = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
        }
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}
