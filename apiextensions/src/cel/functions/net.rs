//! Kubernetes' `ip` and `cidr` libraries.

use super::{Cost, Function, Max, Ret, T, Val, global, member, mismatch};
use ipnet::IpNet;
use std::net::IpAddr;

const BOOL: Ret = Ret::Is(T::Bool);
const INT: Ret = Ret::Is(T::Int);

macro_rules! of_ip {
    ($name:literal, $test:expr) => {
        member($name, &[T::Ip], BOOL, Max::One, Cost::One, |args| match args {
            [Val::Ip(ip)] => {
                let test: fn(&IpAddr) -> bool = $test;
                Ok(Val::Bool(test(ip)))
            }
            _ => mismatch(),
        })
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    global(
        "isIP",
        &[T::String],
        BOOL,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Bool(ip(text).is_ok())),
            _ => mismatch(),
        },
    ),
    global(
        "ip",
        &[T::String],
        Ret::Is(T::Ip),
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Ip(ip(text)?)),
            _ => mismatch(),
        },
    ),
    global(
        "ip.isCanonical",
        &[T::String],
        BOOL,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Bool(ip(text)?.to_string() == **text)),
            _ => mismatch(),
        },
    ),
    member("family", &[T::Ip], INT, Max::One, Cost::One, |args| match args {
        [Val::Ip(ip)] => Ok(Val::Int(if ip.is_ipv4() { 4 } else { 6 })),
        _ => mismatch(),
    }),
    of_ip!("isUnspecified", IpAddr::is_unspecified),
    of_ip!("isLoopback", IpAddr::is_loopback),
    of_ip!("isLinkLocalMulticast", |ip| match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    }),
    of_ip!("isLinkLocalUnicast", |ip| match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }),
    of_ip!("isGlobalUnicast", |ip| {
        let is_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        !(is_local || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast())
    }),
    global(
        "isCIDR",
        &[T::String],
        BOOL,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Bool(cidr(text).is_ok())),
            _ => mismatch(),
        },
    ),
    global(
        "cidr",
        &[T::String],
        Ret::Is(T::Cidr),
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Str(text)] => Ok(Val::Cidr(cidr(text)?)),
            _ => mismatch(),
        },
    ),
    member(
        "containsIP",
        &[T::Cidr, T::Ip],
        BOOL,
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Cidr(net), Val::Ip(ip)] => Ok(Val::Bool(net.contains(ip))),
            _ => mismatch(),
        },
    ),
    member(
        "containsIP",
        &[T::Cidr, T::String],
        BOOL,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Cidr(net), Val::Str(text)] => Ok(Val::Bool(net.contains(&ip(text)?))),
            _ => mismatch(),
        },
    ),
    member(
        "containsCIDR",
        &[T::Cidr, T::Cidr],
        BOOL,
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Cidr(net), Val::Cidr(part)] => Ok(Val::Bool(net.contains(part))),
            _ => mismatch(),
        },
    ),
    member(
        "containsCIDR",
        &[T::Cidr, T::String],
        BOOL,
        Max::One,
        Cost::Scan,
        |args| match args {
            [Val::Cidr(net), Val::Str(text)] => Ok(Val::Bool(net.contains(&cidr(text)?))),
            _ => mismatch(),
        },
    ),
    member(
        "ip",
        &[T::Cidr],
        Ret::Is(T::Ip),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Cidr(net)] => Ok(Val::Ip(net.addr())),
            _ => mismatch(),
        },
    ),
    member(
        "masked",
        &[T::Cidr],
        Ret::Is(T::Cidr),
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Cidr(net)] => Ok(Val::Cidr(net.trunc())),
            _ => mismatch(),
        },
    ),
    member(
        "prefixLength",
        &[T::Cidr],
        INT,
        Max::One,
        Cost::One,
        |args| match args {
            [Val::Cidr(net)] => Ok(Val::Int(net.prefix_len().into())),
            _ => mismatch(),
        },
    ),
];

/// An address; one of IPv4 written as IPv6 is refused, as upstream does.
fn ip(text: &str) -> Result<IpAddr, String> {
    match text.parse() {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => {
            Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"))
        }
        Ok(ip) => Ok(ip),
        Err(_) => Err(format!(
            "IP Address {text:?} parse error during conversion from string"
        )),
    }
}

fn cidr(text: &str) -> Result<IpNet, String> {
    text.parse()
        .map_err(|_| format!("network address {text:?} parse error during conversion from string"))
}
