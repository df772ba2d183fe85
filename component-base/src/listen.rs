//! Where a component listens.
//!
//! Invariant: plaintext never leaves the machine by accident. An address that is not loopback needs
//! `--insecure-listen`, because there is neither encryption nor authentication on it.

use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that the kernel holds until they are accepted. A thousand clients that reconnect at once, after the
/// apiserver was killed, must find room.
const BACKLOG: u32 = 1024;

/// The flags that say where to listen.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ListenArgs {
    /// Where to serve: gRPC, health and metrics on one port (port 0 takes a free one)
    #[arg(long, env = "ORRERY_LISTEN", value_name = "ADDR")]
    pub listen: Option<String>,

    /// Allow an address that other machines can reach, without encryption or authentication
    #[arg(long, env = "ORRERY_INSECURE_LISTEN")]
    pub insecure_listen: bool,
}

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is no address.
    #[error("--listen {address:?} is no address: {source}; write HOST:PORT, for example 127.0.0.1:7443")]
    Unreadable {
        /// As given.
        address: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Other machines could connect.
    #[error(
        "--listen {address} can be reached from other machines, and nothing on it is encrypted or authenticated: \
         listen on 127.0.0.1, or add --insecure-listen where the network is yours alone (a container's, for example)"
    )]
    NotLoopback {
        /// The address that it resolves to.
        address: SocketAddr,
    },
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}; choose another with --listen")]
    Unavailable {
        /// The address that it resolves to.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl ListenArgs {
    /// Listens on the given address, or on `default` when none was given.
    ///
    /// # Errors
    /// [`ListenError`] says what to do.
    pub async fn bind(&self, default: &str) -> Result<TcpListener, ListenError> {
        let text = self.listen.as_deref().unwrap_or(default);
        let address = resolve(text, self.insecure_listen).await?;
        open(address).map_err(|source| ListenError::Unavailable { address, source })
    }
}

/// Every address that the name stands for must be allowed, not only the one that is taken.
async fn resolve(text: &str, insecure: bool) -> Result<SocketAddr, ListenError> {
    let unreadable = |source| ListenError::Unreadable {
        address: text.to_owned(),
        source,
    };
    let mut first = None;
    for address in lookup_host(text).await.map_err(unreadable)? {
        if !insecure && !address.ip().is_loopback() {
            return Err(ListenError::NotLoopback { address });
        }
        first = first.or(Some(address));
    }
    first.ok_or_else(|| unreadable(io::Error::other("the name stands for no address")))
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A restarted process must get its port back at once, while connections of the dead one linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_is_plaintext_unless_the_user_insists() {
        let listen = |address: &str, insecure_listen| ListenArgs {
            listen: Some(address.into()),
            insecure_listen,
        };
        for (address, insecure, expected) in [
            ("127.0.0.1:0", false, ""),
            ("127.8.9.1:0", false, ""),
            ("localhost:0", false, ""),
            ("0.0.0.0:0", true, ""),
            ("0.0.0.0:0", false, "--insecure-listen"),
            ("[::]:0", false, "--insecure-listen"),
            ("192.0.2.1:0", false, "--insecure-listen"),
            ("192.0.2.1:0", true, "cannot listen on 192.0.2.1"),
            ("7443", false, "write HOST:PORT"),
            ("127.0.0.1:99999", false, "write HOST:PORT"),
        ] {
            match listen(address, insecure).bind("unused").await {
                Ok(listener) => {
                    assert_eq!(expected, "", "{address}");
                    assert_ne!(listener.local_addr().unwrap().port(), 0);
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(
                        !expected.is_empty() && text.contains(expected),
                        "{address}: {text}"
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn a_taken_address_is_told_and_the_default_is_used_when_none_is_given() {
        let first = ListenArgs::default().bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap().to_string();
        let error = ListenArgs::default().bind(&address).await.unwrap_err();
        assert!(matches!(error, ListenError::Unavailable { .. }), "{error}");
    }
}
