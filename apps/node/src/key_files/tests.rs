//! A folder of key files as other programs, crashes and power cuts leave it.

use super::*;

fn drop_file(directory: &Path, name: &str, bytes: &[u8]) {
    fs::write(directory.join("part"), bytes).unwrap();
    fs::rename(directory.join("part"), directory.join(name)).unwrap();
}

fn all(source: &mut KeyFiles) -> Vec<(GroupId, Vec<u8>)> {
    let mut groups = Vec::new();
    while let Some(group) = source.next_group().unwrap() {
        groups.push((group.id, group.bits.expose().to_bytes()));
    }
    groups
}

#[test]
fn files_are_read_in_order_once_and_wiped() {
    let dir = tempfile::tempdir().unwrap();
    drop_file(dir.path(), "0010.key", &[3; 5]);
    drop_file(dir.path(), "9.key", &[1, 2, 3, 4]);
    drop_file(dir.path(), "notes.txt", b"not a key");
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    assert_eq!(source.available(), 4);
    let expected = [(9, 0, [1, 2]), (9, 1, [3, 4]), (10, 0, [3, 3]), (10, 1, [3, 3])];
    let expected = expected.map(|(file, group, bytes)| (group_id(file, group), bytes.to_vec()));
    assert_eq!(all(&mut source), expected);
    assert_eq!(fs::metadata(dir.path().join("9.claimed")).unwrap().len(), 0);
    // Not again: not by another reader, not under an old number.
    drop_file(dir.path(), "9.key", &[7; 4]);
    drop_file(dir.path(), "11.key", &[5, 6]);
    let mut again = KeyFiles::new(dir.path(), 16).unwrap();
    assert_eq!(all(&mut again), [(group_id(11, 0), vec![5, 6])]);
    assert!(all(&mut source).is_empty());
}

#[test]
fn readers_side_by_side_share_no_file() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..61u8 {
        drop_file(dir.path(), &format!("{number}.key"), &[number; 2]);
    }
    let read = || {
        let mut source = KeyFiles::new(dir.path(), 16).unwrap();
        all(&mut source)
    };
    let mut groups: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    let count = groups.len();
    groups.sort();
    groups.dedup();
    assert_eq!(groups.len(), count, "no group twice");
}

#[test]
fn a_missing_directory_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let error = KeyFiles::new(&dir.path().join("none"), 16).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    assert!(KeyFiles::new(dir.path(), 0).is_err());
}

/// None of them ends the supply, hangs it, or is touched.
#[cfg(unix)]
#[test]
fn entries_that_are_no_key_are_left_alone_and_the_others_are_read() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(outside.path(), "the user's own").unwrap();
    symlink(outside.path(), path("1.key")).unwrap();
    symlink("nowhere", path("2.key")).unwrap();
    fs::create_dir(path("3.key")).unwrap();
    fs::write(path("4.key"), "").unwrap();
    File::create(path("5.key")).unwrap().set_len(MAX_KEY_FILE_BYTES + 1).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(path("6.key")).status().unwrap();
    assert!(fifo.success());
    fs::write(path("7.key"), "secret").unwrap();
    fs::write(path("15.key"), [0; 4096]).unwrap();
    fs::set_permissions(path("7.key"), fs::Permissions::from_mode(0o000)).unwrap();
    for name in ["foo.key", "8.KEY", ".key", "-9.key", "99999999999999.key", "+9.key"] {
        fs::write(path(name), "text").unwrap();
    }
    drop_file(dir.path(), "20.key", &[1, 2]);
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    let mut groups = all(&mut source);
    // Root may read everything.
    groups.retain(|(id, _)| *id >= group_id(20, 0));
    assert_eq!(groups, [(group_id(20, 0), vec![1, 2])]);
    let named: Vec<_> = source
        .named
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    for name in ["1.key", "2.key", "3.key", "4.key", "5.key", "6.key", "15.key", "foo.key", "8.KEY"]
    {
        assert!(named.iter().any(|one| one == name), "{name} is not named: {named:?}");
    }
    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "the user's own");
    // They come right: only a number above the last one is taken.
    fs::rename(path("foo.key"), path("21.key")).unwrap();
    assert_eq!(
        all(&mut source),
        [(group_id(21, 0), b"te".to_vec()), (group_id(21, 1), b"xt".to_vec())]
    );
}

#[test]
fn what_a_process_has_not_used_is_there_for_the_next_and_what_a_crash_left_is_wiped() {
    let dir = tempfile::tempdir().unwrap();
    drop_file(dir.path(), "3.key", &[1, 2, 3, 4, 5, 6, 7]);
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    assert_eq!(source.next_group().unwrap().unwrap().id, group_id(3, 0));
    source.put_back().unwrap();
    assert!(source.file.is_none());
    drop(source);
    drop_file(dir.path(), "4.key", &[8, 9]);
    // Killed after its claim of the last file.
    fs::write(dir.path().join("2.claimed"), "left by a crash").unwrap();
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    let expected = [(3, 1, [3, 4]), (3, 2, [5, 6]), (4, 0, [8, 9])];
    let expected = expected.map(|(file, group, bytes)| (group_id(file, group), bytes.to_vec()));
    assert_eq!(all(&mut source), expected);
    source.put_back().unwrap();
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(names.iter().all(|path| fs::metadata(path).unwrap().len() == 0), "{names:?}");
    assert!(names.iter().all(|path| path.extension().unwrap() == "claimed"), "{names:?}");
}

/// It does not end the supply, and it is left for whoever wants to look at it.
#[test]
fn a_damaged_rest_is_named_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    drop_file(dir.path(), "5.key", &[1, 2, 3, 4]);
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    source.next_group().unwrap().unwrap();
    source.put_back().unwrap();
    let rest = |next: u64, len: u64, bytes: &[u8]| {
        rest::sealed([&next.to_be_bytes()[..], &len.to_be_bytes(), bytes].concat().into()).to_vec()
    };
    let mut flipped = rest(1, 16, &[1, 2]);
    flipped[17] ^= 1;
    let damaged = [
        ("1.rest", Vec::new()),
        ("2.rest", vec![7; 15]),
        ("3.rest", rest(1, 17, &[1, 2])),
        ("4.rest", rest(1, u64::MAX, &[1, 2])),
        ("6.rest", rest(u64::MAX, 16, &[1, 2])),
        ("8.rest", flipped),
        ("9.rest", vec![0; 40]),
    ];
    for (name, bytes) in &damaged {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    fs::create_dir(dir.path().join("0.rest")).unwrap();
    drop_file(dir.path(), "7.key", &[5, 6]);
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    assert!(source.available() >= 2);
    let expected = [(group_id(5, 1), vec![3, 4]), (group_id(7, 0), vec![5, 6])];
    assert_eq!(all(&mut source), expected);
    assert_eq!(source.named.len(), damaged.len() + 1);
    for (name, bytes) in damaged {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), bytes, "{name}");
    }
}

/// A second process that starts must not wipe what the first is about to read, and reads none of it.
#[test]
fn what_another_process_reads_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut open = Vec::new();
    for name in ["1.claimed", "2.rest", "3.key"] {
        fs::write(dir.path().join(name), [9; 40]).unwrap();
        let file = File::open(dir.path().join(name)).unwrap();
        file.lock().unwrap();
        open.push(file);
    }
    assert!(all(&mut KeyFiles::new(dir.path(), 16).unwrap()).is_empty());
    for name in ["1.claimed", "2.rest", "3.key"] {
        assert_eq!(fs::read(dir.path().join(name)).unwrap(), [9; 40], "{name}");
    }
    drop(open);
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    assert!(fs::read(dir.path().join("1.claimed")).unwrap().is_empty());
    assert_eq!(all(&mut source).len(), 20);
}

#[test]
fn what_was_put_back_is_taken_once_by_readers_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..61u8 {
        drop_file(dir.path(), &format!("{number}.key"), &[number; 4]);
    }
    let mut sources: Vec<_> = (0..60).map(|_| KeyFiles::new(dir.path(), 16).unwrap()).collect();
    for source in &mut sources {
        source.next_group().unwrap().unwrap();
    }
    for source in &mut sources {
        source.put_back().unwrap();
    }
    let read = || all(&mut KeyFiles::new(dir.path(), 16).unwrap());
    let groups: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(read)).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    let names: BTreeSet<_> = groups.iter().map(|(id, _)| *id).collect();
    assert_eq!((groups.len(), names.len()), (60, 60));
}

/// A process that dies takes what it has not used with it. The next one says so, once.
#[test]
fn what_died_with_a_process_is_known_to_the_next_and_what_was_used_up_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let content = |name: &str| fs::read(dir.path().join(name)).unwrap();
    for name in ["1.key", "2.key", "3.key"] {
        drop_file(dir.path(), name, &[1, 2, 3, 4]);
    }
    let mut source = KeyFiles::new(dir.path(), 16).unwrap();
    for _ in 0..3 {
        source.next_group().unwrap().unwrap();
    }
    assert!(content("1.claimed").is_empty(), "used up");
    assert_eq!(content("2.claimed"), b"in use\n");
    // A second process does not take a living one's for dead.
    drop(KeyFiles::new(dir.path(), 16).unwrap());
    assert_eq!(content("2.claimed"), b"in use\n");
    drop(source); // without putting back, as one that is killed
    let mut next = KeyFiles::new(dir.path(), 16).unwrap();
    assert!(content("2.claimed").is_empty(), "told");
    let group = next.next_group().unwrap().unwrap();
    assert_eq!((group.id, content("3.claimed")), (group_id(3, 0), b"in use\n".to_vec()));
    next.put_back().unwrap();
    assert!(content("3.claimed").is_empty(), "nothing is lost");
    // A rest that is taken up again can be lost too.
    let mut again = KeyFiles::new(dir.path(), 16).unwrap();
    assert_eq!(again.next_group().unwrap().unwrap().id, group_id(3, 1));
    assert_eq!(content("3.claimed"), b"in use\n");
    assert!(again.next_group().unwrap().is_none());
    assert!(content("3.claimed").is_empty());
}
