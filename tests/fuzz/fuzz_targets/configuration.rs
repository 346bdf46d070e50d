//! Flags, environment and file made into a configuration. The lines of an input up to an empty one
//! are arguments, or variables where they begin with a name in capitals and `=`; the rest is the
//! file. A password is then put into one of the three, and must not be seen again.
#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use libfuzzer_sys::fuzz_target;
use support::configuration::{SECRET, Scratch, has_secret, load, shown};

thread_local! {
    static FILE: Scratch = Scratch::new();
}

fuzz_target!(|input: &[u8]| {
    if has_secret(input) {
        return;
    }
    let (head, file) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &b""[..]),
    };
    let mut arguments = Vec::new();
    let mut variables = Vec::new();
    for line in head
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        match variable(line) {
            Some(variable) => variables.push(variable),
            None => arguments.push(OsString::from_vec(line.to_vec())),
        }
    }
    FILE.with(|scratch| {
        scratch.write(file);
        let _ = loaded(&arguments, &variables, scratch);

        // One place for each input: the loading is what takes time.
        match input.len() % 3 {
            0 => {
                arguments.extend(["--ari.password".into(), SECRET.into()]);
                keeps_quiet(loaded(&arguments, &variables, scratch));
            }
            1 => {
                // The end of a line makes it an error.
                let end = ["", "\n"][input.len() % 2];
                let variable = ("ARI_PASSWORD".to_owned(), format!("{SECRET}{end}"));
                variables.insert(0, variable);
                keeps_quiet(loaded(&arguments, &variables, scratch));
            }
            _ => {
                scratch.write(&with_password(file));
                keeps_quiet(loaded(&arguments, &variables, scratch));
            }
        }
    });
});

fn variable(line: &[u8]) -> Option<(String, String)> {
    let (name, value) = std::str::from_utf8(line).ok()?.split_once('=')?;
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_name)).then(|| (name.to_owned(), value.to_owned()))
}

/// The text that says everything of what was loaded.
fn loaded(
    arguments: &[OsString],
    variables: &[(String, String)],
    file: &Scratch,
) -> Option<String> {
    let environment = |name: &str| {
        // The file of a home is not this input's.
        let found = variables.iter().find(|(n, _)| n == name && n != "HOME");
        found.map(|(_, value)| value.clone())
    };
    let arguments = arguments.iter().cloned().chain(file.flags());
    match load(arguments, &environment) {
        Ok(config) => config.as_ref().map(shown),
        Err(error) => Some(error),
    }
}

fn keeps_quiet(text: Option<String>) {
    assert!(text.is_none_or(|text| !text.contains(SECRET)));
}

/// `file` with a password where one belongs. In YAML it comes last, so that no quote which the file
/// leaves open ends after it: it would be a part of another value then.
fn with_password(file: &[u8]) -> Vec<u8> {
    let is_json = file.trim_ascii_start().strip_prefix(b"{");
    match is_json {
        Some(rest) => {
            let comma = if rest.trim_ascii() == b"}" { "" } else { "," };
            let mark = b"stasis_url";
            let is_mark = |part: &[u8]| part.eq_ignore_ascii_case(mark);
            let name = match rest.windows(mark.len()).any(is_mark) {
                true => "ws_password",
                false => "ari.password",
            };
            let password = format!(r#"{{"{name}":"{SECRET}"{comma}"#);
            [password.as_bytes(), rest].concat()
        }
        None => [file, format!("\nari.password: {SECRET}\n").as_bytes()].concat(),
    }
}
