//! The kernel's tables of TCP connections (proc(5), `/proc/net/tcp` and `tcp6`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the fields of a row are: `sl local remote st tx:rx tr:when retrnsmt uid timeout inode ...`.
const LOCAL: usize = 1;
const REMOTE: usize = 2;
const STATE: usize = 3;
const INODE: usize = 9;

/// The inode of the end at `local` of the connection with `remote`: 0 while nobody has accepted it,
/// and again when that was closed; none: there is no such connection.
pub(super) fn inode(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    table.lines().find_map(|row| {
        let mut fields = row.split_ascii_whitespace();
        let its_local = fields.nth(LOCAL)?;
        let its_remote = fields.nth(REMOTE - LOCAL - 1)?;
        let is_it = is(its_local, local) && is(its_remote, remote);
        if is_it { fields.nth(INODE - REMOTE - 1)?.parse().ok() } else { None }
    })
}

/// The state of a socket that listens, in hexadecimal (`TCP_LISTEN` of linux/tcp_states.h).
const LISTEN: &str = "0A";

/// The sockets of a table that listen: where, and their inodes.
pub(crate) fn listeners(table: &str) -> Vec<(SocketAddr, u64)> {
    let listener = |row: &str| {
        let fields: Vec<_> = row.split_ascii_whitespace().collect();
        if *fields.get(STATE)? != LISTEN {
            return None;
        }
        Some((parse(fields.get(LOCAL)?)?.into(), fields.get(INODE)?.parse().ok()?))
    };
    table.lines().filter_map(listener).collect()
}

/// Whether `text` is this address. An IPv4 connection to a listener of IPv6 stands as `::ffff:a.b.c.d`.
fn is(text: &str, address: SocketAddr) -> bool {
    parse(text).is_some_and(|(ip, port)| {
        port == address.port() && ip.to_canonical() == address.ip().to_canonical()
    })
}

/// An address as the kernel prints it: words of 32 bits in hexadecimal, each with the bytes of the
/// network's order read as a number of this machine's.
pub(crate) fn parse(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let word = |at: usize| Some(u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let ip = match ip.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    const FOUR: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 58733 1 00000000a0 100 0 0 10 0
   1: 0100007F:0BB8 0100007F:A2F4 01 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000 20 0 0 10 -1
   2: 0100007F:A2F4 0100007F:0BB8 01 00000000:00000000 00:00000000 00000000     0        0 58790 1 00000000b0 20 0 0 10 -1
   3: 0100007F:0BB8 0100007F:A2F6 01 00000000:00000000 00:00000000 00000000 61184        0 58791 1 00000000c0 20 0 0 10 -1
";

    const SIX: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:0BB8 0000000000000000FFFF00000100007F:A2F8 01 00000000:00000000 00:00000000 00000000  1000        0 77 1 0 20 4 30 10 -1
   1: 00000000000000000000000001000000:0BB8 00000000000000000000000001000000:A2FA 01 00000000:00000000 00:00000000 00000000  1000        0 78 1 0 20 4 30 10 -1
";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_accepted_end_is_found_by_both_addresses() {
        let app = at("127.0.0.1:3000");
        assert_eq!(inode(FOUR, app, at("127.0.0.1:41718")), Some(58791));
        assert_eq!(inode(FOUR, app, at("127.0.0.1:41716")), Some(0), "still in the queue");
        assert_eq!(inode(FOUR, app, at("127.0.0.1:1")), None);
        // The other end of the same connection is another row.
        assert_eq!(inode(FOUR, at("127.0.0.1:41716"), app), Some(58790));
    }

    #[test]
    fn ipv6_is_read_and_ipv4_within_it() {
        assert_eq!(inode(SIX, at("127.0.0.1:3000"), at("127.0.0.1:41720")), Some(77));
        assert_eq!(inode(SIX, at("[::1]:3000"), at("[::1]:41722")), Some(78));
    }

    #[test]
    fn those_that_listen_are_told_from_connections() {
        assert_eq!(listeners(FOUR), [(at("127.0.0.1:3000"), 58733)]);
        assert_eq!(listeners(SIX), []);
    }

    #[test]
    fn what_is_no_row_is_passed_over() {
        for text in ["", "sl", "0: x y", "0: 0100007F:0BB8 0100007F:A2F4", "0: 01:1 é7F:2 3"] {
            assert_eq!(inode(text, at("127.0.0.1:3000"), at("127.0.0.1:41716")), None, "{text}");
        }
    }
}
