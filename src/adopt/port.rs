//! The port that an app listens on where it is told none, as its sources have it.

/// Ports of what an app asks, and not of the app: SMTP in tests, SQL Server, MySQL, PostgreSQL, `RabbitMQ`,
/// Redis, Kafka, Elasticsearch, memcached, `MongoDB`.
const OF_OTHERS: [u16; 11] = [1025, 1433, 2525, 3306, 5432, 5672, 6379, 9092, 9200, 11211, 27017];

/// What ends the expression that a port stands in.
const ENDS: [&str; 4] = [";", "=>", "function", "imeout"];

/// Words of sources that serve something, in the languages whose apps need not say more.
const SERVES: [&str; 9] = [
    ".listen(",
    "createServer",
    "Server(",
    "serve(",
    "serve_forever",
    "run_app(",
    "uvicorn.run",
    "app.run(",
    "bind(",
];

/// Where a port stands; the first kind says the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// `.listen(3000)`
    Listen,
    /// `process.env.PORT || 3000`
    Variable,
    /// `port: 3000`
    Name,
}

/// What a source says of its port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The one that it has, and where.
    pub(super) port: Option<(Place, u16)>,
    /// It looks at `PORT`.
    pub(super) asks: bool,
    /// It looks as if it served something.
    pub(super) serves: bool,
}

/// Looks for it in the text of a source.
pub(super) fn said(text: &str) -> Said {
    let ports = text.lines().filter_map(|line| {
        let listen = || {
            let mut calls = line.match_indices(".listen(");
            calls.find_map(|(at, call)| number(outside(&line[at + call.len()..], ')')))
        };
        // `PORT') || 3000` is its own, `PORT), 3000` is another's.
        let variable = || words(line, "PORT").find_map(|rest| number(outside(rest, ',')));
        let name = || words(line, "port").find_map(|rest| number(expression(assigned(rest)?)));
        let at = |place| move |port| (place, port);
        let listen = listen().map(at(Place::Listen));
        let listen = listen.or_else(|| variable().map(at(Place::Variable)));
        listen.or_else(|| name().map(at(Place::Name)))
    });
    let asks = text.lines().any(|line| words(line, "PORT").next().is_some());
    let serves = SERVES.iter().any(|word| text.contains(word));
    Said { port: ports.min_by_key(|(place, _)| *place), asks, serves }
}

/// What follows each place where a word stands by itself.
pub(super) fn words<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).filter_map(move |(at, _)| {
        let (before, rest) = (&line[..at], &line[at + word.len()..]);
        (!before.ends_with(is_part) && !rest.starts_with(is_part)).then_some(rest)
    })
}

/// What is assigned to a name, which may have a type.
fn assigned(rest: &str) -> Option<&str> {
    let rest = rest.trim_start_matches(['"', '\'']).trim_start();
    let value = rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))?;
    (!value.starts_with('=')).then_some(value)
}

/// The text up to the first `end` outside of the parentheses that it is in.
fn outside(text: &str, end: char) -> &str {
    let mut depth = 0;
    let end = text.char_indices().find(|(_, c)| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth < 0 && *c == end
    });
    expression(end.map_or(text, |(at, _)| &text[..at]))
}

/// The text up to where another one begins.
fn expression(text: &str) -> &str {
    let ends = ENDS.iter().filter_map(|end| text.find(end));
    ends.min().map_or(text, |end| &text[..end])
}

/// The first number of a text that may be a port of an app.
fn number(text: &str) -> Option<u16> {
    let numbers = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut ports = numbers.filter_map(|word| word.parse::<u16>().ok());
    ports.find(|port| *port >= 1024 && !OF_OTHERS.contains(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_where_it_stands_and_other_numbers_are_none() {
        use Place::{Listen, Name, Variable};
        for (line, port, asks) in [
            ("app.listen(3000)", Some((Listen, 3000)), false),
            ("app.listen(process.env.PORT || 5000);", Some((Listen, 5000)), true),
            ("server.listen({ port: 8081, host: '0.0.0.0' })", Some((Listen, 8081)), false),
            ("app.listen(parseInt(process.env.PORT, 10) || 4000)", Some((Listen, 4000)), true),
            ("const port = Number(process.env.PORT) || 3002", Some((Variable, 3002)), true),
            ("PORT = int(os.environ.get('PORT', 8080))", Some((Variable, 8080)), true),
            ("port ENV.fetch(\"PORT\") { 9292 }", Some((Variable, 9292)), true),
            ("exec serve -p ${PORT:-5000}", Some((Variable, 5000)), true),
            ("const port = 3000;", Some((Name, 3000)), false),
            ("export default { server: { port: 4321 } }", Some((Name, 4321)), false),
            ("uvicorn.run(app, host='0.0.0.0', port=8001)", Some((Name, 8001)), false),
            ("\"port\": 7000,", Some((Name, 7000)), false),
            ("const port: number = 3001", Some((Name, 3001)), false),
            ("setTimeout(() => server.listen(PORT), 60000)", None, true),
            ("server.listen(PORT, () => setTimeout(ping, 60000))", None, true),
            ("const SUPPORT = 8000; const transport = 9000", None, false),
            ("new Pool({ host: 'db', port: 5432 })", None, false),
            ("DB_PORT = 8123", None, false),
            ("if (port == 3000) {}", None, false),
            ("app.listen(80)", None, false),
        ] {
            let said = said(line);
            assert_eq!((said.port, said.asks), (port, asks), "{line}");
        }
    }

    #[test]
    fn what_listens_says_more_than_a_name() {
        let text =
            "const admin = { port: 9000 }\nconst port = process.env.PORT || 4000\napp.listen(3000)";
        assert_eq!(said(text).port, Some((Place::Listen, 3000)));
    }
}
