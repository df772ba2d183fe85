//! The addresses of a cluster on one machine.

use anyhow::{Context, Result};
use std::net::{SocketAddr, TcpListener};

/// The API's address and those of the three other components: the ports after it, or any free ones for port 0.
pub(super) fn four(api: SocketAddr) -> Result<[SocketAddr; 4]> {
    if api.port() == 0 {
        // All four are held until each has its own; then the components bind them anew.
        let held: Vec<TcpListener> = (0..4)
            .map(|_| TcpListener::bind(api))
            .collect::<Result<_, _>>()
            .with_context(|| format!("no free port on {}", api.ip()))?;
        let mut addresses = [api; 4];
        for (address, listener) in addresses.iter_mut().zip(&held) {
            *address = listener.local_addr()?;
        }
        return Ok(addresses);
    }
    let mut addresses = [api; 4];
    for (offset, address) in (0..).zip(&mut addresses) {
        let port = api.port().checked_add(offset);
        address.set_port(
            port.with_context(|| format!("{api} leaves no room for three more ports: choose a lower one"))?,
        );
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_components_take_the_ports_after_the_api() {
        let ports = four("127.0.0.1:7443".parse().unwrap())
            .unwrap()
            .map(|address| address.port());
        assert_eq!(ports, [7443, 7444, 7445, 7446]);
        assert!(four("127.0.0.1:65534".parse().unwrap()).is_err());
    }

    #[test]
    fn port_zero_gives_four_different_free_ports() {
        let mut ports = four("127.0.0.1:0".parse().unwrap())
            .unwrap()
            .map(|address| address.port())
            .to_vec();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 4);
        assert!(!ports.contains(&0));
    }
}
